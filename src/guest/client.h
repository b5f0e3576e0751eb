/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Talking to a keeper: one request, one answer, as docs/protocol.md says; for programs that may
 * wait. (The UI, which may not, runs commands as jobs and attaches with client_attach_begin().)
 */
#ifndef PULT_GUEST_CLIENT_H
#define PULT_GUEST_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "guest/console.h"
#include "guest/status.h"

/* Connect to a guest's control socket. -1 with ESRCH: the guest is not running. */
int client_connect(const char *name, struct error *err);
/* Which process listens there, by the kernel: what the status page says may be a guest's lie. */
pid_t client_keeper(int fd, struct error *err);

/*
 * Send a request (stolen) with nfds descriptors and wait for its answer, at most ms (0: for
 * ever). An answer that reports failure gives -1 with its text. *answer may be NULL; *got_fd, if
 * not NULL, is a descriptor that came with it, or -1. Events that arrive meanwhile are dropped.
 */
int client_call(int fd, json_t *request, const int *fds, size_t nfds, unsigned ms, json_t **answer,
                int *got_fd, struct error *err);
/* Send one (stolen) and wait for nothing. */
int client_send(int fd, json_t *request, struct error *err);
/* Connect, call, close. */
int client_ask(const char *name, json_t *request, unsigned ms, json_t **answer, struct error *err);

/*
 * The next event on a connection that has subscribed; NULL with err->code 0: the keeper is gone;
 * NULL with ETIMEDOUT.
 */
json_t *client_event(int fd, int ms, struct error *err);

/*
 * Open the console: returns a socket that carries nothing but console bytes both ways.
 * cols × rows, if not 0, becomes the size of the console. port: another terminal, or NULL.
 */
int client_attach(const char *name, const char *port, const struct console_reader *how,
                  unsigned cols, unsigned rows, struct error *err);
/*
 * For who may not wait: the request (stolen) is sent, and its answer is the first line that the
 * returned non-blocking socket will bring. client_answer() judges that line.
 */
int client_begin(const char *name, json_t *request, struct error *err);
int client_attach_begin(const char *name, const struct console_reader *how, unsigned cols,
                        unsigned rows, struct error *err);
int client_answer(const char *line, size_t len, struct error *err);
int client_resize(const char *name, const char *port, unsigned cols, unsigned rows,
                  struct error *err);

/*
 * Wait until the guest is in one of these states, a mask of 1 << guest_state, ms at most (-1: for
 * ever). -1 with ETIMEDOUT.
 */
int client_wait(const char *name, unsigned states, int ms, struct error *err);

#endif
