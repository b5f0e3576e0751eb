/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command line, held against a verb's table of options. Options and positional arguments may
 * be mixed; `--` ends the options, and for a verb with .rest everything after it is a command
 * line of its own. --help, and -o for verbs that print facts, are known to every verb.
 *
 * Nothing is copied: a struct cmd_args points into argv and into the table.
 */
#ifndef PULT_CMD_ARGS_H
#define PULT_CMD_ARGS_H

#include "cmd/command.h"

struct cmd_value {
    const struct cmd_option *option;
    const char *value; /* "" for a flag */
};

struct cmd_args {
    const struct command *cmd;
    struct cmd_value *values; /* in the order given */
    size_t nvalues;
    char **pos;
    int npos;
    char *const *rest; /* NULL: no "--" */
    bool json, help;
};

/* Options that need no table entry: {help} or, for a verb with .json, {help, output}. */
const struct cmd_option *cmd_common_options(const struct command *cmd);

/* Parse argv, without the verb. On failure err says what is wrong. Clear it in either case. */
int cmd_args_parse(const struct command *cmd, int argc, char *const *argv, struct cmd_args *a,
                   struct error *err);
void cmd_args_clear(struct cmd_args *a);

#endif
