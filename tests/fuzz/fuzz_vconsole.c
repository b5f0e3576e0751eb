/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Terminals and named ports under a driver that does wrong, with somebody at the other end who
 * types, resizes, comes, goes, and does not always take what is printed.
 */
#include "fuzz/virtio.h"

#include <linux/virtio_console.h>

#include "kvm/virtio/console.h"

#define NAMED 3

static struct feed *now;
static struct virtio_port *ports[NAMED];
static unsigned count;

/* Takes some of it. */
static size_t put(void *arg, const void *data, size_t len)
{
    static uint8_t seen[4096];
    size_t n = now && feed_rarely(now, 4) ? feed_below(now, len + 1) : len;

    (void)arg;
    memcpy(seen, data, min(n, sizeof(seen)));
    return n;
}

static void input_ready(void *arg)
{
    (void)arg;
}

static void emergency(void *arg, uint8_t byte)
{
    (void)arg, (void)byte;
}

static const struct virtio_port_line line = {put, input_ready, NULL, emergency};

static void event(struct feed *f, struct board *b)
{
    struct virtio_port *p = ports[feed_below(f, count)];
    static const char text[5000];

    (void)b;
    now = f;
    switch (feed_below(f, 4)) {
    case 0:
        must(virtio_port_input(p, text, feed_below(f, sizeof(text))) <= sizeof(text));
        break;
    case 1:
        virtio_port_output_ready(p);
        break;
    case 2:
        virtio_port_resize(p, feed_below(f, 300), feed_below(f, 300));
        break;
    case 3:
        virtio_port_attend(p, feed_below(f, 2));
        break;
    }
}

static int add_terminal(struct board *b)
{
    count = 1;
    now = NULL;
    ports[0] = virtio_terminal_add(&b->virtio, &line, NULL, NULL);
    return ports[0] ? 0 : -1;
}

static int add_ports(struct board *b)
{
    struct virtio_port_setup setup[NAMED] = {{"org.a", &line, NULL, NULL},
                                             {"org.bb", &line, NULL, NULL},
                                             {"org.ccc", &line, NULL, NULL}};

    count = NAMED;
    now = NULL;
    if (virtio_ports_add(&b->virtio, setup, NAMED, NULL) < 0)
        return -1;
    for (unsigned i = 0; i < NAMED; i++)
        ports[i] = setup[i].port;
    return 0;
}

/* What a driver says of ports, and bytes. */
static unsigned request(struct feed *f, struct driver *d, unsigned queue, struct seg *segs)
{
    struct virtio_console_control m = {
        .id = feed_rarely(f, 8) ? (uint32_t)feed_u64(f) : feed_below(f, NAMED + 2),
        .event = (uint16_t)feed_below(f, 9),
        .value = (uint16_t)feed_below(f, 3),
    };

    now = f;
    if (queue == 3)
        segs[0] = driver_bytes(d, &m, sizeof(m));
    else
        segs[0] = driver_buffer(d, feed_below(f, 5000), queue % 2 == 0);
    return 1;
}

static const struct virtio_fuzz terminal = {
    .add = add_terminal, .queues = 2, .config = 12, .request = request, .event = event};
static const struct virtio_fuzz named = {
    .add = add_ports, .queues = 4 + 2 * NAMED, .config = 8, .request = request, .event = event};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    return virtio_fuzz(data[0] & 1 ? &named : &terminal, data + 1, size - 1);
}
