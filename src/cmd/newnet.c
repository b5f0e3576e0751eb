/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The network of a new guest; newnet.h. */
#include "cmd/newnet.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/places.h"
#include "base/util.h"
#include "net/card.h"
#include "net/firewall.h"
#include "net/kinds.h"
#include "net/network.h"
#include "net/passt.h"
#include "net/server.h"

#define SETTINGS     "pult.conf"
#define DEFAULT_CARD "network=" DEFAULT_NETWORK

bool new_net_given(const struct conf *conf)
{
    static const char *const families[] = {CARD_KEY, "lxc.net.", "lxc.network."};

    for (size_t i = 0; i < conf->count; i++)
        for (size_t f = 0; conf->lines[i].key && f < ARRAY_SIZE(families); f++)
            if (str_starts(conf->lines[i].key, families[f]))
                return true;
    return false;
}

/* net.default, as a card; NULL: nothing is said. Caller frees. */
static char *said(struct error *err)
{
    cleanup_free char *path = xasprintf("%s/" SETTINGS, place_home());
    cleanup_conf struct conf *conf = NULL;

    err->code = 0;
    if (access(path, F_OK) < 0)
        return NULL;
    if (conf_read(path, &conf, err) < 0) {
        err->code = EINVAL;
        return NULL;
    }
    const char *value = conf_get(conf, "net.default");
    return value ? card_expand(value) : NULL;
}

/* What nat0 would be on this host; *out is NULL where it is there. Caller frees. */
static int plan_nat(struct conf **out, struct error *err)
{
    cleanup_network struct network *there = NULL;
    cleanup_conf struct conf *conf = NULL;
    cleanup_host struct host host = {0};

    *out = NULL;
    if (network_load(DEFAULT_NETWORK, &there, err) == 0)
        return 0;
    if (err->code != ENOENT)
        return -1;
    conf = conf_new("the default network");
    conf_set(conf, "net.kind", net_kind_name(NET_NAT));
    if (host_look(&host, err) < 0 || network_complete(DEFAULT_NETWORK, conf, &host, err) < 0)
        return -1;
    *out = steal_ptr(conf);
    return 0;
}

int new_net_define(const struct conf *guest, struct error *err)
{
    cleanup_conf struct conf *conf = NULL;

    if (!str_eq(conf_get(guest, CARD_KEY "0"), DEFAULT_CARD))
        return 0;
    cleanup_close int lock = networks_lock(err);
    if (lock < 0 || plan_nat(&conf, err) < 0)
        return -1;
    if (!conf || network_store(DEFAULT_NETWORK, conf, true, err) == 0)
        return 0;
    return error_wrap(err, "define the network " DEFAULT_NETWORK);
}

/* Can guests of the caller be in nat0 on this host? */
static int try_nat(struct error *err)
{
    cleanup_conf struct conf *conf = NULL;

    if (geteuid() != 0)
        return error_set(err, EPERM, "networks are root's");
    return firewall_check(err) < 0 || server_check(err) < 0 || plan_nat(&conf, err) < 0 ? -1 : 0;
}

static int try_user(const char *type, struct error *err)
{
    const struct passt_request rq = {.name = "network", .pasta = str_eq(type, "container")};

    return passt_check(&rq, err);
}

int new_net_default(const char *type, struct conf *conf, struct error *err)
{
    struct error nat = {0}, user = {0};

    if (new_net_given(conf))
        return 0;
    cleanup_free char *value = said(err);
    if (!value && err->code)
        return -1;
    if (value) {
        if (!str_eq(value, "none"))
            conf_set(conf, CARD_KEY "0", value);
        return 0;
    }
    if (try_nat(&nat) == 0) {
        conf_set(conf, CARD_KEY "0", DEFAULT_CARD);
        return 0;
    }
    if (geteuid() == 0)
        fprintf(stderr, "pult: no network " DEFAULT_NETWORK " for it: %s\n", nat.text);
    if (try_user(type, &user) == 0) {
        conf_set(conf, CARD_KEY "0", "user");
        if (geteuid() == 0)
            fprintf(stderr, "pult: it has the network `user` instead\n");
        return 0;
    }
    fprintf(stderr, "pult: it has no network: %s\n", user.text);
    return 0;
}
