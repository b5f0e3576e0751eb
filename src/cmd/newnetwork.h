/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A network's definition out of options: what `network create` and `network plan` have in common.
 */
#ifndef PULT_CMD_NEWNETWORK_H
#define PULT_CMD_NEWNETWORK_H

#include "base/conf.h"
#include "cmd/command.h"
#include "net/network.h"

/* Rows for tables of struct cmd_option. */
/* clang-format off */
#define NETWORK_OPTIONS \
    {"kind", 'k', "KIND", false, "bridge, nat, routed, isolated, direct or user"}, \
    {"port", 'p', "NIC", false, "the interface that leads out of a bridge or direct network"}, \
    {"vlan", 0, "ID", false, "a VLAN on that interface"}, \
    {"subnet", 0, "CIDR", true, "its addresses (one that is free); once for IPv4, once for IPv6"}, \
    {"dhcp", 0, "FIRST-LAST", false, "what guests get (most of the subnet); off: nothing"}, \
    {"domain", 0, "DOMAIN", false, "the domain of its guests' names (the network's name)"}, \
    {"forward", 0, "FORWARD", true, "a port of the host for a guest: tcp:8080:GUEST:80"}, \
    {"tap", 0, "TAP", true, "a tap for a user's own guests: NAME,user=USER"}, \
    {"isolate", 0, NULL, false, "guests do not reach each other"}, \
    {"mtu", 0, "BYTES", false, "the largest packet"}, \
    {"mend", 0, NULL, false, "change other firewalls' rules where they would stop it"}, \
    {"autostart", 0, NULL, false, "it comes up with the host"}, \
    {"set", 's', "KEY=VALUE", true, "any other key of the definition; may be repeated"}
/* clang-format on */

/* Was any of them given? */
bool new_network_said(const struct cmd_args *a);
/*
 * The definition that the options make, with what they left open filled in for this host. Returns
 * EXIT_OK and a conf that the caller frees, or what the verb shall end with, the error being printed.
 */
int new_network(const struct cmd_args *a, const char *name, struct conf **out);

#endif
