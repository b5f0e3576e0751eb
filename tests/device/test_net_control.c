/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 60 s
 *
 * The network device's control queue (virtio 1.2, 5.1.6.5): what it sets, which frames it keeps
 * out, and that nothing malformed has any effect.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "device/netrig.h"

#define RX     0
#define TX     1
#define OK     VIRTIO_NET_OK
#define ERR    VIRTIO_NET_ERR
#define NOT(f) (DRIVER_ALL & ~VIRTIO_FEATURE(f))
#define COMMAND(class, command, ...)                                                 \
    netrig_command(&r, VIRTIO_NET_CTRL_##class, VIRTIO_NET_CTRL_##class##_##command, \
                   (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t group[6] = {0x33, 0x33, 0, 0, 0, 1}, other_group[6] = {1, 0, 0x5e, 0, 0, 1};
static const uint8_t another[6] = {0x02, 8, 8, 8, 8, 8};

static struct netrig r;
static uint8_t frame[400];

/* Does a frame to there reach the driver? */
static bool comes(const uint8_t to[6])
{
    if (r.device->queues[RX].next_avail == r.device->queues[RX].next_used)
        netrig_offer(&r, 0, 500);
    netrig_frame(frame, 100, to, 1);
    netrig_give(&r, 0, frame, 100);
    return driver_used(&r.d, RX, NULL, NULL);
}

/* The same with a VLAN's tag. */
static bool comes_tagged(unsigned vlan)
{
    netrig_offer(&r, 0, 500);
    netrig_frame(frame, 100, netrig_mac, 1);
    frame[NETRIG_HEADER + 12] = 0x81;
    frame[NETRIG_HEADER + 13] = 0x00;
    frame[NETRIG_HEADER + 14] = (uint8_t)(0xe0 | vlan >> 8);
    frame[NETRIG_HEADER + 15] = (uint8_t)vlan;
    netrig_give(&r, 0, frame, 100);
    return driver_used(&r.d, RX, NULL, NULL);
}

static int setup(void **state)
{
    (void)state;
    netrig_up(&r);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    netrig_destroy(&r);
    return 0;
}

/* ---- the filter ---- */

static void own_and_everybodys_frames_come(void **state)
{
    (void)state;
    assert_true(comes(netrig_mac));
    assert_true(comes(everybody));
    assert_false(comes(another));
    assert_false(comes(group));
    netrig_start(&r, NOT(VIRTIO_NET_F_CTRL_RX), 64); /* who cannot say what he wants gets all */
    assert_true(comes(another));
    assert_true(comes(group));
}

static void modes(void **state)
{
    (void)state;
    assert_int_equal(COMMAND(RX, PROMISC, 1), OK);
    assert_true(comes(another));
    assert_true(comes(group));
    assert_int_equal(COMMAND(RX, PROMISC, 0), OK);
    assert_false(comes(another));

    assert_int_equal(COMMAND(RX, ALLMULTI, 1), OK);
    assert_true(comes(group));
    assert_false(comes(another));
    assert_int_equal(COMMAND(RX, NOMULTI, 1), OK);
    assert_false(comes(group));
    assert_true(comes(everybody));
    assert_int_equal(COMMAND(RX, NOBCAST, 1), OK);
    assert_false(comes(everybody));
    assert_true(comes(netrig_mac));
    assert_int_equal(COMMAND(RX, ALLUNI, 1), OK);
    assert_true(comes(another));
    assert_int_equal(COMMAND(RX, NOUNI, 1), OK);
    assert_false(comes(netrig_mac));
    assert_int_equal(COMMAND(RX, PROMISC, 1), OK); /* above all others */
    assert_true(comes(netrig_mac));
    assert_true(comes(group));
    assert_true(comes(everybody));

    assert_int_equal(COMMAND(RX, PROMISC, 2), ERR);
    assert_int_equal(COMMAND(RX, PROMISC, 0, 0), ERR);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, NULL, 0),
                     ERR);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_RX, 6, (uint8_t[]){1}, 1), ERR);
    assert_true(comes(another)); /* as it was */
    netrig_start(&r, DRIVER_ALL, 64);
    assert_false(comes(another));
    assert_true(comes(netrig_mac));
    netrig_start(&r, NOT(VIRTIO_NET_F_CTRL_RX_EXTRA), 64);
    assert_int_equal(COMMAND(RX, NOUNI, 1), ERR);
    assert_int_equal(COMMAND(RX, ALLMULTI, 1), OK);
    netrig_start(&r, NOT(VIRTIO_NET_F_CTRL_RX), 64);
    assert_int_equal(COMMAND(RX, PROMISC, 1), ERR);
}

/* A table of these addresses: its bytes. */
static size_t table(uint8_t *to, uint32_t unicasts, const uint8_t *uni, uint32_t multicasts,
                    const uint8_t *multi)
{
    memcpy(to, &unicasts, 4);
    memcpy(to + 4, uni, 6ul * unicasts);
    memcpy(to + 4 + 6ul * unicasts, &multicasts, 4);
    memcpy(to + 8 + 6ul * unicasts, multi, 6ul * multicasts);
    return 8 + 6ul * unicasts + 6ul * multicasts;
}

static int set_table(const void *data, size_t len)
{
    return netrig_command(&r, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data, len);
}

static void table_of_addresses(void **state)
{
    static uint8_t data[20000], many[200][6];
    size_t len = table(data, 1, another, 1, group);

    (void)state;
    assert_int_equal(set_table(data, len), OK);
    assert_true(comes(another));
    assert_true(comes(group));
    assert_false(comes(other_group));
    assert_true(comes(netrig_mac));

    /* Malformed: it stays as it was. */
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(set_table(data, cut), ERR);
    data[len] = 0;
    assert_int_equal(set_table(data, len + 1), ERR);
    for (unsigned field = 0; field < 2; field++) {
        static const uint32_t counts[] = {2, 3, 0x2aaaaaab, 0x7fffffff, 0x80000000, UINT32_MAX};
        for (unsigned i = 0; i < ARRAY_SIZE(counts); i++) {
            table(data, 1, another, 1, group);
            memcpy(data + (field ? 10 : 0), &counts[i], 4);
            assert_int_equal(set_table(data, len), ERR);
        }
    }
    assert_true(comes(another));
    assert_true(comes(group));

    assert_int_equal(set_table(data, table(data, 0, another, 1, other_group)), OK);
    assert_false(comes(another));
    assert_false(comes(group));
    assert_true(comes(other_group));

    /* More than there is room for: then it is not looked at. */
    for (unsigned i = 0; i < 200; i++)
        memcpy(many[i], (uint8_t[]){0x02, 7, 7, 7, 7, (uint8_t)i}, 6);
    assert_int_equal(set_table(data, table(data, 64, many[0], 0, group)), OK);
    assert_true(comes(many[63]));
    assert_false(comes(another));
    assert_int_equal(set_table(data, table(data, 65, many[0], 1, group)), OK);
    assert_true(comes(another));
    assert_true(comes(group));
    assert_false(comes(other_group));
    for (unsigned i = 0; i < 200; i++)
        many[i][0] = 0x03;
    assert_int_equal(set_table(data, table(data, 1, another, 200, many[0])), OK);
    assert_true(comes(other_group));
    assert_true(comes(another));
    assert_false(comes(netrig_peer));
    assert_int_equal(set_table(data, table(data, 0, another, 0, group)), OK);
    assert_false(comes(other_group));
    assert_false(comes(another));

    netrig_start(&r, NOT(VIRTIO_NET_F_CTRL_RX), 64);
    assert_int_equal(set_table(data, table(data, 0, another, 0, group)), ERR);
}

static void vlans(void **state)
{
    (void)state;
    assert_false(comes_tagged(5));
    assert_int_equal(COMMAND(VLAN, ADD, 5, 0), OK);
    assert_int_equal(COMMAND(VLAN, ADD, 0xff, 0x0f), OK);
    assert_true(comes_tagged(5));
    assert_true(comes_tagged(4095));
    assert_false(comes_tagged(4));
    assert_int_equal(COMMAND(VLAN, DEL, 5, 0), OK);
    assert_false(comes_tagged(5));
    assert_int_equal(COMMAND(VLAN, ADD, 0, 0x10), ERR);
    assert_int_equal(COMMAND(VLAN, ADD, 0xff, 0xff), ERR);
    assert_int_equal(COMMAND(VLAN, ADD, 5), ERR);
    assert_int_equal(COMMAND(VLAN, ADD, 5, 0, 0), ERR);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_VLAN, 2, (uint8_t[]){5, 0}, 2), ERR);
    assert_false(comes_tagged(5));
    assert_true(comes(netrig_mac));
    netrig_start(&r, DRIVER_ALL, 64);
    assert_false(comes_tagged(4095));
    netrig_start(&r, NOT(VIRTIO_NET_F_CTRL_VLAN), 64);
    assert_true(comes_tagged(5));
    assert_int_equal(COMMAND(VLAN, ADD, 5, 0), ERR);
}

static void addresses_change(void **state)
{
    (void)state;
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, another,
                                    6),
                     OK);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(mmio_read(&r.b, r.d.device + i, 1), another[i]);
    assert_true(comes(another));
    assert_false(comes(netrig_mac));
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, group,
                                    6),
                     ERR);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET,
                                    netrig_mac, 5),
                     ERR);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_MAC, 2, netrig_mac, 6), ERR);
    assert_true(comes(another));
    netrig_start(&r, DRIVER_ALL, 64); /* the old one comes back with a reset */
    assert_int_equal(mmio_read(&r.b, r.d.device + 5, 1), netrig_mac[5]);
    assert_true(comes(netrig_mac));
    netrig_start(&r, NOT(VIRTIO_NET_F_CTRL_MAC_ADDR), 64);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, another,
                                    6),
                     ERR);
}

/* ---- pairs ---- */

static void pairs(void **state)
{
    (void)state;
    netrig_destroy(&r);
    netrig_create(&r, 4, NETRIG_ALL_OFFLOADS, false);
    netrig_start(&r, DRIVER_ALL, 64);
    assert_int_equal(netrig_control_queue(&r), 8);
    assert_int_equal(r.port->pairs, 1);
    struct seg s = netrig_offer(&r, 1, 500);
    netrig_frame(frame, 100, netrig_mac, 1);
    netrig_give(&r, 1, frame, 100);
    assert_false(driver_used(&r.d, 2, NULL, NULL)); /* only one pair is used by now */

    assert_int_equal(COMMAND(MQ, VQ_PAIRS_SET, 0, 0), ERR);
    assert_int_equal(COMMAND(MQ, VQ_PAIRS_SET, 5, 0), ERR);
    assert_int_equal(COMMAND(MQ, VQ_PAIRS_SET, 0, 1), ERR);
    assert_int_equal(COMMAND(MQ, VQ_PAIRS_SET, 0xff, 0xff), ERR);
    assert_int_equal(COMMAND(MQ, VQ_PAIRS_SET, 2), ERR);
    assert_int_equal(COMMAND(MQ, VQ_PAIRS_SET, 2, 0, 0), ERR);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_MQ, 3, (uint8_t[]){2, 0}, 2), ERR);
    assert_int_equal(r.port->pairs, 1);
    assert_int_equal(COMMAND(MQ, VQ_PAIRS_SET, 2, 0), OK);
    assert_int_equal(r.port->pairs, 2);
    board_turn(&r.b);
    assert_true(driver_used(&r.d, 2, NULL, NULL));
    assert_true(netrig_is_frame(s.host, 100, netrig_mac, 1));
    /* And each sends for itself. */
    netrig_frame(frame, 100, netrig_peer, 3);
    s = driver_bytes(&r.d, frame, 100);
    driver_send(&r.d, 3, &s, 1);
    assert_int_equal(netrig_take(&r, 0, frame, sizeof(frame)), -1);
    assert_int_equal(netrig_take(&r, 1, frame, sizeof(frame)), 100);

    assert_int_equal(COMMAND(MQ, VQ_PAIRS_SET, 4, 0), OK);
    assert_int_equal(COMMAND(MQ, VQ_PAIRS_SET, 1, 0), OK);
    assert_int_equal(r.port->pairs, 1);
    assert_true(driver_reset(&r.d));
    assert_int_equal(r.port->pairs, 1);

    /* 5.1.2: without MQ the control queue is the third, and there is one pair. */
    netrig_start(&r, NOT(VIRTIO_NET_F_MQ), 64);
    assert_int_equal(netrig_control_queue(&r), 2);
    assert_int_equal(COMMAND(RX, PROMISC, 1), OK);
    assert_true(comes(another));
    assert_int_equal(COMMAND(MQ, VQ_PAIRS_SET, 2, 0), ERR);
    netrig_start(&r, NOT(VIRTIO_NET_F_CTRL_VQ), 64);
    assert_true(comes(netrig_mac));
}

/* ---- link and offloads ---- */

static void the_cable(void **state)
{
    struct net *n = r.device->state;

    (void)state;
    driver_interrupts(&r.d, 0);
    const uint32_t generation = driver_get(&r.d, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
    net_set_link(n, true); /* it is plugged in */
    assert_int_equal(driver_interrupts(&r.d, 0), 0);
    net_set_link(n, false);
    assert_int_equal(netrig_status(&r), 0);
    assert_int_equal(driver_interrupts(&r.d, 0), 1);
    assert_int_not_equal(driver_get(&r.d, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
    assert_false(comes(netrig_mac));
    netrig_frame(frame, 100, netrig_peer, 3);
    struct seg s = driver_bytes(&r.d, frame, 100);
    assert_int_equal(driver_request(&r.d, TX, &s, 1), 0); /* lost, as from a cable */
    assert_int_equal(netrig_take(&r, 0, frame, sizeof(frame)), -1);
    net_set_link(n, true);
    assert_int_equal(netrig_status(&r), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    assert_true(driver_interrupts(&r.d, 0) > 0);
    board_turn(&r.b);
    assert_false(driver_used(&r.d, RX, NULL, NULL)); /* nor is the other one late */
    assert_true(comes(netrig_mac));
    net_set_link(n, false); /* a reset does not plug it in */
    netrig_start(&r, DRIVER_ALL, 64);
    assert_int_equal(netrig_status(&r), 0);
    net_set_link(n, true);
    assert_true(comes(netrig_mac));
}

static void announcing(void **state)
{
    struct net *n = r.device->state;

    (void)state;
    assert_int_equal(netrig_status(&r), VIRTIO_NET_S_LINK_UP);
    driver_interrupts(&r.d, 0);
    net_announce(n);
    assert_int_equal(netrig_status(&r), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    assert_int_equal(driver_interrupts(&r.d, 0), 1);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_ANNOUNCE, 1, NULL, 0), ERR);
    assert_int_equal(COMMAND(ANNOUNCE, ACK, 1), ERR);
    assert_int_equal(netrig_status(&r), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK,
                                    NULL, 0),
                     OK);
    assert_int_equal(netrig_status(&r), VIRTIO_NET_S_LINK_UP);
    assert_int_equal(driver_interrupts(&r.d, 0), 0); /* it knows */
    net_announce(n);
    netrig_start(&r, NOT(VIRTIO_NET_F_GUEST_ANNOUNCE), 64);
    assert_int_equal(netrig_status(&r), VIRTIO_NET_S_LINK_UP);
    net_announce(n);
    assert_int_equal(netrig_status(&r), VIRTIO_NET_S_LINK_UP);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK,
                                    NULL, 0),
                     ERR);
}

static int set_offloads(uint64_t offloads, size_t len)
{
    return netrig_command(&r, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
                          &offloads, len);
}

static void offloads_change(void **state)
{
    const uint64_t csum = VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM);
    const uint64_t tso4 = VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO4);

    (void)state;
    assert_int_equal(r.port->offloads, NET_GUEST_OFFLOADS);
    assert_int_equal(set_offloads(csum | tso4, 8), OK);
    assert_int_equal(r.port->offloads, csum | tso4);
    assert_int_equal(set_offloads(tso4, 8), OK); /* segments need checksums */
    assert_int_equal(r.port->offloads, 0);
    assert_int_equal(set_offloads(csum, 8), OK);
    assert_int_equal(set_offloads(csum | VIRTIO_FEATURE(VIRTIO_NET_F_CSUM), 8), ERR);
    assert_int_equal(set_offloads(csum | 1ull << 63, 8), ERR);
    assert_int_equal(set_offloads(0, 7), ERR);
    assert_int_equal(r.port->offloads, csum);
    netrig_start(&r, NOT(VIRTIO_NET_F_GUEST_TSO4), 64);
    assert_int_equal(set_offloads(csum | tso4, 8), ERR);
    netrig_start(&r, NOT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS), 64);
    assert_int_equal(set_offloads(csum, 8), ERR);
    assert_int_equal(r.port->offloads, NET_GUEST_OFFLOADS);
}

/* ---- what is no command ---- */

static void unknown_commands(void **state)
{
    (void)state;
    for (unsigned class = 0; class < 256; class += class < 8 ? 1 : 31)
        for (unsigned command = 6; command < 256; command += 50)
            assert_int_equal(netrig_command(&r, (uint8_t) class, (uint8_t)command,
                                            (uint8_t[]){1, 0}, 2),
                             ERR);
    struct seg short_ones[2] = {driver_bytes(&r.d, "\0", 1), driver_buffer(&r.d, 1, true)};
    *(uint8_t *)short_ones[1].host = 0xee;
    assert_int_equal(driver_request(&r.d, 2, short_ones, 2), 1);
    assert_int_equal(*(uint8_t *)short_ones[1].host, ERR);
    assert_int_equal(driver_request(&r.d, 2, short_ones + 1, 1), 1); /* nothing was said */
    assert_int_equal(*(uint8_t *)short_ones[1].host, ERR);
}

/* A command in pieces, with room for more than an answer. */
static void any_framing(void **state)
{
    struct seg s[4] = {driver_bytes(&r.d, "\0", 1), driver_bytes(&r.d, "\0", 1),
                       driver_bytes(&r.d, "\1", 1), driver_buffer(&r.d, 8, true)};

    (void)state;
    memset(s[3].host, 0xee, 8);
    assert_int_equal(driver_request(&r.d, 2, s, 4), 1);
    assert_memory_equal(s[3].host, "\0\xee\xee\xee\xee\xee\xee\xee", 8);
    assert_true(comes(another));
}

static void an_answer_needs_room(void **state)
{
    struct seg s = driver_bytes(&r.d, "\0\0\1", 3);

    (void)state;
    driver_send(&r.d, 2, &s, 1);
    board_turn(&r.b);
    assert_true(driver_status(&r.d) & VIRTIO_CONFIG_S_NEEDS_RESET);
    netrig_start(&r, DRIVER_ALL, 64);
    assert_int_equal(COMMAND(RX, PROMISC, 1), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(own_and_everybodys_frames_come, setup, teardown),
        cmocka_unit_test_setup_teardown(modes, setup, teardown),
        cmocka_unit_test_setup_teardown(table_of_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(vlans, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_change, setup, teardown),
        cmocka_unit_test_setup_teardown(pairs, setup, teardown),
        cmocka_unit_test_setup_teardown(the_cable, setup, teardown),
        cmocka_unit_test_setup_teardown(announcing, setup, teardown),
        cmocka_unit_test_setup_teardown(offloads_change, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(any_framing, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_needs_room, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
