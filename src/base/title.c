/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel lays the strings of argv and of the environment behind each other. /proc/PID/cmdline
 * shows the first part; when that does not end in a NUL any more, it reads on into the second
 * (proc(5)), so a title may be longer than the arguments were.
 */
#include "base/title.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/util.h"

extern char **environ;

/* The bytes from the first argument to the end of the environment; 0 if they are not in a row. */
static size_t title_room(char *start)
{
    char *end = start + strlen(start) + 1;
    char **env = environ;
    size_t n = 0;
    if (!env || !env[0] || env[0] < start)
        return (size_t)(end - start);
    for (; env[n]; n++)
        if (env[n] >= end - 1)
            end = env[n] + strlen(env[n]) + 1;
    char **copy = xcalloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(env[i]);
    environ = copy;
    return (size_t)(end - start);
}

void title_set(const char *fmt, ...)
{
    static char *start;
    static size_t room;
    char title[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(title, sizeof title, fmt, ap);
    va_end(ap);
    prctl(PR_SET_NAME, title);
    if (!start) {
        start = program_invocation_name;
        room = title_room(start);
        program_invocation_name = program_invocation_short_name = xstrdup("pult");
    }
    memset(start, 0, room);
    memcpy(start, title, min(strlen(title), room - 1));
}
