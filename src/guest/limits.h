/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The limits of a definition as writes to files of cgroups: of a container guest.memory, guest.cpus,
 * lxc.cgroup.* and lxc.cgroup2.*, of a VM vm.cgroup2.*. Those with the spelling of the other version
 * than the host's are translated where there is a translation, and refused otherwise.
 */
#ifndef PULT_GUEST_LIMITS_H
#define PULT_GUEST_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "guest/def.h"

struct limit {
    int controller; /* CG_… */
    char file[64], value[128];
};

#define LIMITS_MAX 64

/* Fill list. v1 is a mask of the controllers that are of version 1 here. Returns how many. */
int limits_of(const struct guest_def *def, unsigned v1, struct limit list[LIMITS_MAX],
              struct error *err);

/* Is it a key of limits, which can be changed while the guest runs? */
bool limits_key(const char *key);

struct cgroup;
/*
 * Have a running container limited as `now` says instead of `before`; where one cannot be, none is
 * changed.
 */
int limits_change(struct cgroup *cg, const struct guest_def *before, const struct guest_def *now,
                  struct error *err);

/*
 * Have a VM limited as vm.cgroup2.* of `now` says, by a group that its keeper is in: called by the
 * keeper before it is confined, and later by who asks, since the keeper may not. before: what it was
 * limited by, as far as is known, or NULL. Where one cannot be, none is changed.
 */
int limits_keeper(const char *name, pid_t keeper, const struct conf *before, const struct conf *now,
                  struct error *err);
/* Can it be, by the host and the user? */
int limits_keeper_check(const char *name, const struct conf *now, struct error *err);
/* "50000 100000" of cpu.max as cores: "0.5". Caller frees; NULL: no limit. */
char *limits_cores(const char *cpu_max);

#endif
