/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose ids a container has.
 *
 *     root        0…65535 inside are a range of the host's that owns nothing, and that no other
 *                 running container has: out of root's in /etc/subuid, or RANGE_FIRST…
 *     a user      0 inside is the user; 1… are his range in /etc/subuid, which newuidmap writes;
 *                 without one, 0 is all there is
 *     lxc.idmap   as it says
 *
 * Where a file system cannot be mounted with a mapping (network file systems, some overlays), root
 * falls back on the identity: 0 inside is 0 outside, still in a user namespace of its own, so that
 * its capabilities reach nothing of the host's; more of them are dropped then, too.
 *
 * Root's range is claimed at each start: its keeper holds a lock on one byte of RANGE_LOCKS, the one
 * whose number is that of the range (its first id / 65536), for as long as it lives. Files keep
 * their owners on disk whatever the range is. The search begins where the guest's name and store
 * hash to, so that a guest mostly has the same one again.
 */
#include "lxc/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/places.h"
#include "base/user.h"
#include "base/util.h"
#include "guest/doctor.h"

/*
 * Root's, where /etc/subuid gives him none: above all that systemd uses or reserves (UIDS-GIDS.md
 * in its source: containers end at 0x6fffffff), far above what useradd hands out, and above the
 * users that keepers of VMs become (CONFINE_UID). The last one ends where a signed number would.
 */
#define RANGE_FIRST UINT32_C(0x71000000)
#define RANGE_END   UINT32_C(0x7fff0000)
#define RANGE_COUNT UINT32_C(65536)
#define RANGE_LOCKS "/run/pult-ids" /* of all stores of this host */

/* Is a user of /etc/subuid this one? */
static bool is_user(const char *name, uid_t uid)
{
    char number[16];
    snprintf(number, sizeof number, "%u", uid);
    cleanup_free char *own = str_eq(name, number) ? xstrdup(name) : user_name(uid);
    return str_eq(name, own);
}

/* Find the first range of a user in /etc/subuid or /etc/subgid. Returns whether there is one. */
static bool subid_range(const char *file, uid_t uid, uint32_t *first, uint32_t *count)
{
    cleanup_fclose FILE *f = fopen(file, "re");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        char *name = strtok(line, ":"), *start = strtok(NULL, ":"), *n = strtok(NULL, ":\n");
        if (!name || !start || !n || !is_user(name, uid))
            continue;
        *first = (uint32_t)strtoul(start, NULL, 10);
        *count = (uint32_t)strtoul(n, NULL, 10);
        return *count > 0;
    }
    return false;
}

/* Does a range meet one that this file gives to somebody? */
static bool range_taken(const char *file, uint32_t start, uint32_t end)
{
    cleanup_fclose FILE *f = fopen(file, "re");
    char line[256];
    unsigned long first, count;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%*[^:]:%lu:%lu", &first, &count) == 2 && first < end &&
            first + count > start)
            return true;
    return false;
}

/* "u 0 100000 65536" */
static int entry_parse(const char *value, char *kind, struct id_range *r, struct error *err)
{
    char end;
    long long in, out, n;
    if (sscanf(value, "%c %lld %lld %lld%c", kind, &in, &out, &n, &end) != 4 ||
        !strchr("ugb", *kind) || in < 0 || out < 0 || n < 1 || in > UINT32_MAX - n ||
        out > UINT32_MAX - n)
        return error_set(err, 0, "'%s' is not 'u|g INSIDE OUTSIDE COUNT'", value);
    *r = (struct id_range){(uint32_t)in, (uint32_t)out, (uint32_t)n};
    return 0;
}

int idmap_is_entry(const char *value, struct error *err)
{
    char kind;
    struct id_range r;
    return entry_parse(value, &kind, &r, err);
}

static bool share(uint32_t a, uint32_t b, const struct id_range *x, const struct id_range *y)
{
    return a < (uint64_t)b + y->count && b < (uint64_t)a + x->count;
}

/* The kernel takes each id once, inside and outside. */
static int range_add(struct id_range *all, unsigned *n, const struct id_range *r,
                     const struct conf_line *l, struct error *err)
{
    for (unsigned i = 0; i < *n; i++)
        if (share(all[i].inside, r->inside, &all[i], r) ||
            share(all[i].outside, r->outside, &all[i], r)) {
            error_set(err, 0, "%s:%u: lxc.idmap: '%s' has ids of an earlier line", l->file,
                      l->number, l->value);
            return error_hint(err, "'lxc.idmap =' before it forgets those");
        }
    all[(*n)++] = *r;
    return 0;
}

/* The mapping that lxc.idmap gives. */
static int idmap_given(const struct guest_def *def, struct idmap *map, struct error *err)
{
    const struct conf_line *l;
    conf_for_each (def->conf, "lxc.idmap", l) {
        char kind;
        struct id_range r;
        if (entry_parse(l->value, &kind, &r, err) < 0)
            return -1;
        if (map->uids == IDMAP_MAX || map->gids == IDMAP_MAX)
            return error_set(err, 0, "more than %d lines of lxc.idmap", IDMAP_MAX);
        if ((kind != 'g' && range_add(map->uid, &map->uids, &r, l, err) < 0) ||
            (kind != 'u' && range_add(map->gid, &map->gids, &r, l, err) < 0))
            return -1;
    }
    map->given = map->uids || map->gids;
    if (map->given && (!map->uids || !map->gids))
        return error_set(err, 0, "lxc.idmap maps %s, but no %s", map->uids ? "users" : "groups",
                         map->uids ? "groups; add a 'g' line" : "users; add a 'u' line");
    return 0;
}

/* A user's own: himself as 0, then his range. */
static void idmap_user(struct idmap *map)
{
    uint32_t first, count, gfirst, gcount;
    map->uid[map->uids++] = (struct id_range){0, geteuid(), 1};
    map->gid[map->gids++] = (struct id_range){0, getegid(), 1};
    if (access("/usr/bin/newuidmap", X_OK) < 0 || access("/usr/bin/newgidmap", X_OK) < 0 ||
        !subid_range("/etc/subuid", geteuid(), &first, &count) ||
        !subid_range("/etc/subgid", geteuid(), &gfirst, &gcount))
        return;
    map->uid[map->uids++] = (struct id_range){1, first, count};
    map->gid[map->gids++] = (struct id_range){1, gfirst, gcount};
}

int idmap_choose(const struct guest_def *def, struct idmap *map, struct error *err)
{
    *map = (struct idmap){0};
    if (idmap_given(def, map, err) < 0)
        return -1;
    if (!map->given && geteuid() != 0)
        idmap_user(map);
    map->helper = geteuid() != 0 && (map->uids > 1 || map->uid[0].outside != geteuid());
    if (map->uids)
        return 0;

    map->claim = true;
    map->uid[map->uids++] = map->gid[map->gids++] = (struct id_range){0, RANGE_FIRST, RANGE_COUNT};
    return 0;
}

/* Lock the byte of a range. 0: it is ours; -1: somebody has it, or there are no locks (ENOENT). */
static int range_lock(int locks, uint32_t first)
{
    struct flock lock = {.l_type = F_WRLCK, .l_start = first / RANGE_COUNT, .l_len = 1};
    return fcntl(locks, F_OFD_SETLK, &lock);
}

/* Claim one of `ranges` in a row, beginning somewhere among them. */
static bool range_find(int locks, uint32_t uid, uint32_t gid, uint32_t ranges, uint32_t begin,
                       bool ours, struct idmap *map)
{
    for (uint32_t i = 0; i < ranges; i++) {
        const uint32_t offset = (begin + i) % ranges * RANGE_COUNT;
        const uint32_t u = uid + offset, g = gid + offset;
        if (!ours && (range_taken("/etc/subuid", u, u + RANGE_COUNT) ||
                      range_taken("/etc/subgid", g, g + RANGE_COUNT)))
            continue;
        if (locks >= 0 && range_lock(locks, u) < 0)
            continue;
        map->uid[0].outside = u;
        map->gid[0].outside = g;
        return true;
    }
    return false;
}

int idmap_claim(struct idmap *map, const char *name, int *lock, struct error *err)
{
    uint32_t first, count = 0, gfirst, gcount = 0, begin = 2166136261u; /* FNV-1a */
    if (!map->claim)
        return 0;
    for (const char *p = place_home(); *p; p++)
        begin = (begin ^ (uint8_t)*p) * 16777619u;
    for (const char *p = name; *p; p++)
        begin = (begin ^ (uint8_t)*p) * 16777619u;
    cleanup_close int locks =
        open(RANGE_LOCKS, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    if (locks < 0)
        log_line("no range of ids can be claimed in " RANGE_LOCKS ": %s", strerror(errno));
    const bool own = subid_range("/etc/subuid", 0, &first, &count) &&
                     subid_range("/etc/subgid", 0, &gfirst, &gcount);
    if ((own &&
         range_find(locks, first, gfirst, min(count, gcount) / RANGE_COUNT, begin, true, map)) ||
        range_find(locks, RANGE_FIRST, RANGE_FIRST, (RANGE_END - RANGE_FIRST) / RANGE_COUNT, begin,
                   false, map)) {
        *lock = steal_fd(locks);
        return 0;
    }
    error_set(err, EAGAIN, "find a range of ids for the container");
    return error_hint(err, "all are in use, or given to users in /etc/subuid");
}

void idmap_identity(struct idmap *map)
{
    const struct id_range all = {0, 0, RANGE_COUNT};
    *map = (struct idmap){.uid = {all}, .gid = {all}, .uids = 1, .gids = 1, .identity = true};
}

/* What 0 inside is outside; -1, which chown(2) leaves alone, where it is nobody. */
static uint32_t zero_outside(const struct id_range *r, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (r[i].inside == 0)
            return r[i].outside;
    return UINT32_MAX;
}

uid_t idmap_root_uid(const struct idmap *map)
{
    return zero_outside(map->uid, map->uids);
}

gid_t idmap_root_gid(const struct idmap *map)
{
    return zero_outside(map->gid, map->gids);
}

uint32_t idmap_root_count(const struct idmap *map)
{
    for (unsigned i = 0; i < map->uids; i++)
        if (map->uid[i].inside == 0)
            return map->uid[i].count;
    return 0;
}

bool idmap_has_host_uid(const struct idmap *map, uid_t uid)
{
    for (unsigned i = 0; i < map->uids; i++)
        if (uid >= map->uid[i].outside && uid - map->uid[i].outside < map->uid[i].count)
            return true;
    return false;
}

bool idmap_has_gid(const struct idmap *map, gid_t inside)
{
    for (unsigned i = 0; i < map->gids; i++)
        if (inside >= map->gid[i].inside && inside - map->gid[i].inside < map->gid[i].count)
            return true;
    return false;
}

/* Write one of the two files ourselves. */
static int map_put(pid_t pid, const char *file, const struct id_range *r, unsigned n,
                   struct error *err)
{
    char path[64], text[IDMAP_MAX * 34];
    size_t len = 0;
    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%u %u %u\n", r[i].inside,
                                r[i].outside, r[i].count);
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    return file_put_at(AT_FDCWD, path, text, err);
}

/* Have newuidmap or newgidmap write it. */
static int map_help(const char *helper, pid_t pid, const struct id_range *r, unsigned n,
                    struct error *err)
{
    char number[2 + 3 * IDMAP_MAX][16], *argv[3 + 3 * IDMAP_MAX];
    unsigned k = 0;
    argv[0] = xstrdup(helper);
    snprintf(number[k++], sizeof number[0], "%d", pid);
    for (unsigned i = 0; i < n; i++) {
        snprintf(number[k++], sizeof number[0], "%u", r[i].inside);
        snprintf(number[k++], sizeof number[0], "%u", r[i].outside);
        snprintf(number[k++], sizeof number[0], "%u", r[i].count);
    }
    for (unsigned i = 0; i < k; i++)
        argv[1 + i] = number[i];
    argv[1 + k] = NULL;

    int status = 0;
    pid_t child = vfork();
    if (child == 0) {
        execv(helper, argv);
        _exit(127);
    }
    free(argv[0]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (child < 0)
        return error_set(err, errno, "run '%s'", helper);
    if (status != 0) {
        error_set(err, 0, "'%s' did not map the container's ids", helper);
        return error_hint(err, "are its ranges yours in /etc/subuid and /etc/subgid");
    }
    return 0;
}

int idmap_write(const struct idmap *map, pid_t pid, struct error *err)
{
    if (map->helper) {
        if (map_help("/usr/bin/newuidmap", pid, map->uid, map->uids, err) < 0)
            return -1;
        return map_help("/usr/bin/newgidmap", pid, map->gid, map->gids, err);
    }
    if (geteuid() != 0) {
        /* user_namespaces(7): without privilege, only by giving up setgroups */
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/setgroups", pid);
        if (file_put_at(AT_FDCWD, path, "deny", err) < 0)
            return -1;
    }
    if (map_put(pid, "uid_map", map->uid, map->uids, err) < 0)
        return -1;
    return map_put(pid, "gid_map", map->gid, map->gids, err);
}

void idmap_doctor(struct doctor *d)
{
    uint32_t first, count;
    bool have = subid_range("/etc/subuid", geteuid(), &first, &count);
    if (geteuid() == 0 && !have) {
        bool taken = range_taken("/etc/subuid", RANGE_FIRST, RANGE_END) ||
                     range_taken("/etc/subgid", RANGE_FIRST, RANGE_END);
        doctor_line(d, FINDING_OK, "subuid", NULL,
                    "each container has built-in ids of its own, out of %u to %u%s", RANGE_FIRST,
                    RANGE_END - 1,
                    taken ? ", but for those that /etc/subuid or /etc/subgid gives to somebody"
                          : "");
        return;
    }
    bool helper = geteuid() == 0 || access("/usr/bin/newuidmap", X_OK) == 0;
    if (have && helper)
        doctor_line(d, count >= RANGE_COUNT ? FINDING_OK : FINDING_NOTE, "subuid", NULL,
                    "range %u to %u", first, first + count - 1);
    else
        doctor_line(d, FINDING_NOTE, "subuid",
                    have ? "apt-get install uidmap"
                         : "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
                    "%s: containers have only one user, root, which is you",
                    have ? "newuidmap is missing" : "no range of ids is yours in /etc/subuid");
}
