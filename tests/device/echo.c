/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tests' virtio device, see echo.h.
 */
#include "device/echo.h"

#include <string.h>

static void answer(struct virtqueue *q)
{
    struct echo *e = q->device->state;
    uint8_t bytes[100];
    struct chain c;

    while (virtqueue_pop(q, &c)) {
        size_t n;
        e->handled++;
        while ((n = chain_read(&c, bytes, sizeof(bytes))) > 0)
            chain_write(&c, bytes, n);
        virtqueue_push(q, &c, c.written);
    }
}

static void keep(struct virtqueue *q)
{
    struct echo *e = q->device->state;

    while (e->kept < ECHO_SIZE &&
           virtqueue_pop_into(q, &e->chains[e->kept], e->iov[e->kept], ECHO_SIZE))
        e->kept++;
}

static void echo_handle(struct virtqueue *q)
{
    if (q->index == 1)
        keep(q);
    else
        answer(q);
}

static void echo_start(struct virtio_device *d)
{
    ((struct echo *)d->state)->starts++;
}

static void echo_config_written(struct virtio_device *d, unsigned offset, unsigned size)
{
    static const uint8_t fixed[ECHO_CONFIG - 4] = {5, 6, 7, 8, 9, 10, 11, 12};

    if (offset + size > 4)
        memcpy(d->config + 4, fixed, sizeof(fixed));
}

static bool echo_drain(struct virtio_device *d)
{
    struct echo *e = d->state;

    e->drains++;
    return e->kept == 0 || (e->keeps && !d->resetting);
}

static void echo_reset(struct virtio_device *d)
{
    struct echo *e = d->state;

    e->resets++;
}

static void echo_state(struct virtio_device *d, struct state *s)
{
    struct echo *e = d->state;
    unsigned kept = e->kept;

    state_item(s, kept);
    if (s->loading && kept > ECHO_SIZE)
        state_refuse(s, "echo keeps too many");
    for (unsigned i = 0; i < kept && !s->invalid; i++) {
        uint16_t head = e->chains[i].head;
        state_item(s, head);
        if (s->loading &&
            !virtqueue_retake(&d->queues[1], head, &e->chains[i], e->iov[i], ECHO_SIZE)) {
            state_refuse(s, "echo keeps what is no chain");
            kept = 0;
        }
    }
    if (s->loading)
        e->kept = s->invalid ? 0 : kept;
}

static void echo_destroy(struct virtio_device *d)
{
    ((struct echo *)d->state)->destroyed++;
}

void echo_release(struct echo *e)
{
    bool waited = e->device->resetting || e->device->holding;

    while (e->kept) {
        struct chain *c = &e->chains[--e->kept];
        virtqueue_push(c->queue, c, chain_write(c, "done", 4));
        virtqueue_flush(c->queue);
    }
    if (waited)
        virtio_drained(e->device);
}

static const struct virtio_device_type plain = {
    .name = "echo",
    .id = 60,
    .class_code = 0xff0000,
    .queues = ECHO_QUEUES,
    .queue_size = ECHO_SIZE,
    .features = VIRTIO_FEATURE(ECHO_F_ONE),
    .config_size = ECHO_CONFIG,
    .handle = echo_handle,
    .start = echo_start,
    .config_written = echo_config_written,
    .drain = echo_drain,
    .reset = echo_reset,
    .state = echo_state,
    .destroy = echo_destroy,
};

int echo_add(struct virtio_bus *bus, struct echo *e, unsigned threads)
{
    static struct virtio_device_type threaded;
    const uint8_t config[ECHO_CONFIG] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    const struct virtio_setup setup = {.features = VIRTIO_FEATURE(ECHO_F_TWO),
                                       .config = config,
                                       .workers = threads};

    threaded = plain;
    threaded.threaded = true;
    memset(e, 0, sizeof(*e));
    e->device = virtio_add(bus, threads ? &threaded : &plain, e, &setup, NULL);
    return e->device ? 0 : -1;
}
