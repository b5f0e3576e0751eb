/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the block device's files share: blk.c (the device: configuration, queues, reset) and
 * blk_request.c (a request's way from the queue to the disk and back).
 *
 * Theory of operation. Each worker of the device is a lane: it has some of the queues, the requests
 * of those, and a ring (io_uring) of its own, so that lanes share nothing but the disk.
 *
 *     queue ─pop─► request ─map─► DATA  ─► ring, pwritev, or the pool ─┐
 *                     ▲           ZERO  ─► memset                      ├─unmap─► status, push
 *                     │           COPY  ─► the pool                    │
 *                     │           BUSY  ─► waits for an unmap          │
 *                     └───────────── more of it, elsewhere ◄───────────┘
 *
 * Which way data goes: the guest's own buffers are handed to the kernel, in the pieces in which the
 * disk has them. By the ring, where there is one. But writing to the page cache is a copy that the
 * ring would leave to a thread of the kernel's on most file systems, so a small one is made here and
 * now. If that took long (the host is behind with writing, and lets those who write wait), the lane
 * leaves such writes to others for a while; so it does where copying alone takes long and others have a
 * processor to do it on. Reads are treated alike where the file system knows no attempt
 * that would not wait. What the ring cannot do (unaligned with O_DIRECT, decompression,
 * discarding, syncing an image with metadata) and, where there is no ring, all that may block, is
 * done by helpers (pool.h), which give it back by the lane's `done`.
 *
 * Who waits: a request that meets a BUSY map waits in `busy` until any lane unmapped something, and
 * never in a helper, which the map's own request may need; one for which the host has no room waits
 * in `full` until blk_retry(). A lane itself waits for no request, though reading an image's
 * metadata may hold it up.
 *
 * Requests: as many as the queues have entries, so whatever the driver does there is one.
 */
#ifndef PULT_KVM_VIRTIO_BLK_PRIVATE_H
#define PULT_KVM_VIRTIO_BLK_PRIVATE_H

#include <linux/virtio_blk.h>
#include <stdatomic.h>

#include "disk/disk.h"
#include "kvm/pool.h"
#include "kvm/rate.h"
#include "kvm/uring.h"
#include "kvm/virtio/blk.h"

#define BLK_SECTOR     512u
#define BLK_QUEUE_SIZE 256u
#define BLK_SEG_MAX    (BLK_QUEUE_SIZE - 2) /* beside the header and the status */
#define BLK_SIZE_MAX   (256u << 10)
#define BLK_MOST       ((uint64_t)BLK_SEG_MAX * BLK_SIZE_MAX) /* bytes in a request */
#define BLK_RANGES     32u                                    /* in one to discard */

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH, BLK_DISCARD, BLK_ZEROES };

struct blk_lane;

struct blk_request {
    struct blk_lane *lane;
    struct blk_request *next; /* in a list of its lane's */
    struct chain chain;
    struct iovec *iov; /* for the chain */
    uint8_t *status;   /* in guest memory */
    enum blk_op op;
    bool used;    /* it is a chain's */
    bool begun;   /* its header was read */
    bool mapped;  /* `map` is out */
    bool syncing; /* the flush that it is, or that a write through the cache ends with */
    bool busy;    /* the pool met a map that is out */
    int code;     /* errno, of what the pool did */
    struct pool_job job;

    /* Of reads and writes. */
    uint64_t offset, left, total; /* bytes */
    struct iovec *at;             /* the buffers for what is left */
    unsigned cut;                 /* how many of them are for `map` */
    size_t spare;                 /* what was cut off the last of those */
    struct disk_map map;

    unsigned range_count, range_at; /* how many there are; the next one */
    uint64_t unmaps;                /* disk_unmaps() when the pool began */
    struct virtio_blk_discard_write_zeroes ranges[BLK_RANGES];
};

struct blk;

struct blk_list {
    struct blk_request *first, **end;
};

struct blk_lane {
    struct blk *blk;
    struct worker *worker;
    struct uring ring;
    struct worker_source ring_source;
    struct blk_request *requests, *free;
    unsigned count, touched; /* all of them; those that were ever used */
    struct iovec *iov;       /* of all requests */
    struct blk_list busy, full;
    struct blk_request *_Atomic done; /* from the pool, last one first */
    struct worker_call done_call, retry_call, drain_call, end_call;
    _Atomic bool draining; /* drain_call is on its way, and counts as a request */
    uint64_t slow_until;   /* ns: until then nothing that may block is done here; 0: no */
    unsigned long_ones;    /* of what was done here, how many took long, one after another */
    size_t moved;          /* bytes, since the driver was last told */
};

struct blk {
    struct virtio_device *device;
    struct disk *disk;
    char serial[BLK_SERIAL];
    struct virtio_blk_config config;
    bool no_flush, no_ring;
    bool alone;               /* the host has one processor: nobody copies beside others */
    _Atomic bool writeback;   /* as the driver has it now */
    _Atomic bool sync_failed; /* what was written before may be lost, see disk/hostfile.c */
    _Atomic bool complained;
    _Atomic bool no_nowait; /* the file system knows no RWF_NOWAIT */
    _Atomic bool asked;     /* that was found out */
    uint64_t *bytes_read, *bytes_written;

    unsigned lane_count;
    struct blk_lane *lanes;

    _Atomic unsigned inflight; /* requests that are used, without those in `full` lists */
    _Atomic unsigned parked;   /* those in `busy` lists */
    _Atomic bool drain_wanted;
    _Atomic bool dropping; /* the driver is gone: nothing that was not begun will be */
    struct worker_call drained_call;

    _Atomic bool is_full;
    _Atomic int full_code;
    struct worker_call full_call; /* on the loop */
    void (*full)(void *arg, const char *why);
    void *full_arg;

    /* Limits; such a device has one lane. */
    struct rate bytes, requests;
    struct worker_source timer;
    bool armed;
    unsigned turn; /* which queue is first next time */
};

/* ---- blk_request.c ---- */

/* One for a chain, or NULL. It is given back by the end of the request, or by blk_give_back(). */
struct blk_request *blk_take(struct blk_lane *lane);
void blk_give_back(struct blk_request *r);
/* A chain was popped into r->chain. */
void blk_begin(struct blk_request *r);
/* Submit, take what is complete, tell the driver. */
void blk_lane_go(struct blk_lane *lane);
/* Begin those anew that wait and need not any more. */
void blk_lane_retry(struct blk_lane *lane);
/* Make it wait for room. */
void blk_wait_for_room(struct blk_request *r);
/* The pool gave requests back. */
void blk_lane_take_done(struct blk_lane *lane);

static inline void blk_list_init(struct blk_list *l)
{
    l->first = NULL;
    l->end = &l->first;
}

static inline void blk_list_add(struct blk_list *l, struct blk_request *r)
{
    r->next = NULL;
    *l->end = r;
    l->end = &r->next;
}

/* All of them, leaving it empty. */
static inline struct blk_request *blk_list_take(struct blk_list *l)
{
    struct blk_request *first = l->first;

    blk_list_init(l);
    return first;
}

/* ---- blk.c ---- */

/* A request is done with: if it was the last that a reset waits for, say so. */
void blk_request_gone(struct blk *b);
/* No room on the host. */
void blk_report_full(struct blk *b, int code);

#endif
