/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cleanup by attribute: `cleanup_close int fd = -1;` is closed when fd leaves its scope.
 * Every function here accepts what was never opened.
 */
#ifndef PULT_BASE_CLEANUP_H
#define PULT_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close_fn(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_free_fn(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_fclose_fn(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline void cleanup_closedir_fn(DIR **d)
{
    if (*d)
        closedir(*d);
}

#define cleanup_close    __attribute__((cleanup(cleanup_close_fn)))
#define cleanup_free     __attribute__((cleanup(cleanup_free_fn)))
#define cleanup_fclose   __attribute__((cleanup(cleanup_fclose_fn)))
#define cleanup_closedir __attribute__((cleanup(cleanup_closedir_fn)))

/* Hand an owned descriptor or pointer on: the variable forgets it. */
#define steal_fd(fd)          \
    __extension__({           \
        int steal_fd_ = (fd); \
        (fd) = -1;            \
        steal_fd_;            \
    })
#define steal_ptr(p)                    \
    __extension__({                     \
        __typeof__(p) steal_ptr_ = (p); \
        (p) = NULL;                     \
        steal_ptr_;                     \
    })

#endif
