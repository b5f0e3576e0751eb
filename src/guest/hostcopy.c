/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is not copied of a host, see hostcopy.h. */
#include "guest/hostcopy.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/store.h"

#define PEOPLE_FIRST 1000 /* the first uid that is a person's, and behind the last, in Debian */
#define PEOPLE_END   60000

const struct hostcopy_fresh hostcopy_fresh[] = {
    {"proc", 0},
    {"sys", 0},
    {"dev", 0},
    {"run", 0755},
    {"root", 0700},
    {"home", 0755},
    {"tmp", 01777},
    {"var/tmp", 01777},
    {"etc/ssl/private", 0700},
    {"etc/wireguard", 0700},
    {"var/lib/pult", 0700},
    {NULL, 0},
};

const char *const hostcopy_secrets[] = {
    "etc/shadow",  "etc/shadow-",  "etc/gshadow",     "etc/gshadow-",           "etc/nshadow",
    "etc/shadow+", "etc/gshadow+", "etc/krb5.keytab", "etc/ssh/ssh_host_*_key", NULL};

bool hostcopy_is_person(uid_t uid)
{
    return uid == 0 || (uid >= PEOPLE_FIRST && uid < PEOPLE_END);
}

/* ---- what is mounted here ---- */

void host_mounts_clear(struct host_mounts *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->list[i].path);
    free(m->list);
}

void hostcopy_unescape(char *s)
{
    char *to = s;
    for (; *s; s++)
        if (s[0] == '\\' && s[1] && s[2] && s[3]) {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + s[3] - '0');
            s += 3;
        } else {
            *to++ = *s;
        }
    *to = '\0';
}

/* proc_pid_mountinfo(5): id parent major:minor root mountpoint options [tags] - type … */
int host_mounts_read(struct host_mounts *m, struct error *err)
{
    static const char *const like_disk[] = {"btrfs", "zfs", "bcachefs"};
    cleanup_fclose FILE *f = fopen("/proc/self/mountinfo", "re");
    cleanup_free char *line = NULL;
    size_t room = 0;
    if (!f)
        return error_set(err, errno, "read /proc/self/mountinfo");
    while (getline(&line, &room, f) > 0) {
        unsigned major;
        char path[PATH_MAX], type[64];
        const char *dash = strstr(line, " - ");
        if (!dash || sscanf(line, "%*u %*u %u:%*u %*s %4095s", &major, path) != 2 ||
            sscanf(dash, " - %63s", type) != 1)
            continue;
        hostcopy_unescape(path);
        bool disk = major != 0 || str_eq(path, "/");
        for (size_t i = 0; i < ARRAY_SIZE(like_disk); i++)
            disk |= str_eq(type, like_disk[i]);
        m->list = xrealloc(m->list, m->count + 1, sizeof *m->list);
        m->list[m->count++] = (struct host_mount){xstrdup(path + 1), disk};
    }
    return 0;
}

/* ---- as one list ---- */

struct paths {
    char **list;
    size_t count;
};

/* One more, absolute or without the leading slash. / itself is never meant. */
static void add(struct paths *p, const char *path)
{
    path += strspn(path, "/");
    if (!*path)
        return;
    p->list = xrealloc(p->list, p->count + 2, sizeof(char *));
    p->list[p->count++] = xasprintf("/%s", path);
    size_t len = strlen(p->list[p->count - 1]);
    while (p->list[p->count - 1][len - 1] == '/')
        p->list[p->count - 1][--len] = '\0';
    p->list[p->count] = NULL;
}

/* The homes of root, of people and of the caller. */
static void add_homes(struct paths *p)
{
    const char *home = getenv("HOME");
    cleanup_fclose FILE *f = fopen("/etc/passwd", "re");
    const struct passwd *pw;
    if (home)
        add(p, home);
    while (f && (pw = fgetpwent(f)))
        if (hostcopy_is_person(pw->pw_uid))
            add(p, pw->pw_dir);
}

/* Memory of the host that was swapped out to files. */
static void add_swap(struct paths *p)
{
    cleanup_fclose FILE *f = fopen("/proc/swaps", "re");
    char line[PATH_MAX + 64], path[PATH_MAX];
    while (f && fgets(line, sizeof line, f)) {
        if (line[0] != '/' || sscanf(line, "/%4094s file", path) != 1)
            continue;
        hostcopy_unescape(path);
        add(p, path);
    }
}

char **hostcopy_hidden(struct error *err)
{
    cleanup_host_mounts struct host_mounts m = {0};
    struct paths p = {0};
    if (host_mounts_read(&m, err) < 0)
        return NULL;
    for (const struct hostcopy_fresh *d = hostcopy_fresh; d->path; d++)
        add(&p, d->path);
    for (const char *const *s = hostcopy_secrets; *s; s++)
        add(&p, *s);
    for (size_t i = 0; i < m.count; i++)
        if (!m.list[i].disk)
            add(&p, m.list[i].path);
    add_homes(&p);
    add_swap(&p);
    add(&p, place_home());
    add(&p, place_run());
    return p.list;
}
