/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last step of the first process. For a system it becomes the system's init. For one command
 * it stays, as an init that does what the kernel asks of process 1 and no more: it starts the
 * command in a session of its own on the console, passes signals on to it, reaps whatever is
 * orphaned, and ends with the command, telling the keeper how that ended.
 */
#include "lxc/container.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lxc/process.h"
#include "lxc/sys.h"

/* Is it a system that the definition begins, or a program of another kind under lxc.init.cmd? */
static bool is_system(const struct config *c)
{
    const char *slash = strrchr(c->argv[0], '/'), *name = slash ? slash + 1 : c->argv[0];
    return !c->app && (strcmp(name, "init") == 0 || strcmp(name, "systemd") == 0);
}

/*
 * Lead a new session on this terminal. A system's init leaves it to who gives logins on it: some
 * inits (busybox) would never let it go, and then no shell there could stop its jobs.
 */
static void take_terminal(int tty, bool system)
{
    setsid();
    if (!system)
        ioctl(tty, TIOCSCTTY, 0);
    for (int fd = 0; fd < 3; fd++)
        dup2(tty, fd);
    if (tty > 2)
        close(tty);
}

/* Start the command. Until it has been exec'ed this process stands still, and sees its error. */
static pid_t command_start(const struct config *c, int tty, int *status, struct error *err)
{
    volatile int failed = 0;
    sigset_t none;
    sigemptyset(&none);
    pid_t pid = vfork();
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, &none, NULL);
        take_terminal(tty, false);
        if (process_become(&c->set, 0, err) < 0 || process_label(&c->set, -1, err) < 0)
            failed = 126;
        else
            failed = exec_command(c->argv, c->env, err); /* memory is shared: only on failure */
        _exit(failed);
    }
    if (pid < 0)
        return error_set(err, errno, "start a process in the container");
    if (failed) {
        *status = failed;
        return -1;
    }
    return pid;
}

/* Reap all that have ended. Returns true once the command is among them. */
static bool reap(pid_t command, int *status)
{
    int s;
    for (pid_t pid; (pid = waitpid(-1, &s, WNOHANG)) > 0;) {
        if (pid == command) {
            *status = s;
            return true;
        }
    }
    return false;
}

/* The whole life of our init. Returns only when the command could not be started. */
static int init_app(const struct config *c, int sock, int tty, int *status, struct error *err)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    pid_t command = command_start(c, tty, status, err);
    if (command < 0)
        return -1;
    struct message m = {.kind = MESSAGE_STARTED};
    message_send(sock, &m, NULL, 0);
    close_range(0, 2, 0);
    close(tty);
    prctl(PR_SET_NAME, "pult-init", 0, 0, 0);

    int ended = 0;
    for (;;) {
        siginfo_t si;
        int sig = sigwaitinfo(&all, &si);
        if (sig == SIGCHLD && reap(command, &ended))
            break;
        if (sig > 0 && sig != SIGCHLD)
            kill(command, sig);
    }
    m = (struct message){.kind = MESSAGE_ENDED, .value = ended};
    message_send(sock, &m, NULL, 0);
    _exit(WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended));
}

int init_run(const struct config *c, int sock, int tty, int *status, struct error *err)
{
    if (c->app)
        return init_app(c, sock, tty, status, err);
    take_terminal(tty, is_system(c));
    *status = exec_command(c->argv, c->env, err);
    return -1;
}
