/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a guest's definition to the devices of its machine.
 */
#ifndef PULT_KVM_DEVICES_H
#define PULT_KVM_DEVICES_H

#include "base/error.h"

struct guest_def;
struct keeper;
struct machine;

/* Could the devices of this definition be had? Changes nothing. */
int devices_check(const struct guest_def *def, struct error *err);
/* Put all devices that the guest of this keeper has into its machine, before it starts. */
int devices_add(struct machine *m, struct keeper *k, struct error *err);

#endif
