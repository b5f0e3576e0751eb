/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/user.h"

#include <pwd.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/util.h"

/* The entry of a user; it lies in storage of the C library's, until the next one is read. */
static const struct passwd *user_entry(uid_t uid)
{
    cleanup_fclose FILE *f = fopen("/etc/passwd", "re");
    const struct passwd *pw;
    while (f && (pw = fgetpwent(f)))
        if (pw->pw_uid == uid)
            return pw;
    return NULL;
}

char *user_name(uid_t uid)
{
    const struct passwd *pw = user_entry(uid);
    return pw ? xstrdup(pw->pw_name) : NULL;
}

char *user_home(uid_t uid)
{
    const struct passwd *pw = user_entry(uid);
    return pw ? xstrdup(pw->pw_dir) : NULL;
}
