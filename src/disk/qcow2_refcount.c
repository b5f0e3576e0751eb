/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clusters of the file: who counts them, who gets a free one, and when one is free again.
 *
 * Free clusters are searched from a hint upwards, so a file is filled from below. A refcount
 * block that is missing is put where its own range begins, and counts itself; as nothing there is
 * counted, nothing there is in use. It is a cluster at least every block's range, so the refcount
 * table grows rarely, and then by half.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "disk/qcow2.h"

#define GROW_MIN (1u << 20) /* the file grows in steps, of holes */
#define GROW_MAX (16u << 20)

#define FREES_FLUSH 4096u  /* when so many wait, a flush is made for them */
#define FREES_MAX   65536u /* if that does not help, those that come now are leaked */

/* ---- numbers of 1 to 64 bits; those below a byte begin at the byte's lowest bit ---- */

unsigned refcount_get(unsigned order, const uint8_t *block, uint64_t i, uint64_t *value)
{
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    switch (order) {
    case 3:
        *value = block[i];
        break;
    case 4:
        memcpy(&v16, block + 2 * i, sizeof v16);
        *value = be16toh(v16);
        break;
    case 5:
        memcpy(&v32, block + 4 * i, sizeof v32);
        *value = be32toh(v32);
        break;
    case 6:
        memcpy(&v64, block + 8 * i, sizeof v64);
        *value = be64toh(v64);
        break;
    default:
        *value = block[i >> (3 - order)] >> ((i << order) & 7) & ((1u << (1u << order)) - 1);
    }
    return *value != 0;
}

void refcount_put(unsigned order, uint8_t *block, uint64_t i, uint64_t value)
{
    uint16_t v16 = htobe16((uint16_t)value);
    uint32_t v32 = htobe32((uint32_t)value);
    uint64_t v64 = htobe64(value);
    unsigned shift, mask;
    switch (order) {
    case 3:
        block[i] = (uint8_t)value;
        break;
    case 4:
        memcpy(block + 2 * i, &v16, sizeof v16);
        break;
    case 5:
        memcpy(block + 4 * i, &v32, sizeof v32);
        break;
    case 6:
        memcpy(block + 8 * i, &v64, sizeof v64);
        break;
    default:
        shift = (unsigned)((i << order) & 7);
        mask = ((1u << (1u << order)) - 1) << shift;
        block += i >> (3 - order);
        *block = (uint8_t)((*block & ~mask) | ((unsigned)value << shift));
    }
}

/* ---- refcounts ---- */

static uint64_t block_of(const struct qcow2 *q, uint64_t cluster)
{
    return cluster >> q->rb_bits;
}

static uint64_t in_block(const struct qcow2 *q, uint64_t cluster)
{
    return cluster & ((UINT64_C(1) << q->rb_bits) - 1);
}

/* The slice that counts cluster, and the number of its entry there. NULL: it is not counted. */
static int refcount_slice(struct qcow2 *q, uint64_t cluster, struct slice **s, uint64_t *i,
                          struct error *err)
{
    *s = NULL;
    if (block_of(q, cluster) >= q->reftable_entries)
        return 0;
    uint64_t block = q->reftable[block_of(q, cluster)] & REFTABLE_OFFSET;
    if (block == 0)
        return 0;
    if (in_cluster(q, block) || block >= cluster_up(q, q->file->size))
        return qcow2_corrupt(q, err, "its refcount table points to %#llx",
                             (unsigned long long)block);
    uint64_t byte = (in_block(q, cluster) << q->refcount_order) / 8;
    uint64_t slice = byte / q->refs.size;
    *i = in_block(q, cluster) - (slice * q->refs.size * 8 >> q->refcount_order);
    return cache_get(q, &q->refs, block + slice * q->refs.size, s, err);
}

int qcow2_refcount(struct qcow2 *q, uint64_t cluster, uint64_t *value, struct error *err)
{
    struct slice *s;
    uint64_t i;
    *value = 0;
    if (refcount_slice(q, cluster, &s, &i, err) < 0)
        return -1;
    if (s)
        refcount_get(q->refcount_order, s->data, i, value);
    return 0;
}

/* Grow the file so that it holds what ends at end. */
static int extend(struct qcow2 *q, uint64_t end, struct error *err)
{
    if (end > INT64_MAX)
        return error_set(err, EFBIG, "grow '%s'", q->file->path);
    if (end > q->file->size) {
        uint64_t step = min(max(q->file->size / 8, (uint64_t)GROW_MIN), (uint64_t)GROW_MAX);
        uint64_t size = q->file->device ? end : cluster_up(q, end + step);
        if (hostfile_truncate(q->file, size, err) < 0)
            return -1;
    }
    q->end = max(q->end, end);
    return 0;
}

/* Room on the host's disk now, so that writing back what is cached does not find none later. */
static int reserve_room(struct qcow2 *q, uint64_t offset, uint64_t length, struct error *err)
{
    if (q->file->ops->allocate(q->file, 0, offset, length) == 0)
        return 0;
    if (errno != ENOSPC && errno != EDQUOT)
        return 0;
    return error_set(err, errno, "write %llu bytes to '%s'", (unsigned long long)length,
                     q->file->path);
}

/* A cluster that is to be metadata: on the file, and zero there. */
static int blank_cluster(struct qcow2 *q, uint64_t cluster, struct error *err)
{
    uint64_t offset = cluster << q->cluster_bits, end = offset + q->cluster_size;
    if (extend(q, end, err) < 0 || reserve_room(q, offset, q->cluster_size, err) < 0)
        return -1;
    bool blank = !q->file->device && offset >= q->blank_from;
    q->blank_from = max(q->blank_from, end);
    return blank ? 0 : hostfile_zero(q->file, offset, q->cluster_size, err);
}

/* A refcount block where its range begins. */
static int new_block(struct qcow2 *q, uint64_t block, struct error *err)
{
    struct slice *s;
    uint64_t cluster = block << q->rb_bits, i;
    if (cluster == 0 || set_overlaps(&q->meta, cluster, 1))
        return qcow2_corrupt(q, err, "there is no refcount for metadata at %#llx",
                             (unsigned long long)cluster << q->cluster_bits);
    if (blank_cluster(q, cluster, err) < 0)
        return -1;
    cache_drop(q, &q->refs, cluster << q->cluster_bits);
    q->reftable[block] = cluster << q->cluster_bits;
    if (refcount_slice(q, cluster, &s, &i, err) < 0 || s == NULL) {
        q->reftable[block] = 0;
        return -1;
    }
    refcount_put(q->refcount_order, s->data, i, 1);
    cache_dirty(&q->refs, s);
    sectors_mark(&q->reftable_dirty, block);
    set_add(&q->meta, cluster, 1);
    q->unsynced = true;
    return 0;
}

/* ---- growing the refcount table ---- */

/* What a new table takes: itself in whole clusters, and the blocks that count it and themselves. */
struct growth {
    uint64_t start; /* its first cluster: the first that the old table does not cover */
    uint64_t entries, table_clusters, blocks;
};

static int plan_growth(const struct qcow2 *q, uint64_t wanted, struct growth *g, struct error *err)
{
    uint64_t per_cluster = q->cluster_size / sizeof(uint64_t), per_block = UINT64_C(1)
                                                                           << q->rb_bits;
    g->start = q->reftable_entries << q->rb_bits;
    g->blocks = 1;
    for (;;) {
        g->entries = max(wanted + 1, q->reftable_entries + q->reftable_entries / 2 + g->blocks);
        g->table_clusters = (g->entries + per_cluster - 1) / per_cluster;
        uint64_t blocks = (g->table_clusters + g->blocks + per_block - 1) / per_block;
        if (blocks <= g->blocks)
            break;
        g->blocks = blocks;
    }
    g->entries = g->table_clusters * per_cluster;
    if (g->entries * sizeof(uint64_t) > QCOW2_MAX_REFTABLE)
        return error_set(err, EFBIG, "grow '%s' beyond what its refcount table can say",
                         q->file->path);
    return 0;
}

/* The new table, in memory, and on the file with its blocks. */
static int write_growth(struct qcow2 *q, const struct growth *g, uint64_t **out, struct error *err)
{
    uint64_t used = g->table_clusters + g->blocks, per_block = UINT64_C(1) << q->rb_bits;
    uint64_t *table = xcalloc(g->entries, sizeof *table);
    uint64_t *disk = xcalloc(g->entries, sizeof *disk);
    uint8_t *block = xcalloc(1, q->cluster_size);
    memcpy(table, q->reftable, q->reftable_entries * sizeof *table);
    int rc = 0;
    for (uint64_t b = 0; b < g->blocks && rc == 0; b++) {
        uint64_t at = (g->start + g->table_clusters + b) << q->cluster_bits;
        table[q->reftable_entries + b] = at;
        memset(block, 0, q->cluster_size);
        for (uint64_t i = 0; i < per_block && b * per_block + i < used; i++)
            refcount_put(q->refcount_order, block, i, 1);
        rc = hostfile_write(q->file, block, q->cluster_size, at, err);
    }
    for (uint64_t i = 0; i < g->entries; i++)
        disk[i] = htobe64(table[i]);
    if (rc == 0)
        rc = hostfile_write(q->file, disk, g->entries * sizeof *disk, g->start << q->cluster_bits,
                            err);
    free(disk);
    free(block);
    if (rc < 0)
        free(table);
    else
        *out = table;
    return rc;
}

int qcow2_switch_reftable(struct qcow2 *q, uint64_t offset, uint64_t clusters, struct error *err)
{
    uint8_t field[12];
    uint64_t be_offset = htobe64(offset);
    uint32_t be_clusters = htobe32((uint32_t)clusters);
    memcpy(field, &be_offset, 8);
    memcpy(field + 8, &be_clusters, 4);
    return qcow2_header_write(q, HEADER_REFTABLE, field, sizeof field, err);
}

/* Make the refcount table large enough for block number wanted. */
static int grow_reftable(struct qcow2 *q, uint64_t wanted, struct error *err)
{
    struct growth g;
    uint64_t *table;
    if (plan_growth(q, wanted, &g, err) < 0)
        return -1;
    uint64_t used = g.table_clusters + g.blocks;
    uint64_t start = g.start << q->cluster_bits, end = (g.start + used) << q->cluster_bits;
    if (set_overlaps(&q->meta, g.start, used))
        return qcow2_corrupt(q, err, "there is no refcount for metadata behind %#llx",
                             (unsigned long long)start);
    if (extend(q, end, err) < 0 || reserve_room(q, start, end - start, err) < 0 ||
        write_growth(q, &g, &table, err) < 0)
        return -1;
    /* The new table has also those blocks that the old one on the disk still lacks. */
    if (cache_write(q, &q->refs, err) < 0 || hostfile_sync(q->file, err) < 0 ||
        qcow2_switch_reftable(q, start, g.table_clusters, err) < 0 ||
        hostfile_sync(q->file, err) < 0) {
        free(table);
        return -1;
    }
    q->blank_from = max(q->blank_from, end);
    uint64_t old = q->h.reftable_offset >> q->cluster_bits;
    set_remove(&q->meta, old, q->h.reftable_clusters);
    set_add(&q->meta, g.start, used);
    free(q->reftable);
    q->reftable = table;
    uint32_t old_clusters = q->h.reftable_clusters;
    q->reftable_entries = g.entries;
    q->h.reftable_offset = start;
    q->h.reftable_clusters = (uint32_t)g.table_clusters;
    sectors_clear(&q->reftable_dirty);
    sectors_init(&q->reftable_dirty, g.entries);
    qcow2_free_later(q, old, old_clusters);
    return 0;
}

/* ---- allocating ---- */

/* The slice that counts cluster; the block, and the table, are made where they are missing. */
static int counted_slice(struct qcow2 *q, uint64_t cluster, struct slice **s, uint64_t *i,
                         struct error *err)
{
    for (;;) {
        if (refcount_slice(q, cluster, s, i, err) < 0)
            return -1;
        if (*s)
            return 0;
        uint64_t block = block_of(q, cluster);
        if (block >= q->reftable_entries) {
            if (grow_reftable(q, block, err) < 0)
                return -1;
        } else if (new_block(q, block, err) < 0) {
            return -1;
        }
    }
}

int qcow2_set_refcount(struct qcow2 *q, uint64_t cluster, uint64_t value, struct error *err)
{
    struct slice *s;
    uint64_t i;
    if (counted_slice(q, cluster, &s, &i, err) < 0)
        return -1;
    refcount_put(q->refcount_order, s->data, i, value);
    cache_dirty(&q->refs, s);
    q->unsynced = true;
    return 0;
}

/* Free entries in a row, want at most, from *i on in a slice; *i is moved to the first. */
static uint32_t free_run(const struct qcow2 *q, const struct slice *s, uint64_t *i, uint32_t want)
{
    uint64_t entries = (uint64_t)q->refs.size * 8 >> q->refcount_order, value;
    uint32_t n = 0;
    while (*i < entries && refcount_get(q->refcount_order, s->data, *i, &value))
        ++*i;
    while (n < want && *i + n < entries &&
           !refcount_get(q->refcount_order, s->data, *i + n, &value))
        n++;
    return n;
}

/* A change of metadata begins: with lazy refcounts the image is dirty from here on. */
static int before_change(struct qcow2 *q, struct error *err)
{
    if (!q->lazy || q->marked_dirty)
        return 0;
    if (qcow2_set_incompatible(q, q->h.incompatible | QCOW2_DIRTY, err) < 0)
        return -1;
    q->marked_dirty = true;
    return 0;
}

int qcow2_alloc(struct qcow2 *q, uint32_t want, bool reserve, uint64_t *cluster, uint32_t *got,
                bool *blank, struct error *err)
{
    struct slice *s;
    uint64_t i;
    uint32_t n = 0;
    if (qcow2_check_writable(q, err) < 0 || before_change(q, err) < 0)
        return -1;
    while (n == 0) {
        if (counted_slice(q, q->hint, &s, &i, err) < 0)
            return -1;
        uint64_t first = q->hint - i; /* that the slice counts */
        n = free_run(q, s, &i, want);
        q->hint = first + i;
    }
    uint64_t offset = q->hint << q->cluster_bits, length = (uint64_t)n << q->cluster_bits;
    if (q->hint == 0 || set_overlaps(&q->meta, q->hint, n))
        return qcow2_corrupt(q, err, "metadata at %#llx is not counted",
                             (unsigned long long)offset);
    if (extend(q, offset + length, err) < 0 ||
        (reserve && reserve_room(q, offset, length, err) < 0))
        return -1;
    for (uint32_t k = 0; k < n; k++)
        refcount_put(q->refcount_order, s->data, i + k, 1);
    cache_dirty(&q->refs, s);
    *blank = !q->file->device && offset >= q->blank_from;
    q->blank_from = max(q->blank_from, offset + length);
    q->unsynced = true;
    *cluster = q->hint;
    *got = n;
    q->hint += n;
    return 0;
}

/* Behind all that is in use, so that the search is short; what is free below stays so. */
int qcow2_alloc_row(struct qcow2 *q, uint32_t count, uint64_t *cluster, struct error *err)
{
    uint64_t first = q->file->device ? q->hint : q->end >> q->cluster_bits;
    if (qcow2_check_writable(q, err) < 0 || before_change(q, err) < 0)
        return -1;
    for (uint64_t c = first; c < first + count; c++) {
        struct slice *s;
        uint64_t i, value;
        if (counted_slice(q, c, &s, &i, err) < 0)
            return -1;
        refcount_get(q->refcount_order, s->data, i, &value);
        if (value != 0)
            first = c + 1;
    }
    if (set_overlaps(&q->meta, first, count))
        return qcow2_corrupt(q, err, "metadata at %#llx is not counted",
                             (unsigned long long)first << q->cluster_bits);
    uint64_t offset = first << q->cluster_bits, length = (uint64_t)count << q->cluster_bits;
    if (extend(q, offset + length, err) < 0 || reserve_room(q, offset, length, err) < 0)
        return -1;
    for (uint32_t k = 0; k < count; k++)
        if (qcow2_set_refcount(q, first + k, 1, err) < 0) {
            if (k > 0)
                qcow2_unref(q, first, k, NULL);
            return -1;
        }
    q->blank_from = max(q->blank_from, offset + length);
    *cluster = first;
    return 0;
}

/* ---- freeing ---- */

int qcow2_unref(struct qcow2 *q, uint64_t cluster, uint32_t count, struct error *err)
{
    uint64_t empty = 0; /* of them, the last so many have become free */
    uint32_t k;
    int rc = 0;
    for (k = 0; k < count; k++) {
        struct slice *s;
        uint64_t i, value = 0;
        rc = refcount_slice(q, cluster + k, &s, &i, err);
        if (rc == 0 && s)
            refcount_get(q->refcount_order, s->data, i, &value);
        if (rc == 0 && value == 0)
            rc = qcow2_corrupt(q, err, "a cluster in use is not counted, at %#llx",
                               (unsigned long long)(cluster + k) << q->cluster_bits);
        if (rc < 0 || s == NULL)
            break;
        refcount_put(q->refcount_order, s->data, i, value - 1);
        cache_dirty(&q->refs, s);
        if (value == 1) {
            q->hint = min(q->hint, cluster + k);
            empty++;
        } else if (empty > 0) {
            hostfile_punch(q->file, (cluster + k - empty) << q->cluster_bits,
                           empty << q->cluster_bits);
            empty = 0;
        }
    }
    if (empty > 0)
        hostfile_punch(q->file, (cluster + k - empty) << q->cluster_bits, empty << q->cluster_bits);
    return rc;
}

/* Make room in the list: take out what is done, flush where that is too little. */
static bool frees_have_room(struct qcow2 *q)
{
    size_t waiting = q->nfrees - q->frees_done;
    if (waiting >= FREES_MAX)
        return false;
    if (q->nfrees < q->frees_room)
        return true;
    if (q->frees && q->frees_done > waiting) {
        memmove(q->frees, q->frees + q->frees_done, waiting * sizeof *q->frees);
        q->nfrees = waiting;
        q->frees_done = 0;
        return true;
    }
    q->frees_room = q->frees_room ? 2 * q->frees_room : 64;
    q->frees = xrealloc(q->frees, q->frees_room, sizeof *q->frees);
    return true;
}

void qcow2_free_later(struct qcow2 *q, uint64_t cluster, uint32_t count)
{
    struct pending_free *last = q->nfrees > q->frees_done ? &q->frees[q->nfrees - 1] : NULL;
    if (last && last->cluster + last->count == cluster && last->epoch == q->disk->epoch &&
        last->flush == q->flush_started && last->count <= UINT32_MAX - count) {
        last->count += count;
        return;
    }
    if (!frees_have_room(q) || q->frees == NULL) {
        log_once("'%s': too much is being freed at once; some of it is lost until it is checked",
                 q->file->path);
        return;
    }
    q->frees[q->nfrees++] = (struct pending_free){.cluster = cluster,
                                                  .count = count,
                                                  .epoch = q->disk->epoch,
                                                  .flush = q->flush_started};
}

/*
 * The refcounts go to the file at once, though unsynced: if only this process dies, nothing is
 * leaked.
 */
int qcow2_apply_frees(struct qcow2 *q, struct error *err)
{
    size_t before = q->frees_done;
    while (q->frees_done < q->nfrees) {
        struct pending_free *f = &q->frees[q->frees_done];
        if (f->flush >= q->flush_durable || !disk_drained(q->disk, f->epoch))
            break;
        q->frees_done++;
        if (qcow2_unref(q, f->cluster, f->count, err) < 0)
            return -1;
    }
    bool any = q->frees_done > before;
    if (q->frees_done == q->nfrees)
        q->frees_done = q->nfrees = 0;
    return any && !q->lazy ? cache_write(q, &q->refs, err) : 0;
}

/* What can be done without a flush is done here: maps that were out have come back meanwhile. */
bool qcow2_pressed(struct disk *d)
{
    struct qcow2 *q = d->state;
    if (q->frees_done == q->nfrees || q->corrupt)
        return false;
    const struct pending_free *f = &q->frees[q->frees_done];
    if (f->flush >= q->flush_durable)
        return q->nfrees - q->frees_done >= FREES_FLUSH;
    if (disk_drained(d, f->epoch))
        qcow2_apply_frees(q, NULL);
    return false;
}

/* ---- what an entry refers to ---- */

void qcow2_packed(const struct qcow2 *q, uint64_t entry, uint64_t *offset, uint32_t *size)
{
    unsigned x = 62 - (q->cluster_bits - 8); /* "Compressed Clusters Descriptor" */
    uint64_t sectors = (entry & (ENTRY_COMPRESSED - 1)) >> x;
    *offset = entry & ((UINT64_C(1) << x) - 1);
    *size = (uint32_t)((sectors + 1) * 512 - (*offset & 511));
}

uint32_t qcow2_entry_clusters(const struct qcow2 *q, uint64_t entry, uint64_t *cluster)
{
    uint64_t offset = entry & ENTRY_OFFSET;
    uint32_t size = q->cluster_size;
    if (entry & ENTRY_COMPRESSED)
        qcow2_packed(q, entry, &offset, &size);
    else if (offset == 0)
        return 0;
    *cluster = offset >> q->cluster_bits;
    return (uint32_t)(((offset + size - 1) >> q->cluster_bits) - *cluster) + 1;
}
