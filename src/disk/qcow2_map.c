/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the guest's data is: reading, allocating, linking and clearing entries of L2 tables. All
 * of it works within one slice of a table at a time; a range that goes on behind it is asked for again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "disk/qcow2.h"

#define COPY_CHUNK (64u << 10)

enum kind { UNALLOCATED, ZERO, DATA, PACKED };

/* An entry of an L2 table, by its place in a cached slice. */
struct spot {
    struct slice *slice; /* NULL: there is no table */
    unsigned index;
    uint64_t left; /* clusters from here to the end of the slice, or of the missing table */
};

static uint64_t entry_at(const struct spot *s, uint64_t i)
{
    uint64_t v;
    if (s->slice == NULL)
        return 0;
    memcpy(&v, s->slice->data + (s->index + i) * sizeof v, sizeof v);
    return be64toh(v);
}

static void entry_put(const struct spot *s, uint64_t i, uint64_t entry)
{
    uint64_t v = htobe64(entry);
    memcpy(s->slice->data + (s->index + i) * sizeof v, &v, sizeof v);
}

static int check_table(struct qcow2 *q, uint64_t table, struct error *err)
{
    if (in_cluster(q, table) == 0 && table < cluster_up(q, q->file->size))
        return 0;
    return qcow2_corrupt(q, err, "its L1 table points to %#llx", (unsigned long long)table);
}

static int find_spot(struct qcow2 *q, uint64_t offset, struct spot *s, struct error *err)
{
    uint64_t cluster = offset >> q->cluster_bits, l1 = cluster >> q->l2_bits;
    uint64_t index = cluster & ((UINT64_C(1) << q->l2_bits) - 1);
    uint64_t table = l1 < q->h.l1_size ? q->l1[l1] & ENTRY_OFFSET : 0;
    if (table == 0) {
        *s = (struct spot){.left = (UINT64_C(1) << q->l2_bits) - index};
        return 0;
    }
    uint64_t per_slice = q->l2.size / sizeof(uint64_t);
    s->index = (unsigned)(index % per_slice);
    s->left = per_slice - s->index;
    if (check_table(q, table, err) < 0)
        return -1;
    return cache_get(q, &q->l2, table + (index - s->index) * sizeof(uint64_t), &s->slice, err);
}

/* What an entry says. One that makes no sense is found out here. */
static int decode(struct qcow2 *q, uint64_t entry, enum kind *kind, struct error *err)
{
    uint64_t end = cluster_up(q, q->file->size), offset = entry & ENTRY_OFFSET;
    uint32_t size;
    if (entry & ENTRY_COMPRESSED) {
        qcow2_packed(q, entry, &offset, &size);
        *kind = PACKED;
        if (offset != 0 && offset < end)
            return 0;
    } else if (in_cluster(q, offset) == 0 && offset < end &&
               !(entry & (q->h.version < 3 ? L2_RESERVED | ENTRY_ZERO : L2_RESERVED))) {
        *kind = entry & ENTRY_ZERO ? ZERO : offset ? DATA : UNALLOCATED;
        return 0;
    }
    return qcow2_corrupt(q, err, "an L2 table has the entry %#llx", (unsigned long long)entry);
}

/* How many entries, max at most, from the first on are like it: for data, in a row on the file. */
static uint64_t run_length(const struct qcow2 *q, const struct spot *s, uint64_t max,
                           enum kind kind)
{
    uint64_t first = entry_at(s, 0), n = 1;
    if (kind == PACKED)
        return 1;
    for (; n < max; n++) {
        uint64_t e = entry_at(s, n);
        if (kind == DATA && e != first + (n << q->cluster_bits))
            break;
        if (kind == UNALLOCATED && e != 0)
            break;
        if (kind == ZERO && (e & (ENTRY_ZERO | ENTRY_COMPRESSED | L2_RESERVED)) != ENTRY_ZERO)
            break;
    }
    return n;
}

/* Clusters that a range touches. */
static uint64_t clusters_of(const struct qcow2 *q, uint64_t offset, uint64_t length)
{
    return (in_cluster(q, offset) + length + q->cluster_size - 1) >> q->cluster_bits;
}

/* Length of the first n clusters of a range. */
static uint64_t clip(const struct qcow2 *q, uint64_t offset, uint64_t length, uint64_t n)
{
    return min(length, (n << q->cluster_bits) - in_cluster(q, offset));
}

/* ---- reading ---- */

static int map_unallocated(struct qcow2 *q, uint64_t offset, uint64_t length, struct disk_map *m,
                           struct error *err)
{
    if (q->h.backing && !q->disk->backing) {
        m->kind = DISK_BELOW;
        m->length = length;
        return 0;
    }
    return disk_map_backing(q->disk, offset, length, m, err);
}

int qcow2_map_read(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                   struct error *err)
{
    struct qcow2 *q = d->state;
    struct spot s = {0};
    enum kind kind;
    if (find_spot(q, offset, &s, err) < 0)
        return -1;
    uint64_t n = min(clusters_of(q, offset, length), s.left);
    if (s.slice == NULL)
        return map_unallocated(q, offset, clip(q, offset, length, n), m, err);
    uint64_t entry = entry_at(&s, 0);
    if (decode(q, entry, &kind, err) < 0)
        return -1;
    length = clip(q, offset, length, run_length(q, &s, n, kind));
    switch (kind) {
    case UNALLOCATED:
        return map_unallocated(q, offset, length, m, err);
    case ZERO:
        disk_map_zero(m, length);
        return 0;
    case DATA:
        disk_map_data(m, d, (entry & ENTRY_OFFSET) + in_cluster(q, offset), length);
        return 0;
    case PACKED:
        m->kind = DISK_COPY;
        m->layer = d;
        m->length = length;
        qcow2_packed(q, entry, &m->offset, &m->packed);
        return 0;
    }
    return -1;
}

/* ---- tables ---- */

/* A cluster for a table, with what is in the old one, or with nothing. */
static int new_table(struct qcow2 *q, uint64_t old, uint64_t *cluster, struct error *err)
{
    uint32_t got;
    bool blank;
    if (qcow2_alloc(q, 1, true, cluster, &got, &blank, err) < 0)
        return -1;
    uint64_t offset = *cluster << q->cluster_bits;
    int rc = 0;
    cache_drop(q, &q->l2, offset);
    if (old) {
        cleanup_free uint8_t *table = xcalloc(1, q->cluster_size);
        rc = hostfile_read_padded(q->file, table, q->cluster_size, old, err);
        if (rc == 0)
            rc = hostfile_write(q->file, table, q->cluster_size, offset, err);
    } else if (!blank) {
        rc = hostfile_zero(q->file, offset, q->cluster_size, err);
    }
    if (rc < 0)
        qcow2_unref(q, *cluster, 1, NULL);
    return rc;
}

/*
 * As find_spot(), for an entry that is to be changed: there is a table then, and it is only this
 * disk's. One that is shared with a snapshot was not changed since, so it is on the disk as it is.
 */
static int writable_spot(struct qcow2 *q, uint64_t offset, struct spot *s, struct error *err)
{
    uint64_t l1 = offset >> (q->cluster_bits + q->l2_bits), cluster;
    if (qcow2_check_writable(q, err) < 0)
        return -1;
    if (l1 >= q->h.l1_size)
        return qcow2_corrupt(q, err, "its L1 table is too short");
    uint64_t old = q->l1[l1] & ENTRY_OFFSET;
    if (old && check_table(q, old, err) < 0)
        return -1;
    if (!old || !(q->l1[l1] & ENTRY_COPIED)) {
        if (new_table(q, old, &cluster, err) < 0)
            return -1;
        q->l1[l1] = cluster << q->cluster_bits | ENTRY_COPIED;
        sectors_mark(&q->l1_dirty, l1);
        q->unsynced = true;
        set_add(&q->meta, cluster, 1);
        if (old) {
            set_remove(&q->meta, old >> q->cluster_bits, 1);
            qcow2_free_later(q, old >> q->cluster_bits, 1);
        }
    }
    return find_spot(q, offset, s, err);
}

/* ---- writing ---- */

/* How an entry may be written to. */
enum way { IN_PLACE, REUSE, ALLOCATE };

static enum way way_of(uint64_t entry)
{
    if ((entry & ENTRY_COMPRESSED) || !(entry & ENTRY_COPIED) || !(entry & ENTRY_OFFSET))
        return ALLOCATE;
    return entry & ENTRY_ZERO ? REUSE : IN_PLACE;
}

/* Entries from the first on that are written in the same way, in a row on the file if they have a place. */
static uint64_t same_way(const struct qcow2 *q, const struct spot *s, uint64_t max)
{
    uint64_t first = entry_at(s, 0), n = 1;
    enum way way = way_of(first);
    for (; n < max; n++) {
        uint64_t e = entry_at(s, n);
        if (way_of(e) != way || (way != ALLOCATE && e != first + (n << q->cluster_bits)))
            break;
    }
    return n;
}

int qcow2_map_write(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                    struct error *err)
{
    struct qcow2 *q = d->state;
    struct spot s = {0};
    enum kind kind;
    if (writable_spot(q, offset, &s, err) < 0)
        return -1;
    uint64_t n = min(clusters_of(q, offset, length), s.left), entry = entry_at(&s, 0), cluster;
    if (decode(q, entry, &kind, err) < 0)
        return -1;
    n = same_way(q, &s, n);
    enum way way = way_of(entry);
    cluster = (entry & ENTRY_OFFSET) >> q->cluster_bits;
    if (way == ALLOCATE) {
        uint32_t got;
        if (qcow2_alloc(q, (uint32_t)n, false, &cluster, &got, &m->blank, err) < 0)
            return -1;
        n = got;
    } else if (set_overlaps(&q->meta, cluster, n)) {
        return qcow2_corrupt(q, err, "the guest's data and metadata are both at %#llx",
                             (unsigned long long)cluster << q->cluster_bits);
    }
    m->fresh = way != IN_PLACE;
    m->reuse = way == REUSE;
    m->host = cluster << q->cluster_bits;
    m->clusters = (uint32_t)n;
    disk_map_data(m, d, m->host + in_cluster(q, offset), clip(q, offset, length, n));
    return 0;
}

/* Zeroes at an offset of the disk, in the clusters of a map, unless they are there. */
static int fill_zeroes(struct qcow2 *q, const struct disk_map *m, uint64_t offset, uint64_t length,
                       struct error *err)
{
    if (m->blank || length == 0)
        return 0;
    uint64_t start = m->guest - in_cluster(q, m->guest);
    return hostfile_zero(q->file, m->host + (offset - start), length, err);
}

/* What the disk has at offset now, into the clusters of a map. */
static int copy_old(struct qcow2 *q, const struct disk_map *m, uint64_t offset, uint64_t length,
                    struct error *err)
{
    cleanup_free uint8_t *buf = NULL;
    uint64_t start = m->guest - in_cluster(q, m->guest);
    while (length > 0) {
        struct disk_map old;
        if (disk_map_read(q->disk, offset, min(length, (uint64_t)COPY_CHUNK), &old, err) < 0)
            return -1;
        int rc;
        if (old.kind == DISK_ZERO) {
            rc = fill_zeroes(q, m, offset, old.length, err);
        } else {
            if (buf == NULL)
                buf = xcalloc(1, COPY_CHUNK);
            struct iovec v = {buf, old.length};
            rc = disk_map_io(&old, &v, 1, err);
            if (rc == 0)
                rc = hostfile_write(q->file, buf, old.length, m->host + (offset - start), err);
        }
        disk_unmap(&old, rc == 0, NULL);
        if (rc < 0)
            return -1;
        offset += old.length;
        length -= old.length;
    }
    return 0;
}

/* What is before and behind the guest's part in the first and in the last cluster. */
int qcow2_fill(struct disk *d, struct disk_map *m, struct error *err)
{
    struct qcow2 *q = d->state;
    uint64_t end = m->guest + m->length, whole = cluster_up(q, end), size = disk_size(d);
    uint64_t head = in_cluster(q, m->guest), tail = min(whole, max(size, end));
    if (head && copy_old(q, m, m->guest - head, head, err) < 0)
        return -1;
    if (end < tail && copy_old(q, m, end, tail - end, err) < 0)
        return -1;
    return fill_zeroes(q, m, tail, whole - tail, err);
}

int qcow2_link(struct disk *d, struct disk_map *m, struct error *err)
{
    struct qcow2 *q = d->state;
    struct spot s = {0};
    if (writable_spot(q, m->guest, &s, err) < 0 || s.slice == NULL)
        return -1;
    for (uint32_t i = 0; i < m->clusters; i++) {
        uint64_t cluster, entry = entry_at(&s, i);
        uint32_t n = m->reuse ? 0 : qcow2_entry_clusters(q, entry, &cluster);
        entry_put(&s, i, (m->host + ((uint64_t)i << q->cluster_bits)) | ENTRY_COPIED);
        if (n > 0)
            qcow2_free_later(q, cluster, n);
    }
    cache_dirty(&q->l2, s.slice);
    q->unsynced = true;
    return 0;
}

void qcow2_drop(struct disk *d, struct disk_map *m)
{
    struct qcow2 *q = d->state;
    if (!m->reuse)
        qcow2_unref(q, m->host >> q->cluster_bits, m->clusters, NULL);
}

/* ---- discarding and zeroing ---- */

/* What becomes of an entry; CANNOT where the format has nothing for it. */
#define CANNOT UINT64_MAX
typedef uint64_t new_entry_fn(const struct qcow2 *q, uint64_t entry);

/* Reads as zeroes without taking space. */
static uint64_t empty_entry(const struct qcow2 *q)
{
    return !q->h.backing ? 0 : q->h.version >= 3 ? ENTRY_ZERO : CANNOT;
}

static uint64_t cut_off(const struct qcow2 *q, uint64_t entry)
{
    (void)q;
    (void)entry;
    return 0;
}

static uint64_t zeroed(const struct qcow2 *q, uint64_t entry)
{
    bool unallocated = !(entry & (ENTRY_COMPRESSED | ENTRY_ZERO | ENTRY_OFFSET));
    return unallocated && !q->h.backing ? entry : empty_entry(q);
}

/* Version 2 could only let what is below shine through: there it stays. */
static uint64_t discarded(const struct qcow2 *q, uint64_t entry)
{
    uint64_t new = zeroed(q, entry);
    return new == CANNOT ? entry : new;
}

static uint64_t zeroed_in_place(const struct qcow2 *q, uint64_t entry)
{
    if ((entry & ENTRY_COMPRESSED) || !(entry & ENTRY_OFFSET))
        return zeroed(q, entry);
    return q->h.version >= 3 ? entry | ENTRY_ZERO : CANNOT;
}

/* How many of n entries can be changed, and whether any must be. */
static int look(struct qcow2 *q, const struct spot *s, new_entry_fn *fn, uint64_t *n, bool *any,
                struct error *err)
{
    enum kind kind;
    *any = false;
    for (uint64_t i = 0; i < *n; i++) {
        uint64_t old = entry_at(s, i);
        if (decode(q, old, &kind, err) < 0)
            return -1;
        uint64_t new = fn(q, old);
        if (new == CANNOT)
            *n = i;
        else
            *any |= new != old;
        if (s->slice == NULL)
            break; /* all alike */
    }
    return 0;
}

/* Change the entries of a range, as far as the slice goes. */
static int change(struct qcow2 *q, uint64_t offset, uint64_t length, new_entry_fn *fn,
                  uint64_t *done, struct error *err)
{
    struct spot s = {0};
    bool any;
    if (qcow2_check_writable(q, err) < 0 || find_spot(q, offset, &s, err) < 0)
        return -1;
    uint64_t n = min(clusters_of(q, offset, length), s.left);
    if (look(q, &s, fn, &n, &any, err) < 0)
        return -1;
    if (any) {
        if (writable_spot(q, offset, &s, err) < 0 || s.slice == NULL)
            return -1;
        n = min(n, s.left);
        for (uint64_t i = 0; i < n; i++) {
            uint64_t cluster, kept, old = entry_at(&s, i), new = fn(q, old);
            uint32_t used = qcow2_entry_clusters(q, old, &cluster);
            entry_put(&s, i, new);
            if (used > 0 && qcow2_entry_clusters(q, new, &kept) == 0)
                qcow2_free_later(q, cluster, used);
        }
        cache_dirty(&q->l2, s.slice);
    }
    *done = n ? clip(q, offset, length, n) : 0;
    return 0;
}

int qcow2_discard(struct disk *d, uint64_t offset, uint64_t length, uint64_t *done,
                  struct error *err)
{
    return change(d->state, offset, length, discarded, done, err);
}

int qcow2_cut(struct disk *d, uint64_t offset, uint64_t length, uint64_t *done, struct error *err)
{
    return change(d->state, offset, length, cut_off, done, err);
}

/* All of it, which has been committed to the image below. */
int qcow2_empty(struct disk *d, struct error *err)
{
    struct qcow2 *q = d->state;
    uint64_t size = disk_size(d), done = 0;
    int rc = 0;
    for (uint64_t at = 0; at < size && rc == 0; at += done) {
        pthread_mutex_lock(&d->lock);
        rc = change(q, at, size - at, cut_off, &done, err);
        bool due = qcow2_pressed(d);
        pthread_mutex_unlock(&d->lock);
        if (rc == 0 && due)
            rc = qcow2_flush(d, err);
    }
    return rc < 0 ? -1 : qcow2_flush(d, err);
}

int qcow2_zero(struct disk *d, uint64_t offset, uint64_t length, bool unmap, uint64_t *done,
               struct error *err)
{
    return change(d->state, offset, length, unmap ? zeroed : zeroed_in_place, done, err);
}
