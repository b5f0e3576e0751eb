/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See prompt.h. Candidates of a completion are listed in a box above the line. */
#include "ui/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "ui/app.h"
#include "ui/screen.h"
#include "ui/verb.h"

#define LISTED_MAX 8 /* candidates seen at once */

static void forget_candidates(struct prompt *p)
{
    strv_free(p->candidates);
    p->candidates = NULL;
    p->chosen = -1;
}

struct prompt *prompt_begin(struct ui *ui, const char *label)
{
    struct prompt *p = &ui->prompt, old = *p;
    forget_candidates(&old);
    strv_free(old.words);
    *p = (struct prompt){.chosen = -1, .history_count = old.history_count};
    memcpy(p->history, old.history, sizeof p->history);
    p->history_at = p->history_count;
    snprintf(p->label, sizeof p->label, "%s", label);
    return p;
}

void prompt_open(struct ui *ui)
{
    struct prompt *p = &ui->prompt;
    if (p->complete) {
        forget_candidates(p);
        p->candidates = verb_complete(ui, p->edit.text, p->candidate_help, PROMPT_HELPS);
    }
    ui_overlay(ui, &view_prompt);
}

void prompt_free(struct prompt *p)
{
    forget_candidates(p);
    strv_free(p->words);
    for (size_t i = 0; i < p->history_count; i++)
        free(p->history[i]);
    *p = (struct prompt){.chosen = -1};
}

/* ---- asking whether something is meant ---- */

static void confirm_done(struct ui *ui, const char *answer)
{
    struct prompt *p = &ui->prompt;
    const char *wanted = p->wanted[0] ? p->wanted : "y";
    if (strcmp(answer, wanted) != 0) {
        ui_note(ui, "%s: not done", p->words[0]);
        return;
    }
    verb_start(ui, p->words, false);
}

static void confirm_gone(struct ui *ui)
{
    ui_note(ui, "%s: not done", ui->prompt.words[0]);
}

void prompt_confirm(struct ui *ui, char **words, const char *question, const char *wanted)
{
    char label[200];
    if (wanted)
        snprintf(label, sizeof label, "%s Type %s to do it: ", question, wanted);
    else
        snprintf(label, sizeof label, "%s (y/n) ", question);
    struct prompt *p = prompt_begin(ui, label);
    p->words = words;
    p->next_key = !wanted;
    snprintf(p->wanted, sizeof p->wanted, "%s", wanted ? wanted : "");
    p->done = confirm_done;
    p->gone = confirm_gone;
    prompt_open(ui);
}

/* ---- the view ---- */

static size_t candidate_count(const struct prompt *p)
{
    return p->candidates ? strv_len(p->candidates) : 0;
}

static struct rect prompt_place(struct ui *ui, int rows, int cols)
{
    int listed = (int)min(candidate_count(&ui->prompt), (size_t)LISTED_MAX);
    int h = 1 + (listed > 0 && ui->prompt.complete ? listed + 2 : 0);
    int y = ui->layout.message.y;
    h = min(h, y + 1);
    (void)rows;
    return (struct rect){y - h + 1, 0, h, cols};
}

static void draw_candidates(const struct prompt *p, struct rect box)
{
    struct rect in = rect_inner(box);
    size_t count = candidate_count(p), top = 0;
    int width = 0;
    for (size_t i = 0; i < count; i++)
        width = max(width, screen_width(p->candidates[i]));
    if (p->chosen >= in.h)
        top = (size_t)(p->chosen - in.h + 1);
    screen_fill(box, EL_TEXT);
    screen_box(box, EL_BORDER_FOCUS, EL_TITLE,
               count > (size_t)in.h ? "Tab: next, and more" : "Tab");
    for (int i = 0; i < in.h && top + (size_t)i < count; i++) {
        size_t k = top + (size_t)i;
        bool now = (int)k == p->chosen;
        const char *help = k < PROMPT_HELPS && p->candidate_help[k] ? p->candidate_help[k] : "";
        if (now)
            screen_fill((struct rect){in.y + i, in.x, 1, in.w}, EL_SELECTED);
        screen_put(in.y + i, in.x + 1, in.w - 2, now ? EL_SELECTED : EL_KEY, p->candidates[k]);
        screen_put(in.y + i, in.x + width + 3, in.w - width - 4, now ? EL_SELECTED : EL_FAINT,
                   help);
    }
}

static void prompt_draw(struct ui *ui, struct rect area)
{
    const struct prompt *p = &ui->prompt;
    int y = area.y + area.h - 1;
    if (area.h > 2)
        draw_candidates(p, (struct rect){area.y, area.x, area.h - 1, area.w});
    screen_fill((struct rect){y, 0, 1, area.w}, EL_PROMPT);
    int n = screen_put(y, 0, area.w - 4, EL_PROMPT, p->label);
    edit_draw(&p->edit, y, n, area.w - n, EL_PROMPT, true);
}

/* Put the next candidate (or the one before) in place of the word that was being typed. */
static void choose(struct prompt *p, int by)
{
    int count = (int)candidate_count(p);
    if (count == 0)
        return;
    if (p->chosen < 0)
        snprintf(p->typed, sizeof p->typed, "%s", p->edit.text);
    p->chosen = p->chosen < 0 && by < 0 ? count - 1 : (p->chosen + by + count) % count;
    const char *word = p->candidates[p->chosen];
    char line[EDIT_MAX];
    /* A verb's name of several words replaces all that was typed of it. */
    bool whole = strchr(word, ' ') != NULL && str_starts(word, p->typed);
    char *blank = whole ? NULL : strrchr(p->typed, ' ');
    size_t keep = blank ? (size_t)(blank - p->typed) + 1 : 0;
    snprintf(line, sizeof line, "%.*s%s", (int)keep, p->typed, word);
    edit_set(&p->edit, line);
}

static void remember(struct prompt *p)
{
    if (!p->complete || p->edit.len == 0)
        return;
    if (p->history_count == ARRAY_SIZE(p->history)) {
        free(p->history[0]);
        memmove(p->history, p->history + 1, sizeof p->history - sizeof p->history[0]);
        p->history_count--;
    }
    p->history[p->history_count++] = xstrdup(p->edit.text);
}

static unsigned answer(struct ui *ui, const char *text)
{
    struct prompt *p = &ui->prompt;
    char copy[EDIT_MAX];
    snprintf(copy, sizeof copy, "%s", text);
    remember(p);
    ui_overlay_close(ui); /* what is done may ask again */
    p->done(ui, copy);
    return HANDLED | REDRAW;
}

static void from_history(struct prompt *p, int by)
{
    size_t at = p->history_at + (size_t)by;
    if (!p->complete || at > p->history_count)
        return;
    p->history_at = at;
    edit_set(&p->edit, at < p->history_count ? p->history[at] : "");
}

static unsigned prompt_key(struct ui *ui, const struct key *key)
{
    struct prompt *p = &ui->prompt;
    bool cancel = key->code == K_ESC || (key->code == 'c' && key->mods == MOD_CTRL);
    if (cancel) {
        void (*gone)(struct ui *) = p->gone;
        ui_overlay_close(ui);
        if (gone)
            gone(ui);
        return HANDLED | REDRAW;
    }
    if (p->next_key) {
        char c[8] = "";
        if (key->code < K_ENTER)
            c[utf8_put(c, key->code)] = '\0';
        return answer(ui, c);
    }
    if (key->code == K_ENTER)
        return answer(ui, p->edit.text);
    if (key->code == K_TAB) {
        choose(p, key->mods & MOD_SHIFT ? -1 : 1);
        return HANDLED | REDRAW;
    }
    if (key->code == K_UP || key->code == K_DOWN) {
        if (p->chosen >= 0)
            choose(p, key->code == K_UP ? -1 : 1);
        else
            from_history(p, key->code == K_UP ? -1 : 1);
    } else if (key->code == K_BACKSPACE && p->edit.len == 0 && p->complete) {
        return HANDLED | LEAVE;
    } else if (!edit_key(&p->edit, key)) {
        return HANDLED;
    }
    bool walking = p->chosen >= 0 && (key->code == K_UP || key->code == K_DOWN);
    if (p->complete && !walking) {
        forget_candidates(p);
        p->candidates = verb_complete(ui, p->edit.text, p->candidate_help, PROMPT_HELPS);
    }
    if (p->changed)
        p->changed(ui, p->edit.text);
    return HANDLED | REDRAW;
}

static void prompt_leave(struct ui *ui)
{
    forget_candidates(&ui->prompt);
}

const struct view view_prompt = {
    .name = "prompt",
    .place = prompt_place,
    .draw = prompt_draw,
    .key = prompt_key,
    .leave = prompt_leave,
};
