/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device where something waits or fails: clusters that another writes, a full host, errors,
 * resets and ends in the middle.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "base/log.h"
#include "device/blkrig.h"
#include "scratch.h"

#define IN      VIRTIO_BLK_T_IN
#define OUT     VIRTIO_BLK_T_OUT
#define FLUSH   VIRTIO_BLK_T_FLUSH
#define DISCARD VIRTIO_BLK_T_DISCARD
#define ZEROES  VIRTIO_BLK_T_WRITE_ZEROES
#define OK      VIRTIO_BLK_S_OK
#define IOERR   VIRTIO_BLK_S_IOERR
#define MIB     (1u << 20)
#define NONE    0xff /* no status yet */
#define CLUSTER (FAKE_CLUSTER / 512)

static struct error err;

/* Let the loop work until cond, for at most 5 s. */
#define turn_until(r, cond)                                                                        \
    do {                                                                                           \
        const uint64_t until_ = now_mono_ns() + 5000000000ull;                                     \
        while (!(cond) && now_mono_ns() < until_)                                                  \
            if (!board_turn(&(r)->b))                                                              \
                poll(&(struct pollfd){.fd = workers_loop_fd((r)->b.workers), .events = POLLIN}, 1, \
                     10);                                                                          \
        assert_true(cond);                                                                         \
    } while (0)

static struct seg filled(struct blkrig *r, uint32_t len, char with)
{
    struct seg s = driver_buffer(&r->d, len, false);

    memset(s.host, with, len);
    return s;
}

static void check_read(struct blkrig *r, uint64_t sector, uint32_t len, char want)
{
    struct seg in = driver_buffer(&r->d, len, true);

    assert_int_equal(rig_request(r, IN, sector, in), OK);
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(((char *)in.host)[i], want);
}

/* ---- maps of all kinds ---- */

static void kinds_of_maps(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r;
        rig_create(&r, rig_fake(MIB), way);
        assert_int_equal(rig_request(&r, OUT, 100, filled(&r, 200 * 1024, 'a')), OK);
        assert_int_equal(fake.links, 4); /* of each cluster */
        assert_int_equal(fake.drops, 0);
        fake.read_kind = DISK_COPY;
        check_read(&r, 100, 200 * 1024, 'a');
        assert_true(fake.copies >= 4);
        fake.read_kind = DISK_ZERO;
        check_read(&r, 100, 200 * 1024, 0);
        fake.read_kind = DISK_DATA;
        check_read(&r, 100, 200 * 1024, 'a');
        rig_destroy(&r);
    }
}

/* A cluster that somebody else is allocating: wait, and be woken by any unmap. */
static void busy(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r = {0};
        struct blk_config c = rig_config(&r);
        c.queues = c.workers = 2;
        rig_create_as(&r, rig_fake(MIB), way, false, &c, DRIVER_ALL);
        struct disk_map m;
        assert_int_equal(disk_map_write(r.disk, 0, 4096, &m, &err), 0);
        struct seg a = filled(&r, 8192, 'a'), b = filled(&r, 8192, 'b');
        volatile uint8_t *first = rig_send(&r, 0, OUT, CLUSTER - 8, &a, 1);
        volatile uint8_t *other = rig_send(&r, 0, OUT, 0, &a, 1);
        board_turn(&r.b);
        assert_int_equal(*first, NONE);
        assert_int_equal(*other, NONE);
        assert_int_equal(rig_flush(&r), OK); /* nothing else waits for it */
        assert_int_equal(disk_unmap(&m, true, &err), 0);
        /* A write elsewhere, in the other lane: its end wakes them. */
        volatile uint8_t *wakes = rig_send(&r, 1, OUT, 4 * CLUSTER, &b, 1);
        turn_until(&r, *wakes == OK && *first == OK && *other == OK);
        while (driver_used(&r.d, 0, NULL, NULL))
            ;
        check_read(&r, CLUSTER - 8, 8192, 'a');
        rig_destroy(&r);
    }
}

/* ---- no room on the host ---- */

static void room_again(struct blkrig *r)
{
    fake.fail_map = fake.fail_link = fake.fail_flush = fake.fail_discard = fake.fail_zero = 0;
    blk_retry(r->device);
}

static void full(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r = {0};
        struct blk_config c = rig_config(&r);
        c.queues = c.workers = 2;
        rig_create_as(&r, rig_fake(MIB), way, false, &c, DRIVER_ALL);
        struct seg a = filled(&r, 2 * FAKE_CLUSTER, 'a');
        fake.fail_map = way % 2 ? ENOSPC : EDQUOT;
        volatile uint8_t *w1 = rig_send(&r, 0, OUT, 0, &a, 1);
        turn_until(&r, r.full == 1);
        assert_int_equal(strncmp(r.why, "disk full: data: ", 17), 0);
        volatile uint8_t *w2 = rig_send(&r, 1, OUT, 8 * CLUSTER, &a, 1);
        board_turn(&r.b);
        assert_int_equal(*w1, NONE);
        assert_int_equal(*w2, NONE);
        assert_int_equal(r.full, 1); /* said once */

        blk_retry(r.device); /* nothing has changed */
        turn_until(&r, r.full == 2);
        assert_int_equal(*w1, NONE);

        /* Room for the data, none for the metadata. */
        fake.fail_map = 0;
        fake.fail_link = ENOSPC;
        blk_retry(r.device);
        turn_until(&r, r.full == 3);
        assert_int_equal(*w1, NONE);
        assert_true(fake.drops > 0);

        room_again(&r);
        turn_until(&r, *w1 == OK && *w2 == OK);
        while (driver_used(&r.d, 0, NULL, NULL))
            ;
        check_read(&r, 0, 2 * FAKE_CLUSTER, 'a');
        assert_int_equal(r.full, 3);

        /* All that can meet it. */
        static const uint32_t types[] = {FLUSH, DISCARD, ZEROES};
        const struct virtio_blk_discard_write_zeroes range = {.num_sectors = 2 * CLUSTER};
        fake.fail_flush = fake.fail_discard = fake.fail_zero = ENOSPC;
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
            struct seg s = driver_bytes(&r.d, &range, sizeof(range));
            volatile uint8_t *status = rig_send(&r, 0, types[i], 0, &s, types[i] != FLUSH);
            turn_until(&r, r.full == 4 + i);
            assert_int_equal(*status, NONE);
            room_again(&r);
            turn_until(&r, *status == OK);
            fake.fail_flush = fake.fail_discard = fake.fail_zero = ENOSPC;
        }
        fake.fail_flush = fake.fail_discard = fake.fail_zero = 0;

        /* A write through the cache that only its flush has no room for. */
        mmio_write(&r.b, r.d.device + offsetof(struct virtio_blk_config, wce), 1, 0);
        fake.fail_flush = ENOSPC;
        volatile uint8_t *w3 = rig_send(&r, 0, OUT, 0, &a, 1);
        turn_until(&r, r.full == 7);
        assert_int_equal(*w3, NONE);
        room_again(&r);
        turn_until(&r, *w3 == OK);
        rig_destroy(&r);
    }
}

/* A driver that resets what waits gets a working device, and the old requests are not done. */
static void full_and_reset(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r;
        rig_create(&r, rig_fake(MIB), way);
        struct seg a = filled(&r, 4096, 'a');
        fake.fail_map = ENOSPC;
        rig_send(&r, 0, OUT, 0, &a, 1);
        turn_until(&r, r.full == 1);
        fake.fail_map = 0;
        assert_true(driver_start(&r.d, DRIVER_ALL, 1, 16));
        blk_retry(r.device);
        check_read(&r, 0, 4096, 0);
        fake.fail_map = ENOSPC; /* it is said again */
        rig_send(&r, 0, OUT, 0, &a, 1);
        turn_until(&r, r.full == 2);
        rig_destroy(&r); /* also while one waits */
        assert_int_equal(fake.links, 0);
    }
}

/* Where nobody can stop the guest it is told. */
static void full_and_nobody_cares(void **state)
{
    (void)state;
    struct blkrig r = {0};
    struct blk_config c = rig_config(&r);
    c.full = NULL;
    rig_create_as(&r, rig_fake(MIB), WAY_RING, false, &c, DRIVER_ALL);
    fake.fail_map = ENOSPC;
    assert_int_equal(rig_request(&r, OUT, 0, filled(&r, 4096, 'a')), IOERR);
    rig_destroy(&r);
}

/* ---- errors ---- */

static void errors(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r;
        rig_create(&r, rig_fake(MIB), way);
        struct seg a = filled(&r, 4096, 'a');
        fake.fail_map = EIO;
        assert_int_equal(rig_request(&r, OUT, 0, a), IOERR);
        assert_int_equal(rig_request(&r, IN, 0, driver_buffer(&r.d, 4096, true)), IOERR);
        fake.fail_map = 0;
        fake.fail_link = EIO;
        assert_int_equal(rig_request(&r, OUT, 0, a), IOERR);
        fake.fail_link = 0;
        fake.read_kind = DISK_COPY;
        fake.fail_copy = EIO;
        assert_int_equal(rig_request(&r, IN, 0, driver_buffer(&r.d, 4096, true)), IOERR);
        fake.read_kind = DISK_DATA;
        fake.fail_discard = EIO;
        assert_int_equal(rig_range(&r, DISCARD, 0, CLUSTER, 0), IOERR);
        fake.fail_zero = EIO;
        assert_int_equal(rig_range(&r, ZEROES, 0, CLUSTER, 0), IOERR);
        assert_int_equal(rig_request(&r, OUT, 0, a), OK);
        assert_int_equal(rig_flush(&r), OK);
        /* After a sync that failed there is no telling what is lost: no flush ever succeeds again. */
        fake.fail_flush = EIO;
        assert_int_equal(rig_flush(&r), IOERR);
        fake.fail_flush = 0;
        assert_int_equal(rig_flush(&r), IOERR);
        assert_int_equal(rig_request(&r, OUT, 0, a), OK);
        rig_destroy(&r);
    }
}

/* ---- in the middle ---- */

static void reset_waits(void **state)
{
    (void)state;
    for (enum blk_way way = WAY_RING; way <= WAY_POOL; way++) {
        struct blkrig r;
        rig_create(&r, rig_fake(MIB), way);
        struct seg in = driver_buffer(&r.d, 2 * FAKE_CLUSTER, true), a = filled(&r, 4096, 'a');
        fake.read_kind = DISK_COPY;
        fake.hold = true;
        volatile uint8_t *status = rig_send(&r, 0, IN, 0, &in, 1);
        rig_send(&r, 0, OUT, 0, &a, 1);
        board_turn(&r.b);
        sem_wait(&fake.held); /* it is being read */
        driver_set_status(&r.d, 0);
        board_turn(&r.b);
        assert_int_not_equal(driver_status(&r.d), 0);
        assert_int_equal(*status, NONE);
        fake.hold = false;
        sem_post(&fake.go);
        turn_until(&r, driver_status(&r.d) == 0);
        assert_int_equal(fake.copies, 1); /* its second half was not begun */
        fake.read_kind = DISK_DATA;
        assert_true(driver_start(&r.d, DRIVER_ALL, 1, 16));
        check_read(&r, 0, 4096, 'a');
        rig_destroy(&r);
    }
}

static void *let_go(void *arg)
{
    (void)arg;
    sem_wait(&fake.held);
    fake.hold = false;
    sem_post(&fake.go); /* for both threads of the pool */
    sem_post(&fake.go);
    return NULL;
}

/* The machine ends while the pool is at work, more is queued for it, and some waits. */
static void ends_in_the_middle(void **state)
{
    (void)state;
    for (unsigned threads = 0; threads < 2; threads++) {
        for (enum blk_way way = WAY_RING; way <= WAY_POOL; way++) {
            struct blkrig r = {0};
            struct blk_config c = rig_config(&r);
            c.queues = c.workers = 2;
            rig_create_as(&r, rig_fake(MIB), way, threads, &c, DRIVER_ALL);
            struct seg in = driver_buffer(&r.d, 4096, true), a = filled(&r, 4096, 'a');
            struct disk_map m;
            assert_int_equal(disk_map_write(r.disk, 0, 4096, &m, &err), 0);
            fake.read_kind = DISK_COPY;
            fake.hold = true;
            for (unsigned i = 0; i < 8; i++) {
                rig_send(&r, i % 2, IN, 0, &in, 1);
                rig_send(&r, i % 2, OUT, 0, &a, 1);
            }
            rig_send(&r, 0, FLUSH, 0, NULL, 0);
            pthread_t t;
            pthread_create(&t, NULL, let_go, NULL);
            if (!threads)
                board_turn(&r.b);
            pthread_join(t, NULL);
            assert_int_equal(disk_unmap(&m, false, &err), 0);
            rig_destroy(&r);
        }
    }
}

/* Writes by the ring that are in flight when the machine ends are waited for. */
static void ends_with_the_ring_at_work(void **state)
{
    (void)state;
    int probe = open("probe", O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    if (probe < 0)
        skip();
    close(probe);
    for (unsigned threads = 0; threads < 2; threads++) {
        struct blkrig r = {0};
        struct blk_config c = rig_config(&r);
        rig_create_as(&r, rig_raw("a", 8 * MIB, DISK_DIRECT), WAY_RING, threads, &c, DRIVER_ALL);
        struct seg room = filled(&r, 132 * 1024, 'x'), out = room;
        out.at = (room.at + 4095) & ~4095ull;
        out.len = 128 * 1024;
        for (unsigned i = 0; i < 32; i++)
            rig_send(&r, 0, OUT, i * 256, &out, 1);
        rig_send(&r, 0, FLUSH, 0, NULL, 0);
        if (threads) /* some of it has begun */
            assert_true(driver_await(&r.d, 0, NULL, NULL));
        else
            workers_turn(r.b.workers);
        rig_destroy(&r);
    }
}

/* A freeze while requests are under way, and what came meanwhile. */
static void paused(void **state)
{
    (void)state;
    for (enum blk_way way = WAY_RING; way <= WAY_POOL; way++) {
        struct blkrig r = {0};
        struct blk_config c = rig_config(&r);
        rig_create_as(&r, rig_fake(MIB), way, true, &c, DRIVER_ALL);
        struct seg in = driver_buffer(&r.d, 4096, true);
        fake.read_kind = DISK_COPY;
        fake.hold = true;
        volatile uint8_t *status = rig_send(&r, 0, IN, 0, &in, 1);
        sem_wait(&fake.held);
        assert_int_equal(workers_pause(r.b.workers, 2000, &err), 0); /* does not wait for it */
        fake.hold = false;
        sem_post(&fake.go);
        volatile uint8_t *more = rig_send(&r, 0, IN, 8, &in, 1);
        while (fake.copies < 1)
            poll(NULL, 0, 1);
        assert_int_equal(*status, NONE);
        assert_int_equal(*more, NONE);
        workers_resume(r.b.workers);
        turn_until(&r, *status == OK && *more == OK);
        rig_destroy(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(kinds_of_maps),
        scratch_test(busy),
        scratch_test(full),
        scratch_test(full_and_reset),
        scratch_test(full_and_nobody_cares),
        scratch_test(errors),
        scratch_test(reset_waits),
        scratch_test(ends_in_the_middle),
        scratch_test(ends_with_the_ring_at_work),
        scratch_test(paused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
