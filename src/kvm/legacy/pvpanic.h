/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pvpanic: one port through which a guest's kernel says that it panicked (QEMU's specification
 * "pvpanic"). Stock Linux finds it in the DSDT as QEMU0001.
 */
#ifndef PULT_KVM_LEGACY_PVPANIC_H
#define PULT_KVM_LEGACY_PVPANIC_H

#include "kvm/bus.h"
#include "kvm/device.h"

#define PVPANIC_PORT 0x505

struct pvpanic {
    struct power power;
};

extern const struct bus_ops pvpanic_ops;

#endif
