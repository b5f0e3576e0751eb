/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Figures from the kernel's files: each is read with one pread from a descriptor that stays open,
 * and parsed by the row of a table that its kind selects.
 */
#ifndef PULT_GUEST_FIGURES_H
#define PULT_GUEST_FIGURES_H

#include <stdint.h>

#include "guest/status.h"

/* Totals since the guest's start; a source that tells nothing leaves 0. */
struct totals {
    uint64_t cpu_ns;
    uint64_t memory_bytes;                            /* not a total, but how much now */
    uint64_t resident_bytes;                          /* the same, as the host sees a process */
    uint64_t disk_read, disk_written, net_rx, net_tx; /* bytes */
    uint64_t exits;                                   /* of all vCPUs */
};

struct figure_files {
    int fd[FIGURES]; /* -1: not open */
};

void figures_open(struct figure_files *f, const struct status_page *page);
void figures_close(struct figure_files *f);
void figures_read(const struct figure_files *f, const struct status_page *page, struct totals *out);

/*
 * The addresses of a network namespace, from its fib_trie: "10.0.0.2 10.0.0.3"; no loopback. Of a
 * guest that has none to look into (FIGURE_PAGE), those that this host knows as its neighbours.
 */
void figures_addresses(const struct status_page *page, char *out, size_t room);

/*
 * FIGURE_NET of the kind FIGURE_PAGE may say in its path, as words, what else there is of the guest
 * in the namespace of the reader: "tap=NAME", an interface whose other end it is and whose bytes
 * the page does not count, "mac=ADDRESS", by which its neighbours know it, and "ip=ADDRESS", which a
 * network of ours keeps for it.
 */

/* Is "KIND" followed by VALUE one of these words? */
bool figures_say(const struct status_page *page, const char *kind, const char *value);

/* Parsers, for the tests. v[0] and v[1] are what the kind says. */
void figure_parse(enum figure_kind kind, const char *text, uint64_t v[2]);
void addresses_parse(const char *fib_trie, char *out, size_t room);
/* Add what /proc/net/dev says of the taps among the words, as their guest sees it. */
void taps_parse(const char *words, const char *net_dev, uint64_t v[2]);
/* What the words say themselves, and the neighbours of /proc/net/arp with an address among them. */
void neighbours_parse(const char *words, const char *arp, char *out, size_t room);

#endif
