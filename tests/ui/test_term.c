/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal emulator and its scrollback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "ui/scrollback.h"
#include "ui/term.h"

static char replied[256];

static void on_reply(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    snprintf(replied + strlen(replied), sizeof replied - strlen(replied), "%.*s", (int)len, bytes);
}

static const struct term_events events = {.reply = on_reply};

static struct term *made(unsigned cols, unsigned rows)
{
    replied[0] = '\0';
    return term_new(cols, rows, &events, NULL);
}

static void feed(struct term *t, const char *s)
{
    term_feed(t, s, strlen(s));
}

static void expect_line(struct term *t, size_t line, const char *wanted)
{
    size_t len;
    char *text = term_line_text(t, line, &len);
    assert_string_equal(text, wanted);
    free(text);
}

static void text_and_colours(void **state)
{
    struct term *t = made(20, 5);
    (void)state;
    feed(t, "plain \033[1;31mred\033[0m \033[38;5;208mo\033[48;2;1;2;3mx\033[m");
    expect_line(t, 0, "plain red ox");
    const struct cell *c = term_row(t, 0);
    assert_int_equal(c[6].style.fg, COLOUR_INDEX(1));
    assert_int_equal(c[6].style.attrs, CELL_BOLD);
    assert_int_equal(c[10].style.fg, COLOUR_INDEX(208));
    assert_int_equal(c[11].style.bg, COLOUR_RGB(1, 2, 3));
    assert_int_equal(c[0].style.fg, COLOUR_DEFAULT);
    term_free(t);
}

static void wide_and_combining(void **state)
{
    struct term *t = made(10, 3);
    (void)state;
    feed(t, "a\xe4\xbd\xa0"
            "b\xcc\x81");
    const struct cell *c = term_row(t, 0);
    assert_int_equal(c[1].width, 2);
    assert_int_equal(c[2].width, 0);
    assert_int_equal(c[3].chars[0], 'b');
    assert_int_equal(c[3].chars[1], 0x301);
    feed(t, "\033[1;3HX"); /* into its right half: the left one goes too */
    expect_line(t, 0, "a Xb\xcc\x81");
    term_free(t);
}

/* What could harm the admin's terminal is not in any cell, title or answer. */
static void guests_cannot_reach_the_terminal(void **state)
{
    struct term *t = made(40, 4);
    (void)state;
    feed(t, "\033]52;c;ZXZpbA==\a\033]0;a\xe2\x80\xae"
            "b\x9bz\a\033P+q544e\033\\");
    feed(t, "x\xc2\x9b"
            "31m\xe2\x80\xae"
            "y");
    for (unsigned row = 0; row < term_rows(t); row++) {
        for (unsigned col = 0; col < term_cols(t); col++) {
            const struct cell *c = &term_row(t, row)[col];
            for (int k = 0; k < CELL_CHARS && c->chars[k]; k++)
                assert_true(c->chars[k] >= 0x20 && !(c->chars[k] >= 0x7f && c->chars[k] < 0xa0) &&
                            c->chars[k] != 0x202e);
        }
    }
    for (const char *s = term_title(t); *s; s++)
        assert_true((unsigned char)*s >= 0x20);
    assert_null(strstr(replied, "ZXZpbA"));
    term_free(t);
}

static void history_is_kept(void **state)
{
    struct term *t = made(20, 4);
    (void)state;
    for (int i = 0; i < 100; i++) {
        char line[32];
        snprintf(line, sizeof line, "%sline \033[32m%d\033[m", i ? "\r\n" : "", i);
        feed(t, line);
    }
    assert_int_equal(term_history(t), 96);
    expect_line(t, 0, "line 0");
    expect_line(t, 99, "line 99");
    struct cell cells[20];
    term_line(t, 50, cells, 20);
    assert_int_equal(cells[5].chars[0], '5');
    assert_int_equal(cells[5].style.fg, COLOUR_INDEX(2));
    assert_int_equal(cells[0].style.fg, COLOUR_DEFAULT);
    /* The alternate screen leaves no trace in it. */
    feed(t, "\033[?1049h");
    for (int i = 0; i < 50; i++)
        feed(t, "alt\r\n");
    feed(t, "\033[?1049l");
    assert_int_equal(term_history(t), 96);
    expect_line(t, 99, "line 99");
    term_free(t);
}

static void history_follows_a_resize(void **state)
{
    struct term *t = made(20, 6);
    (void)state;
    feed(t, "1\r\n2\r\n3\r\n4\r\n5\r\n6");
    term_resize(t, 20, 3);
    assert_int_equal(term_history(t), 3);
    expect_line(t, 5, "6");
    assert_int_equal(term_cursor(t).row, 2);
    term_resize(t, 20, 6);
    assert_int_equal(term_history(t), 0);
    expect_line(t, 0, "1");
    expect_line(t, 5, "6");
    assert_int_equal(term_cursor(t).row, 5);
    term_free(t);
}

static void scroll_regions(void **state)
{
    struct term *t = made(10, 5);
    (void)state;
    feed(t, "a\r\nb\r\nc\r\nd\r\ne\033[2;4r\033[4;1H\n");
    expect_line(t, 0, "a");
    expect_line(t, 1, "c");
    expect_line(t, 2, "d");
    expect_line(t, 3, "");
    expect_line(t, 4, "e");
    feed(t, "\033[2;1H\033M"); /* and back */
    expect_line(t, 1, "");
    expect_line(t, 2, "c");
    feed(t, "\033[r\033[1;1Habcdef\033[1;2H\033[2P\033[1;2H\033[1@");
    expect_line(t, 0, "a def");
    assert_int_equal(term_history(t), 0);
    term_free(t);
}

/* Any bytes at any size, and sizes that crashed others. */
static void survives_noise_and_resizes(void **state)
{
    static const char *const pieces[] = {"\033[?1049h",
                                         "\033[?1049l",
                                         "\033[2J",
                                         "\033[999;999H",
                                         "\033M",
                                         "\n",
                                         "\r\n",
                                         "\033[5L",
                                         "\033[9M",
                                         "\033[3;2r",
                                         "\033[r",
                                         "\xe4\xbd\xa0",
                                         "text ",
                                         "\033[7m",
                                         "\033#8",
                                         "\t",
                                         "\033[?69h\033[3;9s",
                                         "\033[20;24r\033[24;1H",
                                         "\033[?6h",
                                         "\033[40@",
                                         "\033[40P",
                                         "\033c",
                                         "\033[?5h",
                                         "\033]0;t\a",
                                         "\033#6"};
    struct term *t = made(80, 24);
    unsigned seed = 7;
    (void)state;
    for (int i = 0; i < 20000; i++) {
        feed(t, pieces[(unsigned)rand_r(&seed) % ARRAY_SIZE(pieces)]);
        if (i % 5 == 0)
            term_resize(t, (unsigned)rand_r(&seed) % 120, (unsigned)rand_r(&seed) % 60);
        if (i % 7 == 0) {
            char noise[16];
            for (size_t k = 0; k < sizeof noise; k++)
                noise[k] = (char)rand_r(&seed);
            term_feed(t, noise, sizeof noise);
        }
    }
    term_resize(t, 0, 0);
    assert_int_equal(term_cols(t), TERM_MIN_COLS);
    term_resize(t, 100000, 100000);
    assert_int_equal(term_rows(t), TERM_MAX_ROWS);
    struct cell cells[100];
    for (size_t i = 0; i < term_lines(t); i++)
        term_line(t, i, cells, 100);
    term_free(t);
}

/* A scroll region below the last row of a smaller screen: libvterm 0.1.4 writes out of bounds. */
static void a_region_does_not_outlive_a_resize(void **state)
{
    struct term *t = made(80, 24);
    (void)state;
    feed(t, "\033[20;24r\033[24;1Hlast");
    term_resize(t, 80, 10);
    assert_int_equal(term_cursor(t).row, 9);
    assert_int_equal(term_cursor(t).col, 4);
    feed(t, "\n\n\033[5L\033[3M\033Mabc");
    assert_int_equal(term_rows(t), 10);
    term_free(t);
}

static void keys_become_bytes(void **state)
{
    static const struct {
        struct key key;
        const char *bytes;
    } keys[] = {
        {{.code = 'a'}, "a"},
        {{.code = 'c', .mods = MOD_CTRL}, "\x03"},
        {{.code = ']', .mods = MOD_CTRL}, "\x1d"},
        {{.code = 'j', .mods = MOD_CTRL}, "\n"},
        {{.code = 'x', .mods = MOD_ALT}, "\033x"},
        {{.code = 0xe4}, "\xc3\xa4"},
        {{.code = K_ENTER}, "\r"},
        {{.code = K_UP}, "\033[A"},
        {{.code = K_BACKSPACE}, "\x7f"},
        {{.code = K_ESC}, "\033"},
        {{.code = K_F0 + 5}, "\033[15~"},
    };
    struct term *t = made(80, 24);
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        replied[0] = '\0';
        term_key(t, &keys[i].key);
        assert_string_equal(replied, keys[i].bytes);
    }
    replied[0] = '\0';
    feed(t, "\033[?1h"); /* application cursor keys */
    term_key(t, &(struct key){.code = K_UP});
    assert_string_equal(replied, "\033OA");
    replied[0] = '\0';
    term_paste(t, true);
    assert_string_equal(replied, ""); /* the guest did not ask */
    feed(t, "\033[?2004h");
    term_paste(t, true);
    assert_string_equal(replied, "\033[200~");
    term_free(t);
}

static void mouse_is_passed_on(void **state)
{
    struct term *t = made(80, 24);
    (void)state;
    assert_false(term_wants_mouse(t));
    feed(t, "\033[?1000h\033[?1006h");
    assert_true(term_wants_mouse(t));
    term_mouse(t, &(struct key){.code = K_MOUSE, .mouse = MOUSE_PRESS, .button = 1}, 4, 9);
    assert_string_equal(replied, "\033[<0;10;5M");
    term_free(t);
}

static void scrollback_is_bounded(void **state)
{
    struct cell line[80];
    (void)state;
    for (int i = 0; i < 80; i++)
        line[i] = (struct cell){.chars = {'x'}, .width = 1};
    struct scrollback *s = scrollback_new(100, 2000);
    for (int i = 0; i < 1000; i++)
        scrollback_push(s, line, (size_t)(i % 80));
    assert_true(scrollback_bytes(s) <= 2000);
    assert_true(scrollback_count(s) <= 100);
    assert_int_equal(scrollback_count(s) + scrollback_dropped(s), 1000);
    scrollback_free(s);
    s = scrollback_new(10, 1 << 20);
    for (int i = 0; i < 25; i++) {
        line[0].chars[0] = (uint32_t)('a' + i);
        scrollback_push(s, line, 1);
    }
    assert_int_equal(scrollback_count(s), 10);
    size_t len;
    assert_int_equal(scrollback_text(s, 0, &len)[0], 'a' + 15);
    struct cell out[4];
    assert_true(scrollback_pop(s, out, 4));
    assert_int_equal(out[0].chars[0], 'a' + 24);
    assert_int_equal(out[3].chars[0], 0);
    scrollback_free(s);
}

int main(void)
{
    setlocale(LC_ALL, "C.UTF-8");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_colours),
        cmocka_unit_test(wide_and_combining),
        cmocka_unit_test(guests_cannot_reach_the_terminal),
        cmocka_unit_test(history_is_kept),
        cmocka_unit_test(history_follows_a_resize),
        cmocka_unit_test(scroll_regions),
        cmocka_unit_test(survives_noise_and_resizes),
        cmocka_unit_test(a_region_does_not_outlive_a_resize),
        cmocka_unit_test(keys_become_bytes),
        cmocka_unit_test(mouse_is_passed_on),
        cmocka_unit_test(scrollback_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
