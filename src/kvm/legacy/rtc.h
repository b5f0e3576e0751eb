/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The MC146818 real-time clock and its 128 bytes of CMOS memory.
 *
 * The time is the host's (UTC) plus what the guest set it to differ; it is computed when it is
 * read, so the clock costs nothing while nobody looks, and an update is never in progress. Alarm
 * and update interrupts come from a timerfd which is armed only while the guest wants one.
 */
#ifndef PULT_KVM_LEGACY_RTC_H
#define PULT_KVM_LEGACY_RTC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"
#include "kvm/bus.h"
#include "kvm/device.h"
#include "kvm/state.h"

#define RTC_PORT        0x70 /* index; the data port follows */
#define RTC_PORTS       2
#define RTC_GSI         8
#define RTC_REG_CENTURY 0x32

struct rtc {
    pthread_mutex_t lock;
    struct irq_line irq;
    uint8_t index;
    uint8_t ram[128];            /* alarm registers and B live here too; the time does not */
    uint8_t flags;               /* register C */
    int64_t offset;              /* guest's time - host's, seconds */
    struct tm held;              /* the time while the guest sets it (B.SET) */
    int64_t update_at, alarm_at; /* guest's seconds of the next interrupts */
    int timer_fd;                /* readable: call rtc_expired() */
};

extern const struct bus_ops rtc_ops;

int rtc_init(struct rtc *r, struct irq_line irq, struct error *err);
/* The machine was reset: nothing interrupts; the time goes on. */
void rtc_reset(struct rtc *r);
void rtc_destroy(struct rtc *r);
void rtc_expired(struct rtc *r);

/* Save or load it: how far the guest's time differs from the host's is kept. */
void rtc_state(struct rtc *r, struct state *s);

#endif
