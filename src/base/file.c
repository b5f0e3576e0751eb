/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole files, and trees that a hostile guest may have made.
 *
 * Removing a tree goes down by descriptors: every directory is opened from its parent with
 * openat2(NO_XDEV, NO_SYMLINKS), so neither a link nor a mount can lead elsewhere, whoever moves
 * things about meanwhile. At most TREE_LEVELS directories are open at a time: what lies deeper is
 * moved up to the top and removed from there, so that no depth costs more than that.
 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

/* Read what fd still gives, at most max bytes, growing with what comes. */
static int read_whole(int fd, size_t max, char **data, size_t *len)
{
    size_t room = 4096, n = 0;
    cleanup_free char *buf = malloc(room);

    for (;;) {
        if (buf == NULL)
            return -1;
        ssize_t got = read(fd, buf + n, room - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        n += (size_t)got;
        if (n > max) {
            errno = EFBIG;
            return -1;
        }
        if (got == 0)
            break;
        if (n == room - 1) {
            char *more = realloc(buf, room * 2);
            if (more == NULL)
                return -1;
            buf = more;
            room *= 2;
        }
    }
    buf[n] = '\0';
    *data = steal_ptr(buf);
    *len = n;
    return 0;
}

/* O_NONBLOCK: a FIFO in a file's place must not hold us up. */
int file_read_at(int dirfd, const char *path, size_t max, char **data, size_t *len,
                 struct error *err)
{
    size_t n;
    cleanup_close int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return error_set(err, errno, "open '%s'", path);
    if (read_whole(fd, max, data, &n) < 0)
        return error_set(err, errno, "read '%s'", path);
    if (len != NULL)
        *len = n;
    return 0;
}

/* The kernel takes a control file's text as a whole or not at all, so a short write is an error. */
int file_put_at(int dirfd, const char *path, const char *text, struct error *err)
{
    size_t len = strlen(text);
    cleanup_close int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_set(err, errno, "open '%s'", path);
    ssize_t n;
    do
        n = write(fd, text, len);
    while (n < 0 && errno == EINTR);
    if (n < 0 || (size_t)n != len)
        return error_set(err, n < 0 ? errno : EIO, "write '%s' to '%s'", text, path);
    return 0;
}

/* Write all of it, through interruptions and short writes. */
int write_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

/*
 * Open the directory in which path's last component lies, and point *base at that component:
 * what follows is done to a bare name, beside which temporary names can stand.
 */
static int open_parent(int dirfd, const char *path, const char **base)
{
    const char *slash = strrchr(path, '/');
    *base = slash ? slash + 1 : path;
    if (**base == '\0' || str_eq(*base, ".") || str_eq(*base, "..")) {
        errno = EINVAL;
        return -1;
    }
    cleanup_free char *dir =
        slash ? xstrndup(path, max((size_t)(slash - path), (size_t)1)) : xstrdup(".");
    return openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A new file in dir under a name that nobody has; tmp is set to it. */
static int open_beside(int dir, const char *base, char tmp[NAME_MAX + 1])
{
    static atomic_uint serial;
    for (;;) {
        snprintf(tmp, NAME_MAX + 1, ".%.200s.%d-%u", base, getpid(), atomic_fetch_add(&serial, 1));
        int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
}

/* The mode is set as given, whatever the umask; the directory is synced so that the name lasts. */
int file_replace_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
                    struct error *err)
{
    const char *base;
    char tmp[NAME_MAX + 1];
    cleanup_close int dir = open_parent(dirfd, name, &base);
    cleanup_close int fd = dir < 0 ? -1 : open_beside(dir, base, tmp);
    if (fd < 0)
        return error_set(err, errno, "write a new '%s'", name);
    if (write_all(fd, data, len) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0 ||
        renameat(dir, tmp, dir, base) < 0) {
        int code = errno;
        unlinkat(dir, tmp, 0);
        return error_set(err, code, "write a new '%s'", name);
    }
    if (fsync(dir) < 0 && errno != EINVAL) /* EINVAL: a file system without such a thing */
        return error_set(err, errno, "sync the directory of '%s'", name);
    return 0;
}

/* Each missing directory on the way gets the same mode, less the umask. */
int dir_make(const char *path, mode_t mode, struct error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;

    cleanup_free char *part = xstrdup(path);
    for (char *p = part; *p != '\0'; p++) {
        if (*p != '/' || p == part)
            continue;
        *p = '\0';
        if (mkdir(part, mode) < 0 && errno != EEXIST)
            return error_set(err, errno, "create directory '%s'", part);
        *p = '/';
    }
    if (mkdir(part, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return error_set(err, errno, "create directory '%s'", path);
    if (stat(path, &st) < 0)
        return error_set(err, errno, "look at '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, ENOTDIR, "create directory '%s'", path);
    return 0;
}

/* Trees */

enum { TREE_LEVELS = 64 };

struct tree {
    const char *name; /* of the top, for messages */
    int top;          /* its descriptor */
    unsigned moved;   /* directories that were moved up to it */
    struct error *err;
};

static int tree_level(struct tree *t, int fd, unsigned level);

static int tree_fail(const struct tree *t, const char *name)
{
    if (errno == EXDEV || errno == EBUSY) {
        error_set(t->err, errno, "'%s' in '%s' is a mount point", name, t->name);
        return error_hint(t->err, "unmount it first");
    }
    return error_set(t->err, errno, "remove '%s' in '%s'", name, t->name);
}

static int open_below(int dirfd, const char *name, uint64_t flags)
{
    struct open_how how = {
        .flags = flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
    };
    return (int)syscall(SYS_openat2, dirfd, name, &how, sizeof how);
}

/*
 * Open a directory that is to be emptied. One that we own but locked ourselves out of is unlocked,
 * through an O_PATH descriptor, because a chmod by name could be led astray.
 */
static int open_doomed(int dirfd, const char *name)
{
    struct stat st;
    int fd = open_below(dirfd, name, O_RDONLY);
    if (fd < 0 && errno == EACCES) {
        char self[40];
        cleanup_close int path = open_below(dirfd, name, O_PATH);
        if (path < 0)
            return -1;
        snprintf(self, sizeof self, "/proc/self/fd/%d", path);
        if (chmod(self, S_IRWXU) < 0)
            return -1;
        fd = open_below(dirfd, name, O_RDONLY);
    }
    if (fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & S_IRWXU) != S_IRWXU)
        fchmod(fd, S_IRWXU); /* in vain: the entries will say so */
    return fd;
}

/* Bring a directory that lies too deep up to the top, under a name that is free there. */
static int tree_move_up(struct tree *t, int fd, const char *name)
{
    char up[32];
    cleanup_close int dir =
        open_doomed(fd, name); /* to move a directory one must be able to write it */
    if (dir < 0)
        return tree_fail(t, name);
    int rc;
    do {
        snprintf(up, sizeof up, ".deep-%u", t->moved++);
        rc = renameat2(fd, name, t->top, up, RENAME_NOREPLACE);
    } while (rc < 0 && errno == EEXIST);
    return rc < 0 ? tree_fail(t, name) : 0;
}

/* Remove one entry of the directory fd. */
static int tree_entry(struct tree *t, int fd, const char *name, unsigned level)
{
    if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return tree_fail(t, name);
    if (unlinkat(fd, name, AT_REMOVEDIR) == 0)
        return 0;
    if (errno == EBUSY)
        return tree_fail(t, name);
    if (level == TREE_LEVELS)
        return tree_move_up(t, fd, name);
    int dir = open_doomed(fd, name);
    if (dir < 0)
        return tree_fail(t, name);
    if (tree_level(t, dir, level + 1) < 0)
        return -1;
    return unlinkat(fd, name, AT_REMOVEDIR) < 0 ? tree_fail(t, name) : 0;
}

/* Empty the directory fd, which is closed. */
static int tree_level(struct tree *t, int fd, unsigned level)
{
    cleanup_closedir DIR *d = fdopendir(fd);
    if (d == NULL) {
        close(fd);
        return error_set(t->err, errno, "list a directory in '%s'", t->name);
    }
    struct dirent *e;
    while (errno = 0, (e = readdir(d)) != NULL)
        if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, "..") &&
            tree_entry(t, fd, e->d_name, level) < 0)
            return -1;
    return errno ? error_set(t->err, errno, "list a directory in '%s'", t->name) : 0;
}

/* The top is emptied again as long as something was moved up to it meanwhile. */
int tree_remove_at(int dirfd, const char *name, struct error *err)
{
    const char *base;
    cleanup_close int parent = open_parent(dirfd, name, &base);
    if (parent < 0)
        return errno == ENOENT ? 0 : error_set(err, errno, "remove '%s'", name);
    if (unlinkat(parent, base, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return error_set(err, errno, "remove '%s'", name);

    cleanup_close int top = open_doomed(parent, base);
    struct tree t = {.name = name, .top = top, .err = err};
    if (top < 0)
        return tree_fail(&t, base);
    unsigned before;
    do {
        before = t.moved;
        int again = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (again < 0)
            return error_set(err, errno, "list '%s'", name);
        if (tree_level(&t, again, 0) < 0)
            return -1;
    } while (t.moved != before);
    return unlinkat(parent, base, AT_REMOVEDIR) < 0 ? tree_fail(&t, base) : 0;
}

static char self_path[PATH_MAX] = "/proc/self/exe";

/* Asked at the start: later the file may be replaced, or /proc be out of reach. */
__attribute__((constructor)) static void self_remember(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n > 0) {
        path[n] = '\0';
        memcpy(self_path, path, (size_t)n + 1);
    }
}

const char *self_exe(void)
{
    return self_path;
}
