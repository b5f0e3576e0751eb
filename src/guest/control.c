/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/control.h"

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
#include "base/log.h"
#include "base/util.h"
#include "guest/keeper.h"
#include "guest/keeper_private.h"

struct conn {
    struct conn *next;
    struct keeper *keeper;
    int fd;
    struct event *readable, *writable;
    bool subscribed, stolen, dead;
    int fds[CONTROL_FDS]; /* that came with the line being read */
    unsigned nfds;
    size_t in_len, out_len;
    char *out;             /* not yet sent */
    char in[CONTROL_LINE]; /* last: not cleared */
};

struct keeper *conn_keeper(const struct conn *c)
{
    return c->keeper;
}

void conn_subscribe(struct conn *c)
{
    c->subscribed = true;
}

int conn_steal(struct conn *c)
{
    c->stolen = true;
    return c->fd;
}

const char *conn_rest(const struct conn *c, size_t *len)
{
    const char *end = memchr(c->in, '\n', c->in_len);
    const char *rest = end ? end + 1 : c->in + c->in_len;
    *len = (size_t)(c->in + c->in_len - rest);
    return rest;
}

int conn_take_fd(struct conn *c, unsigned i)
{
    return i < c->nfds ? steal_fd(c->fds[i]) : -1;
}

static void conn_drop_fds(struct conn *c)
{
    for (unsigned i = 0; i < c->nfds; i++)
        if (c->fds[i] >= 0)
            close(c->fds[i]);
    c->nfds = 0;
}

/* Take a connection out and free it. Its socket stays open if it was stolen. */
static void conn_free(struct conn *c)
{
    struct keeper_private *p = c->keeper->priv;
    request_forget(c->keeper, c);
    for (struct conn **l = &p->conns; *l; l = &(*l)->next) {
        if (*l == c) {
            *l = c->next;
            break;
        }
    }
    conn_drop_fds(c);
    if (c->readable)
        event_free(c->readable);
    if (c->writable)
        event_free(c->writable);
    if (!c->stolen)
        close(c->fd);
    free(c->out);
    free(c);
}

/* A connection that failed is freed from the loop, not under the feet of who is using it. */
static void conn_fail(struct conn *c)
{
    c->dead = true;
    event_active(c->readable, EV_READ, 0);
}

/* Send what is queued, as much as the socket takes. */
static void conn_flush(struct conn *c)
{
    while (c->out_len) {
        ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            event_add(c->writable, NULL);
            return;
        }
        if (n < 0) {
            conn_fail(c);
            return;
        }
        c->out_len -= (size_t)n;
        memmove(c->out, c->out + n, c->out_len);
    }
}

/* Send a line that has a descriptor beside it, which needs a message of its own. */
static int send_with_fd(struct conn *c, const char *line, size_t len, int fd)
{
    union {
        char buf[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } u = {0};
    struct iovec v = {(char *)line, len};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = u.buf,
                       .msg_controllen = sizeof u.buf};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(h), &fd, sizeof fd);
    return sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len ? 0 : -1;
}

void conn_send(struct conn *c, json_t *message, int fd)
{
    cleanup_free char *text = json_dumps(message, JSON_COMPACT);
    json_decref(message);
    if (c->dead || !text)
        return;
    cleanup_free char *line = xasprintf("%s\n", text);
    size_t len = strlen(line);
    if (fd >= 0) {
        if (c->out_len || send_with_fd(c, line, len, fd) < 0)
            conn_fail(c);
        return;
    }
    if (c->out_len + len > CONTROL_BACKLOG) {
        conn_fail(c);
        return;
    }
    c->out = xrealloc(c->out, c->out_len + len, 1);
    memcpy(c->out + c->out_len, line, len);
    c->out_len += len;
    conn_flush(c);
}

void control_broadcast(struct keeper *k, json_t *event)
{
    for (struct conn *c = k->priv->conns; c; c = c->next)
        if (c->subscribed)
            conn_send(c, json_incref(event), -1);
    json_decref(event);
}

/* Act on one line. */
static void conn_line(struct conn *c, const char *line, size_t len)
{
    json_error_t why;
    json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(request))
        conn_send(c,
                  json_pack("{s:b, s:s+}", "ok", 0, "error", "a request is one line of JSON, ",
                            request ? "an object" : why.text),
                  -1);
    else
        request_handle(c, request);
    json_decref(request);
    conn_drop_fds(c);
}

/* Receive bytes and descriptors. Returns as recvmsg does. */
static ssize_t conn_receive(struct conn *c)
{
    union {
        char buf[CMSG_SPACE(sizeof(int) * CONTROL_FDS)];
        struct cmsghdr align;
    } u;
    struct iovec v = {c->in + c->in_len, sizeof c->in - c->in_len};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = u.buf,
                       .msg_controllen = sizeof u.buf};
    ssize_t n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0)
        return n;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t got = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < got; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (c->nfds < CONTROL_FDS)
                c->fds[c->nfds++] = fd;
            else
                close(fd);
        }
    }
    return n;
}

static void conn_readable_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct conn *c = arg;
    ssize_t n = c->dead ? 0 : conn_receive(c);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_free(c);
        return;
    }
    c->in_len += (size_t)n;
    char *end;
    while (!c->dead && !c->stolen && (end = memchr(c->in, '\n', c->in_len))) {
        size_t len = (size_t)(end - c->in);
        conn_line(c, c->in, len);
        c->in_len -= len + 1;
        memmove(c->in, end + 1, c->in_len);
    }
    if (c->dead || c->stolen || c->in_len == sizeof c->in)
        conn_free(c);
}

static void conn_writable_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    conn_flush(arg);
}

int control_adopt(struct keeper *k, int fd, bool subscribed, struct error *err)
{
    struct conn *c = xrealloc(NULL, 1, sizeof *c);
    memset(c, 0, offsetof(struct conn, in));
    c->keeper = k;
    c->fd = fd;
    c->subscribed = subscribed;
    c->readable = event_new(k->base, fd, EV_READ | EV_PERSIST, conn_readable_cb, c);
    c->writable = event_new(k->base, fd, EV_WRITE, conn_writable_cb, c);
    c->next = k->priv->conns;
    k->priv->conns = c;
    if (c->readable && c->writable && event_add(c->readable, NULL) == 0)
        return 0;
    conn_free(c);
    return error_set(err, ENOMEM, "serve a control connection");
}

/* Somebody connects: he must be the owner of this keeper, or root. */
static void accept_cb(evutil_socket_t listener, short what, void *arg)
{
    (void)what;
    struct keeper *k = arg;
    cleanup_close int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    struct ucred peer;
    socklen_t len = sizeof peer;
    unsigned connections = 0;
    for (const struct conn *c = k->priv->conns; c; c = c->next)
        connections++;
    if (connections >= CONTROL_CONNECTIONS) {
        log_once("more than %u control connections: the next are refused", CONTROL_CONNECTIONS);
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ||
        (peer.uid != 0 && peer.uid != k->priv->owner)) {
        log_once("a control connection of another user was refused");
        return;
    }
    control_adopt(k, steal_fd(fd), false, NULL);
}

int control_open(struct keeper *k, struct error *err)
{
    /* Through /proc, since a socket's path may have 107 bytes only. */
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", k->run_dir, CONTROL_FILE);
    struct keeper_private *p = k->priv;
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&a, sizeof a) < 0 ||
        fchmodat(k->run_dir, CONTROL_FILE, 0600, 0) < 0 || listen(p->listener, 64) < 0)
        return error_set(err, errno, "open the control socket '%s/%s'", k->run_path, CONTROL_FILE);
    p->accept = event_new(k->base, p->listener, EV_READ | EV_PERSIST, accept_cb, k);
    if (!p->accept || event_add(p->accept, NULL) < 0)
        return error_set(err, ENOMEM, "serve the control socket");
    return 0;
}

void control_close(struct keeper *k)
{
    struct keeper_private *p = k->priv;
    if (p->accept)
        event_free(p->accept);
    p->accept = NULL;
    if (p->listener >= 0)
        close(p->listener);
    p->listener = -1;
    while (p->conns)
        conn_free(p->conns);
}
