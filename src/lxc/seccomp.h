/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters of system calls, as programs for the kernel (seccomp(2), SECCOMP_SET_MODE_FILTER).
 *
 * A container has the default one (seccomp.c) or what its profile says. Its keeper makes or reads
 * the program; its first process and every process of `pult exec` install the same one.
 */
#ifndef PULT_LXC_SECCOMP_H
#define PULT_LXC_SECCOMP_H

#include <linux/filter.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* A program; with count 0: none, everything is allowed. */
struct filter {
    struct sock_filter *code; /* freed by filter_clear() */
    unsigned short count;
    bool notify; /* some calls are answered by another program, notify.h */
};

/*
 * The default: from the cache, or compiled and put there. plain: for one command that has no
 * CAP_SYS_ADMIN, so that nothing which mounts or makes namespaces is left to it.
 */
int filter_default(bool plain, struct filter *f, struct error *err);

/*
 * For profiles: a context of this machine's architectures (x86-64 with i386; aarch64 …), whose
 * calls without a rule get `action`. The caller adds rules, and gives it to filter_finish() or
 * seccomp_release().
 */
int filter_begin(uint32_t action, scmp_filter_ctx *ctx, struct error *err);
/* Make a program of the context's rules; releases it, also on failure. */
int filter_finish(scmp_filter_ctx ctx, struct filter *f, struct error *err);

/*
 * From now on this process may do only what the program allows. Needs no_new_privs or
 * CAP_SYS_ADMIN in its user namespace.
 */
int filter_install(const struct filter *f, struct error *err);
/* Is this process under a filter? */
bool filter_is_there(void);
void filter_clear(struct filter *f);

#endif
