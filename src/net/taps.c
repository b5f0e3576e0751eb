/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taps of a definition: their steps, and who uses them; see taps.h. What the steps do is in
 * step_tap.c.
 */
#include "net/taps.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/card.h"
#include "net/firewall.h"
#include "net/kinds.h"
#include "net/link.h"
#include "net/pool.h"

void tap_alias(const char *network, const uint8_t mac[6], char out[64])
{
    char text[MAC_TEXT];

    card_mac_text(mac, text);
    snprintf(out, 64, "pult %s %s", network, text);
}

/* What one tap is made of. */
struct making {
    const struct network *n;
    const struct net_tap *tap;
    char *owner;               /* "user 1000 group 100" */
    unsigned mtu;              /* 0: as it comes */
    struct address promise[2]; /* what its guest has */
    unsigned promised;
};

static char *command_of(const struct making *m)
{
    const char *name = m->tap->name, *network = m->n->name;
    char alias[64], mac[MAC_TEXT], mtu[24] = "";
    uint8_t host[6];

    tap_alias(network, m->tap->mac, alias);
    link_host_mac(m->tap->mac, host);
    card_mac_text(host, mac);
    if (m->mtu)
        snprintf(mtu, sizeof(mtu), " mtu %u", m->mtu);
    cleanup_free char *rules = m->n->guard ? firewall_guard_script(network, name, m->tap->mac,
                                                                   m->promise, m->promised, false)
                                           : xstrdup("");
    return xasprintf("ip tuntap add dev %s mode tap %s multi_queue vnet_hdr\n"
                     "ip link set dev %s address %s%s\n"
                     "ip link set dev %s alias '%s'\n"
                     "%s%s%s"
                     "ip link set dev %s master %s\n"
                     "bridge link set dev %s isolated %s hairpin %s\n"
                     "ip link set dev %s up",
                     name, m->owner, name, mac, mtu, name, alias,
                     *rules ? "nft -f - <<'END'\n" : "", rules, *rules ? "END\n" : "", name,
                     network, name, m->n->isolate ? "on" : "off",
                     firewall_needs_hairpin(m->n) ? "on" : "off", name);
}

static char *undo_of(const struct making *m)
{
    const char *name = m->tap->name;
    cleanup_free char *rules = m->n->guard ? firewall_guard_script(m->n->name, name, m->tap->mac,
                                                                   m->promise, m->promised, true)
                                           : xstrdup("");

    return xasprintf("%s%s%sip link delete %s", *rules ? "nft -f - <<'END'\n" : "", rules,
                     *rules ? "END\n" : "", name);
}

static char *settings_of(const struct making *m)
{
    char mtu[24] = "";

    if (m->mtu)
        snprintf(mtu, sizeof(mtu), " mtu %u", m->mtu);
    return xasprintf("%s%s%s%s%s", m->owner, mtu, m->n->isolate ? " isolated" : "",
                     firewall_needs_hairpin(m->n) ? " hairpin" : "", m->n->guard ? " guard" : "");
}

static char *promise_of(const struct making *m)
{
    char mac[MAC_TEXT], a[ADDRESS_TEXT] = "", b[ADDRESS_TEXT] = "";

    card_mac_text(m->tap->mac, mac);
    if (m->promised > 0)
        address_text(&m->promise[0], false, a);
    if (m->promised > 1)
        address_text(&m->promise[1], false, b);
    return xasprintf("%s%s%s%s%s", mac, *a ? " " : "", a, *b ? " " : "", b);
}

/* An interface of its name that is none of ours is left alone. */
static int check_free(const struct network *n, const struct net_tap *t, const struct host *h,
                      struct error *err)
{
    char alias[64];
    struct link l;

    if (!host_link(h, t->name) || link_look(t->name, &l, NULL) < 0)
        return 0;
    tap_alias(n->name, t->mac, alias);
    if (str_eq(l.kind, "tun") && str_eq(l.alias, alias))
        return 0;
    error_set(err, EEXIST, "the tap '%s' of '%s': the host has an interface of that name", t->name,
              n->name);
    return error_hint(err, "give the tap another name");
}

static int plan_one(struct making *m, struct plan *p, struct error *err)
{
    int64_t uid, gid;
    char user[32] = "", group[32] = "";

    if (net_tap_owner(m->tap, &uid, &gid, err) < 0)
        return error_hint(err, "without it: pult network tap remove %s %s", m->n->name,
                          m->tap->name);
    if (uid >= 0)
        snprintf(user, sizeof(user), "user %" PRId64, uid);
    if (gid >= 0)
        snprintf(group, sizeof(group), "group %" PRId64, gid);
    cleanup_free char *owner = xasprintf("%s%s%s", user, *user && *group ? " " : "", group);
    m->owner = owner;
    cleanup_free char *settings = settings_of(m), *promise = promise_of(m);
    cleanup_free char *command = command_of(m), *undo = undo_of(m);
    plan_add(p, TAP_STEP, m->tap->name, m->n->name, settings, promise, command, undo, NULL);
    return 0;
}

/* That of the bridge: a smaller one of a port would become the bridge's. 0: as it comes. */
static unsigned mtu_for(const struct network *n, const struct host *h)
{
    const struct link *bridge = host_link(h, n->name);
    const struct link *port = *n->port ? host_link(h, n->port) : NULL;

    if (n->mtu || n->kind != NET_BRIDGE)
        return n->mtu;
    if (port)
        return port->mtu;
    return bridge && bridge->mtu != ETH_DATA_LEN ? bridge->mtu : 0;
}

int taps_plan(const struct network *n, const struct host *h, struct plan *p, struct error *err)
{
    const unsigned mtu = mtu_for(n, h);
    struct address addresses[NET_TAPS];

    if (!n->tap_count)
        return 0;
    if (pool_plan_taps(n, addresses, err) < 0)
        return -1;
    for (unsigned i = 0; i < n->tap_count; i++) {
        struct making m = {.n = n, .tap = &n->taps[i], .mtu = mtu};
        struct address six;
        if (check_free(n, m.tap, h, err) < 0)
            return -1;
        if (addresses[i].family) {
            m.promise[m.promised++] = addresses[i];
            pool_address6(n, m.tap->mac, &six);
            if (six.family)
                m.promise[m.promised++] = six;
        }
        if (plan_one(&m, p, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- in use ---- */

bool tap_is_used(const char *network, const char *name)
{
    char of[IFNAMSIZ];
    uint8_t mac[6];
    struct link l;

    return link_look(name, &l, NULL) == 0 && link_is_promised(&l, of, mac) && str_eq(of, network) &&
           l.up && l.running;
}

static bool has(const struct network *n, const struct net_tap *t)
{
    for (unsigned i = 0; n && i < n->tap_count; i++)
        if (str_eq(n->taps[i].text, t->text))
            return true;
    return false;
}

const char *taps_used(const struct network *n, const struct network *stays)
{
    for (unsigned i = 0; i < n->tap_count; i++)
        if (!has(stays, &n->taps[i]) && tap_is_used(n->name, n->taps[i].name))
            return n->taps[i].name;
    return NULL;
}
