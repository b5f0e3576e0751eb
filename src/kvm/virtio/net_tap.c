/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tap as a port, see net_tap.h. Pair i of the device is queue i of the tap. A frame and its header
 * go between guest memory and the kernel in one readv or writev; the header's meaning is the same on
 * both sides.
 *
 * System calls while the guest runs: readv, writev, epoll_ctl, ioctl on the tap (TUNSETOFFLOAD,
 * TUNSETQUEUE) and on vhost-net (VHOST_SET_…, VHOST_GET_VRING_BASE, VHOST_NET_SET_BACKEND).
 */
#include "kvm/virtio/net_tap.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "kvm/virtio/vhost.h"

#define STALE_FRAMES 4096u /* more than a tap's queue holds */

/* What vhost-net is told of the features: the rest is between the driver and the tap. */
#define RING_FEATURES                                                                   \
    (VIRTIO_FEATURE(VIRTIO_F_VERSION_1) | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) | \
     VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) | VIRTIO_FEATURE(VIRTIO_NET_F_MRG_RXBUF))

struct tap_pair {
    struct tap_port *tap;
    unsigned index;
    struct worker_source source;        /* the tap's queue */
    int vhost;                          /* -1: not used */
    struct worker_source broken_source; /* an eventfd of vhost's */
};

struct tap_port {
    struct net_port port;
    struct tap tap;
    struct tap_pair pairs[NET_PAIRS];
};

static const struct {
    unsigned feature, offload;
} offloads[] = {
    {VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM}, {VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4},
    {VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6}, {VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN},
    {VIRTIO_NET_F_GUEST_UFO, TUN_F_UFO},
};

static struct tap_port *tap_of(struct net_port *p)
{
    return (struct tap_port *)p;
}

/* ---- frames ---- */

static ssize_t tap_receive(struct net_port *p, unsigned pair, const struct iovec *iov,
                           unsigned count)
{
    struct tap_port *t = tap_of(p);
    ssize_t n = readv(t->tap.fd[pair], iov, (int)count);

    if (n >= 0)
        return n;
    const int why = errno;
    if (why == EBADFD) { /* the interface was removed */
        log_once("%s: the interface '%s' is gone", net_name(p->net), t->tap.name);
        net_set_link(p->net, false);
    }
    return -why;
}

/* What the tap is watched for: to be writable only after it was not, which it hardly ever is. */
static void watch(struct tap_pair *pair, bool writable)
{
    worker_modify(net_worker(pair->tap->port.net, pair->index), &pair->source,
                  EPOLLIN | EPOLLET | (writable ? EPOLLOUT : 0u));
}

static int tap_send(struct net_port *p, unsigned pair, struct chain *c)
{
    struct tap_port *t = tap_of(p);

    if (writev(t->tap.fd[pair], c->in, (int)c->in_count) >= 0)
        return 0;
    const int why = errno;
    if (why == EAGAIN)
        watch(&t->pairs[pair], true);
    return -why;
}

static void on_frames(void *arg, uint32_t events)
{
    struct tap_pair *pair = arg;

    if (events & EPOLLOUT) {
        watch(pair, false);
        net_writable(pair->tap->port.net, pair->index);
    }
    net_readable(pair->tap->port.net, pair->index);
}

/* ---- settings ---- */

/* Frames that came while no driver was there. */
static void tap_begin(struct net_port *p)
{
    struct tap_port *t = tap_of(p);
    char head[64]; /* the rest of a frame is lost */

    for (unsigned i = 0; i < t->tap.queues; i++)
        for (unsigned n = 0; n < STALE_FRAMES; n++)
            if (read(t->tap.fd[i], head, sizeof(head)) < 0)
                break;
}

static void tap_offloads(struct net_port *p, uint64_t features)
{
    struct tap_port *t = tap_of(p);
    unsigned wanted = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(offloads); i++)
        if (features >> offloads[i].feature & 1)
            wanted |= offloads[i].offload;
    if (tap_set_offloads(&t->tap, wanted) < 0)
        log_once("%s: the offloads of '%s' cannot be set: errno %d", net_name(p->net), t->tap.name,
                 errno);
}

static void tap_pairs(struct net_port *p, unsigned pairs)
{
    tap_use_queues(&tap_of(p)->tap, pairs);
}

/* ---- vhost-net ---- */

static int set_backend(const struct tap_pair *pair, unsigned ring, int fd)
{
    struct vhost_vring_file file = {.index = ring, .fd = fd};

    return ioctl(pair->vhost, VHOST_NET_SET_BACKEND, &file);
}

static void take_rings(struct tap_pair *pair, struct virtqueue *const queues[2], unsigned rings)
{
    for (unsigned i = 0; i < rings; i++) {
        set_backend(pair, i, VHOST_FILE_UNBIND);
        vhost_take_back(pair->vhost, i, queues[i]);
    }
}

/* Ring 0 of vhost-net receives, ring 1 sends, as a pair's queues do. */
static int tap_kernel_start(struct net_port *p, unsigned i, struct virtqueue *const queues[2],
                            const int call[2], struct error *err)
{
    struct tap_port *t = tap_of(p);
    struct tap_pair *pair = &t->pairs[i];
    unsigned rings = 0;

    worker_remove(net_worker(p->net, i), &pair->source);
    if (vhost_set_features(pair->vhost, net_device(p->net)->features & RING_FEATURES, err) < 0)
        goto failed;
    for (; rings < 2; rings++) {
        if (vhost_give(pair->vhost, rings, queues[rings], call[rings], pair->broken_source.fd,
                       err) < 0)
            goto failed;
        if (set_backend(pair, rings, t->tap.fd[i]) < 0) {
            error_set(err, errno, "give '%s' to the kernel (vhost)", t->tap.name);
            goto failed;
        }
    }
    return 0;
failed:
    take_rings(pair, queues, rings);
    worker_add(net_worker(p->net, i), &pair->source, EPOLLIN | EPOLLET, NULL);
    return -1;
}

static void tap_kernel_stop(struct net_port *p, unsigned i, struct virtqueue *const queues[2])
{
    struct tap_pair *pair = &tap_of(p)->pairs[i];

    take_rings(pair, queues, 2);
    worker_add(net_worker(p->net, i), &pair->source, EPOLLIN | EPOLLET, NULL);
}

static void on_broken(void *arg, uint32_t events)
{
    struct tap_pair *pair = arg;
    eventfd_t count;

    (void)events;
    eventfd_read(pair->broken_source.fd, &count);
    virtio_fail(net_device(pair->tap->port.net), "vhost-net found its queues broken");
}

static int open_vhost(struct tap_port *t, const struct memory *memory, struct error *err)
{
    for (unsigned i = 0; i < t->port.pairs; i++) {
        struct tap_pair *pair = &t->pairs[i];
        pair->vhost = vhost_open(NET_VHOST_PATH, memory, RING_FEATURES, err);
        if (pair->vhost < 0)
            return -1;
        pair->broken_source.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (pair->broken_source.fd < 0)
            return error_set(err, errno, "create an eventfd for vhost-net");
    }
    t->port.kernel = true;
    return 0;
}

static void close_vhost(struct tap_port *t)
{
    for (unsigned i = 0; i < t->port.pairs; i++) {
        struct tap_pair *pair = &t->pairs[i];
        if (pair->vhost >= 0)
            close(pair->vhost);
        if (pair->broken_source.fd >= 0)
            close(pair->broken_source.fd);
        pair->vhost = pair->broken_source.fd = -1;
    }
}

/* ---- life ---- */

static int tap_attach(struct net_port *p, struct error *err)
{
    struct tap_port *t = tap_of(p);

    for (unsigned i = 0; i < p->pairs; i++) {
        struct tap_pair *pair = &t->pairs[i];
        struct worker *w = net_worker(p->net, i);
        if (worker_add(w, &pair->source, EPOLLIN | EPOLLET, err) < 0 ||
            (pair->broken_source.fd >= 0 && worker_add(w, &pair->broken_source, EPOLLIN, err) < 0))
            return -1;
    }
    return 0;
}

static void tap_port_close(struct net_port *p)
{
    struct tap_port *t = tap_of(p);

    for (unsigned i = 0; p->net && i < p->pairs; i++) {
        worker_remove(net_worker(p->net, i), &t->pairs[i].source);
        if (t->pairs[i].broken_source.fd >= 0)
            worker_remove(net_worker(p->net, i), &t->pairs[i].broken_source);
    }
    close_vhost(t);
    tap_close(&t->tap);
    free(t);
}

static const struct net_port_ops tap_ops = {
    .attach = tap_attach,
    .begin = tap_begin,
    .set_offloads = tap_offloads,
    .set_pairs = tap_pairs,
    .receive = tap_receive,
    .send = tap_send,
    .close = tap_port_close,
    .kernel_start = tap_kernel_start,
    .kernel_stop = tap_kernel_stop,
};

static void init_pair(struct tap_port *t, unsigned i)
{
    struct tap_pair *pair = &t->pairs[i];

    *pair = (struct tap_pair){
        .tap = t,
        .index = i,
        .source = {.fd = t->tap.fd[i], .ready = on_frames, .arg = pair},
        .vhost = -1,
        .broken_source = {.fd = -1, .ready = on_broken, .arg = pair},
    };
}

struct net_port *net_tap(struct tap *tap, const struct memory *memory, enum card_vhost vhost,
                         struct error *err)
{
    struct tap_port *t = xcalloc(1, sizeof(*t));

    t->tap = *tap;
    t->port = (struct net_port){
        .ops = &tap_ops,
        .features = NET_OFFLOADS,
        .pairs = tap->queues,
        .mtu = min(max(tap->mtu, NET_MTU_MIN), NET_MTU_MOST),
    };
    if (!(tap->offloads & TUN_F_UFO))
        t->port.features &=
            ~(VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_UFO) | VIRTIO_FEATURE(VIRTIO_NET_F_HOST_UFO));
    for (unsigned i = 0; i < tap->queues; i++)
        init_pair(t, i);
    if (vhost != CARD_VHOST_OFF && open_vhost(t, memory, err) < 0) {
        close_vhost(t);
        if (vhost == CARD_VHOST_ON) {
            free(t);
            return NULL;
        }
    }
    return &t->port;
}
