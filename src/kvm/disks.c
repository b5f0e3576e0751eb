/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Disks of a definition, see disks.h.
 *
 * The host being full stops the guest: blk.h's `full` is passed on as the machine's disk_full.
 */
#include "kvm/disks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "disk/definition.h"
#include "guest/keeper.h"
#include "kvm/machine.h"
#include "kvm/throw/throw.h"
#include "kvm/virtio/blk.h"

#define THREADS     24u /* for the disks of a machine together */
#define THREADS_ONE 4u  /* for one of them at most */

/* Where a snapshot keeps a disk's state. */
enum keeping {
    KEEP_NOTHING, /* nobody writes to it */
    KEEP_INSIDE,  /* in the image itself, by DISKS_INSIDE and the snapshot's name */
    KEEP_FILE,    /* in a file of the snapshot, whose blocks are shared: raw */
};

struct disks {
    size_t count;
    struct {
        struct disk *disk;
        struct virtio_device *device;
        enum keeping keeping;
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

static enum keeping keeping_of(const struct disk_definition *d)
{
    if (d->spec.flags & DISK_READONLY)
        return KEEP_NOTHING;
    return strcmp(d->spec.format, "raw") == 0 ? KEEP_FILE : KEEP_INSIDE;
}

/* Make a disk that nobody uses yet what it was in a snapshot. */
static int go_back(struct disk *d, enum keeping keeping, const struct keeper *k, unsigned long n,
                   struct error *err)
{
    cleanup_free char *inside = xasprintf(DISKS_INSIDE "%s", k->snapshot);
    cleanup_free char *path = xasprintf("%s/" DISKS_FILE, k->snapshot_dir, n);

    if (keeping == KEEP_NOTHING)
        return 0;
    if (keeping == KEEP_INSIDE)
        return disk_snapshot(d, DISK_SNAPSHOT_APPLY, inside, err);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_set(err, errno, "open '%s'", path);
    return disk_reflink_from(d, fd, err);
}

static int add_one(struct machine *m, struct keeper *k, size_t i, const struct disk_key *o,
                   struct error *err)
{
    cleanup_definition struct disk_definition d;

    if (disk_definition_parse(o->value, k->def->dir, &d, err) < 0 ||
        disk_open(&d.spec, &m->disks->all[i].disk, err) < 0)
        return error_wrap(err, "%s", o->key);
    m->disks->all[i].keeping = keeping_of(&d);
    if (k->snapshot &&
        go_back(m->disks->all[i].disk, m->disks->all[i].keeping, k, o->number, err) < 0)
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

/* ---- snapshots ---- */

static int file_of(const struct disk_key *o, const struct disk_definition *d, char **file,
                   struct error *err)
{
    *file = NULL;
    if (d->spec.flags & DISK_SNAPSHOT)
        return error_set(
            err, 0,
            "%s: what is written to '%s' is forgotten at the end (snapshot), and cannot "
            "be kept",
            o->key, d->spec.path);
    if (keeping_of(d) == KEEP_FILE)
        *file = xasprintf(DISKS_FILE, o->number);
    return 0;
}

int disks_files(const struct guest_def *def, char **names, size_t most, struct error *err)
{
    cleanup_disk_keys struct disk_keys l = disk_keys(def->conf);
    size_t n = 0;

    for (size_t i = 0; i < l.count; i++) {
        cleanup_definition struct disk_definition d;
        if (disk_definition_parse(l.all[i].value, def->dir, &d, err) < 0 ||
            file_of(&l.all[i], &d, &names[n], err) < 0)
            return -1;
        n += names[n] != NULL;
        if (n == most)
            return error_set(err, 0, "a VM with %zu or more raw disks cannot have snapshots", n);
    }
    return 0;
}

/* Take back what the first n disks have of it. */
static void untake(struct disks *d, size_t n, const char *inside)
{
    struct error err;

    for (size_t i = 0; i < n; i++)
        if (d->all[i].keeping == KEEP_INSIDE &&
            disk_snapshot(d->all[i].disk, DISK_SNAPSHOT_DELETE, inside, &err) < 0)
            log_line("remove what was kept of a snapshot that failed: %s", err.text);
}

int disks_take(struct machine *m, const char *name, const int *files, struct error *err)
{
    cleanup_free char *inside = xasprintf(DISKS_INSIDE "%s", name);
    struct disks *d = m->disks;

    for (size_t i = 0; d && i < d->count; i++) {
        int rc = 0;
        if (d->all[i].keeping == KEEP_INSIDE)
            rc = disk_snapshot(d->all[i].disk, DISK_SNAPSHOT_CREATE, inside, err);
        else if (d->all[i].keeping == KEEP_FILE)
            rc = disk_reflink_to(d->all[i].disk, *files++, err);
        /* It must not be lost if the host is, while the memory is kept. */
        if (rc == 0 && d->all[i].keeping != KEEP_NOTHING)
            rc = disk_flush(d->all[i].disk, err);
        if (rc == 0)
            continue;
        untake(d, i, inside);
        return -1;
    }
    return 0;
}

/* Has it a state of this name? -1: that could not be found out. */
static int has_inside(struct disk *d, const char *inside, struct error *err)
{
    struct disk_info info;
    int has = disk_get_info(d, &info, err);

    for (size_t i = 0; has == 0 && i < info.nsnapshots; i++)
        if (strcmp(info.snapshots[i].name, inside) == 0) {
            has = 1;
            break;
        }
    disk_info_clear(&info);
    return has;
}

static int forget_one(struct disk *d, const char *inside, struct error *err)
{
    int has = has_inside(d, inside, err);

    return has > 0 ? disk_snapshot(d, DISK_SNAPSHOT_DELETE, inside, err) : has;
}

int disks_forget(struct machine *m, const char *name, struct error *err)
{
    cleanup_free char *inside = xasprintf(DISKS_INSIDE "%s", name);
    struct disks *d = m->disks;
    int rc = 0;

    for (size_t i = 0; d && i < d->count; i++)
        if (d->all[i].keeping == KEEP_INSIDE && forget_one(d->all[i].disk, inside, err) < 0)
            rc = -1;
    return rc;
}

int disks_forget_offline(const struct guest_def *def, const char *name, struct error *err)
{
    cleanup_disk_keys struct disk_keys l = disk_keys(def->conf);
    cleanup_free char *inside = xasprintf(DISKS_INSIDE "%s", name);
    int rc = 0;

    for (size_t i = 0; i < l.count; i++) {
        cleanup_definition struct disk_definition d;
        cleanup_disk struct disk *disk = NULL;
        if (disk_definition_parse(l.all[i].value, def->dir, &d, err) < 0)
            return -1;
        if (keeping_of(&d) != KEEP_INSIDE || d.spec.flags & DISK_SNAPSHOT ||
            access(d.spec.path, F_OK) < 0)
            continue;
        d.spec.flags |= DISK_NO_BACKING;
        d.spec.backing = NULL;
        if (disk_open(&d.spec, &disk, err) < 0 || forget_one(disk, inside, err) < 0)
            rc = error_wrap(err, "%s", l.all[i].key);
    }
    return rc;
}

int disks_have(const struct guest_def *def, const char *name, struct error *err)
{
    cleanup_disk_keys struct disk_keys l = disk_keys(def->conf);
    cleanup_free char *inside = xasprintf(DISKS_INSIDE "%s", name);

    for (size_t i = 0; i < l.count; i++) {
        cleanup_definition struct disk_definition d;
        struct disk_info info;
        if (disk_definition_parse(l.all[i].value, def->dir, &d, err) < 0)
            return -1;
        if (keeping_of(&d) != KEEP_INSIDE)
            continue;
        int rc = disk_inspect(d.spec.path, d.spec.format, &info, err);
        bool has = false;
        for (size_t n = 0; rc == 0 && n < info.nsnapshots; n++)
            has |= strcmp(info.snapshots[n].name, inside) == 0;
        disk_info_clear(&info);
        if (rc < 0 || !has)
            return rc < 0 ? error_wrap(err, "%s", l.all[i].key)
                          : error_set(err, 0, "%s: '%s' has no snapshot '%s'", l.all[i].key,
                                      d.spec.path, inside);
    }
    return 0;
}
