/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the two halves of the socket device share: packets and the guest (vsock.c), connections and
 * the host's sockets (vsock_conn.c). All of it belongs to the device's thread.
 *
 *                  accept()                      connect(), the guest's REQUEST
 *                     │                                     │
 *                  GREETING ── "CONNECT P" ──► REQUESTED    │
 *                                                  │ RESPONSE
 *                                                  ▼        ▼
 *                                                    OPEN ◄─┘
 *                    the host's end is gone, the     │    the guest's is, and there is something
 *                    guest has not answered yet      │    left of what it sent
 *                               LEFT ◄───────────────┴──────────► FLUSHING
 */
#ifndef PULT_KVM_VIRTIO_VSOCK_PRIVATE_H
#define PULT_KVM_VIRTIO_VSOCK_PRIVATE_H

#include <linux/virtio_vsock.h>
#include <sys/queue.h>

#include "kvm/virtio/vsock.h"

#define VSOCK_BUCKETS 256u
#define VSOCK_RESETS  128u /* for packets of no connection, that wait for room in the guest */

enum vsock_state { VSOCK_GREETING, VSOCK_REQUESTED, VSOCK_OPEN, VSOCK_LEFT, VSOCK_FLUSHING };

/* What the guest is to be told of a connection. */
enum {
    VSOCK_TELL_REQUEST = 1,
    VSOCK_TELL_RESPONSE = 2,
    VSOCK_TELL_SHUTDOWN = 4,
    VSOCK_TELL_CREDIT = 8,
};

struct vsock_conn {
    struct vsock *vsock;
    TAILQ_ENTRY(vsock_conn) all, ready;
    LIST_ENTRY(vsock_conn) same_hash;
    enum vsock_state state;
    uint32_t host_port, guest_port;
    struct worker_source source; /* fd -1: closed */
    bool hashed;                 /* it can be found by its ports */
    bool is_ready;               /* in the list of those that may have something for the guest */
    bool readable;               /* the socket may have something */
    bool hung_up;                /* its other end is closed */
    bool asked;                  /* the guest was asked for credit */
    uint8_t tell;
    uint8_t host_shut,
        guest_shut; /* VIRTIO_VSOCK_SHUTDOWN_…, each of what that side does no more */

    /* 5.10.6.3: what we sent, and what the guest says of that; the same of the other direction. */
    uint32_t sent, guest_buffer, guest_forwarded;
    uint32_t forwarded, told_forwarded;
    uint8_t *kept; /* VSOCK_BUFFER bytes as a ring, or NULL: sent by the guest, not taken yet */
    uint32_t kept_at, kept_len;
};

struct vsock_reset {
    uint32_t host_port, guest_port;
    uint16_t type;
};

TAILQ_HEAD(vsock_list, vsock_conn);
LIST_HEAD(vsock_bucket, vsock_conn);

struct vsock {
    struct virtio_device *device;
    const struct vsock_owner *owner;
    void *arg;
    struct worker_source listener;
    uid_t user; /* whose clients are let in, besides root's */
    uint32_t cid;
    uint32_t next_port; /* of the host, for its own connections */
    unsigned count;
    struct vsock_list conns, ready;
    struct vsock_bucket buckets[VSOCK_BUCKETS];
    struct vsock_reset resets[VSOCK_RESETS];
    unsigned resets_at, resets_len;
    bool sending_waits; /* the guest's packets are not read while there is no room for answers */
    bool tell_reset;    /* by the event queue: all connections are gone */
};

/* ---- vsock_conn.c ---- */

struct vsock_conn *vsock_find(struct vsock *v, uint32_t host_port, uint32_t guest_port);
/* The guest's REQUEST: NULL where it is refused. */
struct vsock_conn *vsock_accept(struct vsock *v, uint32_t host_port, uint32_t guest_port);
/* The guest's RESPONSE. False: there is nobody any more. */
bool vsock_opened(struct vsock_conn *c);
/* Pass len bytes on, or keep them. False: that is more than the guest had credit for. */
bool vsock_put(struct vsock_conn *c, struct chain *chain, uint32_t len);
/* The guest's SHUTDOWN of these directions. False: it is over, and to be answered by a reset. */
bool vsock_guest_shut(struct vsock_conn *c, uint32_t how);
/* The guest's RST. */
void vsock_guest_reset(struct vsock_conn *c);
/* Read into these: how many bytes; 0: there is nothing now, or no more at all. */
size_t vsock_read(struct vsock_conn *c, const struct iovec *iov, unsigned count);
/* The host's end is closed for good: let go of what belongs to it. */
void vsock_leave(struct vsock_conn *c);
/* It may have something for the guest: have it looked at. */
void vsock_make_ready(struct vsock_conn *c);
void vsock_end(struct vsock_conn *c);
void vsock_end_all(struct vsock *v);
/* Somebody connects to the listener: its ready(). */
void vsock_on_listener(void *vsock, uint32_t events);

/* ---- vsock.c ---- */

/* Fill the guest's buffers with what there is for it. Outside of a handler. */
void vsock_pump(struct vsock *v);
/* Tell the guest of a connection that is none. Where there is no room it finds out by itself. */
void vsock_add_reset(struct vsock *v, uint32_t host_port, uint32_t guest_port);
/* Does the guest have a driver that works? */
bool vsock_has_driver(const struct vsock *v);

#endif
