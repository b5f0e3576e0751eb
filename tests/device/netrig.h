/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests of the network device share: a board with one, its driver, and a port of the test's
 * own whose frames are packets on sockets.
 *
 *     driver ◄── rings ──► device ◄── port ──► socket pair ──► the test: netrig_take(), netrig_give()
 */
#ifndef PULT_TESTS_DEVICE_NETRIG_H
#define PULT_TESTS_DEVICE_NETRIG_H

#include <linux/virtio_net.h>

#include "device/driver.h"
#include "kvm/virtio/net.h"
#include "kvm/virtio/net_private.h"

#define NETRIG_ALL_OFFLOADS NET_OFFLOADS
#define NETRIG_HEADER       NET_HEADER
#define NETRIG_FRAMES       (64u << 10)

struct netrig_port {
    struct net_port port;
    struct worker_source sources[NET_PAIRS]; /* the device's ends */
    int ends[NET_PAIRS];                     /* the test's */
    unsigned begun, pairs;
    uint64_t offloads;
    bool blocked; /* sending gives -EAGAIN */
    unsigned closed;

    /* What the kernel is pretended to do. */
    bool in_kernel[NET_PAIRS], kernel_fails;
    int calls[NET_PAIRS][2];
    unsigned starts, stops;
    uint16_t kernel_took[2]; /* chains of each queue, which it gives back with nothing in them */
};

struct netrig {
    struct board b;
    struct driver d;
    struct netrig_port *port;
    struct virtio_device *device;
    uint64_t received, sent;
    unsigned pairs;
};

extern const uint8_t netrig_mac[6], netrig_peer[6];

/* Build it, with a port of these offloads. */
void netrig_create(struct netrig *r, unsigned pairs, uint64_t offloads, bool kernel);
/* Probe and start the driver with all queues. */
void netrig_start(struct netrig *r, uint64_t features, uint16_t size);
/* Both, with everything negotiated. */
void netrig_up(struct netrig *r);
void netrig_destroy(struct netrig *r);

/* A frame for the guest, or from it, of len bytes with its header first; the payload is a pattern. */
void netrig_frame(uint8_t *at, size_t len, const uint8_t to[6], uint8_t seed);
bool netrig_is_frame(const uint8_t *at, size_t len, const uint8_t to[6], uint8_t seed);

/* Let a frame come in on a pair. */
void netrig_give(struct netrig *r, unsigned pair, const void *data, size_t len);
/* The next frame that went out, -1: there is none. */
ssize_t netrig_take(struct netrig *r, unsigned pair, void *data, size_t room);

/* Offer a writable buffer of one piece to receive into. */
struct seg netrig_offer(struct netrig *r, unsigned pair, uint32_t len);
/* A control command: the answer, or -1. */
int netrig_command(struct netrig *r, uint8_t class, uint8_t command, const void *data, size_t len);
unsigned netrig_control_queue(const struct netrig *r);
uint16_t netrig_status(struct netrig *r); /* of the configuration */

#endif
