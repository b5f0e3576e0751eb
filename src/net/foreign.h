/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other people's firewalls. A packet that our table accepts may still be dropped by a base chain of
 * theirs: Docker sets the policy of FORWARD to drop, firewalld rejects what is in no zone, and so
 * may rules by hand. What is found is said, with what would mend it; that is done with consent
 * only, as steps of the network's plan, and taken back with it.
 */
#ifndef PULT_NET_FOREIGN_H
#define PULT_NET_FOREIGN_H

#include "net/network.h"
#include "net/plan.h"

/* Look for what stands in the way of this network; a note for each, and (mend) steps. */
int foreign_plan(const struct network *n, bool mend, struct plan *p, struct error *err);

#endif
