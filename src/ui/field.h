/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A line in which something is typed under a label: what forms and wizards are made of. */
#ifndef PULT_UI_FIELD_H
#define PULT_UI_FIELD_H

#include <stdbool.h>

#include "ui/edit.h"
#include "ui/layout.h"

struct field_look {
    const char *label, *hint; /* hint: shown while it is empty */
    bool required, wrong, now;
};

/* Draw it in row y of a box. */
void field_draw(const struct field_look *look, const struct edit *e, int y, struct rect in);

/* Append copies to a NULL-terminated array (which may be NULL) for strv_free(). */
void words_push(char ***words, const char *word);
/* … of the words of a line. */
void words_push_split(char ***words, const char *line);

#endif
