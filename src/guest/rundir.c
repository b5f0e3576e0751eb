/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/recover.h"
#include "guest/scratch.h"
#include "net/join.h"

#define ENDING_MS 3000 /* what a keeper gets for its clean-up until its guest's name is free */

/* What a runtime directory tells. OVER: its keeper has only to clean up. */
enum life { NONE, OVER, ALIVE };

/* Does a process of this number exist? */
static bool pid_exists(pid_t pid)
{
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/*
 * What the page in a directory says. One that cannot be read yet is of a guest that starts; a
 * directory without one is being removed.
 */
static enum life read_page(const char *dir_path, struct status_page *page)
{
    cleanup_close int dir = open(dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int status =
        openat(dir, STATUS_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (dir < 0 || (status < 0 && errno == ENOENT))
        return NONE;
    if (status < 0 || status_read(status, page) < 0 || page->keeper_pid == 0) {
        *page = (struct status_page){.state = GUEST_STARTING};
        return ALIVE;
    }
    if (!pid_exists(page->keeper_pid))
        return NONE;
    return state_alive((enum guest_state)page->state) ? ALIVE : OVER;
}

/*
 * The RUN in which a keeper has this lasting guest, NULL if none has. Asking takes no lock, so
 * that it cannot be in the way of who starts the guest.
 */
static char *running_where(const char *name)
{
    cleanup_free char *path = xasprintf("%s/guests/%s/" RUNNING_FILE, place_home(), name);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char *where = NULL;
    if (fd < 0 || fcntl(fd, F_OFD_GETLK, &l) < 0 || l.l_type == F_UNLCK)
        return NULL;
    if (file_read_at(AT_FDCWD, path, 4096, &where, NULL, NULL) < 0)
        where = xstrdup("");
    where[strcspn(where, "\n")] = '\0';
    return where;
}

static enum life look(const char *name, struct status_page *page)
{
    cleanup_free char *path = xasprintf("%s/%s", place_run(), name);
    cleanup_close int fd = dir_lock(path, LOCK_EX | LOCK_NB);
    if (fd < 0 && errno == EWOULDBLOCK)
        return read_page(path, page);
    if (fd >= 0)
        recover_guest(name, fd);
    cleanup_free char *where = running_where(name);
    if (!where || strcmp(where, place_run()) == 0)
        return NONE;
    cleanup_free char *elsewhere = xasprintf("%s/%s", where, name);
    return read_page(elsewhere, page);
}

bool run_dir_look(const char *name, struct status_page *page)
{
    return look(name, page) == ALIVE;
}

/* Is there a guest of this name? One that is over is not, but its name is waited for. */
static bool name_taken(const char *name)
{
    const struct timespec ms = {.tv_nsec = 1000000};
    struct status_page page;
    enum life life = NONE;
    for (int i = 0; i < ENDING_MS && (life = look(name, &page)) == OVER; i++)
        nanosleep(&ms, NULL);
    return life != NONE;
}

/* Was it in this RUN the last time, too? Then a guest starts also where the disk is full. */
static bool says_here(int fd)
{
    char was[4096];
    ssize_t n = pread(fd, was, sizeof was, 0);
    return n == (ssize_t)strlen(place_run()) && memcmp(was, place_run(), (size_t)n) == 0;
}

/* Take the lock by which a lasting guest runs once. The caller has its definition's lock. */
static int running_take(const struct guest_def *def, struct error *err)
{
    cleanup_free char *path = xasprintf("%s/" RUNNING_FILE, def->dir);
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fd < 0)
        return error_set(err, errno, "open '%s'", path);
    if (fcntl(fd, F_OFD_SETLK, &l) < 0) {
        cleanup_free char *where = running_where(def->name);
        error_set(err, 0, "'%s' is running already", def->name);
        if (where && *where && strcmp(where, place_run()) != 0)
            error_hint(err, "its runtime directory is '%s' (PULT_RUN)", where);
        if (err)
            err->code = EBUSY;
        return -1;
    }
    if (!says_here(fd) &&
        (ftruncate(fd, 0) < 0 || write_all(fd, place_run(), strlen(place_run())) < 0))
        return error_set(err, errno, "write '%s'", path);
    return steal_fd(fd);
}

struct parts {
    const struct guest_def *def;
    store_fill_fn *fill;
    void *arg;
};

/* What a runtime directory has before it gets its name. What a crash leaves of it is nothing. */
static int run_dir_fill(void *arg, int dir_fd, const char *dir, struct error *err)
{
    const struct parts *p = arg;
    if (status_create(dir_fd, err) < 0)
        return -1;
    if (p->def->throwaway) {
        size_t len;
        cleanup_free char *text = conf_text(p->def->conf, &len);
        cleanup_close int fd =
            openat(dir_fd, "config", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || write_all(fd, text, len) < 0)
            return error_set(err, errno, "write the definition");
    }
    return p->fill ? p->fill(p->arg, dir, err) : 0;
}

int run_dir_create(const struct guest_def *def, store_fill_fn *fill, void *arg, struct run_dir *out,
                   struct error *err)
{
    struct parts parts = {def, fill, arg};
    struct error why = {0};
    cleanup_close int lock = -1, running = -1;
    if (store_init(err) < 0)
        return -1;
    if (def->foreign && dir_make(def->dir, 0700, err) < 0)
        return -1;
    if (!def->throwaway && ((lock = store_lock(def->name, LOCK_SH, err)) < 0 ||
                            (running = running_take(def, err)) < 0))
        return -1;
    if (name_taken(def->name)) {
        error_set(err, 0, "'%s' is running already", def->name);
        if (err)
            err->code = EBUSY;
        return -1;
    }
    int fd = scratch_build(place_run(), def->name, run_dir_fill, &parts, &why);
    if (fd >= 0) {
        *out = (struct run_dir){fd, steal_fd(running)};
        return 0;
    }
    if (err)
        *err = why;
    if (why.code == EEXIST)
        error_hint(err, "if '%s' does not run, remove that directory, which is not pult's",
                   def->name);
    return -1;
}

/* Before its name is free for another: that one would have the same ports in networks. */
static void leave_networks(const char *name)
{
    cleanup_free char *lasting = xasprintf("%s/guests/%s", place_home(), name);
    struct error err;
    if (network_leave_all(name, access(lasting, F_OK) < 0, &err) < 0)
        log_line("%s: %s", name, err.text);
}

void run_dir_retire(const char *name, struct run_dir *run)
{
    leave_networks(name);
    cleanup_free char *path = xasprintf("%s/%s", place_run(), name);
    cleanup_free char *gone = scratch_gone(place_run(), name);
    struct stat have, want;
    if (run->running >= 0)
        close(steal_fd(run->running));
    if (fstat(run->fd, &have) == 0 && lstat(path, &want) == 0 && have.st_ino == want.st_ino &&
        rename(path, gone) < 0)
        log_line("take away '%s': %s", path, strerror(errno));
}

void run_dir_remove(const char *name, struct run_dir *run)
{
    cleanup_free char *gone = scratch_gone(place_run(), name);
    run_dir_retire(name, run);
    tree_remove_at(AT_FDCWD, gone, NULL);
}
