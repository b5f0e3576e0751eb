/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the screen that are pure: layout, keys, input, editing, graphs, themes, the list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "scratch.h"
#include "ui/edit.h"
#include "ui/input.h"
#include "ui/keymap.h"
#include "ui/layout.h"
#include "ui/look.h"
#include "ui/roster.h"
#include "ui/spark.h"
#include "ui/theme.h"

/* ---- layout ---- */

static bool inside(struct rect r, int rows, int cols)
{
    return r.y >= 0 && r.x >= 0 && r.h >= 0 && r.w >= 0 && r.y + r.h <= rows && r.x + r.w <= cols;
}

/* At every size, with and without zoom, all parts lie on the screen and none on another. */
static void layout_fits(void **state)
{
    (void)state;
    for (int rows = 1; rows <= 70; rows++) {
        for (int cols = 1; cols <= 250; cols++) {
            for (int zoom = 0; zoom < 2; zoom++) {
                struct layout l;
                layout_compute(&l, rows, cols, zoom);
                assert_int_equal(l.too_small, rows < LAYOUT_MIN_ROWS || cols < LAYOUT_MIN_COLS);
                if (l.too_small)
                    continue;
                struct rect parts[] = {l.header, l.list, l.details, l.pane, l.message, l.keys};
                for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                    assert_true(inside(parts[i], rows, cols));
                assert_int_equal(l.header.h + l.message.h + l.keys.h, 3);
                assert_true(l.list.h + l.details.h > 0 || l.pane.h > 0);
                if (l.pane.h && l.list.h)
                    assert_int_equal(l.list.x + l.list.w, l.pane.x);
                if (l.details.h) /* they share a border */
                    assert_int_equal(l.list.y + l.list.h - 1, l.details.y);
                if (zoom)
                    assert_int_equal(l.pane.w, cols);
            }
        }
    }
}

static void layout_has_both_from_80x24(void **state)
{
    struct layout l;
    (void)state;
    layout_compute(&l, 24, 80, false);
    assert_true(l.list.h > 5 && l.details.h > 4 && l.pane.w >= 40);
    layout_compute(&l, 24, 60, false);
    assert_int_equal(l.pane.h, 0);
    assert_int_equal(l.list.w, 60);
}

/* ---- keys ---- */

static void key_names_go_both_ways(void **state)
{
    static const char *const names[] = {"a",
                                        "A",
                                        "Ctrl-L",
                                        "F1",
                                        "F12",
                                        "Ctrl-]",
                                        "Alt-x",
                                        "Space",
                                        "Enter",
                                        "PgUp",
                                        "Tab",
                                        "Shift-Tab",
                                        "Ctrl-PgDn",
                                        "/",
                                        ":",
                                        "-",
                                        "ä",
                                        "Equal",
                                        "Ctrl-Alt-Shift-Backspace"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct key key;
        char name[KEY_NAME_ROOM];
        assert_int_equal(key_parse(names[i], &key, NULL), 0);
        key_name(&key, name);
        assert_string_equal(name, names[i]);
    }
    struct key key;
    struct error err;
    assert_int_equal(key_parse("Bogus", &key, &err), -1);
    assert_non_null(strstr(err.text, "'Bogus' is not the name of a key"));
    assert_int_equal(key_parse("", &key, NULL), -1);
    assert_int_equal(key_parse("F99", &key, NULL), -1);
}

static void keymap_can_be_changed(void **state)
{
    static const char text[] = "prefix = Ctrl-A\nkey.F = freeze\nkey.q =\nkey.x = quit\n";
    struct keymap m;
    struct key key;
    (void)state;
    keymap_defaults(&m);
    assert_int_equal(keymap_parse(&m, "keys.conf", text, strlen(text), NULL), 0);
    key_parse("F", &key, NULL);
    assert_string_equal(keymap_find(&m, KEYS_MAIN, &key)->line, "freeze");
    key_parse("q", &key, NULL);
    assert_null(keymap_find(&m, KEYS_MAIN, &key));
    key_parse("x", &key, NULL);
    assert_string_equal(keymap_find(&m, KEYS_MAIN, &key)->line, "quit");
    assert_null(keymap_find(&m, KEYS_PREFIX, &key));
    assert_int_equal(m.prefix.code, 'a');
    keymap_free(&m);
}

static void keymap_says_what_is_wrong(void **state)
{
    static const char *const bad[][2] = {
        {"key.Bogus = quit\n", "keys.conf:1: 'Bogus' is not the name of a key"},
        {"\nkye.F = quit\n", "keys.conf:2: 'kye.F' is not one of"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct keymap m;
        struct error err;
        keymap_defaults(&m);
        assert_int_equal(keymap_parse(&m, "keys.conf", bad[i][0], strlen(bad[i][0]), &err), -1);
        assert_int_equal(strncmp(err.text, bad[i][1], strlen(bad[i][1])), 0);
        keymap_free(&m);
    }
}

/* No two keys of a context mean different things. */
static void keymap_has_no_doubles(void **state)
{
    struct keymap m;
    (void)state;
    keymap_defaults(&m);
    for (size_t i = 0; i < m.count; i++)
        assert_ptr_equal(keymap_find(&m, m.bindings[i].context, &m.bindings[i].key),
                         &m.bindings[i]);
    keymap_free(&m);
}

/* ---- input ---- */

static void expect_keys(const char *bytes, size_t len, bool flush, const char *wanted)
{
    struct input in = {0};
    struct key key;
    char got[300] = "";
    input_add(&in, bytes, len);
    while (input_next(&in, flush, &key)) {
        char name[KEY_NAME_ROOM];
        key_name(&key, name);
        if (got[0])
            strcat(got, " ");
        strcat(got, key.code == K_MOUSE         ? "mouse"
                    : key.code == K_PASTE_BEGIN ? "paste("
                    : key.code == K_PASTE_END   ? ")"
                                                : name);
    }
    assert_string_equal(got, wanted);
}

#define KEYS(bytes, wanted)       expect_keys(bytes, sizeof bytes - 1, false, wanted)
#define KEYS_FLUSH(bytes, wanted) expect_keys(bytes, sizeof bytes - 1, true, wanted)

static void input_knows_sequences(void **state)
{
    (void)state;
    KEYS("aZ \r\t\x7f", "a Z Space Enter Tab Backspace");
    KEYS("\x03\x1d\x1a\x00", "Ctrl-C Ctrl-] Ctrl-Z Ctrl-Space");
    KEYS("\033[A\033OB\033[H\033[5~\033[15~", "Up Down Home PgUp F5");
    KEYS("\033OP\033[11~\033[[A\033[24~", "F1 F1 F1 F12");
    KEYS("\033[1;5C\033[3;2~\033[Z\033[a", "Ctrl-Right Shift-Del Shift-Tab Shift-Up");
    KEYS("\033x\033\r", "Alt-x Alt-Enter");
    KEYS("\xc3\xa4\xe2\x82\xac", "ä €");
    KEYS("\033[200~hi\033[201~", "paste( h i )");
    KEYS("\033[<0;10;5M\033[<64;1;1M", "mouse mouse");
}

static void input_waits_for_the_rest(void **state)
{
    (void)state;
    KEYS("\033", "");
    KEYS_FLUSH("\033", "Esc");
    KEYS("a\033[1;", "a");
    KEYS("\xe2\x82", "");
    KEYS_FLUSH("\033[", "Alt-[");
    KEYS("\033\033[A", "Esc Up");
    KEYS("\033[?62;1c", ""); /* an answer that nobody asked for is no key */
}

static void input_reads_the_mouse(void **state)
{
    struct input in = {0};
    struct key key;
    (void)state;
    input_add(&in, "\033[<2;11;6m", 10);
    assert_true(input_next(&in, false, &key));
    assert_int_equal(key.mouse, MOUSE_RELEASE);
    assert_int_equal(key.button, 3);
    assert_int_equal(key.col, 10);
    assert_int_equal(key.row, 5);
}

/* Whatever comes, it is taken, and nothing is kept for ever. */
static void input_survives_noise(void **state)
{
    struct input in = {0};
    struct key key;
    unsigned seed = 1;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        unsigned char c = (unsigned char)rand_r(&seed);
        if (i % 3 == 0)
            c = "\033[<;0123~M"[c % 10];
        assert_true(input_room(&in) > 0);
        input_add(&in, &c, 1);
        while (input_next(&in, i % 50 == 0, &key))
            ;
    }
}

/* ---- editing ---- */

static void type_keys(struct edit *e, const char *const *names)
{
    for (; *names; names++) {
        struct key key;
        key_parse(*names, &key, NULL);
        edit_key(e, &key);
    }
}

static void editing_a_line(void **state)
{
    struct edit e;
    (void)state;
    edit_set(&e, "one zwei");
    type_keys(&e, (const char *const[]){"Backspace", "Left", "ü", NULL});
    assert_string_equal(e.text, "one zwüe");
    type_keys(&e, (const char *const[]){"Backspace", "End", "Ctrl-W", NULL});
    assert_string_equal(e.text, "one ");
    type_keys(&e, (const char *const[]){"Home", "Del", "x", "Ctrl-K", NULL});
    assert_string_equal(e.text, "x");
    for (int i = 0; i < 2 * EDIT_MAX; i++)
        type_keys(&e, (const char *const[]){"€", NULL});
    assert_true(e.len < EDIT_MAX && strlen(e.text) == e.len);
}

/* ---- graphs ---- */

static void sparklines(void **state)
{
    const float ring[4] = {0, 50, 100, 1};
    char out[64];
    (void)state;
    spark_line(ring, 4, 0, 4, 100, 6, true, out);
    assert_string_equal(out, "  ▁▄█▁");
    spark_line(ring, 4, 0, 4, 100, 2, false, out);
    assert_string_equal(out, "#.");
    spark_line(ring, 4, 0, 0, 0, 3, true, out);
    assert_string_equal(out, "   ");
    assert_true(spark_top(ring, 4, 0, 4, 4) > 99.9);
    spark_bar(0.5, 3, true, out);
    assert_string_equal(out, "█▌ ");
    spark_bar(7, 3, false, out);
    assert_string_equal(out, "###");
    spark_bar(-1, 2, false, out);
    assert_string_equal(out, "  ");
}

static void uptimes(void **state)
{
    char out[16];
    (void)state;
    uptime_human(59, out);
    assert_string_equal(out, "59s");
    uptime_human(3 * 3600 + 12 * 60, out);
    assert_string_equal(out, "3h12m");
    uptime_human(UINT64_MAX, out);
    assert_true(strlen(out) <= 6);
}

/* ---- themes ---- */

static void themes_are_read(void **state)
{
    struct theme t;
    struct error err;
    static const char good[] = "running = #5fafd7 default bold\nborder = 208\n";
    (void)state;
    assert_int_equal(theme_load("dark", &t, &err), 0);
    assert_int_equal(theme_parse("x.theme", good, strlen(good), &t, &err), 0);
    assert_int_equal(t.look[EL_RUNNING].fg, COLOUR_RGB(0x5f, 0xaf, 0xd7));
    assert_int_equal(t.look[EL_RUNNING].attrs, CELL_BOLD);
    assert_int_equal(t.look[EL_BORDER].fg, COLOUR_INDEX(208));
}

static void themes_say_what_is_wrong(void **state)
{
    static const char *const bad[][2] = {
        {"runing = red\n", "x.theme:1: unknown element 'runing'; did you mean 'running'?"},
        {"\nrunning = redd\n", "x.theme:2: 'redd' is not a colour"},
        {"running = red blue fat\n", "x.theme:1: 'fat' is not an attribute"},
        {"running = #12345\n", "x.theme:1: '#12345' is not a colour"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct theme t = {0}, before = t;
        struct error err;
        assert_int_equal(theme_parse("x.theme", bad[i][0], strlen(bad[i][0]), &t, &err), -1);
        assert_int_equal(strncmp(err.text, bad[i][1], strlen(bad[i][1])), 0);
        assert_memory_equal(&t, &before, sizeof t);
    }
}

static void themes_come_from_home(void **state)
{
    struct theme t;
    struct error err;
    (void)state;
    assert_int_equal(dir_make("home/themes", 0700, NULL), 0);
    scratch_write("home/themes/mine.theme", "selected = red default\n");
    assert_int_equal(theme_load("mine", &t, &err), 0);
    assert_int_equal(t.look[EL_SELECTED].fg, COLOUR_INDEX(1));
    assert_int_equal(theme_load("none", &t, &err), -1);
    assert_string_equal(t.name, "dark");
    assert_int_equal(theme_load("../mine", &t, &err), -1);
    /* Every theme that comes with pult is whole. */
    for (unsigned i = 0; theme_builtin(i); i++)
        assert_int_equal(theme_load(theme_builtin(i), &t, &err), 0);
}

/* ---- the list ---- */

static struct watched *guests[40];

static void make_guests(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        guests[i] = xcalloc(1, sizeof *guests[i]);
        snprintf(guests[i]->info.name, sizeof guests[i]->info.name, "g%02zu", i);
        guests[i]->info.state = i % 2 ? GUEST_RUNNING : GUEST_STOPPED;
        guests[i]->now.cpu_percent = (double)(i * 7 % 10);
    }
}

static void free_guests(size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(guests[i]);
}

static void roster_keeps_the_selection(void **state)
{
    struct roster r = {0};
    (void)state;
    make_guests(10);
    roster_update(&r, guests, 10);
    assert_true(roster_select(&r, "g03"));
    roster_sort(&r, SORT_CPU);
    assert_string_equal(roster_selected(&r)->info.name, "g03");
    roster_set_filter(&r, "running");
    assert_int_equal(r.count, 5);
    assert_string_equal(r.selected, "g03");
    roster_set_filter(&r, "RUN g07");
    assert_string_equal(r.selected, "g07");
    roster_set_filter(&r, "nothing like it");
    assert_null(roster_selected(&r));
    assert_string_equal(r.selected, "");
    roster_set_filter(&r, "");
    assert_int_equal(r.count, 10);
    /* It vanishes: its neighbour is selected. */
    roster_sort(&r, SORT_NAME);
    roster_select(&r, "g09");
    roster_update(&r, guests, 9);
    assert_string_equal(r.selected, "g08");
    roster_clear(&r);
    free_guests(10);
}

static void roster_marks(void **state)
{
    struct roster r = {0};
    char **names;
    (void)state;
    make_guests(10);
    roster_update(&r, guests, 10);
    assert_int_equal(roster_targets(&r, &names), 1);
    assert_string_equal(names[0], "g00");
    strv_free(names);
    roster_mark(&r, "g05", true);
    roster_mark(&r, "g02", true);
    roster_mark(&r, "g02", true);
    assert_int_equal(roster_targets(&r, &names), 2);
    assert_string_equal(names[0], "g02");
    strv_free(names);
    roster_update(&r, guests, 5); /* g05 is gone */
    assert_int_equal(r.marked, 1);
    roster_clear(&r);
    free_guests(10);
}

static void roster_scrolls(void **state)
{
    struct roster r = {0};
    (void)state;
    make_guests(40);
    roster_update(&r, guests, 40);
    roster_move(&r, 25);
    roster_scroll(&r, 10);
    assert_int_equal(r.top, 16);
    roster_move(&r, -100);
    roster_scroll(&r, 10);
    assert_int_equal(r.top, 0);
    roster_move(&r, 1000);
    roster_scroll(&r, 10);
    assert_int_equal(r.at, 39);
    assert_int_equal(r.top, 30);
    roster_clear(&r);
    free_guests(40);
}

int main(void)
{
    setlocale(LC_ALL, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        scratch_test(themes_come_from_home), /* first: the store's place is looked up once */
        cmocka_unit_test(layout_fits),
        cmocka_unit_test(layout_has_both_from_80x24),
        cmocka_unit_test(key_names_go_both_ways),
        cmocka_unit_test(keymap_can_be_changed),
        cmocka_unit_test(keymap_says_what_is_wrong),
        cmocka_unit_test(keymap_has_no_doubles),
        cmocka_unit_test(input_knows_sequences),
        cmocka_unit_test(input_waits_for_the_rest),
        cmocka_unit_test(input_reads_the_mouse),
        cmocka_unit_test(input_survives_noise),
        cmocka_unit_test(editing_a_line),
        cmocka_unit_test(sparklines),
        cmocka_unit_test(uptimes),
        cmocka_unit_test(themes_are_read),
        cmocka_unit_test(themes_say_what_is_wrong),
        cmocka_unit_test(roster_keeps_the_selection),
        cmocka_unit_test(roster_marks),
        cmocka_unit_test(roster_scrolls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
