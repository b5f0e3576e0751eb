/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See screen.h. Colours of any kind become ncurses colour pairs here, by what the terminal can. */
#include "ui/screen.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"

#define CLIPBOARD_MAX 100000 /* bytes of base64; xterm takes no more */

static struct {
    SCREEN *curses;
    bool utf8, mono, shown, xterm, mouse, lost, cursor_shown;
    int cursor_y, cursor_x;
    struct theme theme;
} scr;

/* ---- colours ---- */

/* The 16 ANSI colours as xterm shows them; the rest of the palette is computed. */
static const uint32_t ansi_rgb[16] = {
    0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd, 0x00cdcd, 0xe5e5e5,
    0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff, 0x00ffff, 0xffffff,
};

static uint32_t index_rgb(unsigned i)
{
    if (i < 16)
        return ansi_rgb[i];
    if (i >= 232)
        return (8 + (i - 232) * 10) * 0x010101u;
    static const uint32_t steps[6] = {0, 95, 135, 175, 215, 255};
    i -= 16;
    return steps[i / 36] << 16 | steps[i / 6 % 6] << 8 | steps[i % 6];
}

static int distance(uint32_t a, uint32_t b)
{
    int d = 0;
    for (int shift = 0; shift <= 16; shift += 8) {
        int diff = (int)(a >> shift & 0xff) - (int)(b >> shift & 0xff);
        d += diff * diff;
    }
    return d;
}

/* The palette entry in [from, to) that is nearest to rgb. */
static int nearest(uint32_t rgb, unsigned from, unsigned to)
{
    unsigned best = from;
    for (unsigned i = from; i < to; i++) {
        if (distance(rgb, index_rgb(i)) < distance(rgb, index_rgb(best)))
            best = i;
    }
    return (int)best;
}

/* A colour as a number for ncurses; -1: the terminal's default. */
static int curses_colour(uint32_t c)
{
    if (COLOUR_KIND(c) == 0)
        return -1;
    uint32_t v = c & 0xffffff;
    bool rgb = COLOUR_KIND(c) == 2;
    if (COLORS > 256)
        return (int)(rgb ? v : v < 8 ? v : index_rgb(v));
    if (COLORS == 256)
        return rgb ? nearest(v, 16, 256) : (int)v;
    if (!rgb && v < (uint32_t)COLORS)
        return (int)v;
    if (!rgb && v < 16)
        return (int)(v & 7);
    return nearest(rgb ? v : index_rgb(v), 0, min((unsigned)COLORS, 16u));
}

/* The pair for two colours. The last one is remembered: neighbours mostly look alike. */
static int colour_pair(uint32_t fg, uint32_t bg)
{
    static uint32_t last_fg, last_bg;
    static int last_pair;
    if (scr.mono || (fg == 0 && bg == 0))
        return 0;
    if (fg == last_fg && bg == last_bg)
        return last_pair;
    int pair = alloc_pair(curses_colour(fg), curses_colour(bg));
    last_fg = fg;
    last_bg = bg;
    last_pair = max(pair, 0);
    return last_pair;
}

static attr_t curses_attrs(uint32_t attrs)
{
    static const struct {
        uint32_t ours;
        attr_t theirs;
    } map[] = {
        {CELL_BOLD, A_BOLD},   {CELL_UNDERLINE, A_UNDERLINE}, {CELL_ITALIC, A_ITALIC},
        {CELL_BLINK, A_BLINK}, {CELL_REVERSE, A_REVERSE},     {CELL_DIM, A_DIM},
    };
    attr_t a = A_NORMAL;
    for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
        if (attrs & map[i].ours)
            a |= map[i].theirs;
    }
    return a;
}

/* ---- characters ---- */

/* Our symbols where the locale has ASCII only. */
static wchar_t ascii_for(wchar_t c)
{
    static const struct {
        wchar_t symbol, ascii;
    } map[] = {
        {L'▸', '>'}, {L'…', '~'}, {L'·', '-'}, {L'↓', 'v'}, {L'↑', '^'},  {L'●', '*'}, {L'▕', '['},
        {L'▏', ']'}, {L'—', '-'}, {L'✓', '+'}, {L'✗', 'x'}, {L'⏎', '<'},  {L'▾', 'v'}, {L'▴', '^'},
        {L'×', 'x'}, {L'│', '|'}, {L'“', '"'}, {L'”', '"'}, {L'’', '\''},
    };
    if (c < 0x80)
        return c;
    for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
        if (map[i].symbol == c)
            return map[i].ascii;
    }
    return '?';
}

/*
 * Make a character fit to be shown in `width` columns. ncurses counts on wcwidth(), so what the C
 * library holds to have another width is not shown as it is.
 */
static wchar_t presentable(uint32_t c, int width)
{
    if (c >= 0x20 && c < 0x7f)
        return (wchar_t)c;
    if (c < 0xa0)
        return c ? '?' : ' ';
    if (!scr.utf8)
        return ascii_for((wchar_t)c);
    return wcwidth((wchar_t)c) == width ? (wchar_t)c : L'\u00b7';
}

static void put_cell(int y, int x, const wchar_t *chars, const struct style *st)
{
    cchar_t cc;
    int pair = colour_pair(st->fg, st->bg);
    setcchar(&cc, chars, curses_attrs(st->attrs), 0, &pair);
    mvadd_wch(y, x, &cc);
}

/* Next character of *s as it will be shown; its width, or 0 at the end. */
static int next_char(const char **s, size_t *left, wchar_t *c)
{
    while (*left > 0) {
        uint32_t u;
        size_t n = utf8_get(*s, *left, &u);
        *s += n;
        *left -= n;
        int w = u < 0x300 || !scr.utf8 ? 1 : wcwidth((wchar_t)u);
        if (w == 0)
            continue; /* our own texts need no combining marks */
        *c = presentable(u, max(w, 1));
        return max(w, 1);
    }
    return 0;
}

int screen_width(const char *s)
{
    size_t left = strlen(s);
    wchar_t c;
    int width = 0;
    for (int w; (w = next_char(&s, &left, &c)) > 0;)
        width += w;
    return width;
}

int screen_put(int y, int x, int w, enum element el, const char *s)
{
    if (y < 0 || y >= LINES || x < 0 || x >= COLS)
        return 0;
    w = min(w, COLS - x);
    bool cut = screen_width(s) > w;
    size_t left = strlen(s);
    wchar_t c[2] = {0};
    int at = 0;
    for (int cw; at < w && (cw = next_char(&s, &left, c)) > 0; at += cw) {
        if (cut && at + cw >= w) {
            c[0] = scr.utf8 ? L'…' : L'~';
            cw = 1;
            left = 0;
        }
        put_cell(y, x + at, c, &scr.theme.look[el]);
    }
    return at;
}

int screen_putf(int y, int x, int w, enum element el, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cleanup_free char *s = xvasprintf(fmt, ap);
    va_end(ap);
    return screen_put(y, x, w, el, s);
}

void screen_text(int y, int x, int w, enum element el, const char *s)
{
    int used = screen_put(y, x, w, el, s);
    screen_fill((struct rect){y, x + used, 1, w - used}, el);
}

size_t screen_line_bytes(const char *s, int w)
{
    size_t left = strlen(s), blank = 0;
    const char *at = s;
    wchar_t c;
    for (int used = 0; left > 0;) {
        const char *before = at;
        used += next_char(&at, &left, &c);
        if (used > w)
            return blank ? blank : max((size_t)(before - s), (size_t)1);
        if (*before == ' ' || *at == ' ')
            blank = (size_t)((*before == ' ' ? before : at) - s);
    }
    return (size_t)(at - s);
}

/* Text over several lines, broken at blanks where there are some; the last shows what is cut off. */
int screen_wrapped(int y, int x, int w, int h, enum element el, const char *s)
{
    int i = 0;
    for (; i < h && *s && w > 0; i++) {
        size_t n = i + 1 == h ? strlen(s) : screen_line_bytes(s, w);
        cleanup_free char *line = xasprintf("%.*s", (int)n, s);
        screen_put(y + i, x, w, el, line);
        s += n;
        while (*s == ' ')
            s++;
    }
    return i;
}

void screen_fill(struct rect r, enum element el)
{
    for (int y = max(r.y, 0); y < min(r.y + r.h, LINES); y++) {
        for (int x = max(r.x, 0); x < min(r.x + r.w, COLS); x++)
            put_cell(y, x, L" ", &scr.theme.look[el]);
    }
}

/* One of ncurses' line-drawing characters, in the look of an element. */
static void put_line(int y, int x, const cchar_t *line, enum element el)
{
    if (y < 0 || y >= LINES || x < 0 || x >= COLS)
        return;
    const struct style *st = &scr.theme.look[el];
    int pair = colour_pair(st->fg, st->bg);
    wchar_t chars[CCHARW_MAX + 1];
    attr_t attrs;
    short old;
    cchar_t cc;
    getcchar(line, chars, &attrs, &old, NULL);
    setcchar(&cc, chars, attrs | curses_attrs(st->attrs), 0, &pair);
    mvadd_wch(y, x, &cc);
}

void screen_box(struct rect r, enum element border, enum element title_el, const char *title)
{
    if (r.h < 2 || r.w < 2)
        return;
    int bottom = r.y + r.h - 1, right = r.x + r.w - 1;
    for (int x = r.x + 1; x < right; x++) {
        put_line(r.y, x, WACS_HLINE, border);
        put_line(bottom, x, WACS_HLINE, border);
    }
    for (int y = r.y + 1; y < bottom; y++) {
        put_line(y, r.x, WACS_VLINE, border);
        put_line(y, right, WACS_VLINE, border);
    }
    put_line(r.y, r.x, WACS_ULCORNER, border);
    put_line(r.y, right, WACS_URCORNER, border);
    put_line(bottom, r.x, WACS_LLCORNER, border);
    put_line(bottom, right, WACS_LRCORNER, border);
    if (title && *title && r.w > 6) {
        int n = screen_put(r.y, r.x + 2, r.w - 5, title_el, title);
        screen_put(r.y, r.x + 1, 1, title_el, " ");
        screen_put(r.y, r.x + 2 + n, 1, title_el, " ");
    }
}

void screen_tee(struct rect r, enum element border)
{
    put_line(r.y, r.x, WACS_LTEE, border);
    put_line(r.y, r.x + r.w - 1, WACS_RTEE, border);
}

void screen_cells(int y, int x, const struct cell *cells, int n, enum element over, bool dim)
{
    if (y < 0 || y >= LINES || x < 0)
        return;
    n = min(n, COLS - x);
    for (int i = 0; i < n; i++) {
        const struct cell *c = &cells[i];
        if (c->width == 0 && i > 0)
            continue;
        bool fits = c->width != 2 || i + 1 < n;
        wchar_t chars[CELL_CHARS + 1] = {0};
        chars[0] = fits ? presentable(c->chars[0], (int)max(c->width, 1u)) : L' ';
        if (chars[0] == L'\u00b7' && c->width == 2) /* a stand-in has one column */
            put_cell(y, x + i + 1, L" ", &c->style);
        for (size_t k = 1; scr.utf8 && fits && k < CELL_CHARS && c->chars[k]; k++) {
            if (wcwidth((wchar_t)c->chars[k]) == 0 && chars[k - 1])
                chars[k] = (wchar_t)c->chars[k];
        }
        struct style st = over == ELEMENTS ? c->style : scr.theme.look[over];
        if (dim)
            st = (struct style){.fg = scr.theme.look[EL_FAINT].fg,
                                .bg = st.bg,
                                .attrs = st.attrs & ~(uint32_t)CELL_BOLD};
        put_cell(y, x + i, chars, &st);
    }
}

void screen_reverse_cells(int y, int x, int n)
{
    for (int i = 0; i < n && y >= 0 && y < LINES && x + i < COLS; i++) {
        cchar_t cc;
        wchar_t chars[CCHARW_MAX + 1];
        attr_t attrs;
        short old;
        int pair;
        mvin_wch(y, x + i, &cc);
        getcchar(&cc, chars, &attrs, &old, &pair);
        setcchar(&cc, chars, attrs ^ A_REVERSE, 0, &pair);
        mvadd_wch(y, x + i, &cc);
    }
}

/* ---- the terminal ---- */

/* Does terminfo know this string of the terminal? */
static bool has(const char *cap)
{
    const char *s = tigetstr(cap);
    return s && s != (char *)-1;
}

/* Bytes that ncurses knows nothing of; they move no cursor and change no cell. */
static void emit(const char *s, size_t len)
{
    if (write_all(STDOUT_FILENO, s, len) < 0 && (errno == EIO || errno == EPIPE))
        scr.lost = true;
}

/* What we ask of terminals that are like xterm: to tell typing from pasting, and the mouse. */
static void modes(bool on)
{
    if (!scr.xterm)
        return;
    if (on)
        emit("\033[?2004h", 8);
    else
        emit("\033[?2004l", 8);
    if (scr.mouse && on)
        emit("\033[?1000h\033[?1002h\033[?1006h", 24);
    else if (scr.mouse)
        emit("\033[?1006l\033[?1002l\033[?1000l", 24);
}

void screen_mouse(bool on)
{
    if (on == scr.mouse || !scr.xterm)
        return;
    if (!on)
        modes(false);
    scr.mouse = on;
    modes(true);
}

void screen_bell(void)
{
    emit("\a", 1);
}

void screen_clipboard(const char *text, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    len = min(len, (size_t)CLIPBOARD_MAX / 4 * 3);
    cleanup_free char *out = xcalloc(len / 3 * 4 + 32, 1);
    size_t n = (size_t)sprintf(out, "\033]52;c;");
    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = 0;
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (i + k < len ? (unsigned char)text[i + k] : 0u);
        for (size_t k = 0; k < 4; k++)
            out[n++] = i + k > len ? '=' : digits[v >> (18 - 6 * k) & 63];
    }
    out[n++] = '\a';
    emit(out, n);
}

bool screen_lost(void)
{
    return scr.lost;
}

int screen_open(struct error *err)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return error_set(err, 0,
                         "the screen needs a terminal; without one, see 'pult help' for commands");
    setlocale(LC_ALL, "");
    scr.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    const char *name = getenv("TERM");
    int why = 0;
    bool able = setupterm(NULL, STDOUT_FILENO, &why) != ERR && has("cup");
    del_curterm(cur_term);
    if (!able)
        return error_set(err, 0, "terminal type TERM='%s' is not known or cannot place the cursor",
                         name ? name : "");
    scr.curses = newterm(NULL, stdout, stdin);
    if (scr.curses == NULL)
        return error_set(err, 0, "cannot drive terminal type TERM='%s'", name ? name : "");
    raw();
    noecho();
    nonl();
    typeahead(-1);
    if (has_colors()) {
        start_color();
        use_default_colors();
    }
    const char *no_colour = getenv("NO_COLOR");
    scr.mono = !has_colors() || COLORS < 8 || (no_colour && *no_colour);
    scr.xterm = has("kmous");
    scr.shown = true;
    screen_set_theme(scr.mono ? "mono" : "dark", NULL);
    curs_set(0);
    scr.cursor_y = -1;
    modes(true);
    return 0;
}

void screen_close(void)
{
    if (!scr.shown)
        return;
    scr.shown = false;
    modes(false);
    curs_set(1);
    move(LINES - 1, 0); /* where the shell's prompt will be, if there is no other screen */
    clrtoeol();
    refresh();
    endwin();
    delscreen(scr.curses);
}

void screen_suspend(void)
{
    modes(false);
    curs_set(1);
    endwin();
}

void screen_resume(void)
{
    screen_resized();
    clearok(curscr, TRUE);
    refresh();
    curs_set(scr.cursor_shown);
    modes(true);
}

void screen_resized(void)
{
    struct winsize w;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0 && w.ws_col > 0)
        resizeterm(w.ws_row, w.ws_col);
}

int screen_rows(void)
{
    return LINES;
}

int screen_cols(void)
{
    return COLS;
}

bool screen_utf8(void)
{
    return scr.utf8;
}

int screen_set_theme(const char *name, struct error *err)
{
    struct theme t;
    int ret = theme_load(name, &t, err);
    if (ret == 0 || scr.theme.name[0] == '\0')
        scr.theme = t;
    return ret;
}

const char *screen_theme(void)
{
    return scr.theme.name;
}

void screen_erase(void)
{
    erase();
}

void screen_cursor(int y, int x)
{
    scr.cursor_y = y;
    scr.cursor_x = x;
}

void screen_flush(void)
{
    bool show = scr.cursor_y >= 0 && scr.cursor_y < LINES && scr.cursor_x < COLS;
    if (show)
        move(scr.cursor_y, scr.cursor_x);
    else
        move(LINES - 1, 0);
    if (show != scr.cursor_shown)
        curs_set(show);
    scr.cursor_shown = show;
    refresh();
}

void screen_redraw(void)
{
    clearok(curscr, TRUE);
}
