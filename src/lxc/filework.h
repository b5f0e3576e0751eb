/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work on the files of containers: making, copying, packing, removing them.
 *
 * It is done by a process of its own, in namespaces of its own: of mounts, where only the
 * directory that it works on can be written to; of processes, so that whatever it starts ends with
 * it; and for a user one of users, with the ids that his containers have. Root's files have on disk
 * the ids that they have inside. Who waits for it is told how far it is and can give it up.
 */
#ifndef PULT_LXC_FILEWORK_H
#define PULT_LXC_FILEWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/engine.h"

/* In the process that does the work. Its error becomes filework_do()'s. */
typedef int filework_fn(void *arg, struct error *err);

struct filework {
    const char *dir, *dir2; /* what may be written to; the second may be NULL */
    bool jail;              /* dir is the root directory: no path leads out of it */
    bool open;              /* everything can be written to, as far as the ids allow */
    filework_fn *run;
    void *arg;
    uint64_t *result;             /* what run() told by filework_result(); may be NULL */
    engine_progress_fn *progress; /* may be NULL */
    void *progress_arg;
};

int filework_do(const struct filework *w, struct error *err);

/* May the caller's containers have files of more than one owner? */
bool filework_has_owners(void);

/* For run(): say how far it is. */
void filework_progress(uint64_t done, uint64_t total);

/* For run(): a number for who waits. */
void filework_result(uint64_t number);

/* For run(): a line that a program printed. */
typedef void filework_line_fn(void *arg, const char *line);
/*
 * For run(): a program, to its end. What it says goes to line(), which may be NULL; where it fails
 * the error is the last that it said. to: its standard output, or -1: that is what it says, too.
 */
int filework_program(char *const *argv, int to, filework_line_fn *line, void *arg,
                     struct error *err);

#endif
