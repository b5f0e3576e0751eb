/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this host can do for containers. Namespaces and mounts are tried, in a process that ends
 * with what it made: a kernel's version or settings only hint at what a host allows.
 */
#include "lxc/apparmor.h"
#include "lxc/container.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/doctor.h"
#include "lxc/sys.h"

/* Do try() in a child; 0 if it succeeded, otherwise its errno. */
static int in_child(int (*try)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(try());
    if (pid < 0)
        return errno;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

/* A user namespace with the caller as its root. */
static int try_userns(void)
{
    char uid[32], gid[32];
    snprintf(uid, sizeof uid, "0 %u 1", geteuid());
    snprintf(gid, sizeof gid, "0 %u 1", getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return errno;
    struct error err;
    file_put_at(AT_FDCWD, "/proc/self/setgroups", "deny", NULL);
    if (file_put_at(AT_FDCWD, "/proc/self/uid_map", uid, &err) < 0 ||
        file_put_at(AT_FDCWD, "/proc/self/gid_map", gid, &err) < 0)
        return err.code;
    return 0;
}

static int try_overlay(void)
{
    static const char *const none[] = {"mode", "0755", NULL};
    struct error err;
    int why = try_userns();
    if (why || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return why ? why : errno;
    int scratch = fs_mount("tmpfs", 0, none, &err);
    if (scratch < 0 || move_mount(scratch, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return errno;
    mkdirat(scratch, "lower", 0755);
    int lower = openat(scratch, "lower", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (overlay_mount(scratch, lower, 0, &err) < 0)
        return err.code;
    /* To hide a directory of the host behind a new one, an overlay marks that one by an xattr. */
    int upper = openat(scratch, "u0", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fsetxattr(upper, "user.pult", "", 0, 0) < 0 ? errno : 0;
}

static void overlay_doctor(struct doctor *d)
{
    int why = in_child(try_overlay);
    if (!why)
        doctor_line(d, FINDING_OK, "overlay", NULL, "in a user namespace too");
    else if (why == EOPNOTSUPP)
        doctor_line(d, FINDING_NOTE, "overlay", "boot Linux 6.6 or newer",
                    "in a throwaway container a directory of the host's that was removed cannot be "
                    "made again: this kernel's tmpfs has no user attributes");
    else
        doctor_line(d, FINDING_BAD, "overlay", "modprobe overlay; throwaway containers need it",
                    "not in a user namespace: %s", strerror(why));
}

/* The directory that containers are kept in or, where there is none yet, the one above it. */
static const char *kept_in(void)
{
    static char path[512];
    snprintf(path, sizeof path, "%s", place_home());
    while (path[0] && access(path, F_OK) < 0)
        *strrchr(path, '/') = '\0';
    return path[0] ? path : "/";
}

/* An id mapping for the file system that containers are kept on. */
static int try_idmap(void)
{
    struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    struct idmap map = {.uid = {{0, 1000000, 1}}, .gid = {{0, 1000000, 1}}, .uids = 1, .gids = 1};
    struct error err = {0};
    char path[64];
    pid_t pid = sys_clone3(&args);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        pause();
        _exit(0);
    }
    if (pid < 0)
        return errno;
    int why = idmap_write(&map, pid, &err) < 0 ? err.code : 0;
    snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
    cleanup_close int userns = open(path, O_RDONLY | O_CLOEXEC);
    cleanup_close int tree = open_tree(AT_FDCWD, kept_in(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};
    if (!why && mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
        why = errno;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return why;
}

static void userns_doctor(struct doctor *d)
{
    static const struct {
        const char *file, *bad, *remedy;
    } settings[] = {
        {"/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"},
        {"/proc/sys/kernel/unprivileged_userns_clone", "0",
         "sysctl kernel.unprivileged_userns_clone=1"},
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
         "sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
    };
    int why = in_child(try_userns);
    if (!why) {
        doctor_line(d, FINDING_OK, "namespaces", NULL, "user and mount namespaces work");
        return;
    }
    const char *remedy = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        cleanup_free char *v = NULL;
        if (file_read_at(AT_FDCWD, settings[i].file, 64, &v, NULL, NULL) == 0 &&
            str_eq(str_trim(v), settings[i].bad))
            remedy = settings[i].remedy;
    }
    doctor_line(d, FINDING_BAD, "namespaces", remedy, "user namespaces are refused: %s",
                strerror(why));
}

void lxc_doctor(struct doctor *d, bool deep)
{
    (void)deep; /* trying takes a few milliseconds: it is always done */
    userns_doctor(d);
    idmap_doctor(d);
    overlay_doctor(d);
    if (geteuid() == 0) {
        int why = in_child(try_idmap);
        if (why)
            doctor_line(d, FINDING_NOTE, "idmap", "keep root file systems on ext4, xfs or btrfs",
                        "%s cannot be mounted with other ids (%s): containers on it have root's "
                        "own id",
                        kept_in(), strerror(why));
        else
            doctor_line(d, FINDING_OK, "idmap", NULL, "mounts with other ids work on %s",
                        kept_in());
    }
    cgroup_doctor(d);
    apparmor_doctor(d);
    reach_doctor(d);
}
