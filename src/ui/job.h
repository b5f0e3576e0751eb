/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jobs: verbs of the command line, run as children of the UI so that nothing they wait for holds
 * up a key press. Several may run at once; each is told by its pidfd when it ends, keeps what it
 * printed (up to a limit), and is cancelled with SIGTERM. Jobs that still run when the UI ends go
 * on: what the admin asked for is done.
 */
#ifndef PULT_UI_JOB_H
#define PULT_UI_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct event_base;
struct jobs;
struct job;

/* Called once, when the job has ended and all it printed was read; then the job is freed. */
typedef void job_done_fn(void *arg, const struct job *job);

struct jobs *jobs_new(struct event_base *base);
void jobs_free(struct jobs *jobs);

/* changed() is called when one of them told how far it is. */
void jobs_watch(struct jobs *jobs, void (*changed)(void *arg), void *arg);

/* argv: the verb and its arguments, without the program's name. Copied. */
struct job *job_start(struct jobs *jobs, char *const *argv, job_done_fn *done, void *arg,
                      struct error *err);
void job_cancel(struct job *job);

struct job *job_at(const struct jobs *jobs, size_t i); /* NULL after the newest */
const char *job_line(const struct job *job);           /* the command line, for people */
uint64_t job_started_ns(const struct job *job);
int job_percent(const struct job *job); /* -1: it has not told */
int job_status(const struct job *job);  /* as of waitpid(); exit status or 128 + signal */
const char *job_stdout(const struct job *job);
const char *job_stderr(const struct job *job);
/* What to say about it: the last line of stderr, else of stdout; "" if it said nothing. */
const char *job_last_line(const struct job *job, char *buf, size_t len);

/*
 * Start a child of this program on a terminal of its own, of this size. Returns the master
 * (non-blocking); *pid is the caller's to wait for.
 */
int job_pty(char *const *argv, unsigned cols, unsigned rows, pid_t *pid, struct error *err);

#endif
