/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot's file of state that is somebody else's: its head, and behind a right checksum what
 * devices saved, with bytes changed. What is not refused is let run: handlers, then a reset.
 */
#include "fuzz/feed.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define BOARD_LOW      (512u << 10)
#define BOARD_HIGH     (64u << 10)
#define DRIVER_WAIT_MS 0

#include "base/log.h"
#include "base/util.h"
#include "device/driver.c"
#include "kvm/legacy/i8042.h"
#include "kvm/legacy/pm.h"
#include "kvm/legacy/rtc.h"
#include "kvm/legacy/serial.h"
#include "kvm/snapfile.h"
#include "kvm/virtio/balloon.h"
#include "kvm/virtio/rng.h"

#define SCENARIOS 8u

/* A board, and the PC's own devices beside it. */
struct rig {
    struct board board;
    struct serial com1;
    struct rtc rtc;
    struct i8042 i8042;
    struct pm pm;
};

static size_t put(void *arg, const void *data, size_t len)
{
    (void)arg, (void)data;
    return len;
}

static void input_ready(void *arg)
{
    (void)arg;
}

static void set_line(void *arg, unsigned gsi, bool high)
{
    (void)arg, (void)gsi, (void)high;
}

static void power(void *arg, enum power_request what)
{
    (void)arg, (void)what;
}

static void on_stats(void *arg, const struct balloon_stats *s)
{
    (void)arg, (void)s;
}

static void on_size(void *arg, uint64_t bytes)
{
    (void)arg, (void)bytes;
}

static void up(struct rig *r)
{
    static const struct serial_line line = {put, input_ready};
    static const struct balloon_owner owner = {on_stats, on_size};
    const struct irq_line irq = {.set = set_line};

    must(board_init(&r->board, false) == 0);
    must(rng_add(&r->board.virtio, NULL) == 0);
    must(virtio_balloon_add(&r->board.virtio, r->board.memory, 0, &owner, NULL, NULL) != NULL);
    serial_init(&r->com1, irq, &line, NULL);
    must(rtc_init(&r->rtc, irq, NULL) == 0);
    i8042_init(&r->i8042, (struct power){power, NULL});
    pm_init(&r->pm, irq, (struct power){power, NULL});
    must(board_start(&r->board) == 0);
}

static void down(struct rig *r)
{
    rtc_destroy(&r->rtc);
    board_destroy(&r->board);
}

static int all_state(struct rig *r, struct state *s)
{
    pci_state(&r->board.pci, s);
    if (!s->invalid)
        virtio_state_all(&r->board.virtio, s);
    bridge_state(&r->board.bridge, s);
    serial_state(&r->com1, s);
    rtc_state(&r->rtc, s);
    i8042_state(&r->i8042, s);
    pm_state(&r->pm, s);
    return state_finish(s);
}

/* What there is to be saved: drivers of both devices, of one, or none, that sent something or not. */
static void save(unsigned scenario, struct state *s)
{
    static struct rig rig;
    struct driver d;

    up(&rig);
    for (unsigned slot = 1; slot <= 2; slot++) {
        if (!driver_probe(&d, &rig.board, slot) || scenario & slot)
            continue;
        if (!driver_start(&d, DRIVER_ALL, slot == 1 ? 1 : 3, 8))
            continue;
        struct seg seg = driver_buffer(&d, 4, slot == 1);
        if (scenario & 4)
            driver_send(&d, 0, &seg, 1);
    }
    must(virtio_hold_all(&rig.board.virtio, 1000, NULL) == 0);
    state_save(s, NULL);
    must(all_state(&rig, s) == 0);
    down(&rig);
}

static void change(struct feed *f, uint8_t *data, size_t len)
{
    for (unsigned n = feed_below(f, 8); n > 0 && len; n--) {
        size_t at = feed_below(f, len);
        data[at] = feed_rarely(f, 3) ? (uint8_t)(data[at] ^ 1u << feed_below(f, 8)) : feed_byte(f);
    }
}

/* Load it; where it goes, let it run. */
static void load(struct feed *f, const uint8_t *data, size_t len)
{
    static struct rig rig;
    uint8_t *copy = memcpy(malloc(len + 1), data, len);
    struct error err = {0};
    struct state s;

    up(&rig);
    state_load(&s, copy, len, &err);
    s.elapsed_ns = feed_rarely(f, 4) ? feed_u64(f) : 1000000000ull * feed_byte(f);
    int rc = all_state(&rig, &s);
    must(rc == 0 || err.text[0]);
    if (rc == 0) {
        virtio_release_all(&rig.board.virtio);
        for (unsigned i = 0; i < 8 && board_turn(&rig.board); i++)
            ;
        for (unsigned slot = 1; slot <= 2; slot++)
            for (unsigned at = 0; at < 256; at += 4)
                config_read(&rig.board, slot, at, 4);
    }
    free(copy);
    down(&rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    struct snapfile_head head = {.memory = BOARD_LOW, .when_ns = 1};
    struct error err = {0};
    struct state s;
    uint8_t *back;

    static struct state saved[SCENARIOS];
    static bool quiet;

    if (!quiet)
        log_to(open("/dev/null", O_WRONLY | O_CLOEXEC), 0);
    quiet = true;
    const unsigned scenario = feed_below(&f, SCENARIOS);
    if (!saved[scenario].data)
        save(scenario, &saved[scenario]);
    s = saved[scenario];
    s.data = memcpy(malloc(s.len), s.data, s.len);
    change(&f, s.data, s.len);
    if (feed_rarely(&f, 8))
        s.len = feed_below(&f, s.len + 1);
    int fd = memfd_create("state", MFD_CLOEXEC);
    must(fd >= 0 && snapfile_write_state(fd, &head, s.data, s.len, &err) == 0);
    if (feed_rarely(&f, 4)) {
        uint8_t byte = feed_byte(&f);
        must(pwrite(fd, &byte, 1, feed_below(&f, sizeof(head) + s.len)) == 1);
    }
    if (feed_rarely(&f, 8))
        must(ftruncate(fd, feed_below(&f, sizeof(head) + s.len + 100)) == 0);
    if (snapfile_read_state(fd, "state", &head, &back, &err) == 0) {
        load(&f, back, head.length);
        snapfile_check_memory(fd, "memory", &head, &err);
        free(back);
    } else {
        must(err.text[0] && !back);
    }
    close(fd);
    free(s.data);
    return 0;
}
