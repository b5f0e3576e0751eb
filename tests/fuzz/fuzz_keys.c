/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What comes from the admin's terminal, and what he wrote into his files: bytes to keys, names of
 * keys, themes and colours.
 */
#include "fuzz/feed.h"

#include "base/cleanup.h"
#include "base/util.h"
#include "ui/input.h"
#include "ui/theme.h"

static const char *const pieces[] = {
    "a",
    "Z",
    " ",
    "\r",
    "\t",
    "\033",
    "\033[",
    "\033O",
    "A",
    "\033[A",
    "\033[1;5C",
    "\033OP",
    "\033[15~",
    "\033[24;8~",
    "\033[<0;10;20M",
    "\033[<64;1;1m",
    "\033[M !!",
    "\033[200~",
    "\033[201~",
    "\x7f",
    "\x01",
    "\x1d",
    "\xc3\xa4",
    "\xf0\x9f\x90\xa7",
    "\xff",
    "\033[[A",
    "\033[99999999999999~",
    ";",
    "~",
    "\033\033[A",
    "\033[?1;2c",
    "\033[27;5;97~",
};
static const char *const names[] = {
    "Ctrl-", "Alt-", "Shift-", "F", "1",        "24",    "25",    "PgUp", "Space",
    "Hash",  "a",    "]",      "-", "\xc3\xa4", "Enter", "ctrl-", "\x7f", "=",
};
static const char *const themes[] = {
    "text = default default\n",
    "header = 252 236 bold\n",
    "border.focus = #12ab3f red underline\n",
    "selected = bright-blue 256\n",
    "nothing = 1 2\n",
    "bar = ",
    "#xyzxyz",
    "-1",
    "255",
    "reverse",
    " ",
    "\n",
    "=",
    "text",
    "default",
};

#define GENERATE(f, list, max)                                     \
    __extension__({                                                \
        char *text_ = NULL;                                        \
        size_t len_;                                               \
        FILE *out_ = open_memstream(&text_, &len_);                \
        for (uint32_t n_ = feed_below((f), (max)); n_ > 0; n_--) { \
            if (feed_rarely((f), 10)) {                            \
                cleanup_free char *raw_ = feed_string((f), 8);     \
                fputs(raw_, out_);                                 \
            } else {                                               \
                fputs(feed_pick((f), list), out_);                 \
            }                                                      \
        }                                                          \
        fclose(out_);                                              \
        text_;                                                     \
    })

/* A key that has a name is found by it. */
static void must_have_name(const struct key *key)
{
    char name[KEY_NAME_ROOM];
    struct key again;
    key_name(key, name);
    must(strlen(name) < sizeof name);
    if (*name && key->code != K_MOUSE && key_parse(name, &again, NULL) == 0)
        must(key_equal(key, &again) || key->code < 0x20 || key->code > 0x10ffff);
}

/* The stream ends in keys, however it is cut. */
static void terminal(struct feed *f)
{
    struct input in = {0};
    struct key key;
    cleanup_free char *text = GENERATE(f, pieces, 40);
    size_t len = strlen(text), keys = 0;

    for (size_t at = 0, n; at < len; at += n) {
        n = min(min((size_t)feed_below(f, 12) + 1, len - at), input_room(&in));
        must(n > 0);
        input_add(&in, text + at, n);
        while (input_next(&in, false, &key)) {
            must_have_name(&key);
            must(++keys <= len);
        }
    }
    while (input_next(&in, true, &key))
        must(++keys <= len);
    must(in.len == 0);
}

static void key_names(struct feed *f)
{
    struct key key;
    struct error err = {0};
    cleanup_free char *text = GENERATE(f, names, 6);
    if (key_parse(text, &key, &err) == 0)
        must_have_name(&key);
    else
        must(*err.text != '\0');
}

static void theme_files(struct feed *f)
{
    struct theme t = {0};
    struct error err = {0};
    uint32_t colour;
    cleanup_free char *text = GENERATE(f, themes, 20);
    if (theme_parse("fuzz", text, strlen(text), &t, &err) < 0)
        must(*err.text != '\0');
    colour_parse(text, &colour, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parts[])(struct feed *) = {terminal, key_names, theme_files};
    struct feed f = {data, size};
    void (*part)(struct feed *) = feed_pick(&f, parts);
    part(&f);
    return 0;
}
