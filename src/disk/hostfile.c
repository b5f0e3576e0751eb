/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of the host, whole transfers, zeroes; hostfile.h.
 *
 * After a failed fdatasync() the kernel may have thrown away what it could not write and will say
 * nothing of it the next time. So a file that failed once, other than for want of room, never
 * syncs again.
 */
#include "disk/hostfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "disk/disk.h"
#include "disk/iov.h"

#define DIRECT_ALIGN 4096u /* what every device in use is content with */

/* Not const, so that it takes no room in the program's file; nobody writes to it. */
char hostfile_zeroes[HOSTFILE_ZEROES];

/* ---- the real thing ---- */

static ssize_t file_preadv(struct hostfile *f, const struct iovec *iov, int n, uint64_t offset,
                           bool data)
{
    return preadv(data ? f->fd : f->meta, iov, n, (off_t)offset);
}

static ssize_t file_pwritev(struct hostfile *f, const struct iovec *iov, int n, uint64_t offset,
                            bool data)
{
    return pwritev(data ? f->fd : f->meta, iov, n, (off_t)offset);
}

static int file_sync(struct hostfile *f)
{
    return fdatasync(f->fd);
}

static int file_truncate(struct hostfile *f, uint64_t size)
{
    return ftruncate(f->meta, (off_t)size);
}

static int file_allocate(struct hostfile *f, int mode, uint64_t offset, uint64_t length)
{
    return fallocate(f->meta, mode, (off_t)offset, (off_t)length);
}

static void file_close(struct hostfile *f)
{
    if (f->meta >= 0 && f->meta != f->fd)
        close(f->meta);
    if (f->fd >= 0)
        close(f->fd);
}

static const struct hostfile_ops file_ops = {
    .preadv = file_preadv,
    .pwritev = file_pwritev,
    .sync = file_sync,
    .truncate = file_truncate,
    .allocate = file_allocate,
    .close = file_close,
};

/* Its size, and whether it is of a kind that can hold an image. */
static int learn(struct hostfile *f, struct error *err)
{
    struct stat st;
    if (fstat(f->meta, &st) < 0)
        return error_set(err, errno, "look at '%s'", f->path);
    f->device = S_ISBLK(st.st_mode);
    if (!S_ISREG(st.st_mode) && !f->device)
        return error_set(err, 0, "'%s' is neither a regular file nor a block device", f->path);
    off_t end = f->device ? lseek(f->meta, 0, SEEK_END) : st.st_size;
    if (end < 0)
        return error_set(err, errno, "find the end of '%s'", f->path);
    f->size = (uint64_t)end;
    return 0;
}

int hostfile_adopt(struct hostfile *f, int fd, const char *path, struct error *err)
{
    *f = (struct hostfile){
        .ops = &file_ops, .path = xstrdup(path), .fd = fd, .meta = fd, .align = 1};
    return learn(f, err);
}

/*
 * O_NONBLOCK: a FIFO in a file's place must not hold us up. It does not stay, for io_uring would
 * rather give up than wait where it is set.
 */
int hostfile_open(struct hostfile *f, const char *path, unsigned flags, struct error *err)
{
    int mode = O_CLOEXEC | O_NOCTTY | (flags & DISK_READONLY ? O_RDONLY : O_RDWR);
    *f = (struct hostfile){
        .ops = &file_ops, .path = xstrdup(path), .fd = -1, .meta = -1, .align = 1};
    f->meta = f->fd = open(path, mode | O_NONBLOCK);
    if (f->fd < 0)
        return error_set(err, errno, "open '%s'%s", path,
                         flags & DISK_READONLY ? "" : " for writing");
    if (learn(f, err) < 0)
        return -1;
    if (fcntl(f->fd, F_SETFL, 0) < 0)
        return error_set(err, errno, "set up the descriptor of '%s'", path);
    if (flags & DISK_DIRECT) {
        cleanup_free char *self = xasprintf("/proc/self/fd/%d", f->meta);
        f->fd = open(self, mode | O_DIRECT);
        if (f->fd < 0) {
            error_set(err, errno, "open '%s' with O_DIRECT", path);
            return error_hint(err, "its file system may not have that: use another cache mode");
        }
        f->align = DIRECT_ALIGN;
    }
    return flags & DISK_NO_LOCK ? 0 : hostfile_lock(f, !(flags & DISK_READONLY), err);
}

void hostfile_close(struct hostfile *f)
{
    if (f->ops)
        f->ops->close(f);
    free(f->path);
    *f = (struct hostfile){.fd = -1, .meta = -1};
}

/* ---- whole transfers ---- */

/*
 * Move len bytes between the buffers and the file, through interruptions and short counts. Returns
 * how many were moved before the end of the file, or -1.
 */
static ssize_t move(struct hostfile *f, bool write, struct iov_cursor c, uint64_t offset,
                    size_t len, bool data)
{
    size_t done = 0;
    while (done < len) {
        struct iovec part[IOV_BATCH];
        int count = iov_take(&c, part, IOV_BATCH, len - done);
        ssize_t got = write ? f->ops->pwritev(f, part, count, offset + done, data)
                            : f->ops->preadv(f, part, count, offset + done, data);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0 && write) {
            errno = ENOSPC;
            return -1;
        }
        if (got == 0)
            break;
        iov_advance(&c, (size_t)got);
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Beyond what an off_t can say? */
static int too_far(const struct hostfile *f, uint64_t offset, size_t len, struct error *err)
{
    if (offset <= INT64_MAX && len <= INT64_MAX - offset)
        return 0;
    return error_set(err, EFBIG, "reach offset %llu of '%s'", (unsigned long long)offset, f->path);
}

static int fail_io(const struct hostfile *f, const char *what, uint64_t offset, size_t len,
                   struct error *err)
{
    return error_set(err, errno, "%s %zu bytes at %llu of '%s'", what, len,
                     (unsigned long long)offset, f->path);
}

int hostfile_read_padded(struct hostfile *f, void *buf, size_t len, uint64_t offset,
                         struct error *err)
{
    struct iovec v = {buf, len};
    if (too_far(f, offset, len, err) < 0)
        return -1;
    ssize_t got = move(f, false, (struct iov_cursor){&v, 1, 0}, offset, len, false);
    if (got < 0)
        return fail_io(f, "read", offset, len, err);
    memset((char *)buf + got, 0, len - (size_t)got);
    return 0;
}

int hostfile_read(struct hostfile *f, void *buf, size_t len, uint64_t offset, struct error *err)
{
    struct iovec v = {buf, len};
    if (too_far(f, offset, len, err) < 0)
        return -1;
    ssize_t got = move(f, false, (struct iov_cursor){&v, 1, 0}, offset, len, false);
    if (got < 0)
        return fail_io(f, "read", offset, len, err);
    if ((size_t)got < len)
        return error_set(err, EIO, "read %zu bytes at %llu of '%s': it ends before that", len,
                         (unsigned long long)offset, f->path);
    return 0;
}

int hostfile_write(struct hostfile *f, const void *buf, size_t len, uint64_t offset,
                   struct error *err)
{
    struct iovec v = {(void *)buf, len};
    if (too_far(f, offset, len, err) < 0)
        return -1;
    if (move(f, true, (struct iov_cursor){&v, 1, 0}, offset, len, false) < 0)
        return fail_io(f, "write", offset, len, err);
    return 0;
}

/* Does O_DIRECT take it as it is? */
static bool direct_takes(const struct hostfile *f, struct iov_cursor c, uint64_t offset, size_t len)
{
    if (f->align == 1)
        return true;
    if (offset % f->align || len % f->align)
        return false;
    struct iovec v;
    while (len > 0 && iov_take(&c, &v, 1, len) == 1) {
        if ((uintptr_t)v.iov_base % f->align || v.iov_len % f->align)
            return false;
        iov_advance(&c, v.iov_len);
        len -= v.iov_len;
    }
    return true;
}

/*
 * What O_DIRECT does not take goes by the page cache. The kernel writes that back before a direct
 * transfer of the same pages, and drops it after.
 */
int hostfile_readv(struct hostfile *f, struct iov_cursor to, uint64_t offset, size_t len,
                   struct error *err)
{
    if (too_far(f, offset, len, err) < 0)
        return -1;
    ssize_t got = move(f, false, to, offset, len, direct_takes(f, to, offset, len));
    if (got < 0)
        return fail_io(f, "read", offset, len, err);
    iov_advance(&to, (size_t)got);
    iov_zero(to, len - (size_t)got);
    return 0;
}

int hostfile_writev(struct hostfile *f, struct iov_cursor from, uint64_t offset, size_t len,
                    struct error *err)
{
    if (too_far(f, offset, len, err) < 0)
        return -1;
    if (move(f, true, from, offset, len, direct_takes(f, from, offset, len)) < 0)
        return fail_io(f, "write", offset, len, err);
    return 0;
}

/* ---- the rest ---- */

int hostfile_sync(struct hostfile *f, struct error *err)
{
    if (f->fleeting)
        return 0;
    if (f->lost)
        return error_set(err, EIO, "sync '%s': an earlier sync failed, and data may be lost",
                         f->path);
    int rc;
    do
        rc = f->ops->sync(f);
    while (rc < 0 && errno == EINTR);
    if (rc == 0)
        return 0;
    if (errno != ENOSPC && errno != EDQUOT)
        f->lost = true;
    return error_set(err, errno, "sync '%s'", f->path);
}

int hostfile_truncate(struct hostfile *f, uint64_t size, struct error *err)
{
    int rc;
    if (f->device)
        return size <= f->size ? 0 : error_set(err, ENOSPC, "make '%s' larger than it is", f->path);
    do
        rc = f->ops->truncate(f, size);
    while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return error_set(err, errno, "set the size of '%s' to %llu", f->path,
                         (unsigned long long)size);
    f->size = size;
    return 0;
}

/* Not for this file, rather than: not now. */
static bool never(int code)
{
    return code == EOPNOTSUPP || code == ENOSYS || code == EINVAL || code == ENODEV ||
           code == ENOTTY || code == EPERM;
}

static int allocate(struct hostfile *f, int mode, uint64_t offset, uint64_t length)
{
    int rc;
    if (offset > INT64_MAX || length > INT64_MAX - offset) {
        errno = EFBIG;
        return -1;
    }
    do
        rc = f->ops->allocate(f, mode, offset, length);
    while (rc < 0 && errno == EINTR);
    return rc;
}

/* ZERO_RANGE with KEEP_SIZE needs a file that reaches so far; a block device knows no other. */
int hostfile_zero(struct hostfile *f, uint64_t offset, uint64_t length, struct error *err)
{
    if (!f->no_zero && length >= HOSTFILE_ZEROES) {
        if (allocate(f, FALLOC_FL_ZERO_RANGE, offset, length) == 0)
            return 0;
        if (!never(errno))
            return error_set(err, errno, "zero %llu bytes at %llu of '%s'",
                             (unsigned long long)length, (unsigned long long)offset, f->path);
        f->no_zero = true;
    }
    while (length > 0) {
        size_t n = min((uint64_t)HOSTFILE_ZEROES, length);
        if (hostfile_write(f, hostfile_zeroes, n, offset, err) < 0)
            return -1;
        offset += n;
        length -= n;
    }
    return 0;
}

int hostfile_punch_zero(struct hostfile *f, uint64_t offset, uint64_t length)
{
    if (f->no_discard) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (allocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) == 0)
        return 0;
    if (never(errno))
        f->no_discard = true;
    return -1;
}

void hostfile_punch(struct hostfile *f, uint64_t offset, uint64_t length)
{
    if (hostfile_punch_zero(f, offset, length) == 0 || !f->device)
        return;
    uint64_t range[2] = {offset, length};
    if (f->meta >= 0 && ioctl(f->meta, BLKDISCARD, range) < 0)
        return; /* it keeps what it has */
}
