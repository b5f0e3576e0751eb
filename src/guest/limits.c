/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits are gathered in the spelling of the version that the controller has on this host. Each
 * file that both versions know in some form stands in one table, with the way from each to the
 * other. While a container runs, what differs between two definitions is written.
 */
#include "guest/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "guest/cgroup.h"

/* Larger ones are no more; so there is no overflow in what is made of them. */
#define WEIGHT_MAX    10000LL
#define SHARES_MAX    262144LL
#define QUOTA_MAX     (1LL << 40) /* microseconds */
#define CPU_PERIOD_US 100000      /* the kernel's default, and what a share of a core is taken of */

static void same(const char *v, char out[128])
{
    snprintf(out, 128, "%s", v);
}

/* "max" ↔ "-1" */
static void max_to_v1(const char *v, char out[128])
{
    snprintf(out, 128, "%s", str_eq(v, "max") ? "-1" : v);
}

static void max_to_v2(const char *v, char out[128])
{
    snprintf(out, 128, "%s", v[0] == '-' ? "max" : v);
}

/* "50000 100000" → microseconds of quota in our period, as the v1 file has it */
static void cpu_to_v1(const char *v, char out[128])
{
    long long quota, period = CPU_PERIOD_US;
    if (sscanf(v, "%lld %lld", &quota, &period) < 1 || period <= 0)
        snprintf(out, 128, "-1");
    else
        snprintf(out, 128, "%lld", max(1LL, min(quota, QUOTA_MAX)) * CPU_PERIOD_US / period);
}

static void cpu_to_v2(const char *v, char out[128])
{
    snprintf(out, 128, "%s %d", v[0] == '-' ? "max" : v, CPU_PERIOD_US);
}

/* A weight of 100 is what 1024 shares were. */
static void weight_to_v1(const char *v, char out[128])
{
    snprintf(out, 128, "%lld", max(2LL, min(atoll(v), WEIGHT_MAX) * 1024 / 100));
}

static void weight_to_v2(const char *v, char out[128])
{
    snprintf(out, 128, "%lld", min(WEIGHT_MAX, max(1LL, min(atoll(v), SHARES_MAX) * 100 / 1024)));
}

/*
 * Where io.weight has 1 to 10000 the file of BFQ has 1 to 1000, and 100 is what all have in both:
 * what is above that is drawn together. A value may begin with "default"; one for a device alone
 * stays as it is, and is refused by the kernel.
 */
#define BFQ_MAX 1000LL
static void io_weight_to_v1(const char *v, char out[128])
{
    const long long w = min(atoll(v + strcspn(v, "0123456789")), WEIGHT_MAX);
    snprintf(out, 128, "%lld",
             w <= 100 ? w : 100 + (w - 100) * (BFQ_MAX - 100) / (WEIGHT_MAX - 100));
    if (strchr(v, ':'))
        same(v, out);
}

static void io_weight_to_v2(const char *v, char out[128])
{
    const long long w = min(atoll(v), BFQ_MAX);
    snprintf(out, 128, "%lld",
             w <= 100 ? w : 100 + (w - 100) * (WEIGHT_MAX - 100) / (BFQ_MAX - 100));
}

static const struct {
    const char *v2, *v1;
    void (*to_v1)(const char *v, char out[128]);
    void (*to_v2)(const char *v, char out[128]);
} both[] = {
    {"memory.max", "memory.limit_in_bytes", max_to_v1, max_to_v2},
    {"memory.high", "memory.soft_limit_in_bytes", max_to_v1, max_to_v2},
    {"cpu.max", "cpu.cfs_quota_us", cpu_to_v1, cpu_to_v2},
    {"cpu.weight", "cpu.shares", weight_to_v1, weight_to_v2},
    {"cpuset.cpus", "cpuset.cpus", same, same},
    {"cpuset.mems", "cpuset.mems", same, same},
    {"pids.max", "pids.max", same, same},
    {"io.weight", "blkio.bfq.weight", io_weight_to_v1, io_weight_to_v2},
};

/* The parts of io.max, each a file of v1. */
static const struct {
    const char *name, *v1;
} io_parts[] = {{"rbps", "blkio.throttle.read_bps_device"},
                {"wbps", "blkio.throttle.write_bps_device"},
                {"riops", "blkio.throttle.read_iops_device"},
                {"wiops", "blkio.throttle.write_iops_device"}};

#define VM_KEYS "vm.cgroup2."
#define SWAP_V1 "memory.memsw.limit_in_bytes" /* of memory and swap together */
#define SWAP_V2 "memory.swap.max"

/* The controller that a file belongs to, by what stands before its dot. -1: none of ours. */
static int controller_of(const char *file)
{
    static const struct {
        const char *prefix;
        int controller;
    } prefixes[] = {{"memory.", CG_MEMORY}, {"cpu.", CG_CPU},     {"cpuset.", CG_CPUSET},
                    {"pids.", CG_PIDS},     {"blkio.", CG_BLKIO}, {"io.", CG_BLKIO}};
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (str_starts(file, prefixes[i].prefix))
            return prefixes[i].controller;
    return -1;
}

/* Append one file as it is. */
static int limit_put(struct limit *list, int n, int controller, const char *file, const char *value,
                     struct error *err)
{
    struct limit *l = &list[n];
    if (n == LIMITS_MAX || strlen(file) >= sizeof l->file || strlen(value) >= sizeof l->value)
        return error_set(err, 0, "'%s' is too much", file);
    l->controller = controller;
    snprintf(l->file, sizeof l->file, "%s", file);
    same(value, l->value);
    return n + 1;
}

/* "8:0 rbps=1048576 wbps=max" → files of v1, where 0 is no limit. */
static int io_to_v1(struct limit *list, int n, const char *value, struct error *err)
{
    char device[32], part[64], text[128];
    int used = 0;
    if (sscanf(value, "%31s%n", device, &used) != 1)
        return error_set(err, 0, "'%s' is not 'MAJOR:MINOR rbps=… wbps=… riops=… wiops=…'", value);
    for (const char *p = value + used; n >= 0 && sscanf(p, " %63s%n", part, &used) == 1;
         p += used) {
        size_t i = 0, len = strcspn(part, "=");
        while (i < ARRAY_SIZE(io_parts) &&
               (strlen(io_parts[i].name) != len || strncmp(io_parts[i].name, part, len) != 0))
            i++;
        if (i == ARRAY_SIZE(io_parts) || !part[len])
            return error_set(err, 0, "'%s' is none of rbps=, wbps=, riops=, wiops=", part);
        snprintf(text, sizeof text, "%s %s", device,
                 str_eq(part + len + 1, "max") ? "0" : part + len + 1);
        n = limit_put(list, n, CG_BLKIO, io_parts[i].v1, text, err);
    }
    return n;
}

/* "8:0 1048576" of a file of v1 → a line of io.max; false: it is another file. */
static bool io_to_v2(const char *file, const char *value, char out[128])
{
    size_t device = strcspn(value, " ");
    for (size_t i = 0; i < ARRAY_SIZE(io_parts); i++) {
        if (!str_eq(file, io_parts[i].v1) || !value[device])
            continue;
        const char *limit = value + device + 1;
        snprintf(out, 128, "%.*s %s=%s", (int)min(device, (size_t)31), value, io_parts[i].name,
                 str_eq(limit, "0") ? "max" : limit);
        return true;
    }
    return false;
}

/* Append file = value, said in version `said`, in the version that its controller has here. */
static int limit_add(struct limit *list, int n, const char *file, const char *value, int said,
                     unsigned v1, struct error *err)
{
    int controller = controller_of(file);
    char text[128];
    if (str_eq(file, "blkio.weight")) /* CFQ's, until Linux 5.0 */
        file = "blkio.bfq.weight";
    if (controller < 0)
        return error_set(err, 0, "no cgroup controller here has a file '%s'", file);
    if (strlen(value) >= sizeof text)
        return error_set(err, 0, "'%s' is too much", file);
    int here = v1 & (1u << controller) ? 1 : 2;
    if (here == said)
        return limit_put(list, n, controller, file, value, err);
    if (said == 2 && str_eq(file, "io.max"))
        return io_to_v1(list, n, value, err);
    if (said == 1 && io_to_v2(file, value, text))
        return limit_put(list, n, controller, "io.max", text, err);
    for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
        if (!str_eq(file, said == 1 ? both[i].v1 : both[i].v2))
            continue;
        (said == 1 ? both[i].to_v2 : both[i].to_v1)(value, text);
        return limit_put(list, n, controller, said == 1 ? both[i].v2 : both[i].v1, text, err);
    }
    return error_set(err, 0, "'%s' is of cgroup v%d, and this host's is v%d", file, said, here);
}

/* One limits swap, the other memory and swap: the way between them leads by the limit of memory. */
static int swap_add(struct limit *list, int n, const char *value, int said, unsigned v1,
                    struct error *err)
{
    const int here = v1 & (1u << CG_MEMORY) ? 1 : 2;
    const char *file = here == 1 ? SWAP_V1 : SWAP_V2;
    uint64_t swap, memory = 0;
    char text[32];
    if (here == said)
        return limit_put(list, n, CG_MEMORY, file, value, err);
    if (str_eq(value, "max") || value[0] == '-')
        return limit_put(list, n, CG_MEMORY, file, here == 1 ? "-1" : "max", err);
    for (int i = 0; i < n; i++)
        if (str_eq(list[i].file, here == 1 ? "memory.limit_in_bytes" : "memory.max"))
            size_parse(list[i].value, &memory, NULL);
    if (!memory)
        return error_set(err, 0, "a limit of swap takes one of memory, on this host");
    if (size_parse(value, &swap, err) < 0)
        return -1;
    swap = here == 1 ? min(swap, UINT64_C(1) << 60) + memory : swap - min(swap, memory);
    snprintf(text, sizeof text, "%llu", (unsigned long long)swap);
    return limit_put(list, n, CG_MEMORY, file, text, err);
}

/* lxc.cgroup.dir and the like say where a group is. */
static bool is_place(const char *file)
{
    return str_eq(file, "dir") || str_starts(file, "dir.") || str_eq(file, "relative");
}

int limits_of(const struct guest_def *def, unsigned v1, struct limit list[LIMITS_MAX],
              struct error *err)
{
    static const struct {
        const char *prefix;
        int said;
    } keys[] = {{"lxc.cgroup.", 1}, {"lxc.cgroup2.", 2}, {VM_KEYS, 2}};
    char value[64];
    const char *swap = NULL;
    int n = 0, swap_said = 0;
    if (def->memory) {
        snprintf(value, sizeof value, "%llu", (unsigned long long)def->memory);
        n = limit_add(list, n, "memory.max", value, 2, v1, err);
    }
    if (n >= 0 && def->cpus_milli) {
        snprintf(value, sizeof value, "%lld %d", (long long)def->cpus_milli * CPU_PERIOD_US / 1000,
                 CPU_PERIOD_US);
        n = limit_add(list, n, "cpu.max", value, 2, v1, err);
    }
    for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
        for (size_t i = 0; i < def->conf->count && n >= 0; i++) {
            const struct conf_line *l = &def->conf->lines[i];
            if (!l->key || !str_starts(l->key, keys[k].prefix) ||
                !conf_line_counts(def->conf, l, true))
                continue;
            const char *file = l->key + strlen(keys[k].prefix);
            if (str_eq(file, SWAP_V1) || str_eq(file, SWAP_V2)) {
                swap = l->value;
                swap_said = keys[k].said;
            } else if (!is_place(file) && !str_starts(file, "devices."))
                n = limit_add(list, n, file, l->value, keys[k].said, v1, err);
            if (n < 0)
                error_wrap(err, "%s:%u: %s", l->file, l->number, l->key);
        }
    }
    return n >= 0 && swap ? swap_add(list, n, swap, swap_said, v1, err) : n;
}

/* ---- changing them while it runs ---- */

bool limits_key(const char *key)
{
    return str_eq(key, "guest.memory") || str_eq(key, "guest.cpus") ||
           (str_starts(key, "lxc.cgroup.") && controller_of(key + 11) >= 0) ||
           (str_starts(key, "lxc.cgroup2.") && controller_of(key + 12) >= 0);
}

/* All there are: v1 knows no empty one, and on v2 one with processes cannot be made empty. */
static const char *cpuset_all(const char *file, char text[128])
{
    const char *root = cgroup_v2_root();
    cleanup_free char *all = NULL;
    cleanup_free char *path = cgroup_v1() & (1u << CG_CPUSET)
                                  ? xasprintf("/sys/fs/cgroup/cpuset/%s", file)
                                  : xasprintf("%s/%s.effective", root ? root : "", file);
    if (file_read_at(AT_FDCWD, path, 127, &all, NULL, NULL) < 0)
        return NULL;
    snprintf(text, 128, "%s", str_trim(all));
    return text;
}

/* What a file says that limits nothing; NULL: that is not known. */
static const char *unlimited(const struct limit *l, char text[128])
{
    static const struct {
        const char *file, *value;
    } files[] = {{"memory.max", "max"},
                 {"memory.limit_in_bytes", "-1"},
                 {SWAP_V2, "max"},
                 {SWAP_V1, "-1"},
                 {"memory.high", "max"},
                 {"memory.soft_limit_in_bytes", "-1"},
                 {"memory.low", "0"},
                 {"cpu.max", "max"},
                 {"cpu.cfs_quota_us", "-1"},
                 {"cpu.weight", "100"},
                 {"cpu.shares", "1024"},
                 {"pids.max", "max"},
                 {"io.weight", "default 100"},
                 {"blkio.bfq.weight", "100"}};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (str_eq(l->file, files[i].file))
            return files[i].value;
    int device = (int)min(strcspn(l->value, " "), (size_t)31);
    if (str_starts(l->file, "cpuset."))
        return cpuset_all(l->file, text);
    if (str_eq(l->file, "io.max"))
        snprintf(text, 128, "%.*s rbps=max wbps=max riops=max wiops=max", device, l->value);
    else if (str_starts(l->file, "blkio.throttle."))
        snprintf(text, 128, "%.*s 0", device, l->value);
    else
        return NULL;
    return text;
}

/* The limit of a list that is about the same thing: io.max has one for each device. */
static const struct limit *limit_like(const struct limit *list, int n, const struct limit *l)
{
    bool device = str_eq(l->file, "io.max") || str_starts(l->file, "blkio.throttle.");
    size_t len = strcspn(l->value, " ") + 1;
    for (int i = 0; i < n; i++)
        if (str_eq(list[i].file, l->file) &&
            (!device || strncmp(list[i].value, l->value, len) == 0))
            return &list[i];
    return NULL;
}

/* Append to out, which has n, what undoes those of `from` that `to` has not. */
static int limits_undo(const struct limit *from, int nfrom, const struct limit *to, int nto,
                       struct limit *out, int n, struct error *err)
{
    char text[128];
    for (int i = 0; i < nfrom && n >= 0; i++) {
        if (limit_like(to, nto, &from[i]))
            continue;
        const char *value = unlimited(&from[i], text);
        if (!value)
            return error_set(err, 0, "what '%s' is without a limit is not known: it takes a start",
                             from[i].file);
        n = limit_put(out, n, from[i].controller, from[i].file, value, err);
    }
    return n;
}

/* Those of `to` that `from` has not, and what undoes those of `from` that `to` has not. */
static int limits_differ(const struct limit *from, int nfrom, const struct limit *to, int nto,
                         struct limit *out, struct error *err)
{
    int n = 0;
    for (int i = 0; i < nto; i++) {
        const struct limit *old = limit_like(from, nfrom, &to[i]);
        if (!old || !str_eq(old->value, to[i].value))
            n = limit_put(out, n, to[i].controller, to[i].file, to[i].value, err);
    }
    return n < 0 ? -1 : limits_undo(from, nfrom, to, nto, out, n, err);
}

/*
 * Write them. Two limits may have to be kept in order (memory, and memory with swap): what is
 * refused at first is tried again behind the others.
 */
static int limits_write(struct cgroup *cg, const struct limit *list, int n, struct error *err)
{
    bool done[2 * LIMITS_MAX] = {false};
    struct error why;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < n; i++) {
            done[i] = done[i] || cgroup_limit(cg, &list[i], &why) == 0;
            if (!done[i] && pass == 1) {
                *err = why;
                return -1;
            }
        }
    return 0;
}

int limits_change(struct cgroup *cg, const struct guest_def *before, const struct guest_def *now,
                  struct error *err)
{
    struct limit from[LIMITS_MAX], to[LIMITS_MAX], change[LIMITS_MAX];
    const unsigned v1 = cgroup_v1();
    struct error why;
    int nfrom = limits_of(before, v1, from, err);
    int nto = nfrom < 0 ? -1 : limits_of(now, v1, to, err);
    int n = nto < 0 ? -1 : limits_differ(from, nfrom, to, nto, change, err);
    if (n < 0 || limits_write(cg, change, n, err) == 0)
        return n < 0 ? -1 : 0;
    n = limits_differ(to, nto, from, nfrom, change, &why);
    if (n > 0)
        limits_write(cg, change, n, &why);
    return error_hint(err, "nothing was changed");
}

/* ---- of a keeper ---- */

/* What the files say now, to be put back. One that takes a line for each device stays as it is. */
static int limits_now(const struct cgroup *cg, const struct limit *list, int n, struct limit *out)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        const bool v1 = cgroup_v1() & (1u << list[i].controller);
        const int dir = v1 ? cg->v1[list[i].controller] : cg->v2;
        cleanup_free char *value = NULL;
        if (dir < 0 || strchr(list[i].value, '=') || str_starts(list[i].file, "blkio.throttle.") ||
            file_read_at(dir, list[i].file, sizeof out->value - 1, &value, NULL, NULL) < 0)
            continue;
        out[count] = list[i];
        snprintf(out[count++].value, sizeof out->value, "%s", str_trim(value));
    }
    return count;
}

int limits_keeper(const char *name, pid_t keeper, const struct conf *before, const struct conf *now,
                  struct error *err)
{
    struct limit from[LIMITS_MAX], to[2 * LIMITS_MAX], gone[LIMITS_MAX], old[2 * LIMITS_MAX];
    const struct guest_def was = {.conf = (struct conf *)before}, is = {.conf = (struct conf *)now};
    const unsigned v1 = cgroup_v1();
    struct cgroup cg;
    struct error why;
    const int nfrom = before ? limits_of(&was, v1, from, err) : 0;
    int n = nfrom < 0 ? -1 : limits_of(&is, v1, to, err);
    /* What was said for as long as it runs is not known: each is written. */
    const int ngone = n < 0 ? -1 : limits_undo(from, nfrom, to, n, gone, 0, err);
    if (ngone < 0)
        return -1;
    for (int i = 0; i < ngone; i++)
        to[n++] = gone[i];
    if (n == 0)
        return 0;
    int ret = cgroup_of_keeper(&cg, name, keeper, true, err);
    const int nold = limits_now(&cg, to, n, old);
    if (ret == 0 && (ret = limits_write(&cg, to, n, err)) < 0) {
        limits_write(&cg, old, nold, &why);
        error_hint(err, "nothing was changed");
    }
    cgroup_close(&cg);
    return ret;
}

int limits_keeper_check(const char *name, const struct conf *now, struct error *err)
{
    struct guest_def def = {.conf = (struct conf *)now};
    snprintf(def.name, sizeof def.name, "%s", name);
    return cgroup_check(&def, err);
}

char *limits_cores(const char *cpu_max)
{
    long long quota, period = CPU_PERIOD_US;
    if (sscanf(cpu_max, "%lld %lld", &quota, &period) < 1 || quota < 1 || period < 1)
        return NULL;
    char *text = xasprintf("%.3f", (double)quota / (double)period);
    for (size_t n = strlen(text); text[n - 1] == '0' || text[n - 1] == '.'; n--) {
        const bool point = text[n - 1] == '.';
        text[n - 1] = '\0';
        if (point)
            break;
    }
    return text;
}
