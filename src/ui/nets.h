/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The networks as the screen shows them, looked at only while somebody does.
 *
 *     inotify on HOME/networks, RUN/.networks and the directories in it   something was written:
 *                                        definitions, journals, members, leases are read again
 *     tick                               one pread of /proc/net/dev
 */
#ifndef PULT_UI_NETS_H
#define PULT_UI_NETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/join.h"
#include "net/journal.h"
#include "net/network.h"
#include "net/server.h"

struct net_view {
    char name[IFNAMSIZ];
    struct network *net; /* NULL: its definition is broken, and `broken` says how */
    char *broken;
    struct journal journal;
    struct member *members;
    size_t member_count;
    struct lease *leases;
    size_t lease_count;
    struct address tap_addresses[NET_TAPS]; /* of net->taps, in this order */
    uint64_t taps_used;                     /* at the last tick: bit i, tap i */
    double received, sent;                  /* bytes per second, as its guests see them */

    uint64_t totals[2], at_ns; /* of its bridge, at the last tick; 0: none yet */
};

struct nets {
    int inotify; /* -1: closed; else readable when something changed */
    int dev;     /* /proc/net/dev, of our network namespace (sysfs may be of another) */
    struct net_view *all;
    size_t count;
    size_t at, top; /* the selected one, and the first on the screen */
};

/* Begin to look. -1: why there is nothing to look at. */
int nets_open(struct nets *n, struct error *err);
void nets_close(struct nets *n); /* accepts what was never opened: zeroed with inotify -1 */
/* Take in what changed. True if anything did. */
bool nets_changes(struct nets *n);
/* Is one neither up nor down? Somebody is at work on it, or was, and is no more. */
bool nets_half_done(const struct nets *n);
/* Sample the counters. */
void nets_tick(struct nets *n);
const struct net_view *nets_selected(const struct nets *n); /* NULL: there is none */
void nets_select(struct nets *n, const char *name);
void nets_move(struct nets *n, long by);

#endif
