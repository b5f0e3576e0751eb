/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts: the PIC, IOAPIC, LAPICs and PIT that KVM has in the kernel, and how interrupt
 * numbers (GSIs) reach them. Also what KVM does beside for devices: eventfds that become
 * interrupts (irqfd) and accesses that become eventfds (ioeventfd).
 *
 *     GSI 0        PIC pin 0, IOAPIC pin 2   the PIT, as on every PC since the IOAPIC came
 *     GSI 1, 3-15  PIC and IOAPIC pin of the same number
 *     GSI 16-23    IOAPIC pin of the same number: PCI's INTx
 *     GSI 24-      messages (MSI) of PCI functions, one for each vector that was ever used
 */
#ifndef PULT_KVM_IRQ_H
#define PULT_KVM_IRQ_H

#include <stdbool.h>

#include <pthread.h>

#include "base/error.h"
#include "kvm/pci/pci.h"
#include "kvm/state.h"

#define IRQ_IOAPIC_PINS 24
#define IRQ_IOAPIC_ADDR 0xfec00000u
#define IRQ_LAPIC_ADDR  0xfee00000u

struct kvm_irq_routing;

struct irq {
    int vm;
    pthread_mutex_t lock;
    struct kvm_irq_routing *routes; /* what KVM was told last */
    unsigned room;                  /* entries that there is memory for */
    unsigned next_gsi;
};

/* Create the controllers in a fresh VM and route the GSIs. */
int irq_create(struct irq *irq, int vm, struct error *err);
void irq_destroy(struct irq *irq); /* accepts what was zeroed */
/* Save or load the controllers in the kernel and the PIT; lines are raised again by their devices. */
void irq_state(struct irq *irq, struct state *s);
/* For struct irq_line: arg points to struct irq. */
void irq_set(void *arg, unsigned gsi, bool high);

/* What PCI functions need of KVM; its arg is a struct irq. */
extern const struct pci_wires irq_wires;

#endif
