/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's socket device (virtio/vsock.h), its key in the definition, and where its streams end:
 *
 *     RUN/NAME/vsock      where clients of the host connect, and say "CONNECT PORT\n"
 *     RUN/NAME/vsock_P    where somebody of the host listens for the guest's connections to port P
 *
 * The second are found when the guest connects, by the keeper's janitor (keeper_connect()): the keeper
 * itself sees no file any more.
 */
#ifndef PULT_KVM_VSOCK_H
#define PULT_KVM_VSOCK_H

#include <stdint.h>

#include "base/conf.h"
#include "base/error.h"

struct guest_def;
struct keeper;
struct machine;

/* "on", "off", or the guest's CID */
conf_value_fn vsock_is_setting;

/* The guest's CID, 0: it has no such device. */
uint32_t vsock_cid(const struct guest_def *def);

/* Put the device on the machine's bus, if there is to be one. */
int vsock_add(struct machine *m, struct keeper *k, struct error *err);

/* A socket that is connected to RUN/NAME/vsock_PORT, non-blocking, or -1; k is the keeper. */
int vsock_connect(void *k, uint32_t port);

#endif
