/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a guest's interfaces and neighbours on the host tell of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "guest/figures.h"

static const char net_dev[] =
    "Inter-|   Receive                            |  Transmit\n"
    " face |bytes packets errs drop fifo frame compressed multicast|bytes packets\n"
    "    lo:  10 1 0 0 0 0 0 0  10 1 0 0 0 0 0 0\n"
    "  tap0: 100 1 0 0 0 0 0 0 200 2 0 0 0 0 0 0\n"
    " tap01: 1000 1 0 0 0 0 0 0 2000 2 0 0 0 0 0 0\n"
    "  tap2: 30 1 0 0 0 0 0 0 40 2 0 0 0 0 0 0\n";

static void counts_the_taps_that_are_named(void **state)
{
    uint64_t v[2] = {1, 2};

    (void)state;
    taps_parse("mac=02:00:00:00:00:01 tap=tap0 tap=tap2 tap=tap9", net_dev, v);
    assert_int_equal(v[0], 241); /* the guest receives what the host sends */
    assert_int_equal(v[1], 132);
    taps_parse("tap=", net_dev, v);
    taps_parse("", net_dev, v);
    taps_parse("tap=tap", net_dev, v);
    taps_parse("tap=tap0", "", v);
    taps_parse("tap=tap0", "tap0: 1", v);
    assert_int_equal(v[0], 241);
}

static void finds_neighbours_by_their_address(void **state)
{
    static const char arp[] =
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "10.87.0.12       0x1         0x2         02:aa:bb:cc:dd:ee     *        br0\n"
        "10.87.0.13       0x1         0x0         02:aa:bb:cc:dd:ee     *        br0\n"
        "10.87.0.14       0x1         0x2         02:aa:bb:cc:dd:ef     *        br0\n"
        "10.88.0.12       0x1         0x6         02:AA:bb:cc:dd:ee     *        br1\n";
    char out[32];

    (void)state;
    neighbours_parse("tap=a mac=02:aa:bb:cc:dd:ee", arp, out, sizeof(out));
    assert_string_equal(out, "10.87.0.12 10.88.0.12");
    neighbours_parse("mac=02:aa:bb:cc:dd:ee mac=02:aa:bb:cc:dd:ef", arp, out, sizeof(out));
    assert_string_equal(out, "10.87.0.12 10.87.0.14"); /* as far as there is room */
    neighbours_parse("mac=02:aa:bb:cc:dd", arp, out, sizeof(out));
    assert_string_equal(out, "");
    neighbours_parse("mac=02:aa:bb:cc:dd:ee", "", out, sizeof(out));
    assert_string_equal(out, "");
}

static void reads_the_page_where_it_counts(void **state)
{
    struct status_page page = {.net_rx = 5, .net_tx = 6};
    struct figure_files f;
    struct totals t;
    char out[64];

    (void)state;
    page.figures[FIGURE_NET].kind = FIGURE_PAGE;
    strcpy(page.figures[FIGURE_NET].path, "tap=lo0none mac=00:00:00:00:00:01");
    figures_open(&f, &page);
    figures_read(&f, &page, &t);
    assert_int_equal(t.net_rx, 5);
    assert_int_equal(t.net_tx, 6);
    figures_addresses(&page, out, sizeof(out));
    assert_string_equal(out, "");
    figures_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_the_taps_that_are_named),
        cmocka_unit_test(finds_neighbours_by_their_address),
        cmocka_unit_test(reads_the_page_where_it_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
