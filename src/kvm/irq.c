/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt controllers in the kernel, see irq.h.
 */
#include "kvm/irq.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"

#define PIC_PINS 16

static void route(struct kvm_irq_routing *r, unsigned gsi, unsigned chip, unsigned pin)
{
    r->entries[r->nr++] = (struct kvm_irq_routing_entry){
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_IRQCHIP,
        .u.irqchip = {.irqchip = chip, .pin = pin},
    };
}

static int set_routes(int vm, struct error *err)
{
    cleanup_free struct kvm_irq_routing *r =
        xcalloc(1, sizeof(*r) + (PIC_PINS + IRQ_IOAPIC_PINS) * sizeof(r->entries[0]));

    for (unsigned gsi = 0; gsi < IRQ_IOAPIC_PINS; gsi++) {
        if (gsi == 2) /* the PIC's cascade; IOAPIC pin 2 belongs to GSI 0 */
            continue;
        if (gsi < PIC_PINS)
            route(r, gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8);
        route(r, gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
    }
    if (ioctl(vm, KVM_SET_GSI_ROUTING, r) < 0)
        return error_set(err, errno, "route the machine's interrupts");
    return 0;
}

int irq_create(int vm, struct error *err)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

    if (ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0)
        return error_set(err, errno, "create the machine's interrupt controllers");
    if (ioctl(vm, KVM_CREATE_PIT2, &pit) < 0)
        return error_set(err, errno, "create the machine's interval timer");
    return set_routes(vm, err);
}

void irq_set(void *arg, unsigned gsi, bool high)
{
    const int *vm = arg;
    struct kvm_irq_level level = {.irq = gsi, .level = high};

    if (ioctl(*vm, KVM_IRQ_LINE, &level) < 0)
        log_once("set interrupt %u: errno %d", gsi, errno);
}
