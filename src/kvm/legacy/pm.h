/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI's fixed hardware (ACPI 6.4, 4.8.3): the PM1a event and control registers with the power
 * button, and the PM timer, which the FADT keeps to itself (acpi/tables.c).
 *
 *     PM_BASE + 0   PM1_STS   what happened; writing ones clears
 *             + 2   PM1_EN    what of it interrupts (SCI, level)
 *             + 4   PM1_CNT   SCI_EN is always set: there is no other mode; SLP_EN with S5 is off
 *             + 8   PM_TMR    3.579545 MHz, 32 bits, without interrupt
 *
 * A system clears the button's status before it enables it, so it would forget who pressed while
 * it was booting. Such a press is shown to it again.
 */
#ifndef PULT_KVM_LEGACY_PM_H
#define PULT_KVM_LEGACY_PM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/state.h"

#define PM_BASE      0x600
#define PM_PORTS     12
#define PM_EVENT     0
#define PM_EVENT_LEN 4
#define PM_CONTROL   4
#define PM_TIMER     8
#define PM_SCI_GSI   9
#define PM_S5_TYPE   5 /* SLP_TYP of S5, as the DSDT's _S5 says */

struct pm {
    pthread_mutex_t lock;
    struct irq_line sci;
    struct power power;
    uint16_t status, enable, control;
    bool pressed_early; /* while the button was not enabled: comes again when it is */
    uint64_t born_ns;
};

extern const struct bus_ops pm_ops;

void pm_init(struct pm *pm, struct irq_line sci, struct power power);
/* Has the guest enabled the power button: is there a system that uses ACPI? */
bool pm_is_used(struct pm *pm);
/* Press and release the power button. */
void pm_press_power_button(struct pm *pm);

/* Save or load it: the timer has gone on meanwhile. */
void pm_state(struct pm *pm, struct state *s);

#endif
