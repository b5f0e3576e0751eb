/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that appear whole. They are made without a name where the file system can do that, so that
 * not even SIGKILL leaves something; elsewhere under a name that begins with a dot.
 */
#include "disk/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "disk/disk.h"
#include "disk/hostfile.h"

/* What stands there may be replaced, if it is a file that nobody uses. */
static int check_replaceable(const char *path, struct error *err)
{
    struct stat st;
    struct hostfile f;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_set(err, errno, "look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, 0, "'%s' is not a regular file, and not replaced", path);
    int rc = hostfile_open(&f, path, 0, err);
    hostfile_close(&f);
    return rc;
}

static int check_free(const char *path, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_set(err, errno, "look at '%s'", path);
    error_set(err, 0, "'%s' exists", path);
    if (err)
        err->code = EEXIST;
    return error_hint(err, "--force replaces it");
}

static int open_dir(const char *path, const char **base)
{
    const char *slash = strrchr(path, '/');
    *base = slash ? slash + 1 : path;
    if (**base == '\0') {
        errno = EISDIR;
        return -1;
    }
    cleanup_free char *dir =
        slash ? xstrndup(path, max((size_t)(slash - path), (size_t)1)) : xstrdup(".");
    return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A name that nobody has. */
static void pick_name(struct newfile *n, unsigned i)
{
    snprintf(n->tmp, sizeof n->tmp, ".%.200s.%d-%u", n->base, getpid(), i);
}

int newfile_begin(struct newfile *n, const char *path, mode_t mode, bool replace, struct error *err)
{
    *n = (struct newfile){.path = path, .fd = -1, .dir = -1, .replace = replace};
    if ((replace ? check_replaceable : check_free)(path, err) < 0)
        return -1;
    n->dir = open_dir(path, &n->base);
    if (n->dir < 0)
        return error_set(err, errno, "make '%s'", path);
    n->fd = openat(n->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
    for (unsigned i = 0; n->fd < 0 && i < 100; i++) {
        pick_name(n, i);
        n->fd = openat(n->dir, n->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (n->fd < 0 && errno != EEXIST)
            break;
    }
    if (n->fd >= 0)
        return 0;
    n->tmp[0] = '\0';
    return error_set(err, errno, "make '%s'", path);
}

/* One without a name gets one: its own where that is free, else one to be renamed. */
static int give_name(struct newfile *n)
{
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", n->fd);
    if (!n->replace)
        return linkat(AT_FDCWD, self, n->dir, n->base, AT_SYMLINK_FOLLOW);
    int rc = -1;
    for (unsigned i = 0; i < 100 && rc < 0; i++) {
        pick_name(n, i);
        rc = linkat(AT_FDCWD, self, n->dir, n->tmp, AT_SYMLINK_FOLLOW);
        if (rc < 0 && errno != EEXIST)
            break;
    }
    if (rc < 0)
        n->tmp[0] = '\0';
    return rc;
}

int newfile_commit(struct newfile *n, struct error *err)
{
    if (fsync(n->fd) < 0)
        return error_set(err, errno, "write '%s'", n->path);
    bool named = n->tmp[0] != '\0';
    if (!named && give_name(n) < 0)
        return error_set(err, errno, "make '%s'", n->path);
    if (named || n->replace) {
        if (renameat2(n->dir, n->tmp, n->dir, n->base, n->replace ? 0 : RENAME_NOREPLACE) < 0)
            return error_set(err, errno, "make '%s'", n->path);
        n->tmp[0] = '\0';
    }
    if (fsync(n->dir) < 0 && errno != EINVAL) /* EINVAL: a file system without such a thing */
        return error_set(err, errno, "sync the directory of '%s'", n->path);
    return 0;
}

void newfile_end(struct newfile *n)
{
    if (n->tmp[0])
        unlinkat(n->dir, n->tmp, 0);
    if (n->fd >= 0)
        close(n->fd);
    if (n->dir >= 0)
        close(n->dir);
    *n = (struct newfile){.fd = -1, .dir = -1};
}
