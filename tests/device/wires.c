/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wires of a device under test, see wires.h.
 */
#include "wires.h"

static void set_line(void *arg, unsigned gsi, bool high)
{
    struct wires *w = arg;

    (void)gsi;
    w->rises += high && !w->high;
    w->high = high;
}

static void request(void *arg, enum power_request what)
{
    struct wires *w = arg;

    w->off += what == POWER_OFF;
    w->reset += what == POWER_RESET;
    w->panicked += what == POWER_PANICKED;
}

struct irq_line wires_irq(struct wires *w)
{
    return (struct irq_line){.set = set_line, .arg = w};
}

struct power wires_power(struct wires *w)
{
    return (struct power){.request = request, .arg = w};
}

uint8_t in8(const struct bus *b, uint64_t port)
{
    uint8_t v;

    bus_read(b, port, &v, sizeof(v));
    return v;
}

uint16_t in16(const struct bus *b, uint64_t port)
{
    uint16_t v;

    bus_read(b, port, &v, sizeof(v));
    return v;
}

uint32_t in32(const struct bus *b, uint64_t port)
{
    uint32_t v;

    bus_read(b, port, &v, sizeof(v));
    return v;
}

void out8(const struct bus *b, uint64_t port, uint8_t value)
{
    bus_write(b, port, &value, sizeof(value));
}

void out16(const struct bus *b, uint64_t port, uint16_t value)
{
    bus_write(b, port, &value, sizeof(value));
}

void out32(const struct bus *b, uint64_t port, uint32_t value)
{
    bus_write(b, port, &value, sizeof(value));
}
