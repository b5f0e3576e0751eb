/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the keeper's own files share: keeper.c (life), control.c (connections), requests.c.
 */
#ifndef PULT_GUEST_KEEPER_PRIVATE_H
#define PULT_GUEST_KEEPER_PRIVATE_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

#include "guest/keeper.h"
#include "guest/rundir.h"
#include "guest/status.h"

struct conn;
struct event;
struct exec_child;

/* What can be attached to beside the console. */
struct port {
    struct port *next;
    struct console *console;
    char name[64];
};

struct keeper_private {
    struct run_dir run;
    int janitor; /* the way to it (janitor.h), -1: none */
    pthread_mutex_t janitor_lock;
    uid_t owner;  /* whose guest it is; confined, this process may be somebody else */
    int listener; /* control.c */
    struct event *accept;
    struct conn *conns;
    struct port *ports;       /* in the order in which they were made */
    struct exec_child *execs; /* requests.c */
    struct {
        struct conn *conn; /* who wants it, NULL: gone */
        json_t *id;
        bool active;
        uint64_t told_ns; /* when it was last told how far it is */
    } snapshot;
    const struct conn *frozen_for; /* whose freeze lasts no longer than it; NULL: no such one */
    struct event *stop_timer;      /* kills a guest that does not stop in time */
    struct event *reboot_timer;    /* starts the next life of a guest that rebooted */
    struct event *ended_event;     /* runs the end outside of engine calls */
    bool ended, started_once;
    unsigned unread; /* consoles whose readers have not got all, at the end */
    enum guest_end how;
    int exit_status;
    char reason[160];
};

/* Change the state, in the page and for all who listen. note may be NULL. */
void keeper_set_state(struct keeper *k, enum guest_state s, const char *note);
enum guest_state keeper_state(const struct keeper *k);

/* Ask the guest to shut down; kill it after `seconds`. */
int keeper_stop(struct keeper *k, unsigned seconds, struct error *err);
int keeper_kill(struct keeper *k, struct error *err);
int keeper_resize(struct keeper *k, unsigned cols, unsigned rows, struct error *err);
/* The port of this name, NULL where there is none; "second" is the first. */
struct console *keeper_port_find(const struct keeper *k, const char *name, struct error *err);

/* The event that tells of the present state. */
json_t *keeper_state_event(const struct keeper *k);

#endif
