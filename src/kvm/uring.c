/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ring, see uring.h. The layout of its memory and the order of accesses are those of
 * io_uring_setup(2) and io_uring_enter(2).
 *
 * COOP_TASKRUN (Linux 5.19): a thread that computes is not interrupted for the sake of a completion; it
 * will make a system call soon. One that waits is: its epoll_wait() may return EINTR first.
 */
#include "kvm/uring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1u << 8)
#endif

static const uint8_t operations[] = {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC};

static int setup(unsigned entries, struct io_uring_params *p)
{
    return (int)syscall(SYS_io_uring_setup, entries, p);
}

static int enter(const struct uring *u, unsigned submit, unsigned wait, unsigned flags)
{
    return (int)syscall(SYS_io_uring_enter, u->fd, submit, wait, flags, NULL, 0);
}

/* ---- life ---- */

/* Create it with the best that this kernel knows. */
static int open_ring(struct uring *u, unsigned entries, unsigned most, struct io_uring_params *p)
{
    static const unsigned ways[] = {IORING_SETUP_COOP_TASKRUN, 0};

    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        *p = (struct io_uring_params){
            .flags = ways[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = max(most, entries),
        };
        u->fd = setup(entries, p);
        if (u->fd >= 0 || errno != EINVAL)
            break;
    }
    return u->fd;
}

/* From now on nothing but the operations above, and no registering of anything. */
static int restrict_ring(const struct uring *u)
{
    struct io_uring_restriction r[ARRAY_SIZE(operations)] = {0};

    for (unsigned i = 0; i < ARRAY_SIZE(operations); i++) {
        r[i].opcode = IORING_RESTRICTION_SQE_OP;
        r[i].sqe_op = operations[i];
    }
    if (syscall(SYS_io_uring_register, u->fd, IORING_REGISTER_RESTRICTIONS, r, ARRAY_SIZE(r)) < 0)
        return -1;
    return (int)syscall(SYS_io_uring_register, u->fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int map_rings(struct uring *u, const struct io_uring_params *p)
{
    const size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned);
    const size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);

    u->rings_size = max(sq, cq);
    u->sqes_size = p->sq_entries * sizeof(struct io_uring_sqe);
    void *rings = mmap(NULL, u->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                       u->fd, IORING_OFF_SQ_RING);
    if (rings == MAP_FAILED)
        return -1;
    u->rings = rings;
    void *sqes = mmap(NULL, u->sqes_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, u->fd,
                      IORING_OFF_SQES);
    if (sqes == MAP_FAILED)
        return -1;
    u->sqes = sqes;

    char *base = u->rings;
    u->sq_tail = (unsigned *)(base + p->sq_off.tail);
    u->sq_array = (unsigned *)(base + p->sq_off.array);
    u->sq_mask = *(unsigned *)(base + p->sq_off.ring_mask);
    u->cq_head = (unsigned *)(base + p->cq_off.head);
    u->cq_tail = (unsigned *)(base + p->cq_off.tail);
    u->cq_mask = *(unsigned *)(base + p->cq_off.ring_mask);
    u->cqes = (struct io_uring_cqe *)(base + p->cq_off.cqes);
    u->entries = p->sq_entries;
    for (unsigned i = 0; i < p->sq_entries; i++)
        u->sq_array[i] = i;
    return 0;
}

int uring_create(struct uring *u, unsigned entries, unsigned most, struct error *err)
{
    const unsigned needed =
        IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE;
    struct io_uring_params p;

    *u = (struct uring)NO_URING;
    if (open_ring(u, entries, most, &p) < 0)
        return error_set(err, errno, "create an io_uring");
    if ((p.features & needed) != needed)
        error_set(err, 0, "create an io_uring: this kernel's is too old");
    else if (restrict_ring(u) < 0)
        error_set(err, errno, "restrict an io_uring");
    else if (map_rings(u, &p) < 0)
        error_set(err, errno, "map an io_uring");
    else
        return 0;
    uring_destroy(u);
    return -1;
}

void uring_destroy(struct uring *u)
{
    if (u->sqes)
        munmap(u->sqes, u->sqes_size);
    if (u->rings)
        munmap(u->rings, u->rings_size);
    if (u->fd >= 0)
        close(u->fd);
    *u = (struct uring)NO_URING;
}

/* ---- requests ---- */

/* The next entry, cleared; NULL: the ring is full. */
static struct io_uring_sqe *next_entry(struct uring *u)
{
    if (u->queued == u->entries)
        return NULL;
    struct io_uring_sqe *e = &u->sqes[*u->sq_tail & u->sq_mask];
    memset(e, 0, sizeof(*e));
    return e;
}

/* The kernel looks at the tail only in uring_submit(): it is no other thread that reads it. */
static bool put(struct uring *u, void *tag, struct io_uring_sqe *e)
{
    e->user_data = (uint64_t)(uintptr_t)tag;
    __atomic_store_n(u->sq_tail, *u->sq_tail + 1, __ATOMIC_RELEASE);
    u->queued++;
    return true;
}

static bool put_io(struct uring *u, uint8_t op, int fd, const struct iovec *iov, unsigned n,
                   uint64_t offset, void *tag)
{
    struct io_uring_sqe *e = next_entry(u);

    if (!e)
        return false;
    e->opcode = op;
    e->fd = fd;
    e->addr = (uint64_t)(uintptr_t)iov;
    e->len = n;
    e->off = offset;
    return put(u, tag, e);
}

bool uring_readv(struct uring *u, int fd, const struct iovec *iov, unsigned n, uint64_t offset,
                 void *tag)
{
    return put_io(u, IORING_OP_READV, fd, iov, n, offset, tag);
}

bool uring_writev(struct uring *u, int fd, const struct iovec *iov, unsigned n, uint64_t offset,
                  void *tag)
{
    return put_io(u, IORING_OP_WRITEV, fd, iov, n, offset, tag);
}

bool uring_fdatasync(struct uring *u, int fd, void *tag)
{
    struct io_uring_sqe *e = next_entry(u);

    if (!e)
        return false;
    e->opcode = IORING_OP_FSYNC;
    e->fd = fd;
    e->fsync_flags = IORING_FSYNC_DATASYNC;
    return put(u, tag, e);
}

int uring_submit(struct uring *u)
{
    while (u->queued) {
        int n = enter(u, u->queued, 0, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        u->queued -= (unsigned)n;
        u->inflight += (unsigned)n;
        if (n == 0)
            return -1;
    }
    return 0;
}

void *uring_take_back(struct uring *u)
{
    if (!u->queued)
        return NULL;
    u->queued--;
    __atomic_store_n(u->sq_tail, *u->sq_tail - 1, __ATOMIC_RELEASE);
    return (void *)(uintptr_t)u->sqes[*u->sq_tail & u->sq_mask].user_data;
}

/* ---- completions ---- */

bool uring_reap(struct uring *u, void **tag, int *result)
{
    const unsigned head = *u->cq_head;

    if (head == __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE))
        return false;
    const struct io_uring_cqe *e = &u->cqes[head & u->cq_mask];
    *tag = (void *)(uintptr_t)e->user_data;
    *result = e->res;
    __atomic_store_n(u->cq_head, head + 1, __ATOMIC_RELEASE);
    u->inflight--;
    return true;
}

void uring_wait(struct uring *u)
{
    if (*u->cq_head == __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE))
        enter(u, 0, 1, IORING_ENTER_GETEVENTS);
}
