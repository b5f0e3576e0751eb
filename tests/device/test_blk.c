/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device as its driver sees it (virtio 1.2, 5.2), in each of the ways in which it can do
 * its I/O. test_blk_wait.c has what waits and what fails.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "device/blkrig.h"
#include "scratch.h"

#define IN        VIRTIO_BLK_T_IN
#define OUT       VIRTIO_BLK_T_OUT
#define FLUSH     VIRTIO_BLK_T_FLUSH
#define GET_ID    VIRTIO_BLK_T_GET_ID
#define DISCARD   VIRTIO_BLK_T_DISCARD
#define ZEROES    VIRTIO_BLK_T_WRITE_ZEROES
#define OK        VIRTIO_BLK_S_OK
#define IOERR     VIRTIO_BLK_S_IOERR
#define UNSUPP    VIRTIO_BLK_S_UNSUPP
#define UNMAP     VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP
#define MIB       (1u << 20)
#define SIZE      (2 * MIB)
#define SECTORS   (SIZE / 512)
#define WRITEBACK offsetof(struct virtio_blk_config, wce)

static const struct seg nothing;

/* Bytes that say where they belong. */
static void fill(void *p, size_t len, uint32_t seed)
{
    for (size_t i = 0; i < len / 4; i++)
        ((uint32_t *)p)[i] = seed * 2654435761u + (uint32_t)i;
}

static void check_file(const char *name, uint64_t offset, const void *want, size_t len)
{
    uint8_t *got = xcalloc(1, len);
    int fd = open(name, O_RDONLY | O_CLOEXEC);

    assert_int_equal(pread(fd, got, len, (off_t)offset), len);
    assert_memory_equal(got, want, len);
    close(fd);
    free(got);
}

static uint64_t allocated(const char *name)
{
    struct stat st;

    assert_int_equal(stat(name, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

static uint64_t config(struct blkrig *r, unsigned offset, unsigned size)
{
    return mmio_read(&r->b, r->d.device + offset, size);
}

/* ---- what it says of itself ---- */

static void says_what_it_is(void **state)
{
    (void)state;
    struct blkrig r;
    rig_create(&r, rig_raw("a", SIZE, 0), WAY_RING);
#define FIELD(f) \
    config(&r, offsetof(struct virtio_blk_config, f), sizeof((struct virtio_blk_config){0}.f))
    assert_int_equal(FIELD(capacity), SECTORS);
    assert_int_equal(FIELD(seg_max), 254);
    assert_true(FIELD(size_max) >= 65536);
    assert_int_equal(FIELD(blk_size), 512);
    assert_int_equal(FIELD(physical_block_exp), 3);
    assert_int_equal(FIELD(opt_io_size), 8);
    assert_int_equal(FIELD(wce), 1);
    assert_int_equal(FIELD(num_queues), 1);
    assert_true(FIELD(max_discard_sectors) > 0);
    assert_true(FIELD(max_discard_seg) > 0);
    assert_int_equal(FIELD(discard_sector_alignment), 8);
    assert_true(FIELD(max_write_zeroes_sectors) > 0);
    assert_int_equal(FIELD(max_write_zeroes_seg), 1);
    assert_int_equal(FIELD(write_zeroes_may_unmap), 1);
    static const unsigned bits[] = {
        VIRTIO_BLK_F_SEG_MAX,  VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_FLUSH,
        VIRTIO_BLK_F_TOPOLOGY, VIRTIO_BLK_F_MQ,       VIRTIO_BLK_F_CONFIG_WCE,
        VIRTIO_BLK_F_DISCARD,  VIRTIO_BLK_F_SIZE_MAX, VIRTIO_BLK_F_WRITE_ZEROES,
    };
    for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
        assert_true(r.d.features >> bits[i] & 1);
    assert_false(r.d.features >> VIRTIO_BLK_F_RO & 1);
    rig_destroy(&r);
}

static void read_only(void **state)
{
    (void)state;
    struct blkrig r;
    scratch_write("a", "0123456789");
    rig_create(&r, rig_raw("a", SIZE, DISK_READONLY), WAY_RING);
    assert_true(r.d.features >> VIRTIO_BLK_F_RO & 1);
    assert_false(r.d.features >> VIRTIO_BLK_F_DISCARD & 1);
    assert_false(r.d.features >> VIRTIO_BLK_F_WRITE_ZEROES & 1);
    struct seg in = driver_buffer(&r.d, 512, true), out = driver_buffer(&r.d, 512, false);
    memset(out.host, 'x', 512);
    assert_int_equal(rig_request(&r, IN, 0, in), OK);
    assert_memory_equal(in.host, "0123456789", 10);
    assert_int_equal(rig_request(&r, OUT, 0, out), IOERR);
    assert_int_equal(rig_range(&r, DISCARD, 0, 8, 0), UNSUPP);
    assert_int_equal(rig_range(&r, ZEROES, 0, 8, 0), UNSUPP);
    assert_int_equal(rig_flush(&r), OK);
    assert_int_equal(rig_request(&r, IN, 0, in), OK);
    assert_memory_equal(in.host, "0123456789", 10);
    rig_destroy(&r);
}

static void serial(void **state)
{
    (void)state;
    struct blkrig r = {0};
    struct blk_config c = rig_config(&r);
    c.serial = "12345678901234567890";
    rig_create_as(&r, rig_raw("a", SIZE, 0), WAY_RING, false, &c, DRIVER_ALL);
    struct seg s = driver_buffer(&r.d, 20, true);
    assert_int_equal(rig_request(&r, GET_ID, 0, s), OK);
    assert_memory_equal(s.host, "12345678901234567890", 20);
    struct seg small = driver_buffer(&r.d, 5, true), large = driver_buffer(&r.d, 64, true);
    assert_int_equal(rig_request(&r, GET_ID, 0, small), OK);
    assert_memory_equal(small.host, "12345", 5);
    memset(large.host, 'x', 64);
    assert_int_equal(rig_request(&r, GET_ID, 0, large), OK);
    assert_memory_equal((char *)large.host + 19, "0\0\0", 3);
    rig_destroy(&r);

    rig_create(&r, rig_raw("a", SIZE, 0), WAY_RING);
    s = driver_buffer(&r.d, 20, true);
    memset(s.host, 'x', 20);
    assert_int_equal(rig_request(&r, GET_ID, 0, s), OK);
    assert_memory_equal(s.host, "rig-1\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    rig_destroy(&r);
}

/* ---- data ---- */

static void moves_data(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r;
        rig_create(&r, rig_raw("a", SIZE, 0), way);
        struct seg out = driver_buffer(&r.d, 300 * 1024, false);
        struct seg in = driver_buffer(&r.d, 300 * 1024, true);
        fill(out.host, out.len, 7);
        assert_int_equal(rig_request(&r, OUT, 3, out), OK);
        check_file("a", 3 * 512, out.host, out.len);
        uint32_t len = 0;
        rig_send(&r, 0, IN, 3, &in, 1);
        assert_true(driver_await(&r.d, 0, NULL, &len));
        assert_int_equal(len, in.len + 1);
        assert_memory_equal(in.host, out.host, in.len);
        assert_int_equal(rig_flush(&r), OK);
        assert_int_equal(r.bytes_read, 300 * 1024);
        assert_int_equal(r.bytes_written, 300 * 1024);
        rig_destroy(&r);
        unlink("a");
    }
}

/* 2.7.4: what is in which descriptor means nothing, but for which way it goes. */
static void any_pieces(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r;
        rig_create(&r, rig_raw("a", SIZE, 0), way);
        struct virtio_blk_outhdr h = {.type = OUT, .sector = 1};
        struct seg all = driver_buffer(&r.d, sizeof(h) + 1024, false);
        memcpy(all.host, &h, sizeof(h));
        fill((char *)all.host + sizeof(h), 1024, 9);
        struct seg status = driver_buffer(&r.d, 1, true);
        /* The header in two, its end with the data's beginning, the data in odd pieces. */
        struct seg segs[] = {all, all, all, all, status};
        static const uint32_t at[] = {0, 5, 5 + 11 + 100, 5 + 11 + 100 + 701, sizeof(h) + 1024};
        for (unsigned i = 0; i < 4; i++) {
            segs[i].at += at[i];
            segs[i].len = at[i + 1] - at[i];
        }
        *(uint8_t *)status.host = 0xff;
        assert_int_equal(driver_request(&r.d, 0, segs, 5), 1);
        assert_int_equal(*(uint8_t *)status.host, OK);
        check_file("a", 512, (char *)all.host + sizeof(h), 1024);

        /* Data and status in one. */
        h.type = IN;
        struct seg in = driver_buffer(&r.d, 1025, true);
        struct seg two[] = {driver_bytes(&r.d, &h, sizeof(h)), in};
        ((uint8_t *)in.host)[1024] = 0xff;
        assert_int_equal(driver_request(&r.d, 0, two, 2), 1025);
        assert_int_equal(((uint8_t *)in.host)[1024], OK);
        assert_memory_equal(in.host, (char *)all.host + sizeof(h), 1024);

        /* The same by an indirect table. */
        driver_offer(&r.d, 0, driver_describe_indirect(&r.d, 0, two, 2));
        driver_kick(&r.d, 0);
        uint32_t len;
        assert_true(driver_await(&r.d, 0, NULL, &len));
        assert_int_equal(len, 1025);
        rig_destroy(&r);
        unlink("a");
    }
}

static void beyond_the_end(void **state)
{
    (void)state;
    static const uint64_t wrong[] = {SECTORS,    SECTORS - 1,      SECTORS + 1,
                                     UINT64_MAX, UINT64_MAX / 512, UINT64_MAX / 512 + 1,
                                     1ull << 55};
    struct blkrig r;
    rig_create(&r, rig_raw("a", SIZE, 0), WAY_RING);
    struct seg in = driver_buffer(&r.d, 1024, true), out = driver_buffer(&r.d, 1024, false);
    memset(out.host, 'x', 1024);
    memset(in.host, 'y', 1024);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        uint32_t len = 1;
        assert_int_equal(rig_request(&r, OUT, wrong[i], out), IOERR);
        volatile uint8_t *status = rig_send(&r, 0, IN, wrong[i], &in, 1);
        assert_true(driver_await(&r.d, 0, NULL, &len));
        assert_int_equal(*status, IOERR);
        assert_int_equal(len, 0); /* nothing was written from the first byte on */
        assert_int_equal(rig_range(&r, DISCARD, wrong[i], 2, 0), IOERR);
        assert_int_equal(rig_range(&r, ZEROES, wrong[i], 2, 0), IOERR);
    }
    assert_int_equal(((char *)in.host)[0], 'y');
    assert_int_equal(rig_request(&r, OUT, SECTORS - 2, out), OK);
    struct stat st;
    stat("a", &st);
    assert_int_equal(st.st_size, SIZE);

    /* No sectors at all, and parts of one. */
    assert_int_equal(rig_request(&r, IN, 0, nothing), OK);
    assert_int_equal(rig_request(&r, IN, SECTORS, nothing), OK);
    assert_int_equal(rig_request(&r, IN, SECTORS + 1, nothing), IOERR);
    struct seg odd = in;
    odd.len = 513;
    assert_int_equal(rig_request(&r, IN, 0, odd), IOERR);
    odd.len = 511;
    assert_int_equal(rig_request(&r, IN, 0, odd), IOERR);
    assert_int_equal(driver_status(&r.d) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
    rig_destroy(&r);
}

/* A gigabyte of data by naming the same megabyte again and again. */
static void too_much_at_a_time(void **state)
{
    (void)state;
    struct blkrig r;
    rig_create(&r, rig_raw("a", 2048ull * MIB, 0), WAY_RING);
    struct seg segs[250], in = driver_buffer(&r.d, MIB, true);
    for (size_t i = 0; i < ARRAY_SIZE(segs); i++)
        segs[i] = in;
    volatile uint8_t *status = rig_send(&r, 0, IN, 0, segs, ARRAY_SIZE(segs));
    assert_true(driver_await(&r.d, 0, NULL, NULL));
    assert_int_equal(*status, IOERR);
    /* What the configuration promises is done. */
    const uint32_t size_max = (uint32_t)config(&r, offsetof(struct virtio_blk_config, size_max), 4);
    for (size_t i = 0; i < ARRAY_SIZE(segs); i++)
        segs[i].len = size_max;
    status = rig_send(&r, 0, IN, 0, segs, ARRAY_SIZE(segs));
    assert_true(driver_await(&r.d, 0, NULL, NULL));
    assert_int_equal(*status, OK);
    rig_destroy(&r);
}

static void a_file_that_ends_in_a_sector(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r;
        int fd = open("a", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_int_equal(pwrite(fd, "end", 3, 1000), 3);
        close(fd);
        rig_create(&r, rig_raw("a", 1003, 0), way);
        struct seg in = driver_buffer(&r.d, 1024, true);
        memset(in.host, 'x', 1024);
        assert_int_equal(config(&r, 0, 8), 2);
        assert_int_equal(rig_request(&r, IN, 0, in), OK);
        assert_memory_equal((char *)in.host + 999, "\0end\0\0\0", 7);
        assert_int_equal(((char *)in.host)[1023], 0);
        rig_destroy(&r);
    }
}

static void o_direct(void **state)
{
    (void)state;
    int probe = open("probe", O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
    if (probe < 0)
        skip();
    close(probe);
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r;
        rig_create(&r, rig_raw("a", SIZE, DISK_DIRECT), way);
        struct seg room = driver_buffer(&r.d, 128 * 1024, false), out = room;
        fill(room.host, room.len, 11);
        out.at = (room.at + 4095) & ~4095ull;
        out.host = (char *)room.host + (out.at - room.at);
        out.len = 65536;
        assert_int_equal(rig_request(&r, OUT, 8, out), OK);
        check_file("a", 4096, out.host, out.len);
        out.len = 1024; /* sectors that are no blocks */
        assert_int_equal(rig_request(&r, OUT, 201, out), OK);
        check_file("a", 201 * 512, out.host, out.len);
        out.len = 8192; /* memory that is not aligned */
        out.at += 16;
        out.host = (char *)out.host + 16;
        assert_int_equal(rig_request(&r, OUT, 400, out), OK);
        check_file("a", 400 * 512, out.host, out.len);
        out.writable = true;
        uint8_t want[8192];
        memcpy(want, out.host, sizeof(want));
        memset(out.host, 0, out.len);
        assert_int_equal(rig_request(&r, IN, 400, out), OK);
        assert_memory_equal(out.host, want, sizeof(want));
        assert_int_equal(rig_flush(&r), OK);
        rig_destroy(&r);
        unlink("a");
    }
}

/* ---- what else can be asked ---- */

static void what_is_no_request(void **state)
{
    (void)state;
    struct blkrig r;
    rig_create(&r, rig_raw("a", SIZE, 0), WAY_RING);
    static const uint32_t unknown[] = {2, 3, 7, 10, 12, 14, 15, 0x80000000u, UINT32_MAX};
    struct seg in = driver_buffer(&r.d, 512, true);
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
        assert_int_equal(rig_request(&r, unknown[i], 0, in), UNSUPP);

    /* Half a header can still be answered. */
    struct seg status = driver_buffer(&r.d, 1, true), head = driver_buffer(&r.d, 15, false);
    struct seg segs[] = {head, status};
    *(uint8_t *)status.host = 0xff;
    assert_int_equal(driver_request(&r.d, 0, segs, 2), 1);
    assert_int_equal(*(uint8_t *)status.host, IOERR);
    *(uint8_t *)status.host = 0xff;
    assert_int_equal(driver_request(&r.d, 0, &status, 1), 1);
    assert_int_equal(*(uint8_t *)status.host, IOERR);
    assert_int_equal(driver_status(&r.d) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);

    /* Without a place for the answer there is none. */
    struct virtio_blk_outhdr h = {.type = OUT};
    struct seg out[] = {driver_bytes(&r.d, &h, sizeof(h)), driver_buffer(&r.d, 512, false)};
    memset(out[1].host, 'x', 512);
    driver_send(&r.d, 0, out, 2);
    board_turn(&r.b);
    assert_true(driver_status(&r.d) & VIRTIO_CONFIG_S_NEEDS_RESET);
    assert_false(driver_used(&r.d, 0, NULL, NULL));
    static const char zero[512];
    check_file("a", 0, zero, 512);

    /* It lives on after a reset. */
    assert_true(driver_start(&r.d, DRIVER_ALL, 1, 16));
    assert_int_equal(rig_request(&r, IN, 0, in), OK);
    rig_destroy(&r);
}

static void discards(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r;
        rig_create(&r, rig_raw("a", SIZE, 0), way);
        struct seg out = driver_buffer(&r.d, MIB, false), in = driver_buffer(&r.d, MIB, true);
        fill(out.host, out.len, 3);
        assert_int_equal(rig_request(&r, OUT, 0, out), OK);
        assert_int_equal(rig_flush(&r), OK);
        const uint64_t before = allocated("a");
        assert_int_equal(rig_range(&r, DISCARD, 8, 1024, 0), OK);
        assert_true(allocated("a") <= before - 512 * 1024 + 4096);
        assert_int_equal(rig_request(&r, IN, 0, in), OK);
        assert_memory_equal(in.host, out.host, 4096); /* what is around it stays */
        const uint32_t end = (8 + 1024) * 512;
        assert_memory_equal((char *)in.host + end, (char *)out.host + end, MIB - end);

        /* Two ranges at once, of which one is empty. */
        struct virtio_blk_discard_write_zeroes two[] = {{.sector = 1200, .num_sectors = 8},
                                                        {.sector = 0, .num_sectors = 0}};
        assert_int_equal(rig_request(&r, DISCARD, 0, driver_bytes(&r.d, two, sizeof(two))), OK);

        /* Zeroes, a part of a block among them. */
        assert_int_equal(rig_range(&r, ZEROES, 1300, 9, 0), OK);
        assert_int_equal(rig_range(&r, ZEROES, 1400, 8, UNMAP), OK);
        assert_int_equal(rig_request(&r, IN, 0, in), OK);
        memset((char *)out.host + 1300 * 512, 0, 9 * 512);
        memset((char *)out.host + 1400 * 512, 0, 8 * 512);
        assert_memory_equal((char *)in.host + 1250 * 512, (char *)out.host + 1250 * 512, 200 * 512);
        rig_destroy(&r);
        unlink("a");
    }
}

static void wrong_ranges(void **state)
{
    (void)state;
    struct blkrig r;
    rig_create(&r, rig_raw("a", SIZE, 0), WAY_RING);
    struct seg out = driver_buffer(&r.d, 65536, false);
    fill(out.host, out.len, 5);
    assert_int_equal(rig_request(&r, OUT, 0, out), OK);
    /* 5.2.6.2: flags */
    assert_int_equal(rig_range(&r, DISCARD, 0, 8, UNMAP), UNSUPP);
    assert_int_equal(rig_range(&r, DISCARD, 0, 8, 2), UNSUPP);
    assert_int_equal(rig_range(&r, ZEROES, 0, 8, UNMAP | 2), UNSUPP);
    assert_int_equal(rig_range(&r, ZEROES, 0, 8, 0x80000000u), UNSUPP);
    assert_int_equal(rig_range(&r, ZEROES, 0, UINT32_MAX, 0), IOERR);
    assert_int_equal(rig_range(&r, DISCARD, 1, UINT32_MAX, 0), IOERR);
    /* Ranges that are none, or too many, or not whole. */
    struct seg many = driver_buffer(&r.d, 33 * 16, false), part = many;
    assert_int_equal(rig_request(&r, DISCARD, 0, many), IOERR);
    part.len = 17;
    assert_int_equal(rig_request(&r, DISCARD, 0, part), IOERR);
    part.len = 15;
    assert_int_equal(rig_request(&r, ZEROES, 0, part), IOERR);
    part.len = 32;
    assert_int_equal(rig_request(&r, ZEROES, 0, part), IOERR);
    assert_int_equal(rig_request(&r, ZEROES, 0, nothing), IOERR);
    /* Of two of which the second is wrong none is done. */
    struct virtio_blk_discard_write_zeroes two[] = {{.sector = 0, .num_sectors = 128},
                                                    {.sector = SECTORS, .num_sectors = 1}};
    assert_int_equal(rig_request(&r, DISCARD, 0, driver_bytes(&r.d, two, sizeof(two))), IOERR);
    check_file("a", 0, out.host, out.len);
    rig_destroy(&r);

    /* Not negotiated: not there. */
    struct blk_config c = rig_config(&r);
    rig_create_as(&r, rig_raw("a", SIZE, 0), WAY_RING, false, &c,
                  VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
    assert_int_equal(rig_range(&r, DISCARD, 0, 8, 0), UNSUPP);
    assert_int_equal(rig_range(&r, ZEROES, 0, 8, 0), UNSUPP);
    rig_destroy(&r);
}

static void cache_mode(void **state)
{
    (void)state;
    for (enum blk_way way = 0; way < WAYS; way++) {
        struct blkrig r = {0};
        struct blk_config c = rig_config(&r);
        c.writethrough = true;
        rig_create_as(&r, rig_fake(SIZE), way, false, &c, DRIVER_ALL);
        struct seg out = driver_buffer(&r.d, 512, false);
        assert_int_equal(config(&r, WRITEBACK, 1), 0);
        assert_int_equal(rig_request(&r, OUT, 0, out), OK);
        assert_int_equal(fake.flushes, 1);
        /* The driver takes a write-back cache, and gives it back. */
        mmio_write(&r.b, r.d.device + WRITEBACK, 1, 1);
        assert_int_equal(config(&r, WRITEBACK, 1), 1);
        assert_int_equal(rig_request(&r, OUT, 0, out), OK);
        assert_int_equal(fake.flushes, 1);
        assert_int_equal(rig_flush(&r), OK);
        assert_int_equal(fake.flushes, 2);
        mmio_write(&r.b, r.d.device + WRITEBACK, 1, 0);
        assert_int_equal(rig_request(&r, OUT, 0, out), OK);
        assert_int_equal(fake.flushes, 3);
        /* Nothing else is the driver's to change. */
        mmio_write(&r.b, r.d.device, 4, 1);
        mmio_write(&r.b, r.d.device + WRITEBACK + 1, 1, 1);
        mmio_write(&r.b, r.d.device + WRITEBACK + 2, 2, 99);
        assert_int_equal(config(&r, 0, 8), SECTORS);
        assert_int_equal(config(&r, WRITEBACK, 1), 0);
        assert_int_equal(config(&r, WRITEBACK + 1, 1), 0);
        assert_int_equal(config(&r, WRITEBACK + 2, 2), 1);
        /* A reset forgets what the driver chose. */
        mmio_write(&r.b, r.d.device + WRITEBACK, 1, 1);
        assert_true(driver_start(&r.d, DRIVER_ALL, 1, 16));
        assert_int_equal(config(&r, WRITEBACK, 1), 0);
        rig_destroy(&r);

        /* 5.2.5.2: who cannot flush has no cache. */
        c = rig_config(&r);
        rig_create_as(&r, rig_fake(SIZE), way, false, &c,
                      DRIVER_ALL & ~VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH));
        out = driver_buffer(&r.d, 512, false);
        assert_int_equal(config(&r, WRITEBACK, 1), 0);
        assert_int_equal(rig_request(&r, OUT, 0, out), OK);
        assert_int_equal(fake.flushes, 1);
        mmio_write(&r.b, r.d.device + WRITEBACK, 1, 1);
        assert_int_equal(config(&r, WRITEBACK, 1), 0);
        rig_destroy(&r);

        /* And what is thrown away needs not be kept. */
        c = rig_config(&r);
        c.no_flush = true;
        rig_create_as(&r, rig_fake(SIZE), way, false, &c, DRIVER_ALL);
        assert_int_equal(rig_flush(&r), OK);
        assert_int_equal(fake.flushes, 0);
        rig_destroy(&r);
    }
}

/* ---- many at once ---- */

struct model {
    uint32_t seed[SIZE / 4096]; /* of each block */
};

/* Send a random read or write of a block that nobody else is at. */
struct flight {
    volatile uint8_t *status;
    struct seg data;
    unsigned block;
    uint32_t type;
    bool out;
};

static void launch(struct blkrig *r, struct flight *f, unsigned queue, unsigned block,
                   uint32_t seed, struct model *m)
{
    f->type = seed & 1 ? OUT : IN;
    f->block = block;
    f->out = true;
    f->data.writable = f->type == IN;
    if (f->type == OUT) {
        fill(f->data.host, 4096, seed);
        m->seed[block] = seed;
    }
    *f->status = 0xff;
    const struct virtio_blk_outhdr h = {.type = f->type, .sector = block * 8};
    struct seg segs[] = {driver_bytes(&r->d, &h, sizeof(h)),
                         f->data,
                         {.at = f->data.at + 4096, .len = 1, .writable = true}};
    driver_send(&r->d, queue, segs, 3);
}

static void land(struct flight *f, const struct model *m)
{
    uint32_t want[1024] = {0};

    f->out = false;
    assert_int_equal(*f->status, OK);
    if (m->seed[f->block])
        fill(want, 4096, m->seed[f->block]);
    if (f->type == IN)
        assert_memory_equal(f->data.host, want, 4096);
}

static void many_at_once(void **state)
{
    enum { QUEUES = 4, DEPTH = 32, ROUNDS = 60 };
    static struct flight flights[QUEUES][DEPTH];
    static struct model m;
    (void)state;

    for (unsigned i = 0; i < 2u * WAYS; i++) {
        const bool threads = i >= WAYS;
        struct blkrig r = {0};
        struct blk_config c = rig_config(&r);
        c.queues = QUEUES;
        c.workers = 2;
        rig_create_as(&r, i % 2 ? rig_fake(SIZE) : rig_raw("data", SIZE, 0), i % WAYS, threads, &c,
                      DRIVER_ALL);
        m = (struct model){0};
        for (unsigned q = 0; q < QUEUES; q++) {
            for (unsigned k = 0; k < DEPTH; k++) {
                struct seg s = driver_buffer(&r.d, 4097, true);
                s.len = 4096;
                flights[q][k] = (struct flight){.data = s, .status = (uint8_t *)s.host + 4096};
            }
        }
        const uint64_t mark = r.b.next;
        uint32_t seed = 1;
        for (unsigned round = 0; round < ROUNDS; round++) {
            r.b.next = mark;
            for (unsigned q = 0; q < QUEUES; q++)
                for (unsigned k = 0; k < DEPTH; k++)
                    launch(&r, &flights[q][k], q, (q * DEPTH + k) * 4 + seed % 4, seed, &m), seed++;
            for (unsigned q = 0; q < QUEUES; q++)
                for (unsigned k = 0; k < DEPTH; k++)
                    assert_true(driver_await(&r.d, q, NULL, NULL));
            for (unsigned q = 0; q < QUEUES; q++)
                for (unsigned k = 0; k < DEPTH; k++)
                    land(&flights[q][k], &m);
        }
        assert_int_equal(r.bytes_read + r.bytes_written, 4096ull * QUEUES * DEPTH * ROUNDS);
        rig_destroy(&r);
        unlink("data");
    }
}

/* ---- limits ---- */

static uint64_t timed_reads(struct blkrig *r, unsigned n)
{
    struct seg in = driver_buffer(&r->d, 4096, true);
    const uint64_t from = now_mono_ns();

    for (unsigned i = 0; i < n; i++)
        rig_send(r, i % 2, IN, 0, &in, 1);
    for (unsigned i = 0; i < n; i++)
        assert_true(driver_await(&r->d, i % 2, NULL, NULL));
    return (now_mono_ns() - from) / 1000000;
}

static void limits(void **state)
{
    (void)state;
    struct blkrig r = {0};
    struct blk_config c = rig_config(&r);
    c.queues = c.workers = 2;
    c.requests_per_second = 100; /* 10 at once, then one each 10 ms */
    rig_create_as(&r, rig_raw("a", SIZE, 0), WAY_RING, false, &c, DRIVER_ALL);
    assert_in_range(timed_reads(&r, 30), 150, 3000);
    rig_destroy(&r);

    c.requests_per_second = 0;
    c.bytes_per_second = 400 * 1024; /* 40 KiB at once, then a block each 10 ms */
    rig_create_as(&r, rig_raw("a", SIZE, 0), WAY_RING, false, &c, DRIVER_ALL);
    assert_in_range(timed_reads(&r, 30), 150, 3000);
    rig_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(says_what_it_is),
        scratch_test(read_only),
        scratch_test(serial),
        scratch_test(moves_data),
        scratch_test(any_pieces),
        scratch_test(beyond_the_end),
        scratch_test(too_much_at_a_time),
        scratch_test(a_file_that_ends_in_a_sector),
        scratch_test(o_direct),
        scratch_test(what_is_no_request),
        scratch_test(discards),
        scratch_test(wrong_ranges),
        scratch_test(cache_mode),
        scratch_test(many_at_once),
        scratch_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
