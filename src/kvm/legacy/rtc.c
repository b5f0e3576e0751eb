/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real-time clock, see rtc.h. Registers as in Motorola's MC146818 data sheet; the century at
 * 0x32 is the PC's convention, told to the guest in the FADT.
 */
#include "kvm/legacy/rtc.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    REG_SECOND = 0,
    REG_SECOND_ALARM = 1,
    REG_MINUTE = 2,
    REG_MINUTE_ALARM = 3,
    REG_HOUR = 4,
    REG_HOUR_ALARM = 5,
    REG_WEEKDAY = 6,
    REG_DAY = 7,
    REG_MONTH = 8,
    REG_YEAR = 9,
    REG_A = 10,
    REG_B = 11,
    REG_C = 12,
    REG_D = 13,

    A_DIVIDER = 0x26, /* 32768 Hz, running; bit 7, update in progress, is never set */
    B_SET = 0x80,
    B_ALARM = 0x20,
    B_UPDATE = 0x10,
    B_BINARY = 0x04,
    B_24H = 0x02,
    B_WRITABLE = B_SET | B_ALARM | B_UPDATE | B_BINARY,
    C_ANY = 0x80,
    D_VALID = 0x80,

    ALARM_ANY = 0xc0, /* an alarm field from here on matches every value */
};

#define NEVER INT64_MAX
#define DAY   86400
/* The years that the registers can say are no further from now. */
#define MOST_OFFSET (20000ll * 366 * DAY)

/* Not time(2), which may still be in the second before when the timer has expired. */
static int64_t host_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec;
}

static int64_t guest_now(const struct rtc *r)
{
    return host_now() + r->offset;
}

static uint8_t encode(const struct rtc *r, int value)
{
    return (uint8_t)(r->ram[REG_B] & B_BINARY ? value : value / 10 % 10 * 16 + value % 10);
}

static int decode(const struct rtc *r, uint8_t byte)
{
    return r->ram[REG_B] & B_BINARY ? byte : (byte >> 4) * 10 + (byte & 15);
}

/* The broken-down time that the registers show. */
static struct tm shown_time(const struct rtc *r)
{
    time_t now = (time_t)guest_now(r);
    struct tm tm = r->held;

    if (!(r->ram[REG_B] & B_SET))
        gmtime_r(&now, &tm);
    return tm;
}

static bool alarm_matches(const struct rtc *r, unsigned reg, int value)
{
    return r->ram[reg] >= ALARM_ANY || decode(r, r->ram[reg]) == value;
}

/* The next second after now at which the alarm rings, NEVER where its fields are no time. */
static int64_t next_alarm(const struct rtc *r, int64_t now)
{
    for (int64_t t = now + 1; t <= now + DAY; t++) {
        int s = (int)(((t % DAY) + DAY) % DAY);
        if (alarm_matches(r, REG_SECOND_ALARM, s % 60) &&
            alarm_matches(r, REG_MINUTE_ALARM, s / 60 % 60) &&
            alarm_matches(r, REG_HOUR_ALARM, s / 3600))
            return t;
    }
    return NEVER;
}

/* Work out when the next interrupt is due and set the timer to it. */
static void rearm(struct rtc *r)
{
    uint8_t b = r->ram[REG_B];
    int64_t now = guest_now(r);

    r->update_at = (b & B_UPDATE) && !(b & B_SET) ? now + 1 : NEVER;
    r->alarm_at = (b & B_ALARM) && !(b & B_SET) ? next_alarm(r, now) : NEVER;

    int64_t first = r->update_at < r->alarm_at ? r->update_at : r->alarm_at;
    struct itimerspec when = {0}; /* zero disarms */
    if (first != NEVER)
        when.it_value.tv_sec = first - r->offset;
    timerfd_settime(r->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void rtc_expired(struct rtc *r)
{
    uint64_t count;

    pthread_mutex_lock(&r->lock);
    if (read(r->timer_fd, &count, sizeof(count)) == sizeof(count)) {
        int64_t now = guest_now(r);
        if (now >= r->update_at)
            r->flags |= B_UPDATE; /* C's bits lie where B's are that enable them */
        if (now >= r->alarm_at)
            r->flags |= B_ALARM;
        irq_line_set(&r->irq, r->flags & r->ram[REG_B]);
        rearm(r);
    }
    pthread_mutex_unlock(&r->lock);
}

/* Reading C takes all flags away and lowers the line. */
static uint8_t take_flags(struct rtc *r)
{
    uint8_t flags = r->flags & r->ram[REG_B] ? r->flags | C_ANY : r->flags;

    r->flags = 0;
    irq_line_set(&r->irq, false);
    return flags;
}

static uint8_t read_register(struct rtc *r, unsigned reg)
{
    struct tm tm = shown_time(r);

    switch (reg) {
    case REG_SECOND:
        return encode(r, tm.tm_sec);
    case REG_MINUTE:
        return encode(r, tm.tm_min);
    case REG_HOUR:
        return encode(r, tm.tm_hour);
    case REG_WEEKDAY:
        return encode(r, tm.tm_wday + 1);
    case REG_DAY:
        return encode(r, tm.tm_mday);
    case REG_MONTH:
        return encode(r, tm.tm_mon + 1);
    case REG_YEAR:
        return encode(r, tm.tm_year % 100);
    case RTC_REG_CENTURY:
        return encode(r, (tm.tm_year + 1900) / 100);
    case REG_A:
        return A_DIVIDER;
    case REG_C:
        return take_flags(r);
    case REG_D:
        return D_VALID;
    }
    return r->ram[reg];
}

/* Change one field of the broken-down time. False: reg is none of them. */
static bool set_field(const struct rtc *r, struct tm *tm, unsigned reg, uint8_t byte)
{
    int value = decode(r, byte), year = tm->tm_year + 1900;

    switch (reg) {
    case REG_SECOND:
        tm->tm_sec = value;
        return true;
    case REG_MINUTE:
        tm->tm_min = value;
        return true;
    case REG_HOUR:
        tm->tm_hour = value;
        return true;
    case REG_WEEKDAY: /* follows from the date */
        return true;
    case REG_DAY:
        tm->tm_mday = value;
        return true;
    case REG_MONTH:
        tm->tm_mon = value - 1;
        return true;
    case REG_YEAR:
        tm->tm_year = year / 100 * 100 + value - 1900;
        return true;
    case RTC_REG_CENTURY:
        tm->tm_year = value * 100 + year % 100 - 1900;
        return true;
    }
    return false;
}

static void commit_time(struct rtc *r, struct tm tm)
{
    r->offset = (int64_t)timegm(&tm) - host_now();
}

/* While B.SET is on, the clock stands still in r->held; when it goes off, that is the time. */
static void write_b(struct rtc *r, uint8_t byte)
{
    bool was = r->ram[REG_B] & B_SET, is = byte & B_SET;

    if (is && !was)
        r->held = shown_time(r);
    r->ram[REG_B] = (byte & B_WRITABLE) | B_24H;
    if (was && !is)
        commit_time(r, r->held);
    irq_line_set(&r->irq, r->flags & r->ram[REG_B]);
}

static void write_register(struct rtc *r, unsigned reg, uint8_t byte)
{
    struct tm tm = shown_time(r);

    if (set_field(r, &tm, reg, byte)) {
        if (r->ram[REG_B] & B_SET)
            r->held = tm;
        else
            commit_time(r, tm);
    } else if (reg == REG_B) {
        write_b(r, byte);
    } else if (reg < REG_A || reg > REG_D) {
        r->ram[reg] = byte;
    }
    if (reg <= REG_B)
        rearm(r);
}

static uint64_t rtc_read(void *dev, uint64_t offset, unsigned size)
{
    struct rtc *r = dev;
    uint8_t byte = 0xff; /* the index port is write-only */

    (void)size;
    pthread_mutex_lock(&r->lock);
    if (offset == 1)
        byte = read_register(r, r->index);
    pthread_mutex_unlock(&r->lock);
    return byte;
}

static void rtc_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct rtc *r = dev;

    (void)size;
    pthread_mutex_lock(&r->lock);
    if (offset == 0)
        r->index = value & 0x7f; /* bit 7 masks NMI on a PC, and there is none */
    else
        write_register(r, r->index, (uint8_t)value);
    pthread_mutex_unlock(&r->lock);
}

const struct bus_ops rtc_ops = {
    .name = "rtc",
    .width = 1,
    .read = rtc_read,
    .write = rtc_write,
};

int rtc_init(struct rtc *r, struct irq_line irq, struct error *err)
{
    *r = (struct rtc){.irq = irq, .update_at = NEVER, .alarm_at = NEVER};
    r->ram[REG_B] = B_24H;
    pthread_mutex_init(&r->lock, NULL);
    r->timer_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (r->timer_fd < 0)
        return error_set(err, errno, "create the clock's timer");
    return 0;
}

void rtc_reset(struct rtc *r)
{
    pthread_mutex_lock(&r->lock);
    r->index = r->flags = 0;
    r->ram[REG_B] = B_24H;
    rearm(r);
    pthread_mutex_unlock(&r->lock);
}

void rtc_destroy(struct rtc *r)
{
    if (r->timer_fd >= 0)
        close(r->timer_fd);
    r->timer_fd = -1;
}

void rtc_state(struct rtc *r, struct state *s)
{
    /* The time that the guest is setting, without what struct tm has of the host's. */
    int32_t held[] = {r->held.tm_sec, r->held.tm_min,  r->held.tm_hour, r->held.tm_mday,
                      r->held.tm_mon, r->held.tm_year, r->held.tm_wday};

    pthread_mutex_lock(&r->lock);
    if (state_section(s, "rtc", 1)) {
        state_item(s, r->index);
        state_item(s, r->ram);
        state_item(s, r->flags);
        state_item(s, r->offset);
        state_item(s, held);
    }
    if (s->loading) {
        r->index &= 0x7f;
        r->ram[REG_B] = (r->ram[REG_B] & B_WRITABLE) | B_24H;
        if (r->offset > MOST_OFFSET || r->offset < -MOST_OFFSET)
            r->offset = 0;
        r->held = (struct tm){
            .tm_sec = held[0] & 0xff,
            .tm_min = held[1] & 0xff,
            .tm_hour = held[2] & 0xff,
            .tm_mday = held[3] & 0xff,
            .tm_mon = held[4] & 0xff,
            .tm_year = held[5] & 0x7fff,
            .tm_wday = held[6] & 0xff,
        };
        irq_line_set(&r->irq, r->flags & r->ram[REG_B]);
        rearm(r);
    }
    pthread_mutex_unlock(&r->lock);
}
