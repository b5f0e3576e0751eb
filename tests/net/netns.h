/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests of networks share: a shell's commands, which must succeed, and the host's text. The
 * guard gives each test a network namespace of its own.
 */
#ifndef PULT_TESTS_NETNS_H
#define PULT_TESTS_NETNS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/host.h"

/* Only in a network namespace of the test's own (the guard's), in which there is lo and no more. */
static inline bool in_playground(void)
{
    struct if_nameindex *all = if_nameindex();
    bool alone = all && all[0].if_name && !all[1].if_name && str_eq(all[0].if_name, "lo");

    if_freenameindex(all);
    return geteuid() == 0 && alone;
}

#define need_world()                                                             \
    do {                                                                         \
        if (if_nametoindex("eth9") == 0) {                                       \
            print_message("# needs root, and a network namespace of its own\n"); \
            skip();                                                              \
        }                                                                        \
    } while (0)

static inline void sh(const char *command)
{
    cleanup_free char *whole = xasprintf("set -e; %s", command);
    int rc = system(whole);

    if (rc != 0)
        fail_msg("status %d of: %s", rc, command);
}

/* The host's network as text. Caller frees. */
static inline char *look(void)
{
    cleanup_host struct host h = {0};
    struct error err;

    if (host_look(&h, &err) < 0)
        fail_msg("%s", err.text);
    return host_text(&h);
}

/* Both must be the same; else the lines that are in one of them only are shown. */
static inline void assert_same_host(const char *before, const char *after)
{
    if (str_eq(before, after))
        return;
    FILE *a = fopen("before.txt", "w"), *b = fopen("after.txt", "w");
    if (a && b) {
        fputs(before, a);
        fputs(after, b);
        fclose(a);
        fclose(b);
        fflush(stdout);
        (void)!system("diff -u0 before.txt after.txt | sed 's/^/# /'");
    }
    fail_msg("the host's network is not what it was");
}

#endif
