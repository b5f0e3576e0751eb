/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A terminal emulator: bytes in, a grid of cells out.
 *
 *     guest's bytes ─► libvterm (parser and state) ─► callbacks here ─► grid, scrollback
 *     keys ─► term_key() ─► bytes for the guest, by the `reply` event
 *
 * Only libvterm's lower two layers are used. Its screen layer copies every cell on each scrolled
 * line, and in 0.1.4 it can be crashed by resizing; here a line feed turns a ring of row pointers
 * and packs one line into the scrollback. Nothing that a guest prints leaves the grid: titles,
 * clipboard requests, device control strings end here; control characters and those that would
 * reorder text become U+FFFD or vanish.
 *
 * Lines are numbered from the oldest of the scrollback (0) through the last of the screen.
 */
#ifndef PULT_UI_TERM_H
#define PULT_UI_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include "ui/cell.h"
#include "ui/key.h"

/* Sizes outside of these are clamped. */
#define TERM_MIN_COLS 2
#define TERM_MAX_COLS 1000
#define TERM_MIN_ROWS 1
#define TERM_MAX_ROWS 500

struct term;

struct term_events {
    /* Bytes for the guest: what keys mean to it, and answers to its questions. */
    void (*reply)(void *arg, const char *bytes, size_t len);
    void (*bell)(void *arg);
};

struct term *term_new(unsigned cols, unsigned rows, const struct term_events *ev, void *arg);
void term_free(struct term *t);

void term_feed(struct term *t, const void *bytes, size_t len);
void term_resize(struct term *t, unsigned cols, unsigned rows);

unsigned term_cols(const struct term *t);
unsigned term_rows(const struct term *t);
/* Row of the screen, cols cells. Valid until the next call that changes the terminal. */
const struct cell *term_row(const struct term *t, unsigned row);
/* True once after anything on the screen changed, the cursor too. */
bool term_take_damage(struct term *t);

struct term_cursor {
    unsigned row, col;
    bool visible;
};
struct term_cursor term_cursor(const struct term *t);
bool term_reversed(const struct term *t);     /* the whole screen is shown in reverse */
bool term_wants_mouse(const struct term *t);  /* the guest asked for mouse reports */
const char *term_title(const struct term *t); /* printable, "" where none was set */

/* All lines, scrollback first. */
size_t term_lines(const struct term *t);
void term_line(const struct term *t, size_t line, struct cell *cells, size_t n);
/* The text of a line without trailing blanks; caller frees. */
char *term_line_text(const struct term *t, size_t line, size_t *len);
size_t term_history(const struct term *t); /* how many of them are scrollback */
uint64_t term_history_dropped(const struct term *t);

/* Encode for the guest as its modes ask. */
void term_key(struct term *t, const struct key *key);
void term_paste(struct term *t, bool begin);
/* A mouse event at a cell of this terminal. */
void term_mouse(struct term *t, const struct key *key, unsigned row, unsigned col);

#endif
