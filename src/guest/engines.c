/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of engines, as main.c handed it over.
 */
#include "guest/engine.h"

#include <stddef.h>
#include <string.h>

#include "base/util.h"

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

const struct guest_template *engine_template(const struct engine *e, const char *name,
                                             struct error *err)
{
    const char *names[32];
    size_t n = 0;

    for (const struct guest_template *t = e->templates; t && t->name; t++) {
        if (strcmp(t->name, name) == 0)
            return t;
        if (n < ARRAY_SIZE(names))
            names[n++] = t->name;
    }
    if (n == 0) {
        error_set(err, 0, "a %s has no templates", e->type);
        return NULL;
    }
    error_set(err, 0, "there is no template '%s'", name);
    const char *near = str_nearest(name, names, n);
    if (near)
        error_hint(err, "did you mean '%s'?", near);
    else
        error_hint(err, "`pult help create container` lists them");
    return NULL;
}
