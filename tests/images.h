/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2 images in memory, for tests that use cmocka: making, opening and checking them; and disks
 * that are used at random, with a model of what must be on them.
 */
#ifndef PULT_TESTS_IMAGES_H
#define PULT_TESTS_IMAGES_H

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "disk/qcow2.h"
#include "memfile.h"

#define K     UINT64_C(1024)
#define M     (K * K)
#define LIMIT (256 * M)

static struct error image_err;
static uint64_t image_seed;

/* Numbers that are the same each time; xorshift64*. */
static inline uint64_t rnd(uint64_t below)
{
    image_seed ^= image_seed >> 12;
    image_seed ^= image_seed << 25;
    image_seed ^= image_seed >> 27;
    return (image_seed * UINT64_C(0x2545f4914f6cdd1d) >> 16) % below;
}

/* ---- images ---- */

static inline void image_format(struct memfile *m, uint64_t size, unsigned cluster_size)
{
    struct hostfile f;
    struct disk_new n = {.path = "image",
                         .format = "qcow2",
                         .size = size,
                         .cluster_size = cluster_size};
    memfile_open(m, &f, "image");
    if (qcow2_format(&f, &n, &image_err) < 0)
        fail_msg("%s", image_err.text);
    hostfile_close(&f);
}

static inline int image_try_open(struct memfile *m, struct disk *backing, unsigned flags,
                                 struct disk **d)
{
    struct hostfile f;
    struct disk_spec spec = {.path = "image", .format = "qcow2", .flags = flags};
    memfile_open(m, &f, "image");
    return disk_open_on(&driver_qcow2, &f, backing, &spec, d, &image_err);
}

static inline struct disk *image_open(struct memfile *m, struct disk *backing, unsigned flags)
{
    struct disk *d;
    if (image_try_open(m, backing, flags, &d) < 0)
        fail_msg("%s", image_err.text);
    return d;
}

static inline void image_close(struct disk *d)
{
    if (disk_close(d, &image_err) < 0)
        fail_msg("%s", image_err.text);
}

static inline void image_print_finding(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "%s\n", text);
}

/* No errors, and no more leaks than that. */
static inline void image_must_be_sound(struct memfile *m, uint64_t leaks)
{
    struct disk_check c = {0};
    struct disk *d = image_open(m, NULL, DISK_READONLY | DISK_FOR_CHECK | DISK_NO_BACKING);
    if (disk_check(d, &c, &image_err) < 0)
        fail_msg("%s", image_err.text);
    if (c.errors > 0 || c.leaks > leaks) {
        c.say = image_print_finding;
        disk_check(d, &c, &image_err);
        fail_msg("%llu errors, %llu leaks", (unsigned long long)c.errors,
                 (unsigned long long)c.leaks);
    }
    image_close(d);
}

/* ---- random use ---- */

struct model {
    uint8_t *data;
    uint64_t size;
};

static inline void fill_random(uint8_t *p, size_t len)
{
    uint8_t first = (uint8_t)(1 + rnd(255));
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(first + i / 7);
}

static inline void pick_range(uint64_t size, uint64_t most, uint64_t *offset, uint64_t *len)
{
    *len = 512 * (1 + rnd(most / 512));
    if (rnd(4) == 0)
        *len = 1 + rnd(most);
    *len = min(*len, size);
    *offset = rnd(size - *len + 1);
    if (rnd(4))
        *offset &= ~UINT64_C(511);
}

/* What reads differently from the model? */
static inline void compare_all(struct disk *d, const struct model *m)
{
    cleanup_free uint8_t *buf = malloc(m->size);
    assert_int_equal(disk_size(d), m->size);
    if (disk_pread(d, buf, m->size, 0, &image_err) < 0)
        fail_msg("%s", image_err.text);
    for (uint64_t i = 0; i < m->size; i++)
        if (buf[i] != m->data[i])
            fail_msg("at %#llx: %#x instead of %#x", (unsigned long long)i, buf[i], m->data[i]);
}

static inline void write_some(struct disk *d, struct model *m, uint64_t most)
{
    uint64_t offset, len;
    pick_range(m->size, most, &offset, &len);
    fill_random(m->data + offset, len);
    struct iovec v[3] = {{m->data + offset, len / 3},
                         {m->data + offset + len / 3, 0},
                         {m->data + offset + len / 3, len - len / 3}};
    if (disk_pwritev(d, v, 3, offset, &image_err) < 0)
        fail_msg("%s", image_err.text);
}

static inline void zero_some(struct disk *d, struct model *m, uint64_t most)
{
    uint64_t offset, len;
    pick_range(m->size, most, &offset, &len);
    memset(m->data + offset, 0, len);
    if (disk_write_zeroes(d, offset, len, DISK_WAIT | (rnd(2) ? DISK_UNMAP : 0), &image_err) != 0)
        fail_msg("%s", image_err.text);
}

/* Where nothing is below, what is discarded in whole clusters reads as zeroes. */
static inline void discard_some(struct disk *d, struct model *m, uint64_t most)
{
    uint64_t offset, len, mask = disk_granularity(d) - 1;
    pick_range(m->size, most, &offset, &len);
    uint64_t start = (offset + mask) & ~mask, end = offset + len;
    if (end != m->size)
        end &= ~mask;
    if (disk_discard(d, offset, len, DISK_WAIT, &image_err) != 0)
        fail_msg("%s", image_err.text);
    if (end > start)
        memset(m->data + start, 0, end - start);
}

static inline void read_some(struct disk *d, const struct model *m, uint64_t most)
{
    uint64_t offset, len;
    pick_range(m->size, most, &offset, &len);
    cleanup_free uint8_t *buf = malloc(len);
    if (disk_pread(d, buf, len, offset, &image_err) < 0)
        fail_msg("%s", image_err.text);
    assert_memory_equal(buf, m->data + offset, len);
}

static inline void use_disk(struct disk *d, struct model *m, unsigned steps, uint64_t most)
{
    for (unsigned i = 0; i < steps; i++)
        switch (rnd(12)) {
        case 0:
            discard_some(d, m, 2 * most);
            break;
        case 1:
            zero_some(d, m, 2 * most);
            break;
        case 2:
            if (disk_flush(d, &image_err) < 0)
                fail_msg("%s", image_err.text);
            break;
        case 3:
        case 4:
        case 5:
            read_some(d, m, most);
            break;
        default:
            write_some(d, m, most);
        }
}

#endif
