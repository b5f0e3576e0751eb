/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio devices (virtio 1.2), and how to write one.
 *
 * A device is one file with one const struct virtio_device_type. It sees queues and
 * configuration bytes only; status, features, PCI, interrupts and kicks are the core's.
 *
 *     driver                       core                              device type
 *       status, features ───────►  device.c (2.1, 2.2, 3.1)
 *       DRIVER_OK        ───────►  queues go live        ─────────►  start()
 *       kick             ───────►  ioeventfd ─► worker   ─────────►  handle(queue)
 *       interrupt        ◄───────  irqfd ◄─ virtqueue_flush()
 *       writes its config ──────►  bytes change          ─────────►  config_written()
 *       config interrupt ◄───────                        ◄─────────  virtio_set_config()
 *       resets           ───────►  queues stop           ─────────►  drain(), reset()
 *
 * Threads. A queue is served by one worker (worker.h): the owner's loop, or with `threaded`
 * one of the device's own threads (virtio_setup.workers of them; queue i belongs to worker i modulo
 * their number). handle(), drain() and reset() run there: a device with one worker needs no lock
 * among these. Neither a vCPU nor the loop ever waits for a device: what may block or copies much
 * is `threaded`. A handler may pop at most VIRTIO_BUDGET chains before it is called anew, so that
 * a busy driver holds up nobody: return when pop says false, whatever the reason.
 * start() and config_written() run on a vCPU's thread, with the device's lock held: keep them short,
 * and call nothing of the core from them but virtqueue_kick() and worker_post().
 *
 * Reset. The core takes all queues out of service and waits until no handler runs, then asks
 * drain() once, on the first worker. A device that has chains under way elsewhere (io_uring)
 * returns false and says virtio_drained() when the last is done; until then the driver sees the
 * reset pending. Chains that are pushed meanwhile go nowhere. Then reset() forgets the driver.
 * The same drain comes before a snapshot (d->resetting is false then): what is under way ends with
 * its chains given back, and afterwards the device goes on. state() saves and loads what the device
 * keeps beyond its configuration bytes and queues, see state.h; when it loads, start() was called
 * and no queue is live yet. A chain that is kept for long (the balloon's statistics) is saved as its
 * head and made anew by virtqueue_retake(). state() runs on the owner's thread, with the device's lock
 * held.
 *
 * A driver's mistakes. virtio_fail() says what was wrong: DEVICE_NEEDS_RESET (2.1.2), one line in
 * the log for each device however often it happens, and no queue is served until the reset. A
 * request that the device can answer with an error of its protocol is no such mistake.
 *
 * So a device is:
 *
 *     static void rng_handle(struct virtqueue *q)
 *     {
 *         struct chain c;
 *
 *         while (virtqueue_pop(q, &c)) {
 *             … chain_read(), chain_write(), or c.in and c.out as iovecs …
 *             virtqueue_push(q, &c, c.written);
 *         }
 *     }
 *     static const struct virtio_device_type virtio_rng = {
 *         .name = "rng", .id = 4, .class_code = …, .queues = 1, .queue_size = 64,
 *         .handle = rng_handle,
 *     };
 *     int rng_add(struct virtio_bus *bus, struct error *err)
 *     {
 *         return virtio_add(bus, &virtio_rng, NULL, &(struct virtio_setup){0}, err) ? 0 : -1;
 *     }
 *
 * and a line in src/kvm/devices.c, which makes devices from a guest's definition.
 * tests/device/driver.h drives it without KVM.
 */
#ifndef PULT_KVM_VIRTIO_VIRTIO_H
#define PULT_KVM_VIRTIO_VIRTIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kvm/memory.h"
#include "kvm/pci/pci.h"
#include "kvm/state.h"
#include "kvm/virtio/queue.h"
#include "kvm/worker.h"

#define VIRTIO_CONFIG_MOST 256u /* bytes of device configuration */
#define VIRTIO_QUEUES_MOST 256u
#define VIRTIO_BUDGET      128u

#define VIRTIO_FEATURE(bit) (1ull << (bit))

struct virtio_device_type {
    const char *name;    /* "rng": in messages and threads' names */
    uint16_t id;         /* 5: device types */
    uint32_t class_code; /* PCI's, 24 bits */
    unsigned queues;     /* how many, unless virtio_setup says otherwise */
    uint16_t queue_size; /* the most entries that each may have: a power of two */
    uint64_t features;   /* bits 0 to 23 and 50 up: the device's own, always offered */
    unsigned config_size;
    bool threaded;
    bool files; /* its threads open files of the host (kvm/confine.h) */

    /* The driver kicked this queue, or the core did because it has to be looked at. */
    void (*handle)(struct virtqueue *q);

    /* All optional. */
    /* The driver accepted device->features and is ready (DRIVER_OK). */
    void (*start)(struct virtio_device *d);
    /* The driver wrote these bytes of device->config; without it the configuration is read-only.
     * Undo what may not be changed. */
    void (*config_written)(struct virtio_device *d, unsigned offset, unsigned size);
    bool (*drain)(struct virtio_device *d);
    void (*reset)(struct virtio_device *d);
    void (*state)(struct virtio_device *d, struct state *s);
    /* Queues went into or out of service, or their interrupts go elsewhere now: for who has them
     * served by the kernel. On any thread, with locks held: only worker_post() is allowed. */
    void (*rewired)(struct virtio_device *d);
    /* The machine is gone, no thread runs: free device->state. */
    void (*destroy)(struct virtio_device *d);
};

/* What differs between devices of one type. Zeroes: as the type says. */
struct virtio_setup {
    unsigned queues;
    unsigned workers; /* of a threaded type: default 1 */
    unsigned span;    /* so many queues in a row share a worker: default 1 */
    uint16_t queue_size;
    uint64_t features;  /* offered besides the type's */
    const void *config; /* config_size bytes; NULL: zeroes */
    /* These queues are not served by a worker (vhost takes their kicks). Bit i: queue i. */
    uint64_t foreign;
};

/* What devices of a machine are made with. */
struct virtio_bus {
    struct pci *pci;
    const struct memory *memory;
    struct workers *workers;
    unsigned count;
    struct virtio_device *devices[PCI_SLOTS];
    struct worker_call told; /* wakes who waits for all of them */
};

struct virtio_transport;

struct virtio_device {
    const struct virtio_device_type *type;
    void *state; /* the device's own */
    struct virtio_bus *bus;
    const struct memory *memory;

    pthread_mutex_t lock;   /* for all that the driver's register accesses change */
    _Atomic uint8_t status; /* 2.1 */
    uint64_t offered;
    uint64_t features; /* accepted by the driver, final when start() is called */
    uint8_t config[VIRTIO_CONFIG_MOST];
    uint8_t generation; /* 4.1.4.3.1: changes with the configuration */
    bool complained;

    unsigned queue_count;
    struct virtqueue *queues;

    unsigned worker_count;
    struct worker **workers;
    struct worker_call *calls; /* one for each worker */
    struct worker_call drain_call;
    unsigned busy_workers; /* a reset waits for so many of them */
    bool active;           /* since DRIVER_OK: a reset must wait */
    bool resetting;        /* and it does */
    bool draining;         /* drain() was asked, virtio_drained() is waited for */
    bool holding, held;    /* it shall come to rest, and has */

    struct virtio_transport *transport;
};

/*
 * Build a device and put it on the bus; it takes the next slot. On success the core owns `state`
 * and ends it with type->destroy(). NULL: see err; state is still the caller's.
 */
struct virtio_device *virtio_add(struct virtio_bus *bus, const struct virtio_device_type *type,
                                 void *state, const struct virtio_setup *setup, struct error *err);
/*
 * Reset all devices, as their drivers would, and wait until they are. No vCPU runs; the workers
 * do. On the loop's thread. Fails when one has not come to rest after ms.
 */
int virtio_reset_all(struct virtio_bus *bus, unsigned ms, struct error *err);
/*
 * Bring all to rest: nothing is under way any more, no queue is served, until they are released. As
 * above; on failure all go on.
 */
int virtio_hold_all(struct virtio_bus *bus, unsigned ms, struct error *err);
void virtio_release_all(struct virtio_bus *bus);
/*
 * Save or load all: held ones are saved; ones that no driver has touched are loaded, and are held
 * then. Load after pci_state(), which comes after KVM's interrupt controllers.
 */
void virtio_state_all(struct virtio_bus *bus, struct state *s);
/* Take all away, when the machine has ended and its workers were stopped. */
void virtio_remove_all(struct virtio_bus *bus);

static inline bool virtio_has(const struct virtio_device *d, unsigned feature)
{
    return d->features >> feature & 1;
}

/* The driver made a mistake that the device cannot answer, see above. From any thread. */
void virtio_fail(struct virtio_device *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Change bytes of the configuration and tell the driver. From any thread. */
void virtio_set_config(struct virtio_device *d, unsigned offset, const void *data, unsigned size);
/* Read them as they are now. From any thread. */
void virtio_get_config(struct virtio_device *d, unsigned offset, void *data, unsigned size);
/* What drain() was waiting for is done. On the device's first worker. */
void virtio_drained(struct virtio_device *d);

/*
 * For a back end in the kernel: the eventfd whose write interrupts for this queue, or -1 where
 * the driver uses INTx or has set no vector. The kick's is queue->kick_fd.
 */
int virtio_interrupt_fd(const struct virtqueue *q);

#endif
