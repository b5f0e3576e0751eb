/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory balloon (virtio 1.2, 5.5) as a driver sees it, over memory of every kind.
 */
#include "wires.h"

#include <linux/virtio_balloon.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "device/driver.h"
#include "kvm/virtio/balloon.h"

#define SLOT  1
#define PAGE  4096u
#define FIRST 512u /* a page with nothing of the driver's: at 2 MiB */
#define HIGH  ((uint32_t)(MEMORY_HIGH / PAGE))

/* Queues (5.5.2), of a driver that knows no free page hints. */
enum { INFLATE, DEFLATE, STATS, REPORTING };
enum { NUM_PAGES = 0, ACTUAL = 4, HINT = 8, POISON = 12 };

/* What the device told. */
struct told {
    unsigned stats, none, sizes;
    struct balloon_stats last;
    uint64_t size;
};

static struct told told, other_told;
static struct virtio_balloon *balloon;
static struct board board, other;
static struct driver drv;
static struct memory_slot heap[2]; /* where the board's memory was replaced */

static void on_stats(void *arg, const struct balloon_stats *s)
{
    struct told *t = arg;

    t->stats += s != NULL;
    t->none += !s;
    if (s)
        t->last = *s;
}

static void on_size(void *arg, uint64_t bytes)
{
    ((struct told *)arg)->size = bytes;
    ((struct told *)arg)->sizes++;
}

static const struct balloon_owner owner = {on_stats, on_size};

static void add_to(struct board *b, struct told *t, uint64_t bytes)
{
    struct error err;

    memset(t, 0, sizeof(*t));
    balloon = virtio_balloon_add(&b->virtio, b->memory, bytes, &owner, t, &err);
    if (!balloon)
        fail_msg("%s", err.text);
    assert_int_equal(board_start(b), 0);
}

static int setup(void **state)
{
    (void)state;
    assert_int_equal(board_init(&board, false), 0);
    add_to(&board, &told, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    board_destroy(&board);
    return 0;
}

static void use(uint64_t features)
{
    assert_true(driver_probe(&drv, &board, SLOT));
    assert_true(driver_start(&drv, features, 4, 16));
    board_turn(&board);
}

static uint32_t config(unsigned offset)
{
    return (uint32_t)mmio_read(&board, drv.device + offset, 4);
}

static uint8_t *page(uint32_t pfn)
{
    return memory_at(board.memory, (uint64_t)pfn * PAGE, PAGE);
}

static void fill(uint32_t pfn, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        memset(page(pfn + i), 'x', PAGE);
}

/* Are these pages' bytes gone? False where any is there. */
static bool gone(uint32_t pfn, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned at = 0; at < PAGE; at++)
            if (page(pfn + i)[at])
                return false;
    return true;
}

static bool kept(uint32_t pfn, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (page(pfn + i)[0] != 'x' || page(pfn + i)[PAGE - 1] != 'x')
            return false;
    return true;
}

/* Tell of n pages in a row. */
static void tell(unsigned queue, uint32_t pfn, unsigned n)
{
    uint32_t pfns[1024];

    for (unsigned i = 0; i < n; i++)
        pfns[i] = pfn + i;
    struct seg s = driver_bytes(&drv, pfns, n * 4);
    assert_int_equal(driver_request(&drv, queue, &s, 1), 0);
}

static bool broken(void)
{
    board_turn(&board);
    return driver_status(&drv) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void test_identity(void **state)
{
    (void)state;
    assert_true(driver_probe(&drv, &board, SLOT));
    assert_int_equal(config_read(&board, SLOT, 0, 4), 0x1045 << 16 | 0x1af4);
    assert_int_equal(driver_read_offered(&drv) & 0xffffff,
                     1 << VIRTIO_BALLOON_F_STATS_VQ | 1 << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
                         1 << VIRTIO_BALLOON_F_PAGE_POISON | 1 << VIRTIO_BALLOON_F_REPORTING);
    assert_int_equal(config(NUM_PAGES), 0);
    assert_int_equal(config(ACTUAL), 0);
    assert_false(virtio_balloon_has_driver(balloon));
}

/* 5.5.4: what is asked for is the device's, what is there the driver's. */
static void test_target(void **state)
{
    (void)state;
    virtio_balloon_set(balloon, 8 * PAGE + 5);
    use(DRIVER_ALL);
    assert_int_equal(config(NUM_PAGES), 8);
    assert_true(virtio_balloon_has_driver(balloon));
    driver_interrupts(&drv, 0);
    virtio_balloon_set(balloon, 16 * PAGE);
    assert_int_equal(driver_interrupts(&drv, 0), 1);
    assert_int_equal(config(NUM_PAGES), 16);
    mmio_write(&board, drv.device + NUM_PAGES, 4, 99);
    mmio_write(&board, drv.device + ACTUAL, 4, 7);
    mmio_write(&board, drv.device + HINT, 4, 99);
    assert_int_equal(config(NUM_PAGES), 16);
    assert_int_equal(config(ACTUAL), 7);
    assert_int_equal(config(HINT), 0);
    assert_int_equal(virtio_balloon_wanted(balloon), 16 * PAGE);
    assert_int_equal(virtio_balloon_size(balloon), 0); /* whatever it says is there */
    virtio_balloon_set(balloon, UINT64_MAX);
    assert_int_equal(virtio_balloon_wanted(balloon), BOARD_LOW + BOARD_HIGH);
    assert_true(driver_reset(&drv));
    assert_int_equal(config(NUM_PAGES), (BOARD_LOW + BOARD_HIGH) / PAGE);
    assert_int_equal(config(ACTUAL), 0);
    assert_false(virtio_balloon_has_driver(balloon));
}

static void test_inflate(void **state)
{
    (void)state;
    use(DRIVER_ALL);
    fill(FIRST - 1, 12);
    fill(HIGH, 2);
    tell(INFLATE, FIRST, 10);
    assert_true(kept(FIRST - 1, 1) && gone(FIRST, 10) && kept(FIRST + 10, 1));
    assert_int_equal(told.size, 10 * PAGE);
    tell(INFLATE, HIGH, 1);
    assert_true(gone(HIGH, 1) && kept(HIGH + 1, 1));
    assert_int_equal(virtio_balloon_size(balloon), 11 * PAGE);

    /* A page that is in it stays as it is, and counts once. */
    fill(FIRST, 1);
    tell(INFLATE, FIRST, 10);
    assert_true(kept(FIRST, 1));
    assert_int_equal(told.size, 11 * PAGE);

    tell(DEFLATE, FIRST, 4);
    tell(DEFLATE, FIRST, 4);
    tell(DEFLATE, FIRST + 100, 4);
    assert_int_equal(told.size, 7 * PAGE);
    tell(INFLATE, FIRST, 4);
    assert_true(gone(FIRST, 4));
    assert_int_equal(told.size, 11 * PAGE);

    /* The last page of each piece, and both in one request. */
    const uint32_t ends[] = {HIGH + BOARD_HIGH / PAGE - 1, BOARD_LOW / PAGE - 1};
    struct seg s = driver_bytes(&drv, ends, sizeof(ends));
    assert_int_equal(driver_request(&drv, INFLATE, &s, 1), 0);
    assert_int_equal(told.size, 13 * PAGE);
    assert_false(broken());
}

/* Numbers in no order, twice, cut in the middle by a buffer's end, with bytes left over. */
static void test_shapes(void **state)
{
    const uint32_t pfns[] = {FIRST + 9, FIRST, FIRST + 9, FIRST + 1, FIRST + 40, FIRST + 2};
    struct seg s[3];

    (void)state;
    use(DRIVER_ALL);
    fill(FIRST, 48);
    s[0] = driver_bytes(&drv, pfns, 6);
    s[1] = driver_bytes(&drv, (const char *)pfns + 6, sizeof(pfns) - 6);
    s[2] = driver_bytes(&drv, "abc", 3);
    assert_int_equal(driver_request(&drv, INFLATE, s, 3), 0);
    assert_true(gone(FIRST, 3) && kept(FIRST + 3, 6) && gone(FIRST + 9, 1));
    assert_true(kept(FIRST + 10, 30) && gone(FIRST + 40, 1) && kept(FIRST + 41, 7));
    assert_int_equal(told.size, 5 * PAGE);
    s[0] = driver_buffer(&drv, 64, true); /* says nothing */
    assert_int_equal(driver_request(&drv, INFLATE, s, 1), 0);
    assert_int_equal(told.size, 5 * PAGE);
    assert_false(broken());
}

/* Pages that are none end the device, and nothing else; a new driver finds it empty. */
static void test_no_pages(void **state)
{
    static const uint32_t none[] = {BOARD_LOW / PAGE, HIGH - 1, HIGH + BOARD_HIGH / PAGE,
                                    0xfee00000u / PAGE, UINT32_MAX};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(none); i++) {
        const uint32_t pfns[] = {FIRST, none[i], FIRST + 2};
        use(DRIVER_ALL);
        fill(FIRST, 3);
        struct seg s = driver_bytes(&drv, pfns, sizeof(pfns));
        driver_send(&drv, INFLATE, &s, 1);
        assert_true(broken());
        assert_true(gone(FIRST, 1) && kept(FIRST + 1, 1) && gone(FIRST + 2, 1));
        assert_true(driver_reset(&drv));
        assert_int_equal(told.size, 0);
    }
}

/* Whatever a driver names: all that is looked at is so much of it, and every page counts once. */
static void test_much(void **state)
{
    const unsigned n = 70000, all = (BOARD_LOW + BOARD_HIGH) / PAGE;

    (void)state;
    use(DRIVER_ALL);
    struct seg s = driver_buffer(&drv, n * 4, false);
    uint32_t *pfns = s.host;
    const uint32_t used = (uint32_t)(board.next / PAGE) + 1;
    for (unsigned i = 0; i < n; i++)
        pfns[i] = used + i % (BOARD_LOW / PAGE - used);
    pfns[n - 1] = UINT32_MAX;
    assert_int_equal(driver_request(&drv, INFLATE, &s, 1), 0);
    assert_int_equal(told.size, (BOARD_LOW / PAGE - used) * PAGE);
    assert_true(told.size < (uint64_t)all * PAGE);
    assert_false(broken());
    for (unsigned i = 0; i < 15; i++)
        driver_send(&drv, i % 2 ? INFLATE : DEFLATE, &s, 1);
    for (unsigned i = 0; i < 15; i++)
        assert_true(driver_await(&drv, i < 8 ? DEFLATE : INFLATE, NULL, NULL));
}

/* ---- free pages ---- */

static void report(uint32_t pfn, unsigned n)
{
    struct seg s = {.at = (uint64_t)pfn * PAGE, .len = n * PAGE, .writable = true};

    assert_int_equal(driver_request(&drv, REPORTING, &s, 1), 0);
}

static void test_reports(void **state)
{
    (void)state;
    use(DRIVER_ALL);
    fill(FIRST, 20);
    fill(HIGH, 4);
    report(FIRST + 1, 8);
    assert_true(kept(FIRST, 1) && gone(FIRST + 1, 8) && kept(FIRST + 9, 1));
    struct seg s[3] = {{.at = (uint64_t)(FIRST + 10) * PAGE, .len = PAGE, .writable = true},
                       {.at = MEMORY_HIGH, .len = 2 * PAGE, .writable = true},
                       {.at = (uint64_t)(FIRST + 12) * PAGE + 1, .len = PAGE, .writable = true}};
    driver_offer(&drv, REPORTING, driver_describe_indirect(&drv, REPORTING, s, 3));
    driver_kick(&drv, REPORTING);
    assert_true(driver_await(&drv, REPORTING, NULL, NULL));
    assert_true(gone(FIRST + 10, 1) && gone(HIGH, 2) && kept(HIGH + 2, 2));
    assert_true(kept(FIRST + 11, 9)); /* a page that is not whole stays */
    fill(FIRST, 1);
    s[0].writable = false; /* to be read: nothing is reported by it */
    s[0].at = (uint64_t)FIRST * PAGE;
    assert_int_equal(driver_request(&drv, REPORTING, s, 1), 0);
    assert_true(kept(FIRST, 1));
    assert_int_equal(virtio_balloon_size(balloon), 0);

    /* Beyond the end of RAM. */
    s[0] = (struct seg){.at = BOARD_LOW - PAGE, .len = 2 * PAGE, .writable = true};
    driver_send(&drv, REPORTING, s, 1);
    assert_true(broken());
}

/* 5.5.6.7.1: pages that the driver wants to find poisoned keep their bytes. */
static void test_poison(void **state)
{
    (void)state;
    use(DRIVER_ALL);
    fill(FIRST, 2);
    mmio_write(&board, drv.device + POISON, 4, 0x78787878);
    assert_int_equal(config(POISON), 0x78787878);
    report(FIRST, 1);
    assert_true(kept(FIRST, 1));
    mmio_write(&board, drv.device + POISON, 4, 0);
    report(FIRST, 1);
    assert_true(gone(FIRST, 1));
    tell(INFLATE, FIRST + 1, 1);
    assert_true(gone(FIRST + 1, 1));
    mmio_write(&board, drv.device + POISON, 4, 1);
    assert_true(driver_reset(&drv));
    assert_int_equal(config(POISON), 0);

    /* Not negotiated: the value says nothing. */
    use(~VIRTIO_FEATURE(VIRTIO_BALLOON_F_PAGE_POISON));
    fill(FIRST, 1);
    mmio_write(&board, drv.device + POISON, 4, 1);
    report(FIRST, 1);
    assert_true(gone(FIRST, 1));
}

/* What was not negotiated is not served. */
static void test_without(void **state)
{
    (void)state;
    use(VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
    fill(FIRST, 1);
    struct seg s = {.at = (uint64_t)FIRST * PAGE, .len = PAGE, .writable = true};
    driver_send(&drv, REPORTING, &s, 1);
    s = driver_bytes(&drv, "\0\0\0\0\0\0\0\0\0\0", 10);
    driver_send(&drv, STATS, &s, 1);
    board_turn(&board);
    assert_false(driver_used(&drv, REPORTING, NULL, NULL));
    assert_false(driver_used(&drv, STATS, NULL, NULL));
    assert_true(kept(FIRST, 1));
    assert_int_equal(told.stats, 0);
    tell(INFLATE, FIRST, 1);
    assert_true(gone(FIRST, 1));
}

/* ---- statistics ---- */

static struct seg stat_of(const struct virtio_balloon_stat *s, unsigned n, unsigned more)
{
    struct virtio_balloon_stat all[80] = {0};

    memcpy(all, s, n * sizeof(s[0]));
    return driver_bytes(&drv, all, n * (uint32_t)sizeof(s[0]) + more);
}

static void test_stats(void **state)
{
    const struct virtio_balloon_stat some[] = {
        {VIRTIO_BALLOON_S_MEMTOT, 4 << 20},
        {VIRTIO_BALLOON_S_AVAIL, 1 << 20},
        {VIRTIO_BALLOON_S_MEMFREE, 1 << 19},
        {VIRTIO_BALLOON_S_MAJFLT, 7},
        {999, 12345},
        {VIRTIO_BALLOON_S_CACHES, 4096},
    };

    (void)state;
    use(DRIVER_ALL);
    struct seg s = stat_of(some, ARRAY_SIZE(some), 3); /* the last one is cut */
    const uint16_t head = driver_send(&drv, STATS, &s, 1);
    board_turn(&board);
    assert_int_equal(told.stats, 1);
    assert_int_equal(told.last.total, 4 << 20);
    assert_int_equal(told.last.available, 1 << 20);
    assert_int_equal(told.last.free, 1 << 19);
    assert_int_equal(told.last.caches, 4096);
    assert_int_equal(told.last.major_faults, 7);
    assert_true(told.last.swapped_in == UINT64_MAX && told.last.minor_faults == UINT64_MAX);
    assert_int_equal(told.last.used, 3 << 20);

    /* 5.5.6.3: it is used when new ones are wanted, which is seconds later. */
    uint32_t id, len;
    assert_false(driver_used(&drv, STATS, NULL, NULL));
    assert_true(driver_await(&drv, STATS, &id, &len));
    assert_int_equal(id, head);
    assert_int_equal(len, 0);
    assert_true(driver_interrupts(&drv, 1 + STATS) > 0);
    driver_send(&drv, STATS, &s, 1);
    board_turn(&board);
    assert_int_equal(told.stats, 2);

    /* Two at once: the first comes back. */
    driver_send(&drv, STATS, &s, 1);
    assert_true(driver_await(&drv, STATS, NULL, NULL));
    assert_false(driver_used(&drv, STATS, NULL, NULL));
    assert_int_equal(told.stats, 3);
    const unsigned none = told.none;
    assert_true(driver_reset(&drv));
    assert_int_equal(told.none, none + 1);
}

/* What the guest uses, out of what it says, however that is. */
static void test_used(void **state)
{
    const struct {
        uint64_t total, available, free, used;
    } cases[] = {
        {4 << 20, UINT64_MAX, 1 << 20, 3 << 20},
        {4 << 20, 8 << 20, 0, PAGE},
        {1ull << 60, 1 << 20, 0, BOARD_LOW + BOARD_HIGH - (1 << 20)},
        {UINT64_MAX, 1 << 20, 0, 0},
        {4 << 20, UINT64_MAX, UINT64_MAX, 0},
    };

    (void)state;
    use(~VIRTIO_FEATURE(VIRTIO_BALLOON_F_DEFLATE_ON_OOM));
    tell(INFLATE, FIRST, 16);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct virtio_balloon_stat three[] = {
            {VIRTIO_BALLOON_S_MEMTOT, cases[i].total},
            {VIRTIO_BALLOON_S_AVAIL, cases[i].available},
            {VIRTIO_BALLOON_S_MEMFREE, cases[i].free},
        };
        struct seg s = stat_of(three, 3, 0);
        driver_send(&drv, STATS, &s, 1);
        board_turn(&board);
        assert_int_equal(told.last.used, cases[i].used);
    }
    /* With F_DEFLATE_ON_OOM Linux counts the balloon as used memory. */
    assert_true(driver_reset(&drv));
    use(DRIVER_ALL);
    tell(INFLATE, FIRST, 16);
    const struct virtio_balloon_stat two[] = {{VIRTIO_BALLOON_S_MEMTOT, 4 << 20},
                                              {VIRTIO_BALLOON_S_AVAIL, 1 << 20}};
    struct seg s = stat_of(two, 2, 0);
    driver_send(&drv, STATS, &s, 1);
    board_turn(&board);
    assert_int_equal(told.last.used, (3 << 20) - 16 * PAGE);
    s = driver_buffer(&drv, 20, true); /* an empty one, as some send at first */
    driver_send(&drv, STATS, &s, 1);
    board_turn(&board);
    assert_false(broken());
}

/* ---- memory of other kinds ---- */

/* The board with this memory instead of its own, in the same two pieces, taken for such a kind. */
static void build_over(struct memory *m, const struct memory_config *c,
                       const struct memory_config *as)
{
    struct error err;

    if (memory_create_as(m, c, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(board_init(&board, false), 0);
    memcpy(heap, board.memory->slots, sizeof(heap));
    board.own_memory.config = *as;
    board.own_memory.fd = m->fd;
    board.own_memory.slots[0].host = m->slots[0].host;
    board.own_memory.slots[1].host = m->slots[0].host + BOARD_LOW;
    add_to(&board, &told, 0);
    use(DRIVER_ALL);
}

static void take_down(struct memory *m)
{
    workers_stop(board.workers);
    virtio_remove_all(&board.virtio);
    memcpy(board.own_memory.slots, heap, sizeof(heap));
    board.own_memory.config = (struct memory_config){0};
    board_destroy(&board);
    memory_destroy(m);
}

/* A file that others map too: its pages go. */
static void test_shared(void **state)
{
    const struct memory_config c = {.size = BOARD_LOW + BOARD_HIGH, .shared = true};
    struct stat before, after;
    struct memory m;

    (void)state;
    build_over(&m, &c, &c);
    fill(FIRST, 64);
    fill(HIGH, 64);
    assert_int_equal(fstat(m.fd, &before), 0);
    tell(INFLATE, FIRST + 16, 16);
    report(HIGH, 16);
    assert_int_equal(fstat(m.fd, &after), 0);
    assert_int_equal((before.st_blocks - after.st_blocks) * 512, 32 * PAGE);
    assert_true(kept(FIRST, 16) && gone(FIRST + 16, 16) && kept(FIRST + 32, 32));
    assert_true(gone(HIGH, 16) && kept(HIGH + 16, 48));
    assert_int_equal(after.st_size, before.st_size);
    take_down(&m);
}

/* Pages of a pool go when the last small page in one does. They need not be such to see that. */
static void test_huge(void **state)
{
    const struct memory_config plain = {.size = BOARD_LOW + BOARD_HIGH}, huge = {.huge = MEMORY_2M};
    struct memory m;

    (void)state;
    build_over(&m, &plain, &huge);
    fill(FIRST, 512);
    for (unsigned i = 0; i < 511; i += 73)
        tell(INFLATE, FIRST + i, 73);
    assert_int_equal(told.size, 511 * PAGE);
    assert_true(kept(FIRST, 512));
    tell(DEFLATE, FIRST + 5, 1);
    tell(INFLATE, FIRST + 511, 1);
    assert_true(kept(FIRST, 512));
    tell(INFLATE, FIRST + 5, 1);
    assert_true(gone(FIRST, 512));
    tell(INFLATE, HIGH, BOARD_HIGH / PAGE); /* half of one is all that there is */
    assert_int_equal(told.size, 512 * PAGE + BOARD_HIGH);
    take_down(&m);
}

/* ---- saved and loaded ---- */

static void test_saved(void **state)
{
    const struct virtio_balloon_stat two[] = {{VIRTIO_BALLOON_S_MEMTOT, 4 << 20},
                                              {VIRTIO_BALLOON_S_AVAIL, 1 << 20}};
    struct error err;
    struct state s;

    (void)state;
    use(DRIVER_ALL);
    virtio_balloon_set(balloon, 40 * PAGE);
    tell(INFLATE, FIRST, 10);
    tell(INFLATE, HIGH + 3, 5);
    struct seg seg = stat_of(two, 2, 0);
    const uint16_t head = driver_send(&drv, STATS, &seg, 1);
    board_turn(&board);

    assert_int_equal(virtio_hold_all(&board.virtio, 1000, &err), 0);
    state_save(&s, &err);
    pci_state(&board.pci, &s);
    virtio_state_all(&board.virtio, &s);
    assert_int_equal(state_finish(&s), 0);
    cleanup_free uint8_t *data = s.data;
    assert_int_equal(board_init(&other, false), 0);
    add_to(&other, &other_told, 0);
    for (unsigned i = 0; i < 2; i++)
        memcpy(other.memory->slots[i].host, board.memory->slots[i].host,
               board.memory->slots[i].size);
    state_load(&s, data, s.len, &err);
    pci_state(&other.pci, &s);
    virtio_state_all(&other.virtio, &s);
    if (state_finish(&s) < 0)
        fail_msg("%s", err.text);
    virtio_release_all(&other.virtio);
    drv.board = &other;
    for (unsigned i = 0; i < DRIVER_QUEUES; i++) {
        struct driver_queue *q = &drv.queues[i];
        q->desc = memory_at(other.memory, q->desc_at, 1);
        q->avail = memory_at(other.memory, q->avail_at, 1);
        q->used = memory_at(other.memory, q->used_at, 1);
    }
    other.next = board.next;

    assert_int_equal(other_told.size, 15 * PAGE);
    assert_int_equal(virtio_balloon_wanted(balloon), 40 * PAGE);
    assert_true(virtio_balloon_has_driver(balloon));
    assert_int_equal(mmio_read(&other, drv.device + NUM_PAGES, 4), 40);
    tell(INFLATE, FIRST + 5, 10);
    assert_int_equal(other_told.size, 20 * PAGE);
    uint32_t id;
    assert_true(driver_await(&drv, STATS, &id, NULL)); /* new ones are asked for */
    assert_int_equal(id, head);
    board_destroy(&other);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_identity),
        TEST(test_target),
        TEST(test_inflate),
        TEST(test_shapes),
        TEST(test_no_pages),
        TEST(test_much),
        TEST(test_reports),
        TEST(test_poison),
        TEST(test_without),
        TEST(test_stats),
        TEST(test_used),
        TEST(test_saved),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_huge),
    };
    return cmocka_run_group_tests_name("balloon", tests, NULL, NULL);
}
