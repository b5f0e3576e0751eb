/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another size, and with it another L1 table. A disk that grows is made to read as zeroes where it
 * does before the header says that it is larger; one that shrinks is made smaller before anything
 * of it is given back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "disk/qcow2.h"

/* ---- L1 tables ---- */

uint32_t qcow2_l1_needed(const struct qcow2 *q, uint64_t size)
{
    unsigned bits = q->cluster_bits + q->l2_bits; /* of disk for an entry */
    uint64_t n = (size >> bits) + ((size & ((UINT64_C(1) << bits) - 1)) != 0);
    return n > QCOW2_MAX_L1 / sizeof(uint64_t) ? UINT32_MAX : (uint32_t)n;
}

uint32_t qcow2_l1_clusters(const struct qcow2 *q, uint32_t entries)
{
    return (uint32_t)(cluster_up(q, (uint64_t)entries * sizeof(uint64_t)) >> q->cluster_bits);
}

int qcow2_write_l1(struct qcow2 *q, const uint64_t *l1, uint32_t entries, uint64_t mask,
                   uint64_t cluster, struct error *err)
{
    cleanup_free uint64_t *disk = xcalloc(entries, sizeof *disk);
    for (uint32_t i = 0; i < entries; i++)
        disk[i] = htobe64(l1[i] & mask);
    return hostfile_write(q->file, disk, entries * sizeof *disk, cluster << q->cluster_bits, err);
}

/* Size and L1 table stand near each other in the header: they change in one write. */
int qcow2_switch_l1(struct qcow2 *q, uint64_t **l1, uint64_t cluster, uint32_t entries,
                    uint64_t size, struct error *err)
{
    struct {
        uint64_t size;
        uint32_t crypt_method, l1_size;
        uint64_t l1_offset;
    } __attribute__((packed)) field = {htobe64(size), htobe32(q->h.crypt_method), htobe32(entries),
                                       htobe64(cluster << q->cluster_bits)};
    _Static_assert(sizeof field == HEADER_L1 + 12 - HEADER_SIZE, "fields of the header");
    if (qcow2_barrier(q, err) < 0 || hostfile_sync(q->file, err) < 0 ||
        qcow2_header_write(q, HEADER_SIZE, &field, sizeof field, err) < 0 ||
        hostfile_sync(q->file, err) < 0)
        return -1;
    free(q->l1);
    q->l1 = *l1;
    *l1 = NULL;
    q->h.l1_size = entries;
    q->h.l1_offset = cluster << q->cluster_bits;
    q->h.size = size;
    sectors_clear(&q->l1_dirty);
    sectors_init(&q->l1_dirty, entries);
    return 0;
}

/* An L1 table of so many entries, elsewhere. */
static int grow_l1(struct qcow2 *q, uint32_t entries, struct error *err)
{
    uint64_t cluster, old = q->h.l1_offset;
    uint32_t clusters = qcow2_l1_clusters(q, entries), old_entries = q->h.l1_size;
    cleanup_free uint64_t *l1 = xcalloc(entries, sizeof *l1);
    memcpy(l1, q->l1, old_entries * sizeof *l1);
    if (qcow2_alloc_row(q, clusters, &cluster, err) < 0)
        return -1;
    /* Tables that the old one on the disk does not know yet are linked by this. */
    if (qcow2_write_l1(q, l1, entries, ~UINT64_C(0), cluster, err) < 0 ||
        qcow2_switch_l1(q, &l1, cluster, entries, q->h.size, err) < 0) {
        qcow2_unref(q, cluster, clusters, NULL);
        return -1;
    }
    set_add(&q->meta, cluster, clusters);
    if (old_entries > 0) {
        uint32_t n = qcow2_l1_clusters(q, old_entries);
        set_remove(&q->meta, old >> q->cluster_bits, n);
        qcow2_free_later(q, old >> q->cluster_bits, n);
    }
    return 0;
}

/* ---- sizes ---- */

static int write_size(struct qcow2 *q, uint64_t size, struct error *err)
{
    uint64_t disk = htobe64(size);
    if (qcow2_header_write(q, HEADER_SIZE, &disk, sizeof disk, err) < 0 ||
        hostfile_sync(q->file, err) < 0)
        return -1;
    q->h.size = size;
    return 0;
}

static int ensure_l1(struct qcow2 *q, uint64_t size, struct error *err)
{
    uint32_t needed = qcow2_l1_needed(q, size);
    if (needed == UINT32_MAX)
        return error_set(err, EFBIG,
                         "make '%s' so large: with clusters of %u bytes it can have %llu at most",
                         q->file->path, q->cluster_size,
                         (unsigned long long)q->cluster_size
                             << (q->l2_bits + __builtin_ctz(QCOW2_MAX_L1 / sizeof(uint64_t))));
    if (needed <= q->h.l1_size)
        return 0;
    pthread_mutex_lock(&q->flush_lock);
    pthread_mutex_lock(&q->disk->lock);
    int rc = qcow2_settle(q, err);
    if (rc == 0)
        rc = grow_l1(q, needed, err);
    pthread_mutex_unlock(&q->disk->lock);
    pthread_mutex_unlock(&q->flush_lock);
    return rc;
}

/*
 * Behind the disk its tables may have what QEMU kept of a VM's memory, in a snapshot that was gone
 * back to since: that is no part of a larger disk.
 */
static int cut_growth(struct disk *d, uint64_t old, uint64_t size, struct error *err)
{
    struct qcow2 *q = d->state;
    uint64_t done = 0;
    int rc = 0;
    for (uint64_t at = cluster_up(q, old); at < size && rc == 0; at += done) {
        pthread_mutex_lock(&d->lock);
        rc = qcow2_cut(d, at, size - at, &done, err);
        bool due = rc == 0 && qcow2_pressed(d);
        pthread_mutex_unlock(&d->lock);
        if (due)
            rc = qcow2_flush(d, err);
    }
    return rc;
}

/*
 * What a larger disk gets may hold something: the rest of its last cluster, from before it was
 * made smaller once, and what the backing file has there.
 */
static int zero_growth(struct disk *d, uint64_t old, uint64_t size, struct error *err)
{
    struct qcow2 *q = d->state;
    uint64_t end = min(size, cluster_up(q, old));
    if (d->backing)
        end = max(end, min(size, disk_size(d->backing)));
    if (end <= old)
        return 0;
    if (disk_write_zeroes(d, old, end - old, DISK_WAIT | DISK_UNMAP, err) < 0)
        return -1;
    return disk_flush(d, err);
}

static int grow(struct disk *d, uint64_t size, struct error *err)
{
    struct qcow2 *q = d->state;
    uint64_t old = disk_size(d);
    if (q->h.backing && !d->backing)
        return error_set(err, 0, "make '%s' larger without the image that it is based on",
                         d->file.path);
    if (q->h.version < 3 && q->nsnapshots > 0)
        return error_set(
            err, 0, "'%s' has snapshots, which in version 2 of qcow2 have no size of their own",
            d->file.path);
    if (ensure_l1(q, size, err) < 0 || cut_growth(d, old, size, err) < 0)
        return -1;
    __atomic_store_n(&d->size, size, __ATOMIC_RELAXED);
    if (zero_growth(d, old, size, err) < 0 || write_size(q, size, err) < 0) {
        __atomic_store_n(&d->size, old, __ATOMIC_RELAXED);
        return -1;
    }
    return 0;
}

/* Tables that only describe what is cut off. */
static void free_tables(struct qcow2 *q, uint64_t size)
{
    for (uint32_t i = qcow2_l1_needed(q, size); i < q->h.l1_size; i++) {
        uint64_t offset = q->l1[i] & ENTRY_OFFSET;
        if (offset == 0)
            continue;
        q->l1[i] = 0;
        sectors_mark(&q->l1_dirty, i);
        set_remove(&q->meta, offset >> q->cluster_bits, 1);
        cache_drop(q, &q->l2, offset);
        qcow2_free_later(q, offset >> q->cluster_bits, 1);
    }
}

/* Cut the file behind the last cluster that is in use; it happens when the image is closed. */
static void find_end(struct qcow2 *q)
{
    uint64_t cluster = q->end >> q->cluster_bits, count = 0;
    while (cluster > 0 && qcow2_refcount(q, cluster - 1, &count, NULL) == 0 && count == 0)
        cluster--;
    q->end = cluster << q->cluster_bits;
}

static int shrink(struct disk *d, uint64_t size, struct error *err)
{
    struct qcow2 *q = d->state;
    uint64_t old = disk_size(d), start = cluster_up(q, size), done;
    if (q->nsnapshots > 0) {
        error_set(err, 0, "'%s' has snapshots, which would lose what is cut off", d->file.path);
        return error_hint(err, "delete them first");
    }
    pthread_mutex_lock(&q->flush_lock);
    pthread_mutex_lock(&d->lock);
    int rc = d->out[0] + d->out[1] == 0
                 ? qcow2_settle(q, err)
                 : error_set(err, 0, "'%s' is being written to", d->file.path);
    if (rc == 0)
        rc = write_size(q, size, err);
    if (rc == 0) {
        __atomic_store_n(&d->size, size, __ATOMIC_RELAXED);
        for (; start < old && rc == 0; start += done) {
            rc = qcow2_cut(d, start, old - start, &done, err);
            if (rc == 0 && qcow2_pressed(d))
                rc = qcow2_settle(q, err);
        }
        if (rc == 0) {
            free_tables(q, size);
            rc = qcow2_settle(q, err);
        }
        if (rc == 0)
            find_end(q);
    }
    pthread_mutex_unlock(&d->lock);
    pthread_mutex_unlock(&q->flush_lock);
    return rc;
}

int qcow2_resize(struct disk *d, uint64_t size, struct error *err)
{
    struct qcow2 *q = d->state;
    if (qcow2_check_writable(q, err) < 0)
        return -1;
    if (size == disk_size(d))
        return 0;
    return size > disk_size(d) ? grow(d, size, err) : shrink(d, size, err);
}
