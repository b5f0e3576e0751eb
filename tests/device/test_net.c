/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 120 s
 *
 * The network device as its driver sees it (virtio 1.2, 5.1): what it says of itself, frames in
 * both directions, who serves it. test_net_control.c has the control queue, test_net_ports.c taps
 * and passt.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "device/netrig.h"

#define RX      0
#define TX      1
#define FEATURE VIRTIO_FEATURE
#define MTU_MAX (1500 + NET_ETHERNET + NET_TAGS) /* the longest frame that is no segment */
#define NOT(f)  (DRIVER_ALL & ~FEATURE(f))

static uint8_t bytes[NETRIG_HEADER + NET_MOST + 64];

static const struct virtio_net_hdr_mrg_rxbuf *header_at(const void *p)
{
    return p;
}

static bool is_broken(struct netrig *r)
{
    return driver_status(&r->d) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static uint64_t config(struct netrig *r, unsigned offset, unsigned size)
{
    return mmio_read(&r->b, r->d.device + offset, size);
}

/* ---- what it says of itself ---- */

static void says_what_it_is(void **state)
{
    struct netrig r;
    const uint64_t always = FEATURE(VIRTIO_NET_F_MTU) | FEATURE(VIRTIO_NET_F_MAC) |
                            FEATURE(VIRTIO_NET_F_MRG_RXBUF) | FEATURE(VIRTIO_NET_F_STATUS) |
                            FEATURE(VIRTIO_NET_F_CTRL_VQ) | FEATURE(VIRTIO_NET_F_CTRL_RX) |
                            FEATURE(VIRTIO_NET_F_CTRL_VLAN) | FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) |
                            FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE) |
                            FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR);

    (void)state;
    netrig_create(&r, 2, NETRIG_ALL_OFFLOADS, false);
    assert_int_equal(config_read(&r.b, 1, PCI_DEVICE_ID, 2), 0x1041);
    assert_int_equal(config_read(&r.b, 1, PCI_CLASS_REVISION, 4) >> 8, 0x020000);
    uint64_t offered = driver_read_offered(&r.d) & 0xffffff;
    assert_int_equal(offered, always | NETRIG_ALL_OFFLOADS | FEATURE(VIRTIO_NET_F_MQ) |
                                  FEATURE(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS));
    assert_int_equal(driver_get(&r.d, VIRTIO_PCI_COMMON_NUMQ, 2), 5);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(config(&r, i, 1), netrig_mac[i]);
    assert_int_equal(config(&r, 6, 2), VIRTIO_NET_S_LINK_UP);
    assert_int_equal(config(&r, 8, 2), 2);
    assert_int_equal(config(&r, 10, 2), 1500);
    assert_int_equal(r.d.device_length, 12);
    mmio_write(&r.b, r.d.device, 1, 0x55); /* none of it is the driver's to write */
    assert_int_equal(config(&r, 0, 1), netrig_mac[0]);
    netrig_destroy(&r);

    netrig_create(&r, 1, 0, false);
    assert_int_equal(driver_read_offered(&r.d) & 0xffffff, always);
    netrig_destroy(&r);
    netrig_create(&r, 1, FEATURE(VIRTIO_NET_F_CSUM), false);
    assert_int_equal(driver_read_offered(&r.d) & 0xffffff, always | FEATURE(VIRTIO_NET_F_CSUM));
    netrig_destroy(&r);
}

static void tells_the_port_what_the_driver_takes(void **state)
{
    const uint64_t some = FEATURE(VIRTIO_NET_F_GUEST_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_TSO4);
    const uint64_t one = FEATURE(VIRTIO_F_VERSION_1);
    struct netrig r;

    (void)state;
    netrig_create(&r, 1, NETRIG_ALL_OFFLOADS, false);
    assert_int_equal(r.port->begun, 0);
    netrig_start(&r, DRIVER_ALL, 16);
    assert_int_equal(r.port->offloads, NET_GUEST_OFFLOADS);
    assert_int_equal(r.port->begun, 1);
    assert_true(driver_reset(&r.d));
    assert_int_equal(r.port->offloads, 0);
    netrig_start(&r, one | some | FEATURE(VIRTIO_NET_F_HOST_TSO4), 16);
    assert_int_equal(r.port->offloads, some);
    netrig_start(&r, one | FEATURE(VIRTIO_NET_F_GUEST_TSO4), 16); /* 5.1.3.1: needs checksums */
    assert_int_equal(r.port->offloads, 0);
    netrig_start(&r, one, 16);
    assert_int_equal(r.port->offloads, 0);
    assert_int_equal(r.port->begun, 4);
    netrig_destroy(&r);
    netrig_create(&r, 1, FEATURE(VIRTIO_NET_F_GUEST_CSUM), false);
    netrig_start(&r, DRIVER_ALL, 16);
    assert_int_equal(r.port->offloads, FEATURE(VIRTIO_NET_F_GUEST_CSUM));
    netrig_destroy(&r);
}

/* ---- sending ---- */

/* Send a frame cut into pieces: did it go out as it was? */
static bool sends(struct netrig *r, size_t len, const unsigned *cuts, unsigned n, bool indirect)
{
    struct seg segs[16];
    size_t at = 0;
    uint8_t got[4096];

    netrig_frame(bytes, len, netrig_peer, (uint8_t)len);
    for (unsigned i = 0; i <= n; i++) {
        size_t end = cuts && i < n ? cuts[i] : len;
        segs[i] = driver_bytes(&r->d, bytes + at, (uint32_t)(end - at));
        at = end;
    }
    uint16_t head = indirect ? driver_describe_indirect(&r->d, TX, segs, n + 1)
                             : driver_describe(&r->d, TX, segs, n + 1);
    driver_offer(&r->d, TX, head);
    driver_kick(&r->d, TX);
    ssize_t took = netrig_take(r, 0, got, sizeof(got));
    uint32_t id, used;
    assert_true(driver_used(&r->d, TX, &id, &used));
    assert_int_equal(id, head);
    assert_int_equal(used, 0);
    if (took < 0)
        return false;
    assert_int_equal(took, len);
    assert_memory_equal(got, bytes, len);
    return true;
}

static void sends_frames_in_any_framing(void **state)
{
    struct netrig r;

    (void)state;
    netrig_up(&r);
    assert_true(sends(&r, 100, NULL, 0, false));
    assert_true(sends(&r, 100, (unsigned[]){12}, 1, false));
    assert_true(sends(&r, 100, (unsigned[]){12, 26}, 2, true));
    assert_true(sends(&r, 100, (unsigned[]){1, 2, 11, 13, 14, 50, 99}, 7, false));
    assert_true(sends(&r, 100, (unsigned[]){5, 20}, 2, true));
    assert_true(sends(&r, NETRIG_HEADER + MTU_MAX, (unsigned[]){12, 1000}, 2, true));
    assert_int_equal(r.sent, 5 * 88 + MTU_MAX);
    assert_int_equal(driver_interrupts(&r.d, 1 + TX), 6);
    netrig_destroy(&r);
}

static void passes_offloads_on(void **state)
{
    struct virtio_net_hdr_mrg_rxbuf h = {
        .hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                .hdr_len = 54,
                .gso_size = 1448,
                .csum_start = 34,
                .csum_offset = 16},
    };
    struct netrig r;
    static uint8_t got[sizeof(bytes)];
    const uint32_t len = NETRIG_HEADER + 60000;

    (void)state;
    netrig_up(&r);
    netrig_frame(bytes, len, netrig_peer, 1);
    memcpy(bytes, &h, sizeof(h));
    struct seg s = driver_bytes(&r.d, bytes, len);
    driver_send(&r.d, TX, &s, 1);
    assert_int_equal(netrig_take(&r, 0, got, sizeof(got)), len);
    assert_memory_equal(got, bytes, len);
    netrig_destroy(&r);
}

static void drops_what_is_no_frame(void **state)
{
    struct netrig r;

    (void)state;
    netrig_up(&r);
    assert_false(sends(&r, NETRIG_HEADER, NULL, 0, false));
    assert_false(sends(&r, NETRIG_HEADER + 13, NULL, 0, false));
    assert_true(sends(&r, NETRIG_HEADER + 14, NULL, 0, false));
    assert_false(sends(&r, NETRIG_HEADER + MTU_MAX + 1, NULL, 0, false));
    assert_int_equal(r.sent, 14);
    netrig_destroy(&r);
    netrig_create(&r, 1, 0, false); /* a driver that was not told of the MTU */
    netrig_start(&r, NOT(VIRTIO_NET_F_MTU), 16);
    assert_true(sends(&r, NETRIG_HEADER + MTU_MAX + 1, NULL, 0, false));
    /* Longer than any frame: nothing is read of it, and it is given back. */
    struct seg s[8];
    for (unsigned i = 0; i < 8; i++)
        s[i] = driver_buffer(&r.d, 10000, false);
    assert_int_equal(driver_request(&r.d, TX, s, 8), 0);
    assert_int_equal(netrig_take(&r, 0, bytes, sizeof(bytes)), -1);
    assert_false(is_broken(&r));
    netrig_destroy(&r);
}

static void wants_a_header(void **state)
{
    struct netrig r;

    (void)state;
    netrig_up(&r);
    struct seg s = driver_buffer(&r.d, NETRIG_HEADER - 1, false);
    driver_send(&r.d, TX, &s, 1);
    board_turn(&r.b);
    assert_true(is_broken(&r));
    netrig_start(&r, DRIVER_ALL, 16);
    s = driver_buffer(&r.d, 100, true); /* nothing to send in it */
    driver_send(&r.d, TX, &s, 1);
    board_turn(&r.b);
    assert_true(is_broken(&r));
    netrig_start(&r, DRIVER_ALL, 16);
    assert_true(sends(&r, 100, NULL, 0, false));
    netrig_destroy(&r);
}

static void waits_for_a_port_that_is_full(void **state)
{
    struct netrig r;
    uint8_t got[200];

    (void)state;
    netrig_up(&r);
    r.port->blocked = true;
    for (uint8_t i = 0; i < 3; i++) {
        netrig_frame(bytes, 100, netrig_peer, i);
        struct seg s = driver_bytes(&r.d, bytes, 100);
        driver_send(&r.d, TX, &s, 1);
    }
    assert_int_equal(netrig_take(&r, 0, got, sizeof(got)), -1);
    assert_false(driver_used(&r.d, TX, NULL, NULL));
    r.port->blocked = false;
    net_writable(r.port->port.net, 0);
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(netrig_take(&r, 0, got, sizeof(got)), 100);
        assert_true(netrig_is_frame(got, 100, netrig_peer, i));
        assert_true(driver_used(&r.d, TX, NULL, NULL));
    }
    /* A reset does not wait for it. */
    r.port->blocked = true;
    struct seg s = driver_bytes(&r.d, bytes, 100);
    driver_send(&r.d, TX, &s, 1);
    board_turn(&r.b);
    r.port->blocked = false;
    netrig_start(&r, DRIVER_ALL, 16);
    net_writable(r.port->port.net, 0);
    assert_int_equal(netrig_take(&r, 0, got, sizeof(got)), -1);
    assert_true(sends(&r, 100, NULL, 0, false));
    netrig_destroy(&r);
}

static void sends_many_without_losing_their_order(void **state)
{
    struct netrig r;
    uint8_t got[200];
    uint16_t next = 0;

    (void)state;
    netrig_create(&r, 1, 0, false);
    netrig_start(&r, DRIVER_ALL, 256);
    for (unsigned round = 0; round < 4; round++) {
        for (uint16_t i = 0; i < 250; i++) { /* more than a budget, in one kick */
            netrig_frame(bytes, 60, netrig_peer, 0);
            uint16_t number = (uint16_t)(round * 250 + i);
            memcpy(bytes + 40, &number, 2);
            struct seg s = driver_bytes(&r.d, bytes, 60);
            driver_offer(&r.d, TX, driver_describe(&r.d, TX, &s, 1));
        }
        driver_kick(&r.d, TX);
        while (driver_used(&r.d, TX, NULL, NULL) || board_turn(&r.b))
            while (netrig_take(&r, 0, got, sizeof(got)) == 60) {
                assert_memory_equal(got + 40, &next, 2);
                next++;
            }
    }
    while (netrig_take(&r, 0, got, sizeof(got)) == 60)
        next++;
    assert_int_equal(next, 1000);
    assert_int_equal(r.sent, 48000);
    netrig_destroy(&r);
}

/* ---- receiving ---- */

static void give_frame(struct netrig *r, size_t len, uint8_t seed)
{
    netrig_frame(bytes, len, netrig_mac, seed);
    netrig_give(r, 0, bytes, len);
}

static void receives_into_one_buffer(void **state)
{
    struct netrig r;
    uint32_t id, len;

    (void)state;
    netrig_up(&r);
    struct seg a = netrig_offer(&r, 0, 1600), b = netrig_offer(&r, 0, 1600);
    netrig_frame(bytes, 200, netrig_mac, 3);
    bytes[0] = VIRTIO_NET_HDR_F_DATA_VALID;
    bytes[10] = bytes[11] = 0xff;
    netrig_give(&r, 0, bytes, 200);
    assert_true(driver_used(&r.d, RX, &id, &len));
    assert_int_equal(id, 0);
    assert_int_equal(len, 200);
    assert_true(netrig_is_frame(a.host, 200, netrig_mac, 3));
    assert_int_equal(header_at(a.host)->num_buffers, 1);
    assert_int_equal(header_at(a.host)->hdr.flags, VIRTIO_NET_HDR_F_DATA_VALID);
    assert_int_equal(driver_interrupts(&r.d, 1 + RX), 1);
    give_frame(&r, 1514, 4);
    assert_true(driver_used(&r.d, RX, &id, &len));
    assert_int_equal(id, 1);
    assert_true(netrig_is_frame(b.host, 1514, netrig_mac, 4));
    assert_int_equal(r.received, 188 + 1502);
    netrig_destroy(&r);

    netrig_create(&r, 1, NETRIG_ALL_OFFLOADS,
                  false); /* 5.1.6.4.1: no flags for who negotiated none */
    netrig_start(&r, FEATURE(VIRTIO_F_VERSION_1), 16);
    a = netrig_offer(&r, 0, 1600);
    netrig_frame(bytes, 200, netrig_mac, 3);
    bytes[0] = VIRTIO_NET_HDR_F_DATA_VALID;
    netrig_give(&r, 0, bytes, 200);
    assert_true(driver_used(&r.d, RX, &id, &len));
    assert_int_equal(header_at(a.host)->hdr.flags, 0);
    assert_int_equal(header_at(a.host)->num_buffers, 1);
    netrig_destroy(&r);
}

/* The bytes of a frame that lies in several buffers. */
static void gather(uint8_t *to, const struct seg *segs, const uint32_t *lens, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        memcpy(to, segs[i].host, lens[i]);
        to += lens[i];
    }
}

static void merges_buffers(void **state)
{
    struct netrig r;
    struct seg s[40];
    uint32_t lens[40];
    static uint8_t got[sizeof(bytes)];

    (void)state;
    netrig_create(&r, 1, NETRIG_ALL_OFFLOADS, false);
    netrig_start(&r, DRIVER_ALL, 64);
    for (unsigned i = 0; i < 40; i++)
        s[i] = netrig_offer(&r, 0, i == 1 ? 13 : 2000);
    give_frame(&r, 4500, 9);
    uint32_t id;
    for (unsigned i = 0; i < 4; i++) {
        assert_true(driver_used(&r.d, RX, &id, &lens[i]));
        assert_int_equal(id, i);
    }
    assert_false(driver_used(&r.d, RX, NULL, NULL));
    assert_int_equal(lens[0], 2000);
    assert_int_equal(lens[1], 13);
    assert_int_equal(lens[2], 2000);
    assert_int_equal(lens[3], 487);
    assert_int_equal(header_at(s[0].host)->num_buffers, 4);
    gather(got, s, lens, 4);
    assert_true(netrig_is_frame(got, 4500, netrig_mac, 9));

    give_frame(&r, 65562, 10); /* the longest of TCP */
    unsigned n = 0;
    while (driver_used(&r.d, RX, &id, &lens[n]))
        n++;
    assert_int_equal(n, 33);
    assert_int_equal(header_at(s[4].host)->num_buffers, 33);
    gather(got, s + 4, lens, n);
    assert_true(netrig_is_frame(got, 65562, netrig_mac, 10));
    give_frame(&r, 100, 11); /* what is left goes on being used */
    assert_true(driver_used(&r.d, RX, &id, &lens[0]));
    assert_int_equal(id, 37);
    netrig_destroy(&r);
}

/* A buffer may be of any pieces. */
static void receives_into_pieces(void **state)
{
    struct netrig r;
    static uint8_t got[300];
    uint32_t len;

    (void)state;
    for (unsigned indirect = 0; indirect < 2; indirect++) {
        netrig_up(&r);
        struct seg s[5] = {driver_buffer(&r.d, 5, true), driver_buffer(&r.d, 6, true),
                           driver_buffer(&r.d, 3, true), driver_buffer(&r.d, 100, true),
                           driver_buffer(&r.d, 3000, true)};
        driver_offer(&r.d, RX,
                     indirect ? driver_describe_indirect(&r.d, RX, s, 5)
                              : driver_describe(&r.d, RX, s, 5));
        driver_kick(&r.d, RX);
        give_frame(&r, 200, 5);
        assert_true(driver_used(&r.d, RX, NULL, &len));
        assert_int_equal(len, 200);
        gather(got, s, (uint32_t[]){5, 6, 3, 100, 86}, 5);
        assert_true(netrig_is_frame(got, 200, netrig_mac, 5));
        assert_int_equal(header_at(got)->num_buffers, 1);
        netrig_destroy(&r);
    }
}

static void without_merging_a_frame_needs_room(void **state)
{
    struct netrig r;
    uint32_t id, len;

    (void)state;
    netrig_create(&r, 1, NETRIG_ALL_OFFLOADS, false);
    netrig_start(&r, NOT(VIRTIO_NET_F_MRG_RXBUF), 16);
    struct seg a = netrig_offer(&r, 0, 500), b = netrig_offer(&r, 0, 1600);
    memset(b.host, 0x77, 1600);
    give_frame(&r, 501, 1); /* too long, and dropped */
    assert_false(driver_used(&r.d, RX, NULL, NULL));
    give_frame(&r, 500, 2);
    assert_true(driver_used(&r.d, RX, &id, &len));
    assert_int_equal(id, 0);
    assert_int_equal(len, 500);
    assert_true(netrig_is_frame(a.host, 500, netrig_mac, 2));
    for (unsigned i = 0; i < 1600; i++)
        assert_int_equal(((uint8_t *)b.host)[i], 0x77);
    assert_int_equal(r.received, 488);
    netrig_destroy(&r);
}

/* A driver that has buffers for less than the longest frame gets what fits, and the rest later. */
static void waits_for_buffers(void **state)
{
    struct netrig r;
    struct seg s[5];
    uint32_t lens[5];
    static uint8_t got[5000];

    (void)state;
    netrig_up(&r);
    give_frame(&r, 300, 1); /* nothing at all */
    s[0] = netrig_offer(&r, 0, 1000);
    assert_true(driver_used(&r.d, RX, NULL, &lens[0]));
    assert_true(netrig_is_frame(s[0].host, 300, netrig_mac, 1));
    s[0] = netrig_offer(&r, 0, 1000);
    s[1] = netrig_offer(&r, 0, 500);
    give_frame(&r, 4000, 2);
    give_frame(&r, 100, 3);
    assert_false(driver_used(&r.d, RX, NULL, NULL));
    s[2] = netrig_offer(&r, 0, 1000);
    assert_false(driver_used(&r.d, RX, NULL, NULL));
    s[3] = netrig_offer(&r, 0, 1500);
    for (unsigned i = 0; i < 4; i++)
        assert_true(driver_used(&r.d, RX, NULL, &lens[i]));
    gather(got, s, lens, 4);
    assert_true(netrig_is_frame(got, 4000, netrig_mac, 2));
    assert_int_equal(header_at(got)->num_buffers, 4);
    s[4] = netrig_offer(&r, 0, 100);
    assert_true(driver_used(&r.d, RX, NULL, &lens[4]));
    assert_true(netrig_is_frame(s[4].host, 100, netrig_mac, 3));
    netrig_destroy(&r);
}

/* A frame that no number of such buffers holds is dropped; what fits is not. */
static void tiny_buffers_hold_what_they_can(void **state)
{
    struct netrig r;
    struct seg s[20];
    unsigned n = 0;

    (void)state;
    netrig_create(&r, 1, NETRIG_ALL_OFFLOADS, false);
    netrig_start(&r, DRIVER_ALL, 256);
    for (unsigned round = 0; round < 250; round++) { /* 20 pieces of 1 byte in each */
        for (unsigned i = 0; i < 20; i++)
            s[i] = driver_buffer(&r.d, 1, true);
        driver_offer(&r.d, RX, driver_describe_indirect(&r.d, RX, s, 20));
    }
    driver_kick(&r.d, RX);
    give_frame(&r, 3000, 1);
    assert_false(driver_used(&r.d, RX, NULL, NULL));
    give_frame(&r, 100, 2);
    while (driver_used(&r.d, RX, NULL, NULL))
        n++;
    assert_int_equal(n, 5);
    assert_false(is_broken(&r));
    netrig_destroy(&r);
}

static void receives_many_without_losing_their_order(void **state)
{
    struct netrig r;
    struct seg s[256];
    uint16_t next = 0, given = 0;
    unsigned interrupts = 0;

    (void)state;
    netrig_create(&r, 1, NETRIG_ALL_OFFLOADS, false);
    netrig_start(&r, DRIVER_ALL, 256);
    for (unsigned i = 0; i < 256; i++)
        s[i] = netrig_offer(&r, 0, 1526);
    while (next < 3000) {
        for (unsigned i = 0; i < 150 && given < 3000; i++, given++) {
            netrig_frame(bytes, 60, netrig_mac, 0);
            memcpy(bytes + 40, &given, 2);
            assert_int_equal(send(r.port->ends[0], bytes, 60, 0), 60);
        }
        board_turn(&r.b);
        uint32_t id, len;
        uint16_t old = r.d.queues[RX].avail->idx;
        while (driver_used(&r.d, RX, &id, &len)) {
            assert_int_equal(len, 60);
            assert_memory_equal((uint8_t *)s[id].host + 40, &next, 2);
            driver_offer(&r.d, RX, (uint16_t)id);
            next++;
        }
        if (driver_kick_wanted(&r.d, RX, old))
            driver_kick(&r.d, RX);
        interrupts += driver_interrupts(&r.d, 1 + RX);
    }
    assert_int_equal(r.received, 3000 * 48);
    assert_true(interrupts < 100); /* not one for each */
    netrig_destroy(&r);
}

static void buffers_must_be_writable(void **state)
{
    struct netrig r;

    (void)state;
    netrig_up(&r);
    struct seg s[2] = {driver_buffer(&r.d, 100, false), driver_buffer(&r.d, 1600, true)};
    driver_send(&r.d, RX, s, 2);
    board_turn(&r.b);
    assert_true(is_broken(&r));
    netrig_start(&r, DRIVER_ALL, 16);
    driver_send(&r.d, RX, s, 1);
    board_turn(&r.b);
    assert_true(is_broken(&r));
    netrig_start(&r, DRIVER_ALL, 16);
    driver_offer(&r.d, RX,
                 driver_describe(&r.d, RX, &(struct seg){.at = s[1].at, .writable = 1}, 1));
    driver_kick(&r.d, RX);
    board_turn(&r.b);
    assert_true(is_broken(&r)); /* of no bytes */
    give_frame(&r, 100, 1);
    netrig_start(&r, DRIVER_ALL, 16);
    struct seg a = netrig_offer(&r, 0, 1600);
    give_frame(&r, 100, 2); /* and not the one from before */
    assert_true(netrig_is_frame(a.host, 100, netrig_mac, 2));
    netrig_destroy(&r);
}

/* ---- reset and rest ---- */

static void frames_before_the_driver_are_lost(void **state)
{
    struct netrig r;

    (void)state;
    netrig_create(&r, 1, NETRIG_ALL_OFFLOADS, false);
    give_frame(&r, 100, 1);
    netrig_start(&r, DRIVER_ALL, 16);
    struct seg a = netrig_offer(&r, 0, 1600);
    assert_false(driver_used(&r.d, RX, NULL, NULL));
    give_frame(&r, 100, 2);
    assert_true(driver_used(&r.d, RX, NULL, NULL));
    assert_true(netrig_is_frame(a.host, 100, netrig_mac, 2));
    netrig_destroy(&r);
}

static void a_reset_forgets_buffers(void **state)
{
    struct netrig r;

    (void)state;
    netrig_up(&r);
    struct seg a = netrig_offer(&r, 0, 1600), b = netrig_offer(&r, 0, 1600);
    give_frame(&r, 4000, 1); /* which waits for more */
    assert_true(driver_reset(&r.d));
    memset(a.host, 0x77, 1600);
    memset(b.host, 0x77, 1600);
    give_frame(&r, 100, 2);
    netrig_start(&r, DRIVER_ALL, 16);
    give_frame(&r, 100, 3);
    for (unsigned i = 0; i < 1600; i++)
        assert_true(((uint8_t *)a.host)[i] == 0x77 && ((uint8_t *)b.host)[i] == 0x77);
    struct seg c = netrig_offer(&r, 0, 1600);
    assert_true(driver_used(&r.d, RX, NULL, NULL));
    assert_true(netrig_is_frame(c.host, 100, netrig_mac, 3));
    assert_int_equal(r.port->pairs, 1);
    netrig_destroy(&r);
}

/* At rest for a snapshot, nothing is held: what was goes on where it was, here or elsewhere. */
static void rests_and_goes_on(void **state)
{
    struct netrig r;
    struct error err;
    struct state s;
    struct seg bufs[8];
    const uint8_t promiscuous = 1;

    (void)state;
    netrig_create(&r, 2, NETRIG_ALL_OFFLOADS, false);
    netrig_start(&r, DRIVER_ALL, 16);
    for (unsigned i = 0; i < 8; i++)
        bufs[i] = netrig_offer(&r, 0, 1600);
    give_frame(&r, 100, 1);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC,
                                    &promiscuous, 1),
                     VIRTIO_NET_OK);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
                                    &(uint16_t){2}, 2),
                     VIRTIO_NET_OK);
    assert_int_equal(virtio_hold_all(&r.b.virtio, 1000, &err), 0);
    assert_int_equal(r.device->queues[RX].next_avail, 1);
    assert_int_equal(r.device->queues[RX].outstanding, 0);
    give_frame(&r, 100, 2);
    assert_int_equal(r.device->queues[RX].next_avail, 1);
    state_save(&s, &err);
    virtio_state_all(&r.b.virtio, &s);
    assert_int_equal(state_finish(&s), 0);
    virtio_release_all(&r.b.virtio);
    board_turn(&r.b);
    assert_true(driver_used(&r.d, RX, NULL, NULL));
    assert_true(driver_used(&r.d, RX, NULL, NULL));
    assert_true(netrig_is_frame(bufs[1].host, 100, netrig_mac, 2));

    /* The same state in another one, with the same memory. */
    struct netrig o;
    netrig_create(&o, 2, NETRIG_ALL_OFFLOADS, false);
    memcpy(o.b.memory->slots[0].host, r.b.memory->slots[0].host, BOARD_LOW);
    struct state l;
    state_load(&l, s.data, s.len, &err);
    virtio_state_all(&o.b.virtio, &l);
    assert_int_equal(state_finish(&l), 0);
    board_turn(&o.b);
    virtio_release_all(&o.b.virtio);
    board_turn(&o.b);
    assert_int_equal(o.port->pairs, 2);
    assert_int_equal(o.port->offloads, NET_GUEST_OFFLOADS);
    assert_int_equal(((struct net *)o.device->state)->filter.modes, 1u << NET_PROMISCUOUS);
    netrig_frame(bytes, 100, netrig_peer, 7); /* for somebody else */
    netrig_give(&o, 0, bytes, 100);
    assert_int_equal(o.device->queues[RX].next_used, 2);
    assert_true(netrig_is_frame(memory_at(o.b.memory, bufs[1].at, 100), 100, netrig_peer, 7));
    netrig_destroy(&o);

    /* And where the cable is out. */
    netrig_create(&o, 2, NETRIG_ALL_OFFLOADS, false);
    memcpy(o.b.memory->slots[0].host, r.b.memory->slots[0].host, BOARD_LOW);
    net_set_link(o.device->state, false);
    state_load(&l, s.data, s.len, &err);
    virtio_state_all(&o.b.virtio, &l);
    assert_int_equal(state_finish(&l), 0);
    board_turn(&o.b);
    virtio_release_all(&o.b.virtio);
    board_turn(&o.b);
    uint16_t status;
    virtio_get_config(o.device, offsetof(struct virtio_net_config, status), &status, 2);
    assert_int_equal(status, 0);
    netrig_destroy(&o);

    /* One that uses more pairs than there are. */
    netrig_create(&o, 2, NETRIG_ALL_OFFLOADS, false);
    s.data[s.len - sizeof(struct net_filter) - 12] = 9;
    state_load(&l, s.data, s.len, &err);
    virtio_state_all(&o.b.virtio, &l);
    assert_int_equal(state_finish(&l), -1);
    netrig_destroy(&o);
    free(s.data);
    netrig_destroy(&r);
}

/* ---- who serves it ---- */

static void the_kernel_serves_live_pairs(void **state)
{
    struct netrig r;

    (void)state;
    netrig_create(&r, 2, NETRIG_ALL_OFFLOADS, true);
    netrig_start(&r, DRIVER_ALL, 16);
    assert_true(r.port->in_kernel[0]);
    assert_false(r.port->in_kernel[1]);
    assert_int_equal(r.port->calls[0][0], virtio_interrupt_fd(&r.device->queues[0]));
    assert_int_equal(r.port->calls[0][1], virtio_interrupt_fd(&r.device->queues[1]));
    /* Kicks and frames are not ours now. */
    struct seg s = driver_bytes(&r.d, bytes, 100);
    driver_send(&r.d, TX, &s, 1);
    netrig_offer(&r, 0, 1600);
    give_frame(&r, 100, 1);
    assert_int_equal(r.device->queues[RX].next_avail, 0);
    assert_int_equal(r.device->queues[TX].next_avail, 0);
    assert_int_equal(netrig_command(&r, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
                                    &(uint16_t){2}, 2),
                     VIRTIO_NET_OK);
    board_turn(&r.b);
    assert_true(r.port->in_kernel[0] && r.port->in_kernel[1]);
    assert_int_equal(r.port->starts, 2);
    assert_true(driver_reset(&r.d));
    assert_false(r.port->in_kernel[0] || r.port->in_kernel[1]);
    netrig_destroy(&r);
}

static void pairs_are_taken_back(void **state)
{
    struct netrig r;
    uint8_t got[200];

    (void)state;
    netrig_create(&r, 1, NETRIG_ALL_OFFLOADS, true);
    netrig_start(&r, DRIVER_ALL, 16);
    assert_true(r.port->in_kernel[0]);
    for (unsigned i = 0; i < 3; i++) {
        netrig_frame(bytes, 100, netrig_peer, (uint8_t)i);
        struct seg s = driver_bytes(&r.d, bytes, 100);
        driver_send(&r.d, TX, &s, 1);
    }
    /* Another vector: it is told. */
    const int before = r.port->calls[0][1];
    driver_set(&r.d, VIRTIO_PCI_COMMON_Q_SELECT, 2, TX);
    driver_set(&r.d, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
    board_turn(&r.b);
    assert_true(r.port->in_kernel[0]);
    assert_int_not_equal(r.port->calls[0][1], before);
    assert_int_equal(r.port->starts, 2);
    /* None: we do it. What the kernel did is not done again. */
    r.port->kernel_took[1] = 1;
    driver_set(&r.d, VIRTIO_PCI_COMMON_Q_MSIX, 2, 0xffff);
    board_turn(&r.b);
    assert_false(r.port->in_kernel[0]);
    for (uint8_t i = 1; i < 3; i++) {
        assert_int_equal(netrig_take(&r, 0, got, sizeof(got)), 100);
        assert_true(netrig_is_frame(got, 100, netrig_peer, i));
    }
    assert_int_equal(netrig_take(&r, 0, got, sizeof(got)), -1);
    driver_set(&r.d, VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
    board_turn(&r.b);
    assert_true(r.port->in_kernel[0]);
    r.port->kernel_took[1] = 0;
    config_write(&r.b, 1, r.d.msix + PCI_MSIX_FLAGS, 2, 0);
    board_turn(&r.b);
    assert_false(r.port->in_kernel[0]);
    config_write(&r.b, 1, r.d.msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    board_turn(&r.b);
    assert_true(r.port->in_kernel[0]);
    config_write(&r.b, 1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY); /* no bus master */
    board_turn(&r.b);
    assert_false(r.port->in_kernel[0]);
    netrig_destroy(&r);
}

static void intx_and_failures_are_served_here(void **state)
{
    struct netrig r;

    (void)state;
    netrig_create(&r, 1, NETRIG_ALL_OFFLOADS, true);
    r.d.no_msix = true;
    netrig_start(&r, DRIVER_ALL, 16);
    assert_int_equal(r.port->starts, 0);
    assert_true(sends(&r, 100, NULL, 0, false));
    netrig_destroy(&r);

    netrig_create(&r, 1, NETRIG_ALL_OFFLOADS, true);
    r.port->kernel_fails = true;
    netrig_start(&r, DRIVER_ALL, 16);
    assert_int_equal(r.port->starts, 1);
    assert_true(sends(&r, 100, NULL, 0, false));
    struct seg a = netrig_offer(&r, 0, 1600);
    give_frame(&r, 100, 2);
    assert_true(netrig_is_frame(a.host, 100, netrig_mac, 2));
    netrig_start(&r, DRIVER_ALL, 16);
    assert_int_equal(r.port->starts, 1); /* not tried again */
    assert_true(sends(&r, 100, NULL, 0, false));
    netrig_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_it_is),
        cmocka_unit_test(tells_the_port_what_the_driver_takes),
        cmocka_unit_test(sends_frames_in_any_framing),
        cmocka_unit_test(passes_offloads_on),
        cmocka_unit_test(drops_what_is_no_frame),
        cmocka_unit_test(wants_a_header),
        cmocka_unit_test(waits_for_a_port_that_is_full),
        cmocka_unit_test(sends_many_without_losing_their_order),
        cmocka_unit_test(receives_into_one_buffer),
        cmocka_unit_test(merges_buffers),
        cmocka_unit_test(receives_into_pieces),
        cmocka_unit_test(without_merging_a_frame_needs_room),
        cmocka_unit_test(waits_for_buffers),
        cmocka_unit_test(tiny_buffers_hold_what_they_can),
        cmocka_unit_test(receives_many_without_losing_their_order),
        cmocka_unit_test(buffers_must_be_writable),
        cmocka_unit_test(frames_before_the_driver_are_lost),
        cmocka_unit_test(a_reset_forgets_buffers),
        cmocka_unit_test(rests_and_goes_on),
        cmocka_unit_test(the_kernel_serves_live_pairs),
        cmocka_unit_test(pairs_are_taken_back),
        cmocka_unit_test(intx_and_failures_are_served_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
