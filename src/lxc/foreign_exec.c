/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command in a container that LXC runs. There is no keeper to ask, so the caller does it: a child
 * joins the cgroups and namespaces of its init, and a child of that is the command, on the
 * caller's own descriptors, with no more capabilities than its init may ever have.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "lxc/account.h"
#include "lxc/container.h"
#include "lxc/foreign.h"

#define CGROUPS "/sys/fs/cgroup"

/* What a line of /proc/PID/status says behind its name. */
static bool status_word(const char *text, const char *name, char word[64])
{
    const char *p = strstr(text, name);
    return p && sscanf(p + strlen(name), " %63s", word) == 1;
}

/* Put this process into each of init's cgroups; those that are not ours to enter are left out. */
static void groups_join(pid_t pid)
{
    char path[64], line[512], me[16];
    bool pure = access(CGROUPS "/cgroup.controllers", F_OK) == 0;
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    snprintf(me, sizeof me, "%d", getpid());
    cleanup_fclose FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        names++;
        const char *tree = *names ? names : pure ? "" : "unified";
        tree = str_starts(tree, "name=") ? tree + 5 : tree;
        cleanup_free char *procs = xasprintf("%s/%s%s/cgroup.procs", CGROUPS, tree, group);
        file_put_at(AT_FDCWD, procs, me, NULL);
    }
}

static bool same_namespace(pid_t pid, const char *name)
{
    char path[64];
    struct stat a, b;
    snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, name);
    if (stat(path, &a) < 0)
        return true;
    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    return stat(path, &b) == 0 && a.st_ino == b.st_ino;
}

static int init_join(pid_t pid, int pidfd, struct error *err)
{
    static const struct {
        const char *name;
        int flag;
    } all[] = {{"user", CLONE_NEWUSER},     {"mnt", CLONE_NEWNS},   {"pid", CLONE_NEWPID},
               {"uts", CLONE_NEWUTS},       {"ipc", CLONE_NEWIPC},  {"net", CLONE_NEWNET},
               {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME}};
    int flags = 0;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        flags |= same_namespace(pid, all[i].name) ? 0 : all[i].flag;
    if (flags && setns(pidfd, flags) < 0)
        return error_set(err, errno, "join its namespaces");
    return 0;
}

/* Be root there, with what init may have. */
static int privileges_take(const char *status, struct error *err)
{
    struct config c = {.caps = 0};
    char word[64];
    if (!status_word(status, "CapBnd:", word))
        return error_set(err, 0, "its capabilities are not known");
    c.caps = strtoull(word, NULL, 16);
    c.no_new_privs = status_word(status, "NoNewPrivs:", word) && word[0] == '1';
    setgroups(0, NULL);
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_set(err, errno, "become its root");
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return privileges_drop(&c, err);
}

/* Whoever was asked for; with a home of his own, what is not root's. */
static int user_take(const struct exec_request *req, struct error *err)
{
    struct account a = {0};
    if (!req->user)
        return 0;
    if (account_find(&a, req->user, err) < 0)
        return -1;
    account_groups(&a);
    account_env(&a);
    return account_become(&a, err);
}

/* The command itself. */
static void become(const struct exec_request *req, const char *status)
{
    static const char *const basic[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
        "USER=root", "container=lxc"};
    struct error err;
    int ret = 126;
    clearenv();
    for (size_t i = 0; i < ARRAY_SIZE(basic); i++)
        putenv((char *)(uintptr_t)basic[i]);
    close_range(3, ~0u, 0); /* none is to be found where a path of the container's leads */
    spawn_reset_signals();
    if (privileges_take(status, &err) == 0 && user_take(req, &err) == 0) {
        for (char **e = req->env; e && *e; e++)
            putenv(*e);
        if (chdir(req->cwd ? req->cwd : "/") < 0)
            error_set(&err, errno, "change to '%s' in the container", req->cwd);
        else
            ret = exec_command(req->argv, environ, &err);
    }
    dprintf(2, "pult: %s\n", err.text);
    _exit(ret);
}

static int await(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int foreign_exec(const char *place, const char *name, const struct exec_request *req, int *status,
                 struct error *err)
{
    char path[32];
    pid_t init = foreign_init(place, name, err);
    if (init < 0)
        return -1;
    cleanup_close int pidfd = pidfd_open(init, 0);
    cleanup_free char *text = NULL;
    if (pidfd < 0)
        return error_set(err, ESRCH, "'%s'", name);
    snprintf(path, sizeof path, "/proc/%d/status", init);
    if (file_read_at(AT_FDCWD, path, 1 << 16, &text, NULL, err) < 0)
        return -1;
    pid_t between = fork();
    if (between == 0) {
        struct error why;
        groups_join(init);
        if (init_join(init, pidfd, &why) < 0) {
            dprintf(2, "pult: %s\n", why.text);
            _exit(126);
        }
        pid_t pid = fork(); /* a pid namespace takes only children in */
        if (pid == 0)
            become(req, text);
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        _exit(pid < 0 ? 126 : await(pid));
    }
    if (between < 0)
        return error_set(err, errno, "start a process");
    signal(SIGINT, SIG_IGN); /* it is the command's */
    signal(SIGQUIT, SIG_IGN);
    *status = await(between);
    return 0;
}
