/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which address is whose in a network: HOME/networks/NAME.hosts, lines as dnsmasq's dhcp-hostsfile
 * has them ("02:…,10.87.0.12,web1"), with ",set" behind where the engine sets the address, or ",tap" where it is a tap's of
 * the definition, and not a guest's. A card has the same address for as long as it has its
 * definition: the one it asked for, or the first that is free in the range. A guest's name leads to
 * the first of its cards.
 */
#ifndef PULT_NET_POOL_H
#define PULT_NET_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "net/address.h"
#include "net/network.h"

struct pool_entry {
    uint8_t mac[6];
    struct address address; /* IPv4, its prefix 32 */
    bool set;               /* by the guest's engine, with that of IPv6: it is there without DHCP */
    bool tap;               /* of the definition; then this is its name: */
    char guest[64];
};
/* All of them, in the order in which they came. None where there is no file. Frees: the caller. */
int pool_read(const char *network, struct pool_entry **out, size_t *count, struct error *err);

/*
 * The address of this card, with the network's prefix length; family 0 where the network has none
 * of IPv4. Out of the range of DHCP, or, where that is off, out of the host's own network there.
 * The server is told. wanted: family 0, or the one it must be: -1 where another has it. set: as in
 * the entry.
 */
int pool_take(const struct network *n, const char *guest, const uint8_t mac[6], bool set,
              const struct address *wanted, struct address *out, struct error *err);
/* Is there an address for one more? */
bool pool_has_room(const struct network *n);
/* A guest's definition is gone. */
int pool_release(const char *network, const char *guest, struct error *err);

/*
 * The addresses that the definition's taps have, or are going to have, in the order of n->taps; family
 * 0 where the network gives none. Changes nothing.
 */
int pool_plan_taps(const struct network *n, struct address out[NET_TAPS], struct error *err);
/* One of them is made, with the address that was planned; one is no more. */
int pool_take_tap(const struct network *n, const struct net_tap *tap, const struct address *planned,
                  struct error *err);
int pool_release_tap(const char *network, const char *tap, struct error *err);

/* Where a name leads; family 0, and -1: nowhere. mac may be NULL. */
int pool_find(const char *network, const char *guest, struct address *out, uint8_t mac[6]);
/*
 * The address of IPv6 that a guest with this MAC makes of what the network's router advertises (RFC
 * 4291, appendix A), in the network's first prefix; family 0 where it has none of IPv6. DHCPv6 gives
 * it the same, and for one without such clients the engine sets it.
 */
void pool_address6(const struct network *n, const uint8_t mac[6], struct address *out);
void pool_address6_in(const uint8_t prefix[8], const uint8_t mac[6], uint8_t out[16]);
/*
 * DHCPv6 knows a client by an identifier (DUID) that changes when another system is installed, and
 * until the old one's lease is over the address is the old one's. So each guest has some in reserve,
 * which nobody else can have: number n, from 1, beside the address that is made of its MAC.
 */
#define POOL_SPARES 3u
void pool_spare6(const uint8_t own[16], unsigned n, uint8_t out[16]);

#endif
