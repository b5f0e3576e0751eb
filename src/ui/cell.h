/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One character cell as a guest's terminal has it: what the emulator writes, what the scrollback
 * keeps and what the screen draws. It holds no control characters: the emulator replaces them.
 */
#ifndef PULT_UI_CELL_H
#define PULT_UI_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CELL_CHARS 3 /* the character and at most two combining marks */

enum cell_attr {
    CELL_BOLD = 1 << 0,
    CELL_UNDERLINE = 1 << 1,
    CELL_ITALIC = 1 << 2,
    CELL_BLINK = 1 << 3,
    CELL_REVERSE = 1 << 4,
    CELL_DIM = 1 << 5,
};

/* A colour: 0 is the terminal's default, else a palette index or 24 bits of RGB. */
#define COLOUR_DEFAULT  0u
#define COLOUR_INDEX(i) (0x01000000u | ((uint32_t)(i)&0xffu))
#define COLOUR_RGB(r, g, b) \
    (0x02000000u | ((uint32_t)(r) << 16) | ((uint32_t)(g) << 8) | (uint32_t)(b))
#define COLOUR_KIND(c) ((c) >> 24) /* 0 default, 1 index, 2 RGB */

struct style {
    uint32_t fg, bg;
    uint32_t attrs; /* enum cell_attr */
};

struct cell {
    uint32_t chars[CELL_CHARS]; /* chars[0] == 0: blank */
    uint32_t width;             /* 1 or 2; 0: the right half of a wide character */
    struct style style;
};

static inline bool style_equal(const struct style *a, const struct style *b)
{
    return a->fg == b->fg && a->bg == b->bg && a->attrs == b->attrs;
}

static inline bool cell_blank(const struct cell *c)
{
    return (c->chars[0] == 0 || c->chars[0] == ' ') && c->style.bg == 0 &&
           !(c->style.attrs & (CELL_REVERSE | CELL_UNDERLINE));
}

/* Append c as UTF-8 to out, which has room for 4 bytes. Returns how many were written. */
static inline size_t utf8_put(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/*
 * Take one character off s[0..len), len > 0. Returns how many bytes it took; a byte that is not
 * UTF-8 gives U+FFFD.
 */
static inline size_t utf8_get(const char *s, size_t len, uint32_t *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char b = (unsigned char)s[0];
    size_t n = b < 0x80 ? 1 : b >= 0xf0 && b < 0xf5 ? 4 : b >= 0xe0 ? 3 : b >= 0xc2 ? 2 : 0;
    *c = 0xfffd;
    if (n == 0 || b >= 0xf5 || n > len)
        return 1;
    uint32_t v = n == 1 ? b : b & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 1;
        v = v << 6 | ((unsigned char)s[i] & 0x3f);
    }
    if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return 1;
    *c = v;
    return n;
}

#endif
