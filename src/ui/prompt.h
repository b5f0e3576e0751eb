/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A question in the message line: a command, a filter, a search, or whether something is meant.
 * The answer goes to `done`; ESC answers nothing.
 */
#ifndef PULT_UI_PROMPT_H
#define PULT_UI_PROMPT_H

#include "ui/edit.h"

struct ui;

#define PROMPT_HELPS 64

struct prompt {
    char label[200];
    struct edit edit;
    bool complete; /* Tab completes command lines, candidates are listed above */
    bool next_key; /* any one key is the answer */
    char **candidates;
    const char *candidate_help[PROMPT_HELPS];
    int chosen;           /* candidate that Tab put in; -1: none */
    char typed[EDIT_MAX]; /* what was there before Tab */
    void (*done)(struct ui *ui, const char *answer);
    void (*changed)(struct ui *ui, const char *text); /* at each key; may be NULL */
    void (*gone)(struct ui *ui);                      /* after ESC; may be NULL */
    char **words;    /* what is asked about; freed with the prompt */
    char wanted[64]; /* the word that must be typed; "" for none */
    char *history[50];
    size_t history_count, history_at;
};

/* Open it. The caller has set what it wants in ui->prompt after prompt_begin(). */
struct prompt *prompt_begin(struct ui *ui, const char *label);
void prompt_open(struct ui *ui);
/* Run words once the admin said yes; wanted: NULL: y is enough, else this word must be typed. */
void prompt_confirm(struct ui *ui, char **words, const char *question, const char *wanted);
void prompt_free(struct prompt *p);

#endif
