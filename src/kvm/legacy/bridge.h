/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host bridge's ports: PCI's configuration mechanism 1 (PCI 3.0, 3.2.2.3.2), and within it the
 * chipset's reset register.
 *
 *     0xcf8  CONFIG_ADDRESS, where 32 bits are accessed
 *     0xcf9  reset, where 8 are: bit 2 going from 0 to 1 resets the machine, bit 1 says how hard,
 *            which is all one here. It is also the FADT's RESET_REG.
 *     0xcfc  CONFIG_DATA
 *
 * What is behind the address is pci/pci.h's.
 */
#ifndef PULT_KVM_LEGACY_BRIDGE_H
#define PULT_KVM_LEGACY_BRIDGE_H

#include <stdint.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/pci/pci.h"
#include "kvm/state.h"

#define BRIDGE_PORT  0xcf8
#define BRIDGE_PORTS 8
#define RESET_PORT   0xcf9
#define RESET_VALUE  0x06 /* hard reset, now */

struct bridge {
    struct power power;
    struct pci *pci;
    _Atomic uint32_t address; /* CONFIG_ADDRESS */
    _Atomic uint8_t reset;
};

extern const struct bus_ops bridge_ops;

void bridge_state(struct bridge *b, struct state *s);

#endif
