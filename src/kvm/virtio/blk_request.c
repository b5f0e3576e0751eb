/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request of the block device on its way; blk_private.h shows where that leads. Section numbers
 * are those of virtio 1.2.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "kvm/virtio/blk_private.h"

#define INLINE_MOST (128u << 10) /* bytes that are copied here rather than elsewhere */
#define SLOW_NS     2000000ull   /* that took long */
#define LONG_NS     100000ull    /* that would be worth doing beside others */
#define LONG_ONES   8u           /* so many of those in a row are no chance */
#define SLOW_FOR_NS 500000000ull /* so it is not tried for as long as this */
#define MOVED_MOST  (512u << 10) /* bytes that are moved before the driver is told of them */

static void step(struct blk_request *r);
static void tell_driver(struct blk_lane *lane);

/* ---- ends ---- */

/* The last that was given back first, so that the memory of most is never touched. */
struct blk_request *blk_take(struct blk_lane *lane)
{
    struct blk_request *r = lane->free;

    if (r) {
        lane->free = r->next;
    } else if (lane->touched < lane->count) {
        r = &lane->requests[lane->touched];
        r->lane = lane;
        r->iov = lane->iov + (size_t)lane->touched * BLK_QUEUE_SIZE;
        lane->touched++;
    }
    return r;
}

void blk_give_back(struct blk_request *r)
{
    struct blk_lane *lane = r->lane;

    r->used = false;
    r->next = lane->free;
    lane->free = r;
}

/* What went wrong on the host is said once for each disk, for the guest may cause it at will. */
static void complain(struct blk *b, const struct error *err)
{
    if (!atomic_exchange(&b->complained, true))
        log_line("a request of the guest's failed: %s", err->text);
}

static void count(uint64_t *counter, uint64_t n)
{
    if (counter)
        __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/*
 * Answer it. A device says how much it wrote from the first byte on (2.7.8.2): of a read that failed
 * that is nothing, though there is a status at its end.
 */
static void finish(struct blk_request *r, uint8_t status)
{
    struct blk_lane *lane = r->lane;
    struct blk *b = lane->blk;
    size_t written = r->chain.written + 1;

    if (r->op == BLK_READ && status == VIRTIO_BLK_S_OK) {
        written += r->total;
        count(b->bytes_read, r->total);
    } else if (r->op == BLK_READ && r->total) {
        written = 0;
    } else if (r->op == BLK_WRITE && status == VIRTIO_BLK_S_OK) {
        count(b->bytes_written, r->total);
    }
    *r->status = status;
    virtqueue_push(r->chain.queue, &r->chain, written);
    blk_give_back(r);
    if (lane->moved > MOVED_MOST)
        tell_driver(lane);
    blk_request_gone(b);
}

static bool is_full(int code)
{
    return code == ENOSPC || code == EDQUOT;
}

/* It failed, or there is no room: then it waits for some. */
static void fail(struct blk_request *r, int code)
{
    struct blk *b = r->lane->blk;

    if (!is_full(code) || !b->full || b->dropping) {
        finish(r, VIRTIO_BLK_S_IOERR);
        return;
    }
    blk_wait_for_room(r);
    blk_report_full(b, code);
    blk_request_gone(b);
}

void blk_wait_for_room(struct blk_request *r)
{
    blk_list_add(&r->lane->full, r);
}

/* ---- maps ---- */

/* Take the buffers for the first len bytes of what is left: r->at[0 … cut). */
static void cut(struct blk_request *r, size_t len)
{
    unsigned n = 0;

    while (len > r->at[n].iov_len)
        len -= r->at[n++].iov_len;
    r->spare = r->at[n].iov_len - len;
    r->at[n].iov_len = len;
    r->cut = n + 1;
}

/* They were used, or (back) will be again. */
static void uncut(struct blk_request *r, bool back)
{
    struct iovec *last = &r->at[r->cut - 1];

    if (back) {
        last->iov_len += r->spare;
    } else if (r->spare) {
        last->iov_base = (uint8_t *)last->iov_base + last->iov_len;
        last->iov_len = r->spare;
        r->at = last;
    } else {
        r->at = last + 1;
    }
    r->spare = 0;
    r->cut = 0;
}

/* Something was unmapped: those who wait for that may be lucky now. */
static void wake_parked(struct blk *b)
{
    if (atomic_load(&b->parked))
        for (unsigned i = 0; i < b->lane_count; i++)
            worker_post(b->lanes[i].worker, &b->lanes[i].retry_call);
}

static int map(struct blk_request *r, struct error *err)
{
    struct disk *d = r->lane->blk->disk;

    return r->op == BLK_WRITE ? disk_map_write(d, r->offset, r->left, &r->map, err)
                              : disk_map_read(d, r->offset, r->left, &r->map, err);
}

/*
 * Map what is left of it, or its beginning. 0, an errno, or -1 where it is BUSY and waits. One that is
 * BUSY is counted before it looks again: whoever unmaps after that look sees the count.
 */
static int begin_map(struct blk_request *r)
{
    struct blk *b = r->lane->blk;
    struct error err = {0};
    int rc = map(r, &err);

    if (rc == 0 && r->map.kind == DISK_BUSY) {
        atomic_fetch_add(&b->parked, 1);
        rc = map(r, &err);
        if (rc == 0 && r->map.kind == DISK_BUSY) {
            blk_list_add(&r->lane->busy, r);
            return -1;
        }
        atomic_fetch_sub(&b->parked, 1);
    }
    if (rc < 0) {
        if (!is_full(err.code))
            complain(b, &err);
        return err.code ? err.code : EIO;
    }
    r->mapped = true;
    cut(r, r->map.length);
    return 0;
}

/* The data was moved, or not (an errno). Returns the same, or what went wrong with unmapping. */
static int end_map(struct blk_request *r, int code)
{
    struct blk *b = r->lane->blk;
    struct error err = {0};

    r->mapped = false;
    if (disk_unmap(&r->map, code == 0, &err) < 0) {
        if (!is_full(err.code))
            complain(b, &err);
        code = err.code ? err.code : EIO;
    }
    if (r->op == BLK_WRITE)
        wake_parked(b);
    uncut(r, code != 0);
    if (code == 0) {
        r->offset += r->map.length;
        r->left -= r->map.length;
    }
    return code;
}

/* ---- the pool ---- */

/* 1: a map is out, and its request may wait for this thread; a part may be done. */
static int do_ranges(struct blk_request *r, struct error *err)
{
    struct disk *d = r->lane->blk->disk;

    for (; r->range_at < r->range_count; r->range_at++) {
        const struct virtio_blk_discard_write_zeroes *g = &r->ranges[r->range_at];
        const uint64_t offset = g->sector * BLK_SECTOR;
        const uint64_t length = (uint64_t)g->num_sectors * BLK_SECTOR;
        const bool unmap = g->flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
        if (length == 0)
            continue;
        int rc = r->op == BLK_DISCARD
                     ? disk_discard(d, offset, length, 0, err)
                     : disk_write_zeroes(d, offset, length, unmap ? DISK_UNMAP : 0, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* In a thread of the pool. */
static void do_job(struct pool_job *job)
{
    struct blk_request *r = (struct blk_request *)((char *)job - offsetof(struct blk_request, job));
    struct blk_lane *lane = r->lane;
    struct blk *b = lane->blk;
    struct error err = {0};
    int rc;

    r->unmaps = disk_unmaps(b->disk);
    if (r->syncing)
        rc = disk_flush(b->disk, &err);
    else if (r->mapped)
        rc = disk_map_io(&r->map, r->at, (int)r->cut, &err);
    else
        rc = do_ranges(r, &err);
    r->busy = rc > 0;
    r->code = rc >= 0 ? 0 : err.code ? err.code : EIO;
    if (r->code && !is_full(r->code))
        complain(b, &err);

    struct blk_request *first = atomic_load(&lane->done);
    do
        r->next = first;
    while (!atomic_compare_exchange_weak(&lane->done, &first, r));
    worker_post(lane->worker, &lane->done_call);
}

static void give_to_pool(struct blk_request *r)
{
    r->job.fn = do_job;
    pool_add(r->lane->blk->device->bus->workers->helpers, &r->job);
}

/* ---- moving data ---- */

/* Where O_DIRECT is used: is everything as it wants it? */
static bool is_aligned(const struct blk_request *r)
{
    const uint64_t mask = r->map.align - 1;
    uint64_t bits = r->map.offset | r->map.length;

    for (unsigned i = 0; i < r->cut; i++)
        bits |= (uintptr_t)r->at[i].iov_base | r->at[i].iov_len;
    return !(bits & mask);
}

/* Does reading from this file know how not to wait? Asked once, of a byte of no importance. */
static void ask_for_nowait(struct blk *b, const struct disk_map *m)
{
    char byte;
    struct iovec v = {&byte, 1};

    b->asked = true;
    if (preadv2(m->fd, &v, 1, (off_t)m->offset, RWF_NOWAIT) < 0 && errno != EAGAIN)
        b->no_nowait = true;
}

/* May the lane do by itself what could block? */
static bool is_quick(struct blk_lane *lane)
{
    if (lane->slow_until && now_mono_ns() < lane->slow_until)
        return false;
    lane->slow_until = 0;
    return true;
}

/*
 * Read or write here and now, and look how long it takes: what always takes long is done elsewhere
 * while others wait behind it. True: it is all done.
 */
static bool move_here(struct blk_request *r)
{
    struct blk_lane *lane = r->lane;
    const struct disk_map *m = &r->map;
    const uint64_t from = now_mono_ns();
    ssize_t n = r->op == BLK_WRITE ? pwritev(m->fd, r->at, (int)r->cut, (off_t)m->offset)
                                   : preadv(m->fd, r->at, (int)r->cut, (off_t)m->offset);
    const uint64_t to = now_mono_ns();

    lane->long_ones = to - from > LONG_NS ? lane->long_ones + 1 : 0;
    if (to - from > SLOW_NS ||
        (lane->long_ones >= LONG_ONES && !lane->blk->alone && virtqueue_is_waiting(r->chain.queue)))
        lane->slow_until = to + SLOW_FOR_NS;
    return n >= 0 && (uint64_t)n == m->length;
}

/* A read of what the page cache has. True: it is all done. */
static bool read_cached(struct blk_request *r)
{
    const struct disk_map *m = &r->map;
    ssize_t n = preadv2(m->fd, r->at, (int)r->cut, (off_t)m->offset, RWF_NOWAIT);

    return n >= 0 && (uint64_t)n == m->length;
}

/* A DATA map. True: it is done; else it is under way. */
static bool move_data(struct blk_request *r)
{
    struct blk_lane *lane = r->lane;
    struct blk *b = lane->blk;
    const struct disk_map *m = &r->map;
    const bool cached = m->align == 1, write = r->op == BLK_WRITE;

    if (!cached && !is_aligned(r)) {
        give_to_pool(r);
        return false;
    }
    if (cached && !write && !b->asked)
        ask_for_nowait(b, m);
    const bool blind = cached && (write || b->no_nowait);
    if (blind && m->length <= INLINE_MOST && is_quick(lane) && move_here(r))
        return true;
    if (!blind && cached && lane->ring.fd < 0 && read_cached(r))
        return true;
    if (lane->ring.fd >= 0 &&
        (write ? uring_writev(&lane->ring, m->fd, r->at, r->cut, m->offset, r)
               : uring_readv(&lane->ring, m->fd, r->at, r->cut, m->offset, r)))
        return false;
    give_to_pool(r);
    return false;
}

/* Move what is mapped. True: it is done. */
static bool move(struct blk_request *r)
{
    switch (r->map.kind) {
    case DISK_DATA:
        return move_data(r);
    case DISK_ZERO:
        for (unsigned i = 0; i < r->cut; i++)
            memset(r->at[i].iov_base, 0, r->at[i].iov_len);
        return true;
    default:
        give_to_pool(r);
        return false;
    }
}

/* ---- steps ---- */

/* What was written must stay there; then the request is done. */
static void sync_disk(struct blk_request *r)
{
    struct blk_lane *lane = r->lane;
    struct blk *b = lane->blk;

    if (b->no_flush || disk_readonly(b->disk) || b->sync_failed) {
        finish(r, b->sync_failed ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK);
        return;
    }
    r->syncing = true;
    int fd = lane->ring.fd >= 0 ? disk_flush_fd(b->disk) : -1;
    if (fd < 0 || !uring_fdatasync(&lane->ring, fd, r))
        give_to_pool(r);
}

/* The data is where it belongs. Without a write-back cache it has to stay there (5.2.6.2). */
static void moved(struct blk_request *r)
{
    if (r->op == BLK_READ || r->lane->blk->writeback)
        finish(r, VIRTIO_BLK_S_OK);
    else
        sync_disk(r);
}

/* Begin a request, or go on with it. */
static void step(struct blk_request *r)
{
    struct blk *b = r->lane->blk;

    if (b->dropping) {
        finish(r, VIRTIO_BLK_S_IOERR);
        return;
    }
    switch (r->op) {
    case BLK_FLUSH:
        sync_disk(r);
        return;
    case BLK_DISCARD:
    case BLK_ZEROES:
        give_to_pool(r);
        return;
    case BLK_READ:
    case BLK_WRITE:
        break;
    }
    while (r->left) {
        int code = begin_map(r);
        if (code < 0)
            return;
        if (code == 0) {
            if (!move(r))
                return;
            r->lane->moved += r->map.length;
            code = end_map(r, 0);
        }
        if (code) {
            fail(r, code);
            return;
        }
    }
    moved(r);
}

/* It met a map in the pool. One that has come back since then wakes nobody who is not counted yet. */
static void wait_for_unmap(struct blk_request *r)
{
    struct blk *b = r->lane->blk;

    r->busy = false;
    atomic_fetch_add(&b->parked, 1);
    blk_list_add(&r->lane->busy, r);
    if (disk_unmaps(b->disk) != r->unmaps)
        wake_parked(b);
}

/* What was under way has ended. */
static void proceed(struct blk_request *r, int code)
{
    struct blk *b = r->lane->blk;
    const bool synced = r->syncing;

    if (r->busy) {
        wait_for_unmap(r);
        return;
    }
    r->syncing = false;
    if (synced && code && !is_full(code))
        b->sync_failed = true;
    if (r->mapped)
        code = end_map(r, code);
    else if (!synced)
        wake_parked(b); /* the pool has mapped and unmapped by itself */
    if (code)
        fail(r, code);
    else if (synced)
        finish(r, VIRTIO_BLK_S_OK);
    else if (r->left)
        step(r);
    else
        moved(r);
}

/*
 * The ring has done it. What it could not do, or not all of it, the pool tries again, and says what is
 * wrong.
 */
static void ring_done(struct blk_request *r, int result)
{
    if (r->syncing && result != -EINTR && result != -EAGAIN)
        proceed(r, result < 0 ? -result : 0);
    else if (!r->syncing && result >= 0 && (uint64_t)result == r->map.length)
        proceed(r, 0);
    else if (is_full(-result))
        proceed(r, -result);
    else
        give_to_pool(r);
}

/* ---- requests as the driver makes them ---- */

/* Are so many sectors from this one on on the disk? (5.2.6.2) */
static bool is_on_disk(const struct blk *b, uint64_t sector, uint64_t count)
{
    return sector <= b->config.capacity && count <= b->config.capacity - sector;
}

static void begin_data(struct blk_request *r, uint64_t sector)
{
    const struct blk *b = r->lane->blk;
    struct chain *c = &r->chain;
    const bool write = r->op == BLK_WRITE;

    r->total = r->left = write ? chain_readable(c) : chain_writable(c);
    r->at = write ? c->in : c->out;
    if (r->total % BLK_SECTOR || r->total > BLK_MOST ||
        !is_on_disk(b, sector, r->total / BLK_SECTOR) || (write && disk_readonly(b->disk))) {
        finish(r, VIRTIO_BLK_S_IOERR);
        return;
    }
    r->offset = sector * BLK_SECTOR;
    step(r);
}

/* VIRTIO_BLK_S_OK, or what is wrong with a range (5.2.6.2). */
static uint8_t check_range(const struct blk *b, enum blk_op op,
                           const struct virtio_blk_discard_write_zeroes *g)
{
    const uint32_t most =
        op == BLK_DISCARD ? b->config.max_discard_sectors : b->config.max_write_zeroes_sectors;
    const uint32_t flags = op == BLK_DISCARD ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;

    if (g->flags & ~flags)
        return VIRTIO_BLK_S_UNSUPP;
    if (g->num_sectors > most || !is_on_disk(b, g->sector, g->num_sectors))
        return VIRTIO_BLK_S_IOERR;
    return VIRTIO_BLK_S_OK;
}

/* To discard or to zero: everything is checked before anything is done. */
static void begin_ranges(struct blk_request *r)
{
    const struct blk *b = r->lane->blk;
    const uint32_t most =
        r->op == BLK_DISCARD ? b->config.max_discard_seg : b->config.max_write_zeroes_seg;
    const size_t len = chain_readable(&r->chain), each = sizeof(r->ranges[0]);
    uint8_t status = VIRTIO_BLK_S_OK;

    if (!virtio_has(b->device,
                    r->op == BLK_DISCARD ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES))
        status = VIRTIO_BLK_S_UNSUPP;
    else if (len == 0 || len % each || len / each > most)
        status = VIRTIO_BLK_S_IOERR;
    if (status == VIRTIO_BLK_S_OK) {
        r->range_count = (unsigned)(chain_read(&r->chain, r->ranges, len) / each);
        for (unsigned i = 0; i < r->range_count && status == VIRTIO_BLK_S_OK; i++)
            status = check_range(b, r->op, &r->ranges[i]);
    }
    if (status == VIRTIO_BLK_S_OK)
        step(r);
    else
        finish(r, status);
}

static void give_serial(struct blk_request *r)
{
    const struct blk *b = r->lane->blk;

    chain_write(&r->chain, b->serial, sizeof(b->serial));
    chain_write(&r->chain, NULL, chain_writable(&r->chain));
    finish(r, VIRTIO_BLK_S_OK);
}

/* It counts against the limits. */
static void spend(struct blk *b, uint64_t bytes)
{
    const uint64_t now = now_mono_ns();

    rate_spend(&b->bytes, now, bytes);
    rate_spend(&b->requests, now, 1);
}

void blk_begin(struct blk_request *r)
{
    struct blk *b = r->lane->blk;
    struct chain *c = &r->chain;
    struct virtio_blk_outhdr h;

    r->used = r->begun = true;
    r->op = BLK_FLUSH; /* which has no data */
    r->mapped = r->syncing = r->busy = false;
    r->range_at = 0;
    r->left = r->total = 0;
    atomic_fetch_add(&b->inflight, 1);
    r->status = chain_take_last(c);
    if (!r->status) {
        static uint8_t nowhere;
        r->status = &nowhere;
        virtio_fail(b->device, "a request without room for its status");
        finish(r, VIRTIO_BLK_S_IOERR);
        return;
    }
    if (chain_read(c, &h, sizeof(h)) < sizeof(h)) {
        finish(r, VIRTIO_BLK_S_IOERR);
        return;
    }
    if (b->timer.fd >= 0)
        spend(b, max(chain_readable(c), chain_writable(c)));
    switch (h.type) {
    case VIRTIO_BLK_T_IN:
    case VIRTIO_BLK_T_OUT:
        r->op = h.type == VIRTIO_BLK_T_IN ? BLK_READ : BLK_WRITE;
        begin_data(r, h.sector);
        break;
    case VIRTIO_BLK_T_FLUSH:
        step(r);
        break;
    case VIRTIO_BLK_T_GET_ID:
        give_serial(r);
        break;
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
        r->op = h.type == VIRTIO_BLK_T_DISCARD ? BLK_DISCARD : BLK_ZEROES;
        begin_ranges(r);
        break;
    default:
        finish(r, VIRTIO_BLK_S_UNSUPP);
    }
}

/* ---- a lane's turn ---- */

static void tell_driver(struct blk_lane *lane)
{
    struct virtio_device *d = lane->blk->device;

    for (unsigned i = (unsigned)(lane - lane->blk->lanes); i < d->queue_count;
         i += lane->blk->lane_count)
        virtqueue_flush(&d->queues[i]);
    lane->moved = 0;
}

/* What the kernel does not take for want of memory, the pool does. */
static void submit(struct blk_lane *lane)
{
    struct blk_request *r;

    if (lane->ring.queued && uring_submit(&lane->ring) < 0)
        while ((r = uring_take_back(&lane->ring)))
            give_to_pool(r);
}

void blk_lane_go(struct blk_lane *lane)
{
    void *tag;
    int result;

    if (lane->ring.fd >= 0) {
        do {
            submit(lane);
            while (uring_reap(&lane->ring, &tag, &result))
                ring_done(tag, result);
        } while (lane->ring.queued);
    }
    tell_driver(lane);
}

/* One that waited for room. It was not begun if it comes from a snapshot. */
static void again(struct blk_request *r)
{
    if (!r->begun) {
        blk_begin(r);
        return;
    }
    atomic_fetch_add(&r->lane->blk->inflight, 1);
    step(r);
}

void blk_lane_retry(struct blk_lane *lane)
{
    struct blk *b = lane->blk;
    struct blk_request *r, *next;

    for (r = blk_list_take(&lane->busy); r; r = next) {
        next = r->next;
        atomic_fetch_sub(&b->parked, 1);
        step(r);
    }
    if (!b->is_full || b->dropping) {
        for (r = blk_list_take(&lane->full); r; r = next) {
            next = r->next;
            again(r);
        }
    }
    blk_lane_go(lane);
}

/* In the order in which they were given back. */
void blk_lane_take_done(struct blk_lane *lane)
{
    struct blk_request *all = atomic_exchange(&lane->done, NULL), *r = NULL;

    while (all) {
        struct blk_request *next = all->next;
        all->next = r;
        r = all;
        all = next;
    }
    while (r) {
        struct blk_request *next = r->next;
        proceed(r, r->code);
        r = next;
    }
    blk_lane_go(lane);
}
