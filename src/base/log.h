/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of a process that nobody watches. Lines carry a UTC time stamp and go to standard
 * error, or, after log_to(), to a file that stops growing at a limit (a guest may cause messages,
 * but never fill the disk). Thread-safe.
 */
#ifndef PULT_BASE_LOG_H
#define PULT_BASE_LOG_H

#include <stddef.h>

/* Own fd from now on and write at most limit bytes to it, 0: no limit. */
void log_to(int fd, size_t limit);
/* How much a line weighs, with LXC's numbers. Below LOG_AT_NOTICE it is only for log_also(). */
enum log_level {
    LOG_AT_TRACE,
    LOG_AT_DEBUG,
    LOG_AT_INFO,
    LOG_AT_NOTICE,
    LOG_AT_WARN,
    LOG_AT_ERROR
};
/* Lines of this level and above also go to fd, with this text before them; two such at most. Both are kept. */
void log_also(int fd, const char *before, unsigned level);
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A warning. */
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, but at most once for each place in the code: for what a guest can cause at will. */
#define log_once(...)                                                   \
    do {                                                                \
        static char log_once_done_;                                     \
        if (!__atomic_exchange_n(&log_once_done_, 1, __ATOMIC_RELAXED)) \
            log_line(__VA_ARGS__);                                      \
    } while (0)

#endif
