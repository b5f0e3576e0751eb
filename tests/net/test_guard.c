/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guard: frames as a guest could make them by hand are sent into a real bridge, and what comes
 * out at another guest is told. Behind each goes one that always passes, so nothing is waited for
 * that does not come.
 */
#include "netns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sched.h>
#include <time.h>

#include "net/firewall.h"
#include "net/program.h"
#include "scratch.h"
#include "spaces.h"

static struct error err;

static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb},
                     mac_x[6] = {2, 0, 0, 0, 0, 0xc}, all_of[6] = {255, 255, 255, 255, 255, 255};
#define IP_A 10, 87, 0, 2
#define IP_B 10, 87, 0, 3

/* ---- frames: each says it is 4 bytes longer, which passes() puts behind it ---- */

struct frame {
    uint8_t bytes[160];
    size_t len;
};

static void put(struct frame *f, const void *data, size_t len)
{
    memcpy(f->bytes + f->len, data, len);
    f->len += len;
}
#define PUT(f, ...) put(f, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static struct frame ether(const uint8_t from[6], unsigned type)
{
    struct frame f = {.len = 0};

    put(&f, all_of, 6);
    put(&f, from, 6);
    PUT(&f, type >> 8, type & 255);
    return f;
}

static struct frame arp_for(const uint8_t from[6], const uint8_t said[6], const uint8_t ip[4],
                            const uint8_t target[4])
{
    struct frame f = ether(from, ETHERTYPE_ARP);

    PUT(&f, 0, 1, 8, 0, 6, 4, 0, 2);
    put(&f, said, 6);
    put(&f, ip, 4);
    put(&f, all_of, 6);
    put(&f, target, 4);
    return f;
}

static struct frame arp(const uint8_t from[6], const uint8_t said[6], const uint8_t ip[4])
{
    return arp_for(from, said, ip, (const uint8_t[]){IP_B});
}

/* RFC 1071. br_netfilter looks at it. */
static void seal(uint8_t header[20])
{
    unsigned sum = 0;

    for (size_t i = 0; i < 20; i += 2)
        sum += (unsigned)header[i] << 8 | header[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~(sum + (sum >> 16));
    header[10] = (uint8_t)(sum >> 8);
    header[11] = (uint8_t)sum;
}

static struct frame udp4(const uint8_t ip[4], unsigned from, unsigned to)
{
    struct frame f = ether(mac_a, ETHERTYPE_IP);

    PUT(&f, 0x45, 0, 0, 36, 0, 0, 0, 0, 64, IPPROTO_UDP, 0, 0);
    put(&f, ip, 4);
    PUT(&f, 255, 255, 255, 255);
    seal(f.bytes + 14);
    PUT(&f, from >> 8, from & 255, to >> 8, to & 255, 0, 16, 0, 0, 1, 2, 3, 4);
    return f;
}

/* The same as TCP, which passes with a look at who sent it. */
static struct frame tcp4(const uint8_t from[6], const uint8_t ip[4])
{
    struct frame f = udp4(ip, 1000, 67);

    memcpy(f.bytes + 6, from, 6);
    f.bytes[23] = IPPROTO_TCP;
    f.bytes[24] = f.bytes[25] = 0;
    seal(f.bytes + 14);
    return f;
}

/* RFC 2131, 2: what a client says, up to whose hardware it is. */
static struct frame dhcp(const uint8_t ip[4], unsigned length, const uint8_t hardware[6])
{
    struct frame f = udp4(ip, 68, 67);

    f.bytes[17] = 20 + 8 + 34 + 4;
    f.bytes[24] = f.bytes[25] = 0;
    seal(f.bytes + 14);
    f.bytes[39] = 8 + 34 + 4;
    f.len -= 4;
    PUT(&f, 1, 1, length, 0, 1, 2, 3, 4, 0, 0, 0, 0);
    PUT(&f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    put(&f, hardware, 6);
    return f;
}

/* Of the same no more than the ports: the rest would come in another fragment. */
static struct frame dhcp_begun(const uint8_t ip[4])
{
    struct frame f = udp4(ip, 68, 67);

    f.bytes[17] = 20 + 8;
    f.bytes[20] = 0x20; /* more fragments */
    f.bytes[24] = f.bytes[25] = 0;
    seal(f.bytes + 14);
    f.len -= 8;
    return f;
}

/* What is behind the header is 24 bytes long, and those 4. */
static struct frame ip6(const char *from, unsigned next)
{
    struct frame f = ether(mac_a, ETHERTYPE_IPV6);
    uint8_t a[16];

    inet_pton(AF_INET6, from, a);
    PUT(&f, 0x60, 0, 0, 0, 0, 28, next, 255);
    put(&f, a, 16);
    inet_pton(AF_INET6, "ff02::1", a);
    put(&f, a, 16);
    return f;
}

static struct frame udp6_to(const char *from, unsigned port, unsigned to, unsigned first)
{
    struct frame f = ip6(from, IPPROTO_UDP);

    PUT(&f, port >> 8, port & 255, to >> 8, to & 255, 0, 28, 0, 0, first, 2, 3, 4, 5, 6, 7, 8);
    PUT(&f, 1, 2, 3, 4, 5, 6, 7, 8);
    return f;
}

static struct frame udp6(const char *from, unsigned port)
{
    return udp6_to(from, port, 546, 1);
}

static struct frame tcp6(const char *from)
{
    struct frame f = udp6(from, 1000);

    f.bytes[14 + 6] = IPPROTO_TCP;
    return f;
}

/* A router advertisement behind another header, of 8 bytes: of a hop (0), or a first fragment (44). */
static struct frame hidden_ra(unsigned header)
{
    struct frame f = ip6("fe80::ff:fe00:a", header);

    if (header == IPPROTO_FRAGMENT)
        PUT(&f, IPPROTO_ICMPV6, 0, 0, 1, 0, 0, 0, 1);
    else
        PUT(&f, IPPROTO_ICMPV6, 0, 1, 4, 0, 0, 0, 0);
    PUT(&f, 134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0);
    return f;
}

static struct frame nd(const char *from, unsigned type, const char *target)
{
    struct frame f = ip6(from, IPPROTO_ICMPV6);
    uint8_t a[16];

    inet_pton(AF_INET6, target, a);
    PUT(&f, type, 0, 0, 0, 0x20, 0, 0, 0);
    put(&f, a, 16);
    return f;
}

static struct frame tagged(struct frame in)
{
    struct frame f = {.len = 0};

    put(&f, in.bytes, 12);
    PUT(&f, 0x81, 0, 0, 7);
    put(&f, in.bytes + 12, in.len - 12);
    return f;
}

/* ---- the wire ---- */

/* A packet socket at eth0 of a namespace: it stays there. */
static int socket_in(const char *ns)
{
    cleanup_free char *path = xasprintf("/run/netns/%s", ns);
    cleanup_close int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    cleanup_close int there = open(path, O_RDONLY | O_CLOEXEC);

    assert_int_equal(setns(there, CLONE_NEWNET), 0);
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
    struct sockaddr_ll a = {.sll_family = AF_PACKET,
                            .sll_protocol = htons(ETH_P_ALL),
                            .sll_ifindex = (int)if_nametoindex("eth0")};
    assert_int_equal(bind(fd, (const void *)&a, sizeof(a)), 0);
    assert_int_equal(setns(here, CLONE_NEWNET), 0);
    return fd;
}

static int from_a, at_b;

static void send_frame(const struct frame *f)
{
    assert_int_equal(send(from_a, f->bytes, f->len, 0), (ssize_t)f->len);
}

/* Does it come out there, before the mark does? Their last bytes are made their own. */
static bool comes_to(int fd, struct frame f, struct frame mark)
{
    static uint32_t serial = 0x50554c54;
    uint32_t id = ++serial, end = ++serial;
    uint8_t got[2048];
    bool seen = false;

    put(&f, &id, sizeof(id));
    put(&mark, &end, sizeof(end));
    send_frame(&f);
    send_frame(&mark);
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 5000) != 1)
            fail_msg("what always passes does not");
        const ssize_t n = recv(fd, got, sizeof(got), 0);
        if (n > 0 && memmem(got, (size_t)n, &id, sizeof(id)))
            seen = true;
        if (n > 0 && memmem(got, (size_t)n, &end, sizeof(end)))
            return seen;
    }
}

static bool passes(struct frame f)
{
    return comes_to(at_b, f, arp(mac_a, mac_a, (const uint8_t[]){IP_A}));
}

/* Does it come back to the one who sent it? What goes to his own address does. */
static bool returns(struct frame f)
{
    struct frame mark = arp(mac_a, mac_a, (const uint8_t[]){IP_A});
    int one = 1;

    memcpy(mark.bytes, mac_a, sizeof(mac_a));
    assert_int_equal(setsockopt(from_a, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)), 0);
    return comes_to(from_a, f, mark);
}

/* ---- the tests ---- */

static struct network *network(const char *text)
{
    struct conf *c;
    struct network *n;

    assert_int_equal(conf_parse("text", text, strlen(text), &c, &err), 0);
    if (network_from_conf("nat0", c, &n, &err) < 0)
        fail_msg("%s", err.text);
    return n;
}

static void build(void)
{
    spaces_begin();
    sh("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; "
       "ip link add nat0 address 02:00:00:00:00:01 type bridge; ip link set nat0 up; "
       "for g in a b; do ip netns add $g; "
       "ip netns exec $g sysctl -q net.ipv6.conf.default.disable_ipv6=1; "
       "ip link add g$g type veth peer name eth0 address 02:00:00:00:00:0$g netns $g; "
       "ip -n $g link set eth0 up; ip link set g$g master nat0 up; done");
    from_a = socket_in("a");
    at_b = socket_in("b");
}

static void destroy(void)
{
    close(from_a);
    close(at_b);
    sh("ip netns del a; ip netns del b; ip link del nat0; "
       "for g in a b; do ip link del g$g 2>/dev/null || true; done; "
       ""
       "nft flush ruleset; echo 0 >/proc/sys/net/ipv6/conf/default/disable_ipv6");
    spaces_end();
}

static void addresses_of(const char *four, const char *six, struct address out[2])
{
    assert_int_equal(address_parse(four, &out[0], &err), 0);
    assert_int_equal(address_parse(six, &out[1], &err), 0);
}

static void must(int ret)
{
    if (ret < 0)
        fail_msg("%s", err.text);
}

static void start(const char *definition)
{
    cleanup_network struct network *n = network(definition);
    cleanup_free char *script = firewall_script(n);

    must(firewall_run(script, &err));
}

static void spoofed(void **state)
{
    (void)state;
    struct address a[2], b[2];
    need_playground();
    build();
    start("net.kind = nat\nnet.address = 10.87.0.1/24\nnet.address = fd87::1/64\n");
    addresses_of("10.87.0.2/24", "fd87::ff:fe00:a/64", a);
    addresses_of("10.87.0.3/24", "fd87::77/64", b);
    assert_true(passes(arp(mac_x, mac_x, (const uint8_t[]){IP_B})));
    must(firewall_guard("nat0", "ga", mac_a, a, 2, &err));
    must(firewall_guard("nat0", "gb", mac_b, b, 2, &err));
    must(firewall_guard("nat0", "gb", mac_b, b, 2, &err));
    const uint8_t *ip_a = (const uint8_t[]){IP_A}, *ip_b = (const uint8_t[]){IP_B};
    const uint8_t *none = (const uint8_t[]){0, 0, 0, 0};
    const struct {
        const char *what;
        bool passes;
        struct frame frame;
    } all[] = {
        {"ARP of its own", true, arp(mac_a, mac_a, ip_a)},
        {"ARP probe", true, arp_for(mac_a, mac_a, none, ip_a)},
        {"ARP probe for another's IP", false, arp_for(mac_a, mac_a, none, ip_b)},
        {"ARP with another's IP", false, arp(mac_a, mac_a, ip_b)},
        {"ARP with the gateway's IP", false, arp(mac_a, mac_a, (const uint8_t[]){10, 87, 0, 1})},
        {"ARP that says another's MAC", false, arp(mac_a, mac_b, ip_a)},
        {"another's MAC", false, arp(mac_b, mac_a, ip_a)},
        {"a MAC of nobody", false, arp(mac_x, mac_x, ip_a)},
        {"IPv4 of its own", true, udp4(ip_a, 1000, 2000)},
        {"TCP of its own", true, tcp4(mac_a, ip_a)},
        {"TCP of another", false, tcp4(mac_a, ip_b)},
        {"TCP of nobody", false, tcp4(mac_a, (const uint8_t[]){8, 8, 8, 8})},
        {"TCP with another's MAC", false, tcp4(mac_b, ip_a)},
        {"TCP of another and his MAC", false, tcp4(mac_b, ip_b)},
        {"TCP of its own in a VLAN", false, tagged(tcp4(mac_a, ip_a))},
        {"IPv4 of another", false, udp4(ip_b, 1000, 2000)},
        {"IPv4 of nobody", false, udp4((const uint8_t[]){8, 8, 8, 8}, 1000, 2000)},
        {"a question for an address", true, dhcp(none, 6, mac_a)},
        {"such a one from its own", true, dhcp(ip_a, 6, mac_a)},
        {"a question for another's address", false, dhcp(none, 6, mac_b)},
        {"such a one from its own", false, dhcp(ip_a, 6, mac_b)},
        {"a question of one more client", false, dhcp(none, 7, mac_a)},
        {"the beginning of a question", false, dhcp_begun(none)},
        {"the beginning of one from its own", false, dhcp_begun(ip_a)},
        {"IPv4 without an address", false, udp4(none, 68, 69)},
        {"an answer of a DHCP server", false, udp4(ip_a, 67, 68)},
        {"IPv4 of its own in a VLAN", false, tagged(udp4(ip_a, 1000, 2000))},
        {"ARP of another in a VLAN", false, tagged(arp(mac_a, mac_a, ip_b))},
        {"another protocol", false, ether(mac_a, 0x88b5)},
        {"its own link-local", true, udp6("fe80::ff:fe00:a", 1000)},
        {"another's link-local", false, udp6("fe80::ff:fe00:b", 1000)},
        {"the host's link-local", false, udp6("fe80::ff:fe00:1", 1000)},
        {"IPv6 of its own", true, udp6("fd87::ff:fe00:a", 1000)},
        {"TCP of its own by IPv6", true, tcp6("fd87::ff:fe00:a")},
        {"TCP of another by IPv6", false, tcp6("fd87::77")},
        {"a temporary one", true, udp6("fd87::1234", 1000)},
        {"IPv6 of another", false, udp6("fd87::77", 1000)},
        {"what another makes of its MAC", false, udp6("fd87::ff:fe00:b", 1000)},
        {"IPv6 of the gateway", false, udp6("fd87::1", 1000)},
        {"IPv6 of another network", false, udp6("2001:db8::1", 1000)},
        {"what DHCPv6 gives it next", true, udp6("fd87::ff:fd00:a", 1000)},
        {"what it gives another next", false, udp6("fd87::ff:fd00:b", 1000)},
        {"an answer of a DHCPv6 server", false, udp6("fe80::ff:fe00:a", 547)},
        {"a question for an address of IPv6", true, udp6_to("fe80::ff:fe00:a", 546, 547, 1)},
        {"one on behalf of another", false, udp6_to("fe80::ff:fe00:a", 546, 547, 12)},
        {"a question from another network", false, udp6_to("2001:db8::1", 546, 547, 1)},
        {"ND of its own", true, nd("fe80::ff:fe00:a", 136, "fd87::ff:fe00:a")},
        {"ND of another", false, nd("fe80::ff:fe00:a", 136, "fd87::77")},
        {"ND of the gateway", false, nd("fe80::ff:fe00:a", 136, "fd87::1")},
        {"ND of the gateway's link-local", false, nd("fe80::ff:fe00:a", 136, "fe80::ff:fe00:1")},
        {"a router advertisement", false, nd("fe80::ff:fe00:a", 134, "fd87::1")},
        {"one behind a header of a hop", false, hidden_ra(0)},
        {"one in a fragment", false, hidden_ra(IPPROTO_FRAGMENT)},
        {"a redirect", false, nd("fe80::ff:fe00:a", 137, "fd87::1")},
        {"a question for another", true, nd("fe80::ff:fe00:a", 135, "fd87::77")},
        {"is mine free?", true, nd("::", 135, "fd87::ff:fe00:a")},
        {"is that of another free?", false, nd("::", 135, "fd87::77")},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (passes(all[i].frame) != all[i].passes)
            fail_msg("%s: %s", all[i].what, all[i].passes ? "is dropped" : "passes");
    struct firewall_counts c;
    must(firewall_counts("nat0", &c, &err));
    assert_true(c.dropped_packets >= 20);

    /* Those of an interface that is gone go with the next one's. */
    must(firewall_unguard("nat0", "ga", mac_a, a, 2, &err));
    must(firewall_unguard("nat0", "ga", mac_a, a, 2, &err));
    assert_true(passes(arp(mac_x, mac_x, ip_b)));
    sh("ip link del gb");
    must(firewall_unguard("nat0", "gb", mac_b, b, 2, &err));
    sh("! nft list table bridge pult | grep -A3 'set .*nat0' | grep elements | grep -v -e fd87::1 "
       "-e 0xfd870000000000000000000000000001");
    destroy();
}

/* Where others give out addresses, only the MAC is known. */
static void mac_only(void **state)
{
    (void)state;
    need_playground();
    build();
    start("net.kind = bridge\nnet.guard = on\n");
    must(firewall_guard("nat0", "ga", mac_a, NULL, 0, &err));
    assert_true(passes(arp(mac_a, mac_a, (const uint8_t[]){192, 168, 1, 7})));
    assert_true(passes(udp4((const uint8_t[]){192, 168, 1, 7}, 1, 2)));
    assert_true(passes(tagged(udp4((const uint8_t[]){192, 168, 1, 7}, 1, 2))));
    assert_true(passes(ether(mac_a, 0x88b5)));
    assert_false(passes(ether(mac_b, 0x88b5)));
    assert_false(passes(arp(mac_a, mac_b, (const uint8_t[]){192, 168, 1, 7})));
    destroy();
}

/* A port in hairpin mode. */
static void hairpin(void **state)
{
    struct address a[1];
    uint8_t six[] = {0x33, 0x33, 0, 0, 0, 1};
    struct frame group = arp(mac_a, mac_a, (const uint8_t[]){IP_A});

    (void)state;
    need_playground();
    build();
    start("net.kind = nat\nnet.address = 10.87.0.1/24\nnet.forward = tcp:80:a:80\n");
    assert_int_equal(address_parse("10.87.0.2/24", a, &err), 0);
    sh("ip link set ga type bridge_slave hairpin on");
    memcpy(group.bytes, six, sizeof(six));
    assert_true(returns(arp(mac_a, mac_a, (const uint8_t[]){IP_A})));
    must(firewall_guard("nat0", "ga", mac_a, a, 1, &err));
    assert_false(returns(arp(mac_a, mac_a, (const uint8_t[]){IP_A})));
    assert_false(returns(group));
    assert_true(passes(arp(mac_a, mac_a, (const uint8_t[]){IP_A})));
    must(firewall_unguard("nat0", "ga", mac_a, a, 1, &err));
    cleanup_free char *undo = firewall_undo_script("nat0");
    must(firewall_run(undo, &err));
    sh("! nft list tables | grep pult");
    destroy();
}

static uint64_t join_one(unsigned i, unsigned count)
{
    const uint8_t mac[6] = {2, 0, 0, 1, (uint8_t)(i >> 8), (uint8_t)i};
    struct address a[2];
    uint64_t best = UINT64_MAX;

    addresses_of("10.87.0.2/16", "fd87::2/64", a);
    a[0].bytes[2] = (uint8_t)(i >> 8);
    a[0].bytes[3] = (uint8_t)i;
    a[1].bytes[15] = (uint8_t)i;
    for (unsigned n = 0; n < count; n++) {
        uint64_t t = now_mono_ns();
        must(firewall_guard("nat0", "ga", mac, a, 2, &err));
        t = now_mono_ns() - t;
        best = t < best ? t : best;
        if (n + 1 < count)
            must(firewall_unguard("nat0", "ga", mac, a, 2, &err));
    }
    return best;
}

/* Told, never judged: what the guard of the 200th guest costs beside that of the first. */
static void many(void **state)
{
    (void)state;
    need_playground();
    build();
    start("net.kind = nat\nnet.address = 10.87.0.1/16\nnet.address = fd87::1/64\n");
    const uint64_t first = join_one(2, 50);
    for (unsigned i = 3; i < 201; i++)
        join_one(i, 1);
    const uint64_t last = join_one(201, 50);
    print_message("# the guard of the first guest: %.0f us, of the 200th: %.0f us (%.2f)\n",
                  (double)first / 1e3, (double)last / 1e3, (double)last / (double)first);
    destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spoofed),
        cmocka_unit_test(mac_only),
        cmocka_unit_test(hairpin),
        cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
