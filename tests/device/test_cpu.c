/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vCPU's CPUID says of the machine's topology, worked out from a made-up host's, and again
 * as an operating system works it out from there. Needs no KVM.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "kvm/cpu.h"
#include "kvm/machine.h"

static const struct cpu_topology topologies[] = {
    {1, 1, 1},  {1, 4, 1},  {2, 1, 1}, {1, 2, 2}, {2, 3, 2}, {3, 5, 3},  {64, 1, 1},
    {1, 64, 1}, {1, 1, 64}, {1, 9, 7}, {7, 3, 3}, {2, 4, 8}, {12, 1, 5}, {4, 5, 3},
};

#ifdef __clang__ /* the entries follow, as KVM wants it */
#pragma clang diagnostic ignored "-Wgnu-variable-sized-type-not-at-end"
#endif
struct cpuid {
    struct kvm_cpuid2 c;
    struct kvm_cpuid_entry2 room[CPU_LEAVES];
};

static void leaf(struct cpuid *c, uint32_t function, uint32_t index, uint32_t eax, uint32_t ebx,
                 uint32_t ecx, uint32_t edx)
{
    c->room[c->c.nent++] = (struct kvm_cpuid_entry2){
        .function = function, .index = index, .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx};
}

/* A host with 16 cores and other ideas. */
static struct cpuid *host(bool amd)
{
    struct cpuid *c = xcalloc(1, sizeof(*c));

    leaf(c, 0, 0, 0x1f, amd ? 0x68747541 : 0x756e6547, 0x444d4163, 0x69746e65);
    leaf(c, 1, 0, 0x800f12, 0x07100800, 0x1, 0x1 | 1u << 28);
    if (!amd)
        for (unsigned i = 0; i < 4; i++) /* two of level 1, one of 2, one of 3 */
            leaf(c, 4, i, 0x3c000001u | (i == 0 ? 1 : i) << 5 | 0x1f << 14, 0, 0, 0);
    leaf(c, 4, 4, 0, 0, 0, 0);
    leaf(c, 0xb, 0, 9, 9, 0x100, 9);
    leaf(c, 0x1f, 0, 9, 9, 0x100, 9);
    leaf(c, 0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d);
    leaf(c, 0x80000001, 0, 0, 0, 2, 0);
    leaf(c, 0x80000008, 0, 0x3030, 0, 0x400f, 0);
    if (amd) {
        for (unsigned i = 0; i < 4; i++)
            leaf(c, 0x8000001d, i, 0x1 | (i == 0 ? 1 : i) << 5 | 0x3c000, 0, 0, 0);
        leaf(c, 0x8000001e, 0, 7, 0x103, 0x300, 5);
        leaf(c, 0x80000026, 0, 1, 2, 3, 4);
    }
    return c;
}

static const struct kvm_cpuid_entry2 *get(const struct cpuid *c, uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < c->c.nent; i++)
        if (c->room[i].function == function && c->room[i].index == index)
            return &c->room[i];
    fail_msg("there is no leaf %#x/%u", function, index);
    return NULL;
}

static unsigned bits(uint32_t reg, unsigned hi, unsigned lo)
{
    return reg >> lo & ((2u << (hi - lo)) - 1);
}

/* Level 1 and 2 caches are a core's, level 3 a socket's, in terms of APIC ids. */
static void check_caches(const struct cpuid *c, uint32_t function, unsigned thread, unsigned socket)
{
    for (unsigned i = 0; i < 4; i++) {
        const struct kvm_cpuid_entry2 *e = get(c, function, i);
        unsigned level = bits(e->eax, 7, 5);
        assert_int_equal(bits(e->eax, 25, 14) + 1, 1u << (level == 3 ? socket : thread));
        if (function == 4)
            assert_int_equal(bits(e->eax, 31, 26) + 1, 1u << (socket - thread));
    }
}

static void check_one(const struct cpuid *features, const struct cpu_topology *t, unsigned index,
                      bool amd, bool seen[256])
{
    struct cpuid *c = xcalloc(1, sizeof(*c));

    cpu_describe(&features->c, t, index, &c->c);
    const struct kvm_cpuid_entry2 *f = get(c, 1, 0), *smt = get(c, 0xb, 0), *core = get(c, 0xb, 1);
    unsigned id = smt->edx;
    assert_true(id < 255 && !seen[id]);
    seen[id] = true;
    assert_int_equal(bits(f->ebx, 31, 24), id);
    assert_int_equal(bits(f->edx, 28, 28), t->cores * t->threads > 1);
    assert_true(f->ecx & 1u << 31 && f->ecx & 1u << 21);

    /* As Linux does it: shift the id by what the levels say (SDM 3A, 9.9.3). */
    assert_int_equal(bits(smt->ecx, 15, 8), 1);
    assert_int_equal(bits(core->ecx, 15, 8), 2);
    assert_int_equal(bits(get(c, 0xb, 2)->ecx, 15, 8), 0);
    assert_int_equal(smt->ebx, t->threads);
    assert_int_equal(core->ebx, t->cores * t->threads);
    unsigned thread_bits = smt->eax, socket_shift = core->eax;
    assert_int_equal(id & ((1u << thread_bits) - 1), index % t->threads);
    assert_int_equal(id >> thread_bits & ((1u << (socket_shift - thread_bits)) - 1),
                     index / t->threads % t->cores);
    assert_int_equal(id >> socket_shift, index / t->threads / t->cores);
    assert_int_equal(bits(f->ebx, 23, 16), 1u << socket_shift);
    assert_int_equal(get(c, 0x1f, 1)->eax, socket_shift);

    if (amd) {
        const struct kvm_cpuid_entry2 *e = get(c, 0x8000001e, 0), *n = get(c, 0x80000008, 0);
        assert_int_equal(e->eax, id);
        assert_int_equal(bits(e->ebx, 7, 0), index / t->threads % t->cores);
        assert_int_equal(bits(e->ebx, 15, 8) + 1, t->threads);
        assert_int_equal(e->ecx, index / t->threads / t->cores);
        assert_int_equal(bits(n->ecx, 7, 0) + 1, t->cores * t->threads);
        assert_int_equal(bits(n->ecx, 15, 12), socket_shift);
        assert_int_equal(bits(get(c, 0x80000001, 0)->ecx, 1, 1), t->cores * t->threads > 1);
        check_caches(c, 0x8000001d, thread_bits, socket_shift);
        for (unsigned i = 0; i < c->c.nent; i++)
            assert_int_not_equal(c->room[i].function, 0x80000026);
    } else {
        check_caches(c, 4, thread_bits, socket_shift);
        assert_int_equal(get(c, 4, 4)->eax, 0);
        assert_int_equal(get(c, 0x80000001, 0)->ecx, 2);
    }
    assert_int_equal(get(c, 0x40000000, 0)->ebx, 0x4b4d564b);
    free(c);
}

static void test_topology(void **state)
{
    (void)state;
    for (int amd = 0; amd < 2; amd++) {
        struct cpuid *features = host(amd);
        for (unsigned i = 0; i < ARRAY_SIZE(topologies); i++) {
            const struct cpu_topology *t = &topologies[i];
            bool seen[256] = {false};
            assert_true(topology_cpus(t) <= MACHINE_CPUS);
            for (unsigned n = 0; n < topology_cpus(t); n++)
                check_one(features, t, n, amd, seen);
        }
        free(features);
    }
}

/* No topology of at most 64 has an id of 255 or above. */
static void test_ids(void **state)
{
    (void)state;
    for (unsigned s = 1; s <= 64; s++)
        for (unsigned c = 1; s * c <= 64; c++)
            for (unsigned t = 1; s * c * t <= 64; t++) {
                const struct cpu_topology topology = {s, c, t};
                assert_true(topology_apic_id(&topology, s * c * t - 1) < 255);
                assert_true(topology_socket_shift(&topology) < 8); /* leaf 1 has a byte for it */
            }
}

/* A CPU without the leaf gets none; a list that is full gets no more. */
static void test_bounds(void **state)
{
    const struct cpu_topology t = {1, 2, 1};
    struct cpuid *features = xcalloc(1, sizeof(*features)), *c = xcalloc(1, sizeof(*c));

    (void)state;
    leaf(features, 0, 0, 0xa, 0x756e6547, 0, 0);
    cpu_describe(&features->c, &t, 1, &c->c);
    assert_int_equal(c->c.nent, 1);
    features->room[0].eax = 0x1f;
    while (features->c.nent < CPU_LEAVES)
        leaf(features, 0x40000000 + features->c.nent, 0, 0, 0, 0, 0);
    cpu_describe(&features->c, &t, 1, &c->c);
    assert_int_equal(c->c.nent, CPU_LEAVES);
    free(features);
    free(c);
}

/* An AMD that has no leaf of ids, as one that is emulated, still tells of threads. */
static void test_amd_without_ids(void **state)
{
    const struct cpu_topology t = {2, 2, 2};
    struct cpuid *features = xcalloc(1, sizeof(*features)), *c = xcalloc(1, sizeof(*c));

    (void)state;
    leaf(features, 0, 0, 0xd, 0x68747541, 0x444d4163, 0x69746e65);
    leaf(features, 0x80000000, 0, 0x8000000a, 0, 0, 0);
    leaf(features, 0x80000001, 0, 0, 0, 2, 0);
    cpu_describe(&features->c, &t, 5, &c->c);
    assert_int_equal(get(c, 0x80000000, 0)->eax, 0x8000001e);
    assert_int_equal(bits(get(c, 0x80000001, 0)->ecx, 22, 22), 1);
    assert_int_equal(get(c, 0x8000001e, 0)->eax, 5);
    assert_int_equal(get(c, 0x8000001e, 0)->ebx, 0x100);
    assert_int_equal(get(c, 0x8000001e, 0)->ecx, 1);
    free(features);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topology),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_amd_without_ids),
    };
    return cmocka_run_group_tests_name("cpu", tests, NULL, NULL);
}
