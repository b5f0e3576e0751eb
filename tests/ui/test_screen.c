/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real program on a terminal, used as a person would; guests here are only defined. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "scratch.h"
#include "tty.h"

#define CTRL_C "\003"
#define ESC    "\033"
#define DOWN   "\033[B"
#define F1     "\033OP"

/* Define a container with an empty root. */
static void define(const char *name)
{
    char path[200], text[400], root[200], *cwd = getcwd(NULL, 0);
    snprintf(root, sizeof root, "%.150s/root", cwd);
    assert_int_equal(dir_make(root, 0755, NULL), 0);
    snprintf(path, sizeof path, "home/guests/%s", name);
    assert_int_equal(dir_make(path, 0700, NULL), 0);
    snprintf(path, sizeof path, "home/guests/%s/config", name);
    snprintf(text, sizeof text, "guest.type = container\nlxc.rootfs.path = dir:%s\n", root);
    scratch_write(path, text);
    free(cwd);
}

static struct tty *started(int cols, int rows)
{
    struct tty *t = tty_start(cols, rows, "xterm-256color", NULL, NULL);
    tty_expect(t, "Quit");
    return t;
}

static void quit(struct tty *t)
{
    tty_send(t, "q");
    int status = tty_wait_end(t);
    if (status != 0)
        tty_dump(t);
    assert_int_equal(status, 0);
    tty_close(t);
}

static void empty_store_says_what_to_do(void **state)
{
    struct tty *t = started(80, 24);
    (void)state;
    tty_expect(t, "No guests yet.");
    tty_expect(t, "throwaway");
    tty_expect(t, "make a lasting guest");
    tty_expect(t, "  pult keeps virtual machines and   "); /* and all of it, on 80 columns */
    tty_expect(t, "  containers at hand.");
    quit(t);
}

static void list_and_details(void **state)
{
    (void)state;
    define("web1");
    define("db");
    assert_int_equal(dir_make("home/guests/odd", 0700, NULL), 0);
    scratch_write("home/guests/odd/config", "guest.type = container\nno sense here\n");
    struct tty *t = started(100, 30);
    tty_expect(t, "▸db");
    tty_expect(t, "broken");
    tty_expect(t, "2 stopped");
    tty_send(t, DOWN);
    tty_expect(t, "▸odd");
    tty_expect(t, "config:2");
    tty_send(t, "j");
    tty_expect(t, "▸web1");
    tty_expect(t, "never started");
    define("new1"); /* seen without a key */
    tty_expect(t, "new1");
    quit(t);
}

static void filter_and_marks(void **state)
{
    (void)state;
    define("web1");
    define("web2");
    define("db");
    struct tty *t = started(100, 30);
    tty_expect(t, "web2");
    tty_send(t, "/web");
    tty_expect_gone(t, " db ");
    tty_send(t, "\r");
    tty_expect(t, "Guests /web");
    tty_send(t, "  ");
    tty_expect(t, "2 marked");
    tty_send(t, "D"); /* bulk deletion wants a word */
    tty_expect(t, "destroy 2 guests? Type destroy to do it:");
    tty_send(t, "y\r");
    tty_expect(t, "destroy: not done");
    tty_send(t, "D");
    tty_expect(t, "Type destroy");
    tty_send(t, "destroy\r");
    tty_expect_gone(t, "web1");
    tty_send(t, ESC);
    tty_expect(t, "▸db");
    assert_int_not_equal(access("home/guests/web1", F_OK), 0);
    assert_int_equal(access("home/guests/db", F_OK), 0);
    quit(t);
}

static void destroy_wants_the_name(void **state)
{
    (void)state;
    define("web1");
    struct tty *t = started(80, 24);
    tty_expect(t, "▸web1");
    tty_send(t, "D");
    tty_expect(t, "Type web1");
    tty_send(t, ESC);
    tty_expect(t, "not done");
    assert_int_equal(access("home/guests/web1", F_OK), 0);
    tty_send(t, ":destroy --force web1\r"); /* an option is nobody's name */
    tty_expect(t, "Type web1");
    tty_send(t, "web1\r");
    tty_expect(t, "No guests yet.");
    quit(t);
}

static void help_lists_the_keys(void **state)
{
    struct tty *t = started(100, 30);
    (void)state;
    tty_send(t, F1);
    tty_expect(t, "Keys in the guest list");
    tty_expect(t, "freeze what runs");
    tty_send(t, ESC);
    tty_expect_gone(t, "Keys in the guest list");
    quit(t);
}

/* What is longer than its line goes on in the next. */
static void help_is_whole_on_80_columns(void **state)
{
    struct tty *t = started(80, 24);
    (void)state;
    tty_send(t, F1);
    tty_expect(t, "start a container of this machine that leaves    │");
    tty_expect(t, "│                             nothing   ");
    tty_send(t, "G");
    tty_expect(t, "CPU: 100 % is one core.");
    tty_send(t, "g");
    tty_expect(t, "Keys in the guest list");
    tty_send(t, ESC);
    tty_expect_gone(t, "Keys in the guest list");
    quit(t);
}

static void palette_completes(void **state)
{
    (void)state;
    define("web1");
    struct tty *t = started(100, 30);
    tty_expect(t, "▸web1");
    tty_send(t, ":");
    tty_expect(t, "enter a guest's console");
    tty_send(t, "des\t");
    tty_expect(t, ":destroy");
    tty_send(t, " w\t");
    tty_expect(t, ":destroy web1");
    tty_send(t, ESC);
    tty_expect_gone(t, ":destroy");
    tty_send(t, ":nonsense\r");
    tty_expect(t, "there is no command 'nonsense'");
    tty_send(t, ":version\r");
    tty_expect(t, "version: pult");
    tty_send(t, ":list\r"); /* more than a line opens an overlay */
    tty_expect(t, "Esc closes");
    tty_send(t, ESC);
    tty_expect_gone(t, "Esc closes");
    tty_send(t, "l");
    tty_expect(t, "Messages");
    tty_expect(t, "no command 'nonsense'");
    tty_expect(t, "Esc closes");
    tty_send(t, ESC);
    tty_expect_gone(t, "Esc closes");
    quit(t);
}

static void form_makes_a_container(void **state)
{
    (void)state;
    assert_int_equal(dir_make("myroot/sbin", 0755, NULL), 0);
    scratch_write("text", "no archive at all");
    define("web1");
    struct tty *t = started(80, 24);
    tty_expect(t, "▸web1");
    tty_send(t, "n");
    tty_expect(t, "New guest");
    tty_send(t, "\tweb1");
    tty_expect(t, "there is a guest 'web1' already");
    tty_send(t, "\t"); /* it stays to be read */
    tty_expect(t, "Name: there is a guest 'web1' already");
    tty_send(t, ESC);
    tty_expect_gone(t, "New guest");
    tty_send(t, "n");
    tty_expect(t, "New guest");
    tty_send(t, "\tweb1b\t/nonexistent");
    tty_expect(t, "No such file");
    tty_send(t, "\r"); /* not with an error in it */
    tty_expect(t, "No such file");
    char *cwd = getcwd(NULL, 0);
    tty_send(t, "\025");
    tty_send(t, cwd);
    tty_send(t, "/text\r"); /* what the command refuses can be mended */
    tty_expect(t, "is not an archive");
    tty_expect(t, "web1b");
    tty_send(t, "\025");
    tty_expect_gone(t, "is not an archive");
    tty_send(t, cwd);
    free(cwd);
    tty_send(t, "/myroot\t\t12Q");
    tty_expect(t, "12Q");
    tty_send(t, "\025"
                "64M\t\t/bin/sh -c 'sleep 9'\r");
    tty_expect_gone(t, "New guest");
    tty_expect(t, "▸web1b");
    char *text = scratch_read("home/guests/web1b/config");
    assert_non_null(strstr(text, "myroot"));
    assert_non_null(strstr(text, "64M"));
    assert_non_null(strstr(text, "sleep 9"));
    free(text);
    quit(t);
}

static void form_offers_templates(void **state)
{
    struct tty *t = started(100, 24);
    (void)state;
    tty_send(t, "n");
    tty_expect(t, "Space: debian busybox");
    tty_send(t, "\tct9\t\t ");
    tty_expect(t, "by debootstrap"); /* what it is */
    tty_send(t, "    ");
    tty_expect(t, "tar:");
    tty_send(t, "\025nosuch");
    tty_expect(t, "no template 'nosuch'");
    tty_send(t, "\025"
                "busybox\r");
    tty_expect_gone(t, "New guest");
    tty_expect(t, "▸ct9");
    /* What takes a name or a file begins with a key, and is finished by hand. */
    tty_send(t, "y");
    tty_expect(t, ":clone ct9 ct9-2");
    tty_send(t, "\r");
    tty_expect(t, "ct9-2");
    tty_expect(t, "clone ct9 ct9-2: done");
    tty_send(t, "a");
    tty_expect(t, ":rename ct9 ct9");
    tty_send(t, "b\r");
    tty_expect(t, "rename ct9 ct9b: done");
    tty_send(t, "x");
    tty_expect(t, ":export ct9");
    tty_send(t, ESC);
    tty_expect_gone(t, ":export ct9");
    tty_send(t, "g");
    tty_expect(t, ":import");
    tty_send(t, ESC);
    tty_expect_gone(t, ":import");
    quit(t);
}

/* A program of this name that tells of `lines` files, and then does not go on. */
static void stuck_program(const char *name, int lines, const char *to)
{
    char path[64], text[200];
    snprintf(path, sizeof path, "bin/%s", name);
    snprintf(text, sizeof text,
             "#!/bin/sh\ni=0\nwhile [ $i -lt %d ]; do echo file%s; i=$((i + 1)); done\n"
             "exec sleep 1000\n",
             lines, to);
    scratch_write(path, text);
    assert_int_equal(chmod(path, 0755), 0);
}

/* Is there anything in a directory whose name begins so? */
static bool there(const char *dir, const char *begin)
{
    char find[200];
    snprintf(find, sizeof find, "ls -A '%s' | grep -q '^%s'", dir, begin);
    return system(find) == 0;
}

/* tar and cp stand still half-way, so that there is something to be cancelled. */
static void jobs_tell_and_are_cancelled(void **state)
{
    char *cwd = getcwd(NULL, 0), *path = xasprintf("PATH=%s/bin:%s", cwd, getenv("PATH"));
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(dir_make("bin", 0755, NULL), 0);
    assert_int_equal(dir_make("home/guests/ct1/rootfs", 0700, NULL), 0);
    assert_int_equal(dir_make("made", 0700, NULL), 0);
    scratch_write("home/guests/ct1/config", "guest.type = container\n");
    for (int i = 0; i < 97; i++) {
        char file[64];
        snprintf(file, sizeof file, "home/guests/ct1/rootfs/%d", i);
        scratch_write(file, "");
    }
    stuck_program("tar", 50, " >&2"); /* of 97, the root, its config and what is said at the end */
    stuck_program("cp", 64, "");      /* of 97 and the root */
    struct tty *t = tty_start(120, 30, "xterm-256color", path, NULL);
    tty_expect(t, "▸ct1");

    tty_send(t, ":export ct1 made/ct1.tar\r");
    tty_expect(t, "export ct1 made/ct1.tar… 50 % ▕█████     ▏");
    assert_false(there("made", "")); /* it appears whole */
    tty_send(t, "c");
    tty_expect_gone(t, "50 %");
    tty_expect(t, "nothing was left half-done");
    assert_false(there("made", ""));

    tty_send(t, ":create container ct2 --net none --template rootfs:home/guests/ct1/rootfs\r");
    tty_expect(t, "… 65 %");
    tty_send(t, "c");
    tty_expect_gone(t, "65 %");
    tty_expect(t, "nothing was left half-done");
    assert_true(there("home/guests", "ct1"));
    assert_false(there("home/guests", "ct2"));
    assert_false(there("home/guests", "[.]"));

    /* With programs that go on both are done. */
    assert_int_equal(unlink("bin/tar") | unlink("bin/cp"), 0);
    tty_send(t, ":export ct1 made/ct1.tar\r");
    tty_expect(t, "export ct1 made/ct1.tar: done");
    assert_int_equal(access("made/ct1.tar", F_OK), 0);
    tty_send(t, ":create container ct2 --net none --template rootfs:home/guests/ct1/rootfs\r");
    tty_expect(t, "ct1/rootfs: done");
    assert_int_equal(access("home/guests/ct2/rootfs/96", F_OK), 0);
    tty_send(t, "c");
    tty_expect(t, "nothing is running that could be cancelled");
    quit(t);
    free(path);
    free(cwd);
}

static void vm_form_has_its_fields(void **state)
{
    struct tty *t = started(80, 24);
    (void)state;
    tty_send(t, "n");
    tty_expect(t, "Template");
    tty_send(t, " ");
    tty_expect(t, "this host's");
    tty_send(t, "\t\tx\t");
    tty_expect(t, "Initrd");
    tty_expect(t, "Network");
    tty_send(t, ESC);
    tty_expect_gone(t, "New guest");
    quit(t);
}

static void sizes_from_tiny_to_huge(void **state)
{
    static const int sizes[][2] = {{60, 15}, {40, 10}, {39, 9},   {20, 5},
                                   {5, 2},   {1, 1},   {300, 90}, {80, 24}};
    (void)state;
    define("web1");
    struct tty *t = started(80, 24);
    tty_expect(t, "▸web1");
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        int cols = sizes[i][0], rows = sizes[i][1];
        tty_resize(t, cols, rows);
        if (cols >= 40 && rows >= 10)
            tty_expect(t, "▸web1");
        else if (cols >= 39)
            tty_expect(t, "pult needs 40×10, this is 39×9");
        else if (cols >= 20)
            tty_expect(t, "this is 20×5"); /* in its second line */
        else
            tty_pump(t, 300, 100);
    }
    tty_send(t, F1);
    tty_expect(t, "Keys in the guest list");
    tty_resize(t, 20, 5);
    tty_expect(t, "pult needs");
    tty_resize(t, 80, 24);
    tty_expect(t, "Keys in the guest list");
    tty_send(t, ESC);
    tty_expect_gone(t, "Keys in the guest list");
    quit(t);
}

/* With nothing changed a refresh writes nothing. (The clock may: it changes each minute.) */
static void idle_writes_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "g%02d", i);
        define(name);
    }
    struct tty *t = tty_start(100, 30, "xterm-256color", NULL, NULL);
    tty_expect(t, "▸g00");
    tty_send(t, ":refresh 0.2\r");
    tty_pump(t, 3000, 700);
    /* The host's own figures and the clock move in row 0; without them not a byte is written. */
    for (int i = 0; i < 15; i++) {
        t->bytes = 0;
        t->changed_top = t->changed_rest = 0;
        tty_pump(t, 200, 200);
        tty_pump(t, 1000, 50); /* the rest of a frame of which the first bytes have come */
        assert_int_equal(t->changed_rest, 0);
        if (!t->changed_top)
            assert_int_equal(t->bytes, 0);
    }
    quit(t);
}

/* ESC alone is answered at once, and a split arrow key is not taken for it. */
static void escape_is_quick(void **state)
{
    struct tty *t = started(100, 30);
    (void)state;
    tty_send(t, ":");
    tty_expect(t, "enter a guest's console");
    uint64_t from = now_mono_ns();
    tty_send(t, ESC);
    tty_expect_gone(t, "enter a guest's console");
    assert_true(now_mono_ns() - from < 500 * 1000000ull);
    quit(t);
}

static void paste_is_not_typed(void **state)
{
    struct tty *t = started(100, 30);
    (void)state;
    tty_send(t, "\033[200~q:quit\r\033[201~");
    tty_expect(t, "nothing was done with what you pasted");
    tty_send(t, ":");
    tty_expect(t, "enter a guest's console");
    tty_send(t, "\033[200~version\r\033[201~");
    tty_expect(t, ":version");
    tty_send(t, "\r");
    tty_expect(t, "version: pult");
    quit(t);
}

static void keys_can_be_rebound(void **state)
{
    (void)state;
    assert_int_equal(dir_make("home", 0700, NULL), 0);
    scratch_write("home/keys.conf", "key.x = quit\nkey.F2 = help\n");
    struct tty *t = tty_start(100, 30, "xterm-256color", NULL, NULL);
    tty_expect(t, "x Quit");
    tty_send(t, "\033OQ");
    tty_expect(t, "Keys in the guest list");
    tty_send(t, ESC);
    tty_expect_gone(t, "Keys in the guest list");
    tty_send(t, "x");
    assert_int_equal(tty_wait_end(t), 0);
    tty_close(t);
}

static void bad_keys_are_told(void **state)
{
    (void)state;
    assert_int_equal(dir_make("home", 0700, NULL), 0);
    scratch_write("home/keys.conf", "key.Bogus = quit\n");
    struct tty *t = started(120, 30);
    tty_expect(t, "keys.conf:1");
    quit(t);
}

/* Was a colour set by any SGR sequence? */
static bool coloured(const struct tty *t)
{
    for (size_t i = 0; i + 3 < t->raw_len; i++) {
        size_t k = i + 2;
        if (memcmp(t->raw + i, "\033[", 2) != 0)
            continue;
        while (k < t->raw_len && strchr("0123456789;", t->raw[k]))
            k++;
        if (k == t->raw_len || t->raw[k] != 'm')
            continue;
        for (const char *p = t->raw + i + 1; *p != 'm'; p++) {
            if ((*p == '[' || *p == ';') && (p[1] == '3' || p[1] == '4') && p[2] >= '0' &&
                p[2] <= '8')
                return true;
        }
    }
    return false;
}

/* Terminals without colours, and without UTF-8. */
static void mono_and_ascii(void **state)
{
    (void)state;
    define("web1");
    struct tty *t = tty_start(80, 24, "vt100", "LC_ALL=C", NULL);
    tty_expect(t, ">web1");
    tty_expect(t, "Quit");
    for (size_t i = 0; i < t->raw_len; i++)
        assert_true((unsigned char)t->raw[i] < 0x80);
    assert_false(coloured(t));
    quit(t);

    t = tty_start(80, 24, "xterm-256color", "NO_COLOR=1", NULL);
    tty_expect(t, "▸web1");
    assert_false(coloured(t));
    quit(t);
}

static void themes_are_chosen(void **state)
{
    (void)state;
    struct tty *t = tty_start(120, 24, "xterm-256color", "PULT_THEME=mono", NULL);
    tty_expect(t, "Quit");
    assert_false(coloured(t));
    tty_send(t, ":theme dark\r");
    tty_pump(t, TTY_MS, 500);
    assert_true(coloured(t));
    tty_send(t, ":theme none\r");
    tty_expect(t, "there is no theme 'none'");
    quit(t);
}

static void no_terminal_no_screen(void **state)
{
    char *const unknown[] = {(char *)"pult", NULL};
    struct tty *t = tty_start(80, 24, "no-such-terminal", NULL, unknown);
    (void)state;
    tty_expect(t, "TERM='no-such-terminal' is not known");
    assert_int_equal(tty_wait_end(t), 1);
    tty_close(t);
}

/* SIGTERM gives the terminal back; a hang-up ends quietly. */
static void signals_end_it(void **state)
{
    struct tty *t = started(80, 24);
    (void)state;
    t->raw_len = 0;
    kill(t->pid, SIGTERM);
    assert_int_equal(tty_wait_end(t), 128 + SIGTERM);
    assert_non_null(memmem(t->raw, t->raw_len, "\033[?1049l", 8));
    tty_close(t);

    t = started(80, 24);
    assert_int_equal(tty_hang_up(t), 0);
}

static void stops_and_goes_on(void **state)
{
    struct tty *t = started(80, 24);
    (void)state;
    kill(t->pid, SIGSTOP);
    kill(t->pid, SIGCONT);
    tty_send(t, F1);
    tty_expect(t, "Keys in the guest list");
    tty_send(t, ESC);
    tty_expect_gone(t, "Keys in the guest list");
    quit(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(empty_store_says_what_to_do),
        scratch_test(list_and_details),
        scratch_test(filter_and_marks),
        scratch_test(destroy_wants_the_name),
        scratch_test(help_lists_the_keys),
        scratch_test(help_is_whole_on_80_columns),
        scratch_test(palette_completes),
        scratch_test(form_makes_a_container),
        scratch_test(form_offers_templates),
        scratch_test(vm_form_has_its_fields),
        scratch_test(sizes_from_tiny_to_huge),
        scratch_test(idle_writes_nothing),
        scratch_test(escape_is_quick),
        scratch_test(paste_is_not_typed),
        scratch_test(keys_can_be_rebound),
        scratch_test(bad_keys_are_told),
        scratch_test(mono_and_ascii),
        scratch_test(themes_are_chosen),
        scratch_test(jobs_tell_and_are_cancelled),
        scratch_test(no_terminal_no_screen),
        scratch_test(signals_end_it),
        scratch_test(stops_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
