/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line of text that is being typed: prompts and the fields of forms have one. */
#ifndef PULT_UI_EDIT_H
#define PULT_UI_EDIT_H

#include <stddef.h>

#include "ui/key.h"
#include "ui/layout.h"
#include "ui/theme.h"

#define EDIT_MAX 512

struct edit {
    char text[EDIT_MAX]; /* UTF-8, terminated */
    size_t len, at;      /* bytes; at: where the cursor is */
};

void edit_set(struct edit *e, const char *text);
/* True if it was a key for editing. */
bool edit_key(struct edit *e, const struct key *key);
/* Draw it in a row of w cells, scrolled so that the cursor shows; cursor: put it there. */
void edit_draw(const struct edit *e, int y, int x, int w, enum element el, bool cursor);

#endif
