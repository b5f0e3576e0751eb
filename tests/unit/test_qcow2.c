/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qcow2 images in memory: random use held against a model, snapshots, full disks, bad images. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "images.h"

/* ---- random use ---- */

struct model {
    uint8_t *data;
    uint64_t size;
};

static void fill_random(uint8_t *p, size_t len)
{
    uint8_t first = (uint8_t)(1 + rnd(255));
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(first + i / 7);
}

static void pick_range(uint64_t size, uint64_t most, uint64_t *offset, uint64_t *len)
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
static void compare_all(struct disk *d, const struct model *m)
{
    cleanup_free uint8_t *buf = malloc(m->size);
    assert_int_equal(disk_size(d), m->size);
    if (disk_pread(d, buf, m->size, 0, &image_err) < 0)
        fail_msg("%s", image_err.text);
    for (uint64_t i = 0; i < m->size; i++)
        if (buf[i] != m->data[i])
            fail_msg("at %#llx: %#x instead of %#x", (unsigned long long)i, buf[i], m->data[i]);
}

static void write_some(struct disk *d, struct model *m, uint64_t most)
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

static void zero_some(struct disk *d, struct model *m, uint64_t most)
{
    uint64_t offset, len;
    pick_range(m->size, most, &offset, &len);
    memset(m->data + offset, 0, len);
    if (disk_write_zeroes(d, offset, len, DISK_WAIT | (rnd(2) ? DISK_UNMAP : 0), &image_err) != 0)
        fail_msg("%s", image_err.text);
}

/* Where nothing is below, what is discarded in whole clusters reads as zeroes. */
static void discard_some(struct disk *d, struct model *m, uint64_t most)
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

static void read_some(struct disk *d, const struct model *m, uint64_t most)
{
    uint64_t offset, len;
    pick_range(m->size, most, &offset, &len);
    cleanup_free uint8_t *buf = malloc(len);
    if (disk_pread(d, buf, len, offset, &image_err) < 0)
        fail_msg("%s", image_err.text);
    assert_memory_equal(buf, m->data + offset, len);
}

static void use(struct disk *d, struct model *m, unsigned steps, uint64_t most)
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

static void random_use(uint64_t size, unsigned cluster_size, unsigned steps)
{
    struct memfile m;
    struct model model = {xcalloc(1, size), size};
    memfile_init(&m, LIMIT);
    image_format(&m, size, cluster_size);
    for (int round = 0; round < 4; round++) {
        struct disk *d = image_open(&m, NULL, 0);
        use(d, &model, steps, min(size, max(8 * K * 4, 8 * (uint64_t)cluster_size)));
        compare_all(d, &model);
        image_close(d);
        image_must_be_sound(&m, 0);
    }
    struct disk *d = image_open(&m, NULL, DISK_READONLY);
    compare_all(d, &model);
    image_close(d);
    memfile_clear(&m);
    free(model.data);
}

static void holds_what_was_written(void **state)
{
    (void)state;
    image_seed = 1;
    random_use(4 * M, 65536, 300);
    random_use(1 * M + 512, 512, 600);
    random_use(3 * M, 4096, 600);
    random_use(16 * M, 2 * M, 60);
    random_use(512, 65536, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_written),
    };
    return cmocka_run_group_tests_name("qcow2", tests, NULL, NULL);
}
