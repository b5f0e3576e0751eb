/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The error convention: text, code, context in front, hint behind, and never past the buffer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"

static void sets_text_and_code(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(error_set(&err, ENOENT, "open disk '%s'", "a.img"), -1);
    assert_int_equal(err.code, ENOENT);
    assert_string_equal(err.text, "open disk 'a.img': No such file or directory");
}

static void says_no_reason_without_a_code(void **state)
{
    struct error err = {0};

    (void)state;
    error_set(&err, 0, "not a kernel");
    assert_string_equal(err.text, "not a kernel");
}

static void wraps_and_hints(void **state)
{
    struct error err = {0};

    (void)state;
    error_set(&err, 0, "not a kernel");
    error_wrap(&err, "start %s", "web1");
    error_hint(&err, "give another with --kernel");
    assert_string_equal(err.text, "start web1: not a kernel; give another with --kernel");
}

static void stays_within_its_buffer(void **state)
{
    struct error err = {0};
    char big[2000];

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    error_set(&err, EIO, "read '%s'", big);
    error_wrap(&err, "copy '%s'", big);
    error_hint(&err, "look at '%s'", big);
    assert_true(strlen(err.text) < sizeof(err.text));
}

static void is_always_one_printable_line(void **state)
{
    struct error err = {0};
    char big[2000];

    (void)state;
    error_set(&err, ENOENT, "open '%s'", "a\033[2J\nb\xff");
    assert_string_equal(err.text, "open 'a?[2J?b?': No such file or directory");
    for (size_t i = 0; i + 2 < sizeof(big); i += 2)
        memcpy(big + i, "\xc3\xbc", 3);
    error_set(&err, 0, "%s", big);
    error_wrap(&err, "x");
    error_wrap(&err, "%.2s", "\xc3\xbc");
    size_t n = strlen(err.text);
    assert_int_equal(n, sizeof(err.text) - 1);
    assert_true(err.text[n - 1] == '?' || (unsigned char)err.text[n - 1] == 0xbc);
}

static void accepts_no_error(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, EIO, "x"), -1);
    assert_int_equal(error_wrap(NULL, "x"), -1);
    assert_int_equal(error_hint(NULL, "x"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_text_and_code),
        cmocka_unit_test(says_no_reason_without_a_code),
        cmocka_unit_test(wraps_and_hints),
        cmocka_unit_test(stays_within_its_buffer),
        cmocka_unit_test(is_always_one_printable_line),
        cmocka_unit_test(accepts_no_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
