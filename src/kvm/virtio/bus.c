/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All virtio devices of a machine at once: reset, brought to rest, saved and loaded; see virtio.h.
 */
#include <linux/virtio_config.h>
#include <poll.h>

#include "base/util.h"
#include "kvm/virtio/transport.h"

/* Is its reset under way, or has it not come to rest? */
static bool is_busy(struct virtio_device *d)
{
    pthread_mutex_lock(&d->lock);
    bool busy = d->resetting || d->holding != d->held;
    pthread_mutex_unlock(&d->lock);
    return busy;
}

static const struct virtio_device *find_busy(const struct virtio_bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++)
        if (is_busy(bus->devices[i]))
            return bus->devices[i];
    return NULL;
}

/* Let the loop work, for at most ms, until none is busy. */
static int wait_for_all(struct virtio_bus *bus, unsigned ms, struct error *err)
{
    struct pollfd loop = {.fd = workers_loop_fd(bus->workers), .events = POLLIN};
    const uint64_t end = now_mono_ns() + ms * 1000000ull;
    const struct virtio_device *busy;
    uint64_t now;

    while ((busy = find_busy(bus)) && (now = now_mono_ns()) < end) {
        poll(&loop, 1, (int)((end - now) / 1000000 + 1));
        workers_turn(bus->workers);
    }
    return busy ? error_set(err, 0, "the device '%s' did not come to rest within %u ms",
                            busy->type->name, ms)
                : 0;
}

int virtio_reset_all(struct virtio_bus *bus, unsigned ms, struct error *err)
{
    for (unsigned i = 0; i < bus->count; i++) {
        struct virtio_device *d = bus->devices[i];
        pthread_mutex_lock(&d->lock);
        virtio_write_status(d, 0);
        pthread_mutex_unlock(&d->lock);
    }
    return wait_for_all(bus, ms, err);
}

/* ---- at rest ---- */

int virtio_hold_all(struct virtio_bus *bus, unsigned ms, struct error *err)
{
    for (unsigned i = 0; i < bus->count; i++) {
        struct virtio_device *d = bus->devices[i];
        pthread_mutex_lock(&d->lock);
        d->holding = true;
        virtio_update_live(d);
        if (!d->active)
            d->held = true;
        else if (!d->resetting) /* or its end is waited for */
            virtio_begin_drain(d);
        pthread_mutex_unlock(&d->lock);
    }
    if (wait_for_all(bus, ms, err) == 0)
        return 0;
    virtio_release_all(bus);
    return -1;
}

void virtio_release_all(struct virtio_bus *bus)
{
    for (unsigned i = 0; i < bus->count; i++) {
        struct virtio_device *d = bus->devices[i];
        pthread_mutex_lock(&d->lock);
        if (d->holding) {
            d->holding = d->held = false;
            d->draining &= d->resetting;
            virtio_update_live(d);
        }
        pthread_mutex_unlock(&d->lock);
    }
}

/* ---- saved and loaded ---- */

/* What the driver set up, which is checked as if it came from there. */
static void queue_state(struct virtqueue *q, struct state *s)
{
    uint8_t enabled = q->enabled;
    uint16_t size = q->size;

    state_item(s, size);
    state_item(s, enabled);
    state_item(s, q->desc_at);
    state_item(s, q->avail_at);
    state_item(s, q->used_at);
    if (s->loading) {
        if (!size || (size & (size - 1)) || size > q->max_size) {
            state_refuse(s, "queue %u of '%s' has %u entries in the saved state", q->index,
                         q->device->type->name, size);
            return;
        }
        q->size = size;
        const char *wrong = enabled ? virtqueue_enable(q) : NULL;
        if (wrong)
            state_refuse(s, "queue %u of '%s' has %s in the saved state", q->index,
                         q->device->type->name, wrong);
    }
    if (!s->invalid)
        virtqueue_state(q, s);
}

/* The device's lock is held. */
static void device_state(struct virtio_device *d, struct state *s)
{
    uint8_t status = d->status;
    uint32_t queues = d->queue_count;

    if (!state_section(s, d->type->name, 1))
        return;
    state_item(s, status);
    state_item(s, d->features);
    state_item(s, d->generation);
    state_item(s, queues);
    state_bytes(s, d->config, d->type->config_size);
    if (s->loading && queues != d->queue_count)
        state_refuse(s, "'%s' has %u queues in the saved state, not %u", d->type->name, queues,
                     d->queue_count);
    if (s->loading && (status & VIRTIO_CONFIG_S_FEATURES_OK) && !virtio_check_features(d))
        state_refuse(s, "'%s' has features in the saved state that it has not here", d->type->name);
    for (unsigned i = 0; i < d->queue_count && !s->invalid; i++)
        queue_state(&d->queues[i], s);
    if (s->invalid)
        return;
    virtio_pci_state(d, s);
    if (s->loading) {
        d->status = status & (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
        if (status & VIRTIO_CONFIG_S_DRIVER_OK)
            virtio_start(d);
        d->holding = d->held = true;
        virtio_update_live(d);
    }
    if (d->type->state)
        d->type->state(d, s);
}

void virtio_state_all(struct virtio_bus *bus, struct state *s)
{
    for (unsigned i = 0; i < bus->count && !s->invalid; i++) {
        struct virtio_device *d = bus->devices[i];
        pthread_mutex_lock(&d->lock);
        device_state(d, s);
        pthread_mutex_unlock(&d->lock);
    }
}
