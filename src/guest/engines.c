/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of engines, as main.c handed it over.
 */
#include "guest/engine.h"

#include <stddef.h>
#include <string.h>

static const struct engine *const *all;

void engines_set(const struct engine *const *engines)
{
    all = engines;
}

const struct engine *const *engines_all(void)
{
    static const struct engine *const none[] = {NULL};
    return all ? all : none;
}

const struct engine *engine_by_type(const char *type)
{
    for (const struct engine *const *e = engines_all(); *e; e++)
        if (strcmp((*e)->type, type) == 0)
            return *e;
    return NULL;
}
