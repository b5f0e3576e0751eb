/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ACPI fixed hardware, see pm.h.
 */
#include "kvm/legacy/pm.h"

#include "base/util.h"

enum {
    STS_GLOBAL = 1 << 5,
    STS_POWER_BUTTON = 1 << 8,
    STS_WAKE = 1 << 15,
    STS_CLEARABLE = STS_GLOBAL | STS_POWER_BUTTON | STS_WAKE,
    /* Linux tries out the enable bits of the timer, sleep button and clock, and complains. */
    EN_BITS = 1 << 0 | STS_GLOBAL | STS_POWER_BUTTON | 1 << 9 | 1 << 10,

    CNT_SCI_ENABLE = 1 << 0,
    CNT_SLEEP_TYPE_SHIFT = 10,
    CNT_SLEEP_TYPE = 7 << CNT_SLEEP_TYPE_SHIFT,
    CNT_SLEEP_ENABLE = 1 << 13, /* write only */
};

#define TIMER_HZ 3579545u

static void update_sci(struct pm *pm)
{
    irq_line_set(&pm->sci, pm->status & pm->enable);
}

static uint32_t timer_now(const struct pm *pm)
{
    uint64_t ns = now_mono_ns() - pm->born_ns;

    return (uint32_t)(ns / 1000000000 * TIMER_HZ + ns % 1000000000 * TIMER_HZ / 1000000000);
}

/* The registers side by side, as bytes, so that any width and offset of access is right. */
static uint64_t pm_read(void *dev, uint64_t offset, unsigned size)
{
    struct pm *pm = dev;
    uint64_t value;

    pthread_mutex_lock(&pm->lock);
    if (offset < PM_TIMER) {
        uint64_t regs = pm->status | (uint64_t)pm->enable << 16 |
                        (uint64_t)(pm->control | CNT_SCI_ENABLE) << 32;
        value = regs >> (offset * 8);
    } else {
        value = timer_now(pm) >> ((offset - PM_TIMER) * 8);
    }
    pthread_mutex_unlock(&pm->lock);
    return size < 8 ? value & ((1ull << (size * 8)) - 1) : value;
}

/* One byte of one register. Returns true if it put the machine to sleep for good. */
static bool write_byte(struct pm *pm, uint64_t offset, uint8_t byte)
{
    unsigned shift = (offset & 1) * 8;
    uint16_t bits = (uint16_t)(byte << shift), lane = (uint16_t)(0xff << shift);

    switch (offset & ~1ull) {
    case PM_EVENT:
        pm->status &= (uint16_t) ~(bits & STS_CLEARABLE);
        return false;
    case PM_EVENT + 2:
        pm->enable = (uint16_t)((pm->enable & ~lane) | bits) & EN_BITS;
        if (pm->pressed_early && (pm->enable & STS_POWER_BUTTON)) {
            pm->pressed_early = false;
            pm->status |= STS_POWER_BUTTON;
        }
        return false;
    case PM_CONTROL:
        pm->control = (uint16_t)((pm->control & ~lane) | bits) & CNT_SLEEP_TYPE;
        return (bits & CNT_SLEEP_ENABLE) &&
               (pm->control & CNT_SLEEP_TYPE) >> CNT_SLEEP_TYPE_SHIFT == PM_S5_TYPE;
    }
    return false;
}

static void pm_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct pm *pm = dev;
    bool off = false;

    pthread_mutex_lock(&pm->lock);
    for (unsigned i = 0; i < size; i++)
        off |= write_byte(pm, offset + i, (uint8_t)(value >> (i * 8)));
    update_sci(pm);
    pthread_mutex_unlock(&pm->lock);
    if (off)
        pm->power.request(pm->power.arg, POWER_OFF);
}

const struct bus_ops pm_ops = {
    .name = "acpi pm",
    .width = 4,
    .read = pm_read,
    .write = pm_write,
};

void pm_init(struct pm *pm, struct irq_line sci, struct power power)
{
    *pm = (struct pm){.sci = sci, .power = power, .born_ns = now_mono_ns()};
    pthread_mutex_init(&pm->lock, NULL);
}

void pm_press_power_button(struct pm *pm)
{
    pthread_mutex_lock(&pm->lock);
    pm->status |= STS_POWER_BUTTON;
    pm->pressed_early = !(pm->enable & STS_POWER_BUTTON);
    update_sci(pm);
    pthread_mutex_unlock(&pm->lock);
}

bool pm_is_used(struct pm *pm)
{
    pthread_mutex_lock(&pm->lock);
    bool used = pm->enable & STS_POWER_BUTTON;
    pthread_mutex_unlock(&pm->lock);
    return used;
}

void pm_state(struct pm *pm, struct state *s)
{
    pthread_mutex_lock(&pm->lock);
    if (state_section(s, "acpi pm", 1)) {
        const uint64_t now = now_mono_ns();
        uint64_t age = now - pm->born_ns;
        uint8_t early = pm->pressed_early;
        state_item(s, pm->status);
        state_item(s, pm->enable);
        state_item(s, pm->control);
        state_item(s, early);
        state_item(s, age);
        pm->status &= STS_CLEARABLE;
        pm->enable &= EN_BITS;
        pm->control &= CNT_SLEEP_TYPE;
        pm->pressed_early = early;
        if (s->loading)
            pm->born_ns = now - age - s->elapsed_ns; /* as wide as it is: it may be before boot */
        update_sci(pm);
    }
    pthread_mutex_unlock(&pm->lock);
}
