/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vCPUs saved and loaded, see cpustate.h.
 *
 * The order of loading is KVM's wish: CPUID first, which says what the others may have; special
 * registers before the LAPIC, whose base is one of them; the LAPIC before the MSRs, of which the TSC
 * deadline arms its timer; what is pending last.
 */
#include "kvm/cpustate.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "kvm/cpu.h"

#define MSRS_MOST   1024u
#define NESTED_MOST (64u << 10)

#define CPUID_KVM_FEATURES 0x40000001 /* Linux, virt/kvm/x86/cpuid.rst */

#define MSR_TSC               0x10
#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_VMX_BASIC         0x480 /* the first that tells what a nested VMX can do … */
#define MSR_VMX_VMFUNC        0x491 /* … and the last: what KVM says of itself */
#define MSR_PERF_CAPABILITIES 0x345
#define MSR_CORE_CAPABILITIES 0xcf
#define MSR_PLATFORM_INFO     0xce
#define MSR_UCODE_REV         0x8b
#define MSR_DE_CFG            0xc0011029

/* Rates of a TSC that are the same to a guest (NTP corrects twice that). */
#define TSC_TOLERANCE_PPM 250u

/* ---- what KVM can save ---- */

/* Those that tell what the CPU or KVM is, and are no state: a host has its own. */
static bool is_description(uint32_t msr)
{
    static const uint32_t others[] = {MSR_ARCH_CAPABILITIES, MSR_PERF_CAPABILITIES,
                                      MSR_CORE_CAPABILITIES, MSR_PLATFORM_INFO,
                                      MSR_UCODE_REV,         MSR_DE_CFG};

    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        if (msr == others[i])
            return true;
    return msr >= MSR_VMX_BASIC && msr <= MSR_VMX_VMFUNC;
}

/* The model-specific registers that this KVM can save. The caller frees it. NULL: see err. */
static struct kvm_msr_list *ask_msrs(int kvm, struct error *err)
{
    cleanup_free struct kvm_msr_list *l =
        xcalloc(1, sizeof(*l) + MSRS_MOST * sizeof(l->indices[0]));
    unsigned n = 0;

    l->nmsrs = MSRS_MOST;
    if (ioctl(kvm, KVM_GET_MSR_INDEX_LIST, l) < 0) {
        error_set(err, errno, "ask KVM for its model-specific registers");
        return NULL;
    }
    for (unsigned i = 0; i < l->nmsrs; i++)
        if (!is_description(l->indices[i]))
            l->indices[n++] = l->indices[i];
    l->nmsrs = n;
    return steal_ptr(l);
}

int cpustate_host(int kvm, int vm, struct cpustate_host *host, struct error *err)
{
    *host = (struct cpustate_host){.xsave = sizeof(struct kvm_xsave)};
#ifdef KVM_CAP_XSAVE2
    const int size = ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);
    host->xsave2 = size > 0;
    host->xsave = max(host->xsave, (uint32_t)max(size, 0));
#endif
    host->xcrs = ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_XCRS) > 0;
    host->nested = ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE) > 0;
    host->msrs = ask_msrs(kvm, err);
    return host->msrs ? 0 : -1;
}

void cpustate_host_clear(struct cpustate_host *host)
{
    free(host->msrs);
    *host = (struct cpustate_host){0};
}

/* ---- what the guest sees of the CPU ---- */

/* Leaves whose bits are features, and the registers that have them. */
static const struct {
    uint32_t leaf, index;
    bool eax, ebx, ecx, edx;
} feature_leaves[] = {
    {0x1, 0, false, false, true, true},
    {0x7, 0, false, true, true, true},
    {0x7, 1, true, false, false, true},
    {0xd, 0, true, false, false, true},
    {0xd, 1, true, false, false, false},
    {0x80000001, 0, false, false, true, true},
    {0x80000007, 0, false, false, false, true},
    {0x80000008, 0, false, true, false, false},
    {CPUID_KVM_FEATURES, 0, true, false, false, false},
};

/* Is this one of the guest's own doing, mirrored in CPUID (OSXSAVE, OSPKE)? */
#define LEAF1_ECX_OSXSAVE (1u << 27)
#define LEAF7_ECX_OSPKE   (1u << 4)

static const struct kvm_cpuid_entry2 *find_leaf(const struct kvm_cpuid2 *c, uint32_t leaf,
                                                uint32_t index)
{
    for (unsigned i = 0; i < c->nent; i++)
        if (c->entries[i].function == leaf && c->entries[i].index == index)
            return &c->entries[i];
    return NULL;
}

/* Has the guest been shown something that is not here? */
static bool lacks(const struct kvm_cpuid2 *shown, const struct kvm_cpuid2 *here, uint32_t *leaf)
{
    static const struct kvm_cpuid_entry2 none;

    for (unsigned i = 0; i < ARRAY_SIZE(feature_leaves); i++) {
        const struct kvm_cpuid_entry2 *a =
            find_leaf(shown, feature_leaves[i].leaf, feature_leaves[i].index);
        const struct kvm_cpuid_entry2 *b =
            find_leaf(here, feature_leaves[i].leaf, feature_leaves[i].index);
        uint32_t ours = feature_leaves[i].leaf == 1   ? LEAF1_ECX_OSXSAVE
                        : feature_leaves[i].leaf == 7 ? LEAF7_ECX_OSPKE
                                                      : 0;
        if (!a)
            continue;
        if (!b)
            b = &none;
        *leaf = feature_leaves[i].leaf;
        if ((feature_leaves[i].eax && a->eax & ~b->eax) ||
            (feature_leaves[i].ebx && a->ebx & ~b->ebx) ||
            (feature_leaves[i].ecx && a->ecx & ~(b->ecx | ours)) ||
            (feature_leaves[i].edx && a->edx & ~b->edx))
            return true;
    }
    return false;
}

static struct kvm_cpuid2 *get_cpuid(int vcpu, struct state *s)
{
    struct kvm_cpuid2 *c = xcalloc(1, sizeof(*c) + CPU_LEAVES * sizeof(c->entries[0]));

    c->nent = CPU_LEAVES;
    if (ioctl(vcpu, KVM_GET_CPUID2, c) < 0)
        state_refuse(s, "read CPUID: %s", strerror(errno));
    return c;
}

/* It was set up as a CPU of this host, which is held against the one that the guest saw. */
static void load_cpuid(int vcpu, const struct kvm_cpuid2 *shown, struct state *s)
{
    cleanup_free struct kvm_cpuid2 *here = get_cpuid(vcpu, s);
    const struct kvm_cpuid_entry2 *was = find_leaf(shown, 0, 0), *is = find_leaf(here, 0, 0);
    uint32_t leaf;

    if (!was || !is || was->ebx != is->ebx || was->ecx != is->ecx || was->edx != is->edx)
        state_refuse(s, "it was saved on a CPU of another maker");
    else if (lacks(shown, here, &leaf))
        state_refuse(s, "this host's CPU or KVM lacks a feature that the guest uses (CPUID %#x)",
                     leaf);
    else if (ioctl(vcpu, KVM_SET_CPUID2, shown) < 0)
        state_refuse(s, "the CPUID in the saved state: %s", strerror(errno));
}

static void cpuid_state(int vcpu, struct state *s)
{
    cleanup_free struct kvm_cpuid2 *c = get_cpuid(vcpu, s);

    state_item(s, c->nent);
    if (c->nent > CPU_LEAVES)
        state_refuse(s, "the saved state has %u leaves of CPUID", c->nent);
    if (s->invalid)
        return;
    state_bytes(s, c->entries, c->nent * sizeof(c->entries[0]));
    if (s->loading && !s->invalid)
        load_cpuid(vcpu, c, s);
}

/* ---- model-specific registers ---- */

/* Room for one. */
union one_msr {
    struct kvm_msrs list;
    uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
};

static bool get_msr(int vcpu, struct kvm_msr_entry *e)
{
    union one_msr one = {.list.nmsrs = 1};

    memcpy(one.list.entries, e, sizeof(*e));
    if (ioctl(vcpu, KVM_GET_MSRS, &one) != 1)
        return false;
    memcpy(e, one.list.entries, sizeof(*e));
    return true;
}

static bool set_msr(int vcpu, const struct kvm_msr_entry *e)
{
    union one_msr one = {.list.nmsrs = 1};

    memcpy(one.list.entries, e, sizeof(*e));
    return ioctl(vcpu, KVM_SET_MSRS, &one) == 1;
}

static bool is_listed(const struct kvm_msr_list *l, uint32_t msr)
{
    for (unsigned i = 0; i < l->nmsrs; i++)
        if (l->indices[i] == msr)
            return true;
    return false;
}

/* Only what this KVM would have saved. One that cannot be set is let be where it is as it was. */
static void load_msr(int vcpu, const struct kvm_msr_list *list, struct kvm_msr_entry e,
                     uint64_t tsc_khz, struct state *s)
{
    struct kvm_msr_entry now = {.index = e.index};

    if (!is_listed(list, e.index)) {
        log_once("MSR %#x of the saved state is unknown here, and left out", e.index);
        return;
    }
    if (e.index == MSR_TSC) /* it has gone on: ms first, so that nothing overflows */
        e.data += s->elapsed_ns / 1000000 * tsc_khz + s->elapsed_ns % 1000000 * tsc_khz / 1000000;
    if (set_msr(vcpu, &e) || (get_msr(vcpu, &now) && now.data == e.data))
        return;
    state_refuse(s, "MSR %#x cannot be %#llx here, as it is in the saved state", e.index,
                 (unsigned long long)e.data);
}

static void msrs_state(int vcpu, const struct kvm_msr_list *list, uint64_t tsc_khz, struct state *s)
{
    cleanup_free struct kvm_msr_entry *all = xcalloc(MSRS_MOST, sizeof(all[0]));
    uint32_t n = 0;

    for (unsigned i = 0; !s->loading && i < list->nmsrs; i++) {
        all[n] = (struct kvm_msr_entry){.index = list->indices[i]};
        n += get_msr(vcpu, &all[n]); /* one that this vCPU has not */
    }
    state_item(s, n);
    if (n > MSRS_MOST)
        state_refuse(s, "the saved state has %u model-specific registers", n);
    for (unsigned i = 0; i < n && !s->invalid; i++) {
        state_item(s, all[i].index);
        state_item(s, all[i].data);
        if (s->loading && !s->invalid)
            load_msr(vcpu, list, all[i], tsc_khz, s);
    }
}

/* ---- the rest ---- */

/* One structure that KVM gives and takes. A name, and whether one that is refused matters. */
static void blob(int vcpu, struct state *s, const char *what, unsigned long get, unsigned long set,
                 void *data, size_t len)
{
    if (!s->loading && ioctl(vcpu, get, data) < 0)
        state_refuse(s, "read a vcpu's %s: %s", what, strerror(errno));
    if (s->invalid)
        return;
    state_bytes(s, data, len);
    if (s->loading && !s->invalid && ioctl(vcpu, set, data) < 0)
        state_refuse(s, "a vcpu's %s in the saved state: %s", what, strerror(errno));
}

/* The FPU and all that came after it, as long as this CPU has it. */
static void xsave_state(int vcpu, const struct cpustate_host *host, struct state *s)
{
    unsigned long get = KVM_GET_XSAVE;
    uint32_t had = host->xsave;

#ifdef KVM_CAP_XSAVE2
    if (host->xsave2)
        get = KVM_GET_XSAVE2;
#endif
    state_item(s, had);
    if (had != host->xsave) {
        state_refuse(s, "the saved state has %u bytes of floating point registers, not %u", had,
                     host->xsave);
        return;
    }
    cleanup_free uint8_t *data = xcalloc(1, host->xsave);
    blob(vcpu, s, "floating point registers", get, KVM_SET_XSAVE, data, host->xsave);
}

/* Where the guest runs guests of its own. */
static void nested_state(int vcpu, const struct cpustate_host *host, struct state *s)
{
    cleanup_free struct kvm_nested_state *n = xcalloc(1, NESTED_MOST);
    uint32_t size = 0;

    n->size = NESTED_MOST;
    if (!s->loading && host->nested && ioctl(vcpu, KVM_GET_NESTED_STATE, n) == 0)
        size = n->size;
    state_item(s, size);
    if (size > NESTED_MOST)
        state_refuse(s, "the saved state has %u bytes of nested state", size);
    if (s->invalid || !size)
        return;
    state_bytes(s, n, size);
    if (s->invalid || !s->loading)
        return;
    if (size < sizeof(*n) || n->size != size)
        state_refuse(s, "the nested state in the saved state has another size");
    else if (ioctl(vcpu, KVM_SET_NESTED_STATE, n) < 0 && size > sizeof(*n))
        state_refuse(s, "the guest ran guests of its own, which cannot go on here: %s",
                     strerror(errno));
}

/* The rate of the TSC in kHz, which the guest measured at its start. */
static void tsc_state(int vcpu, uint64_t *khz, struct state *s)
{
    const int here = ioctl(vcpu, KVM_GET_TSC_KHZ, 0);

    *khz = here > 0 ? (uint64_t)here : 0;
    state_item(s, *khz);
    if (!s->loading || s->invalid || here <= 0 || !*khz)
        return;
    const uint64_t differ = *khz > (uint64_t)here ? *khz - (uint64_t)here : (uint64_t)here - *khz;
    if (*khz > UINT32_MAX)
        state_refuse(s, "the saved state has a TSC of %llu kHz", (unsigned long long)*khz);
    else if (differ > (uint64_t)here * TSC_TOLERANCE_PPM / 1000000 &&
             ioctl(vcpu, KVM_SET_TSC_KHZ, (unsigned long)*khz) < 0)
        state_refuse(s, "its time stamp counter ran at %llu kHz, and cannot here (%d kHz)",
                     (unsigned long long)*khz, here);
}

void cpu_state(int vcpu, unsigned index, const struct cpustate_host *host, struct state *s)
{
    struct kvm_mp_state run = {0};
    struct kvm_sregs sregs = {0};
    struct kvm_regs regs = {0};
    struct kvm_xcrs xcrs = {0};
    struct kvm_debugregs debug = {0};
    struct kvm_lapic_state lapic = {0};
    struct kvm_vcpu_events events = {0};
    uint64_t khz = 0;
    char name[16];

    snprintf(name, sizeof(name), "vcpu %u", index);
    if (!state_section(s, name, 1))
        return;
    cpuid_state(vcpu, s);
    tsc_state(vcpu, &khz, s);
    /* It says what else there is, and KVM settles it when it is read: first. */
    blob(vcpu, s, "run state", KVM_GET_MP_STATE, KVM_SET_MP_STATE, &run, sizeof(run));
    blob(vcpu, s, "special registers", KVM_GET_SREGS, KVM_SET_SREGS, &sregs, sizeof(sregs));
    if (!s->invalid)
        nested_state(vcpu, host, s);
    blob(vcpu, s, "registers", KVM_GET_REGS, KVM_SET_REGS, &regs, sizeof(regs));
    if (host->xcrs)
        blob(vcpu, s, "extended control registers", KVM_GET_XCRS, KVM_SET_XCRS, &xcrs,
             sizeof(xcrs));
    if (!s->invalid)
        xsave_state(vcpu, host, s);
    blob(vcpu, s, "LAPIC", KVM_GET_LAPIC, KVM_SET_LAPIC, &lapic, sizeof(lapic));
    if (!s->invalid)
        msrs_state(vcpu, host->msrs, khz, s);
    blob(vcpu, s, "debug registers", KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, &debug, sizeof(debug));
    blob(vcpu, s, "events", KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, &events, sizeof(events));
}
