/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The functions of the rows of step.c. "apply" leaves nothing behind where it fails, and is a
 * success where the thing is as wanted already; "undo" where there is nothing to be undone.
 */
#ifndef PULT_NET_STEP_PRIVATE_H
#define PULT_NET_STEP_PRIVATE_H

#include "net/plan.h"

typedef int step_fn(const struct step *s, struct error *err);

/* step_link.c */
step_fn step_bridge_add, step_bridge_check, step_vlan_add, step_vlan_check, step_link_delete;
step_fn step_up, step_down, step_up_check;
step_fn step_mtu, step_mtu_undo, step_mtu_check;
step_fn step_mac, step_mac_undo, step_mac_check;
step_fn step_port_add, step_port_undo, step_port_check;

/* step_tap.c */
step_fn step_tap, step_tap_undo, step_tap_check;

/* step_route.c */
step_fn step_address_add, step_address_del, step_address_there, step_address_gone;
step_fn step_route_add, step_route_del, step_route_there, step_route_gone;
step_fn step_rule_add, step_rule_del, step_rule_there, step_rule_gone;

/* step_host.c */
step_fn step_sysctl, step_sysctl_undo, step_sysctl_check;
step_fn step_firewall, step_firewall_undo, step_firewall_check;
step_fn step_server, step_server_undo, step_server_check;
step_fn step_mend, step_mend_undo;
step_fn step_release, step_release_undo, step_release_check;
step_fn step_dns_move, step_dns_undo, step_domain_move, step_domain_undo;
step_fn step_renew, step_renew_undo, step_renew_check;

/* The value of net/…/KEY, NULL: it is not there. Caller frees. */
char *sysctl_read(const char *key);

#endif
