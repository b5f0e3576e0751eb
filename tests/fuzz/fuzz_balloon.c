/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balloon under a driver that does wrong, whose host changes its mind; over memory of small
 * pages, or of huge ones.
 */
#include "fuzz/virtio.h"

#include <linux/virtio_balloon.h>

#include "kvm/virtio/balloon.h"

#define ALL (BOARD_LOW + BOARD_HIGH)

static struct virtio_balloon *balloon;
static bool huge;

static void on_stats(void *arg, const struct balloon_stats *s)
{
    (void)arg;
    must(!s || s->used <= ALL);
}

static void on_size(void *arg, uint64_t bytes)
{
    (void)arg;
    must(bytes <= ALL);
}

static const struct balloon_owner owner = {on_stats, on_size};

static int add(struct board *b)
{
    b->own_memory.config.huge = huge ? 65536 : 0; /* a size that divides this memory's */
    balloon = virtio_balloon_add(&b->virtio, b->memory, 0, &owner, NULL, NULL);
    return balloon ? 0 : -1;
}

static void event(struct feed *f, struct board *b)
{
    (void)b;
    virtio_balloon_set(balloon, feed_rarely(f, 8) ? feed_u64(f) : feed_below(f, ALL));
    must(virtio_balloon_wanted(balloon) <= ALL && virtio_balloon_size(balloon) <= ALL);
}

/* Pages in which the driver has no buffers: the end of the lower memory, and the upper one. */
#define OWN_LOW (BOARD_LOW - (48u << 10)) /* as far as buffers may reach: see fuzz_send() */
#define OWN_ALL ((BOARD_LOW - OWN_LOW + BOARD_HIGH) / 4096)

static uint32_t own_page(uint32_t i)
{
    const uint32_t low = (BOARD_LOW - OWN_LOW) / 4096;

    i %= OWN_ALL;
    return i < low ? OWN_LOW / 4096 + i : (uint32_t)(MEMORY_HIGH / 4096) + i - low;
}

static unsigned pages(struct feed *f, struct driver *d, struct seg *segs)
{
    const unsigned n = 1 + feed_below(f, 64);
    uint32_t pfns[64], first = feed_below(f, OWN_ALL);

    for (unsigned i = 0; i < n; i++) {
        pfns[i] = own_page(feed_rarely(f, 4) ? feed_below(f, OWN_ALL) : first + i);
        if (feed_rarely(f, 64)) /* most likely none at all */
            pfns[i] = OWN_LOW / 4096 + (uint32_t)(feed_u64(f) % (UINT32_MAX - OWN_LOW / 4096));
    }
    segs[0] = driver_bytes(d, pfns, n * 4 - (feed_rarely(f, 16) ? feed_below(f, 4) : 0));
    return 1;
}

static unsigned request(struct feed *f, struct driver *d, unsigned queue, struct seg *segs)
{
    struct virtio_balloon_stat stats[16];
    unsigned n = 1 + feed_below(f, 16);

    if (queue < 2)
        return pages(f, d, segs);
    if (queue == 2) {
        for (unsigned i = 0; i < n; i++)
            stats[i] =
                (struct virtio_balloon_stat){(uint16_t)feed_below(f, 12),
                                             feed_rarely(f, 4) ? feed_u64(f) : feed_below(f, ALL)};
        segs[0] = driver_bytes(d, stats, n * (uint32_t)sizeof(stats[0]));
        return 1;
    }
    n = 1 + feed_below(f, 4);
    for (unsigned i = 0; i < n; i++)
        segs[i] = driver_buffer(d, feed_below(f, 20000), true);
    return n;
}

static const struct virtio_fuzz fuzz = {.add = add,
                                        .queues = 5,
                                        .config = sizeof(struct virtio_balloon_config),
                                        .request = request,
                                        .event = event,
                                        .wild = true};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    huge = data[0] & 1;
    return virtio_fuzz(&fuzz, data + 1, size - 1);
}
