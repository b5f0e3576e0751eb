/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What would make a bridge at each boot without pult, in the dialect of the host's own configuration:
 * files to be reviewed. They come from `pult network plan … --persistent`, are shown, and saved only
 * when that is asked for, to a path that the admin names; over a file that is there only after a yes.
 */
#ifndef PULT_UI_REVIEW_H
#define PULT_UI_REVIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "net/persist.h"

struct job;
struct ui;

struct review {
    char **words;           /* network plan NAME …, without what is asked of it here */
    char dialect[16];       /* "": that of who keeps the NIC */
    const struct job *job;  /* only compared: the newest */
    struct persist persist; /* what came */
    char *text, *refused;   /* it as text; or why there is nothing */
    size_t top;
    char *path; /* where it is to be saved, once somebody said yes */
    char *said; /* what became of saving */
    bool bad;
};

/* Open it; the words are the caller's. */
void review_open(struct ui *ui, char *const *words);

#endif
