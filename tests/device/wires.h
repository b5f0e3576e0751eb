/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device under test is wired to: an interrupt line that remembers its level and how often
 * it rose, and a power switch that remembers what was asked of it.
 */
#ifndef PULT_TESTS_DEVICE_WIRES_H
#define PULT_TESTS_DEVICE_WIRES_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "kvm/bus.h"
#include "kvm/device.h"

struct wires {
    bool high;
    unsigned rises;
    unsigned off, reset, panicked;
};

struct irq_line wires_irq(struct wires *w);
struct power wires_power(struct wires *w);

/* Port accesses as a guest makes them. */
uint8_t in8(const struct bus *b, uint64_t port);
uint16_t in16(const struct bus *b, uint64_t port);
uint32_t in32(const struct bus *b, uint64_t port);
void out8(const struct bus *b, uint64_t port, uint8_t value);
void out16(const struct bus *b, uint64_t port, uint16_t value);
void out32(const struct bus *b, uint64_t port, uint32_t value);

#endif
