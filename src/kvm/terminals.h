/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's terminals, and what of its keeper each is joined to.
 *
 *                          vm.console = serial     vm.console = virtio
 *     the console          COM1 (ttyS0)            hvc0; and COM1, while the guest has no driver
 *     "second" (port)      hvc0                    hvc1
 *     other ports          what vm.port.0, … name: streams of bytes for programs
 *
 * COM1 is there for every kernel from its first instruction on, so it is the console unless the
 * definition says otherwise. It knows no size, and costs an exit for each byte; hvc0 knows its
 * size, and costs one for each write. With vm.console = virtio all that either of them prints is
 * shown on the console, and what is typed goes to hvc0 from the moment the guest's driver has it,
 * before that to COM1: so a boot loader, an early panic or a kernel without the driver are seen
 * and can be talked to.
 *
 * Every other terminal is a port of the keeper (keeper.h), with a history of its own.
 */
#ifndef PULT_KVM_TERMINALS_H
#define PULT_KVM_TERMINALS_H

#include "base/conf.h"
#include "base/error.h"
#include "kvm/legacy/serial.h"

struct guest_def;
struct keeper;
struct machine;
struct vm;

/* "serial" or "virtio" */
conf_value_fn terminals_is_console;
/* "org.example.agent" */
conf_value_fn terminals_is_port;
/* Is vm.console = virtio? */
bool terminals_virtio(const struct guest_def *def);
/* What can be said of the keys together. */
int terminals_check(const struct guest_def *def, struct error *err);

/* COM1's wire; its argument is the struct vm. */
extern const struct serial_line terminals_com1;

/* Put the devices on the machine's bus. */
int terminals_add(struct machine *m, struct keeper *k, struct error *err);
/* Join everything to the keeper, before the machine starts. */
void terminals_plug(struct vm *vm);
/* The machine has ended: a slow reader may have kept the last bytes in its ports. */
void terminals_last(struct vm *vm);
void terminals_unplug(struct vm *vm);

/* A throwaway VM's console is set up, what was typed meanwhile may come: see machine_config.ready. */
void terminals_ready(void *arg);

void terminals_resize(struct vm *vm, unsigned cols, unsigned rows);
void terminals_break(struct vm *vm);

#endif
