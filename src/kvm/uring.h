/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * io_uring, as much of it as disks need: vectored reads and writes, and syncs.
 *
 *     uring_create()    the ring is there, restricted
 *     uring_readv() …   put requests into the ring's memory
 *     uring_submit()    hands them to the kernel: one system call for all
 *     uring_reap()      takes what is complete out of the ring's memory
 *
 * What the kernel can do at once (a read out of the page cache) is complete when uring_submit()
 * returns. For the rest uring.fd becomes readable. `most` of uring_create() bounds what is under way, so
 * no completion is ever without room.
 *
 * A ring belongs to one thread at a time. It is restricted to these three operations, and registers
 * nothing more: it opens no way around a system call filter.
 */
#ifndef PULT_KVM_URING_H
#define PULT_KVM_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"

struct io_uring_sqe;
struct io_uring_cqe;

struct uring {
    int fd; /* -1: there is none */
    unsigned entries;
    unsigned queued;   /* put in and not submitted */
    unsigned inflight; /* submitted and not reaped */

    /* Shared with the kernel; what it writes is read with acquire. */
    unsigned *sq_tail, *sq_array;
    unsigned *cq_head, *cq_tail;
    unsigned sq_mask, cq_mask;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    void *rings;
    size_t rings_size, sqes_size;
};

#define NO_URING \
    {            \
        .fd = -1 \
    }

/*
 * Room for `entries` requests that are queued and `most` that are not reaped. -1: this host has no
 * io_uring, or denies it.
 */
int uring_create(struct uring *u, unsigned entries, unsigned most, struct error *err);
void uring_destroy(struct uring *u); /* accepts what is NO_URING */

/* False: no room, submit first. The iovecs are the caller's until the request is complete. */
bool uring_readv(struct uring *u, int fd, const struct iovec *iov, unsigned n, uint64_t offset,
                 void *tag);
bool uring_writev(struct uring *u, int fd, const struct iovec *iov, unsigned n, uint64_t offset,
                  void *tag);
bool uring_fdatasync(struct uring *u, int fd, void *tag);

/* -1: not all were taken, the kernel is out of memory; the rest stays queued. */
int uring_submit(struct uring *u);
/* Undo the last that is queued: its tag, or NULL where none is. */
void *uring_take_back(struct uring *u);

/* The next that is complete: false: none is. result is the system call's, or -errno. */
bool uring_reap(struct uring *u, void **tag, int *result);
/* Wait until something is there for uring_reap(). */
void uring_wait(struct uring *u);

#endif
