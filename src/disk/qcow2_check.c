/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checking an image: all references to clusters are counted and held against the refcounts, and
 * the flags "only mine" against both. Too high a count is a leak; all else is an error.
 *
 * Repairing: entries that make no sense become empty, then a new set of refcounts is written
 * beside the old one and switched to by one write into the header, then the flags are put right.
 * So it can be interrupted at any moment.
 *
 * What is counted is kept in chunks for the parts of the file that anything refers to; an image
 * that claims to be spread over more than any sound one is refused.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "disk/qcow2.h"

#define CHUNK_BITS 10u        /* log2 of the clusters of a chunk */
#define CHUNKS_MAX (1u << 18) /* 1 GiB of counts: 16 TiB of a file with clusters of 64 KiB */
#define SAID_MAX   200u       /* findings told one by one */

/* ---- counts ---- */

struct chunk {
    uint64_t number;
    uint32_t counts[1u << CHUNK_BITS];
    struct chunk *next; /* of the same bucket */
};

struct counts {
    struct chunk **buckets; /* 1 << bucket_bits of them */
    unsigned bucket_bits;
    uint32_t nchunks;
    struct chunk *last; /* that was asked for */
};

static struct chunk **counts_bucket(const struct counts *t, uint64_t number)
{
    return &t->buckets[number * UINT64_C(0x9e3779b97f4a7c15) >> (64 - t->bucket_bits)];
}

/* For a file of so many clusters: a bucket for each chunk that it may come to, within reason. */
static void counts_init(struct counts *t, uint64_t clusters)
{
    *t = (struct counts){.bucket_bits = 4};
    while (t->bucket_bits < 16 && clusters >> CHUNK_BITS >> t->bucket_bits)
        t->bucket_bits++;
    t->buckets = xcalloc(UINT64_C(1) << t->bucket_bits, sizeof *t->buckets);
}

static void counts_clear(struct counts *t)
{
    for (size_t i = 0; t->buckets && i < (size_t)1 << t->bucket_bits; i++)
        for (struct chunk *c = t->buckets[i], *next; c; c = next) {
            next = c->next;
            free(c);
        }
    free(t->buckets);
}

/* The chunk with this cluster; NULL: nothing there was counted, or (make) there are too many. */
static struct chunk *counts_chunk(struct counts *t, uint64_t cluster, bool make)
{
    uint64_t number = cluster >> CHUNK_BITS;
    if (t->last && t->last->number == number)
        return t->last;
    struct chunk **bucket = counts_bucket(t, number), *c = *bucket;
    while (c && c->number != number)
        c = c->next;
    if (c == NULL && make && t->nchunks < CHUNKS_MAX) {
        c = xcalloc(1, sizeof *c);
        c->number = number;
        c->next = *bucket;
        *bucket = c;
        t->nchunks++;
    }
    if (c)
        t->last = c;
    return c;
}

static uint32_t counts_get(struct counts *t, uint64_t cluster)
{
    struct chunk *c = counts_chunk(t, cluster, false);
    return c ? c->counts[cluster & ((1u << CHUNK_BITS) - 1)] : 0;
}

static int counts_add(struct counts *t, uint64_t cluster, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        struct chunk *c = counts_chunk(t, cluster + i, true);
        if (c == NULL)
            return -1;
        uint32_t *count = &c->counts[(cluster + i) & ((1u << CHUNK_BITS) - 1)];
        *count += *count < UINT32_MAX;
    }
    return 0;
}

/* ---- findings ---- */

struct check {
    struct qcow2 *q;
    struct disk_check *c;
    struct counts counts;
    uint64_t end; /* of the file */
    uint64_t said;
    bool mend; /* empty what makes no sense */
};

static void say(struct check *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct check *k, const char *fmt, ...)
{
    if (!k->c->say || k->said++ > SAID_MAX)
        return;
    if (k->said > SAID_MAX) {
        k->c->say(k->c->arg, "and more");
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    cleanup_free char *text = xvasprintf(fmt, ap);
    va_end(ap);
    k->c->say(k->c->arg, text);
}

static int too_many(const struct check *k, struct error *err)
{
    return error_set(err, EFBIG, "'%s' refers to more places than can be counted",
                     k->q->file->path);
}

static int check_cancelled(const struct check *k, struct error *err)
{
    if (!k->c->cancelled || !k->c->cancelled(k->c->arg))
        return 0;
    return error_set(err, ECANCELED, "check '%s'", k->q->file->path);
}

/* ---- counting ---- */

/* A table at whole clusters. What is not in the file is an error, and not counted. */
static int count_table(struct check *k, const char *what, uint64_t offset, uint64_t bytes,
                       struct error *err)
{
    struct qcow2 *q = k->q;
    if (bytes == 0)
        return 0;
    if (in_cluster(q, offset) || offset > k->end || bytes > k->end - offset) {
        say(k, "error: %s, at %#llx, is not in the file", what, (unsigned long long)offset);
        k->c->errors++;
        return 0;
    }
    if (counts_add(&k->counts, offset >> q->cluster_bits, cluster_up(q, bytes) >> q->cluster_bits) <
        0)
        return too_many(k, err);
    return 0;
}

/* Does an entry of an L2 table make sense? NULL: it does. */
static const char *entry_fault(const struct check *k, uint64_t entry)
{
    const struct qcow2 *q = k->q;
    uint64_t offset = entry & ENTRY_OFFSET;
    uint32_t size;
    if (entry & ENTRY_COMPRESSED) {
        qcow2_packed(q, entry, &offset, &size);
        return offset == 0 || offset >= k->end ? "is not in the file" : NULL;
    }
    if (entry & L2_RESERVED)
        return "has bits that have no meaning";
    if (q->h.version < 3 && (entry & ENTRY_ZERO))
        return "is of version 3";
    if (in_cluster(q, offset))
        return "is not at a whole cluster";
    return offset >= k->end ? "is not in the file" : NULL;
}

/* The entries of an L2 table. active: count them for the figures, too. */
static int count_l2(struct check *k, uint64_t offset, uint64_t *table, bool active,
                    struct error *err)
{
    struct qcow2 *q = k->q;
    bool changed = false;
    for (uint32_t i = 0; i < q->cluster_size / sizeof *table; i++) {
        uint64_t cluster;
        const char *fault = entry_fault(k, table[i]);
        if (fault) {
            say(k, "error: entry %u of the L2 table at %#llx, %#llx, %s", i,
                (unsigned long long)offset, (unsigned long long)table[i], fault);
            k->c->errors++;
            if (!k->mend)
                continue;
            table[i] = q->h.version >= 3 && q->h.backing ? ENTRY_ZERO : 0;
            changed = true;
        }
        uint32_t n = qcow2_entry_clusters(q, table[i], &cluster);
        if (n > 0 && counts_add(&k->counts, cluster, n) < 0)
            return too_many(k, err);
        k->c->used += active && n > 0;
        k->c->compressed += active && n > 0 && (table[i] & ENTRY_COMPRESSED);
    }
    return changed ? qcow2_write_l2(q, offset, table, err) : 0;
}

/* The L2 tables of an L1 table, which was read from the file; it is changed where it is mended. */
static int count_l1(struct check *k, const char *whose, uint64_t *l1, uint32_t n, bool active,
                    bool *changed, struct error *err)
{
    struct qcow2 *q = k->q;
    cleanup_free uint64_t *table = NULL;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t offset = l1[i] & ENTRY_OFFSET;
        if (l1[i] == 0)
            continue;
        if (in_cluster(q, offset) || offset >= k->end || (l1[i] & L1_RESERVED) || offset == 0) {
            say(k, "error: entry %u of the L1 table of %s, %#llx, makes no sense", i, whose,
                (unsigned long long)l1[i]);
            k->c->errors++;
            if (k->mend)
                l1[i] = 0;
            *changed |= k->mend;
            continue;
        }
        if (counts_add(&k->counts, offset >> q->cluster_bits, 1) < 0)
            return too_many(k, err);
        if (check_cancelled(k, err) < 0 ||
            qcow2_read_table(q, offset, q->cluster_size / sizeof *table, &table, err) < 0 ||
            count_l2(k, offset, table, active, err) < 0)
            return -1;
    }
    return 0;
}

static int write_l1(struct qcow2 *q, const uint64_t *l1, uint32_t n, uint64_t offset,
                    struct error *err)
{
    return qcow2_write_l1(q, l1, n, ~UINT64_C(0), offset >> q->cluster_bits, err);
}

static int count_active(struct check *k, struct error *err)
{
    struct qcow2 *q = k->q;
    bool changed = false;
    if (count_table(k, "the L1 table", q->h.l1_offset, q->h.l1_size * sizeof(uint64_t), err) < 0 ||
        count_l1(k, "the disk", q->l1, q->h.l1_size, true, &changed, err) < 0)
        return -1;
    return changed ? write_l1(q, q->l1, q->h.l1_size, q->h.l1_offset, err) : 0;
}

static int count_snapshot(struct check *k, const struct qcow2_snapshot *s, struct error *err)
{
    struct qcow2 *q = k->q;
    cleanup_free uint64_t *l1 = NULL;
    cleanup_free char *what = xasprintf("snapshot %s", s->id);
    uint64_t before = k->c->errors;
    bool changed = false;
    if (count_table(k, what, s->l1_offset, s->l1_size * sizeof(uint64_t), err) < 0)
        return -1;
    if (k->c->errors > before)
        return 0;
    if (qcow2_read_table(q, s->l1_offset, s->l1_size, &l1, err) < 0 ||
        count_l1(k, what, l1, s->l1_size, false, &changed, err) < 0)
        return -1;
    return changed ? write_l1(q, l1, s->l1_size, s->l1_offset, err) : 0;
}

/* QEMU's persistent dirty bitmaps: a directory, tables that it points to, clusters of those. */
static int count_bitmaps(struct check *k, struct error *err)
{
    struct qcow2 *q = k->q;
    uint64_t at = q->h.bitmaps_offset, end = at + q->h.bitmaps_size;
    uint8_t p[24];
    if (!(q->h.autoclear & QCOW2_BITMAPS) || q->h.nbitmaps == 0)
        return 0;
    if (q->h.bitmaps_size > QCOW2_MAX_SNAP_TABLE)
        return error_set(err, EFBIG, "read the bitmaps of '%s'", q->file->path);
    if (count_table(k, "the bitmap directory", at, q->h.bitmaps_size, err) < 0)
        return -1;
    for (uint32_t i = 0; i < q->h.nbitmaps && at + sizeof p <= end; i++) {
        cleanup_free uint64_t *table = NULL;
        if (hostfile_read(q->file, p, sizeof p, at, err) < 0)
            return -1;
        uint64_t offset = qcow2_be(p, 0, 8), entries = qcow2_be(p, 8, 4);
        at += (sizeof p + qcow2_be(p, 18, 2) + qcow2_be(p, 20, 4) + 7) & ~UINT64_C(7);
        uint64_t before = k->c->errors;
        if (count_table(k, "a bitmap's table", offset, entries * sizeof *table, err) < 0)
            return -1;
        if (k->c->errors > before || entries * sizeof *table > QCOW2_MAX_L1)
            continue;
        if (qcow2_read_table(q, offset, entries, &table, err) < 0)
            return -1;
        for (uint64_t e = 0; e < entries; e++)
            if ((table[e] & ENTRY_OFFSET) &&
                count_table(k, "a bitmap", table[e] & ENTRY_OFFSET, q->cluster_size, err) < 0)
                return -1;
    }
    return 0;
}

/* All references but those of the refcounts to themselves. */
static int count_all(struct check *k, struct error *err)
{
    struct qcow2 *q = k->q;
    if (count_table(k, "the header", 0, q->cluster_size, err) < 0 || count_active(k, err) < 0 ||
        count_table(k, "the snapshot table", q->h.snapshots_offset, q->snapshots_bytes, err) < 0)
        return -1;
    for (size_t i = 0; i < q->nsnapshots; i++)
        if (count_snapshot(k, &q->snapshots[i], err) < 0)
            return -1;
    return count_bitmaps(k, err);
}

static int count_refcounts(struct check *k, struct error *err)
{
    struct qcow2 *q = k->q;
    if (q->reftable_entries == 0) {
        say(k, "error: there is no refcount table");
        k->c->errors++;
    }
    if (count_table(k, "the refcount table", q->h.reftable_offset,
                    q->reftable_entries * sizeof(uint64_t), err) < 0)
        return -1;
    for (uint64_t i = 0; i < q->reftable_entries; i++) {
        if (q->reftable[i] == 0)
            continue;
        if (q->reftable[i] & ~REFTABLE_OFFSET) {
            say(k, "error: entry %llu of the refcount table makes no sense", (unsigned long long)i);
            k->c->errors++;
        }
        if (count_table(k, "a refcount block", q->reftable[i] & REFTABLE_OFFSET, q->cluster_size,
                        err) < 0)
            return -1;
    }
    return 0;
}

/* ---- comparing ---- */

/* The refcounts of one block, read straight from the file. NULL: there is none. */
static int load_block(struct check *k, uint64_t block, uint8_t *buf, bool *there, struct error *err)
{
    struct qcow2 *q = k->q;
    uint64_t offset = block < q->reftable_entries ? q->reftable[block] & REFTABLE_OFFSET : 0;
    *there = offset != 0 && in_cluster(q, offset) == 0 && offset < k->end;
    return *there ? hostfile_read_padded(q->file, buf, q->cluster_size, offset, err) : 0;
}

static void compare_one(struct check *k, uint64_t cluster, uint64_t refcount, uint32_t count)
{
    if (refcount == count)
        return;
    if (refcount > count)
        k->c->leaks++;
    else
        k->c->errors++;
    say(k, "%s: the cluster at %#llx has refcount %llu, and %u references",
        refcount > count ? "leak" : "error", (unsigned long long)cluster << k->q->cluster_bits,
        (unsigned long long)refcount, count);
}

/* What is counted must have a block. */
static int compare_uncovered(struct check *k, struct error *err)
{
    struct qcow2 *q = k->q;
    for (size_t b = 0; b < (size_t)1 << k->counts.bucket_bits; b++)
        for (const struct chunk *c = k->counts.buckets[b]; c; c = c->next)
            for (uint64_t i = 0; i < 1u << CHUNK_BITS; i++) {
                uint64_t cluster = (c->number << CHUNK_BITS) + i, block = cluster >> q->rb_bits;
                uint64_t offset =
                    block < q->reftable_entries ? q->reftable[block] & REFTABLE_OFFSET : 0;
                if (c->counts[i] && (offset == 0 || in_cluster(q, offset) || offset >= k->end))
                    compare_one(k, cluster, 0, c->counts[i]);
            }
    return check_cancelled(k, err);
}

static int compare(struct check *k, struct error *err)
{
    struct qcow2 *q = k->q;
    cleanup_free uint8_t *buf = xcalloc(1, q->cluster_size);
    for (uint64_t block = 0; block < q->reftable_entries; block++) {
        bool there;
        if (load_block(k, block, buf, &there, err) < 0)
            return -1;
        for (uint64_t i = 0; there && i < UINT64_C(1) << q->rb_bits; i++) {
            uint64_t value, cluster = (block << q->rb_bits) + i;
            refcount_get(q->refcount_order, buf, i, &value);
            compare_one(k, cluster, value, counts_get(&k->counts, cluster));
        }
        if (there && check_cancelled(k, err) < 0)
            return -1;
    }
    return compare_uncovered(k, err);
}

static void compare_flag(struct check *k, uint64_t entry, const char *what)
{
    if ((entry & ENTRY_COMPRESSED) || (entry & ENTRY_OFFSET) == 0)
        return;
    uint64_t offset = entry & ENTRY_OFFSET;
    bool alone = counts_get(&k->counts, offset >> k->q->cluster_bits) == 1;
    if (alone == ((entry & ENTRY_COPIED) != 0))
        return;
    k->c->errors++;
    say(k, "error: the flag COPIED of the %s at %#llx is %s", what, (unsigned long long)offset,
        alone ? "not set" : "set, but it is shared");
}

static int compare_flags(struct check *k, struct error *err)
{
    struct qcow2 *q = k->q;
    cleanup_free uint64_t *table = NULL;
    for (uint32_t i = 0; i < q->h.l1_size; i++) {
        uint64_t offset = q->l1[i] & ENTRY_OFFSET;
        if (offset == 0 || in_cluster(q, offset) || offset >= k->end)
            continue;
        compare_flag(k, q->l1[i], "L2 table");
        if (check_cancelled(k, err) < 0 ||
            qcow2_read_table(q, offset, q->cluster_size / sizeof *table, &table, err) < 0)
            return -1;
        for (uint32_t e = 0; e < q->cluster_size / sizeof *table; e++)
            if (entry_fault(k, table[e]) == NULL)
                compare_flag(k, table[e], "cluster");
    }
    return 0;
}

/* ---- new refcounts ---- */

/* Where they go, and which blocks there are. */
struct rebuild {
    uint64_t *blocks; /* sorted numbers of those needed */
    uint64_t nblocks, entries, table_clusters;
    uint64_t start; /* first cluster: the table, then the blocks */
};

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Blocks for all that is counted. */
static int needed_blocks(struct check *k, struct rebuild *r, struct error *err)
{
    struct qcow2 *q = k->q;
    size_t room = 0;
    for (size_t b = 0; b < (size_t)1 << k->counts.bucket_bits; b++)
        for (const struct chunk *c = k->counts.buckets[b]; c; c = c->next)
            for (uint64_t i = 0; i < 1u << CHUNK_BITS; i++) {
                uint64_t block = ((c->number << CHUNK_BITS) + i) >> q->rb_bits;
                if (c->counts[i] == 0 || (r->nblocks > 0 && r->blocks[r->nblocks - 1] == block))
                    continue;
                if (c->counts[i] > refcount_max(q->refcount_order))
                    return error_set(err, 0, "the refcounts of '%s' are too narrow for it",
                                     q->file->path);
                if (r->nblocks == room) {
                    room = room ? 2 * room : 64;
                    r->blocks = xrealloc(r->blocks, room, sizeof *r->blocks);
                }
                r->blocks[r->nblocks++] = block;
            }
    qsort(r->blocks, r->nblocks, sizeof *r->blocks, compare_numbers);
    uint64_t n = 0;
    for (uint64_t i = 0; i < r->nblocks; i++)
        if (n == 0 || r->blocks[n - 1] != r->blocks[i])
            r->blocks[n++] = r->blocks[i];
    r->nblocks = n;
    return 0;
}

static bool has_block(const struct rebuild *r, uint64_t block)
{
    return bsearch(&block, r->blocks, r->nblocks, sizeof block, compare_numbers) != NULL;
}

static void add_block(struct rebuild *r, uint64_t block)
{
    r->blocks = xrealloc(r->blocks, r->nblocks + 1, sizeof *r->blocks);
    r->blocks[r->nblocks++] = block;
    qsort(r->blocks, r->nblocks, sizeof *r->blocks, compare_numbers);
}

/* The first row of n clusters that nothing uses, the refcounts of now included. */
static uint64_t free_row(struct check *k, struct counts *old, uint64_t n)
{
    struct qcow2 *q = k->q;
    if (!q->file->device)
        return cluster_up(q, k->end) >> q->cluster_bits;
    uint64_t start = 1;
    for (uint64_t c = start; c < start + n; c++)
        if (counts_get(&k->counts, c) || counts_get(old, c))
            start = c + 1;
    return start;
}

/* The new refcounts count themselves, which may take more of them. */
static int plan(struct check *k, struct rebuild *r, struct counts *old, struct error *err)
{
    struct qcow2 *q = k->q;
    uint64_t per_cluster = q->cluster_size / sizeof(uint64_t);
    for (;;) {
        uint64_t last = r->nblocks ? r->blocks[r->nblocks - 1] : 0;
        r->entries = (last + per_cluster) / per_cluster * per_cluster;
        r->table_clusters = r->entries / per_cluster;
        if (r->entries * sizeof(uint64_t) > QCOW2_MAX_REFTABLE)
            return error_set(err, EFBIG, "count a file as large as '%s'", q->file->path);
        r->start = free_row(k, old, r->table_clusters + r->nblocks);
        uint64_t before = r->nblocks, end = r->start + r->table_clusters + r->nblocks;
        for (uint64_t b = r->start >> q->rb_bits; b <= (end - 1) >> q->rb_bits; b++)
            if (!has_block(r, b))
                add_block(r, b);
        if (r->nblocks == before)
            return counts_add(&k->counts, r->start, end - r->start) < 0 ? too_many(k, err) : 0;
    }
}

static int write_blocks(struct check *k, const struct rebuild *r, struct error *err)
{
    struct qcow2 *q = k->q;
    cleanup_free uint8_t *buf = xcalloc(1, q->cluster_size);
    cleanup_free uint64_t *table = xcalloc(r->entries, sizeof *table);
    uint64_t start = r->start << q->cluster_bits, per_block = UINT64_C(1) << q->rb_bits;
    uint64_t at = start + (r->table_clusters << q->cluster_bits);
    uint64_t end = at + (r->nblocks << q->cluster_bits);
    if (end > q->file->size && hostfile_truncate(q->file, end, err) < 0)
        return -1;
    for (uint64_t b = 0; b < r->nblocks; b++, at += q->cluster_size) {
        table[r->blocks[b]] = htobe64(at);
        memset(buf, 0, q->cluster_size);
        for (uint64_t i = 0; i < per_block; i++) {
            uint32_t n = counts_get(&k->counts, r->blocks[b] * per_block + i);
            if (n > 0)
                refcount_put(q->refcount_order, buf, i, n);
        }
        if (hostfile_write(q->file, buf, q->cluster_size, at, err) < 0)
            return -1;
    }
    return hostfile_write(q->file, table, r->entries * sizeof *table, start, err);
}

/* Everything cached is of the time before. */
static int reload(struct qcow2 *q, struct error *err)
{
    unsigned slice = q->l2.size, l2 = q->l2.max, refs = q->refs.max;
    cache_clear(&q->l2);
    cache_clear(&q->refs);
    cache_init(&q->l2, slice, l2);
    cache_init(&q->refs, slice, refs);
    q->nfrees = q->frees_done = 0;
    return qcow2_load(q, false, err);
}

static int write_refcounts(struct check *k, struct error *err)
{
    struct qcow2 *q = k->q;
    struct rebuild r = {.blocks = xcalloc(1, sizeof *r.blocks)};
    struct disk_check silent = {0};
    struct check old = {.q = q, .c = &silent, .end = k->end}; /* the refcounts of now: to be kept */
    counts_init(&old.counts, k->end >> q->cluster_bits);
    int rc = needed_blocks(k, &r, err);
    if (rc == 0)
        rc = count_refcounts(&old, err);
    if (rc == 0)
        rc = plan(k, &r, &old.counts, err);
    if (rc == 0)
        rc = write_blocks(k, &r, err);
    if (rc == 0)
        rc = hostfile_sync(q->file, err);
    if (rc == 0)
        rc = qcow2_switch_reftable(q, r.start << q->cluster_bits, r.table_clusters, err);
    if (rc == 0)
        rc = hostfile_sync(q->file, err);
    if (rc == 0) {
        q->h.reftable_offset = r.start << q->cluster_bits;
        q->h.reftable_clusters = (uint32_t)r.table_clusters;
        rc = reload(q, err);
    }
    counts_clear(&old.counts);
    free(r.blocks);
    return rc;
}

/* ---- all of it ---- */

static int prepare(struct check *k, struct qcow2 *q, struct disk_check *c, bool mend,
                   struct error *err)
{
    *k = (struct check){.q = q, .c = c, .mend = mend, .end = cluster_up(q, q->file->size)};
    counts_init(&k->counts, k->end >> q->cluster_bits);
    return q->reftable ? 0 : qcow2_load_reftable(q, true, err);
}

/* Count anew, write that down, put the flags right, and say that it is well. */
static int mend(struct qcow2 *q, struct disk_check *c, struct error *err)
{
    struct check k;
    int rc = prepare(&k, q, c, true, err);
    if (rc == 0)
        rc = count_all(&k, err);
    if (rc == 0)
        rc = write_refcounts(&k, err);
    counts_clear(&k.counts);
    if (rc < 0)
        return -1;
    q->corrupt = false;
    if (qcow2_fix_flags(q, err) < 0 || qcow2_settle(q, err) < 0)
        return -1;
    return qcow2_set_incompatible(q, q->h.incompatible & ~(QCOW2_DIRTY | QCOW2_CORRUPT), err);
}

int qcow2_rebuild_refcounts(struct qcow2 *q, struct error *err)
{
    struct disk_check c = {.repair = true};
    bool lazy = q->lazy;
    q->lazy = false;
    pthread_mutex_lock(&q->flush_lock);
    pthread_mutex_lock(&q->disk->lock);
    int rc = mend(q, &c, err);
    pthread_mutex_unlock(&q->disk->lock);
    pthread_mutex_unlock(&q->flush_lock);
    q->lazy = lazy;
    return rc;
}

static int look(struct qcow2 *q, struct disk_check *c, struct error *err)
{
    struct check k;
    c->clusters = (q->h.size + q->cluster_size - 1) >> q->cluster_bits;
    c->used = c->compressed = c->errors = c->leaks = 0;
    int rc = prepare(&k, q, c, false, err);
    if (rc == 0)
        rc = count_all(&k, err);
    if (rc == 0)
        rc = count_refcounts(&k, err);
    if (rc == 0)
        rc = compare(&k, err);
    if (rc == 0)
        rc = compare_flags(&k, err);
    counts_clear(&k.counts);
    return rc;
}

int qcow2_check(struct disk *d, struct disk_check *c, struct error *err)
{
    struct qcow2 *q = d->state;
    struct disk_check again = {.cancelled = c->cancelled, .arg = c->arg};
    if (!d->readonly && (disk_flush(d, err) < 0))
        return -1;
    if (look(q, c, err) < 0)
        return -1;
    bool marked = q->h.incompatible & (QCOW2_DIRTY | QCOW2_CORRUPT);
    if (!c->repair || (c->errors + c->leaks == 0 && !marked))
        return 0;
    if (qcow2_rebuild_refcounts(q, err) < 0 || look(q, &again, err) < 0)
        return -1;
    c->repaired = again.errors + again.leaks == 0;
    return 0;
}
