/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wizards that make a network: pages of one const table, each for some kinds of network.
 *
 *     kind ──► where (bridge only) ──► settings, with the plan ──► the steps as they are done, the proof
 *
 * Nothing is changed before the last key of the settings' page, where the plan can be read. It
 * comes from `pult network plan`, run as a job at each change; what is done is done by `pult network
 * create` and `pult network apply`, and followed in the journal. A plan with a risk is confirmed
 * here, in time, or goes back by itself. Esc leaves everything as it was. Of a bridge over a NIC, F4
 * shows what the host's own configuration would need (review.h).
 */
#ifndef PULT_UI_WIZARD_H
#define PULT_UI_WIZARD_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/network.h"
#include "ui/edit.h"

struct event;
struct job;
struct ui;

/* Where a bridge may lead. */
enum place_kind { PLACE_BRIDGE, PLACE_NEW, PLACE_DIRECT, PLACE_NOWHERE };

struct wizard_place {
    enum place_kind kind;
    char name[IFNAMSIZ]; /* the bridge, or the NIC */
    char text[160];      /* its state and addresses */
    char remark[120];    /* "" or: carries your session, … */
    bool recommended;
};

/* The choices of this host; *count of them, one of them recommended. The caller frees. */
struct wizard_place *wizard_places(size_t *count, struct error *err);

#define WIZARD_FIELDS 8

struct wizard_step {
    char *what, *command, *risk; /* the last may be NULL */
};

enum wizard_run {
    RUN_NOT,
    RUN_CREATE,
    RUN_APPLY,
    RUN_PROVE,
    RUN_DONE,
    RUN_BACK,
    RUN_FAILED, /* everything is as it was */
    RUN_STUCK,  /* it is not */
    RUN_STATES
};

struct wizard {
    size_t page;
    size_t kind_at;
    struct wizard_place *places;
    size_t place_count, place_at;
    struct edit values[WIZARD_FIELDS];
    size_t at, top;
    bool commands; /* show the steps' commands */

    struct event *settle;       /* the plan is made when nothing was typed for a moment */
    const struct job *plan_job; /* only compared: the newest of them */
    struct wizard_step *steps;
    size_t step_count;
    char **notes;
    char *refused;      /* why there is no plan */
    bool planned, asap; /* asap: Enter was typed before the plan was there */

    enum wizard_run run;
    bool awaited;          /* somebody has to confirm */
    bool blocked;          /* it is up, and the proof says that something is in the way */
    const struct job *job; /* only compared */
    char name[IFNAMSIZ];
    char *said;          /* what the last command had to say */
    struct edit *answer; /* of the form that asked for a network; NULL: none */
};

/* Open it; answer, if not NULL, gets the name of the network that was made. */
void wizard_open(struct ui *ui, struct edit *answer);
/* The journal of the network that is being made may have changed. */
void wizard_look(struct ui *ui);

#endif
