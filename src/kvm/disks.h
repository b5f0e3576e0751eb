/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The disks of a VM: from vm.disk.N of its definition to devices of its machine. They are opened, and
 * locked, once; a reboot of the guest keeps them. Their order on the bus is that of their numbers,
 * in which a guest finds them: vda, vdb, …
 */
#ifndef PULT_KVM_DISKS_H
#define PULT_KVM_DISKS_H

#include <stddef.h>

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
/*
 * Snapshots. Their states are kept in the images themselves (qcow2), or as files that share blocks with
 * them (raw): the names of these files, at most `most` with NULL behind; the caller frees them, also
 * on failure. disks_add() goes back to keeper->snapshot.
 */
int disks_files(const struct guest_def *def, char **names, size_t most, struct error *err);
/* Of a machine that is held (machine_quiesce); all or none. */
int disks_take(struct machine *m, const char *name, const int *files, struct error *err);
int disks_forget(struct machine *m, const char *name, struct error *err);
/* Where the guest does not run. */
int disks_forget_offline(const struct guest_def *def, const char *name, struct error *err);
/* Do all have it? Locks nothing. */
int disks_have(const struct guest_def *def, const char *name, struct error *err);

/* Before a snapshot's name: the name of a state in an image, apart from the administrator's; and the
 * name of vm.disk.N's file in a snapshot. */
#define DISKS_INSIDE "pult:"
#define DISKS_FILE   "disk.%lu"

/* After their devices are gone: write back and close. Accepts NULL. */
struct disks;
void disks_close(struct disks *d);

#endif
