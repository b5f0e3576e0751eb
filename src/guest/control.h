/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket of a keeper: connections, lines of JSON, descriptors beside them. What the
 * requests mean is in requests.c; how the lines look is in docs/protocol.md.
 *
 * A connection costs at most CONTROL_LINE bytes of input and CONTROL_BACKLOG of output: a client
 * that sends more in a line, or does not read what it asked for, is dropped.
 */
#ifndef PULT_GUEST_CONTROL_H
#define PULT_GUEST_CONTROL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

#define CONTROL_FILE        "control"
#define CONTROL_LINE        65536u
#define CONTROL_BACKLOG     262144u
#define CONTROL_FDS         32u
#define CONTROL_CONNECTIONS 256u

struct keeper;
struct conn;

/* Listen at RUN/NAME/control. */
int control_open(struct keeper *k, struct error *err);
/* Serve a connected socket, which is the keeper's from now on. */
int control_adopt(struct keeper *k, int fd, bool subscribed, struct error *err);
/* Stop listening, send what is left, close all. */
void control_close(struct keeper *k);

/* Send an event (stolen) to all who subscribed. */
void control_broadcast(struct keeper *k, json_t *event);
/* Send a message (stolen) to one, with a descriptor beside it if fd is not -1. */
void conn_send(struct conn *c, json_t *message, int fd);
void conn_subscribe(struct conn *c);
/* Hand the socket over to somebody else after the next answer; the connection ends. */
int conn_steal(struct conn *c);
/* What has come already after the line that is being acted upon. */
const char *conn_rest(const struct conn *c, size_t *len);
/* Take descriptor i that came with the request; -1: there was none. */
int conn_take_fd(struct conn *c, unsigned i);
struct keeper *conn_keeper(const struct conn *c);

/* In requests.c: act on one request, answer it. */
void request_handle(struct conn *c, const json_t *request);
/* In requests.c: a connection is gone; forget what was to be told to it. */
void request_forget(struct keeper *k, const struct conn *c);

#endif
