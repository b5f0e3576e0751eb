/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio over PCI (virtio 1.2, 4.1), modern devices only. One 64-bit BAR has it all:
 *
 *     0x0000  common configuration (4.1.4.3)      0x2000  device configuration (4.1.4.6)
 *     0x1000  ISR status (4.1.4.5)                0x3000  notifications (4.1.4.4), 4 bytes a queue
 *
 * and MSI-X is another's, pci/msix.h. While a queue is live KVM listens at its notification
 * address (ioeventfd), and a kick does not come here; one that does is as good.
 */
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "kvm/virtio/transport.h"

#define VENDOR       0x1af4
#define DEVICE_FIRST 0x1040 /* 4.1.2.1: plus the device type's id */
#define REVISION     1

#define REGISTERS_BAR 0
#define COMMON        0x0000u
#define COMMON_SIZE   0x38u
#define ISR           0x1000u
#define DEVICE        0x2000u
#define NOTIFY        0x3000u
#define NOTIFY_STEP   4u
#define BAR_SIZE      0x4000u

enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };

struct virtio_transport {
    struct virtio_device *device;
    struct pci_function function;
    uint32_t device_feature_select, driver_feature_select;
    uint16_t queue_select;
    _Atomic uint16_t config_vector;
    unsigned access; /* where in config space the PCI configuration access capability is */

    pthread_mutex_t isr_lock;
    uint8_t isr;
};

/* ---- common configuration ---- */

/* The width of the field that begins at an offset; what has none is no access (4.1.3.1). */
static const uint8_t widths[COMMON_SIZE] = {
    [VIRTIO_PCI_COMMON_DFSELECT] = 4,  [VIRTIO_PCI_COMMON_DF] = 4,
    [VIRTIO_PCI_COMMON_GFSELECT] = 4,  [VIRTIO_PCI_COMMON_GF] = 4,
    [VIRTIO_PCI_COMMON_MSIX] = 2,      [VIRTIO_PCI_COMMON_NUMQ] = 2,
    [VIRTIO_PCI_COMMON_STATUS] = 1,    [VIRTIO_PCI_COMMON_CFGGENERATION] = 1,
    [VIRTIO_PCI_COMMON_Q_SELECT] = 2,  [VIRTIO_PCI_COMMON_Q_SIZE] = 2,
    [VIRTIO_PCI_COMMON_Q_MSIX] = 2,    [VIRTIO_PCI_COMMON_Q_ENABLE] = 2,
    [VIRTIO_PCI_COMMON_Q_NOFF] = 2,    [VIRTIO_PCI_COMMON_Q_DESCLO] = 4,
    [VIRTIO_PCI_COMMON_Q_DESCHI] = 4,  [VIRTIO_PCI_COMMON_Q_AVAILLO] = 4,
    [VIRTIO_PCI_COMMON_Q_AVAILHI] = 4, [VIRTIO_PCI_COMMON_Q_USEDLO] = 4,
    [VIRTIO_PCI_COMMON_Q_USEDHI] = 4,
};

static struct virtqueue *selected(const struct virtio_transport *t)
{
    return t->queue_select < t->device->queue_count ? &t->device->queues[t->queue_select] : NULL;
}

static uint32_t half(uint64_t value, unsigned which)
{
    return which > 1 ? 0 : (uint32_t)(value >> 32 * which);
}

/* Fields of the selected queue; one that is not there reads as zeroes (4.1.4.3.1). */
static uint64_t read_queue(const struct virtio_transport *t, unsigned offset)
{
    const struct virtqueue *q = selected(t);

    if (!q)
        return 0;
    switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        return q->size;
    case VIRTIO_PCI_COMMON_Q_MSIX:
        return q->vector;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        return q->enabled;
    case VIRTIO_PCI_COMMON_Q_NOFF:
        return q->index;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
    case VIRTIO_PCI_COMMON_Q_DESCHI:
        return half(q->desc_at, offset != VIRTIO_PCI_COMMON_Q_DESCLO);
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
        return half(q->avail_at, offset != VIRTIO_PCI_COMMON_Q_AVAILLO);
    case VIRTIO_PCI_COMMON_Q_USEDLO:
    case VIRTIO_PCI_COMMON_Q_USEDHI:
        return half(q->used_at, offset != VIRTIO_PCI_COMMON_Q_USEDLO);
    }
    return 0;
}

static uint64_t read_common(const struct virtio_transport *t, unsigned offset)
{
    const struct virtio_device *d = t->device;

    switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        return t->device_feature_select;
    case VIRTIO_PCI_COMMON_DF:
        return half(d->offered, t->device_feature_select);
    case VIRTIO_PCI_COMMON_GFSELECT:
        return t->driver_feature_select;
    case VIRTIO_PCI_COMMON_GF:
        return half(d->features, t->driver_feature_select);
    case VIRTIO_PCI_COMMON_MSIX:
        return t->config_vector;
    case VIRTIO_PCI_COMMON_NUMQ:
        return d->queue_count;
    case VIRTIO_PCI_COMMON_STATUS:
        return d->status;
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        return d->generation;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        return t->queue_select;
    }
    return read_queue(t, offset);
}

static void set_half(uint64_t *address, unsigned which, uint64_t value)
{
    *address &= ~((uint64_t)UINT32_MAX << 32 * which);
    *address |= value << 32 * which;
}

static uint16_t checked_vector(const struct virtio_transport *t, uint64_t value)
{
    return value < t->function.msix.count ? (uint16_t)value : VIRTIO_NO_VECTOR;
}

static void write_queue(struct virtio_transport *t, unsigned offset, uint64_t value)
{
    struct virtqueue *q = selected(t);

    if (!q)
        return;
    if (offset == VIRTIO_PCI_COMMON_Q_MSIX) {
        q->vector = checked_vector(t, value);
        virtio_rewired(t->device);
        return;
    }
    if (!virtio_may_set_up(t->device, q))
        return;
    switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
        virtio_write_queue_size(q, (uint16_t)value);
        break;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        if (value == 1)
            virtio_enable_queue(q);
        break;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
    case VIRTIO_PCI_COMMON_Q_DESCHI:
        set_half(&q->desc_at, offset != VIRTIO_PCI_COMMON_Q_DESCLO, value);
        break;
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
    case VIRTIO_PCI_COMMON_Q_AVAILHI:
        set_half(&q->avail_at, offset != VIRTIO_PCI_COMMON_Q_AVAILLO, value);
        break;
    case VIRTIO_PCI_COMMON_Q_USEDLO:
    case VIRTIO_PCI_COMMON_Q_USEDHI:
        set_half(&q->used_at, offset != VIRTIO_PCI_COMMON_Q_USEDLO, value);
        break;
    }
}

static void write_common(struct virtio_transport *t, unsigned offset, uint64_t value)
{
    struct virtio_device *d = t->device;

    switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        t->device_feature_select = (uint32_t)value;
        break;
    case VIRTIO_PCI_COMMON_GFSELECT:
        t->driver_feature_select = (uint32_t)value;
        break;
    case VIRTIO_PCI_COMMON_GF:
        virtio_write_features(d, t->driver_feature_select, (uint32_t)value);
        break;
    case VIRTIO_PCI_COMMON_MSIX:
        t->config_vector = checked_vector(t, value);
        break;
    case VIRTIO_PCI_COMMON_STATUS:
        virtio_write_status(d, (uint8_t)value);
        break;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        t->queue_select = (uint16_t)value;
        break;
    default:
        write_queue(t, offset, value);
    }
}

/* ---- the BAR ---- */

/* Reading the ISR status clears it and lowers the line (4.1.4.5.1). */
static uint64_t take_isr(struct virtio_transport *t)
{
    pthread_mutex_lock(&t->isr_lock);
    uint8_t isr = t->isr;
    t->isr = 0;
    if (isr)
        pci_intx(&t->function, false);
    pthread_mutex_unlock(&t->isr_lock);
    return isr;
}

static uint64_t bar_read(void *dev, uint64_t offset, unsigned size)
{
    struct virtio_transport *t = dev;
    struct virtio_device *d = t->device;
    uint64_t value = 0;

    if (offset == ISR)
        return take_isr(t);
    pthread_mutex_lock(&d->lock);
    if (offset < COMMON_SIZE && widths[offset] == size)
        value = read_common(t, (unsigned)offset);
    else if (offset >= DEVICE && offset < DEVICE + d->type->config_size)
        memcpy(&value, d->config + (offset - DEVICE),
               min((uint64_t)size, DEVICE + d->type->config_size - offset));
    pthread_mutex_unlock(&d->lock);
    return value;
}

/* The configuration is the driver's to write where the device says so, when it has begun (2.5). */
static void write_config(struct virtio_device *d, unsigned offset, unsigned size, uint64_t value)
{
    const struct virtio_device_type *type = d->type;

    if (!type->config_written || size > type->config_size - offset || d->resetting)
        return;
    memcpy(d->config + offset, &value, size);
    type->config_written(d, offset, size);
}

static void bar_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct virtio_transport *t = dev;
    struct virtio_device *d = t->device;

    if (offset >= NOTIFY) {
        uint64_t i = (offset - NOTIFY) / NOTIFY_STEP;
        if (i < d->queue_count && d->queues[i].state == VIRTQUEUE_LIVE)
            virtqueue_kick(&d->queues[i]);
        return;
    }
    pthread_mutex_lock(&d->lock);
    if (offset < COMMON_SIZE && widths[offset] == size)
        write_common(t, (unsigned)offset, value);
    else if (offset >= DEVICE && offset < DEVICE + d->type->config_size)
        write_config(d, (unsigned)(offset - DEVICE), size, value);
    pthread_mutex_unlock(&d->lock);
}

static const struct bus_ops bar_ops = {"virtio", 4, bar_read, bar_write};

/* ---- access through config space (4.1.4.9) ---- */

/* Where the capability points to. False: nowhere that can be accessed. */
static bool access_target(const struct virtio_transport *t, uint8_t *bar, uint32_t *offset,
                          uint32_t *length)
{
    struct virtio_pci_cap cap;

    memcpy(&cap, t->function.config + t->access, sizeof(cap));
    *bar = cap.bar;
    *offset = cap.offset;
    *length = cap.length;
    return (cap.length == 1 || cap.length == 2 || cap.length == 4) && cap.offset % cap.length == 0;
}

static unsigned access_data(const struct virtio_transport *t)
{
    return t->access + (unsigned)offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
}

static bool touches_data(const struct virtio_transport *t, unsigned offset, unsigned size)
{
    return offset < access_data(t) + 4 && offset + size > access_data(t);
}

/* The data is fetched into the capability's bytes, and read from there. */
static bool config_read(void *dev, unsigned offset, unsigned size, uint32_t *value)
{
    struct virtio_transport *t = dev;
    uint32_t at, length;
    uint64_t data;
    uint8_t bar;

    (void)value;
    if (touches_data(t, offset, size) && access_target(t, &bar, &at, &length) &&
        pci_bar_read(&t->function, bar, at, length, &data))
        memcpy(t->function.config + access_data(t), &data, length);
    return false;
}

static void config_written(void *dev, unsigned offset, unsigned size)
{
    struct virtio_transport *t = dev;
    uint32_t at, length;
    uint64_t data = 0;
    uint8_t bar;

    virtio_rewired(t->device); /* MSI-X may have been switched */
    if (!touches_data(t, offset, size) || !access_target(t, &bar, &at, &length))
        return;
    memcpy(&data, t->function.config + access_data(t), length);
    pci_bar_write(&t->function, bar, at, length, data);
}

/* ---- for device.c ---- */

bool virtio_pci_is_master(const struct virtio_device *d)
{
    return d->transport->function.bus_master;
}

/* A BAR moved, or the function may signal and read memory now, or no more. */
static void moved(void *dev)
{
    struct virtio_device *d = ((struct virtio_transport *)dev)->device;

    pthread_mutex_lock(&d->lock);
    virtio_update_live(d);
    pthread_mutex_unlock(&d->lock);
}

void virtio_pci_listen(struct virtio_device *d)
{
    const struct pci_function *f = &d->transport->function;
    const struct pci *p = f->pci;
    const uint64_t base = pci_bar_at(f, REGISTERS_BAR);

    for (unsigned i = 0; i < d->queue_count; i++) {
        struct virtqueue *q = &d->queues[i];
        bool listen = q->state == VIRTQUEUE_LIVE && base != PCI_NOWHERE;
        uint64_t at = listen ? base + NOTIFY + NOTIFY_STEP * i : PCI_NOWHERE;
        if (at == q->kick_at)
            continue;
        if (q->kick_at != PCI_NOWHERE)
            p->wires->kick_detach(p->wires_arg, q->kick_at, q->kick_fd);
        q->kick_at = at;
        /* Where KVM has no room for it, kicks come by exits. */
        if (at != PCI_NOWHERE && p->wires->kick_attach(p->wires_arg, at, q->kick_fd) < 0)
            q->kick_at = PCI_NOWHERE;
    }
}

void virtio_pci_reset(struct virtio_device *d)
{
    struct virtio_transport *t = d->transport;

    t->device_feature_select = t->driver_feature_select = 0;
    t->queue_select = 0;
    t->config_vector = VIRTIO_NO_VECTOR;
    take_isr(t);
}

void virtio_pci_state(struct virtio_device *d, struct state *s)
{
    struct virtio_transport *t = d->transport;
    uint16_t vector = t->config_vector;

    state_item(s, t->device_feature_select);
    state_item(s, t->driver_feature_select);
    state_item(s, t->queue_select);
    state_item(s, vector);
    state_item(s, t->isr);
    t->config_vector = checked_vector(t, vector);
    for (unsigned i = 0; i < d->queue_count; i++) {
        vector = d->queues[i].vector;
        state_item(s, vector);
        d->queues[i].vector = checked_vector(t, vector);
    }
    if (s->loading)
        pci_intx(&t->function, t->isr != 0);
}

void virtio_pci_interrupt(struct virtio_device *d, const struct virtqueue *q)
{
    struct virtio_transport *t = d->transport;

    if (t->function.msix.enabled) {
        msix_signal(&t->function.msix, q ? q->vector : t->config_vector);
        return;
    }
    pthread_mutex_lock(&t->isr_lock);
    t->isr |= q ? ISR_QUEUE : ISR_CONFIG;
    pci_intx(&t->function, true);
    pthread_mutex_unlock(&t->isr_lock);
}

int virtio_pci_interrupt_fd(const struct virtqueue *q)
{
    const struct msix *m = &q->device->transport->function.msix;

    return m->enabled ? msix_fd(m, q->vector) : -1;
}

/* ---- life ---- */

static void add_capability(struct pci_function *f, uint8_t type, uint32_t offset, uint32_t length)
{
    const struct virtio_pci_cap cap = {.cap_len = sizeof(cap),
                                       .cfg_type = type,
                                       .bar = REGISTERS_BAR,
                                       .offset = offset,
                                       .length = length};

    pci_add_capability(f, PCI_CAP_ID_VNDR, &cap, NULL, sizeof(cap));
}

/* In the order of 4.1.4's table: the first of a kind is the one to be used. */
static void add_capabilities(struct virtio_transport *t)
{
    const struct virtio_device *d = t->device;
    struct pci_function *f = &t->function;
    const struct virtio_pci_notify_cap notify = {
        .cap = {.cap_len = sizeof(notify),
                .cfg_type = VIRTIO_PCI_CAP_NOTIFY_CFG,
                .bar = REGISTERS_BAR,
                .offset = NOTIFY,
                .length = NOTIFY_STEP * d->queue_count},
        .notify_off_multiplier = NOTIFY_STEP,
    };
    const struct virtio_pci_cfg_cap access = {
        .cap = {.cap_len = sizeof(access), .cfg_type = VIRTIO_PCI_CAP_PCI_CFG}};
    const struct virtio_pci_cfg_cap writable = {
        .cap = {.bar = 0xff, .offset = UINT32_MAX, .length = UINT32_MAX},
        .pci_cfg_data = {0xff, 0xff, 0xff, 0xff},
    };

    add_capability(f, VIRTIO_PCI_CAP_COMMON_CFG, COMMON, COMMON_SIZE);
    pci_add_capability(f, PCI_CAP_ID_VNDR, &notify, NULL, sizeof(notify));
    add_capability(f, VIRTIO_PCI_CAP_ISR_CFG, ISR, 1);
    if (d->type->config_size)
        add_capability(f, VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE, d->type->config_size);
    t->access = pci_add_capability(f, PCI_CAP_ID_VNDR, &access, &writable, sizeof(access));
}

int virtio_pci_create(struct virtio_device *d, struct error *err)
{
    const uint16_t id = (uint16_t)(DEVICE_FIRST + d->type->id);
    const struct pci_type type = {
        .name = d->type->name,
        .vendor = VENDOR,
        .device = id,
        .subsystem_vendor = VENDOR,
        .subsystem = id,
        .revision = REVISION,
        .class_code = d->type->class_code,
        .intx = true,
        .vectors = min(d->queue_count + 1, MSIX_VECTORS),
        .bars = {[REGISTERS_BAR] = {.size = BAR_SIZE, .wide = true, .ops = &bar_ops}},
        .config_read = config_read,
        .config_written = config_written,
        .moved = moved,
    };
    struct virtio_transport *t = xcalloc(1, sizeof(*t));

    t->device = d;
    t->config_vector = VIRTIO_NO_VECTOR;
    pthread_mutex_init(&t->isr_lock, NULL);
    d->transport = t;
    if (pci_add(d->bus->pci, &t->function, &type, t, err) < 0) {
        t->function.pci = NULL;
        return -1;
    }
    add_capabilities(t);
    return 0;
}

void virtio_pci_destroy(struct virtio_device *d)
{
    struct virtio_transport *t = d->transport;

    if (!t)
        return;
    pci_remove(&t->function);
    pthread_mutex_destroy(&t->isr_lock);
    free(t);
}
