/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many guests at once: which, and in which order. */
#ifndef PULT_CMD_ORDER_H
#define PULT_CMD_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "cmd/command.h"
#include "guest/def.h"

struct ordered {
    char name[GUEST_NAME_MAX + 1];
    int64_t order, delay; /* guest.start.order and .delay, or lxc's; seconds */
};

/*
 * The guests in one of these states that are in all groups the arguments name with --group, and
 * start with the host, if that is asked for. Sorted by their order, then by name. The caller frees.
 */
int ordered_guests(const struct cmd_args *a, unsigned states, bool autostart, struct ordered **list,
                   size_t *n, struct error *err);

/* Is it in all groups that the arguments name with --group? def: NULL for a broken one. */
bool in_groups(const struct cmd_args *a, const struct guest_def *def);

#endif
