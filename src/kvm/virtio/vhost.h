/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queues that the host's kernel serves (vhost): it is told where guest memory and the rings are,
 * listens to their kicks and interrupts by eventfd, and works in a thread of its own on behalf of
 * this process.
 */
#ifndef PULT_KVM_VIRTIO_VHOST_H
#define PULT_KVM_VIRTIO_VHOST_H

#include <stdint.h>

#include "base/error.h"
#include "kvm/virtio/virtio.h"

/*
 * Open one of its devices ("/dev/vhost-net") for this memory. It must know all of these features.
 * Returns its descriptor, or -1.
 */
int vhost_open(const char *path, const struct memory *memory, uint64_t features, struct error *err);

/* Features of the queues that begin next. */
int vhost_set_features(int fd, uint64_t features, struct error *err);
/*
 * Give it a queue, which is its index-th: it goes on where the queue is, and interrupts by `call`.
 * `broken` (an eventfd, or -1) is written to where the driver made a mistake.
 */
int vhost_give(int fd, unsigned index, const struct virtqueue *q, int call, int broken,
               struct error *err);
/* Take it back, after the device's own way to stop. */
void vhost_take_back(int fd, unsigned index, struct virtqueue *q);

#endif
