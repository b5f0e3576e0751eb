/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keys of a definition: what they mean, and what is said of wrong ones. Needs no KVM.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "guest/def.h"
#include "kvm/settings.h"

static struct settings s;
static struct error err;

/* Read a definition with these keys ("key=value", NULL-terminated). */
static int read_keys(int64_t cpus_milli, uint64_t memory, const char *const *pairs)
{
    cleanup_conf struct conf *conf = conf_new("test");
    const struct guest_def def = {.conf = conf, .cpus_milli = cpus_milli, .memory = memory};

    for (; *pairs; pairs++) {
        char key[64];
        const char *eq = strchr(*pairs, '=');
        snprintf(key, sizeof(key), "%.*s", (int)(eq - *pairs), *pairs);
        conf_set(conf, key, eq + 1);
    }
    return settings_read(&def, &s, &err);
}
#define READ(cpus, memory, ...) \
    read_keys((cpus)*1000, memory, (const char *const[]){__VA_ARGS__, NULL})

static void refused(const char *say)
{
    if (!strstr(err.text, say))
        fail_msg("it says: %s", err.text);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(READ(0, 0, NULL), 0);
    assert_int_equal(s.memory.size, 512 << 20);
    assert_int_equal(topology_cpus(&s.topology), 1);
    assert_int_equal(CPU_COUNT(&s.affinity[0]), 0);
    assert_int_equal(READ(3, (64 << 20) + 1, NULL), 0);
    assert_int_equal(s.memory.size, (64 << 20) + 4096);
    assert_int_equal(s.topology.cores, 3);
}

static void test_topology(void **state)
{
    static const char *const bad[] = {"",       "2",    "2x2",  "2x2x2x2", "0x1x1", "axbxc",
                                      "1x1x65", "1x1x", "x1x1", "1 x1x1",  "-1x1x1"};

    (void)state;
    assert_int_equal(READ(12, 0, "vm.cpu.topology=2x3x2"), 0);
    assert_int_equal(s.topology.sockets, 2);
    assert_int_equal(s.topology.cores, 3);
    assert_int_equal(s.topology.threads, 2);
    assert_int_equal(READ(4, 0, "vm.cpu.topology=2x3x2"), -1);
    refused("2x3x2 makes 12 CPUs, and guest.cpus is 4");
    assert_int_equal(read_keys(1500, 0, (const char *const[]){NULL}), -1);
    refused("whole number");
    assert_int_equal(READ(65, 0, NULL), -1);
    refused("at most 64");
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(settings_is_topology(bad[i], &err), -1);
        refused("such as 1x4x2");
    }
    assert_int_equal(settings_is_topology("1x64x1", &err), 0);
}

static void test_affinity(void **state)
{
    static const char *const bad[] = {"a",     "0-",    "3-1",       "0:",  ":0",
                                      "0:1:2", "0,",    "0:0 0:1",   "0 1", "0 1:1",
                                      "64:0",  "99999", "0:0-99999", "0..3"};
    cpu_set_t mine;
    char value[64];
    unsigned cpu = 0;

    (void)state;
    sched_getaffinity(0, sizeof(mine), &mine);
    while (!CPU_ISSET(cpu, &mine))
        cpu++;
    snprintf(value, sizeof(value), "vm.cpu.affinity=%u", cpu);
    assert_int_equal(READ(2, 0, value), 0);
    assert_int_equal(CPU_COUNT(&s.affinity[0]), 1);
    assert_true(CPU_ISSET(cpu, &s.affinity[1]));
    snprintf(value, sizeof(value), "vm.cpu.affinity=1,3:%u 2:%u", cpu, cpu);
    assert_int_equal(READ(4, 0, value), 0);
    assert_int_equal(CPU_COUNT(&s.affinity[0]), 0);
    assert_true(CPU_ISSET(cpu, &s.affinity[1]) && CPU_ISSET(cpu, &s.affinity[2]));
    assert_true(CPU_ISSET(cpu, &s.affinity[3]));
    assert_int_equal(READ(3, 0, value), -1);
    refused("for vCPU 3, and the VM has 3");
    assert_int_equal(READ(1, 0, "vm.cpu.affinity=1023"), -1);
    refused("CPU 1023 is not there");
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        if (settings_is_affinity(bad[i], &err) == 0)
            fail_msg("'%s' is taken", bad[i]);
    assert_int_equal(settings_is_affinity("0-3,8", &err), 0);
    assert_int_equal(settings_is_affinity("0:2 1:3", &err), 0);
    assert_int_equal(settings_is_affinity("0-3:8-11 4,5:0", &err), 0);
}

static void test_memory(void **state)
{
    (void)state;
    assert_int_equal(READ(1, 1 << 20, NULL), -1);
    refused("at least 16M");
    assert_int_equal(READ(1, 0, "vm.memory.ksm=1"),
                     access("/sys/kernel/mm/ksm/run", F_OK) == 0 ? 0 : -1);
    assert_int_equal(READ(1, 0, "vm.memory.hugepages=4M"), -1);
    refused("2M and 1G");
    assert_int_equal(READ(1, 0, "vm.memory.hugepages=0"), 0);
    assert_int_equal(s.memory.huge, 0);
    assert_int_equal(READ(1, (64 << 20) + 4096, "vm.memory.hugepages=2M"), -1);
    refused("no multiple");
    assert_int_equal(READ(1, 64 << 20, "vm.memory.hugepages=2M", "vm.memory.ksm=yes"), -1);
    refused("not merged");
    /* More than any pool here. */
    if (access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) < 0)
        return;
    if (READ(1, 4ull << 30, "vm.memory.hugepages=2M") == -1 && !strstr(err.text, "this host has"))
        refused("nr_hugepages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_topology),
        cmocka_unit_test(test_affinity),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
