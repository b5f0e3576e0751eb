/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lxc.mount.entry and the lines of lxc.mount.fstab: what is mounted besides the system's own.
 *
 *     bind        a tree of the host's, opened before (trees.c); with `relative` one of the
 *                 container's own root
 *     a type that a user namespace may mount (proc, tmpfs, overlay, …): mounted by the container
 *     any other   of the host's devices: mounted by the keeper, which has to be root, as a tree
 *
 * A target is a path of the container's, whether it begins with / or not; one that begins with the
 * path of the root on the host, as they were written in 2010, is meant below it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "lxc/container.h"
#include "lxc/sys.h"

#define FSTAB_MAX (1 << 20) /* bytes */

/* ---- options ---- */

struct mount_option {
    const char *name;
    uint64_t attr;
    size_t flag;          /* offset of a bool in struct mount_entry; 0: none */
    unsigned propagation; /* MS_… */
    uint64_t undoes;      /* of what was said before: the last word counts, as in mount(8) */
};

#define FLAG(f) offsetof(struct mount_entry, f)

static const struct mount_option mount_options[] = {
    {"defaults", 0, 0, 0, 0},
    {"rw", 0, 0, 0, MOUNT_ATTR_RDONLY},
    {"suid", 0, 0, 0, MOUNT_ATTR_NOSUID},
    {"dev", 0, 0, 0, MOUNT_ATTR_NODEV},
    {"exec", 0, 0, 0, MOUNT_ATTR_NOEXEC},
    {"atime", 0, 0, 0, MOUNT_ATTR_NOATIME},
    {"diratime", 0, 0, 0, MOUNT_ATTR_NODIRATIME},
    {"auto", 0, 0, 0, 0},
    {"noauto", 0, 0, 0, 0},
    {"nofail", 0, FLAG(optional), 0, 0},
    {"_netdev", 0, 0, 0, 0},
    {"async", 0, 0, 0, 0},
    {"remount", 0, 0, 0, 0}, /* how ro was made so for a bind mount; it always is */
    {"ro", MOUNT_ATTR_RDONLY, 0, 0, 0},
    {"nosuid", MOUNT_ATTR_NOSUID, 0, 0, 0},
    {"nodev", MOUNT_ATTR_NODEV, 0, 0, 0},
    {"noexec", MOUNT_ATTR_NOEXEC, 0, 0, 0},
    {"noatime", MOUNT_ATTR_NOATIME, 0, 0, 0},
    {"strictatime", MOUNT_ATTR_STRICTATIME, 0, 0, 0},
    {"relatime", MOUNT_ATTR_RELATIME, 0, 0, 0},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0, 0, 0},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0, 0, 0},
    {"bind", 0, FLAG(bind), 0, 0},
    {"rbind", 0, FLAG(bind), 0, 0},
    {"optional", 0, FLAG(optional), 0, 0},
    {"relative", 0, FLAG(relative), 0, 0},
    {"create=dir", 0, FLAG(create_dir), 0, 0},
    {"create=file", 0, FLAG(create_file), 0, 0},
    {"private", 0, 0, MS_PRIVATE, 0},
    {"rprivate", 0, 0, MS_PRIVATE, 0},
    {"slave", 0, 0, MS_SLAVE, 0},
    {"rslave", 0, 0, MS_SLAVE, 0},
    {"shared", 0, 0, MS_SHARED, 0},
    {"rshared", 0, 0, MS_SHARED, 0},
    {"unbindable", 0, 0, MS_UNBINDABLE, 0},
    {"runbindable", 0, 0, MS_UNBINDABLE, 0},
};

static void option_apply(struct mount_entry *m, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(mount_options); i++) {
        const struct mount_option *o = &mount_options[i];
        if (!str_eq(o->name, name))
            continue;
        m->attr = (m->attr & ~o->undoes) | o->attr;
        if (o->flag)
            *(bool *)((char *)m + o->flag) = true;
        if (o->propagation)
            m->tree.propagation = o->propagation;
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

uint64_t mount_attr_clear(uint64_t attr)
{
    const uint64_t times = MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME;
    return attr & times ? MOUNT_ATTR__ATIME : 0;
}

uint64_t mount_attr_parse(const char *options, char **rest)
{
    struct mount_entry m = {.tree.fd = -1};
    cleanup_free char *copy = xstrdup(options);
    char *save;
    for (char *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save))
        option_apply(&m, o);
    *rest = steal_ptr(m.data);
    return m.attr;
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

/* May a user namespace mount it? Others are the keeper's. */
static bool is_for_users(const char *type)
{
    static const char *const types[] = {"proc",   "sysfs",   "tmpfs",   "ramfs",   "devpts",
                                        "mqueue", "cgroup2", "overlay", "fuse",    "cgroup",
                                        "bpf",    "binder",  "none",    "devtmpfs"};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (str_eq(type, types[i]))
            return true;
    return str_starts(type, "fuse.");
}

int mount_entry_parse(const char *line, struct mount_entry *m, struct error *err)
{
    *m = (struct mount_entry){.tree.fd = -1};
    cleanup_free char *copy = xstrdup(line);
    char *save, *field[4];
    for (int i = 0; i < 4; i++) {
        field[i] = strtok_r(i ? NULL : copy, " \t", &save);
        if (!field[i] && i < 3)
            return error_set(err, 0, "'%s' is not 'SOURCE TARGET TYPE OPTIONS'", line);
        if (field[i])
            unescape(field[i]);
    }
    for (char *o = field[3] ? strtok_r(field[3], ",", &save) : NULL; o;
         o = strtok_r(NULL, ",", &save))
        option_apply(m, o);
    if (m->data && strstr(m->data, "idmap=")) {
        mount_entry_clear(m);
        return error_set(err, 0, "a mount has the ids of the container, idmap=container, or none");
    }
    if (m->bind && field[0][0] != '/' && !m->relative) {
        mount_entry_clear(m);
        return error_set(err, 0, "'%s' is not an absolute path", field[0]);
    }
    if (m->tree.idmap && !m->bind && is_for_users(field[2])) {
        mount_entry_clear(m);
        return error_set(err, 0,
                         "idmap=container is for what is of the host: a '%s' is mounted by "
                         "the container, with its ids",
                         field[2]);
    }
    m->source = xstrdup(field[0]);
    m->target = xstrdup(field[1] + strspn(field[1], "/"));
    for (size_t n = strlen(m->target); n > 0 && m->target[n - 1] == '/'; n--)
        m->target[n - 1] = '\0';
    m->type = xstrdup(field[2]);
    m->tree.path = m->source;
    m->tree.optional = m->optional;
    if (!m->bind && !is_for_users(m->type)) {
        m->tree.type = m->type;
        m->tree.data = m->data;
    }
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

/* ---- the list ---- */

bool mount_entry_is_tree(const struct mount_entry *m)
{
    return (m->bind && !m->relative) || m->tree.type;
}

/* A target as it was written in 2010, with the path of the root on the host. */
static void target_below(struct mount_entry *m, const char *root)
{
    size_t len = root ? strlen(root) : 0;
    while (len > 0 && root[len - 1] == '/')
        len--;
    if (len < 2 || root[0] != '/' || strncmp(m->target, root + 1, len - 1) != 0 ||
        m->target[len - 1] != '/')
        return;
    char *rest = m->target + len - 1;
    memmove(m->target, rest + strspn(rest, "/"), strlen(rest + strspn(rest, "/")) + 1);
}

/* What mounts.c and dev.c have mounted by then, in a safer way. */
static bool is_there(const struct mount_entry *m)
{
    static const struct {
        const char *target, *type;
    } there[] = {{"proc", "proc"},
                 {"sys", "sysfs"},
                 {"dev/pts", "devpts"},
                 {"dev", "devtmpfs"},
                 {"sys/fs/cgroup", "cgroup2"}};
    for (size_t i = 0; i < ARRAY_SIZE(there); i++)
        if (str_eq(m->target, there[i].target) && str_eq(m->type, there[i].type))
            return true;
    return false;
}

int mounts_parse(const struct config *c, const char *line, struct mount_entry *m, struct error *err)
{
    if (mount_entry_parse(line, m, err) < 0)
        return -1;
    target_below(m, c->tree_count ? c->trees[0].path : NULL);
    target_below(m, c->set.root_mount ? c->set.root_mount : LXC_ROOTFS_MOUNT);
    return 0;
}

int mounts_add(struct config *c, const char *line, struct error *err)
{
    struct mount_entry m;
    if (mounts_parse(c, line, &m, err) < 0)
        return -1;
    if (is_there(&m) || !*m.target) {
        mount_entry_clear(&m);
        return 0;
    }
    c->mounts = xrealloc(c->mounts, c->mount_count + 1, sizeof *c->mounts);
    c->mounts[c->mount_count++] = m;
    return 0;
}

int mounts_add_fstab(struct config *c, const char *path, struct error *err)
{
    cleanup_free char *all = NULL;
    if (file_read_at(AT_FDCWD, path, FSTAB_MAX, &all, NULL, err) < 0)
        return error_wrap(err, "lxc.mount.fstab");
    char *rest = all, *line;
    for (unsigned n = 1; (line = strsep(&rest, "\n")); n++) {
        char *text = str_trim(line);
        if (!*text || *text == '#')
            continue;
        if (mounts_add(c, text, err) < 0)
            return error_wrap(err, "%s:%u", path, n);
    }
    return 0;
}

/* ---- mounting ---- */

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

/* An overlay of whose upper layer the kernel makes nothing that could be written to. */
static int check_written(const struct mount_entry *m, const char *upper, int fd, struct error *err)
{
    struct statvfs fs;
    if (fstatvfs(fd, &fs) < 0 || !(fs.f_flag & ST_RDONLY) || m->attr & MOUNT_ATTR_RDONLY)
        return 0;
    cleanup_free char *map = NULL;
    unsigned inside = 0, outside = 0;
    if (file_read_at(AT_FDCWD, "/proc/self/uid_map", 1000, &map, NULL, NULL) == 0)
        sscanf(map, "%u %u", &inside,
               &outside); /* the lowest first, which is 0 in all but odd ones */
    error_set(err, 0, "'%s' and the workdir are not its own, so it could only be read", upper);
    return error_hint(err, "chown -R %u:%u, or say ro", outside - inside, outside - inside);
}

/* A file system that the container mounts itself. */
static int type_mount(struct mount_entry *m, struct error *err)
{
    const char *options[64], *upper = NULL;
    size_t n = 0;
    char *save = NULL;
    cleanup_free char *data = m->data ? xstrdup(m->data) : NULL;
    bool overlay = str_eq(m->type, "overlay"), marked = false;
    for (char *o = data ? strtok_r(data, ",", &save) : NULL; o; o = strtok_r(NULL, ",", &save)) {
        if (n + 4 >= ARRAY_SIZE(options))
            return error_set(err, E2BIG, "read its options");
        char *value = strchr(o, '=');
        if (value)
            *value++ = '\0';
        marked |= str_eq(o, "userxattr");
        if (str_eq(o, "upperdir"))
            upper = value;
        options[n++] = o;
        options[n++] = value ? value : o + strlen(o); /* "": a flag */
    }
    if (overlay && !marked) { /* the marks that a user namespace may make */
        options[n++] = "userxattr";
        options[n++] = "";
    }
    options[n] = NULL;
    cleanup_close int fd = fs_mount(m->type, m->attr, options, err);
    if (fd < 0 || (overlay && upper && check_written(m, upper, fd, err) < 0))
        return -1;
    return steal_fd(fd);
}

/* The tree that an entry is of, as a mount that is attached nowhere. */
static int entry_tree(struct mount_entry *m, int rootfd, struct error *err)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
                     (m->tree.recursive ? AT_RECURSIVE : 0);
    if (!m->bind && str_eq(m->type, "none")) {
        error_set(err, 0, "'none' is no type of a file system");
        return error_hint(err, "a directory of the host's is mounted with the option bind");
    }
    if (!m->bind && !m->tree.type)
        return type_mount(m, err);
    if (!m->relative)
        return steal_fd(m->tree.fd);
    cleanup_close int from =
        sys_open_in_root(rootfd, m->source + strspn(m->source, "/"), O_PATH, 0, 0);
    int fd = from < 0 ? -1 : open_tree(from, "", flags);
    return fd < 0 ? error_set(err, errno, "open '%s' of the container", m->source) : fd;
}

static int is_directory(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

int mounts_entry(struct mount_entry *m, int rootfd, struct error *err)
{
    if (mount_entry_is_tree(m) && m->tree.fd < 0)
        return 0; /* optional, and not there */
    if ((m->create_dir || m->create_file) && path_make(rootfd, m->target, m->create_file, err) < 0)
        return -1;
    cleanup_close int at = sys_open_in_root(rootfd, m->target, O_PATH, 0, 0);
    if (at < 0) {
        const bool missing = errno == ENOENT;
        error_set(err, errno, "open '/%s' in the container", m->target);
        return missing ? error_hint(err, "the option create=dir makes it, or create=file") : -1;
    }
    cleanup_close int fd = entry_tree(m, rootfd, err);
    if (fd < 0)
        return -1;
    struct mount_attr attr = {
        .attr_set = m->bind || m->tree.type ? m->attr : 0,
        .attr_clr = m->bind || m->tree.type ? mount_attr_clear(m->attr) : 0,
        /* Not a peer of the host's: what is mounted inside is not seen outside (trees.c). */
        .propagation = m->tree.propagation == MS_SLAVE ? 0 : m->tree.propagation,
    };
    if ((attr.attr_set || attr.propagation) &&
        mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0)
        return error_set(err, errno, "set the options of '%s'", m->source);
    if (sys_attach(fd, at) == 0)
        return 0;
    const int why = errno, what = is_directory(fd);
    if (why == EINVAL && what != is_directory(at))
        return error_set(err, 0, "'%s' is %s directory, and '/%s' is %s", m->source,
                         what ? "a" : "no", m->target, what ? "none" : "one");
    return error_set(err, why, "mount it");
}

int mounts_entries(struct config *c, int rootfd, struct error *err)
{
    for (size_t i = 0; i < c->mount_count; i++) {
        struct mount_entry *m = &c->mounts[i];
        if (mounts_entry(m, rootfd, err) < 0 && !m->optional)
            return error_wrap(err, "mount '%s' on '/%s'", m->source, m->target);
    }
    return 0;
}
