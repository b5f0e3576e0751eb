/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of policy routing as text, see spec.h.
 */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "net/spec_private.h"

/* What a rule does; "lookup" and "goto" have a value. */
static const struct spec_name actions[] = {
    {"nop", FR_ACT_NOP},
    {"blackhole", FR_ACT_BLACKHOLE},
    {"unreachable", FR_ACT_UNREACHABLE},
    {"prohibit", FR_ACT_PROHIBIT},
    {NULL, 0},
};

/* ---- to text ---- */

/* linux/fib_rules.h of Linux 6.15: which bits of a port count. */
#define SPORT_MASK 28
#define DPORT_MASK 29

/* Attributes of a later kernel than these headers' are not in the text, unless they say nothing. */
static bool all_known(const struct nlmsghdr *m, size_t head)
{
    int left = nlmsg_attrlen(m, (int)head);

    for (struct nlattr *a = nlmsg_attrdata(m, (int)head); nla_ok(a, left); a = nla_next(a, &left)) {
        const int type = nla_type(a);
        const bool full = (type == SPORT_MASK || type == DPORT_MASK) && nla_len(a) == 2 &&
                          nla_get_u16(a) == UINT16_MAX;
        if (type > FRA_MAX && !full)
            return false;
    }
    return true;
}

static void put_prefix(FILE *f, const char *word, const struct nlattr *a, int family,
                       unsigned prefix)
{
    if (!a)
        return;
    struct address x = spec_attr_address(a, family, prefix);
    spec_put_address(f, word, &x, false);
}

static void put_range(FILE *f, const char *word, const struct nlattr *a)
{
    if (!a || nla_len(a) < (int)sizeof(struct fib_rule_port_range))
        return;
    const struct fib_rule_port_range *r = nla_data(a);
    fprintf(f, " %s %u-%u", word, r->start, r->end);
}

static void put_selectors(FILE *f, const struct fib_rule_hdr *info, struct nlattr *const *a)
{
    put_prefix(f, "from", a[FRA_SRC], info->family, info->src_len);
    put_prefix(f, "to", a[FRA_DST], info->family, info->dst_len);
    if (info->tos)
        fprintf(f, " tos %u", info->tos);
    if (a[FRA_FWMARK] || a[FRA_FWMASK])
        fprintf(f, " fwmark 0x%x/0x%x", a[FRA_FWMARK] ? nla_get_u32(a[FRA_FWMARK]) : 0,
                a[FRA_FWMASK] ? nla_get_u32(a[FRA_FWMASK]) : UINT32_MAX);
    if (a[FRA_IIFNAME])
        fprintf(f, " iif %s", nla_get_string(a[FRA_IIFNAME]));
    if (a[FRA_OIFNAME])
        fprintf(f, " oif %s", nla_get_string(a[FRA_OIFNAME]));
    if (a[FRA_UID_RANGE] && nla_len(a[FRA_UID_RANGE]) >= (int)sizeof(struct fib_rule_uid_range)) {
        const struct fib_rule_uid_range *r = nla_data(a[FRA_UID_RANGE]);
        fprintf(f, " uidrange %u-%u", r->start, r->end);
    }
    if (a[FRA_IP_PROTO])
        fprintf(f, " ipproto %u", nla_get_u8(a[FRA_IP_PROTO]));
    put_range(f, "sport", a[FRA_SPORT_RANGE]);
    put_range(f, "dport", a[FRA_DPORT_RANGE]);
    if (a[FRA_L3MDEV] && nla_get_u8(a[FRA_L3MDEV]))
        fprintf(f, " l3mdev");
}

static void put_action(FILE *f, const struct fib_rule_hdr *info, struct nlattr *const *a)
{
    uint32_t table = a[FRA_TABLE] ? nla_get_u32(a[FRA_TABLE]) : info->table;

    if (a[FRA_SUPPRESS_PREFIXLEN] && nla_get_u32(a[FRA_SUPPRESS_PREFIXLEN]) != UINT32_MAX)
        fprintf(f, " suppress_prefixlength %u", nla_get_u32(a[FRA_SUPPRESS_PREFIXLEN]));
    if (a[FRA_PROTOCOL] && nla_get_u8(a[FRA_PROTOCOL]))
        spec_put_name(f, "protocol", spec_protocols, nla_get_u8(a[FRA_PROTOCOL]));
    if (info->action == FR_ACT_TO_TBL && table)
        spec_put_name(f, "lookup", spec_tables, table);
    if (info->action == FR_ACT_GOTO && a[FRA_GOTO])
        fprintf(f, " goto %u", nla_get_u32(a[FRA_GOTO]));
    for (const struct spec_name *n = actions; n->name; n++)
        if (n->value == info->action)
            fprintf(f, " %s", n->name);
}

char *spec_of_rule(const struct nlmsghdr *m, bool *whole)
{
    const struct fib_rule_hdr *info = nlmsg_data(m);
    struct nlattr *a[FRA_MAX + 1];
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    if (!f)
        abort();
    *whole = nlmsg_parse((struct nlmsghdr *)(uintptr_t)m, sizeof(*info), a, FRA_MAX, NULL) == 0;
    if (*whole) {
        *whole = all_known(m, sizeof(*info)) && !a[FRA_FLOW] && !a[FRA_TUN_ID] &&
                 !(a[FRA_SUPPRESS_IFGROUP] && nla_get_u32(a[FRA_SUPPRESS_IFGROUP]) != UINT32_MAX);
        fprintf(f, "%spref %u", info->flags & FIB_RULE_INVERT ? "not " : "",
                a[FRA_PRIORITY] ? nla_get_u32(a[FRA_PRIORITY]) : 0);
        put_selectors(f, info, a);
        put_action(f, info, a);
    }
    if (fclose(f) != 0)
        abort();
    return text;
}

/* ---- and back ---- */

struct rule_read {
    int family;
    bool invert, l3mdev, marked, uids, sports, dports, suppress;
    struct address from, to;
    unsigned action, table, protocol;
    uint64_t pref, tos, mark, mask, ip_proto, prefix, target;
    uint64_t range[3][2]; /* uid, sport, dport */
    const char *iif, *oif;
};

/* "A-B", "A/B", "A": two numbers. */
static int read_pair(const char *value, char by, uint64_t hi, uint64_t *first, uint64_t *second,
                     struct error *err)
{
    cleanup_free char *copy = xstrdup(value);
    char *behind = strchr(copy, by);

    if (behind)
        *behind++ = '\0';
    if (spec_number(copy, NULL, hi, first, err) < 0)
        return -1;
    if (!behind)
        return 0;
    return spec_number(behind, NULL, hi, second, err);
}

static int read_range(const char *value, uint64_t hi, uint64_t out[2], bool *set, struct error *err)
{
    *set = true;
    out[1] = UINT64_MAX;
    if (read_pair(value, '-', hi, &out[0], &out[1], err) < 0)
        return -1;
    if (out[1] == UINT64_MAX)
        out[1] = out[0];
    return 0;
}

static int read_side(const char *value, struct rule_read *r, struct address *out, struct error *err)
{
    if (str_eq(value, "all"))
        return 0;
    if (address_parse(value, out, err) < 0)
        return -1;
    return out->family == r->family ? 0 : error_set(err, 0, "'%s' is of the other family", value);
}

/* What a packet must be like. -1, 0, or 1: it is another word. */
static int read_selector(const char *word, const char *value, struct rule_read *r,
                         struct error *err)
{
    if (str_eq(word, "from"))
        return read_side(value, r, &r->from, err);
    if (str_eq(word, "to"))
        return read_side(value, r, &r->to, err);
    if (str_eq(word, "tos"))
        return spec_number(value, NULL, UINT8_MAX, &r->tos, err);
    if (str_eq(word, "fwmark")) {
        r->marked = true;
        r->mask = UINT32_MAX;
        return read_pair(value, '/', UINT32_MAX, &r->mark, &r->mask, err);
    }
    if (str_eq(word, "uidrange"))
        return read_range(value, UINT32_MAX, r->range[0], &r->uids, err);
    if (str_eq(word, "ipproto"))
        return spec_number(value, NULL, UINT8_MAX, &r->ip_proto, err);
    if (str_eq(word, "sport"))
        return read_range(value, UINT16_MAX, r->range[1], &r->sports, err);
    if (str_eq(word, "dport"))
        return read_range(value, UINT16_MAX, r->range[2], &r->dports, err);
    return 1;
}

static int read_rule_word(const char *word, const char *value, struct rule_read *r,
                          struct error *err)
{
    int rc = read_selector(word, value, r, err);

    if (rc <= 0)
        return rc;
    if (str_eq(word, "pref") || str_eq(word, "priority"))
        return spec_number(value, NULL, UINT32_MAX, &r->pref, err);
    if (str_eq(word, "suppress_prefixlength")) {
        r->suppress = true;
        return spec_number(value, NULL, 128, &r->prefix, err);
    }
    if (str_eq(word, "protocol"))
        return spec_get_name(value, spec_protocols, &r->protocol, err);
    if (str_eq(word, "lookup") || str_eq(word, "table")) {
        r->action = FR_ACT_TO_TBL;
        return spec_get_name(value, spec_tables, &r->table, err);
    }
    if (str_eq(word, "goto")) {
        r->action = FR_ACT_GOTO;
        return spec_number(value, NULL, UINT32_MAX, &r->target, err);
    }
    return error_set(err, 0, "'%s' is unknown", word);
}

/* A word that stands alone. */
static bool read_alone(struct words *w, struct rule_read *r)
{
    if (words_take(w, "not")) {
        r->invert = true;
        return true;
    }
    if (words_take(w, "l3mdev")) {
        r->l3mdev = true;
        r->action = FR_ACT_TO_TBL;
        return true;
    }
    for (const struct spec_name *n = actions; n->name; n++)
        if (words_take(w, n->name)) {
            r->action = n->value;
            return true;
        }
    return false;
}

static int read_rule(struct words *w, struct rule_read *r, struct error *err)
{
    while (w->word) {
        if (read_alone(w, r))
            continue;
        const char *word = w->word;
        const char *value = words_next(w);
        if (!value)
            return error_set(err, 0, "'%s': something is missing behind it", word);
        words_next(w);
        if (str_eq(word, "iif") || str_eq(word, "oif")) {
            if (strlen(value) >= IFNAMSIZ)
                return error_set(err, 0, "'%s' is no name of an interface", value);
            *(*word == 'i' ? &r->iif : &r->oif) = value;
        } else if (read_rule_word(word, value, r, err) < 0) {
            return -1;
        }
    }
    return 0;
}

static void add_range(struct nl_msg *m, int type, const uint64_t range[2])
{
    struct fib_rule_port_range r = {.start = (uint16_t)range[0], .end = (uint16_t)range[1]};

    nla_put(m, type, sizeof(r), &r);
}

static void add_selectors(struct nl_msg *m, const struct rule_read *r)
{
    int bytes = spec_bytes(r->family);

    if (r->from.family)
        nla_put(m, FRA_SRC, bytes, r->from.bytes);
    if (r->to.family)
        nla_put(m, FRA_DST, bytes, r->to.bytes);
    if (r->marked) {
        nla_put_u32(m, FRA_FWMARK, (uint32_t)r->mark);
        nla_put_u32(m, FRA_FWMASK, (uint32_t)r->mask);
    }
    if (r->iif)
        nla_put_string(m, FRA_IIFNAME, r->iif);
    if (r->oif)
        nla_put_string(m, FRA_OIFNAME, r->oif);
    if (r->uids) {
        struct fib_rule_uid_range u = {.start = (uint32_t)r->range[0][0],
                                       .end = (uint32_t)r->range[0][1]};
        nla_put(m, FRA_UID_RANGE, sizeof(u), &u);
    }
    if (r->ip_proto)
        nla_put_u8(m, FRA_IP_PROTO, (uint8_t)r->ip_proto);
    if (r->sports)
        add_range(m, FRA_SPORT_RANGE, r->range[1]);
    if (r->dports)
        add_range(m, FRA_DPORT_RANGE, r->range[2]);
    if (r->l3mdev)
        nla_put_u8(m, FRA_L3MDEV, 1);
}

static struct nl_msg *rule_message(const struct rule_read *r, int type, int flags)
{
    const struct fib_rule_hdr info = {
        .family = (uint8_t)r->family,
        .dst_len = (uint8_t)r->to.prefix,
        .src_len = (uint8_t)r->from.prefix,
        .tos = (uint8_t)r->tos,
        .table = r->table < 256 ? (uint8_t)r->table : RT_TABLE_UNSPEC,
        .action = (uint8_t)r->action,
        .flags = r->invert ? FIB_RULE_INVERT : 0,
    };
    struct nl_msg *m = rtnl_message(type, flags, &info, sizeof(info));

    nla_put_u32(m, FRA_PRIORITY, (uint32_t)r->pref);
    if (r->table)
        nla_put_u32(m, FRA_TABLE, r->table);
    if (r->action == FR_ACT_GOTO)
        nla_put_u32(m, FRA_GOTO, (uint32_t)r->target);
    if (r->suppress)
        nla_put_u32(m, FRA_SUPPRESS_PREFIXLEN, (uint32_t)r->prefix);
    if (r->protocol)
        nla_put_u8(m, FRA_PROTOCOL, (uint8_t)r->protocol);
    add_selectors(m, r);
    return m;
}

struct nl_msg *spec_to_rule(int family, const char *spec, int type, int flags, struct error *err)
{
    cleanup_words struct words w = words_of(spec);
    struct rule_read r = {.family = family};

    int rc = read_rule(&w, &r, err);
    if (rc == 0 && !r.action)
        rc = error_set(err, 0, "no action is in it");
    if (rc < 0) {
        error_wrap(err, "the rule '%s'", spec);
        return NULL;
    }
    return rule_message(&r, type, flags);
}
