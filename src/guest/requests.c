/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be asked of a keeper: one row in the table of requests, one function each. A function
 * fills the answer; the table says in which states a request makes sense, so that no function has
 * to ask. docs/protocol.md describes each from the outside.
 */
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "guest/control.h"
#include "guest/keeper_private.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

#define STATE(s) (1u << (s))
#define UP       (STATE(GUEST_RUNNING) | STATE(GUEST_FROZEN) | STATE(GUEST_STOPPING))
#define ANY      ~0u

#define PROGRESS_NS 100000000u /* between two tellings of how far a snapshot is */

/* A command that runs in the guest for a connection. */
struct exec_child {
    struct exec_child *next;
    struct keeper *keeper;
    struct conn *conn; /* NULL: gone */
    json_t *id;
    pid_t pid;
    int pidfd;
    struct event *exited;
};

typedef int request_fn(struct conn *c, const json_t *request, json_t *answer, int *fd,
                       struct error *err);

/* A whole number of the request in [lo, hi], or `otherwise` where it is missing. */
static int get_int(const json_t *request, const char *key, json_int_t lo, json_int_t hi,
                   json_int_t otherwise, json_int_t *out, struct error *err)
{
    const json_t *v = json_object_get(request, key);
    *out = v ? json_integer_value(v) : otherwise;
    if (v && (!json_is_integer(v) || *out < lo || *out > hi))
        return error_set(err, 0, "\"%s\" must be a whole number from %lld to %lld", key,
                         (long long)lo, (long long)hi);
    return 0;
}

static int do_info(struct conn *c, const json_t *request, json_t *answer, int *fd,
                   struct error *err)
{
    (void)request;
    (void)fd;
    (void)err;
    const struct keeper *k = conn_keeper(c);
    const struct status_page *p = k->status.page;
    json_t *ports = json_array();
    for (const struct port *port = k->priv->ports; port; port = port->next)
        json_array_append_new(ports, json_string(port->name));
    json_t *info =
        json_pack("{s:s, s:s, s:s, s:b, s:i, s:i, s:I, s:i, s:i, s:i, s:s, s:o}", "name",
                  k->def->name, "type", k->def->engine->type, "state", state_name(keeper_state(k)),
                  "throwaway", k->def->throwaway, "keeper_pid", p->keeper_pid, "pid", p->guest_pid,
                  "uptime_seconds", (json_int_t)((now_boot_ns() - p->started_ns) / 1000000000),
                  "cols", (int)p->cols, "rows", (int)p->rows, "readers",
                  (int)console_readers(k->console), "note", p->note, "ports", ports);
    return json_object_set_new(answer, "info", info);
}

static int do_subscribe(struct conn *c, const json_t *request, json_t *answer, int *fd,
                        struct error *err)
{
    (void)request;
    (void)fd;
    (void)err;
    conn_subscribe(c);
    return json_object_set_new(answer, "state",
                               json_string(state_name(keeper_state(conn_keeper(c)))));
}

static int do_stop(struct conn *c, const json_t *request, json_t *answer, int *fd,
                   struct error *err)
{
    (void)answer;
    (void)fd;
    struct keeper *k = conn_keeper(c);
    json_int_t seconds, otherwise = 30;
    const char *v = conf_get(k->def->conf, "guest.stop.timeout");
    int64_t n;
    if (v && number_parse(v, 0, 86400, &n, NULL) == 0)
        otherwise = n;
    if (get_int(request, "timeout", 0, 86400, otherwise, &seconds, err) < 0)
        return -1;
    return keeper_stop(k, (unsigned)seconds, err);
}

static int do_kill(struct conn *c, const json_t *request, json_t *answer, int *fd,
                   struct error *err)
{
    (void)request;
    (void)answer;
    (void)fd;
    return keeper_kill(conn_keeper(c), err);
}

static int thaw(struct keeper *k, struct error *err)
{
    if (k->def->engine->thaw(k, err) < 0)
        return error_wrap(err, "thaw '%s'", k->def->name);
    k->priv->frozen_for = NULL;
    keeper_set_state(k, k->stop_asked ? GUEST_STOPPING : GUEST_RUNNING, NULL);
    return 0;
}

/* With "hold" it is thawed when this connection ends, should who asked be killed. */
static int do_freeze(struct conn *c, const json_t *request, json_t *answer, int *fd,
                     struct error *err)
{
    (void)answer;
    (void)fd;
    struct keeper *k = conn_keeper(c);
    if (k->def->engine->freeze(k, err) < 0)
        return error_wrap(err, "freeze '%s'", k->def->name);
    k->priv->frozen_for = json_is_true(json_object_get(request, "hold")) ? c : NULL;
    keeper_set_state(k, GUEST_FROZEN, NULL);
    return 0;
}

static int do_thaw(struct conn *c, const json_t *request, json_t *answer, int *fd,
                   struct error *err)
{
    (void)request;
    (void)answer;
    (void)fd;
    return thaw(conn_keeper(c), err);
}

/* The console that is meant, or the port that the request names. */
static int get_port(const struct conn *c, const json_t *request, struct console **out,
                    struct error *err)
{
    const struct keeper *k = conn_keeper(c);
    const json_t *port = json_object_get(request, "port");
    if (port && !json_is_string(port))
        return error_set(err, 0, "\"port\" must be a string");
    *out = port ? keeper_port_find(k, json_string_value(port), err) : k->console;
    return *out ? 0 : -1;
}

static int resize(struct keeper *k, struct console *console, unsigned cols, unsigned rows,
                  struct error *err)
{
    if (console == k->console)
        return keeper_resize(k, cols, rows, err);
    console_resize(console, cols, rows);
    return 0;
}

static int do_resize(struct conn *c, const json_t *request, json_t *answer, int *fd,
                     struct error *err)
{
    (void)answer;
    (void)fd;
    json_int_t cols, rows;
    if (get_int(request, "cols", 1, 4096, 80, &cols, err) < 0 ||
        get_int(request, "rows", 1, 4096, 24, &rows, err) < 0)
        return -1;
    struct console *console;
    if (get_port(c, request, &console, err) < 0)
        return -1;
    return resize(conn_keeper(c), console, (unsigned)cols, (unsigned)rows, err);
}

static int do_send(struct conn *c, const json_t *request, json_t *answer, int *fd,
                   struct error *err)
{
    (void)answer;
    (void)fd;
    static const char *const names[] = {
        [CONSOLE_BREAK] = "break", [CONSOLE_CTRL_ALT_DEL] = "ctrl-alt-del"};
    struct keeper *k = conn_keeper(c);
    const char *what = json_string_value(json_object_get(request, "what"));
    for (unsigned i = 0; what && i < ARRAY_SIZE(names); i++)
        if (strcmp(what, names[i]) == 0)
            return k->def->engine->send(k, (enum console_signal)i, err);
    return error_set(err, 0, "\"what\" must be \"break\" or \"ctrl-alt-del\"");
}

/* Ask the guest to be content with less memory, or give it back, and tell how things are. */
static int do_balloon(struct conn *c, const json_t *request, json_t *answer, int *fd,
                      struct error *err)
{
    (void)fd;
    struct keeper *k = conn_keeper(c);
    struct guest_memory m;
    json_int_t leave;
    if (!k->def->engine->memory)
        return error_set(err, 0, "a %s has no balloon: its limit is guest.memory",
                         k->def->engine->type);
    if (get_int(request, "memory", 1, INT64_MAX, 0, &leave, err) < 0 ||
        k->def->engine->memory(k, (uint64_t)leave, &m, err) < 0)
        return -1;
    json_t *o =
        json_pack("{s:I, s:I, s:I, s:b}", "size_bytes", (json_int_t)m.size, "wanted_bytes",
                  (json_int_t)m.wanted, "left_bytes", (json_int_t)m.left, "driver", m.driver);
    json_t *figures = json_object();
    for (unsigned i = 0; i < m.count; i++)
        json_object_set_new(figures, m.figures[i].name,
                            json_integer((json_int_t)(m.figures[i].value & INT64_MAX)));
    json_object_set_new(o, "guest", figures);
    return json_object_set_new(answer, "balloon", o);
}

/* One key of a request for limits: a value, or null for none. */
static int limit_edit(const struct keeper *k, struct conf *conf, const char *key, const json_t *v,
                      struct error *err)
{
    if (!k->def->engine->limit_key(key))
        return error_set(err, 0, "\"%.60s\" is no limit that can be changed while it runs", key);
    conf_unset(conf, key);
    if (json_is_string(v))
        conf_add(conf, key, json_string_value(v));
    for (size_t i = 0; i < json_array_size(v); i++)
        if (json_is_string(json_array_get(v, i)))
            conf_add(conf, key, json_string_value(json_array_get(v, i)));
    return 0;
}

/* Other limits, for as long as the guest runs: who wants them to last changes the definition, too. */
static int do_limit(struct conn *c, const json_t *request, json_t *answer, int *fd,
                    struct error *err)
{
    (void)answer;
    (void)fd;
    struct keeper *k = conn_keeper(c);
    json_t *set = json_object_get(request, "set"), *v;
    const char *key;
    if (!k->def->engine->limit)
        return error_set(err, 0,
                         "the keeper of a %s cannot change its own limits: `pult limit` does",
                         k->def->engine->type);
    if (!json_is_object(set))
        return error_set(err, 0, "\"set\" must be an object of keys and values");
    cleanup_conf struct conf *conf = conf_copy(k->def->conf);
    json_object_foreach (set, key, v)
        if (limit_edit(k, conf, key, v, err) < 0)
            return -1;
    cleanup_def struct guest_def *now = NULL;
    if (def_from_conf(k->def->name, k->def->dir, steal_ptr(conf), &now, err) < 0 ||
        k->def->engine->limit(k, now, err) < 0)
        return -1;
    struct conf *old = k->def->conf;
    k->def->conf = now->conf;
    now->conf = old;
    k->def->memory = now->memory;
    k->def->cpus_milli = now->cpus_milli;
    status_begin(&k->status);
    k->status.page->memory_limit = k->def->memory;
    status_commit(&k->status);
    return 0;
}

/* Add something of the host's to the guest, or take it away. */
static int plug(struct conn *c, const json_t *request, json_t *answer, bool remove,
                struct error *err)
{
    struct keeper *k = conn_keeper(c);
    struct plug_request p = {.entry = json_string_value(json_object_get(request, "entry")),
                             .net = json_string_value(json_object_get(request, "net"))};
    const char *name = json_string_value(json_object_get(request, "name"));
    if (!k->def->engine->plug)
        return error_set(err, 0, "a running %s is given no devices", k->def->engine->type);
    if (!p.entry == !p.net)
        return error_set(err, 0, "it takes \"entry\", a line of lxc.mount.entry, or \"net\"");
    if (name && strlen(name) >= sizeof p.name)
        return error_set(err, 0, "\"name\" is too long for an interface");
    snprintf(p.name, sizeof p.name, "%s", name ? name : "");
    int ret = k->def->engine->plug(k, &p, remove, err);
    if (ret == 0 && p.net) {
        json_object_set_new(answer, "name", json_string(p.name));
        json_object_set_new(answer, "key", json_string(p.key));
        json_object_set_new(answer, "value", p.value ? json_string(p.value) : json_null());
    }
    free(p.value);
    return ret;
}

static int do_device_add(struct conn *c, const json_t *request, json_t *answer, int *fd,
                         struct error *err)
{
    (void)fd;
    return plug(c, request, answer, false, err);
}

static int do_device_remove(struct conn *c, const json_t *request, json_t *answer, int *fd,
                            struct error *err)
{
    (void)fd;
    return plug(c, request, answer, true, err);
}

/* The connection becomes the console: after this answer it carries nothing but its bytes. */
static int do_attach(struct conn *c, const json_t *request, json_t *answer, int *fd,
                     struct error *err)
{
    (void)fd;
    struct keeper *k = conn_keeper(c);
    struct console *console;
    json_int_t history, cols, rows;
    if (get_port(c, request, &console, err) < 0 ||
        get_int(request, "history", 0, CONSOLE_RING_MAX, 65536, &history, err) < 0 ||
        get_int(request, "cols", 0, 4096, 0, &cols, err) < 0 ||
        get_int(request, "rows", 0, 4096, 0, &rows, err) < 0)
        return -1;
    struct console_reader how = {
        .history = (size_t)history,
        .every_byte = json_is_true(json_object_get(request, "every_byte")),
        .mute = json_is_true(json_object_get(request, "mute")),
    };
    cleanup_free char *text = json_dumps(answer, JSON_COMPACT);
    cleanup_free char *line = xasprintf("%s\n", text ? text : "{}");
    if (cols && rows)
        resize(k, console, (unsigned)cols, (unsigned)rows, NULL);
    size_t typed_len;
    const char *typed = conn_rest(c, &typed_len);
    if (console_attach(console, conn_steal(c), &how, line, strlen(line), err) < 0)
        return -1;
    if (!how.mute)
        console_type(console, typed, typed_len);
    return 0;
}

/* A JSON array of strings as a vector that points into it; *v is freed by the caller. */
static int get_strings(const json_t *array, const char *key, size_t least, char ***v,
                       struct error *err)
{
    size_t n = json_array_size(array);
    if ((array && !json_is_array(array)) || n < least)
        return error_set(err, 0, "\"%s\" must be an array of strings", key);
    cleanup_free char **out = xcalloc(n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        out[i] = (char *)json_string_value(json_array_get(array, i));
        if (!out[i])
            return error_set(err, 0, "\"%s\" must be an array of strings", key);
    }
    *v = steal_ptr(out);
    return 0;
}

static void exec_free(struct exec_child *e)
{
    for (struct exec_child **l = &e->keeper->priv->execs; *l; l = &(*l)->next) {
        if (*l == e) {
            *l = e->next;
            break;
        }
    }
    if (e->exited)
        event_free(e->exited);
    if (e->pidfd >= 0)
        close(e->pidfd);
    json_decref(e->id);
    free(e);
}

/* A command in the guest has ended: tell who started it. */
static void exec_exited_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct exec_child *e = arg;
    siginfo_t si = {0};
    if (waitid((idtype_t)P_PIDFD, (id_t)fd, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0)
        return;
    int status = si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
    if (e->conn)
        conn_send(e->conn,
                  json_pack("{s:s, s:O?, s:i, s:i}", "event", "exec-exit", "id", e->id, "pid",
                            (int)e->pid, "exit_status", status & 0xff),
                  -1);
    exec_free(e);
}

/* Keep track of a command that runs for a connection. */
static int exec_track(struct conn *c, const json_t *request, pid_t pid, struct error *err)
{
    struct keeper *k = conn_keeper(c);
    struct exec_child *e = xcalloc(1, sizeof *e);
    e->keeper = k;
    e->conn = c;
    e->pid = pid;
    e->id = json_incref(json_object_get(request, "id"));
    e->next = k->priv->execs;
    k->priv->execs = e;
    e->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (e->pidfd >= 0)
        e->exited = event_new(k->base, e->pidfd, EV_READ | EV_PERSIST, exec_exited_cb, e);
    if (e->exited && event_add(e->exited, NULL) == 0)
        return 0;
    exec_free(e);
    return error_set(err, errno, "watch the command");
}

static int do_exec(struct conn *c, const json_t *request, json_t *answer, int *fd,
                   struct error *err)
{
    struct keeper *k = conn_keeper(c);
    const struct engine *engine = k->def->engine;
    cleanup_free char **argv = NULL;
    cleanup_free char **env = NULL;
    json_int_t cols, rows;
    if (!engine->exec && k->priv->ports) {
        error_set(err, 0, "a %s runs no commands from outside", engine->type);
        return error_hint(err, "`pult console %s --port second` is at another terminal of it",
                          k->def->name);
    }
    if (!engine->exec)
        return error_set(err, 0, "a %s runs no commands from outside", engine->type);
    if (get_strings(json_object_get(request, "argv"), "argv", 1, &argv, err) < 0 ||
        get_strings(json_object_get(request, "env"), "env", 0, &env, err) < 0 ||
        get_int(request, "cols", 0, 4096, 0, &cols, err) < 0 ||
        get_int(request, "rows", 0, 4096, 0, &rows, err) < 0)
        return -1;
    cleanup_close int in = conn_take_fd(c, 0);
    cleanup_close int out = conn_take_fd(c, 1);
    cleanup_close int errors = conn_take_fd(c, 2);
    struct exec_request r = {
        .argv = argv,
        .env = env,
        .cwd = json_string_value(json_object_get(request, "cwd")),
        .user = json_string_value(json_object_get(request, "user")),
        .tty = json_is_true(json_object_get(request, "tty")),
        .cols = (unsigned)cols,
        .rows = (unsigned)rows,
        .stdio = {in, out, errors},
    };
    pid_t pid = engine->exec(k, &r, fd, err);
    if (pid < 0)
        return -1;
    json_object_set_new(answer, "pid", json_integer(pid));
    return exec_track(c, request, pid, err);
}

/* Send a signal to a command that this connection started. */
static int do_exec_signal(struct conn *c, const json_t *request, json_t *answer, int *fd,
                          struct error *err)
{
    (void)answer;
    (void)fd;
    json_int_t pid, sig;
    if (get_int(request, "pid", 1, INT32_MAX, 0, &pid, err) < 0 ||
        get_int(request, "signal", 1, 64, SIGTERM, &sig, err) < 0)
        return -1;
    for (struct exec_child *e = conn_keeper(c)->priv->execs; e; e = e->next)
        if (e->conn == c && e->pid == pid)
            return syscall(SYS_pidfd_send_signal, e->pidfd, (int)sig, NULL, 0) < 0
                       ? error_set(err, errno, "signal process %lld", (long long)pid)
                       : 0;
    return error_set(err, 0, "this connection started no process %lld", (long long)pid);
}

/* ---- snapshots ---- */

void keeper_snapshot_progress(struct keeper *k, uint64_t done, uint64_t total)
{
    const uint64_t now = now_mono_ns();
    if (!k->priv->snapshot.conn || now - k->priv->snapshot.told_ns < PROGRESS_NS)
        return;
    k->priv->snapshot.told_ns = now;
    conn_send(k->priv->snapshot.conn,
              json_pack("{s:s, s:O?, s:I, s:I}", "event", "snapshot-progress", "id",
                        k->priv->snapshot.id, "done", (json_int_t)done, "total", (json_int_t)total),
              -1);
}

void keeper_snapshot_done(struct keeper *k, const struct error *why)
{
    json_t *event = json_pack("{s:s, s:O?, s:b}", "event", "snapshot-done", "id",
                              k->priv->snapshot.id, "ok", why == NULL);
    if (why)
        json_object_set_new(event, "error", json_string(why->text));
    if (k->priv->snapshot.conn)
        conn_send(k->priv->snapshot.conn, event, -1);
    else
        json_decref(event);
    json_decref(k->priv->snapshot.id);
    k->priv->snapshot.id = NULL;
    k->priv->snapshot.conn = NULL;
    k->priv->snapshot.active = false;
}

/* The name of a snapshot in a request. */
static const char *get_snapshot(const struct keeper *k, const json_t *request, struct error *err)
{
    const char *name = json_string_value(json_object_get(request, "name"));
    if (!k->def->engine->snapshots) {
        error_set(err, 0, "a %s has no snapshots", k->def->engine->type);
        return NULL;
    }
    if (!name) {
        error_set(err, 0, "\"name\" must be the name of a snapshot");
        return NULL;
    }
    return guest_name_check(name, err) < 0 ? NULL : name;
}

/* The descriptors beside the request are the engine's files, in its order. */
static int do_snapshot(struct conn *c, const json_t *request, json_t *answer, int *fd,
                       struct error *err)
{
    (void)answer;
    (void)fd;
    struct keeper *k = conn_keeper(c);
    const char *name = get_snapshot(k, request, err);
    if (!name)
        return -1;
    if (k->priv->snapshot.active)
        return error_set(err, 0, "a snapshot of '%s' is being taken already", k->def->name);
    char **names;
    if (!k->def->engine->snapshots->files)
        return error_set(err, 0, "snapshots of a %s are made by `pult snapshot`",
                         k->def->engine->type);
    if (k->def->engine->snapshots->files(k->def, &names, err) < 0)
        return -1;
    const size_t n = strv_len(names);
    strv_free(names);
    int files[CONTROL_FDS], rc = 0;
    for (size_t i = 0; i < CONTROL_FDS; i++)
        files[i] = conn_take_fd(c, (unsigned)i);
    if (n > CONTROL_FDS || (n > 0 && files[n - 1] < 0) || (n < CONTROL_FDS && files[n] >= 0))
        rc = error_set(err, 0, "a snapshot of '%s' has %zu files", k->def->name, n);
    k->priv->snapshot.conn = c;
    k->priv->snapshot.id = json_incref(json_object_get(request, "id"));
    k->priv->snapshot.active = true;
    if (rc == 0)
        rc = k->def->engine->snapshots->take(k, name, files, err);
    for (size_t i = 0; i < CONTROL_FDS; i++)
        if (files[i] >= 0)
            close(files[i]);
    if (rc == 0)
        return 0;
    json_decref(k->priv->snapshot.id);
    memset(&k->priv->snapshot, 0, sizeof k->priv->snapshot);
    return error_wrap(err, "snapshot '%s' of '%s'", name, k->def->name);
}

static int do_snapshot_cancel(struct conn *c, const json_t *request, json_t *answer, int *fd,
                              struct error *err)
{
    (void)request;
    (void)answer;
    (void)fd;
    struct keeper *k = conn_keeper(c);
    if (!k->priv->snapshot.active || k->priv->snapshot.conn != c)
        return error_set(err, 0, "this connection takes no snapshot");
    k->def->engine->snapshots->cancel(k);
    return 0;
}

static int do_snapshot_forget(struct conn *c, const json_t *request, json_t *answer, int *fd,
                              struct error *err)
{
    (void)answer;
    (void)fd;
    struct keeper *k = conn_keeper(c);
    const char *name = get_snapshot(k, request, err);
    if (!name)
        return -1;
    if (k->priv->snapshot.active)
        return error_set(err, 0, "a snapshot of '%s' is being taken", k->def->name);
    return k->def->engine->snapshots->forget(k->def, k, name, err);
}

static const struct {
    const char *name;
    unsigned states; /* in which it makes sense */
    request_fn *fn;
} requests[] = {
    {"info", ANY, do_info},
    {"subscribe", ANY, do_subscribe},
    {"attach", ANY, do_attach},
    {"resize", ANY, do_resize},
    {"send", UP, do_send},
    {"balloon", UP, do_balloon},
    {"limit", UP, do_limit},
    {"device-add", STATE(GUEST_RUNNING), do_device_add},
    {"device-remove", STATE(GUEST_RUNNING), do_device_remove},
    {"stop", UP, do_stop},
    {"kill", ANY, do_kill},
    {"freeze", STATE(GUEST_RUNNING), do_freeze},
    {"thaw", STATE(GUEST_FROZEN), do_thaw},
    {"exec", STATE(GUEST_RUNNING), do_exec},
    {"exec-signal", ANY, do_exec_signal},
    {"snapshot", STATE(GUEST_RUNNING) | STATE(GUEST_FROZEN), do_snapshot},
    {"snapshot-cancel", ANY, do_snapshot_cancel},
    {"snapshot-forget", UP, do_snapshot_forget},
};

/* Find the row of a request and run it. */
static int dispatch(struct conn *c, const json_t *request, json_t *answer, int *fd,
                    struct error *err)
{
    const struct keeper *k = conn_keeper(c);
    const char *name = json_string_value(json_object_get(request, "cmd"));
    if (!name)
        return error_set(err, 0, "a request needs a \"cmd\"");
    for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
        if (strcmp(name, requests[i].name) != 0)
            continue;
        if (!(requests[i].states & STATE(keeper_state(k))))
            return error_set(err, 0, "'%s' is %s", k->def->name, state_name(keeper_state(k)));
        return requests[i].fn(c, request, answer, fd, err);
    }
    return error_set(err, 0, "there is no request \"%.40s\"", name);
}

void request_handle(struct conn *c, const json_t *request)
{
    struct error err = {0};
    json_t *answer = json_pack("{s:b}", "ok", 1);
    json_t *id = json_object_get(request, "id");
    int fd = -1;
    if (id)
        json_object_set(answer, "id", id);
    bool attach = str_eq(json_string_value(json_object_get(request, "cmd")), "attach");
    int ret = dispatch(c, request, answer, &fd, &err);
    if (ret < 0) {
        json_object_set_new(answer, "ok", json_false());
        json_object_set_new(answer, "error", json_string(err.text));
    }
    /* A successful attach has sent its answer as the first bytes of the console. */
    if (ret == 0 && attach)
        json_decref(answer);
    else
        conn_send(c, answer, fd);
    if (fd >= 0)
        close(fd);
}

void request_forget(struct keeper *k, const struct conn *c)
{
    if (k->priv->snapshot.active && k->priv->snapshot.conn == c) {
        k->priv->snapshot.conn = NULL; /* nobody would give it its name */
        k->def->engine->snapshots->cancel(k);
    }
    struct error err;
    if (k->priv->frozen_for == c) {
        k->priv->frozen_for = NULL;
        if (keeper_state(k) == GUEST_FROZEN && thaw(k, &err) < 0)
            log_line("%s", err.text);
    }
    for (struct exec_child *e = k->priv->execs; e; e = e->next) {
        if (e->conn != c)
            continue;
        e->conn = NULL;
        syscall(SYS_pidfd_send_signal, e->pidfd, SIGHUP, NULL, 0);
    }
}
