/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 60 s
 *
 * Workers: the loop and real threads, calls, pausing and stopping them; and virtio devices on
 * threads, with a driver that does not wait for them.
 */
#include "wires.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "device/driver.h"
#include "device/echo.h"

static struct workers pool;

/* A source that counts, and can be held up in its handler. */
struct counter {
    struct worker_source source;
    struct worker_call call;
    struct worker *worker;
    struct counter *remove; /* this one, when it is ready */
    _Atomic unsigned n, calls;
    _Atomic int policy;
    _Atomic bool in_loop; /* it ran on the test's own thread */
    pthread_t self;
    sem_t done, hold;
    _Atomic bool holds;
};

static void count_ready(void *arg, uint32_t events)
{
    struct counter *c = arg;
    const bool hold = c->holds; /* before anybody knows that it was here */
    eventfd_t n;

    (void)events;
    eventfd_read(c->source.fd, &n);
    c->in_loop = pthread_equal(pthread_self(), c->self);
    c->n++;
    if (c->remove)
        worker_remove(c->worker, &c->remove->source);
    sem_post(&c->done);
    if (hold)
        sem_wait(&c->hold);
}

static void count_call(void *arg)
{
    struct counter *c = arg;

    c->calls++;
    c->policy = sched_getscheduler(0);
    sem_post(&c->done);
}

static void counter_init(struct counter *c, struct worker *w)
{
    *c = (struct counter){.worker = w, .self = pthread_self()};
    c->source = (struct worker_source){eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), count_ready, c};
    c->call = (struct worker_call){.fn = count_call, .arg = c};
    sem_init(&c->done, 0, 0);
    sem_init(&c->hold, 0, 0);
    assert_int_equal(worker_add(w, &c->source, EPOLLIN, NULL), 0);
}

static void counter_close(struct counter *c)
{
    close(c->source.fd);
    sem_destroy(&c->done);
    sem_destroy(&c->hold);
}

static bool loop_is_ready(void)
{
    struct pollfd p = {.fd = workers_loop_fd(&pool), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void await(sem_t *s)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    assert_int_equal(sem_timedwait(s, &until), 0);
}

static int setup(void **state)
{
    (void)state;
    return workers_create(&pool, NULL);
}

static int teardown(void **state)
{
    (void)state;
    workers_destroy(&pool);
    return 0;
}

static void test_loop(void **state)
{
    struct counter c;

    (void)state;
    counter_init(&c, workers_loop(&pool));
    assert_int_equal(workers_start(&pool, NULL), 0);
    assert_false(loop_is_ready());
    workers_turn(&pool); /* does not wait */
    eventfd_write(c.source.fd, 1);
    assert_true(loop_is_ready());
    assert_int_equal(c.n, 0);
    workers_turn(&pool);
    assert_int_equal(c.n, 1);
    assert_true(c.in_loop);
    assert_false(loop_is_ready());
    worker_post(c.worker, &c.call);
    worker_post(c.worker, &c.call); /* is queued already */
    workers_turn(&pool);
    assert_int_equal(c.calls, 1);

    /* Paused it asks for nothing, and serves afterwards what came. */
    assert_int_equal(workers_pause(&pool, 1000, NULL), 0);
    eventfd_write(c.source.fd, 1);
    worker_post(c.worker, &c.call);
    assert_false(loop_is_ready());
    workers_turn(&pool);
    assert_int_equal(c.n, 1);
    workers_resume(&pool);
    assert_true(loop_is_ready());
    workers_turn(&pool);
    assert_int_equal(c.n, 2);
    assert_int_equal(c.calls, 2);
    counter_close(&c);
}

/* One that is removed by another of the same turn is not called any more. */
static void test_removed(void **state)
{
    struct counter a, b;

    (void)state;
    counter_init(&a, workers_loop(&pool));
    counter_init(&b, workers_loop(&pool));
    a.remove = &b;
    b.remove = &a;
    eventfd_write(a.source.fd, 1);
    eventfd_write(b.source.fd, 1);
    workers_turn(&pool);
    workers_turn(&pool);
    assert_int_equal(a.n + b.n, 1);
    counter_close(&a);
    counter_close(&b);
}

static void test_thread(void **state)
{
    struct counter c;

    (void)state;
    counter_init(&c, workers_add(&pool, "device", NULL));
    eventfd_write(c.source.fd, 1);
    assert_int_equal(workers_start(&pool, NULL), 0);
    await(&c.done);
    assert_false(c.in_loop);
    for (unsigned i = 0; i < 1000; i++) {
        worker_post(c.worker, &c.call);
        await(&c.done);
    }
    assert_int_equal(c.calls, 1000);
    workers_stop(&pool);
    eventfd_write(c.source.fd, 1);
    assert_int_equal(c.n, 1);
    workers_stop(&pool);
    counter_close(&c);
}

/* How the thread of a worker is scheduled that may use these processors. */
static int policy_on(const cpu_set_t *where)
{
    struct worker *w = workers_add(&pool, "a thread", NULL);
    struct counter c;
    cpu_set_t mine;

    assert_int_equal(sched_getaffinity(0, sizeof(mine), &mine), 0);
    counter_init(&c, w);
    assert_int_equal(sched_setaffinity(0, sizeof(*where), where), 0);
    assert_int_equal(workers_start(&pool, NULL), 0);
    assert_int_equal(sched_setaffinity(0, sizeof(mine), &mine), 0);
    worker_post(w, &c.call);
    await(&c.done);
    workers_stop(&pool);
    counter_close(&c);
    return c.policy;
}

/* A worker with but one processor for it and others lets them finish. */
static void test_one_processor(void **state)
{
    cpu_set_t one;

    (void)state;
    CPU_ZERO(&one);
    CPU_SET((unsigned)sched_getcpu(), &one);
    assert_int_equal(policy_on(&one), SCHED_BATCH);
}

static void test_many_processors(void **state)
{
    cpu_set_t all;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    if (CPU_COUNT(&all) == 1)
        skip();
    assert_int_equal(policy_on(&all), SCHED_OTHER);
}

static void test_pause(void **state)
{
    struct counter c[3];
    struct error err;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        counter_init(&c[i], workers_add(&pool, "device", NULL));
    assert_int_equal(workers_start(&pool, NULL), 0);
    for (unsigned round = 0; round < 50; round++) {
        assert_int_equal(workers_pause(&pool, 5000, &err), 0);
        assert_int_equal(workers_pause(&pool, 5000, &err), 0); /* is paused */
        unsigned before = c[0].n + c[1].n + c[2].n;
        for (unsigned i = 0; i < 3; i++)
            eventfd_write(c[i].source.fd, 1);
        usleep(200);
        assert_int_equal(c[0].n + c[1].n + c[2].n, before);
        workers_resume(&pool);
        workers_resume(&pool);
        for (unsigned i = 0; i < 3; i++)
            await(&c[i].done);
    }

    /* One that does not come back: an error with its name, and all go on. */
    c[1].holds = true;
    eventfd_write(c[1].source.fd, 1);
    await(&c[1].done);
    assert_int_equal(workers_pause(&pool, 20, &err), -1);
    assert_non_null(strstr(err.text, "the device thread 'device' did not stop within 20 ms"));
    eventfd_write(c[0].source.fd, 1);
    await(&c[0].done);
    c[1].holds = false;
    sem_post(&c[1].hold);
    assert_int_equal(workers_pause(&pool, 5000, &err), 0);
    for (unsigned i = 0; i < 3; i++)
        worker_remove(c[i].worker, &c[i].source); /* may be done while all stand still */
    workers_stop(&pool);                          /* from the pause */
    for (unsigned i = 0; i < 3; i++)
        counter_close(&c[i]);
}

static void test_too_many(void **state)
{
    struct error err;

    (void)state;
    for (unsigned i = 1; i < WORKERS; i++)
        assert_non_null(workers_add(&pool, "many", &err));
    assert_null(workers_add(&pool, "one more", &err));
    assert_non_null(strstr(err.text, "at most 63 threads"));
}

/* ---- devices on threads ---- */

static struct board board;
static struct driver drv;
static struct echo echo;

static void board_up(unsigned threads)
{
    assert_int_equal(board_init(&board, true), 0);
    assert_int_equal(echo_add(&board.virtio, &echo, threads), 0);
    assert_int_equal(board_start(&board), 0);
    assert_true(driver_probe(&drv, &board, 1));
}

static void test_device_threads(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 3; threads++) {
        board_up(threads);
        assert_int_equal(board.own_workers.count, 1 + threads);
        assert_true(driver_start(&drv, DRIVER_ALL, 3, 16));
        struct seg s[3][2];
        for (unsigned q = 0; q < 3; q++) {
            s[q][0] = driver_bytes(&drv, "hello", 5);
            s[q][1] = driver_buffer(&drv, 5, true);
        }
        for (unsigned i = 0; i < 3000; i++) { /* queues 0 and 2 answer, side by side */
            driver_send(&drv, 0, s[0], 2);
            driver_send(&drv, 2, s[2], 2);
            assert_true(driver_await(&drv, 0, NULL, NULL));
            assert_true(driver_await(&drv, 2, NULL, NULL));
        }
        assert_memory_equal(s[2][1].host, "hello", 5);
        board_destroy(&board);
        assert_int_equal(echo.destroyed, 1);
    }
}

/* Resets while requests pour in, from what would be another vCPU. */
static void *pour(void *arg)
{
    const _Atomic bool *stop = arg;

    while (!*stop) {
        mmio_write(&board, drv.notify, 2, 0);
        mmio_write(&board, drv.notify + 8, 2, 2);
        driver_get(&drv, VIRTIO_PCI_COMMON_STATUS, 1);
    }
    return NULL;
}

static void test_reset_races(void **state)
{
    _Atomic bool stop = false;
    pthread_t thread;

    (void)state;
    board_up(2);
    assert_int_equal(pthread_create(&thread, NULL, pour, &stop), 0);
    for (unsigned i = 0; i < 300; i++) {
        board_free_all(&board);
        assert_true(driver_start(&drv, i % 2 ? DRIVER_ALL : 1ull << VIRTIO_F_VERSION_1, 3, 16));
        struct seg s[] = {driver_bytes(&drv, "hello", 5), driver_buffer(&drv, 5, true)};
        for (unsigned n = 0; n < 8; n++) {
            driver_offer(&drv, 0, driver_describe(&drv, 0, s, 2));
            driver_offer(&drv, 2, driver_describe(&drv, 2, s, 2));
        }
        if (i % 3 == 0)
            assert_true(driver_await(&drv, 2, NULL, NULL));
        if (i % 5 == 0) {
            assert_int_equal(workers_pause(&board.own_workers, 5000, NULL), 0);
            uint16_t idx = drv.queues[0].used->idx;
            usleep(100);
            assert_int_equal(drv.queues[0].used->idx, idx); /* not a byte is written */
            driver_set_status(&drv, 0);
            workers_resume(&board.own_workers);
        }
        assert_true(driver_reset(&drv));
    }
    stop = true;
    pthread_join(thread, NULL);
    assert_true(driver_start(&drv, DRIVER_ALL, 3, 16));
    board_destroy(&board); /* as it runs */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_loop),
        T(test_removed),
        T(test_thread),
        T(test_one_processor),
        T(test_many_processors),
        T(test_pause),
        T(test_too_many),
        cmocka_unit_test(test_device_threads),
        cmocka_unit_test(test_reset_races),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
