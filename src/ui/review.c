/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See review.h. */
#include "ui/review.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "ui/app.h"
#include "ui/field.h"
#include "ui/screen.h"

/* ---- what is shown ---- */

static void forget(struct review *r)
{
    persist_clear(&r->persist);
    free(r->text);
    free(r->refused);
    r->text = r->refused = NULL;
    r->top = 0;
}

static void made(void *arg, const struct job *job)
{
    struct ui *ui = arg;
    struct review *r = &ui->review;
    struct error err;
    char said[300];

    if (job != r->job)
        return; /* another dialect was asked for since, or it is closed */
    r->job = NULL;
    forget(r);
    if (job_status(job) != 0)
        r->refused = xstrdup(job_last_line(job, said, sizeof said));
    else if (persist_from_json(job_stdout(job), &r->persist, &err) < 0)
        r->refused = xstrdup(err.text);
    else
        r->text = persist_text(&r->persist);
    ui_dirty(ui, DIRTY_ALL);
}

/* Have it made, in the dialect that is chosen. */
static void ask(struct ui *ui)
{
    struct review *r = &ui->review;
    struct error err;
    char **words = NULL;

    for (char **w = r->words; w && *w; w++)
        words_push(&words, *w);
    words_push(&words, "--persistent");
    if (*r->dialect) {
        words_push(&words, "--dialect");
        words_push(&words, r->dialect);
    }
    words_push(&words, "-o");
    words_push(&words, "json");
    r->job = job_start(ui->jobs, words, made, ui, &err);
    if (!r->job)
        ui_error(ui, "%s", err.text);
    strv_free(words);
}

void review_open(struct ui *ui, char *const *words)
{
    struct review *r = &ui->review;

    for (char *const *w = words; *w; w++)
        words_push(&r->words, *w);
    ui_overlay(ui, &view_review);
    ask(ui);
}

/* The dialect after, or before, the one that is shown. */
static void turn(struct ui *ui, int by)
{
    struct review *r = &ui->review;
    const char *now = *r->dialect ? r->dialect : r->persist.dialect;
    size_t count = 0, at = 0;

    for (; persist_dialect(count); count++)
        if (str_eq(persist_dialect(count), now))
            at = count;
    if (count == 0)
        return;
    at = *now ? (at + count + (size_t)by) % count : 0;
    snprintf(r->dialect, sizeof r->dialect, "%s", persist_dialect(at));
    ask(ui);
}

/* ---- saving ---- */

/* Here, since the line of messages lies below. */
static void say(struct review *r, bool bad, char *text)
{
    free(r->said);
    r->said = text;
    r->bad = bad;
}

static void save(struct ui *ui, const char *path, bool replace);

static void answered(struct ui *ui, const char *answer)
{
    struct review *r = &ui->review;

    if (str_eq(answer, "y") && r->path)
        save(ui, r->path, true);
    else
        say(&ui->review, false, xstrdup("not saved"));
}

static void not_answered(struct ui *ui)
{
    say(&ui->review, false, xstrdup("not saved"));
}

/* A file is there: is it to be replaced? */
static void ask_over(struct ui *ui, const char *path)
{
    char label[200];

    free(ui->review.path);
    ui->review.path = xstrdup(path);
    snprintf(label, sizeof label, "There is such a file already in '%.120s'. Write over it? (y/n) ",
             path);
    struct prompt *p = prompt_begin(ui, label);
    p->next_key = true;
    p->done = answered;
    p->gone = not_answered;
    prompt_open(ui);
}

static void save(struct ui *ui, const char *path, bool replace)
{
    const char *home = getenv("HOME");
    cleanup_free char *whole = xasprintf("%s%s", home && str_starts(path, "~/") ? home : "",
                                         path + (home && str_starts(path, "~/")));
    const struct persist *p = &ui->review.persist;
    struct error err;

    if (persist_save(p, whole, replace, &err) == 0)
        say(&ui->review, false,
            xasprintf("%s saved: %s", p->count == 1 ? "the file is" : "the files are", whole));
    else if (err.code == EEXIST && !replace)
        ask_over(ui, path);
    else
        say(&ui->review, true, xstrdup(err.text));
}

static void path_typed(struct ui *ui, const char *path)
{
    if (*path && ui->review.text)
        save(ui, path, false);
    else
        say(&ui->review, false, xstrdup("not saved"));
}

static void ask_path(struct ui *ui)
{
    const bool one = ui->review.persist.count == 1;
    struct prompt *p =
        prompt_begin(ui, one ? "Save to (a file, or a directory): " : "Save to (a directory): ");

    p->done = path_typed;
    p->gone = not_answered;
    prompt_open(ui);
}

/* ---- the view ---- */

static struct rect review_place(struct ui *ui, int rows, int cols)
{
    (void)ui;
    return rect_centred(rows, cols, max(rows - 2, 10), min(cols, 100));
}

static size_t line_count(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void draw_lines(struct review *r, struct rect in)
{
    const size_t count = line_count(r->text), room = (size_t)max(in.h, 1);
    const char *line = r->text;
    int y = in.y;

    r->top = min(r->top, count > room ? count - room : 0);
    for (size_t i = 0; *line && y < in.y + in.h; i++) {
        const size_t n = strcspn(line, "\n");
        const enum element el = str_starts(line, "==> ")     ? EL_STRONG
                                : str_starts(line, "note: ") ? EL_CHANGING
                                                             : EL_TEXT;
        if (i >= r->top)
            screen_putf(y++, in.x + 1, in.w - 2, el, "%.*s", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static void review_draw(struct ui *ui, struct rect area)
{
    struct review *r = &ui->review;
    struct rect in = rect_inner(area);
    char title[80];

    snprintf(title, sizeof title, "To keep it at each boot%s%s", r->text ? ": " : "",
             r->text ? r->persist.dialect : "");
    screen_fill(area, EL_TEXT);
    screen_box(area, EL_BORDER_FOCUS, EL_TITLE, title);
    screen_put(area.y + area.h - 1, area.x + 2, area.w - 4, EL_FAINT,
               r->text ? "s save   ◂ ▸ other dialects   ▴ ▾ PgDn PgUp more   Esc back"
                       : "◂ ▸ other dialects   Esc back");
    screen_put(in.y, in.x + 1, in.w - 2, EL_FAINT,
               "To be reviewed by you; nothing is written unless you save it.");
    if (r->said)
        screen_put(in.y + 1, in.x + 1, in.w - 2, r->bad ? EL_BAD : EL_GOOD, r->said);
    in.y += 2 + (r->said != NULL);
    in.h -= 2 + (r->said != NULL);
    if (r->refused)
        screen_wrapped(in.y, in.x + 1, in.w - 2, in.h, EL_BAD, r->refused);
    else if (r->text)
        draw_lines(r, in);
    else
        screen_put(in.y, in.x + 1, in.w - 2, EL_TEXT, "…");
}

static unsigned review_key(struct ui *ui, const struct key *key)
{
    struct review *r = &ui->review;
    const size_t page = (size_t)max(review_place(ui, screen_rows(), screen_cols()).h - 5, 1);

    if (key->code == K_ESC || key->code == 'q' || key->code == K_F0 + 3)
        return HANDLED | LEAVE;
    if (key->code == 's' && r->text)
        ask_path(ui);
    else if (key->code == K_LEFT || key->code == K_RIGHT)
        turn(ui, key->code == K_LEFT ? -1 : 1);
    else if (key->code == K_DOWN || key->code == 'j')
        r->top++;
    else if (key->code == K_UP || key->code == 'k')
        r->top -= min(r->top, (size_t)1);
    else if (key->code == K_PGDN || key->code == ' ')
        r->top += page;
    else if (key->code == K_PGUP)
        r->top -= min(r->top, page);
    else if (key->code == K_HOME)
        r->top = 0;
    return HANDLED | REDRAW;
}

static void review_leave(struct ui *ui)
{
    struct review *r = &ui->review;

    forget(r);
    strv_free(r->words);
    free(r->path);
    free(r->said);
    *r = (struct review){0};
}

const struct view view_review = {
    .name = "review",
    .place = review_place,
    .draw = review_draw,
    .key = review_key,
    .leave = review_leave,
};
