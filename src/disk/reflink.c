/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * States of a raw disk: files that share its blocks until one of them changes (reflinks), where the
 * file system has such. Nothing is copied, however large it is.
 */
#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/driver.h"

static int check(const struct disk *d, struct error *err)
{
    if (!d->driver->plain || d->backing)
        return error_set(err, 0, "'%s' is no raw disk", disk_path(d));
    if (d->file.device)
        return error_set(err, 0, "'%s' is a device, whose states cannot be kept here",
                         d->file.path);
    return d->readonly ? error_set(err, EROFS, "change '%s'", d->file.path) : 0;
}

static int refuse(const struct disk *d, int code, struct error *err)
{
    if (code != EOPNOTSUPP && code != ENOTTY && code != EXDEV && code != EINVAL)
        return error_set(err, code, "keep the state of '%s'", d->file.path);
    error_set(err, 0, "'%s' is a raw disk, and its file system cannot keep states of a file%s",
              d->file.path, code == EXDEV ? " beside the guest's directory" : "");
    return error_hint(err, "`pult disk convert` makes a qcow2 image of it, which can");
}

int disk_reflink_to(struct disk *d, int fd, struct error *err)
{
    if (check(d, err) < 0)
        return -1;
    return ioctl(fd, FICLONE, d->file.meta) < 0 ? refuse(d, errno, err) : 0;
}

int disk_reflink_from(struct disk *d, int fd, struct error *err)
{
    struct stat st;

    if (check(d, err) < 0)
        return -1;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, errno, "look at the kept state of '%s'", d->file.path);
    if (hostfile_truncate(&d->file, (uint64_t)st.st_size, err) < 0)
        return -1;
    if (ioctl(d->file.meta, FICLONE, fd) < 0)
        return refuse(d, errno, err);
    __atomic_store_n(&d->size, ((uint64_t)st.st_size + 511) / 512 * 512, __ATOMIC_RELAXED);
    return hostfile_sync(&d->file, err);
}
