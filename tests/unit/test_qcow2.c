/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2 images in memory: random use held against a model, snapshots, full disks, bad images.
 * timeout: 600 s
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "images.h"

static void random_use(uint64_t size, unsigned cluster_size, unsigned steps)
{
    struct memfile m;
    struct model model = {xcalloc(1, size), size};
    memfile_init(&m, LIMIT);
    image_format(&m, size, cluster_size);
    for (int round = 0; round < 4; round++) {
        struct disk *d = image_open(&m, NULL, 0);
        use_disk(d, &model, steps, min(size, max(8 * K * 4, 8 * (uint64_t)cluster_size)));
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

/* ---- snapshots ---- */

struct kept {
    char name[8];
    uint8_t *data;
    uint64_t size;
};

/* One of: make one, go back to one, drop one, another size. */
static void change_some(struct disk *d, struct model *m, struct kept *kept, size_t n)
{
    struct kept *k = &kept[rnd(n)];
    int rc = 0;
    switch (rnd(4)) {
    case 0:
        if (k->data) {
            assert_int_equal(disk_snapshot(d, DISK_SNAPSHOT_CREATE, k->name, &image_err), -1);
            return;
        }
        rc = disk_snapshot(d, DISK_SNAPSHOT_CREATE, k->name, &image_err);
        k->size = m->size;
        k->data = xcalloc(1, m->size);
        memcpy(k->data, m->data, m->size);
        break;
    case 1:
        if (!k->data) {
            assert_int_equal(disk_snapshot(d, DISK_SNAPSHOT_APPLY, k->name, &image_err), -1);
            return;
        }
        rc = disk_snapshot(d, DISK_SNAPSHOT_APPLY, k->name, &image_err);
        m->size = k->size;
        memcpy(m->data, k->data, k->size);
        break;
    case 2:
        if (!k->data)
            return;
        rc = disk_snapshot(d, DISK_SNAPSHOT_DELETE, k->name, &image_err);
        free(k->data);
        k->data = NULL;
        break;
    default: {
        uint64_t size = m->size + 512 * rnd(200);
        if (size > 3 * M)
            return;
        rc = disk_resize(d, size, &image_err);
        memset(m->data + m->size, 0, size - m->size);
        m->size = size;
    }
    }
    if (rc < 0)
        fail_msg("%s", image_err.text);
}

static void keeps_snapshots(void **state)
{
    (void)state;
    static const unsigned clusters[] = {512, 4096, 65536};
    image_seed = 2;
    for (size_t c = 0; c < ARRAY_SIZE(clusters); c++) {
        struct memfile m;
        struct kept kept[] = {{.name = "one"}, {.name = "two"}, {.name = "three"}};
        struct model model = {xcalloc(1, 4 * M), 1 * M};
        memfile_init(&m, LIMIT);
        image_format(&m, model.size, clusters[c]);
        for (int round = 0; round < 12; round++) {
            struct disk *d = image_open(&m, NULL, 0);
            use_disk(d, &model, 30, 64 * K);
            change_some(d, &model, kept, ARRAY_SIZE(kept));
            use_disk(d, &model, 10, 64 * K);
            change_some(d, &model, kept, ARRAY_SIZE(kept));
            compare_all(d, &model);
            image_close(d);
            image_must_be_sound(&m, 0);
        }
        struct disk *d = image_open(&m, NULL, 0);
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
            if (!kept[i].data)
                continue;
            if (disk_snapshot(d, DISK_SNAPSHOT_APPLY, kept[i].name, &image_err) < 0)
                fail_msg("%s", image_err.text);
            compare_all(d, &(struct model){kept[i].data, kept[i].size});
            free(kept[i].data);
        }
        image_close(d);
        image_must_be_sound(&m, 0);
        memfile_clear(&m);
        free(model.data);
    }
}

static void snapshot_messages(void **state)
{
    (void)state;
    struct memfile m;
    struct disk_map map;
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memfile_init(&m, LIMIT);
    image_format(&m, M, 65536);
    struct disk *d = image_open(&m, NULL, 0);
    assert_int_equal(disk_snapshot(d, DISK_SNAPSHOT_CREATE, "", &image_err), -1);
    assert_int_equal(disk_snapshot(d, DISK_SNAPSHOT_CREATE, name, &image_err), -1);
    assert_int_equal(disk_snapshot(d, DISK_SNAPSHOT_DELETE, "x", &image_err), -1);
    assert_non_null(strstr(image_err.text, "has no snapshot 'x'"));
    assert_int_equal(disk_snapshot(d, DISK_SNAPSHOT_CREATE, "x", &image_err), 0);
    assert_int_equal(disk_resize(d, 512, &image_err), -1);
    assert_non_null(strstr(image_err.text, "delete them first"));
    assert_int_equal(disk_map_write(d, 0, 512, &map, &image_err), 0);
    assert_int_equal(disk_snapshot(d, DISK_SNAPSHOT_CREATE, "y", &image_err), -1);
    assert_int_equal(disk_unmap(&map, false, &image_err), 0);
    assert_int_equal(disk_snapshot(d, DISK_SNAPSHOT_DELETE, "1", &image_err), 0);
    image_close(d);
    image_must_be_sound(&m, 0);
    memfile_clear(&m);
}

/* ---- sizes ---- */

static void changes_size(void **state)
{
    (void)state;
    struct memfile m;
    struct model model = {xcalloc(1, 8 * M), 300 * K};
    image_seed = 3;
    memfile_init(&m, LIMIT);
    image_format(&m, model.size, 4096);
    for (int round = 0; round < 40; round++) {
        struct disk *d = image_open(&m, NULL, 0);
        uint64_t size = 512 * (1 + rnd(16000));
        use_disk(d, &model, 20, min(model.size, 100 * K));
        if (disk_resize(d, size, &image_err) < 0)
            fail_msg("%s", image_err.text);
        if (size > model.size)
            memset(model.data + model.size, 0, size - model.size);
        model.size = size;
        compare_all(d, &model);
        image_close(d);
        image_must_be_sound(&m, 0);
    }
    struct disk *d = image_open(&m, NULL, 0);
    assert_int_equal(disk_resize(d, 513, &image_err), -1);
    assert_int_equal(disk_resize(d, UINT64_C(1) << 62, &image_err), -1);
    image_close(d);
    memfile_clear(&m);

    memfile_init(&m, LIMIT); /* something lies behind the disk: it does not become part of it */
    image_format(&m, 128 * K, 512);
    d = image_open(&m, NULL, 0);
    assert_int_equal(disk_pwrite(d, model.data, 128 * K, 0, &image_err), 0);
    image_close(d);
    memset(m.data + HEADER_SIZE, 0, 8);
    m.data[HEADER_SIZE + 6] = 40 * K / 256;
    for (uint64_t size = 40 * K; size < 200 * K; size += 50 * K) {
        d = image_open(&m, NULL, 0);
        memset(model.data + 40 * K, 0, 200 * K);
        model.size = size;
        assert_int_equal(disk_resize(d, size, &image_err), 0);
        compare_all(d, &model);
        image_close(d);
        image_must_be_sound(&m, 0);
    }
    memfile_clear(&m);

    memfile_init(&m, LIMIT); /* the file becomes smaller as well */
    image_format(&m, 4 * M, 4096);
    d = image_open(&m, NULL, 0);
    assert_int_equal(disk_pwrite(d, model.data, 4 * M, 0, &image_err), 0);
    assert_int_equal(disk_resize(d, 8 * K, &image_err), 0);
    image_close(d);
    assert_true(m.size < 64 * K);
    image_must_be_sound(&m, 0);
    memfile_clear(&m);
    free(model.data);
}

/* ---- images that are based on others ---- */

/* Make an image say that it is based on one. */
static void say_based(struct memfile *m, uint64_t size, unsigned cluster_size, bool v2)
{
    struct hostfile f;
    struct disk_new n = {.path = "image",
                         .format = "qcow2",
                         .size = size,
                         .cluster_size = cluster_size,
                         .backing = "base",
                         .backing_format = "qcow2"};
    memfile_open(m, &f, "image");
    assert_int_equal(qcow2_format(&f, &n, &image_err), 0);
    hostfile_close(&f);
    if (!v2)
        return;
    m->data[7] = 2; /* extensions begin where version 3 has its fields, and end there */
    memset(m->data + HEADER_V2_LENGTH, 0, HEADER_LENGTH - HEADER_V2_LENGTH);
}

static void shows_what_is_below(void **state)
{
    (void)state;
    image_seed = 4;
    for (int v2 = 0; v2 < 2; v2++) {
        struct memfile base, top;
        struct model model = {xcalloc(1, 2 * M), 1 * M};
        memfile_init(&base, LIMIT);
        memfile_init(&top, LIMIT);
        image_format(&base, model.size, 4096);
        struct disk *d = image_open(&base, NULL, 0);
        use_disk(d, &model, 200, 64 * K);
        image_close(d);

        model.size = 2 * M; /* larger than what it is based on */
        say_based(&top, model.size, 16384, v2);
        assert_int_equal(image_try_open(&top, NULL, 0, &d), -1);
        assert_non_null(strstr(image_err.text, "is based on 'base'"));
        for (int round = 0; round < 3; round++) {
            d = image_open(&top, image_open(&base, NULL, DISK_READONLY), 0);
            compare_all(d, &model);
            for (int i = 0; i < 100; i++) /* discarding may show what is below in version 2 */
                if (rnd(8) == 0 && !v2)
                    discard_some(d, &model, 128 * K);
                else if (rnd(4) == 0)
                    zero_some(d, &model, 128 * K);
                else
                    write_some(d, &model, 64 * K);
            compare_all(d, &model);
            image_close(d);
            image_must_be_sound(&top, 0);
        }
        /* Into the base, which grows; then all is as before, and the image empty. */
        struct disk *below = image_open(&base, NULL, 0);
        d = image_open(&top, NULL, DISK_NO_BACKING);
        if (disk_commit(d, below, NULL, NULL, &image_err) < 0)
            fail_msg("%s", image_err.text);
        image_close(d);
        image_close(below);
        image_must_be_sound(&top, 0);
        image_must_be_sound(&base, 0);
        d = image_open(&base, NULL, DISK_READONLY);
        compare_all(d, &model);
        d = image_open(&top, d, DISK_READONLY);
        compare_all(d, &model);
        image_close(d);
        memfile_clear(&top);
        memfile_clear(&base);
        free(model.data);
    }
}

/* ---- what goes wrong on the host ---- */

static bool write_once(struct disk *d, const struct model *m, uint64_t offset, uint64_t len)
{
    if (disk_pwrite(d, m->data + offset, len, offset, &image_err) == 0)
        return true;
    if (!disk_is_full(&image_err))
        fail_msg("%s", image_err.text);
    return false;
}

/* The same request goes through when there is room again. */
static void goes_on_after_a_full_disk(void **state)
{
    (void)state;
    struct memfile m;
    struct model model = {xcalloc(1, 2 * M), 2 * M};
    unsigned full = 0;
    image_seed = 5;
    memfile_init(&m, LIMIT);
    image_format(&m, model.size, 4096);
    struct disk *d = image_open(&m, NULL, 0);
    for (int i = 0; i < 600; i++) {
        uint64_t offset, len;
        pick_range(model.size, 32 * K, &offset, &len);
        fill_random(model.data + offset, len);
        m.full_at = rnd(3) ? 0 : rnd(m.size) + 4096;
        while (!write_once(d, &model, offset, len)) {
            m.full_at = rnd(3) ? m.full_at + 64 * K : 0;
            full++;
        }
        if (rnd(5) == 0)
            while (disk_flush(d, &image_err) < 0) {
                if (!disk_is_full(&image_err))
                    fail_msg("%s", image_err.text);
                m.full_at = 0;
                full++;
            }
        if (rnd(50) == 0) {
            m.full_at = 0;
            compare_all(d, &model);
        }
    }
    m.full_at = 0;
    assert_true(full > 50);
    compare_all(d, &model);
    image_close(d);
    image_must_be_sound(&m, 0);
    memfile_clear(&m);
    free(model.data);
}

/* Whatever fails when, the image has no errors. */
static void survives_io_errors(void **state)
{
    (void)state;
    image_seed = 6;
    for (int round = 0; round < 300; round++) {
        struct memfile m;
        struct disk *d;
        struct model model = {xcalloc(1, 512 * K), 512 * K};
        memfile_init(&m, LIMIT);
        image_format(&m, model.size, round % 2 ? 512 : 4096);
        m.fail_with = EIO;
        for (int again = 0; again < 3; again++) {
            m.fail_in = (long)rnd(200);
            if (image_try_open(&m, NULL, 0, &d) < 0)
                continue;
            for (int i = 0; i < 30; i++) {
                uint64_t offset, len;
                pick_range(model.size, 32 * K, &offset, &len);
                int rc = rnd(4)   ? disk_pwrite(d, model.data, len, offset, &image_err)
                         : rnd(2) ? disk_flush(d, &image_err)
                         : rnd(6)
                             ? disk_discard(d, offset, len, DISK_WAIT, &image_err)
                             : disk_snapshot(d, (enum disk_snapshot_op)rnd(3), "s", &image_err);
                if (rc < 0 && !image_err.text[0])
                    fail_msg("it failed without a word");
            }
            disk_close(d, &image_err);
        }
        m.fail_in = -1;
        image_close(image_open(&m, NULL, 0)); /* repairs it, if it is marked dirty */
        image_must_be_sound(&m, UINT64_MAX);
        memfile_clear(&m);
        free(model.data);
    }
}

static void lost_syncs_are_remembered(void **state)
{
    (void)state;
    struct memfile m;
    memfile_init(&m, LIMIT);
    image_format(&m, M, 65536);
    struct disk *d = image_open(&m, NULL, 0);
    m.fail_in = 0;
    m.fail_with = EIO;
    assert_int_equal(disk_flush(d, &image_err), -1);
    assert_int_equal(disk_flush(d, &image_err), -1);
    assert_non_null(strstr(image_err.text, "an earlier sync failed"));
    assert_int_equal(disk_flush_fd(d), -1);
    assert_int_equal(disk_close(d, &image_err), -1);
    memfile_clear(&m);
}

/* ---- maps ---- */

static void writes_exclude_each_other(void **state)
{
    (void)state;
    struct memfile m;
    struct disk_map a, b, c;
    char buf[512], old[512] = "";
    memfile_init(&m, LIMIT);
    image_format(&m, M, 65536);
    struct disk *d = image_open(&m, NULL, 0);
    assert_int_equal(disk_map_write(d, 4096, 8192, &a, &image_err), 0);
    assert_int_equal(a.kind, DISK_DATA);
    assert_int_equal(a.length, 8192);
    assert_int_equal(disk_map_write(d, 0, 512, &b, &image_err), 0);
    assert_int_equal(b.kind, DISK_BUSY);
    assert_int_equal(disk_unmap(&b, true, &image_err), 0); /* does nothing */
    assert_int_equal(disk_map_write(d, 65536, 131072, &b, &image_err), 0);
    assert_int_equal(b.kind, DISK_DATA);
    assert_int_equal(b.length, 131072);
    assert_int_equal(disk_discard(d, 0, 65536, 0, &image_err), 1);
    assert_int_equal(disk_write_zeroes(d, 0, 65536, DISK_UNMAP, &image_err), 1);
    assert_int_equal(disk_write_zeroes(d, 0, 100, 0, &image_err), 1);

    struct iovec v = {(void *)"hello", 5};
    a.length = 5; /* as if it were a short one */
    assert_int_equal(disk_map_io(&a, &v, 1, &image_err), 0);
    assert_int_equal(disk_map_read(d, 4096, 512, &c, &image_err), 0);
    assert_int_equal(c.kind, DISK_ZERO); /* not yet */
    assert_int_equal(disk_unmap(&c, true, &image_err), 0);
    a.length = 8192;
    assert_int_equal(disk_unmap(&a, true, &image_err), 0);
    assert_int_equal(disk_pread(d, buf, 512, 4096, &image_err), 0);
    assert_memory_equal(buf, "hello", 6);

    assert_int_equal(disk_unmap(&b, false, &image_err), 0); /* it was not written */
    assert_int_equal(disk_pread(d, buf, 512, 65536, &image_err), 0);
    assert_memory_equal(buf, old, 512);
    image_close(d);
    image_must_be_sound(&m, 0);
    memfile_clear(&m);
}

/* A cluster is nobody else's while somebody may still write to it, whatever happens to it. */
static void mapped_clusters_are_not_reused(void **state)
{
    (void)state;
    struct memfile m;
    struct disk_map a, b;
    char data[4096];
    memset(data, 'd', sizeof data);
    memfile_init(&m, LIMIT);
    image_format(&m, M, 4096);
    struct disk *d = image_open(&m, NULL, 0);
    assert_int_equal(disk_pwrite(d, data, 4096, 0, &image_err), 0);
    assert_int_equal(disk_map_write(d, 0, 4096, &a, &image_err), 0);
    assert_false(a.fresh);
    assert_int_equal(disk_discard(d, 0, 4096, 0, &image_err), 0);
    for (int i = 1; i < 40; i++) {
        assert_int_equal(disk_flush(d, &image_err), 0);
        assert_int_equal(disk_map_write(d, (uint64_t)i * 4096, 4096, &b, &image_err), 0);
        assert_true(b.offset + 4096 <= a.offset || a.offset + 4096 <= b.offset);
        assert_int_equal(disk_unmap(&b, true, &image_err), 0);
    }
    assert_int_equal(disk_unmap(&a, true, &image_err), 0);
    assert_int_equal(disk_flush(d, &image_err), 0);
    assert_int_equal(disk_flush(d, &image_err), 0);
    assert_int_equal(disk_map_write(d, 50 * 4096, 4096, &b, &image_err), 0);
    assert_int_equal(b.offset, a.offset); /* now it is */
    assert_int_equal(disk_unmap(&b, true, &image_err), 0);
    image_close(d);
    image_must_be_sound(&m, 0);
    memfile_clear(&m);
}

/* ---- threads ---- */

#define THREADS 4u

struct worker {
    struct disk *d;
    unsigned number, steps;
    uint8_t *data; /* what it wrote */
    uint64_t size;
    struct error err;
    bool failed;
};

/* Each has every fourth sector to itself, so that all of them meet in every cluster. */
static void *worker_run(void *arg)
{
    struct worker *w = arg;
    uint64_t x = 88172645463325252u + w->number;
    uint8_t buf[512];
    for (unsigned i = 0; i < w->steps && !w->failed; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint64_t at = (x % (w->size / 512 / THREADS) * THREADS + w->number) * 512;
        switch (x >> 32 & 15) {
        case 0:
            w->failed = disk_flush(w->d, &w->err) < 0;
            break;
        case 1:
            w->failed = disk_write_zeroes(w->d, at, 512, DISK_WAIT, &w->err) != 0;
            memset(w->data + at, 0, 512);
            break;
        case 2:
        case 3:
        case 4:
            w->failed =
                disk_pread(w->d, buf, 512, at, &w->err) < 0 || memcmp(buf, w->data + at, 512) != 0;
            break;
        default:
            memset(w->data + at, (int)(1 + i % 255), 512);
            w->failed = disk_pwrite(w->d, w->data + at, 512, at, &w->err) < 0;
        }
    }
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    struct memfile m;
    struct worker w[THREADS];
    pthread_t threads[THREADS];
    uint64_t size = 1 * M;
    memfile_init(&m, LIMIT);
    image_format(&m, size, 4096);
    struct disk *d = image_open(&m, NULL, 0);
    struct model model = {xcalloc(1, size), size};
    for (unsigned i = 0; i < THREADS; i++) {
        w[i] = (struct worker){
            .d = d, .number = i, .steps = 3000, .data = xcalloc(1, size), .size = size};
        assert_int_equal(pthread_create(&threads[i], NULL, worker_run, &w[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (w[i].failed)
            fail_msg("thread %u: %s", i, w[i].err.text);
        for (uint64_t at = i * 512; at < size; at += THREADS * 512)
            memcpy(model.data + at, w[i].data + at, 512);
        free(w[i].data);
    }
    compare_all(d, &model);
    image_close(d);
    image_must_be_sound(&m, 0);
    memfile_clear(&m);
    free(model.data);
}

/* ---- small parts ---- */

static void refcounts_of_all_widths(void **state)
{
    (void)state;
    uint8_t block[512];
    uint64_t model[4096];
    image_seed = 7;
    for (unsigned order = 0; order <= 6; order++) {
        unsigned n = (512 * 8) >> order;
        memset(block, 0, sizeof block);
        memset(model, 0, sizeof model);
        for (int i = 0; i < 20000; i++) {
            uint64_t k = rnd(n), value = (rnd(UINT32_MAX) << 32 | rnd(UINT32_MAX)) &
                                         (order == 6 ? UINT64_MAX : refcount_max(order));
            refcount_put(order, block, k, value);
            model[k] = value;
        }
        for (unsigned k = 0; k < n; k++) {
            uint64_t value;
            assert_int_equal(refcount_get(order, block, k, &value), model[k] != 0);
            assert_true(value == model[k]);
        }
    }
    /* "the first entry is in the least significant bits" */
    memset(block, 0, sizeof block);
    refcount_put(0, block, 0, 1);
    refcount_put(1, block, 5, 3);
    assert_int_equal(block[0], 0x01);
    assert_int_equal(block[1], 0x0c);
}

static void sets_of_clusters(void **state)
{
    (void)state;
    bool model[300] = {0};
    struct cluster_set set = {0};
    image_seed = 8;
    for (int i = 0; i < 20000; i++) {
        uint64_t first = rnd(280), count = 1 + rnd(20);
        bool any = false;
        for (uint64_t k = first; k < first + count; k++)
            any |= model[k];
        assert_int_equal(set_overlaps(&set, first, count), any);
        bool add = rnd(2);
        (add ? set_add : set_remove)(&set, first, count);
        memset(model + first, add, count);
    }
    struct cluster_set again = {0};
    for (uint64_t k = 300; k-- > 0;)
        if (model[k])
            set_push(&again, k, 1);
    set_sort(&again);
    assert_int_equal(set.count, again.count);
    assert_memory_equal(set.list, again.list, set.count * sizeof *set.list);
    free(set.list);
    free(again.list);
}

int main(void)
{
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC), 0); /* repairs, and what is corrupt */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_written),
        cmocka_unit_test(keeps_snapshots),
        cmocka_unit_test(snapshot_messages),
        cmocka_unit_test(changes_size),
        cmocka_unit_test(shows_what_is_below),
        cmocka_unit_test(goes_on_after_a_full_disk),
        cmocka_unit_test(survives_io_errors),
        cmocka_unit_test(lost_syncs_are_remembered),
        cmocka_unit_test(writes_exclude_each_other),
        cmocka_unit_test(mapped_clusters_are_not_reused),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(refcounts_of_all_widths),
        cmocka_unit_test(sets_of_clusters),
    };
    return cmocka_run_group_tests_name("qcow2", tests, NULL, NULL);
}
