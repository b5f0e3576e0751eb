/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Power cuts. A workload runs on an image while all that reaches the file is recorded; then the
 * power is cut at every point of the record. What was written before the last sync is there; of
 * what came after it any sectors may be, and others not. Whatever is left must be an image without
 * errors (leaks are none), and each sector of the disk must be what it was at the guest's last flush
 * or what was written to it since.
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

#define SECTOR 512u

/* ---- what the guest did ---- */

struct event {
    size_t began, ended; /* in the record */
    bool flush;
    uint64_t offset, length;
    uint8_t *data; /* NULL: zeroes */
};

struct history {
    struct event *events;
    size_t count;
    uint64_t size;
    unsigned longest;
};

static void note(struct history *h, size_t began, size_t ended, bool flush, uint64_t offset,
                 uint64_t length, const void *data)
{
    h->events = xrealloc(h->events, h->count + 1, sizeof *h->events);
    struct event *e = &h->events[h->count++];
    *e = (struct event){began, ended, flush, offset, length, NULL};
    if (data) {
        e->data = xcalloc(1, length);
        memcpy(e->data, data, length);
    }
}

static void history_clear(struct history *h)
{
    for (size_t i = 0; i < h->count; i++)
        free(h->events[i].data);
    free(h->events);
}

/* Is this what sector i may be after a cut at this point of the record? */
static bool may_be(const struct history *h, size_t cut, uint64_t sector, const uint8_t *got)
{
    static const uint8_t zeroes[SECTOR];
    size_t flush = 0; /* events before are on the disk */
    for (size_t i = 0; i < h->count; i++)
        if (h->events[i].flush && h->events[i].ended <= cut)
            flush = i;
    const uint8_t *base = zeroes;
    for (size_t i = 0; i < h->count && h->events[i].began <= cut; i++) {
        const struct event *e = &h->events[i];
        uint64_t at = sector * SECTOR;
        if (e->flush || at < e->offset || at >= e->offset + e->length)
            continue;
        const uint8_t *value = e->data ? e->data + (at - e->offset) : zeroes;
        if (i < flush)
            base = value;
        else if (memcmp(value, got, SECTOR) == 0)
            return true;
    }
    return memcmp(base, got, SECTOR) == 0;
}

/* ---- the workload ---- */

/* n sectors, more often than not in a part that is used again and again. */
static uint64_t pick_sector(const struct history *h, uint64_t n)
{
    uint64_t all = h->size / SECTOR;
    return rnd((rnd(h->longest > 40 ? 2 : 4) ? min(all, 96 + n) : all) - n + 1);
}

static void write_random(struct disk *d, struct memfile *m, struct history *h)
{
    uint64_t n = 1 + rnd(h->longest), first = pick_sector(h, n);
    cleanup_free uint8_t *data = malloc(n * SECTOR);
    for (size_t i = 0; i < n * SECTOR; i++)
        data[i] = (uint8_t)(1 + rnd(255));
    size_t began = m->nops;
    if (disk_pwrite(d, data, n * SECTOR, first * SECTOR, &image_err) < 0)
        fail_msg("%s", image_err.text);
    note(h, began, m->nops, false, first * SECTOR, n * SECTOR, data);
}

static void empty_random(struct disk *d, struct memfile *m, struct history *h, bool discard)
{
    uint64_t n = 1 + rnd(60), first = pick_sector(h, n);
    size_t began = m->nops;
    int rc = discard ? disk_discard(d, first * SECTOR, n * SECTOR, DISK_WAIT, &image_err)
                     : disk_write_zeroes(d, first * SECTOR, n * SECTOR,
                                         DISK_WAIT | (rnd(2) ? DISK_UNMAP : 0), &image_err);
    if (rc != 0)
        fail_msg("%s", image_err.text);
    uint64_t offset = first * SECTOR, end = offset + n * SECTOR, mask = disk_granularity(d) - 1;
    if (discard) {
        offset = (offset + mask) & ~mask;
        end = end == h->size ? end : end & ~mask;
    }
    if (end > offset)
        note(h, began, m->nops, false, offset, end - offset, NULL);
}

static void flush(struct disk *d, struct memfile *m, struct history *h)
{
    size_t began = m->nops;
    if (disk_flush(d, &image_err) < 0)
        fail_msg("%s", image_err.text);
    note(h, began, m->nops, true, 0, 0, NULL);
}

/* Everything on the disk may change at once, or not. */
static void note_all(struct disk *d, struct memfile *m, struct history *h, size_t began)
{
    cleanup_free uint8_t *all = malloc(h->size);
    if (disk_pread(d, all, h->size, 0, &image_err) < 0)
        fail_msg("%s", image_err.text);
    note(h, began, m->nops, false, 0, h->size, all);
    note(h, m->nops, m->nops, true, 0, 0, NULL);
}

static void snapshot(struct disk *d, struct memfile *m, struct history *h)
{
    static const char *const names[] = {"a", "b"};
    const char *name = names[rnd(2)];
    size_t began = m->nops;
    enum disk_snapshot_op op = (enum disk_snapshot_op)rnd(3);
    if (disk_snapshot(d, op, name, &image_err) < 0) {
        if (!strstr(image_err.text, "already") && !strstr(image_err.text, "has no snapshot"))
            fail_msg("%s", image_err.text);
        return;
    }
    if (op == DISK_SNAPSHOT_APPLY)
        note_all(d, m, h, began);
    else
        note(h, began, m->nops, true, 0, 0, NULL); /* it settles what was before */
}

static void work(struct disk *d, struct memfile *m, struct history *h, unsigned steps,
                 bool snapshots)
{
    for (unsigned i = 0; i < steps; i++)
        switch (rnd(snapshots ? 11 : 10)) {
        case 0:
            empty_random(d, m, h, true);
            break;
        case 1:
            empty_random(d, m, h, false);
            break;
        case 2:
        case 3:
            flush(d, m, h);
            break;
        case 10:
            snapshot(d, m, h);
            break;
        default:
            write_random(d, m, h);
        }
}

/* ---- the cut ---- */

enum survival { NOTHING, ALL, SOME_WRITES, SOME_SECTORS, SURVIVALS };

static void apply(struct memfile *to, const struct memfile_op *op, enum survival how)
{
    if (how == NOTHING || (how == SOME_WRITES && rnd(2)))
        return;
    if (op->kind == MEMFILE_SIZE) {
        if (how == SOME_SECTORS && rnd(2))
            return;
        memfile_grow(to, op->offset);
        memfile_set_size(to, op->offset);
        return;
    }
    for (uint64_t at = 0, n; at < op->length; at += n) {
        n = min(op->length - at, SECTOR - (op->offset + at) % SECTOR);
        if (how == SOME_SECTORS && rnd(2))
            continue;
        uint64_t offset = op->offset + at;
        if (op->kind == MEMFILE_WRITE) {
            memfile_grow(to, offset + n);
            memcpy(to->data + offset, op->data + at, n);
        } else if (offset < to->size) {
            memset(to->data + offset, 0, min(n, to->size - offset));
        }
    }
}

/* The file after the first cut ops of the record, on top of what it was before. */
static void replay(struct memfile *to, const struct memfile *before, const struct memfile *log,
                   size_t cut, enum survival how)
{
    size_t synced = 0;
    memfile_init(to, LIMIT);
    memfile_grow(to, before->size);
    memcpy(to->data, before->data, before->size);
    for (size_t i = 0; i < cut; i++)
        if (log->ops[i].kind == MEMFILE_SYNC)
            synced = i;
    for (size_t i = 0; i < cut; i++)
        if (log->ops[i].kind != MEMFILE_SYNC)
            apply(to, &log->ops[i], i < synced ? ALL : how);
}

static void examine(struct memfile *m, const struct history *h, size_t cut, bool marked)
{
    struct disk *d;
    if (!marked)
        image_must_be_sound(m, UINT64_MAX);
    d = image_open(m, NULL, 0); /* repairs it, if it is marked dirty */
    cleanup_free uint8_t *all = malloc(h->size);
    if (disk_pread(d, all, h->size, 0, &image_err) < 0)
        fail_msg("%s", image_err.text);
    for (uint64_t s = 0; s < h->size / SECTOR; s++)
        if (!may_be(h, cut, s, all + s * SECTOR))
            fail_msg("after %zu of the record: sector %llu is what it never was", cut,
                     (unsigned long long)s);
    /* It goes on from here. */
    for (int i = 0; i < 5; i++) {
        uint64_t at = rnd(h->size / SECTOR) * SECTOR;
        if (disk_pwrite(d, "again", 5, at, &image_err) < 0)
            fail_msg("%s", image_err.text);
    }
    image_close(d);
    image_must_be_sound(m, marked ? 0 : UINT64_MAX);
}

static bool is_marked(const struct memfile *m)
{
    return m->size > HEADER_INCOMPATIBLE + 8 && (m->data[HEADER_INCOMPATIBLE + 7] & QCOW2_DIRTY);
}

struct scenario {
    uint64_t size, prefill; /* bytes written before it begins */
    unsigned cluster_size, steps;
    unsigned longest; /* write, in sectors; 0: 40 */
    bool v2, lazy, snapshots, one_way;
};

/* The image as it is before the workload. */
static void set_scene(const struct scenario *s, struct memfile *m, struct history *h)
{
    memfile_init(m, LIMIT);
    image_format(m, s->size, s->cluster_size);
    if (s->lazy)
        m->data[87] |= QCOW2_LAZY; /* the compatible features */
    if (s->v2) {
        m->data[7] = 2;
        memset(m->data + HEADER_V2_LENGTH, 0, HEADER_LENGTH - HEADER_V2_LENGTH);
    }
    h->size = s->size;
    h->longest = s->longest ? s->longest : 40;
    note(h, 0, 0, true, 0, 0, NULL);
    if (s->prefill > 0) {
        cleanup_free uint8_t *data = malloc(s->prefill);
        struct disk *d = image_open(m, NULL, 0);
        memset(data, 0x55, s->prefill);
        if (disk_pwrite(d, data, s->prefill, 0, &image_err) < 0)
            fail_msg("%s", image_err.text);
        image_close(d);
        note(h, 0, 0, false, 0, s->prefill, data);
        note(h, 0, 0, true, 0, 0, NULL);
    }
}

static void cut_everywhere(const struct scenario *s)
{
    struct memfile m, before;
    struct history h = {0};
    set_scene(s, &m, &h);
    memfile_init(&before, LIMIT);
    memfile_grow(&before, m.size);
    memcpy(before.data, m.data, m.size);
    m.record = true;
    m.no_holes = rnd(2);
    struct disk *d = image_open(&m, NULL, 0);
    work(d, &m, &h, s->steps, s->snapshots);
    image_close(d);
    note(&h, m.nops, m.nops, true, 0, 0, NULL);
    assert_true(m.nops > s->steps);
    for (size_t cut = 0; cut <= m.nops; cut++)
        for (int how = s->one_way ? SURVIVALS - 1 : 0; how < SURVIVALS; how++) {
            struct memfile after;
            replay(&after, &before, &m, cut,
                   (enum survival)(s->one_way ? (int)rnd(SURVIVALS) : how));
            examine(&after, &h, cut, is_marked(&after));
            memfile_clear(&after);
        }
    memfile_clear(&m);
    memfile_clear(&before);
    history_clear(&h);
}

static void cut_all(uint64_t seed, const struct scenario *s, size_t n)
{
    image_seed = seed;
    for (size_t i = 0; i < n; i++)
        cut_everywhere(&s[i]);
}

static void plain(void **state)
{
    (void)state;
    static const struct scenario all[] = {
        {.size = 192 * K, .cluster_size = 4096, .steps = 120},
        {.size = 64 * K, .cluster_size = 4096, .steps = 100},
        {.size = 128 * K, .cluster_size = 512, .steps = 80},
        {.size = 1 * M, .cluster_size = 65536, .steps = 40},
        {.size = 192 * K, .cluster_size = 4096, .steps = 60, .v2 = true},
    };
    cut_all(11, all, ARRAY_SIZE(all));
}

/* New refcount blocks, and a larger refcount table. */
static void growing(void **state)
{
    (void)state;
    static const struct scenario all[] = {
        {.size = 1 * M, .cluster_size = 512, .steps = 24, .longest = 300},
        {.size = 9 * M,
         .cluster_size = 512,
         .steps = 16,
         .longest = 800,
         .prefill = 8000 * K,
         .one_way = true},
    };
    cut_all(14, all, ARRAY_SIZE(all));
}

static void lazy_refcounts(void **state)
{
    (void)state;
    static const struct scenario all[] = {
        {.size = 192 * K, .cluster_size = 4096, .steps = 60, .lazy = true},
        {.size = 128 * K, .cluster_size = 512, .steps = 50, .lazy = true, .snapshots = true},
    };
    cut_all(12, all, ARRAY_SIZE(all));
}

static void snapshots(void **state)
{
    (void)state;
    static const struct scenario all[] = {
        {.size = 192 * K, .cluster_size = 4096, .steps = 60, .snapshots = true},
        {.size = 128 * K, .cluster_size = 512, .steps = 50, .snapshots = true},
    };
    cut_all(13, all, ARRAY_SIZE(all));
}

int main(void)
{
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC), 0); /* each repair is logged */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(growing),
        cmocka_unit_test(lazy_refcounts),
        cmocka_unit_test(snapshots),
    };
    return cmocka_run_group_tests_name("qcow2 crash", tests, NULL, NULL);
}
