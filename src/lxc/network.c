/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container's network interfaces are made here, by its keeper; see nic.h.
 *
 * Each is one request to rtnetlink that makes it in the container's namespace at once, with its name,
 * address and MTU; a second batch, through a socket that the first process opened in there, gives
 * it addresses and routes. No process is started for any of that but pasta, of a user's network.
 */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "lxc/container.h"
#include "lxc/hooks.h"
#include "net/batch.h"
#include "net/join.h"
#include "net/link.h"
#include "net/passt.h"
#include "net/pool.h"

#define NUMBER_LXC 100u /* interfaces by LXC's keys have numbers from here on, to be told apart */

/* ---- could it be? ---- */

static int check_privilege(const struct nic *n, struct error *err)
{
    if (geteuid() == 0)
        return 0;
    error_set(err, 0, "%s: an interface on the host is made by root", n->where);
    return error_hint(err, "a network without any rights: guest.net.0 = user");
}

static int check_link(const struct nic *n, struct error *err)
{
    struct link l;

    if (!n->link[0])
        return 0;
    if (link_look(n->link, &l, err) < 0)
        return n->kind == NIC_VETH
                   ? error_hint(err, "a bridge is made by: ip link add %s type bridge", n->link)
                   : -1;
    if (n->kind == NIC_VETH && !str_eq(l.kind, "bridge"))
        return error_set(err, 0, "'%s' is no bridge", n->link);
    if (n->kind == NIC_PHYS && str_eq(n->link, "lo"))
        return error_set(err, 0, "'lo' stays where it is");
    return 0;
}

static int check_network(const struct nic *n, struct error *err)
{
    cleanup_network struct network *net = NULL;

    if (network_load(n->network, &net, err) < 0)
        return -1;
    return net->kind == NET_USER ? 0 : check_privilege(n, err);
}

static struct passt_request pasta_request(const struct nic *n, const char *title)
{
    return (struct passt_request){
        .name = n->where,
        .title = title,
        .mtu = n->mtu,
        .forwards = n->forwards,
        .host_loopback = n->host_loopback,
        .netns = -1,
        .userns = -1,
        .pasta = true,
        .ifname = n->name,
        .mac = n->has_mac ? n->mac : NULL,
    };
}

int network_check(const struct guest_def *def, const struct nics *all, struct error *err)
{
    for (unsigned i = 0; i < all->count; i++) {
        const struct nic *n = &all->all[i];
        const struct passt_request pasta = pasta_request(n, def->name);
        int ret = 0;
        if (n->kind == NIC_USER)
            ret = passt_check(&pasta, err);
        else if (n->kind == NIC_NETWORK)
            ret = check_network(n, err);
        else if (n->kind != NIC_EMPTY && n->kind != NIC_HOST)
            ret = check_privilege(n, err) < 0 ? -1 : check_link(n, err);
        if (ret < 0)
            return err && str_starts(err->text, n->where) ? -1 : error_wrap(err, "%s", n->where);
    }
    return 0;
}

/* ---- making ---- */

struct making {
    struct container *c;
    int ns, inside, host; /* its namespace; sockets of rtnetlink there and here */
};

/* What the kernel is told of each new interface, wherever it is to be. */
static void put_common(struct nl_msg *m, const char *name, const uint8_t *mac, unsigned mtu)
{
    nla_put_string(m, IFLA_IFNAME, name);
    if (mac)
        nla_put(m, IFLA_ADDRESS, 6, mac);
    if (mtu)
        nla_put_u32(m, IFLA_MTU, mtu);
}

/*
 * Where nothing is said the kernel makes a queue for each processor and gives up all but one, for
 * which it waits an RCU grace period at each end of the pair.
 */
static void put_queues(struct nl_msg *m, const struct nic *n)
{
    nla_put_u32(m, IFLA_NUM_RX_QUEUES, n->rx ? n->rx : 1);
    nla_put_u32(m, IFLA_NUM_TX_QUEUES, n->tx ? n->tx : 1);
}

static int try_veth(struct making *mk, const struct nic *n, struct error *err)
{
    const struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    cleanup_batch struct batch b = {.fd = mk->host};
    cleanup_free char *alias = xasprintf("%s %s", mk->c->keeper->def->name, n->name);
    uint8_t mac[6];

    link_host_mac(n->mac, mac);
    struct nl_msg *m = batch_add(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head),
                                 "create the veth pair '%s'", n->pair);
    put_common(m, n->pair, n->has_mac ? mac : NULL, n->mtu);
    put_queues(m, n);
    struct nlattr *info = nla_nest_start(m, IFLA_LINKINFO);
    nla_put_string(m, IFLA_INFO_KIND, "veth");
    struct nlattr *data = nla_nest_start(m, IFLA_INFO_DATA);
    struct nlattr *peer = nla_nest_start(m, VETH_INFO_PEER);
    nlmsg_append(m, (void *)(uintptr_t)&head, sizeof(head), NLMSG_ALIGNTO);
    put_common(m, n->name, n->has_mac ? n->mac : NULL, n->mtu);
    put_queues(m, n);
    nla_put_u32(m, IFLA_NET_NS_FD, (uint32_t)mk->ns);
    nla_nest_end(m, peer);
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    if (batch_run(&b, err) < 0)
        return -1;
    /* Only then: what has the name already is another's. */
    m = batch_add(&b, RTM_SETLINK, 0, &head, sizeof(head), "say whose '%s' is", n->pair);
    nla_put_string(m, IFLA_IFNAME, n->pair);
    nla_put_string(m, IFLA_IFALIAS, alias);
    if (batch_run(&b, err) == 0)
        return 0;
    link_delete(n->pair, NULL);
    return -1;
}

/* A pair of a former life, whose namespace is not quite gone, has the name still. */
static int make_veth(struct making *mk, struct nic *n, struct error *err)
{
    struct error why = {0};
    int ret = try_veth(mk, n, &why);

    if (ret < 0 && why.code == EEXIST && n->own_pair && link_delete(n->pair, NULL) == 0)
        ret = try_veth(mk, n, &why);
    n->made = ret == 0;
    if (ret < 0 && err)
        *err = why;
    return ret;
}

/* macvlan, ipvlan, vlan: what is made of another interface. */
static int make_upper(struct making *mk, const struct nic *n, struct error *err)
{
    const struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    const char *kind = n->kind == NIC_MACVLAN  ? "macvlan"
                       : n->kind == NIC_IPVLAN ? "ipvlan"
                                               : "vlan";
    cleanup_batch struct batch b = {.fd = mk->host};
    const int parent = batch_link_index(mk->host, n->link);

    if (!parent)
        return error_set(err, ENODEV, "find the interface '%s'", n->link);
    struct nl_msg *m = batch_add(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head),
                                 "create a %s on '%s'", kind, n->link);
    put_common(m, n->name, n->has_mac && n->kind != NIC_IPVLAN ? n->mac : NULL, n->mtu);
    nla_put_u32(m, IFLA_LINK, (uint32_t)parent);
    nla_put_u32(m, IFLA_NET_NS_FD, (uint32_t)mk->ns);
    struct nlattr *info = nla_nest_start(m, IFLA_LINKINFO);
    nla_put_string(m, IFLA_INFO_KIND, kind);
    struct nlattr *data = nla_nest_start(m, IFLA_INFO_DATA);
    if (n->kind == NIC_MACVLAN)
        nla_put_u32(m, IFLA_MACVLAN_MODE, n->mode < 0 ? MACVLAN_MODE_PRIVATE : (uint32_t)n->mode);
    else if (n->kind == NIC_VLAN)
        nla_put_u16(m, IFLA_VLAN_ID, (uint16_t)n->vlan);
    else {
        nla_put_u16(m, IFLA_IPVLAN_MODE, n->mode < 0 ? IPVLAN_MODE_L3 : (uint16_t)n->mode);
        nla_put_u16(m, IFLA_IPVLAN_FLAGS, (uint16_t)n->isolation);
    }
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    return batch_run(&b, err);
}

/* Give an interface to another namespace, under this name. */
static int move_link(int socket, int index, const char *name, int ns, const char *as,
                     struct error *err)
{
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    cleanup_batch struct batch b = {.fd = socket};

    head.ifi_change = IFF_UP; /* down */
    if (!head.ifi_index)
        return error_set(err, ENODEV, "find the interface '%s'", name);
    struct nl_msg *m = batch_add(&b, RTM_NEWLINK, 0, &head, sizeof(head), "move '%s'", name);
    nla_put_string(m, IFLA_IFNAME, as);
    nla_put_u32(m, IFLA_NET_NS_FD, (uint32_t)ns);
    return batch_run(&b, err);
}

static int make_phys(struct making *mk, struct nic *n, struct error *err)
{
    const int index = batch_link_index(mk->host, n->link);
    batch_link_identity(mk->host, index, n->identity);
    if (move_link(mk->host, index, n->link, mk->ns, n->name, err) < 0)
        return -1;
    snprintf(n->old_name, sizeof(n->old_name), "%s", n->link);
    return 0;
}

/* ---- addresses and routes, inside ---- */

static unsigned address_bytes(const struct address *a)
{
    return a->family == AF_INET ? 4 : 16;
}

static void put_address(struct nl_msg *m, int attr, const struct address *a)
{
    nla_put(m, attr, (int)address_bytes(a), a->bytes);
}

static void add_address(struct batch *b, int index, const struct address *a,
                        const struct address *broadcast)
{
    const struct ifaddrmsg head = {.ifa_family = (uint8_t)a->family,
                                   .ifa_prefixlen = (uint8_t)a->prefix,
                                   .ifa_index = (unsigned)index};
    char text[ADDRESS_TEXT];
    struct nl_msg *m = batch_add(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head),
                                 "set the address %s", address_text(a, false, text));
    struct address all = *a; /* RFC 919: all bits of the host are 1 */

    put_address(m, IFA_LOCAL, a);
    put_address(m, IFA_ADDRESS, a);
    if (a->family == AF_INET6) { /* nobody else can have it yet, and it is used at once */
        nla_put_u32(m, IFA_FLAGS, IFA_F_NODAD);
        return;
    }
    for (unsigned bit = a->prefix; bit < 32; bit++)
        all.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    if (broadcast->family || a->prefix < 31)
        put_address(m, IFA_BROADCAST, broadcast->family ? broadcast : &all);
}

/* A route through the interface; to family 0: the default one. via family 0: directly. */
static void add_route(struct batch *b, int index, int family, const struct address *to,
                      const struct address *via, bool onlink)
{
    const struct rtmsg head = {
        .rtm_family = (uint8_t)family,
        .rtm_dst_len = (uint8_t)(to->family ? to->prefix : 0),
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_BOOT,
        .rtm_scope = via->family ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
        .rtm_type = RTN_UNICAST,
        .rtm_flags = via->family && onlink ? RTNH_F_ONLINK : 0,
    };
    char text[ADDRESS_TEXT];
    struct nl_msg *m = batch_add(b, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head),
                                 "set the route %s%s", via->family ? "by " : "to ",
                                 address_text(via->family ? via : to, true, text));

    if (to->family)
        put_address(m, RTA_DST, to);
    if (via->family)
        put_address(m, RTA_GATEWAY, via);
    nla_put_u32(m, RTA_OIF, (uint32_t)index);
}

/* The address of the bridge, or what else it is that the interface is made of. */
static int address_of(const char *link, int family, struct address *out, struct error *err)
{
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) < 0)
        return error_set(err, errno, "ask for the addresses of '%s'", link);
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        if (!a->ifa_addr || a->ifa_addr->sa_family != family || !str_eq(a->ifa_name, link))
            continue;
        *out = (struct address){.family = family, .prefix = family == AF_INET ? 32 : 128};
        if (family == AF_INET)
            memcpy(out->bytes, &((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr,
                   4);
        else
            memcpy(out->bytes, &((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr,
                   16);
        break;
    }
    freeifaddrs(all);
    if (out->family)
        return 0;
    return error_set(err, 0, "'%s' has no address that the gateway could be", link);
}

static void add_gateway(struct batch *b, const struct nic *n, int index, const struct address *via,
                        bool dev)
{
    const struct address none = {0};
    bool reached = false;

    for (unsigned i = 0; i < n->address_count && via->family; i++)
        reached |= address_contains(&n->addresses[i], via);
    if (via->family)
        add_route(b, index, via->family, &none, via, !reached);
    else if (dev)
        add_route(b, index, via == &n->gateway ? AF_INET : AF_INET6, &none, &none, false);
}

static int set_up_inside(struct making *mk, struct nic *n, struct error *err)
{
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    cleanup_batch struct batch b = {.fd = mk->inside};

    head.ifi_index = n->index = batch_link_index(mk->inside, n->name);
    if (!head.ifi_index)
        return error_set(err, ENODEV, "find '%s' in the container", n->name);
    if (n->gateway_auto && address_of(n->link, AF_INET, &n->gateway, err) < 0)
        return -1;
    if (n->gateway6_auto && address_of(n->link, AF_INET6, &n->gateway6, err) < 0)
        return -1;
    head.ifi_flags = head.ifi_change = n->up ? IFF_UP : 0;
    struct nl_msg *m =
        batch_add(&b, RTM_NEWLINK, 0, &head, sizeof(head), "switch '%s' on", n->name);
    if (n->kind == NIC_PHYS && n->has_mac)
        nla_put(m, IFLA_ADDRESS, 6, n->mac);
    if (n->kind == NIC_PHYS && n->mtu)
        nla_put_u32(m, IFLA_MTU, n->mtu);
    for (unsigned i = 0; i < n->address_count; i++)
        add_address(&b, head.ifi_index, &n->addresses[i], &n->broadcast[i]);
    if (n->up) {
        add_gateway(&b, n, head.ifi_index, &n->gateway, n->gateway_dev);
        add_gateway(&b, n, head.ifi_index, &n->gateway6, n->gateway6_dev);
    }
    return batch_run(&b, err);
}

/* ---- each kind ---- */

static void host_sysctl(const char *family, const char *name, const char *key)
{
    char path[96];

    snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", family, name, key);
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "1", 1) != 1)
        log_line("'%s' cannot be written: %s", path, strerror(errno));
}

/* The host has a route to each of its addresses, and answers for all others. */
static int route_to(struct making *mk, const struct nic *n, struct error *err)
{
    const struct address none = {0};
    cleanup_batch struct batch b = {.fd = mk->host};
    const int index = batch_link_index(mk->host, n->pair);

    host_sysctl("ipv4", n->pair, "proxy_arp");
    host_sysctl("ipv4", n->pair, "forwarding");
    for (unsigned i = 0; i < n->address_count; i++) {
        struct address a = n->addresses[i];
        a.prefix = a.family == AF_INET ? 32 : 128;
        add_route(&b, index, a.family, &a, &none, false);
    }
    return batch_run(&b, err);
}

/* Networks that the host reaches through it. */
static int routes_add(struct making *mk, const struct nic *n, struct error *err)
{
    const struct address none = {0};
    cleanup_batch struct batch b = {.fd = mk->host};
    const int index = n->route_count ? batch_link_index(mk->host, n->pair) : 0;

    for (unsigned i = 0; i < n->route_count; i++)
        add_route(&b, index, n->routes[i].family, &n->routes[i], &none, false);
    return n->route_count ? batch_run(&b, err) : 0;
}

/* The host answers for its addresses on the link, or no longer does. */
static int proxy_set(int host, struct nic *n, bool yes, struct error *err)
{
    cleanup_batch struct batch b = {.fd = host};
    const int index = batch_link_index(host, n->link);
    char text[ADDRESS_TEXT];

    for (unsigned i = 0; i < n->address_count; i++) {
        const struct ndmsg head = {.ndm_family = (uint8_t)n->addresses[i].family,
                                   .ndm_ifindex = index,
                                   .ndm_state = NUD_PERMANENT,
                                   .ndm_flags = NTF_PROXY};
        struct nl_msg *m =
            batch_add(&b, yes ? RTM_NEWNEIGH : RTM_DELNEIGH, yes ? NLM_F_CREATE | NLM_F_REPLACE : 0,
                      &head, sizeof(head), "answer for %s on '%s'",
                      address_text(&n->addresses[i], false, text), n->link);
        put_address(m, NDA_DST, &n->addresses[i]);
    }
    n->proxied = yes;
    return n->address_count ? batch_run(&b, err) : 0;
}

/* A veth in a bridge of the host's, or in none. */
static int bridge_nic(struct making *mk, struct nic *n, struct error *err)
{
    struct link bridge = {0};

    if (n->link[0] && link_look(n->link, &bridge, err) < 0)
        return -1;
    if (!n->mtu && n->link[0]) /* a smaller one would become the bridge's */
        n->mtu = bridge.mtu;
    if (make_veth(mk, n, err) < 0)
        return -1;
    if (n->link[0] ? link_make_port(n->pair, n->link, false, false, err) < 0
                   : link_up(n->pair, err) < 0)
        return -1;
    if (routes_add(mk, n, err) < 0)
        return -1;
    return n->router ? route_to(mk, n, err) : 0;
}

/* What the network said becomes the interface's. */
static void take_join(struct nic *n, const struct join *j)
{
    n->address_count = 0;
    if (!n->mtu)
        n->mtu = j->mtu;
    if (j->address.family)
        n->addresses[n->address_count++] = j->address;
    if (j->address6.family)
        n->addresses[n->address_count++] = j->address6;
    n->gateway = j->gateway;
    n->gateway6 = j->gateway6;
}

static int start_pasta(struct making *mk, struct nic *n, struct error *err);

static int join_nic(struct making *mk, struct nic *n, struct error *err)
{
    struct container *c = mk->c;
    const struct address wanted = n->addresses[0];
    struct join j;

    if (network_join(n->network, c->keeper->def->name, n->number, n->mac, true, &wanted, &j, err) <
        0)
        return -1;
    n->joined = true;
    if (j.kind == NET_USER)
        return start_pasta(mk, n, err);
    take_join(n, &j);
    if (j.dns[0] && !c->names[0])
        snprintf(c->names, sizeof(c->names), "%s%s%snameserver %s\n", j.domain[0] ? "search " : "",
                 j.domain, j.domain[0] ? "\n" : "", j.dns);
    if (j.parent[0]) {
        snprintf(n->link, sizeof(n->link), "%s", j.parent);
        n->kind = NIC_MACVLAN;
        n->mode = MACVLAN_MODE_BRIDGE;
        return make_upper(mk, n, err);
    }
    snprintf(n->pair, sizeof(n->pair), "%s", j.port);
    n->own_pair = true;
    return make_veth(mk, n, err) < 0 ? -1 : network_attach(&j, j.port, err);
}

/* ---- pasta ---- */

#define PASTA_READY_MS 10000

/* It has set the interface up; or could not yet, since the host has no network itself, say. */
static int await_pasta(const struct nic *n, struct error *err)
{
    struct pollfd p = {.fd = n->channel, .events = POLLIN};
    char byte;
    int rc;

    do
        rc = poll(&p, 1, PASTA_READY_MS);
    while (rc < 0 && errno == EINTR);
    if (rc == 0 || (rc > 0 && recv(n->channel, &byte, 1, 0) == 1)) {
        if (rc == 0 || byte == *PASTA_FAILED)
            log_line("%s: there is no network yet; pasta is tried again", n->where);
        return 0;
    }
    return error_set(err, errno, "start pasta");
}

/* The host's name servers are reached through pasta, wherever they are. */
static int start_pasta(struct making *mk, struct nic *n, struct error *err)
{
    struct container *c = mk->c;
    struct passt_request rq = pasta_request(n, c->keeper->def->name);

    rq.netns = mk->ns;
    rq.userns = c->namespaces[NS_USER];
    if (n->kind == NIC_NETWORK) {
        n->own_forwards = network_user_forwards(n->network, c->keeper->def->name);
        rq.forwards = (const char *const *)n->own_forwards;
    }
    n->kind = NIC_USER;
    if (passt_start(&rq, &n->supervisor, &n->channel, err) < 0 || await_pasta(n, err) < 0)
        return -1;
    if (!c->names[0])
        snprintf(c->names, sizeof(c->names), "nameserver " PASST_DNS "\n");
    return 0;
}

/* ---- scripts ---- */

/* lxc.net.N.script.up and down; command NULL: there is none. */
static int run_script(const struct container *c, const struct nic *n, const char *command,
                      const char *kind, struct error *err)
{
    static const char *const types[] = {
        [NIC_VETH] = "veth", [NIC_MACVLAN] = "macvlan", [NIC_IPVLAN] = "ipvlan",
        [NIC_VLAN] = "vlan", [NIC_PHYS] = "phys",       [NIC_EMPTY] = "empty",
        [NIC_HOST] = "none", [NIC_USER] = "user",       [NIC_NETWORK] = "veth",
    };
    const bool pair = n->kind == NIC_VETH;
    const bool new = c->config.set.hook_version > 0;
    if (!command)
        return 0;
    cleanup_free char *type = xasprintf("LXC_NET_TYPE=%s", types[n->kind]);
    cleanup_free char *parent = xasprintf("LXC_NET_PARENT=%s", n->link);
    cleanup_free char *peer = xasprintf("LXC_NET_PEER=%s", n->pair);
    char *env[] = {type, parent, pair ? peer : NULL, NULL};
    char *words[] = {(char *)(uintptr_t)types[n->kind], (char *)(uintptr_t)n->link,
                     pair ? (char *)(uintptr_t)n->pair : NULL, NULL};
    const struct hook_facts facts = {.kind = kind, .env = new ? env : NULL};

    if (hook_script(c->keeper->def, &c->config.set, command, &facts, new ? NULL : words, err) < 0)
        return error_wrap(err, "%s.script.%s", n->where, kind);
    return 0;
}

/* ---- all of them ---- */

static int make_one(struct making *mk, struct nic *n, unsigned place, struct error *err)
{
    int ret = 0;

    if (n->kind == NIC_VETH && !n->pair[0]) {
        const bool card = str_starts(n->where, CARD_KEY);
        n->own_pair = true;
        network_port_name(mk->c->keeper->def->name, card ? n->number : NUMBER_LXC + place, n->pair);
    }
    switch (n->kind) {
    case NIC_EMPTY:
    case NIC_HOST:
        return 0;
    case NIC_USER:
        return start_pasta(mk, n, err);
    case NIC_NETWORK:
        ret = join_nic(mk, n, err);
        break;
    case NIC_VETH:
        ret = bridge_nic(mk, n, err);
        break;
    case NIC_PHYS:
        ret = make_phys(mk, n, err);
        break;
    case NIC_MACVLAN:
    case NIC_IPVLAN:
    case NIC_VLAN:
        ret = make_upper(mk, n, err);
        break;
    }
    if (ret < 0 || n->kind == NIC_USER)
        return ret;
    if (set_up_inside(mk, n, err) < 0 || (n->l2proxy && proxy_set(mk->host, n, true, err) < 0))
        return -1;
    return run_script(mk->c, n, n->script_up, "up", err);
}

/* The namespace and a socket in it. None come where the first process failed: it says so later. */
static int hear_namespace(struct container *c, struct making *mk, struct error *err)
{
    struct message m;
    int fds[2] = {-1, -1};
    int n = message_recv(c->sock, &m, fds, ARRAY_SIZE(fds));

    if (n < 0 || m.kind != MESSAGE_NETWORK)
        return error_set(err, EPROTO, "hear from the container's first process");
    mk->ns = fds[0];
    mk->inside = fds[1];
    return n == (int)ARRAY_SIZE(fds);
}

int network_make(struct container *c, struct error *err)
{
    struct nics *all = &c->config.nics;
    struct making mk = {.c = c, .ns = -1, .inside = -1, .host = -1};
    int ret = 0;

    if (!nics_any(all))
        return 0;
    int heard = hear_namespace(c, &mk, err);
    if (heard <= 0)
        return heard;
    mk.host = batch_socket(err);
    if (mk.host < 0)
        ret = -1;
    for (unsigned i = 0; i < all->count && ret == 0; i++)
        if (make_one(&mk, &all->all[i], i, err) < 0)
            ret = error_wrap(err, "%s", all->all[i].where);
    if (mk.host >= 0)
        close(mk.host);
    close(mk.inside);
    c->netns = mk.ns;
    return ret;
}

/* A socket of the caller's own in another namespace: only such a one may give interfaces to ours. */
static int socket_in(int ns, int here, struct error *err)
{
    if (setns(ns, CLONE_NEWNET) < 0)
        return error_set(err, errno, "enter the container's network");
    int fd = batch_socket(err);
    if (setns(here, CLONE_NEWNET) < 0) {
        cleanup_close_fn(&fd);
        return error_set(err, errno, "leave the container's network");
    }
    return fd;
}

/* Is it what was given? Inside, another may have its number. */
static bool is_given(const struct nic *n, int socket, int index)
{
    char now[BATCH_IDENTITY];
    batch_link_identity(socket, index, now);
    return str_eq(now, n->identity);
}

/*
 * A NIC of the host's goes back, with the name that it had, whatever it is called in there now. Who is
 * root inside may have put another in its place, such as one end of a pair, before that was looked at
 * or after: the host would take it for its own.
 */
static int give_back(const struct container *c, struct nic *n, struct error *err)
{
    cleanup_close int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    cleanup_close int there = here < 0 ? -1 : socket_in(c->netns, here, err);
    cleanup_close int host = there < 0 ? -1 : batch_socket(err);

    if (here < 0)
        return error_set(err, errno, "open the host's network");
    if (host >= 0 && !is_given(n, there, n->index))
        return error_set(err, 0, "'%s' does not come back: the container put it elsewhere",
                         n->old_name);
    if (host < 0 || move_link(there, n->index, n->name, here, n->old_name, err) < 0)
        return error_wrap(err, "'%s' does not come back", n->old_name);
    if (!is_given(n, host, batch_link_index(host, n->old_name))) {
        link_delete(n->old_name, NULL);
        return error_set(err, 0, "'%s' does not come back: the container gave another for it",
                         n->old_name);
    }
    n->old_name[0] = '\0';
    return 0;
}

/* What is in the container's namespace alone, and does not go with its other end. */
static int remove_inside(const struct container *c, const struct nic *n, struct error *err)
{
    cleanup_close int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    cleanup_close int there = here < 0 ? -1 : socket_in(c->namespaces[NS_NET], here, err);
    struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    cleanup_batch struct batch b = {.fd = there};

    if (there < 0)
        return here < 0 ? error_set(err, errno, "open the host's network") : -1;
    head.ifi_index = n->index;
    if (!head.ifi_index)
        return error_set(err, ENODEV, "find '%s' in the container", n->name);
    batch_add(&b, RTM_DELLINK, 0, &head, sizeof(head), "remove '%s'", n->name);
    return batch_run(&b, err);
}

/* Give one back, as far as it was made. */
static void unmake_one(struct container *c, struct nic *n)
{
    const struct guest_def *def = c->keeper->def;
    struct error err;

    if (n->made && run_script(c, n, n->script_down, "down", &err) < 0)
        log_line("%s", err.text);
    cleanup_close int host = n->proxied ? batch_socket(NULL) : -1;
    if (host >= 0 && proxy_set(host, n, false, &err) < 0)
        log_line("%s", err.text);
    if (n->supervisor > 0)
        passt_stop(n->supervisor, n->channel);
    if (n->old_name[0] && c->netns >= 0 && give_back(c, n, &err) < 0)
        log_line("%s", err.text);
    if (n->joined && (network_leave(n->network, def->name, n->number, &err) < 0 ||
                      (def->throwaway && pool_release(n->network, def->name, &err) < 0)))
        log_line("%s: %s", n->where, err.text);
    else if (!n->joined && n->made)
        link_delete(n->pair, NULL);
}

void network_unmake(struct container *c)
{
    struct nics *all = &c->config.nics;

    for (unsigned i = 0; i < all->count; i++)
        unmake_one(c, &all->all[i]);
    if (c->netns >= 0)
        close(steal_fd(c->netns));
}

void network_recover(const struct guest_def *def)
{
    struct nics all = {0};
    cleanup_close int host = -1;
    if (nics_load(def, &all, NULL) == 0)
        for (unsigned i = 0; i < all.count; i++)
            if (all.all[i].l2proxy && (host >= 0 || (host = batch_socket(NULL)) >= 0))
                proxy_set(host, &all.all[i], false, NULL); /* or it came not so far */
    nics_clear(&all);
}

/* ---- while it runs ---- */

static bool is_upper(const struct nic *n)
{
    return n->kind == NIC_MACVLAN || n->kind == NIC_IPVLAN || n->kind == NIC_VLAN;
}

int network_add(struct container *c, struct nic *n, struct error *err)
{
    struct making mk = {.c = c, .ns = c->namespaces[NS_NET], .inside = -1, .host = -1};
    const unsigned place = (unsigned)(n - c->config.nics.all);

    if (c->netns < 0)
        c->netns = fcntl(mk.ns, F_DUPFD_CLOEXEC, 3);
    /* A user's is pasta's alone, who finds the way in by himself. */
    cleanup_close int here = geteuid() ? -1 : open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    cleanup_close int inside = here < 0 ? -1 : socket_in(mk.ns, here, err);
    cleanup_close int host = inside < 0 ? -1 : batch_socket(err);
    if (geteuid() == 0 && host < 0)
        return here < 0 ? error_set(err, errno, "open the host's network") : -1;
    mk.inside = inside;
    mk.host = host;
    if (make_one(&mk, n, place, err) == 0)
        return 0;
    unmake_one(c, n);
    if (is_upper(n))
        remove_inside(c, n, NULL);
    return -1;
}

int network_remove(struct container *c, struct nic *n, struct error *err)
{
    if ((is_upper(n) && remove_inside(c, n, err) < 0) ||
        (n->old_name[0] && give_back(c, n, err) < 0))
        return -1;
    unmake_one(c, n);
    return 0;
}
