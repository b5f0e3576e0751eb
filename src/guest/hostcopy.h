/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a copy of this host does not have of it, for every engine that makes one: what belongs to
 * the running system, what is secret, what is scratch, what belongs to people. A path is without the
 * leading slash.
 */
#ifndef PULT_GUEST_HOSTCOPY_H
#define PULT_GUEST_HOSTCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* Directories that begin empty. Ends with a NULL path. */
struct hostcopy_fresh {
    const char *path;
    mode_t mode; /* 0: something is mounted on it anyway */
};
extern const struct hostcopy_fresh hostcopy_fresh[];

/* Files that begin empty; the last part is a pattern. NULL-terminated. */
extern const char *const hostcopy_secrets[];

/* Does this uid's home belong to a person, or to root? */
bool hostcopy_is_person(uid_t uid);

/* What is mounted here: /proc/self/mountinfo, in its order. */
struct host_mount {
    char *path; /* without the leading slash */
    bool disk;  /* a file system on a disk of this host, or one like it */
};
struct host_mounts {
    struct host_mount *list;
    size_t count;
};
int host_mounts_read(struct host_mounts *m, struct error *err);
void host_mounts_clear(struct host_mounts *m);
#define cleanup_host_mounts __attribute__((cleanup(host_mounts_clear)))

/* Octal escapes of /proc's lists of files, in place. */
void hostcopy_unescape(char *s);

/*
 * All of it as absolute paths, patterns in last parts, NULL-terminated: for who hides by name. Freed
 * with strv_free(). NULL: see err.
 */
char **hostcopy_hidden(struct error *err);

#endif
