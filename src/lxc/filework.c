/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Work on the files of containers, see filework.h. */
#include "lxc/filework.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <locale.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/container.h"
#include "lxc/sys.h"

#define TICK_MS 100 /* between two looks whether it is to be given up */

/* What the process says; small enough for a pipe to take it whole. */
struct said {
    bool failed, result; /* result: done is that, and no progress */
    uint64_t done, total;
    struct error why;
};
_Static_assert(sizeof(struct said) <= 4096, "PIPE_BUF");

static int said_fd = -1; /* in the process */

void filework_progress(uint64_t done, uint64_t total)
{
    const struct said s = {.done = done, .total = total};
    if (said_fd >= 0 && write(said_fd, &s, sizeof s) < 0)
        return; /* nobody listens any more: we are about to be killed */
}

void filework_result(uint64_t number)
{
    const struct said s = {.result = true, .done = number};
    if (said_fd >= 0 && write(said_fd, &s, sizeof s) < 0)
        return;
}

/* ---- in the process ---- */

/* Put a directory onto itself, so that it can differ from what is around it. */
static int own_mount(const char *path, struct error *err)
{
    if (path && mount(path, path, NULL, MS_BIND, NULL) < 0)
        return error_set(err, errno, "mount '%s'", path);
    return 0;
}

static int own_writable(const char *path, uint64_t set, struct error *err)
{
    struct mount_attr open = {.attr_set = set, .attr_clr = MOUNT_ATTR_RDONLY};
    if (path && mount_setattr(AT_FDCWD, path, 0, &open, sizeof open) < 0)
        return error_set(err, errno, "make '%s' writable", path);
    return 0;
}

/* Make everything read-only but what is worked on. */
static int confine(const struct filework *w, struct error *err)
{
    struct mount_attr lock = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
    const uint64_t safe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_set(err, errno, "have mounts of our own");
    if (!w->jail) /* of our processes; where that is not allowed, the host's shows us none */
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    if (w->open)
        return 0;
    if (own_mount(w->dir, err) < 0 || own_mount(w->dir2, err) < 0)
        return -1;
    if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &lock, sizeof lock) < 0)
        return error_set(err, errno, "make the host's files read-only");
    if (own_writable(w->dir, w->jail ? safe : 0, err) < 0 || own_writable(w->dir2, 0, err) < 0)
        return -1;
    if (w->jail && (chroot(w->dir) < 0 || chdir("/") < 0))
        return error_set(err, errno, "go into '%s'", w->dir);
    return 0;
}

/* In a jail files are made, nothing else. */
static int reduce(struct error *err)
{
    static const cap_value_t keep[] = {CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
                                       CAP_FOWNER, CAP_FSETID,       CAP_SETFCAP};
    cap_t caps = cap_init();
    int ret = 0;
    if (!caps || cap_set_flag(caps, CAP_PERMITTED, ARRAY_SIZE(keep), keep, CAP_SET) < 0 ||
        cap_set_flag(caps, CAP_EFFECTIVE, ARRAY_SIZE(keep), keep, CAP_SET) < 0 ||
        cap_set_proc(caps) < 0)
        ret = error_set(err, errno, "give up capabilities");
    cap_free(caps);
    return ret;
}

static int work(const struct filework *w, struct error *err)
{
    setgroups(0, NULL);
    umask(022);
    setlocale(LC_CTYPE, "C.UTF-8"); /* what names in archives are; in a jail none is found */
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_set(err, errno, "become root of the files");
    if (confine(w, err) < 0 || (w->jail && reduce(err) < 0))
        return -1;
    return w->run(w->arg, err);
}

/* The process for it, waiting at go until its ids are mapped. */
static pid_t begin(const struct filework *w, bool userns, int go, int said, struct error *err)
{
    struct clone_args args = {.flags = CLONE_NEWNS | CLONE_NEWPID | (userns ? CLONE_NEWUSER : 0),
                              .exit_signal = SIGCHLD};
    fflush(NULL);
    pid_t pid = sys_clone3(&args);
    if (pid < 0)
        return error_set(err, errno, "create a namespace");
    if (pid > 0)
        return pid;
    struct said s = {.failed = true};
    char byte;
    said_fd = said;
    spawn_reset_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (read(go, &byte, 1) != 1)
        _exit(1);
    if (work(w, &s.why) == 0)
        _exit(0);
    _exit(write(said, &s, sizeof s) < 0 ? 2 : 1);
}

/* ---- who waits ---- */

/* Hear what it says until it ends, or is given up. */
static int follow(const struct filework *w, int said, pid_t pid, struct error *err)
{
    struct pollfd p = {.fd = said, .events = POLLIN};
    struct said s = {0}, last = {0};
    bool given_up = false, failed = false;
    for (;;) {
        int n = poll(&p, 1, TICK_MS);
        if (n > 0 && read(said, &s, sizeof s) != (ssize_t)sizeof s)
            break;
        if (n > 0 && s.failed) {
            failed = true;
            s.why.text[sizeof s.why.text - 1] = '\0'; /* it may have been taken over */
            str_printable(s.why.text);
            if (err)
                *err = s.why;
        } else if (n > 0 && s.result) {
            if (w->result)
                *w->result = s.done;
        } else if (n > 0) {
            last = s;
        }
        if (!given_up && w->progress &&
            w->progress(w->progress_arg, last.done, max(last.total, UINT64_C(1)))) {
            given_up = true;
            kill(pid, SIGKILL);
        }
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (given_up)
        return error_set(err, ECANCELED, "it was given up");
    if (!failed && status != 0)
        return error_set(err, 0, "it was killed");
    return failed ? -1 : 0;
}

/* The ids a user's container has by default; NULL for root, whose files are what they are. */
static const struct idmap *map_of_caller(struct idmap *map)
{
    struct conf *none = conf_new("");
    const struct guest_def def = {.conf = none};
    int ret = geteuid() == 0 ? -1 : idmap_choose(&def, map, NULL);
    conf_free(none);
    return ret == 0 ? map : NULL;
}

bool filework_has_owners(void)
{
    struct idmap map;
    const struct idmap *mapped = map_of_caller(&map);
    return !mapped || mapped->uids > 1;
}

int filework_do(const struct filework *w, struct error *err)
{
    struct idmap map;
    const struct idmap *mapped = map_of_caller(&map);
    int go[2], said[2];
    if (pipe2(go, O_CLOEXEC) < 0)
        return error_set(err, errno, "create a pipe");
    cleanup_close int wait_end = go[0], go_end = go[1];
    if (pipe2(said, O_CLOEXEC) < 0)
        return error_set(err, errno, "create a pipe");
    cleanup_close int hear_end = said[0], say_end = said[1];
    pid_t pid = begin(w, mapped != NULL, wait_end, say_end, err);
    if (pid < 0)
        return -1;
    close(steal_fd(say_end));
    struct error why = {0};
    int ret = mapped ? idmap_write(mapped, pid, &why) : 0;
    if (ret == 0 && write(go_end, "g", 1) != 1)
        ret = error_set(&why, errno, "start the work");
    close(steal_fd(go_end));
    struct error said_why = {0};
    if (follow(w, hear_end, pid, &said_why) < 0 && ret == 0) {
        ret = -1;
        why = said_why;
    }
    if (ret < 0 && err)
        *err = why;
    return ret;
}

/* ---- programs ---- */

/* Read what it prints, a line at a time. last: what it said at last, or last in its own name. */
static void listen_to(int fd, const char *program, filework_line_fn *line, void *arg, char *last,
                      size_t size)
{
    const size_t len = strlen(program);
    bool named = false;
    FILE *f = fdopen(fd, "r");
    cleanup_free char *text = NULL;
    size_t room = 0;
    ssize_t n;
    while (f && (n = getline(&text, &room, f)) > 0) {
        text[strcspn(text, "\r\n")] = '\0';
        const bool name = str_starts(text, program) && text[len] == ':';
        if (*text && (name || !named))
            snprintf(last, size, "%s", text + (name ? len + 1 + (text[len + 1] == ' ') : 0));
        named |= name;
        if (line)
            line(arg, text);
    }
    if (f)
        fclose(f);
}

int filework_program(char *const *argv, int to, filework_line_fn *line, void *arg,
                     struct error *err)
{
    int out[2], status = 0;
    char last[300] = "";
    if (pipe2(out, O_CLOEXEC) < 0)
        return error_set(err, errno, "create a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        dup2(null, 0);
        dup2(to >= 0 ? to : out[1], 1);
        dup2(out[1], 2);
        dup2(out[1], 3); /* debootstrap tells on it how far it is */
        execvp(argv[0], argv);
        dprintf(2, "%s\n", strerror(errno));
        _exit(127);
    }
    close(out[1]);
    if (pid < 0) {
        close(out[0]);
        return error_set(err, errno, "run '%s'", argv[0]);
    }
    listen_to(out[0], argv[0], line, arg, last, sizeof last);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    str_printable(last);
    if (status != 0)
        return error_set(err, 0, "%s: %s", argv[0], *last ? last : "it failed");
    return 0;
}
