/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket at the other end of a serial port: the test is guest (over a bus), worker and client.
 */
#include "wires.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial_reg.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "kvm/legacy/wire.h"
#include "kvm/worker.h"
#include "scratch.h"

static struct bus bus;
static struct serial port;
static struct workers workers;
static struct wire *wire;
static struct wires wires;
static struct error err;

static int setup(void **state)
{
    if (scratch_make(state) < 0)
        return -1;
    cleanup_close int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bus = (struct bus){.top = UINT16_MAX};
    wires = (struct wires){0};
    wire = wire_create(dir, "com2", &err);
    serial_init(&port, wires_irq(&wires), &wire_line, wire);
    if (!wire || bus_add(&bus, 0, SERIAL_PORTS, &serial_ops, &port, &err) < 0 ||
        workers_create(&workers, &err) < 0 ||
        wire_start(wire, &port, workers_loop(&workers), &err) < 0)
        return -1;
    out8(&bus, UART_FCR, UART_FCR_ENABLE_FIFO);
    out8(&bus, UART_MCR, UART_MCR_DTR | UART_MCR_RTS);
    return 0;
}

static int teardown(void **state)
{
    workers_destroy(&workers);
    wire_destroy(wire);
    wire_destroy(NULL);
    return scratch_remove(state);
}

/* Let the worker do what there is to do. */
static void turn(void)
{
    struct pollfd p = {.fd = workers_loop_fd(&workers), .events = POLLIN};

    for (int i = 0; i < 1000 && poll(&p, 1, 0) == 1; i++)
        workers_turn(&workers);
    assert_int_equal(poll(&p, 1, 0), 0); /* it comes to rest */
}

static int dial(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "com2"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    turn();
    return fd;
}

static void guest_says(const char *text)
{
    for (; *text; text++)
        out8(&bus, UART_TX, (uint8_t)*text);
}

/* What the guest reads until there is nothing more. */
static size_t guest_hears(char *out, size_t room)
{
    size_t n = 0;

    turn();
    while (n < room - 1 && (in8(&bus, UART_LSR) & UART_LSR_DR)) {
        out[n++] = (char)in8(&bus, UART_RX);
        turn();
    }
    out[n] = '\0';
    return n;
}

static void test_both_ways(void **state)
{
    char text[64];
    struct stat st;

    (void)state;
    assert_int_equal(stat("com2", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    guest_says("nobody hears this");
    assert_true(in8(&bus, UART_LSR) & UART_LSR_THRE);
    int fd = dial();
    guest_says("hello");
    assert_int_equal(recv(fd, text, sizeof(text), 0), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(send(fd, "to the guest", 12, 0), 12);
    assert_int_equal(guest_hears(text, sizeof(text)), 12);
    assert_string_equal(text, "to the guest");

    /* The next client waits for its turn. */
    int next = dial();
    assert_int_equal(send(next, "later", 5, 0), 5);
    assert_int_equal(guest_hears(text, sizeof(text)), 0);
    guest_says("x");
    assert_int_equal(recv(fd, text, sizeof(text), 0), 1);
    close(fd);
    assert_int_equal(guest_hears(text, sizeof(text)), 5);
    guest_says("y");
    assert_int_equal(recv(next, text, sizeof(text), 0), 1);
    assert_int_equal(text[0], 'y');
    close(next);
    turn();
    guest_says("nobody again");
    assert_true(in8(&bus, UART_LSR) & UART_LSR_THRE);
}

/* Much more than the FIFO takes, and the client is gone at once: all of it arrives, in order. */
static void test_much_input(void **state)
{
    static char sent[20000], got[20001];

    (void)state;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (char)('a' + i % 23);
    int fd = dial();
    assert_int_equal(send(fd, sent, sizeof(sent), 0), sizeof(sent));
    close(fd);
    assert_int_equal(guest_hears(got, sizeof(got)), sizeof(sent));
    assert_memory_equal(got, sent, sizeof(sent));
    fd = dial(); /* the wire is free again */
    guest_says("z");
    assert_int_equal(recv(fd, got, sizeof(got), 0), 1);
    close(fd);
}

/* A guest that does not listen is not fed; what was typed ahead waits for it. */
static void test_typed_ahead(void **state)
{
    char text[64];

    (void)state;
    out8(&bus, UART_MCR, 0);
    int fd = dial();
    assert_int_equal(send(fd, "ahead", 5, 0), 5);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_int_equal(guest_hears(text, sizeof(text)), 0);
    out8(&bus, UART_MCR, UART_MCR_RTS);
    assert_int_equal(guest_hears(text, sizeof(text)), 5);
    guest_says("still here"); /* one side only was shut */
    assert_int_equal(recv(fd, text, sizeof(text), 0), 10);
    close(fd);
    turn();
}

/* A client that does not read makes the guest wait, and when it reads, or leaves, it goes on. */
static void test_slow_client(void **state)
{
    static char text[1 << 20];
    size_t sent = 0, got = 0;

    (void)state;
    for (int round = 0; round < 2; round++) {
        int fd = dial();
        for (sent = 0; in8(&bus, UART_LSR) & UART_LSR_THRE; sent++)
            out8(&bus, UART_TX, 'x');
        assert_true(sent > 100);
        turn();
        assert_false(in8(&bus, UART_LSR) & UART_LSR_THRE);
        for (got = 0; round == 0 && got < sent;) {
            ssize_t n = recv(fd, text, sizeof(text), 0);
            if (n > 0)
                got += (size_t)n;
            turn();
        }
        assert_int_equal(got, round == 0 ? sent : 0);
        if (round == 1)
            close(fd);
        turn();
        assert_true(in8(&bus, UART_LSR) & UART_LSR_THRE);
        if (round == 0)
            close(fd);
        turn();
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_both_ways),
        T(test_much_input),
        T(test_typed_ahead),
        T(test_slow_client),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
