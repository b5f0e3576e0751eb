/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The small things every part needs: memory that is there or ends the process, strings, sizes,
 * time. The x…() allocators are for what the administrator's own input makes necessary; sizes
 * that a guest can choose are bounded and checked where they arise, never passed here.
 */
#ifndef PULT_BASE_UTIL_H
#define PULT_BASE_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* Each argument is evaluated once; the counter keeps nested uses from shadowing each other. */
#define UTIL_PASTE_(a, b) a##b
#define UTIL_PICK_(op, a, b, id)                                                           \
    __extension__({                                                                        \
        __typeof__(a) UTIL_PASTE_(pick_a_, id) = (a);                                      \
        __typeof__(b) UTIL_PASTE_(pick_b_, id) = (b);                                      \
        UTIL_PASTE_(pick_a_, id)                                                           \
        op UTIL_PASTE_(pick_b_, id) ? UTIL_PASTE_(pick_a_, id) : UTIL_PASTE_(pick_b_, id); \
    })
#define UTIL_PICK(op, a, b, id) UTIL_PICK_(op, a, b, id)
#define min(a, b)               UTIL_PICK(<, a, b, __COUNTER__)
#define max(a, b)               UTIL_PICK(>, a, b, __COUNTER__)

void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size); /* room for n elements of size bytes */
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap);

bool str_starts(const char *s, const char *prefix);
bool str_eq(const char *a, const char *b); /* either may be NULL */
char *str_trim(char *s);                   /* in place; returns the first non-blank */

/*
 * Make text of unknown origin fit to be shown, in place: bytes that are not UTF-8, and characters
 * that steer a terminal or turn the order of what follows, become '?'.
 */
void str_printable(char *s);

/* Split at blanks, honouring '…', "…", $'…' and \: a NULL-terminated array, freed with strv_free(). */
char **str_split_words(const char *s, struct error *err);
/* The reverse, on one line: words joined by blanks, quoted where needed. Caller frees. */
char *str_join_words(char *const *words);
void strv_free(char **v);
size_t strv_len(char *const *v);

/* The entry of names[0..n) that is nearest to word by edit distance, NULL if none is near. */
const char *str_nearest(const char *word, const char *const *names, size_t n);

/*
 * "512", "64K", "1.5G", "2GiB" → bytes (K, M, G, T are powers of 1024). Returns 0, or -1 with err:
 * not a size, negative, or too large for 63 bits.
 */
int size_parse(const char *s, uint64_t *bytes, struct error *err);
/* Bytes for people in at most 5 columns: "0", "812", "4.0K", "210M", "1.0G". */
void size_human(uint64_t bytes, char out[8]);
/* Bytes as size_parse() reads them back exactly: "512M", "1000". */
void size_exact(uint64_t bytes, char out[24]);

/* A whole decimal number in [lo, hi]. */
int number_parse(const char *s, int64_t lo, int64_t hi, int64_t *out, struct error *err);
/* "1", "0.5", "2.25" → thousandths. */
int milli_parse(const char *s, int64_t lo, int64_t hi, int64_t *out, struct error *err);

uint64_t now_boot_ns(void); /* CLOCK_BOOTTIME: comparable between processes, goes on in suspend */
uint64_t now_mono_ns(void);

#endif
