/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading compressed clusters. They are decompressed whole; the one that was read last is kept,
 * because a guest reads a cluster in several pieces, one after the other. Nothing here ever writes
 * a compressed cluster, so what an offset of the file holds of one does not change.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "disk/qcow2.h"

/* A raw deflate stream. It may end before the input does, which is a matter of whole sectors. */
static int unpack_zlib(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
    z_stream z = {.next_in = (uint8_t *)in,
                  .avail_in = (unsigned)len,
                  .next_out = out,
                  .avail_out = (unsigned)size};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return -1;
    int rc = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return (rc == Z_STREAM_END || rc == Z_BUF_ERROR) && z.avail_out == 0 ? 0 : -1;
}

/* One frame, or several in a row, of exactly the cluster's size. */
static int unpack_zstd(const uint8_t *in, size_t len, uint8_t *out, size_t size)
{
    while (size > 0) {
        size_t frame = ZSTD_findFrameCompressedSize(in, len);
        if (ZSTD_isError(frame))
            return -1;
        size_t got = ZSTD_decompress(out, size, in, frame);
        if (ZSTD_isError(got) || (got == 0 && frame == 0))
            return -1;
        in += frame;
        len -= frame;
        out += got;
        size -= got;
    }
    return 0;
}

/* The cluster at this offset of the file into q->unpacked. Under unpack_lock. */
static int unpack(struct qcow2 *q, uint64_t offset, uint32_t packed, struct error *err)
{
    if (q->unpacked && q->unpacked_offset == offset)
        return 0;
    cleanup_free uint8_t *in = xcalloc(1, packed);
    if (q->unpacked == NULL)
        q->unpacked = xcalloc(1, q->cluster_size);
    q->unpacked_offset = 0; /* the header's place: none */
    if (hostfile_read_padded(q->file, in, packed, offset, err) < 0)
        return -1;
    int rc = q->h.compression == COMPRESS_ZSTD
                 ? unpack_zstd(in, packed, q->unpacked, q->cluster_size)
                 : unpack_zlib(in, packed, q->unpacked, q->cluster_size);
    if (rc < 0)
        return error_set(err, EIO, "decompress the cluster at %#llx of '%s'",
                         (unsigned long long)offset, q->file->path);
    q->unpacked_offset = offset;
    return 0;
}

int qcow2_read_copy(struct disk *d, const struct disk_map *m, struct iov_cursor to,
                    struct error *err)
{
    struct qcow2 *q = d->state;
    pthread_mutex_lock(&q->unpack_lock);
    int rc = unpack(q, m->offset, m->packed, err);
    if (rc == 0)
        iov_fill(to, q->unpacked + in_cluster(q, m->guest), m->length);
    pthread_mutex_unlock(&q->unpack_lock);
    return rc;
}
