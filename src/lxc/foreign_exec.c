/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command in a container that LXC runs. There is no keeper to ask, so the caller does it:
 *
 *     caller ── fork ──► go-between: joins init's cgroups and namespaces; speaks with the caller as a
 *                        keeper does of a command (docs/protocol.md: exec-exit, exec-signal)
 *                          └── fork ──► the command, with no more than init may ever have:
 *                                       capabilities, its AppArmor profile, its filter of system calls
 *
 * On a terminal it gets one of the container's own, so that the caller's is never in its reach:
 * nothing can type into that (TIOCSTI) or listen to it later.
 *
 * A container without a user namespace is root on the host, as far as files go: what is left of
 * pult in there, a link of /proc, would let it write to pult's own binary (CVE-2019-5736). So pult
 * goes on from a sealed copy of it, before it goes there.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "lxc/account.h"
#include "lxc/container.h"
#include "lxc/foreign.h"
#include "lxc/process.h"
#include "lxc/seccomp_profile.h"
#include "lxc/sys.h"

#define CGROUPS   "/sys/fs/cgroup"
#define ANSWER_MS 3000 /* of the go-between */
#define ARGS_MOST 4096u

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* linux/memfd.h of 6.3 */
#endif

/* ---- its namespaces ---- */

/* What a line of /proc/PID/status says behind its name. */
static bool status_word(const char *text, const char *name, char word[64])
{
    const char *p = strstr(text, name);
    return p && sscanf(p + strlen(name), " %63s", word) == 1;
}

/* Put this process into each of init's cgroups; those that are not ours to enter are left out. */
static void groups_join(pid_t pid)
{
    char path[64], line[512], me[16];
    bool pure = access(CGROUPS "/cgroup.controllers", F_OK) == 0;
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    snprintf(me, sizeof me, "%d", getpid());
    cleanup_fclose FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        names++;
        const char *tree = *names ? names : pure ? "" : "unified";
        tree = str_starts(tree, "name=") ? tree + 5 : tree;
        cleanup_free char *procs = xasprintf("%s/%s%s/cgroup.procs", CGROUPS, tree, group);
        file_put_at(AT_FDCWD, procs, me, NULL);
    }
}

static bool same_namespace(pid_t pid, const char *name)
{
    char path[64];
    struct stat a, b;
    snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, name);
    if (stat(path, &a) < 0)
        return true;
    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    return stat(path, &b) == 0 && a.st_ino == b.st_ino;
}

static int init_join(pid_t pid, int pidfd, struct error *err)
{
    static const struct {
        const char *name;
        int flag;
    } all[] = {{"user", CLONE_NEWUSER},     {"mnt", CLONE_NEWNS},   {"pid", CLONE_NEWPID},
               {"uts", CLONE_NEWUTS},       {"ipc", CLONE_NEWIPC},  {"net", CLONE_NEWNET},
               {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME}};
    int flags = 0;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        flags |= same_namespace(pid, all[i].name) ? 0 : all[i].flag;
    if (flags && setns(pidfd, flags) < 0)
        return error_set(err, errno, "join its namespaces");
    return 0;
}

/* ---- what it may do ---- */

/* The AppArmor label that a process has; NULL: none. Caller frees. */
static char *label_of(pid_t pid)
{
    static const char *const files[] = {"apparmor/current", "current"};
    char path[64];
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        char *text = NULL;
        snprintf(path, sizeof path, "/proc/%d/attr/%s", pid, files[i]);
        if (file_read_at(AT_FDCWD, path, 4096, &text, NULL, NULL) < 0)
            continue;
        char *mode = strstr(text, " (");
        text[mode ? (size_t)(mode - text) : strcspn(text, "\n")] = '\0';
        return text;
    }
    return NULL;
}

/* What its init may do, and what the definition forbids besides. */
static int rights_of(pid_t init, const struct guest_def *def, struct config *c, struct error *err)
{
    char path[32], word[64];
    cleanup_free char *status = NULL;
    const char *profile = conf_get(def->conf, "lxc.seccomp.profile");
    const char *context = conf_get(def->conf, "lxc.selinux.context");
    snprintf(path, sizeof path, "/proc/%d/status", init);
    if (file_read_at(AT_FDCWD, path, 1 << 16, &status, NULL, err) < 0)
        return -1;
    if (!status_word(status, "CapBnd:", word))
        return error_set(err, 0, "its capabilities are not known");
    c->caps = strtoull(word, NULL, 16);
    c->no_new_privs = status_word(status, "NoNewPrivs:", word) && word[0] == '1';
    c->set.apparmor = label_of(init);
    c->set.selinux = context ? xstrdup(context) : NULL;
    if (!profile || str_eq(profile, "none"))
        return 0;
    if (profile_load(profile, &c->profile, err) < 0)
        return -1;
    return c->profile.notify
               ? error_set(err, 0, "'%s' says 'notify', which is for lxc's monitor to hear",
                           profile)
               : 0;
}

/* ---- the binary ---- */

/* The words that this process was called with. Caller frees both. */
static char **own_words(char **text, struct error *err)
{
    size_t len = 0, n = 0;
    if (file_read_at(AT_FDCWD, "/proc/self/cmdline", 1 << 21, text, &len, err) < 0)
        return NULL;
    char **words = xcalloc(ARGS_MOST + 1, sizeof *words);
    for (const char *p = *text; p < *text + len && n < ARGS_MOST; p += strlen(p) + 1)
        words[n++] = (char *)(uintptr_t)p;
    if (n < ARGS_MOST)
        return words;
    free(words);
    error_set(err, E2BIG, "run '%s'", *text);
    return NULL;
}

/* Go on from a sealed copy of this binary. Returns only to say why not, or where it is one. */
static int run_sealed(struct error *err)
{
    char exe[32] = "";
    struct stat st;
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) > 0 && str_starts(exe, "/memfd:"))
        return 0;
    cleanup_close int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    cleanup_close int copy = memfd_create("pult", flags | MFD_EXEC);
    if (copy < 0 && errno == EINVAL)
        copy = memfd_create("pult", flags);
    if (from < 0 || copy < 0 || fstat(from, &st) < 0)
        return error_set(err, errno, "copy pult's binary");
    for (off_t left = st.st_size; left > 0;) {
        const ssize_t n = sendfile(copy, from, NULL, (size_t)left);
        if (n <= 0)
            return error_set(err, n < 0 ? errno : EIO, "copy pult's binary");
        left -= n;
    }
    if (fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return error_set(err, errno, "seal a copy of pult's binary");
    cleanup_free char *text = NULL;
    cleanup_free char **words = own_words(&text, err);
    if (!words)
        return -1;
    syscall(SYS_execveat, copy, "", words, environ, AT_EMPTY_PATH);
    return error_set(err, errno, "run a copy of pult's binary");
}

/* ---- the command ---- */

/* Descriptors 0, 1 and 2, and the host's /proc as 3, for a moment. */
static void stdio_set(const int stdio[3], bool tty, int proc)
{
    int fds[4];
    for (int i = 0; i < 4; i++) /* out of the way first */
        fds[i] = fcntl(i < 3 ? stdio[i] : proc, F_DUPFD, 10);
    for (int i = 0; i < 4; i++)
        dup2(fds[i], i);
    close_range(4, ~0u, 0); /* none is to be found where a path of the container's leads */
    if (tty)
        ioctl(0, TIOCSCTTY, 0);
}

/* Be root there, or whoever was asked for, with what init may have. */
static int become_one(struct config *c, const struct exec_request *req, struct error *err)
{
    struct account a = {0};
    setgroups(0, NULL);
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_set(err, errno, "become its root");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    int labelled = process_label(&c->set, 3, err);
    close(3);
    if (labelled < 0 || process_keyring(&c->set, err) < 0 ||
        (req->user && account_find(&a, req->user, err) < 0))
        return -1;
    if (req->user) {
        account_groups(&a);
        account_env(&a);
    }
    if (privileges_drop(c, err) < 0 || (req->user && account_become(&a, err) < 0))
        return -1;
    return privileges_filter(c, err);
}

static void command_main(struct config *c, const struct exec_request *req, const int stdio[3],
                         int proc)
{
    static const char *const basic[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
        "USER=root", "container=lxc"};
    struct error err;
    int ret = 126;
    clearenv();
    for (size_t i = 0; i < ARRAY_SIZE(basic); i++)
        putenv((char *)(uintptr_t)basic[i]);
    spawn_reset_signals();
    setsid();
    stdio_set(stdio, req->tty, proc);
    umask(022);
    if (become_one(c, req, &err) == 0) {
        for (char **e = req->env; e && *e; e++)
            putenv(*e);
        if (chdir(req->cwd ? req->cwd : "/") < 0)
            error_set(&err, errno, "change to '%s' in the container", req->cwd);
        else
            ret = exec_command(req->argv, environ, &err);
    }
    dprintf(2, "pult: %s\n", err.text);
    _exit(ret);
}

/* ---- the go-between ---- */

/* A terminal of the devpts that this multiplexer is of. */
static int terminal_of(int ptmx, const struct exec_request *req, int *slave)
{
    struct winsize ws = {.ws_row = (unsigned short)req->rows, .ws_col = (unsigned short)req->cols};
    int unlock = 0;
    if (ptmx < 0 || ioctl(ptmx, TIOCSPTLCK, &unlock) < 0 ||
        (*slave = ioctl(ptmx, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
        return -1;
    if (ws.ws_row)
        ioctl(ptmx, TIOCSWINSZ, &ws);
    return ptmx;
}

/* The container's multiplexer, if it has one; it may have put anything there. */
static int container_ptmx(void)
{
    struct stat st;
    struct statfs fs;
    cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int at = root < 0 ? -1 : sys_open_in_root(root, "dev/pts/ptmx", O_PATH, 0, 0);
    if (at < 0 || fstat(at, &st) < 0 || fstatfs(at, &fs) < 0 || !S_ISCHR(st.st_mode) ||
        st.st_rdev != makedev(5, 2) || fs.f_type != DEVPTS_SUPER_MAGIC)
        return -1;
    return sys_open_in_root(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK, 0, 0);
}

/* Pass a signal on that the caller sent. */
static void signal_take(const char *line, pid_t command)
{
    json_t *o = json_loads(line, 0, NULL);
    const int sig = (int)json_integer_value(json_object_get(o, "signal"));
    json_decref(o);
    if (sig > 0 && sig < NSIG)
        kill(command, sig);
}

/* Until the command ends: then its status. */
static int attend(int control, pid_t command)
{
    FILE *lines = fdopen(control, "r");
    cleanup_close int pidfd = pidfd_open(command, 0);
    struct pollfd p[] = {{pidfd, POLLIN, 0}, {control, POLLIN, 0}};
    char line[256];
    int status = 0;
    if (lines)
        setvbuf(lines, NULL, _IONBF, 0); /* what poll(2) does not see is not there */
    while (poll(p, ARRAY_SIZE(p), -1) < 0 || !p[0].revents)
        if (p[1].revents && !(lines && fgets(line, sizeof line, lines)))
            p[1].fd = -1; /* the caller is gone; the command has its own life */
        else if (p[1].revents)
            signal_take(line, command);
    while (waitpid(command, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Join it and start the command: its pid, and its terminal. */
static pid_t command_start(struct config *c, const struct exec_request *req, pid_t init, int pidfd,
                           int *master, struct error *err)
{
    cleanup_close int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int slave = -1;
    /* Where the container has no terminals it is one of the host's, of which it sees nothing else. */
    cleanup_close int other = req->tty ? open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
    groups_join(init);
    if (proc < 0)
        return error_set(err, errno, "open '/proc'");
    if (init_join(init, pidfd, err) < 0)
        return -1;
    if (req->tty) {
        *master = terminal_of(container_ptmx(), req, &slave);
        if (*master < 0)
            *master = terminal_of(steal_fd(other), req, &slave);
        if (*master < 0)
            return error_set(err, errno, "open a terminal");
    }
    const int *stdio = req->tty ? (const int[]){slave, slave, slave} : req->stdio;
    pid_t pid = fork(); /* a pid namespace takes only children in */
    if (pid == 0)
        command_main(c, req, stdio, proc);
    return pid < 0 ? error_set(err, errno, "start a process") : pid;
}

static void between_main(struct config *c, const struct exec_request *req, pid_t init, int pidfd,
                         int sock, int control)
{
    struct message m = {.kind = MESSAGE_STARTED};
    struct error err;
    int master = -1;
    setsid(); /* signals of the caller's terminal come by way of the caller */
    pid_t pid = command_start(c, req, init, pidfd, &master, &err);
    m.value = pid;
    if (pid < 0) {
        m.kind = MESSAGE_FAILED;
        snprintf(m.text, sizeof m.text, "%s", err.text);
    }
    message_send(sock, &m, &master, master >= 0);
    if (pid < 0)
        _exit(1);
    /* Pipes of the caller's are the command's alone. */
    const int keep = dup2(control, 0);
    close_range(1, ~0u, 0);
    dprintf(keep, "{\"event\": \"exec-exit\", \"pid\": %d, \"exit_status\": %d}\n", pid,
            attend(keep, pid));
    _exit(0);
}

/* ---- the caller ---- */

/* What the go-between says: the command's pid. */
static pid_t answer_take(int sock, int *master, struct error *err)
{
    struct pollfd p = {.fd = sock, .events = POLLIN};
    struct message m;
    int fd = -1;
    if (poll(&p, 1, ANSWER_MS) == 0)
        return error_set(err, ETIMEDOUT, "start a process in the container");
    int n = message_recv(sock, &m, &fd, 1);
    if (n < 0)
        return error_set(err, errno, "start a process in the container");
    if (m.kind != MESSAGE_STARTED)
        return error_set(err, 0, "%s", m.text);
    *master = n == 1 ? fd : -1;
    return m.value;
}

static pid_t start(struct config *c, const struct exec_request *req, pid_t init, int pidfd,
                   int *control, int *master, struct error *err)
{
    int sock[2], talk[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
        return error_set(err, errno, "create a socket");
    cleanup_close int hear = sock[0], say = sock[1];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk) < 0)
        return error_set(err, errno, "create a socket");
    cleanup_close int here = talk[0], there = talk[1];
    fflush(NULL);
    pid_t between = fork();
    if (between == 0) {
        close(hear);
        close(here);
        between_main(c, req, init, pidfd, say, there);
    }
    if (between < 0)
        return error_set(err, errno, "start a process");
    close(steal_fd(say));
    pid_t pid = answer_take(hear, master, err);
    if (pid < 0)
        kill(between, SIGKILL);
    else
        *control = steal_fd(here);
    return pid;
}

pid_t foreign_exec(const char *place, const struct guest_def *def, const struct exec_request *req,
                   int *control, int *master, struct error *err)
{
    struct config c = {0};
    pid_t init = foreign_init(place, def->name, err);
    if (init < 0)
        return -1;
    cleanup_close int pidfd = pidfd_open(init, 0);
    if (pidfd < 0)
        return error_set(err, ESRCH, "'%s'", def->name);
    if (same_namespace(init, "user") && geteuid() == 0 && run_sealed(err) < 0)
        return -1;
    pid_t pid = rights_of(init, def, &c, err);
    if (pid == 0)
        pid = start(&c, req, init, pidfd, control, master, err);
    filter_clear(&c.profile);
    settings_clear(&c.set);
    return pid;
}
