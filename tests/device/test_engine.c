/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine's own part, with a keeper that is only a struct: what it says of definitions, and
 * what it leaves.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/console.h"
#include "guest/keeper_private.h"
#include "kvm/host.h"
#include "kvm/kvm.h"
#include "kvm/legacy/serial.h"
#include "kvm/memory.h"

/* Check a VM with this kernel and so much memory. Returns what the engine does. */
static int check(const char *kernel, uint64_t memory, struct error *err)
{
    cleanup_conf struct conf *conf = conf_new("test");
    const struct guest_def def = {.name = "test", .conf = conf, .memory = memory};

    if (kernel)
        conf_set(conf, "vm.kernel", kernel);
    return kvm_engine.check(&def, err);
}

/* A check that fails, early or late, closes nothing but what it opened. */
static void test_descriptors(void **state)
{
    const char *build = getenv("B");
    cleanup_free char *guest = xasprintf("%s/tests/device/guest.elf", build ? build : "build");
    const struct {
        const char *kernel;
        uint64_t memory;
    } bad[] = {{guest, 1}, {NULL, 0}, {"/nonexistent", 0}, {"/dev", 0}, {"/proc/self/exe", 0}};
    struct error err;

    (void)state;
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(check(bad[i].kernel, bad[i].memory, &err), -1);
        assert_true(fcntl(0, F_GETFD) >= 0);
        int now = dup(0);
        assert_int_equal(now, next);
        close(now);
    }
}

/* More memory than there are addresses is called so, up to the largest number. */
static void test_too_much_memory(void **state)
{
    const uint64_t most = memory_most(kvm_address_bits());
    const uint64_t sizes[] = {most + 1, UINT64_MAX - 4095, UINT64_MAX};
    struct error err;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        assert_int_equal(check("/nonexistent", sizes[i], &err), -1);
        if (!strstr(err.text, "addresses"))
            fail_msg("%s", err.text);
    }
    assert_int_equal(check("/nonexistent", 16 << 20, &err), -1);
    assert_non_null(strstr(err.text, "nonexistent"));
}

static bool guest_ended;

void __wrap_keeper_started(struct keeper *k);
void __wrap_keeper_ended(struct keeper *k, enum guest_end how, int status, const char *reason);

void __wrap_keeper_started(struct keeper *k)
{
    (void)k;
}

void __wrap_keeper_ended(struct keeper *k, enum guest_end how, int status, const char *reason)
{
    (void)k, (void)how, (void)status, (void)reason;
    guest_ended = true;
}

/* The process is the test's. Its machine's threads are confined all the same. */
int __wrap_keeper_confine(struct keeper *k, const struct confine_plan *plan, struct error *err);

int __wrap_keeper_confine(struct keeper *k, const struct confine_plan *plan, struct error *err)
{
    (void)k, (void)plan, (void)err;
    return 0;
}

static void on_finished(void *arg)
{
    *(bool *)arg = true;
}

/* How many bytes the guest has printed so far: the ring file's second word. */
static uint64_t printed(int dir)
{
    cleanup_close int fd = openat(dir, CONSOLE_FILE, O_RDONLY | O_CLOEXEC);
    uint64_t n = 0;

    assert_int_equal(pread(fd, &n, sizeof(n), 8), sizeof(n));
    return n;
}

/* Let the loop turn until the guest has to wait for its reader. Returns what it printed. */
static uint64_t await_stall(struct event_base *base, int dir)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    uint64_t last = 0;

    for (int still = 0; still < 100; still++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        nanosleep(&moment, NULL);
        if (printed(dir) != last || !last)
            still = 0;
        last = printed(dir);
    }
    return last;
}

/* What waits in the port for a slow reader when the guest ends is not lost. */
static void test_last_bytes(void **state)
{
    const char *build = getenv("B");
    cleanup_free char *guest = xasprintf("%s/tests/device/guest.elf", build ? build : "build");
    cleanup_conf struct conf *conf = conf_new("test");
    struct guest_def def = {.name = "test", .conf = conf, .memory = 16 << 20};
    const struct console_reader how = {.every_byte = true};
    const int little = 1;
    char path[] = "/tmp/pult-test.XXXXXX", got[65536];
    struct keeper_private priv = {0};
    struct keeper k = {.def = &def, .priv = &priv};
    struct error err;
    int wire[2];

    (void)state;
    if (access(KVM_DEVICE, R_OK | W_OK) < 0)
        skip();
    conf_set(conf, "vm.kernel", guest);
    conf_set(conf, "vm.append", "do=ff");
    assert_non_null(mkdtemp(path));
    cleanup_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(status_create(dir, &err), 0);
    assert_int_equal(status_open(&k.status, dir, &err), 0);
    k.base = event_base_new();
    k.run_dir = dir;
    k.console = console_create(k.base, dir, CONSOLE_FILE, 4096, &err);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wire), 0);
    setsockopt(wire[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
    assert_int_equal(console_attach(k.console, wire[0], &how, NULL, 0, &err), 0);

    if (kvm_engine.start(&k, &err) < 0)
        fail_msg("%s", err.text);
    uint64_t before = await_stall(k.base, dir);
    kvm_engine.kill(&k, &err);
    while (!guest_ended)
        event_base_loop(k.base, EVLOOP_ONCE);
    kvm_engine.cleanup(&k);

    bool finished = false;
    size_t total = 0;
    console_finish(k.console, 1000, on_finished, &finished);
    for (ssize_t n = 1; n;) {
        event_base_loop(k.base, EVLOOP_NONBLOCK);
        n = recv(wire[1], got, sizeof(got), MSG_DONTWAIT);
        total += n > 0 ? (size_t)n : 0;
    }
    assert_true(finished);
    assert_in_range(total, before + 1, before + SERIAL_FIFO);

    console_free(priv.ports->console);
    free(priv.ports);
    console_free(k.console);
    event_base_free(k.base);
    status_close(&k.status);
    close(wire[1]);
    cleanup_free char *remove = xasprintf("rm -r %s", path);
    assert_int_equal(system(remove), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_too_much_memory),
        cmocka_unit_test(test_last_bytes),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
