/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A network's definition out of options; newnetwork.h. */
#include "cmd/newnetwork.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/host.h"
#include "net/kinds.h"

/* Options that become a key each; `flag`: without a value, which is then 1. */
static const struct {
    const char *option, *key;
    bool list, flag;
} keys[] = {
    {"kind", "net.kind", false, false},      {"port", "net.port", false, false},
    {"vlan", "net.vlan", false, false},      {"dhcp", "net.dhcp", false, false},
    {"domain", "net.domain", false, false},  {"forward", "net.forward", true, false},
    {"isolate", "net.isolate", false, true}, {"mtu", "net.mtu", false, false},
    {"mend", "net.mend", false, true},       {"autostart", "net.autostart", false, true},
    {"tap", "net.tap", true, false},
};

bool new_network_said(const struct cmd_args *a)
{
    bool any = cmd_opt(a, "subnet") || cmd_opt(a, "set");

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        any |= cmd_opt(a, keys[i].option) != NULL;
    return any;
}

/* --subnet 10.9.0.0/24 is the network of the host's address 10.9.0.1/24. */
static int set_subnets(const struct cmd_args *a, struct conf *conf, struct error *err)
{
    char text[ADDRESS_TEXT];
    const char *value;

    for (int i = 0; (value = cmd_opt_nth(a, "subnet", i)); i++) {
        struct address given;
        if (address_parse(value, &given, err) < 0)
            return error_wrap(err, "--subnet");
        const struct address net = address_network(&given);
        const bool whole = address_equal(&given, &net) && strchr(value, '/');
        const struct address own = whole ? address_add(&given, 1) : given;
        conf_add(conf, "net.address",
                 own.family ? address_text(&own, !strchr(value, '/'), text) : value);
    }
    return 0;
}

static int set_others(const struct cmd_args *a, struct conf *conf, struct error *err)
{
    const char *pair;

    for (int i = 0; (pair = cmd_opt_nth(a, "set", i)); i++) {
        const char *equals = strchr(pair, '=');
        if (!equals || equals == pair)
            return error_set(err, 0, "--set takes KEY=VALUE, not '%s'", pair);
        cleanup_free char *key = xstrndup(pair, (size_t)(equals - pair));
        cleanup_free char *value = xstrdup(equals + 1);
        conf_add(conf, str_trim(key), str_trim(value));
    }
    return 0;
}

int new_network(const struct cmd_args *a, const char *name, struct conf **out)
{
    cleanup_conf struct conf *conf = conf_new("the options");
    cleanup_host struct host h = {0};
    struct error err = {0};

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *value;
        for (int n = 0; (value = cmd_opt_nth(a, keys[i].option, n)); n++)
            (keys[i].list ? conf_add : conf_set)(conf, keys[i].key, keys[i].flag ? "1" : value);
    }
    if (!conf_get(conf, "net.kind") && !cmd_opt(a, "set"))
        return cmd_usage(a, "missing option: --kind bridge, nat, routed, isolated, direct or user");
    if (network_name_check(name, &err) < 0 || set_subnets(a, conf, &err) < 0 ||
        set_others(a, conf, &err) < 0 || host_look(&h, &err) < 0 ||
        network_complete(name, conf, &h, &err) < 0)
        return cmd_fail(a, &err);
    *out = steal_ptr(conf);
    return EXIT_OK;
}
