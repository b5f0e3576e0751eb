/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See roster.h. */
#include "ui/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "guest/engine.h"

const char *const sort_names[SORT_KEYS] = {
    [SORT_NAME] = "name", [SORT_TYPE] = "type",     [SORT_STATE] = "state",
    [SORT_CPU] = "cpu",   [SORT_MEMORY] = "memory",
};

/* ---- order ---- */

static const char *type_of(const struct watched *w)
{
    return w->info.engine ? w->info.engine->type : "";
}

static int by_name(const struct watched *a, const struct watched *b)
{
    return strcmp(a->info.name, b->info.name);
}

static int by_type(const struct watched *a, const struct watched *b)
{
    return strcmp(type_of(a), type_of(b));
}

/* Those that run first. */
static int by_state(const struct watched *a, const struct watched *b)
{
    static const int rank[GUEST_STATES] = {
        [GUEST_RUNNING] = 0, [GUEST_STARTING] = 1, [GUEST_STOPPING] = 2, [GUEST_FROZEN] = 3,
        [GUEST_CRASHED] = 4, [GUEST_BROKEN] = 5,   [GUEST_STOPPED] = 6,
    };
    return rank[a->info.state] - rank[b->info.state];
}

static int by_cpu(const struct watched *a, const struct watched *b)
{
    return (a->now.cpu_percent < b->now.cpu_percent) - (a->now.cpu_percent > b->now.cpu_percent);
}

static int by_memory(const struct watched *a, const struct watched *b)
{
    return (a->now.memory_bytes < b->now.memory_bytes) -
           (a->now.memory_bytes > b->now.memory_bytes);
}

static int (*const orders[SORT_KEYS])(const struct watched *, const struct watched *) = {
    [SORT_NAME] = by_name, [SORT_TYPE] = by_type,     [SORT_STATE] = by_state,
    [SORT_CPU] = by_cpu,   [SORT_MEMORY] = by_memory,
};

static int compare(const void *pa, const void *pb, void *arg)
{
    const struct watched *a = *(struct watched *const *)pa, *b = *(struct watched *const *)pb;
    const struct roster *r = arg;
    int d = orders[r->sort](a, b);
    if (r->reverse)
        d = -d;
    return d ? d : by_name(a, b);
}

/* ---- filter ---- */

bool roster_matches(const struct watched *w, const char *filter)
{
    const char *const fields[] = {w->info.name, type_of(w), state_name(w->info.state), w->addresses,
                                  w->info.engine ? w->info.engine->brief : ""};
    char words[sizeof((struct roster *)0)->filter], *save = NULL;
    snprintf(words, sizeof words, "%s", filter);
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        bool found = false;
        for (size_t i = 0; i < ARRAY_SIZE(fields) && !found; i++)
            found = strcasestr(fields[i], word) != NULL;
        if (!found)
            return false;
    }
    return true;
}

/* ---- the list ---- */

/* The row of a guest by name; r->count if it is not shown. */
static size_t row_of(const struct roster *r, const char *name)
{
    size_t i = 0;
    while (i < r->count && strcmp(r->rows[i]->info.name, name) != 0)
        i++;
    return i;
}

static void select_row(struct roster *r, size_t row)
{
    r->at = r->count ? min(row, r->count - 1) : 0;
    snprintf(r->selected, sizeof r->selected, "%s", r->count ? r->rows[r->at]->info.name : "");
}

void roster_update(struct roster *r, struct watched *const *all, size_t total)
{
    r->all = all;
    r->total = total;
    if (total > r->room) {
        r->room = total * 2;
        r->rows = xrealloc(r->rows, r->room, sizeof(struct watched *));
    }
    r->count = 0;
    for (size_t i = 0; i < total; i++) {
        if (roster_matches(all[i], r->filter))
            r->rows[r->count++] = all[i];
    }
    if (r->count > 0)
        qsort_r(r->rows, r->count, sizeof(struct watched *), compare, r);
    size_t row = row_of(r, r->selected);
    select_row(r, row < r->count ? row : r->at);
    for (size_t i = r->marked; i-- > 0;) {
        if (!roster_find(r, r->marks[i]))
            roster_mark(r, r->marks[i], false);
    }
}

void roster_clear(struct roster *r)
{
    free(r->rows);
    for (size_t i = 0; i < r->marked; i++)
        free(r->marks[i]);
    free(r->marks);
    *r = (struct roster){0};
}

struct watched *roster_selected(const struct roster *r)
{
    return r->count ? r->rows[r->at] : NULL;
}

struct watched *roster_find(const struct roster *r, const char *name)
{
    for (size_t i = 0; i < r->total; i++) {
        if (strcmp(r->all[i]->info.name, name) == 0)
            return r->all[i];
    }
    return NULL;
}

void roster_move(struct roster *r, long by)
{
    long row = (long)r->at + by;
    select_row(r, row < 0 ? 0 : (size_t)row);
}

bool roster_select(struct roster *r, const char *name)
{
    size_t row = row_of(r, name);
    if (row == r->count)
        return false;
    select_row(r, row);
    return true;
}

void roster_scroll(struct roster *r, size_t height)
{
    if (height == 0)
        return;
    if (r->at < r->top)
        r->top = r->at;
    if (r->at >= r->top + height)
        r->top = r->at - height + 1;
    r->top = min(r->top, r->count > height ? r->count - height : 0);
}

void roster_sort(struct roster *r, enum sort_key key)
{
    r->reverse = key == r->sort ? !r->reverse : false;
    r->sort = key;
    roster_update(r, r->all, r->total);
}

void roster_set_filter(struct roster *r, const char *filter)
{
    snprintf(r->filter, sizeof r->filter, "%s", filter);
    roster_update(r, r->all, r->total);
}

/* ---- marks ---- */

static size_t mark_of(const struct roster *r, const char *name)
{
    size_t i = 0;
    while (i < r->marked && strcmp(r->marks[i], name) != 0)
        i++;
    return i;
}

bool roster_marked(const struct roster *r, const char *name)
{
    return mark_of(r, name) < r->marked;
}

void roster_mark(struct roster *r, const char *name, bool mark)
{
    size_t i = mark_of(r, name);
    if (mark && i == r->marked) {
        r->marks = xrealloc(r->marks, r->marked + 1, sizeof(char *));
        r->marks[r->marked++] = xstrdup(name);
    } else if (!mark && i < r->marked) {
        free(r->marks[i]);
        r->marks[i] = r->marks[--r->marked];
    }
}

size_t roster_targets(const struct roster *r, char ***names)
{
    size_t n = 0;
    *names = xcalloc(r->marked + 2, sizeof(char *));
    for (size_t i = 0; i < r->total; i++) {
        if (roster_marked(r, r->all[i]->info.name))
            (*names)[n++] = xstrdup(r->all[i]->info.name);
    }
    if (n == 0 && r->selected[0])
        (*names)[n++] = xstrdup(r->selected);
    return n;
}
