/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's RAM: one anonymous mapping, seen by the guest in two pieces around the hole that a
 * PC keeps below 4 GiB for devices.
 *
 *     0 ──── RAM ──── MEMORY_HOLE (3.25 GiB) ── devices, IOAPIC, LAPIC ── 4 GiB ──── RAM ────
 *
 * A guest's address is a number that the guest chose. memory_at() is the one way to make a
 * pointer of it: it refuses every range that is not wholly RAM of one piece. The bytes behind it
 * may change at any moment under the reader's hands: what is checked must be copied out first.
 */
#ifndef PULT_KVM_MEMORY_H
#define PULT_KVM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define MEMORY_HOLE  0xd0000000ull
#define MEMORY_HIGH  0x100000000ull
#define MEMORY_SLOTS 2

struct memory_slot {
    uint64_t base, size; /* as the guest sees it */
    uint8_t *host;
};

struct memory {
    uint64_t size; /* of both pieces */
    unsigned count;
    struct memory_slot slots[MEMORY_SLOTS];
    void *map; /* what was mapped, of map_size bytes */
    size_t map_size;
};

/* Map size bytes (a multiple of the page size). Pages come into being when they are touched. */
int memory_create(struct memory *m, uint64_t size, struct error *err);
void memory_destroy(struct memory *m); /* accepts one that was zeroed */

/* A pointer to guest memory [gpa, gpa + len), or NULL if any of it is not RAM. */
void *memory_at(const struct memory *m, uint64_t gpa, uint64_t len);
/* Copy in: 0, or -1 if the range is not RAM. */
int memory_write(const struct memory *m, uint64_t gpa, const void *data, uint64_t len);
/* Read len bytes at off of a file to gpa; what the file is called is for the message. */
int memory_load(const struct memory *m, uint64_t gpa, int fd, uint64_t off, uint64_t len,
                const char *path, struct error *err);

/* The most RAM that a CPU with so many address bits (32 to 52) can see around the hole. */
static inline uint64_t memory_most(unsigned bits)
{
    return (1ull << bits) - (MEMORY_HIGH - MEMORY_HOLE);
}

/* The end of the RAM below the hole. */
static inline uint64_t memory_low_end(const struct memory *m)
{
    return m->slots[0].size;
}

#endif
