/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of VMs: what the engine does of snapshot.h (guest/).
 *
 *     take     the guest is brought to rest; state and disks are kept; a child begins to write
 *              the memory; the guest goes on
 *     restore  start() with keeper->snapshot set: the disks go back, a new machine gets the memory,
 *              mapped, and the state
 */
#ifndef PULT_KVM_SNAPSHOT_H
#define PULT_KVM_SNAPSHOT_H

#include "base/error.h"
#include "guest/engine.h"

struct vm;

extern const struct engine_snapshots snapshot_ops;

/* Let a machine that was made and never started go on from keeper->snapshot. */
int snapshot_load(struct vm *vm, struct error *err);
/* The guest is over: what is being taken is given up. */
void snapshot_end(struct vm *vm);
/* Does the guest stand still for it? */
bool snapshot_holds(const struct vm *vm);

#endif
