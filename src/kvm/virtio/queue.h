/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues as the device sees them (virtio 1.2, 2.7), and the one way into guest memory
 * that a device has: the descriptor chain.
 *
 *     virtqueue_pop()   ── takes the next chain that the driver made available: each descriptor
 *                          is read once, checked and turned into an iovec of host memory
 *     chain_…()         ── read what the driver sent, write what it is to receive: never beyond
 *                          the buffers it gave, never memory that is not its RAM
 *     virtqueue_push()  ── gives the chain back, with how much was written into it
 *     virtqueue_flush() ── shows the driver all that was given back and interrupts it, if it
 *                          wants that. After a handler of a virtio_device_type it is called for you.
 *
 * A queue belongs to its worker: all of these are called on its thread only (who completes a
 * request elsewhere posts it there). A chain that a driver built wrongly (a loop, a buffer outside
 * of RAM, …) is the end of the device until it is reset: pop then returns false, from now on.
 *
 * pop returns false when nothing is available, and then the driver's next kick calls the handler.
 * A device that stops before that (it has no room for more) is not kicked for what is still
 * there: it goes on popping by itself when it can.
 */
#ifndef PULT_KVM_VIRTIO_QUEUE_H
#define PULT_KVM_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "kvm/state.h"
#include "kvm/worker.h"

#define VIRTQUEUE_MOST 1024u /* entries, and so descriptors in a chain */

struct virtio_device;
struct vring_desc;

enum virtqueue_state {
    VIRTQUEUE_DEAD, /* not set up, or its device failed or is being reset: pushes go nowhere */
    VIRTQUEUE_HELD, /* chains can be given back, but no more be taken */
    VIRTQUEUE_LIVE,
};

struct virtqueue {
    struct virtio_device *device;
    unsigned index;

    /* What the driver set up; under the device's lock. Frozen while the device runs. */
    uint16_t max_size, size;
    bool enabled;
    uint64_t desc_at, avail_at, used_at; /* guest addresses */
    _Atomic uint16_t vector;             /* of MSI-X, may change at any time */

    int kick_fd;      /* an eventfd: each write is a kick */
    uint64_t kick_at; /* where KVM listens for it, or PCI_NOWHERE */
    struct worker *worker;
    struct worker_source source;

    _Atomic int state; /* enum virtqueue_state */

    /* Set when it goes live; then the worker's own. */
    bool event_index, indirect; /* what was negotiated */
    bool kicks_off;             /* the driver was told not to kick */
    bool more;                  /* the budget was spent before the queue was empty */
    uint16_t next_avail, next_used;
    uint16_t last_flush;  /* next_used when the driver was last interrupted or let be */
    unsigned outstanding; /* chains that were popped and not pushed */
    unsigned budget;      /* how many more may be popped in this call of the handler */
    const struct vring_desc *desc;
    uint16_t *avail, *used; /* in guest memory, as 16-bit words */
    struct iovec *iov;      /* for virtqueue_pop(): as many as the queue has entries */
};

/*
 * One descriptor chain. `in` is what the driver sent (device-readable), `out` what it wants to
 * have (device-writable); both shrink from the front as they are read and written.
 */
struct chain {
    struct virtqueue *queue;
    uint16_t head;
    struct iovec *in, *out;
    unsigned in_count, out_count;
    size_t readable, writable; /* bytes left in them */
    size_t written;            /* so far */
};

/*
 * The next chain, or false. Its iovecs are the queue's own: valid until the next pop. With _into
 * they are the caller's, who has room for `room` of them: for chains that are kept. A driver that
 * uses more than that ends the device, so room should be the queue's size, or what the device's
 * configuration promised (seg_max and its like).
 */
bool virtqueue_pop(struct virtqueue *q, struct chain *c);
bool virtqueue_pop_into(struct virtqueue *q, struct chain *c, struct iovec *iov, unsigned room);
/* A chain that was popped before a snapshot, by its head. False: it cannot be one. */
bool virtqueue_retake(struct virtqueue *q, uint16_t head, struct chain *c, struct iovec *iov,
                      unsigned room);
/* Undo the last pop, of a chain of which nothing was written: it comes again. */
void virtqueue_unpop(struct virtqueue *q, struct chain *c);
/* Has the driver made more chains available? Changes nothing. */
bool virtqueue_is_waiting(const struct virtqueue *q);
/* Give it back with so many bytes written into it, from its first writable byte on. */
void virtqueue_push(struct virtqueue *q, const struct chain *c, size_t written);
void virtqueue_flush(struct virtqueue *q);
/*
 * Somebody else served it (vhost), up to this available index, and has shown the driver all that it
 * gave back: go on there.
 */
void virtqueue_take_back(struct virtqueue *q, uint16_t next_avail);
/* Have the handler called soon, as by a kick. From any thread. */
void virtqueue_kick(struct virtqueue *q);

static inline size_t chain_readable(const struct chain *c)
{
    return c->readable;
}
static inline size_t chain_writable(const struct chain *c)
{
    return c->writable;
}
/* Read the next len bytes, or fewer where there are fewer: how many. NULL: skip them. */
size_t chain_read(struct chain *c, void *data, size_t len);
/* Write the next len bytes, or fewer where there is no more room: how many. NULL: zeroes. */
size_t chain_write(struct chain *c, const void *data, size_t len);
/* Bytes of `out` that the device (preadv, a socket) filled by itself: count them as written. */
void chain_wrote(struct chain *c, size_t len);
/*
 * Cut the last writable byte off and return its place, for a status that is only known at the
 * end. NULL: nothing is writable.
 */
uint8_t *chain_take_last(struct chain *c);

/* ---- for device.c ---- */

int virtqueue_create(struct virtqueue *q, struct virtio_device *d, unsigned index, uint16_t size,
                     struct error *err);
void virtqueue_destroy(struct virtqueue *q); /* accepts what was zeroed */
void virtqueue_reset(struct virtqueue *q);
/* Check the rings that the driver set up. NULL, or what is wrong with them. */
const char *virtqueue_enable(struct virtqueue *q);
/* Save or load where it is; loading, after it was enabled. */
void virtqueue_state(struct virtqueue *q, struct state *s);
/* Serve it: called by its worker after a kick. */
void virtqueue_serve(struct virtqueue *q);

#endif
