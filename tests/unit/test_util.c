/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Words, names, sizes and numbers: what is taken, what is refused, and that what we write is what
 * we read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

static void trims_blanks_of_both_ends(void **state)
{
    char text[] = " \t a b \r\n", none[] = "   ";

    (void)state;
    assert_string_equal(str_trim(text), "a b");
    assert_string_equal(str_trim(none), "");
}

static void compares_missing_strings(void **state)
{
    (void)state;
    assert_true(str_eq(NULL, NULL));
    assert_false(str_eq(NULL, ""));
    assert_true(str_eq("a", "a"));
    assert_true(str_starts("vm.memory", "vm."));
    assert_false(str_starts("vm", "vm."));
}

static void splits_words_as_a_shell_would(void **state)
{
    struct error err;
    char **w = str_split_words("  a 'b  c' \"d \\\" \\n\" e\\ f '' g'h'\"i\" ", &err);

    (void)state;
    assert_non_null(w);
    assert_int_equal(strv_len(w), 6);
    assert_string_equal(w[0], "a");
    assert_string_equal(w[1], "b  c");
    assert_string_equal(w[2], "d \" \\n");
    assert_string_equal(w[3], "e f");
    assert_string_equal(w[4], "");
    assert_string_equal(w[5], "ghi");
    strv_free(w);

    w = str_split_words("  \t ", &err);
    assert_int_equal(strv_len(w), 0);
    strv_free(w);
}

static void what_is_shown_steers_no_terminal(void **state)
{
    static const struct {
        const char *raw, *shown;
    } texts[] = {
        {"", ""},
        {"plain text", "plain text"},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7",
         "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7"},
        {"\033[2J\n\x7f", "?[2J??"},
        {"\xc2\x9b"
         "2J",
         "??2J"},
        {"\xe2\x80\xae"
         "x",
         "???x"},
        {"\xff\xc3", "??"},
        {"\xc0\xaf", "??"},
        {"\xe2\x82", "??"},
        {"\xed\xa0\x80", "???"},
        {"\xf4\x90\x80\x80", "????"},
        {"\xfc\x80\x80\x80\x80\x80", "??????"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        cleanup_free char *s = xstrdup(texts[i].raw);
        str_printable(s);
        assert_string_equal(s, texts[i].shown);
    }
}

static void refuses_words_without_an_end(void **state)
{
    static const char *const bad[] = {"'a", "a \"b",  "a\\",      "\"a\\",
                                      "'",  "\"\\\"", "a 'b' 'c", "$'a"};
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_null(str_split_words(bad[i], &err));
}

static void joined_words_split_to_the_same(void **state)
{
    const char *words[] = {"plain", "",  "two words", "it's", "\"q\"",           "back\\slash",
                           "\ttab", "'", "$'x",       "$",    "it's\n\\n two\r", NULL};
    cleanup_free char *text = str_join_words((char *const *)words);
    assert_null(strpbrk(text, "\n\r"));
    char **w = str_split_words(text, NULL);

    (void)state;
    assert_non_null(w);
    assert_int_equal(strv_len(w), strv_len((char *const *)words));
    for (size_t i = 0; words[i]; i++)
        assert_string_equal(w[i], words[i]);
    strv_free(w);
}

static void finds_the_name_that_was_meant(void **state)
{
    static const char *const names[] = {"start", "stop", "status", "freeze", "lxc.rootfs.path"};

    (void)state;
    assert_string_equal(str_nearest("strat", names, 5), "start");
    assert_string_equal(str_nearest("STOP", names, 5), "stop");
    assert_string_equal(str_nearest("freze", names, 5), "freeze");
    assert_string_equal(str_nearest("lxc.rotfs.pth", names, 5), "lxc.rootfs.path");
    assert_null(str_nearest("destroy", names, 5));
    assert_null(str_nearest("x", names, 5));
    assert_null(str_nearest("", names, 5));
    assert_null(str_nearest("start", names, 0));
}

static void long_words_have_neighbours_too(void **state)
{
    char word[500], name[500];
    const char *names[] = {name};

    (void)state;
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    memcpy(name, word, sizeof name);
    name[3] = 'b';
    assert_ptr_equal(str_nearest(word, names, 1), name);
}

static void reads_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"512", 512},
        {"512b", 512},
        {"64K", 65536},
        {"64k", 65536},
        {"1.5G", 1610612736},
        {"2GiB", UINT64_C(2) << 30},
        {"2gb", UINT64_C(2) << 30},
        {"0.5M", 524288},
        {"8388607T", UINT64_C(8388607) << 40},
        {"9223372036854775807", INT64_MAX},
        {"1.000000K", 1024},
    };
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        uint64_t bytes = 1;
        assert_int_equal(size_parse(good[i].text, &bytes, &err), 0);
        assert_int_equal(bytes, good[i].bytes);
    }
}

static void refuses_what_is_no_size(void **state)
{
    static const char *const bad[] = {
        "",
        "G",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1 G",
        "1.G",
        ".5G",
        "1..5G",
        "1GG",
        "1iB",
        "1Gi",
        "1Gx",
        "0x10",
        "1e3",
        "0.5",
        "1.5b",
        "8388608T",
        "1,5G",
        "1P",
        "1.\xff",
        "1K\xc3\x9f",
        "9223372036854775808",
        "99999999999999999999999999",
        "1.1234567G",
        "nan",
        "inf",
    };
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        uint64_t bytes = 77;
        if (size_parse(bad[i], &bytes, &err) == 0)
            fail_msg("'%s' was taken as %llu", bad[i], (unsigned long long)bytes);
        assert_int_equal(bytes, 77);
        assert_memory_equal(err.text, "'", 1);
    }
}

static void shows_sizes_in_five_columns(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } shown[] = {
        {0, "0"},
        {812, "812"},
        {1023, "1023"},
        {1024, "1.0K"},
        {4096, "4.0K"},
        {10188, "9.9K"},
        {10235, "10K"},
        {1023 * 1024, "1023K"},
        {1024 * 1024 - 1, "1.0M"},
        {210 << 20, "210M"},
        {UINT64_C(1) << 30, "1.0G"},
        {UINT64_C(24) << 30, "24G"},
        {UINT64_C(3) << 39, "1.5T"},
        {UINT64_MAX, "16E"},
    };
    char out[8];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
        size_human(shown[i].bytes, out);
        assert_string_equal(out, shown[i].text);
    }
    for (unsigned bit = 0; bit < 64; bit++)
        for (int d = -2; d <= 2; d++) {
            size_human((UINT64_C(1) << bit) + (uint64_t)d, out);
            assert_in_range(strlen(out), 1, 5);
        }
}

static void exact_sizes_read_back(void **state)
{
    static const uint64_t sizes[] = {0,
                                     1,
                                     1000,
                                     1024,
                                     1536,
                                     512 << 20,
                                     (1 << 20) + 1,
                                     UINT64_C(5) << 40,
                                     INT64_MAX,
                                     UINT64_C(1) << 62};
    char out[24];
    uint64_t back;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        size_exact(sizes[i], out);
        assert_int_equal(size_parse(out, &back, NULL), 0);
        assert_int_equal(back, sizes[i]);
    }
    size_exact(512 << 20, out);
    assert_string_equal(out, "512M");
    size_exact(1000, out);
    assert_string_equal(out, "1000");
}

static void reads_whole_numbers_within_bounds(void **state)
{
    struct error err;
    int64_t n = 7;

    (void)state;
    assert_int_equal(number_parse("42", 0, 100, &n, &err), 0);
    assert_int_equal(n, 42);
    assert_int_equal(number_parse("-3", -5, 5, &n, &err), 0);
    assert_int_equal(n, -3);
    assert_int_equal(number_parse("-9223372036854775808", INT64_MIN, INT64_MAX, &n, &err), 0);
    assert_true(n == INT64_MIN);

    static const char *const bad[] = {
        "", "-", "+1", " 1", "1 ", "0x1", "1a", "101", "-1", "--1", "99999999999999999999", "1.0"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(number_parse(bad[i], 0, 100, &n, &err), -1);
    number_parse("101", 0, 100, &n, &err);
    assert_string_equal(err.text, "'101' is not between 0 and 100");
}

static void reads_thousandths(void **state)
{
    struct error err;
    int64_t n;

    (void)state;
    assert_int_equal(milli_parse("1", 0, 100000, &n, &err), 0);
    assert_int_equal(n, 1000);
    assert_int_equal(milli_parse("0.5", 0, 100000, &n, &err), 0);
    assert_int_equal(n, 500);
    assert_int_equal(milli_parse("2.25", 0, 100000, &n, &err), 0);
    assert_int_equal(n, 2250);
    assert_int_equal(milli_parse("-0.001", -5, 5, &n, &err), 0);
    assert_int_equal(n, -1);

    static const char *const bad[] = {"",
                                      ".5",
                                      "1.",
                                      "1.2345",
                                      "101",
                                      "-0.1",
                                      "1,5",
                                      "99999999999999999999999",
                                      "18446744073709551616",
                                      "9223372036854775807.999"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(milli_parse(bad[i], 0, 100000, &n, &err), -1);
}

static void clocks_go_forward(void **state)
{
    uint64_t mono = now_mono_ns(), boot = now_boot_ns();

    (void)state;
    assert_true(mono > 0 && boot >= mono);
    assert_true(now_mono_ns() >= mono);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trims_blanks_of_both_ends),
        cmocka_unit_test(compares_missing_strings),
        cmocka_unit_test(splits_words_as_a_shell_would),
        cmocka_unit_test(what_is_shown_steers_no_terminal),
        cmocka_unit_test(refuses_words_without_an_end),
        cmocka_unit_test(joined_words_split_to_the_same),
        cmocka_unit_test(finds_the_name_that_was_meant),
        cmocka_unit_test(long_words_have_neighbours_too),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(refuses_what_is_no_size),
        cmocka_unit_test(shows_sizes_in_five_columns),
        cmocka_unit_test(exact_sizes_read_back),
        cmocka_unit_test(reads_whole_numbers_within_bounds),
        cmocka_unit_test(reads_thousandths),
        cmocka_unit_test(clocks_go_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
