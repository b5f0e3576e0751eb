/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All groups below one, however a container named and nested those that it made: each directory is
 * opened from the one above it and left by "..", so one is open at a time, and where to go on in
 * those on the way is a number each.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "guest/cgroup_private.h"

#define WALK_MOST 1000000u /* groups: a container goes on making some while they are looked at */

/* Is it a group? The name of a container's own may begin with a dot. */
static bool is_group(unsigned char type, const char *name)
{
    return type == DT_DIR && !str_eq(name, ".") && !str_eq(name, "..");
}

/*
 * The next group in a directory, from the place *at on, and the place behind it. -1: no more. Read in
 * small pieces: what is behind it is read again the next time.
 */
static int next_below(int dir, off_t *at)
{
    union {
        struct dirent64 head;
        char bytes[1024];
    } piece;
    ssize_t n;
    if (lseek(dir, *at, SEEK_SET) < 0)
        return -1;
    while ((n = getdents64(dir, &piece, sizeof piece)) > 0) {
        const struct dirent64 *e;
        for (ssize_t i = 0; i < n; i += e->d_reclen) {
            e = (const struct dirent64 *)(const void *)(piece.bytes + i);
            *at = e->d_off;
            const int sub = is_group(e->d_type, e->d_name)
                                ? openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                : -1;
            if (sub >= 0)
                return sub;
        }
    }
    return -1;
}

void cgroup_walk(int dir, void (*visit)(void *arg, int dir), void *arg)
{
    cleanup_free off_t *at = xcalloc(1, sizeof *at); /* how far each directory on the way is */
    cleanup_close int here = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    size_t depth = 0;
    for (unsigned n = 0; here >= 0 && n < WALK_MOST; n++) {
        int next = next_below(here, &at[depth]);
        if (next >= 0) {
            at = xrealloc(at, ++depth + 1, sizeof *at);
            at[depth] = 0;
        } else {
            visit(arg, here);
            if (depth-- == 0)
                return;
            next = openat(here, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        close(here);
        here = next;
    }
}

void cgroup_remove_below(void *arg, int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_closedir DIR *d = fd < 0 ? NULL : fdopendir(fd);
    (void)arg;
    for (const struct dirent *e; d && (e = readdir(d));)
        if (is_group(e->d_type, e->d_name))
            unlinkat(fd, e->d_name, AT_REMOVEDIR);
}

struct each {
    void (*fn)(void *arg, pid_t pid);
    void *arg;
};

static void each_here(void *arg, int dir)
{
    const struct each *each = arg;
    cleanup_free char *text = NULL;
    char *save, *word;
    if (file_read_at(dir, "cgroup.procs", 1u << 20, &text, NULL, NULL) == 0)
        for (word = strtok_r(text, "\n", &save); word; word = strtok_r(NULL, "\n", &save))
            if (atoi(word) > 0)
                each->fn(each->arg, atoi(word));
}

void cgroup_each(int dir, void (*fn)(void *arg, pid_t pid), void *arg)
{
    struct each each = {fn, arg};
    cgroup_walk(dir, each_here, &each);
}
