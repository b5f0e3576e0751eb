/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unpacking, see unpack.h. The libraries' decoders are run over whole buffers.
 */
#include "kvm/boot/unpack.h"

#include <bzlib.h>
#include <limits.h>
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/util.h"

/* What a decoder may take for itself: Linux's xz and lzma use dictionaries of at most 128 MiB. */
#define WORK_MAX (160ull << 20)

/* What can be wrong; positive numbers are lengths. */
enum { DAMAGED = -1, TOO_LARGE = -2, WANTS_TOO_MUCH = -3 };

static int64_t unpack_gzip(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    z_stream s = {.next_in = (uint8_t *)in,
                  .avail_in = (uInt)min(len, (size_t)UINT_MAX),
                  .next_out = out,
                  .avail_out = (uInt)min(room, (size_t)UINT_MAX)};

    if (inflateInit2(&s, 16 + MAX_WBITS) != Z_OK) /* 16: with gzip's header */
        return WANTS_TOO_MUCH;
    int rc = inflate(&s, Z_FINISH);
    int64_t n = (int64_t)s.total_out;
    inflateEnd(&s);
    if (rc == Z_STREAM_END)
        return n;
    return rc == Z_MEM_ERROR ? WANTS_TOO_MUCH : s.avail_out == 0 ? TOO_LARGE : DAMAGED;
}

static int64_t unpack_bzip2(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    bz_stream s = {.next_in = (char *)in,
                   .avail_in = (unsigned)min(len, (size_t)UINT_MAX),
                   .next_out = (char *)out,
                   .avail_out = (unsigned)min(room, (size_t)UINT_MAX)};

    if (BZ2_bzDecompressInit(&s, 0, 0) != BZ_OK)
        return WANTS_TOO_MUCH;
    int rc = BZ2_bzDecompress(&s);
    int64_t n = (int64_t)((uint64_t)s.total_out_hi32 << 32 | s.total_out_lo32);
    BZ2_bzDecompressEnd(&s);
    if (rc == BZ_STREAM_END)
        return n;
    return rc == BZ_MEM_ERROR ? WANTS_TOO_MUCH : s.avail_out == 0 ? TOO_LARGE : DAMAGED;
}

/* Run a decoder that was set up, whose state is *rc. */
static int64_t run_lzma(lzma_stream *s, lzma_ret rc, const uint8_t *in, size_t len, uint8_t *out,
                        size_t room)
{
    s->next_in = in;
    s->avail_in = len;
    s->next_out = out;
    s->avail_out = room;
    while (rc == LZMA_OK)
        rc = lzma_code(s, LZMA_FINISH);
    int64_t n = (int64_t)s->total_out;
    lzma_end(s);
    if (rc == LZMA_STREAM_END)
        return n;
    if (rc == LZMA_MEM_ERROR || rc == LZMA_MEMLIMIT_ERROR)
        return WANTS_TOO_MUCH;
    return s->avail_out == 0 ? TOO_LARGE : DAMAGED;
}

static int64_t unpack_xz(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    lzma_stream s = LZMA_STREAM_INIT;

    return run_lzma(&s, lzma_stream_decoder(&s, WORK_MAX, 0), in, len, out, room);
}

static int64_t unpack_lzma(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    lzma_stream s = LZMA_STREAM_INIT;

    return run_lzma(&s, lzma_alone_decoder(&s, WORK_MAX), in, len, out, room);
}

/* A little-endian number of 4 bytes. */
static uint32_t get_le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/*
 * lz4's "legacy frame", the one that Linux packs: a magic number, then blocks of at most 8 MiB,
 * each after its packed length. There is no mark at the end but Linux's own, the unpacked size:
 * 4 bytes behind which nothing comes.
 */
static int64_t unpack_lz4(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    enum { BLOCK = 8 << 20 };
    size_t at = 4, n = 0;

    while (len - at > 4) {
        uint32_t packed = get_le32(in + at);
        at += 4;
        if (!packed || packed > len - at || packed > (uint32_t)LZ4_compressBound(BLOCK))
            return DAMAGED;
        int cap = (int)min(room - n, (size_t)BLOCK);
        int got = LZ4_decompress_safe((const char *)in + at, (char *)out + n, (int)packed, cap);
        if (got < 0)
            return cap < BLOCK ? TOO_LARGE : DAMAGED;
        n += (size_t)got;
        at += packed;
    }
    return (int64_t)n;
}

static int64_t unpack_zstd(const uint8_t *in, size_t len, uint8_t *out, size_t room)
{
    size_t frame = ZSTD_findFrameCompressedSize(in, len);

    if (ZSTD_isError(frame))
        return DAMAGED;
    size_t n = ZSTD_decompress(out, room, in, frame);
    switch (ZSTD_getErrorCode(n)) {
    case ZSTD_error_no_error:
        return (int64_t)n;
    case ZSTD_error_dstSize_tooSmall:
        return TOO_LARGE;
    case ZSTD_error_memory_allocation:
        return WANTS_TOO_MUCH;
    default:
        return DAMAGED;
    }
}

static const struct packing {
    const char *name;
    uint8_t magic[6];
    uint8_t magic_len;
    int64_t (*unpack)(const uint8_t *in, size_t len, uint8_t *out, size_t room);
} packings[] = {
    {"gzip", {0x1f, 0x8b}, 2, unpack_gzip},
    {"bzip2", {'B', 'Z', 'h'}, 3, unpack_bzip2},
    {"lzma",
     {0x5d, 0x00, 0x00},
     3,
     unpack_lzma}, /* the usual properties, and no small dictionary */
    {"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, unpack_xz},
    {"lz4", {0x02, 0x21, 0x4c, 0x18}, 4, unpack_lz4},
    {"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, unpack_zstd},
};

static const struct packing *find(const uint8_t *in, size_t len)
{
    for (unsigned i = 0; i < ARRAY_SIZE(packings); i++)
        if (len >= packings[i].magic_len && !memcmp(in, packings[i].magic, packings[i].magic_len))
            return &packings[i];
    return NULL;
}

const char *unpack_name(const uint8_t *in, size_t len)
{
    const struct packing *p = find(in, len);

    return p ? p->name : NULL;
}

int64_t unpack(const uint8_t *in, size_t len, uint8_t *out, size_t room, struct error *err)
{
    const struct packing *p = find(in, len);
    int64_t n = p ? p->unpack(in, len, out, room) : DAMAGED;

    if (n >= 0)
        return n;
    if (n == TOO_LARGE)
        return error_set(err, 0, "more than the %llu MiB come out of it that its header promises",
                         (unsigned long long)(room >> 20));
    if (n == WANTS_TOO_MUCH)
        return error_set(err, 0, "its %s data wants more than %llu MiB of memory to be unpacked",
                         p->name, WORK_MAX >> 20);
    return error_set(err, 0, "its %s data is damaged", p ? p->name : "packed");
}
