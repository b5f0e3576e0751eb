/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Linux system calls that the C library does not wrap, and the one way in which paths that a
 * container controls are opened.
 */
#ifndef PULT_LXC_SYS_H
#define PULT_LXC_SYS_H

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* A fork with more words. Returns like fork(2); the child has the caller's stack, copied. */
static inline pid_t sys_clone3(struct clone_args *args)
{
    return (pid_t)syscall(SYS_clone3, args, sizeof *args);
}

static inline int sys_pivot_root(const char *new_root, const char *put_old)
{
    return (int)syscall(SYS_pivot_root, new_root, put_old);
}

/*
 * Open path below the directory rootfd as a process whose root that directory is would: neither
 * `..` nor a symbolic link leads out of it, and magic links of /proc are refused. resolve adds
 * more RESOLVE_ flags.
 */
static inline int sys_open_in_root(int rootfd, const char *path, uint64_t flags, mode_t mode,
                                   uint64_t resolve)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .mode = mode,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
    };
    return (int)syscall(SYS_openat2, rootfd, path, &how, sizeof how);
}

/* Attach the mount tree whose root treefd is to the file or directory targetfd. */
static inline int sys_attach(int treefd, int targetfd)
{
    return move_mount(treefd, "", targetfd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

#endif
