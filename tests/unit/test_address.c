/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses: read, written, compared, counted on. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/util.h"
#include "net/address.h"

static struct error err;

static struct address a(const char *text)
{
    struct address out;

    if (address_parse(text, &out, &err) < 0)
        fail_msg("%s", err.text);
    return out;
}

static const char *t(struct address x)
{
    static char out[4][ADDRESS_TEXT];
    static unsigned n;

    return address_text(&x, false, out[n++ % 4]);
}

static void reading(void **state)
{
    (void)state;
    static const char *const same[] = {"10.0.0.1/24", "0.0.0.0/0", "fd00::1/64", "::/0", "::1/128"};
    static const char *const wrong[] = {"",         "10.0.0",     "10.0.0.1/33",  "10.0.0.1/",
                                        "10.0.0.x", "fd00::1/-1", "fd00::1/129",  "/24",
                                        "1.2.3.4.", "::1%lo",     "10.0.0.1/24x", "10.0.0.1/2/4"};
    struct address x;
    char out[ADDRESS_TEXT];

    for (unsigned i = 0; i < ARRAY_SIZE(same); i++)
        assert_string_equal(t(a(same[i])), same[i]);
    assert_string_equal(t(a("10.0.0.1")), "10.0.0.1/32");
    assert_string_equal(t(a("fd00:0:0::1")), "fd00::1/128");
    x = a("fe80::1/64");
    assert_string_equal(address_text(&x, true, out), "fe80::1");
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(address_parse(wrong[i], &x, &err), -1);
        assert_int_equal(x.family, 0);
        assert_true(*err.text);
    }
    assert_string_equal(address_text(&x, false, out), "");
}

static bool overlap(const char *x, const char *y)
{
    struct address p = a(x), q = a(y);

    assert_int_equal(address_overlap(&p, &q), address_overlap(&q, &p));
    return address_overlap(&p, &q);
}

static void comparing(void **state)
{
    (void)state;
    struct address x = a("10.1.2.3/24"), y = a("10.1.2.3/8"), z = a("10.1.3.3/24");
    struct address n = {0};

    assert_true(address_equal(&x, &y));
    assert_false(address_equal(&x, &z));
    assert_true(address_equal(&n, &n));
    assert_false(address_equal(&n, &x));
    assert_true(overlap("10.1.2.3/24", "10.0.0.0/8"));
    assert_true(overlap("10.1.2.3/23", "10.1.3.0/24"));
    assert_false(overlap("10.1.2.3/24", "10.1.3.0/24"));
    assert_false(overlap("10.1.2.128/25", "10.1.2.0/25"));
    assert_true(overlap("0.0.0.0/0", "10.1.2.0/25"));
    assert_false(overlap("0.0.0.0/0", "::/0"));
    assert_true(overlap("fd00:1::/32", "fd00:1:2::5"));
    assert_true(address_contains(&y, &z));
    assert_false(address_contains(&x, &z));
    assert_string_equal(t(address_network(&x)), "10.1.2.0/24");
    x = a("fd00::ffff:1/120");
    assert_string_equal(t(address_network(&x)), "fd00::ffff:0/120");
    x = a("10.1.2.255/25");
    assert_string_equal(t(address_network(&x)), "10.1.2.128/25");
    x = a("10.1.2.255/0");
    assert_string_equal(t(address_network(&x)), "0.0.0.0/0");
}

static const char *add(const char *x, int64_t n)
{
    struct address p = a(x);

    return t(address_add(&p, n));
}

static void counting(void **state)
{
    (void)state;
    struct address x, y;

    assert_string_equal(add("10.0.0.1/24", 1), "10.0.0.2/24");
    assert_string_equal(add("10.0.0.1/16", 255), "10.0.1.0/16");
    assert_string_equal(add("10.0.1.0/16", -1), "10.0.0.255/16");
    assert_string_equal(add("10.0.0.1/24", 255), "");
    assert_string_equal(add("10.0.0.1/24", -2), "");
    assert_string_equal(add("255.255.255.255/0", 1), "");
    assert_string_equal(add("0.0.0.0/0", -1), "");
    assert_string_equal(add("0.0.0.0/0", INT64_C(0x100000000)), "");
    assert_string_equal(add("0.0.0.0/0", 0xffffffff), "255.255.255.255/0");
    assert_string_equal(add("fd00::1/64", 0xffff), "fd00::1:0/64");
    assert_string_equal(add("fd00::ffff:ffff:ffff:ffff/64", 1), "");
    assert_string_equal(add("fd00::ffff:ffff:ffff:ffff/32", 1), "fd00:0:0:1::/32");
    assert_string_equal(add("fd00::1:0:0:0:0/32", -1), "fd00::ffff:ffff:ffff:ffff/32");
    assert_string_equal(add("10.0.0.7/24", 0), "10.0.0.7/24");
    x = a("10.0.0.1");
    y = a("10.0.1.0");
    assert_int_equal(address_distance(&x, &y), 255);
    assert_int_equal(address_distance(&y, &x), -255);
    x = a("fd00::1");
    y = a("fd00::1:0:0:1");
    assert_int_equal(address_distance(&x, &y), INT64_C(1) << 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),
        cmocka_unit_test(comparing),
        cmocka_unit_test(counting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
