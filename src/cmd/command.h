/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verbs. One file per verb, one const struct command each, all listed in commands[] (table.c).
 * The command line, `--help`, the man page, the UI's `:` palette and its key table are read from
 * these; the UI runs a verb as a child process of the same binary, so a verb behaves the same
 * wherever it was called, can take its time, and can be cancelled with SIGTERM.
 *
 * A verb prints facts on stdout (JSON with -o json where .json is set), errors on stderr, and
 * ends with 0, 1 (it failed) or 2 (it was called wrongly); `run` and `exec` pass on the guest's
 * status.
 */
#ifndef PULT_CMD_COMMAND_H
#define PULT_CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "guest/status.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct cmd_option {
    const char *name; /* "memory": --memory */
    char letter;      /* 'm': -m; 0: none */
    const char *arg;  /* "SIZE"; NULL: a flag */
    bool repeat;
    const char *help;
};

struct cmd_args; /* what was given, parsed against the options */

/* Which guests a verb makes sense for: the UI greys out the rest. A mask of 1 << guest_state. */
#define ON_STATE(s) (1u << (s))
#define ON_ALIVE                                                                   \
    (ON_STATE(GUEST_STARTING) | ON_STATE(GUEST_RUNNING) | ON_STATE(GUEST_FROZEN) | \
     ON_STATE(GUEST_STOPPING))
#define ON_DOWN (ON_STATE(GUEST_STOPPED) | ON_STATE(GUEST_CRASHED))
#define ON_ANY  (ON_ALIVE | ON_DOWN | ON_STATE(GUEST_BROKEN))

struct command {
    const char *name;  /* "create vm" has a blank: a verb and its object */
    const char *alias; /* NULL: none */
    const char *args;  /* "NAME..." as shown in help */
    int min, max;      /* number of positional arguments; max -1: any */
    bool rest;         /* everything after "--" is a command line, given as cmd_rest() */
    const struct cmd_option *options; /* ends with a NULL name; may be NULL */
    const char *help;                 /* one line */
    const char *detail;               /* paragraphs for --help and the man page; may be NULL */
    bool json;                        /* takes -o json */
    bool safe;                        /* loses no work: the UI does not ask */
    const char *confirm; /* what the UI asks before an unsafe one; "%s" is the guest's name */
    unsigned states;     /* ON_STATE() mask of the guests it applies to; 0: not about one guest */
    int (*run)(const struct cmd_args *a);
};

extern const struct command *const commands[]; /* NULL-terminated, in order of the help */

/* Find the verb that argv[0..] begins with; *used is how many words its name took. */
const struct command *command_find(int argc, char *const *argv, int *used);

/* Run a whole command line (without the program's name). Returns the exit status. */
int command_main(int argc, char **argv);

/* What a verb asks of its arguments. */
const char *cmd_pos(const struct cmd_args *a, int i); /* NULL: not given */
int cmd_npos(const struct cmd_args *a);
const char *cmd_opt(const struct cmd_args *a, const char *name); /* last value; "" for a flag */
const char *cmd_opt_nth(const struct cmd_args *a, const char *name, int n);
char *const *cmd_rest(const struct cmd_args *a); /* NULL: no "--" */
bool cmd_json(const struct cmd_args *a);

/* Print "pult VERB: text" on stderr and return EXIT_FAILED (or EXIT_USAGE with a hint at --help).
 */
int cmd_fail(const struct cmd_args *a, const struct error *err);
struct guest_def;
/* Warn of keys of a definition that have no effect here, and of what its engine knows. */
void cmd_warn(const struct cmd_args *a, const struct guest_def *def);
int cmd_usage(const struct cmd_args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Do something for each NAME given, report each failure, return the worst status. */
int cmd_each(const struct cmd_args *a,
             int (*fn)(const struct cmd_args *a, const char *name, struct error *err));

#endif
