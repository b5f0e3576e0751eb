/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes between here and there; session.h draws it. */
#include "cmd/session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "cmd/terminal.h"
#include "guest/client.h"

#define PREFIX_KEY 0x1d /* Ctrl-] */

/* One direction. */
struct flow {
    char data[64 * 1024];
    size_t at, len; /* data[at..len) waits to be written */
    bool ended;     /* nothing more will come */
};

struct loop {
    struct session *s;
    struct flow in, out;
    size_t out_chunk; /* so much can be written to standard output without waiting, after POLLOUT */
    bool after_prefix; /* the next key is a command */
    bool done;         /* control said that the other side is done */
    bool over;
    enum session_end how;
};

static void finish(struct loop *l, enum session_end how)
{
    l->over = true;
    l->how = how;
}

/* ---- the prefix key ---- */

static void say(const char *text)
{
    write_all(STDOUT_FILENO, text, strlen(text));
}

static void key_leave(struct loop *l)
{
    finish(l, SESSION_LEFT);
}

static void key_literal(struct loop *l)
{
    l->in.data[l->in.len++] = PREFIX_KEY;
}

static void key_kill(struct loop *l)
{
    struct error err;
    json_t *request = json_pack("{s:s}", "cmd", "kill");
    if (client_ask(l->s->name, request, 5000, NULL, &err) < 0) {
        say("\r\n[");
        say(err.text);
        say("]\r\n");
    }
}

static void key_help(struct loop *l);

static const struct prefix_command {
    char key;
    const char *name, *help;
    void (*run)(struct loop *l);
} prefix_commands[] = {
    {'d', "d", "leave, the guest goes on", key_leave},
    {PREFIX_KEY, "Ctrl-]", "the same", key_leave},
    {']', "]", "send Ctrl-] to the guest", key_literal},
    {'X', "X", "kill the guest", key_kill},
    {'?', "?", "this help", key_help},
};

static void key_help(struct loop *l)
{
    (void)l;
    say("\r\n[Ctrl-] and then:");
    for (size_t i = 0; i < ARRAY_SIZE(prefix_commands); i++) {
        say(i ? ", " : " ");
        say(prefix_commands[i].name);
        say(" ");
        say(prefix_commands[i].help);
    }
    say("]\r\n");
}

/* Take the keys typed, n of them at in.data, and leave there what is for the guest. */
static void handle_keys(struct loop *l, size_t n)
{
    char keys[sizeof l->in.data / 2];
    memcpy(keys, l->in.data, n);
    l->in.len = 0;
    for (size_t i = 0; i < n && !l->over; i++) {
        if (!l->after_prefix && keys[i] != PREFIX_KEY) {
            l->in.data[l->in.len++] = keys[i];
            continue;
        }
        if (!l->after_prefix) {
            l->after_prefix = true;
            continue;
        }
        l->after_prefix = false;
        for (size_t c = 0; c < ARRAY_SIZE(prefix_commands); c++)
            if (prefix_commands[c].key == keys[i])
                prefix_commands[c].run(l);
    }
}

/* ---- the two directions ---- */

static bool flow_empty(const struct flow *f)
{
    return f->at == f->len;
}

/* A terminal that was lost does nothing to the guest; a reader that went away ends a pipeline. */
static void lost_here(struct loop *l)
{
    finish(l, l->s->tty ? SESSION_LEFT : SESSION_CLOSED);
}

/* Standard input has something, or ended. */
static void read_here(struct loop *l)
{
    struct flow *f = &l->in;
    ssize_t n = read(STDIN_FILENO, f->data, sizeof f->data / 2);
    f->at = 0;
    f->len = n > 0 ? (size_t)n : 0;
    if (n > 0 && l->s->prefix)
        handle_keys(l, (size_t)n);
    if (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)))
        return;
    f->ended = true;
    if (l->s->tty)
        lost_here(l);
    if (l->s->end_of_input)
        shutdown(l->s->there, SHUT_WR);
}

static void write_there(struct loop *l)
{
    struct flow *f = &l->in;
    ssize_t n = write(l->s->there, f->data + f->at, f->len - f->at);
    if (n >= 0)
        f->at += (size_t)n;
    else if (errno != EINTR && errno != EAGAIN)
        f->at = f->len; /* it does not listen any more; what it still says shows the end */
}

/* A pty's master gives EIO when its other side has been closed by all. */
static void read_there(struct loop *l)
{
    struct flow *f = &l->out;
    ssize_t n = read(l->s->there, f->data, sizeof f->data);
    f->at = 0;
    f->len = n > 0 ? (size_t)n : 0;
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        f->ended = true;
}

static void write_here(struct loop *l)
{
    struct flow *f = &l->out;
    ssize_t n = write(STDOUT_FILENO, f->data + f->at, min(f->len - f->at, l->out_chunk));
    if (n > 0) {
        if (l->s->tty)
            terminal_printed(f->data + f->at, (size_t)n);
        f->at += (size_t)n;
    } else if (n < 0 && errno != EINTR && errno != EAGAIN) {
        lost_here(l);
    }
}

/* ---- signals and events ---- */

static void handle_signal(struct loop *l, int fd)
{
    struct signalfd_siginfo si;
    if (read(fd, &si, sizeof si) != sizeof si)
        return;
    struct session *s = l->s;
    if (si.ssi_signo == SIGWINCH) {
        unsigned cols, rows;
        terminal_size(&cols, &rows);
        if (s->tty && s->resized && cols > 0 && rows > 0)
            s->resized(s, cols, rows);
        return;
    }
    s->signal = (int)si.ssi_signo;
    if (s->asked_to_end == NULL || !s->asked_to_end(s, s->signal))
        finish(l, SESSION_SIGNAL);
}

static void handle_event(struct loop *l)
{
    struct error err = {0};
    json_t *event = client_event(l->s->control, 0, &err);
    if (event == NULL) {
        l->s->control = err.code == ETIMEDOUT ? l->s->control : -1;
        return;
    }
    if (l->s->event && l->s->event(l->s, event))
        l->done = true;
    json_decref(event);
}

/* ---- the loop ---- */

enum { HERE_IN, HERE_OUT, THERE, SIGNALS, CONTROL, POLLED };

static void step(struct loop *l, int signals)
{
    struct flow *in = &l->in, *out = &l->out;
    bool want_in = flow_empty(in) && !in->ended, want_out = flow_empty(out) && !out->ended;
    struct pollfd p[POLLED] = {
        [HERE_IN] = {want_in ? STDIN_FILENO : -1, POLLIN, 0},
        [HERE_OUT] = {flow_empty(out) ? -1 : STDOUT_FILENO, POLLOUT, 0},
        [THERE] = {want_out || !flow_empty(in) ? l->s->there : -1,
                   (short)((want_out ? POLLIN : 0) | (flow_empty(in) ? 0 : POLLOUT)), 0},
        [SIGNALS] = {signals, POLLIN, 0},
        [CONTROL] = {l->s->control, POLLIN, 0},
    };
    if (poll(p, POLLED, l->done ? 0 : -1) < 0)
        return;
    if (p[SIGNALS].revents)
        handle_signal(l, signals);
    if (p[CONTROL].revents)
        handle_event(l);
    if (p[HERE_OUT].revents)
        write_here(l);
    if (p[THERE].revents && !flow_empty(in))
        write_there(l);
    if (p[THERE].revents & (POLLIN | POLLHUP | POLLERR) && want_out)
        read_there(l);
    else if (l->done && want_out)
        out->ended = true;
    if (p[HERE_IN].revents)
        read_here(l);
    if (out->ended && flow_empty(out) && !l->over)
        finish(l, SESSION_OVER);
}

/* After POLLOUT a pipe takes PIPE_BUF bytes without blocking; files and terminals take all. */
static size_t chunk_for(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? PIPE_BUF : SSIZE_MAX;
}

int session_run(struct session *s, enum session_end *how, struct error *err)
{
    sigset_t mask, old;
    sigemptyset(&mask);
    for (size_t i = 0; i < 4; i++)
        sigaddset(&mask, (const int[]){SIGWINCH, SIGINT, SIGTERM, SIGHUP}[i]);
    cleanup_close int signals = signalfd(-1, &mask, SFD_CLOEXEC);
    int flags = fcntl(s->there, F_GETFL);
    if (signals < 0 || flags < 0 || fcntl(s->there, F_SETFL, flags | O_NONBLOCK) < 0)
        return error_set(err, errno, "prepare the session with '%s'", s->name);
    if (s->tty && terminal_raw(err) < 0)
        return -1;
    sigprocmask(SIG_BLOCK, &mask, &old);
    struct sigaction ignore = {.sa_handler = SIG_IGN}, pipe_before;
    sigaction(SIGPIPE, &ignore, &pipe_before);

    /* Memory that is there anyway: to give so much back takes the kernel longer than a mount. */
    static struct loop l;
    l.s = s;
    l.in.at = l.in.len = l.out.at = l.out.len = 0;
    l.in.ended = l.out.ended = l.after_prefix = l.done = l.over = false;
    l.out_chunk = chunk_for(STDOUT_FILENO);
    while (!l.over)
        step(&l, signals);
    *how = l.how;

    terminal_restore();
    sigaction(SIGPIPE, &pipe_before, NULL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    return 0;
}

void session_resize_console(struct session *s, unsigned cols, unsigned rows)
{
    struct error err;
    client_resize(s->name, s->port, cols, rows, &err);
}
