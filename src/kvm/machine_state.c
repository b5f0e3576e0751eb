/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine's state, put together: see state.h for how, machine.h for when.
 *
 * The order is that of loading: KVM's clock and interrupt controllers, the vCPUs, PCI functions, whose
 * interrupts KVM must be able to take, the devices behind them, and the PC's own, which raise their
 * lines again.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "kvm/cpustate.h"
#include "kvm/machine.h"

/* KVM's clock, which the guest's is: it has gone on while the machine was a file. */
static void clock_state(struct machine *m, struct state *s)
{
    struct kvm_clock_data now = {0};

    if (!s->loading && ioctl(m->vm, KVM_GET_CLOCK, &now) < 0)
        state_refuse(s, "read KVM's clock: %s", strerror(errno));
    uint64_t ns = now.clock;
    state_item(s, ns);
    if (!s->loading || s->invalid)
        return;
    struct kvm_clock_data then = {.clock = ns + s->elapsed_ns};
    if (ioctl(m->vm, KVM_SET_CLOCK, &then) < 0)
        state_refuse(s, "set KVM's clock: %s", strerror(errno));
}

/* What it is made of, which must be the same. */
static void shape_state(struct machine *m, struct state *s)
{
    const uint32_t cpus = m->cpus, slots = m->memory.count;
    const uint64_t memory = m->memory.size;
    uint32_t had_cpus = cpus, had_slots = slots;
    uint64_t had_memory = memory;
    uint8_t com2 = m->com2_line != NULL;
    const uint8_t has_com2 = com2;

    state_section(s, "machine", 1);
    state_item(s, had_cpus);
    state_item(s, had_memory);
    state_item(s, had_slots);
    state_item(s, com2);
    if (s->invalid)
        return;
    if (had_cpus != cpus)
        state_refuse(s, "the saved state has %u vcpus, and this machine %u", had_cpus, cpus);
    else if (had_memory != memory || had_slots != slots)
        state_refuse(s, "the saved state has %llu MiB of memory, and this machine %llu MiB",
                     (unsigned long long)had_memory >> 20, (unsigned long long)memory >> 20);
    else if (com2 != has_com2)
        state_refuse(s, "the saved state %s a second serial port", com2 ? "has" : "has not");
}

static void vcpus_state(struct machine *m, struct state *s)
{
    struct cpustate_host host;

    if (cpustate_host(m->kvm, m->vm, &host, s->err) < 0)
        s->invalid = true;
    for (unsigned i = 0; i < m->cpus && !s->invalid; i++)
        cpu_state(m->vcpus[i].fd, i, &host, s);
    cpustate_host_clear(&host);
}

int machine_state(struct machine *m, struct state *s)
{
    uint8_t spoke = m->spoke, pvpanicked = m->pvpanicked;

    if (s->loading && pci_assign(&m->pci, s->err) < 0)
        s->invalid = true;
    shape_state(m, s);
    if (!s->invalid)
        clock_state(m, s);
    if (!s->invalid)
        irq_state(&m->irq, s);
    if (!s->invalid)
        vcpus_state(m, s);
    if (!s->invalid)
        pci_state(&m->pci, s);
    if (!s->invalid)
        virtio_state_all(&m->virtio, s);
    if (!s->invalid) {
        bridge_state(&m->bridge, s);
        rtc_state(&m->rtc, s);
        i8042_state(&m->i8042, s);
        pm_state(&m->pm, s);
        serial_state(&m->com1, s);
        if (m->com2_line)
            serial_state(&m->com2, s);
        state_item(s, spoke);
        state_item(s, pvpanicked);
    }
    m->spoke = spoke;
    m->pvpanicked = pvpanicked;
    /* What would have interrupted the guest meanwhile has not: its watchdogs are told. */
    for (unsigned i = 0; s->loading && !s->invalid && i < m->cpus; i++)
        ioctl(m->vcpus[i].fd, KVM_KVMCLOCK_CTRL, 0);
    return s->invalid ? -1 : 0;
}
