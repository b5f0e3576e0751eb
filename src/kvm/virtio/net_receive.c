/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames for the guest: buffers are held ready, the port fills them, and those that it filled are
 * given to the driver; see net_private.h.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "kvm/virtio/net_private.h"

#define FRAMES_AT_ONCE 128u /* then others on this worker have their turn */
#define FLUSH_EVERY    16u

#define HELD_ROOM (2 * NET_QUEUE)
#define IOV_ROOM  (3 * NET_QUEUE) /* below IOV_MAX */
#define LONGEST   ((size_t)NET_HEADER + NET_MOST)

void net_receiver_init(struct net_receiver *r)
{
    r->held = xcalloc(HELD_ROOM, sizeof(r->held[0]));
    r->iov = xcalloc(IOV_ROOM + 1, sizeof(r->iov[0]));
    r->spare = xrealloc(NULL, LONGEST, 1);
}

void net_receiver_destroy(struct net_receiver *r)
{
    free(r->spare);
    free(r->held);
    free(r->iov);
    *r = (struct net_receiver){0};
}

/* ---- holding ---- */

static bool is_merging(const struct net *n)
{
    return net_has(n, VIRTIO_NET_F_MRG_RXBUF);
}

/* As much as the longest frame that may come needs. */
static size_t enough(const struct net *n)
{
    const uint64_t segments = n->offloads & ~VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM);

    return segments ? LONGEST : NET_HEADER + n->port->mtu + NET_ETHERNET + NET_TAGS;
}

/* Move what is held to the front where there is no room behind it. False: there is none at all. */
static bool make_room(struct net_receiver *r)
{
    if (r->at + r->count == HELD_ROOM) {
        memmove(r->held, r->held + r->at, r->count * sizeof(r->held[0]));
        r->at = 0;
    }
    if (r->iov_at + r->iov_count + NET_QUEUE > IOV_ROOM) {
        memmove(r->iov, r->iov + r->iov_at, r->iov_count * sizeof(r->iov[0]));
        r->iov_at = 0;
    }
    return r->count < HELD_ROOM && r->iov_count + NET_QUEUE <= IOV_ROOM;
}

/*
 * Hold buffers for `want` bytes, or a single one where buffers are not merged, as far as the driver
 * has some. False: these are so small that no more can be held.
 */
static bool hold(struct net_pair *p, size_t want)
{
    struct net_receiver *r = &p->receiver;
    struct virtqueue *q = p->queues[0];
    bool merging = is_merging(p->net);
    struct chain c;

    while (merging ? r->room < want : !r->count) {
        if (!make_room(r))
            return false;
        if (!virtqueue_pop_into(q, &c, r->iov + r->iov_at + r->iov_count, NET_QUEUE))
            return true;
        if (c.in_count || !c.out_count) {
            virtio_fail(q->device, "a buffer to receive into that is not writable");
            return true;
        }
        const uint32_t size = (uint32_t)min(chain_writable(&c), LONGEST);
        r->held[r->at + r->count++] =
            (struct net_buffer){.head = c.head, .parts = (uint16_t)c.out_count, .size = size};
        r->iov_count += c.out_count;
        r->room += size;
    }
    return true;
}

/* The first buffers were given to the driver. */
static void let_go(struct net_receiver *r, unsigned buffers)
{
    for (; buffers; buffers--) {
        const struct net_buffer *b = &r->held[r->at++];
        r->count--;
        r->iov_at += b->parts;
        r->iov_count -= b->parts;
        r->room -= b->size;
    }
    if (!r->count)
        r->at = r->iov_at = 0;
}

void net_receiver_release(struct net_pair *p)
{
    struct net_receiver *r = &p->receiver;

    for (; r->count; r->count--) {
        struct chain c = {.queue = p->queues[0], .head = r->held[r->at + r->count - 1].head};
        virtqueue_unpop(p->queues[0], &c);
    }
    r->at = r->iov_at = r->iov_count = 0;
    r->room = r->waiting = 0;
}

/* ---- frames ---- */

/*
 * The buffers that a frame may use, and behind them the spare room where they are not enough.
 * Returns how many bytes are theirs.
 */
static size_t frame_room(struct net_pair *p, const struct iovec **iov, unsigned *count)
{
    struct net_receiver *r = &p->receiver;
    bool merging = is_merging(p->net);
    size_t room = merging ? r->room : r->held[r->at].size;

    *iov = r->iov + r->iov_at;
    *count = merging ? r->iov_count : r->held[r->at].parts;
    if (room < LONGEST) /* the place behind the last one is free */
        r->iov[r->iov_at + (*count)++] =
            (struct iovec){.iov_base = r->spare, .iov_len = LONGEST - room};
    return room;
}

/* A frame is in the first `len` bytes of what is held: the driver's. */
static void deliver(struct net_pair *p, size_t len)
{
    struct net_receiver *r = &p->receiver;
    const struct iovec *iov = r->iov + r->iov_at;
    unsigned used = 0;

    for (size_t room = 0; room < len; used++)
        room += r->held[r->at + used].size;
    /* 5.1.6.4.1: 1 also where buffers are not merged. */
    const uint16_t buffers = htole16((uint16_t)used);
    net_poke(iov, r->iov_count, offsetof(struct virtio_net_hdr_mrg_rxbuf, num_buffers), &buffers,
             sizeof(buffers));
    if (!net_has(p->net, VIRTIO_NET_F_GUEST_CSUM)) /* 5.1.6.4.1 */
        net_poke(iov, r->iov_count, offsetof(struct virtio_net_hdr, flags), &(uint8_t){0}, 1);
    for (unsigned i = 0; i < used; i++) {
        const struct net_buffer *b = &r->held[r->at + i];
        const struct chain c = {.queue = p->queues[0], .head = b->head};
        const size_t n = min((size_t)b->size, len);
        virtqueue_push(p->queues[0], &c, n);
        len -= n;
    }
    let_go(r, used);
}

/* The frame that waited for buffers: is there room for all of it now? */
static bool finish_waiting(struct net_pair *p, size_t *len)
{
    struct net_receiver *r = &p->receiver;

    *len = 0;
    if (!hold(p, r->waiting)) { /* never will be */
        r->waiting = 0;
        return true;
    }
    if (r->room < r->waiting)
        return false;
    net_poke(r->iov + r->iov_at, r->iov_count, r->split, r->spare, r->waiting - r->split);
    *len = r->waiting;
    r->waiting = 0;
    return true;
}

/*
 * Get the next frame into what is held. 1: *len bytes of it are to be delivered, or 0 where
 * nobody wants it. 0: there is none, or no room.
 */
static int next_frame(struct net_pair *p, size_t *len)
{
    struct net_receiver *r = &p->receiver;
    struct net *n = p->net;
    const struct iovec *iov;
    uint8_t first[18] = {0};
    unsigned count;

    if (r->waiting)
        return finish_waiting(p, len);
    hold(p, enough(n));
    if (!r->count)
        return 0;
    const size_t room = frame_room(p, &iov, &count);
    ssize_t got = n->port->ops->receive(n->port, p->index, iov, count);
    if (got < 0)
        return 0;
    *len = 0;
    if ((size_t)got < NET_HEADER + NET_ETHERNET || (size_t)got > LONGEST || !n->link)
        return 1;
    net_peek(iov, count, NET_HEADER, first, min(sizeof(first), (size_t)got - NET_HEADER));
    if (!net_wanted(n, first))
        return 1;
    if ((size_t)got > room && !is_merging(n)) /* it was the driver's to make them large enough */
        return 1;
    *len = (size_t)got;
    if (*len <= room)
        return 1;
    r->waiting = *len;
    r->split = room;
    return finish_waiting(p, len);
}

void net_receive(struct net_pair *p)
{
    struct virtqueue *q = p->queues[0];
    struct net *n = p->net;
    uint64_t bytes = 0;
    unsigned frames = 0;
    size_t len;

    if (q->state != VIRTQUEUE_LIVE || !n->running || p->kernel || p->index >= n->active)
        return;
    pthread_rwlock_rdlock(&n->lock);
    for (; frames < FRAMES_AT_ONCE && next_frame(p, &len); frames++) {
        if (!len)
            continue;
        deliver(p, len);
        bytes += len - NET_HEADER;
        /* The first at once: the driver gets going while the others come. */
        if (frames % FLUSH_EVERY == 0)
            virtqueue_flush(q);
    }
    pthread_rwlock_unlock(&n->lock);
    if (frames == FRAMES_AT_ONCE)
        virtqueue_kick(q);
    if (bytes && n->received)
        __atomic_fetch_add(n->received, bytes, __ATOMIC_RELAXED);
}
