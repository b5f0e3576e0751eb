/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Namespaces that are not a container's own: those of the host that it keeps (lxc.namespace.keep,
 * or not named by lxc.namespace.clone), those of another that it shares (lxc.namespace.share.*), and
 * the one of time, whose offsets can only be set before anything is in it.
 *
 * Once it has a user namespace a process has no say in namespaces of others. So the keeper goes
 * there itself for the moment in which it makes the first process, and comes back; what `pult exec`
 * runs joins these before all others. That takes root.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "guest/store.h"
#include "lxc/container.h"
#include "lxc/foreign.h"

/* The flag of each, and which of NS_… it is; those that are a container's own in each case: 0. */
static const struct {
    int flag, number;
} kinds[SHARE_COUNT] = {
    [SHARE_CGROUP] = {CLONE_NEWCGROUP, NS_CGROUP}, [SHARE_IPC] = {CLONE_NEWIPC, NS_IPC},
    [SHARE_NET] = {CLONE_NEWNET, NS_NET},          [SHARE_PID] = {CLONE_NEWPID, NS_PID},
    [SHARE_TIME] = {CLONE_NEWTIME, NS_TIME},       [SHARE_UTS] = {CLONE_NEWUTS, NS_UTS},
};

static bool has_offsets(const struct settings *s)
{
    return s->boot.tv_sec || s->boot.tv_nsec || s->monotonic.tv_sec || s->monotonic.tv_nsec;
}

enum namespace_kind namespace_kind(const struct settings *s, int which)
{
    if (s->share[which])
        return NAMESPACE_SHARED;
    if (which == SHARE_TIME)
        return has_offsets(s) ? NAMESPACE_SHARED : NAMESPACE_KEPT;
    if ((s->keep & 1u << which) || (s->make && !(s->make & 1u << which)))
        return NAMESPACE_KEPT;
    return NAMESPACE_OWN;
}

int namespaces_flags(const struct settings *s)
{
    int flags = CLONE_NEWUSER | CLONE_NEWNS;
    for (int i = 0; i < SHARE_COUNT; i++)
        if (kinds[i].flag && namespace_kind(s, i) == NAMESPACE_OWN)
            flags |= kinds[i].flag;
    return flags;
}

/* The process whose namespace it is to be: a number, a guest's name, or PLACE/NAME of LXC's. */
static pid_t process_of(const char *who, struct error *err)
{
    int64_t number;
    if (number_parse(who, 1, INT32_MAX, &number, NULL) == 0)
        return (pid_t)number;
    if (who[0] == '/') {
        const char *name = strrchr(who, '/') + 1;
        cleanup_free char *place = xstrndup(who, (size_t)(name - who - 1));
        pid_t pid = foreign_init(place, name, err);
        return pid < 0 && err->code == ESRCH ? error_set(err, 0, "no container runs at '%s'", who)
                                             : pid;
    }
    struct guest_info info;
    if (store_info(who, &info, err) < 0)
        return -1;
    pid_t pid = state_alive(info.state) ? info.page.guest_pid : 0;
    guest_info_clear(&info);
    return pid > 0 ? pid : error_set(err, 0, "'%s' does not run", who);
}

static int open_of(pid_t pid, int which, struct error *err)
{
    char path[64];
    if (pid > 0)
        snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, share_names[which]);
    else
        snprintf(path, sizeof path, "/proc/self/ns/%s", share_names[which]);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? error_set(err, errno, "open '%s'", path) : fd;
}

/* Begin a namespace of time for children. */
static int time_begin(const struct settings *s, struct error *err)
{
    cleanup_free char *text =
        xasprintf("monotonic %lld %ld\nboottime %lld %ld\n", (long long)s->monotonic.tv_sec,
                  s->monotonic.tv_nsec, (long long)s->boot.tv_sec, s->boot.tv_nsec);
    if (unshare(CLONE_NEWTIME) < 0)
        return error_set(err, errno, "make a namespace of time (lxc.time.offset)");
    if (file_put_at(AT_FDCWD, "/proc/self/timens_offsets", text, err) < 0)
        return error_wrap(err, "lxc.time.offset");
    return 0;
}

static int enter_one(const struct settings *s, int which, int *back, struct error *err)
{
    *back = open_of(0, which, err);
    if (*back < 0)
        return -1;
    if (!s->share[which])
        return time_begin(s, err);
    pid_t pid = process_of(s->share[which], err);
    cleanup_close int fd = pid > 0 ? open_of(pid, which, err) : -1;
    if (fd >= 0 && setns(fd, kinds[which].flag) == 0)
        return 0;
    if (fd >= 0)
        error_set(err, errno, "join it");
    return error_wrap(err, "lxc.namespace.share.%s", share_names[which]);
}

/* A /proc of the pid namespace that is shared, in a process in that. */
static int proc_mount(struct config *c, struct error *err)
{
    (void)c;
    return fs_mount("proc", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, NULL, err);
}

/* Only a process in it can make it, and only one with the host's rights. It becomes the container's. */
static int proc_make(struct config *c, struct error *err)
{
    const int fd = message_made_by(proc_mount, c, err);
    if (fd < 0)
        return error_wrap(err, "mount the /proc of another's processes");
    c->mounts = xrealloc(c->mounts, c->mount_count + 1, sizeof *c->mounts);
    struct mount_entry *e = &c->mounts[c->mount_count++];
    *e = (struct mount_entry){.bind = true,
                              .source = xstrdup("/proc"),
                              .target = xstrdup("proc"),
                              .type = xstrdup("none"),
                              .tree = {.fd = fd, .given = true}};
    e->tree.path = e->source;
    return 0;
}

int namespaces_enter(struct config *c, struct namespaces_back *back, struct error *err)
{
    const struct settings *s = &c->set;
    memset(back->fd, -1, sizeof back->fd);
    for (int i = 0; i < SHARE_COUNT; i++)
        if (kinds[i].flag && namespace_kind(s, i) == NAMESPACE_SHARED &&
            enter_one(s, i, &back->fd[i], err) < 0) {
            namespaces_return(back);
            return -1;
        }
    if (!s->share[SHARE_PID] || proc_make(c, err) == 0)
        return 0;
    namespaces_return(back);
    return -1;
}

/* A keeper that stays elsewhere would be of no use. */
void namespaces_return(struct namespaces_back *back)
{
    for (int i = 0; i < SHARE_COUNT; i++) {
        if (back->fd[i] < 0)
            continue;
        if (setns(back->fd[i], kinds[i].flag) < 0) {
            dprintf(2, "come back from the %s namespace of another: %s\n", share_names[i],
                    strerror(errno));
            _exit(1);
        }
        close(steal_fd(back->fd[i]));
    }
}

/* Which of them NS_… is; -1: user or mnt. */
static int share_of(size_t number)
{
    for (int i = 0; i < SHARE_COUNT; i++)
        if (kinds[i].flag && kinds[i].number == (int)number)
            return i;
    return -1;
}

int namespaces_join(const struct settings *s, const int fds[NS_COUNT], struct error *err)
{
    for (int own = 0; own < 2; own++)
        for (size_t i = 0; i < NS_COUNT; i++) {
            int which = share_of(i);
            enum namespace_kind kind = which < 0 ? NAMESPACE_OWN : namespace_kind(s, which);
            if (kind == (own ? NAMESPACE_OWN : NAMESPACE_SHARED) && setns(fds[i], 0) < 0)
                return error_set(err, errno, "join the container's namespaces");
        }
    return 0;
}
