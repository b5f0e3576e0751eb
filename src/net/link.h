/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network interfaces of this network namespace: what the kernel says of one, and the few things
 * that are done to those of guests.
 */
#ifndef PULT_NET_LINK_H
#define PULT_NET_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct link {
    char name[IFNAMSIZ];
    int index;
    int master; /* index of the bridge that it is a port of; 0: none */
    unsigned mtu;
    bool up;                /* switched on */
    bool running;           /* and something is at its other end */
    uint8_t mac[6];         /* zeroes: it has none */
    char kind[16];          /* "bridge", "tun" (which a tap is too), "veth", …; "" for hardware */
    bool isolated, hairpin; /* as a port of a bridge */
    char alias[64];         /* what somebody wrote on it (link_look() tells; as the next) */
    /* A tap: whose it is, -1 for nobody; and what its queues are. */
    int64_t uid, gid;
    bool multi_queue, vnet_header, persistent;
    unsigned queues; /* of several that there may be: those that are open */
};

/* A name that an interface can have. */
int link_name_check(const char *name, struct error *err);

/* -1 with ENODEV where there is none of this name. */
int link_look(const char *name, struct link *out, struct error *err);
/*
 * Is it a tap that a network made for a user's guest (taps.h), and for which address of the guest's?
 * `network` may be NULL.
 */
bool link_is_promised(const struct link *l, char network[IFNAMSIZ], uint8_t mac[6]);
/* The name of an interface by its number, "?" if there is none. */
const char *link_name(int index, char out[IFNAMSIZ]);

int link_up(const char *name, struct error *err);
int link_set_mtu(const char *name, unsigned mtu, struct error *err);
int link_set_mac(const char *name, const uint8_t mac[6], struct error *err);
/*
 * The host takes no addresses, routes or name servers from what is at its other end (router
 * advertisements of IPv6). Before it is switched on.
 */
void link_distrust(const char *name);
/* The hardware address that a bridge of ours of this name has on this host each time. */
void link_own_mac(const char *name, uint8_t out[6]);
/*
 * The address of the host's end of what leads to a guest, made of the guest's. A bridge takes the lowest
 * of its ports' for its own, and would change it with each guest that comes and goes: this is higher
 * than any other. It is never the guest's own, or the bridge would keep the guest's frames.
 */
void link_host_mac(const uint8_t guest[6], uint8_t out[6]);
/* Make it a port of a bridge. */
int link_join(const char *name, const char *bridge, struct error *err);
/*
 * The host's end of what leads to a guest: distrusted, a port of this bridge, and switched on. An
 * isolated port reaches only those that are not (bridge(8), "isolated"); a hairpin port may be handed
 * what came from it.
 */
int link_make_port(const char *name, const char *bridge, bool isolated, bool hairpin,
                   struct error *err);
/* A macvtap (mode bridge) on a NIC, switched on. */
int link_make_macvtap(const char *name, const char *parent, const uint8_t mac[6], unsigned mtu,
                      struct error *err);
/* -1 with ENODEV where there is none. */
int link_delete(const char *name, struct error *err);

#endif
