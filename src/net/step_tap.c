/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The step that makes a tap for a user, see taps.h. It is put together before it becomes persistent:
 * of a process that is killed meanwhile nothing remains. What is there already with its alias is
 * ours, and only put back where it belongs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/card.h"
#include "net/firewall.h"
#include "net/link.h"
#include "net/network.h"
#include "net/pool.h"
#include "net/rtnl.h"
#include "net/step_private.h"
#include "net/taps.h"

/* The arguments, read. */
struct tap_args {
    const char *name, *network;
    int64_t uid, gid;
    unsigned mtu;
    bool isolated, hairpin, guard;
    uint8_t mac[6];
    struct address promise[2];
    unsigned promised;
    char alias[64];
};

static int read_settings(const char *text, struct tap_args *a, struct error *err)
{
    cleanup_free char *copy = xstrdup(text);
    char *rest = copy, *word;
    int64_t mtu = 0;

    while ((word = strsep(&rest, " "))) {
        int64_t *number = str_eq(word, "user")    ? &a->uid
                          : str_eq(word, "group") ? &a->gid
                          : str_eq(word, "mtu")   ? &mtu
                                                  : NULL;
        const char *value = number ? strsep(&rest, " ") : NULL;
        if (number && (!value || number_parse(value, 0, UINT32_MAX - 1, number, err) < 0))
            return error_set(err, 0, "a tap with '%s' of nothing", word);
        a->isolated |= str_eq(word, "isolated");
        a->hairpin |= str_eq(word, "hairpin");
        a->guard |= str_eq(word, "guard");
    }
    a->mtu = (unsigned)mtu;
    return 0;
}

static int read_promise(const char *text, struct tap_args *a, struct error *err)
{
    cleanup_free char *copy = xstrdup(text);
    char *rest = copy, *word = strsep(&rest, " ");

    if (card_parse_mac(word ? word : "", a->mac, err) < 0)
        return -1;
    while ((word = strsep(&rest, " ")) && a->promised < ARRAY_SIZE(a->promise))
        if (address_parse(word, &a->promise[a->promised++], err) < 0)
            return -1;
    return 0;
}

static int read_args(const struct step *s, struct tap_args *a, struct error *err)
{
    *a = (struct tap_args){.uid = -1, .gid = -1, .name = s->args[0], .network = s->args[1]};
    if (!a->name || !a->network || !s->args[2] || !s->args[3])
        return error_set(err, 0, "a tap without all of its arguments");
    if (link_name_check(a->name, err) < 0 || network_name_check(a->network, err) < 0 ||
        read_settings(s->args[2], a, err) < 0 || read_promise(s->args[3], a, err) < 0)
        return -1;
    tap_alias(a->network, a->mac, a->alias);
    return 0;
}

/* ---- making ---- */

static int set_alias(const struct tap_args *a, struct error *err)
{
    const struct ifinfomsg info = {.ifi_index = (int)if_nametoindex(a->name)};
    struct nl_msg *m = rtnl_message(RTM_NEWLINK, 0, &info, sizeof(info));

    nla_put_string(m, IFLA_IFALIAS, a->alias);
    const int code = rtnl_change(m, NULL);
    return code ? error_set(err, code, "write on the tap '%s' whose it is", a->name) : 0;
}

/* All but its place in the bridge. It goes with the descriptor, unless all of that succeeds. */
static int make(const struct tap_args *a, struct error *err)
{
    struct ifreq r = {
        .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE | IFF_TUN_EXCL)};
    uint8_t host[6];

    cleanup_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set(err, errno, "open /dev/net/tun");
    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", a->name);
    if (ioctl(fd, TUNSETIFF, &r) < 0) {
        error_set(err, errno, "make the tap '%s'", a->name);
        return errno == EPERM ? error_hint(err, "this needs root, or CAP_NET_ADMIN") : -1;
    }
    if ((a->uid >= 0 && ioctl(fd, TUNSETOWNER, (unsigned long)a->uid) < 0) ||
        (a->gid >= 0 && ioctl(fd, TUNSETGROUP, (unsigned long)a->gid) < 0))
        return error_set(err, errno, "give the tap '%s' away", a->name);
    link_host_mac(a->mac, host);
    if (link_set_mac(a->name, host, err) < 0 ||
        (a->mtu && link_set_mtu(a->name, a->mtu, err) < 0) || set_alias(a, err) < 0)
        return -1;
    return ioctl(fd, TUNSETPERSIST, 1ul) == 0
               ? 0
               : error_set(err, errno, "have the tap '%s' stay", a->name);
}

static bool is_ours(const struct tap_args *a, const struct link *l)
{
    return str_eq(l->kind, "tun") && str_eq(l->alias, a->alias);
}

static bool is_owned(const struct tap_args *a, const struct link *l)
{
    return l->uid == a->uid && l->gid == a->gid && l->multi_queue && l->persistent;
}

/*
 * The address that was planned is kept for it, so that the server gives it no other. Forwards may name
 * the tap.
 */
static int keep_address(const struct tap_args *a, struct error *err)
{
    cleanup_network struct network *n = NULL;

    if (!a->promised)
        return 0;
    if (network_load(a->network, &n, err) < 0)
        return -1;
    for (unsigned i = 0; i < n->tap_count; i++)
        if (str_eq(n->taps[i].name, a->name))
            return pool_take_tap(n, &n->taps[i], &a->promise[0], err) < 0
                       ? -1
                       : firewall_forwards(n, a->name, err);
    return error_set(err, ENOENT, "the tap '%s' of the network '%s'", a->name, a->network);
}

static int put_in_place(const struct tap_args *a, struct error *err)
{
    if (keep_address(a, err) < 0 ||
        (a->guard && firewall_guard(a->network, a->name, a->mac, a->promise, a->promised, err) < 0))
        return -1;
    return link_make_port(a->name, a->network, a->isolated, a->hairpin, err);
}

int step_tap(const struct step *s, struct error *err)
{
    struct tap_args a;
    struct link l;

    if (read_args(s, &a, err) < 0)
        return -1;
    const bool there = link_look(a.name, &l, NULL) == 0;
    if (there && (!is_ours(&a, &l) || !is_owned(&a, &l))) {
        error_set(err, EEXIST, "make the tap '%s'", a.name);
        return error_hint(err, "the host has an interface of that name, which is left as it is");
    }
    if (!there && make(&a, err) < 0)
        return -1;
    if (put_in_place(&a, err) == 0)
        return 0;
    if (!there)
        step_tap_undo(s, NULL);
    return -1;
}

int step_tap_undo(const struct step *s, struct error *err)
{
    struct error why = {0};
    struct tap_args a;
    struct link l;

    if (read_args(s, &a, err) < 0)
        return -1;
    const bool ours = link_look(a.name, &l, NULL) == 0 && is_ours(&a, &l);
    if (a.guard && (ours || !l.index) &&
        firewall_unguard(a.network, a.name, a.mac, a.promise, a.promised, err) < 0)
        return -1;
    if (ours && link_delete(a.name, &why) < 0 && why.code != ENODEV)
        return error_set(err, why.code, "%s", why.text);
    return 0;
}

int step_tap_check(const struct step *s, struct error *err)
{
    struct link l, bridge;
    struct tap_args a;

    if (read_args(s, &a, err) < 0 || link_look(a.name, &l, err) < 0)
        return -1;
    if (!is_ours(&a, &l) || !is_owned(&a, &l))
        return error_set(err, 0, "the interface '%s' is not the tap that was made", a.name);
    if (link_look(a.network, &bridge, err) < 0)
        return -1;
    if (l.master != bridge.index)
        return error_set(err, 0, "the tap '%s' is not in the bridge", a.name);
    if (!l.up)
        return error_set(err, 0, "the tap '%s' is off", a.name);
    if (a.guard && !firewall_guards(a.network, a.name))
        return error_set(err, 0, "nothing guards the tap '%s'", a.name);
    if (l.isolated != a.isolated)
        return error_set(err, 0, "the tap '%s' is %sisolated", a.name, a.isolated ? "not " : "");
    if (l.hairpin != a.hairpin)
        return error_set(err, 0, "the tap '%s' is %sin hairpin mode", a.name,
                         a.hairpin ? "not " : "");
    return 0;
}
