/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Creating, converting and committing; image.h. */
#include "disk/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "disk/driver.h"
#include "disk/newfile.h"

#define COPY_CHUNK (1u << 20) /* moved at a time */
#define ZERO_BLOCK 4096u      /* zeroes of this size are left out */

/* ---- creating ---- */

static int check_new(const struct disk_new *n, struct error *err)
{
    if (!disk_format_known(n->format))
        return error_set(err, 0, "there is no disk format '%s'", n->format);
    if (n->size % 512 || n->size > INT64_MAX)
        return error_set(err, 0, "%llu is not the size of a disk: it is in sectors of 512 bytes",
                         (unsigned long long)n->size);
    return 0;
}

/* An empty image on the new file. The hostfile has a descriptor of its own. */
static int format_new(struct newfile *file, const struct disk_new *n, struct hostfile *f,
                      struct error *err)
{
    *f = (struct hostfile){.fd = -1, .meta = -1};
    int fd = dup(file->fd);
    if (fd < 0)
        return error_set(err, errno, "make '%s'", n->path);
    if (hostfile_adopt(f, fd, n->path, err) < 0)
        return -1;
    f->fleeting = true;
    return disk_driver(n->format)->format(f, n, err);
}

int disk_create(const struct disk_new *n, struct error *err)
{
    struct newfile file;
    struct hostfile f = {.fd = -1, .meta = -1};
    if (check_new(n, err) < 0)
        return -1;
    int rc = newfile_begin(&file, n->path, 0666, n->replace, err);
    if (rc == 0)
        rc = format_new(&file, n, &f, err);
    hostfile_close(&f);
    if (rc == 0)
        rc = newfile_commit(&file, err);
    newfile_end(&file);
    return rc;
}

/* ---- copying ---- */

struct copying {
    struct disk *to;
    char *buf;
    bool blank; /* what is not written reads as zeroes */
};

static bool is_zero(const char *p, size_t len)
{
    return *p == 0 && memcmp(p, p + 1, len - 1) == 0;
}

static int copy_zeroes(struct copying *c, uint64_t offset, uint64_t length, struct error *err)
{
    if (c->blank)
        return 0;
    return disk_write_zeroes(c->to, offset, length, DISK_WAIT | DISK_UNMAP, err);
}

/* Write what is in the buffer, but for whole blocks of zeroes. */
static int copy_data(struct copying *c, uint64_t offset, size_t length, struct error *err)
{
    for (size_t at = 0, end; at < length; at = end) {
        size_t n = min((size_t)ZERO_BLOCK, length - at);
        bool zero = is_zero(c->buf + at, n);
        for (end = at + n; end < length; end += n) {
            n = min((size_t)ZERO_BLOCK, length - end);
            if (is_zero(c->buf + end, n) != zero)
                break;
        }
        if (zero ? copy_zeroes(c, offset + at, end - at, err) < 0
                 : disk_pwrite(c->to, c->buf + at, end - at, offset + at, err) < 0)
            return -1;
    }
    return 0;
}

/* Of a map's data, as much as is a hole of the file, or is not. true: it is a hole. */
static bool in_hole(struct disk_map *m)
{
    if (m->kind != DISK_DATA || m->fd < 0 || m->layer->file.device)
        return false;
    off_t data = lseek(m->fd, (off_t)m->offset, SEEK_DATA);
    if (data < 0)
        return errno == ENXIO; /* nothing but a hole up to the end */
    bool hole = (uint64_t)data > m->offset;
    off_t end = hole ? data : lseek(m->fd, (off_t)m->offset, SEEK_HOLE);
    if (end > (off_t)m->offset)
        m->length = min(m->length, (uint64_t)end - m->offset);
    return hole;
}

/* One step: what is at offset, or the nothing that is there. Returns how far it came, or -1. */
static int64_t copy_step(struct copying *c, struct disk *from, uint64_t offset, struct error *err)
{
    struct disk_map m;
    int rc = 0;
    if (disk_map_read(from, offset, disk_size(from) - offset, &m, err) < 0)
        return -1;
    if (m.kind == DISK_ZERO || in_hole(&m)) {
        rc = copy_zeroes(c, offset, m.length, err);
    } else if (m.kind != DISK_BELOW) {
        m.length = min(m.length, (uint64_t)COPY_CHUNK);
        struct iovec v = {c->buf, m.length};
        rc = disk_map_io(&m, &v, 1, err);
        if (rc == 0)
            rc = copy_data(c, offset, m.length, err);
    }
    disk_unmap(&m, rc == 0, NULL);
    return rc < 0 ? -1 : (int64_t)m.length;
}

static int copy_all(struct disk *from, struct disk *to, bool blank, disk_progress_fn *progress,
                    void *arg, struct error *err)
{
    cleanup_free char *buf = xcalloc(1, COPY_CHUNK);
    struct copying c = {to, buf, blank};
    uint64_t size = disk_size(from);
    for (uint64_t offset = 0; offset < size;) {
        if (progress && progress(arg, offset, size))
            return error_set(err, ECANCELED, "copy '%s'", disk_path(from));
        int64_t n = copy_step(&c, from, offset, err);
        if (n < 0)
            return -1;
        offset += (uint64_t)n;
    }
    if (progress)
        progress(arg, size, size);
    return 0;
}

/* ---- converting ---- */

static int convert_to_device(struct disk_copy *c, struct error *err)
{
    struct disk_spec spec = {.path = c->to.path, .format = "raw"};
    struct disk *to;
    if (disk_open(&spec, &to, err) < 0)
        return -1;
    int rc = disk_size(to) >= c->to.size
                 ? copy_all(c->from, to, false, c->progress, c->arg, err)
                 : error_set(err, ENOSPC, "put %llu bytes on '%s', which has %llu",
                             (unsigned long long)c->to.size, c->to.path,
                             (unsigned long long)disk_size(to));
    if (rc == 0)
        rc = disk_flush(to, err);
    return disk_close(to, rc == 0 ? err : NULL) < 0 ? -1 : rc;
}

static int convert_to_file(struct disk_copy *c, struct newfile *file, struct error *err)
{
    struct disk_spec spec = {.path = c->to.path, .format = c->to.format};
    struct hostfile f;
    struct disk *to;
    if (format_new(file, &c->to, &f, err) < 0) {
        hostfile_close(&f);
        return -1;
    }
    if (disk_open_on(disk_driver(c->to.format), &f, NULL, &spec, &to, err) < 0)
        return -1;
    int rc = copy_all(c->from, to, true, c->progress, c->arg, err);
    return disk_close(to, rc == 0 ? err : NULL) < 0 ? -1 : rc;
}

int disk_convert(struct disk_copy *c, struct error *err)
{
    struct stat st;
    struct newfile file;
    c->to.size = disk_size(c->from);
    if (check_new(&c->to, err) < 0)
        return -1;
    if (stat(c->to.path, &st) == 0 && S_ISBLK(st.st_mode)) {
        if (!c->to.replace || !str_eq(c->to.format, "raw")) {
            error_set(err, 0, "'%s' is a block device", c->to.path);
            return error_hint(err, "--format raw --force writes over it");
        }
        return convert_to_device(c, err);
    }
    int rc = newfile_begin(&file, c->to.path, 0666, c->to.replace, err);
    if (rc == 0)
        rc = convert_to_file(c, &file, err);
    if (rc == 0)
        rc = newfile_commit(&file, err);
    newfile_end(&file);
    return rc;
}

/* ---- committing ---- */

int disk_commit(struct disk *overlay, struct disk *base, disk_progress_fn *progress, void *arg,
                struct error *err)
{
    struct disk_info info;
    if (!overlay->driver->empty)
        return error_set(err, 0, "'%s' is %s, which is never based on another image",
                         disk_path(overlay), overlay->driver->name);
    if (disk_get_info(overlay, &info, err) < 0)
        return -1;
    bool snapshots = info.nsnapshots > 0, based = info.backing_path != NULL;
    disk_info_clear(&info);
    if (!based)
        return error_set(err, 0, "'%s' is not based on another image", disk_path(overlay));
    if (snapshots) {
        error_set(err, 0, "'%s' has snapshots, which would not be what they were",
                  disk_path(overlay));
        return error_hint(err, "delete them first");
    }
    if (disk_size(overlay) > disk_size(base) && disk_resize(base, disk_size(overlay), err) < 0)
        return -1;
    if (copy_all(overlay, base, false, progress, arg, err) < 0 || disk_flush(base, err) < 0)
        return -1;
    return overlay->driver->empty(overlay, err);
}
