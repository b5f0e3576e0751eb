/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_engine.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "base/file.h"
#include "base/util.h"
#include "guest/keeper.h"

struct fake {
    struct console *port;
    int master, slave, pidfd;
    pid_t pid;
    struct event *exited;
};

static int fake_check(const struct guest_def *def, struct error *err)
{
    return conf_get(def->conf, "fake.command") ? 0 : error_set(err, 0, "fake.command is missing");
}

static void exited_cb(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct keeper *k = arg;
    struct fake *f = k->engine_data;
    int status;
    waitpid(f->pid, &status, 0);
    f->pid = 0;
    if (WIFSIGNALED(status))
        keeper_ended(k, ENDED_SIGNAL, 128 + WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == 99)
        keeper_ended(k, ENDED_REBOOT, 0, NULL);
    else
        keeper_ended(k, ENDED_EXIT, WEXITSTATUS(status), NULL);
}

/* A port: what is sent there comes back in brackets, and it says what it is told. */
static size_t port_input(void *arg, const void *data, size_t len)
{
    struct fake *f = arg;
    char text[4096];
    int n = snprintf(text, sizeof text, "<%.*s>", (int)min(len, (size_t)4000), (const char *)data);
    console_put(f->port, text, (size_t)n);
    return len;
}

static void port_say(struct fake *f, const char *what, unsigned a, unsigned b)
{
    char text[64];
    int n = snprintf(text, sizeof text, "[%s %u %u]", what, a, b);
    console_put(f->port, text, (size_t)n);
}

static void port_ready(void *arg)
{
    (void)arg;
}

static void port_resize(void *arg, unsigned cols, unsigned rows)
{
    port_say(arg, "size", cols, rows);
}

static void port_attended(void *arg, bool yes)
{
    port_say(arg, "attended", yes, 0);
}

static const struct console_port port = {port_input, port_ready, port_resize, port_attended};

static int add_ports(struct keeper *k, struct fake *f, struct error *err)
{
    const char *ports = conf_get(k->def->conf, "fake.port");
    if (!ports)
        return 0;
    f->port = keeper_port(k, ports, str_eq(ports, "fake.stream"), err);
    if (!f->port)
        return -1;
    console_plug(f->port, &port, f);
    return 0;
}

static int fake_start(struct keeper *k, struct error *err)
{
    struct fake *f = k->engine_data = xcalloc(1, sizeof *f);
    const char *command = conf_get(k->def->conf, "fake.command");
    if (strcmp(command, "fail") == 0)
        return error_set(err, 0, "the fake fails");
    struct winsize w = {.ws_col = (unsigned short)k->cols, .ws_row = (unsigned short)k->rows};
    if (openpty(&f->master, &f->slave, NULL, NULL, &w) < 0)
        return error_set(err, 0, "openpty");
    int alone[2]; /* the child closes it with all it has of the keeper, whose lock above all */
    if (pipe2(alone, O_CLOEXEC) < 0)
        return error_set(err, errno, "pipe");
    f->pid = fork();
    if (f->pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGHUP, SIG_DFL);
        signal(SIGINT, SIG_DFL);
        login_tty(f->slave);
        close_range(3, ~0u, 0);
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    char none;
    close(alone[1]);
    while (read(alone[0], &none, 1) < 0 && errno == EINTR)
        ;
    close(alone[0]);
    f->pidfd = (int)syscall(SYS_pidfd_open, f->pid, 0);
    f->exited = event_new(k->base, f->pidfd, EV_READ, exited_cb, k);
    event_add(f->exited, NULL);
    k->status.page->guest_pid = f->pid;
    snprintf(k->status.page->figures[FIGURE_CPU].path, 64, "/proc/%d/stat", f->pid);
    k->status.page->figures[FIGURE_CPU].kind = FIGURE_PROC_STAT;
    if (console_plug_fd(k->console, f->master, err) < 0 || add_ports(k, f, err) < 0)
        return -1;
    keeper_started(k);
    return 0;
}

static int fake_signal(struct keeper *k, int sig)
{
    struct fake *f = k->engine_data;
    return f->pid ? kill(f->pid, sig) : 0;
}

static int fake_stop(struct keeper *k, struct error *err)
{
    (void)err;
    return fake_signal(k, SIGTERM);
}

static int fake_kill(struct keeper *k, struct error *err)
{
    (void)err;
    return fake_signal(k, SIGKILL);
}

static int fake_freeze(struct keeper *k, struct error *err)
{
    (void)err;
    return fake_signal(k, SIGSTOP);
}

static int fake_thaw(struct keeper *k, struct error *err)
{
    (void)err;
    return fake_signal(k, SIGCONT);
}

static int fake_resize(struct keeper *k, unsigned cols, unsigned rows, struct error *err)
{
    const struct fake *f = k->engine_data;
    struct winsize w = {.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
    return ioctl(f->master, TIOCSWINSZ, &w) < 0 ? error_set(err, 0, "resize") : 0;
}

static int fake_send(struct keeper *k, enum console_signal what, struct error *err)
{
    (void)k;
    (void)what;
    return error_set(err, 0, "the fake knows no signals");
}

static void fake_cleanup(struct keeper *k)
{
    struct fake *f = k->engine_data;
    if (f && f->exited) {
        event_free(f->exited);
        close(f->pidfd);
        close(f->master);
        close(f->slave);
    }
    if (f && f->port)
        console_unplug(f->port);
    free(f);
    k->engine_data = NULL;
}

static int fake_recover(const char *name, const char *run_dir, const struct status_page *page,
                        struct error *err)
{
    (void)name;
    (void)run_dir;
    (void)err;
    if (page->guest_pid > 0)
        kill(page->guest_pid, SIGKILL);
    return 0;
}

static const struct conf_key fake_keys[] = {
    {"fake.command", NULL, false, "a shell command", NULL},
    {"fake.port", NULL, false, "the name of a port; fake.stream is none for people", NULL},
    {NULL},
};

const struct engine fake_engine = {
    .type = "fake",
    .brief = "fk",
    .keys = fake_keys,
    .check = fake_check,
    .start = fake_start,
    .stop = fake_stop,
    .kill = fake_kill,
    .freeze = fake_freeze,
    .thaw = fake_thaw,
    .resize = fake_resize,
    .send = fake_send,
    .cleanup = fake_cleanup,
    .recover = fake_recover,
};

static char scratch[64];

void fake_setup(void)
{
    static const struct engine *const engines[] = {&fake_engine, NULL};
    engines_set(engines);
    snprintf(scratch, sizeof scratch, "/tmp/pult-test-XXXXXX");
    if (!mkdtemp(scratch))
        abort();
    char path[96];
    snprintf(path, sizeof path, "%s/home", scratch);
    setenv("PULT_HOME", path, 1);
    snprintf(path, sizeof path, "%s/run", scratch);
    setenv("PULT_RUN", path, 1);
}

void fake_teardown(void)
{
    tree_remove_at(AT_FDCWD, scratch, NULL);
}

struct conf *fake_conf(const char *command)
{
    struct conf *c = conf_new("fake");
    conf_set(c, "guest.type", "fake");
    conf_set(c, "fake.command", command);
    return c;
}
