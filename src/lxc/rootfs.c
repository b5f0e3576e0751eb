/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The root file system. A new root is mounted where it covers nothing that is still needed: paths
 * of the host work until pivot_root. What is written to an overlay goes to a tmpfs, which is
 * reachable from nowhere and goes with the mount namespace:
 *
 *     scratch/  u0 w0  u1 w1 …   upper and work directories, a pair for each overlay
 *               root             where the overlay of the root is mounted
 *
 * Such an overlay keeps its marks in attributes user.overlay.*. Layers that bear those of one that
 * root mounted, trusted.overlay.*, are put together by the keeper, where these are obeyed, and the
 * container is given the whole as one tree.
 */
#include "lxc/container.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/rootpath.h"
#include "lxc/sys.h"

int fs_mount(const char *type, uint64_t attr, const char *const *options, struct error *err)
{
    cleanup_close int fs = fsopen(type, FSOPEN_CLOEXEC);
    if (fs < 0)
        return error_set(err, errno, "open a file system of type '%s'", type);
    fsconfig(fs, FSCONFIG_SET_STRING, "source", type, 0); /* what df(1) shows */
    for (; options && *options; options += 2)
        if (fsconfig(fs, *options[1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, options[0],
                     *options[1] ? options[1] : NULL, 0) < 0)
            return error_set(err, errno, "set '%s=%s' of a %s", options[0], options[1], type);
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
        int why = errno;
        char log[300] = "";
        ssize_t n = read(fs, log, sizeof log - 1); /* the kernel's own words: "e overlay: …" */
        error_set(err, why, "create a %s", type);
        if (n > 2)
            error_hint(err, "%.*s", (int)strcspn(log + 2, "\n"), log + 2);
        return -1;
    }
    int fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)attr);
    if (fd < 0)
        error_set(err, errno, "mount a %s", type);
    return fd;
}

int rootfs_dir(int rootfd, const char *path, mode_t mode, struct error *err)
{
    int fd = sys_open_in_root(rootfd, path, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
    if (fd < 0 && errno == ENOENT) {
        if (mkdirat(rootfd, path, mode) < 0 && errno != EEXIST)
            return error_set(err, errno, "make '/%s' in the root file system", path);
        fd = sys_open_in_root(rootfd, path, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
    }
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
        return error_set(err, 0, ROOT_DIR_IS_NONE, path);
    if (fd < 0)
        return error_set(err, errno, "open '/%s' of the root file system", path);
    return fd;
}

/* A fresh directory of the scratch tmpfs that looks like another to who may enter it. */
static int upper_make(int scratch, const char *name, int like, struct error *err)
{
    struct stat st;
    if (mkdirat(scratch, name, 0755) < 0 || fstat(like, &st) < 0 ||
        fchmodat(scratch, name, st.st_mode & 07777, 0) < 0)
        return error_set(err, errno, "make a directory for what is written");
    /* Fails for owners who are not mapped: it stays with root, who is the next best. */
    if (fchownat(scratch, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 && errno != EINVAL &&
        errno != EPERM)
        return error_set(err, errno, "set the owner of a directory");
    return 0;
}

/* With directories below dir for what is written and for the overlay itself. */
static int overlay_mount_at(const char *lowerdir, int dir, const char *upper, const char *work,
                            bool trusted, struct error *err)
{
    char up[300], own[300];
    snprintf(up, sizeof up, "/proc/self/fd/%d/%s", dir, upper);
    snprintf(own, sizeof own, "/proc/self/fd/%d/%s", dir, work);
    const char *const options[] = {
        "lowerdir", lowerdir, "upperdir", up, "workdir", own, trusted ? NULL : "userxattr",
        "",         NULL};
    return fs_mount("overlay", MOUNT_ATTR_NODEV, options, err);
}

int overlay_mount_above(int scratch, const char *lowerdir, int like, unsigned number,
                        struct error *err)
{
    char u[16], w[16];
    snprintf(u, sizeof u, "u%u", number);
    snprintf(w, sizeof w, "w%u", number);
    if (upper_make(scratch, u, like, err) < 0)
        return -1;
    if (mkdirat(scratch, w, 0700) < 0)
        return error_set(err, errno, "make a directory for an overlay");
    return overlay_mount_at(lowerdir, scratch, u, w, false, err);
}

int overlay_mount(int scratch, int lower, unsigned number, struct error *err)
{
    char low[40];
    snprintf(low, sizeof low, "/proc/self/fd/%d", lower);
    return overlay_mount_above(scratch, low, lower, number, err);
}

/*
 * The tmpfs for overlays, mounted over /sys, of which nothing is needed any more: it goes with the
 * old root, while on / it would stay on top of that after pivot_root.
 */
static int scratch_mount(struct error *err)
{
    static const char *const options[] = {"mode", "0755", NULL};
    cleanup_close int fd = fs_mount("tmpfs", MOUNT_ATTR_NODEV, options, err);
    if (fd < 0)
        return -1;
    if (move_mount(fd, "", AT_FDCWD, "/sys", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_set(err, errno, "mount a tmpfs");
    return steal_fd(fd);
}

/* Before Linux 6.15 a layer had to be attached somewhere. */
static int tree_attach(const struct tree *t, int scratch, size_t number, struct error *err)
{
    char name[32];
    snprintf(name, sizeof name, "layer%zu", number);
    if (mkdirat(scratch, name, 0755) < 0)
        return error_set(err, errno, "make a directory");
    if (move_mount(t->fd, "", scratch, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_set(err, errno, "mount '%s'", t->path);
    return 0;
}

/* The overlay's own directory, beside what is written: ours, LXC's, or a new one. */
static const char *work_find(int dir)
{
    if (faccessat(dir, OVERLAY_WORK, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
        faccessat(dir, OVERLAY_WORK_LXC, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return OVERLAY_WORK_LXC;
    mkdirat(dir, OVERLAY_WORK, 0755);
    return OVERLAY_WORK;
}

/* An overlay of the trees, with directories of the scratch tmpfs where nothing of it stays. */
static int layers_mount(struct config *c, int scratch, bool trusted, struct error *err)
{
    char lower[32 * (LOWERS_MAX + 1)] = "";
    const size_t lowers = c->tree_count - (c->root == ROOT_LAYERS);
    for (size_t i = 0; i < c->tree_count; i++)
        if (tree_attach(&c->trees[i], scratch, i, err) < 0)
            return -1;
    for (size_t i = 0; i < lowers; i++) {
        const size_t n = strlen(lower);
        snprintf(lower + n, sizeof lower - n, "%s/proc/self/fd/%d", i ? ":" : "", c->trees[i].fd);
    }
    const int root = c->root == ROOT_LAYERS
                         ? overlay_mount_at(lower, c->trees[lowers].fd, c->upper,
                                            work_find(c->trees[lowers].fd), trusted, err)
                         : overlay_mount_above(scratch, lower, c->trees[0].fd, 0, err);
    return root < 0 ? error_wrap(err, "put an overlay above '%s'", c->trees[0].path) : root;
}

/* An overlay above directories of the host's. */
static int root_overlay(struct config *c, struct error *err)
{
    cleanup_close int scratch = scratch_mount(err);
    if (scratch < 0)
        return -1;
    if (c->root == ROOT_HOST)
        return hostroot_mount(c, scratch, err);
    if (mkdirat(scratch, "root", 0755) < 0)
        return error_set(err, errno, "make a directory");
    cleanup_close int root = layers_mount(c, scratch, false, err);
    if (root < 0)
        return -1;
    if (move_mount(root, "", scratch, "root", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_set(err, errno, "mount the root file system");
    return steal_fd(root);
}

/*
 * In a process of the keeper's, with mounts of its own: layers have to be somewhere. What the overlay
 * makes for itself belongs to who mounts it: that is the container's root, with root's rights.
 */
static int layers_mount_apart(struct config *c, struct error *err)
{
    const uid_t uid = idmap_root_uid(&c->map);
    const gid_t gid = idmap_root_gid(&c->map);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_set(err, errno, "have mounts of its own");
    cleanup_close int scratch = scratch_mount(err);
    if (scratch < 0)
        return -1;
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0 ||
        setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return error_set(err, errno, "become the container's root");
    return layers_mount(c, scratch, true, err);
}

int rootfs_layers(struct config *c, struct error *err)
{
    const int fd = message_made_by(layers_mount_apart, c, err);
    if (fd < 0)
        return -1;
    trees_close_root(c);
    c->trees[0].fd = fd;
    return 0;
}

/* Only for hooks: it is some directory, and covered. */
const char *rootfs_path(const struct config *c)
{
    static const char *const places[] = {LXC_ROOTFS_MOUNT, "/mnt", "/media"};
    if (c->root != ROOT_DIR)
        return c->root == ROOT_HOST ? "/" : "/sys/root";
    if (c->set.root_mount)
        return c->set.root_mount;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return "/sys";
}

/* Does anything look for the root by a path? */
static bool path_needed(const struct config *c)
{
    return c->set.hooks[HOOK_MOUNT] || c->set.hooks[HOOK_AUTODEV];
}

int rootfs_options(const struct config *c, int fd, struct error *err)
{
    char *rest = NULL;
    if (!c->set.root_options)
        return 0;
    uint64_t set = mount_attr_parse(c->set.root_options, &rest);
    struct mount_attr attr = {.attr_set = set, .attr_clr = mount_attr_clear(set)};
    free(rest);
    if (set && mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
        return error_set(err, errno, "set lxc.rootfs.options");
    return 0;
}

int rootfs_mount(struct config *c, struct error *err)
{
    if (c->root != ROOT_DIR)
        return root_overlay(c, err);
    struct tree *t = &c->trees[0];
    const char *at = path_needed(c) ? rootfs_path(c) : "/";
    if (move_mount(t->fd, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_set(err, errno, "mount '%s'", t->path);
    int root = t->fd;
    t->fd = -1;
    return root;
}
