/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The janitor of a confined keeper: what it does when it is told, what it refuses, and what it does
 * when the keeper dies without a word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/places.h"
#include "base/util.h"
#include "fake_engine.h"
#include "guest/janitor.h"
#include "guest/keeper_private.h"
#include "guest/rundir.h"

/* A keeper with a runtime directory, and its janitor. */
struct scene {
    struct guest_def *def;
    struct keeper_private priv;
    struct keeper k;
    int janitor;
};

static void begin(struct scene *s, const char *name)
{
    struct error err = {0};
    cleanup_conf struct conf *c = fake_conf("true");

    *s = (struct scene){.priv.janitor = -1};
    if (store_create(name, c, NULL, NULL, &err) < 0 || store_load(name, &s->def, &err) < 0 ||
        run_dir_create(s->def, NULL, NULL, &s->priv.run, &err) < 0)
        fail_msg("%s", err.text);
    s->k = (struct keeper){.def = s->def, .priv = &s->priv, .run_dir = s->priv.run.fd};
    s->k.run_path = xasprintf("%s/%s", place_run(), name);
    if (janitor_start(&s->k, &s->janitor, &err) < 0)
        fail_msg("%s", err.text);
    s->priv.janitor = s->janitor;
    pthread_mutex_init(&s->priv.janitor_lock, NULL);
}

/* The keeper's end: of its locks and of the channel. */
static void end(struct scene *s)
{
    close(s->priv.run.fd);
    if (s->priv.run.running >= 0)
        close(s->priv.run.running);
    close(s->janitor);
    assert_true(wait(NULL) > 0);
    assert_int_equal(access(s->k.run_path, F_OK), -1);
    pthread_mutex_destroy(&s->priv.janitor_lock);
    free(s->k.run_path);
    def_free(s->def);
}

/* A socket in RUN/NAME at which somebody waits, or nobody any more. */
static int listen_at(const struct scene *s, const char *name, bool stay)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", s->priv.run.fd, name);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    if (stay)
        assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void it_connects(void **unused)
{
    struct scene s;
    struct error err;
    char got[4] = {0};

    (void)unused;
    begin(&s, "a");
    int listener = listen_at(&s, "vsock_80", true), gone = listen_at(&s, "vsock_81", false);
    int fd = keeper_connect(&s.k, "vsock_80", &err);
    assert_true(fd >= 0);
    int peer = accept(listener, NULL, NULL);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(read(peer, got, sizeof(got)), 3);
    assert_string_equal(got, "abc");
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(keeper_connect(&s.k, "vsock_81", &err), -1);
    assert_int_equal(err.code, ECONNREFUSED);
    assert_int_equal(keeper_connect(&s.k, "vsock_82", &err), -1);
    assert_int_equal(err.code, ENOENT);
    close(fd);
    close(peer);
    close(listener);
    close(gone);
    end(&s);
}

static void only_there(void **unused)
{
    static const char *const others[] = {"control", "../b", "vsock_/../control", "", "console"};
    struct scene s;
    struct error err;

    (void)unused;
    begin(&s, "b");
    int listener = listen_at(&s, "control", true);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        assert_int_equal(keeper_connect(&s.k, others[i], &err), -1);
        assert_int_equal(err.code, EPERM);
    }
    close(listener);
    end(&s);
}

static void it_writes_down_the_end(void **unused)
{
    const struct last_run last = {.how = ENDED_SIGNAL, .exit_status = 3, .reason = "one\ntwo"};
    struct guest_info info;
    struct scene s;
    struct error err;

    (void)unused;
    begin(&s, "c");
    assert_int_equal(janitor_end(s.janitor, &last, true, &err), 0);
    assert_int_equal(access(s.k.run_path, F_OK), -1);
    assert_int_equal(janitor_end(s.janitor, &last, true, &err), -1); /* once */
    assert_int_equal(keeper_connect(&s.k, "vsock_1", &err), -1);
    end(&s);
    assert_int_equal(store_info("c", &info, &err), 0);
    assert_int_equal(info.last.how, ENDED_SIGNAL);
    assert_int_equal(info.last.exit_status, 3);
    assert_null(strchr(info.last.reason, '\n'));
    guest_info_clear(&info);
}

/* Whatever somebody sends who is not the keeper any more. */
static void nonsense_is_a_crash(void **unused)
{
    const struct last_run last = {.how = (enum guest_end)77, .exit_status = 1 << 20};
    struct guest_info info;
    struct scene s;
    struct error err;
    char big[4096];

    (void)unused;
    begin(&s, "d");
    assert_int_equal(janitor_end(s.janitor, &last, false, &err), 0);
    end(&s);
    assert_int_equal(store_info("d", &info, &err), 0);
    assert_int_equal(info.last.how, ENDED_CRASH);
    guest_info_clear(&info);

    begin(&s, "e"); /* and what is no message is refused */
    memset(big, 0xa5, sizeof(big));
    assert_int_equal(send(s.janitor, big, 3, MSG_NOSIGNAL), 3);
    end(&s);
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
        cmocka_unit_test(it_connects),
        cmocka_unit_test(only_there),
        cmocka_unit_test(it_writes_down_the_end),
        cmocka_unit_test(nonsense_is_a_crash),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
