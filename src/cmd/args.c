/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parser of command lines; args.h says what it takes. It knows the four usual spellings of an
 * option: `--name VALUE`, `--name=VALUE`, `-n VALUE`, `-nVALUE`; flags of one letter may be joined.
 */
#include "cmd/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* -o comes first, so that a verb without .json has just the rest. */
static const struct cmd_option common[] = {
    {"output", 'o', "FORMAT", false, "print json or text (the default)"},
    {"help", 'h', NULL, false, "show this help"},
    {0},
};

const struct cmd_option *cmd_common_options(const struct command *cmd)
{
    return cmd->json ? common : common + 1;
}

/* The verb's or the common option of this name (of len bytes), or, without one, of this letter. */
static const struct cmd_option *find_option(const struct command *cmd, const char *name, size_t len,
                                            char letter)
{
    const struct cmd_option *tables[] = {cmd->options, cmd_common_options(cmd)};
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
        for (const struct cmd_option *o = tables[t]; o && o->name; o++)
            if (name ? strlen(o->name) == len && memcmp(o->name, name, len) == 0
                     : o->letter == letter)
                return o;
    return NULL;
}

static int unknown_option(const struct command *cmd, const char *name, size_t len,
                          struct error *err)
{
    const struct cmd_option *tables[] = {cmd->options, cmd_common_options(cmd)};
    const char *known[64];
    size_t n = 0;
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
        for (const struct cmd_option *o = tables[t]; o && o->name && n < ARRAY_SIZE(known); o++)
            known[n++] = o->name;
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)len, name);
    const char *near = str_nearest(word, known, n);
    error_set(err, 0, "unknown option '--%s'", word);
    return near ? error_hint(err, "did you mean --%s?", near) : -1;
}

/* Take note of an option; --help and --output are not kept but acted upon. */
static int add_value(struct cmd_args *a, const struct cmd_option *o, const char *value,
                     struct error *err)
{
    if (o == &common[1]) {
        a->help = true;
        return 0;
    }
    if (o == &common[0]) {
        a->json = strcmp(value, "json") == 0;
        if (!a->json && strcmp(value, "text") != 0)
            return error_set(err, 0, "unknown output format '%s'; it is json or text", value);
        return 0;
    }
    a->values[a->nvalues++] = (struct cmd_value){o, value};
    return 0;
}

/* `--name`, `--name=VALUE` or `--name VALUE`. Returns how many words it took, or -1. */
static int parse_long(struct cmd_args *a, int argc, char *const *argv, struct error *err)
{
    const char *name = argv[0] + 2;
    size_t len = strcspn(name, "=");
    const struct cmd_option *o = find_option(a->cmd, name, len, 0);
    if (o == NULL)
        return unknown_option(a->cmd, name, len, err);
    if (o->arg == NULL) {
        if (name[len])
            return error_set(err, 0, "option --%s takes no value", o->name);
        return add_value(a, o, "", err) < 0 ? -1 : 1;
    }
    if (name[len])
        return add_value(a, o, name + len + 1, err) < 0 ? -1 : 1;
    if (argc < 2)
        return error_set(err, 0, "option --%s needs %s", o->name, o->arg);
    return add_value(a, o, argv[1], err) < 0 ? -1 : 2;
}

/* `-f`, `-fg`, `-nVALUE` or `-n VALUE`. Returns how many words it took, or -1. */
static int parse_letters(struct cmd_args *a, int argc, char *const *argv, struct error *err)
{
    for (const char *p = argv[0] + 1; *p; p++) {
        const struct cmd_option *o = find_option(a->cmd, NULL, 0, *p);
        if (o == NULL)
            return error_set(err, 0, "unknown option '-%c'", *p);
        if (o->arg == NULL) {
            if (add_value(a, o, "", err) < 0)
                return -1;
            continue;
        }
        if (p[1])
            return add_value(a, o, p + 1, err) < 0 ? -1 : 1;
        if (argc < 2)
            return error_set(err, 0, "option -%c needs %s", *p, o->arg);
        return add_value(a, o, argv[1], err) < 0 ? -1 : 2;
    }
    return 1;
}

/* Hold the number of positional arguments, and a repeated option, against the table. */
static int check_counts(const struct cmd_args *a, struct error *err)
{
    const struct command *cmd = a->cmd;
    if (a->npos < cmd->min)
        return error_set(err, 0, "missing argument: it takes %s", cmd->args);
    if (cmd->max >= 0 && a->npos > cmd->max) {
        error_set(err, 0, "unexpected argument '%s'", a->pos[cmd->max]);
        return cmd->rest && a->rest == NULL ? error_hint(err, "put -- before the command") : -1;
    }
    for (size_t i = 1; i < a->nvalues; i++)
        for (size_t j = 0; j < i; j++)
            if (a->values[i].option == a->values[j].option && !a->values[i].option->repeat &&
                a->values[i].option->arg)
                return error_set(err, 0, "option --%s is given twice", a->values[i].option->name);
    return 0;
}

int cmd_args_parse(const struct command *cmd, int argc, char *const *argv, struct cmd_args *a,
                   struct error *err)
{
    *a = (struct cmd_args){.cmd = cmd};
    size_t room = 1; /* each letter of each word might be an option */
    for (int i = 0; i < argc; i++)
        room += strlen(argv[i]);
    a->values = xcalloc(room, sizeof *a->values);
    a->pos = xcalloc((size_t)argc + 1, sizeof *a->pos);

    for (int i = 0; i < argc;) {
        int used = 1;
        if (strcmp(argv[i], "--") == 0) {
            if (cmd->rest)
                a->rest = argv + i + 1;
            else
                while (++i < argc)
                    a->pos[a->npos++] = argv[i];
            break;
        }
        if (str_starts(argv[i], "--"))
            used = parse_long(a, argc - i, argv + i, err);
        else if (argv[i][0] == '-' && argv[i][1])
            used = parse_letters(a, argc - i, argv + i, err);
        else
            a->pos[a->npos++] = argv[i];
        if (used < 0)
            return -1;
        i += used;
    }
    return a->help ? 0 : check_counts(a, err);
}

void cmd_args_clear(struct cmd_args *a)
{
    free(a->values);
    free(a->pos);
    a->values = NULL;
    a->pos = NULL;
}

const char *cmd_pos(const struct cmd_args *a, int i)
{
    return i < a->npos ? a->pos[i] : NULL;
}

int cmd_npos(const struct cmd_args *a)
{
    return a->npos;
}

const char *cmd_opt(const struct cmd_args *a, const char *name)
{
    for (size_t i = a->nvalues; i-- > 0;)
        if (strcmp(a->values[i].option->name, name) == 0)
            return a->values[i].value;
    return NULL;
}

const char *cmd_opt_nth(const struct cmd_args *a, const char *name, int n)
{
    for (size_t i = 0; i < a->nvalues; i++)
        if (strcmp(a->values[i].option->name, name) == 0 && n-- == 0)
            return a->values[i].value;
    return NULL;
}

char *const *cmd_rest(const struct cmd_args *a)
{
    return a->rest;
}

bool cmd_json(const struct cmd_args *a)
{
    return a->json;
}
