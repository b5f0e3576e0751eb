/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters by name, see count.h.
 */
#include "kvm/count.h"

#include <stdio.h>
#include <string.h>

#include "guest/status.h"

uint64_t *count_find(struct status_counter *all, const char *name)
{
    unsigned i = 0;

    if (!all)
        return NULL;
    while (i < STATUS_COUNTERS - 1 && all[i].name[0] &&
           strncmp(all[i].name, name, sizeof(all[i].name) - 1) != 0)
        i++;
    if (!all[i].name[0])
        snprintf(all[i].name, sizeof(all[i].name), "%s", i < STATUS_COUNTERS - 1 ? name : "others");
    return &all[i].count;
}
