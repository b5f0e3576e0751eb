/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See nets.h. */
#include "ui/nets.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "net/pool.h"
#include "net/taps.h"

enum { COUNT_RECEIVED, COUNT_SENT, COUNTS };

static_assert(NET_TAPS <= 64, "a bit for each");

#define DEV_MAX (256u << 10) /* of /proc/net/dev: some 120 bytes for each interface */

#define WATCH_FOR                                                                            \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF | \
     IN_ONLYDIR)

/* ---- one network ---- */

static void view_clear(struct net_view *v)
{
    network_free(v->net);
    free(v->broken);
    journal_clear(&v->journal);
    free(v->members);
    free(v->leases);
}

/* Which of its taps somebody's guest has open. */
static void look_at_taps(struct net_view *v)
{
    v->taps_used = 0;
    for (unsigned i = 0; v->net && i < v->net->tap_count; i++)
        if (tap_is_used(v->name, v->net->taps[i].name))
            v->taps_used |= UINT64_C(1) << i;
}

/* Read what there is of it. The rates of an earlier look are kept. */
static void view_read(struct net_view *v, const char *name, const struct net_view *old)
{
    struct error err;

    *v = (struct net_view){0};
    snprintf(v->name, sizeof v->name, "%s", name);
    if (network_load(name, &v->net, &err) < 0)
        v->broken = xstrdup(err.text);
    if (journal_read(name, &v->journal, &err) < 0 && !v->broken)
        v->broken = xstrdup(err.text);
    if (v->net)
        pool_plan_taps(v->net, v->tap_addresses, NULL);
    look_at_taps(v);
    if (v->journal.state == NETWORK_DOWN)
        return;
    if (network_members(name, &v->members, &v->member_count, NULL) < 0)
        v->member_count = 0;
    if (server_leases(name, &v->leases, &v->lease_count, NULL) < 0)
        v->lease_count = 0;
    if (old) {
        v->received = old->received;
        v->sent = old->sent;
        v->at_ns = old->at_ns;
        memcpy(v->totals, old->totals, sizeof v->totals);
    }
}

/* Its bridge's bytes. What the bridge receives its guests have sent. False: there is none. */
static bool read_counters(const struct net_view *v, const char *dev, uint64_t totals[COUNTS])
{
    const size_t len = strlen(v->name);

    for (const char *p = strstr(dev, v->name); p; p = strstr(p + 1, v->name)) {
        if ((p != dev && p[-1] != ' ' && p[-1] != '\n') || p[len] != ':')
            continue;
        return sscanf(p + len + 1, "%" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64,
                      &totals[COUNT_SENT], &totals[COUNT_RECEIVED]) == COUNTS;
    }
    return false;
}

static void view_tick(struct net_view *v, const char *dev)
{
    const uint64_t now = now_mono_ns();
    const double seconds = (double)(now - v->at_ns) / 1e9;
    uint64_t t[COUNTS];
    bool there = v->net && net_kind_has_bridge(v->net->kind) && read_counters(v, dev, t);
    bool known = there && v->at_ns && t[0] >= v->totals[0] && t[1] >= v->totals[1];

    v->received = known ? (double)(t[COUNT_RECEIVED] - v->totals[COUNT_RECEIVED]) / seconds : 0;
    v->sent = known ? (double)(t[COUNT_SENT] - v->totals[COUNT_SENT]) / seconds : 0;
    v->at_ns = there ? now : 0;
    look_at_taps(v);
    if (there)
        memcpy(v->totals, t, sizeof v->totals);
}

/* ---- all of them ---- */

static void watch_dir(struct nets *n, const char *path)
{
    inotify_add_watch(n->inotify, path, WATCH_FOR);
}

static const struct net_view *find(const struct nets *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->all[i].name, name) == 0)
            return &n->all[i];
    return NULL;
}

static void forget(struct nets *n)
{
    for (size_t i = 0; i < n->count; i++)
        view_clear(&n->all[i]);
    free(n->all);
    n->all = NULL;
    n->count = 0;
}

static void read_all(struct nets *n)
{
    struct nets old = *n;
    const struct net_view *selected = nets_selected(n);
    cleanup_free char *keep = selected ? xstrdup(selected->name) : NULL;
    char **names;

    n->count = network_names(&names);
    n->all = n->count ? xcalloc(n->count, sizeof *n->all) : NULL;
    for (size_t i = 0; i < n->count; i++) {
        cleanup_free char *run = network_run_path(names[i], NULL);
        cleanup_free char *ports = network_run_path(names[i], "ports");
        watch_dir(n, run);
        watch_dir(n, ports);
        view_read(&n->all[i], names[i], find(&old, names[i]));
    }
    strv_free(names);
    forget(&old);
    n->at = n->count ? min(n->at, n->count - 1) : 0;
    if (keep)
        nets_select(n, keep);
}

int nets_open(struct nets *n, struct error *err)
{
    cleanup_free char *home = xasprintf("%s/networks", place_home());
    cleanup_free char *run = xasprintf("%s/.networks", place_run());

    *n = (struct nets){.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
                       .dev = open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC)};
    if (n->inotify < 0) {
        error_set(err, errno, "watch the networks");
        cleanup_close_fn(&n->dev);
        return -1;
    }
    if (dir_make(home, 0700, err) < 0 || dir_make(run, 0755, err) < 0) {
        nets_close(n);
        return -1;
    }
    watch_dir(n, home);
    watch_dir(n, run);
    read_all(n);
    nets_tick(n);
    return 0;
}

void nets_close(struct nets *n)
{
    if (n->inotify < 0)
        return;
    forget(n);
    cleanup_close_fn(&n->inotify);
    cleanup_close_fn(&n->dev);
    *n = (struct nets){.inotify = -1, .dev = -1};
}

bool nets_changes(struct nets *n)
{
    char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool any = false;

    while (n->inotify >= 0 && read(n->inotify, buf, sizeof buf) > 0)
        any = true;
    if (any)
        read_all(n);
    return any;
}

bool nets_half_done(const struct nets *n)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct journal *j = &n->all[i].journal;
        if ((j->state != NETWORK_UP && j->state != NETWORK_DOWN) || j->amending)
            return true;
    }
    return false;
}

void nets_tick(struct nets *n)
{
    if (!n->count || n->dev < 0)
        return;
    cleanup_free char *dev = xcalloc(DEV_MAX, 1);
    ssize_t got = pread(n->dev, dev, DEV_MAX - 1, 0);
    if (got < 0)
        return;
    dev[got] = '\0';
    for (size_t i = 0; i < n->count; i++)
        view_tick(&n->all[i], dev);
}

const struct net_view *nets_selected(const struct nets *n)
{
    return n->at < n->count ? &n->all[n->at] : NULL;
}

void nets_select(struct nets *n, const char *name)
{
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->all[i].name, name) == 0)
            n->at = i;
}

void nets_move(struct nets *n, long by)
{
    long at = (long)n->at + by;

    if (n->count)
        n->at = (size_t)min(max(at, 0L), (long)n->count - 1);
}
