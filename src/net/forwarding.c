/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forwarding by the host. Switched on for all, it is so for each interface, and switched off again
 * for each: so what single interfaces had before comes into the plan first, and is put back last.
 *
 * A host that forwards IPv6 does not listen to routers any more (accept_ra = 1 means "unless
 * forwarding"): interfaces that did are told to go on (2) before, or the host would lose its own
 * default route.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/journal.h"
#include "net/kinds_private.h"
#include "net/link.h"
#include "net/step_private.h"

void plan_sysctl(const struct network *n, const char *key, const char *value, struct plan *p)
{
    cleanup_free char *now = sysctl_read(key);
    char *before = NULL;

    if (!now)
        return;
    /* One that another network changed is put back when neither needs it. */
    if (!journal_sysctl(key, n->name, &before)) {
        if (str_eq(now, value))
            return;
        before = xstrdup(now);
    }
    plan_add(p, "sysctl", key, value, before, n->name, NULL);
    free(before);
}

/*
 * What an interface has by itself, to be put back behind the step that changes it for all: also by
 * this network, if it is the last to go, where another one has to remember it already.
 */
static void plan_keep(const struct network *n, const char *key, bool off, struct plan *p)
{
    cleanup_free char *now = sysctl_read(key);

    if ((off && now && str_eq(now, "1")) || journal_sysctl(key, n->name, NULL))
        plan_add(p, "sysctl", key, "1", "1", n->name, NULL);
}

void plan_forwarding(const struct network *n, const struct host *h, int family, struct plan *p)
{
    const bool v6 = family == AF_INET6;
    const char *all = v6 ? "net/ipv6/conf/all/forwarding" : "net/ipv4/ip_forward";
    cleanup_free char *now = sysctl_read(all);
    char key[96];

    for (size_t i = 0; i < h->link_count && now; i++) {
        snprintf(key, sizeof(key), "net/ipv%d/conf/%s/forwarding", v6 ? 6 : 4, h->links[i].name);
        plan_keep(n, key, str_eq(now, "0"), p);
    }
    for (size_t i = 0; i < h->link_count && v6; i++) {
        const struct link *l = &h->links[i];
        snprintf(key, sizeof(key), "net/ipv6/conf/%s/accept_ra", l->name);
        cleanup_free char *ra = sysctl_read(key);
        char *before = NULL;
        const bool ours = journal_sysctl(key, n->name, &before);
        if (!str_eq(l->name, "lo") && l->up && !l->master && ra &&
            (str_eq(ra, "1") || (ours && str_eq(before, "1"))))
            plan_sysctl(n, key, "2", p);
        free(before);
    }
    plan_sysctl(n, all, "1", p);
}
