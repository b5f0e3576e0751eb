/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal that pult was called from, while a guest's console has it: raw mode, and back.
 * A guest switches modes of the terminal (alternate screen, mouse, …) and may be left in the
 * middle of it; what it printed is followed just far enough to undo that.
 */
#ifndef PULT_CMD_TERMINAL_H
#define PULT_CMD_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Are standard input and output both a terminal? */
bool terminal_here(void);
/* Its size in cells; 0 × 0 where that is not known. */
void terminal_size(unsigned *cols, unsigned *rows);
int terminal_raw(struct error *err);
/* These bytes went to the terminal. */
void terminal_printed(const char *data, size_t len);
/* Undo terminal_raw() and what the printed bytes switched. Does nothing if there is nothing. */
void terminal_restore(void);

#endif
