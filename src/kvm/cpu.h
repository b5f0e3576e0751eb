/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a vCPU looks like to the guest, and how it begins.
 *
 * CPUID is what KVM supports, with the topology of one socket of single-threaded cores put in.
 * The boot processor enters the kernel directly, in one of the two states that boot protocols
 * ask for; the others wait for INIT and SIPI, which KVM handles in the kernel.
 */
#ifndef PULT_KVM_CPU_H
#define PULT_KVM_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

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

/* Set up a fresh vCPU: CPUID, model-specific registers, LAPIC pins. */
int cpu_setup(int kvm, int vcpu, unsigned id, unsigned count, struct error *err);
/* Put the boot processor at its entry. */
int cpu_enter(int vcpu, const struct cpu_entry *entry, struct error *err);

#endif
