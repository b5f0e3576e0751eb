/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Configuration space: 256 bytes a function, and which of their bits a guest may change (PCI 3.0,
 * chapter 6). What a write changes in the world (decoding, bus mastering, MSI-X) follows from the
 * bytes as they are afterwards.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "kvm/memory.h"
#include "kvm/pci/pci.h"

#define COMMAND_BITS (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

static void put16(uint8_t *at, uint16_t value)
{
    memcpy(at, &value, sizeof(value));
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* ---- what a function begins as ---- */

/* A BAR's bytes: what kind it is, fixed, and as many writable address bits as its size leaves. */
static int init_bar(struct pci_function *f, unsigned i, struct error *err)
{
    const struct pci_type *t = &f->type;
    uint64_t size = t->bars[i].size;
    bool wide = t->bars[i].wide;
    unsigned at = PCI_BASE_ADDRESS_0 + 4 * i;

    if (!size)
        return 0;
    if (size < 4096 || (size & (size - 1)) || (!wide && size > 1ull << 31) ||
        (wide && (i + 1 == PCI_BARS || t->bars[i + 1].size)))
        return error_set(err, EINVAL, "lay out BAR %u of '%s'", i, t->name);
    put32(f->config + at, (wide ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
                              (t->bars[i].prefetch ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0));
    put32(f->writable + at, (uint32_t) ~(size - 1));
    if (wide)
        put32(f->writable + at + 4, (uint32_t)(~(size - 1) >> 32));

    struct pci_place *place = &f->pci->places[f->pci->place_count++];
    *place = (struct pci_place){PCI_NOWHERE, size, t->bars[i].ops, f->dev};
    f->places[i] = place;
    return 0;
}

/* Firmware's word on where INTA# goes. */
static void init_line(struct pci_function *f)
{
    if (f->type.intx)
        f->config[PCI_INTERRUPT_LINE] = (uint8_t)(PCI_INTX_GSI + f->slot % PCI_INTX_GSIS);
}

static int add_msix(struct pci_function *f, struct error *err)
{
    const unsigned n = f->type.vectors;
    uint8_t cap[PCI_CAP_MSIX_SIZEOF] = {0}, writable[PCI_CAP_MSIX_SIZEOF] = {0};

    if (!n)
        return 0;
    if (f->type.bars[PCI_MSIX_BAR].size)
        return error_set(err, EINVAL, "put MSI-X of '%s' where another BAR is", f->type.name);
    f->type.bars[PCI_MSIX_BAR].size = MSIX_BYTES;
    f->type.bars[PCI_MSIX_BAR].ops = &msix_ops;
    if (msix_init(&f->msix, f, n, err) < 0 || init_bar(f, PCI_MSIX_BAR, err) < 0)
        return -1;
    f->places[PCI_MSIX_BAR]->dev = &f->msix;

    put16(cap + PCI_MSIX_FLAGS, (uint16_t)(n - 1));
    put32(cap + PCI_MSIX_TABLE, MSIX_TABLE | PCI_MSIX_BAR);
    put32(cap + PCI_MSIX_PBA, MSIX_PENDING | PCI_MSIX_BAR);
    put16(writable + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    f->msix.capability = pci_add_capability(f, PCI_CAP_ID_MSIX, cap, writable, sizeof(cap));
    return 0;
}

int pci_add(struct pci *p, struct pci_function *f, const struct pci_type *type, void *dev,
            struct error *err)
{
    unsigned slot = 0;

    while (slot < PCI_SLOTS && p->functions[slot])
        slot++;
    if (slot == PCI_SLOTS)
        return error_set(err, 0, "a machine has at most %d devices; there is no slot for '%s'",
                         PCI_SLOTS - 1, type->name);

    *f = (struct pci_function){.pci = p, .type = *type, .dev = dev, .slot = slot};
    f->caps_end = PCI_STD_HEADER_SIZEOF;
    put16(f->config + PCI_VENDOR_ID, type->vendor);
    put16(f->config + PCI_DEVICE_ID, type->device);
    f->config[PCI_REVISION_ID] = type->revision;
    f->config[PCI_CLASS_PROG] = (uint8_t)type->class_code;
    put16(f->config + PCI_CLASS_DEVICE, (uint16_t)(type->class_code >> 8));
    put16(f->config + PCI_SUBSYSTEM_VENDOR_ID, type->subsystem_vendor);
    put16(f->config + PCI_SUBSYSTEM_ID, type->subsystem);
    put16(f->writable + PCI_COMMAND, COMMAND_BITS);
    f->writable[PCI_CACHE_LINE_SIZE] = 0xff;
    f->writable[PCI_INTERRUPT_LINE] = 0xff;
    if (type->intx)
        f->config[PCI_INTERRUPT_PIN] = 1; /* INTA# */
    init_line(f);
    for (unsigned i = 0; i < PCI_BARS; i++)
        if (init_bar(f, i, err) < 0)
            return -1;
    if (add_msix(f, err) < 0) {
        msix_destroy(&f->msix);
        return -1;
    }
    p->functions[slot] = f;
    return 0;
}

void pci_remove(struct pci_function *f)
{
    if (!f->pci)
        return;
    if (f->pci->functions[f->slot] == f)
        f->pci->functions[f->slot] = NULL;
    for (unsigned i = 0; i < PCI_BARS; i++)
        if (f->places[i])
            f->places[i]->base = PCI_NOWHERE;
    msix_destroy(&f->msix);
    *f = (struct pci_function){0};
}

unsigned pci_add_capability(struct pci_function *f, uint8_t id, const void *data,
                            const void *writable, unsigned len)
{
    unsigned at = f->caps_end;

    f->caps_end += (len + 3) & ~3u;
    memcpy(f->config + at, data, len);
    if (writable)
        memcpy(f->writable + at, writable, len);
    f->config[at] = id;
    f->config[at + 1] = 0;
    f->writable[at] = f->writable[at + 1] = 0;
    f->config[f->last_cap ? f->last_cap + 1 : PCI_CAPABILITY_LIST] = (uint8_t)at;
    f->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    f->last_cap = at;
    return at;
}

/* ---- what the bytes mean ---- */

/* Is [base, base + size) wholly inside one of the windows? */
static bool in_window(const struct pci *p, uint64_t base, uint64_t size)
{
    if (base >= MEMORY_PCI && base - MEMORY_PCI < MEMORY_PCI_SIZE)
        return size <= MEMORY_PCI_SIZE - (base - MEMORY_PCI);
    return base >= p->high_base && base - p->high_base < p->high_size &&
           size <= p->high_size - (base - p->high_base);
}

/* Where a BAR's bytes and the command register put it. */
static uint64_t bar_base(const struct pci_function *f, unsigned i)
{
    const uint8_t *bytes = f->config + PCI_BASE_ADDRESS_0 + 4 * i;
    uint64_t base = get32(bytes) & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;

    if (f->type.bars[i].wide)
        base |= (uint64_t)get32(bytes + 4) << 32;
    if (!(f->config[PCI_COMMAND] & PCI_COMMAND_MEMORY) ||
        !in_window(f->pci, base, f->places[i]->size))
        return PCI_NOWHERE;
    return base;
}

/* Make INTA# what the device and the command register say. */
static void drive_intx(struct pci_function *f)
{
    struct pci *p = f->pci;
    unsigned line = f->slot % PCI_INTX_GSIS;

    pthread_mutex_lock(&p->intx_lock);
    bool drive = f->intx_raised && !f->intx_disabled && !f->msix.enabled;
    if (drive != f->intx_driven) {
        f->intx_driven = drive;
        p->intx_count[line] += drive ? 1u : -1u;
        if (p->intx_count[line] == drive) /* the first one up, or the last one down */
            p->wires->intx(p->wires_arg, PCI_INTX_GSI + line, drive);
    }
    pthread_mutex_unlock(&p->intx_lock);
}

void pci_intx(struct pci_function *f, bool raise)
{
    pthread_mutex_lock(&f->pci->intx_lock);
    f->intx_raised = raise;
    pthread_mutex_unlock(&f->pci->intx_lock);
    drive_intx(f);
}

/* The command register or a BAR was written. */
static void update_command(struct pci_function *f)
{
    uint16_t command = get16(f->config + PCI_COMMAND);
    bool master = command & PCI_COMMAND_MASTER;
    bool moved = master != f->bus_master;

    f->bus_master = master;
    f->intx_disabled = command & PCI_COMMAND_INTX_DISABLE;
    for (unsigned i = 0; i < PCI_BARS; i++) {
        if (!f->places[i])
            continue;
        uint64_t base = bar_base(f, i);
        if (base == f->places[i]->base)
            continue;
        f->places[i]->base = base;
        moved = true;
    }
    msix_update(&f->msix);
    drive_intx(f);
    if (moved && f->type.moved)
        f->type.moved(f->dev);
}

void pci_reset(struct pci *p)
{
    pthread_mutex_lock(&p->lock);
    for (unsigned s = 0; s < PCI_SLOTS; s++) {
        struct pci_function *f = p->functions[s];
        if (!f)
            continue;
        for (unsigned i = 0; i < PCI_CONFIG_BYTES; i++)
            f->config[i] &= (uint8_t)~f->writable[i];
        init_line(f);
        update_command(f);
        msix_reset(&f->msix);
    }
    pthread_mutex_unlock(&p->lock);
}

/* Only what a guest could have written is taken from the saved bytes. */
static void function_state(struct pci_function *f, struct state *s)
{
    uint8_t bytes[PCI_CONFIG_BYTES];

    if (!state_section(s, f->type.name, 1))
        return;
    memcpy(bytes, f->config, sizeof(bytes));
    state_item(s, bytes);
    if (s->loading && (memcmp(bytes, f->config, 4) != 0))
        state_refuse(s, "slot %u has another device than '%s' in the saved state", f->slot,
                     f->type.name);
    msix_state(&f->msix, s);
    if (!s->loading || s->invalid)
        return;
    for (unsigned i = 0; i < PCI_CONFIG_BYTES; i++)
        f->config[i] = (uint8_t)((f->config[i] & ~f->writable[i]) | (bytes[i] & f->writable[i]));
    update_command(f);
}

void pci_state(struct pci *p, struct state *s)
{
    pthread_mutex_lock(&p->lock);
    for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
        uint8_t there = p->functions[slot] != NULL;
        state_item(s, there);
        if (s->loading && there != (p->functions[slot] != NULL))
            state_refuse(s, "slot %u is %s in the saved state, and in this machine it is not", slot,
                         there ? "taken" : "free");
        if (p->functions[slot] && !s->invalid)
            function_state(p->functions[slot], s);
    }
    pthread_mutex_unlock(&p->lock);
}

static bool overlap(unsigned offset, unsigned size, unsigned at, unsigned len)
{
    return offset < at + len && at < offset + size;
}

uint32_t pci_config_read(struct pci *p, unsigned slot, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    pthread_mutex_lock(&p->lock);
    struct pci_function *f = slot < PCI_SLOTS ? p->functions[slot] : NULL;
    if (!f)
        value = UINT32_MAX;
    else if (offset < PCI_CONFIG_BYTES && size <= PCI_CONFIG_BYTES - offset &&
             !(f->type.config_read && f->type.config_read(f->dev, offset, size, &value))) {
        memcpy(&value, f->config + offset, size);
        if (f->intx_raised && offset <= PCI_STATUS && offset + size > PCI_STATUS)
            value |= (uint32_t)PCI_STATUS_INTERRUPT << 8 * (PCI_STATUS - offset);
    }
    pthread_mutex_unlock(&p->lock);
    return value;
}

/* Change what may be changed of the bytes. */
static void change_bytes(struct pci_function *f, unsigned offset, unsigned size, uint32_t value)
{
    for (unsigned i = offset; i < offset + size; i++, value >>= 8)
        if (f->writable[i])
            f->config[i] = (uint8_t)((f->config[i] & ~f->writable[i]) | (value & f->writable[i]));
}

void pci_config_write(struct pci *p, unsigned slot, unsigned offset, unsigned size, uint32_t value)
{
    pthread_mutex_lock(&p->lock);
    struct pci_function *f = slot < PCI_SLOTS ? p->functions[slot] : NULL;
    if (f && offset < PCI_CONFIG_BYTES && size <= PCI_CONFIG_BYTES - offset) {
        change_bytes(f, offset, size, value);
        if (overlap(offset, size, PCI_COMMAND, 2) ||
            overlap(offset, size, PCI_BASE_ADDRESS_0, 4 * PCI_BARS))
            update_command(f);
        if (f->msix.count && overlap(offset, size, f->msix.capability, PCI_CAP_MSIX_SIZEOF)) {
            msix_update(&f->msix);
            drive_intx(f);
        }
        if (f->type.config_written)
            f->type.config_written(f->dev, offset, size);
    }
    pthread_mutex_unlock(&p->lock);
}
