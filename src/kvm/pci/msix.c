/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X, see msix.h.
 */
#include "kvm/pci/msix.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "kvm/pci/pci.h"

enum { ENTRY_ADDRESS, ENTRY_UPPER, ENTRY_DATA, ENTRY_CONTROL };
#define ENTRY_BYTES 16u

/* Attach or detach the vector's eventfd, as its state demands. The lock is held. */
static void update_vector(struct msix *m, struct msix_vector *v)
{
    const struct pci *p = m->function->pci;
    bool may = m->allowed && !(v->entry[ENTRY_CONTROL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);

    if (v->attached) {
        if (may && memcmp(v->sent, v->entry, sizeof(v->sent)) == 0)
            return;
        p->wires->msi_detach(p->wires_arg, v->fd, v->route);
        v->attached = false;
    }
    if (!may)
        return;
    memcpy(v->sent, v->entry, sizeof(v->sent));
    uint64_t address = v->sent[ENTRY_ADDRESS] | (uint64_t)v->sent[ENTRY_UPPER] << 32;
    v->attached =
        p->wires->msi_attach(p->wires_arg, v->fd, &v->route, address, v->sent[ENTRY_DATA]) == 0;
    if (!v->attached)
        log_once("interrupts of '%s' cannot be delivered: KVM has no room for its message",
                 m->function->type.name);
}

void msix_update(struct msix *m)
{
    if (!m->count)
        return;
    const struct pci_function *f = m->function;
    uint16_t control;

    memcpy(&control, f->config + m->capability + PCI_MSIX_FLAGS, sizeof(control));
    pthread_mutex_lock(&m->lock);
    m->enabled = control & PCI_MSIX_FLAGS_ENABLE;
    bool allowed = m->enabled && !(control & PCI_MSIX_FLAGS_MASKALL) && f->bus_master;
    if (allowed != m->allowed) {
        m->allowed = allowed;
        for (unsigned i = 0; i < m->count; i++)
            update_vector(m, &m->vectors[i]);
    }
    pthread_mutex_unlock(&m->lock);
}

void msix_signal(struct msix *m, unsigned vector)
{
    if (vector < m->count)
        eventfd_write(m->vectors[vector].fd, 1);
}

/* ---- the BAR ---- */

static bool is_pending(const struct msix_vector *v)
{
    struct pollfd p = {.fd = v->fd, .events = POLLIN};

    return !v->attached && poll(&p, 1, 0) == 1;
}

/* 32 pending bits from vector `first` on. */
static uint32_t pending_bits(const struct msix *m, unsigned first)
{
    uint32_t bits = 0;

    for (unsigned i = first; i < m->count && i < first + 32; i++)
        bits |= (uint32_t)is_pending(&m->vectors[i]) << (i - first);
    return bits;
}

/* Only whole dwords are accesses (6.8.2: what else there is has no defined result). */
static uint64_t msix_read(void *dev, uint64_t offset, unsigned size)
{
    struct msix *m = dev;
    unsigned vector = (unsigned)(offset / ENTRY_BYTES);
    uint64_t value = 0;

    if (size != 4 || offset % 4)
        return 0;
    pthread_mutex_lock(&m->lock);
    if (offset < MSIX_PENDING && vector < m->count)
        value = m->vectors[vector].entry[offset % ENTRY_BYTES / 4];
    else if (offset >= MSIX_PENDING && offset - MSIX_PENDING < MSIX_VECTORS / 8)
        value = pending_bits(m, (unsigned)(offset - MSIX_PENDING) * 8);
    pthread_mutex_unlock(&m->lock);
    return value;
}

static void msix_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct msix *m = dev;
    unsigned vector = (unsigned)(offset / ENTRY_BYTES), field = offset % ENTRY_BYTES / 4;

    if (size != 4 || offset % 4 || offset >= MSIX_PENDING || vector >= m->count)
        return;
    if (field == ENTRY_CONTROL)
        value &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
    else if (field == ENTRY_ADDRESS)
        value &= ~3ull;
    pthread_mutex_lock(&m->lock);
    m->vectors[vector].entry[field] = (uint32_t)value;
    update_vector(m, &m->vectors[vector]);
    pthread_mutex_unlock(&m->lock);
}

const struct bus_ops msix_ops = {"msi-x", 4, msix_read, msix_write};

/* ---- life ---- */

int msix_init(struct msix *m, struct pci_function *f, unsigned vectors, struct error *err)
{
    *m = (struct msix){.function = f};
    if (vectors > MSIX_VECTORS)
        return error_set(err, EINVAL, "give '%s' %u interrupts", f->type.name, vectors);
    m->vectors = xcalloc(vectors, sizeof(m->vectors[0]));
    pthread_mutex_init(&m->lock, NULL);
    for (; m->count < vectors; m->count++) {
        struct msix_vector *v = &m->vectors[m->count];
        v->entry[ENTRY_CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT; /* 6.8.2.9: after reset */
        v->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (v->fd < 0)
            return error_set(err, errno, "create interrupt %u of '%s'", m->count, f->type.name);
    }
    return 0;
}

void msix_reset(struct msix *m)
{
    eventfd_t count;

    for (unsigned i = 0; i < m->count; i++) {
        struct msix_vector *v = &m->vectors[i];
        memset(v->entry, 0, sizeof(v->entry));
        v->entry[ENTRY_CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT; /* 6.8.2.9 */
        v->route = 0;
        eventfd_read(v->fd, &count);
    }
}

void msix_state(struct msix *m, struct state *s)
{
    for (unsigned i = 0; i < m->count; i++) {
        struct msix_vector *v = &m->vectors[i];
        uint8_t pending = is_pending(v);

        state_item(s, v->entry);
        state_item(s, pending);
        v->entry[ENTRY_ADDRESS] &= ~3u;
        v->entry[ENTRY_CONTROL] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
        if (s->loading && pending)
            eventfd_write(v->fd, 1);
    }
}

void msix_destroy(struct msix *m)
{
    if (!m->vectors)
        return;
    const struct pci *p = m->function->pci;

    for (unsigned i = 0; i < m->count; i++) {
        if (m->vectors[i].attached)
            p->wires->msi_detach(p->wires_arg, m->vectors[i].fd, m->vectors[i].route);
        close(m->vectors[i].fd);
    }
    free(m->vectors);
    pthread_mutex_destroy(&m->lock);
    *m = (struct msix){0};
}
