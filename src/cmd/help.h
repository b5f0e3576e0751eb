/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Everything that is told of the verbs, made from their table: `--help`, the manual page and the
 * completion for bash. What is not in the table is not told, and cannot be out of date.
 */
#ifndef PULT_CMD_HELP_H
#define PULT_CMD_HELP_H

#include <stdio.h>

#include "cmd/command.h"

/* All verbs, one line each. */
void help_overview(FILE *f);
/* One verb, whole. Returns EXIT_OK. */
int help_print(const struct command *cmd);
/* All verbs whose first word of two is this one, whole. Returns how many. */
int help_group(const char *word);
/* pult(1) as troff, and the completion script. In help_man.c and help_bash.c. */
void help_man(void);
void help_bash(void);

/* "pult create vm [OPTION...] NAME" */
void help_synopsis(FILE *f, const struct command *cmd);

#endif
