/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A place for the names of network namespaces (ip netns) that is the test's own: in /run they would
 * meet those of other tests.
 */
#ifndef PULT_TESTS_SPACES_H
#define PULT_TESTS_SPACES_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "netns.h"

#define SPACES "/run/netns"

#define need_playground()                                                        \
    do {                                                                         \
        if (!in_playground()) {                                                  \
            print_message("# needs root, and a network namespace of its own\n"); \
            skip();                                                              \
        }                                                                        \
    } while (0)

static inline void spaces_begin(void)
{
    mkdir(SPACES, 0755);
    if (mount("spaces", SPACES, "tmpfs", 0, NULL) < 0 ||
        mount(NULL, SPACES, NULL, MS_PRIVATE, NULL) < 0) {
        perror("mount " SPACES);
        abort();
    }
}

static inline void spaces_end(void)
{
    while (umount2(SPACES, MNT_DETACH) == 0)
        ; /* ip puts another one over it */
}

#endif
