/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See scrollback.h. */
#include "ui/scrollback.h"

#include <stdlib.h>
#include <wchar.h>

#include "base/util.h"

/* From byte `at` of the text on, cells have this style. */
struct run {
    uint32_t at;
    struct style style;
};

struct line {
    uint32_t text_len, runs;
    struct run run[]; /* runs of them, then the text */
};

struct scrollback {
    struct line **ring;
    size_t max_lines, max_bytes;
    size_t first, count, bytes;
    uint64_t dropped;
    char *text; /* the line being packed, reused */
    struct run *run;
    size_t room; /* cells that text and run are large enough for */
};

struct scrollback *scrollback_new(size_t max_lines, size_t max_bytes)
{
    struct scrollback *s = xcalloc(1, sizeof *s);
    s->max_lines = max(max_lines, (size_t)1);
    s->max_bytes = max_bytes;
    s->ring = xcalloc(s->max_lines, sizeof *s->ring);
    return s;
}

void scrollback_free(struct scrollback *s)
{
    if (s == NULL)
        return;
    scrollback_clear(s);
    free(s->ring);
    free(s->text);
    free(s->run);
    free(s);
}

static size_t line_size(const struct line *l)
{
    return sizeof *l + l->runs * sizeof l->run[0] + l->text_len;
}

static char *line_text(const struct line *l)
{
    return (char *)&l->run[l->runs];
}

static struct line *line_at(const struct scrollback *s, size_t i)
{
    return s->ring[(s->first + i) % s->max_lines];
}

static void drop_first(struct scrollback *s)
{
    struct line *l = line_at(s, 0);
    s->bytes -= line_size(l);
    free(l);
    s->first = (s->first + 1) % s->max_lines;
    s->count--;
    s->dropped++;
}

void scrollback_clear(struct scrollback *s)
{
    while (s->count > 0)
        drop_first(s);
}

/* Room to pack n cells: at most CELL_CHARS characters of 4 bytes and one run each. */
static void reserve(struct scrollback *s, size_t n)
{
    if (n <= s->room)
        return;
    s->text = xrealloc(s->text, n, CELL_CHARS * 4);
    s->run = xrealloc(s->run, n, sizeof *s->run);
    s->room = n;
}

void scrollback_push(struct scrollback *s, const struct cell *cells, size_t n)
{
    while (n > 0 && cell_blank(&cells[n - 1]))
        n--;
    reserve(s, max(n, (size_t)1)); /* memcpy wants a source, also for nothing */
    size_t len = 0, runs = 0;
    struct style now = {0};
    for (size_t i = 0; i < n; i++) {
        const struct cell *c = &cells[i];
        if (c->width == 0)
            continue;
        if (!style_equal(&c->style, &now)) {
            now = c->style;
            s->run[runs++] = (struct run){.at = (uint32_t)len, .style = now};
        }
        if (c->chars[0] - 1 < 0x7f && c->chars[1] == 0) {
            s->text[len++] = (char)c->chars[0];
            continue;
        }
        len += utf8_put(s->text + len, c->chars[0] ? c->chars[0] : ' ');
        for (size_t k = 1; k < CELL_CHARS && c->chars[k]; k++)
            len += utf8_put(s->text + len, c->chars[k]);
    }
    struct line *l = malloc(sizeof *l + runs * sizeof l->run[0] + len);
    if (l == NULL) /* a line less is better than an end */
        return;
    l->text_len = (uint32_t)len;
    l->runs = (uint32_t)runs;
    memcpy(l->run, s->run, runs * sizeof l->run[0]);
    memcpy(line_text(l), s->text, len);

    while (s->count > 0 && (s->count == s->max_lines || s->bytes + line_size(l) > s->max_bytes))
        drop_first(s);
    s->ring[(s->first + s->count++) % s->max_lines] = l;
    s->bytes += line_size(l);
}

/* Columns that a character takes; what the C library does not know takes one. */
static unsigned char_width(uint32_t c)
{
    if (c < 0x300)
        return 1;
    int w = wcwidth((wchar_t)c);
    return w < 0 ? 1 : (unsigned)w;
}

static void unpack(const struct line *l, struct cell *cells, size_t n)
{
    memset(cells, 0, n * sizeof *cells);
    for (size_t i = 0; i < n; i++)
        cells[i].width = 1;
    const char *text = line_text(l);
    struct style style = {0};
    size_t run = 0, col = 0;
    for (size_t at = 0; at < l->text_len;) {
        if (run < l->runs && l->run[run].at <= at)
            style = l->run[run++].style;
        uint32_t c;
        at += utf8_get(text + at, l->text_len - at, &c);
        unsigned w = char_width(c);
        if (w == 0 && col > 0) {
            struct cell *base = &cells[col - 1 - (cells[col - 1].width == 0 && col > 1)];
            for (size_t k = 1; k < CELL_CHARS; k++) {
                if (base->chars[k] == 0) {
                    base->chars[k] = c;
                    break;
                }
            }
            continue;
        }
        if (col + w > n)
            break;
        cells[col] = (struct cell){.chars = {c}, .width = w, .style = style};
        if (w == 2)
            cells[col + 1] = (struct cell){.width = 0, .style = style};
        col += w;
    }
}

bool scrollback_pop(struct scrollback *s, struct cell *cells, size_t n)
{
    if (s->count == 0)
        return false;
    struct line *l = line_at(s, s->count - 1);
    unpack(l, cells, n);
    s->bytes -= line_size(l);
    s->count--;
    free(l);
    return true;
}

size_t scrollback_count(const struct scrollback *s)
{
    return s->count;
}

size_t scrollback_bytes(const struct scrollback *s)
{
    return s->bytes;
}

uint64_t scrollback_dropped(const struct scrollback *s)
{
    return s->dropped;
}

void scrollback_cells(const struct scrollback *s, size_t i, struct cell *cells, size_t n)
{
    unpack(line_at(s, i), cells, n);
}

const char *scrollback_text(const struct scrollback *s, size_t i, size_t *len)
{
    const struct line *l = line_at(s, i);
    *len = l->text_len;
    return line_text(l);
}
