/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The load of a guest that is measured, and the other end of its network:
 *
 *     load blk DEVICE read|write random|sequential DEPTH SIZE SECONDS    prints how many requests
 *     load net send|receive|ask ADDRESS PORT SECONDS                     prints how many bytes, or requests
 *     load cost send|receive|ask ADDRESS PORT SECONDS                    the same, and how many ns of
 *                                                                        CPU time both ends took for it
 *     load serve PORT                                                    answers `load net`, for ever
 *
 * What is sent to another process of this machine goes the whole way in the time of its sender, so the
 * two ends' time is all that it costs, however busy the machine is besides.
 * Disks are read and written past the page cache, by io_submit(), with DEPTH requests under way. Of the
 * network: a stream either way, or one byte there and one back. Statically linked, for a guest
 * that has nothing else.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MOST 64u
#define CHUNK      65536u

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- disks ---- */

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t random_below(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

struct blk_job {
    int fd;
    bool write, sequential;
    uint64_t size, count, next; /* bytes of a request, places for them, the next of those */
};

static void submit(aio_context_t ctx, struct blk_job *j, struct iocb *cb)
{
    uint64_t place = j->sequential ? j->next++ % j->count : random_below(j->count);

    cb->aio_fildes = (uint32_t)j->fd;
    cb->aio_lio_opcode = j->write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
    cb->aio_nbytes = j->size;
    cb->aio_offset = (int64_t)(place * j->size);
    if (syscall(SYS_io_submit, ctx, 1L, &cb) != 1)
        die("io_submit");
}

static int blk(char **a)
{
    struct blk_job j = {.write = a[1][0] == 'w',
                        .sequential = a[2][0] == 's',
                        .size = strtoull(a[4], NULL, 10)};
    const unsigned depth = (unsigned)strtoul(a[3], NULL, 10);
    static struct iocb cbs[DEPTH_MOST];
    struct io_event events[DEPTH_MOST];
    aio_context_t ctx = 0;
    uint64_t bytes, done = 0;

    j.fd = open(a[0], O_RDWR | O_DIRECT | O_CLOEXEC);
    if (j.fd < 0 || ioctl(j.fd, BLKGETSIZE64, &bytes) < 0 || depth == 0 || depth > DEPTH_MOST)
        die(a[0]);
    j.count = bytes / j.size;
    if (syscall(SYS_io_setup, depth, &ctx) < 0)
        die("io_setup");
    for (unsigned i = 0; i < depth; i++) {
        void *buffer;
        if (posix_memalign(&buffer, 4096, j.size) != 0)
            die("memory");
        memset(buffer, (int)i + 1, j.size);
        cbs[i].aio_buf = (uint64_t)(uintptr_t)buffer;
    }
    const double from = now(), until = from + strtod(a[5], NULL);
    for (unsigned i = 0; i < depth; i++)
        submit(ctx, &j, &cbs[i]);
    while (now() < until) {
        long n = syscall(SYS_io_getevents, ctx, 1L, (long)depth, events, NULL);
        if (n < 0)
            die("io_getevents");
        for (long i = 0; i < n; i++) {
            if (events[i].res != (int64_t)j.size)
                die("a request failed");
            submit(ctx, &j, (struct iocb *)(uintptr_t)events[i].obj);
        }
        done += (uint64_t)n;
    }
    printf("%llu\n", (unsigned long long)done);
    return 0;
}

/* ---- the network ---- */

static char chunk[CHUNK];

/* The CPU time of this process, in ns. */
static uint64_t cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A connection, for what `how` says: (s)end, (r)eceive, (a)sk, or its CPU (t)ime. */
static int reach(char **a, char how)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(a[2]))};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (inet_pton(AF_INET, a[1], &to.sin_addr) != 1 || fd < 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (write(fd, &how, 1) != 1)
        die("write");
    return fd;
}

/* The CPU time of the other end. It has one client at a time: whoever was before is done. */
static uint64_t cpu_there(char **a)
{
    uint64_t ns;
    int fd = reach(a, 't');

    if (read(fd, &ns, sizeof(ns)) != sizeof(ns))
        die("the other end");
    close(fd);
    return ns;
}

static int client(char **a, bool cost)
{
    const char how = a[0][0];
    uint64_t done = 0, before = cost ? cpu_there(a) : 0;
    const int fd = reach(a, how);
    const uint64_t begun = cpu();
    const double from = now(), until = from + strtod(a[3], NULL);
    while (now() < until) {
        ssize_t n = 1;
        if (how != 'r')
            n = write(fd, chunk, how == 's' ? sizeof(chunk) : 1);
        if (n > 0 && how != 's')
            n = read(fd, chunk, how == 'r' ? sizeof(chunk) : 1);
        if (n <= 0)
            die("the other end");
        done += (uint64_t)n;
    }
    const uint64_t here = cpu() - begun;
    close(fd);
    if (cost)
        printf("%llu %llu\n", (unsigned long long)done,
               (unsigned long long)(here + cpu_there(a) - before));
    else
        printf("%llu\n", (unsigned long long)done);
    return 0;
}

/* One client: it says first what it will do. */
static void answer(int fd)
{
    char how;
    int one = 1;
    ssize_t n;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (read(fd, &how, 1) != 1)
        return;
    if (how == 't') {
        const uint64_t ns = cpu();
        if (write(fd, &ns, sizeof(ns)) != sizeof(ns))
            return;
    }
    do {
        n = how == 'r' ? (ssize_t)sizeof(chunk) : read(fd, chunk, sizeof(chunk));
        if (n > 0 && how != 's')
            n = send(fd, chunk, (size_t)n, MSG_NOSIGNAL);
    } while (n > 0);
}

static int serve(char **a)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(a[0]))};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4) < 0)
        die("listen");
    for (;;) {
        int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (peer < 0)
            die("accept");
        answer(peer);
        close(peer);
    }
}

int main(int argc, char **argv)
{
    if (argc == 8 && strcmp(argv[1], "blk") == 0)
        return blk(argv + 2);
    if (argc == 6 && strcmp(argv[1], "net") == 0)
        return client(argv + 2, false);
    if (argc == 6 && strcmp(argv[1], "cost") == 0)
        return client(argv + 2, true);
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv + 2);
    fprintf(stderr, "usage: load blk|net|serve …, see load.c\n");
    return 2;
}
