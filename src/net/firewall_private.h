/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What firewall.c and firewall_ports.c share: the sets of a network that is guarded. */
#ifndef PULT_NET_FIREWALL_PRIVATE_H
#define PULT_NET_FIREWALL_PRIVATE_H

#include <stdint.h>

#define FIREWALL_TABLE "pult"
#define FIREWALL_SETS  12u

struct firewall_set {
    const char *name, *type;
    const char *parts; /* of its keys, behind the port (key_parts in firewall_ports.c) */
};
extern const struct firewall_set firewall_sets[FIREWALL_SETS];

extern const uint8_t firewall_link_local[8];

#endif
