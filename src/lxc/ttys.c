/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container's terminals as its keeper has them: lxc.tty.max, which are ports of the guest beside
 * its console (keeper.h), and a file that gets what the console prints.
 *
 * The file is written by a reader of the console like any other, which is this process itself: a
 * socket pair between the two. It wants every byte, so a guest that prints faster than the disk
 * takes it waits.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "guest/console.h"
#include "lxc/container.h"

/* A FIFO that nobody reads is refused, and one that is read slowly does not hold the guest up. */
#define FILE_HOW (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* ---- lxc.tty.* ---- */

void ttys_take(struct container *c, const int *fds, size_t count)
{
    struct error err;
    char name[16];
    memcpy(c->ttys, fds, count * sizeof *fds);
    for (unsigned i = 0; i < count / TTY_FDS; i++) {
        snprintf(name, sizeof name, "tty%u", i + 1);
        struct console *port = keeper_port(c->keeper, name, false, &err);
        if (!port || console_plug_fd(port, c->ttys[TTY_FDS * i], &err) < 0)
            log_line("%s: %s", name, err.text);
    }
}

void ttys_drop(struct container *c)
{
    char name[16];
    for (unsigned i = 0; i < TTYS_MAX && c->ttys[TTY_FDS * i] >= 0; i++) {
        snprintf(name, sizeof name, "tty%u", i + 1);
        struct console *port = keeper_port(c->keeper, name, false, NULL);
        if (port)
            console_unplug(port);
        close(c->ttys[TTY_FDS * i]);
        close(c->ttys[TTY_FDS * i + 1]);
    }
    memset(c->ttys, -1, sizeof c->ttys);
}

/* ---- lxc.log.* ---- */

/* Without a daemon that listens, what is said to it is lost, as in syslog(3). */
static void syslog_open(const char *facility, unsigned level)
{
    static char before[32]; /* the log keeps it */
    const struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    const unsigned number = str_eq(facility, "daemon") ? 3 : 16 + (unsigned)(facility[5] - '0');
    cleanup_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) < 0) {
        log_line("lxc.log.syslog: reach '%s': %s", a.sun_path, strerror(errno));
        return;
    }
    snprintf(before, sizeof before, "<%u>pult[%d]: ", number * 8 + 5,
             getpid()); /* RFC 3164: notice */
    log_also(steal_fd(fd), before, level);
}

int log_copies_open(const struct settings *s, struct error *err)
{
    static bool done; /* a reboot has them yet */
    if (done)
        return 0;
    done = true;
    if (s->log_file) {
        int fd = open(s->log_file, O_WRONLY | O_CREAT | O_APPEND | FILE_HOW, 0600);
        if (fd < 0)
            return error_set(err, errno, "open '%s' (lxc.log.file)", s->log_file);
        log_also(fd, "", s->log_level);
    }
    if (s->log_syslog)
        syslog_open(s->log_syslog, s->log_level);
    return 0;
}

/* ---- lxc.console.* ---- */

struct console_log {
    const struct settings *set;
    struct event *event;
    int from, file, terminal; /* -1: none */
    uint64_t size;
};

static int log_file_open(struct console_log *l, bool again, struct error *err)
{
    struct stat st;
    const char *path = l->set->console_log;
    l->file = open(path, O_WRONLY | O_CREAT | O_APPEND | FILE_HOW | (again ? O_TRUNC : 0), 0600);
    if (l->file < 0 || fstat(l->file, &st) < 0)
        return error_set(err, errno, "open '%s' (lxc.console.logfile)", path);
    l->size = (uint64_t)st.st_size;
    return 0;
}

/* It is full: begin it anew. */
static void log_file_turn(struct console_log *l)
{
    struct error err;
    cleanup_free char *old = xasprintf("%s.1", l->set->console_log);
    if (l->set->console_rotate && rename(l->set->console_log, old) < 0)
        log_line("rename '%s': %s", l->set->console_log, strerror(errno));
    close(l->file);
    if (log_file_open(l, true, &err) < 0)
        log_line("%s", err.text);
}

static void log_write(struct console_log *l, const char *data, size_t len)
{
    if (l->terminal >= 0 && write(l->terminal, data, len) < 0)
        log_once("'%s' takes nothing: %s", l->set->console_path, strerror(errno));
    if (l->file >= 0 && l->set->console_log_size && l->size + len > l->set->console_log_size)
        log_file_turn(l);
    if (l->file < 0)
        return;
    if (write_all(l->file, data, len) < 0)
        log_once("write '%s': %s", l->set->console_log, strerror(errno));
    l->size += len;
}

static void log_cb(evutil_socket_t fd, short what, void *arg)
{
    struct console_log *l = arg;
    char data[4096];
    (void)what;
    ssize_t n = read(fd, data, sizeof data);
    if (n > 0)
        log_write(l, data, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        event_del(l->event);
}

int console_log_open(struct container *c, struct error *err)
{
    const struct settings *set = &c->config.set;
    const bool terminal = set->console_path && !str_eq(set->console_path, "none");
    const struct console_reader how = {.every_byte = true, .mute = true};
    int pair[2];
    if (!set->console_log && !terminal)
        return 0;
    struct console_log *l = xcalloc(1, sizeof *l);
    *l = (struct console_log){.set = set, .from = -1, .file = -1, .terminal = -1};
    c->console_log = l;
    if (set->console_log && log_file_open(l, false, err) < 0)
        return -1;
    if (terminal) {
        l->terminal = open(set->console_path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (l->terminal < 0)
            return error_set(err, errno, "open '%s' (lxc.console.path)", set->console_path);
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return error_set(err, errno, "create a socket");
    l->from = pair[0];
    l->event = event_new(c->keeper->base, pair[0], EV_READ | EV_PERSIST, log_cb, l);
    if (console_attach(c->keeper->console, pair[1], &how, NULL, 0, err) < 0)
        return -1;
    return l->event && event_add(l->event, NULL) == 0 ? 0
                                                      : error_set(err, ENOMEM, "log the console");
}

void console_log_close(struct container *c)
{
    struct console_log *l = c->console_log;
    if (!l)
        return;
    char data[4096];
    ssize_t n;
    while (l->from >= 0 && (n = read(l->from, data, sizeof data)) > 0)
        log_write(l, data, (size_t)n);
    if (l->event)
        event_free(l->event);
    int fds[] = {l->from, l->file, l->terminal};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(l);
    c->console_log = NULL;
}
