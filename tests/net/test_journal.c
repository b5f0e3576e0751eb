/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plans carried out and undone: step by step, with steps that fail, killed at every one of them, and
 * with guardians. Afterwards the host is what it was before, to the letter.
 */
/* timeout: 900 s */
#include "base/cleanup.h"
#include "net/journal.h"
#include "net/journal_private.h"
#include "net/kinds.h"
#include "net/network.h"
#include "net/step_private.h"
#include "netns.h"
#include "scratch.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct error err;

/* In a child that a test forked, a failure ends it, and does not go on with the next test. */
static bool is_child;

static void must(int rc, const char *what)
{
    if (rc >= 0)
        return;
    if (!is_child)
        fail_msg("%s: %s", what, err.text);
    fprintf(stderr, "in a child: %s: %s\n", what, err.text);
    _exit(3);
}
#define ok(call) must(call, #call)

/* Write a definition, completed. */
static void define(const char *name, const char *text)
{
    cleanup_conf struct conf *conf = NULL;
    cleanup_host struct host h = {0};
    cleanup_close int lock = networks_lock(&err);

    ok(lock);
    ok(conf_parse(name, text, strlen(text), &conf, &err));
    ok(host_look(&h, &err));
    ok(network_complete(name, conf, &h, &err));
    ok(network_store(name, conf, true, &err));
}

static void plan_of(const char *name, struct plan *p)
{
    cleanup_network struct network *n = NULL;
    cleanup_host struct host h = {0};

    ok(network_load(name, &n, &err));
    ok(host_look(&h, &err));
    ok(network_plan(n, &h, p, &err));
}

static enum network_state state_of(const char *name)
{
    cleanup_journal struct journal j = {0};

    ok(journal_read(name, &j, &err));
    return j.state;
}

static void check_steps(const char *name)
{
    cleanup_journal struct journal j = {0};

    ok(journal_read(name, &j, &err));
    for (size_t i = 0; i < j.plan.count; i++) {
        const struct step *s = &j.plan.steps[i];
        cleanup_free char *proof = step_say(s, s->op->proof, false);
        assert_int_equal(s->state, STEP_DONE);
        if (s->op->check && s->op->check(s, &err) < 0)
            fail_msg("not so: %s: %s", proof, err.text);
    }
}

/* All that pult could have changed: the network as the kernel has it, its switches, its rules. */
static char *everything(void)
{
    cleanup_free char *host = look();
    cleanup_free char *four = sysctl_read("net/ipv4/ip_forward");
    cleanup_free char *six = sysctl_read("net/ipv6/conf/all/forwarding");
    cleanup_free char *ra = sysctl_read("net/ipv6/conf/eth9/accept_ra");
    cleanup_free char *own = sysctl_read("net/ipv6/conf/eth8/forwarding");
    sh("nft list ruleset >rules.txt; true");
    cleanup_free char *rules = scratch_read("rules.txt");

    return xasprintf("%sforwarding %s %s, %s, accept_ra %s\n%s", host, four, six, own ? own : "-",
                     ra ? ra : "-", rules);
}

static void make_world(void)
{
    sh("sysctl -qw net.ipv6.conf.eth8.forwarding=1 net.ipv6.conf.eth9.accept_ra=1");
}

static const char *const nat = "net.kind = nat\nnet.forward = tcp:8080:web1:80\n";
static const char *const over_nic = "net.kind = bridge\nnet.port = eth9\n";
static const char *const kinds[][2] = {
    {"nat0", nat},
    {"rou0", "net.kind = routed\nnet.mtu = 1400\n"},
    {"iso0", "net.kind = isolated\nnet.isolate = yes\n"},
    {"inner0", "net.kind = bridge\n"},
    {"guarded0", "net.kind = bridge\nnet.guard = yes\nnet.address = 10.44.0.1/24\n"},
    {"dir0", "net.kind = direct\nnet.port = eth8\n"},
    {"usr0", "net.kind = user\n"},
    {"br0", over_nic},
    {"br1", "net.kind = bridge\nnet.port = eth8\nnet.mtu = 1400\n"},
};

static void every_kind(void **state)
{
    (void)state;
    need_world();
    make_world();
    cleanup_free char *before = everything();
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const char *name = kinds[i][0];
        cleanup_plan struct plan p = {0};
        define(name, kinds[i][1]);
        plan_of(name, &p);
        cleanup_free char *planned = everything();
        assert_same_host(before, planned); /* a plan changes nothing */
        ok(journal_apply(&p, CONFIRM_SECONDS, NULL, NULL, &err));
        assert_int_equal(state_of(name), plan_risky(&p) ? NETWORK_UNCONFIRMED : NETWORK_UP);
        check_steps(name);
        if (plan_risky(&p))
            ok(journal_confirm(name, &err));
        assert_int_equal(state_of(name), NETWORK_UP);
        assert_int_equal(journal_apply(&p, 1, NULL, NULL, &err), -1);
        assert_int_equal(err.code, EBUSY);
        ok(journal_undo(name, NULL, NULL, &err));
        assert_int_equal(state_of(name), NETWORK_DOWN);
        ok(journal_undo(name, NULL, NULL, &err));
        ok(network_forget(name, &err));
        cleanup_free char *after = everything();
        assert_same_host(before, after);
    }
}

/* What the NIC had, its bridge has, in the order in which it was. */
static void moved_exactly(void **state)
{
    (void)state;
    need_world();
    make_world();
    cleanup_free char *before = look();
    sh("ip -4 -o address show dev eth9 | sed 's/.*inet //; s/eth9.*//; s/ dynamic//' >four.txt;"
       "ip -6 -o address show dev eth9 scope global | sed 's/.*inet6 //; s/ .*//' >six.txt");
    cleanup_plan struct plan p = {0};
    define("br0", over_nic);
    plan_of("br0", &p);
    ok(journal_apply(&p, CONFIRM_SECONDS, NULL, NULL, &err));
    sh("ip -4 -o address show dev br0 | sed 's/.*inet //; s/br0.*//; s/ dynamic//' | diff four.txt "
       "-;"
       "ip -6 -o address show dev br0 scope global | sed 's/.*inet6 //; s/ .*//' | diff six.txt -;"
       "test -z \"$(ip -4 address show dev eth9 | grep inet)\";"
       "test -z \"$(ip -6 address show dev eth9 scope global | grep inet)\";"
       "test -z \"$(ip route show table all dev eth9 | grep -v ^multicast | grep -v fe80)\";"
       "ip rule | grep -q 'iif br0'; ip -6 rule | grep -q 'iif br0';"
       "ip -6 -o address show dev br0 | grep -q ' fe80::99/64 ';" /* by hand */
       "ip -4 -o address show dev br0 | grep -q ' 169.254.9.9/16 ';"
       "test -z \"$(ip -o address show dev eth9 | grep -e fe80::99 -e 169.254)\";"
       "ip route get 198.51.100.7 | grep -q 'via 10.1.0.1 dev br0 src 10.1.0.2';"
       "ip link show dev eth9 | grep -q 'master br0'");
    cleanup_host struct host h = {0};
    ok(host_look(&h, &err));
    assert_memory_equal(host_link(&h, "br0")->mac, host_link(&h, "eth9")->mac, 6);
    ok(journal_undo("br0", NULL, NULL, &err));
    cleanup_free char *after = look();
    assert_same_host(before, after);
    sh("ip -4 -o address show dev eth9 | sed 's/.*inet //; s/eth9.*//; s/ dynamic//' | diff "
       "four.txt -;"
       "ip -6 -o address show dev eth9 scope global | sed 's/.*inet6 //; s/ .*//' | diff six.txt "
       "-;"
       "test $(ip -o address show dev eth9 | grep -c -e ' fe80::99/64 ' -e ' 169.254.9.9/16 ') = "
       "2");
}

/* A failing step: those before it are undone. Each step fails once. */
static void failing_steps(void **state)
{
    (void)state;
    need_world();
    make_world();
    cleanup_free char *before = everything();
    define("nat0", nat);
    cleanup_plan struct plan p = {0};
    plan_of("nat0", &p);
    for (size_t i = 0; i <= p.count; i++) {
        cleanup_plan struct plan part = {0};
        strcpy(part.network, p.network);
        for (size_t k = 0; k < i; k++) {
            char *const *a = p.steps[k].args;
            plan_add(&part, p.steps[k].op->name, a[0], a[1], a[2], a[3], a[4], a[5], (char *)NULL);
        }
        plan_add(&part, "route-add", "4", "198.51.100.0/24 via 203.0.113.1", NULL);
        assert_int_equal(journal_apply(&part, 0, NULL, NULL, &err), -1);
        assert_non_null(strstr(err.text, "198.51.100.0/24"));
        assert_int_equal(state_of("nat0"), NETWORK_DOWN);
        cleanup_free char *after = everything();
        assert_same_host(before, after);
    }
}

/* A step that hangs, when the NIC is the bridge's already: the time runs from there on. */
static void hanging_step(void **state)
{
    (void)state;
    need_world();
    make_world();
    cleanup_free char *before = everything();
    define("br0", over_nic);
    cleanup_plan struct plan p = {0};
    plan_of("br0", &p);
    plan_add(&p, "mend", "somebody", "sleep 600", "true", NULL);
    assert_int_equal(guardian_work_seconds, 15);
    guardian_work_seconds = 3;
    assert_int_equal(journal_apply(&p, 2, NULL, NULL, &err), -1);
    guardian_work_seconds = 15;
    assert_non_null(strstr(err.text, "took more than 3 seconds"));
    assert_non_null(strstr(err.text, "was put back"));
    assert_int_equal(state_of("br0"), NETWORK_DOWN);
    cleanup_free char *after = everything();
    assert_same_host(before, after);
}

/* ---- killed at every step ---- */

struct blow {
    unsigned after; /* this many words of progress */
    bool guardian;  /* who is meant */
    bool both;
    bool bold;
};

static void strike(void *arg, const struct plan *p, size_t step, bool undoing)
{
    struct blow *b = arg;
    cleanup_journal struct journal j = {0};

    (void)step;
    (void)undoing;
    if (b->after-- > 0)
        return;
    if ((b->guardian || b->both) && journal_read(p->network, &j, NULL) == 0 && j.guardian)
        kill(j.guardian, SIGKILL);
    if (!b->guardian)
        kill(getpid(), SIGKILL);
}

/* In a process of its own. The signal that ended it, or 0; *rc is what it returned. */
static int in_child(int (*f)(const char *name, struct blow *b), const char *name, struct blow b,
                    int *rc)
{
    int status;

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        is_child = true;
        _exit(f(name, &b) < 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    *rc = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* With `bold`, here and not by a guardian: then it is the one at work who is killed. */
static int apply_it(const char *name, struct blow *b)
{
    cleanup_plan struct plan p = {0};

    plan_of(name, &p);
    for (size_t i = 0; i < p.count && b->bold; i++) {
        free(p.steps[i].risk);
        p.steps[i].risk = NULL;
    }
    return journal_apply(&p, 1, strike, b, &err);
}

static int undo_it(const char *name, struct blow *b)
{
    return journal_undo(name, strike, b, &err);
}

/* What pult does at each call, until nobody is at work any more. */
static enum network_state settle(const char *name)
{
    for (unsigned i = 0; i < 1000; i++) {
        ok(journal_recover(&err));
        if (state_of(name) == NETWORK_DOWN || state_of(name) == NETWORK_UP)
            break;
        usleep(10000);
    }
    return state_of(name);
}

/*
 * A bridge over this NIC takes so many steps that they are taken in strides; all of them where
 * PULT_TEST_EVERY is set.
 */
static unsigned stride(unsigned usual)
{
    return getenv("PULT_TEST_EVERY") ? 1 : usual;
}

static void killed_applying(const char *name, const char *text, unsigned step, unsigned least)
{
    cleanup_free char *before = everything();
    unsigned k = 0;
    int rc;

    define(name, text);
    for (; in_child(apply_it, name, (struct blow){.after = k, .bold = true}, &rc) == SIGKILL;
         k += step) {
        assert_int_equal(settle(name), NETWORK_DOWN);
        cleanup_free char *after = everything();
        assert_same_host(before, after);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(state_of(name), NETWORK_UP);
    check_steps(name);
    print_message("# %s: killed %u times while applying\n", name, (k + step - 1) / step);
    assert_true(k >= least);
}

static void killed_undoing(const char *name, unsigned step, unsigned least)
{
    struct blow never = {.after = ~0u, .bold = true};
    unsigned k = 0;
    int rc;

    cleanup_free char *before = everything();
    for (; in_child(undo_it, name, (struct blow){.after = k}, &rc) == SIGKILL; k += step) {
        assert_int_equal(settle(name), NETWORK_DOWN);
        ok(apply_it(name, &never));
        cleanup_free char *after = everything();
        assert_same_host(before, after);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(settle(name), NETWORK_DOWN);
    print_message("# %s: killed %u times while undoing\n", name, (k + step - 1) / step);
    assert_true(k >= least);
}

/* least: so many words of progress there are at least, both ways. */
static void killed(const char *name, const char *text, unsigned step, unsigned least)
{
    need_world();
    make_world();
    cleanup_free char *before = everything();
    killed_applying(name, text, step, least);
    killed_undoing(name, step, least);
    cleanup_free char *after = everything();
    assert_same_host(before, after);
}

static void killed_nat(void **state)
{
    (void)state;
    killed("nat0", nat, stride(3), 20);
}

static void killed_routed(void **state)
{
    (void)state;
    killed("rou0", "net.kind = routed\nnet.mtu = 1400\n", stride(9), 20);
}

static void killed_isolated(void **state)
{
    (void)state;
    killed("iso0", "net.kind = isolated\nnet.isolate = yes\nnet.tap = tap9,user=1234\n", stride(9),
           10);
}

/* Each step that there is, of one that is not much more than a tap. */
static void killed_tap(void **state)
{
    (void)state;
    killed("inner1", "net.kind = bridge\nnet.tap = tap9,user=1234\nnet.tap = tap8,group=7\n", 1, 8);
}

/* On a NIC that is off: else nothing has to be done for it. */
static void killed_direct(void **state)
{
    (void)state;
    need_world();
    sh("ip link set eth7 down");
    killed("dir0", "net.kind = direct\nnet.port = eth7\n", 1, 2);
    sh("ip link set eth7 up");
}

static void killed_bridge(void **state)
{
    (void)state;
    killed("br0", over_nic, stride(11), 100);
}

/* A VLAN that the network makes, and one that the host has, with an address. */
static void killed_vlan(void **state)
{
    (void)state;
    static const char *const text = "net.kind = bridge\nnet.port = eth8\nnet.vlan = 7\n";
    need_world();
    if (system("ip link add link eth8 name eth8.7 type vlan id 7 2>/dev/null") != 0) {
        print_message("# needs a kernel that has VLANs\n");
        skip();
    }
    sh("ip link del eth8.7");
    killed("br1", text, stride(5), 10);
    ok(network_forget("br1", &err));
    sh("ip link add link eth8 name eth8.7 type vlan id 7; ip link set eth8.7 up;"
       "ip address add 10.11.0.2/24 dev eth8.7; ip address add fd11::2/64 dev eth8.7 nodad;"
       "ip route add 10.12.0.0/16 via 10.11.0.1");
    killed("br1", text, stride(9), 20);
    sh("ip link del eth8.7");
}

/* The one who asks is killed: his guardian goes on, and takes all back, as nobody confirms. */
static void killed_asker(void **state)
{
    (void)state;
    need_world();
    make_world();
    cleanup_free char *before = everything();
    int rc;
    define("br0", over_nic);
    for (unsigned k = 0; in_child(apply_it, "br0", (struct blow){.after = k}, &rc) == SIGKILL;
         k += 29) {
        assert_int_equal(settle("br0"), NETWORK_DOWN);
        cleanup_free char *after = everything();
        assert_same_host(before, after);
    }
    assert_int_equal(settle("br0"), NETWORK_DOWN); /* nobody confirmed the last one either */
    /* And he who takes it back. */
    cleanup_plan struct plan p = {0};
    for (unsigned k = 0; k < 100; k += 33) {
        plan_of("br0", &p);
        ok(journal_apply(&p, CONFIRM_SECONDS, NULL, NULL, &err));
        ok(journal_confirm("br0", &err));
        plan_clear(&p);
        in_child(undo_it, "br0", (struct blow){.after = k}, &rc);
        assert_int_equal(settle("br0"), NETWORK_DOWN);
        cleanup_free char *after = everything();
        assert_same_host(before, after);
    }
}

/* Its guardian is killed, or both at once. */
static void killed_guardian(void **state)
{
    (void)state;
    need_world();
    make_world();
    cleanup_free char *before = everything();
    define("br0", over_nic);
    cleanup_plan struct plan p = {0};
    plan_of("br0", &p);
    int rc;
    for (unsigned k = 0; k < p.count * 2; k += 23)
        for (int both = 0; both < 2; both++) {
            in_child(apply_it, "br0", (struct blow){.after = k, .guardian = !both, .both = both},
                     &rc);
            assert_int_equal(settle("br0"), NETWORK_DOWN);
            cleanup_free char *after = everything();
            assert_same_host(before, after);
        }
}

/* ---- guardians ---- */

static void apply_for(const char *name, unsigned seconds)
{
    cleanup_plan struct plan p = {0};

    plan_of(name, &p);
    assert_true(plan_risky(&p));
    ok(journal_apply(&p, seconds, NULL, NULL, &err));
    assert_int_equal(state_of(name), NETWORK_UNCONFIRMED);
}

/* Without anybody calling pult. */
static void wait_down(const char *name)
{
    const uint64_t start = now_mono_ns();

    while (state_of(name) != NETWORK_DOWN)
        if (now_mono_ns() - start > 20000000000ull)
            fail_msg("the guardian did not take '%s' back", name);
        else
            usleep(5000);
}

static pid_t guardian_of(const char *name)
{
    cleanup_journal struct journal j = {0};

    ok(journal_read(name, &j, &err));
    return j.guardian;
}

static void guardians(void **state)
{
    (void)state;
    need_world();
    make_world();
    cleanup_free char *before = everything();
    define("br0", over_nic);
    /* Nobody confirms. */
    apply_for("br0", 1);
    wait_down("br0");
    cleanup_free char *after = everything();
    assert_same_host(before, after);
    assert_int_equal(journal_confirm("br0", &err), -1);
    /* Somebody does; the signals that end sessions do not end a guardian. */
    apply_for("br0", 1);
    const pid_t guardian = guardian_of("br0");
    assert_int_not_equal(getpgid(guardian), getpgrp());
    assert_int_not_equal(getsid(guardian), getsid(0));
    for (int n = 1; n < 16; n++)
        if (n != SIGKILL && n != SIGILL && n != SIGTRAP && n != SIGABRT && n != SIGBUS &&
            n != SIGFPE && n != SIGSEGV)
            kill(guardian, n);
    ok(journal_confirm("br0", &err));
    while (guardian_alive("br0"))
        usleep(5000);
    assert_int_equal(settle("br0"), NETWORK_UP);
    check_steps("br0");
    /* What was confirmed comes up again without a question, as long as it is the same. */
    ok(network_down("br0", false, &err));
    cleanup_free char *down = everything();
    assert_same_host(before, down);
    ok(network_up("br0", &err));
    assert_int_equal(state_of("br0"), NETWORK_UP);
    ok(network_down("br0", false, &err));
    sh("echo net.autostart = yes >>home/networks/br0.conf");
    assert_int_equal(network_up("br0", &err), -1);
    assert_non_null(strstr(err.text, "pult network apply br0"));
    /* Taken back before the time is up. */
    apply_for("br0", CONFIRM_SECONDS);
    ok(journal_undo("br0", NULL, NULL, &err));
    assert_int_equal(state_of("br0"), NETWORK_DOWN);
    /* The guardian is killed while it waits: the next call of pult sets up another. */
    apply_for("br0", 2);
    kill(guardian_of("br0"), SIGKILL);
    while (guardian_alive("br0"))
        usleep(1000);
    ok(journal_recover(&err));
    wait_down("br0");
    cleanup_free char *last = everything();
    assert_same_host(before, last);
}

/* ---- the rest ---- */

/* Two networks need forwarding: it is switched off with the second, whichever that is. */
static void shared_switches(void **state)
{
    (void)state;
    need_world();
    make_world();
    cleanup_free char *before = everything();
    define("nat0", nat);
    define("nat1", "net.kind = nat\n");
    for (int first = 0; first < 2; first++) {
        cleanup_free char *now = NULL, *then = NULL, *ra = NULL;
        ok(network_up("nat0", &err));
        ok(network_up("nat1", &err));
        ok(network_down(first ? "nat1" : "nat0", false, &err));
        now = sysctl_read("net/ipv4/ip_forward");
        then = sysctl_read("net/ipv6/conf/all/forwarding");
        ra = sysctl_read("net/ipv6/conf/eth9/accept_ra");
        assert_string_equal(now, "1");
        assert_string_equal(then, "1");
        assert_string_equal(ra, "2");
        ok(network_down(first ? "nat0" : "nat1", false, &err));
        cleanup_free char *after = everything();
        assert_same_host(before, after);
    }
}

/* Steps are added to a network that is up, in place of others, or not at all. */
static void amending(void **state)
{
    (void)state;
    need_world();
    make_world();
    cleanup_free char *before = everything();
    define("nat0", nat);
    cleanup_plan struct plan more = {.network = "nat0"}, bad = {.network = "nat0"};
    plan_add(&more, "address-add", "nat0", "10.99.0.1/24 scope global", NULL);
    assert_int_equal(journal_amend(&more, NULL, &err), -1); /* it is down */
    ok(network_up("nat0", &err));
    cleanup_free char *up = everything();
    ok(journal_amend(&more, NULL, &err));
    check_steps("nat0");
    plan_add(&bad, "address-add", "nat0", "10.98.0.1/24 scope global", NULL);
    plan_add(&bad, "route-add", "4", "198.51.100.0/24 via 203.0.113.1", NULL);
    cleanup_free char *one = everything();
    assert_int_equal(journal_amend(&bad, "address-add", &err), -1);
    cleanup_free char *same = everything();
    assert_same_host(one, same);
    check_steps("nat0");
    plan_clear(&more);
    strcpy(more.network, "nat0");
    plan_add(&more, "firewall", "nat0", NULL);
    ok(journal_amend(&more, "firewall", &err));
    check_steps("nat0");
    assert_string_not_equal(up, one);
    ok(network_down("nat0", false, &err));
    cleanup_free char *after = everything();
    assert_same_host(before, after);
}

static void refusals(void **state)
{
    (void)state;
    need_world();
    make_world();
    cleanup_host struct host h = {0};
    static const char *const wrong[][3] = {
        {"eth9", "net.kind = nat\n", "an interface 'eth9' already"},
        {"nat0", "net.kind = nat\nnet.address = 10.1.0.9/24\n", "eth9"},
        {"br0", "net.kind = bridge\nnet.port = nic7\n", "no interface 'nic7'"},
        {"br0", "net.kind = bridge\nnet.port = lo\n", "lo leads nowhere"},
        {"dir0", "net.kind = direct\nnet.port = eth9\nnet.mtu = 9000\n", "has only 1500"},
    };
    ok(host_look(&h, &err));
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        cleanup_network struct network *n = NULL;
        cleanup_plan struct plan p = {0};
        struct conf *conf;
        ok(conf_parse(wrong[i][0], wrong[i][1], strlen(wrong[i][1]), &conf, &err));
        ok(network_complete(wrong[i][0], conf, &h, &err));
        ok(network_from_conf(wrong[i][0], conf, &n, &err));
        assert_int_equal(network_plan(n, &h, &p, &err), -1);
        if (!strstr(err.text, wrong[i][2]))
            fail_msg("'%s' has no '%s'", err.text, wrong[i][2]);
    }
    /* A bridge that is there is used as it is. */
    sh("ip link add br7 type bridge");
    cleanup_free char *before = everything();
    define("br7", "net.kind = bridge\n");
    ok(network_up("br7", &err));
    ok(network_down("br7", false, &err));
    cleanup_free char *after = everything();
    assert_same_host(before, after);
    sh("ip link del br7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(every_kind),      world_test(moved_exactly),   world_test(failing_steps),
        world_test(hanging_step),    world_test(killed_nat),      world_test(killed_bridge),
        world_test(killed_routed),   world_test(killed_isolated), world_test(killed_direct),
        world_test(killed_tap),      world_test(killed_vlan),     world_test(killed_asker),
        world_test(killed_guardian), world_test(guardians),       world_test(shared_switches),
        world_test(amending),        world_test(refusals),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
