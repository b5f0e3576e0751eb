/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The entropy device (virtio 1.2, 5.4): random bytes from the host's kernel.
 */
#ifndef PULT_KVM_VIRTIO_RNG_H
#define PULT_KVM_VIRTIO_RNG_H

#include "kvm/virtio/virtio.h"

int rng_add(struct virtio_bus *bus, struct error *err);

#endif
