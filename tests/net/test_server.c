/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DHCP and DNS of a network, by a real dnsmasq: leases are given, kept and read, names are known, and
 * whatever is killed, nothing is left and the next start mends it.
 */
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "net/pool.h"
#include "net/program.h"
#include "net/server.h"
#include "scratch.h"
#include "spaces.h"

static struct error err;
static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb};

#define NAT                                                                  \
    "net.kind = nat\nnet.address = 10.87.0.1/24\nnet.address = fd87::1/64\n" \
    "net.dhcp = 10.87.0.2-10.87.0.99\nnet.domain = nat0.pult\n"

static struct network *network(const char *text)
{
    struct conf *c;
    struct network *n;

    close(networks_lock(&err));
    assert_int_equal(conf_parse("text", text, strlen(text), &c, &err), 0);
    if (network_from_conf("nat0", c, &n, &err) < 0)
        fail_msg("%s", err.text);
    return n;
}

static void must(int ret)
{
    if (ret < 0)
        fail_msg("%s", err.text);
}

static void build(void)
{
    char here[4096];

    assert_int_equal(chmod(getcwd(here, sizeof(here)), 0711), 0); /* dnsmasq has to get through */
    spaces_begin();
    sh("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; "
       "ip link add nat0 address 02:00:00:00:00:01 type bridge; "
       "ip addr add 10.87.0.1/24 dev nat0; ip addr add fd87::1/64 dev nat0 nodad; "
       "ip link set nat0 up; ip netns add a; "
       "ip link add ga type veth peer name eth0 address 02:00:00:00:00:0a netns a; "
       "ip netns exec a sysctl -qw net.ipv6.conf.eth0.accept_dad=0; "
       "ip link set ga master nat0 up; ip -n a link set eth0 up; ip -n a link set lo up; "
       "ip -n a addr add 10.87.0.50/24 dev eth0");
}

static void destroy(void)
{
    sh("ip netns del a; ip link del nat0 2>/dev/null || true; ip link del ga 2>/dev/null || true");
    spaces_end();
}

/* The supervisor, as it is written down. */
static pid_t supervisor(void)
{
    cleanup_free char *path = network_run_path("nat0", "server"), *text = NULL;

    must(file_read_at(AT_FDCWD, path, 64, &text, NULL, &err));
    return (pid_t)atoi(text);
}

/* dnsmasq, its child; waits until there is one that is not `but`. */
static pid_t dnsmasq(pid_t but)
{
    cleanup_free char *path = xasprintf("/proc/%d/task/%d/children", supervisor(), supervisor());

    for (const uint64_t end = now_mono_ns() + 10000000000ull; now_mono_ns() < end;) {
        cleanup_free char *text = NULL;
        must(file_read_at(AT_FDCWD, path, 4096, &text, NULL, &err));
        if (atoi(text) > 0 && atoi(text) != but)
            return (pid_t)atoi(text);
    }
    fail_msg("there is no dnsmasq");
    return -1;
}

static void kill_and_wait(pid_t pid, pid_t also)
{
    int fds[2] = {pidfd_open(pid, 0), also ? pidfd_open(also, 0) : -1};

    assert_int_equal(kill(pid, SIGKILL), 0);
    for (size_t i = 0; i < 2; i++) {
        struct pollfd p = {.fd = fds[i], .events = POLLIN};
        if (fds[i] >= 0 && poll(&p, 1, 5000) != 1)
            fail_msg("process %d outlives it", i ? also : pid);
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

static char *ask(const char *name)
{
    const char *const argv[] = {"ip",       "netns", "exec",      "a", "busybox",
                                "nslookup", name,    "10.87.0.1", NULL};
    char *text = NULL;

    return program_run(argv, NULL, &text, NULL) == 0 ? text : xstrdup("");
}

#define LEASE "ip netns exec a busybox udhcpc -i eth0 -n -q -f -s /bin/true -t 5 -T 1 >dhcp 2>&1"

/* ---- a client of DHCPv6 (RFC 8415): the guest a, which calls itself `duid` ---- */

static int socket_in_a(void)
{
    cleanup_close int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    cleanup_close int there = open("/run/netns/a", O_RDONLY | O_CLOEXEC);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(546)};
    struct sockaddr_in6 all = {.sin6_family = AF_INET6, .sin6_port = htons(547)};

    assert_int_equal(setns(there, CLONE_NEWNET), 0);
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const void *)&a, sizeof(a)), 0);
    inet_pton(AF_INET6, "ff02::1:2", &all.sin6_addr);
    all.sin6_scope_id = if_nametoindex("eth0");
    /* Not to be connected: answers come from elsewhere. */
    assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &all.sin6_scope_id,
                                sizeof(all.sin6_scope_id)),
                     0);
    assert_int_equal(setns(here, CLONE_NEWNET), 0);
    return fd;
}

/* The address that a reply has in its IA_NA; "": none. */
static const char *address_in(const uint8_t *m, size_t len)
{
    static char text[64];
    static const uint8_t ia_address[] = {0, 5, 0, 24};
    const uint8_t *at = memmem(m, len, ia_address, sizeof(ia_address));

    if (!at || (size_t)(m + len - at) < 4 + 24)
        return "";
    return inet_ntop(AF_INET6, at + 4, text, sizeof(text));
}

static const char *solicit(uint8_t duid)
{
    uint8_t m[] = {1, 0x50, 0x54, duid,                                  /* SOLICIT, a number */
                   0, 1,    0,    10,   0, 3, 0, 1, 2, 0, 0, 0, 0, duid, /* CLIENTID */
                   0, 3,    0,    12,   0, 0, 0, 1, 0, 0, 0, 0, 0, 0,    0, 0, /* IA_NA */
                   0, 14,   0,    0,                                           /* RAPID_COMMIT */
                   0, 8,    0,    2,    0, 0};                                 /* ELAPSED_TIME */
    struct sockaddr_in6 all = {.sin6_family = AF_INET6, .sin6_port = htons(547)};
    cleanup_close int fd = socket_in_a();
    uint8_t got[1500];

    inet_pton(AF_INET6, "ff02::1:2", &all.sin6_addr);
    for (unsigned i = 0; i < 20; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(sendto(fd, m, sizeof(m), 0, (const void *)&all, sizeof(all)), sizeof(m));
        if (poll(&p, 1, 500) != 1)
            continue;
        const ssize_t n = recv(fd, got, sizeof(got), 0);
        if (n > 4 && memcmp(got + 1, m + 1, 3) == 0)
            return address_in(got, (size_t)n);
    }
    fail_msg("no answer");
    return NULL;
}

/*
 * By DHCPv6 a guest has the address that it would make itself; and another, where a system before
 * it still has a lease of that. Nobody is called what he says.
 */
static void gives_six(void **state)
{
    (void)state;
    struct address a;
    need_playground();
    build();
    cleanup_network struct network *n = network(NAT);
    must(pool_take(n, "web.1", mac_a, false, NULL, &a, &err));
    must(pool_take(n, "db", mac_b, true, NULL, &a, &err));
    must(server_start(n, &err));
    cleanup_free char *set = ask("db.nat0.pult"), *unknown = ask("web-1.nat0.pult");
    assert_non_null(strstr(set, "fd87::ff:fe00:b"));
    assert_null(strstr(unknown, "fd87::"));
    assert_string_equal(solicit(7), "fd87::ff:fe00:a");
    assert_string_equal(solicit(7), "fd87::ff:fe00:a");
    cleanup_free char *known = ask("web-1.nat0.pult");
    assert_non_null(strstr(known, "fd87::ff:fe00:a"));
    assert_string_equal(solicit(8), "fd87::ff:fd00:a");
    assert_string_equal(solicit(9), "fd87::ff:fc00:a");
    assert_string_equal(solicit(10), "fd87::ff:fb00:a");
    assert_string_equal(solicit(11), "");
    sh("ip -n a link set eth0 address 02:00:00:00:00:0c");
    sh(LEASE " -x hostname:gateway || { cat dhcp; false; }");
    cleanup_free char *gateway = ask("gateway.nat0.pult");
    assert_null(strstr(gateway, "10.87."));
    must(server_stop("nat0", &err));
    destroy();
}

static void gives(void **state)
{
    (void)state;
    struct address a;
    struct lease *leases;
    size_t count;
    need_playground();
    build();
    cleanup_network struct network *n = network(NAT);
    must(pool_take(n, "web.1", mac_a, false, NULL, &a, &err));
    assert_false(server_runs("nat0"));
    uint64_t t = now_mono_ns();
    must(server_start(n, &err));
    t = now_mono_ns() - t;
    assert_true(server_runs("nat0"));
    print_message("# dnsmasq and its supervisor: ready after %.1f ms\n", (double)t / 1e6);
    sh(LEASE " || { cat dhcp; false; }");
    sh("grep -q 10.87.0.2 dhcp");
    must(server_leases("nat0", &leases, &count, &err));
    assert_int_equal(count, 1);
    assert_memory_equal(leases[0].mac, mac_a, 6);
    assert_string_equal(leases[0].name, "web-1");
    assert_int_equal(leases[0].address.bytes[3], 2);
    free(leases);

    /* Names: of who has a lease, of who never asks for one, of later ones. */
    cleanup_free char *one = ask("web-1.nat0.pult");
    assert_non_null(strstr(one, "10.87.0.2"));
    const pid_t before = dnsmasq(0);
    must(pool_take(n, "db", mac_b, false, NULL, &a, &err));
    for (bool known = false; !known;) { /* it was told; that it read takes it a moment */
        cleanup_free char *two = ask("db.nat0.pult");
        known = strstr(two, "10.87.0.3") != NULL;
    }
    assert_int_equal(dnsmasq(0), before);
    cleanup_free char *none = ask("nobody.nat0.pult");
    assert_null(strstr(none, "10.87."));

    /* The same once more is nothing; another configuration, another dnsmasq. */
    const pid_t same = supervisor();
    must(server_start(n, &err));
    assert_int_equal(supervisor(), same);
    cleanup_network struct network *m = network(NAT "net.mtu = 1400\n");
    must(server_start(m, &err));
    assert_int_not_equal(supervisor(), same);
    must(server_stop("nat0", &err));
    must(server_stop("nat0", &err));
    assert_false(server_runs("nat0"));
    destroy();
}

static void killed(void **state)
{
    (void)state;
    need_playground();
    build();
    cleanup_network struct network *n = network(NAT);
    must(server_start(n, &err));
    const pid_t s = supervisor(), first = dnsmasq(0);
    kill_and_wait(first, 0);
    const pid_t second = dnsmasq(first);
    assert_int_equal(supervisor(), s);
    sh(LEASE " || { cat dhcp; false; }"); /* udhcpc asks again should it not listen yet */
    kill_and_wait(s, second);
    assert_false(server_runs("nat0"));
    must(server_start(n, &err));
    assert_true(server_runs("nat0"));
    sh(LEASE " || { cat dhcp; false; }");
    /* It ends with its interface. */
    const pid_t last = supervisor();
    int fd = pidfd_open(last, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    sh("ip link del nat0");
    assert_int_equal(poll(&p, 1, 5000), 1);
    close(fd);
    assert_false(server_runs("nat0"));
    must(server_stop("nat0", &err));
    cleanup_free char *path = network_run_path("nat0", "server");
    assert_int_equal(access(path, F_OK), -1);
    destroy();
}

/* Where it cannot start, why is said, and nothing is left. */
static void fails(void **state)
{
    (void)state;
    need_playground();
    build();
    cleanup_network struct network *n = network(NAT);
    sh("socat -u UDP4-RECV:53,bind=10.87.0.1 /dev/null & echo $! >pid; "
       "until ss -lun | grep -q '10.87.0.1:53'; do :; done");
    assert_int_equal(server_start(n, &err), -1);
    print_message("# %s\n", err.text);
    assert_non_null(strstr(err.text, "another DNS"));
    assert_false(server_runs("nat0"));
    sh("kill $(cat pid)");
    destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives),
        cmocka_unit_test(gives_six),
        cmocka_unit_test(killed),
        cmocka_unit_test(fails),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
