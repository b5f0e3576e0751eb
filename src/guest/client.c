/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client reads exactly one line at a time: it peeks for the newline and takes what is up to
 * it, so that what follows (another answer, console bytes) stays in the socket for whoever reads
 * next.
 */
#include "guest/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/control.h"
#include "guest/store.h"

#define LINE_MAX_BYTES  CONTROL_BACKLOG
#define LISTENS_MS      10 /* a keeper that is about to listen is looked for again after so long, */
#define LISTENS_MOST_MS 500 /* and then after twice that, up to so long */
#define ANSWER_MS       10000

int client_connect(const char *name, struct error *err)
{
    if (guest_name_check(name, err) < 0)
        return -1;
    cleanup_free char *path = xasprintf("%s/%s", place_run(), name);
    cleanup_close int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(err, errno, "create a socket");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", dir, CONTROL_FILE);
    if (dir < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        int why = errno;
        if (why == EAGAIN)
            return error_set(err, 0, "the keeper of '%s' does not answer", name);
        if (why != ENOENT && why != ECONNREFUSED)
            return error_set(err, why, "connect to '%s/%s'", path, CONTROL_FILE);
        error_set(err, 0, "'%s' is not running", name);
        if (err)
            err->code = ESRCH;
        return -1;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags >= 0)
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    return steal_fd(fd);
}

/* Send a request (stolen) as a line, with descriptors beside it. */
static int send_line(int fd, json_t *request, const int *fds, size_t nfds, struct error *err)
{
    union {
        char buf[CMSG_SPACE(sizeof(int) * CONTROL_FDS)];
        struct cmsghdr align;
    } u = {0};
    cleanup_free char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (!text)
        return error_set(err, 0, "a request must be UTF-8 text");
    cleanup_free char *line = xasprintf("%s\n", text);
    struct iovec v = {line, strlen(line)};
    if (v.iov_len >= CONTROL_LINE)
        return error_set(err, 0, "the request is longer than %u bytes", CONTROL_LINE);
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (nfds) {
        m.msg_control = u.buf;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(h), fds, sizeof(int) * nfds);
    }
    if (sendmsg(fd, &m, MSG_NOSIGNAL) != (ssize_t)v.iov_len)
        return error_set(err, errno, "send a request to the keeper");
    return 0;
}

/*
 * The descriptor that came with a message, or -1. However many a keeper sends, one is kept: the
 * room for one, aligned, takes two.
 */
static int take_fd(struct msghdr *m)
{
    int kept = -1;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (kept < 0)
                kept = fd;
            else
                close(fd);
        }
    }
    return kept;
}

/*
 * Receive one line, without what follows it. until_ns on the monotonic clock, 0: wait for ever.
 * Returns its length; 0: the other side is gone; -1.
 */
static ssize_t receive_line(int fd, char *buf, size_t room, uint64_t until_ns, int *got_fd,
                            struct error *err)
{
    size_t seen = 0;
    for (;;) {
        uint64_t now = now_mono_ns();
        int wait = !until_ns ? -1 : now < until_ns ? (int)((until_ns - now + 999999) / 1000000) : 0;
        /* What was peeked at would make poll return at once: wait for more than that. */
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int low = (int)seen + 1;
        setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
        int n = poll(&p, 1, wait);
        if (n == 0)
            return error_set(err, ETIMEDOUT, "wait for the keeper");
        if (n < 0 && errno != EINTR)
            return error_set(err, errno, "wait for the keeper");
        if (n < 0)
            continue;
        ssize_t got = recv(fd, buf, room, MSG_PEEK | MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got < 0)
            return errno == ECONNRESET ? 0 : error_set(err, errno, "hear from the keeper");
        const char *end = memchr(buf, '\n', (size_t)got);
        if (!end && (got == 0 || (size_t)got == seen))
            return 0; /* the other side closed in the middle of a line */
        if (!end && (size_t)got == room)
            return error_set(err, 0, "the keeper's answer is too long");
        seen = (size_t)got;
        if (!end)
            continue;
        union {
            char buf[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } u;
        struct iovec v = {buf, (size_t)(end - buf) + 1};
        struct msghdr m = {.msg_iov = &v,
                           .msg_iovlen = 1,
                           .msg_control = u.buf,
                           .msg_controllen = sizeof u.buf};
        got = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (got < 0)
            return error_set(err, errno, "hear from the keeper");
        cleanup_close int came = take_fd(&m);
        if (got_fd && *got_fd < 0)
            *got_fd = steal_fd(came);
        int one = 1;
        setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
        return got;
    }
}

/* Receive one line of JSON. NULL with err->code 0: the keeper is gone. */
static json_t *receive(int fd, uint64_t until_ns, int *got_fd, struct error *err)
{
    struct error local;
    if (!err)
        err = &local;
    static char buf[LINE_MAX_BYTES]; /* only as much of it is ever touched as lines are long */
    ssize_t n = receive_line(fd, buf, sizeof buf, until_ns, got_fd, err);
    if (n <= 0) {
        if (n == 0)
            *err = (struct error){0};
        return NULL;
    }
    json_t *j = json_loadb(buf, (size_t)n, 0, NULL);
    if (!json_is_object(j)) {
        json_decref(j);
        error_set(err, EPROTO, "understand the keeper");
        return NULL;
    }
    return j;
}

/* Did an answer say ok? */
static int judge(const json_t *answer, struct error *err)
{
    if (json_is_true(json_object_get(answer, "ok")))
        return 0;
    const char *why = json_string_value(json_object_get(answer, "error"));
    return error_set(err, 0, "%s", why && *why ? why : "the keeper refused without a reason");
}

int client_answer(const char *line, size_t len, struct error *err)
{
    json_t *j = json_loadb(line, len, 0, NULL);
    int ret = j ? judge(j, err) : error_set(err, EPROTO, "understand the keeper");
    json_decref(j);
    return ret;
}

/* The answer to what was asked, past all events. NULL with err: there is none. */
static json_t *receive_answer(int fd, uint64_t until, int *got_fd, struct error *err)
{
    for (;;) {
        struct error why;
        json_t *j = receive(fd, until, got_fd, &why);
        if (j && !json_object_get(j, "event"))
            return j;
        json_decref(j);
        if (!j && why.code == 0) {
            error_set(&why, 0, "the keeper ended before it answered");
            why.code = EPIPE;
        }
        if (!j) {
            if (err)
                *err = why;
            return NULL;
        }
    }
}

int client_call(int fd, json_t *request, const int *fds, size_t nfds, unsigned ms, json_t **answer,
                int *got_fd, struct error *err)
{
    uint64_t until = ms ? now_mono_ns() + ms * 1000000ull : 0;
    cleanup_close int came = -1;
    if (got_fd)
        *got_fd = -1;
    if (send_line(fd, request, fds, nfds, err) < 0)
        return -1;
    json_t *j = receive_answer(fd, until, &came, err);
    int ret = j ? judge(j, err) : -1;
    if (ret == 0 && got_fd)
        *got_fd = steal_fd(came);
    if (ret == 0 && answer)
        *answer = json_incref(j);
    json_decref(j);
    return ret;
}

int client_send(int fd, json_t *request, struct error *err)
{
    return send_line(fd, request, NULL, 0, err);
}

int client_ask(const char *name, json_t *request, unsigned ms, json_t **answer, struct error *err)
{
    cleanup_close int fd = client_connect(name, err);
    if (fd < 0) {
        json_decref(request);
        return -1;
    }
    return client_call(fd, request, NULL, 0, ms, answer, NULL, err);
}

json_t *client_event(int fd, int ms, struct error *err)
{
    uint64_t until = ms < 0 ? 0 : now_mono_ns() + (uint64_t)ms * 1000000;
    for (;;) {
        json_t *j = receive(fd, until, NULL, err);
        if (!j || json_object_get(j, "event"))
            return j;
        json_decref(j);
    }
}

/* port may be NULL: json_pack() leaves out what is marked with a star. */
static json_t *attach_request(const char *port, const struct console_reader *how, unsigned cols,
                              unsigned rows)
{
    return json_pack("{s:s, s:s*, s:I, s:b, s:b, s:i, s:i}", "cmd", "attach", "port", port,
                     "history", (json_int_t)how->history, "every_byte", how->every_byte, "mute",
                     how->mute, "cols", (int)cols, "rows", (int)rows);
}

int client_attach(const char *name, const char *port, const struct console_reader *how,
                  unsigned cols, unsigned rows, struct error *err)
{
    cleanup_close int fd = client_connect(name, err);
    if (fd < 0 || client_call(fd, attach_request(port, how, cols, rows), NULL, 0, ANSWER_MS, NULL,
                              NULL, err) < 0)
        return -1;
    return steal_fd(fd);
}

int client_begin(const char *name, json_t *request, struct error *err)
{
    cleanup_close int fd = client_connect(name, err);
    if (fd < 0) {
        json_decref(request);
        return -1;
    }
    if (send_line(fd, request, NULL, 0, err) < 0)
        return -1;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return error_set(err, errno, "ask '%s'", name);
    return steal_fd(fd);
}

int client_attach_begin(const char *name, const struct console_reader *how, unsigned cols,
                        unsigned rows, struct error *err)
{
    return client_begin(name, attach_request(NULL, how, cols, rows), err);
}

int client_resize(const char *name, const char *port, unsigned cols, unsigned rows,
                  struct error *err)
{
    return client_ask(name,
                      json_pack("{s:s, s:s*, s:i, s:i}", "cmd", "resize", "port", port, "cols",
                                (int)cols, "rows", (int)rows),
                      ANSWER_MS, NULL, err);
}

/* ---- waiting for a state ---- */

/* 1: the guest is in one of these states now; 0: it is not; -1: there is no such guest. */
static int in_state(const char *name, unsigned states, struct error *err)
{
    struct guest_info info;
    if (store_info(name, &info, err) < 0)
        return -1;
    int ret = (states >> info.state) & 1;
    guest_info_clear(&info);
    return ret;
}

/* Does it tell of one of these states? */
static bool tells(const json_t *message, unsigned states)
{
    enum guest_state s;
    const char *name = json_string_value(json_object_get(message, "state"));
    return name && state_parse(name, &s, NULL) == 0 && (states >> s) & 1;
}

/* Listen to the keeper until a state comes. 1: it came; 0: the keeper ended first; -1. */
static int wait_events(int fd, unsigned states, uint64_t until, struct error *err)
{
    json_t *answer = NULL;
    if (client_call(fd, json_pack("{s:s}", "cmd", "subscribe"), NULL, 0, ANSWER_MS, &answer, NULL,
                    NULL) < 0)
        return 0;
    bool there = tells(answer, states);
    json_decref(answer);
    struct error why;
    while (!there) {
        json_t *e = receive(fd, until, NULL, &why);
        if (!e) {
            if (why.code == ETIMEDOUT && err)
                *err = why;
            return why.code == ETIMEDOUT ? -1 : 0;
        }
        there = tells(e, states);
        json_decref(e);
    }
    return 1;
}

pid_t client_keeper(int fd, struct error *err)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return error_set(err, errno, "ask whose socket it is");
    return peer.pid > 0 ? peer.pid : error_set(err, 0, "the keeper is in another pid namespace");
}

/* The keeper hung up, and will be gone in a moment: wait until it is, so that the store says so. */
static void wait_gone(int fd, uint64_t until)
{
    const pid_t pid = client_keeper(fd, NULL);
    cleanup_close int keeper = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = {.fd = keeper, .events = POLLIN};
    uint64_t now = now_mono_ns();
    if (keeper >= 0)
        poll(&p, 1, !until ? -1 : now < until ? (int)((until - now + 999999) / 1000000) : 0);
}

/* Its runtime directory is there before its keeper listens in it. */
static bool is_coming(const char *name)
{
    cleanup_free char *dir = xasprintf("%s/%s", place_run(), name);
    return access(dir, F_OK) == 0;
}

int client_wait(const char *name, unsigned states, int ms, struct error *err)
{
    int again = LISTENS_MS;
    uint64_t until = ms < 0 ? 0 : now_mono_ns() + (uint64_t)ms * 1000000;
    if (store_init(err) < 0)
        return -1;
    cleanup_close int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch < 0 || inotify_add_watch(watch, place_run(), IN_MOVED_TO | IN_MOVED_FROM) < 0)
        return error_set(err, errno, "watch '%s'", place_run());
    for (bool seen = false;; seen = true) {
        cleanup_close int fd = client_connect(name, NULL);
        int ret = fd >= 0 ? wait_events(fd, states, until, err) : 0;
        if (ret == 0 && fd >= 0)
            wait_gone(fd, until);
        if (ret == 0)
            ret = in_state(name, states, err);
        if (ret < 0 && seen && (states >> GUEST_STOPPED) & 1 && err && err->code == ENOENT)
            return 0; /* a throwaway guest that stopped is gone */
        if (ret != 0)
            return ret < 0 ? -1 : 0;
        uint64_t now = now_mono_ns();
        struct pollfd p = {.fd = watch, .events = POLLIN};
        int wait = !until ? -1 : now < until ? (int)((until - now + 999999) / 1000000) : 0;
        const bool soon = fd < 0 && is_coming(name) && (wait < 0 || wait > again);
        if (soon)
            again = min(again * 2, LISTENS_MOST_MS);
        if (poll(&p, 1, soon ? again : wait) == 0 && !soon)
            return error_set(err, ETIMEDOUT, "wait for '%s'", name);
        char trash[4096];
        while (read(watch, trash, sizeof trash) > 0)
            ;
    }
}
