/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accesses to PCI's ports, configuration space and windows, of any width at any place: what is
 * read-only stays, and BARs answer where they say they are or not at all.
 */
#include "fuzz/virtio.h"

#include "device/echo.c"
#include "kvm/virtio/rng.h"

static struct echo echo;

/* An offset in configuration space where something is. */
static unsigned config_offset(struct feed *f)
{
    static const uint8_t fields[] = {0,    4,    5,    6,    0x0c, 0x10, 0x14,
                                     0x18, 0x1c, 0x20, 0x24, 0x30, 0x3c};

    if (feed_rarely(f, 4))
        return feed_below(f, 0x1000);
    return feed_rarely(f, 2) ? 0x40 + feed_below(f, 0x80) : feed_pick(f, fields);
}

static uint32_t config_value(struct feed *f)
{
    static const uint32_t values[] = {
        0,          UINT32_MAX,           2,          4,          6,          0x406,
        0xc0000000, 0x80000000,           MEMORY_PCI, 0xefffc000, 0xf0000000, 0xd0010000,
        0xfee00000, 0x100000000ull >> 32, 0x3fff,     0x2000};

    return feed_rarely(f, 4) ? (uint32_t)feed_u64(f) : feed_pick(f, values);
}

static void access_config(struct feed *f, struct board *b)
{
    unsigned slot = feed_rarely(f, 8) ? feed_below(f, 32) : feed_below(f, 3);
    unsigned offset = config_offset(f), size = 1u << feed_below(f, 3), way = feed_below(f, 4);
    uint64_t ecam = MEMORY_ECAM + (slot << 15) + offset;
    uint32_t value = config_value(f);

    if (feed_rarely(f, 16))
        ecam += (uint64_t)feed_below(f, 8) << 12;
    if (way == 0)
        config_write(b, slot, offset & 0xff, size, value);
    else if (way == 1)
        config_read(b, slot, offset & 0xff, size);
    else if (way == 2)
        mmio_write(b, ecam, feed_rarely(f, 4) ? 8 : size, value);
    else
        mmio_read(b, ecam, feed_rarely(f, 4) ? 8 : size);
}

static void access_memory(struct feed *f, struct board *b)
{
    const struct pci_function *fn = b->pci.functions[1 + feed_below(f, 2)];
    uint64_t base = pci_bar_at(fn, feed_below(f, 2) ? 0 : PCI_MSIX_BAR);
    uint64_t at = base == PCI_NOWHERE || feed_rarely(f, 16) ? MEMORY_PCI + feed_below(f, 0x10000)
                                                            : base + feed_below(f, 0x4000);
    unsigned size = 1u << feed_below(f, 4);

    if (feed_rarely(f, 4))
        at = base + (feed_below(f, 0x38) & ~3u);
    if (feed_rarely(f, 3)) { /* an entry of MSI-X's table, or the pending bits */
        at = pci_bar_at(fn, PCI_MSIX_BAR) +
             (feed_rarely(f, 8) ? MSIX_PENDING : 4ull * feed_below(f, 4 * (fn->msix.count + 1)));
        size = 4;
    }
    if (feed_rarely(f, 16))
        at = b->memory->window + feed_u64(f) % b->memory->window_size;
    if (feed_below(f, 2))
        mmio_read(b, at, size);
    else
        mmio_write(b, at, size, feed_rarely(f, 2) ? feed_u64(f) : feed_byte(f));
}

static void access_ports(struct feed *f, struct board *b)
{
    uint64_t port = 0xcf8 + feed_below(f, 8), value = feed_u64(f);
    unsigned size = 1u << feed_below(f, 3);

    if (feed_below(f, 2))
        bus_read(b->pio, port, &value, size);
    else
        bus_write(b->pio, port, &value, size);
}

/* What has an interrupt for its driver, by MSI-X or by the line. */
static void interrupt(struct feed *f, struct board *b)
{
    uint32_t value = feed_byte(f);

    switch (feed_below(f, 4)) {
    case 0:
        virtio_set_config(echo.device, 4, &value, sizeof(value));
        break;
    case 1:
        pci_intx(b->pci.functions[1 + feed_below(f, 2)], feed_below(f, 2));
        break;
    default:
        msix_signal(&b->pci.functions[1 + feed_below(f, 2)]->msix, feed_below(f, 8));
        break;
    }
}

/* A message is only on its way by a vector that is allowed, with what its entry says. */
static void check_messages(const struct board *b)
{
    for (unsigned slot = 1; slot < 3; slot++) {
        const struct msix *m = &b->pci.functions[slot]->msix;
        const struct pci_function *f = b->pci.functions[slot];
        for (unsigned i = 0; i < m->count; i++) {
            const struct msix_vector *v = &m->vectors[i];
            const bool may = m->allowed && !(v->entry[3] & 1);
            must(v->attached == may && (!may || (m->enabled && f->bus_master)));
            if (!may)
                continue;
            const struct board_message *sent = &b->messages[v->route];
            must(sent->fd == v->fd && sent->data == v->entry[2] &&
                 sent->address == (v->entry[0] | (uint64_t)v->entry[1] << 32));
        }
    }
}

/* What must hold whatever was written. */
static void check(struct board *b)
{
    static const uint32_t ids[] = {PCI_DEVICE_BRIDGE << 16 | PCI_VENDOR_REDHAT,
                                   (0x1040 + 60) << 16 | 0x1af4, 0x1044 << 16 | 0x1af4};

    for (unsigned slot = 0; slot < 3; slot++) {
        const struct pci_function *f = b->pci.functions[slot];
        must(config_read(b, slot, 0, 4) == ids[slot]);
        must(config_read(b, slot, PCI_HEADER_TYPE, 1) == 0);
        must(!(config_read(b, slot, PCI_COMMAND, 2) & ~0x406u));
        for (unsigned i = 0; i < PCI_BARS; i++) {
            uint64_t base = pci_bar_at(f, i);
            if (base == PCI_NOWHERE)
                continue;
            must(base % f->places[i]->size == 0);
            must((base >= MEMORY_PCI && base < MEMORY_PCI + MEMORY_PCI_SIZE) ||
                 (base >= b->memory->window && base - b->memory->window < b->memory->window_size));
        }
    }
    must((config_read(b, 1, PCI_BASE_ADDRESS_0, 4) & 0x3fff) == PCI_BASE_ADDRESS_MEM_TYPE_64);
    for (unsigned slot = 3; slot < 32; slot++)
        must(config_read(b, slot, 0, 4) == UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct board b;
    static bool quiet;
    struct feed f = {data, size};

    if (!quiet)
        log_to(open("/dev/null", O_WRONLY | O_CLOEXEC), 0);
    quiet = true;
    must(board_init(&b, false) == 0 && echo_add(&b.virtio, &echo, 0) == 0 &&
         rng_add(&b.virtio, NULL) == 0 && board_start(&b) == 0);
    struct driver d;
    for (unsigned slot = 1; slot < 3; slot++) {
        config_write(&b, slot, PCI_COMMAND, 2, feed_rarely(&f, 4) ? 0 : 6);
        if (feed_below(&f, 2) && driver_probe(&d, &b, slot)) {
            d.no_msix = feed_rarely(&f, 4);
            driver_start(&d, DRIVER_ALL, 1, 8);
        }
    }
    for (unsigned i = 0; f.left && i < 500; i++) {
        unsigned what = feed_below(&f, 16);
        if (what < 7)
            access_config(&f, &b);
        else if (what < 14)
            access_memory(&f, &b);
        else if (what < 15)
            interrupt(&f, &b);
        else if (feed_rarely(&f, 2))
            access_ports(&f, &b);
        else
            board_turn(&b);
    }
    check(&b);
    check_messages(&b);
    board_turn(&b);
    echo_release(&echo);
    board_destroy(&b);
    return 0;
}
