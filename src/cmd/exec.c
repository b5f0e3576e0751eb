/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult exec: a command in a running container. On a terminal it gets a terminal of the guest's;
 * otherwise it gets our three descriptors themselves, as far as they are no terminal (stdio.h). Its
 * exit status is ours.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "cmd/ask.h"
#include "cmd/session.h"
#include "cmd/stdio.h"
#include "cmd/table.h"
#include "cmd/terminal.h"
#include "guest/client.h"
#include "guest/engine.h"
#include "guest/store.h"

#define EXEC_ENV_MAX 64 /* of --env for another program's guest */

/* A command on its way. */
struct execution {
    int control;
    json_int_t pid;
    int status; /* -1: not known yet */
    struct stdio stdio;
};

static bool exec_event(struct session *s, const json_t *event)
{
    struct execution *x = s->arg;
    if (str_eq(json_string_value(json_object_get(event, "event")), "exec-exit"))
        x->status = (int)json_integer_value(json_object_get(event, "exit_status"));
    return x->status >= 0;
}

/* Pass a signal on. The answer comes among the events and is skipped there. */
static bool exec_signal(struct session *s, int sig)
{
    const struct execution *x = s->arg;
    json_t *request =
        json_pack("{s:s, s:I, s:i}", "cmd", "exec-signal", "pid", x->pid, "signal", sig);
    cleanup_free char *text = json_dumps(request, JSON_COMPACT);
    cleanup_free char *line = xasprintf("%s\n", text);
    json_decref(request);
    return write_all(x->control, line, strlen(line)) == 0;
}

static void exec_resized(struct session *s, unsigned cols, unsigned rows)
{
    struct winsize ws = {.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
    ioctl(s->there, TIOCSWINSZ, &ws);
}

/* Has the command ended? */
static bool ended(struct session *s)
{
    struct error why = {0};
    json_t *event = client_event(s->control, 0, &why);
    if (event == NULL)
        return why.code != ETIMEDOUT; /* the guest ended, and the command with it */
    bool over = exec_event(s, event);
    json_decref(event);
    return over;
}

/* Without a terminal there is little to copy: pass signals on until the end is told. */
static int attend_quietly(struct session *s, struct error *err)
{
    struct execution *x = s->arg;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    cleanup_close int signals = signalfd(-1, &mask, SFD_CLOEXEC);
    if (signals < 0 || sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return error_set(err, errno, "prepare for signals");
    for (;;) {
        struct pollfd p[2 + STDIO_POLLS] = {{s->control, POLLIN, 0}, {signals, POLLIN, 0}};
        if (poll(p, ARRAY_SIZE(p), stdio_polls(&x->stdio, p + 2)) < 0)
            continue;
        struct signalfd_siginfo si;
        stdio_copy(&x->stdio, p + 2);
        if (p[1].revents && read(signals, &si, sizeof si) == sizeof si)
            exec_signal(s, (int)si.ssi_signo);
        if (p[0].revents && ended(s))
            break;
    }
    stdio_end(&x->stdio);
    return 0;
}

/* The request, as docs/protocol.md has it. */
static json_t *exec_request(const struct cmd_args *a, bool tty)
{
    json_t *argv = json_array(), *env = json_array();
    for (char *const *p = cmd_rest(a); *p; p++)
        json_array_append_new(argv, json_string(*p));
    const char *pair, *term = getenv("TERM");
    if (tty && term && *term) {
        cleanup_free char *text = xasprintf("TERM=%s", term);
        json_array_append_new(env, json_string(text));
    }
    for (int i = 0; (pair = cmd_opt_nth(a, "env", i)); i++)
        json_array_append_new(env, json_string(pair));
    json_t *request =
        json_pack("{s:s, s:o, s:o, s:b}", "cmd", "exec", "argv", argv, "env", env, "tty", tty);
    if (cmd_opt(a, "user"))
        json_object_set_new(request, "user", json_string(cmd_opt(a, "user")));
    if (cmd_opt(a, "cwd"))
        json_object_set_new(request, "cwd", json_string(cmd_opt(a, "cwd")));
    unsigned cols, rows;
    terminal_size(&cols, &rows);
    if (tty) {
        json_object_set_new(request, "cols", json_integer(cols));
        json_object_set_new(request, "rows", json_integer(rows));
    }
    return request;
}

/* One that its own program runs has no keeper: who stands in for it is started here. */
static pid_t foreign_start(const struct cmd_args *a, const char *name, bool tty, const int *stdio,
                           int *control, int *master, struct error *err)
{
    struct guest_info info = {0};
    char *env[EXEC_ENV_MAX + 2] = {NULL};
    const char *pair, *term = getenv("TERM");
    struct exec_request req = {.argv = (char **)cmd_rest(a),
                               .cwd = cmd_opt(a, "cwd"),
                               .user = cmd_opt(a, "user"),
                               .env = env,
                               .tty = tty,
                               .stdio = {stdio[0], stdio[1], stdio[2]}};
    cleanup_free char *terminal = xasprintf("TERM=%s", term && *term ? term : "dumb");
    env[0] = terminal;
    for (int i = 0; i < EXEC_ENV_MAX && (pair = cmd_opt_nth(a, "env", i)); i++)
        env[i + 1] = (char *)pair;
    if (tty)
        terminal_size(&req.cols, &req.rows);
    if (err->code != ESRCH || store_info(name, &info, NULL) < 0)
        return -1;
    pid_t pid = -1;
    if (info.broken)
        error_set(err, 0, "the definition of '%s' is broken: %s", name, info.broken);
    else if (info.elsewhere)
        pid = info.engine->foreign->exec(info.place, info.def, &req, control, master, err);
    guest_info_clear(&info);
    return pid;
}

/* Have its keeper start the command. */
static json_int_t start(const struct cmd_args *a, bool tty, const int *stdio, int control,
                        int *master, struct error *err)
{
    json_t *answer = NULL;
    if (client_call(control, exec_request(a, tty), stdio, tty ? 0 : 3, ASK_MS, &answer, master,
                    err) < 0)
        return -1;
    const json_int_t pid = json_integer_value(json_object_get(answer, "pid"));
    json_decref(answer);
    return pid;
}

static int check_env(const struct cmd_args *a)
{
    const char *pair;
    for (int i = 0; (pair = cmd_opt_nth(a, "env", i)); i++)
        if (strchr(pair, '=') == NULL || pair[0] == '=')
            return cmd_usage(a, "--env takes NAME=VALUE, not '%s'", pair);
    return EXIT_OK;
}

static int exec_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *name = cmd_pos(a, 0);
    if (cmd_rest(a) == NULL || *cmd_rest(a) == NULL)
        return cmd_usage(a, "missing command: put it after --");
    if (check_env(a) != EXIT_OK)
        return EXIT_USAGE;

    bool tty = terminal_here() && !cmd_opt(a, "no-tty");
    struct execution x = {.status = -1, .stdio = {.given = {0, 1, 2}, .ours = {-1, -1, -1}}};
    if (!tty && stdio_make(&x.stdio, &err) < 0)
        return cmd_fail(a, &err);
    const int *stdio = x.stdio.given;
    cleanup_close int control = ask_connect(name, &err), master = -1;
    x.pid = control < 0 ? foreign_start(a, name, tty, stdio, &control, &master, &err)
                        : start(a, tty, stdio, control, &master, &err);
    if (x.pid < 0)
        return cmd_fail(a, &err);
    x.control = control;
    stdio_passed(&x.stdio);

    struct session s = {
        .name = name,
        .there = master,
        .control = control,
        .tty = tty,
        .resized = exec_resized,
        .asked_to_end = exec_signal,
        .event = exec_event,
        .arg = &x,
    };
    enum session_end how;
    if ((tty ? session_run(&s, &how, &err) : attend_quietly(&s, &err)) < 0)
        return cmd_fail(a, &err);
    if (x.status < 0 && tty && attend_quietly(&s, &err) < 0)
        return cmd_fail(a, &err);
    if (x.status >= 0)
        return x.status;
    error_set(&err, 0, "'%s' ended, and the command with it", name);
    return cmd_fail(a, &err);
}

const struct command cmd_exec = {
    .name = "exec",
    .args = "NAME -- COMMAND...",
    .min = 1,
    .max = 1,
    .rest = true,
    .options =
        (const struct cmd_option[]){
            {"user", 'u', "USER", false, "as this user of the container: a name or UID[:GID]"},
            {"cwd", 'w', "DIR", false, "in this directory of the container (/)"},
            {"env", 'e', "NAME=VALUE", true, "with this in its environment; may be repeated"},
            {"no-tty", 'T', NULL, false, "no terminal of its own, even on one"},
            {0},
        },
    .help = "run a command in a running container",
    .detail = "On a terminal the command gets a terminal of its own; otherwise our standard\n"
              "input, output and error, and a pipe for each of them that is a terminal. SIGINT,\n"
              "SIGTERM and SIGHUP are passed on to it. The exit status is the command's, 128 and\n"
              "the number of the signal that ended it, or 127 if there is no such command.",
    .safe = true,
    .states = ON_STATE(GUEST_RUNNING),
    .run = exec_run,
};
