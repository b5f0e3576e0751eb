/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * raw: the file is the disk. A file whose size is no multiple of a sector's is taken for one that
 * is, as QEMU does it: what is missing reads as zeroes, and appears when it is written.
 */
#include <errno.h>

#include "base/util.h"
#include "disk/driver.h"

#define SECTOR          512u
#define RAW_GRANULARITY 4096u

static int raw_open(struct disk *d, const struct disk_spec *spec, struct error *err)
{
    if (spec->backing)
        return error_set(err, 0, "'%s' is raw, which has no backing file", d->file.path);
    if (d->file.size > INT64_MAX - SECTOR)
        return error_set(err, EFBIG, "use '%s' as a disk", d->file.path);
    d->size = (d->file.size + SECTOR - 1) / SECTOR * SECTOR;
    d->granularity = RAW_GRANULARITY;
    return 0;
}

static int raw_close(struct disk *d, struct error *err)
{
    (void)d;
    (void)err;
    return 0;
}

static int raw_map(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                   struct error *err)
{
    (void)err;
    disk_map_data(m, d, offset, length);
    return 0;
}

static int raw_discard(struct disk *d, uint64_t offset, uint64_t length, uint64_t *done,
                       struct error *err)
{
    (void)err;
    hostfile_punch(&d->file, offset, length);
    *done = length;
    return 0;
}

/* By a hole where the space may go, else by zeroes that keep it. */
static int raw_zero(struct disk *d, uint64_t offset, uint64_t length, bool unmap, uint64_t *done,
                    struct error *err)
{
    *done = length;
    if (unmap && hostfile_punch_zero(&d->file, offset, length) == 0)
        return 0;
    return hostfile_zero(&d->file, offset, length, err);
}

static int raw_flush(struct disk *d, struct error *err)
{
    return hostfile_sync(&d->file, err);
}

static bool raw_flush_is_sync(struct disk *d)
{
    (void)d;
    return true;
}

static int raw_resize(struct disk *d, uint64_t size, struct error *err)
{
    if (d->file.device)
        return error_set(err, 0, "'%s' is a device, whose size cannot be changed here",
                         d->file.path);
    if (hostfile_truncate(&d->file, size, err) < 0 || hostfile_sync(&d->file, err) < 0)
        return -1;
    __atomic_store_n(&d->size, size, __ATOMIC_RELAXED);
    return 0;
}

static void raw_info(struct disk *d, struct disk_info *info)
{
    (void)d;
    (void)info;
}

static int raw_format(struct hostfile *f, const struct disk_new *n, struct error *err)
{
    if (n->backing)
        return error_set(err, 0, "a raw disk cannot be based on another one");
    return hostfile_truncate(f, n->size, err);
}

static int raw_inspect(struct hostfile *f, struct disk_info *info, struct error *err)
{
    (void)err;
    info->size = (f->size + SECTOR - 1) / SECTOR * SECTOR;
    return 0;
}

const struct disk_driver driver_raw = {
    .name = "raw",
    .plain = true,
    .open = raw_open,
    .close = raw_close,
    .map_read = raw_map,
    .map_write = raw_map,
    .discard = raw_discard,
    .zero = raw_zero,
    .flush = raw_flush,
    .flush_is_sync = raw_flush_is_sync,
    .info = raw_info,
    .resize = raw_resize,
    .format = raw_format,
    .inspect = raw_inspect,
};
