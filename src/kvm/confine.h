/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each thread of a machine may ask of the kernel, once the keeper is confined (guest/confine.h).
 *
 *     the loop    all of these, for a reboot builds the machine anew
 *     a vCPU      run the guest; wake others; what its devices do on an access
 *     a worker    wait, move data, wake others
 *     for files   a worker that serves shared folders: the calls that kvm/fuse/fuse.h lists
 *
 * A device whose threads need a call that is not there adds it to its thread's list.
 */
#ifndef PULT_KVM_CONFINE_H
#define PULT_KVM_CONFINE_H

#include "guest/confine.h"

/* What is shared with the guest: nothing, folders to be read, some that may be written. */
enum folders { FOLDERS_NONE, FOLDERS_READ, FOLDERS_WRITE };
enum thread_kind { THREAD_VCPU, THREAD_WORKER, THREAD_FILES, THREAD_KINDS };

/* The filters of a machine's threads. Zeroed: the threads are not confined. */
struct confinement {
    struct confine_filter *threads[THREAD_KINDS];
    enum folders folders;
};

int confinement_create(struct confinement *c, enum folders folders, struct error *err);
void confinement_destroy(struct confinement *c);
/* The calling thread is of this kind. */
void confinement_enter(const struct confinement *c, enum thread_kind kind);

/* What all threads together need besides what a keeper does, by enum folders. */
extern const struct confine_list confine_machine[];

#endif
