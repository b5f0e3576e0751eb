/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A scanner for the few control sequences that set and reset modes (ECMA-48; xterm's ctlseqs for
 * the private ones). Plain text, by far the most of a stream, is skipped with memchr.
 */
#include "guest/ttymodes.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"

/* DEC private modes worth keeping, and whether a fresh terminal has them on. */
static const struct {
    uint16_t number;
    uint8_t initially;
} modes[] = {
    {1, 0},    /* application cursor keys */
    {7, 1},    /* wrap at the right margin */
    {25, 1},   /* cursor shown */
    {47, 0},   /* alternate screen, three ways */
    {1047, 0}, /* */
    {1049, 0}, /* */
    {1000, 0}, /* mouse: clicks, drags, all motion */
    {1002, 0}, /* */
    {1003, 0}, /* */
    {1004, 0}, /* focus reports */
    {1006, 0}, /* mouse coordinates as decimal numbers */
    {2004, 0}, /* bracketed paste */
};

enum { TEXT, ESCAPE, CSI, PRIVATE, OTHER_CSI, STRING, STRING_ESCAPE };

#define ESC 0x1b
#define BEL 0x07
#define CAN 0x18
#define SUB 0x1a

static void set_mode(struct ttymodes *m, uint16_t number, unsigned value)
{
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        if (modes[i].number != number)
            continue;
        if (value != modes[i].initially)
            m->on |= 1u << i;
        else
            m->on &= ~(1u << i);
    }
}

/* One byte inside CSI ?: collect parameters, act on h and l. */
static void private_byte(struct ttymodes *m, uint8_t c)
{
    if (c >= '0' && c <= '9') {
        m->number = (uint16_t)min(m->number * 10 + (c - '0'), 9999);
        return;
    }
    if (m->count < ARRAY_SIZE(m->params))
        m->params[m->count++] = m->number;
    m->number = 0;
    if (c == ';')
        return;
    if (c == 'h' || c == 'l')
        for (unsigned i = 0; i < m->count; i++)
            set_mode(m, m->params[i], c == 'h');
    m->state = c >= 0x40 ? TEXT : OTHER_CSI;
}

static void escape_byte(struct ttymodes *m, uint8_t c)
{
    m->state = TEXT;
    if (c == '[') {
        m->state = CSI;
    } else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_') {
        m->state = STRING;
    } else if (c == 'c') { /* RIS: a fresh terminal */
        m->on = 0;
    }
}

static void byte(struct ttymodes *m, uint8_t c)
{
    if (c == CAN || c == SUB) {
        m->state = TEXT;
        return;
    }
    if (c == ESC) {
        m->state = m->state == STRING ? STRING_ESCAPE : ESCAPE;
        return;
    }
    switch (m->state) {
    case STRING_ESCAPE: /* ESC \ ends a string; any other ESC does too */
    case ESCAPE:
        escape_byte(m, c);
        break;
    case CSI:
        m->state = c == '?' ? PRIVATE : c >= 0x40 ? TEXT : OTHER_CSI;
        m->count = 0;
        m->number = 0;
        break;
    case PRIVATE:
        private_byte(m, c);
        break;
    case OTHER_CSI:
        if (c >= 0x40)
            m->state = TEXT;
        break;
    case STRING:
        if (c == BEL)
            m->state = TEXT;
        break;
    default:
        break;
    }
}

void ttymodes_feed(struct ttymodes *m, const void *data, size_t len)
{
    const uint8_t *p = data, *end = p + len;
    while (p < end) {
        if (m->state == TEXT) {
            p = memchr(p, ESC, (size_t)(end - p));
            if (!p)
                return;
        }
        byte(m, *p++);
    }
}

size_t ttymodes_restate(const struct ttymodes *m, char out[TTYMODES_MAX])
{
    /* CAN ends whatever sequence the reader was in the middle of. */
    size_t n = (size_t)snprintf(out, TTYMODES_MAX, "\x18\033[m");
    for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
        unsigned value = modes[i].initially ^ (m->on >> i & 1);
        n += (size_t)snprintf(out + n, TTYMODES_MAX - n, "\033[?%u%c", modes[i].number,
                              value ? 'h' : 'l');
    }
    return n;
}
