/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a bridged network may lead on this host, and what is best: a bridge that is there already;
 * else the NIC itself, without touching it (direct), where it carries the admin's session and belongs
 * to a program that would undo what we do, or cannot be in a bridge; else a new bridge.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/host.h"
#include "ui/wizard.h"

struct places {
    const struct host *host;
    char session[IFNAMSIZ];
    struct wizard_place *list;
    size_t count;
};

/* "up, 192.0.2.7/24 fd00::7/64" */
static void describe(const struct host *h, const struct link *l, char *out, size_t room)
{
    size_t n = (size_t)snprintf(out, room, "%s", !l->up ? "off" : l->running ? "up" : "no cable");
    char text[ADDRESS_TEXT];

    for (size_t i = 0; i < h->address_count && n < room; i++)
        if (h->addresses[i].index == l->index && !h->addresses[i].link_local)
            n += (size_t)snprintf(out + n, room - n, " %s",
                                  address_text(&h->addresses[i].address, false, text));
}

static struct wizard_place *add(struct places *p, enum place_kind kind, const struct link *l)
{
    p->list = xrealloc(p->list, p->count + 1, sizeof *p->list);
    struct wizard_place *w = &p->list[p->count++];
    *w = (struct wizard_place){.kind = kind};
    if (l) {
        memcpy(w->name, l->name, sizeof w->name);
        describe(p->host, l, w->text, sizeof w->text);
    }
    return w;
}

/* Has a guest, or another network of ours, made this? */
static bool is_ours(const char *name)
{
    char **names;
    bool ours = false;

    network_names(&names);
    for (char **n = names; *n; n++)
        ours |= str_eq(*n, name);
    strv_free(names);
    return ours;
}

static bool is_wireless(const char *name)
{
    cleanup_free char *path = xasprintf("/sys/class/net/%s/wireless", name);
    return access(path, F_OK) == 0;
}

/* A NIC, or what is one to us: something that leads out, and is in no bridge. */
static bool leads_out(const struct host *h, const struct link *l)
{
    static const char *const kinds[] = {"", "veth", "bond", "team", "vlan", "dummy", "macvlan"};
    bool known = false;

    (void)h;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        known |= str_eq(l->kind, kinds[i]);
    return known && !l->master && !str_eq(l->name, "lo");
}

static void add_nic(struct places *p, const struct link *l)
{
    const char *risk = host_risk(p->host, l->name);
    const enum manager m = host_manager(l->name);
    bool session = str_eq(p->session, l->name), wireless = is_wireless(l->name);

    struct wizard_place *made = add(p, PLACE_NEW, l);
    if (session)
        snprintf(made->remark, sizeof made->remark, "carries your session: with a timer");
    else if (risk)
        snprintf(made->remark, sizeof made->remark, "in use: with a timer");
    if (m != MANAGER_NONE) {
        size_t n = strlen(made->remark);
        snprintf(made->remark + n, sizeof made->remark - n, "%sconfigured by %s", n ? "; " : "",
                 manager_name(m));
    }
    if (wireless)
        snprintf(made->remark, sizeof made->remark, "wireless: most cannot be in a bridge");
    struct wizard_place *direct = add(p, PLACE_DIRECT, l);
    snprintf(direct->remark, sizeof direct->remark,
             "%s is not touched; guests and host do not meet", l->name);
    direct->recommended = wireless || (session && m != MANAGER_NONE);
    p->list[p->count - 2].recommended = !direct->recommended;
}

/* Of all that are good, only the first remains recommended. */
static void keep_first(struct places *p)
{
    bool found = false;

    for (size_t i = 0; i < p->count; i++) {
        p->list[i].recommended &= !found;
        found |= p->list[i].recommended;
    }
    if (!found)
        p->list[p->count - 1].recommended = true;
}

/* The NIC with the default route comes first: that is where the LAN is. */
static bool is_way_out(const struct host *h, const struct link *l)
{
    for (size_t i = 0; i < h->route_count; i++)
        if (h->routes[i].to.prefix == 0 && h->routes[i].index == l->index)
            return true;
    return false;
}

struct wizard_place *wizard_places(size_t *count, struct error *err)
{
    cleanup_host struct host h = {0};
    struct places p = {.host = &h};

    *count = 0;
    if (host_look(&h, err) < 0)
        return NULL;
    host_session(&h, p.session);
    for (size_t i = 0; i < h.link_count; i++)
        if (str_eq(h.links[i].kind, "bridge") && !is_ours(h.links[i].name))
            add(&p, PLACE_BRIDGE, &h.links[i])->recommended = true;
    for (int out = 1; out >= 0; out--)
        for (size_t i = 0; i < h.link_count; i++)
            if (leads_out(&h, &h.links[i]) && is_way_out(&h, &h.links[i]) == out)
                add_nic(&p, &h.links[i]);
    add(&p, PLACE_NOWHERE, NULL);
    keep_first(&p);
    *count = p.count;
    return p.list;
}
