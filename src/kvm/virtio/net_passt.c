/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * passt as a port, see net_passt.h. The stream knows no headers of virtio's: frames for the guest
 * are collected in a buffer and copied out of it behind a header; those of the guest go from its
 * memory into the stream, with their length before them. What the stream does not take of a frame
 * is kept, and nothing more is sent until it is gone.
 *
 * A stream that ends, or is not what it should be, pulls the cable, until the supervisor sends the
 * next one.
 *
 * System calls while the guest runs: recvfrom, sendmsg, recvmsg (on the supervisor's channel),
 * epoll_ctl, close, fcntl; at the end wait4.
 */
#include "kvm/virtio/net_passt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

#define PREFIX 4u /* the length before each frame */
#define IN     (2 * (PREFIX + NET_MOST))

#define STALE_FRAMES 4096u

#define HEAD (ETH_HLEN + sizeof(struct ip6_hdr)) /* what is_to_host() looks at */

struct passt_port {
    struct net_port port;
    pid_t supervisor;
    struct worker_source channel, stream; /* fd -1: there is none now */
    bool valid;                           /* the guest needs not look at checksums */
    bool warned;                          /* of frames to the host's loopback */

    uint8_t *in; /* IN bytes: [in_at, in_end) was received */
    size_t in_at, in_end;
    uint8_t *out; /* PREFIX + NET_MOST bytes: [out_at, out_end) is to be sent */
    size_t out_at, out_end;
};

static struct passt_port *passt_of(struct net_port *p)
{
    return (struct passt_port *)p;
}

static struct worker *worker_of(struct passt_port *p)
{
    return net_worker(p->port.net, 0);
}

/* ---- the stream ---- */

static void watch(struct passt_port *p, bool writable)
{
    worker_modify(worker_of(p), &p->stream, EPOLLIN | EPOLLET | (writable ? EPOLLOUT : 0u));
}

static void drop_stream(struct passt_port *p)
{
    if (p->stream.fd < 0)
        return;
    worker_remove(worker_of(p), &p->stream);
    close(p->stream.fd);
    p->stream.fd = -1;
    p->in_at = p->in_end = p->out_at = p->out_end = 0;
}

static void lose(struct passt_port *p)
{
    drop_stream(p);
    log_line("%s: no link to passt", net_name(p->port.net));
    net_set_link(p->port.net, false);
}

/* Send what is left of a frame. False: there is still something, or no stream any more. */
static bool flush(struct passt_port *p)
{
    while (p->out_at < p->out_end) {
        ssize_t n = send(p->stream.fd, p->out + p->out_at, p->out_end - p->out_at,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            lose(p);
            return false;
        }
        if (n < 0)
            return false;
        p->out_at += (size_t)n;
    }
    p->out_at = p->out_end = 0;
    return true;
}

static void on_stream(void *arg, uint32_t events)
{
    struct passt_port *p = arg;
    struct net *n = p->port.net;

    if ((events & EPOLLOUT) && flush(p)) {
        watch(p, false);
        net_writable(n, 0);
    }
    net_readable(n, 0);
    if ((events & (EPOLLHUP | EPOLLERR)) && p->stream.fd >= 0)
        lose(p);
}

/* The supervisor has a new stream, or is gone. */
static void on_channel(void *arg, uint32_t events)
{
    struct passt_port *p = arg;
    struct net *n = p->port.net;
    int fd = passt_receive(p->channel.fd);

    (void)events;
    if (fd == -EAGAIN)
        return;
    if (fd < 0) {
        worker_remove(worker_of(p), &p->channel);
        log_line("%s: the process that keeps passt is gone", net_name(n));
        return;
    }
    drop_stream(p);
    p->stream.fd = fd;
    worker_add(worker_of(p), &p->stream, EPOLLIN | EPOLLET, NULL);
    net_set_link(n, true);
}

/* ---- frames for the guest ---- */

/* The next whole frame, out of the buffer or the stream. NULL: there is none, or no stream. */
static const uint8_t *next_frame(struct passt_port *p, size_t *len)
{
    uint32_t prefix;

    while (p->stream.fd >= 0) {
        size_t have = p->in_end - p->in_at;
        if (have >= PREFIX) {
            memcpy(&prefix, p->in + p->in_at, PREFIX);
            *len = ntohl(prefix);
            if (*len == 0 || *len > NET_MOST) {
                lose(p);
                return NULL;
            }
            if (have >= PREFIX + *len) {
                const uint8_t *frame = p->in + p->in_at + PREFIX;
                p->in_at += PREFIX + *len;
                return frame;
            }
        }
        if (p->in_at) {
            memmove(p->in, p->in + p->in_at, have);
            p->in_at = 0;
            p->in_end = have;
        }
        ssize_t n = recv(p->stream.fd, p->in + have, IN - have, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            lose(p);
        if (n <= 0)
            return NULL;
        p->in_end += (size_t)n;
    }
    return NULL;
}

static ssize_t port_receive(struct net_port *port, unsigned pair, const struct iovec *iov,
                            unsigned count)
{
    struct passt_port *p = passt_of(port);
    const struct virtio_net_hdr_mrg_rxbuf header = {.hdr.flags =
                                                        p->valid ? VIRTIO_NET_HDR_F_DATA_VALID : 0};
    size_t len;
    const uint8_t *frame = next_frame(p, &len);

    (void)pair;
    if (!frame)
        return -EAGAIN;
    net_poke(iov, count, 0, &header, NET_HEADER);
    net_poke(iov, count, NET_HEADER, frame, len);
    return (ssize_t)(NET_HEADER + len);
}

/* ---- frames of the guest ---- */

/*
 * Is it to where connect() reaches nobody but the host itself: 127.0.0.0/8, 0.0.0.0/8, ::, ::1, and
 * IPv4 as a part of IPv6? A passt before November 2023 connects there.
 */
static bool is_to_host(const uint8_t *f, size_t len)
{
    static const uint8_t zero[10];

    if (len < ETH_HLEN)
        return false;
    const unsigned type = (unsigned)f[12] << 8 | f[13];
    if (type == ETH_P_IP && len >= ETH_HLEN + sizeof(struct iphdr)) {
        const uint8_t *to = f + ETH_HLEN + offsetof(struct iphdr, daddr);
        return *to == 127 || *to == 0;
    }
    if (type != ETH_P_IPV6 || len < HEAD)
        return false;
    const uint8_t *to = f + ETH_HLEN + offsetof(struct ip6_hdr, ip6_dst);
    return memcmp(to, zero, sizeof(zero)) == 0 && to[10] == to[11] && (!to[10] || to[10] == 0xff);
}

/* Keep what is behind the first `sent` bytes. */
static void keep_rest(struct passt_port *p, const struct iovec *iov, unsigned count, size_t sent,
                      size_t total)
{
    p->out_at = 0;
    p->out_end = net_peek(iov, count, sent, p->out, total - sent);
    watch(p, true);
}

static int port_send(struct net_port *port, unsigned pair, struct chain *c)
{
    struct passt_port *p = passt_of(port);
    struct iovec iov[NET_QUEUE + 2];
    uint8_t head[HEAD]; /* a copy, for the guest may change its memory meanwhile */

    (void)pair;
    if (p->stream.fd < 0)
        return -ENOTCONN;
    if (p->out_end)
        return -EAGAIN;
    chain_read(c, NULL, NET_HEADER);
    const uint32_t prefix = htonl((uint32_t)chain_readable(c));
    const size_t total = PREFIX + chain_readable(c), len = chain_read(c, head, sizeof(head));
    if (is_to_host(head, len)) {
        if (!p->warned)
            log_line("%s: the guest sends to the host's loopback: dropped", net_name(port->net));
        p->warned = true;
        return -EACCES;
    }
    const unsigned count = c->in_count + 2;
    iov[0] = (struct iovec){.iov_base = (void *)(uintptr_t)&prefix, .iov_len = PREFIX};
    iov[1] = (struct iovec){.iov_base = head, .iov_len = len};
    memcpy(iov + 2, c->in, c->in_count * sizeof(iov[0]));
    const struct msghdr m = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t n = sendmsg(p->stream.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
        watch(p, true);
        return -EAGAIN;
    }
    if (n < 0) {
        lose(p);
        return -ENOTCONN;
    }
    if ((size_t)n < total)
        keep_rest(p, iov, count, (size_t)n, total);
    return 0;
}

/* ---- settings and life ---- */

static void port_begin(struct net_port *port)
{
    size_t len;

    for (unsigned n = 0; n < STALE_FRAMES && next_frame(passt_of(port), &len); n++)
        ;
}

static void port_offloads(struct net_port *port, uint64_t features)
{
    passt_of(port)->valid = features >> VIRTIO_NET_F_GUEST_CSUM & 1;
}

static void port_pairs(struct net_port *port, unsigned pairs)
{
    (void)port, (void)pairs;
}

static int port_attach(struct net_port *port, struct error *err)
{
    struct passt_port *p = passt_of(port);

    return worker_add(worker_of(p), &p->channel, EPOLLIN, err);
}

static void port_close(struct net_port *port)
{
    struct passt_port *p = passt_of(port);

    if (port->net) {
        drop_stream(p);
        worker_remove(worker_of(p), &p->channel);
    }
    passt_stop(p->supervisor, p->channel.fd);
    free(p->in);
    free(p->out);
    free(p);
}

static const struct net_port_ops passt_ops = {
    .attach = port_attach,
    .begin = port_begin,
    .set_offloads = port_offloads,
    .set_pairs = port_pairs,
    .receive = port_receive,
    .send = port_send,
    .close = port_close,
};

struct net_port *net_passt(const struct passt_request *rq, struct error *err)
{
    struct passt_port *p = xcalloc(1, sizeof(*p));

    if (passt_start(rq, &p->supervisor, &p->channel.fd, err) < 0) {
        free(p);
        return NULL;
    }
    p->port = (struct net_port){
        .ops = &passt_ops,
        .features = VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM),
        .pairs = 1,
        .mtu = rq->mtu ? rq->mtu : PASST_MTU,
        .down = true,
    };
    p->channel.ready = on_channel;
    p->channel.arg = p;
    p->stream = (struct worker_source){.fd = -1, .ready = on_stream, .arg = p};
    p->in = xrealloc(NULL, IN, 1);
    p->out = xrealloc(NULL, PREFIX + NET_MOST, 1);
    return &p->port;
}
