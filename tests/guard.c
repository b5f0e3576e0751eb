/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard SECONDS COMMAND...: run one test program, and see that it leaves nothing behind.
 *
 * The command gets a TMPDIR of its own and, where that is permitted, its own mount and network
 * namespace, so that whatever it mounts or creates there is its own doing. The guard is the
 * subreaper: every process that the command starts and forgets ends up as its child. When the
 * command has ended, what still is there after a short grace is named on standard output, one
 * "guard: …" line each, and removed: processes, mounts, interfaces, files, cgroups.
 *
 * Exit status: the command's (128 + n after signal n); 124 after a timeout; 125 if it was 0 and
 * something was left behind.
 *
 * cgroups have no such namespace of their own: a new one counts as left behind if it has pult's name
 * in its path and no process is in it or below it, and stays so for a while, for then it is not at
 * work for somebody else. Nor is one of a guest that another test named after itself (tests/lib.sh).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 3000
/* For so long another's cgroup may be without a process. */
#define CGROUP_MS 1000

struct list {
    char **item;
    size_t count;
};

static char tmp_dir[] = "/tmp/pt.XXXXXX";
static struct list mounts_before, cgroups_before;
static struct list *walked; /* where the nftw() callbacks put what they find */
static bool left_behind;
static pid_t test;

static void __attribute__((format(printf, 1, 2))) report(const char *fmt, ...)
{
    va_list ap;

    left_behind = true;
    va_start(ap, fmt);
    printf("guard: left behind: ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
}

static void list_add(struct list *l, const char *s)
{
    l->item = realloc(l->item, (l->count + 1) * sizeof(*l->item));
    l->item[l->count++] = strdup(s);
}

static bool list_has(const struct list *l, const char *s)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->item[i], s) == 0)
            return true;
    return false;
}

static void list_clear(struct list *l)
{
    while (l->count)
        free(l->item[--l->count]);
    free(l->item);
    *l = (struct list){0};
}

static long now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The mount points of this namespace. */
static struct list mounts(void)
{
    struct list l = {0};
    char line[8192], where[4096];
    FILE *f = fopen("/proc/self/mountinfo", "re");

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "%*s %*s %*s %*s %4095s", where) == 1)
            list_add(&l, where);
    if (f)
        fclose(f);
    return l;
}

static int walk_cgroup(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if (type == FTW_D)
        list_add(walked, path);
    return 0;
}

/* All cgroup directories, of every hierarchy that is mounted where it belongs. */
static struct list cgroups(void)
{
    struct list l = {0};

    walked = &l;
    nftw("/sys/fs/cgroup", walk_cgroup, 32, FTW_PHYS);
    walked = NULL;
    return l;
}

static bool cgroup_has_process(const char *path)
{
    char file[4200], c;
    ssize_t n = -1;
    int fd;

    snprintf(file, sizeof(file), "%s/cgroup.procs", path);
    fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, &c, 1);
        close(fd);
    }
    return n != 0; /* unreadable: not ours to judge */
}

/* Has it a guest's name with another test's id, which is t and its pid? */
static bool is_of_another(const char *path)
{
    for (const char *p = path; (p = strpbrk(p, "/-")) != NULL; p++) {
        char *end;
        long pid = p[1] == 't' ? strtol(p + 2, &end, 10) : 0;
        if (pid > 0 && (*end == '\0' || *end == '-' || *end == '/'))
            return pid != test;
    }
    return false;
}

/* The length of ".../pult/GUEST" in a path of that or of what a guest made below. */
static size_t guest_group(const char *path, const char *pult)
{
    const char *guest = strchr(pult + 1, '/');

    return guest ? (size_t)(guest - path) + 1 + strcspn(guest + 1, "/") : strlen(path);
}

/*
 * New cgroups of ours without a process, or a group of another test's, in or below them, nor in any
 * other of the same guest: an init makes empty ones. The common parent "pult" may stay.
 */
static struct list dead_cgroups(void)
{
    struct list all = cgroups(), dead = {0};

    for (size_t i = 0; i < all.count; i++) {
        const char *path = all.item[i], *pult = strstr(path, "/pult");
        size_t len = pult ? guest_group(path, pult) : 0;
        bool alive = false;

        if (!pult || list_has(&cgroups_before, path) || strcmp(strrchr(path, '/'), "/pult") == 0 ||
            is_of_another(path))
            continue;
        for (size_t j = 0; j < all.count && !alive; j++)
            alive = strncmp(all.item[j], path, len) == 0 &&
                    (is_of_another(all.item[j]) || cgroup_has_process(all.item[j]));
        if (!alive)
            list_add(&dead, path);
    }
    list_clear(&all);
    return dead;
}

/* Our children, as text: "12 34 ". */
static void children(char *out, size_t size)
{
    char path[64];
    ssize_t n = 0;
    int fd;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, out, size - 1);
        close(fd);
    }
    out[n > 0 ? n : 0] = '\0';
}

static void reap(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

/* Name and kill every process that is left; those they leave in turn become our children. */
static void kill_children(void)
{
    char pids[4096], path[64], name[256];

    for (int round = 0; round < 50; round++) {
        reap();
        children(pids, sizeof(pids));
        if (!pids[0])
            return;
        for (char *save, *p = strtok_r(pids, " \n", &save); p; p = strtok_r(NULL, " \n", &save)) {
            FILE *f;
            size_t n = 0;

            snprintf(path, sizeof(path), "/proc/%s/cmdline", p);
            f = fopen(path, "re");
            if (f) {
                n = fread(name, 1, sizeof(name) - 1, f);
                fclose(f);
            }
            for (size_t i = 0; i < n; i++)
                if (name[i] == '\0' || name[i] == '\n')
                    name[i] = ' ';
            name[n] = '\0';
            if (n)
                report("process %s (%s)", p, name);
            kill(atoi(p), SIGKILL);
        }
        usleep(20000);
    }
}

static void unmount_new(void)
{
    struct list l = mounts();

    for (size_t i = l.count; i-- > 0;) {
        if (list_has(&mounts_before, l.item[i]))
            continue;
        report("mount %s", l.item[i]);
        umount2(l.item[i], MNT_DETACH);
    }
    list_clear(&l);
}

/* In a network namespace of our own there is lo, and nothing else. */
static void check_interfaces(void)
{
    struct if_nameindex *all = if_nameindex();

    for (struct if_nameindex *i = all; i && i->if_name; i++)
        if (strcmp(i->if_name, "lo") != 0)
            report("interface %s", i->if_name);
    if_freenameindex(all);
}

/* Of these, those that are still so. */
static struct list still_dead(struct list dead)
{
    struct list now = dead_cgroups(), both = {0};

    for (size_t i = 0; i < dead.count; i++)
        if (list_has(&now, dead.item[i]))
            list_add(&both, dead.item[i]);
    list_clear(&now);
    list_clear(&dead);
    return both;
}

static void remove_cgroups(void)
{
    struct list dead = dead_cgroups();

    for (long deadline = now_ms() + CGROUP_MS; dead.count && now_ms() < deadline; usleep(50000))
        dead = still_dead(dead);
    for (size_t i = dead.count; i-- > 0;) {
        report("cgroup %s", dead.item[i]);
        rmdir(dead.item[i]);
    }
    list_clear(&dead);
}

static int remove_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    if (ftw->level == 1)
        report("file %s", path);
    remove(path);
    return 0;
}

/* Nothing of the command is there any more, as far as it may need a moment to go. */
static bool all_gone(void)
{
    char pids[16];
    struct list dead;
    bool none;

    reap();
    children(pids, sizeof(pids));
    if (pids[0])
        return false;
    dead = dead_cgroups();
    none = dead.count == 0;
    list_clear(&dead);
    return none;
}

/* False where that is not permitted: then nobody else's mounts and interfaces are judged either. */
static bool isolate(void)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int s;

    if (geteuid() != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) != 0)
        return false;
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL); /* fails in a chroot */
    s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s >= 0) {
        ioctl(s, SIOCSIFFLAGS, &lo);
        close(s);
    }
    return true;
}

/* A test begins with default signals, whoever calls us; also those that libc keeps to itself. */
static void default_signals(void)
{
    const unsigned long action[4] = {0}; /* the kernel's struct sigaction: SIG_DFL, no flags */

    for (int n = 1; n <= 64; n++)
        syscall(SYS_rt_sigaction, n, action, NULL, 8);
}

/* Wait for pid; at most seconds, then its process group is killed. */
static int wait_for(pid_t pid, int seconds)
{
    long deadline = now_ms() + seconds * 1000L;
    struct timespec pause = {.tv_nsec = 100000000};
    sigset_t chld;
    siginfo_t info = {0};
    int status;

    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0) {
        if (now_ms() > deadline) {
            printf("guard: no end after %d s\n", seconds);
            kill(-pid, SIGKILL);
            waitpid(pid, NULL, 0);
            return 124;
        }
        sigtimedwait(&chld, NULL, &pause);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    bool isolated;
    sigset_t chld, old;
    long deadline;
    int status;

    if (argc < 3) {
        fprintf(stderr, "usage: guard SECONDS COMMAND...\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    isolated = isolate();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    mounts_before = mounts();
    cgroups_before = cgroups();
    /* A test may become another user, who has to get through. */
    if (!mkdtemp(tmp_dir) || chmod(tmp_dir, 0711) < 0) {
        perror("guard: mkdtemp");
        return 125;
    }
    setenv("TMPDIR", tmp_dir, 1);

    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, &old);
    test = fork();
    if (test == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        setpgid(0, 0);
        dup2(null, 0);
        default_signals();
        sigprocmask(SIG_SETMASK, &old, NULL);
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    status = wait_for(test, atoi(argv[1]));

    deadline = now_ms() + GRACE_MS;
    while (!all_gone() && now_ms() < deadline)
        usleep(50000);
    kill_children();
    if (isolated) {
        unmount_new();
        check_interfaces();
    }
    remove_cgroups();
    nftw(tmp_dir, remove_file, 32, FTW_PHYS | FTW_DEPTH | FTW_MOUNT);
    return status == 0 && left_behind ? 125 : status;
}
