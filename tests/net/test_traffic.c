/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the rules of networks do with real packets: guests, the host (where the test is) and an
 * outside, each in a network namespace, wired with veths.
 */
#include "netns.h"

#include "net/firewall.h"
#include "net/program.h"
#include "scratch.h"
#include "spaces.h"

static struct error err;

static struct network *network(const char *name, const char *text)
{
    struct conf *c;
    struct network *n;

    assert_int_equal(conf_parse("text", text, strlen(text), &c, &err), 0);
    if (network_from_conf(name, c, &n, &err) < 0)
        fail_msg("%s", err.text);
    return n;
}

static void start(const char *name, const char *text)
{
    cleanup_network struct network *n = network(name, text);
    cleanup_free char *script = firewall_script(n);

    if (firewall_run(script, &err) < 0)
        fail_msg("%s", err.text);
}

static void stop(const char *name)
{
    cleanup_free char *script = firewall_undo_script(name);

    if (firewall_run(script, &err) < 0)
        fail_msg("%s", err.text);
}

static char *ruleset(void)
{
    static const char *const list[] = {"nft", "list", "ruleset", NULL};
    char *text;

    if (program_run(list, NULL, &text, &err) < 0)
        fail_msg("%s", err.text);
    return text;
}

/* nat0 has the guests a and b, nat1 has c; the outside knows no way to any of them, but for nat1. */
static void build(void)
{
    spaces_begin();
    /* Where br_netfilter is, it translates what goes to a forward within the bridge, which hands no
     * frame back to the port that it came from: a forward to oneself needs hairpin mode there. */
    file_put_at(AT_FDCWD, "/proc/sys/net/bridge/bridge-nf-call-iptables", "0", NULL);
    file_put_at(AT_FDCWD, "/proc/sys/net/bridge/bridge-nf-call-ip6tables", "0", NULL);
    sh(": >pids; cd /proc/sys/net; echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding; "
       "echo 0 >ipv6/conf/default/accept_dad; for n in a b c out; do ip netns add $n; "
       "ip -n $n link set lo up; ip netns exec $n sysctl -qw net.ipv6.conf.default.accept_dad=0; "
       "done; "
       "guest() { ip link add g$1 type veth peer name eth0 netns $1; "
       "ip link set g$1 master $2 up; ip -n $1 addr add $3.$4/24 dev eth0; "
       "ip -n $1 addr add $5::$4/64 dev eth0; ip -n $1 link set eth0 up; "
       "ip -n $1 route add default via $3.1; ip -n $1 route add default via $5::1; }; "
       "for n in 0 1; do ip link add nat$n type bridge; ip addr add 10.87.$n.1/24 dev nat$n; "
       "ip addr add fd87:$n::1/64 dev nat$n; ip link set nat$n up; done; "
       "guest a nat0 10.87.0 2 fd87:0; guest b nat0 10.87.0 3 fd87:0; "
       "guest c nat1 10.87.1 2 fd87:1; "
       "ip link add up0 type veth peer name eth0 netns out; ip addr add 192.0.2.1/24 dev up0; "
       "ip addr add 2001:db8::1/64 dev up0; ip link set up0 up; "
       "ip -n out addr add 192.0.2.2/24 dev eth0; ip -n out addr add 2001:db8::2/64 dev eth0; "
       "ip -n out link set eth0 up; ip -n out route add 10.87.0.0/16 via 192.0.2.1; "
       "ip -n out route add fd87::/16 via 2001:db8::1");
}

static void destroy(void)
{
    sh("kill $(cat pids) 2>/dev/null || true; for n in a b c out; do ip netns del $n; done; "
       "for l in nat0 nat1 up0 ga gb gc; do ip link del $l 2>/dev/null || true; done; "
       "cd /proc/sys/net; echo 0 >ipv4/ip_forward; echo 0 >ipv6/conf/all/forwarding; "
       "echo 1 >ipv6/conf/default/accept_dad; nft flush ruleset");
    spaces_end();
}

/* Does one reach the other? `from` "": the host. */
static bool pings(const char *from, const char *to)
{
    cleanup_free char *command = xasprintf("%s%s busybox ping -c 1 -W 1 %s >/dev/null 2>&1",
                                           *from ? "ip netns exec " : "", from, to);

    return system(command) == 0;
}

/* Servers that say who asks, and at which port of theirs. */
static void serve(const char *in, const char *listen)
{
    cleanup_free char *command = xasprintf("ip netns exec %s socat %s,fork 'SYSTEM:read x; echo "
                                           "$SOCAT_PEERADDR' 2>/dev/null & echo $! >>pids",
                                           in, listen);

    sh(command);
}

static void await_port(const char *in, const char *port)
{
    cleanup_free char *command =
        xasprintf("until ip netns exec %s ss -lun -lt | grep -q ':%s '; do :; done", in, port);

    sh(command);
}

/* What the server at the end says; "": nothing. Caller frees. */
static char *asks(const char *from, const char *connect)
{
    cleanup_free char *command =
        xasprintf("echo | timeout 2 %s%s socat -t 1 - %s 2>/dev/null >said || true",
                  *from ? "ip netns exec " : "", from, connect);

    sh(command);
    return scratch_read("said");
}

static void hears(const char *from, const char *connect, const char *what)
{
    cleanup_free char *said = asks(from, connect);

    said[strcspn(said, "\n")] = '\0';
    if (!str_eq(said, what))
        fail_msg("'%s' asks %s and hears '%s', not '%s'", from, connect, said, what);
}

#define NAT0 "net.kind = nat\nnet.address = 10.87.0.1/24\nnet.address = fd87:0::1/64\n"
#define NET1 "net.address = 10.87.1.1/24\nnet.address = fd87:1::1/64\n"

static void translated(void **state)
{
    (void)state;
    struct firewall_counts c;
    need_playground();
    build();
    start("nat0", NAT0);
    serve("out", "TCP4-LISTEN:80");
    serve("out", "TCP6-LISTEN:81");
    serve("a", "TCP4-LISTEN:80");
    await_port("out", "80");
    await_port("out", "81");
    await_port("a", "80");
    hears("a", "TCP4:192.0.2.2:80", "192.0.2.1");
    hears("a", "TCP6:[2001:db8::2]:81", "[2001:0db8:0000:0000:0000:0000:0000:0001]");
    hears("b", "TCP4:10.87.0.2:80", "10.87.0.3");
    hears("", "TCP4:10.87.0.2:80", "10.87.0.1");
    hears("out", "TCP4:10.87.0.2:80", "");
    assert_true(pings("a", "10.87.0.1") && pings("a", "192.0.2.2") && pings("a", "2001:db8::2"));
    assert_false(pings("out", "10.87.0.2") || pings("out", "fd87:0::2"));
    if (firewall_counts("nat0", &c, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(c.out_packets > 5 && c.in_packets > 5 && c.dropped_packets >= 2);
    assert_true(c.out_bytes > c.out_packets * 40 && c.in_bytes > c.in_packets * 40);

    /* With addresses that are not its own nothing leaves the network. */
    sh("ip -n a addr add 172.16.9.9/32 dev eth0; ip route add 172.16.9.9 dev nat0");
    assert_false(system("ip netns exec a busybox ping -c 1 -W 1 -I 172.16.9.9 192.0.2.2 "
                        ">/dev/null 2>&1") == 0);
    destroy();
}

static void kinds(void **state)
{
    (void)state;
    need_playground();
    build();
    start("nat0", NAT0);
    start("nat1", "net.kind = routed\n" NET1);
    assert_true(pings("c", "192.0.2.2") && pings("out", "10.87.1.2") && pings("out", "fd87:1::2"));
    assert_true(pings("a", "10.87.1.2"));  /* out of nat0 into a routed one */
    assert_false(pings("c", "10.87.0.2")); /* but not back */
    start("nat1", "net.kind = isolated\n" NET1);
    assert_false(pings("c", "192.0.2.2") || pings("out", "10.87.1.2") || pings("a", "10.87.1.2"));
    assert_false(pings("c", "2001:db8::2"));
    assert_true(pings("c", "10.87.1.1") && pings("", "10.87.1.2"));
    destroy();
}

static void forwarded(void **state)
{
    (void)state;
    need_playground();
    build();
    start("nat0", NAT0 "net.forward = tcp:8080:10.87.0.2:80\nnet.forward = udp:5000:10.87.0.2\n"
                       "net.forward = tcp:6000-6002:10.87.0.2:7000-7002\n"
                       "net.forward = udp:9000-9003:10.87.0.2\n"
                       "net.forward = tcp:[2001:db8::1]:8081:[fd87:0::2]:81\n");
    serve("a", "TCP4-LISTEN:80");
    serve("a", "TCP6-LISTEN:81");
    serve("a", "TCP4-LISTEN:7001");
    serve("a", "UDP4-RECVFROM:5000");
    serve("a", "UDP4-RECVFROM:9003");
    await_port("a", "80");
    await_port("a", "81");
    await_port("a", "7001");
    await_port("a", "5000");
    await_port("a", "9003");
    hears("out", "TCP4:192.0.2.1:8080", "192.0.2.2");
    hears("out", "TCP6:[2001:db8::1]:8081", "[2001:0db8:0000:0000:0000:0000:0000:0002]");
    hears("out", "TCP4:192.0.2.1:6001", "192.0.2.2");
    hears("out", "TCP4:192.0.2.1:6000", "");
    hears("out", "UDP4:192.0.2.1:5000", "192.0.2.2");
    hears("out", "UDP4:192.0.2.1:9003", "192.0.2.2");
    hears("", "TCP4:192.0.2.1:8080", "192.0.2.1");
    hears("", "UDP4:192.0.2.1:5000", "192.0.2.1");
    hears("", "TCP6:[2001:db8::1]:8081", "[2001:0db8:0000:0000:0000:0000:0000:0001]");
    /* From the guest's neighbour, and from itself, it comes by the host. */
    hears("b", "TCP4:192.0.2.1:8080", "10.87.0.1");
    hears("b", "TCP4:10.87.0.1:8080", "10.87.0.1");
    hears("a", "TCP4:192.0.2.1:8080", "10.87.0.1");
    hears("c", "TCP4:192.0.2.1:8080", "10.87.1.2");
    /* Taken away while it is up. */
    start("nat0", NAT0);
    hears("out", "TCP4:192.0.2.1:8080", "");
    destroy();
}

static void isolated_ports(void **state)
{
    (void)state;
    need_playground();
    build();
    start("nat0", NAT0 "net.isolate = on\nnet.forward = tcp:8080:10.87.0.2:80\n");
    serve("a", "TCP4-LISTEN:80");
    await_port("a", "80");
    sh("for g in ga gb; do bridge link set dev $g isolated on; done");
    assert_false(pings("b", "10.87.0.2"));
    assert_true(pings("b", "10.87.0.1") && pings("b", "192.0.2.2"));
    /* Nor by way of the host, whom it can ask to hand it on; a forward is open to all. */
    sh("ip -n b route add 10.87.0.2/32 via 10.87.0.1; "
       "ip -n a route add 10.87.0.3/32 via 10.87.0.1");
    assert_false(pings("b", "10.87.0.2"));
    hears("b", "TCP4:10.87.0.1:8080", "10.87.0.1");
    destroy();
}

/* Networks come and go; the others' rules and what they counted stay. */
static void undisturbed(void **state)
{
    (void)state;
    struct firewall_counts before, after;
    need_playground();
    build();
    cleanup_free char *nothing = ruleset();
    start("nat0", NAT0);
    assert_true(pings("a", "192.0.2.2"));
    cleanup_free char *one = ruleset();
    assert_int_equal(firewall_counts("nat0", &before, &err), 0);
    assert_true(before.out_packets > 0);
    start("nat1", "net.kind = nat\n" NET1);
    start("nat0", NAT0);
    cleanup_free char *both = ruleset();
    start("nat0", NAT0);
    start("nat1", "net.kind = nat\n" NET1);
    cleanup_free char *again = ruleset();
    assert_string_equal(both, again);
    stop("nat1");
    stop("nat1");
    cleanup_free char *back = ruleset();
    assert_string_equal(one, back);
    assert_int_equal(firewall_counts("nat0", &after, &err), 0);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(firewall_counts("nat1", &after, &err), -1);
    stop("nat0");
    stop("nat0");
    cleanup_free char *end = ruleset();
    assert_string_equal(nothing, end);
    destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(translated),  cmocka_unit_test(kinds),
        cmocka_unit_test(forwarded),   cmocka_unit_test(isolated_ports),
        cmocka_unit_test(undisturbed),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
