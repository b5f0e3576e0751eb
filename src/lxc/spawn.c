/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first process: created with its namespaces, and its cgroup of v2, in one clone3(), then given
 * its ids and the trees of its file systems over a socket. It does the rest by itself, while the
 * keeper's loop goes on.
 *
 * A network namespace takes the kernel longer than all else together (0.7 ms), and one for IPC some
 * time too: those the process makes for itself, while the keeper opens the trees.
 */
#include "lxc/container.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "lxc/devices.h"
#include "lxc/process.h"
#include "lxc/sys.h"

#define DIES_MS 1000 /* of a helper that was killed, if it can die at all */

/* All but those that child.c makes. */
#define NAMESPACES_LATER (CLONE_NEWNET | CLONE_NEWIPC)

const char *const namespace_names[NS_COUNT] = {
    [NS_USER] = "user",     [NS_MNT] = "mnt",   [NS_PID] = "pid", [NS_UTS] = "uts",
    [NS_CGROUP] = "cgroup", [NS_TIME] = "time", [NS_IPC] = "ipc", [NS_NET] = "net",
};

union fd_control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int) * MESSAGE_FDS)];
};

int message_send(int sock, const struct message *m, const int *fds, size_t nfds)
{
    union fd_control control;
    struct iovec iov = {(void *)m, sizeof *m};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    if (nfds > 0) {
        h.msg_control = &control;
        h.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
    }
    return sendmsg(sock, &h, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int message_recv(int sock, struct message *m, int *fds, size_t room)
{
    union fd_control control;
    struct iovec iov = {m, sizeof *m};
    struct msghdr h = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        /* CMSG_LEN, not CMSG_SPACE: its padding has room for a descriptor that fds has not. */
        .msg_controllen = CMSG_LEN(sizeof(int) * (room < MESSAGE_FDS ? room : MESSAGE_FDS)),
    };
    ssize_t n;
    do {
        n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof *m) {
        if (n >= 0)
            errno = EPIPE;
        return -1;
    }
    m->text[sizeof m->text - 1] = '\0';
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    if (!c || c->cmsg_type != SCM_RIGHTS)
        return 0;
    size_t got = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(fds, CMSG_DATA(c), sizeof(int) * got);
    return (int)got;
}

int message_made_by(int (*make)(struct config *c, struct error *err), struct config *c,
                    struct error *err)
{
    int sock[2], fd = -1;
    struct message m = {.kind = MESSAGE_FAILED};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
        return error_set(err, errno, "create a socket");
    pid_t pid = fork();
    if (pid == 0) {
        struct error why = {0};
        fd = make(c, &why);
        m.kind = fd < 0 ? MESSAGE_FAILED : MESSAGE_GO;
        snprintf(m.text, sizeof m.text, "%s", why.text);
        message_send(sock[1], &m, &fd, fd >= 0);
        _exit(0);
    }
    close(sock[1]);
    const int n = pid > 0 ? message_recv(sock[0], &m, &fd, 1) : -1;
    close(sock[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return n == 1 ? fd : error_set(err, 0, "%s", *m.text ? m.text : "make it in another process");
}

void spawn_reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int sig = 1; sig < NSIG; sig++)
        signal(sig, SIG_DFL); /* CLONE_CLEAR_SIGHAND leaves those alone that are ignored */
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void spawn_reap(pid_t pid, int pidfd, int ms)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    if (poll(&p, 1, ms) != 1) {
        kill(pid, SIGKILL);
        poll(&p, 1, DIES_MS);
    }
    waitpid(pid, NULL, WNOHANG);
    close(pidfd);
}

/* The trees that are open, in the order in which child.c takes them out again. */
static size_t trees_list(const struct config *c, int *fds)
{
    size_t n = 0;
    for (size_t i = 0; i < c->tree_count; i++)
        if (c->trees[i].fd >= 0)
            fds[n++] = c->trees[i].fd;
    for (size_t i = 0; i < c->mount_count; i++)
        if (c->mounts[i].tree.fd >= 0)
            fds[n++] = c->mounts[i].tree.fd;
    return n;
}

/* Which trees are open, a character each, for the child: its copy of the config is older. */
static void trees_mark(const struct config *c, char *text)
{
    for (size_t i = 0; i < c->tree_count; i++)
        *text++ = c->trees[i].fd >= 0 ? '+' : '-';
    for (size_t i = 0; i < c->mount_count; i++)
        *text++ = c->mounts[i].tree.fd >= 0 ? '+' : '-';
    *text = '\0';
}

/* Create the process, waiting for its GO. */
static int spawn_clone(struct container *c, struct error *err)
{
    int sock[2];
    struct namespaces_back back;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
        return error_set(err, errno, "create a socket");
    struct clone_args args = {
        .flags = (uint64_t)(namespaces_flags(&c->config.set) & ~NAMESPACES_LATER) | CLONE_PIDFD |
                 CLONE_CLEAR_SIGHAND | (c->cgroup.v2 >= 0 ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uint64_t)(uintptr_t)&c->pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = c->cgroup.v2 >= 0 ? (uint64_t)cgroup_entry(&c->cgroup) : 0,
    };
    if (namespaces_enter(&c->config, &back, err) < 0) {
        close(sock[0]);
        close(sock[1]);
        return -1;
    }
    c->init = sys_clone3(&args);
    if (c->init == 0) {
        close(sock[0]);
        child_main(c, sock[1]);
    }
    int why = errno;
    namespaces_return(&back);
    close(sock[1]);
    c->sock = sock[0];
    if (c->init > 0)
        return 0;
    error_set(err, why, "create the container's namespaces");
    if (why == EPERM || why == ENOSPC || why == EUSERS)
        error_hint(err, "are user namespaces allowed here? see 'pult doctor'");
    return -1;
}

/*
 * Open the namespaces it was given, while it can still be looked at. Later nobody may, since it is
 * not dumpable, and for exec a user has no other way in.
 */
static int spawn_namespaces(struct container *c, struct error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns", c->init);
    cleanup_close int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < NS_GIVEN; i++) {
        c->namespaces[i] = openat(dir, namespace_names[i], O_RDONLY | O_CLOEXEC);
        if (c->namespaces[i] < 0)
            return error_set(err, errno, "open '%s/%s'", path, namespace_names[i]);
    }
    return 0;
}

int spawn_join(const struct container *c, struct error *err)
{
    return namespaces_join(&c->config.set, c->namespaces, err);
}

/* Give the process its ids, and the trees theirs. 1: the root cannot be mapped. */
static int spawn_map(struct container *c, struct error *err)
{
    if (idmap_write(&c->config.map, c->init, err) < 0)
        return error_wrap(err, "map the container's ids");
    if (spawn_namespaces(c, err) < 0)
        return -1;
    return c->config.privileged ? trees_idmap(&c->config, c->namespaces[NS_USER], err) : 0;
}

/* End a process that was told nothing yet. */
static void spawn_undo(struct container *c)
{
    kill(c->init, SIGKILL);
    waitpid(c->init, NULL, 0);
    close(c->pidfd);
    close(c->sock);
    for (size_t i = 0; i < NS_GIVEN; i++)
        close(c->namespaces[i]);
    memset(c->namespaces, -1, sizeof c->namespaces);
    c->init = 0;
    c->pidfd = c->sock = -1;
}

int spawn(struct container *c, struct error *err)
{
    struct config *cf = &c->config;
    int fds[MESSAGE_FDS];
    if (spawn_clone(c, err) < 0)
        return -1;
    if (cf->privileged && trees_open(cf, err) < 0)
        return -1;
    int ret = spawn_map(c, err);
    if (ret > 0) {
        if (cf->map.given) {
            spawn_undo(c);
            error_set(err, 0, "the file system of '%s' cannot be shown with other ids",
                      cf->trees[0].path);
            return error_hint(err, "chown it to the ids of lxc.idmap");
        }
        log_line("the file system of '%s' knows no id mapping: root in the container is root's "
                 "id on the host",
                 cf->trees[0].path);
        spawn_undo(c);
        idmap_identity(&cf->map);
        caps_reduce_for_identity(&cf->caps);
        if (spawn_clone(c, err) < 0)
            return -1;
        ret = spawn_map(c, err);
    }
    if (ret < 0)
        return -1;
    if (cf->marks_trusted && rootfs_layers(cf, err) < 0)
        return -1;
    if (process_limits(&cf->set, c->init, err) < 0 || process_files(&cf->set, c->init, err) < 0)
        return -1;
    /* A user's is his own already, and with the identity it is mounted read-only. */
    if (cf->cgroup2 && !cf->app && cf->privileged && !cf->map.identity &&
        cgroup_delegate(&c->cgroup, idmap_root_uid(&cf->map), idmap_root_gid(&cf->map), err) < 0)
        return -1;
    if (network_make(c, err) < 0)
        return -1;
    struct message go = {.kind = MESSAGE_GO};
    trees_mark(cf, go.text);
    const size_t marks = strlen(go.text) + 1;
    snprintf(go.text + marks, sizeof go.text - marks, "%s", c->names);
    if (message_send(c->sock, &go, fds, trees_list(cf, fds)) < 0)
        return error_set(err, errno, "let the container go");
    trees_close(cf);
    /* The kernel takes a while to check and to compile the list: meanwhile the mounts are made. */
    return devices_apply(&c->cgroup, c->keeper->def->conf, true, err);
}
