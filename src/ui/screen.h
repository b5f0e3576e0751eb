/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The admin's terminal, for output. All that is drawn goes through here into ncurses' picture of
 * the screen; screen_flush() sends what differs from what the terminal shows, which is nothing
 * where nothing changed. Strings are UTF-8 and need not be trusted: what is not printable is
 * replaced, and in an ASCII locale our own symbols become plain characters.
 */
#ifndef PULT_UI_SCREEN_H
#define PULT_UI_SCREEN_H

#include <stdbool.h>

#include "base/error.h"
#include "ui/layout.h"
#include "ui/theme.h"

/* Take the terminal on descriptors 0 and 1, with the theme that suits it. */
int screen_open(struct error *err);
/* Give it back as it was. May be called at any time, more than once. */
void screen_close(void);
/* The same for a while: Ctrl-Z. */
void screen_suspend(void);
void screen_resume(void);
/* Ask the terminal for its size and take it over. */
void screen_resized(void);
int screen_rows(void);
int screen_cols(void);
bool screen_utf8(void);
int screen_set_theme(const char *name, struct error *err);
const char *screen_theme(void);

/* ---- drawing: into the picture; outside of the screen nothing happens ---- */

void screen_erase(void);
/* Text from y, x on, in exactly w cells: cut off with an ellipsis, or padded. */
void screen_text(int y, int x, int w, enum element el, const char *s);
/* The same without padding. Returns the cells used, at most w. */
int screen_put(int y, int x, int w, enum element el, const char *s);
int screen_putf(int y, int x, int w, enum element el, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* The bytes of s that go onto a line of w cells: up to a blank, if more follow and there is one. */
size_t screen_line_bytes(const char *s, int w);
/* Over up to h lines, broken at blanks where there are some. Returns how many it took. */
int screen_wrapped(int y, int x, int w, int h, enum element el, const char *s);
void screen_fill(struct rect r, enum element el);
/* A border with a title in its upper edge, which may be NULL. */
void screen_box(struct rect r, enum element border, enum element title_el, const char *title);
/* The line between two boxes that share it: tees at both ends. */
void screen_tee(struct rect r, enum element border);
/* Cells of a guest's terminal, laid over with el if it is not ELEMENTS. */
void screen_cells(int y, int x, const struct cell *cells, int n, enum element over, bool dim);
void screen_reverse_cells(int y, int x, int n); /* swap the colours of what is there */
/* Columns that s takes. */
int screen_width(const char *s);

/* Where the cursor stands after the flush; y < 0: it is hidden. */
void screen_cursor(int y, int x);
void screen_flush(void);
/* Repaint everything at the next flush. */
void screen_redraw(void);

/* ---- the terminal itself ---- */

void screen_bell(void);
void screen_mouse(bool on);
/* Put text into the clipboard of the admin's terminal (OSC 52). */
void screen_clipboard(const char *text, size_t len);
/* True once the terminal cannot be written to any more. */
bool screen_lost(void);

#endif
