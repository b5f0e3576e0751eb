/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Error texts name files, lines of config and what guests said, and end on terminals and in JSON:
 * whatever goes in, what stands in a struct error is one printable line of UTF-8, also where it
 * had to be cut.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

#undef error_set
#undef error_wrap
#undef error_hint

/* Put ": " and more behind the text, as much as there is room for. */
static void append(struct error *err, const char *more)
{
    size_t n = strnlen(err->text, sizeof err->text - 1);
    const char *parts[] = {": ", more};
    for (int i = 0; i < 2; i++)
        for (const char *p = parts[i]; *p != '\0' && n < sizeof err->text - 1; p++)
            err->text[n++] = *p;
    err->text[n] = '\0';
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
    if (err == NULL)
        return -1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    err->code = code;
    if (code != 0)
        append(err, strerror(code));
    str_printable(err->text);
    return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
    if (err == NULL)
        return -1;
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    append(err, old);
    str_printable(err->text);
    return -1;
}

int error_hint(struct error *err, const char *fmt, ...)
{
    if (err == NULL)
        return -1;
    size_t n = strnlen(err->text, sizeof err->text - 1);
    size_t left = sizeof err->text - n;
    if (left > 3) {
        memcpy(err->text + n, "; ", 3);
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->text + n + 2, left - 2, fmt, ap);
        va_end(ap);
        str_printable(err->text);
    }
    return -1;
}
