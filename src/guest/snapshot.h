/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots: states of a running guest, to which it can go back.
 *
 *     GUEST/snapshots/        locked (flock) by who changes something in it
 *       NAME/config           the definition as it was then
 *       NAME/…                the engine's files (engine.h): state, memory, disk.N of a VM
 *       NAME/comment          what it is for, a line; if something was said
 *       NAME/size             of one that is copied files: what they take, in bytes
 *       .NAME/                one that is not whole: being made or removed, or left by who was killed
 *
 * Who takes one (a command) makes the directory and opens the files; the guest's keeper gets their
 * descriptors, and knows of no path. When the keeper has said that all is on the disk, the
 * directory gets its name. What keepers and commands that were killed leave behind is removed by the
 * next that changes something.
 */
#ifndef PULT_GUEST_SNAPSHOT_H
#define PULT_GUEST_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/def.h"

#define SNAPSHOT_COMMENT_MAX 200 /* bytes */

struct snapshot_info {
    char name[GUEST_NAME_MAX + 1];
    int64_t when;  /* seconds since 1970 */
    uint64_t size; /* of its files, on the host's disk; not what images keep inside */
    char comment[SNAPSHOT_COMMENT_MAX + 1];
};

/* All of a guest, the oldest first. The caller frees. */
int snapshot_list(const struct guest_def *def, struct snapshot_info **list, size_t *count,
                  struct error *err);

/* How far it is, in bytes; asked often. true: give up. */
typedef bool snapshot_progress_fn(void *arg, uint64_t done, uint64_t total);

/* Of a running guest. comment: a line for people, NULL: none. A failure leaves nothing. */
int snapshot_create(const struct guest_def *def, const char *name, const char *comment,
                    snapshot_progress_fn *progress, void *arg, struct error *err);

/* Can the guest, which may be running, go back to it? *dir is for struct launch; the caller frees. */
int snapshot_check(const struct guest_def *def, const char *name, char **dir, struct error *err);

/* Remove it. The guest goes on as it is. */
int snapshot_delete(const struct guest_def *def, const char *name, struct error *err);

#endif
