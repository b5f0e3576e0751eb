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

/*
 * What is zeroed and discarded there waits as well, but holds up no helper, of which there are two
 * at most.
 */
static void busy_ranges(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r;
        const struct virtio_blk_discard_write_zeroes range = {.num_sectors = CLUSTER};
        rig_create(&r, rig_fake(MIB), way);
        struct disk_map m;
        assert_int_equal(disk_map_write(r.disk, 0, 4096, &m, &err), 0);
        struct seg what = driver_bytes(&r.d, &range, sizeof(range));
        volatile uint8_t *status[4];
        for (unsigned i = 0; i < 4; i++)
            status[i] = rig_send(&r, 0, i % 2 ? DISCARD : ZEROES, 0, &what, 1);
        assert_int_equal(rig_request(&r, OUT, 4 * CLUSTER, filled(&r, 8192, 'a')), OK);
        assert_int_equal(rig_flush(&r), OK);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(*status[i], NONE);
        assert_int_equal(disk_unmap(&m, true, &err), 0);
        struct seg b = filled(&r, 8192, 'b');
        volatile uint8_t *wakes = rig_send(&r, 0, OUT, 8 * CLUSTER, &b, 1);
        turn_until(&r, *wakes == OK);
        for (unsigned i = 0; i < 4; i++)
            turn_until(&r, *status[i] == OK);
        while (driver_used(&r.d, 0, NULL, NULL))
            ;
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

/* ---- snapshots ---- */

static void save(struct blkrig *r, struct state *s)
{
    state_save(s, &err);
    pci_state(&r->b.pci, s);
    virtio_state_all(&r->b.virtio, s);
    if (state_finish(s) < 0)
        fail_msg("%s", err.text);
}

/* Load it into a rig that was just made, whose driver goes on where the other's was. */
static int load(struct blkrig *to, const struct blkrig *from, const struct state *saved)
{
    uint8_t *copy = memcpy(xcalloc(1, saved->len), saved->data, saved->len);
    struct state s;

    for (unsigned i = 0; i < to->b.memory->count; i++)
        memcpy(to->b.memory->slots[i].host, from->b.memory->slots[i].host,
               from->b.memory->slots[i].size);
    state_load(&s, copy, saved->len, &err);
    pci_state(&to->b.pci, &s);
    virtio_state_all(&to->b.virtio, &s);
    int rc = state_finish(&s);
    free(copy);
    to->d = from->d;
    to->d.board = &to->b;
    to->b.next = from->b.next;
    for (unsigned i = 0; i < DRIVER_QUEUES; i++) {
        struct driver_queue *q = &to->d.queues[i];
        q->desc = memory_at(to->b.memory, q->desc_at, 1);
        q->avail = memory_at(to->b.memory, q->avail_at, 1);
        q->used = memory_at(to->b.memory, q->used_at, 1);
    }
    return rc;
}

/* A machine that waits for room is saved, and waits for it wherever it is loaded. */
static void saved_while_full(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r = {0}, to = {0};
        struct blk_config c = rig_config(&r);
        struct state s;
        c.queues = c.workers = 2;
        rig_create_as(&r, rig_fake(MIB), way, false, &c, DRIVER_ALL);
        struct seg a = filled(&r, 8192, 'a');
        mmio_write(&r.b, r.d.device + offsetof(struct virtio_blk_config, wce), 1, 0);
        check_read(&r, 0, 8192, 0);
        fake.fail_map = ENOSPC;
        rig_send(&r, 0, OUT, 0, &a, 1);
        rig_send(&r, 1, OUT, 64, &a, 1);
        turn_until(&r, r.full == 1);
        board_turn(&r.b);
        assert_int_equal(virtio_hold_all(&r.b.virtio, 1000, &err), 0);
        save(&r, &s);

        c = rig_config(&to);
        c.queues = c.workers = 2;
        rig_create_idle(&to, rig_fake(MIB), way, &c);
        fake.fail_map = ENOSPC;
        if (load(&to, &r, &s) < 0)
            fail_msg("%s", err.text);
        virtio_release_all(&to.b.virtio);
        turn_until(&to, to.full == 1);
        assert_false(driver_used(&to.d, 0, NULL, NULL));
        fake.fail_map = 0;
        blk_retry(to.device);
        assert_true(driver_await(&to.d, 0, NULL, NULL));
        assert_true(driver_await(&to.d, 1, NULL, NULL));
        assert_int_equal(mmio_read(&to.b, to.d.device + offsetof(struct virtio_blk_config, wce), 1),
                         0);
        assert_true(fake.flushes >= 1); /* it still writes through */
        check_read(&to, 0, 8192, 'a');
        check_read(&to, 64, 8192, 'a');
        rig_destroy(&to);

        /* Not on another disk, and not with requests that are none. */
        c = rig_config(&to);
        c.queues = c.workers = 2;
        rig_create_idle(&to, rig_fake(2 * MIB), way, &c);
        assert_int_equal(load(&to, &r, &s), -1);
        assert_non_null(strstr(err.text, "another than 'data'"));
        rig_destroy(&to);
        for (size_t back = 1; back <= 8; back++) {
            rig_create_idle(&to, rig_fake(MIB), way, &c);
            s.data[s.len - back] ^= 0x40;
            load(&to, &r, &s);
            s.data[s.len - back] ^= 0x40;
            virtio_release_all(&to.b.virtio);
            board_turn(&to.b);
            rig_destroy(&to);
        }
        free(s.data);

        /* And the first goes on as if nothing had been. */
        virtio_release_all(&r.b.virtio);
        fake.fail_map = 0;
        blk_retry(r.device);
        assert_true(driver_await(&r.d, 0, NULL, NULL));
        assert_true(driver_await(&r.d, 1, NULL, NULL));
        rig_destroy(&r);
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
    for (unsigned i = 0; i < POOL_THREADS; i++)
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
        scratch_test(busy_ranges),
        scratch_test(full),
        scratch_test(full_and_reset),
        scratch_test(saved_while_full),
        scratch_test(full_and_nobody_cares),
        scratch_test(errors),
        scratch_test(reset_waits),
        scratch_test(ends_in_the_middle),
        scratch_test(ends_with_the_ring_at_work),
        scratch_test(paused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
