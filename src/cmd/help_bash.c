/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completion for bash, made from the table of verbs: `source <(pult help --bash)`. Verbs of two
 * words complete word by word; after the verb come its options, and the guests where it takes one.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/args.h"
#include "cmd/help.h"

/* The first words of all verbs, each once; the table keeps those of one word together. */
static void put_verbs(void)
{
    const char *last = "";
    for (const struct command *const *c = commands; *c; c++) {
        size_t len = strcspn((*c)->name, " ");
        if (strlen(last) < len || memcmp(last, (*c)->name, len) != 0 || last[len] != ' ')
            printf("%.*s ", (int)len, (*c)->name);
        last = (*c)->name;
    }
}

/* One branch of the case: what may follow "verb" or "verb object". */
static void put_case(const struct command *cmd)
{
    printf("    '%s'%s%s%s) words=\"", cmd->name, cmd->alias ? "|'" : "",
           cmd->alias ? cmd->alias : "", cmd->alias ? "'" : "");
    const struct cmd_option *tables[] = {cmd->options, cmd_common_options(cmd)};
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
        for (const struct cmd_option *o = tables[t]; o && o->name; o++)
            printf("--%s ", o->name);
    printf("\"; guests=%s ;;\n", cmd->states ? "yes" : "");
}

/* A branch for each first word that wants an object: create, config. */
static void put_objects(void)
{
    const char *last = "";
    for (const struct command *const *c = commands; *c; c++) {
        const char *blank = strchr((*c)->name, ' ');
        if (blank == NULL)
            continue;
        size_t len = (size_t)(blank - (*c)->name);
        if (strncmp(last, (*c)->name, len + 1) != 0)
            printf("%s    %.*s) words+=\" ", *last ? "\" ;;\n" : "", (int)len, (*c)->name);
        printf("%s ", blank + 1);
        last = (*c)->name;
    }
    fputs(*last ? "\" ;;\n" : "", stdout);
}

void help_bash(void)
{
    fputs("_pult() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} words= guests=\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    put_verbs();
    fputs("' -- \"$cur\"))\n"
          "        return\n"
          "    fi\n"
          "    case \"${COMP_WORDS[1]}\" in\n",
          stdout);
    for (const struct command *const *c = commands; *c; c++)
        if (strchr((*c)->name, ' ') == NULL)
            put_case(*c);
    fputs("    esac\n"
          "    [ \"$COMP_CWORD\" -gt 2 ] && case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n",
          stdout);
    for (const struct command *const *c = commands; *c; c++)
        if (strchr((*c)->name, ' '))
            put_case(*c);
    fputs("    esac\n"
          "    [ \"$COMP_CWORD\" -eq 2 ] && case \"${COMP_WORDS[1]}\" in\n",
          stdout);
    put_objects();
    fputs("    esac\n"
          "    [ -n \"$guests\" ] && words+=\" $(pult list --names 2>/dev/null)\"\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "}\n"
          "complete -o default -F _pult pult\n",
          stdout);
}
