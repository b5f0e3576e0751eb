/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What kinds.c, takeover.c and forwarding.c share.
 */
#ifndef PULT_NET_KINDS_PRIVATE_H
#define PULT_NET_KINDS_PRIVATE_H

#include "net/host.h"
#include "net/network.h"
#include "net/plan.h"

/*
 * Steps that make a NIC a port of the network's bridge, which was planned before, and move to the
 * bridge what the NIC has: addresses, routes, rules, name servers.
 */
int plan_takeover(const struct network *n, const struct host *h, const struct link *nic,
                  struct plan *p, struct error *err);
/* For a bridge that takes a NIC's place: the settings that are not as all interfaces have them. */
void plan_settings(const struct network *n, const struct link *nic, struct plan *p);
/* Have the host forward packets of this family. */
void plan_forwarding(const struct network *n, const struct host *h, int family, struct plan *p);
/* "sysctl KEY VALUE", with the value that is to be put back. */
void plan_sysctl(const struct network *n, const char *key, const char *value, struct plan *p);

#endif
