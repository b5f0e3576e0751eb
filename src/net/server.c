/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dnsmasq and its supervisor, see server.h.
 *
 *     server_start()          the starter: in whatever process a network comes up
 *      └ fork                 makes a session and a pid namespace, writes the supervisor's id down
 *         └ fork              the supervisor, process 1 of that namespace
 *            └ fork, exec     dnsmasq
 *
 * dnsmasq changes its user, at which the kernel forgets the signal that it was to get at its parent's
 * death. So it is the namespace that ends it: with process 1 the kernel kills all others in there.
 * Where no such namespace can be made (no CAP_SYS_ADMIN) it works without; then dnsmasq outlives a
 * supervisor that is killed.
 *
 * It has begun to listen when it says that it has started. The supervisor passes that on through a
 * pipe; or, where it ends before, what it said last.
 */
#include "net/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/title.h"
#include "base/util.h"
#include "net/program.h"
#include "net/server_files.h"

#define PROGRAM   "dnsmasq"
#define LOG_LIMIT (64u << 10)

#define STEADY_NS 10000000000ull /* who lived so long is started anew at once */
#define PAUSE_MS  1000           /* the others after this, doubled each time */
#define PAUSE_MAX 30000
#define GRACE_MS  1000  /* for it to end when it is asked to */
#define START_MS  20000 /* it starts within milliseconds, or never */

int server_check(struct error *err)
{
    cleanup_free char *program = program_find(PROGRAM);

    if (program)
        return 0;
    error_set(err, 0, "DHCP and DNS of a network need the program dnsmasq, which is not there");
    if (err)
        err->code = ENOENT;
    return error_hint(err, "install the package dnsmasq-base");
}

/* ---- the supervisor ---- */

struct supervisor {
    const char *network;
    char *program, *config;
    int signals, links; /* signalfd; news of interfaces */
    int index;          /* of its interface */
    int ready;          /* where the starter waits; -1: it was told */
    pid_t pid;          /* of dnsmasq; 0: it is not there */
    int words;          /* its standard error */
    char line[512];
    size_t len;
    uint64_t started;
    int pause_ms;
    bool over; /* we are to end */
};

static void tell(struct supervisor *s, const char *text)
{
    if (s->ready < 0)
        return;
    if (write_all(s->ready, text, strlen(text)) < 0)
        log_line("nobody waits for the start of '%s'", s->network);
    close(s->ready);
    s->ready = -1;
}

/* What it says behind "dnsmasq[2]: ". */
static void take_line(struct supervisor *s)
{
    s->line[s->len] = '\0';
    s->len = 0;
    const char *text = str_starts(s->line, PROGRAM) ? strstr(s->line, ": ") : NULL;
    text = text ? text + 2 : s->line;
    log_line("%s", s->line);
    if (str_starts(text, "started, version"))
        tell(s, "+");
}

/* Its words, line by line, until there are no more for now. */
static void read_words(struct supervisor *s)
{
    char buf[256];
    ssize_t n;

    while (s->words >= 0 && (n = read(s->words, buf, sizeof(buf))) > 0)
        for (ssize_t i = 0; i < n; i++) {
            if (buf[i] != '\n')
                s->line[s->len++] = buf[i];
            if (buf[i] == '\n' || s->len == sizeof(s->line) - 1)
                take_line(s);
        }
}

/* In the child: nothing of ours but standard error. */
static void become_dnsmasq(const struct supervisor *s, int words)
{
    const char *const argv[] = {
        PROGRAM, "--keep-in-foreground", "--log-facility=-", "--pid-file=", s->config, NULL};
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int n = 1; n < NSIG; n++)
        signal(n, SIG_DFL);
    dup2(words, STDERR_FILENO);
    close_range(3, ~0u, 0);
    execv(s->program, (char *const *)argv);
    dprintf(STDERR_FILENO, "start '%s': %s\n", s->program, strerror(errno));
    _exit(127);
}

static void launch(struct supervisor *s)
{
    int words[2];

    s->started = now_mono_ns();
    s->len = 0;
    if (pipe2(words, O_CLOEXEC) < 0) {
        log_line("start " PROGRAM ": %s", strerror(errno));
        return;
    }
    s->pid = fork();
    if (s->pid == 0)
        become_dnsmasq(s, words[1]);
    close(words[1]);
    fcntl(words[0], F_SETFL, O_NONBLOCK);
    s->words = words[0];
    if (s->pid < 0) {
        log_line("start " PROGRAM ": %s", strerror(errno));
        s->pid = 0;
    }
}

/* It has ended. Before it ever listened: so do we, and say what it said. */
static void ended(struct supervisor *s, int status)
{
    read_words(s);
    if (s->len)
        take_line(s);
    close(s->words);
    s->words = -1;
    s->pid = 0;
    if (s->over)
        return;
    if (s->ready >= 0) {
        tell(s, s->line);
        s->over = true;
        return;
    }
    if (now_mono_ns() - s->started >= STEADY_NS)
        s->pause_ms = 0;
    log_line(PROGRAM " ended (%s %d): it is started again %s",
             WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
             s->pause_ms ? "in a moment" : "now");
}

/* As process 1 of a namespace we also inherit whatever else there is. */
static void reap(struct supervisor *s)
{
    int status;

    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == s->pid)
            ended(s, status);
}

static void take_signals(struct supervisor *s)
{
    struct signalfd_siginfo i;

    while (read(s->signals, &i, sizeof(i)) == sizeof(i)) {
        if (i.ssi_signo == SIGHUP && s->pid)
            kill(s->pid, SIGHUP);
        else if (i.ssi_signo == SIGTERM)
            s->over = true;
        else if (i.ssi_signo == SIGCHLD)
            reap(s);
    }
}

/* With its interface the network is gone. */
static void take_links(struct supervisor *s)
{
    union {
        struct nlmsghdr head;
        char bytes[16384];
    } m;
    ssize_t n;

    while ((n = recv(s->links, &m, sizeof(m), MSG_DONTWAIT)) > 0) {
        size_t left = (size_t)n;
        for (const struct nlmsghdr *h = &m.head; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            const struct ifinfomsg *i = NLMSG_DATA(h);
            if (h->nlmsg_type == RTM_DELLINK && i->ifi_family == AF_UNSPEC &&
                i->ifi_index == s->index) {
                log_line("the interface '%s' is gone", s->network);
                s->over = true;
            }
        }
    }
}

/* Wait for something to happen, at most so many ms. */
static void attend(struct supervisor *s, int ms)
{
    struct pollfd p[] = {{.fd = s->signals, .events = POLLIN},
                         {.fd = s->links, .events = POLLIN},
                         {.fd = s->words, .events = POLLIN}};

    if (poll(p, ARRAY_SIZE(p), ms) < 0)
        return;
    if (p[2].revents & POLLIN)
        read_words(s);
    if (p[1].revents)
        take_links(s);
    if (p[0].revents)
        take_signals(s);
    if ((p[2].revents & (POLLHUP | POLLIN)) == POLLHUP && s->words == p[2].fd && s->pid) {
        int status; /* closed: it has ended, or is about to */
        if (waitpid(s->pid, &status, 0) == s->pid)
            ended(s, status);
    }
}

/* The pause before it is started again. */
static void rest(struct supervisor *s)
{
    const uint64_t until = now_mono_ns() + (uint64_t)s->pause_ms * 1000000;

    for (uint64_t now; !s->over && (now = now_mono_ns()) < until;)
        attend(s, (int)((until - now) / 1000000) + 1);
    s->pause_ms = min(max(2 * s->pause_ms, PAUSE_MS), PAUSE_MAX);
}

static void finish(struct supervisor *s)
{
    const uint64_t until = now_mono_ns() + (uint64_t)GRACE_MS * 1000000;

    if (s->pid)
        kill(s->pid, SIGTERM);
    for (uint64_t now; s->pid && (now = now_mono_ns()) < until;)
        attend(s, (int)((until - now) / 1000000) + 1);
    if (s->pid)
        kill(s->pid, SIGKILL);
}

static int open_links(void)
{
    const struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (const void *)&a, sizeof(a)) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_SETMASK, &set, NULL);
    for (int n = 1; n < NSIG; n++)
        signal(n, n == SIGPIPE ? SIG_IGN : SIG_DFL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* 3 is the lock, held until we end; 4 the pipe to the starter. */
static void supervise(const char *network, char *program)
{
    cleanup_free char *config = network_run_path(network, "dnsmasq.conf");
    struct supervisor s = {.network = network,
                           .program = program,
                           .config = xasprintf("--conf-file=%s", config),
                           .signals = open_signals(),
                           .links = open_links(),
                           .index = (int)if_nametoindex(network),
                           .ready = 4,
                           .words = -1};

    title_set("pult: network %s", network);
    while (!s.over) {
        launch(&s);
        while (s.pid && !s.over)
            attend(&s, -1);
        if (!s.over)
            rest(&s);
    }
    finish(&s);
    _exit(0);
}

/* ---- the starter ---- */

/* Move descriptors to 3 and 4, without either treading on the other; nothing else of ours stays. */
static void keep_two(int lock, int ready)
{
    const int a = fcntl(lock, F_DUPFD_CLOEXEC, 5), b = fcntl(ready, F_DUPFD_CLOEXEC, 5);

    dup3(a, 3, O_CLOEXEC);
    dup3(b, 4, O_CLOEXEC);
    close_range(5, ~0u, 0);
}

/* In the first child: leave a supervisor behind, and write its id into the lock. */
static void leave_behind(const char *network, char *program, int lock, int ready, int log)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    char text[24];

    setsid();
    umask(022);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    log_to(STDERR_FILENO, LOG_LIMIT); /* closes the starter's log, before 3 and 4 are taken */
    keep_two(lock, ready);
    if (chdir("/") < 0 || (unshare(CLONE_NEWPID) < 0 && errno != EPERM))
        _exit(1);
    const pid_t pid = fork();
    if (pid == 0)
        supervise(network, program);
    const int len = snprintf(text, sizeof(text), "%d\n", pid);
    _exit(pid < 0 || ftruncate(3, 0) < 0 || pwrite(3, text, (size_t)len, 0) != len);
}

/* Its lock file, open; -1: there is none. */
static int open_lock(const char *network, int flags)
{
    cleanup_free char *path = network_run_path(network, "server");

    return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
}

/* Locks belong to open files (OFD), so they stay with the supervisor, and can be asked for. */
static bool is_locked(int fd)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

bool server_runs(const char *network)
{
    cleanup_close int fd = open_lock(network, 0);

    return fd >= 0 && is_locked(fd);
}

/* What comes through the pipe: "+", or why not. */
static int await(const char *network, int ready, struct error *err)
{
    const uint64_t until = now_mono_ns() + (uint64_t)START_MS * 1000000;
    char text[513];
    size_t len = 0;

    for (;;) {
        struct pollfd p = {.fd = ready, .events = POLLIN};
        const uint64_t now = now_mono_ns();
        if (now >= until || poll(&p, 1, (int)((until - now) / 1000000) + 1) == 0)
            return error_set(err, ETIMEDOUT, "start the server of the network '%s'", network);
        const ssize_t n = read(ready, text + len, sizeof(text) - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
        if (text[0] == '+')
            return 0;
    }
    text[len] = '\0';
    str_printable(text);
    error_set(err, 0, "the server of the network '%s' does not start: %s", network,
              len ? text : "it was ended");
    if (strstr(text, "ddress already in use") || strstr(text, "ddress in use"))
        error_hint(err,
                   "another DNS or DHCP server listens at all addresses: have it listen at its "
                   "own interfaces only (dnsmasq: bind-interfaces)");
    return -1;
}

static int start_supervisor(const char *network, char *program, struct error *err)
{
    cleanup_free char *path = network_run_path(network, "log");
    cleanup_close int log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    cleanup_close int lock = open_lock(network, O_CREAT);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int ready[2], status = -1;

    if (log < 0 || lock < 0)
        return error_set(err, errno, "open '%s'", log < 0 ? path : "the server's lock");
    if (fcntl(lock, F_OFD_SETLK, &l) < 0)
        return error_set(err, errno, "lock the server of the network '%s'", network);
    if (pipe2(ready, O_CLOEXEC) < 0)
        return error_set(err, errno, "create a pipe");
    const pid_t pid = fork();
    if (pid == 0)
        leave_behind(network, program, lock, ready[1], log);
    const int why = errno;
    close(ready[1]);
    cleanup_close int from = ready[0];
    if (pid < 0)
        return error_set(err, why, "start a process for the network '%s'", network);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_set(err, 0, "start a process for the network '%s'", network);
    return await(network, from, err);
}

/* ---- what others call ---- */

/* A pidfd of the supervisor, -1 where there is none. What holds the lock cannot be somebody else. */
static int open_supervisor(int lock)
{
    char text[24] = "";
    int64_t pid;

    if (!is_locked(lock) || pread(lock, text, sizeof(text) - 1, 0) <= 0)
        return -1;
    text[strcspn(text, "\n")] = '\0';
    if (number_parse(text, 2, INT32_MAX, &pid, NULL) < 0)
        return -1;
    const int fd = pidfd_open((pid_t)pid, 0);
    if (fd >= 0 && is_locked(lock))
        return fd;
    cleanup_close_fn(&(int){fd});
    return -1;
}

/* Of a process: its state, and whose child it is. */
static bool read_stat(const char *pid, char *state, int64_t *parent)
{
    cleanup_free char *path = xasprintf("/proc/%s/stat", pid), *text = NULL;

    if (file_read_at(AT_FDCWD, path, 4096, &text, NULL, NULL) < 0)
        return false;
    const char *at = strrchr(text, ')'); /* what is before may be anything */
    return at && sscanf(at, ") %c %" SCNd64, state, parent) == 2;
}

pid_t server_stopped(const char *network)
{
    cleanup_close int fd = open_lock(network, 0);
    cleanup_closedir DIR *proc = opendir("/proc");
    char text[24] = "", state;
    int64_t supervisor, pid, parent;

    if (fd < 0 || !is_locked(fd) || pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    if (number_parse(text, 2, INT32_MAX, &supervisor, NULL) < 0)
        return 0;
    for (const struct dirent *e; proc && (e = readdir(proc));)
        if (number_parse(e->d_name, 2, INT32_MAX, &pid, NULL) == 0 &&
            read_stat(e->d_name, &state, &parent) && parent == supervisor && state == 'T')
            return (pid_t)pid;
    return 0;
}

static bool await_end(int pidfd, int ms)
{
    const uint64_t until = now_mono_ns() + (uint64_t)ms * 1000000;
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    for (uint64_t now; (now = now_mono_ns()) < until;)
        if (poll(&p, 1, (int)((until - now) / 1000000) + 1) == 1)
            return true;
    return false;
}

/* End it, whoever started it; and wait for that. */
static int end_supervisor(const char *network, struct error *err)
{
    cleanup_close int lock = open_lock(network, 0);
    cleanup_close int pidfd = lock < 0 ? -1 : open_supervisor(lock);

    if (pidfd < 0)
        return 0;
    pidfd_send_signal(pidfd, SIGTERM, NULL, 0);
    if (await_end(pidfd, 2 * GRACE_MS))
        return 0;
    pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
    if (await_end(pidfd, 2 * GRACE_MS))
        return 0;
    return error_set(err, ETIMEDOUT, "end the server of the network '%s'", network);
}

int server_stop(const char *network, struct error *err)
{
    static const char *const files[] = {"server", "dnsmasq.conf", "hosts", "names"};

    if (end_supervisor(network, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        cleanup_free char *path = network_run_path(network, files[i]);
        if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
            return error_set(err, errno, "remove '%s'", path);
    }
    return 0;
}

int server_start(const struct network *n, struct error *err)
{
    if (!net_kind_has_server(n->kind) || !n->address_count)
        return 0;
    cleanup_free char *program = program_find(PROGRAM);
    if (!program)
        return server_check(err);
    if (network_run_make(n->name, err) < 0)
        return -1;
    const int changed = server_write_config(n, err);
    if (changed < 0)
        return -1;
    if (server_runs(n->name)) {
        if (!changed)
            return server_reread(n->name, err);
        if (end_supervisor(n->name, err) < 0)
            return -1;
    }
    if (server_write_hosts(n->name, err) < 0 || start_supervisor(n->name, program, err) < 0) {
        server_stop(n->name, NULL);
        return -1;
    }
    return 0;
}

int server_reread(const char *network, struct error *err)
{
    cleanup_close int lock = open_lock(network, 0);
    cleanup_close int pidfd = lock < 0 ? -1 : open_supervisor(lock);

    if (pidfd < 0)
        return 0;
    const int changed = server_write_hosts(network, err);
    if (changed <= 0)
        return changed;
    if (pidfd_send_signal(pidfd, SIGHUP, NULL, 0) < 0 && errno != ESRCH)
        return error_set(err, errno, "tell the server of the network '%s'", network);
    return 0;
}
