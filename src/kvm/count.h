/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counting exits by cause, in the counters of the keeper's status page: who wants to know what a
 * guest is doing reads them there (`pult info`), and nobody is asked. A cause that finds no more
 * room is counted with the last one. Causes are added by one thread at a time.
 */
#ifndef PULT_KVM_COUNT_H
#define PULT_KVM_COUNT_H

#include <stdint.h>

struct status_counter;

/* The count of this name, which is added if need be. NULL where all (STATUS_COUNTERS) is NULL. */
uint64_t *count_find(struct status_counter *all, const char *name);

static inline void count_one(uint64_t *count)
{
    if (count)
        __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

#endif
