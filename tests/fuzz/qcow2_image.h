/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2 images as a fuzzer wants them: right ones, of both versions, with all kinds of clusters,
 * with snapshots, compressed data and a backing file, made by other code than that under test; what
 * the guest must read from them; and, afterwards, something broken in them.
 *
 * Clusters are given out from below, now and then with a gap. References are counted when all
 * tables are there, from the tables themselves.
 */
#ifndef PULT_TESTS_FUZZ_QCOW2_IMAGE_H
#define PULT_TESTS_FUZZ_QCOW2_IMAGE_H

#include "fuzz/feed.h"

#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "disk/qcow2.h"
#include "memfile.h"

#define IMAGE_LIMIT     (32u << 20) /* bytes of a file */
#define IMAGE_CLUSTERS  (IMAGE_LIMIT / 512)
#define IMAGE_SNAPSHOTS 6u         /* that a model is kept of */
#define IMAGE_DISK      (1u << 20) /* bytes of a disk, most of the time */
#define IMAGE_PLACES    64u

/* A disk's content. known: which bytes of it are; a write that failed may be there or not. */
struct image_model {
    uint8_t data[IMAGE_DISK], known[IMAGE_DISK];
    uint64_t size;
};

struct image_snapshot {
    char name[16];
    struct image_model *model; /* NULL: there is none */
    uint64_t l1_at, size, vm_state;
    uint32_t l1_entries;
};

/* Something that can be damaged: so many entries of so many bytes. */
struct image_place {
    uint64_t at;
    uint32_t count, width;
};

struct image {
    struct memfile file;
    unsigned level; /* how many images are based on it */
    unsigned version, bits, order;
    uint32_t cluster;
    bool zstd, lazy, dirty, based, bitmaps;
    uint64_t most;   /* bytes that the disk may have, for the model's sake */
    uint64_t next;   /* free cluster */
    uint64_t packed; /* offset behind the last compressed data; 0: begin a cluster */
    uint64_t l1_at, reftable_at, snapshots_at, bitmaps_at;
    uint32_t l1_entries, reftable_clusters, nsnapshots, snapshots_bytes;
    const struct image_model *below; /* what it is based on */
    struct image_model *model;
    struct image_snapshot snapshots[IMAGE_SNAPSHOTS];
    struct image_place places[IMAGE_PLACES];
    unsigned nplaces;
};

static uint32_t image_counts[IMAGE_CLUSTERS];

/* Memory for all of the time, in which no leak checker looks for pointers. */
static inline void *image_room(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(p != MAP_FAILED);
    return p;
}

/* ---- bytes of the file ---- */

static inline void image_put(struct image *m, uint64_t at, unsigned width, uint64_t value)
{
    must(memfile_grow(&m->file, at + width) == 0);
    for (unsigned i = width; i-- > 0; value >>= 8)
        m->file.data[at + i] = (uint8_t)value;
}

static inline uint64_t image_get(const struct image *m, uint64_t at, unsigned width)
{
    return at + width <= m->file.size ? qcow2_be(m->file.data, (unsigned)at, width) : 0;
}

static inline void image_note(struct image *m, uint64_t at, uint32_t count, uint32_t width)
{
    if (m->nplaces < IMAGE_PLACES && count > 0)
        m->places[m->nplaces++] = (struct image_place){at, count, width};
}

/* So many clusters in a row: their offset. */
static inline uint64_t image_take(struct image *m, struct feed *f, uint64_t count)
{
    m->next += feed_rarely(f, 16);
    uint64_t at = m->next << m->bits;
    m->next += count;
    must(memfile_grow(&m->file, m->next << m->bits) == 0);
    return at;
}

static inline uint64_t image_clusters(const struct image *m, uint64_t bytes)
{
    return (bytes + m->cluster - 1) >> m->bits;
}

/* Entries of an L1 table for a disk of this size. */
static inline uint32_t image_l1_needed(const struct image *m, uint64_t size)
{
    return (uint32_t)((image_clusters(m, size) + m->cluster / 8 - 1) / (m->cluster / 8));
}

/* What the guest wrote, somehow different each time. */
static inline void image_pattern(uint8_t *p, size_t len, uint8_t seed)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(seed + i / 7);
}

static inline void image_copy(struct image_model *to, const struct image_model *from)
{
    memcpy(to->data, from->data, from->size);
    memcpy(to->known, from->known, from->size);
    to->size = from->size;
}

/* ---- clusters of the disk ---- */

/* The content of one cluster, in the model and in out. */
static inline void image_content(struct image *m, struct feed *f, struct image_model *model,
                                 uint64_t cluster, uint8_t *out)
{
    uint64_t at = cluster << m->bits;
    image_pattern(out, m->cluster, feed_byte(f));
    if (at < model->size)
        memcpy(model->data + at, out, min((uint64_t)m->cluster, model->size - at));
}

static inline size_t image_compress(const struct image *m, const uint8_t *in, uint8_t *out,
                                    size_t room)
{
    static z_stream z;
    static ZSTD_CCtx *zstd;
    if (m->zstd) {
        if (zstd == NULL)
            zstd = ZSTD_createCCtx();
        size_t n = ZSTD_compressCCtx(zstd, out, room, in, m->cluster, 1);
        return ZSTD_isError(n) ? 0 : n;
    }
    if (z.state == NULL)
        must(deflateInit2(&z, 1, Z_DEFLATED, -12, 1, Z_DEFAULT_STRATEGY) == Z_OK);
    deflateReset(&z);
    z.next_in = (uint8_t *)in;
    z.avail_in = m->cluster;
    z.next_out = out;
    z.avail_out = (unsigned)room;
    return deflate(&z, Z_FINISH) == Z_STREAM_END ? room - z.avail_out : 0;
}

/* An entry for a compressed cluster, behind the one before it if that is allowed; 0: not smaller. */
static inline uint64_t image_pack(struct image *m, struct feed *f, struct image_model *model,
                                  uint64_t cluster)
{
    static uint8_t content[1u << QCOW2_MAX_CLUSTER_BITS], packed[1u << QCOW2_MAX_CLUSTER_BITS];
    unsigned x = 62 - (m->bits - 8);
    image_content(m, f, model, cluster, content);
    size_t n = image_compress(m, content, packed, m->cluster - 1);
    if (n == 0)
        return 0;
    uint64_t at = m->packed, end = (at + m->cluster - 1) & ~(uint64_t)(m->cluster - 1);
    if (at == 0 || at + n > end || m->order < 3 || feed_rarely(f, 8))
        at = image_take(m, f, 1);
    memcpy(m->file.data + at, packed, n);
    image_note(m, at, (uint32_t)n, 1);
    m->packed = at + n;
    uint64_t sectors = ((at & 511) + n - 1) / 512;
    return ENTRY_COMPRESSED | sectors << x | at;
}

/* An entry of an L2 table for a cluster of the disk, by what kind it is to be. */
static inline uint64_t image_entry(struct image *m, struct feed *f, struct image_model *model,
                                   uint64_t cluster, unsigned kind)
{
    uint64_t at = cluster << m->bits, entry;
    switch (kind) {
    case 1:
    case 2:
        entry = image_take(m, f, 1);
        image_content(m, f, model, cluster, m->file.data + entry);
        return entry;
    case 3:
        entry = image_pack(m, f, model, cluster);
        if (entry != 0)
            return entry;
        entry = image_take(m, f, 1);
        memcpy(m->file.data + entry, model->data + at, min((uint64_t)m->cluster, model->size - at));
        return entry;
    case 4:
    case 5:
        if (m->version < 3)
            return 0;
        memset(model->data + at, 0, min((uint64_t)m->cluster, model->size - at));
        return ENTRY_ZERO | (kind == 5 ? image_take(m, f, 1) : 0);
    default:
        return 0;
    }
}

/* A table for the disk's clusters from this one on, in runs of a kind. */
static inline uint64_t image_table(struct image *m, struct feed *f, struct image_model *model,
                                   uint64_t first)
{
    uint64_t at = image_take(m, f, 1), clusters = image_clusters(m, model->size), run = 0;
    uint32_t n = (uint32_t)min((uint64_t)m->cluster / 8, clusters - first);
    unsigned kind = 0;
    for (uint32_t i = 0; i < n; i++, run--) {
        if (run == 0) {
            kind = feed_below(f, 6);
            run = 1 + feed_below(f, 24);
        }
        image_put(m, at + 8ull * i, 8, image_entry(m, f, model, first + i, kind));
    }
    image_note(m, at, n, 8);
    return at;
}

/* Behind the disk: where QEMU keeps the memory of a virtual machine in a snapshot. */
static inline uint64_t image_vm_table(struct image *m, struct feed *f)
{
    uint64_t at = image_take(m, f, 1);
    for (unsigned n = 1 + feed_below(f, 3), i = 0; i < n; i++) {
        uint64_t data = image_take(m, f, 1);
        image_pattern(m->file.data + data, m->cluster, feed_byte(f));
        image_put(m, at + 8ull * i, 8, data);
    }
    image_note(m, at, 3, 8);
    return at;
}

/* An L1 table with all below it. */
static inline uint64_t image_map(struct image *m, struct feed *f, struct image_model *model,
                                 uint32_t entries)
{
    uint32_t needed = image_l1_needed(m, model->size);
    uint64_t at = entries ? image_take(m, f, image_clusters(m, 8ull * entries)) : 0;
    memset(model->data, 0, model->size);
    memset(model->known, 1, model->size);
    if (m->below)
        memcpy(model->data, m->below->data, min(model->size, m->below->size));
    for (uint32_t i = 0; i < needed; i++)
        if (!feed_rarely(f, 4))
            image_put(m, at + 8ull * i, 8,
                      image_table(m, f, model, (uint64_t)i * (m->cluster / 8)));
    image_note(m, at, entries, 8);
    return at;
}

/* ---- snapshots ---- */

/* The disk as it is, by the same tables, or some of them copied. */
static inline void image_share(struct image *m, struct feed *f, struct image_snapshot *s)
{
    s->l1_entries = m->l1_entries;
    s->size = m->model->size;
    image_copy(s->model, m->model);
    s->l1_at = s->l1_entries ? image_take(m, f, image_clusters(m, 8ull * s->l1_entries)) : 0;
    for (uint32_t i = 0; i < s->l1_entries; i++) {
        uint64_t table = image_get(m, m->l1_at + 8ull * i, 8);
        if (table && feed_rarely(f, 3)) {
            uint64_t copy = image_take(m, f, 1);
            memcpy(m->file.data + copy, m->file.data + table, m->cluster);
            table = copy;
        }
        image_put(m, s->l1_at + 8ull * i, 8, table);
    }
    image_note(m, s->l1_at, s->l1_entries, 8);
}

/* A disk of its own. */
static inline void image_past(struct image *m, struct feed *f, struct image_snapshot *s)
{
    bool vm = feed_rarely(f, 3);
    s->size = m->version < 3 ? m->model->size : min(m->most, 512ull * (1 + feed_below(f, 1000)));
    s->model->size = s->size;
    s->l1_entries = image_l1_needed(m, s->size) + vm;
    s->l1_at = image_map(m, f, s->model, s->l1_entries);
    if (vm) {
        image_put(m, s->l1_at + 8ull * (s->l1_entries - 1), 8, image_vm_table(m, f));
        s->vm_state = 1 + feed_below(f, m->cluster);
    }
}

static inline void image_snapshot_table(struct image *m, struct feed *f)
{
    uint8_t p[2048] = {0};
    uint32_t at = 0;
    for (uint32_t i = 0; i < m->nsnapshots; i++) {
        const struct image_snapshot *s = &m->snapshots[i];
        uint32_t extra = m->version < 3 ? 8 * feed_below(f, 3) : 16 + 8 * feed_below(f, 3);
        struct image head = {
            .file = {.data = p, .size = sizeof p, .room = sizeof p, .limit = sizeof p}};
        image_put(&head, at, 8, s->l1_at);
        image_put(&head, at + 8, 4, s->l1_entries);
        image_put(&head, at + 12, 2, 1);
        image_put(&head, at + 14, 2, strlen(s->name));
        image_put(&head, at + 32, 4, s->vm_state);
        image_put(&head, at + 36, 4, extra);
        if (extra >= 8)
            image_put(&head, at + 40, 8, s->vm_state);
        if (extra >= 16)
            image_put(&head, at + 48, 8, s->size);
        at += 40 + extra;
        p[at++] = (uint8_t)('1' + i);
        memcpy(p + at, s->name, strlen(s->name));
        at = (at + (uint32_t)strlen(s->name) + 7) & ~7u;
    }
    m->snapshots_at = image_take(m, f, image_clusters(m, at));
    m->snapshots_bytes = at;
    memcpy(m->file.data + m->snapshots_at, p, at);
    image_note(m, m->snapshots_at, at, 1);
    image_note(m, m->snapshots_at, at / 8, 8);
}

static inline void image_make_snapshots(struct image *m, struct feed *f)
{
    static struct image_model *models;
    uint32_t most = m->order == 0 ? 0 : m->order == 1 ? 2 : 4;
    if (models == NULL)
        models = image_room(3 * IMAGE_SNAPSHOTS * sizeof *models);
    m->nsnapshots = feed_rarely(f, 2) ? feed_below(f, most + 1) : 0;
    for (uint32_t i = 0; i < m->nsnapshots; i++) {
        struct image_snapshot *s = &m->snapshots[i];
        snprintf(s->name, sizeof s->name, "s%u", i);
        s->model = &models[m->level * IMAGE_SNAPSHOTS + i];
        if (feed_below(f, 2))
            image_past(m, f, s);
        else
            image_share(m, f, s);
    }
    if (m->nsnapshots > 0)
        image_snapshot_table(m, f);
}

/* A persistent bitmap of QEMU's. */
static inline void image_make_bitmap(struct image *m, struct feed *f)
{
    uint64_t at = image_take(m, f, 1), table = image_take(m, f, 1), bits = image_take(m, f, 1);
    image_put(m, at, 8, table);
    image_put(m, at + 8, 4, 1);
    image_put(m, at + 16, 2, 0x0110); /* type, granularity */
    image_put(m, at + 18, 2, 1);
    m->file.data[at + 24] = 'b';
    image_put(m, table, 8, bits);
    image_note(m, at, 32, 1);
    image_note(m, table, 1, 8);
    m->bitmaps_at = at;
}

/* ---- refcounts ---- */

static inline void image_count(uint64_t first, uint64_t n)
{
    for (uint64_t i = first; i < first + n && i < IMAGE_CLUSTERS; i++)
        image_counts[i]++;
}

static inline void image_count_entry(const struct image *m, uint64_t entry)
{
    unsigned x = 62 - (m->bits - 8);
    uint64_t at = entry & UINT64_C(0x00fffffffffffe00), end = at + m->cluster;
    if (entry & ENTRY_COMPRESSED) {
        at = entry & ((UINT64_C(1) << x) - 1);
        end = (at & ~UINT64_C(511)) + (((entry & ~ENTRY_COMPRESSED) >> x) + 1) * 512;
    }
    if (at)
        image_count(at >> m->bits, ((end - 1) >> m->bits) - (at >> m->bits) + 1);
}

static inline void image_count_map(const struct image *m, uint64_t l1, uint32_t entries)
{
    if (entries)
        image_count(l1 >> m->bits, image_clusters(m, 8ull * entries));
    for (uint32_t i = 0; i < entries; i++) {
        uint64_t table = image_get(m, l1 + 8ull * i, 8);
        if (table == 0)
            continue;
        image_count(table >> m->bits, 1);
        for (uint32_t e = 0; e < m->cluster / 8; e++)
            image_count_entry(m, image_get(m, table + 8ull * e, 8));
    }
}

/* The flag "only mine" where it is due in the disk's own tables. */
static inline void image_set_flags(struct image *m)
{
    for (uint32_t i = 0; i < m->l1_entries; i++) {
        uint64_t table = image_get(m, m->l1_at + 8ull * i, 8);
        if (table == 0)
            continue;
        for (uint32_t e = 0; e < m->cluster / 8; e++) {
            uint64_t entry = image_get(m, table + 8ull * e, 8), at = entry & ENTRY_OFFSET;
            if (!(entry & ENTRY_COMPRESSED) && at && image_counts[at >> m->bits] == 1)
                image_put(m, table + 8ull * e, 8, entry | ENTRY_COPIED);
        }
        if (image_counts[table >> m->bits] == 1)
            image_put(m, m->l1_at + 8ull * i, 8, table | ENTRY_COPIED);
    }
}

/* As many blocks as count all of the file, themselves included, and the table of them. */
static inline void image_make_refcounts(struct image *m, struct feed *f)
{
    uint64_t per_block = (uint64_t)m->cluster * 8 >> m->order, blocks = 1;
    m->reftable_clusters = 1 + feed_rarely(f, 4);
    while ((m->next + 2 + m->reftable_clusters + 2 * blocks + per_block - 1) / per_block > blocks)
        blocks++;
    m->reftable_clusters += (uint32_t)(blocks * 8 >> m->bits);
    m->reftable_at = image_take(m, f, m->reftable_clusters);
    image_count(m->reftable_at >> m->bits, m->reftable_clusters);
    for (uint64_t b = 0; b < blocks; b++) {
        uint64_t at = image_take(m, f, 1);
        image_put(m, m->reftable_at + 8 * b, 8, at);
        image_count(at >> m->bits, 1);
        image_note(m, at, m->cluster, 1);
    }
    image_note(m, m->reftable_at, (uint32_t)blocks, 8);
    must(m->next <= blocks * per_block);
    for (uint64_t c = 0; c < m->next; c++) {
        uint64_t block = image_get(m, m->reftable_at + 8 * (c / per_block), 8);
        refcount_put(m->order, m->file.data + block, c % per_block, image_counts[c]);
    }
    /* Not written down when it was not closed. */
    for (unsigned n = m->dirty ? feed_below(f, 20) : 0; n > 0; n--) {
        uint64_t block = image_get(m, m->reftable_at + 8 * feed_below(f, blocks), 8);
        m->file.data[block + feed_below(f, m->cluster)] = feed_byte(f);
    }
}

static inline void image_count_all(struct image *m)
{
    memset(image_counts, 0,
           sizeof image_counts[0] * (size_t)min(m->next + 1024, (uint64_t)IMAGE_CLUSTERS));
    image_count(0, 1);
    image_count_map(m, m->l1_at, m->l1_entries);
    for (uint32_t i = 0; i < m->nsnapshots; i++)
        image_count_map(m, m->snapshots[i].l1_at, m->snapshots[i].l1_entries);
    if (m->bitmaps)
        for (unsigned i = 0; i < 3; i++) {
            const uint64_t dir = m->bitmaps_at, table = image_get(m, dir, 8);
            image_count((i == 0 ? dir : i == 1 ? table : image_get(m, table, 8)) >> m->bits, 1);
        }
    if (m->nsnapshots)
        image_count(m->snapshots_at >> m->bits, image_clusters(m, m->snapshots_bytes));
}

/* ---- the header ---- */

static inline uint64_t image_extension(struct image *m, uint64_t at, uint32_t type,
                                       const void *data, uint32_t len)
{
    image_put(m, at, 4, type);
    image_put(m, at + 4, 4, len);
    memcpy(m->file.data + at + 8, data, len);
    image_note(m, at, 2, 4);
    return at + 8 + ((len + 7) & ~7u);
}

static inline uint64_t image_extensions(struct image *m, struct feed *f, uint64_t at)
{
    static const uint8_t names[96] = "\0\0dirty bit";
    uint8_t bitmaps[24] = {0, 0, 0, 1};
    if (feed_rarely(f, 3))
        at = image_extension(m, at, 0x6803f857, names, 48 * (1 + feed_below(f, 2)));
    if (m->based && feed_below(f, 4))
        at = image_extension(m, at, 0xe2792aca, "qcow2", 5);
    if (feed_rarely(f, 6))
        at = image_extension(m, at, 0x12345678, names, feed_below(f, 20));
    if (m->bitmaps) {
        at = image_extension(m, at, 0x23852875, bitmaps, 24);
        image_put(m, at - 16, 8, 32);
        image_put(m, at - 8, 8, m->bitmaps_at);
        image_note(m, at - 24, 6, 4);
    }
    return image_extension(m, at, 0, names, 0);
}

static inline void image_make_header(struct image *m, struct feed *f)
{
    static const struct {
        uint8_t at, width;
    } fields[] = {{4, 4},  {8, 8},  {16, 4}, {20, 4}, {24, 8},  {32, 4},
                  {36, 4}, {40, 8}, {48, 8}, {56, 4}, {60, 4},  {64, 8},
                  {72, 8}, {80, 8}, {88, 8}, {96, 4}, {100, 4}, {104, 1}};
    uint64_t at = m->version < 3 ? 72 : m->zstd || feed_below(f, 2) ? 112 : 104;
    image_put(m, 0, 4, QCOW2_MAGIC);
    image_put(m, 4, 4, m->version);
    image_put(m, 20, 4, m->bits);
    image_put(m, 24, 8, m->model->size);
    image_put(m, 36, 4, m->l1_entries);
    image_put(m, 40, 8, m->l1_at);
    image_put(m, 48, 8, m->reftable_at);
    image_put(m, 56, 4, m->reftable_clusters);
    image_put(m, 60, 4, m->nsnapshots);
    image_put(m, 64, 8, m->snapshots_at);
    if (m->version >= 3) {
        image_put(m, 72, 8, (m->dirty ? QCOW2_DIRTY : 0) | (m->zstd ? QCOW2_COMPRESSION : 0));
        image_put(m, 80, 8, m->lazy ? QCOW2_LAZY : 0);
        image_put(m, 88, 8, m->bitmaps ? QCOW2_BITMAPS : 0);
        image_put(m, 96, 4, m->order);
        image_put(m, 100, 4, at);
        if (at > 104)
            image_put(m, 104, 8, (uint64_t)m->zstd << 56);
    }
    at = image_extensions(m, f, at);
    if (m->based) {
        image_put(m, 8, 8, at);
        image_put(m, 16, 4, 5);
        memcpy(m->file.data + at, "below", 5);
    }
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        image_note(m, fields[i].at, 1, fields[i].width);
}

/* ---- all of it ---- */

/* A right image. m->file is there and empty, m->below is set, and so is m->model, for its content. */
static inline void image_make(struct image *m, struct feed *f)
{
    static const uint8_t bits[] = {9, 9, 10, 12, 12, 14, 16}, orders[] = {4, 4, 3, 5, 6, 2, 1, 0};
    m->version = feed_rarely(f, 3) ? 2 : 3;
    m->bits = feed_rarely(f, 32) ? 9 + feed_below(f, 11) : feed_pick(f, bits);
    m->order = m->version < 3 ? 4 : feed_pick(f, orders);
    if (m->bits > 12) /* to look through blocks of very many takes long */
        m->order = max(m->order, 4u);
    m->cluster = 1u << m->bits;
    m->based = m->below != NULL;
    m->zstd = m->version >= 3 && feed_rarely(f, 3);
    m->lazy = m->version >= 3 && feed_rarely(f, 4);
    m->dirty = m->version >= 3 && feed_rarely(f, 6);
    m->bitmaps = m->version >= 3 && feed_rarely(f, 6);
    m->most = min((uint64_t)m->cluster * 300, (uint64_t)IMAGE_DISK);
    m->next = 1;
    m->packed = 0;
    m->model->size = min(m->most, 512ull * (1 + feed_below(f, 1000)));
    must(memfile_grow(&m->file, m->cluster) == 0);
    m->l1_entries =
        image_l1_needed(m, m->model->size) + (feed_rarely(f, 4) ? feed_below(f, 100) : 0);
    m->l1_at = image_map(m, f, m->model, m->l1_entries);
    image_make_snapshots(m, f);
    if (m->bitmaps)
        image_make_bitmap(m, f);
    image_count_all(m);
    image_set_flags(m);
    image_make_refcounts(m, f);
    image_make_header(m, f);
}

/* ---- damage ---- */

static inline uint64_t image_wrong(struct image *m, struct feed *f, uint64_t old, unsigned width)
{
    const struct image_place *other = &m->places[feed_below(f, m->nplaces)];
    const uint64_t flags[] = {ENTRY_COPIED, ENTRY_COMPRESSED, ENTRY_ZERO, 0x200, m->cluster};
    switch (feed_below(f, 8)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return old ^ UINT64_C(1) << feed_below(f, 8 * width);
    case 3:
        return old ^ feed_pick(f, flags);
    case 4:
        return other->at & ~(uint64_t)(m->cluster - 1);
    case 5:
        return (other->at & ~(uint64_t)(m->cluster - 1)) | ENTRY_COPIED;
    case 6:
        return m->file.size + 512ull * feed_below(f, 300) - 512 * 100;
    default:
        return feed_u64(f);
    }
}

/* Something in the file is not as it should be. */
static inline void image_damage(struct image *m, struct feed *f)
{
    const struct image_place *p = &m->places[feed_below(f, m->nplaces)];
    uint64_t at = p->at + (uint64_t)p->width * feed_below(f, p->count);
    uint64_t value = image_wrong(m, f, image_get(m, at, p->width), p->width);
    unsigned n = 1;
    if (feed_rarely(f, 16)) {
        memfile_set_size(&m->file, feed_below(f, m->file.size + 1));
        return;
    }
    if (feed_rarely(f, 16)) /* many at once, all alike */
        n = 1 + feed_below(f, 512);
    for (; n > 0 && at + p->width <= m->file.size; n--, at += p->width)
        image_put(m, at, p->width, value);
}

#endif
