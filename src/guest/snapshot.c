/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of guests, see snapshot.h.
 */
#include "guest/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "guest/client.h"
#include "guest/control.h"
#include "guest/engine.h"
#include "guest/scratch.h"
#include "guest/store.h"

#define CALL_MS 60000 /* for the answer: the guest's disks may have much to finish */
#define TICK_MS 200   /* between two looks whether it is to be given up */

/* ---- the directory ---- */

static char *snapshots_dir(const struct guest_def *def)
{
    return xasprintf("%s/snapshots", def->dir);
}

static int check_kind(const struct guest_def *def, const char *name, struct error *err)
{
    if (!def->engine->snapshots)
        return error_set(err, 0, "'%s' is a %s, which has no snapshots", def->name,
                         def->engine->type);
    if (def->throwaway)
        return error_set(err, 0, "'%s' is a throwaway guest, and leaves nothing behind", def->name);
    return guest_name_check(name, err);
}

static int no_such(const struct guest_def *def, const char *name, struct error *err)
{
    struct snapshot_info *list;
    const char *near = NULL;
    size_t n;

    error_set(err, 0, "'%s' has no snapshot '%s'", def->name, name);
    if (snapshot_list(def, &list, &n, NULL) == 0) {
        const char **names = xcalloc(n + 1, sizeof *names);
        for (size_t i = 0; i < n; i++)
            names[i] = list[i].name;
        near = str_nearest(name, names, n);
        if (near)
            error_hint(err, "did you mean '%s'?", near);
        free(names);
        free(list);
    }
    return -1;
}

/* Take what an engine keeps elsewhere away, of a guest that runs or does not. */
static int forget(const struct guest_def *def, const char *name, struct error *err)
{
    cleanup_close int control = client_connect(def->name, err);
    if (control < 0)
        return err->code == ESRCH ? def->engine->snapshots->forget(def, NULL, name, err) : -1;
    return client_call(control, json_pack("{s:s, s:s}", "cmd", "snapshot-forget", "name", name),
                       NULL, 0, CALL_MS, NULL, NULL, err);
}

/* Its files may have others than the caller as owners. */
static int discard(const struct guest_def *def, const char *name, struct error *err)
{
    cleanup_free char *path = xasprintf("%s/snapshots/%s", def->dir, name);
    return scratch_discard(path, err);
}

/* Remove what is not whole. What cannot be removed now stays for the next. */
static void sweep(const struct guest_def *def, int dir)
{
    cleanup_close int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_closedir DIR *d = again >= 0 ? fdopendir(again) : NULL;
    const struct dirent *e;
    struct error err;

    if (d)
        again = -1; /* the DIR's now */
    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.' && guest_name_check(e->d_name + 1, &err) == 0 &&
            forget(def, e->d_name + 1, &err) == 0)
            discard(def, e->d_name, NULL);
    }
}

/* Open the guest's directory of snapshots, locked, with nothing in it that is not whole. */
static int open_locked(const struct guest_def *def, struct error *err)
{
    cleanup_free char *path = snapshots_dir(def);

    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_set(err, errno, "make '%s'", path);
    cleanup_close int fd = dir_lock(path, LOCK_EX | LOCK_NB);
    if (fd < 0 && errno == EWOULDBLOCK)
        return error_set(err, 0, "a snapshot of '%s' is being made or removed by somebody else",
                         def->name);
    if (fd < 0)
        return error_set(err, errno, "lock '%s'", path);
    sweep(def, fd);
    return steal_fd(fd);
}

/* ---- listing ---- */

/* Copied files, which need not be the caller's to look at, were measured when they were made. */
static void add_size(int dir, uint64_t *size)
{
    cleanup_free char *kept = NULL;
    if (file_read_at(dir, "size", 32, &kept, NULL, NULL) == 0)
        *size += strtoull(kept, NULL, 10);
    cleanup_close int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_closedir DIR *d = again >= 0 ? fdopendir(again) : NULL;
    const struct dirent *e;
    struct stat st;

    if (d)
        again = -1;
    while (d && (e = readdir(d)))
        if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            *size += (uint64_t)st.st_blocks * 512;
}

static int by_age(const void *a, const void *b)
{
    const struct snapshot_info *x = a, *y = b;

    if (x->when != y->when)
        return x->when < y->when ? -1 : 1;
    return strcmp(x->name, y->name);
}

int snapshot_list(const struct guest_def *def, struct snapshot_info **list, size_t *count,
                  struct error *err)
{
    cleanup_free char *path = snapshots_dir(def);
    cleanup_closedir DIR *d = opendir(path);
    const struct dirent *e;
    struct stat st;

    *list = NULL;
    *count = 0;
    if (!d)
        return errno == ENOENT ? 0 : error_set(err, errno, "list '%s'", path);
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.' || guest_name_check(e->d_name, NULL) < 0)
            continue;
        cleanup_close int fd =
            openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fstatat(fd, "config", &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        *list = xrealloc(*list, *count + 1, sizeof **list);
        struct snapshot_info *info = &(*list)[(*count)++];
        *info = (struct snapshot_info){.when = st.st_mtim.tv_sec};
        memcpy(info->name, e->d_name, strlen(e->d_name) + 1); /* a name that was checked */
        add_size(fd, &info->size);
        cleanup_free char *comment = NULL;
        if (file_read_at(fd, "comment", SNAPSHOT_COMMENT_MAX, &comment, NULL, NULL) == 0)
            snprintf(info->comment, sizeof info->comment, "%s", comment);
    }
    if (*count)
        qsort(*list, *count, sizeof **list, by_age);
    return 0;
}

/* ---- taking one ---- */

static int check_comment(const char *comment, struct error *err)
{
    const size_t len = comment ? strlen(comment) : 0;

    if (len > SNAPSHOT_COMMENT_MAX)
        return error_set(err, 0, "a comment of %zu bytes is too long; it may have %d", len,
                         SNAPSHOT_COMMENT_MAX);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)comment[i] < ' ' || comment[i] == 127)
            return error_set(err, 0, "a comment is one line, without control characters");
    return 0;
}

/* What is known of it: the comment, and the definition, by which it is whole. */
static int describe(const struct guest_def *def, int dir, const char *comment, struct error *err)
{
    size_t len;
    cleanup_free char *text = conf_text(def->conf, &len);

    if (comment && file_replace_at(dir, "comment", comment, strlen(comment), 0600, err) < 0)
        return -1;
    return file_replace_at(dir, "config", text, len, 0600, err);
}

/* What the memory may take: no more than the guest has, nor than its keeper uses. */
static int check_room(const struct guest_def *def, int dir, struct error *err)
{
    struct guest_info info = {0};
    struct statvfs fs;
    char need_text[8], have_text[8];

    if (store_info(def->name, &info, err) < 0)
        return -1;
    cleanup_free char *path = xasprintf("/proc/%d/statm", info.page.keeper_pid);
    uint64_t need = info.page.memory_limit;
    unsigned long long pages;
    cleanup_free char *text = NULL;
    if (file_read_at(AT_FDCWD, path, 200, &text, NULL, NULL) == 0 &&
        sscanf(text, "%*u %llu", &pages) == 1)
        need = min(need, (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE));
    guest_info_clear(&info);
    if (fstatvfs(dir, &fs) < 0 || (uint64_t)fs.f_bavail * fs.f_frsize >= need)
        return 0;
    size_human(need, need_text);
    size_human((uint64_t)fs.f_bavail * fs.f_frsize, have_text);
    return error_set(err, ENOSPC, "the snapshot may need %s in '%s', where %s are free", need_text,
                     def->dir, have_text);
}

/* The files that the keeper writes. */
static int make_files(int dir, char *const *names, int *fds, struct error *err)
{
    for (size_t i = 0; names[i]; i++) {
        fds[i] = openat(dir, names[i], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fds[i] < 0)
            return error_set(err, errno, "make '%s'", names[i]);
    }
    return 0;
}

/* Wait until it is done, asking whether it is to be given up. */
static int wait_done(int control, snapshot_progress_fn *progress, void *arg, struct error *err)
{
    uint64_t done = 0, total = 0;
    bool given_up = false;

    for (;;) {
        struct error why = {0};
        json_t *e = client_event(control, TICK_MS, &why);
        if (!e && why.code != ETIMEDOUT)
            return why.code ? error_set(err, 0, "%s", why.text)
                            : error_set(err, 0, "the guest ended");
        const char *event = json_string_value(json_object_get(e, "event"));
        const char *text = json_string_value(json_object_get(e, "error"));
        int rc = 1;
        if (str_eq(event, "snapshot-progress")) {
            done = (uint64_t)json_integer_value(json_object_get(e, "done"));
            total = (uint64_t)json_integer_value(json_object_get(e, "total"));
        } else if (str_eq(event, "snapshot-done")) {
            rc = json_is_true(json_object_get(e, "ok"))
                     ? 0
                     : error_set(err, 0, "%s", text ? text : "it failed");
        }
        json_decref(e);
        if (rc <= 0)
            return rc;
        if (!given_up && progress && progress(arg, done, max(total, UINT64_C(1)))) {
            given_up = true;
            client_send(control, json_pack("{s:s}", "cmd", "snapshot-cancel"), NULL);
        }
    }
}

/* Ask the keeper. dir: where the files are made. */
static int take(const struct guest_def *def, const char *name, int dir, char *const *names,
                snapshot_progress_fn *progress, void *arg, struct error *err)
{
    int fds[CONTROL_FDS];
    size_t n = strv_len(names);
    int rc = n > CONTROL_FDS ? error_set(err, 0, "a snapshot of %zu files is too large", n) : 0;

    for (size_t i = 0; i < CONTROL_FDS; i++)
        fds[i] = -1;
    if (rc == 0)
        rc = make_files(dir, names, fds, err);
    cleanup_close int control = rc == 0 ? client_connect(def->name, err) : -1;
    if (control < 0)
        rc = -1;
    if (rc == 0)
        rc = client_call(control, json_pack("{s:s, s:s}", "cmd", "snapshot", "name", name), fds, n,
                         CALL_MS, NULL, NULL, err);
    for (size_t i = 0; i < CONTROL_FDS; i++)
        cleanup_close_fn(&fds[i]);
    return rc < 0 ? -1 : wait_done(control, progress, arg, err);
}

/* ---- of a kind that is files ---- */

/* Have it stand still for as long as the connection that is returned is open. */
static int freeze(const struct guest_def *def, struct error *err)
{
    cleanup_close int control = client_connect(def->name, err);
    if (control < 0 || client_call(control, json_pack("{s:s, s:b}", "cmd", "freeze", "hold", 1),
                                   NULL, 0, CALL_MS, NULL, NULL, err) < 0)
        return error_wrap(err, "'%s' cannot be frozen", def->name);
    return steal_fd(control);
}

/* Let it go on. It may not have stood still all the while. */
static int thaw(const struct guest_def *def, int control, struct error *err)
{
    if (client_call(control, json_pack("{s:s}", "cmd", "thaw"), NULL, 0, CALL_MS, NULL, NULL, err) <
        0)
        return error_wrap(err, "'%s' did not stand still", def->name);
    return 0;
}

static int state_of(const struct guest_def *def, enum guest_state *state, struct error *err)
{
    struct guest_info info = {0};
    if (store_info(def->name, &info, err) < 0)
        return -1;
    *state = info.state;
    guest_info_clear(&info);
    return 0;
}

/*
 * Have nobody start it, as long as *lock is open, or have it stand still, as long as *frozen is; one
 * that is frozen is left so. A guest that starts or stops writes to its files.
 */
static int still_begin(const struct guest_def *def, enum guest_state *state, int *lock, int *frozen,
                       struct error *err)
{
    *lock = store_lock(def->name, LOCK_EX, err);
    if (*lock < 0 || state_of(def, state, err) < 0)
        return -1;
    if (!state_alive(*state))
        return 0;
    close(steal_fd(*lock));
    if (*state != GUEST_RUNNING && *state != GUEST_FROZEN)
        return error_set(err, 0, "'%s' is %s", def->name, state_name(*state));
    if (*state == GUEST_RUNNING)
        *frozen = freeze(def, err);
    return *frozen < 0 && *state == GUEST_RUNNING ? -1 : 0;
}

/* Let it go on. It may not have stood still all the while, if somebody else let it go. */
static int still_end(const struct guest_def *def, enum guest_state before, int frozen,
                     struct error *err)
{
    enum guest_state now;
    if (frozen >= 0)
        return thaw(def, frozen, err);
    if (before != GUEST_FROZEN || (state_of(def, &now, err) == 0 && now == GUEST_FROZEN))
        return 0;
    return error_set(err, 0, "'%s' did not stay frozen", def->name);
}

/* Copy the files into `scratch`. */
static int copy_files(const struct guest_def *def, int all, const char *scratch,
                      const char *comment, snapshot_progress_fn *progress, void *arg,
                      struct error *err)
{
    enum guest_state state;
    cleanup_free char *path = xasprintf("%s/snapshots/%s", def->dir, scratch);
    cleanup_close int dir = openat(all, scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    cleanup_close int lock = -1, frozen = -1;
    struct error why;
    if (dir < 0)
        return error_set(err, errno, "open '%s'", path);
    if (still_begin(def, &state, &lock, &frozen, err) < 0)
        return -1;
    uint64_t size = 0;
    int rc = def->engine->snapshots->copy(def, path, &size, progress, arg, err);
    if (still_end(def, state, frozen, rc < 0 ? &why : err) < 0)
        rc = -1;
    cleanup_free char *number = xasprintf("%" PRIu64 "\n", size);
    return rc < 0 || file_replace_at(dir, "size", number, strlen(number), 0600, err) < 0
               ? -1
               : describe(def, dir, comment, err);
}

static int copy_create(const struct guest_def *def, const char *name, const char *comment,
                       snapshot_progress_fn *progress, void *arg, struct error *err)
{
    struct stat st;
    cleanup_free char *scratch = xasprintf(".%s", name);
    cleanup_close int all = open_locked(def, err);
    if (all < 0)
        return -1;
    if (fstatat(all, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return error_set(err, EEXIST, "'%s' has a snapshot '%s'", def->name, name);
    if (mkdirat(all, scratch, 0700) < 0)
        return error_set(err, errno, "make the snapshot '%s'", name);
    int rc = copy_files(def, all, scratch, comment, progress, arg, err);
    if (rc == 0 && (renameat(all, scratch, all, name) < 0 || fsync(all) < 0))
        rc = error_set(err, errno, "keep the snapshot '%s'", name);
    if (rc < 0)
        sweep(def, all);
    return rc;
}

int snapshot_create(const struct guest_def *def, const char *name, const char *comment,
                    snapshot_progress_fn *progress, void *arg, struct error *err)
{
    char **names;
    struct stat st;

    if (check_kind(def, name, err) < 0 || check_comment(comment, err) < 0)
        return -1;
    if (def->engine->snapshots->copy)
        return copy_create(def, name, comment, progress, arg, err);
    if (def->engine->snapshots->files(def, &names, err) < 0)
        return -1;
    cleanup_free char *scratch = xasprintf(".%s", name);
    cleanup_close int all = open_locked(def, err);
    cleanup_close int dir = -1;
    int rc = all < 0 ? -1 : 0;
    if (rc == 0 && fstatat(all, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        rc = error_set(err, EEXIST, "'%s' has a snapshot '%s'", def->name, name);
    } else if (rc == 0) {
        rc = check_room(def, all, err);
        if (rc == 0 && mkdirat(all, scratch, 0700) < 0)
            rc = error_set(err, errno, "make the snapshot '%s'", name);
        if (rc == 0) {
            dir = openat(all, scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
            rc = dir < 0 ? error_set(err, errno, "open the snapshot '%s'", name)
                         : describe(def, dir, comment, err);
            if (rc == 0)
                rc = take(def, name, dir, names, progress, arg, err);
            if (rc == 0 && (fsync(dir) < 0 || renameat(all, scratch, all, name) < 0 || fsync(all)))
                rc = error_set(err, errno, "keep the snapshot '%s'", name);
            if (rc < 0)
                sweep(def, all);
        }
    }
    strv_free(names);
    return rc;
}

/* ---- the others ---- */

int snapshot_check(const struct guest_def *def, const char *name, char **dir, struct error *err)
{
    cleanup_free char *path = NULL;
    struct stat st;

    *dir = NULL;
    if (check_kind(def, name, err) < 0)
        return -1;
    path = xasprintf("%s/snapshots/%s", def->dir, name);
    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return no_such(def, name, err);
    if (def->engine->snapshots->check(def, name, path, err) < 0)
        return error_wrap(err, "snapshot '%s' of '%s'", name, def->name);
    *dir = steal_ptr(path);
    return 0;
}

int snapshot_delete(const struct guest_def *def, const char *name, struct error *err)
{
    cleanup_free char *scratch = xasprintf(".%s", name);

    if (check_kind(def, name, err) < 0)
        return -1;
    cleanup_close int all = open_locked(def, err);
    if (all < 0)
        return -1;
    if (renameat(all, name, all, scratch) < 0)
        return errno == ENOENT ? no_such(def, name, err)
                               : error_set(err, errno, "remove the snapshot '%s'", name);
    if (forget(def, name, err) < 0) {
        renameat(all, scratch, all, name);
        return error_wrap(err, "remove the snapshot '%s'", name);
    }
    return discard(def, scratch, err);
}
