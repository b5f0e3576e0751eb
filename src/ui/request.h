/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A request to a guest's keeper whose answer is not waited for: a callback gets it. */
#ifndef PULT_UI_REQUEST_H
#define PULT_UI_REQUEST_H

#include <jansson.h>

struct event_base;

/* err: NULL: it was done. Called once, from the loop or, if nothing could be sent, at once. */
typedef void request_done_fn(void *arg, const char *guest, const char *err);

/* Send a request (stolen). done may be NULL. */
void request_send(struct event_base *base, const char *guest, json_t *request,
                  request_done_fn *done, void *arg);

#endif
