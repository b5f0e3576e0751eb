/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPUID, MSRs and first register values, see cpu.h. Leaf and bit numbers are those of Intel's
 * SDM (volume 2A, CPUID) and AMD's APM (volume 3, appendix E).
 */
#include "kvm/cpu.h"

#include <asm/processor-flags.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/util.h"

/* EBX of leaf 0: the first letters of the vendor's name. */
#define VENDOR_AMD   0x68747541 /* "Auth" */
#define VENDOR_HYGON 0x6f677948 /* "Hygo" */

#define MSR_MISC_ENABLE   0x1a0
#define MISC_FAST_STRING  0x1
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MTRR_WRITE_BACK   0x806 /* enabled, no ranges: all memory is write-back */

#define EFER_LONG_MODE 0x500 /* LME, LMA */

#define LAPIC_LVT0 0x350
#define LAPIC_LVT1 0x360
#define LVT_EXTINT 0x700
#define LVT_NMI    0x400

const uint64_t cpu_gdt[CPU_GDT_ENTRIES] = {
    [CPU_GDT_CODE32] = 0x00cf9b000000ffff,
    [CPU_GDT_CODE64] = 0x00af9b000000ffff, /* selector 0x10, as Linux's 64-bit entry asks */
    [CPU_GDT_DATA] = 0x00cf93000000ffff,   /* selector 0x18 */
    [CPU_GDT_TSS] = 0x00008b0000000067,
};

/* Leaves that are not the host's to tell: the topology, told anew, and AMD's newest form of it. */
enum { LEAF_TOPOLOGY = 0xb, LEAF_TOPOLOGY_V2 = 0x1f, LEAF_TOPOLOGY_AMD = 0x80000026 };
/* This one is AMD's way that Linux before 6.9 knows; where the host's CPU lacks it, it is added. */
#define LEAF_AMD_IDS 0x8000001e

/* One vCPU, and what all share. */
struct place {
    const struct cpu_topology *t;
    unsigned apic_id;
    unsigned thread_bits, socket_shift;
    unsigned siblings; /* vCPUs of a socket */
    bool amd;
};

static void set_bits(uint32_t *reg, unsigned hi, unsigned lo, uint32_t value)
{
    uint32_t mask = (uint32_t)((2ull << hi) - (1ull << lo));

    *reg = (*reg & ~mask) | ((value << lo) & mask);
}

/* Features: APIC id, the number of ids, and that a hypervisor with x2APIC is below. */
static void patch_features(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    set_bits(&e->ebx, 31, 24, p->apic_id);
    set_bits(&e->ebx, 23, 16, 1u << p->socket_shift);
    set_bits(&e->edx, 28, 28, p->siblings > 1); /* the number of ids is valid */
    e->ecx |= 1u << 31 | 1u << 21;
}

/* The ids that share a cache, less one: levels 1 and 2 belong to a core, the third to a socket. */
static uint32_t sharing(const struct kvm_cpuid_entry2 *e, const struct place *p)
{
    return (1u << ((e->eax >> 5 & 7) > 2 ? p->socket_shift : p->thread_bits)) - 1;
}

/* Intel's cache parameters. */
static void patch_caches(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    if (!(e->eax & 31)) /* no more caches */
        return;
    set_bits(&e->eax, 31, 26, (1u << (p->socket_shift - p->thread_bits)) - 1);
    set_bits(&e->eax, 25, 14, sharing(e, p));
}

/* The same of AMD's, which has no field for the cores of a package. */
static void patch_amd_caches(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    if (e->eax & 31)
        set_bits(&e->eax, 25, 14, sharing(e, p));
}

/* AMD: that there are siblings, told by leaf 1's count too, and which of them are threads of a core. */
static void patch_amd_features(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    if (!p->amd)
        return;
    set_bits(&e->ecx, 1, 1, p->siblings > 1);
    set_bits(&e->ecx, 22, 22, 1);
}

/* AMD: the last of the leaves, whatever the host's own is. */
static void patch_amd_last(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    if (p->amd && e->eax < LEAF_AMD_IDS)
        e->eax = LEAF_AMD_IDS;
}

/* AMD: number of threads, and how many bits of the APIC id number them. */
static void patch_amd_cores(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    set_bits(&e->ecx, 7, 0, p->siblings - 1);
    set_bits(&e->ecx, 15, 12, p->socket_shift);
}

/* AMD: this thread's ids; each socket is a node. */
static void patch_amd_ids(struct kvm_cpuid_entry2 *e, const struct place *p)
{
    unsigned core = p->apic_id >> p->thread_bits & ((1u << (p->socket_shift - p->thread_bits)) - 1);

    e->eax = p->apic_id;
    e->ebx = core | (p->t->threads - 1) << 8;
    e->ecx = p->apic_id >> p->socket_shift;
    e->edx = 0;
}

static const struct {
    uint32_t leaf;
    void (*patch)(struct kvm_cpuid_entry2 *e, const struct place *p);
} patches[] = {
    {0x1, patch_features},         {0x4, patch_caches},
    {0x80000000, patch_amd_last},  {0x80000001, patch_amd_features},
    {0x80000008, patch_amd_cores}, {0x8000001d, patch_amd_caches},
    {LEAF_AMD_IDS, patch_amd_ids},
};

/* Extended topology: sublevel 0 is the thread, 1 the core. */
static void add_topology(struct kvm_cpuid2 *c, uint32_t leaf, const struct place *p)
{
    const struct kvm_cpuid_entry2 levels[] = {
        {.eax = p->thread_bits, .ebx = p->t->threads, .ecx = 1 << 8 | 0},
        {.eax = p->socket_shift, .ebx = p->siblings, .ecx = 2 << 8 | 1},
        {.ecx = 2},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(levels) && c->nent < CPU_LEAVES; i++) {
        struct kvm_cpuid_entry2 *e = &c->entries[c->nent++];
        *e = levels[i];
        e->function = leaf;
        e->index = i;
        e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
        e->edx = p->apic_id;
    }
}

struct kvm_cpuid2 *cpu_features(int kvm, struct error *err)
{
    struct kvm_cpuid2 *c = xcalloc(1, sizeof(*c) + CPU_LEAVES * sizeof(c->entries[0]));

    c->nent = CPU_LEAVES;
    if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c) < 0) {
        error_set(err, errno, "ask KVM for its CPUID");
        free(c);
        return NULL;
    }
    /* Emulated where the CPU has none; this one is not in the answer. */
    bool deadline = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;
    for (unsigned i = 0; i < c->nent; i++)
        if (c->entries[i].function == 1 && deadline)
            c->entries[i].ecx |= 1u << 24;
    return c;
}

void cpu_describe(const struct kvm_cpuid2 *features, const struct cpu_topology *t, unsigned index,
                  struct kvm_cpuid2 *out)
{
    struct place p = {
        .t = t,
        .apic_id = topology_apic_id(t, index),
        .thread_bits = topology_thread_bits(t),
        .socket_shift = topology_socket_shift(t),
        .siblings = t->cores * t->threads,
    };
    uint32_t last = 0;
    bool ids = false;

    out->nent = 0;
    for (unsigned i = 0; i < features->nent; i++) {
        struct kvm_cpuid_entry2 e = features->entries[i];
        if (e.function == 0) {
            last = e.eax;
            p.amd = e.ebx == VENDOR_AMD || e.ebx == VENDOR_HYGON;
        }
        if (e.function == LEAF_TOPOLOGY || e.function == LEAF_TOPOLOGY_V2 ||
            e.function == LEAF_TOPOLOGY_AMD)
            continue;
        for (unsigned n = 0; n < ARRAY_SIZE(patches); n++)
            if (patches[n].leaf == e.function)
                patches[n].patch(&e, &p);
        ids |= e.function == LEAF_AMD_IDS;
        out->entries[out->nent++] = e;
    }
    if (p.amd && !ids && out->nent < CPU_LEAVES) {
        struct kvm_cpuid_entry2 *e = &out->entries[out->nent++];
        *e = (struct kvm_cpuid_entry2){.function = LEAF_AMD_IDS};
        patch_amd_ids(e, &p);
    }
    if (last >= LEAF_TOPOLOGY)
        add_topology(out, LEAF_TOPOLOGY, &p);
    if (last >= LEAF_TOPOLOGY_V2)
        add_topology(out, LEAF_TOPOLOGY_V2, &p);
}

static int set_cpuid(int vcpu, const struct kvm_cpuid2 *features, const struct cpu_topology *t,
                     unsigned index, struct error *err)
{
    cleanup_free struct kvm_cpuid2 *c = xcalloc(1, sizeof(*c) + CPU_LEAVES * sizeof(c->entries[0]));

    cpu_describe(features, t, index, c);
    if (ioctl(vcpu, KVM_SET_CPUID2, c) < 0)
        return error_set(err, errno, "set CPUID of vcpu %u", index);
    return 0;
}

static int set_msrs(int vcpu, unsigned id, struct error *err)
{
    static const struct kvm_msr_entry entries[] = {
        {.index = MSR_MISC_ENABLE, .data = MISC_FAST_STRING},
        {.index = MSR_MTRR_DEF_TYPE, .data = MTRR_WRITE_BACK},
    };
    cleanup_free struct kvm_msrs *msrs = xcalloc(1, sizeof(*msrs) + sizeof(entries));

    /* One by one: a host's KVM may not know one of them, and the guest can do without. */
    for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
        msrs->nmsrs = 1;
        msrs->entries[0] = entries[i];
        if (ioctl(vcpu, KVM_SET_MSRS, msrs) < 0)
            return error_set(err, errno, "set MSR %#x of vcpu %u", entries[i].index, id);
    }
    return 0;
}

/* LINT0 takes the PIC, LINT1 an NMI, as a PC's firmware leaves them. */
static int set_lapic(int vcpu, unsigned id, struct error *err)
{
    struct kvm_lapic_state s;
    const uint32_t extint = LVT_EXTINT, nmi = LVT_NMI;

    if (ioctl(vcpu, KVM_GET_LAPIC, &s) < 0)
        return error_set(err, errno, "get LAPIC of vcpu %u", id);
    memcpy(s.regs + LAPIC_LVT0, &extint, sizeof(extint));
    memcpy(s.regs + LAPIC_LVT1, &nmi, sizeof(nmi));
    if (ioctl(vcpu, KVM_SET_LAPIC, &s) < 0)
        return error_set(err, errno, "set LAPIC of vcpu %u", id);
    return 0;
}

int cpu_setup(int vcpu, const struct kvm_cpuid2 *features, const struct cpu_topology *t,
              unsigned index, struct error *err)
{
    if (set_cpuid(vcpu, features, t, index, err) < 0)
        return -1;
    if (set_msrs(vcpu, index, err) < 0)
        return -1;
    return set_lapic(vcpu, index, err);
}

/* The segment register's value for an entry of the table. */
static struct kvm_segment segment(unsigned index)
{
    uint64_t d = cpu_gdt[index];

    return (struct kvm_segment){
        .base = 0,
        .limit = d >> 55 & 1 ? 0xffffffff : (uint32_t)(d & 0xffff),
        .selector = (uint16_t)(index * 8),
        .type = d >> 40 & 15,
        .s = d >> 44 & 1,
        .dpl = d >> 45 & 3,
        .present = d >> 47 & 1,
        .l = d >> 53 & 1,
        .db = d >> 54 & 1,
        .g = d >> 55 & 1,
    };
}

int cpu_enter(int vcpu, const struct cpu_entry *entry, struct error *err)
{
    struct kvm_regs regs = {.rip = entry->ip, .rflags = X86_EFLAGS_FIXED};
    struct kvm_sregs s;

    if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
        return error_set(err, errno, "get the boot processor's registers");
    s.cs = segment(entry->long_mode ? CPU_GDT_CODE64 : CPU_GDT_CODE32);
    s.ds = s.es = s.fs = s.gs = s.ss = segment(CPU_GDT_DATA);
    s.tr = segment(CPU_GDT_TSS);
    s.gdt = (struct kvm_dtable){.base = entry->gdt, .limit = sizeof(cpu_gdt) - 1};
    s.idt = (struct kvm_dtable){0};
    s.cr0 = X86_CR0_PE | X86_CR0_ET;
    if (entry->long_mode) {
        s.cr0 |= X86_CR0_PG;
        s.cr3 = entry->page_table;
        s.cr4 = X86_CR4_PAE;
        s.efer = EFER_LONG_MODE;
        regs.rsi = entry->arg;
    } else {
        regs.rbx = entry->arg;
    }
    if (ioctl(vcpu, KVM_SET_SREGS, &s) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
        return error_set(err, errno, "set the boot processor's registers");
    return 0;
}
