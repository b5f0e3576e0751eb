/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of the console: events in, frames out. See app.h for how the parts hang together.
 *
 * Nothing draws when it happens. It says ui_dirty(), and a frame comes at once if the last one
 * is FRAME_MS old, else when it will be. Keys have the higher priority in the loop.
 */
#include "ui/ui.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/command.h"
#include "guest/store.h"
#include "ui/app.h"
#include "ui/screen.h"

#define FRAME_MS        20
#define SETTLE_MS       120 /* a selection that stays so long gets its console shown */
#define REFRESH_MS      2000
#define MESSAGE_SECONDS 10 /* then it is in the log only */

enum { PRIORITY_KEYS, PRIORITY_REST, PRIORITIES };

static void after_ms(struct event *ev, unsigned ms)
{
    const struct timeval t = {ms / 1000, (ms % 1000) * 1000};
    event_add(ev, &t);
}

/* ---- frames ---- */

static void draw_too_small(void)
{
    screen_erase();
    screen_cursor(-1, 0);
    cleanup_free char *s = xasprintf("pult needs %d×%d, this is %d×%d", LAYOUT_MIN_COLS,
                                     LAYOUT_MIN_ROWS, screen_cols(), screen_rows());
    screen_wrapped(0, 0, screen_cols(), screen_rows(), EL_STRONG, s);
}

static void draw_all(struct ui *ui)
{
    const struct {
        const struct view *view;
        struct rect area;
    } parts[] = {
        {&view_header, ui->layout.header},   {&view_list, ui->layout.list},
        {&view_details, ui->layout.details}, {&view_pane, ui->layout.pane},
        {&view_message, ui->layout.message}, {&view_keys, ui->layout.keys},
    };
    screen_erase();
    screen_cursor(-1, 0);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (parts[i].area.h > 0)
            parts[i].view->draw(ui, parts[i].area);
    }
    for (unsigned i = 0; i < ui->overlay_count; i++) {
        const struct view *v = ui->overlays[i];
        screen_cursor(-1, 0);
        v->draw(ui, v->place(ui, screen_rows(), screen_cols()));
    }
}

static void draw(struct ui *ui)
{
    if (ui->layout.too_small)
        draw_too_small();
    else if (ui->dirty & DIRTY_ALL || ui->overlay_count > 0)
        draw_all(ui);
    else if (ui->layout.pane.h > 0)
        view_pane.draw(ui, ui->layout.pane);
    ui->dirty = 0;
    ui->last_frame_ns = now_mono_ns();
    const struct pane *p = ui->panes.shown;
    screen_mouse(ui->mouse || (p && p->entered && term_wants_mouse(p->term)));
    screen_flush();
    if (screen_lost())
        ui_quit(ui, EXIT_OK);
}

static void on_frame(evutil_socket_t fd, short what, void *arg)
{
    struct ui *ui = arg;
    (void)fd, (void)what;
    if (ui->dirty)
        draw(ui);
}

void ui_dirty(struct ui *ui, unsigned what)
{
    ui->dirty |= what;
    if (evtimer_pending(ui->frame, NULL))
        return;
    uint64_t age = (now_mono_ns() - ui->last_frame_ns) / 1000000;
    after_ms(ui->frame, age >= FRAME_MS ? 0 : FRAME_MS - (unsigned)age);
}

void ui_relayout(struct ui *ui)
{
    layout_compute(&ui->layout, screen_rows(), screen_cols(), ui->zoom);
    struct rect in = rect_inner(ui->layout.pane);
    struct pane *p = ui->panes.shown;
    if (p && p->entered && in.h > 0)
        pane_resize(p, (unsigned)in.w, (unsigned)in.h);
    if (p && p->scroll.on && in.h > 0)
        pane_scroll_move(p, SCROLL_LINES, 0, (unsigned)in.h);
    ui_dirty(ui, DIRTY_ALL);
}

/* ---- overlays, focus ---- */

void ui_overlay(struct ui *ui, const struct view *v)
{
    if (ui->overlay_count == OVERLAYS_MAX)
        return;
    ui->overlays[ui->overlay_count++] = v;
    ui_dirty(ui, DIRTY_ALL);
}

void ui_overlay_close(struct ui *ui)
{
    if (ui->overlay_count == 0)
        return;
    const struct view *v = ui->overlays[--ui->overlay_count];
    if (v->leave)
        v->leave(ui);
    ui_dirty(ui, DIRTY_ALL);
}

bool ui_shows(const struct ui *ui, const struct view *overlay)
{
    for (unsigned i = 0; i < ui->overlay_count; i++)
        if (ui->overlays[i] == overlay)
            return true;
    return false;
}

bool ui_attached(const struct ui *ui)
{
    return ui->focus == &view_pane && ui->panes.shown && ui->panes.shown->entered;
}

void ui_focus(struct ui *ui, const struct view *v)
{
    struct pane *p = ui->panes.shown;
    ui->focus = v;
    if (v == &view_list) {
        ui->zoom = false;
        ui_relayout(ui); /* the guest is left with the size in which it is still seen */
        if (p)
            pane_leave(p);
        return;
    }
    if (ui->layout.pane.h == 0) { /* no room beside the list: it gets all of it */
        ui->zoom = true;
        ui_relayout(ui);
    }
    struct rect in = rect_inner(ui->layout.pane);
    if (p && in.h > 0)
        pane_enter(p, (unsigned)in.w, (unsigned)in.h);
    ui_dirty(ui, DIRTY_ALL);
}

/* ---- the pane follows the selection ---- */

static void show_pane(struct ui *ui, struct pane *p)
{
    struct pane *old = ui->panes.shown;
    if (old && old != p && old->kind != PANE_PROGRAM)
        pane_close(old);
    ui->panes.shown = p;
    ui_dirty(ui, DIRTY_ALL);
}

/* Does the pane show this guest as it is now? */
static bool pane_fits(const struct pane *p, const struct watched *w)
{
    if (!p || strcmp(p->guest, w->info.name) != 0)
        return false;
    if (p->kind == PANE_PROGRAM)
        return true;
    bool alive = state_alive(w->info.state);
    return alive ? p->kind == PANE_CONSOLE && !p->ended : p->kind == PANE_PAST;
}

/* A pane for the guest as it is now, NULL if there can be none. */
static struct pane *open_pane(struct ui *ui, const struct watched *w)
{
    struct rect in = rect_inner(ui->layout.pane);
    struct error err;
    if (state_alive(w->info.state))
        return pane_console(&ui->panes, w, &err);
    return pane_past(&ui->panes, w->info.name, in.w > 0 ? (unsigned)in.w : 80,
                     in.h > 0 ? (unsigned)in.h : 24, &err);
}

static void on_settled(evutil_socket_t fd, short what, void *arg)
{
    struct ui *ui = arg;
    (void)fd, (void)what;
    const struct watched *w = roster_selected(&ui->roster);
    struct pane *p = ui->panes.shown;
    if (p && p->entered)
        return;
    if (!w) {
        show_pane(ui, NULL);
        return;
    }
    if (pane_fits(p, w))
        return;
    p = pane_of(&ui->panes, w->info.name);
    show_pane(ui, p && p->kind == PANE_PROGRAM ? p : open_pane(ui, w));
}

void ui_show_console(struct ui *ui)
{
    const struct watched *w = roster_selected(&ui->roster);
    struct pane *p = ui->panes.shown;
    if (w && (!pane_fits(p, w) || p->kind == PANE_PROGRAM))
        show_pane(ui, open_pane(ui, w));
}

void ui_settle(struct ui *ui, bool now)
{
    if (now)
        on_settled(-1, 0, ui);
    else
        after_ms(ui->settle, SETTLE_MS);
}

static void on_pane_changed(void *arg, struct pane *p)
{
    struct ui *ui = arg;
    if (p == ui->panes.shown && term_take_damage(p->term))
        ui_dirty(ui, DIRTY_PANE);
}

static void on_pane_ended(void *arg, struct pane *p)
{
    struct ui *ui = arg;
    bool was_in = ui->focus == &view_pane && p == ui->panes.shown;
    if (was_in) {
        ui_note(ui, "%s%s%s ended%s%s", p->guest, p->what[0] ? ": " : "", p->what,
                p->why[0] ? ": " : "", p->why);
        ui_focus(ui, &view_list);
    }
    if (p->kind == PANE_PROGRAM && (p != ui->panes.shown || (p->why[0] == '\0' && !p->to_read)))
        pane_close(p);
    ui_settle(ui, false);
    ui_dirty(ui, DIRTY_ALL);
}

static void on_pane_bell(void *arg, struct pane *p)
{
    (void)arg, (void)p;
    screen_bell();
}

static void on_pane_failed(void *arg, const char *guest, const char *why)
{
    ui_error(arg, "%s: %s", guest, why);
}

static const struct pane_events pane_events = {
    .changed = on_pane_changed,
    .ended = on_pane_ended,
    .bell = on_pane_bell,
    .failed = on_pane_failed,
};

/* ---- guests ---- */

void ui_take_list(struct ui *ui)
{
    char before[GUEST_NAME_MAX + 1];
    snprintf(before, sizeof before, "%s", ui->roster.selected);
    size_t count;
    struct watched *const *all = watch_list(ui->watch, &count);
    roster_update(&ui->roster, all, count);
    bool enter = false;
    if (ui->enter_soon[0] && roster_find(&ui->roster, ui->enter_soon)) {
        if (!roster_select(&ui->roster, ui->enter_soon)) {
            roster_set_filter(&ui->roster, "");
            roster_select(&ui->roster, ui->enter_soon);
        }
        ui->enter_soon[0] = '\0';
        enter = ui->enter_console;
    }
    const struct watched *w = roster_selected(&ui->roster);
    bool fits = w && strcmp(before, ui->roster.selected) == 0 && pane_fits(ui->panes.shown, w);
    if (!fits && !evtimer_pending(ui->settle, NULL))
        ui_settle(ui, false);
    if (enter)
        ui_run(ui, "console");
    ui_dirty(ui, DIRTY_ALL);
}

static void on_changes(evutil_socket_t fd, short what, void *arg)
{
    struct ui *ui = arg;
    (void)fd, (void)what;
    watch_changes(ui->watch);
    ui_take_list(ui); /* also without a change: the list is a fresh array */
}

/* ---- networks ---- */

static void on_nets_changed(evutil_socket_t fd, short what, void *arg)
{
    struct ui *ui = arg;
    (void)fd, (void)what;
    if (!nets_changes(&ui->nets))
        return;
    wizard_look(ui);
    ui_dirty(ui, DIRTY_ALL);
}

static void nets_mended(void *arg, const struct job *job)
{
    char said[300];
    if (job_status(job) != 0)
        ui_error(arg, "%s", job_last_line(job, said, sizeof said));
}

/* What was killed at work left a network half made, or half undone: to list them mends that. */
static void mend_nets(struct ui *ui)
{
    static char *const words[] = {(char *)"network", (char *)"list", NULL};
    struct error err;
    if (nets_half_done(&ui->nets) && !job_start(ui->jobs, words, nets_mended, ui, &err))
        ui_error(ui, "%s", err.text);
}

void ui_watch_nets(struct ui *ui)
{
    bool wanted = ui_shows(ui, &view_networks) || ui_shows(ui, &view_wizard);
    struct error err;
    if (wanted == (ui->nets_changed != NULL))
        return;
    if (!wanted) {
        event_free(ui->nets_changed);
        ui->nets_changed = NULL;
        nets_close(&ui->nets);
    } else if (nets_open(&ui->nets, &err) < 0) {
        ui_error(ui, "%s", err.text);
    } else {
        ui->nets_changed =
            event_new(ui->base, ui->nets.inotify, EV_READ | EV_PERSIST, on_nets_changed, ui);
        event_add(ui->nets_changed, NULL);
        mend_nets(ui);
    }
}

/* ---- ticks ---- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct ui *ui = arg;
    (void)fd, (void)what;
    if (ui->messages.shown && time(NULL) - ui->messages.shown->when >= MESSAGE_SECONDS)
        ui->messages.shown = NULL;
    watch_tick(ui->watch);
    watch_host(ui->watch, &ui->host_now);
    nets_tick(&ui->nets);
    ui_take_list(ui);
}

void ui_set_refresh(struct ui *ui, unsigned ms)
{
    ui->refresh_ms = ms;
    after_ms(ui->tick, ms);
}

/* ---- keys ---- */

/* Characters pasted: into what is being typed, or to the guest; never as commands. */
static void paste_key(struct ui *ui, const struct key *key)
{
    if (ui->overlay_count > 0) {
        const struct view *top = ui->overlays[ui->overlay_count - 1];
        if (key->code < K_ENTER && (top == &view_prompt || top == &view_form))
            top->key(ui, key);
        ui_dirty(ui, DIRTY_ALL);
    } else if (ui_attached(ui) && !ui->panes.shown->scroll.on) {
        pane_type(ui->panes.shown, key);
    }
}

static void paste_edge(struct ui *ui, bool begin)
{
    ui->pasting = begin;
    if (ui->overlay_count == 0 && ui_attached(ui))
        pane_paste(ui->panes.shown, begin);
    else if (ui->overlay_count == 0 && begin)
        ui_note(ui, "nothing was done with what you pasted: no guest's console is entered");
}

static void mouse_key(struct ui *ui, const struct key *key)
{
    const struct {
        const struct view *view;
        struct rect area;
    } parts[] = {{&view_list, ui->layout.list}, {&view_pane, ui->layout.pane}};
    if (ui->overlay_count > 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (rect_has(parts[i].area, key->row, key->col) && parts[i].view->mouse &&
            parts[i].view->mouse(ui, key, parts[i].area) & REDRAW)
            ui_dirty(ui, DIRTY_ALL);
    }
}

static void dispatch(struct ui *ui, const struct key *key)
{
    if (key->code == K_PASTE_BEGIN || key->code == K_PASTE_END) {
        paste_edge(ui, key->code == K_PASTE_BEGIN);
        return;
    }
    if (ui->pasting) {
        paste_key(ui, key);
        return;
    }
    if (key->code == K_MOUSE) {
        mouse_key(ui, key);
        return;
    }
    if (ui->overlay_count > 0) {
        unsigned did = ui->overlays[ui->overlay_count - 1]->key(ui, key);
        if (did & LEAVE)
            ui_overlay_close(ui);
        ui_dirty(ui, DIRTY_ALL);
        return;
    }
    unsigned did = ui->focus->key ? ui->focus->key(ui, key) : 0;
    if (did & REDRAW)
        ui_dirty(ui, DIRTY_ALL);
    if (did & HANDLED)
        return;
    ui->messages.shown = NULL;
    ui_dirty(ui, DIRTY_ALL);
    const struct binding *b = keymap_find(&ui->keymap, KEYS_MAIN, key);
    if (b)
        ui_run(ui, b->line);
}

static void take_keys(struct ui *ui, bool flush)
{
    struct key key;
    while (input_next(&ui->input, flush, &key))
        dispatch(ui, &key);
    if (ui->input.len > 0)
        after_ms(ui->esc, INPUT_ESC_MS);
    else
        event_del(ui->esc);
}

static void on_tty(evutil_socket_t fd, short what, void *arg)
{
    struct ui *ui = arg;
    char buf[1024];
    (void)what;
    ssize_t n = read(fd, buf, min(sizeof buf, input_room(&ui->input)));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) { /* the terminal is gone; the guests are not */
        ui_quit(ui, EXIT_OK);
        return;
    }
    input_add(&ui->input, buf, (size_t)n);
    take_keys(ui, false);
}

static void on_esc(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    take_keys(arg, true);
}

/* ---- signals ---- */

static void on_winch(evutil_socket_t sig, short what, void *arg)
{
    (void)sig, (void)what;
    screen_resized();
    ui_relayout(arg);
}

static void on_end_signal(evutil_socket_t sig, short what, void *arg)
{
    (void)what;
    ui_quit(arg, sig == SIGHUP ? EXIT_OK : 128 + (int)sig);
}

void ui_suspend(struct ui *ui)
{
    (void)ui;
    screen_suspend();
    raise(SIGSTOP); /* on_cont() goes on */
}

static void on_tstp(evutil_socket_t sig, short what, void *arg)
{
    (void)sig, (void)what;
    ui_suspend(arg);
}

/* Stopped by SIGSTOP from outside, the terminal is not as we left it. */
static void on_cont(evutil_socket_t sig, short what, void *arg)
{
    (void)sig, (void)what;
    screen_resume();
    ui_relayout(arg);
}

static const struct {
    int sig;
    event_callback_fn fn;
} signals[] = {
    {SIGWINCH, on_winch},    {SIGTERM, on_end_signal}, {SIGINT, on_end_signal},
    {SIGHUP, on_end_signal}, {SIGTSTP, on_tstp},       {SIGCONT, on_cont},
};

/* ---- messages ---- */

void ui_note(struct ui *ui, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cleanup_free char *text = xvasprintf(fmt, ap);
    va_end(ap);
    message_add(&ui->messages, MESSAGE_NOTE, "%s", text);
    ui_dirty(ui, DIRTY_ALL);
}

void ui_error(struct ui *ui, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cleanup_free char *text = xvasprintf(fmt, ap);
    va_end(ap);
    message_add(&ui->messages, MESSAGE_BAD, "%s", text);
    ui_dirty(ui, DIRTY_ALL);
}

/* ---- beginning and end ---- */

void ui_quit(struct ui *ui, int status)
{
    ui->exit_status = status;
    event_base_loopbreak(ui->base);
}

static void open_events(struct ui *ui, struct event *sig[])
{
    event_base_priority_init(ui->base, PRIORITIES);
    ui->frame = evtimer_new(ui->base, on_frame, ui);
    ui->esc = evtimer_new(ui->base, on_esc, ui);
    ui->settle = evtimer_new(ui->base, on_settled, ui);
    ui->tick = event_new(ui->base, -1, EV_PERSIST, on_tick, ui);
    ui->tty = event_new(ui->base, STDIN_FILENO, EV_READ | EV_PERSIST, on_tty, ui);
    ui->changes = event_new(ui->base, watch_fd(ui->watch), EV_READ | EV_PERSIST, on_changes, ui);
    event_priority_set(ui->tty, PRIORITY_KEYS);
    event_priority_set(ui->esc, PRIORITY_KEYS);
    event_priority_set(ui->frame, PRIORITY_KEYS);
    event_add(ui->tty, NULL);
    event_add(ui->changes, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        sig[i] = evsignal_new(ui->base, signals[i].sig, signals[i].fn, ui);
        event_priority_set(sig[i], PRIORITY_KEYS);
        event_add(sig[i], NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

static void close_all(struct ui *ui, struct event *sig[])
{
    struct event *events[] = {ui->frame, ui->esc, ui->settle, ui->tick, ui->tty, ui->changes};
    while (ui->overlay_count > 0)
        ui_overlay_close(ui);
    panes_close(&ui->panes);
    jobs_free(ui->jobs);
    for (size_t i = 0; i < ARRAY_SIZE(events); i++)
        event_free(events[i]);
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        event_free(sig[i]);
    watch_close(ui->watch);
    roster_clear(&ui->roster);
    messages_clear(&ui->messages);
    keymap_free(&ui->keymap);
    prompt_free(&ui->prompt);
    text_clear(&ui->text);
    event_base_free(ui->base);
}

/* A job told how far it is, which the message line shows. */
static void on_progress(void *arg)
{
    ui_dirty(arg, DIRTY_ALL);
}

static int fail(const struct error *err)
{
    fprintf(stderr, "pult: %s\n", err->text);
    return EXIT_FAILED;
}

int ui_main(void)
{
    struct ui ui = {.focus = &view_list, .nets = {.inotify = -1, .dev = -1}};
    struct event *sig[ARRAY_SIZE(signals)];
    struct error err;
    if (store_init(&err) < 0)
        return fail(&err);
    ui.watch = watch_open(&err);
    if (!ui.watch)
        return fail(&err);
    if (screen_open(&err) < 0) {
        watch_close(ui.watch);
        return fail(&err);
    }
    ui.base = event_base_new();
    open_events(&ui, sig);
    ui.jobs = jobs_new(ui.base);
    jobs_watch(ui.jobs, on_progress, &ui);
    ui.panes = (struct panes){.base = ui.base, .ev = &pane_events, .arg = &ui};
    host_probe(&ui.host);
    const char *theme = getenv("PULT_THEME");
    if (screen_set_theme(theme && *theme ? theme : screen_theme(), &err) < 0)
        ui_error(&ui, "%s", err.text);
    if (keymap_load(&ui.keymap, &err) < 0)
        ui_error(&ui, "%s", err.text);
    ui_relayout(&ui);
    on_tick(-1, 0, &ui);
    ui_settle(&ui, true);
    ui_set_refresh(&ui, REFRESH_MS);

    event_base_loop(ui.base, 0);

    screen_close();
    int status = ui.exit_status;
    close_all(&ui, sig);
    return status;
}
