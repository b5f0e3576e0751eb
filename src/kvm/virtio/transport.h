/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between a virtio device (device.c) and what carries it to the driver (pci.c): the registers'
 * meaning on one side, their places on the other.
 */
#ifndef PULT_KVM_VIRTIO_TRANSPORT_H
#define PULT_KVM_VIRTIO_TRANSPORT_H

#include "kvm/virtio/virtio.h"

#define VIRTIO_NO_VECTOR 0xffffu /* 4.1.5.1.2 */

/* ---- pci.c ---- */

int virtio_pci_create(struct virtio_device *d, struct error *err);
void virtio_pci_destroy(struct virtio_device *d); /* accepts a device without transport */
/* Interrupt for a queue, or for the configuration where it is NULL. From any thread. */
void virtio_pci_interrupt(struct virtio_device *d, const struct virtqueue *q);
/* Have KVM listen for kicks of live queues, and of no others. The device's lock is held. */
void virtio_pci_listen(struct virtio_device *d);
/* Reset what the transport keeps for the driver. The device's lock is held. */
void virtio_pci_reset(struct virtio_device *d);
int virtio_pci_interrupt_fd(const struct virtqueue *q);
/* May the device do anything by itself? */
bool virtio_pci_is_master(const struct virtio_device *d);

/* Save or load what the transport keeps for the driver. */
void virtio_pci_state(struct virtio_device *d, struct state *s);

/* ---- device.c ---- */

/* Interrupts of queues go elsewhere now. From any thread, whatever locks are held. */
void virtio_rewired(struct virtio_device *d);

/* ---- device.c; the device's lock is held in all of them ---- */

void virtio_write_status(struct virtio_device *d, uint8_t value);
void virtio_write_features(struct virtio_device *d, unsigned select, uint32_t value);
/* May the driver set up this queue now? */
bool virtio_may_set_up(const struct virtio_device *d, const struct virtqueue *q);
void virtio_write_queue_size(struct virtqueue *q, uint16_t value);
void virtio_enable_queue(struct virtqueue *q);
bool virtio_check_features(struct virtio_device *d);
/* DRIVER_OK; virtio_update_live() follows. */
void virtio_start(struct virtio_device *d);
/* No queue is live: wait until no handler runs, then for what is under way; virtio_drained(). */
void virtio_begin_drain(struct virtio_device *d);
/* Make the queues live or not, by status, bus mastering and whether the device is held. */
void virtio_update_live(struct virtio_device *d);
/* The same as virtio_fail(). */
void virtio_fail_locked(struct virtio_device *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
