/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing metadata back, in the order that qcow2.h tells.
 *
 * A flush copies the slices and sectors that it is going to write while it has the lock, and lets
 * go of it while it waits for the disk; so others may change them meanwhile, and what they change
 * is the next flush's. A thread that wanted a flush while another one's was under way waits for the
 * next that begins, not for one of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "disk/qcow2.h"

#define SECTOR_ENTRIES 64u /* of a table in memory */

/* ---- step 1 ---- */

/* Sectors of a table that changed, to the disk. */
static int write_sectors(struct qcow2 *q, struct dirty_sectors *s, const uint64_t *table,
                         uint64_t entries, uint64_t offset, struct error *err)
{
    uint64_t disk[SECTOR_ENTRIES];
    for (uint32_t i = 0; i < s->count && s->dirty > 0; i++) {
        uint64_t bit = UINT64_C(1) << i % 64, first = (uint64_t)i * SECTOR_ENTRIES;
        if (!(s->bits[i / 64] & bit))
            continue;
        uint64_t n = min((uint64_t)SECTOR_ENTRIES, entries - first);
        for (uint64_t k = 0; k < n; k++)
            disk[k] = htobe64(table[first + k]);
        if (hostfile_write(q->file, disk, n * sizeof *disk, offset + first * sizeof *disk, err) < 0)
            return -1;
        s->bits[i / 64] &= ~bit;
        s->dirty--;
    }
    return 0;
}

/*
 * Refcounts, and entries for new refcount blocks behind them. With lazy refcounts the dirty bit
 * stands for all of them until the image is closed.
 */
static int write_refcounts(struct qcow2 *q, struct error *err)
{
    if (cache_write(q, &q->refs, err) < 0)
        return -1;
    if (q->reftable_dirty.dirty == 0)
        return 0;
    q->unsynced = true;
    if (hostfile_sync(q->file, err) < 0)
        return -1;
    return write_sectors(q, &q->reftable_dirty, q->reftable, q->reftable_entries,
                         q->h.reftable_offset, err);
}

int qcow2_barrier(struct qcow2 *q, struct error *err)
{
    if (!q->lazy && write_refcounts(q, err) < 0)
        return -1;
    if (!q->unsynced)
        return 0;
    if (hostfile_sync(q->file, err) < 0)
        return -1;
    q->unsynced = false;
    return 0;
}

/* ---- a flush ---- */

/* Copies of what step 2 writes. */
struct piece {
    struct slice_cache *cache; /* NULL: of the L1 table */
    uint64_t offset;
    uint32_t length, entry;
    uint8_t *data;
};

struct batch {
    struct piece *pieces;
    size_t count;
    uint8_t *data;
};

static void batch_add(struct batch *b, struct slice_cache *c, uint64_t offset, const void *data,
                      uint32_t length, uint32_t entry)
{
    struct piece *p = &b->pieces[b->count];
    p->cache = c;
    p->offset = offset;
    p->length = length;
    p->entry = entry;
    p->data = b->count ? p[-1].data + p[-1].length : b->data;
    memcpy(p->data, data, length);
    b->count++;
}

/* Take copies; what is copied counts as clean from now on. The sizes are bounded by the caches'. */
static void batch_fill(struct qcow2 *q, struct batch *b)
{
    struct dirty_sectors *l1 = &q->l1_dirty;
    size_t n = q->l2.dirty + l1->dirty;
    *b = (struct batch){0};
    if (n == 0)
        return;
    b->pieces = xcalloc(n, sizeof *b->pieces);
    b->data = xcalloc(1, (size_t)q->l2.dirty * q->l2.size + (size_t)l1->dirty * 512);
    for (struct slice *s = q->l2.oldest; s; s = s->newer)
        if (s->dirty) {
            batch_add(b, &q->l2, s->offset, s->data, q->l2.size, 0);
            s->dirty = false;
            s->flushing = true;
        }
    q->l2.dirty = 0;
    for (uint32_t i = 0; i < l1->count && l1->dirty > 0; i++) {
        uint64_t disk[SECTOR_ENTRIES], bit = UINT64_C(1) << i % 64;
        if (!(l1->bits[i / 64] & bit))
            continue;
        uint32_t first = i * SECTOR_ENTRIES, k = min(SECTOR_ENTRIES, q->h.l1_size - first);
        for (uint32_t e = 0; e < k; e++)
            disk[e] = htobe64(q->l1[first + e]);
        batch_add(b, NULL, q->h.l1_offset + first * sizeof *disk, disk,
                  (uint32_t)(k * sizeof *disk), first);
        l1->bits[i / 64] &= ~bit;
        l1->dirty--;
    }
}

static int batch_write(struct qcow2 *q, const struct batch *b, struct error *err)
{
    for (size_t i = 0; i < b->count; i++)
        if (hostfile_write(q->file, b->pieces[i].data, b->pieces[i].length, b->pieces[i].offset,
                           err) < 0)
            return -1;
    return 0;
}

/* The slices may go again. What was not written is dirty as before. */
static void batch_end(struct qcow2 *q, struct batch *b, bool written)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct piece *p = &b->pieces[i];
        if (p->cache == NULL) {
            if (!written)
                sectors_mark(&q->l1_dirty, p->entry);
            continue;
        }
        struct slice *s = cache_find(p->cache, p->offset);
        if (s == NULL || !s->flushing)
            continue;
        s->flushing = false;
        if (!written)
            cache_dirty(p->cache, s);
    }
    free(b->pieces);
    free(b->data);
}

/* Under flush_lock and the disk's lock, which is let go of and taken again. */
static int flush_once(struct qcow2 *q, struct error *err)
{
    struct batch b;
    if (qcow2_check_writable(q, err) < 0 || (!q->lazy && write_refcounts(q, err) < 0))
        return -1;
    uint64_t number = q->flush_started++;
    batch_fill(q, &b);
    bool barrier = b.count > 0 && q->unsynced;
    if (barrier)
        q->unsynced = false;
    q->flushing = true;
    disk_drained(q->disk, q->disk->epoch); /* maps from now on are of another epoch */
    pthread_mutex_unlock(&q->disk->lock);
    int rc = barrier ? hostfile_sync(q->file, err) : 0;
    bool synced = rc == 0;
    if (rc == 0)
        rc = batch_write(q, &b, err);
    if (rc == 0)
        rc = hostfile_sync(q->file, err);
    pthread_mutex_lock(&q->disk->lock);
    q->flushing = false;
    batch_end(q, &b, rc == 0);
    if (!synced)
        q->unsynced = true;
    if (rc < 0)
        return -1;
    q->flush_durable = number + 1;
    return qcow2_apply_frees(q, err);
}

int qcow2_flush(struct disk *d, struct error *err)
{
    struct qcow2 *q = d->state;
    pthread_mutex_lock(&d->lock);
    uint64_t now = q->flush_started; /* a flush with this number, or above, is good for us */
    pthread_mutex_unlock(&d->lock);

    pthread_mutex_lock(&q->flush_lock);
    pthread_mutex_lock(&d->lock);
    int rc = q->flush_durable > now ? 0 : flush_once(q, err);
    pthread_mutex_unlock(&d->lock);
    pthread_mutex_unlock(&q->flush_lock);
    return rc;
}

bool qcow2_flush_is_sync(struct disk *d)
{
    struct qcow2 *q = d->state;
    pthread_mutex_lock(&d->lock);
    bool plain = !q->corrupt && q->l2.dirty == 0 && q->l1_dirty.dirty == 0 &&
                 (q->lazy || (q->refs.dirty == 0 && q->reftable_dirty.dirty == 0)) &&
                 q->frees_done == q->nfrees && !q->flushing;
    pthread_mutex_unlock(&d->lock);
    return plain;
}

/*
 * With nothing else going on: a first flush for what refers to clusters, a second one for the
 * refcounts that it lets fall.
 */
int qcow2_settle(struct qcow2 *q, struct error *err)
{
    for (int i = 0; i < 2; i++)
        if (flush_once(q, err) < 0)
            return -1;
    return 0;
}
