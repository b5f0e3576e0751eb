/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt controllers in the kernel, see irq.h.
 */
#include "kvm/irq.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "base/util.h"

#define PIC_PINS    16
#define FIRST_ROOM  64
#define MOST_ROUTES 4096 /* Linux's KVM_MAX_IRQ_ROUTES */

/* Room for one more entry. The lock is held, or nobody else is there. */
static struct kvm_irq_routing_entry *add_route(struct irq *irq)
{
    if (irq->routes->nr == irq->room) {
        irq->room *= 2;
        irq->routes = xrealloc(irq->routes, 1,
                               sizeof(*irq->routes) + irq->room * sizeof(irq->routes->entries[0]));
    }
    struct kvm_irq_routing_entry *e = &irq->routes->entries[irq->routes->nr++];
    *e = (struct kvm_irq_routing_entry){0};
    return e;
}

static void route_pin(struct irq *irq, unsigned gsi, unsigned chip, unsigned pin)
{
    *add_route(irq) = (struct kvm_irq_routing_entry){
        .gsi = gsi,
        .type = KVM_IRQ_ROUTING_IRQCHIP,
        .u.irqchip = {.irqchip = chip, .pin = pin},
    };
}

static int set_routes(struct irq *irq, struct error *err)
{
    irq->room = FIRST_ROOM;
    irq->routes = xcalloc(1, sizeof(*irq->routes) + irq->room * sizeof(irq->routes->entries[0]));
    for (unsigned gsi = 0; gsi < IRQ_IOAPIC_PINS; gsi++) {
        if (gsi == 2) /* the PIC's cascade; IOAPIC pin 2 belongs to GSI 0 */
            continue;
        if (gsi < PIC_PINS)
            route_pin(irq, gsi, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8);
        route_pin(irq, gsi, KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi);
    }
    irq->next_gsi = IRQ_IOAPIC_PINS;
    if (ioctl(irq->vm, KVM_SET_GSI_ROUTING, irq->routes) < 0)
        return error_set(err, errno, "route the machine's interrupts");
    return 0;
}

int irq_create(struct irq *irq, int vm, struct error *err)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

    *irq = (struct irq){.vm = vm};
    pthread_mutex_init(&irq->lock, NULL);
    if (ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0)
        return error_set(err, errno, "create the machine's interrupt controllers");
    if (ioctl(vm, KVM_CREATE_PIT2, &pit) < 0)
        return error_set(err, errno, "create the machine's interval timer");
    return set_routes(irq, err);
}

void irq_destroy(struct irq *irq)
{
    free(irq->routes);
    irq->routes = NULL;
}

static void chip_state(const struct irq *irq, unsigned id, struct state *s)
{
    struct kvm_irqchip chip = {.chip_id = id};

    if (!s->loading && ioctl(irq->vm, KVM_GET_IRQCHIP, &chip) < 0)
        state_refuse(s, "read the interrupt controllers: %s", strerror(errno));
    state_item(s, chip.chip);
    chip.chip_id = id;
    if (s->loading && !s->invalid && ioctl(irq->vm, KVM_SET_IRQCHIP, &chip) < 0)
        state_refuse(s, "the interrupt controllers in the saved state: %s", strerror(errno));
}

void irq_state(struct irq *irq, struct state *s)
{
    static const unsigned chips[] = {KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE,
                                     KVM_IRQCHIP_IOAPIC};
    struct kvm_pit_state2 pit = {0};

    if (!state_section(s, "interrupts", 1))
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(chips); i++)
        chip_state(irq, chips[i], s);
    if (!s->loading && ioctl(irq->vm, KVM_GET_PIT2, &pit) < 0)
        state_refuse(s, "read the interval timer: %s", strerror(errno));
    state_item(s, pit);
    if (s->loading && !s->invalid && ioctl(irq->vm, KVM_SET_PIT2, &pit) < 0)
        state_refuse(s, "the interval timer in the saved state: %s", strerror(errno));
}

void irq_set(void *arg, unsigned gsi, bool high)
{
    const struct irq *irq = arg;
    struct kvm_irq_level level = {.irq = gsi, .level = high};

    if (ioctl(irq->vm, KVM_IRQ_LINE, &level) < 0)
        log_once("set interrupt %u: errno %d", gsi, errno);
}

/* ---- what PCI functions need ---- */

/* The entry of a GSI above the pins, or a new one with the next number; NULL: there are no more. */
static struct kvm_irq_routing_entry *message_route(struct irq *irq, unsigned gsi)
{
    for (unsigned i = irq->routes->nr; gsi && i-- > 0;)
        if (irq->routes->entries[i].gsi == gsi)
            return &irq->routes->entries[i];
    if (irq->routes->nr == MOST_ROUTES)
        return NULL;
    struct kvm_irq_routing_entry *e = add_route(irq);
    e->gsi = irq->next_gsi++;
    return e;
}

/* Give the vector's GSI this message. KVM is only told where it has another. */
static int route_message(struct irq *irq, unsigned *gsi, uint64_t address, uint32_t data)
{
    const struct kvm_irq_routing_msi msi = {
        .address_lo = (uint32_t)address,
        .address_hi = (uint32_t)(address >> 32),
        .data = data,
    };
    int rc = -1;

    pthread_mutex_lock(&irq->lock);
    struct kvm_irq_routing_entry *e = message_route(irq, *gsi);
    if (e && e->type == KVM_IRQ_ROUTING_MSI && e->u.msi.address_lo == msi.address_lo &&
        e->u.msi.address_hi == msi.address_hi && e->u.msi.data == msi.data) {
        rc = 0;
    } else if (e) {
        const struct kvm_irq_routing_entry old = *e;
        *e = (struct kvm_irq_routing_entry){.gsi = old.gsi,
                                            .type = KVM_IRQ_ROUTING_MSI,
                                            .u.msi = msi};
        rc = ioctl(irq->vm, KVM_SET_GSI_ROUTING, irq->routes);
        if (rc == 0)
            *gsi = e->gsi;
        else if (old.type == KVM_IRQ_ROUTING_MSI) /* one that KVM refuses must not stay in there */
            *e = old;
        else
            irq->routes->nr--, irq->next_gsi--;
    }
    pthread_mutex_unlock(&irq->lock);
    return rc;
}

static int set_irqfd(const struct irq *irq, int fd, unsigned gsi, uint32_t flags)
{
    struct kvm_irqfd irqfd = {.fd = (uint32_t)fd, .gsi = gsi, .flags = flags};

    return ioctl(irq->vm, KVM_IRQFD, &irqfd);
}

static int msi_attach(void *arg, int fd, unsigned *gsi, uint64_t address, uint32_t data)
{
    struct irq *irq = arg;

    if (route_message(irq, gsi, address, data) < 0)
        return -1;
    return set_irqfd(irq, fd, *gsi, 0);
}

static void msi_detach(void *arg, int fd, unsigned gsi)
{
    set_irqfd(arg, fd, gsi, KVM_IRQFD_FLAG_DEASSIGN);
}

/* Of any length: KVM then needs not decode the instruction (KVM_CAP_IOEVENTFD_ANY_LENGTH). */
static int set_kick(const struct irq *irq, uint64_t address, int fd, uint32_t flags)
{
    struct kvm_ioeventfd kick = {.addr = address, .fd = fd, .flags = flags};

    return ioctl(irq->vm, KVM_IOEVENTFD, &kick);
}

static int kick_attach(void *arg, uint64_t address, int fd)
{
    return set_kick(arg, address, fd, 0);
}

static void kick_detach(void *arg, uint64_t address, int fd)
{
    set_kick(arg, address, fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

const struct pci_wires irq_wires = {
    .intx = irq_set,
    .msi_attach = msi_attach,
    .msi_detach = msi_detach,
    .kick_attach = kick_attach,
    .kick_detach = kick_detach,
};
