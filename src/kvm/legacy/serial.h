/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A 16550A serial port: the VM's console.
 *
 * What the guest transmits goes to the line at once. Where the line takes nothing more (a reader
 * that wants every byte is behind) the transmitter stays busy: bytes wait in its FIFO, THRE stays
 * clear, and the guest's driver waits, as it would for a slow wire. In the other direction the
 * line keeps what the receive FIFO has no room for, and everything while the guest does not
 * listen (RTS), and is told when it may go on.
 */
#ifndef PULT_KVM_LEGACY_SERIAL_H
#define PULT_KVM_LEGACY_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/state.h"

#define SERIAL_COM1     0x3f8
#define SERIAL_COM1_GSI 4
#define SERIAL_COM2     0x2f8
#define SERIAL_COM2_GSI 3
#define SERIAL_PORTS    8
#define SERIAL_FIFO     16

/* The other end of the wire. Both are called with the port's lock held: never call back. */
struct serial_line {
    /* The guest transmits. Returns how many bytes were taken. */
    size_t (*put)(void *arg, const void *data, size_t len);
    /* serial_input() was refused bytes and would take some now. */
    void (*input_ready)(void *arg);
};

struct serial_rx {
    uint8_t byte, status; /* status: LSR bits that go with this byte */
};

struct serial {
    pthread_mutex_t lock;
    struct irq_line irq;
    const struct serial_line *line;
    void *line_arg;

    uint8_t ier, fcr, lcr, mcr, scratch, divisor[2];
    bool thr_empty_pending; /* the "holding register empty" interrupt has not been seen yet */
    bool overrun;
    bool refused; /* input waits at the line's other end */
    struct serial_rx rx[SERIAL_FIFO];
    unsigned rx_head, rx_count;
    uint8_t tx[SERIAL_FIFO];
    unsigned tx_count; /* above 0: the line is busy */
};

extern const struct bus_ops serial_ops;

void serial_init(struct serial *s, struct irq_line irq, const struct serial_line *line, void *arg);
/* Bytes for the guest. Returns how many it had room for; after fewer, line->input_ready(). */
size_t serial_input(struct serial *s, const void *data, size_t len);
/* A break: the wire held low for longer than a character. */
void serial_break(struct serial *s);
/* The line takes bytes again. */
void serial_output_ready(struct serial *s);

/* Save or load it; to be called while no vCPU runs. Output that waited goes to the line anew. */
void serial_state(struct serial *s, struct state *st);

#endif
