/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the settings say of the container's processes: those of LXC's keys that are neither
 * capabilities nor namespaces.
 *
 *     keeper            limits, files of /proc/PID         of init, and of what `pult exec` runs
 *     first process     sysctls                            of its own namespaces
 *     just before exec  personality, core, label, directory, ids
 */
#include "lxc/apparmor.h"
#include "lxc/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "lxc/sys.h"

#ifndef PR_SCHED_CORE
#define PR_SCHED_CORE 62
#endif
#define SCHED_CORE_CREATE  1 /* linux/prctl.h of 5.14 */
#define SCHED_CORE_PROCESS 1 /* with all of its threads */

int process_limits(const struct settings *s, pid_t pid, struct error *err)
{
    for (int i = 0; i < (int)SETTINGS_LIMITS; i++)
        if ((s->limits.said & 1u << i) && prlimit(pid, i, &s->limits.all[i], NULL) < 0) {
            int why = errno;
            error_set(err, why, "set lxc.prlimit.%s", rlimit_name(i));
            if (why == EPERM && i == RLIMIT_NOFILE)
                return error_hint(err, "raising it takes CAP_SYS_RESOURCE on the host, and the "
                                       "sysctl fs.nr_open is the most");
            return why == EPERM ? error_hint(err, "raising it takes CAP_SYS_RESOURCE on the host")
                                : -1;
        }
    return 0;
}

/*
 * Write to a file below dir that no link leads to: /proc/PID/root leads to the whole host, and a
 * definition may be another's.
 */
static int file_put_below(int dir, const char *path, const char *text, struct error *err)
{
    struct open_how how = {
        .flags = O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };
    const size_t len = strlen(text);
    cleanup_close int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
    if (fd < 0)
        return error_set(err, errno, "open '%s'", path);
    const ssize_t n = write(fd, text, len);
    if (n < 0 || (size_t)n != len)
        return error_set(err, n < 0 ? errno : EIO, "write '%s' to '%s'", text, path);
    return 0;
}

/* Write each NAME=VALUE of the list to a file below dir. */
static int files_put(pairs list, int dir, const char *below, const char *key, struct error *err)
{
    for (size_t i = 0; list && list[i]; i++) {
        const char *value = strchr(list[i], '=');
        cleanup_free char *name = xstrndup(list[i], (size_t)(value - list[i]));
        cleanup_free char *path = xasprintf("%s%s", below, name);
        if (file_put_below(dir, path, value + 1, err) == 0)
            continue;
        /* Where a definition has a dot. */
        for (char *p = name; *p; p++)
            *p = *p == '/' ? '.' : *p;
        return error_wrap(err, "%s.%s", key, name);
    }
    return 0;
}

int process_files(const struct settings *s, pid_t pid, struct error *err)
{
    char path[32];
    if (!s->proc)
        return 0;
    snprintf(path, sizeof path, "/proc/%d", pid);
    cleanup_close int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_set(err, errno, "open '%s'", path);
    return files_put(s->proc, dir, "", "lxc.proc", err);
}

int process_sysctls(const struct settings *s, int proc, struct error *err)
{
    if (files_put(s->sysctl, proc, "sys/", "lxc.sysctl", err) == 0)
        return 0;
    if (err && (err->code == ENOENT || err->code == EACCES || err->code == EPERM))
        error_hint(err, "those of the whole host are set there, by sysctl(8)");
    return -1;
}

/* ---- labels ---- */

/* Is this security module at work on the host? */
static bool has_selinux(void)
{
    return access("/sys/fs/selinux/enforce", F_OK) == 0;
}

/* "": the process is to have the label of who started it. */
static const char *apparmor_profile(const struct settings *s)
{
    static const char *const none[] = {"unconfined", "unchanged", "generated"};
    for (size_t i = 0; s->apparmor && i < ARRAY_SIZE(none); i++)
        if (str_eq(s->apparmor, none[i]))
            return "";
    return s->apparmor && apparmor_here() ? s->apparmor : "";
}

int process_label(const struct settings *s, int proc, struct error *err)
{
    static const char *const files[] = {"apparmor/exec", "exec"};
    cleanup_free char *text = NULL;
    const char *profile = apparmor_profile(s);
    struct statfs fs;

    if (*profile)
        text = xasprintf("exec %s", profile);
    else if (s->selinux && has_selinux() && !str_eq(s->selinux, "unconfined_t"))
        text = xstrdup(s->selinux);
    if (!text)
        return 0;
    cleanup_close int own = proc < 0 ? open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    cleanup_close int dir =
        openat(proc < 0 ? own : proc, "thread-self/attr", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fstatfs(dir, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
        return error_set(err, errno, "give the container a label: /proc is not what it should be");
    size_t first = *profile && faccessat(dir, files[0], F_OK, 0) == 0 ? 0 : 1;
    if (file_put_at(dir, files[first], text, err) < 0)
        return error_wrap(err, "give the container the label '%s'", text);
    return 0;
}

int process_keyring(const struct settings *s, struct error *err)
{
    if (s->inherit_keyring)
        return 0;
    if (s->selinux_keyring && has_selinux() &&
        file_put_at(AT_FDCWD, "/proc/thread-self/attr/keycreate", s->selinux_keyring, err) < 0)
        return error_wrap(err, "lxc.selinux.context.keyring");
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL); /* where there are keyrings */
    return 0;
}

/* ---- before the exec ---- */

int process_surround(const struct settings *s, struct error *err)
{
    if (s->personality_said && personality(s->personality) < 0)
        return error_set(err, errno, "set the architecture (lxc.arch)");
    /* ENODEV: no core has a second thread, so there is nothing to be kept from. */
    if (s->core_sched && prctl(PR_SCHED_CORE, SCHED_CORE_CREATE, 0, SCHED_CORE_PROCESS, 0) < 0 &&
        errno != ENODEV)
        return error_set(err, errno, "have cores to itself (lxc.sched.core)");
    return 0;
}

/* An id that is not in the map is, to the kernel, no id. */
static int no_id(const char *what, unsigned id, const char *key, struct error *err)
{
    if (errno != EINVAL)
        return error_set(err, errno, "become %s %u (%s)", what, id, key);
    error_set(err, 0, "the container has no %s %u (%s)", what, id, key);
    return error_hint(
        err, "`pult info NAME` tells how many it has, ids.count; lxc.idmap gives it others");
}

int process_become(const struct settings *s, int tty, struct error *err)
{
    if (s->cwd && chdir(s->cwd) < 0)
        return error_set(err, errno, "change to '%s' (lxc.init.cwd)", s->cwd);
    if (!s->uid && !s->gid && !s->groups.count)
        return 0;
    if (tty >= 0 && fchown(tty, s->uid, (gid_t)-1) < 0)
        return no_id("uid", s->uid, "lxc.init.uid", err);
    if (setgroups(s->groups.count, s->groups.all) < 0 && errno != EPERM)
        return errno == EINVAL ? error_set(err, 0, "not all of lxc.init.groups are the container's")
                               : error_set(err, errno, "set the groups of lxc.init.groups");
    if (setresgid(s->gid, s->gid, s->gid) < 0)
        return no_id("gid", s->gid, "lxc.init.gid", err);
    if (setresuid(s->uid, s->uid, s->uid) < 0)
        return no_id("uid", s->uid, "lxc.init.uid", err);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* the change may have undone that: fs.suid_dumpable */
    return 0;
}
