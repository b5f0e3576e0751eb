/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An address space that a guest's accesses are looked up in: one for I/O ports, one for memory
 * that is not RAM. A device registers ranges; an access is taken by the range that its first byte
 * lies in, split into pieces no wider than the device takes, and never reaches beyond the range.
 * What nobody answers reads as all ones, and writes to it are lost, as on a PC's bus.
 *
 * Ranges are registered before the vCPUs run and stay as they are, so lookups take no lock. (What
 * moves lies in a window of PCI's, pci/pci.h.)
 * Handlers are called from any vCPU's thread: a device locks its own state.
 */
#ifndef PULT_KVM_BUS_H
#define PULT_KVM_BUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kvm/count.h"

#define BUS_RANGES 32

/* What a device does with an access. offset is from the range's start; size is 1 to width. */
struct bus_ops {
    const char *name;
    unsigned width; /* the widest access it takes in one piece: 1, 2, 4 or 8 */
    uint64_t (*read)(void *dev, uint64_t offset, unsigned size);
    void (*write)(void *dev, uint64_t offset, unsigned size, uint64_t value);
};

struct bus_range {
    uint64_t base, last; /* both inside */
    const struct bus_ops *ops;
    void *dev;
    uint64_t *count; /* accesses, see count.h; or NULL */
};

struct bus {
    uint64_t top;                    /* the highest address there is */
    struct status_counter *counters; /* of accesses, by the names of devices; NULL: none */
    uint64_t *nobody;                /* and of those that nobody answers */
    unsigned count;
    struct bus_range ranges[BUS_RANGES]; /* sorted by base, never overlapping */
};

/* Put a device at [base, base + len). Fails where it would overlap another or the bus ends. */
int bus_add(struct bus *b, uint64_t base, uint64_t len, const struct bus_ops *ops, void *dev,
            struct error *err);

/* Count accesses in these (STATUS_COUNTERS), of devices that are added from now on. */
void bus_count(struct bus *b, struct status_counter *counters);

/* A guest reads or writes `size` bytes (little endian) at addr. */
void bus_read(const struct bus *b, uint64_t addr, void *data, size_t size);
void bus_write(const struct bus *b, uint64_t addr, const void *data, size_t size);

/*
 * The same of one device of len bytes, at an offset inside of it: in pieces that it takes, and not
 * beyond its end. What is beyond keeps its bytes in data.
 */
void bus_device_read(const struct bus_ops *ops, void *dev, uint64_t offset, uint64_t len,
                     void *data, size_t size);
void bus_device_write(const struct bus_ops *ops, void *dev, uint64_t offset, uint64_t len,
                      const void *data, size_t size);

#endif
