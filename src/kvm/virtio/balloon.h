/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory balloon (virtio 1.2, 5.5): how memory that the guest does not use comes back to the
 * host, and how the host knows what the guest uses.
 *
 *     inflateq, deflateq   page numbers that the guest gives up, up to the size that was asked for
 *                          (virtio_balloon_set()), and takes back
 *     reporting            ranges of free pages, as they become free; they are taken away before the
 *                          report is answered, and come back as zeroes when the guest touches them
 *     statsq               the guest's own figures, asked for by a timer: every 2 s while they
 *                          change, and with an idle guest less and less often, down to every 16 s,
 *                          so that two hundred of them wake the host 12 times a second
 *
 * What is in the balloon is known by a bitmap, not by what the driver says: a page is given back
 * once, and counted once, however often a driver names it. Memory of huge pages is given back
 * when all of a huge page is in the balloon.
 *
 * A driver without F_MUST_TELL_HOST may use a page before it tells; so may one with it, as far as
 * the host is concerned: a page that is touched is there, as zeroes. With F_DEFLATE_ON_OOM the
 * guest takes pages back rather than end its processes: what is asked for is a wish.
 *
 * Pages are unmapped in a thread of the device's own, for that takes its time.
 */
#ifndef PULT_KVM_VIRTIO_BALLOON_H
#define PULT_KVM_VIRTIO_BALLOON_H

#include "kvm/virtio/virtio.h"

struct virtio_balloon;

/* The guest's figures in bytes, as Linux has them in /proc/meminfo; UINT64_MAX: not told. */
struct balloon_stats {
    uint64_t total, available, free, caches;
    uint64_t swapped_in, swapped_out, major_faults, minor_faults; /* since the guest's boot */
    uint64_t used; /* from these: what is neither available nor in the balloon; 0: not known */
};

/* Who is told. Both are called by the device's thread. */
struct balloon_owner {
    /* New figures; NULL: there are none any more. */
    void (*stats)(void *arg, const struct balloon_stats *stats);
    /* So many bytes are in the balloon. */
    void (*size)(void *arg, uint64_t bytes);
};

/* Put it on the bus, as large as it is to be at first. memory is the bus's. NULL: see err. */
struct virtio_balloon *virtio_balloon_add(struct virtio_bus *bus, struct memory *memory,
                                          uint64_t bytes, const struct balloon_owner *owner,
                                          void *arg, struct error *err);

/* Ask the guest for a balloon of this size. From any thread. */
void virtio_balloon_set(struct virtio_balloon *b, uint64_t bytes);

/* What was asked for, what is in it, and whether the guest has a driver. From any thread. */
uint64_t virtio_balloon_wanted(const struct virtio_balloon *b);
uint64_t virtio_balloon_size(const struct virtio_balloon *b);
bool virtio_balloon_has_driver(const struct virtio_balloon *b);

#endif
