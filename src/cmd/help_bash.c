/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Completion for bash, made from the table of verbs: `source <(pult help --bash)`. Verbs of
 * several words complete word by word; after the verb come its options, and the guests or networks
 * where it takes one.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/args.h"
#include "cmd/help.h"
#include "guest/engine.h"

#define WORDS_MOST 3 /* of a verb's name: network forward add */

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

/* Does it take the name of a network that is there? */
static bool wants_network(const struct command *cmd)
{
    return str_starts(cmd->name, "network ") && strstr(cmd->args, "NAME") &&
           !str_eq(cmd->name, "network create");
}

/* One branch of the case: what may follow "verb", "verb object", and so on. */
static void put_case(const struct command *cmd)
{
    printf("    '%s'%s%s%s) words=\"", cmd->name, cmd->alias ? "|'" : "",
           cmd->alias ? cmd->alias : "", cmd->alias ? "'" : "");
    const struct cmd_option *tables[] = {cmd->options, cmd_common_options(cmd)};
    for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
        for (const struct cmd_option *o = tables[t]; o && o->name; o++)
            printf("--%s ", o->name);
    printf("\"; guests=%s networks=%s ;;\n", cmd->states ? "yes" : "",
           wants_network(cmd) ? "yes" : "");
}

/* How many words a verb's name has, and where the nth of them begins. */
static size_t word_count(const char *name)
{
    size_t n = 1;
    for (; *name; name++)
        n += *name == ' ';
    return n;
}

static const char *word_at(const char *name, size_t n)
{
    while (n-- > 0)
        name += strcspn(name, " ") + 1;
    return name;
}

/* The case of the options of all verbs whose names have so many words. */
static void put_options(size_t words)
{
    for (const struct command *const *c = commands; *c; c++)
        if (word_count((*c)->name) == words)
            put_case(*c);
}

/*
 * A branch for each beginning of so many words that wants another: create, config, network forward.
 * Verbs with the same beginning stand together.
 */
static void put_objects(size_t words)
{
    const char *before = "", *last = "";
    for (const struct command *const *c = commands; *c; c++) {
        const char *name = (*c)->name;
        if (word_count(name) <= words)
            continue;
        const char *word = word_at(name, words);
        size_t head = (size_t)(word - name), len = strcspn(word, " ");
        bool same = strncmp(before, name, head) == 0;
        if (!same)
            printf("%s    '%.*s') words+=\" ", *before ? "\" ;;\n" : "", (int)head - 1, name);
        if (!same || strncmp(last, word, len) != 0 || (last[len] && last[len] != ' '))
            printf("%.*s ", (int)len, word);
        before = name;
        last = word;
    }
    fputs(*before ? "\" ;;\n" : "", stdout);
}

/* The words of the line from the first on, as the subject of a case. */
static void put_subject(size_t words)
{
    fputs("case \"", stdout);
    for (size_t i = 1; i <= words; i++)
        printf("%s${COMP_WORDS[%zu]}", i > 1 ? " " : "", i);
    fputs("\" in\n", stdout);
}

/* What --template takes is one of a table, too. */
static void put_templates(void)
{
    const struct engine *e = engine_by_type("container");
    fputs("    case ${COMP_WORDS[COMP_CWORD-1]} in\n    --template|-t) guests= words=\"", stdout);
    for (const struct guest_template *t = e ? e->templates : NULL; t && t->name; t++)
        printf("%s ", t->name);
    fputs("\" ;;\n    esac\n", stdout);
}

void help_bash(void)
{
    fputs("_pult() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} words= guests= networks=\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    put_verbs();
    fputs("' -- \"$cur\"))\n"
          "        return\n"
          "    fi\n",
          stdout);
    for (size_t words = 1; words <= WORDS_MOST; words++) {
        printf("    [ \"$COMP_CWORD\" -gt %zu ] && ", words);
        put_subject(words);
        put_options(words);
        printf("    esac\n    [ \"$COMP_CWORD\" -eq %zu ] && ", words + 1);
        put_subject(words);
        put_objects(words);
        fputs("    esac\n", stdout);
    }
    put_templates();
    fputs("    [ -n \"$guests\" ] && words+=\" $(pult list --names 2>/dev/null)\"\n"
          "    [ -n \"$networks\" ] && words+=\" $(pult network list --names 2>/dev/null)\"\n"
          "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
          "}\n"
          "complete -o default -F _pult pult\n",
          stdout);
}
