/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Containers of the program lxc: PLACE/NAME/config below lxc.lxcpath. They are run as they are; what
 * they say is obeyed as in any definition of ours, and nothing is written to their directory but
 * what they themselves write into their root.
 *
 * One that LXC's own tools run has a monitor, which listens at the abstract socket
 * "PLACE/NAME/command" and answers, in C structures, which state it is in and what process its init
 * is. Everything else is the kernel's: its cgroups freeze it, a signal to init shuts it down. When
 * we run it we hold that socket, so that lxc-start finds it taken.
 */
#include "lxc/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/util.h"
#include "guest/def.h"
#include "lxc/keys.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define GLANCE_MS   500 /* for an answer, where many are asked */
#define END_MS      500
#define FREEZE_MS   3000
#define KILL_MS     5000
#define PAYLOAD     "lxc.payload."

/* ---- where they are ---- */

/* lxc.lxcpath of a configuration of LXC's own; or this. */
static char *path_of(const char *file, const char *otherwise)
{
    cleanup_conf struct conf *c = NULL;
    const char *said = NULL;
    if (access(file, R_OK) == 0 && conf_read(file, &c, NULL) == 0)
        said = conf_get(c, "lxc.lxcpath");
    return xstrdup(said && said[0] == '/' ? said : otherwise);
}

static void add(char ***list, char *path)
{
    size_t n = strv_len(*list);
    for (size_t i = 0; i < n; i++)
        if (str_eq((*list)[i], path)) {
            free(path);
            return;
        }
    *list = xrealloc(*list, n + 2, sizeof **list);
    (*list)[n] = path;
    (*list)[n + 1] = NULL;
}

/* PULT_LXCPATH, colons between; a store of one's own (PULT_HOME) has none otherwise. */
char **foreign_places(void)
{
    char **list = xcalloc(1, sizeof *list);
    const char *given = getenv("PULT_LXCPATH"), *home = getenv("HOME");
    if (given) {
        cleanup_free char *copy = xstrdup(given);
        char *save;
        for (char *p = strtok_r(copy, ":", &save); p; p = strtok_r(NULL, ":", &save))
            add(&list, xstrdup(p));
        return list;
    }
    if (getenv("PULT_HOME"))
        return list;
    if (geteuid() == 0) {
        add(&list, path_of("/etc/lxc/lxc.conf", "/var/lib/lxc"));
        return list;
    }
    if (!home || home[0] != '/')
        return list;
    cleanup_free char *file = xasprintf("%s/.config/lxc/lxc.conf", home);
    cleanup_free char *usual = xasprintf("%s/.local/share/lxc", home);
    add(&list, path_of(file, usual));
    return list;
}

static void adapt(struct conf *conf)
{
    if (!conf_get(conf, "guest.type"))
        conf_add(conf, "guest.type", "container");
}

/* ---- its monitor ---- */

/* lxc 5, src/lxc/commands.h; what it sends are these structures themselves. */
enum { COMMAND_STOP = 2, COMMAND_GET_STATE = 3, COMMAND_GET_INIT_PID = 4, COMMAND_SET_STATE = 12 };
enum {
    LXC_STOPPED,
    LXC_STARTING,
    LXC_RUNNING,
    LXC_STOPPING,
    LXC_ABORTING,
    LXC_FREEZING,
    LXC_FROZEN,
    LXC_THAWED
};

struct request {
    int command, datalen;
    const void *data;
};

struct response {
    int ret, datalen;
    void *data; /* of these commands: the number asked for */
};

/* FNV-1a, of 64 bits. */
static uint64_t hash_of(const char *text)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (; *text; text++)
        h = (h ^ (uint8_t)*text) * UINT64_C(1099511628211);
    return h;
}

/* The address of a monitor's socket: its path, or a hash of what is too long. */
static socklen_t address_make(const char *place, const char *name, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    const size_t room = sizeof a->sun_path - 2;
    cleanup_free char *dir = xasprintf("%s/%s", place, name);
    int n = snprintf(a->sun_path + 1, room, "%s/command", dir);
    if (n >= (int)room)
        n = snprintf(a->sun_path + 1, room, "lxc/%016" PRIx64 "/command", hash_of(dir));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* Is who listens there one to be believed? Everybody may listen at an abstract address. */
static bool is_trusted(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

/*
 * Send a request, and who sends it: a monitor hears nobody it does not know, and the kernel by itself
 * does not tell of what comes between its accept() and its wish to be told (SO_PASSCRED).
 */
static bool request_send(int fd, const struct request *q)
{
    const struct ucred me = {getpid(), geteuid(), getegid()};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof me)];
    } control = {0};
    struct iovec iov = {(void *)(uintptr_t)q, sizeof *q};
    const struct msghdr m = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof me),
                                      .cmsg_level = SOL_SOCKET,
                                      .cmsg_type = SCM_CREDENTIALS};
    memcpy(CMSG_DATA(&control.header), &me, sizeof me);
    return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)sizeof *q;
}

/* Send its monitor a command with a number. A descriptor for the answer, within ms; -1: there is none. */
static int monitor_send(const char *place, const char *name, int command, int number, int ms)
{
    struct sockaddr_un a;
    socklen_t len = address_make(place, name, &a);
    const struct request q = {.command = command, .data = (void *)(intptr_t)number};
    const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    if (connect(fd, (struct sockaddr *)&a, len) < 0 || !is_trusted(fd) || !request_send(fd, &q))
        return -1;
    return steal_fd(fd);
}

enum { NO_MONITOR = -1, NO_ANSWER = -2 };

/* Ask its monitor. NO_MONITOR: there is none, or it knows no answer; NO_ANSWER: none came in time. */
static long monitor_ask(const char *place, const char *name, int command, int ms)
{
    struct response r = {0};
    cleanup_close int fd = monitor_send(place, name, command, 0, ms);
    const ssize_t n = fd < 0 ? 0 : recv(fd, &r, sizeof r, MSG_WAITALL);
    if (n < 0 && errno == EAGAIN)
        return NO_ANSWER;
    return n != (ssize_t)sizeof r || r.ret < 0 ? NO_MONITOR : (long)(intptr_t)r.data;
}

/* Its init, asked for so long; 0: it does not run; -1: who knows does not answer. */
static pid_t init_within(const char *place, const char *name, int ms)
{
    long pid = monitor_ask(place, name, COMMAND_GET_INIT_PID, ms);
    return pid == NO_ANSWER ? -1 : pid > 1 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

pid_t foreign_init(const char *place, const char *name, struct error *err)
{
    pid_t pid = init_within(place, name, FOREIGN_ANSWER_MS);
    if (pid == 0)
        return error_set(err, ESRCH, "'%s'", name);
    if (pid > 0)
        return pid;
    error_set(err, ETIMEDOUT, "ask lxc's monitor of '%s' for its init", name);
    return error_hint(err, "the process '[lxc monitor] … %s' is stopped, or has too much to do",
                      name);
}

/* The place of a definition, from the file it was read from: PLACE/NAME/config. */
static char *place_of(const struct guest_def *def)
{
    char *path = xstrdup(def->conf->files[0]);
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(path, '/');
        if (slash)
            *slash = '\0';
    }
    return path;
}

int foreign_check(const struct guest_def *def, struct error *err)
{
    cleanup_free char *place = place_of(def);
    if (init_within(place, def->name, FOREIGN_ANSWER_MS) != 0)
        return error_set(err, 0, "'%s' is running already, by lxc", def->name);
    return 0;
}

int foreign_hold(const struct guest_def *def)
{
    cleanup_free char *place = place_of(def);
    const char *name = def->name;
    struct sockaddr_un a;
    socklen_t len = address_make(place, name, &a);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, 8) < 0)
        return -1;
    return steal_fd(fd);
}

/* ---- its cgroups ---- */

/*
 * The directory of its cgroup in the hierarchy of this controller ("": v2), or NULL: what
 * /proc/PID/cgroup says, without what its init may have made below. Caller frees.
 */
static char *group_dir(pid_t pid, const char *controller)
{
    char path[40], line[512], fields[128], group[400];
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    cleanup_fclose FILE *f = fopen(path, "re");
    bool pure = access(CGROUP_ROOT "/cgroup.controllers", F_OK) == 0;
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':'), *second = colon ? strchr(colon + 1, ':') : NULL;
        if (!second)
            continue;
        snprintf(fields, sizeof fields, ",%.*s,", (int)(second - colon - 1), colon + 1);
        snprintf(group, sizeof group, "%.*s", (int)strcspn(second + 1, "\n"), second + 1);
        cleanup_free char *want = xasprintf(",%s,", controller);
        if (!strstr(fields, want))
            continue;
        char *payload = strstr(group, PAYLOAD);
        char *below = payload ? strchr(payload, '/') : NULL;
        if (below)
            *below = '\0';
        if (!*controller)
            return xasprintf("%s%s%s", CGROUP_ROOT, pure ? "" : "/unified", group);
        return xasprintf("%s/%s%s", CGROUP_ROOT, controller, group);
    }
    return NULL;
}

/* A file below one of its cgroups that is there, or NULL. Caller frees. */
static char *group_file(pid_t pid, const char *controller, const char *file)
{
    cleanup_free char *dir = group_dir(pid, controller);
    char *path = dir ? xasprintf("%s/%s", dir, file) : NULL;
    if (path && access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static bool file_has(const char *path, const char *text)
{
    cleanup_free char *data = NULL;
    return path && file_read_at(AT_FDCWD, path, 512, &data, NULL, NULL) == 0 && strstr(data, text);
}

/* As LXC itself: by the freezer of v1 where there is one. */
static bool is_frozen(pid_t pid)
{
    cleanup_free char *v1 = group_file(pid, "freezer", "freezer.state");
    cleanup_free char *v2 = group_file(pid, "", "cgroup.events");
    return file_has(v1, "FROZEN") || file_has(v2, "frozen 1");
}

static int freeze(pid_t pid, bool yes, struct error *err)
{
    cleanup_free char *v1 = group_file(pid, "freezer", "freezer.state");
    cleanup_free char *v2 = group_file(pid, "", "cgroup.freeze");
    if (!v1 && !v2)
        return error_set(err, 0, "its cgroup cannot be frozen");
    if (yes ? v1 != NULL : file_has(v1, "FROZEN") || file_has(v1, "FREEZING")) {
        if (file_put_at(AT_FDCWD, v1, yes ? "FROZEN" : "THAWED", err) < 0)
            return -1;
    } else if (v2 && file_put_at(AT_FDCWD, v2, yes ? "1" : "0", err) < 0) {
        return -1;
    }
    for (int ms = 0; is_frozen(pid) != yes; ms++) {
        if (ms >= FREEZE_MS)
            return error_set(err, ETIMEDOUT, "wait for its processes");
        poll(NULL, 0, 1);
    }
    return 0;
}

/* ---- how it is ---- */

static void figure(struct figure_source *f, enum figure_kind kind, char *path)
{
    if (path && strlen(path) < sizeof f->path) {
        f->kind = kind;
        snprintf(f->path, sizeof f->path, "%s", path);
    }
    free(path);
}

/* Where the watcher reads what it uses. */
static void figures_of(pid_t pid, struct figure_source figures[FIGURES])
{
    figure(&figures[FIGURE_CPU], FIGURE_PROC_STAT, xasprintf("/proc/%d/stat", pid));
    figure(&figures[FIGURE_CPU], FIGURE_NUMBER, group_file(pid, "cpuacct", "cpuacct.usage"));
    figure(&figures[FIGURE_CPU], FIGURE_CPU_STAT, group_file(pid, "", "cpu.stat"));
    figure(&figures[FIGURE_MEMORY], FIGURE_PROC_STATM, xasprintf("/proc/%d/statm", pid));
    figure(&figures[FIGURE_MEMORY], FIGURE_NUMBER,
           group_file(pid, "memory", "memory.usage_in_bytes"));
    figure(&figures[FIGURE_MEMORY], FIGURE_NUMBER, group_file(pid, "", "memory.current"));
    figure(&figures[FIGURE_DISK], FIGURE_PROC_IO, xasprintf("/proc/%d/io", pid));
    figure(&figures[FIGURE_DISK], FIGURE_BLKIO,
           group_file(pid, "blkio", "blkio.throttle.io_service_bytes"));
    figure(&figures[FIGURE_DISK], FIGURE_IO_STAT, group_file(pid, "", "io.stat"));
    figure(&figures[FIGURE_NET], FIGURE_NET_DEV, xasprintf("/proc/%d/net/dev", pid));
}

/* When a process began, in the time of now_boot_ns(). */
static uint64_t began_ns(pid_t pid)
{
    char path[32];
    cleanup_free char *stat = NULL;
    unsigned long long ticks = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (file_read_at(AT_FDCWD, path, 8192, &stat, NULL, NULL) < 0)
        return now_boot_ns();
    const char *p = strrchr(stat, ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    if (p)
        sscanf(p, " %llu", &ticks);
    return ticks * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
}

bool foreign_look(const char *place, const char *name, struct status_page *page)
{
    pid_t pid = init_within(place, name, GLANCE_MS);
    if (!pid)
        return false;
    if (pid < 0) { /* who has a monitor runs, whatever that is busy with */
        *page = (struct status_page){.state = GUEST_RUNNING, .started_ns = now_boot_ns()};
        snprintf(page->engine, sizeof page->engine, "container");
        snprintf(page->name, sizeof page->name, "%s", name);
        return true;
    }
    long state = monitor_ask(place, name, COMMAND_GET_STATE, GLANCE_MS);
    *page = (struct status_page){.guest_pid = pid, .started_ns = began_ns(pid)};
    page->state = state == LXC_STARTING                            ? GUEST_STARTING
                  : state == LXC_STOPPING || state == LXC_ABORTING ? GUEST_STOPPING
                  : state == LXC_FROZEN || is_frozen(pid)          ? GUEST_FROZEN
                                                                   : GUEST_RUNNING;
    snprintf(page->engine, sizeof page->engine, "container");
    snprintf(page->name, sizeof page->name, "%s", name);
    figures_of(pid, page->figures);
    return true;
}

/* ---- what can be done with it ---- */

/* Wait for its end. false: it is there yet. */
static bool await_end(const char *place, const char *name, int pidfd, int ms)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    if (poll(&p, 1, ms) != 1)
        return false;
    for (int i = 0; i < KILL_MS && monitor_ask(place, name, COMMAND_GET_STATE, GLANCE_MS) >= 0; i++)
        poll(NULL, 0, 1); /* its monitor tidies up */
    return true;
}

static int kill_it(const char *place, const char *name, pid_t pid, int pidfd, struct error *err)
{
    if (is_frozen(pid) && freeze(pid, false, err) < 0)
        return -1;
    monitor_ask(place, name, COMMAND_STOP, GLANCE_MS);
    if (await_end(place, name, pidfd, END_MS))
        return 0;
    if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        return error_set(err, errno, "kill its init, process %d", pid);
    if (!await_end(place, name, pidfd, KILL_MS))
        return error_set(err, ETIMEDOUT, "wait for the end of its init, process %d", pid);
    return 0;
}

/* Freeze or thaw it, and let those know that ask its monitor. */
static int freeze_known(const char *place, const char *name, pid_t pid, bool yes, struct error *err)
{
    if (freeze(pid, yes, err) < 0)
        return -1;
    int fd = monitor_send(place, name, COMMAND_SET_STATE, yes ? LXC_FROZEN : LXC_THAWED, GLANCE_MS);
    if (fd >= 0)
        close(fd); /* it answers nothing */
    return 0;
}

static int halt_signal(const struct guest_def *def)
{
    const char *said = conf_get(def->conf, "lxc.signal.halt");
    int sig = said ? signal_number(said) : SIGPWR;
    return sig > 0 ? sig : SIGPWR;
}

static int act(const char *place, const struct guest_def *def, enum foreign_act what, int ms,
               struct error *err)
{
    pid_t pid = foreign_init(place, def->name, err);
    if (pid < 0)
        return -1;
    cleanup_close int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        return error_set(err, ESRCH, "'%s'", def->name);
    if (what == FOREIGN_FREEZE || what == FOREIGN_THAW)
        return freeze_known(place, def->name, pid, what == FOREIGN_FREEZE, err);
    if (what == FOREIGN_KILL)
        return kill_it(place, def->name, pid, pidfd, err);
    if (is_frozen(pid) && freeze(pid, false, err) < 0)
        return -1;
    if (pidfd_send_signal(pidfd, halt_signal(def), NULL, 0) < 0)
        return error_set(err, errno, "ask its init to shut down");
    if (await_end(place, def->name, pidfd, ms))
        return 0;
    return kill_it(place, def->name, pid, pidfd, err);
}

const struct engine_foreign lxc_foreign = {
    .whose = "lxc",
    .places = foreign_places,
    .adapt = adapt,
    .look = foreign_look,
    .act = act,
    .exec = foreign_exec,
};
