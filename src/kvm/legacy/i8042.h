/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keyboard controller of a machine without keyboard: there for its reset line.
 *
 * Systems that find no better way pulse the CPU's reset through it (0xfe to port 0x64) after they
 * have seen in the status that it takes commands. It answers its self-test, and no device ever
 * answers behind it.
 */
#ifndef PULT_KVM_LEGACY_I8042_H
#define PULT_KVM_LEGACY_I8042_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/state.h"

#define I8042_DATA    0x60
#define I8042_COMMAND 0x64

struct i8042 {
    pthread_mutex_t lock;
    struct power power;
    uint8_t config;  /* the command byte */
    uint8_t pending; /* the command that awaits its parameter at the data port; 0: none */
    uint8_t out;
    bool out_full;
};

extern const struct bus_ops i8042_data_ops, i8042_command_ops;

void i8042_init(struct i8042 *kbc, struct power power);

void i8042_state(struct i8042 *kbc, struct state *s);

#endif
