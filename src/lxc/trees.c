/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parts of the host's file systems that a container is given: its root, and what lxc.mount.entry
 * binds. Each is a clone of a mount (open_tree), attached to nothing, private and without devices.
 * Of a container started by root the keeper opens them, since the container may not walk the
 * host's directories; a user's container opens them in its own mount namespace.
 */
#include "lxc/container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/rootpath.h"
#include "lxc/sys.h"

/* A file system on a device, for containers of root. */
static int tree_mount(struct tree *t, struct error *err)
{
    cleanup_close int fs = fsopen(t->type, FSOPEN_CLOEXEC);
    cleanup_free char *data = t->data ? xstrdup(t->data) : NULL;
    char *save = NULL;
    if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "source", t->path, 0) < 0)
        return error_set(err, errno, "mount '%s' as %s", t->path, t->type);
    for (char *o = data ? strtok_r(data, ",", &save) : NULL; o; o = strtok_r(NULL, ",", &save)) {
        char *value = strchr(o, '=');
        if (value)
            *value++ = '\0';
        if (fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, o, value, 0) < 0)
            return error_set(err, errno, "mount '%s': option '%s'", t->path, o);
    }
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
        (t->fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV)) < 0)
        return error_set(err, errno, "mount '%s' as %s", t->path, t->type);
    return 0;
}

/* The device goes with the mount, for that is all that keeps it. */
static int tree_mount_image(struct tree *t, struct error *err)
{
    struct tree device = {.data = t->data, .fd = -1};
    cleanup_close int held = -1;
    cleanup_free char *path = loop_device(t->path, false, &held, &device.type, err);
    device.path = path;
    if (!path || tree_mount(&device, err) < 0)
        return error_wrap(err, "mount the image '%s'", t->path);
    t->fd = device.fd;
    return 0;
}

static int tree_open(struct tree *t, struct error *err)
{
    if (t->given)
        return 0;
    if (t->image)
        return tree_mount_image(t, err);
    if (t->type) {
        int ret = tree_mount(t, err);
        return ret < 0 && t->optional ? 0 : ret;
    }
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (t->recursive ? AT_RECURSIVE : 0);
    t->fd = open_tree(AT_FDCWD, t->path, flags);
    if (t->fd >= 0 || (t->optional && errno == ENOENT))
        return 0;
    int why = errno;
    error_set(err, why, "open '%s' for the container", t->path);
    if (why == EINVAL && !t->recursive)
        return error_hint(err, "something is mounted below it, which a user cannot leave out");
    return -1;
}

int trees_open(struct config *c, struct error *err)
{
    for (size_t i = 0; i < c->tree_count; i++)
        if (tree_open(&c->trees[i], err) < 0)
            return -1;
    for (size_t i = 0; i < c->mount_count; i++)
        if (mount_entry_is_tree(&c->mounts[i]) && tree_open(&c->mounts[i].tree, err) < 0)
            return -1;
    return 0;
}

/*
 * A clone of a part of a new mount. Before Linux 6.15 it has to be somewhere to be cloned: a process
 * that shares our descriptors puts it over its own root. -1: see errno.
 */
static int clone_part(int fs, const char *name)
{
    struct clone_args args = {.flags = CLONE_NEWNS | CLONE_FILES, .exit_signal = SIGCHLD};
    cleanup_close int tree = fcntl(fs, F_DUPFD_CLOEXEC, 3); /* a place for it */
    int status = 0;
    pid_t pid = tree < 0 ? -1 : sys_clone3(&args);
    if (pid == 0) {
        int fd = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                         move_mount(fs, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0
                     ? -1
                     : open_tree(fs, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        _exit(fd < 0 || dup3(fd, tree, O_CLOEXEC) < 0 || close(fd) < 0 ? errno : 0);
    }
    if (pid < 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
    return status ? -1 : steal_fd(tree);
}

/*
 * A device's node that the container's root owns: on a tmpfs of its own, since that of the host's
 * /dev is the host's to own.
 */
static int node_make(const struct config *c, struct tree *t, const struct stat *st,
                     struct error *err)
{
    static const char *const options[] = {"mode", "0755", "size", "4k", "nr_inodes", "4", NULL};
    cleanup_close int fs = fs_mount("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, options, err);
    if (fs < 0)
        return -1;
    if (mknodat(fs, "node", (st->st_mode & S_IFMT) | 0660, st->st_rdev) < 0 ||
        fchmodat(fs, "node", 0660, 0) < 0 ||
        fchownat(fs, "node", idmap_root_uid(&c->map), idmap_root_gid(&c->map), 0) < 0)
        return error_set(err, errno, "make a node for '%s'", t->path);
    int node = clone_part(fs, "node");
    if (node < 0)
        return error_set(err, errno, "make a node for '%s'", t->path);
    close(t->fd);
    t->fd = node;
    return 0;
}

/* Map one tree. 1: its file system cannot. */
static int tree_idmap(const struct config *c, struct tree *t, int userns, bool root,
                      struct error *err)
{
    bool follows = t->propagation == MS_SLAVE || t->propagation == MS_SHARED;
    struct mount_attr attr = {.propagation = follows ? MS_SLAVE : MS_PRIVATE};
    struct stat st;
    if (t->fd < 0)
        return 0;
    if (t->idmap && !root && !c->map.identity && fstat(t->fd, &st) == 0 &&
        (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
        return node_make(c, t, &st, err);
    if (root)
        attr.attr_set |= MOUNT_ATTR_NODEV;
    /* What is owned by the container's ids on disk needs no mapping. */
    if (t->idmap && !c->map.identity && fstat(t->fd, &st) == 0 &&
        !idmap_has_host_uid(&c->map, st.st_uid)) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = (uint64_t)userns;
    }
    if (mount_setattr(t->fd, "", AT_EMPTY_PATH | (t->recursive ? AT_RECURSIVE : 0), &attr,
                      sizeof attr) == 0)
        return 0;
    if (errno == EINVAL && (attr.attr_set & MOUNT_ATTR_IDMAP))
        return 1;
    return error_set(err, errno, "map the ids of '%s'", t->path);
}

int tree_take(const struct config *c, struct tree *t, int userns, struct error *err)
{
    int ret = tree_open(t, err);
    if (ret == 0 && userns >= 0)
        ret = tree_idmap(c, t, userns, false, err);
    return ret > 0 ? error_set(err, 0, "the file system of '%s' cannot be shown with other ids",
                               t->path)
                   : ret;
}

int trees_idmap(struct config *c, int userns, struct error *err)
{
    for (size_t i = 0; i < c->tree_count; i++) {
        int ret = tree_idmap(c, &c->trees[i], userns, true, err);
        if (ret < 0 || (ret > 0 && (i == 0 || c->root != ROOT_HOST)))
            return ret;
        if (ret > 0) { /* a lesser file system of the host's: done without */
            close(c->trees[i].fd);
            c->trees[i].fd = -1;
        }
    }
    for (size_t i = 0; i < c->mount_count; i++) {
        int ret = tree_idmap(c, &c->mounts[i].tree, userns, false, err);
        if (ret < 0)
            return -1;
        if (ret > 0)
            return error_set(err, 0,
                             "the file system of '%s' cannot be shown with other ids; "
                             "take idmap=container from its lxc.mount.entry",
                             c->mounts[i].source);
    }
    return 0;
}

static void tree_close(struct tree *t)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
}

void trees_close_root(struct config *c)
{
    for (size_t i = 0; i < c->tree_count; i++)
        tree_close(&c->trees[i]);
}

void trees_close(struct config *c)
{
    trees_close_root(c);
    for (size_t i = 0; i < c->mount_count; i++)
        tree_close(&c->mounts[i].tree);
}
