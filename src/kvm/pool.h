/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pool of threads for what blocks: jobs are done in the order in which they came, each by the next
 * thread that is free, and say themselves how they went (worker_post()). Unlike workers these
 * threads are not paused with the machine: what they do for it is under way already.
 *
 * System calls of its own: futex.
 */
#ifndef PULT_KVM_POOL_H
#define PULT_KVM_POOL_H

#include "base/error.h"

/* To be kept by who gives it, until fn was called. fn may free it. */
struct pool_job {
    void (*fn)(struct pool_job *job);
    struct pool_job *next;
};

struct confinement;
struct pool;

struct pool *pool_create(void);
void pool_destroy(struct pool *p); /* accepts NULL; stop it first */

/* Start so many threads, at most POOL_THREADS in all, confined as workers are (NULL: they are not). */
#define POOL_THREADS 16u
int pool_start(struct pool *p, unsigned threads, const struct confinement *confinement,
               struct error *err);
/* From any thread. One without threads does it at once; one that was stopped, never. */
void pool_add(struct pool *p, struct pool_job *job);
/* Wait for jobs that are being done. Those that were not begun never will be. */
void pool_stop(struct pool *p);

#endif
