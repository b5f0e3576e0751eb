/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands behind the wizards:
 *
 *     network plan …     at each change of the settings: what would be done
 *     network create …   then network apply: followed in the journal as the steps are done
 *     network confirm    in time, where there is a risk
 *     network doctor     the proof
 *     network destroy    where it failed, or Esc was pressed: the definition goes, too
 */
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "ui/field.h"
#include "ui/wizard_private.h"

#define SETTLE_MS 150

/* ---- the plan ---- */

void wizard_forget_plan(struct wizard *w)
{
    for (size_t i = 0; i < w->step_count; i++) {
        free(w->steps[i].what);
        free(w->steps[i].command);
        free(w->steps[i].risk);
    }
    free(w->steps);
    strv_free(w->notes);
    free(w->refused);
    w->steps = NULL;
    w->notes = NULL;
    w->refused = NULL;
    w->step_count = 0;
}

static char *copy_of(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s ? xstrdup(s) : NULL;
}

/* What `network plan -o json` printed. */
static void take_plan(struct wizard *w, const char *text)
{
    json_t *o = json_loads(text, 0, NULL), *step, *note;
    size_t i;

    json_array_foreach (json_object_get(o, "steps"), i, step) {
        w->steps = xrealloc(w->steps, w->step_count + 1, sizeof *w->steps);
        w->steps[w->step_count++] = (struct wizard_step){
            .what = copy_of(step, "what"),
            .command = copy_of(step, "command"),
            .risk = copy_of(step, "risk"),
        };
    }
    json_array_foreach (json_object_get(o, "notes"), i, note)
        if (json_string_value(note))
            words_push(&w->notes, json_string_value(note));
    if (!o)
        w->refused = xstrdup("there is no plan");
    json_decref(o);
}

static bool has_risk(const struct wizard *w)
{
    for (size_t i = 0; i < w->step_count; i++)
        if (w->steps[i].risk)
            return true;
    return false;
}

static void plan_done(void *arg, const struct job *job)
{
    struct ui *ui = arg;
    struct wizard *w = &ui->wizard;
    char said[300];

    if (job != w->plan_job)
        return; /* of what has been changed since, or the wizard is closed */
    w->plan_job = NULL;
    wizard_forget_plan(w);
    w->planned = true;
    if (job_status(job) == 0)
        take_plan(w, job_stdout(job));
    else
        w->refused = xstrdup(job_last_line(job, said, sizeof said));
    if (w->asap && !w->refused && !has_risk(w))
        wizard_go(ui);
    w->asap = false;
    ui_dirty(ui, DIRTY_ALL);
}

static void on_settled(evutil_socket_t fd, short what, void *arg)
{
    struct ui *ui = arg;
    struct wizard *w = &ui->wizard;
    struct error err;
    (void)fd, (void)what;
    char **words = wizard_words(w, "plan", &err);

    if (!words)
        return; /* the field says what is wrong */
    words_push(&words, "-o");
    words_push(&words, "json");
    struct job *job = job_start(ui->jobs, words, plan_done, ui, &err);
    if (!job)
        ui_error(ui, "%s", err.text);
    w->plan_job = job;
    strv_free(words);
}

void wizard_replan(struct ui *ui)
{
    struct wizard *w = &ui->wizard;
    const struct timeval t = {.tv_usec = SETTLE_MS * 1000};

    w->planned = w->asap = false;
    w->plan_job = NULL;
    if (!w->settle)
        w->settle = evtimer_new(ui->base, on_settled, ui);
    event_add(w->settle, &t);
}

/* ---- doing it ---- */

/* Start a command whose end `done` hears of; what it is for is kept in w->run. */
static void run(struct ui *ui, enum wizard_run what, char **words, job_done_fn *done)
{
    struct wizard *w = &ui->wizard;
    struct error err;

    w->run = what;
    w->job = job_start(ui->jobs, words, done, ui, &err);
    if (!w->job) {
        w->run = RUN_FAILED;
        free(w->said);
        w->said = xstrdup(err.text);
    }
    strv_free(words);
}

static char **words_of(const char *verb, const char *name)
{
    char **words = NULL;
    words_push(&words, "network");
    words_push(&words, verb);
    words_push(&words, name);
    return words;
}

static void keep_said(struct wizard *w, const struct job *job, bool all)
{
    char said[300];
    free(w->said);
    w->said = xstrdup(all ? job_stdout(job) : job_last_line(job, said, sizeof said));
}

/* The definition is gone again: the settings can be mended. What failed is still said. */
static void undone(void *arg, const struct job *job)
{
    struct ui *ui = arg;
    struct wizard *w = &ui->wizard;

    if (job != w->job)
        return;
    w->run = job_status(job) == 0 ? RUN_FAILED : RUN_STUCK;
    if (w->run == RUN_STUCK)
        keep_said(w, job, false);
    ui_dirty(ui, DIRTY_ALL);
}

static void destroy(struct ui *ui)
{
    char **words = words_of("destroy", ui->wizard.name);
    words_push(&words, "--force");
    run(ui, RUN_BACK, words, undone);
}

/*
 * The doctor's lines, those that say what is wrong, with their remedies, before all others: there
 * may not be room for all.
 */
static char *worst_first(const char *text)
{
    static const char *const signs[] = {"BAD ", "note", "ok  "};
    char *sorted = xcalloc(strlen(text) + 2, 1), *to = sorted;

    for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
        bool taken = false; /* a remedy goes with the line above it */
        for (const char *line = text; *line;) {
            size_t n = strcspn(line, "\n");
            if (*line != ' ')
                taken = strncmp(line, signs[i], strlen(signs[i])) == 0;
            if (taken) {
                memcpy(to, line, n);
                to += n;
                *to++ = '\n';
            }
            line += n + (line[n] == '\n');
        }
    }
    return sorted;
}

static void proved(void *arg, const struct job *job)
{
    struct ui *ui = arg;
    struct wizard *w = &ui->wizard;

    if (job != w->job)
        return;
    keep_said(w, job, true);
    char *sorted = worst_first(w->said);
    free(w->said);
    w->said = sorted;
    w->blocked = job_status(job) != 0;
    w->run = RUN_DONE;
    if (w->blocked && *w->said)
        ui_error(ui, "the network '%s' is up, but not all is as it should be", w->name);
    else if (w->blocked) /* the doctor itself failed */
        ui_error(ui, "%s", job_stderr(job));
    else
        ui_note(ui, "the network '%s' is up", w->name);
    ui_dirty(ui, DIRTY_ALL);
}

static void prove(struct ui *ui)
{
    ui->wizard.awaited = false;
    run(ui, RUN_PROVE, words_of("doctor", ui->wizard.name), proved);
}

static const struct net_view *made(struct ui *ui)
{
    for (size_t i = 0; i < ui->nets.count; i++)
        if (str_eq(ui->nets.all[i].name, ui->wizard.name))
            return &ui->nets.all[i];
    return NULL;
}

void wizard_look(struct ui *ui)
{
    struct wizard *w = &ui->wizard;
    const struct net_view *v = made(ui);

    if (w->run != RUN_APPLY || !v || w->job)
        return;
    w->awaited = v->journal.state == NETWORK_UNCONFIRMED;
    if (v->journal.state == NETWORK_UP)
        prove(ui);
    else if (v->journal.state == NETWORK_DOWN)
        destroy(ui); /* nobody confirmed, and all is as it was */
    if (v->journal.state == NETWORK_DOWN && !w->said)
        w->said = xstrdup("nobody confirmed in time: everything is as it was");
}

static void applied(void *arg, const struct job *job)
{
    struct ui *ui = arg;
    struct wizard *w = &ui->wizard;

    if (job != w->job)
        return;
    w->job = NULL;
    nets_changes(&ui->nets);
    if (job_status(job) != 0) {
        keep_said(w, job, false);
        destroy(ui);
    } else {
        wizard_look(ui);
    }
    ui_dirty(ui, DIRTY_ALL);
}

static void created(void *arg, const struct job *job)
{
    struct ui *ui = arg;
    struct wizard *w = &ui->wizard;

    if (job != w->job)
        return;
    if (job_status(job) != 0) {
        keep_said(w, job, false);
        w->run = RUN_FAILED;
    } else {
        run(ui, RUN_APPLY, words_of("apply", w->name), applied);
    }
    ui_dirty(ui, DIRTY_ALL);
}

void wizard_go(struct ui *ui)
{
    struct wizard *w = &ui->wizard;
    struct error err;
    char **words = wizard_words(w, "create", &err);

    if (!words)
        return;
    free(w->said);
    w->said = NULL;
    w->awaited = w->blocked = false;
    w->top = 0;
    snprintf(w->name, sizeof w->name, "%.*s", IFNAMSIZ - 1, w->values[0].text);
    w->page = PAGE_RUN;
    run(ui, RUN_CREATE, words, created);
}

static void confirmed(void *arg, const struct job *job)
{
    struct ui *ui = arg;
    struct wizard *w = &ui->wizard;

    if (job != w->job)
        return;
    w->job = NULL;
    if (job_status(job) != 0)
        keep_said(w, job, false);
    nets_changes(&ui->nets);
    wizard_look(ui);
    ui_dirty(ui, DIRTY_ALL);
}

void wizard_confirm(struct ui *ui)
{
    run(ui, RUN_APPLY, words_of("confirm", ui->wizard.name), confirmed);
}

static void rolled_back(void *arg, const struct job *job)
{
    struct ui *ui = arg;
    struct wizard *w = &ui->wizard;

    if (job != w->job)
        return;
    if (job_status(job) != 0) {
        keep_said(w, job, false);
    } else {
        free(w->said);
        w->said = xstrdup("you had all put back");
    }
    destroy(ui);
}

void wizard_undo(struct ui *ui)
{
    ui->wizard.awaited = false;
    run(ui, RUN_BACK, words_of("rollback", ui->wizard.name), rolled_back);
}
