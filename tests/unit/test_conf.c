/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The config grammar: what is read, where a mistake is said to be, what a change leaves alone,
 * and what includes can and cannot do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/conf.h"
#include "base/util.h"
#include "scratch.h"

static struct conf *parse(const char *text)
{
    struct conf *c = NULL;
    struct error err;
    if (conf_parse("web1/config", text, strlen(text), &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

static void assert_text(const struct conf *c, const char *want)
{
    size_t len;
    cleanup_free char *text = conf_text(c, &len);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
}

static void assert_refused(const char *text, size_t len, const char *why)
{
    struct conf *c = NULL;
    struct error err;
    assert_int_equal(conf_parse("c", text, len, &c, &err), -1);
    assert_null(c);
    assert_string_equal(err.text, why);
}

static void reads_keys_values_and_comments(void **state)
{
    cleanup_conf struct conf *c = parse("# a guest\n\n  guest.type\t=  vm \nvm.append=a = b # c\n"
                                        "lxc.net.0.type = veth\r\n\t# more\nno-newline_1 = x");

    (void)state;
    assert_int_equal(c->count, 7);
    assert_string_equal(conf_get(c, "guest.type"), "vm");
    assert_string_equal(conf_get(c, "vm.append"), "a = b # c");
    assert_string_equal(conf_get(c, "lxc.net.0.type"), "veth");
    assert_string_equal(conf_get(c, "no-newline_1"), "x");
    assert_null(conf_get(c, "guest"));
    assert_int_equal(conf_next(c, "vm.append", NULL)->number, 4);
    assert_string_equal(conf_next(c, "vm.append", NULL)->file, "web1/config");
}

static void a_copy_knows_where_its_lines_come_from(void **state)
{
    (void)state;
    cleanup_conf struct conf *c = parse("# one\n\nlxc.uts.name = a\n");
    conf_add(c, "b", "2");
    struct conf *copy = conf_copy(c);
    size_t len, copied;
    cleanup_free char *text = conf_text(c, &len), *again = conf_text(copy, &copied);
    assert_string_equal(text, again);
    conf_free(c);
    c = copy;
    assert_int_equal(conf_next(c, "lxc.uts.name", NULL)->number, 3);
    assert_string_equal(conf_next(c, "lxc.uts.name", NULL)->file, "web1/config");
    assert_int_equal(conf_next(c, "b", NULL)->number, 0);
}

static void says_where_a_line_is_wrong(void **state)
{
    (void)state;
    assert_refused("a = b\n\nhello\n", 13,
                   "c:3: 'hello' is not of the form key = value: Invalid argument");
    assert_refused("= b\n", 4, "c:1: '= b' is not of the form key = value: Invalid argument");
    assert_refused("a b = c\n", 8,
                   "c:1: 'a b = c' is not of the form key = value: Invalid argument");
    assert_refused("a/b = c", 7, "c:1: 'a/b = c' is not of the form key = value: Invalid argument");
    assert_refused("a = b\nc = \0d\n", 13,
                   "c:2: there is a zero byte in the line: Invalid argument");
}

static void takes_any_bytes_in_a_value(void **state)
{
    cleanup_conf struct conf *c = parse("a = \xff\xfe \033[0m\n");

    (void)state;
    assert_string_equal(conf_get(c, "a"), "\xff\xfe \033[0m");
}

static void the_last_value_counts(void **state)
{
    cleanup_conf struct conf *c = parse("m = 1\nm = 2\nn = 1\nn =\n");

    (void)state;
    assert_string_equal(conf_get(c, "m"), "2");
    assert_null(conf_get(c, "n"));
}

static void an_empty_value_forgets_the_list(void **state)
{
    cleanup_conf struct conf *c = parse("e = 1\ne = 2\nf = x\ne =\ne = 3\ne = 4\ng = 1\ng =\n");
    const struct conf_line *l;
    char got[16] = "";

    (void)state;
    conf_for_each (c, "e", l)
        strcat(got, l->value);
    assert_string_equal(got, "34");
    assert_null(conf_next(c, "g", NULL));
    assert_null(conf_next(c, "none", NULL));
}

static void a_change_leaves_all_other_lines_as_they_were(void **state)
{
    cleanup_conf struct conf *c = parse("# top\n  a=1   \nb  =  2\n\n#end\nb = 3\r\nc = 4");

    (void)state;
    conf_set(c, "b", "new value");
    assert_text(c, "# top\n  a=1   \nb = new value\n\n#end\nc = 4\n");
    conf_set(c, "d", "5");
    conf_add(c, "d", " 6 ");
    assert_text(c, "# top\n  a=1   \nb = new value\n\n#end\nc = 4\nd = 5\nd = 6\n");
    assert_int_equal(conf_unset(c, "d"), 2);
    assert_int_equal(conf_unset(c, "d"), 0);
    assert_int_equal(conf_unset(c, "a"), 1);
    assert_text(c, "# top\nb = new value\n\n#end\nc = 4\n");
    conf_set(c, "c", "");
    assert_text(c, "# top\nb = new value\n\n#end\nc =\n");
    assert_null(conf_get(c, "c"));
}

static void a_value_of_its_own_may_be_set_again(void **state)
{
    cleanup_conf struct conf *c = parse("a = 1\na = 2\n");

    (void)state;
    conf_set(c, c->lines[1].key, c->lines[0].value);
    assert_text(c, "a = 1\n");
    conf_unset(c, c->lines[0].key);
    assert_text(c, "");
}

static void a_newline_in_a_value_makes_no_new_line(void **state)
{
    cleanup_conf struct conf *c = conf_new("c");

    (void)state;
    conf_set(c, "a", "x\nlxc.hook.start = /bin/evil\n");
    assert_text(c, "a = x lxc.hook.start = /bin/evil\n");
}

static void text_reads_back_as_the_same_text(void **state)
{
    cleanup_conf struct conf *c = parse("#x\na =  1\n\n\n b=\n");
    cleanup_free char *one = conf_text(c, NULL);
    cleanup_conf struct conf *d = parse(one);

    (void)state;
    assert_text(d, one);
}

static struct conf *read_conf(const char *path)
{
    struct conf *c = NULL;
    struct error err;
    if (conf_read(path, &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

/* LXC takes one pair off; the words of a command have their own. */
static void quotes_around_a_command_are_taken_off_once(void **state)
{
    static const struct {
        const char *line, *value;
    } read[] = {{"\"/sbin/init --log\"", "/sbin/init --log"},
                {"'/sbin/init --log'", "/sbin/init --log"},
                {"'/bin/a' 'b c'", "'/bin/a' 'b c'"},
                {"\"'/opt/a b'\"", "'/opt/a b'"},
                {"/bin/sh -c 'a b'", "/bin/sh -c 'a b'"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(read); i++) {
        cleanup_free char *text = xasprintf("lxc.init.cmd = %s\n", read[i].line);
        cleanup_conf struct conf *c = parse(text);
        assert_string_equal(conf_get(c, "lxc.init.cmd"), read[i].value);
        /* What a program sets is read as it was set. */
        conf_set(c, "lxc.init.cmd", read[i].value);
        cleanup_free char *again = conf_text(c, NULL);
        cleanup_conf struct conf *d = parse(again);
        assert_string_equal(conf_get(d, "lxc.init.cmd"), read[i].value);
    }
    cleanup_conf struct conf *c = parse("");
    conf_set(c, "lxc.init.cmd", "'say \"x\"'");
    assert_text(c, "lxc.init.cmd = \"\"'say \"x\"'\n");
}

/* Those of files that are read stay as they are: they lie where they lie. */
static void a_copy_includes_what_the_file_did(void **state)
{
    (void)state;
    cleanup_conf struct conf *c = parse("lxc.include =\nlxc.include = /nowhere/\n");
    conf_add(c, "lxc.include", "more/a.conf");
    conf_includes_from(c, "/etc/lxc");
    assert_text(c, "lxc.include =\nlxc.include = /nowhere/\nlxc.include = /etc/lxc/more/a.conf\n");
}

static void includes_files_at_their_place(void **state)
{
    char text[300];

    assert_int_equal(mkdir("sub", 0755), 0);
    assert_int_equal(mkdir("sub/d", 0755), 0);
    snprintf(text, sizeof text,
             "a = 1\nlxc.include = sub/one\na = 3\nlxc.include = %s/sub/d\nlxc.include =\n",
             (char *)*state);
    scratch_write("config", text);
    scratch_write("sub/one", "a = 2\nlxc.include = two\n"); /* relative to sub */
    scratch_write("sub/two", "b = two\n");
    scratch_write("sub/d/20.conf", "c = 20\n");
    scratch_write("sub/d/10.conf", "c = 10\n");
    scratch_write("sub/d/.30.conf", "c = 30\n");
    scratch_write("sub/d/40.bak", "broken\n");
    cleanup_conf struct conf *c = read_conf("config");
    assert_string_equal(conf_get(c, "a"), "3");
    assert_string_equal(conf_get(c, "b"), "two");
    assert_string_equal(conf_get(c, "c"), "20");
    assert_int_equal(conf_next(c, "b", NULL)->depth, 2);
    assert_string_equal(conf_next(c, "b", NULL)->file, "sub/two");
    assert_text(c, text);
}

static void a_mistake_in_an_include_is_found_by_its_way(void **state)
{
    struct conf *c;
    struct error err;

    (void)state;
    scratch_write("config", "# x\nlxc.include = one\n");
    scratch_write("one", "a = 1\noops\n");
    assert_int_equal(conf_read("config", &c, &err), -1);
    assert_string_equal(err.text,
                        "config:2: one:2: 'oops' is not of the form key = value: Invalid argument");
    scratch_write("config", "lxc.include = none\n");
    assert_int_equal(conf_read("config", &c, &err), -1);
    assert_string_equal(err.text, "config:1: include 'none': No such file or directory");
    scratch_write("config", "lxc.include = none.d/\n"); /* whoever has something puts it there */
    assert_int_equal(conf_read("config", &c, &err), 0);
    conf_free(c);
}

static void includes_that_go_round_or_fan_out_end(void **state)
{
    struct conf *c;
    struct error err;

    (void)state;
    scratch_write("config", "lxc.include = config\n");
    assert_int_equal(conf_read("config", &c, &err), -1);
    assert_int_equal(err.code, ELOOP);

    /* 2^12 files, none of them deep */
    for (int i = 0; i < 12; i++) {
        char name[16], text[64];
        snprintf(name, sizeof name, "f%d", i);
        snprintf(text, sizeof text, "lxc.include = f%d\nlxc.include = f%d\n", i + 1, i + 1);
        scratch_write(name, text);
    }
    scratch_write("f12", "");
    assert_int_equal(conf_read("f0", &c, &err), -1);
    assert_int_equal(err.code, ELOOP);
    assert_non_null(strstr(err.text, "more than 1024 files"));
}

static void a_key_of_an_include_can_be_changed_in_the_file_itself(void **state)
{
    (void)state;
    scratch_write("config", "a = 0\nlxc.include = one\nb = 1\n");
    scratch_write("one", "a = 1\na = 2\n");
    cleanup_conf struct conf *c = read_conf("config");
    conf_set(c, "a", "9");
    assert_string_equal(conf_get(c, "a"), "9");
    assert_text(c, "lxc.include = one\nb = 1\na =\na = 9\n");

    cleanup_free char *text = conf_text(c, NULL);
    scratch_write("config", text);
    cleanup_conf struct conf *again = read_conf("config");
    assert_string_equal(conf_get(again, "a"), "9");
    assert_string_equal(conf_next(again, "a", NULL)->value, "9");
    conf_unset(again, "a");
    assert_null(conf_get(again, "a"));
    cleanup_free char *without = conf_text(again, NULL);
    assert_string_equal(without, "lxc.include = one\nb = 1\na =\n");
}

static void a_file_may_be_a_mebibyte_and_no_more(void **state)
{
    struct conf *c;
    struct error err;
    size_t n = 1 << 20;
    cleanup_free char *big = xcalloc(n + 2, 1);

    (void)state;
    memset(big, '\n', n);
    scratch_write("config", big);
    assert_int_equal(conf_read("config", &c, &err), 0);
    conf_free(c);
    big[n] = '\n';
    scratch_write("config", big);
    assert_int_equal(conf_read("config", &c, &err), -1);
    assert_int_equal(err.code, EFBIG);
    assert_int_equal(conf_parse("m", big, n + 1, &c, &err), -1);
    assert_int_equal(err.code, EFBIG);
}

/* Checking */

static const struct conf_key common[] = {
    {.name = "guest.memory", .check = conf_is_size},
    {.name = "guest.autostart", .check = conf_is_bool},
    {.name = "guest.cpus", .check = conf_is_cpus},
    {0},
};
static const struct conf_key engine[] = {
    {.name = "lxc.net.#.type", .list = true},
    {.name = "lxc.cgroup2.*", .list = true},
    {.name = "lxc.rootfs.path", .check = conf_is_abs_path},
    {.name = "lxc.apparmor.profile", .ignored = "there is no AppArmor here"},
    {.name = "lxc.start.order", .check = conf_is_uint},
    {0},
};
static const struct conf_key *const tables[] = {common, engine, NULL};

static void finds_keys_by_their_patterns(void **state)
{
    (void)state;
    assert_ptr_equal(conf_key_find(tables, "guest.cpus"), &common[2]);
    assert_ptr_equal(conf_key_find(tables, "lxc.net.12.type"), &engine[0]);
    assert_ptr_equal(conf_key_find(tables, "lxc.cgroup2.memory.max"), &engine[1]);
    assert_null(conf_key_find(tables, "lxc.net..type"));
    assert_null(conf_key_find(tables, "lxc.net.x.type"));
    assert_null(conf_key_find(tables, "lxc.net.1.typ"));
    assert_null(conf_key_find(tables, "lxc.net.1.types"));
    assert_null(conf_key_find(tables, "guest"));
    assert_null(conf_key_find(tables, ""));
}

static void count_warning(void *arg, const char *text)
{
    (*(int *)arg)++;
    assert_string_equal(
        text, "web1/config:2: 'lxc.apparmor.profile' has no effect: there is no AppArmor here");
}

static void takes_what_the_tables_know(void **state)
{
    struct error err;
    int warnings = 0;
    cleanup_conf struct conf *c =
        parse("guest.memory = 1.5G\nlxc.apparmor.profile = unconfined\nlxc.net.0.type = veth\n"
              "guest.autostart = On\nguest.cpus = 0.5\nlxc.include =\nlxc.rootfs.path =\n");

    (void)state;
    assert_int_equal(conf_check(c, tables, count_warning, &warnings, &err), 0);
    assert_int_equal(warnings, 1);
    assert_int_equal(conf_check(c, tables, NULL, NULL, &err), 0);
}

static void names_the_place_of_a_mistake_and_the_nearest_key(void **state)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"\nguest.memroy = 1G",
         "web1/config:2: unknown key 'guest.memroy'; did you mean 'guest.memory'?"},
        {"lxc.net.3.tpye = x",
         "web1/config:1: unknown key 'lxc.net.3.tpye'; did you mean 'lxc.net.3.type'?"},
        {"completely.other = x", "web1/config:1: unknown key 'completely.other'"},
        {"guest.memory = much",
         "web1/config:1: guest.memory: 'much' is not a size; write it like 512M or 1.5G"},
        {"guest.autostart = maybe",
         "web1/config:1: guest.autostart: 'maybe' is neither yes nor no"},
        {"guest.cpus = 0", "web1/config:1: guest.cpus: '0' is not between 0.01 and 1024"},
        {"lxc.rootfs.path = rootfs",
         "web1/config:1: lxc.rootfs.path: 'rootfs' does not begin with /"},
        {"lxc.start.order = -1", NULL},
    };
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        cleanup_conf struct conf *c = parse(bad[i].text);
        assert_int_equal(conf_check(c, tables, NULL, NULL, &err), -1);
        assert_int_equal(err.code, EINVAL);
        if (bad[i].why)
            assert_string_equal(err.text, bad[i].why);
        assert_int_equal(conf_check(c, tables, NULL, NULL, NULL), -1);
    }
    cleanup_conf struct conf *c = conf_new("web1/config");
    conf_set(c, "guest.memory", "x");
    assert_int_equal(conf_check(c, tables, NULL, NULL, &err), -1);
    assert_memory_equal(err.text, "web1/config: guest.memory: ", 27);
}

static void knows_yes_from_no(void **state)
{
    (void)state;
    assert_true(conf_true("1") && conf_true("YES") && conf_true("true") && conf_true("on"));
    assert_false(conf_true("0") || conf_true("no") || conf_true("") || conf_true(NULL) ||
                 conf_true("yess"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_keys_values_and_comments),
        cmocka_unit_test(a_copy_knows_where_its_lines_come_from),
        cmocka_unit_test(says_where_a_line_is_wrong),
        cmocka_unit_test(takes_any_bytes_in_a_value),
        cmocka_unit_test(the_last_value_counts),
        cmocka_unit_test(an_empty_value_forgets_the_list),
        cmocka_unit_test(a_change_leaves_all_other_lines_as_they_were),
        cmocka_unit_test(a_value_of_its_own_may_be_set_again),
        cmocka_unit_test(a_newline_in_a_value_makes_no_new_line),
        cmocka_unit_test(text_reads_back_as_the_same_text),
        cmocka_unit_test(quotes_around_a_command_are_taken_off_once),
        cmocka_unit_test(a_copy_includes_what_the_file_did),
        scratch_test(includes_files_at_their_place),
        scratch_test(a_mistake_in_an_include_is_found_by_its_way),
        scratch_test(includes_that_go_round_or_fan_out_end),
        scratch_test(a_key_of_an_include_can_be_changed_in_the_file_itself),
        scratch_test(a_file_may_be_a_mebibyte_and_no_more),
        cmocka_unit_test(finds_keys_by_their_patterns),
        cmocka_unit_test(takes_what_the_tables_know),
        cmocka_unit_test(names_the_place_of_a_mistake_and_the_nearest_key),
        cmocka_unit_test(knows_yes_from_no),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
