/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks: what guests join by name.
 *
 *     HOME/networks/               locked (flock, LOCK_EX) by who changes anything of any network
 *       NAME.conf                  the definition
 *       NAME.hosts                 which address is whose (pool.h)
 *       NAME.leases                what its DHCP server gave out (server.h)
 *     RUN/.networks/NAME/          one per network that is up, or half up
 *       journal                    the steps that made it, and how far they came (journal.h)
 *       ports/GUEST.N              who has joined, and with which interface (join.h)
 *
 * A definition says what shall be. kinds.c makes the plan that leads there from what the host has
 * now (plan.h); the journal carries it out and knows the way back. Nothing here knows guests: they
 * are names.
 *
 *     kind       its interface on the host           what it is to the outside
 *     bridge     a bridge, with net.port in it       a part of the LAN that the port is in
 *     nat        a bridge with addresses, DHCP, DNS  guests reach it with the host's address
 *     routed     the same                            guests reach it with their own addresses
 *     isolated   the same                            nothing
 *     direct     none: macvtap, macvlan on net.port  a part of the LAN, without the host
 *     user       none: passt, pasta                  programs of the user's, who needs no rights
 */
#ifndef PULT_NET_NETWORK_H
#define PULT_NET_NETWORK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "base/error.h"
#include "net/address.h"

enum net_kind { NET_BRIDGE, NET_NAT, NET_ROUTED, NET_ISOLATED, NET_DIRECT, NET_USER, NET_KINDS };

#define NET_ADDRESSES 8u
#define NET_FORWARDS  64u
#define NET_TAPS      64u

/* A port of the host that leads to a guest. */
struct net_forward {
    const char *text; /* as in the definition */
    bool udp;
    struct address from;          /* of the host; family 0: all */
    unsigned first, last;         /* its ports */
    char guest[64];               /* a name, or an address as text */
    struct address guest_address; /* the latter; family 0: it is a name */
    unsigned to;                  /* the guest's first port */
};

/* A tap that root makes for a user, whose guest opens it without any rights. */
struct net_tap {
    const char *text; /* as in the definition */
    char name[IFNAMSIZ];
    char user[33], group[33]; /* names or numbers; "": anybody who is in the other */
    uint8_t mac[6];           /* of the guest: it uses no other where the network is guarded */
    struct address address;   /* IPv4, which it gets by DHCP; family 0: any that is free */
};

struct network {
    char name[IFNAMSIZ]; /* and that of its bridge */
    enum net_kind kind;
    char port[IFNAMSIZ];                     /* a NIC; "": none */
    unsigned vlan, mtu;                      /* 0: none; as it comes */
    struct address addresses[NET_ADDRESSES]; /* the host's own in it, with prefix lengths */
    unsigned address_count;
    struct address dhcp_first, dhcp_last; /* IPv4; family 0: no DHCP */
    const char *domain;                   /* its guests are NAME.domain to each other; NULL: none */
    bool isolate;                         /* guests reach the host's side only, not each other */
    bool guard;                           /* and cannot take each other's addresses */
    bool autostart;
    struct net_forward forwards[NET_FORWARDS];
    unsigned forward_count;
    struct net_tap taps[NET_TAPS];
    unsigned tap_count;
    struct conf *conf; /* what the strings above are in */
};

extern const struct conf_key network_keys[];
const char *net_kind_name(enum net_kind kind);
int net_kind_parse(const char *name, enum net_kind *kind, struct error *err);
bool net_kind_has_bridge(enum net_kind kind); /* its interface is a bridge of its name */
bool net_kind_has_server(enum net_kind kind); /* and it has DHCP and DNS of ours */

/* The name of an interface, and of a file: [A-Za-z0-9][A-Za-z0-9_.-]{0,14}. */
int network_name_check(const char *name, struct error *err);

/* tcp|udp:[ADDRESS:]PORT[-PORT]:GUEST[:PORT[-PORT]]. ADDRESS of IPv6 in []. A conf_value_fn too. */
int net_forward_parse(const char *text, struct net_forward *f, struct error *err);
conf_value_fn net_is_forward;

/*
 * NAME,user=USER[,group=GROUP][,mac=MAC][,address=ADDRESS], of this network: without mac= it is one
 * that is made of both names. A conf_value_fn too.
 */
int net_tap_parse(const char *network, const char *text, struct net_tap *t, struct error *err);
conf_value_fn net_is_tap;
/* Whose a tap is: numbers, -1 for nobody in particular. -1: there is no such user, or group. */
int net_tap_owner(const struct net_tap *t, int64_t *uid, int64_t *gid, struct error *err);

/* From a conf in memory, which the network owns from now on, also on failure. */
int network_from_conf(const char *name, struct conf *conf, struct network **out, struct error *err);
/* -1 with ENOENT where there is none, and the nearest name in the text. */
int network_load(const char *name, struct network **out, struct error *err);
void network_free(struct network *n);
void network_freep(struct network **n);
#define cleanup_network __attribute__((cleanup(network_freep)))

/* The names of all definitions, sorted; a NULL-terminated array for strv_free(). */
size_t network_names(char ***out);

/*
 * Does it get along with the other definitions? Of two with one subnet, one port of the host, one
 * NIC or one tap only one could be up. And does the host know its taps' users?
 */
int network_check_others(const struct network *n, struct error *err);

/* HOME/networks, locked by this process until the descriptor is closed. Made where it is missing. */
int networks_lock(struct error *err);
/*
 * Likewise HOME itself: who runs a program that changes rules has it hold this, too. -1: another has
 * it for five seconds, and is waited for no more.
 */
int networks_rules_lock(void);
/*
 * Under that lock. Write a definition, whole or not at all, after it was held against the keys and
 * the other definitions. EEXIST where `fresh` and it is there.
 */
int network_store(const char *name, const struct conf *conf, bool fresh, struct error *err);
/* Remove a definition and what was kept for it. */
int network_forget(const char *name, struct error *err);

/* RUN/.networks/NAME[/FILE]; FILE may be NULL. Caller frees. */
char *network_run_path(const char *name, const char *file);
/*
 * Make RUN/.networks/NAME. Root's can be passed through and read by others, since dnsmasq, which
 * runs as nobody, has to read there.
 */
int network_run_make(const char *name, struct error *err);
/* HOME/networks/NAME.SUFFIX. Caller frees. */
char *network_home_path(const char *name, const char *suffix);

#endif
