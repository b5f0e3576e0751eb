/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pvpanic, see pvpanic.h.
 */
#include "kvm/legacy/pvpanic.h"

#define PVPANIC_PANICKED 0x01 /* the only event that is understood, and so offered */

static uint64_t pvpanic_read(void *dev, uint64_t offset, unsigned size)
{
    (void)dev, (void)offset, (void)size;
    return PVPANIC_PANICKED;
}

static void pvpanic_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct pvpanic *p = dev;

    (void)offset, (void)size;
    if (value & PVPANIC_PANICKED)
        p->power.request(p->power.arg, POWER_PANICKED);
}

const struct bus_ops pvpanic_ops = {
    .name = "pvpanic",
    .width = 1,
    .read = pvpanic_read,
    .write = pvpanic_write,
};
