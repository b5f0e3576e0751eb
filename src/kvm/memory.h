/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's RAM: one mapping, seen by the guest in two pieces around the hole that a PC keeps
 * below 4 GiB for devices; and where everything else of its address space is.
 *
 *     0            RAM
 *     0xd0000000   MEMORY_HOLE, and from there on MEMORY_PCI: the 32-bit window for PCI's BARs
 *     0xf0000000   MEMORY_ECAM: PCI's configuration space
 *     0xfec00000   IOAPIC (irq.h)
 *     0xfee00000   LAPICs
 *     0xfffbc000   four pages that VMX wants (machine.c)
 *     4 GiB        RAM, what is left of it
 *     above it     the 64-bit window for BARs: memory.window
 *
 * What is behind it (struct memory_config):
 *
 *     nothing said   anonymous memory, in huge pages where the host has some to spare. Pages of a
 *                    file can be laid over it, copy-on-write (memory_map_file): the kernel image
 *                    that all its VMs share.
 *     huge           pages of that size out of the host's hugetlb pool, all reserved at the start.
 *                    With pages of 1 GiB the hole begins at 3 GiB, so that they fit around it.
 *     shared         a memfd, for whoever else must see the RAM (a vhost-user process): slot.host
 *                    is at fd's offset slot.host - slots[0].host. The file's size is sealed.
 *     merge          KSM looks for pages that other such guests have too.
 *
 * A guest's address is a number that the guest chose. memory_at() is the one way to make a
 * pointer of it: it refuses every range that is not wholly RAM of one piece. The bytes behind it
 * may change at any moment under the reader's hands: what is checked must be copied out first.
 */
#ifndef PULT_KVM_MEMORY_H
#define PULT_KVM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define MEMORY_HOLE  0xd0000000ull
#define MEMORY_HIGH  0x100000000ull
#define MEMORY_SLOTS 2

#define MEMORY_PCI       MEMORY_HOLE
#define MEMORY_PCI_SIZE  0x20000000ull
#define MEMORY_ECAM      0xf0000000ull
#define MEMORY_ECAM_SIZE 0x100000ull   /* one bus */
#define MEMORY_WINDOW    (64ull << 30) /* the 64-bit window, where the CPU has so many addresses */

#define MEMORY_2M (2ull << 20)
#define MEMORY_1G (1ull << 30)

struct memory_config {
    uint64_t size; /* a multiple of the page size, or of `huge` */
    uint64_t huge; /* 0, MEMORY_2M or MEMORY_1G */
    bool shared;
    bool merge; /* neither with huge nor with shared */
};

struct memory_slot {
    uint64_t base, size; /* as the guest sees it */
    uint8_t *host;
};

struct memory {
    uint64_t size; /* of both pieces */
    unsigned count;
    struct memory_slot slots[MEMORY_SLOTS];
    struct memory_config config;
    int fd;    /* where config.shared: the memfd */
    void *map; /* what was mapped, of map_size bytes */
    size_t map_size;
    uint64_t window, window_size; /* above the RAM, for PCI; window_size 0: there is none */

    uint64_t file_base, file_end; /* around what memory_map_file() laid over it */
    bool *plain;                  /* there: of these 64 KiB no page is the file's any more */
    unsigned cuts;                /* how often a part of it was replaced */
};

/* Map it. Pages come into being when they are touched; those out of a pool are reserved. */
int memory_create_as(struct memory *m, const struct memory_config *config, struct error *err);
void memory_destroy(struct memory *m); /* accepts one that was zeroed */

/* Plain memory of this size. */
static inline int memory_create(struct memory *m, uint64_t size, struct error *err)
{
    return memory_create_as(m, &(struct memory_config){.size = size}, err);
}

/* A pointer to guest memory [gpa, gpa + len), or NULL if any of it is not RAM. */
void *memory_at(const struct memory *m, uint64_t gpa, uint64_t len);
/* Copy in: 0, or -1 if the range is not RAM. */
int memory_write(const struct memory *m, uint64_t gpa, const void *data, uint64_t len);
/* Read len bytes at off of a file to gpa; what the file is called is for the message. */
int memory_load(const struct memory *m, uint64_t gpa, int fd, uint64_t off, uint64_t len,
                const char *path, struct error *err);

/*
 * Lay whole pages of a file over the guest's, copy-on-write. Nobody may ever change or cut the
 * file. -1 where it cannot be (no RAM there, not whole pages, memory that is not plain): read it
 * in instead. Before the vCPUs run.
 */
int memory_map_file(struct memory *m, uint64_t gpa, int fd, uint64_t off, uint64_t len);
/*
 * Give [gpa, gpa + len) back to the host, as far as it is whole pages: they read as zero
 * afterwards. What cannot be given back stays as it is. From one thread at a time.
 */
void memory_discard(struct memory *m, uint64_t gpa, uint64_t len);

/* The most RAM that a CPU with so many address bits (32 to 52) can see around the hole. */
static inline uint64_t memory_most(unsigned bits)
{
    return (1ull << bits) - (MEMORY_HIGH - MEMORY_HOLE);
}

/* Put the window above the RAM, on a CPU with so many address bits. */
void memory_place_window(struct memory *m, unsigned bits);

/* The end of the RAM below the hole. */
static inline uint64_t memory_low_end(const struct memory *m)
{
    return m->slots[0].size;
}

#endif
