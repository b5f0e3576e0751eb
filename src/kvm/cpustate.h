/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vCPU's state: all of it that KVM keeps.
 *
 * It goes on only where the guest finds what it found before: a CPU that lacks a feature of the one
 * that the guest saw, or whose TSC runs at another rate and cannot be scaled, is refused.
 */
#ifndef PULT_KVM_CPUSTATE_H
#define PULT_KVM_CPUSTATE_H

#include "kvm/state.h"

struct kvm_msr_list;

/* What this host's KVM keeps of a vCPU, asked once for all. */
struct cpustate_host {
    struct kvm_msr_list *msrs;
    uint32_t xsave; /* bytes */
    bool xsave2, xcrs, nested;
};
/* Clear it in either case. */
int cpustate_host(int kvm, int vm, struct cpustate_host *host, struct error *err);
void cpustate_host_clear(struct cpustate_host *host);

/*
 * Save a vCPU that is parked, or load one that was set up (cpu.h) and never ran. Interrupt controllers come before it.
 */
void cpu_state(int vcpu, unsigned index, const struct cpustate_host *host, struct state *s);

#endif
