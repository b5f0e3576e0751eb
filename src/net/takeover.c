/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bridge over a NIC: what the NIC has moves to the bridge, in the order in which it can live.
 *
 *     let go        who keeps the NIC's configuration
 *     name servers  before the port: undone they come after it has left, when they are remembered
 *     port          from here on the outside is reached by the bridge only
 *     remove        rules, routes (those by a gateway first), addresses, last ones first
 *     add           addresses, routes (those by a gateway last), rules, first ones first
 *     renew         who was lent an IPv4 address goes on to renew it, on the bridge
 *
 * Undone, that is the same backwards: so what was first on the NIC is first again, the primary
 * address among others of its subnet, for instance. Addresses of IPv6 the kernel lists newest first.
 *
 * Routes that only follow from addresses are not moved, and neither is what the kernel makes by
 * itself (link-local and temporary addresses). A route elsewhere that has an address of the NIC as
 * its source goes and comes with that. What a spec cannot tell wholly is not touched: then there is
 * no plan.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/kinds_private.h"
#include "net/link.h"
#include "net/spec.h"
#include "net/step_private.h"

/* Everything of the NIC, as indexes into the host's lists, in the order of adding. */
struct belongings {
    enum manager manager; /* who keeps it */
    size_t *addresses, address_count;
    size_t *routes, route_count;
    size_t *rules, rule_count;
};

static void belongings_clear(struct belongings *b)
{
    free(b->addresses);
    free(b->routes);
    free(b->rules);
}

static void put(size_t **list, size_t *count, size_t what)
{
    *list = xrealloc(*list, *count + 1, sizeof(**list));
    (*list)[(*count)++] = what;
}

/* Those of IPv4 as they are listed, then those of IPv6 from the last on. */
static void find_addresses(const struct host *h, const struct link *nic, struct belongings *b)
{
    for (size_t i = 0; i < h->address_count; i++)
        if (h->addresses[i].index == nic->index && h->addresses[i].address.family == AF_INET)
            put(&b->addresses, &b->address_count, i);
    for (size_t i = h->address_count; i-- > 0;)
        if (h->addresses[i].index == nic->index && h->addresses[i].address.family == AF_INET6 &&
            !h->addresses[i].kernel)
            put(&b->addresses, &b->address_count, i);
}

/* Has it an address of the NIC as its source? */
static bool from_nic(const struct host *h, const struct host_route *r, const struct belongings *b)
{
    char src[ADDRESS_TEXT];
    struct address a;

    if (address_parse(spec_value(r->spec, "src", src, sizeof(src)), &a, NULL) < 0)
        return false;
    for (size_t i = 0; i < b->address_count; i++)
        if (address_equal(&h->addresses[b->addresses[i]].address, &a))
            return true;
    return false;
}

static void find_routes(const struct host *h, const struct link *nic, struct belongings *b)
{
    for (int by_gateway = 0; by_gateway < 2; by_gateway++)
        for (size_t i = 0; i < h->route_count; i++) {
            const struct host_route *r = &h->routes[i];
            if (spec_has(r->spec, "via", NULL) != (bool)by_gateway || r->kernel)
                continue;
            if (spec_has(r->spec, "dev", nic->name) || from_nic(h, r, b))
                put(&b->routes, &b->route_count, i);
        }
}

static void find_rules(const struct host *h, const struct link *nic, struct belongings *b)
{
    for (size_t i = 0; i < h->rule_count; i++)
        if (spec_has(h->rules[i].spec, "iif", nic->name) ||
            spec_has(h->rules[i].spec, "oif", nic->name))
            put(&b->rules, &b->rule_count, i);
}

/* Is all of it told by its specs? */
static int check_whole(const struct host *h, const struct belongings *b, const char *nic,
                       struct error *err)
{
    const char *what = NULL, *spec = NULL;

    for (size_t i = 0; i < b->address_count; i++)
        if (!h->addresses[b->addresses[i]].whole) {
            what = "address";
            spec = h->addresses[b->addresses[i]].spec;
        }
    for (size_t i = 0; i < b->route_count; i++)
        if (!h->routes[b->routes[i]].whole) {
            what = "route";
            spec = h->routes[b->routes[i]].spec;
        }
    for (size_t i = 0; i < b->rule_count; i++)
        if (!h->rules[b->rules[i]].whole) {
            what = "routing rule";
            spec = h->rules[b->rules[i]].spec;
        }
    if (!what)
        return 0;
    error_set(err, 0, "the %s '%s' of %s has parts that could not be put back exactly", what, spec,
              nic);
    return error_hint(err, "a network of kind direct leaves %s as it is", nic);
}

/* A dhcpcd that keeps all interfaces puts back what is taken from one, and knows no other way. */
static int check_manager(const struct link *nic, const struct belongings *b, struct error *err)
{
    bool all = false;

    if (b->manager != MANAGER_DHCPCD || !host_dhcpcd(nic->name, NULL, &all) || !all)
        return 0;
    error_set(err, EBUSY, "dhcpcd keeps all interfaces of this host, and would not let go of %s",
              nic->name);
    return error_hint(err,
                      "a network of kind direct leaves %s as it is; else have dhcpcd called for "
                      "this interface alone: dhcpcd %s",
                      nic->name, nic->name);
}

/* ---- to the bridge ---- */

/* Can who keeps the NIC renew on the bridge what it was lent? */
static bool renews(enum manager m)
{
    return m == MANAGER_NETWORKD || m == MANAGER_DHCLIENT || m == MANAGER_DHCPCD;
}

/*
 * It was lent for a time, and nobody renews it on the bridge: it stays there for good, for without it
 * the host could not be reached. A router goes on telling.
 */
static bool outlives(const struct belongings *b, const struct host_address *a)
{
    if (!a->dynamic || (a->address.family == AF_INET && renews(b->manager)))
        return false;
    return a->address.family == AF_INET ||
           !(spec_has(a->spec, "mngtmpaddr", NULL) || spec_has(a->spec, "proto", "2"));
}

/* An address's spec for another interface: its label begins with the name. */
static char *spec_for(const struct belongings *b, const struct host_address *a, const char *nic,
                      const char *bridge)
{
    char label[64], new[IFNAMSIZ];
    char *spec = xstrdup(a->spec);

    if (outlives(b, a)) {
        cleanup_free char *first = spec_replace(spec, "valid_lft", NULL, NULL);
        free(spec);
        spec = spec_replace(first, "preferred_lft", NULL, NULL);
    }
    spec_value(spec, "label", label, sizeof(label));
    if (!*label)
        return spec;
    const char *rest = str_starts(label, nic) ? label + strlen(nic) : "";
    snprintf(new, sizeof(new), "%.*s%s",
             (int)(sizeof(new) - 1 - min(strlen(rest), sizeof(new) - 1)), bridge, rest);
    char *out = spec_replace(spec, "label", NULL, new);
    free(spec);
    return out;
}

static char *with_device(const char *spec, const char *const words[], const char *from,
                         const char *to)
{
    char *out = xstrdup(spec);

    for (; *words; words++) {
        char *next = spec_replace(out, *words, from, to);
        free(out);
        out = next;
    }
    return out;
}

/* A route for the bridge. One that followed from an address which now stays does so, too. */
static char *route_for(const struct host *h, const struct belongings *b, const struct host_route *r,
                       const char *nic, const char *bridge)
{
    static const char *const words[] = {"dev", NULL};
    char *spec = with_device(r->spec, words, nic, bridge);
    bool stays = false;

    for (size_t i = 0; i < b->address_count && !r->via.family; i++) {
        const struct host_address *a = &h->addresses[b->addresses[i]];
        stays |= outlives(b, a) && address_contains(&r->to, &a->address);
    }
    if (!stays || !spec_has(spec, "proto", "kernel"))
        return spec;
    char *lasting = spec_replace(spec, "expires", NULL, NULL);
    free(spec);
    return lasting;
}

static void set_risk(struct step *s, const char *risk)
{
    s->risk = risk ? xstrdup(risk) : NULL;
}

static const char *digit(int family)
{
    return family == AF_INET6 ? "6" : "4";
}

static void plan_removal(const struct host *h, const struct link *nic, const struct belongings *b,
                         const char *risk, struct plan *p)
{
    for (size_t i = b->rule_count; i-- > 0;) {
        const struct host_rule *r = &h->rules[b->rules[i]];
        set_risk(plan_add(p, "rule-del", digit(r->family), r->spec, NULL), risk);
    }
    for (size_t i = b->route_count; i-- > 0;) {
        const struct host_route *r = &h->routes[b->routes[i]];
        set_risk(plan_add(p, "route-del", digit(r->to.family), r->spec, NULL), risk);
    }
    for (size_t i = b->address_count; i-- > 0;)
        set_risk(plan_add(p, "address-del", nic->name, h->addresses[b->addresses[i]].spec, NULL),
                 risk);
}

static void plan_addition(const struct network *n, const struct host *h, const struct link *nic,
                          const struct belongings *b, struct plan *p)
{
    static const char *const of_rules[] = {"iif", "oif", NULL};

    for (size_t i = 0; i < b->address_count; i++) {
        const struct host_address *a = &h->addresses[b->addresses[i]];
        cleanup_free char *spec = spec_for(b, a, nic->name, n->name);
        char text[ADDRESS_TEXT];
        plan_add(p, "address-add", n->name, spec, NULL);
        if (outlives(b, a))
            plan_note(p,
                      "%s was lent to %s for a time; on %s it stays for good, but nobody renews it "
                      "there: see pult network plan %s --persistent",
                      address_text(&a->address, true, text), nic->name, n->name, n->name);
    }
    for (size_t i = 0; i < b->route_count; i++) {
        const struct host_route *r = &h->routes[b->routes[i]];
        cleanup_free char *spec = route_for(h, b, r, nic->name, n->name);
        plan_add(p, "route-add", digit(r->to.family), spec, NULL);
    }
    for (size_t i = 0; i < b->rule_count; i++) {
        const struct host_rule *r = &h->rules[b->rules[i]];
        cleanup_free char *spec = with_device(r->spec, of_rules, nic->name, n->name);
        plan_add(p, "rule-add", digit(r->family), spec, NULL);
    }
}

/* ---- who keeps it ---- */

/* A client's command for an interface: it does not wait until it has an address. */
static char *client_command(const char *command, const char *nic, const char *on)
{
    char **words = str_split_words(command, NULL);
    cleanup_free const char **out = xcalloc(strv_len(words) + 3, sizeof(*out));
    size_t n = 0;

    for (char **w = words; w && *w; w++) {
        if (str_eq(*w, "-d") || str_eq(*w, "-w") || str_eq(*w, "-nw"))
            continue;
        out[n++] = str_eq(*w, nic) ? on : *w;
        if (w == words)
            out[n++] = "-nw";
    }
    char *text = str_join_words((char *const *)out);
    strv_free(words);
    return text;
}

static void plan_release(const struct network *n, const struct link *nic, enum manager m,
                         const char *risk, struct plan *p)
{
    cleanup_free char *command = NULL, *undo = NULL, *was = NULL;
    const char *option;
    pid_t pid;

    switch (m) {
    case MANAGER_NETWORKD:
        command = xasprintf("printf '[Match]\\nName=%s\\n[Link]\\nUnmanaged=yes\\n' "
                            ">/run/systemd/network/00-pult-%s.network; networkctl reload",
                            nic->name, nic->name);
        undo =
            xasprintf("rm /run/systemd/network/00-pult-%s.network; networkctl reload", nic->name);
        break;
    case MANAGER_NM:
        command = xasprintf("nmcli device set %s managed no", nic->name);
        undo = xasprintf("nmcli device set %s managed yes", nic->name);
        break;
    case MANAGER_DHCLIENT:
        pid = host_dhclient(nic->name, &was);
        undo = client_command(was ? was : "", nic->name, nic->name);
        command = xasprintf("kill %d", pid);
        break;
    case MANAGER_DHCPCD:
        pid = host_dhcpcd(nic->name, &option, NULL);
        undo = xasprintf("dhcpcd -b %s%s", option, nic->name);
        command = xasprintf("kill %d", pid);
        break;
    case MANAGER_IFUPDOWN:
        plan_note(p, "%s is in /etc/network/interfaces: ifup %s would configure it again",
                  nic->name, nic->name);
        return;
    case MANAGER_NONE:
        return;
    }
    set_risk(plan_add(p, "release", manager_name(m), nic->name, command, undo, NULL), risk);
    plan_note(p,
              "after a reboot %s has %s again as before, until this network comes up; what would "
              "make the bridge at each boot is shown by: pult network plan %s --persistent",
              manager_name(m), nic->name, n->name);
}

/* The DHCP client goes on, on the bridge. */
static void plan_renewal(const struct network *n, const struct host *h, const struct link *nic,
                         const struct belongings *b, struct plan *p)
{
    cleanup_free char *command = NULL, *undo = NULL, *was = NULL;
    char id[16] = "";
    bool lent = false;

    for (size_t i = 0; i < b->address_count; i++)
        lent |= h->addresses[b->addresses[i]].dynamic &&
                h->addresses[b->addresses[i]].address.family == AF_INET;
    if (b->manager == MANAGER_DHCLIENT && lent) {
        pid_t pid = host_dhclient(nic->name, &was);
        if (!pid)
            return;
        command = client_command(was, nic->name, n->name);
        undo = xasprintf("pkill -f 'dhclient .*%s'", n->name);
    } else if (b->manager == MANAGER_DHCPCD && lent) {
        const char *option;
        if (!host_dhcpcd(nic->name, &option, NULL))
            return;
        command = xasprintf("dhcpcd -b %s%s", option, n->name);
        undo = xasprintf("dhcpcd %s-x %s", option, n->name);
    } else if (b->manager == MANAGER_NETWORKD && lent) {
        host_networkd_iaid(nic->index, id);
        command = xasprintf(
            "printf '[Match]\\nName=%s\\n[Network]\\nDHCP=ipv4\\nKeepConfiguration=yes\\n%s%s' "
            ">/run/systemd/network/00-pult-%s.network; networkctl reload",
            n->name, *id ? "[DHCPv4]\\nIAID=" : "", id, n->name);
        undo = xasprintf("rm /run/systemd/network/00-pult-%s.network; networkctl reload", n->name);
    } else {
        return;
    }
    plan_add(p, "renew", manager_name(b->manager), n->name, command, undo, id, NULL);
}

static void plan_dns(const struct network *n, const struct link *nic, struct plan *p)
{
    cleanup_free char *servers = NULL, *domains = NULL;

    host_resolved(nic->index, &servers, &domains);
    if (*servers)
        plan_add(p, "dns-move", nic->name, n->name, servers, NULL);
    if (*servers && *domains)
        plan_add(p, "domain-move", nic->name, n->name, domains, NULL);
}

int plan_takeover(const struct network *n, const struct host *h, const struct link *nic,
                  struct plan *p, struct error *err)
{
    __attribute__((cleanup(belongings_clear))) struct belongings b = {0};
    const char *risk = host_risk(h, nic->name);

    b.manager = host_manager(nic->name);
    find_addresses(h, nic, &b);
    find_routes(h, nic, &b);
    find_rules(h, nic, &b);
    if (check_whole(h, &b, nic->name, err) < 0 || check_manager(nic, &b, err) < 0)
        return -1;
    plan_release(n, nic, b.manager, risk, p);
    plan_dns(n, nic, p);
    set_risk(plan_add(p, "port-add", nic->name, n->name, "nomaster", NULL), risk);
    plan_removal(h, nic, &b, risk, p);
    plan_addition(n, h, nic, &b, p);
    plan_renewal(n, h, nic, &b, p);
    return 0;
}

/* ---- settings ---- */

void plan_settings(const struct network *n, const struct link *nic, struct plan *p)
{
    static const char *const keys[] = {
        "ipv6/conf/%s/disable_ipv6",    "ipv6/conf/%s/addr_gen_mode",
        "ipv6/conf/%s/accept_ra",       "ipv6/conf/%s/accept_ra_defrtr",
        "ipv6/conf/%s/accept_ra_pinfo", "ipv6/conf/%s/autoconf",
        "ipv6/conf/%s/use_tempaddr",    "ipv4/conf/%s/rp_filter",
        "ipv4/conf/%s/arp_ignore",      "ipv4/conf/%s/arp_announce",
        "ipv4/conf/%s/proxy_arp",       "ipv4/conf/%s/accept_local",
        "ipv4/conf/%s/src_valid_mark",
    };

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        char of[4][96];
        const char *const whose[] = {nic->name, "default", n->name};
        for (unsigned k = 0; k < ARRAY_SIZE(whose); k++) {
            const char *mark = strstr(keys[i], "%s");
            snprintf(of[k], sizeof(of[k]), "net/%.*s%s%s", (int)(mark - keys[i]), keys[i], whose[k],
                     mark + 2);
        }
        cleanup_free char *now = sysctl_read(of[0]);
        cleanup_free char *usual = sysctl_read(of[1]);
        if (now && usual && !str_eq(now, usual))
            plan_add(p, "sysctl", of[2], now, "", n->name, NULL);
    }
}
