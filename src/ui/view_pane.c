/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pane's view: cells of the shown pane's emulator, its border, and, while its guest gets the
 * keys, the prefix that takes them back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "guest/engine.h"
#include "ui/app.h"
#include "ui/screen.h"

static bool prefix_pressed; /* the next key is for us */

/* ---- drawing ---- */

static void pane_title(struct ui *ui, const struct pane *p, char *out, size_t len)
{
    const struct watched *w = roster_find(&ui->roster, p->guest);
    const char *type = w && w->info.engine ? w->info.engine->type : "";
    static const char *const whats[] = {
        [PANE_CONSOLE] = "console", [PANE_PAST] = "last run", [PANE_PROGRAM] = ""};
    const char *what = p->kind == PANE_PROGRAM ? p->what : whats[p->kind];
    snprintf(out, len, "%s%s%s · %s%s%s%s", p->guest, *type ? " · " : "", type, what,
             p->ended ? " · ended" : "", term_title(p->term)[0] ? " · " : "", term_title(p->term));
}

/* The lower edge: how to get out, or where we are while looking back. */
static void draw_edge(struct ui *ui, const struct pane *p, struct rect area)
{
    char text[120] = "", prefix[KEY_NAME_ROOM];
    int y = area.y + area.h - 1;
    enum element el = EL_FAINT;
    key_name(&ui->keymap.prefix, prefix);
    if (p->scroll.on) {
        uint64_t first = term_history_dropped(p->term);
        snprintf(text, sizeof text, " line %llu of %zu%s ",
                 (unsigned long long)(p->scroll.line - first + 1), term_lines(p->term),
                 p->scroll.marking ? ", copying" : "");
        el = EL_MATCH;
    } else if (p->entered) {
        snprintf(text, sizeof text, prefix_pressed ? " %s … " : " %s leaves ", prefix);
        el = prefix_pressed ? EL_MATCH : EL_BORDER_ATTACHED;
    } else if (p->kind != PANE_PAST && !p->ended) {
        snprintf(text, sizeof text, " Enter ");
    }
    int w = screen_width(text);
    if (w > 0 && w + 4 < area.w)
        screen_put(y, area.x + area.w - w - 2, w, el, text);
}

/* Which row of the screen is the first shown, where the pane is lower than the terminal. */
static unsigned first_row(const struct pane *p, int height)
{
    unsigned cursor = term_cursor(p->term).row, rows = term_rows(p->term);
    if (rows <= (unsigned)height || cursor < (unsigned)height)
        return 0;
    return cursor - (unsigned)height + 1;
}

static void draw_screen(const struct pane *p, struct rect in)
{
    bool dim = p->kind == PANE_PAST || p->ended;
    unsigned first = first_row(p, in.h), cols = min(term_cols(p->term), (unsigned)in.w);
    for (int y = 0; y < in.h && first + (unsigned)y < term_rows(p->term); y++) {
        screen_cells(in.y + y, in.x, term_row(p->term, first + (unsigned)y), (int)cols, ELEMENTS,
                     dim);
        if (term_reversed(p->term))
            screen_reverse_cells(in.y + y, in.x, (int)cols);
    }
    struct term_cursor c = term_cursor(p->term);
    if (p->entered && c.visible && c.row >= first && c.row - first < (unsigned)in.h &&
        c.col < (unsigned)in.w)
        screen_cursor(in.y + (int)(c.row - first), in.x + (int)c.col);
}

/* Lay the search's hits in a line over it. */
static void draw_matches(const struct pane *p, size_t line, int y, struct rect in,
                         const struct cell *cells)
{
    size_t n = strlen(p->scroll.search), len;
    char *text = n ? term_line_text(p->term, line, &len) : NULL;
    for (char *at = text; at && (at = strcasestr(at, p->scroll.search)); at += n) {
        char saved = *at, saved_end = at[n];
        *at = '\0';
        int x = screen_width(text);
        *at = saved;
        at[n] = '\0';
        int w = screen_width(at);
        at[n] = saved_end;
        if (x + w <= in.w)
            screen_cells(y, in.x + x, cells + x, w, EL_MATCH, false);
    }
    free(text);
}

static void draw_past(const struct pane *p, struct rect in)
{
    const struct pane_scroll *s = &p->scroll;
    uint64_t first = term_history_dropped(p->term), lines = term_lines(p->term);
    struct cell *cells = xcalloc((size_t)in.w, sizeof *cells);
    uint64_t top = max(s->top, first), from = s->marking ? min(s->mark, s->line) : s->line,
             to = s->marking ? max(s->mark, s->line) : s->line;
    for (int y = 0; y < in.h && top + (uint64_t)y < first + lines; y++) {
        uint64_t n = top + (uint64_t)y;
        bool copied = s->marking && n >= from && n <= to;
        term_line(p->term, (size_t)(n - first), cells, (size_t)in.w);
        screen_cells(in.y + y, in.x, cells, in.w, copied ? EL_COPY : ELEMENTS, false);
        draw_matches(p, (size_t)(n - first), in.y + y, in, cells);
    }
    free(cells);
    screen_cursor(in.y + (int)(s->line - top), in.x);
}

/* Nothing to show: say what could be. */
static void draw_nothing(struct ui *ui, struct rect in)
{
    static const char *const texts[] = {
        "pult keeps virtual machines and containers at hand.",
        "Enter starts a container of this machine: change anything, nothing of it stays.",
        "n makes a container or a virtual machine that lasts. F1 lists all keys.",
    };
    if (ui->roster.total > 0)
        return;
    const int end = in.y + in.h, w = min(in.w - 4, 52);
    int y = in.y + max((in.h - 3 * (int)ARRAY_SIZE(texts)) / 3, 0);
    for (size_t i = 0; i < ARRAY_SIZE(texts) && y < end; i++)
        y += 1 + screen_wrapped(y, in.x + 2, w, end - y, i == 0 ? EL_STRONG : EL_TEXT, texts[i]);
}

/* Why a guest crashed, on top of what it printed last. */
static void draw_reason(struct ui *ui, const struct pane *p, struct rect in)
{
    const struct watched *w = roster_find(&ui->roster, p->guest);
    if (p->kind != PANE_PAST || !w || w->info.state != GUEST_CRASHED)
        return;
    screen_fill((struct rect){in.y, in.x, 1, in.w}, EL_BAD);
    screen_putf(in.y, in.x, in.w, EL_BAD, "✗ %s", w->info.last.reason);
}

static void pane_draw(struct ui *ui, struct rect area)
{
    const struct pane *p = ui->panes.shown;
    struct rect in = rect_inner(area);
    char title[300] = "";
    if (p)
        pane_title(ui, p, title, sizeof title);
    screen_fill(in, EL_TEXT);
    screen_cursor(-1, 0);
    screen_box(area,
               p && p->entered           ? EL_BORDER_ATTACHED
               : ui->focus == &view_pane ? EL_BORDER_FOCUS
                                         : EL_BORDER,
               EL_TITLE, title);
    if (p == NULL) {
        draw_nothing(ui, in);
        return;
    }
    if (p->scroll.on)
        draw_past(p, in);
    else
        draw_screen(p, in);
    draw_reason(ui, p, in);
    draw_edge(ui, p, area);
}

/* ---- keys ---- */

static unsigned pane_key(struct ui *ui, const struct key *key)
{
    struct pane *p = ui->panes.shown;
    if (p == NULL) {
        ui_focus(ui, &view_list);
        return 0;
    }
    enum key_context context = p->scroll.on ? KEYS_SCROLL : KEYS_PREFIX;
    bool is_prefix = key_equal(key, &ui->keymap.prefix);
    if (!p->scroll.on && !prefix_pressed && !is_prefix) {
        if (!p->entered)
            return 0;
        pane_type(p, key);
        return HANDLED;
    }
    if (!prefix_pressed && is_prefix) {
        prefix_pressed = true;
        return HANDLED | REDRAW;
    }
    if (prefix_pressed)
        context = KEYS_PREFIX;
    prefix_pressed = false;
    ui->messages.shown = NULL;
    const struct binding *b = keymap_find(&ui->keymap, context, key);
    if (b)
        ui_run(ui, b->line);
    else if (is_prefix) /* twice: leave, as one expects of a key that means "out" */
        ui_run(ui, "leave");
    return HANDLED | REDRAW;
}

static unsigned pane_mouse(struct ui *ui, const struct key *key, struct rect area)
{
    struct pane *p = ui->panes.shown;
    struct rect in = rect_inner(area);
    if (!p || !rect_has(in, key->row, key->col))
        return HANDLED;
    if (p->entered && term_wants_mouse(p->term) && !p->scroll.on) {
        pane_point(p, key, (unsigned)(key->row - in.y) + first_row(p, in.h),
                   (unsigned)(key->col - in.x));
        return HANDLED;
    }
    if (key->mouse == MOUSE_WHEEL_UP) {
        ui_run(ui, "scroll half-up");
    } else if (key->mouse == MOUSE_WHEEL_DOWN && p->scroll.on) {
        ui_run(ui, "scroll half-down");
    } else if (key->mouse == MOUSE_PRESS && !p->entered) {
        ui_run(ui, "console");
    }
    return HANDLED | REDRAW;
}

const struct view view_pane = {
    .name = "pane",
    .draw = pane_draw,
    .key = pane_key,
    .mouse = pane_mouse,
};
