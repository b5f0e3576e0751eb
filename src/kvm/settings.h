/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A definition's keys as what a machine is made of. What can be said of a value by itself is said
 * when the definition is read (the conf_value_fn here); what depends on other keys or on the host,
 * by settings_read().
 */
#ifndef PULT_KVM_SETTINGS_H
#define PULT_KVM_SETTINGS_H

#include <sched.h>
#include <stdbool.h>

#include "base/conf.h"
#include "base/error.h"
#include "kvm/machine.h"

struct guest_def;

struct settings {
    struct memory_config memory;
    struct cpu_topology topology;
    bool unpack; /* a packed kernel, in the VMM */
    bool com2;
    cpu_set_t affinity[MACHINE_CPUS]; /* of each vCPU; empty: any CPU of the host */
};

/* "2M", "1G", "0" */
conf_value_fn settings_is_huge;
/* "2x4x1": sockets, cores of each, threads of each */
conf_value_fn settings_is_topology;
/*
 * Either a list of host CPUs for all vCPUs, "0-3,8", or such lists for some, each after its vCPUs:
 * "0:2 1:3", "0-3:8-11 4:0".
 */
conf_value_fn settings_is_affinity;

/* Does this host's KSM do its work? Else memory that is to be merged waits for it. */
#define SETTINGS_KSM_RUN "/sys/kernel/mm/ksm/run"
bool settings_ksm_runs(void);

/* Read and check them. The host's KVM is not asked. */
int settings_read(const struct guest_def *def, struct settings *out, struct error *err);

#endif
