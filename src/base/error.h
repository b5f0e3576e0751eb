/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors as values.
 *
 * A function that can fail takes a `struct error *` as its last parameter, returns a negative
 * number and says in it what it was doing, to what, and why it went wrong. A caller may put its
 * own context in front with error_wrap(). The text is complete: who prints it adds nothing but
 * the program's name. Lower case, no full stop.
 */
#ifndef PULT_BASE_ERROR_H
#define PULT_BASE_ERROR_H

struct error {
    int code; /* an errno value, or 0 where none applies */
    char text[600];
};

/* Set code and text; if code is not 0, ": " and its strerror() follow. Returns -1. err may be NULL.
 */
int error_set(struct error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "fmt: " before the text that is there. Returns -1. err may be NULL. */
int error_wrap(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Append "; do this" to the text: what the reader can do next. Returns -1. err may be NULL. */
int error_hint(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* That all of them return -1 is known where they are called, to analyzers too. */
static inline int error_failed(int rc)
{
    (void)rc;
    return -1;
}

#define error_set(...)  error_failed((error_set)(__VA_ARGS__))
#define error_wrap(...) error_failed((error_wrap)(__VA_ARGS__))
#define error_hint(...) error_failed((error_hint)(__VA_ARGS__))

#endif
