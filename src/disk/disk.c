/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening disks, and the book of maps that are out; disk.h and driver.h say how that works.
 */
#include "disk/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/util.h"
#include "disk/driver.h"

static const struct disk_driver *const drivers[] = {&driver_raw, &driver_qcow2};
const char *const disk_formats[] = {"raw", "qcow2", NULL};

const struct disk_driver *disk_driver(const char *format)
{
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
        if (str_eq(drivers[i]->name, format))
            return drivers[i];
    return NULL;
}

bool disk_format_known(const char *format)
{
    return disk_driver(format) != NULL;
}

bool disk_is_full(const struct error *err)
{
    return err->code == ENOSPC || err->code == EDQUOT;
}

/* ---- opening and closing ---- */

static void disk_free(struct disk *d)
{
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->unmapped);
    hostfile_close(&d->file);
    free(d);
}

int disk_open_on(const struct disk_driver *driver, struct hostfile *f, struct disk *backing,
                 const struct disk_spec *spec, struct disk **out, struct error *err)
{
    struct disk *d = xcalloc(1, sizeof *d);
    d->driver = driver;
    d->file = *f;
    *f = (struct hostfile){.fd = -1, .meta = -1};
    d->backing = backing;
    d->readonly = spec->flags & (DISK_READONLY | DISK_NO_LOCK);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->unmapped, NULL);
    if (driver->open(d, spec, err) < 0) {
        disk_closep(&d->backing);
        disk_free(d);
        return -1;
    }
    *out = d;
    return 0;
}

char *disk_backing_path(const char *image, const char *name)
{
    const char *slash = strrchr(image, '/');
    if (*name == '/' || slash == NULL)
        return xstrdup(name);
    return xasprintf("%.*s/%s", (int)(slash - image), image, name);
}

static int open_chain(const struct disk_spec *spec, int level, struct disk **out,
                      struct error *err);

/* What the image on f says that it is based on, for those who trust it. */
static int open_own_backing(const struct disk_driver *driver, struct hostfile *f, int level,
                            struct disk **out, struct error *err)
{
    struct disk_info info = {0};
    int rc = driver->inspect(f, &info, err);
    if (rc == 0 && info.backing_path && !info.backing_format) {
        error_set(err, 0, "'%s' does not say what format '%s' has", f->path, info.backing_path);
        rc = error_hint(err, "name its backing file instead");
    } else if (rc == 0 && info.backing_path) {
        char *path = disk_backing_path(f->path, info.backing_path);
        struct disk_spec spec = {.path = path,
                                 .format = info.backing_format,
                                 .flags = DISK_READONLY | DISK_OWN_BACKING};
        rc = open_chain(&spec, level + 1, out, err);
        if (rc < 0)
            error_wrap(err, "'%s' is based on this one", f->path);
        free(path);
    }
    disk_info_clear(&info);
    return rc;
}

/* An image and those below it, level deep already. */
static int open_chain(const struct disk_spec *spec, int level, struct disk **out, struct error *err)
{
    struct hostfile f;
    struct disk *backing = NULL;
    const struct disk_driver *driver = spec->format ? disk_driver(spec->format) : NULL;
    if (driver == NULL)
        return error_set(err, 0, "'%s': there is no disk format '%s'", spec->path,
                         spec->format ? spec->format : "");
    if (level == DISK_CHAIN_MAX)
        return error_set(err, ELOOP, "'%s': more than %d images based on each other", spec->path,
                         DISK_CHAIN_MAX);
    if (spec->backing) {
        struct disk_spec below = *spec->backing;
        below.flags |= DISK_READONLY;
        if (open_chain(&below, level + 1, &backing, err) < 0)
            return error_wrap(err, "'%s' is based on this one", spec->path);
    }
    if (hostfile_open(&f, spec->path, spec->flags, err) < 0 ||
        (!spec->backing && (spec->flags & DISK_OWN_BACKING) &&
         open_own_backing(driver, &f, level, &backing, err) < 0)) {
        hostfile_close(&f);
        disk_close(backing, NULL);
        return -1;
    }
    return disk_open_on(driver, &f, backing, spec, out, err);
}

int disk_open(const struct disk_spec *spec, struct disk **out, struct error *err)
{
    struct disk_spec below = *spec;
    struct disk *base = NULL;
    if (!(spec->flags & DISK_SNAPSHOT))
        return open_chain(spec, 0, out, err);
    below.flags |= DISK_READONLY;
    if (open_chain(&below, 0, &base, err) < 0)
        return -1;
    return disk_open_overlay(base, spec->scratch, out, err);
}

int disk_close(struct disk *d, struct error *err)
{
    if (d == NULL)
        return 0;
    int rc = d->driver->close(d, err);
    if (d->backing)
        disk_close(d->backing, NULL); /* only read */
    disk_free(d);
    return rc;
}

void disk_closep(struct disk **d)
{
    struct error err;
    if (disk_close(*d, &err) < 0)
        log_line("%s", err.text);
    *d = NULL;
}

uint64_t disk_size(const struct disk *d)
{
    return __atomic_load_n(&d->size, __ATOMIC_RELAXED);
}

bool disk_readonly(const struct disk *d)
{
    return d->readonly;
}

const char *disk_path(const struct disk *d)
{
    return d->file.path;
}

unsigned disk_granularity(const struct disk *d)
{
    return d->granularity;
}

/* ---- the book of maps ---- */

bool disk_drained(struct disk *d, uint64_t epoch)
{
    while (d->epoch <= epoch + 1) {
        if (d->out[(d->epoch + 1) & 1] > 0) /* those of the epoch before this one */
            return false;
        if (d->epoch == epoch + 1)
            return true;
        d->epoch++;
    }
    return true;
}

static void track(struct disk *d, struct disk_map *m)
{
    m->tracked = true;
    m->epoch = d->epoch & 1;
    d->out[m->epoch]++;
    if (!m->fresh)
        return;
    m->next = d->fresh;
    m->prev = &d->fresh;
    if (d->fresh)
        d->fresh->prev = &m->next;
    d->fresh = m;
}

static void untrack(struct disk *d, struct disk_map *m)
{
    if (!m->tracked)
        return;
    m->tracked = false;
    d->out[m->epoch]--;
    if (!m->fresh)
        return;
    *m->prev = m->next;
    if (m->next)
        m->next->prev = m->prev;
    d->unmaps++;
    pthread_cond_broadcast(&d->unmapped);
}

uint64_t disk_unmaps(const struct disk *d)
{
    return d->unmaps;
}

/*
 * How much of the range can be done before it meets a granule that somebody is just allocating:
 * 0 where that is the first.
 */
static uint64_t free_length(const struct disk *d, uint64_t offset, uint64_t length)
{
    uint64_t mask = d->granularity - 1;
    for (const struct disk_map *m = d->fresh; m; m = m->next) {
        uint64_t start = m->guest & ~mask, end = (m->guest + m->length + mask) & ~mask;
        if (offset >= start && offset < end)
            return 0;
        if (offset < start && length > start - offset)
            length = start - offset;
    }
    return length;
}

static int check_range(const struct disk *d, uint64_t offset, uint64_t length, bool write,
                       struct error *err)
{
    if (write && d->readonly)
        return error_set(err, EROFS, "write to '%s'", d->file.path);
    uint64_t size = disk_size(d);
    if (length > 0 && offset <= size && length <= size - offset)
        return 0;
    return error_set(err, EINVAL, "%llu bytes at %llu are not on '%s', which has %llu",
                     (unsigned long long)length, (unsigned long long)offset, d->file.path,
                     (unsigned long long)size);
}

void disk_map_data(struct disk_map *m, struct disk *layer, uint64_t offset, uint64_t length)
{
    m->kind = DISK_DATA;
    m->layer = layer;
    m->fd = layer->file.fd;
    m->align = layer->file.align;
    m->offset = offset;
    m->length = length;
}

void disk_map_zero(struct disk_map *m, uint64_t length)
{
    m->kind = DISK_ZERO;
    m->length = length;
}

/* Beyond its end a backing file reads as zeroes. */
int disk_map_backing(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                     struct error *err)
{
    struct disk *b = d->backing;
    if (b == NULL || offset >= b->size) {
        disk_map_zero(m, length);
        return 0;
    }
    length = min(length, b->size - offset);
    if (b->driver->plain)
        return b->driver->map_read(b, offset, length, m, err);
    pthread_mutex_lock(&b->lock);
    int rc = b->driver->map_read(b, offset, length, m, err);
    pthread_mutex_unlock(&b->lock);
    return rc;
}

static void map_clear(struct disk *d, struct disk_map *m, uint64_t offset, bool write)
{
    *m = (struct disk_map){
        .kind = DISK_BUSY, .fd = -1, .align = 1, .guest = offset, .disk = d, .write = write};
}

int disk_map_read(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                  struct error *err)
{
    map_clear(d, m, offset, false);
    if (check_range(d, offset, length, false, err) < 0)
        return -1;
    if (d->driver->plain)
        return d->driver->map_read(d, offset, length, m, err);
    pthread_mutex_lock(&d->lock);
    int rc = d->driver->map_read(d, offset, length, m, err);
    if (rc == 0 && !d->readonly && m->kind != DISK_ZERO)
        track(d, m);
    pthread_mutex_unlock(&d->lock);
    return rc;
}

/* Under the lock. */
static int map_write_locked(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                            struct error *err)
{
    map_clear(d, m, offset, true);
    length = free_length(d, offset, length);
    if (length == 0)
        return 0;
    if (d->driver->map_write(d, offset, length, m, err) < 0)
        return -1;
    track(d, m);
    return 0;
}

/* The map cannot be used: what was allocated for it is free again. */
static void map_undo(struct disk *d, struct disk_map *m)
{
    pthread_mutex_lock(&d->lock);
    d->driver->drop(d, m);
    untrack(d, m);
    pthread_mutex_unlock(&d->lock);
}

static int map_write(struct disk *d, uint64_t offset, uint64_t length, bool wait,
                     struct disk_map *m, struct error *err)
{
    map_clear(d, m, offset, true);
    if (check_range(d, offset, length, true, err) < 0)
        return -1;
    if (d->driver->plain)
        return d->driver->map_write(d, offset, length, m, err);
    pthread_mutex_lock(&d->lock);
    int rc;
    while ((rc = map_write_locked(d, offset, length, m, err)) == 0 && m->kind == DISK_BUSY && wait)
        pthread_cond_wait(&d->unmapped, &d->lock);
    pthread_mutex_unlock(&d->lock);
    if (rc == 0 && m->fresh && d->driver->fill && d->driver->fill(d, m, err) < 0) {
        map_undo(d, m);
        return -1;
    }
    return rc;
}

int disk_map_write(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                   struct error *err)
{
    return map_write(d, offset, length, false, m, err);
}

/* A flush for the format's own sake; if it fails, the guest's next one will say so. */
static void relieve(struct disk *d)
{
    if (!d->driver->pressed)
        return;
    pthread_mutex_lock(&d->lock);
    bool due = d->driver->pressed(d);
    pthread_mutex_unlock(&d->lock);
    if (due)
        d->driver->flush(d, NULL);
}

int disk_unmap(struct disk_map *m, bool done, struct error *err)
{
    struct disk *d = m->disk;
    int rc = 0;
    if (!m->tracked)
        return 0;
    pthread_mutex_lock(&d->lock);
    if (m->fresh && done)
        rc = d->driver->link(d, m, err);
    if (m->fresh && (!done || rc < 0))
        d->driver->drop(d, m);
    bool fresh = m->fresh;
    untrack(d, m);
    pthread_mutex_unlock(&d->lock);
    if (fresh)
        relieve(d);
    return rc;
}

/* ---- moving data ---- */

static int map_move(struct disk_map *m, struct iov_cursor c, struct error *err)
{
    switch (m->kind) {
    case DISK_DATA:
        if (m->write)
            return hostfile_writev(&m->layer->file, c, m->offset, m->length, err);
        return hostfile_readv(&m->layer->file, c, m->offset, m->length, err);
    case DISK_ZERO:
        iov_zero(c, m->length);
        return 0;
    case DISK_COPY:
        return m->layer->driver->read_copy(m->layer, m, c, err);
    case DISK_BELOW:
        return error_set(err, 0, "read '%s' without the image that it is based on",
                         m->disk->file.path);
    case DISK_BUSY:
        break;
    }
    return error_set(err, EBUSY, "move data of '%s'", m->disk->file.path);
}

int disk_map_io(struct disk_map *m, const struct iovec *iov, int iovcnt, struct error *err)
{
    return map_move(m, (struct iov_cursor){iov, iovcnt, 0}, err);
}

int disk_preadv(struct disk *d, const struct iovec *iov, int iovcnt, uint64_t offset,
                struct error *err)
{
    struct iov_cursor c = {iov, iovcnt, 0};
    for (uint64_t left = iov_len(iov, iovcnt); left > 0;) {
        struct disk_map m;
        if (disk_map_read(d, offset, left, &m, err) < 0)
            return -1;
        int rc = map_move(&m, c, err);
        disk_unmap(&m, rc == 0, NULL);
        if (rc < 0)
            return -1;
        iov_advance(&c, m.length);
        offset += m.length;
        left -= m.length;
    }
    return 0;
}

/* Write len bytes of the buffers. Returns 1 where it is BUSY and must not wait. */
static int write_all_of(struct disk *d, struct iov_cursor c, uint64_t offset, uint64_t left,
                        bool wait, struct error *err)
{
    while (left > 0) {
        struct disk_map m;
        if (map_write(d, offset, left, wait, &m, err) < 0)
            return -1;
        if (m.kind == DISK_BUSY)
            return 1;
        int rc = map_move(&m, c, err);
        if (disk_unmap(&m, rc == 0, err) < 0 || rc < 0)
            return -1;
        iov_advance(&c, m.length);
        offset += m.length;
        left -= m.length;
    }
    return 0;
}

int disk_pwritev(struct disk *d, const struct iovec *iov, int iovcnt, uint64_t offset,
                 struct error *err)
{
    return write_all_of(d, (struct iov_cursor){iov, iovcnt, 0}, offset, iov_len(iov, iovcnt), true,
                        err);
}

int disk_pread(struct disk *d, void *buf, size_t len, uint64_t offset, struct error *err)
{
    struct iovec v = {buf, len};
    return disk_preadv(d, &v, 1, offset, err);
}

int disk_pwrite(struct disk *d, const void *buf, size_t len, uint64_t offset, struct error *err)
{
    struct iovec v = {(void *)buf, len};
    return disk_pwritev(d, &v, 1, offset, err);
}

/* ---- without data ---- */

/*
 * Under the lock, where there is one: a step of discarding or zeroing whole granules. 1: BUSY.
 * *done says how far it came; 0, for zeroes: they have to be written.
 */
static int step(struct disk *d, bool zero, uint64_t offset, uint64_t length, unsigned flags,
                uint64_t *done, struct error *err)
{
    *done = 0;
    uint64_t n = free_length(d, offset, length);
    while (n == 0 && (flags & DISK_WAIT)) {
        pthread_cond_wait(&d->unmapped, &d->lock);
        n = free_length(d, offset, length);
    }
    if (n == 0)
        return 1;
    if (zero)
        return d->driver->zero(d, offset, n, flags & DISK_UNMAP, done, err);
    return d->driver->discard(d, offset, n, done, err);
}

/* Zeroes that are written: a part of a granule, or one where the format can do no better. */
static int write_zero_data(struct disk *d, uint64_t offset, uint64_t length, bool wait,
                           struct error *err)
{
    while (length > 0) {
        struct iovec v = {hostfile_zeroes, min(length, (uint64_t)HOSTFILE_ZEROES)};
        int rc = write_all_of(d, (struct iov_cursor){&v, 1, 0}, offset, v.iov_len, wait, err);
        if (rc != 0)
            return rc;
        offset += v.iov_len;
        length -= v.iov_len;
    }
    return 0;
}

/* The whole granules of a range; the last one of the disk counts as whole. */
static uint64_t whole_granules(const struct disk *d, uint64_t offset, uint64_t length,
                               uint64_t *start)
{
    uint64_t mask = d->granularity - 1, end = offset + length;
    *start = (offset + mask) & ~mask;
    if (end != disk_size(d))
        end &= ~mask;
    return end > *start ? end - *start : 0;
}

int disk_discard(struct disk *d, uint64_t offset, uint64_t length, unsigned flags,
                 struct error *err)
{
    uint64_t done = 0;
    int rc = 0;
    if (check_range(d, offset, length, true, err) < 0)
        return -1;
    length = whole_granules(d, offset, length, &offset);
    while (length > 0 && rc == 0) {
        if (d->driver->plain) {
            rc = d->driver->discard(d, offset, length, &done, err);
        } else {
            pthread_mutex_lock(&d->lock);
            rc = step(d, false, offset, length, flags, &done, err);
            pthread_mutex_unlock(&d->lock);
            relieve(d);
        }
        offset += done;
        length -= done;
    }
    return rc;
}

int disk_write_zeroes(struct disk *d, uint64_t offset, uint64_t length, unsigned flags,
                      struct error *err)
{
    uint64_t start, done;
    bool wait = flags & DISK_WAIT;
    if (check_range(d, offset, length, true, err) < 0)
        return -1;
    uint64_t whole = whole_granules(d, offset, length, &start);
    if (whole == 0)
        return write_zero_data(d, offset, length, wait, err);

    uint64_t end = offset + length;
    int rc = write_zero_data(d, offset, start - offset, wait, err);
    for (; whole > 0 && rc == 0; start += done, whole -= done) {
        if (d->driver->plain) {
            rc = d->driver->zero(d, start, whole, flags & DISK_UNMAP, &done, err);
        } else {
            pthread_mutex_lock(&d->lock);
            rc = step(d, true, start, whole, flags, &done, err);
            pthread_mutex_unlock(&d->lock);
            relieve(d);
        }
        if (rc == 0 && done == 0) {
            done = min(whole, (uint64_t)d->granularity);
            rc = write_zero_data(d, start, done, wait, err);
        }
    }
    return rc != 0 ? rc : write_zero_data(d, start, end - start, wait, err);
}

int disk_flush(struct disk *d, struct error *err)
{
    return d->readonly ? 0 : d->driver->flush(d, err);
}

int disk_flush_fd(struct disk *d)
{
    return !d->readonly && !d->file.lost && d->driver->flush_is_sync(d) ? d->file.fd : -1;
}

/* ---- about an image ---- */

/* What it takes on the host's disk: a device takes all of itself. */
static uint64_t allocated(const struct hostfile *f, const struct stat *st)
{
    return f->device ? f->size : (uint64_t)st->st_blocks * 512;
}

int disk_inspect(const char *path, const char *format, struct disk_info *info, struct error *err)
{
    struct hostfile f;
    struct stat st;
    const struct disk_driver *driver = disk_driver(format);
    *info = (struct disk_info){0};
    if (driver == NULL)
        return error_set(err, 0, "'%s': there is no disk format '%s'", path, format);
    int rc = hostfile_open(&f, path, DISK_READONLY | DISK_NO_LOCK, err);
    if (rc == 0)
        rc = driver->inspect(&f, info, err);
    if (rc == 0 && fstat(f.meta, &st) < 0)
        rc = error_set(err, errno, "look at '%s'", path);
    if (rc == 0) {
        info->format = driver->name;
        info->file_size = f.size;
        info->allocated = allocated(&f, &st);
    }
    hostfile_close(&f);
    return rc;
}

int disk_get_info(struct disk *d, struct disk_info *info, struct error *err)
{
    struct stat st = {0};
    if (d->file.meta >= 0 && fstat(d->file.meta, &st) < 0)
        return error_set(err, errno, "look at '%s'", d->file.path);
    *info = (struct disk_info){
        .format = d->driver->name,
        .size = d->size,
        .file_size = d->file.size,
        .allocated = allocated(&d->file, &st),
    };
    d->driver->info(d, info);
    return 0;
}

void disk_info_clear(struct disk_info *info)
{
    for (size_t i = 0; i < info->nsnapshots; i++) {
        free(info->snapshots[i].id);
        free(info->snapshots[i].name);
    }
    free(info->snapshots);
    free(info->unsupported);
    free(info->backing_path);
    free(info->backing_format);
    *info = (struct disk_info){0};
}

/* ---- changing an image ---- */

static int has_none(const struct disk *d, const char *what, struct error *err)
{
    return error_set(err, 0, "'%s' is %s, which has no %s", d->file.path, d->driver->name, what);
}

static int check_changeable(const struct disk *d, struct error *err)
{
    return d->readonly ? error_set(err, EROFS, "change '%s'", d->file.path) : 0;
}

int disk_snapshot(struct disk *d, enum disk_snapshot_op op, const char *name, struct error *err)
{
    if (!d->driver->snapshot)
        return has_none(d, "snapshots", err);
    return check_changeable(d, err) < 0 ? -1 : d->driver->snapshot(d, op, name, err);
}

int disk_resize(struct disk *d, uint64_t size, struct error *err)
{
    if (!d->driver->resize)
        return has_none(d, "size of its own", err);
    if (size % 512 || size > INT64_MAX)
        return error_set(err, 0, "%llu is not the size of a disk: it is in sectors of 512 bytes",
                         (unsigned long long)size);
    return check_changeable(d, err) < 0 ? -1 : d->driver->resize(d, size, err);
}

int disk_check(struct disk *d, struct disk_check *c, struct error *err)
{
    if (!d->driver->check)
        return has_none(d, "metadata that could be checked", err);
    return c->repair && check_changeable(d, err) < 0 ? -1 : d->driver->check(d, c, err);
}
