/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text to be read in an overlay: help, the message log, what a command printed. Lines have two
 * columns, the left one (such as a key) may be empty.
 */
#ifndef PULT_UI_TEXT_H
#define PULT_UI_TEXT_H

#include <stddef.h>

#include "ui/theme.h"

struct ui;
struct text;
typedef void text_fill_fn(struct ui *ui, struct text *t);

struct text_line {
    char *left, *right; /* left may be NULL */
    enum element left_el, right_el;
};

struct text {
    char title[80];
    struct text_line *lines;
    size_t count;
    size_t rows, top;   /* of the screen: a line that is too long takes several */
    int left_width;     /* cells of the left column */
    text_fill_fn *fill; /* makes the lines anew for each drawing; NULL: they stay */
    bool at_end;        /* begin at the end */
};

/* Open an overlay. fill is called now, and again whenever it is drawn if live. */
void text_open(struct ui *ui, const char *title, text_fill_fn *fill, bool live);
/* Open one with the lines of a string. */
void text_open_string(struct ui *ui, const char *title, const char *s);
void text_add(struct text *t, enum element el, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A line with two columns; the strings are copied. */
void text_add_pair(struct text *t, enum element left_el, const char *left, enum element right_el,
                   const char *right);
void text_clear(struct text *t);

/* What F1 shows, and what l shows. */
text_fill_fn help_fill, messages_fill;

#endif
