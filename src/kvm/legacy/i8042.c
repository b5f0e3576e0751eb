/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keyboard controller, see i8042.h. Commands as in IBM's PS/2 technical reference.
 */
#include "kvm/legacy/i8042.h"

enum {
    STATUS_OUT_FULL = 0x01,
    STATUS_SYSTEM = 0x04, /* the self-test was passed */
    STATUS_UNLOCKED = 0x10,

    CMD_READ_CONFIG = 0x20,
    CMD_WRITE_CONFIG = 0x60,
    CMD_TEST_AUX = 0xa9,
    CMD_SELF_TEST = 0xaa,
    CMD_TEST_KEYBOARD = 0xab,
    CMD_WRITE_OUTPUT = 0xd1,
    CMD_PULSE = 0xf0, /* to 0xff: pulse the output lines whose bits are clear; bit 0 is reset */

    SELF_TEST_PASSED = 0x55,
    INTERFACE_DEAD = 0x01, /* the clock line is stuck: nothing is plugged in */
};

static void answer(struct i8042 *kbc, uint8_t byte)
{
    kbc->out = byte;
    kbc->out_full = true;
}

static uint64_t data_read(void *dev, uint64_t offset, unsigned size)
{
    struct i8042 *kbc = dev;

    (void)offset, (void)size;
    pthread_mutex_lock(&kbc->lock);
    uint8_t byte = kbc->out;
    kbc->out_full = false;
    pthread_mutex_unlock(&kbc->lock);
    return byte;
}

/* A parameter of the last command; bytes for the keyboard itself reach nobody. */
static void data_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *kbc = dev;
    bool reset;

    (void)offset, (void)size;
    pthread_mutex_lock(&kbc->lock);
    reset = kbc->pending == CMD_WRITE_OUTPUT && !(value & 1);
    if (kbc->pending == CMD_WRITE_CONFIG)
        kbc->config = (uint8_t)value;
    kbc->pending = 0;
    pthread_mutex_unlock(&kbc->lock);
    if (reset)
        kbc->power.request(kbc->power.arg, POWER_RESET);
}

static uint64_t status_read(void *dev, uint64_t offset, unsigned size)
{
    struct i8042 *kbc = dev;

    (void)offset, (void)size;
    pthread_mutex_lock(&kbc->lock);
    uint8_t status = STATUS_SYSTEM | STATUS_UNLOCKED | (kbc->out_full ? STATUS_OUT_FULL : 0);
    pthread_mutex_unlock(&kbc->lock);
    return status;
}

static void command_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct i8042 *kbc = dev;
    uint8_t command = (uint8_t)value;

    (void)offset, (void)size;
    if (command >= CMD_PULSE) {
        if (!(command & 1))
            kbc->power.request(kbc->power.arg, POWER_RESET);
        return;
    }
    pthread_mutex_lock(&kbc->lock);
    kbc->pending = command;
    switch (command) {
    case CMD_READ_CONFIG:
        answer(kbc, kbc->config);
        break;
    case CMD_SELF_TEST:
        answer(kbc, SELF_TEST_PASSED);
        break;
    case CMD_TEST_KEYBOARD:
    case CMD_TEST_AUX:
        answer(kbc, INTERFACE_DEAD);
        break;
    }
    pthread_mutex_unlock(&kbc->lock);
}

const struct bus_ops i8042_data_ops = {
    .name = "keyboard data",
    .width = 1,
    .read = data_read,
    .write = data_write,
};

const struct bus_ops i8042_command_ops = {
    .name = "keyboard controller",
    .width = 1,
    .read = status_read,
    .write = command_write,
};

void i8042_init(struct i8042 *kbc, struct power power)
{
    *kbc = (struct i8042){.power = power};
    pthread_mutex_init(&kbc->lock, NULL);
}

void i8042_state(struct i8042 *kbc, struct state *s)
{
    pthread_mutex_lock(&kbc->lock);
    if (state_section(s, "i8042", 1)) {
        uint8_t full = kbc->out_full;
        state_item(s, kbc->config);
        state_item(s, kbc->pending);
        state_item(s, kbc->out);
        state_item(s, full);
        kbc->out_full = full;
    }
    pthread_mutex_unlock(&kbc->lock);
}
