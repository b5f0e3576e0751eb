/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices that a container may use, see devices.c. */
#ifndef PULT_LXC_DEVICES_H
#define PULT_LXC_DEVICES_H

#include <stdbool.h>

#include "base/conf.h"
#include "base/error.h"

struct cgroup;

/* One value of lxc.cgroup2.devices.allow: "c 10:200 rwm". */
int devices_is_rule(const char *value, struct error *err);
/*
 * Put the container's group under the list that conf has; another one takes the place of the last.
 * starting: its first process is yet to make its terminals, whatever the list says.
 */
int devices_apply(struct cgroup *cg, const struct conf *conf, bool starting, struct error *err);
/* It has made them. */
int devices_settle(struct cgroup *cg, const struct conf *conf, struct error *err);

#endif
