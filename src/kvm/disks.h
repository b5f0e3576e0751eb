/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disks of a VM: from vm.disk.N of its definition to devices of its machine. They are opened, and
 * locked, once; a reboot of the guest keeps them. Their order on the bus is that of their numbers,
 * in which a guest finds them: vda, vdb, …
 */
#ifndef PULT_KVM_DISKS_H
#define PULT_KVM_DISKS_H

#include "base/error.h"

struct guest_def;
struct keeper;
struct machine;

/* Can they be had? Opens nothing for good, locks nothing. */
int disks_check(const struct guest_def *def, struct error *err);
/* Open them and put them on the bus; machine->disks is what is opened, also on failure. */
int disks_add(struct machine *m, struct keeper *k, struct error *err);
/* There may be room on the host now: go on with what waits for it. */
void disks_retry(struct machine *m);
/* After their devices are gone: write back and close. Accepts NULL. */
struct disks;
void disks_close(struct disks *d);

#endif
