/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Real containers at the screen: a throwaway's shell in the pane, entered, left, lost, found again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "scratch.h"
#include "tty.h"

#define PREFIX "\035"
#define ESC    "\033"

/* Run the program without a terminal. Its exit status. */
static int pult(const char *args)
{
    const char *prog = getenv("PULT");
    char *line = xasprintf("%s %s >/dev/null 2>&1", prog ? prog : PULT_SOURCE "/build/pult", args);
    int status = system(line);
    free(line);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int teardown(void **state)
{
    pult("kill box other");
    pult("wait -s stopped -t 5s box");
    pult("wait -s stopped -t 5s other");
    return scratch_remove(state);
}

/* A throwaway container with a shell and a known prompt, and the screen with its console open. */
static struct tty *entered(int cols, int rows)
{
    assert_int_equal(pult("run --detach --name box -- /bin/sh -c 'PS1=ready: exec /bin/sh'"), 0);
    struct tty *t = tty_start(cols, rows, "xterm-256color", NULL, NULL);
    tty_expect(t, "▸box");
    tty_expect(t, "ready:");
    tty_send(t, "\r");
    tty_expect(t, "Ctrl-] leaves");
    return t;
}

static void a_shell_in_the_pane(void **state)
{
    struct tty *t = entered(100, 30);
    (void)state;
    tty_send(t, "echo $((40+2))-here\r");
    tty_expect(t, "42-here");
    tty_send(t, "printf '\\033[31mred\\033[m \\344\\275\\240 ok\\n'\r");
    tty_expect(t, "red 你 ok");
    tty_send(t, "sleep 1000\r");
    tty_expect(t, "sleep 1000");
    tty_send(t, "\003echo in$((1+1))t\r"); /* Ctrl-C goes to the guest */
    tty_expect(t, "in2t");
    tty_send(t, "stty size\r");
    tty_expect(t, "25 58");
    tty_resize(t, 120, 40);
    tty_send(t, "until stty size | grep -x '35 70'; do sleep 0.05; done; echo w$((1))\r");
    tty_expect(t, "w1");
    tty_send(t, PREFIX "z");
    tty_expect_gone(t, "▸box");
    tty_send(t, "until stty size | grep -x '35 118'; do sleep 0.05; done; echo w$((2))\r");
    tty_expect(t, "w2");
    tty_send(t, PREFIX "d");
    tty_expect(t, "▸box");
    tty_expect(t, "running");
    tty_send(t, "q");
    assert_int_equal(tty_wait_end(t), 0);
    tty_close(t);
    assert_int_equal(pult("info box"), 0); /* it goes on */
}

static void ends_with_its_command(void **state)
{
    struct tty *t = entered(100, 30);
    (void)state;
    tty_send(t, "exit\r");
    tty_expect(t, "box ended");
    tty_expect(t, "No guests yet.");
    tty_send(t, "q");
    assert_int_equal(tty_wait_end(t), 0);
    tty_close(t);
}

static void survives_the_terminal(void **state)
{
    struct tty *t = entered(100, 30);
    (void)state;
    tty_send(t, "for i in 1 2 3; do sleep 0.3; echo while-away-$i; done\r");
    tty_expect(t, "for i in");
    assert_int_equal(tty_hang_up(t), 0);
    t = tty_start(100, 30, "xterm-256color", NULL, NULL);
    tty_expect(t, "while-away-3");
    tty_send(t, "\r");
    tty_expect(t, "Ctrl-] leaves");
    tty_send(t, "echo back$((1))\r");
    tty_expect(t, "back1");
    tty_close(t);
}

static void freeze_and_thaw(void **state)
{
    struct tty *t = entered(100, 30);
    (void)state;
    tty_send(t, PREFIX "d");
    tty_expect(t, " Enter ");
    tty_send(t, "f");
    tty_expect(t, "1 frozen");
    tty_expect(t, "f Thaw");
    tty_send(t, "f");
    tty_expect(t, "1 running");
    tty_send(t, "K");
    tty_expect(t, "(y/n)");
    tty_send(t, "n");
    tty_expect(t, "kill: not done");
    tty_send(t, "K");
    tty_expect(t, "(y/n)");
    tty_send(t, "y");
    tty_expect(t, "No guests yet.");
    tty_close(t);
}

static void looking_back_searching_copying(void **state)
{
    struct tty *t = entered(100, 30);
    (void)state;
    tty_send(t, "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line-$i-x; done\r");
    tty_expect(t, "line-300-x");
    tty_send(t, PREFIX "[");
    tty_expect(t, "line 3");
    tty_send(t, "g");
    tty_expect(t, "line-5-x");
    tty_send(t, "G");
    tty_expect(t, "line-300-x");
    tty_send(t, "/");
    tty_expect(t, "search:");
    tty_send(t, "line-123-x\r");
    tty_expect(t, "line-123-x");
    tty_send(t, " j");
    tty_expect(t, "copying");
    t->raw_len = 0;
    tty_send(t, "y");
    tty_expect(t, "2 lines sent to your terminal's clipboard");
    /* base64 of "line-123-x\nline-124-x\n" */
    assert_non_null(memmem(t->raw, t->raw_len, "\033]52;c;bGluZS0xMjMteApsaW5lLTEyNC14Cg==\a", 37));
    tty_send(t, "echo still$((7))\r");
    tty_expect(t, "still7");
    tty_close(t);
}

/* What a guest prints cannot act on the admin's terminal. */
static void output_stays_in_the_pane(void **state)
{
    struct tty *t = entered(100, 30);
    (void)state;
    t->raw_len = 0;
    tty_send(t, "printf '\\033]52;c;ZXZpbA==\\a\\033]0;evil\\a\\033P+q\\033\\\\\\033[8;9;9t'; echo "
                "d$((1))\r");
    tty_expect(t, "d1");
    assert_null(memmem(t->raw, t->raw_len, "\033]52;c;ZXZpbA", 13));
    assert_null(memmem(t->raw, t->raw_len, "\033]0;", 4));
    assert_null(memmem(t->raw, t->raw_len, "\033P", 2));
    tty_close(t);
}

/* A flood of output does not keep keys waiting. */
static void keys_answer_in_a_flood(void **state)
{
    struct tty *t = entered(100, 30);
    (void)state;
    tty_send(t, "yes flood-of-text-that-does-not-end\r");
    tty_expect(t, "flood-of-text");
    uint64_t worst = 0;
    for (int i = 0; i < 5; i++) {
        uint64_t from = now_mono_ns();
        tty_send(t, PREFIX "?");
        tty_expect(t, "Keys in the guest list");
        worst = max(worst, now_mono_ns() - from);
        tty_send(t, ESC);
        tty_expect_gone(t, "Keys in the guest list");
    }
    printf("# slowest answer to a key in a flood: %llu ms\n", (unsigned long long)worst / 1000000);
    assert_true(worst < 1000 * 1000000ull);
    tty_send(t, "\003");
    tty_send(t, "echo calm$((3))\r");
    tty_expect(t, "calm3");
    tty_close(t);
}

static void a_second_shell(void **state)
{
    struct tty *t = entered(100, 30);
    (void)state;
    tty_send(t, PREFIX "d");
    tty_expect(t, " Enter ");
    tty_send(t, "e");
    tty_expect(t, "box · container · sh");
    tty_send(t, "echo second$((2))\r");
    tty_expect(t, "second2");
    tty_send(t, "exit\r");
    tty_expect(t, "box · container · console");
    tty_close(t);
}

#define console_test(f) cmocka_unit_test_setup_teardown(f, scratch_make, teardown)

static void a_command_as_on_a_command_line(void **state)
{
    (void)state;
    assert_int_equal(pult("run --detach --name box -- /bin/sleep 1000"), 0);
    assert_int_equal(pult("run --detach --name other -- /bin/sleep 1000"), 0);
    struct tty *t = tty_start(100, 30, "xterm-256color", NULL, NULL);
    tty_expect(t, "▸box");
    tty_expect(t, "other");
    tty_send(t, ":exec other -- /bin/uname -s\r");
    tty_expect(t, "▸other");
    tty_expect(t, "uname ended");
    tty_expect(t, "· ended");
    tty_expect(t, "│Linux "); /* what it printed is there to be read */
    tty_send(t, "\r");
    tty_expect(t, "other · container · console");
    tty_send(t, PREFIX "d");
    tty_send(t, ":exec -- /bin/sh -c 'exit 7'\r");
    tty_expect(t, "sh ended: exit status 7");
    tty_send(t, ":exec nobody -- true\r");
    tty_expect(t, "there is no guest 'nobody' in the list");
    tty_send(t, "q");
    assert_int_equal(tty_wait_end(t), 0);
    tty_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        console_test(a_shell_in_the_pane),
        console_test(ends_with_its_command),
        console_test(survives_the_terminal),
        console_test(freeze_and_thaw),
        console_test(looking_back_searching_copying),
        console_test(output_stays_in_the_pane),
        console_test(keys_answer_in_a_flood),
        console_test(a_second_shell),
        console_test(a_command_as_on_a_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
