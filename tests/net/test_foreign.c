/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firewalls of others, as Docker, firewalld and ufw make them, in real nf_tables and by the real
 * iptables of both kinds: which of them stand in a network's way, that they really do, and that what
 * mends it does, and goes again.
 */
#include "netns.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>

#include "net/firewall.h"
#include "net/foreign.h"
#include "net/program.h"
#include "scratch.h"
#include "spaces.h"

static struct error err;

static struct network *network(const char *text)
{
    struct conf *c;
    struct network *n;

    assert_int_equal(conf_parse("text", text, strlen(text), &c, &err), 0);
    if (network_from_conf("nat0", c, &n, &err) < 0)
        fail_msg("%s", err.text);
    return n;
}

#define NAT "net.kind = nat\nnet.address = 10.87.0.1/24\nnet.address = fd87::1/64\n"

static void nft(const char *script)
{
    if (firewall_run(script, &err) < 0)
        fail_msg("%s", err.text);
}

static char *ruleset(void)
{
    static const char *const list[] = {"nft", "-s", "list", "ruleset", NULL};
    char *text;

    if (program_run(list, NULL, &text, &err) < 0)
        fail_msg("%s", err.text);
    return text;
}

/* Carry out the steps of a plan, or take them back. */
static void run(const struct plan *p, bool undo)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[undo ? p->count - 1 - i : i];
        if ((undo ? s->op->undo : s->op->apply)(s, &err) < 0)
            fail_msg("%s: %s", s->args[1], err.text);
    }
}

static const char docker[] =
    "table ip filter {\n chain DOCKER { }\n chain DOCKER-USER { counter return\n }\n"
    " chain FORWARD { type filter hook forward priority filter; policy drop;\n"
    "  jump DOCKER-USER\n  oifname \"docker0\" ct state related,established counter accept\n"
    "  oifname \"docker0\" jump DOCKER\n  iifname \"docker0\" oifname != \"docker0\" accept\n "
    "}\n}\n";

static const char firewalld[] =
    "table inet firewalld {\n"
    " chain filter_INPUT { type filter hook input priority filter + 10; policy accept;\n"
    "  ct state { established, related } accept\n  ct status dnat accept\n"
    "  iifname \"lo\" accept\n  ct state invalid drop\n  jump filter_INPUT_ZONES\n"
    "  reject with icmpx admin-prohibited\n }\n"
    " chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept;\n"
    "  ct state { established, related } accept\n  ct status dnat accept\n"
    "  iifname \"lo\" accept\n  ct state invalid drop\n  jump filter_FORWARD_ZONES\n"
    "  reject with icmpx admin-prohibited\n }\n"
    " chain filter_INPUT_ZONES { iifname \"up0\" goto in_public\n  goto in_other\n }\n"
    " chain filter_FORWARD_ZONES { iifname \"up0\" goto in_other\n }\n"
    " chain in_public { tcp dport 22 accept\n }\n chain in_other { tcp dport 22 accept\n }\n}\n";

static const char ufw[] =
    "table ip filter {\n chain ufw-user-input { tcp dport 22 accept\n }\n"
    " chain INPUT { type filter hook input priority filter; policy drop;\n"
    "  iifname \"lo\" accept\n  ct state related,established accept\n  jump ufw-user-input\n }\n"
    " chain FORWARD { type filter hook forward priority filter; policy drop;\n"
    "  ct state related,established accept\n }\n}\n";

static const char harmless[] =
    "table inet mine {\n"
    " chain in { type filter hook input priority filter; policy drop;\n"
    "  iifname \"nat0\" accept\n  ct state vmap { established : accept, invalid : drop }\n }\n"
    " chain fw { type filter hook forward priority filter; policy drop;\n"
    "  ip saddr 192.0.2.7 drop\n  iifname \"nat0\" oifname \"up0\" accept\n"
    "  oifname \"nat*\" accept\n }\n"
    " chain fw2 { type filter hook forward priority 5; policy accept;\n"
    "  ip daddr 192.0.2.9 reject\n  tcp dport 25 drop\n  iifname != { \"nat0\", \"up0\" } drop\n "
    "}\n"
    " chain n { type nat hook postrouting priority srcnat; policy drop;\n }\n}\n";

/* How many steps mend it, and that they leave nothing. */
static void found(const char *script, const char *definition, const char *who, size_t steps)
{
    cleanup_network struct network *n = network(definition);
    cleanup_plan struct plan said = {0}, mends = {0}, again = {0};

    nft("flush ruleset\n");
    nft(script);
    cleanup_free char *before = ruleset();
    assert_int_equal(foreign_plan(n, false, &said, &err), 0);
    assert_int_equal(said.count, 0);
    if (!who) {
        if (said.notes && said.notes[0])
            fail_msg("%s", said.notes[0]);
        return;
    }
    if (!said.notes || !said.notes[0] || !strstr(said.notes[0], who))
        fail_msg("%s: '%s'", who, said.notes ? said.notes[0] : "nothing");
    print_message("# %s\n", said.notes[0]);
    assert_int_equal(foreign_plan(n, true, &mends, &err), 0);
    assert_int_equal(mends.count, steps);
    run(&mends, false);
    assert_int_equal(foreign_plan(n, false, &again, &err), 0);
    if (again.notes && again.notes[0])
        fail_msg("still: %s", again.notes[0]);
    run(&mends, true);
    run(&mends, true);
    cleanup_free char *after = ruleset();
    assert_string_equal(before, after);
}

/* Are bridged packets shown to these rules, too? Where the host can do that. */
static bool bridged_packets(const char *value)
{
    return file_put_at(AT_FDCWD, "/proc/sys/net/bridge/bridge-nf-call-iptables", value, NULL) == 0;
}

static void those_in_the_way(void **state)
{
    (void)state;
    need_playground();
    bridged_packets("0");
    found(docker, NAT, "Docker drops what its guests send out", 2);
    found(firewalld, NAT, "firewalld drops", 7);
    found(ufw, NAT, "ufw drops", 5);
    found(harmless, NAT, NULL, 0);
    found("", NAT, NULL, 0);
    found(docker, "net.kind = isolated\nnet.address = 10.87.0.1/24\n", NULL, 0);
    found(docker, "net.kind = routed\nnet.address = fd87::1/64\n", NULL, 0);
    found(firewalld, "net.kind = isolated\nnet.address = 10.87.0.1/24\n", "firewalld drops its", 5);
    found(docker, "net.kind = direct\nnet.port = e\n", NULL, 0);
    if (bridged_packets("1")) {
        found(docker, "net.kind = isolated\nnet.address = 10.87.0.1/24\n", "to each other", 1);
        found(docker, "net.kind = bridge\nnet.port = e\n", "to each other", 1);
        found(docker, NAT, "Docker", 2);
    }
    nft("flush ruleset\n");
}

/* A guest, the host (where the test is) and the outside. */
static void build(void)
{
    spaces_begin();
    sh("ip netns add guest; ip netns add outside; ip link add nat0 type bridge; "
       "ip addr add 10.87.0.1/24 dev nat0; ip link set nat0 up; "
       "ip link add g0 type veth peer name eth0 netns guest; ip link set g0 master nat0 up; "
       "ip -n guest addr add 10.87.0.2/24 dev eth0; ip -n guest link set eth0 up; "
       "ip -n guest route add default via 10.87.0.1; "
       "ip link add up0 type veth peer name eth0 netns outside; ip addr add 192.0.2.1/24 dev up0; "
       "ip link set up0 up; ip -n outside addr add 192.0.2.2/24 dev eth0; "
       "ip -n outside link set eth0 up; ip -n outside link set lo up; "
       "echo 1 >/proc/sys/net/ipv4/ip_forward");
}

static void destroy(void)
{
    sh("ip netns del guest; ip netns del outside; ip link del nat0; "
       "ip link del up0 2>/dev/null || true; ip link del g0 2>/dev/null || true; "
       "nft flush "
       "ruleset");
    spaces_end();
}

/* A socket of a namespace, NULL: of this one; it stays there. */
static int socket_in(const char *ns, const struct sockaddr_in *own)
{
    cleanup_free char *path = xasprintf("/run/netns/%s", ns ? ns : "");
    cleanup_close int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    cleanup_close int there = ns ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (ns)
        assert_int_equal(setns(there, CLONE_NEWNET), 0);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    if (own)
        assert_int_equal(bind(fd, (const void *)own, sizeof(*own)), 0);
    assert_int_equal(setns(here, CLONE_NEWNET), 0);
    return fd;
}

static bool comes(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, ms) == 1;
}

/*
 * Does the guest hear from who listens at this address, in this namespace? From a port of its own each
 * time, so it is no connection that is known already. What is expected to come is waited for.
 */
static bool hears(const char *ns, const char *address, unsigned port, bool expected)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}, from;
    socklen_t len = sizeof(from);
    const int ms = expected ? 10000 : 200;
    char c = '?';

    inet_pton(AF_INET, address, &to.sin_addr);
    cleanup_close int server = socket_in(ns, &to);
    cleanup_close int guest = socket_in("guest", NULL);
    assert_int_equal(sendto(guest, &c, 1, 0, (const void *)&to, sizeof(to)), 1);
    if (!comes(server, ms) || recvfrom(server, &c, 1, 0, (void *)&from, &len) != 1)
        return false;
    return sendto(server, &c, 1, 0, (const void *)&from, len) == 1 && comes(guest, ms);
}

static bool reaches_outside(bool expected)
{
    return hears("outside", "192.0.2.2", 7, expected);
}

/* Can the guest ask the host for a name? */
static bool reaches_dns(bool expected)
{
    return hears(NULL, "10.87.0.1", 53, expected);
}

static bool reaches_both(void)
{
    return reaches_outside(true) && reaches_dns(true);
}

static void really(void **state)
{
    (void)state;
    static const char *const all[] = {docker, firewalld, ufw};
    need_playground();
    build();
    cleanup_network struct network *n =
        network("net.kind = nat\nnet.address = 10.87.0.1/24\nnet.guard = off\n");
    cleanup_free char *script = firewall_script(n);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        cleanup_plan struct plan p = {0};
        nft("flush ruleset\n");
        nft(script);
        assert_true(reaches_both());
        nft(all[i]);
        assert_false(reaches_outside(false));
        assert_int_equal(reaches_dns(i == 0), i == 0); /* Docker minds what is forwarded only */
        assert_int_equal(foreign_plan(n, true, &p, &err), 0);
        run(&p, false);
        assert_true(reaches_both());
        run(&p, true);
        assert_false(reaches_outside(false));
    }
    destroy();
}

/* ---- by iptables ---- */

/* For iptables-restore, of both families. Docker's own rules, to the letter. */
static const char by_docker[] =
    ":INPUT ACCEPT\n:FORWARD DROP\n:DOCKER -\n:DOCKER-ISOLATION-STAGE-1 -\n"
    ":DOCKER-ISOLATION-STAGE-2 -\n:DOCKER-USER -\n"
    "-A FORWARD -j DOCKER-USER\n-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n"
    "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
    "-A FORWARD -o docker0 -j DOCKER\n-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n"
    "-A FORWARD -i docker0 -o docker0 -j ACCEPT\n"
    "-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2\n"
    "-A DOCKER-ISOLATION-STAGE-1 -j RETURN\n-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP\n"
    "-A DOCKER-ISOLATION-STAGE-2 -j RETURN\n-A DOCKER-USER -j RETURN\n";

/* As iptables-services has them: what nobody accepted is rejected, by a rule and not a policy. */
static const char by_rejects[] =
    "-A INPUT -m state --state RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n"
    "-A INPUT -p tcp -m conntrack --ctstate NEW -m tcp --dport 22 -j ACCEPT\n"
    "-A INPUT -m comment --comment \"all else -j ACCEPT\" -j REJECT\n"
    "-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -j REJECT\n";

/* Also of these nothing is lost: what a network lives from is let pass by others than an interface. */
static const char by_the_careful[] =
    ":INPUT DROP\n:FORWARD DROP\n:ours -\n:log -\n"
    "-A log -m limit --limit 3/min -j LOG\n-A INPUT -j log\n"
    "-A INPUT -p udp -m multiport --dports 53,67,547 -j ACCEPT\n"
    "-A INPUT -p tcp -m tcp --dport 50:60 -j ACCEPT\n"
    "-6 -A INPUT -p ipv6-icmp --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT\n"
    "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT\n"
    "-A FORWARD -i nat+ -g ours\n-A ours ! -o nat0 -j ACCEPT\n";

/* Those of the machine, or of the package that was fetched for this. */
static bool has_iptables(void)
{
    const char *pult = getenv("PULT"), *path = getenv("PATH"),
               *end = strrchr(pult ? pult : "", '/');

    if (end && path) {
        cleanup_free char *root = xasprintf("%.*s/cache/iptables/usr", (int)(end - pult), pult);
        cleanup_free char *all = xasprintf("%s:/usr/sbin:%s/sbin", path, root);
        cleanup_free char *lib = xasprintf("%s/lib/x86_64-linux-gnu", root);
        cleanup_free char *modules = xasprintf("%s/xtables", lib);
        setenv("PATH", all, 1);
        if (access(modules, F_OK) == 0) {
            setenv("LD_LIBRARY_PATH", lib, 1);
            setenv("XTABLES_LIBDIR", modules, 1);
        }
    }
    return system("for k in nft legacy; do for i in iptables ip6tables; do"
                  " $i-$k -S >/dev/null 2>&1 || exit 1; done; done") == 0;
}

/* These rules of one kind, and no others. */
static void with(const char *kind, const char *rules)
{
    cleanup_free char *text = xasprintf("*filter\n%sCOMMIT\n", rules);
    cleanup_free char *load =
        xasprintf("iptables-%s-restore <rules.in; ip6tables-%s-restore <rules.in", kind, kind);

    scratch_write("rules.in", text);
    sh(load);
}

/* All that there is of both kinds, but for what was counted. */
static char *all_rules(void)
{
    sh("for i in iptables-legacy ip6tables-legacy iptables-nft ip6tables-nft; do echo $i; $i -S; "
       "done"
       " >rules.txt 2>/dev/null; nft -s list ruleset | grep -v '^#' >>rules.txt");
    return scratch_read("rules.txt");
}

/* Rules of one kind: `who` is named, and `steps` mend them by the program that holds them. */
static void by_iptables(const char *kind, const char *commands, const char *who, size_t steps)
{
    cleanup_network struct network *n = network(NAT "net.guard = off\n");
    cleanup_plan struct plan p = {0}, again = {0};
    cleanup_free char *mark = xasprintf("tables-%s -w -I ", kind);
    cleanup_free char *script = firewall_script(n);

    nft(script);
    assert_true(reaches_both());
    with(kind, commands);
    cleanup_free char *before = all_rules();
    assert_int_equal(foreign_plan(n, true, &p, &err), 0);
    if (steps && (!p.notes || !strstr(p.notes[0], who) ||
                  !strstr(p.notes[0], "of the old iptables") != str_eq(kind, "nft")))
        fail_msg("%s: '%s'", kind, p.notes ? p.notes[0] : "nothing");
    if (!steps && p.notes)
        fail_msg("%s: '%s'", kind, p.notes[0]);
    assert_int_equal(reaches_outside(steps == 0), steps == 0);
    assert_int_equal(p.count, steps);
    for (size_t i = 0; i < p.count; i++)
        assert_non_null(strstr(p.steps[i].args[1], mark));
    run(&p, false);
    assert_true(reaches_both());
    assert_int_equal(foreign_plan(n, false, &again, &err), 0);
    assert_null(again.notes);
    run(&p, true);
    cleanup_free char *after = all_rules();
    assert_string_equal(before, after);
    with(kind, ":INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n");
    nft("flush ruleset\n");
}

static void those_of_iptables(void **state)
{
    (void)state;
    static const char *const kinds[] = {"nft", "legacy"};
    need_playground();
    if (!has_iptables()) {
        print_message("# needs iptables-nft and iptables-legacy, and a kernel that has both\n");
        skip();
    }
    bridged_packets("0");
    build();
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        by_iptables(kinds[i], by_docker, "Docker drops what its guests send out", 4);
        by_iptables(kinds[i], by_rejects, "drops", 11);
        by_iptables(kinds[i], by_the_careful, NULL, 0);
    }
    destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_in_the_way),
        cmocka_unit_test(really),
        cmocka_unit_test(those_of_iptables),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
