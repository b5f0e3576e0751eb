/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qcow2 images in memory, for tests that use cmocka: making, opening and checking them. */
#ifndef PULT_TESTS_IMAGES_H
#define PULT_TESTS_IMAGES_H

#include <stdio.h>
#include <stdlib.h>

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

#endif
