/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session: bytes between here (standard input and output) and there (a console's socket, or
 * the terminal of a command in a guest), until one side ends it.
 *
 *     stdin ──► in ──► there           each direction has one buffer, filled when it is empty,
 *     stdout ◄── out ◄── there         so that neither side, being slow, stops the other
 *
 * On a terminal it is raw mode, and with .prefix the key Ctrl-] commands the session: leave, send
 * the key itself, kill the guest. Without one, every byte passes as it is.
 */
#ifndef PULT_CMD_SESSION_H
#define PULT_CMD_SESSION_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

enum session_end {
    SESSION_OVER,   /* the other side ended it */
    SESSION_LEFT,   /* the user left, or lost the terminal */
    SESSION_SIGNAL, /* a signal did: .signal */
    SESSION_CLOSED, /* nobody reads standard output any more */
};

struct session {
    const char *name;  /* the guest */
    const char *port;  /* another terminal of it than the console, or NULL */
    int there;         /* stays open */
    int control;       /* a subscribed control connection, or -1 */
    bool tty;          /* here is a terminal; in raw mode while the session lasts */
    bool prefix;       /* Ctrl-] is ours */
    bool end_of_input; /* when standard input ends, tell the other side, a socket */

    /* The terminal here has a new size. */
    void (*resized)(struct session *s, unsigned cols, unsigned rows);
    /*
     * A signal that asks to end (SIGINT, SIGTERM, SIGHUP). True: go on until the other side ends
     * it. NULL: the session ends.
     */
    bool (*asked_to_end)(struct session *s, int sig);
    /* An event came on control. True: it says that the other side is done. */
    bool (*event)(struct session *s, const json_t *event);

    int signal;            /* the last signal that asked to end */
    const char *left_hint; /* a line for who leaves; may be NULL */
    void *arg;
};

/* -1: it could not begin; here and there are as they were. */
int session_run(struct session *s, enum session_end *how, struct error *err);

/* session.resized for a console. */
void session_resize_console(struct session *s, unsigned cols, unsigned rows);

#endif
