/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who gets which address of a network, and keeps it; what its server gave out. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>

#include "base/cleanup.h"
#include "net/pool.h"
#include "net/server.h"
#include "scratch.h"

static struct error err;
static const uint8_t mac1[6] = {2, 0, 0, 0, 0, 1}, mac2[6] = {2, 0, 0, 0, 0, 2},
                     mac3[6] = {2, 0, 0, 0, 0, 3};

static struct network *network(const char *text)
{
    struct conf *c;
    struct network *n;
    int lock = networks_lock(&err);

    assert_true(lock >= 0);
    close(lock);
    assert_int_equal(conf_parse("text", text, strlen(text), &c, &err), 0);
    if (network_from_conf("nat0", c, &n, &err) < 0)
        fail_msg("%s", err.text);
    return n;
}

static const char *take(const struct network *n, const char *guest, const uint8_t mac[6],
                        const char *wanted)
{
    static char text[ADDRESS_TEXT];
    struct address w = {0}, a;

    if (wanted)
        assert_int_equal(address_parse(wanted, &w, &err), 0);
    if (pool_take(n, guest, mac, false, wanted ? &w : NULL, &a, &err) < 0)
        return "-";
    return address_text(&a, false, text);
}

#define NAT "net.kind = nat\nnet.address = 10.87.0.1/24\nnet.dhcp = 10.87.0.2-10.87.0.4\n"

static void lasting(void **state)
{
    (void)state;
    cleanup_network struct network *n = network(NAT);
    struct address a;
    uint8_t mac[6];

    assert_string_equal(take(n, "web1", mac1, NULL), "10.87.0.2/24");
    assert_string_equal(take(n, "web2", mac2, NULL), "10.87.0.3/24");
    assert_string_equal(take(n, "web1", mac1, NULL), "10.87.0.2/24");
    assert_string_equal(take(n, "web1", mac3, NULL), "10.87.0.4/24");
    assert_string_equal(take(n, "more", (const uint8_t[6]){2, 9}, NULL), "-");
    assert_non_null(strstr(err.text, "no free address"));

    /* The first card is what the name leads to. */
    assert_int_equal(pool_find("nat0", "web1", &a, mac), 0);
    assert_int_equal(a.bytes[3], 2);
    assert_memory_equal(mac, mac1, 6);
    assert_int_equal(pool_release("nat0", "web1", &err), 0);
    assert_int_equal(pool_release("nat0", "web1", &err), 0);
    assert_int_equal(pool_find("nat0", "web1", &a, NULL), -1);
    assert_int_equal(a.family, 0);
    assert_string_equal(take(n, "more", (const uint8_t[6]){2, 9}, NULL), "10.87.0.2/24");
    cleanup_free char *text = scratch_read("home/networks/nat0.hosts");
    assert_string_equal(text,
                        "02:00:00:00:00:02,10.87.0.3,web2\n02:09:00:00:00:00,10.87.0.2,more\n");
}

static void wanted(void **state)
{
    (void)state;
    cleanup_network struct network *n = network(NAT);

    assert_string_equal(take(n, "a", mac1, "10.87.0.77"), "10.87.0.77/24");
    assert_string_equal(take(n, "b", mac2, "10.87.0.77"), "-");
    assert_int_equal(err.code, EADDRINUSE);
    assert_non_null(strstr(err.text, "'a'"));
    assert_string_equal(take(n, "b", mac2, "10.88.0.7"), "-");
    assert_string_equal(take(n, "b", mac2, "10.87.0.1"), "-");
    assert_string_equal(take(n, "b", mac2, "10.87.0.0"), "-");
    assert_string_equal(take(n, "b", mac2, "10.87.0.255"), "-");
    assert_string_equal(take(n, "b", mac2, "fd00::1"), "-");
    assert_string_equal(take(n, "b", mac2, NULL), "10.87.0.2/24");
    assert_string_equal(take(n, "b", mac2, "10.87.0.3"), "10.87.0.3/24");
    assert_string_equal(take(n, "a", mac1, NULL), "10.87.0.77/24");
    /* The network moved: so does the guest. */
    cleanup_network struct network *m = network("net.kind = nat\nnet.address = 10.9.0.1/24\n");
    assert_string_equal(take(m, "a", mac1, NULL), "10.9.0.2/24");
}

static void without_range(void **state)
{
    (void)state;
    cleanup_network struct network *n =
        network("net.kind = isolated\nnet.address = 10.87.0.2/29\nnet.dhcp = off\n");
    cleanup_network struct network *none = network("net.kind = bridge\n");
    cleanup_network struct network *six = network("net.kind = nat\nnet.address = fd00:1::1/64\n");
    char text[ADDRESS_TEXT];
    struct address a;

    assert_string_equal(take(n, "a", mac1, NULL), "10.87.0.1/29");
    assert_string_equal(take(n, "b", mac2, NULL), "10.87.0.3/29");
    assert_string_equal(take(none, "a", mac1, NULL), "");
    assert_string_equal(take(six, "a", mac1, NULL), "");
    pool_address6(six, (const uint8_t[6]){0x02, 0x12, 0x34, 0x56, 0x78, 0x9a}, &a);
    assert_string_equal(address_text(&a, false, text), "fd00:1::12:34ff:fe56:789a/64");
    pool_address6(n, mac1, &a);
    assert_int_equal(a.family, 0);
}

/* Taps of the definition: planned without being taken, and taken as planned. */
static void taps(void **state)
{
    (void)state;
    cleanup_network struct network *n =
        network(NAT "net.tap = t1,user=root\nnet.tap = t2,user=root,address=10.87.0.2\n"
                    "net.tap = t3,user=root\n");
    cleanup_network struct network *bridge = network("net.kind = bridge\nnet.tap = t,user=root\n");
    struct address a[NET_TAPS], again[NET_TAPS];
    char text[ADDRESS_TEXT];

    assert_int_equal(pool_plan_taps(bridge, a, &err), 0);
    assert_int_equal(a[0].family, 0);
    assert_int_equal(pool_plan_taps(n, a, &err), 0);
    assert_string_equal(address_text(&a[0], false, text), "10.87.0.3/24");
    assert_string_equal(address_text(&a[1], false, text), "10.87.0.2/24");
    assert_string_equal(address_text(&a[2], false, text), "10.87.0.4/24");
    /* What is promised is given to nobody else; what was only planned is. */
    assert_string_equal(take(n, "web", mac1, "10.87.0.2"), "-");
    assert_non_null(strstr(err.text, "'t2'"));
    assert_int_equal(pool_take_tap(n, &n->taps[0], &a[0], &err), 0);
    assert_string_equal(take(n, "t1", mac1, NULL), "10.87.0.4/24");
    assert_int_equal(pool_plan_taps(n, again, &err), -1);
    assert_non_null(strstr(err.text, "the tap 't3'"));
    /* A guest of a tap's name is another one. */
    assert_int_equal(pool_release("nat0", "t1", &err), 0);
    assert_int_equal(pool_plan_taps(n, again, &err), 0);
    assert_true(address_equal(&again[0], &a[0]) && address_equal(&again[2], &a[2]));
    assert_int_equal(pool_release_tap("nat0", "t1", &err), 0);
    assert_string_equal(take(n, "web", mac1, NULL), "10.87.0.3/24");
    assert_int_equal(pool_release("nat0", "web", &err), 0);
}

static void leases(void **state)
{
    (void)state;
    cleanup_network struct network *n = network(NAT);
    struct lease *all;
    size_t count;

    assert_int_equal(server_leases("nat0", &all, &count, &err), 0);
    assert_int_equal(count, 0);
    free(all);
    scratch_write("home/networks/nat0.leases",
                  "1800000000 02:00:00:00:00:02 10.87.0.3 web\x1b[2J 01:02:00:00:00:00:02\n"
                  "0 02:00:00:00:00:03 10.87.0.4 * *\n"
                  "nonsense\n\n1 2 3 4 5\n1800000000 02:00:00:00:00 10.87.0.9 x *\n"
                  "1800000000 02:00:00:00:00:09 10.87.0.9/24 x *\n"
                  "duid 00:01:00:01:2a:3b\n"
                  "1800000000 33685507 fd00::5 web2 00:01\n");
    assert_int_equal(server_leases("nat0", &all, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_memory_equal(all[0].mac, mac2, 6);
    assert_string_equal(all[0].name, "web?[2J");
    assert_int_equal(all[0].expires, 1800000000);
    assert_int_equal(all[0].address.bytes[3], 3);
    assert_string_equal(all[1].name, "");
    assert_int_equal(all[1].expires, 0);
    free(all);
    /* What a client holds that is none of ours is not given away. */
    assert_string_equal(take(n, "a", mac1, NULL), "10.87.0.2/24");
    assert_string_equal(take(n, "b", (const uint8_t[6]){2, 9}, NULL), "-");
    assert_string_equal(take(n, "c", mac3, NULL), "10.87.0.4/24");
}

/* Lines that are no entries are not kept, and do no harm. */
static void odd_files(void **state)
{
    (void)state;
    cleanup_network struct network *n = network(NAT);
    struct pool_entry *all;
    size_t count;

    scratch_write("home/networks/nat0.hosts",
                  "# x\n\n02:00:00:00:00:01\n02:00:00:00:00:01,10.87.0.2\n,,\n"
                  "02:00:00:00:00:01,10.87.0.2,\n02:00:00:00:00:01,fd00::1,a\n"
                  "02:00:00:00:00:01,10.87.0.2,a b\n02:00:00:00:00:01,10.87.0.2,a,b\n"
                  "  02:00:00:00:00:02,10.87.0.3,ok  ");
    assert_int_equal(pool_read("nat0", &all, &count, &err), 0);
    assert_int_equal(count, 1);
    assert_string_equal(all[0].guest, "ok");
    free(all);
    assert_string_equal(take(n, "a", mac1, NULL), "10.87.0.2/24");
}

/* PULT_HOME is read once in a process. */
static int empty(void **state)
{
    (void)state;
    return tree_remove_at(AT_FDCWD, "home", &err);
}

#define T(f) cmocka_unit_test_setup(f, empty)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(lasting), T(wanted), T(without_range), T(taps), T(leases), T(odd_files),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
