/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The networks of a definition (net/card.h): each guest.net.N becomes a network device with a tap
 * or passt as its port.
 */
#ifndef PULT_KVM_NETWORKS_H
#define PULT_KVM_NETWORKS_H

#include "base/error.h"

struct guest_def;
struct keeper;
struct machine;

/* Could they be set up now, as far as can be told? Changes nothing. */
int networks_check(const struct guest_def *def, struct error *err);
/* Put them on the machine's bus, in their order, before it has threads. */
int networks_add(struct machine *m, struct keeper *k, struct error *err);

#endif
