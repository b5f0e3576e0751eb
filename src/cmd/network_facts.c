/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult network list and info: networks, who is in them, and what goes through. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/network.h"
#include "cmd/print.h"
#include "cmd/table.h"
#include "net/card.h"
#include "net/firewall.h"
#include "net/join.h"
#include "net/journal.h"
#include "net/pool.h"
#include "net/server.h"
#include "net/taps.h"

static json_t *text_or_null(const char *s)
{
    return s && *s ? json_string(s) : json_null();
}

static json_t *address_or_null(const struct address *a, bool bare)
{
    char text[ADDRESS_TEXT];

    return text_or_null(address_text(a, bare, text));
}

/* Those of its definition, with the address that is kept for each, and who has them open. */
static json_t *taps_of(const struct network *n)
{
    struct address addresses[NET_TAPS] = {0};
    json_t *array = json_array();
    char mac[MAC_TEXT];

    pool_plan_taps(n, addresses, NULL);
    for (unsigned i = 0; i < n->tap_count; i++) {
        const struct net_tap *t = &n->taps[i];
        card_mac_text(t->mac, mac);
        json_array_append_new(array,
                              json_pack("{s:s, s:o, s:o, s:s, s:o, s:b}", "name", t->name, "user",
                                        text_or_null(t->user), "group", text_or_null(t->group),
                                        "mac", mac, "address", address_or_null(&addresses[i], true),
                                        "used", (int)tap_is_used(n->name, t->name)));
    }
    return array;
}

static void add_definition(json_t *o, const struct network *n)
{
    json_t *addresses = json_array(), *forwards = json_array();

    for (unsigned i = 0; i < n->address_count; i++)
        json_array_append_new(addresses, address_or_null(&n->addresses[i], false));
    for (unsigned i = 0; i < n->forward_count; i++)
        json_array_append_new(forwards, json_string(n->forwards[i].text));
    json_object_set_new(o, "kind", json_string(net_kind_name(n->kind)));
    json_object_set_new(o, "bridge",
                        net_kind_has_bridge(n->kind) ? json_string(n->name) : json_null());
    json_object_set_new(o, "port", text_or_null(n->port));
    json_object_set_new(o, "vlan", n->vlan ? json_integer(n->vlan) : json_null());
    json_object_set_new(o, "mtu", n->mtu ? json_integer(n->mtu) : json_null());
    json_object_set_new(o, "addresses", addresses);
    json_object_set_new(o, "dhcp_first", address_or_null(&n->dhcp_first, true));
    json_object_set_new(o, "dhcp_last", address_or_null(&n->dhcp_last, true));
    json_object_set_new(o, "domain", text_or_null(n->domain));
    json_object_set_new(o, "isolate", json_boolean(n->isolate));
    json_object_set_new(o, "guard", json_boolean(n->guard));
    json_object_set_new(o, "autostart", json_boolean(n->autostart));
    json_object_set_new(o, "forwards", forwards);
    json_object_set_new(o, "taps", taps_of(n));
}

static json_t *members_of(const char *name)
{
    cleanup_free struct member *list = NULL;
    json_t *array = json_array();
    size_t count = 0;
    char mac[MAC_TEXT];

    if (network_members(name, &list, &count, NULL) < 0)
        return array;
    for (size_t i = 0; i < count; i++) {
        card_mac_text(list[i].mac, mac);
        json_array_append_new(array, json_pack("{s:s, s:i, s:o, s:s, s:o}", "guest", list[i].guest,
                                               "card", (int)list[i].card, "port",
                                               text_or_null(list[i].port), "mac", mac, "address",
                                               address_or_null(&list[i].address, true)));
    }
    return array;
}

static json_t *leases_of(const char *name)
{
    cleanup_free struct lease *list = NULL;
    json_t *array = json_array();
    size_t count = 0;
    char mac[MAC_TEXT];

    if (server_leases(name, &list, &count, NULL) < 0)
        return array;
    for (size_t i = 0; i < count; i++) {
        card_mac_text(list[i].mac, mac);
        json_array_append_new(array, json_pack("{s:s, s:o, s:o, s:I}", "mac", mac, "address",
                                               address_or_null(&list[i].address, true), "name",
                                               text_or_null(list[i].name), "expires",
                                               (json_int_t)list[i].expires));
    }
    return array;
}

static json_t *counts_of(const char *name)
{
    struct firewall_counts c;

    if (firewall_counts(name, &c, NULL) < 0)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "out_packets", (json_int_t)c.out_packets,
                     "out_bytes", (json_int_t)c.out_bytes, "in_packets", (json_int_t)c.in_packets,
                     "in_bytes", (json_int_t)c.in_bytes, "dropped_packets",
                     (json_int_t)c.dropped_packets);
}

json_t *network_facts_of(const char *name, bool counts, struct error *err)
{
    cleanup_network struct network *n = NULL;
    cleanup_journal struct journal j = {0};
    struct error why = {0};

    if (network_load(name, &n, &why) < 0 && why.code == ENOENT) {
        *err = why;
        return NULL;
    }
    if (journal_read(name, &j, err) < 0)
        return NULL;
    const bool up = j.state != NETWORK_DOWN;
    json_t *o = json_pack("{s:s, s:s, s:o}", "name", name, "state",
                          n ? network_state_name(j.state) : "broken", "broken",
                          n ? json_null() : json_string(why.text));
    if (n)
        add_definition(o, n);
    json_object_set_new(o, "members", up ? members_of(name) : json_array());
    json_object_set_new(o, "leases", up ? leases_of(name) : json_array());
    if (counts)
        json_object_set_new(o, "forwarded", up ? counts_of(name) : json_null());
    if (j.state == NETWORK_UNCONFIRMED) {
        const int64_t left = (j.deadline_ns - (int64_t)now_boot_ns()) / 1000000000;
        json_object_set_new(o, "confirm_within_seconds", json_integer(max(left, (int64_t)0)));
    }
    return o;
}

/* ---- list ---- */

static const char *string_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "-";
}

static void add_row(struct table *t, const json_t *o)
{
    const json_t *addresses = json_object_get(o, "addresses");
    const char *broken = json_string_value(json_object_get(o, "broken"));
    const char *first = json_string_value(json_array_get(addresses, 0));
    const char *port = json_string_value(json_object_get(o, "port"));

    table_cell(t, "%s", string_of(o, "name"));
    table_cell(t, "%s", string_of(o, "kind"));
    table_cell(t, "%s", string_of(o, "state"));
    table_cell(t, "%zu", json_array_size(json_object_get(o, "members")));
    if (broken)
        table_cell(t, "%s", broken);
    else
        table_cell(t, "%s%s%s", first ? first : "", port ? "on " : "", port ? port : "");
}

/* Names alone change nothing and need no rights: this is what completion asks for. */
static int print_names(const struct cmd_args *a)
{
    json_t *array = json_array();
    char **names;

    network_names(&names);
    for (char **n = names; *n; n++) {
        json_array_append_new(array, json_string(*n));
        if (!cmd_json(a))
            puts(*n);
    }
    strv_free(names);
    if (cmd_json(a))
        print_json(array);
    else
        json_decref(array);
    return EXIT_OK;
}

static int list_run(const struct cmd_args *a)
{
    static const char *const head[] = {"NAME", "KIND", "STATE", ">GUESTS", "ADDRESS", NULL};
    struct error err = {0};
    json_t *array = json_array();
    char **names;
    size_t i;
    json_t *o;

    if (cmd_opt(a, "names")) {
        json_decref(array);
        return print_names(a);
    }
    if (journal_recover(&err) < 0)
        return cmd_fail(a, &err);
    network_names(&names);
    for (char **n = names; *n; n++)
        if ((o = network_facts_of(*n, false, &err)))
            json_array_append_new(array, o);
    strv_free(names);
    if (cmd_json(a)) {
        print_json(array);
        return EXIT_OK;
    }
    struct table *t = table_new(head);
    json_array_foreach (array, i, o)
        add_row(t, o);
    table_print(t);
    json_decref(array);
    return EXIT_OK;
}

const struct command cmd_network_list = {
    .name = "network list",
    .alias = "network ls",
    .args = "",
    .options =
        (const struct cmd_option[]){
            {"names", 'n', NULL, false, "names alone, one a line"},
            {0},
        },
    .help = "list the networks",
    .json = true,
    .safe = true,
    .run = list_run,
};

/* ---- info ---- */

/* One line a fact, or a line for each of several. */
static void print_fact(const char *key, const json_t *v)
{
    size_t i;
    json_t *each;
    const char *inner;

    if (json_is_null(v) || (json_is_array(v) && !json_array_size(v)))
        return;
    if (json_is_array(v)) {
        json_array_foreach ((json_t *)v, i, each)
            print_fact(key, each);
        return;
    }
    printf("%-24s", key);
    if (json_is_object(v)) {
        json_object_foreach ((json_t *)v, inner, each) {
            cleanup_free char *text = json_is_string(each) ? xstrdup(json_string_value(each))
                                      : json_is_null(each) ? xstrdup("-")
                                                           : json_dumps(each, JSON_ENCODE_ANY);
            printf(" %s=%s", inner, printable(text));
        }
    } else {
        cleanup_free char *text =
            json_is_string(v) ? xstrdup(json_string_value(v)) : json_dumps(v, JSON_ENCODE_ANY);
        printf(" %s", printable(text));
    }
    putchar('\n');
}

static int info_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *key;
    json_t *v;

    if (journal_recover(&err) < 0)
        return cmd_fail(a, &err);
    json_t *o = network_facts_of(cmd_pos(a, 0), true, &err);
    if (!o)
        return cmd_fail(a, &err);
    if (cmd_json(a)) {
        print_json(o);
        return EXIT_OK;
    }
    json_object_foreach (o, key, v)
        print_fact(key, v);
    json_decref(o);
    return EXIT_OK;
}

const struct command cmd_network_info = {
    .name = "network info",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .help = "tell all that is known of a network: who is in it, leases, what went through",
    .json = true,
    .safe = true,
    .run = info_run,
};
