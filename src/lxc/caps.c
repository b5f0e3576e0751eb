/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capabilities. A container's are those of its own user namespace, which the kernel asks for none
 * of the host's; dropping more of them keeps code of the kernel's out of reach that no container
 * needs. lxc.cap.keep names what remains, lxc.cap.drop what goes besides the default. They go in one
 * step with the other privileges of a process that becomes one of the container's.
 */
#include "lxc/container.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "base/util.h"
#include "lxc/notify.h"

#define CAP(c) (UINT64_C(1) << (c))

/* No container has a use for these: they are about the machine. */
static const uint64_t drop_always = CAP(CAP_MAC_ADMIN) | CAP(CAP_MAC_OVERRIDE) |
                                    CAP(CAP_SYS_MODULE) | CAP(CAP_SYS_RAWIO) | CAP(CAP_SYS_TIME) |
                                    CAP(CAP_SYSLOG) | CAP(CAP_WAKE_ALARM) | CAP(CAP_BLOCK_SUSPEND) |
                                    CAP(CAP_BPF) | CAP(CAP_PERFMON);

/*
 * One command mounts nothing and makes no namespaces; a system's init does. It would get the first
 * back in a user namespace of its own, which mounts.c forbids, and the second could allow again.
 */
static const uint64_t drop_app = CAP(CAP_SYS_ADMIN) | CAP(CAP_SYS_RESOURCE);

/* Where uid 0 is that of the host, nothing may undo the protection of /proc and /sys. */
static const uint64_t drop_identity = CAP(CAP_SYS_ADMIN) | CAP(CAP_SYS_PTRACE) |
                                      CAP(CAP_DAC_READ_SEARCH) | CAP(CAP_MKNOD) |
                                      CAP(CAP_CHECKPOINT_RESTORE) | CAP(CAP_SYS_RESOURCE);

/* A name, in lower case and with or without cap_, or a number. */
static int cap_parse(const char *name, cap_value_t *cap)
{
    char full[72];
    int64_t number;
    if (number_parse(name, 0, 63, &number, NULL) == 0) {
        *cap = (cap_value_t)number;
        return 0;
    }
    snprintf(full, sizeof full, "cap_%s", str_starts(name, "cap_") ? name + 4 : name);
    return cap_from_name(full, cap);
}

/* "net_admin sys_time" → bits; "none" forgets what was said before. */
static int list_parse(const char *value, uint64_t *bits, struct error *err)
{
    char name[64];
    int n;
    for (const char *p = value; sscanf(p, " %63[^ \t]%n", name, &n) == 1; p += n) {
        cap_value_t cap;
        if (str_eq(name, "none")) {
            *bits = 0;
            continue;
        }
        if (cap_parse(name, &cap) < 0)
            return error_set(err, 0, "no capability is called '%s'; see capabilities(7)", name);
        *bits |= CAP(cap);
    }
    return 0;
}

int caps_is_list(const char *value, struct error *err)
{
    uint64_t bits = 0;
    return list_parse(value, &bits, err);
}

int caps_parse(const struct guest_def *def, bool app, uint64_t *keep, struct error *err)
{
    const struct conf_line *l;
    uint64_t kept = 0, dropped = 0;
    bool only = false;
    conf_for_each (def->conf, "lxc.cap.keep", l) {
        only = true;
        if (list_parse(l->value, &kept, err) < 0)
            return -1;
    }
    conf_for_each (def->conf, "lxc.cap.drop", l)
        if (list_parse(l->value, &dropped, err) < 0)
            return -1;
    *keep = (only ? kept : ~drop_always & ~(app ? drop_app : 0)) & ~dropped;
    return 0;
}

void caps_reduce_for_identity(uint64_t *keep)
{
    *keep &= ~drop_identity;
}

static int caps_apply(uint64_t keep, struct error *err)
{
    cap_value_t list[64];
    int n = 0, last = cap_max_bits();
    for (cap_value_t cap = 0; cap < last; cap++) {
        if (keep & CAP(cap))
            list[n++] = cap;
        else if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return error_set(err, errno, "drop the capability %d", cap);
    }
    cap_t caps = cap_init();
    int ret = 0;
    /* libcap takes an empty list for a mistake. */
    if (!caps ||
        (n > 0 && (cap_set_flag(caps, CAP_PERMITTED, n, list, CAP_SET) < 0 ||
                   cap_set_flag(caps, CAP_EFFECTIVE, n, list, CAP_SET) < 0)) ||
        cap_set_proc(caps) < 0)
        ret = error_set(err, errno, "drop capabilities");
    cap_free(caps);
    return ret;
}

static int profile_install(const struct config *c, struct error *err)
{
    return c->profile.notify ? notify_install(&c->profile, c->notify_sock, err)
                             : filter_install(&c->profile, err);
}

/* To install a filter takes no_new_privs, or CAP_SYS_ADMIN, which is about to go. */
int privileges_drop(const struct config *c, struct error *err)
{
    if (!c->no_new_privs && (filter_install(&c->filter, err) < 0 || profile_install(c, err) < 0))
        return -1;
    if (caps_apply(c->caps, err) < 0)
        return -1;
    if (c->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_set(err, errno, "set no_new_privs");
    return 0;
}

int privileges_filter(const struct config *c, struct error *err)
{
    if (!c->no_new_privs)
        return 0;
    return filter_install(&c->filter, err) < 0 ? -1 : profile_install(c, err);
}
