/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live view of all guests: which there are, what they do and what they use.
 *
 * Between changes looking costs one pread per figure from descriptors that stay open, and no
 * keeper is woken: states come from the status pages, figures from the files these name.
 * Directories are looked at again only when inotify says that something changed, and a keeper's
 * death is seen by its pidfd. watch_tick() takes a sample; watch_fd() becomes readable when
 * something changed between ticks.
 */
#ifndef PULT_GUEST_WATCH_H
#define PULT_GUEST_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/store.h"

#define WATCH_HISTORY 120 /* samples kept for the graphs */

struct figures {
    double cpu_percent; /* 100 = one core */
    uint64_t memory_bytes;
    uint64_t resident_bytes;                        /* of the host's memory; 0: that is the same */
    double disk_read, disk_written, net_rx, net_tx; /* bytes per second */
    double exits;                                   /* of a VM's vCPUs, per second */
    uint64_t uptime_seconds;
};

struct watched {
    struct guest_info info; /* as of the last look */
    struct figures now;
    /* Rings of the past; the newest is at (head - 1) % WATCH_HISTORY; filled counts the valid. */
    float cpu_history[WATCH_HISTORY];
    float memory_history[WATCH_HISTORY];
    unsigned head, filled;
    char addresses[128]; /* blank-separated, "" while none is known */
    unsigned serial;     /* grows when anything shown of this guest changed */
    struct watched_private *priv;
};

struct watch;
struct watch *watch_open(struct error *err);
void watch_close(struct watch *w);
/* An epoll descriptor: readable → call watch_changes(). */
int watch_fd(const struct watch *w);
/* Take in what changed. True if the list or a state changed. */
bool watch_changes(struct watch *w);
/* Sample all figures; rates are over the time since the last tick. True if anything changed. */
bool watch_tick(struct watch *w);
/* Sorted by name; the array is valid until the next call here, a guest until it vanishes. */
struct watched *const *watch_list(const struct watch *w, size_t *count);

/* The host itself. */
struct host_figures {
    double cpu_percent; /* 100 = one core */
    unsigned cores;
    uint64_t memory_used, memory_total;
};
bool watch_host(struct watch *w, struct host_figures *out);

#endif
