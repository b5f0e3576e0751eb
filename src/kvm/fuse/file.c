/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Open files, and their bytes. A handle's number has a generation, as a node's has, and a request that
 * names it must be for the same node.
 */
#include "kvm/fuse/private.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/util.h"

#define NO_HANDLE UINT32_MAX

/* ---- handles ---- */

int handles_create(struct fuse *f, unsigned most)
{
    f->handle_most = most;
    f->free_handle = NO_HANDLE;
    return 0;
}

struct handle *handle_find(struct fuse *f, uint64_t fh)
{
    uint32_t index = (uint32_t)fh;

    if (index >= f->handle_count)
        return NULL;
    struct handle *h = &f->handles[index];
    return h->used && h->generation == fh >> 32 ? h : NULL;
}

int handle_add(struct fuse *f, struct node *n, int fd, bool dir, bool writable, uint64_t *fh)
{
    cleanup_close int mine = fd;
    uint32_t i = f->free_handle;

    if (i == NO_HANDLE) {
        if (f->handle_count >= f->handle_most)
            return -ENFILE;
        if (f->handle_count % 64 == 0)
            f->handles = xrealloc(f->handles, f->handle_count + 64, sizeof(*f->handles));
        i = f->handle_count++;
        f->handles[i] = (struct handle){0};
    } else {
        f->free_handle = f->handles[i].next;
    }
    f->handles[i] = (struct handle){.fd = steal_fd(mine),
                                    .generation = f->handles[i].generation,
                                    .used = true,
                                    .dir = dir,
                                    .writable = writable,
                                    .node = n};
    f->handle_used++;
    node_hold(n);
    *fh = (uint64_t)f->handles[i].generation << 32 | i;
    return 0;
}

void handle_close(struct fuse *f, struct handle *h)
{
    cleanup_close_fn(&h->fd);
    h->used = false;
    h->generation++;
    h->next = f->free_handle;
    f->free_handle = (uint32_t)(h - f->handles);
    f->handle_used--;
    node_drop(f, h->node);
}

void handles_reset(struct fuse *f)
{
    for (unsigned i = 0; i < f->handle_count; i++)
        if (f->handles[i].used)
            handle_close(f, &f->handles[i]);
}

void handles_destroy(struct fuse *f)
{
    handles_reset(f);
    free(f->handles);
}

uint32_t handle_flags(const struct fuse *f, bool dir)
{
    switch (f->config.cache) {
    case FUSE_CACHE_ALWAYS:
        return FOPEN_KEEP_CACHE | (dir ? FOPEN_CACHE_DIR : 0);
    case FUSE_CACHE_NONE:
        return dir ? 0 : FOPEN_DIRECT_IO;
    default:
        return 0;
    }
}

/*
 * O_DIRECT concerns the guest's own cache; O_APPEND stays, for the host may append as well.
 */
int handle_open_flags(uint32_t flags)
{
    return (int)flags & (O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC);
}

/* ---- open and close ---- */

static int open_node(struct request *r, uint32_t wanted, bool dir)
{
    struct fuse *f = r->f;
    struct fuse_open_out out = {.open_flags = handle_flags(f, dir)};
    int flags = dir ? O_RDONLY : handle_open_flags(wanted), fd = -1;
    bool writable = (flags & O_ACCMODE) != O_RDONLY;

    if ((flags & O_ACCMODE) == O_ACCMODE || (!dir && r->node->type == S_IFDIR && writable))
        return r->node->type == S_IFDIR ? -EISDIR : -EINVAL;
    if ((writable || (flags & O_TRUNC)) && f->config.readonly)
        return -EROFS;
    if (r->node->hidden) {
        if (writable || (flags & O_TRUNC))
            return -EACCES;
    } else {
        fd = node_open(f, r->node, flags);
        if (fd < 0)
            return fd;
    }
    int rc = handle_add(f, r->node, fd, dir, writable, &out.fh);
    return rc < 0 ? rc : reply(r, &out, sizeof(out));
}

int op_open(struct request *r, const void *in)
{
    const struct fuse_open_in *want = in;

    if (r->node->type == S_IFDIR)
        return -EISDIR;
    return open_node(r, want->flags, false);
}

int op_opendir(struct request *r, const void *in)
{
    (void)in;
    return open_node(r, O_RDONLY, true);
}

int op_release(struct request *r, const void *in)
{
    const struct fuse_release_in *want = in;
    struct handle *h = handle_find(r->f, want->fh);

    if (!h)
        return -EBADF;
    handle_close(r->f, h);
    return 0;
}

/* An open file of the node that the request is for. */
static int file_of(struct request *r, uint64_t fh, bool writable, struct handle **out)
{
    struct handle *h = handle_find(r->f, fh);

    if (!h || h->dir || h->node != r->node || (writable && !h->writable))
        return -EBADF;
    *out = h;
    return 0;
}

/* ---- bytes ---- */

/* The first `len` bytes of some buffers. */
static int clip(struct fuse *f, const struct iovec *iov, unsigned count, size_t len)
{
    unsigned n = 0;

    for (; n < min(count, FUSE_IOV) && len; n++) {
        f->iov[n] = iov[n];
        f->iov[n].iov_len = min(iov[n].iov_len, len);
        len -= f->iov[n].iov_len;
    }
    return (int)n;
}

static bool beyond(uint64_t offset, uint64_t len)
{
    return offset > INT64_MAX || len > INT64_MAX - offset;
}

int op_read(struct request *r, const void *in)
{
    const struct fuse_read_in *want = in;
    size_t size = min((size_t)want->size, r->room);
    struct handle *h;
    int rc = file_of(r, want->fh, false, &h);

    if (rc < 0)
        return rc;
    if (beyond(want->offset, size))
        return -EINVAL;
    if (h->fd < 0 || size == 0)
        return 0;
    int n = clip(r->f, r->c->out, r->c->out_count, size);
    ssize_t got = preadv(h->fd, r->f->iov, n, (off_t)want->offset);
    if (got < 0)
        return -errno;
    chain_wrote(r->c, (size_t)got);
    return 0;
}

int op_write(struct request *r, const void *in)
{
    const struct fuse_write_in *want = in;
    struct fuse_write_out out = {0};
    struct handle *h;
    int rc = file_of(r, want->fh, true, &h);

    if (rc < 0)
        return rc;
    if (want->size > r->args_len || want->size > FUSE_WRITE_MOST ||
        beyond(want->offset, want->size))
        return -EINVAL;
    int n = clip(r->f, r->c->in, r->c->in_count, want->size);
    ssize_t put = pwritev(h->fd, r->f->iov, n, (off_t)want->offset);
    if (put < 0)
        return -errno;
    out.size = (uint32_t)put;
    return reply(r, &out, sizeof(out));
}

/* A file is closed in the guest: what the host has to say of what was written (NFS, quota). */
int op_flush(struct request *r, const void *in)
{
    const struct fuse_flush_in *want = in;
    struct handle *h;
    int rc;

    if (r->f->config.readonly)
        return -ENOSYS; /* it never asks again */
    rc = file_of(r, want->fh, false, &h);
    if (rc < 0 || !h->writable)
        return rc;
    int fd = dup(h->fd);
    return fd < 0 || close(fd) < 0 ? -errno : 0;
}

int op_fsync(struct request *r, const void *in)
{
    const struct fuse_fsync_in *want = in;
    struct handle *h = handle_find(r->f, want->fh);

    if (!h || h->node != r->node)
        return -EBADF;
    if (h->fd < 0 || r->f->config.readonly)
        return 0;
    int rc = want->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(h->fd) : fsync(h->fd);
    return rc < 0 ? -errno : 0;
}

int op_fallocate(struct request *r, const void *in)
{
    const struct fuse_fallocate_in *want = in;
    struct handle *h;
    int rc = file_of(r, want->fh, true, &h);

    if (rc < 0)
        return rc;
    if (beyond(want->offset, want->length))
        return -EFBIG;
    return fallocate(h->fd, (int)want->mode, (off_t)want->offset, (off_t)want->length) < 0 ? -errno
                                                                                           : 0;
}

int op_lseek(struct request *r, const void *in)
{
    const struct fuse_lseek_in *want = in;
    struct fuse_lseek_out out;
    struct handle *h;
    int rc = file_of(r, want->fh, false, &h);

    if (rc < 0)
        return rc;
    if ((want->whence != SEEK_DATA && want->whence != SEEK_HOLE) || want->offset > INT64_MAX)
        return -EINVAL;
    if (h->fd < 0)
        return -ENXIO;
    off_t at = lseek(h->fd, (off_t)want->offset, (int)want->whence);
    if (at < 0)
        return -errno;
    out.offset = (uint64_t)at;
    return reply(r, &out, sizeof(out));
}

int op_copy_file_range(struct request *r, const void *in)
{
    const struct fuse_copy_file_range_in *want = in;
    struct handle *from, *to = handle_find(r->f, want->fh_out);
    struct fuse_write_out out = {0};
    int rc = file_of(r, want->fh_in, false, &from);

    if (rc < 0)
        return rc;
    if (!to || to->dir || !to->writable || from->fd < 0)
        return -EBADF;
    size_t len = min(want->len, (uint64_t)INT32_MAX & ~4095ull);
    if (want->flags || beyond(want->off_in, len) || beyond(want->off_out, len))
        return -EINVAL;
    off_t off_in = (off_t)want->off_in, off_out = (off_t)want->off_out;
    ssize_t n = copy_file_range(from->fd, &off_in, to->fd, &off_out, len, 0);
    if (n < 0)
        return -errno;
    out.size = (uint32_t)n;
    return reply(r, &out, sizeof(out));
}
