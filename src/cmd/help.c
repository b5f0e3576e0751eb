/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult help, and --help of every verb. */
#include "cmd/help.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/args.h"
#include "cmd/table.h"
#include "guest/engine.h"

void help_synopsis(FILE *f, const struct command *cmd)
{
    fprintf(f, "pult %s%s%s%s", cmd->name, cmd->options || cmd->json ? " [OPTION...]" : "",
            cmd->args[0] ? " " : "", cmd->args);
}

void help_overview(FILE *f)
{
    fprintf(f, "pult: a console for virtual machines and containers\n\n"
               "usage: pult                       open the console\n"
               "       pult COMMAND [ARGUMENT...] do one thing\n\n");
    for (const struct command *const *c = commands; *c; c++)
        fprintf(f, "  %-18s %s\n", (*c)->name, (*c)->help);
    fprintf(f, "\n`pult COMMAND --help` tells all of a command. Exit status: 0 done, 1 failed, "
               "2 called wrongly.\n");
}

static void print_options(const struct cmd_option *o)
{
    for (; o && o->name; o++) {
        cleanup_free char *left =
            xasprintf("%c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
                      o->letter ? "," : " ", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        printf("  %-28s %s\n", left, o->help);
    }
}

int help_print(const struct command *cmd)
{
    printf("usage: ");
    help_synopsis(stdout, cmd);
    printf("\n\n%s\n", cmd->help);
    if (cmd->alias)
        printf("It is also called `%s`.\n", cmd->alias);
    if (cmd->detail)
        printf("\n%s\n", cmd->detail);
    printf("\noptions:\n");
    print_options(cmd->options);
    print_options(cmd_common_options(cmd));
    return EXIT_OK;
}

int help_group(const char *word)
{
    const size_t len = strlen(word);
    int found = 0;
    for (const struct command *const *c = commands; *c; c++)
        if (str_starts((*c)->name, word) && (*c)->name[len] == ' ') {
            printf(found++ ? "\n" : "");
            help_print(*c);
        }
    return found;
}

static int help_run(const struct cmd_args *a)
{
    if (cmd_opt(a, "man")) {
        help_man();
        return EXIT_OK;
    }
    if (cmd_opt(a, "keys")) {
        for (const struct engine *const *e = engines_all(); *e; e++)
            if ((*e)->manual)
                (*e)->manual(stdout);
        return EXIT_OK;
    }
    if (cmd_opt(a, "bash")) {
        help_bash();
        return EXIT_OK;
    }
    if (cmd_npos(a) == 0) {
        help_overview(stdout);
        return EXIT_OK;
    }
    int used;
    const struct command *cmd = command_find(a->npos, a->pos, &used);
    if (cmd && used == a->npos)
        return help_print(cmd);
    if (a->npos == 1 && help_group(a->pos[0]) > 0)
        return EXIT_OK;
    return cmd_usage(a, "there is no command '%s'", a->pos[0]);
}

const struct command cmd_help = {
    .name = "help",
    .args = "[COMMAND]",
    .max = 2,
    .options =
        (const struct cmd_option[]){
            {"man", 0, NULL, false, "print the manual page pult(1), as troff"},
            {"keys", 0, NULL, false,
             "print what each key of LXC's does in a container, as Markdown"},
            {"bash", 0, NULL, false, "print completions for bash: source <(pult help --bash)"},
            {0},
        },
    .help = "tell of all commands, or all of one",
    .safe = true,
    .run = help_run,
};
