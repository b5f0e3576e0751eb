/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 120 s
 *
 * Virtio over PCI as a driver sees it, right and wrong: registers, status, features, queues,
 * interrupts, reset. Section numbers are those of virtio 1.2.
 */
#include "wires.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "device/driver.h"
#include "device/echo.h"
#include "kvm/virtio/rng.h"

#define ECHO 1
#define RNG  2

#define ACK    VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER VIRTIO_CONFIG_S_DRIVER
#define FEAT   VIRTIO_CONFIG_S_FEATURES_OK
#define OK     VIRTIO_CONFIG_S_DRIVER_OK
#define FAILED VIRTIO_CONFIG_S_FAILED
#define NEEDS  VIRTIO_CONFIG_S_NEEDS_RESET

#define ALL_BUT(bit) (~VIRTIO_FEATURE(bit))

static struct board board;
static struct driver drv;
static struct echo echo;

static int setup(void **state)
{
    (void)state;
    if (board_init(&board, false) < 0 || echo_add(&board.virtio, &echo, 0) < 0 ||
        rng_add(&board.virtio, NULL) < 0 || board_start(&board) < 0)
        return -1;
    return driver_probe(&drv, &board, ECHO) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    board_destroy(&board);
    return echo.destroyed == 1 ? 0 : -1;
}

/* Send "hello" to queue 0 and get it back. */
static void assert_works(void)
{
    struct seg s[2] = {driver_bytes(&drv, "hello", 5), driver_buffer(&drv, 5, true)};

    assert_int_equal(driver_request(&drv, 0, s, 2), 5);
    assert_memory_equal(s[1].host, "hello", 5);
}

/* The device has given up: it said so, does nothing, and comes back by a reset. */
static void assert_broken(const char *what)
{
    board_turn(&board);
    if (!(driver_status(&drv) & NEEDS))
        fail_msg("taken: %s", what);
    if (driver_used(&drv, 0, NULL, NULL))
        fail_msg("answered: %s", what);
    if (driver_interrupts(&drv, 0) != 1)
        fail_msg("no configuration interrupt: %s", what);
    driver_kick(&drv, 0);
    board_turn(&board);
    assert_false(driver_used(&drv, 0, NULL, NULL));
    driver_set_status(&drv, driver_status(&drv) & ~NEEDS); /* not the driver's to clear */
    assert_true(driver_status(&drv) & NEEDS);
    board_free_all(&board);
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    assert_works();
}

/* ---- capabilities ---- */

static void test_identity(void **state)
{
    (void)state;
    assert_int_equal(config_read(&board, ECHO, 0, 4), (0x1040 + 60) << 16 | 0x1af4);
    assert_int_equal(config_read(&board, RNG, 0, 4), 0x1044 << 16 | 0x1af4);
    assert_true(config_read(&board, ECHO, PCI_REVISION_ID, 1) >= 1); /* 4.1.2.1 */
    assert_true(config_read(&board, ECHO, PCI_SUBSYSTEM_ID, 2) >= 0x40);
}

/* 4.1.4: all structures are there, inside their BAR, aligned as they must be. */
static void test_capabilities(void **state)
{
    unsigned seen = 0, at = config_read(&board, ECHO, PCI_CAPABILITY_LIST, 1);

    (void)state;
    for (unsigned n = 0; at; n++) {
        assert_true(n < 48 && at >= 0x40 && at % 4 == 0);
        if (config_read(&board, ECHO, at, 1) == PCI_CAP_ID_VNDR) {
            unsigned len = config_read(&board, ECHO, at + 2, 1);
            unsigned type = config_read(&board, ECHO, at + 3, 1);
            uint32_t offset = config_read(&board, ECHO, at + 8, 4);
            uint32_t size = config_read(&board, ECHO, at + 12, 4);
            assert_false(seen & 1u << type); /* one of each */
            seen |= 1u << type;
            assert_int_equal(
                len, type == VIRTIO_PCI_CAP_NOTIFY_CFG || type == VIRTIO_PCI_CAP_PCI_CFG ? 20 : 16);
            assert_int_equal(offset % 4, 0);
            assert_true(offset + size <= 0x4000);
            if (type == VIRTIO_PCI_CAP_COMMON_CFG)
                assert_true(size >= 56);
            if (type == VIRTIO_PCI_CAP_DEVICE_CFG)
                assert_int_equal(size, ECHO_CONFIG);
            if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
                assert_true(size >= (ECHO_QUEUES - 1) * 4 + 2);
        }
        at = config_read(&board, ECHO, at + 1, 1);
    }
    assert_int_equal(seen, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5);
    assert_int_equal(drv.notify_multiplier, 4);
    struct driver rng;
    assert_true(driver_probe(&rng, &board, RNG));
    assert_int_equal(rng.device, 0); /* it has no configuration */
}

/* 4.1.4.9: the registers through configuration space, decoded or not. */
static void test_config_access(void **state)
{
    unsigned at = drv.access, data = at + 16;

    (void)state;
    config_write(&board, ECHO, PCI_COMMAND, 2, 0);
    config_write(&board, ECHO, at + 4, 1, 0);
    config_write(&board, ECHO, at + 8, 4, VIRTIO_PCI_COMMON_NUMQ);
    config_write(&board, ECHO, at + 12, 4, 2);
    assert_int_equal(config_read(&board, ECHO, data, 4) & 0xffff, ECHO_QUEUES);
    assert_int_equal(config_read(&board, ECHO, data, 2), ECHO_QUEUES);
    config_write(&board, ECHO, at + 8, 4, VIRTIO_PCI_COMMON_STATUS);
    config_write(&board, ECHO, at + 12, 4, 1);
    config_write(&board, ECHO, data, 1, ACK);
    assert_int_equal(config_read(&board, ECHO, data, 1), ACK);
    config_write(&board, ECHO, at + 8, 4, 0x2000);
    config_write(&board, ECHO, at + 12, 4, 4);
    assert_int_equal(config_read(&board, ECHO, data, 4), 0x04030201);

    /* Nowhere: nothing happens, whatever is written. */
    const struct {
        uint32_t bar, offset, length;
    } wrong[] = {{1, 0, 4},          {6, 0, 4},          {255, 0, 4},
                 {0, 0x4000, 4},     {0, UINT32_MAX, 1}, {0, UINT32_MAX - 3, 4},
                 {0, 2, 4},          {0, 0, 0},          {0, 0, 3},
                 {0, 0, 8},          {0, 0, UINT32_MAX}, {0, 0x3ffe, 4},
                 {4, MSIX_BYTES, 4}, {2, 0, 4}};
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        config_write(&board, ECHO, at + 4, 1, wrong[i].bar);
        config_write(&board, ECHO, at + 8, 4, wrong[i].offset);
        config_write(&board, ECHO, at + 12, 4, wrong[i].length);
        config_write(&board, ECHO, data, 4, 0xabcd0123);
        assert_int_equal(config_read(&board, ECHO, data, 4), 0xabcd0123);
    }
    config_write(&board, ECHO, at + 4, 1, 4); /* the BAR of MSI-X is as good */
    config_write(&board, ECHO, at + 8, 4, 12);
    config_write(&board, ECHO, at + 12, 4, 4);
    assert_int_equal(config_read(&board, ECHO, data, 4), 1);
}

/* ---- registers ---- */

/* 4.1.3.1: fields are accessed by their own width; anything else changes nothing. */
static void test_widths(void **state)
{
    (void)state;
    driver_set(&drv, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
    assert_int_equal(driver_get(&drv, VIRTIO_PCI_COMMON_DFSELECT, 4), 1);
    driver_set(&drv, VIRTIO_PCI_COMMON_DFSELECT, 1, 0);
    driver_set(&drv, VIRTIO_PCI_COMMON_DFSELECT, 2, 0);
    assert_int_equal(driver_get(&drv, VIRTIO_PCI_COMMON_DFSELECT, 4), 1);
    driver_set(&drv, VIRTIO_PCI_COMMON_STATUS, 2, ACK);
    driver_set(&drv, VIRTIO_PCI_COMMON_STATUS, 4, ACK);
    driver_set(&drv, VIRTIO_PCI_COMMON_NUMQ, 4, ACK << 16);
    assert_int_equal(driver_status(&drv), 0);
    driver_set(&drv, VIRTIO_PCI_COMMON_NUMQ, 2, 77); /* read-only */
    assert_int_equal(driver_get(&drv, VIRTIO_PCI_COMMON_NUMQ, 2), ECHO_QUEUES);
    for (unsigned i = 0; i < 0x4000; i++) { /* nothing crashes; what is nowhere reads as 0 */
        uint64_t v = mmio_read(&board, drv.bar[0] + i, 1);
        if (i >= 0x38 && (i < 0x2000 || i >= 0x2000 + ECHO_CONFIG))
            assert_int_equal(v, 0);
        mmio_read(&board, drv.bar[0] + i, 8);
    }
}

/* 64-bit fields may be written as two halves or as a whole. */
static void test_wide_fields(void **state)
{
    const unsigned fields[] = {VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_AVAILLO,
                               VIRTIO_PCI_COMMON_Q_USEDLO};

    (void)state;
    assert_true(driver_negotiate(&drv, DRIVER_ALL));
    for (unsigned i = 0; i < 3; i++) {
        mmio_write(&board, drv.common + fields[i], 8, 0x1122334455667788 + i);
        assert_int_equal(driver_get(&drv, fields[i], 4), 0x55667788 + i);
        assert_int_equal(driver_get(&drv, fields[i] + 4, 4), 0x11223344);
        assert_int_equal(mmio_read(&board, drv.common + fields[i], 8), 0x1122334455667788 + i);
    }
}

/* ---- status and features (2.1, 2.2, 3.1.1) ---- */

static void test_status(void **state)
{
    (void)state;
    const struct {
        uint8_t write, read;
    } steps[] = {
        {0, 0},
        {DRIVER, 0}, /* nobody acknowledged */
        {FEAT, 0},
        {OK, 0},
        {NEEDS, 0}, /* not the driver's */
        {0x30, 0},  /* no such bits */
        {ACK, ACK},
        {FEAT | ACK, ACK},
        {0x80 >> 1 | ACK, ACK},
        {ACK | DRIVER, ACK | DRIVER},
        {ACK, ACK | DRIVER}, /* never cleared but by 0 */
        {DRIVER, ACK | DRIVER},
        {ACK | DRIVER | OK, ACK | DRIVER},   /* without FEATURES_OK */
        {ACK | DRIVER | FEAT, ACK | DRIVER}, /* VERSION_1 was not accepted */
        {0, 0},
        {ACK | DRIVER, ACK | DRIVER}, /* both at once */
        {ACK | DRIVER | FAILED, ACK | DRIVER | FAILED},
        {ACK | DRIVER, ACK | DRIVER | FAILED},
        {0, 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        driver_set_status(&drv, steps[i].write);
        if (driver_status(&drv) != steps[i].read)
            fail_msg("step %u: %#x", i, driver_status(&drv));
    }
    assert_int_equal(echo.starts, 0);
    assert_true(driver_start(&drv, DRIVER_ALL, 1, 8));
    assert_int_equal(echo.starts, 1);
    driver_set_status(&drv, ACK | DRIVER | FEAT | OK);
    assert_int_equal(echo.starts, 1);
}

static void test_features(void **state)
{
    const uint64_t must = VIRTIO_FEATURE(VIRTIO_F_VERSION_1);

    (void)state;
    assert_true(driver_negotiate(&drv, must));
    assert_int_equal(drv.offered, must | VIRTIO_FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
                                      VIRTIO_FEATURE(VIRTIO_RING_F_EVENT_IDX) |
                                      VIRTIO_FEATURE(ECHO_F_ONE) | VIRTIO_FEATURE(ECHO_F_TWO));
    for (unsigned i = 2; i < 40; i++) { /* 4.1.4.3: beyond bit 63 */
        driver_set(&drv, VIRTIO_PCI_COMMON_DFSELECT, 4, i);
        assert_int_equal(driver_get(&drv, VIRTIO_PCI_COMMON_DF, 4), 0);
    }
    driver_set(&drv, VIRTIO_PCI_COMMON_DFSELECT, 4, UINT32_MAX);
    assert_int_equal(driver_get(&drv, VIRTIO_PCI_COMMON_DF, 4), 0);

    /* Frozen. */
    driver_write_features(&drv, 0);
    driver_set(&drv, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    assert_int_equal(driver_get(&drv, VIRTIO_PCI_COMMON_GF, 4), 1);
    assert_int_equal(echo.device->features, must);

    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t f = must | VIRTIO_FEATURE(bit);
        driver_reset(&drv);
        driver_set_status(&drv, ACK | DRIVER);
        driver_write_features(&drv, f);
        driver_set(&drv, VIRTIO_PCI_COMMON_GFSELECT, 4, 2); /* goes nowhere */
        driver_set(&drv, VIRTIO_PCI_COMMON_GF, 4, UINT32_MAX);
        driver_set_status(&drv, ACK | DRIVER | FEAT);
        assert_int_equal(driver_status(&drv) & FEAT, f & ~drv.offered ? 0 : FEAT);
    }
    driver_reset(&drv);
    driver_set_status(&drv, ACK | DRIVER);
    driver_write_features(&drv, drv.offered & ~must); /* a driver from before 1.0 */
    driver_set_status(&drv, ACK | DRIVER | FEAT);
    assert_false(driver_status(&drv) & FEAT);
    driver_write_features(&drv, drv.offered); /* it may try again */
    driver_set_status(&drv, ACK | DRIVER | FEAT);
    assert_true(driver_status(&drv) & FEAT);
}

/* ---- setting queues up (4.1.5.1.3) ---- */

static void select_queue(unsigned i)
{
    driver_set(&drv, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
}

static uint32_t get(unsigned field, unsigned size)
{
    return driver_get(&drv, field, size);
}

static void test_queue_size(void **state)
{
    const uint16_t wrong[] = {0, 3, 5, 63, 65, 128, 0x8000, 0xffff};

    (void)state;
    assert_true(driver_negotiate(&drv, DRIVER_ALL));
    select_queue(0);
    assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SIZE, 2), ECHO_SIZE);
    for (uint16_t size = 1; size <= ECHO_SIZE; size *= 2) {
        driver_set(&drv, VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
        assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SIZE, 2), size);
        for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
            driver_set(&drv, VIRTIO_PCI_COMMON_Q_SIZE, 2, wrong[i]);
            assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SIZE, 2), size);
        }
    }
    assert_true(driver_reset(&drv));
    select_queue(0);
    assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SIZE, 2), ECHO_SIZE);
}

static void test_no_such_queue(void **state)
{
    const unsigned beyond[] = {ECHO_QUEUES, ECHO_QUEUES + 1, 255, 0x8000, 0xffff};

    (void)state;
    assert_true(driver_negotiate(&drv, DRIVER_ALL));
    for (unsigned i = 0; i < ARRAY_SIZE(beyond); i++) {
        select_queue(beyond[i]);
        assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SELECT, 2), beyond[i]);
        for (unsigned field = VIRTIO_PCI_COMMON_Q_SIZE; field < 0x38; field += 2) {
            driver_set(&drv, field, 2, 1);
            driver_set(&drv, field, 4, 1);
            assert_int_equal(get(field, 2), 0); /* 4.1.4.3.1 */
            assert_int_equal(get(field, 4), 0);
        }
    }
    for (unsigned i = 0; i < ECHO_QUEUES; i++) {
        select_queue(i);
        assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SIZE, 2), ECHO_SIZE);
        assert_int_equal(get(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
        assert_int_equal(get(VIRTIO_PCI_COMMON_Q_NOFF, 2), i);
    }
}

/* Try to change all of the selected queue's registers, and see that none did. */
static void assert_frozen(void)
{
    uint32_t before[0x38], size = get(VIRTIO_PCI_COMMON_Q_SIZE, 2);

    for (unsigned f = VIRTIO_PCI_COMMON_Q_DESCLO; f < 0x38; f += 4)
        before[f] = get(f, 4);
    uint32_t enabled = get(VIRTIO_PCI_COMMON_Q_ENABLE, 2);
    driver_set(&drv, VIRTIO_PCI_COMMON_Q_SIZE, 2, size == 16 ? 32 : 16);
    driver_set(&drv, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
    for (unsigned f = VIRTIO_PCI_COMMON_Q_DESCLO; f < 0x38; f += 4)
        driver_set(&drv, f, 4, 0x123000);
    assert_int_equal(get(VIRTIO_PCI_COMMON_Q_SIZE, 2), size);
    assert_int_equal(get(VIRTIO_PCI_COMMON_Q_ENABLE, 2), enabled);
    for (unsigned f = VIRTIO_PCI_COMMON_Q_DESCLO; f < 0x38; f += 4)
        assert_int_equal(get(f, 4), before[f]);
}

static void test_frozen_queues(void **state)
{
    (void)state;
    driver_reset(&drv);
    assert_frozen(); /* before FEATURES_OK */
    driver_set_status(&drv, ACK | DRIVER);
    assert_frozen();
    assert_true(driver_negotiate(&drv, DRIVER_ALL));
    assert_true(driver_setup_msix(&drv));
    assert_true(driver_setup_queue(&drv, 0, 8));
    assert_frozen(); /* once enabled */
    driver_set_status(&drv, driver_status(&drv) | OK);
    assert_frozen();
    select_queue(1); /* one that was not set up, after DRIVER_OK */
    assert_frozen();
    driver_set(&drv, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    assert_int_equal(get(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    driver_kick(&drv, 0);
    assert_works();
    assert_true(driver_reset(&drv));
    select_queue(0);
    assert_int_equal(get(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    assert_int_equal(get(VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0);
}

static void test_bad_rings(void **state)
{
    const uint64_t good = 0x100000, top = BOARD_LOW;
    /* For a queue of 8: 128, 22 and 70 bytes. */
    const struct {
        uint64_t desc, avail, used;
        bool fine;
    } cases[] = {
        {good, good + 0x1000, good + 0x2000, true},
        {good + 8, good + 0x1000, good + 0x2000, false}, /* alignment */
        {good, good + 0x1001, good + 0x2000, false},
        {good, good + 0x1000, good + 0x2002, false},
        {top - 128, good + 0x1000, good + 0x2000, true}, /* to the last byte */
        {top - 112, good + 0x1000, good + 0x2000, false},
        {good, top - 22, good + 0x2000, true},
        {good, top - 20, good + 0x2000, false},
        {good, good + 0x1000, top - 72, true},
        {good, good + 0x1000, top - 68, false},
        {top, good, good, false}, /* in the hole */
        {good, MEMORY_PCI, good, false},
        {good, good + 0x1000, drv.bar[0], false}, /* onto its own registers */
        {MEMORY_HIGH, MEMORY_HIGH + 0x1000, MEMORY_HIGH + 0x2000, true},
        {MEMORY_HIGH + BOARD_HIGH - 64, good, good, false},
        {UINT64_MAX - 15, good, good, false},
        {good, UINT64_MAX - 1, good, false},
        {good, good, UINT64_MAX - 3, false},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_true(driver_negotiate(&drv, DRIVER_ALL));
        select_queue(0);
        driver_set(&drv, VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
        driver_point_queue(&drv, 0, cases[i].desc, cases[i].avail, cases[i].used);
        driver_set(&drv, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
        if (get(VIRTIO_PCI_COMMON_Q_ENABLE, 2) != cases[i].fine ||
            !!(driver_status(&drv) & NEEDS) == cases[i].fine)
            fail_msg("rings %u", i);
        driver_set_status(&drv, driver_status(&drv) | OK); /* not with a broken device */
        assert_int_equal(!!(driver_status(&drv) & OK), cases[i].fine);
    }
    assert_true(driver_negotiate(&drv, DRIVER_ALL));
    driver_set(&drv, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0); /* only 1 enables */
    driver_set(&drv, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 2);
    assert_int_equal(get(VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
}

/* ---- requests ---- */

static const uint64_t feature_sets[] = {
    DRIVER_ALL,
    ALL_BUT(VIRTIO_RING_F_EVENT_IDX),
    ALL_BUT(VIRTIO_RING_F_INDIRECT_DESC),
    ALL_BUT(VIRTIO_RING_F_INDIRECT_DESC) & ALL_BUT(VIRTIO_RING_F_EVENT_IDX),
};

/* Any split of a request into buffers has the same result (2.7.4.1). */
static void test_framing(void **state)
{
    char text[240];

    (void)state;
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7);
    for (unsigned f = 0; f < ARRAY_SIZE(feature_sets); f++) {
        assert_true(driver_start(&drv, feature_sets[f], 1, 64));
        for (unsigned in = 1; in <= 30; in += 5) {
            for (unsigned out = 1; out <= 30; out += 7) {
                struct seg s[64];
                unsigned n = 0;
                board.next = 0x200000;
                for (unsigned i = 0; i < in; i++)
                    s[n++] = driver_bytes(&drv, text + i * sizeof(text) / in,
                                          (uint32_t)((i + 1) * sizeof(text) / in -
                                                     i * sizeof(text) / in));
                for (unsigned i = 0; i < out; i++)
                    s[n++] = driver_buffer(&drv, 300 / out, true);
                size_t got = min((size_t)(300 / out * out), sizeof(text));
                if (f == 0) {
                    driver_offer(&drv, 0, driver_describe_indirect(&drv, 0, s, n));
                    driver_kick(&drv, 0);
                    uint32_t len;
                    assert_true(driver_await(&drv, 0, NULL, &len));
                    assert_int_equal(len, got);
                } else {
                    assert_int_equal(driver_request(&drv, 0, s, n), got);
                }
                for (size_t i = 0; i < got; i++)
                    assert_int_equal(((char *)s[in + i / (300 / out)].host)[i % (300 / out)],
                                     text[i]);
            }
        }
        board_free_all(&board);
    }
}

/* Normal descriptors may come before an indirect one, which is then the last (2.7.5.3.2). */
static void test_direct_then_indirect(void **state)
{
    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 1, 8));
    struct seg s[] = {driver_bytes(&drv, "hel", 3), driver_bytes(&drv, "lo", 2),
                      driver_buffer(&drv, 5, true)};
    struct driver_queue *q = &drv.queues[0];
    uint16_t table = driver_describe_indirect(&drv, 0, s + 1, 2);
    uint16_t head = driver_describe(&drv, 0, s, 1);
    q->desc[head].flags = VRING_DESC_F_NEXT;
    q->desc[head].next = table;
    q->desc[table].flags |= VRING_DESC_F_WRITE; /* to be ignored there */
    driver_offer(&drv, 0, head);
    driver_kick(&drv, 0);
    uint32_t len;
    assert_true(driver_await(&drv, 0, NULL, &len));
    assert_int_equal(len, 5);
    assert_memory_equal(s[2].host, "hello", 5);
}

/* An indirect table may begin at any address. */
static void test_crooked_table(void **state)
{
    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 1, 8));
    struct seg s[] = {driver_bytes(&drv, "hello", 5), driver_buffer(&drv, 5, true)};
    uint16_t head = driver_describe_indirect(&drv, 0, s, 2);
    struct vring_desc *v = &drv.queues[0].desc[head];
    uint64_t at = board_alloc(&board, 64, 16) + 3;
    memcpy(memory_at(board.memory, at, 32), memory_at(board.memory, v->addr, 32), 32);
    v->addr = at;
    driver_offer(&drv, 0, head);
    driver_kick(&drv, 0);
    assert_true(driver_await(&drv, 0, NULL, NULL));
    assert_memory_equal(s[1].host, "hello", 5);
}

static void test_nothing_in_it(void **state)
{
    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 1, 8));
    struct seg empty[] = {{.at = 0x1000, .len = 0}, {.at = UINT64_MAX, .len = 0, .writable = true}};
    assert_int_equal(driver_request(&drv, 0, empty, 2), 0); /* no byte of them is touched */
    assert_int_equal(driver_request(&drv, 0, empty, 1), 0);
    struct seg in = driver_bytes(&drv, "x", 1), out = driver_buffer(&drv, 9, true);
    assert_int_equal(driver_request(&drv, 0, &in, 1), 0);
    assert_int_equal(driver_request(&drv, 0, &out, 1), 0);
    assert_works();
}

/* ---- hostile chains ---- */

/* Offer a chain that begins with these descriptors and see the device refuse it. */
static void refuse_chain(const char *what, const struct vring_desc *descs, unsigned n)
{
    struct driver_queue *q = &drv.queues[0];

    driver_interrupts(&drv, 0);
    for (unsigned i = 0; i < n; i++)
        q->desc[i] = descs[i];
    driver_offer(&drv, 0, 0);
    driver_kick(&drv, 0);
    assert_broken(what);
}

#define REFUSE(what, ...)                                 \
    do {                                                  \
        const struct vring_desc chain_[] = {__VA_ARGS__}; \
        refuse_chain(what, chain_, ARRAY_SIZE(chain_));   \
    } while (0)
#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT

static void test_hostile_chains(void **state)
{
    const uint64_t at = 0x300000, top = BOARD_LOW, table = 0x310000;
    struct vring_desc *t = memory_at(board.memory, table, 64 * 16);

    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    REFUSE("loop of one", {at, 1, N, 0});
    REFUSE("loop of two", {at, 1, N, 1}, {at, 1, N, 0});
    REFUSE("loop back into the middle", {at, 1, N, 1}, {at, 1, N, 2}, {at, 1, N | W, 1});
    REFUSE("loop of nothing", {at, 0, N, 0});
    REFUSE("next beyond the table", {at, 1, N, 8});
    REFUSE("next far beyond", {at, 1, N, 0xffff});
    REFUSE("readable after writable", {at, 1, N | W, 1}, {at, 1, 0, 0});
    REFUSE("buffer outside", {top, 1, 0, 0});
    REFUSE("buffer at the end and over", {top - 4, 5, W, 0});
    REFUSE("buffer over the hole", {0x1000, UINT32_MAX, W, 0});
    REFUSE("buffer on the registers", {drv.bar[0], 4, W, 0});
    REFUSE("buffer in ecam", {MEMORY_ECAM, 4, 0, 0});
    REFUSE("address wraps", {UINT64_MAX - 3, 8, W, 0});
    REFUSE("address wraps to RAM", {UINT64_MAX, 2, 0, 0});
    REFUSE("high memory and over", {MEMORY_HIGH + BOARD_HIGH - 1, 2, W, 0});
    REFUSE("second buffer outside", {at, 1, N, 1}, {top, 1, W, 0});

    REFUSE("indirect with next", {table, 16, I | N, 1}, {at, 1, 0, 0});
    REFUSE("indirect of no entries", {table, 0, I, 0});
    REFUSE("indirect of a piece of an entry", {table, 24, I, 0});
    REFUSE("indirect outside", {top, 16, I, 0});
    REFUSE("indirect to the end and over", {top - 16, 32, I, 0});
    REFUSE("indirect wraps", {UINT64_MAX - 15, 32, I, 0});
    t[0] = (struct vring_desc){table, 16, I, 0};
    REFUSE("indirect in itself", {table, 16, I, 0});
    t[0] = (struct vring_desc){table + 16, 16, I, 0};
    t[1] = (struct vring_desc){at, 1, 0, 0};
    REFUSE("indirect in indirect", {table, 16, I, 0});
    t[0] = (struct vring_desc){at, 1, N, 1};
    REFUSE("next beyond the indirect table", {table, 16, I, 0});
    t[0] = (struct vring_desc){at, 1, N, 0};
    REFUSE("loop in the indirect table", {table, 16, I, 0});
    for (unsigned i = 0; i < 64; i++)
        t[i] = (struct vring_desc){at, 1, i < 63 ? N : 0, (uint16_t)(i + 1)};
    REFUSE("indirect longer than the queue", {table, 9 * 16, I, 0});
    REFUSE("much longer than the queue", {table, 64 * 16, I, 0});

    board_free_all(&board);
    assert_true(driver_start(&drv, ALL_BUT(VIRTIO_RING_F_INDIRECT_DESC), 2, 8));
    t[0] = (struct vring_desc){at, 1, 0, 0};
    REFUSE("indirect that was not negotiated", {table, 16, I, 0});
}

/* A chain as long as the queue is fine. */
static void test_longest_chain(void **state)
{
    struct seg s[8];

    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 1, 8));
    for (unsigned i = 0; i < 8; i++)
        s[i] = i < 4 ? driver_bytes(&drv, "ab", 2) : driver_buffer(&drv, 2, true);
    assert_int_equal(driver_request(&drv, 0, s, 8), 8);
    driver_offer(&drv, 0, driver_describe_indirect(&drv, 0, s, 8));
    driver_kick(&drv, 0);
    assert_true(driver_await(&drv, 0, NULL, NULL));
}

static void test_hostile_rings(void **state)
{
    const uint16_t jumps[] = {9, 10, 0x7fff, 0x8000, 0xffff};

    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    for (unsigned i = 0; i < ARRAY_SIZE(jumps); i++) {
        driver_interrupts(&drv, 0);
        drv.queues[0].avail->idx += jumps[i];
        driver_kick(&drv, 0);
        /* After assert_works() the device's next index is 1, the driver's as well. */
        assert_broken("index that jumps");
    }
    const uint16_t heads[] = {8, 9, 0x8000, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(heads); i++) {
        driver_interrupts(&drv, 0);
        driver_offer(&drv, 0, heads[i]);
        driver_kick(&drv, 0);
        assert_broken("head beyond the table");
    }
    /* The same head again and again, before it is used: at most as many as the queue has. */
    struct seg s = driver_buffer(&drv, 4, true);
    uint16_t head = driver_describe(&drv, 1, &s, 1);
    driver_interrupts(&drv, 0);
    for (unsigned i = 0; i < 8; i++)
        driver_offer(&drv, 1, head);
    driver_kick(&drv, 1);
    board_turn(&board);
    assert_int_equal(echo.kept, 8);
    assert_false(driver_status(&drv) & NEEDS);
    driver_offer(&drv, 1, head);
    driver_kick(&drv, 1);
    board_turn(&board);
    assert_int_equal(echo.kept, 8);
    assert_true(driver_status(&drv) & NEEDS);
    echo_release(&echo);
    board_free_all(&board);
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    assert_works();
}

/* What a guest does wrong fills no log. */
static void test_logged_once(void **state)
{
    char path[] = "/tmp/pult-test.XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    unlink(path);
    log_to(dup(fd), 0);
    for (unsigned i = 0; i < 50; i++) {
        board_free_all(&board);
        assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
        driver_offer(&drv, 0, 0x1234);
        driver_kick(&drv, 0);
        assert_broken("head");
    }
    char text[2000] = "";
    assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
    log_to(dup(STDERR_FILENO), 0);
    close(fd);
    assert_non_null(strstr(text, "driver of 'echo'"));
    assert_ptr_equal(strchr(text, '\n'), strrchr(text, '\n'));
}

/* ---- notifications ---- */

static void test_kicks(void **state)
{
    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    unsigned listening = 0;
    for (unsigned i = 0; i < board.kick_count; i++)
        listening += board.kicks[i].fd >= 0;
    assert_int_equal(listening, 2); /* of three queues two are set up */
    assert_works();

    /* Where nobody listens: queues that there are not, or are not set up. */
    unsigned handled = echo.handled;
    for (unsigned i = 2; i < 1024; i++)
        mmio_write(&board, drv.notify + i * 4, 2, i);
    mmio_write(&board, drv.notify + 2, 2, 0);
    board_turn(&board);
    assert_int_equal(echo.handled, handled);
    assert_int_equal(driver_status(&drv), ACK | DRIVER | FEAT | OK);

    /* KVM listens where the BAR is. */
    uint64_t old = drv.queues[0].notify;
    config_write(&board, ECHO, PCI_BASE_ADDRESS_0, 4, MEMORY_PCI + 0x100000);
    mmio_write(&board, old, 2, 0);
    assert_true(driver_probe(&(struct driver){0}, &board, ECHO));
    struct driver moved;
    assert_true(driver_probe(&moved, &board, ECHO));
    assert_int_equal(moved.bar[0], MEMORY_PCI + 0x100000);
    drv.common = moved.common;
    drv.notify = moved.notify;
    drv.queues[0].notify = moved.notify;
    bool found = false;
    for (unsigned i = 0; i < board.kick_count; i++)
        found |= board.kicks[i].fd >= 0 && board.kicks[i].address == moved.notify;
    assert_true(found);
    assert_works();
    config_write(&board, ECHO, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < board.kick_count; i++)
        assert_int_equal(board.kicks[i].fd, -1);
}

/* A KVM that cannot listen: kicks come as exits. */
static void test_kicks_by_exit(void **state)
{
    (void)state;
    board.no_kicks = true;
    assert_true(driver_start(&drv, DRIVER_ALL, 1, 8));
    assert_works();
    struct seg s[] = {driver_bytes(&drv, "x", 1), driver_buffer(&drv, 1, true)};
    for (unsigned size = 1; size <= 4; size *= 2) {
        driver_offer(&drv, 0, driver_describe(&drv, 0, s, 2));
        mmio_write(&board, drv.queues[0].notify, size, 0);
        assert_true(driver_await(&drv, 0, NULL, NULL));
    }
}

/* What was made available before DRIVER_OK is served after it, without a kick. */
static void test_early_buffers(void **state)
{
    (void)state;
    assert_true(driver_negotiate(&drv, DRIVER_ALL) && driver_setup_msix(&drv) &&
                driver_setup_queue(&drv, 0, 8));
    struct seg s[] = {driver_bytes(&drv, "x", 1), driver_buffer(&drv, 1, true)};
    driver_offer(&drv, 0, driver_describe(&drv, 0, s, 2));
    driver_kick(&drv, 0); /* 3.1.1: too early */
    board_turn(&board);
    assert_false(driver_used(&drv, 0, NULL, NULL));
    assert_int_equal(driver_interrupts(&drv, 1), 0);
    driver_set_status(&drv, driver_status(&drv) | OK);
    assert_true(driver_await(&drv, 0, NULL, NULL));
    assert_int_equal(driver_interrupts(&drv, 1), 1);
}

/* Without event indices: flags (2.7.7, 2.7.10). */
static void test_flags(void **state)
{
    (void)state;
    assert_true(driver_start(&drv, ALL_BUT(VIRTIO_RING_F_EVENT_IDX), 2, 8));
    struct driver_queue *q = &drv.queues[0];
    for (unsigned i = 0; i < 20; i++) {
        assert_true(driver_kick_wanted(&drv, 0, q->avail->idx));
        assert_works();
        assert_int_equal(driver_interrupts(&drv, 1), 1);
    }
    q->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
    assert_works();
    assert_int_equal(driver_interrupts(&drv, 1), 0);
    q->avail->flags = 0;
    assert_works();
    assert_int_equal(driver_interrupts(&drv, 1), 1);
}

/* With them: one kick and one interrupt for a batch, across the wrap of the 16-bit indices. */
static void test_event_index(void **state)
{
    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 1, 8));
    struct driver_queue *q = &drv.queues[0];
    struct seg s[] = {driver_bytes(&drv, "x", 1), driver_buffer(&drv, 1, true)};

    for (unsigned done = 0; done < 70000;) {
        uint16_t old = q->avail->idx;
        for (unsigned i = 0; i < 4; i++)
            driver_offer(&drv, 0, driver_describe(&drv, 0, s, 2));
        assert_true(driver_kick_wanted(&drv, 0, old));
        driver_kick(&drv, 0);
        board_turn(&board);
        if (driver_interrupts(&drv, 1) != 1)
            fail_msg("after %u", done);
        for (unsigned i = 0; i < 4; i++)
            assert_true(driver_used(&drv, 0, NULL, NULL));
        assert_false(driver_used(&drv, 0, NULL, NULL));
        assert_int_equal(q->used->flags, 0); /* 2.7.10.1 */
        done += 4;
    }

    /* An interrupt only for the entry that the driver asks for. */
    uint16_t event = (uint16_t)(q->last_used + 2);
    memcpy(&q->avail->ring[q->size], &event, 2);
    for (unsigned i = 0; i < 4; i++) {
        driver_offer(&drv, 0, driver_describe(&drv, 0, s, 2));
        driver_kick(&drv, 0);
        board_turn(&board);
        assert_int_equal(driver_interrupts(&drv, 1), i == 2);
    }
    while (driver_used(&drv, 0, NULL, NULL))
        ;
    event = (uint16_t)(q->last_used - 1); /* never again */
    memcpy(&q->avail->ring[q->size], &event, 2);
    for (unsigned i = 0; i < 8; i++) {
        driver_offer(&drv, 0, driver_describe(&drv, 0, s, 2));
        driver_kick(&drv, 0);
        board_turn(&board);
    }
    assert_int_equal(driver_interrupts(&drv, 1), 0);
}

/* Many at once: a handler gives way in between, and all are served. */
static void test_budget(void **state)
{
    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 1, 64));
    struct driver_queue *q = &drv.queues[0];
    struct seg s[] = {driver_bytes(&drv, "x", 1), driver_buffer(&drv, 1, true)};
    uint16_t head = driver_describe(&drv, 0, s, 2);
    struct virtqueue *vq = &echo.device->queues[0];

    for (unsigned i = 0; i < 64; i++)
        driver_offer(&drv, 0, head);
    vq->budget = 10; /* as in a handler that has popped most of its share */
    vq->device->type->handle(vq);
    assert_int_equal(vq->next_avail, 10);
    assert_true(vq->more);
    virtqueue_serve(vq);
    assert_int_equal(vq->next_avail, 64);
    assert_int_equal(q->used->idx, 64);
}

/* ---- interrupts ---- */

static void test_vectors(void **state)
{
    (void)state;
    assert_int_equal(drv.vectors, ECHO_QUEUES + 1);
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    select_queue(0);
    const unsigned beyond[] = {ECHO_QUEUES + 1, 100, 2047, 0xfffe, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(beyond); i++) { /* 4.1.5.1.2.1: the driver sees it fail */
        driver_set(&drv, VIRTIO_PCI_COMMON_Q_MSIX, 2, beyond[i]);
        assert_int_equal(get(VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
        driver_set(&drv, VIRTIO_PCI_COMMON_MSIX, 2, beyond[i]);
        assert_int_equal(get(VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
    }
    assert_works(); /* without any interrupt */
    for (unsigned v = 0; v <= ECHO_QUEUES; v++)
        assert_int_equal(driver_interrupts(&drv, v), 0);
    driver_set(&drv, VIRTIO_PCI_COMMON_Q_MSIX, 2, 3);
    assert_works();
    assert_int_equal(driver_interrupts(&drv, 3), 1);
    assert_int_equal(virtio_interrupt_fd(&echo.device->queues[0]),
                     msix_fd(&board.pci.functions[ECHO]->msix, 3));

    driver_mask(&drv, 3, true);
    assert_works();
    assert_int_equal(driver_interrupts(&drv, 3), 0);
    assert_true(driver_is_pending(&drv, 3));
    driver_mask(&drv, 3, false);
    assert_int_equal(driver_interrupts(&drv, 3), 1);
    assert_false(driver_is_pending(&drv, 3));
    driver_reset(&drv);
    select_queue(0);
    assert_int_equal(get(VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
    assert_int_equal(get(VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
}

static void test_intx(void **state)
{
    const unsigned gsi = PCI_INTX_GSI + ECHO;
    const uint32_t value = 0;

    (void)state;
    drv.no_msix = true;
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    assert_int_equal(mmio_read(&board, drv.isr, 1), 0);
    assert_works();
    assert_true(board.lines[gsi]);
    assert_int_equal(mmio_read(&board, drv.isr, 1), 1); /* reading clears (4.1.4.5.1) */
    assert_false(board.lines[gsi]);
    assert_int_equal(mmio_read(&board, drv.isr, 1), 0);
    virtio_set_config(echo.device, 0, &value, 4);
    assert_works();
    assert_true(board.lines[gsi]);
    assert_int_equal(mmio_read(&board, drv.isr, 1), 3);
    assert_false(board.lines[gsi]);
    assert_int_equal(virtio_interrupt_fd(&echo.device->queues[0]), -1);
    assert_works();
    assert_true(board.lines[gsi]);
    driver_reset(&drv); /* takes it away */
    assert_false(board.lines[gsi]);
    assert_int_equal(mmio_read(&board, drv.isr, 1), 0);
}

/* ---- configuration ---- */

static void test_config(void **state)
{
    uint8_t bytes[ECHO_CONFIG] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

    (void)state;
    for (unsigned size = 1; size <= 4; size *= 2)
        for (unsigned i = 0; i + size <= ECHO_CONFIG; i++) {
            uint64_t v = mmio_read(&board, drv.device + i, size);
            assert_memory_equal(&v, bytes + i, size);
        }
    assert_int_equal(mmio_read(&board, drv.device + 10, 4), 0x0c0b); /* the rest is not there */
    assert_int_equal(mmio_read(&board, drv.device + ECHO_CONFIG, 4), 0);

    mmio_write(&board, drv.device, 2, 0xaabb); /* writable */
    assert_int_equal(mmio_read(&board, drv.device, 4), 0x0403aabb);
    mmio_write(&board, drv.device + 2, 4, UINT32_MAX); /* half of it is */
    assert_int_equal(mmio_read(&board, drv.device, 8), 0x08070605ffffaabb);
    mmio_write(&board, drv.device + 8, 4, 0);
    mmio_write(&board, drv.device + 10, 4, 0);
    mmio_write(&board, drv.device + ECHO_CONFIG, 4, UINT32_MAX);
    assert_int_equal(mmio_read(&board, drv.device + 8, 4), 0x0c0b0a09);

    struct driver rng;
    assert_true(driver_probe(&rng, &board, RNG));
    mmio_write(&board, rng.bar[0] + 0x2000, 4, UINT32_MAX);
    assert_int_equal(mmio_read(&board, rng.bar[0] + 0x2000, 4), 0);
}

/* The device changes it: another generation, and an interrupt once the driver is there. */
static void test_config_change(void **state)
{
    const uint32_t value = 0x12345678;
    uint32_t back;

    (void)state;
    uint32_t generation = driver_get(&drv, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
    virtio_set_config(echo.device, 4, &value, 4);
    assert_int_not_equal(driver_get(&drv, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
    assert_int_equal(mmio_read(&board, drv.device + 4, 4), value);
    virtio_get_config(echo.device, 4, &back, 4);
    assert_int_equal(back, value);

    assert_true(driver_negotiate(&drv, DRIVER_ALL) && driver_setup_msix(&drv));
    virtio_set_config(echo.device, 4, &value, 4);
    assert_int_equal(driver_interrupts(&drv, 0), 0); /* 3.1.1: not before DRIVER_OK */
    assert_true(driver_setup_queue(&drv, 0, 8));
    driver_set_status(&drv, driver_status(&drv) | OK);
    generation = driver_get(&drv, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
    virtio_set_config(echo.device, 4, &value, 4);
    assert_int_equal(driver_interrupts(&drv, 0), 1);
    assert_int_not_equal(driver_get(&drv, VIRTIO_PCI_COMMON_CFGGENERATION, 1), generation);
    driver_get(&drv, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
    assert_int_equal(driver_get(&drv, VIRTIO_PCI_COMMON_CFGGENERATION, 1), (generation + 1) & 0xff);
}

/* ---- reset (2.4) ---- */

static void test_reset(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        board_free_all(&board);
        assert_true(driver_start(&drv, feature_sets[i % 4], 2, 8));
        assert_works();
    }
    assert_int_equal(echo.starts, 20);
    assert_int_equal(echo.resets, 19);
    driver_set_status(&drv, 0);
    assert_int_not_equal(driver_status(&drv), 0); /* not before its worker is done with it */
    driver_set_status(&drv, 0);
    driver_set_status(&drv, ACK);
    driver_set_status(&drv, ACK | DRIVER | FEAT | OK);
    board_turn(&board);
    assert_int_equal(driver_status(&drv), 0);
    assert_int_equal(echo.resets, 20);
    for (unsigned i = 0; i < board.kick_count; i++)
        assert_int_equal(board.kicks[i].fd, -1);
    driver_set_status(&drv, 0);
    assert_int_equal(echo.resets, 20);
}

/* With requests under way: the reset waits for them, and they leave no trace in the rings. */
static void test_reset_in_flight(void **state)
{
    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    struct seg s = driver_buffer(&drv, 4, true);
    for (unsigned i = 0; i < 3; i++)
        driver_send(&drv, 1, &s, 1);
    board_turn(&board);
    assert_int_equal(echo.kept, 3);
    echo_release(&echo);
    assert_int_equal(drv.queues[1].used->idx, 3);
    assert_memory_equal(s.host, "done", 4);
    assert_int_equal(driver_interrupts(&drv, 2), 1);

    while (driver_used(&drv, 1, NULL, NULL))
        ;
    driver_send(&drv, 1, &s, 1);
    board_turn(&board);
    assert_int_equal(echo.kept, 1);
    driver_set_status(&drv, 0);
    board_turn(&board);
    assert_int_not_equal(driver_status(&drv), 0);
    assert_int_equal(echo.drains, 1);
    assert_int_equal(echo.resets, 0);
    driver_kick(&drv, 0); /* nobody is there */
    driver_kick(&drv, 1);
    board_turn(&board);
    echo_release(&echo);
    assert_int_equal(driver_status(&drv), 0);
    assert_int_equal(echo.resets, 1);
    assert_int_equal(drv.queues[1].used->idx, 3);
    assert_int_equal(driver_interrupts(&drv, 2), 0);
    board_free_all(&board);
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    assert_works();
}

/* FAILED: the driver has given up, the device stops. */
static void test_failed(void **state)
{
    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    driver_set_status(&drv, driver_status(&drv) | FAILED);
    struct seg s[] = {driver_bytes(&drv, "x", 1), driver_buffer(&drv, 1, true)};
    driver_send(&drv, 0, s, 2);
    board_turn(&board);
    assert_false(driver_used(&drv, 0, NULL, NULL));
    board_free_all(&board);
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    assert_works();
}

/* A function that is no bus master reads no memory; afterwards it goes on where it was. */
static void test_bus_master(void **state)
{
    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    assert_works();
    struct seg kept = driver_buffer(&drv, 4, true);
    driver_send(&drv, 1, &kept, 1);
    board_turn(&board);
    config_write(&board, ECHO, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    struct seg s[] = {driver_bytes(&drv, "x", 1), driver_buffer(&drv, 1, true)};
    driver_send(&drv, 0, s, 2);
    board_turn(&board);
    assert_false(driver_used(&drv, 0, NULL, NULL));
    config_write(&board, ECHO, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_true(driver_await(&drv, 0, NULL, NULL));
    echo_release(&echo);
    assert_true(driver_used(&drv, 1, NULL, NULL));
    assert_works();
}

/* ---- the entropy device ---- */

static void test_rng(void **state)
{
    struct driver rng;

    (void)state;
    assert_true(driver_probe(&rng, &board, RNG));
    assert_true(driver_start(&rng, DRIVER_ALL, 1, 16));
    struct seg s[] = {driver_buffer(&rng, 1000, true), driver_buffer(&rng, 1, true),
                      driver_buffer(&rng, 64 << 10, true)};
    const uint8_t *bytes = s[0].host;
    assert_int_equal(driver_request(&rng, 0, s, 1), 1000);
    unsigned zeroes = 0;
    for (unsigned i = 0; i < 1000; i++)
        zeroes += bytes[i] == 0;
    assert_in_range(zeroes, 0, 30);
    assert_int_equal(driver_request(&rng, 0, s + 1, 1), 1);
    assert_int_equal(driver_request(&rng, 0, s + 2, 1), 4096); /* no more than that at once */
    assert_int_equal(driver_request(&rng, 0, s, 3), 4096);
    struct seg in = driver_bytes(&rng, "entropy?", 8);
    assert_int_equal(driver_request(&rng, 0, &in, 1), 0);
    assert_true(driver_reset(&rng));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_identity),
        T(test_capabilities),
        T(test_config_access),
        T(test_widths),
        T(test_wide_fields),
        T(test_status),
        T(test_features),
        T(test_queue_size),
        T(test_no_such_queue),
        T(test_frozen_queues),
        T(test_bad_rings),
        T(test_framing),
        T(test_nothing_in_it),
        T(test_direct_then_indirect),
        T(test_crooked_table),
        T(test_hostile_chains),
        T(test_longest_chain),
        T(test_hostile_rings),
        T(test_logged_once),
        T(test_kicks),
        T(test_kicks_by_exit),
        T(test_early_buffers),
        T(test_flags),
        T(test_event_index),
        T(test_budget),
        T(test_vectors),
        T(test_intx),
        T(test_config),
        T(test_config_change),
        T(test_reset),
        T(test_reset_in_flight),
        T(test_failed),
        T(test_bus_master),
        T(test_rng),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
