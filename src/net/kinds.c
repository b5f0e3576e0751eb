/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plans for each kind of network, see kinds.h, and networks as a whole: up and down.
 */
#include "net/kinds.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/firewall.h"
#include "net/foreign.h"
#include "net/join.h"
#include "net/journal.h"
#include "net/kinds_private.h"
#include "net/link.h"
#include "net/server.h"
#include "net/taps.h"

/* ---- parts of plans ---- */

/* The hardware address of a bridge of ours, as text. */
static void bridge_mac(const char *name, char out[18])
{
    uint8_t m[6];

    link_own_mac(name, m);
    snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void plan_bridge(const char *name, const char *mac, unsigned mtu, struct plan *p)
{
    char text[16];

    plan_add(p, "bridge-add", name, NULL);
    plan_add(p, "link-mac", name, mac, "", NULL);
    if (!mtu)
        return;
    snprintf(text, sizeof(text), "%u", mtu);
    plan_add(p, "link-mtu", name, text, "", NULL);
}

/* An address of the definition, as a spec: of IPv4 with the broadcast address that belongs to it. */
static void plan_address(const char *name, const struct address *a, struct plan *p)
{
    struct address brd = *a;
    char own[ADDRESS_TEXT], all[ADDRESS_TEXT];

    address_text(a, false, own);
    for (unsigned bit = a->prefix; a->family == AF_INET && bit < 32; bit++)
        brd.bytes[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
    const bool has_brd = a->family == AF_INET && a->prefix < 31;
    cleanup_free char *spec =
        has_brd ? xasprintf("%s brd %s scope global", own, address_text(&brd, true, all))
                : xasprintf("%s scope global", own);
    plan_add(p, "address-add", name, spec, NULL);
}

static bool has_family(const struct network *n, int family)
{
    for (unsigned i = 0; i < n->address_count; i++)
        if (n->addresses[i].family == family)
            return true;
    return false;
}

/*
 * Would it take this from somebody? A route to a larger network that has a gateway is only a default
 * of a kind, and "throw" says to look elsewhere.
 */
static bool collides(const struct host_route *r, const struct address *a)
{
    return r->to.prefix && address_overlap(&r->to, a) && !str_starts(r->spec, "throw ") &&
           (r->to.prefix >= a->prefix || !r->via.family);
}

/* No other network or interface of the host may have what this one is going to have. */
static int check_subnets(const struct network *n, const struct host *h, struct error *err)
{
    char own[ADDRESS_TEXT], other[ADDRESS_TEXT], name[IFNAMSIZ];

    for (unsigned i = 0; i < n->address_count; i++) {
        const struct address *a = &n->addresses[i];
        const struct address *taken = NULL;
        int index = 0;
        for (size_t k = 0; k < h->route_count && !taken; k++)
            if (collides(&h->routes[k], a)) {
                taken = &h->routes[k].to;
                index = h->routes[k].index;
            }
        if (!taken)
            continue;
        error_set(err, EADDRINUSE, "%s of '%s': the host has %s by %s", address_text(a, false, own),
                  n->name, address_text(taken, false, other), link_name(index, name));
        return error_hint(err, "give the network another subnet (net.address)");
    }
    return 0;
}

static int check_name(const struct network *n, const struct host *h, struct error *err)
{
    const struct link *l = host_link(h, n->name);

    if (!l)
        return 0;
    error_set(err, EEXIST, "the host has an interface '%s' already", n->name);
    if (str_eq(l->kind, "bridge"))
        return error_hint(err, "delete it (ip link delete %s), or give the network another name",
                          n->name);
    return error_hint(err, "give the network another name");
}

/* The firewall's rules; a bridge without a guard does without, where nft is not there. */
static int plan_firewall(const struct network *n, struct plan *p, struct error *err)
{
    struct error why;

    if (firewall_check(&why) < 0) {
        if (n->kind != NET_BRIDGE || n->guard)
            return error_set(err, 0, "%s", why.text);
        plan_note(p, "its traffic is not counted: %s", why.text);
        return 0;
    }
    cleanup_free char *script = firewall_script(n);
    cleanup_free char *undo = firewall_undo_script(n->name);
    if (*script)
        plan_add(p, "firewall", n->name, script, undo, NULL);
    return foreign_plan(n, conf_true(conf_get(n->conf, "net.mend")), p, err);
}

/* ---- nat, routed, isolated ---- */

static int plan_inner(const struct network *n, const struct host *h, struct plan *p,
                      struct error *err)
{
    const bool forwards = n->kind != NET_ISOLATED;
    char mac[18], key[96];

    if (!n->address_count) {
        error_set(err, 0, "the network '%s' has no address (net.address)", n->name);
        return error_hint(err, "one is chosen when it is created");
    }
    if (check_name(n, h, err) < 0 || check_subnets(n, h, err) < 0 || server_check(err) < 0)
        return -1;
    bridge_mac(n->name, mac);
    plan_bridge(n->name, mac, n->mtu, p);
    /* No router of ours is among the guests. */
    snprintf(key, sizeof(key), "net/ipv6/conf/%s/accept_ra", n->name);
    if (access("/proc/sys/net/ipv6/conf/default/accept_ra", F_OK) == 0)
        plan_add(p, "sysctl", key, "0", "", n->name, NULL);
    /* Undone, addresses go before it is off: those of IPv6 would be gone by that. */
    plan_add(p, "link-up", n->name, NULL);
    for (unsigned i = 0; i < n->address_count; i++)
        plan_address(n->name, &n->addresses[i], p);
    if (forwards && has_family(n, AF_INET))
        plan_forwarding(n, h, AF_INET, p);
    if (forwards && has_family(n, AF_INET6))
        plan_forwarding(n, h, AF_INET6, p);
    if (plan_firewall(n, p, err) < 0 || taps_plan(n, h, p, err) < 0)
        return -1;
    cleanup_free char *config = network_run_path(n->name, "dnsmasq.conf");
    cleanup_free char *alone = server_config_alone(n);
    plan_add(p, "server", n->name, config, alone, NULL);
    for (unsigned i = 0; n->kind == NET_ROUTED && i < n->address_count; i++) {
        struct address net = address_network(&n->addresses[i]);
        char text[ADDRESS_TEXT];
        plan_note(p, "the routers outside need to know the way: %s is behind this host",
                  address_text(&net, false, text));
    }
    return 0;
}

/* ---- bridge, direct: on a NIC ---- */

void network_parent(const struct network *n, char out[IFNAMSIZ])
{
    char vlan[12] = "";

    if (n->vlan)
        snprintf(vlan, sizeof(vlan), ".%u", n->vlan);
    snprintf(out, IFNAMSIZ, "%.*s%s", (int)(IFNAMSIZ - 1 - strlen(vlan)), n->port, vlan);
}

/* The NIC, looked at. */
static const struct link *find_port(const struct network *n, const struct host *h,
                                    struct error *err)
{
    const struct link *l = host_link(h, n->port), *bridge;

    if (!l) {
        error_set(err, ENODEV, "there is no interface '%s' (net.port)", n->port);
        error_hint(err, "see: ip link");
        return NULL;
    }
    if (str_eq(l->name, "lo")) {
        error_set(err, 0, "lo leads nowhere (net.port)");
        return NULL;
    }
    bridge = l->master && !n->vlan ? host_link_at(h, l->master) : NULL;
    if (bridge && !str_eq(bridge->name, n->name)) {
        error_set(err, EBUSY, "'%s' is a port of '%s' already", l->name, bridge->name);
        if (str_eq(bridge->kind, "bridge"))
            error_hint(err, "a network of kind bridge with the name %s uses that bridge",
                       bridge->name);
        return NULL;
    }
    return l;
}

/*
 * The interface that guests, or the bridge, are put on: the NIC, or a VLAN of it, which is planned
 * where it is not there. NULL: the VLAN is not there yet, so it has nothing that could be moved.
 */
static const struct link *plan_port(const struct network *n, const struct host *h,
                                    const struct link *nic, struct plan *p)
{
    char name[IFNAMSIZ], id[8];

    if (!nic->up)
        plan_add(p, "link-up", nic->name, NULL);
    if (!n->vlan)
        return nic;
    network_parent(n, name);
    const struct link *there = host_link(h, name);
    snprintf(id, sizeof(id), "%u", n->vlan);
    if (!there)
        plan_add(p, "vlan-add", name, nic->name, id, NULL);
    if (!there || !there->up)
        plan_add(p, "link-up", name, NULL);
    return there;
}

/* A bridge that the host has already: its ports and addresses are its owner's matter. */
static int plan_existing(const struct network *n, const struct host *h, const struct link *bridge,
                         struct plan *p, struct error *err)
{
    const struct link *nic = *n->port ? host_link(h, n->port) : NULL;

    if (!str_eq(bridge->kind, "bridge"))
        return check_name(n, h, err);
    if (*n->port && (n->vlan || !nic || nic->master != bridge->index)) {
        error_set(err, EEXIST, "the host has a bridge '%s' already, and '%s' is no port of it",
                  n->name, n->port);
        return error_hint(err, "leave net.port away to use the bridge as it is");
    }
    if (n->address_count)
        plan_note(p, "the addresses of %s are left as they are", n->name);
    if (!bridge->up)
        plan_add(p, "link-up", n->name, NULL);
    plan_note(p, "the bridge %s is there, and stays when the network goes", n->name);
    return plan_firewall(n, p, err) < 0 ? -1 : taps_plan(n, h, p, err);
}

static int plan_lan(const struct network *n, const struct host *h, struct plan *p,
                    struct error *err)
{
    const struct link *nic = NULL, *there = host_link(h, n->name), *port = NULL;
    char mac[18], parent[IFNAMSIZ], mtu[16], old[16];

    if (there)
        return plan_existing(n, h, there, p, err);
    if (*n->port && !(nic = find_port(n, h, err)))
        return -1;
    if (nic)
        port = plan_port(n, h, nic, p);
    bridge_mac(n->name, mac);
    if (port)
        snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", port->mac[0], port->mac[1],
                 port->mac[2], port->mac[3], port->mac[4], port->mac[5]);
    plan_bridge(n->name, mac, n->mtu ? n->mtu : port ? port->mtu : 0, p);
    if (port && n->mtu && n->mtu != port->mtu) {
        snprintf(mtu, sizeof(mtu), "%u", n->mtu);
        snprintf(old, sizeof(old), "%u", port->mtu);
        struct step *s = plan_add(p, "link-mtu", port->name, mtu, old, NULL);
        const char *risk = host_risk(h, port->name);
        s->risk = risk ? xstrdup(risk) : NULL;
    }
    if (port)
        plan_settings(n, port, p);
    plan_add(p, "link-up", n->name, NULL);
    network_parent(n, parent);
    if (port && plan_takeover(n, h, port, p, err) < 0)
        return -1;
    if (nic && !port)
        plan_add(p, "port-add", parent, n->name, "nomaster", NULL);
    for (unsigned i = 0; i < n->address_count; i++)
        plan_address(n->name, &n->addresses[i], p);
    return plan_firewall(n, p, err) < 0 ? -1 : taps_plan(n, h, p, err);
}

static int plan_direct(const struct network *n, const struct host *h, struct plan *p,
                       struct error *err)
{
    const struct link *nic = find_port(n, h, err);

    if (!nic)
        return -1;
    if (n->mtu > nic->mtu) {
        error_set(err, EINVAL, "net.mtu: %s has only %u", nic->name, nic->mtu);
        return error_hint(err, "ip link set %s mtu %u", nic->name, n->mtu);
    }
    plan_port(n, h, nic, p);
    plan_note(p, "the guests reach all of the LAN but not this host, and the host not them: that "
                 "is how macvtap and macvlan work");
    return 0;
}

int network_plan(const struct network *n, const struct host *h, struct plan *out, struct error *err)
{
    int rc = 0;

    *out = (struct plan){0};
    snprintf(out->network, sizeof(out->network), "%s", n->name);
    switch (n->kind) {
    case NET_BRIDGE:
        rc = plan_lan(n, h, out, err);
        break;
    case NET_NAT:
    case NET_ROUTED:
    case NET_ISOLATED:
        rc = plan_inner(n, h, out, err);
        break;
    case NET_DIRECT:
        rc = plan_direct(n, h, out, err);
        break;
    case NET_USER:
    case NET_KINDS:
        break;
    }
    if (rc < 0)
        plan_clear(out);
    return rc;
}

/* ---- up and down ---- */

/* What is as the plan wants it? Where something is not, all is put back. */
static int check_all(const struct plan *p, struct error *err)
{
    struct error why;

    for (size_t i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[i];
        if (s->op->check && s->op->check(s, &why) < 0) {
            journal_undo(p->network, NULL, NULL, NULL);
            return error_set(err, 0, "%s; the network was taken back", why.text);
        }
    }
    return 0;
}

int network_up(const char *name, struct error *err)
{
    cleanup_network struct network *n = NULL;
    cleanup_journal struct journal j = {0};
    cleanup_host struct host h = {0};
    cleanup_plan struct plan p = {0};
    struct error why = {0};

    if (journal_read(name, &j, err) < 0)
        return -1;
    if (j.state == NETWORK_UP || j.state == NETWORK_UNCONFIRMED)
        return 0;
    if (network_load(name, &n, err) < 0)
        return -1;
    if (j.state != NETWORK_DOWN && journal_recover(err) < 0)
        return -1;
    if (host_look(&h, err) < 0 || network_plan(n, &h, &p, err) < 0)
        return -1;
    if (plan_risky(&p) && !journal_was_confirmed(n)) {
        error_set(err, EPERM, "bringing up the network '%s' may cut off who is connected", name);
        return error_hint(err, "do it with the timer, and confirm: pult network apply %s", name);
    }
    if (journal_apply(&p, 0, NULL, NULL, &why) == 0)
        return plan_risky(&p) ? check_all(&p, err) : 0;
    /* Somebody else was quicker. */
    journal_clear(&j);
    if (why.code == EBUSY && journal_read(name, &j, NULL) == 0 && j.state == NETWORK_UP)
        return 0;
    error_set(err, 0, "%s", why.text);
    if (err)
        err->code = why.code;
    return -1;
}

int network_down(const char *name, bool force, struct error *err)
{
    cleanup_network struct network *n = NULL;
    struct member *members = NULL;
    size_t count = 0;

    if (!force && network_members(name, &members, &count, err) < 0)
        return -1;
    if (count) {
        error_set(err, 0, "%zu guest%s in the network '%s', %s among them", count,
                  count == 1 ? " is" : "s are", name, members[0].guest);
        if (err)
            err->code = EBUSY;
        free(members);
        return error_hint(err, "stop them first, or use --force");
    }
    free(members);
    if (!force && network_load(name, &n, NULL) < 0)
        n = NULL; /* a broken definition is no reason to keep it up */
    const char *tap = n ? taps_used(n, NULL) : NULL;
    if (tap) {
        error_set(err, 0, "a guest has the tap '%s' of the network '%s' open", tap, name);
        if (err)
            err->code = EBUSY;
        return error_hint(err, "have it stopped first, or use --force");
    }
    return journal_undo(name, NULL, NULL, err);
}
