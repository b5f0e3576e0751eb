/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The limits of a VM: its keeper, here a process that does nothing, is put into a group of its own
 * and limited while it runs, by either version of cgroups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/conf.h"
#include "base/util.h"
#include "guest/cgroup.h"
#include "guest/limits.h"
#include "scratch.h"

static pid_t sleeper(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    return pid;
}

static struct conf *limits(const char *cpu, const char *weight, const char *cpuset)
{
    struct conf *c = conf_new("");
    conf_set(c, "guest.cpus", "2"); /* vCPUs, and no limit */
    conf_set(c, "guest.memory", "64M");
    if (cpu)
        conf_set(c, "vm.cgroup2.cpu.max", cpu);
    if (weight)
        conf_set(c, "vm.cgroup2.cpu.weight", weight);
    if (cpuset)
        conf_set(c, "vm.cgroup2.cpuset.cpus", cpuset);
    return c;
}

/* What a file of the keeper's group says; v1's, where its controller is of v1. Caller frees. */
static char *said(pid_t pid, const char *controller, const char *v1, const char *v2)
{
    char path[64], line[512];
    char *found = NULL;
    snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
    cleanup_fclose FILE *f = fopen(path, "re");
    cleanup_free char *one = xasprintf(":%s:/", controller);
    const bool pure = access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0;
    while (f && !found && fgets(line, sizeof line, f)) {
        const char *at = pure ? (str_starts(line, "0::/") ? line + 3 : NULL) : strstr(line, one);
        if (!at)
            continue;
        at = strchr(at, '/');
        cleanup_free char *file =
            xasprintf("/sys/fs/cgroup%s%s%.*s/%s", pure ? "" : "/", pure ? "" : controller,
                      (int)strcspn(at, "\n"), at, pure ? v2 : v1);
        found = scratch_read(file);
    }
    return found ? str_trim(found) : xstrdup("(no group)");
}

static void says(pid_t pid, const char *controller, const char *v1, const char *v2,
                 const char *want1, const char *want2)
{
    cleanup_free char *have = said(pid, controller, v1, v2);
    assert_string_equal(have,
                        access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0 ? want2 : want1);
}

static void has(pid_t pid, const char *quota1, const char *quota2, const char *shares,
                const char *weight)
{
    says(pid, "cpu", "cpu.cfs_quota_us", "cpu.max", quota1, quota2);
    says(pid, "cpu", "cpu.shares", "cpu.weight", shares, weight);
}

/* The processes of the group that limits its CPU time: itself alone. */
static void alone(pid_t pid)
{
    char number[16];
    snprintf(number, sizeof number, "%d", pid);
    says(pid, "cpu", "cgroup.procs", "cgroup.procs", number, number);
}

static bool groups_left(const char *name)
{
    cleanup_free char *find = xasprintf("find /sys/fs/cgroup -name '%s@*' | grep -q .", name);
    return system(find) == 0;
}

static void while_it_runs(void **unused)
{
    (void)unused;
    struct error err = {0};
    cleanup_conf struct conf *none = limits(NULL, NULL, NULL);
    cleanup_conf struct conf *half = limits("50000 100000", "200", NULL);
    cleanup_conf struct conf *one = limits("100000 100000", "200", "0");
    cleanup_conf struct conf *bad = limits("20000 100000", "50", "4000");
    if (geteuid() != 0 || limits_keeper_check("limits-1", half, &err) < 0)
        skip();
    const pid_t pid = sleeper();

    assert_int_equal(limits_keeper("limits-1", pid, NULL, none, &err), 0);
    assert_false(groups_left("limits-1"));

    if (limits_keeper("limits-1", pid, NULL, half, &err) < 0)
        fail_msg("%s", err.text);
    alone(pid);
    has(pid, "50000", "50000 100000", "2048", "200");

    if (limits_keeper("limits-1", pid, half, one, &err) < 0)
        fail_msg("%s", err.text);
    alone(pid);
    has(pid, "100000", "100000 100000", "2048", "200");
    says(pid, "cpuset", "cpuset.cpus", "cpuset.cpus", "0", "0");

    assert_int_equal(limits_keeper("limits-1", pid, one, bad, &err), -1);
    assert_non_null(strstr(err.text, "nothing was changed"));
    has(pid, "100000", "100000 100000", "2048", "200");

    if (limits_keeper("limits-1", pid, one, none, &err) < 0)
        fail_msg("%s", err.text);
    has(pid, "-1", "max 100000", "1024", "100");

    assert_true(groups_left("limits-1"));
    cgroup_remove_keeper("limits-1", 0); /* of one that lives nothing is removed */
    alone(pid);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    cgroup_remove_keeper("limits-1", pid);
    assert_false(groups_left("limits-1"));
}

/* Keeper and janitor were both killed: whoever looks next finds the groups by the name. */
static void after_a_keeper(void **unused)
{
    (void)unused;
    struct error err = {0};
    cleanup_conf struct conf *half = limits("50000 100000", NULL, NULL);
    if (geteuid() != 0 || limits_keeper_check("limits-2", half, &err) < 0)
        skip();
    const pid_t pid = sleeper();
    assert_int_equal(limits_keeper("limits-2", pid, NULL, half, &err), 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(groups_left("limits-2"));
    cgroup_remove_keeper("limits", 0); /* another guest's */
    assert_true(groups_left("limits-2"));
    for (int i = 0; i < 200 && groups_left("limits-2"); i++) /* v1 is busy for a moment yet */
        cgroup_remove_keeper("limits-2", 0);
    assert_false(groups_left("limits-2"));
}

/* A user to whom nothing was delegated is told so, and what would help. */
static void not_delegated(void **unused)
{
    (void)unused;
    cleanup_conf struct conf *half = limits("50000 100000", NULL, NULL);
    int status = -1;
    if (geteuid() != 0)
        skip();
    const pid_t pid = fork();
    if (pid == 0) {
        struct error err = {0};
        if (setresuid(54321, 54321, 54321) < 0 ||
            limits_keeper_check("limits-3", half, &err) == 0 ||
            !strstr(err.text, "'cpu', which is not delegated to this user; ") ||
            !(strstr(err.text, "systemd-run --user") || strstr(err.text, "root alone can limit")))
            _exit(1);
        memset(&err, 0, sizeof err);
        _exit(limits_keeper("limits-3", getpid(), NULL, half, &err) == 0 ||
              !strstr(err.text, "which is not delegated to this user; "));
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    assert_int_equal(status, 0);
}

static void as_cores(void **unused)
{
    (void)unused;
    static const struct {
        const char *max, *cores;
    } all[] = {{"50000 100000", "0.5"}, {"200000 100000", "2"},   {"1000000 100000", "10"},
               {"33300", "0.333"},      {"max 100000", "(none)"}, {"", "(none)"}};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        cleanup_free char *cores = limits_cores(all[i].max);
        assert_string_equal(cores ? cores : "(none)", all[i].cores);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(while_it_runs),
        scratch_test(after_a_keeper),
        scratch_test(not_delegated),
        cmocka_unit_test(as_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
