/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of operations that plans are made of, see plan.h. {1} to {6} are a step's arguments.
 */
#include "net/plan.h"
#include "net/step_private.h"

/* NAME */
static const struct step_op bridge_add = {
    .name = "bridge-add",
    .what = "create the bridge {1}",
    .command = "ip link add {1} type bridge forward_delay 0",
    .undo_command = "ip link delete {1}",
    .proof = "the bridge {1} is there",
    .apply = step_bridge_add,
    .undo = step_link_delete,
    .check = step_bridge_check,
};

/* NAME PARENT ID */
static const struct step_op vlan_add = {
    .name = "vlan-add",
    .what = "create {1}, the VLAN {3} of {2}",
    .command = "ip link add {1} link {2} type vlan id {3}",
    .undo_command = "ip link delete {1}",
    .proof = "{1} is there",
    .apply = step_vlan_add,
    .undo = step_link_delete,
    .check = step_vlan_check,
};

/* NAME, which was off */
static const struct step_op link_up_op = {
    .name = "link-up",
    .what = "switch {1} on",
    .command = "ip link set {1} up",
    .undo_command = "ip link set {1} down",
    .proof = "{1} is on",
    .apply = step_up,
    .undo = step_down,
    .check = step_up_check,
};

/* NAME MTU OLD */
static const struct step_op link_mtu = {
    .name = "link-mtu",
    .what = "set the MTU of {1} to {2}",
    .command = "ip link set {1} mtu {2}",
    .undo_command = "ip link set {1} mtu {3}",
    .proof = "the MTU of {1} is {2}",
    .apply = step_mtu,
    .undo = step_mtu_undo,
    .check = step_mtu_check,
};

/* NAME MAC OLD */
static const struct step_op link_mac = {
    .name = "link-mac",
    .what = "give {1} the hardware address {2}",
    .command = "ip link set {1} address {2}",
    .undo_command = "ip link set {1} address {3}",
    .proof = "the hardware address of {1} is {2}",
    .apply = step_mac,
    .undo = step_mac_undo,
    .check = step_mac_check,
};

/* NIC BRIDGE OLD, which is "nomaster" or "master NAME" */
static const struct step_op port_add = {
    .name = "port-add",
    .what = "make {1} a port of {2}",
    .command = "ip link set {1} master {2}",
    .undo_command = "ip link set {1} {3+}",
    .proof = "{1} is a port of {2}",
    .apply = step_port_add,
    .undo = step_port_undo,
    .check = step_port_check,
};

/* NAME NETWORK SETTINGS PROMISE COMMAND UNDO (taps.h) */
static const struct step_op tap = {
    .name = "tap",
    .what = "make the tap {1}, a port of {2} ({3})",
    .command = "{5!}",
    .undo_command = "{6!}",
    .proof = "the tap {1} is a port of {2}, for {4}",
    .apply = step_tap,
    .undo = step_tap_undo,
    .check = step_tap_check,
};

/* DEV SPEC */
static const struct step_op address_add = {
    .name = "address-add",
    .what = "give {1} the address {2}",
    .command = "ip address add {2+} dev {1}",
    .undo_command = "ip address del {2+} dev {1}",
    .proof = "{1} has the address {2}",
    .apply = step_address_add,
    .undo = step_address_del,
    .check = step_address_there,
};
static const struct step_op address_del = {
    .name = "address-del",
    .what = "take the address {2} from {1}",
    .command = "ip address del {2+} dev {1}",
    .undo_command = "ip address add {2+} dev {1}",
    .proof = "{1} has the address {2} no more",
    .apply = step_address_del,
    .undo = step_address_add,
    .check = step_address_gone,
};

/* 4|6 SPEC */
static const struct step_op route_add = {
    .name = "route-add",
    .what = "add the route {2}",
    .command = "ip -{1} route add {2+}",
    .undo_command = "ip -{1} route del {2+}",
    .proof = "the route {2} is there",
    .apply = step_route_add,
    .undo = step_route_del,
    .check = step_route_there,
};
static const struct step_op route_del = {
    .name = "route-del",
    .what = "remove the route {2}",
    .command = "ip -{1} route del {2+}",
    .undo_command = "ip -{1} route add {2+}",
    .proof = "the route {2} is gone",
    .apply = step_route_del,
    .undo = step_route_add,
    .check = step_route_gone,
};
static const struct step_op rule_add = {
    .name = "rule-add",
    .what = "add the routing rule {2}",
    .command = "ip -{1} rule add {2+}",
    .undo_command = "ip -{1} rule del {2+}",
    .proof = "the routing rule {2} is there",
    .apply = step_rule_add,
    .undo = step_rule_del,
    .check = step_rule_there,
};
static const struct step_op rule_del = {
    .name = "rule-del",
    .what = "remove the routing rule {2}",
    .command = "ip -{1} rule del {2+}",
    .undo_command = "ip -{1} rule add {2+}",
    .proof = "the routing rule {2} is gone",
    .apply = step_rule_del,
    .undo = step_rule_add,
    .check = step_rule_gone,
};

/* KEY VALUE OLD NETWORK: undone when no other network needs it */
static const struct step_op sysctl = {
    .name = "sysctl",
    .what = "set {1} to {2}",
    .command = "sysctl -w {1}={2}",
    .undo_command = "sysctl -w {1}={3}",
    .proof = "{1} is {2}",
    .apply = step_sysctl,
    .undo = step_sysctl_undo,
    .check = step_sysctl_check,
};

/* NETWORK SCRIPT UNDO; without a script: that of its definition as it is then */
static const struct step_op firewall = {
    .name = "firewall",
    .what = "add the firewall's rules of {1}",
    .command = "nft -f - <<'END'\n{2!}\nEND",
    .undo_command = "nft -f - <<'END'\n{3!}\nEND",
    .proof = "the rules of {1} are there",
    .apply = step_firewall,
    .undo = step_firewall_undo,
    .check = step_firewall_check,
    .again = true,
};

/* NETWORK FILE CONFIGURATION: of what runs, and of what does the same by hand (server.h) */
static const struct step_op server = {
    .name = "server",
    .what = "start the DHCP and DNS server of {1}",
    .command = "dnsmasq --conf-file=- <<'END'\n{3!}END",
    .undo_command = "kill $(cat /run/pult-{1}.pid); rm -f /run/pult-{1}.pid /run/pult-{1}.leases",
    .proof = "the DHCP and DNS server of {1} runs",
    .apply = step_server,
    .undo = step_server_undo,
    .check = step_server_check,
};

/* WHO COMMAND UNDO: words of programs, as str_split_words() reads them */
static const struct step_op mend = {
    .name = "mend",
    .what = "have {1} let this network's packets pass",
    .command = "{2!}",
    .undo_command = "{3!}",
    .proof = "{1} was told to",
    .apply = step_mend,
    .undo = step_mend_undo,
};

/* MANAGER NIC COMMAND UNDO */
static const struct step_op release = {
    .name = "release",
    .what = "have {1} let go of {2}",
    .command = "{3!}",
    .undo_command = "{4!}",
    .proof = "{1} keeps its hands off {2}",
    .apply = step_release,
    .undo = step_release_undo,
    .check = step_release_check,
};

/* MANAGER BRIDGE COMMAND UNDO IAID, of which the last may be "" */
static const struct step_op renew = {
    .name = "renew",
    .what = "have {1} renew the address of {2}",
    .command = "{3!}",
    .undo_command = "{4!}",
    .proof = "{1} keeps the address of {2}",
    .apply = step_renew,
    .undo = step_renew_undo,
    .check = step_renew_check,
};

/* FROM TO SERVERS */
static const struct step_op dns_move = {
    .name = "dns-move",
    .what = "have the name servers of {1} asked through {2}",
    .command = "resolvectl dns {2} {3+}; resolvectl dns {1} ''",
    .undo_command = "resolvectl dns {1} {3+}",
    .proof = "the name servers {3} are asked through {2}",
    .apply = step_dns_move,
    .undo = step_dns_undo,
};

/* FROM TO DOMAINS */
static const struct step_op domain_move = {
    .name = "domain-move",
    .what = "have names of {1} looked for through {2}",
    .command = "resolvectl domain {2} {3+}; resolvectl domain {1} ''",
    .undo_command = "resolvectl domain {1} {3+}",
    .proof = "names of {3} are looked for through {2}",
    .apply = step_domain_move,
    .undo = step_domain_undo,
};

const struct step_op *const step_ops[] = {
    &bridge_add, &vlan_add,    &link_up_op,  &link_mtu,  &link_mac,  &port_add,
    &tap,        &address_add, &address_del, &route_add, &route_del, &rule_add,
    &rule_del,   &sysctl,      &firewall,    &server,    &mend,      &release,
    &dns_move,   &domain_move, &renew,       NULL,
};
