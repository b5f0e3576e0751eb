/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pult tells the admin: one line at a time below the panes, and all of it in a log that can
 * be opened.
 */
#ifndef PULT_UI_MESSAGES_H
#define PULT_UI_MESSAGES_H

#include <stddef.h>
#include <time.h>

#define MESSAGES_MAX 500

enum message_kind { MESSAGE_NOTE, MESSAGE_GOOD, MESSAGE_BAD };

struct message {
    time_t when;
    enum message_kind kind;
    char *text; /* one line */
};

struct messages {
    struct message ring[MESSAGES_MAX];
    size_t first, count;
    const struct message *shown; /* NULL: none now */
};

void message_add(struct messages *m, enum message_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
const struct message *message_at(const struct messages *m, size_t i); /* 0: the oldest */
void messages_clear(struct messages *m);

#endif
