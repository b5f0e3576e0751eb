/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locks on images, the same as QEMU's, so that no two programs write one image, whichever they are.
 *
 * QEMU (block/file-posix.c, raw_apply_lock_bytes) gives each permission a number and two bytes of
 * the file: who uses it holds a shared lock on 100 + number, who does not suffer others to use it
 * holds one on 200 + number. Both are shared locks, so that many may hold them. One is let in if
 * nobody refuses what one uses and nobody uses what one refuses; that is found out after one's own
 * locks are set, so of two that come at once at most one gets in. They are locks of the open file
 * description (OFD): they end with its last descriptor, however that goes. A process that was killed
 * while io_uring had requests of it is gone a moment before these let go of the file, so one that is
 * in use is asked for again for as long as that may take.
 */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "disk/hostfile.h"

#define USED_BASE    100
#define REFUSED_BASE 200

#define TRIES  25
#define TRY_NS 10000000

/* BLK_PERM_… of QEMU's block/block-common.h, as bit numbers. */
enum { PERM_READ = 0, PERM_WRITE = 1, PERM_RESIZE = 3 };

static const int reads[] = {PERM_READ}, writes[] = {PERM_READ, PERM_WRITE, PERM_RESIZE};
static const int refused[] = {PERM_WRITE, PERM_RESIZE};

static int lock_byte(int fd, int byte)
{
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(fd, F_OFD_SETLK, &l);
}

/* Does somebody else hold this byte? 0 or 1, or -1. */
static int is_held(int fd, int byte)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (fcntl(fd, F_OFD_GETLK, &l) < 0)
        return -1;
    return l.l_type != F_UNLCK;
}

static int lock_all(int fd, const int *perms, size_t n, int base)
{
    for (size_t i = 0; i < n; i++)
        if (lock_byte(fd, base + perms[i]) < 0)
            return -1;
    return 0;
}

static int any_held(int fd, const int *perms, size_t n, int base)
{
    for (size_t i = 0; i < n; i++) {
        int held = is_held(fd, base + perms[i]);
        if (held != 0)
            return held;
    }
    return 0;
}

static void unlock(int fd)
{
    struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = USED_BASE, .l_len = 200};
    fcntl(fd, F_OFD_SETLK, &l);
}

/* 0: it is ours; -1: see err, whose code is EBUSY where others have it. */
static int try_lock(struct hostfile *f, bool write, struct error *err)
{
    int fd = f->meta;
    const int *used = write ? writes : reads;
    size_t n = write ? ARRAY_SIZE(writes) : ARRAY_SIZE(reads);
    int others = -1, users = -1;
    if (lock_all(fd, used, n, USED_BASE) == 0 &&
        lock_all(fd, refused, ARRAY_SIZE(refused), REFUSED_BASE) == 0) {
        others = any_held(fd, used, n, REFUSED_BASE);
        users = any_held(fd, refused, ARRAY_SIZE(refused), USED_BASE);
    }
    if (others == 0 && users == 0)
        return 0;
    int code = errno;
    unlock(fd);
    if (others < 0 || users < 0)
        return error_set(err, code, "lock '%s'", f->path);
    error_set(err, 0, "'%s' is in use: another process %s it", f->path, users ? "writes" : "reads");
    err->code = EBUSY;
    return error_hint(err, users ? "stop the guest that has it" : "close what has it open first");
}

int hostfile_lock(struct hostfile *f, bool write, struct error *err)
{
    const struct timespec moment = {.tv_nsec = TRY_NS};
    struct error local;
    if (err == NULL)
        err = &local;
    for (int i = 0; i < TRIES; i++) {
        if (try_lock(f, write, err) == 0)
            return 0;
        if (err->code != EBUSY)
            return -1;
        nanosleep(&moment, NULL);
    }
    return -1;
}
