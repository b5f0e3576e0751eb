/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory balloon, see balloon.h. Section numbers are those of virtio 1.2.
 *
 * Which queue is what. 5.5.2 counts queues that were not negotiated, Linux does not: its reporting
 * queue is the third or the fourth by what else there is. Without free page hints, which are for
 * migration and not offered here, all of these can be told apart.
 *
 * The thread's system calls: madvise, fallocate, mmap, timerfd_settime, read, write, futex.
 */
#include "kvm/virtio/balloon.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

#define PAGE        4096ull /* whatever the guest's or the host's are: 5.5.6 */
#define QUEUE_SIZE  128     /* Linux wants at least 32 for reporting */
#define BATCH       256u    /* page numbers that Linux sends at once */
#define CHAIN_PAGES 65536u  /* more in one chain are not looked at */
#define TURN_PAGES  16384u  /* after so many, the thread looks if it shall stand still */
#define TURN_BYTES  (1ull << 30)
#define PERIOD_MIN  2u /* seconds between two looks at the statistics */
#define PERIOD_MAX  16u
#define STILL       128u /* less than one part in so many is no change */
#define TAGS        64u  /* of statistics in one buffer */

enum { INFLATE, DEFLATE, STATS, QUEUES = 5 };

struct virtio_balloon {
    struct virtio_device *device;
    struct memory *memory;
    const struct balloon_owner *owner;
    void *arg;
    _Atomic uint32_t wanted; /* pages */
    _Atomic uint64_t pages;  /* in it */
    _Atomic bool driver;

    /* The thread's own. Pages are counted through all pieces of memory. */
    uint64_t total;
    uint64_t *in;      /* bitmap: this page is in the balloon */
    uint32_t per_unit; /* pages that can be given back at once */
    uint32_t *units;   /* how many of each such unit are in it; NULL where that is one */

    struct worker_source timer;
    unsigned period;    /* seconds */
    uint64_t last_used; /* bytes */
    bool keeps;         /* a statistics buffer, with which the next ones are asked for */
    struct chain kept;
};

/* ---- pages ---- */

/* The number of a guest's page among all, or UINT64_MAX where it is no RAM. */
static uint64_t page_number(const struct virtio_balloon *b, uint64_t gpa)
{
    uint64_t before = 0;

    for (unsigned i = 0; i < b->memory->count; i++) {
        const struct memory_slot *s = &b->memory->slots[i];
        if (gpa >= s->base && gpa - s->base < s->size && s->size - (gpa - s->base) >= PAGE)
            return (before + (gpa - s->base)) / PAGE;
        before += s->size;
    }
    return UINT64_MAX;
}

static uint64_t page_address(const struct virtio_balloon *b, uint64_t number)
{
    uint64_t offset = number * PAGE;
    unsigned i = 0;

    for (; i + 1 < b->memory->count && offset >= b->memory->slots[i].size; i++)
        offset -= b->memory->slots[i].size;
    return b->memory->slots[i].base + offset;
}

static bool is_in(const struct virtio_balloon *b, uint64_t number)
{
    return b->in[number / 64] >> number % 64 & 1;
}

/* Put a page in or take it out. False: it was so already. */
static bool set_in(struct virtio_balloon *b, uint64_t number, bool in)
{
    if (is_in(b, number) == in)
        return false;
    b->in[number / 64] ^= 1ull << number % 64;
    b->pages += in ? 1 : (uint64_t)-1;
    if (b->units)
        b->units[number / b->per_unit] += in ? 1 : (uint32_t)-1;
    return true;
}

static int by_number(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Give back pages that are in it now: what lies side by side at once. */
static void give_back(struct virtio_balloon *b, uint64_t *numbers, unsigned n)
{
    qsort(numbers, n, sizeof(numbers[0]), by_number);
    for (unsigned i = 0, end; i < n; i = end) {
        const uint64_t first = page_address(b, numbers[i]);
        end = i + 1;
        while (end < n && numbers[end] == numbers[i] + (end - i) &&
               page_address(b, numbers[end]) == first + (end - i) * PAGE)
            end++;
        memory_discard(b->memory, first, (end - i) * PAGE);
    }
}

/* The same for units of more than one page: those that are complete. */
static void give_back_units(struct virtio_balloon *b, const uint64_t *numbers, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const uint64_t unit = numbers[i] / b->per_unit;
        if (b->units[unit] == b->per_unit)
            memory_discard(b->memory, page_address(b, unit * b->per_unit), b->per_unit * PAGE);
    }
}

/* Pages that the driver names go in or out. False: one of them is none. */
static bool move_pages(struct virtio_balloon *b, const uint32_t *pfn, unsigned n, bool in)
{
    uint64_t moved[BATCH];
    unsigned count = 0;
    bool ok = true;

    for (unsigned i = 0; i < n; i++) {
        const uint64_t number = page_number(b, (uint64_t)pfn[i] << VIRTIO_BALLOON_PFN_SHIFT);
        if (number == UINT64_MAX)
            ok = false;
        else if (set_in(b, number, in))
            moved[count++] = number;
    }
    if (in && b->units)
        give_back_units(b, moved, count);
    else if (in)
        give_back(b, moved, count);
    return ok;
}

static void tell_size(const struct virtio_balloon *b)
{
    b->owner->size(b->arg, virtio_balloon_size(b));
}

/* 5.5.6: buffers full of page numbers. */
static void handle_pages(struct virtio_balloon *b, struct virtqueue *q)
{
    uint32_t pfn[BATCH];
    unsigned done = 0;
    struct chain c;
    bool ok = true;

    while (ok && done < TURN_PAGES && virtqueue_pop(q, &c)) {
        for (unsigned n, all = 0; all < CHAIN_PAGES; all += n) {
            n = (unsigned)(chain_read(&c, pfn, sizeof(pfn)) / sizeof(pfn[0]));
            if (n == 0)
                break;
            ok &= move_pages(b, pfn, n, q->index == INFLATE);
            done += n;
        }
        virtqueue_push(q, &c, 0);
    }
    tell_size(b);
    if (!ok)
        virtio_fail(b->device, "queue %u: a page that is not memory", q->index);
    else if (done >= TURN_PAGES)
        virtqueue_kick(q);
}

/* ---- free pages ---- */

/* Where the driver wants them to keep their bytes, they are left alone (5.5.6.7.1). */
static bool poisoned(struct virtio_balloon *b)
{
    uint32_t value;

    virtio_get_config(b->device, offsetof(struct virtio_balloon_config, poison_val), &value,
                      sizeof(value));
    return virtio_has(b->device, VIRTIO_BALLOON_F_PAGE_POISON) && value;
}

static uint64_t address_of(const struct memory *m, const uint8_t *host)
{
    for (unsigned i = 0; i < m->count; i++)
        if (host >= m->slots[i].host && (uint64_t)(host - m->slots[i].host) < m->slots[i].size)
            return m->slots[i].base + (uint64_t)(host - m->slots[i].host);
    return UINT64_MAX; /* which discards nothing */
}

/* 5.5.6.7: each buffer is so much free memory, and the guest's again when it is used. */
static void handle_reports(struct virtio_balloon *b, struct virtqueue *q)
{
    const bool keep = poisoned(b);
    uint64_t done = 0;
    struct chain c;

    while (done < TURN_BYTES && virtqueue_pop(q, &c)) {
        for (unsigned i = 0; i < c.out_count && !keep; i++) {
            memory_discard(b->memory, address_of(b->memory, c.out[i].iov_base), c.out[i].iov_len);
            done += c.out[i].iov_len;
        }
        virtqueue_push(q, &c, 0);
    }
    if (done >= TURN_BYTES)
        virtqueue_kick(q);
}

/* ---- statistics ---- */

/* Bytes of memory that the guest cannot have are not believed. */
static uint64_t believe(const struct virtio_balloon *b, uint64_t bytes)
{
    return min(bytes, b->total * PAGE);
}

/*
 * What the guest uses. Linux takes pages in the balloon off its total, but not with
 * F_DEFLATE_ON_OOM, where they count as memory that is used.
 */
static uint64_t used_of(const struct virtio_balloon *b, const struct balloon_stats *s)
{
    const uint64_t rest = s->available != UINT64_MAX ? s->available : s->free;
    uint64_t used;

    if (s->total == UINT64_MAX || rest == UINT64_MAX)
        return 0;
    used = believe(b, s->total);
    used -= min(used, rest);
    if (virtio_has(b->device, VIRTIO_BALLOON_F_DEFLATE_ON_OOM))
        used -= min(used, virtio_balloon_size(b));
    return max(used, PAGE); /* 0 would mean that it is not known */
}

static void read_stats(const struct virtio_balloon *b, struct chain *c, struct balloon_stats *s)
{
    uint64_t *const by_tag[] = {
        [VIRTIO_BALLOON_S_SWAP_IN] = &s->swapped_in,  [VIRTIO_BALLOON_S_SWAP_OUT] = &s->swapped_out,
        [VIRTIO_BALLOON_S_MAJFLT] = &s->major_faults, [VIRTIO_BALLOON_S_MINFLT] = &s->minor_faults,
        [VIRTIO_BALLOON_S_MEMFREE] = &s->free,        [VIRTIO_BALLOON_S_MEMTOT] = &s->total,
        [VIRTIO_BALLOON_S_AVAIL] = &s->available,     [VIRTIO_BALLOON_S_CACHES] = &s->caches,
    };
    struct virtio_balloon_stat one;

    *s = (struct balloon_stats){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
                                UINT64_MAX, UINT64_MAX, UINT64_MAX, 0};
    for (unsigned i = 0; i < TAGS && chain_read(c, &one, sizeof(one)) == sizeof(one); i++)
        if (one.tag < ARRAY_SIZE(by_tag))
            *by_tag[one.tag] = one.val;
    s->used = used_of(b, s);
}

static void set_timer(struct virtio_balloon *b, unsigned seconds)
{
    const struct itimerspec when = {.it_value.tv_sec = seconds};

    timerfd_settime(b->timer.fd, 0, &when, NULL);
}

/* The next look comes soon if there was something to be seen. */
static void plan_next(struct virtio_balloon *b, uint64_t used)
{
    const uint64_t change = used > b->last_used ? used - b->last_used : b->last_used - used;

    if (change > b->last_used / STILL) {
        b->period = PERIOD_MIN;
        b->last_used = used;
    } else {
        b->period = min(2 * b->period, PERIOD_MAX);
    }
    set_timer(b, b->period);
}

/* 5.5.6.3: the buffer comes with figures and is kept until new ones are wanted. */
static void handle_stats(struct virtio_balloon *b, struct virtqueue *q)
{
    struct balloon_stats stats;
    struct chain c;

    while (virtqueue_pop(q, &c)) {
        if (b->keeps) /* a driver has one */
            virtqueue_push(q, &b->kept, 0);
        b->keeps = true;
        b->kept = c;
        if (c.readable < sizeof(struct virtio_balloon_stat))
            continue; /* Linux's first may be empty */
        read_stats(b, &c, &stats);
        b->owner->stats(b->arg, &stats);
        plan_next(b, stats.used);
    }
}

static void on_timer(void *arg, uint32_t events)
{
    struct virtio_balloon *b = arg;
    uint64_t times;

    (void)events;
    if (read(b->timer.fd, &times, sizeof(times)) < 0 || !b->keeps)
        return;
    b->keeps = false;
    virtqueue_push(&b->device->queues[STATS], &b->kept, 0);
    virtqueue_flush(&b->device->queues[STATS]);
}

/* ---- the device ---- */

static void balloon_handle(struct virtqueue *q)
{
    struct virtio_balloon *b = q->device->state;

    b->driver = true;
    if (q->index <= DEFLATE)
        handle_pages(b, q);
    else if (q->index == STATS && virtio_has(q->device, VIRTIO_BALLOON_F_STATS_VQ))
        handle_stats(b, q);
    else if (virtio_has(q->device, VIRTIO_BALLOON_F_REPORTING))
        handle_reports(b, q);
}

/* `actual` and `poison_val` are the driver's; the rest is ours. */
static void balloon_config_written(struct virtio_device *d, unsigned offset, unsigned size)
{
    const struct virtio_balloon *b = d->state;
    struct virtio_balloon_config c;

    (void)offset, (void)size;
    memcpy(&c, d->config, sizeof(c));
    c.num_pages = b->wanted;
    c.free_page_hint_cmd_id = 0;
    memcpy(d->config, &c, sizeof(c));
}

/* A new driver begins with an empty balloon. */
static void balloon_reset(struct virtio_device *d)
{
    struct virtio_balloon *b = d->state;
    struct virtio_balloon_config config = {0};

    do { /* who sets it meanwhile may be overtaken */
        config.num_pages = b->wanted;
        virtio_set_config(d, 0, &config, sizeof(config));
    } while (config.num_pages != b->wanted);
    memset(b->in, 0, (b->total + 63) / 64 * sizeof(b->in[0]));
    if (b->units)
        memset(b->units, 0, (b->total + b->per_unit - 1) / b->per_unit * sizeof(b->units[0]));
    b->pages = 0;
    b->keeps = false;
    b->driver = false;
    b->period = PERIOD_MIN;
    b->last_used = 0;
    set_timer(b, 0);
    b->owner->stats(b->arg, NULL);
    tell_size(b);
}

/* Count what was loaded. */
static void recount(struct virtio_balloon *b)
{
    cleanup_free uint64_t *loaded = b->in;

    b->in = xcalloc((b->total + 63) / 64, sizeof(b->in[0]));
    b->pages = 0;
    if (b->units)
        memset(b->units, 0, (b->total + b->per_unit - 1) / b->per_unit * sizeof(b->units[0]));
    for (uint64_t i = 0; i < b->total; i++)
        if (loaded[i / 64] >> i % 64 & 1)
            set_in(b, i, true);
}

static void balloon_state(struct virtio_device *d, struct state *s)
{
    struct virtio_balloon *b = d->state;
    uint8_t keeps = b->keeps, driver = b->driver;
    uint32_t wanted = b->wanted;
    uint16_t head = b->keeps ? b->kept.head : 0;

    state_section(s, "balloon", 1);
    state_item(s, wanted);
    state_item(s, driver);
    state_item(s, keeps);
    state_item(s, head);
    state_bytes(s, b->in, (b->total + 63) / 64 * sizeof(b->in[0]));
    if (!s->loading)
        return;
    b->wanted = (uint32_t)min((uint64_t)wanted, b->total);
    b->driver = driver;
    recount(b);
    tell_size(b);
    b->keeps = keeps && virtqueue_retake(&d->queues[STATS], head, &b->kept, d->queues[STATS].iov,
                                         d->queues[STATS].max_size);
    if (keeps && !b->keeps)
        state_refuse(s, "the balloon's statistics are in a buffer that cannot be");
    if (b->keeps)
        set_timer(b, PERIOD_MIN);
}

static void free_balloon(struct virtio_balloon *b)
{
    if (b->timer.fd >= 0)
        close(b->timer.fd);
    free(b->in);
    free(b->units);
    free(b);
}

static void balloon_destroy(struct virtio_device *d)
{
    struct virtio_balloon *b = d->state;

    worker_remove(d->workers[0], &b->timer);
    free_balloon(b);
}

static const struct virtio_device_type virtio_balloon = {
    .name = "balloon",
    .id = VIRTIO_ID_BALLOON,
    .class_code = 0x00ff00, /* unclassified: no display */
    .queues = QUEUES,
    .queue_size = QUEUE_SIZE,
    .features = VIRTIO_FEATURE(VIRTIO_BALLOON_F_STATS_VQ) |
                VIRTIO_FEATURE(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) |
                VIRTIO_FEATURE(VIRTIO_BALLOON_F_PAGE_POISON) |
                VIRTIO_FEATURE(VIRTIO_BALLOON_F_REPORTING),
    .config_size = sizeof(struct virtio_balloon_config),
    .threaded = true,
    .handle = balloon_handle,
    .config_written = balloon_config_written,
    .reset = balloon_reset,
    .state = balloon_state,
    .destroy = balloon_destroy,
};

static uint32_t pages_of(const struct virtio_balloon *b, uint64_t bytes)
{
    return (uint32_t)min(min(bytes / PAGE, b->total), (uint64_t)UINT32_MAX);
}

struct virtio_balloon *virtio_balloon_add(struct virtio_bus *bus, struct memory *memory,
                                          uint64_t bytes, const struct balloon_owner *owner,
                                          void *arg, struct error *err)
{
    struct virtio_balloon *b = xcalloc(1, sizeof(*b));

    b->memory = memory;
    b->owner = owner;
    b->arg = arg;
    b->total = memory->size / PAGE;
    b->in = xcalloc((b->total + 63) / 64, sizeof(b->in[0]));
    b->per_unit = memory->config.huge ? (uint32_t)(memory->config.huge / PAGE) : 1;
    if (b->per_unit > 1)
        b->units = xcalloc((b->total + b->per_unit - 1) / b->per_unit, sizeof(b->units[0]));
    b->wanted = pages_of(b, bytes);
    b->period = PERIOD_MIN;
    b->timer =
        (struct worker_source){.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                               .ready = on_timer,
                               .arg = b};
    if (b->timer.fd < 0) {
        error_set(err, errno, "create the balloon's timer");
        free_balloon(b);
        return NULL;
    }
    const struct virtio_balloon_config config = {.num_pages = b->wanted};
    b->device = virtio_add(bus, &virtio_balloon, b, &(struct virtio_setup){.config = &config}, err);
    if (!b->device) {
        free_balloon(b);
        return NULL;
    }
    if (worker_add(b->device->workers[0], &b->timer, EPOLLIN, err) < 0)
        return NULL; /* the bus has it, and ends it */
    return b;
}

void virtio_balloon_set(struct virtio_balloon *b, uint64_t bytes)
{
    const uint32_t pages = pages_of(b, bytes);

    b->wanted = pages;
    virtio_set_config(b->device, offsetof(struct virtio_balloon_config, num_pages), &pages,
                      sizeof(pages));
}

uint64_t virtio_balloon_wanted(const struct virtio_balloon *b)
{
    return b->wanted * PAGE;
}

uint64_t virtio_balloon_size(const struct virtio_balloon *b)
{
    return b->pages * PAGE;
}

bool virtio_balloon_has_driver(const struct virtio_balloon *b)
{
    return b->driver;
}
