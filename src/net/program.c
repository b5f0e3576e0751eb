/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs, see program.h. Input and output are files in memory, so neither side ever waits for the
 * other to read.
 */
#include "net/program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"

#define SECONDS_MOST 60
#define PLACES       "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static char *find_in(const char *path, const char *name)
{
    cleanup_free char *copy = xstrdup(path);
    char *rest = copy;

    for (char *dir; (dir = strsep(&rest, ":"));) {
        char *file = xasprintf("%s/%s", dir, name);
        if (*dir == '/' && access(file, X_OK) == 0)
            return file;
        free(file);
    }
    return NULL;
}

char *program_find(const char *name)
{
    const char *path = getenv("PATH");
    char *found = path ? find_in(path, name) : NULL;

    return found ? found : find_in(PLACES, name);
}

/* All of a file in memory, as text. */
static char *file_text(int fd)
{
    const off_t size = lseek(fd, 0, SEEK_END);
    char *text = xcalloc((size_t)max(size, (off_t)0) + 1, 1);

    for (off_t at = 0; at < size;) {
        const ssize_t n = pread(fd, text + at, (size_t)(size - at), at);
        if (n <= 0)
            break;
        at += n;
    }
    return text;
}

/* What it complains of is its first line; the others draw arrows below it. */
static int complain(const char *name, int status, char *said, struct error *err)
{
    said[strcspn(said, "\n")] = '\0';
    str_printable(said);
    if (*said)
        return error_set(err, 0, "%s: %s", name, said);
    if (WIFSIGNALED(status))
        return error_set(err, 0, "%s was ended by signal %d", name, WTERMSIG(status));
    return error_set(err, 0, "%s failed with status %d", name, WEXITSTATUS(status));
}

static int start(const char *file, const char *const argv[], const int fds[4], pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (int i = 0; i < 4 && fds[i] >= 0; i++)
        posix_spawn_file_actions_adddup2(&actions, fds[i], i);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    const int rc = posix_spawn(pid, file, &actions, &attributes, (char *const *)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* Until it ends. One that hangs is ended: nobody could undo what waits for it for ever. */
static int await(pid_t pid, int *status)
{
    cleanup_close int fd = pidfd_open(pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const uint64_t end = now_mono_ns() + (uint64_t)SECONDS_MOST * 1000000000;

    while (fd >= 0 && now_mono_ns() < end && poll(&p, 1, 1000) <= 0)
        ;
    if (fd >= 0 && !p.revents)
        kill(pid, SIGKILL);
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return 0;
}

int program_run_holding(int lock, const char *const argv[], const char *input, char **output,
                        struct error *err)
{
    cleanup_free char *file = program_find(argv[0]);
    cleanup_close int in = memfd_create("input", MFD_CLOEXEC);
    cleanup_close int out = memfd_create("output", MFD_CLOEXEC);
    cleanup_close int words = memfd_create("complaints", MFD_CLOEXEC);
    int status = 0;
    pid_t pid;

    if (output)
        *output = NULL;
    if (!file) {
        error_set(err, 0, "there is no program '%s'", argv[0]);
        if (err)
            err->code = ENOENT;
        return -1;
    }
    if (in < 0 || out < 0 || words < 0 || (input && write_all(in, input, strlen(input)) < 0) ||
        lseek(in, 0, SEEK_SET) < 0)
        return error_set(err, errno, "start '%s'", argv[0]);
    const int rc = start(file, argv, (const int[]){in, out, words, lock}, &pid);
    if (rc != 0)
        return error_set(err, rc, "start '%s'", file);
    if (await(pid, &status) < 0)
        return error_set(err, errno, "wait for '%s'", file);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        cleanup_free char *said = file_text(words);
        return complain(argv[0], status, said, err);
    }
    if (output)
        *output = file_text(out);
    return 0;
}

int program_run(const char *const argv[], const char *input, char **output, struct error *err)
{
    return program_run_holding(-1, argv, input, output, err);
}
