/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live view, with guests of the fake engine: what happens to guests is seen through watch_fd()
 * without a tick, figures through ticks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "fake_engine.h"
#include "guest/client.h"
#include "guest/keeper.h"
#include "guest/rundir.h"
#include "guest/watch.h"

static struct watched *find(const struct watch *w, const char *name)
{
    size_t n;
    struct watched *const *list = watch_list(w, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i]->info.name, name) == 0)
            return list[i];
    return NULL;
}

/* Follow changes until the guest is in this state (-1: gone), 10 s at most. */
static void until(struct watch *w, const char *name, int state)
{
    uint64_t end = now_mono_ns() + 10000000000ull;
    for (;;) {
        const struct watched *g = find(w, name);
        if (g ? (int)g->info.state == state : state < 0)
            return;
        struct pollfd p = {.fd = watch_fd(w), .events = POLLIN};
        if (now_mono_ns() > end || poll(&p, 1, 10000) != 1)
            fail_msg("'%s' was not seen to be %s", name,
                     state < 0 ? "gone" : state_name((enum guest_state)state));
        watch_changes(w);
    }
}

static void define(const char *name, const char *command)
{
    struct error err = {0};
    cleanup_conf struct conf *c = fake_conf(command);
    if (store_create(name, c, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

static void start(const char *name)
{
    struct error err = {0};
    struct launch how = {0};
    struct guest_def *def = NULL;
    int control = -1;
    if (store_load(name, &def, &err) < 0 || keeper_launch(def, &how, &control, &err) < 0)
        fail_msg("%s", err.text);
    def_free(def);
    close(control);
}

static void ask(const char *name, const char *cmd)
{
    struct error err = {0};
    if (client_ask(name, json_pack("{s:s}", "cmd", cmd), 10000, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

static void a_life_is_seen_without_ticks(void **unused)
{
    (void)unused;
    struct watch *w = watch_open(NULL);
    assert_non_null(w);
    define("a", "sleep 1000");
    until(w, "a", GUEST_STOPPED);
    start("a");
    until(w, "a", GUEST_RUNNING);
    ask("a", "freeze");
    until(w, "a", GUEST_FROZEN);
    ask("a", "thaw");
    until(w, "a", GUEST_RUNNING);
    kill(find(w, "a")->info.page.keeper_pid, SIGKILL);
    until(w, "a", GUEST_CRASHED);
    start("a");
    until(w, "a", GUEST_RUNNING);
    ask("a", "kill");
    until(w, "a", GUEST_STOPPED);
    assert_int_equal(store_destroy("a", NULL), 0);
    until(w, "a", -1);
    watch_close(w);
}

/* A keeper that starts, runs, is seen to and ends, again and again: in a thread. */
#define LIVES 400
static atomic_int lives_begun, lives_seen;

static void *live(void *arg)
{
    const struct guest_def *def = arg;
    for (int i = 0; i < LIVES; i++) {
        struct run_dir run;
        struct status s;
        if (run_dir_create(def, NULL, NULL, &run, NULL) < 0 || status_open(&s, run.fd, NULL) < 0)
            break;
        status_begin(&s);
        s.page->keeper_pid = getpid();
        s.page->started_ns = (uint64_t)i + 1;
        status_commit(&s);
        /* Most begin while they are looked at, some when they have been. */
        uint64_t ahead = i % 8 == 0 ? 20000000 : (uint64_t)i * 997 % 150000;
        for (uint64_t end = now_mono_ns() + ahead; now_mono_ns() < end;)
            ;
        /* A VM's keeper does not own the page: this thread alone is somebody else meanwhile. */
        bool root = geteuid() == 0 && syscall(SYS_setresuid, -1, 65534, -1) == 0;
        status_begin(&s);
        s.page->state = GUEST_RUNNING;
        status_commit(&s);
        if (root)
            syscall(SYS_setresuid, -1, 0, -1);
        lives_begun = i + 1;
        for (uint64_t end = now_mono_ns() + 10000000000ull; lives_seen <= i && now_mono_ns() < end;)
            poll(NULL, 0, 1);
        status_close(&s);
        run_dir_remove(def->name, &run);
        close(run.fd);
    }
    return NULL;
}

/* Whatever happens between two looks at a guest: its last state is the one that is shown. */
static void no_change_is_missed(void **unused)
{
    (void)unused;
    struct guest_def *def = NULL;
    pthread_t thread;
    define("f", "true");
    assert_int_equal(store_load("f", &def, NULL), 0);
    struct watch *w = watch_open(NULL);
    until(w, "f", GUEST_STOPPED);
    assert_int_equal(pthread_create(&thread, NULL, live, def), 0);
    for (int i = 0; i < LIVES; i++) {
        const struct guest_info *info;
        while (info = &find(w, "f")->info,
               info->state != GUEST_RUNNING || info->page.started_ns != (uint64_t)i + 1) {
            struct pollfd p = {.fd = watch_fd(w), .events = POLLIN};
            bool begun = lives_begun > i; /* then all of it has been told */
            if (poll(&p, 1, begun ? 0 : 1) != 1 && begun)
                fail_msg("life %d is shown as %s", i, state_name(info->state));
            watch_changes(w);
        }
        lives_seen = i + 1;
    }
    pthread_join(thread, NULL);
    until(w, "f", GUEST_STOPPED);
    watch_close(w);
    def_free(def);
    assert_int_equal(store_destroy("f", NULL), 0);
}

static int nonsense(void *arg, struct conf *conf, struct error *err)
{
    (void)arg;
    (void)err;
    conf_set(conf, "guest.autostart", "1");
    return 0;
}

static void a_changed_definition_is_seen(void **unused)
{
    (void)unused;
    define("b", "true");
    struct watch *w = watch_open(NULL);
    until(w, "b", GUEST_STOPPED);
    assert_false(find(w, "b")->info.autostart);
    assert_int_equal(store_edit("b", nonsense, NULL, NULL), 0);
    struct pollfd p = {.fd = watch_fd(w), .events = POLLIN};
    while (!find(w, "b")->info.autostart && poll(&p, 1, 10000) == 1)
        watch_changes(w);
    assert_true(find(w, "b")->info.autostart);
    watch_close(w);
    assert_int_equal(store_destroy("b", NULL), 0);
}

static void figures_of_a_busy_guest(void **unused)
{
    (void)unused;
    define("c", "while :; do :; done");
    define("d", "sleep 1000");
    start("c");
    start("d");
    struct watch *w = watch_open(NULL);
    /* Ticks until the busy one has used half a second of CPU: then its rate is known well. */
    watch_tick(w);
    double seconds = 0;
    uint64_t begin = now_mono_ns();
    while (seconds < 0.5) {
        poll(NULL, 0, 50);
        seconds = (double)(now_mono_ns() - begin) / 1e9;
    }
    watch_tick(w);
    assert_true(find(w, "c")->now.cpu_percent > 5);
    assert_true(find(w, "c")->now.cpu_percent < 150);
    assert_true(find(w, "d")->now.cpu_percent < 5);
    assert_int_equal(find(w, "c")->filled, 2);
    ask("c", "kill");
    ask("d", "kill");
    until(w, "c", GUEST_STOPPED);
    until(w, "d", GUEST_STOPPED);
    assert_true(find(w, "c")->now.cpu_percent == 0);
    watch_close(w);
}

static void an_idle_view_reports_no_change(void **unused)
{
    (void)unused;
    define("e", "sleep 1000");
    struct watch *w = watch_open(NULL);
    watch_tick(w);
    assert_false(watch_tick(w));
    watch_close(w);
}

static int setup(void **unused)
{
    (void)unused;
    fake_setup();
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    fake_teardown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_life_is_seen_without_ticks),   cmocka_unit_test(no_change_is_missed),
        cmocka_unit_test(a_changed_definition_is_seen),   cmocka_unit_test(figures_of_a_busy_guest),
        cmocka_unit_test(an_idle_view_reports_no_change),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
