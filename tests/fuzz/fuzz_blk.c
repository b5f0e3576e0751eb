/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device under a driver that does wrong, over a raw disk or a qcow2 image in a file that
 * is in memory, whose host has no room now and then, or fails; by io_uring and helpers, or with all
 * of it in one thread.
 *
 * Every second time the driver behaves. Then a model of the sectors says what reads must bring,
 * right requests must succeed and wrong ones fail, and an image is sound at the end.
 */
#define DRIVER_WAIT_MS 2000 /* what the ring has begun takes its time */

#include "fuzz/virtio.h"

#include <errno.h>
#include <limits.h>
#include <linux/virtio_blk.h>
#include <sys/mman.h>

#include "disk/qcow2.h"
#include "kvm/pool.h"
#include "kvm/virtio/blk.h"

#define SECTORS 1024u
#define PENDING 512u
#define LONGEST 128u /* sectors in a request */
#define PIECES  6u
#define UNKNOWN (-1)
#define ZEROES  256

enum { HOST_WELL, HOST_FULL, HOST_BROKEN };

static struct {
    bool ring, direct, writethrough, limited, readonly, qcow2;
    unsigned queues;
} mode;

static struct disk *disk;
static struct hostfile_ops host_ops;
static const struct hostfile_ops *real_ops;
static int host;
static bool host_failed; /* ever */
static struct virtio_device *device;

/* What is on the disk: a sector's seed, and the number of the write to it that was begun last. */
static struct {
    int seed;
    unsigned last, busy;
    bool mixed; /* several writes at once */
} sectors[SECTORS];
static unsigned writes;

enum expect { ANY, WELL, WRONG };

static struct pending {
    uint32_t type, count;
    uint64_t sector;
    uint8_t seed;
    enum expect expect;
    unsigned write;         /* number, of one that changes something */
    unsigned last[LONGEST]; /* of a read: as they were when it began, unless one was under way */
    struct seg data[PIECES];
    unsigned pieces;
    const uint8_t *status;
} pending[PENDING];
static unsigned next_pending;

/* ---- the host ---- */

static bool host_fails(void)
{
    errno = host == HOST_FULL ? ENOSPC : EIO;
    host_failed |= host != HOST_WELL;
    return host != HOST_WELL;
}

static ssize_t host_pwritev(struct hostfile *f, const struct iovec *iov, int n, uint64_t offset,
                            bool data)
{
    return host_fails() ? -1 : real_ops->pwritev(f, iov, n, offset, data);
}

static int host_sync(struct hostfile *f)
{
    return host == HOST_BROKEN && host_fails() ? -1 : real_ops->sync(f);
}

static int host_truncate(struct hostfile *f, uint64_t size)
{
    return host_fails() ? -1 : real_ops->truncate(f, size);
}

static int host_allocate(struct hostfile *f, int how, uint64_t offset, uint64_t length)
{
    return host_fails() ? -1 : real_ops->allocate(f, how, offset, length);
}

static struct disk *open_disk(int fd, unsigned flags)
{
    struct hostfile f;
    struct disk *d;
    struct disk_spec spec = {.path = "disk",
                             .format = mode.qcow2 ? "qcow2" : "raw",
                             .flags = flags};

    must(hostfile_adopt(&f, fd, "disk", NULL) == 0);
    real_ops = f.ops;
    host_ops = *f.ops;
    host_ops.pwritev = host_pwritev;
    host_ops.sync = host_sync;
    host_ops.truncate = host_truncate;
    host_ops.allocate = host_allocate;
    f.ops = &host_ops;
    f.align = mode.direct ? 512 : 1;
    must(disk_open_on(disk_driver(spec.format), &f, NULL, &spec, &d, NULL) == 0);
    return d;
}

static int make_file(struct feed *f)
{
    const struct disk_new n = {.path = "disk",
                               .format = "qcow2",
                               .size = SECTORS * 512,
                               .cluster_size = 512u << feed_below(f, 8)};
    struct hostfile h;
    int fd = memfd_create("disk", MFD_CLOEXEC);

    must(fd >= 0);
    if (!mode.qcow2) {
        must(ftruncate(fd, SECTORS * 512) == 0);
    } else {
        must(hostfile_adopt(&h, dup(fd), "disk", NULL) == 0);
        must(qcow2_format(&h, &n, NULL) == 0);
        hostfile_close(&h);
    }
    return fd;
}

/* ---- the model ---- */

static uint8_t byte_at(uint64_t offset, int seed)
{
    return seed == ZEROES ? 0 : (uint8_t)(seed + (int)(offset / 3));
}

static void begin_change(struct pending *p)
{
    p->write = ++writes;
    for (uint64_t i = p->sector; i < p->sector + p->count && i < SECTORS; i++) {
        sectors[i].mixed |= sectors[i].busy++ > 0;
        sectors[i].last = p->write;
        sectors[i].seed = UNKNOWN;
    }
}

/* It is there now, or (UNKNOWN) perhaps. */
static void end_change(struct pending *p, int seed)
{
    for (uint64_t i = p->sector; i < p->sector + p->count && i < SECTORS; i++) {
        if (!sectors[i].mixed && sectors[i].last == p->write)
            sectors[i].seed = seed;
        if (sectors[i].busy && !--sectors[i].busy)
            sectors[i].mixed = false;
    }
}

static void compare(const struct pending *p)
{
    uint64_t at = p->sector * 512;

    for (unsigned k = 0; k < p->pieces; k++)
        for (uint32_t i = 0; i < p->data[k].len; i++, at++) {
            const uint64_t n = at / 512;
            if (n >= SECTORS || sectors[n].seed == UNKNOWN ||
                sectors[n].last != p->last[n - p->sector])
                continue;
            must(((const uint8_t *)p->data[k].host)[i] == byte_at(at, sectors[n].seed));
        }
}

static void done(unsigned tag)
{
    struct pending *p = &pending[tag - 1];
    const bool well = *p->status == VIRTIO_BLK_S_OK;

    if (p->expect == WELL && !host_failed)
        must(well);
    if (p->expect == WRONG)
        must(!well && *p->status != 0xff);
    if (p->type == VIRTIO_BLK_T_IN && well)
        compare(p);
    else if (p->type == VIRTIO_BLK_T_GET_ID && well)
        must(!memcmp(p->data[0].host, "a disk\0", 7));
    else if (p->write)
        end_change(p, !well                             ? UNKNOWN
                      : p->type == VIRTIO_BLK_T_OUT     ? p->seed
                      : p->type == VIRTIO_BLK_T_DISCARD ? UNKNOWN
                                                        : ZEROES);
}

/* ---- requests ---- */

static uint64_t some_sector(struct feed *f)
{
    static const uint64_t wrong[] = {SECTORS, SECTORS - 1, SECTORS + 1, UINT64_MAX,
                                     UINT64_MAX / 512};

    return feed_rarely(f, 12) ? feed_pick(f, wrong) : feed_below(f, SECTORS);
}

/* Room, or bytes, for so many sectors, in some pieces. */
static void make_data(struct feed *f, struct driver *d, struct pending *p, uint32_t len)
{
    unsigned pieces = feed_rarely(f, 3) ? 1 + feed_below(f, PIECES) : 1;
    uint64_t at = p->sector * 512;

    for (; len && p->pieces < pieces; p->pieces++) {
        struct seg *s = &p->data[p->pieces];
        uint32_t n = p->pieces + 1 == pieces ? len : min(len, 1 + feed_below(f, len));
        if (mode.direct && feed_below(f, 4)) { /* as it has to be, most of the time */
            n = min(len, (n + 511) & ~511u);
            d->board->next = (d->board->next + 511) & ~UINT64_C(511);
        }
        *s = driver_buffer(d, n, p->type != VIRTIO_BLK_T_OUT);
        for (uint32_t i = 0; s->host && !s->writable && i < n; i++, at++)
            ((uint8_t *)s->host)[i] = byte_at(at, p->seed);
        len -= n;
    }
}

static void make_ranges(struct feed *f, struct driver *d, struct pending *p)
{
    struct virtio_blk_discard_write_zeroes r[40];
    unsigned n = feed_rarely(f, 6) ? feed_below(f, 40) : 1;
    uint32_t flag = p->type == VIRTIO_BLK_T_WRITE_ZEROES ? feed_below(f, 2) : 0;
    bool offered =
        d->features & 1ull << (p->type == VIRTIO_BLK_T_DISCARD ? VIRTIO_BLK_F_DISCARD
                                                               : VIRTIO_BLK_F_WRITE_ZEROES);

    if (feed_rarely(f, 16))
        flag = feed_byte(f);
    for (unsigned i = 0; i < n; i++)
        r[i] = (struct virtio_blk_discard_write_zeroes){p->sector, p->count, flag};
    p->data[p->pieces++] = driver_bytes(d, r, n * (uint32_t)sizeof(r[0]));
    p->expect = offered && p->count <= SECTORS && p->sector <= SECTORS - p->count &&
                        (flag == 0 || (flag == 1 && p->type == VIRTIO_BLK_T_WRITE_ZEROES)) &&
                        n > 0 && n <= (p->type == VIRTIO_BLK_T_DISCARD ? 32 : 1)
                    ? WELL
                    : WRONG;
}

static void make_body(struct feed *f, struct driver *d, struct pending *p)
{
    uint32_t extra = feed_rarely(f, 24) ? feed_below(f, 511) + 1 : 0;

    switch (p->type) {
    case VIRTIO_BLK_T_IN:
    case VIRTIO_BLK_T_OUT:
        make_data(f, d, p, p->count * 512 + extra);
        p->expect = extra || p->sector > SECTORS - p->count || p->sector > SECTORS ||
                            (p->type == VIRTIO_BLK_T_OUT && mode.readonly)
                        ? WRONG
                        : WELL;
        break;
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
        make_ranges(f, d, p);
        break;
    case VIRTIO_BLK_T_GET_ID:
        p->data[p->pieces++] = driver_buffer(d, BLK_SERIAL, true);
        p->expect = WELL;
        break;
    case VIRTIO_BLK_T_FLUSH:
        p->expect = WELL;
        break;
    default:
        p->expect = WRONG;
    }
}

static unsigned request(struct feed *f, struct driver *d, unsigned queue, struct seg *segs)
{
    static const uint32_t types[] = {VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,
                                     VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,
                                     VIRTIO_BLK_T_OUT,     VIRTIO_BLK_T_FLUSH,
                                     VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
                                     VIRTIO_BLK_T_GET_ID,  3};
    struct pending *p = &pending[next_pending];
    unsigned n = 0;

    (void)queue;
    *p = (struct pending){.type = feed_pick(f, types),
                          .sector = some_sector(f),
                          .count = 1 + feed_below(f, feed_rarely(f, 6) ? LONGEST : 8),
                          .seed = feed_byte(f)};
    struct virtio_blk_outhdr h = {.type = p->type, .sector = p->sector};
    unsigned cut = feed_rarely(f, 8) ? 1 + feed_below(f, 14) : sizeof(h);
    make_body(f, d, p);
    segs[n++] = driver_bytes(d, &h, cut);
    if (cut < sizeof(h))
        segs[n++] = driver_bytes(d, (uint8_t *)&h + cut, (uint32_t)sizeof(h) - cut);
    for (unsigned i = 0; i < p->pieces; i++)
        segs[n++] = p->data[i];
    segs[n++] = driver_buffer(d, 1, true);
    for (unsigned i = 0; i < n; i++)
        if (!segs[i].host) /* memory was used up */
            return segs[i].len || i == n - 1 ? 0 : n;
    p->status = segs[n - 1].host;
    *(uint8_t *)segs[n - 1].host = 0xff;
    for (unsigned i = 0; i < p->count && p->sector + i < SECTORS; i++)
        p->last[i] = sectors[p->sector + i].busy ? UINT_MAX : sectors[p->sector + i].last;
    if (p->expect == WELL && (p->type == VIRTIO_BLK_T_OUT || p->type == VIRTIO_BLK_T_DISCARD ||
                              p->type == VIRTIO_BLK_T_WRITE_ZEROES))
        begin_change(p);
    next_pending = (next_pending + 1) % PENDING;
    fuzz_tag = (unsigned)(p - pending) + 1;
    return n;
}

/* The host has no room, or fails, or is well again. */
static void event(struct feed *f, struct board *b)
{
    (void)b;
    if (feed_rarely(f, 3))
        host = feed_rarely(f, 16) ? HOST_BROKEN : HOST_FULL;
    else
        host = HOST_WELL;
    if (host == HOST_WELL)
        blk_retry(device);
}

/* ---- the device ---- */

static void on_full(void *arg, const char *why)
{
    (void)arg;
    must(*why);
}

static int add(struct board *b)
{
    const struct blk_config config = {
        .disk = disk,
        .serial = "a disk",
        .queues = mode.queues,
        .workers = 1,
        .writethrough = mode.writethrough,
        .no_ring = !mode.ring,
        .bytes_per_second = mode.limited ? 4 << 20 : 0,
        .full = on_full,
    };

    if (mode.ring)
        must(pool_start(b->workers->helpers, 2, NULL, NULL) == 0);
    device = blk_add(&b->virtio, &config, NULL);
    return device ? 0 : -1;
}

static void check_disk(int fd)
{
    struct disk_check c = {0};
    struct disk *d = open_disk(fd, DISK_READONLY | DISK_FOR_CHECK);

    must(disk_check(d, &c, NULL) == 0);
    must(c.errors == 0 && (c.leaks == 0 || host_failed));
    disk_close(d, NULL);
}

/* What is known to be on the disk can be read there. */
static void check_content(void)
{
    static uint8_t all[SECTORS * 512];

    must(disk_pread(disk, all, sizeof(all), 0, NULL) == 0);
    for (uint64_t i = 0; i < SECTORS; i++) {
        const uint8_t *bytes = all + i * 512;
        if (sectors[i].seed == ZEROES)
            must(memcmp(bytes, hostfile_zeroes, 512) == 0);
        else if (sectors[i].seed != UNKNOWN)
            for (unsigned k = 0; k < 512; k++)
                must(bytes[k] == byte_at(i * 512 + k, sectors[i].seed));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    struct virtio_fuzz fuzz = {.add = add,
                               .config = sizeof(struct virtio_blk_config),
                               .request = request,
                               .event = event,
                               .done = done};
    const uint8_t how = feed_byte(&f), more = feed_byte(&f);

    fuzz_behaves = how & 1;
    mode.ring = (how & 6) == 0;
    mode.direct = (how & 6) < 4; /* with the ring, or with what stands in for it */
    mode.qcow2 = how & 8;
    mode.writethrough = how & 16;
    mode.readonly = (how & 0xe0) == 0xe0;
    mode.limited = !(more & 15);
    fuzz.queues = mode.queues = 1 + (more >> 4) % 3;
    for (unsigned i = 0; i < SECTORS; i++)
        sectors[i] = (typeof(sectors[0])){.seed = ZEROES};
    host = HOST_WELL;
    host_failed = false;
    next_pending = writes = 0;

    int fd = make_file(&f), copy = dup(fd);
    disk = open_disk(fd, mode.readonly ? DISK_READONLY : 0);
    virtio_fuzz(&fuzz, f.at, f.left);
    host = HOST_WELL;
    if (fuzz_behaves)
        check_content();
    must(disk_close(disk, NULL) == 0 || host_failed);
    if (mode.qcow2)
        check_disk(copy);
    else
        close(copy);
    return 0;
}
