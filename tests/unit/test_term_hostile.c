/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest can print to harm the emulator below: control sequences that made libvterm loop for
 * ever or overflow, and that what they are for still works.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "ui/term.h"

static struct term *term_with(const char *printed)
{
    static const struct term_events none = {0};
    struct term *t = term_new(20, 5, &none, NULL);
    for (const char *p = printed; *p; p++) /* a byte at a time: sequences arrive in pieces */
        term_feed(t, p, 1);
    return t;
}

static void assert_shows(const char *printed, const char *line)
{
    struct term *t = term_with(printed);
    size_t len;
    cleanup_free char *text = term_line_text(t, 0, &len);
    assert_string_equal(text, line);
    term_free(t);
}

static void repeats_the_last_character(void **state)
{
    (void)state;
    assert_shows("a\033[3b", "aaaa");
    assert_shows("ab\033[b.", "abb.");
    assert_shows("a\033[3;7bx", "aaaax");
    assert_shows("\xe4\xb8\xad\033[2b", "\xe4\xb8\xad\xe4\xb8\xad\xe4\xb8\xad");
    assert_shows("a\033[999999999999b", "aaaaaaaaaaaaaaaaaaaa");
    assert_shows("a\033[?3bx", "ax");
    assert_shows("a\033[1\033[2bx", "aaax");
    assert_shows("a\033[1\x18"
                 "2bx",
                 "a2bx");
}

static void nothing_to_repeat_is_nothing(void **state)
{
    (void)state;
    assert_shows("\033[5bx", "x");
    assert_shows("\xcc\x81\033[5b\rx", "x");
}

static void large_parameters_do_no_harm(void **state)
{
    static const char *const finals = "@ABCDEFGHIJKLMPSTXZ`adefgr";

    (void)state;
    for (const char *f = finals; *f; f++) {
        cleanup_free char *printed =
            xasprintf("text\033[5;5H\033[2147483647;2147483647%cx\033[99999999999999999999%c", *f,
                      *f);
        struct term *t = term_with(printed);
        struct term_cursor at = term_cursor(t);
        assert_true(at.row < 5 && at.col < 20);
        term_free(t);
    }
    assert_shows("ab\033[00000000000000000001Dx", "ax");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_the_last_character),
        cmocka_unit_test(nothing_to_repeat_is_nothing),
        cmocka_unit_test(large_parameters_do_no_harm),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
