/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Standard input, output and error of a command, see stdio.h. */
#include "cmd/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"

#define BACKGROUND_MS 500 /* until we look again whether the terminal is ours to read */

static const char *const names[] = {"standard input", "standard output", "standard error"};

static void shut(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Are output and error the same terminal? */
static bool are_one(void)
{
    struct stat out, errors;
    return isatty(1) && isatty(2) && fstat(1, &out) == 0 && fstat(2, &errors) == 0 &&
           out.st_dev == errors.st_dev && out.st_ino == errors.st_ino;
}

int stdio_make(struct stdio *s, struct error *err)
{
    *s = (struct stdio){.given = {0, 1, 2}, .ours = {-1, -1, -1}};
    const bool one = are_one();
    for (int i = 0; i < 3; i++) {
        struct stat st;
        int p[2];
        if (fstat(i, &st) == 0 && S_ISDIR(st.st_mode))
            return error_set(err, EISDIR, "give the command its %s", names[i]);
        if (i == 2 && one)
            s->given[2] = s->given[1];
        else if (isatty(i)) {
            if (pipe2(p, O_CLOEXEC) < 0)
                return error_set(err, errno, "create a pipe");
            s->given[i] = p[i > 0];
            s->ours[i] = p[i == 0];
        }
    }
    if (s->ours[0] >= 0) {
        fcntl(s->ours[0], F_SETFL, O_NONBLOCK);
        signal(SIGPIPE, SIG_IGN);
    }
    return 0;
}

void stdio_passed(struct stdio *s)
{
    for (int i = 0; i < 3; i++)
        if ((i < 2 || s->given[2] != s->given[1]) && s->given[i] > 2)
            close(s->given[i]);
    for (int i = 0; i < 3; i++)
        s->given[i] = -1;
}

/* May we read from the terminal, or would that stop us? */
static bool in_front(void)
{
    const pid_t front = tcgetpgrp(0);
    return front < 0 || front == getpgrp();
}

int stdio_polls(struct stdio *s, struct pollfd p[STDIO_POLLS])
{
    const bool more = s->ours[0] >= 0 && s->at == s->end, front = !more || in_front();
    p[0] = (struct pollfd){.fd = s->ours[0], .events = more ? 0 : POLLOUT};
    if (more && front)
        p[0] = (struct pollfd){.fd = 0, .events = POLLIN};
    for (int i = 1; i < 3; i++)
        p[i] = (struct pollfd){.fd = s->ours[i], .events = POLLIN};
    return front ? -1 : BACKGROUND_MS;
}

/* What is typed, to the command. Its end is the command's, too. */
static void copy_typed(struct stdio *s, const struct pollfd *p)
{
    ssize_t n;
    if (p->fd == 0 && p->revents) {
        n = read(0, s->typed, sizeof s->typed);
        s->at = 0;
        s->end = n > 0 ? (size_t)n : 0;
        if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
            shut(&s->ours[0]);
    } else if (p->revents & POLLERR) {
        shut(&s->ours[0]);
    }
    if (s->ours[0] < 0 || s->at == s->end)
        return;
    n = write(s->ours[0], s->typed + s->at, s->end - s->at);
    if (n > 0)
        s->at += (size_t)n;
    else if (errno != EAGAIN && errno != EINTR)
        shut(&s->ours[0]);
}

/* What it prints, to us. Returns how much; 0: that is all. */
static size_t copy_printed(struct stdio *s, int i)
{
    char data[16 << 10];
    ssize_t n = read(s->ours[i], data, sizeof data);
    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0 || write_all(i, data, (size_t)n) < 0)
        shut(&s->ours[i]);
    return n > 0 ? (size_t)n : 0;
}

void stdio_copy(struct stdio *s, const struct pollfd p[STDIO_POLLS])
{
    if (s->ours[0] >= 0)
        copy_typed(s, &p[0]);
    for (int i = 1; i < 3; i++)
        if (s->ours[i] >= 0 && p[i].revents)
            copy_printed(s, i);
}

void stdio_end(struct stdio *s)
{
    for (int i = 1; i < 3; i++) {
        int left = 0; /* not what another process, which it left behind, prints for ever */
        if (s->ours[i] >= 0)
            ioctl(s->ours[i], FIONREAD, &left);
        while (left > 0 && s->ours[i] >= 0)
            left -= (int)max(copy_printed(s, i), (size_t)1);
    }
    for (int i = 0; i < 3; i++)
        shut(&s->ours[i]);
}
