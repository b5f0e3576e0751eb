/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probe, see probe.h. Its frames are addressed to the bridge itself, so that they are flooded to
 * nobody; the answers go to all, since it has no address of its own.
 */
#include "net/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "net/batch.h"
#include "net/link.h"

#define PATIENCE_MS 1500
#define AGAIN_MS    20 /* the bridge takes a while to know that the port is up; then ever longer */
#define FAR         "probe"
#define FRAME_MOST  2048

/* What it asks with, and what it knows by the end. */
struct asking {
    const struct network *net;
    char port[IFNAMSIZ]; /* in the bridge */
    uint8_t mac[6], xid[4], bridge[6];
    unsigned mtu;
    int far, ears; /* sockets: at the other end of the pair; where the server listens */
    bool four, six;
    struct probe found;
};

/* What the child tells, in one write. */
struct report {
    int failed;
    struct probe found;
    struct error err;
};

/* ---- frames ---- */

/* RFC 1071, over an even number of bytes. */
static unsigned sum_of(const uint8_t *p, size_t len, unsigned sum)
{
    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (unsigned)p[i] << 8 | p[i + 1];
    return sum;
}

static void put_sum(uint8_t *at, unsigned sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    at[0] = (uint8_t)(~sum >> 8);
    at[1] = (uint8_t)~sum;
}

static void put_ether(const struct asking *a, unsigned type, uint8_t *f)
{
    memcpy(f, a->bridge, 6);
    memcpy(f + 6, a->mac, 6);
    f[12] = (uint8_t)(type >> 8);
    f[13] = (uint8_t)type;
}

#define IP_AT    14
#define UDP_AT   (IP_AT + 20)
#define BOOTP_AT (UDP_AT + 8)
#define XID_AT   4   /* RFC 2131, 2: in a message, */
#define YIADDR   16  /* the address that is offered, */
#define CHADDR   28  /* whose hardware, */
#define COOKIE   236 /* and what is before the options */
#define BOOTP    300 /* the shortest that some take: RFC 1542, 2.1 */

static const uint8_t cookie[4] = {99, 130, 83, 99};

/* DHCPDISCOVER, to be answered to all. */
static size_t make_discover(const struct asking *a, uint8_t f[FRAME_MOST])
{
    static const uint8_t options[] = {53, 1, 1, 55, 3, 1, 3, 6, 255};
    const unsigned udp = 8 + BOOTP, ip = 20 + udp;
    const uint8_t head[12] = {0x45, 0,  (uint8_t)(ip >> 8), (uint8_t)ip, 0, 0, 0,
                              0,    64, IPPROTO_UDP,        0,           0};
    const uint8_t ports[8] = {0, 68, 0, 67, (uint8_t)(udp >> 8), (uint8_t)udp, 0, 0};
    const uint8_t bootp[4] = {1, 1, 6, 0};

    memset(f, 0, BOOTP_AT + BOOTP);
    put_ether(a, ETH_P_IP, f);
    memcpy(f + IP_AT, head, sizeof(head));
    memset(f + IP_AT + 16, 255, 4);
    put_sum(f + IP_AT + 10, sum_of(f + IP_AT, 20, 0));
    memcpy(f + UDP_AT, ports, sizeof(ports));
    uint8_t *m = f + BOOTP_AT;
    memcpy(m, bootp, sizeof(bootp));
    memcpy(m + XID_AT, a->xid, 4);
    m[10] = 0x80; /* broadcast */
    memcpy(m + CHADDR, a->mac, 6);
    memcpy(m + COOKIE, cookie, 4);
    memcpy(m + COOKIE + 4, options, sizeof(options));
    return BOOTP_AT + BOOTP;
}

/* A router solicitation of somebody without an address: it is answered to all. */
static size_t make_solicitation(const struct asking *a, uint8_t f[FRAME_MOST])
{
    static const uint8_t all_routers[16] = {0xff, 2, [15] = 2};
    static const uint8_t head[8] = {0x60, 0, 0, 0, 0, 8, IPPROTO_ICMPV6, 255};
    uint8_t *icmp = f + IP_AT + 40;

    memset(f, 0, IP_AT + 48);
    put_ether(a, ETH_P_IPV6, f);
    memcpy(f + IP_AT, head, sizeof(head));
    memcpy(f + IP_AT + 24, all_routers, 16);
    icmp[0] = 133;
    put_sum(icmp + 2, sum_of(icmp, 8, sum_of(f + IP_AT + 24, 16, 8 + IPPROTO_ICMPV6)));
    return IP_AT + 48;
}

/* The value of an option of this length, or NULL. */
static const uint8_t *option(const uint8_t *at, const uint8_t *end, uint8_t code, uint8_t len)
{
    while (at < end && *at != 255) {
        if (*at == 0) {
            at++;
            continue;
        }
        if (end - at < 2 || end - at < 2 + at[1])
            return NULL;
        if (*at == code)
            return at[1] == len ? at + 2 : NULL;
        at += 2 + at[1];
    }
    return NULL;
}

/* A DHCP message to or from port 67, from the head of UDP on, that is of our question. */
static bool is_ours(const struct asking *a, const uint8_t *udp, size_t len, unsigned op,
                    unsigned from, unsigned to)
{
    const uint8_t *m = udp + 8;

    return len >= 8 + COOKIE + 4 && udp[0] == 0 && udp[1] == from && udp[2] == 0 && udp[3] == to &&
           m[0] == op && memcmp(m + XID_AT, a->xid, 4) == 0 && memcmp(m + CHADDR, a->mac, 6) == 0 &&
           memcmp(m + COOKIE, cookie, 4) == 0;
}

static void take_offer(struct asking *a, const uint8_t *ip, size_t len)
{
    const size_t head = len >= 20 ? (ip[0] & 15u) * 4u : 0;

    if (head < 20 || ip[9] != IPPROTO_UDP || len < head ||
        !is_ours(a, ip + head, len - head, 2, 67, 68))
        return;
    const uint8_t *m = ip + head + 8, *options = m + COOKIE + 4;
    const uint8_t *type = option(options, ip + len, 53, 1);
    const uint8_t *server = option(options, ip + len, 54, 4);
    if (!type || *type != 2)
        return;
    a->found.offered = true;
    a->found.address = (struct address){.family = AF_INET, .prefix = 32};
    memcpy(a->found.address.bytes, m + YIADDR, 4);
    if (!server)
        return;
    a->found.server = (struct address){.family = AF_INET, .prefix = 32};
    memcpy(a->found.server.bytes, server, 4);
}

/* What came out of the port. */
static void take_frame(struct asking *a, const uint8_t *f, size_t len)
{
    if (len < IP_AT + 1)
        return;
    const unsigned type = (unsigned)f[12] << 8 | f[13];
    if (type == ETH_P_IP)
        take_offer(a, f + IP_AT, len - IP_AT);
    if (type == ETH_P_IPV6 && len >= IP_AT + 40 + 16 && f[IP_AT + 6] == IPPROTO_ICMPV6 &&
        f[IP_AT + 7] == 255 && f[IP_AT + 40] == 134)
        a->found.advertised = true;
}

/* What came to where the server listens; a raw socket is given it behind all rules. */
static void take_heard(struct asking *a, const uint8_t *ip, size_t len)
{
    const size_t head = len >= 20 ? (ip[0] & 15u) * 4u : 0;

    a->found.heard |= head >= 20 && len >= head && is_ours(a, ip + head, len - head, 1, 68, 67);
}

/* ---- the pair ---- */

/* In our namespace, with the other end in the host's, off. */
static int make_pair(const struct asking *a, int host, struct error *err)
{
    const struct ifinfomsg head = {.ifi_family = AF_UNSPEC};
    cleanup_close int fd = batch_socket(err);
    cleanup_batch struct batch b = {.fd = fd};
    uint8_t mac[6];

    if (fd < 0)
        return -1;
    link_host_mac(a->mac, mac);
    struct nl_msg *m = batch_add(&b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head),
                                 "create the veth pair '%s'", a->port);
    nla_put_string(m, IFLA_IFNAME, FAR);
    nla_put(m, IFLA_ADDRESS, 6, a->mac);
    nla_put_u32(m, IFLA_MTU, a->mtu);
    nla_put_u32(m, IFLA_NUM_RX_QUEUES, 1);
    nla_put_u32(m, IFLA_NUM_TX_QUEUES, 1);
    struct nlattr *info = nla_nest_start(m, IFLA_LINKINFO);
    nla_put_string(m, IFLA_INFO_KIND, "veth");
    struct nlattr *data = nla_nest_start(m, IFLA_INFO_DATA);
    struct nlattr *peer = nla_nest_start(m, VETH_INFO_PEER);
    nlmsg_append(m, (void *)(uintptr_t)&head, sizeof(head), NLMSG_ALIGNTO);
    nla_put_string(m, IFLA_IFNAME, a->port);
    nla_put(m, IFLA_ADDRESS, 6, mac);
    nla_put_u32(m, IFLA_MTU, a->mtu);
    nla_put_u32(m, IFLA_NUM_RX_QUEUES, 1);
    nla_put_u32(m, IFLA_NUM_TX_QUEUES, 1);
    nla_put_u32(m, IFLA_NET_NS_FD, (uint32_t)host);
    nla_nest_end(m, peer);
    nla_nest_end(m, data);
    nla_nest_end(m, info);
    return batch_run(&b, err);
}

/* All frames of our end; it stays in this namespace. */
static int open_far(struct asking *a, struct error *err)
{
    const struct sockaddr_ll at = {.sll_family = AF_PACKET,
                                   .sll_protocol = htons(ETH_P_ALL),
                                   .sll_ifindex = (int)if_nametoindex(FAR)};

    a->far = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (a->far < 0 || bind(a->far, (const void *)&at, sizeof(at)) < 0)
        return error_set(err, errno, "listen at the port '%s'", a->port);
    return link_up(FAR, err);
}

static int open_ears(struct asking *a, struct error *err)
{
    const char *name = a->net->name;

    a->ears = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (a->ears < 0 ||
        setsockopt(a->ears, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1) < 0)
        return error_set(err, errno, "listen at '%s'", name);
    return 0;
}

/* ---- asking ---- */

static bool is_answered(const struct asking *a)
{
    return (!a->four || a->found.offered) && (!a->six || a->found.advertised);
}

static void send_questions(const struct asking *a)
{
    uint8_t f[FRAME_MOST];

    /* What is lost is sent again. */
    if (a->four && !a->found.offered)
        (void)!send(a->far, f, make_discover(a, f), 0);
    if (a->six && !a->found.advertised)
        (void)!send(a->far, f, make_solicitation(a, f), 0);
}

static void take_all(struct asking *a, int fd,
                     void (*take)(struct asking *, const uint8_t *, size_t))
{
    uint8_t f[FRAME_MOST];
    ssize_t n;

    while ((n = recv(fd, f, sizeof(f), 0)) > 0)
        take(a, f, (size_t)n);
}

static void ask(struct asking *a)
{
    const uint64_t end = now_mono_ns() + UINT64_C(1000000) * PATIENCE_MS;
    uint64_t again = 0, pause = UINT64_C(1000000) * AGAIN_MS, now;

    while ((now = now_mono_ns()) < end && !is_answered(a)) {
        if (now >= again) {
            send_questions(a);
            again = now + pause;
            pause *= 2;
        }
        struct pollfd p[2] = {{.fd = a->far, .events = POLLIN}, {.fd = a->ears, .events = POLLIN}};
        if (poll(p, 2, (int)((min(end, again) - now) / 1000000) + 1) <= 0)
            continue;
        take_all(a, a->far, take_frame);
        take_all(a, a->ears, take_heard);
    }
}

static int probe_in(struct asking *a, struct error *err)
{
    cleanup_close int host = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    if (host < 0 || open_ears(a, err) < 0)
        return host < 0 ? error_set(err, errno, "open '/proc/self/ns/net'") : -1;
    if (unshare(CLONE_NEWNET) < 0)
        return error_set(err, errno, "make a network namespace");
    /* The kernel is not to ask by our end too: of that the host would remember who asked. */
    if (file_put_at(AT_FDCWD, "/proc/sys/net/ipv6/conf/default/disable_ipv6", "1", err) < 0 &&
        err->code != ENOENT) /* there is no IPv6 here */
        return -1;
    if (make_pair(a, host, err) < 0 || open_far(a, err) < 0)
        return -1;
    if (setns(host, CLONE_NEWNET) < 0)
        return error_set(err, errno, "return to the host's network namespace");
    const int ret = link_make_port(a->port, a->net->name, true, false, err);
    if (ret == 0)
        ask(a);
    link_delete(a->port, NULL);
    return ret;
}

/* In the child. Where it cannot tell, its end does. */
static void __attribute__((noreturn)) be_child(struct asking *a, int to)
{
    struct report r = {.failed = 0};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    r.failed = probe_in(a, &r.err);
    r.found = a->found;
    _exit(write(to, &r, sizeof(r)) != sizeof(r));
}

static int prepare(const struct network *n, struct asking *a, struct error *err)
{
    struct link bridge;

    *a = (struct asking){.net = n, .far = -1, .ears = -1, .four = n->dhcp_first.family};
    for (unsigned i = 0; i < n->address_count; i++)
        a->six |= n->addresses[i].family == AF_INET6;
    if (link_look(n->name, &bridge, err) < 0)
        return -1;
    memcpy(a->bridge, bridge.mac, sizeof(a->bridge));
    a->mtu = bridge.mtu;
    if (getrandom(a->mac, sizeof(a->mac), 0) < 0 || getrandom(a->xid, sizeof(a->xid), 0) < 0)
        return error_set(err, errno, "take random numbers");
    a->mac[0] = (uint8_t)((a->mac[0] & 0xfc) | 2);
    snprintf(a->port, sizeof(a->port), "pvask%02x%02x%02x%02x", a->xid[0], a->xid[1], a->xid[2],
             a->xid[3]);
    return 0;
}

int network_probe(const struct network *n, struct probe *out, struct error *err)
{
    struct asking a;
    struct report r;
    int ends[2];

    *out = (struct probe){0};
    if (prepare(n, &a, err) < 0)
        return -1;
    if (is_answered(&a)) /* there is nothing to ask for */
        return 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set(err, errno, "create a pipe");
    cleanup_close int from = ends[0];
    const pid_t pid = fork();
    if (pid == 0)
        be_child(&a, ends[1]);
    const int why = errno;
    close(ends[1]);
    if (pid < 0)
        return error_set(err, why, "start a process");
    ssize_t got;
    while ((got = read(from, &r, sizeof(r))) < 0 && errno == EINTR)
        ;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (got != sizeof(r))
        return error_set(err, ECANCELED, "ask the network's server");
    *out = r.found;
    return r.failed ? error_set(err, 0, "%s", r.err.text) : 0;
}
