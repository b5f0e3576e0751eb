/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which address is whose in a network: HOME/networks/NAME.hosts, lines as dnsmasq's dhcp-hostsfile
 * has them ("02:…,10.87.0.12,web1"). A guest has the same address for as long as it has its
 * definition: the one it asked for, or the first that is free in the range.
 */
#ifndef PULT_NET_POOL_H
#define PULT_NET_POOL_H

#include <stdint.h>

#include "base/error.h"
#include "net/address.h"
#include "net/network.h"

/* The address of this card. wanted: family 0, or the one it must be: -1 where another has it. */
int pool_take(const struct network *n, const char *guest, const uint8_t mac[6],
              const struct address *wanted, struct address *out, struct error *err);
/* A guest's definition is gone. */
int pool_release(const char *network, const char *guest, struct error *err);
/* Where a name leads, family 0: nowhere. */
int pool_find(const char *network, const char *guest, struct address *out);

#endif
