/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network device's rig, see netrig.h. */
#include "device/netrig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"

const uint8_t netrig_mac[6] = {0x02, 1, 2, 3, 4, 5}, netrig_peer[6] = {0x02, 9, 9, 9, 9, 9};

/* ---- the port ---- */

static struct netrig_port *port_of(struct net_port *p)
{
    return (struct netrig_port *)p;
}

static ssize_t port_receive(struct net_port *p, unsigned pair, const struct iovec *iov,
                            unsigned count)
{
    ssize_t n = readv(port_of(p)->sources[pair].fd, iov, (int)count);

    return n < 0 ? -errno : n;
}

static int port_send(struct net_port *p, unsigned pair, struct chain *c)
{
    if (port_of(p)->blocked)
        return -EAGAIN;
    return writev(port_of(p)->sources[pair].fd, c->in, (int)c->in_count) < 0 ? -errno : 0;
}

static void port_begin(struct net_port *p)
{
    char buf[64];

    port_of(p)->begun++;
    for (unsigned i = 0; i < p->pairs; i++)
        while (recv(port_of(p)->sources[i].fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0)
            ;
}

static void port_offloads(struct net_port *p, uint64_t features)
{
    port_of(p)->offloads = features;
}

static void port_pairs(struct net_port *p, unsigned pairs)
{
    port_of(p)->pairs = pairs;
}

static void on_frame(void *arg, uint32_t events)
{
    struct netrig_port *p = *(struct netrig_port **)arg;

    (void)events;
    for (unsigned i = 0; i < p->port.pairs; i++)
        net_readable(p->port.net, i);
}

static int port_attach(struct net_port *p, struct error *err)
{
    struct netrig_port *r = port_of(p);
    static struct netrig_port *self;

    self = r;
    for (unsigned i = 0; i < p->pairs; i++) {
        r->sources[i].ready = on_frame;
        r->sources[i].arg = &self;
        if (worker_add(net_worker(p->net, i), &r->sources[i], EPOLLIN | EPOLLET, err) < 0)
            return -1;
    }
    return 0;
}

static void port_close(struct net_port *p)
{
    port_of(p)->closed++;
}

static int kernel_start(struct net_port *p, unsigned pair, struct virtqueue *const queues[2],
                        const int call[2], struct error *err)
{
    struct netrig_port *r = port_of(p);

    (void)queues;
    r->starts++;
    if (r->kernel_fails)
        return error_set(err, 0, "it does not want to");
    r->in_kernel[pair] = true;
    memcpy(r->calls[pair], call, sizeof(r->calls[pair]));
    return 0;
}

static void kernel_stop(struct net_port *p, unsigned pair, struct virtqueue *const queues[2])
{
    struct netrig_port *r = port_of(p);

    r->stops++;
    r->in_kernel[pair] = false;
    for (unsigned i = 0; i < 2; i++)
        virtqueue_take_back(queues[i], (uint16_t)(queues[i]->next_avail + r->kernel_took[i]));
}

static const struct net_port_ops port_ops = {
    .attach = port_attach,
    .begin = port_begin,
    .set_offloads = port_offloads,
    .set_pairs = port_pairs,
    .receive = port_receive,
    .send = port_send,
    .close = port_close,
    .kernel_start = kernel_start,
    .kernel_stop = kernel_stop,
};

/* ---- life ---- */

void netrig_create(struct netrig *r, unsigned pairs, uint64_t offloads, bool kernel)
{
    struct error err;

    *r = (struct netrig){.pairs = pairs};
    r->port = xcalloc(1, sizeof(*r->port));
    r->port->port = (struct net_port){
        .ops = &port_ops, .features = offloads, .pairs = pairs, .mtu = 1500, .kernel = kernel};
    for (unsigned i = 0; i < pairs; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
            abort();
        r->port->sources[i].fd = ends[0];
        r->port->ends[i] = ends[1];
    }
    struct net_config config = {.port = &r->port->port,
                                .name = "network 0",
                                .received = &r->received,
                                .sent = &r->sent};
    memcpy(config.mac, netrig_mac, 6);
    if (board_init(&r->b, false) < 0 || !(r->device = net_add(&r->b.virtio, &config, &err)) ||
        board_start(&r->b) < 0 || !driver_probe(&r->d, &r->b, 1))
        abort();
}

void netrig_start(struct netrig *r, uint64_t features, uint16_t size)
{
    if (!driver_start(&r->d, features, 2 * r->pairs + 1, size))
        abort();
    board_turn(&r->b);
}

void netrig_up(struct netrig *r)
{
    netrig_create(r, 1, NETRIG_ALL_OFFLOADS, false);
    netrig_start(r, DRIVER_ALL, 64);
}

void netrig_destroy(struct netrig *r)
{
    board_destroy(&r->b);
    for (unsigned i = 0; r->port && i < r->pairs; i++) {
        close(r->port->ends[i]);
        close(r->port->sources[i].fd);
    }
    free(r->port);
}

/* ---- frames ---- */

void netrig_frame(uint8_t *at, size_t len, const uint8_t to[6], uint8_t seed)
{
    memset(at, 0, NETRIG_HEADER);
    for (size_t i = NETRIG_HEADER; i < len; i++)
        at[i] = (uint8_t)(seed + i * 7 + i / 256);
    if (len < NETRIG_HEADER + NET_ETHERNET)
        return;
    memcpy(at + NETRIG_HEADER, to, 6);
    memcpy(at + NETRIG_HEADER + 6, netrig_peer, 6);
    at[NETRIG_HEADER + 12] = 0x08;
    at[NETRIG_HEADER + 13] = 0x00;
}

bool netrig_is_frame(const uint8_t *at, size_t len, const uint8_t to[6], uint8_t seed)
{
    uint8_t *want = xcalloc(1, len);

    netrig_frame(want, len, to, seed);
    bool same = memcmp(at + NETRIG_HEADER, want + NETRIG_HEADER, len - NETRIG_HEADER) == 0;
    free(want);
    return same;
}

void netrig_give(struct netrig *r, unsigned pair, const void *data, size_t len)
{
    if (send(r->port->ends[pair], data, len, 0) != (ssize_t)len)
        abort();
    board_turn(&r->b);
}

ssize_t netrig_take(struct netrig *r, unsigned pair, void *data, size_t room)
{
    board_turn(&r->b);
    return recv(r->port->ends[pair], data, room, MSG_DONTWAIT);
}

struct seg netrig_offer(struct netrig *r, unsigned pair, uint32_t len)
{
    struct seg s = driver_buffer(&r->d, len, true);

    driver_send(&r->d, 2 * pair, &s, 1);
    board_turn(&r->b);
    return s;
}

unsigned netrig_control_queue(const struct netrig *r)
{
    return r->d.features >> VIRTIO_NET_F_MQ & 1 ? 2 * r->pairs : 2;
}

int netrig_command(struct netrig *r, uint8_t class, uint8_t command, const void *data, size_t len)
{
    const struct virtio_net_ctrl_hdr header = {class, command};
    struct seg segs[3] = {driver_bytes(&r->d, &header, sizeof(header))};
    unsigned n = 1;

    if (len)
        segs[n++] = driver_bytes(&r->d, data, (uint32_t)len);
    segs[n] = driver_buffer(&r->d, 1, true);
    const uint8_t *answer = segs[n++].host;
    *(uint8_t *)segs[n - 1].host = 0xee;
    return driver_request(&r->d, netrig_control_queue(r), segs, n) == 1 ? *answer : -1;
}

uint16_t netrig_status(struct netrig *r)
{
    return (uint16_t)mmio_read(&r->b, r->d.device + offsetof(struct virtio_net_config, status), 2);
}
