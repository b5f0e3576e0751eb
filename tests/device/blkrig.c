/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "device/blkrig.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/util.h"

static struct error err;

/* ---- the rig ---- */

static void note_full(void *arg, const char *why)
{
    struct blkrig *r = arg;

    r->full++;
    snprintf(r->why, sizeof(r->why), "%s", why);
}

struct blk_config rig_config(struct blkrig *r)
{
    return (struct blk_config){
        .serial = "rig-1",
        .queues = 1,
        .workers = 1,
        .bytes_read = &r->bytes_read,
        .bytes_written = &r->bytes_written,
        .full = note_full,
        .full_arg = r,
    };
}

static void create(struct blkrig *r, struct disk *disk, enum blk_way way, bool threads,
                   struct blk_config *config)
{
    r->disk = disk;
    assert_int_equal(board_init(&r->b, threads), 0);
    if (way != WAY_INSIDE)
        assert_int_equal(pool_start(r->b.workers->helpers, 2, NULL, &err), 0);
    config->disk = disk;
    config->no_ring = way != WAY_RING;
    r->device = blk_add(&r->b.virtio, config, &err);
    if (!r->device)
        fail_msg("%s", err.text);
    assert_int_equal(board_start(&r->b), 0);
}

void rig_create_idle(struct blkrig *r, struct disk *disk, enum blk_way way,
                     struct blk_config *config)
{
    create(r, disk, way, false, config);
}

void rig_create_as(struct blkrig *r, struct disk *disk, enum blk_way way, bool threads,
                   struct blk_config *config, uint64_t features)
{
    create(r, disk, way, threads, config);
    assert_true(driver_probe(&r->d, &r->b, 1));
    assert_true(driver_start(&r->d, features, config->queues, 256));
}

void rig_create(struct blkrig *r, struct disk *disk, enum blk_way way)
{
    *r = (struct blkrig){0};
    struct blk_config config = rig_config(r);

    rig_create_as(r, disk, way, false, &config, DRIVER_ALL);
}

void rig_destroy(struct blkrig *r)
{
    board_destroy(&r->b);
    assert_int_equal(disk_close(r->disk, &err), 0);
}

struct disk *rig_raw(const char *name, uint64_t size, unsigned flags)
{
    struct disk *d;
    struct disk_spec spec = {.path = name, .format = "raw", .flags = flags};
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
    if (disk_open(&spec, &d, &err) < 0)
        fail_msg("%s", err.text);
    return d;
}

/* ---- requests ---- */

volatile uint8_t *rig_send(struct blkrig *r, unsigned queue, uint32_t type, uint64_t sector,
                           const struct seg *data, unsigned n)
{
    const struct virtio_blk_outhdr h = {.type = type, .sector = sector};
    struct seg segs[258] = {driver_bytes(&r->d, &h, sizeof(h))};
    unsigned count = 1;

    for (unsigned i = 0; i < n; i++)
        if (data[i].len)
            segs[count++] = data[i];
    struct seg status = driver_buffer(&r->d, 1, true);
    assert_non_null(segs[0].host);
    assert_non_null(status.host);
    *(uint8_t *)status.host = 0xff;
    segs[count++] = status;
    driver_send(&r->d, queue, segs, count);
    return status.host;
}

int rig_request(struct blkrig *r, uint32_t type, uint64_t sector, struct seg data)
{
    volatile uint8_t *status = rig_send(r, 0, type, sector, &data, 1);

    return driver_await(&r->d, 0, NULL, NULL) ? *status : -1;
}

int rig_range(struct blkrig *r, uint32_t type, uint64_t sector, uint32_t count, uint32_t flags)
{
    const struct virtio_blk_discard_write_zeroes range = {.sector = sector,
                                                          .num_sectors = count,
                                                          .flags = flags};

    return rig_request(r, type, 0, driver_bytes(&r->d, &range, sizeof(range)));
}

int rig_flush(struct blkrig *r)
{
    return rig_request(r, VIRTIO_BLK_T_FLUSH, 0, (struct seg){0});
}

/* ---- a disk of our own ---- */

struct fake fake;

static int failure(atomic_int *code, const char *what, struct error *e)
{
    return *code ? error_set(e, *code, "%s", what) : 0;
}

static void held_up(void)
{
    if (fake.hold) {
        sem_post(&fake.held);
        sem_wait(&fake.go);
    }
}

static int fake_open(struct disk *d, const struct disk_spec *spec, struct error *e)
{
    (void)spec, (void)e;
    d->size = d->file.size;
    d->granularity = FAKE_CLUSTER;
    return 0;
}

static int fake_close(struct disk *d, struct error *e)
{
    (void)d, (void)e;
    return 0;
}

static uint64_t to_cluster_end(uint64_t offset, uint64_t length)
{
    return min(length, FAKE_CLUSTER - offset % FAKE_CLUSTER);
}

static int fake_map_read(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                         struct error *e)
{
    length = to_cluster_end(offset, length);
    if (failure(&fake.fail_map, "map", e) < 0)
        return -1;
    disk_map_data(m, d, offset, length);
    m->kind = fake.read_kind;
    return 0;
}

static int fake_map_write(struct disk *d, uint64_t offset, uint64_t length, struct disk_map *m,
                          struct error *e)
{
    length = to_cluster_end(offset, length);
    if (failure(&fake.fail_map, "map", e) < 0)
        return -1;
    disk_map_data(m, d, offset, length);
    m->fresh = true;
    return 0;
}

static int fake_link(struct disk *d, struct disk_map *m, struct error *e)
{
    (void)d, (void)m;
    fake.links++;
    return failure(&fake.fail_link, "link", e);
}

static void fake_drop(struct disk *d, struct disk_map *m)
{
    (void)d, (void)m;
    fake.drops++;
}

static int fake_discard(struct disk *d, uint64_t offset, uint64_t length, uint64_t *done,
                        struct error *e)
{
    (void)d, (void)offset;
    fake.discards++;
    *done = length;
    return failure(&fake.fail_discard, "discard", e);
}

static int fake_zero(struct disk *d, uint64_t offset, uint64_t length, bool unmap, uint64_t *done,
                     struct error *e)
{
    (void)unmap;
    *done = length;
    if (failure(&fake.fail_zero, "zero", e) < 0)
        return -1;
    return hostfile_zero(&d->file, offset, length, e);
}

static int fake_read_copy(struct disk *d, const struct disk_map *m, struct iov_cursor to,
                          struct error *e)
{
    held_up();
    fake.copies++;
    if (failure(&fake.fail_copy, "copy", e) < 0)
        return -1;
    return hostfile_readv(&d->file, to, m->offset, m->length, e);
}

static int fake_flush(struct disk *d, struct error *e)
{
    (void)d;
    held_up();
    fake.flushes++;
    return failure(&fake.fail_flush, "flush", e);
}

static bool fake_flush_is_sync(struct disk *d)
{
    (void)d;
    return false;
}

static void fake_info(struct disk *d, struct disk_info *info)
{
    (void)d, (void)info;
}

static const struct disk_driver fake_driver = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .map_read = fake_map_read,
    .map_write = fake_map_write,
    .link = fake_link,
    .drop = fake_drop,
    .discard = fake_discard,
    .zero = fake_zero,
    .read_copy = fake_read_copy,
    .flush = fake_flush,
    .flush_is_sync = fake_flush_is_sync,
    .info = fake_info,
};

struct disk *rig_fake(uint64_t size)
{
    const struct disk_spec spec = {.path = "data", .format = "fake"};
    struct hostfile f;
    struct disk *d;
    int fd = open("data", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    fake = (struct fake){0};
    sem_init(&fake.held, 0, 0);
    sem_init(&fake.go, 0, 0);
    assert_int_equal(hostfile_adopt(&f, fd, "data", &err), 0);
    if (disk_open_on(&fake_driver, &f, NULL, &spec, &d, &err) < 0)
        fail_msg("%s", err.text);
    return d;
}
