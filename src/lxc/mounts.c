/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is mounted into the root besides /dev: /proc, /sys, the cgroups, and lxc.mount.entry.
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

/* What covers hide things with. */
struct covers {
    int dir, file; /* mounts */
};

static int covers_make(struct covers *v, struct error *err)
{
    static const char *const options[] = {"mode", "0555", "size", "4k", "nr_inodes", "1", NULL};
    struct stat st;
    v->file = tree_clone(AT_FDCWD, "/dev/null", ATTR_SAFE & ~(uint64_t)MOUNT_ATTR_NODEV);
    if (v->file < 0 || fstat(v->file, &st) < 0)
        return error_set(err, errno, "open the host's /dev/null");
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
        return error_set(err, 0, "the host's /dev/null is not what it should be");
    v->dir = fs_mount("tmpfs", ATTR_SAFE | MOUNT_ATTR_RDONLY, options, err);
    return v->dir < 0 ? -1 : 0;
}

/* Hide what is there of these files and directories below a mount of ours. */
static int cover(const struct covers *v, int below, const char *const *names, struct error *err)
{
    struct stat st;
    for (; *names; names++) {
        cleanup_close int at = sys_open_in_root(below, *names, O_PATH, 0, RESOLVE_NO_SYMLINKS);
        if (at < 0 && errno == ENOENT)
            continue; /* this kernel has no such thing */
        if (at < 0 || fstat(at, &st) < 0)
            return error_set(err, errno, "cover '%s'", *names);
        cleanup_close int tree =
            tree_clone(S_ISDIR(st.st_mode) ? v->dir : v->file, "", MOUNT_ATTR_RDONLY);
        if (tree < 0 || sys_attach(tree, at) < 0)
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
    const bool net = !c->map.identity && !c->nics.host;
    cleanup_close int settings = net ? tree_clone(proc, "sys/net", 0) : -1;
    cleanup_close int file = -1, dir = -1;
    struct covers v = {-1, -1};
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
    uint64_t read_only = c->app || c->map.identity ? MOUNT_ATTR_RDONLY : 0;
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

int mounts_system(const struct config *c, int rootfd, struct error *err)
{
    cleanup_close int proc = mount_dir(rootfd, "proc", "proc", ATTR_SAFE, NULL, err);
    if (proc < 0)
        return -1;
    if (userns_forbid(c, proc, err) < 0)
        return -1;
    cleanup_close int sys =
        c->nics.host ? sys_bind(rootfd, err)
                     : mount_dir(rootfd, "sys", "sysfs", ATTR_SAFE | MOUNT_ATTR_RDONLY, NULL, err);
    if (sys < 0 || ((c->app || c->map.identity) && system_protect(c, proc, sys, err) < 0))
        return -1;
    return cgroup_mount(c, sys, err);
}

/* ---- lxc.mount.entry ---- */

struct mount_option {
    const char *name;
    uint64_t attr;
    size_t flag; /* offset of a bool in struct mount_entry; 0: none */
};

#define FLAG(f) offsetof(struct mount_entry, f)

static const struct mount_option mount_options[] = {
    {"defaults", 0, 0},
    {"rw", 0, 0},
    {"private", 0, 0},
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"noatime", MOUNT_ATTR_NOATIME, 0},
    {"relatime", MOUNT_ATTR_RELATIME, 0},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"bind", 0, FLAG(bind)},
    {"rbind", 0, FLAG(bind)},
    {"optional", 0, FLAG(optional)},
    {"create=dir", 0, FLAG(create_dir)},
    {"create=file", 0, FLAG(create_file)},
};

static void option_apply(struct mount_entry *m, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(mount_options); i++) {
        const struct mount_option *o = &mount_options[i];
        if (!str_eq(o->name, name))
            continue;
        m->attr |= o->attr;
        if (o->flag)
            *(bool *)((char *)m + o->flag) = true;
        m->tree.recursive |= str_eq(name, "rbind");
        return;
    }
    if (str_eq(name, "idmap=container")) {
        m->tree.idmap = true;
        return;
    }
    /* What is not ours is the file system's. */
    char *data = m->data ? xasprintf("%s,%s", m->data, name) : xstrdup(name);
    free(m->data);
    m->data = data;
}

/* The octal escapes of fstab(5): "\040" is a blank. In place. */
static void unescape(char *s)
{
    char *to = s;
    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + s[3] - '0');
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

int mount_entry_parse(const char *line, struct mount_entry *m, struct error *err)
{
    *m = (struct mount_entry){.tree.fd = -1};
    cleanup_free char *copy = xstrdup(line);
    char *save, *field[4];
    for (int i = 0; i < 4; i++) {
        field[i] = strtok_r(i ? NULL : copy, " \t", &save);
        if (!field[i])
            return error_set(err, 0, "'%s' is not 'SOURCE TARGET TYPE OPTIONS'", line);
        unescape(field[i]);
    }
    for (char *o = strtok_r(field[3], ",", &save); o; o = strtok_r(NULL, ",", &save))
        option_apply(m, o);
    if (m->bind && field[0][0] != '/') {
        mount_entry_clear(m);
        return error_set(err, 0, "'%s' is not an absolute path", field[0]);
    }
    m->source = xstrdup(field[0]);
    m->target = xstrdup(field[1] + strspn(field[1], "/"));
    m->type = xstrdup(field[2]);
    m->tree.path = m->source;
    m->tree.optional = m->optional;
    if (*m->target)
        return 0;
    mount_entry_clear(m);
    return error_set(err, 0, "the target is the root itself; that is lxc.rootfs.path");
}

void mount_entry_clear(struct mount_entry *m)
{
    free(m->source);
    free(m->target);
    free(m->type);
    free(m->data);
    *m = (struct mount_entry){.tree.fd = -1};
}

/* Make what is missing of path below rootfd, the last part as a file or directory. */
static int path_make(int rootfd, const char *path, bool file, struct error *err)
{
    cleanup_free char *copy = xstrdup(path);
    for (char *slash = copy; slash;) {
        slash = strchr(slash, '/');
        if (slash)
            *slash = '\0';
        cleanup_close int have = sys_open_in_root(rootfd, copy, O_PATH, 0, 0);
        if (have < 0) {
            char *last = strrchr(copy, '/');
            if (last)
                *last = '\0';
            cleanup_close int up =
                sys_open_in_root(rootfd, last ? copy : ".", O_PATH | O_DIRECTORY, 0, 0);
            if (last)
                *last = '/';
            const char *name = last ? last + 1 : copy;
            if (up < 0 || (slash || !file ? mkdirat(up, name, 0755)
                                          : mknodat(up, name, S_IFREG | 0644, 0)) < 0)
                return error_set(err, errno, "make '/%s' in the container", copy);
        }
        if (slash)
            *slash++ = '/';
    }
    return 0;
}

/* Mount one entry. */
static int entry_mount(struct mount_entry *m, int rootfd, struct error *err)
{
    if (m->bind && m->tree.fd < 0)
        return 0; /* optional, and not there */
    if ((m->create_dir || m->create_file) && path_make(rootfd, m->target, m->create_file, err) < 0)
        return -1;
    cleanup_close int at = sys_open_in_root(rootfd, m->target, O_PATH, 0, 0);
    if (at < 0)
        return error_set(err, errno, "open '/%s' in the container", m->target);
    cleanup_close int fd = -1;
    if (m->bind) {
        struct mount_attr attr = {.attr_set = m->attr};
        fd = steal_fd(m->tree.fd);
        if (m->attr && mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0)
            return error_set(err, errno, "set the options of '%s'", m->source);
    } else {
        char *options[33] = {NULL}, *save = NULL;
        unsigned n = 0;
        for (char *o = m->data ? strtok_r(m->data, ",", &save) : NULL; o && n < 32;
             o = strtok_r(NULL, ",", &save)) {
            char *value = strchr(o, '=');
            if (value)
                *value++ = '\0';
            options[n++] = o;
            options[n++] = value ? value : o + strlen(o); /* "": a flag */
        }
        fd = fs_mount(m->type, m->attr, (const char *const *)options, err);
        if (fd < 0)
            return -1;
    }
    if (sys_attach(fd, at) < 0)
        return error_set(err, errno, "mount it");
    return 0;
}

int mounts_entries(struct config *c, int rootfd, struct error *err)
{
    for (size_t i = 0; i < c->mount_count; i++) {
        struct mount_entry *m = &c->mounts[i];
        if (entry_mount(m, rootfd, err) < 0 && !m->optional)
            return error_wrap(err, "mount '%s' on '/%s'", m->source, m->target);
    }
    return 0;
}
