/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fuzzer's bytes as decisions. A target does not hand them to the parser as they are, which
 * would refuse nearly all of them at the first byte; it asks them which of several valid things to
 * write next, and now and then for something wrong. So most inputs get past the first check, and
 * the fuzzer's small changes remain small changes.
 *
 * When the bytes are used up every decision is 0: put there what ends a generation.
 */
#ifndef PULT_TESTS_FUZZ_FEED_H
#define PULT_TESTS_FUZZ_FEED_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct feed {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t feed_byte(struct feed *f)
{
    if (f->left == 0)
        return 0;
    f->left--;
    return *f->at++;
}

/* A number below n, n at most 2^32. */
static inline uint32_t feed_below(struct feed *f, uint64_t n)
{
    uint32_t x = feed_byte(f);
    for (uint64_t reach = 256; reach < n; reach <<= 8)
        x = x << 8 | feed_byte(f);
    return (uint32_t)(x % n);
}

static inline uint64_t feed_u64(struct feed *f)
{
    uint64_t x = 0;
    for (int i = 0; i < 8; i++)
        x = x << 8 | feed_byte(f);
    return x;
}

/* One time in n. */
static inline int feed_rarely(struct feed *f, unsigned n)
{
    return feed_below(f, n) == n - 1;
}

#define feed_pick(f, array) ((array)[feed_below((f), sizeof(array) / sizeof((array)[0]))])

/* At most max bytes as they come, into out. Returns how many. */
static inline size_t feed_bytes(struct feed *f, void *out, size_t max)
{
    size_t n = feed_below(f, (uint64_t)max + 1);
    if (n > f->left)
        n = f->left;
    if (n > 0)
        memcpy(out, f->at, n);
    f->at += n;
    f->left -= n;
    return n;
}

/* The same as a string, to be freed. */
static inline char *feed_string(struct feed *f, size_t max)
{
    char *s = calloc(1, max + 1);
    feed_bytes(f, s, max);
    return s;
}

/* What must hold; a violation is a finding like any crash. */
#define must(cond)                                                                        \
    do {                                                                                  \
        if (!(cond)) {                                                                    \
            fprintf(stderr, "fuzz_: violated at %s:%d: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                                      \
        }                                                                                 \
    } while (0)

#endif
