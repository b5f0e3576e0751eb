/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lxc.cgroup.dir.monitor and .pivot: where a container's keeper is itself, in all hierarchies. By
 * default it is where it was started, as every process.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/file.h"
#include "base/util.h"
#include "guest/cgroup_private.h"

static const char *said(const struct conf *conf, const char *key)
{
    const char *value = conf_get(conf, key);
    return value ? value + strspn(value, "/") : NULL;
}

static bool hierarchy(const struct cgroup *cg, int i)
{
    return i < 0 ? cg->base[0] != '\0' : (cgroup_v1() & (1u << i)) != 0;
}

/* Go into the group of this name, "" for the one that all is below. */
static int enter(const struct cgroup *cg, int i, const char *group, struct error *err)
{
    char path[600], pid[16];
    cgroup_path(cg, i, group, path);
    if (*group && cgroup_make(path, i, err) < 0)
        return -1;
    snprintf(path + strlen(path), sizeof path - strlen(path), "/cgroup.procs");
    snprintf(pid, sizeof pid, "%d", getpid());
    return file_put_at(AT_FDCWD, path, pid, err);
}

int cgroup_monitor_begin(const struct cgroup *cg, const struct conf *conf, struct error *err)
{
    const char *group = said(conf, "lxc.cgroup.dir.monitor");
    for (int i = -1; i < CG_V1_COUNT && group; i++)
        if (hierarchy(cg, i) && enter(cg, i, group, err) < 0)
            return error_wrap(err, "lxc.cgroup.dir.monitor");
    return 0;
}

void cgroup_monitor_remove(const struct cgroup *cg, const struct conf *conf)
{
    const char *group = said(conf, "lxc.cgroup.dir.monitor");
    char path[512];
    for (int i = -1; i < CG_V1_COUNT && group; i++) {
        cgroup_path(cg, i, group, path);
        if (hierarchy(cg, i))
            rmdir(path);
    }
}

void cgroup_monitor_end(const struct cgroup *cg, const struct conf *conf)
{
    const char *group = said(conf, "lxc.cgroup.dir.monitor");
    const char *pivot = said(conf, "lxc.cgroup.dir.monitor.pivot");
    for (int i = -1; i < CG_V1_COUNT && (group || pivot); i++)
        if (hierarchy(cg, i))
            enter(cg, i, pivot ? pivot : "", NULL);
    cgroup_monitor_remove(cg, conf);
}
