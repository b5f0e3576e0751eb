/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interfaces, see link.h. Questions go to rtnetlink, which answers for the namespace of the socket
 * (sysfs would do so for that of its mount); changes are ioctls.
 */
#include "net/link.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "net/batch.h"

#define REPLY_MAX 16384 /* of RTM_GETLINK for one interface: some KiB, more with VFs */

int link_name_check(const char *name, struct error *err)
{
    bool ok = *name && strlen(name) < IFNAMSIZ && !str_eq(name, ".") && !str_eq(name, "..");

    for (const char *p = name; *p && ok; p++)
        ok = isgraph((unsigned char)*p) && *p != '/' && *p != ':' && *p != '%';
    if (ok)
        return 0;
    return error_set(err, 0, "'%s' is no name of an interface: those have 1 to %d characters", name,
                     IFNAMSIZ - 1);
}

/* ---- questions ---- */

struct question {
    struct nlmsghdr head;
    struct ifinfomsg info;
    struct rtattr attr;
    char name[IFNAMSIZ];
};

/* What is nested in an attribute, by type. */
static void take_apart(const struct rtattr *nest, const struct rtattr **out, unsigned most)
{
    int left = (int)RTA_PAYLOAD(nest);

    memset(out, 0, (most + 1) * sizeof(*out));
    for (const struct rtattr *a = RTA_DATA(nest); RTA_OK(a, left); a = RTA_NEXT(a, left))
        if ((a->rta_type & NLA_TYPE_MASK) <= most)
            out[a->rta_type & NLA_TYPE_MASK] = a;
}

static bool flag_of(const struct rtattr *a)
{
    return a && RTA_PAYLOAD(a) == 1 && *(const uint8_t *)RTA_DATA(a);
}

static int64_t id_of(const struct rtattr *a)
{
    uint32_t id;

    if (!a || RTA_PAYLOAD(a) != sizeof(id))
        return -1;
    memcpy(&id, RTA_DATA(a), sizeof(id));
    return id;
}

static uint32_t number_of(const struct rtattr *a)
{
    uint32_t n = 0;

    if (a && RTA_PAYLOAD(a) == sizeof(n))
        memcpy(&n, RTA_DATA(a), sizeof(n));
    return n;
}

static void read_text(const struct rtattr *a, char *out, size_t room)
{
    snprintf(out, room, "%.*s", (int)RTA_PAYLOAD(a), (const char *)RTA_DATA(a));
}

static void read_kind(const struct rtattr *linkinfo, struct link *out)
{
    const struct rtattr *info[IFLA_INFO_MAX + 1], *tun[IFLA_TUN_MAX + 1];
    const struct rtattr *port[IFLA_BRPORT_MAX + 1];
    char slave[16] = "";

    take_apart(linkinfo, info, IFLA_INFO_MAX);
    if (info[IFLA_INFO_KIND])
        read_text(info[IFLA_INFO_KIND], out->kind, sizeof(out->kind));
    if (info[IFLA_INFO_DATA] && str_eq(out->kind, "tun")) {
        take_apart(info[IFLA_INFO_DATA], tun, IFLA_TUN_MAX);
        out->uid = id_of(tun[IFLA_TUN_OWNER]);
        out->gid = id_of(tun[IFLA_TUN_GROUP]);
        out->multi_queue = flag_of(tun[IFLA_TUN_MULTI_QUEUE]);
        out->vnet_header = flag_of(tun[IFLA_TUN_VNET_HDR]);
        out->persistent = flag_of(tun[IFLA_TUN_PERSIST]);
        out->queues =
            number_of(tun[IFLA_TUN_NUM_QUEUES]) + number_of(tun[IFLA_TUN_NUM_DISABLED_QUEUES]);
    }
    if (info[IFLA_INFO_SLAVE_KIND])
        read_text(info[IFLA_INFO_SLAVE_KIND], slave, sizeof(slave));
    if (info[IFLA_INFO_SLAVE_DATA] && str_eq(slave, "bridge")) {
        take_apart(info[IFLA_INFO_SLAVE_DATA], port, IFLA_BRPORT_MAX);
        out->isolated = flag_of(port[IFLA_BRPORT_ISOLATED]);
        out->hairpin = flag_of(port[IFLA_BRPORT_MODE]);
    }
}

/*
 * Whether something is at its other end the flags say late: up to a second after a tap was opened or
 * closed. Its carrier says it at once, and one of several queues has those that are open.
 */
static void read_answer(const struct nlmsghdr *h, struct link *out)
{
    const struct ifinfomsg *info = NLMSG_DATA(h);
    bool carrier = false;
    int left = (int)IFLA_PAYLOAD(h);

    out->index = info->ifi_index;
    out->up = info->ifi_flags & IFF_UP;
    out->running = info->ifi_flags & IFF_RUNNING;
    out->uid = out->gid = -1;
    for (const struct rtattr *a = IFLA_RTA(info); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (a->rta_type == IFLA_MTU)
            memcpy(&out->mtu, RTA_DATA(a), sizeof(out->mtu));
        else if (a->rta_type == IFLA_MASTER)
            memcpy(&out->master, RTA_DATA(a), sizeof(out->master));
        else if (a->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(a) == sizeof(out->mac))
            memcpy(out->mac, RTA_DATA(a), sizeof(out->mac));
        else if (a->rta_type == IFLA_CARRIER)
            carrier = flag_of(a);
        else if (a->rta_type == IFLA_IFALIAS)
            read_text(a, out->alias, sizeof(out->alias));
        else if (a->rta_type == IFLA_LINKINFO)
            read_kind(a, out);
    }
    if (str_eq(out->kind, "tun"))
        out->running = out->multi_queue ? out->queues : carrier;
}

int link_look(const char *name, struct link *out, struct error *err)
{
    struct question q = {
        .head = {.nlmsg_len = sizeof(q), .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
        .attr = {.rta_type = IFLA_IFNAME},
    };
    union {
        struct nlmsghdr head;
        char bytes[REPLY_MAX];
    } reply;

    *out = (struct link){0};
    if (link_name_check(name, err) < 0)
        return -1;
    strcpy(out->name, name);
    memcpy(q.name, name, strlen(name));
    q.attr.rta_len = (unsigned short)RTA_LENGTH(strlen(name) + 1);
    cleanup_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    ssize_t n = -1;
    if (fd >= 0 && send(fd, &q, sizeof(q), 0) == sizeof(q))
        n = recv(fd, &reply, sizeof(reply), 0);
    if (n < 0)
        return error_set(err, errno, "ask for the interface '%s'", name);
    if (!NLMSG_OK(&reply.head, (size_t)n))
        return error_set(err, EPROTO, "ask for the interface '%s'", name);
    if (reply.head.nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *e = NLMSG_DATA(&reply.head);
        if (e->error != -ENODEV)
            return error_set(err, -e->error, "ask for the interface '%s'", name);
        error_set(err, 0, "there is no interface '%s'", name);
        if (err)
            err->code = ENODEV;
        return -1;
    }
    read_answer(&reply.head, out);
    return 0;
}

/* "pult NETWORK MAC" is written on it. */
bool link_is_promised(const struct link *l, char network[IFNAMSIZ], uint8_t mac[6])
{
    char name[IFNAMSIZ];
    int end = 0;

    if (!str_eq(l->kind, "tun") ||
        sscanf(l->alias, "pult %15s %2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", name, &mac[0], &mac[1],
               &mac[2], &mac[3], &mac[4], &mac[5], &end) != 7 ||
        l->alias[end])
        return false;
    if (network)
        memcpy(network, name, sizeof(name));
    return true;
}

const char *link_name(int index, char out[IFNAMSIZ])
{
    if (!if_indextoname((unsigned)index, out))
        strcpy(out, "?");
    return out;
}

/* ---- changes ---- */

/* One ioctl on an interface; the request's name is filled in here. */
static int change(const char *name, unsigned long what, struct ifreq *r)
{
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    snprintf(r->ifr_name, sizeof(r->ifr_name), "%s", name);
    return ioctl(fd, what, r);
}

int link_up(const char *name, struct error *err)
{
    struct ifreq r = {0};

    if (change(name, SIOCGIFFLAGS, &r) == 0) {
        if (r.ifr_flags & IFF_UP)
            return 0;
        r.ifr_flags |= IFF_UP;
        if (change(name, SIOCSIFFLAGS, &r) == 0)
            return 0;
    }
    error_set(err, errno, "switch on the interface '%s'", name);
    return errno == EPERM ? error_hint(err, "as root: ip link set %s up", name) : -1;
}

int link_set_mtu(const char *name, unsigned mtu, struct error *err)
{
    struct ifreq r = {.ifr_mtu = (int)mtu};

    if (change(name, SIOCSIFMTU, &r) == 0)
        return 0;
    error_set(err, errno, "set the MTU of '%s' to %u", name, mtu);
    return errno == EPERM ? error_hint(err, "as root: ip link set %s mtu %u", name, mtu) : -1;
}

int link_set_mac(const char *name, const uint8_t mac[6], struct error *err)
{
    struct ifreq r = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};

    memcpy(r.ifr_hwaddr.sa_data, mac, 6);
    return change(name, SIOCSIFHWADDR, &r) == 0
               ? 0
               : error_set(err, errno, "set the address of '%s'", name);
}

void link_host_mac(const uint8_t guest[6], uint8_t out[6])
{
    memcpy(out, guest, 6);
    out[0] = 0xfe;
    if (guest[0] == out[0])
        out[5] ^= 1;
}

void link_distrust(const char *name)
{
    static const char *const files[] = {"accept_ra", "accept_redirects", "autoconf"};
    char path[96];

    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, files[i]);
        cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write(fd, "0", 1) != 1) /* -1: there is no IPv6 here */
            log_line("'%s' cannot be written: %s", path, strerror(errno));
    }
}

int link_join(const char *name, const char *bridge, struct error *err)
{
    struct ifreq r = {.ifr_ifindex = (int)if_nametoindex(name)};

    if (r.ifr_ifindex && change(bridge, SIOCBRADDIF, &r) == 0)
        return 0;
    error_set(err, errno, "make '%s' a port of the bridge '%s'", name, bridge);
    return errno == EPERM ? error_hint(err, "as root: ip link set %s master %s", name, bridge) : -1;
}

int link_make_port(const char *name, const char *bridge, bool isolated, bool hairpin,
                   struct error *err)
{
    cleanup_close int fd = batch_socket(err);
    cleanup_batch struct batch b = {.fd = fd};
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    const int master = fd >= 0 ? batch_link_index(fd, bridge) : 0;

    if (fd < 0)
        return -1;
    head.ifi_index = batch_link_index(fd, name);
    if (!master || !head.ifi_index)
        return error_set(err, ENODEV, "find '%s'", master ? name : bridge);
    link_distrust(name);
    struct nl_msg *m = batch_add(&b, RTM_NEWLINK, 0, &head, sizeof(head),
                                 "make '%s' a port of the bridge '%s'", name, bridge);
    nla_put_u32(m, IFLA_MASTER, (uint32_t)master);
    const struct ifinfomsg port = {.ifi_family = AF_BRIDGE, .ifi_index = head.ifi_index};
    m = batch_add(&b, RTM_SETLINK, 0, &port, sizeof(port), "set up the port '%s'", name);
    struct nlattr *info = nla_nest_start(m, IFLA_PROTINFO | NLA_F_NESTED);
    nla_put_u8(m, IFLA_BRPORT_ISOLATED, isolated);
    nla_put_u8(m, IFLA_BRPORT_MODE, hairpin);
    nla_nest_end(m, info);
    head.ifi_flags = head.ifi_change = IFF_UP;
    batch_add(&b, RTM_NEWLINK, 0, &head, sizeof(head), "switch on the interface '%s'", name);
    return batch_run(&b, err);
}

int link_make_macvtap(const char *name, const char *parent, const uint8_t mac[6], unsigned mtu,
                      struct error *err)
{
    const struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    cleanup_close int fd = batch_socket(err);
    cleanup_batch struct batch b = {.fd = fd};
    const int index = fd >= 0 ? batch_link_index(fd, parent) : 0;

    if (fd < 0)
        return -1;
    if (!index)
        return error_set(err, ENODEV, "find the interface '%s'", parent);
    struct nl_msg *m = batch_add(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head),
                                 "create the macvtap '%s' on '%s'", name, parent);
    nla_put_string(m, IFLA_IFNAME, name);
    nla_put_u32(m, IFLA_LINK, (uint32_t)index);
    if (mac)
        nla_put(m, IFLA_ADDRESS, 6, mac);
    if (mtu)
        nla_put_u32(m, IFLA_MTU, mtu);
    struct nlattr *info = nla_nest_start(m, IFLA_LINKINFO);
    nla_put_string(m, IFLA_INFO_KIND, "macvtap");
    struct nlattr *data = nla_nest_start(m, IFLA_INFO_DATA);
    nla_put_u32(m, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    if (batch_run(&b, err) < 0)
        return -1;
    link_distrust(name); /* what comes in is the guest's */
    return link_up(name, err);
}

int link_delete(const char *name, struct error *err)
{
    const struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    cleanup_close int fd = batch_socket(err);
    cleanup_batch struct batch b = {.fd = fd};

    if (fd < 0)
        return -1;
    struct nl_msg *m =
        batch_add(&b, RTM_DELLINK, 0, &head, sizeof(head), "remove the interface '%s'", name);
    nla_put_string(m, IFLA_IFNAME, name);
    return batch_run(&b, err);
}

/* By its name and the host, so it does not change either when a port comes or goes. */
void link_own_mac(const char *name, uint8_t out[6])
{
    cleanup_free char *machine = NULL;
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

    if (file_read_at(AT_FDCWD, "/etc/machine-id", 256, &machine, NULL, NULL) < 0)
        machine = xstrdup("");
    cleanup_free char *text = xasprintf("%s/%s", machine, name);
    for (const char *p = text; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 0x100000001b3;
    out[0] = 2;
    for (unsigned i = 1; i < 6; i++)
        out[i] = (uint8_t)(hash >> (8 * (5 - i)));
}
