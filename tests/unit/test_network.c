/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Definitions of networks: what they mean, which are refused, how they are kept. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "net/firewall.h"
#include "net/network.h"
#include "scratch.h"

static struct error err;

static struct conf *conf(const char *text)
{
    struct conf *c;

    assert_int_equal(conf_parse("text", text, strlen(text), &c, &err), 0);
    return c;
}

static struct network *parse(const char *text)
{
    struct network *n;

    return network_from_conf("nat0", conf(text), &n, &err) == 0 ? n : NULL;
}

static void all_of_it(void **state)
{
    (void)state;
    char text[ADDRESS_TEXT];
    cleanup_network struct network *n =
        parse("net.kind = nat\nnet.mtu = 1400\nnet.address = 10.87.0.1/24\n"
              "net.address = fd00:1::1/64\nnet.dhcp = 10.87.0.2 - 10.87.0.99\n"
              "net.domain = nat0.pult\nnet.isolate = on\nnet.autostart = 1\n"
              "net.forward = tcp:8080:web1:80\nnet.forward = udp:192.0.2.1:5000-5009:10.87.0.7\n"
              "net.forward = tcp:[2001:db8::1]:22:[fd00:1::7]:2222\n");
    if (!n)
        fail_msg("%s", err.text);
    assert_string_equal(n->name, "nat0");
    assert_int_equal(n->kind, NET_NAT);
    assert_int_equal(n->mtu, 1400);
    assert_int_equal(n->address_count, 2);
    assert_string_equal(address_text(&n->addresses[1], false, text), "fd00:1::1/64");
    assert_int_equal(n->dhcp_last.bytes[3], 99);
    assert_string_equal(n->domain, "nat0.pult");
    assert_true(n->isolate && n->guard && n->autostart);
    assert_int_equal(n->forward_count, 3);
    const struct net_forward *f = n->forwards;
    assert_string_equal(f[0].guest, "web1");
    assert_int_equal(f[0].first, 8080);
    assert_int_equal(f[0].to, 80);
    assert_false(f[0].udp || f[0].from.family || f[0].guest_address.family);
    assert_true(f[1].udp);
    assert_int_equal(f[1].last, 5009);
    assert_int_equal(f[1].to, 5000);
    assert_string_equal(f[1].guest, "10.87.0.7");
    assert_int_equal(f[2].from.family, AF_INET6);
    assert_string_equal(f[2].guest, "fd00:1::7");
    assert_int_equal(f[2].to, 2222);
}

static void defaults(void **state)
{
    (void)state;
    cleanup_network struct network *n = parse("net.kind = bridge\nnet.port = eth1\nnet.vlan = 7\n");
    assert_non_null(n);
    assert_false(n->guard || n->isolate || n->autostart || n->dhcp_first.family || n->domain);
    assert_string_equal(n->port, "eth1");
    assert_int_equal(n->vlan, 7);
    cleanup_network struct network *off =
        parse("net.kind = isolated\nnet.guard = off\nnet.dhcp = off\n");
    assert_non_null(off);
    assert_false(off->guard || off->dhcp_first.family);
}

static void refused(void **state)
{
    (void)state;
#define A "net.address = 10.87.0.1/24\n"
    static const struct {
        const char *text, *says;
    } all[] = {
        {"", "net.kind"},
        {"net.kind = nta\n", "nat"},
        {"net.kind = nat\nnet.prot = x\n", "net.port"},
        {"net.kind = nat\nnet.port = eth0\n", "leave the key away"},
        {"net.kind = direct\n", "net.port"},
        {"net.kind = direct\nnet.port = e\n" A, "no meaning"},
        {"net.kind = user\nnet.isolate = on\n", "no meaning"},
        {"net.kind = bridge\nnet.dhcp = off\n", "no meaning"},
        {"net.kind = bridge\nnet.vlan = 3\n", "net.port"},
        {"net.kind = bridge\nnet.port = nat0\n", "own bridge"},
        {"net.kind = bridge\nnet.port = e\nnet.vlan = 4095\n", "4095"},
        {"net.kind = bridge\nnet.port = e/f\n", "e/f"},
        {"net.kind = nat\nnet.mtu = 67\n", "67"},
        {"net.kind = nat\nnet.mtu = 1279\nnet.address = fd00::1/64\n", "1280"},
        {"net.kind = nat\nnet.address = 10.87.0.1\n", "/24"},
        {"net.kind = nat\nnet.address = 10.87.0.0/24\n", "10.87.0.1/24"},
        {"net.kind = nat\nnet.address = 10.87.0.255/24\n", "broadcast"},
        {"net.kind = nat\nnet.address = 127.0.0.1/8\n", "no network"},
        {"net.kind = nat\nnet.address = 224.0.0.1/8\n", "no network"},
        {"net.kind = nat\nnet.address = fe80::1/64\n", "no network"},
        {"net.kind = nat\nnet.address = 10.0.0.1/4\n", "too large"},
        {"net.kind = nat\nnet.address = 10.0.0.1/31\n", "no room"},
        {"net.kind = nat\nnet.address = fd00::1/80\n", "64"},
        {"net.kind = nat\n" A "net.address = 10.87.0.129/25\n", "overlap"},
        {"net.kind = nat\nnet.dhcp = 10.87.0.2-10.87.0.9\n", "in no network"},
        {"net.kind = nat\n" A "net.dhcp = 10.87.0.2-10.87.1.9\n", "10.87.1.9 is in no network"},
        {"net.kind = nat\n" A "net.dhcp = 10.87.0.9-10.87.0.2\n", "before it begins"},
        {"net.kind = nat\n" A "net.dhcp = 10.87.0.1-10.87.0.9\n", "begin with 10.87.0.2"},
        {"net.kind = nat\n" A "net.dhcp = 10.87.0.2-10.87.0.255\n", "the last"},
        {"net.kind = nat\n" A "net.dhcp = 10.87.0.2\n", "no range"},
        {"net.kind = nat\n" A "net.dhcp = fd00::2-fd00::9\n", "IPv4"},
        {"net.kind = nat\nnet.domain = a..b\n", "domain"},
        {"net.kind = nat\nnet.domain = -a\n", "domain"},
        {"net.kind = nat\nnet.domain = a_b\n", "domain"},
        {"net.kind = bridge\nnet.forward = tcp:1:a\n", "their own addresses"},
        {"net.kind = isolated\nnet.forward = tcp:1:a\n", "no meaning"},
        {"net.kind = nat\nnet.forward = tcp:1:a\nnet.forward = tcp:1-2:b\n", "same port"},
        {"net.kind = nat\nnet.forward = udp:192.0.2.1:1:a\nnet.forward = udp:1:b\n", "same port"},
        {"net.kind = nat\n" A "net.forward = tcp:1:10.88.0.1\n", "not in this network"},
        {"net.kind = nat\n" A "net.forward = tcp:1:10.87.0.1\n", "host itself"},
        {"net.kind = nat\n" A "net.forward = tcp:127.0.0.1:1:a\n", "127.0.0.1"},
        {"net.kind = nat\n" A "net.forward = tcp:[fd00::1]:1:10.87.0.2\n", "IPv6"},
        {"net.kind = user\nnet.forward = tcp:1:10.87.0.2\n", "by name"},
        {"net.kind = user\nnet.tap = t,user=root\n", "no bridge"},
        {"net.kind = direct\nnet.port = e\nnet.tap = t,user=root\n", "no bridge"},
        {"net.kind = bridge\nnet.tap = t\n", "whose it is"},
        {"net.kind = bridge\nnet.tap = user=root\n", "user=root"},
        {"net.kind = bridge\nnet.tap = a/b,user=root\n", "no name of a tap"},
        {"net.kind = bridge\nnet.tap = a'b,user=root\n", "no name of a tap"},
        {"net.kind = bridge\nnet.tap = 1234567890123456,user=root\n", "no name of a tap"},
        {"net.kind = bridge\nnet.tap = t,user=-1\n", "no name of a user"},
        {"net.kind = bridge\nnet.tap = t,user=a b\n", "no name of a user"},
        {"net.kind = bridge\nnet.tap = t,user=root,mac=01:00:00:00:00:01\n", "a group"},
        {"net.kind = bridge\nnet.tap = t,user=root,bridge=br0\n", "bridge"},
        {"net.kind = bridge\nnet.tap = nat0,user=root\n", "another interface"},
        {"net.kind = bridge\nnet.port = e\nnet.tap = e,user=root\n", "another interface"},
        {"net.kind = bridge\nnet.tap = t,user=root\nnet.tap = t,user=bin\n", "two of the name"},
        {"net.kind = bridge\nnet.tap = t,user=root,mac=02:00:00:00:00:01\n"
         "net.tap = u,user=root,mac=02:00:00:00:00:01\n",
         "same MAC"},
        {"net.kind = bridge\nnet.tap = t,user=root,address=10.87.0.9\n", "no addresses"},
        {"net.kind = nat\n" A "net.dhcp = off\nnet.tap = t,user=root,address=10.87.0.9\n",
         "no addresses"},
#define DHCP "net.kind = nat\n" A "net.dhcp = 10.87.0.2-10.87.0.9\n"
        {DHCP "net.tap = t,user=root,address=10.88.0.9\n", "not in this network"},
        {DHCP "net.tap = t,user=root,address=10.87.0.1\n", "not for guests"},
        {DHCP "net.tap = t,user=root,address=10.87.0.255\n", "not for guests"},
        {DHCP "net.tap = t,user=root,address=fd00::2\n", "IPv4"},
        {DHCP "net.tap = t,user=root,address=10.87.0.7\n"
              "net.tap = u,user=root,address=10.87.0.7\n",
         "same address"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        err.text[0] = '\0';
        if (parse(all[i].text))
            fail_msg("'%s' is taken", all[i].text);
        if (!strstr(err.text, all[i].says))
            fail_msg("'%s': %s", all[i].text, err.text);
    }
}

static void taps(void **state)
{
    (void)state;
    char text[ADDRESS_TEXT];
    int64_t uid, gid;
    cleanup_network struct network *n =
        parse(DHCP "net.tap = t1,user=root\nnet.tap = t2,group=0,mac=02:00:00:00:00:07\n"
                   "net.tap = t3,user=1234,group=root,address=10.87.0.77\n");
    if (!n)
        fail_msg("%s", err.text);
    assert_int_equal(n->tap_count, 3);
    assert_string_equal(n->taps[0].name, "t1");
    assert_string_equal(n->taps[0].user, "root");
    assert_int_equal(n->taps[0].mac[0] & 3, 2);
    assert_int_equal(n->taps[1].mac[5], 7);
    assert_string_equal(address_text(&n->taps[2].address, true, text), "10.87.0.77");
    assert_int_equal(net_tap_owner(&n->taps[0], &uid, &gid, &err), 0);
    assert_true(uid == 0 && gid == -1);
    assert_int_equal(net_tap_owner(&n->taps[1], &uid, &gid, &err), 0);
    assert_true(uid == -1 && gid == 0);
    assert_int_equal(net_tap_owner(&n->taps[2], &uid, &gid, &err), 0);
    assert_true(uid == 1234 && gid == 0);
    /* One of its own for each network and name, and the same each time. */
    cleanup_network struct network *again = parse("net.kind = bridge\nnet.tap = t1,user=bin\n");
    assert_memory_equal(again->taps[0].mac, n->taps[0].mac, 6);
    struct net_tap other;
    assert_int_equal(net_tap_parse("nat1", "t1,user=bin", &other, &err), 0);
    assert_memory_not_equal(other.mac, n->taps[0].mac, 6);
}

static void forwards(void **state)
{
    (void)state;
    static const char *const good[] = {"tcp:1:a",     "udp:1-65535:a",    "tcp:1-3:a:7-9",
                                       "tcp:1-3:a:7", "tcp:10.0.0.1:1:a", "tcp:[::1]:1:[::2]:3"};
    static const char *const bad[] = {"",
                                      "tcp",
                                      "tcp:1",
                                      "sctp:1:a",
                                      "tcp:0:a",
                                      "tcp:65536:a",
                                      "tcp:3-1:a",
                                      "tcp:1:",
                                      "tcp:1:a:b",
                                      "tcp:1:a:1:2",
                                      "tcp:1-3:a:7-8",
                                      "tcp:x:1:a",
                                      "tcp:::1:1:a",
                                      "tcp:1:-a",
                                      "tcp:1:a b",
                                      "tcp:[::1:1:a",
                                      "tcp:1-3:a:65534",
                                      "tcp:10.0.0.1/8:1:a",
                                      "tcp::1:a"};
    struct net_forward f;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (net_forward_parse(good[i], &f, &err) < 0)
            fail_msg("%s", err.text);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (net_forward_parse(bad[i], &f, &err) == 0)
            fail_msg("'%s' is taken", bad[i]);
    /* One where an address could be both. */
    cleanup_network struct network *n =
        parse("net.kind = nat\nnet.forward = tcp:192.0.2.1:1:a\nnet.forward = tcp:192.0.2.2:1:b\n"
              "net.forward = tcp:[fd00::1]:1:b\nnet.forward = udp:1:b\n");
    if (!n)
        fail_msg("%s", err.text);
}

static void names(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    ".a", "-a",      "a/b", "a b", "1234567890123456",
                                      "a:1", "..", "\xc3\xbc"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (network_name_check(bad[i], &err) == 0)
            fail_msg("'%s' is taken", bad[i]);
    assert_int_equal(network_name_check("123456789012345", &err), 0);
    assert_int_equal(network_name_check("a_b.c-d", &err), 0);
}

static void store(const char *name, const char *text, bool fresh, int want, const char *says)
{
    cleanup_conf struct conf *c = conf(text);
    const int lock = networks_lock(&err);

    assert_true(lock >= 0);
    int ret = network_store(name, c, fresh, &err);
    close(lock);
    if (ret != want || (ret < 0 && !strstr(err.text, says)))
        fail_msg("%s: %d %s", name, ret, err.text);
}

static void kept(void **state)
{
    (void)state;
    struct network *n;
    char **all;

    assert_int_equal(network_names(&all), 0);
    strv_free(all);
    assert_int_equal(network_load("nat0", &n, &err), -1);
    assert_int_equal(err.code, ENOENT);
    store("nat0", "# mine\nnet.kind = nat\n" A, true, 0, "");
    store("nat0", "net.kind = nat\n" A, true, -1, "already");
    assert_int_equal(err.code, EEXIST);
    store("nat0", "# mine\nnet.kind = nat\n" A "net.forward = tcp:80:a\n", false, 0, "");
    store("lan", "net.kind = bridge\nnet.port = eth1\n", true, 0, "");
    scratch_write("home/networks/.conf", "");
    scratch_write("home/networks/x y.conf", "");
    scratch_write("home/networks/nat0.hosts", "");
    assert_int_equal(network_names(&all), 2);
    assert_string_equal(all[0], "lan");
    assert_string_equal(all[1], "nat0");
    strv_free(all);
    assert_int_equal(network_load("nat0", &n, &err), 0);
    assert_int_equal(n->forward_count, 1);
    network_free(n);
    assert_int_equal(network_load("nat1", &n, &err), -1);
    assert_non_null(strstr(err.text, "did you mean 'nat0'"));
    cleanup_free char *text = scratch_read("home/networks/nat0.conf");
    assert_string_equal(text, "# mine\nnet.kind = nat\n" A "net.forward = tcp:80:a\n");

    store("nat1", "net.kind = nat\nnet.address = 10.87.0.200/25\n", true, -1, "overlaps");
    store("nat1", "net.kind = routed\nnet.address = 10.88.0.1/24\nnet.forward = tcp:80:b\n", true,
          -1, "same port");
    store("lan2", "net.kind = direct\nnet.port = eth1\n", true, -1, "'lan' has 'eth1'");
    store("lan2", "net.kind = direct\nnet.port = eth1\nnet.vlan = 2\n", true, 0, "");
    store("lan3", "net.kind = direct\nnet.port = eth1\nnet.vlan = 2\n", true, 0, "");
    store("nat1", "net.kind = nat\nnet.mtu = x\n", true, -1, "nat1.conf:2");

    assert_int_equal(network_forget("nat0", &err), 0);
    assert_int_equal(network_forget("nat0", &err), 0);
    assert_int_equal(access("home/networks/nat0.hosts", F_OK), -1);
    assert_int_equal(network_load("nat0", &n, &err), -1);
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void places(void **state)
{
    (void)state;
    if (getuid() != 0)
        skip();
    assert_int_equal(mkdir("run", 0700), 0);
    assert_int_equal(network_run_make("nat0", &err), 0);
    assert_int_equal(network_run_make("nat0", &err), 0);
    assert_int_equal(mode_of("run"), 0711);
    assert_int_equal(mode_of("run/.networks"), 0755);
    assert_int_equal(mode_of("run/.networks/nat0"), 0755);
    cleanup_free char *path = network_run_path("nat0", "log");
    assert_non_null(strstr(path, "/run/.networks/nat0/log"));
    int lock = networks_lock(&err);
    assert_int_equal(mode_of("home/networks"), 0700);
    close(lock);
}

static bool is_there(const char *path)
{
    for (int ms = 0; ms < 10000 && access(path, F_OK) < 0; ms += 10)
        poll(NULL, 0, 10);
    return access(path, F_OK) == 0;
}

/* Who is killed may leave a program at work; whoever comes next begins after it. */
static void left_behind(void **state)
{
    static const char nft[] =
        "#!/bin/sh\n: >begun\nuntil [ -e go ]; do sleep 0.01; done\n: >done\n";
    const char *path = getenv("PATH");
    cleanup_free char *cwd = getcwd(NULL, 0);
    cleanup_free char *first = xasprintf("%s/bin:%s", cwd, path ? path : "");
    int status;

    (void)state;
    assert_int_equal(mkdir("bin", 0700), 0);
    cleanup_close int fd = open("bin/nft", O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    assert_int_equal(write(fd, nft, strlen(nft)), strlen(nft));
    close(steal_fd(fd)); /* nobody runs what is open to be written to */
    pid_t killed = fork();
    if (killed == 0) {
        setenv("PATH", first, 1);
        _exit(networks_lock(&err) >= 0 && firewall_run("list ruleset", &err) == 0);
    }
    assert_true(is_there("begun"));
    kill(killed, SIGKILL);
    assert_int_equal(waitpid(killed, &status, 0), killed);
    pid_t next = fork();
    if (next == 0)
        _exit(networks_lock(&err) >= 0 && access("done", F_OK) == 0 ? 0 : 1);
    cleanup_close int pidfd = pidfd_open(next, 0);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 200), 0); /* it waits */
    close(open("go", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(waitpid(next, &status, 0), next);
    assert_int_equal(status, 0);
}

/* What hangs and is nobody's any more is not waited for for ever: the way back must go on. */
static void hangs(void **state)
{
    (void)state;
    cleanup_close int hung = networks_rules_lock();
    assert_true(hung >= 0);
    cleanup_close int lock = networks_lock(&err);
    assert_true(lock >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it),   cmocka_unit_test(defaults), cmocka_unit_test(refused),
        cmocka_unit_test(taps),        cmocka_unit_test(forwards), cmocka_unit_test(names),
        cmocka_unit_test(kept),        cmocka_unit_test(places),   cmocka_unit_test(hangs),
        cmocka_unit_test(left_behind),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
