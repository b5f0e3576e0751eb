/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taps: Ethernet interfaces whose other end is a descriptor.
 *
 * One that is there already (taps.h, or ip tuntap add …) is used and left, with its owner's rights. One that
 * is not there is made, which takes CAP_NET_ADMIN, and never made persistent: the kernel removes it
 * with the last descriptor, so it cannot outlive the process that holds it, however that ends.
 *
 * A macvtap is the like on a NIC: its frames go out there with the guest's own address. It is made,
 * too, but stays until it is removed (net/join.h).
 *
 * Each descriptor is a queue of the interface. A frame is read or written whole, with a virtio-net
 * header before it (IFF_VNET_HDR) that says what is left to do for its checksum and segmentation.
 */
#ifndef PULT_NET_TAP_H
#define PULT_NET_TAP_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define TAP_QUEUES 16u

struct tap_request {
    const char *name;   /* "" or NULL: make a new one, with a name of the kernel's choice */
    const char *bridge; /* what it is to be a port of; NULL: left as it is */
    unsigned queues;    /* 1 to TAP_QUEUES */
    unsigned mtu;       /* 0: as it is, and that of the bridge for a new one */
    unsigned header;    /* bytes of the header before each frame: 10 or 12 */
    const uint8_t *mac; /* the guest's address: a new one in a bridge is given one beside it */
    bool port;          /* a new one, that others will make a port of a bridge */
    const char *parent; /* not NULL: no tap but a macvtap of this name, on this interface */
};

struct tap {
    char name[IFNAMSIZ];
    int fd[TAP_QUEUES]; /* non-blocking */
    unsigned queues;
    unsigned mtu;
    bool made;         /* by us */
    unsigned offloads; /* TUN_F_…: what its frames may leave undone */
};

/* Could it be opened, as far as can be told? Changes nothing. */
int tap_check(const struct tap_request *rq, struct error *err);
/* Open and switch it on. On failure nothing remains, but an existing one may be switched on. */
int tap_open(const struct tap_request *rq, struct tap *out, struct error *err);
void tap_close(struct tap *t); /* accepts what was zeroed */

/* What the frames that are read may leave undone, of `offloads`. 0, or -1 with errno. */
int tap_set_offloads(const struct tap *t, unsigned offloads);
/* Use so many of its queues, from 1: the others get no frames. */
void tap_use_queues(const struct tap *t, unsigned n);

#endif
