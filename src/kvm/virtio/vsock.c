/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket device, see vsock.h: packets to and from the guest. Section numbers are those of
 * virtio 1.2.
 *
 * To the guest goes what a list of connections may have for it, one packet each in turn, and before
 * that the answers to packets of no connection. These are the only thing that a guest can make
 * pile up by not taking it: when VSOCK_RESETS of them wait, its own packets have to wait too
 * (5.10.6.2.1).
 *
 * The thread's system calls: accept4, recvmsg, recvfrom, sendmsg, sendto, shutdown, getsockopt,
 * close, epoll_ctl, read, write, futex, and those of the owner's connect().
 */
#include "kvm/virtio/vsock.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "kvm/virtio/vsock_private.h"

#define QUEUE_SIZE  128
#define HEADER      sizeof(struct virtio_vsock_hdr)
#define TURN        64u         /* packets to the guest, before others have their turn */
#define SEND_MOST   (64u << 10) /* bytes in one packet */
#define PORTS_FIRST (1u << 30)
#define SHUT_BOTH   (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

#define VIRTIO_VSOCK_F_STREAM 0 /* 5.10.3 */

enum { RECEIVE, SEND, EVENT, QUEUES };

bool vsock_has_driver(const struct vsock *v)
{
    return v->device->queues[SEND].state != VIRTQUEUE_DEAD;
}

/* ---- to the guest ---- */

void vsock_add_reset(struct vsock *v, uint32_t host_port, uint32_t guest_port)
{
    if (v->resets_len == VSOCK_RESETS)
        return;
    v->resets[(v->resets_at + v->resets_len++) % VSOCK_RESETS] =
        (struct vsock_reset){host_port, guest_port, VIRTIO_VSOCK_TYPE_STREAM};
}

/* A packet's header, but for what it is. With it the guest knows how much it may send (5.10.6.3). */
static struct virtio_vsock_hdr header_of(struct vsock_conn *c)
{
    c->told_forwarded = c->forwarded;
    c->tell &= (uint8_t)~VSOCK_TELL_CREDIT;
    return (struct virtio_vsock_hdr){
        .src_cid = VSOCK_CID_HOST,
        .dst_cid = c->vsock->cid,
        .src_port = c->host_port,
        .dst_port = c->guest_port,
        .type = VIRTIO_VSOCK_TYPE_STREAM,
        .buf_alloc = VSOCK_BUFFER,
        .fwd_cnt = c->forwarded,
    };
}

/* How many bytes the guest has room for. */
static uint32_t credit(const struct vsock_conn *c)
{
    const uint32_t under_way = c->sent - c->guest_forwarded;

    return under_way < c->guest_buffer ? c->guest_buffer - under_way : 0;
}

/* The header of the next packet that says something of a connection, or false. */
static bool next_word(struct vsock_conn *c, struct virtio_vsock_hdr *h)
{
    static const struct {
        uint8_t tell, op;
    } words[] = {
        {VSOCK_TELL_REQUEST, VIRTIO_VSOCK_OP_REQUEST},
        {VSOCK_TELL_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
        {VSOCK_TELL_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
        {VSOCK_TELL_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        if (c->tell & words[i].tell) {
            c->tell &= (uint8_t)~words[i].tell;
            *h = header_of(c);
            h->op = words[i].op;
            h->flags = h->op == VIRTIO_VSOCK_OP_SHUTDOWN ? c->host_shut : 0;
            return true;
        }
    return false;
}

/* Read what the host has sent into the chain, behind its header. False: there is nothing. */
static bool next_bytes(struct vsock_conn *c, const struct chain *chain, struct virtio_vsock_hdr *h)
{
    const size_t most = min(min((size_t)credit(c), (size_t)SEND_MOST), chain->writable);
    struct iovec iov[16];
    unsigned count = 0;
    size_t room = 0;

    if (!most) {
        if (c->asked)
            return false;
        c->asked = true;
        *h = header_of(c);
        h->op = VIRTIO_VSOCK_OP_CREDIT_REQUEST;
        return true;
    }
    for (; count < ARRAY_SIZE(iov) && count < chain->out_count && room < most; count++) {
        iov[count] = chain->out[count];
        iov[count].iov_len = min(iov[count].iov_len, most - room);
        room += iov[count].iov_len;
    }
    const size_t n = vsock_read(c, iov, count);
    if (!n)
        return false;
    c->sent += (uint32_t)n;
    *h = header_of(c);
    h->op = VIRTIO_VSOCK_OP_RW;
    h->len = (uint32_t)n;
    return true;
}

/* The next packet of a connection; its bytes are in the chain already. False: it has none. */
static bool next_of(struct vsock_conn *c, const struct chain *chain, struct virtio_vsock_hdr *h)
{
    const uint8_t first = VSOCK_TELL_REQUEST | VSOCK_TELL_RESPONSE;

    if (c->state == VSOCK_OPEN && !(c->tell & first) && c->readable &&
        !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) && next_bytes(c, chain, h))
        return true;
    if (!next_word(c, h))
        return false;
    if (h->op == VIRTIO_VSOCK_OP_SHUTDOWN && c->host_shut == SHUT_BOTH)
        vsock_leave(c); /* all is said, and the guest's RST is what is waited for */
    return true;
}

/* The next packet for the guest. False: there is none. */
static bool next_packet(struct vsock *v, const struct chain *chain, struct virtio_vsock_hdr *h)
{
    struct vsock_conn *c;

    if (v->resets_len) {
        const struct vsock_reset *r = &v->resets[v->resets_at];
        *h = (struct virtio_vsock_hdr){
            .src_cid = VSOCK_CID_HOST,
            .dst_cid = v->cid,
            .src_port = r->host_port,
            .dst_port = r->guest_port,
            .type = r->type,
            .op = VIRTIO_VSOCK_OP_RST,
        };
        v->resets_at = (v->resets_at + 1) % VSOCK_RESETS;
        v->resets_len--;
        return true;
    }
    while ((c = TAILQ_FIRST(&v->ready))) {
        const bool said = next_of(c, chain, h);
        TAILQ_REMOVE(&v->ready, c, ready);
        c->is_ready = said;
        if (!said)
            continue;
        TAILQ_INSERT_TAIL(&v->ready, c, ready);
        return true;
    }
    return false;
}

static bool has_packets(const struct vsock *v)
{
    return v->resets_len || !TAILQ_EMPTY(&v->ready);
}

/* The header goes to where the chain began. */
static void write_header(struct iovec *iov, unsigned count, const struct virtio_vsock_hdr *h)
{
    struct chain c = {.out = iov, .out_count = count, .writable = HEADER};

    chain_write(&c, h, HEADER);
}

/* One packet into one chain. False: there is none, and the chain is as it was. */
static bool fill(struct vsock *v, struct chain *c)
{
    struct iovec front[HEADER]; /* a byte in each, at worst */
    struct virtio_vsock_hdr h;

    if (c->writable <= HEADER) {
        virtio_fail(v->device, "a buffer of %zu bytes for packets", c->writable);
        return false;
    }
    const unsigned count = min(c->out_count, (unsigned)HEADER);
    memcpy(front, c->out, count * sizeof(front[0]));
    chain_wrote(c, HEADER);
    if (!next_packet(v, c, &h))
        return false;
    write_header(front, count, &h);
    virtqueue_push(c->queue, c, HEADER + h.len);
    return true;
}

/* Fill what the guest has given, in its handler or outside. */
static void fill_all(struct vsock *v)
{
    struct virtqueue *q = &v->device->queues[RECEIVE];
    unsigned n = 0;
    struct chain c;

    while (has_packets(v) && n < TURN && virtqueue_pop(q, &c)) {
        if (!fill(v, &c)) {
            virtqueue_unpop(q, &c);
            break;
        }
        n++;
    }
    if (n == TURN)
        virtqueue_kick(q);
    if (v->sending_waits && v->resets_len < VSOCK_RESETS / 2) {
        v->sending_waits = false;
        virtqueue_kick(&v->device->queues[SEND]);
    }
}

void vsock_pump(struct vsock *v)
{
    fill_all(v);
    virtqueue_flush(&v->device->queues[RECEIVE]);
}

/* ---- from the guest ---- */

/* The connection is nothing that both agree on: end it, and say so. */
static void reset_conn(struct vsock *v, struct vsock_conn *c, const struct virtio_vsock_hdr *h)
{
    if (c)
        vsock_end(c);
    if (h->op == VIRTIO_VSOCK_OP_RST) /* 5.10.6.4.1: which is not answered */
        return;
    vsock_add_reset(v, h->dst_port, h->src_port);
    v->resets[(v->resets_at + v->resets_len - 1) % VSOCK_RESETS].type = h->type;
}

/* Whatever a packet says, it tells how much room the guest has. */
static void take_credit(struct vsock_conn *c, const struct virtio_vsock_hdr *h)
{
    c->guest_buffer = h->buf_alloc;
    c->guest_forwarded = h->fwd_cnt;
    if (!credit(c) || c->state != VSOCK_OPEN)
        return;
    c->asked = false;
    if (c->readable)
        vsock_make_ready(c);
}

/* A packet that is not the connection's first. False: it does not fit to what was before. */
static bool go_on(struct vsock_conn *c, const struct virtio_vsock_hdr *h, struct chain *chain)
{
    switch (h->op) {
    case VIRTIO_VSOCK_OP_RESPONSE:
        if (c->state != VSOCK_REQUESTED || (c->tell & VSOCK_TELL_REQUEST) || !vsock_opened(c))
            return false;
        vsock_make_ready(c);
        return true;
    case VIRTIO_VSOCK_OP_SHUTDOWN:
        return c->state != VSOCK_REQUESTED && vsock_guest_shut(c, h->flags);
    case VIRTIO_VSOCK_OP_RW:
        if (c->state == VSOCK_LEFT)
            return true; /* it was on its way when the host's end closed */
        return c->state == VSOCK_OPEN && !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) &&
               h->len <= chain->readable && vsock_put(c, chain, h->len);
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
        return true;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        c->tell |= VSOCK_TELL_CREDIT;
        vsock_make_ready(c);
        return true;
    default:
        return false;
    }
}

static void handle_packet(struct vsock *v, const struct virtio_vsock_hdr *h, struct chain *chain)
{
    /* 5.10.6: it speaks for itself, and to the host, or nobody hears it. */
    if (h->src_cid != v->cid || h->dst_cid != VSOCK_CID_HOST)
        return;
    if (h->type != VIRTIO_VSOCK_TYPE_STREAM) {
        reset_conn(v, NULL, h);
        return;
    }
    struct vsock_conn *c = vsock_find(v, h->dst_port, h->src_port);
    if (h->op == VIRTIO_VSOCK_OP_REQUEST && !c) {
        c = vsock_accept(v, h->dst_port, h->src_port);
        if (!c) {
            reset_conn(v, NULL, h);
            return;
        }
        c->tell = VSOCK_TELL_RESPONSE;
        take_credit(c, h);
        vsock_make_ready(c);
        return;
    }
    if (!c) {
        reset_conn(v, NULL, h);
        return;
    }
    if (h->op == VIRTIO_VSOCK_OP_RST) {
        vsock_guest_reset(c);
        return;
    }
    take_credit(c, h);
    if (!go_on(c, h, chain))
        reset_conn(v, c, h);
}

static void handle_send(struct vsock *v, struct virtqueue *q)
{
    struct virtio_vsock_hdr h;
    struct chain c;

    /* Room for two answers: to the packet, and to whom it pushes out. */
    while (!(v->sending_waits = v->resets_len + 2 > VSOCK_RESETS) && virtqueue_pop(q, &c)) {
        if (chain_read(&c, &h, HEADER) == HEADER)
            handle_packet(v, &h, &c);
        virtqueue_push(q, &c, 0);
    }
    vsock_pump(v);
}

/* 5.10.6.7: connections did not come along. */
static void handle_event(struct vsock *v, struct virtqueue *q)
{
    const struct virtio_vsock_event e = {.id = VIRTIO_VSOCK_EVENT_TRANSPORT_RESET};
    struct chain c;

    if (!v->tell_reset || !virtqueue_pop(q, &c))
        return;
    v->tell_reset = false;
    chain_write(&c, &e, sizeof(e));
    virtqueue_push(q, &c, c.written);
}

/* ---- the device ---- */

static void vsock_handle(struct virtqueue *q)
{
    struct vsock *v = q->device->state;

    if (q->index == RECEIVE)
        fill_all(v);
    else if (q->index == SEND)
        handle_send(v, q);
    else
        handle_event(v, q);
}

static void vsock_reset(struct virtio_device *d)
{
    struct vsock *v = d->state;

    vsock_end_all(v);
    v->tell_reset = false;
}

/* Its streams end at other programs' sockets: what is loaded has none. */
static void vsock_state(struct virtio_device *d, struct state *s)
{
    struct vsock *v = d->state;

    state_section(s, "vsock", 1);
    state_item(s, v->cid);
    if (s->loading)
        v->tell_reset = true;
}

static void vsock_destroy(struct virtio_device *d)
{
    struct vsock *v = d->state;

    vsock_end_all(v);
    if (v->listener.fd >= 0) {
        worker_remove(d->workers[0], &v->listener);
        close(v->listener.fd);
    }
    free(v);
}

static const struct virtio_device_type virtio_vsock = {
    .name = "vsock",
    .id = VIRTIO_ID_VSOCK,
    .class_code = 0x078000, /* communication controller, other */
    .queues = QUEUES,
    .queue_size = QUEUE_SIZE,
    .features = VIRTIO_FEATURE(VIRTIO_VSOCK_F_STREAM),
    .config_size = sizeof(struct virtio_vsock_config),
    .threaded = true,
    .handle = vsock_handle,
    .reset = vsock_reset,
    .state = vsock_state,
    .destroy = vsock_destroy,
};

int virtio_vsock_add(struct virtio_bus *bus, uint32_t cid, int listener,
                     const struct vsock_owner *owner, void *arg, struct error *err)
{
    const struct virtio_vsock_config config = {.guest_cid = htole64(cid)};
    struct vsock *v = xcalloc(1, sizeof(*v));

    *v = (struct vsock){.owner = owner, .arg = arg, .cid = cid, .next_port = PORTS_FIRST};
    TAILQ_INIT(&v->conns);
    TAILQ_INIT(&v->ready);
    v->listener = (struct worker_source){.fd = -1, .ready = vsock_on_listener, .arg = v};
    v->user = geteuid();
    v->device = virtio_add(bus, &virtio_vsock, v, &(struct virtio_setup){.config = &config}, err);
    if (!v->device) {
        free(v);
        return -1;
    }
    if (listener < 0)
        return 0;
    v->listener.fd = listener;
    if (worker_add(v->device->workers[0], &v->listener, EPOLLIN, err) < 0) {
        v->listener.fd = -1;
        return -1; /* the bus has the device, and ends it */
    }
    return 0;
}
