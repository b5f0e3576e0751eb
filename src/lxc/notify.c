/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who answers in the kernel's place, as LXC has it (lxc.seccomp.notify.*):
 *
 *     a process of the container's ── calls ──► the kernel, which stops it
 *                                                 │ seccomp_notif, by the listener
 *     keeper ◄────────────────────────────────────┘
 *       └── message, seccomp_notif, seccomp_notif_resp, cookie ──► proxy, at a socket of its own
 *             with descriptors of /proc/PID, /proc/PID/mem and the listener
 *           ◄── message, seccomp_notif, seccomp_notif_resp ──
 *
 * Each listener (init's, and one for each command of `pult exec`) has a connection of its own and one
 * question at a time; others wait in the kernel. The keeper waits for nobody: a proxy that does not
 * answer keeps only those waiting who asked. Where there is no proxy the call is said not to be
 * there (ENOSYS).
 */
#include "lxc/notify.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "lxc/container.h"
#include "lxc/sys.h"

#define PREFIX    "unix:"
#define PROXY_FDS 3

/* What LXC sends first; cookie_len bytes of a cookie come last. */
struct proxy_head {
    uint64_t reserved;
    int32_t monitor_pid, init_pid;
    struct seccomp_notif_sizes sizes;
    uint64_t cookie_len;
};

/* One listener. */
struct notify {
    struct notify *next;
    struct container *container;
    int listener, proxy; /* -1: not yet, or no more */
    struct event *asked, *answered;
    struct seccomp_notif_sizes sizes;
    struct seccomp_notif *question;
    struct seccomp_notif_resp *answer;
};

/* ---- in the container ---- */

int notify_install(const struct filter *f, int sock, struct error *err)
{
    const struct sock_fprog program = {f->count, f->code};
    struct message m = {.kind = MESSAGE_NOTIFY};
    cleanup_close int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                        SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (fd < 0 || message_send(sock, &m, &fd, 1) < 0)
        return error_set(err, errno, "restrict system calls");
    return 0;
}

/* ---- the proxy ---- */

static int address_make(const char *value, struct sockaddr_un *a, socklen_t *len, struct error *err)
{
    const char *path = value + strlen(PREFIX);
    const bool abstract = str_starts(value, PREFIX "@");
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!str_starts(value, PREFIX) || (*path != '/' && !abstract))
        return error_set(err, 0, "'%s' is not unix:PATH of a socket", value);
    if (strlen(path) >= sizeof a->sun_path)
        return error_set(err, ENAMETOOLONG, "'%s'", value);
    memcpy(a->sun_path, path, strlen(path) + 1);
    if (abstract)
        a->sun_path[0] = '\0';
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + !abstract);
    return 0;
}

int notify_is_proxy(const char *value, struct error *err)
{
    struct sockaddr_un a;
    socklen_t len;
    return address_make(value, &a, &len, err);
}

static void answered_cb(evutil_socket_t fd, short what, void *arg);

static int proxy_connect(struct notify *n, struct error *err)
{
    struct sockaddr_un a;
    socklen_t len;
    if (address_make(n->container->config.set.notify_proxy, &a, &len, err) < 0)
        return -1;
    cleanup_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, len) < 0)
        return error_set(err, errno, "reach the proxy '%s'", n->container->config.set.notify_proxy);
    n->answered = event_new(n->container->keeper->base, fd, EV_READ | EV_PERSIST, answered_cb, n);
    if (!n->answered || event_add(n->answered, NULL) < 0)
        return error_set(err, ENOMEM, "watch the proxy");
    n->proxy = steal_fd(fd);
    return 0;
}

static void proxy_leave(struct notify *n)
{
    if (n->answered)
        event_free(n->answered);
    n->answered = NULL;
    if (n->proxy >= 0)
        close(n->proxy);
    n->proxy = -1;
}

/* Send the question with these descriptors. */
static int question_send(struct notify *n, const int fds[PROXY_FDS])
{
    const struct container *c = n->container;
    const char *cookie = c->config.set.notify_cookie ? c->config.set.notify_cookie : "";
    struct proxy_head head = {.monitor_pid = getpid(),
                              .init_pid = c->init,
                              .sizes = n->sizes,
                              .cookie_len = strlen(cookie)};
    struct iovec iov[] = {{&head, sizeof head},
                          {n->question, n->sizes.seccomp_notif},
                          {n->answer, n->sizes.seccomp_notif_resp},
                          {(void *)(uintptr_t)cookie, strlen(cookie)}};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int) * PROXY_FDS)];
    } control = {0};
    struct msghdr h = {.msg_iov = iov,
                       .msg_iovlen = ARRAY_SIZE(iov),
                       .msg_control = &control,
                       .msg_controllen = sizeof control.room};
    struct cmsghdr *m = CMSG_FIRSTHDR(&h);
    m->cmsg_level = SOL_SOCKET;
    m->cmsg_type = SCM_RIGHTS;
    m->cmsg_len = CMSG_LEN(sizeof(int) * PROXY_FDS);
    memcpy(CMSG_DATA(m), fds, sizeof(int) * PROXY_FDS);
    return sendmsg(n->proxy, &h, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* Take the answer in: to the question that was asked, and of the right size. */
static int answer_take(struct notify *n)
{
    struct proxy_head head;
    cleanup_free char *question = xcalloc(1, n->sizes.seccomp_notif);
    struct iovec iov[] = {{&head, sizeof head},
                          {question, n->sizes.seccomp_notif},
                          {n->answer, n->sizes.seccomp_notif_resp}};
    struct msghdr h = {.msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov)};
    const ssize_t got = recvmsg(n->proxy, &h, MSG_CMSG_CLOEXEC);
    const size_t all = sizeof head + n->sizes.seccomp_notif + n->sizes.seccomp_notif_resp;
    return got != (ssize_t)all || n->answer->id != n->question->id ? -1 : 0;
}

/* ---- questions ---- */

/* The process goes on with the answer, and the next may ask. It may have been killed meanwhile. */
static void reply(struct notify *n)
{
    if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_SEND, n->answer) < 0 && errno != ENOENT)
        log_once("answer a system call of the container's: %s", strerror(errno));
    event_add(n->asked, NULL);
}

static void reply_none(struct notify *n)
{
    memset(n->answer, 0, n->sizes.seccomp_notif_resp);
    n->answer->id = n->question->id;
    n->answer->error = -ENOSYS;
    reply(n);
}

/* Have the proxy told; anew, if it was started anew. -1: it is not there. */
static int question_pass(struct notify *n, struct error *err)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%u", n->question->pid);
    cleanup_close int process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int memory = process < 0 ? -1 : openat(process, "mem", O_RDWR | O_CLOEXEC);
    if (memory < 0)
        return error_set(err, errno, "open the memory of process %u", n->question->pid);
    /* Was it that process when these were opened? */
    if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->question->id) < 0)
        return error_set(err, errno, "process %u", n->question->pid);
    const int fds[PROXY_FDS] = {process, memory, n->listener};
    if (n->proxy >= 0 && question_send(n, fds) == 0)
        return 0;
    proxy_leave(n);
    if (proxy_connect(n, err) < 0)
        return -1;
    return question_send(n, fds) < 0 ? error_set(err, errno, "ask the proxy") : 0;
}

static void notify_forget(struct notify *n);

/*
 * Is there a question? With nobody left under its filter a listener hangs up, and the kernel (before
 * 6.11) would wait for ever for one.
 */
static bool is_asked(struct notify *n)
{
    struct pollfd p = {.fd = n->listener, .events = POLLIN};
    if (poll(&p, 1, 0) < 0 || p.revents == 0)
        event_add(n->asked, NULL); /* who asked was killed before we looked */
    else if (!(p.revents & POLLIN))
        notify_forget(n);
    return p.revents & POLLIN;
}

static void asked_cb(evutil_socket_t fd, short what, void *arg)
{
    struct notify *n = arg;
    struct error err = {0};
    (void)what;
    if (!is_asked(n))
        return;
    memset(n->question, 0, n->sizes.seccomp_notif);
    memset(n->answer, 0, n->sizes.seccomp_notif_resp);
    if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, n->question) < 0) {
        event_add(n->asked, NULL);
        return;
    }
    n->answer->id = n->question->id;
    if (question_pass(n, &err) == 0)
        return;
    log_once("a system call is not answered (lxc.seccomp.notify.proxy): %s", err.text);
    reply_none(n);
}

static void answered_cb(evutil_socket_t fd, short what, void *arg)
{
    struct notify *n = arg;
    (void)fd;
    (void)what;
    if (event_pending(n->asked, EV_READ, NULL)) { /* nothing was asked: it leaves, or babbles */
        proxy_leave(n);
        return;
    }
    if (answer_take(n) == 0) {
        reply(n);
        return;
    }
    log_once("the proxy gave no answer (lxc.seccomp.notify.proxy)");
    proxy_leave(n);
    reply_none(n);
}

/* ---- listeners ---- */

static void notify_free(struct notify *n)
{
    proxy_leave(n);
    if (n->asked)
        event_free(n->asked);
    if (n->listener >= 0)
        close(n->listener);
    free(n->question);
    free(n->answer);
    free(n);
}

static void notify_forget(struct notify *n)
{
    struct notify **at = &n->container->notify;
    while (*at != n)
        at = &(*at)->next;
    *at = n->next;
    notify_free(n);
}

void notify_watch(struct container *c, int fd)
{
    struct notify *n = xcalloc(1, sizeof *n);
    *n = (struct notify){.next = c->notify, .container = c, .listener = fd, .proxy = -1};
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &n->sizes) == 0 &&
        n->sizes.seccomp_notif >= sizeof *n->question &&
        n->sizes.seccomp_notif_resp >= sizeof *n->answer) {
        n->question = xcalloc(1, n->sizes.seccomp_notif);
        n->answer = xcalloc(1, n->sizes.seccomp_notif_resp);
        n->asked = event_new(c->keeper->base, fd, EV_READ, asked_cb, n);
    }
    if (!n->asked || event_add(n->asked, NULL) < 0) {
        log_line("no system call is answered (lxc.seccomp.notify.proxy)");
        notify_free(n); /* then they fail with ENOSYS */
        return;
    }
    c->notify = n;
}

/* A command on its way, whose listener comes; the container may be another by then. */
struct coming {
    struct keeper *keeper;
    pid_t init;
    int sock;
};

static void coming_cb(evutil_socket_t fd, short what, void *arg)
{
    struct coming *w = arg;
    struct container *c = w->keeper->engine_data;
    struct message m;
    int listener;
    (void)fd;
    (void)what;
    if (message_recv(w->sock, &m, &listener, 1) == 1) {
        if (c && c->init == w->init)
            notify_watch(c, listener);
        else
            close(listener);
    }
    close(w->sock);
    free(w);
}

void notify_await(struct container *c, int sock)
{
    struct coming *w = xcalloc(1, sizeof *w);
    *w = (struct coming){c->keeper, c->init, sock};
    if (event_base_once(c->keeper->base, sock, EV_READ, coming_cb, w, NULL) == 0)
        return;
    close(sock);
    free(w);
}

void notify_drop(struct container *c)
{
    while (c->notify) {
        struct notify *n = c->notify;
        c->notify = n->next;
        notify_free(n);
    }
}
