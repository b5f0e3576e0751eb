/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dialects of the host's configuration, see persist.h. Each begins to forward at once (no spanning tree
 * holds the port back) and keeps the NIC's MAC, so that DHCP and the LAN know the host again.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "net/persist_private.h"

static bool has_family(const struct settled *s, bool six)
{
    for (char **a = s->addresses; a && *a; a++)
        if (!strchr(*a, ':') == !six)
            return true;
    return false;
}

/* Words with something between them. */
static void put_list(FILE *f, char **words, const char *between)
{
    for (char **w = words; w && *w; w++)
        fprintf(f, "%s%s", w == words ? "" : between, *w);
}

static void done(struct writing *w)
{
    if (fclose(w->f) != 0)
        abort();
}

/* ---- systemd.netdev(5), systemd.network(5) ---- */

#define NETWORKD "/etc/systemd/network/05-pult-"

static void networkd_bridge(const struct settled *s, struct persist *out)
{
    struct writing w;
    FILE *f = persist_file(out, &w, 0644, NETWORKD "%s.network", s->bridge);

    fprintf(f, "[Match]\nName=%s\n", s->bridge);
    fprintf(f, "\n[Network]\nDHCP=%s\nIPv6AcceptRA=%s\n",
            s->dhcp4 && s->dhcp6 ? "yes"
            : s->dhcp4           ? "ipv4"
            : s->dhcp6           ? "ipv6"
                                 : "no",
            s->ra || s->dhcp6 ? "yes" : "no");
    for (char **a = s->addresses; a && *a; a++)
        fprintf(f, "Address=%s\n", *a);
    for (char **d = s->servers; d && *d; d++)
        fprintf(f, "DNS=%s\n", *d);
    if (s->domains) {
        fputs("Domains=", f);
        put_list(f, s->domains, " ");
        fputc('\n', f);
    }
    for (size_t i = 0; i < s->route_count; i++) {
        const struct settled_route *r = &s->routes[i];
        fputs("\n[Route]\n", f);
        if (*r->to)
            fprintf(f, "Destination=%s\n", r->to);
        else if (!*r->via)
            fprintf(f, "Destination=%s\n", r->family == AF_INET ? "0.0.0.0/0" : "::/0");
        if (*r->via)
            fprintf(f, "Gateway=%s\n", r->via);
        if (*r->metric)
            fprintf(f, "Metric=%s\n", r->metric);
        if (r->onlink)
            fputs("GatewayOnLink=yes\n", f);
    }
    done(&w);
}

static void networkd(const struct settled *s, struct persist *out)
{
    struct writing w;
    FILE *f = persist_file(out, &w, 0644, NETWORKD "%s.netdev", s->bridge);

    fprintf(f, "[NetDev]\nName=%s\nKind=bridge\nMACAddress=%s\n", s->bridge, s->mac);
    if (s->mtu)
        fprintf(f, "MTUBytes=%u\n", s->mtu);
    fputs("\n[Bridge]\nSTP=no\nForwardDelaySec=0\n", f);
    done(&w);
    if (s->vlan) {
        f = persist_file(out, &w, 0644, NETWORKD "%s.netdev", s->port);
        fprintf(f, "[NetDev]\nName=%s\nKind=vlan\n\n[VLAN]\nId=%u\n", s->port, s->vlan);
        done(&w);
        persist_note(out, "in the .network file that matches %s, section [Network], add VLAN=%s",
                     s->nic, s->port);
    }
    f = persist_file(out, &w, 0644, NETWORKD "%s.network", s->port);
    fprintf(f, "[Match]\nName=%s\n", s->port);
    if (s->mtu)
        fprintf(f, "\n[Link]\nMTUBytes=%u\n", s->mtu);
    fprintf(f, "\n[Network]\nBridge=%s\nLinkLocalAddressing=no\n", s->bridge);
    done(&w);
    networkd_bridge(s, out);
    if (!s->vlan)
        persist_note(out, "the file of %s comes before those that match it now, by its name",
                     s->port);
    persist_note(out, "then: networkctl reload && networkctl reconfigure %s", s->port);
}

/* ---- nm-settings-keyfile(5) ---- */

#define KEYFILES "/etc/NetworkManager/system-connections/"

static void nm_family(FILE *f, const struct settled *s, bool six)
{
    const bool automatic = six ? s->ra || s->dhcp6 : s->dhcp4;
    unsigned n = 0;

    fprintf(f, "\n[ipv%c]\nmethod=%s\n", six ? '6' : '4',
            automatic            ? "auto"
            : has_family(s, six) ? "manual"
            : six                ? "link-local"
                                 : "disabled");
    for (char **a = s->addresses; a && *a; a++)
        if (!strchr(*a, ':') == !six)
            fprintf(f, "address%u=%s\n", ++n, *a);
    n = 0;
    for (size_t i = 0; i < s->route_count; i++) {
        const struct settled_route *r = &s->routes[i];
        if ((r->family == AF_INET6) != six)
            continue;
        fprintf(f, "route%u=%s%s%s%s%s\n", ++n,
                *r->to ? r->to
                : six  ? "::/0"
                       : "0.0.0.0/0",
                *r->via || *r->metric ? "," : "", r->via, *r->metric ? "," : "", r->metric);
        if (r->onlink)
            fprintf(f, "route%u_options=onlink=true\n", n);
    }
    bool any = false;
    for (char **d = s->servers; d && *d; d++)
        if (!strchr(*d, ':') == !six)
            fprintf(f, "%s%s;", any ? "" : "dns=", *d), any = true;
    if (any)
        fputc('\n', f);
    if (any && s->domains) {
        fputs("dns-search=", f);
        put_list(f, s->domains, ";");
        fputs(";\n", f);
    }
}

static void nm(const struct settled *s, struct persist *out)
{
    struct writing w;
    FILE *f = persist_file(out, &w, 0600, KEYFILES "%s.nmconnection", s->bridge);

    fprintf(f,
            "[connection]\nid=%s\ntype=bridge\ninterface-name=%s\nautoconnect-slaves=1\n"
            "\n[ethernet]\n",
            s->bridge, s->bridge);
    if (s->mtu)
        fprintf(f, "mtu=%u\n", s->mtu);
    fprintf(f, "\n[bridge]\nmac-address=%s\nstp=false\n", s->mac);
    nm_family(f, s, false);
    nm_family(f, s, true);
    done(&w);
    f = persist_file(out, &w, 0600, KEYFILES "%s-port.nmconnection", s->bridge);
    fprintf(f, "[connection]\nid=%s-port\ntype=%s\ninterface-name=%s\n", s->bridge,
            s->vlan ? "vlan" : "ethernet", s->port);
    fprintf(f, "autoconnect-priority=100\nmaster=%s\nslave-type=bridge\n", s->bridge);
    if (s->mtu)
        fprintf(f, "\n[ethernet]\nmtu=%u\n", s->mtu);
    if (s->vlan)
        fprintf(f, "\n[vlan]\nflags=1\nid=%u\nparent=%s\n", s->vlan, s->nic);
    done(&w);
    if (!s->vlan)
        persist_note(out,
                     "the connection that %s has now: nmcli connection modify ITS-NAME "
                     "connection.autoconnect no",
                     s->nic);
    persist_note(out, "then: nmcli connection reload && nmcli connection up %s", s->bridge);
}

/* ---- interfaces(5) ---- */

/* What its own words cannot say: other routes than the family's first default one by a gateway. */
static void ifupdown_routes(FILE *f, const struct settled *s, bool six)
{
    bool first = has_family(s, six);

    for (size_t i = 0; i < s->route_count; i++) {
        const struct settled_route *r = &s->routes[i];
        if ((r->family == AF_INET6) != six)
            continue;
        if (first && !*r->to && *r->via && !r->onlink) {
            first = false;
            continue;
        }
        fprintf(f, "    up ip -%c route replace %s%s%s dev %s%s%s%s\n", six ? '6' : '4',
                *r->to ? r->to : "default", *r->via ? " via " : "", r->via, s->bridge,
                r->onlink ? " onlink" : "", *r->metric ? " metric " : "", r->metric);
    }
}

/* The first default route by a gateway. */
static void ifupdown_gateway(FILE *f, const struct settled *s, bool six)
{
    for (size_t i = 0; i < s->route_count; i++) {
        const struct settled_route *r = &s->routes[i];
        if ((r->family == AF_INET6) != six || *r->to || !*r->via || r->onlink)
            continue;
        fprintf(f, "    gateway %s\n", r->via);
        if (*r->metric)
            fprintf(f, "    metric %s\n", r->metric);
        return;
    }
}

/* Parts are taken in their order, so routes come with the last one, when all addresses are there. */
static void ifupdown_family(FILE *f, const struct settled *s, bool six)
{
    const char *family = six ? "inet6" : "inet";
    bool gateway = false;

    for (char **a = s->addresses; a && *a; a++) {
        if (!strchr(*a, ':') != !six)
            continue;
        fprintf(f, "\niface %s %s static\n    address %s\n", s->bridge, family, *a);
        if (!gateway)
            ifupdown_gateway(f, s, six);
        gateway = true;
    }
    if (!six && s->dhcp4)
        fprintf(f, "\niface %s inet dhcp\n", s->bridge);
    if (six && (s->dhcp6 || s->ra))
        fprintf(f, "\niface %s inet6 %s\n", s->bridge, s->dhcp6 ? "dhcp" : "auto");
    ifupdown_routes(f, s, six);
}

static void ifupdown(const struct settled *s, struct persist *out)
{
    struct writing w;
    FILE *f = persist_file(out, &w, 0644, "/etc/network/interfaces.d/pult-%s", s->bridge);

    fprintf(f, "auto %s\niface %s inet manual\n", s->bridge, s->bridge);
    fprintf(f, "    pre-up ip link add %s type bridge stp_state 0 forward_delay 0 || true\n",
            s->bridge);
    fprintf(f, "    pre-up ip link set %s address %s\n", s->bridge, s->mac);
    if (s->vlan)
        fprintf(f,
                "    pre-up ip link set %s up\n"
                "    pre-up ip link add %s link %s type vlan id %u || true\n",
                s->nic, s->port, s->nic, s->vlan);
    if (s->mtu)
        fprintf(f, "    pre-up ip link set %s mtu %u\n    pre-up ip link set %s mtu %u\n", s->port,
                s->mtu, s->bridge, s->mtu);
    fprintf(f, "    pre-up ip link set %s master %s\n    pre-up ip link set %s up\n", s->port,
            s->bridge, s->port);
    if (s->ra)
        fprintf(f, "    pre-up sysctl -qw net/ipv6/conf/%s/accept_ra=2\n", s->bridge);
    fprintf(f, "    up ip link set %s up\n", s->bridge);
    if (s->servers) {
        fputs("    dns-nameservers ", f);
        put_list(f, s->servers, " ");
        fputc('\n', f);
    }
    if (s->domains) {
        fputs("    dns-search ", f);
        put_list(f, s->domains, " ");
        fputc('\n', f);
    }
    ifupdown_family(f, s, false);
    ifupdown_family(f, s, true);
    fprintf(f, "    post-down ip link delete %s\n", s->bridge);
    if (s->vlan)
        fprintf(f, "    post-down ip link delete %s\n", s->port);
    done(&w);
    persist_note(out, "/etc/network/interfaces has to have the line: source "
                      "/etc/network/interfaces.d/*");
    persist_note(out, "take what it says of %s (auto, allow-hotplug, iface) out", s->port);
    persist_note(out, "then: ifup %s, once %s has let go of its addresses", s->bridge, s->port);
}

/* ---- netplan(5) ---- */

static void netplan_routes(FILE *f, const struct settled *s)
{
    if (s->route_count)
        fputs("      routes:\n", f);
    for (size_t i = 0; i < s->route_count; i++) {
        const struct settled_route *r = &s->routes[i];
        fprintf(f, "        - to: \"%s\"\n",
                *r->to                  ? r->to
                : r->family == AF_INET6 ? "::/0"
                                        : "0.0.0.0/0");
        if (*r->via)
            fprintf(f, "          via: \"%s\"\n", r->via);
        else
            fputs("          scope: link\n", f);
        if (*r->metric)
            fprintf(f, "          metric: %s\n", r->metric);
        if (r->onlink)
            fputs("          on-link: true\n", f);
    }
}

static void netplan_list(FILE *f, const char *indent, const char *key, char **words)
{
    if (words)
        fprintf(f, "%s%s:\n", indent, key);
    for (char **w = words; w && *w; w++)
        fprintf(f, "%s  - \"%s\"\n", indent, *w);
}

static void netplan(const struct settled *s, struct persist *out)
{
    struct writing w;
    FILE *f = persist_file(out, &w, 0600, "/etc/netplan/90-pult-%s.yaml", s->bridge);

    fprintf(f, "network:\n  version: 2\n  ethernets:\n    %s:\n", s->nic);
    if (s->vlan) {
        fputs("      optional: true\n", f);
        fprintf(f, "  vlans:\n    %s:\n      id: %u\n      link: %s\n", s->port, s->vlan, s->nic);
    } else {
        fputs("      dhcp4: false\n      dhcp6: false\n      accept-ra: false\n"
              "      link-local: []\n",
              f);
    }
    if (s->mtu)
        fprintf(f, "      mtu: %u\n", s->mtu);
    fprintf(f, "  bridges:\n    %s:\n      interfaces: [%s]\n      macaddress: \"%s\"\n", s->bridge,
            s->port, s->mac);
    if (s->mtu)
        fprintf(f, "      mtu: %u\n", s->mtu);
    fputs("      parameters:\n        stp: false\n        forward-delay: 0\n", f);
    fprintf(f, "      dhcp4: %s\n      dhcp6: %s\n      accept-ra: %s\n",
            s->dhcp4 ? "true" : "false", s->dhcp6 ? "true" : "false",
            s->ra || s->dhcp6 ? "true" : "false");
    netplan_list(f, "      ", "addresses", s->addresses);
    netplan_routes(f, s);
    if (s->servers || s->domains)
        fputs("      nameservers:\n", f);
    netplan_list(f, "        ", "addresses", s->servers);
    netplan_list(f, "        ", "search", s->domains);
    done(&w);
    if (!s->vlan)
        persist_note(out,
                     "netplan adds files to each other: take addresses, routes and name "
                     "servers of %s out of the others",
                     s->nic);
    persist_note(out, "then: netplan try");
}

const struct dialect persist_dialects[] = {
    {"networkd", networkd}, {"nm", nm}, {"ifupdown", ifupdown}, {"netplan", netplan}, {0},
};
