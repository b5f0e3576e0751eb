/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's file or block device in which an image lies. All that a format reads and writes goes
 * through here, by a small table of functions, beneath which tests put files of their own: in
 * memory, with power cuts, with full disks.
 *
 * Metadata and data may go by different descriptors: with O_DIRECT only data does. The kernel
 * keeps the two coherent.
 */
#ifndef PULT_DISK_HOSTFILE_H
#define PULT_DISK_HOSTFILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "disk/iov.h"

struct hostfile;

/* As the system calls of these names: -1 and errno on failure. */
struct hostfile_ops {
    ssize_t (*preadv)(struct hostfile *f, const struct iovec *iov, int n, uint64_t offset,
                      bool data);
    ssize_t (*pwritev)(struct hostfile *f, const struct iovec *iov, int n, uint64_t offset,
                       bool data);
    int (*sync)(struct hostfile *f);
    int (*truncate)(struct hostfile *f, uint64_t size);
    int (*allocate)(struct hostfile *f, int mode, uint64_t offset, uint64_t length);
    void (*close)(struct hostfile *f);
};

struct hostfile {
    const struct hostfile_ops *ops;
    void *arg;              /* of the ops */
    char *path;             /* for messages */
    int fd;                 /* the data path; -1 where a test has none */
    int meta;               /* the metadata path: fd, or its twin without O_DIRECT */
    unsigned align;         /* of O_DIRECT; 1: none */
    bool fleeting;          /* it need not survive a power cut: syncs do nothing */
    bool device;            /* cannot grow, and its content is never known to be zero */
    atomic_bool no_discard; /* it said so */
    atomic_bool no_zero;    /* the same of FALLOC_FL_ZERO_RANGE */
    atomic_bool lost;       /* a sync failed: what the kernel still had to write may be gone */
    uint64_t size;          /* changed only by hostfile_truncate() and who extends it by writing */
};

/* flags: DISK_READONLY, DISK_DIRECT, DISK_NO_LOCK of disk.h. */
int hostfile_open(struct hostfile *f, const char *path, unsigned flags, struct error *err);
/* The same of a descriptor, which it owns from then on. */
int hostfile_adopt(struct hostfile *f, int fd, const char *path, struct error *err);
void hostfile_close(struct hostfile *f);

/* All of len bytes, or an error. What lies beyond the end of the file reads as zeroes in the first. */
int hostfile_read_padded(struct hostfile *f, void *buf, size_t len, uint64_t offset,
                         struct error *err);
int hostfile_read(struct hostfile *f, void *buf, size_t len, uint64_t offset, struct error *err);
int hostfile_write(struct hostfile *f, const void *buf, size_t len, uint64_t offset,
                   struct error *err);

/* Data: by the data path, or, where O_DIRECT would refuse it, by the other one. */
int hostfile_readv(struct hostfile *f, struct iov_cursor to, uint64_t offset, size_t len,
                   struct error *err);
int hostfile_writev(struct hostfile *f, struct iov_cursor from, uint64_t offset, size_t len,
                    struct error *err);

int hostfile_sync(struct hostfile *f, struct error *err);
int hostfile_truncate(struct hostfile *f, uint64_t size, struct error *err);
/* Zeroes, also beyond the end: by fallocate where it can, or written. */
int hostfile_zero(struct hostfile *f, uint64_t offset, uint64_t length, struct error *err);
#define HOSTFILE_ZEROES (64u << 10)
extern char hostfile_zeroes[HOSTFILE_ZEROES]; /* to be written, never to be written to */

/* Give space back. 0 also where that cannot be done; what it reads afterwards is not defined. */
void hostfile_punch(struct hostfile *f, uint64_t offset, uint64_t length);
/* The same, but it reads as zeroes. -1 with errno where that cannot be done. */
int hostfile_punch_zero(struct hostfile *f, uint64_t offset, uint64_t length);

/* Lock as QEMU does, shared or for the only writer. */
int hostfile_lock(struct hostfile *f, bool write, struct error *err);

#endif
