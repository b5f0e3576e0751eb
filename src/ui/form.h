/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forms that make a new guest: const tables of fields, each with a check that is made while one
 * types. What is submitted becomes a command line (`create container web1 --rootfs …`), which
 * runs as a job like any other.
 */
#ifndef PULT_UI_FORM_H
#define PULT_UI_FORM_H

#include "base/error.h"
#include "ui/edit.h"

struct job;
struct ui;

#define FORM_FIELDS_MAX 8

struct field {
    const char *label;
    const char *option; /* "--memory"; NULL: the positional name; "--": words of a command */
    const char *hint;   /* shown while it is empty */
    bool required;
    int (*check)(struct ui *ui, const char *value, struct error *err); /* of what is not empty */
    /* Each may be NULL: */
    const char *(*offers)(void);  /* what there is to choose from, instead of hint */
    bool (*next)(struct edit *e); /* Space: the next of them. False: a blank is meant */
    /* What was chosen does; NULL: nothing was yet, or it is better said what is wrong. */
    const char *(*about)(const char *value, bool wrong);
};

struct form_type {
    const char *name;           /* "container" */
    const char *verb;           /* "create container" */
    const char *about;          /* one line */
    const struct field *fields; /* ends with a NULL label */
};

struct form {
    const struct form_type *type;
    struct edit values[FORM_FIELDS_MAX];
    int at;                /* -1: the choice of a type; number of fields: the button */
    bool submitted;        /* empty required fields are errors from now on */
    const struct job *job; /* that it became; only compared, for it is freed when it has ended */
    char refused[300];     /* why that job failed, until something is changed */
};

/* Open the form; type: NULL: the first. */
void form_open(struct ui *ui, const char *type);
/* The command line that the form stands for; freed with strv_free(). NULL: a field is wrong. */
char **form_words(struct ui *ui, const struct form *f, struct error *err);
extern const struct form_type form_types[]; /* ends with a NULL name */

#endif
