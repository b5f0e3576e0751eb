/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The console device (virtio 1.2, 5.3), in two shapes:
 *
 *     a terminal   one port, hvc0 and so on in the guest. Its size is in the configuration, and
 *                  follows (VIRTIO_CONSOLE_F_SIZE); it can be written to without a queue
 *                  (F_EMERG_WRITE).
 *     ports        F_MULTIPORT: streams of bytes with names, /dev/virtio-ports/NAME in the guest.
 *
 * Terminals are devices of their own and no ports of one, because the message that tells a port of
 * its size has its two fields in another order in some of Linux's drivers than in others: commit
 * 5326ab737a47 changed it to what 5.3.6.2 says, stable kernels took that, and it was reverted.
 * The fields of the configuration all drivers read alike.
 *
 *     guest's driver                 device                        line (terminals.c)
 *       transmitq   ──────────────►  passes bytes on  ──────────►  put()
 *                                    … until put() takes no more,
 *                                    and again at     ◄──────────  virtio_port_output_ready()
 *       receiveq    ◄──────────────  fills buffers    ◄──────────  virtio_port_input()
 *                                    … until there is none free,
 *                                    and again at     ──────────►  input_ready()
 *
 * Nothing is buffered here: what the line does not take stays in the guest's buffer, of which the
 * device remembers how much was passed on. A driver of Linux's terminals turns round, with its
 * interrupts off, until the device has taken its buffer, so a line should take what it can.
 *
 * All of it belongs to the owner's loop: the functions below are called there.
 */
#ifndef PULT_KVM_VIRTIO_CONSOLE_H
#define PULT_KVM_VIRTIO_CONSOLE_H

#include "kvm/virtio/virtio.h"

#define VIRTIO_PORTS_MOST 16u
#define VIRTIO_PORT_NAME  60u

struct virtio_port;

/* What is at the other end of a port. */
struct virtio_port_line {
    /* The guest sends. Returns how many bytes were taken. */
    size_t (*put)(void *arg, const void *data, size_t len);
    /* virtio_port_input() was refused bytes and would take some now. */
    void (*input_ready)(void *arg);
    /* Optional. The guest's driver is there now, or has the port open; or not any more. */
    void (*opened)(void *arg, bool open);
    /* Of terminals: a byte that came without a queue. From any thread. */
    void (*emergency)(void *arg, uint8_t byte);
};

/* Put a terminal on the bus. NULL: see err. It lives as long as the machine. */
struct virtio_port *virtio_terminal_add(struct virtio_bus *bus, const struct virtio_port_line *line,
                                        void *arg, struct error *err);

/* One of the ports to be. */
struct virtio_port_setup {
    const char *name;
    const struct virtio_port_line *line;
    void *arg;
    struct virtio_port *port; /* filled in */
};
/* Put a device with n named ports on the bus. */
int virtio_ports_add(struct virtio_bus *bus, struct virtio_port_setup *setup, unsigned n,
                     struct error *err);

/* Bytes for the guest. Returns how many it had room for; after fewer, line->input_ready(). */
size_t virtio_port_input(struct virtio_port *p, const void *data, size_t len);
/* The line takes bytes again. */
void virtio_port_output_ready(struct virtio_port *p);
/* The machine has ended: pass on what is still in the queue. */
void virtio_port_last(struct virtio_port *p);
/* Of a terminal: its size in cells. */
void virtio_port_resize(struct virtio_port *p, unsigned cols, unsigned rows);
/* Of a named port: somebody is at the other end, or nobody. */
void virtio_port_attend(struct virtio_port *p, bool yes);

#endif
