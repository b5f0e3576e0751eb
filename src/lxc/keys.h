/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keys of a container's definition: LXC's, as they are spelled today.
 *
 *     definition ── keys_modern() ──► conf with today's keys alone ── conf_take() ──► struct settings
 *
 * lxc_keys[] (keys.c) is the one table of them: how a value is checked, what it does here, where it
 * goes. Old spellings are rows that name today's; docs/lxc-keys.md is made from it. Keys that are a
 * subject of their own are looked for by who reads them: nic.c, caps.c, idmap.c, limits.c.
 */
#ifndef PULT_LXC_KEYS_H
#define PULT_LXC_KEYS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <time.h>

#include "base/conf.h"

/* NAME=VALUE, as an array that strv_free() takes; NULL: none. */
typedef char **pairs;

#define SETTINGS_GROUPS 32
#define SETTINGS_LIMITS RLIM_NLIMITS

/* Bits of lxc.namespace.*, in an order of their own. */
enum {
    SHARE_CGROUP,
    SHARE_IPC,
    SHARE_MNT,
    SHARE_NET,
    SHARE_PID,
    SHARE_TIME,
    SHARE_USER,
    SHARE_UTS
};
#define SHARE_COUNT 8
extern const char *const share_names[SHARE_COUNT];

/* lxc.mount.auto */
enum auto_kind { AUTO_UNSAID, AUTO_RO, AUTO_MIXED, AUTO_RW };
struct autos {
    enum auto_kind proc, sys, cgroup;
};

enum hook_kind {
    HOOK_PRE_START,
    HOOK_PRE_MOUNT,
    HOOK_MOUNT,
    HOOK_AUTODEV,
    HOOK_START_HOST,
    HOOK_START,
    HOOK_STOP,
    HOOK_POST_STOP,
    HOOK_CLONE,
    HOOK_DESTROY,
    HOOK_KINDS,
};
extern const char *const hook_names[HOOK_KINDS]; /* "pre-start" */

#define LOG_LEVELS 9
extern const char *const log_level_names[LOG_LEVELS]; /* "TRACE", the lowest, first */

/* A key that may be 0, 1, or not there. */
enum choice { SAID_NOT, SAID_NO, SAID_YES };

/* What a definition says of the container's processes and their surroundings. */
struct settings {
    /* the first process */
    unsigned long personality;
    bool personality_said;
    char *cwd;
    unsigned uid, gid;
    struct {
        unsigned count;
        gid_t all[SETTINGS_GROUPS];
    } groups;
    bool core_sched, inherit_keyring;
    struct limit_set {
        unsigned said; /* a bit for each */
        struct rlimit all[SETTINGS_LIMITS];
    } limits;
    pairs proc, sysctl;
    char *apparmor, *selinux, *selinux_keyring, *seccomp;
    char *notify_proxy, *notify_cookie;
    enum choice seccomp_nesting, apparmor_nesting, apparmor_incomplete;
    int stop_signal, pdeath_signal;
    bool pdeath_said;

    /* terminals */
    unsigned ttys, pty_max;
    char *tty_dir;
    char *console_path, *console_log;
    uint64_t console_log_size, console_buffer;
    bool console_rotate;

    /* file systems */
    uint64_t dev_size;
    bool own_dev, kmsg; /* lxc.autodev = 0 */
    struct autos autos;
    char *fstab, *root_mount, *root_options;

    /* namespaces */
    unsigned keep, make; /* a bit for each; make: 0: not said */
    char *share[SHARE_COUNT];
    struct timespec boot, monotonic;

    /* cgroups */
    char *cgroup_dir, *cgroup_container, *cgroup_inner, *cgroup_monitor, *cgroup_pivot;
    bool cgroup_relative;

    /* around it */
    pairs hooks[HOOK_KINDS]; /* commands */
    unsigned hook_version;
    bool ephemeral, own_mounts;
    char *log_file, *log_syslog;
    unsigned log_level;
};

void settings_clear(struct settings *s);

/*
 * Give all lines today's keys, in memory: those of included files, too. Then the groups that an
 * empty line forgets ("lxc.net =") are forgotten.
 */
int keys_modern(struct conf *c, struct error *err);
/* docs/lxc-keys.md */
void keys_doc(FILE *to);

extern const struct conf_key lxc_keys[];

/* values.c: checks of values, and where they go. */
conf_value_fn value_is_hostname, value_is_rootfs, value_is_command, value_is_mount, value_is_signal,
    value_is_signal_or_0, value_is_arch, value_is_id, value_is_ids, value_is_rlimit,
    value_is_size_auto, value_is_autos, value_is_namespaces, value_is_offset, value_is_hook,
    value_is_level, value_is_facility, value_is_empty, value_is_path_below, value_is_making,
    value_is_0_or_1, value_is_number, value_is_count;
conf_take_fn take_string, take_flag, take_no_flag, take_said, take_unsigned, take_size, take_signal,
    take_pdeath, take_arch, take_ids, take_rlimit, take_proc, take_sysctl, take_autos, take_keep,
    take_make, take_share, take_offset, take_hook, take_level;
conf_reach_fn mount_reaches, environment_reaches, console_reaches, devices_reach;

/* "SIGPWR", "PWR", "SIGRTMIN+3", "30" → a number, or -1. */
int signal_number(const char *value);
/* "nofile" of RLIMIT_NOFILE. */
const char *rlimit_name(int resource);

#endif
