/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is mounted into the root besides /dev: /proc, /sys, the cgroups. lxc.mount.entry: entries.c.
 *
 * With ids of its own a container's root is nobody to the files of /proc and /sys that concern the
 * machine, and the kernel refuses it by their mode. For one command they are covered or made
 * read-only all the same, as OCI runtimes have it (but for /proc/sys/net, which is its own
 * network's). With the identity mapping root is their owner: then they are covered for a system,
 * too, and CAP_SYS_ADMIN, which could undo that, is gone (caps.c). A system with ids of its own
 * sees them as they are, for where a part of /proc is covered the kernel lets no container within
 * mount one.
 *
 * Covers are clones of one empty directory and of one device that has been looked at, put onto
 * descriptors of the file system that was made here a moment ago: no path of the container's has a
 * part in it.
 */
#include "lxc/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "lxc/process.h"
#include "lxc/sys.h"

#define ATTR_SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static const char *const proc_covered[] = {"acpi", "asound",        "interrupts",    "kcore",
                                           "keys", "kmsg",          "latency_stats", "sched_debug",
                                           "scsi", "sysrq-trigger", "timer_list",    "timer_stats",
                                           NULL};
static const char *const proc_read_only[] = {"bus", "fs", "irq", "sys", NULL};
static const char *const sys_covered[] = {"firmware", "devices/virtual/powercap", NULL};

/* A clone of a mount, or of a part of it, that can be put elsewhere. */
static int tree_clone(int from, const char *path, uint64_t attr)
{
    struct mount_attr a = {.attr_set = attr};
    cleanup_close int tree =
        open_tree(from, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0 || (attr && mount_setattr(tree, "", AT_EMPTY_PATH, &a, sizeof a) < 0))
        return -1;
    return steal_fd(tree);
}

/*
 * What covers hide things with. Before Linux 6.15 a mount can be cloned only if it is somewhere: so the
 * first directory is covered by the new file system itself, and the others by clones of that.
 */
struct covers {
    int dir;   /* a mount */
    int file;  /* the host's /dev/null, by O_PATH */
    bool used; /* dir is somewhere */
};

static int covers_make(struct covers *v, struct error *err)
{
    static const char *const options[] = {"mode", "0555", "size", "4k", "nr_inodes", "1", NULL};
    struct stat st;
    v->file = open("/dev/null", O_PATH | O_CLOEXEC);
    if (v->file < 0 || fstat(v->file, &st) < 0)
        return error_set(err, errno, "open the host's /dev/null");
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
        return error_set(err, 0, "the host's /dev/null is not what it should be");
    v->dir = fs_mount("tmpfs", ATTR_SAFE | MOUNT_ATTR_RDONLY, options, err);
    return v->dir < 0 ? -1 : 0;
}

static int cover_file(const struct covers *v, int at)
{
    const uint64_t attr = (ATTR_SAFE & ~(uint64_t)MOUNT_ATTR_NODEV) | MOUNT_ATTR_RDONLY;
    cleanup_close int tree = tree_clone(v->file, "", attr);
    return tree < 0 ? -1 : sys_attach(tree, at);
}

static int cover_dir(struct covers *v, int at)
{
    cleanup_close int tree =
        v->used ? tree_clone(v->dir, "", MOUNT_ATTR_RDONLY) : fcntl(v->dir, F_DUPFD_CLOEXEC, 3);
    if (tree < 0 || sys_attach(tree, at) < 0)
        return -1;
    v->used = true;
    return 0;
}

/* Hide what is there of these files and directories below a mount of ours. */
static int cover(struct covers *v, int below, const char *const *names, struct error *err)
{
    struct stat st;
    for (; *names; names++) {
        cleanup_close int at = sys_open_in_root(below, *names, O_PATH, 0, RESOLVE_NO_SYMLINKS);
        if (at < 0 && errno == ENOENT)
            continue; /* this kernel has no such thing */
        if (at < 0 || fstat(at, &st) < 0)
            return error_set(err, errno, "cover '%s'", *names);
        if ((S_ISDIR(st.st_mode) ? cover_dir(v, at) : cover_file(v, at)) < 0)
            return error_set(err, errno, "cover '%s'", *names);
    }
    return 0;
}

/* Put a part of /proc onto itself, so that it has attributes of its own. */
static int part_remount(int proc, const char *name, uint64_t attr, struct error *err)
{
    cleanup_close int at = sys_open_in_root(proc, name, O_PATH, 0, RESOLVE_NO_SYMLINKS);
    if (at < 0 && errno == ENOENT)
        return 0;
    cleanup_close int tree = at < 0 ? -1 : tree_clone(proc, name, attr);
    if (tree < 0 || sys_attach(tree, at) < 0)
        return error_set(err, errno, "protect '/proc/%s'", name);
    return 0;
}

/* Cover what concerns the machine. */
static int system_protect(const struct config *c, int proc, int sys, struct error *err)
{
    /* The own network's settings remain; they are found before /proc/sys is covered by itself. */
    const bool net = !c->nics.host;
    cleanup_close int settings = net ? tree_clone(proc, "sys/net", 0) : -1;
    cleanup_close int file = -1, dir = -1;
    struct covers v = {.dir = -1, .file = -1};
    int ret = covers_make(&v, err);
    file = v.file;
    dir = v.dir;
    if (ret < 0 || cover(&v, proc, proc_covered, err) < 0 || cover(&v, sys, sys_covered, err) < 0)
        return -1;
    for (const char *const *name = proc_read_only; *name; name++)
        if (part_remount(proc, *name, MOUNT_ATTR_RDONLY, err) < 0)
            return -1;
    cleanup_close int at = sys_open_in_root(proc, "sys/net", O_PATH, 0, RESOLVE_NO_SYMLINKS);
    if (settings >= 0 && (at < 0 || sys_attach(settings, at) < 0))
        return error_set(err, errno, "leave '/proc/sys/net' writable");
    return 0;
}

/* Mount a new file system on a directory of the root; the mount's descriptor. */
static int mount_dir(int rootfd, const char *path, const char *type, uint64_t attr,
                     const char *const *options, struct error *err)
{
    cleanup_close int at = rootfs_dir(rootfd, path, 0755, err);
    if (at < 0)
        return -1;
    cleanup_close int fd = fs_mount(type, attr, options, err);
    if (fd < 0)
        return error_wrap(err, "mount /%s", path);
    if (sys_attach(fd, at) < 0)
        return error_set(err, errno, "mount /%s", path);
    return steal_fd(fd);
}

/*
 * cgroup v2 at /sys/fs/cgroup, where the host has nothing else; a system's init may write to it.
 * With the identity it may not: as the owner of all files it could lift its own limits.
 */
static int cgroup_mount(const struct config *c, int sys, struct error *err)
{
    if (!c->cgroup2)
        return 0;
    cleanup_close int at = sys_open_in_root(sys, "fs/cgroup", O_PATH | O_DIRECTORY, 0, 0);
    if (at < 0)
        return 0;
    bool protect = c->app || c->map.identity || c->set.autos.cgroup == AUTO_RO;
    uint64_t read_only = protect ? MOUNT_ATTR_RDONLY : 0;
    cleanup_close int fd = fs_mount("cgroup2", ATTR_SAFE | read_only, NULL, err);
    if (fd < 0 || sys_attach(fd, at) < 0)
        return error_set(err, errno, "mount /sys/fs/cgroup");
    return 0;
}

/*
 * One command makes no user namespaces: in one it would have all capabilities again, and with them
 * the reach into the kernel that was taken from it. The number holds for what is below, too, and to
 * raise it takes CAP_SYS_RESOURCE (caps.c). lxc.cap.keep = sys_admin … lets it make some.
 */
static int userns_forbid(const struct config *c, int proc, struct error *err)
{
    struct error why;
    if (!c->app || (c->caps & UINT64_C(1) << CAP_SYS_ADMIN))
        return 0;
    if (file_put_at(proc, "sys/user/max_user_namespaces", "0", &why) == 0 || why.code == ENOENT)
        return 0;
    *err = why;
    return error_wrap(err, "forbid user namespaces");
}

/*
 * A new sysfs shows the network namespace of who mounts it, and is only for its owner: in the host's
 * network a container has the host's own, read-only.
 */
static int sys_bind(int rootfd, struct error *err)
{
    struct mount_attr attr = {.attr_set = ATTR_SAFE | MOUNT_ATTR_RDONLY};
    cleanup_close int at = rootfs_dir(rootfd, "sys", 0755, err);
    if (at < 0)
        return -1;
    cleanup_close int fd =
        open_tree(AT_FDCWD, "/sys", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0 ||
        sys_attach(fd, at) < 0)
        return error_set(err, errno, "mount the host's /sys");
    return steal_fd(fd);
}

/* lxc.mount.auto = proc:mixed: what is not of the network's is read-only below /proc/sys. */
static int proc_mixed(const struct config *c, int proc, struct error *err)
{
    if (c->set.autos.proc != AUTO_MIXED && c->set.autos.proc != AUTO_RO)
        return 0;
    cleanup_close int net = tree_clone(proc, "sys/net", 0);
    if (part_remount(proc, "sys", MOUNT_ATTR_RDONLY, err) < 0 ||
        part_remount(proc, "sysrq-trigger", MOUNT_ATTR_RDONLY, err) < 0)
        return -1;
    cleanup_close int at = sys_open_in_root(proc, "sys/net", O_PATH, 0, RESOLVE_NO_SYMLINKS);
    if (c->set.autos.proc == AUTO_MIXED && net >= 0 && at >= 0 && sys_attach(net, at) < 0)
        return error_set(err, errno, "leave '/proc/sys/net' writable");
    return 0;
}

/* lxc.mount.auto = sys:mixed: virtual interfaces may be written to. */
static int sys_mixed(const struct config *c, int sys, struct error *err)
{
    struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};
    if (c->set.autos.sys != AUTO_MIXED || c->nics.host)
        return 0;
    cleanup_close int at = sys_open_in_root(sys, "devices/virtual/net", O_PATH | O_DIRECTORY, 0, 0);
    if (at < 0 && errno == ENOENT)
        return 0;
    cleanup_close int net = at < 0 ? -1 : tree_clone(at, "", 0);
    if (net < 0 || mount_setattr(net, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0 ||
        sys_attach(net, at) < 0)
        return error_set(err, errno, "mount /sys/devices/virtual/net");
    return 0;
}

/* That of the pid namespace which is shared: namespaces.c made it. -1: there is none. */
static int proc_given(struct config *c)
{
    for (size_t i = 0; i < c->mount_count; i++)
        if (c->mounts[i].tree.given)
            return steal_fd(c->mounts[i].tree.fd);
    return -1;
}

/* Of processes that are not its own alone there can be no new /proc: theirs is bound. */
static int proc_bind(struct config *c, int rootfd, struct error *err)
{
    struct mount_attr attr = {.attr_set = ATTR_SAFE};
    cleanup_close int at = rootfs_dir(rootfd, "proc", 0755, err);
    if (at < 0)
        return -1;
    cleanup_close int fd = proc_given(c);
    if (fd < 0)
        fd = open_tree(AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0 ||
        sys_attach(fd, at) < 0)
        return error_set(err, errno, "mount /proc");
    return steal_fd(fd);
}

int mounts_system(struct config *c, int rootfd, struct error *err)
{
    const bool own = namespace_kind(&c->set, SHARE_PID) == NAMESPACE_OWN;
    cleanup_close int proc =
        own ? mount_dir(rootfd, "proc", "proc", ATTR_SAFE, NULL, err) : proc_bind(c, rootfd, err);
    if (proc < 0)
        return -1;
    if (userns_forbid(c, proc, err) < 0 || process_sysctls(&c->set, proc, err) < 0)
        return -1;
    uint64_t sys_attr = c->set.autos.sys == AUTO_RW && !c->map.identity ? 0 : MOUNT_ATTR_RDONLY;
    cleanup_close int sys =
        c->nics.host ? sys_bind(rootfd, err)
                     : mount_dir(rootfd, "sys", "sysfs", ATTR_SAFE | sys_attr, NULL, err);
    bool protect = c->app || c->map.identity;
    if (sys < 0 || (protect ? system_protect(c, proc, sys, err) : proc_mixed(c, proc, err)) < 0 ||
        sys_mixed(c, sys, err) < 0)
        return -1;
    return cgroup_mount(c, sys, err);
}
