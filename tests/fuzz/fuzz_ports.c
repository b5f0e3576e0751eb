/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PC's own devices under a guest that reads and writes their ports as it likes, while input,
 * breaks, the power button and a slow terminal come from the other side. Interrupt lines follow
 * what the registers say, and a serial port sends no byte that the guest did not write.
 */
#include "fuzz/feed.h"

#include <stdbool.h>
#include <unistd.h>

#include "base/util.h"
#include "kvm/bus.h"
#include "kvm/legacy/bridge.h"
#include "kvm/legacy/i8042.h"
#include "kvm/legacy/pm.h"
#include "kvm/legacy/pvpanic.h"
#include "kvm/legacy/rtc.h"
#include "kvm/legacy/serial.h"

static struct {
    struct bus bus;
    struct serial com1;
    struct rtc rtc;
    struct i8042 i8042;
    struct pm pm;
    struct pvpanic pvpanic;
    struct bridge bridge;
    struct pci pci;
    bool lines[24];
    unsigned taken, written; /* bytes at the wire; bytes written to its data register */
    unsigned room;           /* what the terminal takes at once */
} pc;

static void set_line(void *arg, unsigned gsi, bool high)
{
    (void)arg;
    must(gsi < 24 && pc.lines[gsi] != high); /* edges only */
    pc.lines[gsi] = high;
}

static void request(void *arg, enum power_request what)
{
    (void)arg, (void)what;
}

static size_t put(void *arg, const void *data, size_t len)
{
    size_t n = min(len, (size_t)pc.room);

    (void)arg, (void)data;
    pc.taken += (unsigned)n;
    return n;
}

static void input_ready(void *arg)
{
    (void)arg;
}

static const struct serial_line line = {put, input_ready};
static const struct pci_wires no_wires;

static void power_up(void)
{
    const struct power power = {request, NULL};

    memset(&pc, 0, sizeof(pc));
    pc.bus.top = UINT16_MAX;
    pc.room = 16;
    pci_init(&pc.pci, &no_wires, NULL, 0, 0);
    serial_init(&pc.com1, (struct irq_line){.set = set_line, .gsi = 4}, &line, NULL);
    must(rtc_init(&pc.rtc, (struct irq_line){.set = set_line, .gsi = 8}, NULL) == 0);
    i8042_init(&pc.i8042, power);
    pm_init(&pc.pm, (struct irq_line){.set = set_line, .gsi = 9}, power);
    pc.pvpanic.power = power;
    pc.bridge = (struct bridge){.power = power, .pci = &pc.pci};
    must(bus_add(&pc.bus, SERIAL_COM1, SERIAL_PORTS, &serial_ops, &pc.com1, NULL) == 0);
    must(bus_add(&pc.bus, RTC_PORT, RTC_PORTS, &rtc_ops, &pc.rtc, NULL) == 0);
    must(bus_add(&pc.bus, I8042_DATA, 1, &i8042_data_ops, &pc.i8042, NULL) == 0);
    must(bus_add(&pc.bus, I8042_COMMAND, 1, &i8042_command_ops, &pc.i8042, NULL) == 0);
    must(bus_add(&pc.bus, PM_BASE, PM_PORTS, &pm_ops, &pc.pm, NULL) == 0);
    must(bus_add(&pc.bus, PVPANIC_PORT, 1, &pvpanic_ops, &pc.pvpanic, NULL) == 0);
    must(bus_add(&pc.bus, BRIDGE_PORT, BRIDGE_PORTS, &bridge_ops, &pc.bridge, NULL) == 0);
}

/* What happens besides the guest. */
static void happen(struct feed *f)
{
    uint8_t bytes[40];

    switch (feed_below(f, 6)) {
    case 0:
        must(serial_input(&pc.com1, bytes, feed_bytes(f, bytes, sizeof(bytes))) <= SERIAL_FIFO);
        break;
    case 1:
        serial_break(&pc.com1);
        break;
    case 2:
        pm_press_power_button(&pc.pm);
        break;
    case 3:
        rtc_expired(&pc.rtc);
        break;
    case 4:
        pc.room = feed_below(f, 20);
        break;
    case 5:
        serial_output_ready(&pc.com1);
        break;
    }
}

/* Ports where something is, more often those with much behind them. */
static uint16_t pick_port(struct feed *f)
{
    static const struct {
        uint16_t port, count;
    } places[] = {{SERIAL_COM1, 8}, {SERIAL_COM1, 8}, {RTC_PORT, 2},   {RTC_PORT, 2},
                  {I8042_DATA, 1},  {0x64, 1},        {PM_BASE, 12},   {PVPANIC_PORT, 1},
                  {0xcf8, 8},       {0xcfc, 4},       {SERIAL_COM1, 3}};

    if (feed_rarely(f, 32))
        return (uint16_t)feed_below(f, 65536);
    unsigned i = feed_below(f, ARRAY_SIZE(places));
    return (uint16_t)(places[i].port + feed_below(f, places[i].count));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};

    power_up();
    for (unsigned i = 0; f.left && i < 1000; i++) {
        if (feed_rarely(&f, 8)) {
            happen(&f);
            continue;
        }
        unsigned width = feed_rarely(&f, 4) ? 1u << feed_below(&f, 4) : 1;
        uint16_t port = pick_port(&f);
        uint64_t value = feed_rarely(&f, 4) ? feed_u64(&f) : feed_byte(&f);
        if (feed_below(&f, 2)) {
            bus_read(&pc.bus, port, &value, width);
        } else {
            pc.written += port < SERIAL_COM1 + SERIAL_PORTS && port + width > SERIAL_COM1;
            bus_write(&pc.bus, port, &value, width);
        }
    }
    must(pc.taken <= pc.written);
    pc.pm.status = 0; /* lines are low when nothing is asked for */
    bus_write(&pc.bus, PM_BASE + 2, &(uint16_t){0}, 2);
    must(!pc.lines[9]);
    rtc_destroy(&pc.rtc);
    pci_destroy(&pc.pci);
    return 0;
}
