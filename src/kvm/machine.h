/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtual machine: memory, buses, devices, vCPUs, and how it runs and ends.
 *
 *     owner's thread                        vCPU threads (vcpu.c)
 *       machine_create()   all but the threads is there
 *       machine_start()    ───────────────►  run the guest, serve its exits at the buses
 *       machine_pause()    ───────────────►  park, each confirms   ◄── machine_resume()
 *       machine_end()      ───────────────►  leave; so they do when the guest ends itself
 *                          ◄── event_fd ───  when the last has left, or a panic is suspected
 *       machine_reset()    it can be started once more
 *       machine_destroy()
 *
 * Devices beyond the PC's own are put on machine->virtio between machine_create() and
 * machine_start(). They are served by the workers (worker.h), of which one is the owner's loop.
 *
 * The first reason to end is the one that counts. Nothing here knows of keepers or event loops:
 * the owner waits on event_fd, clock_fd and loop_fd as it likes.
 *
 *     0x0070  RTC            0x0060/64 keyboard controller   0x03f8 COM1, 0x02f8 COM2
 *     0x0501  report (throwaway VMs)
 *     0x0505  pvpanic        0x0600 ACPI PM                  0x0cf8 host bridge, reset
 */
#ifndef PULT_KVM_MACHINE_H
#define PULT_KVM_MACHINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "guest/status.h"
#include "kvm/bus.h"
#include "kvm/cpu.h"
#include "kvm/irq.h"
#include "kvm/legacy/bridge.h"
#include "kvm/legacy/i8042.h"
#include "kvm/legacy/pm.h"
#include "kvm/legacy/pvpanic.h"
#include "kvm/legacy/report.h"
#include "kvm/legacy/rtc.h"
#include "kvm/legacy/serial.h"
#include "kvm/memory.h"
#include "kvm/panic.h"
#include "kvm/state.h"
#include "kvm/vcpu.h"
#include "kvm/virtio/virtio.h"
#include "kvm/worker.h"

#define MACHINE_CPUS 64

struct disks;

/* What a machine is made of. */
struct machine_config {
    struct memory_config memory;
    struct cpu_topology topology; /* 1 to MACHINE_CPUS vCPUs */
    const cpu_set_t *affinity;    /* where each vCPU may run, an empty one: anywhere; or NULL */
    const struct confinement *confinement; /* of its threads, kept; NULL: none */
    const struct serial_line *console;     /* the wire of COM1, used from any thread */
    void *console_arg;
    const struct serial_line *com2; /* of COM2; NULL: there is no such port */
    void *com2_arg;
    /* Puts into the memory what is there from the start, while KVM still makes the VM. NULL: nothing. */
    int (*fill)(void *fill_arg, struct memory *m, struct error *err);
    void *fill_arg;
    struct status_counter *exits; /* STATUS_COUNTERS where exits are counted by cause; or NULL */
    /* It has the port of report.h, and this is called from a vCPU's thread when the guest says there
     * that its console is set up. NULL: it has none. */
    void (*ready)(void *console_arg);
    /* The host has no room for what the guest writes: stop it, and disks_retry() later. On the
     * owner's thread, in machine_loop(). NULL: the guest's requests fail. */
    void (*disk_full)(void *console_arg, const char *why);
};

/* How it ended. */
struct machine_ending {
    enum guest_end how;
    uint8_t status;   /* of ENDED_EXIT: 0, or what the guest reported */
    char reason[160]; /* "" for a plain end */
};

struct machine {
    int kvm, vm;
    int event_fd; /* an eventfd, see above */
    struct memory memory;
    struct bus pio, mmio;
    uint64_t *kicks; /* where those are counted, or NULL */
    struct irq irq;
    struct pci pci;
    struct workers workers;
    struct virtio_bus virtio;
    struct vcpu *vcpus;
    unsigned cpus;
    struct cpu_topology topology;

    const struct confinement *confinement;
    const struct serial_line *console;
    void *console_arg;
    const struct serial_line *com2_line; /* NULL: there is none */
    void *com2_arg;
    struct serial com1, com2;
    void (*ready)(void *console_arg);
    void (*disk_full)(void *console_arg, const char *why);
    struct disks *disks; /* disks.h */
    struct rtc rtc;
    struct i8042 i8042;
    struct pm pm;
    struct pvpanic pvpanic;
    struct bridge bridge;
    struct report report;

    _Atomic bool spoke;          /* the guest has sent something by COM1 */
    struct panic_watch panic[2]; /* what COM1 said, and what the other console did */
    _Atomic bool pvpanicked;
    unsigned panic_looks; /* since they found it alive, or nothing was suspected */
    unsigned still_looks; /* how many of the last of them found it still */

    /* How the threads run. `hold` says that pause or over is set, and is read without the lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic bool hold;
    bool pause, over;
    cpu_set_t *affinity;     /* one for each vCPU, or NULL */
    unsigned active, parked; /* threads that have not left, and those of them that stand still */
    struct machine_ending ending;
};

/* Build one. On failure *out is NULL and nothing remains. */
int machine_create(const struct machine_config *config, struct machine **out, struct error *err);
/* Ends it if it runs, waits for the threads, gives everything back. Accepts NULL. */
void machine_destroy(struct machine *m);

/* entry NULL: it goes on from what machine_state() loaded. */
int machine_start(struct machine *m, const struct cpu_entry *entry, struct error *err);
/*
 * An ended machine as it was before machine_start(), with empty memory; its devices keep what they
 * opened. From the owner's thread. On failure it can only be destroyed.
 */
int machine_reset(struct machine *m, struct error *err);

/*
 * Stop all vCPUs and workers and wait until they stand still; the guest's kernel is told of the gap. Fails
 * after 2 s, with the machine running on: a host out of breath.
 */
int machine_pause(struct machine *m, struct error *err);
void machine_resume(struct machine *m);
/*
 * The same, and the devices have nothing under way any more: the machine can be saved. Waits in the
 * owner's thread for what disks have to do, at most 5 s. It may be paused already, and stays so if
 * this fails.
 */
int machine_quiesce(struct machine *m, struct error *err);

/*
 * Save all but the memory of a machine that machine_quiesce() holds, or load it into one of the same
 * making that was never started; its memory is there already. What the guest's clocks show goes on
 * in between, as in a frozen guest. A machine that a state was not right for can only be destroyed.
 */
int machine_state(struct machine *m, struct state *s);

/* End it, from any thread; what comes after the first of these changes nothing. */
void machine_end(struct machine *m, enum guest_end how);
void machine_crash(struct machine *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * A CPU shut down. On a PC that resets it, and systems use it for that when nothing else helped.
 * But one that never came up would do it for ever and nobody would know why: that is a crash.
 */
void machine_triple_fault(struct machine *m, unsigned vcpu);
/* True when all threads have left; *ending says how it came to that. */
bool machine_ended(struct machine *m, struct machine_ending *ending);

/* The guest printed this on the console that it has beside COM1. From the owner's thread. */
void machine_printed(struct machine *m, const void *data, size_t len);
/* True if there are signs that the guest's kernel panicked and will do nothing more. */
bool machine_panic_suspected(const struct machine *m);
/*
 * To be called each second while that is so and the machine runs, until it returns false.
 *
 * A panicked kernel turns round in one place and makes no exits, so the machine is ended when its
 * last words were read and 3 looks in a row found it so; where pvpanic alone speaks it may yet
 * reboot by itself, and is given 5 minutes. A sign of life takes back what pvpanic said.
 */
bool machine_look_for_panic(struct machine *m);

/* The real-time clock's timer: call rtc_expired(&m->rtc) when it is readable. */
static inline int machine_clock_fd(const struct machine *m)
{
    return m->rtc.timer_fd;
}

/* The devices that the owner's loop serves: call machine_loop() when it is readable. */
static inline int machine_loop_fd(const struct machine *m)
{
    return workers_loop_fd(&m->workers);
}
static inline void machine_loop(struct machine *m)
{
    workers_turn(&m->workers);
}

#endif
