/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See messages.h. */
#include "ui/messages.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

void message_add(struct messages *m, enum message_kind kind, const char *fmt, ...)
{
    if (m->count == MESSAGES_MAX) {
        free(m->ring[m->first].text);
        m->first = (m->first + 1) % MESSAGES_MAX;
        m->count--;
    }
    struct message *msg = &m->ring[(m->first + m->count++) % MESSAGES_MAX];
    va_list ap;
    va_start(ap, fmt);
    *msg = (struct message){.when = time(NULL), .kind = kind, .text = xvasprintf(fmt, ap)};
    va_end(ap);
    for (char *c = msg->text; *c; c++) {
        if (*c == '\n' || *c == '\t')
            *c = ' ';
    }
    m->shown = msg;
}

const struct message *message_at(const struct messages *m, size_t i)
{
    return &m->ring[(m->first + i) % MESSAGES_MAX];
}

void messages_clear(struct messages *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->ring[(m->first + i) % MESSAGES_MAX].text);
    *m = (struct messages){0};
}
