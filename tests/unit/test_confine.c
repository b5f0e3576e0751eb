/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keeper's sandbox: a child confines itself, tries what an intruder would, and tells.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "guest/confine.h"

#define KILLED (256 + SIGSYS)
#define USER   12345u

/* Everything here returns 0 if it was possible, else errno. */
static int try_open(void)
{
    return open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
}

static int root_fd = -1; /* of the host's root, opened before: a hole in every chroot */

static int try_open_below(void)
{
    return openat(root_fd, "etc/passwd", O_RDONLY) < 0 ? errno : 0;
}

static int try_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int try_kill_parent(void)
{
    return kill(getppid(), 0) < 0 ? errno : 0;
}

static int try_setuid(void)
{
    return setresuid(0, 0, 0) < 0 ? errno : 0;
}

static int try_exec(void)
{
    execl("/bin/true", "true", NULL);
    return errno;
}

static int try_fork(void)
{
    return syscall(SYS_fork) < 0 ? errno : 0;
}

static int try_ptrace(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), 0, 0) < 0 ? errno : 0;
}

static int try_mount(void)
{
    return mount("x", "/", "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static int try_unshare(void)
{
    return unshare(CLONE_NEWUSER) < 0 ? errno : 0;
}

static int try_clone(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0 ? errno : 0;
}

static int try_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return 0;
    return mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0 ? errno : 0;
}

static int try_signal(void)
{
    return syscall(SYS_tgkill, getppid(), getppid(), 0) < 0 ? errno : 0;
}

/* What is ready to be read would send its owner a signal. */
static int try_owner(void)
{
    return fcntl(root_fd, F_SETOWN, getppid()) < 0 ? errno : 0;
}

static int try_lock(void)
{
    struct flock l = {.l_type = F_RDLCK, .l_len = 1};
    return fcntl(root_fd, F_GETFL) < 0 || fcntl(root_fd, F_OFD_GETLK, &l) < 0 ? errno : 0;
}

static int try_affinity(void)
{
    cpu_set_t all;
    if (sched_getaffinity(0, sizeof(all), &all) < 0 || sched_setaffinity(0, sizeof(all), &all) < 0)
        return 0;
    return sched_setaffinity(getppid(), sizeof(all), &all) < 0 ? errno : 0;
}

static int try_scheduler(void)
{
    const struct sched_param none = {0};
    if (sched_setscheduler(0, SCHED_BATCH, &none) < 0)
        return 0;
    return sched_setscheduler(getppid(), SCHED_BATCH, &none) < 0 ? errno : 0;
}

static int try_datagrams(void)
{
    int s[2];
    return socketpair(AF_UNIX, SOCK_DGRAM, 0, s) < 0 ? errno : 0;
}

static int try_dumpable(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 ? errno : 0;
}

static void *idle(void *arg)
{
    return arg;
}

static int try_thread(void)
{
    pthread_t t;
    int rc = pthread_create(&t, NULL, idle, NULL);
    return rc ? rc : pthread_join(t, NULL);
}

static int try_own_signal(void)
{
    return syscall(SYS_tgkill, getpid(), gettid(), 0) < 0 ? errno : 0;
}

static int try_ioctl(void)
{
    return ioctl(0, 0x5412 /* TIOCSTI */, "x") < 0 ? errno : 0;
}

static int try_memory(void)
{
    char *p = malloc(1 << 20);
    return p && memset(p, 1, 1 << 20) ? 0 : ENOMEM;
}

static int try_pipe(void)
{
    int p[2];
    return pipe2(p, O_CLOEXEC) < 0 || write(p[1], "x", 1) != 1 ? errno : 0;
}

static const struct {
    const char *name;
    int (*call)(void);
    int want;
} tries[] = {
    {"allocate", try_memory, 0},
    {"a pipe", try_pipe, 0},
    {"a thread", try_thread, 0},
    {"a signal to itself", try_own_signal, 0},
    {"open", try_open, EPERM},
    {"open below a directory", try_open_below, EPERM},
    {"a socket", try_socket, EPERM},
    {"kill", try_kill_parent, EPERM},
    {"be root again", try_setuid, EPERM},
    {"ioctl", try_ioctl, EPERM},
    {"a process", try_clone, EPERM},
    {"code", try_code, EPERM},
    {"a signal to others", try_signal, EPERM},
    {"a lock", try_lock, 0},
    {"a signal by a file", try_owner, EPERM},
    {"the processors of others", try_affinity, EPERM},
    {"how others are scheduled", try_scheduler, EPERM},
    {"a socket that can send anywhere", try_datagrams, EPERM},
    {"be dumped", try_dumpable, EPERM},
    {"execute", try_exec, KILLED},
    {"fork", try_fork, KILLED},
    {"trace", try_ptrace, KILLED},
    {"mount", try_mount, KILLED},
    {"another namespace", try_unshare, KILLED},
};

/* What becomes of it in a confined child of this user: errno, 0, or 256 + signal. */
static int outcome(int (*call)(void), unsigned user, const struct confine_plan *plan)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct error err;
        if (user && (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 ||
                     setresuid(user, user, user) < 0))
            _exit(254);
        if (confine_process(plan, &err) < 0) {
            fprintf(stderr, "# %s\n", err.text);
            _exit(255);
        }
        _exit(call());
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void stopped(unsigned user)
{
    char dir[] = "/tmp/confine-XXXXXX";
    assert_non_null(mkdtemp(dir));
    chmod(dir, 0755);
    root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
        const struct confine_plan plan = {.dir = dir};
        int got = outcome(tries[i].call, user, &plan);
        if (got != tries[i].want)
            fail_msg("%s: %d, not %d", tries[i].name, got, tries[i].want);
    }
    close(root_fd);
    rmdir(dir);
}

static void an_intruder_is_stopped(void **unused)
{
    (void)unused;
    stopped(0);
}

static void also_as_a_user(void **unused)
{
    (void)unused;
    if (geteuid() != 0)
        skip();
    stopped(USER);
}

/* With nothing but what must hold without seccomp: no file, no name, no right. */
static int look_around(void)
{
    cap_t have = cap_get_proc(), none = cap_init();
    int bad = 0;
    bad |= cap_compare(have, none) != 0;
    bad |= (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) << 1;
    bad |= (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) << 2;
    bad |= (getuid() == 0) << 3;
    bad |= (access("/etc", F_OK) == 0 || access("/proc", F_OK) == 0) << 4;
    bad |= (open("/", O_RDONLY | O_DIRECTORY) >= 0) << 5;
    bad |= (openat(root_fd, "etc/passwd", O_RDONLY) >= 0) << 6;
    return bad;
}

static const struct confine_list loose = {
    .calls = (const int[]){SYS_capget, SYS_access, SYS_openat, SYS_open, CONFINE_END},
};

static void nothing_is_left(void **unused)
{
    char dir[] = "/tmp/confine-XXXXXX";
    (void)unused;
    if (geteuid() != 0)
        skip();
    assert_non_null(mkdtemp(dir));
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1)
        skip();
    root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct confine_plan plan = {.dir = dir, .more = &loose};
    assert_int_equal(outcome(look_around, 0, &plan), 0);
    close(root_fd);
    rmdir(dir);
}

/* ---- with a shared folder ---- */

static const struct confine_list file_calls = {
    .calls = (const int[]){SYS_openat, SYS_openat2, SYS_unlinkat, SYS_mkdirat, SYS_renameat2,
                           SYS_fchownat, SYS_faccessat2, CONFINE_END},
};

static int folder_fd = -1, proc_fd = -1;

static bool host_is_root;

/* What of these is wrong, by bits. */
static int use_folder(bool writable)
{
    char link[32];
    struct stat top, above;
    int bad = 0;
    int file = openat(folder_fd, "file", O_PATH | O_CLOEXEC);
    snprintf(link, sizeof(link), "%d", file);
    bad |= file < 0 || openat(proc_fd, link, O_RDONLY) < 0;
    bad |= ((openat(folder_fd, "new", O_WRONLY | O_CREAT, 0600) >= 0) != writable) << 1;
    if (writable)
        bad |=
            (mkdirat(folder_fd, "dir", 0700) < 0 ||
             syscall(SYS_renameat2, folder_fd, "new", folder_fd, "dir/new", 0) < 0 ||
             unlinkat(folder_fd, "dir/new", 0) < 0 || unlinkat(folder_fd, "dir", AT_REMOVEDIR) < 0)
            << 2;
    bad |= (openat(root_fd, "etc/passwd", O_RDONLY) >= 0) << 3;
    bad |= (openat(AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0) << 4;
    bad |= (openat(folder_fd, "../beside", O_RDONLY) >= 0) << 5;
    /* Root's views end there. */
    bad |= (host_is_root && (fstat(folder_fd, &top) < 0 ||
                             fstatat(folder_fd, "..", &above, 0) < 0 || top.st_ino != above.st_ino))
           << 6;
    return bad;
}

static int write_there(void)
{
    return use_folder(true);
}

static int read_there(void)
{
    return use_folder(false);
}

/* In a child: open the folder as a server of files does, be confined, and call. */
static int in_folder(int (*call)(void), bool writable, unsigned user, const char *dir)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct error err;
        char folder[64], empty[64];
        snprintf(folder, sizeof(folder), "%s/in", dir);
        snprintf(empty, sizeof(empty), "%s/empty", dir);
        root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        host_is_root = geteuid() == 0 && !user;
        folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        const struct confine_tree trees[] = {{folder_fd, writable, true}, {proc_fd, false, false}};
        const struct confine_plan plan = {empty, &file_calls, trees, ARRAY_SIZE(trees)};
        if (user && (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 ||
                     setresuid(user, user, user) < 0))
            _exit(254);
        _exit(confine_process(&plan, &err) < 0 ? 255 : call());
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Somebody else's file is what root's keeper may give away where it may write. */
static int own_there(void)
{
    return fchownat(folder_fd, "file", 4711, 4711, 0) == 0 && getuid() == 0 ? 0 : 1;
}

static int not_own_there(void)
{
    return fchownat(folder_fd, "file", 4711, 4711, 0) < 0 && getuid() != 0 ? 0 : 1;
}

static void folder_of(unsigned user)
{
    char dir[] = "/tmp/confine-XXXXXX", cmd[256];
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 2)
        skip();
    assert_non_null(mkdtemp(dir));
    snprintf(cmd, sizeof(cmd),
             "cd %s && mkdir empty in && echo a >in/file && echo b >beside && "
             "chmod -R %s in && chmod 755 . empty && chmod 644 beside",
             dir, user ? "a+rwX" : "go=");
    assert_int_equal(system(cmd), 0);
    assert_int_equal(in_folder(read_there, false, user, dir), 0);
    assert_int_equal(in_folder(not_own_there, false, user, dir), 0);
    assert_int_equal(in_folder(write_there, true, user, dir), 0);
    if (geteuid() == 0 && !user)
        assert_int_equal(in_folder(own_there, true, user, dir), 0);
    snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
    assert_int_equal(system(cmd), 0);
}

static void a_folder_stays(void **unused)
{
    (void)unused;
    folder_of(0);
}

static void also_a_users(void **unused)
{
    (void)unused;
    if (geteuid() != 0)
        skip();
    folder_of(USER);
}

/* A thread's own filter takes more away, and other threads keep what they have. */
static int shorter_list(void)
{
    static const int calls[] = {/* what _exit() needs */ SYS_exit_group, SYS_getpid, CONFINE_END};
    const struct confine_list list = {.calls = calls};
    struct error err;
    struct confine_filter *f = confine_compile_thread(&list, &err);
    if (!f || confine_thread(f, &err) < 0 || syscall(SYS_getpid) < 0)
        return 1;
    return syscall(SYS_gettid) < 0 && errno == EPERM ? 0 : 2;
}

static void a_thread_can_have_less(void **unused)
{
    char dir[] = "/tmp/confine-XXXXXX";
    (void)unused;
#ifdef __SANITIZE_ADDRESS__
    print_message("the sanitizer's own calls are not in the list\n");
    skip();
#endif
    assert_non_null(mkdtemp(dir));
    const struct confine_plan plan = {.dir = dir};
    assert_int_equal(outcome(shorter_list, 0, &plan), 0);
    rmdir(dir);
}

/* ---- the program, without a kernel ---- */

static unsigned steps; /* of the last run() */

static uint32_t run(const struct sock_fprog *p, const struct seccomp_data *d)
{
    uint32_t a = 0;

    steps = 0;
    for (unsigned at = 0; at < p->len; steps++) {
        const struct sock_filter f = p->filter[at++];
        switch (f.code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(f.k % 4 == 0 && f.k < sizeof(*d));
            memcpy(&a, (const char *)d + f.k, sizeof(a));
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= f.k;
            break;
        case BPF_JMP | BPF_JA:
            at += f.k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += a == f.k ? f.jt : f.jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            at += a >= f.k ? f.jt : f.jf;
            break;
        case BPF_RET | BPF_K:
            return f.k;
        default:
            fail_msg("instruction %#x", f.code);
        }
    }
    fail_msg("it runs over its end");
    return 0;
}

/* Each number has the verdict of the list that it is on, and each bound holds on its whole argument. */
static void calls_have_their_verdicts(void **state)
{
    enum { NO = SECCOMP_RET_ERRNO | EPERM, YES = SECCOMP_RET_ALLOW };
    static const unsigned long requests[] = {TIOCGWINSZ, FIONREAD, 0};
    static const int some[] = {SYS_read, SYS_mmap, SYS_tgkill, SYS_clone, SYS_execve, CONFINE_END};
    static const int others[] = {SYS_write, SYS_read, CONFINE_END};
    static const struct confine_list first = {.calls = some},
                                     second = {.calls = others, .ioctls = requests};
    const struct confine_list *const lists[] = {&first, &second, NULL};
    const uint64_t high = 1ull << 32, pid = (uint64_t)getpid();
    const struct {
        int nr;
        uint32_t verdict;
        uint64_t args[3];
    } calls[] = {
        {SYS_read, YES, {0}},
        {SYS_write, YES, {~0ull, ~0ull}},
        {SYS_open, NO, {0}},
        {SYS_execve, SECCOMP_RET_KILL_PROCESS, {0}}, /* on a list or not */
        {SYS_ptrace, SECCOMP_RET_KILL_PROCESS, {0}},
        {SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS, {0}},
        {SYS_mmap, YES, {0, 0, PROT_READ | PROT_WRITE}},
        {SYS_mmap, NO, {0, 0, PROT_READ | PROT_EXEC}},
        {SYS_tgkill, YES, {pid}},
        {SYS_tgkill, NO, {pid + 1}},
        {SYS_tgkill, NO, {pid + high}},
        {SYS_clone, YES, {CLONE_THREAD | CLONE_VM}},
        {SYS_clone, NO, {CLONE_THREAD | CLONE_NEWNET}},
        {SYS_clone, NO, {SIGCHLD}},
        {SYS_clone, YES, {CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD}},
        {SYS_clone, NO, {(CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD) + high}},
        {SYS_ioctl, YES, {~0ull, TIOCGWINSZ}},
        {SYS_ioctl, YES, {0, FIONREAD}},
        {SYS_ioctl, NO, {0, TIOCSTI}},
        {SYS_ioctl, NO, {0, TIOCGWINSZ + high}},
        {SYS_prctl, NO, {PR_SET_NAME}}, /* bounded, and on no list */
        {1000, NO, {0}},
        {0x40000000, SECCOMP_RET_KILL_PROCESS, {0}}, /* x32 */
    };
    struct confine_filter *f = confine_compile(lists, NULL);

    (void)state;
    assert_non_null(f);
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        struct seccomp_data d = {.nr = calls[i].nr, .arch = AUDIT_ARCH_X86_64};
        memcpy(d.args, calls[i].args, sizeof(calls[i].args));
        if (run(confine_program(f), &d) != calls[i].verdict)
            fail_msg("call %d, row %zu: %#x", d.nr, i, run(confine_program(f), &d));
        d.arch = AUDIT_ARCH_I386;
        assert_int_equal(run(confine_program(f), &d), SECCOMP_RET_KILL_PROCESS);
    }
    confine_filter_free(f);
}

/* A thread's program leaves arguments to its process's, and so is short. */
static void a_threads_program_is_short(void **state)
{
    static const unsigned long requests[] = {TIOCGWINSZ, 0};
    static const int calls[] = {SYS_read, SYS_mmap, SYS_execve, CONFINE_END};
    const struct confine_list with = {.calls = calls, .ioctls = requests}, without = {calls, NULL};
    struct seccomp_data d = {.arch = AUDIT_ARCH_X86_64};
    const struct {
        const struct confine_list *list;
        int nr;
        uint32_t verdict;
    } rows[] = {
        {&with, SYS_read, SECCOMP_RET_ALLOW},
        {&with, SYS_mmap, SECCOMP_RET_ALLOW},
        {&with, SYS_ioctl, SECCOMP_RET_ALLOW},
        {&without, SYS_ioctl, SECCOMP_RET_ERRNO | EPERM},
        {&with, SYS_write, SECCOMP_RET_ERRNO | EPERM},
        {&with, SYS_execve, SECCOMP_RET_KILL_PROCESS},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct confine_list *const lists[] = {rows[i].list, NULL};
        struct confine_filter *f = confine_compile_thread(rows[i].list, NULL);
        struct confine_filter *whole = confine_compile(lists, NULL);
        assert_non_null(f);
        assert_non_null(whole);
        d.nr = rows[i].nr;
        assert_int_equal(run(confine_program(f), &d), rows[i].verdict);
        assert_true(confine_program(f)->len < confine_program(whole)->len);
        confine_filter_free(f);
        confine_filter_free(whole);
    }
}

/* Of a long list each call is found, and soon: the kernel tries all there are when it takes a program. */
static void a_long_list_is_searched(void **state)
{
    static const int must_not[] = {SYS_execve, SYS_ptrace, SYS_clone3};
    int calls[151], n = 0;
    const struct confine_list list = {.calls = calls};
    const struct confine_list *const lists[] = {&list, NULL};

    (void)state;
    for (int nr = 300; nr > 0; nr -= 2)
        calls[n++] = nr;
    calls[n] = CONFINE_END;
    struct confine_filter *f = confine_compile(lists, NULL);
    assert_non_null(f);
    for (int nr = 0; nr < 1100; nr++) {
        struct seccomp_data d = {.nr = nr, .arch = AUDIT_ARCH_X86_64};
        const uint32_t verdict = run(confine_program(f), &d);
        assert_true(steps < 40);
        if (nr % 2 || nr == 0 || nr > 300)
            assert_int_not_equal(verdict, SECCOMP_RET_ALLOW);
        else if (verdict != SECCOMP_RET_ALLOW) /* fatal ones, and those whose arguments do not do */
            assert_true(verdict == SECCOMP_RET_KILL_PROCESS || nr == SYS_tgkill ||
                        nr == SYS_clone || nr == SYS_fcntl || nr == SYS_ioctl);
    }
    for (size_t i = 0; i < ARRAY_SIZE(must_not); i++) {
        struct seccomp_data d = {.nr = must_not[i], .arch = AUDIT_ARCH_X86_64};
        assert_int_not_equal(run(confine_program(f), &d), SECCOMP_RET_ALLOW);
    }
    confine_filter_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_intruder_is_stopped),
        cmocka_unit_test(also_as_a_user),
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(a_folder_stays),
        cmocka_unit_test(also_a_users),
        cmocka_unit_test(a_thread_can_have_less),
        cmocka_unit_test(calls_have_their_verdicts),
        cmocka_unit_test(a_threads_program_is_short),
        cmocka_unit_test(a_long_list_is_searched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
