/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network device (virtio 1.2, 5.1), and what it needs of whatever carries its frames: a port.
 * net_tap.c and net_passt.c are ports; a test has one of its own.
 */
#ifndef PULT_KVM_VIRTIO_NET_H
#define PULT_KVM_VIRTIO_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/error.h"
#include "kvm/virtio/virtio.h"

#define NET_PAIRS    16u
#define NET_QUEUE    256u
#define NET_HEADER   12u /* 5.1.6: struct virtio_net_hdr of a modern device */
#define NET_TAGS     8u  /* two VLAN tags */
#define NET_ETHERNET 14u /* the header of a frame */
#define NET_MOST     (65535u + NET_ETHERNET + NET_TAGS) /* the longest frame, unsegmented */
#define NET_MTU_MIN  68u                                /* 5.1.4.1 */
#define NET_MTU_MOST 65535u

struct net_port;

/*
 * All but attach() and close() run on workers: those with a pair on the pair's own, the others on
 * the device's first.
 */
struct net_port_ops {
    /*
     * The device is there: watch descriptors on net_worker(), and say net_readable(),
     * net_writable() when frames may have come, or can go again. Before the workers run.
     */
    int (*attach)(struct net_port *p, struct error *err);
    /* A driver began: what was there for the one before is of no interest. */
    void (*begin)(struct net_port *p);
    /* Frames that are received may leave these of port->features undone. */
    void (*set_offloads)(struct net_port *p, uint64_t features);
    /* Frames are received on the first so many pairs. */
    void (*set_pairs)(struct net_port *p, unsigned pairs);
    /*
     * Receive one frame behind its header: how long both are, or -EAGAIN, or another error where
     * no more will come. There is room for every frame.
     */
    ssize_t (*receive)(struct net_port *p, unsigned pair, const struct iovec *iov, unsigned count);
    /*
     * Send header and frame, c->in: 0, or -EAGAIN: net_writable() will follow. What cannot be
     * sent ever is dropped, and another error.
     */
    int (*send)(struct net_port *p, unsigned pair, struct chain *c);
    void (*close)(struct net_port *p); /* no worker runs; frees it */

    /*
     * Optional, where port->kernel: let the kernel serve a pair that is live, interrupting by
     * call[0] (receiving) and call[1]. It goes on where the queues are. -1 with err: it does not.
     */
    int (*kernel_start)(struct net_port *p, unsigned pair, struct virtqueue *const queues[2],
                        const int call[2], struct error *err);
    /* The queues are where it left off, by virtqueue_take_back(). */
    void (*kernel_stop)(struct net_port *p, unsigned pair, struct virtqueue *const queues[2]);
};

struct net_port {
    const struct net_port_ops *ops;
    uint64_t features; /* VIRTIO_NET_F_…: offloads that it does, of NET_OFFLOADS */
    unsigned pairs;    /* 1 to NET_PAIRS */
    unsigned mtu;      /* NET_MTU_MIN to NET_MTU_MOST */
    bool down;         /* there is no link yet: net_set_link() follows */
    bool kernel;       /* it has kernel_start() */
    struct net *net;   /* whose it is; set before attach() */
};

struct net_config {
    struct net_port *port; /* the device's from net_add() on, when that succeeds */
    const char *name;      /* "network 0", for messages; copied */
    uint8_t mac[6];
    uint64_t *received, *sent; /* bytes, added to atomically; may be NULL */
};

/* NULL: see err. */
struct virtio_device *net_add(struct virtio_bus *bus, const struct net_config *config,
                              struct error *err);

/* Plug the cable in or pull it. From any thread, with no lock of the device held. */
void net_set_link(struct net *n, bool up);
/* Have the driver tell its neighbours where it is now, if it can (5.1.6.5.4). As above. */
void net_announce(struct net *n);

/* ---- for ports ---- */

const char *net_name(const struct net *n);
struct worker *net_worker(struct net *n, unsigned pair);
struct virtio_device *net_device(struct net *n);
bool net_has(const struct net *n, unsigned feature); /* negotiated */

/* On the pair's worker. */
void net_readable(struct net *n, unsigned pair);
void net_writable(struct net *n, unsigned pair);

#define NET_OFFLOADS                                                                  \
    (VIRTIO_FEATURE(VIRTIO_NET_F_CSUM) | VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO4) |     \
     VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_FEATURE(VIRTIO_NET_F_HOST_ECN) | \
     VIRTIO_FEATURE(VIRTIO_NET_F_HOST_UFO) | NET_GUEST_OFFLOADS)
#define NET_GUEST_OFFLOADS                                                               \
    (VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO4) | \
     VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO6) | VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_ECN) |  \
     VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_UFO))

/* Read or write at an offset in a list of buffers; as far as they reach. Returns how much. */
size_t net_peek(const struct iovec *iov, unsigned count, size_t offset, void *data, size_t len);
size_t net_poke(const struct iovec *iov, unsigned count, size_t offset, const void *data,
                size_t len);

#endif
