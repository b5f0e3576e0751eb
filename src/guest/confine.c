/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "guest/engine.h"

/* ---- system calls ---- */

/* libevent, the control protocol, the console's ring, the log, malloc, threads. */
const struct confine_list confine_keeper = {
    .calls = (const int[]){SCMP_SYS(read),
                           SCMP_SYS(write),
                           SCMP_SYS(readv),
                           SCMP_SYS(writev),
                           SCMP_SYS(pread64),
                           SCMP_SYS(pwrite64),
                           SCMP_SYS(lseek),
                           SCMP_SYS(close),
                           SCMP_SYS(dup),
                           SCMP_SYS(fcntl),
                           SCMP_SYS(fstat),
                           SCMP_SYS(newfstatat),
                           SCMP_SYS(statx),
                           SCMP_SYS(ftruncate),
                           SCMP_SYS(poll),
                           SCMP_SYS(ppoll),
                           SCMP_SYS(epoll_wait),
                           SCMP_SYS(epoll_pwait),
                           SCMP_SYS(epoll_pwait2),
                           SCMP_SYS(epoll_ctl),
                           SCMP_SYS(epoll_create1),
                           SCMP_SYS(eventfd2),
                           SCMP_SYS(timerfd_create),
                           SCMP_SYS(timerfd_settime),
                           SCMP_SYS(timerfd_gettime),
                           SCMP_SYS(getsockname),
                           SCMP_SYS(getpeername),
                           SCMP_SYS(dup2),
                           SCMP_SYS(dup3),
                           SCMP_SYS(close_range),
                           SCMP_SYS(select),
                           SCMP_SYS(pselect6),
                           SCMP_SYS(pipe2),
                           SCMP_SYS(accept4),
                           SCMP_SYS(recvmsg),
                           SCMP_SYS(recvfrom),
                           SCMP_SYS(sendmsg),
                           SCMP_SYS(sendto),
                           SCMP_SYS(shutdown),
                           SCMP_SYS(getsockopt),
                           SCMP_SYS(setsockopt),
                           SCMP_SYS(mmap),
                           SCMP_SYS(munmap),
                           SCMP_SYS(mremap),
                           SCMP_SYS(mprotect),
                           SCMP_SYS(madvise),
                           SCMP_SYS(brk),
                           SCMP_SYS(memfd_create),
                           SCMP_SYS(clone),
                           SCMP_SYS(set_robust_list),
                           SCMP_SYS(rseq),
                           SCMP_SYS(futex),
                           SCMP_SYS(sched_yield),
                           SCMP_SYS(sched_getaffinity),
                           SCMP_SYS(sched_setaffinity),
                           SCMP_SYS(sched_setscheduler),
                           SCMP_SYS(getpid),
                           SCMP_SYS(gettid),
                           SCMP_SYS(getppid),
                           SCMP_SYS(getuid),
                           SCMP_SYS(geteuid),
                           SCMP_SYS(getgid),
                           SCMP_SYS(getegid),
                           SCMP_SYS(tgkill),
                           SCMP_SYS(rt_sigaction),
                           SCMP_SYS(rt_sigprocmask),
                           SCMP_SYS(rt_sigreturn),
                           SCMP_SYS(sigaltstack),
                           SCMP_SYS(prctl),
                           SCMP_SYS(seccomp),
                           SCMP_SYS(capset),
                           SCMP_SYS(capget),
                           SCMP_SYS(getrandom),
                           SCMP_SYS(clock_gettime),
                           SCMP_SYS(clock_getres),
                           SCMP_SYS(gettimeofday),
                           SCMP_SYS(time),
                           SCMP_SYS(clock_nanosleep),
                           SCMP_SYS(nanosleep),
                           SCMP_SYS(restart_syscall),
                           SCMP_SYS(times),
                           SCMP_SYS(getrusage),
                           SCMP_SYS(sysinfo),
                           SCMP_SYS(uname),
                           SCMP_SYS(exit),
                           SCMP_SYS(exit_group),
                           SCMP_SYS(wait4),
                           SCMP_SYS(waitid),
                           SCMP_SYS(membarrier),
                           CONFINE_END},
};

/* ---- namespaces ---- */

/* Put an empty directory in the place of the root. */
static int empty_root(const char *dir, struct error *err)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("empty", dir, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "mode=555,nr_inodes=1,size=4k") < 0 ||
        chdir(dir) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
        chdir("/") < 0)
        return error_set(err, errno, "leave the host's files");
    return 0;
}

/*
 * A view of the directory that ends there, under the same number. What the host mounts in it later
 * would come without these attributes (Linux before 6.15): it stays away.
 */
static int make_view(const struct confine_tree *t)
{
    struct mount_attr attr = {
        .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (t->writable ? 0 : MOUNT_ATTR_RDONLY),
        .propagation = MS_PRIVATE,
    };
    cleanup_close int view =
        open_tree(t->fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

    if (view < 0 || mount_setattr(view, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0 ||
        dup3(view, t->fd, O_CLOEXEC) < 0)
        return -1;
    return 0;
}

/* In the new user namespace we have the name that we had, by which our clients are recognized. */
static int keep_name(uid_t uid, gid_t gid, struct error *err)
{
    char users[40], groups[40];
    snprintf(users, sizeof users, "%u %u 1", uid, uid);
    snprintf(groups, sizeof groups, "%u %u 1", gid, gid);
    if (file_put_at(AT_FDCWD, "/proc/self/setgroups", "deny", err) < 0 ||
        file_put_at(AT_FDCWD, "/proc/self/uid_map", users, err) < 0 ||
        file_put_at(AT_FDCWD, "/proc/self/gid_map", groups, err) < 0)
        return -1;
    return 0;
}

/*
 * Leave the host's namespaces. An ordinary user needs a user namespace for that, where all owners
 * but himself would be nobody: with shared folders he stays where he is.
 */
static int leave_namespaces(const struct confine_plan *p, struct error *err)
{
    const int all = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    const bool root = geteuid() == 0;

    if (!root && p->tree_count)
        return 0;
    for (size_t i = 0; i < p->tree_count; i++)
        if (make_view(&p->trees[i]) < 0)
            return error_set(err, errno, "part the shared folders from the host's files");
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    if (unshare(root ? all : all | CLONE_NEWUSER) < 0)
        return error_set(err, errno, "leave the host's namespaces");
    if (!root && keep_name(uid, gid, err) < 0)
        return -1;
    return empty_root(p->dir, err);
}

/* ---- Landlock ---- */

#define RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_NEVER                                                                             \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK | \
     1ull << 15 /* LANDLOCK_ACCESS_FS_IOCTL_DEV */)

/* The rights that this kernel's Landlock knows: each version added some at the end. */
static uint64_t landlock_rights(long version)
{
    static const unsigned bits[] = {0, 13, 14, 15, 15, 16};
    return (1ull << bits[min((size_t)version, ARRAY_SIZE(bits) - 1)]) - 1;
}

static long landlock_version(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static int allow_tree(int rules, const struct confine_tree *t, uint64_t known)
{
    struct landlock_path_beneath_attr beneath = {
        .allowed_access = t->writable ? known & ~RIGHTS_NEVER : RIGHTS_READ,
        .parent_fd = t->fd,
    };
    return (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0);
}

/*
 * Allow nothing of what can be done with files that are not open yet, but beneath the trees. Old
 * kernels cannot, and the oldest that can (5.13) would forbid to move files there.
 */
static void deny_files(const struct confine_plan *p)
{
    long version = landlock_version();
    bool writes = false, ok = true;
    for (size_t i = 0; i < p->tree_count; i++)
        writes |= p->trees[i].writable;
    if (version < 1 || (version < 2 && writes)) {
        log_once("this kernel has no Landlock to keep its sandbox from files%s",
                 version < 1 ? "" : " but those of shared folders");
        return;
    }
    struct landlock_ruleset_attr attr = {.handled_access_fs = landlock_rights(version)};
    cleanup_close int rules =
        (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
    for (size_t i = 0; i < p->tree_count && rules >= 0; i++)
        if (p->trees[i].named)
            ok &= allow_tree(rules, &p->trees[i], attr.handled_access_fs) == 0;
    if (rules < 0 || !ok || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        log_once("Landlock does not confine this guest: errno %d", errno);
}

/* ---- privileges ---- */

/* For files of all owners: to read them, or to do with them what their owners may. */
static const cap_value_t for_reading[] = {CAP_DAC_READ_SEARCH};
static const cap_value_t for_writing[] = {CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE, CAP_CHOWN,
                                          CAP_FOWNER, CAP_FSETID};

static int set_capabilities(const cap_value_t *some, size_t n)
{
    cap_t set = cap_init();
    int rc = set && (n == 0 || (cap_set_flag(set, CAP_PERMITTED, (int)n, some, CAP_SET) == 0 &&
                                cap_set_flag(set, CAP_EFFECTIVE, (int)n, some, CAP_SET) == 0))
                 ? cap_set_proc(set)
                 : -1;
    cap_free(set);
    return rc;
}

void confine_drop_capabilities(void)
{
    if (set_capabilities(NULL, 0) < 0)
        log_once("a thread keeps its capabilities: errno %d", errno);
}

/* Root becomes somebody else. In a container's user namespace not everybody can be had. */
static int leave_root(void)
{
    const uid_t users[] = {CONFINE_UID + (uid_t)getpid(), 65534};
    if (setgroups(0, NULL) < 0)
        log_once("its sandbox keeps the groups of who started it: errno %d", errno);
    for (size_t i = 0; i < ARRAY_SIZE(users); i++)
        if (setresgid(users[i], users[i], users[i]) == 0 &&
            setresuid(users[i], users[i], users[i]) == 0)
            return 0;
    return -1;
}

static int drop_privileges(const struct confine_plan *p, struct error *err)
{
    const bool root = geteuid() == 0 && getuid() == 0;
    const cap_value_t *caps = for_reading;
    size_t n = root && p->tree_count ? ARRAY_SIZE(for_reading) : 0;
    for (size_t i = 0; i < p->tree_count && root; i++)
        if (p->trees[i].writable) {
            caps = for_writing;
            n = ARRAY_SIZE(for_writing);
        }
    if (n && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return error_set(err, errno, "keep what shared folders need");
    if (root && caps != for_writing && leave_root() < 0)
        log_line("its sandbox has root's name: errno %d", errno);
    if (set_capabilities(caps, n) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_set(err, errno, "give up all privileges");
    return 0;
}

#define THREADS_MOST 4096 /* with those that the kernel starts for io_uring */

/* Neither a core file with the guest's memory, nor an end by a file that may not grow. */
static void set_limits(void)
{
    const struct rlimit none = {0}, some = {THREADS_MOST, THREADS_MOST};
    setrlimit(RLIMIT_CORE, &none);
    if (geteuid() == 0) /* of the user that it will be alone */
        setrlimit(RLIMIT_NPROC, &some);
    signal(SIGXFSZ, SIG_IGN);
}

int confine_process(const struct confine_plan *p, struct error *err)
{
    const struct confine_list *const lists[] = {&confine_keeper, p->more, NULL};
    struct error why;
    struct confine_filter *f = confine_compile(lists, err);
    if (!f)
        return -1;
    set_limits();
    if (leave_namespaces(p, &why) < 0) /* in a container, or where users may not */
        log_line("its sandbox has no namespaces of its own: %s", why.text);
    int ret = drop_privileges(p, err);
    if (ret == 0) {
        deny_files(p);
        ret = confine_thread(f, err);
    }
    confine_filter_free(f);
    return ret;
}

/* ---- what the host permits ---- */

/* Could a keeper leave the namespaces? Tried in a process of its own. */
static int try_namespaces(void)
{
    const struct confine_plan plan = {.dir = "/proc"};
    struct error why;
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(leave_namespaces(&plan, &why) < 0 ? why.code & 0xff : 0);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void confine_doctor(struct doctor *d)
{
    const int why = try_namespaces();
    const long version = landlock_version();
    if (why)
        doctor_line(d, FINDING_NOTE, "sandbox",
                    geteuid() == 0
                        ? "give pult CAP_SYS_ADMIN, or run it outside of the container"
                        : "permit user namespaces: kernel.unprivileged_userns_clone, "
                          "kernel.apparmor_restrict_unprivileged_userns, user.max_user_namespaces",
                    "VMs have no namespaces of their own here: %s", strerror(max(why, 0)));
    if (version < 2)
        doctor_line(d, FINDING_NOTE, "sandbox", "run a kernel from 5.19 on with Landlock (lsm=…)",
                    version < 1 ? "this kernel has no Landlock, a part of the sandbox of VMs"
                                : "this kernel's Landlock cannot guard shared folders of VMs");
    if (!why && version >= 2)
        doctor_line(d, FINDING_OK, "sandbox", NULL,
                    "VMs are confined by namespaces, Landlock and seccomp");
}
