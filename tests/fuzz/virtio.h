/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile driver for any virtio device, mostly right: it brings the device up, sends requests,
 * and now and then does one of the things that no driver should. A device's target is a file
 * fuzz_NAME.c of a few lines:
 *
 *     #include "fuzz/virtio.h"
 *
 *     static int add(struct board *b) { return rng_add(&b->virtio, NULL); }
 *
 *     static const struct virtio_fuzz fuzz = {.add = add, .queues = 1};
 *
 *     int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
 *     {
 *         return virtio_fuzz(&fuzz, data, size);
 *     }
 *
 * A device whose requests have a form gives a request() that makes mostly valid ones; one to which
 * something happens from outside gives an event(). What is checked besides the sanitizers (guest
 * memory is two small heap blocks): used entries are of chains that were offered, no more bytes
 * are said to be written than there was room for, and what the device may only read stays as it was.
 */
#ifndef PULT_TESTS_FUZZ_VIRTIO_H
#define PULT_TESTS_FUZZ_VIRTIO_H

#define BOARD_LOW  (512u << 10)
#define BOARD_HIGH (64u << 10)

#ifndef DRIVER_WAIT_MS /* for a reset; more where requests take time */
#define DRIVER_WAIT_MS 0
#endif

#include "fuzz/feed.h"

#include <fcntl.h>
#include <sanitizer/asan_interface.h>

#include "base/log.h"

/*
 * A board's memory. Asking the kernel for it anew took half of the time, so what a board had the
 * next one gets; meanwhile nobody may touch it.
 */
static void *fuzz_kept[8];

static inline void *fuzz_pages(size_t len)
{
    const size_t first = len == BOARD_HIGH ? 4 : 0;
    for (size_t i = first; i < first + 4; i++)
        if (fuzz_kept[i]) {
            void *p = fuzz_kept[i];
            fuzz_kept[i] = NULL;
            ASAN_UNPOISON_MEMORY_REGION(p, len);
            return memset(p, 0, len);
        }
    void *p = aligned_alloc(4096, len);
    return p ? memset(p, 0, len) : NULL;
}

static inline void fuzz_free_pages(void *p, size_t len)
{
    const size_t first = len == BOARD_HIGH ? 4 : 0;
    for (size_t i = first; p && i < first + 4; i++)
        if (!fuzz_kept[i]) {
            ASAN_POISON_MEMORY_REGION(p, len);
            fuzz_kept[i] = p;
            return;
        }
    free(p);
}

#define BOARD_PAGES(len)         fuzz_pages(len)
#define BOARD_FREE_PAGES(p, len) fuzz_free_pages(p, len)
#include "device/driver.c"

#define FUZZ_SEGS 20

struct virtio_fuzz {
    int (*add)(struct board *b); /* put the device on the board: -1 fails */
    unsigned queues;             /* at most DRIVER_QUEUES are used */
    uint32_t config;             /* bytes of configuration */
    /* A request for this queue: buffers (driver_buffer(), driver_bytes()), at most FUZZ_SEGS.
     * Returns how many. NULL: any bytes in, any room out. */
    unsigned (*request)(struct feed *f, struct driver *d, unsigned queue, struct seg *segs);
    /* Something happens at the device's other end: a packet, a key, a new size. May be NULL. */
    void (*event)(struct feed *f, struct board *b);
    /* The request that was made when fuzz_tag had this value was used, untampered with. May be NULL. */
    void (*done)(unsigned tag);
    /* A driver has begun: what it does first. False: it had no answer. May be NULL. */
    bool (*begin)(struct feed *f, struct driver *d);
    bool prompt; /* most requests wait for the answer to the one before */
    bool wild;   /* of a request of any bytes the driver's own memory may suffer */
};

static unsigned fuzz_tag; /* set by request(): 0, it does not care */
static bool fuzz_behaves; /* the driver does no wrong: set by a target before it begins */

/* One chain under way that was built right, by its head. */
struct fuzz_chain {
    bool known;
    unsigned descs; /* of the queue's */
    size_t room;
    unsigned tag;
    struct seg in; /* the first readable piece, and a copy of it */
    uint8_t copy[64];
};

struct fuzz_state {
    const struct virtio_fuzz *fuzz;
    struct feed *feed;
    struct board board;
    struct driver driver;
    struct fuzz_chain chains[DRIVER_QUEUES][VIRTQUEUE_MOST];
    unsigned queues;                            /* set up */
    unsigned in_flight[DRIVER_QUEUES];          /* descriptors */
    bool in_use[DRIVER_QUEUES][VIRTQUEUE_MOST]; /* each of them */
    bool tampered; /* with rings or buffers: nothing is known of what is used any more */
};

static inline uint64_t fuzz_address(struct feed *f, struct driver *d)
{
    const uint64_t places[] = {0,
                               0x10000,
                               BOARD_LOW - 16,
                               BOARD_LOW,
                               MEMORY_HIGH,
                               MEMORY_HIGH + BOARD_HIGH - 8,
                               MEMORY_HIGH + BOARD_HIGH,
                               MEMORY_PCI,
                               MEMORY_ECAM,
                               UINT64_MAX,
                               UINT64_MAX - 15,
                               UINT32_MAX,
                               d->bar[0],
                               d->queues[0].desc_at,
                               d->queues[0].avail_at,
                               d->queues[0].used_at};
    uint64_t at = feed_rarely(f, 6) ? feed_u64(f) : feed_pick(f, places);

    return feed_rarely(f, 3) ? at + feed_byte(f) - 128 : at;
}

static inline uint32_t fuzz_length(struct feed *f)
{
    static const uint32_t lengths[] = {0, 1, 2, 12, 16, 64, 512, 4096, 65536, UINT32_MAX};

    return feed_rarely(f, 6) ? (uint32_t)feed_u64(f) : feed_pick(f, lengths) + feed_below(f, 3);
}

/* ---- what a driver does ---- */

/* Any number of readable pieces, then of writable ones. */
static inline unsigned fuzz_any_request(struct feed *f, struct driver *d, struct seg *segs)
{
    unsigned in = feed_below(f, 4), out = feed_below(f, 4), n = 0;
    uint8_t bytes[300];

    for (unsigned i = 0; i < in; i++)
        segs[n++] = driver_bytes(d, bytes, (uint32_t)feed_bytes(f, bytes, sizeof(bytes)));
    for (unsigned i = 0; i < out; i++)
        segs[n++] = driver_buffer(d, feed_below(f, 600), true);
    return n;
}

/* Change one thing in a descriptor. */
static inline void fuzz_break(struct fuzz_state *s, struct vring_desc *v, unsigned size)
{
    struct feed *f = s->feed;

    switch (feed_below(f, 5)) {
    case 0:
        v->addr = fuzz_address(f, &s->driver);
        break;
    case 1:
        v->len = fuzz_length(f);
        break;
    case 2:
        v->flags ^= (uint16_t)(1 << feed_below(f, 3));
        break;
    case 3:
        v->next = (uint16_t)feed_below(f, size + 1u);
        break;
    case 4:
        v->next = (uint16_t)feed_below(f, 65536);
        v->flags = (uint16_t)feed_below(f, 8);
        break;
    }
    s->tampered = true;
}

/* Look at what came back. */
static inline void fuzz_collect(struct fuzz_state *s)
{
    struct driver *d = &s->driver;
    uint32_t id, len;

    for (unsigned qi = 0; qi < s->queues; qi++) {
        for (unsigned i = 0; d->queues[qi].desc && i < VIRTQUEUE_MOST; i++) {
            if (!driver_used(d, qi, &id, &len))
                break;
            if (s->tampered)
                continue;
            must(id < d->queues[qi].size);
            struct fuzz_chain *c = &s->chains[qi][id];
            must(c->known && len <= c->room);
            if (c->in.host)
                must(memcmp(c->copy, c->in.host, min(c->in.len, (uint32_t)sizeof(c->copy))) == 0);
            s->in_flight[qi] -= c->descs;
            for (unsigned k = 0; k < c->descs; k++)
                s->in_use[qi][(id + k) % d->queues[qi].size] = false;
            if (c->tag)
                s->fuzz->done(c->tag);
            *c = (struct fuzz_chain){0};
        }
    }
}

static inline void fuzz_start(struct fuzz_state *s)
{
    struct feed *f = s->feed;
    struct driver *d = &s->driver;
    static const uint16_t sizes[] = {16, 4, 8, 64, 1, 2, 256};

    s->queues = feed_rarely(f, 6) ? feed_below(f, s->fuzz->queues + 1) : s->fuzz->queues;
    s->queues = min(s->queues, (unsigned)DRIVER_QUEUES);
    memset(s->in_flight, 0, sizeof(s->in_flight));
    memset(s->in_use, 0, sizeof(s->in_use));
    memset(s->chains, 0, sizeof(s->chains[0]) * max(s->queues, 1u));
    memset(d->queues, 0, sizeof(d->queues));
    board_free_all(&s->board);
    d->no_msix = feed_rarely(f, 6);
    uint64_t features = feed_rarely(f, 3) ? feed_u64(f) | 1ull << VIRTIO_F_VERSION_1 : DRIVER_ALL;
    if (!fuzz_behaves && feed_rarely(f, 16))
        features = feed_u64(f);
    s->tampered = !driver_start(d, features, s->queues, feed_pick(f, sizes));
    if (s->fuzz->begin && !s->tampered)
        s->tampered = !s->fuzz->begin(f, d);
}

static inline void fuzz_send(struct fuzz_state *s)
{
    struct feed *f = s->feed;
    struct driver *d = &s->driver;
    unsigned qi = feed_below(f, s->queues ? s->queues : 1);
    struct driver_queue *q = &d->queues[qi];
    struct seg segs[FUZZ_SEGS];

    if (!q->desc)
        return;
    if (s->board.next > BOARD_LOW / 4 * 3) { /* begin anew, behind the rings */
        s->board.next = BOARD_LOW / 2;
        board_turn(&s->board);
        fuzz_collect(s);
        for (unsigned i = 0; i < s->queues; i++)
            s->tampered |= s->in_flight[i] > 0; /* buffers that are in use are used again */
        if (fuzz_behaves && s->tampered)        /* rather begin with all of it anew */
            fuzz_start(s);
    }
    const bool any = !s->fuzz->request || (!fuzz_behaves && feed_rarely(f, 16));
    fuzz_tag = 0;
    s->tampered |= any && s->fuzz->wild;
    unsigned n = any ? fuzz_any_request(f, d, segs) : s->fuzz->request(f, d, qi, segs);
    if (n == 0 || n > q->size || n > FUZZ_SEGS)
        return;
    for (unsigned i = 0; i < n; i++)
        if (segs[i].len && !segs[i].host) /* memory was used up */
            return;
    bool indirect = feed_rarely(f, 3);
    for (unsigned i = 0; i < (indirect ? 1 : n); i++)
        if (s->in_use[qi][(q->next_desc + i) % q->size]) {
            if (fuzz_behaves)
                return;
            s->tampered = true;
        }
    uint16_t head =
        indirect ? driver_describe_indirect(d, qi, segs, n) : driver_describe(d, qi, segs, n);
    struct fuzz_chain *c = &s->chains[qi][head];
    *c = (struct fuzz_chain){.known = true, .descs = indirect ? 1 : n, .tag = fuzz_tag};
    s->in_flight[qi] += c->descs;
    for (unsigned i = 0; i < c->descs; i++)
        s->in_use[qi][(head + i) % q->size] = true;
    for (unsigned i = 0; i < n; i++)
        c->room += segs[i].writable ? segs[i].len : 0;
    if (!segs[0].writable) {
        c->in = segs[0];
        memcpy(c->copy, c->in.host, min(c->in.len, (uint32_t)sizeof(c->copy)));
    }
    if (fuzz_behaves) {
        driver_offer(d, qi, head);
        driver_kick(d, qi);
        return;
    }
    if (feed_rarely(f, 8))
        fuzz_break(s, &q->desc[feed_rarely(f, 2) ? feed_below(f, q->size) : head], q->size);
    if (feed_rarely(f, 16) && indirect) {
        struct vring_desc *t = memory_at(s->board.memory, q->desc[head].addr, 16ull * n);
        if (t && (uintptr_t)t % 8 == 0)
            fuzz_break(s, &t[feed_below(f, n)], n);
    }
    driver_offer(d, qi, head);
    if (!feed_rarely(f, 8))
        driver_kick(d, qi);
}

/* ---- what no driver should do ---- */

static inline void fuzz_register(struct fuzz_state *s)
{
    static const struct {
        uint8_t at, size;
    } fields[] = {{0, 4},    {4, 4},    {8, 4},    {12, 4},   {0x10, 2}, {0x12, 2}, {0x14, 1},
                  {0x15, 1}, {0x16, 2}, {0x18, 2}, {0x1a, 2}, {0x1c, 2}, {0x1e, 2}, {0x20, 4},
                  {0x24, 4}, {0x28, 4}, {0x2c, 4}, {0x30, 4}, {0x34, 4}};
    struct feed *f = s->feed;
    struct driver *d = &s->driver;
    unsigned i = feed_below(f, ARRAY_SIZE(fields));
    unsigned size = feed_rarely(f, 8) ? 1u << feed_below(f, 4) : fields[i].size;

    if (feed_below(f, 2))
        driver_get(d, fields[i].at, size);
    else
        mmio_write(&s->board, d->common + fields[i].at, size,
                   feed_rarely(f, 3) ? fuzz_address(f, d) : feed_below(f, 70));
}

static inline void fuzz_config(struct fuzz_state *s)
{
    struct feed *f = s->feed;
    uint64_t at = s->driver.bar[0] + 0x2000 + feed_below(f, s->fuzz->config + 8u);
    unsigned size = 1u << feed_below(f, 4);

    if (feed_below(f, 2))
        mmio_read(&s->board, at, size);
    else
        mmio_write(&s->board, at, size, feed_rarely(f, 2) ? feed_u64(f) : feed_byte(f));
}

static inline void fuzz_pci(struct fuzz_state *s)
{
    struct feed *f = s->feed;
    struct board *b = &s->board;
    struct driver *d = &s->driver;

    switch (feed_below(f, 6)) {
    case 0:
        config_write(b, 1, PCI_COMMAND, 2, feed_rarely(f, 3) ? feed_byte(f) : 6);
        break;
    case 1:
        driver_mask(d, feed_below(f, d->vectors + 1), feed_below(f, 2));
        break;
    case 2:
        config_write(b, 1, d->msix + PCI_MSIX_FLAGS, 2, feed_below(f, 4) << 14);
        break;
    case 3:
        config_write(b, 1, PCI_BASE_ADDRESS_0, 4, MEMORY_PCI + feed_byte(f) * 0x4000u);
        d->bar[0] = pci_bar_at(b->pci.functions[1], 0);
        if (d->bar[0] != PCI_NOWHERE) {
            d->common = d->bar[0];
            for (unsigned i = 0; i < DRIVER_QUEUES; i++)
                d->queues[i].notify = d->bar[0] + 0x3000 + 4 * i;
        }
        break;
    case 4:
        mmio_write(b, d->bar[0] + 0x3000 + feed_below(f, 0x1000), 1u << feed_below(f, 3), 0);
        break;
    case 5:
        mmio_read(b, d->isr, 1);
        mmio_read(b, d->pending + feed_below(f, 16) * 4, 4);
        break;
    }
}

static inline void fuzz_ring(struct fuzz_state *s)
{
    struct feed *f = s->feed;
    struct driver *d = &s->driver;
    struct driver_queue *q = &d->queues[feed_below(f, s->queues ? s->queues : 1)];

    if (!q->desc)
        return;
    s->tampered = true;
    switch (feed_below(f, 6)) {
    case 0:
        q->avail->idx = (uint16_t)(q->avail->idx + feed_below(f, 20));
        break;
    case 1:
        q->avail->idx = (uint16_t)feed_below(f, 65536);
        break;
    case 2:
        q->avail->ring[feed_below(f, q->size)] = (uint16_t)feed_below(f, 65536);
        break;
    case 3:
        q->avail->flags ^= VRING_AVAIL_F_NO_INTERRUPT;
        break;
    case 4:
        q->used->idx = (uint16_t)feed_below(f, 65536);
        q->last_used = q->used->idx;
        break;
    case 5:
        fuzz_break(s, &q->desc[feed_below(f, q->size)], q->size);
        break;
    }
}

/* ---- what happens to the machine ---- */

/* It is reset, as by a reboot. */
static inline void fuzz_reboot(struct fuzz_state *s)
{
    struct board *b = &s->board;

    if (virtio_reset_all(&b->virtio, 100, NULL) < 0)
        return;
    pci_reset(&b->pci);
    must(pci_assign(&b->pci, NULL) == 0 && driver_probe(&s->driver, b, 1));
    fuzz_start(s);
}

/* What a device saved, with some bytes changed. */
static inline void fuzz_change_state(struct feed *f, struct state *st)
{
    for (unsigned n = 1 + feed_below(f, 6); n > 0; n--) {
        size_t at = feed_below(f, st->len);
        st->data[at] =
            feed_rarely(f, 2) ? feed_byte(f) : (uint8_t)(st->data[at] ^ 1u << feed_below(f, 8));
    }
}

/*
 * It is saved with what is under way, and goes on as another one. Where the saved bytes were changed
 * the other one may refuse them, else it must not.
 */
static inline void fuzz_restore(struct fuzz_state *s)
{
    static uint8_t memory[BOARD_LOW + BOARD_HIGH];
    struct board *b = &s->board;
    struct memory_slot *slots = b->own_memory.slots;
    const void *hosts[2] = {slots[0].host, slots[1].host};
    const uint64_t next = b->next;
    const bool change = !fuzz_behaves && feed_rarely(s->feed, 3);
    struct state saved, loaded;
    struct error err = {0};

    if (virtio_hold_all(&b->virtio, 100, NULL) < 0)
        return;
    state_save(&saved, NULL);
    pci_state(&b->pci, &saved);
    virtio_state_all(&b->virtio, &saved);
    if (state_finish(&saved) < 0) { /* not now: a folder is mounted */
        free(saved.data);
        virtio_release_all(&b->virtio);
        return;
    }
    memcpy(memory, slots[0].host, BOARD_LOW);
    memcpy(memory + BOARD_LOW, slots[1].host, BOARD_HIGH);
    board_destroy(b);
    if (change)
        fuzz_change_state(s->feed, &saved);

    must(board_init(b, false) == 0 && s->fuzz->add(b) == 0 && board_start(b) == 0);
    must(slots[0].host == hosts[0] && slots[1].host == hosts[1]); /* the driver has pointers */
    memcpy(slots[0].host, memory, BOARD_LOW);
    memcpy(slots[1].host, memory + BOARD_LOW, BOARD_HIGH);
    b->next = next;
    state_load(&loaded, saved.data, saved.len, &err);
    pci_state(&b->pci, &loaded);
    if (!loaded.invalid)
        virtio_state_all(&b->virtio, &loaded);
    int rc = state_finish(&loaded);
    if (rc < 0 && !change)
        fprintf(stderr, "fuzz_: %s\n", err.text);
    must(rc == 0 || (change && *err.text));
    free(saved.data);
    s->tampered |= change;
    if (rc == 0)
        virtio_release_all(&b->virtio);
    else
        fuzz_reboot(s);
}

/* What a driver that does no wrong does, and what may happen to it. */
static inline void fuzz_good_step(struct fuzz_state *s)
{
    struct feed *f = s->feed;
    unsigned what = feed_below(f, 64);

    if (what < 40)
        fuzz_send(s);
    else if (what < 54)
        board_turn(&s->board), fuzz_collect(s);
    else if (what < 61 && s->fuzz->event)
        s->fuzz->event(f, &s->board);
    else if (what < 63)
        fuzz_restore(s);
    else
        feed_rarely(f, 2) ? fuzz_reboot(s) : fuzz_start(s);
}

static inline void fuzz_step(struct fuzz_state *s)
{
    struct feed *f = s->feed;
    unsigned what = feed_below(f, 64);

    if (what < 28) {
        fuzz_send(s);
        if (s->fuzz->prompt && feed_below(f, 8))
            board_turn(&s->board), fuzz_collect(s);
    } else if (what < 42)
        board_turn(&s->board), fuzz_collect(s);
    else if (what < 48)
        s->fuzz->event ? s->fuzz->event(f, &s->board) : driver_kick(&s->driver, 0);
    else if (what < 52)
        fuzz_config(s);
    else if (what < 55)
        fuzz_register(s);
    else if (what < 58)
        fuzz_pci(s);
    else if (what < 60)
        fuzz_ring(s);
    else if (what < 61)
        driver_set_status(&s->driver, (uint8_t)feed_below(f, 256));
    else if (what < 62)
        feed_rarely(f, 4) ? fuzz_reboot(s) : fuzz_restore(s);
    else
        fuzz_start(s);
}

static inline int virtio_fuzz(const struct virtio_fuzz *fuzz, const uint8_t *data, size_t size)
{
    static struct fuzz_state s; /* large */
    struct feed f = {data, size};

    if (!s.fuzz) /* a guest's mistakes are no news here */
        log_to(open("/dev/null", O_WRONLY | O_CLOEXEC), 0);
    s.fuzz = fuzz;
    s.feed = &f;
    must(board_init(&s.board, false) == 0 && fuzz->add(&s.board) == 0);
    must(board_start(&s.board) == 0 && driver_probe(&s.driver, &s.board, 1));
    fuzz_start(&s);
    for (unsigned i = 0; f.left && i < 400; i++)
        fuzz_behaves ? fuzz_good_step(&s) : fuzz_step(&s);
    board_turn(&s.board);
    fuzz_collect(&s);
    board_destroy(&s.board);
    return 0;
}

#endif
