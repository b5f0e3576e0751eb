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

#include <stdbool.h>
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

/* Are a network's rules there, as its definition wants them? */
int firewall_stands(const struct network *n, struct error *err);

/* Are its guests' ports to be in hairpin mode, so that each reaches forwards to itself? */
bool firewall_needs_hairpin(const struct network *n);

/* What its rules counted. */
struct firewall_counts {
    uint64_t out_packets, out_bytes, in_packets, in_bytes, dropped_packets;
};
int firewall_counts(const char *network, struct firewall_counts *out, struct error *err);

/*
 * Forwards to this guest lead to where it is now: for who joins, before it starts. Costs nothing
 * where no forward of the network names it.
 */
int firewall_forwards(const struct network *n, const char *guest, struct error *err);

/*
 * Let only this MAC and these addresses come from this interface; before it becomes a port of the
 * network's bridge. count may be 0 where others give out addresses: then only the MAC is guarded.
 * What an interface of this name was allowed before is forgotten with that interface.
 */
int firewall_guard(const char *network, const char *port, const uint8_t mac[6],
                   const struct address *addresses, unsigned count, struct error *err);
bool firewall_guards(const char *network, const char *port);
/* Forget them; the interface may be gone already. Success where nothing is known of it. */
int firewall_unguard(const char *network, const char *port, const uint8_t mac[6],
                     const struct address *addresses, unsigned count, struct error *err);
/* What firewall_guard() does, or its undoing, as `nft -f` takes it. Caller frees. */
char *firewall_guard_script(const char *network, const char *port, const uint8_t mac[6],
                            const struct address *addresses, unsigned count, bool undo);

#endif
