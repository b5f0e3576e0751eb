/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See look.h. */
#include "ui/look.h"

#include <stdio.h>

enum element state_look(enum guest_state s)
{
    static const enum element looks[GUEST_STATES] = {
        [GUEST_STOPPED] = EL_STOPPED, [GUEST_STARTING] = EL_CHANGING, [GUEST_RUNNING] = EL_RUNNING,
        [GUEST_FROZEN] = EL_FROZEN,   [GUEST_STOPPING] = EL_CHANGING, [GUEST_CRASHED] = EL_CRASHED,
        [GUEST_BROKEN] = EL_CRASHED,
    };
    return looks[s];
}

void uptime_human(uint64_t s, char out[16])
{
    unsigned long long days = s / 86400, hours = s / 3600 % 24, minutes = s / 60 % 60;
    if (s < 60)
        snprintf(out, 16, "%us", (unsigned)s);
    else if (s < 3600)
        snprintf(out, 16, "%llum", minutes);
    else if (days == 0)
        snprintf(out, 16, "%lluh%02llum", hours, minutes);
    else if (days < 100)
        snprintf(out, 16, "%llud%02lluh", days, hours);
    else
        snprintf(out, 16, "%llud", days % 100000);
}
