/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest list. The narrow columns have fixed widths, the name gets what is left; more columns
 * appear when the list is wide.
 */
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "guest/engine.h"
#include "ui/app.h"
#include "ui/look.h"
#include "ui/screen.h"

enum { COL_TYPE, COL_STATE, COL_CPU, COL_MEMORY, COL_UPTIME, COLUMNS };

static const struct {
    const char *head;
    int width;
    bool right;
    enum sort_key sort; /* SORT_KEYS: none */
    int from;           /* shown when the list is so wide */
} columns[COLUMNS] = {
    [COL_TYPE] = {"TYPE", 4, false, SORT_TYPE, 0}, [COL_STATE] = {"STATE", 8, false, SORT_STATE, 0},
    [COL_CPU] = {"CPU%", 5, true, SORT_CPU, 0},    [COL_MEMORY] = {"MEM", 5, true, SORT_MEMORY, 0},
    [COL_UPTIME] = {"UP", 6, true, SORT_KEYS, 50},
};

/* Columns left for the name in a list of width w. */
static int name_width(int w)
{
    int left = w - 1; /* the mark */
    for (int c = 0; c < COLUMNS; c++) {
        if (w >= columns[c].from)
            left -= columns[c].width + 1;
    }
    return max(left, 4);
}

/* Text in a field, on the right side of it if asked. */
static void put_field(int y, int x, int w, bool right, enum element el, const char *s)
{
    int used = right ? min(screen_width(s), w) : 0;
    screen_put(y, right ? x + w - used : x, right ? used : w, el, s);
}

static enum element head_look(const struct ui *ui, enum sort_key key)
{
    return ui->roster.sort == key ? EL_COLUMN_SORTED : EL_COLUMN;
}

static void draw_head(const struct ui *ui, int y, struct rect in)
{
    int x = in.x + 1, w = name_width(in.w);
    put_field(y, x, w, false, head_look(ui, SORT_NAME), "NAME");
    x += w + 1;
    for (int c = 0; c < COLUMNS; c++) {
        if (in.w < columns[c].from)
            continue;
        put_field(y, x, columns[c].width, columns[c].right, head_look(ui, columns[c].sort),
                  columns[c].head);
        x += columns[c].width + 1;
    }
}

/* The text of a cell. */
static void cell_text(const struct watched *w, int column, char *out, size_t len)
{
    bool alive = state_alive(w->info.state);
    char size[16];
    out[0] = '\0';
    switch (column) {
    case COL_TYPE:
        snprintf(out, len, "%s", w->info.engine ? w->info.engine->brief : "?");
        break;
    case COL_STATE:
        snprintf(out, len, "%s", state_name(w->info.state));
        break;
    case COL_CPU:
        if (alive)
            snprintf(out, len, "%.*f", w->now.cpu_percent < 9.95 && w->now.cpu_percent >= 0.05,
                     w->now.cpu_percent);
        break;
    case COL_MEMORY:
        size_human(w->now.memory_bytes, size);
        if (alive)
            snprintf(out, len, "%s", size);
        break;
    case COL_UPTIME:
        uptime_human(w->now.uptime_seconds, size);
        if (alive)
            snprintf(out, len, "%s", size);
        break;
    default:
        break;
    }
}

static void draw_row(struct ui *ui, const struct watched *w, int y, struct rect in, bool selected)
{
    bool marked = roster_marked(&ui->roster, w->info.name);
    enum element sel = ui->focus == &view_list ? EL_SELECTED : EL_SELECTED_AWAY;
    enum element plain = state_alive(w->info.state) ? EL_TEXT : EL_STOPPED;
    int x = in.x, nw = name_width(in.w);
    if (selected)
        screen_fill((struct rect){y, in.x, 1, in.w}, sel);
    const char *sign = marked ? "●" : selected ? "▸" : " ";
    screen_put(y, x++, 1, selected ? sel : EL_MARKED, sign);
    put_field(y, x, nw, false, selected ? sel : marked ? EL_MARKED : plain, w->info.name);
    x += nw + 1;
    for (int c = 0; c < COLUMNS; c++) {
        char text[32];
        if (in.w < columns[c].from)
            continue;
        cell_text(w, c, text, sizeof text);
        enum element el = c == COL_STATE ? state_look(w->info.state) : plain;
        put_field(y, x, columns[c].width, columns[c].right, selected ? sel : el, text);
        x += columns[c].width + 1;
    }
}

static void draw_empty(const struct ui *ui, struct rect in)
{
    if (ui->roster.total > 0) {
        screen_putf(in.y + 1, in.x + 1, in.w - 2, EL_FAINT, "no guest matches “%s”",
                    ui->roster.filter);
        screen_put(in.y + 2, in.x + 1, in.w - 2, EL_FAINT, "Esc shows all");
        return;
    }
    screen_put(in.y + 1, in.x + 2, in.w - 3, EL_STRONG, "No guests yet.");
    if (in.h < 9)
        return;
    screen_put(in.y + 3, in.x + 2, in.w - 3, EL_KEY, "Enter");
    screen_put(in.y + 3, in.x + 9, in.w - 10, EL_TEXT, "try a throwaway");
    screen_put(in.y + 4, in.x + 9, in.w - 10, EL_TEXT, "copy of this machine");
    screen_put(in.y + 6, in.x + 2, in.w - 3, EL_KEY, "n");
    screen_put(in.y + 6, in.x + 9, in.w - 10, EL_TEXT, "make a lasting guest");
}

static void list_draw(struct ui *ui, struct rect area)
{
    struct roster *r = &ui->roster;
    struct rect in = rect_inner(area);
    char title[120];
    size_t n = (size_t)snprintf(title, sizeof title, "Guests");
    if (r->filter[0])
        n += (size_t)snprintf(title + n, sizeof title - n, " /%s", r->filter);
    if (r->marked)
        snprintf(title + n, sizeof title - n, " · %zu marked", r->marked);
    screen_box(area, ui->focus == &view_list ? EL_BORDER_FOCUS : EL_BORDER, EL_TITLE, title);
    if (in.h < 2)
        return;
    if (r->total > 0)
        draw_head(ui, in.y, in);
    if (r->count == 0)
        draw_empty(ui, in);
    size_t height = (size_t)in.h - 1;
    roster_scroll(r, height);
    for (size_t i = 0; i < height && r->top + i < r->count; i++)
        draw_row(ui, r->rows[r->top + i], in.y + 1 + (int)i, in, r->top + i == r->at);
    if (r->count > height)
        screen_putf(area.y + area.h - 1, area.x + area.w - 16, 14, EL_FAINT, " %zu of %zu ",
                    r->at + 1, r->count);
}

static unsigned list_mouse(struct ui *ui, const struct key *key, struct rect area)
{
    struct rect in = rect_inner(area);
    size_t row = ui->roster.top + (size_t)(key->row - in.y - 1);
    if (key->mouse == MOUSE_WHEEL_UP || key->mouse == MOUSE_WHEEL_DOWN) {
        ui_run(ui, key->mouse == MOUSE_WHEEL_UP ? "select up" : "select down");
    } else if (key->mouse == MOUSE_PRESS && key->row > in.y && row < ui->roster.count) {
        if (ui->focus != &view_list)
            ui_focus(ui, &view_list);
        roster_move(&ui->roster, (long)row - (long)ui->roster.at);
        ui_settle(ui, false);
    }
    return HANDLED | REDRAW;
}

const struct view view_list = {.name = "list", .draw = list_draw, .mouse = list_mouse};
