/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device (virtio 1.2, 5.2): a disk (disk/disk.h) for the guest.
 */
#ifndef PULT_KVM_VIRTIO_BLK_H
#define PULT_KVM_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kvm/virtio/virtio.h"

#define BLK_SERIAL 20u /* characters; 5.2.6, VIRTIO_BLK_T_GET_ID */
#define BLK_QUEUES 16u

struct disk;

struct blk_config {
    struct disk *disk;  /* stays the caller's, and open for longer than the device lives */
    const char *serial; /* at most BLK_SERIAL characters; NULL: none */
    bool writethrough;  /* to begin with; a driver may change that */
    bool no_flush;      /* flushes do nothing: for what is thrown away */
    bool no_ring;       /* use helpers, also where there is io_uring */
    uint64_t bytes_per_second, requests_per_second; /* 0: no limit */
    unsigned queues;                                /* 1 to BLK_QUEUES */
    unsigned workers;                               /* threads that serve them */
    uint64_t *bytes_read, *bytes_written;           /* added to atomically; may be NULL */
    /*
     * The host has no room for what the guest wrote, so that requests wait: stop the guest, and
     * call blk_retry() when there is room. Called on the loop, once until then. why: one line.
     * NULL: such requests fail.
     */
    void (*full)(void *arg, const char *why);
    void *full_arg;
};

/* NULL: see err. */
struct virtio_device *blk_add(struct virtio_bus *bus, const struct blk_config *config,
                              struct error *err);

/* Try again what waits for room. From any thread. */
void blk_retry(struct virtio_device *d);

#endif
