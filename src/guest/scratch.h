/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Directories that appear and vanish whole. They are put together, and taken apart, under a name
 * that begins with SCRATCH, locked (flock) by the process that does it, and renamed. What such a
 * process leaves behind when it is killed is found by its name and removed by the next.
 */
#ifndef PULT_GUEST_SCRATCH_H
#define PULT_GUEST_SCRATCH_H

#include "base/error.h"

#define SCRATCH ".pult-"

/*
 * Open a directory and lock it with flock `how`. What is locked is what the path names then:
 * a directory that was renamed away meanwhile is let go, and the path is tried again.
 * -1 with errno: ENOENT, or EWOULDBLOCK with LOCK_NB.
 */
int dir_lock(const char *path, int how);

/*
 * Make parent/name and let fill put into it what it likes. Returns a descriptor of the directory
 * that holds its lock; -1 with code EEXIST where the name is taken. A failure leaves nothing.
 */
typedef int scratch_fill_fn(void *arg, int dir_fd, const char *dir, struct error *err);
int scratch_build(const char *parent, const char *name, scratch_fill_fn *fill, void *arg,
                  struct error *err);

/* The name under which this process takes parent/name apart. Caller frees. */
char *scratch_gone(const char *parent, const char *name);
/* Remove a directory with all that engines put into it. */
int scratch_discard(const char *path, struct error *err);
/* Remove parent/entry, a SCRATCH name, if the process that it belonged to is gone. */
void scratch_sweep(const char *parent, const char *entry);

#endif
