/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this host's KVM is and can do.
 */
#ifndef PULT_KVM_HOST_H
#define PULT_KVM_HOST_H

#include <stdbool.h>

#include "base/error.h"

#define KVM_DEVICE "/dev/kvm"

/* How guest code is run. */
enum kvm_kind {
    KVM_HARDWARE,  /* svm or vmx */
    KVM_EMULATING, /* neither: all of ring 0 goes through KVM's instruction emulator */
};

/* Open /dev/kvm and check its API version. */
int kvm_open(struct error *err);
/* What to do about the error that kvm_open() gave. */
const char *kvm_remedy(const struct error *err);
enum kvm_kind kvm_kind(void);

/* The capabilities without which a machine cannot be built. */
struct kvm_cap {
    int cap;
    const char *name;
};
extern const struct kvm_cap kvm_caps[]; /* ends with a NULL name */

/* The first of them that is missing, or NULL. */
const struct kvm_cap *kvm_missing_cap(int kvm);
/* How many bits a physical address has on this CPU: no machine's RAM may lie beyond. */
unsigned kvm_address_bits(void);
/* How many vCPUs a machine may have here: at most MACHINE_CPUS. */
unsigned kvm_max_cpus(int kvm);

#endif
