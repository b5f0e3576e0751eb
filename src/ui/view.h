/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A view is a part of the screen that draws itself and may take keys: one file, one const struct.
 * The list, the details, the pane, the header and the key line have their place in the layout;
 * overlays (help, log, forms, prompts) lie on top of them, the newest gets the keys.
 */
#ifndef PULT_UI_VIEW_H
#define PULT_UI_VIEW_H

#include "ui/key.h"
#include "ui/layout.h"

struct ui;

/* What a view did with a key. */
enum {
    HANDLED = 1, /* nobody else gets it */
    REDRAW = 2,  /* something changed */
    LEAVE = 4,   /* this overlay is done */
};

struct view {
    const char *name;
    /* Where an overlay lies. NULL for those that the layout places. */
    struct rect (*place)(struct ui *ui, int rows, int cols);
    void (*draw)(struct ui *ui, struct rect area);
    unsigned (*key)(struct ui *ui, const struct key *key);
    /* The mouse, at a cell of the view's area. May be NULL. */
    unsigned (*mouse)(struct ui *ui, const struct key *key, struct rect area);
    /* An overlay is taken away. May be NULL. */
    void (*leave)(struct ui *ui);
};

extern const struct view view_header, view_list, view_details, view_pane, view_message, view_keys;
extern const struct view view_text, view_form, view_prompt, view_networks, view_wizard, view_review;

#endif
