/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For a guest: vsock cid | echo PORT | connect PORT.
 *
 * echo sends back what comes, to one client after the other. connect talks to a port of the host:
 * what it reads goes there, and what comes from there is printed.
 */
#include <linux/vm_sockets.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(const char *what)
{
    perror(what);
    return 1;
}

/* Copy until there is no more. */
static int copy(int from, int to)
{
    static char buffer[65536];
    ssize_t n;

    while ((n = read(from, buffer, sizeof(buffer))) > 0)
        for (ssize_t at = 0, done; at < n; at += done)
            if ((done = write(to, buffer + at, (size_t)(n - at))) < 0)
                return fail("write");
    return n < 0 ? fail("read") : 0;
}

static int print_cid(void)
{
    unsigned cid = 0;
    const int fd = open("/dev/vsock", O_RDONLY);

    if (fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0)
        return fail("/dev/vsock");
    printf("cid is %u\n", cid);
    close(fd);
    return 0;
}

static int echo(int fd, const struct sockaddr_vm *a)
{
    if (bind(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 || listen(fd, 8) < 0)
        return fail("listen");
    printf("listening on %u\n", a->svm_port);
    fflush(stdout);
    for (int c; (c = accept(fd, NULL, NULL)) >= 0; close(c))
        copy(c, c);
    return fail("accept");
}

static int talk(int fd, const struct sockaddr_vm *a)
{
    if (connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0)
        return fail("connect");
    const pid_t child = fork();
    if (child == 0)
        _exit(copy(fd, 1));
    int rc = copy(0, fd), status = 1;
    shutdown(fd, SHUT_WR);
    waitpid(child, &status, 0);
    return rc || status;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "cid") == 0)
        return print_cid();
    if (argc != 3)
        return 2;
    const int listens = strcmp(argv[1], "echo") == 0;
    const struct sockaddr_vm a = {.svm_family = AF_VSOCK,
                                  .svm_cid = listens ? VMADDR_CID_ANY : VMADDR_CID_HOST,
                                  .svm_port = (unsigned)strtoul(argv[2], NULL, 10)};
    const int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (fd < 0)
        return fail("socket");
    return listens ? echo(fd, &a) : talk(fd, &a);
}
