/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of a container's keys, see keys.h, and the two things made from it alone: a conf in
 * today's spelling, and the page of the manual.
 *
 * The first sentence of a row's help is what forms show; all of it is in the manual.
 */
#include "lxc/keys.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/container.h"
#include "lxc/devices.h"
#include "lxc/notify.h"

#define AT(field) offsetof(struct config, set.field)
#define ALL       offsetof(struct config, set)

#define OLD(old, check, list, today)                               \
    {                                                              \
        old, check, list, "old name of " today, NULL, .now = today \
    }
#define FORGET(group)                                                                             \
    {                                                                                             \
        group, value_is_empty, true, "without a value: forget what was said of " group ".*", NULL \
    }

/* clang-format off */
const struct conf_key lxc_keys[] = {
    /* the root file system, and what is mounted into it */
    {"lxc.rootfs.path", value_is_rootfs, false,
     "root directory (rootfs/ in the guest's); overlay:LOWER[:LOWER…]:UPPER, loop:FILE of an image, lvm:DEVICE; "
     "host:/ for a throwaway copy of this host",
     NULL},
    {"lxc.rootfs.options", NULL, false,
     "mount options of the root: ro, nosuid, noexec, noatime, …, and those of the file system of an image; idmap=container is always so",
     NULL, .take = take_string, .at = AT(root_options)},
    {"lxc.rootfs.mount", conf_is_abs_path, false,
     "where the root is mounted while hooks run, LXC_ROOTFS_MOUNT", NULL,
     .take = take_string, .at = AT(root_mount)},
    {"lxc.rootfs.managed", value_is_0_or_1, false, "whether the root belongs to LXC",
     "a root outside of the guest's own directory is never removed or changed"},
    {"lxc.mount.entry", value_is_mount, true,
     "a mount, as in fstab: SOURCE TARGET TYPE OPTIONS; besides those of mount(8) optional, "
     "create=dir, create=file, relative, idmap=container", NULL, .reach = mount_reaches},
    {"lxc.mount.fstab", conf_is_abs_path, false,
     "a file of such lines; they come before lxc.mount.entry", NULL,
     .take = take_string, .at = AT(fstab), .reach = conf_reaches},
    {"lxc.mount.auto", value_is_autos, true,
     "proc, sys and cgroup, each with :ro, :mixed or :rw; all three are mounted in each case, with "
     "what is the machine's own read-only or hidden. proc:mixed makes /proc/sys but /proc/sys/net "
     "read-only, sys:mixed lets /sys/devices/virtual/net be written to, sys:rw all of /sys, as far "
     "as the user namespace allows; cgroup:ro is read-only, cgroup-full the same as cgroup", NULL,
     .take = take_autos, .at = AT(autos)},
    {"lxc.autodev", value_is_0_or_1, false,
     "0: the root's own /dev is used. Its null, zero, full, random, urandom, tty, console and ttys are "
     "covered by ones that work, as far as they are there; other nodes cannot be opened, for it is a user "
     "namespace's. Only /dev/pts is mounted, and shm and mqueue where there are such directories", NULL,
     .take = take_no_flag, .at = AT(own_dev)},
    {"lxc.autodev.tmpfs.size", value_is_size_auto, false, "the size of /dev's tmpfs (512k)", NULL,
     .take = take_size, .at = AT(dev_size)},

    /* the first process */
    {"lxc.uts.name", value_is_hostname, false, "host name (the guest's name)", NULL},
    {"lxc.arch", value_is_arch, false,
     "i686, x86_64 and the like: what uname says, linux32(1)", NULL,
     .take = take_arch, .at = ALL},
    {"lxc.init.cmd", value_is_command, false, "the system's init (/sbin/init)", NULL},
    {"lxc.execute.cmd", value_is_command, false, "run only this command, under an init of pult's", NULL},
    {"lxc.init.uid", value_is_id, false, "who init, or the command, runs as (0); also `pult exec`", NULL,
     .take = take_unsigned, .at = AT(uid)},
    {"lxc.init.gid", value_is_id, false, "its group (0)", NULL, .take = take_unsigned, .at = AT(gid)},
    {"lxc.init.groups", value_is_ids, true, "its further groups: numbers", NULL,
     .take = take_ids, .at = ALL},
    {"lxc.init.cwd", conf_is_abs_path, false, "its working directory (/)", NULL,
     .take = take_string, .at = AT(cwd)},
    {"lxc.environment", NULL, true, "NAME=VALUE for init, or NAME to pass on", NULL, .reach = environment_reaches},
    {"lxc.environment.runtime", NULL, true, "the same", NULL, .reach = environment_reaches},
    {"lxc.environment.hooks", NULL, true, "NAME=VALUE for hooks alone", NULL},
    {"lxc.sched.core", value_is_0_or_1, false,
     "1: none but its own processes run on the other thread of a core", NULL,
     .take = take_flag, .at = AT(core_sched)},
    {"lxc.signal.halt", value_is_signal, false,
     "what tells init to shut down (SIGPWR; what systemd and busybox expect, if not said)", NULL},
    {"lxc.signal.reboot", value_is_signal, false, "what tells init to reboot (SIGINT)", NULL},
    {"lxc.signal.stop", value_is_signal, false,
     "what ends the container at once (SIGKILL, which follows after two seconds)", NULL,
     .take = take_signal, .at = AT(stop_signal)},
    {"lxc.monitor.signal.pdeath", value_is_signal_or_0, false,
     "what init gets when the keeper dies (SIGKILL); one that lives on is ended by the next pult",
     NULL, .take = take_pdeath, .at = ALL},
    {"lxc.monitor.unshare", value_is_0_or_1, false,
     "1: the keeper has mounts of its own, so hooks before the start mount only for it", NULL,
     .take = take_flag, .at = AT(own_mounts)},
    {"lxc.prlimit.*", value_is_rlimit, false,
     "SOFT[:HARD] of a limit of setrlimit(2), such as nofile; or unlimited", NULL,
     .take = take_rlimit, .at = AT(limits)},
    {"lxc.sysctl.*", NULL, false,
     "a file of /proc/sys, such as net.ipv4.ip_forward: those of its own namespaces", NULL,
     .take = take_sysctl, .at = AT(sysctl)},
    {"lxc.proc.*", NULL, false, "a file of init's /proc/PID, such as oom_score_adj", NULL,
     .take = take_proc, .at = AT(proc), .reach = conf_reaches},

    /* what it may do */
    {"lxc.idmap", idmap_is_entry, true,
     "u|g INSIDE OUTSIDE COUNT: the ids of the container (a range of its own)", NULL, .reach = conf_reaches},
    {"lxc.cap.drop", caps_is_list, true, "capabilities to take away besides the default", NULL},
    {"lxc.cap.keep", caps_is_list, true, "the only capabilities to keep; none: none", NULL, .reach = conf_reaches},
    {"lxc.no_new_privs", conf_is_bool, false, "setuid programs gain nothing (1 for a command)", NULL},
    {"lxc.seccomp.profile", conf_is_abs_path, false,
     "a file of system calls, in LXC's format of version 1 or 2, in addition to pult's own filter", NULL,
     .take = take_string, .at = AT(seccomp)},
    {"lxc.seccomp.allow_nesting", value_is_0_or_1, false,
     "0: where pult itself is under a filter, that profile is left out; pult's own filter never is (1)", NULL,
     .take = take_said, .at = AT(seccomp_nesting)},
    {"lxc.seccomp.notify.proxy", notify_is_proxy, false,
     "unix:PATH, the socket (SOCK_SEQPACKET) of a program that answers the calls which the profile says "
     "`notify` of, as LXC asks it: a message with /proc/PID, its mem and the listener. What pult's own "
     "filter refuses is not asked; without an answer a call fails with ENOSYS", NULL,
     .take = take_string, .at = AT(notify_proxy), .reach = conf_reaches},
    {"lxc.seccomp.notify.cookie", NULL, false, "a word for that proxy, in each message", NULL,
     .take = take_string, .at = AT(notify_cookie)},
    {"lxc.apparmor.profile", NULL, false,
     "the AppArmor profile, where the host has AppArmor: a name; unconfined or unchanged: none. "
     "generated: one of pult's, which is what there is if none is said", NULL, .take = take_string, .at = AT(apparmor), .reach = conf_reaches},
    {"lxc.apparmor.allow_incomplete", value_is_0_or_1, false,
     "0: no start under a profile where the kernel's AppArmor knows no mounts (1)", NULL,
     .take = take_said, .at = AT(apparmor_incomplete)},
    {"lxc.apparmor.allow_nesting", value_is_0_or_1, false,
     "0: pult's profile of a system lets it change its root and mount no file systems that containers in "
     "it would need: proc, sysfs, overlay (1)", NULL,
     .take = take_said, .at = AT(apparmor_nesting)},
    {"lxc.apparmor.raw", NULL, true, "more lines of pult's profile, which is the container's own then", NULL, .reach = conf_reaches},
    {"lxc.selinux.context", NULL, false, "the SELinux context, where the host has SELinux", NULL,
     .take = take_string, .at = AT(selinux), .reach = conf_reaches},
    {"lxc.selinux.context.keyring", NULL, false, "that of its keyring", NULL,
     .take = take_string, .at = AT(selinux_keyring)},
    {"lxc.keyring.session", value_is_0_or_1, false, "0: it has no session keyring of its own", NULL,
     .take = take_no_flag, .at = AT(inherit_keyring)},

    /* namespaces */
    {"lxc.namespace.clone", value_is_making, false,
     "the namespaces that it has of its own; user and mnt in each case", NULL,
     .take = take_make, .at = AT(make), .reach = conf_reaches},
    {"lxc.namespace.keep", value_is_namespaces, false,
     "those of the host that it keeps: net, ipc, uts, pid, cgroup, time", NULL,
     .take = take_keep, .at = AT(keep), .reach = conf_reaches},
    {"lxc.namespace.share.*", NULL, false,
     "net, ipc, uts, pid, cgroup or time of another: a process, or a container by its name or "
     "directory", NULL, .take = take_share, .at = AT(share), .reach = conf_reaches},
    {"lxc.time.offset.boot", value_is_offset, false, "ahead of the host's CLOCK_BOOTTIME: -3h, 10s", NULL,
     .take = take_offset, .at = AT(boot)},
    {"lxc.time.offset.monotonic", value_is_offset, false, "likewise of CLOCK_MONOTONIC", NULL,
     .take = take_offset, .at = AT(monotonic)},

    /* terminals */
    {"lxc.tty.max", value_is_count, false,
     "so many terminals /dev/tty1, … besides the console; `pult console NAME --port tty1`", NULL,
     .take = take_unsigned, .at = AT(ttys)},
    {"lxc.tty.dir", value_is_path_below, false,
     "a directory of /dev that console and ttys are in, with links to them", NULL,
     .take = take_string, .at = AT(tty_dir)},
    {"lxc.pty.max", value_is_id, false, "pseudo-terminals it may have, besides ttys, console and `pult exec` (no limit)", NULL,
     .take = take_unsigned, .at = AT(pty_max)},
    {"lxc.console.path", NULL, false,
     "a terminal of the host's that also gets what the console prints; none: no /dev/console", NULL,
     .take = take_string, .at = AT(console_path), .reach = console_reaches},
    {"lxc.console.logfile", conf_is_abs_path, false, "a file to which all is added that the console prints",
     NULL, .take = take_string, .at = AT(console_log), .reach = conf_reaches},
    {"lxc.console.size", value_is_size_auto, false, "how large it may become; then it begins anew", NULL,
     .take = take_size, .at = AT(console_log_size)},
    {"lxc.console.rotate", value_is_0_or_1, false, "1: what was full is kept as FILE.1", NULL,
     .take = take_flag, .at = AT(console_rotate)},
    {"lxc.console.buffer.size", value_is_size_auto, false, "bytes of console history, as guest.console.history",
     NULL, .take = take_size, .at = AT(console_buffer)},

    /* the network */
    NIC_KEYS,

    /* cgroups */
    {"lxc.cgroup.dir", value_is_path_below, false,
     "the cgroup that the container's is made below (pult); it stays when the container is over", NULL, .reach = conf_reaches},
    {"lxc.cgroup.dir.container", value_is_path_below, false, "the container's cgroup itself", NULL, .reach = conf_reaches},
    {"lxc.cgroup.dir.container.inner", value_is_path_below, false,
     "a cgroup below it that the container sees as its root; limits are on the outer one", NULL},
    {"lxc.cgroup.dir.monitor", value_is_path_below, false,
     "the cgroup of the container's keeper, which otherwise stays where it was started", NULL, .reach = conf_reaches},
    {"lxc.cgroup.dir.monitor.pivot", value_is_path_below, false,
     "where the keeper goes in the end, so that the others can be removed; it stays", NULL, .reach = conf_reaches},
    {"lxc.cgroup.relative", value_is_0_or_1, false,
     "1: all these are below the cgroup in which pult was called, as a user's are in each case", NULL},
    {"lxc.cgroup2.devices.*", devices_is_rule, true,
     "allow and deny: devices that may be used, c|b MAJOR:MINOR rwm, or a for all; those of a user's "
     "container are the ones of its /dev", NULL, .reach = devices_reach},
    {"lxc.cgroup.devices.*", devices_is_rule, true, "the same", NULL, .reach = devices_reach},
    {"lxc.cgroup2.*", NULL, true, "a file of cgroup v2, such as memory.max, cpu.max, pids.max", NULL},
    {"lxc.cgroup.*", NULL, true, "a file of cgroup v1, such as memory.limit_in_bytes", NULL},

    /* around it */
    {"lxc.hook.version", value_is_0_or_1, false,
     "0: hooks get NAME, section and kind as arguments; 1: in LXC_NAME, LXC_HOOK_SECTION and "
     "LXC_HOOK_TYPE", NULL, .take = take_unsigned, .at = AT(hook_version)},
#define HOOK_IN(kind, when, ...) \
    {"lxc.hook." kind, value_is_hook, true, when, NULL, .take = take_hook, .at = AT(hooks), __VA_ARGS__}
#define HOOK(kind, when) HOOK_IN(kind, when, .reach = conf_reaches)
    HOOK("pre-start", "a program run on the host before all else"),
    HOOK("pre-mount", "one run with the container's mounts and ids, before its root is mounted"),
    HOOK("mount", "likewise, when all is mounted"),
    HOOK("autodev", "likewise, behind those"),
    HOOK("start-host", "one run on the host when the container is ready, before its init"),
    HOOK_IN("start", "a program of the container's, run before its init"),
    HOOK("stop", "one run on the host when the container has ended, with its namespaces"),
    HOOK("post-stop", "one run on the host when all of it is gone"),
    HOOK("clone", "one run for the clone: LXC_SRC_NAME is what it was made of"),
    HOOK("destroy", "one run before the container is destroyed"),
    {"lxc.ephemeral", value_is_0_or_1, false, "1: it is destroyed when it ends", NULL,
     .take = take_flag, .at = AT(ephemeral)},
    {"lxc.start.auto", value_is_0_or_1, false, "1: started by `pult start --autostart`, as guest.autostart", NULL},
    {"lxc.start.delay", conf_is_uint, false, "seconds to wait behind its start, for the next", NULL},
    {"lxc.start.order", value_is_number, false, "the lower it is the earlier it is started", NULL},
    {"lxc.group", NULL, true, "a group of containers that it is in", NULL},
    {"lxc.log.file", conf_is_abs_path, false, "a file that gets the keeper's log, too", NULL,
     .take = take_string, .at = AT(log_file), .reach = conf_reaches},
    {"lxc.log.level", value_is_level, false,
     "what goes there, and to syslog: TRACE, DEBUG, INFO, NOTICE (how it ended), WARN, ERROR (no start) …, or 0 "
     "to 8 (all)", NULL,
     .take = take_level, .at = AT(log_level)},
    {"lxc.log.syslog", value_is_facility, false, "the log goes to syslog, too: daemon, local0 to local7", NULL,
     .take = take_string, .at = AT(log_syslog)},
    FORGET("lxc.hook"), FORGET("lxc.net"), FORGET("lxc.net.#"), FORGET("lxc.cap"),
    FORGET("lxc.cgroup"), FORGET("lxc.cgroup2"), FORGET("lxc.prlimit"), FORGET("lxc.sysctl"),
    FORGET("lxc.proc"),

    /* LXC 1 and 2, and 2010 */
    OLD("lxc.utsname", value_is_hostname, false, "lxc.uts.name"),
    OLD("lxc.rootfs", value_is_rootfs, false, "lxc.rootfs.path"),
    OLD("lxc.mount", conf_is_abs_path, false, "lxc.mount.fstab"),
    OLD("lxc.tty", value_is_count, false, "lxc.tty.max"),
    OLD("lxc.devttydir", value_is_path_below, false, "lxc.tty.dir"),
    OLD("lxc.pts", value_is_id, false, "lxc.pty.max"),
    OLD("lxc.console", NULL, false, "lxc.console.path"),
    OLD("lxc.console.logpath", conf_is_abs_path, false, "lxc.console.logfile"),
    OLD("lxc.id_map", idmap_is_entry, true, "lxc.idmap"),
    OLD("lxc.limit.*", value_is_rlimit, false, "lxc.prlimit.*"),
    OLD("lxc.limit", value_is_empty, true, "lxc.prlimit"),
    OLD("lxc.haltsignal", value_is_signal, false, "lxc.signal.halt"),
    OLD("lxc.rebootsignal", value_is_signal, false, "lxc.signal.reboot"),
    OLD("lxc.stopsignal", value_is_signal, false, "lxc.signal.stop"),
    OLD("lxc.init_cmd", value_is_command, false, "lxc.init.cmd"),
    OLD("lxc.init_uid", value_is_id, false, "lxc.init.uid"),
    OLD("lxc.init_gid", value_is_id, false, "lxc.init.gid"),
    OLD("lxc.seccomp", conf_is_abs_path, false, "lxc.seccomp.profile"),
    OLD("lxc.aa_profile", NULL, false, "lxc.apparmor.profile"),
    OLD("lxc.aa_allow_incomplete", value_is_0_or_1, false, "lxc.apparmor.allow_incomplete"),
    OLD("lxc.se_context", NULL, false, "lxc.selinux.context"),
    OLD("lxc.logfile", conf_is_abs_path, false, "lxc.log.file"),
    OLD("lxc.loglevel", value_is_level, false, "lxc.log.level"),
    OLD("lxc.syslog", value_is_facility, false, "lxc.log.syslog"),
    {"lxc.kmsg", value_is_0_or_1, false, "1: /dev/kmsg is a link to the console", NULL,
     .take = take_flag, .at = AT(kmsg)},
    {"lxc.pivotdir", NULL, false, "where the old root is put", "nothing remains of the old root"},
    {"lxc.rootfs.backend", NULL, false, "the kind of the root", "lxc.rootfs.path says it"},
    NIC_KEYS_OLD,
    OLD("lxc.network", value_is_empty, true, "lxc.net"),
    {NULL},
};
/* clang-format on */

static const struct conf_key *const tables[] = {lxc_keys, NULL};

/* ---- today's spelling ---- */

#define NETWORK "lxc.network"

/* The number behind the highest of lxc.net.N. */
static unsigned nets_next(const struct conf *c)
{
    unsigned next = 0;
    for (size_t i = 0; i < c->count; i++) {
        unsigned n;
        if (c->lines[i].key && sscanf(c->lines[i].key, "lxc.net.%u", &n) == 1 && n < 1000)
            next = max(next, n + 1);
    }
    return next;
}

/* One line of lxc.network.: each `type` begins another interface. *net: the number it has. */
static int network_rename(struct conf *c, size_t at, const struct conf_key *k, int *net,
                          unsigned *next, struct error *err)
{
    const struct conf_line *l = &c->lines[at];
    const bool type = str_eq(l->key, NETWORK ".type");
    char name[128];

    if (str_eq(l->key, NETWORK) || (type && !*l->value)) {
        conf_rename(c, at, "lxc.net");
        *net = -1;
        return 0;
    }
    if (type)
        *net = (int)(*next)++;
    if (*net < 0)
        return error_set(err, 0, "%s:%u: %s before any lxc.network.type", l->file, l->number,
                         l->key);
    snprintf(name, sizeof name, "lxc.net.%d%s", *net, k->now + strlen("lxc.net.#"));
    conf_rename(c, at, name);
    return 0;
}

static int keys_rename(struct conf *c, struct error *err)
{
    unsigned next = nets_next(c);
    int net = -1;
    for (size_t i = 0; i < c->count; i++) {
        const char *key = c->lines[i].key;
        const struct conf_key *k = key ? conf_key_find(tables, key) : NULL;
        if (!k || !k->now)
            continue;
        if (str_starts(key, NETWORK)) {
            if (network_rename(c, i, k, &net, &next, err) < 0)
                return -1;
            continue;
        }
        cleanup_free char *now = conf_key_now(k, key);
        conf_rename(c, i, now);
    }
    return 0;
}

/* What stands before an empty line of a group is void. */
static void groups_forget(struct conf *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const char *key = c->lines[i].key;
        const struct conf_key *k = key ? conf_key_find(tables, key) : NULL;
        if (!k || k->check != value_is_empty)
            continue;
        const size_t len = strlen(key);
        for (size_t j = i; j-- > 0;) {
            const char *other = c->lines[j].key;
            if (other && strncmp(other, key, len) == 0 && other[len] == '.') {
                conf_remove(c, j);
                i--;
                key = c->lines[i].key;
            }
        }
    }
}

int keys_modern(struct conf *c, struct error *err)
{
    if (keys_rename(c, err) < 0)
        return -1;
    groups_forget(c);
    return 0;
}

/* ---- the manual ---- */

/* Text for a cell of a table. */
static void put_cell(FILE *to, const char *text)
{
    for (; *text; text++)
        fputs(*text == '|' ? "\\|" : (char[]){*text, '\0'}, to);
}

/* "lxc.net.#.type" → lxc.net.N.type */
static void put_key(FILE *to, const char *name)
{
    fputc('`', to);
    for (; *name; name++)
        fputs(*name == '#' ? "N" : (char[]){*name, '\0'}, to);
    fputc('`', to);
}

void keys_doc(FILE *to)
{
    fputs(
        "# Keys of a container's definition\n\n"
        "Made by `pult help --keys` from the table in `src/lxc/keys.c`; do not edit.\n\n"
        "A container's `config` is a configuration of LXC's, lxc.container.conf(5), in today's "
        "spelling or an older\none. `lxc.include = FILE`, or a directory of `*.conf` files, reads "
        "more at that place. An empty value forgets\nwhat was said of a key before. `N` is a "
        "number, `*` any name.\n\n",
        to);
    fputs("| Key | What it does here |\n|---|---|\n", to);
    for (const struct conf_key *k = lxc_keys; k->name; k++) {
        if (k->now)
            continue;
        fputs("| ", to);
        put_key(to, k->name);
        fputs(" | ", to);
        put_cell(to, k->help);
        if (k->ignored) {
            fputs(". *Without effect:* ", to);
            put_cell(to, k->ignored);
        }
        fprintf(to, "%s |\n", k->list ? " (may be repeated)" : "");
    }
    fputs("\nOlder spellings, which `pult config modernize NAME` rewrites:\n\n"
          "| Key | Today |\n|---|---|\n",
          to);
    for (const struct conf_key *k = lxc_keys; k->name; k++) {
        if (!k->now)
            continue;
        fputs("| ", to);
        put_key(to, k->name);
        fputs(" | ", to);
        put_key(to, k->now);
        fputs(" |\n", to);
    }
}
