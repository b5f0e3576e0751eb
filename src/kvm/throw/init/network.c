/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interfaces of a VM that runs a command: lo, and each card that the words name by its address
 * (n), which asks for an address of IPv4 by DHCP (RFC 2131; the numbers of options are those of RFC
 * 2132). IPv6 the kernel does by itself.
 *
 *     DISCOVER ─► OFFER ─► REQUEST ─► ACK ─► address, route, MTU, name servers
 *
 * It has seconds, not minutes: where nobody answers, the command runs without. What a server says is
 * the network's, and not trusted.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kvm/throw/init/init.h"

#define TRIES      5   /* in all 6 seconds, … */
#define FIRST_MS   200 /* … each twice as long as the one before */
#define SERVERS    3   /* of names: as many as resolv.conf takes */
#define RESOLVED   "/run/resolv.conf"
#define RESOLV     "/etc/resolv.conf"
#define BROADCAST  0x8000
#define MAGIC      0x63825363 /* RFC 2131, 3 */
#define OPTION_END 255

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK };
enum {
    OPTION_MASK = 1,
    OPTION_ROUTER = 3,
    OPTION_DNS = 6,
    OPTION_MTU = 26,
    OPTION_ADDRESS = 50,
    OPTION_TYPE = 53,
    OPTION_SERVER = 54,
    OPTION_WANTED = 55,
};

struct message {
    struct iphdr ip;
    struct udphdr udp;
    struct dhcp {
        uint8_t op, htype, hlen, hops;
        uint32_t xid;
        uint16_t secs, flags;
        uint32_t ciaddr, yiaddr, siaddr, giaddr;
        uint8_t chaddr[16];
        char sname[64], file[128];
        uint32_t magic;
        uint8_t options[312];
    } dhcp;
} __attribute__((packed));

struct lease { /* addresses as they are on the wire; 0: none */
    uint32_t address, mask, router, server, names[SERVERS];
    uint16_t mtu;
    uint8_t type;
};

struct card {
    char name[IFNAMSIZ];
    uint8_t mac[6];
    int index, fd;
    uint32_t xid;
};

static uint32_t name_servers[SERVERS];

/* ---- interfaces ---- */

static int change(const char *name, unsigned long what, struct ifreq *r)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    snprintf(r->ifr_name, sizeof(r->ifr_name), "%s", name);
    int ret = ioctl(fd, what, r);
    close(fd);
    return ret;
}

static void switch_on(const char *name)
{
    struct ifreq r = {.ifr_flags = IFF_UP};

    change(name, SIOCSIFFLAGS, &r);
}

/* The interface with this address. */
static bool find_card(const char *mac, struct card *c)
{
    struct if_nameindex *all = if_nameindex();
    struct ifreq r;

    memset(c, 0, sizeof(*c));
    for (struct if_nameindex *i = all; all && i->if_index && !c->index; i++) {
        char text[18];
        memset(&r, 0, sizeof(r));
        if (change(i->if_name, SIOCGIFHWADDR, &r) < 0)
            continue;
        const uint8_t *a = (const uint8_t *)r.ifr_hwaddr.sa_data;
        snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4],
                 a[5]);
        if (strcmp(text, mac) != 0)
            continue;
        c->index = (int)i->if_index;
        snprintf(c->name, sizeof(c->name), "%s", i->if_name);
        memcpy(c->mac, a, sizeof(c->mac));
    }
    if_freenameindex(all);
    return c->index > 0;
}

static void set_address(const char *name, unsigned long what, uint32_t address)
{
    struct ifreq r = {.ifr_flags = 0};
    const struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = address};

    memcpy(&r.ifr_addr, &a, sizeof(a));
    change(name, what, &r);
}

static void fill(struct sockaddr *to, uint32_t address)
{
    const struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = address};

    memcpy(to, &a, sizeof(a));
}

/* To an address (0: to all) by a router (0: it is on the link). */
static int add_route(char *name, uint32_t to, uint32_t router)
{
    struct rtentry r = {.rt_flags = (unsigned short)(RTF_UP | (router ? RTF_GATEWAY : 0) |
                                                     (to ? RTF_HOST : 0)),
                        .rt_dev = name};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    fill(&r.rt_dst, to);
    fill(&r.rt_genmask, to ? UINT32_MAX : 0);
    fill(&r.rt_gateway, router);
    int ret = fd < 0 ? -1 : ioctl(fd, SIOCADDRT, &r);
    if (fd >= 0)
        close(fd);
    return ret;
}

/* ---- messages ---- */

/* RFC 1071; len is even. */
static uint16_t checksum(const void *data, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i += 2) {
        uint16_t word;
        memcpy(&word, (const char *)data + i, sizeof(word));
        sum += word;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

static uint8_t *add_option(uint8_t *at, uint8_t option, const void *data, uint8_t len)
{
    *at++ = option;
    *at++ = len;
    memcpy(at, data, len);
    return at + len;
}

static void send_message(const struct card *c, uint8_t type, const struct lease *offer)
{
    static const uint8_t wanted[] = {OPTION_MASK, OPTION_ROUTER, OPTION_DNS, OPTION_MTU};
    struct message m = {
        .ip = {.version = 4,
               .ihl = sizeof(m.ip) / 4,
               .tot_len = htons(sizeof(m)),
               .ttl = 64,
               .protocol = IPPROTO_UDP,
               .daddr = INADDR_BROADCAST},
        .udp = {.source = htons(68), .dest = htons(67), .len = htons(sizeof(m) - sizeof(m.ip))},
        .dhcp = {.op = 1,
                 .htype = ARPHRD_ETHER,
                 .hlen = 6,
                 .xid = c->xid,
                 .flags = htons(BROADCAST),
                 .magic = htonl(MAGIC)},
    };
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_IP),
                             .sll_ifindex = c->index,
                             .sll_halen = 6};
    uint8_t *at = m.dhcp.options;

    m.ip.check = checksum(&m.ip, sizeof(m.ip));
    memcpy(m.dhcp.chaddr, c->mac, sizeof(c->mac));
    memset(to.sll_addr, 0xff, 6);
    at = add_option(at, OPTION_TYPE, &type, 1);
    at = add_option(at, OPTION_WANTED, wanted, sizeof(wanted));
    if (type == REQUEST) {
        at = add_option(at, OPTION_ADDRESS, &offer->address, 4);
        at = add_option(at, OPTION_SERVER, &offer->server, 4);
    }
    *at = OPTION_END;
    if (sendto(c->fd, &m, sizeof(m), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
        errno = 0; /* the link may not be there yet: it is sent again */
}

static void take_option(struct lease *l, uint8_t option, const uint8_t *data, uint8_t len)
{
    uint16_t mtu;

    if (option == OPTION_TYPE && len == 1)
        l->type = *data;
    else if (option == OPTION_MASK && len == 4)
        memcpy(&l->mask, data, 4);
    else if (option == OPTION_ROUTER && len >= 4)
        memcpy(&l->router, data, 4);
    else if (option == OPTION_SERVER && len == 4)
        memcpy(&l->server, data, 4);
    else if (option == OPTION_DNS)
        memcpy(l->names, data, len / 4u * 4u < sizeof(l->names) ? len / 4u * 4u : sizeof(l->names));
    else if (option == OPTION_MTU && len == 2) {
        memcpy(&mtu, data, 2);
        l->mtu = ntohs(mtu);
    }
}

/* Is it an answer to what this card asked? */
static bool read_message(const struct card *c, const struct message *m, size_t len, struct lease *l)
{
    const size_t head = offsetof(struct message, dhcp.options);

    memset(l, 0, sizeof(*l));
    if (len < head || m->ip.ihl != 5 || m->ip.protocol != IPPROTO_UDP || m->udp.dest != htons(68) ||
        m->dhcp.op != 2 || m->dhcp.xid != c->xid || m->dhcp.magic != htonl(MAGIC) ||
        memcmp(m->dhcp.chaddr, c->mac, sizeof(c->mac)) != 0)
        return false;
    l->address = m->dhcp.yiaddr;
    const uint8_t *at = m->dhcp.options, *end = (const uint8_t *)m + len;
    while (at < end && *at != OPTION_END) {
        if (*at == 0) { /* padding */
            at++;
            continue;
        }
        if (end - at < 2 || end - at - 2 < at[1])
            break;
        take_option(l, at[0], at + 2, at[1]);
        at += 2 + at[1];
    }
    return true;
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Send, and wait for an answer of that type, again and again. */
static bool ask(const struct card *c, uint8_t type, const struct lease *offer, uint8_t wanted,
                struct lease *answer)
{
    for (int try = 0; try < TRIES; try++) {
        const int64_t end = now_ms() + (FIRST_MS << try);
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        struct message m;
        int64_t left;

        send_message(c, type, offer);
        while ((left = end - now_ms()) > 0 && poll(&p, 1, (int)left) > 0) {
            ssize_t n = recv(c->fd, &m, sizeof(m), MSG_DONTWAIT);
            if (n < 0 || !read_message(c, &m, (size_t)n, answer))
                continue;
            if (answer->type == wanted)
                return true;
            if (answer->type == NAK)
                return false;
        }
    }
    return false;
}

/* ---- a card ---- */

static void apply(struct card *c, const struct lease *l)
{
    struct ifreq r = {.ifr_mtu = l->mtu};

    set_address(c->name, SIOCSIFADDR, l->address);
    if (l->mask)
        set_address(c->name, SIOCSIFNETMASK, l->mask);
    if (l->mtu)
        change(c->name, SIOCSIFMTU, &r);
    if (l->router && add_route(c->name, 0, l->router) < 0 && errno != EEXIST &&
        add_route(c->name, l->router, 0) == 0) /* it is not in our network */
        add_route(c->name, 0, l->router);
    if (!name_servers[0])
        memcpy(name_servers, l->names, sizeof(name_servers));
}

/* Let it have an address. */
static void configure(const char *mac)
{
    struct sockaddr_ll here = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
    struct lease offer, lease;
    struct card c;

    if (!find_card(mac, &c)) {
        say("pult: the network card %s is not there\n", mac);
        return;
    }
    switch_on(c.name);
    here.sll_ifindex = c.index;
    c.fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_IP));
    if (getrandom(&c.xid, sizeof(c.xid), GRND_NONBLOCK) < 0)
        memcpy(&c.xid, c.mac + 2, sizeof(c.xid));
    if (c.fd >= 0 && bind(c.fd, (struct sockaddr *)&here, sizeof(here)) == 0 &&
        ask(&c, DISCOVER, NULL, OFFER, &offer) && ask(&c, REQUEST, &offer, ACK, &lease))
        apply(&c, &lease);
    else
        say("pult: %s has no address: no DHCP server answers\n", c.name);
    if (c.fd >= 0)
        close(c.fd);
}

void cards_up(void)
{
    switch_on("lo");
    for (char *mac = word('n', NULL); mac; mac = word('n', mac))
        configure(mac);
}

/* ---- names ---- */

/* A link to what a daemon makes that does not run here. */
static void lead_link(const char *to)
{
    char target[512], *slash;
    ssize_t n = readlink(to, target, sizeof(target) - 1);

    if (n <= 0)
        return;
    target[n] = '\0';
    char *run = strstr(target, "/run/"); /* "../run/systemd/resolve/stub-resolv.conf" */
    if (!run || strstr(run, "..") || strcmp(run, RESOLVED) == 0)
        return;
    for (slash = strchr(run + 5, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(run, 0755);
        *slash = '/';
    }
    if (symlink(RESOLVED, run) < 0)
        errno = 0; /* then there are no names */
}

void cards_names(void)
{
    int fd;

    if (!name_servers[0])
        return;
    fd = open(RESOLVED, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    for (int i = 0; fd >= 0 && i < SERVERS && name_servers[i]; i++)
        dprintf(fd, "nameserver %s\n", inet_ntoa((struct in_addr){name_servers[i]}));
    if (fd < 0)
        return;
    close(fd);
    /* What is on a disk stays as it is. */
    if (mount(RESOLVED, RESOLV, NULL, MS_BIND, NULL) < 0)
        lead_link(RESOLV);
}
