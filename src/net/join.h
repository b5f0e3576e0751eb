/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a guest's card gets into a network, and out again. For both engines:
 *
 *     network_join()    the network is up from now on; the card's address, MTU, bridge
 *     the engine makes its tap or veth
 *     network_attach()  the port goes into the bridge, guarded and isolated as the network wants it
 *     network_leave()   what was kept of it is given back; also by others, for a guest that was killed
 *
 * RUN/.networks/NAME/ports/GUEST.N says who is there, and by which interface.
 */
#ifndef PULT_NET_JOIN_H
#define PULT_NET_JOIN_H

#include <net/if.h>
#include <stdint.h>

#include "base/error.h"
#include "net/address.h"
#include "net/network.h"

struct join {
    char network[IFNAMSIZ], guest[64];
    unsigned card; /* N */
    enum net_kind kind;
    uint8_t mac[6];
    unsigned mtu;           /* 0: as it comes */
    char bridge[IFNAMSIZ];  /* "": none */
    char parent[IFNAMSIZ];  /* of a macvtap or macvlan; "": none */
    struct address address; /* IPv4, with the network's prefix; family 0: by DHCP of others */
    struct address gateway; /* family 0: none */
    struct address address6, gateway6;
    char dns[ADDRESS_TEXT], domain[64]; /* "": none */
    bool isolate, guard;
};

int network_join(const char *network, const char *guest, unsigned card, const uint8_t mac[6],
                 const struct address *wanted, struct join *out, struct error *err);
int network_attach(const struct join *j, const char *port, struct error *err);
int network_leave(const char *network, const char *guest, unsigned card, struct error *err);
/* All cards of a guest in all networks. */
int network_leave_all(const char *guest, struct error *err);

/* Who is in a network now. */
struct member {
    char guest[64];
    unsigned card;
    char port[IFNAMSIZ];
    uint8_t mac[6];
    struct address address;
};
int network_members(const char *network, struct member **out, size_t *count, struct error *err);

#endif
