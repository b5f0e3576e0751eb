/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of the host's network, see host.h: the dumps of rtnetlink, each object as a spec.
 */
#include "net/host.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/link.h"
#include "net/rtnl.h"
#include "net/spec.h"

/* One more element in an array; the number of those that there are is a power of 2 or at the end. */
#define GROW(array, count)                                                          \
    do {                                                                            \
        if (((count) & ((count)-1)) == 0)                                           \
            (array) = xrealloc((array), (count) ? (count)*2 : 1, sizeof(*(array))); \
    } while (0)

/* ---- dumps ---- */

static void add_link(void *arg, const struct nlmsghdr *m)
{
    struct host *h = arg;
    const struct ifinfomsg *info = nlmsg_data(m);
    struct nlattr *a[IFLA_MAX + 1], *kind[IFLA_INFO_MAX + 1], *port[IFLA_BRPORT_MAX + 1];

    if (m->nlmsg_type != RTM_NEWLINK ||
        nlmsg_parse((struct nlmsghdr *)(uintptr_t)m, sizeof(*info), a, IFLA_MAX, NULL) < 0 ||
        !a[IFLA_IFNAME])
        return;
    GROW(h->links, h->link_count);
    struct link *l = &h->links[h->link_count++];
    *l = (struct link){
        .index = info->ifi_index,
        .up = info->ifi_flags & IFF_UP,
        .running = info->ifi_flags & IFF_RUNNING,
        .mtu = a[IFLA_MTU] ? nla_get_u32(a[IFLA_MTU]) : 0,
        .master = a[IFLA_MASTER] ? (int)nla_get_u32(a[IFLA_MASTER]) : 0,
    };
    snprintf(l->name, sizeof(l->name), "%s", nla_get_string(a[IFLA_IFNAME]));
    if (a[IFLA_ADDRESS] && nla_len(a[IFLA_ADDRESS]) == 6)
        memcpy(l->mac, nla_data(a[IFLA_ADDRESS]), 6);
    if (!a[IFLA_LINKINFO] || nla_parse_nested(kind, IFLA_INFO_MAX, a[IFLA_LINKINFO], NULL) < 0)
        return;
    if (kind[IFLA_INFO_KIND])
        snprintf(l->kind, sizeof(l->kind), "%s", nla_get_string(kind[IFLA_INFO_KIND]));
    if (!kind[IFLA_INFO_SLAVE_KIND] || !kind[IFLA_INFO_SLAVE_DATA] ||
        !str_eq(nla_get_string(kind[IFLA_INFO_SLAVE_KIND]), "bridge") ||
        nla_parse_nested(port, IFLA_BRPORT_MAX, kind[IFLA_INFO_SLAVE_DATA], NULL) < 0)
        return;
    l->isolated = port[IFLA_BRPORT_ISOLATED] && nla_get_u8(port[IFLA_BRPORT_ISOLATED]);
    l->hairpin = port[IFLA_BRPORT_MODE] && nla_get_u8(port[IFLA_BRPORT_MODE]);
}

/* Since Linux 5.18 an address says who made it; before that, a link-local one is taken for its own. */
static bool is_kernels(const struct nlattr *proto)
{
    unsigned major = 0, minor = 0;
    struct utsname u;

    if (proto)
        return nla_get_u8(proto) == IFAPROT_KERNEL_LL;
    if (uname(&u) == 0)
        (void)sscanf(u.release, "%u.%u", &major, &minor);
    return major < 5 || (major == 5 && minor < 18);
}

static void add_address(void *arg, const struct nlmsghdr *m)
{
    struct host *h = arg;
    const struct ifaddrmsg *info = nlmsg_data(m);
    struct nlattr *a[IFA_MAX + 1];

    if (m->nlmsg_type != RTM_NEWADDR ||
        (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) ||
        nlmsg_parse((struct nlmsghdr *)(uintptr_t)m, sizeof(*info), a, IFA_MAX, NULL) < 0)
        return;
    GROW(h->addresses, h->address_count);
    struct host_address *x = &h->addresses[h->address_count++];
    uint32_t flags = a[IFA_FLAGS] ? nla_get_u32(a[IFA_FLAGS]) : info->ifa_flags;
    *x = (struct host_address){.index = (int)info->ifa_index};
    x->spec = spec_of_address(m, &x->whole);
    cleanup_free char *first = xstrdup(x->spec);
    first[strcspn(first, " ")] = '\0';
    address_parse(first, &x->address, NULL);
    if (spec_has(x->spec, "peer", NULL))
        x->address.prefix = info->ifa_prefixlen;
    x->dynamic = !(flags & IFA_F_PERMANENT);
    x->link_local = info->ifa_scope == RT_SCOPE_LINK;
    x->kernel = info->ifa_family == AF_INET6 &&
                ((flags & IFA_F_TEMPORARY) || (x->link_local && is_kernels(a[IFA_PROTO])));
}

/* The interface of a route, where it is one. */
static int route_index(struct nlattr *const *a)
{
    return a[RTA_OIF] && !a[RTA_MULTIPATH] ? (int)nla_get_u32(a[RTA_OIF]) : 0;
}

static void add_route(void *arg, const struct nlmsghdr *m)
{
    struct host *h = arg;
    const struct rtmsg *info = nlmsg_data(m);
    struct nlattr *a[RTA_MAX + 1];

    if (m->nlmsg_type != RTM_NEWROUTE || (info->rtm_flags & RTM_F_CLONED) ||
        (info->rtm_family != AF_INET && info->rtm_family != AF_INET6) ||
        nlmsg_parse((struct nlmsghdr *)(uintptr_t)m, sizeof(*info), a, RTA_MAX, NULL) < 0)
        return;
    uint32_t table = a[RTA_TABLE] ? nla_get_u32(a[RTA_TABLE]) : info->rtm_table;
    if (table == RT_TABLE_LOCAL)
        return;
    GROW(h->routes, h->route_count);
    struct host_route *r = &h->routes[h->route_count++];
    *r = (struct host_route){.index = route_index(a),
                             .to = {.family = info->rtm_family, .prefix = info->rtm_dst_len}};
    if (a[RTA_DST] && nla_len(a[RTA_DST]) <= 16)
        memcpy(r->to.bytes, nla_data(a[RTA_DST]), (size_t)nla_len(a[RTA_DST]));
    if (a[RTA_GATEWAY] && nla_len(a[RTA_GATEWAY]) <= 16) {
        r->via = (struct address){.family = info->rtm_family,
                                  .prefix = info->rtm_family == AF_INET ? 32 : 128};
        memcpy(r->via.bytes, nla_data(a[RTA_GATEWAY]), (size_t)nla_len(a[RTA_GATEWAY]));
    }
    r->spec = spec_of_route(m, &r->whole);
    /* One with a time to live was learned from a router: no address of ours brings it back. */
    r->kernel = info->rtm_protocol == RTPROT_KERNEL && !spec_has(r->spec, "expires", NULL);
}

static void add_rule(void *arg, const struct nlmsghdr *m)
{
    struct host *h = arg;
    const struct fib_rule_hdr *info = nlmsg_data(m);

    if (m->nlmsg_type != RTM_NEWRULE || (info->family != AF_INET && info->family != AF_INET6))
        return;
    GROW(h->rules, h->rule_count);
    struct host_rule *r = &h->rules[h->rule_count++];
    *r = (struct host_rule){.family = info->family};
    r->spec = spec_of_rule(m, &r->whole);
    spec_value(r->spec, "iif", r->device, sizeof(r->device));
    if (!*r->device)
        spec_value(r->spec, "oif", r->device, sizeof(r->device));
}

void host_clear(struct host *h)
{
    for (size_t i = 0; i < h->address_count; i++)
        free(h->addresses[i].spec);
    for (size_t i = 0; i < h->route_count; i++)
        free(h->routes[i].spec);
    for (size_t i = 0; i < h->rule_count; i++)
        free(h->rules[i].spec);
    free(h->links);
    free(h->addresses);
    free(h->routes);
    free(h->rules);
    *h = (struct host){0};
}

/* A table changed while it was read: forget what was read of it. */
static void again_links(void *arg)
{
    ((struct host *)arg)->link_count = 0;
}

static void again_addresses(void *arg)
{
    struct host *h = arg;

    while (h->address_count)
        free(h->addresses[--h->address_count].spec);
}

static void again_routes(void *arg)
{
    struct host *h = arg;

    while (h->route_count)
        free(h->routes[--h->route_count].spec);
}

static void again_rules(void *arg)
{
    struct host *h = arg;

    while (h->rule_count)
        free(h->rules[--h->rule_count].spec);
}

/*
 * NetworkManager has the kernel make no route of an address (noprefixroute), and makes one that looks
 * like the kernel's itself. Such a route does not come with the address.
 */
static void find_made_routes(struct host *h)
{
    for (size_t i = 0; i < h->route_count; i++) {
        struct host_route *r = &h->routes[i];
        bool follows = false, made = false;
        for (size_t k = 0; k < h->address_count && r->kernel; k++) {
            const struct host_address *a = &h->addresses[k];
            const struct address net = address_network(&a->address);
            if (a->index != r->index || !address_equal(&net, &r->to) ||
                a->address.prefix != r->to.prefix)
                continue;
            if (spec_has(a->spec, "noprefixroute", NULL))
                made = true;
            else
                follows = true;
        }
        if (made && !follows)
            r->kernel = false;
    }
}

int host_look(struct host *out, struct error *err)
{
    *out = (struct host){0};
    if (rtnl_dump(RTM_GETLINK, AF_UNSPEC, add_link, again_links, out, err) == 0 &&
        rtnl_dump(RTM_GETADDR, AF_UNSPEC, add_address, again_addresses, out, err) == 0 &&
        rtnl_dump(RTM_GETROUTE, AF_UNSPEC, add_route, again_routes, out, err) == 0 &&
        rtnl_dump(RTM_GETRULE, AF_UNSPEC, add_rule, again_rules, out, err) == 0) {
        find_made_routes(out);
        return 0;
    }
    host_clear(out);
    return error_wrap(err, "look at the host's network");
}

/* ---- what is there ---- */

const struct link *host_link(const struct host *h, const char *name)
{
    for (size_t i = 0; i < h->link_count; i++)
        if (str_eq(h->links[i].name, name))
            return &h->links[i];
    return NULL;
}

const struct link *host_link_at(const struct host *h, int index)
{
    for (size_t i = 0; i < h->link_count; i++)
        if (h->links[i].index == index)
            return &h->links[i];
    return NULL;
}

static const char *name_at(const struct host *h, int index)
{
    const struct link *l = host_link_at(h, index);

    return l ? l->name : "?";
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All lines, sorted, as one text; they are freed. */
static char *join_lines(char **lines, size_t count)
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        abort();
    if (count)
        qsort(lines, count, sizeof(*lines), compare_lines);
    for (size_t i = 0; i < count; i++) {
        fprintf(f, "%s\n", lines[i]);
        free(lines[i]);
    }
    free(lines);
    if (fclose(f) != 0)
        abort();
    return text;
}

static char *link_line(const struct host *h, const struct link *l)
{
    return xasprintf("link %s%s%s %s mtu %u %02x:%02x:%02x:%02x:%02x:%02x%s%s", l->name,
                     *l->kind ? " " : "", l->kind, l->up ? "up" : "down", l->mtu, l->mac[0],
                     l->mac[1], l->mac[2], l->mac[3], l->mac[4], l->mac[5],
                     l->master ? " master " : "", l->master ? name_at(h, l->master) : "");
}

char *host_text(const struct host *h)
{
    const size_t room = h->link_count + h->address_count + h->route_count + h->rule_count;
    char **lines = xcalloc(room + 1, sizeof(*lines));
    size_t n = 0;

    for (size_t i = 0; i < h->link_count; i++)
        lines[n++] = link_line(h, &h->links[i]);
    for (size_t i = 0; i < h->address_count; i++) {
        const struct host_address *a = &h->addresses[i];
        cleanup_free char *spec = spec_timeless(a->spec);
        if (!a->kernel)
            lines[n++] = xasprintf("address %s %s", name_at(h, a->index), spec);
    }
    for (size_t i = 0; i < h->route_count; i++) {
        const struct host_route *r = &h->routes[i];
        cleanup_free char *spec = spec_timeless(r->spec);
        const bool link_local = r->to.family == AF_INET6 && r->to.bytes[0] == 0xfe;
        if (!(r->kernel && link_local))
            lines[n++] = xasprintf("route -%d %s", r->to.family == AF_INET ? 4 : 6, spec);
    }
    for (size_t i = 0; i < h->rule_count; i++)
        lines[n++] =
            xasprintf("rule -%d %s", h->rules[i].family == AF_INET ? 4 : 6, h->rules[i].spec);
    return join_lines(lines, n);
}

/* ---- free subnets ---- */

static bool is_taken(const struct host *h, const struct address *net)
{
    for (size_t i = 0; i < h->route_count; i++) {
        const struct host_route *r = &h->routes[i];
        /* "throw" says to look elsewhere. */
        if (r->to.prefix && address_overlap(&r->to, net) && !str_starts(r->spec, "throw "))
            return true;
    }
    for (size_t i = 0; i < h->address_count; i++)
        if (address_overlap(&h->addresses[i].address, net))
            return true;
    return false;
}

/* The private networks of RFC 1918, and where in them the search begins: it goes round once. */
static const struct {
    uint32_t base, begin;
    unsigned prefix;
} private_networks[] = {
    {10u << 24, 87u << 16, 8},
    {172u << 24 | 16u << 16, 8u << 16, 12},
    {192u << 24 | 168u << 16, 87u << 8, 16},
};

int host_free_subnet(const struct host *h, unsigned prefix, struct address *out, struct error *err)
{
    if (prefix < 17 || prefix > 30)
        return error_set(err, 0, "a subnet of prefix length %u cannot be chosen", prefix);
    const uint32_t size = 1u << (32 - prefix);

    for (size_t k = 0; k < ARRAY_SIZE(private_networks); k++) {
        const uint32_t count = 1u << (prefix - private_networks[k].prefix);
        const uint32_t first = private_networks[k].begin / size;
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t at = private_networks[k].base + (first + i) % count * size;
            *out = (struct address){.family = AF_INET,
                                    .prefix = prefix,
                                    .bytes = {(uint8_t)(at >> 24), (uint8_t)(at >> 16),
                                              (uint8_t)(at >> 8), (uint8_t)at}};
            if (!is_taken(h, out))
                return 0;
        }
    }
    error_set(err, 0, "no private network of prefix length %u is free", prefix);
    return error_hint(err, "give the network an address of its own (net.address)");
}
