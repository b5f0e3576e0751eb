/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks of a definition, see networks.h.
 *
 * Nothing of theirs outlives the keeper, however it ends: a tap that is made here is not
 * persistent, and passt ends with its stream. A tap that was there before stays, and stays in the
 * bridge that it was put into.
 *
 * Who counts what a guest sends and receives: the device, in the status page; but where vhost-net
 * may serve it the device sees nothing, and readers are told the interface instead (the page's
 * FIGURE_NET, figures.h), as they are told the addresses by which a guest is found on the network.
 */
#include "kvm/networks.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "guest/def.h"
#include "guest/figures.h"
#include "guest/keeper.h"
#include "guest/rundir.h"
#include "guest/store.h"
#include "kvm/machine.h"
#include "kvm/virtio/net_passt.h"
#include "kvm/virtio/net_tap.h"
#include "net/card.h"
#include "net/join.h"

static_assert(NET_PAIRS == CARD_QUEUES, "a card has as many pairs as a tap has queues");
static_assert(NET_MTU_MIN == CARD_MTU_MIN, "and the same smallest MTU");

/* For messages. */
static const char *const names[CARDS_MOST] = {"network 0", "network 1", "network 2", "network 3",
                                              "network 4", "network 5", "network 6", "network 7"};

static struct tap_request tap_request(const struct card *n)
{
    return (struct tap_request){
        .name = n->tap,
        .bridge = n->bridge,
        .queues = n->queues,
        .mtu = n->mtu,
        .header = NET_HEADER,
        .mac = n->mac,
    };
}

static struct passt_request passt_request(const struct card *n, const struct guest_def *def)
{
    return (struct passt_request){.name = names[n->number],
                                  .title = def->name,
                                  .mtu = n->mtu,
                                  .forwards = n->forwards,
                                  .host_loopback = n->host_loopback};
}

/* How a user's guest comes into a network of root's. */
static int roots_network(const struct card *n, struct error *err)
{
    return error_hint(err,
                      "without any rights: " CARD_KEY "%u = user; or root makes you a tap: pult "
                      "network tap add %s NAME,user=%u, for " CARD_KEY "%u = tap=NAME",
                      n->number, n->network, geteuid(), n->number);
}

/* A network by its name: it is there, and may be joined. */
static int check_network(const struct card *n, const struct guest_def *def, struct error *err)
{
    const struct passt_request user = passt_request(n, def);
    const struct tap_request tap = {.mac = n->mac};
    cleanup_network struct network *net = NULL;

    if (network_load(n->network, &net, err) < 0)
        return geteuid() == 0 || !err || err->code != ENOENT ? -1 : roots_network(n, err);
    if (net->kind == NET_USER)
        return passt_check(&user, err);
    if (geteuid() == 0)
        return net->kind == NET_DIRECT ? 0 : tap_check(&tap, err);
    error_set(err, 0, "only root's guests can be in the network '%s'", n->network);
    return roots_network(n, err);
}

int networks_check(const struct guest_def *def, struct error *err)
{
    cleanup_cards struct cards all;

    if (cards_read(def->conf, def->name, &all, err) < 0)
        return -1;
    for (unsigned i = 0; i < all.count; i++) {
        const struct card *n = &all.all[i];
        const struct tap_request tap = tap_request(n);
        const struct passt_request user = passt_request(n, def);
        if ((n->kind == CARD_TAP && tap_check(&tap, err) < 0) ||
            (n->kind == CARD_USER && passt_check(&user, err) < 0))
            return error_wrap(err, CARD_KEY "%u", n->number);
        if (n->kind == CARD_NETWORK && check_network(n, def, err) < 0)
            return error_wrap(err, CARD_KEY "%u", n->number);
    }
    return 0;
}

/* ---- devices ---- */

/* Append a word to what FIGURE_NET says, as far as there is room. */
static void tell_readers(struct keeper *k, const char *what, const char *value)
{
    struct figure_source *f = &k->status.page->figures[FIGURE_NET];
    size_t used = strnlen(f->path, sizeof(f->path));
    size_t need = (used > 0) + strlen(what) + strlen(value);

    if (used + need >= sizeof(f->path))
        return;
    status_begin(&k->status);
    f->kind = FIGURE_PAGE;
    snprintf(f->path + used, sizeof(f->path) - used, "%s%s%s", used ? " " : "", what, value);
    status_commit(&k->status);
}

/* By which addresses its neighbours know it; passt is the only one who sees those of its guests. */
static void tell_addresses(struct keeper *k, const struct cards *all)
{
    char mac[MAC_TEXT];

    for (unsigned i = 0; i < all->count; i++) {
        card_mac_text(all->all[i].mac, mac);
        if (all->all[i].kind == CARD_TAP || all->all[i].kind == CARD_NETWORK)
            tell_readers(k, "mac=", mac);
    }
}

static int check_other(const struct status_page *page, const char *name, const struct card *n,
                       struct error *err)
{
    char mac[MAC_TEXT];

    card_mac_text(n->mac, mac);
    if (!figures_say(page, "mac=", mac))
        return 0;
    error_set(err, 0, CARD_KEY "%u: the guest '%s' runs with the address %s", n->number, name, mac);
    return error_hint(err, "without mac= each guest has one of its own");
}

/*
 * Two guests with one address would take each other's frames. That we said ours before we look at
 * what others say lets none pass of two that start at once.
 */
static int check_others(const struct keeper *k, const struct cards *all, struct error *err)
{
    char **guests = NULL;
    int ret = 0;
    struct status_page page;

    if (!all->count)
        return 0;
    store_names(&guests);
    for (char **name = guests; name && *name && ret == 0; name++) {
        if (str_eq(*name, k->def->name) || !run_dir_look(*name, &page))
            continue;
        for (unsigned i = 0; i < all->count && ret == 0; i++)
            if (all->all[i].kind == CARD_TAP || all->all[i].kind == CARD_NETWORK)
                ret = check_other(&page, *name, &all->all[i], err);
    }
    strv_free(guests);
    return ret;
}

/* The tap of a card, and what serves it. `where`: for the log. */
static struct net_port *make_tap(struct machine *m, struct keeper *k, const struct card *n,
                                 const struct tap_request *rq, const char *where, struct error *err)
{
    struct net_port *port;
    struct tap tap;

    if (tap_open(rq, &tap, err) < 0)
        return NULL;
    port = net_tap(&tap, &m->memory, n->vhost, err);
    if (!port) {
        tap_close(&tap);
        return NULL;
    }
    if (port->kernel)
        tell_readers(k, "tap=", tap.name);
    log_line("%s: %s '%s'%s%s%s, served by %s", names[n->number], rq->parent ? "macvtap" : "tap",
             tap.name, tap.made ? " (made)" : "", *where ? " in " : "", where,
             port->kernel ? "the kernel (vhost-net)" : "pult");
    return port;
}

/* The guest knows neither address: it asks for them, and is given those. */
static void tell_own_addresses(struct keeper *k, const struct join *j)
{
    char text[ADDRESS_TEXT];

    if (j->address.family)
        tell_readers(k, "ip=", address_text(&j->address, true, text));
}

/*
 * A card in a network. That the guest leaves it is seen to by who gives up its runtime directory:
 * this process will have no right to.
 */
static struct net_port *join_network(struct machine *m, struct keeper *k, struct card *n,
                                     struct error *err)
{
    struct join j;

    if (network_join(n->network, k->def->name, n->number, n->mac, false, &n->address, &j, err) < 0)
        return NULL;
    if (!n->mtu)
        n->mtu = j.mtu;
    if (j.kind == NET_USER) {
        char **forwards = network_user_forwards(n->network, k->def->name);
        struct passt_request rq = passt_request(n, k->def);
        rq.forwards = (const char *const *)forwards;
        struct net_port *port = net_passt(&rq, err);
        strv_free(forwards);
        return port;
    }
    struct tap_request rq = tap_request(n);
    rq.name = j.port;
    rq.port = true;
    rq.parent = j.parent[0] ? j.parent : NULL;
    struct net_port *port = make_tap(m, k, n, &rq, n->network, err);
    if (!port)
        return NULL;
    tell_own_addresses(k, &j);
    if (network_attach(&j, j.port, err) == 0)
        return port;
    port->ops->close(port);
    return NULL;
}

static struct net_port *make_port(struct machine *m, struct keeper *k, struct card *n,
                                  struct error *err)
{
    const struct passt_request user = passt_request(n, k->def);
    const struct tap_request tap = tap_request(n);

    if (n->kind == CARD_NETWORK)
        return join_network(m, k, n, err);
    return n->kind == CARD_TAP ? make_tap(m, k, n, &tap, n->bridge ? n->bridge : "", err)
                               : net_passt(&user, err);
}

static int add_network(struct machine *m, struct keeper *k, struct card *n, struct error *err)
{
    struct status_page *page = k->status.page;
    struct net_config config = {.name = names[n->number]};

    if (n->kind == CARD_NONE)
        return 0;
    config.port = make_port(m, k, n, err);
    if (!config.port)
        return -1;
    memcpy(config.mac, n->mac, sizeof(config.mac));
    if (!config.port->kernel) {
        config.received = &page->net_rx;
        config.sent = &page->net_tx;
    }
    if (net_add(&m->virtio, &config, err))
        return 0;
    if (!config.port->net)
        config.port->ops->close(config.port);
    return -1;
}

int networks_add(struct machine *m, struct keeper *k, struct error *err)
{
    cleanup_cards struct cards all;

    if (cards_read(k->def->conf, k->def->name, &all, err) < 0)
        return -1;
    tell_addresses(k, &all);
    if (check_others(k, &all, err) < 0)
        return -1;
    for (unsigned i = 0; i < all.count; i++)
        if (add_network(m, k, &all.all[i], err) < 0)
            return error_wrap(err, CARD_KEY "%u", all.all[i].number);
    return 0;
}
