/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists of options in one value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/options.h"
#include "base/util.h"

static const struct option disk[] = {
    {"", OPTION_VALUE, conf_is_abs_path},
    {"format", OPTION_VALUE, NULL},
    {"ro", OPTION_FLAG, NULL},
    {"cache", OPTION_EITHER, NULL},
    {"forward", OPTION_LIST, conf_is_uint},
    {NULL, 0, NULL},
};
static const struct option net[] = {{"tap", OPTION_EITHER, NULL},
                                    {"queues", OPTION_VALUE, conf_is_uint},
                                    {NULL, 0, NULL}};

static void takes_what_the_table_knows(void **state)
{
    struct error err;
    struct options o;

    (void)state;
    assert_int_equal(options_parse("/a b,,c=d,ro,format=qcow2,forward=1,cache,forward=2", disk, &o,
                                   &err),
                     0);
    assert_string_equal(options_get(&o, ""), "/a b,c=d");
    assert_string_equal(options_get(&o, "format"), "qcow2");
    assert_string_equal(options_get(&o, "ro"), "");
    assert_string_equal(options_get(&o, "cache"), "");
    assert_string_equal(options_nth(&o, "forward", 0), "1");
    assert_string_equal(options_nth(&o, "forward", 1), "2");
    assert_null(options_nth(&o, "forward", 2));
    options_clear(&o);
    assert_int_equal(options_parse("tap,queues=4", net, &o, &err), 0);
    assert_string_equal(options_get(&o, "tap"), "");
    assert_null(options_get(&o, "ro"));
    options_clear(&o);
    assert_int_equal(options_parse("/x,cache=a=b,,", disk, &o, &err), 0);
    assert_string_equal(options_get(&o, "cache"), "a=b,");
    options_clear(&o);
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const struct option *known;
        const char *value, *why;
    } bad[] = {
        {disk, "", "what comes first is missing"},
        {disk, "a", "'a' does not begin with /"},
        {disk, "/a,", "an option without a name"},
        {disk, "/a,=1", "an option without a name"},
        {disk, "/a,ro=1", "'ro' takes no value"},
        {disk, "/a,format", "'format' needs a value: format=…"},
        {disk, "/a,format=", "'format' needs a value: format=…"},
        {disk, "/a,ro,ro", "'ro' is said twice"},
        {disk, "/a,forward=x", "forward: 'x' is not a whole number"},
        {disk, "/a,fromat=raw", "there is no option 'fromat'; perhaps 'format'"},
        {net, "bridge=br0", "there is no option 'bridge'; there is tap, queues"},
        {net, "/a", "there is no option '/a'; there is tap, queues"},
    };
    struct options o;
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(options_parse(bad[i].value, bad[i].known, &o, &err), -1);
        assert_string_equal(err.text, bad[i].why);
        assert_null(o.given);
        assert_null(o.text);
        assert_int_equal(options_parse(bad[i].value, bad[i].known, &o, NULL), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_the_table_knows),
        cmocka_unit_test(says_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
