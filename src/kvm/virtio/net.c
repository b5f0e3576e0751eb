/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network device: its configuration and life, and sending. net_private.h has the theory of
 * operation. Section numbers are those of virtio 1.2.
 *
 * System calls while the guest runs: epoll_wait, epoll_ctl, eventfd's read and write, and those of
 * the port (net_tap.c, net_passt.c).
 */
#include "kvm/virtio/net.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "kvm/virtio/net_private.h"
#include "kvm/virtio/transport.h"

#define CONFIG_SIZE 12u /* 5.1.4: up to mtu, which is all that is offered */

#define FEATURES                                                                           \
    (VIRTIO_FEATURE(VIRTIO_NET_F_MTU) | VIRTIO_FEATURE(VIRTIO_NET_F_MAC) |                 \
     VIRTIO_FEATURE(VIRTIO_NET_F_MRG_RXBUF) | VIRTIO_FEATURE(VIRTIO_NET_F_STATUS) |        \
     VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VQ) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_RX) |         \
     VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VLAN) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) | \
     VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR))

/* ---- buffers ---- */

/* Move between `data` and an offset in a list of buffers. */
static size_t move(const struct iovec *iov, unsigned count, size_t offset, void *to,
                   const void *from, size_t len)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < len; i++) {
        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        uint8_t *at = (uint8_t *)iov[i].iov_base + offset;
        size_t n = min(len - done, iov[i].iov_len - offset);
        if (to)
            memcpy((uint8_t *)to + done, at, n);
        else
            memcpy(at, (const uint8_t *)from + done, n);
        offset = 0;
        done += n;
    }
    return done;
}

size_t net_peek(const struct iovec *iov, unsigned count, size_t offset, void *data, size_t len)
{
    return move(iov, count, offset, data, NULL, len);
}

size_t net_poke(const struct iovec *iov, unsigned count, size_t offset, const void *data,
                size_t len)
{
    return move(iov, count, offset, NULL, data, len);
}

/* ---- for ports ---- */

const char *net_name(const struct net *n)
{
    return n->name;
}

struct worker *net_worker(struct net *n, unsigned pair)
{
    return n->pairs[pair].worker;
}

struct virtio_device *net_device(struct net *n)
{
    return n->device;
}

bool net_has(const struct net *n, unsigned feature)
{
    return virtio_has(n->device, feature);
}

/* ---- sending ---- */

/*
 * Is it a frame that may be sent? 5.1.4.1: none that is longer than the MTU, unless it is going to
 * be segmented.
 */
static bool may_send(const struct net *n, const struct chain *c)
{
    const size_t len = chain_readable(c) - NET_HEADER;
    uint8_t gso_type = 0;

    if (len < NET_ETHERNET || len > NET_MOST)
        return false;
    if (len <= n->port->mtu + NET_ETHERNET + NET_TAGS || !net_has(n, VIRTIO_NET_F_MTU))
        return true;
    net_peek(c->in, c->in_count, offsetof(struct virtio_net_hdr, gso_type), &gso_type, 1);
    return (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_NONE;
}

static void transmit(struct net_pair *p)
{
    struct virtqueue *q = p->queues[1];
    struct net *n = p->net;
    uint64_t bytes = 0;
    struct chain c;

    if (!n->running || p->kernel)
        return;
    while (virtqueue_pop(q, &c)) {
        const size_t len = chain_readable(&c);
        if (len < NET_HEADER) {
            virtio_fail(n->device, "a frame without a header");
            break;
        }
        if (n->link && may_send(n, &c)) {
            int rc = n->port->ops->send(n->port, p->index, &c);
            if (rc == -EAGAIN) {
                virtqueue_unpop(q, &c);
                break;
            }
            if (rc == 0)
                bytes += len - NET_HEADER;
        }
        virtqueue_push(q, &c, 0);
    }
    if (bytes && n->sent)
        __atomic_fetch_add(n->sent, bytes, __ATOMIC_RELAXED);
}

void net_readable(struct net *n, unsigned pair)
{
    net_receive(&n->pairs[pair]);
    virtqueue_flush(n->pairs[pair].queues[0]);
}

void net_writable(struct net *n, unsigned pair)
{
    virtqueue_kick(n->pairs[pair].queues[1]);
}

/* 5.1.2: where the control queue is depends on whether the driver knows of pairs. */
static unsigned control_index(const struct net *n)
{
    return net_has(n, VIRTIO_NET_F_MQ) ? 2 * n->pair_count : 2;
}

static void net_handle(struct virtqueue *q)
{
    struct net *n = q->device->state;

    if (q->index == control_index(n)) {
        if (net_has(n, VIRTIO_NET_F_CTRL_VQ))
            net_control(q);
    } else if (q->index / 2 < n->pair_count) {
        if (q->index % 2)
            transmit(&n->pairs[q->index / 2]);
        else
            net_receive(&n->pairs[q->index / 2]);
    }
}

/* ---- who serves a pair ---- */

static void add_sources(struct net_pair *p)
{
    for (unsigned i = 0; i < 2; i++)
        worker_add(p->worker, &p->queues[i]->source, EPOLLIN | EPOLLET, NULL);
}

static void hand_over(struct net_pair *p, const int call[2])
{
    struct net *n = p->net;
    struct error err;

    net_receiver_release(p);
    for (unsigned i = 0; i < 2; i++) {
        virtqueue_flush(p->queues[i]);
        worker_remove(p->worker, &p->queues[i]->source);
    }
    p->kernel = true;
    memcpy(p->kernel_call, call, sizeof(p->kernel_call));
    if (n->port->ops->kernel_start(n->port, p->index, p->queues, call, &err) == 0)
        return;
    p->kernel = false;
    if (atomic_exchange(&n->kernel, false))
        log_line("%s: served by pult, not by the kernel: %s", n->name, err.text);
    add_sources(p);
}

static void take_back(struct net_pair *p)
{
    struct net *n = p->net;

    n->port->ops->kernel_stop(n->port, p->index, p->queues);
    p->kernel = false;
    add_sources(p);
}

/* Interrupts of the kernel's go through eventfds, which INTx has not. */
static bool kernel_may(const struct net_pair *p, const int call[2])
{
    const struct net *n = p->net;

    return n->kernel && n->running && n->link && p->index < n->active &&
           p->queues[0]->state == VIRTQUEUE_LIVE && p->queues[1]->state == VIRTQUEUE_LIVE &&
           call[0] >= 0 && call[1] >= 0;
}

/* On the pair's worker: who serves it now, as things are? */
static void rewire(void *arg)
{
    struct net_pair *p = arg;
    const int call[2] = {virtio_interrupt_fd(p->queues[0]), virtio_interrupt_fd(p->queues[1])};
    bool may = kernel_may(p, call);

    if (p->kernel && may && memcmp(call, p->kernel_call, sizeof(call)) == 0)
        return;
    if (p->kernel)
        take_back(p);
    if (may)
        hand_over(p, call);
    if (!p->kernel)
        for (unsigned i = 0; i < 2; i++)
            virtqueue_kick(p->queues[i]);
}

static void rewire_all(struct net *n)
{
    for (unsigned i = 0; i < n->pair_count; i++)
        worker_post(n->pairs[i].worker, &n->pairs[i].rewire_call);
}

static void net_rewired(struct virtio_device *d)
{
    struct net *n = d->state;

    if (n->port->kernel)
        rewire_all(n);
}

/* ---- configuration ---- */

void net_change_status(struct net *n, uint16_t set, uint16_t clear, bool tell)
{
    struct virtio_device *d = n->device;
    uint8_t *at = d->config + offsetof(struct virtio_net_config, status);
    uint16_t status;

    pthread_mutex_lock(&d->lock);
    memcpy(&status, at, sizeof(status));
    const uint16_t now = htole16((uint16_t)((le16toh(status) & ~clear) | set));
    if (now != status) {
        memcpy(at, &now, sizeof(now));
        d->generation++;
        if (tell && (d->status & VIRTIO_CONFIG_S_DRIVER_OK))
            virtio_pci_interrupt(d, NULL);
    }
    pthread_mutex_unlock(&d->lock);
}

void net_announce(struct net *n)
{
    pthread_mutex_lock(&n->device->lock); /* a reset may be going on */
    bool can = net_has(n, VIRTIO_NET_F_GUEST_ANNOUNCE) && net_has(n, VIRTIO_NET_F_CTRL_VQ);
    pthread_mutex_unlock(&n->device->lock);
    if (can)
        net_change_status(n, VIRTIO_NET_S_ANNOUNCE, 0, true);
}

void net_set_link(struct net *n, bool up)
{
    if (atomic_exchange(&n->link, up) == up)
        return;
    net_change_status(n, up ? VIRTIO_NET_S_LINK_UP : 0,
                      up ? 0 : VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE, true);
    if (up)
        net_announce(n);
    rewire_all(n);
}

void net_set_active(struct net *n, unsigned pairs)
{
    n->active = pairs;
    n->port->ops->set_pairs(n->port, pairs);
    rewire_all(n);
}

void net_set_offloads(struct net *n, uint64_t features)
{
    /* 5.1.3.1: segments need checksums. */
    if (!(features & VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM)))
        features = 0;
    n->offloads = features & NET_GUEST_OFFLOADS & n->port->features;
    n->port->ops->set_offloads(n->port, n->offloads);
}

/* ---- life ---- */

/* On the first worker: a driver is there, or a loaded one's settings are. The cable may have been in
 * where these were saved, and not be here. */
static void begin(void *arg)
{
    struct net *n = arg;
    bool up;

    do {
        up = n->link;
        net_change_status(n, up ? VIRTIO_NET_S_LINK_UP : 0, up ? 0 : VIRTIO_NET_S_LINK_UP, true);
    } while (up != n->link);
    if (!n->running)
        n->port->ops->begin(n->port);
    net_set_offloads(n, n->offloads);
    n->running = true;
    net_set_active(n, n->active);
}

static void net_start(struct virtio_device *d)
{
    struct net *n = d->state;

    n->offloads = d->features & NET_GUEST_OFFLOADS;
    worker_post(d->workers[0], &n->begin_call);
}

/* Nothing is ever under way, but buffers are held. */
static bool net_drain(struct virtio_device *d)
{
    struct net *n = d->state;

    for (unsigned i = 0; i < n->pair_count; i++)
        net_receiver_release(&n->pairs[i]);
    return true;
}

static void net_reset(struct virtio_device *d)
{
    struct net *n = d->state;
    const uint16_t status = htole16(n->link ? VIRTIO_NET_S_LINK_UP : 0);

    n->running = false;
    net_set_offloads(n, 0);
    n->active = 1;
    n->port->ops->set_pairs(n->port, 1);
    net_filter_reset(n);
    pthread_mutex_lock(&d->lock);
    memcpy(d->config, n->mac, sizeof(n->mac));
    memcpy(d->config + offsetof(struct virtio_net_config, status), &status, sizeof(status));
    pthread_mutex_unlock(&d->lock);
}

/* The configuration's bytes, with the address, are the core's to save. */
static void net_state(struct virtio_device *d, struct state *s)
{
    struct net *n = d->state;
    uint32_t active = n->active;
    uint64_t offloads = n->offloads;

    state_item(s, active);
    state_item(s, offloads);
    pthread_rwlock_wrlock(&n->lock);
    state_item(s, n->filter);
    if (n->filter.unicasts + n->filter.multicasts > NET_MACS)
        n->filter.unicasts = n->filter.multicasts = 0;
    pthread_rwlock_unlock(&n->lock);
    if (!s->loading)
        return;
    if (active < 1 || active > n->pair_count)
        state_refuse(s, "'%s' uses %u pairs of queues in the saved state", n->name, active);
    else
        n->active = active;
    n->offloads = offloads & d->features & NET_GUEST_OFFLOADS;
    if (d->active)
        worker_post(d->workers[0], &n->begin_call);
}

static void free_net(struct net *n)
{
    for (unsigned i = 0; n->pairs && i < n->pair_count; i++)
        net_receiver_destroy(&n->pairs[i].receiver);
    pthread_rwlock_destroy(&n->lock);
    free(n->pairs);
    free(n->name);
    free(n);
}

static void net_destroy(struct virtio_device *d)
{
    struct net *n = d->state;

    for (unsigned i = 0; i < n->pair_count; i++)
        if (n->pairs[i].kernel)
            n->port->ops->kernel_stop(n->port, i, n->pairs[i].queues);
    n->port->ops->close(n->port);
    free_net(n);
}

static const struct virtio_device_type virtio_net = {
    .name = "net",
    .id = VIRTIO_ID_NET,
    .class_code = 0x020000, /* Ethernet */
    .queues = 3,
    .queue_size = NET_QUEUE,
    .features = FEATURES,
    .config_size = CONFIG_SIZE,
    .threaded = true,
    .handle = net_handle,
    .start = net_start,
    .drain = net_drain,
    .reset = net_reset,
    .state = net_state,
    .rewired = net_rewired,
    .destroy = net_destroy,
};

static void init_pair(struct net *n, unsigned i)
{
    struct net_pair *p = &n->pairs[i];

    p->net = n;
    p->index = i;
    p->queues[0] = &n->device->queues[2 * i];
    p->queues[1] = &n->device->queues[2 * i + 1];
    p->worker = n->device->workers[i % n->device->worker_count];
    p->rewire_call = (struct worker_call){.fn = rewire, .arg = p};
    net_receiver_init(&p->receiver);
}

struct virtio_device *net_add(struct virtio_bus *bus, const struct net_config *config,
                              struct error *err)
{
    struct net_port *port = config->port;
    const struct virtio_net_config bytes = {
        .status = htole16(port->down ? 0 : VIRTIO_NET_S_LINK_UP),
        .max_virtqueue_pairs = htole16((uint16_t)port->pairs),
        .mtu = htole16((uint16_t)port->mtu),
    };
    struct virtio_setup setup = {
        .queues = 2 * port->pairs + 1,
        .workers = port->pairs,
        .span = 2,
        .features = port->features & NET_OFFLOADS,
        .config = &bytes,
    };
    struct net *n = xcalloc(1, sizeof(*n));

    if (port->features & NET_GUEST_OFFLOADS)
        setup.features |= VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
    if (port->pairs > 1)
        setup.features |= VIRTIO_FEATURE(VIRTIO_NET_F_MQ);
    n->name = xstrdup(config->name);
    memcpy(n->mac, config->mac, sizeof(n->mac));
    n->port = port;
    n->received = config->received;
    n->sent = config->sent;
    n->active = 1;
    n->link = !port->down;
    n->kernel = port->kernel;
    n->pair_count = port->pairs;
    n->begin_call = (struct worker_call){.fn = begin, .arg = n};
    pthread_rwlock_init(&n->lock, NULL);
    net_filter_reset(n);
    n->device = virtio_add(bus, &virtio_net, n, &setup, err);
    if (!n->device) {
        free_net(n);
        return NULL;
    }
    memcpy(n->device->config, n->mac, sizeof(n->mac));
    n->pairs = xcalloc(n->pair_count, sizeof(n->pairs[0]));
    for (unsigned i = 0; i < n->pair_count; i++)
        init_pair(n, i);
    port->net = n;
    port->ops->set_pairs(port, 1);
    /* From here on the bus has it, also where this fails: then its machine is not started. */
    return port->ops->attach(port, err) < 0 ? NULL : n->device;
}
