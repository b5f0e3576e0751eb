/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which address is whose in a network: HOME/networks/NAME.hosts, lines as dnsmasq's dhcp-hostsfile
 * has them ("02:…,10.87.0.12,web1"). A card has the same address for as long as it has its
 * definition: the one it asked for, or the first that is free in the range. A guest's name leads to
 * the first of its cards.
 */
#ifndef PULT_NET_POOL_H
#define PULT_NET_POOL_H

#include <stdint.h>

#include "base/error.h"
#include "net/address.h"
#include "net/network.h"

struct pool_entry {
    uint8_t mac[6];
    struct address address; /* IPv4, its prefix 32 */
    char guest[64];
};
/* All of them, in the order in which they came. None where there is no file. Frees: the caller. */
int pool_read(const char *network, struct pool_entry **out, size_t *count, struct error *err);

/*
 * The address of this card, with the network's prefix length; family 0 where the network has none
 * of IPv4. Out of the range of DHCP, or, where that is off, out of the host's own network there.
 * The server is told. wanted: family 0, or the one it must be: -1 where another has it. */
int pool_take(const struct network *n, const char *guest, const uint8_t mac[6],
              const struct address *wanted, struct address *out, struct error *err);
/* A guest's definition is gone. */
int pool_release(const char *network, const char *guest, struct error *err);
/* Where a name leads; family 0, and -1: nowhere. mac may be NULL. */
int pool_find(const char *network, const char *guest, struct address *out, uint8_t mac[6]);
/*
 * The address of IPv6 that a guest with this MAC makes of what the network's router advertises (RFC
 * 4291, appendix A), in the network's first prefix; family 0 where it has none of IPv6. Of one
 * without such a client the engine sets the same.
 */
void pool_address6(const struct network *n, const uint8_t mac[6], struct address *out);

#endif
