/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The threads that serve devices.
 *
 * A worker waits (epoll) for the descriptors that devices gave it and calls their handlers, one
 * after the other: what belongs to one worker needs no lock against itself. There are two kinds:
 *
 *     the loop     has no thread: it is one descriptor that the machine's owner watches and a
 *                  function to call when it is readable. For what costs little and never blocks.
 *     a thread     of its own. For what copies much or may block (disks, networks).
 *
 *     owner's thread                           a worker
 *       workers_start()   ──────────────────►  serves
 *       workers_pause()   ──────────────────►  finishes the handler it is in, confirms, stands
 *       workers_resume()  ──────────────────►  goes on; what came meanwhile is served now
 *       workers_stop()    ──────────────────►  leaves, is joined
 *
 * While all workers stand still no handler runs anywhere: then their devices may be looked at by
 * others. What a device has under way in the kernel (io_uring) is its own to account for.
 *
 * What would hold up a worker for long is done by helpers (pool.h), which there are as many of as
 * devices asked for; they are started and stopped with the workers, and not paused.
 *
 * Where there is one processor for all, a worker does not take it from a vCPU that has just kicked it:
 * that one goes on, and when it waits or has had its share, the worker finds many requests, for which
 * there will be one interrupt.
 *
 * Anything may worker_post() a call into a worker. Sources are added and removed by the worker
 * itself, or by others before it was started, while it is paused or after it was stopped.
 */
#ifndef PULT_KVM_WORKER_H
#define PULT_KVM_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/error.h"

#define WORKER_BATCH 16
#define WORKERS      64

/* A descriptor that is watched. Lives in what owns it, from worker_add() to worker_remove(). */
struct worker_source {
    int fd;
    void (*ready)(void *arg, uint32_t events); /* events: EPOLLIN … */
    void *arg;
};

/* A call to be made in the worker's thread. Lives until it was made. */
struct worker_call {
    void (*fn)(void *arg);
    void *arg;
    struct worker_call *next;
    bool queued;
};

struct pool;
struct confinement;
struct workers;

struct worker {
    struct workers *pool;
    char name[16];
    bool threaded, started;
    bool files; /* its thread opens files of the host */
    pthread_t thread;
    int epoll, wake; /* wake: an eventfd */
    int outer;       /* of the loop: what its owner watches; epoll is in it unless it is paused */
    struct worker_source wake_source;
    struct worker_call *calls, **calls_end; /* under the pool's lock */
    struct worker_call *at_end;
    bool parked;                            /* the same */
    struct epoll_event batch[WORKER_BATCH]; /* being handled, from `at` on; the thread's own */
    int at, count;
};

/* All workers of a machine; the first is the loop. */
struct workers {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running, pause, over;
    const struct confinement *confinement; /* of its threads; NULL: none */
    bool no_threads;                       /* tests: everything is served by the loop */
    unsigned count;
    struct worker *all[WORKERS];
    struct pool *helpers;
    unsigned helpers_wanted;
};

int workers_create(struct workers *p, struct error *err);
void workers_destroy(struct workers *p); /* stops them first; accepts what was zeroed */

/* One more with a thread of its own; name has at most 15 characters. NULL: see err. */
struct worker *workers_add(struct workers *p, const char *name, struct error *err);
/* There shall be so many helpers. Before workers_start(). */
static inline void workers_want_helpers(struct workers *w, unsigned n)
{
    if (n > w->helpers_wanted)
        w->helpers_wanted = n;
}
static inline struct worker *workers_loop(struct workers *w)
{
    return w->all[0];
}

/* Has the calling thread one processor to run on, which is then all others' too? */
bool worker_shares_processor(void);

/* Let the threads run. */
int workers_start(struct workers *p, struct error *err);
/* Call from the owner's thread. Fails, with all running on, if one has not confirmed after ms. */
int workers_pause(struct workers *p, unsigned ms, struct error *err);
void workers_resume(struct workers *p);
void workers_stop(struct workers *p);

/* The loop's descriptor, and what to do when it is readable: handle what is there, do not wait. */
int workers_loop_fd(const struct workers *p);
void workers_turn(struct workers *p);

int worker_add(struct worker *w, struct worker_source *s, uint32_t events, struct error *err);
void worker_modify(struct worker *w, struct worker_source *s, uint32_t events);
void worker_remove(struct worker *w, struct worker_source *s);
/* Call call->fn in the worker's thread soon. Nothing happens if it is queued already. */
void worker_post(struct worker *w, struct worker_call *call);
/*
 * Have a call made by the worker when it will serve nothing any more: in its thread, or by
 * workers_stop() for one that never ran. Before workers_start().
 */
void worker_at_end(struct worker *w, struct worker_call *call);

#endif
