/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/user.h"

#include <grp.h>
#include <pwd.h>
#include <stdint.h>
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

/* -1 as a number means nobody, to all system calls that take one. */
static bool parse_id(const char *text, int64_t *out)
{
    return number_parse(text, 0, UINT32_MAX - 1, out, NULL) == 0;
}

bool user_find(const char *name, uid_t *out)
{
    cleanup_fclose FILE *f = fopen("/etc/passwd", "re");
    const struct passwd *pw;
    int64_t id;
    while (f && (pw = fgetpwent(f)))
        if (str_eq(pw->pw_name, name)) {
            *out = pw->pw_uid;
            return true;
        }
    if (!parse_id(name, &id))
        return false;
    *out = (uid_t)id;
    return true;
}

bool group_find(const char *name, gid_t *out)
{
    cleanup_fclose FILE *f = fopen("/etc/group", "re");
    const struct group *g;
    int64_t id;
    while (f && (g = fgetgrent(f)))
        if (str_eq(g->gr_name, name)) {
            *out = g->gr_gid;
            return true;
        }
    if (!parse_id(name, &id))
        return false;
    *out = (gid_t)id;
    return true;
}
