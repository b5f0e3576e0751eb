/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Walking through the buffers of a request. */
#ifndef PULT_DISK_IOV_H
#define PULT_DISK_IOV_H

#include <stddef.h>
#include <string.h>
#include <sys/uio.h>

#define IOV_BATCH 64 /* buffers handed to the kernel at a time */

struct iov_cursor {
    const struct iovec *iov;
    int left;
    size_t skip; /* of the first */
};

/* Step over len bytes. */
static inline void iov_advance(struct iov_cursor *c, size_t len)
{
    while (c->left > 0 && len >= c->iov->iov_len - c->skip) {
        len -= c->iov->iov_len - c->skip;
        c->iov++;
        c->left--;
        c->skip = 0;
    }
    c->skip += len;
}

/* The next buffers, len bytes at most, as at most max vectors. Moves nothing. Returns how many. */
static inline int iov_take(const struct iov_cursor *c, struct iovec *out, int max, size_t len)
{
    size_t skip = c->skip;
    int n = 0;
    for (int i = 0; i < c->left && n < max && len > 0; i++, skip = 0) {
        size_t room = c->iov[i].iov_len - skip;
        if (room == 0)
            continue;
        room = room < len ? room : len;
        out[n++] = (struct iovec){(char *)c->iov[i].iov_base + skip, room};
        len -= room;
    }
    return n;
}

static inline size_t iov_len(const struct iovec *iov, int n)
{
    size_t len = 0;
    for (int i = 0; i < n; i++)
        len += iov[i].iov_len;
    return len;
}

/* Zeroes into the next len bytes. */
static inline void iov_zero(struct iov_cursor c, size_t len)
{
    struct iovec v;
    while (len > 0 && iov_take(&c, &v, 1, len) == 1) {
        memset(v.iov_base, 0, v.iov_len);
        iov_advance(&c, v.iov_len);
        len -= v.iov_len;
    }
}

/* data into the next len bytes. */
static inline void iov_fill(struct iov_cursor c, const void *data, size_t len)
{
    struct iovec v;
    while (len > 0 && iov_take(&c, &v, 1, len) == 1) {
        memcpy(v.iov_base, data, v.iov_len);
        iov_advance(&c, v.iov_len);
        data = (const char *)data + v.iov_len;
        len -= v.iov_len;
    }
}

#endif
