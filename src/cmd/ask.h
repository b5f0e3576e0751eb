/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking a keeper for something, with the errors a user of the command line should see. */
#ifndef PULT_CMD_ASK_H
#define PULT_CMD_ASK_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"
#include "guest/engine.h"

#define ASK_MS 30000 /* a keeper that says nothing for so long is not well */

/* Send the request (stolen), wait for its answer. */
int ask(const char *name, json_t *request, struct error *err);

/* A connection to a guest that runs. -1: there is none of that name, or it does not run. */
int ask_connect(const char *name, struct error *err);
/*
 * What failed since no keeper of ours runs the guest (ask_connect() said ESRCH): do it to one that
 * its own program runs. ms: before a stop becomes a kill. -1: it is none, err is as it was.
 */
int ask_foreign(const char *name, enum foreign_act what, int ms, struct error *err);
/* Wait until the keeper at the other end of control is gone, ms at most. */
int ask_until_down(const char *name, int control, int ms, struct error *err);
/* Kill the guest at the other end of control, and wait so. One that just ended by itself is as well. */
int ask_kill(const char *name, int control, struct error *err);

/* How a guest ended, as the last event of its keeper says. */
struct guest_ended {
    bool known;
    bool crashed;    /* it did not end as it should */
    bool killed;     /* somebody asked for that */
    int exit_status; /* -1: none */
    char reason[160];
};
/* Is this the event of the end? Then *end is filled. */
bool ended_event(const json_t *event, struct guest_ended *end);
/* Read events of a subscribed connection until the end of the guest or of its keeper. */
int ended_wait(int control, int ms, struct guest_ended *end, struct error *err);

#endif
