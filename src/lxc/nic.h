/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network interfaces of containers.
 *
 *     guest.net.N                  cards as all guests have them (net/card.h)
 *     lxc.net.N.KEY                LXC's, which say each thing by itself
 *     lxc.network.KEY              those of 2010: each `type` begins another interface
 *
 * They become one list, in that order; who says no name is called eth0, eth1, … by its place, or
 * the next that no other is called.
 *
 *   keeper                                   first process
 *     network_check()  could it be?
 *                      ◄── NETWORK: its network namespace, and a socket in it ──
 *     network_make()   joins networks; makes interfaces with one end there and the other in its
 *                      bridge; addresses and routes through that socket; pasta
 *                      ── GO, and what is to be in /etc/resolv.conf ──►  network_resolver()
 *     network_unmake() gives all back
 *
 * Without interfaces nothing of this happens. What is in the container's namespace goes with it; the
 * host's ends go with those. What networks keep of a guest is given back also for a keeper that was
 * killed (net/join.h).
 */
#ifndef PULT_LXC_NIC_H
#define PULT_LXC_NIC_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/conf.h"
#include "guest/def.h"
#include "net/address.h"
#include "net/batch.h"
#include "net/card.h"

#define NICS_MOST     32u
#define NIC_ADDRESSES 8u

enum nic_kind {
    NIC_EMPTY, /* lo alone */
    NIC_HOST,  /* "none": the host's own network */
    NIC_VETH,
    NIC_MACVLAN,
    NIC_IPVLAN,
    NIC_VLAN,
    NIC_PHYS,
    NIC_USER,    /* pasta */
    NIC_NETWORK, /* of ours, by its name */
};

struct nic {
    enum nic_kind kind;
    char where[32];                /* for messages: "guest.net.0", "lxc.net.2", "lxc.network" */
    unsigned number;               /* of guest.net.N */
    const char *network;           /* NIC_NETWORK; strings are the definition's, or of `cards` */
    char link[IFNAMSIZ];           /* a bridge, or the interface that it is made of; "": none */
    char name[IFNAMSIZ];           /* inside */
    char pair[IFNAMSIZ];           /* outside; "": of our choice */
    char old_name[IFNAMSIZ];       /* NIC_PHYS: outside, once it was moved */
    char identity[BATCH_IDENTITY]; /* NIC_PHYS: what comes back is to be that, too */
    int index;                     /* inside, which no renaming changes; 0: not there yet */
    uint8_t mac[6];
    bool has_mac, up, router;
    bool own_pair, made,
        joined;          /* the pair's name is of our choice; it is there; so is the guest */
    char **own_forwards; /* the network's to this guest; freed by nics_clear() */
    pid_t supervisor;    /* NIC_USER: pasta's, */
    int channel;         /* and the socket to it */
    unsigned mtu;        /* 0: as it comes */
    unsigned vlan;       /* 0: not said */
    unsigned rx, tx;     /* queues of a veth; 0: not said */
    int mode, isolation;
    struct address addresses[NIC_ADDRESSES], broadcast[NIC_ADDRESSES];
    unsigned address_count;
    struct address gateway, gateway6;
    bool gateway_auto, gateway6_auto;     /* the address of the bridge */
    bool gateway_dev, gateway6_dev;       /* none, just the interface */
    char *script_up, *script_down;        /* scripts, or NULL; freed by nics_clear() */
    struct address routes[NIC_ADDRESSES]; /* of the host's, to it; prefixes */
    unsigned route_count;
    bool l2proxy, proxied;       /* the host answers for its addresses on the link; does so */
    const char *const *forwards; /* NIC_USER: as of struct passt_request, */
    bool host_loopback;          /* and this */
    struct nics *of;             /* it was added later: the list that its strings are of */
};

struct nics {
    unsigned count;
    struct nic *all;    /* at most NICS_MOST */
    bool host;          /* one is NIC_HOST, and the only one */
    struct cards cards; /* whose strings the above have */
};

/* Rows of lxc_keys, and the checks of their values. */
conf_value_fn nic_is_type, nic_is_link, nic_is_flags, nic_is_name, nic_is_mac, nic_is_mtu,
    nic_is_ipv4, nic_is_gateway4, nic_is_ipv6, nic_is_gateway6, nic_is_pair, nic_is_veth_mode,
    nic_is_macvlan_mode, nic_is_ipvlan_mode, nic_is_isolation, nic_is_vlan, nic_is_route4,
    nic_is_route6, nic_is_queues, nic_is_l2proxy, nic_is_script_up, nic_is_port_vlan;
conf_reach_fn nic_reaches; /* for its type */
conf_reach_fn nic_routes;  /* for what the host is to send it, or to answer for it */
/* clang-format off */
#define NIC_KEYS \
    {"lxc.net.#.type", nic_is_type, false, \
     "a network interface: veth, macvlan, ipvlan, vlan, phys, empty, or none for the host's " \
     "network", \
     NULL, .reach = nic_reaches}, \
    {"lxc.net.#.link", nic_is_link, false, "the bridge, or the interface that it is made of", NULL}, \
    {"lxc.net.#.flags", nic_is_flags, false, "up: it is switched on", NULL}, \
    {"lxc.net.#.name", nic_is_name, false, "its name in the container (eth0, …)", NULL}, \
    {"lxc.net.#.hwaddr", nic_is_mac, false, "its MAC address; each x is any digit", NULL}, \
    {"lxc.net.#.mtu", nic_is_mtu, false, "its MTU", NULL}, \
    {"lxc.net.#.ipv4.address", nic_is_ipv4, true, "ADDRESS/PREFIX [BROADCAST]", NULL}, \
    {"lxc.net.#.ipv4.gateway", nic_is_gateway4, false, "an address; auto: that of the link; dev: none", NULL}, \
    {"lxc.net.#.ipv6.address", nic_is_ipv6, true, "ADDRESS/PREFIX", NULL}, \
    {"lxc.net.#.ipv6.gateway", nic_is_gateway6, false, "an address; auto: that of the link; dev: none", NULL}, \
    {"lxc.net.#.veth.pair", nic_is_pair, false, "the name of its end on the host", NULL}, \
    {"lxc.net.#.veth.mode", nic_is_veth_mode, false, \
     "bridge; or router: the host has a route to it, and it needs no link", NULL, .reach = nic_routes}, \
    {"lxc.net.#.macvlan.mode", nic_is_macvlan_mode, false, "private, vepa, bridge or passthru", NULL}, \
    {"lxc.net.#.ipvlan.mode", nic_is_ipvlan_mode, false, "l2, l3 or l3s", NULL}, \
    {"lxc.net.#.ipvlan.isolation", nic_is_isolation, false, "bridge, private or vepa", NULL}, \
    {"lxc.net.#.vlan.id", nic_is_vlan, false, "the VLAN's number", NULL}, \
    {"lxc.net.#.veth.ipv4.route", nic_is_route4, true, "NETWORK/PREFIX that the host reaches through it", NULL, .reach = nic_routes}, \
    {"lxc.net.#.veth.ipv6.route", nic_is_route6, true, "NETWORK/PREFIX that the host reaches through it", NULL, .reach = nic_routes}, \
    {"lxc.net.#.veth.n_rxqueues", nic_is_queues, false, "how many queues both ends receive by (1)", NULL}, \
    {"lxc.net.#.veth.n_txqueues", nic_is_queues, false, "how many queues both ends send by (1)", NULL}, \
    {"lxc.net.#.veth.vlan.id", nic_is_port_vlan, false, "the VLAN of its port of the bridge: refused, " \
     "since what it keeps apart would not be; a script.up can set it", NULL}, \
    {"lxc.net.#.veth.vlan.tagged.id", nic_is_port_vlan, true, "likewise", NULL}, \
    {"lxc.net.#.l2proxy", nic_is_l2proxy, false, "1: the host answers on the link for its addresses", NULL, .reach = nic_routes}, \
    {"lxc.net.#.script.up", nic_is_script_up, false, \
     "a program run on the host when the interface is there, with NAME net up TYPE [LINK [PAIR]], " \
     "or by lxc.hook.version 1 LXC_NET_TYPE, LXC_NET_PARENT, LXC_NET_PEER", NULL, .reach = conf_reaches}, \
    {"lxc.net.#.script.down", nic_is_script_up, false, "one run before it goes", NULL, .reach = conf_reaches}
#define NIC_OLD(old, check, today) \
    {"lxc.network." old, check, true, "old name of lxc.net.N." today, NULL, .now = "lxc.net.#." today}
#define NIC_KEYS_OLD \
    NIC_OLD("type", nic_is_type, "type"), \
    NIC_OLD("link", nic_is_link, "link"), \
    NIC_OLD("flags", nic_is_flags, "flags"), \
    NIC_OLD("name", nic_is_name, "name"), \
    NIC_OLD("hwaddr", nic_is_mac, "hwaddr"), \
    NIC_OLD("mtu", nic_is_mtu, "mtu"), \
    NIC_OLD("ipv4", nic_is_ipv4, "ipv4.address"), \
    NIC_OLD("ipv4.gateway", nic_is_gateway4, "ipv4.gateway"), \
    NIC_OLD("ipv6", nic_is_ipv6, "ipv6.address"), \
    NIC_OLD("ipv6.gateway", nic_is_gateway6, "ipv6.gateway"), \
    NIC_OLD("veth.pair", nic_is_pair, "veth.pair"), \
    NIC_OLD("macvlan.mode", nic_is_macvlan_mode, "macvlan.mode"), \
    NIC_OLD("vlan.id", nic_is_vlan, "vlan.id"), \
    NIC_OLD("script.up", nic_is_script_up, "script.up"), \
    NIC_OLD("script.down", nic_is_script_up, "script.down"), \
    {"lxc.network.script", nic_is_script_up, true, "old name of lxc.net.N.script.up", NULL, .now = "lxc.net.#.script.up"}
/* clang-format on */

int nics_load(const struct guest_def *def, struct nics *out, struct error *err);
/* Tell of keys that say nothing of an interface of that type, or of one that is not switched on. */
void nics_warn(const struct conf *conf, void (*tell)(void *arg, const char *text), void *arg);
void nics_clear(struct nics *n);
/*
 * Of a definition that has one more: it becomes the last of the list. where: "guest.net.2".
 * Returns it, NULL on failure.
 */
struct nic *nics_take(struct nics *all, const struct guest_def *def, const char *where,
                      struct error *err);
/* Is one of them called so? */
bool nics_named(const struct nics *all, const char *name);
/* Forget one. */
void nics_drop(struct nics *all, struct nic *n);
/* Is there anything to be made? */
bool nics_any(const struct nics *n);

struct container;
struct config;

/* Could they be made, as far as can be told? */
int network_check(const struct guest_def *def, const struct nics *all, struct error *err);
/* Before the first process is told to go: hear of its namespace and make them. */
int network_make(struct container *c, struct error *err);
void network_unmake(struct container *c);
/* Take away what a keeper that was killed left on the host, and the kernel did not. */
void network_recover(const struct guest_def *def);
/* The same of one, while the container runs; n is one of its list. */
int network_add(struct container *c, struct nic *n, struct error *err);
int network_remove(struct container *c, struct nic *n, struct error *err);
/* netplug.c. Give a running container another interface, or take one away. */
struct plug_request;
int network_plug(struct container *c, struct plug_request *p, struct error *err);
int network_unplug(struct container *c, struct plug_request *p, struct error *err);
/* engine.plug_lines */
int network_lines(struct conf *conf, struct plug_request *p, struct error *err);

/* In the container: put that into the root file system. What cannot be written stays. */
void network_resolver(const struct config *c, int rootfd, const char *text);

#endif
