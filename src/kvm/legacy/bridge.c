/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports 0xcf8 to 0xcff, see bridge.h.
 */
#include "kvm/legacy/bridge.h"

#include <stdbool.h>

#define RESET_OFFSET (RESET_PORT - BRIDGE_PORT)
#define RESET_CPU    0x04
#define DATA_OFFSET  4

#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS   0x80fffffcu /* enable, bus, device, function, register */
#define SLOT_SHIFT     11
#define OTHER_BITS     0x00ff0700u /* buses and functions that there are not */

/* Does the address lead to a function of bus 0? Then its slot and register are set. */
static bool decode(const struct bridge *b, uint64_t offset, unsigned *slot, unsigned *at)
{
    const uint32_t address = b->address;

    *slot = address >> SLOT_SHIFT & 31;
    *at = (address & 0xfc) + (unsigned)(offset - DATA_OFFSET);
    return (address & ADDRESS_ENABLE) && !(address & OTHER_BITS);
}

static uint64_t bridge_read(void *dev, uint64_t offset, unsigned size)
{
    struct bridge *b = dev;
    unsigned slot, at;

    if (offset == RESET_OFFSET && size == 1)
        return b->reset;
    if (offset < DATA_OFFSET)
        return b->address >> offset * 8;
    return decode(b, offset, &slot, &at) ? pci_config_read(b->pci, slot, at, size) : UINT32_MAX;
}

static void bridge_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct bridge *b = dev;
    unsigned slot, at;

    if (offset == 0 && size == 4)
        b->address = value & ADDRESS_BITS;
    if (offset >= DATA_OFFSET && decode(b, offset, &slot, &at))
        pci_config_write(b->pci, slot, at, size, (uint32_t)value);
    if (offset != RESET_OFFSET || size != 1)
        return;
    b->reset = value & ~RESET_CPU;
    if (value & RESET_CPU)
        b->power.request(b->power.arg, POWER_RESET);
}

const struct bus_ops bridge_ops = {
    .name = "host bridge",
    .width = 4,
    .read = bridge_read,
    .write = bridge_write,
};

void bridge_state(struct bridge *b, struct state *s)
{
    uint32_t address = b->address;
    uint8_t reset = b->reset;

    if (!state_section(s, "host bridge", 1))
        return;
    state_item(s, address);
    state_item(s, reset);
    b->address = address & ADDRESS_BITS;
    b->reset = reset & (uint8_t)~RESET_CPU;
}
