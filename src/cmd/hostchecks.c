/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The doctor's first chapter: the store, the session, the terminal, the network's tools. Each
 * check is a function in the table at the end and reports one finding.
 */
#include "cmd/hostchecks.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/places.h"
#include "base/user.h"
#include "base/util.h"
#include "cmd/terminal.h"
#include "guest/doctor.h"
#include "guest/store.h"

/* Last: ncurses defines macros with names such as `lines`. */
#include <curses.h>
#include <term.h>

#define LITTLE_SPACE (64u << 20) /* a store with less soon fails to take anything */

static void check_kernel(struct doctor *d)
{
    struct utsname u;
    uname(&u);
    doctor_line(d, FINDING_OK, "kernel", NULL, "%s %s, %s", u.sysname, u.release, u.machine);
}

/* The place where dir, or what is to become it, lies: the nearest directory that exists. */
static char *existing_part(const char *dir)
{
    char *path = xstrdup(dir);
    while (access(path, F_OK) < 0 && strlen(path) > 1) {
        char *slash = strrchr(path, '/');
        slash[slash == path] = '\0';
    }
    return path;
}

static void check_dir(struct doctor *d, const char *subject, const char *dir, const char *variable)
{
    cleanup_free char *path = existing_part(dir);
    cleanup_free char *remedy =
        xasprintf("make it writable for this user, or set %s to another place", variable);
    struct statvfs fs;
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || access(path, W_OK | X_OK) < 0) {
        doctor_line(d, FINDING_BAD, subject, remedy, "'%s': %s", path, strerror(errno));
        return;
    }
    if (statvfs(path, &fs) < 0) {
        doctor_line(d, FINDING_NOTE, subject, NULL, "'%s': %s", path, strerror(errno));
        return;
    }
    uint64_t space = (uint64_t)fs.f_bavail * fs.f_frsize;
    char text[8];
    size_human(space, text);
    doctor_line(d, space < LITTLE_SPACE ? FINDING_NOTE : FINDING_OK, subject,
                space < LITTLE_SPACE ? "make room on its file system" : NULL, "%s (%s free%s)", dir,
                text, strcmp(path, dir) == 0 ? "" : "; made on first use");
}

static void check_store(struct doctor *d)
{
    check_dir(d, "store", place_home(), "PULT_HOME");
}

static void check_run(struct doctor *d)
{
    check_dir(d, "runtime", place_run(), "PULT_RUN");
}

/*
 * Root's keepers leave the login session for a control group of their own. A user's go to the
 * user's own systemd, which ends with the last session unless it lingers.
 */
static void check_logout(struct doctor *d)
{
    static const char subject[] = "logout";
    if (access("/run/systemd/system", F_OK) < 0 || geteuid() == 0) {
        doctor_line(d, FINDING_OK, subject, NULL, "guests go on when you log out");
        return;
    }
    cleanup_free char *name = user_name(geteuid());
    cleanup_free char *linger = xasprintf("/var/lib/systemd/linger/%s", name ? name : "");
    if (name && access(linger, F_OK) == 0)
        doctor_line(d, FINDING_OK, subject, NULL, "guests go on when you log out (lingering)");
    else
        doctor_line(d, FINDING_NOTE, subject, "run: loginctl enable-linger",
                    "your guests end when your last login session does");
}

static void check_terminal(struct doctor *d)
{
    static const char subject[] = "terminal";
    const char *term = getenv("TERM");
    unsigned cols, rows;
    int problem;
    if (!terminal_here()) {
        doctor_line(d, FINDING_NOTE, subject, NULL, "this is not one, so it is not looked at");
        return;
    }
    if (setupterm(NULL, STDOUT_FILENO, &problem) == ERR) {
        doctor_line(d, FINDING_BAD, subject, "set TERM to what your terminal is, such as xterm",
                    "TERM is '%s', which terminfo does not know", term ? term : "");
        return;
    }
    terminal_size(&cols, &rows);
    setlocale(LC_CTYPE, "");
    bool small = cols < 80 || rows < 24, utf8 = str_eq(nl_langinfo(CODESET), "UTF-8");
    int colors = tigetnum("colors");
    doctor_line(d, small || !utf8 ? FINDING_NOTE : FINDING_OK, subject,
                small   ? "make it at least 80×24"
                : !utf8 ? "set LANG to a locale with UTF-8, such as C.UTF-8, for proper lines"
                        : NULL,
                "%s, %u×%u, %d colours, %s", term, cols, rows, colors > 0 ? colors : 2,
                utf8 ? "UTF-8" : "ASCII");
}

static void check_tun(struct doctor *d)
{
    cleanup_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        doctor_line(d, FINDING_OK, "tun", NULL, "/dev/net/tun can be opened");
    else
        doctor_line(d, FINDING_NOTE, "tun",
                    errno == EACCES ? "as root: chmod 666 /dev/net/tun" : "as root: modprobe tun",
                    "/dev/net/tun: %s; VMs get no bridged network", strerror(errno));
}

/* Is there an executable of this name, in PATH or where root's programs are? */
static bool have_program(const char *name)
{
    const char *path = getenv("PATH");
    cleanup_free char *all = xasprintf("%s:/usr/sbin:/sbin", path ? path : "");
    char *save = NULL;
    for (char *dir = strtok_r(all, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
        cleanup_free char *file = xasprintf("%s/%s", dir, name);
        if (access(file, X_OK) == 0)
            return true;
    }
    return false;
}

/* Programs that some of what pult does rests on. */
static const struct {
    const char *subject, *programs[2], *package, *without;
} tools[] = {
    {"nft", {"nft"}, "nftables", "no NAT networks"},
    {"dnsmasq", {"dnsmasq"}, "dnsmasq-base", "no DHCP and DNS in NAT networks"},
    {"passt", {"passt", "pasta"}, "passt", "no user-mode networking"},
};

static void check_tools(struct doctor *d)
{
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
        const char *found = NULL;
        for (size_t p = 0; p < ARRAY_SIZE(tools[i].programs) && !found; p++)
            if (tools[i].programs[p] && have_program(tools[i].programs[p]))
                found = tools[i].programs[p];
        cleanup_free char *remedy = xasprintf("run: apt-get install %s", tools[i].package);
        if (found)
            doctor_line(d, FINDING_OK, tools[i].subject, NULL, "%s is installed", found);
        else
            doctor_line(d, FINDING_NOTE, tools[i].subject, remedy, "not installed: %s",
                        tools[i].without);
    }
}

/* Nothing to be mended: networks switch it on, and off again. But it explains much. */
static void check_forwarding(struct doctor *d)
{
    static const char *const files[] = {"/proc/sys/net/ipv4/ip_forward",
                                        "/proc/sys/net/ipv6/conf/all/forwarding"};
    bool on[ARRAY_SIZE(files)] = {false};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        cleanup_free char *text = NULL;
        if (file_read_at(AT_FDCWD, files[i], 16, &text, NULL, NULL) == 0)
            on[i] = text[0] == '1';
    }
    doctor_line(d, FINDING_OK, "forwarding", NULL, "IPv4 %s, IPv6 %s; networks switch it as needed",
                on[0] ? "on" : "off", on[1] ? "on" : "off");
}

void host_checks(struct doctor *d)
{
    static void (*const checks[])(struct doctor * d) = {
        check_kernel,   check_store, check_run,   check_logout,
        check_terminal, check_tun,   check_tools, check_forwarding,
    };
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
        checks[i](d);
}
