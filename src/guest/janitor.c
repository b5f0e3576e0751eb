/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/title.h"
#include "base/util.h"
#include "guest/cgroup.h"
#include "guest/keeper.h"
#include "guest/rundir.h"

/* What the keeper says, and what it hears. A descriptor may come with the latter. */
enum wish { WISH_END = 1, WISH_CONNECT };
struct message {
    uint32_t wish;
    uint32_t written;
    struct last_run last;
    char name[64];
};
struct answer {
    int32_t code; /* 0, or an errno */
};

/* ---- the janitor ---- */

/* What came may be a stranger's. */
static bool bound(struct last_run *last)
{
    last->known = false;
    last->reason[sizeof last->reason - 1] = '\0';
    str_printable(last->reason);
    last->reason[strcspn(last->reason, "\n")] = '\0';
    return (unsigned)last->how <= ENDED_CRASH && last->exit_status >= -1 &&
           last->exit_status <= 255;
}

static void end_guest(const struct guest_def *def, struct run_dir *run, const struct message *m)
{
    struct error err;
    struct last_run last = {0};
    bool written = m->written == 1;
    /* Field by field: a bool may have been made of anything. */
    last.how = m->last.how;
    last.exit_status = m->last.exit_status;
    memcpy(last.reason, m->last.reason, sizeof last.reason);
    if (!bound(&last)) {
        log_line("the keeper's last words make no sense");
        last = (struct last_run){.how = ENDED_CRASH, .exit_status = -1};
        written = true;
    }
    last.when = time(NULL);
    if (written && store_write_last(def, run->fd, &last, &err) < 0)
        log_line("write down how it ended: %s", err.text);
    run_dir_retire(def->name, run);
}

/* Connect to a socket of RUN/NAME. Returns its descriptor, or the negated errno. */
static int connect_to(const struct run_dir *run, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (!str_starts(name, JANITOR_SOCKETS) || strchr(name, '/'))
        return -EPERM;
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* Through /proc, since a socket's path may have 107 bytes only. */
    snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", run->fd, name);
    return connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : steal_fd(fd);
}

static void answer(int to, int result)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct answer a = {.code = result < 0 ? -result : 0};
    struct iovec iov = {&a, sizeof a};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (result > 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &result, sizeof result);
    }
    sendmsg(to, &m, MSG_NOSIGNAL);
}

/* False: the keeper is gone. What is no message is one without a wish. */
static bool next_message(int from, struct message *m)
{
    ssize_t n;
    while ((n = recv(from, m, sizeof *m, 0)) < 0 && errno == EINTR)
        ;
    if (n != (ssize_t)sizeof *m)
        m->wish = 0;
    m->name[sizeof m->name - 1] = '\0';
    return n > 0;
}

/* The janitor's whole life. It has no share in the locks: those say that the keeper lives. */
static void janitor_main(const struct keeper *k, int channel)
{
    struct run_dir run = {-1, -1};
    struct message m;
    bool ended = false;
    const pid_t keeper = getppid();
    if (channel != 3)
        dup2(channel, 3);
    close_range(4, ~0u, 0);
    title_set("pult: janitor of %s", k->def->name);
    run.fd = open(k->run_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    while (next_message(3, &m)) {
        if (m.wish == WISH_END && !ended) {
            ended = true;
            end_guest(k->def, &run, &m);
            answer(3, 0);
        } else if (m.wish == WISH_CONNECT && !ended) {
            int fd = connect_to(&run, m.name);
            answer(3, fd);
            if (fd >= 0)
                close(fd);
        } else {
            answer(3, -EINVAL);
        }
    }
    if (!k->def->engine->limit) /* an engine whose guest is its keeper */
        cgroup_remove_keeper(k->def->name, keeper);
    if (ended) {
        run_dir_remove(k->def->name, &run);
        return;
    }
    struct status_page page;
    run_dir_look(k->def->name, &page);
}

/* ---- the keeper's side ---- */

int janitor_start(const struct keeper *k, int *fd, struct error *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_set(err, errno, "create a socket");
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        janitor_main(k, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return error_set(err, errno, "start the keeper's janitor");
    }
    *fd = ends[0];
    return 0;
}

/* Say something and hear the answer, with a descriptor where *fd is asked for. */
static int ask(int channel, const struct message *m, int *fd, struct error *err)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct answer a = {0};
    struct iovec iov = {&a, sizeof a};
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};
    ssize_t n;
    if (send(channel, m, sizeof *m, MSG_NOSIGNAL) != (ssize_t)sizeof *m)
        return error_set(err, errno, "tell the keeper's janitor");
    while ((n = recvmsg(channel, &h, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    if (n != (ssize_t)sizeof a)
        return error_set(err, n < 0 ? errno : EPIPE, "hear from the keeper's janitor");
    const struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    if (fd && c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(fd, CMSG_DATA(c), sizeof *fd);
    return a.code ? error_set(err, a.code, "by the keeper's janitor") : 0;
}

int janitor_end(int fd, const struct last_run *last, bool written, struct error *err)
{
    struct message m;
    memset(&m, 0, sizeof m);
    m.wish = WISH_END;
    m.last = *last;
    m.written = written;
    return ask(fd, &m, NULL, err);
}

int janitor_connect(int fd, const char *name, struct error *err)
{
    struct message m;
    int stream = -1;
    memset(&m, 0, sizeof m);
    m.wish = WISH_CONNECT;
    snprintf(m.name, sizeof m.name, "%s", name);
    if (ask(fd, &m, &stream, err) < 0)
        return error_wrap(err, "connect to '%s'", name);
    return stream >= 0 ? stream : error_set(err, EPROTO, "connect to '%s'", name);
}
