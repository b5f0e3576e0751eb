/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other people's firewalls, see foreign.h.
 *
 * A few packets that the network lives from (struct packet) are sent through each base chain of
 * others, on paper: rules come as `nft -j list ruleset` has them, which also shows what iptables
 * made of nf_tables. Of what a rule asks, each thing is true of the packet, false, or not known.
 * A rule that is true decides. One that may be true is passed by, unless it accepts and names the
 * network's interface: somebody wrote it for us. So an admin's rule against one address does not
 * count as standing in the way, and a catch-all does.
 *
 * What mends it is inserted where its owner leaves room for that, else at the head of the base chain:
 * by iptables where iptables made the chain, by firewall-cmd where firewalld did and is there to be
 * asked, else by nft. nft deletes by handle only, so its rules have a comment by which they are found
 * again. That our own chains drop what the kind of network forbids holds whatever theirs accept.
 */
#include "net/foreign.h"

#include <ctype.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "net/program.h"

#define DEPTH_MAX 16
#define STEPS_MAX 100000u /* rules looked at for one packet */

enum truth { FALSE, MAYBE, TRUE };
enum fate { FATE_GOES_ON, FATE_RETURNS, FATE_PASSES, FATE_DROPPED };

/* What a packet is known to be; NULL: that is not known. */
struct packet {
    const char *what; /* for people */
    const char *hook;
    const char *in, *out; /* "": some other interface */
    const char *state;    /* of its connection */
    const char *protocol; /* of layer 4 */
    const char *family;   /* ipv4, ipv6 */
    unsigned port;        /* destination; 0: not known */
    bool dnat;
};

struct look {
    const struct network *n;
    const struct packet *packet;
    json_t *rules; /* the array "nftables" */
    const char *family, *table;
    unsigned steps;
};

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
    enum truth t = equals(has, right);

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
        if (match) {
            const enum truth m = matches(l, match, &ours);
            t = m < t ? m : t;
        } else if (json_object_get(e, "xt") || json_object_get(e, "limit")) {
            t = t < MAYBE ? t : MAYBE;
        }
        if (t == FALSE)
            return FATE_GOES_ON;
        const enum fate f = vmap ? vmap_fate(l, vmap, depth) : verdict_fate(l, e, depth);
        if (f != FATE_GOES_ON)
            return t == TRUE || (ours && f == FATE_PASSES) ? f : FATE_GOES_ON;
    }
    return FATE_GOES_ON;
}

static bool belongs(const struct look *l, const json_t *o, const char *chain)
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
        if (!rule || !belongs(l, rule, chain))
            continue;
        if (l->steps++ > STEPS_MAX)
            return FATE_GOES_ON;
        const enum fate f = rule_fate(l, rule, depth);
        if (f != FATE_GOES_ON)
            return f;
    }
    return FATE_GOES_ON;
}

/* Does this base chain drop the packet? */
static bool blocks(struct look *l, const json_t *base)
{
    const char *policy = json_string_value(json_object_get(base, "policy"));
    const enum fate f = chain_fate(l, json_string_value(json_object_get(base, "name")), 0);

    if (f == FATE_GOES_ON || f == FATE_RETURNS)
        return str_eq(policy, "drop");
    return f == FATE_DROPPED;
}

/* ---- what mends it ---- */

/* Words of rules: what is accepted of our packets, in nft's language and in iptables'. */
struct pass {
    const char *hook, *nft, *iptables;
    const char *family; /* "ip", "ip6"; NULL: both */
};

static const struct pass forward_passes[] = {
    {"forward", "iifname \"%s\"", "-i %s", NULL},
    {"forward", "oifname \"%s\"", "-o %s", NULL},
    {NULL, NULL, NULL, NULL},
};
static const struct pass inside_passes[] = {
    {"forward", "iifname \"%1$s\" oifname \"%1$s\"", "-i %1$s -o %1$s", NULL},
    {NULL, NULL, NULL, NULL},
};
static const struct pass input_passes[] = {
    {"input", "iifname \"%s\" udp dport 67", "-i %s -p udp --dport 67", "ip"},
    {"input", "iifname \"%s\" udp dport 53", "-i %s -p udp --dport 53", NULL},
    {"input", "iifname \"%s\" tcp dport 53", "-i %s -p tcp --dport 53", NULL},
    {"input", "iifname \"%s\" udp dport 547", "-i %s -p udp --dport 547", "ip6"},
    {"input", "iifname \"%s\" meta l4proto ipv6-icmp", "-i %s -p ipv6-icmp", "ip6"},
    {NULL, NULL, NULL, NULL},
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static char *fill(const char *pattern, const char *name)
{
    return xasprintf(pattern, name); /* one of the tables above */
}
#pragma GCC diagnostic pop

static bool is_plain(const char *name)
{
    return name && *name &&
           !name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")];
}

static bool has_chain(const struct look *l, const char *prefix)
{
    size_t i;
    json_t *o;

    json_array_foreach (l->rules, i, o) {
        const json_t *chain = json_object_get(o, "chain");
        const char *name = json_string_value(json_object_get(chain, "name"));
        if (name && belongs(l, chain, NULL) && str_starts(name, prefix))
            return true;
    }
    return false;
}

/* Whose chain it is. Caller frees. */
static char *owner(const struct look *l, const char *chain)
{
    if (has_chain(l, "DOCKER"))
        return xstrdup("Docker");
    if (str_eq(l->table, "firewalld"))
        return xstrdup("firewalld");
    if (has_chain(l, "ufw"))
        return xstrdup("ufw");
    return xasprintf("the chain '%s' of the table '%s %s'", chain, l->family, l->table);
}

/* Did iptables make it, and is it here? Which. */
static const char *iptables_of(const struct look *l, const char *chain)
{
    const char *program = str_eq(l->family, "ip") ? "iptables" : "ip6tables";

    if (str_eq(l->family, "inet") || !str_eq(l->table, "filter") ||
        (!str_eq(chain, "FORWARD") && !str_eq(chain, "INPUT") && !str_eq(chain, "DOCKER-USER")))
        return NULL;
    cleanup_free char *found = program_find(program);
    return found ? program : NULL;
}

static void mend_iptables(struct plan *p, const char *who, const char *program, const char *chain,
                          const char *what)
{
    cleanup_free char *in = xasprintf("%s -w -I %s %s -j ACCEPT", program, chain, what);
    cleanup_free char *out = xasprintf("%s -w -D %s %s -j ACCEPT", program, chain, what);

    plan_add(p, "mend", who, in, out, NULL);
}

/* Its undo finds the rules by their comment; where there are none it does nothing. */
static void mend_nft(struct plan *p, const struct look *l, const char *who, const char *chain,
                     const char *what)
{
    const char *name = l->n->name;
    cleanup_free char *in =
        xasprintf("nft 'insert rule %s %s %s %s counter accept comment \"pult:%s\"'", l->family,
                  l->table, chain, what, name);
    cleanup_free char *out =
        xasprintf("sh -c 'nft -a list chain %s %s %s | "
                  "sed -n \"s/.*comment .pult:%s. # handle \\([0-9]*\\)$/"
                  "delete rule %s %s %s handle \\1/p\" | nft -f -'",
                  l->family, l->table, chain, name, l->family, l->table, chain);

    plan_add(p, "mend", who, in, out, NULL);
}

/* The interface in the zone "trusted": by firewalld's own means. */
static void mend_firewalld(struct plan *p, const char *name)
{
    cleanup_free char *in = xasprintf("firewall-cmd --zone=trusted --add-interface=%s", name);
    cleanup_free char *out = xasprintf("firewall-cmd --zone=trusted --remove-interface=%s", name);

    for (size_t i = 0; i < p->count; i++)
        if (str_eq(p->steps[i].args[1], in))
            return;
    plan_add(p, "mend", "firewalld", in, out, NULL);
}

static void add_mends(struct plan *p, const struct look *l, const char *who, const char *base,
                      const struct pass *pass)
{
    const char *chain = base;
    cleanup_free char *firewall_cmd = program_find("firewall-cmd");

    if (str_eq(l->table, "firewalld") && firewall_cmd) {
        mend_firewalld(p, l->n->name);
        return;
    }
    if (str_eq(pass->hook, "forward") && has_chain(l, "DOCKER-USER"))
        chain = "DOCKER-USER";
    const char *iptables = iptables_of(l, chain);
    for (; pass->hook; pass++) {
        if (pass->family && !str_eq(l->family, "inet") && !str_eq(l->family, pass->family))
            continue;
        cleanup_free char *what = fill(iptables ? pass->iptables : pass->nft, l->n->name);
        if (iptables)
            mend_iptables(p, who, iptables, chain, what);
        else
            mend_nft(p, l, who, chain, what);
    }
}

/* ---- the whole ---- */

/* Is bridged traffic, too, shown to the rules of routed traffic (br_netfilter)? */
static bool bridged_too(void)
{
    cleanup_free char *text = NULL;

    return file_read_at(AT_FDCWD, "/proc/sys/net/bridge/bridge-nf-call-iptables", 16, &text, NULL,
                        NULL) == 0 &&
           *text == '1';
}

/* Of both families or this one? */
static bool has_family(const struct network *n, int family)
{
    for (unsigned i = 0; i < n->address_count; i++)
        if (n->addresses[i].family == family)
            return true;
    return false;
}

#define PACKETS_MAX 10

/* What a network lives from. */
static size_t packets_of(const struct network *n, struct packet all[PACKETS_MAX])
{
    const bool four = has_family(n, AF_INET), six = has_family(n, AF_INET6);
    const bool out = n->kind == NET_NAT || n->kind == NET_ROUTED;
    const bool server = net_kind_has_server(n->kind);
    size_t count = 0;

    if (out) {
        all[count++] = (struct packet){.what = "what its guests send out",
                                       .hook = "forward",
                                       .in = n->name,
                                       .out = "",
                                       .state = "new"};
        all[count++] = (struct packet){.what = "the answers to its guests",
                                       .hook = "forward",
                                       .in = "",
                                       .out = n->name,
                                       .state = "established"};
    }
    if (n->kind == NET_ROUTED || (out && n->forward_count))
        all[count++] = (struct packet){.what = "what is sent to its guests",
                                       .hook = "forward",
                                       .in = "",
                                       .out = n->name,
                                       .state = "new",
                                       .dnat = n->kind == NET_NAT};
    if (bridged_too())
        all[count++] = (struct packet){.what = "what its guests send to each other",
                                       .hook = "forward",
                                       .in = n->name,
                                       .out = n->name,
                                       .state = "new"};
    if (server && four)
        all[count++] = (struct packet){.what = "its guests' questions for an address (DHCP)",
                                       .hook = "input",
                                       .in = n->name,
                                       .state = "new",
                                       .protocol = "udp",
                                       .family = "ipv4",
                                       .port = 67};
    if (server && (four || six))
        all[count++] = (struct packet){.what = "its guests' questions for names (DNS)",
                                       .hook = "input",
                                       .in = n->name,
                                       .state = "new",
                                       .protocol = "udp",
                                       .family = four ? "ipv4" : "ipv6",
                                       .port = 53};
    if (server && six)
        all[count++] = (struct packet){.what = "its guests' neighbour discovery",
                                       .hook = "input",
                                       .in = n->name,
                                       .protocol = "ipv6-icmp",
                                       .family = "ipv6"};
    return count;
}

/* Can a packet of this family come by a table of that one? */
static bool meets(const struct network *n, const struct packet *k, const char *family)
{
    const bool six = str_eq(family, "ip6");

    if (str_eq(family, "inet"))
        return true;
    if (k->family)
        return str_eq(k->family, six ? "ipv6" : "ipv4");
    return n->kind == NET_BRIDGE || has_family(n, six ? AF_INET6 : AF_INET);
}

/* One base chain of others: what it drops of ours, and what mends that. */
static void look_at(const struct network *n, json_t *rules, const json_t *base, bool mend,
                    struct plan *p)
{
    struct packet packets[PACKETS_MAX];
    const size_t count = packets_of(n, packets);
    const char *name = json_string_value(json_object_get(base, "name"));
    const char *hook = json_string_value(json_object_get(base, "hook"));
    struct look l = {.n = n,
                     .rules = rules,
                     .family = json_string_value(json_object_get(base, "family")),
                     .table = json_string_value(json_object_get(base, "table"))};
    const struct packet *first = NULL;

    for (size_t i = 0; i < count && !first; i++) {
        l.packet = &packets[i];
        l.steps = 0;
        if (str_eq(packets[i].hook, hook) && meets(n, &packets[i], l.family) && blocks(&l, base))
            first = &packets[i];
    }
    if (!first)
        return;
    cleanup_free char *who = owner(&l, name);
    const bool plain = is_plain(name) && is_plain(l.table);
    plan_note(p, "%s drops %s (chain '%s' of the table '%s %s')%s", who, first->what, name,
              l.family, l.table,
              !plain ? ": let it pass there"
              : mend ? ""
                     : ": net.mend = on lets it pass");
    if (mend && plain)
        add_mends(p, &l, who, name,
                  str_eq(hook, "input")                         ? input_passes
                  : n->kind == NET_NAT || n->kind == NET_ROUTED ? forward_passes
                                                                : inside_passes);
}

/*
 * The iptables of old keeps its rules where nf_tables does not see them. It is asked only where it
 * has rules in this namespace, for asking loads its modules.
 */
static void look_at_legacy(const struct network *n, bool mend, struct plan *p)
{
    cleanup_free char *names = NULL, *found = program_find("iptables-legacy"), *rules = NULL;
    const char *program = found ? "iptables-legacy" : "iptables";
    const char *const argv[] = {program, "-w", "-S", "FORWARD", NULL};

    if (file_read_at(AT_FDCWD, "/proc/net/ip_tables_names", 4096, &names, NULL, NULL) < 0 ||
        !strstr(names, "filter") || !has_family(n, AF_INET) ||
        (n->kind != NET_NAT && n->kind != NET_ROUTED))
        return;
    if (program_run(argv, NULL, &rules, NULL) < 0) {
        plan_note(p, "there are rules of the old iptables, which cannot be read: where they drop "
                     "what is forwarded, let it pass there");
        return;
    }
    cleanup_free char *ours = xasprintf("-i %s -j ACCEPT", n->name);
    const bool drops = strstr(rules, "-P FORWARD DROP") || strstr(rules, "-A FORWARD -j DROP") ||
                       strstr(rules, "-A FORWARD -j REJECT");
    if (!drops || strstr(rules, ours))
        return;
    const char *chain = strstr(rules, "-j DOCKER-USER") ? "DOCKER-USER" : "FORWARD";
    plan_note(p, "the old iptables drops what its guests send out (chain FORWARD)%s",
              mend ? "" : ": net.mend = on lets it pass");
    for (const struct pass *pass = forward_passes; mend && pass->hook; pass++) {
        cleanup_free char *what = fill(pass->iptables, n->name);
        mend_iptables(p, "the old iptables", program, chain, what);
    }
}

int foreign_plan(const struct network *n, bool mend, struct plan *p, struct error *err)
{
    static const char *const nft[] = {"nft", "-j", "list", "ruleset", NULL};
    cleanup_free char *text = NULL;
    json_error_t why;
    size_t i;
    json_t *o;

    if (!net_kind_has_bridge(n->kind))
        return 0;
    if (program_run(nft, NULL, &text, err) < 0)
        return error_wrap(err, "look for other firewalls");
    json_t *all = json_loads(text, 0, &why);
    json_t *rules = json_object_get(all, "nftables");
    if (!json_is_array(rules)) {
        json_decref(all);
        return error_set(err, 0, "look for other firewalls: nft answers with no JSON: %s",
                         why.text);
    }
    json_array_foreach (rules, i, o) {
        const json_t *chain = json_object_get(o, "chain");
        if (json_object_get(chain, "hook") &&
            str_eq(json_string_value(json_object_get(chain, "type")), "filter") &&
            !str_eq(json_string_value(json_object_get(chain, "table")), "pult") &&
            !str_eq(json_string_value(json_object_get(chain, "family")), "bridge"))
            look_at(n, rules, chain, mend, p);
    }
    json_decref(all);
    look_at_legacy(n, mend, p);
    return 0;
}
