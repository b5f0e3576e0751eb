/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks of a definition, see disks.h.
 *
 * The host being full stops the guest: blk.h's `full` is passed on as the machine's disk_full.
 */
#include "kvm/disks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/util.h"
#include "disk/definition.h"
#include "guest/keeper.h"
#include "kvm/machine.h"
#include "kvm/throw/throw.h"
#include "kvm/virtio/blk.h"

#define THREADS     24u /* for the disks of a machine together */
#define THREADS_ONE 4u  /* for one of them at most */

struct disks {
    size_t count;
    struct {
        struct disk *disk;
        struct virtio_device *device;
    } all[];
};

/* ---- the definition ---- */

/* Two disks on one file would lock out each other, and say so less clearly. */
static int check_twice(const struct disk_key *o, size_t n, const struct disk_definition *d,
                       const struct stat *st, struct error *err)
{
    const unsigned only_read = DISK_READONLY | DISK_SNAPSHOT;

    for (size_t i = 0; i < n; i++)
        if (st[i].st_dev == st[n].st_dev && st[i].st_ino == st[n].st_ino &&
            !(d[i].spec.flags & only_read && d[n].spec.flags & only_read))
            return error_set(err, 0, "%s and %s are one file, '%s', which only one can write to",
                             o[i].key, o[n].key, d[n].spec.path);
    return 0;
}

/* Which disk is first is asked for by what boots from them, and each has its own place. */
static int check_boot_index(const struct disk_key *o, size_t n, const struct disk_definition *d,
                            bool boots, struct error *err)
{
    if (d[n].boot_index < 0)
        return 0;
    if (!boots) {
        error_set(err, 0, "%s: bootindex is for a VM that boots from its disks", o[n].key);
        return error_hint(err, "set vm.rootfs = disk, or leave it out");
    }
    for (size_t i = 0; i < n; i++)
        if (d[i].boot_index == d[n].boot_index)
            return error_set(err, 0, "%s and %s have the same bootindex, %d", o[i].key, o[n].key,
                             d[n].boot_index);
    return 0;
}

static int check_all(const struct disk_keys *l, const char *dir, bool boots,
                     struct disk_definition *d, struct stat *st, struct error *err)
{
    for (size_t i = 0; i < l->count; i++) {
        if (disk_definition_parse(l->all[i].value, dir, &d[i], err) < 0 ||
            disk_definition_check(&d[i], err) < 0)
            return error_wrap(err, "%s", l->all[i].key);
        if (stat(d[i].spec.path, &st[i]) < 0)
            return error_set(err, errno, "%s: look at '%s'", l->all[i].key, d[i].spec.path);
        if (check_twice(l->all, i, d, st, err) < 0 ||
            check_boot_index(l->all, i, d, boots, err) < 0)
            return -1;
    }
    return 0;
}

int disks_check(const struct guest_def *def, struct error *err)
{
    cleanup_disk_keys struct disk_keys l = disk_keys(def->conf);
    struct disk_definition *d = xcalloc(l.count + 1, sizeof(d[0]));
    struct stat *st = xcalloc(l.count + 1, sizeof(st[0]));
    int rc = check_all(&l, def->dir, throw_from_disk(def), d, st, err);

    for (size_t i = 0; i < l.count; i++)
        disk_definition_clear(&d[i]);
    free(d);
    free(st);
    return rc;
}

/* ---- the machine ---- */

static void pass_full_on(void *arg, const char *why)
{
    struct machine *m = arg;

    m->disk_full(m->console_arg, why);
}

/* What is thrown away needs not be synced. */
static struct blk_config config_of(const struct machine *m, struct keeper *k,
                                   const struct disk_definition *d, struct disk *disk)
{
    struct status_page *page = k->status.page;
    const unsigned share = THREADS / (unsigned)max(m->disks->count, (size_t)1);

    return (struct blk_config){
        .disk = disk,
        .serial = d->serial,
        .writethrough = d->writethrough,
        .no_flush = d->no_flush || (d->spec.flags & DISK_SNAPSHOT),
        .bytes_per_second = d->bytes_per_second,
        .requests_per_second = d->requests_per_second,
        .queues = min(m->cpus, BLK_QUEUES),
        .workers = max(min(share, min(m->cpus, THREADS_ONE)), 1u),
        .bytes_read = &page->disk_read,
        .bytes_written = &page->disk_written,
        .full = m->disk_full ? pass_full_on : NULL,
        .full_arg = (void *)m,
    };
}

static int add_one(struct machine *m, struct keeper *k, size_t i, const struct disk_key *o,
                   struct error *err)
{
    cleanup_definition struct disk_definition d;

    if (disk_definition_parse(o->value, k->def->dir, &d, err) < 0 ||
        disk_open(&d.spec, &m->disks->all[i].disk, err) < 0)
        return error_wrap(err, "%s", o->key);
    struct blk_config config = config_of(m, k, &d, m->disks->all[i].disk);
    m->disks->all[i].device = blk_add(&m->virtio, &config, err);
    return m->disks->all[i].device ? 0 : error_wrap(err, "%s", o->key);
}

int disks_add(struct machine *m, struct keeper *k, struct error *err)
{
    cleanup_disk_keys struct disk_keys l = disk_keys(k->def->conf);

    m->disks = xcalloc(1, sizeof(*m->disks) + l.count * sizeof(m->disks->all[0]));
    m->disks->count = l.count;
    for (size_t i = 0; i < l.count; i++)
        if (add_one(m, k, i, &l.all[i], err) < 0)
            return -1;
    return 0;
}

void disks_retry(struct machine *m)
{
    for (size_t i = 0; m->disks && i < m->disks->count; i++)
        blk_retry(m->disks->all[i].device);
}

void disks_close(struct disks *d)
{
    for (size_t i = 0; d && i < d->count; i++)
        disk_closep(&d->all[i].disk);
    free(d);
}
