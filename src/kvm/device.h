/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a device is wired to: an interrupt line, and the machine's power. A device knows no KVM,
 * so that a test can drive it over a bus in its own process.
 */
#ifndef PULT_KVM_DEVICE_H
#define PULT_KVM_DEVICE_H

#include <stdbool.h>

/* One interrupt input of the machine. The device whose line it is calls set() under its lock. */
struct irq_line {
    void (*set)(void *arg, unsigned gsi, bool high);
    void *arg;
    unsigned gsi;
    bool high; /* as it was last set */
};

/* Drive the line; costs nothing where it is at that level. */
static inline void irq_line_set(struct irq_line *l, bool high)
{
    if (l->high == high)
        return;
    l->high = high;
    l->set(l->arg, l->gsi, high);
}

/* What a guest can ask of the machine as a whole through a device. */
enum power_request {
    POWER_OFF,     /* it shut down (ACPI S5) */
    POWER_RESET,   /* it wants to be started again */
    POWER_PANICKED /* its kernel says that it panicked; nothing is asked for */
};

struct power {
    void (*request)(void *arg, enum power_request what);
    void *arg;
};

#endif
