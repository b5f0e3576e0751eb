/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live view.
 *
 *     inotify on HOME/guests and RUN         names come and go   → the list of names is read again
 *     inotify on HOME/guests/NAME, RUN/NAME  config, last, status → that guest is looked at again
 *     pidfd of each keeper                   it died              → that guest is looked at again
 *     tick                                   one pread a figure
 *
 * All of the first three are in one epoll descriptor, which is what watch_fd() gives.
 */
#include "guest/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/figures.h"

#define ADDRESS_TICKS 5 /* addresses are looked up each so many ticks */

struct watched_private {
    int dir_watch, run_watch; /* inotify, -1: none */
    int keeper;               /* pidfd, -1: none */
    int status;               /* the status page, -1: not running */
    bool dirty, seen, gone;
    bool sampled; /* totals and at_ns are of an earlier tick of this run */
    struct figure_files files;
    struct totals totals;
    uint64_t at_ns;
};

struct watch {
    int epoll, inotify;
    int guests_watch, run_watch;
    int place_watches[4]; /* of other programs' guests; -1: none */
    bool names_changed;
    unsigned ticks;
    struct watched **list;
    size_t count;
    int stat, meminfo; /* the host's */
    uint64_t host_busy, host_total;
    struct host_figures host;
};

/* ---- opening ---- */

/* Have epoll report fd. */
static int listen_to(struct watch *w, int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e);
}

struct watch *watch_open(struct error *err)
{
    if (store_init(err) < 0)
        return NULL;
    struct watch *w = xcalloc(1, sizeof *w);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    w->stat = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    w->meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    cleanup_free char *guests = xasprintf("%s/guests", place_home());
    const uint32_t names = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;
    if (w->epoll >= 0 && w->inotify >= 0) {
        w->guests_watch = inotify_add_watch(w->inotify, guests, names);
        w->run_watch = inotify_add_watch(w->inotify, place_run(), names);
    }
    if (w->epoll < 0 || w->inotify < 0 || w->guests_watch < 0 || w->run_watch < 0 ||
        listen_to(w, w->inotify) < 0) {
        error_set(err, errno, "watch the guests");
        watch_close(w);
        return NULL;
    }
    char **places = store_places();
    for (size_t i = 0, n = strv_len(places); i < ARRAY_SIZE(w->place_watches); i++)
        w->place_watches[i] = i < n ? inotify_add_watch(w->inotify, places[i], names) : -1;
    strv_free(places);
    w->names_changed = true;
    watch_changes(w);
    return w;
}

int watch_fd(const struct watch *w)
{
    return w->epoll;
}

struct watched *const *watch_list(const struct watch *w, size_t *count)
{
    *count = w->count;
    return w->list;
}

/* ---- one guest ---- */

/* Let go of everything that belongs to one run of a guest. */
static void run_forget(struct watch *w, struct watched *g)
{
    struct watched_private *p = g->priv;
    figures_close(&p->files);
    if (p->run_watch >= 0)
        inotify_rm_watch(w->inotify, p->run_watch);
    if (p->keeper >= 0)
        close(p->keeper);
    if (p->status >= 0)
        close(p->status);
    p->run_watch = p->keeper = p->status = -1;
    p->sampled = false;
    g->now = (struct figures){0};
    g->addresses[0] = '\0';
}

static void watched_free(struct watch *w, struct watched *g)
{
    run_forget(w, g);
    if (g->priv->dir_watch >= 0)
        inotify_rm_watch(w->inotify, g->priv->dir_watch);
    guest_info_clear(&g->info);
    free(g->priv);
    free(g);
}

static struct watched *watched_new(struct watch *w, const char *name)
{
    struct watched *g = xcalloc(1, sizeof *g);
    struct watched_private *p = xcalloc(1, sizeof *p);
    cleanup_free char *dir = xasprintf("%s/guests/%s", place_home(), name);
    g->priv = p;
    snprintf(g->info.name, sizeof g->info.name, "%s", name);
    *p = (struct watched_private){.run_watch = -1, .keeper = -1, .status = -1, .dirty = true};
    for (unsigned i = 0; i < FIGURES; i++)
        p->files.fd[i] = -1;
    p->dir_watch = inotify_add_watch(w->inotify, dir, IN_MOVED_TO | IN_ONLYDIR);
    return g;
}

/*
 * A run that we have not seen yet: watch its directory and its keeper. What was read of it before
 * may be old by now, so it is looked at once more.
 */
static void run_follow(struct watch *w, struct watched *g)
{
    struct watched_private *p = g->priv;
    cleanup_free char *run = xasprintf("%s/%s", place_run(), g->info.name);
    cleanup_free char *status = xasprintf("%s/%s", run, STATUS_FILE);
    p->run_watch = inotify_add_watch(w->inotify, run, IN_MODIFY | IN_CREATE | IN_ONLYDIR);
    p->status = open(status, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (g->info.page.keeper_pid > 0)
        p->keeper = (int)syscall(SYS_pidfd_open, g->info.page.keeper_pid, 0);
    if (p->keeper >= 0)
        listen_to(w, p->keeper);
    p->dirty = true;
}

/* Look at one guest again. True if anything shown of it changed. */
static bool look_again(struct watch *w, struct watched *g)
{
    struct watched_private *p = g->priv;
    struct guest_info info, old = g->info;
    p->dirty = false;
    if (store_info(old.name, &info, NULL) < 0) {
        p->gone = true; /* or about to be: its keeper has only to clean up */
        return true;
    }
    bool alive = state_alive(info.state);
    bool same_run = info.elsewhere
                        ? old.elsewhere && info.page.guest_pid == old.page.guest_pid
                        : alive && p->status >= 0 && info.page.keeper_pid == old.page.keeper_pid &&
                              info.page.started_ns == old.page.started_ns;
    g->info = info;
    if (!same_run) {
        run_forget(w, g);
        if (alive && !info.elsewhere)
            run_follow(w, g);
    }
    bool figures_changed =
        memcmp(old.page.figures, info.page.figures, sizeof old.page.figures) != 0;
    if (alive && (!same_run || figures_changed)) {
        figures_close(&p->files);
        figures_open(&p->files, &g->info.page);
        figures_addresses(&g->info.page, g->addresses, sizeof g->addresses);
    }
    bool changed = !same_run || old.state != info.state || figures_changed ||
                   strcmp(old.page.note, info.page.note) != 0 || !str_eq(old.broken, info.broken) ||
                   (old.def == NULL) != (info.def == NULL);
    g->serial++;
    guest_info_clear(&old);
    return changed;
}

/* ---- all guests ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct watched *const *)a)->info.name,
                  (*(struct watched *const *)b)->info.name);
}

static struct watched *find(const struct watch *w, const char *name)
{
    size_t lo = 0, hi = w->count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(name, w->list[mid]->info.name);
        if (c == 0)
            return w->list[mid];
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

/* Read the names again: forget guests that are gone, take in new ones. True if any did. */
static bool names_again(struct watch *w)
{
    char **names;
    size_t n = store_names(&names);
    bool changed = false;
    w->names_changed = false;
    for (size_t i = 0; i < w->count; i++)
        w->list[i]->priv->seen = false;
    struct watched **list = xcalloc(n + 1, sizeof *list);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct watched *g = find(w, names[i]);
        changed |= !g;
        list[kept] = g ? g : watched_new(w, names[i]);
        list[kept++]->priv->seen = true;
    }
    for (size_t i = 0; i < w->count; i++) {
        if (!w->list[i]->priv->seen) {
            watched_free(w, w->list[i]);
            changed = true;
        }
    }
    free(w->list);
    w->list = list;
    w->count = kept;
    qsort(w->list, w->count, sizeof *w->list, by_name);
    strv_free(names);
    return changed;
}

/* Forget those of which a look showed that they are gone, whether or not their name still is. */
static void drop_gone(struct watch *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (w->list[i]->priv->gone)
            watched_free(w, w->list[i]);
        else
            w->list[kept++] = w->list[i];
    }
    w->count = kept;
}

/* Note which guest an inotify event is about. */
static void note_event(struct watch *w, const struct inotify_event *e)
{
    if (e->mask & IN_Q_OVERFLOW)
        w->names_changed = true;
    bool is_place = false;
    for (size_t i = 0; i < ARRAY_SIZE(w->place_watches); i++)
        is_place |= w->place_watches[i] >= 0 && e->wd == w->place_watches[i];
    if (e->wd == w->guests_watch || e->wd == w->run_watch || is_place) {
        w->names_changed = true;
        struct watched *g = e->len ? find(w, e->name) : NULL;
        if (g)
            g->priv->dirty = true;
        return;
    }
    for (size_t i = 0; i < w->count; i++) {
        struct watched_private *p = w->list[i]->priv;
        if (e->mask & IN_Q_OVERFLOW || e->wd == p->dir_watch || e->wd == p->run_watch)
            p->dirty = true;
    }
}

static void drain_inotify(struct watch *w)
{
    char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    for (ssize_t n; (n = read(w->inotify, buf, sizeof buf)) > 0;) {
        for (char *p = buf; p < buf + n;) {
            const struct inotify_event *e = (const struct inotify_event *)(void *)p;
            note_event(w, e);
            p += sizeof *e + e->len;
        }
    }
}

bool watch_changes(struct watch *w)
{
    struct epoll_event events[32];
    int n;
    while ((n = epoll_wait(w->epoll, events, ARRAY_SIZE(events), 0)) > 0) {
        for (int i = 0; i < n; i++) {
            for (size_t j = 0; j < w->count; j++) {
                struct watched_private *p = w->list[j]->priv;
                if (p->keeper != events[i].data.fd)
                    continue;
                close(steal_fd(p->keeper)); /* it has nothing more to tell */
                p->dirty = true;
            }
        }
        drain_inotify(w);
    }
    bool changed = false;
    for (int again = 0; again < 3; again++) {
        if (w->names_changed)
            changed |= names_again(w);
        bool dirty = false;
        for (size_t i = 0; i < w->count; i++) {
            if (!w->list[i]->priv->dirty)
                continue;
            dirty = true;
            changed |= look_again(w, w->list[i]);
        }
        drop_gone(w);
        if (!dirty && !w->names_changed)
            break;
    }
    return changed;
}

/* ---- ticks ---- */

static double rate(uint64_t now, uint64_t before, double seconds)
{
    return now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

/* Take one sample of a running guest. True if a figure changed. */
static bool sample(struct watched *g, bool addresses)
{
    struct watched_private *p = g->priv;
    struct status_page *page = &g->info.page;
    struct totals t;
    struct figures f = {0}, old = g->now;
    bool counted = page->figures[FIGURE_DISK].kind == FIGURE_PAGE ||
                   page->figures[FIGURE_NET].kind == FIGURE_PAGE;
    struct status_page fresh;
    if (counted && p->status >= 0 && status_read(p->status, &fresh) == 0)
        *page = fresh;
    figures_read(&p->files, page, &t);
    uint64_t now = now_boot_ns();
    /* The first sample of a run is its average since it began. */
    uint64_t before = p->sampled ? p->at_ns : page->started_ns;
    struct totals base = p->sampled ? p->totals : (struct totals){.cpu_ns = page->cpu_base_ns};
    double seconds = now > before ? (double)(now - before) / 1e9 : 0;
    f.cpu_percent = rate(t.cpu_ns, base.cpu_ns, seconds) / 1e7;
    f.memory_bytes = t.memory_bytes;
    f.resident_bytes = t.resident_bytes;
    f.disk_read = rate(t.disk_read, base.disk_read, seconds);
    f.disk_written = rate(t.disk_written, base.disk_written, seconds);
    f.net_rx = rate(t.net_rx, base.net_rx, seconds);
    f.net_tx = rate(t.net_tx, base.net_tx, seconds);
    f.exits = rate(t.exits, base.exits, seconds);
    f.uptime_seconds = now > page->started_ns ? (now - page->started_ns) / 1000000000 : 0;
    p->totals = t;
    p->at_ns = now;
    p->sampled = true;
    g->now = f;
    g->cpu_history[g->head] = (float)f.cpu_percent;
    g->memory_history[g->head] = (float)f.memory_bytes;
    g->head = (g->head + 1) % WATCH_HISTORY;
    g->filled = min(g->filled + 1, (unsigned)WATCH_HISTORY);
    if (addresses)
        figures_addresses(page, g->addresses, sizeof g->addresses);
    return memcmp(&f, &old, sizeof f) != 0;
}

bool watch_tick(struct watch *w)
{
    /* A dead keeper's lock may outlive it in a child that was just being made. */
    for (size_t i = 0; i < w->count; i++)
        if ((state_alive(w->list[i]->info.state) || w->list[i]->info.place) &&
            w->list[i]->priv->keeper < 0)
            w->list[i]->priv->dirty = true; /* or it is another program's, which tells nobody */
    bool changed = watch_changes(w);
    bool addresses = w->ticks++ % ADDRESS_TICKS == 0;
    for (size_t i = 0; i < w->count; i++) {
        struct watched *g = w->list[i];
        if (!state_alive(g->info.state) || !sample(g, addresses))
            continue;
        g->serial++;
        changed = true;
    }
    return changed;
}

void watch_close(struct watch *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->count; i++)
        watched_free(w, w->list[i]);
    free(w->list);
    int fds[] = {w->epoll, w->inotify, w->stat, w->meminfo};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(w);
}

/* ---- the host ---- */

/* A value of /proc/meminfo in bytes. */
static uint64_t meminfo_value(const char *text, const char *key)
{
    const char *p = strstr(text, key);
    return p ? strtoull(p + strlen(key), NULL, 10) * 1024 : 0;
}

bool watch_host(struct watch *w, struct host_figures *out)
{
    char text[4096];
    struct host_figures f = w->host;
    ssize_t n = pread(w->stat, text, sizeof text - 1, 0);
    if (n > 0) {
        text[n] = '\0';
        unsigned long long v[8] = {0}, total = 0;
        sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4,
               v + 5, v + 6, v + 7);
        for (unsigned i = 0; i < 8; i++)
            total += v[i];
        uint64_t busy = total - v[3] - v[4]; /* not idle, not waiting for a disk */
        f.cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
        if (total > w->host_total)
            f.cpu_percent = 100.0 * f.cores * (double)(busy - min(busy, w->host_busy)) /
                            (double)(total - w->host_total);
        w->host_busy = busy;
        w->host_total = total;
    }
    n = pread(w->meminfo, text, sizeof text - 1, 0);
    if (n > 0) {
        text[n] = '\0';
        uint64_t available = meminfo_value(text, "MemAvailable:");
        f.memory_total = meminfo_value(text, "MemTotal:");
        f.memory_used = f.memory_total - min(available, f.memory_total);
    }
    bool changed = memcmp(&f, &w->host, sizeof f) != 0;
    *out = w->host = f;
    return changed;
}
