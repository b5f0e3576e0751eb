/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PCI bus: bus 0 with a host bridge and up to 31 functions, one a slot (PCI 3.0; ECAM is PCI
 * Express 3.0, 7.2.2).
 *
 *     port 0xcf8/0xcfc ─┐                        ┌─ config space ─ BARs, command, capabilities
 *     ECAM (1 MiB)  ────┴─► function by slot ────┤
 *                                                └─ MSI-X (msix.h)
 *     32-bit window ────┐
 *     64-bit window ────┴─► function by BAR ───────► the device's bus_ops
 *
 * Where these lie is in memory.h. A device describes its function with a struct pci_type and gets
 * accesses to its BARs at offsets from their starts, on vCPU threads.
 *
 * BARs move while other vCPUs access them. A BAR's size never changes, and its place is one atomic
 * number (PCI_NOWHERE while it is not decoded), so a lookup reads a table of places without a lock
 * and finds each BAR where it was or where it is. An access that began before a move ends in the
 * same device.
 *
 * Interrupts are message-signalled: each vector is an eventfd which KVM turns into the message
 * (irq.h), so that any thread, or the kernel itself, signals by a write. For drivers without
 * MSI-X there is INTA#, wired to GSI 16 + slot mod 8, level, and told to the guest in the DSDT's
 * _PRT.
 *
 * Locks, outer first: pci.lock (config accesses), the device's own, msix.lock and pci.intx_lock.
 */
#ifndef PULT_KVM_PCI_PCI_H
#define PULT_KVM_PCI_PCI_H

#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kvm/bus.h"
#include "kvm/pci/msix.h"

#define PCI_SLOTS        32
#define PCI_BARS         6
#define PCI_INTX_GSI     16 /* the first of PCI_INTX_GSIS */
#define PCI_INTX_GSIS    8
#define PCI_NOWHERE      UINT64_MAX
#define PCI_MSIX_BAR     4
#define PCI_CONFIG_BYTES 256u

#define PCI_VENDOR_REDHAT 0x1b36
#define PCI_DEVICE_BRIDGE 0x0008 /* the "generic PCIe host bridge" */

/*
 * What a machine does for its PCI functions, and a test does in its own way. All may be called
 * from any thread.
 */
struct pci_wires {
    /* Drive the line of a GSI. */
    void (*intx)(void *arg, unsigned gsi, bool high);
    /*
     * Each write to fd becomes the message, from now on; what was written before and not yet
     * read as well. *route is the vector's, 0 at first. -1: it cannot be done.
     */
    int (*msi_attach)(void *arg, int fd, unsigned *route, uint64_t address, uint32_t data);
    void (*msi_detach)(void *arg, int fd, unsigned route);
    /* Writes of any size to this guest address become writes to fd, without an exit. */
    int (*kick_attach)(void *arg, uint64_t address, int fd);
    void (*kick_detach)(void *arg, uint64_t address, int fd);
};

/* What one function is. */
struct pci_type {
    const char *name;
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t revision;
    uint32_t class_code; /* 24 bits: class, subclass, interface */
    bool intx;           /* it has an interrupt pin */
    unsigned vectors;    /* of MSI-X, which is then at BAR PCI_MSIX_BAR */
    struct {
        uint64_t size; /* a power of two from 4096 on; 0: there is none */
        bool wide;     /* 64-bit: takes the next BAR as well */
        bool prefetch;
        const struct bus_ops *ops;
    } bars[PCI_BARS];

    /* All optional; called with pci.lock held. */
    /* The first chance to answer a read of config space; false: it is answered from the bytes. */
    bool (*config_read)(void *dev, unsigned offset, unsigned size, uint32_t *value);
    /* These bytes were written. */
    void (*config_written)(void *dev, unsigned offset, unsigned size);
    /* A BAR moved, or decoding or bus mastering was switched. */
    void (*moved)(void *dev);
};

struct pci;

struct pci_function {
    struct pci *pci;
    struct pci_type type;
    void *dev;
    unsigned slot;
    uint8_t config[PCI_CONFIG_BYTES];
    uint8_t writable[PCI_CONFIG_BYTES]; /* the bits that a guest may change */
    unsigned caps_end, last_cap;
    _Atomic bool bus_master, intx_disabled; /* of the command register */
    _Atomic bool intx_raised;               /* by the device; written under pci.intx_lock */
    bool intx_driven;                       /* under pci.intx_lock: what the line sees of it */
    struct pci_place *places[PCI_BARS];
    struct msix msix;
};

/* Where a BAR is. */
struct pci_place {
    _Atomic uint64_t base;
    uint64_t size;
    const struct bus_ops *ops;
    void *dev;
};

struct pci {
    const struct pci_wires *wires;
    void *wires_arg;
    uint64_t high_base, high_size; /* the 64-bit window; size 0: there is none */

    pthread_mutex_t lock;
    struct pci_function *functions[PCI_SLOTS];
    struct pci_function bridge; /* slot 0 */
    unsigned place_count;       /* fixed once the vCPUs run */
    struct pci_place places[PCI_SLOTS * PCI_BARS];

    pthread_mutex_t intx_lock;
    unsigned intx_count[PCI_INTX_GSIS]; /* how many functions raise it */
};

/* high_base, high_size: the 64-bit window. */
void pci_init(struct pci *p, const struct pci_wires *wires, void *wires_arg, uint64_t high_base,
              uint64_t high_size);
void pci_destroy(struct pci *p); /* all functions were removed; accepts what was zeroed */
/* Put ECAM and the windows onto the memory bus. */
int pci_add_to_bus(struct pci *p, struct bus *mmio, struct error *err);

/* Put a function into a free slot. `f` belongs to the device; the type is copied. */
int pci_add(struct pci *p, struct pci_function *f, const struct pci_type *type, void *dev,
            struct error *err);
/* Before the machine runs or after it ended. Accepts one that was never added. */
void pci_remove(struct pci_function *f);
/*
 * Append a capability of len bytes (its first two, id and link, are filled in) of which the bits
 * set in `writable` (may be NULL) may be changed. Returns its offset. Before the machine runs.
 */
unsigned pci_add_capability(struct pci_function *f, uint8_t id, const void *data,
                            const void *writable, unsigned len);
/* Give all BARs places in the windows, as firmware does. Before the machine runs. */
int pci_assign(struct pci *p, struct error *err);

/* As after power-on: nothing is decoded, nothing interrupts. While no vCPU runs. */
void pci_reset(struct pci *p);

/* Save or load all functions. While nothing runs; to be loaded into a bus after power-on. */
void pci_state(struct pci *p, struct state *s);

/* Where a BAR is decoded now, or PCI_NOWHERE. */
static inline uint64_t pci_bar_at(const struct pci_function *f, unsigned bar)
{
    return f->places[bar] ? f->places[bar]->base : PCI_NOWHERE;
}
/* Access a BAR's inside whether it is decoded or not: size 1, 2, 4. False: it is not inside. */
bool pci_bar_read(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
                  uint64_t *value);
bool pci_bar_write(struct pci_function *f, unsigned bar, uint64_t offset, unsigned size,
                   uint64_t value);

/* Raise or lower INTA#. The guest's command register decides whether the line sees it. */
void pci_intx(struct pci_function *f, bool raise);

/* Config space by slot and register, for ports and ECAM: size 1, 2 or 4 within a dword. */
uint32_t pci_config_read(struct pci *p, unsigned slot, unsigned offset, unsigned size);
void pci_config_write(struct pci *p, unsigned slot, unsigned offset, unsigned size, uint32_t value);

#endif
