/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a command of a guest's gets as its standard input, output and error: ours, so that nothing is
 * copied, but never our terminal. Who has that can read what is typed at it, and go on when the
 * command is long over. In its place stands a pipe, which is copied here; output and error that
 * are one terminal are one pipe, so that what is printed keeps its order.
 *
 * What is typed is read as long as the command has its input open, whether it wants it or not.
 */
#ifndef PULT_CMD_STDIO_H
#define PULT_CMD_STDIO_H

#include <poll.h>
#include <stddef.h>

#include "base/error.h"

#define STDIO_POLLS 3

struct stdio {
    int given[3];     /* for the command; only those that are pipes are closed by us */
    int ours[3];      /* of a pipe, our end, or -1 */
    char typed[4096]; /* on the way to ours[0] */
    size_t at, end;
};

/* Pipes where they are needed. It fails for a directory, out of which a guest would find the host. */
int stdio_make(struct stdio *s, struct error *err);
/* The command has them: without our copies of its ends each side sees when the other is closed. */
void stdio_passed(struct stdio *s);
/* Fill in what to poll for; returns how many milliseconds at most, or -1. */
int stdio_polls(struct stdio *s, struct pollfd p[STDIO_POLLS]);
/* Copy what that brought. */
void stdio_copy(struct stdio *s, const struct pollfd p[STDIO_POLLS]);
/* The command is over: copy what it had written by now, and close all. */
void stdio_end(struct stdio *s);

#endif
