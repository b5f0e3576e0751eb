/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory, words, sizes and numbers. Every parser here is strict: the whole text must be what is
 * asked for, blanks around it included in the refusal, and a number that does not fit is an error
 * and never wraps. The two ways to write a size are apart: size_human() for eyes, rounded;
 * size_exact() for files, which size_parse() reads back to the same number.
 */
#include "base/util.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/cleanup.h"

/* Pass on memory that is there; end the process where it is not. */
static void *need(void *p)
{
    if (p == NULL) {
        fputs("pult: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

/* Zeroed room for n elements; never NULL. */
void *xcalloc(size_t n, size_t size)
{
    return need(calloc(max(n, (size_t)1), max(size, (size_t)1)));
}

/* Resize to n elements; a product that overflows counts as no memory. */
void *xrealloc(void *p, size_t n, size_t size)
{
    return need(reallocarray(p, max(n, (size_t)1), max(size, (size_t)1)));
}

/* A copy of s; s must not be NULL. */
char *xstrdup(const char *s)
{
    return need(strdup(s));
}

/* A copy of the first n bytes of s, or of all where it is shorter. */
char *xstrndup(const char *s, size_t n)
{
    return need(strndup(s, n));
}

/* printf into fresh memory. */
char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = xvasprintf(fmt, ap);
    va_end(ap);
    return s;
}

/* The same with a va_list. */
char *xvasprintf(const char *fmt, va_list ap)
{
    char *s = NULL;
    if (vasprintf(&s, fmt, ap) < 0)
        s = NULL;
    return need(s);
}

/* Does s begin with prefix? */
bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Equal, or both missing. */
bool str_eq(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Blanks as the C locale has them, whatever the locale is. */
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Cut blanks off both ends. */
char *str_trim(char *s)
{
    while (is_blank(*s))
        s++;
    size_t n = strlen(s);
    while (n > 0 && is_blank(s[n - 1]))
        n--;
    s[n] = '\0';
    return s;
}

/* Length of the UTF-8 sequence at s that decodes to *c, or 0. */
static size_t utf8_read(const unsigned char *s, uint32_t *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (n == 0 || s[0] >= 0xf8)
        return 0;
    *c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) /* the end of the string, too */
            return 0;
        *c = *c << 6 | (s[i] & 0x3f);
    }
    return *c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff) ? 0 : n;
}

/* Control characters of ASCII and of C1, line separators, and those of bidirectional text. */
static bool steers(uint32_t c)
{
    return c < ' ' || (c >= 0x7f && c <= 0x9f) || c == 0x200e || c == 0x200f ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void str_printable(char *s)
{
    while (*s != '\0') {
        uint32_t c;
        size_t n = utf8_read((const unsigned char *)s, &c);
        if (n == 0 || steers(c)) {
            n = max(n, (size_t)1);
            memset(s, '?', n);
        }
        s += n;
    }
}

/* What stands behind a backslash in $'…', and what it means. */
static const char ESCAPED[] = "nr", ESCAPES[] = "\n\r";

/* One word from *s into out, which has room for all of s; *s is left behind it. */
static int word_read(const char **s, char *out, struct error *err)
{
    const char *p = *s;
    char quote = '\0'; /* the one that is open; '$' is that of $'…' */
    for (; *p != '\0' && (quote != '\0' || !is_blank(*p)); p++) {
        if (quote != '\0' && *p == (quote == '$' ? '\'' : quote)) {
            quote = '\0';
        } else if (quote == '\0' && str_starts(p, "$'")) {
            quote = *p++;
        } else if (quote == '\0' && (*p == '\'' || *p == '"')) {
            quote = *p;
        } else if (*p == '\\' && quote == '$' && p[1] != '\0') {
            const char *letter = strchr(ESCAPED, *++p);
            *out++ = letter ? ESCAPES[letter - ESCAPED] : *p;
        } else if (*p == '\\' && (quote == '\0' || (quote == '"' && strchr("\"\\", p[1])))) {
            if (*++p == '\0')
                return error_set(err, EINVAL, "a backslash at the end of \"%s\"", *s);
            *out++ = *p;
        } else {
            *out++ = *p;
        }
    }
    if (quote != '\0')
        return error_set(err, EINVAL, "a %c that is not closed in \"%s\"",
                         quote == '$' ? '\'' : quote, *s);
    *out = '\0';
    *s = p;
    return 0;
}

/* Split at blanks; quotes and backslashes keep blanks in a word, as in a shell. */
char **str_split_words(const char *s, struct error *err)
{
    size_t n = 0;
    char **words = xcalloc(1, sizeof *words);
    cleanup_free char *word = xcalloc(strlen(s) + 1, 1);

    for (;;) {
        while (is_blank(*s))
            s++;
        if (*s == '\0')
            return words;
        if (word_read(&s, word, err) < 0) {
            strv_free(words);
            return NULL;
        }
        words = xrealloc(words, n + 2, sizeof *words);
        words[n++] = xstrdup(word);
        words[n] = NULL;
    }
}

/* Can this word stand without quotes? */
static bool word_is_plain(const char *w)
{
    if (*w == '\0')
        return false;
    for (; *w != '\0'; w++)
        if (is_blank(*w) || strchr("'\"\\", *w))
            return false;
    return true;
}

/* A word in quotes on one line: as $'…' where it has line breaks. */
static void word_quote(const char *w, FILE *f)
{
    bool breaks = strpbrk(w, ESCAPES) != NULL;

    fputs(breaks ? "$'" : "'", f);
    for (; *w != '\0'; w++) {
        const char *escape = breaks ? strchr(ESCAPES, *w) : NULL;
        if (escape)
            fprintf(f, "\\%c", ESCAPED[escape - ESCAPES]);
        else if (breaks && strchr("'\\", *w))
            fprintf(f, "\\%c", *w);
        else
            fputs(*w == '\'' ? "'\\''" : (char[]){*w, '\0'}, f);
    }
    fputc('\'', f);
}

/* Join words so that str_split_words() gives them back. */
char *str_join_words(char *const *words)
{
    char *text = NULL;
    size_t len = 0;
    cleanup_fclose FILE *f = need(open_memstream(&text, &len));

    for (size_t i = 0; words[i] != NULL; i++) {
        if (i > 0)
            fputc(' ', f);
        if (word_is_plain(words[i])) {
            fputs(words[i], f);
            continue;
        }
        word_quote(words[i], f);
    }
    fclose(steal_ptr(f));
    return need(text);
}

/* Free a NULL-terminated array and its strings. */
void strv_free(char **v)
{
    for (size_t i = 0; v != NULL && v[i] != NULL; i++)
        free(v[i]);
    free(v);
}

/* The number of strings; NULL has none. */
size_t strv_len(char *const *v)
{
    size_t n = 0;
    while (v != NULL && v[n] != NULL)
        n++;
    return n;
}

enum { NEAREST_MAX = 63 }; /* longer words are compared by their beginning */

/*
 * Insertions, deletions, replacements and swaps of neighbours that lead from a to b, upper and
 * lower case being the same: what a typing hand gets wrong.
 */
static size_t edit_distance(const char *a, const char *b)
{
    size_t rows[3][NEAREST_MAX + 1];
    size_t na = strnlen(a, NEAREST_MAX);
    size_t nb = strnlen(b, NEAREST_MAX);

    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *now = rows[i % 3];
        const size_t *up = rows[(i + 2) % 3];
        const size_t *up2 = rows[(i + 1) % 3];
        int ca = tolower((unsigned char)a[i - 1]);
        now[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            int cb = tolower((unsigned char)b[j - 1]);
            size_t best = min(up[j], now[j - 1]) + 1;
            best = min(best, up[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]))
                best = min(best, up2[j - 2] + 1);
            now[j] = best;
        }
    }
    return rows[na % 3][nb];
}

/* Near is: at most a third of the word is wrong, and not more than four places. */
const char *str_nearest(const char *word, const char *const *names, size_t n)
{
    const char *nearest = NULL;
    size_t limit = min(max(strlen(word) / 3, (size_t)1), (size_t)4);

    for (size_t i = 0; i < n; i++) {
        size_t d = edit_distance(word, names[i]);
        if (d <= limit && d < max(strlen(word), (size_t)1)) {
            nearest = names[i];
            if (d == 0)
                break;
            limit = d - 1;
        }
    }
    return nearest;
}

static const char size_units[] = "KMGT";

/*
 * Read "12" or "12.5": the whole part, and the fraction as a number of `digits` decimal places
 * (cut or filled up to them). Returns what follows, or NULL if it is no such number or too large.
 */
static const char *decimal_read(const char *s, unsigned digits, uint64_t *whole, uint64_t *fraction)
{
    *whole = *fraction = 0;
    if (!isdigit((unsigned char)*s))
        return NULL;
    for (; isdigit((unsigned char)*s); s++)
        if (__builtin_mul_overflow(*whole, 10, whole) ||
            __builtin_add_overflow(*whole, (uint64_t)(*s - '0'), whole))
            return NULL;
    if (*s != '.')
        return s;
    if (!isdigit((unsigned char)*++s))
        return NULL;
    for (unsigned i = 0; i < digits; i++)
        *fraction = *fraction * 10 + (isdigit((unsigned char)*s) ? (uint64_t)(*s++ - '0') : 0);
    return isdigit((unsigned char)*s) ? NULL : s;
}

/* Six decimal places times a T (2^40) still fit into 64 bits. */
int size_parse(const char *s, uint64_t *bytes, struct error *err)
{
    uint64_t whole, fraction;
    const char *p = decimal_read(s, 6, &whole, &fraction);
    if (p == NULL)
        return error_set(err, 0, "'%s' is not a size; write it like 512M or 1.5G", s);

    unsigned shift = 0;
    const char *unit = *p ? strchr(size_units, toupper((unsigned char)*p)) : NULL;
    if (unit != NULL) {
        shift = 10 * (unsigned)(unit - size_units + 1);
        p++;
        if (tolower((unsigned char)p[0]) == 'i' && tolower((unsigned char)p[1]) == 'b')
            p++;
    }
    if (tolower((unsigned char)*p) == 'b')
        p++;
    if (*p != '\0')
        return error_set(err, 0, "'%s' is not a size; write it like 512M or 1.5G", s);
    if (shift == 0 && fraction != 0)
        return error_set(err, 0, "'%s' is not a whole number of bytes", s);
    if (whole > (uint64_t)INT64_MAX >> shift)
        return error_set(err, 0, "'%s' is too large for a size", s);
    *bytes = (whole << shift) + (fraction << shift) / 1000000;
    return 0;
}

/* Round to the nearest that fits: one decimal below 10, none above. */
void size_human(uint64_t bytes, char out[8])
{
    if (bytes < 1024) {
        snprintf(out, 8, "%u", (unsigned)bytes);
        return;
    }
    for (unsigned u = 1;; u++) {
        unsigned shift = 10 * u;
        uint64_t part = bytes & ((UINT64_C(1) << shift) - 1);
        uint64_t half = UINT64_C(1) << (shift - 1);
        unsigned tenths = (unsigned)((bytes >> shift) * 10 + ((part * 10 + half) >> shift));
        unsigned whole = (unsigned)((bytes >> shift) + (part >= half));
        char unit = "?KMGTPE"[u];
        if (bytes >> shift < 1024 && tenths < 100) {
            snprintf(out, 8, "%u.%u%c", tenths / 10, tenths % 10, unit);
            return;
        }
        if (bytes >> shift < 1024 && whole < 1024) {
            snprintf(out, 8, "%u%c", whole, unit);
            return;
        }
    }
}

/* The largest unit that leaves no rest. */
void size_exact(uint64_t bytes, char out[24])
{
    unsigned u = 0;
    while (u < 4 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        u++;
    }
    snprintf(out, 24, "%llu%.*s", (unsigned long long)bytes, u > 0, &size_units[u ? u - 1 : 0]);
}

/* Digits, with a '-' in front where it may be negative. */
int number_parse(const char *s, int64_t lo, int64_t hi, int64_t *out, struct error *err)
{
    bool negative = *s == '-';
    char *end;
    if (!isdigit((unsigned char)s[negative]))
        return error_set(err, 0, "'%s' is not a whole number", s);
    errno = 0;
    long long n = strtoll(s, &end, 10);
    if (*end != '\0')
        return error_set(err, 0, "'%s' is not a whole number", s);
    if (errno == ERANGE || n < lo || n > hi)
        return error_set(err, 0, "'%s' is not between %lld and %lld", s, (long long)lo,
                         (long long)hi);
    *out = n;
    return 0;
}

/* A number with up to three decimal places. */
int milli_parse(const char *s, int64_t lo, int64_t hi, int64_t *out, struct error *err)
{
    bool negative = *s == '-';
    uint64_t whole, fraction;
    const char *end = decimal_read(s + negative, 3, &whole, &fraction);
    if (end == NULL || *end != '\0')
        return error_set(err, 0, "'%s' is not a number with at most three decimal places", s);
    int64_t n = INT64_MAX;
    if (whole < INT64_MAX / 1000)
        n = (int64_t)(whole * 1000 + fraction);
    if (negative)
        n = -n;
    if (n < lo || n > hi)
        return error_set(err, 0, "'%s' is not between %g and %g", s, (double)lo / 1000,
                         (double)hi / 1000);
    *out = n;
    return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Nanoseconds since the host's boot, suspend included. */
uint64_t now_boot_ns(void)
{
    return clock_ns(CLOCK_BOOTTIME);
}

/* Nanoseconds of a clock that only goes forward. */
uint64_t now_mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}
