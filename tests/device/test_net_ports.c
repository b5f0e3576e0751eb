/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 120 s
 *
 * What carries a network device's frames: taps of the kernel's, in a network namespace of this
 * test's own, and passt, the real one and ones that misbehave.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "device/netrig.h"
#include "kvm/virtio/net_passt.h"
#include "kvm/virtio/net_tap.h"
#include "net/link.h"
#include "scratch.h"

#define RX            0
#define TX            1
#define ALL_QUEUES(r) (2 * (r)->pairs + 1)

static bool isolated; /* this process has a network namespace of its own */

/* Run it: tools do what no test needs to do by itself. */
static void run(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    cleanup_free char *line = xvasprintf(fmt, ap);
    va_end(ap);
    if (system(line) != 0)
        fail_msg("failed: %s", line);
}

static bool is_there(const char *name)
{
    struct link l;

    return link_look(name, &l, NULL) == 0;
}

static struct link look(const char *name)
{
    struct error err;
    struct link l;

    if (link_look(name, &l, &err) < 0)
        fail_msg("%s", err.text);
    return l;
}

static void need_isolation(void)
{
    if (!isolated || access("/dev/net/tun", R_OK | W_OK) < 0)
        skip();
}

/* ---- taps by themselves ---- */

static struct tap_request ask(const char *name, const char *bridge, unsigned queues)
{
    return (struct tap_request){
        .name = name, .bridge = bridge, .queues = queues, .header = NET_HEADER, .mac = netrig_mac};
}

static struct tap open_tap(struct tap_request rq)
{
    struct error err;
    struct tap t = {0};

    if (tap_check(&rq, &err) < 0 || tap_open(&rq, &t, &err) < 0)
        fail_msg("%s", err.text);
    return t;
}

static void refused(struct tap_request rq, const char *why)
{
    struct error err = {0};
    struct tap t;

    assert_int_equal(tap_open(&rq, &t, &err), -1);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
    assert_int_equal(t.queues, 0);
}

static void a_tap_is_made_and_goes(void **state)
{
    (void)state;
    need_isolation();
    struct tap t = open_tap(ask("made0", NULL, 1));
    struct link l = look("made0");
    assert_true(l.up && l.running && t.made);
    assert_int_equal(t.mtu, 1500);
    assert_string_equal(l.kind, "tun");
    /* A guest is no router of the host's. */
    run("[ ! -e /proc/sys/net/ipv6 ] || ! grep -v 0 /proc/sys/net/ipv6/conf/made0/accept_ra");
    refused(ask("made0", NULL, 1), "in use");
    tap_close(&t);
    assert_false(is_there("made0"));

    t = open_tap(ask(NULL, NULL, 4));
    struct tap u =
        open_tap((struct tap_request){.name = "", .queues = 1, .header = 12, .mtu = 900});
    assert_string_equal(t.name, "vtap0");
    assert_string_equal(u.name, "vtap1");
    assert_int_equal(u.mtu, 900);
    assert_int_equal(look("vtap1").mtu, 900);
    tap_close(&t);
    tap_close(&u);
    assert_false(is_there("vtap0") || is_there("vtap1"));
}

/* However the process that holds it ends. */
static void a_made_tap_goes_with_its_process(void **state)
{
    (void)state;
    need_isolation();
    int told[2];
    char byte;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct tap_request rq = ask("killed0", NULL, 2);
        struct tap t;
        byte = tap_open(&rq, &t, NULL) == 0 ? 'y' : 'n';
        if (write(told[1], &byte, 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_true(is_there("killed0"));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(is_there("killed0"));
    close(told[0]);
    close(told[1]);
}

static void an_existing_tap_stays(void **state)
{
    (void)state;
    need_isolation();
    run("ip tuntap add plain0 mode tap && ip tuntap add many0 mode tap multi_queue");
    struct tap t = open_tap(ask("plain0", NULL, 1));
    assert_false(t.made);
    tap_close(&t);
    assert_true(is_there("plain0"));
    refused(ask("plain0", NULL, 2), "multi_queue");
    t = open_tap(ask("many0", NULL, 4));
    refused(ask("many0", NULL, 4), "in use");
    tap_close(&t);
    t = open_tap(ask("many0", NULL, 1));
    tap_close(&t);
    run("ip link del plain0; ip link del many0");
}

static void bridges(void **state)
{
    (void)state;
    need_isolation();
    run("ip link add br0 type bridge && ip link add br1 type bridge && ip link set br0 mtu 4000");
    run("ip tuntap add port0 mode tap && ip link set port0 mtu 4000");
    struct tap t = open_tap(ask("made0", "br0", 1));
    assert_int_equal(t.mtu, 4000); /* or the bridge would have come down to 1500 */
    assert_int_equal(look("br0").mtu, 4000);
    assert_int_equal(look("made0").master, look("br0").index);
    run("ip link show made0 | grep -q 'link/ether fe:01:02:03:04:05'");
    struct tap u = open_tap(ask("port0", "br0", 1));
    assert_int_equal(look("port0").master, look("br0").index);
    tap_close(&t);
    tap_close(&u);
    u = open_tap(ask("port0", "br0", 1)); /* it is one already */
    tap_close(&u);
    refused(ask("port0", "br1", 1), "is one of 'br0' already");
    refused(ask("port0", "br9", 1), "there is no interface 'br9'");
    refused(ask("made0", "lo", 1), "'lo' is no bridge");
    refused(ask("lo", NULL, 1), "'lo' is no tap");
    refused(ask("br1", NULL, 1), "'br1' is no tap");
    refused(ask("a/b", NULL, 1), "no name of an interface");
    refused(ask("0123456789abcdef", NULL, 1), "no name of an interface");
    run("ip link del port0; ip link del br0; ip link del br1");
}

/* What a user without rights may have: his own, as it is. */
static int as_nobody(void)
{
    struct tap_request mine = ask("mine0", NULL, 1), other = ask("other0", NULL, 1),
                       new = ask(NULL, NULL, 1), missing = ask("none0", NULL, 1),
                       bridged = ask("mine0", "br0", 1);
    struct error err = {0};
    struct tap t;

    if (setgid(65534) < 0 || setuid(65534) < 0)
        return 1;
    if (tap_check(&mine, &err) < 0 || tap_open(&mine, &t, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 2;
    }
    tap_close(&t);
    if (tap_open(&other, &t, &err) == 0 || !strstr(err.text, "another user"))
        return 3;
    if (tap_check(&new, &err) == 0 || !strstr(err.text, "needs root"))
        return 4;
    if (tap_check(&missing, &err) == 0 || !strstr(err.text, "network tap add NETWORK none0,user="))
        return 5;
    if (tap_open(&missing, &t, &err) == 0 || !strstr(err.text, "needs root"))
        return 6;
    if (tap_open(&bridged, &t, &err) == 0 || !strstr(err.text, "ip link set mine0 master br0"))
        return 7;
    return 0;
}

static void without_rights(void **state)
{
    int status;

    (void)state;
    need_isolation();
    run("ip tuntap add mine0 mode tap user 65534 && ip link set mine0 up");
    run("ip tuntap add other0 mode tap user 1 && ip link set other0 up");
    run("ip link add br0 type bridge");
    pid_t pid = fork();
    if (pid == 0)
        _exit(as_nobody());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
    run("ip link del mine0; ip link del other0; ip link del br0");
}

/* ---- a device on a tap ---- */

/* A rig whose port is not its own. */
static void rig_with(struct netrig *r, struct net_port *port)
{
    struct net_config config = {.port = port,
                                .name = "network 0",
                                .received = &r->received,
                                .sent = &r->sent};
    struct error err;

    memcpy(config.mac, netrig_mac, 6);
    r->pairs = port->pairs;
    r->device = net_add(&r->b.virtio, &config, &err);
    if (!r->device)
        fail_msg("%s", err.text);
    assert_int_equal(board_start(&r->b), 0);
    assert_true(driver_probe(&r->d, &r->b, 1));
}

static void tap_rig(struct netrig *r, unsigned queues)
{
    struct tap t = open_tap(ask("made0", NULL, queues));
    struct error err;

    *r = (struct netrig){0};
    assert_int_equal(board_init(&r->b, false), 0);
    rig_with(r, net_tap(&t, r->b.memory, CARD_VHOST_AUTO, &err));
    run("sysctl -qw net.ipv6.conf.made0.disable_ipv6=1; ip link set made0 up");
}

/* The host's view of the interface: a socket that sees headers too. */
static int host_end(const char *name)
{
    struct sockaddr_ll a = {.sll_family = AF_PACKET,
                            .sll_protocol = htons(ETH_P_ALL),
                            .sll_ifindex = look(name).index};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)), yes = 1;

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof(yes)), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

/* A TCP segment over IPv4, with its pseudo header's sum where the checksum belongs. */
static size_t tcp_frame(uint8_t *f, const uint8_t to[6], size_t payload)
{
    const size_t ip = 20 + 20 + payload;
    uint32_t sum = 6 + 20 + (uint32_t)payload; /* protocol and length */

    memset(f, 0, 14 + ip);
    memcpy(f, to, 6);
    memcpy(f + 6, netrig_peer, 6);
    f[12] = 0x08;
    f[14] = 0x45;
    f[16] = (uint8_t)(ip >> 8);
    f[17] = (uint8_t)ip;
    f[22] = 64;
    f[23] = 6;
    memcpy(f + 26, (uint8_t[]){192, 0, 2, 1, 192, 0, 2, 2}, 8);
    for (int i = 26; i < 34; i += 2)
        sum += (uint32_t)f[i] << 8 | f[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    f[34 + 12] = 0x50;
    f[34 + 13] = 0x10;
    f[34 + 16] = (uint8_t)(sum >> 8);
    f[34 + 17] = (uint8_t)sum;
    for (size_t i = 0; i < payload; i++)
        f[54 + i] = (uint8_t)(i * 13 + i / 256);
    return 14 + ip;
}

static const struct virtio_net_hdr segment = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                              .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                              .hdr_len = 54,
                                              .gso_size = 1448,
                                              .csum_start = 34,
                                              .csum_offset = 16};

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 5000) == 1;
}

static void a_tap_carries_frames_and_headers(void **state)
{
    static uint8_t out[70000], in[70000];
    struct netrig r;
    uint32_t len, lens[64];
    struct seg bufs[40];

    (void)state;
    need_isolation();
    tap_rig(&r, 1);
    netrig_start(&r, DRIVER_ALL, 64);
    cleanup_close int host = host_end("made0");

    /* From the guest: 40 KB of TCP with their checksum and segmentation left to others. */
    memset(out, 0, NET_HEADER);
    memcpy(out, &segment, sizeof(segment));
    size_t size = NET_HEADER + tcp_frame(out + NET_HEADER, netrig_peer, 40000);
    struct seg s = driver_bytes(&r.d, out, (uint32_t)size);
    assert_int_equal(driver_request(&r.d, TX, &s, 1), 0);
    assert_true(readable(host));
    ssize_t n = recv(host, in, sizeof(in), 0);
    assert_int_equal(n, size - NET_HEADER + sizeof(segment)); /* a header of 10 bytes here */
    const struct virtio_net_hdr *h = (const void *)in;
    assert_int_equal(h->gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
    assert_int_equal(h->gso_size, 1448);
    assert_int_equal(h->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_memory_equal(in + sizeof(segment), out + NET_HEADER, size - NET_HEADER);
    assert_int_equal(r.sent, size - NET_HEADER);

    /* To the guest. */
    for (unsigned i = 0; i < 40; i++)
        bufs[i] = netrig_offer(&r, 0, 1526);
    memcpy(out, &segment, sizeof(segment));
    size = tcp_frame(out + sizeof(segment), netrig_mac, 30000);
    assert_int_equal(send(host, out, sizeof(segment) + size, 0), sizeof(segment) + size);
    assert_true(driver_await(&r.d, RX, NULL, &lens[0]));
    unsigned got = 1;
    while (driver_used(&r.d, RX, NULL, &lens[got]))
        got++;
    const struct virtio_net_hdr_mrg_rxbuf *m = bufs[0].host;
    assert_int_equal(m->num_buffers, got);
    assert_int_equal(m->hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
    assert_int_equal(m->hdr.gso_size, 1448);
    assert_int_equal(m->hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    uint8_t *to = in;
    for (unsigned i = 0; i < got; to += lens[i++])
        memcpy(to, bufs[i].host, lens[i]);
    assert_int_equal(to - in, NET_HEADER + size);
    assert_memory_equal(in + NET_HEADER, out + sizeof(segment), size);

    /* For a driver that takes no segments the kernel cuts, and sums up. */
    netrig_start(&r, DRIVER_ALL & ~NET_GUEST_OFFLOADS, 64);
    for (unsigned i = 0; i < 40; i++)
        bufs[i] = netrig_offer(&r, 0, 1526);
    assert_int_equal(send(host, out, sizeof(segment) + size, 0), sizeof(segment) + size);
    for (unsigned i = 0; i < 21; i++) {
        assert_true(driver_await(&r.d, RX, NULL, &len));
        m = bufs[i].host;
        assert_int_equal(m->num_buffers, 1);
        assert_int_equal(m->hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
        assert_int_equal(m->hdr.flags, 0);
        assert_int_equal(len, i < 20 ? NET_HEADER + 54 + 1448 : NET_HEADER + 54 + 30000 % 1448);
    }
    netrig_destroy(&r);
    assert_false(is_there("made0"));
}

static void stale_frames_are_lost(void **state)
{
    uint8_t f[200] = {0};
    struct netrig r;

    (void)state;
    need_isolation();
    tap_rig(&r, 1);
    cleanup_close int host = host_end("made0");
    for (unsigned i = 0; i < 50; i++) {
        tcp_frame(f + 10, netrig_mac, 20);
        assert_int_equal(send(host, f, 84, 0), 84);
    }
    netrig_start(&r, DRIVER_ALL, 64);
    struct seg a = netrig_offer(&r, 0, 1526);
    assert_false(driver_used(&r.d, RX, NULL, NULL));
    tcp_frame(f + 10, netrig_mac, 21);
    assert_int_equal(send(host, f, 85, 0), 85);
    assert_true(driver_await(&r.d, RX, NULL, NULL));
    assert_int_equal(((uint8_t *)a.host)[NET_HEADER + 17], 61);
    netrig_destroy(&r);
}

static void frames_are_spread_over_queues(void **state)
{
    uint8_t f[200] = {0};
    struct netrig r;
    unsigned got[4] = {0}, all = 0;

    (void)state;
    need_isolation();
    tap_rig(&r, 4);
    cleanup_close int host = host_end("made0");
    for (unsigned pairs = 4; pairs == 4 || pairs == 1; pairs -= 3) {
        netrig_start(&r, DRIVER_ALL, 64);
        assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
                                        (uint8_t[]){(uint8_t)pairs, 0}, 2),
                         VIRTIO_NET_OK);
        for (unsigned i = 0; i < 4; i++)
            for (unsigned k = 0; k < 50; k++)
                netrig_offer(&r, i, 200);
        memset(got, 0, sizeof(got));
        for (unsigned i = 0; i < 40; i++) {
            tcp_frame(f + 10, netrig_mac, 20);
            f[10 + 34] = (uint8_t)(i * 37); /* another flow */
            f[10 + 35] = (uint8_t)(i * 11);
            assert_int_equal(send(host, f, 84, 0), 84);
        }
        for (unsigned tries = 0; tries < 1000 && all < (pairs == 4 ? 40 : 80); tries++) {
            board_turn(&r.b);
            for (unsigned i = 0; i < 4; i++)
                for (; driver_used(&r.d, 2 * i, NULL, NULL); all++)
                    got[i]++;
        }
        if (pairs == 1)
            assert_int_equal(got[0], 40);
        else
            assert_true((got[0] > 0) + (got[1] > 0) + (got[2] > 0) + (got[3] > 0) > 1);
    }
    assert_int_equal(all, 80);
    netrig_destroy(&r);
}

static void a_removed_interface_pulls_the_cable(void **state)
{
    struct netrig r;

    (void)state;
    need_isolation();
    tap_rig(&r, 1);
    netrig_start(&r, DRIVER_ALL, 64);
    netrig_offer(&r, 0, 1526);
    assert_int_equal(netrig_status(&r), VIRTIO_NET_S_LINK_UP);
    run("ip link del made0");
    board_turn(&r.b);
    assert_int_equal(netrig_status(&r), 0);
    uint8_t f[100] = {0};
    struct seg s = driver_bytes(&r.d, f, sizeof(f));
    assert_int_equal(driver_request(&r.d, TX, &s, 1), 0);
    netrig_destroy(&r);
}

/* ---- passt ---- */

static void forwards_are_checked(void **state)
{
    static const char *const good[] = {"tcp:8080:80", "udp:53", "tcp:127.0.0.1:22",
                                       "tcp:[::1]:8000-8010:80-90", "udp:1.2.3.4:5000-5001"};
    static const char *const bad[] = {"8080:80",     "tcp:",          "tcp:0",         "tcp:65536",
                                      "sctp:1:1",    "tcp:80:x",      "tcp:8-7",       "tcp:1:2:3",
                                      "tcp:1-3:1-2", "tcp:[1.2]:3:4", "tcp:1.2.3:4:5", "tcp:80,81"};
    struct error err;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
        if (passt_is_forward(good[i], &err) < 0)
            fail_msg("%s: %s", good[i], err.text);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        if (passt_is_forward(bad[i], &err) == 0)
            fail_msg("%s is taken", bad[i]);
}

/* Be at a rig on passt; `script`: what is passt for now, or NULL. */
static void passt_rig(struct netrig *r, const char *script, const struct passt_request *rq)
{
    struct error err;

    *r = (struct netrig){0};
    if (script) {
        scratch_write("passt", script);
        cleanup_free char *dir = get_current_dir_name();
        cleanup_free char *path = xasprintf("%s:%s", dir, getenv("PATH"));
        assert_int_equal(chmod("passt", 0755), 0);
        setenv("PATH", path, 1);
    }
    assert_int_equal(board_init(&r->b, false), 0);
    struct net_port *port = net_passt(rq, &err);
    if (!port)
        fail_msg("%s", err.text);
    rig_with(r, port);
    if (script)
        setenv("PATH", strchr(getenv("PATH"), ':') + 1, 1);
}

static bool await_status(struct netrig *r, uint16_t status)
{
    struct pollfd p = {.fd = workers_loop_fd(r->b.workers), .events = POLLIN};

    for (int i = 0; i < 500; i++) {
        if ((netrig_status(r) & VIRTIO_NET_S_LINK_UP) == status)
            return true;
        poll(&p, 1, 10);
        board_turn(&r->b);
    }
    return false;
}

static uint32_t generation(struct netrig *r)
{
    return driver_get(&r->d, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
}

/* The cable was out since that generation. It may be in again: the next passt comes at once. */
static bool await_loss(struct netrig *r, uint32_t since)
{
    struct pollfd p = {.fd = workers_loop_fd(r->b.workers), .events = POLLIN};

    for (int i = 0; i < 500; i++) {
        if (generation(r) != since)
            return true;
        poll(&p, 1, 10);
        board_turn(&r->b);
    }
    return false;
}

/* The n-th word of /proc/PID/task/PID/children. */
static pid_t child_of(pid_t pid)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
        return 0;
    return (pid_t)atoi(text);
}

static const struct passt_request plain = {.name = "network 0", .title = "test"};

/* Does somebody answer for the gateway? */
static bool gateway_answers(struct netrig *r)
{
    uint8_t f[NET_HEADER + 42] = {0};
    uint32_t len;

    memset(f + NET_HEADER, 0xff, 6);
    memcpy(f + NET_HEADER + 6, netrig_mac, 6);
    memcpy(f + NET_HEADER + 12, (uint8_t[]){8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, 10);
    memcpy(f + NET_HEADER + 22, netrig_mac, 6);
    memcpy(f + NET_HEADER + 28, (uint8_t[]){192, 0, 2, 1}, 4);
    memcpy(f + NET_HEADER + 38, (uint8_t[]){192, 0, 2, 2}, 4);
    struct seg in = netrig_offer(r, 0, 1526), s = driver_bytes(&r->d, f, sizeof(f));
    if (driver_request(&r->d, TX, &s, 1) != 0 || !driver_await(&r->d, RX, NULL, &len))
        return false;
    const uint8_t *a = (const uint8_t *)in.host + NET_HEADER;
    return len == sizeof(f) && a[13] == 6 && a[21] == 2 && memcmp(a + 28, "\xc0\0\2\2", 4) == 0 &&
           ((const uint8_t *)in.host)[0] == VIRTIO_NET_HDR_F_DATA_VALID;
}

static void the_real_one(void **state)
{
    const char *const forwards[] = {"tcp:127.0.0.1:18080:80", NULL};
    struct passt_request rq = plain;
    struct netrig r;
    struct error err;

    (void)state;
    need_isolation();
    if (system("command -v passt >/dev/null") != 0)
        skip();
    run("ip link add nic0 type veth peer name nic1 && ip addr add 192.0.2.1/24 dev nic0 && "
        "ip link set nic0 up && ip link set nic1 up && ip link set lo up && "
        "ip route add default via 192.0.2.2");
    rq.forwards = forwards;
    assert_int_equal(passt_check(&rq, &err), 0);
    passt_rig(&r, NULL, &rq);
    netrig_start(&r, DRIVER_ALL, 64);
    assert_true(await_status(&r, VIRTIO_NET_S_LINK_UP));
    assert_true(gateway_answers(&r));
    assert_int_equal(passt_check(&rq, &err), -1); /* now somebody listens there */
    assert_non_null(strstr(err.text, "forward=tcp:127.0.0.1:18080:80: listen at TCP port 18080"));

    /* Who connects to the forwarded port asks for the guest: it is to find out where that is. */
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(18080)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct seg in = netrig_offer(&r, 0, 1526);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        assert_int_equal(errno, EINPROGRESS);
    assert_true(driver_await(&r.d, RX, NULL, NULL));
    const uint8_t *f = (const uint8_t *)in.host + NET_HEADER;
    assert_int_equal(f[12] << 8 | f[13], ETH_P_IP);
    assert_int_equal(f[14 + 9], IPPROTO_TCP);
    assert_int_equal(f[34 + 2] << 8 | f[34 + 3], 80);

    /* It dies: the cable is out until there is another. */
    pid_t supervisor = child_of(getpid()), passt = child_of(supervisor);
    assert_true(supervisor > 0 && passt > 0);
    const uint32_t up = generation(&r);
    kill(passt, SIGKILL);
    assert_true(await_loss(&r, up));
    assert_true(await_status(&r, VIRTIO_NET_S_LINK_UP));
    assert_int_not_equal(child_of(supervisor), passt);
    assert_true(gateway_answers(&r));
    netrig_destroy(&r);
    assert_int_equal(waitpid(-1, NULL, 0), -1);
    assert_int_equal(passt_check(&rq, &err), 0);
    run("ip link del nic0");
}

/* A stream that comes and goes in all sizes of pieces. */
static void frames_in_pieces(void **state)
{
    static const char echo[] = "#!/usr/bin/env python3\n"
                               "import os, random\n"
                               "random.seed(1)\n"
                               "while True:\n"
                               "    d = os.read(3, random.choice((1, 3, 100, 5000, 300000)))\n"
                               "    if not d: break\n"
                               "    while d:\n"
                               "        n = os.write(3, d[:random.choice((1, 4, 999, 100000))])\n"
                               "        d = d[n:]\n";
    static const size_t sizes[] = {26, 27, 60, 1514, 1518, 9000, 65546};
    struct netrig r;
    static uint8_t f[70000], got[70000];

    (void)state;
    passt_rig(&r, echo, &plain);
    netrig_start(&r, DRIVER_ALL, 128);
    assert_true(await_status(&r, VIRTIO_NET_S_LINK_UP));
    for (unsigned i = 0; i < 60; i++) {
        size_t len = sizes[i % ARRAY_SIZE(sizes)], in = 0;
        struct seg bufs[60];
        uint32_t part;
        unsigned n = (unsigned)(len / 1500 + 1);
        for (unsigned k = 0; k < n; k++)
            bufs[k] = netrig_offer(&r, 0, 1500);
        netrig_frame(f, len, netrig_mac, (uint8_t)i);
        struct seg s = driver_bytes(&r.d, f, (uint32_t)len);
        assert_int_equal(driver_request(&r.d, TX, &s, 1), 0);
        for (unsigned k = 0; in < len; k++) {
            assert_true(driver_await(&r.d, RX, NULL, &part));
            memcpy(got + in, bufs[k].host, part);
            in += part;
        }
        assert_int_equal(in, len);
        assert_true(netrig_is_frame(got, len, netrig_mac, (uint8_t)i));
        while (driver_used(&r.d, RX, NULL, NULL))
            fail();
        netrig_start(&r, DRIVER_ALL, 128); /* takes buffers back, so that memory lasts */
        board_free_all(&r.b);
        netrig_start(&r, DRIVER_ALL, 128);
    }
    netrig_destroy(&r);
}

/* What goes to the host's loopback, however it is written and cut, is dropped; its neighbours are not. */
static void not_to_the_host(void **state)
{
    static const char count[] = "#!/usr/bin/env python3\n"
                                "import socket\n"
                                "f = socket.socket(fileno=3).makefile('rwb', 0)\n"
                                "while l := int.from_bytes(f.read(4), 'big'): f.write(bytes([0, 0, "
                                "0, 60]) + f.read(l)[:60])\n";
    static const struct {
        unsigned type;
        const char *to;
        bool passes;
    } frames[] = {
        {ETH_P_IP, "127.0.0.1", false},
        {ETH_P_IP, "127.255.0.9", false},
        {ETH_P_IP, "0.0.0.0", false},
        {ETH_P_IP, "128.0.0.1", true},
        {ETH_P_IP, "10.127.0.0", true},
        {ETH_P_IPV6, "::1", false},
        {ETH_P_IPV6, "::", false},
        {ETH_P_IPV6, "::127.0.0.1", false},
        {ETH_P_IPV6, "::ffff:127.0.0.1", false},
        {ETH_P_IPV6, "1::1", true},
        {ETH_P_IPV6, "fe80::1", true},
        {ETH_P_ARP, "127.0.0.1", true},
    };
    struct netrig r;
    uint32_t len;

    (void)state;
    passt_rig(&r, count, &plain);
    netrig_start(&r, DRIVER_ALL, 64);
    assert_true(await_status(&r, VIRTIO_NET_S_LINK_UP));
    for (unsigned i = 0; i < ARRAY_SIZE(frames); i++) {
        const bool v6 = frames[i].type == ETH_P_IPV6;
        uint8_t f[NET_HEADER + 100] = {0}, *frame = f + NET_HEADER;
        struct seg s[3];
        memset(frame, 0xff, 6);
        frame[12] = (uint8_t)(frames[i].type >> 8);
        frame[13] = (uint8_t)frames[i].type;
        frame[99] = (uint8_t)i;
        assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, frames[i].to,
                                   frame + ETH_HLEN + (v6 ? 24 : 16)),
                         1);
        s[0] = driver_bytes(&r.d, f, NET_HEADER + 31);
        s[1] = driver_bytes(&r.d, f + NET_HEADER + 31, 2);
        s[2] = driver_bytes(&r.d, f + NET_HEADER + 33, sizeof(f) - NET_HEADER - 33);
        assert_int_equal(driver_request(&r.d, TX, s, 3), 0);
        if (frames[i].passes) {
            const struct seg in = netrig_offer(&r, 0, 1526);
            assert_true(driver_await(&r.d, RX, NULL, &len));
            assert_memory_equal((const uint8_t *)in.host + NET_HEADER, frame, 60);
        }
    }
    netrig_destroy(&r);
}

/* It does not read: what does not fit waits, and then goes out whole. */
static void a_slow_reader(void **state)
{
    static const char slow[] = "#!/usr/bin/env python3\n"
                               "import os, socket, time\n"
                               "s = socket.socket(fileno=3)\n"
                               "open('full', 'w').close()\n"
                               "while not os.path.exists('go'): time.sleep(0.01)\n"
                               "f = s.makefile('rb'); n = 0\n"
                               "while n < 100:\n"
                               "    l = int.from_bytes(f.read(4), 'big'); d = f.read(l)\n"
                               "    if l != 15000 or d[-1] != n: os._exit(9)\n"
                               "    n += 1\n"
                               "s.sendall((60).to_bytes(4, 'big') + bytes([255] * 6) + bytes(54))\n"
                               "f.read(1)\n";
    struct netrig r;
    static uint8_t f[15012];
    unsigned sent = 0;

    (void)state;
    passt_rig(&r, slow, &plain);
    netrig_start(&r, DRIVER_ALL, 128);
    assert_true(await_status(&r, VIRTIO_NET_S_LINK_UP));
    for (unsigned i = 0; i < 100; i++) {
        netrig_frame(f, sizeof(f), netrig_mac, 0);
        f[sizeof(f) - 1] = (uint8_t)i;
        struct seg s = driver_bytes(&r.d, f, sizeof(f));
        driver_send(&r.d, TX, &s, 1);
        board_turn(&r.b);
    }
    while (driver_used(&r.d, TX, NULL, NULL))
        sent++;
    assert_in_range(sent, 1, 99);
    scratch_write("go", "");
    for (; sent < 100; sent++)
        assert_true(driver_await(&r.d, TX, NULL, NULL));
    netrig_offer(&r, 0, 1500);
    assert_true(driver_await(&r.d, RX, NULL, NULL)); /* it found all as it should be */
    netrig_destroy(&r);
}

/* What is on the stream makes no sense, or it ends: the cable is out, and in with the next. */
static void nonsense(void **state)
{
    static const char *const scripts[] = {
        "#!/bin/sh\nhead -c 1 <&3 >/dev/null; printf '\\0\\0\\0\\0abc' >&3; cat <&3 >/dev/null\n",
        "#!/bin/sh\nhead -c 1 <&3 >/dev/null; printf '\\377\\377\\377\\377' >&3; cat <&3 "
        ">/dev/null\n",
        "#!/bin/sh\nhead -c 1 <&3 >/dev/null; printf '\\0\\1\\0\\100' >&3; cat <&3 >/dev/null\n",
        "#!/bin/sh\nhead -c 1 <&3 >/dev/null; printf '\\0\\0\\0\\70abc' >&3; echo 'so it is' >&2; "
        "exit 3\n",
    };
    struct netrig r;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(scripts); i++) {
        passt_rig(&r, scripts[i], &plain);
        netrig_start(&r, DRIVER_ALL, 64);
        netrig_offer(&r, 0, 1500);
        for (unsigned life = 0; life < 2; life++) {
            uint8_t f[100] = {0};
            struct seg s = driver_bytes(&r.d, f, sizeof(f)); /* what they wait for */
            assert_true(await_status(&r, VIRTIO_NET_S_LINK_UP));
            const uint32_t up = generation(&r);
            assert_int_equal(driver_request(&r.d, TX, &s, 1), 0);
            assert_true(await_loss(&r, up));
        }
        netrig_destroy(&r);
        assert_int_equal(waitpid(-1, NULL, 0), -1);
    }
}

/* Who keeps passt is killed: passt goes with it, the device goes on without a link. */
static void without_a_supervisor(void **state)
{
    struct netrig r;

    (void)state;
    passt_rig(&r, "#!/bin/sh\nexec cat <&3 >/dev/null\n", &plain);
    netrig_start(&r, DRIVER_ALL, 64);
    assert_true(await_status(&r, VIRTIO_NET_S_LINK_UP));
    kill(child_of(getpid()), SIGKILL);
    board_turn(&r.b);
    netrig_destroy(&r);
    assert_int_equal(waitpid(-1, NULL, 0), -1);
}

static int isolate(void **state)
{
    (void)state;
    isolated = geteuid() == 0 && unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
               mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    /* A node that everybody may open, as on most hosts. */
    if (isolated && access("/dev/net/tun", F_OK) == 0 &&
        (mount("none", "/dev/net", "tmpfs", 0, "mode=755") < 0 ||
         mknod("/dev/net/tun", S_IFCHR | 0666, makedev(10, 200)) < 0 ||
         chmod("/dev/net/tun", 0666) < 0))
        return -1;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tap_is_made_and_goes),
        cmocka_unit_test(a_made_tap_goes_with_its_process),
        cmocka_unit_test(an_existing_tap_stays),
        cmocka_unit_test(bridges),
        cmocka_unit_test(without_rights),
        cmocka_unit_test(a_tap_carries_frames_and_headers),
        cmocka_unit_test(stale_frames_are_lost),
        cmocka_unit_test(frames_are_spread_over_queues),
        cmocka_unit_test(a_removed_interface_pulls_the_cable),
        cmocka_unit_test(forwards_are_checked),
        cmocka_unit_test(the_real_one),
        scratch_test(frames_in_pieces),
        scratch_test(not_to_the_host),
        scratch_test(a_slow_reader),
        scratch_test(nonsense),
        scratch_test(without_a_supervisor),
    };

    return cmocka_run_group_tests(tests, isolate, NULL);
}
