/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 60 s
 *
 * The PCI bus without KVM: what a guest can do to configuration space, BARs, MSI-X and INTx.
 */
#include "wires.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/util.h"
#include "device/driver.h"

#define SLOT 1
#define BAR0 PCI_BASE_ADDRESS_0

/* A function with memory behind three BARs of different kinds. */
struct gadget {
    struct pci_function function;
    uint8_t bytes[0x1000];
    unsigned moves;
    unsigned reads;
};

static struct board board;
static struct gadget gadget;

static uint64_t gadget_read(void *dev, uint64_t offset, unsigned size)
{
    struct gadget *g = dev;
    uint64_t value = 0;

    g->reads++;
    if (offset < sizeof(g->bytes))
        memcpy(&value, g->bytes + offset, size);
    return value;
}

static void gadget_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct gadget *g = dev;

    if (offset < sizeof(g->bytes))
        memcpy(g->bytes + offset, &value, size);
}

static void gadget_moved(void *dev)
{
    ((struct gadget *)dev)->moves++;
}

static const struct bus_ops gadget_ops = {"gadget", 4, gadget_read, gadget_write};

static const struct pci_type gadget_type = {
    .name = "gadget",
    .vendor = 0x1234,
    .device = 0x5678,
    .subsystem_vendor = 0x9abc,
    .subsystem = 0xdef0,
    .revision = 7,
    .class_code = 0x0c0330,
    .intx = true,
    .vectors = 40,
    .bars = {[0] = {.size = 0x1000, .ops = &gadget_ops},
             [1] = {.size = 0x10000, .prefetch = true, .ops = &gadget_ops},
             [2] = {.size = 1ull << 33, .wide = true, .prefetch = true, .ops = &gadget_ops}},
    .moved = gadget_moved,
};

static int setup(void **state)
{
    struct error err;

    (void)state;
    memset(&gadget, 0, sizeof(gadget));
    if (board_init(&board, false) < 0 ||
        pci_add(&board.pci, &gadget.function, &gadget_type, &gadget, &err) < 0)
        return -1;
    return board_start(&board);
}

static int teardown(void **state)
{
    (void)state;
    pci_remove(&gadget.function);
    board_destroy(&board);
    return 0;
}

static uint32_t cfg(unsigned offset, unsigned size)
{
    return config_read(&board, SLOT, offset, size);
}

static void set_cfg(unsigned offset, unsigned size, uint32_t value)
{
    config_write(&board, SLOT, offset, size, value);
}

static void enable(uint16_t command)
{
    set_cfg(PCI_COMMAND, 2, command);
}

/* ---- configuration space ---- */

static void test_identity(void **state)
{
    (void)state;
    assert_int_equal(cfg(0, 4), 0x56781234);
    assert_int_equal(cfg(PCI_CLASS_REVISION, 4), 0x0c033007);
    assert_int_equal(cfg(PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
    assert_int_equal(cfg(PCI_HEADER_TYPE, 1), 0); /* one function */
    assert_int_equal(cfg(PCI_INTERRUPT_PIN, 1), 1);
    assert_int_equal(cfg(PCI_INTERRUPT_LINE, 1), 17);
    assert_int_equal(cfg(PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
    assert_int_equal(config_read(&board, 0, 0, 4), PCI_DEVICE_BRIDGE << 16 | PCI_VENDOR_REDHAT);
    for (unsigned slot = 2; slot < PCI_SLOTS; slot++)
        assert_int_equal(config_read(&board, slot, 0, 4), UINT32_MAX);
}

/* Write ones and zeroes everywhere: only what may change does. */
static void test_read_only(void **state)
{
    uint8_t before[256], may[256] = {0};

    (void)state;
    may[PCI_COMMAND] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    may[PCI_COMMAND + 1] = PCI_COMMAND_INTX_DISABLE >> 8;
    may[PCI_CACHE_LINE_SIZE] = may[PCI_INTERRUPT_LINE] = 0xff;
    memcpy(may + BAR0, &(uint32_t){0xfffff000}, 4);
    memcpy(may + BAR0 + 4, &(uint32_t){0xffff0000}, 4);
    memcpy(may + BAR0 + 12, &(uint32_t){0xfffffffe}, 4); /* the upper half of 8 GiB */
    memcpy(may + BAR0 + 16, &(uint32_t){0xffffe000}, 4); /* MSI-X */
    may[gadget.function.msix.capability + PCI_MSIX_FLAGS + 1] = 0xc0;
    for (unsigned i = 0; i < 256; i++)
        before[i] = (uint8_t)cfg(i, 1);
    for (unsigned size = 1; size <= 4; size *= 2) {
        for (unsigned i = 0; i < 256; i += size) {
            set_cfg(i, size, UINT32_MAX);
            for (unsigned k = i; k < i + size; k++)
                assert_int_equal(cfg(k, 1), before[k] | may[k]);
            set_cfg(i, size, 0);
            for (unsigned k = i; k < i + size; k++)
                assert_int_equal(cfg(k, 1), before[k] & ~may[k]);
            for (unsigned k = i; k < i + size; k++)
                set_cfg(k, 1, before[k]);
        }
    }
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(cfg(i, 1), before[i]);
}

/* Each byte by each way and width is the same. */
static void test_ecam(void **state)
{
    const uint64_t base = MEMORY_ECAM + (SLOT << 15);

    (void)state;
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(mmio_read(&board, base + i, 1), cfg(i, 1));
    for (unsigned i = 0; i < 256; i += 4)
        assert_int_equal(mmio_read(&board, base + i, 4), cfg(i, 4));
    mmio_write(&board, base + PCI_COMMAND, 2, PCI_COMMAND_MASTER);
    assert_int_equal(cfg(PCI_COMMAND, 2), PCI_COMMAND_MASTER);
    assert_int_equal(mmio_read(&board, base + 1, 2), 0x7812); /* not aligned */
    assert_int_equal(mmio_read(&board, base, 8) >> 32, cfg(4, 4));
    assert_int_equal(mmio_read(&board, base + 0x100, 4), 0); /* no extended capabilities */
    assert_int_equal(mmio_read(&board, base + 0xffc, 4), 0);
    mmio_write(&board, base + 0x100, 4, UINT32_MAX);
    mmio_write(&board, base + 0xfe, 4, UINT32_MAX);
    for (unsigned function = 1; function < 8; function++)
        assert_int_equal(mmio_read(&board, base + (function << 12), 4), UINT32_MAX);
    assert_int_equal(mmio_read(&board, MEMORY_ECAM + (2 << 15), 4), UINT32_MAX);
    mmio_write(&board, MEMORY_ECAM + (2 << 15), 4, 0);
    assert_int_equal(mmio_read(&board, MEMORY_ECAM + MEMORY_ECAM_SIZE, 4), UINT32_MAX);
}

static void test_slots(void **state)
{
    static struct gadget more[PCI_SLOTS];
    struct pci_type plain = {.name = "plain", .vendor = 1, .device = 2};
    struct error err;

    (void)state;
    for (unsigned i = 2; i < PCI_SLOTS; i++)
        assert_int_equal(pci_add(&board.pci, &more[i].function, &plain, &more[i], &err), 0);
    assert_int_equal(pci_add(&board.pci, &more[0].function, &plain, &more[0], &err), -1);
    assert_non_null(strstr(err.text, "at most 31 devices"));
    assert_int_equal(config_read(&board, 31, 0, 4), 0x00020001);
    for (unsigned i = 2; i < PCI_SLOTS; i++)
        pci_remove(&more[i].function);
    assert_int_equal(config_read(&board, 31, 0, 4), UINT32_MAX);

    plain.bars[5].size = 0x1000; /* nowhere for the upper half */
    plain.bars[5].wide = true;
    assert_int_equal(pci_add(&board.pci, &more[0].function, &plain, &more[0], &err), -1);
    plain.bars[5].wide = false;
    plain.bars[5].size = 0x1800;
    assert_int_equal(pci_add(&board.pci, &more[0].function, &plain, &more[0], &err), -1);
}

/* ---- BARs ---- */

static void test_bar_sizes(void **state)
{
    (void)state;
    uint32_t was = cfg(BAR0, 4);
    assert_int_equal(was & 0xf, 0);
    set_cfg(BAR0, 4, UINT32_MAX);
    assert_int_equal(cfg(BAR0, 4), 0xfffff000);
    set_cfg(BAR0, 4, was);
    assert_int_equal(cfg(BAR0, 4), was);

    set_cfg(BAR0 + 4, 4, UINT32_MAX);
    assert_int_equal(cfg(BAR0 + 4, 4), 0xffff0008); /* prefetchable */
    set_cfg(BAR0 + 8, 4, UINT32_MAX);
    set_cfg(BAR0 + 12, 4, UINT32_MAX);
    assert_int_equal(cfg(BAR0 + 8, 4), 0x0000000c); /* 64-bit, prefetchable */
    assert_int_equal(cfg(BAR0 + 12, 4), 0xfffffffe);
    set_cfg(BAR0 + 20, 4, UINT32_MAX); /* there is none */
    assert_int_equal(cfg(BAR0 + 20, 4), 0);
    set_cfg(PCI_ROM_ADDRESS, 4, UINT32_MAX);
    assert_int_equal(cfg(PCI_ROM_ADDRESS, 4), 0);
}

/* Placed at the start like a firmware does: aligned, apart from each other, inside the windows. */
static void test_assigned(void **state)
{
    (void)state;
    uint64_t at[] = {cfg(BAR0, 4), cfg(BAR0 + 4, 4) & ~0xfu,
                     (cfg(BAR0 + 8, 4) & ~0xfu) | (uint64_t)cfg(BAR0 + 12, 4) << 32,
                     cfg(BAR0 + 16, 4)};
    const uint64_t size[] = {0x1000, 0x10000, 1ull << 33, MSIX_BYTES};

    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(at[i] % size[i], 0);
        if (i == 2)
            assert_true(at[i] >= board.memory->window &&
                        at[i] + size[i] <= board.memory->window + board.memory->window_size);
        else
            assert_true(at[i] >= MEMORY_PCI && at[i] + size[i] <= MEMORY_PCI + MEMORY_PCI_SIZE);
        for (unsigned k = 0; k < i; k++)
            assert_true(at[i] >= at[k] + size[k] || at[k] >= at[i] + size[i]);
    }
}

static void test_decoding(void **state)
{
    uint64_t at = cfg(BAR0, 4);

    (void)state;
    gadget.bytes[0x10] = 0x5a;
    assert_int_equal(mmio_read(&board, at + 0x10, 1), 0xff); /* not enabled yet */
    enable(PCI_COMMAND_MEMORY);
    assert_int_equal(gadget.moves, 1);
    assert_int_equal(mmio_read(&board, at + 0x10, 1), 0x5a);
    mmio_write(&board, at + 0x20, 8, 0x1122334455667788);
    assert_memory_equal(gadget.bytes + 0x20, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
    assert_int_equal(mmio_read(&board, at - 1, 1), 0xff);

    /* An access never leaves its BAR, wherever the next one is. */
    gadget.bytes[0xfff] = 0x77;
    assert_int_equal(mmio_read(&board, at + 0xfff, 4) & 0xff, 0x77);
    assert_int_equal(mmio_read(&board, at + 0xfff, 4) >> 8, 0xffffff);
    mmio_write(&board, at + 0xfff, 4, 0);
    assert_int_equal(gadget.bytes[0xfff], 0);

    /* Moved, into the 64-bit window too, and outside of all windows. */
    uint32_t there = MEMORY_PCI + MEMORY_PCI_SIZE - 0x1000;
    set_cfg(BAR0, 4, there);
    assert_int_equal(gadget.moves, 2);
    assert_int_equal(mmio_read(&board, at + 0x10, 1), 0xff);
    assert_int_equal(mmio_read(&board, there + 0x10u, 1), 0x5a);
    const uint32_t nowhere[] = {0,           0x1000,     0xcffff000, MEMORY_PCI + MEMORY_PCI_SIZE,
                                MEMORY_ECAM, 0xfec00000, 0xfee00000, 0xfffff000};
    for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
        set_cfg(BAR0, 4, nowhere[i]);
        assert_true(pci_bar_at(&gadget.function, 0) == PCI_NOWHERE);
        gadget.reads = 0;
        mmio_read(&board, nowhere[i] + 0x10ull, 4);
        assert_int_equal(gadget.reads, 0);
    }

    /* A big one that would begin inside of the window and end outside. */
    set_cfg(BAR0 + 8, 4, 0);
    set_cfg(BAR0 + 12, 4, (uint32_t)(board.memory->window >> 32));
    uint64_t wide = pci_bar_at(&gadget.function, 2);
    assert_true(wide == PCI_NOWHERE || wide >= board.memory->window);
    set_cfg(BAR0 + 12, 4, 0x7ffffffe);
    assert_true(pci_bar_at(&gadget.function, 2) == PCI_NOWHERE);
    set_cfg(BAR0 + 12, 4, (uint32_t)((board.memory->window + (1ull << 33)) >> 32) & ~1u);
    assert_true(pci_bar_at(&gadget.function, 2) != PCI_NOWHERE);
    assert_int_equal(mmio_read(&board, pci_bar_at(&gadget.function, 2) + 0x10, 1), 0x5a);
    enable(0);
    for (unsigned i = 0; i < PCI_BARS; i++)
        assert_true(pci_bar_at(&gadget.function, i) == PCI_NOWHERE);
}

/* One vCPU moves a BAR to and fro, another reads: always the device, or nothing. */
static void *mover(void *arg)
{
    const uint32_t *places = arg;

    for (unsigned i = 0; i < 20000; i++)
        config_write(&board, SLOT, BAR0, 4, places[i & 1]);
    return NULL;
}

static void test_moving(void **state)
{
    uint32_t places[2] = {cfg(BAR0, 4), MEMORY_PCI + 0x1000000};
    pthread_t thread;
    unsigned found = 0;

    (void)state;
    enable(PCI_COMMAND_MEMORY);
    memset(gadget.bytes, 0x5a, sizeof(gadget.bytes));
    assert_int_equal(pthread_create(&thread, NULL, mover, places), 0);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t got = mmio_read(&board, places[i & 1] + 0x123u * 4, 4);
        assert_true(got == 0x5a5a5a5a || got == UINT32_MAX);
        found += got == 0x5a5a5a5a;
    }
    pthread_join(thread, NULL);
    assert_true(found > 0);
}

/* ---- MSI-X ---- */

static uint64_t entry(unsigned i)
{
    return (cfg(BAR0 + 16, 4) & ~0xfu) + 16 * i;
}

static uint32_t pending(unsigned first)
{
    return (uint32_t)mmio_read(&board, (cfg(BAR0 + 16, 4) & ~0xfu) + MSIX_PENDING + first / 8, 4);
}

static void set_entry(unsigned i, uint32_t address, uint32_t data, uint32_t control)
{
    mmio_write(&board, entry(i), 4, address);
    mmio_write(&board, entry(i) + 4, 4, 0);
    mmio_write(&board, entry(i) + 8, 4, data);
    mmio_write(&board, entry(i) + 12, 4, control);
}

static void msix_control(uint16_t bits)
{
    set_cfg(gadget.function.msix.capability + PCI_MSIX_FLAGS, 2, bits);
}

/* How many messages with this data were sent, of those that are attached; -1: none is. */
static int sent(uint32_t data)
{
    eventfd_t n;

    for (unsigned i = 1; i <= board.message_count; i++)
        if (board.messages[i].fd >= 0 && board.messages[i].data == data)
            return eventfd_read(board.messages[i].fd, &n) == 0 ? (int)n : 0;
    return -1;
}

static void test_msix_capability(void **state)
{
    unsigned at = cfg(PCI_CAPABILITY_LIST, 1);

    (void)state;
    assert_int_equal(at, gadget.function.msix.capability);
    assert_int_equal(cfg(at, 2), PCI_CAP_ID_MSIX); /* and no next one */
    assert_int_equal(cfg(at + PCI_MSIX_FLAGS, 2), 39);
    assert_int_equal(cfg(at + PCI_MSIX_TABLE, 4), PCI_MSIX_BAR);
    assert_int_equal(cfg(at + PCI_MSIX_PBA, 4), MSIX_PENDING | PCI_MSIX_BAR);
    set_cfg(at + PCI_MSIX_TABLE, 4, 0);
    set_cfg(at, 4, 0);
    assert_int_equal(cfg(at + PCI_MSIX_TABLE, 4), PCI_MSIX_BAR);
    assert_int_equal(cfg(at, 2), PCI_CAP_ID_MSIX);
}

static void test_msix_table(void **state)
{
    (void)state;
    enable(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(mmio_read(&board, entry(i) + 12, 4), 1); /* masked after reset */
        mmio_write(&board, entry(i), 8, 0xaabbccddfee01003 + i * 16);
        mmio_write(&board, entry(i) + 8, 4, 0x100 + i);
        mmio_write(&board, entry(i) + 12, 4, UINT32_MAX);
        assert_int_equal(mmio_read(&board, entry(i), 4), 0xfee01000 + i * 16);
        assert_int_equal(mmio_read(&board, entry(i) + 4, 4), 0xaabbccdd);
        assert_int_equal(mmio_read(&board, entry(i) + 8, 8), 0x100000100 + i);
    }
    /* Narrow and crooked accesses do nothing; beyond the last entry there is nothing. */
    mmio_write(&board, entry(0), 1, 0);
    mmio_write(&board, entry(0), 2, 0);
    mmio_write(&board, entry(0) + 2, 4, 0);
    assert_int_equal(mmio_read(&board, entry(0), 4), 0xfee01000);
    mmio_write(&board, entry(40), 4, UINT32_MAX);
    assert_int_equal(mmio_read(&board, entry(40), 4), 0);
    mmio_write(&board, entry(0) + MSIX_PENDING, 4, UINT32_MAX);
    assert_int_equal(pending(0), 0);
    assert_int_equal(mmio_read(&board, entry(0) + MSIX_BYTES - 4, 4), 0);
}

static void test_msix_masking(void **state)
{
    struct msix *m = &gadget.function.msix;

    (void)state;
    enable(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    set_entry(0, 0xfee00000, 0x40, 0);
    set_entry(39, 0xfee00000, 0x67, 1);
    msix_signal(m, 0); /* MSI-X is off: it waits */
    assert_int_equal(sent(0x40), -1);
    assert_int_equal(pending(0), 1);
    msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    assert_int_equal(sent(0x40), -1);
    msix_control(PCI_MSIX_FLAGS_ENABLE);
    assert_int_equal(sent(0x40), 1);
    assert_int_equal(pending(0), 0);

    msix_signal(m, 0);
    msix_signal(m, 0);
    assert_int_equal(sent(0x40), 2);

    msix_signal(m, 39); /* its own mask bit */
    assert_int_equal(sent(0x67), -1);
    assert_int_equal(pending(32), 1u << 7);
    assert_int_equal(pending(0), 0);
    mmio_write(&board, entry(39) + 12, 4, 0);
    assert_int_equal(sent(0x67), 1);
    assert_int_equal(pending(32), 0);

    mmio_write(&board, entry(39) + 12, 4, 1);
    msix_signal(m, 39);
    mmio_write(&board, entry(39) + 8, 4, 0x99); /* another message: that is the one sent */
    mmio_write(&board, entry(39) + 12, 4, 0);
    assert_int_equal(sent(0x67), -1);
    assert_int_equal(sent(0x99), 1);

    enable(PCI_COMMAND_MEMORY); /* no bus master writes nothing */
    msix_signal(m, 39);
    assert_int_equal(sent(0x99), -1);
    enable(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    assert_int_equal(sent(0x99), 1);

    msix_signal(m, 40); /* there is none */
    msix_signal(m, UINT32_MAX);
    assert_int_equal(msix_fd(m, 40), -1);
    msix_control(0);
    assert_int_equal(sent(0x40), -1);
    assert_int_equal(sent(0x99), -1);
}

/* A KVM that takes no more messages: nothing is delivered, and nothing breaks. */
static void test_msix_no_room(void **state)
{
    (void)state;
    board.no_messages = true;
    enable(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    msix_control(PCI_MSIX_FLAGS_ENABLE);
    set_entry(0, 0xfee00000, 0x40, 0);
    msix_signal(&gadget.function.msix, 0);
    assert_int_equal(sent(0x40), -1);
    board.no_messages = false;
    mmio_write(&board, entry(0) + 12, 4, 1);
    mmio_write(&board, entry(0) + 12, 4, 0);
    assert_int_equal(sent(0x40), 1);
}

/* ---- INTx ---- */

static void test_intx(void **state)
{
    struct gadget other = {0};
    struct pci_type type = {.name = "other", .vendor = 1, .device = 1, .intx = true};
    struct pci_function *f = &gadget.function;

    (void)state;
    assert_int_equal(pci_add(&board.pci, &other.function, &type, &other, NULL), 0);
    assert_int_equal(config_read(&board, 2, PCI_INTERRUPT_LINE, 1), 18);
    pci_intx(f, true);
    pci_intx(f, true);
    assert_true(board.lines[17]);
    assert_int_equal(board.rises[17], 1);
    assert_true(cfg(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    assert_true(cfg(PCI_STATUS, 1) & PCI_STATUS_INTERRUPT);
    assert_true(cfg(PCI_COMMAND, 4) & PCI_STATUS_INTERRUPT << 16);
    enable(PCI_COMMAND_INTX_DISABLE);
    assert_false(board.lines[17]);
    assert_true(cfg(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT); /* shown all the same */
    enable(0);
    assert_true(board.lines[17]);
    msix_control(PCI_MSIX_FLAGS_ENABLE); /* then it has no line */
    assert_false(board.lines[17]);
    msix_control(0);
    assert_true(board.lines[17]);
    pci_intx(f, false);
    assert_false(board.lines[17]);
    assert_false(cfg(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    pci_remove(&other.function);
}

/* Slots 1 and 9 share a line: it is low when both are. */
static void test_shared_line(void **state)
{
    static struct gadget more[8];
    struct pci_type type = {.name = "more", .vendor = 1, .device = 1, .intx = true};

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(pci_add(&board.pci, &more[i].function, &type, &more[i], NULL), 0);
    struct pci_function *nine = &more[7].function;
    assert_int_equal(nine->slot, 9);
    pci_intx(&gadget.function, true);
    pci_intx(nine, true);
    assert_int_equal(board.rises[17], 1);
    pci_intx(&gadget.function, false);
    assert_true(board.lines[17]);
    pci_intx(nine, false);
    assert_false(board.lines[17]);
    for (unsigned i = 0; i < 8; i++)
        pci_remove(&more[i].function);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_identity),   T(test_read_only),    T(test_ecam),
        T(test_slots),      T(test_bar_sizes),    T(test_assigned),
        T(test_decoding),   T(test_moving),       T(test_msix_capability),
        T(test_msix_table), T(test_msix_masking), T(test_msix_no_room),
        T(test_intx),       T(test_shared_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
