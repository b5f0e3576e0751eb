/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest list without its drawing: which of all guests are shown and in what order, which one
 * is selected and which are marked. Selection and marks go by name, so they stay with their
 * guests while the list changes under them; the selection of a guest that vanished moves to the
 * one that took its place.
 */
#ifndef PULT_UI_ROSTER_H
#define PULT_UI_ROSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "guest/watch.h"

enum sort_key { SORT_NAME, SORT_TYPE, SORT_STATE, SORT_CPU, SORT_MEMORY, SORT_KEYS };
extern const char *const sort_names[SORT_KEYS]; /* "name", … */

struct roster {
    struct watched *const *all; /* the watch's list */
    size_t total;
    struct watched **rows; /* those shown */
    size_t count, room;
    size_t at;                         /* the selected row */
    char selected[GUEST_NAME_MAX + 1]; /* "" while nothing is shown */
    char filter[64];
    enum sort_key sort;
    bool reverse;
    size_t top;   /* first row on the screen */
    char **marks; /* names */
    size_t marked;
};

/* Take over a new list, or a new filter or order. */
void roster_update(struct roster *r, struct watched *const *all, size_t total);
void roster_clear(struct roster *r);

struct watched *roster_selected(const struct roster *r); /* NULL: none */
struct watched *roster_find(const struct roster *r, const char *name);
void roster_move(struct roster *r, long by);
/* False if it is not shown. */
bool roster_select(struct roster *r, const char *name);
/* Make the selected row one of `height` on the screen. */
void roster_scroll(struct roster *r, size_t height);

/* Another order; the same again turns it round. */
void roster_sort(struct roster *r, enum sort_key key);
void roster_set_filter(struct roster *r, const char *filter);
/* Every word of the filter occurs in the guest's name, type, state or addresses. */
bool roster_matches(const struct watched *w, const char *filter);

bool roster_marked(const struct roster *r, const char *name);
void roster_mark(struct roster *r, const char *name, bool mark);
/*
 * The guests that an action is meant for: the marked ones, else the selected one. Returns how
 * many; names is freed with strv_free().
 */
size_t roster_targets(const struct roster *r, char ***names);

#endif
