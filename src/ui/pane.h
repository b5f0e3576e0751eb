/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pane: a terminal emulator and where its bytes come from.
 *
 *     console   a guest's console socket; first only looked at (nothing that is typed or that the
 *               emulator answers is sent, the guest keeps its size), then entered
 *     past      what a guest printed in its last run; nothing moves
 *     program   a program on a terminal of its own, such as a second shell by `pult exec`
 *
 * One pane is shown at a time. Consoles and pasts are dropped when another guest is selected and
 * made again from the keeper's history; programs stay until they end.
 */
#ifndef PULT_UI_PANE_H
#define PULT_UI_PANE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "guest/def.h"
#include "guest/watch.h"
#include "ui/term.h"

struct event_base;
struct event;
struct evbuffer;
struct panes;

enum pane_kind { PANE_CONSOLE, PANE_PAST, PANE_PROGRAM };

/* Looking back. Lines are counted from the first that ever was. */
struct pane_scroll {
    bool on;
    uint64_t line, top;
    bool marking;
    uint64_t mark;
    char search[128];
};

struct pane {
    struct panes *panes;
    struct pane *next;
    enum pane_kind kind;
    char guest[GUEST_NAME_MAX + 1];
    char what[64]; /* of a program: its name */
    bool to_read;  /* … which is run for what it prints: that stays when it has ended */
    struct term *term;
    bool entered;
    bool ended;
    char why[200]; /* … and why, "" where there is nothing to say */
    struct pane_scroll scroll;

    int fd; /* -1: none */
    struct event *readable, *writable, *quiet, *dead;
    struct evbuffer *out;
    pid_t pid;
    int pidfd;
    bool answered;  /* the keeper's answer to the request came: all else is console */
    bool replaying; /* what comes is the past: questions in it are answered already */
    char answer[4096];
    size_t answer_len;
};

struct pane_events {
    void (*changed)(void *arg, struct pane *p);
    void (*ended)(void *arg, struct pane *p); /* it may be closed in here */
    void (*bell)(void *arg, struct pane *p);
    void (*failed)(void *arg, const char *guest, const char *why);
};

struct panes {
    struct event_base *base;
    const struct pane_events *ev;
    void *arg;
    struct pane *first;
    struct pane *shown; /* NULL: none */
};

/* Look at a running guest's console. */
struct pane *pane_console(struct panes *ps, const struct watched *w, struct error *err);
/* Show what a guest printed in its last run. */
struct pane *pane_past(struct panes *ps, const char *guest, unsigned cols, unsigned rows,
                       struct error *err);
/* Run a verb of the command line on a terminal of its own. */
struct pane *pane_program(struct panes *ps, const char *guest, const char *what, char *const *argv,
                          unsigned cols, unsigned rows, struct error *err);
void pane_close(struct pane *p);
void panes_close(struct panes *ps);
/* The newest pane of a guest; programs before consoles. NULL: none. */
struct pane *pane_of(const struct panes *ps, const char *guest);

/* From now on its guest gets what is typed, and the size follows. */
void pane_enter(struct pane *p, unsigned cols, unsigned rows);
void pane_leave(struct pane *p);
void pane_resize(struct pane *p, unsigned cols, unsigned rows);
/* What the admin types, pastes and points at, encoded as the guest's terminal modes ask. */
void pane_type(struct pane *p, const struct key *key);
void pane_paste(struct pane *p, bool begin);
void pane_point(struct pane *p, const struct key *key, unsigned row, unsigned col);
/* Bytes for the guest. Dropped if it takes none for too long. */
void pane_send(struct pane *p, const char *bytes, size_t len);
/* "break" or "ctrl-alt-del". then, if not 0, is typed after it. */
void pane_signal(struct pane *p, const char *what, char then);

/* ---- looking back; the line numbers of struct pane_scroll ---- */

enum scroll_move { SCROLL_LINES, SCROLL_FIRST, SCROLL_LAST };
void pane_scroll_begin(struct pane *p, unsigned height);
void pane_scroll_end(struct pane *p);
void pane_scroll_move(struct pane *p, enum scroll_move how, long by, unsigned height);
/* Go to the next line with that text, upwards or down. False if there is none. */
bool pane_search(struct pane *p, const char *text, bool up, unsigned height);
/* The marked lines, or the current one. Caller frees; *lines: how many. */
char *pane_copy(const struct pane *p, size_t *len, size_t *lines);

#endif
