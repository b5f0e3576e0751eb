/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket device (virtio 1.2, 5.10): streams between programs in the guest (AF_VSOCK) and
 * programs of the host, which see plain unix sockets. Served here: no vhost, no rights.
 *
 *     host to guest     a client connects to a listening socket and says "CONNECT PORT\n"; when the
 *                       guest has accepted that it reads "OK HOST-PORT\n", and from there on all
 *                       bytes are the stream's. If the guest refuses it reads end of file.
 *     guest to host     the guest connects to port P of CID 2; the owner's connect(P) returns what
 *                       is at its other end, or the guest is refused.
 *
 * Both are what Firecracker and cloud-hypervisor do, so clients written for these work here.
 *
 * A stream has two directions, each closed by itself: a client that shuts down writing is a guest's
 * end of file, and the other way around. What the host does not read is kept, up to
 * VSOCK_BUFFER bytes a connection, which is the credit that the guest has; what the guest does not
 * read stays in the client's socket. Nothing waits for anybody.
 *
 * At most VSOCK_CONNECTIONS are there at once, in either direction; more are refused. A guest that
 * is reset, or comes out of a snapshot, has none.
 */
#ifndef PULT_KVM_VIRTIO_VSOCK_H
#define PULT_KVM_VIRTIO_VSOCK_H

#include "kvm/virtio/virtio.h"

#define VSOCK_CONNECTIONS 256u
#define VSOCK_BUFFER      (128u << 10)

#define VSOCK_CID_HOST  2u
#define VSOCK_CID_FIRST 3u          /* that a guest may have; and */
#define VSOCK_CID_LAST  0xfffffffeu /* the last (5.10.4) */

/* The host. */
struct vsock_owner {
    /*
     * The guest wants to talk to this port: a stream socket that is connected and non-blocking,
     * which becomes the device's, or -1. By the device's thread; must not wait.
     */
    int (*connect)(void *arg, uint32_t port);
};

/*
 * Put one on the bus. listener is a non-blocking unix socket that listens, and becomes the
 * device's, or -1. 0, or -1 (see err; listener is still the caller's).
 */
int virtio_vsock_add(struct virtio_bus *bus, uint32_t cid, int listener,
                     const struct vsock_owner *owner, void *arg, struct error *err);

#endif
