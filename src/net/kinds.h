/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a definition to a plan: what each kind of network needs on a host as it is now.
 */
#ifndef PULT_NET_KINDS_H
#define PULT_NET_KINDS_H

#include "net/host.h"
#include "net/network.h"
#include "net/plan.h"

/*
 * The steps that bring this network up on this host. -1: it cannot be, and why. Changes nothing.
 * Where the network takes a NIC over, addresses, routes, rules, MTU and name servers move with it.
 */
int network_plan(const struct network *n, const struct host *h, struct plan *out,
                 struct error *err);

/* The interface that a bridge or direct network is on: net.port, or its VLAN. */
void network_parent(const struct network *n, char out[IFNAMSIZ]);

/*
 * Fill in what a definition left open and that must not change from now on: a free subnet, the
 * range of DHCP, the domain. Written into conf.
 */
int network_complete(const char *name, struct conf *conf, const struct host *h, struct error *err);

/*
 * Bring a network up if it is down: network_plan() and journal_apply(). A plan with a risk is refused
 * unless somebody confirmed it before, of the same definition: then each step's check has to hold, or
 * all is put back.
 */
int network_up(const char *name, struct error *err);
/* Take it down. -1 with EBUSY while guests are in it, unless forced. */
int network_down(const char *name, bool force, struct error *err);

#endif
