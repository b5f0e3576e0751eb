/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Terminals and named ports (virtio 1.2, 5.3) as a driver sees them, with a line that can be full.
 */
#include "wires.h"

#include <linux/virtio_console.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "device/driver.h"
#include "kvm/virtio/console.h"

#define TERMINAL 1
#define PORTS    2
#define NAMED    2

/* Queues (5.3.2), and where things are in the configuration (5.3.4). */
enum { RX, TX, CONTROL_RX, CONTROL_TX, RX_1, TX_1, RX_2, TX_2 };
enum { COLS = 0, ROWS = 2, MAX_PORTS = 4, EMERGENCY = 8 };

/* The other end of a port. */
struct far {
    char *got;
    size_t len, room;
    unsigned ready, opens, closes;
    char emergency[16];
    unsigned emergencies;
};

static struct far far[1 + NAMED], other_far[1 + NAMED];
static struct virtio_port *terminal;
static struct virtio_port_setup named[NAMED];
static struct board board, other;
static struct driver drv;

static size_t far_put(void *arg, const void *data, size_t len)
{
    struct far *f = arg;
    size_t n = min(len, f->room);

    f->got = realloc(f->got, f->len + n + 1);
    memcpy(f->got + f->len, data, n);
    f->len += n;
    f->got[f->len] = '\0';
    f->room -= n;
    return n;
}

static void far_ready(void *arg)
{
    ((struct far *)arg)->ready++;
}

static void far_opened(void *arg, bool open)
{
    ((struct far *)arg)->opens += open;
    ((struct far *)arg)->closes += !open;
}

static void far_emergency(void *arg, uint8_t byte)
{
    struct far *f = arg;

    f->emergency[f->emergencies++ % sizeof(f->emergency)] = (char)byte;
}

static const struct virtio_port_line line = {far_put, far_ready, far_opened, far_emergency};

/* A board with both devices, joined to these ends. */
static int build(struct board *b, struct far *ends)
{
    struct error err;

    memset(ends, 0, sizeof(far));
    for (unsigned i = 0; i < ARRAY_SIZE(far); i++)
        ends[i].room = SIZE_MAX;
    if (board_init(b, false) < 0)
        return -1;
    terminal = virtio_terminal_add(&b->virtio, &line, &ends[0], &err);
    named[0] = (struct virtio_port_setup){.name = "org.one", .line = &line, .arg = &ends[1]};
    named[1] = (struct virtio_port_setup){.name = "org.two", .line = &line, .arg = &ends[2]};
    if (!terminal || virtio_ports_add(&b->virtio, named, NAMED, &err) < 0)
        return -1;
    return board_start(b);
}

static void tear_down(struct board *b, struct far *ends)
{
    board_destroy(b);
    for (unsigned i = 0; i < ARRAY_SIZE(far); i++)
        free(ends[i].got);
}

static int setup(void **state)
{
    (void)state;
    return build(&board, far);
}

static int teardown(void **state)
{
    (void)state;
    tear_down(&board, far);
    return 0;
}

static void use_terminal(void)
{
    assert_true(driver_probe(&drv, &board, TERMINAL));
    assert_true(driver_start(&drv, DRIVER_ALL, 2, 8));
    board_turn(&board);
}

static uint16_t config16(unsigned offset)
{
    return (uint16_t)mmio_read(&board, drv.device + offset, 2);
}

/* ---- a terminal ---- */

static void test_identity(void **state)
{
    (void)state;
    assert_true(driver_probe(&drv, &board, TERMINAL));
    assert_int_equal(config_read(&board, TERMINAL, 0, 4), 0x1043 << 16 | 0x1af4);
    assert_int_equal(driver_get(&drv, VIRTIO_PCI_COMMON_NUMQ, 2), 2);
    assert_int_equal(driver_read_offered(&drv) & 0xffffff,
                     1 << VIRTIO_CONSOLE_F_SIZE | 1 << VIRTIO_CONSOLE_F_EMERG_WRITE);
    assert_true(driver_probe(&drv, &board, PORTS));
    assert_int_equal(driver_get(&drv, VIRTIO_PCI_COMMON_NUMQ, 2), 4 + 2 * NAMED);
    assert_int_equal(driver_read_offered(&drv) & 0xffffff, 1 << VIRTIO_CONSOLE_F_MULTIPORT);
    assert_int_equal(mmio_read(&board, drv.device + MAX_PORTS, 4), 1 + NAMED);
}

/* The driver reads the size, is told when it changes, and cannot change it. */
static void test_size(void **state)
{
    (void)state;
    virtio_port_resize(terminal, 80, 24);
    board_turn(&board);
    use_terminal();
    assert_int_equal(config16(COLS), 80);
    assert_int_equal(config16(ROWS), 24);
    assert_int_equal(driver_interrupts(&drv, 0), 0);
    uint32_t before = driver_get(&drv, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
    virtio_port_resize(terminal, 132, 43);
    board_turn(&board);
    assert_int_equal(driver_interrupts(&drv, 0), 1);
    assert_int_not_equal(driver_get(&drv, VIRTIO_PCI_COMMON_CFGGENERATION, 1), before);
    assert_int_equal(config16(COLS), 132);
    assert_int_equal(config16(ROWS), 43);
    mmio_write(&board, drv.device + COLS, 2, 7);
    mmio_write(&board, drv.device + COLS, 4, 7);
    mmio_write(&board, drv.device + MAX_PORTS, 4, 7);
    assert_int_equal(config16(COLS), 132);
    assert_int_equal(config16(ROWS), 43);
    assert_int_equal(far[0].emergencies, 0);
    virtio_port_resize(terminal, 1 << 20, 1 << 20);
    board_turn(&board);
    assert_int_equal(config16(COLS), UINT16_MAX);
}

/* 5.3.5: also before anything else was done. */
static void test_emergency(void **state)
{
    (void)state;
    assert_true(driver_probe(&drv, &board, TERMINAL));
    mmio_write(&board, drv.device + EMERGENCY, 4, 0xffffff00 | 'a');
    mmio_write(&board, drv.device + EMERGENCY, 1, 'b');
    mmio_write(&board, drv.device + EMERGENCY + 1, 1, 'c');
    assert_int_equal(far[0].emergencies, 2);
    assert_memory_equal(far[0].emergency, "ab", 2);
    assert_int_equal(mmio_read(&board, drv.device + EMERGENCY, 4), 0);
}

static void test_transmit(void **state)
{
    struct seg s[3];

    (void)state;
    use_terminal();
    assert_int_equal(far[0].opens, 1);
    s[0] = driver_bytes(&drv, "hello ", 6);
    s[1] = driver_bytes(&drv, "world", 5);
    assert_int_equal(driver_request(&drv, TX, s, 2), 0);
    assert_string_equal(far[0].got, "hello world");
    s[2] = driver_buffer(&drv, 10, true); /* nothing to be written there */
    assert_int_equal(driver_request(&drv, TX, s, 3), 0);
    assert_string_equal(far[0].got, "hello worldhello world");
    driver_interrupts(&drv, 1 + TX);
    driver_offer(&drv, TX, driver_describe_indirect(&drv, TX, s, 2));
    driver_kick(&drv, TX);
    assert_true(driver_await(&drv, TX, NULL, NULL));
    assert_int_equal(far[0].len, 33);
    assert_true(driver_interrupts(&drv, 1 + TX) > 0);
}

/* What the line does not take stays the driver's, and comes once and in order. */
static void test_flow_out(void **state)
{
    struct seg s[2];
    uint32_t len;

    (void)state;
    use_terminal();
    far[0].room = 7;
    s[0] = driver_bytes(&drv, "01234", 5);
    s[1] = driver_bytes(&drv, "56789", 5);
    driver_send(&drv, TX, s, 2);
    driver_send(&drv, TX, s, 2);
    board_turn(&board);
    assert_string_equal(far[0].got, "0123456");
    assert_false(driver_used(&drv, TX, NULL, NULL));
    virtio_port_output_ready(terminal);
    board_turn(&board);
    assert_string_equal(far[0].got, "0123456");
    far[0].room = 4;
    virtio_port_output_ready(terminal);
    board_turn(&board);
    assert_string_equal(far[0].got, "01234567890");
    assert_true(driver_used(&drv, TX, NULL, &len));
    assert_false(driver_used(&drv, TX, NULL, NULL));
    far[0].room = 100;
    virtio_port_output_ready(terminal);
    assert_true(driver_await(&drv, TX, NULL, NULL));
    assert_string_equal(far[0].got, "01234567890123456789");
}

/* A chain of more than is passed on in a turn arrives whole. */
static void test_long(void **state)
{
    enum { PIECES = 6, EACH = 200000 };
    struct seg s[PIECES];

    (void)state;
    use_terminal();
    for (unsigned i = 0; i < PIECES; i++) {
        s[i] = driver_buffer(&drv, EACH, false);
        memset(s[i].host, 'a' + (int)i, EACH);
    }
    assert_int_equal(driver_request(&drv, TX, s, PIECES), 0);
    assert_int_equal(far[0].len, PIECES * EACH);
    for (unsigned i = 0; i < PIECES * EACH; i++)
        if (far[0].got[i] != (char)('a' + i / EACH))
            fail_msg("byte %u is %c", i, far[0].got[i]);
}

static void test_input(void **state)
{
    struct seg s[2];
    uint32_t len;

    (void)state;
    assert_int_equal(virtio_port_input(terminal, "early", 5), 0);
    use_terminal();
    assert_int_equal(far[0].ready, 1); /* the driver is there now */
    assert_int_equal(virtio_port_input(terminal, "early", 5), 0);
    s[0] = driver_buffer(&drv, 3, true);
    s[1] = driver_buffer(&drv, 4, true);
    driver_send(&drv, RX, s, 1);
    board_turn(&board);
    assert_int_equal(far[0].ready, 2);
    assert_int_equal(virtio_port_input(terminal, "early", 5), 3);
    assert_true(driver_used(&drv, RX, NULL, &len));
    assert_int_equal(len, 3);
    assert_memory_equal(s[0].host, "ear", 3);
    assert_true(driver_interrupts(&drv, 1 + RX) > 0);

    /* Short of two buffers: only what was written counts. A readable one holds nothing. */
    driver_send(&drv, RX, s, 2);
    struct seg wrong = driver_bytes(&drv, "xxxx", 4);
    driver_send(&drv, RX, &wrong, 1);
    driver_send(&drv, RX, s, 1);
    board_turn(&board);
    assert_int_equal(far[0].ready, 3);
    assert_int_equal(virtio_port_input(terminal, "12345", 5), 5);
    assert_int_equal(virtio_port_input(terminal, "67", 2), 2);
    assert_memory_equal(s[0].host, "673", 3);
    assert_memory_equal(s[1].host, "45", 2);
    for (unsigned want = 0; want < 3; want++) {
        static const uint32_t lens[] = {5, 0, 2};
        assert_true(driver_used(&drv, RX, NULL, &len));
        assert_int_equal(len, lens[want]);
    }
    board_turn(&board);
    assert_int_equal(far[0].ready, 3);
}

/* A driver whose ring is full of buffers that hold nothing keeps nobody from the loop. */
static void test_empty_buffers(void **state)
{
    struct seg s = {0};

    (void)state;
    use_terminal();
    s = driver_bytes(&drv, "x", 1);
    for (unsigned i = 0; i < 8; i++)
        driver_send(&drv, RX, &s, 1);
    assert_int_equal(virtio_port_input(terminal, "abc", 3), 0);
    s = driver_buffer(&drv, 10, true);
    driver_send(&drv, RX, &s, 1);
    board_turn(&board);
    assert_int_equal(virtio_port_input(terminal, "abc", 3), 3);
}

/* A reset closes it; what was half passed on is forgotten with the driver. */
static void test_reset(void **state)
{
    struct seg s;

    (void)state;
    use_terminal();
    far[0].room = 2;
    s = driver_bytes(&drv, "half", 4);
    driver_send(&drv, TX, &s, 1);
    board_turn(&board);
    assert_string_equal(far[0].got, "ha");
    assert_true(driver_reset(&drv));
    assert_int_equal(far[0].closes, 1);
    assert_int_equal(virtio_port_input(terminal, "x", 1), 0);
    far[0].room = 100;
    virtio_port_output_ready(terminal);
    board_turn(&board);
    assert_int_equal(far[0].len, 2);
    use_terminal();
    assert_int_equal(far[0].opens, 2);
    s = driver_bytes(&drv, "whole", 5);
    assert_int_equal(driver_request(&drv, TX, &s, 1), 0);
    assert_string_equal(far[0].got, "hawhole");
}

/* While the machine stands still nothing of it is touched; afterwards all is made up for. */
static void test_paused(void **state)
{
    struct seg s;
    struct error err;

    (void)state;
    use_terminal();
    s = driver_buffer(&drv, 10, true);
    driver_send(&drv, RX, &s, 1);
    board_turn(&board);
    assert_int_equal(workers_pause(board.workers, 1000, &err), 0);
    assert_int_equal(virtio_port_input(terminal, "frozen", 6), 0);
    virtio_port_resize(terminal, 50, 20);
    board_turn(&board);
    assert_false(driver_used(&drv, RX, NULL, NULL));
    assert_int_equal(config16(COLS), 0);
    assert_int_equal(far[0].ready, 0);
    workers_resume(board.workers);
    board_turn(&board);
    assert_int_equal(far[0].ready, 1);
    assert_int_equal(config16(COLS), 50);
    assert_int_equal(virtio_port_input(terminal, "frozen", 6), 6);
}

/* The machine is over: what its queue still holds is passed on. */
static void test_last(void **state)
{
    struct seg s;

    (void)state;
    use_terminal();
    far[0].room = 3;
    s = driver_bytes(&drv, "last words", 10);
    driver_send(&drv, TX, &s, 1);
    board_turn(&board);
    far[0].room = 100;
    virtio_port_last(terminal);
    assert_string_equal(far[0].got, "last words");
}

/* The driver goes on where it was, on the other board. */
static void move_driver(void)
{
    struct error err;
    struct state s;

    if (virtio_hold_all(&board.virtio, 1000, &err) < 0)
        fail_msg("%s", err.text);
    state_save(&s, &err);
    pci_state(&board.pci, &s);
    virtio_state_all(&board.virtio, &s);
    assert_int_equal(state_finish(&s), 0);
    cleanup_free uint8_t *data = s.data;

    assert_int_equal(build(&other, other_far), 0);
    for (unsigned i = 0; i < board.memory->count; i++)
        memcpy(other.memory->slots[i].host, board.memory->slots[i].host,
               board.memory->slots[i].size);
    state_load(&s, data, s.len, &err);
    pci_state(&other.pci, &s);
    virtio_state_all(&other.virtio, &s);
    if (state_finish(&s) < 0)
        fail_msg("%s", err.text);
    virtio_release_all(&other.virtio);
    drv.board = &other;
    other.next = board.next;
    for (unsigned i = 0; i < DRIVER_QUEUES; i++) {
        struct driver_queue *q = &drv.queues[i];
        q->desc = memory_at(other.memory, q->desc_at, 1);
        q->avail = memory_at(other.memory, q->avail_at, 1);
        q->used = memory_at(other.memory, q->used_at, 1);
    }
    board_turn(&other);
}

/* Half a buffer was passed on: the other half comes there, where the terminal has another size. */
static void test_saved(void **state)
{
    struct seg s;

    (void)state;
    use_terminal();
    far[0].room = 2;
    s = driver_bytes(&drv, "half", 4);
    driver_send(&drv, TX, &s, 1);
    board_turn(&board);
    move_driver();
    assert_string_equal(other_far[0].got, "lf");
    assert_true(driver_used(&drv, TX, NULL, NULL));
    assert_int_equal(other_far[0].opens, 1);
    driver_interrupts(&drv, 0);
    virtio_port_resize(terminal, 60, 20);
    board_turn(&other);
    assert_int_equal(mmio_read(&other, drv.device + COLS, 2), 60);
    assert_int_equal(driver_interrupts(&drv, 0), 1);
    s = driver_buffer(&drv, 10, true);
    driver_send(&drv, RX, &s, 1);
    assert_int_equal(virtio_port_input(terminal, "in", 2), 2);
    tear_down(&other, other_far);
}

/* ---- named ports ---- */

static void use_ports(void)
{
    assert_true(driver_probe(&drv, &board, PORTS));
    assert_true(driver_start(&drv, DRIVER_ALL, 4 + 2 * NAMED, 8));
    board_turn(&board);
}

/* The driver says something. */
static void say(uint32_t id, uint16_t event, uint16_t value)
{
    const struct virtio_console_control m = {id, event, value};
    struct seg s = driver_bytes(&drv, &m, sizeof(m));

    assert_int_equal(driver_request(&drv, CONTROL_TX, &s, 1), 0);
}

static struct seg replies[16];
static unsigned reply_head, reply_tail;

/* Give the device room for n messages. */
static void listen(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct seg *s = &replies[reply_head++ % ARRAY_SIZE(replies)];
        *s = driver_buffer(&drv, 100, true);
        driver_send(&drv, CONTROL_RX, s, 1);
    }
    board_turn(&board);
}

/* The next thing that the device says. */
static void heard(uint32_t id, uint16_t event, uint16_t value, const char *rest)
{
    const struct virtio_console_control want = {id, event, value};
    uint32_t len;

    if (!driver_used(&drv, CONTROL_RX, NULL, &len))
        fail_msg("event %u of port %u does not come", event, id);
    const uint8_t *got = replies[reply_tail++ % ARRAY_SIZE(replies)].host;
    assert_memory_equal(got, &want, sizeof(want));
    assert_int_equal(len, sizeof(want) + strlen(rest));
    assert_memory_equal(got + sizeof(want), rest, strlen(rest));
}

static void silence(void)
{
    board_turn(&board);
    assert_false(driver_used(&drv, CONTROL_RX, NULL, NULL));
}

static void test_introduction(void **state)
{
    (void)state;
    reply_head = reply_tail = 0;
    use_ports();
    listen(3);
    silence();
    say(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    heard(1, VIRTIO_CONSOLE_PORT_ADD, 0, "");
    heard(2, VIRTIO_CONSOLE_PORT_ADD, 0, "");
    silence();
    say(2, VIRTIO_CONSOLE_PORT_READY, 1);
    heard(2, VIRTIO_CONSOLE_PORT_NAME, 1, "org.two");
    virtio_port_attend(named[0].port, true); /* the driver does not know it yet */
    silence();
    /* Out of buffers: the rest comes when there is room. */
    say(1, VIRTIO_CONSOLE_PORT_READY, 1);
    silence();
    listen(1);
    heard(1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.one");
    silence();
    listen(4);
    heard(1, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
    virtio_port_attend(named[0].port, false);
    virtio_port_attend(named[1].port, true);
    board_turn(&board);
    heard(1, VIRTIO_CONSOLE_PORT_OPEN, 0, "");
    heard(2, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
    silence();
}

static void test_streams(void **state)
{
    struct seg s;
    uint32_t len;

    (void)state;
    use_ports();
    say(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    say(1, VIRTIO_CONSOLE_PORT_READY, 1);
    s = driver_buffer(&drv, 10, true);
    driver_send(&drv, RX_1, &s, 1);
    board_turn(&board);
    assert_int_equal(virtio_port_input(named[0].port, "in", 2), 0); /* nobody has it open */
    say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    assert_int_equal(far[1].opens, 1);
    assert_int_equal(far[1].ready, 1);
    assert_int_equal(virtio_port_input(named[0].port, "in", 2), 2);
    assert_true(driver_used(&drv, RX_1, NULL, &len));
    assert_int_equal(len, 2);
    s = driver_bytes(&drv, "out", 3);
    assert_int_equal(driver_request(&drv, TX_1, &s, 1), 0);
    s = driver_bytes(&drv, "two", 3);
    assert_int_equal(driver_request(&drv, TX_2, &s, 1), 0);
    assert_string_equal(far[1].got, "out");
    assert_string_equal(far[2].got, "two");
    say(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
    assert_int_equal(far[1].closes, 1);
    assert_int_equal(virtio_port_input(named[0].port, "in", 2), 0);
    say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    assert_true(driver_reset(&drv));
    assert_int_equal(far[1].closes, 2);
}

/* Ports that are not there, events that are none, messages cut short: nothing comes of them. */
static void test_nonsense(void **state)
{
    static const uint32_t ids[] = {0, 3, 4, 0x80000000, UINT32_MAX};
    struct seg s;

    (void)state;
    reply_head = reply_tail = 0;
    use_ports();
    listen(6);
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        for (uint16_t event = 1; event < 10; event++)
            say(ids[i], event, 1);
    say(1, 99, 1);
    say(1, VIRTIO_CONSOLE_PORT_READY, 0);
    say(0, VIRTIO_CONSOLE_DEVICE_READY, 0);
    s = driver_bytes(&drv, "\1\0\0\0\3\0\1", 7);
    assert_int_equal(driver_request(&drv, CONTROL_TX, &s, 1), 0);
    s = driver_buffer(&drv, 8, true);
    assert_int_equal(driver_request(&drv, CONTROL_TX, &s, 1), 0);
    silence();
    s = driver_bytes(&drv, "x", 1);
    driver_send(&drv, TX, &s, 1); /* port 0 is none */
    board_turn(&board);
    for (unsigned i = 0; i < ARRAY_SIZE(far); i++)
        assert_int_equal(far[i].len, 0);
    /* Asked again and again: told once. */
    for (unsigned i = 0; i < 100; i++)
        say(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    listen(1);
    assert_int_equal(driver_status(&drv) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

/* A driver that has been told that somebody is there is told that here is nobody. */
static void test_ports_saved(void **state)
{
    (void)state;
    reply_head = reply_tail = 0;
    use_ports();
    listen(4);
    virtio_port_attend(named[0].port, true);
    say(1, VIRTIO_CONSOLE_PORT_READY, 1);
    heard(1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.one");
    heard(1, VIRTIO_CONSOLE_PORT_OPEN, 1, "");
    say(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    move_driver();
    for (unsigned i = 0; i < ARRAY_SIZE(replies); i++)
        replies[i].host = memory_at(other.memory, replies[i].at, replies[i].len);
    heard(1, VIRTIO_CONSOLE_PORT_OPEN, 0, "");
    assert_int_equal(other_far[1].opens, 1);
    tear_down(&other, other_far);
}

/* A buffer too small for a message gets what fits. */
static void test_small_buffers(void **state)
{
    struct seg s;
    uint32_t len;

    (void)state;
    use_ports();
    s = driver_buffer(&drv, 10, true);
    say(1, VIRTIO_CONSOLE_PORT_READY, 1);
    driver_send(&drv, CONTROL_RX, &s, 1);
    assert_true(driver_await(&drv, CONTROL_RX, NULL, &len));
    assert_int_equal(len, 10);
    assert_memory_equal((char *)s.host + 8, "or", 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_identity),    TEST(test_size),          TEST(test_emergency),
        TEST(test_transmit),    TEST(test_flow_out),      TEST(test_long),
        TEST(test_input),       TEST(test_empty_buffers), TEST(test_reset),
        TEST(test_paused),      TEST(test_last),          TEST(test_saved),
        TEST(test_ports_saved), TEST(test_introduction),  TEST(test_streams),
        TEST(test_nonsense),    TEST(test_small_buffers),
    };
    return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
