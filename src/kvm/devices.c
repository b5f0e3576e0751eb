/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devices of a guest, see devices.h. Each kind has its functions that read the
 * definition, and a place in the table, whose order is that of the slots on the bus.
 */
#include "kvm/devices.h"

#include "base/util.h"
#include "guest/keeper.h"
#include "kvm/balloon.h"
#include "kvm/disks.h"
#include "kvm/machine.h"
#include "kvm/networks.h"
#include "kvm/terminals.h"
#include "kvm/throw/throw.h"
#include "kvm/virtio/fs.h"
#include "kvm/virtio/rng.h"
#include "kvm/vsock.h"

static int add_rng(struct machine *m, struct keeper *k, struct error *err)
{
    (void)k;
    return rng_add(&m->virtio, err);
}

static int add_shares(struct machine *m, struct keeper *k, struct error *err)
{
    return fs_add_all(&m->virtio, k->def, err);
}

static int add_root(struct machine *m, struct keeper *k, struct error *err)
{
    return throw_wanted(k->def) ? throw_add(&m->virtio, k->def, err) : 0;
}

static const struct {
    int (*check)(const struct guest_def *def, struct error *err); /* NULL: nothing to be told */
    int (*add)(struct machine *m, struct keeper *k, struct error *err);
} kinds[] = {
    {NULL, add_rng},
    {disks_check, disks_add},
    {networks_check, networks_add},
    {fs_check, add_shares},
    {NULL, add_root},
    {terminals_check, terminals_add},
    {balloon_check, balloon_add},
    {NULL, vsock_add},
};

int devices_check(const struct guest_def *def, struct error *err)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
        if (kinds[i].check && kinds[i].check(def, err) < 0)
            return -1;
    return 0;
}

int devices_add(struct machine *m, struct keeper *k, struct error *err)
{
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
        if (kinds[i].add(m, k, err) < 0)
            return -1;
    return 0;
}
