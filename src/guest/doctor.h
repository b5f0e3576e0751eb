/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Findings about a host. Engines, and whoever else knows something that can be amiss, report
 * each with doctor_line() (engine.h); whoever asked gets them one by one as they are found, since
 * some take a second to find.
 */
#ifndef PULT_GUEST_DOCTOR_H
#define PULT_GUEST_DOCTOR_H

#include "guest/engine.h"

struct doctor {
    /* remedy: what to do about it, or NULL. The strings are gone when it returns. */
    void (*line)(void *arg, enum finding f, const char *subject, const char *text,
                 const char *remedy);
    void *arg;
};

#endif
