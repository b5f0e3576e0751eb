/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 120 s
 *
 * The whole machine on this host's /dev/kvm, with a guest of our own (guest.S) that does what its
 * command line says. Nothing here needs a keeper: the test is the machine's owner.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "kvm/boot/boot.h"
#include "kvm/host.h"
#include "kvm/machine.h"
#include "kvm/virtio/rng.h"

#define WAIT_MS 20000

/* The console: keeps what is printed, and takes at most `room` bytes at a time. */
static struct {
    pthread_mutex_t lock;
    char text[128 << 10];
    size_t len, room;
    bool waits;         /* a put took less than given */
    _Atomic bool asked; /* a put has begun */
    int input_ready;
} tty = {.lock = PTHREAD_MUTEX_INITIALIZER, .input_ready = -1};

static size_t tty_put(void *arg, const void *data, size_t len)
{
    (void)arg;
    tty.asked = true;
    pthread_mutex_lock(&tty.lock);
    size_t n = min(len, min(tty.room, sizeof(tty.text) - 1 - tty.len));
    memcpy(tty.text + tty.len, data, n);
    tty.len += n;
    tty.room -= n;
    tty.waits |= n < len;
    pthread_mutex_unlock(&tty.lock);
    return n;
}

static void tty_input_ready(void *arg)
{
    (void)arg;
    eventfd_write(tty.input_ready, 1);
}

static const struct serial_line tty_line = {tty_put, tty_input_ready};

static bool tty_has(const char *text)
{
    pthread_mutex_lock(&tty.lock);
    tty.text[tty.len] = '\0';
    bool has = strstr(tty.text, text) != NULL;
    pthread_mutex_unlock(&tty.lock);
    return has;
}

static void tty_await(const char *text)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    for (int i = 0; i < WAIT_MS && !tty_has(text); i++)
        nanosleep(&moment, NULL);
    if (!tty_has(text))
        fail_msg("the guest never printed '%s', but: %s", text, tty.text);
}

static struct machine *machine;

static int have_kvm(void **state)
{
    struct error err;
    cleanup_close int kvm = kvm_open(&err);

    (void)state;
    tty.len = 0;
    tty.room = SIZE_MAX;
    tty.waits = false;
    tty.asked = false;
    tty.input_ready = eventfd(0, EFD_CLOEXEC);
    return kvm < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    machine_destroy(machine);
    machine = NULL;
    close(tty.input_ready);
    return 0;
}

/* Let the machine, which is as new, do this. */
static void boot(const struct machine_config *config, const char *script)
{
    const char *build = getenv("B");
    cleanup_free char *path = xasprintf("%s/tests/device/guest.elf", build ? build : "build");
    cleanup_free char *cmdline = xasprintf("test do=%s", script);
    struct boot_request rq = {.initrd.fd = -1,
                              .cmdline = cmdline,
                              .cpus = config->topology,
                              .avoid_32bit = true};
    struct cpu_entry entry;
    struct error err;

    if (boot_open(&rq.kernel, path, &err) < 0 || boot_load(&machine->memory, &rq, &entry, &err) < 0)
        fail_msg("%s", err.text);
    close(rq.kernel.fd);
    if (machine_start(machine, &entry, &err) < 0)
        fail_msg("%s", err.text);
}

/* Build this machine and let it do this. */
static void start_config(const struct machine_config *config, const char *script)
{
    struct error err;

    if (machine_create(config, &machine, &err) < 0)
        fail_msg("%s", err.text);
    boot(config, script);
}

static void start(unsigned cpus, const char *script)
{
    const struct machine_config config = {.memory.size = 16 << 20,
                                          .topology = topology_flat(cpus),
                                          .console = &tty_line};

    start_config(&config, script);
}

/* Wait for its end, which must be this one. */
static void await_end(enum guest_end how, const char *reason)
{
    struct pollfd p = {.fd = machine->event_fd, .events = POLLIN};
    struct machine_ending ending;
    eventfd_t count;

    while (!machine_ended(machine, &ending)) {
        if (poll(&p, 1, WAIT_MS) != 1)
            fail_msg("the machine did not end; it printed: %s", tty.text);
        eventfd_read(machine->event_fd, &count);
    }
    assert_int_equal(ending.how, how);
    if (!strstr(ending.reason, reason))
        fail_msg("it ended with '%s', not '%s'", ending.reason, reason);
}

static void run(unsigned cpus, const char *script, enum guest_end how, const char *reason)
{
    start(cpus, script);
    await_end(how, reason);
}

static void test_hello(void **state)
{
    (void)state;
    run(1, "h", ENDED_EXIT, "");
    assert_true(tty_has("hello\n"));
}

/* After each end it can be made as new: memory empty, all CPUs and devices there. */
static void test_reset(void **state)
{
    const struct machine_config config = {.memory.size = 16 << 20,
                                          .topology = topology_flat(4),
                                          .console = &tty_line};
    struct error err;

    (void)state;
    if (machine_create(&config, &machine, &err) < 0 || rng_add(&machine->virtio, &err) < 0)
        fail_msg("%s", err.text);
    for (int life = 0; life < 3; life++) {
        uint8_t *ram = memory_at(&machine->memory, 15 << 20, 4096);
        for (int i = 0; i < 4096; i++)
            assert_int_equal(ram[i], 0);
        boot(&config, life == 1 ? "a3ht" : "a3hr");
        memset(ram, 0xff, 4096);
        await_end(ENDED_REBOOT, "");
        assert_true(tty_has("all up\nhello\n"));
        tty.len = 0;
        if (machine_reset(machine, &err) < 0)
            fail_msg("%s", err.text);
        struct machine_ending ending;
        assert_false(machine_ended(machine, &ending));
    }
    tty.len = 0;
    boot(&config, "a3h");
    await_end(ENDED_EXIT, "");
    assert_true(tty_has("all up\nhello\n"));
}

static void test_nobody_answers(void **state)
{
    (void)state;
    run(1, "x", ENDED_EXIT, "");
    assert_true(tty_has("all ones\n"));
}

static void test_clock(void **state)
{
    (void)state;
    time_t now = time(NULL);
    run(1, "zc", ENDED_EXIT, "");
    char before[16], after[16];
    strftime(before, sizeof(before), "%H:%M\n", gmtime(&now));
    struct timespec exact; /* time() may lag behind by a tick */
    clock_gettime(CLOCK_REALTIME, &exact);
    now = exact.tv_sec;
    strftime(after, sizeof(after), "%H:%M\n", gmtime(&now));
    assert_true(tty_has(before) || tty_has(after));
}

static void test_more_cpus(void **state)
{
    (void)state;
    run(4, "a3h", ENDED_EXIT, "");
    assert_true(tty_has("all up\nhello\n"));
}

static void test_most_cpus(void **state)
{
    struct error err;
    cleanup_close int kvm = kvm_open(&err);
    char script[] = "a?h";

    (void)state;
    if (kvm_max_cpus(kvm) < MACHINE_CPUS)
        skip();
    script[1] = '0' + MACHINE_CPUS - 1;
    run(MACHINE_CPUS, script, ENDED_EXIT, "");
    assert_true(tty_has("all up\nhello\n"));
}

/* Ids with gaps in them: all CPUs are there, under the names that KVM was given. */
static void test_topology(void **state)
{
    const struct machine_config config = {.memory.size = 16 << 20,
                                          .topology = {2, 3, 1},
                                          .console = &tty_line};

    (void)state;
    start_config(&config, "a5h");
    await_end(ENDED_EXIT, "");
    assert_true(tty_has("all up\nhello\n"));
}

/* The threads run where they are told to, those of which nothing is said anywhere. */
static void test_affinity(void **state)
{
    cpu_set_t mine, got, affinity[2];
    const struct machine_config config = {.memory.size = 16 << 20,
                                          .topology = {1, 2, 1},
                                          .affinity = affinity,
                                          .console = &tty_line};

    (void)state;
    sched_getaffinity(0, sizeof(mine), &mine);
    CPU_ZERO(&affinity[0]);
    CPU_ZERO(&affinity[1]);
    for (size_t i = 0; !CPU_COUNT(&affinity[1]); i++)
        if (CPU_ISSET(i, &mine))
            CPU_SET(i, &affinity[1]);
    start_config(&config, "hl");
    tty_await("hello");
    pthread_getaffinity_np(machine->vcpus[0].thread, sizeof(got), &got);
    assert_true(CPU_EQUAL(&got, &mine));
    pthread_getaffinity_np(machine->vcpus[1].thread, sizeof(got), &got);
    assert_true(CPU_EQUAL(&got, &affinity[1]));
}

/* Every kind of memory runs a guest. */
static void test_memories(void **state)
{
    struct machine_config config = {.topology = {1, 1, 1}, .console = &tty_line};
    const struct memory_config kinds[] = {
        {.size = 16 << 20, .shared = true},
        {.size = 16 << 20, .merge = true},
        {.size = 6ull << 30}, /* on both sides of the hole */
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (kinds[i].merge && access("/sys/kernel/mm/ksm/run", F_OK) < 0)
            continue;
        config.memory = kinds[i];
        tty.len = 0;
        start_config(&config, "h");
        await_end(ENDED_EXIT, "");
        assert_true(tty_has("hello\n"));
        machine_destroy(machine);
        machine = NULL;
    }
}

static void test_reset_port(void **state)
{
    (void)state;
    run(1, "hr", ENDED_REBOOT, "");
}

static void test_reset_keyboard(void **state)
{
    (void)state;
    run(1, "hk", ENDED_REBOOT, "");
}

static void test_reset_vector(void **state)
{
    (void)state;
    run(2, "hja1s", ENDED_REBOOT, "");
}

static void test_triple_fault(void **state)
{
    (void)state;
    run(2, "t", ENDED_CRASH, "triple fault on vcpu 0");
    machine_destroy(machine);
    run(2, "ht", ENDED_REBOOT, ""); /* it had come up */
}

static void test_power_button(void **state)
{
    (void)state;
    start(1, "hb");
    tty_await("hello");
    pm_press_power_button(&machine->pm);
    await_end(ENDED_EXIT, "");
    assert_true(tty_has("button\n"));
}

/* Type all of this, as fast as the guest takes it. */
static void type_text(const char *text)
{
    struct pollfd p = {.fd = tty.input_ready, .events = POLLIN};
    size_t len = strlen(text);
    eventfd_t count;

    for (;;) {
        size_t n = serial_input(&machine->com1, text, len);
        text += n;
        len -= n;
        if (!len)
            return;
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        eventfd_read(tty.input_ready, &count);
    }
}

/* All that was typed comes back, however little the FIFO takes at a time. */
static void test_echo(void **state)
{
    static const char text[] = "the slow brown fox jumps over the lazy dog, twice a day, q";

    (void)state;
    start(1, "e");
    type_text(text);
    await_end(ENDED_EXIT, "");
    assert_true(tty_has(text));
}

/* A console that takes a few bytes at a time loses none. */
static void test_slow_console(void **state)
{
    const struct timespec moment = {.tv_nsec = 100000};
    struct machine_ending ending;
    bool waited = false;

    (void)state;
    tty.room = 100;
    start(1, "f");
    while (!machine_ended(machine, &ending)) {
        pthread_mutex_lock(&tty.lock);
        bool ready = tty.waits;
        tty.waits = false;
        tty.room = ready ? 777 : tty.room;
        pthread_mutex_unlock(&tty.lock);
        waited |= ready;
        if (ready)
            serial_output_ready(&machine->com1);
        nanosleep(&moment, NULL);
    }
    assert_true(waited);
    assert_int_equal(tty.len, 1024 * 64);
    for (size_t i = 64; i < tty.len; i += 64)
        assert_memory_equal(tty.text, tty.text + i, 64);
}

/* CPU time of this process, in ns. */
static uint64_t cpu_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void test_pause(void **state)
{
    const struct timespec moment = {.tv_nsec = 100000000};
    struct error err;
    eventfd_t count;

    (void)state;
    start(4, "a3he");
    tty_await("hello");
    if (machine_pause(machine, &err) < 0)
        fail_msg("%s", err.text);
    uint64_t before = cpu_time();
    nanosleep(&moment, NULL);
    assert_in_range(cpu_time() - before, 0, 20000000);
    eventfd_read(machine->event_fd, &count); /* nothing has ended */
    machine_resume(machine);
    type_text("q");
    await_end(ENDED_EXIT, "");
    assert_true(tty_has("q\n"));
}

/* A vCPU that cannot be stopped soon holds its owner up for a bounded time, and runs on. */
static void test_pause_fails(void **state)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    struct error err;

    (void)state;
    pthread_mutex_lock(&tty.lock); /* the guest will wait for its console */
    start(2, "a1hb");
    for (int i = 0; i < WAIT_MS && !tty.asked; i++)
        nanosleep(&moment, NULL);
    uint64_t before = now_mono_ns();
    int rc = machine_pause(machine, &err);
    uint64_t took = now_mono_ns() - before;
    machine->pvpanicked = true;
    bool again = machine_look_for_panic(machine);
    uint64_t looked = now_mono_ns() - before - took;
    pthread_mutex_unlock(&tty.lock);
    assert_int_equal(rc, -1);
    assert_non_null(strstr(err.text, "did not stop"));
    assert_in_range(took, 1000000000, 4000000000);
    assert_true(again);
    assert_in_range(looked, 0, 1000000000);
    tty_await("hello");
    pm_press_power_button(&machine->pm);
    await_end(ENDED_EXIT, "");
}

/* Pausing again and again comes at every point of the loop. */
static void test_pause_often(void **state)
{
    struct error err;

    (void)state;
    start(4, "a3hfe");
    for (int i = 0; i < 300; i++) {
        if (machine_pause(machine, &err) < 0)
            fail_msg("%s", err.text);
        machine_resume(machine);
    }
    type_text("q");
    await_end(ENDED_EXIT, "");
}

/* Ending works whatever the vCPUs do. */
static void test_kill(void **state)
{
    static const char *const scripts[] = {"a3hl", "a3hs", "a3hb", "hl"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(scripts); i++) {
        tty.len = 0;
        start(4, scripts[i]);
        tty_await("hello");
        machine_end(machine, ENDED_KILLED);
        machine_crash(machine, "too late");
        await_end(ENDED_KILLED, "");
        machine_destroy(machine);
    }
    tty.len = 0;
    start(2, "hl");
    tty_await("hello");
    assert_int_equal(machine_pause(machine, NULL), 0);
    machine_end(machine, ENDED_KILLED);
    await_end(ENDED_KILLED, "");
}

/* Wait until the boot processor has made some more exits. */
static void await_exits(uint64_t n)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    const uint64_t *exits = &machine->vcpus[0].exits,
                   before = __atomic_load_n(exits, __ATOMIC_RELAXED);

    for (int i = 0; i < WAIT_MS && __atomic_load_n(exits, __ATOMIC_RELAXED) < before + n; i++)
        nanosleep(&moment, NULL);
}

/* Look so often, or until no more is needed. Returns how often that was. */
static int look_for_panic(int most)
{
    struct machine_ending ending;
    struct pollfd p = {.fd = machine->event_fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, WAIT_MS), 1); /* the suspicion is announced */
    assert_false(machine_ended(machine, &ending));
    for (int i = 1; i <= most; i++)
        if (!machine_look_for_panic(machine))
            return i;
    return most;
}

/* A look that a busy host disturbs is one more. */
#define DISTURBED 10

/* The words, and no vCPU that does anything: the others may be halted, or turn round as well. */
static void test_panic(void **state)
{
    static const char *const scripts[] = {"a1pl", "ia1pl"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(scripts); i++) {
        start(2, scripts[i]);
        assert_in_range(look_for_panic(3 + DISTURBED), 3, 3 + DISTURBED);
        await_end(ENDED_CRASH, "kernel panic: out of coffee");
        machine_destroy(machine);
        machine = NULL;
    }
}

/* Who only told pvpanic may be about to reboot, and is given time. */
static void test_pvpanic(void **state)
{
    (void)state;
    start(1, "hvl");
    assert_int_equal(look_for_panic(299), 299);
    for (int i = 0; i < 1 + DISTURBED && machine_look_for_panic(machine); i++)
        ;
    await_end(ENDED_CRASH, "kernel panic");
}

/* However often it tells pvpanic, its owner is woken once. */
static void test_pvpanic_often(void **state)
{
    eventfd_t count;

    (void)state;
    start(1, "vvvvvhl");
    tty_await("hello");
    assert_int_equal(eventfd_read(machine->event_fd, &count), 0);
    assert_int_equal(count, 1);
}

/* A guest that goes on is not dead, and is left alone in the end. */
static void test_pvpanic_lives(void **state)
{
    (void)state;
    start(1, "vb");
    for (int i = look_for_panic(1); i < WAIT_MS && machine_look_for_panic(machine); i++)
        await_exits(1);
    assert_false(machine_panic_suspected(machine));
    pm_press_power_button(&machine->pm);
    await_end(ENDED_EXIT, "");
}

/* The same where a panic's words were the last that it said. */
static void test_words_live(void **state)
{
    (void)state;
    start(1, "pb");
    assert_int_equal(look_for_panic(1), 1);
    for (int i = 0; i < 10; i++) {
        await_exits(1);
        assert_true(machine_look_for_panic(machine));
    }
    pm_press_power_button(&machine->pm);
    await_end(ENDED_EXIT, "");
}

/* The words alone, from a guest that goes on, are no panic. */
static void test_no_panic(void **state)
{
    (void)state;
    start(1, "phl");
    tty_await("hello");
    assert_false(machine_panic_suspected(machine));
    assert_false(machine_look_for_panic(machine));
    machine_end(machine, ENDED_KILLED);
    await_end(ENDED_KILLED, "");
}

/* The linker puts these in the way: kicks by vCPUs may be slow, and threads that were joined known.
 */
static _Atomic bool kicks_are_slow, a_kick_began, kicked_joined;
static _Atomic pthread_t joined;

int __real_pthread_kill(pthread_t thread, int sig);
int __wrap_pthread_kill(pthread_t thread, int sig);
int __real_pthread_join(pthread_t thread, void **value);
int __wrap_pthread_join(pthread_t thread, void **value);

int __wrap_pthread_kill(pthread_t thread, int sig)
{
    const struct timespec moment = {.tv_nsec = 100000000};

    if (kicks_are_slow && gettid() != getpid()) {
        a_kick_began = true;
        nanosleep(&moment, NULL);
    }
    if (joined && pthread_equal(thread, joined)) {
        kicked_joined = true;
        return 0;
    }
    return __real_pthread_kill(thread, sig);
}

int __wrap_pthread_join(pthread_t thread, void **value)
{
    int rc = __real_pthread_join(thread, value);

    if (kicks_are_slow && !joined)
        joined = thread;
    return rc;
}

/* A vCPU ends the machine and is slow to tell the others, while the owner destroys it already. */
static void test_destroy_races(void **state)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    (void)state;
    joined = 0;
    kicks_are_slow = true;
    start(2, "oa1l");
    for (int i = 0; i < WAIT_MS && !a_kick_began; i++)
        nanosleep(&moment, NULL);
    machine_destroy(machine);
    machine = NULL;
    kicks_are_slow = false;
    joined = 0;
    assert_true(a_kick_began);
    assert_false(kicked_joined);
}

static unsigned count_fds(void)
{
    cleanup_closedir DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(d))
        n++;
    return n;
}

static void test_nothing_left(void **state)
{
    struct machine_config config = {.memory.size = 16 << 20,
                                    .topology = topology_flat(3),
                                    .console = &tty_line};
    struct error err;
    unsigned fds = count_fds();

    (void)state;
    assert_int_equal(machine_create(&config, &machine, &err), 0);
    machine_destroy(machine);
    start(2, "hl");
    machine_destroy(machine);
    config.memory.size = UINT64_MAX / 2 & ~4095ull; /* more than there are addresses */
    assert_int_equal(machine_create(&config, &machine, &err), -1);
    assert_null(machine);
    assert_int_equal(count_fds(), fds);
}

int main(void)
{
    struct error err;
    int kvm = kvm_open(&err);

    if (kvm < 0) {
        printf("1..0 # SKIP %s\n", err.text);
        return 0;
    }
    close(kvm);
#define T(f) cmocka_unit_test_setup_teardown(f, have_kvm, teardown)
    const struct CMUnitTest tests[] = {
        T(test_hello),        T(test_reset),        T(test_nobody_answers), T(test_clock),
        T(test_more_cpus),    T(test_most_cpus),    T(test_topology),       T(test_affinity),
        T(test_memories),     T(test_reset_port),   T(test_reset_keyboard), T(test_reset_vector),
        T(test_triple_fault), T(test_power_button), T(test_echo),           T(test_slow_console),
        T(test_pause),        T(test_pause_often),  T(test_kill),           T(test_panic),
        T(test_pvpanic),      T(test_no_panic),     T(test_nothing_left),   T(test_pvpanic_lives),
        T(test_words_live),   T(test_pause_fails),  T(test_pvpanic_often),  T(test_destroy_races),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
