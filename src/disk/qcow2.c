/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening and closing qcow2 images; qcow2.h tells how they work.
 *
 * An image that was not closed while it had lazy refcounts is dirty: before it is written to, its
 * refcounts are counted anew. One that is found to be corrupt is marked so, where version 3 has a
 * bit for it, and from then on only read.
 */
#include "disk/qcow2.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"

#define SLICE_SIZE 4096u
#define L2_CACHE   (1u << 20) /* bytes: covers 8 GiB of a disk with clusters of 64 KiB */
#define REFS_CACHE (256u << 10)

/* ---- the header, written ---- */

int qcow2_header_write(struct qcow2 *q, unsigned at, const void *data, size_t len,
                       struct error *err)
{
    return hostfile_write(q->file, data, len, at, err);
}

int qcow2_set_incompatible(struct qcow2 *q, uint64_t bits, struct error *err)
{
    uint64_t disk = htobe64(bits);
    if (q->h.version < 3)
        return 0;
    if (hostfile_write(q->file, &disk, sizeof disk, HEADER_INCOMPATIBLE, err) < 0 ||
        hostfile_sync(q->file, err) < 0)
        return -1;
    q->h.incompatible = bits;
    return 0;
}

int qcow2_corrupt(struct qcow2 *q, struct error *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cleanup_free char *what = xvasprintf(fmt, ap);
    va_end(ap);
    error_set(err, 0, "'%s' is corrupt: %s", q->file->path, what);
    error_hint(err, "see pult disk check");
    if (err)
        err->code = EIO;
    if (q->disk->readonly || q->corrupt)
        return -1;
    q->corrupt = true;
    log_line("'%s' is corrupt: %s; nothing more is written to it", q->file->path, what);
    qcow2_set_incompatible(q, q->h.incompatible | QCOW2_CORRUPT, NULL);
    return -1;
}

int qcow2_check_writable(struct qcow2 *q, struct error *err)
{
    if (!q->corrupt)
        return 0;
    error_set(err, 0, "'%s' is corrupt, and not written to any more", q->file->path);
    if (err)
        err->code = EIO;
    return -1;
}

/* ---- loading ---- */

/* A table of 64-bit numbers. The caller has bounded it. */
int qcow2_read_table(struct qcow2 *q, uint64_t offset, uint64_t entries, uint64_t **out,
                     struct error *err)
{
    uint64_t *table = xcalloc(entries, sizeof *table);
    if (hostfile_read(q->file, table, entries * sizeof *table, offset, err) < 0) {
        free(table);
        return -1;
    }
    for (uint64_t i = 0; i < entries; i++)
        table[i] = be64toh(table[i]);
    free(*out);
    *out = table;
    return 0;
}

/* The clusters of a table. */
static void push_table(struct qcow2 *q, uint64_t offset, uint64_t bytes)
{
    if (bytes > 0)
        set_push(&q->meta, offset >> q->cluster_bits, cluster_up(q, bytes) >> q->cluster_bits);
}

/* Which clusters nothing must be written over: all metadata but the L2 tables of snapshots. */
void qcow2_load_meta(struct qcow2 *q)
{
    struct cluster_set *m = &q->meta;
    m->count = 0;
    set_push(m, 0, 1);
    push_table(q, q->h.l1_offset, (uint64_t)q->h.l1_size * sizeof(uint64_t));
    push_table(q, q->h.reftable_offset, q->reftable_entries * sizeof(uint64_t));
    push_table(q, q->h.snapshots_offset, q->snapshots_bytes);
    for (uint32_t i = 0; i < q->h.l1_size; i++)
        if (q->l1[i] & ENTRY_OFFSET)
            set_push(m, (q->l1[i] & ENTRY_OFFSET) >> q->cluster_bits, 1);
    for (uint64_t i = 0; i < q->reftable_entries; i++)
        if (q->reftable[i])
            set_push(m, q->reftable[i] >> q->cluster_bits, 1);
    for (size_t i = 0; i < q->nsnapshots; i++)
        push_table(q, q->snapshots[i].l1_offset,
                   (uint64_t)q->snapshots[i].l1_size * sizeof(uint64_t));
    set_sort(m);
}

int qcow2_load_reftable(struct qcow2 *q, bool for_check, struct error *err)
{
    uint64_t entries = ((uint64_t)q->h.reftable_clusters << q->cluster_bits) / sizeof(uint64_t);
    if (qcow2_read_table(q, q->h.reftable_offset, entries, &q->reftable, err) < 0) {
        if (!for_check)
            return error_wrap(err, "its refcount table");
        free(q->reftable);
        q->reftable = xcalloc(1, sizeof *q->reftable);
        entries = 0;
    }
    q->reftable_entries = entries;
    sectors_clear(&q->reftable_dirty);
    sectors_init(&q->reftable_dirty, entries);
    return 0;
}

int qcow2_load(struct qcow2 *q, bool for_check, struct error *err)
{
    qcow2_free_snapshots(q->snapshots, q->nsnapshots);
    q->snapshots = NULL;
    q->nsnapshots = 0;
    if (qcow2_read_table(q, q->h.l1_offset, q->h.l1_size, &q->l1, err) < 0)
        return error_wrap(err, "its L1 table");
    if (qcow2_read_snapshots(q->file, &q->h, &q->snapshots, &q->snapshots_bytes, err) < 0)
        return -1;
    q->nsnapshots = q->h.nsnapshots;
    sectors_clear(&q->l1_dirty);
    sectors_init(&q->l1_dirty, q->h.l1_size);
    if (q->disk->readonly)
        return 0;
    if (qcow2_load_reftable(q, for_check, err) < 0)
        return -1;
    qcow2_load_meta(q);
    q->hint = 0;
    q->end = q->file->device ? 0 : cluster_up(q, q->file->size);
    q->blank_from = cluster_up(q, q->file->size);
    return 0;
}

/* ---- opening ---- */

/* Does what the image says of a backing file fit what the caller gave? */
static int check_backing(const struct disk *d, const struct qcow2_header *h,
                         const struct disk_spec *spec, struct error *err)
{
    if (h->backing && !d->backing && !(spec->flags & DISK_NO_BACKING)) {
        error_set(err, 0, "'%s' is based on '%s'%s%s%s, which is not given", d->file.path,
                  h->backing, h->backing_format ? " (" : "",
                  h->backing_format ? h->backing_format : "", h->backing_format ? ")" : "");
        return error_hint(err, "name its backing file, if you trust it to be the right one");
    }
    if (!h->backing && d->backing)
        return error_set(err, 0, "'%s' is not based on any other image, but '%s' is given",
                         d->file.path, d->backing->file.path);
    return 0;
}

static int check_usable(const struct disk *d, const struct qcow2_header *h,
                        const struct disk_spec *spec, struct error *err)
{
    if (*h->unsupported)
        return error_set(err, 0, "'%s' cannot be used: %s", d->file.path, h->unsupported);
    if (!d->readonly && h->reftable_clusters == 0 && !(spec->flags & DISK_FOR_CHECK))
        return error_set(err, 0, "'%s' has no refcount table", d->file.path);
    if (!d->readonly && (h->incompatible & QCOW2_CORRUPT) && !(spec->flags & DISK_FOR_CHECK)) {
        error_set(err, 0, "'%s' is marked corrupt", d->file.path);
        return error_hint(err, "pult disk check --repair may mend it; it can be read as it is");
    }
    return check_backing(d, h, spec, err);
}

/* What a first write asks for: counts that are right, and no promises that we cannot keep. */
static int prepare_writing(struct qcow2 *q, const struct disk_spec *spec, struct error *err)
{
    uint64_t none = 0;
    if (spec->flags & DISK_FOR_CHECK)
        return 0;
    if (q->h.incompatible & QCOW2_DIRTY) {
        log_line("'%s' was not closed: its refcounts are counted anew", q->file->path);
        if (qcow2_rebuild_refcounts(q, err) < 0)
            return error_wrap(err, "repair '%s', which was not closed", q->file->path);
    }
    if (q->h.autoclear == 0)
        return 0;
    if (qcow2_header_write(q, HEADER_AUTOCLEAR, &none, sizeof none, err) < 0 ||
        hostfile_sync(q->file, err) < 0)
        return -1;
    q->h.autoclear = 0;
    return 0;
}

static void set_geometry(struct qcow2 *q)
{
    q->cluster_bits = q->h.cluster_bits;
    q->cluster_size = 1u << q->cluster_bits;
    q->l2_bits = q->cluster_bits - 3;
    q->refcount_order = q->h.refcount_order;
    q->rb_bits = q->cluster_bits + 3 - q->refcount_order;
    q->lazy = !q->disk->readonly && q->h.version >= 3 && (q->h.compatible & QCOW2_LAZY);
    unsigned slice = min(q->cluster_size, SLICE_SIZE);
    cache_init(&q->l2, slice, L2_CACHE / slice);
    cache_init(&q->refs, slice, REFS_CACHE / slice);
}

static void qcow2_free(struct qcow2 *q)
{
    qcow2_free_snapshots(q->snapshots, q->nsnapshots);
    qcow2_header_clear(&q->h);
    cache_clear(&q->l2);
    cache_clear(&q->refs);
    sectors_clear(&q->l1_dirty);
    sectors_clear(&q->reftable_dirty);
    free(q->l1);
    free(q->reftable);
    free(q->meta.list);
    free(q->frees);
    free(q->unpacked);
    pthread_mutex_destroy(&q->flush_lock);
    pthread_mutex_destroy(&q->unpack_lock);
    free(q);
}

static int qcow2_open(struct disk *d, const struct disk_spec *spec, struct error *err)
{
    struct qcow2 *q = xcalloc(1, sizeof *q);
    d->state = q;
    q->disk = d;
    q->file = &d->file;
    pthread_mutex_init(&q->flush_lock, NULL);
    pthread_mutex_init(&q->unpack_lock, NULL);
    if (qcow2_header_read(q->file, &q->h, err) == 0 && check_usable(d, &q->h, spec, err) == 0) {
        set_geometry(q);
        d->size = q->h.size & ~UINT64_C(511);
        d->granularity = q->cluster_size;
        if (qcow2_load(q, spec->flags & DISK_FOR_CHECK, err) == 0 &&
            (d->readonly || prepare_writing(q, spec, err) == 0))
            return 0;
    }
    qcow2_free(q);
    return -1;
}

/* The dirty bit of lazy refcounts goes when the refcounts are there. */
static int write_back(struct qcow2 *q, struct error *err)
{
    q->lazy = false;
    pthread_mutex_lock(&q->flush_lock);
    pthread_mutex_lock(&q->disk->lock);
    int rc = qcow2_settle(q, err);
    pthread_mutex_unlock(&q->disk->lock);
    pthread_mutex_unlock(&q->flush_lock);
    if (rc == 0 && q->marked_dirty)
        rc = qcow2_set_incompatible(q, q->h.incompatible & ~QCOW2_DIRTY, err);
    if (rc == 0 && !q->file->device && q->file->size > q->end)
        hostfile_truncate(q->file, q->end, NULL); /* holes that were not needed */
    return rc;
}

static int qcow2_close(struct disk *d, struct error *err)
{
    struct qcow2 *q = d->state;
    int rc = d->readonly || q->corrupt ? 0 : write_back(q, err);
    qcow2_free(q);
    return rc;
}

/* ---- what it is ---- */

static void snapshot_info(struct disk_info *info, const struct qcow2_snapshot *s, size_t n)
{
    info->snapshots = xcalloc(n, sizeof *info->snapshots);
    for (size_t i = 0; i < n; i++)
        info->snapshots[i] = (struct disk_snapshot_info){
            .id = xstrdup(s[i].id),
            .name = xstrdup(s[i].name),
            .date = s[i].date,
            .vm_state = s[i].vm_state,
            .size = s[i].size,
        };
    info->nsnapshots = n;
}

static void fill_info(struct disk_info *info, const struct qcow2_header *h)
{
    info->format = "qcow2";
    info->size = h->size & ~UINT64_C(511);
    info->version = h->version;
    info->cluster_size = 1u << h->cluster_bits;
    info->refcount_bits = 1u << h->refcount_order;
    info->compression = h->compression == COMPRESS_ZLIB   ? "zlib"
                        : h->compression == COMPRESS_ZSTD ? "zstd"
                                                          : "unknown";
    info->lazy_refcounts = h->compatible & QCOW2_LAZY;
    info->dirty = h->incompatible & QCOW2_DIRTY;
    info->corrupt = h->incompatible & QCOW2_CORRUPT;
    info->backing_path = h->backing ? xstrdup(h->backing) : NULL;
    info->backing_format = h->backing_format ? xstrdup(h->backing_format) : NULL;
    info->unsupported = *h->unsupported ? xstrdup(h->unsupported) : NULL;
}

static void qcow2_info(struct disk *d, struct disk_info *info)
{
    struct qcow2 *q = d->state;
    pthread_mutex_lock(&d->lock);
    fill_info(info, &q->h);
    snapshot_info(info, q->snapshots, q->nsnapshots);
    pthread_mutex_unlock(&d->lock);
}

static int qcow2_inspect(struct hostfile *f, struct disk_info *info, struct error *err)
{
    struct qcow2_header h;
    struct qcow2_snapshot *s;
    uint64_t bytes;
    int rc = qcow2_header_read(f, &h, err);
    if (rc == 0)
        rc = qcow2_read_snapshots(f, &h, &s, &bytes, err);
    if (rc == 0) {
        fill_info(info, &h);
        snapshot_info(info, s, h.nsnapshots);
        qcow2_free_snapshots(s, h.nsnapshots);
    }
    qcow2_header_clear(&h);
    return rc;
}

const struct disk_driver driver_qcow2 = {
    .name = "qcow2",
    .open = qcow2_open,
    .close = qcow2_close,
    .map_read = qcow2_map_read,
    .map_write = qcow2_map_write,
    .fill = qcow2_fill,
    .link = qcow2_link,
    .drop = qcow2_drop,
    .pressed = qcow2_pressed,
    .discard = qcow2_discard,
    .zero = qcow2_zero,
    .read_copy = qcow2_read_copy,
    .flush = qcow2_flush,
    .flush_is_sync = qcow2_flush_is_sync,
    .info = qcow2_info,
    .snapshot = qcow2_snapshot,
    .resize = qcow2_resize,
    .check = qcow2_check,
    .empty = qcow2_empty,
    .format = qcow2_format,
    .inspect = qcow2_inspect,
};
