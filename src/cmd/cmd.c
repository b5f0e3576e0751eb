/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a command line to a verb and its exit status. A verb's name may have two words
 * ("create vm"); the longest match wins. Whatever a verb printed must have reached its reader:
 * a full disk behind standard output is a failure like any other.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/diskfile.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/help.h"
#include "cmd/print.h"
#include "guest/def.h"
#include "guest/engine.h"

/* How many words of argv spell name ("create vm"), 0: they do not. */
static int name_matches(const char *name, int argc, char *const *argv)
{
    for (int i = 0; i < argc; i++) {
        size_t len = strcspn(name, " ");
        if (strlen(argv[i]) != len || memcmp(name, argv[i], len) != 0)
            return 0;
        if (name[len] == '\0')
            return i + 1;
        name += len + 1;
    }
    return 0;
}

const struct command *command_find(int argc, char *const *argv, int *used)
{
    const struct command *best = NULL;
    *used = 0;
    for (const struct command *const *c = commands; *c; c++) {
        int n = name_matches((*c)->name, argc, argv);
        if (n == 0 && (*c)->alias)
            n = name_matches((*c)->alias, argc, argv);
        if (n > *used) {
            *used = n;
            best = *c;
        }
    }
    return best;
}

/* A verb that does not exist, or one that wants an object ("create"): say what was meant. */
static int unknown_verb(int argc, char *const *argv)
{
    const char *verbs[64], *objects[16];
    size_t nverbs = 0, nobjects = 0, len = strlen(argv[0]);
    for (const struct command *const *c = commands; *c; c++) {
        const char *name = (*c)->name;
        if (nverbs < ARRAY_SIZE(verbs))
            verbs[nverbs++] = name;
        if (str_starts(name, argv[0]) && name[len] == ' ' && nobjects < ARRAY_SIZE(objects))
            objects[nobjects++] = name + len + 1;
    }
    struct error err;
    const char *near;
    if (nobjects == 0) {
        error_set(&err, 0, "unknown command '%s'", argv[0]);
        near = str_nearest(argv[0], verbs, nverbs);
    } else {
        error_set(&err, 0, "'%s' wants one of these after it:", argv[0]);
        for (size_t i = 0; i < nobjects; i++)
            snprintf(err.text + strlen(err.text), sizeof err.text - strlen(err.text), " %s",
                     objects[i]);
        near = argc > 1 ? str_nearest(argv[1], objects, nobjects) : NULL;
    }
    if (near)
        error_hint(&err, "did you mean '%s'?", near);
    fprintf(stderr, "pult: %s (pult %s%s--help tells more)\n", err.text, nobjects ? argv[0] : "",
            nobjects ? " " : "");
    return EXIT_USAGE;
}

/* Options before any verb, as every program has them. NULL: not one of these. */
static const char *verb_of_option(const char *word)
{
    static const char *const verbs[][2] = {{"--help", "help"},
                                           {"-h", "help"},
                                           {"--version", "version"},
                                           {"-V", "version"}};
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (strcmp(word, verbs[i][0]) == 0)
            return verbs[i][1];
    return NULL;
}

/* Run the verb whose arguments these are. */
static int run(const struct command *cmd, int argc, char *const *argv)
{
    struct cmd_args a;
    struct error err = {0};
    int status;
    disk_meter_take();
    if (cmd_args_parse(cmd, argc, argv, &a, &err) < 0)
        status = cmd_usage(&a, "%s", err.text);
    else if (a.help)
        status = help_print(cmd);
    else
        status = cmd->run(&a);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_OK) {
        error_set(&err, errno, "write to standard output");
        status = cmd_fail(&a, &err);
    }
    cmd_args_clear(&a);
    return status;
}

int command_main(int argc, char **argv)
{
    if (argc == 0) {
        help_overview(stderr);
        return EXIT_USAGE;
    }
    int used;
    const char *verb = verb_of_option(argv[0]);
    const struct command *cmd =
        command_find(verb ? 1 : argc, verb ? (char *const *)&verb : argv, &used);
    if (cmd == NULL && argc == 2 && str_eq(verb_of_option(argv[1]), "help") &&
        help_group(argv[0]) > 0)
        return fflush(stdout) == 0 ? EXIT_OK : EXIT_FAILED;
    if (cmd == NULL)
        return unknown_verb(argc, argv);
    return run(cmd, argc - used, argv + used);
}

int cmd_fail(const struct cmd_args *a, const struct error *err)
{
    cleanup_free char *text = printable_text(xstrdup(err->text));
    fprintf(stderr, "pult %s: %s\n", a->cmd->name, text);
    return EXIT_FAILED;
}

static void warn(void *arg, const char *text)
{
    const struct cmd_args *a = arg;
    cleanup_free char *shown = printable_text(xstrdup(text));
    fprintf(stderr, "pult %s: warning: %s\n", a->cmd->name, shown);
}

void cmd_warn(const struct cmd_args *a, const struct guest_def *def)
{
    def_ignored(def, warn, (void *)(uintptr_t)a);
    if (def->engine->warn)
        def->engine->warn(def, warn, (void *)(uintptr_t)a);
}

int cmd_usage(const struct cmd_args *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cleanup_free char *text = xvasprintf(fmt, ap);
    va_end(ap);
    fprintf(stderr, "pult %s: %s (pult %s --help tells more)\n", a->cmd->name, text, a->cmd->name);
    return EXIT_USAGE;
}

int cmd_each(const struct cmd_args *a,
             int (*fn)(const struct cmd_args *a, const char *name, struct error *err))
{
    int status = EXIT_OK;
    for (int i = 0; i < a->npos; i++) {
        struct error err = {0};
        if (fn(a, a->pos[i], &err) < 0)
            status = cmd_fail(a, &err);
    }
    return status;
}
