/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of networks, see firewall.h. What belongs to the network N in "inet pult":
 *
 *     from-N, to-N   what may leave it and come into it; the base chain `forward` leads to them
 *                    through the maps `from` and `to`, by the name of the interface
 *     pre-N, out-N   its forwards: for what comes from outside, and from the host itself
 *     post-N         translation to the host's address
 *     out-N, in-N, drop-N   counters, which stay what they are when the rules are made anew
 *
 * The last three chains are base chains of their own, for there is no name to find them by: any
 * interface may bring what a forward is for.
 *
 * In "bridge pult" N has the base chain guard-N and the sets it looks into, all of whose keys begin
 * with the index of a port. An index is never given twice, so what was kept of an interface that is
 * gone allows nobody anything.
 *
 *     ports-N     the guarded ones; what comes from others is not looked at
 *     macs-N      . MAC
 *     self-N      . the same index, for flood-N, see below
 *     fixed-N     those of whom the addresses are known, too
 *     four-N      . address of IPv4: nothing else may be a sender's, in IPv4 and in ARP
 *     clients-N   . MAC, for what DHCP speaks of
 *     six-N       . address of IPv6; taken-N has the same without the ports, and those of the host
 *     nd-N        as six-N, for what neighbour discovery (RFC 4861) speaks of; and ndtaken-N
 *     own4-N      . MAC and ether type . address, all in one, for what most packets are; and own6-N
 *
 * Of IPv6 a guest may have other addresses besides (temporary ones, RFC 8981), as long as nobody
 * else is known to have them. Router advertisements, redirects, and answers of DHCP servers come
 * from no guest. What is neither ARP nor IP, or has a VLAN tag, passes from no fixed port.
 *
 * Where bridged packets are shown to the rules of routed ones (br_netfilter, as Docker wants it), what
 * a guest sends to a forward is translated within the bridge. If it leads to the guest itself, the
 * frame has to leave by the port that it came in by: ports of networks with forwards, and of those
 * with taps, are in hairpin mode. The base chain flood-N, which there is only then, sees to it that
 * nobody gets his own broadcasts back by that, which to duplicate address detection (RFC 4862,
 * 5.4.3) would look like somebody else.
 */
#include "net/firewall.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/firewall_private.h"
#include "net/link.h"
#include "net/nfnl.h"
#include "net/pool.h"
#include "net/program.h"

#define TABLE FIREWALL_TABLE

/* ---- the program ---- */

int firewall_check(struct error *err)
{
    cleanup_free char *nft = program_find("nft");

    if (!nft) {
        error_set(err, 0, "networks of this kind need the program nft, which is not there");
        if (err)
            err->code = ENOENT;
        return error_hint(err, "install the package nftables");
    }
    return nfnl_check(err);
}

int firewall_run(const char *script, struct error *err)
{
    static const char *const nft[] = {"nft", "-f", "-", NULL};

    if (!*script)
        return 0;
    /* Killed, it leaves a program behind that may change rules yet: who comes next waits for that. */
    cleanup_close int lock = networks_rules_lock();
    if (program_run_holding(lock, nft, script, NULL, err) == 0)
        return 0;
    error_wrap(err, "change the firewall's rules");
    return err && err->code == ENOENT ? error_hint(err, "install the package nftables") : -1;
}

/* ---- scripts ---- */

/* "{ 10.87.0.0/24, … }", the network's of one family; false: it has none. */
static bool put_subnets(FILE *f, const struct network *n, int family, const char *also)
{
    char text[ADDRESS_TEXT];
    bool some = *also;

    for (unsigned i = 0; i < n->address_count; i++)
        some |= n->addresses[i].family == family;
    if (!some)
        return false;
    fprintf(f, "{ %s", also);
    const char *comma = *also ? ", " : "";
    for (unsigned i = 0; i < n->address_count; i++) {
        if (n->addresses[i].family != family)
            continue;
        const struct address net = address_network(&n->addresses[i]);
        fprintf(f, "%s%s", comma, address_text(&net, false, text));
        comma = ", ";
    }
    fputs(" }", f);
    return true;
}

static bool has_family(const struct network *n, int family)
{
    for (unsigned i = 0; i < n->address_count; i++)
        if (n->addresses[i].family == family)
            return true;
    return false;
}

/* The rules of one chain, made anew: RULE is what is before each. */
#define RULE "add rule inet " TABLE " "

static void put_chain(FILE *f, const char *chain, const char *n, const char *base)
{
    fprintf(f, "add chain inet " TABLE " %s-%s%s%s%s\n", chain, n, *base ? " { type " : "", base,
            *base ? "; policy accept; }" : "");
    fprintf(f, "flush chain inet " TABLE " %s-%s\n", chain, n);
}

/* What all networks share. Made anew by each of them, as the same. */
static void put_tables(FILE *f)
{
    fputs("add table inet " TABLE "\n"
          "add map inet " TABLE " from { type ifname : verdict; size 1024; }\n"
          "add map inet " TABLE " to { type ifname : verdict; size 1024; }\n"
          "add chain inet " TABLE
          " forward { type filter hook forward priority filter; policy accept; }\n"
          "flush chain inet " TABLE " forward\n" RULE "forward iifname vmap @from\n" RULE
          "forward oifname vmap @to\n",
          f);
}

/* What leaves it must have one of its own addresses as the sender. */
static void put_own_only(FILE *f, const struct network *n, int family)
{
    const char *ip = family == AF_INET ? "ip" : "ip6";

    fprintf(f, RULE "from-%s ", n->name);
    if (has_family(n, family)) {
        fprintf(f, "%s saddr != ", ip);
        put_subnets(f, n, family, "");
    } else {
        fprintf(f, "meta nfproto %s", family == AF_INET ? "ipv4" : "ipv6");
    }
    fprintf(f, " counter name \"drop-%s\" drop\n", n->name);
}

/*
 * Between guests of an isolated port the bridge lets nothing pass, but the host, asked to, would
 * route it. A bridge with a port into the LAN is left alone: where bridged packets come by here
 * (br_netfilter), they could not be told from routed ones. What stays inside never comes to to-N.
 */
static void put_inside(FILE *f, const struct network *n)
{
    const char *name = n->name;

    if (n->isolate && !*n->port) {
        fprintf(f, RULE "from-%s oifname \"%s\" ct status dnat accept\n", name, name);
        fprintf(f, RULE "from-%s oifname \"%s\" counter name \"drop-%s\" drop\n", name, name, name);
    } else {
        fprintf(f, RULE "from-%s oifname \"%s\" accept\n", name, name);
    }
}

/*
 * A connection is assured when it went on after its answer (of TCP, what carries a MSS is through by
 * then): what it began with was held against all rules, and the many packets that follow need not be.
 */
static void put_filter(FILE *f, const struct network *n)
{
    const char *name = n->name;

    put_chain(f, "from", name, "");
    put_chain(f, "to", name, "");
    put_inside(f, n);
    if (n->kind == NET_ISOLATED) {
        fprintf(f, RULE "from-%s counter name \"drop-%s\" drop\n", name, name);
        fprintf(f, RULE "to-%s counter name \"drop-%s\" drop\n", name, name);
        return;
    }
    if (net_kind_has_server(n->kind) && n->address_count) {
        fprintf(f, RULE "from-%s ct status assured counter name \"out-%s\" return\n", name, name);
        put_own_only(f, n, AF_INET);
        put_own_only(f, n, AF_INET6);
        fprintf(f, RULE "from-%s tcp flags & (syn|rst) == syn tcp option maxseg size set rt mtu\n",
                name);
    }
    fprintf(f, RULE "from-%s counter name \"out-%s\"\n", name, name);
    if (n->kind == NET_NAT) {
        fprintf(f, RULE "to-%s ct state established,related counter name \"in-%s\" return\n", name,
                name);
        fprintf(f, RULE "to-%s ct status dnat counter name \"in-%s\" return\n", name, name);
        fprintf(f, RULE "to-%s counter name \"drop-%s\" drop\n", name, name);
    } else {
        fprintf(f, RULE "to-%s counter name \"in-%s\"\n", name, name);
    }
}

/* ---- translation ---- */

/*
 * Groups and broadcasts stay as they are. What a guest sends to a forward of its own network comes
 * back to it only if the other guest, its neighbour, answers to the host.
 */
static void put_masquerade(FILE *f, const struct network *n)
{
    static const struct {
        int family;
        const char *ip, *groups;
    } families[] = {{AF_INET, "ip", "{ 224.0.0.0/4, 255.255.255.255 }"},
                    {AF_INET6, "ip6", "{ ff00::/8 }"}};
    const char *name = n->name;

    put_chain(f, "post", name, "nat hook postrouting priority srcnat");
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        const char *ip = families[i].ip;
        if (!has_family(n, families[i].family))
            continue;
        if (n->kind == NET_NAT) {
            fprintf(f, RULE "post-%s oifname != \"%s\" %s saddr ", name, name, ip);
            put_subnets(f, n, families[i].family, "");
            fprintf(f, " %s daddr != %s masquerade\n", ip, families[i].groups);
        }
        fprintf(f, RULE "post-%s oifname \"%s\" ct status dnat %s saddr ", name, name, ip);
        put_subnets(f, n, families[i].family, "");
        fputs(" masquerade\n", f);
    }
}

/* Where a forward leads; false: to nobody yet. */
static bool forward_to(const struct network *n, const struct net_forward *fw, struct address *to)
{
    uint8_t mac[6];

    *to = fw->guest_address;
    if (to->family)
        return true;
    if (pool_find(n->name, fw->guest, to, mac) < 0)
        return false;
    if (fw->from.family == AF_INET6)
        pool_address6(n, mac, to);
    return to->family != 0;
}

/*
 * One rule for one forward. nft would spread a range of ports over another; a map keeps the first
 * with the first.
 */
static void put_forward(FILE *f, const char *chain, const struct network *n,
                        const struct net_forward *fw, const struct address *to)
{
    const char *l4 = fw->udp ? "udp" : "tcp", *ip = to->family == AF_INET ? "ip" : "ip6";
    const char *open = to->family == AF_INET ? "" : "[", *close = *open ? "]" : "";
    char from[ADDRESS_TEXT], guest[ADDRESS_TEXT];

    address_text(to, true, guest);
    fprintf(f, RULE "%s-%s meta nfproto %s ", chain, n->name,
            to->family == AF_INET ? "ipv4" : "ipv6");
    if (fw->from.family)
        fprintf(f, "%s daddr %s ", ip, address_text(&fw->from, true, from));
    else
        fprintf(f, "fib daddr type local %s daddr != %s ", ip,
                to->family == AF_INET ? "127.0.0.0/8" : "::1");
    fprintf(f, "%s dport %u", l4, fw->first);
    if (fw->last != fw->first)
        fprintf(f, "-%u", fw->last);
    if (fw->to == fw->first) {
        fprintf(f, " dnat %s to %s\n", ip, guest);
    } else if (fw->last == fw->first) {
        fprintf(f, " dnat %s to %s%s%s:%u\n", ip, open, guest, close, fw->to);
    } else {
        fprintf(f, " dnat %s to %s%s%s : %s dport map {", ip, open, guest, close, l4);
        for (unsigned i = 0; i <= fw->last - fw->first; i++)
            fprintf(f, "%s %u : %u", i ? "," : "", fw->first + i, fw->to + i);
        fputs(" }\n", f);
    }
}

static void put_forwards(FILE *f, const struct network *n)
{
    static const struct {
        const char *chain, *base;
    } chains[] = {{"pre", "nat hook prerouting priority dstnat"},
                  {"out", "nat hook output priority -100"}};

    for (size_t c = 0; c < ARRAY_SIZE(chains); c++) {
        put_chain(f, chains[c].chain, n->name, chains[c].base);
        for (unsigned i = 0; i < n->forward_count; i++) {
            struct address to;
            if (forward_to(n, &n->forwards[i], &to))
                put_forward(f, chains[c].chain, n, &n->forwards[i], &to);
        }
    }
}

/* ---- the guard ---- */

static void put_taken(FILE *f, const struct network *n, const struct address *a)
{
    char text[ADDRESS_TEXT];

    fprintf(f, "add element bridge " TABLE " taken-%s { %s }\n", n->name,
            address_text(a, true, text));
    fprintf(f, "add element bridge " TABLE " ndtaken-%s { 0x", n->name);
    for (size_t i = 0; i < 16; i++)
        fprintf(f, "%02x", a->bytes[i]);
    fputs(" }\n", f);
}

/* The host's own addresses of IPv6 are nobody else's. */
static void put_host(FILE *f, const struct network *n)
{
    struct address local = {.family = AF_INET6, .prefix = 64};
    struct link l;

    for (unsigned i = 0; i < n->address_count; i++)
        if (n->addresses[i].family == AF_INET6)
            put_taken(f, n, &n->addresses[i]);
    if (link_look(n->name, &l, NULL) < 0) /* it is about to be made */
        link_own_mac(n->name, l.mac);
    pool_address6_in(firewall_link_local, l.mac, local.bytes);
    put_taken(f, n, &local);
}

/*
 * The rules; {} is the network's name, and "!" what is done with what is not as it should be. What
 * most packets are, is through after the first of its kind, with one look into a set: whose it is,
 * and no DHCP. The ether type is looked at with the MAC behind which it is, and is another where
 * there is a VLAN tag. Where more than a header is looked at, what is as it should be passes and the
 * rest does not: of a fragment that ends before, no rule is true. Both ports are held against
 * ranges: of two single numbers nft 1.0.6 makes one comparison, of both together.
 */
#define OWN4 "iif . @ll,48,64 . @nh,96,32 @own4-{} "
#define OWN6 "iif . @ll,48,64 . @nh,64,128 @own6-{} "
static const char *const guard_rules[] = {
    ("meta l4proto tcp " OWN4 "accept"),
    ("meta l4proto tcp " OWN6 "accept"),
    ("meta l4proto udp " OWN4 "udp sport != 67-68 udp dport != 67-68 accept"),
    ("meta l4proto udp " OWN6 "udp sport != 546-547 udp dport != 546-547 accept"),
    "iif != @ports-{} accept",
    "iif . ether saddr != @macs-{} !",
    "ether type arp iif . arp saddr ether != @macs-{} !",
    "iif != @fixed-{} accept",
    "ether type != { arp, ip, ip6 } !",
    /* Who asks whether an address is free says that he is about to take it (RFC 5227). */
    "ether type arp arp saddr ip 0.0.0.0 iif . arp daddr ip @four-{} accept",
    "ether type arp iif . arp saddr ip != @four-{} !",
    /* A client of DHCP is known by what it says of itself: op, htype, hlen, and chaddr (RFC 2131). */
    ("ip saddr 0.0.0.0 udp sport 68 udp dport 67 @th,64,24 0x010106 "
     "iif . @th,288,48 @clients-{} accept"),
    "ether type ip iif . ip saddr != @four-{} !",
    "ether type ip udp sport 67 !",
    "ether type ip udp dport 67 @th,64,24 0x010106 iif . @th,288,48 @clients-{} accept",
    "ether type ip udp dport 67 !",
    "ether type != ip6 accept", /* the rest, which most packets need not pass, is of IPv6 */
    "udp sport 547 !",
    "icmpv6 type { nd-router-advert, nd-redirect } !",
    "ip6 saddr @taken-{} iif . ip6 saddr != @six-{} !",
    "icmpv6 type nd-neighbor-advert @th,64,128 @ndtaken-{} iif . @th,64,128 != @nd-{} !",
    ("ip6 saddr :: icmpv6 type nd-neighbor-solicit @th,64,128 @ndtaken-{} "
     "iif . @th,64,128 != @nd-{} !"),
    /* Nobody is a relay of DHCPv6, who could say for whom he asks (RFC 8415, 7.3; RFC 6939). */
    "udp dport 547 @th,64,8 1-11 accept",
    "udp dport 547 !",
};

#define RULES_LAST 2u /* of those; before them comes what networks the sender may be of */

static void put_guard_rule(FILE *f, const char *rule, const char *name)
{
    fprintf(f, "add rule bridge " TABLE " guard-%s ", name);
    for (const char *p = rule; *p; p++) {
        if (p[0] == '{' && p[1] == '}') {
            fputs(name, f);
            p++;
        } else if (p[0] == '!' && p[1] == '\0') {
            fprintf(f, "counter name \"drop-%s\" drop", name);
        } else {
            fputc(*p, f);
        }
    }
    fputc('\n', f);
}

/* Taps are made for good: a mode that changed would be another step, which takes them from their VMs. */
bool firewall_needs_hairpin(const struct network *n)
{
    return n->guard && (n->kind == NET_NAT || n->kind == NET_ROUTED) &&
           (n->forward_count || n->tap_count);
}

/* A base chain of the table of bridges, empty. */
static void put_bridge_chain(FILE *f, const char *chain, const char *n, const char *hook)
{
    fprintf(f,
            "add chain bridge " TABLE
            " %s-%s { type filter hook %s priority filter; policy accept; }\n"
            "flush chain bridge " TABLE " %s-%s\n",
            chain, n, hook, chain, n);
}

static void put_guard(FILE *f, const struct network *n)
{
    const char *name = n->name;

    fprintf(f, "add table bridge " TABLE "\nadd counter bridge " TABLE " drop-%s\n", name);
    for (size_t i = 0; i < FIREWALL_SETS; i++)
        fprintf(f, "add set bridge " TABLE " %s-%s { %s; }\n", firewall_sets[i].name, name,
                firewall_sets[i].type);
    put_host(f, n);
    put_bridge_chain(f, "guard", name, "prerouting");
    for (size_t i = 0; i < ARRAY_SIZE(guard_rules); i++) {
        if (i == ARRAY_SIZE(guard_rules) - RULES_LAST) {
            fprintf(f, "add rule bridge " TABLE " guard-%s ip6 saddr != ", name);
            put_subnets(f, n, AF_INET6, "::, fe80::/10");
            fprintf(f, " counter name \"drop-%s\" drop\n", name);
        }
        put_guard_rule(f, guard_rules[i], name);
    }
    put_bridge_chain(f, "flood", name, "forward");
    if (firewall_needs_hairpin(n))
        fprintf(f,
                "add rule bridge " TABLE
                " flood-%s meta pkttype { broadcast, multicast } iif . oif @self-%s drop\n",
                name, name);
    else /* even an empty one is asked about each packet */
        fprintf(f, "delete chain bridge " TABLE " flood-%s\n", name);
}

/* ---- whole scripts ---- */

static const char *const counters[] = {"out", "in", "drop"};
static const char *const chains_of_nat[] = {"pre", "out", "post"};

char *firewall_script(const struct network *n)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    const char *name = n->name;

    if (!f || !net_kind_has_bridge(n->kind)) {
        if (f)
            fclose(f);
        free(text);
        return xstrdup("");
    }
    put_tables(f);
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
        fprintf(f, "add counter inet " TABLE " %s-%s\n", counters[i], name);
    put_filter(f, n);
    fprintf(f, "add element inet " TABLE " from { \"%s\" : jump from-%s }\n", name, name);
    fprintf(f, "add element inet " TABLE " to { \"%s\" : jump to-%s }\n", name, name);
    if (n->kind == NET_NAT || n->kind == NET_ROUTED) {
        put_masquerade(f, n);
        put_forwards(f, n);
    }
    if (n->guard)
        put_guard(f, n);
    fclose(f);
    return text;
}

/*
 * What is to be deleted is made first, so that the script also succeeds where it is not there, or
 * only half. With the last network the tables go.
 */
char *firewall_undo_script(const char *network)
{
    static const char *const bases[] = {"nat hook prerouting priority dstnat",
                                        "nat hook output priority -100",
                                        "nat hook postrouting priority srcnat"};
    cleanup_free char *from = xasprintf("from-%s", network);
    cleanup_free char *guard = xasprintf("guard-%s", network);
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        return xstrdup("");
    if (nfnl_has_chain(NFPROTO_INET, TABLE, "from-", from)) {
        put_tables(f);
        put_chain(f, "from", network, "");
        put_chain(f, "to", network, "");
        for (size_t i = 0; i < 2; i++) {
            const char *map = i ? "to" : "from";
            fprintf(f, "add element inet " TABLE " %s { \"%s\" : jump %s-%s }\n", map, network, map,
                    network);
            fprintf(f, "delete element inet " TABLE " %s { \"%s\" }\n", map, network);
            fprintf(f, "delete chain inet " TABLE " %s-%s\n", map, network);
        }
        for (size_t i = 0; i < ARRAY_SIZE(chains_of_nat); i++) {
            put_chain(f, chains_of_nat[i], network, bases[i]);
            fprintf(f, "delete chain inet " TABLE " %s-%s\n", chains_of_nat[i], network);
        }
        for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
            fprintf(f, "add counter inet " TABLE " %s-%s\ndelete counter inet " TABLE " %s-%s\n",
                    counters[i], network, counters[i], network);
    } else {
        fputs("add table inet " TABLE "\ndelete table inet " TABLE "\n", f);
    }
    if (nfnl_has_chain(NFPROTO_BRIDGE, TABLE, "guard-", guard)) {
        put_bridge_chain(f, "guard", network, "prerouting");
        put_bridge_chain(f, "flood", network, "forward");
        fprintf(f,
                "delete chain bridge " TABLE " guard-%s\ndelete chain bridge " TABLE " flood-%s\n",
                network, network);
        for (size_t i = 0; i < FIREWALL_SETS; i++)
            fprintf(f,
                    "add set bridge " TABLE " %s-%s { %s; }\ndelete set bridge " TABLE " %s-%s\n",
                    firewall_sets[i].name, network, firewall_sets[i].type, firewall_sets[i].name,
                    network);
        fprintf(f,
                "add counter bridge " TABLE " drop-%s\ndelete counter bridge " TABLE " drop-%s\n",
                network, network);
    } else {
        fputs("add table bridge " TABLE "\ndelete table bridge " TABLE "\n", f);
    }
    fclose(f);
    return text;
}

/* Do both maps lead to the network's chains? */
static bool is_led_to(const char *network)
{
    static const char *const maps[] = {"from", "to"};
    char name[IFNAMSIZ] = "";
    unsigned led = 0;

    memcpy(name, network, min(strlen(network), sizeof(name) - 1));
    for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
        struct nfnl_element_list found = {0};
        nfnl_elements(NFPROTO_INET, TABLE, maps[i], &found, NULL);
        for (size_t k = 0; k < found.count; k++)
            led += found.all[k].len == sizeof(name) &&
                   memcmp(found.all[k].key, name, sizeof(name)) == 0;
        free(found.all);
    }
    return led == ARRAY_SIZE(maps) && nfnl_has_rule(NFPROTO_INET, TABLE, "forward");
}

/* Forwards that lead to somebody. */
static bool has_forward(const struct network *n)
{
    struct address to;

    for (unsigned i = 0; i < n->forward_count; i++)
        if (forward_to(n, &n->forwards[i], &to))
            return true;
    return false;
}

static bool has_chain(const struct network *n, const char *chain)
{
    cleanup_free char *name = xasprintf("%s-%s", chain, n->name);

    return nfnl_has_rule(NFPROTO_INET, TABLE, name);
}

int firewall_stands(const struct network *n, struct error *err)
{
    cleanup_free char *guard = xasprintf("guard-%s", n->name);
    const bool translates = n->kind == NET_NAT || n->kind == NET_ROUTED;

    if (!has_chain(n, "from") || !has_chain(n, "to") || !is_led_to(n->name))
        return error_set(err, ENOENT, "the rules of the network '%s'", n->name);
    if (translates && n->address_count && !has_chain(n, "post"))
        return error_set(err, ENOENT, "the rules that translate addresses of '%s' (NAT)", n->name);
    if (translates && has_forward(n) && (!has_chain(n, "pre") || !has_chain(n, "out")))
        return error_set(err, ENOENT, "the rules for forwards of '%s'", n->name);
    if (n->guard && !nfnl_has_rule(NFPROTO_BRIDGE, TABLE, guard))
        return error_set(err, ENOENT, "the rules that guard the ports of '%s'", n->name);
    return 0;
}

int firewall_forwards(const struct network *n, const char *guest, struct error *err)
{
    for (unsigned i = 0; i < n->forward_count; i++) {
        if (n->forwards[i].guest_address.family || !str_eq(n->forwards[i].guest, guest))
            continue;
        cleanup_free char *script = firewall_script(n);
        return firewall_run(script, err);
    }
    return 0;
}

/* ---- counters ---- */

int firewall_counts(const char *network, struct firewall_counts *out, struct error *err)
{
    cleanup_free char *from = xasprintf("out-%s", network);
    cleanup_free char *to = xasprintf("in-%s", network);
    cleanup_free char *drop = xasprintf("drop-%s", network);
    uint64_t packets, bytes;

    *out = (struct firewall_counts){0};
    if (nfnl_counter(NFPROTO_INET, TABLE, from, &out->out_packets, &out->out_bytes, err) < 0 ||
        nfnl_counter(NFPROTO_INET, TABLE, to, &out->in_packets, &out->in_bytes, err) < 0 ||
        nfnl_counter(NFPROTO_INET, TABLE, drop, &out->dropped_packets, &bytes, err) < 0)
        return error_wrap(err, "the rules of the network '%s'", network);
    if (nfnl_counter(NFPROTO_BRIDGE, TABLE, drop, &packets, &bytes, NULL) == 0)
        out->dropped_packets += packets;
    return 0;
}
