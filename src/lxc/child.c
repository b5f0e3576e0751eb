/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The container's first process, from clone3() to its init. It is a copy of the keeper, and trusts
 * what it copied; nothing of the container runs before its last step. Whatever fails is told to the
 * keeper in words.
 *
 * It is not dumpable, so that a process that shares its ids (a user's container) cannot trace it,
 * and its descriptors are closed first of all.
 */
#include "lxc/container.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/hooks.h"
#include "lxc/process.h"
#include "lxc/sys.h"
#include "net/batch.h"

/* Those that spawn.c leaves to this process, which has all capabilities over the others. */
#define PTY_SLAVE       1 /* of the descriptors of MESSAGE_CONSOLE */
#define NAMESPACES_LATE (CLONE_NEWNET | CLONE_NEWIPC)

#define LOG   4 /* where hooks print to, while there are some that are the host's */
#define LATER 4 /* else: what cgroup_join_later() takes */

static bool hooks_here(const struct settings *s)
{
    return hooks_any(s, HOOK_PRE_MOUNT) || hooks_any(s, HOOK_MOUNT) || hooks_any(s, HOOK_AUTODEV);
}

/*
 * Keep the socket, as descriptor 3, and one more: *later, which moves, or the log for hooks. At 0,
 * 1, 2 is /dev/null, until the console is there.
 */
static int descriptors_reset(const struct settings *s, int sock, int *later)
{
    const int fourth = hooks_here(s) ? 2 : *later;
    sock = fcntl(sock, F_DUPFD_CLOEXEC, 5); /* out of the way */
    if (fourth >= 0 && fourth != 4)
        dup3(fourth, 4, O_CLOEXEC);
    dup3(sock, 3, O_CLOEXEC);
    if (*later >= 0)
        *later = LATER;
    close_range(fourth >= 0 ? 5 : 4, ~0u, 0);
    close_range(0, 2, 0);
    for (int fd = 0; fd < 3; fd++)
        open("/dev/null", O_RDWR);
    return 3;
}

/* Wait for the keeper, and take the trees it sends. */
static void wait_go(struct container *ct, int sock)
{
    struct config *c = &ct->config;
    int fds[MESSAGE_FDS], n, used = 0;
    struct message m;
    n = message_recv(sock, &m, fds, MESSAGE_FDS);
    if (n < 0 || m.kind != MESSAGE_GO)
        _exit(1); /* the keeper is gone, or changed its mind */
    const char *mark = m.text;
    for (size_t i = 0; i < c->tree_count; i++)
        c->trees[i].fd = *mark++ == '+' && used < n ? fds[used++] : -1;
    for (size_t i = 0; i < c->mount_count; i++)
        c->mounts[i].tree.fd = *mark++ == '+' && used < n ? fds[used++] : -1;
    if (c->root == ROOT_LAYERS && c->trees[1].fd < 0 && c->privileged)
        c->root = ROOT_DIR; /* rootfs_layers() */
    snprintf(ct->names, sizeof ct->names, "%s", mark + 1);
}

/* Become root of the user namespace. */
static int become_root(struct error *err)
{
    setgroups(0, NULL); /* a user without a range of ids may not, and has none to lose */
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_set(err, errno, "become the container's root");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    umask(022);
    return 0;
}

/* The loopback interface, which every program expects. */
static int loopback_up(struct error *err)
{
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
        return error_set(err, errno, "set the loopback interface up");
    return 0;
}

/*
 * What needs no ids, while the keeper is at work: the other namespaces, and descriptors of them for
 * the keeper. Later nobody may look at them, since this process is not dumpable.
 */
static int namespaces_make(const struct config *c, int fds[NS_COUNT - NS_GIVEN], struct error *err)
{
    if (unshare(namespaces_flags(&c->set) & NAMESPACES_LATE) < 0) {
        int why = errno;
        error_set(err, why, "create the container's namespaces");
        if (why == EPERM || why == ENOSPC || why == EUSERS)
            error_hint(err, "are namespaces limited here? see /proc/sys/user and 'pult doctor'");
        return -1;
    }
    cleanup_close int dir = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = NS_GIVEN; i < NS_COUNT; i++) {
        int fd = openat(dir, namespace_names[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return error_set(err, errno, "open '/proc/self/ns/%s'", namespace_names[i]);
        fds[i - NS_GIVEN] = fd;
    }
    return c->nics.host ? 0 : loopback_up(err);
}

/* Let the keeper make interfaces: with nothing to make them in, should that have failed. */
static int network_offer(int sock, int ns, bool failed, struct error *err)
{
    struct message m = {.kind = MESSAGE_NETWORK};
    cleanup_close int inside = failed ? -1 : batch_socket(err);
    const int fds[] = {ns, inside};
    if (message_send(sock, &m, fds, inside >= 0 ? ARRAY_SIZE(fds) : 0) < 0)
        return error_set(err, errno, "hand the network over");
    return failed || inside < 0 ? -1 : 0;
}

static int ttys_offer(struct container *c, int sock, struct error *err)
{
    struct message m = {.kind = MESSAGE_TTYS};
    size_t n = (size_t)c->config.set.ttys * TTY_FDS;
    if (n == 0)
        return 0;
    if (message_send(sock, &m, c->ttys, n) < 0)
        return error_set(err, errno, "hand the terminals over");
    for (size_t i = 0; i < n; i++)
        close(c->ttys[i]);
    return 0;
}

/* Hooks of the host's, which still see its files; the root is where they are told. */
static int hooks_mount(const struct container *ct, enum hook_kind kind, struct error *err)
{
    const struct hook_facts facts = {.root = rootfs_path(&ct->config), .log = LOG};
    return hooks_run(ct->keeper->def, &ct->config.set, kind, &facts, err);
}

static int mount_all(struct container *ct, int pty[3], struct error *err)
{
    struct config *c = &ct->config;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_set(err, errno, "make the mounts private");
    if (hooks_mount(ct, HOOK_PRE_MOUNT, err) < 0)
        return -1;
    if (!c->privileged && trees_open(c, err) < 0)
        return -1;
    cleanup_close int root = rootfs_mount(c, err);
    if (root < 0 || mounts_system(c, root, err) < 0 || dev_mount(c, root, pty, ct->ttys, err) < 0 ||
        mounts_entries(c, root, err) < 0 || hooks_mount(ct, HOOK_MOUNT, err) < 0 ||
        hooks_mount(ct, HOOK_AUTODEV, err) < 0)
        return -1;
    trees_close(c);
    if (hooks_here(&c->set))
        close(LOG);
    if (*ct->names)
        network_resolver(c, root, ct->names);
    if (rootfs_options(c, root, err) < 0)
        return -1;

    /* pivot_root(2), "pivot_root(".", ".")": the old root ends on top of the new one, and goes */
    if (fchdir(root) < 0 || sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
        chdir("/") < 0)
        return error_set(err, errno, "change to the new root");
    return 0;
}

/* Wait until the keeper has the terminals, and no list of devices but the one that was said holds. */
static void wait_limits(int sock)
{
    struct message m;
    if (message_recv(sock, &m, NULL, 0) < 0 || m.kind != MESSAGE_GO)
        _exit(1); /* the keeper knows why */
}

/* Let the keeper run lxc.hook.start-host, and wait for it. */
static int hooks_await(const struct container *c, int sock, struct error *err)
{
    struct message m = {.kind = MESSAGE_READY};
    if (!hooks_any(&c->config.set, HOOK_START_HOST))
        return 0;
    if (message_send(sock, &m, NULL, 0) < 0)
        return error_set(err, errno, "wait for lxc.hook.start-host");
    if (message_recv(sock, &m, NULL, 0) < 0 || m.kind != MESSAGE_GO)
        _exit(1); /* the keeper knows why */
    return 0;
}

/* End with the keeper. A change of ids would undo this, so it comes last. */
static void die_with_keeper(const struct config *c, int sock)
{
    struct pollfd p = {.fd = sock};
    prctl(PR_SET_PDEATHSIG, c->set.pdeath_said ? c->set.pdeath_signal : SIGKILL, 0, 0, 0);
    if (poll(&p, 1, 0) != 0)
        _exit(1);
}

/*
 * Everything up to the last step. joined: how what came before went, which the keeper is to hear.
 * later: a group of v1 that is to be joined before anything of the container's is run.
 */
static int child_setup(struct container *c, int joined, int later, int sock, int fds[CONSOLE_FDS],
                       struct error *err)
{
    int ret = joined;
    struct config *cf = &c->config;
    cf->notify_sock = sock;
    spawn_reset_signals();
    if (ret == 0)
        ret = namespaces_make(cf, fds + 3, err);
    if (nics_any(&cf->nics))
        ret = network_offer(sock, fds[3 + NS_NET - NS_GIVEN], ret < 0, err);
    wait_go(c, sock); /* an error is heard only after it */
    if (ret < 0 || become_root(err) < 0 || mount_all(c, fds, err) < 0 ||
        ttys_offer(c, sock, err) < 0)
        return -1;
    struct message m = {.kind = MESSAGE_CONSOLE};
    if (message_send(sock, &m, fds, CONSOLE_FDS) < 0)
        return error_set(err, errno, "hand the console over");
    for (size_t i = 0; i < CONSOLE_FDS; i++)
        if (i != PTY_SLAVE)
            close(fds[i]);
    if (namespace_kind(&cf->set, SHARE_UTS) == NAMESPACE_OWN &&
        sethostname(cf->hostname, strlen(cf->hostname)) < 0)
        return error_set(err, errno, "set the host name '%s'", cf->hostname);
    if (process_keyring(&cf->set, err) < 0 || process_surround(&cf->set, err) < 0)
        return -1;
    wait_limits(sock);
    if (hooks_await(c, sock, err) < 0 || cgroup_join_later(later, err) < 0 ||
        privileges_drop(cf, err) < 0 || hooks_run_inside(c, err) < 0)
        return -1;
    /* Our own init stays root, and its command becomes another (init.c). */
    if (!cf->app &&
        (process_become(&cf->set, fds[PTY_SLAVE], err) < 0 || process_label(&cf->set, -1, err) < 0))
        return -1;
    die_with_keeper(cf, sock);
    return privileges_filter(cf, err);
}

void child_main(struct container *c, int sock)
{
    int fds[CONSOLE_FDS], status = 1, later = -1;
    struct error err = {0};

    memset(fds, -1, sizeof(fds));
    /*
     * A quota of CPU time is for the container, not for its start, which a small one would stop for
     * tenths of a second. But what hooks leave behind is under it.
     */
    const bool late = !hooks_here(&c->config.set);
    const int joined = cgroup_join(&c->cgroup, late ? &later : NULL, &err);
    sock = descriptors_reset(&c->config.set, sock, &later);
    if (child_setup(c, joined, later, sock, fds, &err) == 0)
        init_run(&c->config, sock, fds[PTY_SLAVE], &status, &err);
    struct message m = {.kind = MESSAGE_FAILED, .value = status};
    snprintf(m.text, sizeof m.text, "%s", err.text);
    message_send(sock, &m, NULL, 0);
    _exit(status);
}
