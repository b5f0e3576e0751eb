/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The taps of a definition: what net.tap may say. What is made of them is in taps.c.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/options.h"
#include "base/user.h"
#include "base/util.h"
#include "net/card.h"
#include "net/kinds.h"
#include "net/network_private.h"

/* ---- values ---- */

/* It stands in commands, and between quotes in rules. */
static int is_name(const char *value, struct error *err)
{
    if (network_name_check(value, NULL) == 0)
        return 0;
    error_set(err, 0, "'%s' is no name of a tap", value);
    return error_hint(err,
                      "those have 1 to %d letters, digits, '_', '.', '-', and begin with a "
                      "letter or digit",
                      IFNAMSIZ - 1);
}

/* A name of a user or group, or a number. */
static int is_account(const char *value, struct error *err)
{
    bool ok = *value && *value != '-' && strlen(value) < sizeof(((struct net_tap *)NULL)->user);

    for (const char *p = value; *p && ok; p++)
        ok = isalnum((unsigned char)*p) || strchr("_.-$", *p);
    return ok ? 0 : error_set(err, 0, "'%s' is no name of a user or group", value);
}

static int is_mac(const char *value, struct error *err)
{
    uint8_t mac[6];

    return card_parse_mac(value, mac, err);
}

static int parse_address(const char *value, struct address *a, struct error *err)
{
    if (address_parse(value, a, err) < 0)
        return -1;
    if (a->family != AF_INET || strchr(value, '/'))
        return error_set(err, 0, "'%s' is no address of IPv4 such as 10.0.0.2", value);
    return 0;
}

static int is_address(const char *value, struct error *err)
{
    struct address a;

    return parse_address(value, &a, err);
}

static const struct option known[] = {
    {"", OPTION_VALUE, is_name},           {"user", OPTION_VALUE, is_account},
    {"group", OPTION_VALUE, is_account},   {"mac", OPTION_VALUE, is_mac},
    {"address", OPTION_VALUE, is_address}, {NULL, OPTION_FLAG, NULL},
};

int net_tap_parse(const char *network, const char *text, struct net_tap *t, struct error *err)
{
    cleanup_options struct options o;

    *t = (struct net_tap){.text = text};
    if (options_parse(text, known, &o, err) < 0)
        return -1;
    const char *name = options_get(&o, ""), *user = options_get(&o, "user");
    const char *group = options_get(&o, "group"), *mac = options_get(&o, "mac");
    const char *address = options_get(&o, "address");
    if (!user && !group) {
        error_set(err, 0, "'%s' does not say whose it is", text);
        return error_hint(err, "write it as %s,user=USER", name);
    }
    snprintf(t->name, sizeof(t->name), "%s", name);
    snprintf(t->user, sizeof(t->user), "%s", user ? user : "");
    snprintf(t->group, sizeof(t->group), "%s", group ? group : "");
    cleanup_free char *both = xasprintf("%s/%s", network, name); /* no guest is called so */
    card_make_mac(both, 0, t->mac);
    if (mac && card_parse_mac(mac, t->mac, err) < 0)
        return -1;
    return address ? parse_address(address, &t->address, err) : 0;
}

int net_is_tap(const char *value, struct error *err)
{
    struct net_tap t;

    return net_tap_parse("", value, &t, err);
}

int net_tap_owner(const struct net_tap *t, int64_t *uid, int64_t *gid, struct error *err)
{
    uid_t user;
    gid_t group;

    *uid = *gid = -1;
    if (*t->user) {
        if (!user_find(t->user, &user)) {
            error_set(err, 0, "the tap '%s': there is no user '%s'", t->name, t->user);
            return error_hint(err, "one whom /etc/passwd does not know is named by his number");
        }
        *uid = user;
    }
    if (*t->group) {
        if (!group_find(t->group, &group)) {
            error_set(err, 0, "the tap '%s': there is no group '%s'", t->name, t->group);
            return error_hint(err, "one that /etc/group does not know is named by its number");
        }
        *gid = group;
    }
    return 0;
}

/* ---- what they say of each other ---- */

static int check_name(const struct network *n, const struct net_tap *t, struct error *err)
{
    char parent[IFNAMSIZ] = "";

    if (*n->port)
        network_parent(n, parent);
    if (!str_eq(t->name, n->name) && !str_eq(t->name, n->port) && !str_eq(t->name, parent) &&
        !str_eq(t->name, "lo"))
        return 0;
    return error_set(err, 0, "net.tap: '%s' is another interface of the network", t->name);
}

/* An address that the network's server can give it. */
static int check_address(const struct network *n, const struct net_tap *t, struct error *err)
{
    char text[ADDRESS_TEXT];

    if (!t->address.family)
        return 0;
    address_text(&t->address, true, text);
    if (!net_kind_has_server(n->kind) || !n->dhcp_first.family)
        return error_set(err, 0, "net.tap %s: the network gives no addresses", t->text);
    for (unsigned i = 0; i < n->address_count; i++) {
        const struct address *own = &n->addresses[i];
        struct address in = t->address;
        if (own->family != AF_INET || !address_contains(own, &in))
            continue;
        const struct address net = address_network(own);
        in.prefix = own->prefix;
        if (address_equal(own, &in) || address_equal(&net, &in) || !address_add(&in, 1).family)
            return error_set(err, 0, "net.tap %s: %s is not for guests", t->text, text);
        return 0;
    }
    return error_set(err, 0, "net.tap %s: %s is not in this network", t->text, text);
}

int net_check_taps(const struct network *n, struct error *err)
{
    for (unsigned i = 0; i < n->tap_count; i++) {
        const struct net_tap *t = &n->taps[i];
        if (check_name(n, t, err) < 0 || check_address(n, t, err) < 0)
            return -1;
        for (unsigned j = 0; j < i; j++) {
            const struct net_tap *o = &n->taps[j];
            if (str_eq(t->name, o->name))
                return error_set(err, 0, "net.tap: there are two of the name '%s'", t->name);
            if (memcmp(t->mac, o->mac, 6) == 0)
                return error_set(err, 0, "net.tap: '%s' and '%s' have the same MAC", o->name,
                                 t->name);
            if (t->address.family && address_equal(&t->address, &o->address))
                return error_set(err, 0, "net.tap: '%s' and '%s' have the same address", o->name,
                                 t->name);
        }
    }
    return 0;
}

static bool has_tap(const struct network *n, const char *name)
{
    for (unsigned i = 0; i < n->tap_count; i++)
        if (str_eq(n->taps[i].name, name))
            return true;
    return false;
}

int net_check_taps_pair(const struct network *n, const struct network *o, struct error *err)
{
    if (has_tap(n, o->name) || has_tap(o, n->name))
        return error_set(err, 0, "net.tap: a tap is called as the network '%s' is",
                         has_tap(n, o->name) ? o->name : n->name);
    for (unsigned i = 0; i < n->tap_count; i++)
        if (has_tap(o, n->taps[i].name))
            return error_set(err, 0, "net.tap: the network '%s' has a tap '%s' already", o->name,
                             n->taps[i].name);
    return 0;
}

int net_check_owners(const struct network *n, struct error *err)
{
    int64_t uid, gid;

    for (unsigned i = 0; i < n->tap_count; i++)
        if (net_tap_owner(&n->taps[i], &uid, &gid, err) < 0)
            return -1;
    return 0;
}
