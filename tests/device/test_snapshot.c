/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 120 s
 *
 * A machine that runs is saved, goes on, and goes on once more in another machine from where it was;
 * and states that somebody tampered with. The guest (guest.S) counts, in a register and in memory.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "kvm/boot/boot.h"
#include "kvm/host.h"
#include "kvm/machine.h"
#include "kvm/virtio/rng.h"

#define WAIT_MS 30000
#define MEMORY  (16u << 20)

/* What a machine prints. */
struct tty {
    pthread_mutex_t lock;
    char text[1 << 20];
    size_t len;
};
static struct tty ttys[2];
static struct machine *machines[2];

static size_t tty_put(void *arg, const void *data, size_t len)
{
    struct tty *t = arg;

    pthread_mutex_lock(&t->lock);
    size_t n = min(len, sizeof(t->text) - 1 - t->len);
    memcpy(t->text + t->len, data, n);
    t->len += n;
    t->text[t->len] = '\0';
    pthread_mutex_unlock(&t->lock);
    return len;
}

static void tty_input_ready(void *arg)
{
    (void)arg;
}

static const struct serial_line tty_line = {tty_put, tty_input_ready};

/* The last number of a whole line, 0: there is none yet; and the first. */
static unsigned long number(struct tty *t, bool first)
{
    pthread_mutex_lock(&t->lock);
    const char *end = strrchr(t->text, '\n');
    const char *at = end ? end - 8 : NULL;
    if (first && strlen(t->text) > 8)
        at = strchr(t->text, '\n') - 8;
    unsigned long n = at && at >= t->text ? strtoul(at, NULL, 16) : 0;
    pthread_mutex_unlock(&t->lock);
    return n;
}

static void await_number(struct tty *t, unsigned long n)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    for (int i = 0; i < WAIT_MS && number(t, false) < n; i++)
        nanosleep(&moment, NULL);
    if (number(t, false) < n)
        fail_msg("the guest never came to %lx, but: %s", n, t->text);
}

/* Each whole line is one more than the one before. */
static void assert_counts(const struct tty *t, unsigned long from)
{
    const char *at = t->text;

    for (unsigned long n = from; strchr(at, '\n'); n++) {
        char *end;
        unsigned long is = strtoul(at, &end, 16);
        if (is != n || *end != '\n')
            fail_msg("%lx where %lx was to come", is, n);
        at = end + 1;
    }
}

static void build(unsigned i, unsigned cpus, uint64_t memory)
{
    const struct machine_config config = {.memory.size = memory,
                                          .topology = topology_flat(cpus),
                                          .console = &tty_line,
                                          .console_arg = &ttys[i]};
    struct error err;

    pthread_mutex_init(&ttys[i].lock, NULL);
    ttys[i].len = 0;
    ttys[i].text[0] = '\0';
    if (machine_create(&config, &machines[i], &err) < 0 || rng_add(&machines[i]->virtio, &err) < 0)
        fail_msg("%s", err.text);
}

static void boot(struct machine *m, const char *script)
{
    const char *b = getenv("B");
    cleanup_free char *path = xasprintf("%s/tests/device/guest.elf", b ? b : "build");
    cleanup_free char *cmdline = xasprintf("test do=%s", script);
    struct boot_request rq = {.initrd.fd = -1,
                              .cmdline = cmdline,
                              .cpus = m->topology,
                              .avoid_32bit = true};
    struct cpu_entry entry;
    struct error err;

    if (boot_open(&rq.kernel, path, &err) < 0 || boot_load(&m->memory, &rq, &entry, &err) < 0)
        fail_msg("%s", err.text);
    close(rq.kernel.fd);
    if (machine_start(m, &entry, &err) < 0)
        fail_msg("%s", err.text);
}

static void end(unsigned i)
{
    struct pollfd p = {.fd = machines[i]->event_fd, .events = POLLIN};
    struct machine_ending ending;
    const struct timespec moment = {.tv_nsec = 1000000};

    for (int t = 0; t < WAIT_MS && serial_input(&machines[i]->com1, "q", 1) != 1; t++)
        nanosleep(&moment, NULL);
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    assert_true(machine_ended(machines[i], &ending));
    if (ending.how != ENDED_EXIT)
        fail_msg("it ended with '%s'", ending.reason);
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        machine_destroy(machines[i]);
        machines[i] = NULL;
    }
    return 0;
}

/* Save the first machine and let it go on; its memory of that moment is the second's. */
static void save(struct state *s)
{
    struct error err;

    if (machine_quiesce(machines[0], &err) < 0)
        fail_msg("%s", err.text);
    state_save(s, &err);
    if (machine_state(machines[0], s) < 0 || state_finish(s) < 0)
        fail_msg("%s", err.text);
    for (unsigned i = 0; machines[1] && i < machines[0]->memory.count; i++)
        memcpy(machines[1]->memory.slots[i].host, machines[0]->memory.slots[i].host,
               machines[0]->memory.slots[i].size);
    machine_resume(machines[0]);
}

static int load(struct state *s, struct error *err)
{
    struct state in;

    state_load(&in, s->data, s->len, err);
    in.elapsed_ns = 3600ull * 1000000000;
    if (machine_state(machines[1], &in) < 0)
        return -1;
    return state_finish(&in);
}

static void free_saved(struct state *s)
{
    free(s->data);
}
#define cleanup_saved __attribute__((cleanup(free_saved)))

static void go_on(unsigned cpus, const char *script)
{
    cleanup_saved struct state s = {0};
    struct error err;

    build(0, cpus, MEMORY);
    build(1, cpus, MEMORY);
    boot(machines[0], script);
    await_number(&ttys[0], 20);
    save(&s);
    unsigned long then = number(&ttys[0], false);
    await_number(&ttys[0], then + 20);
    if (load(&s, &err) < 0 || machine_start(machines[1], NULL, &err) < 0)
        fail_msg("%s", err.text);
    await_number(&ttys[1], then + 40);
    end(0);
    end(1);
}

/* Saved at moments that nobody chose: each of them must be right. */
static void test_goes_on(void **state)
{
    (void)state;
    go_on(1, "n");
    assert_counts(&ttys[0], 1);
    /* The line during which it was saved is printed in two places. */
    const unsigned long first = number(&ttys[1], false);
    const char *whole = strchr(ttys[1].text, '\n') + 1;
    struct tty *t = &ttys[1];
    memmove(t->text, whole, strlen(whole) + 1);
    assert_counts(t, strtoul(t->text, NULL, 16));
    assert_in_range(first, 40, 1ul << 31);
}

static void test_many_cpus(void **state)
{
    (void)state;
    go_on(4, "ia3n");
    assert_null(strstr(ttys[1].text, "lost"));
}

/* One that is saved again and again, loses nothing. */
static void test_often(void **state)
{
    (void)state;
    build(0, 1, MEMORY);
    boot(machines[0], "n");
    for (unsigned i = 0; i < 100; i++) {
        struct state s;
        save(&s);
        free(s.data);
    }
    await_number(&ttys[0], 20);
    end(0);
    assert_counts(&ttys[0], 1);
}

/* ---- what is not right ---- */

static void test_other_machine(void **state)
{
    static const struct {
        unsigned cpus;
        unsigned memory;
        const char *why;
    } cases[] = {{2, MEMORY, "1 vcpus, and this machine 2"}, {1, MEMORY * 2, "16 MiB of memory"}};
    struct error err;
    cleanup_saved struct state s = {0};

    (void)state;
    build(0, 1, MEMORY);
    boot(machines[0], "n");
    await_number(&ttys[0], 2);
    save(&s);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        build(1, cases[i].cpus, cases[i].memory);
        assert_int_equal(load(&s, &err), -1);
        if (!strstr(err.text, cases[i].why))
            fail_msg("%s", err.text);
        machine_destroy(machines[1]);
        machines[1] = NULL;
    }
    end(0);
}

/* Any byte wrong, or an end too early: refused, or a guest that is otherwise than it was. */
static void test_tampered(void **state)
{
    struct error err;
    cleanup_saved struct state s = {0};
    unsigned refused = 0;

    (void)state;
    build(0, 2, MEMORY);
    boot(machines[0], "ia1n");
    await_number(&ttys[0], 2);
    save(&s);
    srand(1);
    for (unsigned i = 0; i < 60; i++) {
        cleanup_free uint8_t *copy = memcpy(malloc(s.len), s.data, s.len);
        struct state bad = {.data = copy, .len = s.len};
        if (i % 3 == 0)
            bad.len = (size_t)rand() % s.len;
        else
            for (unsigned n = 0; n < (i % 3 == 1 ? 1u : 50u); n++)
                copy[(size_t)rand() % s.len] = (uint8_t)rand();
        build(1, 2, MEMORY);
        int rc = load(&bad, &err);
        refused += rc < 0;
        assert_true(rc == 0 || err.text[0]);
        if (i % 3 == 0)
            assert_int_equal(rc, -1);
        machine_destroy(machines[1]);
        machines[1] = NULL;
    }
    assert_in_range(refused, 20, 60);
    end(0);
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
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC), 0);
#define T(f) cmocka_unit_test_teardown(f, teardown)
    const struct CMUnitTest tests[] = {
        T(test_goes_on), T(test_many_cpus), T(test_often), T(test_other_machine), T(test_tampered),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
