/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine "container" as the keeper sees it: start and watch the first process, stop, kill,
 * freeze it, and give everything back. container.h tells how the parts work together.
 *
 * Two descriptors tell all that happens: the socket, over which the first process reports until it
 * becomes the container's init (which closes it: then the container runs), and its pidfd.
 */
#include "lxc/lxc.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "guest/console.h"
#include "lxc/apparmor.h"
#include "lxc/archive.h"
#include "lxc/container.h"
#include "lxc/foreign.h"
#include "lxc/devices.h"
#include "lxc/hooks.h"
#include "lxc/notify.h"
#include "lxc/rootpath.h"
#include "lxc/snapshot.h"
#include "lxc/template.h"
#include "guest/limits.h"

#define INIT_BEGINS_NS UINT64_C(60000000000) /* at most so long after its guest */
#define INIT_AHEAD_NS  UINT64_C(5000000000)  /* or so long before, with lxc_prepare() */
#define INIT_DIES_MS   3000
#define KILL_AFTER_S   2
#define COUNT_AFTER_MS 50 /* a command in a pipe that lives longer joins the cgroups that count */

/*
 * What is mounted on in every root file system must not lead elsewhere. Who mounts looks again
 * (rootfs_dir()): this tells it before anything is made.
 */
static int root_check(const char *root, struct error *err)
{
    static const char *const dirs[] = {"dev", "proc", "sys"};
    struct stat st;
    if (stat(root, &st) < 0)
        return error_set(err, errno, "root file system '%s'", root);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, ENOTDIR, "root file system '%s'", root);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
        cleanup_free char *path = xasprintf("%s/%s", root, dirs[i]);
        if (lstat(path, &st) == 0 && !S_ISDIR(st.st_mode))
            return error_set(err, 0, ROOT_DIR_IS_NONE, dirs[i]);
    }
    return 0;
}

/* The upper layer of an overlay, which may be anywhere. */
static int upper_check(const struct config *c, struct error *err)
{
    struct stat st;
    if (c->root != ROOT_LAYERS)
        return 0;
    cleanup_free char *path = xasprintf("%s/%s", c->trees[c->tree_count - 1].path, c->upper);
    const int why = stat(path, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (why == 0)
        return 0;
    error_set(err, why, "the upper layer '%s' of the root", path);
    return error_hint(err, "an empty directory is one: mkdir -p '%s'", path);
}

static int lxc_check(const struct guest_def *def, struct error *err)
{
    struct config c;
    int ret = config_load(def, &c, err);
    const char *root = ret == 0 && c.tree_count > 0 ? c.trees[0].path : NULL;
    bool own = !conf_get(def->conf, "lxc.rootfs.path");
    if (root && !own)
        ret = c.trees[0].image ? image_check(root, err) : root_check(root, err);
    if (ret == 0)
        ret = upper_check(&c, err);
    if (ret == 0 && def->foreign)
        ret = foreign_check(def, err);
    if (ret == 0)
        ret = network_check(def, &c.nics, err);
    config_clear(&c);
    return ret < 0 ? -1 : cgroup_check(def, err);
}

/* ---- what the first process reports ---- */

/* The command, or the system's init, runs. */
static void container_started(struct container *c)
{
    if (c->running)
        return;
    c->running = true;
    struct status_page *p = c->keeper->status.page;
    status_begin(&c->keeper->status);
    p->guest_pid = c->init;
    p->root_uid = idmap_root_uid(&c->config.map);
    p->ids = idmap_root_count(&c->config.map);
    cgroup_figures(&c->cgroup, c->init, p->figures);
    status_commit(&c->keeper->status);
    log_at(LOG_AT_INFO, "runs: init is process %d, its root %u", c->init, p->root_uid);
    struct timeval tv = {.tv_usec = COUNT_AFTER_MS * 1000};
    event_add(c->count_timer, &tv);
    keeper_started(c->keeper);
}

static void count_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct container *c = arg;
    struct status *s = &c->keeper->status;
    cgroup_join_counting(&c->cgroup);
    status_begin(s);
    cgroup_figures(&c->cgroup, c->init, s->page->figures);
    status_commit(s);
}

/* What the first process waited for failed: why it ends. Returns what it is told. */
static enum message_kind start_failed(struct container *c, const struct error *err)
{
    c->failed = (struct message){.kind = MESSAGE_FAILED, .value = 1};
    snprintf(c->failed.text, sizeof c->failed.text, "%s", err->text);
    return MESSAGE_FAILED;
}

static void console_arrived(struct container *c, const int fds[CONSOLE_FDS])
{
    struct error err;
    c->master = fds[0];
    c->slave = fds[1];
    c->ptmx = fds[2];
    memcpy(c->namespaces + NS_GIVEN, fds + 3, sizeof(int) * (NS_COUNT - NS_GIVEN));
    if (console_plug_fd(c->keeper->console, c->master, &err) < 0)
        log_line("console: %s", err.text);
    /* It waits for its list of devices to be the one that was said, and ends where that cannot be. */
    struct message m = {.kind = MESSAGE_GO};
    if (devices_settle(&c->cgroup, c->keeper->def->conf, &err) < 0)
        m.kind = start_failed(c, &err);
    message_send(c->sock, &m, NULL, 0);
}

/*
 * Where the container's memory is at its limit, our init is the last that the kernel takes; without
 * it all others would go. Its command runs already, and does not inherit this. Only root can do it.
 */
static void spare_init(const struct container *c)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", c->init);
    if (c->config.privileged && !conf_get(c->keeper->def->conf, "lxc.proc.oom_score_adj"))
        file_put_at(AT_FDCWD, path, "-998", NULL);
}

/* The container is ready for its init: what is to be run before that. */
static void hooks_before_init(struct container *c)
{
    struct error err;
    struct message m = {.kind = MESSAGE_GO};
    const struct hook_facts facts = {.pid = c->init};
    if (hooks_run(c->keeper->def, &c->config.set, HOOK_START_HOST, &facts, &err) < 0)
        m.kind = start_failed(c, &err);
    message_send(c->sock, &m, NULL, 0);
}

/* The container is over; its namespaces are still there. */
static void hooks_after(struct container *c, pid_t init, int status)
{
    struct error err;
    c->reboots = WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP && !c->ended_known;
    const struct hook_facts facts = {.pid = init,
                                     .target = c->reboots ? "reboot" : "stop",
                                     .namespaces = c->namespaces};
    if (c->hooked && hooks_run(c->keeper->def, &c->config.set, HOOK_STOP, &facts, &err) < 0)
        log_line("%s", err.text);
}

/* Take in all messages that are there. */
static void messages_take(struct container *c)
{
    struct message m;
    int fds[TTY_FDS * TTYS_MAX], n;
    while ((n = message_recv(c->sock, &m, fds, ARRAY_SIZE(fds))) >= 0) {
        if (m.kind == MESSAGE_CONSOLE && n == CONSOLE_FDS)
            console_arrived(c, fds);
        else if (m.kind == MESSAGE_TTYS)
            ttys_take(c, fds, (size_t)n);
        else if (m.kind == MESSAGE_READY)
            hooks_before_init(c);
        else if (m.kind == MESSAGE_STARTED) {
            spare_init(c);
            container_started(c);
        } else if (m.kind == MESSAGE_FAILED)
            c->failed = m;
        else if (m.kind == MESSAGE_NOTIFY && n == 1)
            notify_watch(c, fds[0]);
        else if (m.kind == MESSAGE_ENDED) {
            c->ended_known = true;
            c->wait_status = m.value;
        }
    }
    if (errno != EPIPE)
        return;
    event_del(c->sock_event);
    if (c->failed.kind == 0 && !c->config.app && c->master >= 0)
        container_started(c); /* closed by a successful exec */
}

static void sock_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    messages_take(arg);
}

/* ---- the end ---- */

/* Say how it ended. In a pid namespace reboot(2) kills init with SIGHUP, or SIGINT to power off. */
static void container_judge(struct container *c, int status)
{
    struct keeper *k = c->keeper;
    char reason[160];
    if (c->failed.kind == MESSAGE_FAILED) {
        keeper_ended(k, ENDED_CRASH, c->failed.value, c->failed.text);
        return;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP && !c->ended_known) {
        keeper_ended(k, ENDED_REBOOT, -1, NULL);
        return;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT && !c->ended_known) {
        keeper_ended(k, ENDED_EXIT, 0, NULL);
        return;
    }
    if (c->ended_known)
        status = c->wait_status;
    if (WIFEXITED(status)) {
        keeper_ended(k, ENDED_EXIT, WEXITSTATUS(status), NULL);
        return;
    }
    snprintf(reason, sizeof reason, "%s died of signal %d (%s)", c->config.argv[0],
             WTERMSIG(status), strsignal(WTERMSIG(status)));
    keeper_ended(k, ENDED_SIGNAL, 128 + WTERMSIG(status), reason);
}

static void exit_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct container *c = arg;
    const pid_t init = c->init;
    int status = 0;
    messages_take(c);
    waitpid(init, &status, 0);
    event_del(c->exit_event);
    event_del(c->count_timer);
    c->init = 0;
    hooks_after(c, init, status);
    container_judge(c, status);
}

/* ---- start ---- */

/* lxc.monitor.unshare: mounts of the keeper's own, which the host's still come to. */
static int mounts_own(const struct config *c, struct error *err)
{
    if (!c->set.own_mounts)
        return 0;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return error_set(err, errno, "have mounts of its own (lxc.monitor.unshare)");
    return 0;
}

/* What is to be run before all else. */
static int hooks_first(struct container *c, struct error *err)
{
    c->hooked = true;
    return hooks_run(c->keeper->def, &c->config.set, HOOK_PRE_START, NULL, err);
}

/* Everything up to the first process, which is at its mounts then. */
static int lxc_begin(struct keeper *k, struct error *err)
{
    struct container *c = xcalloc(1, sizeof *c);
    *c = (struct container){.keeper = k,
                            .pidfd = -1,
                            .sock = -1,
                            .master = -1,
                            .slave = -1,
                            .ptmx = -1,
                            .ids = -1,
                            .held = -1,
                            .netns = -1};
    memset(c->namespaces, -1, sizeof c->namespaces);
    memset(c->ttys, -1, sizeof c->ttys);
    memset(c->layers, -1, sizeof c->layers);
    k->engine_data = c;
    cgroup_init(&c->cgroup);
    bool quick = k->def->throwaway && k->raw_console;
    if (config_load(k->def, &c->config, err) < 0 || root_path_hold(k->def, c->layers, err) < 0 ||
        config_layers(k->def, &c->config, err) < 0 || log_copies_open(&c->config.set, err) < 0 ||
        mounts_own(&c->config, err) < 0 || hooks_first(c, err) < 0 ||
        apparmor_prepare(c, err) < 0 || config_filter(&c->config, err) < 0 ||
        idmap_claim(&c->config.map, k->def->name, &c->ids, err) < 0 ||
        cgroup_create(&c->cgroup, k->def, !quick, err) < 0 ||
        cgroup_monitor_begin(&c->cgroup, k->def->conf, err) < 0)
        return -1;
    c->config.raw_console = k->raw_console;
    c->config.cols = k->cols;
    c->config.rows = k->rows;
    /* Beside v1, too, for a system: systemd needs a tree of its own, be it without controllers. */
    c->config.cgroup2 = c->cgroup.v2 >= 0 && (c->cgroup.pure || !c->config.app);
    return spawn(c, err);
}

/*
 * As much as there is to do for the keeper before the container runs, it does while that one makes
 * its mounts. But hooks print to the log, which is not there yet.
 */
static int lxc_prepare(struct keeper *k, struct error *err)
{
    static const char *const later[] = {"lxc.hook.pre-start", "lxc.monitor.unshare", "lxc.log.file",
                                        "lxc.log.syslog"};
    for (size_t i = 0; i < ARRAY_SIZE(later); i++)
        if (conf_get(k->def->conf, later[i]))
            return 0;
    return lxc_begin(k, err);
}

/* Who asks for LXC's monitor of it is told that there is none; but it cannot be another's. */
static void held_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    (void)arg;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (peer >= 0)
        close(peer);
}

static void foreign_begin(struct container *c)
{
    if (!c->keeper->def->foreign)
        return;
    c->held = foreign_hold(c->keeper->def);
    c->held_event =
        c->held < 0 ? NULL : event_new(c->keeper->base, c->held, EV_READ | EV_PERSIST, held_cb, c);
    if (c->held_event)
        event_add(c->held_event, NULL);
}

static int lxc_start(struct keeper *k, struct error *err)
{
    if (!k->engine_data && lxc_begin(k, err) < 0) /* neither prepared, nor after a reboot */
        return -1;
    struct container *c = k->engine_data;
    if (console_log_open(c, err) < 0)
        return -1;
    /* Should this process be killed: lxc_recover() looks for the init, and for groups, by these. */
    status_begin(&k->status);
    k->status.page->guest_pid = c->init;
    cgroup_figures(&c->cgroup, c->init, k->status.page->figures);
    status_commit(&k->status);
    fcntl(c->sock, F_SETFL, O_NONBLOCK);
    c->sock_event = event_new(k->base, c->sock, EV_READ | EV_PERSIST, sock_cb, c);
    c->exit_event = event_new(k->base, c->pidfd, EV_READ | EV_PERSIST, exit_cb, c);
    c->count_timer = evtimer_new(k->base, count_cb, c);
    if (!c->sock_event || !c->exit_event || !c->count_timer || event_add(c->sock_event, NULL) < 0 ||
        event_add(c->exit_event, NULL) < 0)
        return error_set(err, ENOMEM, "watch the container");
    foreign_begin(c);
    return 0;
}

static void event_drop(struct event *e)
{
    if (e)
        event_free(e);
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void lxc_cleanup(struct keeper *k)
{
    struct container *c = k->engine_data;
    if (!c)
        return;
    event_drop(c->sock_event);
    event_drop(c->exit_event);
    event_drop(c->count_timer);
    event_drop(c->kill_timer);
    event_drop(c->held_event);
    if (c->init > 0) {
        kill(c->init, SIGKILL);
        waitpid(c->init, NULL, 0);
    }
    if (namespace_kind(&c->config.set, SHARE_PID) != NAMESPACE_OWN)
        cgroup_kill(&c->cgroup); /* they did not go with init */
    network_unmake(c);
    notify_drop(c);
    ttys_drop(c);
    console_log_close(c);
    close_fd(c->held);
    close_fd(c->sock);
    close_fd(c->pidfd);
    close_fd(c->master);
    close_fd(c->slave);
    close_fd(c->ptmx);
    close_fd(c->ids);
    for (size_t i = 0; i < ROOT_HOLDS; i++)
        close_fd(c->layers[i]);
    for (size_t i = 0; i < NS_COUNT; i++)
        close_fd(c->namespaces[i]);
    cgroup_monitor_end(&c->cgroup, k->def->conf);
    cgroup_remove(&c->cgroup);
    apparmor_done(c);
    struct error err;
    const struct hook_facts facts = {.target = c->reboots ? "reboot" : "stop"};
    if (c->hooked && hooks_run(k->def, &c->config.set, HOOK_POST_STOP, &facts, &err) < 0)
        log_line("%s", err.text);
    config_clear(&c->config);
    free(c);
    k->engine_data = NULL;
}

/* ---- what is asked of it ---- */

static int container_signal(const struct container *c, int sig, struct error *err)
{
    if (c->init <= 0)
        return error_set(err, ESRCH, "send signal %d", sig);
    if (pidfd_send_signal(c->pidfd, sig, NULL, 0) < 0)
        return error_set(err, errno, "send signal %d to init", sig);
    return 0;
}

/* What an init expects when it is to power off, by the name of its program. */
static int halt_signal(const struct container *c)
{
    const struct {
        const char *program;
        int signal;
    } known[] = {{"systemd", SIGRTMIN + 3}, {"busybox", SIGUSR2}};
    char path[32], exe[512];
    if (c->config.app || c->config.halt_given)
        return c->config.halt_signal;
    snprintf(path, sizeof path, "/proc/%d/exe", c->init);
    ssize_t n = readlink(path, exe, sizeof exe - 1);
    exe[n < 0 ? 0 : n] = '\0';
    const char *slash = strrchr(exe, '/');
    for (size_t i = 0; slash && i < ARRAY_SIZE(known); i++)
        if (str_eq(slash + 1, known[i].program))
            return known[i].signal;
    return c->config.halt_signal;
}

static int lxc_stop(struct keeper *k, struct error *err)
{
    const struct container *c = k->engine_data;
    return container_signal(c, halt_signal(c), err);
}

/* lxc.signal.stop did not end it. */
static void kill_cb(evutil_socket_t fd, short what, void *arg)
{
    struct error err;
    struct container *c = arg;
    (void)fd;
    (void)what;
    if (c->init > 0 && container_signal(c, SIGKILL, &err) < 0)
        log_line("%s", err.text);
    cgroup_kill(&c->cgroup);
}

/* Try another signal than SIGKILL first. 1: there is none to be tried. */
static int kill_softly(struct container *c, struct error *err)
{
    const struct timeval tv = {.tv_sec = KILL_AFTER_S};
    if (!c->config.set.stop_signal || c->config.set.stop_signal == SIGKILL || c->kill_timer)
        return 1;
    c->kill_timer = evtimer_new(c->keeper->base, kill_cb, c);
    if (!c->kill_timer || event_add(c->kill_timer, &tv) < 0)
        return 1;
    return container_signal(c, c->config.set.stop_signal, err);
}

static int lxc_kill(struct keeper *k, struct error *err)
{
    struct container *c = k->engine_data;
    if (!c || c->init <= 0)
        return 0; /* it is ending already */
    if (kill_softly(c, err) == 0)
        return 0;
    int ret = container_signal(c, SIGKILL, err); /* and with it all of its pid namespace */
    cgroup_kill(&c->cgroup);
    return ret;
}

static int lxc_freeze(struct keeper *k, struct error *err)
{
    const struct container *c = k->engine_data;
    return cgroup_freeze(&c->cgroup, true, err);
}

static int lxc_thaw(struct keeper *k, struct error *err)
{
    const struct container *c = k->engine_data;
    return cgroup_freeze(&c->cgroup, false, err);
}

static int lxc_resize(struct keeper *k, unsigned cols, unsigned rows, struct error *err)
{
    const struct container *c = k->engine_data;
    struct winsize ws = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};
    if (c && c->master >= 0 && ioctl(c->master, TIOCSWINSZ, &ws) < 0)
        return error_set(err, errno, "resize the console");
    return 0;
}

static int lxc_send(struct keeper *k, enum console_signal what, struct error *err)
{
    const struct container *c = k->engine_data;
    if (what == CONSOLE_CTRL_ALT_DEL) /* what the kernel sends init for it */
        return container_signal(c, c->config.reboot_signal, err);
    return error_set(err, 0, "a container's console knows no break");
}

static int lxc_limit(struct keeper *k, const struct guest_def *now, struct error *err)
{
    struct container *c = k->engine_data;
    if (limits_change(&c->cgroup, k->def, now, err) < 0)
        return -1;
    status_begin(&k->status);
    cgroup_figures(&c->cgroup, c->init, k->status.page->figures);
    status_commit(&k->status);
    return 0;
}

static int lxc_plug(struct keeper *k, struct plug_request *p, bool remove, struct error *err)
{
    if (p->entry)
        return hotplug(k->engine_data, p->entry, remove, err);
    return remove ? network_unplug(k->engine_data, p, err) : network_plug(k->engine_data, p, err);
}

static pid_t lxc_exec(struct keeper *k, const struct exec_request *req, int *master,
                      struct error *err)
{
    return attach(k->engine_data, req, master, err);
}

/* A number of /proc/PID/stat behind the name, which may contain anything; field as in proc(5). */
static uint64_t stat_field(const char *text, int field)
{
    const char *p = strrchr(text, ')');
    for (int i = 2; p && i < field; i++)
        p = strchr(p + 1, ' ');
    return p ? strtoull(p, NULL, 10) : 0;
}

/*
 * Is it what the status page calls the container's init? A pid may have been given to another
 * since: ours is process 1 of a pid namespace below ours, and began when its guest did.
 */
static bool is_our_init(pid_t pid, const struct status_page *page)
{
    char path[32];
    cleanup_free char *status = NULL, *stat = NULL;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    if (file_read_at(AT_FDCWD, path, 8192, &status, NULL, NULL) < 0)
        return false;
    const char *nspid = strstr(status, "\nNSpid:");
    int outer, inner;
    if (!nspid || sscanf(nspid, "\nNSpid: %d %d", &outer, &inner) != 2 || inner != 1)
        return false;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (file_read_at(AT_FDCWD, path, 8192, &stat, NULL, NULL) < 0)
        return false;
    uint64_t tick = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    uint64_t began = stat_field(stat, 22) * tick;
    return began + INIT_AHEAD_NS >= page->started_ns && began <= page->started_ns + INIT_BEGINS_NS;
}

/*
 * End an init that outlived its keeper: PR_SET_PDEATHSIG is its own to undo. The page was written
 * by a keeper of whoever owns the runtime directory, and no guest can write to it; still, nothing
 * is killed that does not look like the init of this guest.
 */
static int init_recover(const struct status_page *page, struct error *err)
{
    cleanup_close int pidfd = page->guest_pid > 1 ? pidfd_open(page->guest_pid, 0) : -1;
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    if (pidfd < 0 || !is_our_init(page->guest_pid, page))
        return 0;
    if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        return error_set(err, errno, "kill the container's init, process %d", page->guest_pid);
    if (poll(&p, 1, INIT_DIES_MS) == 0)
        return error_set(err, ETIMEDOUT, "wait for the end of the container's init, process %d",
                         page->guest_pid);
    return 0;
}

/* Most containers die with their keeper; what remains is their cgroups. */
static int lxc_recover(const char *name, const char *run_dir, const struct status_page *page,
                       struct error *err)
{
    cleanup_def struct guest_def *def = NULL;
    (void)run_dir;
    store_load(name, &def, NULL);
    /* It thaws, too, what cannot die while it is frozen. */
    int ret = cgroup_recover(name, def ? def->conf : NULL, page, err);
    if (def)
        network_recover(def);
    return init_recover(page, err) < 0 ? -1 : ret;
}

/* Options that are a file system's, of what is no whole file system: a wrong ro may be among them. */
static void warn_of_options(const struct config *c, void (*tell)(void *arg, const char *text),
                            void *arg)
{
    if (c->root_data && !(c->tree_count > 0 && c->trees[0].image)) {
        cleanup_free char *text =
            xasprintf("lxc.rootfs.options: '%s' has no effect: the root is a directory, whose file "
                      "system is mounted already",
                      c->root_data);
        tell(arg, text);
    }
    for (size_t i = 0; i < c->mount_count; i++) {
        const struct mount_entry *m = &c->mounts[i];
        if (!m->bind || !m->data)
            continue;
        cleanup_free char *text =
            xasprintf("lxc.mount.entry: '%s' has no effect on what is mounted on '/%s' by bind",
                      m->data, m->target);
        tell(arg, text);
    }
}

/* What is to be known of a definition that is good. */
static void lxc_warn(const struct guest_def *def, void (*tell)(void *arg, const char *text),
                     void *arg)
{
    struct config c = {0};
    struct error err;
    if (config_load(def, &c, &err) == 0)
        warn_of_options(&c, tell, arg);
    config_clear(&c);
    nics_warn(def->conf, tell, arg);
    reach_warn(def, tell, arg);
}

const struct engine lxc_engine = {
    .type = "container",
    .brief = "ct",
    .more_ports = "lxc.tty.max = N gives it tty1 to ttyN",
    .keys = lxc_keys,
    .modern = keys_modern,
    .take = config_take,
    .manual = keys_doc,
    .check = lxc_check,
    .warn = lxc_warn,
    .templates = lxc_templates,
    .depopulate = archive_remove,
    .needed = root_path_needed,
    .farewell = hooks_destroy,
    .prepare = lxc_prepare,
    .start = lxc_start,
    .stop = lxc_stop,
    .kill = lxc_kill,
    .freeze = lxc_freeze,
    .thaw = lxc_thaw,
    .resize = lxc_resize,
    .send = lxc_send,
    .limit_key = limits_key,
    .limit = lxc_limit,
    .plug = lxc_plug,
    .plug_lines = network_lines,
    .exec = lxc_exec,
    .cleanup = lxc_cleanup,
    .cleans_late = true,
    .recover = lxc_recover,
    .foreign = &lxc_foreign,
    .snapshots = &lxc_snapshots,
    .clone = lxc_clone,
    .pack = lxc_pack,
    .unpack = lxc_unpack,
    .doctor = lxc_doctor,
};
