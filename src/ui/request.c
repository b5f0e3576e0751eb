/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See request.h. */
#include "ui/request.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "guest/client.h"

#define ANSWER_SECONDS 10

struct request {
    int fd;
    struct event *ev;
    char guest[64];
    char line[4096]; /* of the answer */
    size_t len;
    request_done_fn *done;
    void *arg;
};

static void finish(struct request *r, const char *err)
{
    if (r->done)
        r->done(r->arg, r->guest, err);
    if (r->ev)
        event_free(r->ev);
    if (r->fd >= 0)
        close(r->fd);
    free(r);
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
    struct request *r = arg;
    if (what & EV_TIMEOUT) {
        finish(r, "its keeper does not answer");
        return;
    }
    ssize_t n = read(fd, r->line + r->len, sizeof r->line - r->len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    r->len += n > 0 ? (size_t)n : 0;
    const char *end = memchr(r->line, '\n', r->len);
    struct error err;
    if (end)
        finish(r, client_answer(r->line, (size_t)(end - r->line), &err) < 0 ? err.text : NULL);
    else if (n <= 0 || r->len == sizeof r->line)
        finish(r, "its keeper ended before it answered");
}

void request_send(struct event_base *base, const char *guest, json_t *request,
                  request_done_fn *done, void *arg)
{
    struct request *r = xcalloc(1, sizeof *r);
    *r = (struct request){.done = done, .arg = arg};
    snprintf(r->guest, sizeof r->guest, "%s", guest);
    struct error err;
    r->fd = client_begin(guest, request, &err);
    if (r->fd < 0) {
        finish(r, err.text);
        return;
    }
    const struct timeval limit = {ANSWER_SECONDS, 0};
    r->ev = event_new(base, r->fd, EV_READ | EV_PERSIST, on_answer, r);
    event_add(r->ev, &limit);
}
