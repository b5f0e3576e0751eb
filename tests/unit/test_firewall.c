/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules of networks as text: which kind has which, and where forwards lead. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "net/firewall.h"
#include "net/pool.h"
#include "scratch.h"

static struct error err;

/* The script of a network that has this definition. */
static char *script(const char *text)
{
    struct conf *c;
    cleanup_network struct network *n = NULL;

    assert_int_equal(conf_parse("text", text, strlen(text), &c, &err), 0);
    if (network_from_conf("n0", c, &n, &err) < 0)
        fail_msg("%s", err.text);
    return firewall_script(n);
}

static void has(const char *text, const char *what)
{
    if (!strstr(text, what))
        fail_msg("'%s' is not in:\n%s", what, text);
}

static void has_not(const char *text, const char *what)
{
    if (strstr(text, what))
        fail_msg("'%s' is in:\n%s", what, text);
}

#define A   "net.address = 10.87.0.1/24\n"
#define SIX "net.address = fd87::1/64\n"

static void kinds(void **state)
{
    (void)state;
    cleanup_free char *nat = script("net.kind = nat\n" A SIX);
    has(nat, "from-n0 ip saddr != { 10.87.0.0/24 } counter name \"drop-n0\" drop\n");
    has(nat, "ip saddr { 10.87.0.0/24 } ip daddr != { 224.0.0.0/4, 255.255.255.255 } masquerade\n");
    has(nat, "ip6 saddr { fd87::/64 } ip6 daddr != { ff00::/8 } masquerade\n");
    has(nat, "to-n0 counter name \"drop-n0\" drop\n");
    has(nat, "from-n0 oifname \"n0\" accept\n");
    has(nat, "taken-n0 { fd87::1 }");
    has(nat, "from-n0 ct status assured counter name \"out-n0\" return\n");
    has(nat, "guard-n0 meta l4proto tcp iif . @ll,48,64 . @nh,96,32 @own4-n0 accept\n");
    has(nat, "guard-n0 ip6 saddr != { ::, fe80::/10, fd87::/64 }");

    cleanup_free char *four = script("net.kind = nat\n" A "net.guard = off\n");
    has(four, "from-n0 meta nfproto ipv6 counter name \"drop-n0\" drop\n");
    has_not(four, "bridge");
    has_not(four, "ip6 saddr");

    cleanup_free char *routed = script("net.kind = routed\n" A);
    has_not(routed, "oifname != \"n0\" ip saddr");
    has_not(routed, "to-n0 counter name \"drop-n0\" drop");
    has(routed, "from-n0 ip saddr !=");

    cleanup_free char *isolated = script("net.kind = isolated\n" A "net.isolate = on\n");
    has(isolated, "from-n0 counter name \"drop-n0\" drop\n");
    has(isolated, "to-n0 counter name \"drop-n0\" drop\n");
    has(isolated, "from-n0 oifname \"n0\" counter name \"drop-n0\" drop\n");
    has_not(isolated, "nat hook");

    cleanup_free char *bridge = script("net.kind = bridge\nnet.port = e\nnet.guard = on\n");
    has_not(bridge, "from-n0 counter name \"drop-n0\" drop");
    has_not(bridge, "nat hook");
    has(bridge, "chain bridge pult guard-n0");
    cleanup_free char *direct = script("net.kind = direct\nnet.port = e\n");
    assert_string_equal(direct, "");
    cleanup_free char *user = script("net.kind = user\nnet.forward = tcp:1:a\n");
    assert_string_equal(user, "");
}

static void forwards(void **state)
{
    (void)state;
    static const char text[] =
        "net.kind = nat\n" A SIX
        "net.forward = tcp:80:web\nnet.forward = tcp:8080:web:80\nnet.forward = udp:50-52:web\n"
        "net.forward = udp:60-62:web:70\nnet.forward = tcp:192.0.2.1:443:10.87.0.9\n"
        "net.forward = tcp:[2001:db8::1]:22:web:2222\nnet.forward = tcp:99:nobody\n";
    struct conf *c;
    cleanup_network struct network *n = NULL;
    struct address a;
    const uint8_t mac[6] = {2, 0, 0, 0, 0, 7};

    close(networks_lock(&err));
    assert_int_equal(conf_parse("text", text, strlen(text), &c, &err), 0);
    if (network_from_conf("n0", c, &n, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(pool_take(n, "web", mac, false, NULL, &a, &err), 0);
    cleanup_free char *s = firewall_script(n);
    static const char *const chains[] = {"pre", "out"};
#define LOCAL "-n0 meta nfproto ipv4 fib daddr type local ip daddr != 127.0.0.0/8 "
    static const char *const rules[] = {
        LOCAL "tcp dport 80 dnat ip to 10.87.0.2\n",
        LOCAL "tcp dport 8080 dnat ip to 10.87.0.2:80\n",
        LOCAL "udp dport 50-52 dnat ip to 10.87.0.2\n",
        (LOCAL
         "udp dport 60-62 dnat ip to 10.87.0.2 : udp dport map { 60 : 70, 61 : 71, 62 : 72 }\n"),
        "-n0 meta nfproto ipv4 ip daddr 192.0.2.1 tcp dport 443 dnat ip to 10.87.0.9\n",
        "-n0 meta nfproto ipv6 ip6 daddr 2001:db8::1 tcp dport 22 dnat ip6 to "
        "[fd87::ff:fe00:7]:2222\n",
    };
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < ARRAY_SIZE(rules); j++) {
            cleanup_free char *rule = xasprintf("add rule inet pult %s%s", chains[i], rules[j]);
            has(s, rule);
        }
    has_not(s, "dport 99");
}

/* Each name is its network's alone, whatever networks are called. */
static void names(void **state)
{
    (void)state;
    static const char text[] = "net.kind = nat\n" A;
    static const char *const all[] = {"out", "to-x", "taken-x", "x", "nd-x", "from-"};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        struct conf *c;
        struct network *n;
        assert_int_equal(conf_parse("text", text, strlen(text), &c, &err), 0);
        assert_int_equal(network_from_conf(all[i], c, &n, &err), 0);
        cleanup_free char *s = firewall_script(n);
        cleanup_free char *a = xasprintf("add set bridge pult taken-%s {", all[i]);
        cleanup_free char *b = xasprintf("add chain inet pult out-%s {", all[i]);
        has(s, a);
        has(s, b);
        network_free(n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(forwards),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
