/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pool of threads for what blocks: jobs are done in the order in which they came, each by the next
 * thread that is free, and say themselves how they went (worker_post()). Unlike workers these
 * threads are not paused with the machine: what they do for it is under way already.
 *
 * They exist from pool_create() on, and begin nothing after pool_stop(). Users share a pool by
 * references. System calls of its own: futex.
 */
#ifndef PULT_KVM_POOL_H
#define PULT_KVM_POOL_H

#include "base/error.h"

/* To be kept by who gives it, until fn was called. fn may free it. */
struct pool_job {
    void (*fn)(struct pool_job *job);
    struct pool_job *next;
};

struct pool;

/* With 0 threads pool_add() does the job at once. NULL: see err. */
struct pool *pool_create(const char *name, unsigned threads, struct error *err);
struct pool *pool_ref(struct pool *p);
void pool_unref(struct pool *p); /* the last one stops it; accepts NULL */

/* From any thread. */
void pool_add(struct pool *p, struct pool_job *job);
/* Wait for jobs that are being done. Those that were not begun never will be. */
void pool_stop(struct pool *p);

#endif
