/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See job.h. */
#include "ui/job.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "cmd/diskfile.h"

#define JOB_OUTPUT_MAX (256u << 10) /* of each stream; the rest is read and forgotten */

enum { JOB_OUT, JOB_ERR, JOB_METER, JOB_STREAMS }; /* the last: how far it is, a line each time */
#define METER_FD 3

struct stream {
    struct job *job;
    struct event *ev; /* NULL: at its end */
    int fd;
    char *text;
    size_t len;
};

struct job {
    struct jobs *jobs;
    struct job *next;
    char *line;
    pid_t pid;
    int pidfd;
    struct event *ended;
    bool dead;
    int status;
    uint64_t started_ns;
    struct stream out[JOB_STREAMS];
    job_done_fn *done;
    void *arg;
};

struct jobs {
    struct event_base *base;
    struct job *first;
    void (*changed)(void *arg); /* how far one is */
    void *arg;
};

struct jobs *jobs_new(struct event_base *base)
{
    struct jobs *jobs = xcalloc(1, sizeof *jobs);
    jobs->base = base;
    return jobs;
}

static void job_free(struct job *job)
{
    for (struct job **l = &job->jobs->first; *l; l = &(*l)->next) {
        if (*l == job) {
            *l = job->next;
            break;
        }
    }
    for (int i = 0; i < JOB_STREAMS; i++) {
        if (job->out[i].ev)
            event_free(job->out[i].ev);
        close(job->out[i].fd);
        free(job->out[i].text);
    }
    if (job->ended)
        event_free(job->ended);
    close(job->pidfd);
    free(job->line);
    free(job);
}

void jobs_free(struct jobs *jobs)
{
    while (jobs && jobs->first)
        job_free(jobs->first);
    free(jobs);
}

/* Report a job that is dead. What a grandchild still holds open is not waited for. */
static void finish(struct job *job)
{
    job->done(job->arg, job);
    job_free(job);
}

/* Read what is there. False at the end of the stream. */
static bool stream_read(struct stream *s)
{
    char buf[4096];
    for (;;) {
        ssize_t n = read(s->fd, buf, sizeof buf);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return false;
        size_t take = min((size_t)n, JOB_OUTPUT_MAX - s->len);
        s->text = xrealloc(s->text, s->len + take + 1, 1);
        memcpy(s->text + s->len, buf, take);
        s->len += take;
        s->text[s->len] = '\0';
    }
}

static void on_output(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct stream *s = arg;
    if (!stream_read(s)) {
        event_free(s->ev);
        s->ev = NULL;
    } else if (s == &s->job->out[JOB_METER] && s->job->jobs->changed) {
        s->job->jobs->changed(s->job->jobs->arg);
    }
}

void jobs_watch(struct jobs *jobs, void (*changed)(void *arg), void *arg)
{
    jobs->changed = changed;
    jobs->arg = arg;
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct job *job = arg;
    int status = 0;
    if (waitpid(job->pid, &status, WNOHANG) == 0)
        return;
    job->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    job->dead = true;
    for (int i = 0; i < JOB_STREAMS; i++)
        stream_read(&job->out[i]);
    finish(job);
}

/* In the child: this program again, with a clean slate of signals. */
static void become(char *const *argv)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    size_t n = strv_len(argv);
    char **v = xcalloc(n + 2, sizeof *v);
    v[0] = (char *)"pult";
    memcpy(v + 1, argv, n * sizeof *v);
    execv(self_exe(), v);
    dprintf(STDERR_FILENO, "pult: run '%s': %s\n", self_exe(), strerror(errno));
    _exit(127);
}

struct job *job_start(struct jobs *jobs, char *const *argv, job_done_fn *done, void *arg,
                      struct error *err)
{
    int ends[JOB_STREAMS][2];
    for (int i = 0; i < JOB_STREAMS; i++) {
        if (pipe2(ends[i], O_CLOEXEC) == 0)
            continue;
        error_set(err, errno, "create a pipe for '%s'", argv[0]);
        while (i-- > 0) {
            close(ends[i][0]);
            close(ends[i][1]);
        }
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0) {
        setsid(); /* the terminal's Ctrl-C and hang-up are not for it */
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        dup2(null, STDIN_FILENO);
        dup2(ends[JOB_OUT][1], STDOUT_FILENO);
        dup2(ends[JOB_ERR][1], STDERR_FILENO);
        if (dup3(ends[JOB_METER][1], METER_FD, 0) >= 0)
            setenv(METER_ENV, "3", 1);
        become(argv);
    }
    int why = errno;
    for (int i = 0; i < JOB_STREAMS; i++)
        close(ends[i][1]);
    int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (pidfd < 0) {
        error_set(err, pid > 0 ? errno : why, "start '%s'", argv[0]);
        for (int i = 0; i < JOB_STREAMS; i++)
            close(ends[i][0]);
        return NULL;
    }
    struct job *job = xcalloc(1, sizeof *job);
    *job = (struct job){.jobs = jobs, .pid = pid, .pidfd = pidfd, .done = done, .arg = arg};
    job->line = str_join_words(argv);
    job->started_ns = now_mono_ns();
    for (int i = 0; i < JOB_STREAMS; i++) {
        struct stream *s = &job->out[i];
        s->fd = ends[i][0];
        s->job = job;
        s->text = xcalloc(1, 1);
        fcntl(s->fd, F_SETFL, O_NONBLOCK);
        s->ev = event_new(jobs->base, s->fd, EV_READ | EV_PERSIST, on_output, s);
        event_add(s->ev, NULL);
    }
    job->ended = event_new(jobs->base, pidfd, EV_READ | EV_PERSIST, on_end, job);
    event_add(job->ended, NULL);
    struct job **last = &jobs->first;
    while (*last)
        last = &(*last)->next;
    *last = job;
    return job;
}

void job_cancel(struct job *job)
{
    kill(job->pid, SIGTERM);
}

struct job *job_at(const struct jobs *jobs, size_t i)
{
    struct job *job = jobs->first;
    while (job && i-- > 0)
        job = job->next;
    return job;
}

const char *job_line(const struct job *job)
{
    return job->line;
}

/* The last line of text that is not empty, into buf. */
static bool last_line(const char *text, char *buf, size_t len)
{
    size_t end = strlen(text);
    while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == ' '))
        end--;
    size_t start = end;
    while (start > 0 && text[start - 1] != '\n')
        start--;
    snprintf(buf, len, "%.*s", (int)(end - start), text + start);
    return end > start;
}

uint64_t job_started_ns(const struct job *job)
{
    return job->started_ns;
}

int job_percent(const struct job *job)
{
    char line[16];
    return last_line(job->out[JOB_METER].text, line, sizeof line) ? (int)strtol(line, NULL, 10)
                                                                  : -1;
}

int job_status(const struct job *job)
{
    return job->status;
}

const char *job_stdout(const struct job *job)
{
    return job->out[JOB_OUT].text;
}

const char *job_stderr(const struct job *job)
{
    return job->out[JOB_ERR].text;
}

const char *job_last_line(const struct job *job, char *buf, size_t len)
{
    if (!last_line(job_stderr(job), buf, len))
        last_line(job_stdout(job), buf, len);
    return buf;
}

int job_pty(char *const *argv, unsigned cols, unsigned rows, pid_t *pid, struct error *err)
{
    struct winsize w = {.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
    cleanup_close int master = -1;
    *pid = forkpty(&master, NULL, NULL, &w);
    if (*pid < 0)
        return error_set(err, errno, "start '%s' on a terminal", argv[0]);
    if (*pid == 0) {
        setenv("TERM", "xterm-256color", 1);
        become(argv);
    }
    if (fcntl(master, F_SETFD, FD_CLOEXEC) < 0 || fcntl(master, F_SETFL, O_NONBLOCK) < 0)
        return error_set(err, errno, "set up a terminal");
    return steal_fd(master);
}
