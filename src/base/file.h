/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files: whole reads and writes, atomic replacement, trees. `dirfd` is as in openat(2). Nothing
 * here follows a symbolic link out of a directory tree that it removes.
 */
#ifndef PULT_BASE_FILE_H
#define PULT_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* Read at most max bytes into a fresh NUL-terminated buffer. *len may be NULL. -1 if larger. */
int file_read_at(int dirfd, const char *path, size_t max, char **data, size_t *len,
                 struct error *err);

/* One write(2) to an existing file, as the kernel's control files want it. */
int file_put_at(int dirfd, const char *path, const char *text, struct error *err);

/* Replace dirfd/name so that a reader sees the old or the new whole: write aside, fsync, rename. */
int file_replace_at(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
                    struct error *err);

int write_all(int fd, const void *data, size_t len); /* 0, or -1 with errno */

/* mkdir -p. Directories that exist are left as they are. */
int dir_make(const char *path, mode_t mode, struct error *err);

/*
 * Remove dirfd/name and all below it; what does not exist is removed already. Crosses no mount
 * point: a mount below is an error, and nothing on it is touched.
 */
int tree_remove_at(int dirfd, const char *name, struct error *err);

/* Path of this very executable, as it was when the process started. Points to static storage. */
const char *self_exe(void);

#endif
