/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads for what blocks, see pool.h.
 */
#include "kvm/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"

#define STACK_SIZE (256u << 10)

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct pool_job *jobs, **end;
    bool over;
    unsigned refs;
    unsigned threads; /* that run */
    char name[16];
    pthread_t thread[];
};

/* The next job, waiting for it. NULL: it is over. */
static struct pool_job *take(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    while (!p->jobs && !p->over)
        pthread_cond_wait(&p->work, &p->lock);
    struct pool_job *job = p->over ? NULL : p->jobs;
    if (job) {
        p->jobs = job->next;
        if (!p->jobs)
            p->end = &p->jobs;
    }
    pthread_mutex_unlock(&p->lock);
    return job;
}

static void *pool_main(void *arg)
{
    struct pool *p = arg;
    struct pool_job *job;

    pthread_setname_np(pthread_self(), p->name);
    while ((job = take(p)))
        job->fn(job);
    return NULL;
}

/* Signals are the main thread's. */
static int start_threads(struct pool *p, unsigned n, struct error *err)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int rc = 0;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (p->threads < n && rc == 0) {
        rc = pthread_create(&p->thread[p->threads], &attr, pool_main, p);
        p->threads += rc == 0;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc ? error_set(err, rc, "start a thread '%s'", p->name) : 0;
}

struct pool *pool_create(const char *name, unsigned threads, struct error *err)
{
    struct pool *p = xcalloc(1, sizeof(*p) + threads * sizeof(p->thread[0]));

    p->end = &p->jobs;
    p->refs = 1;
    snprintf(p->name, sizeof(p->name), "%s", name);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    if (start_threads(p, threads, err) < 0) {
        pool_unref(p);
        return NULL;
    }
    return p;
}

struct pool *pool_ref(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->refs++;
    pthread_mutex_unlock(&p->lock);
    return p;
}

void pool_unref(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    bool last = --p->refs == 0;
    pthread_mutex_unlock(&p->lock);
    if (!last)
        return;
    pool_stop(p);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void pool_add(struct pool *p, struct pool_job *job)
{
    if (!p->threads && !p->over) {
        job->fn(job);
        return;
    }
    pthread_mutex_lock(&p->lock);
    job->next = NULL;
    *p->end = job;
    p->end = &job->next;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

void pool_stop(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->over = true;
    p->jobs = NULL;
    p->end = &p->jobs;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads; i++)
        pthread_join(p->thread[i], NULL);
    p->threads = 0;
}
