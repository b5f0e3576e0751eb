/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"

extern char **environ;

/* The hierarchy by which systemd tracks sessions: cgroup v2 in one of two places, or v1's own. */
static const char *const roots[] = {"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified",
                                    "/sys/fs/cgroup"};

/* Is this process in a session's or a user manager's group? */
static bool in_session(void)
{
    cleanup_free char *groups = NULL;
    if (access("/run/systemd/system", F_OK) < 0 ||
        file_read_at(AT_FDCWD, "/proc/self/cgroup", 65536, &groups, NULL, NULL) < 0)
        return false;
    return strstr(groups, "/session-") || strstr(groups, "/user@");
}

/* Root: a group beside systemd's own, in each hierarchy that systemd looks at. */
static int leave_as_root(struct error *err)
{
    bool moved = false;
    for (unsigned i = 0; i < ARRAY_SIZE(roots); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/cgroup.procs", roots[i]);
        if (access(path, F_OK) < 0)
            continue;
        snprintf(path, sizeof path, "%s/pult/keepers", roots[i]);
        if (dir_make(path, 0755, err) < 0)
            return -1;
        snprintf(path, sizeof path, "%s/pult/keepers/cgroup.procs", roots[i]);
        if (file_put_at(AT_FDCWD, path, "0", err) < 0)
            return -1;
        moved = true;
    }
    return moved ? 0 : error_set(err, ENOENT, "find systemd's control groups");
}

/* A user: StartTransientUnit of his own manager, by the client that comes with it. */
static int leave_as_user(const char *guest, struct error *err)
{
    char unit[128], pid[16];
    snprintf(unit, sizeof unit, "pult-%s-%d.scope", guest, getpid());
    snprintf(pid, sizeof pid, "%d", getpid());
    const char *argv[] = {"busctl",
                          "--user",
                          "--quiet",
                          "call",
                          "org.freedesktop.systemd1",
                          "/org/freedesktop/systemd1",
                          "org.freedesktop.systemd1.Manager",
                          "StartTransientUnit",
                          "ssa(sv)a(sa(sv))",
                          unit,
                          "fail",
                          "2",
                          "PIDs",
                          "au",
                          "1",
                          pid,
                          "Delegate",
                          "b",
                          "true",
                          "0",
                          NULL};
    pid_t child;
    int status, failed = posix_spawnp(&child, argv[0], NULL, NULL, (char **)argv, environ);
    if (failed)
        return error_set(err, failed, "run busctl");
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return error_set(err, errno, "wait for busctl");
    if (status != 0)
        return error_set(err, 0, "the user's systemd gave no scope to '%s'", guest);
    return 0;
}

int scope_leave_session(const char *guest, struct error *err)
{
    if (!in_session())
        return 0;
    return geteuid() == 0 ? leave_as_root(err) : leave_as_user(guest, err);
}
