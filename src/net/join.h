/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a guest's card gets into a network, and out again. For both engines:
 *
 *     network_join()    the network is up from now on; the card's address, MTU, bridge, and the name
 *                       that its interface on the host is to have
 *     the engine makes its tap, veth or macvtap by that name
 *     network_attach()  the port goes into the bridge, guarded and isolated as the network wants it
 *     network_leave()   what was kept of it is given back, and its interface is removed
 *
 * RUN/.networks/NAME/ports/GUEST.N says who is there, and by which interface; it is written before
 * there is anything else to give back. So anybody can do that: the guest's keeper (a container's,
 * at the end of each of its lives), whoever gives up its runtime directory (a VM's janitor), or the
 * next pult that finds a guest whose keeper was killed.
 */
#ifndef PULT_NET_JOIN_H
#define PULT_NET_JOIN_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "net/address.h"
#include "net/network.h"

struct join {
    char network[IFNAMSIZ], guest[64];
    unsigned card; /* N */
    enum net_kind kind;
    uint8_t mac[6];
    char port[IFNAMSIZ];    /* what its interface on the host is to be called; "": it has none */
    unsigned mtu;           /* 0: as it comes */
    char bridge[IFNAMSIZ];  /* "": none */
    char parent[IFNAMSIZ];  /* of a macvtap or macvlan; "": none */
    struct address address; /* IPv4, with the network's prefix; family 0: by DHCP of others */
    struct address gateway; /* family 0: none */
    struct address address6, gateway6;
    char dns[ADDRESS_TEXT], domain[64]; /* "": none */
    bool isolate, guard;
    bool hairpin; /* of its port, see firewall.h */
};

/* A name for the host's interface of a guest's card, the same each time. */
void network_port_name(const char *guest, unsigned card, char out[IFNAMSIZ]);

/* sets: the engine will set the addresses, so that the guest has them without asking. */
int network_join(const char *network, const char *guest, unsigned card, const uint8_t mac[6],
                 bool sets, const struct address *wanted, struct join *out, struct error *err);
int network_attach(const struct join *j, const char *port, struct error *err);
/*
 * Who is in the network has its port in the bridge, guarded: where that, or the rules, were taken
 * away and made anew. Interfaces that are gone are no failure.
 */
int network_put_back(const struct network *n, struct error *err);
/* Also where it was never there, or has left already. */
int network_leave(const char *network, const char *guest, unsigned card, struct error *err);
/* All cards of a guest in all networks; `forever`: its addresses are given back, too. */
int network_leave_all(const char *guest, bool forever, struct error *err);
/* A guest that is in none, and is no more: its addresses are given back. */
int network_forget_guest(const char *guest, struct error *err);

/*
 * The forwards to this guest of a network of the kind `user`, as passt has them (passt.h). A
 * NULL-terminated array for strv_free(), or NULL: there are none.
 */
char **network_user_forwards(const char *network, const char *guest);

/* Who is in a network now, sorted. The caller frees *out. */
struct member {
    char guest[64];
    unsigned card;
    char port[IFNAMSIZ];
    uint8_t mac[6];
    struct address address; /* family 0: not known to us */
};
int network_members(const char *network, struct member **out, size_t *count, struct error *err);

#endif
