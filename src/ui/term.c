/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See term.h. The two grids (main and alternate screen) are arrays of pointers to rows. */
#include "ui/term.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vterm.h>
#include <wchar.h>

#include "base/util.h"
#include "ui/scrollback.h"

#define HISTORY_LINES 20000
#define HISTORY_BYTES (16u << 20)

/* libvterm 0.2 changed how strings and a new cursor position are handed over. */
#define VTERM_OLD (VTERM_VERSION_MAJOR == 0 && VTERM_VERSION_MINOR < 2)

enum { SCREEN_MAIN, SCREEN_ALT, SCREENS };

/* Where term_feed() is in a control sequence. */
struct csi {
    enum { CSI_NONE, CSI_ESCAPE, CSI_INSIDE } at;
    bool plain;      /* no private marker and no intermediate byte so far */
    bool first;      /* in the first parameter */
    unsigned count;  /* its value */
    unsigned digits; /* of the parameter being read */
};

struct term {
    VTerm *vt;
    VTermState *state;
    unsigned cols, rows;
    struct cell **grid[SCREENS];
    struct cell **now; /* the one shown */
    struct scrollback *history;
    struct style pen;
    struct term_cursor cursor;
    bool alt, reversed, damaged;
    struct csi csi;
    struct cell last; /* the character printed last, for REP */
    int mouse;
    char title[128];
    const struct term_events *ev;
    void *arg;
};

static void blank(struct cell *cells, size_t n, uint32_t bg)
{
    const struct cell c = {.width = 1, .style.bg = bg};
    for (size_t i = 0; i < n; i++)
        cells[i] = c;
}

static struct cell **grid_new(unsigned cols, unsigned rows)
{
    struct cell **g = xcalloc(rows, sizeof *g);
    for (unsigned r = 0; r < rows; r++) {
        g[r] = xcalloc(cols, sizeof **g);
        blank(g[r], cols, COLOUR_DEFAULT);
    }
    return g;
}

static void grid_free(struct cell **g, unsigned rows)
{
    for (unsigned r = 0; g && r < rows; r++)
        free(g[r]);
    free(g);
}

/* Characters that must not reach the admin's terminal: controls, and those that reorder text. */
static uint32_t harmless(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0xfffd;
    return c;
}

static bool reorders(uint32_t c)
{
    return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/* ---- libvterm's callbacks ---- */

/* Half a wide character must not remain where the other half is overwritten. */
static void cut_wide(struct term *t, struct cell *row, unsigned col)
{
    if (col < t->cols && row[col].width == 0 && col > 0) {
        row[col - 1].chars[0] = 0;
        row[col - 1].width = 1;
        row[col].width = 1;
    }
}

static int on_putglyph(VTermGlyphInfo *info, VTermPos pos, void *user)
{
    struct term *t = user;
    unsigned col = (unsigned)pos.col, width = info->width == 2 ? 2 : 1;
    if (pos.row < 0 || (unsigned)pos.row >= t->rows || col >= t->cols)
        return 1;
    struct cell *row = t->now[pos.row], *c = &row[col];
    if (width == 2 && col + 1 >= t->cols)
        width = 1;
    cut_wide(t, row, col);
    if (col + width < t->cols)
        cut_wide(t, row, col + width);
    uint32_t first = harmless(info->chars[0]);
    if (reorders(first))
        first = 0xfffd;
    *c = (struct cell){.chars = {first}, .width = width, .style = t->pen};
    if (first >= 0x80 || info->chars[1]) {
        size_t k = 1;
        for (size_t i = 1; info->chars[0] && i < VTERM_MAX_CHARS_PER_CELL && info->chars[i]; i++) {
            if (k < CELL_CHARS && !reorders(info->chars[i]))
                c->chars[k++] = harmless(info->chars[i]);
        }
    }
    if (width == 2)
        row[col + 1] = (struct cell){.width = 0, .style = t->pen};
    t->last = *c;
    t->damaged = true;
    return 1;
}

static int on_movecursor(VTermPos pos, VTermPos old, int visible, void *user)
{
    struct term *t = user;
    (void)old;
    (void)visible;
    t->cursor.row = (unsigned)max(pos.row, 0);
    t->cursor.col = (unsigned)max(pos.col, 0);
    t->damaged = true;
    return 1;
}

static int on_erase(VTermRect rect, int selective, void *user)
{
    struct term *t = user;
    (void)selective;
    int end_row = min(rect.end_row, (int)t->rows), end_col = min(rect.end_col, (int)t->cols);
    for (int r = max(rect.start_row, 0); r < end_row; r++) {
        int from = max(rect.start_col, 0);
        if (from >= end_col)
            break;
        cut_wide(t, t->now[r], (unsigned)from);
        cut_wide(t, t->now[r], (unsigned)end_col);
        blank(t->now[r] + from, (size_t)(end_col - from), t->pen.bg);
    }
    t->damaged = true;
    return 1;
}

/* Move the n rows of g up by `by` (down if negative) by turning their pointers. */
static void turn_rows(struct term *t, struct cell **g, unsigned n, int by)
{
    unsigned count = min((unsigned)abs(by), n);
    for (unsigned i = 0; i < count; i++) {
        struct cell *moved = by > 0 ? g[0] : g[n - 1];
        if (by > 0)
            memmove(g, g + 1, (n - 1) * sizeof(struct cell *));
        else
            memmove(g + 1, g, (n - 1) * sizeof(struct cell *));
        g[by > 0 ? n - 1 : 0] = moved;
        blank(moved, t->cols, t->pen.bg);
    }
}

/* Scroll a rectangle that is not whole rows: cells move, within bounds. */
static void move_cells(struct term *t, VTermRect rect, int down, int right)
{
    int h = rect.end_row - rect.start_row, w = rect.end_col - rect.start_col;
    down = min(max(down, -h), h);
    right = min(max(right, -w), w);
    for (int i = 0; i < h; i++) {
        int r = down >= 0 ? rect.start_row + i : rect.end_row - 1 - i;
        int from = r + down;
        struct cell *to = t->now[r] + rect.start_col;
        if (from < rect.start_row || from >= rect.end_row) {
            blank(to, (size_t)w, t->pen.bg);
            continue;
        }
        const struct cell *src = t->now[from] + rect.start_col;
        size_t n = (size_t)(w - abs(right));
        if (right >= 0) {
            memmove(to, src + right, n * sizeof *to);
            blank(to + n, (size_t)right, t->pen.bg);
        } else {
            memmove(to - right, src, n * sizeof *to);
            blank(to, (size_t)-right, t->pen.bg);
        }
    }
}

static int on_scrollrect(VTermRect rect, int downward, int rightward, void *user)
{
    struct term *t = user;
    rect.start_row = max(rect.start_row, 0);
    rect.start_col = max(rect.start_col, 0);
    rect.end_row = min(rect.end_row, (int)t->rows);
    rect.end_col = min(rect.end_col, (int)t->cols);
    if (rect.start_row >= rect.end_row || rect.start_col >= rect.end_col)
        return 1;
    t->damaged = true;
    bool whole = rect.start_col == 0 && rect.end_col == (int)t->cols;
    if (!whole || rightward != 0) {
        move_cells(t, rect, downward, rightward);
        return 1;
    }
    int height = rect.end_row - rect.start_row;
    if (!t->alt && rect.start_row == 0) {
        for (int i = 0; i < min(downward, height); i++)
            scrollback_push(t->history, t->now[i], t->cols);
    }
    turn_rows(t, t->now + rect.start_row, (unsigned)height, downward);
    return 1;
}

static int on_initpen(void *user)
{
    struct term *t = user;
    t->pen = (struct style){0};
    return 1;
}

static uint32_t colour_of(const VTermColor *c)
{
    if (VTERM_COLOR_IS_DEFAULT_FG(c) || VTERM_COLOR_IS_DEFAULT_BG(c))
        return COLOUR_DEFAULT;
    if (VTERM_COLOR_IS_INDEXED(c))
        return COLOUR_INDEX(c->indexed.idx);
    return COLOUR_RGB(c->rgb.red, c->rgb.green, c->rgb.blue);
}

static int on_setpenattr(VTermAttr attr, VTermValue *val, void *user)
{
    static const uint32_t bits[VTERM_N_ATTRS] = {
        [VTERM_ATTR_BOLD] = CELL_BOLD,       [VTERM_ATTR_UNDERLINE] = CELL_UNDERLINE,
        [VTERM_ATTR_ITALIC] = CELL_ITALIC,   [VTERM_ATTR_BLINK] = CELL_BLINK,
        [VTERM_ATTR_REVERSE] = CELL_REVERSE,
    };
    struct term *t = user;
    if (attr == VTERM_ATTR_FOREGROUND)
        t->pen.fg = colour_of(&val->color);
    else if (attr == VTERM_ATTR_BACKGROUND)
        t->pen.bg = colour_of(&val->color);
    else if ((unsigned)attr < VTERM_N_ATTRS && bits[attr])
        t->pen.attrs = val->number ? t->pen.attrs | bits[attr] : t->pen.attrs & ~bits[attr];
    return 1;
}

/* Add a piece of the title; what is not printable is left out. */
static void title_add(struct term *t, const char *s, size_t len, bool first)
{
    size_t have = first ? 0 : strlen(t->title);
    for (size_t i = 0; i < len;) {
        uint32_t c;
        size_t n = utf8_get(s + i, len - i, &c);
        i += n;
        if (harmless(c) != c || reorders(c) || c == 0xfffd || have + n >= sizeof t->title)
            continue;
        have += utf8_put(t->title + have, c);
    }
    t->title[have] = '\0';
}

static int on_settermprop(VTermProp prop, VTermValue *val, void *user)
{
    struct term *t = user;
    t->damaged = true;
    switch (prop) {
    case VTERM_PROP_CURSORVISIBLE:
        t->cursor.visible = val->boolean;
        return 1;
    case VTERM_PROP_ALTSCREEN:
        t->alt = val->boolean;
        t->now = t->grid[t->alt ? SCREEN_ALT : SCREEN_MAIN];
        return 1;
    case VTERM_PROP_REVERSE:
        t->reversed = val->boolean;
        return 1;
    case VTERM_PROP_MOUSE:
        t->mouse = val->number;
        return 1;
    case VTERM_PROP_TITLE:
#if VTERM_OLD
        title_add(t, val->string, strlen(val->string), true);
#else
        title_add(t, val->string.str, val->string.len, val->string.initial);
#endif
        return 1;
    default:
        return 1;
    }
}

static int on_bell(void *user)
{
    struct term *t = user;
    if (t->ev->bell)
        t->ev->bell(t->arg);
    return 1;
}

/*
 * Give g a new size. Rows are cut off and added at the top while the scrollback takes and gives
 * them (`top` rows: cut if positive), else at the bottom.
 */
static struct cell **grid_resize(struct term *t, struct cell **old, unsigned cols, unsigned rows,
                                 int top)
{
    struct cell **g = grid_new(cols, rows);
    for (unsigned r = 0; r < rows; r++) {
        int from = (int)r + top;
        if (from >= 0 && from < (int)t->rows)
            memcpy(g[r], old[from], min(cols, t->cols) * sizeof **g);
        struct cell *last = &g[r][cols - 1];
        if (last->width == 2)
            *last = (struct cell){.width = 1};
    }
    for (int r = -1; top < 0 && r >= top; r--)
        scrollback_pop(t->history, g[r - top], cols);
    grid_free(old, t->rows);
    return g;
}

/* Resize both grids. Returns by how many rows the main screen's content moved down. */
static int resize_grids(struct term *t, unsigned cols, unsigned rows, int cursor_row)
{
    int top = 0;
    if (!t->alt && rows < t->rows)
        top = max(cursor_row - (int)rows + 1, 0);
    else if (!t->alt)
        top = -(int)min((size_t)(rows - t->rows), scrollback_count(t->history));
    for (int r = 0; r < top; r++)
        scrollback_push(t->history, t->grid[SCREEN_MAIN][r], t->cols);
    t->grid[SCREEN_MAIN] = grid_resize(t, t->grid[SCREEN_MAIN], cols, rows, top);
    t->grid[SCREEN_ALT] = grid_resize(t, t->grid[SCREEN_ALT], cols, rows, 0);
    t->now = t->grid[t->alt ? SCREEN_ALT : SCREEN_MAIN];
    t->cols = cols;
    t->rows = rows;
    t->damaged = true;
    return -top;
}

/* libvterm's memory, which the callback of its newer versions has to allocate as well. */
static void *vterm_calloc(size_t size, void *user)
{
    (void)user;
    return xcalloc(1, size);
}

static void vterm_release(void *p, void *user)
{
    (void)user;
    free(p);
}

static VTermAllocatorFunctions allocator = {vterm_calloc, vterm_release};

#if VTERM_OLD
static int on_resize(int rows, int cols, VTermPos *delta, void *user)
{
    struct term *t = user;
    delta->row = resize_grids(t, (unsigned)cols, (unsigned)rows, (int)t->cursor.row);
    return 1;
}
#else
/* From 0.2 on, whoever takes this callback also gives libvterm its line flags in the new size. */
static int on_resize(int rows, int cols, VTermStateFields *fields, void *user)
{
    struct term *t = user;
    for (size_t i = 0; i < ARRAY_SIZE(fields->lineinfos); i++) {
        VTermLineInfo *old = fields->lineinfos[i];
        if (old == NULL)
            continue;
        fields->lineinfos[i] = vterm_calloc((size_t)rows * sizeof *old, NULL);
        memcpy(fields->lineinfos[i], old, min((size_t)rows, (size_t)t->rows) * sizeof *old);
        vterm_release(old, NULL);
    }
    fields->pos.row += resize_grids(t, (unsigned)cols, (unsigned)rows, fields->pos.row);
    return 1;
}
#endif

static const VTermStateCallbacks callbacks = {
    .putglyph = on_putglyph,
    .movecursor = on_movecursor,
    .scrollrect = on_scrollrect,
    .erase = on_erase,
    .initpen = on_initpen,
    .setpenattr = on_setpenattr,
    .settermprop = on_settermprop,
    .bell = on_bell,
    .resize = on_resize,
};

static void on_output(const char *bytes, size_t len, void *user)
{
    struct term *t = user;
    if (t->ev->reply)
        t->ev->reply(t->arg, bytes, len);
}

/* ---- what others call ---- */

static unsigned clamp(unsigned v, unsigned lo, unsigned hi)
{
    return min(max(v, lo), hi);
}

struct term *term_new(unsigned cols, unsigned rows, const struct term_events *ev, void *arg)
{
    struct term *t = xcalloc(1, sizeof *t);
    t->cols = clamp(cols, TERM_MIN_COLS, TERM_MAX_COLS);
    t->rows = clamp(rows, TERM_MIN_ROWS, TERM_MAX_ROWS);
    t->ev = ev;
    t->arg = arg;
    t->history = scrollback_new(HISTORY_LINES, HISTORY_BYTES);
    for (int i = 0; i < SCREENS; i++)
        t->grid[i] = grid_new(t->cols, t->rows);
    t->now = t->grid[SCREEN_MAIN];
    t->vt = vterm_new_with_allocator((int)t->rows, (int)t->cols, &allocator, NULL);
    vterm_set_utf8(t->vt, 1);
    vterm_output_set_callback(t->vt, on_output, t);
    t->state = vterm_obtain_state(t->vt);
    vterm_state_set_callbacks(t->state, &callbacks, t);
    vterm_state_set_bold_highbright(t->state, 0);
    vterm_state_reset(t->state, 1);
    return t;
}

void term_free(struct term *t)
{
    if (t == NULL)
        return;
    vterm_free(t->vt);
    for (int i = 0; i < SCREENS; i++)
        grid_free(t->grid[i], t->rows);
    scrollback_free(t->history);
    free(t);
}

/* REP (ECMA-48, 8.3.103): print the last character again, at most to the end of the row. */
static void repeat_last(struct term *t, unsigned count)
{
    char text[CELL_CHARS * 4];
    size_t len = 0;
    for (unsigned i = 0; i < CELL_CHARS && t->last.chars[i]; i++)
        len += utf8_put(text + len, t->last.chars[i]);
    unsigned room = t->cols - min(t->cursor.col, t->cols);
    count = min(max(count, 1u), room / max(t->last.width, 1u));
    for (; len > 0 && count > 0; count--)
        vterm_input_write(t->vt, text, len);
}

/* One byte inside CSI. */
static void csi_byte(struct term *t, char c)
{
    struct csi *s = &t->csi;
    bool digit = c >= '0' && c <= '9';
    if (digit && s->first)
        s->count = min(s->count * 10 + (unsigned)(c - '0'), 9999u);
    if (digit && ++s->digits > 4)
        return;
    if (!digit)
        s->digits = 0;
    if (c == 'b' && s->plain) {
        vterm_input_write(t->vt, "\x18", 1); /* CAN */
        repeat_last(t, s->count);
    } else {
        vterm_input_write(t->vt, &c, 1);
    }
    if (c == 0x1b)
        s->at = CSI_ESCAPE;
    else if ((unsigned char)c >= 0x40 || c == 0x18 || c == 0x1a)
        s->at = c == 0x7f ? CSI_INSIDE : CSI_NONE;
    else if (c >= ' ' && !digit)
        s->first = false;
    if ((c >= ' ' && c <= '/') || (c >= '<' && c <= '?'))
        s->plain = false;
}

/*
 * libvterm is not to be trusted with every control sequence: REP makes it loop for ever where
 * nothing was printed before, and sums of large parameters overflow. So parameters are cut to
 * four digits on their way, and REP is done here.
 */
void term_feed(struct term *t, const void *bytes, size_t len)
{
    const char *p = bytes, *end = p + len;
    while (p < end) {
        if (t->csi.at == CSI_INSIDE) {
            csi_byte(t, *p++);
            continue;
        }
        const char *stop = p + 1;
        if (t->csi.at == CSI_NONE) {
            const char *escape = memchr(p, 0x1b, (size_t)(end - p));
            stop = escape ? escape + 1 : end;
            if (escape)
                t->csi.at = CSI_ESCAPE;
        } else if (*p == '[') {
            t->csi = (struct csi){.at = CSI_INSIDE, .plain = true, .first = true};
        } else if ((unsigned char)*p >= ' ' ? *p != 0x7f : *p == 0x18 || *p == 0x1a) {
            t->csi.at = CSI_NONE;
        }
        vterm_input_write(t->vt, p, (size_t)(stop - p));
        p = stop;
    }
}

void term_resize(struct term *t, unsigned cols, unsigned rows)
{
    cols = clamp(cols, TERM_MIN_COLS, TERM_MAX_COLS);
    rows = clamp(rows, TERM_MIN_ROWS, TERM_MAX_ROWS);
    if (cols == t->cols && rows == t->rows)
        return;
    /*
     * libvterm (0.1.4 and 0.3) keeps a scroll region that begins below the new last row, and the
     * next line feed there moves a negative number of lines. So the region goes first, as xterm
     * does it too; that moves the cursor, which is put back.
     */
    char reset[64];
    VTermPos at;
    vterm_state_get_cursorpos(t->state, &at);
    snprintf(reset, sizeof reset, "\033[r\033[%d;%dH", at.row + 1, at.col + 1);
    term_feed(t, reset, strlen(reset));
    vterm_set_size(t->vt, (int)rows, (int)cols);
}

unsigned term_cols(const struct term *t)
{
    return t->cols;
}

unsigned term_rows(const struct term *t)
{
    return t->rows;
}

const struct cell *term_row(const struct term *t, unsigned row)
{
    return t->now[min(row, t->rows - 1)];
}

bool term_take_damage(struct term *t)
{
    bool was = t->damaged;
    t->damaged = false;
    return was;
}

struct term_cursor term_cursor(const struct term *t)
{
    struct term_cursor c = t->cursor;
    c.row = min(c.row, t->rows - 1);
    c.col = min(c.col, t->cols - 1);
    return c;
}

bool term_reversed(const struct term *t)
{
    return t->reversed;
}

bool term_wants_mouse(const struct term *t)
{
    return t->mouse != VTERM_PROP_MOUSE_NONE;
}

const char *term_title(const struct term *t)
{
    return t->title;
}

size_t term_history(const struct term *t)
{
    return scrollback_count(t->history);
}

uint64_t term_history_dropped(const struct term *t)
{
    return scrollback_dropped(t->history);
}

size_t term_lines(const struct term *t)
{
    return scrollback_count(t->history) + t->rows;
}

void term_line(const struct term *t, size_t line, struct cell *cells, size_t n)
{
    size_t history = scrollback_count(t->history);
    if (line < history) {
        scrollback_cells(t->history, line, cells, n);
        return;
    }
    size_t have = min(n, (size_t)t->cols);
    memcpy(cells, term_row(t, (unsigned)(line - history)), have * sizeof *cells);
    blank(cells + have, n - have, COLOUR_DEFAULT);
}

char *term_line_text(const struct term *t, size_t line, size_t *len)
{
    size_t history = scrollback_count(t->history), n;
    if (line < history) {
        const char *s = scrollback_text(t->history, line, &n);
        *len = n;
        return xstrndup(s, n);
    }
    const struct cell *row = term_row(t, (unsigned)(line - history));
    char *out = xcalloc(t->cols * CELL_CHARS + 1, 4);
    size_t end = 0;
    n = 0;
    for (unsigned c = 0; c < t->cols; c++) {
        if (row[c].width == 0)
            continue;
        n += utf8_put(out + n, row[c].chars[0] ? row[c].chars[0] : ' ');
        for (size_t k = 1; k < CELL_CHARS && row[c].chars[k]; k++)
            n += utf8_put(out + n, row[c].chars[k]);
        if (row[c].chars[0] && row[c].chars[0] != ' ')
            end = n;
    }
    out[end] = '\0';
    *len = end;
    return out;
}

/* ---- keys to bytes ---- */

static VTermModifier vterm_mods(unsigned mods)
{
    return (VTermModifier)(mods & 7); /* the bits agree */
}

static VTermKey vterm_key(uint32_t code)
{
    static const VTermKey keys[] = {
        [K_ENTER - K_ENTER] = VTERM_KEY_ENTER, [K_TAB - K_ENTER] = VTERM_KEY_TAB,
        [K_ESC - K_ENTER] = VTERM_KEY_ESCAPE,  [K_BACKSPACE - K_ENTER] = VTERM_KEY_BACKSPACE,
        [K_UP - K_ENTER] = VTERM_KEY_UP,       [K_DOWN - K_ENTER] = VTERM_KEY_DOWN,
        [K_LEFT - K_ENTER] = VTERM_KEY_LEFT,   [K_RIGHT - K_ENTER] = VTERM_KEY_RIGHT,
        [K_HOME - K_ENTER] = VTERM_KEY_HOME,   [K_END - K_ENTER] = VTERM_KEY_END,
        [K_PGUP - K_ENTER] = VTERM_KEY_PAGEUP, [K_PGDN - K_ENTER] = VTERM_KEY_PAGEDOWN,
        [K_INS - K_ENTER] = VTERM_KEY_INS,     [K_DEL - K_ENTER] = VTERM_KEY_DEL,
    };
    if (code >= K_F1 && code <= K_F12)
        return (VTermKey)VTERM_KEY_FUNCTION(code - K_F0);
    if (code >= K_ENTER && code - K_ENTER < ARRAY_SIZE(keys))
        return keys[code - K_ENTER];
    return VTERM_KEY_NONE;
}

/*
 * Characters are encoded here: libvterm would send some control keys as CSI u, which a guest that
 * never asked for them does not understand.
 */
void term_key(struct term *t, const struct key *key)
{
    if (key->code >= K_ENTER) {
        VTermKey k = vterm_key(key->code);
        if (k != VTERM_KEY_NONE)
            vterm_keyboard_key(t->vt, k, vterm_mods(key->mods));
        return;
    }
    char out[8];
    size_t n = 0;
    if (key->mods & MOD_ALT)
        out[n++] = 0x1b;
    if (key->mods & MOD_CTRL)
        out[n++] = (char)(key->code & 0x1f);
    else
        n += utf8_put(out + n, key->code);
    t->ev->reply(t->arg, out, n);
}

void term_paste(struct term *t, bool begin)
{
    if (begin)
        vterm_keyboard_start_paste(t->vt);
    else
        vterm_keyboard_end_paste(t->vt);
}

void term_mouse(struct term *t, const struct key *key, unsigned row, unsigned col)
{
    vterm_mouse_move(t->vt, (int)row, (int)col, vterm_mods(key->mods));
    switch (key->mouse) {
    case MOUSE_PRESS:
    case MOUSE_RELEASE:
        vterm_mouse_button(t->vt, key->button, key->mouse == MOUSE_PRESS, vterm_mods(key->mods));
        break;
    case MOUSE_WHEEL_UP:
    case MOUSE_WHEEL_DOWN:
        vterm_mouse_button(t->vt, key->mouse == MOUSE_WHEEL_UP ? 4 : 5, true,
                           vterm_mods(key->mods));
        break;
    case MOUSE_MOVE:
        break;
    }
}
