/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host's file in memory, beneath an image: what was written to it since is remembered, so that
 * a power cut can be played; it can be full; and it keeps to a limit.
 */
#ifndef PULT_TESTS_MEMFILE_H
#define PULT_TESTS_MEMFILE_H

#include <errno.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "disk/hostfile.h"

enum memfile_kind { MEMFILE_WRITE, MEMFILE_ZERO, MEMFILE_SIZE, MEMFILE_SYNC };

struct memfile_op {
    enum memfile_kind kind;
    uint64_t offset, length;
    uint8_t *data; /* of a write */
};

struct memfile {
    uint8_t *data;
    uint64_t size, room, limit; /* limit: EFBIG beyond */
    uint64_t full_at;           /* writes that end behind it fail with ENOSPC; 0: never */
    long fail_in;               /* so many changes from now one fails with fail_with; -1: none */
    int fail_with;
    bool no_holes; /* as a file system that cannot make any */
    bool record;
    struct memfile_op *ops;
    size_t nops, ops_room;
    pthread_mutex_t lock;
};

static inline void memfile_log(struct memfile *m, enum memfile_kind kind, uint64_t offset,
                               uint64_t length, const void *data)
{
    if (!m->record)
        return;
    if (m->nops == m->ops_room) {
        m->ops_room = m->ops_room ? 2 * m->ops_room : 256;
        m->ops = xrealloc(m->ops, m->ops_room, sizeof *m->ops);
    }
    struct memfile_op *op = &m->ops[m->nops++];
    *op = (struct memfile_op){.kind = kind, .offset = offset, .length = length};
    if (data && length > 0) {
        op->data = xcalloc(1, length);
        memcpy(op->data, data, length);
    }
}

static inline int memfile_grow(struct memfile *m, uint64_t size)
{
    if (size > m->limit) {
        errno = EFBIG;
        return -1;
    }
    if (size > m->room) {
        uint64_t room = max(size, 2 * m->room);
        m->data = xrealloc(m->data, room, 1);
        memset(m->data + m->room, 0, room - m->room);
        m->room = room;
    }
    m->size = max(m->size, size);
    return 0;
}

static inline void memfile_set_size(struct memfile *m, uint64_t size)
{
    if (size < m->size)
        memset(m->data + size, 0, m->size - size);
    m->size = size;
}

/* Is it time to fail? */
static inline bool memfile_fails(struct memfile *m, uint64_t end)
{
    if (m->full_at && end > m->full_at) {
        errno = ENOSPC;
        return true;
    }
    if (m->fail_in >= 0 && m->fail_in-- == 0) {
        errno = m->fail_with;
        return true;
    }
    return false;
}

static inline ssize_t memfile_preadv(struct hostfile *f, const struct iovec *iov, int n,
                                     uint64_t offset, bool data)
{
    (void)data;
    struct memfile *m = f->arg;
    ssize_t done = 0;
    pthread_mutex_lock(&m->lock);
    for (int i = 0; i < n && offset < m->size; i++) {
        size_t len = min((uint64_t)iov[i].iov_len, m->size - offset);
        memcpy(iov[i].iov_base, m->data + offset, len);
        done += (ssize_t)len;
        offset += len;
        if (len < iov[i].iov_len)
            break;
    }
    pthread_mutex_unlock(&m->lock);
    return done;
}

static inline ssize_t memfile_pwritev(struct hostfile *f, const struct iovec *iov, int n,
                                      uint64_t offset, bool data)
{
    (void)data;
    struct memfile *m = f->arg;
    ssize_t done = 0;
    pthread_mutex_lock(&m->lock);
    for (int i = 0; i < n; i++) {
        if (memfile_fails(m, offset + iov[i].iov_len) ||
            memfile_grow(m, offset + iov[i].iov_len) < 0) {
            done = done ? done : -1;
            break;
        }
        memcpy(m->data + offset, iov[i].iov_base, iov[i].iov_len);
        memfile_log(m, MEMFILE_WRITE, offset, iov[i].iov_len, iov[i].iov_base);
        done += (ssize_t)iov[i].iov_len;
        offset += iov[i].iov_len;
    }
    pthread_mutex_unlock(&m->lock);
    return done;
}

static inline int memfile_sync(struct hostfile *f)
{
    struct memfile *m = f->arg;
    pthread_mutex_lock(&m->lock);
    int rc = memfile_fails(m, 0) ? -1 : 0;
    if (rc == 0)
        memfile_log(m, MEMFILE_SYNC, 0, 0, NULL);
    pthread_mutex_unlock(&m->lock);
    return rc;
}

static inline int memfile_truncate(struct hostfile *f, uint64_t size)
{
    struct memfile *m = f->arg;
    pthread_mutex_lock(&m->lock);
    int rc = memfile_fails(m, 0) ? -1 : memfile_grow(m, size);
    if (rc == 0) {
        memfile_set_size(m, size);
        memfile_log(m, MEMFILE_SIZE, size, 0, NULL);
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

/* Reserving does nothing but fail; holes and zeroes are zeroes. */
static inline int memfile_allocate(struct hostfile *f, int mode, uint64_t offset, uint64_t length)
{
    struct memfile *m = f->arg;
    int rc = 0;
    if (m->no_holes && mode != 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    pthread_mutex_lock(&m->lock);
    if (mode == 0 || mode == FALLOC_FL_ZERO_RANGE)
        rc = memfile_fails(m, offset + length) ? -1 : memfile_grow(m, offset + length);
    if (rc == 0 && mode != 0 && offset < m->size) {
        length = min(length, m->size - offset);
        memset(m->data + offset, 0, length);
        memfile_log(m, MEMFILE_ZERO, offset, length, NULL);
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

/* The image closes it, the test keeps what is in it. */
static inline void memfile_close(struct hostfile *f)
{
    (void)f;
}

static const struct hostfile_ops memfile_ops = {
    .preadv = memfile_preadv,
    .pwritev = memfile_pwritev,
    .sync = memfile_sync,
    .truncate = memfile_truncate,
    .allocate = memfile_allocate,
    .close = memfile_close,
};

static inline void memfile_init(struct memfile *m, uint64_t limit)
{
    *m = (struct memfile){.limit = limit, .fail_in = -1};
    pthread_mutex_init(&m->lock, NULL);
}

static inline void memfile_forget(struct memfile *m)
{
    for (size_t i = 0; i < m->nops; i++)
        free(m->ops[i].data);
    m->nops = 0;
}

static inline void memfile_clear(struct memfile *m)
{
    memfile_forget(m);
    free(m->ops);
    free(m->data);
    pthread_mutex_destroy(&m->lock);
    *m = (struct memfile){0};
}

/* A hostfile on it. */
static inline void memfile_open(struct memfile *m, struct hostfile *f, const char *name)
{
    *f = (struct hostfile){.ops = &memfile_ops,
                           .arg = m,
                           .path = xstrdup(name),
                           .fd = -1,
                           .meta = -1,
                           .align = 1,
                           .size = m->size};
}

#endif
