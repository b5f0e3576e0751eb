/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vCPU threads, see vcpu.h.
 */
#include "kvm/vcpu.h"

#include <asm/processor-flags.h>
#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "kvm/confine.h"
#include "kvm/cpu.h"
#include "kvm/machine.h"

#define KICK_SIGNAL SIGRTMIN
#define STACK_SIZE  (128u << 10)
#define PAGE_SHIFT  12

/* ---- exits ---- */

/* Port I/O; REP moves come with a count. */
static void exit_io(struct vcpu *v)
{
    struct kvm_run *run = v->run;
    uint8_t *data = (uint8_t *)run + run->io.data_offset;

    for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
        if (run->io.direction == KVM_EXIT_IO_OUT)
            bus_write(&v->machine->pio, run->io.port, data, run->io.size);
        else
            bus_read(&v->machine->pio, run->io.port, data, run->io.size);
    }
}

static void exit_mmio(struct vcpu *v)
{
    struct kvm_run *run = v->run;
    size_t len = min((size_t)run->mmio.len, sizeof(run->mmio.data));

    if (run->mmio.is_write)
        bus_write(&v->machine->mmio, run->mmio.phys_addr, run->mmio.data, len);
    else
        bus_read(&v->machine->mmio, run->mmio.phys_addr, run->mmio.data, len);
}

static void exit_shutdown(struct vcpu *v)
{
    machine_triple_fault(v->machine, v->id);
}

static void exit_system_event(struct vcpu *v)
{
    unsigned type = v->run->system_event.type;

    if (type == KVM_SYSTEM_EVENT_SHUTDOWN)
        machine_end(v->machine, ENDED_EXIT);
    else if (type == KVM_SYSTEM_EVENT_RESET)
        machine_end(v->machine, ENDED_REBOOT);
    else
        machine_crash(v->machine, "the guest reported a crash (event %u)", type);
}

static void exit_fail_entry(struct vcpu *v)
{
    machine_crash(v->machine, "vcpu %u could not enter the guest: hardware reason %#llx", v->id,
                  (unsigned long long)v->run->fail_entry.hardware_entry_failure_reason);
}

/* Where it stood, for the message. */
static uint64_t instruction_pointer(const struct vcpu *v)
{
    struct kvm_regs regs;

    return ioctl(v->fd, KVM_GET_REGS, &regs) < 0 ? 0 : regs.rip;
}

static void exit_internal_error(struct vcpu *v)
{
    const struct kvm_run *run = v->run;
    char bytes[3 * sizeof(run->emulation_failure.insn_bytes) + 1] = "";

    if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION) {
        machine_crash(v->machine, "kvm internal error %u on vcpu %u at %#llx",
                      run->internal.suberror, v->id, (unsigned long long)instruction_pointer(v));
        return;
    }
    if (run->emulation_failure.ndata > 0 &&
        (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
        unsigned n = min((unsigned)run->emulation_failure.insn_size,
                         (unsigned)sizeof(run->emulation_failure.insn_bytes));
        for (unsigned i = 0; i < n; i++)
            snprintf(bytes + 3 * i, 4, " %02x", run->emulation_failure.insn_bytes[i]);
    }
    machine_crash(v->machine, "kvm could not emulate an instruction of vcpu %u at %#llx%s%s", v->id,
                  (unsigned long long)instruction_pointer(v), bytes[0] ? ":" : "", bytes);
}

/* A kick that KVM tells of as an exit instead of an error. */
static void exit_intr(struct vcpu *v)
{
    count_one(v->machine->kicks);
}

static void (*const exits[])(struct vcpu *v) = {
    [KVM_EXIT_IO] = exit_io,
    [KVM_EXIT_MMIO] = exit_mmio,
    [KVM_EXIT_INTR] = exit_intr,
    [KVM_EXIT_SHUTDOWN] = exit_shutdown,
    [KVM_EXIT_SYSTEM_EVENT] = exit_system_event,
    [KVM_EXIT_FAIL_ENTRY] = exit_fail_entry,
    [KVM_EXIT_INTERNAL_ERROR] = exit_internal_error,
};

/* Run the guest until it wants something, and serve that. */
static void run_once(struct vcpu *v)
{
    if (ioctl(v->fd, KVM_RUN, 0) < 0) {
        if (errno != EINTR && errno != EAGAIN)
            machine_crash(v->machine, "run vcpu %u: %s", v->id, strerror(errno));
        count_one(v->machine->kicks);
        return;
    }
    unsigned reason = v->run->exit_reason;
    v->exits += reason != KVM_EXIT_INTR;
    if (reason < ARRAY_SIZE(exits) && exits[reason])
        exits[reason](v);
    else
        machine_crash(v->machine, "vcpu %u left the guest for an unknown reason (%u)", v->id,
                      reason);
}

/* ---- the thread ---- */

/*
 * What the last exit asked for is only done in the guest's registers when KVM is entered again: an
 * entry that returns at once does that, or asks for the rest of it. Without this a parked vCPU
 * could not be saved.
 */
static void settle(struct vcpu *v)
{
    unsigned reason;

    do {
        __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
        if (ioctl(v->fd, KVM_RUN, 0) < 0)
            return;
        reason = v->run->exit_reason;
        if (reason < ARRAY_SIZE(exits) && exits[reason])
            exits[reason](v);
    } while (reason == KVM_EXIT_IO || reason == KVM_EXIT_MMIO);
}

/*
 * Park while the machine is paused. Returns false when it is over. immediate_exit is cleared
 * before `hold` is read: who sets `hold` kicks afterwards, so no kick is lost between the two.
 */
static bool pass_gate(struct vcpu *v)
{
    struct machine *m = v->machine;

    for (;;) {
        __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        if (!m->hold)
            return true;
        settle(v);

        pthread_mutex_lock(&m->lock);
        m->parked++;
        pthread_cond_broadcast(&m->changed);
        while (m->pause && !m->over)
            pthread_cond_wait(&m->changed, &m->lock);
        m->parked--;
        bool over = m->over;
        pthread_mutex_unlock(&m->lock);
        if (over)
            return false;
    }
}

static void *vcpu_main(void *arg)
{
    struct vcpu *v = arg;
    struct machine *m = v->machine;
    char name[16];

    snprintf(name, sizeof(name), "vcpu %u", v->id);
    pthread_setname_np(pthread_self(), name);
    if (m->confinement)
        confinement_enter(m->confinement, THREAD_VCPU);
    while (pass_gate(v))
        run_once(v);

    pthread_mutex_lock(&m->lock);
    bool last = --m->active == 0;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    if (last)
        eventfd_write(m->event_fd, 1);
    return NULL;
}

/* The kick's handler: that it ran has ended KVM_RUN already. */
static void on_kick(int sig)
{
    (void)sig;
}

int vcpu_start(struct vcpu *v, const cpu_set_t *where, struct error *err)
{
    struct sigaction action = {.sa_handler = on_kick};
    pthread_attr_t attr;
    cpu_set_t mine;
    sigset_t all, old;

    /* It inherits its processors: the sandbox lets no thread set another's. */
    if (where && (sched_getaffinity(0, sizeof(mine), &mine) < 0 ||
                  sched_setaffinity(0, sizeof(*where), where) < 0))
        return error_set(err, errno, "give vcpu %u its processors", v->id);
    sigaction(KICK_SIGNAL, &action, NULL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    /* The thread hears nothing but kicks; everything else is the main thread's. */
    sigfillset(&all);
    sigdelset(&all, KICK_SIGNAL);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&v->thread, &attr, vcpu_main, v);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (where)
        sched_setaffinity(0, sizeof(mine), &mine);
    if (rc)
        return error_set(err, rc, "start the thread of vcpu %u", v->id);
    v->started = true;
    if (v->machine->hold) /* set by who could not see yet that there is a thread to be kicked */
        vcpu_kick(v);
    return 0;
}

void vcpu_kick(struct vcpu *v)
{
    if (!v->started)
        return;
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    pthread_kill(v->thread, KICK_SIGNAL);
}

enum vcpu_sign vcpu_look(struct vcpu *v, bool again)
{
    struct kvm_mp_state state;
    struct kvm_regs regs;
    struct kvm_sregs sregs;

    if (ioctl(v->fd, KVM_GET_MP_STATE, &state) < 0 || ioctl(v->fd, KVM_GET_REGS, &regs) < 0 ||
        ioctl(v->fd, KVM_GET_SREGS, &sregs) < 0)
        return VCPU_MOVED;
    bool served = again && v->exits != v->seen.exits;
    bool moved = again && regs.rip >> PAGE_SHIFT != v->seen.page;
    v->seen.exits = v->exits;
    v->seen.page = regs.rip >> PAGE_SHIFT;

    if (state.mp_state == KVM_MP_STATE_HALTED) /* an idle CPU waits for interrupts */
        return regs.rflags & X86_EFLAGS_IF ? VCPU_LIVES : VCPU_STILL;
    if (state.mp_state != KVM_MP_STATE_RUNNABLE) /* never started, or taken offline */
        return VCPU_STILL;
    if (served || sregs.cs.dpl)
        return VCPU_LIVES;
    return moved ? VCPU_MOVED : VCPU_STILL;
}

int vcpu_create(struct vcpu *v, struct machine *m, unsigned id, const struct kvm_cpuid2 *features,
                struct error *err)
{
    unsigned apic_id = topology_apic_id(&m->topology, id);

    *v = (struct vcpu){.machine = m, .id = id, .fd = -1};
    v->fd = ioctl(m->vm, KVM_CREATE_VCPU, (unsigned long)apic_id);
    if (v->fd < 0)
        return error_set(err, errno, "create vcpu %u", id);
    int size = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < (int)sizeof(*v->run))
        return error_set(err, size < 0 ? errno : 0, "map vcpu %u", id);
    void *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (run == MAP_FAILED)
        return error_set(err, errno, "map vcpu %u", id);
    v->run = run;
    v->run_size = (size_t)size;
    return cpu_setup(v->fd, features, &m->topology, id, err);
}

void vcpu_destroy(struct vcpu *v)
{
    if (v->run)
        munmap(v->run, v->run_size);
    if (v->fd >= 0)
        close(v->fd);
    *v = (struct vcpu){.fd = -1};
}
