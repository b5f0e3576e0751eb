/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * notifyd SOCKET: a program that answers system calls of containers, as LXC asks it
 * (lxc.seccomp.notify.proxy), so it needs nothing of pult's:
 *
 *     mkdir of /tmp/may   goes on in the kernel
 *     mkdir of another    is not supported
 *     mknod of c 1 3      is made here, below the root of who asks, and succeeds
 *     mknod of another    is not permitted
 *
 * "ready" is printed first, and for each question who asks, of what, and the cookie.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#define COOKIE_MOST 64

struct head {
    uint64_t reserved;
    int32_t monitor_pid, init_pid;
    struct seccomp_notif_sizes sizes;
    uint64_t cookie_len;
};

struct question {
    struct head head;
    struct seccomp_notif notif;
    struct seccomp_notif_resp resp;
    char cookie[COOKIE_MOST + 1];
};

enum { PROCESS, MEMORY, LISTENER, FDS };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Be, for files, whoever asks, but with root's rights: a mount with other ids knows no host's root. */
static void become(int process)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];
    struct stat st;
    if (fstat(process, &st) < 0)
        fail("the process");
    setfsgid(st.st_gid);
    setfsuid(st.st_uid);
    if (syscall(SYS_capget, &h, d) < 0)
        fail("capget");
    d[0].effective = d[0].permitted;
    d[1].effective = d[1].permitted;
    if (syscall(SYS_capset, &h, d) < 0)
        fail("capset");
}

/* A node below the root of who asks; the error, or 0. */
static int make_node(int process, const char *path, mode_t mode, dev_t dev)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    char up[256];
    snprintf(up, sizeof up, "%s", path);
    char *slash = strrchr(up, '/');
    if (!slash)
        return ENOENT;
    *slash = '\0';
    int root = openat(process, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int dir = root < 0 ? -1 : (int)syscall(SYS_openat2, root, *up ? up : "/", &how, sizeof how);
    int why = dir < 0 || mknodat(dir, slash + 1, mode, dev) < 0 ? errno : 0;
    close(dir);
    close(root);
    return why;
}

static void decide(struct question *q, const int *fds)
{
    const struct seccomp_data *d = &q->notif.data;
    const int at = d->nr == SYS_mkdirat || d->nr == SYS_mknodat; /* a directory comes first */
    char path[256] = "", comm[32] = "";
    if (pread(fds[MEMORY], path, sizeof path - 1, (off_t)d->args[at]) <= 0)
        fail("its memory");
    int fd = openat(fds[PROCESS], "comm", O_RDONLY | O_CLOEXEC);
    if (read(fd, comm, sizeof comm - 1) <= 0)
        fail("its name");
    close(fd);
    comm[strcspn(comm, "\n")] = '\0';
    /* Is it still the process that asked? */
    if (ioctl(fds[LISTENER], SECCOMP_IOCTL_NOTIF_ID_VALID, &q->notif.id) < 0)
        fail("the question");
    printf("%d %d %s %s %s\n", q->head.monitor_pid, q->head.init_pid, comm, path, q->cookie);
    q->resp = (struct seccomp_notif_resp){.id = q->notif.id};
    if (d->nr == SYS_mkdir || d->nr == SYS_mkdirat) {
        if (strcmp(path, "/tmp/may") == 0)
            q->resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        else
            q->resp.error = -EOPNOTSUPP;
        return;
    }
    const mode_t mode = (mode_t)d->args[at + 1];
    const dev_t dev = (dev_t)d->args[at + 2];
    if (!S_ISCHR(mode) || dev != makedev(1, 3)) {
        q->resp.error = -EPERM;
        return;
    }
    become(fds[PROCESS]);
    q->resp.error = -make_node(fds[PROCESS], path, mode, dev);
}

/* One connection, to its end. */
static void serve(int c)
{
    struct seccomp_notif_sizes sizes;
    struct question q;
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
        fail("sizes");
    for (;;) {
        union {
            struct cmsghdr header;
            char room[CMSG_SPACE(sizeof(int) * FDS)];
        } control;
        struct iovec iov = {&q, offsetof(struct question, cookie) + COOKIE_MOST};
        struct msghdr h = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof control.room};
        int fds[FDS];
        memset(&q, 0, sizeof q);
        const ssize_t n = recvmsg(c, &h, MSG_CMSG_CLOEXEC);
        const size_t answer = offsetof(struct question, cookie); /* all before is without gaps */
        if (n <= 0)
            return;
        struct cmsghdr *m = CMSG_FIRSTHDR(&h);
        if (!m || m->cmsg_type != SCM_RIGHTS || m->cmsg_len != CMSG_LEN(sizeof fds) ||
            q.head.reserved != 0 || memcmp(&q.head.sizes, &sizes, sizeof sizes) != 0 ||
            (size_t)n != answer + q.head.cookie_len) {
            printf("this is no question: %zd bytes\n", n);
            return;
        }
        memcpy(fds, CMSG_DATA(m), sizeof fds);
        decide(&q, fds);
        for (int i = 0; i < FDS; i++)
            close(fds[i]);
        if (send(c, &q, answer, MSG_NOSIGNAL) < 0)
            return;
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 2 || snprintf(a.sun_path, sizeof a.sun_path, "%s", argv[1]) < 0 ||
        bind(s, (struct sockaddr *)&a, sizeof a) < 0 || listen(s, 8) < 0)
        fail("notifyd");
    printf("ready\n");
    for (int c; (c = accept4(s, NULL, NULL, SOCK_CLOEXEC)) >= 0; close(c))
        if (fork() == 0) { /* each question by a process: become() is for once */
            close(s);
            serve(c);
            _exit(0);
        }
    return 1;
}
