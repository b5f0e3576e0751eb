/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the network device's files share: net.c (the device: configuration, life, sending),
 * net_receive.c, net_control.c (the control queue, and what it filters).
 *
 * Theory of operation. Queues come in pairs, 2i to receive and 2i + 1 to send; the control queue
 * is behind them (5.1.2). A pair has a worker of its own, which also watches the port's descriptor
 * for it. So pairs share nothing but what the control queue steers.
 *
 *     driver ─kick─► pair's worker ─pop─► port.send(chain) ─► push
 *     port ─readable─► pair's worker ─► port.receive(buffers that are held) ─► push
 *
 * Frames go between the port and guest memory without a copy. How long the next frame is shows
 * only when it has been read, so buffers for the longest one are held ready: popped before, and kept
 * for the next frame as far as they were not needed. Where the driver offers less than
 * that, what is too much goes to spare room of ours, and waits there for more buffers.
 *
 * A port that the kernel can serve (vhost-net) has its pairs handed over to it while their queues
 * are live and the driver uses MSI-X, and taken back when not (rewired(), net_rewire()).
 */
#ifndef PULT_KVM_VIRTIO_NET_PRIVATE_H
#define PULT_KVM_VIRTIO_NET_PRIVATE_H

#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdatomic.h>

#include "kvm/virtio/net.h"

#define NET_MACS  64u /* in the filter's table */
#define NET_VLANS 4096u

/* Which frames the driver wants (5.1.6.5.1 to .3). */
enum net_mode {
    NET_PROMISCUOUS,
    NET_ALL_MULTICAST,
    NET_ALL_UNICAST,
    NET_NO_MULTICAST,
    NET_NO_UNICAST,
    NET_NO_BROADCAST, /* so far in the order of VIRTIO_NET_CTRL_RX_… */
    NET_MORE_UNICAST, /* the table had no room for all */
    NET_MORE_MULTICAST,
};

struct net_filter {
    uint16_t modes;                /* bits of net_mode */
    uint16_t unicasts, multicasts; /* in this order in `macs` */
    uint8_t macs[NET_MACS][6];
    uint8_t vlans[NET_VLANS / 8];
};

/* A chain that is held for frames to come. */
struct net_buffer {
    uint16_t head;
    uint16_t parts; /* of iov */
    uint32_t size;  /* bytes, or NET_HEADER + NET_MOST where it is more */
};

struct net_receiver {
    struct net_buffer *held; /* [at, at + count) */
    unsigned at, count;
    struct iovec *iov; /* theirs: [iov_at, iov_at + iov_count), and one more is free */
    unsigned iov_at, iov_count;
    size_t room;    /* bytes in them */
    uint8_t *spare; /* for what does not fit: NET_HEADER + NET_MOST bytes, hardly ever touched */
    size_t waiting; /* the length of a frame for which there are too few; 0: none */
    size_t split;   /* where in it `spare` begins */
};

struct net_pair {
    struct net *net;
    unsigned index;
    struct virtqueue *queues[2]; /* receiving, sending */
    struct worker *worker;
    struct net_receiver receiver;
    struct worker_call rewire_call;
    bool kernel;        /* it is served by the kernel */
    int kernel_call[2]; /* which interrupts that was told */
};

struct net {
    struct virtio_device *device;
    struct net_port *port;
    char *name;
    uint8_t mac[6];
    uint64_t *received, *sent;

    unsigned pair_count;
    struct net_pair *pairs;
    _Atomic unsigned active;   /* pairs that the driver uses */
    _Atomic bool running;      /* a driver is there, and the port knows of it */
    _Atomic bool link;         /* the cable is plugged in */
    _Atomic bool kernel;       /* pairs are handed over where that is possible */
    _Atomic uint64_t offloads; /* NET_GUEST_OFFLOADS that are in force */
    struct worker_call begin_call;

    pthread_rwlock_t lock; /* of the filter */
    struct net_filter filter;
};

/* ---- net.c ---- */

/* The number of pairs that are used, or the offloads in force, were changed. On any worker. */
void net_set_active(struct net *n, unsigned pairs);
void net_set_offloads(struct net *n, uint64_t features);
/* Change bits of the status field. */
void net_change_status(struct net *n, uint16_t set, uint16_t clear, bool tell);

/* ---- net_receive.c ---- */

void net_receiver_init(struct net_receiver *r);
void net_receiver_destroy(struct net_receiver *r); /* accepts what was zeroed */
/* Forget what is held; if it can be, it is given back to the queue. */
void net_receiver_release(struct net_pair *p);
/* Take what the port has, as far as there are buffers. */
void net_receive(struct net_pair *p);

/* ---- net_control.c ---- */

void net_control(struct virtqueue *q);
void net_filter_reset(struct net *n);
/* Does the driver want a frame of which these are the first bytes behind the header? The filter's
 * lock is held. */
bool net_wanted(const struct net *n, const uint8_t frame[18]);

#endif
