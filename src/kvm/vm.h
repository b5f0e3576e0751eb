/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running VM: what its engine (engine.c) and those parts of it share that join the machine's
 * devices to the keeper.
 */
#ifndef PULT_KVM_VM_H
#define PULT_KVM_VM_H

#include <stdbool.h>

#include "guest/keeper.h"
#include "kvm/boot/boot.h"
#include "kvm/confine.h"
#include "kvm/machine.h"
#include "kvm/virtio/balloon.h"

struct event;
struct taking;
struct terminals;
struct wire;

struct vm {
    struct keeper *keeper;
    struct machine *machine;
    struct terminals *terminals;
    struct virtio_balloon *balloon; /* NULL: there is none */
    pthread_mutex_t stats_lock;     /* for what the guest told of its memory */
    struct balloon_stats stats;
    bool stats_known;
    struct wire *com2; /* NULL: not asked for */
    struct event *machine_event, *clock_event, *loop_event, *panic_timer;
    struct event *full_event; /* the host has no room for what the guest writes: freeze it */
    char full[160];           /* where that is */
    struct boot_request boot; /* its files stay open for a reboot */
    int image;                /* and the kernel's image, -1: none */
    struct cpu_entry entry;   /* where the boot processor begins */
    char *cmdline;
    struct confinement confinement;
    bool frozen, ended;
    bool loaded;           /* it goes on from a snapshot */
    struct taking *taking; /* snapshot.c: the snapshot that is being taken, or NULL */
    _Atomic bool deaf;     /* a throwaway VM's console is not set up yet */
};

static inline struct vm *vm_of(const struct keeper *k)
{
    return k->engine_data;
}

#endif
