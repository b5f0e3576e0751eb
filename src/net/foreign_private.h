/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What foreign.c and its helpers share: foreign_walk.c sends packets through rules on paper,
 * foreign_iptables.c reads rules that nft does not show, or not whole.
 */
#ifndef PULT_NET_FOREIGN_PRIVATE_H
#define PULT_NET_FOREIGN_PRIVATE_H

#include <jansson.h>
#include <stdbool.h>

#include "net/network.h"

/* What a packet is known to be; NULL: that is not known. */
struct packet {
    const char *what; /* for people */
    const char *hook;
    const char *in, *out; /* "": some other interface */
    const char *state;    /* of its connection */
    const char *protocol; /* of layer 4 */
    const char *family;   /* ipv4, ipv6 */
    unsigned port;        /* destination; 0: not known */
    bool dnat;
    bool neighbour; /* it is a neighbour solicitation */
};

struct look {
    const struct network *n;
    const struct packet *packet;
    json_t *rules; /* the array "nftables" */
    const char *family, *table;
    unsigned steps;
};

/* ---- foreign_walk.c ---- */

/* Is it of this family and table, and (chain not NULL) of this chain? */
bool foreign_belongs(const struct look *l, const json_t *o, const char *chain);
/* Does this base chain drop the packet? */
bool foreign_blocks(struct look *l, const json_t *base);

/* ---- foreign_iptables.c ---- */

/*
 * The program of iptables' that has this family's ("ip", "ip6") rules in nf_tables, or those of old;
 * NULL: it is not here. Caller frees.
 */
char *iptables_program(const char *family, bool legacy);
/* Are there rules of old in this namespace? Asks nobody: that would load their modules. */
bool iptables_has_legacy(const char *family);
/*
 * Its table "filter", in the words of `nft -j list ruleset`; a new array, or NULL where it cannot
 * be read.
 */
json_t *iptables_rules(const char *program, const char *family);

#endif
