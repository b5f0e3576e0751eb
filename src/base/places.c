/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/places.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/user.h"
#include "base/util.h"

/* An absolute path out of an environment variable, or NULL. */
static char *env_path(const char *name)
{
    const char *v = getenv(name);
    if (!v || !*v)
        return NULL;
    if (v[0] == '/')
        return xstrdup(v);
    cleanup_free char *cwd = getcwd(NULL, 0);
    return cwd ? xasprintf("%s/%s", cwd, v) : NULL;
}

static char *find_home(void)
{
    char *path = env_path("PULT_HOME");
    if (path)
        return path;
    if (geteuid() == 0)
        return xstrdup("/var/lib/pult");
    cleanup_free char *data = env_path("XDG_DATA_HOME");
    if (data)
        return xasprintf("%s/pult", data);
    cleanup_free char *home = env_path("HOME");
    if (!home)
        home = user_home(getuid());
    return xasprintf("%s/.local/share/pult", home ? home : "");
}

static char *find_run(void)
{
    char *path = env_path("PULT_RUN");
    if (path)
        return path;
    if (geteuid() == 0)
        return xstrdup("/run/pult");
    cleanup_free char *run = env_path("XDG_RUNTIME_DIR");
    if (run)
        return xasprintf("%s/pult", run);
    return xasprintf("/tmp/pult-%u", geteuid());
}

static char *find_cache(void)
{
    char *path = env_path("PULT_CACHE");
    if (path)
        return path;
    if (geteuid() == 0)
        return xstrdup("/var/cache/pult");
    cleanup_free char *cache = env_path("XDG_CACHE_HOME");
    if (cache)
        return xasprintf("%s/pult", cache);
    cleanup_free char *home = env_path("HOME");
    if (!home)
        home = user_home(getuid());
    return xasprintf("%s/.cache/pult", home ? home : "");
}

const char *place_home(void)
{
    static char *home;
    if (!home)
        home = find_home();
    return home;
}

const char *place_run(void)
{
    static char *run;
    if (!run)
        run = find_run();
    return run;
}

const char *place_cache(void)
{
    static char *cache;
    if (!cache)
        cache = find_cache();
    return cache;
}
