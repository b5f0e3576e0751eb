/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hooks, by LXC's rules: a value is a command for the shell. By version 0 it gets the name, the
 * section and the kind as further arguments, by version 1 it finds them in its environment.
 *
 *     keeper, on the host      pre-start … start-host … stop … post-stop
 *     first process, with the  pre-mount, mount, autodev: programs of the host's, while it still
 *     container's ids          sees the host's files
 *     in the container         start: the container's own program
 *
 * Hooks of the host's are the administrator's: they run as who runs the container, with nothing of
 * the keeper's open. What they print goes to the keeper's log. The keeper waits for them.
 */
#include "lxc/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "lxc/container.h"

#define PATHS "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

bool hooks_any(const struct settings *s, enum hook_kind kind)
{
    return s->hooks[kind] && s->hooks[kind][0];
}

static void put(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
}

/* lxc.environment and lxc.environment.hooks. */
static void put_given(const struct guest_def *def)
{
    static const char *const keys[] = {"lxc.environment", "lxc.environment.hooks"};
    const struct conf_line *l;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        conf_for_each (def->conf, keys[i], l) {
            const char *equals = strchr(l->value, '=');
            cleanup_free char *name =
                equals ? xstrndup(l->value, (size_t)(equals - l->value)) : NULL;
            if (name)
                put(name, equals + 1);
        }
}

/* Where the root is on the host, as the definition says it. */
static char *root_path(const struct guest_def *def)
{
    const char *path = conf_get(def->conf, "lxc.rootfs.path");
    return path ? xstrdup(path) : xasprintf("%s/rootfs", def->dir);
}

/* The hook's environment, which becomes this process's. */
static void environment(const struct guest_def *def, const struct settings *s, const char *section,
                        const char *kind, const struct hook_facts *facts)
{
    char number[16];
    cleanup_free char *config = xasprintf("%s/config", def->dir);
    cleanup_free char *root = root_path(def);
    clearenv();
    put("PATH", PATHS);
    put("HOME", geteuid() == 0 ? "/root" : "/");
    put_given(def);
    put("LXC_NAME", def->name);
    put("LXC_CONFIG_FILE", config);
    put("LXC_ROOTFS_PATH", root);
    put("LXC_ROOTFS_MOUNT", facts->root ? facts->root : root);
    put("LXC_CONSOLE", s->console_path);
    put("LXC_CONSOLE_LOGPATH", s->console_log);
    put("LXC_CGNS_AWARE", "1");
    /* Where nothing is said LXC's own is ERROR: its hooks write files of their own below that. */
    const bool said = conf_get(def->conf, "lxc.log.level") || conf_get(def->conf, "lxc.loglevel");
    put("LXC_LOG_LEVEL", said ? log_level_names[s->log_level] : "ERROR");
    snprintf(number, sizeof number, "%d", facts->pid);
    put("LXC_PID", facts->pid ? number : NULL);
    snprintf(number, sizeof number, "%u", s->hook_version);
    put("LXC_HOOK_VERSION", number);
    put("LXC_TARGET", facts->target);
    put("LXC_SRC_NAME", facts->source);
    for (size_t i = 0; facts->env && facts->env[i]; i++)
        putenv(facts->env[i]);
    if (s->hook_version == 0)
        return;
    put("LXC_HOOK_TYPE", kind);
    put("LXC_HOOK_SECTION", section);
}

/* References to the namespaces of a container that is over: descriptors that the hook inherits. */
static char *namespaces_tell(const int *fds, bool arguments)
{
    char *words = xstrdup("");
    for (size_t i = 0; i < NS_COUNT; i++) {
        char name[32], path[64];
        if (fds[i] < 0)
            continue;
        fcntl(fds[i], F_SETFD, 0);
        snprintf(path, sizeof path, "/proc/%d/fd/%d", getpid(), fds[i]);
        if (arguments) {
            char *more = xasprintf("%s %s:%s", words, namespace_names[i], path);
            free(words);
            words = more;
            continue;
        }
        snprintf(name, sizeof name, "LXC_%s_NS", namespace_names[i]);
        for (char *p = name; *p; p++)
            *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
        put(name, path);
    }
    return words;
}

/* Wait for the end of a hook, and say how it failed. */
static int await(pid_t pid, const char *command, struct error *err)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_set(err, errno, "wait for '%s'", command);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status))
        return error_set(err, 0, "'%s' ended with status %d", command, WEXITSTATUS(status));
    return error_set(err, 0, "'%s' died of signal %d", command, WTERMSIG(status));
}

/* In the process that becomes the hook. */
static void become(const struct guest_def *def, const struct settings *s, const char *command,
                   const char *section, const char *kind, const struct hook_facts *facts,
                   char *const *words)
{
    cleanup_free char *line = NULL, *names = NULL;
    cleanup_free char *args = words ? str_join_words(words) : xstrdup("");
    spawn_reset_signals();
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    if (facts->log)
        dup2(facts->log, 2);
    dup2(2, 1);
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    environment(def, s, section, kind, facts);
    names =
        facts->namespaces ? namespaces_tell(facts->namespaces, s->hook_version == 0) : xstrdup("");
    if (s->hook_version == 0)
        line = xasprintf("exec %s %s %s %s %s%s", command, def->name, section, kind, args, names);
    else
        line = xasprintf("exec %s %s", command, args);
    execl("/bin/sh", "sh", "-c", line, NULL);
    _exit(127);
}

static int run(const struct guest_def *def, const struct settings *s, const char *command,
               const char *section, const char *kind, const struct hook_facts *facts,
               char *const *words, struct error *err)
{
    pid_t pid = fork();
    if (pid == 0)
        become(def, s, command, section, kind, facts, words);
    if (pid < 0)
        return error_set(err, errno, "start '%s'", command);
    return await(pid, command, err);
}

static int run_all(const struct guest_def *def, const struct settings *s, enum hook_kind kind,
                   const struct hook_facts *facts, struct error *err)
{
    static const struct hook_facts none;
    for (size_t i = 0; s->hooks[kind] && s->hooks[kind][i]; i++)
        if (run(def, s, s->hooks[kind][i], "lxc", hook_names[kind], facts ? facts : &none,
                facts ? facts->args : NULL, err) < 0)
            return error_wrap(err, "lxc.hook.%s", hook_names[kind]);
    return 0;
}

/* In the keeper, and what it starts, a hook prints into the log; a throwaway's goes with it. */
static int tell_log(const struct guest_def *def, struct error *err)
{
    return def->throwaway ? -1 : error_hint(err, "what it printed is in '%s/log'", def->dir);
}

int hooks_run(const struct guest_def *def, const struct settings *s, enum hook_kind kind,
              const struct hook_facts *facts, struct error *err)
{
    return run_all(def, s, kind, facts, err) < 0 ? tell_log(def, err) : 0;
}

int hook_script(const struct guest_def *def, const struct settings *s, const char *command,
                const struct hook_facts *facts, char *const *words, struct error *err)
{
    return run(def, s, command, "net", facts->kind, facts, words, err) < 0 ? tell_log(def, err) : 0;
}

int hooks_run_inside(const struct container *c, struct error *err)
{
    const struct settings *s = &c->config.set;
    for (size_t i = 0; s->hooks[HOOK_START] && s->hooks[HOOK_START][i]; i++) {
        const char *command = s->hooks[HOOK_START][i];
        cleanup_free char *line = s->hook_version == 0
                                      ? xasprintf("%s %s lxc start", command, c->keeper->def->name)
                                      : xstrdup(command);
        char **argv = str_split_words(line, err);
        pid_t pid = argv ? fork() : -1;
        if (pid == 0) {
            for (char **e = c->config.env; e && *e; e++)
                putenv(*e);
            put("LXC_NAME", c->keeper->def->name);
            put("LXC_HOOK_VERSION", s->hook_version ? "1" : "0");
            if (s->hook_version) {
                put("LXC_HOOK_TYPE", "start");
                put("LXC_HOOK_SECTION", "lxc");
            }
            _exit(exec_command(argv, environ, err));
        }
        int ret = pid < 0 ? -1 : await(pid, command, err);
        strv_free(argv);
        if (ret < 0)
            return error_wrap(err, "lxc.hook.start");
    }
    return 0;
}

/* ---- of a definition alone ---- */

static int definition_run(const struct guest_def *def, enum hook_kind kind,
                          const struct hook_facts *facts, struct error *err)
{
    struct config c = {0};
    int ret = conf_take(def->conf, lxc_keys, &c, err);
    if (ret == 0)
        ret = run_all(def, &c.set, kind, facts, err);
    settings_clear(&c.set);
    return ret;
}

int hooks_destroy(const struct guest_def *def, struct error *err)
{
    return definition_run(def, HOOK_DESTROY, NULL, err);
}

int hooks_clone(const struct guest_def *def, const char *source, struct error *err)
{
    const struct hook_facts facts = {.source = source};
    return definition_run(def, HOOK_CLONE, &facts, err);
}
