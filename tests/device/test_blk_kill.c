/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kill -9 of the process that serves a disk, at random moments while its driver writes: the image is
 * sound for pult and for QEMU after each, everything that was flushed is there, and nothing that
 * was never written.
 *
 * The driver runs in a child. What it did is in memory that both share: of each block what it had
 * at the last flush, and all that was sent since. A block may have any of these, and nothing else.
 *
 * timeout: 400 s
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/cleanup.h"
#include "device/blkrig.h"
#include "disk/image.h"
#include "scratch.h"

#define BLOCK       4096u
#define SIZE        (8u << 20)
#define BLOCKS      (SIZE / BLOCK)
#define SECTORS     (BLOCK / 512)
#define SINCE       14u /* writes to a block between two flushes: no more are sent */
#define BATCH       8u  /* requests at once */
#define LONGEST     24u /* blocks of a request */
#define RUNS        50u
#define RUNS_EACH   10u /* on one image */
#define LIMIT_S     60
#define FEW_FLUSHES 12u

/* What a block has is one number in all its words: of it and of the write, or 0. */
struct record {
    struct block {
        uint64_t flushed, since[SINCE];
        _Atomic unsigned count; /* of since */
    } blocks[BLOCKS];
    _Atomic unsigned flushes;
    uint64_t last; /* write */
    uint64_t seed;
};

static struct record *rec;
static struct error err;

static uint64_t random_below(uint64_t below)
{
    rec->seed ^= rec->seed >> 12;
    rec->seed ^= rec->seed << 25;
    rec->seed ^= rec->seed >> 27;
    return (rec->seed * UINT64_C(0x2545f4914f6cdd1d) >> 16) % below;
}

/* ---- the child ---- */

struct batch {
    struct seg buffers[BATCH];
    volatile uint8_t *status[BATCH];
};

static bool has_room(unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++)
        if (rec->blocks[i].count == SINCE)
            return false;
    return true;
}

static void note(unsigned i, uint64_t value)
{
    struct block *b = &rec->blocks[i];

    b->since[b->count] = value;
    b->count++; /* after the value: a kill between them leaves what was there */
}

/* Requests of one batch are for different parts of the disk, for their order is nobody's. */
static bool send_one(struct blkrig *r, struct batch *b, unsigned k)
{
    const unsigned part = BLOCKS / BATCH, n = 1 + (unsigned)random_below(LONGEST);
    const unsigned first = k * part + (unsigned)random_below(part - n);
    const bool zeroes = random_below(6) == 0;
    const uint64_t write = ++rec->last;

    if (!has_room(first, n))
        return false; /* till the next flush */
    for (unsigned i = 0; i < n; i++) {
        const uint64_t value = zeroes ? 0 : write << 20 | (first + i);
        note(first + i, value);
        for (unsigned w = 0; !zeroes && w < BLOCK / 8; w++)
            ((uint64_t *)b->buffers[k].host)[i * BLOCK / 8 + w] = value;
    }
    const struct virtio_blk_discard_write_zeroes range = {
        .sector = first * SECTORS,
        .num_sectors = n * SECTORS,
        .flags = random_below(2) ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0};
    struct seg data = b->buffers[k];
    data.len = n * BLOCK;
    if (zeroes)
        data = driver_bytes(&r->d, &range, sizeof(range));
    b->status[k] = rig_send(r, 0, zeroes ? VIRTIO_BLK_T_WRITE_ZEROES : VIRTIO_BLK_T_OUT,
                            zeroes ? 0 : first * SECTORS, &data, 1);
    return true;
}

static void send_batch(struct blkrig *r, struct batch *b)
{
    unsigned sent = 0;

    for (unsigned k = 0; k < BATCH; k++) {
        b->status[k] = NULL;
        sent += send_one(r, b, k);
    }
    while (sent-- > 0)
        if (!driver_await(&r->d, 0, NULL, NULL))
            _exit(2);
    for (unsigned k = 0; k < BATCH; k++)
        if (b->status[k] && *b->status[k] != VIRTIO_BLK_S_OK)
            _exit(3);
}

static void note_flush(void)
{
    for (struct block *b = rec->blocks; b < rec->blocks + BLOCKS; b++) {
        if (b->count == 0)
            continue;
        b->flushed = b->since[b->count - 1];
        b->count = 0;
    }
    rec->flushes++;
}

/* Write until somebody ends this. */
static _Noreturn void work(struct disk *d, enum blk_way way)
{
    struct blkrig r = {0};
    struct batch b;
    struct blk_config config = rig_config(&r);

    rig_create_as(&r, d, way, true, &config, DRIVER_ALL);
    for (unsigned k = 0; k < BATCH; k++)
        b.buffers[k] = driver_buffer(&r.d, (size_t)LONGEST * BLOCK, false);
    for (unsigned i = 0; i < 4000; i++) {
        send_batch(&r, &b);
        if (random_below(3) == 0) {
            if (rig_flush(&r) != VIRTIO_BLK_S_OK)
                _exit(4);
            note_flush();
        }
    }
    for (;;)
        pause();
}

/* ---- the parent ---- */

static struct disk *open_image(unsigned flags)
{
    static const struct disk_spec below = {.path = "below", .format = "raw"};
    static const struct disk_spec spec = {.path = "image", .format = "qcow2"};
    struct disk_spec s = spec;
    struct disk *d;
    struct disk_info info;

    assert_int_equal(disk_inspect("image", "qcow2", &info, &err), 0);
    s.flags = flags;
    s.backing = info.backing_path && !(flags & DISK_NO_BACKING) ? &below : NULL;
    disk_info_clear(&info);
    if (disk_open(&s, &d, &err) < 0)
        fail_msg("%s", err.text);
    return d;
}

static void make_image(unsigned n)
{
    static const unsigned sizes[] = {65536, 4096, 65536, 512, 65536};
    const bool based = n % 2 == 0;
    struct disk_new new = {.path = "image",
                           .format = "qcow2",
                           .size = SIZE,
                           .cluster_size = sizes[n % ARRAY_SIZE(sizes)],
                           .backing = based ? "below" : NULL,
                           .backing_format = based ? "raw" : NULL};
    FILE *f = fopen("below", "we");

    assert_non_null(f);
    for (uint64_t i = 0; i < BLOCKS; i++)
        for (unsigned w = 0; w < BLOCK / 8; w++)
            assert_int_equal(fwrite(&i, sizeof(i), 1, f), 1);
    assert_int_equal(fclose(f), 0);
    unlink("image");
    if (disk_create(&new, &err) < 0)
        fail_msg("%s", err.text);
}

static bool may_have(const struct block *b, uint64_t value)
{
    bool ok = value == b->flushed;

    for (unsigned i = 0; i < b->count; i++)
        ok |= value == b->since[i];
    return ok;
}

static void check_block(const struct block *b, unsigned i, const uint64_t *got)
{
    for (unsigned s = 0; s < SECTORS; s++, got += 64) {
        for (unsigned w = 1; w < 64; w++)
            if (got[w] != got[0])
                fail_msg("block %u: a torn sector", i);
        if (!may_have(b, got[0]))
            fail_msg("block %u has %llx of write %llu, and %llx was flushed", i,
                     (unsigned long long)got[0], (unsigned long long)got[0] >> 20,
                     (unsigned long long)b->flushed);
    }
}

/* Look at all of the disk. What it has now is what the next run begins with. */
static void check_disk(bool first)
{
    cleanup_free uint8_t *all = xcalloc(1, SIZE);
    struct disk *d = open_image(0);

    if (disk_pread(d, all, SIZE, 0, &err) < 0)
        fail_msg("%s", err.text);
    for (unsigned i = 0; i < BLOCKS; i++) {
        struct block *b = &rec->blocks[i];
        uint64_t *got = (uint64_t *)(all + (size_t)i * BLOCK);
        if (!first)
            check_block(b, i, got);
        b->flushed = got[0];
        b->count = 0;
        for (unsigned s = 1; s < SECTORS; s++) /* a kill was in the midst of it: make it one */
            if (got[s * 64] != got[0] &&
                disk_pwrite(d, got, 512, (uint64_t)i * BLOCK + s * 512, &err) < 0)
                fail_msg("%s", err.text);
    }
    assert_int_equal(disk_close(d, &err), 0);
}

/* Errors are none. Clusters that a write was about to use may be lost (3). */
static void check_image(void)
{
    struct disk_check c = {0};
    struct disk *d = open_image(DISK_READONLY | DISK_FOR_CHECK | DISK_NO_BACKING);

    if (disk_check(d, &c, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(c.errors, 0);
    disk_close(d, NULL);
    int status = system("qemu-img check -f qcow2 image >check.out 2>&1");
    if (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3)
        return;
    cleanup_free char *said = scratch_read("check.out");
    fail_msg("qemu-img check: status %d, %s", WEXITSTATUS(status), said);
}

/* When it has got so far, and a little more. */
static void kill_after(pid_t child, unsigned flushes)
{
    const time_t limit = time(NULL) + LIMIT_S;
    int status;

    while (rec->flushes < flushes) {
        if (waitpid(child, &status, WNOHANG) == child)
            fail_msg("the writer ended by itself: %x", (unsigned)status);
        assert_true(time(NULL) < limit);
        usleep(100);
    }
    usleep((useconds_t)random_below(2000));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void killed(void **state)
{
    (void)state;
    if (system("command -v qemu-img >/dev/null") != 0)
        skip();
    for (unsigned run = 0; run < RUNS; run++) {
        if (run % RUNS_EACH == 0) {
            make_image(run / RUNS_EACH);
            check_disk(true);
        }
        const unsigned flushes = 1 + (unsigned)random_below(FEW_FLUSHES);
        rec->flushes = 0;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            work(open_image(0), run % 2 ? WAY_RING : WAY_POOL);
        kill_after(child, flushes);
        check_image();
        check_disk(false);
    }
    assert_int_equal(system("qemu-img check -q -r leaks -f qcow2 image"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {scratch_test(killed)};

    rec = mmap(NULL, sizeof(*rec), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rec == MAP_FAILED)
        return 1;
    rec->seed = 0x9e3779b97f4a7c15;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
