/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One finding, on its way from who made it to who asked for it. */
#include "guest/doctor.h"

#include <stdarg.h>

#include "base/cleanup.h"
#include "base/util.h"

void doctor_line(struct doctor *d, enum finding f, const char *subject, const char *remedy,
                 const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cleanup_free char *text = xvasprintf(fmt, ap);
    va_end(ap);
    d->line(d->arg, f, subject, text, remedy);
}
