/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guardians, see journal.h: who carries out what may cut off the session that asked for it.
 *
 * A guardian is forked twice, so it is no child of its starter, and leads a session of its own; it
 * ignores the signals that end sessions and leaves the session's control group. To its starter it
 * tells each step over a socket, and does not mind if nobody listens any more. It holds a lock on
 * RUN/.networks/NAME/guardian for as long as it lives.
 *
 * While it works it is watched itself: a step that hangs must not keep the host cut off.
 *
 * What it waits for afterwards is in the journal: whoever confirms, or takes back, writes there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/places.h"
#include "base/title.h"
#include "base/util.h"
#include "net/journal_private.h"
#include "net/network.h"

#define LOCK_TRIES 100 /* of 50 ms: then the way back is more important than the lock */

unsigned guardian_work_seconds = 15;

/* What a guardian tells: a step, or (end) the result. */
struct word {
    bool end, undoing;
    size_t step;
    enum step_state state;
    enum network_state network;
    int rc;
    struct error err;
};

/* ---- the guardian itself ---- */

/* systemd may end a session with all that is in its control group. */
static void leave_session(void)
{
    static const char *const roots[] = {"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified",
                                        "/sys/fs/cgroup"};
    cleanup_free char *groups = NULL;

    if (file_read_at(AT_FDCWD, "/proc/self/cgroup", 65536, &groups, NULL, NULL) < 0 ||
        (!strstr(groups, "/session-") && !strstr(groups, "/user@")))
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(roots); i++) {
        cleanup_free char *path = xasprintf("%s/cgroup.procs", roots[i]);
        file_put_at(AT_FDCWD, path, "0", NULL); /* the root group: always there, never removed */
    }
}

/* Nothing of the starter's but these two descriptors. */
static void become_guardian(const char *network, int lock, int channel)
{
    static const int deaf[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP,
                               SIGTTIN, SIGTTOU, SIGALRM, SIGUSR1, SIGUSR2};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int last = 2;

    setsid();
    for (int n = 1; n < NSIG; n++)
        signal(n, SIG_DFL);
    for (unsigned i = 0; i < ARRAY_SIZE(deaf); i++)
        signal(deaf[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    for (int fd = min(lock, channel);; fd = max(lock, channel)) {
        if (fd > last + 1)
            close_range((unsigned)last + 1, (unsigned)fd - 1, 0);
        last = max(last, fd);
        if (fd == max(lock, channel))
            break;
    }
    close_range((unsigned)last + 1, ~0u, 0);
    if (chdir("/") < 0)
        _exit(1);
    leave_session();
    title_set("pult: network %s, guardian", network);
}

/* Hold the file that says that we live, until we do not. */
static void take_post(const char *network)
{
    cleanup_free char *path = network_run_path(network, "guardian");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    struct flock mine = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    /* One before us sees from the journal that it has nothing to wait for any more. */
    while (fd >= 0 && fcntl(fd, F_OFD_SETLKW, &mine) < 0 && errno == EINTR)
        ;
}

bool guardian_alive(const char *network)
{
    cleanup_free char *path = network_run_path(network, "guardian");
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    struct flock theirs = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &theirs) == 0 && theirs.l_type != F_UNLCK;
}

static void send_word(int channel, const struct word *w)
{
    while (send(channel, w, sizeof(*w), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EINTR)
        ;
}

static void tell_step(void *arg, const struct plan *p, size_t step, bool undoing)
{
    const struct word w = {.step = step, .undoing = undoing, .state = p->steps[step].state};

    send_word(*(int *)arg, &w);
}

/* The lock, or after some seconds without. */
static int lock_soon(void)
{
    cleanup_free char *path = xasprintf("%s/networks", place_home());
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    for (unsigned i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) < 0; i++)
        usleep(50000);
    return fd;
}

/* Is it still ours to wait for? */
static bool still_waiting(const struct journal *mine, bool *late)
{
    cleanup_journal struct journal now = {0};

    *late = (uint64_t)mine->deadline_ns <= now_boot_ns();
    if (journal_read(mine->plan.network, &now, NULL) < 0)
        return true; /* unreadable: the deadline decides */
    return now.state == NETWORK_UNCONFIRMED && now.deadline_ns == mine->deadline_ns;
}

/* Until it was confirmed, or taken back by somebody, or the time is up: then take it back. */
static void wait_for_word(struct journal *j)
{
    cleanup_free char *dir = network_run_path(j->plan.network, NULL);
    cleanup_close int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct pollfd p = {.fd = watch, .events = POLLIN};
    char events[4096];
    bool late;

    if (watch >= 0)
        inotify_add_watch(watch, dir, IN_MOVED_TO | IN_DELETE);
    while (still_waiting(j, &late) && !late) {
        int64_t left = j->deadline_ns - (int64_t)now_boot_ns();
        /* poll's clock stands still in suspend, the deadline's does not. */
        poll(&p, 1, (int)min(max(left / 1000000 + 1, INT64_C(1)), INT64_C(1000)));
        while (watch >= 0 && read(watch, events, sizeof(events)) > 0)
            ;
    }
    if (!late)
        return;
    int lock = lock_soon();
    if (still_waiting(j, &late))
        journal_carry_out(j, true, 0, NULL, NULL);
    if (lock >= 0)
        close(lock);
}

/* ---- steps that hang ---- */

/*
 * Another process watches the guardian at work. From the first step with a risk on it gives it the
 * time that there is to confirm (not too little for a slow host); then it ends it, with the program that it waits for, and takes its
 * place: to put everything back. `begun` has a byte at that step, and ends with the work.
 */
static void watch_work(struct journal *j, pid_t guardian, unsigned seconds, int channel, int begun)
{
    cleanup_journal struct journal left = {0};
    struct word last = {.end = true};
    const struct watcher w = {.progress = tell_step, .arg = &channel};
    struct pollfd p = {.fd = begun, .events = POLLIN};
    char byte;

    title_set("pult: network %s, guardian's watch", j->plan.network);
    if (read(begun, &byte, 1) != 1)
        return;
    const uint64_t end = now_boot_ns() + seconds * 1000000000ull;
    uint64_t now;
    while ((now = now_boot_ns()) < end)
        if (poll(&p, 1, (int)min((end - now) / 1000000 + 1, UINT64_C(1000))) > 0)
            return;
    kill(-guardian, SIGKILL); /* we left its group */
    while (poll(&p, 1, 1000) == 0)
        ;
    last.rc = error_set(&last.err, ETIMEDOUT, "the steps took more than %u seconds", seconds);
    if (journal_read(j->plan.network, &left, NULL) == 0) {
        struct error why;
        if (journal_carry_out(&left, true, 0, &w, &why) < 0)
            error_hint(&last.err, "and putting back what was done failed, too: %s", why.text);
        else
            error_hint(&last.err, "what had been done was put back");
        last.network = left.state;
    }
    send_word(channel, &last);
}

/* The pipe to it; -1: there is none, and it goes without. */
static int start_watch(struct journal *j, unsigned seconds, int channel, pid_t *watch)
{
    const pid_t guardian = getpid();
    int begun[2];

    if (pipe2(begun, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    *watch = pid;
    if (pid == 0) {
        close(begun[1]);
        setpgid(0, 0);
        watch_work(j, guardian, seconds, channel, begun[0]);
        _exit(0);
    }
    close(begun[0]);
    if (pid > 0)
        setpgid(pid, pid);
    return begun[1];
}

struct work {
    int channel, begun; /* -1: nobody watches */
    bool told;          /* that a step with a risk has begun */
};

static void work_step(void *arg, const struct plan *p, size_t step, bool undoing)
{
    struct work *work = arg;

    if (p->steps[step].risk && work->begun >= 0 && !work->told)
        work->told = write(work->begun, "", 1) == 1;
    tell_step(&work->channel, p, step, undoing);
}

static void guard(struct journal *j, bool undo, unsigned seconds, int lock, int channel)
{
    struct word last = {.end = true};
    struct work work = {.channel = channel, .begun = -1};
    pid_t watch = -1;
    const struct watcher w = {.progress = work_step, .arg = &work};

    become_guardian(j->plan.network, lock, channel);
    network_run_make(j->plan.network, NULL);
    if (!undo) {
        take_post(j->plan.network);
        work.begun = start_watch(j, max(seconds ? seconds : CONFIRM_SECONDS, guardian_work_seconds),
                                 channel, &watch);
    }
    j->guardian = getpid();
    last.rc = journal_carry_out(j, undo, seconds, &w, &last.err);
    if (work.begun >= 0) {
        close(work.begun);
        if (watch > 0)
            waitpid(watch, NULL, 0);
    }
    last.network = j->state;
    flock(lock, LOCK_UN);
    close(lock);
    send_word(channel, &last);
    close(channel);
    if (j->state == NETWORK_UNCONFIRMED)
        wait_for_word(j);
}

/* ---- its starter ---- */

/* A process that is no child of ours. In it 0 is returned, in ours 1. */
static int fork_away(struct error *err)
{
    pid_t pid = fork();

    if (pid < 0)
        return error_set(err, errno, "start a guardian");
    if (pid == 0) {
        pid = fork();
        if (pid != 0)
            _exit(pid < 0 ? errno : 0);
        return 0;
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? 1
               : error_set(err, WEXITSTATUS(status), "start a guardian");
}

/* Hear it out. False: it ended without its last word. */
static bool listen_to(int channel, struct journal *j, const struct watcher *w, struct word *last)
{
    ssize_t n;

    for (;;) {
        n = recv(channel, last, sizeof(*last), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != sizeof(*last))
            return false;
        if (last->end)
            return true;
        if (last->step >= j->plan.count)
            continue;
        j->plan.steps[last->step].state = last->state;
        if (w->progress)
            w->progress(w->arg, &j->plan, last->step, last->undoing);
    }
}

int guardian_run(struct journal *j, bool undo, unsigned seconds, int lock, const struct watcher *w,
                 struct error *err)
{
    struct word last;
    int channel[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
        return error_set(err, errno, "start a guardian");
    int rc = fork_away(err);
    if (rc == 0) {
        guard(j, undo, seconds, lock, channel[1]);
        _exit(0);
    }
    close(channel[1]);
    bool heard = rc > 0 && listen_to(channel[0], j, w, &last);
    close(channel[0]);
    if (rc < 0)
        return -1;
    if (!heard)
        return GUARDIAN_KILLED;
    j->state = last.network;
    return last.rc < 0 ? error_set(err, 0, "%s", last.err.text) : 0;
}

int guardian_again(struct journal *j, struct error *err)
{
    int rc = fork_away(err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    become_guardian(j->plan.network, null, null);
    take_post(j->plan.network);
    wait_for_word(j);
    _exit(0);
}
