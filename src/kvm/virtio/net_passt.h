/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * passt (net/passt.h) as the port of a network device.
 */
#ifndef PULT_KVM_VIRTIO_NET_PASST_H
#define PULT_KVM_VIRTIO_NET_PASST_H

#include "kvm/virtio/net.h"
#include "net/passt.h"

/* Started here, before there are threads; ends with the device. */
struct net_port *net_passt(const struct passt_request *rq, struct error *err);

#endif
