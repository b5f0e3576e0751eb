/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Worker threads, see worker.h.
 */
#include "kvm/worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "kvm/confine.h"
#include "kvm/pool.h"

#define STACK_SIZE (256u << 10)

/* ---- one worker ---- */

int worker_add(struct worker *w, struct worker_source *s, uint32_t events, struct error *err)
{
    struct epoll_event e = {.events = events, .data.ptr = s};

    if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, s->fd, &e) < 0)
        return error_set(err, errno, "watch a descriptor in '%s'", w->name);
    return 0;
}

void worker_modify(struct worker *w, struct worker_source *s, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};

    epoll_ctl(w->epoll, EPOLL_CTL_MOD, s->fd, &e);
}

void worker_remove(struct worker *w, struct worker_source *s)
{
    epoll_ctl(w->epoll, EPOLL_CTL_DEL, s->fd, NULL);
    for (int i = w->at; i < w->count; i++) /* it may be next */
        if (w->batch[i].data.ptr == s)
            w->batch[i].data.ptr = NULL;
}

void worker_post(struct worker *w, struct worker_call *call)
{
    pthread_mutex_lock(&w->pool->lock);
    if (!call->queued) {
        call->queued = true;
        call->next = NULL;
        *w->calls_end = call;
        w->calls_end = &call->next;
    }
    pthread_mutex_unlock(&w->pool->lock);
    eventfd_write(w->wake, 1);
}

/* The next call that was posted, or NULL. */
static struct worker_call *take_call(struct worker *w)
{
    pthread_mutex_lock(&w->pool->lock);
    struct worker_call *call = w->calls;
    if (call) {
        w->calls = call->next;
        if (!w->calls)
            w->calls_end = &w->calls;
        call->queued = false;
    }
    pthread_mutex_unlock(&w->pool->lock);
    return call;
}

static void on_wake(void *arg, uint32_t events)
{
    struct worker *w = arg;
    struct worker_call *call;
    eventfd_t count;

    (void)events;
    eventfd_read(w->wake, &count);
    while ((call = take_call(w)))
        call->fn(call->arg);
}

/* Handle what there is, waiting for it at most ms (-1: for ever). */
static void turn(struct worker *w, int ms)
{
    w->count = epoll_wait(w->epoll, w->batch, WORKER_BATCH, ms);
    for (w->at = 0; w->at < w->count;) {
        struct epoll_event *e = &w->batch[w->at++];
        struct worker_source *s = e->data.ptr;
        if (s)
            s->ready(s->arg, e->events);
    }
    w->at = w->count = 0;
}

/* Stand still while the pool is paused. Returns false when it is over. */
static bool pass_gate(struct worker *w)
{
    struct workers *p = w->pool;

    pthread_mutex_lock(&p->lock);
    while (p->pause && !p->over) {
        w->parked = true;
        pthread_cond_broadcast(&p->changed);
        pthread_cond_wait(&p->changed, &p->lock);
    }
    w->parked = false;
    bool over = p->over;
    pthread_mutex_unlock(&p->lock);
    return !over;
}

void worker_at_end(struct worker *w, struct worker_call *call)
{
    call->next = w->at_end;
    w->at_end = call;
}

static void end(struct worker *w)
{
    struct worker_call *call = w->at_end, *next;

    w->at_end = NULL;
    for (; call; call = next) {
        next = call->next;
        call->fn(call->arg);
    }
}

bool worker_shares_processor(void)
{
    cpu_set_t mine;

    return sched_getaffinity(0, sizeof(mine), &mine) == 0 && CPU_COUNT(&mine) == 1;
}

/* See worker.h: by its kind a batch thread takes the processor from no other that has it. */
static void let_others_finish(void)
{
    const struct sched_param none = {0};

    if (worker_shares_processor())
        sched_setscheduler(0, SCHED_BATCH, &none);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    pthread_setname_np(pthread_self(), w->name);
    let_others_finish();
    if (w->pool->confinement)
        confinement_enter(w->pool->confinement, w->files ? THREAD_FILES : THREAD_WORKER);
    while (pass_gate(w))
        turn(w, -1);
    end(w);
    return NULL;
}

static int start_thread(struct worker *w, struct error *err)
{
    pthread_attr_t attr;
    sigset_t all, old;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&w->thread, &attr, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (rc)
        return error_set(err, rc, "start the thread '%s'", w->name);
    w->started = true;
    return 0;
}

static void worker_free(struct worker *w)
{
    const int fds[] = {w->epoll, w->wake, w->outer};

    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(w);
}

static struct worker *worker_new(struct workers *p, const char *name, bool threaded,
                                 struct error *err)
{
    struct worker *w = xcalloc(1, sizeof(*w));
    struct epoll_event e = {.events = EPOLLIN};

    w->pool = p;
    w->threaded = threaded;
    w->calls_end = &w->calls;
    snprintf(w->name, sizeof(w->name), "%s", name);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->outer = threaded ? -1 : epoll_create1(EPOLL_CLOEXEC);
    w->wake_source = (struct worker_source){.fd = w->wake, .ready = on_wake, .arg = w};
    if (w->epoll < 0 || w->wake < 0 || worker_add(w, &w->wake_source, EPOLLIN, NULL) < 0 ||
        (!threaded && epoll_ctl(w->outer, EPOLL_CTL_ADD, w->epoll, &e) < 0)) {
        error_set(err, errno, "create the worker '%s'", name);
        worker_free(w);
        return NULL;
    }
    p->all[p->count++] = w;
    return w;
}

/* ---- all of them ---- */

int workers_create(struct workers *p, struct error *err)
{
    pthread_condattr_t attr;

    *p = (struct workers){0};
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->changed, &attr);
    pthread_condattr_destroy(&attr);
    p->helpers = pool_create();
    return worker_new(p, "loop", false, err) ? 0 : -1;
}

void workers_destroy(struct workers *p)
{
    if (!p->helpers)
        return;
    workers_stop(p);
    for (unsigned i = 0; i < p->count; i++)
        worker_free(p->all[i]);
    pool_destroy(p->helpers);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    *p = (struct workers){0};
}

struct worker *workers_add(struct workers *p, const char *name, struct error *err)
{
    if (p->no_threads)
        return workers_loop(p);
    if (p->count == WORKERS) {
        error_set(err, 0, "start '%s': a machine has at most %d threads for devices", name,
                  WORKERS - 1);
        return NULL;
    }
    return worker_new(p, name, true, err);
}

int workers_start(struct workers *p, struct error *err)
{
    p->running = true;
    for (unsigned i = 0; i < p->count; i++)
        if (p->all[i]->threaded && !p->all[i]->started && start_thread(p->all[i], err) < 0)
            return -1;
    return p->no_threads ? 0 : pool_start(p->helpers, p->helpers_wanted, p->confinement, err);
}

/* The owner watches the loop's descriptor, which is never readable while it is paused. */
static void show_loop(struct workers *p, bool show)
{
    struct worker *loop = workers_loop(p);
    struct epoll_event e = {.events = EPOLLIN};

    epoll_ctl(loop->outer, show ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, loop->epoll, &e);
}

static void wake_all(struct workers *p)
{
    for (unsigned i = 0; i < p->count; i++)
        eventfd_write(p->all[i]->wake, 1);
}

/* A thread that does not stand still, or NULL. The lock is held. */
static const struct worker *find_busy(const struct workers *p)
{
    for (unsigned i = 0; i < p->count; i++)
        if (p->all[i]->started && !p->all[i]->parked)
            return p->all[i];
    return NULL;
}

int workers_pause(struct workers *p, unsigned ms, struct error *err)
{
    const struct worker *busy;
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;

    pthread_mutex_lock(&p->lock);
    bool first = !p->pause;
    p->pause = true;
    pthread_mutex_unlock(&p->lock);
    if (first)
        show_loop(p, false);
    wake_all(p);

    pthread_mutex_lock(&p->lock);
    while ((busy = find_busy(p)) && !rc)
        rc = pthread_cond_timedwait(&p->changed, &p->lock, &until);
    pthread_mutex_unlock(&p->lock);
    if (!busy)
        return 0;
    workers_resume(p);
    return error_set(err, 0, "the device thread '%s' did not stop within %u ms: try again",
                     busy->name, ms);
}

void workers_resume(struct workers *p)
{
    pthread_mutex_lock(&p->lock);
    bool was = p->pause;
    p->pause = false;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    if (was)
        show_loop(p, true);
}

void workers_stop(struct workers *p)
{
    if (!p->helpers)
        return;
    pthread_mutex_lock(&p->lock);
    p->over = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    wake_all(p);
    for (unsigned i = 0; i < p->count; i++) {
        if (p->all[i]->started)
            pthread_join(p->all[i]->thread, NULL);
        p->all[i]->started = false;
        end(p->all[i]);
    }
    pool_stop(p->helpers);
}

int workers_loop_fd(const struct workers *p)
{
    return p->all[0]->outer;
}

void workers_turn(struct workers *p)
{
    if (!p->pause && !p->over)
        turn(workers_loop(p), 0);
}
