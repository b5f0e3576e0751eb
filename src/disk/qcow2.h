/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2, as QEMU's docs/interop/qcow2.txt defines it; that text's words are used here. Not for
 * others than the format itself (qcow2_*.c).
 *
 * An image is made of clusters. A guest's offset is looked up in the L1 table (in memory), whose
 * entries point to L2 tables of one cluster each, whose entries say where the data is. How often
 * each cluster of the file is referred to stands in refcount blocks, which the refcount table (in
 * memory) points to. L2 tables and refcount blocks are read and changed in slices of at most 4 KiB
 * that are held in two bounded caches.
 *
 * Order on the disk. Nothing that is on the disk may refer to what is not, and no cluster is used
 * again while anything on the disk refers to it; so after a power cut there are at worst leaks:
 *
 *   1. data, copied clusters, new tables' first content; refcounts that rise
 *      [a new refcount block: sync, then its entry in the refcount table]
 *      sync
 *   2. entries of L2 and L1 tables
 *      sync
 *   3. refcounts that fall, and with that the clusters' new use
 *
 * Steps 1 and 2 happen together in a flush, for all that has gathered since the one before; the
 * first sync is left out where nothing needs it. What falls waits in a list, until step 2 is done
 * and no map is out that was made before.
 *
 * All of this is under the lock of the disk; a flush lets go of it while it syncs, having copied
 * what it will write.
 */
#ifndef PULT_DISK_QCOW2_H
#define PULT_DISK_QCOW2_H

#include <endian.h>

#include "disk/driver.h"

#define QCOW2_MAGIC 0x514649fbu /* "QFI\xfb" */

#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
#define QCOW2_MAX_L1           (32u << 20) /* bytes; this and the following as QEMU has them */
#define QCOW2_MAX_REFTABLE     (8u << 20)
#define QCOW2_MAX_SNAPSHOTS    65536u
#define QCOW2_MAX_SNAP_TABLE   (64u << 20)
#define QCOW2_MAX_SNAP_EXTRA   1024u
#define QCOW2_MAX_BACKING_NAME 1023u

/* Incompatible, compatible and autoclear features. */
#define QCOW2_DIRTY       (UINT64_C(1) << 0)
#define QCOW2_CORRUPT     (UINT64_C(1) << 1)
#define QCOW2_DATA_FILE   (UINT64_C(1) << 2)
#define QCOW2_COMPRESSION (UINT64_C(1) << 3)
#define QCOW2_EXTENDED_L2 (UINT64_C(1) << 4)
#define QCOW2_LAZY        (UINT64_C(1) << 0)
#define QCOW2_BITMAPS     (UINT64_C(1) << 0)

/* Entries of L1 and L2 tables. */
#define ENTRY_COPIED     (UINT64_C(1) << 63)
#define ENTRY_COMPRESSED (UINT64_C(1) << 62)
#define ENTRY_ZERO       (UINT64_C(1) << 0)
#define ENTRY_OFFSET     UINT64_C(0x00fffffffffffe00)
#define L2_RESERVED      UINT64_C(0x3f000000000001fe)
#define L1_RESERVED      UINT64_C(0x7f000000000001ff)
#define REFTABLE_OFFSET  UINT64_C(0xfffffffffffffe00)

enum { COMPRESS_ZLIB = 0, COMPRESS_ZSTD = 1 };

/* ---- the header ---- */

struct qcow2_header {
    uint32_t version, cluster_bits, crypt_method, l1_size, reftable_clusters, nsnapshots;
    uint32_t refcount_order, length;
    uint64_t size, l1_offset, reftable_offset, snapshots_offset;
    uint64_t incompatible, compatible, autoclear;
    uint8_t compression;
    char *backing, *backing_format; /* NULL: none */
    uint64_t bitmaps_offset, bitmaps_size;
    uint32_t nbitmaps;
    char unsupported[160]; /* what of it is beyond us; "": nothing */
};

/* Offsets in the header. */
enum {
    HEADER_SIZE = 24,
    HEADER_L1 = 36,        /* u32 entries, u64 offset */
    HEADER_REFTABLE = 48,  /* u64 offset, u32 clusters */
    HEADER_SNAPSHOTS = 60, /* u32 count, u64 offset */
    HEADER_INCOMPATIBLE = 72,
    HEADER_AUTOCLEAR = 88,
    HEADER_V2_LENGTH = 72,
    HEADER_V3_LENGTH = 104,
    HEADER_COMPRESSION = 104,
    HEADER_LENGTH = 112, /* of those we make */
};

/* Read and check it. Only what makes no sense is an error; see .unsupported. Clear it afterwards. */
int qcow2_header_read(struct hostfile *f, struct qcow2_header *h, struct error *err);
void qcow2_header_clear(struct qcow2_header *h);

/* ---- the cache of slices ---- */

struct slice {
    uint64_t offset; /* in the file */
    uint8_t *data;
    bool dirty, flushing; /* flushing: a copy is on its way to the disk, so no other may go */
    struct slice *chain;  /* of the hash table */
    struct slice *newer, *older;
};

struct slice_cache {
    unsigned size; /* of a slice */
    unsigned max, count, dirty;
    unsigned buckets; /* a power of 2 */
    struct slice **hash;
    struct slice *newest, *oldest;
};

struct qcow2;

void cache_init(struct slice_cache *c, unsigned size, unsigned max);
void cache_clear(struct slice_cache *c);
/* The slice at a multiple of its size. It stays where it is until the next call for this cache. */
int cache_get(struct qcow2 *q, struct slice_cache *c, uint64_t offset, struct slice **out,
              struct error *err);
struct slice *cache_find(const struct slice_cache *c, uint64_t offset); /* NULL: not cached */
void cache_dirty(struct slice_cache *c, struct slice *s);
/* Forget what is cached of a cluster: it has become something else. */
void cache_drop(struct qcow2 *q, struct slice_cache *c, uint64_t offset);
/* Write the dirty ones of the cache, but those that are being flushed. */
int cache_write(struct qcow2 *q, struct slice_cache *c, struct error *err);

/* Which sectors of a table in memory differ from the disk. */
struct dirty_sectors {
    uint64_t *bits;
    uint32_t count, dirty;
};
void sectors_init(struct dirty_sectors *s, uint64_t entries);
void sectors_mark(struct dirty_sectors *s, uint64_t entry);
void sectors_clear(struct dirty_sectors *s);

/* ---- metadata clusters, so that nothing is written over them ---- */

struct cluster_range {
    uint64_t first, end; /* end: behind the last */
};

struct cluster_set {
    struct cluster_range *list; /* sorted, apart from each other */
    size_t count, room;
};

bool set_overlaps(const struct cluster_set *m, uint64_t first, uint64_t count);
void set_add(struct cluster_set *m, uint64_t first, uint64_t count);
void set_remove(struct cluster_set *m, uint64_t first, uint64_t count);
/* For many at once: pushed in any order, then put in order. */
void set_push(struct cluster_set *m, uint64_t first, uint64_t count);
void set_sort(struct cluster_set *m);

/* ---- the image ---- */

struct qcow2_snapshot {
    uint64_t l1_offset;
    uint32_t l1_size, date, date_nsec;
    uint64_t vm_clock, vm_state, size;
    char *id, *name;
    uint8_t *extra; /* all of it, as read */
    uint32_t extra_size;
};

struct pending_free {
    uint64_t cluster, epoch, flush;
    uint32_t count;
};

struct qcow2 {
    struct disk *disk;
    struct hostfile *file; /* the disk's */
    struct qcow2_header h;
    unsigned cluster_bits, l2_bits;   /* log2 of a cluster's bytes, of a table's entries */
    unsigned refcount_order, rb_bits; /* log2 of a refcount's bits, of a block's entries */
    uint32_t cluster_size;
    bool corrupt, lazy, marked_dirty;

    uint64_t *l1;
    struct dirty_sectors l1_dirty;
    uint64_t *reftable;
    uint64_t reftable_entries;
    struct dirty_sectors reftable_dirty;
    struct slice_cache l2, refs;
    bool unsynced; /* something of step 1 was written since the last sync */

    uint64_t hint;       /* no cluster below is free */
    uint64_t blank_from; /* offset from which on the file was never written, and is zero */
    uint64_t end;        /* of what is in use of the file, as far as we know */
    struct cluster_set meta;

    struct pending_free *frees;
    size_t nfrees, frees_room, frees_done;
    uint64_t flush_started, flush_durable; /* numbers of flushes */
    bool flushing;                         /* one is waiting for the disk */
    pthread_mutex_t flush_lock;            /* one flush at a time; taken before the disk's lock */

    struct qcow2_snapshot *snapshots;
    size_t nsnapshots;
    uint64_t snapshots_bytes; /* of the table in the file */

    pthread_mutex_t unpack_lock;
    uint8_t *unpacked; /* the compressed cluster that was read last */
    uint64_t unpacked_offset;
};

static inline uint64_t cluster_up(const struct qcow2 *q, uint64_t n)
{
    return (n + q->cluster_size - 1) & ~(uint64_t)(q->cluster_size - 1);
}

static inline uint64_t in_cluster(const struct qcow2 *q, uint64_t offset)
{
    return offset & (q->cluster_size - 1);
}

/* A big-endian number of so many bytes. */
uint64_t qcow2_be(const uint8_t *p, unsigned at, unsigned bytes);

/* Found to be corrupt: say so, mark it, write to it no more. Returns -1. */
int qcow2_corrupt(struct qcow2 *q, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int qcow2_check_writable(struct qcow2 *q, struct error *err);
/* Write a field, or several that stand together, of the header. */
int qcow2_header_write(struct qcow2 *q, unsigned at, const void *data, size_t len,
                       struct error *err);
int qcow2_set_incompatible(struct qcow2 *q, uint64_t bits, struct error *err); /* and syncs */
/* L1 table, refcount table, snapshots and what is derived from them, from the disk. */
int qcow2_load(struct qcow2 *q, bool for_check, struct error *err);
/* for_check: one that cannot be read counts as empty. */
int qcow2_load_reftable(struct qcow2 *q, bool for_check, struct error *err);
void qcow2_load_meta(struct qcow2 *q);
/* *out is freed first. */
int qcow2_read_table(struct qcow2 *q, uint64_t offset, uint64_t entries, uint64_t **out,
                     struct error *err);

/* ---- clusters of the file (qcow2_refcount.c) ---- */

unsigned refcount_get(unsigned order, const uint8_t *block, uint64_t i, uint64_t *value);
void refcount_put(unsigned order, uint8_t *block, uint64_t i, uint64_t value);
static inline uint64_t refcount_max(unsigned order)
{
    return order == 6 ? INT64_MAX : (UINT64_C(1) << (1u << order)) - 1;
}

int qcow2_refcount(struct qcow2 *q, uint64_t cluster, uint64_t *value, struct error *err);
int qcow2_set_refcount(struct qcow2 *q, uint64_t cluster, uint64_t value, struct error *err);
/*
 * Up to want free clusters in a row, with refcount 1 from now on. blank: they read as zeroes.
 * reserve: room on the host's disk is made sure of now.
 */
int qcow2_alloc(struct qcow2 *q, uint32_t want, bool reserve, uint64_t *cluster, uint32_t *got,
                bool *blank, struct error *err);
/* Exactly count of them. */
int qcow2_alloc_row(struct qcow2 *q, uint32_t count, uint64_t *cluster, struct error *err);
/* The header's reference to the refcount table. */
int qcow2_switch_reftable(struct qcow2 *q, uint64_t offset, uint64_t clusters, struct error *err);
/* One reference less for each of count clusters, at once. */
int qcow2_unref(struct qcow2 *q, uint64_t cluster, uint32_t count, struct error *err);
/* The same, when what refers to them is gone from the disk. */
void qcow2_free_later(struct qcow2 *q, uint64_t cluster, uint32_t count);
bool qcow2_pressed(struct disk *d); /* so many wait that a flush is due */
/* Those for which this holds now. */
int qcow2_apply_frees(struct qcow2 *q, struct error *err);

/* What a compressed entry refers to. */
void qcow2_packed(const struct qcow2 *q, uint64_t entry, uint64_t *offset, uint32_t *size);
/* The clusters of the file that an L2 entry refers to; 0: none. */
uint32_t qcow2_entry_clusters(const struct qcow2 *q, uint64_t entry, uint64_t *cluster);

/* ---- writing back (qcow2_flush.c) ---- */

int qcow2_flush(struct disk *d, struct error *err);
bool qcow2_flush_is_sync(struct disk *d);
/* Under the lock: step 1 with its sync; what is written to L2 after it is safe. */
int qcow2_barrier(struct qcow2 *q, struct error *err);
/* Under the lock, nothing else going on: everything, synced, and what was freed is free. */
int qcow2_settle(struct qcow2 *q, struct error *err);

/* ---- the map (qcow2_map.c) ---- */

int qcow2_map_read(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                   struct error *err);
int qcow2_map_write(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                    struct error *err);
int qcow2_fill(struct disk *d, struct disk_map *m, struct error *err);
int qcow2_link(struct disk *d, struct disk_map *m, struct error *err);
void qcow2_drop(struct disk *d, struct disk_map *m);
int qcow2_discard(struct disk *d, uint64_t offset, uint64_t length, uint64_t *done,
                  struct error *err);
/* As discard, of what is not to be on the disk any more. */
int qcow2_cut(struct disk *d, uint64_t offset, uint64_t length, uint64_t *done, struct error *err);
int qcow2_empty(struct disk *d, struct error *err);
int qcow2_zero(struct disk *d, uint64_t offset, uint64_t length, bool unmap, uint64_t *done,
               struct error *err);

/* ---- compressed clusters (qcow2_unpack.c) ---- */

int qcow2_read_copy(struct disk *d, const struct disk_map *m, struct iov_cursor to,
                    struct error *err);

/* ---- snapshots (qcow2_snapshot.c) ---- */

/* All of them, and how many bytes their table takes. */
int qcow2_read_snapshots(struct hostfile *f, const struct qcow2_header *h,
                         struct qcow2_snapshot **out, uint64_t *bytes, struct error *err);
void qcow2_free_snapshots(struct qcow2_snapshot *s, size_t n);
int qcow2_snapshot(struct disk *d, enum disk_snapshot_op op, const char *name, struct error *err);
/* The flag "only mine" of each entry of the active tables, as the refcounts say. */
int qcow2_fix_flags(struct qcow2 *q, struct error *err);
/* A whole L2 table, which is forgotten in the cache. */
int qcow2_write_l2(struct qcow2 *q, uint64_t offset, const uint64_t *table, struct error *err);

/* ---- L1 tables and sizes (qcow2_resize.c) ---- */

uint32_t qcow2_l1_needed(const struct qcow2 *q, uint64_t size); /* entries; UINT32_MAX: too many */
uint32_t qcow2_l1_clusters(const struct qcow2 *q, uint32_t entries);
/* Entries, each & mask, to the file. */
int qcow2_write_l1(struct qcow2 *q, const uint64_t *l1, uint32_t entries, uint64_t mask,
                   uint64_t cluster, struct error *err);
/* From now on the image has this L1 table (taken over), which is on the file, and this size. */
int qcow2_switch_l1(struct qcow2 *q, uint64_t **l1, uint64_t cluster, uint32_t entries,
                    uint64_t size, struct error *err);
int qcow2_resize(struct disk *d, uint64_t size, struct error *err);

/* ---- making one (qcow2_create.c) ---- */

int qcow2_format(struct hostfile *f, const struct disk_new *n, struct error *err);

/* ---- checking (qcow2_check.c) ---- */

/* Count all references, write new refcounts, and take the dirty bit away. */
int qcow2_rebuild_refcounts(struct qcow2 *q, struct error *err);
int qcow2_check(struct disk *d, struct disk_check *c, struct error *err);

#endif
