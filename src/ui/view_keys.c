/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two bottom lines: the latest message or running jobs, and what the keys do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "ui/app.h"
#include "ui/screen.h"
#include "ui/spark.h"
#include "ui/verb.h"

/* ---- messages ---- */

#define BAR_CELLS 10
#define BAR_FROM  70 /* columns from which on there is room for it */

/* The jobs that run, on the right; returns the column where they begin. */
static int jobs_draw(const struct ui *ui, struct rect area)
{
    const struct job *job = job_at(ui->jobs, 0);
    size_t jobs = 0;
    while (job_at(ui->jobs, jobs))
        jobs++;
    if (jobs == 0)
        return area.w;
    const int percent = jobs == 1 ? job_percent(job) : -1;
    const bool barred = percent >= 0 && area.w >= BAR_FROM;
    char text[80], bar[3 * BAR_CELLS + 1];
    if (percent >= 0)
        snprintf(text, sizeof text, "%.58s… %d %%", job_line(job), percent);
    else if (jobs == 1)
        snprintf(text, sizeof text, "%.60s…", job_line(job));
    else
        snprintf(text, sizeof text, "%zu jobs…", jobs);
    int w = screen_width(text), x = max(area.w - w - 2 - (barred ? BAR_CELLS + 3 : 0), 0);
    screen_put(area.y, x, w, EL_CHANGING, text);
    if (barred) {
        spark_bar(percent / 100.0, BAR_CELLS, screen_utf8(), bar);
        screen_put(area.y, x + w, 2, EL_TEXT, " ▕");
        screen_text(area.y, x + w + 2, BAR_CELLS, EL_BAR, bar);
        screen_put(area.y, x + w + 2 + BAR_CELLS, 1, EL_TEXT, "▏");
    }
    return x;
}

static void message_draw(struct ui *ui, struct rect area)
{
    static const enum element looks[] = {
        [MESSAGE_NOTE] = EL_TEXT, [MESSAGE_GOOD] = EL_GOOD, [MESSAGE_BAD] = EL_BAD};
    const struct message *m = ui->messages.shown;
    const int end = jobs_draw(ui, area);
    if (m && end > 3)
        screen_put(area.y, 1, end - 2, looks[m->kind], m->text);
}

const struct view view_message = {.name = "message", .draw = message_draw};

/* ---- keys ---- */

/* Does what the key does make sense for the selected guest? */
static bool applies(const struct ui *ui, const struct binding *b)
{
    const struct watched *w = roster_selected(&ui->roster);
    struct verb v;
    int used;
    char **words = str_split_words(b->line, NULL);
    bool found = words && verb_find(words, &v, &used);
    strv_free(words);
    if (!found || v.states == 0 || ui->roster.marked > 0)
        return found;
    if (!w)
        return b->key.code == K_ENTER && ui->roster.total == 0;
    return v.states & (1u << w->info.state);
}

/* A key's name, short. */
static void short_name(const struct key *key, char out[KEY_NAME_ROOM])
{
    if (key->code == K_ENTER && key->mods == 0 && screen_utf8())
        snprintf(out, KEY_NAME_ROOM, "⏎");
    else
        key_name(key, out);
}

/* Cells that the labels of at most this rank take. */
static int width_of(const struct keymap *m, enum key_context context, int rank)
{
    int width = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct binding *b = &m->bindings[i];
        char name[KEY_NAME_ROOM];
        if (b->context != context || !b->label || b->rank > rank)
            continue;
        short_name(&b->key, name);
        width += screen_width(name) + 1 + screen_width(b->label) + 2;
    }
    return width;
}

/* What the key does for the selected guest: one key has two answers. */
static const char *label_for(const struct ui *ui, const struct binding *b)
{
    const struct watched *w = roster_selected(&ui->roster);
    bool thaws = w && w->info.state == GUEST_FROZEN && str_eq(b->line, "freeze-or-thaw");
    return thaws ? "Thaw" : b->label;
}

static void draw_context(struct ui *ui, enum key_context context, struct rect area, int x)
{
    const struct keymap *m = &ui->keymap;
    int rank = 9;
    while (rank > 1 && x + width_of(m, context, rank) > area.w + 1)
        rank--;
    for (size_t i = 0; i < m->count && x < area.w; i++) {
        const struct binding *b = &m->bindings[i];
        char name[KEY_NAME_ROOM];
        if (b->context != context || !b->label || b->rank > rank)
            continue;
        bool on = context != KEYS_MAIN || applies(ui, b);
        short_name(&b->key, name);
        x += screen_put(area.y, x, area.w - x, on ? EL_KEY : EL_FAINT, name) + 1;
        x += screen_put(area.y, x, area.w - x, on ? EL_KEY_TEXT : EL_FAINT, label_for(ui, b)) + 2;
    }
}

static void keys_draw(struct ui *ui, struct rect area)
{
    const struct pane *p = ui->panes.shown;
    if (ui_shows(ui, &view_networks)) {
        draw_context(ui, KEYS_NETWORKS, area, 1);
        return;
    }
    if (ui->focus != &view_pane || !p) {
        draw_context(ui, KEYS_MAIN, area, 1);
        return;
    }
    if (p->scroll.on) {
        draw_context(ui, KEYS_SCROLL, area, 1);
        return;
    }
    char prefix[KEY_NAME_ROOM];
    key_name(&ui->keymap.prefix, prefix);
    int x = 1 + screen_put(area.y, 1, area.w - 1, EL_KEY, prefix);
    x += screen_put(area.y, x, area.w - x, EL_KEY_TEXT, " then:  ");
    draw_context(ui, KEYS_PREFIX, area, x);
}

const struct view view_keys = {.name = "keys", .draw = keys_draw};
