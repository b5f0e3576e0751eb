/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file that gets its name when it is complete. */
#ifndef PULT_DISK_NEWFILE_H
#define PULT_DISK_NEWFILE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct newfile {
    const char *path, *base; /* base: the last component of it */
    int dir, fd;
    bool replace;
    char tmp[NAME_MAX + 1]; /* what it is called meanwhile; "": it has no name */
};

/*
 * Fails if the name is taken, or, with replace, by something that is no file or that is in use. The
 * umask holds for mode.
 */
int newfile_begin(struct newfile *n, const char *path, mode_t mode, bool replace,
                  struct error *err);
/* Sync it, give it its name. */
int newfile_commit(struct newfile *n, struct error *err);
/* Close it; if it has no name yet, nothing remains. */
void newfile_end(struct newfile *n);

#endif
