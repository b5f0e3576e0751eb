/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See verb.h. Here verbs are found, aimed at guests, confirmed, and started as jobs. */
#include "ui/verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/engine.h"
#include "ui/app.h"

/* ---- finding ---- */

static struct verb of_action(const struct action *a)
{
    return (struct verb){
        .name = a->name, .args = a->args, .help = a->help, .states = a->states, .action = a};
}

static struct verb of_command(const struct command *c)
{
    return (struct verb){
        .name = c->name, .args = c->args, .help = c->help, .states = c->states, .command = c};
}

static bool replaced(const char *name)
{
    for (const struct action *a = actions; a->name; a++) {
        if (strcmp(a->name, name) == 0)
            return true;
    }
    return false;
}

bool verb_at(size_t i, struct verb *v)
{
    for (const struct action *a = actions; a->name; a++) {
        if (i-- == 0) {
            *v = of_action(a);
            return true;
        }
    }
    for (const struct command *const *c = commands; *c; c++) {
        if (!replaced((*c)->name) && i-- == 0) {
            *v = of_command(*c);
            return true;
        }
    }
    return false;
}

bool verb_find(char *const *words, struct verb *v, int *used)
{
    if (!words[0])
        return false;
    *used = 1;
    for (const struct action *a = actions; a->name; a++) {
        if (strcmp(a->name, words[0]) == 0) {
            *v = of_action(a);
            return true;
        }
    }
    const struct command *c = command_find((int)strv_len(words), words, used);
    if (c)
        *v = of_command(c);
    return c != NULL;
}

/* ---- completing ---- */

struct candidates {
    char **words;
    size_t count;
    const char **help;
    size_t help_max;
};

static void offer(struct candidates *c, const char *word, const char *typed, const char *help)
{
    if (!str_starts(word, typed))
        return;
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->words[i], word) == 0)
            return;
    }
    c->words = xrealloc(c->words, c->count + 2, sizeof(char *));
    if (c->count < c->help_max)
        c->help[c->count] = help;
    c->words[c->count++] = xstrdup(word);
    c->words[c->count] = NULL;
}

static void offer_guests(struct candidates *c, const struct ui *ui, const char *typed,
                         unsigned states)
{
    for (size_t i = 0; i < ui->roster.total; i++) {
        const struct guest_info *g = &ui->roster.all[i]->info;
        if (states & ON_STATE(g->state))
            offer(c, g->name, typed, state_name(g->state));
    }
}

static void offer_templates(struct candidates *c, const char *typed)
{
    const struct engine *e = engine_by_type("container");
    for (const struct guest_template *t = e ? e->templates : NULL; t && t->name; t++)
        offer(c, t->name, typed, t->help);
}

/* Options, guests and fixed words that may follow a verb; before: the word in front of this one. */
static void offer_arguments(struct candidates *c, const struct ui *ui, const struct verb *v,
                            const char *before, const char *typed)
{
    if (v->command && (str_eq(before, "--template") || str_eq(before, "-t"))) {
        offer_templates(c, typed);
        return;
    }
    for (size_t i = 0; v->action && v->action->words && v->action->words[i]; i++)
        offer(c, v->action->words[i], typed, NULL);
    if (v->states)
        offer_guests(c, ui, typed, v->states);
    const struct cmd_option *o = v->command ? v->command->options : NULL;
    for (; o && o->name && typed[0] == '-'; o++) {
        char word[64];
        snprintf(word, sizeof word, "--%s", o->name);
        offer(c, word, typed, o->help);
    }
}

char **verb_complete(struct ui *ui, const char *line, const char **help, size_t help_max)
{
    struct candidates c = {.words = xcalloc(1, sizeof(char *)), .help = help, .help_max = help_max};
    char **words = str_split_words(line, NULL);
    if (!words)
        return c.words;
    size_t n = strv_len(words), len = strlen(line);
    bool fresh = len == 0 || line[len - 1] == ' ';
    const char *typed = fresh || n == 0 ? "" : words[n - 1];
    struct verb v;
    int used;
    bool known = verb_find(words, &v, &used);
    /* A name of two words, such as `create vm`, is completed as a whole. */
    if (!known || (!fresh && n <= (size_t)used)) {
        for (size_t i = 0; verb_at(i, &v); i++)
            offer(&c, v.name, n > 1 ? line : typed, v.help);
    } else {
        const size_t back = fresh ? 1 : 2;
        offer_arguments(&c, ui, &v, n >= back ? words[n - back] : "", typed);
    }
    strv_free(words);
    return c.words;
}

/* ---- running ---- */

/* What a job started from the palette printed goes into an overlay, if it is more than a line. */
static void job_done(struct ui *ui, const struct job *job, bool show)
{
    char said[300];
    job_last_line(job, said, sizeof said);
    const char *out = job_stdout(job), *nl = strchr(out, '\n');
    bool text = show && nl && nl[1];
    if (text)
        text_open_string(ui, job_line(job), out);
    if (job_status(job) != 0)
        message_add(&ui->messages, MESSAGE_BAD, "%s", said[0] ? said : job_line(job));
    else if (!text)
        message_add(&ui->messages, MESSAGE_GOOD, "%s%s%s", job_line(job), said[0] ? ": " : ": done",
                    said);
    ui_dirty(ui, DIRTY_ALL);
}

static void quiet_done(void *arg, const struct job *job)
{
    job_done(arg, job, false);
}

static void shown_done(void *arg, const struct job *job)
{
    job_done(arg, job, true);
}

void verb_start(struct ui *ui, char *const *words, bool show)
{
    struct error err;
    if (!job_start(ui->jobs, words, show ? shown_done : quiet_done, ui, &err))
        ui_error(ui, "%s", err.text);
    else
        ui_dirty(ui, DIRTY_ALL);
}

/*
 * Put the guests that are meant behind a verb that names none, leaving out those whose state it
 * does not apply to. Returns how many guests there are, 0 after saying why there is none.
 */
static size_t aim(struct ui *ui, const struct command *c, char ***words)
{
    char **names = NULL;
    size_t n = roster_targets(&ui->roster, &names), used = strv_len(*words), kept = 0;
    *words = xrealloc(*words, used + n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        const struct watched *w = roster_find(&ui->roster, names[i]);
        if (!w || !(c->states & ON_STATE(w->info.state)))
            continue;
        (*words)[used + kept++] = xstrdup(names[i]);
        if (!str_starts(c->args + (c->args[0] == '['),
                        "NAME...")) /* what follows the first is something else */
            break;
    }
    (*words)[used + kept] = NULL;
    const struct watched *w = roster_selected(&ui->roster);
    if (n == 0)
        ui_note(ui, "%s: there is no guest to do it to", c->name);
    else if (kept == 0 && n == 1 && w)
        ui_note(ui, "%s: '%s' is %s", c->name, names[0], state_name(w->info.state));
    else if (kept == 0)
        ui_note(ui, "%s: none of the %zu marked guests is in a state for that", c->name, n);
    strv_free(names);
    return kept;
}

/* The guests that words name after the verb's own `used` words. */
static size_t count_names(const struct ui *ui, char *const *words, int used)
{
    size_t n = 0;
    for (char *const *w = words + used; *w && strcmp(*w, "--") != 0; w++)
        n += roster_find(&ui->roster, *w) != NULL;
    return n;
}

/* Whom a verb is about: the first guest that is named after it, options left aside. */
static const char *first_name(const struct ui *ui, char *const *words, int used)
{
    for (char *const *w = words + used; *w && strcmp(*w, "--") != 0; w++) {
        if (roster_find(&ui->roster, *w))
            return *w;
    }
    return words[used] ? words[used] : "";
}

/*
 * What loses work asks, in proportion: y, or, where something is lost for good, a typed word. A
 * verb that is unsafe even for a guest that does not run takes what is on the disk. words is
 * taken over.
 */
static void confirm(struct ui *ui, const struct command *c, char **words, int used, size_t guests)
{
    char question[200];
    const char *name = first_name(ui, words, used);
    const char *format = c->confirm ? c->confirm : "Really?", *at = strstr(format, "%s");
    if (guests > 1)
        snprintf(question, sizeof question, "%s %zu guests?", c->name, guests);
    else if (at)
        snprintf(question, sizeof question, "%.*s%s%s", (int)(at - format), format, name, at + 2);
    else
        snprintf(question, sizeof question, "%s", format);
    bool for_good = c->states & ON_STATE(GUEST_STOPPED);
    prompt_confirm(ui, words, question, !for_good ? NULL : guests > 1 ? c->name : name);
}

static void run_command(struct ui *ui, const struct command *c, char *const *given, int used,
                        bool show)
{
    size_t n = strv_len(given);
    char **words = xcalloc(n + 1, sizeof *words);
    for (size_t i = 0; i < n; i++)
        words[i] = xstrdup(given[i]);
    size_t guests = count_names(ui, words, used);
    if (c->states && n == (size_t)used && (guests = aim(ui, c, &words)) == 0) {
        strv_free(words);
        return;
    }
    if (!c->safe) {
        confirm(ui, c, words, used, guests);
        return;
    }
    verb_start(ui, words, show);
    strv_free(words);
}

void ui_run_words(struct ui *ui, char *const *words, bool show)
{
    struct verb v;
    int used;
    if (!words[0])
        return;
    if (!verb_find(words, &v, &used))
        ui_error(ui, "there is no command '%s'; Tab lists them, F1 explains", words[0]);
    else if (v.action)
        v.action->run(ui, (int)strv_len(words), words);
    else
        run_command(ui, v.command, words, used, show);
}

void ui_run(struct ui *ui, const char *line)
{
    struct error err;
    char **words = str_split_words(line, &err);
    if (!words) {
        ui_error(ui, "%s", err.text);
        return;
    }
    ui_run_words(ui, words, true);
    strv_free(words);
}
