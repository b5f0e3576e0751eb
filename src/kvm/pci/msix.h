/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X (PCI 3.0, 6.8.2): a function's table of messages.
 *
 * Each vector has an eventfd. While the vector may signal (MSI-X enabled, the function a bus
 * master, neither the function nor the vector masked) the eventfd is attached to its message in
 * KVM, and a write to it is the interrupt. While it may not, a write stays in the eventfd: that is
 * the pending bit, and KVM delivers it when the vector is attached again.
 *
 * The table and the pending bits are a BAR of their own:
 *
 *     0x0000  table, 16 bytes a vector         0x1000  pending bits
 */
#ifndef PULT_KVM_PCI_MSIX_H
#define PULT_KVM_PCI_MSIX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kvm/bus.h"
#include "kvm/state.h"

#define MSIX_VECTORS 256u
#define MSIX_TABLE   0x0000u
#define MSIX_PENDING 0x1000u
#define MSIX_BYTES   0x2000u

struct pci_function;

struct msix_vector {
    uint32_t entry[4]; /* address, upper address, data, control: as the guest wrote them */
    int fd;
    unsigned route; /* of pci_wires */
    bool attached;
    uint32_t sent[3]; /* the message that it is attached to */
};

struct msix {
    struct pci_function *function;
    pthread_mutex_t lock;
    unsigned count, capability; /* vectors; where in config space */
    _Atomic bool enabled;       /* the guest uses MSI-X, and not INTx */
    bool allowed;               /* enabled, not masked as a whole, bus master */
    struct msix_vector *vectors;
};

/* dev: a struct msix. */
extern const struct bus_ops msix_ops;

int msix_init(struct msix *m, struct pci_function *f, unsigned vectors, struct error *err);
/* As after power-on: all masked, none pending. The function's capability was reset before. */
void msix_reset(struct msix *m);
/* Save or load the table and what is pending. Loading: before pci.c looks at the capability. */
void msix_state(struct msix *m, struct state *s);
void msix_destroy(struct msix *m); /* accepts what was zeroed */
/* The function's control or command register was written. */
void msix_update(struct msix *m);

/* Interrupt: from any thread. A vector that there is not does nothing. */
void msix_signal(struct msix *m, unsigned vector);
/* The eventfd that does the same, for the kernel (vhost). -1: there is no such vector. */
static inline int msix_fd(const struct msix *m, unsigned vector)
{
    return vector < m->count ? m->vectors[vector].fd : -1;
}

#endif
