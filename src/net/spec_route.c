/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Routes as text, see spec.h: TYPE PREFIX, then words in any order, then the nexthops of a route
 * that has several.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/spec_private.h"

#define NEXTHOPS_MAX 64

const struct spec_name spec_types[] = {
    {"unicast", RTN_UNICAST},     {"local", RTN_LOCAL},
    {"broadcast", RTN_BROADCAST}, {"anycast", RTN_ANYCAST},
    {"multicast", RTN_MULTICAST}, {"blackhole", RTN_BLACKHOLE},
    {"prohibit", RTN_PROHIBIT},   {"unreachable", RTN_UNREACHABLE},
    {"throw", RTN_THROW},         {NULL, 0},
};

/* RTAX_…, with plain numbers as values. */
static const struct spec_name metrics[] = {
    {"mtu", RTAX_MTU},
    {"window", RTAX_WINDOW},
    {"ssthresh", RTAX_SSTHRESH},
    {"cwnd", RTAX_CWND},
    {"advmss", RTAX_ADVMSS},
    {"reordering", RTAX_REORDERING},
    {"hoplimit", RTAX_HOPLIMIT},
    {"initcwnd", RTAX_INITCWND},
    {"initrwnd", RTAX_INITRWND},
    {"quickack", RTAX_QUICKACK},
    {"fastopen_no_cookie", RTAX_FASTOPEN_NO_COOKIE},
    {NULL, 0},
};
static const struct spec_name preferences[] = {{"high", 1}, {"medium", 0}, {"low", 3}, {NULL, 0}};
static const struct spec_name nexthop_flags[] = {{"onlink", RTNH_F_ONLINK},
                                                 {"pervasive", RTNH_F_PERVASIVE},
                                                 {NULL, 0}};

#define METRICS_KNOWN                                                                        \
    (1u << RTAX_MTU | 1u << RTAX_WINDOW | 1u << RTAX_SSTHRESH | 1u << RTAX_CWND |            \
     1u << RTAX_ADVMSS | 1u << RTAX_REORDERING | 1u << RTAX_HOPLIMIT | 1u << RTAX_INITCWND | \
     1u << RTAX_INITRWND | 1u << RTAX_QUICKACK | 1u << RTAX_FASTOPEN_NO_COOKIE | 1u << RTAX_LOCK)

/* ---- to text ---- */

static void put_gateway(FILE *f, struct nlattr *const *a, int family)
{
    struct address gateway;

    if (a[RTA_GATEWAY]) {
        gateway = spec_attr_address(a[RTA_GATEWAY], family, 0);
        spec_put_address(f, "via", &gateway, true);
    } else if (a[RTA_VIA] && nla_len(a[RTA_VIA]) == (int)sizeof(struct rtvia) + 16) {
        const struct rtvia *via = nla_data(a[RTA_VIA]);
        gateway = (struct address){.family = via->rtvia_family};
        memcpy(gateway.bytes, via->rtvia_addr, 16);
        spec_put_address(f, "via inet6", &gateway, true);
    }
}

static void put_device(FILE *f, unsigned index)
{
    char name[IFNAMSIZ];

    if (index && if_indextoname(index, name))
        fprintf(f, " dev %s", name);
}

static void put_flags(FILE *f, unsigned flags)
{
    for (const struct spec_name *n = nexthop_flags; n->name; n++)
        if (flags & n->value)
            fprintf(f, " %s", n->name);
}

static void put_metrics(FILE *f, struct nlattr *all, bool *whole)
{
    struct nlattr *m[RTAX_MAX + 1], *a;
    int left;

    nla_for_each_nested(a, all, left) *whole &=
        nla_type(a) <= RTAX_MAX && (METRICS_KNOWN & 1u << nla_type(a));
    if (nla_parse_nested(m, RTAX_MAX, all, NULL) < 0) {
        *whole = false;
        return;
    }
    uint32_t locked = m[RTAX_LOCK] ? nla_get_u32(m[RTAX_LOCK]) : 0;
    *whole &= !(locked & ~METRICS_KNOWN);
    for (const struct spec_name *n = metrics; n->name; n++)
        if (m[n->value])
            fprintf(f, " %s%s %u", n->name, locked & 1u << n->value ? " lock" : "",
                    nla_get_u32(m[n->value]));
}

static void put_nexthops(FILE *f, const struct nlattr *all, int family, bool *whole)
{
    const struct rtnexthop *nh = nla_data(all);
    int left = nla_len(all);

    while (left >= (int)sizeof(*nh) && RTNH_OK(nh, left)) {
        struct nlattr *a[RTA_MAX + 1];
        int len = (int)(nh->rtnh_len - sizeof(*nh));
        if (nla_parse(a, RTA_MAX, (struct nlattr *)RTNH_DATA(nh), len, NULL) < 0)
            break;
        *whole &= !a[RTA_ENCAP] && !a[RTA_FLOW];
        fprintf(f, " nexthop");
        put_gateway(f, a, family);
        put_device(f, (unsigned)nh->rtnh_ifindex);
        fprintf(f, " weight %u", nh->rtnh_hops + 1u);
        put_flags(f, nh->rtnh_flags);
        left -= NLMSG_ALIGN(nh->rtnh_len);
        nh = RTNH_NEXT(nh);
    }
}

static void put_target(FILE *f, const struct rtmsg *info, struct nlattr *const *a)
{
    struct address to = spec_attr_address(a[RTA_DST], info->rtm_family, info->rtm_dst_len);
    unsigned n = 0;

    while (spec_types[n].name && spec_types[n].value != info->rtm_type)
        n++;
    if (spec_types[n].name && info->rtm_type != RTN_UNICAST)
        fprintf(f, "%s", spec_types[n].name);
    if (!a[RTA_DST])
        fprintf(f, "%sdefault", ftell(f) > 0 ? " " : "");
    else
        spec_put_address(f, "", &to, to.prefix == (unsigned)spec_bytes(to.family) * 8);
    if (a[RTA_SRC]) {
        struct address from = spec_attr_address(a[RTA_SRC], info->rtm_family, info->rtm_src_len);
        spec_put_address(f, "from", &from, false);
    }
    if (info->rtm_tos)
        fprintf(f, " tos %u", info->rtm_tos);
}

/* The seconds that a route has left; 0: for ever. */
static unsigned expiry(struct nlattr *const *a)
{
    if (!a[RTA_CACHEINFO] || nla_len(a[RTA_CACHEINFO]) < (int)sizeof(struct rta_cacheinfo))
        return 0;
    const struct rta_cacheinfo *c = nla_data(a[RTA_CACHEINFO]);
    long hz = sysconf(_SC_CLK_TCK);
    if (!c->rta_expires)
        return 0;
    return c->rta_expires > hz ? (unsigned)(c->rta_expires / hz) : 1;
}

static void put_route(FILE *f, const struct rtmsg *info, struct nlattr *const *a, bool *whole)
{
    uint32_t table = a[RTA_TABLE] ? nla_get_u32(a[RTA_TABLE]) : info->rtm_table;

    put_target(f, info, a);
    put_gateway(f, a, info->rtm_family);
    if (a[RTA_OIF])
        put_device(f, nla_get_u32(a[RTA_OIF]));
    if (table != RT_TABLE_MAIN)
        spec_put_name(f, "table", spec_tables, table);
    spec_put_name(f, "proto", spec_protocols, info->rtm_protocol);
    if (info->rtm_family == AF_INET)
        spec_put_name(f, "scope", spec_scopes, info->rtm_scope);
    if (a[RTA_PREFSRC]) {
        struct address src = spec_attr_address(a[RTA_PREFSRC], info->rtm_family, 0);
        spec_put_address(f, "src", &src, true);
    }
    if (a[RTA_PRIORITY])
        fprintf(f, " metric %u", nla_get_u32(a[RTA_PRIORITY]));
    if (a[RTA_FLOW])
        fprintf(f, " realms %u/%u", nla_get_u32(a[RTA_FLOW]) >> 16,
                nla_get_u32(a[RTA_FLOW]) & 0xffff);
    if (a[RTA_METRICS])
        put_metrics(f, a[RTA_METRICS], whole);
    if (a[RTA_PREF] && nla_get_u8(a[RTA_PREF]))
        spec_put_name(f, "pref", preferences, nla_get_u8(a[RTA_PREF]));
    if (expiry(a))
        fprintf(f, " expires %usec", expiry(a));
    if (a[RTA_MULTIPATH])
        put_nexthops(f, a[RTA_MULTIPATH], info->rtm_family, whole);
    else
        put_flags(f, info->rtm_flags);
}

char *spec_of_route(const struct nlmsghdr *m, bool *whole)
{
    const struct rtmsg *info = nlmsg_data(m);
    struct nlattr *a[RTA_MAX + 1];
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        abort();
    *whole = nlmsg_parse((struct nlmsghdr *)(uintptr_t)m, sizeof(*info), a, RTA_MAX, NULL) == 0;
    if (*whole) {
        *whole = !a[RTA_ENCAP] && !a[RTA_NH_ID] && !a[RTA_NEWDST] && !a[RTA_MARK] &&
                 !(a[RTA_VIA] && info->rtm_family != AF_INET);
        put_route(f, info, a, whole);
    }
    if (fclose(f) != 0)
        abort();
    return text;
}

/* ---- and back ---- */

struct hop {
    struct address via;
    unsigned index, flags;
    uint64_t weight;
};

/* A route as it is read, before it becomes a message. */
struct route_read {
    int family;
    unsigned type, table, protocol, scope, preference;
    bool scoped, prioritised;
    struct address to, from, src;
    uint64_t tos, metric, expires, realms;
    uint64_t values[RTAX_MAX + 1]; /* those that are set */
    uint32_t set, locked;
    struct hop hops[NEXTHOPS_MAX]; /* the first is the route's own where hop_count is 0 */
    unsigned hop_count;
};

static int read_prefix(const struct words *w, int family, struct address *out, struct error *err)
{
    if (!w->word)
        return error_set(err, 0, "a destination is missing");
    if (str_eq(w->word, "default") || str_eq(w->word, "all")) {
        *out = (struct address){.family = family};
        return 0;
    }
    if (address_parse(w->word, out, err) < 0)
        return -1;
    return out->family == family ? 0 : error_set(err, 0, "'%s' is of the other family", w->word);
}

/* "lock 1400", "1400": a metric. -1: it is none of these; 0: read; 1: wrong. */
static int read_metric(struct words *w, struct route_read *r, struct error *err)
{
    for (const struct spec_name *n = metrics; n->name; n++) {
        if (!words_take(w, n->name))
            continue;
        if (words_take(w, "lock"))
            r->locked |= 1u << n->value;
        if (spec_number(w->word, NULL, UINT32_MAX, &r->values[n->value], err) < 0)
            return 1;
        r->set |= 1u << n->value;
        words_next(w);
        return 0;
    }
    return -1;
}

static int read_via(struct words *w, struct hop *h, struct error *err)
{
    if (!words_take(w, "inet6"))
        words_take(w, "inet");
    return address_parse(w->word ? w->word : "", &h->via, err);
}

static int read_realms(const char *word, uint64_t *out, struct error *err)
{
    cleanup_free char *copy = xstrdup(word ? word : "");
    char *to = strchr(copy, '/');
    uint64_t from = 0;

    if (to) {
        *to++ = '\0';
        if (spec_number(copy, NULL, UINT16_MAX, &from, err) < 0)
            return -1;
    }
    if (spec_number(to ? to : copy, NULL, UINT16_MAX, out, err) < 0)
        return -1;
    *out |= from << 16;
    return 0;
}

/* What belongs to one nexthop. -1, 0, 1 as read_metric(). */
static int read_hop_word(struct words *w, struct hop *h, struct error *err)
{
    int rc = 0;

    for (const struct spec_name *n = nexthop_flags; n->name; n++)
        if (words_take(w, n->name)) {
            h->flags |= n->value;
            return 0;
        }
    if (words_take(w, "via")) {
        rc = read_via(w, h, err);
    } else if (words_take(w, "dev")) {
        h->index = w->word ? if_nametoindex(w->word) : 0;
        if (!h->index)
            rc = error_set(err, ENODEV, "the interface '%s'", w->word ? w->word : "");
    } else if (words_take(w, "weight")) {
        rc = spec_number(w->word, NULL, 256, &h->weight, err);
    } else {
        return -1;
    }
    words_next(w);
    return rc < 0;
}

/* A word of the route itself, and its value. */
static int read_route_word(struct words *w, struct route_read *r, struct error *err)
{
    const char *word = w->word;
    const char *value = words_next(w);
    int rc = -1;

    if (str_eq(word, "table")) {
        rc = spec_get_name(value, spec_tables, &r->table, err);
    } else if (str_eq(word, "proto") || str_eq(word, "protocol")) {
        rc = spec_get_name(value, spec_protocols, &r->protocol, err);
    } else if (str_eq(word, "scope")) {
        rc = spec_get_name(value, spec_scopes, &r->scope, err);
        r->scoped = true;
    } else if (str_eq(word, "pref")) {
        rc = spec_get_name(value, preferences, &r->preference, err);
    } else if (str_eq(word, "src")) {
        rc = address_parse(value ? value : "", &r->src, err);
    } else if (str_eq(word, "from")) {
        rc = read_prefix(w, r->family, &r->from, err);
    } else if (str_eq(word, "metric") || str_eq(word, "preference")) {
        rc = spec_number(value, NULL, UINT32_MAX, &r->metric, err);
        r->prioritised = true;
    } else if (str_eq(word, "tos")) {
        rc = spec_number(value, NULL, UINT8_MAX, &r->tos, err);
    } else if (str_eq(word, "expires")) {
        rc = spec_number(value, "sec", UINT32_MAX, &r->expires, err);
    } else if (str_eq(word, "realms")) {
        rc = read_realms(value, &r->realms, err);
    } else {
        return error_set(err, 0, "'%s' is unknown", word);
    }
    words_next(w);
    return rc;
}

static int read_route(struct words *w, struct route_read *r, struct error *err)
{
    struct hop *hop = &r->hops[0];

    for (const struct spec_name *n = spec_types; n->name; n++)
        if (words_take(w, n->name)) {
            r->type = n->value;
            break;
        }
    if (read_prefix(w, r->family, &r->to, err) < 0)
        return -1;
    words_next(w);
    while (w->word) {
        if (words_take(w, "nexthop")) {
            if (r->hop_count == NEXTHOPS_MAX)
                return error_set(err, E2BIG, "more than %d nexthops", NEXTHOPS_MAX);
            hop = &r->hops[r->hop_count++];
            *hop = (struct hop){.weight = 1};
            continue;
        }
        int rc = read_hop_word(w, hop, err);
        if (rc < 0 && !r->hop_count)
            rc = read_metric(w, r, err);
        if (rc > 0 || (rc < 0 && read_route_word(w, r, err) < 0))
            return -1;
    }
    return 0;
}

static void add_gateway(struct nl_msg *m, int family, const struct address *via)
{
    union {
        struct rtvia head;
        uint8_t bytes[sizeof(struct rtvia) + 16];
    } other = {.head.rtvia_family = AF_INET6};

    if (via->family == family) {
        nla_put(m, RTA_GATEWAY, spec_bytes(family), via->bytes);
    } else if (via->family == AF_INET6) {
        memcpy(other.bytes + offsetof(struct rtvia, rtvia_addr), via->bytes, 16);
        nla_put(m, RTA_VIA, sizeof(other.bytes), &other);
    }
}

static void add_hops(struct nl_msg *m, const struct route_read *r)
{
    struct nlattr *all = nla_nest_start(m, RTA_MULTIPATH);

    for (unsigned i = 0; i < r->hop_count; i++) {
        const struct hop *h = &r->hops[i];
        struct rtnexthop *nh = nlmsg_reserve(m, sizeof(*nh), NLMSG_ALIGNTO);
        *nh = (struct rtnexthop){
            .rtnh_flags = (unsigned char)h->flags,
            .rtnh_hops = (unsigned char)(h->weight - 1),
            .rtnh_ifindex = (int)h->index,
        };
        add_gateway(m, r->family, &h->via);
        nh->rtnh_len = (unsigned short)((char *)nlmsg_tail(nlmsg_hdr(m)) - (char *)nh);
    }
    nla_nest_end(m, all);
}

static void add_metrics(struct nl_msg *m, const struct route_read *r)
{
    if (!r->set)
        return;
    struct nlattr *all = nla_nest_start(m, RTA_METRICS);
    if (r->locked)
        nla_put_u32(m, RTAX_LOCK, r->locked);
    for (unsigned i = 1; i <= RTAX_MAX; i++)
        if (r->set & 1u << i)
            nla_put_u32(m, (int)i, (uint32_t)r->values[i]);
    nla_nest_end(m, all);
}

/* Scope as iproute2 has it where none was said. */
static unsigned char scope_of(const struct route_read *r)
{
    if (r->scoped || r->family != AF_INET)
        return (unsigned char)r->scope;
    if (r->type == RTN_LOCAL)
        return RT_SCOPE_HOST;
    if (r->type == RTN_BROADCAST || r->type == RTN_MULTICAST || r->type == RTN_ANYCAST)
        return RT_SCOPE_LINK;
    return r->type == RTN_UNICAST && !r->hop_count && !r->hops[0].via.family ? RT_SCOPE_LINK
                                                                             : RT_SCOPE_UNIVERSE;
}

static struct nl_msg *route_message(const struct route_read *r, int type, int flags)
{
    const struct rtmsg info = {
        .rtm_family = (unsigned char)r->family,
        .rtm_dst_len = (unsigned char)r->to.prefix,
        .rtm_src_len = (unsigned char)r->from.prefix,
        .rtm_tos = (unsigned char)r->tos,
        .rtm_table = r->table < 256 ? (unsigned char)r->table : RT_TABLE_UNSPEC,
        .rtm_protocol = (unsigned char)r->protocol,
        .rtm_scope = scope_of(r),
        .rtm_type = (unsigned char)r->type,
        .rtm_flags = r->hop_count ? 0 : r->hops[0].flags,
    };
    struct nl_msg *m = rtnl_message(type, flags, &info, sizeof(info));
    int bytes = spec_bytes(r->family);

    nla_put_u32(m, RTA_TABLE, r->table);
    if (r->to.prefix)
        nla_put(m, RTA_DST, bytes, r->to.bytes);
    if (r->from.prefix)
        nla_put(m, RTA_SRC, bytes, r->from.bytes);
    if (r->src.family == r->family)
        nla_put(m, RTA_PREFSRC, bytes, r->src.bytes);
    if (r->prioritised)
        nla_put_u32(m, RTA_PRIORITY, (uint32_t)r->metric);
    if (r->realms)
        nla_put_u32(m, RTA_FLOW, (uint32_t)r->realms);
    if (r->preference)
        nla_put_u8(m, RTA_PREF, (uint8_t)r->preference);
    if (r->expires && type == RTM_NEWROUTE)
        nla_put_u32(m, RTA_EXPIRES, (uint32_t)r->expires);
    add_metrics(m, r);
    if (r->hop_count) {
        add_hops(m, r);
        return m;
    }
    add_gateway(m, r->family, &r->hops[0].via);
    if (r->hops[0].index)
        nla_put_u32(m, RTA_OIF, r->hops[0].index);
    return m;
}

struct nl_msg *spec_to_route(int family, const char *spec, int type, int flags, struct error *err)
{
    cleanup_words struct words w = words_of(spec);
    struct route_read r = {.family = family,
                           .type = RTN_UNICAST,
                           .table = RT_TABLE_MAIN,
                           .protocol = RTPROT_BOOT};

    if (read_route(&w, &r, err) < 0) {
        error_wrap(err, "the route '%s'", spec);
        return NULL;
    }
    return route_message(&r, type, flags);
}
