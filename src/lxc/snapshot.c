/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies of containers. What a container is, besides its definition, is its root file system: a
 * clone has a copy of it in its own directory, or an overlay above it (rootpath.h), a snapshot has
 * one in GUEST/snapshots/NAME/rootfs (of an overlay: of the upper layer), and an archive to take
 * along has it as rootfs/ beside config.
 *
 * To go back, the copy of a snapshot is made beside the root and changes places with it at once.
 */
#include "lxc/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "guest/def.h"
#include "guest/scratch.h"
#include "lxc/archive.h"
#include "lxc/copy.h"
#include "lxc/filework.h"
#include "lxc/hooks.h"
#include "lxc/rootpath.h"
#include "lxc/sys.h"
#include "lxc/template.h"
#include "net/card.h"

/*
 * The directory that holds what the container wrote: all of the root, or the upper layer of an
 * overlay. Caller frees. NULL: there is no such directory.
 */
static char *own_files(const struct guest_def *def, struct error *err)
{
    cleanup_root_path struct root_path r = {0};
    if (str_eq(conf_get(def->conf, "lxc.rootfs.path"), "host:/"))
        return error_set(err, 0, "'%s' is a copy of this host, without files of its own",
                         def->name),
               NULL;
    if (root_path_of(def, &r, err) < 0)
        return NULL;
    if (r.form != ROOT_IS_IMAGE)
        return steal_ptr(r.path);
    error_set(err, 0, "the root of '%s' is the image '%s', and no directory", def->name, r.path);
    error_hint(err, "`pult clone` makes a container that has it in a directory");
    return NULL;
}

/* ---- clones ---- */

/* The copy's files are there; lxc.hook.clone may change them. */
static int clone_hooks(const struct engine_clone *c, const struct root_path *r, const char *dir,
                       struct error *err)
{
    cleanup_free char *place = xstrdup(dir);
    cleanup_free char *upper = xasprintf("%s/overlay/delta", dir);
    cleanup_conf struct conf *conf = conf_copy(c->def->conf);
    struct guest_def def = *c->def;
    conf_unset(conf, "lxc.rootfs.path");
    conf_unset(conf, "lxc.uts.name");
    if (c->how == CLONE_OVERLAY) {
        struct root_path here = *r;
        here.path = upper;
        cleanup_free char *text = root_path_text(&here);
        conf_set(conf, "lxc.rootfs.path", text);
    }
    snprintf(def.name, sizeof def.name, "%s", c->name);
    def.dir = place;
    def.conf = conf;
    return hooks_clone(&def, c->def->name, err);
}

/* What is copied, or lain upon: the root as it is, or with the files of a snapshot in it. */
static int clone_source(const struct engine_clone *c, struct root_path *r, struct error *err)
{
    if (str_eq(conf_get(c->def->conf, "lxc.rootfs.path"), "host:/"))
        return error_set(err, 0, "'%s' is a copy of this host already", c->def->name);
    if (root_path_of(c->def, r, err) < 0)
        return -1;
    if (c->snapshot) {
        free(r->path);
        r->path = xasprintf("%s/rootfs", c->snapshot_dir);
    }
    if (c->how != CLONE_OVERLAY)
        return 0;
    if (r->form == ROOT_IS_IMAGE)
        return error_set(err, 0, "an overlay lies on directories; the root of '%s' is an image",
                         c->def->name);
    if (r->form == ROOT_IS_OVERLAY && r->lower_count == LOWERS_MAX)
        return error_set(err, 0, "'%s' has %d layers already", c->def->name, LOWERS_MAX);
    r->form = ROOT_IS_OVERLAY;
    memmove(r->lowers + 1, r->lowers, r->lower_count * sizeof *r->lowers);
    r->lowers[0] = r->path;
    r->lower_count++;
    r->path = xasprintf("%s/overlay/delta", c->new_dir);
    return 0;
}

/* Where the clone's files are, and by what name they are to call it. */
struct naming {
    const struct root_path *root; /* of a clone by overlay */
    char *dir;                    /* it goes here */
    const char *name;
};

#define HOSTNAME_HOW (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* The open file says it, if it is one. */
static int hostname_write(int fd, const char *name, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    if (ftruncate(fd, 0) < 0 || dprintf(fd, "%s\n", name) < 0)
        return error_set(err, errno, "write /etc/hostname of the clone");
    return 0;
}

/* Of a copy, in a process whose root it is: an init that reads a host name there is not told another. */
static int hostname_run(void *arg, struct error *err)
{
    const struct naming *n = arg;
    cleanup_close int fd = open("/etc/hostname", O_WRONLY | HOSTNAME_HOW);
    return fd < 0 ? 0 : hostname_write(fd, n->name, err);
}

/* The uppermost of the layers below that has the file or hides it; its directory as it is there. */
static bool hostname_below(const struct root_path *r, struct stat *etc, struct stat *file)
{
    for (unsigned i = 0; i < r->lower_count; i++) {
        cleanup_close int root = open(r->lowers[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        cleanup_close int dir =
            sys_open_in_root(root, "etc", O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
        if (dir >= 0 && fstatat(dir, "hostname", file, AT_SYMLINK_NOFOLLOW) == 0)
            return fstat(dir, etc) == 0 && S_ISREG(file->st_mode);
    }
    return false;
}

/* A file of that name in the upper layer, which nobody has written to yet, hides the one below. */
static int hostname_above(const struct naming *n, struct error *err)
{
    struct stat etc, file;
    cleanup_free char *dir = xasprintf("%s/delta/etc", n->dir);
    cleanup_free char *path = xasprintf("%s/hostname", dir);
    if (!hostname_below(n->root, &etc, &file))
        return 0;
    if (mkdir(dir, 0755) < 0 || lchown(dir, etc.st_uid, etc.st_gid) < 0 ||
        chmod(dir, etc.st_mode & 07777) < 0)
        return error_set(err, errno, "make /etc of the clone");
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | HOSTNAME_HOW, 0600);
    if (fd < 0 || fchown(fd, file.st_uid, file.st_gid) < 0 || fchmod(fd, file.st_mode & 07777) < 0)
        return error_set(err, errno, "make /etc/hostname of the clone");
    return hostname_write(fd, n->name, err);
}

static int upper_run(void *arg, struct error *err)
{
    const struct naming *n = arg;
    return root_path_upper(n->root, n->dir, err) < 0 ? -1 : hostname_above(n, err);
}

/* Put the files into the new directory. */
static int clone_fill(const struct engine_clone *c, const struct root_path *r, const char *dir,
                      struct error *err)
{
    cleanup_free char *own = xasprintf("%s/overlay", dir);
    cleanup_free char *root = xasprintf("%s/rootfs", dir);
    struct naming n = {r, own, c->name};
    const struct filework upper = {.dir = dir, .run = upper_run, .arg = &n};
    const struct filework naming = {.dir = root, .jail = true, .run = hostname_run, .arg = &n};
    if (c->how == CLONE_OVERLAY)
        return filework_do(&upper, err);
    if (root_copy(r, dir, "rootfs", c->how == CLONE_SHARE, c->progress, c->arg, err) < 0)
        return -1;
    return filework_do(&naming, err);
}

/*
 * Two guests have neither one MAC address nor one interface on the host. A template of an address
 * makes another one each time.
 */
static void nics_distinguish(const struct conf *from, struct conf *conf)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct conf_line *l = &from->lines[i];
        const char *dot = l->key && str_starts(l->key, "lxc.net") ? strrchr(l->key, '.') : NULL;
        if (str_eq(dot, ".pair") || (str_eq(dot, ".hwaddr") && !strpbrk(l->value, "xX")))
            conf_unset(conf, l->key);
    }
}

int lxc_clone(const struct engine_clone *c, struct conf *conf, const char *dir, struct error *err)
{
    cleanup_root_path struct root_path r = {0};
    if (clone_source(c, &r, err) < 0)
        return -1;
    if (dir)
        return clone_fill(c, &r, dir, err) < 0 ? -1 : clone_hooks(c, &r, dir, err);
    for (unsigned n = 0; n < CARDS_MOST; n++) {
        cleanup_free char *key = xasprintf(CARD_KEY "%u", n);
        const char *value = conf_get(conf, key);
        cleanup_free char *without = value ? card_without_addresses(value) : NULL;
        if (without)
            conf_set(conf, key, without);
    }
    nics_distinguish(c->def->conf, conf);
    conf_unset(conf, "lxc.rootfs.path");
    conf_unset(conf, "lxc.uts.name");
    if (c->how == CLONE_OVERLAY) {
        cleanup_free char *text = root_path_text(&r);
        conf_set(conf, "lxc.rootfs.path", text);
    }
    return 0;
}

/* ---- snapshots ---- */

static int snapshot_copy(const struct guest_def *def, const char *dir, uint64_t *size,
                         engine_progress_fn *progress, void *arg, struct error *err)
{
    cleanup_free char *root = own_files(def, err);
    return root ? tree_copy(root, dir, "rootfs", size, progress, arg, err) : -1;
}

/* The directory whose files are replaced; NULL: none, or others need them. Caller frees. */
static char *files_to_replace(const struct guest_def *def, struct error *err)
{
    cleanup_free char *root = own_files(def, err);
    if (!root || root_path_needed(def, root, err) < 0)
        return NULL;
    const char *slash = strrchr(root, '/');
    if (slash == root || slash[1] == '\0')
        return error_set(err, 0, "'%s' is no directory to go back in", root), NULL;
    return steal_ptr(root);
}

static int snapshot_may_go_back(const struct guest_def *def, struct error *err)
{
    cleanup_free char *root = files_to_replace(def, err);
    return root ? 0 : -1;
}

static int snapshot_back(const struct guest_def *def, const char *dir, engine_progress_fn *progress,
                         void *arg, struct error *err)
{
    cleanup_free char *root = files_to_replace(def, err);
    cleanup_free char *kept = xasprintf("%s/rootfs", dir);
    if (!root)
        return -1;
    const char *slash = strrchr(root, '/');
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

/* All of it lies in its directory; but clones by overlay may lie on that. */
static int snapshot_forget(const struct guest_def *def, struct keeper *k, const char *name,
                           struct error *err)
{
    cleanup_free char *dir = xasprintf("%s/snapshots/%s", def->dir, name);
    (void)k;
    return root_path_needed(def, dir, err);
}

const struct engine_snapshots lxc_snapshots = {
    .copy = snapshot_copy,
    .back = snapshot_back,
    .may_go_back = snapshot_may_go_back,
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
        error_set(err, 0, "the root of '%s' is not all in its own directory", def->name);
        return error_hint(err, "`pult clone` makes a container that has all in one place");
    }
    return archive_pack(def->dir, names, fd, packer, progress, arg, err);
}

/* What is defined, but for where the root was. */
static int take_config(int fd, struct conf *conf, struct error *err)
{
    cleanup_free char *text = xcalloc(1, ARCHIVE_CONFIG_MAX);
    cleanup_conf struct conf *given = NULL;
    ssize_t len = pread(fd, text, ARCHIVE_CONFIG_MAX, 0);
    if (len <= 0)
        return error_set(err, 0, "it has no config, so no `pult export` made it");
    if (conf_parse("the archive's config", text, (size_t)len, &given, err) < 0)
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

/*
 * The jail is rootfs/: no link in it leads to what else belongs to the guest, its definition, its
 * snapshots, its log.
 */
int lxc_unpack(const char *dir, int fd, struct conf *conf, engine_progress_fn *progress, void *arg,
               struct error *err)
{
    cleanup_close int config = memfd_create("config", MFD_CLOEXEC);
    const struct archive_job j = {
        .kind = ARCHIVE_GUEST, .fd = fd, .config = config, .progress = progress, .arg = arg};
    cleanup_free char *root = config < 0 ? NULL : template_root(dir, err);
    if (config < 0)
        return error_set(err, errno, "make a file in memory");
    return !root || archive_unpack(&j, root, err) < 0 ? -1 : take_config(config, conf, err);
}
