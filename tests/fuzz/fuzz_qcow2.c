/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2 images, right ones and broken ones (fuzz/qcow2_image.h), on files in memory: opened, read,
 * written, discarded, zeroed, resized, with snapshots made and gone back to, checked and repaired, on a host that
 * may have no room.
 *
 * Of an image that was right a model says what the guest must read, whatever is done to it; and it
 * must be sound at any moment: at worst clusters are leaked. Of a broken one nothing is known but
 * that it harms nobody, and that it is sound once a repair says so.
 */
#include "fuzz/qcow2_image.h"

#include <fcntl.h>
#include <linux/falloc.h>

#include "base/cleanup.h"
#include "base/log.h"

#define HELD   4 /* maps that are out */
#define LEVELS 2

struct held {
    struct disk_map map;
    bool out, clash; /* clash: something else was written there meanwhile */
    uint8_t seed;
};

struct state {
    struct feed *f;
    struct image images[LEVELS]; /* 0 is on top */
    unsigned levels;
    bool raw;    /* the lowest is a raw file */
    bool broken; /* nothing is known of the content */
    bool failed; /* the host failed: there may be leaks */
    bool leaks;
    struct disk *disk;
    bool readonly;
    struct held held[HELD];
    struct image_model *model;
};

static struct image_model *models; /* of the levels, and of snapshots made on the way */
static uint8_t *files;             /* of the levels, and a copy */

/* Bytes to write, and what was read. */
static uint8_t bytes[256u << 10];

/* ---- files ---- */

static void take_file(struct memfile *m, unsigned i)
{
    memfile_init(m, IMAGE_LIMIT);
    m->data = files + (size_t)i * IMAGE_LIMIT;
    m->room = IMAGE_LIMIT;
}

/* For the next one it is empty again. */
static void give_file(struct memfile *m)
{
    memfile_set_size(m, 0);
    pthread_mutex_destroy(&m->lock);
}

static int open_on(struct memfile *m, const struct disk_driver *driver, struct disk *backing,
                   unsigned flags, struct disk **d, struct error *err)
{
    struct hostfile f;
    struct disk_spec spec = {.path = "image", .format = driver->name, .flags = flags};
    memfile_open(m, &f, "image");
    return disk_open_on(driver, &f, backing, &spec, d, err);
}

static int open_chain(struct state *s, unsigned flags, struct disk **d, struct error *err)
{
    struct disk *below = NULL;
    for (unsigned i = s->levels; i-- > 0;) {
        bool raw = s->raw && i == s->levels - 1;
        if (flags & DISK_NO_BACKING && i > 0)
            continue;
        if (open_on(&s->images[i].file, raw ? &driver_raw : &driver_qcow2, below,
                    i > 0 ? DISK_READONLY : flags, &below, err) < 0)
            return -1;
    }
    *d = below;
    return 0;
}

/* ---- the model ---- */

static void know(struct image_model *m, uint64_t at, uint64_t len, bool known)
{
    if (at < m->size)
        memset(m->known + at, known, min(len, m->size - at));
}

/* What is written, zeroed or discarded there changes what a map that is out comes to. */
static void clash(struct state *s, uint64_t at, uint64_t len)
{
    for (unsigned i = 0; i < HELD; i++) {
        struct held *h = &s->held[i];
        uint64_t mask = disk_granularity(s->disk) - 1;
        uint64_t start = h->map.guest & ~mask, end = (h->map.guest + h->map.length + mask) & ~mask;
        h->clash |= h->out && at < end && at + len > start;
    }
}

static bool any_held(const struct state *s)
{
    for (unsigned i = 0; i < HELD; i++)
        if (s->held[i].out)
            return true;
    return false;
}

/* Did what was done come out as it must? -1 is only right where the image is broken or the host fails. */
static bool went_well(struct state *s, int rc, const struct error *err)
{
    must(rc <= 1 && rc >= -1);
    must(rc >= 0 || *err->text);
    if (rc < 0 && !s->broken && !s->failed) {
        fprintf(stderr, "fuzz_: %s\n", err->text);
        must(false);
    }
    return rc == 0;
}

static uint64_t pick_range(struct state *s, uint64_t most, uint64_t *at)
{
    struct feed *f = s->f;
    uint64_t size = disk_size(s->disk), len = 1 + feed_below(f, most);
    if (size == 0)
        return 0;
    len = min(len, size);
    *at = feed_rarely(f, 8) ? size - len : feed_u64(f) % (size - len + 1);
    if (feed_below(f, 4)) {
        *at &= ~UINT64_C(511);
        len = min((len + 511) & ~UINT64_C(511), size - *at);
    }
    return len;
}

static void compare(struct state *s, uint64_t at, const uint8_t *got, uint64_t len)
{
    const struct image_model *m = s->model;
    if (s->broken || memcmp(got, m->data + at, len) == 0)
        return;
    for (uint64_t i = 0; i < len; i++)
        if (m->known[at + i] && got[i] != m->data[at + i]) {
            fprintf(stderr, "fuzz_: at %#llx: %#x instead of %#x\n", (unsigned long long)(at + i),
                    got[i], m->data[at + i]);
            must(false);
        }
}

/* ---- what is done to a disk ---- */

static void do_read(struct state *s)
{
    struct error err = {0};
    uint64_t at = 0, len = pick_range(s, 40000, &at);
    if (len == 0)
        return;
    struct iovec v[2] = {{bytes, len / 3}, {bytes + len / 3, len - len / 3}};
    if (went_well(s, disk_preadv(s->disk, v, 2, at, &err), &err))
        compare(s, at, bytes, len);
}

static void compare_all(struct state *s)
{
    struct error err = {0};
    uint64_t size = disk_size(s->disk);
    if (s->broken)
        return;
    must(size == s->model->size);
    for (uint64_t at = 0, n; at < size; at += n) {
        n = min(size - at, (uint64_t)sizeof bytes);
        if (!went_well(s, disk_pread(s->disk, bytes, n, at, &err), &err))
            return;
        compare(s, at, bytes, n);
    }
}

static void do_write(struct state *s)
{
    struct error err = {0};
    uint64_t at = 0, len = pick_range(s, feed_rarely(s->f, 8) ? 100000 : 3000, &at);
    if (len == 0 || any_held(s))
        return;
    image_pattern(bytes, len, feed_byte(s->f));
    struct iovec v[2] = {{bytes, len / 2}, {bytes + len / 2, len - len / 2}};
    int rc = disk_pwritev(s->disk, v, 2, at, &err);
    if (s->readonly) {
        must(rc < 0);
        return;
    }
    bool well = went_well(s, rc, &err);
    if (s->broken)
        return;
    memcpy(s->model->data + at, bytes, len);
    know(s->model, at, len, well);
}

static void do_zero(struct state *s, bool discard)
{
    struct error err = {0};
    uint64_t at = 0, len = pick_range(s, feed_rarely(s->f, 4) ? 1u << 20 : 20000, &at);
    unsigned flags = feed_below(s->f, 2) ? DISK_UNMAP : 0;
    if (len == 0)
        return;
    if (!any_held(s))
        flags |= DISK_WAIT;
    clash(s, at, len);
    int rc = discard ? disk_discard(s->disk, at, len, flags & DISK_WAIT, &err)
                     : disk_write_zeroes(s->disk, at, len, flags, &err);
    if (s->readonly) {
        must(rc < 0);
        return;
    }
    bool well = went_well(s, rc, &err);
    must(rc != 1 || !(flags & DISK_WAIT));
    if (s->broken)
        return;
    if (discard) {
        uint64_t mask = disk_granularity(s->disk) - 1, end = at + len;
        at = (at + mask) & ~mask;
        if (end != s->model->size)
            end &= ~mask;
        if (end <= at || (well && s->images[0].based && s->images[0].version < 3))
            return;
        len = end - at;
    }
    memset(s->model->data + at, 0, len);
    know(s->model, at, len, well);
}

/* A write in pieces, as a block device makes it: map, move, unmap, with other things in between. */
static void do_map(struct state *s)
{
    struct error err = {0};
    struct held *h = &s->held[feed_below(s->f, HELD)];
    uint64_t at = 0, len = pick_range(s, 3000, &at);
    if (h->out || len == 0 || s->readonly)
        return;
    h->seed = feed_byte(s->f);
    if (!went_well(s, disk_map_write(s->disk, at, len, &h->map, &err), &err) ||
        h->map.kind == DISK_BUSY)
        return;
    must(h->map.kind == DISK_DATA && h->map.length >= 1 && h->map.length <= len);
    clash(s, at, h->map.length);
    h->out = true;
    h->clash = false;
    if (!s->broken)
        know(s->model, at, h->map.length, false);
}

static void do_unmap(struct state *s, struct held *h, bool done)
{
    struct error err = {0};
    struct image_model *m = s->model;
    uint64_t at = h->map.guest, len = h->map.length;
    if (!h->out)
        return;
    must(len <= sizeof bytes);
    image_pattern(bytes, len, h->seed);
    struct iovec v = {bytes, len};
    if (done)
        done = went_well(s, disk_map_io(&h->map, &v, 1, &err), &err);
    bool well = went_well(s, disk_unmap(&h->map, done, &err), &err);
    h->out = false;
    if (s->broken || at >= m->size)
        return;
    if (!done || !well || h->clash) { /* a zero meanwhile: either may have come last */
        know(m, at, len, false);
        return;
    }
    len = min(len, m->size - at);
    memcpy(m->data + at, bytes, len);
    know(m, at, len, true);
}

static void unmap_all(struct state *s)
{
    for (unsigned i = 0; i < HELD; i++)
        do_unmap(s, &s->held[i], feed_below(s->f, 2));
}

static void do_flush(struct state *s)
{
    struct error err = {0};
    disk_flush_fd(s->disk);
    went_well(s, disk_flush(s->disk, &err), &err);
}

/* ---- what is done to an image ---- */

/* After something failed the disk has the size from before, or the new one. */
static void lost_track(struct state *s, uint64_t other)
{
    uint64_t size = disk_size(s->disk);
    must(size == s->model->size || size == other);
    s->model->size = size;
    know(s->model, 0, size, false);
}

static void do_resize(struct state *s)
{
    struct error err = {0};
    struct image *m = &s->images[0];
    uint64_t old = disk_size(s->disk), size = 512ull * feed_below(s->f, m->most / 512 + 1);
    if (feed_rarely(s->f, 64)) /* perhaps too large for a model, or for the format */
        size = feed_u64(s->f) >> feed_below(s->f, 64) & ~UINT64_C(511);
    bool refused = s->readonly || (size < old && m->nsnapshots > 0) ||
                   (size > old && m->version < 3 && m->nsnapshots > 0);
    s->broken |= size > m->most && !refused;
    int rc = disk_resize(s->disk, size, &err);
    if (refused && !s->broken)
        must(rc < 0 || size == old);
    else if (!went_well(s, rc, &err) && !s->broken)
        lost_track(s, size);
    if (rc < 0 || s->broken)
        return;
    must(disk_size(s->disk) == size);
    if (size > old) {
        memset(s->model->data + old, 0, size - old);
        memset(s->model->known + old, 1, size - old);
    }
    s->model->size = size;
}

static void snapshot_done(struct state *s, enum disk_snapshot_op op, struct image_snapshot *k)
{
    struct image *m = &s->images[0];
    switch (op) {
    case DISK_SNAPSHOT_CREATE:
        k->model = &models[LEVELS + (k - m->snapshots)];
        image_copy(k->model, s->model);
        m->nsnapshots++;
        break;
    case DISK_SNAPSHOT_APPLY:
        image_copy(s->model, k->model);
        break;
    case DISK_SNAPSHOT_DELETE:
        k->model = NULL;
        m->nsnapshots--;
        break;
    }
}

static void do_snapshot(struct state *s)
{
    struct error err = {0};
    struct image *m = &s->images[0];
    enum disk_snapshot_op op = feed_below(s->f, 3);
    unsigned i = feed_below(s->f, IMAGE_SNAPSHOTS);
    struct image_snapshot *k = &m->snapshots[i];
    char name[] = {'s', (char)('0' + i), 0};
    bool refused = s->readonly || (op == DISK_SNAPSHOT_CREATE) == (k->model != NULL);
    int rc = disk_snapshot(s->disk, op, name, &err);
    if (rc < 0 && op != DISK_SNAPSHOT_DELETE && m->order < 3 && !s->failed)
        return; /* it cannot count so far */
    if (s->broken) {
        went_well(s, rc, &err);
    } else if (refused) {
        must(rc < 0);
    } else if (went_well(s, rc, &err)) {
        snapshot_done(s, op, k);
    } else {
        if (op == DISK_SNAPSHOT_APPLY)
            lost_track(s, k->model->size);
        s->broken = true; /* whether it was done is not known */
    }
}

/* All that it has goes to what it is based on, as after a commit. */
static void do_empty(struct state *s)
{
    struct error err = {0};
    const struct image *m = &s->images[0];
    if (!m->based || s->readonly)
        return;
    bool well = went_well(s, driver_qcow2.empty(s->disk, &err), &err);
    if (s->broken)
        return;
    uint64_t n = min(s->model->size, m->below->size);
    memset(s->model->data, 0, s->model->size);
    memcpy(s->model->data, m->below->data, n);
    know(s->model, 0, s->model->size, well);
}

/* ---- soundness ---- */

static void print(void *arg, const char *text)
{
    (void)arg;
    fprintf(stderr, "fuzz_: %s\n", text);
}

/* Look at an image as it is in a file. Returns whether that could be done. */
static bool look(struct memfile *m, struct disk_check *c, unsigned flags)
{
    struct error err = {0};
    struct disk *d;
    if (open_on(m, &driver_qcow2, NULL, flags | DISK_FOR_CHECK | DISK_NO_BACKING, &d, &err) < 0)
        return false;
    bool well = disk_check(d, c, &err) == 0;
    return disk_close(d, &err) == 0 && well;
}

static void must_be_sound(struct memfile *m, bool leaks)
{
    struct disk_check c = {0};
    must(look(m, &c, DISK_READONLY));
    if (c.errors == 0 && (leaks || c.leaks == 0))
        return;
    c.say = print;
    look(m, &c, DISK_READONLY);
    must(false);
}

/* The process is killed at this moment: what is on the file is sound, or marked as dirty. */
static void do_kill(struct state *s)
{
    struct memfile copy;
    struct disk *d;
    struct error err = {0};
    const struct image *m = &s->images[0];
    take_file(&copy, LEVELS);
    memcpy(copy.data, m->file.data, m->file.size);
    copy.size = m->file.size;
    bool dirty = m->version >= 3 && (image_get(m, 72, 8) & QCOW2_DIRTY);
    if (!dirty) {
        must_be_sound(&copy, true);
    } else if (open_on(&copy, &driver_qcow2, NULL, DISK_NO_BACKING, &d, &err) == 0) {
        must(disk_close(d, &err) == 0);
        must_be_sound(&copy, m->bitmaps);
    } else {
        must(false);
    }
    give_file(&copy);
}

/* What a check says of a broken one is not known, but after a repair that did it there is nothing to say. */
static void check_broken(struct state *s)
{
    struct disk_check c = {.repair = feed_below(s->f, 2)};
    if (!look(&s->images[0].file, &c, c.repair ? 0 : DISK_READONLY))
        return;
    if (c.repaired)
        must_be_sound(&s->images[0].file, false);
}

static void inspect(struct state *s)
{
    struct hostfile f;
    struct disk_info info = {0};
    struct error err = {0};
    memfile_open(&s->images[0].file, &f, "image");
    int rc = driver_qcow2.inspect(&f, &info, &err);
    must(rc == 0 || s->broken);
    disk_info_clear(&info);
    hostfile_close(&f);
}

/* ---- a session ---- */

/* The host has no room from now on, or fails. */
static void do_fail(struct state *s)
{
    static const int codes[] = {ENOSPC, EIO, EDQUOT, EFBIG};
    struct memfile *m = &s->images[0].file;
    s->failed = true;
    if (feed_below(s->f, 2)) {
        m->full_at = m->size + feed_below(s->f, 100000);
    } else {
        m->fail_in = feed_below(s->f, 30);
        m->fail_with = feed_pick(s->f, codes);
    }
}

static void step(struct state *s)
{
    unsigned what = feed_below(s->f, 64);
    if (what < 16)
        do_write(s);
    else if (what < 26)
        do_read(s);
    else if (what < 31)
        do_zero(s, false);
    else if (what < 36)
        do_zero(s, true);
    else if (what < 42)
        do_map(s);
    else if (what < 47)
        do_unmap(s, &s->held[feed_below(s->f, HELD)], feed_below(s->f, 4));
    else if (what < 51)
        do_flush(s);
    else if (what < 54)
        unmap_all(s), do_resize(s);
    else if (what < 59)
        unmap_all(s), do_snapshot(s);
    else if (what < 60)
        unmap_all(s), do_empty(s);
    else if (what < 61 && feed_rarely(s->f, 4))
        do_fail(s);
    else if (what < 62 && !s->broken)
        do_kill(s);
    else
        compare_all(s);
}

/* Open it, use it, close it. */
static void session(struct state *s)
{
    struct error err = {0};
    unsigned flags = feed_rarely(s->f, 6) ? DISK_READONLY : 0;
    s->readonly = flags;
    if (!went_well(s, open_chain(s, flags, &s->disk, &err), &err))
        return;
    s->leaks |= s->images[0].bitmaps && !s->readonly;
    for (unsigned i = 0; s->f->left && i < 100; i++)
        step(s);
    unmap_all(s);
    compare_all(s);
    struct disk_info info = {0};
    must(disk_get_info(s->disk, &info, &err) == 0);
    must(s->broken || s->failed || info.nsnapshots == s->images[0].nsnapshots);
    disk_info_clear(&info);
    if (!went_well(s, disk_close(s->disk, &err), &err) && !s->broken)
        know(s->model, 0, s->model->size, false); /* what was not flushed may not be there */
    s->images[0].file.full_at = 0;
    s->images[0].file.fail_in = -1;
    s->leaks |= s->failed;
}

/* A chain, and perhaps something wrong with it. */
static void make(struct state *s)
{
    struct feed *f = s->f;
    s->levels = feed_rarely(f, 3) ? 2 : 1;
    s->raw = s->levels == 2 && feed_below(f, 2);
    for (unsigned i = s->levels; i-- > 0;) {
        struct image *m = &s->images[i];
        *m = (struct image){.model = &models[i], .level = i};
        take_file(&m->file, i);
        if (i + 1 < s->levels)
            m->below = &models[i + 1];
        if (s->raw && i == s->levels - 1) {
            m->model->size = 512ull * (1 + feed_below(f, 200));
            image_pattern(m->model->data, m->model->size, feed_byte(f));
            must(memfile_grow(&m->file, m->model->size) == 0);
            memcpy(m->file.data, m->model->data, m->model->size);
        } else {
            image_make(m, f);
        }
    }
    s->model = s->images[0].model;
    s->broken = feed_below(f, 2);
    for (unsigned n = s->broken ? 1 + feed_below(f, 5) : 0; n > 0; n--)
        image_damage(&s->images[s->levels == 2 && !s->raw && feed_rarely(f, 4)], f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct state s;
    struct feed f = {data, size};

    if (!s.f) {
        models = image_room((LEVELS + IMAGE_SNAPSHOTS) * sizeof *models);
        files = image_room((size_t)(LEVELS + 1) * IMAGE_LIMIT);
        log_to(open("/dev/null", O_WRONLY | O_CLOEXEC), 0); /* an image's faults are no news */
    }
    s = (struct state){.f = &f};
    make(&s);
    inspect(&s);
    if (!s.broken && !s.images[0].dirty)
        must_be_sound(&s.images[0].file, false);
    for (unsigned n = 1 + feed_below(&f, 3); n > 0; n--) {
        s.failed = false;
        session(&s);
        if (s.broken)
            check_broken(&s);
        else if (s.failed)
            do_kill(&s);
        else if (!s.readonly)
            must_be_sound(&s.images[0].file, s.leaks);
    }
    for (unsigned i = 0; i < s.levels; i++)
        give_file(&s.images[i].file);
    return 0;
}
