/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The small devices over a bus: lookups, ACPI power management, keyboard controller, reset port,
 * pvpanic, and the clock.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "kvm/legacy/i8042.h"
#include "kvm/legacy/pm.h"
#include "kvm/legacy/pvpanic.h"
#include "kvm/legacy/bridge.h"
#include "kvm/legacy/rtc.h"
#include "kvm/legacy/serial.h"
#include "wires.h"

static struct wires wires;
static struct bus bus;

static int setup(void **state)
{
    (void)state;
    memset(&wires, 0, sizeof(wires));
    memset(&bus, 0, sizeof(bus));
    bus.top = UINT16_MAX;
    return 0;
}

/* ---- the bus ---- */

struct memory_device {
    uint8_t bytes[16];
    unsigned widest;
};

static uint64_t memory_device_read(void *dev, uint64_t offset, unsigned size)
{
    struct memory_device *d = dev;
    uint64_t value = 0;

    assert_true(offset + size <= sizeof(d->bytes));
    if (size > d->widest)
        d->widest = size;
    memcpy(&value, d->bytes + offset, size);
    return value;
}

static void memory_device_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct memory_device *d = dev;

    assert_true(offset + size <= sizeof(d->bytes));
    memcpy(d->bytes + offset, &value, size);
}

static const struct bus_ops narrow = {"narrow", 1, memory_device_read, memory_device_write};
static const struct bus_ops wide = {"wide", 4, memory_device_read, memory_device_write};

static void test_bus_places(void **state)
{
    struct memory_device d = {0};
    struct error err;

    (void)state;
    assert_int_equal(bus_add(&bus, 0x100, 16, &narrow, &d, &err), 0);
    assert_int_equal(bus_add(&bus, 0xf8, 16, &narrow, &d, &err), -1);
    assert_int_equal(bus_add(&bus, 0x10f, 1, &narrow, &d, &err), -1);
    assert_int_equal(bus_add(&bus, 0x90, 0x100, &narrow, &d, &err), -1);
    assert_int_equal(err.code, EEXIST);
    assert_int_equal(bus_add(&bus, 0x110, 16, &narrow, &d, &err), 0);
    assert_int_equal(bus_add(&bus, 0xf0, 16, &narrow, &d, &err), 0);
    assert_int_equal(bus_add(&bus, 0xfff0, 17, &narrow, &d, &err), -1);
    assert_int_equal(bus_add(&bus, 0x10000, 1, &narrow, &d, &err), -1);
    assert_int_equal(bus_add(&bus, 0, 0, &narrow, &d, &err), -1);
    assert_int_equal(bus_add(&bus, 0x200, UINT64_MAX, &narrow, &d, &err), -1);
    assert_int_equal(bus_add(&bus, 0xfff0, 16, &narrow, &d, &err), 0);
}

static void test_bus_full(void **state)
{
    struct memory_device d = {0};
    struct error err;

    (void)state;
    for (unsigned i = 0; i < BUS_RANGES; i++)
        assert_int_equal(bus_add(&bus, 0x8000 - i * 16, 16, &narrow, &d, &err), 0);
    assert_int_equal(bus_add(&bus, 0, 16, &narrow, &d, &err), -1);
    assert_int_equal(err.code, ENOSPC);
}

static void test_bus_access(void **state)
{
    struct memory_device a = {.bytes = {0x11, 0x22, 0x33, 0x44}}, b = {.bytes = {0x55}};
    uint64_t eight = 0;

    (void)state;
    assert_int_equal(bus_add(&bus, 0x100, 4, &narrow, &a, NULL), 0);
    assert_int_equal(bus_add(&bus, 0x104, 16, &wide, &b, NULL), 0);
    assert_int_equal(in32(&bus, 0x100), 0x44332211);
    assert_int_equal(a.widest, 1);
    assert_int_equal(in32(&bus, 0x102), 0xffff4433); /* never into the neighbour */
    assert_int_equal(in32(&bus, 0xfe), 0xffffffff);  /* begins where nobody is */
    assert_int_equal(in8(&bus, 0xff), 0xff);
    assert_int_equal(in16(&bus, 0x104), 0x0055);
    out32(&bus, 0x102, 0xddccbbaa);
    assert_int_equal(a.bytes[2], 0xaa);
    assert_int_equal(a.bytes[3], 0xbb);
    assert_int_equal(b.bytes[0], 0x55);
    out32(&bus, 0xfe, 0);
    assert_int_equal(a.bytes[0], 0x11);
    bus_read(&bus, 0x104, &eight, sizeof(eight));
    assert_int_equal(eight, 0x55);
    assert_int_equal(b.widest, 4);
}

static void test_bus_top(void **state)
{
    struct memory_device d = {.bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    struct bus all = {.top = UINT64_MAX};
    uint64_t v;

    (void)state;
    assert_int_equal(bus_add(&all, UINT64_MAX - 15, 16, &wide, &d, NULL), 0);
    bus_read(&all, UINT64_MAX - 1, &v, sizeof(v)); /* the access wraps, the lookup does not */
    assert_int_equal(v, 0xffffffffffff100f);
    bus_read(&all, UINT64_MAX, &v, 1);
    bus_write(&all, UINT64_MAX - 3, &v, sizeof(v));
    assert_int_equal(d.bytes[15], 0xff);
}

/* ---- ACPI power management ---- */

static void test_pm(void **state)
{
    struct pm pm;

    (void)state;
    pm_init(&pm, wires_irq(&wires), wires_power(&wires));
    assert_int_equal(bus_add(&bus, PM_BASE, PM_PORTS, &pm_ops, &pm, NULL), 0);

    assert_int_equal(in16(&bus, PM_BASE + PM_CONTROL), 1); /* SCI_EN */
    out16(&bus, PM_BASE + PM_CONTROL, 0);
    assert_int_equal(in16(&bus, PM_BASE + PM_CONTROL), 1);

    pm_press_power_button(&pm);
    assert_int_equal(in16(&bus, PM_BASE), 0x100);
    assert_false(wires.high);
    out16(&bus, PM_BASE + 2, 0x120);
    assert_true(wires.high);
    out16(&bus, PM_BASE, 0xfeff); /* not the button's bit */
    assert_true(wires.high);
    out8(&bus, PM_BASE + 1, 0x01); /* a byte of it */
    assert_false(wires.high);
    assert_int_equal(in32(&bus, PM_BASE), 0x01200000);
    assert_int_equal(wires.off, 0);
}

/* A press before the system listens is not lost by its clearing what was before; and comes once. */
static void test_pm_early(void **state)
{
    struct pm pm;

    (void)state;
    pm_init(&pm, wires_irq(&wires), wires_power(&wires));
    assert_int_equal(bus_add(&bus, PM_BASE, PM_PORTS, &pm_ops, &pm, NULL), 0);
    pm_press_power_button(&pm);
    out16(&bus, PM_BASE + 2, 0);
    out16(&bus, PM_BASE, 0x100);
    out16(&bus, PM_BASE + 2, 0x20); /* another event's bit */
    assert_int_equal(in16(&bus, PM_BASE), 0);
    assert_false(wires.high);
    out16(&bus, PM_BASE + 2, 0x120);
    assert_int_equal(in16(&bus, PM_BASE), 0x100);
    assert_true(wires.high);

    out16(&bus, PM_BASE, 0x100);
    assert_false(wires.high);
    out16(&bus, PM_BASE + 2, 0);
    out16(&bus, PM_BASE + 2, 0x100);
    assert_false(wires.high);
    pm_press_power_button(&pm); /* not early */
    out16(&bus, PM_BASE, 0x100);
    out16(&bus, PM_BASE + 2, 0);
    out16(&bus, PM_BASE + 2, 0x100);
    assert_false(wires.high);
}

static void test_pm_off(void **state)
{
    struct pm pm;

    (void)state;
    pm_init(&pm, wires_irq(&wires), wires_power(&wires));
    assert_int_equal(bus_add(&bus, PM_BASE, PM_PORTS, &pm_ops, &pm, NULL), 0);
    out16(&bus, PM_BASE + PM_CONTROL, 5 << 10); /* type alone */
    out16(&bus, PM_BASE + PM_CONTROL, 1 << 13 | 1 << 10);
    assert_int_equal(wires.off, 0);
    out16(&bus, PM_BASE + PM_CONTROL, 1 << 13 | 5 << 10 | 1);
    assert_int_equal(wires.off, 1);
    assert_int_equal(in16(&bus, PM_BASE + PM_CONTROL) & 1 << 13, 0);
}

static void test_pm_timer(void **state)
{
    const struct timespec tick = {.tv_nsec = 2000000};
    struct pm pm;

    (void)state;
    pm_init(&pm, wires_irq(&wires), wires_power(&wires));
    assert_int_equal(bus_add(&bus, PM_BASE, PM_PORTS, &pm_ops, &pm, NULL), 0);
    uint32_t before = in32(&bus, PM_BASE + PM_TIMER);
    nanosleep(&tick, NULL);
    uint32_t ticks = in32(&bus, PM_BASE + PM_TIMER) - before;
    assert_true(ticks >= 7000); /* 2 ms at 3.58 MHz */
    out32(&bus, PM_BASE + PM_TIMER, 0);
    assert_true(in32(&bus, PM_BASE + PM_TIMER) - before >= ticks);
    assert_int_equal(in32(&bus, PM_BASE + 6), 0xffff0000 & in32(&bus, PM_BASE + 6));
}

/* ---- reset and panic ---- */

static void test_resets(void **state)
{
    struct bridge port = {.power = wires_power(&wires)};
    struct i8042 kbc;

    (void)state;
    i8042_init(&kbc, wires_power(&wires));
    bus_add(&bus, BRIDGE_PORT, BRIDGE_PORTS, &bridge_ops, &port, NULL);
    bus_add(&bus, I8042_DATA, 1, &i8042_data_ops, &kbc, NULL);
    bus_add(&bus, I8042_COMMAND, 1, &i8042_command_ops, &kbc, NULL);

    out8(&bus, RESET_PORT, 0x02);
    assert_int_equal(in8(&bus, RESET_PORT), 0x02);
    out32(&bus, 0xcf8, 0x80000600); /* a PCI address is no reset */
    assert_int_equal(wires.reset, 0);
    out8(&bus, RESET_PORT, RESET_VALUE);
    assert_int_equal(wires.reset, 1);

    assert_int_equal(in8(&bus, I8042_COMMAND) & 0x03, 0); /* ready for a command, nothing to read */
    out8(&bus, I8042_COMMAND, 0xff);
    assert_int_equal(wires.reset, 1);
    out8(&bus, I8042_COMMAND, 0xfe);
    assert_int_equal(wires.reset, 2);
    out8(&bus, I8042_COMMAND, 0xd1);
    out8(&bus, I8042_DATA, 0xdf);
    assert_int_equal(wires.reset, 2);
    out8(&bus, I8042_COMMAND, 0xd1);
    out8(&bus, I8042_DATA, 0xfe);
    assert_int_equal(wires.reset, 3);
    out8(&bus, I8042_DATA, 0xfe); /* no longer its parameter */
    assert_int_equal(wires.reset, 3);
}

/* A kernel that looks for PCI finds one function, the bridge, as Linux's check of mechanism 1 does.
 */
static void test_bridge(void **state)
{
    static const struct pci_wires nothing;
    struct pci pci;
    struct bridge b = {.power = wires_power(&wires), .pci = &pci};

    (void)state;
    pci_init(&pci, &nothing, NULL, 0, 0);
    bus_add(&bus, BRIDGE_PORT, BRIDGE_PORTS, &bridge_ops, &b, NULL);
    out8(&bus, BRIDGE_PORT + 3, 0x01);
    out32(&bus, BRIDGE_PORT, 0x80000000);
    assert_int_equal(in32(&bus, BRIDGE_PORT), 0x80000000);
    assert_int_equal(in16(&bus, BRIDGE_PORT + 4), PCI_VENDOR_REDHAT);
    assert_int_equal(in16(&bus, BRIDGE_PORT + 6), PCI_DEVICE_BRIDGE);
    out32(&bus, BRIDGE_PORT, 0x80000008);
    assert_int_equal(in16(&bus, BRIDGE_PORT + 6), 0x0600);
    out32(&bus, BRIDGE_PORT, 0x8000003c);
    assert_int_equal(in32(&bus, BRIDGE_PORT + 4), 0);
    for (uint32_t other = 0x100; other < 0x1000000; other <<= 1) {
        out32(&bus, BRIDGE_PORT, 0x80000000 | other);
        assert_int_equal(in32(&bus, BRIDGE_PORT + 4), UINT32_MAX);
    }
    out32(&bus, BRIDGE_PORT, 0); /* not enabled */
    assert_int_equal(in32(&bus, BRIDGE_PORT + 4), UINT32_MAX);
    assert_int_equal(wires.reset, 0);
    pci_destroy(&pci);
}

static void test_i8042_answers(void **state)
{
    struct i8042 kbc;

    (void)state;
    i8042_init(&kbc, wires_power(&wires));
    bus_add(&bus, I8042_DATA, 1, &i8042_data_ops, &kbc, NULL);
    bus_add(&bus, I8042_COMMAND, 1, &i8042_command_ops, &kbc, NULL);
    out8(&bus, I8042_COMMAND, 0xaa);
    assert_int_equal(in8(&bus, I8042_COMMAND) & 0x01, 0x01);
    assert_int_equal(in8(&bus, I8042_DATA), 0x55);
    assert_int_equal(in8(&bus, I8042_COMMAND) & 0x01, 0);
    out8(&bus, I8042_COMMAND, 0x60);
    out8(&bus, I8042_DATA, 0x47);
    out8(&bus, I8042_COMMAND, 0x20);
    assert_int_equal(in8(&bus, I8042_DATA), 0x47);
    for (unsigned c = 0; c < 0xf0; c++) { /* any command, any parameter: nothing happens */
        out8(&bus, I8042_COMMAND, (uint8_t)c);
        out8(&bus, I8042_DATA, 0xff);
        in8(&bus, I8042_DATA);
    }
    assert_int_equal(wires.reset, 0);
}

static void test_pvpanic(void **state)
{
    struct pvpanic p = {.power = wires_power(&wires)};

    (void)state;
    bus_add(&bus, PVPANIC_PORT, 1, &pvpanic_ops, &p, NULL);
    assert_int_equal(in8(&bus, PVPANIC_PORT), 1);
    out8(&bus, PVPANIC_PORT, 2);
    assert_int_equal(wires.panicked, 0);
    out8(&bus, PVPANIC_PORT, 1);
    assert_int_equal(wires.panicked, 1);
}

/* ---- the clock ---- */

static struct rtc rtc;

static int setup_rtc(void **state)
{
    setup(state);
    if (rtc_init(&rtc, wires_irq(&wires), NULL) < 0)
        return -1;
    return bus_add(&bus, RTC_PORT, RTC_PORTS, &rtc_ops, &rtc, NULL);
}

static int teardown_rtc(void **state)
{
    (void)state;
    rtc_destroy(&rtc);
    return 0;
}

static uint8_t cmos_get(uint8_t reg)
{
    out8(&bus, RTC_PORT, reg);
    return in8(&bus, RTC_PORT + 1);
}

static void cmos_set(uint8_t reg, uint8_t value)
{
    out8(&bus, RTC_PORT, reg);
    out8(&bus, RTC_PORT + 1, value);
}

/* The clock's time in seconds since 1970, in the present mode. */
static int64_t cmos_time(bool binary)
{
    static const uint8_t regs[] = {0, 2, 4, 7, 8, 9, 0x32};
    int v[7];

    for (;;) {
        for (unsigned i = 0; i < 7; i++) {
            uint8_t byte = cmos_get(regs[i]);
            v[i] = binary ? byte : (byte >> 4) * 10 + (byte & 15);
        }
        int again = cmos_get(0);
        if (v[0] == (binary ? again : (again >> 4) * 10 + (again & 15)))
            break;
    }
    struct tm tm = {.tm_sec = v[0],
                    .tm_min = v[1],
                    .tm_hour = v[2],
                    .tm_mday = v[3],
                    .tm_mon = v[4] - 1,
                    .tm_year = v[6] * 100 + v[5] - 1900};
    return (int64_t)timegm(&tm);
}

static void test_rtc_reads(void **state)
{
    (void)state;
    assert_in_range(cmos_time(false) - (int64_t)time(NULL) + 1, 0, 2);
    cmos_set(11, 0x06); /* binary */
    assert_int_equal(cmos_get(11), 0x06);
    assert_in_range(cmos_time(true) - (int64_t)time(NULL) + 1, 0, 2);
    assert_int_equal(cmos_get(10) & 0x80, 0); /* never in update */
    assert_int_equal(cmos_get(13), 0x80);
    assert_int_equal(in8(&bus, RTC_PORT), 0xff);
    cmos_set(0x40, 0x77); /* plain memory */
    assert_int_equal(cmos_get(0xc0), 0x77);
}

static void test_rtc_set(void **state)
{
    (void)state;
    cmos_set(11, 0x86); /* stop, binary: 2001-02-03 04:05:06 */
    cmos_set(0, 6);
    cmos_set(2, 5);
    cmos_set(4, 4);
    cmos_set(7, 3);
    cmos_set(8, 2);
    cmos_set(9, 1);
    cmos_set(0x32, 20);
    assert_int_equal(cmos_time(true), 981173106);
    cmos_set(11, 0x06);
    assert_in_range(cmos_time(true) - 981173106, 0, 1);
    assert_int_equal(cmos_get(6), 7); /* it was a Saturday */
}

/* Whatever is written, what is read is some time, and nothing goes wrong. */
static void test_rtc_nonsense(void **state)
{
    (void)state;
    for (unsigned mode = 0; mode < 256; mode += 5)
        for (unsigned reg = 0; reg < 128; reg++) {
            cmos_set(11, (uint8_t)mode);
            cmos_set((uint8_t)reg, (uint8_t)(reg * 37 + mode));
            cmos_get((uint8_t)reg);
            cmos_get(12);
        }
}

/* Wait for the timer, and serve it. */
static void await_timer(void)
{
    struct pollfd p = {.fd = rtc.timer_fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, 3000), 1);
    rtc_expired(&rtc);
}

static void test_rtc_update_interrupt(void **state)
{
    (void)state;
    cmos_set(11, 0x16);
    await_timer();
    assert_true(wires.high);
    assert_int_equal(cmos_get(12), 0x90);
    assert_false(wires.high);
    assert_int_equal(cmos_get(12), 0);
    cmos_set(11, 0x06);
    assert_int_equal(rtc.update_at, INT64_MAX);
}

static void test_rtc_alarm(void **state)
{
    (void)state;
    int64_t at = cmos_time(false) + 2;
    cmos_set(11, 0x06);
    cmos_set(1, (uint8_t)(at % 60));
    cmos_set(3, 0xff); /* any minute */
    cmos_set(5, (uint8_t)(at / 3600 % 24));
    cmos_set(11, 0x26);
    assert_int_equal(rtc.alarm_at, at);
    await_timer();
    assert_int_equal(cmos_get(12), 0xa0);
    cmos_set(1, 0x7f); /* no second at all: never */
    assert_int_equal(rtc.alarm_at, INT64_MAX);
}

/* ---- all of them ---- */

static size_t stutter_put(void *arg, const void *data, size_t len)
{
    unsigned *calls = arg;

    (void)data;
    return ++*calls % 3 ? len : 0;
}

static void stutter_ready(void *arg)
{
    (void)arg;
}

/* A guest that writes anything anywhere finds no state in which a device goes wrong. */
static void test_any_access(void **state)
{
    static const struct serial_line line = {stutter_put, stutter_ready};
    static const uint16_t places[] = {RTC_PORT,     I8042_DATA, I8042_COMMAND, PM_BASE,
                                      PVPANIC_PORT, RESET_PORT, SERIAL_COM1,   0xcf8};
    static const struct pci_wires nothing;
    struct pci pci;
    struct bridge bridge = {.power = wires_power(&wires), .pci = &pci};
    struct pvpanic panic = {.power = wires_power(&wires)};
    unsigned calls = 0;
    struct serial com;
    struct i8042 kbc;
    struct pm pm;

    (void)state;
    pci_init(&pci, &nothing, NULL, 0, 0);
    serial_init(&com, wires_irq(&wires), &line, &calls);
    i8042_init(&kbc, wires_power(&wires));
    pm_init(&pm, wires_irq(&wires), wires_power(&wires));
    bus_add(&bus, SERIAL_COM1, SERIAL_PORTS, &serial_ops, &com, NULL);
    bus_add(&bus, I8042_DATA, 1, &i8042_data_ops, &kbc, NULL);
    bus_add(&bus, I8042_COMMAND, 1, &i8042_command_ops, &kbc, NULL);
    bus_add(&bus, PM_BASE, PM_PORTS, &pm_ops, &pm, NULL);
    bus_add(&bus, PVPANIC_PORT, 1, &pvpanic_ops, &panic, NULL);
    bus_add(&bus, BRIDGE_PORT, BRIDGE_PORTS, &bridge_ops, &bridge, NULL);

    uint32_t r = 1;
    for (unsigned i = 0; i < 400000; i++) {
        r = r * 1664525 + 1013904223; /* the same each time */
        uint16_t port = (uint16_t)(places[r >> 29] + (r >> 24) % 12);
        unsigned size = 1u << (r >> 20) % 3;
        uint64_t value = r ^ r >> 7;
        if (r & 0x1000)
            bus_write(&bus, port, &value, size);
        else
            bus_read(&bus, port, &value, size);
        if (i % 16 == 0)
            serial_input(&com, &value, sizeof(value));
        if (i % 64 == 0)
            serial_output_ready(&com);
        if (i % 128 == 0)
            serial_break(&com);
        assert_true(com.rx_count <= SERIAL_FIFO && com.tx_count <= SERIAL_FIFO);
    }
    assert_true(wires.off && wires.reset && wires.panicked && calls);
}

int main(void)
{
#define T(f)   cmocka_unit_test_setup(f, setup)
#define RTC(f) cmocka_unit_test_setup_teardown(f, setup_rtc, teardown_rtc)
    const struct CMUnitTest tests[] = {
        T(test_bus_places),
        T(test_bus_full),
        T(test_bus_access),
        T(test_bus_top),
        T(test_pm),
        T(test_pm_early),
        T(test_pm_off),
        T(test_pm_timer),
        T(test_resets),
        T(test_bridge),
        T(test_i8042_answers),
        T(test_pvpanic),
        RTC(test_any_access),
        RTC(test_rtc_reads),
        RTC(test_rtc_set),
        RTC(test_rtc_nonsense),
        RTC(test_rtc_update_interrupt),
        RTC(test_rtc_alarm),
    };
    return cmocka_run_group_tests_name("legacy devices", tests, NULL, NULL);
}
