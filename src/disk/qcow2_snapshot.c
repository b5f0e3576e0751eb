/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Internal snapshots: copies of the L1 table that share all below it, counted.
 *
 * Making, applying and deleting one changes many refcounts and flags, which cannot happen at once.
 * So an image of version 3 is marked dirty meanwhile, and one that was left so is repaired before
 * it is written to again. Without that mark, too, no state on the way can lose data: counts rise before
 * a reference is added and fall after it is gone, flags that say "only mine" are taken away first and
 * given last, and a table that changes is written elsewhere and switched to by one write into
 * the header.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "disk/qcow2.h"

#define ENTRY_FIXED 40u /* bytes of an entry before its variable parts */
#define EXTRA_SIZE  24u /* of those we make: VM state's size, disk's size, instruction count */
#define NAME_BYTES  255 /* of those we make */

/* ---- the table ---- */

uint64_t qcow2_be(const uint8_t *p, unsigned at, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[at + i];
    return v;
}

static void put(uint8_t *p, unsigned at, unsigned bytes, uint64_t v)
{
    for (unsigned i = bytes; i-- > 0; v >>= 8)
        p[at + i] = (uint8_t)v;
}

static void snapshot_clear(struct qcow2_snapshot *s)
{
    free(s->id);
    free(s->name);
    free(s->extra);
}

void qcow2_free_snapshots(struct qcow2_snapshot *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        snapshot_clear(&s[i]);
    free(s);
}

static int read_name(struct hostfile *f, uint64_t at, size_t len, char **out, struct error *err)
{
    *out = xcalloc(1, len + 1);
    return hostfile_read(f, *out, len, at, err);
}

/* One entry, at *at, which is moved behind it. */
static int read_entry(struct hostfile *f, const struct qcow2_header *h, uint64_t *at,
                      struct qcow2_snapshot *s, struct error *err)
{
    uint8_t p[ENTRY_FIXED];
    if (hostfile_read(f, p, sizeof p, *at, err) < 0)
        return -1;
    size_t id = qcow2_be(p, 12, 2), name = qcow2_be(p, 14, 2);
    s->l1_offset = qcow2_be(p, 0, 8);
    s->l1_size = (uint32_t)qcow2_be(p, 8, 4);
    s->date = (uint32_t)qcow2_be(p, 16, 4);
    s->date_nsec = (uint32_t)qcow2_be(p, 20, 4);
    s->vm_clock = qcow2_be(p, 24, 8);
    s->vm_state = qcow2_be(p, 32, 4);
    s->extra_size = (uint32_t)qcow2_be(p, 36, 4);
    s->size = h->size;
    *at += sizeof p;
    if (s->extra_size > QCOW2_MAX_SNAP_EXTRA || (uint64_t)s->l1_size * 8 > QCOW2_MAX_L1 ||
        s->l1_offset & ((1u << h->cluster_bits) - 1) || s->l1_offset > INT64_MAX ||
        (s->l1_size > 0 && s->l1_offset == 0))
        return error_set(err, 0, "the snapshot table of '%s' is corrupt", f->path);
    s->extra = xcalloc(1, s->extra_size);
    if (hostfile_read(f, s->extra, s->extra_size, *at, err) < 0 ||
        read_name(f, *at + s->extra_size, id, &s->id, err) < 0 ||
        read_name(f, *at + s->extra_size + id, name, &s->name, err) < 0)
        return -1;
    if (s->extra_size >= 8)
        s->vm_state = qcow2_be(s->extra, 0, 8);
    if (s->extra_size >= 16)
        s->size = qcow2_be(s->extra, 8, 8);
    *at = (*at + s->extra_size + id + name + 7) & ~UINT64_C(7);
    return 0;
}

int qcow2_read_snapshots(struct hostfile *f, const struct qcow2_header *h,
                         struct qcow2_snapshot **out, uint64_t *bytes, struct error *err)
{
    uint64_t at = h->snapshots_offset;
    size_t room = 0;
    struct qcow2_snapshot *list = NULL;
    *out = NULL;
    *bytes = 0;
    for (uint32_t i = 0; i < h->nsnapshots; i++) {
        if (i == room) { /* by what is there, not by what is claimed */
            room = room ? 2 * room : 8;
            list = xrealloc(list, room, sizeof *list);
        }
        list[i] = (struct qcow2_snapshot){0};
        if (at - h->snapshots_offset > QCOW2_MAX_SNAP_TABLE ||
            read_entry(f, h, &at, &list[i], err) < 0) {
            qcow2_free_snapshots(list, i + 1);
            return error_wrap(err, "the snapshots of '%s'", f->path);
        }
    }
    *out = list;
    *bytes = at - h->snapshots_offset;
    return 0;
}

/* What an entry takes on the file. */
static size_t entry_size(const struct qcow2_snapshot *s)
{
    size_t extra = max(s->extra_size, EXTRA_SIZE);
    return (ENTRY_FIXED + extra + strlen(s->id) + strlen(s->name) + 7) & ~(size_t)7;
}

static void write_entry(const struct qcow2_snapshot *s, uint8_t *p)
{
    size_t extra = max(s->extra_size, EXTRA_SIZE), id = strlen(s->id), name = strlen(s->name);
    put(p, 0, 8, s->l1_offset);
    put(p, 8, 4, s->l1_size);
    put(p, 12, 2, id);
    put(p, 14, 2, name);
    put(p, 16, 4, s->date);
    put(p, 20, 4, s->date_nsec);
    put(p, 24, 8, s->vm_clock);
    put(p, 32, 4, s->vm_state <= UINT32_MAX ? s->vm_state : 0);
    put(p, 36, 4, extra);
    put(p, ENTRY_FIXED + 16, 8, UINT64_MAX); /* no instruction count */
    memcpy(p + ENTRY_FIXED, s->extra, s->extra_size);
    put(p, ENTRY_FIXED, 8, s->vm_state);
    put(p, ENTRY_FIXED + 8, 8, s->size);
    memcpy(p + ENTRY_FIXED + extra, s->id, id);
    memcpy(p + ENTRY_FIXED + extra + id, s->name, name);
}

/* A new table with these, on the file but not yet in the header. *cluster 0: it is empty. */
static int write_table(struct qcow2 *q, const struct qcow2_snapshot *s, size_t n, uint64_t *cluster,
                       uint64_t *bytes, struct error *err)
{
    *bytes = 0;
    *cluster = 0;
    for (size_t i = 0; i < n; i++)
        *bytes += entry_size(&s[i]);
    if (*bytes > QCOW2_MAX_SNAP_TABLE)
        return error_set(err, EFBIG, "keep so many snapshots in '%s'", q->file->path);
    if (n == 0)
        return 0;
    uint32_t clusters = (uint32_t)(cluster_up(q, *bytes) >> q->cluster_bits);
    if (qcow2_alloc_row(q, clusters, cluster, err) < 0)
        return -1;
    cleanup_free uint8_t *table = xcalloc(1, *bytes);
    uint8_t *p = table;
    for (size_t i = 0; i < n; p += entry_size(&s[i]), i++)
        write_entry(&s[i], p);
    if (hostfile_write(q->file, table, *bytes, *cluster << q->cluster_bits, err) == 0)
        return 0;
    qcow2_unref(q, *cluster, clusters, NULL);
    return -1;
}

/* Make it the table, and forget the one before. */
static int switch_table(struct qcow2 *q, size_t n, uint64_t cluster, uint64_t bytes,
                        struct error *err)
{
    uint8_t field[12];
    uint64_t old = q->h.snapshots_offset, old_bytes = q->snapshots_bytes;
    put(field, 0, 4, n);
    put(field, 4, 8, cluster << q->cluster_bits);
    if (qcow2_barrier(q, err) < 0 || hostfile_sync(q->file, err) < 0 ||
        qcow2_header_write(q, HEADER_SNAPSHOTS, field, sizeof field, err) < 0 ||
        hostfile_sync(q->file, err) < 0)
        return -1;
    q->h.nsnapshots = (uint32_t)n;
    q->h.snapshots_offset = cluster << q->cluster_bits;
    q->snapshots_bytes = bytes;
    if (old_bytes > 0)
        return qcow2_unref(q, old >> q->cluster_bits,
                           (uint32_t)(cluster_up(q, old_bytes) >> q->cluster_bits), err);
    return 0;
}

/* ---- counts and flags of all that an L1 table refers to ---- */

typedef int table_fn(struct qcow2 *q, uint64_t offset, uint64_t *table, struct error *err);

/* Call fn for each L2 table. */
static int for_each_table(struct qcow2 *q, const uint64_t *l1, uint32_t n, table_fn *fn,
                          struct error *err)
{
    uint64_t *table = NULL;
    int rc = 0;
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        uint64_t offset = l1[i] & ENTRY_OFFSET;
        if (offset == 0)
            continue;
        if (in_cluster(q, offset) || offset >= cluster_up(q, q->file->size))
            rc = qcow2_corrupt(q, err, "an L1 table points to %#llx", (unsigned long long)offset);
        else
            rc = qcow2_read_table(q, offset, q->cluster_size / sizeof *table, &table, err);
        if (rc == 0 && table)
            rc = fn(q, offset, table, err);
    }
    free(table);
    return rc;
}

int qcow2_write_l2(struct qcow2 *q, uint64_t offset, const uint64_t *table, struct error *err)
{
    size_t n = q->cluster_size / sizeof *table;
    cleanup_free uint64_t *disk = xcalloc(n, sizeof *disk);
    for (size_t i = 0; i < n; i++)
        disk[i] = htobe64(table[i]);
    cache_drop(q, &q->l2, offset);
    return hostfile_write(q->file, disk, q->cluster_size, offset, err);
}

/* Can each count be one more? */
static int check_room_for_one(struct qcow2 *q, uint64_t cluster, struct error *err)
{
    uint64_t count;
    if (qcow2_refcount(q, cluster, &count, err) < 0)
        return -1;
    if (count == 0)
        return qcow2_corrupt(q, err, "a cluster in use is not counted, at %#llx",
                             (unsigned long long)cluster << q->cluster_bits);
    if (count < refcount_max(q->refcount_order))
        return 0;
    return error_set(err, 0,
                     "the refcounts of '%s' have only %u bit%s: it cannot have %s snapshots",
                     q->file->path, 1u << q->refcount_order, q->refcount_order ? "s" : "",
                     q->refcount_order ? "more" : "any");
}

static int check_table_room(struct qcow2 *q, uint64_t offset, uint64_t *table, struct error *err)
{
    if (check_room_for_one(q, offset >> q->cluster_bits, err) < 0)
        return -1;
    for (uint32_t i = 0; i < q->cluster_size / sizeof *table; i++) {
        uint64_t cluster;
        uint32_t n = qcow2_entry_clusters(q, table[i], &cluster);
        for (uint32_t k = 0; k < n; k++)
            if (check_room_for_one(q, cluster + k, err) < 0)
                return -1;
    }
    return 0;
}

static int one_more(struct qcow2 *q, uint64_t cluster, struct error *err)
{
    uint64_t count;
    if (check_room_for_one(q, cluster, err) < 0 || qcow2_refcount(q, cluster, &count, err) < 0)
        return -1;
    return qcow2_set_refcount(q, cluster, count + 1, err);
}

/* One more for all, and nothing is only one's own any more. */
static int share_table(struct qcow2 *q, uint64_t offset, uint64_t *table, struct error *err)
{
    bool changed = false;
    for (uint32_t i = 0; i < q->cluster_size / sizeof *table; i++) {
        uint64_t cluster;
        uint32_t n = qcow2_entry_clusters(q, table[i], &cluster);
        for (uint32_t k = 0; k < n; k++)
            if (one_more(q, cluster + k, err) < 0)
                return -1;
        changed |= (table[i] & ENTRY_COPIED) != 0;
        table[i] &= ~ENTRY_COPIED;
    }
    if (changed && qcow2_write_l2(q, offset, table, err) < 0)
        return -1;
    return one_more(q, offset >> q->cluster_bits, err);
}

static int release_table(struct qcow2 *q, uint64_t offset, uint64_t *table, struct error *err)
{
    for (uint32_t i = 0; i < q->cluster_size / sizeof *table; i++) {
        uint64_t cluster;
        uint32_t n = qcow2_entry_clusters(q, table[i], &cluster);
        if (n > 0 && qcow2_unref(q, cluster, n, err) < 0)
            return -1;
    }
    cache_drop(q, &q->l2, offset);
    return qcow2_unref(q, offset >> q->cluster_bits, 1, err);
}

/* Set or take away the flag of an entry as its cluster's count says. */
static int fix_flag(struct qcow2 *q, uint64_t *entry, bool *changed, struct error *err)
{
    uint64_t count, wanted = *entry & ~ENTRY_COPIED;
    if (!(*entry & ENTRY_COMPRESSED) && (*entry & ENTRY_OFFSET)) {
        if (qcow2_refcount(q, (*entry & ENTRY_OFFSET) >> q->cluster_bits, &count, err) < 0)
            return -1;
        if (count == 1)
            wanted |= ENTRY_COPIED;
    }
    *changed |= wanted != *entry;
    *entry = wanted;
    return 0;
}

static int fix_table_flags(struct qcow2 *q, uint64_t offset, uint64_t *table, struct error *err)
{
    bool changed = false;
    for (uint32_t i = 0; i < q->cluster_size / sizeof *table; i++)
        if (fix_flag(q, &table[i], &changed, err) < 0)
            return -1;
    return changed ? qcow2_write_l2(q, offset, table, err) : 0;
}

int qcow2_fix_flags(struct qcow2 *q, struct error *err)
{
    if (for_each_table(q, q->l1, q->h.l1_size, fix_table_flags, err) < 0)
        return -1;
    for (uint32_t i = 0; i < q->h.l1_size; i++) {
        bool changed = false;
        if (fix_flag(q, &q->l1[i], &changed, err) < 0)
            return -1;
        if (changed)
            sectors_mark(&q->l1_dirty, i);
    }
    return 0;
}

/* ---- what can be done with them ---- */

static struct qcow2_snapshot *find(const struct qcow2 *q, const char *name)
{
    for (size_t i = 0; i < q->nsnapshots; i++)
        if (str_eq(q->snapshots[i].name, name))
            return &q->snapshots[i];
    for (size_t i = 0; i < q->nsnapshots; i++)
        if (str_eq(q->snapshots[i].id, name))
            return &q->snapshots[i];
    return NULL;
}

static uint64_t next_id(const struct qcow2 *q)
{
    uint64_t id = 0;
    for (size_t i = 0; i < q->nsnapshots; i++)
        id = max(id, (uint64_t)strtoul(q->snapshots[i].id, NULL, 10));
    return id + 1;
}

/* A snapshot of what is now, with its L1 table and a place for the new table of snapshots. */
static int prepare(struct qcow2 *q, const char *name, struct qcow2_snapshot *s, struct error *err)
{
    struct timespec now;
    uint64_t l1 = 0;
    uint32_t clusters = qcow2_l1_clusters(q, q->h.l1_size);
    clock_gettime(CLOCK_REALTIME, &now);
    if (clusters > 0 && qcow2_alloc_row(q, clusters, &l1, err) < 0)
        return -1;
    *s = (struct qcow2_snapshot){
        .l1_offset = l1 << q->cluster_bits,
        .l1_size = q->h.l1_size,
        .date = (uint32_t)now.tv_sec,
        .date_nsec = (uint32_t)now.tv_nsec,
        .size = q->h.size,
        .id = xasprintf("%llu", (unsigned long long)next_id(q)),
        .name = xstrdup(name),
        .extra = xcalloc(1, 1),
    };
    return qcow2_write_l1(q, q->l1, q->h.l1_size, ~ENTRY_COPIED, l1, err);
}

static void unprepare(struct qcow2 *q, struct qcow2_snapshot *s)
{
    uint32_t clusters = qcow2_l1_clusters(q, s->l1_size);
    if (s->l1_offset)
        qcow2_unref(q, s->l1_offset >> q->cluster_bits, clusters, NULL);
    snapshot_clear(s);
}

static int check_new(struct qcow2 *q, const char *name, struct error *err)
{
    if (find(q, name))
        return error_set(err, 0, "'%s' has a snapshot '%s' already", q->file->path, name);
    if (*name == '\0' || strlen(name) > NAME_BYTES)
        return error_set(err, 0, "the name of a snapshot has 1 to %d bytes", NAME_BYTES);
    if (q->nsnapshots >= QCOW2_MAX_SNAPSHOTS)
        return error_set(err, 0, "'%s' has %zu snapshots; delete some first", q->file->path,
                         q->nsnapshots);
    return for_each_table(q, q->l1, q->h.l1_size, check_table_room, err);
}

/* Count what is shared from now on, and let the table have it. */
static int enter(struct qcow2 *q, uint64_t table, uint64_t bytes, struct error *err)
{
    if (for_each_table(q, q->l1, q->h.l1_size, share_table, err) < 0)
        return -1;
    for (uint32_t i = 0; i < q->h.l1_size; i++)
        if (q->l1[i] & ENTRY_COPIED) {
            q->l1[i] &= ~ENTRY_COPIED;
            sectors_mark(&q->l1_dirty, i);
        }
    return switch_table(q, q->nsnapshots + 1, table, bytes, err);
}

/* What may find no room comes first. */
static int create(struct qcow2 *q, const char *name, bool *half, struct error *err)
{
    uint64_t table, bytes;
    if (check_new(q, name, err) < 0)
        return -1;
    q->snapshots = xrealloc(q->snapshots, q->nsnapshots + 1, sizeof *q->snapshots);
    struct qcow2_snapshot *s = &q->snapshots[q->nsnapshots];
    *s = (struct qcow2_snapshot){0};
    if (prepare(q, name, s, err) < 0 ||
        write_table(q, q->snapshots, q->nsnapshots + 1, &table, &bytes, err) < 0) {
        unprepare(q, s);
        return -1;
    }
    *half = true;
    if (enter(q, table, bytes, err) < 0) {
        snapshot_clear(s);
        return -1;
    }
    q->nsnapshots++;
    *half = false;
    return 0;
}

/* The snapshot of this name, with its L1 table. */
static struct qcow2_snapshot *load(struct qcow2 *q, const char *name, uint64_t **l1,
                                   struct error *err)
{
    struct qcow2_snapshot *s = find(q, name);
    *l1 = NULL;
    if (s == NULL)
        error_set(err, 0, "'%s' has no snapshot '%s'", q->file->path, name);
    else if (s->l1_offset + s->l1_size * sizeof **l1 > q->file->size)
        qcow2_corrupt(q, err, "the snapshot '%s' is not in the file", s->name);
    else if (qcow2_read_table(q, s->l1_offset, s->l1_size, l1, err) == 0)
        return s;
    return NULL;
}

/* Nothing refers to it any more: give back what an L1 table refers to, and the table. */
static int release_l1(struct qcow2 *q, const uint64_t *l1, uint32_t entries, uint64_t offset,
                      struct error *err)
{
    if (entries == 0)
        return 0;
    if (for_each_table(q, l1, entries, release_table, err) < 0)
        return -1;
    return qcow2_unref(q, offset >> q->cluster_bits, qcow2_l1_clusters(q, entries), err);
}

static int apply(struct qcow2 *q, const char *name, bool *half, struct error *err)
{
    cleanup_free uint64_t *l1 = NULL, *old = NULL;
    const struct qcow2_snapshot *s = load(q, name, &l1, err);
    if (s == NULL || for_each_table(q, l1, s->l1_size, check_table_room, err) < 0)
        return -1;
    if (s->size > INT64_MAX || s->l1_size < qcow2_l1_needed(q, s->size))
        return qcow2_corrupt(q, err, "the snapshot '%s' is shorter than its disk", name);
    uint64_t cluster = 0, old_offset = q->h.l1_offset;
    uint32_t clusters = qcow2_l1_clusters(q, s->l1_size), old_entries = q->h.l1_size;
    if (clusters > 0 && qcow2_alloc_row(q, clusters, &cluster, err) < 0)
        return -1;
    *half = true;
    for (uint32_t i = 0; i < s->l1_size; i++)
        l1[i] &= ~ENTRY_COPIED;
    if (qcow2_write_l1(q, l1, s->l1_size, ~UINT64_C(0), cluster, err) < 0 ||
        for_each_table(q, l1, s->l1_size, share_table, err) < 0)
        return -1;
    old = xcalloc(old_entries, sizeof *old);
    memcpy(old, q->l1, old_entries * sizeof *old);
    if (qcow2_switch_l1(q, &l1, cluster, s->l1_size, s->size, err) < 0 ||
        release_l1(q, old, old_entries, old_offset, err) < 0 || qcow2_fix_flags(q, err) < 0)
        return -1;
    __atomic_store_n(&q->disk->size, s->size & ~UINT64_C(511), __ATOMIC_RELAXED);
    *half = false;
    return 0;
}

static int delete (struct qcow2 *q, const char *name, bool *half, struct error *err)
{
    uint64_t table, bytes;
    cleanup_free uint64_t *l1 = NULL;
    struct qcow2_snapshot *s = load(q, name, &l1, err);
    if (s == NULL)
        return -1;
    struct qcow2_snapshot gone = *s, *last = &q->snapshots[q->nsnapshots - 1];
    memmove(s, s + 1, (size_t)(last - s) * sizeof *s);
    *last = gone; /* until it is gone */
    if (write_table(q, q->snapshots, q->nsnapshots - 1, &table, &bytes, err) < 0)
        return -1;
    *half = true;
    if (switch_table(q, q->nsnapshots - 1, table, bytes, err) < 0)
        return -1;
    q->nsnapshots--;
    int rc = release_l1(q, l1, gone.l1_size, gone.l1_offset, err);
    snapshot_clear(&gone);
    if (rc < 0 || qcow2_fix_flags(q, err) < 0)
        return -1;
    *half = false;
    return 0;
}

/* Indexed by enum disk_snapshot_op. */
static int (*const ops[])(struct qcow2 *, const char *, bool *, struct error *) = {
    [DISK_SNAPSHOT_CREATE] = create,
    [DISK_SNAPSHOT_APPLY] = apply,
    [DISK_SNAPSHOT_DELETE] = delete,
};

/*
 * Between two settled states, marked dirty in between. If it fails half-way the mark remains; what
 * is in memory is as sound as what is on the disk. Refcounts are not put off here.
 */
static int change(struct qcow2 *q, enum disk_snapshot_op op, const char *name, struct error *err)
{
    bool was_dirty = q->h.incompatible & QCOW2_DIRTY, half = false;
    if (qcow2_settle(q, err) < 0 ||
        qcow2_set_incompatible(q, q->h.incompatible | QCOW2_DIRTY, err) < 0)
        return -1;
    int rc = ops[op](q, name, &half, err);
    if (rc == 0)
        rc = qcow2_settle(q, err);
    else
        qcow2_settle(q, NULL);
    qcow2_load_meta(q);
    if (!was_dirty && !q->corrupt && !half &&
        qcow2_set_incompatible(q, q->h.incompatible & ~QCOW2_DIRTY, rc == 0 ? err : NULL) < 0)
        return -1;
    return rc;
}

int qcow2_snapshot(struct disk *d, enum disk_snapshot_op op, const char *name, struct error *err)
{
    struct qcow2 *q = d->state;
    int rc = -1;
    pthread_mutex_lock(&q->flush_lock);
    pthread_mutex_lock(&d->lock);
    if (d->out[0] + d->out[1] > 0) {
        error_set(err, 0, "'%s' is being written to", q->file->path);
    } else if (qcow2_check_writable(q, err) == 0) {
        bool lazy = q->lazy;
        q->lazy = false;
        rc = change(q, op, name, err);
        q->lazy = lazy;
    }
    pthread_mutex_unlock(&d->lock);
    pthread_mutex_unlock(&q->flush_lock);
    return rc;
}
