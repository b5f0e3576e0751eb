/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An empty qcow2 image of version 3: the header, the refcount table, its blocks, the L1 table, in
 * this order and without gaps.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "disk/qcow2.h"

#define CLUSTER_BITS       16u
#define REFCOUNT_ORDER     4u
#define EXT_BACKING_FORMAT 0xe2792acau

struct layout {
    unsigned cluster_bits;
    uint64_t table, blocks, l1, used; /* clusters of each, and of all with the header */
    uint32_t l1_entries;
};

static int plan(const struct disk_new *n, struct layout *l, struct error *err)
{
    unsigned size = n->cluster_size ? n->cluster_size : 1u << CLUSTER_BITS;
    l->cluster_bits = (unsigned)__builtin_ctz(size);
    if (size != 1u << l->cluster_bits || l->cluster_bits < QCOW2_MIN_CLUSTER_BITS ||
        l->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
        return error_set(err, 0, "clusters have 512, 1K, 2K, … or 2M bytes, not %u", size);
    unsigned l2_bits = l->cluster_bits - 3, rb_bits = l->cluster_bits + 3 - REFCOUNT_ORDER;
    uint64_t per_l1 = UINT64_C(1) << (l->cluster_bits + l2_bits);
    uint64_t entries = n->size / per_l1 + (n->size % per_l1 != 0);
    if (entries > QCOW2_MAX_L1 / sizeof(uint64_t))
        return error_set(err, EFBIG, "make '%s': with clusters of %u bytes a disk has %llu at most",
                         n->path, size,
                         (unsigned long long)per_l1 * (QCOW2_MAX_L1 / sizeof(uint64_t)));
    l->l1_entries = (uint32_t)entries;
    l->l1 = max((entries * sizeof(uint64_t) + size - 1) >> l->cluster_bits, (uint64_t)1);
    l->table = l->blocks = 1;
    for (;;) {
        l->used = 1 + l->table + l->blocks + l->l1;
        uint64_t blocks = (l->used + (UINT64_C(1) << rb_bits) - 1) >> rb_bits;
        uint64_t table = (blocks * sizeof(uint64_t) + size - 1) >> l->cluster_bits;
        if (blocks <= l->blocks && table <= l->table)
            return 0;
        l->blocks = blocks;
        l->table = table;
    }
}

static void put32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof v);
}

static void put64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof v);
}

/* The header, the format of the backing file as an extension, the end of extensions, its name. */
static int write_header(struct hostfile *f, const struct disk_new *n, const struct layout *l,
                        struct error *err)
{
    uint8_t p[HEADER_LENGTH + 96 + QCOW2_MAX_BACKING_NAME + 1] = {0};
    size_t at = HEADER_LENGTH, name = n->backing ? strlen(n->backing) : 0;
    put32(p, QCOW2_MAGIC);
    put32(p + 4, 3);
    put32(p + 20, l->cluster_bits);
    put64(p + HEADER_SIZE, n->size);
    put32(p + HEADER_L1, l->l1_entries);
    put64(p + HEADER_L1 + 4, (1 + l->table + l->blocks) << l->cluster_bits);
    put64(p + HEADER_REFTABLE, UINT64_C(1) << l->cluster_bits);
    put32(p + HEADER_REFTABLE + 8, (uint32_t)l->table);
    put32(p + 96, REFCOUNT_ORDER);
    put32(p + 100, HEADER_LENGTH);
    if (n->backing) {
        size_t len = strlen(n->backing_format);
        put32(p + at, EXT_BACKING_FORMAT);
        put32(p + at + 4, (uint32_t)len);
        memcpy(p + at + 8, n->backing_format, len);
        at += 8 + ((len + 7) & ~(size_t)7) + 8;
        if (name > QCOW2_MAX_BACKING_NAME || at + name > 1u << l->cluster_bits)
            return error_set(err, ENAMETOOLONG, "name the backing file '%s'", n->backing);
        put64(p + 8, at);
        put32(p + 16, (uint32_t)name);
        memcpy(p + at, n->backing, name);
        at += name;
    }
    return hostfile_write(f, p, max(at, (size_t)HEADER_LENGTH + 8), 0, err);
}

static int write_refcounts(struct hostfile *f, const struct layout *l, struct error *err)
{
    size_t size = (size_t)1 << l->cluster_bits;
    uint64_t per_block = (uint64_t)size * 8 >> REFCOUNT_ORDER;
    cleanup_free uint8_t *buf = xcalloc(l->table, size);
    for (uint64_t b = 0; b < l->blocks; b++)
        put64(buf + b * 8, (1 + l->table + b) << l->cluster_bits);
    if (hostfile_write(f, buf, l->table * size, size, err) < 0)
        return -1;
    for (uint64_t b = 0; b < l->blocks; b++) {
        memset(buf, 0, size);
        for (uint64_t i = 0; i < per_block && b * per_block + i < l->used; i++)
            refcount_put(REFCOUNT_ORDER, buf, i, 1);
        if (hostfile_write(f, buf, size, (1 + l->table + b) << l->cluster_bits, err) < 0)
            return -1;
    }
    return 0;
}

int qcow2_format(struct hostfile *f, const struct disk_new *n, struct error *err)
{
    struct layout l = {0};
    if (plan(n, &l, err) < 0)
        return -1;
    uint64_t size = l.used << l.cluster_bits, l1 = (1 + l.table + l.blocks) << l.cluster_bits;
    if (f->size < size && hostfile_truncate(f, size, err) < 0)
        return -1;
    if (hostfile_zero(f, l1, l.l1 << l.cluster_bits, err) < 0 || write_refcounts(f, &l, err) < 0)
        return -1;
    return write_header(f, n, &l, err);
}
