/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses of IPv4 and IPv6, with or without a prefix length, and arithmetic on them.
 */
#ifndef PULT_NET_ADDRESS_H
#define PULT_NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

struct address {
    int family;        /* AF_INET, AF_INET6; 0: none */
    unsigned prefix;   /* bits of the network; 32 or 128 where none was said */
    uint8_t bytes[16]; /* in network order; the first 4 of IPv4 */
};

#define ADDRESS_TEXT 56

/* "10.0.0.1", "10.0.0.1/24", "fd00::1/64". */
int address_parse(const char *text, struct address *out, struct error *err);
/* With "/PREFIX" unless bare. Returns out. */
char *address_text(const struct address *a, bool bare, char out[ADDRESS_TEXT]);
bool address_equal(const struct address *a, const struct address *b); /* prefix aside */
/* Is b (or the network of b) within a's network, or a in b's? */
bool address_overlap(const struct address *a, const struct address *b);
/* Is b an address in a's network? */
bool address_contains(const struct address *network, const struct address *b);
/* The network's own address: the bits behind the prefix are 0. */
struct address address_network(const struct address *a);
/* The address n further on (n may be negative); family 0 where it leaves a's network. */
struct address address_add(const struct address *a, int64_t n);
/* b - a, both of IPv4 or in one /64. */
int64_t address_distance(const struct address *a, const struct address *b);

#endif
