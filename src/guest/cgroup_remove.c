/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of a container's groups: by its keeper, or, if that was killed, by whoever finds what it
 * left behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/cgroup_private.h"

#define REMOVE_WAIT_MS 500

/* rmdir the group, and the directory above it if that was the last guest's. */
static int group_remove(const char *path, int dir, bool above, struct error *err)
{
    char up[512];
    const struct timespec ms = {.tv_nsec = 1000000};
    if (rmdir(path) < 0 && errno == EBUSY) {
        cgroup_walk(dir, cgroup_remove_below, NULL);
        for (int i = 0; rmdir(path) < 0 && errno == EBUSY; i++) {
            if (i == REMOVE_WAIT_MS)
                return error_set(err, EBUSY, "remove the cgroup '%s'", path);
            cgroup_each(dir, cgroup_kill_one, NULL);
            nanosleep(&ms, NULL);
            cgroup_walk(dir, cgroup_remove_below, NULL);
        }
    }
    snprintf(up, sizeof up, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (above)
        rmdir(up);
    return 0;
}

/* Remove all groups whose directories are open. */
static int remove_open(struct cgroup *cg, struct error *err)
{
    char path[512];
    int ret = 0;
    if (cg->v2 >= 0) {
        snprintf(path, sizeof path, "%s/%s", cg->base, cg->group);
        ret = group_remove(path, cg->v2, !cg->elsewhere, err);
        close(cg->v2);
    }
    if (cg->entry >= 0)
        close(cg->entry);
    for (int i = 0; i < CG_V1_COUNT; i++) {
        if (cg->v1[i] < 0)
            continue;
        cgroup_path(cg, i, cg->group, path);
        if (group_remove(path, cg->v1[i], !cg->elsewhere, err) < 0)
            ret = -1;
        close(cg->v1[i]);
    }
    if (cg->devices >= 0)
        close(cg->devices);
    cgroup_init(cg);
    return ret;
}

void cgroup_remove(struct cgroup *cg)
{
    struct error err;
    remove_open(cg, &err);
}

/* A group elsewhere: the page names a file of it, and it has our mark. Root's alone. */
static bool locate_marked(struct cgroup *cg, const struct status_page *page)
{
    const char *path = page->figures[FIGURE_CPU].path, *end = strrchr(path, '/');
    const size_t base = strlen(cg->base);
    char mark, dir[512];
    if (page->figures[FIGURE_CPU].kind != FIGURE_CPU_STAT || geteuid() != 0 || !base || !end ||
        strncmp(path, cg->base, base) != 0 || path[base] != '/' || strstr(path, "/../") ||
        end <= path + base + 1 || (size_t)(end - path) - base - 1 >= sizeof cg->group)
        return false;
    snprintf(dir, sizeof dir, "%.*s", (int)(end - path), path);
    if (getxattr(dir, MARK, &mark, 1) < 0)
        return false;
    snprintf(cg->group, sizeof cg->group, "%s", dir + base + 1);
    cg->elsewhere = true;
    return true;
}

/* Find path/…/GROUP, a few groups deep: path becomes what is above it. */
static bool find_below(char path[512], const char *group, int deep)
{
    const size_t len = strlen(path);
    snprintf(path + len, 512 - len, "/%s", group);
    if (access(path, F_OK) == 0) {
        path[len] = '\0';
        return true;
    }
    path[len] = '\0';
    cleanup_closedir DIR *d = deep > 0 ? opendir(path) : NULL;
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        snprintf(path + len, 512 - len, "/%s", e->d_name);
        if (find_below(path, group, deep - 1))
            return true;
        path[len] = '\0';
    }
    return false;
}

/*
 * Below which groups of v1 they were by lxc.cgroup.relative, which the page does not tell: looked for
 * in the whole of each tree.
 */
static void locate_relative(struct cgroup *cg)
{
    for (int i = 0; i < CG_V1_COUNT; i++) {
        char path[512] = CGROUP_ROOT "/";
        const size_t root = strlen(CGROUP_ROOT "/") + strlen(cgroup_controllers[i].v1);
        snprintf(path + strlen(path), sizeof path - strlen(path), "%s", cgroup_controllers[i].v1);
        if (find_below(path, cg->group, 8))
            snprintf(cg->own[i], sizeof cg->own[i], "%s", path + root);
    }
}

/*
 * Where a user's keeper had its group, or root's by lxc.cgroup.relative: below the group that it ran
 * in itself, which is another one for each session. The status page names a file of it. Nothing is
 * taken from there but a path that cgroup_create() could have made for this guest.
 */
static void locate_recorded(struct cgroup *cg, const struct status_page *page)
{
    const char *path = page->figures[FIGURE_CPU].path;
    const char *found = strstr(path, cg->group);
    size_t len = found ? (size_t)(found - path) : 0;
    if (locate_marked(cg, page))
        return;
    if (page->figures[FIGURE_CPU].kind != FIGURE_CPU_STAT || len < 2 || len > sizeof cg->base ||
        !str_starts(path, CGROUP_ROOT "/") || strstr(path, "/../") || path[len - 1] != '/' ||
        !str_eq(found + strlen(cg->group), "/cpu.stat"))
        return;
    const bool usual = strlen(cg->base) == len - 1 && strncmp(cg->base, path, len - 1) == 0;
    snprintf(cg->base, sizeof cg->base, "%.*s", (int)len - 1, path);
    if (!usual && !cg->pure && geteuid() == 0)
        locate_relative(cg);
}

void cgroup_open_all(struct cgroup *cg)
{
    char path[512];
    if (cg->base[0]) {
        snprintf(path, sizeof path, "%s/%s", cg->base, cg->group);
        cg->v2 = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    for (int i = 0; i < CG_V1_COUNT && !cg->pure; i++) {
        cgroup_path(cg, i, cg->group, path);
        cg->v1[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
}

int cgroup_recover(const char *name, const struct conf *conf, const struct status_page *page,
                   struct error *err)
{
    struct cgroup cg;
    cgroup_init(&cg);
    cgroup_locate(&cg, name, NULL);
    locate_recorded(&cg, page);
    cgroup_open_all(&cg);
    cgroup_kill(&cg);
    if (conf)
        cgroup_monitor_remove(&cg, conf);
    return remove_open(&cg, err);
}
