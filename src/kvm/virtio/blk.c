/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device: its configuration, its queues and lanes, how it is reset and ended.
 * blk_private.h has the theory of operation, blk_request.c what becomes of a request. Section
 * numbers are those of virtio 1.2.
 *
 * System calls while the guest runs. Lanes: epoll_wait, eventfd's read and write,
 * io_uring_enter, preadv, pwritev, preadv2, timerfd_settime,
 * and those of disk/disk.h for its metadata. The pool: futex, eventfd's write, and disk/disk.h.
 */
#include "kvm/virtio/blk.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "kvm/virtio/blk_private.h"

#define CONFIG_SIZE  (offsetof(struct virtio_blk_config, unused1) + 3) /* 5.2.4, as of virtio 1.1 */
#define RING_ENTRIES (2 * VIRTIO_BUDGET)
#define PHYSICAL_EXP 3 /* sectors of 512 bytes in blocks of 4 KiB, as a power of 2 */

#define DISCARD_SECTORS (1u << 22) /* 2 GiB in a range */
#define ZEROES_SECTORS  (1u << 17) /* 64 MiB: it may come to writing them */
#define ZEROES_RANGES   1

#define HELPERS 2u  /* beside a ring */
#define THREADS 12u /* without */

#define FEATURES                                                                       \
    (VIRTIO_FEATURE(VIRTIO_BLK_F_SIZE_MAX) | VIRTIO_FEATURE(VIRTIO_BLK_F_SEG_MAX) |    \
     VIRTIO_FEATURE(VIRTIO_BLK_F_BLK_SIZE) | VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH) |      \
     VIRTIO_FEATURE(VIRTIO_BLK_F_TOPOLOGY) | VIRTIO_FEATURE(VIRTIO_BLK_F_CONFIG_WCE) | \
     VIRTIO_FEATURE(VIRTIO_BLK_F_MQ))

/* ---- requests ---- */

static void say_drained(void *arg)
{
    struct blk *b = arg;

    virtio_drained(b->device);
}

void blk_request_gone(struct blk *b)
{
    if (atomic_fetch_sub(&b->inflight, 1) == 1 && atomic_exchange(&b->drain_wanted, false))
        worker_post(b->device->workers[0], &b->drained_call);
}

static void on_ring(void *arg, uint32_t events)
{
    struct blk_lane *lane = arg;

    (void)events;
    blk_lane_go(lane);
}

/* Do the limits allow something? If not, the timer says when they do. */
static bool may_go_on(struct blk *b)
{
    if (b->timer.fd < 0)
        return true;
    const uint64_t when = max(rate_when(&b->bytes), rate_when(&b->requests));
    if (when <= now_mono_ns())
        return true;
    const struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(when / RATE_SECOND), .tv_nsec = (long)(when % RATE_SECOND)},
    };
    if (!b->armed)
        timerfd_settime(b->timer.fd, TFD_TIMER_ABSTIME, &at, NULL);
    b->armed = true;
    return false;
}

/* Each time it is the turn of another queue to be first. */
static void on_timer(void *arg, uint32_t events)
{
    struct blk *b = arg;
    uint64_t count;

    (void)events;
    if (read(b->timer.fd, &count, sizeof(count)) < 0)
        return;
    b->armed = false;
    for (unsigned i = 0; i < b->device->queue_count; i++)
        virtqueue_kick(&b->device->queues[(i + b->turn) % b->device->queue_count]);
    b->turn++;
}

static void blk_handle(struct virtqueue *q)
{
    struct blk *b = q->device->state;
    struct blk_lane *lane = &b->lanes[q->index % b->lane_count];
    struct blk_request *r;

    while (may_go_on(b) && (r = blk_take(lane))) {
        if (!virtqueue_pop_into(q, &r->chain, r->iov, q->max_size)) {
            blk_give_back(r);
            break;
        }
        blk_begin(r);
    }
    blk_lane_go(lane);
}

/* ---- no room on the host ---- */

/* On the loop. */
static void tell_full(void *arg)
{
    struct blk *b = arg;
    struct error err;

    error_set(&err, b->full_code, "disk full: %s", disk_path(b->disk));
    if (b->is_full)
        b->full(b->full_arg, err.text);
}

void blk_report_full(struct blk *b, int code)
{
    if (atomic_exchange(&b->is_full, true))
        return;
    b->full_code = code;
    worker_post(workers_loop(b->device->bus->workers), &b->full_call);
}

static void retry_all(struct blk *b)
{
    for (unsigned i = 0; i < b->lane_count; i++)
        worker_post(b->lanes[i].worker, &b->lanes[i].retry_call);
}

void blk_retry(struct virtio_device *d)
{
    struct blk *b = d->state;

    b->is_full = false;
    retry_all(b);
}

/* ---- the driver ---- */

/*
 * 5.2.5.2: what the cache is follows from what was negotiated. A driver that cannot flush has none.
 */
static void blk_start(struct virtio_device *d)
{
    struct blk *b = d->state;

    if (!virtio_has(d, VIRTIO_BLK_F_FLUSH))
        b->writeback = false;
    d->config[offsetof(struct virtio_blk_config, wce)] = b->writeback;
}

/* Only the cache's mode is the driver's to change (5.2.5.1), if it was negotiated. */
static void blk_config_written(struct virtio_device *d, unsigned offset, unsigned size)
{
    const unsigned at = offsetof(struct virtio_blk_config, wce);
    struct blk *b = d->state;

    if (offset <= at && at < offset + size && virtio_has(d, VIRTIO_BLK_F_CONFIG_WCE) &&
        virtio_has(d, VIRTIO_BLK_F_FLUSH))
        b->writeback = d->config[at] & 1;
    memcpy(d->config, &b->config, CONFIG_SIZE);
    d->config[at] = b->writeback;
}

/*
 * A reset drops what waits, and what has begun goes no further than it must; before a snapshot all
 * is done but what waits for room. Each lane looks after what waits in it, and counts as a request
 * until it has.
 */
static bool blk_drain(struct virtio_device *d)
{
    struct blk *b = d->state;

    if (d->resetting)
        b->dropping = true;
    b->drain_wanted = true;
    for (unsigned i = 0; i < b->lane_count; i++) {
        struct blk_lane *lane = &b->lanes[i];
        if (atomic_exchange(&lane->draining, true))
            continue;
        atomic_fetch_add(&b->inflight, 1);
        worker_post(lane->worker, &lane->drain_call);
    }
    return false;
}

static void drain_lane(void *arg)
{
    struct blk_lane *lane = arg;

    lane->draining = false;
    blk_lane_retry(lane);
    blk_request_gone(lane->blk);
}

static void blk_reset(struct virtio_device *d)
{
    struct blk *b = d->state;

    b->dropping = false;
    b->is_full = false;
    b->writeback = b->config.wce;
    d->config[offsetof(struct virtio_blk_config, wce)] = b->config.wce;
}

/* ---- snapshots ---- */

/* What waits for room, by its queue and head. */
static void save_waiting(struct blk *b, struct state *s)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < b->lane_count; i++)
        for (const struct blk_request *r = b->lanes[i].full.first; r; r = r->next)
            n++;
    state_item(s, n);
    for (unsigned i = 0; i < b->lane_count; i++) {
        for (const struct blk_request *r = b->lanes[i].full.first; r; r = r->next) {
            uint16_t at[2] = {(uint16_t)r->chain.queue->index, r->chain.head};
            state_item(s, at);
        }
    }
}

/* It begins from its beginning, when the workers run. */
static void load_waiting(struct blk *b, struct state *s)
{
    struct virtio_device *d = b->device;
    uint32_t n = 0;

    for (state_item(s, n); n > 0 && !s->invalid; n--) {
        uint16_t at[2] = {0};
        state_item(s, at);
        struct virtqueue *q = at[0] < d->queue_count ? &d->queues[at[0]] : NULL;
        struct blk_request *r = blk_take(&b->lanes[at[0] % b->lane_count]);
        if (!q || !r || !virtqueue_retake(q, at[1], &r->chain, r->iov, q->max_size)) {
            state_refuse(s, "'blk' has a request in the saved state that cannot be");
            return;
        }
        r->used = true;
        r->begun = r->mapped = false;
        blk_wait_for_room(r);
    }
    retry_all(b);
}

static void blk_state(struct virtio_device *d, struct state *s)
{
    const unsigned wce = offsetof(struct virtio_blk_config, wce);
    struct blk *b = d->state;
    uint8_t writeback = b->writeback;

    state_item(s, writeback);
    if (!s->loading) {
        save_waiting(b, s);
        return;
    }
    b->writeback = writeback;
    d->config[wce] = b->config.wce;
    if (memcmp(d->config, &b->config, CONFIG_SIZE) != 0)
        state_refuse(s, "a disk in the saved state is another than '%s'", disk_path(b->disk));
    memcpy(d->config, &b->config, CONFIG_SIZE);
    d->config[wce] = b->writeback;
    load_waiting(b, s);
}

/* ---- the end ---- */

/* On the lane's worker, or after it has left: wait for what the ring has of the guest's memory. */
static void end_lane(void *arg)
{
    struct blk_lane *lane = arg;
    void *tag;
    int result;

    lane->blk->dropping = true;
    while (lane->ring.fd >= 0 && uring_take_back(&lane->ring))
        ;
    while (lane->ring.fd >= 0 && lane->ring.inflight) {
        uring_wait(&lane->ring);
        while (uring_reap(&lane->ring, &tag, &result))
            ;
    }
    uring_destroy(&lane->ring);
}

static void free_lane(struct blk_lane *lane)
{
    uring_destroy(&lane->ring);
    free(lane->requests);
    free(lane->iov);
}

static void free_blk(struct blk *b)
{
    for (unsigned i = 0; i < b->lane_count; i++)
        free_lane(&b->lanes[i]);
    if (b->timer.fd >= 0)
        close(b->timer.fd);
    free(b->lanes);
    free(b);
}

/* No thread of the machine runs any more. What was under way did not happen. */
static void blk_destroy(struct virtio_device *d)
{
    struct blk *b = d->state;

    for (unsigned i = 0; i < b->lane_count; i++) {
        struct blk_lane *lane = &b->lanes[i];
        for (unsigned k = 0; k < lane->touched; k++)
            if (lane->requests[k].used && lane->requests[k].mapped)
                disk_unmap(&lane->requests[k].map, false, NULL);
    }
    if (b->timer.fd >= 0)
        worker_remove(b->lanes[0].worker, &b->timer);
    free_blk(b);
}

static const struct virtio_device_type virtio_blk = {
    .name = "blk",
    .id = VIRTIO_ID_BLOCK,
    .class_code = 0x018000, /* mass storage, of another kind */
    .queues = 1,
    .queue_size = BLK_QUEUE_SIZE,
    .features = FEATURES,
    .config_size = CONFIG_SIZE,
    .threaded = true,
    .handle = blk_handle,
    .start = blk_start,
    .config_written = blk_config_written,
    .drain = blk_drain,
    .reset = blk_reset,
    .state = blk_state,
    .destroy = blk_destroy,
};

/* ---- making one ---- */

static void call_retry(void *arg)
{
    blk_lane_retry(arg);
}

static void call_done(void *arg)
{
    blk_lane_take_done(arg);
}

/* A lane for so many queues. */
static void init_lane(struct blk *b, struct blk_lane *lane, unsigned queues)
{
    struct error err;

    lane->blk = b;
    lane->ring = (struct uring)NO_URING;
    lane->ring_source = (struct worker_source){.fd = -1, .ready = on_ring, .arg = lane};
    lane->count = queues * BLK_QUEUE_SIZE;
    lane->requests = xcalloc(lane->count, sizeof(lane->requests[0]));
    lane->iov = xcalloc(lane->count, BLK_QUEUE_SIZE * sizeof(lane->iov[0]));
    blk_list_init(&lane->busy);
    blk_list_init(&lane->full);
    lane->done_call = (struct worker_call){.fn = call_done, .arg = lane};
    lane->retry_call = (struct worker_call){.fn = call_retry, .arg = lane};
    lane->drain_call = (struct worker_call){.fn = drain_lane, .arg = lane};
    lane->end_call = (struct worker_call){.fn = end_lane, .arg = lane};
    if (!b->no_ring && uring_create(&lane->ring, RING_ENTRIES, lane->count, &err) < 0) {
        log_once("disks are served by threads: %s", err.text);
        b->no_ring = true;
    }
}

/* 5.2.4 */
static void init_config(struct blk *b, unsigned queues)
{
    const unsigned granularity = max(disk_granularity(b->disk), BLK_SECTOR) / BLK_SECTOR;

    b->config = (struct virtio_blk_config){
        .capacity = disk_size(b->disk) / BLK_SECTOR,
        .size_max = BLK_SIZE_MAX,
        .seg_max = BLK_SEG_MAX,
        .blk_size = BLK_SECTOR,
        .physical_block_exp = PHYSICAL_EXP,
        .min_io_size = 1u << PHYSICAL_EXP,
        .opt_io_size = granularity,
        .wce = b->writeback,
        .num_queues = (uint16_t)queues,
    };
    if (disk_readonly(b->disk))
        return;
    b->config.max_discard_sectors = DISCARD_SECTORS;
    b->config.max_discard_seg = BLK_RANGES;
    b->config.discard_sector_alignment = granularity;
    b->config.max_write_zeroes_sectors = ZEROES_SECTORS;
    b->config.max_write_zeroes_seg = ZEROES_RANGES;
    b->config.write_zeroes_may_unmap = 1;
}

static int init_limits(struct blk *b, const struct blk_config *config, struct error *err)
{
    b->timer.fd = -1;
    b->bytes.per_second = config->bytes_per_second;
    b->requests.per_second = config->requests_per_second;
    if (!b->bytes.per_second && !b->requests.per_second)
        return 0;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return error_set(err, errno, "create a timer for the limits of a disk");
    b->timer = (struct worker_source){.fd = fd, .ready = on_timer, .arg = b};
    return 0;
}

/* The lanes get their workers. */
static int connect_lanes(struct blk *b, struct error *err)
{
    for (unsigned i = 0; i < b->lane_count; i++) {
        struct blk_lane *lane = &b->lanes[i];
        lane->worker = b->device->workers[i];
        worker_at_end(lane->worker, &lane->end_call);
        lane->ring_source.fd = lane->ring.fd;
        if (lane->ring.fd >= 0 && worker_add(lane->worker, &lane->ring_source, EPOLLIN, err) < 0)
            return -1;
    }
    return b->timer.fd < 0 ? 0 : worker_add(b->lanes[0].worker, &b->timer, EPOLLIN, err);
}

struct virtio_device *blk_add(struct virtio_bus *bus, const struct blk_config *config,
                              struct error *err)
{
    const bool limited = config->bytes_per_second || config->requests_per_second;
    const unsigned queues = min(max(config->queues, 1u), BLK_QUEUES);
    const unsigned lanes = limited ? 1 : min(max(config->workers, 1u), queues);
    struct blk *b = xcalloc(1, sizeof(*b));

    b->disk = config->disk;
    b->no_flush = config->no_flush;
    b->no_ring = config->no_ring;
    b->alone = worker_shares_processor();
    b->writeback = !config->writethrough;
    b->bytes_read = config->bytes_read;
    b->bytes_written = config->bytes_written;
    b->full = config->full;
    b->full_arg = config->full_arg;
    b->drained_call = (struct worker_call){.fn = say_drained, .arg = b};
    b->full_call = (struct worker_call){.fn = tell_full, .arg = b};
    if (config->serial)
        memcpy(b->serial, config->serial, min(strlen(config->serial), sizeof(b->serial)));
    init_config(b, queues);
    b->lanes = xcalloc(lanes, sizeof(b->lanes[0]));
    for (; b->lane_count < lanes; b->lane_count++)
        init_lane(b, &b->lanes[b->lane_count], (queues - b->lane_count + lanes - 1) / lanes);

    const uint64_t more = disk_readonly(b->disk) ? VIRTIO_FEATURE(VIRTIO_BLK_F_RO)
                                                 : VIRTIO_FEATURE(VIRTIO_BLK_F_DISCARD) |
                                                       VIRTIO_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
    const struct virtio_setup setup = {.queues = queues,
                                       .workers = lanes,
                                       .features = more,
                                       .config = &b->config};
    if (init_limits(b, config, err) == 0)
        b->device = virtio_add(bus, &virtio_blk, b, &setup, err);
    if (!b->device) {
        free_blk(b);
        return NULL;
    }
    /* From here on the bus has it, also where something fails: then its machine is not started. */
    workers_want_helpers(bus->workers, b->no_ring ? THREADS : HELPERS);
    return connect_lanes(b, err) < 0 ? NULL : b->device;
}
