/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A monitor of LXC's: how it is spoken to. What real ones say: tests/engine/foreign.sh. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lxc/foreign.h"

enum { INIT = 4242 };

/* Who sent what is read there next; pid 0: the kernel does not say. */
static struct ucred sender_of(int fd)
{
    struct ucred who = {0};
    char request[16];
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof who)];
    } control;
    struct iovec iov = {request, sizeof request};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};

    if (recvmsg(fd, &m, MSG_WAITALL) == (ssize_t)sizeof request && CMSG_FIRSTHDR(&m))
        memcpy(&who, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof who);
    return who;
}

/* One processor for both, and who asks gives way: it is heard only after it was let in. */
static void give_way(pid_t asks)
{
    const struct sched_param none = {0};
    cpu_set_t one;
    int cpu = sched_getcpu();

    CPU_ZERO(&one);
    CPU_SET(cpu < 0 ? 0 : cpu, &one);
    assert_return_code(sched_setaffinity(0, sizeof one, &one), errno);
    assert_return_code(sched_setaffinity(asks, sizeof one, &one), errno);
    assert_return_code(sched_setscheduler(asks, SCHED_IDLE, &none), errno);
}

/* LXC's order, with the request there before it asks who sent it. */
static void a_request_says_who_asks(void **state)
{
    (void)state;
    static const struct {
        int ret, datalen;
        intptr_t data;
    } answer = {0, 0, INIT};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct error err = {0};
    char name[32], go = 0;
    int status, yes = 1, start[2], listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(name, sizeof name, "m%d", getpid());
    int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "/nowhere/%s/command", name);
    assert_return_code(bind(listener, (struct sockaddr *)&a,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)),
                       errno);
    assert_return_code(listen(listener, 1), errno);
    assert_return_code(pipe(start), errno);
    pid_t asks = fork();
    if (asks == 0)
        _exit(read(start[0], &go, 1) == 1 && foreign_init("/nowhere", name, &err) == INIT ? 0 : 1);
    give_way(asks);
    assert_int_equal(write(start[1], &go, 1), 1);
    int fd = accept(listener, NULL, NULL);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes), errno);
    struct ucred who = sender_of(fd);
    assert_int_equal(who.pid, asks);
    assert_int_equal(who.uid, geteuid());
    assert_int_equal(who.gid, getegid());
    assert_int_equal(send(fd, &answer, sizeof answer, MSG_NOSIGNAL), sizeof answer);
    assert_int_equal(waitpid(asks, &status, 0), asks);
    assert_int_equal(status, 0);
}

static void where_nobody_listens_nothing_runs(void **state)
{
    (void)state;
    struct error err = {0};

    assert_int_equal(foreign_init("/nowhere", "nobody", &err), -1);
    assert_int_equal(err.code, ESRCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_says_who_asks),
        cmocka_unit_test(where_nobody_listens_nothing_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
