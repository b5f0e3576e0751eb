/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bus: ECAM, the windows with the lookup of BARs, and where BARs begin; see pci.h.
 */
#include "kvm/pci/pci.h"

#include <string.h>

#include "base/util.h"
#include "kvm/memory.h"

#define ECAM_FUNCTION_SHIFT 12
#define ECAM_SLOT_SHIFT     15

/* ---- accesses to BARs ---- */

/* The BAR that addr lies in now, and where it begins. Takes no lock, see pci.h. */
static struct pci_place *find_place(struct pci *p, uint64_t addr, uint64_t *base)
{
    for (unsigned i = 0; i < p->place_count; i++) {
        uint64_t at = p->places[i].base;
        if (addr >= at && addr - at < p->places[i].size) {
            *base = at;
            return &p->places[i];
        }
    }
    return NULL;
}

static uint64_t window_read(struct pci *p, uint64_t addr, unsigned size)
{
    uint64_t value = UINT64_MAX, base;
    struct pci_place *place = find_place(p, addr, &base);

    if (place)
        bus_device_read(place->ops, place->dev, addr - base, place->size, &value, size);
    return value;
}

static void window_write(struct pci *p, uint64_t addr, unsigned size, uint64_t value)
{
    uint64_t base;
    struct pci_place *place = find_place(p, addr, &base);

    if (place)
        bus_device_write(place->ops, place->dev, addr - base, place->size, &value, size);
}

static uint64_t low_read(void *dev, uint64_t offset, unsigned size)
{
    return window_read(dev, MEMORY_PCI + offset, size);
}

static void low_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    window_write(dev, MEMORY_PCI + offset, size, value);
}

static uint64_t high_read(void *dev, uint64_t offset, unsigned size)
{
    struct pci *p = dev;

    return window_read(p, p->high_base + offset, size);
}

static void high_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct pci *p = dev;

    window_write(p, p->high_base + offset, size, value);
}

static const struct bus_ops low_ops = {"pci memory", 8, low_read, low_write};
static const struct bus_ops high_ops = {"pci 64-bit memory", 8, high_read, high_write};

bool pci_bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
                  uint64_t *value)
{
    const struct pci_place *place = bar < PCI_BARS ? f->places[bar] : NULL;

    if (!place || offset >= place->size || size > place->size - offset)
        return false;
    *value = 0;
    bus_device_read(place->ops, place->dev, offset, place->size, value, size);
    return true;
}

bool pci_bar_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
                   uint64_t value)
{
    const struct pci_place *place = bar < PCI_BARS ? f->places[bar] : NULL;

    if (!place || offset >= place->size || size > place->size - offset)
        return false;
    bus_device_write(place->ops, place->dev, offset, place->size, &value, size);
    return true;
}

/* ---- ECAM: slot, function and register are the address's bits ---- */

static uint64_t ecam_read(void *dev, uint64_t offset, unsigned size)
{
    unsigned function = offset >> ECAM_FUNCTION_SHIFT & 7;

    if (function)
        return UINT64_MAX;
    return pci_config_read(dev, (unsigned)(offset >> ECAM_SLOT_SHIFT), offset & 0xfff, size);
}

static void ecam_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    unsigned function = offset >> ECAM_FUNCTION_SHIFT & 7;

    if (!function)
        pci_config_write(dev, (unsigned)(offset >> ECAM_SLOT_SHIFT), offset & 0xfff, size,
                         (uint32_t)value);
}

static const struct bus_ops ecam_ops = {"pci configuration", 4, ecam_read, ecam_write};

/* ---- the bus ---- */

void pci_init(struct pci *p, const struct pci_wires *wires, void *wires_arg, uint64_t high_base,
              uint64_t high_size)
{
    const struct pci_type bridge = {
        .name = "host bridge",
        .vendor = PCI_VENDOR_REDHAT,
        .device = PCI_DEVICE_BRIDGE,
        .class_code = 0x060000, /* host bridge */
    };

    *p = (struct pci){.wires = wires,
                      .wires_arg = wires_arg,
                      .high_base = high_base,
                      .high_size = high_size};
    pthread_mutex_init(&p->lock, NULL);
    pthread_mutex_init(&p->intx_lock, NULL);
    pci_add(p, &p->bridge, &bridge, NULL, NULL); /* cannot fail: the bus is empty */
}

void pci_destroy(struct pci *p)
{
    if (!p->wires)
        return;
    pci_remove(&p->bridge);
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->intx_lock);
    *p = (struct pci){0};
}

int pci_add_to_bus(struct pci *p, struct bus *mmio, struct error *err)
{
    if (bus_add(mmio, MEMORY_ECAM, MEMORY_ECAM_SIZE, &ecam_ops, p, err) < 0 ||
        bus_add(mmio, MEMORY_PCI, MEMORY_PCI_SIZE, &low_ops, p, err) < 0)
        return -1;
    return p->high_size ? bus_add(mmio, p->high_base, p->high_size, &high_ops, p, err) : 0;
}

/* Write a BAR's bytes as a guest would. */
static void put_bar(struct pci_function *f, unsigned bar, uint64_t base)
{
    unsigned at = PCI_BASE_ADDRESS_0 + 4 * bar;

    pci_config_write(f->pci, f->slot, at, 4, (uint32_t)base);
    if (f->type.bars[bar].wide)
        pci_config_write(f->pci, f->slot, at + 4, 4, (uint32_t)(base >> 32));
}

/* Room of `size` bytes at its own alignment from *next on, below end. */
static bool take_room(uint64_t *next, uint64_t end, uint64_t size, uint64_t *base)
{
    *base = (*next + size - 1) & ~(size - 1);
    if (*base < *next || *base > end || size > end - *base)
        return false;
    *next = *base + size;
    return true;
}

int pci_assign(struct pci *p, struct error *err)
{
    uint64_t low = MEMORY_PCI, high = p->high_base;
    const uint64_t low_end = MEMORY_PCI + MEMORY_PCI_SIZE, high_end = p->high_base + p->high_size;

    for (unsigned s = 0; s < PCI_SLOTS; s++) {
        struct pci_function *f = p->functions[s];
        for (unsigned i = 0; f && i < PCI_BARS; i++) {
            uint64_t size = f->type.bars[i].size, base;
            if (!size)
                continue;
            if (!take_room(&low, low_end, size, &base) &&
                !(f->type.bars[i].wide && take_room(&high, high_end, size, &base)))
                return error_set(err, 0, "no address space is left for BAR %u of '%s'", i,
                                 f->type.name);
            put_bar(f, i, base);
        }
    }
    return 0;
}
