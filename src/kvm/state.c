/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine's state as bytes, see state.h. A section's head is its name, padded with zeroes, and
 * its version.
 */
#include "kvm/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

#define FIRST_ROOM 4096u
#define NAME_BYTES 28u

void state_save(struct state *s, struct error *err)
{
    *s = (struct state){.err = err};
}

void state_load(struct state *s, void *data, size_t len, struct error *err)
{
    *s = (struct state){.loading = true, .err = err, .data = data, .len = len};
}

int state_refuse(struct state *s, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    if (s->invalid)
        return -1;
    s->invalid = true;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return error_set(s->err, 0, "%s", text);
}

static void put(struct state *s, const void *data, size_t len)
{
    if (len > s->room - s->len) {
        s->room = max(max(s->room * 2, (size_t)FIRST_ROOM), s->len + len);
        s->data = xrealloc(s->data, s->room, 1);
    }
    memcpy(s->data + s->len, data, len);
    s->len += len;
}

void state_bytes(struct state *s, void *data, size_t len)
{
    if (!s->loading) {
        put(s, data, len);
        return;
    }
    if (!s->invalid && len > s->len - s->at)
        state_refuse(s, "the saved state ends too early");
    if (s->invalid) {
        memset(data, 0, len);
        return;
    }
    memcpy(data, s->data + s->at, len);
    s->at += len;
}

uint32_t state_section(struct state *s, const char *name, uint32_t version)
{
    struct {
        char name[NAME_BYTES];
        uint32_t version;
    } head = {.version = version}, want;

    snprintf(head.name, sizeof(head.name), "%s", name);
    want = head;
    state_item(s, head);
    if (!s->invalid && memcmp(head.name, want.name, sizeof(head.name)) != 0)
        state_refuse(s, "the saved state has '%.*s' where this machine has '%s'", (int)NAME_BYTES,
                     head.name, want.name);
    if (!s->invalid && (head.version == 0 || head.version > version))
        state_refuse(s, "the saved state of '%s' is of version %u; this pult knows up to %u", name,
                     head.version, version);
    return s->invalid ? 0 : head.version;
}

int state_finish(struct state *s)
{
    if (s->loading && s->at < s->len)
        state_refuse(s, "the saved state is longer than this machine's");
    return s->invalid ? -1 : 0;
}
