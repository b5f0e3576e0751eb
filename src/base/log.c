/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One line is one write(2), so lines of several threads and processes never mix. What a guest
 * makes us say may carry escape sequences, so it is made printable first. The calendar
 * is computed here because the C library's would open the time zone file, which a sandboxed
 * keeper can not.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/util.h"

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = STDERR_FILENO;
static size_t log_limit, log_written;
static struct {
    int fd;
    const char *before;
    unsigned level;
} log_copies[2] = {{-1, NULL, 0}, {-1, NULL, 0}};

/* Write to fd from now on; the one before is closed, unless it is standard error. */
void log_to(int fd, size_t limit)
{
    pthread_mutex_lock(&log_lock);
    if (log_fd != STDERR_FILENO && log_fd != fd)
        close(log_fd);
    log_fd = fd;
    log_limit = limit;
    log_written = 0;
    pthread_mutex_unlock(&log_lock);
}

void log_also(int fd, const char *before, unsigned level)
{
    pthread_mutex_lock(&log_lock);
    for (size_t i = 0; i < ARRAY_SIZE(log_copies); i++)
        if (log_copies[i].fd < 0) {
            log_copies[i].fd = fd;
            log_copies[i].before = before;
            log_copies[i].level = level;
            break;
        }
    pthread_mutex_unlock(&log_lock);
}

/* To where it also goes: one write, which may fail. */
static void log_copy(unsigned level, const char *line, size_t len)
{
    char text[1200];
    for (size_t i = 0; i < ARRAY_SIZE(log_copies) && log_copies[i].fd >= 0; i++) {
        if (level < log_copies[i].level)
            continue;
        int n = snprintf(text, sizeof text, "%s%.*s", log_copies[i].before, (int)len, line);
        if (n > 0)
            (void)!write(log_copies[i].fd, text, min((size_t)n, sizeof text - 1));
    }
}

/* Now as "2026-02-28T23:59:59.123Z ". Days to a date as in the proleptic Gregorian calendar. */
static int stamp(char *out, size_t room)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    int64_t days = t.tv_sec / 86400 + 719468; /* from 0000-03-01: leap days end a year there */
    int second = (int)(t.tv_sec % 86400);
    int64_t era = days / 146097;
    int day = (int)(days % 146097); /* of the 400 years */
    int year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    int month = (5 * day + 2) / 153; /* from March */
    day -= (153 * month + 2) / 5;
    return snprintf(out, room, "%04lld-%02d-%02dT%02d:%02d:%02d.%03ldZ ",
                    (long long)era * 400 + year + (month >= 10), month < 10 ? month + 3 : month - 9,
                    day + 1, second / 3600, second / 60 % 60, second % 60, t.tv_nsec / 1000000);
}

/* Write what fits under the limit; the line that no longer does is replaced by one that says so. */
static void log_write(enum log_level level, const char *line, size_t len)
{
    static const char full[] = "the log is full: nothing more is written\n";

    pthread_mutex_lock(&log_lock);
    log_copy(level, line, len);
    if (level < LOG_AT_NOTICE) {
        pthread_mutex_unlock(&log_lock);
        return;
    }
    if (log_limit == 0 || log_written + len + sizeof full - 1 <= log_limit) {
        write_all(log_fd, line, len);
        log_written += len;
    } else if (log_written < log_limit) {
        write_all(log_fd, full, min(sizeof full - 1, log_limit - log_written));
        log_written = log_limit;
    }
    pthread_mutex_unlock(&log_lock);
}

/* One line, cut at a kilobyte. errno stays as it is. */
static void log_say(enum log_level level, const char *fmt, va_list ap)
{
    int saved = errno;
    char line[1024];
    size_t start = (size_t)stamp(line, sizeof line);
    int n = vsnprintf(line + start, sizeof line - start, fmt, ap);
    size_t len = n < 0 ? start : min(start + (size_t)n, sizeof line - 1);
    line[len] = '\0';
    str_printable(line);
    line[len++] = '\n';
    log_write(level, line, len);
    errno = saved;
}

void log_at(enum log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_say(level, fmt, ap);
    va_end(ap);
}

void log_line(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_say(LOG_AT_WARN, fmt, ap);
    va_end(ap);
}
