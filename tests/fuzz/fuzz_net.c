/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network device under a driver that does wrong, with a port that brings frames of all sizes,
 * does not always take what is sent, loses its link, and now and then has its queues served by
 * "the kernel".
 *
 * The port checks what is handed to it: all bytes of a frame can be read, and there is room for the
 * longest one to receive. Frames for the guest go into buffers that it may write, and nowhere else:
 * guest memory is heap blocks, and the rest is what fuzz/virtio.h checks.
 */
#include "fuzz/virtio.h"

#include <errno.h>
#include <linux/virtio_net.h>

#include "kvm/virtio/net.h"

#define PAIRS 2

static struct feed *now;

static struct fuzz_port {
    struct net_port port;
    size_t waiting[PAIRS]; /* the length of the frame that is next to receive; 0: none */
    unsigned more[PAIRS];  /* how many come after it */
    bool full;             /* nothing can be sent */
    bool served[PAIRS];    /* by the kernel */
} port[1];

static struct net *net;
static uint64_t received, sent;

static struct fuzz_port *port_of(struct net_port *p)
{
    return (struct fuzz_port *)p;
}

static int port_attach(struct net_port *p, struct error *err)
{
    (void)err;
    net = p->net;
    return 0;
}

static void port_begin(struct net_port *p)
{
    memset(port_of(p)->waiting, 0, sizeof(port_of(p)->waiting));
}

static void port_offloads(struct net_port *p, uint64_t features)
{
    must(!(features & ~(p->features & NET_GUEST_OFFLOADS)));
    must(features == 0 || features & VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM));
}

static void port_pairs(struct net_port *p, unsigned pairs)
{
    must(pairs >= 1 && pairs <= p->pairs);
}

/* A frame: to everybody, to the guest, to a group, to somebody else, with a VLAN's tag or without. */
static void make_frame(uint8_t *f, size_t len)
{
    static const uint8_t to[][6] = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                                    {2, 0, 0, 0, 0, 1},
                                    {1, 0, 0x5e, 0, 0, 1},
                                    {2, 0, 0, 0, 0, 2}};

    memset(f, 0xab, len);
    memset(f, 0, NET_HEADER);
    if (len < NET_HEADER + 18)
        return;
    memcpy(f + NET_HEADER, now ? feed_pick(now, to) : to[0], 6);
    if (now && feed_rarely(now, 4))
        memcpy(f + NET_HEADER + 12, (uint8_t[]){0x81, 0, 0, 5}, 4);
}

static ssize_t port_receive(struct net_port *p, unsigned pair, const struct iovec *iov,
                            unsigned count)
{
    struct fuzz_port *t = port_of(p);
    static uint8_t frame[NET_HEADER + NET_MOST];
    size_t room = 0, len = t->waiting[pair];

    must(pair < p->pairs && !t->served[pair]);
    for (unsigned i = 0; i < count; i++)
        room += iov[i].iov_len;
    must(count <= 1024 && room >= NET_HEADER + NET_MOST); /* IOV_MAX */
    if (!len)
        return -EAGAIN;
    if (!t->more[pair] || !t->more[pair]--)
        t->waiting[pair] = 0;
    make_frame(frame, len);
    must(net_poke(iov, count, 0, frame, len) == len);
    return (ssize_t)len;
}

static int port_send(struct net_port *p, unsigned pair, struct chain *c)
{
    struct fuzz_port *t = port_of(p);
    static uint8_t frame[NET_HEADER + NET_MOST];
    const size_t len = chain_readable(c);

    must(pair < p->pairs && !t->served[pair]);
    must(len >= NET_HEADER + NET_ETHERNET && len <= sizeof(frame) && c->in_count <= 1024);
    if (t->full)
        return -EAGAIN;
    must(net_peek(c->in, c->in_count, 0, frame, len) == len);
    return now && feed_rarely(now, 8) ? -EINVAL : 0;
}

static void port_close(struct net_port *p)
{
    (void)p;
    net = NULL;
}

static int port_kernel_start(struct net_port *p, unsigned pair, struct virtqueue *const queues[2],
                             const int call[2], struct error *err)
{
    struct fuzz_port *t = port_of(p);

    must(!t->served[pair] && call[0] >= 0 && call[1] >= 0);
    for (unsigned i = 0; i < 2; i++)
        must(queues[i]->outstanding == 0 && queues[i]->state == VIRTQUEUE_LIVE);
    if (now && feed_rarely(now, 8))
        return error_set(err, 0, "it would rather not");
    t->served[pair] = true;
    return 0;
}

static void port_kernel_stop(struct net_port *p, unsigned pair, struct virtqueue *const queues[2])
{
    struct fuzz_port *t = port_of(p);

    must(t->served[pair]);
    t->served[pair] = false;
    for (unsigned i = 0; i < 2; i++)
        virtqueue_take_back(queues[i], queues[i]->next_avail);
}

static const struct net_port_ops ops = {
    .attach = port_attach,
    .begin = port_begin,
    .set_offloads = port_offloads,
    .set_pairs = port_pairs,
    .receive = port_receive,
    .send = port_send,
    .close = port_close,
    .kernel_start = port_kernel_start,
    .kernel_stop = port_kernel_stop,
};

static int add(struct board *b, unsigned pairs, bool kernel)
{
    struct net_config config = {.port = &port->port,
                                .name = "network 0",
                                .mac = {2, 0, 0, 0, 0, 1},
                                .received = &received,
                                .sent = &sent};

    now = NULL;
    *port = (struct fuzz_port){
        .port = {
            .ops = &ops, .features = NET_OFFLOADS, .pairs = pairs, .mtu = 1500, .kernel = kernel}};
    return net_add(&b->virtio, &config, NULL) ? 0 : -1;
}

static int add_one(struct board *b)
{
    return add(b, 1, false);
}

static int add_two(struct board *b)
{
    return add(b, PAIRS, true);
}

/* ---- what happens, and what is asked ---- */

/* A frame comes, or some; what could not be sent can; the cable; all comes to rest and goes on. */
static void event(struct feed *f, struct board *b)
{
    static const uint32_t lengths[] = {26, 60, 72, 1526, 9000, 65000, NET_HEADER + NET_MOST, 13, 3};
    struct fuzz_port *t = port;
    unsigned pair = feed_below(f, t->port.pairs);

    now = f;
    switch (feed_below(f, 8)) {
    case 0:
        t->full = feed_below(f, 2);
        net_writable(net, pair);
        break;
    case 1:
        net_set_link(net, feed_below(f, 3));
        break;
    case 2:
        net_announce(net);
        break;
    case 3:
        if (virtio_hold_all(&b->virtio, 100, NULL) < 0)
            break;
        for (unsigned i = 0; i < 2 * t->port.pairs; i++)
            must(net_device(net)->queues[i].state == VIRTQUEUE_DEAD ||
                 net_device(net)->queues[i].outstanding == 0);
        for (unsigned i = 0; i < t->port.pairs; i++)
            must(!t->served[i]);
        virtio_release_all(&b->virtio);
        break;
    default:
        t->waiting[pair] = feed_pick(f, lengths);
        if (feed_rarely(f, 4))
            t->waiting[pair] = feed_below(f, NET_HEADER + NET_MOST) + 1;
        t->more[pair] = feed_rarely(f, 8) ? feed_below(f, 300) : feed_below(f, 3);
        net_readable(net, pair);
    }
}

/* A command with data of its form, most of the time. */
static unsigned command(struct feed *f, struct driver *d, struct seg *segs)
{
    uint8_t data[2 + 400] = {(uint8_t)feed_below(f, 7), (uint8_t)feed_below(f, 6)};
    static const uint32_t lengths[] = {1, 6, 2, 0, 2, 8, 4};
    size_t len = lengths[data[0]];

    for (size_t i = 0; i < len; i++)
        data[2 + i] = feed_rarely(f, 4) ? feed_byte(f) : (uint8_t)feed_below(f, 2);
    if (data[0] == VIRTIO_NET_CTRL_MAC && data[1] == VIRTIO_NET_CTRL_MAC_TABLE_SET) {
        uint32_t n[2] = {feed_below(f, 20), feed_below(f, 20)};
        memcpy(data + 2, &n[0], 4);
        memcpy(data + 6 + 6ul * n[0], &n[1], 4);
        len = 8 + 6ul * (n[0] + n[1]);
        if (feed_rarely(f, 6))
            data[2 + feed_below(f, 4)] = feed_byte(f);
    }
    if (feed_rarely(f, 8))
        len = feed_below(f, 400);
    segs[0] = driver_bytes(d, data, 2);
    segs[1] = driver_bytes(d, data + 2, (uint32_t)len);
    segs[2] = driver_buffer(d, feed_rarely(f, 8) ? 0 : 1, true);
    return 3;
}

/* Frames to send, buffers of any size to receive into, and commands. */
static unsigned request(struct feed *f, struct driver *d, unsigned queue, struct seg *segs)
{
    static const uint32_t sizes[] = {1526, 4096, 65562, 12, 1, 100, 700};
    struct virtio_net_hdr_mrg_rxbuf header = {.hdr.gso_type = (uint8_t)feed_below(f, 6)};
    unsigned n = 0, pieces;

    now = f;
    if (queue == 2 * port->port.pairs)
        return command(f, d, segs);
    pieces = feed_rarely(f, 3) ? feed_below(f, 6) : 1;
    if (queue % 2) {
        header.hdr.flags = (uint8_t)feed_below(f, 3);
        segs[n++] = driver_bytes(d, &header, feed_rarely(f, 12) ? feed_below(f, 13) : NET_HEADER);
    }
    for (unsigned i = 0; i < pieces; i++)
        segs[n++] = driver_buffer(d, feed_rarely(f, 8) ? feed_below(f, 70000) : feed_pick(f, sizes),
                                  queue % 2 == 0);
    return n;
}

static const struct virtio_fuzz one = {
    .add = add_one, .queues = 3, .config = 12, .request = request, .event = event};
static const struct virtio_fuzz two = {
    .add = add_two, .queues = 2 * PAIRS + 1, .config = 12, .request = request, .event = event};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    return virtio_fuzz(data[0] & 1 ? &two : &one, data + 1, size - 1);
}
