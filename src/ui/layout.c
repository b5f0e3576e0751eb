/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See layout.h. */
#include "ui/layout.h"

#include "base/util.h"

#define TWO_COLUMNS_COLS 76 /* from here on a pane stands beside the list */
#define LIST_COLS_MIN    38
#define LIST_COLS_MAX    60
#define DETAILS_ROWS     6  /* four lines, a title and a border */
#define DETAILS_FROM     16 /* rows of the middle from which details are shown */

void layout_compute(struct layout *l, int rows, int cols, bool zoom)
{
    *l = (struct layout){.too_small = rows < LAYOUT_MIN_ROWS || cols < LAYOUT_MIN_COLS};
    if (l->too_small)
        return;
    int top = 1, bottom = rows - 2;
    l->header = (struct rect){0, 0, 1, cols};
    l->message = (struct rect){rows - 2, 0, 1, cols};
    l->keys = (struct rect){rows - 1, 0, 1, cols};
    int height = bottom - top;
    if (zoom) {
        l->pane = (struct rect){top, 0, height, cols};
        return;
    }
    int left = cols;
    if (cols >= TWO_COLUMNS_COLS) {
        left = min(max(cols * 2 / 5, LIST_COLS_MIN), LIST_COLS_MAX);
        l->pane = (struct rect){top, left, height, cols - left};
    }
    int details = height >= DETAILS_FROM ? DETAILS_ROWS : 0;
    l->list = (struct rect){top, 0, height - details, left};
    if (details > 0) /* the list's lower border is the details' upper one */
        l->details = (struct rect){top + height - details - 1, 0, details + 1, left};
}

struct rect rect_inner(struct rect r)
{
    return (struct rect){r.y + 1, r.x + 1, max(r.h - 2, 0), max(r.w - 2, 0)};
}

struct rect rect_centred(int rows, int cols, int h, int w)
{
    h = min(h, rows);
    w = min(w, cols);
    return (struct rect){(rows - h) / 2, (cols - w) / 2, h, w};
}

bool rect_has(struct rect r, int y, int x)
{
    return y >= r.y && y < r.y + r.h && x >= r.x && x < r.x + r.w;
}
