/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tap as the port of a network device, served by us or by the kernel's vhost-net.
 */
#ifndef PULT_KVM_VIRTIO_NET_TAP_H
#define PULT_KVM_VIRTIO_NET_TAP_H

#include "kvm/virtio/net.h"
#include "net/card.h"
#include "net/tap.h"

#define NET_VHOST_PATH "/dev/vhost-net"

/*
 * tap was opened with NET_HEADER bytes of header, and is the port's when this succeeds. Without
 * vhost-net, AUTO does without it; ON fails.
 */
struct net_port *net_tap(struct tap *tap, const struct memory *memory, enum card_vhost vhost,
                         struct error *err);

#endif
