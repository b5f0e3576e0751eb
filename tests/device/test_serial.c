/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The serial port, driven as a guest's driver does, with a wire that can be full.
 */
#include <linux/serial_reg.h>
#include <string.h>

#include "kvm/legacy/serial.h"
#include "wires.h"

#define COM SERIAL_COM1

/* The other end: takes `room` more bytes. */
static struct {
    char got[256];
    size_t len, room;
    unsigned ready;
} far;
static struct wires wires;
static struct serial serial;
static struct bus bus;

static size_t far_put(void *arg, const void *data, size_t len)
{
    size_t n = len < far.room ? len : far.room;

    (void)arg;
    memcpy(far.got + far.len, data, n);
    far.len += n;
    far.room -= n;
    return n;
}

static void far_ready(void *arg)
{
    (void)arg;
    far.ready++;
}

static const struct serial_line far_line = {far_put, far_ready};

static int plug(void **state)
{
    (void)state;
    memset(&far, 0, sizeof(far));
    memset(&wires, 0, sizeof(wires));
    memset(&bus, 0, sizeof(bus));
    far.room = 100;
    bus.top = UINT16_MAX;
    serial_init(&serial, wires_irq(&wires), &far_line, NULL);
    if (bus_add(&bus, COM, SERIAL_PORTS, &serial_ops, &serial, NULL) < 0)
        return -1;
    out8(&bus, COM + UART_MCR, UART_MCR_RTS | UART_MCR_DTR);
    return 0;
}

static void test_probe(void **state)
{
    (void)state;
    /* As Linux's autoconfig() does: scratch, IER's upper bits, loopback, FIFO. */
    out8(&bus, COM + UART_SCR, 0x5a);
    assert_int_equal(in8(&bus, COM + UART_SCR), 0x5a);
    out8(&bus, COM + UART_IER, 0xff);
    assert_int_equal(in8(&bus, COM + UART_IER), 0x0f);
    out8(&bus, COM + UART_IER, 0);
    out8(&bus, COM + UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
    assert_int_equal(in8(&bus, COM + UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
    out8(&bus, COM + UART_MCR, 0);
    assert_int_equal(in8(&bus, COM + UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
    assert_int_equal(in8(&bus, COM + UART_IIR) & 0xc0, 0);
    out8(&bus, COM + UART_FCR, UART_FCR_ENABLE_FIFO);
    assert_int_equal(in8(&bus, COM + UART_IIR) & 0xc0, 0xc0);
}

static void test_divisor(void **state)
{
    (void)state;
    out8(&bus, COM + UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
    out8(&bus, COM + UART_DLL, 0x34);
    out8(&bus, COM + UART_DLM, 0x12);
    assert_int_equal(in8(&bus, COM + UART_DLL), 0x34);
    assert_int_equal(in8(&bus, COM + UART_DLM), 0x12);
    out8(&bus, COM + UART_LCR, UART_LCR_WLEN8);
    assert_int_equal(in8(&bus, COM + UART_IER), 0);
    assert_int_equal(far.len, 0);
}

static void test_transmit(void **state)
{
    (void)state;
    out8(&bus, COM, 'o');
    out8(&bus, COM, 'k');
    assert_int_equal(far.len, 2);
    assert_memory_equal(far.got, "ok", 2);
    assert_int_equal(in8(&bus, COM + UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(wires.rises, 0);
}

static void test_thre_interrupt(void **state)
{
    (void)state;
    out8(&bus, COM + UART_IER, UART_IER_THRI); /* empty: pending at once */
    assert_true(wires.high);
    assert_int_equal(in8(&bus, COM + UART_IIR) & 0x0f, UART_IIR_THRI);
    assert_false(wires.high); /* reading it was the acknowledgement */
    assert_int_equal(in8(&bus, COM + UART_IIR) & 0x0f, UART_IIR_NO_INT);
    out8(&bus, COM, 'x');
    assert_true(wires.high);
    assert_int_equal(in8(&bus, COM + UART_IIR) & 0x0f, UART_IIR_THRI);
    /* Off and on again, as Linux tests for broken chips. */
    out8(&bus, COM + UART_IER, 0);
    out8(&bus, COM + UART_IER, UART_IER_THRI);
    assert_int_equal(in8(&bus, COM + UART_IIR) & 0x0f, UART_IIR_THRI);
}

/* A full wire holds THRE back, and nothing is lost. */
static void test_flow_out(void **state)
{
    char want[20];

    (void)state;
    far.room = 3;
    out8(&bus, COM + UART_FCR, UART_FCR_ENABLE_FIFO);
    out8(&bus, COM + UART_IER, UART_IER_THRI);
    in8(&bus, COM + UART_IIR);
    for (int i = 0; i < 16 + 3; i++) {
        want[i] = (char)('a' + i);
        out8(&bus, COM, (uint8_t)want[i]);
        if (i == 2)
            in8(&bus, COM + UART_IIR);
    }
    assert_int_equal(far.len, 3);
    assert_int_equal(in8(&bus, COM + UART_LSR) & (UART_LSR_THRE | UART_LSR_TEMT), 0);
    assert_false(wires.high);

    far.room = 5;
    serial_output_ready(&serial);
    assert_int_equal(far.len, 8);
    assert_int_equal(in8(&bus, COM + UART_LSR) & UART_LSR_THRE, 0);
    assert_false(wires.high);

    far.room = 100;
    serial_output_ready(&serial);
    assert_int_equal(far.len, 19);
    assert_memory_equal(far.got, want, 19);
    assert_int_equal(in8(&bus, COM + UART_LSR) & UART_LSR_THRE, UART_LSR_THRE);
    assert_true(wires.high);
    serial_output_ready(&serial);
    assert_int_equal(far.len, 19);
}

/* A guest that never looks at THRE loses its own bytes, and nothing else. */
static void test_flow_out_ignored(void **state)
{
    (void)state;
    far.room = 0;
    for (int i = 0; i < 1000; i++)
        out8(&bus, COM, (uint8_t)i);
    far.room = 200;
    serial_output_ready(&serial);
    assert_int_equal(far.len, SERIAL_FIFO);
}

static void test_flow_in(void **state)
{
    (void)state;
    out8(&bus, COM + UART_FCR, UART_FCR_ENABLE_FIFO);
    out8(&bus, COM + UART_IER, UART_IER_RDI);
    assert_int_equal(serial_input(&serial, "0123456789abcdefgh", 18), 16);
    assert_true(wires.high);
    assert_int_equal(in8(&bus, COM + UART_IIR) & 0x0f, UART_IIR_RDI);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(far.ready, 0);
        assert_int_equal(in8(&bus, COM + UART_LSR) & UART_LSR_DR, UART_LSR_DR);
        assert_int_equal(in8(&bus, COM), "0123456789abcdef"[i]);
    }
    assert_int_equal(far.ready, 1);
    assert_false(wires.high);
    assert_int_equal(in8(&bus, COM + UART_LSR) & UART_LSR_DR, 0);
    assert_int_equal(in8(&bus, COM), 0);

    assert_int_equal(serial_input(&serial, "gh", 2), 2);
    in8(&bus, COM);
    in8(&bus, COM);
    assert_int_equal(far.ready, 1); /* nobody was refused: nobody is told */
}

static void test_without_fifo(void **state)
{
    (void)state;
    assert_int_equal(serial_input(&serial, "ab", 2), 1);
    assert_int_equal(in8(&bus, COM), 'a');
    assert_int_equal(far.ready, 1);
}

static void test_trigger_level(void **state)
{
    (void)state;
    out8(&bus, COM + UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
    out8(&bus, COM + UART_IER, UART_IER_RDI);
    serial_input(&serial, "abc", 3);
    assert_int_equal(in8(&bus, COM + UART_IIR) & 0x0f, UART_IIR_RX_TIMEOUT);
    serial_input(&serial, "defgh", 5);
    assert_int_equal(in8(&bus, COM + UART_IIR) & 0x0f, UART_IIR_RDI);
}

static void test_break(void **state)
{
    (void)state;
    out8(&bus, COM + UART_FCR, UART_FCR_ENABLE_FIFO);
    out8(&bus, COM + UART_IER, UART_IER_RLSI);
    serial_break(&serial);
    serial_input(&serial, "h", 1);
    assert_true(wires.high);
    assert_int_equal(in8(&bus, COM + UART_IIR) & 0x0f, UART_IIR_RLSI);
    assert_int_equal(in8(&bus, COM + UART_LSR) & (UART_LSR_BI | UART_LSR_DR),
                     UART_LSR_BI | UART_LSR_DR);
    assert_int_equal(in8(&bus, COM + UART_LSR) & UART_LSR_BI, 0);
    assert_int_equal(in8(&bus, COM), 0);
    assert_int_equal(in8(&bus, COM), 'h');
}

static void test_loopback(void **state)
{
    (void)state;
    out8(&bus, COM + UART_MCR, UART_MCR_LOOP);
    out8(&bus, COM, 'x');
    assert_int_equal(far.len, 0);
    assert_int_equal(in8(&bus, COM), 'x');
    out8(&bus, COM, 'y');
    out8(&bus, COM, 'z');
    assert_int_equal(in8(&bus, COM + UART_LSR) & UART_LSR_OE, UART_LSR_OE);
    assert_int_equal(in8(&bus, COM), 'y');
    assert_int_equal(serial_input(&serial, "a", 1), 0); /* the wire is cut */
    out8(&bus, COM + UART_MCR, UART_MCR_RTS);
    assert_int_equal(far.ready, 1); /* and whole again */
}

/* Who does not listen is sent nothing, and loses nothing. */
static void test_not_listening(void **state)
{
    (void)state;
    out8(&bus, COM + UART_MCR, 0);
    assert_int_equal(serial_input(&serial, "early", 5), 0);
    out8(&bus, COM + UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
    out8(&bus, COM + UART_MCR, UART_MCR_RTS | UART_MCR_DTR);
    assert_true(far.ready);
    assert_int_equal(serial_input(&serial, "early", 5), 5);
    assert_int_equal(in8(&bus, COM), 'e');
}

static void test_clear_fifos(void **state)
{
    (void)state;
    out8(&bus, COM + UART_FCR, UART_FCR_ENABLE_FIFO);
    assert_int_equal(serial_input(&serial, "0123456789abcdefgh", 18), 16);
    far.room = 0;
    out8(&bus, COM, 'x');
    out8(&bus, COM + UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
    assert_int_equal(in8(&bus, COM + UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(far.ready, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, plug)
    const struct CMUnitTest tests[] = {
        T(test_probe),          T(test_divisor),      T(test_transmit),
        T(test_thre_interrupt), T(test_flow_out),     T(test_flow_out_ignored),
        T(test_flow_in),        T(test_without_fifo), T(test_trigger_level),
        T(test_break),          T(test_loopback),     T(test_clear_fifos),
        T(test_not_listening),
    };
    return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
