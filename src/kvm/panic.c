/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The panic watch, see panic.h: lines are put together and matched when they are complete.
 */
#include "kvm/panic.h"

#include <stdio.h>
#include <string.h>

#define PANIC   "Kernel panic - not syncing"
#define THE_END "---[ end " PANIC

/* A whole line was printed: what does it say of the guest's kernel? */
static void judge_line(struct panic_watch *w)
{
    const char *panic = strstr(w->line, PANIC);

    if (strstr(w->line, THE_END)) {
        if (w->state == PANIC_SAID)
            w->state = PANIC_HALTED;
    } else if (panic) {
        panic += strlen(PANIC);
        panic += strspn(panic, ": ");
        snprintf(w->text, sizeof(w->text), "%.*s", (int)sizeof(w->text) - 1, panic);
        w->state = PANIC_SAID;
    } else if (w->state == PANIC_SAID && strstr(w->line, "Rebooting in ")) {
        w->state = PANIC_REBOOTS;
    } else if (w->state == PANIC_HALTED && w->len) {
        w->state = PANIC_NONE;
    }
}

bool panic_watch_feed(struct panic_watch *w, const void *data, size_t len)
{
    const char *bytes = data;

    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];
        if (c == '\n') {
            w->line[w->len] = '\0';
            judge_line(w);
            w->len = 0;
        } else if (c >= ' ' && c <= '~' && w->len < sizeof(w->line) - 1) {
            w->line[w->len++] = c;
        }
    }
    /* Something that is no whole line yet, such as a prompt, is a sign of life too. */
    if (w->state == PANIC_HALTED && w->len)
        w->state = PANIC_NONE;
    return w->state == PANIC_HALTED;
}
