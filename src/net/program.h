/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs of the system that networks need: found, run with a text as their input, and what they
 * say taken. No shell is involved.
 */
#ifndef PULT_NET_PROGRAM_H
#define PULT_NET_PROGRAM_H

#include <stdbool.h>

#include "base/error.h"

/* Where a program is; NULL: nowhere. In PATH, or where administrators' programs are. Caller frees. */
char *program_find(const char *name);

/*
 * Run it and wait. input (NULL: none) is its standard input; *output (NULL: not wanted) gets what it
 * wrote, to be freed. -1 where it could not be started or failed, with the first line of its
 * complaint. One that does not end within a minute is killed.
 */
int program_run(const char *const argv[], const char *input, char **output, struct error *err);
/* The same, with a descriptor that it has, too, and so holds a lock of as long as it runs; -1: none. */
int program_run_holding(int lock, const char *const argv[], const char *input, char **output,
                        struct error *err);

#endif
