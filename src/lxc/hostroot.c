/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A copy of this host that forgets: its file systems, each under an overlay whose changes are kept
 * in memory, as long as the container lives.
 *
 * Root has a tree for every file system of the host (hostroot_trees()): the one at / gets the first
 * overlay, and those below get theirs at their places in it. A user is not allowed to take a
 * file system out from under what is mounted on it. So his root is a fresh directory in which
 * every directory of the host without mounts below becomes an overlay, and one with mounts is made
 * anew and filled in the same way, with copies of its files. Large ones are the host's, read-only.
 *
 * What belongs to the running host is not part of the copy: kernel and memory file systems (/proc,
 * /sys, /dev, /run), network file systems, and what hostcopy.h lists, which is empty. So are
 * the homes of people, and files with secrets that only root may read: root in the copy may be
 * anybody's program.
 */
#include "lxc/container.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/hostcopy.h"
#include "guest/store.h"
#include "lxc/sys.h"

#define COPY_MAX (1 << 20) /* bytes of a file that a user's copy has in memory */

/* Is path this directory, or below it? Both without the leading slash. */
static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return n == 0 || (strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/'));
}

static bool is_fresh(const char *path)
{
    for (const struct hostcopy_fresh *d = hostcopy_fresh; d->path; d++)
        if (is_below(path, d->path))
            return true;
    return is_below(path, place_home() + 1) || is_below(path, place_run() + 1);
}

/* ---- what is mounted here ---- */

/* The mount on exactly this path that is seen: the last. NULL: none. */
static const struct host_mount *mount_on(const struct host_mounts *m, const char *path)
{
    for (size_t i = m->count; i-- > 0;)
        if (str_eq(m->list[i].path, path))
            return &m->list[i];
    return NULL;
}

static bool mounts_below(const struct host_mounts *m, const char *path)
{
    for (size_t i = 0; i < m->count; i++)
        if (is_below(m->list[i].path, path) && !str_eq(m->list[i].path, path))
            return true;
    return false;
}

int hostroot_trees(struct config *c, struct error *err)
{
    cleanup_host_mounts struct host_mounts m = {0};
    c->trees = xcalloc(1, sizeof *c->trees);
    c->trees[c->tree_count++] = (struct tree){.path = xstrdup("/"), .idmap = true, .fd = -1};
    if (!c->privileged) {
        c->tree_count = 0;
        free(c->trees[0].path);
        return 0;
    }
    if (host_mounts_read(&m, err) < 0)
        return -1;
    for (size_t i = 0; i < m.count; i++) {
        const struct host_mount *on = &m.list[i];
        struct stat st;
        char path[PATH_MAX + 2];
        if (!*on->path || !on->disk || mount_on(&m, on->path) != on || is_fresh(on->path))
            continue;
        snprintf(path, sizeof path, "/%s", on->path);
        if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
            continue;
        c->trees = xrealloc(c->trees, c->tree_count + 1, sizeof *c->trees);
        c->trees[c->tree_count++] =
            (struct tree){.path = xstrdup(path), .idmap = true, .optional = true, .fd = -1};
    }
    return 0;
}

/* ---- putting it together ---- */

struct build {
    int scratch, root;
    unsigned overlays, covers;
    struct host_mounts mounts;
};

/*
 * Cover what path leads to, where it leads to something, with an empty directory or file of the
 * scratch tmpfs. What cannot be reached here cannot be reached later either.
 */
static int cover(struct build *b, const char *path, mode_t mode, struct error *err)
{
    struct stat st, top;
    char name[16];
    cleanup_close int at = sys_open_in_root(b->root, path, O_PATH, 0, 0);
    if (at < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP))
        return 0;
    if (at < 0 || fstat(at, &st) < 0 || fstat(b->root, &top) < 0)
        return error_set(err, errno, "hide '/%s'", path);
    if (st.st_dev == top.st_dev && st.st_ino == top.st_ino)
        return 0; /* a home that is / */
    bool dir = S_ISDIR(st.st_mode);
    snprintf(name, sizeof name, "f%u", b->covers++);
    if ((dir ? mkdirat(b->scratch, name, 0700) : mknodat(b->scratch, name, S_IFREG | 0600, 0)) <
            0 ||
        (dir && fchmodat(b->scratch, name, mode, 0) < 0))
        return error_set(err, errno, "make something empty for '/%s'", path);
    cleanup_close int tree = open_tree(b->scratch, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0 || sys_attach(tree, at) < 0)
        return error_set(err, errno, "hide '/%s'", path);
    return 0;
}

/* Empty a file of the copy. One that keeps its place and mode can still be replaced by programs. */
static int secret_hide(struct build *b, const char *path, struct error *err)
{
    cleanup_close int fd =
        sys_open_in_root(b->root, path, O_WRONLY | O_TRUNC | O_NONBLOCK | O_NOCTTY, 0, 0);
    if (fd >= 0)
        return 0;
    cleanup_close int seen =
        sys_open_in_root(b->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, 0);
    return seen < 0 ? 0 : cover(b, path, 0, err);
}

/* Hide all files that match one of the secrets. */
static int secret_hide_all(struct build *b, const char *pattern, struct error *err)
{
    char dir[PATH_MAX], path[PATH_MAX];
    const char *last = strrchr(pattern, '/') + 1;
    if (!strchr(last, '*'))
        return secret_hide(b, pattern, err);
    snprintf(dir, sizeof dir, "%.*s", (int)(last - pattern), pattern);
    int fd = sys_open_in_root(b->root, dir, O_RDONLY | O_DIRECTORY, 0, 0);
    cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (const struct dirent *e; d && (e = readdir(d));)
        if (fnmatch(last, e->d_name, 0) == 0 &&
            snprintf(path, sizeof path, "%s%s", dir, e->d_name) < PATH_MAX &&
            secret_hide(b, path, err) < 0)
            return -1;
    return 0;
}

/* Memory of the host that was swapped out to files. */
static int swap_hide(struct build *b, struct error *err)
{
    cleanup_fclose FILE *f = fopen("/proc/swaps", "re");
    char line[PATH_MAX + 64], path[PATH_MAX];
    while (f && fgets(line, sizeof line, f)) {
        if (line[0] != '/' || sscanf(line, "/%4094s file", path) != 1)
            continue;
        hostcopy_unescape(path);
        if (secret_hide(b, path, err) < 0)
            return -1;
    }
    return 0;
}

/* The homes of root, of people and of the caller. */
static int homes_hide(struct build *b, struct error *err)
{
    const char *home = getenv("HOME");
    if (home && cover(b, home + strspn(home, "/"), 0700, err) < 0)
        return -1;
    cleanup_fclose FILE *f = fopen("/etc/passwd", "re");
    const struct passwd *pw;
    while (f && (pw = fgetpwent(f)))
        if (hostcopy_is_person(pw->pw_uid) &&
            cover(b, pw->pw_dir + strspn(pw->pw_dir, "/"), 0700, err) < 0)
            return -1;
    return 0;
}

static int hide_all(struct build *b, struct error *err)
{
    for (const char *const *s = hostcopy_secrets; *s; s++)
        if (secret_hide_all(b, *s, err) < 0)
            return -1;
    for (const struct hostcopy_fresh *d = hostcopy_fresh; d->path; d++)
        if (d->mode && cover(b, d->path, d->mode, err) < 0)
            return -1;
    if (swap_hide(b, err) < 0 || homes_hide(b, err) < 0 ||
        cover(b, place_home() + 1, 0700, err) < 0)
        return -1;
    return cover(b, place_run() + 1, 0700, err);
}

/* Put an overlay of lower at `at`. */
static int overlay_at(struct build *b, int lower, int at, const char *path, struct error *err)
{
    cleanup_close int fd = overlay_mount(b->scratch, lower, b->overlays++, err);
    if (fd < 0)
        return error_wrap(err, "put an overlay above '/%s'", path);
    if (sys_attach(fd, at) < 0)
        return error_set(err, errno, "mount '/%s'", path);
    return 0;
}

/* Root's way: an overlay for each tree. */
static int build_trees(struct config *c, struct build *b, struct error *err)
{
    char name[24];
    for (size_t i = 0; i < c->tree_count; i++) {
        struct tree *t = &c->trees[i];
        if (t->fd < 0)
            continue;
        snprintf(name, sizeof name, "l%zu", i);
        if (mkdirat(b->scratch, name, 0755) < 0 ||
            move_mount(t->fd, "", b->scratch, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
            return error_set(err, errno, "mount '%s'", t->path);
        if (i == 0) {
            b->root = overlay_mount(b->scratch, t->fd, b->overlays++, err);
            if (b->root < 0)
                return error_wrap(err, "put an overlay above '/'");
            if (move_mount(b->root, "", b->scratch, "root", MOVE_MOUNT_F_EMPTY_PATH) < 0)
                return error_set(err, errno, "mount the root file system");
            continue;
        }
        cleanup_close int at =
            sys_open_in_root(b->root, t->path + 1, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
        if (at >= 0 && overlay_at(b, t->fd, at, t->path + 1, err) < 0)
            return -1;
    }
    return 0;
}

static int compose(struct build *b, int from, int to, const char *path, struct error *err);

/* Write a copy of the first size bytes of in over the empty file `name`. */
static int file_copy(int in, off_t size, int to, const char *name, mode_t mode)
{
    cleanup_close int out = openat(to, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = out < 0 ? -1 : 1;
    for (; n > 0 && size > 0; size -= n)
        n = sendfile(out, in, NULL, (size_t)size);
    return n < 0 || fchmod(out, mode) < 0 ? -1 : 0;
}

/* A file of a directory that is composed; there is an empty one in its place already. */
static int compose_file(int src, int from, int to, const char *name, const char *path,
                        struct error *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    struct stat st;
    cleanup_close int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (in >= 0 && fstat(in, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= COPY_MAX)
        return file_copy(in, st.st_size, to, name, st.st_mode & 0777) == 0
                   ? 0
                   : error_set(err, errno, "copy '/%s'", path);
    cleanup_close int at = openat(to, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    cleanup_close int tree =
        open_tree(src, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0)
        return 0;
    if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0 || sys_attach(tree, at) < 0)
        return error_set(err, errno, "mount '/%s'", path);
    return 0;
}

/* One entry of a directory that is composed. What cannot be read is left out. */
static int compose_entry(struct build *b, int from, int to, const char *name, const char *path,
                         struct error *err)
{
    struct stat st;
    char link[PATH_MAX];
    cleanup_close int src = openat(from, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (src < 0 || fstat(src, &st) < 0)
        return 0;
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlinkat(src, "", link, sizeof link - 1);
        link[n < 0 ? 0 : n] = '\0';
        return n < 0 || symlinkat(link, to, name) == 0
                   ? 0
                   : error_set(err, errno, "make the link '/%s'", path);
    }
    bool dir = S_ISDIR(st.st_mode);
    if (!dir && !S_ISREG(st.st_mode))
        return 0;
    if ((dir ? mkdirat(to, name, st.st_mode & 07777) : mknodat(to, name, S_IFREG | 0444, 0)) < 0)
        return error_set(err, errno, "make '/%s'", path);
    const struct host_mount *on = mount_on(&b->mounts, path);
    if (is_fresh(path) || (on && !on->disk))
        return 0;
    if (!dir)
        return compose_file(src, from, to, name, path, err);
    cleanup_close int at = openat(to, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (faccessat(src, ".", R_OK | X_OK, 0) < 0)
        return 0;
    if (!mounts_below(&b->mounts, path))
        return overlay_at(b, src, at, path, err);
    cleanup_close int into = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return compose(b, src, into, path, err);
}

/* A user's way: fill the directory `to` with what the host has in `from`. */
static int compose(struct build *b, int from, int to, const char *path, struct error *err)
{
    int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    char sub[PATH_MAX];
    while (d && (e = readdir(d))) {
        if (str_eq(e->d_name, ".") || str_eq(e->d_name, "..") ||
            snprintf(sub, sizeof sub, "%s%s%s", path, *path ? "/" : "", e->d_name) >= PATH_MAX)
            continue;
        if (compose_entry(b, from, to, e->d_name, sub, err) < 0)
            return -1;
    }
    return 0;
}

static int build_composed(struct build *b, struct error *err)
{
    cleanup_close int from = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    b->root = open_tree(b->scratch, "root", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (from < 0 || b->root < 0 ||
        move_mount(b->root, "", b->scratch, "root", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_set(err, errno, "make a root directory");
    if (host_mounts_read(&b->mounts, err) < 0)
        return -1;
    return compose(b, from, b->root, "", err);
}

int hostroot_mount(struct config *c, int scratch, struct error *err)
{
    struct build b = {.scratch = scratch, .root = -1};
    if (mkdirat(scratch, "root", 0755) < 0)
        return error_set(err, errno, "make a directory");
    int ret = c->tree_count > 0 ? build_trees(c, &b, err) : build_composed(&b, err);
    if (ret == 0)
        ret = hide_all(&b, err);
    host_mounts_clear(&b.mounts);
    if (ret < 0) {
        if (b.root >= 0)
            close(b.root);
        return -1;
    }
    return b.root;
}
