/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts: the PIC, IOAPIC, LAPICs and PIT that KVM has in the kernel, and how interrupt
 * numbers (GSIs) reach them.
 *
 *     GSI 0        PIC pin 0, IOAPIC pin 2   the PIT, as on every PC since the IOAPIC came
 *     GSI 1, 3-15  PIC and IOAPIC pin of the same number
 *     GSI 16-23    IOAPIC pin of the same number
 */
#ifndef PULT_KVM_IRQ_H
#define PULT_KVM_IRQ_H

#include <stdbool.h>

#include "base/error.h"

#define IRQ_IOAPIC_PINS 24
#define IRQ_IOAPIC_ADDR 0xfec00000u
#define IRQ_LAPIC_ADDR  0xfee00000u

/* Create the controllers in a fresh VM and route the GSIs. */
int irq_create(int vm, struct error *err);
/* For struct irq_line: arg points to the VM's descriptor. */
void irq_set(void *arg, unsigned gsi, bool high);

#endif
