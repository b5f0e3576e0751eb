/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's balloon (virtio/balloon.h), its key in the definition and what it tells the status page.
 */
#ifndef PULT_KVM_BALLOON_H
#define PULT_KVM_BALLOON_H

#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"

struct guest_def;
struct guest_memory;
struct keeper;
struct machine;

/* "none", or how much of its memory the guest is left with at first. */
conf_value_fn balloon_is_setting;
int balloon_check(const struct guest_def *def, struct error *err);

/* Put the device on the machine's bus, unless there is to be none. */
int balloon_add(struct machine *m, struct keeper *k, struct error *err);

/* engine.memory */
int balloon_memory(struct keeper *k, uint64_t leave, struct guest_memory *out, struct error *err);

#endif
