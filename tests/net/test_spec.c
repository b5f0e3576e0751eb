/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses, routes and rules as text: made from a host's, and read back to the very same. */
#include "net/plan.h"
#include "net/rtnl.h"
#include "net/spec.h"
#include "netns.h"
#include "scratch.h"
#include "world.h"

#include <linux/rtnetlink.h>

static struct error err;

/* Each object by itself is taken away, and given back. */
static void there_and_back(const char *op, const char *a, const char *spec, bool whole)
{
    cleanup_plan struct plan p = {0};
    const struct step *s = plan_add(&p, op, a, spec, NULL);
    cleanup_free char *before = look();

    if (!whole)
        fail_msg("not told wholly: %s", spec);
    if (s->op->apply(s, &err) < 0 || s->op->check(s, &err) < 0)
        fail_msg("%s %s: %s", op, spec, err.text);
    assert_int_equal(s->op->apply(s, &err), 0); /* what is so already */
    cleanup_free char *without = look();
    assert_string_not_equal(before, without);
    if (s->op->undo(s, &err) < 0)
        fail_msg("%s %s: %s", op, spec, err.text);
    assert_int_not_equal(s->op->check(s, &err), 0);
    assert_int_equal(s->op->undo(s, &err), 0);
    cleanup_free char *after = look();
    if (!str_eq(before, after))
        print_message("# %s %s\n", op, spec);
    assert_same_host(before, after);
}

static void routes(void **state)
{
    (void)state;
    need_world();
    cleanup_host struct host h = {0};
    assert_int_equal(host_look(&h, &err), 0);
    size_t seen = 0;
    for (size_t i = 0; i < h.route_count; i++)
        if (!h.routes[i].kernel) {
            there_and_back("route-del", h.routes[i].to.family == AF_INET6 ? "6" : "4",
                           h.routes[i].spec, h.routes[i].whole);
            seen++;
        }
    assert_int_equal(seen, 18);
}

static void rules(void **state)
{
    (void)state;
    need_world();
    cleanup_host struct host h = {0};
    assert_int_equal(host_look(&h, &err), 0);
    assert_int_equal(h.rule_count, 13);
    for (size_t i = 0; i < h.rule_count; i++)
        there_and_back("rule-del", h.rules[i].family == AF_INET6 ? "6" : "4", h.rules[i].spec,
                       h.rules[i].whole);
}

/* With all that depends on them: so the other way round, onto an interface that has none. */
static void addresses(void **state)
{
    (void)state;
    need_world();
    cleanup_host struct host h = {0};
    assert_int_equal(host_look(&h, &err), 0);
    const int index = host_link(&h, "eth9")->index;
    size_t seen = 0;
    sh("ip address flush dev eth9 scope global; ip address flush dev eth9 scope link");
    for (size_t i = 0; i < h.address_count; i++)
        if (h.addresses[i].index == index && !h.addresses[i].kernel) {
            there_and_back("address-add", "eth9", h.addresses[i].spec, h.addresses[i].whole);
            seen++;
        }
    assert_int_equal(seen, 12);
}

static void words(void **state)
{
    (void)state;
    static const char *const spec = "default via 10.0.0.1 dev eth0 nexthop dev eth0 expires 7sec";
    char out[16];
    cleanup_free char *a = spec_replace(spec, "dev", "eth0", "br0");
    cleanup_free char *b = spec_replace(spec, "dev", "eth1", "br0");
    cleanup_free char *c = spec_replace(spec, "via", NULL, NULL);
    cleanup_free char *d = spec_timeless(spec);
    cleanup_free char *e = spec_drop("1.2.3.4/8  nodad home", "nodad");
    assert_string_equal(a, "default via 10.0.0.1 dev br0 nexthop dev br0 expires 7sec");
    assert_string_equal(b, spec);
    assert_string_equal(c, "default dev eth0 nexthop dev eth0 expires 7sec");
    assert_string_equal(d, "default via 10.0.0.1 dev eth0 nexthop dev eth0 expires dynamic");
    assert_string_equal(e, "1.2.3.4/8 home");
    assert_true(spec_has(spec, "dev", "eth0"));
    assert_true(spec_has(spec, "nexthop", NULL));
    assert_false(spec_has(spec, "dev", "eth1"));
    assert_false(spec_has("a dev", "dev", "eth1"));
    assert_string_equal(spec_value(spec, "via", out, sizeof(out)), "10.0.0.1");
    assert_string_equal(spec_value(spec, "src", out, sizeof(out)), "");
}

static void wrong(void **state)
{
    (void)state;
    static const char *const of_routes[] = {"",
                                            "default via",
                                            "default via x",
                                            "10.0.0.0/33",
                                            "fd00::/8",
                                            "default dev no-such-dev",
                                            "default metric x",
                                            "default metric 4294967296",
                                            "default mtu lock",
                                            "default hello 7",
                                            "default nexthop weight 300"};
    static const char *const of_rules[] = {"",
                                           "pref 7",
                                           "pref x lookup 7",
                                           "from fd00::/8 lookup 7",
                                           "lookup",
                                           "pref 5 from 10.0.0.0/8 hello 8"};
    static const char *const of_addresses[] = {"",
                                               "10.0.0.1/33",
                                               "10.0.0.1 hello",
                                               "10.0.0.1 brd",
                                               "10.0.0.1 brd fd00::1",
                                               "fd00::1 peer 10.0.0.1",
                                               "10.0.0.1 valid_lft x"};

    for (size_t i = 0; i < ARRAY_SIZE(of_routes); i++)
        assert_null(spec_to_route(AF_INET, of_routes[i], RTM_NEWROUTE, 0, &err));
    for (size_t i = 0; i < ARRAY_SIZE(of_rules); i++)
        assert_null(spec_to_rule(AF_INET, of_rules[i], RTM_NEWRULE, 0, &err));
    for (size_t i = 0; i < ARRAY_SIZE(of_addresses); i++)
        assert_null(spec_to_address(of_addresses[i], "lo", RTM_NEWADDR, 0, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(routes),      world_test(rules),       world_test(addresses),
        cmocka_unit_test(words), cmocka_unit_test(wrong),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
