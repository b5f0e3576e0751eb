/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Users of a container, see account.h. */
#include "lxc/account.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

/* A file of the container's that should be a plain one: it shall not make us wait. NULL: errno. */
static FILE *open_database(const char *path)
{
    struct stat st;
    cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    if (S_ISREG(st.st_mode) && st.st_size <= (8 << 20))
        return fdopen(steal_fd(fd), "r");
    errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
    return NULL;
}

int account_find(struct account *a, const char *user, struct error *err)
{
    int64_t uid = -1, gid = -1;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(user, ":"), user);
    const char *colon = strchr(user, ':');
    bool number = number_parse(name, 0, UINT32_MAX - 1, &uid, NULL) == 0;
    if (colon && number_parse(colon + 1, 0, UINT32_MAX - 1, &gid, err) < 0)
        return -1;
    cleanup_fclose FILE *f = open_database("/etc/passwd");
    const int why = f ? 0 : errno;
    const struct passwd *pw;
    while (f && (pw = fgetpwent(f))) {
        if (number ? pw->pw_uid != (uid_t)uid : !str_eq(pw->pw_name, name))
            continue;
        a->uid = pw->pw_uid;
        a->gid = gid >= 0 ? (gid_t)gid : pw->pw_gid;
        snprintf(a->home, sizeof a->home, "%s", pw->pw_dir);
        snprintf(a->name, sizeof a->name, "%s", pw->pw_name);
        return 0;
    }
    if (!number && !f)
        return error_set(err, why, "look for the user '%s' in the container's /etc/passwd", name);
    if (!number)
        return error_set(err, 0, "the container has no user '%s'", name);
    a->uid = (uid_t)uid;
    a->gid = gid >= 0 ? (gid_t)gid : (gid_t)uid;
    snprintf(a->home, sizeof a->home, "/");
    return 0;
}

void account_groups(struct account *a)
{
    cleanup_fclose FILE *f = open_database("/etc/group");
    const struct group *g;
    while (f && *a->name && a->ngroups < ACCOUNT_GROUPS && (g = fgetgrent(f)))
        for (char **m = g->gr_mem; *m; m++)
            if (str_eq(*m, a->name)) {
                a->groups[a->ngroups++] = g->gr_gid;
                break;
            }
}

void account_env(const struct account *a)
{
    if (a->uid == 0)
        return;
    setenv("HOME", a->home, 1);
    setenv("USER", a->name, 1);
    setenv("LOGNAME", a->name, 1);
}

int account_become(const struct account *a, struct error *err)
{
    if (setgroups((size_t)a->ngroups, a->groups) < 0 && errno != EPERM)
        return error_set(err, errno, "set the groups of uid %u", a->uid);
    const int no_gid = setresgid(a->gid, a->gid, a->gid) < 0 ? errno : 0;
    const int no_uid = setresuid(a->uid, a->uid, a->uid) < 0 ? errno : 0;
    if (no_uid == EINVAL || no_gid == EINVAL) { /* an id that is not in the map */
        error_set(err, 0, "the container has no %s %u", no_uid == EINVAL ? "uid" : "gid",
                  no_uid == EINVAL ? a->uid : a->gid);
        return error_hint(err, "`pult info NAME` tells how many it has, ids.count");
    }
    if (no_uid || no_gid)
        return error_set(err, no_uid ? no_uid : no_gid, "become uid %u, gid %u", a->uid, a->gid);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* the change may have undone that: fs.suid_dumpable */
    return 0;
}
