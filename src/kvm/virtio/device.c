/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio device's life as its driver steers it: status, features, queues, reset; see virtio.h.
 * Section numbers are those of virtio 1.2.
 */
#include "kvm/virtio/virtio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "kvm/virtio/transport.h"

#define DRIVER_BITS                                                                       \
    (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | \
     VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED)
#define CORE_FEATURES                                                                   \
    (VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) | \
     VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX))

/* ---- complaints ---- */

/* One line for each device, however often its driver errs. The lock is held. */
static void complain(struct virtio_device *d, const char *fmt, va_list ap)
{
    char text[200];

    if (d->complained)
        return;
    d->complained = true;
    vsnprintf(text, sizeof(text), fmt, ap);
    log_line("the guest's driver of '%s' makes mistakes: %s", d->type->name, text);
}

/* What was asked is refused, and nothing happens. */
static void refuse(struct virtio_device *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    complain(d, fmt, ap);
    va_end(ap);
}

static void fail_with(struct virtio_device *d, const char *fmt, va_list ap)
{
    complain(d, fmt, ap);
    if (d->resetting || (d->status & VIRTIO_CONFIG_S_NEEDS_RESET))
        return;
    d->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    virtio_update_live(d);
    if (d->status & VIRTIO_CONFIG_S_DRIVER_OK) /* 2.1.2 */
        virtio_pci_interrupt(d, NULL);
}

void virtio_fail_locked(struct virtio_device *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fail_with(d, fmt, ap);
    va_end(ap);
}

void virtio_fail(struct virtio_device *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    pthread_mutex_lock(&d->lock);
    fail_with(d, fmt, ap);
    pthread_mutex_unlock(&d->lock);
    va_end(ap);
}

/* ---- configuration ---- */

void virtio_set_config(struct virtio_device *d, unsigned offset, const void *data, unsigned size)
{
    pthread_mutex_lock(&d->lock);
    memcpy(d->config + offset, data, size);
    d->generation++;
    if (d->status & VIRTIO_CONFIG_S_DRIVER_OK)
        virtio_pci_interrupt(d, NULL);
    pthread_mutex_unlock(&d->lock);
}

void virtio_get_config(struct virtio_device *d, unsigned offset, void *data, unsigned size)
{
    pthread_mutex_lock(&d->lock);
    memcpy(data, d->config + offset, size);
    pthread_mutex_unlock(&d->lock);
}

/* ---- queues ---- */

bool virtio_may_set_up(const struct virtio_device *d, const struct virtqueue *q)
{
    const uint8_t s = d->status;

    return (s & VIRTIO_CONFIG_S_FEATURES_OK) && !(s & VIRTIO_CONFIG_S_DRIVER_OK) && !q->enabled &&
           !d->resetting;
}

void virtio_write_queue_size(struct virtqueue *q, uint16_t value)
{
    if (!virtio_may_set_up(q->device, q))
        return;
    if (!value || (value & (value - 1)) || value > q->max_size)
        refuse(q->device, "queue %u of %u entries", q->index, value);
    else
        q->size = value;
}

void virtio_enable_queue(struct virtqueue *q)
{
    if (!virtio_may_set_up(q->device, q))
        return;
    const char *wrong = virtqueue_enable(q);
    if (wrong)
        virtio_fail_locked(q->device, "queue %u: %s", q->index, wrong);
}

void virtio_update_live(struct virtio_device *d)
{
    const uint8_t s = d->status;
    const bool broken = s & (VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED);
    int state = VIRTQUEUE_DEAD;

    if ((s & VIRTIO_CONFIG_S_DRIVER_OK) && !broken && !d->resetting)
        state = virtio_pci_is_master(d) && !d->holding ? VIRTQUEUE_LIVE : VIRTQUEUE_HELD;
    for (unsigned i = 0; i < d->queue_count; i++) {
        struct virtqueue *q = &d->queues[i];
        if (q->enabled && q->state != state) {
            q->state = state;
            if (state == VIRTQUEUE_LIVE) /* there may be something already */
                virtqueue_kick(q);
        }
    }
    virtio_pci_listen(d);
    virtio_rewired(d);
}

void virtio_rewired(struct virtio_device *d)
{
    if (d->type->rewired)
        d->type->rewired(d);
}

/* ---- status ---- */

void virtio_write_features(struct virtio_device *d, unsigned select, uint32_t value)
{
    /* 2.2: negotiated once, between DRIVER and FEATURES_OK. */
    if (select > 1 || d->resetting || (d->status & VIRTIO_CONFIG_S_FEATURES_OK))
        return;
    d->features &= ~((uint64_t)UINT32_MAX << 32 * select);
    d->features |= (uint64_t)value << 32 * select;
}

bool virtio_check_features(struct virtio_device *d)
{
    if (d->features & ~d->offered) {
        refuse(d, "features that were not offered: %#llx",
               (unsigned long long)(d->features & ~d->offered));
        return false;
    }
    if (!virtio_has(d, VIRTIO_F_VERSION_1)) {
        refuse(d, "a driver from before virtio 1.0"); /* 6.1 */
        return false;
    }
    return true;
}

/* DRIVER_OK: the device goes to work. */
void virtio_start(struct virtio_device *d)
{
    for (unsigned i = 0; i < d->queue_count; i++) {
        d->queues[i].event_index = virtio_has(d, VIRTIO_RING_F_EVENT_IDX);
        d->queues[i].indirect = virtio_has(d, VIRTIO_RING_F_INDIRECT_DESC);
    }
    d->active = true;
    if (d->type->start)
        d->type->start(d);
    d->status |= VIRTIO_CONFIG_S_DRIVER_OK;
}

/* Back to the beginning; no handler runs. The lock is held. */
static void forget_driver(struct virtio_device *d)
{
    for (unsigned i = 0; i < d->queue_count; i++)
        virtqueue_reset(&d->queues[i]);
    d->features = 0;
    d->active = d->resetting = false;
    virtio_pci_listen(d);
    virtio_pci_reset(d);
    d->status = 0;
}

/*
 * All that was under way is done: a reset is complete, or the device at rest. An answer to what is
 * no longer asked for (the hold was given up) says nothing of handlers that run now.
 */
void virtio_drained(struct virtio_device *d)
{
    pthread_mutex_lock(&d->lock);
    bool asked = d->draining, resetting = d->resetting;
    d->draining = false;
    pthread_mutex_unlock(&d->lock);
    if (!asked)
        return;
    if (resetting && d->type->reset)
        d->type->reset(d);
    pthread_mutex_lock(&d->lock);
    if (resetting)
        forget_driver(d);
    d->held = d->holding;
    pthread_mutex_unlock(&d->lock);
    worker_post(workers_loop(d->bus->workers), &d->bus->told);
}

static void drain(void *arg)
{
    struct virtio_device *d = arg;

    pthread_mutex_lock(&d->lock);
    d->draining = d->resetting || d->holding;
    pthread_mutex_unlock(&d->lock);
    if (!d->type->drain || d->type->drain(d))
        virtio_drained(d);
}

/* On each of the device's workers: that this runs means that no handler does there. */
static void worker_is_quiet(void *arg)
{
    struct virtio_device *d = arg;

    pthread_mutex_lock(&d->lock);
    bool last = --d->busy_workers == 0;
    pthread_mutex_unlock(&d->lock);
    if (last)
        worker_post(d->workers[0], &d->drain_call);
}

void virtio_begin_drain(struct virtio_device *d)
{
    d->busy_workers = d->worker_count;
    for (unsigned i = 0; i < d->worker_count; i++)
        worker_post(d->workers[i], &d->calls[i]);
}

/*
 * 2.1: writing 0 resets. A device that worked goes on reading as it was until its workers are
 * done with it (4.1.4.3.2: the driver waits for 0), so no vCPU has to wait here.
 */
static void reset(struct virtio_device *d)
{
    if (d->resetting)
        return;
    if (!d->active) {
        forget_driver(d);
        return;
    }
    d->resetting = true;
    virtio_update_live(d);
    virtio_begin_drain(d);
}

void virtio_write_status(struct virtio_device *d, uint8_t value)
{
    if (value == 0)
        reset(d);
    if (value == 0 || d->resetting)
        return;

    /* 2.1.1: bits are only ever added. One that comes too early is refused. */
    const uint8_t added = value & DRIVER_BITS & ~d->status;
    if (added & VIRTIO_CONFIG_S_FAILED) {
        d->status |= VIRTIO_CONFIG_S_FAILED;
        virtio_update_live(d);
    }
    d->status |= added & VIRTIO_CONFIG_S_ACKNOWLEDGE;
    if ((added & VIRTIO_CONFIG_S_DRIVER) && (d->status & VIRTIO_CONFIG_S_ACKNOWLEDGE))
        d->status |= VIRTIO_CONFIG_S_DRIVER;
    if ((added & VIRTIO_CONFIG_S_FEATURES_OK) && (d->status & VIRTIO_CONFIG_S_DRIVER) &&
        virtio_check_features(d))
        d->status |= VIRTIO_CONFIG_S_FEATURES_OK;
    if (!(added & VIRTIO_CONFIG_S_DRIVER_OK))
        return;
    if (!(d->status & VIRTIO_CONFIG_S_FEATURES_OK))
        refuse(d, "DRIVER_OK without FEATURES_OK");
    else if (!(d->status & (VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET))) {
        virtio_start(d);
        virtio_update_live(d);
    }
}

/* ---- life ---- */

static void destroy(struct virtio_device *d)
{
    for (unsigned i = 0; i < d->queue_count; i++)
        virtqueue_destroy(&d->queues[i]);
    virtio_pci_destroy(d);
    pthread_mutex_destroy(&d->lock);
    free(d->queues);
    free(d->workers);
    free(d->calls);
    free(d);
}

/* That the loop woke for it is all. */
static void heard(void *arg)
{
    (void)arg;
}

static int create_workers(struct virtio_device *d, unsigned n, struct error *err)
{
    char name[16];

    d->worker_count = d->type->threaded ? max(n, 1u) : 1;
    d->workers = xcalloc(d->worker_count, sizeof(d->workers[0]));
    d->calls = xcalloc(d->worker_count, sizeof(d->calls[0]));
    for (unsigned i = 0; i < d->worker_count; i++) {
        snprintf(name, sizeof(name), "%s %u", d->type->name, d->bus->count);
        d->workers[i] = d->type->threaded ? workers_add(d->bus->workers, name, err)
                                          : workers_loop(d->bus->workers);
        if (!d->workers[i])
            return -1;
        d->workers[i]->files = d->type->files;
        d->calls[i] = (struct worker_call){.fn = worker_is_quiet, .arg = d};
    }
    d->drain_call = (struct worker_call){.fn = drain, .arg = d};
    return 0;
}

static int create_queues(struct virtio_device *d, unsigned n, uint16_t size,
                         const struct virtio_setup *setup, struct error *err)
{
    const unsigned span = max(setup->span, 1u);

    d->queues = xcalloc(n, sizeof(d->queues[0]));
    for (; d->queue_count < n; d->queue_count++) {
        struct virtqueue *q = &d->queues[d->queue_count];
        if (virtqueue_create(q, d, d->queue_count, size, err) < 0)
            return -1;
        struct worker *w = d->workers[d->queue_count / span % d->worker_count];
        if (d->queue_count < 64 && setup->foreign >> d->queue_count & 1)
            continue;
        if (worker_add(w, &q->source, EPOLLIN | EPOLLET, err) < 0) {
            d->queue_count++;
            return -1;
        }
        q->worker = w;
    }
    return 0;
}

struct virtio_device *virtio_add(struct virtio_bus *bus, const struct virtio_device_type *type,
                                 void *state, const struct virtio_setup *setup, struct error *err)
{
    const unsigned queues = setup->queues ? setup->queues : type->queues;
    const uint16_t size = setup->queue_size ? setup->queue_size : type->queue_size;

    if (bus->count == ARRAY_SIZE(bus->devices) || !queues || queues > VIRTIO_QUEUES_MOST || !size ||
        (size & (size - 1)) || size > VIRTQUEUE_MOST || type->config_size > VIRTIO_CONFIG_MOST) {
        error_set(err, EINVAL, "build a device '%s' of %u queues of %u entries", type->name, queues,
                  size);
        return NULL;
    }
    struct virtio_device *d = xcalloc(1, sizeof(*d));
    *d = (struct virtio_device){.type = type, .state = state, .bus = bus, .memory = bus->memory};
    d->offered = type->features | setup->features | CORE_FEATURES;
    if (setup->config)
        memcpy(d->config, setup->config, type->config_size);
    pthread_mutex_init(&d->lock, NULL);
    if (create_workers(d, setup->workers, err) < 0 ||
        create_queues(d, queues, size, setup, err) < 0 || virtio_pci_create(d, err) < 0) {
        destroy(d);
        return NULL;
    }
    bus->told.fn = heard;
    bus->devices[bus->count++] = d;
    return d;
}

void virtio_remove_all(struct virtio_bus *bus)
{
    while (bus->count) {
        struct virtio_device *d = bus->devices[--bus->count];
        if (d->type->destroy)
            d->type->destroy(d);
        destroy(d);
    }
}

int virtio_interrupt_fd(const struct virtqueue *q)
{
    return virtio_pci_interrupt_fd(q);
}
