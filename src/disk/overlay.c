/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Throwaway writes: an unnamed file of holes, as large as the disk, and for each block of 4 KiB a
 * bit that says whether the file has it or the disk below. A block is at the same offset in both,
 * so there is no other metadata; the bits are in pages of 4 KiB, for 128 MiB of disk each, that
 * are there when something was written to them. All of it is gone with the last descriptor.
 *
 * A block that the file does not have is a hole there, so what a first write leaves out is copied from
 * below only where that is not zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "disk/driver.h"

#define BLOCK      4096u
#define PAGE_BITS  15u /* log2 of the blocks of a page */
#define PAGE_WORDS ((1u << PAGE_BITS) / 64)

struct overlay {
    uint64_t **pages; /* NULL: none of its blocks */
    uint64_t npages;
    bool stained; /* a block that is not there may not be a hole any more */
};

static bool has(const struct overlay *o, uint64_t block)
{
    const uint64_t *page = o->pages[block >> PAGE_BITS];
    uint64_t i = block & ((1u << PAGE_BITS) - 1);
    return page && (page[i / 64] >> i % 64 & 1);
}

/* How many blocks from the first on, max at most, are as it is. */
static uint64_t run(const struct overlay *o, uint64_t block, uint64_t max)
{
    bool there = has(o, block);
    uint64_t n = 1;
    while (n < max && has(o, block + n) == there)
        n++;
    return n;
}

static void set(struct overlay *o, uint64_t block, uint64_t n)
{
    for (uint64_t b = block; b < block + n; b++) {
        uint64_t **page = &o->pages[b >> PAGE_BITS], i = b & ((1u << PAGE_BITS) - 1);
        if (*page == NULL)
            *page = xcalloc(PAGE_WORDS, sizeof **page);
        (*page)[i / 64] |= UINT64_C(1) << i % 64;
    }
}

static uint64_t blocks_of(uint64_t offset, uint64_t length)
{
    return (offset % BLOCK + length + BLOCK - 1) / BLOCK;
}

/* The range up to the end of the run of blocks in which it begins. */
static uint64_t clip(const struct overlay *o, uint64_t offset, uint64_t length)
{
    uint64_t n = run(o, offset / BLOCK, blocks_of(offset, length));
    return min(length, n * BLOCK - offset % BLOCK);
}

static int overlay_open(struct disk *d, const struct disk_spec *spec, struct error *err)
{
    (void)spec;
    struct overlay *o = xcalloc(1, sizeof *o);
    d->size = disk_size(d->backing);
    d->granularity = BLOCK;
    o->npages = (blocks_of(0, d->size) >> PAGE_BITS) + 1;
    o->pages = calloc(o->npages, sizeof *o->pages); /* touched where the guest writes */
    d->state = o;
    if (o->pages == NULL) {
        free(o);
        return error_set(err, ENOMEM, "throwaway writes over %llu bytes",
                         (unsigned long long)d->size);
    }
    if (hostfile_truncate(&d->file, d->size, err) == 0)
        return 0;
    free(o->pages);
    free(o);
    return -1;
}

static int overlay_close(struct disk *d, struct error *err)
{
    (void)err;
    struct overlay *o = d->state;
    for (uint64_t i = 0; i < o->npages; i++)
        free(o->pages[i]);
    free(o->pages);
    free(o);
    return 0;
}

static int overlay_map_read(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                            struct error *err)
{
    struct overlay *o = d->state;
    length = clip(o, offset, length);
    if (!has(o, offset / BLOCK))
        return disk_map_backing(d, offset, length, m, err);
    disk_map_data(m, d, offset, length);
    return 0;
}

static int overlay_map_write(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                             struct error *err)
{
    (void)err;
    struct overlay *o = d->state;
    disk_map_data(m, d, offset, clip(o, offset, length));
    m->fresh = !has(o, offset / BLOCK);
    m->blank = !o->stained;
    return 0;
}

/* What is below beside the guest's part of a block. */
static int copy_below(struct disk *d, const struct disk_map *m, uint64_t offset, uint64_t length,
                      struct error *err)
{
    char buf[BLOCK];
    while (length > 0) {
        struct disk_map old;
        if (disk_map_read(d->backing, offset, length, &old, err) < 0)
            return -1;
        struct iovec v = {buf, old.length};
        int rc = 0;
        if (old.kind != DISK_ZERO || !m->blank) {
            rc = disk_map_io(&old, &v, 1, err);
            if (rc == 0)
                rc = hostfile_write(&d->file, buf, old.length, offset, err);
        }
        disk_unmap(&old, rc == 0, NULL);
        if (rc < 0)
            return -1;
        offset += old.length;
        length -= old.length;
    }
    return 0;
}

static int overlay_fill(struct disk *d, struct disk_map *m, struct error *err)
{
    uint64_t head = m->guest % BLOCK, end = m->guest + m->length;
    uint64_t whole = min((end + BLOCK - 1) / BLOCK * BLOCK, disk_size(d));
    if (head && copy_below(d, m, m->guest - head, head, err) < 0)
        return -1;
    return end < whole ? copy_below(d, m, end, whole - end, err) : 0;
}

static int overlay_link(struct disk *d, struct disk_map *m, struct error *err)
{
    (void)err;
    set(d->state, m->guest / BLOCK, blocks_of(m->guest, m->length));
    return 0;
}

/* What was half written must be a hole again. */
static void overlay_drop(struct disk *d, struct disk_map *m)
{
    struct overlay *o = d->state;
    uint64_t start = m->guest / BLOCK * BLOCK, n = blocks_of(m->guest, m->length);
    if (hostfile_punch_zero(&d->file, start, n * BLOCK) < 0)
        o->stained = true;
}

static int overlay_zero(struct disk *d, uint64_t offset, uint64_t length, bool unmap,
                        uint64_t *done, struct error *err)
{
    (void)unmap; /* nothing here is worth to be kept allocated */
    *done = length;
    if (hostfile_punch_zero(&d->file, offset, length) < 0 &&
        hostfile_zero(&d->file, offset, length, err) < 0)
        return -1;
    set(d->state, offset / BLOCK, blocks_of(offset, length));
    return 0;
}

static int overlay_discard(struct disk *d, uint64_t offset, uint64_t length, uint64_t *done,
                           struct error *err)
{
    return overlay_zero(d, offset, length, true, done, err);
}

static int overlay_flush(struct disk *d, struct error *err)
{
    (void)d;
    (void)err;
    return 0;
}

static bool overlay_flush_is_sync(struct disk *d)
{
    (void)d;
    return false; /* it is even less */
}

static void overlay_info(struct disk *d, struct disk_info *info)
{
    d->backing->driver->info(d->backing, info);
}

static const struct disk_driver driver_overlay = {
    .name = "overlay",
    .open = overlay_open,
    .close = overlay_close,
    .map_read = overlay_map_read,
    .map_write = overlay_map_write,
    .fill = overlay_fill,
    .link = overlay_link,
    .drop = overlay_drop,
    .discard = overlay_discard,
    .zero = overlay_zero,
    .flush = overlay_flush,
    .flush_is_sync = overlay_flush_is_sync,
    .info = overlay_info,
};

/* A file without a name. */
static int open_unnamed(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
        return fd;
    cleanup_free char *path = xasprintf("%s/pult.XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

int disk_open_overlay(struct disk *base, const char *scratch, struct disk **out, struct error *err)
{
    struct hostfile f;
    struct disk_spec spec = {.path = base->file.path};
    cleanup_free char *path = xasprintf("the throwaway writes of '%s'", base->file.path);
    int fd = open_unnamed(scratch ? scratch : "/var/tmp");
    if (fd < 0) {
        error_set(err, errno, "make a file in '%s' for %s", scratch ? scratch : "/var/tmp", path);
        disk_close(base, NULL);
        return -1;
    }
    if (hostfile_adopt(&f, fd, path, err) < 0) {
        hostfile_close(&f);
        disk_close(base, NULL);
        return -1;
    }
    f.fleeting = true;
    return disk_open_on(&driver_overlay, &f, base, &spec, out, err);
}
