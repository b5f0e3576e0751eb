/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A limit on how much may be done in a second: bytes, operations, whatever is counted.
 *
 * Time is the bucket. `next` is when the next thing may be done; doing n of them moves it n /
 * per_second further. What was not used is kept for RATE_BURST_NS at most. What is large goes as soon
 * as anything may, and is paid for afterwards, so that nothing is too large to be done.
 */
#ifndef PULT_KVM_RATE_H
#define PULT_KVM_RATE_H

#include <stdint.h>

#include "base/util.h"

#define RATE_BURST_NS 100000000ull
#define RATE_SECOND   1000000000ull
#define RATE_MOST     (1ull << 40) /* of what is done at a time: so that nothing overflows */

struct rate {
    uint64_t per_second; /* 0: no limit */
    uint64_t next;       /* ns, CLOCK_MONOTONIC */
};

/* When may something be done? A time that is not after now: now. */
static inline uint64_t rate_when(const struct rate *r)
{
    return r->next;
}

/* So much is done now. */
static inline void rate_spend(struct rate *r, uint64_t now, uint64_t n)
{
    if (!r->per_second)
        return;
    n = min(n, RATE_MOST);
    const uint64_t floor = now > RATE_BURST_NS ? now - RATE_BURST_NS : 0;
    const uint64_t whole = n / r->per_second, part = n % r->per_second;
    __extension__ const unsigned __int128 rest = (unsigned __int128)part * RATE_SECOND;
    r->next = max(r->next, floor) + whole * RATE_SECOND + (uint64_t)(rest / r->per_second);
}

#endif
