/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver and its board, see driver.h.
 */
#include "device/driver.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/util.h"
#include "kvm/machine.h"

#define FIRST_FREE 0x10000u

/* ---- what KVM would do ---- */

static void board_intx(void *arg, unsigned gsi, bool high)
{
    struct board *b = arg;

    b->rises[gsi] += high && !b->lines[gsi];
    b->lines[gsi] = high;
}

static int board_msi_attach(void *arg, int fd, unsigned *route, uint64_t address, uint32_t data)
{
    struct board *b = arg;

    if (b->no_messages)
        return -1;
    if (!*route) {
        if (b->message_count + 1 >= BOARD_MESSAGES)
            return -1;
        *route = ++b->message_count;
    }
    struct board_message *m = &b->messages[*route];
    *m = (struct board_message){fd, address, data, m->attached + 1};
    return 0;
}

static void board_msi_detach(void *arg, int fd, unsigned route)
{
    struct board *b = arg;

    if (b->messages[route].fd == fd)
        b->messages[route].fd = -1;
}

static int board_kick_attach(void *arg, uint64_t address, int fd)
{
    struct board *b = arg;
    unsigned i = 0;

    pthread_mutex_lock(&b->lock);
    while (i < b->kick_count && b->kicks[i].fd >= 0)
        i++;
    bool room = i < BOARD_KICKS && !b->no_kicks;
    if (room)
        b->kicks[i] = (struct board_kick){address, fd};
    if (room && i == b->kick_count)
        b->kick_count++;
    pthread_mutex_unlock(&b->lock);
    return room ? 0 : -1;
}

static void board_kick_detach(void *arg, uint64_t address, int fd)
{
    struct board *b = arg;

    pthread_mutex_lock(&b->lock);
    for (unsigned i = 0; i < b->kick_count; i++)
        if (b->kicks[i].address == address && b->kicks[i].fd == fd)
            b->kicks[i].fd = -1;
    pthread_mutex_unlock(&b->lock);
}

static const struct pci_wires board_wires = {
    .intx = board_intx,
    .msi_attach = board_msi_attach,
    .msi_detach = board_msi_detach,
    .kick_attach = board_kick_attach,
    .kick_detach = board_kick_detach,
};

/* ---- the board ---- */

static void no_power(void *arg, enum power_request what)
{
    (void)arg, (void)what;
}

#ifndef BOARD_PAGES /* a fuzzer, which makes very many boards, has its own */
#define BOARD_PAGES(len)         fresh_pages(len)
#define BOARD_FREE_PAGES(p, len) munmap(p, len)

/* RAM as a host has it: whole pages of zeroes, so that a device may give some back. NULL fails. */
static void *fresh_pages(size_t len)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}
#endif

int board_init(struct board *b, bool threads)
{
    *b = (struct board){.lock = PTHREAD_MUTEX_INITIALIZER};
    b->memory = &b->own_memory;
    b->pio = &b->own_pio;
    b->mmio = &b->own_mmio;
    b->workers = &b->own_workers;
    b->pio->top = UINT16_MAX;
    b->mmio->top = UINT64_MAX;
    b->next = FIRST_FREE;
    b->own_memory = (struct memory){.size = BOARD_LOW + BOARD_HIGH, .count = 2, .fd = -1};
    b->own_memory.slots[0] =
        (struct memory_slot){.size = BOARD_LOW, .host = BOARD_PAGES(BOARD_LOW)};
    b->own_memory.slots[1] = (struct memory_slot){.base = MEMORY_HIGH,
                                                  .size = BOARD_HIGH,
                                                  .host = BOARD_PAGES(BOARD_HIGH)};
    memory_place_window(b->memory, 39);
    pci_init(&b->pci, &board_wires, b, b->memory->window, b->memory->window_size);
    b->bridge = (struct bridge){.power = {.request = no_power}, .pci = &b->pci};
    if (!b->own_memory.slots[0].host || !b->own_memory.slots[1].host ||
        workers_create(b->workers, NULL) < 0 ||
        bus_add(b->pio, BRIDGE_PORT, BRIDGE_PORTS, &bridge_ops, &b->bridge, NULL) < 0 ||
        pci_add_to_bus(&b->pci, b->mmio, NULL) < 0)
        return -1;
    b->workers->no_threads = !threads;
    b->virtio = (struct virtio_bus){.pci = &b->pci, .memory = b->memory, .workers = b->workers};
    return 0;
}

int board_start(struct board *b)
{
    return pci_assign(&b->pci, NULL) < 0 || workers_start(b->workers, NULL) < 0 ? -1 : 0;
}

void board_destroy(struct board *b)
{
    if (b->workers != &b->own_workers)
        return;
    workers_stop(b->workers);
    virtio_remove_all(&b->virtio);
    pci_destroy(&b->pci);
    workers_destroy(b->workers);
    BOARD_FREE_PAGES(b->own_memory.slots[0].host, BOARD_LOW);
    BOARD_FREE_PAGES(b->own_memory.slots[1].host, BOARD_HIGH);
    *b = (struct board){0};
}

void board_of_machine(struct board *b, struct machine *m)
{
    *b = (struct board){.lock = PTHREAD_MUTEX_INITIALIZER,
                        .memory = &m->memory,
                        .pio = &m->pio,
                        .mmio = &m->mmio,
                        .workers = &m->workers,
                        .next = BOARD_LOW};
}

uint64_t board_alloc(struct board *b, size_t len, size_t align)
{
    uint64_t at = (b->next + align - 1) & ~(uint64_t)(align - 1);
    void *host = memory_at(b->memory, at, len);

    if (!host)
        return 0;
    memset(host, 0, len);
    b->next = at + len;
    return at;
}

void board_free_all(struct board *b)
{
    b->next = b->workers == &b->own_workers ? FIRST_FREE : BOARD_LOW;
}

unsigned board_turn(struct board *b)
{
    struct pollfd p = {.fd = workers_loop_fd(b->workers), .events = POLLIN};
    unsigned n = 0;

    for (; poll(&p, 1, 0) == 1 && n < 10000; n++)
        workers_turn(b->workers);
    return n;
}

uint32_t config_read(struct board *b, unsigned slot, unsigned offset, unsigned size)
{
    uint32_t address = 0x80000000u | slot << 11 | (offset & 0xfc), value = 0;

    bus_write(b->pio, 0xcf8, &address, 4);
    bus_read(b->pio, 0xcfc + offset % 4, &value, size);
    return value;
}

void config_write(struct board *b, unsigned slot, unsigned offset, unsigned size, uint32_t value)
{
    uint32_t address = 0x80000000u | slot << 11 | (offset & 0xfc);

    bus_write(b->pio, 0xcf8, &address, 4);
    bus_write(b->pio, 0xcfc + offset % 4, &value, size);
}

uint64_t mmio_read(struct board *b, uint64_t address, unsigned size)
{
    uint64_t value = 0;

    bus_read(b->mmio, address, &value, size);
    return value;
}

void mmio_write(struct board *b, uint64_t address, unsigned size, uint64_t value)
{
    int fd = -1;

    pthread_mutex_lock(&b->lock);
    for (unsigned i = 0; i < b->kick_count && fd < 0; i++)
        if (b->kicks[i].address == address)
            fd = b->kicks[i].fd;
    pthread_mutex_unlock(&b->lock);
    if (fd >= 0)
        eventfd_write(fd, 1);
    else
        bus_write(b->mmio, address, &value, size);
}

/* ---- finding the device ---- */

static uint64_t bar_address(struct board *b, unsigned slot, unsigned bar)
{
    uint32_t low = config_read(b, slot, PCI_BASE_ADDRESS_0 + 4 * bar, 4);
    uint64_t address = low & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;

    if ((low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64 && bar < 5)
        address |= (uint64_t)config_read(b, slot, PCI_BASE_ADDRESS_0 + 4 * bar + 4, 4) << 32;
    return address;
}

/* One of virtio's capabilities. */
static void take_capability(struct driver *d, unsigned at)
{
    struct board *b = d->board;
    unsigned type = config_read(b, d->slot, at + 3, 1), bar = config_read(b, d->slot, at + 4, 1);
    uint32_t offset = config_read(b, d->slot, at + 8, 4), len = config_read(b, d->slot, at + 12, 4);
    uint64_t address = bar < 6 ? d->bar[bar] + offset : 0;

    if (type == VIRTIO_PCI_CAP_COMMON_CFG)
        d->common = address;
    if (type == VIRTIO_PCI_CAP_ISR_CFG)
        d->isr = address;
    if (type == VIRTIO_PCI_CAP_DEVICE_CFG) {
        d->device = address;
        d->device_length = len;
    }
    if (type == VIRTIO_PCI_CAP_NOTIFY_CFG) {
        d->notify = address;
        d->notify_multiplier = config_read(b, d->slot, at + 16, 4);
    }
    if (type == VIRTIO_PCI_CAP_PCI_CFG)
        d->access = at;
}

bool driver_probe(struct driver *d, struct board *b, unsigned slot)
{
    unsigned seen = 0;

    *d = (struct driver){.board = b, .slot = slot};
    if (config_read(b, slot, PCI_VENDOR_ID, 2) != 0x1af4)
        return false;
    config_write(b, slot, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (unsigned i = 0; i < 6; i++)
        d->bar[i] = bar_address(b, slot, i);
    for (unsigned at = config_read(b, slot, PCI_CAPABILITY_LIST, 1); at && seen < 48; seen++) {
        unsigned id = config_read(b, slot, at, 1);
        if (id == PCI_CAP_ID_VNDR)
            take_capability(d, at);
        if (id == PCI_CAP_ID_MSIX) {
            uint32_t table = config_read(b, slot, at + PCI_MSIX_TABLE, 4);
            uint32_t pending = config_read(b, slot, at + PCI_MSIX_PBA, 4);
            d->msix = at;
            d->vectors = (config_read(b, slot, at + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1;
            d->table = d->bar[table & 7] + (table & ~7u);
            d->pending = d->bar[pending & 7] + (pending & ~7u);
        }
        at = config_read(b, slot, at + 1, 1);
    }
    return d->common && d->isr && d->notify;
}

/* ---- registers ---- */

uint32_t driver_get(struct driver *d, unsigned field, unsigned size)
{
    return (uint32_t)mmio_read(d->board, d->common + field, size);
}

void driver_set(struct driver *d, unsigned field, unsigned size, uint32_t value)
{
    mmio_write(d->board, d->common + field, size, value);
}

uint8_t driver_status(struct driver *d)
{
    return (uint8_t)driver_get(d, VIRTIO_PCI_COMMON_STATUS, 1);
}

void driver_set_status(struct driver *d, uint8_t value)
{
    driver_set(d, VIRTIO_PCI_COMMON_STATUS, 1, value);
}

uint64_t driver_read_offered(struct driver *d)
{
    driver_set(d, VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
    uint64_t features = driver_get(d, VIRTIO_PCI_COMMON_DF, 4);
    driver_set(d, VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
    return features | (uint64_t)driver_get(d, VIRTIO_PCI_COMMON_DF, 4) << 32;
}

void driver_write_features(struct driver *d, uint64_t features)
{
    driver_set(d, VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
    driver_set(d, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)features);
    driver_set(d, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    driver_set(d, VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(features >> 32));
}

/* ---- bringing it up ---- */

static uint64_t now_ms(void)
{
    return now_mono_ns() / 1000000;
}

/* Let the device work until something may have happened: what workers do is not seen here. */
static void wait_a_bit(struct board *b)
{
    struct pollfd p = {.fd = workers_loop_fd(b->workers), .events = POLLIN};

    if (poll(&p, 1, b->workers->no_threads ? DRIVER_WAIT_MS : 1) == 1)
        workers_turn(b->workers);
}

bool driver_reset(struct driver *d)
{
    const uint64_t until = now_ms() + DRIVER_WAIT_MS;

    driver_set_status(d, 0);
    while (driver_status(d) != 0) {
        if (now_ms() > until || driver_status(d) == 0xff) /* the BAR is not decoded */
            return false;
        wait_a_bit(d->board);
    }
    return true;
}

bool driver_negotiate(struct driver *d, uint64_t features)
{
    const uint8_t begun = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

    if (!driver_reset(d))
        return false;
    driver_set_status(d, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    driver_set_status(d, begun);
    d->offered = driver_read_offered(d);
    d->features = features & d->offered;
    driver_write_features(d, d->features);
    driver_set_status(d, begun | VIRTIO_CONFIG_S_FEATURES_OK);
    return driver_status(d) == (begun | VIRTIO_CONFIG_S_FEATURES_OK);
}

void driver_point_queue(struct driver *d, unsigned i, uint64_t desc, uint64_t avail, uint64_t used)
{
    driver_set(d, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
    driver_set(d, VIRTIO_PCI_COMMON_Q_DESCLO, 4, (uint32_t)desc);
    driver_set(d, VIRTIO_PCI_COMMON_Q_DESCHI, 4, (uint32_t)(desc >> 32));
    driver_set(d, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, (uint32_t)avail);
    driver_set(d, VIRTIO_PCI_COMMON_Q_AVAILHI, 4, (uint32_t)(avail >> 32));
    driver_set(d, VIRTIO_PCI_COMMON_Q_USEDLO, 4, (uint32_t)used);
    driver_set(d, VIRTIO_PCI_COMMON_Q_USEDHI, 4, (uint32_t)(used >> 32));
}

bool driver_setup_queue(struct driver *d, unsigned i, uint16_t size)
{
    struct board *b = d->board;
    struct driver_queue *q = &d->queues[i];

    driver_set(d, VIRTIO_PCI_COMMON_Q_SELECT, 2, i);
    uint16_t most = (uint16_t)driver_get(d, VIRTIO_PCI_COMMON_Q_SIZE, 2);
    *q = (struct driver_queue){.size = min(size, most)};
    if (!q->size)
        return false;
    driver_set(d, VIRTIO_PCI_COMMON_Q_SIZE, 2, q->size);
    q->desc_at = board_alloc(b, sizeof(struct vring_desc) * q->size, 16);
    q->avail_at = board_alloc(b, 6 + 2u * q->size, 2);
    q->used_at = board_alloc(b, 6 + 8u * q->size, 4);
    q->desc = memory_at(b->memory, q->desc_at, 1);
    q->avail = memory_at(b->memory, q->avail_at, 1);
    q->used = memory_at(b->memory, q->used_at, 1);
    if (!q->desc_at || !q->avail_at || !q->used_at)
        return false;
    driver_point_queue(d, i, q->desc_at, q->avail_at, q->used_at);
    if (!d->no_msix && d->vectors > 1)
        driver_set(d, VIRTIO_PCI_COMMON_Q_MSIX, 2, 1 + i % (d->vectors - 1));
    q->notify =
        d->notify + (uint64_t)driver_get(d, VIRTIO_PCI_COMMON_Q_NOFF, 2) * d->notify_multiplier;
    driver_set(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    return driver_get(d, VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 1;
}

bool driver_setup_msix(struct driver *d)
{
    if (!d->msix)
        return false;
    config_write(d->board, d->slot, d->msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    for (unsigned i = 0; i < d->vectors; i++) {
        uint64_t entry = d->table + i * PCI_MSIX_ENTRY_SIZE;
        mmio_write(d->board, entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4, 0xfee00000);
        mmio_write(d->board, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 4, 0);
        mmio_write(d->board, entry + PCI_MSIX_ENTRY_DATA, 4, 0x40 + i);
        mmio_write(d->board, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
    }
    driver_set(d, VIRTIO_PCI_COMMON_MSIX, 2, 0);
    return driver_get(d, VIRTIO_PCI_COMMON_MSIX, 2) == 0;
}

bool driver_start(struct driver *d, uint64_t features, unsigned queues, uint16_t size)
{
    if (!driver_negotiate(d, features) || (!d->no_msix && !driver_setup_msix(d)))
        return false;
    if (d->no_msix && d->msix) /* an earlier driver may have had it on */
        config_write(d->board, d->slot, d->msix + PCI_MSIX_FLAGS, 2, 0);
    for (unsigned i = 0; i < queues; i++)
        if (!driver_setup_queue(d, i, size))
            return false;
    driver_set_status(d, driver_status(d) | VIRTIO_CONFIG_S_DRIVER_OK);
    return driver_status(d) & VIRTIO_CONFIG_S_DRIVER_OK;
}

/* ---- requests ---- */

struct seg driver_buffer(struct driver *d, uint32_t len, bool writable)
{
    uint64_t at = board_alloc(d->board, len, 16);

    return (struct seg){.at = at,
                        .len = len,
                        .writable = writable,
                        .host = at ? memory_at(d->board->memory, at, len) : NULL};
}

struct seg driver_bytes(struct driver *d, const void *data, uint32_t len)
{
    struct seg s = driver_buffer(d, len, false);

    if (s.host)
        memcpy(s.host, data, len);
    return s;
}

static struct vring_desc describe(const struct seg *s, bool more, unsigned next)
{
    return (struct vring_desc){
        .addr = s->at,
        .len = s->len,
        .flags =
            (uint16_t)((s->writable ? VRING_DESC_F_WRITE : 0) | (more ? VRING_DESC_F_NEXT : 0)),
        .next = (uint16_t)(more ? next : 0),
    };
}

static uint16_t next_descriptor(struct driver_queue *q)
{
    uint16_t i = q->next_desc;

    q->next_desc = (uint16_t)((i + 1) % q->size);
    return i;
}

uint16_t driver_describe(struct driver *d, unsigned qi, const struct seg *segs, unsigned n)
{
    struct driver_queue *q = &d->queues[qi];
    const uint16_t head = q->next_desc;

    for (unsigned i = 0; i < n; i++) {
        uint16_t at = next_descriptor(q);
        q->desc[at] = describe(&segs[i], i + 1 < n, q->next_desc);
    }
    return head;
}

uint16_t driver_describe_indirect(struct driver *d, unsigned qi, const struct seg *segs, unsigned n)
{
    struct driver_queue *q = &d->queues[qi];
    const uint32_t len = n * (uint32_t)sizeof(struct vring_desc);
    const uint64_t table = board_alloc(d->board, len, 16);
    struct vring_desc *t = memory_at(d->board->memory, table, len);
    const uint16_t at = next_descriptor(q);

    for (unsigned i = 0; table && i < n; i++)
        t[i] = describe(&segs[i], i + 1 < n, i + 1);
    q->desc[at] = (struct vring_desc){.addr = table, .len = len, .flags = VRING_DESC_F_INDIRECT};
    return at;
}

void driver_offer(struct driver *d, unsigned qi, uint16_t head)
{
    struct driver_queue *q = &d->queues[qi];

    q->avail->ring[q->avail->idx % q->size] = head;
    __atomic_store_n(&q->avail->idx, (uint16_t)(q->avail->idx + 1), __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

bool driver_kick_wanted(struct driver *d, unsigned qi, uint16_t old)
{
    const struct driver_queue *q = &d->queues[qi];
    uint16_t event;

    if (!(d->features >> VIRTIO_RING_F_EVENT_IDX & 1))
        return !(__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY);
    event = __atomic_load_n((uint16_t *)&q->used->ring[q->size], __ATOMIC_RELAXED);
    return vring_need_event(event, q->avail->idx, old);
}

void driver_kick(struct driver *d, unsigned q)
{
    mmio_write(d->board, d->queues[q].notify, 2, q);
}

uint16_t driver_send(struct driver *d, unsigned q, const struct seg *segs, unsigned n)
{
    uint16_t head = driver_describe(d, q, segs, n), old = d->queues[q].avail->idx;

    driver_offer(d, q, head);
    if (driver_kick_wanted(d, q, old))
        driver_kick(d, q);
    return head;
}

bool driver_used(struct driver *d, unsigned qi, uint32_t *id, uint32_t *len)
{
    struct driver_queue *q = &d->queues[qi];

    if (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->last_used)
        return false;
    const struct vring_used_elem *e = &q->used->ring[q->last_used % q->size];
    if (id)
        *id = e->id;
    if (len)
        *len = e->len;
    q->last_used++;
    if (d->features >> VIRTIO_RING_F_EVENT_IDX & 1) /* be told of the next one */
        __atomic_store_n(&q->avail->ring[q->size], q->last_used, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return true;
}

bool driver_await(struct driver *d, unsigned q, uint32_t *id, uint32_t *len)
{
    const uint64_t until = now_ms() + DRIVER_WAIT_MS;

    while (!driver_used(d, q, id, len)) {
        if (now_ms() > until)
            return false;
        wait_a_bit(d->board);
    }
    return true;
}

long driver_request(struct driver *d, unsigned q, const struct seg *segs, unsigned n)
{
    uint16_t head = driver_send(d, q, segs, n);
    uint32_t id, len;

    return driver_await(d, q, &id, &len) && id == head ? (long)len : -1;
}

/* ---- interrupts ---- */

unsigned driver_interrupts(struct driver *d, unsigned vector)
{
    struct board *b = d->board;
    uint64_t entry = d->table + vector * PCI_MSIX_ENTRY_SIZE;
    uint64_t address = mmio_read(b, entry, 4) | mmio_read(b, entry + 4, 4) << 32;
    uint32_t data = (uint32_t)mmio_read(b, entry + 8, 4);
    eventfd_t count;

    for (unsigned i = 1; i <= b->message_count; i++) {
        const struct board_message *m = &b->messages[i];
        if (m->fd >= 0 && m->address == address && m->data == data)
            return eventfd_read(m->fd, &count) == 0 ? (unsigned)count : 0;
    }
    return 0;
}

bool driver_is_pending(struct driver *d, unsigned vector)
{
    return mmio_read(d->board, d->pending + vector / 32 * 4, 4) >> vector % 32 & 1;
}

void driver_mask(struct driver *d, unsigned vector, bool masked)
{
    mmio_write(d->board, d->table + vector * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL, 4,
               masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}
