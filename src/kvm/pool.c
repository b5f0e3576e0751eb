/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads for what blocks, see pool.h.
 */
#include "kvm/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/util.h"
#include "kvm/confine.h"

#define STACK_SIZE (256u << 10)

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct pool_job *jobs, **end;
    bool over;
    const struct confinement *confinement;
    unsigned threads; /* that run */
    pthread_t thread[POOL_THREADS];
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

    pthread_setname_np(pthread_self(), "helper");
    if (p->confinement)
        confinement_enter(p->confinement, THREAD_WORKER);
    while ((job = take(p)))
        job->fn(job);
    return NULL;
}

/* Signals are the main thread's. */
int pool_start(struct pool *p, unsigned threads, const struct confinement *confinement,
               struct error *err)
{
    pthread_attr_t attr;
    sigset_t all, old;
    int rc = 0;

    p->confinement = confinement;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (p->threads < min(threads, POOL_THREADS) && rc == 0) {
        rc = pthread_create(&p->thread[p->threads], &attr, pool_main, p);
        p->threads += rc == 0;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return rc ? error_set(err, rc, "start a thread") : 0;
}

struct pool *pool_create(void)
{
    struct pool *p = xcalloc(1, sizeof(*p));

    p->end = &p->jobs;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    return p;
}

void pool_destroy(struct pool *p)
{
    if (!p)
        return;
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void pool_add(struct pool *p, struct pool_job *job)
{
    pthread_mutex_lock(&p->lock);
    const bool here = !p->threads && !p->over;
    if (!p->over && !here) {
        job->next = NULL;
        *p->end = job;
        p->end = &job->next;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    if (here)
        job->fn(job);
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
