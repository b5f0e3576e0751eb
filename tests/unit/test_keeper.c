/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keeper with a fake engine: what clients see of a guest's life, its console, and what is left
 * when a keeper is killed. Each guest runs in a real keeper process, launched by a child of the
 * test as a command would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/places.h"
#include "base/util.h"
#include "fake_engine.h"
#include "guest/client.h"
#include "guest/keeper.h"
#include "guest/store.h"

/* Define a lasting guest. */
static void define(const char *name, const char *command)
{
    struct error err = {0};
    cleanup_conf struct conf *c = fake_conf(command);
    if (store_create(name, c, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

/* Start it; returns the control connection. */
static int start(const char *name, struct launch *how, struct error *err)
{
    struct guest_def *def = NULL;
    int control = -1;
    if (store_load(name, &def, err) < 0)
        return -1;
    int ret = keeper_launch(def, how, &control, err);
    def_free(def);
    return ret < 0 ? -1 : control;
}

static int start_ok(const char *name)
{
    struct error err = {0};
    struct launch how = {0};
    int fd = start(name, &how, &err);
    if (fd < 0)
        fail_msg("%s", err.text);
    return fd;
}

static void ask_ok(const char *name, const char *cmd)
{
    struct error err = {0};
    if (client_ask(name, json_pack("{s:s}", "cmd", cmd), 10000, NULL, &err) < 0)
        fail_msg("%s: %s", cmd, err.text);
}

static enum guest_state state_of(const char *name, struct guest_info *out)
{
    struct guest_info info;
    struct error err = {0};
    if (store_info(name, &info, &err) < 0)
        fail_msg("%s", err.text);
    enum guest_state state = info.state;
    if (out)
        *out = info;
    else
        guest_info_clear(&info);
    return state;
}

/* Read from a console until it says text, 10 s at most. */
static void expect(int fd, const char *text)
{
    char buf[262144];
    size_t n = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (n < sizeof buf - 1 && poll(&p, 1, 10000) == 1) {
        ssize_t got = read(fd, buf + n, sizeof buf - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        buf[n] = '\0';
        if (memmem(buf, n, text, strlen(text)))
            return;
    }
    buf[n] = '\0';
    fail_msg("the console did not say '%s' but '%s'", text, buf);
}

static void wait_for(const char *name, enum guest_state s)
{
    struct error err = {0};
    if (client_wait(name, 1u << s, 10000, &err) < 0)
        fail_msg("%s", err.text);
}

static void life_and_exit_status(void **unused)
{
    (void)unused;
    define("a", "read x; exit 7");
    int control = start_ok("a");
    assert_int_equal(state_of("a", NULL), GUEST_RUNNING);
    struct console_reader how = {.history = 1000};
    int console = client_attach("a", NULL, &how, 0, 0, NULL);
    assert_true(console >= 0);
    assert_int_equal(write(console, "\n", 1), 1);
    wait_for("a", GUEST_STOPPED);
    struct guest_info info;
    assert_int_equal(state_of("a", &info), GUEST_STOPPED);
    assert_int_equal(info.last.exit_status, 7);
    guest_info_clear(&info);
    json_t *e = client_event(control, 1000, NULL);
    assert_string_equal(json_string_value(json_object_get(e, "state")), "stopped");
    assert_int_equal(json_integer_value(json_object_get(e, "exit_status")), 7);
    json_decref(e);
    close(console);
    close(control);
}

static void failed_start_leaves_nothing(void **unused)
{
    (void)unused;
    define("b", "fail");
    struct error err = {0};
    struct launch how = {0};
    assert_int_equal(start("b", &how, &err), -1);
    assert_non_null(strstr(err.text, "start 'b': the fake fails"));
    cleanup_free char *run = xasprintf("%s/b", place_run());
    assert_int_equal(access(run, F_OK), -1);
    assert_int_equal(state_of("b", NULL), GUEST_STOPPED);
}

static void second_start_is_refused(void **unused)
{
    (void)unused;
    define("c", "sleep 1000");
    int control = start_ok("c");
    struct error err = {0};
    struct launch how = {0};
    assert_int_equal(start("c", &how, &err), -1);
    assert_non_null(strstr(err.text, "running already"));
    assert_int_equal(store_destroy("c", &err), -1);
    assert_non_null(strstr(err.text, "is running"));
    ask_ok("c", "kill");
    wait_for("c", GUEST_STOPPED);
    assert_int_equal(store_destroy("c", &err), 0);
    close(control);
}

static void freeze_thaw_stop(void **unused)
{
    (void)unused;
    define("d", "trap 'exit 3' TERM; while :; do sleep 0.05; done");
    int control = start_ok("d");
    ask_ok("d", "freeze");
    assert_int_equal(state_of("d", NULL), GUEST_FROZEN);
    struct error err;
    assert_int_equal(client_ask("d", json_pack("{s:s}", "cmd", "freeze"), 1000, NULL, &err), -1);
    assert_string_equal(err.text, "'d' is frozen");
    ask_ok("d", "thaw");
    wait_for("d", GUEST_RUNNING);
    ask_ok("d", "freeze");
    ask_ok("d", "stop"); /* thaws it first */
    wait_for("d", GUEST_STOPPED);
    struct guest_info info;
    state_of("d", &info);
    assert_int_equal(info.last.how, ENDED_EXIT);
    guest_info_clear(&info);
    close(control);
}

static void what_does_not_stop_is_killed(void **unused)
{
    (void)unused;
    define("e", "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    int control = start_ok("e");
    struct console_reader how = {.history = 1000};
    int console = client_attach("e", NULL, &how, 0, 0, NULL);
    expect(console, "ready");
    struct error err = {0};
    assert_int_equal(client_ask("e", json_pack("{s:s, s:i}", "cmd", "stop", "timeout", 0), 1000,
                                NULL, &err),
                     0);
    wait_for("e", GUEST_STOPPED);
    struct guest_info info;
    state_of("e", &info);
    assert_int_equal(info.last.how, ENDED_KILLED);
    guest_info_clear(&info);
    close(console);
    close(control);
}

static void signal_death_is_a_crash(void **unused)
{
    (void)unused;
    define("f", "kill -SEGV $$");
    int control = start_ok("f");
    wait_for("f", GUEST_CRASHED);
    struct guest_info info;
    state_of("f", &info);
    assert_int_equal(info.last.exit_status, 128 + SIGSEGV);
    assert_string_equal(info.last.reason, "Segmentation fault");
    guest_info_clear(&info);
    close(control);
}

static void reboot_starts_again(void **unused)
{
    (void)unused;
    cleanup_free char *mark = xasprintf("%s/mark", getenv("PULT_HOME"));
    cleanup_free char *command =
        xasprintf("if [ -e %s ]; then echo second; read x; else touch %s; echo first; exit 99; fi",
                  mark, mark);
    define("g", command);
    int control = start_ok("g");
    struct console_reader how = {.history = 1000};
    int console = client_attach("g", NULL, &how, 0, 0, NULL);
    expect(console, "second");
    ask_ok("g", "kill");
    wait_for("g", GUEST_STOPPED);
    close(console);
    close(control);
}

static void history_and_several_readers(void **unused)
{
    (void)unused;
    define("h", "echo early; read x; echo got-$x; read y");
    int control = start_ok("h");
    struct console_reader how = {.history = 1000};
    int one = client_attach("h", NULL, &how, 100, 40, NULL);
    int two = client_attach("h", NULL, &how, 0, 0, NULL);
    expect(one, "early");
    expect(two, "early");
    assert_int_equal(write(one, "word\n", 5), 5);
    expect(one, "got-word");
    expect(two, "got-word");
    close(one);
    close(two);
    ask_ok("h", "kill");
    wait_for("h", GUEST_STOPPED);
    cleanup_free char *data = NULL;
    size_t len;
    assert_int_equal(store_console("h", &data, &len, NULL), 0);
    assert_non_null(strstr(data, "got-word"));
    close(control);
}

/* Define a guest that has a port beside its console, and start it. */
static int start_with_port(const char *name, const char *port, const char *command)
{
    struct error err = {0};
    cleanup_conf struct conf *c = fake_conf(command);
    conf_set(c, "fake.port", port);
    if (store_create(name, c, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
    return start_ok(name);
}

static void write_text(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void second_terminal(void **unused)
{
    (void)unused;
    struct console_reader how = {.history = 1000};
    struct error err = {0};
    int control = start_with_port("p", "tty2", "read x; exit 99");
    int one = client_attach("p", "tty2", &how, 90, 30, &err);
    int two = client_attach("p", "second", &how, 0, 0, &err);
    assert_true(one >= 0 && two >= 0);
    expect(one, "[attended 0 0][size 90 30][attended 1 0]");
    write_text(one, "hello");
    expect(one, "<hello>");
    expect(two, "<hello>");
    assert_int_equal(client_resize("p", "tty2", 100, 40, &err), 0);
    expect(two, "[size 100 40]");
    close(one);
    write_text(two, "still");
    expect(two, "<still>");

    /* It outlives the guest's reboot, with its history, its readers and its size. */
    int console = client_attach("p", NULL, &how, 0, 0, NULL);
    write_text(console, "\n");
    expect(two, "[size 100 40][attended 1 0]");
    write_text(two, "again");
    expect(two, "<again>");
    close(two);
    two = client_attach("p", "second", &how, 0, 0, NULL);
    expect(two, "<again>");
    assert_int_equal(client_attach("p", "other", &how, 0, 0, &err), -1);
    assert_non_null(strstr(err.text, "there is tty2"));
    ask_ok("p", "kill");
    wait_for("p", GUEST_STOPPED);
    char rest[64];
    while (read(two, rest, sizeof rest) > 0) /* its end is the guest's */
        ;
    close(two);
    close(console);
    close(control);
}

/* A port for programs: nothing of the past, nothing added, and who comes is announced. */
static void stream_of_bytes(void **unused)
{
    (void)unused;
    struct console_reader how = {.history = 1000};
    char got[256];
    size_t n = 0;
    int control = start_with_port("q", "fake.stream", "read x");
    int fd = client_attach("q", "fake.stream", &how, 0, 0, NULL);
    expect(fd, "[attended 1 0]");
    write_text(fd, "\033[?1049h");
    expect(fd, "<\033[?1049h>");
    close(fd);
    fd = client_attach("q", "fake.stream", &how, 0, 0, NULL);
    write_text(fd, "x");
    do {
        ssize_t more = read(fd, got + n, sizeof got - 1 - n);
        assert_true(more > 0);
        n += (size_t)more;
        got[n] = '\0';
    } while (!strstr(got, "<x>"));
    assert_null(strchr(got, '\033'));
    close(fd);
    ask_ok("q", "kill");
    wait_for("q", GUEST_STOPPED);
    close(control);
}

static void every_byte_arrives(void **unused)
{
    (void)unused;
    define("i", "head -c 30000000 /dev/zero | tr '\\0' x; echo; echo end-of-it");
    struct console_reader all = {.every_byte = true};
    struct error err = {0};
    int console = -1;
    struct launch how = {.attach = &all, .console = &console};
    int control = start("i", &how, &err);
    assert_true(control >= 0);
    size_t total = 0, xs = 0;
    static char buf[65536];
    for (ssize_t n; (n = read(console, buf, sizeof buf)) > 0; total += (size_t)n)
        for (ssize_t i = 0; i < n; i++)
            xs += buf[i] == 'x';
    assert_int_equal(xs, 30000000);
    assert_int_equal(total, 30000000 + strlen("\r\nend-of-it\r\n"));
    close(console);
    close(control);
}

static void who_does_not_read_does_not_hold_up_the_end(void **unused)
{
    (void)unused;
    define("n", "head -c 3000000 /dev/zero | tr '\\0' x; read x");
    struct console_reader all = {.every_byte = true};
    struct error err = {0};
    int console = -1;
    struct launch how = {.attach = &all, .console = &console};
    int control = start("n", &how, &err);
    assert_true(control >= 0);
    /* Until the ring is full, and the guest has to wait for its reader. */
    for (size_t len = 0; len < CONSOLE_RING_SIZE;) {
        cleanup_free char *data = NULL;
        assert_int_equal(store_console("n", &data, &len, NULL), 0);
        poll(NULL, 0, 10);
    }
    ask_ok("n", "kill");
    wait_for("n", GUEST_STOPPED);
    assert_int_equal(store_destroy("n", &err), 0);
    /* What the guest printed before its end is still there, whole and in order. */
    size_t total = 0;
    static char buf[65536];
    for (ssize_t n; (n = read(console, buf, sizeof buf)) > 0; total += (size_t)n)
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(buf[i], 'x');
    assert_true(total >= CONSOLE_RING_SIZE);
    close(console);
    close(control);
}

static void stop_and_kill_between_two_lives(void **unused)
{
    (void)unused;
    define("o", "exit 99"); /* reboots at once, for ever */
    for (int i = 0; i < 2; i++) {
        int control = start_ok("o");
        wait_for("o", GUEST_STARTING);
        ask_ok("o", "kill");
        wait_for("o", GUEST_STOPPED);
        close(control);
    }
    struct guest_info info;
    state_of("o", &info);
    assert_int_equal(info.last.how, ENDED_KILLED);
    guest_info_clear(&info);
}

static void slow_reader_is_cut_off_and_told_the_modes(void **unused)
{
    (void)unused;
    define("j", "printf '\\033[?1049h\\033[?2004h'; yes 0123456789 | head -c 20000000; echo; "
                "echo finished; read x");
    int control = start_ok("j");
    struct console_reader how = {.history = 0};
    int slow = client_attach("j", NULL, &how, 0, 0, NULL);
    struct console_reader fast_how = {.history = 1u << 20, .every_byte = true};
    int fast = client_attach("j", NULL, &fast_how, 0, 0, NULL);
    static char buf[1 << 16];
    size_t tail = 0;
    for (ssize_t n; (n = read(fast, buf + tail, sizeof buf - tail - 1)) > 0;) {
        buf[tail + (size_t)n] = '\0';
        size_t have = tail + (size_t)n;
        if (memmem(buf, have, "finished", 8))
            break;
        tail = min(have, (size_t)8);
        memmove(buf, buf + have - tail, tail);
    }
    static char seen[4 << 20];
    size_t have = 0;
    for (ssize_t n; have < sizeof seen && (n = read(slow, seen + have, sizeof seen - have)) > 0;) {
        have += (size_t)n;
        if (memmem(seen, have, "finished", 8))
            break;
    }
    assert_non_null(memmem(seen, have, "finished", 8));
    assert_non_null(memmem(seen, have, "\033[?2004h", 8));
    close(slow);
    close(fast);
    ask_ok("j", "kill");
    wait_for("j", GUEST_STOPPED);
    close(control);
}

static void killed_keeper_is_recovered(void **unused)
{
    (void)unused;
    define("k", "echo last words; exec sleep 1000");
    int control = start_ok("k");
    struct console_reader how = {.history = 1000};
    int console = client_attach("k", NULL, &how, 0, 0, NULL);
    expect(console, "last words");
    struct guest_info info;
    assert_int_equal(state_of("k", &info), GUEST_RUNNING);
    pid_t guest = info.page.guest_pid;
    kill(info.page.keeper_pid, SIGKILL);
    guest_info_clear(&info);
    wait_for("k", GUEST_CRASHED);
    assert_int_equal(state_of("k", &info), GUEST_CRASHED);
    assert_non_null(strstr(info.last.reason, "killed"));
    guest_info_clear(&info);
    cleanup_free char *run = xasprintf("%s/k", place_run());
    assert_int_equal(access(run, F_OK), -1);
    cleanup_free char *data = NULL;
    size_t len;
    assert_int_equal(store_console("k", &data, &len, NULL), 0);
    assert_non_null(strstr(data, "last words"));
    for (int i = 0; i < 1000 && kill(guest, 0) == 0; i++)
        poll(NULL, 0, 10); /* until its new parent has reaped it */
    close(console);
    close(control);
}

static void throwaway_is_gone_afterwards(void **unused)
{
    (void)unused;
    struct guest_def *def = NULL;
    struct error err = {0};
    assert_int_equal(store_throwaway("l", fake_conf("read x"), &def, &err), 0);
    struct console_reader all = {.every_byte = true};
    int console = -1, control = -1;
    struct launch how = {.attach = &all, .console = &console};
    assert_int_equal(keeper_launch(def, &how, &control, &err), 0);
    def_free(def);
    struct guest_info info;
    assert_int_equal(state_of("l", &info), GUEST_RUNNING);
    assert_true(info.throwaway);
    guest_info_clear(&info);
    shutdown(console, SHUT_WR); /* end of file for `read` */
    json_t *e = client_event(control, 10000, &err);
    assert_string_equal(json_string_value(json_object_get(e, "state")), "stopped");
    json_decref(e);
    assert_int_equal(store_info("l", &info, &err), -1);
    assert_int_equal(err.code, ENOENT);
    close(console);
    close(control);
}

static void bad_requests_are_answered(void **unused)
{
    (void)unused;
    static const struct {
        const char *line, *answer;
    } table[] = {
        {"not json\n", "a request is one line of JSON"},
        {"[]\n", "an object"},
        {"{}\n", "needs a \\\"cmd\\\""},
        {"{\"cmd\":\"dance\"}\n", "there is no request \\\"dance\\\""},
        {"{\"cmd\":\"resize\",\"cols\":0}\n", "must be a whole number"},
        {"{\"cmd\":\"resize\",\"cols\":\"x\"}\n", "must be a whole number"},
        {"{\"cmd\":\"exec\",\"argv\":[\"x\"]}\n", "runs no commands"},
        {"{\"cmd\":\"send\",\"what\":\"love\"}\n", "must be \\\"break\\\""},
        {"{\"cmd\":\"info\",\"id\":5}\n", "\"id\":5"},
    };
    define("m", "sleep 1000");
    int control = start_ok("m");
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        int fd = client_connect("m", NULL);
        assert_true(fd >= 0);
        size_t n = strlen(table[i].line);
        assert_int_equal(write(fd, table[i].line, n), n);
        expect(fd, table[i].answer);
        close(fd);
    }
    /* A line without end is cut off, and the keeper lives on. */
    int fd = client_connect("m", NULL);
    static char endless[200000];
    memset(endless, 'x', sizeof endless);
    assert_true(send(fd, endless, sizeof endless, MSG_NOSIGNAL) != 0);
    char c;
    assert_true(read(fd, &c, 1) <= 0);
    close(fd);
    ask_ok("m", "kill");
    wait_for("m", GUEST_STOPPED);
    close(control);
}

static int setup(void **unused)
{
    (void)unused;
    signal(SIGPIPE, SIG_IGN);
    fake_setup();
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    fake_teardown();
    return 0;
}

/* A keeper that ends instead of answering is told apart from one that refuses. */
static void ended_before_it_answered(void **unused)
{
    int fds[2];
    struct error err = {0};

    (void)unused;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
    assert_int_equal(client_call(fds[0], json_pack("{s:s}", "cmd", "kill"), NULL, 0, 1000, NULL,
                                 NULL, &err),
                     -1);
    assert_int_equal(err.code, EPIPE);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ended_before_it_answered),
        cmocka_unit_test(life_and_exit_status),
        cmocka_unit_test(failed_start_leaves_nothing),
        cmocka_unit_test(second_start_is_refused),
        cmocka_unit_test(freeze_thaw_stop),
        cmocka_unit_test(what_does_not_stop_is_killed),
        cmocka_unit_test(signal_death_is_a_crash),
        cmocka_unit_test(reboot_starts_again),
        cmocka_unit_test(history_and_several_readers),
        cmocka_unit_test(second_terminal),
        cmocka_unit_test(stream_of_bytes),
        cmocka_unit_test(every_byte_arrives),
        cmocka_unit_test(who_does_not_read_does_not_hold_up_the_end),
        cmocka_unit_test(stop_and_kill_between_two_lives),
        cmocka_unit_test(slow_reader_is_cut_off_and_told_the_modes),
        cmocka_unit_test(killed_keeper_is_recovered),
        cmocka_unit_test(throwaway_is_gone_afterwards),
        cmocka_unit_test(bad_requests_are_answered),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
