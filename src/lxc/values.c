/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Values of keys: each take_X() puts one into struct settings, and is also how it is checked
 * (value_is_X(), made from it), so that what passes the check can be taken.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/personality.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/container.h"
#include "lxc/keys.h"
#include "lxc/rootpath.h"

#define PATH_BELOW_MOST 120u

const char *const share_names[SHARE_COUNT] = {
    [SHARE_CGROUP] = "cgroup", [SHARE_IPC] = "ipc",   [SHARE_MNT] = "mnt",   [SHARE_NET] = "net",
    [SHARE_PID] = "pid",       [SHARE_TIME] = "time", [SHARE_USER] = "user", [SHARE_UTS] = "uts",
};

const char *const log_level_names[LOG_LEVELS] = {"TRACE", "DEBUG", "INFO",  "NOTICE", "WARN",
                                                 "ERROR", "CRIT",  "ALERT", "FATAL"};

const char *const hook_names[HOOK_KINDS] = {
    [HOOK_PRE_START] = "pre-start", [HOOK_PRE_MOUNT] = "pre-mount",   [HOOK_MOUNT] = "mount",
    [HOOK_AUTODEV] = "autodev",     [HOOK_START_HOST] = "start-host", [HOOK_START] = "start",
    [HOOK_STOP] = "stop",           [HOOK_POST_STOP] = "post-stop",   [HOOK_CLONE] = "clone",
    [HOOK_DESTROY] = "destroy",
};

/* ---- plain ones ---- */

int value_is_hostname(const char *value, struct error *err)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    size_t len = strspn(value, chars);
    if (len == 0 || len > 64 || value[len])
        return error_set(err, 0, "'%s' is not a host name", value);
    return 0;
}

int value_is_rootfs(const char *value, struct error *err)
{
    struct root_path r;
    if (str_eq(value, "host:/"))
        return 0;
    int ret = root_path_parse(value, &r, err);
    if (ret == 0)
        root_path_clear(&r);
    return ret;
}

int value_is_command(const char *value, struct error *err)
{
    char **words = str_split_words(value, err);
    if (!words)
        return -1;
    bool any = words[0] != NULL;
    strv_free(words);
    return any ? 0 : error_set(err, 0, "the command is empty");
}

int value_is_mount(const char *value, struct error *err)
{
    struct mount_entry m;
    int ret = mount_entry_parse(value, &m, err);
    if (ret == 0)
        mount_entry_clear(&m);
    return ret;
}

/* An overlay's layers are directories of the host's, too. */
bool mount_reaches(const struct conf_line *l)
{
    struct mount_entry m;
    bool reaches = mount_entry_parse(l->value, &m, NULL) == 0 &&
                   (mount_entry_is_tree(&m) || str_eq(m.type, "overlay"));
    mount_entry_clear(&m);
    return reaches;
}

/* What is passed on is of who starts it. */
bool environment_reaches(const struct conf_line *l)
{
    return *l->value && !strchr(l->value, '=');
}

bool console_reaches(const struct conf_line *l)
{
    return !str_eq(l->value, "none");
}

bool devices_reach(const struct conf_line *l)
{
    return str_eq(strrchr(l->key, '.'), ".allow");
}

int value_is_empty(const char *value, struct error *err)
{
    return *value ? error_set(err, 0, "this key is only to forget, and has no value") : 0;
}

int value_is_path_below(const char *value, struct error *err)
{
    const char *p = value + strspn(value, "/");
    if (!*p || strlen(p) > PATH_BELOW_MOST)
        return error_set(err, 0, "'%s' is %s", value, *p ? "too long" : "no path");
    for (; *p; p += strcspn(p, "/"), p += strspn(p, "/"))
        if (strcspn(p, "/") <= 2 && strncmp(p, "..", strcspn(p, "/")) == 0)
            return error_set(err, 0, "'%s' is not a path without '.' and '..'", value);
    return 0;
}

int value_is_0_or_1(const char *value, struct error *err)
{
    return str_eq(value, "0") || str_eq(value, "1")
               ? 0
               : error_set(err, 0, "'%s' is neither 0 nor 1", value);
}

int value_is_number(const char *value, struct error *err)
{
    int64_t n;
    return number_parse(value, INT_MIN, INT_MAX, &n, err);
}

int value_is_facility(const char *value, struct error *err)
{
    if (str_eq(value, "daemon") ||
        (str_starts(value, "local") && value[5] >= '0' && value[5] <= '7' && !value[6]))
        return 0;
    return error_set(err, 0, "'%s' is neither daemon nor local0 to local7", value);
}

int take_string(void *to, const struct conf_line *l, struct error *err)
{
    (void)err;
    char **s = to;
    free(*s);
    *s = xstrdup(l->value);
    return 0;
}

int take_flag(void *to, const struct conf_line *l, struct error *err)
{
    (void)err;
    *(bool *)to = conf_true(l->value);
    return 0;
}

int take_said(void *to, const struct conf_line *l, struct error *err)
{
    (void)err;
    *(enum choice *)to = conf_true(l->value) ? SAID_YES : SAID_NO;
    return 0;
}

int take_no_flag(void *to, const struct conf_line *l, struct error *err)
{
    (void)err;
    *(bool *)to = !conf_true(l->value);
    return 0;
}

int take_unsigned(void *to, const struct conf_line *l, struct error *err)
{
    int64_t n;
    if (number_parse(l->value, 0, UINT32_MAX - 1, &n, err) < 0)
        return -1;
    *(unsigned *)to = (unsigned)n;
    return 0;
}

int value_is_id(const char *value, struct error *err)
{
    int64_t n;
    return number_parse(value, 0, UINT32_MAX - 1, &n, err);
}

int value_is_count(const char *value, struct error *err)
{
    int64_t n;
    return number_parse(value, 0, TTYS_MAX, &n, err);
}

/* ---- sizes ---- */

/* "auto", "128kB", "1 MB", "4096" */
static int size_take(const char *value, uint64_t *out, struct error *err)
{
    char text[32];
    size_t n = strspn(value, "0123456789");
    const char *unit = value + n + strspn(value + n, " ");
    static const char *const units[] = {"", "B", "K", "KB", "M", "MB", "G", "GB"};
    if (str_eq(value, "auto")) {
        *out = 128 << 10;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (n > 0 && n < 20 && strcasecmp(unit, units[i]) == 0) {
            snprintf(text, sizeof text, "%.*s%.1s", (int)n, value, i > 1 ? units[i] : "");
            return size_parse(text, out, err);
        }
    return error_set(err, 0, "'%s' is neither a size such as 128kB nor auto", value);
}

int take_size(void *to, const struct conf_line *l, struct error *err)
{
    return size_take(l->value, to, err);
}

int value_is_size_auto(const char *value, struct error *err)
{
    uint64_t size;
    return size_take(value, &size, err);
}

/* ---- signals ---- */

int signal_number(const char *value)
{
    static const struct {
        const char *name;
        int number;
    } names[] = {{"HUP", SIGHUP},   {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"KILL", SIGKILL},
                 {"USR1", SIGUSR1}, {"USR2", SIGUSR2},   {"TERM", SIGTERM}, {"CONT", SIGCONT},
                 {"STOP", SIGSTOP}, {"WINCH", SIGWINCH}, {"PWR", SIGPWR},   {"ALRM", SIGALRM},
                 {"ABRT", SIGABRT}, {"CHLD", SIGCHLD},   {"TSTP", SIGTSTP}, {"TRAP", SIGTRAP},
                 {"ILL", SIGILL},   {"BUS", SIGBUS},     {"FPE", SIGFPE},   {"SEGV", SIGSEGV},
                 {"PIPE", SIGPIPE}, {"STKFLT", 16},      {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
                 {"URG", SIGURG},   {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
                 {"PROF", SIGPROF}, {"IO", SIGIO},       {"POLL", SIGPOLL}, {"SYS", SIGSYS}};
    const char *name = strncasecmp(value, "SIG", 3) == 0 ? value + 3 : value;
    int64_t n;
    if (number_parse(value, 1, 64, &n, NULL) == 0)
        return (int)n;
    if (strncasecmp(name, "RTMIN+", 6) == 0 && number_parse(name + 6, 0, 30, &n, NULL) == 0)
        return SIGRTMIN + (int)n;
    if (strncasecmp(name, "RTMAX-", 6) == 0 && number_parse(name + 6, 0, 30, &n, NULL) == 0)
        return SIGRTMAX - (int)n;
    if (strcasecmp(name, "RTMIN") == 0 || strcasecmp(name, "RTMAX") == 0)
        return strcasecmp(name, "RTMAX") == 0 ? SIGRTMAX : SIGRTMIN;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcasecmp(name, names[i].name) == 0)
            return names[i].number;
    return -1;
}

int value_is_signal(const char *value, struct error *err)
{
    if (signal_number(value) > 0)
        return 0;
    return error_set(err, 0, "'%s' is not a signal, such as SIGPWR or SIGRTMIN+3", value);
}

int value_is_signal_or_0(const char *value, struct error *err)
{
    return str_eq(value, "0") ? 0 : value_is_signal(value, err);
}

int take_signal(void *to, const struct conf_line *l, struct error *err)
{
    if (value_is_signal(l->value, err) < 0)
        return -1;
    *(int *)to = signal_number(l->value);
    return 0;
}

int take_pdeath(void *to, const struct conf_line *l, struct error *err)
{
    struct settings *s = to;
    if (value_is_signal_or_0(l->value, err) < 0)
        return -1;
    s->pdeath_said = true;
    s->pdeath_signal = str_eq(l->value, "0") ? 0 : signal_number(l->value);
    return 0;
}

/* ---- the first process ---- */

/* uname(2)'s machine as this architecture's containers may be shown it. */
static int arch_parse(const char *value, unsigned long *out, struct error *err)
{
    static const struct {
        const char *name;
        bool bits32;
    } names[] = {
#if defined(__x86_64__)
        {"x86", true},
        {"i386", true},
        {"i486", true},
        {"i586", true},
        {"i686", true},
        {"linux32", true},
        {"amd64", false},
        {"x86_64", false},
        {"linux64", false},
#elif defined(__aarch64__)
        {"arm", true},
        {"armv7l", true},
        {"armhf", true},
        {"armel", true},
        {"arm64", false},
        {"aarch64", false},
#endif
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (str_eq(value, names[i].name)) {
            *out = names[i].bits32 ? PER_LINUX32 : PER_LINUX;
            return 0;
        }
    return error_set(err, 0, "this machine runs no programs of the architecture '%s'", value);
}

int value_is_arch(const char *value, struct error *err)
{
    unsigned long p;
    return arch_parse(value, &p, err);
}

int take_arch(void *to, const struct conf_line *l, struct error *err)
{
    struct settings *s = to;
    s->personality_said = true;
    return arch_parse(l->value, &s->personality, err);
}

int take_ids(void *to, const struct conf_line *l, struct error *err)
{
    struct settings *s = to;
    cleanup_free char *copy = xstrdup(l->value);
    char *save;
    int64_t id;
    for (char *w = strtok_r(copy, ", \t", &save); w; w = strtok_r(NULL, ", \t", &save)) {
        if (s->groups.count == SETTINGS_GROUPS)
            return error_set(err, 0, "more than %d groups", SETTINGS_GROUPS);
        if (number_parse(w, 0, UINT32_MAX - 1, &id, err) < 0)
            return -1;
        s->groups.all[s->groups.count++] = (gid_t)id;
    }
    return 0;
}

static const struct {
    const char *name;
    int resource;
} rlimits[] = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},       {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},       {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
};

const char *rlimit_name(int resource)
{
    for (size_t i = 0; i < ARRAY_SIZE(rlimits); i++)
        if (rlimits[i].resource == resource)
            return rlimits[i].name;
    return "*";
}

static int rlimit_number(const char *text, rlim_t *out, struct error *err)
{
    int64_t n;
    if (str_eq(text, "unlimited")) {
        *out = RLIM_INFINITY;
        return 0;
    }
    if (number_parse(text, 0, INT64_MAX, &n, err) < 0)
        return -1;
    *out = (rlim_t)n;
    return 0;
}

/* SOFT[:HARD] */
static int rlimit_parse(const char *value, struct rlimit *out, struct error *err)
{
    cleanup_free char *copy = xstrdup(value);
    char *hard = strchr(copy, ':');
    if (hard)
        *hard++ = '\0';
    if (rlimit_number(str_trim(copy), &out->rlim_cur, err) < 0)
        return -1;
    out->rlim_max = out->rlim_cur;
    if (hard && rlimit_number(str_trim(hard), &out->rlim_max, err) < 0)
        return -1;
    return out->rlim_cur <= out->rlim_max
               ? 0
               : error_set(err, 0, "the soft limit of '%s' is above the hard one", value);
}

int take_rlimit(void *to, const struct conf_line *l, struct error *err)
{
    struct limit_set *set = to;
    const char *name = l->key + strlen("lxc.prlimit.");
    for (size_t i = 0; i < ARRAY_SIZE(rlimits); i++)
        if (str_eq(name, rlimits[i].name)) {
            set->said |= 1u << rlimits[i].resource;
            return rlimit_parse(l->value, &set->all[rlimits[i].resource], err);
        }
    return error_set(err, 0, "there is no limit '%s'; see setrlimit(2)", name);
}

static void pair_add(pairs *to, char *pair)
{
    size_t n = *to ? strv_len(*to) : 0;
    *to = xrealloc(*to, n + 2, sizeof **to);
    (*to)[n] = pair;
    (*to)[n + 1] = NULL;
}

/* A name as a path below /proc: "a.b" is a/b, and "a/b" itself; no '..' in it. */
static int take_file(pairs *to, const char *name, const char *value, struct error *err)
{
    cleanup_free char *path = xstrdup(name);
    if (!strchr(path, '/'))
        for (char *p = path; *p; p++)
            if (*p == '.')
                *p = '/';
    if (strstr(path, "..") || path[0] == '/' || !*path)
        return error_set(err, 0, "'%s' is no name of a file below /proc", name);
    pair_add(to, xasprintf("%s=%s", path, value));
    return 0;
}

int take_proc(void *to, const struct conf_line *l, struct error *err)
{
    return take_file(to, l->key + strlen("lxc.proc."), l->value, err);
}

int take_sysctl(void *to, const struct conf_line *l, struct error *err)
{
    return take_file(to, l->key + strlen("lxc.sysctl."), l->value, err);
}

int take_level(void *to, const struct conf_line *l, struct error *err)
{
    int64_t n;
    for (unsigned i = 0; i < LOG_LEVELS; i++)
        if (strcasecmp(l->value, log_level_names[i]) == 0) {
            *(unsigned *)to = i;
            return 0;
        }
    if (number_parse(l->value, 0, 8, &n, NULL) < 0)
        return error_set(err, 0, "'%s' is no level: TRACE, DEBUG, …, FATAL, or 0 to 8", l->value);
    *(unsigned *)to = (unsigned)n;
    return 0;
}

/* ---- file systems ---- */

int take_autos(void *to, const struct conf_line *l, struct error *err)
{
    struct autos *a = to;
    static const struct {
        const char *word;
        enum auto_kind kind;
    } kinds[] = {{"ro", AUTO_RO}, {"mixed", AUTO_MIXED}, {"rw", AUTO_RW}};
    cleanup_free char *copy = xstrdup(l->value);
    char *save;
    for (char *w = strtok_r(copy, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
        if (str_starts(w, "shmounts:")) {
            error_set(err, 0, "'%s': no directory is shared for mounts to appear in", w);
            return error_hint(err,
                              "`pult device add NAME DIR TARGET` mounts into a running container");
        }
        char *how = strchr(w, ':');
        bool forced = false;
        if (how) {
            *how++ = '\0';
            char *force = strchr(how, ':');
            forced = str_eq(how, "force") || str_eq(force, ":force");
            if (force && forced)
                *force = '\0'; /* cgroups are mounted by us in each case */
        }
        /* In a cgroup namespace, as each container here, LXC shows its own, too, unless it is forced. */
        const bool full = str_eq(w, "cgroup-full");
        enum auto_kind *which = str_eq(w, "proc")                                     ? &a->proc
                                : str_eq(w, "sys")                                    ? &a->sys
                                : str_eq(w, "cgroup") || str_eq(w, "cgroup2") || full ? &a->cgroup
                                                                                      : NULL;
        if (full && forced)
            return error_set(err, 0,
                             "no container is shown the cgroups of the whole host; "
                             "cgroup:rw is its own");
        if (!which)
            return error_set(err, 0, "'%s' is none of proc, sys, cgroup", w);
        *which = how || which == &a->cgroup ? AUTO_UNSAID : AUTO_MIXED;
        for (size_t i = 0; how && i < ARRAY_SIZE(kinds); i++)
            if (str_eq(how, kinds[i].word))
                *which = kinds[i].kind;
        if (how && *which == AUTO_UNSAID && !str_eq(how, "force"))
            return error_set(err, 0, "'%s:%s' is not known: there is ro, mixed, rw", w, how);
    }
    return 0;
}

/* ---- namespaces ---- */

static int share_number(const char *name)
{
    if (str_eq(name, "mount"))
        return SHARE_MNT;
    for (int i = 0; i < SHARE_COUNT; i++)
        if (str_eq(name, share_names[i]))
            return i;
    return -1;
}

/* Why a container of ours has one of its own in each case. */
static int share_possible(int which, struct error *err)
{
    if (which == SHARE_USER)
        return error_set(err, 0,
                         "each container has a user namespace: what it may do to the host "
                         "hangs on it");
    if (which == SHARE_MNT)
        return error_set(err, 0, "each container has mounts of its own: its root is one of them");
    return 0;
}

static int namespaces_parse(const char *value, unsigned *out, struct error *err)
{
    cleanup_free char *copy = xstrdup(value);
    char *save;
    for (char *w = strtok_r(copy, " \t", &save); w; w = strtok_r(NULL, " \t", &save)) {
        int which = share_number(w);
        if (which < 0)
            return error_set(err, 0, "there is no namespace '%s'; see namespaces(7)", w);
        *out |= 1u << which;
    }
    return 0;
}

int take_keep(void *to, const struct conf_line *l, struct error *err)
{
    unsigned *set = to;
    if (namespaces_parse(l->value, set, err) < 0)
        return -1;
    for (int i = 0; i < SHARE_COUNT; i++)
        if ((*set & 1u << i) && share_possible(i, err) < 0)
            return -1;
    return 0;
}

/* What it does not name is kept. */
int take_make(void *to, const struct conf_line *l, struct error *err)
{
    unsigned *set = to;
    if (namespaces_parse(l->value, set, err) < 0)
        return -1;
    *set |= 1u << SHARE_USER | 1u << SHARE_MNT;
    return 0;
}

int take_share(void *to, const struct conf_line *l, struct error *err)
{
    char **share = to;
    int which = share_number(l->key + strlen("lxc.namespace.share."));
    if (which < 0)
        return error_set(err, 0, "there is no such namespace; see namespaces(7)");
    if (share_possible(which, err) < 0)
        return -1;
    free(share[which]);
    share[which] = xstrdup(l->value);
    return 0;
}

/* "-3h", "10s", "5 ms": nothing else means hours, so a number alone is refused. */
int take_offset(void *to, const struct conf_line *l, struct error *err)
{
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = {{"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
                 {"ms", 1000000},      {"us", 1000},       {"ns", 1}};
    struct timespec *t = to;
    char *end;
    errno = 0;
    long long n = strtoll(l->value, &end, 10);
    if (end == l->value || errno)
        return error_set(err, 0, "'%s' is no time such as 7h or -10s", l->value);
    end += strspn(end, " ");
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        int64_t ns;
        if (!str_eq(end, units[i].unit))
            continue;
        if (__builtin_mul_overflow(n, units[i].ns, &ns))
            return error_set(err, 0, "'%s' is too much", l->value);
        t->tv_sec = ns / 1000000000;
        t->tv_nsec = ns % 1000000000;
        if (t->tv_nsec < 0) {
            t->tv_nsec += 1000000000;
            t->tv_sec--;
        }
        return 0;
    }
    return error_set(err, 0, "'%s' lacks a unit: h, m, s, ms, us or ns", l->value);
}

/* ---- hooks ---- */

/* A command for the shell: a program by its path or by its name, which is looked for in PATH. */
int value_is_hook(const char *value, struct error *err)
{
    const size_t word = strcspn(value, " \t\"'");
    if (value[0] != '/' && value[0] != '$' && memchr(value, '/', word))
        return error_set(err, 0, "'%s' begins with a path that is not absolute", value);
    return 0;
}

int take_hook(void *to, const struct conf_line *l, struct error *err)
{
    pairs *hooks = to;
    for (int i = 0; i < HOOK_KINDS; i++)
        if (str_eq(l->key + strlen("lxc.hook."), hook_names[i])) {
            pair_add(&hooks[i], xstrdup(l->value));
            return 0;
        }
    return error_set(err, 0, "there is no such hook");
}

/* ---- checks made from these ---- */

#define CHECK(what, take, type)                                   \
    int value_is_##what(const char *value, struct error *err)     \
    {                                                             \
        struct settings s = {0};                                  \
        struct conf_line l = {.value = (char *)(uintptr_t)value}; \
        int ret = take(type, &l, err);                            \
        settings_clear(&s);                                       \
        return ret;                                               \
    }
CHECK(ids, take_ids, &s)
CHECK(autos, take_autos, &s.autos)
CHECK(namespaces, take_keep, &s.keep)
CHECK(making, take_make, &s.make)
CHECK(offset, take_offset, &s.boot)
CHECK(level, take_level, &s.log_level)

int value_is_rlimit(const char *value, struct error *err)
{
    struct rlimit r;
    return rlimit_parse(value, &r, err);
}

void settings_clear(struct settings *s)
{
    char *strings[] = {s->cwd,
                       s->apparmor,
                       s->selinux,
                       s->selinux_keyring,
                       s->seccomp,
                       s->tty_dir,
                       s->console_path,
                       s->console_log,
                       s->fstab,
                       s->root_mount,
                       s->root_options,
                       s->cgroup_dir,
                       s->cgroup_container,
                       s->cgroup_inner,
                       s->cgroup_monitor,
                       s->cgroup_pivot,
                       s->log_file,
                       s->log_syslog,
                       s->notify_proxy,
                       s->notify_cookie};
    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        free(strings[i]);
    for (size_t i = 0; i < SHARE_COUNT; i++)
        free(s->share[i]);
    strv_free(s->proc);
    strv_free(s->sysctl);
    for (size_t i = 0; i < HOOK_KINDS; i++)
        strv_free(s->hooks[i]);
    *s = (struct settings){0};
}
