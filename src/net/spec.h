/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses, routes and rules as text, in iproute2's syntax: made from what rtnetlink says of one,
 * and read back to the request that makes the same again. What the text cannot tell is said
 * (`whole`), so that nobody takes away what he could not bring back.
 *
 *     address    "10.0.0.2/24 brd 10.0.0.255 scope global label eth0 metric 100"
 *     route      "default via 10.0.0.1 dev eth0 proto dhcp scope global src 10.0.0.2 metric 100"
 *     rule       "pref 100 from 10.0.0.0/24 iif eth0 lookup 7"
 *
 * Words are parted by single blanks; no name in them has one.
 */
#ifndef PULT_NET_SPEC_H
#define PULT_NET_SPEC_H

#include <linux/netlink.h>
#include <netlink/msg.h>
#include <stdbool.h>

#include "base/error.h"
#include "net/address.h"

/* Text, for the caller to free. */
char *spec_of_address(const struct nlmsghdr *m, bool *whole);
char *spec_of_route(const struct nlmsghdr *m, bool *whole);
char *spec_of_rule(const struct nlmsghdr *m, bool *whole);

/* Requests of a type (RTM_NEW…, RTM_DEL…). NULL: it cannot be read, or a device is not there. */
struct nl_msg *spec_to_address(const char *spec, const char *device, int type, int flags,
                               struct error *err);
struct nl_msg *spec_to_route(int family, const char *spec, int type, int flags, struct error *err);
struct nl_msg *spec_to_rule(int family, const char *spec, int type, int flags, struct error *err);

/* Is word in it, with this value behind it (NULL: any)? */
bool spec_has(const char *spec, const char *word, const char *value);
/* The value behind a word, "" if the word is not there. Returns out. */
char *spec_value(const char *spec, const char *word, char *out, size_t size);
/* A copy in which the value `from` behind this word is `to` each time; with NULL: without both. */
char *spec_replace(const char *spec, const char *word, const char *from, const char *to);
/* A copy without a word that has no value. */
char *spec_drop(const char *spec, const char *word);
/* A copy in which what counts down (valid_lft 3599sec, expires 1790sec) is told as "dynamic". */
char *spec_timeless(const char *spec);

#endif
