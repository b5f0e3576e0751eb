/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network cards as definitions have them: values, addresses, two that are in each other's way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/card.h"

/* Read a definition of these lines. The caller clears *out. */
static int read_lines(const char *text, const char *guest, struct cards *out, struct error *err)
{
    static struct conf *conf; /* what *out has is its own */

    conf_free(conf);
    conf = NULL;
    assert_int_equal(conf_parse("test", text, strlen(text), &conf, err), 0);
    return cards_read(conf, guest, out, err);
}

static void values(void **state)
{
    cleanup_cards struct cards n = {0};
    struct error err;
    char mac[MAC_TEXT];

    (void)state;
    assert_int_equal(
        read_lines("guest.net.5 = user,host-loopback,forward=tcp:8080:80,forward=udp:53,"
                   "mtu=1280\n"
                   "guest.net.0 = tap=t0,bridge=br0,mac=02:0A:bb:00:00:01,queues=16,"
                   "vhost=off,mtu=65520\n"
                   "guest.net.2 = none\n"
                   "guest.net.3 = bridge=br1\n"
                   "guest.net.4 = tap,vhost=on\n",
                   "g", &n, &err),
        0);
    assert_int_equal(n.count, 5);
    const struct card *d = n.all;
    assert_int_equal(d[0].number, 0);
    assert_int_equal(d[0].kind, CARD_TAP);
    assert_string_equal(d[0].tap, "t0");
    assert_string_equal(d[0].bridge, "br0");
    card_mac_text(d[0].mac, mac);
    assert_string_equal(mac, "02:0a:bb:00:00:01");
    assert_int_equal(d[0].queues, 16);
    assert_int_equal(d[0].vhost, CARD_VHOST_OFF);
    assert_int_equal(d[0].mtu, 65520);
    assert_string_equal(card_kind_name(d[1].kind), "none");
    assert_int_equal(d[2].kind, CARD_TAP);
    assert_null(d[2].tap);
    assert_string_equal(d[3].tap, "");
    assert_null(d[3].bridge);
    assert_int_equal(d[3].vhost, CARD_VHOST_ON);
    assert_int_equal(d[3].queues, 1);
    assert_int_equal(d[3].mtu, 0);
    assert_int_equal(d[4].number, 5);
    assert_int_equal(d[4].kind, CARD_USER);
    assert_string_equal(d[4].forwards[0], "tcp:8080:80");
    assert_string_equal(d[4].forwards[1], "udp:53");
    assert_null(d[4].forwards[2]);
    assert_int_equal(d[4].mtu, 1280);
    assert_true(d[4].host_loopback && !d[3].host_loopback);
}

static void what_is_no_value(void **state)
{
    static const struct {
        const char *value, *why;
    } wrong[] = {
        {"", "an option without a name"},
        {"nat", "no option 'nat'"},
        {"mtu=1500", "one of"},
        {"user,none", "one of"},
        {"none,mac=02:00:00:00:00:01", "'mac' has no meaning with 'none'"},
        {"user,bridge=br0", "one of"},
        {"user,vhost=on", "'vhost' has no meaning with 'user'"},
        {"tap=t0,forward=tcp:80", "'forward' has no meaning with 'tap'"},
        {"network=nat0,host-loopback", "'host-loopback' has no meaning with 'network'"},
        {"user,host-loopback=1", "'host-loopback' takes no value"},
        {"tap=a/b", "no name of an interface"},
        {"tap=..", "no name of an interface"},
        {"bridge=1234567890123456", "no name of an interface"},
        {"tap,mac=02:00:00:00:00:00:01", "such as"},
        {"tap,mac=0x:00:00:00:00:01", "such as"},
        {"tap,mac= 2:00:00:00:00:01", "such as"},
        {"tap,mac=-1:00:00:00:00:01", "such as"},
        {"tap,mac=03:00:00:00:00:01", "odd"},
        {"tap,mac=00:00:00:00:00:00", "no address"},
        {"tap,queues=0", "queues"},
        {"tap,queues=17", "queues"},
        {"tap,mtu=65521", "mtu"},
        {"tap,vhost=yes", "auto, on, off"},
        {"user,forward=80", "tcp: nor udp:"},
        {"user,forward=tcp:80-70", "port"},
        {"user,forward=tcp:80-90:1-2", "same length"},
        {"tap=t0,tap=t1", "tap"},
        {"network=", "network"},
        {"network=a/b", "interface"},
        {"network=lan,bridge=br0", "a network is one of"},
        {"network=lan,user", "a network is one of"},
        {"network=lan,forward=tcp:80", "no meaning with 'network'"},
        {"network=lan,address=10.0.0.0/8", "no address of IPv4"},
        {"network=lan,address=fd00::1", "no address of IPv4"},
        {"network=lan,address=10.0.0", "address"},
        {"user,address=10.0.0.2", "no meaning with 'user'"},
    };
    struct error err;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        err.text[0] = '\0';
        assert_int_equal(card_is_value(wrong[i].value, &err), -1);
        if (!strstr(err.text, wrong[i].why))
            fail_msg("'%s': %s", wrong[i].value, err.text);
    }
    assert_int_equal(card_is_value("tap=t0,bridge=b", &err), 0);
    assert_int_equal(card_is_value("none", NULL), 0);
}

static void a_card_is_in_a_network(void **state)
{
    static const struct {
        const char *typed, *value;
    } words[] = {
        {"lan", "network=lan"},
        {"lan,address=10.0.0.2,mtu=1400", "network=lan,address=10.0.0.2,mtu=1400"},
        {"nonesuch", "network=nonesuch"},
        {"user", "user"},
        {"user,mtu=1400", "user,mtu=1400"},
        {"tap", "tap"},
        {"none", "none"},
        {"bridge=br0", "bridge=br0"},
        {"network=lan", "network=lan"},
        {"", ""},
    };
    cleanup_cards struct cards c = {0};
    char text[ADDRESS_TEXT];
    struct error err;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        cleanup_free char *value = card_expand(words[i].typed);
        assert_string_equal(value, words[i].value);
    }
    cleanup_free char *other =
        card_without_addresses("mac=02:00:00:00:00:01,network=lan,address=10.0.0.2,mtu=1400");
    assert_string_equal(other, "network=lan,mtu=1400");
    assert_int_equal(read_lines("guest.net.1 = network=lan,address=10.0.0.2,mtu=1400,queues=2\n"
                                "guest.net.0 = network=dmz,mac=02:00:00:00:00:01\n",
                                "g", &c, &err),
                     0);
    assert_int_equal(c.count, 2);
    assert_int_equal(c.all[0].kind, CARD_NETWORK);
    assert_string_equal(c.all[0].network, "dmz");
    assert_int_equal(c.all[0].address.family, 0);
    assert_string_equal(c.all[1].network, "lan");
    assert_string_equal(address_text(&c.all[1].address, true, text), "10.0.0.2");
    assert_int_equal(c.all[1].mtu, 1400);
    assert_int_equal(c.all[1].queues, 2);
}

/* 65 forwards are one too many. */
static void forwards_have_an_end(void **state)
{
    char text[4096] = "user";
    struct error err;

    (void)state;
    for (unsigned i = 0; i < CARD_FORWARDS; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), ",forward=tcp:%u", 1000 + i);
    assert_int_equal(card_is_value(text, &err), 0);
    strcat(text, ",forward=tcp:1");
    assert_int_equal(card_is_value(text, &err), -1);
    assert_non_null(strstr(err.text, "at most 64"));
}

static void addresses_stay_and_differ(void **state)
{
    static const char *const guests[] = {"web1", "web2", "1web", "a", "b", "tmp-heron"};
    uint8_t seen[ARRAY_SIZE(guests) * CARDS_MOST][6];
    char text[200] = "";
    unsigned count = 0;
    struct error err;

    (void)state;
    for (unsigned i = 0; i < CARDS_MOST; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "guest.net.%u = user\n", i);
    for (unsigned g = 0; g < ARRAY_SIZE(guests); g++) {
        cleanup_cards struct cards n = {0}, again = {0};
        assert_int_equal(read_lines(text, guests[g], &n, &err), 0);
        assert_int_equal(read_lines(text, guests[g], &again, &err), 0);
        assert_int_equal(n.count, CARDS_MOST);
        for (unsigned i = 0; i < n.count; i++) {
            assert_memory_equal(n.all[i].mac, again.all[i].mac, 6);
            assert_int_equal(n.all[i].mac[0] & 3, 2); /* of its own, and one's */
            for (unsigned k = 0; k < count; k++)
                assert_memory_not_equal(n.all[i].mac, seen[k], 6);
            memcpy(seen[count++], n.all[i].mac, 6);
        }
    }
}

static void in_each_others_way(void **state)
{
    cleanup_cards struct cards n = {0};
    struct error err;

    (void)state;
    assert_int_equal(read_lines("guest.net.0 = tap,mac=02:00:00:00:00:0A\n"
                                "guest.net.3 = user,mac=02:00:00:00:00:0a\n",
                                "g", &n, &err),
                     -1);
    assert_string_equal(err.text, "guest.net.0 and guest.net.3 have the same address");
    cards_clear(&n);
    assert_int_equal(read_lines("guest.net.1 = tap=t\nguest.net.0 = tap=t\n", "g", &n, &err), -1);
    assert_string_equal(err.text, "guest.net.0 and guest.net.1 use the same tap");
    cards_clear(&n);
    assert_int_equal(read_lines("guest.net.0 = tap\nguest.net.1 = tap\n", "g", &n, &err), 0);
    cards_clear(&n);
    assert_int_equal(read_lines("guest.net.8 = none\n", "g", &n, &err), -1);
    assert_string_equal(err.text,
                        "guest.net.8: a guest has at most 8 networks, from guest.net.0 on");
    cards_clear(&n);
    assert_int_equal(read_lines("guest.net.0 = none\nguest.net.1 = tap,queues=x\n", "g", &n, &err),
                     -1);
    assert_int_equal(strncmp(err.text, "guest.net.1: ", 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(what_is_no_value),
        cmocka_unit_test(a_card_is_in_a_network),
        cmocka_unit_test(forwards_have_an_end),
        cmocka_unit_test(addresses_stay_and_differ),
        cmocka_unit_test(in_each_others_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
