/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A root file system from an archive. The host's tar unpacks it, in a mount namespace in which
 * everything is read-only but the directory it unpacks into: whatever names and links the archive
 * holds, they lead nowhere else. A user's tar runs with the ids that his container will have.
 *
 * Device nodes cannot be made that way, and are not wanted: /dev of the archive is left out.
 */
#include "lxc/container.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "lxc/sys.h"

/* Make everything read-only but root. */
static int confine(const char *root, struct error *err)
{
    struct mount_attr lock = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
    struct mount_attr open = {.attr_clr = MOUNT_ATTR_RDONLY};
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount(root, root, NULL, MS_BIND, NULL) < 0 ||
        mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &lock, sizeof lock) < 0 ||
        mount_setattr(AT_FDCWD, root, 0, &open, sizeof open) < 0)
        return error_set(err, errno, "confine tar to '%s'", root);
    return 0;
}

static void run_tar(const char *root, int source, bool owners, struct error *err)
{
    char from[40];
    snprintf(from, sizeof from, "/proc/self/fd/%d", source);
    const char *argv[] = {"tar",
                          "-x",
                          "-p",
                          "-f",
                          from,
                          "-C",
                          root,
                          "--numeric-owner",
                          "--xattrs",
                          "--xattrs-include=*",
                          "--exclude=./dev/*",
                          "--exclude=dev/*",
                          owners ? "--same-owner" : "--no-same-owner",
                          NULL};
    setenv("LC_ALL", "C", 1);
    prctl(PR_CAPBSET_DROP, CAP_MKNOD, 0, 0, 0);
    execvp("tar", (char **)argv);
    error_set(err, errno, "run tar");
}

/* What runs in namespaces of its own. Returns the exit status; what it says goes to standard error.
 */
struct job {
    const char *dir;
    int source; /* of an archive to unpack; -1: remove dir/rootfs */
    bool owners;
};

static int job_run(const struct job *j, struct error *err)
{
    cleanup_free char *root = xasprintf("%s/rootfs", j->dir);
    setgroups(0, NULL);
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_set(err, errno, "become root of the files");
    if (j->source < 0) {
        cleanup_close int dir = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir < 0 ? error_set(err, errno, "open '%s'", j->dir)
                       : tree_remove_at(dir, "rootfs", err);
    }
    if (confine(root, err) < 0)
        return -1;
    run_tar(root, j->source, j->owners, err);
    return -1;
}

/* The process for it, waiting at go until its ids are mapped. */
static pid_t job_clone(const struct job *j, bool userns, const int go[2], const int said[2],
                       struct error *err)
{
    struct clone_args args = {.flags = CLONE_NEWNS | (userns ? CLONE_NEWUSER : 0),
                              .exit_signal = SIGCHLD};
    pid_t pid = sys_clone3(&args);
    if (pid < 0)
        return error_set(err, errno, "create a namespace");
    if (pid > 0)
        return pid;
    struct error why;
    char byte;
    dup2(said[1], 2);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (read(go[0], &byte, 1) != 1)
        _exit(1);
    if (job_run(j, &why) == 0)
        _exit(0);
    dprintf(2, "%s\n", why.text);
    _exit(1);
}

/* Its last words that matter: the first line, without the program's name. */
static void words_of(int fd, char *out, size_t size)
{
    size_t len = 0;
    char more[512];
    ssize_t n;
    while ((n = read(fd, more, sizeof more)) > 0) {
        size_t take = min((size_t)n, size - 1 - len);
        memcpy(out + len, more, take);
        len += take;
    }
    out[len] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static int job_do(const struct job *j, const struct idmap *map, struct error *err)
{
    int go[2] = {-1, -1}, said[2] = {-1, -1}, status = -1, ret = -1;
    char words[400] = "";
    if (pipe2(go, O_CLOEXEC) < 0 || pipe2(said, O_CLOEXEC) < 0) {
        error_set(err, errno, "create a pipe");
        goto out;
    }
    pid_t pid = job_clone(j, map != NULL, go, said, err);
    if (pid < 0)
        goto out;
    close(steal_fd(said[1]));
    ret = map ? idmap_write(map, pid, err) : 0;
    if (ret == 0 && write(go[1], "g", 1) != 1)
        ret = error_set(err, errno, "start tar");
    close(steal_fd(go[1]));
    close(steal_fd(go[0]));
    words_of(said[0], words, sizeof words);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (ret == 0 && status != 0)
        ret = error_set(err, 0, "%s", *words ? words : "it was killed");
out:
    for (int i = 0; i < 2; i++) {
        if (go[i] >= 0)
            close(go[i]);
        if (said[i] >= 0)
            close(said[i]);
    }
    return ret;
}

/* The ids a user's container has by default; NULL for root, whose files are what they are. */
static const struct idmap *map_of_caller(struct idmap *map, struct error *err)
{
    struct conf *none = conf_new("");
    const struct guest_def def = {.conf = none};
    int ret = geteuid() == 0 ? -1 : idmap_choose(&def, map, err);
    conf_free(none);
    return ret == 0 ? map : NULL;
}

int archive_unpack(const char *dir, const char *source, struct error *err)
{
    struct idmap map;
    struct stat st;
    const struct idmap *mapped = map_of_caller(&map, err);
    /* Not close-on-exec: tar reads it as /proc/self/fd/N, and its decompressor from a pipe. */
    int fd = open(source, O_RDONLY | O_NOCTTY);
    if (fd < 0)
        return error_set(err, errno, "open the archive '%s'", source);
    struct job j = {.dir = dir, .source = fd, .owners = !mapped || map.uids > 1};
    cleanup_free char *root = xasprintf("%s/rootfs", dir);
    int ret = -1;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        error_set(err, 0, "'%s' is neither a directory nor an archive", source);
    else if (mkdir(root, 0755) < 0 && errno != EEXIST)
        error_set(err, errno, "make '%s'", root);
    else if (job_do(&j, mapped, err) < 0)
        error_wrap(err, "unpack '%s'", source);
    else
        ret = 0;
    close(fd);
    return ret;
}

int archive_remove(const char *dir, struct error *err)
{
    struct idmap map;
    const struct idmap *mapped = map_of_caller(&map, err);
    const struct job j = {.dir = dir, .source = -1};
    if (!mapped || map.uids < 2)
        return 0; /* the files are the caller's own */
    if (job_do(&j, mapped, err) < 0)
        return error_wrap(err, "remove '%s/rootfs'", dir);
    return 0;
}
