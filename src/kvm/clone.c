/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copies of VMs, see clone.h.
 *
 * As it is, a disk is converted into one that is based on nothing. As it was in a snapshot, a qcow2
 * image is copied as a file, with its blocks shared where the file system can do that, and the
 * copy goes back to the state inside; a raw disk's state is a file.
 */
#include "kvm/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "disk/definition.h"
#include "disk/image.h"
#include "guest/def.h"
#include "kvm/disks.h"
#include "net/card.h"

#define COPY_STEP (8ull << 20)

/* Is it the clone's own? */
static bool is_own(const struct disk_definition *d)
{
    return !(d->spec.flags & (DISK_READONLY | DISK_SNAPSHOT));
}

static char *own_name(const struct disk_key *o, const struct disk_definition *d)
{
    return xasprintf("disk.%lu.%s", o->number, d->spec.format);
}

/* ---- the definition ---- */

static int disks_conf(const struct engine_clone *c, struct conf *conf, struct error *err)
{
    cleanup_disk_keys struct disk_keys l = disk_keys(c->def->conf);

    for (size_t i = 0; i < l.count; i++) {
        cleanup_definition struct disk_definition d;
        if (disk_definition_parse(l.all[i].value, c->def->dir, &d, err) < 0)
            return error_wrap(err, "%s", l.all[i].key);
        cleanup_free char *name = own_name(&l.all[i], &d);
        cleanup_free char *value = is_own(&d) ? disk_definition_move(&d, name, c->snapshot == NULL)
                                              : disk_definition_move(&d, d.spec.path, false);
        conf_set(conf, l.all[i].key, value);
    }
    return 0;
}

/* Each guest has addresses by itself. */
static void cards_conf(struct conf *conf)
{
    for (unsigned n = 0; n < CARDS_MOST; n++) {
        cleanup_free char *key = xasprintf(CARD_KEY "%u", n);
        const char *value = conf_get(conf, key);
        if (!value)
            continue;
        cleanup_free char *without = card_without_addresses(value);
        conf_set(conf, key, without);
    }
}

/* ---- the disks ---- */

static int convert(const struct engine_clone *c, const struct disk_spec *from, const char *to,
                   const char *format, struct error *err)
{
    cleanup_disk struct disk *disk = NULL;
    struct disk_spec spec = *from;
    struct disk_copy copy = {.to = {.path = to, .format = format},
                             .progress = c->progress,
                             .arg = c->arg};

    spec.flags = DISK_READONLY;
    if (disk_open(&spec, &disk, err) < 0)
        return -1;
    copy.from = disk;
    return disk_convert(&copy, err);
}

/* Copy a file into an empty one, without its holes. */
static int copy_file(const struct engine_clone *c, int from, int to, struct error *err)
{
    struct stat st;
    off_t at = 0;

    if (fstat(from, &st) < 0 || ftruncate(to, st.st_size) < 0)
        return error_set(err, errno, "copy the image");
    while (at < st.st_size) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        off_t hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
        if (hole < 0)
            return error_set(err, errno, "read the image");
        for (at = data; at < hole;) {
            off_t out = at;
            ssize_t n = copy_file_range(from, &at, to, &out,
                                        min((size_t)(hole - at), (size_t)COPY_STEP), 0);
            if (n <= 0)
                return error_set(err, n < 0 ? errno : EIO, "copy the image");
            if (c->progress && c->progress(c->arg, (uint64_t)at, (uint64_t)st.st_size))
                return error_set(err, ECANCELED, "copy the image");
        }
    }
    return fsync(to) < 0 ? error_set(err, errno, "write the copy of the image") : 0;
}

/* Make the copy what it was in the snapshot, and without any. */
static int settle_copy(const struct engine_clone *c, const char *path, struct error *err)
{
    cleanup_free char *inside = xasprintf(DISKS_INSIDE "%s", c->snapshot);
    const struct disk_spec spec = {.path = path, .format = "qcow2", .flags = DISK_NO_BACKING};
    cleanup_disk struct disk *disk = NULL;
    struct disk_info info;
    int rc = 0;

    if (disk_open(&spec, &disk, err) < 0 ||
        disk_snapshot(disk, DISK_SNAPSHOT_APPLY, inside, err) < 0 ||
        disk_get_info(disk, &info, err) < 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < info.nsnapshots; i++)
        rc = disk_snapshot(disk, DISK_SNAPSHOT_DELETE, info.snapshots[i].name, err);
    disk_info_clear(&info);
    return rc < 0 ? -1 : disk_flush(disk, err);
}

static int copy_inside(const struct engine_clone *c, const struct disk_spec *from, const char *to,
                       struct error *err)
{
    struct disk_spec spec = *from;
    cleanup_disk struct disk *lock = NULL;

    /* Nobody may write to it meanwhile. */
    spec.flags = DISK_READONLY | DISK_NO_BACKING;
    spec.backing = NULL;
    if (disk_open(&spec, &lock, err) < 0)
        return -1;
    cleanup_close int in = open(from->path, O_RDONLY | O_CLOEXEC);
    cleanup_close int out = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (in < 0 || out < 0)
        return error_set(err, errno, "copy '%s'", from->path);
    if (copy_file(c, in, out, err) < 0)
        return error_wrap(err, "'%s'", from->path);
    return settle_copy(c, to, err);
}

static int copy_disk(const struct engine_clone *c, const struct disk_key *o, const char *dir,
                     struct error *err)
{
    cleanup_definition struct disk_definition d;

    if (disk_definition_parse(o->value, c->def->dir, &d, err) < 0)
        return -1;
    if (!is_own(&d))
        return 0;
    cleanup_free char *name = own_name(o, &d);
    cleanup_free char *to = xasprintf("%s/%s", dir, name);
    if (!c->snapshot)
        return convert(c, &d.spec, to, d.spec.format, err);
    if (strcmp(d.spec.format, "raw") != 0)
        return copy_inside(c, &d.spec, to, err);
    cleanup_free char *file = xasprintf("%s/" DISKS_FILE, c->snapshot_dir, o->number);
    const struct disk_spec kept = {.path = file, .format = "raw"};
    return convert(c, &kept, to, "raw", err);
}

int clone_machine(const struct engine_clone *c, struct conf *conf, const char *dir,
                  struct error *err)
{
    if (!dir) {
        cards_conf(conf);
        return disks_conf(c, conf, err);
    }
    cleanup_disk_keys struct disk_keys l = disk_keys(c->def->conf);
    for (size_t i = 0; i < l.count; i++)
        if (copy_disk(c, &l.all[i], dir, err) < 0)
            return error_wrap(err, "%s", l.all[i].key);
    return 0;
}
