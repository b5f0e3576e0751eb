/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keeper's life: launch, start, run, end. See keeper.h for what it is.
 *
 *     launch: RUN/NAME made and locked ─ fork ─┬─ launcher waits for the first event of state
 *                                              └─ keeper: leaves session and terminal, opens ring,
 *                                                 page and socket, starts the engine, runs the loop
 *     end:    engine says keeper_ended() ─ rest of the console taken ─ engine cleans up ─
 *             (reboot: start again) ─ end written down ─ RUN/NAME removed ─ clients told ─ exit
 *
 * Of a throwaway guest the clients may be told first (engine.h, cleans_late). The status page says
 * then that it is over, so that nobody sees it any more; RUN/NAME stays until all is clean, for who
 * has to do that should this process be killed.
 */
#include "guest/keeper.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/places.h"
#include "base/title.h"
#include "base/util.h"
#include "guest/client.h"
#include "guest/confine.h"
#include "guest/control.h"
#include "guest/janitor.h"
#include "guest/keeper_private.h"
#include "guest/scope.h"

#define LOG_LIMIT    (256u << 10)
#define PORT_HISTORY (64u << 10)
#define LAST_READ_MS 1000 /* what a reader that need not have every byte gets for the last ones */

/* ---- state ---- */

enum guest_state keeper_state(const struct keeper *k)
{
    return (enum guest_state)k->status.page->state;
}

json_t *keeper_state_event(const struct keeper *k)
{
    return json_pack("{s:s, s:s, s:s}", "event", "state", "state", state_name(keeper_state(k)),
                     "note", k->status.page->note);
}

void keeper_set_state(struct keeper *k, enum guest_state s, const char *note)
{
    struct status_page *p = k->status.page;
    status_begin(&k->status);
    p->state = s;
    snprintf(p->note, sizeof p->note, "%s", note ? note : "");
    str_printable(p->note); /* a guest may have had a hand in it, and JSON wants UTF-8 */
    status_commit(&k->status);
    control_broadcast(k, keeper_state_event(k));
}

void keeper_started(struct keeper *k)
{
    k->priv->started_once = true;
    if (keeper_state(k) == GUEST_STARTING)
        keeper_set_state(k, GUEST_RUNNING, NULL);
}

void keeper_frozen(struct keeper *k, const char *why)
{
    const unsigned when = 1u << GUEST_RUNNING | 1u << GUEST_STOPPING | 1u << GUEST_FROZEN;
    if (!(when & 1u << keeper_state(k)))
        return;
    log_line("frozen: %s", why);
    keeper_set_state(k, GUEST_FROZEN, why);
}

int keeper_resize(struct keeper *k, unsigned cols, unsigned rows, struct error *err)
{
    status_begin(&k->status);
    k->cols = k->status.page->cols = cols;
    k->rows = k->status.page->rows = rows;
    status_commit(&k->status);
    return k->def->engine->resize(k, cols, rows, err);
}

/* ---- ports ---- */

struct console *keeper_port(struct keeper *k, const char *name, bool stream, struct error *err)
{
    struct port **end = &k->priv->ports;

    for (; *end; end = &(*end)->next)
        if (strcmp((*end)->name, name) == 0)
            return (*end)->console;
    cleanup_free struct port *p = xcalloc(1, sizeof *p);
    cleanup_free char *file = xasprintf(CONSOLE_FILE ".%s", name);
    snprintf(p->name, sizeof p->name, "%s", name);
    p->console = console_create(k->base, k->run_dir, file, PORT_HISTORY, err);
    if (!p->console)
        return NULL;
    if (stream)
        console_make_stream(p->console);
    *end = p;
    return steal_ptr(p)->console;
}

struct console *keeper_port_find(const struct keeper *k, const char *name, struct error *err)
{
    const struct port *first = k->priv->ports;

    if (first && str_eq(name, "second"))
        return first->console;
    for (const struct port *p = first; p; p = p->next)
        if (str_eq(p->name, name))
            return p->console;
    if (!first) {
        error_set(err, 0, "'%s' has no terminal '%.60s', only its console", k->def->name, name);
        if (k->def->engine->more_ports)
            error_hint(err, "%s", k->def->engine->more_ports);
        return NULL;
    }
    error_set(err, 0, "'%s' has no port '%.60s'", k->def->name, name);
    for (const struct port *p = first; p; p = p->next)
        error_hint(err, "%s%s", p == first ? "there is " : "", p->name);
    return NULL;
}

/* ---- stopping ---- */

int keeper_kill(struct keeper *k, struct error *err)
{
    k->kill_asked = true;
    if (k->priv->ended)
        return 0;
    if (event_pending(k->priv->reboot_timer, EV_TIMEOUT, NULL)) {
        event_del(k->priv->reboot_timer); /* between two lives there is nothing to kill */
        keeper_ended(k, ENDED_KILLED, -1, NULL);
        return 0;
    }
    if (k->def->engine->kill(k, err) < 0)
        return error_wrap(err, "kill '%s'", k->def->name);
    return 0;
}

static void stop_timer_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct keeper *k = arg;
    struct error err;
    log_line("it did not stop in time, and is killed");
    if (keeper_kill(k, &err) < 0)
        log_line("%s", err.text);
}

int keeper_stop(struct keeper *k, unsigned seconds, struct error *err)
{
    k->stop_asked = true;
    if (keeper_state(k) == GUEST_STARTING)
        return keeper_kill(k, err); /* it would not hear us yet, and has done nothing to lose */
    if (keeper_state(k) == GUEST_FROZEN && k->def->engine->thaw(k, err) < 0)
        return error_wrap(err, "thaw '%s' so that it can stop", k->def->name);
    if (k->def->engine->stop(k, err) < 0)
        return error_wrap(err, "stop '%s'", k->def->name);
    keeper_set_state(k, GUEST_STOPPING, NULL);
    struct timeval tv = {.tv_sec = seconds};
    event_add(k->priv->stop_timer, &tv);
    return 0;
}

/* SIGTERM, as at the host's shutdown: stop it; a second one kills it. */
static void sigterm_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct keeper *k = arg;
    struct error err;
    struct signalfd_siginfo si;
    if (read(fd, &si, sizeof si) != (ssize_t)sizeof si)
        return;
    if (k->stop_asked ? keeper_kill(k, &err) < 0 : keeper_stop(k, 30, &err) < 0)
        log_line("%s", err.text);
}

/* ---- the end ---- */

void keeper_ended(struct keeper *k, enum guest_end how, int exit_status, const char *reason)
{
    struct keeper_private *p = k->priv;
    if (p->ended)
        return;
    p->ended = true;
    p->how = how;
    p->exit_status = exit_status;
    snprintf(p->reason, sizeof p->reason, "%s", reason ? reason : "");
    str_printable(p->reason);
    event_active(p->ended_event, EV_TIMEOUT, 0);
}

/* What was asked for is no crash, whatever the engine saw of it. */
static void end_judge(struct keeper *k)
{
    struct keeper_private *p = k->priv;
    if (k->kill_asked) {
        p->how = ENDED_KILLED;
        snprintf(p->reason, sizeof p->reason, "killed");
    } else if (k->stop_asked && p->how != ENDED_CRASH) {
        p->how = ENDED_EXIT;
    }
}

/* Tell everybody, with what is known of the end; also who asks only after it. */
static void end_announce(struct keeper *k)
{
    const struct keeper_private *p = k->priv;
    bool bad = p->how >= ENDED_SIGNAL;
    status_begin(&k->status);
    k->status.page->state = bad ? GUEST_CRASHED : GUEST_STOPPED;
    status_commit(&k->status);
    json_t *e = json_pack("{s:s, s:s, s:s}", "event", p->started_once ? "state" : "failed", "state",
                          state_name(bad ? GUEST_CRASHED : GUEST_STOPPED), "note", p->reason);
    json_object_set_new(e, "exit_status",
                        p->exit_status < 0 ? json_null() : json_integer(p->exit_status));
    json_object_set_new(e, "killed", json_boolean(p->how == ENDED_KILLED));
    control_broadcast(k, e);
}

/* One console more has no readers left. */
static void drained_cb(void *arg)
{
    struct keeper *k = arg;
    if (--k->priv->unread == 0)
        event_base_loopbreak(k->base);
}

/* Give the readers of all consoles what they have not got yet, and the loop its end. */
static void finish_consoles(struct keeper *k)
{
    k->priv->unread = 1;
    for (const struct port *p = k->priv->ports; p; p = p->next)
        k->priv->unread++;
    for (const struct port *p = k->priv->ports; p; p = p->next)
        console_finish(p->console, LAST_READ_MS, drained_cb, k);
    console_finish(k->console, LAST_READ_MS, drained_cb, k);
}

/* May the guest's end be told before the engine has cleaned up? */
static bool cleans_late(const struct keeper *k)
{
    return k->def->throwaway && k->def->engine->cleans_late;
}

/* Write down how it ended, if it ever ran, and give RUN/NAME up. */
static void end_outside(struct keeper *k, bool ran)
{
    struct keeper_private *p = k->priv;
    struct last_run last = {
        .how = p->how,
        .exit_status = p->exit_status,
        .when = time(NULL),
    };
    struct error err;
    memcpy(last.reason, p->reason, sizeof last.reason);
    if (p->janitor >= 0) {
        if (janitor_end(p->janitor, &last, ran, &err) < 0)
            log_line("%s", err.text);
        if (p->run.running >= 0)
            close(steal_fd(p->run.running));
        return;
    }
    if (ran && store_write_last(k->def, k->run_dir, &last, &err) < 0)
        log_line("write down how it ended: %s", err.text);
    if (!cleans_late(k))
        run_dir_retire(k->def->name, &p->run);
}

/*
 * The guest is over for good. That is told before its last output has been read: who reads slowly
 * keeps this process, not the guest's name.
 */
static void keeper_finish(struct keeper *k)
{
    struct keeper_private *p = k->priv;
    if (*p->reason)
        log_at(LOG_AT_NOTICE, "ended: %s", p->reason);
    else if (p->started_once)
        log_at(LOG_AT_NOTICE, "ended: exit status %d", p->exit_status);
    end_outside(k, p->started_once);
    end_announce(k);
    finish_consoles(k);
    if (!cleans_late(k))
        return;
    k->def->engine->cleanup(k);
    run_dir_retire(k->def->name, &p->run);
}

static int guest_start(struct keeper *k, struct error *err)
{
    struct status_page *p = k->status.page;
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    bool process = p->figures[FIGURE_CPU].kind == FIGURE_PROC_STAT; /* counted over all its lives */
    status_begin(&k->status);
    p->state = GUEST_STARTING;
    p->started_ns = now_boot_ns();
    p->cpu_base_ns = process ? (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec : 0;
    status_commit(&k->status);
    if (k->priv->started_once) /* it goes on from there once; a reboot is a reboot */
        k->snapshot = k->snapshot_dir = NULL;
    bool again = k->priv->started_once && k->def->engine->restart;
    return again ? k->def->engine->restart(k, err) : k->def->engine->start(k, err);
}

/* The next life of a guest that rebooted. */
static void reboot_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct keeper *k = arg;
    struct error err;
    if (guest_start(k, &err) == 0)
        return;
    error_wrap(&err, "reboot");
    log_line("%s", err.text);
    keeper_ended(k, ENDED_CRASH, -1, err.text);
}

/* A guest that reboots as soon as it is up gets a second between its lives. */
static void reboot(struct keeper *k)
{
    struct timeval wait = {0};
    if (now_boot_ns() - k->status.page->started_ns < 1000000000ull)
        wait.tv_sec = 1;
    k->priv->ended = false;
    keeper_set_state(k, GUEST_STARTING, "reboots");
    event_add(k->priv->reboot_timer, &wait);
}

/* Runs in the loop after keeper_ended(). */
static void ended_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct keeper *k = arg;
    struct keeper_private *p = k->priv;
    event_del(p->stop_timer);
    bool again = p->how == ENDED_REBOOT && !k->stop_asked && !k->kill_asked;
    const struct engine *e = k->def->engine;
    console_unplug(k->console);
    if (again ? !e->restart : !cleans_late(k))
        e->cleanup(k);
    if (again) {
        reboot(k);
        return;
    }
    end_judge(k);
    keeper_finish(k);
}

/* ---- becoming a keeper ---- */

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Close every descriptor from 3 on but these. */
static void close_others(int *keep, size_t n)
{
    qsort(keep, n, sizeof *keep, by_number);
    unsigned from = 3;
    for (size_t i = 0; i < n; i++) {
        if (keep[i] < (int)from)
            continue;
        if (keep[i] > (int)from)
            close_range(from, (unsigned)keep[i] - 1, 0);
        from = (unsigned)keep[i] + 1;
    }
    close_range(from, ~0u, 0);
}

/* Leave the caller's session and terminal: standard error becomes the log. */
static void detach(struct keeper *k)
{
    setsid();
    umask(022);
    if (chdir("/") < 0)
        log_line("chdir /");
    cleanup_free char *path = xasprintf("%s/log", k->def->throwaway ? k->run_path : k->def->dir);
    struct stat st;
    int how = stat(path, &st) == 0 && st.st_size > (off_t)LOG_LIMIT ? O_TRUNC : O_APPEND;
    int log = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | how, 0600);
    cleanup_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) /* a pipe of the caller's must not stay open for as long as the guest runs */
        null = memfd_create("null", MFD_CLOEXEC);
    dup2(null, 0);
    dup2(null, 1);
    dup2(log >= 0 ? log : null, 2);
    if (log >= 0)
        log_to(log, LOG_LIMIT);
    title_set("pult: %s %s", k->def->engine->brief, k->def->name);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
}

/*
 * SIGTERM comes by descriptor, not by handler: a child that has not reached its exec yet would run
 * the handler too, and speak for its parent.
 */
static int watch_sigterm(struct keeper *k, struct error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_SETMASK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    struct event *term = event_new(k->base, fd, EV_READ | EV_PERSIST, sigterm_cb, k);
    if (fd < 0 || !term || event_add(term, NULL) < 0)
        return error_set(err, errno, "watch for SIGTERM");
    return 0;
}

/* Ring, page, socket, events. */
static int keeper_open(struct keeper *k, struct error *err)
{
    const uint64_t history = k->def->history ? k->def->history : CONSOLE_RING_SIZE;
    k->priv->stop_timer = evtimer_new(k->base, stop_timer_cb, k);
    k->priv->ended_event = evtimer_new(k->base, ended_cb, k);
    k->priv->reboot_timer = evtimer_new(k->base, reboot_cb, k);
    if (!k->priv->stop_timer || !k->priv->ended_event || !k->priv->reboot_timer)
        return error_set(err, ENOMEM, "set up the event loop");
    if (watch_sigterm(k, err) < 0 || status_open(&k->status, k->run_dir, err) < 0)
        return -1;
    k->console = console_create(k->base, k->run_dir, CONSOLE_FILE, (size_t)history, err);
    if (!k->console)
        return -1;

    struct status_page *p = k->status.page;
    status_begin(&k->status);
    p->state = GUEST_STARTING;
    p->keeper_pid = getpid();
    p->started_ns = now_boot_ns();
    p->memory_limit = k->def->memory;
    p->cols = k->cols;
    p->rows = k->rows;
    snprintf(p->engine, sizeof p->engine, "%s", k->def->engine->type);
    snprintf(p->name, sizeof p->name, "%s", k->def->name);
    status_commit(&k->status);
    return control_open(k, err);
}

/* The keeper could not start its guest: tell the launcher, leave nothing. */
static void keeper_abandon(struct keeper *k, const struct error *why)
{
    k->priv->how = ENDED_CRASH;
    k->priv->exit_status = -1;
    json_t *e = json_pack("{s:s, s:s}", "event", "failed", "note", why->text);
    log_at(LOG_AT_ERROR, "start: %s", why->text);
    if (k->console)
        console_unplug(k->console);
    k->def->engine->cleanup(k);
    end_outside(k, false);
    control_broadcast(k, e);
}

/* The child's whole life. */
static void keeper_main(struct keeper *k, int control, int console,
                        const struct console_reader *attach)
{
    struct error err;
    int keep[] = {k->run_dir, k->priv->run.running, control, console};
    close_others(keep, ARRAY_SIZE(keep));
    detach(k);
    if (scope_leave_session(k->def->name, &err) < 0)
        log_line("it will end with this login session: %s", err.text);
    int ret = k->def->engine->prepare ? k->def->engine->prepare(k, &err) : 0;
    k->base = event_base_new();
    if (!k->base || control_adopt(k, control, true, NULL) < 0) {
        k->def->engine->cleanup(k);
        return;
    }
    if (ret < 0 || keeper_open(k, &err) < 0 ||
        (k->def->engine->confines && janitor_start(k, &k->priv->janitor, &err) < 0) ||
        (attach && console_attach(k->console, console, attach, NULL, 0, &err) < 0) ||
        guest_start(k, &err) < 0)
        keeper_abandon(k, &err);
    else
        event_base_dispatch(k->base);
    control_close(k);
    const bool ran = k->priv->started_once;
    if (k->priv->janitor < 0)
        run_dir_remove(k->def->name, &k->priv->run); /* behind the back of who waits for the end */
    if (ran && k->def->ephemeral && !k->def->throwaway && !k->def->foreign &&
        store_destroy(k->def->name, &err) < 0)
        log_line("destroy it, as it is ephemeral: %s", err.text);
}

int keeper_confine(struct keeper *k, const struct confine_plan *plan, struct error *err)
{
    struct confine_plan whole = *plan;
    whole.dir = k->run_path;
    if (confine_process(&whole, err) < 0)
        return error_wrap(err, "confine '%s'", k->def->name);
    return 0;
}

int keeper_connect(struct keeper *k, const char *name, struct error *err)
{
    struct keeper_private *p = k->priv;
    if (p->janitor < 0)
        return error_set(err, EPIPE, "connect to '%s': nobody is outside to do it", name);
    pthread_mutex_lock(&p->janitor_lock);
    int fd = janitor_connect(p->janitor, name, err);
    pthread_mutex_unlock(&p->janitor_lock);
    return fd;
}

/* ---- launching ---- */

/* Wait for the keeper's word on how the start went. */
static int launch_wait(int control, const char *name, int *exit_status, struct error *err)
{
    for (;;) {
        struct error why = {0};
        json_t *e = client_event(control, -1, &why);
        if (!e)
            return why.code ? error_set(err, 0, "start '%s': %s", name, why.text)
                            : error_set(err, 0, "start '%s': its keeper died; see its log", name);
        const char *event = json_string_value(json_object_get(e, "event"));
        const char *state = json_string_value(json_object_get(e, "state"));
        const char *note = json_string_value(json_object_get(e, "note"));
        const json_t *status = json_object_get(e, "exit_status");
        int ret = 1;
        if (exit_status)
            *exit_status = json_is_integer(status) ? (int)json_integer_value(status) : -1;
        if (str_eq(event, "failed"))
            ret = error_set(err, 0, "start '%s': %s", name, note && *note ? note : "it ended");
        else if (str_eq(event, "state") && str_eq(state, state_name(GUEST_RUNNING)))
            ret = 0;
        json_decref(e);
        if (ret <= 0)
            return ret;
    }
}

int keeper_launch(struct guest_def *def, const struct launch *how, int *control, struct error *err)
{
    /* Not the caller's argv, which becomes the keeper's title. */
    cleanup_free char *snapshot = how->snapshot ? xstrdup(how->snapshot) : NULL;
    struct keeper k = {
        .def = def,
        .status = {.fd = -1},
        .raw_console = how->raw_console,
        .snapshot = snapshot,
        .snapshot_dir = how->snapshot_dir,
        .cols = how->cols ? how->cols : 80,
        .rows = how->rows ? how->rows : 24,
    };
    struct keeper_private priv = {.listener = -1,
                                  .janitor = -1,
                                  .janitor_lock = PTHREAD_MUTEX_INITIALIZER,
                                  .owner = geteuid(),
                                  .exit_status = -1};
    k.priv = &priv;
    if (how->exit_status)
        *how->exit_status = -1;
    if (def_check(def, err) < 0)
        return error_wrap(err, "start '%s'", def->name);

    int ctl[2] = {-1, -1}, con[2] = {-1, -1};
    if (run_dir_create(def, how->fill, how->fill_arg, &priv.run, err) < 0)
        return -1;
    k.run_dir = priv.run.fd;
    k.run_path = xasprintf("%s/%s", place_run(), def->name);
    int ret = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ctl) < 0 ||
        (how->attach && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, con) < 0)) {
        error_set(err, errno, "create a socket");
        goto undo;
    }
    signal(SIGCHLD, SIG_IGN); /* the keeper is nobody's zombie when it ends before we do */
    pid_t pid = fork();
    if (pid < 0) {
        error_set(err, errno, "start a keeper process");
        goto undo;
    }
    if (pid == 0) {
        close(ctl[0]);
        if (con[0] >= 0)
            close(con[0]);
        keeper_main(&k, ctl[1], con[1], how->attach);
        _exit(0);
    }
    close(steal_fd(ctl[1]));
    if (con[1] >= 0)
        close(steal_fd(con[1]));
    close(priv.run.fd); /* the locks are the keeper's alone */
    if (priv.run.running >= 0)
        close(priv.run.running);
    ret = launch_wait(ctl[0], def->name, how->exit_status, err);
    if (ret == 0) {
        *control = steal_fd(ctl[0]);
        if (how->attach)
            *how->console = steal_fd(con[0]);
    }
    goto out;
undo:
    run_dir_remove(def->name, &priv.run);
    close(priv.run.fd);
out:
    free(k.run_path);
    for (int i = 0; i < 2; i++) {
        if (ctl[i] >= 0)
            close(ctl[i]);
        if (con[i] >= 0)
            close(con[i]);
    }
    return ret;
}
