/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plans as data, see plan.h: making them, telling them, writing them down.
 */
#include "net/plan.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

static const char *const states[STEP_STATES] = {"pending", "doing", "done", "undone"};

const struct step_op *step_op_find(const char *name)
{
    for (const struct step_op *const *op = step_ops; *op; op++)
        if (str_eq((*op)->name, name))
            return *op;
    return NULL;
}

static struct step *new_step(struct plan *p, const struct step_op *op)
{
    if (p->count == p->room) {
        p->room = p->room ? p->room * 2 : 16;
        p->steps = xrealloc(p->steps, p->room, sizeof(*p->steps));
    }
    p->steps[p->count] = (struct step){.op = op};
    return &p->steps[p->count++];
}

struct step *plan_add(struct plan *p, const char *op, ...)
{
    const struct step_op *row = step_op_find(op);
    const char *arg;
    unsigned n = 0;
    va_list ap;

    if (!row)
        abort(); /* a mistake of ours, which the first test of that plan shows */
    struct step *s = new_step(p, row);
    va_start(ap, op);
    while ((arg = va_arg(ap, const char *)) && n < STEP_ARGS)
        s->args[n++] = xstrdup(arg);
    va_end(ap);
    return s;
}

static void add_note(struct plan *p, char *note)
{
    size_t n = strv_len(p->notes);

    p->notes = xrealloc(p->notes, n + 2, sizeof(char *));
    p->notes[n] = note;
    p->notes[n + 1] = NULL;
}

void plan_note(struct plan *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_note(p, xvasprintf(fmt, ap));
    va_end(ap);
}

bool plan_risky(const struct plan *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->steps[i].risk)
            return true;
    return false;
}

void plan_clear(struct plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        for (unsigned n = 0; n < STEP_ARGS; n++)
            free(p->steps[i].args[n]);
        free(p->steps[i].risk);
    }
    free(p->steps);
    strv_free(p->notes);
    *p = (struct plan){0};
}

/* ---- as text ---- */

/* One word, quoted for a shell where it needs to be. */
static void put_word(FILE *f, const char *word)
{
    bool plain = *word;

    for (const char *p = word; *p && plain; p++)
        plain = isalnum((unsigned char)*p) || strchr("_./:,@%+=-", *p);
    if (plain) {
        fputs(word, f);
        return;
    }
    fputc('\'', f);
    for (const char *p = word; *p; p++)
        if (*p == '\'')
            fputs("'\\''", f);
        else
            fputc(*p, f);
    fputc('\'', f);
}

/* All words of an argument, each by itself. */
static void put_words(FILE *f, const char *arg)
{
    cleanup_free char *copy = xstrdup(arg);
    char *rest = copy, *word;
    bool first = true;

    while ((word = strsep(&rest, " "))) {
        if (!*word)
            continue;
        if (!first)
            fputc(' ', f);
        first = false;
        put_word(f, word);
    }
}

static void put_argument(FILE *f, const char *arg, char how, bool command)
{
    if (!command || how == '!')
        fputs(arg, f);
    else if (how == '+')
        put_words(f, arg);
    else
        put_word(f, arg);
}

/* "{N}", "{N+}", "{N!}": its length, and what it says; 0: it is none. */
static size_t placeholder(const char *p, unsigned *n, char *how)
{
    if (p[0] != '{' || p[1] < '1' || p[1] > '0' + STEP_ARGS)
        return 0;
    *n = (unsigned)(p[1] - '1');
    *how = p[2];
    if (p[2] == '}')
        return 3;
    return (p[2] == '+' || p[2] == '!') && p[3] == '}' ? 4 : 0;
}

char *step_say(const struct step *s, const char *text, bool command)
{
    char *out = NULL, how;
    size_t len, skip;
    unsigned n;
    FILE *f = open_memstream(&out, &len);
    bool empty = !text;

    if (!f)
        abort();
    for (const char *p = text ? text : ""; *p && !empty; p += skip ? skip : 1) {
        skip = placeholder(p, &n, &how);
        if (!skip)
            fputc(*p, f);
        else if (s->args[n] && *s->args[n])
            put_argument(f, s->args[n], how, command);
        else
            empty = true;
    }
    if (fclose(f) != 0)
        abort();
    if (empty)
        *out = '\0';
    return out;
}

/* ---- as JSON ---- */

json_t *plan_json(const struct plan *p)
{
    json_t *steps = json_array(), *notes = json_array();

    for (size_t i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[i];
        json_t *args = json_array();
        for (unsigned n = 0; n < STEP_ARGS && s->args[n]; n++)
            json_array_append_new(args, json_string(s->args[n]));
        json_array_append_new(steps, json_pack("{s:s, s:o, s:s?, s:s}", "op", s->op->name, "args",
                                               args, "risk", s->risk, "state", states[s->state]));
    }
    for (char **n = p->notes; n && *n; n++)
        json_array_append_new(notes, json_string(*n));
    return json_pack("{s:s, s:o, s:o}", "network", p->network, "steps", steps, "notes", notes);
}

static int step_from_json(const json_t *o, struct plan *out, struct error *err)
{
    const char *op = json_string_value(json_object_get(o, "op"));
    const char *risk = json_string_value(json_object_get(o, "risk"));
    const char *state = json_string_value(json_object_get(o, "state"));
    const json_t *args = json_object_get(o, "args");
    const struct step_op *row = op ? step_op_find(op) : NULL;
    unsigned i = 0;

    if (!row)
        return error_set(err, 0, "a plan with an unknown step '%s'", op ? op : "");
    while (i < STEP_STATES && !str_eq(states[i], state))
        i++;
    if (i == STEP_STATES || json_array_size(args) > STEP_ARGS)
        return error_set(err, 0, "a plan with a broken step '%s'", op);
    struct step *s = new_step(out, row);
    s->state = i;
    s->risk = risk ? xstrdup(risk) : NULL;
    for (i = 0; i < json_array_size(args); i++) {
        const char *arg = json_string_value(json_array_get(args, i));
        if (!arg)
            return error_set(err, 0, "a plan with a broken step '%s'", op);
        s->args[i] = xstrdup(arg);
    }
    return 0;
}

int plan_from_json(const json_t *o, struct plan *out, struct error *err)
{
    const char *network = json_string_value(json_object_get(o, "network"));
    const json_t *value;
    size_t i;

    *out = (struct plan){0};
    if (!network || strlen(network) >= sizeof(out->network))
        return error_set(err, 0, "a plan without a network's name");
    strcpy(out->network, network);
    json_array_foreach (json_object_get(o, "steps"), i, value) {
        if (step_from_json(value, out, err) < 0) {
            plan_clear(out);
            return -1;
        }
    }
    json_array_foreach (json_object_get(o, "notes"), i, value) {
        if (json_string_value(value))
            add_note(out, xstrdup(json_string_value(value)));
    }
    return 0;
}
