/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entropy device, see rng.h. It is the smallest that there is: read it first.
 */
#include "kvm/virtio/rng.h"

#include <linux/virtio_ids.h>
#include <sys/random.h>

#include "base/util.h"

#define RNG_PIECE       256u  /* getrandom() gives so much without being interrupted */
#define RNG_MAX_REQUEST 4096u /* of each; 5.4.6.1: a device may fill less than the buffer */

/* Put random bytes into every buffer. What the driver says in readable ones is nothing to us. */
static void rng_handle(struct virtqueue *q)
{
    uint8_t bytes[RNG_PIECE];
    struct chain c;

    while (virtqueue_pop(q, &c)) {
        while (chain_writable(&c) && c.written < RNG_MAX_REQUEST) {
            size_t n = min(chain_writable(&c), sizeof(bytes));
            if (getrandom(bytes, n, 0) != (ssize_t)n)
                break;
            chain_write(&c, bytes, n);
        }
        virtqueue_push(q, &c, c.written);
    }
}

static const struct virtio_device_type virtio_rng = {
    .name = "rng",
    .id = VIRTIO_ID_RNG,
    .class_code = 0xff0000, /* what has no class */
    .queues = 1,
    .queue_size = 16,
    .handle = rng_handle,
};

int rng_add(struct virtio_bus *bus, struct error *err)
{
    return virtio_add(bus, &virtio_rng, NULL, &(struct virtio_setup){0}, err) ? 0 : -1;
}
