/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way of a packet through a network, looked at from the guest's end to the outside: what is as
 * it should be, what is not, and what mends it. Leaves all as it was: to ask the server as a guest
 * would, root makes a port for so long (probe.h).
 */
#ifndef PULT_NET_DOCTOR_H
#define PULT_NET_DOCTOR_H

#include "base/error.h"

enum net_finding { NET_FINDING_OK, NET_FINDING_NOTE, NET_FINDING_BAD };

/* One thing looked at; remedy may be NULL. */
typedef void net_finding_fn(void *arg, enum net_finding f, const char *subject, const char *text,
                            const char *remedy);

/* -1: it cannot be looked at, such as where there is no such network. */
int network_examine(const char *name, net_finding_fn *report, void *arg, struct error *err);

#endif
