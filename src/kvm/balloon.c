/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The balloon of a VM, see balloon.h. What the guest tells of itself goes into the status page as
 * it comes, from the device's thread, and is kept for who asks.
 */
#include "kvm/balloon.h"

#include <pthread.h>
#include <string.h>

#include "base/util.h"
#include "guest/keeper.h"
#include "kvm/settings.h"
#include "kvm/virtio/balloon.h"
#include "kvm/vm.h"

#define LEAST (16ull << 20) /* is left to a guest; less is a slip of the pen */

int balloon_is_setting(const char *value, struct error *err)
{
    return strcmp(value, "none") == 0 ? 0 : conf_is_size(value, err);
}

static int check_leave(uint64_t leave, uint64_t memory, struct error *err)
{
    char want[24], have[24];

    if (leave >= LEAST && leave <= memory)
        return 0;
    size_exact(leave, want);
    size_exact(memory, have);
    return error_set(err, 0, "a guest of %s cannot be left with %s: it may be 16M to %s", have,
                     want, have);
}

/* How much the guest is left with at first. False: it has no balloon. */
static bool read_setting(const struct guest_def *def, uint64_t memory, uint64_t *leave)
{
    const char *value = conf_get(def->conf, "vm.balloon");

    *leave = memory;
    return !value || (strcmp(value, "none") != 0 && size_parse(value, leave, NULL) == 0);
}

int balloon_check(const struct guest_def *def, struct error *err)
{
    struct settings settings;
    uint64_t leave;

    if (settings_read(def, &settings, err) < 0)
        return -1;
    if (read_setting(def, settings.memory.size, &leave) &&
        check_leave(leave, settings.memory.size, err) < 0)
        return error_wrap(err, "vm.balloon");
    return 0;
}

/* ---- told by the device's thread ---- */

static void on_stats(void *arg, const struct balloon_stats *stats)
{
    struct vm *vm = arg;

    pthread_mutex_lock(&vm->stats_lock);
    vm->stats_known = stats != NULL;
    if (stats)
        vm->stats = *stats;
    pthread_mutex_unlock(&vm->stats_lock);
    __atomic_store_n(&vm->keeper->status.page->memory_used, stats ? stats->used : 0,
                     __ATOMIC_RELAXED);
}

static void on_size(void *arg, uint64_t bytes)
{
    struct vm *vm = arg;

    __atomic_store_n(&vm->keeper->status.page->memory_ballooned, bytes, __ATOMIC_RELAXED);
}

static const struct balloon_owner owner = {on_stats, on_size};

int balloon_add(struct machine *m, struct keeper *k, struct error *err)
{
    struct vm *vm = vm_of(k);
    uint64_t leave;

    if (!read_setting(k->def, m->memory.size, &leave))
        return 0;
    pthread_mutex_init(&vm->stats_lock, NULL);
    vm->balloon =
        virtio_balloon_add(&m->virtio, &m->memory, m->memory.size - leave, &owner, vm, err);
    return vm->balloon ? 0 : -1;
}

/* ---- asked by clients ---- */

int balloon_memory(struct keeper *k, uint64_t leave, struct guest_memory *out, struct error *err)
{
    struct vm *vm = vm_of(k);

    if (!vm || !vm->balloon)
        return error_set(err, 0, "'%s' has no balloon (vm.balloon = none)", k->def->name);
    const uint64_t all = vm->machine->memory.size;
    if (leave && check_leave(leave, all, err) < 0)
        return -1;
    if (leave)
        virtio_balloon_set(vm->balloon, all - leave);
    *out = (struct guest_memory){
        .size = all,
        .wanted = all - virtio_balloon_wanted(vm->balloon),
        .left = all - virtio_balloon_size(vm->balloon),
        .driver = virtio_balloon_has_driver(vm->balloon),
    };
    pthread_mutex_lock(&vm->stats_lock);
    const struct balloon_stats s = vm->stats;
    const bool known = vm->stats_known;
    pthread_mutex_unlock(&vm->stats_lock);
    const struct guest_memory_figure figures[] = {
        {"used", s.used ? s.used : UINT64_MAX},
        {"total", s.total},
        {"available", s.available},
        {"free", s.free},
        {"caches", s.caches},
        {"swapped_in", s.swapped_in},
        {"swapped_out", s.swapped_out},
        {"major_faults", s.major_faults},
        {"minor_faults", s.minor_faults},
    };
    _Static_assert(ARRAY_SIZE(figures) <= GUEST_MEMORY_FIGURES, "no room for all figures");
    for (unsigned i = 0; known && i < ARRAY_SIZE(figures); i++)
        if (figures[i].value != UINT64_MAX)
            out->figures[out->count++] = figures[i];
    return 0;
}
