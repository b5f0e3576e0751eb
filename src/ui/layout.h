/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where everything is: pure arithmetic from the terminal's size to rectangles.
 *
 *     header                                   1 row
 *     ┌ list ────────┐┌ pane ─────────────┐
 *     │              ││                   │    a border each; details share the list's
 *     ├ details ─────┤│                   │
 *     └──────────────┘└───────────────────┘
 *     message                                  1 row
 *     keys                                     1 row
 *
 * What does not fit is left out, least wanted first: the pane where the terminal is narrow, the
 * details where it is low, the message row, the key row, the header. A part that is not shown has
 * no height.
 */
#ifndef PULT_UI_LAYOUT_H
#define PULT_UI_LAYOUT_H

#include <stdbool.h>

#define LAYOUT_MIN_COLS 40
#define LAYOUT_MIN_ROWS 10

struct rect {
    int y, x, h, w;
};

struct layout {
    bool too_small; /* nothing fits; a line says so */
    struct rect header, list, details, pane, message, keys;
};

/* zoom: the pane has all of the middle. */
void layout_compute(struct layout *l, int rows, int cols, bool zoom);
/* Without its border. */
struct rect rect_inner(struct rect r);
/* A box of h × w in the middle of the screen, made smaller to fit. */
struct rect rect_centred(int rows, int cols, int h, int w);
bool rect_has(struct rect r, int y, int x);

#endif
