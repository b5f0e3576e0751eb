/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports 0xcf8 to 0xcff, see bridge.h.
 */
#include "kvm/legacy/bridge.h"

#include "base/util.h"

#define RESET_OFFSET (RESET_PORT - BRIDGE_PORT)
#define RESET_CPU    0x04
#define DATA_OFFSET  4

#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_BITS   0x80fffffcu /* enable, bus, device, function, register */
#define REGISTER_BITS  0xffu

/* Configuration space of bus 0, device 0, function 0; what follows is 0. */
static const uint32_t config[] = {
    0x12378086,             /* Intel's 440FX, of which nothing is expected any more */
    0x00000000, 0x06000000, /* class: host bridge */
};

/* CONFIG_DATA: only the bridge answers. */
static uint32_t config_read(uint32_t address)
{
    if ((address & ~REGISTER_BITS) != ADDRESS_ENABLE)
        return UINT32_MAX;
    unsigned i = (address & REGISTER_BITS) / 4;
    return i < ARRAY_SIZE(config) ? config[i] : 0;
}

static uint64_t bridge_read(void *dev, uint64_t offset, unsigned size)
{
    struct bridge *b = dev;

    if (offset == RESET_OFFSET && size == 1)
        return b->reset;
    uint32_t value = offset < DATA_OFFSET ? b->address : config_read(b->address);
    return value >> (offset % 4 * 8);
}

static void bridge_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct bridge *b = dev;

    if (offset == 0 && size == 4)
        b->address = value & ADDRESS_BITS;
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
