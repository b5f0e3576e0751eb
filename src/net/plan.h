/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plans: what will be done to the host's network, as a list of steps, before any of it is.
 *
 * A step is an operation (a row of the table in step.c) and its arguments, all of them text. The
 * row has, with {1} to {6} standing for the arguments, what it does in words, the command that does
 * the same, the command that undoes it, and what proves it; and three functions that do it. What a
 * step needs to be undone (what was there before) is among its arguments when the plan is made, so a
 * plan that was written down can be undone by another process.
 *
 *     plan_add(p, "link-add", "nat0", "bridge", NULL);
 *     plan_add(p, "address-add", "nat0", "10.87.0.1/24", NULL);
 */
#ifndef PULT_NET_PLAN_H
#define PULT_NET_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define STEP_ARGS 6

struct step;

struct step_op {
    const char *name;         /* in journals */
    const char *what;         /* "create the bridge {1}" */
    const char *command;      /* "ip link add {1} type bridge" */
    const char *undo_command; /* NULL: nothing is undone */
    const char *proof;        /* "the bridge {1} exists" */
    int (*apply)(const struct step *s, struct error *err);
    /* Also where it was not done, or half, or is undone already: those are successes. */
    int (*undo)(const struct step *s, struct error *err);
    int (*check)(const struct step *s, struct error *err); /* -1: what is not as it should be */
    /* Done again with other arguments, it takes the place of what it did before at once. */
    bool again;
};

enum step_state { STEP_PENDING, STEP_DOING, STEP_DONE, STEP_UNDONE, STEP_STATES };

struct step {
    const struct step_op *op;
    char *args[STEP_ARGS]; /* NULL behind the last; "" for nothing */
    char *risk; /* not NULL: who is connected through this host's network may lose it; why */
    enum step_state state;
};

struct plan {
    char network[16];
    struct step *steps;
    size_t count, room;
    char **notes; /* what the admin should know besides; NULL-terminated, or NULL */
};

extern const struct step_op *const step_ops[]; /* NULL-terminated */

/* Append a step; the arguments end with NULL. The name must be of the table. */
struct step *plan_add(struct plan *p, const char *op, ...) __attribute__((sentinel));
void plan_note(struct plan *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool plan_risky(const struct plan *p);
void plan_clear(struct plan *p);
#define cleanup_plan __attribute__((cleanup(plan_clear)))

/*
 * A text of the row with the arguments put in, for the caller to free. Where `command`, {1} is quoted
 * for a shell, {1+} is several words, each quoted, and {1!} is put in as it is. An argument that is
 * "" or missing makes all of the text "": nothing is there to be done.
 */
char *step_say(const struct step *s, const char *text, bool command);

/* The row of a name, NULL: there is none. */
const struct step_op *step_op_find(const char *name);

/* {"network":…, "steps":[{"op","args","risk","state"}], "notes":[…]}; and back. */
json_t *plan_json(const struct plan *p);
int plan_from_json(const json_t *o, struct plan *out, struct error *err);

#endif
