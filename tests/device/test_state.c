/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 400 s
 *
 * PCI and virtio devices brought to rest, saved, and loaded into another machine, where their
 * drivers go on; and saved states that somebody tampered with.
 */
#include "wires.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "device/driver.h"
#include "device/echo.h"
#include "kvm/virtio/rng.h"

static struct board one, two;
static struct echo first, second;
static struct driver drv;

static void up(struct board *b, struct echo *e)
{
    assert_int_equal(board_init(b, false), 0);
    assert_int_equal(echo_add(&b->virtio, e, 0), 0);
    assert_int_equal(rng_add(&b->virtio, NULL), 0);
    assert_int_equal(board_start(b), 0);
}

static int setup(void **state)
{
    (void)state;
    up(&one, &first);
    up(&two, &second);
    return driver_probe(&drv, &one, 1) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    board_destroy(&one);
    board_destroy(&two);
    return 0;
}

static void save(struct state *s)
{
    struct error err;

    state_save(s, &err);
    pci_state(&one.pci, s);
    virtio_state_all(&one.virtio, s);
    if (state_finish(s) < 0)
        fail_msg("%s", err.text);
}

static int load(struct board *b, const void *data, size_t len, struct error *err)
{
    cleanup_free uint8_t *copy = memcpy(malloc(len + 1), data, len);
    struct state s;

    /* All that the driver took of its RAM. */
    memcpy(b->memory->slots[0].host, one.memory->slots[0].host, one.next);
    state_load(&s, copy, len, err);
    pci_state(&b->pci, &s);
    virtio_state_all(&b->virtio, &s);
    return state_finish(&s);
}

/* The driver goes on with its device on another board. */
static void move_driver(struct board *b)
{
    drv.board = b;
    b->next = one.next;
    for (unsigned i = 0; i < DRIVER_QUEUES; i++) {
        struct driver_queue *q = &drv.queues[i];
        q->desc = memory_at(b->memory, q->desc_at, 1);
        q->avail = memory_at(b->memory, q->avail_at, 1);
        q->used = memory_at(b->memory, q->used_at, 1);
    }
}

static void assert_works(void)
{
    struct seg s[2] = {driver_bytes(&drv, "hello", 5), driver_buffer(&drv, 5, true)};

    assert_int_equal(driver_request(&drv, 0, s, 2), 5);
    assert_memory_equal(s[1].host, "hello", 5);
}

/* ---- bytes ---- */

static void test_bytes(void **state)
{
    uint32_t a = 1, b = 2;
    struct error err;
    struct state s;

    (void)state;
    state_save(&s, &err);
    assert_int_equal(state_section(&s, "part", 3), 3);
    for (unsigned i = 0; i < 5000; i++)
        state_item(&s, a);
    state_item(&s, b);
    assert_int_equal(state_finish(&s), 0);
    cleanup_free uint8_t *data = s.data;
    const size_t len = s.len;

    state_load(&s, data, len, &err);
    a = b = 0;
    assert_int_equal(state_section(&s, "part", 4), 3); /* an older one */
    for (unsigned i = 0; i < 5000; i++)
        state_item(&s, a);
    state_item(&s, b);
    assert_true(a == 1 && b == 2);
    assert_int_equal(state_finish(&s), 0);
    state_item(&s, b); /* beyond the end */
    assert_int_equal(b, 0);
    assert_int_equal(state_finish(&s), -1);
    assert_string_equal(err.text, "the saved state ends too early");

    state_load(&s, data, len, &err);
    assert_int_equal(state_section(&s, "part", 2), 0);
    assert_non_null(strstr(err.text, "'part' is of version 3"));
    state_load(&s, data, len, &err);
    assert_int_equal(state_section(&s, "other", 3), 0);
    assert_non_null(strstr(err.text, "has 'part' where this machine has 'other'"));
    state_load(&s, data, len, &err);
    state_section(&s, "part", 3);
    assert_int_equal(state_finish(&s), -1);
    assert_non_null(strstr(err.text, "longer"));
}

/* ---- at rest ---- */

static void test_hold(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(virtio_hold_all(&one.virtio, 1000, &err), 0); /* nobody uses them */
    virtio_release_all(&one.virtio);
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    assert_works();
    assert_int_equal(virtio_hold_all(&one.virtio, 1000, &err), 0);
    struct seg s[] = {driver_bytes(&drv, "x", 1), driver_buffer(&drv, 4, true)};
    driver_send(&drv, 0, s, 2);
    board_turn(&one);
    assert_false(driver_used(&drv, 0, NULL, NULL));
    virtio_release_all(&one.virtio);
    assert_true(driver_await(&drv, 0, NULL, NULL));

    /* Something that does not end: an error, and all goes on. */
    driver_send(&drv, 1, s + 1, 1);
    board_turn(&one);
    assert_int_equal(first.kept, 1);
    assert_int_equal(virtio_hold_all(&one.virtio, 20, &err), -1);
    assert_string_equal(err.text, "the device 'echo' did not come to rest within 20 ms");
    assert_works();
    echo_release(&first);
    assert_true(driver_used(&drv, 1, NULL, NULL));
    assert_int_equal(virtio_hold_all(&one.virtio, 1000, &err), 0);
    assert_int_equal(first.resets, 0);
    assert_int_equal(driver_status(&drv), 15);
    virtio_release_all(&one.virtio);
    assert_works();
    assert_true(driver_reset(&drv));
}

/* The answer to a hold that was given up is none to the reset that came after it. */
static void test_late_answer(void **state)
{
    struct error err;

    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    struct seg s = driver_buffer(&drv, 4, true);
    driver_send(&drv, 1, &s, 1);
    board_turn(&one);
    assert_int_equal(virtio_hold_all(&one.virtio, 20, &err), -1);
    driver_set_status(&drv, 0);
    echo_release(&first); /* before its worker knows of the reset */
    assert_int_not_equal(driver_status(&drv), 0);
    assert_int_equal(first.resets, 0);
    board_turn(&one);
    assert_int_equal(driver_status(&drv), 0);
    assert_int_equal(first.resets, 1);
}

/* A reset that is under way is waited for. */
static void test_hold_in_reset(void **state)
{
    struct error err;

    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    driver_set_status(&drv, 0);
    assert_int_equal(virtio_hold_all(&one.virtio, 1000, &err), 0);
    assert_int_equal(driver_status(&drv), 0);
    assert_int_equal(first.resets, 1);
    virtio_release_all(&one.virtio);
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    assert_works();
}

/* ---- elsewhere ---- */

static void test_move(void **state)
{
    struct error err;
    struct state s;

    (void)state;
    for (unsigned way = 0; way < 4; way++) { /* indices or flags, messages or the line */
        board_free_all(&one);
        drv.no_msix = way & 2;
        assert_true(driver_start(&drv, way & 1 ? DRIVER_ALL : 1ull << VIRTIO_F_VERSION_1, 2, 8));
        for (unsigned i = 0; i < 21; i++)
            assert_works();
        config_write(&one, 1, PCI_BASE_ADDRESS_0, 4, MEMORY_PCI + 0x100000 * (way + 1));
        struct driver moved;
        assert_true(driver_probe(&moved, &one, 1));
        drv.common = moved.common;
        drv.isr = moved.isr;
        drv.device = moved.device;
        drv.notify = drv.queues[0].notify = moved.notify;
        drv.queues[1].notify = moved.notify + 4;
        mmio_write(&one, drv.device, 4, 0x11223344);

        /* One chain is kept, one is finished and not seen by its driver. */
        struct seg kept = driver_buffer(&drv, 4, true);
        first.keeps = true;
        driver_send(&drv, 1, &kept, 1);
        struct seg last[] = {driver_bytes(&drv, "last", 4), driver_buffer(&drv, 4, true)};
        driver_send(&drv, 0, last, 2);
        board_turn(&one);
        assert_int_equal(virtio_hold_all(&one.virtio, 1000, &err), 0);
        save(&s);

        board_destroy(&two);
        up(&two, &second);
        if (load(&two, s.data, s.len, &err) < 0)
            fail_msg("%s", err.text);
        free(s.data);
        move_driver(&two);
        assert_int_equal(driver_status(&drv), 15);
        assert_int_equal(second.device->features, first.device->features);
        assert_int_equal(mmio_read(&two, drv.device, 4), 0x11223344);
        assert_true(driver_used(&drv, 0, NULL, NULL));
        assert_int_equal(second.kept, 1);
        if (drv.no_msix) {
            assert_true(two.lines[17]);
            assert_int_equal(mmio_read(&two, drv.isr, 1), 1);
        }
        struct seg more[] = {driver_bytes(&drv, "more", 4), driver_buffer(&drv, 4, true)};
        driver_send(&drv, 0, more, 2); /* held still */
        board_turn(&two);
        assert_false(driver_used(&drv, 0, NULL, NULL));
        virtio_release_all(&two.virtio);
        assert_true(driver_await(&drv, 0, NULL, NULL));
        if (!drv.no_msix)
            assert_int_equal(driver_interrupts(&drv, 1), 1);
        echo_release(&second);
        assert_true(driver_used(&drv, 1, NULL, NULL));
        assert_memory_equal(memory_at(two.memory, kept.at, 4), "done", 4);
        for (unsigned i = 0; i < 21; i++)
            assert_works();

        /* And the first goes on as if nothing had been. */
        move_driver(&one);
        virtio_release_all(&one.virtio);
        echo_release(&first);
        assert_true(driver_reset(&drv));
    }
}

/* What is pending behind a mask is pending there. */
static void test_pending(void **state)
{
    struct error err;
    struct state s;

    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 1, 8));
    driver_mask(&drv, 1, true);
    assert_works();
    assert_int_equal(virtio_hold_all(&one.virtio, 1000, &err), 0);
    save(&s);
    assert_int_equal(load(&two, s.data, s.len, &err), 0);
    free(s.data);
    move_driver(&two);
    assert_true(driver_is_pending(&drv, 1));
    driver_mask(&drv, 1, false);
    assert_int_equal(driver_interrupts(&drv, 1), 1);
}

static void test_other_machine(void **state)
{
    static struct board other;
    struct error err;
    struct state s;

    (void)state;
    assert_int_equal(virtio_hold_all(&one.virtio, 1000, &err), 0);
    save(&s);
    cleanup_free uint8_t *data = s.data;
    assert_int_equal(board_init(&other, false), 0);
    assert_int_equal(rng_add(&other.virtio, NULL), 0);
    assert_int_equal(board_start(&other), 0);
    assert_int_equal(load(&other, data, s.len, &err), -1);
    assert_non_null(strstr(err.text, "has 'echo' where this machine has 'rng'"));
    board_destroy(&other);
    assert_int_equal(board_init(&other, false), 0);
    assert_int_equal(load(&other, data, s.len, &err), -1);
    assert_non_null(strstr(err.text, "slot 1 is taken in the saved state"));
    board_destroy(&other);
}

/* Every byte changed, every length: refused, or a device that its driver may reset. */
static void test_tampered(void **state)
{
    static const uint8_t patterns[] = {0xff, 0x01, 0x80};
    static struct echo e;
    static struct board b;
    struct error err;
    struct state s;
    unsigned taken = 0;

    (void)state;
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    assert_works();
    struct seg kept = driver_buffer(&drv, 4, true);
    first.keeps = true;
    driver_send(&drv, 1, &kept, 1);
    board_turn(&one);
    assert_int_equal(virtio_hold_all(&one.virtio, 1000, &err), 0);
    save(&s);
    cleanup_free uint8_t *data = s.data;
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC), 0);
    for (size_t i = 0; i < 2 * s.len; i++) {
        size_t len = i < s.len ? s.len : i - s.len;
        if (i < s.len)
            data[i] ^= patterns[i % 3];
        up(&b, &e);
        err.text[0] = 0;
        if (load(&b, data, len, &err) == 0) {
            struct driver d;
            taken++;
            virtio_release_all(&b.virtio);
            board_turn(&b);
            echo_release(&e);
            if (driver_probe(&d, &b, 1))
                driver_reset(&d);
        } else {
            assert_true(err.text[0] != 0);
        }
        if (i < s.len)
            data[i] ^= patterns[i % 3];
        board_destroy(&b);
    }
    assert_true(taken > 0 && taken < s.len);
    log_to(dup(STDERR_FILENO), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes), T(test_hold),     T(test_late_answer),
        T(test_hold_in_reset),        T(test_move),     T(test_pending),
        T(test_other_machine),        T(test_tampered),
    };

    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
