/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What `pult doctor` says of this host as a host of virtual machines.
 */
#ifndef PULT_KVM_DOCTOR_H
#define PULT_KVM_DOCTOR_H

#include <stdbool.h>

struct doctor;

/* deep: boot a guest of a few bytes and measure it. */
void kvm_doctor(struct doctor *d, bool deep);

#endif
