/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that can be done from the screen, under one name space: the UI's own actions (focus,
 * zoom, filter, …; actions.c) and the verbs of the command line (cmd/command.h). The palette
 * completes over both, the key table binds both, help explains both.
 */
#ifndef PULT_UI_VERB_H
#define PULT_UI_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/command.h"

struct ui;

typedef void action_fn(struct ui *ui, int argc, char *const *argv); /* argv[0] is the name */

struct action {
    const char *name;
    const char *args; /* as shown in help; NULL: none */
    const char *help; /* one line */
    action_fn *run;
    unsigned states;          /* as in struct command: which guests it applies to */
    const char *const *words; /* what its argument may be, for completion; NULL-terminated */
};

extern const struct action actions[]; /* ends with a NULL name */

/* An action, or a verb of the command line. */
struct verb {
    const char *name, *args, *help;
    unsigned states;
    const struct action *action; /* one of these is set */
    const struct command *command;
};

/* The i-th of all, actions first. A verb that an action of the same name replaces is left out. */
bool verb_at(size_t i, struct verb *v);
/* The verb that words begin with; *used: how many of them are its name. */
bool verb_find(char *const *words, struct verb *v, int *used);
/*
 * Complete the last word of line. Candidates are whole words, sorted as they stand in the tables,
 * NULL-terminated, freed with strv_free(); help[i], if any, explains candidate i and is static.
 */
char **verb_complete(struct ui *ui, const char *line, const char **help, size_t help_max);

/* Start a verb of the command line as a job, without asking. show: as for ui_run_words(). */
void verb_start(struct ui *ui, char *const *words, bool show);

#endif
