/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies of containers. What a container is, besides its definition, is its root file system: a
 * clone has a copy of it in its own directory, a snapshot in GUEST/snapshots/NAME/rootfs, and an
 * archive to take along has it as rootfs/ beside config.
 *
 * To go back, the copy of a snapshot is made beside the root and changes places with it at once.
 */
#include "lxc/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "guest/def.h"
#include "guest/scratch.h"
#include "lxc/archive.h"
#include "lxc/copy.h"
#include "lxc/hooks.h"
#include "net/card.h"

/* The directory that is the root. Caller frees. NULL: it is no directory of its own. */
static char *root_of(const struct guest_def *def, struct error *err)
{
    const char *path = conf_get(def->conf, "lxc.rootfs.path");
    if (!path)
        return xasprintf("%s/rootfs", def->dir);
    if (str_starts(path, "dir:"))
        path += 4;
    if (*path == '/')
        return xstrdup(path);
    error_set(err, 0, "the root of '%s' is '%s', and no directory of its own", def->name, path);
    return NULL;
}

/* ---- clones ---- */

/* The copy's files are there; lxc.hook.clone may change them. */
static int clone_hooks(const struct engine_clone *c, const char *dir, struct error *err)
{
    cleanup_free char *place = xstrdup(dir);
    cleanup_conf struct conf *conf = conf_copy(c->def->conf);
    struct guest_def def = *c->def;
    conf_unset(conf, "lxc.rootfs.path");
    conf_unset(conf, "lxc.uts.name");
    snprintf(def.name, sizeof def.name, "%s", c->name);
    def.dir = place;
    def.conf = conf;
    return hooks_clone(&def, c->def->name, err);
}

int lxc_clone(const struct engine_clone *c, struct conf *conf, const char *dir, struct error *err)
{
    if (dir) {
        cleanup_free char *root =
            c->snapshot ? xasprintf("%s/rootfs", c->snapshot_dir) : root_of(c->def, err);
        if (!root || tree_copy(root, dir, "rootfs", NULL, c->progress, c->arg, err) < 0)
            return -1;
        return clone_hooks(c, dir, err);
    }
    cleanup_free char *root = root_of(c->def, err);
    if (!root)
        return -1;
    for (unsigned n = 0; n < CARDS_MOST; n++) {
        cleanup_free char *key = xasprintf(CARD_KEY "%u", n);
        const char *value = conf_get(conf, key);
        cleanup_free char *without = value ? card_without_addresses(value) : NULL;
        if (without)
            conf_set(conf, key, without);
    }
    conf_unset(conf, "lxc.rootfs.path");
    conf_unset(conf, "lxc.uts.name");
    return 0;
}

/* ---- snapshots ---- */

static int snapshot_copy(const struct guest_def *def, const char *dir, uint64_t *size,
                         engine_progress_fn *progress, void *arg, struct error *err)
{
    cleanup_free char *root = root_of(def, err);
    return root ? tree_copy(root, dir, "rootfs", size, progress, arg, err) : -1;
}

static int snapshot_back(const struct guest_def *def, const char *dir, engine_progress_fn *progress,
                         void *arg, struct error *err)
{
    cleanup_free char *root = root_of(def, err);
    cleanup_free char *kept = xasprintf("%s/rootfs", dir);
    if (!root)
        return -1;
    char *slash = strrchr(root, '/');
    if (slash == root || slash[1] == '\0')
        return error_set(err, 0, "'%s' is no directory to go back in", root);
    cleanup_free char *parent = xstrndup(root, (size_t)(slash - root));
    cleanup_free char *beside = xasprintf("%s/" SCRATCH "%s-back", parent, def->name);
    cleanup_free char *fresh = xasprintf("%s/rootfs", beside);
    if (scratch_discard(beside, err) < 0)
        return -1;
    if (mkdir(beside, 0700) < 0)
        return error_set(err, errno, "make '%s'", beside);
    int ret = tree_copy(kept, beside, "rootfs", NULL, progress, arg, err);
    if (ret == 0 && renameat2(AT_FDCWD, fresh, AT_FDCWD, root, RENAME_EXCHANGE) < 0)
        ret = error_set(err, errno, "replace '%s'", root);
    scratch_discard(beside, NULL);
    return ret;
}

static int snapshot_check_root(const struct guest_def *def, const char *name, const char *dir,
                               struct error *err)
{
    cleanup_free char *kept = xasprintf("%s/rootfs", dir);
    struct stat st;
    (void)def;
    (void)name;
    if (lstat(kept, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_set(err, 0, "it has no root file system");
    return 0;
}

/* All of it lies in its directory. */
static int snapshot_forget(const struct guest_def *def, struct keeper *k, const char *name,
                           struct error *err)
{
    (void)def;
    (void)k;
    (void)name;
    (void)err;
    return 0;
}

const struct engine_snapshots lxc_snapshots = {
    .copy = snapshot_copy,
    .back = snapshot_back,
    .check = snapshot_check_root,
    .forget = snapshot_forget,
};

/* ---- archives ---- */

int lxc_pack(const struct guest_def *def, int fd, const char *file, engine_progress_fn *progress,
             void *arg, struct error *err)
{
    static const char *const names[] = {"config", "rootfs", NULL};
    const char *packer = archive_packer(file);
    if (!packer) {
        error_set(err, 0, "'%s' does not end like an archive", file);
        return error_hint(err, "such as .tar, .tar.gz, .tar.xz, .tar.zst");
    }
    if (conf_get(def->conf, "lxc.rootfs.path")) {
        error_set(err, 0, "the root of '%s' lies elsewhere", def->name);
        return error_hint(err, "`pult clone` makes a container that has all in one place");
    }
    return archive_pack(def->dir, names, fd, packer, progress, arg, err);
}

/* What is defined, but for where the root was. */
static int take_config(const char *dir, struct conf *conf, struct error *err)
{
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_free char *text = NULL;
    cleanup_conf struct conf *given = NULL;
    size_t len;
    if (fd < 0 || file_read_at(fd, "config", 1 << 20, &text, &len, err) < 0 ||
        conf_parse("the archive's config", text, len, &given, err) < 0)
        return -1;
    const char *type = conf_get(given, "guest.type");
    if (type && !str_eq(type, "container"))
        return error_set(err, 0, "it is a %s", type);
    conf_unset(given, "lxc.rootfs.path");
    conf_unset(given, "lxc.rootfs");
    for (size_t i = 0; i < given->count; i++)
        if (given->lines[i].key && given->lines[i].depth == 0 &&
            !str_eq(given->lines[i].key, "guest.type"))
            conf_add(conf, given->lines[i].key, given->lines[i].value);
    return 0;
}

int lxc_unpack(const char *dir, int fd, struct conf *conf, engine_progress_fn *progress, void *arg,
               struct error *err)
{
    const struct archive_job j = {.kind = ARCHIVE_GUEST,
                                  .fd = fd,
                                  .progress = progress,
                                  .arg = arg};
    cleanup_free char *root = xasprintf("%s/rootfs", dir);
    struct stat st;
    if (archive_unpack(&j, dir, err) < 0)
        return -1;
    if (lstat(root, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_set(err, 0, "it has no rootfs/, so no `pult export` made it");
    return take_config(dir, conf, err);
}
