/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taps for users: ports of a network that root gives away. A user's guest may not make a tap, nor a
 * port of a bridge, but it may open a tap that is its user's. So a network makes those that its
 * definition names (net.tap), each in one step of its plan: a persistent tap of that user's, with a
 * header for offloads and as many queues as are opened, in the bridge, guarded and isolated as the
 * port of a guest of root's would be, with an address kept for it where the network has DHCP.
 *
 *     tap  NAME NETWORK SETTINGS PROMISE COMMAND UNDO
 *
 * SETTINGS is what step_tap.c does it by ("user 1000 mtu 1400 hairpin guard"), PROMISE the guest's MAC
 * and addresses. What a tap was made for is written on it as its alias, "pult NETWORK MAC", before it
 * becomes persistent: what has none, or another, is not ours. By it the user's guest learns its MAC.
 */
#ifndef PULT_NET_TAPS_H
#define PULT_NET_TAPS_H

#include "net/host.h"
#include "net/network.h"
#include "net/plan.h"

#define TAP_STEP "tap"

/* Their steps. */
int taps_plan(const struct network *n, const struct host *h, struct plan *p, struct error *err);

/* What the kernel is told is this tap's alias. */
void tap_alias(const char *network, const uint8_t mac[6], char out[64]);

/* The tap of this name is this network's, and somebody's guest has it open. */
bool tap_is_used(const char *network, const char *name);
/* The name of a tap that is used and that `stays` (NULL: nothing) does not have as n does, or NULL. */
const char *taps_used(const struct network *n, const struct network *stays);

#endif
