/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who else on this host reaches a container's files.
 *
 * A file that root of the container makes belongs on disk to who runs the container, as the files
 * of its root directory do, and its set-user-ID bit is there, too: whoever comes to that file on the
 * host runs it as root. The store is closed to others (0700); a root or a directory from elsewhere
 * need not be, and that is for its owner to say, so it is only told.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/doctor.h"
#include "guest/store.h"
#include "lxc/container.h"

/* May others pass through every directory down to this one? */
static bool is_open(const char *path)
{
    char real[PATH_MAX];
    struct stat st;
    if (!realpath(path, real))
        return false;
    for (char *slash; stat(real, &st) == 0 && (st.st_mode & S_IXOTH); slash[slash == real] = '\0')
        if (str_eq(real, "/"))
            return true;
        else
            slash = strrchr(real, '/');
    return false;
}

/* Does a set-user-ID file that the container makes there run as the caller, for others? */
static bool is_danger(const char *path)
{
    struct stat st;
    struct statvfs fs;
    return stat(path, &st) == 0 && st.st_uid == geteuid() && statvfs(path, &fs) == 0 &&
           !(fs.f_flag & (ST_NOSUID | ST_RDONLY)) && is_open(path);
}

/* The directory that holds what the container writes to its root. Caller frees. NULL: none is. */
static char *written_root(const struct config *c)
{
    const struct tree *last = c->tree_count > 0 ? &c->trees[c->tree_count - 1] : NULL;
    cleanup_free char *rest = NULL;
    const char *options = c->set.root_options;
    if (!last || last->image || (options && (mount_attr_parse(options, &rest) & MOUNT_ATTR_RDONLY)))
        return NULL;
    if (c->root == ROOT_DIR)
        return xstrdup(last->path);
    return c->root == ROOT_LAYERS ? xasprintf("%s/%s", last->path, c->upper) : NULL;
}

/* What of a loaded definition is in danger: a path, or NULL. Caller frees. */
static char *endangered(const struct config *c)
{
    cleanup_free char *root = written_root(c);
    if (root && is_danger(root))
        return steal_ptr(root);
    for (size_t i = 0; i < c->mount_count; i++) {
        const struct mount_entry *m = &c->mounts[i];
        if (m->bind && !m->relative && m->tree.idmap && !(m->attr & MOUNT_ATTR_RDONLY) &&
            is_danger(m->source))
            return xstrdup(m->source);
    }
    return NULL;
}

static char *endangered_by(const struct guest_def *def)
{
    struct config c = {0};
    struct error err;
    char *path = def->throwaway || config_load(def, &c, &err) < 0 ? NULL : endangered(&c);
    config_clear(&c);
    return path;
}

#define OPEN_TO_OTHERS                                                                           \
    "other users of this host reach '%s': a program that the container marks set-user-ID there " \
    "runs as %s for them"

static const char *caller(void)
{
    return geteuid() == 0 ? "root" : "you";
}

void reach_warn(const struct guest_def *def, void (*tell)(void *arg, const char *text), void *arg)
{
    cleanup_free char *path = endangered_by(def);
    if (!path)
        return;
    cleanup_free char *text =
        xasprintf(OPEN_TO_OTHERS "; put it below a directory of mode 0700", path, caller());
    tell(arg, text);
}

void reach_doctor(struct doctor *d)
{
    char **names;
    const size_t n = store_names(&names);
    for (size_t i = 0; i < n; i++) {
        cleanup_def struct guest_def *def = NULL;
        if (store_load(names[i], &def, NULL) < 0 || !str_eq(def->engine->type, "container"))
            continue;
        cleanup_free char *path = endangered_by(def);
        cleanup_free char *remedy =
            path ? xasprintf("put the files of '%s' below a directory of mode 0700", def->name)
                 : NULL;
        if (path)
            doctor_line(d, FINDING_NOTE, "roots", remedy, OPEN_TO_OTHERS, path, caller());
    }
    strv_free(names);
}
