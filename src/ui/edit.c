/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See edit.h. The keys are those that shells and htop agree on. */
#include "ui/edit.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "ui/screen.h"

void edit_set(struct edit *e, const char *text)
{
    snprintf(e->text, sizeof e->text, "%s", text);
    e->len = e->at = strlen(e->text);
}

/* The start of the character before / after byte i. */
static size_t before(const struct edit *e, size_t i)
{
    while (i > 0 && ((unsigned char)e->text[--i] & 0xc0) == 0x80)
        ;
    return i;
}

static size_t after(const struct edit *e, size_t i)
{
    while (i < e->len && ((unsigned char)e->text[++i] & 0xc0) == 0x80)
        ;
    return i;
}

static void cut(struct edit *e, size_t from, size_t to)
{
    memmove(e->text + from, e->text + to, e->len - to + 1);
    e->len -= to - from;
    e->at = from;
}

static bool insert(struct edit *e, uint32_t c)
{
    char bytes[4];
    size_t n = utf8_put(bytes, c);
    if (c < 0x20 || e->len + n >= sizeof e->text)
        return c >= 0x20;
    memmove(e->text + e->at + n, e->text + e->at, e->len - e->at + 1);
    memcpy(e->text + e->at, bytes, n);
    e->len += n;
    e->at += n;
    return true;
}

static size_t word_start(const struct edit *e)
{
    size_t i = e->at;
    while (i > 0 && e->text[i - 1] == ' ')
        i--;
    while (i > 0 && e->text[i - 1] != ' ')
        i--;
    return i;
}

static bool control_key(struct edit *e, uint32_t code)
{
    switch (code) {
    case 'a':
        e->at = 0;
        return true;
    case 'e':
        e->at = e->len;
        return true;
    case 'u':
        cut(e, 0, e->at);
        return true;
    case 'k':
        e->len = e->at;
        e->text[e->len] = '\0';
        return true;
    case 'w':
        cut(e, word_start(e), e->at);
        return true;
    case 'h':
        cut(e, before(e, e->at), e->at);
        return true;
    default:
        return false;
    }
}

bool edit_key(struct edit *e, const struct key *key)
{
    if (key->code < K_ENTER) {
        if (key->mods & MOD_CTRL)
            return control_key(e, key->code);
        return !(key->mods & MOD_ALT) && insert(e, key->code);
    }
    switch (key->code) {
    case K_BACKSPACE:
        cut(e, before(e, e->at), e->at);
        return true;
    case K_DEL:
        cut(e, e->at, after(e, e->at));
        return true;
    case K_LEFT:
        e->at = before(e, e->at);
        return true;
    case K_RIGHT:
        e->at = after(e, e->at);
        return true;
    case K_HOME:
        e->at = 0;
        return true;
    case K_END:
        e->at = e->len;
        return true;
    default:
        return false;
    }
}

void edit_draw(const struct edit *e, int y, int x, int w, enum element el, bool cursor)
{
    char head[EDIT_MAX];
    size_t from = 0;
    int col;
    for (;;) {
        snprintf(head, sizeof head, "%.*s", (int)(e->at - from), e->text + from);
        col = screen_width(head);
        if (col < w || from >= e->at)
            break;
        from = after(e, from);
    }
    screen_text(y, x, w, el, e->text + from);
    if (cursor)
        screen_cursor(y, x + min(col, w - 1));
}
