/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cmd/order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/store.h"

/* A key of pult's, or the one that LXC has for it. */
static int64_t number_of(const struct conf *conf, const char *key, const char *lxc, int64_t lowest)
{
    const char *v = conf_get(conf, key);
    int64_t n = 0;
    v = v ? v : conf_get(conf, lxc);
    return v && number_parse(v, lowest, INT32_MAX, &n, NULL) == 0 ? n : 0;
}

/* An empty name is that of being in no group. */
static bool in_group(const struct conf *conf, const char *group)
{
    static const char *const keys[] = {"guest.group", "lxc.group"};
    const struct conf_line *l;
    bool none = true;
    for (size_t k = 0; k < ARRAY_SIZE(keys); k++)
        conf_for_each (conf, keys[k], l) {
            if (str_eq(l->value, group))
                return true;
            none = false;
        }
    return none && *group == '\0';
}

/* "web,db": in one of these at least. */
static bool in_one_of(const struct conf *conf, const char *groups)
{
    cleanup_free char *copy = xstrdup(groups);
    char *rest = copy, *group;
    while ((group = strsep(&rest, ",")))
        if (in_group(conf, group))
            return true;
    return false;
}

bool in_groups(const struct cmd_args *a, const struct guest_def *def)
{
    const char *group;
    for (int i = 0; (group = cmd_opt_nth(a, "group", i)); i++)
        if (!def || !in_one_of(def->conf, group))
            return false;
    return true;
}

static int by_order(const void *a, const void *b)
{
    const struct ordered *x = a, *y = b;
    return x->order != y->order ? (x->order > y->order) - (x->order < y->order)
                                : strcmp(x->name, y->name);
}

int ordered_guests(const struct cmd_args *a, unsigned states, bool autostart, struct ordered **list,
                   size_t *n, struct error *err)
{
    struct guest_info *all;
    size_t count;
    *n = 0;
    *list = NULL;
    if (store_list(&all, &count, err) < 0)
        return -1;
    *list = xcalloc(count + 1, sizeof **list);
    for (size_t i = 0; i < count; i++) {
        const struct guest_info *g = &all[i];
        if (!(states & ON_STATE(g->state)) || !g->def || (autostart && !g->autostart) ||
            !in_groups(a, g->def))
            continue;
        struct ordered *o = &(*list)[(*n)++];
        snprintf(o->name, sizeof o->name, "%s", g->name);
        o->order = number_of(g->def->conf, "guest.start.order", "lxc.start.order", INT32_MIN);
        o->delay = number_of(g->def->conf, "guest.start.delay", "lxc.start.delay", 0);
    }
    store_list_free(all, count);
    qsort(*list, *n, sizeof **list, by_order);
    return 0;
}
