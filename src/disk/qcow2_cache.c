/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The two caches of an image: slices of L2 tables and of refcount blocks, found by a hash of
 * their offset and thrown out by age. A slice that changed is written before it is thrown out,
 * one of an L2 table only behind a barrier (qcow2.h); then all of them go, so that the barrier is
 * paid once. While a flush has a copy of a slice on its way, the slice stays; for so long the cache
 * may be larger than its bound by what was dirty, once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "disk/qcow2.h"

void cache_init(struct slice_cache *c, unsigned size, unsigned max)
{
    *c = (struct slice_cache){.size = size, .max = max, .buckets = 64};
    while (c->buckets < max)
        c->buckets *= 2;
    c->hash = xcalloc(c->buckets, sizeof *c->hash);
}

void cache_clear(struct slice_cache *c)
{
    for (struct slice *s = c->newest, *older; s; s = older) {
        older = s->older;
        free(s->data);
        free(s);
    }
    free(c->hash);
    *c = (struct slice_cache){0};
}

static struct slice **bucket(const struct slice_cache *c, uint64_t offset)
{
    uint64_t h = offset / c->size * UINT64_C(0x9e3779b97f4a7c15);
    return &c->hash[(h >> 32) & (c->buckets - 1)];
}

static void list_take(struct slice_cache *c, struct slice *s)
{
    *(s->newer ? &s->newer->older : &c->newest) = s->older;
    *(s->older ? &s->older->newer : &c->oldest) = s->newer;
}

static void list_put(struct slice_cache *c, struct slice *s)
{
    s->newer = NULL;
    s->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = s;
    c->newest = s;
}

struct slice *cache_find(const struct slice_cache *c, uint64_t offset)
{
    struct slice *s = *bucket(c, offset);
    while (s && s->offset != offset)
        s = s->chain;
    return s;
}

static void hash_take(struct slice_cache *c, struct slice *s)
{
    struct slice **p = bucket(c, s->offset);
    while (*p != s)
        p = &(*p)->chain;
    *p = s->chain;
}

void cache_dirty(struct slice_cache *c, struct slice *s)
{
    c->dirty += !s->dirty;
    s->dirty = true;
}

int cache_write(struct qcow2 *q, struct slice_cache *c, struct error *err)
{
    for (struct slice *s = c->oldest; s && c->dirty > 0; s = s->newer) {
        if (!s->dirty || s->flushing)
            continue;
        if (hostfile_write(q->file, s->data, c->size, s->offset, err) < 0)
            return -1;
        s->dirty = false;
        c->dirty--;
    }
    return 0;
}

/* Write what must go before this slice may. */
static int clean(struct qcow2 *q, struct slice_cache *c, struct error *err)
{
    if (c == &q->l2 && qcow2_barrier(q, err) < 0)
        return -1;
    return cache_write(q, c, err);
}

/* The oldest slice that may be thrown out, taken out of list and hash. NULL: there is none. */
static int take_oldest(struct qcow2 *q, struct slice_cache *c, struct slice **out,
                       struct error *err)
{
    struct slice *s = c->oldest;
    while (s && s->flushing)
        s = s->newer;
    *out = s;
    if (s == NULL)
        return 0;
    if (s->dirty && clean(q, c, err) < 0)
        return -1;
    list_take(c, s);
    hash_take(c, s);
    c->count--;
    return 0;
}

static void forget(struct slice_cache *c, struct slice *s)
{
    c->dirty -= s->dirty;
    free(s->data);
    free(s);
}

/* Room for a slice: a new one, or an old one's. */
static int make_room(struct qcow2 *q, struct slice_cache *c, struct slice **out, struct error *err)
{
    *out = NULL;
    while (c->count >= c->max) {
        if (*out)
            forget(c, *out); /* there were too many, for the time of a flush */
        if (take_oldest(q, c, out, err) < 0)
            return -1;
        if (*out == NULL)
            break;
    }
    if (*out == NULL) {
        *out = xcalloc(1, sizeof **out);
        (*out)->data = xcalloc(1, c->size);
    }
    return 0;
}

int cache_get(struct qcow2 *q, struct slice_cache *c, uint64_t offset, struct slice **out,
              struct error *err)
{
    struct slice *s = cache_find(c, offset);
    if (s) {
        if (s != c->newest) {
            list_take(c, s);
            list_put(c, s);
        }
        *out = s;
        return 0;
    }
    if (make_room(q, c, &s, err) < 0)
        return -1;
    if (hostfile_read_padded(q->file, s->data, c->size, offset, err) < 0) {
        forget(c, s);
        return -1;
    }
    s->offset = offset;
    s->dirty = s->flushing = false;
    list_put(c, s);
    c->count++;
    struct slice **p = bucket(c, offset);
    s->chain = *p;
    *p = s;
    *out = s;
    return 0;
}

/* One that is just being flushed remains, clean: the copy that is under way is the end of it. */
void cache_drop(struct qcow2 *q, struct slice_cache *c, uint64_t offset)
{
    for (uint64_t end = offset + q->cluster_size; offset < end; offset += c->size) {
        struct slice *s = cache_find(c, offset);
        if (s == NULL)
            continue;
        list_take(c, s);
        hash_take(c, s);
        c->count--;
        forget(c, s);
    }
}

/* ---- tables in memory ---- */

void sectors_init(struct dirty_sectors *s, uint64_t entries)
{
    s->count = (uint32_t)((entries + 63) / 64); /* of 512 bytes: 64 entries */
    s->bits = xcalloc((s->count + 63) / 64, sizeof *s->bits);
    s->dirty = 0;
}

void sectors_mark(struct dirty_sectors *s, uint64_t entry)
{
    uint64_t sector = entry / 64, bit = UINT64_C(1) << sector % 64;
    s->dirty += !(s->bits[sector / 64] & bit);
    s->bits[sector / 64] |= bit;
}

void sectors_clear(struct dirty_sectors *s)
{
    free(s->bits);
    *s = (struct dirty_sectors){0};
}
