/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of the console: one struct ui, made and run by ui.c, drawn by the views, changed by
 * the actions.
 *
 *     tty ──► input.c ──► top overlay │ pane, if entered │ key table ──► a command line
 *     watch ─► roster                                                       │
 *     console, pty ─► pane's emulator                 verb.c: an action of the UI, or a job
 *     jobs ──► messages
 *         └──► something changed ──► a frame, at most each FRAME_MS: views draw, screen_flush()
 */
#ifndef PULT_UI_APP_H
#define PULT_UI_APP_H

#include <event2/event.h>
#include <stdbool.h>

#include "guest/watch.h"
#include "ui/form.h"
#include "ui/host.h"
#include "ui/input.h"
#include "ui/job.h"
#include "ui/keymap.h"
#include "ui/layout.h"
#include "ui/messages.h"
#include "ui/nets.h"
#include "ui/pane.h"
#include "ui/prompt.h"
#include "ui/review.h"
#include "ui/roster.h"
#include "ui/text.h"
#include "ui/view.h"
#include "ui/wizard.h"

#define OVERLAYS_MAX 4

/* What a frame has to draw again. */
enum { DIRTY_PANE = 1, DIRTY_ALL = 2 };

struct ui {
    struct event_base *base;
    struct event *tty, *esc, *tick, *frame, *settle, *changes;
    struct event *nets_changed; /* NULL: nobody looks at networks */
    struct input input;
    bool pasting;
    unsigned dirty;
    uint64_t last_frame_ns;
    unsigned refresh_ms;
    int exit_status;

    struct watch *watch;
    struct host host;
    struct host_figures host_now;
    struct roster roster;
    struct jobs *jobs;
    struct messages messages;
    struct keymap keymap;
    struct nets nets; /* while view_networks or view_wizard is open */

    struct layout layout;
    bool zoom;
    bool mouse;               /* the admin wants it in the lists too */
    const struct view *focus; /* view_list or view_pane */
    const struct view *overlays[OVERLAYS_MAX];
    unsigned overlay_count;

    struct panes panes;
    struct text text;                    /* what view_text shows */
    struct form form;                    /* what view_form edits */
    struct prompt prompt;                /* what view_prompt asks */
    struct wizard wizard;                /* what view_wizard makes */
    struct review review;                /* what view_review shows */
    char enter_soon[GUEST_NAME_MAX + 1]; /* select this guest as soon as it is there … */
    bool enter_console;                  /* … and enter its console */
};

/* ---- ui.c ---- */

void ui_dirty(struct ui *ui, unsigned what);
void ui_quit(struct ui *ui, int status);
void ui_suspend(struct ui *ui);
void ui_overlay(struct ui *ui, const struct view *v);
void ui_overlay_close(struct ui *ui);
bool ui_shows(const struct ui *ui, const struct view *overlay);
/* Look at the networks while an overlay shows them, and no longer. */
void ui_watch_nets(struct ui *ui);
/* The selected guest or the layout changed: show the right pane, soon. */
void ui_settle(struct ui *ui, bool now);
/* Show the selected guest's console now, even if a program of it is shown. */
void ui_show_console(struct ui *ui);
void ui_relayout(struct ui *ui);
/* The list of guests may have changed: show it, and enter whom we wait for. */
void ui_take_list(struct ui *ui);
/* How often to take samples. */
void ui_set_refresh(struct ui *ui, unsigned ms);
/* Give keys to the list, or to the pane's guest. */
void ui_focus(struct ui *ui, const struct view *v);
/* Does the guest in the pane get the keys? */
bool ui_attached(const struct ui *ui);

void ui_note(struct ui *ui, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ui_error(struct ui *ui, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- verb.c ---- */

/* Do what a command line says: an action of the UI, or a verb of the command line as a job. */
void ui_run(struct ui *ui, const char *line);
/* The same with words; show: open what it prints, if that is more than a line. */
void ui_run_words(struct ui *ui, char *const *words, bool show);

#endif
