/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits are gathered in the spelling of the version that the controller has on this host. Each
 * file that both versions know in some form stands in one table, with the way from each to the
 * other.
 */
#include "lxc/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "lxc/container.h"

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

static const struct {
    const char *v2, *v1;
    void (*to_v1)(const char *v, char out[128]);
    void (*to_v2)(const char *v, char out[128]);
} both[] = {
    {"memory.max", "memory.limit_in_bytes", max_to_v1, max_to_v2},
    {"cpu.max", "cpu.cfs_quota_us", cpu_to_v1, cpu_to_v2},
    {"cpu.weight", "cpu.shares", weight_to_v1, weight_to_v2},
    {"cpuset.cpus", "cpuset.cpus", same, same},
    {"cpuset.mems", "cpuset.mems", same, same},
    {"pids.max", "pids.max", same, same},
};

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

/* Append file = value, said in version `said`, in the version that its controller has here. */
static int limit_add(struct limit *list, int n, const char *file, const char *value, int said,
                     unsigned v1, struct error *err)
{
    int controller = controller_of(file);
    if (controller < 0)
        return error_set(err, 0, "no cgroup controller here has a file '%s'", file);
    if (n == LIMITS_MAX || strlen(file) >= sizeof list->file || strlen(value) >= sizeof list->value)
        return error_set(err, 0, "'%s' is too much", file);
    struct limit *l = &list[n];
    int here = v1 & (1u << controller) ? 1 : 2;
    l->controller = controller;
    if (here == said) {
        snprintf(l->file, sizeof l->file, "%s", file);
        same(value, l->value);
        return n + 1;
    }
    for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
        if (!str_eq(file, said == 1 ? both[i].v1 : both[i].v2))
            continue;
        snprintf(l->file, sizeof l->file, "%s", said == 1 ? both[i].v2 : both[i].v1);
        (said == 1 ? both[i].to_v2 : both[i].to_v1)(value, l->value);
        return n + 1;
    }
    return error_set(err, 0, "'%s' is of cgroup v%d, and this host's is v%d", file, said, here);
}

int limits_of(const struct guest_def *def, unsigned v1, struct limit list[LIMITS_MAX],
              struct error *err)
{
    static const struct {
        const char *prefix;
        int said;
    } keys[] = {{"lxc.cgroup.", 1}, {"lxc.cgroup2.", 2}};
    char value[64];
    int n = 0;
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
            if (!l->key || !str_starts(l->key, keys[k].prefix) || !*l->value)
                continue;
            const char *file = l->key + strlen(keys[k].prefix);
            if (!str_starts(file, "devices."))
                n = limit_add(list, n, file, l->value, keys[k].said, v1, err);
            if (n < 0)
                error_wrap(err, "%s:%u: %s", l->file, l->number, l->key);
        }
    }
    return n;
}
