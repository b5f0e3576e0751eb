/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Steps that make interfaces and change them.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "net/link.h"
#include "net/rtnl.h"
#include "net/step_private.h"

#define BUSY_TRIES 40

/* An argument; "" where there is none. */
static const char *arg(const struct step *s, unsigned n)
{
    return s->args[n] ? s->args[n] : "";
}

/* Say that the kernel refused, and why. */
static int refused(struct error *err, int code, const char why[RTNL_WHY], const char *what,
                   const char *name)
{
    error_set(err, code, "%s '%s'", what, name);
    if (*why)
        error_hint(err, "the kernel says: %s", why);
    return code == EPERM ? error_hint(err, "this needs root, or CAP_NET_ADMIN") : -1;
}

static int change_link(struct nl_msg *m, const char *what, const char *name, struct error *err)
{
    char why[RTNL_WHY];
    int code = rtnl_change(m, why);

    return code ? refused(err, code, why, what, name) : 0;
}

static struct nl_msg *new_link(const char *name)
{
    const struct ifinfomsg info = {.ifi_family = AF_UNSPEC};
    struct nl_msg *m = rtnl_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));

    nla_put_string(m, IFLA_IFNAME, name);
    return m;
}

int step_bridge_add(const struct step *s, struct error *err)
{
    if (link_name_check(arg(s, 0), err) < 0)
        return -1;
    struct nl_msg *m = new_link(s->args[0]);
    struct nlattr *info = nla_nest_start(m, IFLA_LINKINFO);
    nla_put_string(m, IFLA_INFO_KIND, "bridge");
    struct nlattr *data = nla_nest_start(m, IFLA_INFO_DATA);
    nla_put_u32(m, IFLA_BR_FORWARD_DELAY, 0); /* no spanning tree: a port forwards at once */
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    return change_link(m, "create the bridge", s->args[0], err);
}

int step_vlan_add(const struct step *s, struct error *err)
{
    unsigned parent = if_nametoindex(arg(s, 1));
    int64_t id;

    if (link_name_check(arg(s, 0), err) < 0 || number_parse(arg(s, 2), 1, 4094, &id, err) < 0)
        return -1;
    if (!parent)
        return error_set(err, errno, "the interface '%s'", arg(s, 1));
    struct nl_msg *m = new_link(s->args[0]);
    nla_put_u32(m, IFLA_LINK, parent);
    struct nlattr *info = nla_nest_start(m, IFLA_LINKINFO);
    nla_put_string(m, IFLA_INFO_KIND, "vlan");
    struct nlattr *data = nla_nest_start(m, IFLA_INFO_DATA);
    nla_put_u16(m, IFLA_VLAN_ID, (uint16_t)id);
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    return change_link(m, "create the VLAN", s->args[0], err);
}

/* Is it there, and of this kind? */
static int check_kind(const char *name, const char *kind, struct error *err)
{
    struct link l;

    if (link_look(name, &l, err) < 0)
        return -1;
    return str_eq(l.kind, kind) ? 0 : error_set(err, 0, "'%s' is no %s", name, kind);
}

int step_bridge_check(const struct step *s, struct error *err)
{
    return check_kind(arg(s, 0), "bridge", err);
}

int step_vlan_check(const struct step *s, struct error *err)
{
    return check_kind(arg(s, 0), "vlan", err);
}

int step_link_delete(const struct step *s, struct error *err)
{
    const struct ifinfomsg info = {.ifi_index = (int)if_nametoindex(arg(s, 0))};

    if (!info.ifi_index)
        return 0;
    return change_link(rtnl_message(RTM_DELLINK, 0, &info, sizeof(info)), "delete", s->args[0],
                       err);
}

/* ---- on and off ---- */

int step_up(const struct step *s, struct error *err)
{
    return link_up(arg(s, 0), err);
}

int step_down(const struct step *s, struct error *err)
{
    const struct ifinfomsg info = {.ifi_index = (int)if_nametoindex(arg(s, 0)),
                                   .ifi_change = IFF_UP};

    if (!info.ifi_index)
        return 0;
    return change_link(rtnl_message(RTM_NEWLINK, 0, &info, sizeof(info)), "switch off", s->args[0],
                       err);
}

int step_up_check(const struct step *s, struct error *err)
{
    struct link l;

    if (link_look(arg(s, 0), &l, err) < 0)
        return -1;
    return l.up ? 0 : error_set(err, 0, "'%s' is off", l.name);
}

/* ---- MTU, hardware address ---- */

static int set_mtu(const char *name, const char *text, struct error *err)
{
    int64_t mtu;

    if (number_parse(text, 68, 65535, &mtu, err) < 0)
        return error_wrap(err, "MTU");
    return link_set_mtu(name, (unsigned)mtu, err);
}

int step_mtu(const struct step *s, struct error *err)
{
    return set_mtu(arg(s, 0), arg(s, 1), err);
}

int step_mtu_undo(const struct step *s, struct error *err)
{
    if (!*arg(s, 2) || !if_nametoindex(arg(s, 0)))
        return 0;
    return set_mtu(s->args[0], s->args[2], err);
}

int step_mtu_check(const struct step *s, struct error *err)
{
    struct link l;
    char text[16];

    if (link_look(arg(s, 0), &l, err) < 0)
        return -1;
    snprintf(text, sizeof(text), "%u", l.mtu);
    return str_eq(text, arg(s, 1)) ? 0 : error_set(err, 0, "the MTU of '%s' is %s", l.name, text);
}

static int read_mac(const char *text, uint8_t mac[6], struct error *err)
{
    char end;

    if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx%c", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
               &mac[5], &end) == 6)
        return 0;
    return error_set(err, 0, "'%s' is no hardware address", text);
}

static int set_mac(const char *name, const char *text, struct error *err)
{
    uint8_t mac[6];
    struct link l;

    if (read_mac(text, mac, err) < 0 || link_look(name, &l, err) < 0)
        return -1;
    return memcmp(mac, l.mac, 6) == 0 ? 0 : link_set_mac(name, mac, err);
}

int step_mac(const struct step *s, struct error *err)
{
    return set_mac(arg(s, 0), arg(s, 1), err);
}

int step_mac_undo(const struct step *s, struct error *err)
{
    if (!*arg(s, 2) || !if_nametoindex(arg(s, 0)))
        return 0;
    return set_mac(s->args[0], s->args[2], err);
}

int step_mac_check(const struct step *s, struct error *err)
{
    uint8_t mac[6];
    struct link l;

    if (read_mac(arg(s, 1), mac, err) < 0 || link_look(arg(s, 0), &l, err) < 0)
        return -1;
    return memcmp(mac, l.mac, 6) == 0 ? 0 : error_set(err, 0, "'%s' has another address", l.name);
}

/* ---- ports of bridges ---- */

static int set_master(const char *name, unsigned master, struct error *err)
{
    const struct ifinfomsg info = {.ifi_index = (int)if_nametoindex(name)};
    struct nl_msg *m = rtnl_message(RTM_NEWLINK, 0, &info, sizeof(info));

    nla_put_u32(m, IFLA_MASTER, master);
    return change_link(m, "change the bridge of", name, err);
}

int step_port_add(const struct step *s, struct error *err)
{
    unsigned bridge = if_nametoindex(arg(s, 1));
    struct link l;

    if (!bridge)
        return error_set(err, errno, "the bridge '%s'", arg(s, 1));
    if (link_look(arg(s, 0), &l, err) < 0)
        return -1;
    if (l.master == (int)bridge)
        return 0;
    /* A macvlan on it goes some time after the container that had it. */
    struct error why = {0};
    for (unsigned i = 0; i < BUSY_TRIES; i++) {
        if (set_master(l.name, bridge, &why) == 0)
            return 0;
        if (why.code != EBUSY)
            break;
        usleep(50000);
    }
    error_set(err, 0, "%s", why.text);
    return why.code == EBUSY ? error_hint(err, "a guest of a network of kind direct may be on it")
                             : -1;
}

int step_port_undo(const struct step *s, struct error *err)
{
    const char *old = arg(s, 2);
    unsigned master = str_starts(old, "master ") ? if_nametoindex(old + 7) : 0;
    struct link l;

    if (link_look(arg(s, 0), &l, NULL) < 0 || l.master == (int)master)
        return 0;
    return set_master(l.name, master, err);
}

int step_port_check(const struct step *s, struct error *err)
{
    unsigned bridge = if_nametoindex(arg(s, 1));
    struct link l;

    if (link_look(arg(s, 0), &l, err) < 0)
        return -1;
    return bridge && l.master == (int)bridge
               ? 0
               : error_set(err, 0, "'%s' is no port of '%s'", l.name, arg(s, 1));
}
