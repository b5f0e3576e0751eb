/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A packet on its way through the rules of others, on paper; see foreign.c. Of what a rule asks, each
 * thing is true of the packet, false, or not known.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "net/foreign_private.h"

#define DEPTH_MAX 16
#define STEPS_MAX 100000u /* rules looked at for one packet */

enum truth { FALSE, MAYBE, TRUE };
enum fate { FATE_GOES_ON, FATE_RETURNS, FATE_PASSES, FATE_DROPPED };

/* ---- what a rule asks ---- */

static enum truth negate(enum truth t)
{
    return t == TRUE ? FALSE : t == FALSE ? TRUE : MAYBE;
}

/* Is this value, which the packet has, the one that the rule names? */
static enum truth equals(const char *has, const json_t *value)
{
    char number[24];
    size_t i;
    json_t *part;

    if (!has)
        return MAYBE;
    if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
        return str_eq(has, number) ? TRUE : FALSE;
    }
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        const size_t len = strlen(text);
        if (str_eq(text, "*"))
            return TRUE;
        if (len && text[len - 1] == '*')
            return strncmp(text, has, len - 1) == 0 ? TRUE : FALSE;
        return str_eq(has, text) ? TRUE : FALSE;
    }
    const json_t *list = json_is_array(value) ? value : json_object_get(value, "set");
    if (json_is_array(list)) {
        enum truth any = FALSE;
        json_array_foreach (list, i, part) {
            const enum truth t = equals(has, part);
            any = t > any ? t : any;
        }
        return any;
    }
    const json_t *range = json_object_get(value, "range");
    if (json_is_array(range) && isdigit((unsigned char)*has)) {
        const long long x = atoll(has);
        return x >= json_integer_value(json_array_get(range, 0)) &&
                       x <= json_integer_value(json_array_get(range, 1))
                   ? TRUE
                   : FALSE;
    }
    return MAYBE;
}

/* What the packet has where the rule looks; NULL: not known. *other: it is some other interface. */
static const char *property(const struct look *l, const json_t *left, char port[16], bool *other)
{
    const struct packet *p = l->packet;
    const json_t *meta = json_object_get(left, "meta"), *ct = json_object_get(left, "ct");
    const json_t *payload = json_object_get(left, "payload");
    const char *key = json_string_value(json_object_get(meta, "key"));

    *other = false;
    if (str_eq(key, "iifname") || str_eq(key, "iif")) {
        *other = p->in && !*p->in;
        return p->in;
    }
    if (str_eq(key, "oifname") || str_eq(key, "oif")) {
        *other = p->out && !*p->out;
        return p->out;
    }
    if (str_eq(key, "l4proto"))
        return p->protocol;
    if (str_eq(key, "nfproto"))
        return p->family;
    key = json_string_value(json_object_get(ct, "key"));
    if (str_eq(key, "state"))
        return p->state;
    if (str_eq(key, "status"))
        return p->dnat ? "dnat" : NULL;
    key = json_string_value(json_object_get(payload, "field"));
    const char *protocol = json_string_value(json_object_get(payload, "protocol"));
    if (str_eq(key, "dport") && p->port && p->protocol) {
        snprintf(port, 16, "%u", p->port);
        return str_eq(protocol, p->protocol) || str_eq(protocol, "th") ? port : "";
    }
    if (str_eq(key, "protocol") || str_eq(key, "nexthdr"))
        return p->protocol;
    if (str_eq(key, "type") && str_eq(protocol, "icmpv6"))
        return p->neighbour ? "nd-neighbor-solicit" : NULL;
    if (str_eq(key, "hoplimit"))
        return p->neighbour ? "255" : NULL; /* RFC 4861, 7.1.1 */
    return NULL;
}

/* *ours: it names the network's interface. */
static enum truth matches(const struct look *l, const json_t *match, bool *ours)
{
    const json_t *left = json_object_get(match, "left"), *right = json_object_get(match, "right");
    const char *op = json_string_value(json_object_get(match, "op"));
    char port[16];
    bool other;
    const char *has = property(l, left, port, &other);
    const json_t *ct = json_object_get(left, "ct");
    enum truth t = equals(has, right);

    /* iptables calls that a state, too */
    if (l->packet->dnat && str_eq(json_string_value(json_object_get(ct, "key")), "state") &&
        equals("dnat", right) == TRUE)
        t = TRUE;
    if (other) /* which one that is, nobody knows: but ours it is not */
        t = json_is_string(right) && str_eq(json_string_value(right), l->n->name) ? FALSE : MAYBE;
    else if (t == TRUE && has && str_eq(has, l->n->name))
        *ours = true;
    if (str_eq(op, "==") || str_eq(op, "in"))
        return t;
    return str_eq(op, "!=") ? negate(t) : MAYBE;
}

/* ---- chains ---- */

static enum fate chain_fate(struct look *l, const char *chain, unsigned depth);

static enum fate verdict_fate(struct look *l, const json_t *verdict, unsigned depth)
{
    const json_t *to;

    if (json_object_get(verdict, "accept"))
        return FATE_PASSES;
    if (json_object_get(verdict, "drop") || json_object_get(verdict, "reject"))
        return FATE_DROPPED;
    if (json_object_get(verdict, "return"))
        return FATE_RETURNS;
    if ((to = json_object_get(verdict, "jump")) || (to = json_object_get(verdict, "goto"))) {
        const char *name = json_string_value(json_object_get(to, "target"));
        const enum fate f = name ? chain_fate(l, name, depth + 1) : FATE_GOES_ON;
        if (f != FATE_RETURNS && f != FATE_GOES_ON)
            return f;
        return json_object_get(verdict, "goto") ? FATE_RETURNS : FATE_GOES_ON;
    }
    return FATE_GOES_ON;
}

/*
 * What nft cannot show, such as what is asked by a module of iptables': not known. Two it is told
 * enough of.
 */
static enum truth xt_truth(const json_t *xt, enum fate *f)
{
    const char *name = json_string_value(json_object_get(xt, "name"));

    if (str_eq(json_string_value(json_object_get(xt, "type")), "target")) {
        if (str_eq(name, "REJECT"))
            *f = FATE_DROPPED;
        return TRUE;
    }
    return str_eq(name, "comment") ? TRUE : MAYBE;
}

/* { KEY : VERDICT, … }, written out in the rule. */
static enum fate vmap_fate(struct look *l, const json_t *vmap, unsigned depth)
{
    const json_t *set = json_object_get(json_object_get(vmap, "data"), "set");
    char port[16];
    bool other;
    const char *has = property(l, json_object_get(vmap, "key"), port, &other);
    size_t i;
    json_t *pair;

    if (!has || other || !json_is_array(set))
        return FATE_GOES_ON;
    json_array_foreach (set, i, pair) {
        if (equals(has, json_array_get(pair, 0)) == TRUE)
            return verdict_fate(l, json_array_get(pair, 1), depth);
    }
    return FATE_GOES_ON;
}

static enum fate rule_fate(struct look *l, const json_t *rule, unsigned depth)
{
    enum truth t = TRUE;
    bool ours = false;
    size_t i;
    json_t *e;

    json_array_foreach (json_object_get(rule, "expr"), i, e) {
        const json_t *match = json_object_get(e, "match"), *vmap = json_object_get(e, "vmap");
        const json_t *xt = json_object_get(e, "xt");
        enum fate f = FATE_GOES_ON;
        enum truth m = TRUE;
        if (match)
            m = matches(l, match, &ours);
        else if (xt)
            m = xt_truth(xt, &f);
        else if (json_object_get(e, "limit"))
            m = MAYBE;
        t = m < t ? m : t;
        if (t == FALSE)
            return FATE_GOES_ON;
        if (vmap)
            f = vmap_fate(l, vmap, depth);
        else if (!xt)
            f = verdict_fate(l, e, depth);
        if (f != FATE_GOES_ON)
            return t == TRUE || (ours && f == FATE_PASSES) ? f : FATE_GOES_ON;
    }
    return FATE_GOES_ON;
}

bool foreign_belongs(const struct look *l, const json_t *o, const char *chain)
{
    return str_eq(json_string_value(json_object_get(o, "family")), l->family) &&
           str_eq(json_string_value(json_object_get(o, "table")), l->table) &&
           (!chain || str_eq(json_string_value(json_object_get(o, "chain")), chain));
}

static enum fate chain_fate(struct look *l, const char *chain, unsigned depth)
{
    size_t i;
    json_t *o;

    if (depth > DEPTH_MAX)
        return FATE_GOES_ON;
    json_array_foreach (l->rules, i, o) {
        const json_t *rule = json_object_get(o, "rule");
        if (!rule || !foreign_belongs(l, rule, chain))
            continue;
        if (l->steps++ > STEPS_MAX)
            return FATE_GOES_ON;
        const enum fate f = rule_fate(l, rule, depth);
        if (f != FATE_GOES_ON)
            return f;
    }
    return FATE_GOES_ON;
}

bool foreign_blocks(struct look *l, const json_t *base)
{
    const char *policy = json_string_value(json_object_get(base, "policy"));
    const enum fate f = chain_fate(l, json_string_value(json_object_get(base, "name")), 0);

    if (f == FATE_GOES_ON || f == FATE_RETURNS)
        return str_eq(policy, "drop");
    return f == FATE_DROPPED;
}
