/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See pane.h. A turn of the loop reads at most READ_MAX bytes from a pane, so that keys are
 * answered while a guest floods its console.
 */
#include "ui/pane.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/client.h"
#include "guest/store.h"
#include "ui/job.h"
#include "ui/request.h"

#define READ_MAX     (128u << 10)
#define HISTORY_MAX  (256u << 10) /* of the past, from the keeper's ring */
#define OUT_MAX      (256u << 10) /* typed or pasted and not yet taken by the guest */
#define REPLAY_MS    50           /* so much silence ends the past */
#define PRIORITY_LOW 1

/* ---- the emulator's side ---- */

static void on_reply(void *arg, const char *bytes, size_t len)
{
    struct pane *p = arg;
    if (p->entered && !p->replaying)
        pane_send(p, bytes, len);
}

static void on_bell(void *arg)
{
    struct pane *p = arg;
    if (!p->replaying && p->entered)
        p->panes->ev->bell(p->panes->arg, p);
}

static const struct term_events term_events = {.reply = on_reply, .bell = on_bell};

static struct pane *pane_new(struct panes *ps, enum pane_kind kind, const char *guest,
                             unsigned cols, unsigned rows)
{
    struct pane *p = xcalloc(1, sizeof *p);
    *p = (struct pane){.panes = ps, .kind = kind, .fd = -1, .pidfd = -1, .next = ps->first};
    snprintf(p->guest, sizeof p->guest, "%s", guest);
    p->term = term_new(cols, rows, &term_events, p);
    p->out = evbuffer_new();
    ps->first = p;
    return p;
}

/* ---- bytes ---- */

static void unplug(struct pane *p)
{
    struct event **events[] = {&p->readable, &p->writable, &p->quiet, &p->dead};
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        if (*events[i])
            event_free(*events[i]);
        *events[i] = NULL;
    }
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

static void end(struct pane *p, const char *why)
{
    unplug(p);
    p->ended = true;
    p->entered = false;
    snprintf(p->why, sizeof p->why, "%s", why);
    p->panes->ev->ended(p->panes->arg, p);
}

/* Take the line out that answers the request to attach. Returns the bytes after it, or NULL. */
static const char *take_answer(struct pane *p, const char *data, size_t *len)
{
    const char *nl = memchr(data, '\n', *len);
    size_t n = nl ? (size_t)(nl - data) + 1 : *len;
    n = min(n, sizeof p->answer - p->answer_len);
    memcpy(p->answer + p->answer_len, data, n);
    p->answer_len += n;
    struct error err;
    if (!nl) {
        if (p->answer_len == sizeof p->answer)
            end(p, "its keeper sends nonsense");
        return NULL;
    }
    if (client_answer(p->answer, p->answer_len, &err) < 0) {
        end(p, err.text);
        return NULL;
    }
    p->answered = true;
    *len -= n;
    return data + n;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    static char buf[READ_MAX];
    struct pane *p = arg;
    (void)what;
    ssize_t n = read(fd, buf, sizeof buf);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 && p->kind == PANE_PROGRAM) { /* its terminal hung up; on_dead() says how it ended */
        event_del(p->readable);
        return;
    }
    if (n <= 0) {
        end(p, "");
        return;
    }
    size_t len = (size_t)n;
    const char *data = p->answered ? buf : take_answer(p, buf, &len);
    if (data == NULL)
        return;
    if (p->replaying) {
        const struct timeval pause = {0, REPLAY_MS * 1000};
        event_add(p->quiet, &pause);
    }
    term_feed(p->term, data, len);
    p->panes->ev->changed(p->panes->arg, p);
}

static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
    struct pane *p = arg;
    (void)fd, (void)what;
    p->replaying = false;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct pane *p = arg;
    (void)what;
    if (evbuffer_write(p->out, fd) < 0 && errno != EAGAIN && errno != EINTR)
        evbuffer_drain(p->out, evbuffer_get_length(p->out)); /* reading will tell why */
    if (evbuffer_get_length(p->out) > 0)
        event_add(p->writable, NULL);
}

static void on_dead(evutil_socket_t fd, short what, void *arg)
{
    struct pane *p = arg;
    char buf[4096], why[64] = "";
    int status = 0;
    (void)fd, (void)what;
    for (ssize_t n; (n = read(p->fd, buf, sizeof buf)) > 0;)
        term_feed(p->term, buf, (size_t)n);
    if (waitpid(p->pid, &status, WNOHANG) == p->pid)
        p->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        snprintf(why, sizeof why, "exit status %d", WEXITSTATUS(status));
    end(p, why);
}

static void plug(struct pane *p)
{
    p->readable = event_new(p->panes->base, p->fd, EV_READ | EV_PERSIST, on_readable, p);
    p->writable = event_new(p->panes->base, p->fd, EV_WRITE, on_writable, p);
    p->quiet = evtimer_new(p->panes->base, on_quiet, p);
    event_priority_set(p->readable, PRIORITY_LOW);
    event_add(p->readable, NULL);
}

void pane_send(struct pane *p, const char *bytes, size_t len)
{
    if (p->fd < 0 || evbuffer_get_length(p->out) + len > OUT_MAX)
        return;
    evbuffer_add(p->out, bytes, len);
    on_writable(p->fd, EV_WRITE, p);
}

/* ---- opening and closing ---- */

struct pane *pane_console(struct panes *ps, const struct watched *w, struct error *err)
{
    const struct console_reader how = {.history = HISTORY_MAX};
    int fd = client_attach_begin(w->info.name, &how, 0, 0, err);
    if (fd < 0)
        return NULL;
    unsigned cols = w->info.page.cols, rows = w->info.page.rows;
    struct pane *p = pane_new(ps, PANE_CONSOLE, w->info.name, cols ? cols : 80, rows ? rows : 24);
    p->fd = fd;
    p->replaying = true;
    plug(p);
    return p;
}

struct pane *pane_past(struct panes *ps, const char *guest, unsigned cols, unsigned rows,
                       struct error *err)
{
    cleanup_free char *data = NULL;
    size_t len;
    if (store_console(guest, &data, &len, err) < 0)
        return NULL;
    struct pane *p = pane_new(ps, PANE_PAST, guest, cols, rows);
    size_t skip = len > HISTORY_MAX ? len - HISTORY_MAX : 0;
    p->replaying = true;
    term_feed(p->term, data + skip, len - skip);
    return p;
}

struct pane *pane_program(struct panes *ps, const char *guest, const char *what, char *const *argv,
                          unsigned cols, unsigned rows, struct error *err)
{
    pid_t pid;
    int fd = job_pty(argv, cols, rows, &pid, err);
    if (fd < 0)
        return NULL;
    struct pane *p = pane_new(ps, PANE_PROGRAM, guest, cols, rows);
    snprintf(p->what, sizeof p->what, "%s", what);
    p->fd = fd;
    p->pid = pid;
    p->answered = true;
    p->pidfd = pidfd_open(pid, 0);
    plug(p);
    p->dead = event_new(ps->base, p->pidfd, EV_READ, on_dead, p);
    event_add(p->dead, NULL);
    return p;
}

void pane_close(struct pane *p)
{
    if (p == NULL)
        return;
    for (struct pane **l = &p->panes->first; *l; l = &(*l)->next) {
        if (*l == p) {
            *l = p->next;
            break;
        }
    }
    if (p->panes->shown == p)
        p->panes->shown = NULL;
    unplug(p); /* a program gets its SIGHUP by this */
    if (p->pidfd >= 0)
        close(p->pidfd);
    evbuffer_free(p->out);
    term_free(p->term);
    free(p);
}

void panes_close(struct panes *ps)
{
    while (ps->first)
        pane_close(ps->first);
}

struct pane *pane_of(const struct panes *ps, const char *guest)
{
    struct pane *found = NULL;
    for (struct pane *p = ps->first; p; p = p->next) {
        if (strcmp(p->guest, guest) == 0 && (!found || p->kind == PANE_PROGRAM))
            found = p;
    }
    return found;
}

/* ---- being in it ---- */

static void on_asked(void *arg, const char *guest, const char *err)
{
    struct panes *ps = arg;
    if (err)
        ps->ev->failed(ps->arg, guest, err);
}

void pane_resize(struct pane *p, unsigned cols, unsigned rows)
{
    if (cols == term_cols(p->term) && rows == term_rows(p->term))
        return;
    term_resize(p->term, cols, rows);
    cols = term_cols(p->term);
    rows = term_rows(p->term);
    if (p->kind == PANE_PROGRAM && p->fd >= 0) {
        struct winsize w = {.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
        ioctl(p->fd, TIOCSWINSZ, &w);
    } else if (p->kind == PANE_CONSOLE && p->fd >= 0) {
        json_t *ask =
            json_pack("{s:s, s:i, s:i}", "cmd", "resize", "cols", (int)cols, "rows", (int)rows);
        request_send(p->panes->base, p->guest, ask, on_asked, p->panes);
    }
    p->panes->ev->changed(p->panes->arg, p);
}

void pane_enter(struct pane *p, unsigned cols, unsigned rows)
{
    p->entered = !p->ended;
    if (p->entered)
        pane_resize(p, cols, rows);
}

void pane_leave(struct pane *p)
{
    p->entered = false;
    p->scroll.on = false;
}

/* Who types has seen the past: from here on questions are asked now, and answered. */
void pane_type(struct pane *p, const struct key *key)
{
    p->replaying = false;
    term_key(p->term, key);
}

void pane_paste(struct pane *p, bool begin)
{
    p->replaying = false;
    term_paste(p->term, begin);
}

void pane_point(struct pane *p, const struct key *key, unsigned row, unsigned col)
{
    p->replaying = false;
    term_mouse(p->term, key, row, col);
}

/* What is to be typed after a break, once the keeper has said that the break was sent. */
struct after {
    struct panes *panes;
    char then;
};

static void on_signalled(void *arg, const char *guest, const char *err)
{
    struct after *a = arg;
    if (err)
        a->panes->ev->failed(a->panes->arg, guest, err);
    for (struct pane *p = a->panes->first; p && !err && a->then; p = p->next) {
        if (p->kind == PANE_CONSOLE && strcmp(p->guest, guest) == 0)
            pane_send(p, &a->then, 1);
    }
    free(a);
}

void pane_signal(struct pane *p, const char *what, char then)
{
    struct after *a = xcalloc(1, sizeof *a);
    *a = (struct after){.panes = p->panes, .then = then};
    request_send(p->panes->base, p->guest, json_pack("{s:s, s:s}", "cmd", "send", "what", what),
                 on_signalled, a);
}

/* ---- looking back ---- */

static uint64_t first_line(const struct pane *p)
{
    return term_history_dropped(p->term);
}

static uint64_t last_line(const struct pane *p)
{
    return first_line(p) + term_lines(p->term) - 1;
}

static void keep_visible(struct pane *p, unsigned height)
{
    struct pane_scroll *s = &p->scroll;
    uint64_t first = first_line(p), last = last_line(p);
    s->line = min(max(s->line, first), last);
    if (s->line < s->top)
        s->top = s->line;
    if (s->line >= s->top + height)
        s->top = s->line - height + 1;
    s->top = max(s->top, first);
}

void pane_scroll_begin(struct pane *p, unsigned height)
{
    if (p->scroll.on)
        return;
    p->scroll.on = true;
    p->scroll.marking = false;
    uint64_t first = first_line(p);
    p->scroll.line = first + term_history(p->term) + term_cursor(p->term).row;
    p->scroll.top = last_line(p) + 1 > first + height ? last_line(p) + 1 - height : first;
    keep_visible(p, height);
}

void pane_scroll_end(struct pane *p)
{
    p->scroll.on = false;
    p->scroll.marking = false;
}

void pane_scroll_move(struct pane *p, enum scroll_move how, long by, unsigned height)
{
    struct pane_scroll *s = &p->scroll;
    uint64_t first = first_line(p), last = last_line(p);
    if (how == SCROLL_FIRST)
        s->line = first;
    else if (how == SCROLL_LAST)
        s->line = last;
    else if (by < 0)
        s->line = s->line > first + (uint64_t)-by ? s->line - (uint64_t)-by : first;
    else
        s->line = min(s->line + (uint64_t)by, last);
    keep_visible(p, height);
}

/* memmem() that takes capitals and small letters for the same unless the text has capitals. */
static bool contains(const char *line, const char *text, bool exact)
{
    return exact ? strstr(line, text) != NULL : strcasestr(line, text) != NULL;
}

bool pane_search(struct pane *p, const char *text, bool up, unsigned height)
{
    struct pane_scroll *s = &p->scroll;
    bool exact = false;
    for (const char *c = text; *c; c++)
        exact |= *c >= 'A' && *c <= 'Z';
    snprintf(s->search, sizeof s->search, "%s", text);
    uint64_t first = first_line(p), last = last_line(p);
    for (uint64_t n = s->line; up ? n > first : n < last;) {
        n += up ? (uint64_t)-1 : 1;
        size_t len;
        cleanup_free char *line = term_line_text(p->term, (size_t)(n - first), &len);
        if (contains(line, text, exact)) {
            s->line = n;
            keep_visible(p, height);
            return true;
        }
    }
    return false;
}

char *pane_copy(const struct pane *p, size_t *len, size_t *lines)
{
    const struct pane_scroll *s = &p->scroll;
    uint64_t first = first_line(p), mark = s->marking ? max(s->mark, first) : s->line;
    uint64_t from = min(mark, s->line), to = max(mark, s->line);
    char *out = xcalloc(1, 1);
    *len = 0;
    *lines = (size_t)(to - from + 1);
    for (uint64_t n = from; n <= to; n++) {
        size_t more;
        cleanup_free char *line = term_line_text(p->term, (size_t)(n - first), &more);
        out = xrealloc(out, *len + more + 2, 1);
        memcpy(out + *len, line, more);
        *len += more;
        if (from != to)
            out[(*len)++] = '\n';
    }
    return out;
}
