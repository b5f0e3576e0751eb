/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other people's firewalls, see foreign.h.
 *
 * A few packets that the network lives from (struct packet) are sent through each base chain of
 * others, on paper (foreign_walk.c): rules come as `nft -j list ruleset` has them, and those of both
 * kinds of iptables as it lists them (foreign_iptables.c). A rule that is true of a packet decides. One that may be true is passed by, unless it accepts and names the
 * network's interface: somebody wrote it for us. So an admin's rule against one address does not
 * count as standing in the way, and a catch-all does.
 *
 * What mends it is inserted where its owner leaves room for that, else at the head of the base chain:
 * by the iptables that made the chain, by firewall-cmd where firewalld did and is there to be
 * asked, else by nft. nft deletes by handle only, so its rules have a comment by which they are found
 * again. That our own chains drop what the kind of network forbids holds whatever theirs accept.
 */
#include "net/foreign.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "net/foreign_private.h"
#include "net/program.h"

/* Rules from one place: nf_tables, or what ip_tables of old has of one family. */
struct source {
    json_t *rules;
    char *four, *six; /* the programs that hold the tables "filter"; NULL: nft does */
    bool legacy;
};

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
        if (name && foreign_belongs(l, chain, NULL) && str_starts(name, prefix))
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

/* The iptables that holds this chain; NULL: none does. */
static const char *iptables_of(const struct source *s, const struct look *l, const char *chain)
{
    if (!str_eq(l->table, "filter") ||
        (!str_eq(chain, "FORWARD") && !str_eq(chain, "INPUT") && !str_eq(chain, "DOCKER-USER")))
        return NULL;
    return str_eq(l->family, "ip") ? s->four : str_eq(l->family, "ip6") ? s->six : NULL;
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

/*
 * What others send to its guests is decided by the zone from which it comes. Only a policy lets it
 * pass, which firewalld does not make for a while; so a rule is put before its own, where that may be.
 */
static void mend_firewalld_inwards(struct plan *p, const struct look *l, const char *who,
                                   const char *chain)
{
    cleanup_free char *what = fill(forward_passes[1].nft, l->n->name);
    bool owned = false;
    size_t i;
    json_t *o;

    json_array_foreach (l->rules, i, o) {
        const json_t *table = json_object_get(o, "table");
        cleanup_free char *flags =
            str_eq(json_string_value(json_object_get(table, "name")), l->table)
                ? json_dumps(json_object_get(table, "flags"), JSON_ENCODE_ANY)
                : NULL;
        owned |= flags && strstr(flags, "owner");
    }
    if (!owned)
        mend_nft(p, l, who, chain, what);
    else
        plan_note(p,
                  "firewalld drops what others send to its guests, until it has a policy from the "
                  "zone ANY to trusted: firewall-cmd --permanent --new-policy=pult, then "
                  "--add-ingress-zone, --add-egress-zone and --set-target=ACCEPT of that policy");
}

static void add_mends(struct plan *p, const struct source *s, const struct look *l, const char *who,
                      const char *base, const struct pass *pass)
{
    const char *chain = base;
    cleanup_free char *firewall_cmd = program_find("firewall-cmd");

    if (str_eq(l->table, "firewalld") && firewall_cmd) {
        mend_firewalld(p, l->n->name);
        if (str_eq(pass->hook, "forward") && l->n->kind == NET_ROUTED)
            mend_firewalld_inwards(p, l, who, chain);
        return;
    }
    if (str_eq(pass->hook, "forward") && has_chain(l, "DOCKER-USER"))
        chain = "DOCKER-USER";
    const char *iptables = iptables_of(s, l, chain);
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
                                       .family = "ipv6",
                                       .neighbour = true};
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
static void look_at(const struct network *n, const struct source *s, const json_t *base, bool mend,
                    struct plan *p)
{
    struct packet packets[PACKETS_MAX];
    const size_t count = packets_of(n, packets);
    const char *name = json_string_value(json_object_get(base, "name"));
    const char *hook = json_string_value(json_object_get(base, "hook"));
    struct look l = {.n = n,
                     .rules = s->rules,
                     .family = json_string_value(json_object_get(base, "family")),
                     .table = json_string_value(json_object_get(base, "table"))};
    const struct packet *first = NULL;

    for (size_t i = 0; i < count && !first; i++) {
        l.packet = &packets[i];
        l.steps = 0;
        if (str_eq(packets[i].hook, hook) && meets(n, &packets[i], l.family) &&
            foreign_blocks(&l, base))
            first = &packets[i];
    }
    if (!first)
        return;
    cleanup_free char *who = owner(&l, name);
    const bool plain = is_plain(name) && is_plain(l.table);
    plan_note(p, "%s drops %s (chain '%s' of the table '%s %s'%s)%s", who, first->what, name,
              l.family, l.table, s->legacy ? " of the old iptables" : "",
              !plain ? ": let it pass there"
              : mend ? ""
                     : ": net.mend = on lets it pass");
    if (mend && plain)
        add_mends(p, s, &l, who, name,
                  str_eq(hook, "input")                         ? input_passes
                  : n->kind == NET_NAT || n->kind == NET_ROUTED ? forward_passes
                                                                : inside_passes);
}

static void look_at_all(const struct network *n, const struct source *s, bool mend, struct plan *p)
{
    size_t i;
    json_t *o;

    json_array_foreach (s->rules, i, o) {
        const json_t *chain = json_object_get(o, "chain");
        if (json_object_get(chain, "hook") &&
            str_eq(json_string_value(json_object_get(chain, "type")), "filter") &&
            !str_eq(json_string_value(json_object_get(chain, "table")), "pult") &&
            !str_eq(json_string_value(json_object_get(chain, "family")), "bridge"))
            look_at(n, s, chain, mend, p);
    }
}

/* ---- iptables ---- */

/* A chain or rule of the table "filter" of this family? */
static bool of_filter(const json_t *o, const char *family)
{
    const json_t *part = json_object_get(o, "chain");

    if (!part)
        part = json_object_get(o, "rule");
    return part && str_eq(json_string_value(json_object_get(part, "family")), family) &&
           str_eq(json_string_value(json_object_get(part, "table")), "filter");
}

/*
 * What iptables-nft holds, it tells better than nft does. The program, where it has that table; NULL
 * where it has not, as where somebody wrote into it what iptables has no words for.
 */
static char *retell(json_t *rules, const char *family)
{
    bool any = false;

    for (size_t i = 0; i < json_array_size(rules); i++)
        any |= of_filter(json_array_get(rules, i), family);
    char *program = any ? iptables_program(family, false) : NULL;
    json_t *told = program ? iptables_rules(program, family) : NULL;
    if (!told) {
        free(program);
        return NULL;
    }
    for (size_t i = json_array_size(rules); i-- > 0;)
        if (of_filter(json_array_get(rules, i), family))
            json_array_remove(rules, i);
    json_array_extend(rules, told);
    json_decref(told);
    return program;
}

/*
 * The iptables of old keeps its rules where nf_tables does not see them; a packet has to pass both.
 * It is asked only where it has rules in this namespace, for asking loads its modules.
 */
static void look_at_legacy(const struct network *n, const char *family, bool mend, struct plan *p)
{
    if (!iptables_has_legacy(family))
        return;
    cleanup_free char *program = iptables_program(family, true);
    json_t *rules = program ? iptables_rules(program, family) : NULL;
    if (!rules) {
        plan_note(p,
                  "there are rules of the old iptables (%s), which cannot be read: where they drop "
                  "what is forwarded, let it pass there",
                  family);
        return;
    }
    const struct source s = {.rules = rules, .four = program, .six = program, .legacy = true};
    look_at_all(n, &s, mend, p);
    json_decref(rules);
}

int foreign_plan(const struct network *n, bool mend, struct plan *p, struct error *err)
{
    static const char *const nft[] = {"nft", "-j", "list", "ruleset", NULL};
    cleanup_free char *text = NULL;
    json_error_t why;

    if (!net_kind_has_bridge(n->kind))
        return 0;
    if (program_run(nft, NULL, &text, err) < 0)
        return error_wrap(err, "look for other firewalls");
    json_t *all = json_loads(text, 0, &why);
    struct source s = {.rules = json_object_get(all, "nftables")};
    if (!json_is_array(s.rules)) {
        json_decref(all);
        return error_set(err, 0, "look for other firewalls: nft answers with no JSON: %s",
                         why.text);
    }
    s.four = retell(s.rules, "ip");
    s.six = retell(s.rules, "ip6");
    look_at_all(n, &s, mend, p);
    free(s.four);
    free(s.six);
    json_decref(all);
    look_at_legacy(n, "ip", mend, p);
    look_at_legacy(n, "ip6", mend, p);
    return 0;
}
