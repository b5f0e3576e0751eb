/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a format is to disk.c: one const struct of functions. disk.c keeps the book of maps that
 * are out, holds the lock while it asks the driver for one, and sees to it that no two writes
 * allocate the same cluster.
 *
 * What a map that is out may still use must not be given to anybody else. So the book counts maps
 * by epochs: whoever frees something notes the epoch in which he does it, disk_drained() tells
 * when all maps of that epoch, or of one before it, have come back.
 */
#ifndef PULT_DISK_DRIVER_H
#define PULT_DISK_DRIVER_H

#include <pthread.h>

#include "disk/disk.h"
#include "disk/hostfile.h"
#include "disk/image.h"

struct disk_driver {
    const char *name;
    /* A map is the file itself at the same offset, for ever: there is no book, and no lock. */
    bool plain;

    /* d->file is open, d->backing too if there is one. Sets size and granularity. */
    int (*open)(struct disk *d, const struct disk_spec *spec, struct error *err);
    /* Write back and free the state. The file is closed by the caller. */
    int (*close)(struct disk *d, struct error *err);

    /* Under the lock. A map of length ≥ 1; layer and file of it are set by who fills it. */
    int (*map_read)(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                    struct error *err);
    int (*map_write)(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                     struct error *err);
    int (*link)(struct disk *d, struct disk_map *m, struct error *err); /* a fresh one is written */
    void (*drop)(struct disk *d, struct disk_map *m);                   /* … or will not be */
    bool (*pressed)(struct disk *d); /* is a flush due, for its own sake? May be NULL. */

    /* Under the lock, in whole granules. May do less than asked: *done says how much. */
    int (*discard)(struct disk *d, uint64_t offset, uint64_t length, uint64_t *done,
                   struct error *err);
    /* *done may be 0: it cannot, zeroes have to be written. */
    int (*zero)(struct disk *d, uint64_t offset, uint64_t length, bool unmap, uint64_t *done,
                struct error *err);

    /*
     * Not under the lock: what a fresh map's clusters have beside what will be written, which
     * nobody else touches meanwhile. May be NULL.
     */
    int (*fill)(struct disk *d, struct disk_map *m, struct error *err);
    /* Not under the lock. A map of kind COPY. */
    int (*read_copy)(struct disk *d, const struct disk_map *m, struct iov_cursor to,
                     struct error *err);
    int (*flush)(struct disk *d, struct error *err);
    bool (*flush_is_sync)(struct disk *d); /* see disk_flush_fd() */
    void (*info)(struct disk *d, struct disk_info *info);
    /* NULL: it has no such thing. */
    int (*snapshot)(struct disk *d, enum disk_snapshot_op op, const char *name, struct error *err);
    int (*resize)(struct disk *d, uint64_t size, struct error *err);
    int (*check)(struct disk *d, struct disk_check *c, struct error *err);
    int (*empty)(struct disk *d, struct error *err); /* give all to what it is based on */
    /* Make an empty image on an empty file. */
    int (*format)(struct hostfile *f, const struct disk_new *n, struct error *err);
    /* What an image says of itself, also if it cannot be opened. */
    int (*inspect)(struct hostfile *f, struct disk_info *info, struct error *err);
};

struct disk {
    const struct disk_driver *driver;
    struct hostfile file;
    void *state; /* the driver's */
    struct disk *backing;
    uint64_t size;
    unsigned granularity; /* a power of 2 */
    bool readonly;

    pthread_mutex_t lock;
    pthread_cond_t unmapped; /* a fresh map came back */
    struct disk_map *fresh;  /* fresh write maps that are out */
    _Atomic uint64_t unmaps; /* how many came back */
    uint64_t epoch;
    unsigned out[2]; /* tracked maps of this epoch and of the one before, by the last bit of it */
};

extern const struct disk_driver driver_raw, driver_qcow2;

/* Throwaway writes over base, which it owns, also on failure. */
int disk_open_overlay(struct disk *base, const char *scratch, struct disk **out, struct error *err);

/* Open an image on a file that is open already, and locked if need be. Owns f and backing, also on failure. */
int disk_open_on(const struct disk_driver *driver, struct hostfile *f, struct disk *backing,
                 const struct disk_spec *spec, struct disk **out, struct error *err);

const struct disk_driver *disk_driver(const char *format);

/* Under the lock of d: did all maps of this epoch come back? */
bool disk_drained(struct disk *d, uint64_t epoch);

/* Under d's lock: how the backing file, if any, has this range. For map_read of the layer above. */
int disk_map_backing(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                     struct error *err);

/* Fill in a map. */
void disk_map_data(struct disk_map *m, struct disk *layer, uint64_t offset, uint64_t length);
void disk_map_zero(struct disk_map *m, uint64_t length);

#endif
