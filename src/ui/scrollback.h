/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What has scrolled off the top of a guest's screen: a ring of lines, each one allocation that
 * holds its text as UTF-8 without trailing blanks and the few places where the style changes.
 * A plain line of 80 characters takes about 100 bytes instead of 80 cells. Bounded in lines and
 * in bytes; the oldest lines go first.
 */
#ifndef PULT_UI_SCROLLBACK_H
#define PULT_UI_SCROLLBACK_H

#include "ui/cell.h"

struct scrollback;

struct scrollback *scrollback_new(size_t max_lines, size_t max_bytes);
void scrollback_free(struct scrollback *s);

void scrollback_push(struct scrollback *s, const struct cell *cells, size_t n);
/* Take the newest line back into cells[0..n), blanks where it is shorter. False if there is none.
 */
bool scrollback_pop(struct scrollback *s, struct cell *cells, size_t n);
void scrollback_clear(struct scrollback *s);

size_t scrollback_count(const struct scrollback *s);
size_t scrollback_bytes(const struct scrollback *s);
/* Lines that were ever thrown away: a line keeps the number count index + dropped for life. */
uint64_t scrollback_dropped(const struct scrollback *s);

/* Line i (0: the oldest) as cells[0..n), blanks where it is shorter. */
void scrollback_cells(const struct scrollback *s, size_t i, struct cell *cells, size_t n);
/* Line i as text, not terminated. */
const char *scrollback_text(const struct scrollback *s, size_t i, size_t *len);

#endif
