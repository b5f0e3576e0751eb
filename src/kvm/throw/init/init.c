/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first process of a throwaway VM, and of one that boots from its disk: a small static program
 * that the VMM puts into the initramfs it makes (throw.c), with the kernel's modules and a file of
 * words, /words, that says what to do.
 *
 *     modules ─┬► the host's files by virtiofs (read-only) ─► an overlay in memory above them ─┐
 *              └► the root file system of a disk (disk.c) ─────────────────────────────────────┤
 *              ┌───────────────────────────────────────────────────────────────────────────────┘
 *              ├► /proc, /sys, /dev ─► chroot ─► the command on the console ─► its status
 *              └► without one, on a disk: chroot ─► the disk's own init, in our place
 *
 * A word is a letter and a text, ended by NUL: M module's file, m TAG:MODE:PATH a share, b a disk to
 * boot from, f TYPE:FILE a module of a file system, n the address of a network card, h the host's
 * name, t TERM (there is a terminal), r rows, c columns, d working directory, a an argument. The
 * status goes out by a port of the VMM's (report.h), so it needs no file, no network and no kernel
 * that has more than it must.
 */
#include "kvm/throw/init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "kvm/legacy/report.h"

#define WORDS_MOST (1 << 20)
#define ARGS_MOST  4096
#define CONSOLE    "/dev/ttyS0"
#define CANNOT_RUN 125 /* as env(1) has it */

static char words[WORDS_MOST];
static size_t words_len;
static int console = -1;
static char *args[ARGS_MOST + 1];

/* ---- telling the host ---- */

static void report(unsigned reg, unsigned char value)
{
    if (ioperm(REPORT_PORT, REPORT_PORTS, 1) == 0) {
        outb(value, (unsigned short)(REPORT_PORT + reg));
        return;
    }
    int fd = open("/dev/port", O_WRONLY); /* kernels without ioperm(2) */
    if (fd >= 0) {
        if (pwrite(fd, &value, 1, (off_t)(REPORT_PORT + reg)) < 0)
            perror("/dev/port");
        close(fd);
    }
}

static void end(int status)
{
    sync();
    if (console >= 0)
        tcdrain(console);
    report(REPORT_EXIT, (unsigned char)status);
    reboot(RB_POWER_OFF); /* not reached: the report ended the machine */
    for (;;)
        pause();
}

void say(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vdprintf(console >= 0 ? console : 2, format, ap);
    va_end(ap);
}

void die(const char *what, const char *of)
{
    say("pult: %s%s: %s\n", what, of, strerror(errno));
    end(CANNOT_RUN);
}

void give_up(void)
{
    end(CANNOT_RUN);
}

/* ---- words ---- */

char *word(char letter, const char *at)
{
    char *p = at ? words + (at - words) + strlen(at) + 1 : words;

    for (; p < words + words_len; p += strlen(p) + 1)
        if (*p == letter)
            return p + 1;
    return NULL;
}

static void read_words(void)
{
    int fd = open("/words", O_RDONLY | O_CLOEXEC);
    ssize_t n;

    while (fd >= 0 && words_len < sizeof(words) - 1 &&
           (n = read(fd, words + words_len, sizeof(words) - 1 - words_len)) > 0)
        words_len += (size_t)n;
    if (fd >= 0)
        close(fd);
}

static bool has_own_init(void)
{
    return word('b', NULL) && !word('a', NULL);
}

/* ---- the system ---- */

static void make_dirs(const char *path)
{
    char copy[4096];

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *p = copy + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(copy, 0755);
            *p = '/';
        }
    mkdir(copy, 0755);
}

int mount_at(const char *type, const char *source, const char *at, unsigned long flags,
             const char *options)
{
    make_dirs(at);
    return mount(source, at, type, flags, options);
}

void load_module(const char *name)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
        die("load the module ", name);
    close(fd);
}

static void load_modules(void)
{
    for (char *name = word('M', NULL); name; name = word('M', name)) {
        load_module(name);
        unlink(name); /* its memory is wanted */
    }
}

/* With a terminal at the other end as on a terminal, else as a pipe. */
static void set_console(void)
{
    struct termios t;

    tcgetattr(console, &t);
    t.c_iflag = ICRNL | IUTF8;
    t.c_oflag = OPOST | ONLCR;
    t.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
    t.c_cflag = B115200 | CS8 | CREAD | CLOCAL | HUPCL | CRTSCTS; /* nobody loses input */
    if (!word('t', NULL)) {
        t.c_iflag = 0;
        t.c_oflag = 0;
        t.c_lflag = ICANON; /* for the end of input, which is ^D as in a container */
        t.c_cc[VINTR] = t.c_cc[VQUIT] = t.c_cc[VSUSP] = t.c_cc[VERASE] = t.c_cc[VKILL] =
            t.c_cc[VLNEXT] = _POSIX_VDISABLE;
    }
    tcsetattr(console, TCSANOW, &t);
}

/* The serial port as the console. A disk's own init sets it as it likes. */
static void open_console(void)
{
    const char *rows = word('r', NULL), *cols = word('c', NULL);

    console = open(CONSOLE, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (console < 0)
        return;
    fcntl(console, F_SETFL, 0);
    if (!has_own_init())
        set_console();
    struct winsize size = {.ws_row = (unsigned short)atoi(rows ? rows : "24"),
                           .ws_col = (unsigned short)atoi(cols ? cols : "80")};
    ioctl(console, TIOCSWINSZ, &size);
}

/* An overlay in memory above what is mounted at `lower`. */
static void overlay(const char *lower, const char *name, const char *at)
{
    char options[512], upper[128], work[128];

    snprintf(upper, sizeof(upper), "/memory/%s.upper", name);
    snprintf(work, sizeof(work), "/memory/%s.work", name);
    mkdir(upper, 0755);
    mkdir(work, 0755);
    snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work);
    if (mount_at("overlay", "overlay", at, 0, options) < 0)
        die("put an overlay above ", at);
}

/* TAG:MODE:PATH; mode is cow, ro or rw. */
static void mount_share(char *share)
{
    char *mode = strchr(share, ':'), *path = mode ? strchr(mode + 1, ':') : NULL;
    char at[4200], lower[128];

    if (!path)
        return;
    *mode++ = *path++ = '\0';
    snprintf(at, sizeof(at), "/new%s", strcmp(path, "/") == 0 ? "" : path);
    snprintf(lower, sizeof(lower), "/lower.%s", share);
    int cow = strcmp(mode, "cow") == 0;
    if (mount_at("virtiofs", share, cow ? lower : at, strcmp(mode, "rw") == 0 ? 0 : MS_RDONLY,
                 NULL) < 0)
        die("mount the host's ", path);
    if (cow)
        overlay(lower, share, at);
    mode[-1] = path[-1] = ':';
}

/* TAG:ro:PATH, the modules of a kernel that is not the disk's. Without them it may still do. */
static void share_modules(const char *share)
{
    const char *path = strrchr(share, ':') + 1;
    char at[4200], dep[4400], tag[64];

    snprintf(tag, sizeof(tag), "%.*s", (int)strcspn(share, ":"), share);
    snprintf(at, sizeof(at), "/new%s", path);
    snprintf(dep, sizeof(dep), "%s/modules.dep", at);
    if (access(dep, F_OK) < 0 && mount_at("virtiofs", tag, at, MS_RDONLY, NULL) < 0)
        say("pult: the kernel's modules are not at %s: %s\n", path, strerror(errno));
}

static void mount_root(void)
{
    char *share = word('m', NULL);

    if (word('b', NULL)) {
        disk_mount_root("/new");
        if (share)
            share_modules(share);
        return;
    }
    if (mount_at("tmpfs", "memory", "/memory", 0, "mode=0755,size=80%") < 0)
        die("mount memory", "");
    for (; share; share = word('m', share))
        mount_share(share);
}

/* What every init finds there, whoever started it. */
static void mount_kernels(void)
{
    mount_at("proc", "proc", "/new/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_at("sysfs", "sysfs", "/new/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_at("devtmpfs", "dev", "/new/dev", MS_NOSUID, "mode=0755");
}

/* And what one would mount. */
static void mount_more(void)
{
    mount_at("devpts", "devpts", "/new/dev/pts", MS_NOSUID | MS_NOEXEC,
             "gid=5,mode=620,ptmxmode=666");
    mount_at("tmpfs", "shm", "/new/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
    mount_at("tmpfs", "run", "/new/run", MS_NOSUID | MS_NODEV, "mode=0755");
    mount_at("cgroup2", "cgroup2", "/new/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    if (symlink("/proc/self/fd", "/new/dev/fd") < 0 || symlink("fd/0", "/new/dev/stdin") < 0 ||
        symlink("fd/1", "/new/dev/stdout") < 0 || symlink("fd/2", "/new/dev/stderr") < 0)
        errno = 0; /* there already */
}

static void enter(void)
{
    const char *dir = word('d', NULL);

    if (chdir("/new") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
        chdir("/") < 0)
        die("enter the root file system", "");
    if (dir && chdir(dir) < 0)
        die("enter ", dir);
}

/* The disk's init in our place, with the kernel's arguments and environment. */
static _Noreturn void become_init(char **argv)
{
    char init[256];

    disk_init("/new", init, sizeof(init));
    for (char *name = word('f', NULL); name; name = word('f', name))
        unlink(strchr(name, ':') + 1); /* the initramfs stays for ever, and takes memory */
    unlink("/words");
    unlink("/init");
    enter();
    close(console);
    int fd = open("/dev/console", O_RDWR | O_NOCTTY);
    for (int i = 0; fd >= 0 && i < 3; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
    console = -1;
    report(REPORT_READY, 1);
    argv[0] = init;
    execv(init, argv);
    die("run ", init);
    _exit(1);
}

/* ---- the command ---- */

static void run(void)
{
    const char *term = word('t', NULL);

    setsid();
    ioctl(console, TIOCSCTTY, 0);
    for (int fd = 0; fd < 3; fd++)
        dup2(console, fd);
    clearenv();
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/root", 1);
    setenv("USER", "root", 1);
    setenv("LOGNAME", "root", 1);
    setenv("TERM", term ? term : "dumb", 1);
    signal(SIGPIPE, SIG_DFL);
    if (!args[0]) {
        execl("/bin/bash", "bash", (char *)NULL);
        execl("/bin/sh", "sh", (char *)NULL);
        args[0] = (char[]){"/bin/sh"};
    }
    execvp(args[0], args);
    int status = errno == ENOENT ? 127 : 126;
    dprintf(2, "pult: cannot run '%s': %s\n", args[0], strerror(errno));
    _exit(status);
}

int main(int argc, char **argv)
{
    const char *name;
    unsigned n = 0;
    int status;

    (void)argc;
    if (getpid() != 1) {
        dprintf(2, "this is the first process of a throwaway VM\n");
        return 1;
    }
    read_words();
    mount_at("devtmpfs", "dev", "/dev", 0, NULL);
    open_console();
    load_modules();
    mount_root();
    mount_kernels();
    if (has_own_init())
        become_init(argv);
    mount_more();
    name = word('h', NULL);
    if (name && sethostname(name, strlen(name)) < 0)
        name = NULL;
    cards_up();
    enter();
    cards_names();
    for (char *a = word('a', NULL); a && n < ARGS_MOST; a = word('a', a))
        args[n++] = a;
    pid_t child = fork();
    if (child == 0)
        run();
    if (child < 0)
        die("start the command", "");
    report(REPORT_READY, 1);
    for (pid_t pid; (pid = wait(&status)) != child;)
        if (pid < 0 && errno != EINTR)
            die("wait for the command", "");
    end(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
