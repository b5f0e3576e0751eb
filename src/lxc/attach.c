/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command in a running container, and the way there in three processes:
 *
 *     keeper ─ clone3 into the cgroup ─► go-between: joins all its namespaces
 *                                          └─ clone3(CLONE_PARENT) ─► the command: a process of the
 *                                             container's pid namespace, and a child of the keeper
 *
 * The terminal is one of the container's devpts, opened by the keeper through the descriptor that
 * the container handed over at its start; no path inside is trusted for it. Neither of the two
 * processes can be traced from the container, and nothing but 0, 1 and 2 is left open.
 *
 * The keeper waits only for the go-between, which looks at nothing that is the container's, and
 * which tells it the command's pid. Only then the command is told to go: one that nobody knows of
 * would be waited for by nobody, and as a zombie of its pid namespace keep the container from ending.
 * From there on the container's files (/etc/passwd, the program) may make the command wait; what then
 * fails is said on its standard error, and by its exit status, 126 or 127.
 */
#include "lxc/container.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/account.h"
#include "lxc/notify.h"
#include "lxc/process.h"
#include "lxc/sys.h"

#define ANSWER_MS 3000 /* more than enough on a machine that is all but dead */

/* ---- in the container ---- */

/* Who was asked for, or else who init is. */
static int account_default(const struct container *c, const struct exec_request *req,
                           struct account *a, struct error *err)
{
    const struct settings *set = &c->config.set;
    char number[32];
    if (req->user)
        return account_find(a, req->user, err);
    if (!set->uid && !set->gid)
        return 0;
    snprintf(number, sizeof number, "%u:%u", set->uid, set->gid);
    return account_find(a, number, err);
}

/* Set NAME=VALUE in this process. */
static void env_put(const char *pair)
{
    cleanup_free char *name = xstrndup(pair, strcspn(pair, "="));
    const char *value = strchr(pair, '=');
    if (value)
        setenv(name, value + 1, 1);
}

static void env_make(const struct config *c, const struct exec_request *req,
                     const struct account *a)
{
    clearenv();
    for (char **e = c->env; *e; e++)
        env_put(*e);
    account_env(a);
    for (char **e = req->env; e && *e; e++)
        env_put(*e);
}

/*
 * Descriptors 0, 1 and 2, and no others but for a moment the host's /proc, and sock if that is one.
 */
static void stdio_set(const int stdio[3], bool tty, int *proc, int *sock)
{
    int fds[3];
    if (*sock >= 0)
        *sock = fcntl(*sock, F_DUPFD_CLOEXEC, 10);
    for (int i = 0; i < 3; i++) /* out of the way of 0, 1, 2 first */
        fds[i] = fcntl(stdio[i] >= 0 ? stdio[i] : open("/dev/null", O_RDWR), F_DUPFD_CLOEXEC, 10);
    for (int i = 0; i < 3; i++)
        dup2(fds[i], i);
    *proc = *proc < 0 ? -1 : dup2(*proc, 3) < 0 ? -1 : 3;
    fcntl(3, F_SETFD, FD_CLOEXEC);
    if (*sock >= 0)
        *sock = dup3(*sock, 4, O_CLOEXEC);
    close_range(*sock >= 0 ? 5 : *proc < 0 ? 3 : 4, ~0u, 0);
    if (tty)
        ioctl(0, TIOCSCTTY, 0);
}

/* Everything up to the exec. */
static int command_setup(struct container *c, const struct exec_request *req, const int stdio[3],
                         int proc, int sock, struct error *err)
{
    struct account a = {.home = "/root", .name = "root"};
    setsid();
    c->config.notify_sock = c->config.profile.notify ? sock : -1;
    stdio_set(stdio, req->tty, &proc, &c->config.notify_sock);
    umask(022);
    /* First, so that no path of the container's is walked while the host's /proc is open. */
    int labelled = process_label(&c->config.set, proc, err);
    if (proc >= 0)
        close(proc);
    if (labelled < 0 || account_default(c, req, &a, err) < 0)
        return -1;
    account_groups(&a);
    if (privileges_drop(&c->config, err) < 0 || account_become(&a, err) < 0 ||
        privileges_filter(&c->config, err) < 0)
        return -1;
    env_make(&c->config, req, &a);
    if (chdir(req->cwd ? req->cwd : "/") < 0)
        return error_set(err, errno, "change to '%s' in the container", req->cwd);
    return 0;
}

static void command_main(struct container *c, const struct exec_request *req, const int stdio[3],
                         int proc, int sock)
{
    struct error err;
    struct message go;
    int status = 126;
    if (message_recv(sock, &go, NULL, 0) < 0 || go.kind != MESSAGE_GO)
        _exit(status);
    if (command_setup(c, req, stdio, proc, sock, &err) == 0)
        status = exec_command(req->argv, environ, &err);
    dprintf(2, "pult: %s\n", err.text);
    _exit(status);
}

/* ---- on the way ---- */

/* Join the container, leave the command behind, and report it. */
static int go_between(struct container *c, const struct exec_request *req, const int stdio[3],
                      int sock, struct error *err)
{
    struct clone_args args = {.flags = CLONE_PARENT | CLONE_CLEAR_SIGHAND};
    cleanup_close int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    spawn_reset_signals();
    setpgid(0, 0); /* for group_end() */
    if (cgroup_join(&c->cgroup, NULL, err) < 0 || process_limits(&c->config.set, 0, err) < 0)
        return -1;
    if (spawn_join(c, err) < 0)
        return -1;
    setgroups(0, NULL);
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_set(err, errno, "become the container's root");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    /* The keeper's session keyring may hold keys of who started it. */
    if (process_keyring(&c->config.set, err) < 0 || process_surround(&c->config.set, err) < 0)
        return -1;
    pid_t pid = sys_clone3(&args);
    if (pid == 0)
        command_main(c, req, stdio, proc, sock);
    if (pid < 0)
        return error_set(err, errno, "start a process in the container");
    struct message m = {.kind = MESSAGE_STARTED, .value = pid};
    message_send(sock, &m, NULL, 0);
    return 0;
}

/* ---- in the keeper ---- */

/*
 * A new terminal of the container's. It is opened through a descriptor of the multiplexer from
 * before its start, so that nothing which it has mounted there since can stand in for it.
 */
static int terminal_open(const struct container *c, const struct exec_request *req, int *slave,
                         struct error *err)
{
    int unlock = 0;
    struct winsize ws = {.ws_row = (unsigned short)req->rows, .ws_col = (unsigned short)req->cols};
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", c->ptmx);
    cleanup_close int master = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0 ||
        (*slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
        return error_set(err, errno, "open a terminal of the container");
    if (ws.ws_row)
        ioctl(master, TIOCSWINSZ, &ws);
    return steal_fd(master);
}

/* Take the go-between's answer: the command's pid. */
static pid_t answer_take(int sock, struct error *err)
{
    struct pollfd p = {.fd = sock, .events = POLLIN};
    struct message m;
    if (poll(&p, 1, ANSWER_MS) == 0)
        return error_set(err, ETIMEDOUT, "start a process in the container");
    if (message_recv(sock, &m, NULL, 0) < 0)
        return error_set(err, errno, "start a process in the container");
    return m.kind == MESSAGE_STARTED ? m.value : error_set(err, 0, "%s", m.text);
}

/* The command may go: its pid is known. */
static int let_go(int sock, struct error *err)
{
    const struct message go = {.kind = MESSAGE_GO};
    return message_send(sock, &go, NULL, 0) < 0 ? error_set(err, errno, "start the command") : 0;
}

/*
 * Nothing came of it: end the go-between and a command that has not gone yet, which is of its process
 * group. They have left when the other end of the socket is closed; those who cannot (of a container
 * that is frozen, say) are left behind.
 */
static void group_end(pid_t between, int sock)
{
    struct pollfd p = {.fd = sock};
    if (between <= 0)
        return;
    kill(between, SIGKILL); /* it may have no group of its own yet */
    kill(-between, SIGKILL);
    if (poll(&p, 1, ANSWER_MS) > 0)
        while (waitpid(-between, NULL, 0) > 0 || errno == EINTR)
            ;
}

pid_t attach(struct container *c, const struct exec_request *req, int *master, struct error *err)
{
    int sock[2], stdio[3] = {req->stdio[0], req->stdio[1], req->stdio[2]};
    cleanup_close int slave = -1, pty = -1;
    if (c->init <= 0)
        return error_set(err, ESRCH, "run a command in the container");
    if (req->tty) {
        pty = terminal_open(c, req, &slave, err);
        if (pty < 0)
            return -1;
        stdio[0] = stdio[1] = stdio[2] = slave;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
        return error_set(err, errno, "create a socket");
    int pidfd = -1;
    struct clone_args args = {
        .flags = CLONE_PIDFD | (c->cgroup.v2 >= 0 ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = c->cgroup.v2 >= 0 ? (uint64_t)cgroup_entry(&c->cgroup) : 0,
    };
    cleanup_close int leaf = -1;
    pid_t between = sys_clone3(&args);
    if (between < 0 && errno == EBUSY && (leaf = cgroup_leaf(&c->cgroup)) >= 0) {
        args.cgroup = (uint64_t)leaf;
        between = sys_clone3(&args);
    }
    if (between == 0) {
        struct message m = {.kind = MESSAGE_FAILED};
        struct error why;
        close(sock[0]);
        if (go_between(c, req, stdio, sock[1], &why) == 0)
            _exit(0);
        snprintf(m.text, sizeof m.text, "%s", why.text);
        message_send(sock[1], &m, NULL, 0);
        _exit(1);
    }
    int why = errno;
    close(sock[1]);
    pid_t pid = between < 0 ? error_set(err, why, "start a process") : answer_take(sock[0], err);
    if (pid < 0 || let_go(sock[0], err) < 0) {
        group_end(between, sock[0]);
        pid = -1;
    }
    if (pid > 0 && c->config.profile.notify)
        notify_await(c, sock[0]);
    else
        close(sock[0]);
    if (between > 0)
        spawn_reap(between, pidfd, ANSWER_MS);
    if (pid > 0 && req->tty)
        *master = steal_fd(pty);
    return pid;
}
