/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtual CPU and its thread.
 *
 * The thread runs guest code until KVM hands it an exit, which it serves at the machine's buses.
 * Before each entry it passes a gate, where it parks while the machine is paused and leaves when
 * it is over. vcpu_kick() gets it there from wherever it is: immediate_exit makes the next entry
 * return at once, the signal ends the present one.
 */
#ifndef PULT_KVM_VCPU_H
#define PULT_KVM_VCPU_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kvm/topology.h"

struct machine;
struct kvm_run;

struct vcpu {
    struct machine *machine;
    unsigned id; /* its number; its APIC id is KVM's name for it */
    int fd;
    struct kvm_run *run; /* shared with KVM, run_size bytes */
    size_t run_size;
    pthread_t thread;
    _Atomic bool started; /* thread is valid */
    uint64_t exits;       /* served so far: the thread's own, for others while it is parked */
    struct {
        uint64_t exits, page;
    } seen; /* by the last vcpu_look() */
};

/* Create the id-th vCPU of a machine, halted. */
struct kvm_cpuid2;
int vcpu_create(struct vcpu *v, struct machine *m, unsigned id, const struct kvm_cpuid2 *features,
                struct error *err);
void vcpu_destroy(struct vcpu *v); /* the thread has been joined; accepts fd -1 */
/* Start its thread, on these CPUs of the host; NULL: on any. */
int vcpu_start(struct vcpu *v, const cpu_set_t *where, struct error *err);
void vcpu_kick(struct vcpu *v);
/* What a parked vCPU shows; `again`: since the last time it was looked at. */
enum vcpu_sign {
    VCPU_STILL, /* halted for good, or in the kernel, on the same page, without an exit */
    VCPU_MOVED, /* in the kernel, elsewhere: proves nothing */
    VCPU_LIVES, /* it made exits, runs user code, or waits for an interrupt */
};
enum vcpu_sign vcpu_look(struct vcpu *v, bool again);

#endif
