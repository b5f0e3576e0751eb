/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other end of a serial port: a unix socket that one client at a time is connected to.
 *
 *     guest ── serial port ── struct wire ── RUN/NAME/com2 ── socat, minicom, gdb
 *
 * With nobody there, what the guest sends is lost, as on a wire with nothing plugged in. A client
 * that does not read holds the guest's transmitter up; one that sends more than the guest takes is
 * held up itself. What it sent before it closed still reaches the guest. Others wait until it has
 * left. Who may connect is said by the socket's mode, and looked at again (SO_PEERCRED).
 *
 * vCPUs call put() and input_ready() through wire_line, under the port's lock; all else is done
 * by the worker that serves the socket.
 */
#ifndef PULT_KVM_LEGACY_WIRE_H
#define PULT_KVM_LEGACY_WIRE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kvm/legacy/serial.h"
#include "kvm/worker.h"

#define WIRE_INPUT 4096

struct wire {
    pthread_mutex_t lock; /* for client and output_waits */
    struct serial *port;
    struct worker *worker;
    int listener, client; /* -1: none */
    uid_t owner;          /* whose clients are let in, besides root's */
    struct worker_source accept, peer;
    struct worker_call wake;
    bool output_waits; /* put() could not send all */
    bool no_more;      /* the client will send nothing any more */
    bool gone;         /* it has closed: only what it sent is still to be read */
    size_t at, len;    /* in input: what the port had no room for */
    uint8_t input[WIRE_INPUT];
};

extern const struct serial_line wire_line;

/* Make the socket `name` in a directory. NULL on failure. */
struct wire *wire_create(int dir, const char *name, struct error *err);
/* Serve it from now on. */
int wire_start(struct wire *w, struct serial *port, struct worker *worker, struct error *err);
/* When worker and vCPUs are gone. Accepts NULL. */
void wire_destroy(struct wire *w);

#endif
