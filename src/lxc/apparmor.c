/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What AppArmor lets a container's processes do.
 *
 *     lxc.apparmor.profile   not said     pult-system or pult-command, by whether it has an init of
 *                                         its own, where they can be loaded
 *                            generated    the same, or no start
 *                            NAME         that one, loaded by somebody else
 *                            unconfined   none
 *     lxc.apparmor.raw       its lines are added; the profile is the container's own, pult:NAME
 *
 * The two are loaded by apparmor_parser when the first container asks for one, and stay until the
 * host is shut down. Their names have a number, so that a newer pult's are others. What a user
 * namespace does not keep from a container's root, or once did not, is denied: files of the machine
 * in /proc and /sys, and file systems that are about the machine. A command mounts nothing at all.
 */
#include "lxc/apparmor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/util.h"
#include "guest/doctor.h"
#include "lxc/container.h"

#define SYSTEM_NAME  "pult-system-1"
#define FLAT_NAME    "pult-flat-1"
#define COMMAND_NAME "pult-command-1"
#define LOADED       "/sys/kernel/security/apparmor/profiles"
#define MOUNTS       "/sys/kernel/security/apparmor/features/mount"
#define PARSER       "apparmor_parser"
#define MOUNT_IT     "mount -t securityfs securityfs /sys/kernel/security"

bool apparmor_here(void)
{
    char answer = 'N';
    cleanup_close int fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &answer, 1) == 1 && answer == 'Y';
}

/* ---- the text ---- */

static const char head[] = "  network,\n"
                           "  capability,\n"
                           "  file,\n"
                           "  unix,\n"
                           "  signal (receive) peer=unconfined,\n"
                           "  ptrace (readby, tracedby) peer=unconfined,\n";

static const char system_alone[] =
    "  mount,\n"
    "  remount,\n"
    "  umount,\n"
    "  pivot_root,\n"
    "  deny mount fstype=(debugfs, tracefs, securityfs, efivarfs, pstore, configfs),\n";

static const char denied[] = "  deny /proc/{sysrq-trigger,kcore,kmem,mem} rwklx,\n"
                             "  deny /proc/acpi/** rwklx,\n"
                             "  deny /proc/sys/kernel/{core_pattern,modprobe,hotplug} wklx,\n"
                             "  deny /proc/sys/kernel/{kexec_load_disabled,sysrq} wklx,\n"
                             "  deny /proc/sys/vm/** wklx,\n"
                             "  deny /sys/kernel/{debug,security,tracing}/** rwklx,\n"
                             "  deny /sys/firmware/** rwklx,\n"
                             "  deny /sys/kernel/{uevent_helper,kexec*} wklx,\n"
                             "  deny /sys/{module,power,bus}/** wklx,\n";

/* lxc.apparmor.allow_nesting = 0 */
static const char flat[] = "  deny pivot_root,\n"
                           "  deny mount fstype=(proc, sysfs, overlay, cgroup, cgroup2),\n";

char *apparmor_text(const char *name, bool app, bool nesting, char *const *lines)
{
    cleanup_free char *more = xstrdup("");
    for (size_t i = 0; lines && lines[i]; i++) {
        char *longer = xasprintf("%s  %s\n", more, lines[i]);
        free(more);
        more = longer;
    }
    return xasprintf("profile \"%s\" flags=(attach_disconnected, mediate_deleted) {\n"
                     "%s"
                     "  signal peer=\"%s\",\n"
                     "  ptrace peer=\"%s\",\n"
                     "%s%s%s%s"
                     "}\n",
                     name, head, name, name, app ? "" : system_alone, app || nesting ? "" : flat,
                     denied, more);
}

/* ---- loading ---- */

static bool is_loaded(const char *name)
{
    cleanup_fclose FILE *f = fopen(LOADED, "re");
    char line[512];
    const size_t len = strlen(name);
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, len) == 0 && line[len] == ' ')
            return true;
    return false;
}

/* Have the program do this with a text. */
static int parser_run(const char *how, const char *text, struct error *err)
{
    char *argv[] = {(char *)(uintptr_t)PARSER, (char *)(uintptr_t)how, (char *)(uintptr_t) "-K",
                    NULL};
    posix_spawn_file_actions_t files;
    int ends[2], status = 0;
    pid_t pid = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set(err, errno, "make a pipe");
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[0], 0);
    posix_spawn_file_actions_adddup2(&files, 2, 1);
    int why = posix_spawnp(&pid, PARSER, &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    close(ends[0]);
    if (why == 0 && write_all(ends[1], text, strlen(text)) < 0) /* it fits into the pipe */
        why = errno;
    close(ends[1]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (why)
        return error_set(err, why, "run " PARSER);
    return status ? error_set(err, 0, PARSER " did not take the profile; see `pult log`") : 0;
}

static int load(const char *name, bool own, bool app, bool nesting, char *const *lines, char **keep,
                struct error *err)
{
    if (!own && is_loaded(name))
        return 0;
    if (access(LOADED, F_OK) < 0) { /* the program would not get further, but takes its time */
        error_set(err, errno, "look for AppArmor's profiles at '" LOADED "'");
        return error_hint(err, MOUNT_IT);
    }
    cleanup_free char *text = apparmor_text(name, app, nesting, lines);
    if (parser_run("-r", text, err) < 0)
        return -1;
    if (own)
        *keep = steal_ptr(text);
    return 0;
}

/* All values of lxc.apparmor.raw; NULL: none. */
static pairs raw_lines(const struct conf *conf)
{
    const struct conf_line *l;
    pairs all = NULL;
    size_t n = 0;
    conf_for_each (conf, "lxc.apparmor.raw", l) {
        all = xrealloc(all, n + 2, sizeof *all);
        all[n++] = xstrdup(l->value);
        all[n] = NULL;
    }
    return all;
}

int apparmor_prepare(struct container *c, struct error *err)
{
    struct settings *s = &c->config.set;
    const bool asked = str_eq(s->apparmor, "generated");
    const bool none = str_eq(s->apparmor, "unconfined") || str_eq(s->apparmor, "unchanged");
    if (s->apparmor_incomplete == SAID_NO && !none && apparmor_here() && access(MOUNTS, F_OK) < 0)
        return error_set(err, 0,
                         "this kernel's AppArmor knows no mounts "
                         "(lxc.apparmor.allow_incomplete)");
    if ((s->apparmor && !asked) || !apparmor_here())
        return 0;
    free(s->apparmor);
    s->apparmor = NULL;
    if (geteuid() != 0) /* only root loads any */
        return 0;
    pairs raw = raw_lines(c->keeper->def->conf);
    const bool own = raw != NULL;
    const bool app = c->config.app, nesting = s->apparmor_nesting != SAID_NO;
    cleanup_free char *name = raw ? xasprintf("pult:%s", c->keeper->def->name)
                                  : xstrdup(app       ? COMMAND_NAME
                                            : nesting ? SYSTEM_NAME
                                                      : FLAT_NAME);
    int ret = load(name, own, app, nesting, raw, &c->apparmor_own, err);
    if (raw)
        strv_free(raw);
    if (ret == 0)
        s->apparmor = steal_ptr(name);
    else if (!asked && !own) {
        log_line("no profile of AppArmor: %s", err->text);
        return 0;
    }
    return ret < 0 ? error_wrap(err, "lxc.apparmor.profile") : 0;
}

void apparmor_done(struct container *c)
{
    struct error err;
    if (c->apparmor_own && parser_run("-R", c->apparmor_own, &err) < 0)
        log_line("%s", err.text);
    free(c->apparmor_own);
    c->apparmor_own = NULL;
}

void apparmor_doctor(struct doctor *d)
{
    if (!apparmor_here())
        return;
    if (access(LOADED, F_OK) < 0) {
        doctor_line(d, FINDING_NOTE, "apparmor", MOUNT_IT,
                    "it is on, but its profiles are not to be seen in /sys/kernel/security");
        return;
    }
    static const char *const places[] = {"/sbin/" PARSER, "/usr/sbin/" PARSER, "/usr/bin/" PARSER};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (access(places[i], X_OK) == 0) {
            doctor_line(d, FINDING_OK, "apparmor", NULL, "containers have a profile of pult's");
            return;
        }
    doctor_line(d, FINDING_NOTE, "apparmor", "apt-get install apparmor",
                "it is on, and " PARSER ", which loads profiles, is missing");
}
