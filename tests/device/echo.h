/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio device for the tests of the core.
 *
 *     queue 0   answers: what is readable is copied to what is writable
 *     queue 1   keeps its chains until echo_release() is called: a device that works in the
 *               background
 *
 * Of its 12 bytes of configuration the driver may write the first 4.
 */
#ifndef PULT_TESTS_DEVICE_ECHO_H
#define PULT_TESTS_DEVICE_ECHO_H

#include "kvm/virtio/virtio.h"

#define ECHO_QUEUES 3
#define ECHO_SIZE   64
#define ECHO_CONFIG 12

enum { ECHO_F_ONE = 0, ECHO_F_TWO = 5 }; /* offered by the type, and by the instance */

struct echo {
    struct virtio_device *device;
    _Atomic unsigned starts, resets, drains, destroyed, handled;
    _Atomic unsigned kept;
    struct chain chains[ECHO_SIZE];
    struct iovec iov[ECHO_SIZE][ECHO_SIZE];
    bool keeps; /* at rest: chains are kept over a snapshot, and not waited for */
};

/* threads: workers of its own; 0: the loop. */
int echo_add(struct virtio_bus *bus, struct echo *e, unsigned threads);
/* Complete what was kept, as the device's worker would. */
void echo_release(struct echo *e);

#endif
