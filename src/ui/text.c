/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See text.h. view_text draws it. */
#include "ui/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "ui/app.h"
#include "ui/screen.h"

#define LINES_MAX 20000
#define LEFT_MAX  26 /* cells */

void text_clear(struct text *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->lines[i].left);
        free(t->lines[i].right);
    }
    free(t->lines);
    t->lines = NULL;
    t->count = 0;
    t->left_width = 0;
}

void text_add_pair(struct text *t, enum element left_el, const char *left, enum element right_el,
                   const char *right)
{
    if (t->count == LINES_MAX)
        return;
    t->lines = xrealloc(t->lines, t->count + 1, sizeof *t->lines);
    t->lines[t->count++] = (struct text_line){.left = left ? xstrdup(left) : NULL,
                                              .right = xstrdup(right),
                                              .left_el = left_el,
                                              .right_el = right_el};
    if (left)
        t->left_width = min(max(t->left_width, screen_width(left)), LEFT_MAX);
}

void text_add(struct text *t, enum element el, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cleanup_free char *s = xvasprintf(fmt, ap);
    va_end(ap);
    text_add_pair(t, el, NULL, el, s);
}

void text_open(struct ui *ui, const char *title, text_fill_fn *fill, bool live)
{
    struct text *t = &ui->text;
    text_clear(t);
    *t = (struct text){.fill = live ? fill : NULL};
    snprintf(t->title, sizeof t->title, "%s", title);
    if (fill)
        fill(ui, t);
    if (ui->overlay_count == 0 || ui->overlays[ui->overlay_count - 1] != &view_text)
        ui_overlay(ui, &view_text);
    ui_dirty(ui, DIRTY_ALL);
}

void text_open_string(struct ui *ui, const char *title, const char *s)
{
    text_open(ui, title, NULL, false);
    while (*s) {
        size_t n = strcspn(s, "\n");
        text_add(&ui->text, EL_TEXT, "%.*s", (int)n, s);
        s += n + (s[n] == '\n');
    }
}

/* ---- the view ---- */

/* How many cells the right side of a line has, in a window that is so wide inside. */
static int right_width(const struct text *t, const struct text_line *l, int w)
{
    return w - 2 - (l->left ? t->left_width + 2 : 0);
}

/* The part of a line that goes onto one row; *s moves on to what is left. */
static size_t row_bytes(const char **s, int w)
{
    const size_t n = w > 0 ? screen_line_bytes(*s, w) : strlen(*s);
    *s += n;
    while (n > 0 && **s == ' ')
        ++*s;
    return n;
}

/* Nothing is cut off: it is told in as many rows as it takes. */
static size_t count_rows(const struct text *t, int w)
{
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++) {
        const char *s = t->lines[i].right;
        do
            n++;
        while (row_bytes(&s, right_width(t, &t->lines[i], w)) > 0 && *s);
    }
    return n;
}

static void draw_rows(const struct text *t, struct rect in)
{
    size_t row = 0;
    for (size_t i = 0; i < t->count && row < t->top + (size_t)in.h; i++) {
        const struct text_line *l = &t->lines[i];
        const int w = right_width(t, l, in.w), x = in.x + in.w - 1 - w;
        const char *left = l->left, *s = l->right;
        size_t n;
        do {
            const char *from = s;
            const int y = in.y + (int)(row - t->top);
            n = row_bytes(&s, w);
            if (row++ < t->top)
                continue;
            if (y >= in.y + in.h)
                return;
            if (left)
                screen_put(y, in.x + 1, min(in.w - 2, t->left_width), l->left_el, left);
            left = NULL;
            cleanup_free char *part = xasprintf("%.*s", (int)n, from);
            if (w > 0)
                screen_put(y, x, w, l->right_el, part);
        } while (n > 0 && *s);
    }
}

static struct rect text_place(struct ui *ui, int rows, int cols)
{
    int w = min(cols, 100), h = rows - 2;
    if (ui->text.fill == NULL)
        h = min(h, max((int)count_rows(&ui->text, w - 2) + 2, 8));
    return rect_centred(rows, cols, h, w);
}

static void text_draw(struct ui *ui, struct rect area)
{
    struct text *t = &ui->text;
    struct rect in = rect_inner(area);
    if (t->fill) {
        text_clear(t);
        t->fill(ui, t);
    }
    t->rows = count_rows(t, in.w);
    size_t last = t->rows > (size_t)in.h ? t->rows - (size_t)in.h : 0;
    t->top = t->at_end ? last : min(t->top, last);
    t->at_end = t->top == last && t->fill;
    screen_fill(area, EL_TEXT);
    screen_box(area, EL_BORDER_FOCUS, EL_TITLE, t->title);
    const char *hint = "Esc closes";
    if (area.w > 30)
        screen_putf(area.y + area.h - 1, area.x + area.w - 14, 12, EL_FAINT, " %s ", hint);
    if (last > 0 && area.w > 30)
        screen_putf(area.y + area.h - 1, area.x + 2, 20, EL_FAINT, " %zu of %zu ",
                    min(t->top + (size_t)in.h, t->rows), t->rows);
    draw_rows(t, in);
}

static unsigned text_key(struct ui *ui, const struct key *key)
{
    struct text *t = &ui->text;
    long page = max(text_place(ui, screen_rows(), screen_cols()).h - 3, 1), by = 0;
    switch (key->code) {
    case K_ESC:
    case 'q':
    case 'l':
    case '?':
    case K_F1:
    case K_ENTER:
        return HANDLED | LEAVE;
    case K_UP:
    case 'k':
        by = -1;
        break;
    case K_DOWN:
    case 'j':
        by = 1;
        break;
    case K_PGUP:
        by = -page;
        break;
    case K_PGDN:
    case ' ':
        by = page;
        break;
    case K_HOME:
    case 'g':
        by = -(long)t->rows;
        break;
    case K_END:
    case 'G':
        by = (long)t->rows;
        break;
    case 'c':
        ui_run(ui, "cancel");
        return HANDLED | REDRAW;
    default:
        return HANDLED;
    }
    long top = (long)t->top + by;
    t->top = top < 0 ? 0 : (size_t)top;
    t->at_end = false;
    return HANDLED | REDRAW;
}

static void text_leave(struct ui *ui)
{
    text_clear(&ui->text);
}

const struct view view_text = {
    .name = "text",
    .place = text_place,
    .draw = text_draw,
    .key = text_key,
    .leave = text_leave,
};
