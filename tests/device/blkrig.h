/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A block device on a board, with a driver: for tests of the device, on files and on a disk of the
 * test's own whose maps and errors are what the test wants.
 */
#ifndef PULT_TESTS_DEVICE_BLKRIG_H
#define PULT_TESTS_DEVICE_BLKRIG_H

#include <linux/virtio_blk.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "device/driver.h"
#include "disk/driver.h"
#include "kvm/pool.h"
#include "kvm/virtio/blk.h"

/* How the device does its I/O. */
enum blk_way {
    WAY_RING,   /* io_uring, all in the test's thread but what the pool does */
    WAY_POOL,   /* no io_uring, but two helpers */
    WAY_INSIDE, /* no io_uring and no helper: nothing is concurrent */
    WAYS,
};

struct blkrig {
    struct board b;
    struct driver d;
    struct virtio_device *device;
    struct disk *disk;
    uint64_t bytes_read, bytes_written;
    unsigned full; /* how often it was said */
    char why[300];
};

/* What rig_create() does if config is changed by nobody. */
struct blk_config rig_config(struct blkrig *r);
/* The rig owns disk. threads: the device's workers are threads. Asserts. */
void rig_create(struct blkrig *r, struct disk *disk, enum blk_way way);
void rig_create_as(struct blkrig *r, struct disk *disk, enum blk_way way, bool threads,
                   struct blk_config *config, uint64_t features);
/* Without a driver yet. */
void rig_create_idle(struct blkrig *r, struct disk *disk, enum blk_way way,
                     struct blk_config *config);
void rig_destroy(struct blkrig *r);

/* A raw file of so many bytes in the working directory. */
struct disk *rig_raw(const char *name, uint64_t size, unsigned flags);

/* A request with one buffer for data: the status, or -1 without an answer. */
int rig_request(struct blkrig *r, uint32_t type, uint64_t sector, struct seg data);
/* The same without waiting: where the status will be, 0xff till then. */
volatile uint8_t *rig_send(struct blkrig *r, unsigned queue, uint32_t type, uint64_t sector,
                           const struct seg *data, unsigned n);
int rig_range(struct blkrig *r, uint32_t type, uint64_t sector, uint32_t count, uint32_t flags);
int rig_flush(struct blkrig *r);

/*
 * A disk with clusters of 64 KiB on a file `data`. What a test sets here happens to it. Every
 * write allocates, as if it were a new image.
 */
struct fake {
    _Atomic enum disk_kind read_kind;
    atomic_int fail_map, fail_link, fail_copy, fail_flush, fail_discard, fail_zero; /* errno */
    atomic_bool hold; /* COPY reads and flushes wait for `go` */
    sem_t held, go;
    atomic_uint links, drops, flushes, discards, copies;
};
extern struct fake fake;
#define FAKE_CLUSTER 65536u
struct disk *rig_fake(uint64_t size);

#endif
