/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A serial port's socket, see wire.h.
 */
#include "kvm/legacy/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

/* ---- the port's side ---- */

static size_t wire_put(void *arg, const void *data, size_t len)
{
    struct wire *w = arg;
    size_t taken = len;

    pthread_mutex_lock(&w->lock);
    if (w->client >= 0 && !w->gone) {
        ssize_t n = send(w->client, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            taken = (size_t)n;
        else if (errno == EAGAIN || errno == EINTR)
            taken = 0;
        if (taken < len) {
            w->output_waits = true;
            worker_post(w->worker, &w->wake);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return taken;
}

static void wire_input_ready(void *arg)
{
    struct wire *w = arg;

    worker_post(w->worker, &w->wake);
}

const struct serial_line wire_line = {wire_put, wire_input_ready};

/* ---- the socket's side ---- */

/* Watch for what can be done now. */
static void watch(struct wire *w)
{
    if (w->client < 0 || w->gone)
        return;
    pthread_mutex_lock(&w->lock);
    uint32_t events = w->output_waits ? EPOLLOUT : 0;
    pthread_mutex_unlock(&w->lock);
    if (!w->len && !w->no_more)
        events |= EPOLLIN;
    worker_modify(w->worker, &w->peer, events);
}

/* The client has left: what waits for it goes nowhere, and the next one may come. */
static void hang_up(struct wire *w)
{
    if (w->client < 0)
        return;
    if (!w->gone)
        worker_remove(w->worker, &w->peer);
    pthread_mutex_lock(&w->lock);
    int fd = w->client;
    w->client = -1;
    w->output_waits = w->no_more = w->gone = false;
    pthread_mutex_unlock(&w->lock);
    close(fd);
    serial_output_ready(w->port);
    worker_modify(w->worker, &w->accept, EPOLLIN);
}

/* Give the port what it takes of what the client sends. */
static void feed(struct wire *w)
{
    while (w->len || (w->client >= 0 && !w->no_more)) {
        if (!w->len) {
            ssize_t n = recv(w->client, w->input, sizeof(w->input), MSG_DONTWAIT);
            if (n < 0 && (errno == EAGAIN || errno == EINTR))
                break;
            w->no_more = n <= 0;
            w->at = 0;
            w->len = n > 0 ? (size_t)n : 0;
            continue;
        }
        size_t n = serial_input(w->port, w->input + w->at, w->len);
        w->at += n;
        w->len -= n;
        if (w->len) /* the port will say when it has room */
            break;
    }
    if (w->gone && w->no_more)
        hang_up(w);
}

static void on_peer(void *arg, uint32_t events)
{
    struct wire *w = arg;

    if (events & EPOLLOUT) {
        pthread_mutex_lock(&w->lock);
        w->output_waits = false;
        pthread_mutex_unlock(&w->lock);
        serial_output_ready(w->port);
    }
    if (events & (EPOLLHUP | EPOLLERR)) {
        worker_remove(w->worker, &w->peer); /* it would be told for ever */
        pthread_mutex_lock(&w->lock);
        w->gone = true;
        w->output_waits = false;
        pthread_mutex_unlock(&w->lock);
        serial_output_ready(w->port);
    }
    feed(w);
    watch(w);
}

static void on_wake(void *arg)
{
    struct wire *w = arg;

    feed(w);
    watch(w);
}

/* May whoever is behind this descriptor have the port? */
static bool is_permitted(const struct wire *w, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == w->owner);
}

static void on_accept(void *arg, uint32_t events)
{
    struct wire *w = arg;

    (void)events;
    cleanup_close int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 || !is_permitted(w, fd))
        return;
    w->peer = (struct worker_source){.fd = fd, .ready = on_peer, .arg = w};
    if (worker_add(w->worker, &w->peer, EPOLLIN, NULL) < 0)
        return;
    pthread_mutex_lock(&w->lock);
    w->client = steal_fd(fd);
    pthread_mutex_unlock(&w->lock);
    worker_modify(w->worker, &w->accept, 0);
    watch(w);
}

/* ---- life ---- */

struct wire *wire_create(int dir, const char *name, struct error *err)
{
    struct wire *w = xcalloc(1, sizeof(*w));
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    w->client = -1;
    w->owner = geteuid();
    pthread_mutex_init(&w->lock, NULL);
    /* Through /proc, since a socket's path may have 107 bytes only. */
    snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir, name);
    w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->listener < 0 || bind(w->listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        fchmodat(dir, name, 0600, 0) < 0 || listen(w->listener, 4) < 0) {
        error_set(err, errno, "open the socket '%s' of a serial port", name);
        wire_destroy(w);
        return NULL;
    }
    return w;
}

int wire_start(struct wire *w, struct serial *port, struct worker *worker, struct error *err)
{
    w->port = port;
    w->worker = worker;
    w->wake = (struct worker_call){.fn = on_wake, .arg = w};
    w->accept = (struct worker_source){.fd = w->listener, .ready = on_accept, .arg = w};
    return worker_add(worker, &w->accept, EPOLLIN, err);
}

void wire_destroy(struct wire *w)
{
    if (!w)
        return;
    if (w->client >= 0)
        close(w->client);
    if (w->listener >= 0)
        close(w->listener);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
