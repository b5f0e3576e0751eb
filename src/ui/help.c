/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two texts that the UI itself makes: help, from the key table, and the message log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/places.h"
#include "base/util.h"
#include "ui/app.h"
#include "ui/screen.h"
#include "ui/verb.h"

static const char *line_help(const char *line)
{
    struct verb v;
    int used;
    char **words = str_split_words(line, NULL);
    const char *help = words && verb_find(words, &v, &used) ? v.help : "";
    strv_free(words);
    return help;
}

/* Are two bindings explained by one line? Those of one verb are, but for those with a text. */
static bool together(const struct binding *a, const struct binding *b)
{
    if (a->context != b->context)
        return false;
    if (a->help || b->help)
        return strcmp(a->line, b->line) == 0;
    size_t n = strcspn(a->line, " ");
    return n == strcspn(b->line, " ") && strncmp(a->line, b->line, n) == 0;
}

/* One line for all keys that belong together, in the order of the table. */
static void add_context(struct text *t, const struct keymap *m, enum key_context context)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct binding *b = &m->bindings[i];
        char keys[120];
        size_t n = 0, first = 0;
        while (!together(&m->bindings[first], b))
            first++;
        if (b->context != context || first < i)
            continue;
        for (size_t k = i; k < m->count; k++) {
            char name[KEY_NAME_ROOM];
            if (!together(b, &m->bindings[k]))
                continue;
            key_name(&m->bindings[k].key, name);
            if (n < sizeof keys)
                n += (size_t)snprintf(keys + n, sizeof keys - n, "%s%s", n ? " " : "", name);
        }
        text_add_pair(t, EL_KEY, keys, EL_TEXT, b->help ? b->help : line_help(b->line));
    }
}

void help_fill(struct ui *ui, struct text *t)
{
    char prefix[KEY_NAME_ROOM];
    key_name(&ui->keymap.prefix, prefix);
    text_add(t, EL_STRONG, "Keys in the guest list");
    text_add(t, EL_FAINT, "They apply to the marked guests, or else to the selected one.");
    add_context(t, &ui->keymap, KEYS_MAIN);
    text_add(t, EL_TEXT, "%s", "");
    text_add(t, EL_STRONG, "Keys in the list of networks");
    add_context(t, &ui->keymap, KEYS_NETWORKS);
    text_add(t, EL_TEXT, "%s", "");
    text_add(t, EL_STRONG, "In a console: every key goes to the guest, except after %s", prefix);
    add_context(t, &ui->keymap, KEYS_PREFIX);
    text_add(t, EL_TEXT, "%s", "");
    text_add(t, EL_STRONG, "Looking back in a console");
    add_context(t, &ui->keymap, KEYS_SCROLL);
    text_add(t, EL_TEXT, "%s", "");
    text_add(t, EL_STRONG, "Commands, typed after :");
    struct verb v;
    for (size_t i = 0; verb_at(i, &v); i++) {
        cleanup_free char *name =
            xasprintf("%s%s%.24s", v.name, v.args ? " " : "", v.args ? v.args : "");
        text_add_pair(t, EL_KEY, name, EL_TEXT, v.help);
    }
    text_add(t, EL_TEXT, "%s", "");
    text_add(t, EL_FAINT, "Keys can be changed in %s/keys.conf:  key.F = freeze", place_home());
    text_add(t, EL_FAINT, "Colours: PULT_THEME=NAME in the environment, or :theme NAME.");
    text_add(t, EL_FAINT, "CPU: 100 %% is one core.");
}

void messages_fill(struct ui *ui, struct text *t)
{
    static const enum element looks[] = {
        [MESSAGE_NOTE] = EL_TEXT, [MESSAGE_GOOD] = EL_GOOD, [MESSAGE_BAD] = EL_BAD};
    for (size_t i = 0; i < ui->messages.count; i++) {
        const struct message *m = message_at(&ui->messages, i);
        char when[16] = "";
        struct tm tm;
        if (localtime_r(&m->when, &tm))
            strftime(when, sizeof when, "%H:%M:%S", &tm);
        text_add_pair(t, EL_FAINT, when, looks[m->kind], m->text);
    }
    for (size_t i = 0; job_at(ui->jobs, i); i++) {
        const struct job *job = job_at(ui->jobs, i);
        char age[24];
        cleanup_free char *line = xasprintf("%s — running; c cancels the newest", job_line(job));
        snprintf(age, sizeof age, "%llu s",
                 (unsigned long long)(now_mono_ns() - job_started_ns(job)) / 1000000000);
        text_add_pair(t, EL_CHANGING, age, EL_CHANGING, line);
    }
    if (t->count == 0)
        text_add(t, EL_FAINT, "Nothing happened yet.");
}
