/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal emulator, fed with whatever a guest may print, while it is resized, typed
 * and pasted into: its cells stay printable, its cursor inside, its answers short.
 */
#include "fuzz/feed.h"

#include "base/cleanup.h"
#include "base/util.h"
#include "ui/term.h"

static const char *const pieces[] = {
    "text",
    "\r\n",
    "\n",
    "\r",
    "\b",
    "\t",
    "\x0e",
    "\x0f",
    "\033[",
    "\033[?",
    "\033]0;title\007",
    "\033]52;c;AAAA\007",
    "\033P",
    "\033\\",
    "\033[2J",
    "\033[H",
    "\033[999;999H",
    "\033[5;10r",
    "\033[r",
    "\033M",
    "\033D",
    "\033E",
    "\033[10L",
    "\033[10M",
    "\033[9999@",
    "\033[9999P",
    "\033[3S",
    "\033[3T",
    "\033[1;31;48;2;1;2;3m",
    "\033[7m",
    "\033[m",
    "\033[?1049h",
    "\033[?1049l",
    "\033[?6h",
    "\033[?7l",
    "\033[?25l",
    "\033[?1000h",
    "\033[?2004h",
    "\033[6n",
    "\033[c",
    "\033[5n",
    "\033c",
    "\033#8",
    "\033(0",
    "\033)B",
    "\033H",
    "\033[3g",
    "\0337",
    "\0338",
    "\033[4h",
    "\033[b",
    "\033[3;4b",
    "\033[?b",
    "b",
    "\033[999b",
    "\033[?69h",
    "\033[2;40s",
    "\xe4\xb8\xad",
    "\xcc\x81",
    "\xe2\x80\xae",
    "\xf0\x9f\x90\xa7",
    "\xef\xbf\xbe",
    "\xff",
    "\xc3",
    "\2332J",
    "\x9d",
    "\x84",
    "99",
    ";",
    "H",
    "m",
    "\033[?5h",
    "\033[>c",
    "\033[18t",
    "\033[8;5;5t",
};

static size_t replied;

static void on_reply(void *arg, const char *bytes, size_t len)
{
    (void)arg;
    (void)bytes;
    replied += len;
}

static void on_bell(void *arg)
{
    (void)arg;
}

static void must_be_printable(const struct cell *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        must(cells[i].width <= 2);
        for (unsigned j = 0; j < CELL_CHARS; j++) {
            uint32_t c = cells[i].chars[j];
            must(c == 0 || (c >= ' ' && (c < 0x7f || c > 0x9f) && c <= 0x10ffff));
            must(c < 0x202a || c > 0x202e);
            must(c < 0xd800 || c > 0xdfff);
        }
    }
}

static void must_hold(const struct term *t)
{
    static struct cell line[TERM_MAX_COLS];
    unsigned cols = term_cols(t), rows = term_rows(t);
    must(cols >= TERM_MIN_COLS && cols <= TERM_MAX_COLS);
    must(rows >= TERM_MIN_ROWS && rows <= TERM_MAX_ROWS);
    struct term_cursor at = term_cursor(t);
    must(at.row < rows && at.col < cols);
    for (unsigned r = 0; r < rows; r++)
        must_be_printable(term_row(t, r), cols);
    must(term_lines(t) == term_history(t) + rows);
    for (size_t l = term_lines(t) > 100 ? term_lines(t) - 100 : 0; l < term_lines(t); l++) {
        size_t len;
        term_line(t, l, line, cols);
        must_be_printable(line, cols);
        cleanup_free char *text = term_line_text(t, l, &len);
        must(text != NULL);
    }
    for (const char *p = term_title(t); *p; p++)
        must((unsigned char)*p >= ' ' && *p != 0x7f);
}

static void print(struct term *t, struct feed *f)
{
    char text[512];
    size_t n = 0;
    for (uint32_t i = feed_below(f, 12) + 1; i > 0 && n < sizeof text - 32; i--) {
        if (feed_rarely(f, 6)) {
            n += feed_bytes(f, text + n, 16);
        } else {
            const char *piece = feed_pick(f, pieces);
            memcpy(text + n, piece, strlen(piece));
            n += strlen(piece);
        }
    }
    size_t cut = feed_below(f, n + 1);
    term_feed(t, text, cut);
    term_feed(t, text + cut, n - cut);
}

static void type(struct term *t, struct feed *f)
{
    static const uint32_t codes[] = {'a',     'A',     ' ',          0x7f,  1,           0xe4,
                                     0x1f427, K_ENTER, K_TAB,        K_ESC, K_BACKSPACE, K_UP,
                                     K_LEFT,  K_HOME,  K_PGDN,       K_DEL, K_F1,        K_F12,
                                     K_F24,   K_NONE,  K_PASTE_BEGIN};
    struct key key = {.code = feed_pick(f, codes), .mods = feed_below(f, 8)};
    if (feed_rarely(f, 4)) {
        key.code = K_MOUSE;
        key.mouse = (enum mouse_kind)feed_below(f, 5);
        key.button = (int)feed_below(f, 5);
        term_mouse(t, &key, feed_below(f, 600), feed_below(f, 1200));
    } else {
        term_key(t, &key);
    }
}

static unsigned any_size(struct feed *f)
{
    return feed_rarely(f, 32) ? feed_below(f, 1300) : feed_below(f, 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct term_events events = {on_reply, on_bell};
    struct feed f = {data, size};
    struct term *t = term_new(any_size(&f), any_size(&f), &events, NULL);

    for (int i = 0; i < 40 && f.left > 0; i++) {
        size_t before = replied;
        switch (feed_below(&f, 11)) {
        case 0:
        case 1:
            term_resize(t, any_size(&f), any_size(&f));
            break;
        case 2:
            type(t, &f);
            break;
        case 3:
            term_paste(t, feed_below(&f, 2));
            break;
        default:
            print(t, &f);
        }
        must(replied - before < 4096);
        if (feed_rarely(&f, 4))
            must_hold(t);
    }
    must_hold(t);
    term_take_damage(t);
    term_free(t);
    return 0;
}
