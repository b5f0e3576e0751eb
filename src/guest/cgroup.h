/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroups: those of a container, in which its processes are, and that of a VM, in which its keeper
 * is if anything limits it. The limits are of limits.h.
 */
#ifndef PULT_GUEST_CGROUP_H
#define PULT_GUEST_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "guest/def.h"
#include "guest/figures.h"
#include "guest/status.h"

struct doctor;

enum {
    CG_MEMORY,
    CG_CPU,
    CG_CPUACCT,
    CG_CPUSET,
    CG_PIDS,
    CG_BLKIO,
    CG_FREEZER,
    CG_DEVICES,
    CG_V1_COUNT
};

#define OWN_MAX 200

struct cgroup {
    char group[200];                /* "pult/NAME", below the root of each hierarchy */
    bool elsewhere;                 /* … or where lxc.cgroup.dir has it */
    char base[256];                 /* v2: path below which group lies */
    bool pure;                      /* all controllers are of v2 */
    char own[CG_V1_COUNT][OWN_MAX]; /* v1: likewise, below the root of each tree; "": there */
    char inner[128];     /* lxc.cgroup.dir.container.inner, in which its processes are; "": none */
    int entry;           /* v2: that group; -1: v2 itself */
    int v2;              /* directory of the group; -1: none */
    int v1[CG_V1_COUNT]; /* likewise; -1: not made */
    int devices;         /* the program that tells devices which may be used; -1: none */
    unsigned v1_joined;  /* mask of those that the container is in */
    pid_t only;          /* the one process that is in them; 0: whatever is in another of them */
};

void cgroup_init(struct cgroup *cg);
/* Make the cgroups that the definition needs, write its limits; counting: those that count, too. */
int cgroup_create(struct cgroup *cg, const struct guest_def *def, bool counting, struct error *err);
/* Which controllers are of version 1 here: a mask. */
unsigned cgroup_v1(void);
/* Where the tree of v2 is; NULL: nowhere. */
const char *cgroup_v2_root(void);
struct limit;
/* Write one limit of a container that runs. */
int cgroup_limit(struct cgroup *cg, const struct limit *l, struct error *err);
/* Make its group of this controller of v1, for whoever joins later; its directory. */
int cgroup_open_v1(struct cgroup *cg, int controller, struct error *err);
/*
 * Put this process, which has one thread, into those of v1 that were made. later, if not NULL: but
 * for the one of CPU time, for which it is set to what cgroup_join_later() takes, or to -1.
 */
int cgroup_join(const struct cgroup *cg, int *later, struct error *err);
/* Into that one, too, whatever this process may see and do by now. Closes the descriptor. */
int cgroup_join_later(int later, struct error *err);
/*
 * Let a system's init make groups below its own of v2 (Documentation/admin-guide/cgroup-v2.rst,
 * "Delegation"): its directory and the three files get that owner; the limits remain ours.
 */
int cgroup_delegate(const struct cgroup *cg, uid_t uid, gid_t gid, struct error *err);
/*
 * A group below the container's of v2, for processes from outside: once its init has given
 * controllers to groups below, the kernel lets nobody into the group itself (EBUSY).
 */
int cgroup_leaf(const struct cgroup *cg);
/* Put all processes of the container into those of v1 that only count. */
void cgroup_join_counting(struct cgroup *cg);
void cgroup_figures(const struct cgroup *cg, pid_t init, struct figure_source figures[FIGURES]);
int cgroup_freeze(const struct cgroup *cg, bool freeze, struct error *err);
void cgroup_kill(const struct cgroup *cg);
/* The directory of v2 that its processes begin in. -1: none. */
int cgroup_entry(const struct cgroup *cg);
/*
 * lxc.cgroup.dir.monitor: have the keeper in that group of each hierarchy, and in the end in
 * lxc.cgroup.dir.monitor.pivot or where the container's group was made below.
 */
int cgroup_monitor_begin(const struct cgroup *cg, const struct conf *conf, struct error *err);
void cgroup_monitor_end(const struct cgroup *cg, const struct conf *conf);
/* Close the descriptors and remove the groups; processes still dying get a moment. */
void cgroup_remove(struct cgroup *cg);
/*
 * After a keeper's death: kill what lives in a guest's cgroups and remove them, and the keeper's. conf:
 * of its definition, NULL if that is gone.
 */
int cgroup_recover(const char *name, const struct conf *conf, const struct status_page *page,
                   struct error *err);
/* Are the limits of this definition possible here? */
int cgroup_check(const struct guest_def *def, struct error *err);
void cgroup_doctor(struct doctor *d);

/* ---- of a keeper ---- */

/* The groups of this keeper, open; make: that of v2 is made, if need be, and the keeper put into it. */
int cgroup_of_keeper(struct cgroup *cg, const char *name, pid_t keeper, bool make,
                     struct error *err);
void cgroup_close(struct cgroup *cg); /* the descriptors alone */
/* It has ended: remove its groups, if it had any. keeper 0: those of all keepers of this name. */
void cgroup_remove_keeper(const char *name, pid_t keeper);

#endif
