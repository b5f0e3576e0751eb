/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of iptables. Those of old (ip_tables, "legacy") are nowhere in nf_tables; and of those that
 * iptables-nft made, `nft -j` leaves out what it has no words for. So both are read as iptables
 * itself lists them (-S), and put into the words of `nft -j list ruleset`, as far as a packet on its
 * way through asks for them. What is not understood becomes "xt": that is not known of a packet.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "net/foreign_private.h"
#include "net/program.h"

#define TABLE "filter"

/* Since 1.8 it says which it is; before, there was but one. */
static bool is_legacy(const char *program)
{
    const char *const argv[] = {program, "--version", NULL};
    cleanup_free char *said = NULL;

    return program_run(argv, NULL, &said, NULL) == 0 && !strstr(said, "nf_tables");
}

char *iptables_program(const char *family, bool legacy)
{
    const char *plain = str_eq(family, "ip6") ? "ip6tables" : "iptables";
    char *name = xasprintf("%s-%s", plain, legacy ? "legacy" : "nft");
    cleanup_free char *exact = program_find(name);

    if (exact)
        return name;
    free(name);
    cleanup_free char *found = program_find(plain);
    return found && is_legacy(plain) == legacy ? xstrdup(plain) : NULL;
}

bool iptables_has_legacy(const char *family)
{
    cleanup_free char *names = NULL;

    if (file_read_at(AT_FDCWD,
                     str_eq(family, "ip6") ? "/proc/thread-self/net/ip6_tables_names"
                                           : "/proc/thread-self/net/ip_tables_names",
                     4096, &names, NULL, NULL) < 0)
        return false;
    char *rest = names, *line;
    while ((line = strsep(&rest, "\n")))
        if (str_eq(line, TABLE))
            return true;
    return false;
}

/* ---- a rule's words ---- */

struct reading {
    const char *family;
    char **chains; /* of the table, as far as they are listed before the rules */
    json_t *out;
};

/* left: a new reference, which is taken. */
static json_t *match(json_t *left, bool negated, json_t *right)
{
    return json_pack("{s:{s:s,s:o,s:o}}", "match", "op", negated ? "!=" : "==", "left", left,
                     "right", right);
}

static json_t *meta(const char *key)
{
    return json_pack("{s:{s:s}}", "meta", "key", key);
}

/* NAME, or what begins so (NAME+). */
static json_t *interface(const char *value)
{
    cleanup_free char *name = xstrdup(value);
    const size_t len = strlen(name);

    if (len && name[len - 1] == '+')
        name[len - 1] = '*';
    return json_string(name);
}

/* N, N:M, or several with commas. */
static json_t *ports(const char *value)
{
    cleanup_free char *copy = xstrdup(value);
    json_t *set = json_array();
    char *rest = copy, *one;

    while ((one = strsep(&rest, ","))) {
        char *to = strchr(one, ':');
        const int first = atoi(one), last = to ? atoi(to + 1) : first;
        json_array_append_new(set, to ? json_pack("{s:[ii]}", "range", first, last)
                                      : json_integer(first));
    }
    return json_pack("{s:o}", "set", set);
}

static json_t *states(const char *value)
{
    cleanup_free char *copy = xstrdup(value);
    json_t *set = json_array();
    char *rest = copy, *one;

    for (char *p = copy; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    while ((one = strsep(&rest, ",")))
        json_array_append_new(set, json_string(one));
    return json_pack("{s:o}", "set", set);
}

/* What an option asks; NULL: it is none that we know. */
static json_t *option(const char *name, const char *value, const char *protocol, bool negated)
{
    if (str_eq(name, "-i"))
        return match(meta("iifname"), negated, interface(value));
    if (str_eq(name, "-o"))
        return match(meta("oifname"), negated, interface(value));
    if (str_eq(name, "-p"))
        return match(meta("l4proto"), negated,
                     json_string(str_eq(value, "icmpv6") ? "ipv6-icmp" : value));
    if ((str_eq(name, "--dport") || str_eq(name, "--dports")) && protocol)
        return match(json_pack("{s:{s:s,s:s}}", "payload", "protocol", protocol, "field", "dport"),
                     negated, ports(value));
    if (str_eq(name, "--ctstate") || str_eq(name, "--state"))
        return match(json_pack("{s:{s:s}}", "ct", "key", "state"), negated, states(value));
    if (str_eq(name, "--icmpv6-type"))
        return match(json_pack("{s:{s:s,s:s}}", "payload", "protocol", "icmpv6", "field", "type"),
                     negated, json_string(str_eq(value, "135") ? "nd-neighbor-solicit" : value));
    if (str_eq(name, "--hl-eq"))
        return match(json_pack("{s:{s:s,s:s}}", "payload", "protocol", "ip6", "field", "hoplimit"),
                     negated, json_string(value));
    return NULL;
}

static json_t *target(const struct reading *r, const char *name, bool jump)
{
    static const struct {
        const char *name, *verdict;
    } known[] = {{"ACCEPT", "accept"},
                 {"DROP", "drop"},
                 {"REJECT", "reject"},
                 {"RETURN", "return"}};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (str_eq(name, known[i].name))
            return json_pack("{s:n}", known[i].verdict);
    for (char **c = r->chains; c && *c; c++)
        if (str_eq(*c, name))
            return json_pack("{s:{s:s}}", jump ? "jump" : "goto", "target", name);
    return json_pack("{s:{s:s,s:s}}", "xt", "type", "target", "name", name);
}

/* Modules that ask nothing by themselves: their options do. */
static bool asks_nothing(const char *module)
{
    static const char *const known[] = {"comment", "conntrack", "state", "tcp",      "udp",
                                        "icmp",    "icmp6",     "hl",    "multiport"};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (str_eq(module, known[i]))
            return true;
    return false;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] && !(word[1] >= '0' && word[1] <= '9');
}

/* Everything behind the chain's name. */
static json_t *expressions(const struct reading *r, char **w)
{
    json_t *expr = json_array();
    const char *protocol = NULL;

    while (*w) {
        bool negated = str_eq(*w, "!");
        w += negated;
        const char *name = *w ? *w++ : "";
        const char *value = *w && !is_option(*w) && !str_eq(*w, "!") ? *w++ : "";
        json_t *e;
        if (str_eq(name, "-j") || str_eq(name, "-g")) {
            json_array_append_new(expr, target(r, value, str_eq(name, "-j")));
            break; /* the rest is the target's */
        }
        if (str_eq(name, "--comment") || (str_eq(name, "-m") && asks_nothing(value)))
            continue;
        if (str_eq(name, "-p"))
            protocol = value;
        e = option(name, value, protocol, negated);
        if (!e)
            e = json_pack("{s:{s:s,s:s}}", "xt", "type", "match", "name", name);
        json_array_append_new(expr, e);
        while (*w && !is_option(*w) && !str_eq(*w, "!"))
            w++;
    }
    return expr;
}

/* ---- the list ---- */

static void add_chain(struct reading *r, const char *name, const char *policy)
{
    const char *hook = str_eq(name, "FORWARD") ? "forward" : str_eq(name, "INPUT") ? "input" : NULL;
    json_t *chain = json_pack("{s:s,s:s,s:s}", "family", r->family, "table", TABLE, "name", name);

    if (policy && hook) {
        json_object_set_new(chain, "type", json_string("filter"));
        json_object_set_new(chain, "hook", json_string(hook));
        json_object_set_new(chain, "policy",
                            json_string(str_eq(policy, "DROP") ? "drop" : "accept"));
    }
    json_array_append_new(r->out, json_pack("{s:o}", "chain", chain));
    const size_t n = strv_len(r->chains);
    r->chains = xrealloc(r->chains, n + 2, sizeof(*r->chains));
    r->chains[n] = xstrdup(name);
    r->chains[n + 1] = NULL;
}

static void add_line(struct reading *r, char **w)
{
    const size_t n = strv_len(w);

    if (n >= 3 && str_eq(w[0], "-P"))
        add_chain(r, w[1], w[2]);
    else if (n >= 2 && str_eq(w[0], "-N"))
        add_chain(r, w[1], NULL);
    else if (n >= 2 && str_eq(w[0], "-A"))
        json_array_append_new(r->out, json_pack("{s:{s:s,s:s,s:s,s:o}}", "rule", "family",
                                                r->family, "table", TABLE, "chain", w[1], "expr",
                                                expressions(r, w + 2)));
}

json_t *iptables_rules(const char *program, const char *family)
{
    const char *const argv[] = {program, "-w", "-S", NULL};
    cleanup_free char *text = NULL;

    if (program_run(argv, NULL, &text, NULL) < 0)
        return NULL;
    struct reading r = {.family = family, .out = json_array()};
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        char **words = str_split_words(line, NULL);
        if (words && *words)
            add_line(&r, words);
        strv_free(words);
    }
    strv_free(r.chains);
    return r.out;
}
