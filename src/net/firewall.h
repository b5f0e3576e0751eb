/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules: one table "inet pult" for what is forwarded, translated and counted, and one "bridge pult"
 * that keeps guests from taking each other's addresses. Each network has chains of its own, to which
 * the base chains lead through maps from its interface's name; so networks come and go without
 * touching one another's rules or counters. Each change is one transaction of `nft -f -`.
 *
 * Whose port has which addresses is a set; elements of it come and go with guests, which is frequent
 * and must be quick, so they are sent to the kernel directly (nfnetlink), without a process.
 *
 * Rules of others that would drop what these let through (Docker's and firewalld's) are in foreign.h.
 */
#ifndef PULT_NET_FIREWALL_H
#define PULT_NET_FIREWALL_H

#include <stdint.h>

#include "base/error.h"
#include "net/address.h"
#include "net/network.h"

/* Is nft there, and may it be used? */
int firewall_check(struct error *err);
/* The script for a network, as `nft -f` takes it: it may be read, and pasted. Caller frees. */
char *firewall_script(const struct network *n);
/* And the one that takes it back. */
char *firewall_undo_script(const char *network);
int firewall_run(const char *script, struct error *err);

/* What its rules counted. */
struct firewall_counts {
    uint64_t out_packets, out_bytes, in_packets, in_bytes, dropped_packets;
};
int firewall_counts(const char *network, struct firewall_counts *out, struct error *err);

/* Let only these addresses come from this port of this network's bridge; count may be 0. */
int firewall_guard(const char *port, const uint8_t mac[6], const struct address *addresses,
                   unsigned count, struct error *err);
/* Forget them. Those of interfaces that are gone are forgotten, too. */
int firewall_unguard(const char *port, const uint8_t mac[6], const struct address *addresses,
                     unsigned count, struct error *err);

#endif
