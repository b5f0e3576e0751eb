/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cgroups of a container, on the three layouts that hosts have:
 *
 *     pure v2   one group /sys/fs/cgroup/pult/NAME holds everything
 *     hybrid    the group of the bare v2 tree at /sys/fs/cgroup/unified counts CPU time, freezes
 *               and kills; controllers are of v1, each a tree of its own
 *     v1        likewise, with the freezer of v1
 *     a user    below his own group of v2, where that was delegated to him; otherwise none
 *
 * A process enters the v2 group as it is created (CLONE_INTO_CGROUP), which costs nothing. To move
 * one into a group of v1 the kernel waits for an RCU grace period, 0.3 to 30 ms here; unless it is
 * the only thread of a process that moves itself (Linux 5.5). So the first process does that, and
 * each that follows it into the container; the group of CPU time comes last, see lxc/child.c. A
 * container that runs for a moment in a pipe is put into groups that merely count (memory, block
 * I/O) later, should it still be there.
 *
 * The group is called pult/NAME, or pult-HASH/NAME where the runtime directory is not the usual
 * one, so that stores do not meet. With lxc.cgroup.dir it is DIR/NAME, with lxc.cgroup.dir.container
 * that one: should its keeper be killed, it is found by its status page, and known by an attribute
 * that only pult sets; directories above it stay.
 *
 * A VM is its keeper, which is in a group pult/NAME@PID from the first limit on: the name is that
 * keeper's alone, so it can be removed when the next one has begun.
 */
#include "guest/cgroup_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/doctor.h"
#include "guest/limits.h"
#include "guest/store.h"

#define ASIDE "keeper" /* where keepers make room in a user's group */

const struct cgroup_controller cgroup_controllers[CG_V1_COUNT] = {
    [CG_MEMORY] = {"memory", "memory"}, [CG_CPU] = {"cpu", "cpu"},
    [CG_CPUACCT] = {"cpuacct", NULL},   [CG_CPUSET] = {"cpuset", "cpuset"},
    [CG_PIDS] = {"pids", "pids"},       [CG_BLKIO] = {"blkio", "io"},
    [CG_FREEZER] = {"freezer", NULL},   [CG_DEVICES] = {"devices", NULL},
};

static bool is_cgroup2(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* Is this line of /proc/PID/cgroup about that controller of v1? NULL: about v2. */
static bool line_about(const char *line, const char *controller)
{
    const char *names = strchr(line, ':');
    if (!names || !controller)
        return names && str_starts(line, "0::/");
    const size_t len = strlen(controller);
    for (const char *p = names; *p == ',' || p == names; p += 1 + strcspn(p + 1, ",:"))
        if (strncmp(p + 1, controller, len) == 0 && (p[1 + len] == ',' || p[1 + len] == ':'))
            return true;
    return false;
}

/* The group that a process is in, below the mount; "" for the root of the tree. */
static bool group_of(pid_t pid, const char *controller, char *out, size_t size)
{
    char path[32], line[512];
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    cleanup_fclose FILE *f = fopen(path, "re");
    out[0] = '\0';
    while (f && fgets(line, sizeof line, f))
        if (line_about(line, controller)) {
            const char *at = strchr(strchr(line, ':') + 1, ':') + 1;
            snprintf(out, size, "%.*s", (int)strcspn(at, "\n"), at);
        }
    if (str_eq(out, "/"))
        out[0] = '\0';
    return f != NULL;
}

/* Take one from the end of a path, if that is there. */
static void strip(char *path, const char *end)
{
    const size_t len = strlen(path), n = strlen(end);
    if (len > n && path[len - n - 1] == '/' && str_eq(path + len - n, end))
        path[len - n - 1] = '\0';
}

/* A group that the definition names. */
static bool locate_elsewhere(struct cgroup *cg, const char *name, const struct conf *conf)
{
    const char *dir = conf ? conf_get(conf, "lxc.cgroup.dir") : NULL;
    const char *own = conf ? conf_get(conf, "lxc.cgroup.dir.container") : NULL;
    const char *path = own ? own : dir;
    if (!path)
        return false;
    path += strspn(path, "/");
    snprintf(cg->group, sizeof cg->group, "%s%s%s", path, own ? "" : "/", own ? "" : name);
    for (size_t n = strlen(cg->group); n > 0 && cg->group[n - 1] == '/'; n--)
        cg->group[n - 1] = '\0';
    return true;
}

const char *cgroup_v2_root(void)
{
    return is_cgroup2(CGROUP_ROOT)              ? CGROUP_ROOT
           : is_cgroup2(CGROUP_ROOT "/unified") ? CGROUP_ROOT "/unified"
                                                : NULL;
}

/* Below which group a user's are, or by lxc.cgroup.relative: the process's, or ours if it is gone. */
static void locate_base(struct cgroup *cg, pid_t pid, bool relative)
{
    const char *mount = cgroup_v2_root();
    char own[OWN_MAX] = "";
    for (int i = 0; i < CG_V1_COUNT && relative && !cg->pure; i++)
        group_of(pid, cgroup_controllers[i].v1, cg->own[i], sizeof cg->own[i]);
    cg->base[0] = '\0';
    if (!mount)
        return;
    if ((geteuid() != 0 || relative) && !group_of(pid, NULL, own, sizeof own))
        group_of(getpid(), NULL, own, sizeof own);
    strip(own, cg->group);
    strip(own, ASIDE);
    snprintf(cg->base, sizeof cg->base, "%s%s", mount, own);
    if (geteuid() != 0 && access(cg->base, W_OK) < 0)
        cg->base[0] = '\0';
}

void cgroup_locate(struct cgroup *cg, const char *name, const struct conf *conf)
{
    const char *run = place_run();
    cg->elsewhere = locate_elsewhere(cg, name, conf);
    if (cg->elsewhere) {
        /* as it was said */
    } else if (str_eq(run, "/run/pult")) {
        snprintf(cg->group, sizeof cg->group, "pult/%s", name);
    } else {
        uint32_t hash = 2166136261u; /* FNV-1a */
        for (const char *p = run; *p; p++)
            hash = (hash ^ (uint8_t)*p) * 16777619u;
        snprintf(cg->group, sizeof cg->group, "pult-%08x/%s", hash, name);
    }
    cg->pure = is_cgroup2(CGROUP_ROOT);
    const char *inner = conf ? conf_get(conf, "lxc.cgroup.dir.container.inner") : NULL;
    const char *relative = conf ? conf_get(conf, "lxc.cgroup.relative") : NULL;
    snprintf(cg->inner, sizeof cg->inner, "%s", inner ? inner + strspn(inner, "/") : "");
    locate_base(cg, getpid(), relative && str_eq(relative, "1"));
}

void cgroup_path(const struct cgroup *cg, int controller, const char *group, char out[512])
{
    if (controller < 0)
        snprintf(out, 512, "%s/%s", cg->base, group);
    else
        snprintf(out, 512, CGROUP_ROOT "/%s%s/%s", cgroup_controllers[controller].v1,
                 cg->own[controller], group);
}

static void v1_path(const struct cgroup *cg, int controller, char out[512])
{
    cgroup_path(cg, controller, cg->group, out);
}

void cgroup_init(struct cgroup *cg)
{
    *cg = (struct cgroup){.v2 = -1, .entry = -1, .devices = -1};
    for (int i = 0; i < CG_V1_COUNT; i++)
        cg->v1[i] = -1;
}

/* Which controllers are of v1 here. Asked once: a keeper has the answer from who launched it. */
unsigned cgroup_v1(void)
{
    static unsigned mask;
    static bool known;
    if (known)
        return mask;
    known = true;
    if (is_cgroup2(CGROUP_ROOT))
        return 0;
    for (int i = 0; i < CG_V1_COUNT; i++) {
        char path[128];
        struct statfs fs;
        snprintf(path, sizeof path, CGROUP_ROOT "/%s", cgroup_controllers[i].v1);
        if (statfs(path, &fs) == 0 && fs.f_type == CGROUP_SUPER_MAGIC)
            mask |= 1u << i;
    }
    return mask;
}

static void count_one(void *arg, pid_t pid)
{
    (void)pid;
    ++*(unsigned *)arg;
}

/* Is any process in the group or below it? */
static bool group_populated(int dir)
{
    unsigned n = 0;
    cgroup_each(dir, count_one, &n);
    return n > 0;
}

/* mkdir PATH and whatever is missing above it. */
static void make_above(char *path)
{
    for (char *slash = path + strlen(CGROUP_ROOT) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
    mkdir(path, 0755);
}

/*
 * mkdir PATH and the directory above it; another guest may be removing that one meanwhile. What is
 * there already and has processes is the group of a guest of another store, whose runtime directory
 * has the same path elsewhere (in a chroot, say): its limits and its life are not ours.
 */
static int group_open(const char *path, struct error *err)
{
    char up[512];
    snprintf(up, sizeof up, "%.*s", (int)(strrchr(path, '/') - path), path);
    for (int tries = 0; tries < 50; tries++) {
        bool made = mkdir(path, 0755) == 0;
        if (!made && errno == ENOENT) {
            make_above(up);
            continue;
        }
        cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && !made && group_populated(fd)) {
            error_set(err, EBUSY, "use the cgroup '%s'", path);
            return error_hint(err, "a guest of this name runs in another place with the same "
                                   "runtime directory; set PULT_RUN to another one");
        }
        if (fd >= 0)
            return steal_fd(fd);
        if (errno != ENOENT)
            break;
    }
    return error_set(err, errno, "make the cgroup '%s'", path);
}

/* ---- version 2 ---- */

/* Let the groups below dir have a controller. Fails with EBUSY where dir itself has processes. */
static int enable_below(const char *dir, const char *controller)
{
    char path[512], text[32];
    snprintf(path, sizeof path, "%s/cgroup.subtree_control", dir);
    snprintf(text, sizeof text, "+%s", controller);
    return file_put_at(AT_FDCWD, path, text, NULL);
}

/* Enable what a container can use; which of them are there at last shows in its directory. */
static void enable_controllers(const struct cgroup *cg)
{
    char up[512];
    for (int i = 0; i < CG_V1_COUNT; i++) {
        if (!cgroup_controllers[i].v2)
            continue;
        enable_below(cg->base, cgroup_controllers[i].v2);
        for (const char *p = strchr(cg->group, '/'); p; p = strchr(p + 1, '/')) {
            snprintf(up, sizeof up, "%s/%.*s", cg->base, (int)(p - cg->group), cg->group);
            enable_below(up, cgroup_controllers[i].v2);
        }
    }
}

/*
 * Have the processes of pult in a group go to another, if there is one (to: -1). Returns whether
 * there are any but those.
 */
static bool ours_go(const char *dir, int to)
{
    cleanup_free char *text = NULL;
    char path[512], *save;
    struct stat own, st;
    bool others = false;
    snprintf(path, sizeof path, "%s/cgroup.procs", dir);
    if (stat("/proc/self/exe", &own) < 0 ||
        file_read_at(AT_FDCWD, path, 1u << 20, &text, NULL, NULL) < 0)
        return false;
    for (char *w = strtok_r(text, "\n", &save); w; w = strtok_r(NULL, "\n", &save)) {
        snprintf(path, sizeof path, "/proc/%.12s/exe", w);
        if (stat(path, &st) < 0 || st.st_ino != own.st_ino || st.st_dev != own.st_dev)
            others = true;
        else if (to >= 0)
            file_put_at(to, "cgroup.procs", w, NULL);
    }
    return others;
}

/* To the nearest group above that is the user's as well and can have controllers below it. */
static bool go_up(struct cgroup *cg)
{
    char dir[sizeof cg->base];
    for (snprintf(dir, sizeof dir, "%s", cg->base); strlen(dir) > strlen(CGROUP_ROOT);) {
        *strrchr(dir, '/') = '\0';
        if (access(dir, W_OK) < 0)
            return false;
        if (enable_below(dir, "memory") == 0) {
            memcpy(cg->base, dir, sizeof dir);
            return true;
        }
    }
    return false;
}

/*
 * Only processes can be in the way of controllers below. Those of pult step aside; others, such as
 * the shell of a session, stay where they are, and the container's group lies beside theirs.
 */
static void step_aside(struct cgroup *cg)
{
    char path[512];
    if (str_eq(cg->base, CGROUP_ROOT) || enable_below(cg->base, "memory") == 0 ||
        (geteuid() != 0 && ours_go(cg->base, -1) && go_up(cg)))
        return;
    snprintf(path, sizeof path, "%s/" ASIDE, cg->base);
    mkdir(path, 0755);
    cleanup_close int to = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to >= 0)
        ours_go(cg->base, to);
}

/* The group within, with all controllers of the outer one: no process is there to be in the way. */
static int entry_open(struct cgroup *cg, const char *outer, struct error *err)
{
    char path[648];
    snprintf(path, sizeof path, "%s/%s", outer, cg->inner);
    make_above(path);
    for (int i = 0; i < CG_V1_COUNT && cg->pure; i++)
        if (cgroup_controllers[i].v2)
            enable_below(outer, cgroup_controllers[i].v2);
    cg->entry = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return cg->entry < 0 ? error_set(err, errno, "make the cgroup '%s'", path) : 0;
}

int cgroup_entry(const struct cgroup *cg)
{
    return cg->entry >= 0 ? cg->entry : cg->v2;
}

static int create_v2(struct cgroup *cg, struct error *err)
{
    char path[512];
    if (!cg->base[0])
        return 0;
    if (cg->pure)
        step_aside(cg);
    snprintf(path, sizeof path, "%s/%s", cg->base, cg->group);
    cg->v2 = group_open(path, err);
    if (cg->v2 < 0)
        return err->code == EROFS || err->code == EACCES || err->code == EPERM ? 0 : -1;
    if (cg->pure)
        enable_controllers(cg);
    if (*cg->inner && entry_open(cg, path, err) < 0)
        return -1;
    if (cg->elsewhere && geteuid() == 0 && fsetxattr(cg->v2, MARK, "1", 1, 0) < 0)
        return error_set(err, errno, "mark the cgroup '%s' as pult's", path);
    return 0;
}

/* ---- version 1 ---- */

/* A new group of cpuset begins with nothing, and lets nobody in until it has something. */
static int cpuset_inherit(const char *path, struct error *err)
{
    static const char *const files[] = {"cpuset.mems", "cpuset.cpus"};
    char up[512];
    snprintf(up, sizeof up, "%.*s", (int)(strrchr(path, '/') - path), path);
    if (!str_eq(up, CGROUP_ROOT "/cpuset") && cpuset_inherit(up, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        char from[600], to[600];
        cleanup_free char *value = NULL, *have = NULL;
        snprintf(from, sizeof from, "%s/%s", up, files[i]);
        snprintf(to, sizeof to, "%s/%s", path, files[i]);
        if (file_read_at(AT_FDCWD, to, 4096, &have, NULL, err) < 0)
            return -1;
        if (*str_trim(have))
            continue;
        if (file_read_at(AT_FDCWD, from, 4096, &value, NULL, err) < 0 ||
            file_put_at(AT_FDCWD, to, value, err) < 0)
            return -1;
    }
    return 0;
}

/* Those whose figures are shown. */
static const int counting[] = {CG_MEMORY, CG_BLKIO};

static int create_v1(struct cgroup *cg, int controller, struct error *err)
{
    char path[512];
    if (cg->v1[controller] >= 0)
        return 0;
    v1_path(cg, controller, path);
    cg->v1[controller] = group_open(path, err);
    if (cg->v1[controller] < 0)
        return -1;
    if (*cg->inner) {
        const size_t len = strlen(path);
        snprintf(path + len, sizeof path - len, "/%s", cg->inner);
        make_above(path);
    }
    return controller == CG_CPUSET ? cpuset_inherit(path, err) : 0;
}

int cgroup_make(char *path, int controller, struct error *err)
{
    make_above(path);
    return controller == CG_CPUSET ? cpuset_inherit(path, err) : 0;
}

int cgroup_open_v1(struct cgroup *cg, int controller, struct error *err)
{
    if (!(cgroup_v1() & (1u << controller)))
        return error_set(err, 0, "this host has no cgroup controller '%s'",
                         cgroup_controllers[controller].v1);
    if (create_v1(cg, controller, err) < 0)
        return -1;
    cg->v1_joined |= 1u << controller;
    return cg->v1[controller];
}

/* ---- all ---- */

/* Does the whole of v2 have it, so that only a group below may be without? */
static bool v2_has(const char *controller)
{
    cleanup_free char *all = NULL;
    return controller && is_cgroup2(CGROUP_ROOT) &&
           file_read_at(AT_FDCWD, CGROUP_ROOT "/cgroup.controllers", 4096, &all, NULL, NULL) == 0 &&
           strstr(all, controller);
}

/* The controller is there, but not for us, or not at all; what to do about it. */
static int not_to_be_had(const struct limit *l, struct error *err)
{
    const char *controller = cgroup_controllers[l->controller].v1;
    if (geteuid() == 0 && v2_has(cgroup_controllers[l->controller].v2)) {
        error_set(err, 0,
                  "the limit %s needs the cgroup controller '%s' below a group with other "
                  "processes, which has none",
                  l->file, cgroup_controllers[l->controller].v2);
        return error_hint(err, "leave out lxc.cgroup.relative, or call pult in a group of its own: "
                               "`systemd-run --scope -p Delegate=yes pult start NAME`");
    }
    error_set(err, 0, "the limit %s needs the cgroup controller '%s', which %s", l->file,
              controller,
              geteuid() == 0 ? "this host does not have" : "is not delegated to this user");
    if (geteuid() == 0)
        return error_hint(err, "see 'pult doctor'");
    if (cgroup_v1())
        return error_hint(err, "where cgroups are of v1, root alone can limit");
    return error_hint(err,
                      "start it by `systemd-run --user --scope -p Delegate=yes pult start NAME`; "
                      "where that does not help, root has to let users have '%s': Delegate= of "
                      "user@.service",
                      cgroup_controllers[l->controller].v2 ? cgroup_controllers[l->controller].v2
                                                           : controller);
}

/* Of a file that is not there: is its controller? */
static bool has_controller(int dir, const struct limit *l, bool v1)
{
    cleanup_free char *own = NULL;
    return v1 || (cgroup_controllers[l->controller].v2 &&
                  file_read_at(dir, "cgroup.controllers", 4096, &own, NULL, NULL) == 0 &&
                  strstr(own, cgroup_controllers[l->controller].v2));
}

static int limit_write(struct cgroup *cg, const struct limit *l, bool v1, struct error *err)
{
    if (v1 && create_v1(cg, l->controller, err) < 0)
        return err && (err->code == EACCES || err->code == EPERM || err->code == EROFS) &&
                       geteuid() != 0
                   ? not_to_be_had(l, err)
                   : -1;
    int dir = v1 ? cg->v1[l->controller] : cg->v2;
    if (dir < 0)
        return not_to_be_had(l, err);
    if (faccessat(dir, l->file, F_OK, 0) < 0)
        return has_controller(dir, l, v1)
                   ? error_set(err, 0, "this kernel's cgroup controller '%s' has no file '%s'",
                               cgroup_controllers[l->controller].v1, l->file)
                   : not_to_be_had(l, err);
    if (file_put_at(dir, l->file, l->value, err) < 0)
        return error_wrap(err, "limit %s to %s", l->file, l->value);
    if (v1)
        cg->v1_joined |= 1u << l->controller;
    return 0;
}

int cgroup_create(struct cgroup *cg, const struct guest_def *def, bool count, struct error *err)
{
    struct limit list[LIMITS_MAX];
    cgroup_locate(cg, def->name, def->conf);
    unsigned v1 = cgroup_v1();
    int n = limits_of(def, v1, list, err);
    if (n < 0 || create_v2(cg, err) < 0)
        return -1;
    for (int i = 0; i < n; i++)
        if (limit_write(cg, &list[i], v1 & (1u << list[i].controller), err) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_SIZE(counting) && count; i++)
        if ((v1 & (1u << counting[i])) && create_v1(cg, counting[i], NULL) == 0)
            cg->v1_joined |= 1u << counting[i];
    /* Without v2 there is nothing else to freeze and to kill by. */
    if (cg->v2 < 0 && (v1 & (1u << CG_FREEZER)) && create_v1(cg, CG_FREEZER, NULL) == 0) {
        cg->v1_joined |= 1u << CG_FREEZER;
        if (create_v1(cg, CG_CPUACCT, NULL) == 0)
            cg->v1_joined |= 1u << CG_CPUACCT;
    }
    return 0;
}

/* Write to a file of a group, or of the one within. */
static int member_write(int dir, const char *inner, const char *file, pid_t pid, struct error *err)
{
    char text[16], path[160];
    snprintf(text, sizeof text, "%d", pid);
    snprintf(path, sizeof path, "%s%s%s", inner, *inner ? "/" : "", file);
    return file_put_at(dir, path, text, err);
}

/* Put a process into a group, or into the one within. */
static int procs_write(int dir, const char *inner, pid_t pid, struct error *err)
{
    return member_write(dir, inner, "cgroup.procs", pid, err);
}

int cgroup_join(const struct cgroup *cg, int *later, struct error *err)
{
    char path[160];
    if (later)
        *later = -1;
    for (int i = 0; i < CG_V1_COUNT; i++) {
        int ret = 0;
        if (!(cg->v1_joined & (1u << i)))
            continue;
        if (i != CG_CPU || !later)
            ret = member_write(cg->v1[i], cg->inner, "tasks", 0, err);
        else {
            snprintf(path, sizeof path, "%s%stasks", cg->inner, *cg->inner ? "/" : "");
            *later = openat(cg->v1[i], path, O_WRONLY | O_CLOEXEC);
            if (*later < 0)
                ret = error_set(err, errno, "open '%s'", path);
        }
        if (ret < 0)
            return error_wrap(err, "join the container's cgroup of '%s'", cgroup_controllers[i].v1);
    }
    return 0;
}

int cgroup_join_later(int later, struct error *err)
{
    if (later < 0)
        return 0;
    const ssize_t n = write(later, "0", 1);
    const int why = errno;
    close(later);
    return n == 1 ? 0 : error_set(err, why, "join the container's cgroup of 'cpu'");
}

struct mover {
    int to;
    const char *inner;
    unsigned moved;
};

static void move_one(void *arg, pid_t pid)
{
    struct mover *m = arg;
    m->moved += procs_write(m->to, m->inner, pid, NULL) == 0;
}

/* Move the container's processes, which are all in another group of its, into one of v1. */
static bool join_all(struct cgroup *cg, int which)
{
    if (cg->only) {
        if (procs_write(cg->v1[which], "", cg->only, NULL) < 0)
            return false;
        cg->v1_joined |= 1u << which;
        return true;
    }
    int from = cg->v2;
    for (int i = 0; i < CG_V1_COUNT && from < 0; i++)
        if (cg->v1_joined & (1u << i))
            from = cg->v1[i];
    /* A process that forked meanwhile left a child behind: once more catches that one. */
    struct mover m = {.to = cg->v1[which], .inner = cg->inner};
    for (int pass = 0; pass < 2 && from >= 0; pass++)
        cgroup_each(from, move_one, &m);
    if (m.moved)
        cg->v1_joined |= 1u << which;
    return m.moved > 0;
}

void cgroup_join_counting(struct cgroup *cg)
{
    unsigned v1 = cgroup_v1();
    for (size_t i = 0; i < ARRAY_SIZE(counting); i++) {
        int which = counting[i];
        if (cg->v2 >= 0 && (v1 & (1u << which)) && !(cg->v1_joined & (1u << which)) &&
            create_v1(cg, which, NULL) == 0)
            join_all(cg, which);
    }
}

int cgroup_limit(struct cgroup *cg, const struct limit *l, struct error *err)
{
    const unsigned bit = 1u << l->controller;
    const bool joined = cg->v1_joined & bit, v1 = cgroup_v1() & bit;
    if (limit_write(cg, l, v1, err) < 0)
        return -1;
    if (!v1 || joined)
        return 0;
    cg->v1_joined &= ~bit;
    return join_all(cg, l->controller)
               ? 0
               : error_set(err, 0, "the container cannot be put under the limit %s", l->file);
}

int cgroup_delegate(const struct cgroup *cg, uid_t uid, gid_t gid, struct error *err)
{
    static const char *const files[] = {"", "cgroup.procs", "cgroup.threads",
                                        "cgroup.subtree_control"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (fchownat(cgroup_entry(cg), files[i], uid, gid, AT_EMPTY_PATH) < 0)
            return error_set(err, errno, "give the container its cgroup");
    return 0;
}

int cgroup_leaf(const struct cgroup *cg)
{
    mkdirat(cgroup_entry(cg), "pult-exec", 0755);
    return openat(cgroup_entry(cg), "pult-exec", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- figures ---- */

static void figure(struct figure_source *f, enum figure_kind kind, const char *dir,
                   const char *file)
{
    f->kind = kind;
    if (snprintf(f->path, sizeof f->path, "%s/%s", dir, file) >= (int)sizeof f->path)
        f->kind = FIGURE_NONE;
}

void cgroup_figures(const struct cgroup *cg, pid_t init, struct figure_source figures[FIGURES])
{
    char v2[512], proc[32], v1[512];
    snprintf(v2, sizeof v2, "%s/%s", cg->base, cg->group);
    snprintf(proc, sizeof proc, "/proc/%d", init);
    if (cg->v2 >= 0)
        figure(&figures[FIGURE_CPU], FIGURE_CPU_STAT, v2, "cpu.stat");
    else if (cg->v1_joined & (1u << CG_CPUACCT))
        v1_path(cg, CG_CPUACCT, v1),
            figure(&figures[FIGURE_CPU], FIGURE_NUMBER, v1, "cpuacct.usage");
    else
        figure(&figures[FIGURE_CPU], FIGURE_PROC_STAT, proc, "stat");

    if (cg->v2 >= 0 && faccessat(cg->v2, "memory.current", F_OK, 0) == 0)
        figure(&figures[FIGURE_MEMORY], FIGURE_NUMBER, v2, "memory.current");
    else if (cg->v1_joined & (1u << CG_MEMORY))
        v1_path(cg, CG_MEMORY, v1),
            figure(&figures[FIGURE_MEMORY], FIGURE_NUMBER, v1, "memory.usage_in_bytes");
    else
        figure(&figures[FIGURE_MEMORY], FIGURE_PROC_STATM, proc, "statm");

    if (cg->v2 >= 0 && faccessat(cg->v2, "io.stat", F_OK, 0) == 0)
        figure(&figures[FIGURE_DISK], FIGURE_IO_STAT, v2, "io.stat");
    else if (cg->v1_joined & (1u << CG_BLKIO))
        v1_path(cg, CG_BLKIO, v1),
            figure(&figures[FIGURE_DISK], FIGURE_BLKIO, v1, "blkio.throttle.io_service_bytes");
    else
        figure(&figures[FIGURE_DISK], FIGURE_PROC_IO, proc, "io");
    figure(&figures[FIGURE_NET], FIGURE_NET_DEV, proc, "net/dev");
}

/* ---- of a keeper ---- */

int cgroup_of_keeper(struct cgroup *cg, const char *name, pid_t keeper, bool make,
                     struct error *err)
{
    cleanup_free char *own = xasprintf("%s@%d", name, keeper);
    cgroup_init(cg);
    cgroup_locate(cg, own, NULL);
    locate_base(cg, keeper, false);
    cg->only = keeper;
    cgroup_open_all(cg);
    /* Of a keeper that is gone: it may have been made beside where we are, see step_aside(). */
    for (char *end; !make && geteuid() != 0 && cg->v2 < 0 && (end = strrchr(cg->base, '/')) &&
                    strlen(cg->base) > strlen(CGROUP_ROOT);) {
        *end = '\0';
        cgroup_open_all(cg);
    }
    for (int i = 0; i < CG_V1_COUNT; i++)
        if (cg->v1[i] >= 0)
            cg->v1_joined |= 1u << i;
    if (!make || !cg->pure || cg->v2 >= 0)
        return 0;
    if (create_v2(cg, err) < 0)
        return -1;
    if (cg->v2 >= 0 && procs_write(cg->v2, "", keeper, err) < 0)
        return error_wrap(err, "put the keeper into a cgroup");
    enable_controllers(cg); /* where it was itself in the way */
    return 0;
}

void cgroup_close(struct cgroup *cg)
{
    if (cg->v2 >= 0)
        close(cg->v2);
    for (int i = 0; i < CG_V1_COUNT; i++)
        if (cg->v1[i] >= 0)
            close(cg->v1[i]);
    cgroup_init(cg);
}

/* rmdir NAME@… in a directory of groups: those of keepers that are gone. */
static void remove_idle(const char *dir, const char *name)
{
    cleanup_closedir DIR *d = opendir(dir);
    const size_t len = strlen(name);
    for (const struct dirent *e; d && (e = readdir(d));)
        if (strncmp(e->d_name, name, len) == 0 && e->d_name[len] == '@')
            unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
}

void cgroup_remove_keeper(const char *name, pid_t keeper)
{
    struct cgroup cg;
    if (keeper) {
        cgroup_of_keeper(&cg, name, keeper, false, NULL);
        cgroup_remove(&cg);
        return;
    }
    char path[600], *slash;
    cgroup_init(&cg);
    cgroup_locate(&cg, name, NULL);
    for (int i = -1; i < CG_V1_COUNT; i++) {
        if (i < 0)
            snprintf(path, sizeof path, "%s/%s", cg.base, cg.group);
        else
            v1_path(&cg, i, path);
        if ((i >= 0 ? !cg.pure : cg.base[0] != '\0') && (slash = strrchr(path, '/'))) {
            *slash = '\0';
            remove_idle(path, name);
            rmdir(path);
        }
    }
}

/* ---- what is possible here ---- */

/* May the caller limit with this controller? */
static bool controller_usable(const struct cgroup *cg, int controller, unsigned v1)
{
    char path[512];
    if (v1 & (1u << controller)) {
        snprintf(path, sizeof path, CGROUP_ROOT "/%s", cgroup_controllers[controller].v1);
        return access(path, W_OK) == 0;
    }
    if (!cg->pure || !cg->base[0] || !cgroup_controllers[controller].v2)
        return false;
    cleanup_free char *have = NULL;
    if (file_read_at(AT_FDCWD,
                     (snprintf(path, sizeof path, "%s/cgroup.controllers", cg->base), path), 4096,
                     &have, NULL, NULL) < 0)
        return false;
    char *save;
    for (char *w = strtok_r(have, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
        if (str_eq(w, cgroup_controllers[controller].v2))
            return true;
    return false;
}

int cgroup_check(const struct guest_def *def, struct error *err)
{
    struct limit list[LIMITS_MAX];
    struct cgroup cg;
    unsigned v1 = cgroup_v1();
    int n = limits_of(def, v1, list, err);
    if (n <= 0)
        return n;
    cgroup_init(&cg);
    cgroup_locate(&cg, def->name, def->conf);
    for (int i = 0; i < n; i++) {
        if (controller_usable(&cg, list[i].controller, v1))
            continue;
        return not_to_be_had(&list[i], err);
    }
    return 0;
}

void cgroup_doctor(struct doctor *d)
{
    struct cgroup cg;
    cgroup_init(&cg);
    cgroup_locate(&cg, "doctor", NULL);
    unsigned v1 = cgroup_v1();
    bool hybrid = !cg.pure && is_cgroup2(CGROUP_ROOT "/unified");
    char missing[128] = "";
    for (int i = 0; i < CG_V1_COUNT; i++)
        if (cgroup_controllers[i].v2 && !controller_usable(&cg, i, v1))
            snprintf(missing + strlen(missing), sizeof missing - strlen(missing), " %s",
                     cgroup_controllers[i].v1);
    const char *layout = cg.pure ? "v2" : hybrid ? "v1 hybrid" : v1 ? "v1" : "none";
    if (!*missing)
        doctor_line(d, FINDING_OK, "cgroup", NULL, "%s, with all controllers", layout);
    else
        doctor_line(d, FINDING_NOTE, "cgroup",
                    geteuid() == 0 ? "boot with cgroup v2 mounted at " CGROUP_ROOT
                                   : "systemd-run --user --scope -p Delegate=yes pult",
                    "%s; no limits for:%s", layout, missing);
    if (!cg.base[0])
        doctor_line(d, FINDING_NOTE, "freeze",
                    geteuid() == 0 ? NULL : "systemd-run --user --scope -p Delegate=yes pult", "%s",
                    geteuid() == 0
                        ? "by the freezer of v1"
                        : "this user may make no cgroup, so containers cannot be frozen");
}
