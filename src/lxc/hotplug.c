/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mounts that a running container is given, or that are taken from it: directories and files of the
 * host's, and nodes of devices. Each is a line of lxc.mount.entry, as in its definition.
 *
 *     keeper  opens the host's side as a mount tree, lets the group use the device (devices.c)
 *       └─ a helper joins the container's user and mount namespace, where its root is /, and puts
 *          the tree onto a descriptor that it opened below that root: links of the container's lead
 *          nowhere else. Should the container keep it waiting (FUSE), it is killed
 *
 * A user's helper opens the host's side itself, in a copy of the host's mounts: only his user
 * namespace may clone them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "lxc/container.h"
#include "lxc/devices.h"
#include "lxc/sys.h"

#define HELPER_MS 3000 /* more than enough on a machine that is all but dead */
#define ALLOW     "lxc.cgroup2.devices.allow"
#define ENTRY     "lxc.mount.entry"

struct plug {
    struct container *c;
    struct mount_entry *entry; /* NULL: its resolv.conf */
    bool remove;
};

/* ---- in the helper ---- */

/* Take what is mounted there away, and the empty file that it was put on. */
static int unplug(const char *target, struct error *err)
{
    struct stat st;
    cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int at = root < 0 ? -1 : sys_open_in_root(root, target, O_PATH, 0, 0);
    if (at < 0)
        return error_set(err, errno, "open '/%s' in the container", target);
    cleanup_free char *full = xasprintf("/%s", target);
    if (umount2(full, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
        return errno == EINVAL ? error_set(err, 0, "nothing is mounted on '%s'", full)
                               : error_set(err, errno, "unmount '%s'", full);
    if (lstat(full, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 && st.st_nlink == 1)
        unlink(full);
    return 0;
}

static int plug_here(const struct plug *p, struct error *err)
{
    const struct container *c = p->c;
    if (setns(c->namespaces[NS_USER], 0) < 0)
        return error_set(err, errno, "join the container's user namespace");
    if (!c->config.privileged && p->entry && !p->remove &&
        (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
         tree_take(&c->config, &p->entry->tree, -1, err) < 0))
        return err->code ? -1 : error_set(err, errno, "copy the host's mounts");
    if (setns(c->namespaces[NS_MNT], 0) < 0)
        return error_set(err, errno, "join the container's mounts");
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_set(err, errno, "become the container's root");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    umask(022);
    if (p->remove)
        return unplug(p->entry->target, err);
    cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_set(err, errno, "open the container's root");
    if (p->entry)
        return mounts_entry(p->entry, root, err);
    network_resolver(&c->config, root, c->names);
    return 0;
}

/* ---- in the keeper ---- */

/* Run the helper, for some time at most. */
static int plug_there(const struct plug *p, struct error *err)
{
    struct message m = {.kind = MESSAGE_STARTED};
    int sock[2], pidfd = -1;
    struct clone_args args = {.flags = CLONE_PIDFD,
                              .pidfd = (uint64_t)(uintptr_t)&pidfd,
                              .exit_signal = SIGCHLD};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
        return error_set(err, errno, "create a socket");
    pid_t pid = sys_clone3(&args);
    if (pid == 0) {
        struct error why = {0};
        spawn_reset_signals();
        if (plug_here(p, &why) < 0) {
            m.kind = MESSAGE_FAILED;
            snprintf(m.text, sizeof m.text, "%s", why.text);
        }
        message_send(sock[1], &m, NULL, 0);
        _exit(0);
    }
    int why = errno;
    close(sock[1]);
    cleanup_close int answer = sock[0];
    if (pid < 0)
        return error_set(err, why, "start a process");
    struct pollfd wait = {.fd = answer, .events = POLLIN};
    int ret = -1;
    if (poll(&wait, 1, HELPER_MS) == 0)
        error_set(err, ETIMEDOUT, "wait for the container's file system");
    else if (message_recv(answer, &m, NULL, 0) < 0)
        error_set(err, errno, "change the container's mounts");
    else
        ret = m.kind == MESSAGE_STARTED ? 0 : error_set(err, 0, "%s", m.text);
    spawn_reap(pid, pidfd, 0);
    return ret;
}

/* "c 10:229 rwm" of a device; false: it is none. */
static bool device_rule(const char *path, char out[48])
{
    struct stat st;
    if (stat(path, &st) < 0 || !(S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)))
        return false;
    snprintf(out, 48, "%c %u:%u rwm", S_ISCHR(st.st_mode) ? 'c' : 'b', gnu_dev_major(st.st_rdev),
             gnu_dev_minor(st.st_rdev));
    return true;
}

/* Let the container use the device, besides those that it may use already; or no more. */
static int device_allow(struct container *c, const char *path, bool allow, struct error *err)
{
    char rule[48];
    struct conf *conf = c->keeper->def->conf;
    if (!device_rule(path, rule))
        return 0;
    cleanup_conf struct conf *now = conf_copy(conf);
    if (allow)
        conf_add(now, ALLOW, rule);
    /*
     * The others stay in their places: what is said later, as by deny, goes before. The last goes, for
     * one before it may be the definition's own.
     */
    for (size_t i = now->count; !allow && i-- > 0;)
        if (str_eq(now->lines[i].key, ALLOW) && str_eq(now->lines[i].value, rule)) {
            conf_remove(now, i);
            break;
        }
    if (devices_apply(&c->cgroup, now, false, err) < 0)
        return -1;
    c->keeper->def->conf = now;
    now = conf;
    return 0;
}

/*
 * The last line of the keeper's copy of the definition that mounts there; SIZE_MAX: none does. What
 * was added is in there, too: a container that reboots has what it had.
 */
static size_t line_of(const struct container *c, const struct mount_entry *m)
{
    const struct conf *conf = c->keeper->def->conf;
    for (size_t i = conf->count; i-- > 0;) {
        struct mount_entry have;
        if (!str_eq(conf->lines[i].key, ENTRY))
            continue;
        if (!*conf->lines[i].value)
            break;
        if (mounts_parse(&c->config, conf->lines[i].value, &have, NULL) < 0)
            continue;
        const bool same = str_eq(have.target, m->target);
        mount_entry_clear(&have);
        if (same)
            return i;
    }
    return SIZE_MAX;
}

/*
 * Nothing is taken that is not in the definition: below it lie the container's own /proc, /sys and
 * /dev, and what hides the host's in them.
 */
static int may_take(const struct container *c, const struct mount_entry *m, struct error *err)
{
    if (line_of(c, m) != SIZE_MAX)
        return 0;
    error_set(err, 0, "nothing that was added is mounted there");
    return error_hint(err,
                      "lxc.mount.entry of `pult config get %s` tells what is in its definition",
                      c->keeper->def->name);
}

int hotplug_resolver(struct container *c, struct error *err)
{
    const struct plug p = {.c = c};
    return plug_there(&p, err);
}

int hotplug(struct container *c, const char *line, bool remove, struct error *err)
{
    struct mount_entry m;
    if (c->init <= 0)
        return error_set(err, ESRCH, "change the container's mounts");
    if (mount_entry_parse(line, &m, err) < 0)
        return -1;
    const struct plug p = {.c = c, .entry = &m, .remove = remove};
    bool allowed = remove;
    int ret = 0;
    if (!mount_entry_is_tree(&m) || m.tree.type)
        ret = error_set(err, 0, "only a part of the host's files can be added, with 'bind'");
    if (ret == 0)
        ret = remove ? may_take(c, &m, err) : device_allow(c, m.source, true, err);
    allowed |= ret == 0;
    if (ret == 0 && !remove && c->config.privileged)
        ret = tree_take(&c->config, &m.tree, c->namespaces[NS_USER], err);
    if (ret == 0)
        ret = plug_there(&p, err);
    struct error why;
    if ((ret == 0) == remove && allowed && device_allow(c, m.source, false, &why) < 0)
        log_line("%s", why.text);
    if (ret == 0 && remove)
        conf_remove(c->keeper->def->conf, line_of(c, &m));
    else if (ret == 0)
        conf_add(c->keeper->def->conf, ENTRY, line);
    if (ret < 0)
        error_wrap(err, remove ? "take '/%s' away" : "add '/%s'", m.target);
    if (m.tree.fd >= 0)
        close(m.tree.fd);
    m.tree.fd = -1;
    mount_entry_clear(&m);
    return ret;
}
