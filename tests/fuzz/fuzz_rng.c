/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entropy device under a driver that does wrong, and with it all that virtio devices share.
 */
#include "fuzz/virtio.h"

#include "kvm/virtio/rng.h"

static int add(struct board *b)
{
    return rng_add(&b->virtio, NULL);
}

static const struct virtio_fuzz fuzz = {.add = add, .queues = 1};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return virtio_fuzz(&fuzz, data, size);
}
