/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: stamped whole lines, harmless to a terminal, and an end to its growth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <regex.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "scratch.h"

static void log_to_file(const char *name, size_t limit)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    log_to(fd, limit);
}

static void stamps_every_line_with_utc(void **state)
{
    regex_t re;
    char want[32];
    time_t before = time(NULL);

    (void)state;
    log_to_file("log", 0);
    errno = EXDEV;
    log_line("guest %s: %d", "web1", 7);
    assert_int_equal(errno, EXDEV);
    cleanup_free char *text = scratch_read("log");
    assert_int_equal(regcomp(&re,
                             "^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
                             "\\.[0-9]{3}Z guest web1: 7\n$",
                             REG_EXTENDED),
                     0);
    assert_int_equal(regexec(&re, text, 0, NULL, 0), 0);
    regfree(&re);

    /* The second we began in, or the one after. */
    size_t n = strftime(want, sizeof want, "%FT%T", gmtime(&before));
    if (strncmp(text, want, n) != 0) {
        before++;
        strftime(want, sizeof want, "%FT%T", gmtime(&before));
        assert_memory_equal(text, want, n);
    }
}

static void control_characters_do_not_reach_a_terminal(void **state)
{
    (void)state;
    log_to_file("log", 0);
    log_line("a\033[2Jb\nc\x7f\r");
    cleanup_free char *text = scratch_read("log");
    assert_string_equal(strchr(text, ' ') + 1, "a?[2Jb?c??\n");
}

static void long_lines_are_cut(void **state)
{
    char big[5000];

    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    log_to_file("log", 0);
    log_line("%s", big);
    cleanup_free char *text = scratch_read("log");
    assert_in_range(strlen(text), 1000, 1024);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void stops_growing_at_its_limit(void **state)
{
    (void)state;
    log_to_file("log", 1000);
    for (int i = 0; i < 100; i++)
        log_line("message %d", i);
    cleanup_free char *text = scratch_read("log");
    assert_in_range(strlen(text), 900, 1000);
    const char *last = strstr(text, "the log is full");
    assert_non_null(last);
    assert_null(strstr(last + 1, "the log is full"));
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void keeps_a_limit_smaller_than_a_line(void **state)
{
    (void)state;
    log_to_file("log", 5);
    log_line("hello");
    log_line("hello");
    cleanup_free char *text = scratch_read("log");
    assert_int_equal(strlen(text), 5);
}

static void says_once_what_a_guest_repeats(void **state)
{
    (void)state;
    log_to_file("log", 0);
    for (int i = 0; i < 10; i++)
        log_once("bad descriptor %d", i);
    cleanup_free char *text = scratch_read("log");
    assert_non_null(strstr(text, "bad descriptor 0\n"));
    assert_null(strstr(text, "bad descriptor 1"));
}

static void *chatter(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_line("%s", (const char *)arg);
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    static const char *const said[] = {"aaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbb"};
    pthread_t thread[2];
    size_t lines = 0;

    (void)state;
    log_to_file("log", 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, chatter, (void *)said[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    cleanup_free char *text = scratch_read("log");
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        const char *message = strchr(line, ' ') + 1;
        assert_true(str_eq(message, said[0]) || str_eq(message, said[1]));
    }
    assert_int_equal(lines, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(stamps_every_line_with_utc),
        scratch_test(control_characters_do_not_reach_a_terminal),
        scratch_test(long_lines_are_cut),
        scratch_test(stops_growing_at_its_limit),
        scratch_test(keeps_a_limit_smaller_than_a_line),
        scratch_test(says_once_what_a_guest_repeats),
        scratch_test(lines_of_threads_do_not_mix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
