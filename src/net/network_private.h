/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What network.c and network_tap.c share. */
#ifndef PULT_NET_NETWORK_PRIVATE_H
#define PULT_NET_NETWORK_PRIVATE_H

#include "net/network.h"

/* What a definition's taps say of each other, and of the rest of it. */
int net_check_taps(const struct network *n, struct error *err);
/* And of another network. */
int net_check_taps_pair(const struct network *n, const struct network *o, struct error *err);
/* Does the host know their users and groups? */
int net_check_owners(const struct network *n, struct error *err);

#endif
