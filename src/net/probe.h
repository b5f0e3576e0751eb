/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asking a network's server as a guest would: a DHCPDISCOVER (RFC 2131) and a router solicitation (RFC
 * 4861) come in by a port of the bridge, and what comes out there is waited for. Nothing is requested, so
 * the server lends nothing.
 *
 *     a process of its own, in a network namespace of its own
 *       veth ──── port of the bridge ── rules of all ── dnsmasq
 *
 * The pair is that namespace's: should everybody be killed, it goes with the last of them. Guests see no
 * more of it than the offer, which goes to all of them as any that is asked for in this way.
 */
#ifndef PULT_NET_PROBE_H
#define PULT_NET_PROBE_H

#include <stdbool.h>

#include "base/error.h"
#include "net/address.h"
#include "net/network.h"

struct probe {
    bool heard;   /* what asked for IPv4 came past all rules, to where the server listens */
    bool offered; /* and this is the answer: */
    struct address address; /* for whom there is none, */
    struct address server;  /* by whoever calls itself so; family 0: it does not */
    bool advertised;        /* the answer for IPv6 */
};

/* Ask for what the network has. -1: it could not be asked. Takes up to 1.5 seconds. */
int network_probe(const struct network *n, struct probe *out, struct error *err);

#endif
