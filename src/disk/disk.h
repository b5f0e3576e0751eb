/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disk images: what a guest's disk, or a tool, sees of a file or a block device of the host.
 *
 * Theory of operation. A format (raw, qcow2) is not a stream that data goes through; it is a map
 * that says where a range of the guest's disk lies in which file of the host. Whoever does the
 * I/O asks for a map, moves the data himself between his buffers and that file (io_uring, preadv,
 * no copy between), and gives the map back:
 *
 *     disk_map_write(d, offset, length, &m, err)   where to? length may come back smaller
 *     pwritev(m.fd, …, m.offset)                   in whatever way, for m.length bytes
 *     disk_unmap(&m, true, err)                    it is there: now the guest may be told
 *
 * A map for reading is of one of the kinds DATA (read it there), ZERO (nothing to read) or COPY
 * (compressed: only disk_map_io() can). A map for writing is always DATA, or it is none but BUSY. Where the range
 * has no place yet, asking for a write map allocates it, copies what the guest does not write but
 * shares the cluster, and keeps all this from everybody's eyes until disk_unmap(m, true): an image
 * on the disk never refers to what was not written yet. disk_unmap(m, false) takes it back. While
 * such a map is out, another write to the same cluster is BUSY: to be asked for again after the next
 * disk_unmap() of a write on this disk.
 *
 * Between map and unmap the place stays the range's: a discard meanwhile frees nothing under it.
 *
 * Threads. Any number of threads may use a disk at once; only disk_close() must be the last call.
 * Metadata is under one lock in each disk, which is never held while data is moved. Asking for a map
 * may read metadata of the image, and may write some to make room in its bounded cache, so it can block
 * for as long as the host's disk takes, but for nobody else's requests. disk_map_…(), disk_unmap(),
 * disk_map_io() and disk_discard() and disk_write_zeroes() without DISK_WAIT never wait for a map
 * that is out. Those that do (disk_preadv, disk_pwritev, DISK_WAIT) must not be called by a thread
 * that has to unmap something first.
 *
 * Durability. What was unmapped before disk_flush() began is on the host's disk when it returns.
 * A qcow2 image is consistent on the disk at any moment, also without flushes: at worst clusters are
 * leaked.
 *
 * Errors. Every failing function leaves the disk as it was, to be asked again: where err->code is
 * ENOSPC or EDQUOT (disk_is_full()) the host has no room, and the same request will go through once
 * it has. An image found to be corrupt is marked so, and only read from then on.
 *
 * After disk_open() no further file is opened; the system calls are preadv, pwritev, pread64,
 * pwrite64, fdatasync, ftruncate, fallocate, fstat, lseek, fcntl (locks), futex and memory.
 */
#ifndef PULT_DISK_DISK_H
#define PULT_DISK_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"

struct disk;
struct hostfile;

/* ---- opening ---- */

enum {
    DISK_READONLY = 1 << 0,
    DISK_SNAPSHOT = 1 << 1,    /* writes go to an unnamed file in .scratch, and vanish with it */
    DISK_DIRECT = 1 << 2,      /* O_DIRECT: data passes by the host's page cache */
    DISK_OWN_BACKING = 1 << 3, /* use the backing file that the image itself names: tools only */
    DISK_NO_BACKING = 1 << 4,  /* only what the image itself has, and nothing that needs more */
    DISK_NO_LOCK = 1 << 5,     /* look at an image that may be in use: read-only, metadata only */
    DISK_FOR_CHECK = 1 << 6,   /* take one that is dirty or marked corrupt, as it is */
};

#define DISK_CHAIN_MAX 64 /* images that are based on each other */

/* A file and how to read it. The format is never guessed. */
struct disk_spec {
    const char *path;
    const char *format;              /* "raw", "qcow2" */
    const struct disk_spec *backing; /* what it is based on, if it is; opened read-only */
    unsigned flags;
    const char *scratch; /* a directory for DISK_SNAPSHOT; NULL: /var/tmp */
};

/*
 * Open an image and what it is based on. They are locked as QEMU does it: one writer, or readers.
 * An image that says it has a backing file needs .backing (or a flag from above), one that does
 * not must not be given any.
 */
int disk_open(const struct disk_spec *spec, struct disk **out, struct error *err);

/* Write back, unlock, free. -1: something was not written; it is closed nevertheless. */
int disk_close(struct disk *d, struct error *err);
void disk_closep(struct disk **d);
#define cleanup_disk __attribute__((cleanup(disk_closep)))

/* Where a backing file is that an image names: beside it, unless it says more. Caller frees. */
char *disk_backing_path(const char *image, const char *name);

/* Is there a format of this name? */
bool disk_format_known(const char *format);
/* All of them, NULL-terminated. */
extern const char *const disk_formats[];

uint64_t disk_size(const struct disk *d); /* bytes, a multiple of 512 */
bool disk_readonly(const struct disk *d);
const char *disk_path(const struct disk *d);
/* Bytes in which space is allocated and discarded: a good discard granularity and optimal I/O size. */
unsigned disk_granularity(const struct disk *d);
bool disk_is_full(const struct error *err);

/* ---- the data path ---- */

enum disk_kind {
    DISK_DATA,  /* at .offset of .fd */
    DISK_ZERO,  /* reads as zeroes */
    DISK_COPY,  /* for disk_map_io() only */
    DISK_BUSY,  /* not mapped: ask again after an unmap */
    DISK_BELOW, /* only with DISK_NO_BACKING: the image itself has nothing there */
};

/* Part of a request: to be kept in it by who does the I/O, and not moved while it is out. */
struct disk_map {
    enum disk_kind kind;
    int fd;
    unsigned align;  /* what O_DIRECT asks of offset, length and memory here; 1: nothing */
    uint64_t offset; /* in fd */
    uint64_t length; /* how much of the range, from its start: 1 … what was asked for */

    /* The disk's own. */
    uint64_t guest;
    struct disk *disk, *layer;
    bool write, fresh, tracked, reuse, blank;
    uint8_t epoch;
    uint64_t host; /* of the first cluster that was allocated */
    uint32_t clusters;
    uint32_t packed; /* bytes of compressed data */
    struct disk_map *next, **prev;
};

/*
 * offset + length must not exceed the disk's size. 0: m is filled; unless its kind is BUSY it must
 * be unmapped. A DATA map for reading may reach beyond the end of its file: what a short read leaves
 * out is zero (disk_map_io() knows).
 */
int disk_map_read(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                  struct error *err);
int disk_map_write(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                   struct error *err);

/*
 * The data was moved (done), or it was not. Never fails for a read or where done is false; a write
 * that cannot be recorded in the image counts as not done.
 */
int disk_unmap(struct disk_map *m, bool done, struct error *err);

/* How many maps that others may have met as BUSY have come back. If no more have, BUSY it is still. */
uint64_t disk_unmaps(const struct disk *d);

/*
 * Move the first m->length bytes of the buffers here and now, whatever the kind of map and the
 * alignment: for COPY, for what a short read left, and for those who do not do their own I/O.
 */
int disk_map_io(struct disk_map *m, const struct iovec *iov, int iovcnt, struct error *err);

/* All at once: map, move, unmap, as often as it takes. Waits where it is BUSY. */
int disk_preadv(struct disk *d, const struct iovec *iov, int iovcnt, uint64_t offset,
                struct error *err);
int disk_pwritev(struct disk *d, const struct iovec *iov, int iovcnt, uint64_t offset,
                 struct error *err);
int disk_pread(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err);
int disk_pwrite(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err);

enum {
    DISK_WAIT = 1 << 0,  /* where it is BUSY */
    DISK_UNMAP = 1 << 1, /* of write_zeroes: the space may be given back */
};

/*
 * The guest does not need this range any more. What of it is whole clusters is given back to the
 * host where that can be done; the rest stays. 1: BUSY, nothing or a part was done.
 */
int disk_discard(struct disk *d, uint64_t offset, uint64_t length, unsigned flags,
                 struct error *err);
/* Make it read as zeroes, at little cost where the format or the host's file system can. 1: BUSY. */
int disk_write_zeroes(struct disk *d, uint64_t offset, uint64_t length, unsigned flags,
                      struct error *err);

int disk_flush(struct disk *d, struct error *err);
/* A descriptor whose fdatasync() is all that disk_flush() would do at this moment; -1: it is more. */
int disk_flush_fd(struct disk *d);

/* ---- about an image ---- */

struct disk_snapshot_info {
    char *id, *name;
    int64_t date;      /* seconds since 1970 */
    uint64_t vm_state; /* bytes that a VM's memory takes in it */
    uint64_t size;     /* of the disk then */
};

struct disk_info {
    const char *format;
    uint64_t size;      /* as the guest sees it */
    uint64_t file_size; /* of the host's file */
    uint64_t allocated; /* what that takes on the host's disk */
    /* qcow2: */
    unsigned version, cluster_size, refcount_bits;
    const char *compression; /* "zlib", "zstd" */
    bool lazy_refcounts, dirty, corrupt;
    char *unsupported;                   /* why it cannot be opened, NULL: it can */
    char *backing_path, *backing_format; /* as the image says, or NULL; not to be believed */
    struct disk_snapshot_info *snapshots;
    size_t nsnapshots;
};

/* What an image says of itself. Locks nothing, follows nothing, and takes what cannot be opened too. */
int disk_inspect(const char *path, const char *format, struct disk_info *info, struct error *err);
int disk_get_info(struct disk *d, struct disk_info *info, struct error *err);
void disk_info_clear(struct disk_info *info);

/* ---- changing an image: while no map is out; what it takes is done with the lock held ---- */

enum disk_snapshot_op { DISK_SNAPSHOT_CREATE, DISK_SNAPSHOT_APPLY, DISK_SNAPSHOT_DELETE };

/* Internal snapshots, by name or number. Applying one may change the disk's size. */
int disk_snapshot(struct disk *d, enum disk_snapshot_op op, const char *name, struct error *err);

/*
 * The same of a raw disk, in another file that shares its blocks: make that empty file the disk's
 * state, or go back to it. -1 with a hint where the file system cannot do that.
 */
int disk_reflink_to(struct disk *d, int fd, struct error *err);
int disk_reflink_from(struct disk *d, int fd, struct error *err);

/* What comes to it reads as zeroes. What is cut off is gone; not while there are snapshots. */
int disk_resize(struct disk *d, uint64_t size, struct error *err);

struct disk_check {
    bool repair;
    void (*say)(void *arg, const char *text); /* a finding; may be NULL */
    void *arg;
    bool (*cancelled)(void *arg); /* asked now and then; may be NULL */

    uint64_t clusters, used, compressed; /* of the disk: all, with data, compressed */
    uint64_t errors, leaks;              /* found */
    bool repaired;                       /* … and there are none any more */
};

/*
 * Is the image's metadata sound? Open it with DISK_FOR_CHECK | DISK_NO_BACKING, and read-only
 * unless it is to be repaired. -1: that could not be found out.
 */
int disk_check(struct disk *d, struct disk_check *c, struct error *err);

#endif
