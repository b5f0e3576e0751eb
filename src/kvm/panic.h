/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads along on the serial console for the last words of a Linux kernel.
 *
 *     Kernel panic - not syncing: TEXT               it panicked; a trace follows
 *     Rebooting in N seconds..                       panic=N: it will reset the machine itself
 *     ---[ end Kernel panic - not syncing: TEXT ]--- it halts here for good
 *
 * Words prove nothing: somebody may be reading an old log in the guest. So they only raise the
 * suspicion, which anything printed afterwards takes back; the machine then looks at its vCPUs
 * (machine_look_for_panic()).
 */
#ifndef PULT_KVM_PANIC_H
#define PULT_KVM_PANIC_H

#include <stdbool.h>
#include <stddef.h>

enum panic_state {
    PANIC_NONE,
    PANIC_SAID,    /* the first line was seen: text is set */
    PANIC_REBOOTS, /* it will go on by itself */
    PANIC_HALTED,  /* the last line was seen, and nothing since */
};

struct panic_watch {
    _Atomic int state; /* enum panic_state; may be read from any thread */
    unsigned len;
    char line[200]; /* so much of the current line as matters */
    char text[120]; /* stays as it is while state is not PANIC_NONE */
};

/* The guest printed. Returns true if it is now suspected to have halted. One caller at a time. */
bool panic_watch_feed(struct panic_watch *w, const void *data, size_t len);

#endif
