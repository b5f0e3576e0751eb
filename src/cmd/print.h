/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Facts on standard output: JSON for programs, columns for people.
 *
 * A table is filled cell by cell and printed when its columns' widths are known. What goes into
 * a cell may come from a guest, so control characters are shown as '?': a table cannot be made
 * to drive the reader's terminal.
 */
#ifndef PULT_CMD_PRINT_H
#define PULT_CMD_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Print a value (stolen), indented, and a newline. */
void print_json(json_t *value);
/* The same on one line, and at once: for streams. 0, or -1 with errno. */
int print_json_line(json_t *value);

struct table {
    const char *const *head; /* NULL-terminated; a name that begins with '>' is right-aligned */
    size_t columns;
    char **cells;
    size_t count, room;
};

struct table *table_new(const char *const *head);
/* The next cell, left to right, row by row. */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Print it, with its head, and free it. */
void table_print(struct table *t);
void table_free(struct table *t);

/* Seconds for people: "12s", "5m03s", "3h12m", "9d4h". */
void duration_human(unsigned long long seconds, char out[16]);

/* Replace what a terminal would act upon by '?'. In place; returns s. */
char *printable(char *s);
/* The same, but for ends of lines and tabs, and what else could hide some of it. */
char *printable_text(char *s);
/* On standard output: made fit where that is a terminal, and left as it is for programs. */
void print_text(char *text);

#endif
