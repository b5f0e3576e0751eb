/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store: definitions come, change and go whole, also where many processes are at them at once;
 * a broken one says where it is broken and hides nobody; what keepers that died left in RUN is
 * found and cleared, whatever a hostile guest put there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "fake_engine.h"
#include "guest/console.h"
#include "guest/store.h"

/* ---- helpers ---- */

/* A path below HOME or RUN; static, four at a time. */
static const char *at(const char *top, const char *fmt, ...)
{
    static char paths[4][4096];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    int n = snprintf(path, sizeof paths[0], "%s/", top);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(path + n, sizeof paths[0] - (size_t)n, fmt, ap);
    va_end(ap);
    return path;
}

static const char *config_of(const char *name)
{
    return at(place_home(), "guests/%s/config", name);
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* The number of entries of a directory, those with a leading dot too. */
static unsigned entries(const char *path)
{
    unsigned n = 0;
    cleanup_closedir DIR *d = opendir(path);
    while (d != NULL && readdir(d))
        n++;
    return n >= 2 ? n - 2 : 0;
}

static void put(const char *path, const char *text)
{
    assert_int_equal(file_replace_at(AT_FDCWD, path, text, strlen(text), 0600, NULL), 0);
}

static void create(const char *name)
{
    struct error err;
    cleanup_conf struct conf *c = fake_conf("sleep 1000");
    if (store_create(name, c, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

static void destroy(const char *name)
{
    struct error err;
    if (store_destroy(name, &err) < 0)
        fail_msg("%s", err.text);
}

static enum guest_state state_of(const char *name)
{
    struct guest_info info;
    struct error err;
    if (store_info(name, &info, &err) < 0)
        fail_msg("%s", err.text);
    enum guest_state s = info.state;
    guest_info_clear(&info);
    return s;
}

/* An empty store again. */
static void clear(void)
{
    cleanup_free char *guests = xstrdup(at(place_home(), "guests"));
    assert_int_equal(tree_remove_at(AT_FDCWD, guests, NULL), 0);
    assert_int_equal(dir_make(guests, 0700, NULL), 0);
}

/* Wait for n children and add up their exit statuses. */
static int reap(const pid_t *pids, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        sum += WEXITSTATUS(status);
    }
    return sum;
}

/* ---- one at a time ---- */

static void refuses_names_that_lead_elsewhere(void **state)
{
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "../x",
        "a/b",
        ".hidden",
        "-x",
        "_x",
        "a b",
        "a\n",
        "\xc3\xa4",
        "a*",
        "0123456789012345678901234567890123456789012345678901234567890123",
    };
    cleanup_conf struct conf *c = fake_conf("true");
    struct error err;
    struct guest_info info;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(store_create(bad[i], c, NULL, NULL, &err), -1);
        assert_int_equal(store_info(bad[i], &info, &err), -1);
        assert_int_equal(store_destroy(bad[i], &err), -1);
    }
    assert_int_equal(entries(at(place_home(), "guests")), 0);
    assert_int_equal(
        guest_name_check("A23456789.123456789_123456789-123456789012345678901234567890123", &err),
        0);
}

static void a_guest_is_created_once_and_destroyed_without_a_trace(void **state)
{
    cleanup_conf struct conf *c = fake_conf("true");
    struct guest_def *def = NULL;
    struct error err;

    (void)state;
    create("once");
    assert_int_equal(store_create("once", c, NULL, NULL, &err), -1);
    assert_int_equal(err.code, EEXIST);
    assert_int_equal(store_load("once", &def, &err), 0);
    assert_string_equal(def->name, "once");
    def_free(def);
    assert_int_equal(state_of("once"), GUEST_STOPPED);
    destroy("once");
    assert_int_equal(entries(at(place_home(), "guests")), 0);
    assert_int_equal(store_destroy("once", &err), -1);
    assert_int_equal(err.code, ENOENT);
}

static int fill_and_fail(void *arg, const char *dir, struct error *err)
{
    cleanup_free char *sub = xasprintf("%s/rootfs/etc", dir);
    (void)arg;
    assert_int_equal(dir_make(sub, 0755, NULL), 0);
    return error_set(err, ENOSPC, "unpack it");
}

/* Say that it is half done, and wait to be killed. */
static int fill_and_wait(void *arg, const char *dir, struct error *err)
{
    cleanup_free char *sub = xasprintf("%s/rootfs", dir);
    (void)err;
    if (dir_make(sub, 0755, NULL) == 0 && write(*(int *)arg, "x", 1) == 1)
        for (;;)
            pause();
    return -1;
}

static void a_creation_that_fails_leaves_nothing(void **state)
{
    struct error err;
    cleanup_conf struct conf *c = fake_conf("true");

    (void)state;
    assert_int_equal(store_create("fails", c, fill_and_fail, NULL, &err), -1);
    assert_int_equal(err.code, ENOSPC);
    conf_set(c, "fake.comand", "x");
    assert_int_equal(store_create("fails", c, NULL, NULL, &err), -1);
    assert_non_null(strstr(err.text, "did you mean 'fake.command'?"));
    assert_int_equal(entries(at(place_home(), "guests")), 0);
}

static void an_unknown_name_brings_the_nearest(void **state)
{
    struct guest_info info;
    struct error err;

    (void)state;
    create("webserver");
    assert_int_equal(store_info("webservre", &info, &err), -1);
    assert_int_equal(err.code, ENOENT);
    assert_non_null(strstr(err.text, "did you mean 'webserver'?"));
    destroy("webserver");
}

static void fresh_names_are_free_and_valid(void **state)
{
    char name[GUEST_NAME_MAX + 1];
    struct error err;

    (void)state;
    for (int i = 0; i < 60; i++) {
        assert_int_equal(store_fresh_name("tmp", name, &err), 0);
        assert_int_equal(guest_name_check(name, &err), 0);
        create(name); /* fails where it is taken */
    }
    struct guest_info *list;
    size_t count;
    assert_int_equal(store_list(&list, &count, &err), 0);
    assert_int_equal(count, 60);
    for (size_t i = 0; i < count; i++)
        destroy(list[i].name);
    store_list_free(list, count);
}

/* ---- changing ---- */

static int edit_set(void *arg, struct conf *conf, struct error *err)
{
    (void)err;
    conf_set(conf, "guest.memory", arg);
    return 0;
}

static int edit_refuse(void *arg, struct conf *conf, struct error *err)
{
    (void)arg;
    conf_set(conf, "guest.memory", "1G");
    return error_set(err, 0, "changed my mind");
}

static void an_edit_keeps_what_it_does_not_change(void **state)
{
    static const char before[] = "# mine\nguest.type = fake\n\n  fake.command=true # no comment\n"
                                 "guest.memory = 1G\n#end\n";
    char memory[] = "2G";
    struct error err;

    (void)state;
    create("edited");
    put(config_of("edited"), before);
    assert_int_equal(store_edit("edited", edit_set, memory, &err), 0);
    cleanup_free char *after = NULL;
    assert_int_equal(file_read_at(AT_FDCWD, config_of("edited"), 4096, &after, NULL, &err), 0);
    assert_string_equal(after, "# mine\nguest.type = fake\n\n  fake.command=true # no comment\n"
                               "guest.memory = 2G\n#end\n");
    destroy("edited");
}

static void an_edit_that_would_break_the_definition_is_refused(void **state)
{
    char memory[] = "much";
    struct error err;

    (void)state;
    create("edited");
    cleanup_free char *before = NULL, *after = NULL;
    assert_int_equal(file_read_at(AT_FDCWD, config_of("edited"), 4096, &before, NULL, &err), 0);
    assert_int_equal(store_edit("edited", edit_set, memory, &err), -1);
    assert_non_null(strstr(err.text, "'much' is not a size"));
    assert_int_equal(store_edit("edited", edit_refuse, NULL, &err), -1);
    assert_string_equal(err.text, "changed my mind");
    assert_int_equal(file_read_at(AT_FDCWD, config_of("edited"), 4096, &after, NULL, &err), 0);
    assert_string_equal(after, before);
    assert_int_equal(store_edit("nobody", edit_set, memory, &err), -1);
    destroy("edited");
}

/* ---- broken ones ---- */

static void a_broken_definition_says_where_and_hides_nobody(void **state)
{
    struct guest_info *list;
    struct error err;
    size_t count;

    (void)state;
    create("a-good");
    create("b-broken");
    create("c-good");
    create("d-typo");
    put(config_of("b-broken"), "guest.type = fake\nthis is no line\n");
    put(config_of("d-typo"), "guest.type = fake\nfake.command = true\n\nguest.memroy = 1G\n");
    assert_int_equal(mkdir(at(place_home(), "guests/e-empty"), 0700), 0);
    assert_int_equal(mkdir(at(place_home(), "guests/f-dir"), 0700), 0);
    assert_int_equal(mkdir(config_of("f-dir"), 0700), 0);
    assert_int_equal(mkdir(at(place_home(), "guests/g-type"), 0700), 0);
    put(config_of("g-type"), "guest.type = qemu\n");

    assert_int_equal(store_list(&list, &count, &err), 0);
    assert_int_equal(count, 7);
    for (size_t i = 0; i < count; i++) {
        bool good = strstr(list[i].name, "good") != NULL;
        assert_int_equal(list[i].state, good ? GUEST_STOPPED : GUEST_BROKEN);
        assert_int_equal(list[i].def != NULL, good);
        assert_int_equal(list[i].broken != NULL, !good);
    }
    assert_non_null(strstr(list[1].broken, "b-broken/config:2: "));
    assert_non_null(strstr(list[3].broken, "d-typo/config:4: unknown key 'guest.memroy'"));
    assert_non_null(strstr(list[6].broken, "g-type/config"));
    for (size_t i = 0; i < count; i++)
        destroy(list[i].name);
    store_list_free(list, count);
    assert_int_equal(entries(at(place_home(), "guests")), 0);
}

static void what_is_no_guest_is_not_listed(void **state)
{
    struct guest_info *list;
    struct error err;
    size_t count;

    (void)state;
    put(at(place_home(), "guests/file"), "x");
    assert_int_equal(symlink("/", at(place_home(), "guests/link")), 0);
    assert_int_equal(mkdir(at(place_home(), "guests/.half-made"), 0700), 0);
    assert_int_equal(mkdir(at(place_home(), "guests/bad name"), 0700), 0);
    assert_int_equal(store_list(&list, &count, &err), 0);
    assert_int_equal(count, 0);
    store_list_free(list, count);
    unlink(at(place_home(), "guests/file"));
    unlink(at(place_home(), "guests/link"));
    rmdir(at(place_home(), "guests/.half-made"));
    rmdir(at(place_home(), "guests/bad name"));
}

/* ---- all at once ---- */

static void of_many_creators_of_a_name_one_wins(void **state)
{
    enum { CREATORS = 8 };
    pid_t pids[CREATORS];

    (void)state;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < CREATORS; i++) {
            pids[i] = fork();
            if (pids[i] == 0) {
                struct error err;
                struct conf *c = fake_conf("true");
                int rc = store_create("contested", c, NULL, NULL, &err);
                _exit(rc == 0 ? 1 : err.code == EEXIST ? 0 : 100);
            }
        }
        assert_int_equal(reap(pids, CREATORS), 1);
        assert_int_equal(state_of("contested"), GUEST_STOPPED);
        destroy("contested");
        assert_int_equal(entries(at(place_home(), "guests")), 0);
    }
}

static int edit_count(void *arg, struct conf *conf, struct error *err)
{
    const char *v = conf_get(conf, "guest.stop.timeout");
    int64_t n = 0;
    char text[24];
    (void)arg;
    if (v != NULL && number_parse(v, 0, INT64_MAX, &n, err) < 0)
        return -1;
    snprintf(text, sizeof text, "%lld", (long long)n + 1);
    conf_set(conf, "guest.stop.timeout", text);
    return 0;
}

static void no_edit_of_many_is_lost(void **state)
{
    enum { EDITORS = 4, EDITS = 25 };
    pid_t pids[EDITORS];
    struct guest_def *def;

    (void)state;
    create("counted");
    for (int i = 0; i < EDITORS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            int failed = 0;
            for (int j = 0; j < EDITS; j++)
                failed |= store_edit("counted", edit_count, NULL, NULL) < 0;
            _exit(failed);
        }
    }
    assert_int_equal(reap(pids, EDITORS), 0);
    assert_int_equal(store_load("counted", &def, NULL), 0);
    assert_string_equal(conf_get(def->conf, "guest.stop.timeout"), "100");
    def_free(def);
    destroy("counted");
}

/* A child that creates, changes and destroys three names in no order, as long as it may. */
static void make_trouble(unsigned seed, const volatile int *go_on)
{
    char memory[] = "64M";
    while (*go_on) {
        char name[] = "shared-0";
        seed = seed * 1103515245 + 12345;
        name[7] = (char)('0' + (seed >> 16) % 3);
        switch ((seed >> 20) % 4) {
        case 0:
        case 1: {
            cleanup_conf struct conf *c = fake_conf("true");
            store_create(name, c, NULL, NULL, NULL);
            break;
        }
        case 2:
            store_edit(name, edit_set, memory, NULL);
            break;
        default:
            store_destroy(name, NULL);
        }
    }
}

static volatile int trouble_goes_on = 1;

static void end_trouble(int sig)
{
    (void)sig;
    trouble_goes_on = 0;
}

static void whoever_looks_meanwhile_sees_whole_definitions_only(void **state)
{
    enum { MAKERS = 3, SEEN = 300 };
    uint64_t until = now_mono_ns() + 20 * UINT64_C(1000000000);
    pid_t pids[MAKERS];
    size_t seen = 0;

    (void)state;
    signal(SIGTERM, end_trouble);
    for (int i = 0; i < MAKERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            make_trouble((unsigned)i * 7919 + 1, &trouble_goes_on);
            _exit(0);
        }
    }
    char *broken = NULL;
    while (seen < SEEN && broken == NULL && now_mono_ns() < until) {
        struct guest_info *list;
        size_t count;
        struct error err;
        assert_int_equal(store_list(&list, &count, &err), 0);
        seen += count;
        for (size_t j = 0; j < count; j++)
            if (list[j].broken != NULL && broken == NULL)
                broken = xasprintf("%s: %s", list[j].name, list[j].broken);
        store_list_free(list, count);
    }
    for (int i = 0; i < MAKERS; i++)
        kill(pids[i], SIGTERM);
    assert_int_equal(reap(pids, MAKERS), 0);
    signal(SIGTERM, SIG_DFL);
    if (broken != NULL)
        fail_msg("a half-made definition was seen: %s", broken);
    assert_true(seen > 0);

    for (int i = 0; i < 3; i++) {
        char name[] = "shared-0";
        name[7] = (char)('0' + i);
        store_destroy(name, NULL);
    }
    assert_int_equal(entries(at(place_home(), "guests")), 0);
    assert_int_equal(entries(place_run()), 0);
}

/* ---- what keepers left ---- */

/* Look at all guests, which cleans up after dead keepers. Returns after how many. */
static int recover_all(void)
{
    struct guest_info *list;
    size_t n;
    int before = entries(place_run());
    assert_int_equal(store_list(&list, &n, NULL), 0);
    store_list_free(list, n);
    return before - entries(place_run());
}

/* RUN/NAME as a keeper that was killed leaves it; returns its descriptor. */
static int abandoned(const char *name)
{
    assert_int_equal(store_init(NULL), 0);
    assert_int_equal(mkdir(at(place_run(), "%s", name), 0700), 0);
    int fd = open(at(place_run(), "%s", name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* A status page in it. */
static void leave_page(int run_dir, const char *engine, enum guest_state s)
{
    struct status st;
    assert_int_equal(status_create(run_dir, NULL), 0);
    assert_int_equal(status_open(&st, run_dir, NULL), 0);
    status_begin(&st);
    st.page->state = s;
    st.page->keeper_pid = 0;
    snprintf(st.page->engine, sizeof st.page->engine, "%s", engine);
    status_commit(&st);
    status_close(&st);
}

static void a_guest_whose_keeper_died_is_crashed_and_its_directory_gone(void **state)
{
    struct guest_info info;

    (void)state;
    create("lost");
    cleanup_close int fd = abandoned("lost");
    leave_page(fd, "fake", GUEST_RUNNING);
    assert_int_equal(store_info("lost", &info, NULL), 0);
    assert_int_equal(info.state, GUEST_CRASHED);
    assert_true(info.last.known);
    assert_int_equal(info.last.how, ENDED_CRASH);
    guest_info_clear(&info);
    assert_int_equal(entries(place_run()), 0);
    destroy("lost");
}

static void recovery_counts_them_and_comes_to_an_end(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        char name[] = "gone-0";
        name[5] = (char)('0' + i);
        cleanup_close int fd = abandoned(name);
        leave_page(fd, i % 2 ? "fake" : "nobody knows", (enum guest_state)(i + 1));
    }
    assert_int_equal(recover_all(), 5);
    assert_int_equal(recover_all(), 0);
    assert_int_equal(entries(place_run()), 0);
}

static void recovery_removes_nothing_that_no_keeper_made(void **state)
{
    (void)state;
    put(at(place_home(), "precious"), "mine");
    cleanup_free char *precious = xstrdup(at(place_home(), "precious"));

    close(abandoned("Documents"));
    put(at(place_run(), "Documents/thesis"), "years of work");
    cleanup_close int garbage = abandoned("garbage");
    (void)garbage;
    put(at(place_run(), "garbage/status"), "pult, or not");
    cleanup_close int links = abandoned("links");
    assert_int_equal(symlinkat(precious, links, "status"), 0);
    cleanup_close int pipes = abandoned("pipes");
    assert_int_equal(mkfifoat(pipes, "status", 0600), 0);
    cleanup_close int dirs = abandoned("dirs");
    assert_int_equal(mkdirat(dirs, "status", 0), 0);

    recover_all();
    assert_int_equal(entries(place_run()), 5);
    assert_true(exists(at(place_run(), "Documents/thesis")));
    for (const char **n = (const char *[]){"Documents", "garbage", "links", "pipes", "dirs", NULL};
         *n; n++)
        assert_int_equal(tree_remove_at(AT_FDCWD, at(place_run(), "%s", *n), NULL), 0);

    /* In one that a keeper made, whatever else lies there goes without a trace elsewhere. */
    cleanup_close int made = abandoned("made");
    leave_page(made, "fake", GUEST_RUNNING);
    assert_int_equal(symlinkat(precious, made, "console"), 0);
    assert_int_equal(symlinkat("/", made, "rootfs"), 0);
    assert_int_equal(mkfifoat(made, "control", 0600), 0);
    assert_int_equal(recover_all(), 1);
    assert_int_equal(entries(place_run()), 0);
    cleanup_free char *text = NULL;
    assert_int_equal(file_read_at(AT_FDCWD, precious, 100, &text, NULL, NULL), 0);
    assert_string_equal(text, "mine");
    unlink(precious);
}

static void a_link_in_the_runtime_directory_is_no_guest(void **state)
{
    struct guest_info info;
    struct error err;

    (void)state;
    create("target");
    assert_int_equal(store_init(NULL), 0);
    assert_int_equal(symlink(at(place_home(), "guests/target"), at(place_run(), "target")), 0);
    recover_all();
    assert_true(exists(config_of("target")));
    assert_int_equal(store_info("target", &info, &err), 0);
    assert_int_equal(info.state, GUEST_STOPPED);
    guest_info_clear(&info);
    unlink(at(place_run(), "target"));
    destroy("target");
}

static void the_console_of_a_lost_guest_is_kept(void **state)
{
    static const char said[] = "last words\n";
    struct {
        char magic[8];
        uint64_t position, size;
    } header = {.magic = "pultring", .position = sizeof said - 1, .size = 4096};
    char *text;
    size_t len;

    (void)state;
    create("heard");
    cleanup_close int fd = abandoned("heard");
    leave_page(fd, "fake", GUEST_RUNNING);
    cleanup_close int ring = openat(fd, CONSOLE_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(ring, 8192), 0);
    assert_int_equal(pwrite(ring, &header, sizeof header, 0), sizeof header);
    assert_int_equal(pwrite(ring, said, sizeof said - 1, 4096), sizeof said - 1);
    assert_int_equal(recover_all(), 1);
    assert_int_equal(store_console("heard", &text, &len, NULL), 0);
    assert_int_equal(len, sizeof said - 1);
    assert_memory_equal(text, said, len);
    free(text);
    destroy("heard");
}

static void who_holds_the_lock_is_left_alone(void **state)
{
    struct guest_info info;
    struct error err;

    (void)state;
    create("held");
    cleanup_close int fd = abandoned("held");
    leave_page(fd, "fake", GUEST_RUNNING);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(recover_all(), 0);
    assert_int_equal(store_info("held", &info, &err), 0);
    assert_int_equal(info.state, GUEST_STARTING);
    guest_info_clear(&info);
    assert_int_equal(store_destroy("held", &err), -1);
    assert_true(exists(config_of("held")));
    assert_int_equal(flock(fd, LOCK_UN), 0);
    assert_int_equal(recover_all(), 1);
    destroy("held");
}

static void many_recover_the_same_without_harm(void **state)
{
    enum { HELPERS = 6 };
    pid_t pids[HELPERS];

    (void)state;
    create("shared");
    for (int round = 0; round < 5; round++) {
        cleanup_close int fd = abandoned("shared");
        leave_page(fd, "fake", GUEST_RUNNING);
        for (int i = 0; i < HELPERS; i++) {
            pids[i] = fork();
            if (pids[i] == 0) {
                close(fd);
                recover_all();
                _exit(0);
            }
        }
        assert_int_equal(reap(pids, HELPERS), 0);
        assert_int_equal(entries(place_run()), 0);
        assert_int_equal(state_of("shared"), GUEST_CRASHED);
    }
    destroy("shared");
}

static void a_creation_that_is_killed_leaves_its_name_free(void **state)
{
    pid_t pid;
    int pipe_fd[2];

    (void)state;
    assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        cleanup_conf struct conf *c = fake_conf("true");
        struct error err;
        if (store_create("cut-short", c, fill_and_wait, &pipe_fd[1], &err) < 0)
            fprintf(stderr, "%s\n", err.text);
        _exit(1);
    }
    close(pipe_fd[1]);
    char byte;
    assert_int_equal(read(pipe_fd[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(pipe_fd[0]);
    assert_int_equal(entries(at(place_home(), "guests")), 1);
    create("cut-short");
    destroy("cut-short");
    clear();
}

static int setup(void **state)
{
    (void)state;
    fake_setup();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_teardown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_names_that_lead_elsewhere),
        cmocka_unit_test(a_guest_is_created_once_and_destroyed_without_a_trace),
        cmocka_unit_test(a_creation_that_fails_leaves_nothing),
        cmocka_unit_test(an_unknown_name_brings_the_nearest),
        cmocka_unit_test(fresh_names_are_free_and_valid),
        cmocka_unit_test(an_edit_keeps_what_it_does_not_change),
        cmocka_unit_test(an_edit_that_would_break_the_definition_is_refused),
        cmocka_unit_test(a_broken_definition_says_where_and_hides_nobody),
        cmocka_unit_test(what_is_no_guest_is_not_listed),
        cmocka_unit_test(of_many_creators_of_a_name_one_wins),
        cmocka_unit_test(no_edit_of_many_is_lost),
        cmocka_unit_test(whoever_looks_meanwhile_sees_whole_definitions_only),
        cmocka_unit_test(a_guest_whose_keeper_died_is_crashed_and_its_directory_gone),
        cmocka_unit_test(recovery_counts_them_and_comes_to_an_end),
        cmocka_unit_test(recovery_removes_nothing_that_no_keeper_made),
        cmocka_unit_test(a_link_in_the_runtime_directory_is_no_guest),
        cmocka_unit_test(the_console_of_a_lost_guest_is_kept),
        cmocka_unit_test(who_holds_the_lock_is_left_alone),
        cmocka_unit_test(many_recover_the_same_without_harm),
        cmocka_unit_test(a_creation_that_is_killed_leaves_its_name_free),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
