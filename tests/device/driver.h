/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio driver in the test process, and the board that its device sits on.
 *
 * The board is what a machine is to its devices, without KVM: buses, PCI, memory of two pieces
 * (heap blocks, so that a sanitizer sees every step outside), the loop worker. What KVM would do
 * (deliver messages, turn kicks into eventfds) it records, and does where the driver asks for it.
 * Nothing runs by itself: a device's handlers run in board_turn() and driver_await(), so tests are
 * deterministic; with `threads` they run on real workers instead. Over a real machine the same
 * driver works by board_of_machine().
 *
 * The driver goes where a guest goes: configuration space by ports, the BARs by the memory bus,
 * rings in guest memory. It does right what it is not told to do wrong: all fields may be
 * changed, and every address is at hand. No function asserts anything, so fuzzers use it too
 * (#include "device/driver.c").
 *
 *     struct board b;
 *     struct driver d;
 *     board_init(&b, false);
 *     rng_add(&b.virtio, &err);
 *     board_start(&b);
 *     driver_probe(&d, &b, 1);                      slot 1
 *     driver_start(&d, DRIVER_ALL, 1, 8);           all features, 1 queue of 8
 *     struct seg s = driver_buffer(&d, 100, true);  100 bytes of guest memory, device-writable
 *     driver_send(&d, 0, &s, 1);                    make available, kick
 *     driver_await(&d, 0, &id, &len)                the used entry, or false after 5 s
 */
#ifndef PULT_TESTS_DEVICE_DRIVER_H
#define PULT_TESTS_DEVICE_DRIVER_H

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kvm/legacy/bridge.h"
#include "kvm/virtio/virtio.h"

#ifndef BOARD_LOW /* a fuzzer has less */
#define BOARD_LOW  (4u << 20)
#define BOARD_HIGH (1u << 20)
#endif
#define BOARD_MESSAGES 512
#define BOARD_KICKS    512
#define DRIVER_QUEUES  16
#define DRIVER_ALL     UINT64_MAX
#ifndef DRIVER_WAIT_MS
#define DRIVER_WAIT_MS 5000
#endif

/* ---- the board ---- */

struct board {
    struct memory *memory;
    struct bus *pio, *mmio;
    struct workers *workers;
    pthread_mutex_t lock; /* of what follows, for drivers on several threads */
    uint64_t next;        /* where free guest memory begins, for board_alloc() */

    /* What KVM would have been told. */
    struct board_message {
        int fd; /* -1: detached */
        uint64_t address;
        uint32_t data;
        unsigned attached; /* how often it was */
    } messages[BOARD_MESSAGES];
    unsigned message_count;
    struct board_kick {
        uint64_t address;
        int fd; /* -1: nobody listens */
    } kicks[BOARD_KICKS];
    unsigned kick_count;
    bool no_kicks, no_messages; /* behave as a KVM without room */
    bool lines[24];             /* of GSIs */
    unsigned rises[24];

    /* Behind the pointers, unless a machine is. */
    struct memory own_memory;
    struct bus own_pio, own_mmio;
    struct workers own_workers;
    struct bridge bridge;
    struct pci pci;
    struct virtio_bus virtio; /* put devices here */
};

struct machine;

int board_init(struct board *b, bool threads);
/* The devices are there: give their BARs places, start the workers. */
int board_start(struct board *b);
void board_destroy(struct board *b);
/* The board of a machine with real KVM: its devices are on machine->virtio. */
void board_of_machine(struct board *b, struct machine *m);

/* len bytes of zeroed guest memory below the hole, aligned. 0: none is left. */
uint64_t board_alloc(struct board *b, size_t len, size_t align);
/* Forget all that was allocated. */
void board_free_all(struct board *b);
/* Let the loop serve all that is there for it; returns how often there was something. */
unsigned board_turn(struct board *b);

/* Accesses as a guest makes them: size 1, 2, 4 (8 on the memory bus). */
uint32_t config_read(struct board *b, unsigned slot, unsigned offset, unsigned size);
void config_write(struct board *b, unsigned slot, unsigned offset, unsigned size, uint32_t value);
uint64_t mmio_read(struct board *b, uint64_t address, unsigned size);
void mmio_write(struct board *b, uint64_t address, unsigned size, uint64_t value);

/* ---- the driver ---- */

struct driver_queue {
    uint16_t size;
    uint64_t desc_at, avail_at, used_at; /* guest addresses */
    struct vring_desc *desc;             /* the same, as the test sees them */
    struct vring_avail *avail;
    struct vring_used *used;
    uint64_t notify;               /* address */
    uint16_t next_desc, last_used; /* descriptors are taken round robin */
};

struct driver {
    struct board *board;
    unsigned slot;
    uint64_t bar[6];                      /* addresses */
    uint64_t common, isr, device, notify; /* addresses; device 0: there is none */
    uint32_t device_length;
    uint32_t notify_multiplier;
    unsigned msix;   /* capability in config space */
    unsigned access; /* the same, of the PCI configuration access */
    unsigned vectors;
    uint64_t table, pending; /* of MSI-X */
    bool no_msix;            /* set before driver_start(): use INTx */
    uint64_t offered, features;
    struct driver_queue queues[DRIVER_QUEUES];
};

/* One piece of a request. */
struct seg {
    uint64_t at; /* guest address */
    uint32_t len;
    bool writable;
    void *host; /* the bytes */
};

/* Find the capabilities and switch memory decoding and bus mastering on. */
bool driver_probe(struct driver *d, struct board *b, unsigned slot);

/* Single registers of the common configuration, by VIRTIO_PCI_COMMON_…; size is the field's. */
uint32_t driver_get(struct driver *d, unsigned field, unsigned size);
void driver_set(struct driver *d, unsigned field, unsigned size, uint32_t value);
uint8_t driver_status(struct driver *d);
void driver_set_status(struct driver *d, uint8_t value);
uint64_t driver_read_offered(struct driver *d);
void driver_write_features(struct driver *d, uint64_t features);

/*
 * The steps of virtio 1.2, 3.1.1, with MSI-X: vector 0 for the configuration, 1 + i for queue i.
 * features are taken as far as they are offered.
 */
bool driver_start(struct driver *d, uint64_t features, unsigned queues, uint16_t size);
bool driver_negotiate(struct driver *d, uint64_t features); /* up to FEATURES_OK */
bool driver_setup_queue(struct driver *d, unsigned i, uint16_t size);
/* Point a queue's registers somewhere; enable says whether to enable it as well. */
void driver_point_queue(struct driver *d, unsigned i, uint64_t desc, uint64_t avail, uint64_t used);
bool driver_setup_msix(
    struct driver *d); /* all vectors, unmasked, messages 0xfee00000 / 0x40 + i */
/* Write 0 to status and wait until it reads 0. False: it never did. */
bool driver_reset(struct driver *d);

/* Guest memory for a request. */
struct seg driver_buffer(struct driver *d, uint32_t len, bool writable);
struct seg driver_bytes(struct driver *d, const void *data, uint32_t len); /* device-readable */

/* Write descriptors for the segments (chained, or in a table of their own): returns the head. */
uint16_t driver_describe(struct driver *d, unsigned q, const struct seg *segs, unsigned n);
uint16_t driver_describe_indirect(struct driver *d, unsigned q, const struct seg *segs, unsigned n);
/* Make a head available; no kick. */
void driver_offer(struct driver *d, unsigned q, uint16_t head);
/* Would the device like to be kicked for what came after avail index `old`? */
bool driver_kick_wanted(struct driver *d, unsigned q, uint16_t old);
void driver_kick(struct driver *d, unsigned q);
/* All three. Returns the head. */
uint16_t driver_send(struct driver *d, unsigned q, const struct seg *segs, unsigned n);

/* The next used entry that is there, or false. id and len may be NULL. */
bool driver_used(struct driver *d, unsigned q, uint32_t *id, uint32_t *len);
/* The same, letting the device work for at most DRIVER_WAIT_MS. */
bool driver_await(struct driver *d, unsigned q, uint32_t *id, uint32_t *len);
/* Send and wait: how many bytes the device says it wrote, or -1. */
long driver_request(struct driver *d, unsigned q, const struct seg *segs, unsigned n);

/* How often a vector (of MSI-X) interrupted since this was last asked. */
unsigned driver_interrupts(struct driver *d, unsigned vector);
bool driver_is_pending(struct driver *d, unsigned vector);
void driver_mask(struct driver *d, unsigned vector, bool masked);

#endif
