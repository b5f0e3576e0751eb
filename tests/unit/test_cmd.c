/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parser of command lines, and the table of verbs. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "cmd/args.h"
#include "cmd/print.h"

static const struct command verb = {
    .name = "try",
    .args = "NAME [-- COMMAND...]",
    .min = 1,
    .max = 2,
    .rest = true,
    .json = true,
    .options =
        (const struct cmd_option[]){
            {"force", 'f', NULL, false, ""},
            {"attach", 'a', NULL, false, ""},
            {"memory", 'm', "SIZE", false, ""},
            {"env", 'e', "NAME=VALUE", true, ""},
            {0},
        },
};

/* Parse a command line that is right. The caller clears a. */
static void parse(const char *line, struct cmd_args *a, char ***words)
{
    struct error err = {0};
    *words = str_split_words(line, &err);
    assert_non_null(*words);
    if (cmd_args_parse(&verb, (int)strv_len(*words), *words, a, &err) < 0)
        fail_msg("'%s': %s", line, err.text);
}

/* The message of one that is wrong must have this in it. */
static void refused(const char *line, const char *why)
{
    struct error err = {0};
    struct cmd_args a;
    char **words = str_split_words(line, &err);
    assert_int_equal(cmd_args_parse(&verb, (int)strv_len(words), words, &a, &err), -1);
    if (!strstr(err.text, why))
        fail_msg("'%s' says '%s', not '%s'", line, err.text, why);
    cmd_args_clear(&a);
    strv_free(words);
}

static void all_spellings_of_an_option(void **state)
{
    (void)state;
    static const char *const lines[] = {"x -m 1G", "x -m1G", "x --memory 1G", "--memory=1G x",
                                        "-fam1G x"};
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct cmd_args a;
        char **words;
        parse(lines[i], &a, &words);
        assert_string_equal(cmd_opt(&a, "memory"), "1G");
        assert_int_equal(cmd_npos(&a), 1);
        assert_string_equal(cmd_pos(&a, 0), "x");
        assert_null(cmd_pos(&a, 1));
        assert_null(cmd_rest(&a));
        cmd_args_clear(&a);
        strv_free(words);
    }
}

static void flags_repeats_and_empty_values(void **state)
{
    (void)state;
    struct cmd_args a;
    char **words;
    parse("x -e A=1 -f -e B=2 -f --memory= - ", &a, &words);
    assert_string_equal(cmd_opt_nth(&a, "env", 0), "A=1");
    assert_string_equal(cmd_opt_nth(&a, "env", 1), "B=2");
    assert_null(cmd_opt_nth(&a, "env", 2));
    assert_string_equal(cmd_opt(&a, "env"), "B=2");
    assert_string_equal(cmd_opt(&a, "force"), "");
    assert_string_equal(cmd_opt(&a, "memory"), "");
    assert_null(cmd_opt(&a, "attach"));
    assert_string_equal(cmd_pos(&a, 1), "-");
    assert_false(cmd_json(&a));
    cmd_args_clear(&a);
    strv_free(words);
}

static void rest_is_left_alone(void **state)
{
    (void)state;
    struct cmd_args a;
    char **words;
    parse("x -o json -- ls -m --help -- y", &a, &words);
    assert_true(cmd_json(&a));
    assert_false(a.help);
    assert_int_equal(strv_len(cmd_rest(&a)), 5);
    assert_string_equal(cmd_rest(&a)[2], "--help");
    assert_null(cmd_opt(&a, "memory"));
    cmd_args_clear(&a);
    strv_free(words);

    parse("x --", &a, &words);
    assert_non_null(cmd_rest(&a));
    assert_null(cmd_rest(&a)[0]);
    cmd_args_clear(&a);
    strv_free(words);
}

static void help_needs_no_arguments(void **state)
{
    (void)state;
    struct cmd_args a;
    char **words;
    parse("--help", &a, &words);
    assert_true(a.help);
    cmd_args_clear(&a);
    strv_free(words);
}

static void wrong_calls(void **state)
{
    (void)state;
    refused("", "missing argument: it takes NAME");
    refused("a b c", "unexpected argument 'c'; put -- before");
    refused("a b c --", "unexpected argument 'c'");
    refused("x --memry 1", "unknown option '--memry'; did you mean --memory?");
    refused("x -q", "unknown option '-q'");
    refused("x -fq", "unknown option '-q'");
    refused("x -m", "option -m needs SIZE");
    refused("x --memory", "option --memory needs SIZE");
    refused("x --force=1", "option --force takes no value");
    refused("x -m 1 --memory 2", "option --memory is given twice");
    refused("x -o yaml", "unknown output format 'yaml'");
}

/* The verb of a line, and how many words it took. */
static const char *find(const char *line, int *used)
{
    char **words = str_split_words(line, NULL);
    const struct command *c = command_find((int)strv_len(words), words, used);
    strv_free(words);
    return c ? c->name : NULL;
}

static void finds_the_longest_verb(void **state)
{
    (void)state;
    int used;
    assert_string_equal(find("create vm x", &used), "create vm");
    assert_int_equal(used, 2);
    assert_string_equal(find("ls vm", &used), "list");
    assert_int_equal(used, 1);
    assert_null(find("create", &used));
    assert_null(find("cre", &used));
}

/* What the UI, the help and the completion take for granted. */
static void table_is_sound(void **state)
{
    (void)state;
    for (const struct command *const *c = commands; *c; c++) {
        assert_non_null((*c)->name);
        assert_non_null((*c)->args);
        assert_non_null((*c)->help);
        assert_non_null((*c)->run);
        if (!(*c)->safe && !(*c)->confirm)
            fail_msg("'%s' may lose work, and has no question to ask before", (*c)->name);
        if ((*c)->confirm && !strstr((*c)->confirm, "%s"))
            fail_msg("the question of '%s' does not name the guest", (*c)->name);
        if ((*c)->max >= 0 && (*c)->min > (*c)->max)
            fail_msg("'%s' takes at least more than at most", (*c)->name);
        for (const struct command *const *d = c + 1; *d; d++)
            if (str_eq((*c)->name, (*d)->name) || str_eq((*c)->alias, (*d)->name) ||
                str_eq((*c)->name, (*d)->alias) ||
                ((*c)->alias && str_eq((*c)->alias, (*d)->alias)))
                fail_msg("'%s' is there twice", (*c)->name);
        const struct cmd_option *o = (*c)->options;
        for (; o && o->name; o++) {
            assert_non_null(o->help);
            for (const struct cmd_option *p = cmd_common_options(*c); p->name; p++)
                if (str_eq(o->name, p->name) || o->letter == p->letter)
                    fail_msg("'%s' has its own --%s", (*c)->name, o->name);
            for (const struct cmd_option *p = o + 1; p->name; p++)
                if (str_eq(o->name, p->name) || (o->letter && o->letter == p->letter))
                    fail_msg("'%s' has --%s or -%c twice", (*c)->name, o->name, o->letter);
        }
    }
}

static void printable_disarms(void **state)
{
    (void)state;
    char text[] = "a\033[2Jb\nc\177\302\233d\303\244";
    assert_string_equal(printable(text), "a?[2Jb?c???d\303\244");
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        unsigned long long seconds;
        const char *text;
    } cases[] = {{0, "0s"},       {59, "59s"},      {60, "1m00s"},   {3599, "59m59s"},
                 {3600, "1h00m"}, {11520, "3h12m"}, {86400, "1d0h"}, {8000000, "92d14h"}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char out[16];
        duration_human(cases[i].seconds, out);
        assert_string_equal(out, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_spellings_of_an_option),
        cmocka_unit_test(flags_repeats_and_empty_values),
        cmocka_unit_test(rest_is_left_alone),
        cmocka_unit_test(help_needs_no_arguments),
        cmocka_unit_test(wrong_calls),
        cmocka_unit_test(finds_the_longest_verb),
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(printable_disarms),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests_name("cmd", tests, NULL, NULL);
}
