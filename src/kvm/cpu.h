/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vCPU looks like to the guest, and how it begins.
 *
 * CPUID is what KVM supports, with the machine's topology put in.
 * The boot processor enters the kernel directly, in one of the two states that boot protocols
 * ask for; the others wait for INIT and SIPI, which KVM handles in the kernel.
 */
#ifndef PULT_KVM_CPU_H
#define PULT_KVM_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kvm/topology.h"

/* Where the boot processor begins. Segments are flat, interrupts off, IDT empty. */
struct cpu_entry {
    bool long_mode; /* 64-bit with page tables at page_table; else 32-bit without paging */
    uint64_t ip;
    uint64_t arg; /* in RSI (Linux's boot_params) for long mode, in EBX (PVH's start info) else */
    uint64_t page_table;
    uint64_t gdt; /* the guest's address of the table below */
};

/* The descriptors that the segment registers are loaded from: to be copied to entry.gdt. */
enum { CPU_GDT_CODE32 = 1, CPU_GDT_CODE64, CPU_GDT_DATA, CPU_GDT_TSS, CPU_GDT_ENTRIES };
extern const uint64_t cpu_gdt[CPU_GDT_ENTRIES];

/* What KVM can show a guest, asked once for all vCPUs. The caller frees it. NULL on failure. */
struct kvm_cpuid2;
struct kvm_cpuid2 *cpu_features(int kvm, struct error *err);
/* The CPUID of one vCPU out of that, into *out, which has room for CPU_LEAVES. */
#define CPU_LEAVES 256
void cpu_describe(const struct kvm_cpuid2 *features, const struct cpu_topology *t, unsigned index,
                  struct kvm_cpuid2 *out);

/* Set up a fresh vCPU, the index-th of these: CPUID, model-specific registers, LAPIC pins. */
int cpu_setup(int vcpu, const struct kvm_cpuid2 *features, const struct cpu_topology *t,
              unsigned index, struct error *err);
/* Put the boot processor at its entry. */
int cpu_enter(int vcpu, const struct cpu_entry *entry, struct error *err);

#endif
