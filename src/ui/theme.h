/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Themes: what each element of the screen looks like. A theme is a file NAME.theme in the grammar
 * of all our files, `element = FG BG ATTRIBUTES…`, found in HOME/themes, beside the sources when
 * run from there, or in the installed data; those of the source tree are also compiled in, so a
 * missing file never hurts. What a file does not say stays as in the compiled-in one of its name,
 * else as in dark.
 *
 * PULT_THEME names one for good, `:theme NAME` for now.
 *
 * A colour is `default`, a name (red, bright-blue), a palette index 0 to 255 or #rrggbb; the
 * screen maps it to what the terminal can show.
 */
#ifndef PULT_UI_THEME_H
#define PULT_UI_THEME_H

#include "base/error.h"
#include "ui/cell.h"

enum element {
    EL_TEXT,
    EL_FAINT,  /* units, labels, what does not matter now */
    EL_STRONG, /* names, values */
    EL_HEADER, /* the top line */
    EL_BRAND,  /* the program's name in it */
    EL_BAR,    /* the filled part of a bar */
    EL_BORDER,
    EL_BORDER_FOCUS,
    EL_BORDER_ATTACHED, /* of a pane whose guest gets the keys */
    EL_TITLE,
    EL_COLUMN,        /* column heads */
    EL_COLUMN_SORTED, /* … of the one that sorts */
    EL_SELECTED,
    EL_SELECTED_AWAY, /* the selected row while the focus is elsewhere */
    EL_MARKED,
    EL_RUNNING,
    EL_FROZEN,
    EL_STOPPED,
    EL_CHANGING, /* starting, stopping */
    EL_CRASHED,  /* broken too */
    EL_CPU,      /* graphs */
    EL_MEMORY,
    EL_NETWORK,
    EL_KEY, /* in the bottom line and in help */
    EL_KEY_TEXT,
    EL_GOOD, /* messages */
    EL_BAD,
    EL_PROMPT, /* where one types */
    EL_FIELD,
    EL_FIELD_NOW,
    EL_FIELD_HINT, /* what may stand in an empty one */
    EL_MATCH,      /* found by a search */
    EL_COPY,       /* lines that will be copied */
    ELEMENTS
};

struct theme {
    char name[64];
    struct style look[ELEMENTS];
};

/* Find and read a theme. On failure *t is the compiled-in one of that name, else dark. */
int theme_load(const char *name, struct theme *t, struct error *err);
/* Read text on top of what *t says; `file` stands in messages. */
int theme_parse(const char *file, const char *text, size_t len, struct theme *t, struct error *err);
/* A colour by its name, as themes write it. */
int colour_parse(const char *name, uint32_t *colour, struct error *err);
/* Names of the compiled-in themes: i counts up until NULL. */
const char *theme_builtin(unsigned i);

#endif
