/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The header of a qcow2 image and its extensions. All that an image claims is held against the
 * specification, and against the bounds that QEMU has, before anything is allocated for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "disk/qcow2.h"

#define EXT_END            0u
#define EXT_BACKING_FORMAT 0xe2792acau
#define EXT_FEATURE_NAMES  0x6803f857u
#define EXT_BITMAPS        0x23852875u
#define EXT_MAX            256 /* extensions looked at */

#define FEATURE_NAME_SIZE 48 /* of an entry of the feature name table */

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return be32toh(v);
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

static int bad(const struct hostfile *f, struct error *err, const char *what)
{
    return error_set(err, 0, "'%s' is not a sound qcow2 image: %s", f->path, what);
}

/* A table that lies at whole clusters and inside of 63 bits. */
static bool table_fits(const struct qcow2_header *h, uint64_t offset, uint64_t bytes)
{
    uint64_t mask = (UINT64_C(1) << h->cluster_bits) - 1;
    return (offset & mask) == 0 && offset <= INT64_MAX && bytes <= INT64_MAX - offset;
}

/* Sizes and places. Where the header is there is no table, or it would be written over. */
static int check_geometry(const struct hostfile *f, const struct qcow2_header *h, struct error *err)
{
    uint64_t cluster = UINT64_C(1) << h->cluster_bits;
    uint64_t per_l1 = cluster * (cluster / sizeof(uint64_t)); /* bytes of disk for an L1 entry */
    uint64_t reftable = (uint64_t)h->reftable_clusters << h->cluster_bits;
    if (h->size > INT64_MAX)
        return bad(f, err, "its disk is larger than 63 bits can say");
    if (h->refcount_order > 6)
        return bad(f, err, "its refcounts are wider than 64 bits");
    if ((uint64_t)h->l1_size * sizeof(uint64_t) > QCOW2_MAX_L1)
        return bad(f, err, "its L1 table is larger than 32 MiB");
    if (h->l1_size < (h->size + per_l1 - 1) / per_l1)
        return bad(f, err, "its L1 table is too small for its disk");
    if (!table_fits(h, h->l1_offset, h->l1_size * sizeof(uint64_t)) ||
        (h->l1_size > 0 && h->l1_offset == 0))
        return bad(f, err, "the place of its L1 table");
    if (reftable > QCOW2_MAX_REFTABLE)
        return bad(f, err, "its refcount table is larger than 8 MiB");
    if (!table_fits(h, h->reftable_offset, reftable))
        return bad(f, err, "the place of its refcount table");
    if (h->nsnapshots > QCOW2_MAX_SNAPSHOTS)
        return bad(f, err, "it has more than 65536 snapshots");
    if (!table_fits(h, h->snapshots_offset, 0) || (h->nsnapshots > 0 && h->snapshots_offset == 0))
        return bad(f, err, "the place of its snapshot table");
    return 0;
}

/* The fields of version 2, and those that version 3 added or, for version 2, what they stand for. */
static int parse_fields(const struct hostfile *f, const uint8_t *p, struct qcow2_header *h,
                        struct error *err)
{
    if (get32(p) != QCOW2_MAGIC)
        return error_set(err, 0, "'%s' is not a qcow2 image", f->path);
    *h = (struct qcow2_header){
        .version = get32(p + 4),
        .cluster_bits = get32(p + 20),
        .size = get64(p + HEADER_SIZE),
        .crypt_method = get32(p + 32),
        .l1_size = get32(p + HEADER_L1),
        .l1_offset = get64(p + HEADER_L1 + 4),
        .reftable_offset = get64(p + HEADER_REFTABLE),
        .reftable_clusters = get32(p + HEADER_REFTABLE + 8),
        .nsnapshots = get32(p + HEADER_SNAPSHOTS),
        .snapshots_offset = get64(p + HEADER_SNAPSHOTS + 4),
        .refcount_order = 4,
        .length = HEADER_V2_LENGTH,
    };
    if (h->reftable_offset == 0)
        h->reftable_clusters = 0; /* which a check can mend */
    if (h->version != 2 && h->version != 3)
        return error_set(err, 0, "'%s' is of version %u of qcow2; only 2 and 3 are known", f->path,
                         h->version);
    if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS || h->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
        return bad(f, err, "its clusters are not 512 bytes to 2 MiB");
    if (h->version == 2)
        return 0;
    h->incompatible = get64(p + HEADER_INCOMPATIBLE);
    h->compatible = get64(p + 80);
    h->autoclear = get64(p + HEADER_AUTOCLEAR);
    h->refcount_order = get32(p + 96);
    h->length = get32(p + 100);
    if (h->length < HEADER_V3_LENGTH || h->length > 1u << h->cluster_bits)
        return bad(f, err, "the length of its header");
    if (h->length > HEADER_COMPRESSION)
        h->compression = p[HEADER_COMPRESSION];
    if ((h->compression != COMPRESS_ZLIB) != ((h->incompatible & QCOW2_COMPRESSION) != 0))
        return bad(f, err, "its compression type and the feature bit for it disagree");
    return 0;
}

/* A text of the image, made printable. */
static int read_text(struct hostfile *f, uint64_t offset, size_t len, char **out, struct error *err)
{
    char *text = xcalloc(1, len + 1);
    if (hostfile_read(f, text, len, offset, err) < 0) {
        free(text);
        return -1;
    }
    free(*out);
    *out = text;
    return 0;
}

/* The image's own name for an incompatible feature, from its feature name table. */
static void feature_name(const uint8_t *table, size_t len, unsigned bit, char out[64])
{
    snprintf(out, 64, "incompatible feature bit %u", bit);
    for (size_t i = 0; i + FEATURE_NAME_SIZE <= len; i += FEATURE_NAME_SIZE)
        if (table[i] == 0 && table[i + 1] == bit) {
            snprintf(out, 64, "the feature '%.46s'", (const char *)table + i + 2);
            str_printable(out);
            return;
        }
}

/* What is beyond us, if anything is. */
static void note_unsupported(struct qcow2_header *h, const uint8_t *names, size_t names_len)
{
    static const struct {
        uint64_t bit;
        const char *what;
    } known[] = {
        {QCOW2_DATA_FILE, "its data is in another file (external data file)"},
        {QCOW2_EXTENDED_L2, "it has subclusters (extended L2 entries)"},
    };
    uint64_t fine = QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_COMPRESSION;
    char name[64];
    if (h->crypt_method != 0) {
        snprintf(h->unsupported, sizeof h->unsupported, "it is encrypted");
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (h->incompatible & known[i].bit) {
            snprintf(h->unsupported, sizeof h->unsupported, "%s", known[i].what);
            return;
        }
    for (unsigned bit = 0; bit < 64; bit++)
        if (h->incompatible & ~fine & UINT64_C(1) << bit) {
            feature_name(names, names_len, bit, name);
            snprintf(h->unsupported, sizeof h->unsupported, "it has %s, which is not known here",
                     name);
            return;
        }
    if (h->compression > COMPRESS_ZSTD)
        snprintf(h->unsupported, sizeof h->unsupported, "its compression type %u is not known here",
                 h->compression);
}

/* One extension. */
static int read_extension(struct hostfile *f, struct qcow2_header *h, uint32_t type, uint32_t len,
                          uint64_t at, uint8_t **names, uint32_t *names_len, struct error *err)
{
    uint8_t b[24];
    switch (type) {
    case EXT_BACKING_FORMAT:
        return read_text(f, at, min(len, 63u), &h->backing_format, err);
    case EXT_FEATURE_NAMES:
        *names_len = min(len, 64u * FEATURE_NAME_SIZE);
        return read_text(f, at, *names_len, (char **)names, err);
    case EXT_BITMAPS:
        if (len < sizeof b || hostfile_read(f, b, sizeof b, at, err) < 0)
            return bad(f, err, "its bitmaps extension");
        h->nbitmaps = get32(b);
        h->bitmaps_size = get64(b + 8);
        h->bitmaps_offset = get64(b + 16);
        return 0;
    default:
        return 0; /* "If an unknown extension is encountered, it can safely be ignored" */
    }
}

/* The list of extensions, which ends in the first cluster, before the backing file's name. */
static int read_extensions(struct hostfile *f, struct qcow2_header *h, uint64_t end,
                           struct error *err)
{
    uint8_t b[8], *names = NULL;
    uint32_t names_len = 0;
    uint64_t at = h->length;
    int rc = 0;
    for (int i = 0; i < EXT_MAX && at + sizeof b <= end && rc == 0; i++) {
        rc = hostfile_read_padded(f, b, sizeof b, at, err);
        uint32_t type = get32(b), len = get32(b + 4);
        at += sizeof b;
        if (rc < 0 || type == EXT_END)
            break;
        if (len > end - at)
            rc = bad(f, err, "a header extension is too long");
        else
            rc = read_extension(f, h, type, len, at, &names, &names_len, err);
        at += ((uint64_t)len + 7) & ~UINT64_C(7);
    }
    if (rc == 0)
        note_unsupported(h, names, names_len);
    free(names);
    return rc;
}

int qcow2_header_read(struct hostfile *f, struct qcow2_header *h, struct error *err)
{
    uint8_t p[HEADER_LENGTH];
    *h = (struct qcow2_header){0};
    if (hostfile_read_padded(f, p, sizeof p, 0, err) < 0 || parse_fields(f, p, h, err) < 0 ||
        check_geometry(f, h, err) < 0)
        return -1;
    uint64_t backing = get64(p + 8), end = UINT64_C(1) << h->cluster_bits;
    uint32_t len = get32(p + 16);
    if (backing != 0) {
        if (len > QCOW2_MAX_BACKING_NAME || backing > end || len > end - backing ||
            backing < h->length)
            return bad(f, err, "the place of its backing file's name");
        if (len > 0 && read_text(f, backing, len, &h->backing, err) < 0)
            return -1;
        end = backing;
    }
    return read_extensions(f, h, end, err);
}

void qcow2_header_clear(struct qcow2_header *h)
{
    free(h->backing);
    free(h->backing_format);
    *h = (struct qcow2_header){0};
}
