/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files of cgroup.h. */
#ifndef PULT_GUEST_CGROUP_PRIVATE_H
#define PULT_GUEST_CGROUP_PRIVATE_H

#include "guest/cgroup.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define MARK        "trusted.pult" /* of a group that is elsewhere */

/* v1's name of a controller is also the directory of its tree; v2 has names of its own for some. */
struct cgroup_controller {
    const char *v1, *v2;
};
extern const struct cgroup_controller cgroup_controllers[CG_V1_COUNT];

/* Name the group, and find where it lies. conf: NULL for that without one. */
void cgroup_locate(struct cgroup *cg, const char *name, const struct conf *conf);
/* Open the groups that are there. */
void cgroup_open_all(struct cgroup *cg);
/* The path of a group in the tree of a controller of v1, or in that of v2 (-1). */
void cgroup_path(const struct cgroup *cg, int controller, const char *group, char out[512]);
/* mkdir a group and what is missing above it. */
int cgroup_make(char *path, int controller, struct error *err);
/*
 * Visit all groups below dir, and at last itself, each after those below it: with few descriptors
 * and little stack, however deep a container nested its own.
 */
void cgroup_walk(int dir, void (*visit)(void *arg, int dir), void *arg);
void cgroup_remove_below(void *arg, int dir); /* for that: rmdir the groups in it */
/* Call fn for each process in the group dir and those below. */
void cgroup_each(int dir, void (*fn)(void *arg, pid_t pid), void *arg);
void cgroup_kill_one(void *arg, pid_t pid); /* for that */
/* rmdir the group of lxc.cgroup.dir.monitor, if it is empty. */
void cgroup_monitor_remove(const struct cgroup *cg, const struct conf *conf);

#endif
