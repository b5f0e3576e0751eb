/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making images, and moving what is on a disk from one to another. A new image appears under its
 * name when it is complete and on the host's disk, or not at all.
 */
#ifndef PULT_DISK_IMAGE_H
#define PULT_DISK_IMAGE_H

#include "disk/disk.h"

struct disk_new {
    const char *path, *format;
    uint64_t size;       /* of the disk; a multiple of 512 */
    bool replace;        /* a file of that name, unless somebody has it open */
    const char *backing; /* qcow2: as the image will name it; NULL: none */
    const char *backing_format;
    unsigned cluster_size; /* qcow2: 512 to 2 MiB; 0: 64 KiB */
};

int disk_create(const struct disk_new *n, struct error *err);

/* Called now and then with how much of a total is done. true: give up, which leaves nothing. */
typedef bool disk_progress_fn(void *arg, uint64_t done, uint64_t total);

struct disk_copy {
    struct disk *from;
    struct disk_new to; /* .size is set from the source */
    disk_progress_fn *progress;
    void *arg;
};

/*
 * All that is on a disk into a new image, without what reads as zeroes. Where .to.path is a block
 * device, format raw and .replace, it is written over instead.
 */
int disk_convert(struct disk_copy *c, struct error *err);

/*
 * Write what overlay has into base, which is made larger if need be, then empty overlay. It is
 * opened with DISK_NO_BACKING, base for writing. Giving up leaves overlay as it was, and the
 * disk seen through it too.
 */
int disk_commit(struct disk *overlay, struct disk *base, disk_progress_fn *progress, void *arg,
                struct error *err);

#endif
