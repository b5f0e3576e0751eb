/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "guest/engine.h"

/* Between the making of a scratch directory and its locking lies a moment; its owner gets this. */
#define SWEEP_AGE 60 /* seconds */

int dir_lock(const char *path, int how)
{
    for (;;) {
        cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            return -1;
        while (flock(fd, how) < 0)
            if (errno != EINTR)
                return -1;
        struct stat have, want;
        if (fstat(fd, &have) < 0 || lstat(path, &want) < 0)
            return -1;
        if (have.st_dev == want.st_dev && have.st_ino == want.st_ino)
            return steal_fd(fd);
    }
}

int scratch_build(const char *parent, const char *name, scratch_fill_fn *fill, void *arg,
                  struct error *err)
{
    cleanup_free char *path = xasprintf("%s/%s", parent, name);
    cleanup_free char *scratch = xasprintf("%s/" SCRATCH "%s-XXXXXX", parent, name);
    if (!mkdtemp(scratch))
        return error_set(err, errno, "create a directory in '%s'", parent);
    cleanup_close int fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ret = 0;
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        ret = error_set(err, errno, "open '%s'", scratch);
    if (ret == 0)
        ret = fill(arg, fd, scratch, err);
    if (ret == 0 && renameat2(AT_FDCWD, scratch, AT_FDCWD, path, RENAME_NOREPLACE) < 0)
        ret = error_set(err, errno, "create '%s'", path);
    if (ret == 0)
        return steal_fd(fd);
    scratch_discard(scratch, NULL);
    return -1;
}

char *scratch_gone(const char *parent, const char *name)
{
    return xasprintf("%s/" SCRATCH "%s-gone-%d", parent, name, getpid());
}

int scratch_discard(const char *path, struct error *err)
{
    int ret = 0;
    for (const struct engine *const *e = engines_all(); *e; e++)
        if ((*e)->depopulate && (*e)->depopulate(path, err) < 0)
            ret = -1;
    return tree_remove_at(AT_FDCWD, path, ret < 0 ? NULL : err) < 0 ? -1 : ret;
}

void scratch_sweep(const char *parent, const char *entry)
{
    cleanup_free char *path = xasprintf("%s/%s", parent, entry);
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || time(NULL) - st.st_ctime < SWEEP_AGE)
        return;
    cleanup_close int fd = dir_lock(path, LOCK_EX | LOCK_NB);
    if (fd >= 0)
        scratch_discard(path, NULL);
}
