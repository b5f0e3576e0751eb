/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names in directories: finding, making, renaming, removing and listing them.
 *
 * What is made is opened right away, and owner and mode are set by that descriptor, so that a name
 * that somebody on the host puts there meanwhile gains nothing.
 */
#include "kvm/fuse/private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/util.h"

#define PERMISSIONS 07777u

/* ---- finding ---- */

int op_lookup(struct request *r, const void *in)
{
    struct fuse_entry_out out;
    const char *name;
    struct node *n;
    struct stat st;
    int rc = request_name(r, &name);

    (void)in;
    if (rc < 0)
        return rc;
    rc = node_lookup(r->f, r->node, name, &st, &n);
    if (rc == -ENOENT && r->f->config.cache == FUSE_CACHE_ALWAYS) {
        out = (struct fuse_entry_out){.entry_valid = cache_seconds(r->f)};
        return reply(r, &out, sizeof(out)); /* node 0: there is none, and there will be none */
    }
    if (rc < 0)
        return rc;
    entry_fill(r->f, n, &st, &out);
    return reply(r, &out, sizeof(out));
}

/* ---- making ---- */

/* The directory that something is to be made in. */
static int open_parent(struct request *r, const char *name, struct stat *st)
{
    int dir = node_fd(r->f, r->node);

    if (dir < 0)
        return dir;
    if (node_hides(r->f, r->node, name))
        return -EACCES;
    return fstat(dir, st) < 0 ? -errno : dir;
}

/* fd (taken over) is what was made as `name`: give it away, and tell of it. */
static int made(struct request *r, const char *name, int fd, const struct stat *dir, mode_t mode,
                bool link, struct fuse_entry_out *out)
{
    cleanup_close int mine = fd;
    struct node *n;
    struct stat st;
    int rc = fd < 0 ? fd : attr_own(r, fd, dir, mode, link);

    if (rc == 0)
        rc = node_take(r->f, r->node, name, steal_fd(mine), &st, &n);
    if (rc == 0)
        entry_fill(r->f, n, &st, out);
    return rc;
}

static int reply_made(struct request *r, const char *name, int fd, const struct stat *dir,
                      mode_t mode, bool link)
{
    struct fuse_entry_out out;
    int rc = made(r, name, fd, dir, mode, link, &out);

    return rc < 0 ? rc : reply(r, &out, sizeof(out));
}

int op_mknod(struct request *r, const void *in)
{
    const struct fuse_mknod_in *want = in;
    mode_t type = want->mode & S_IFMT;
    struct stat st;
    const char *name;
    int rc = request_name(r, &name);

    if (rc == 0 && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
        rc = -EPERM; /* a device node would be the host's */
    if (rc == 0)
        rc = attr_check_mode(r->f, type, want->mode);
    int dir = rc < 0 ? rc : open_parent(r, name, &st);
    if (dir < 0)
        return dir;
    if (mknodat(dir, name, type | (want->mode & PERMISSIONS), 0) < 0)
        return -errno;
    return reply_made(r, name, open_beneath(dir, name, O_PATH, 0), &st, want->mode, false);
}

int op_mkdir(struct request *r, const void *in)
{
    const struct fuse_mkdir_in *want = in;
    struct stat st;
    const char *name;
    int rc = request_name(r, &name), dir = rc < 0 ? rc : open_parent(r, name, &st);

    if (dir < 0)
        return dir;
    if (mkdirat(dir, name, want->mode & PERMISSIONS) < 0)
        return -errno;
    return reply_made(r, name, open_beneath(dir, name, O_PATH | O_DIRECTORY, 0), &st,
                      want->mode | (st.st_mode & S_ISGID), false);
}

int op_symlink(struct request *r, const void *in)
{
    struct stat st;
    const char *name, *text;
    int rc = request_name(r, &name), dir;

    (void)in;
    text = rc < 0 ? NULL : request_string(r);
    if (rc == 0 && !text)
        rc = -EINVAL;
    dir = rc < 0 ? rc : open_parent(r, name, &st);
    if (dir < 0)
        return dir;
    if (symlinkat(text, dir, name) < 0)
        return -errno;
    return reply_made(r, name, open_beneath(dir, name, O_PATH, 0), &st, 0, true);
}

int op_link(struct request *r, const void *in)
{
    const struct fuse_link_in *want = in;
    struct node *n = node_find(r->f, want->oldnodeid);
    struct fuse_entry_out out;
    struct stat st;
    char number[12];
    const char *name;
    int rc = request_name(r, &name), dir = rc < 0 ? rc : open_parent(r, name, &st);

    if (dir < 0)
        return dir;
    if (!n)
        return -ESTALE;
    if (n->hidden || n->type == S_IFDIR)
        return n->hidden ? -EACCES : -EPERM;
    int fd = node_fd(r->f, n);
    if (fd < 0)
        return fd;
    if (r->node->fd < 0) /* closed for that one */
        return -ENFILE;
    snprintf(number, sizeof(number), "%d", fd);
    if (linkat(r->f->proc, number, r->node->fd, name, AT_SYMLINK_FOLLOW) < 0)
        return -errno;
    rc = node_lookup(r->f, r->node, name, &st, &n);
    if (rc < 0)
        return rc;
    entry_fill(r->f, n, &st, &out);
    return reply(r, &out, sizeof(out));
}

/* Open what CREATE found to be there already. */
static int create_existing(struct request *r, const char *name, int flags,
                           struct fuse_entry_out *entry, struct node **n)
{
    struct stat st;
    int rc = node_lookup(r->f, r->node, name, &st, n);

    if (rc < 0)
        return rc;
    int fd = (*n)->hidden ? -EACCES : (*n)->type == S_IFDIR ? -EISDIR : node_open(r->f, *n, flags);
    if (fd < 0) {
        node_forget(r->f, *n, 1);
        return fd;
    }
    entry_fill(r->f, *n, &st, entry);
    return fd;
}

/* Make a file: *fd is open for the guest, *n what it is told of. */
static int create(struct request *r, const struct fuse_create_in *want, const char *name, int *fd,
                  struct fuse_entry_out *entry, struct node **n)
{
    int flags = handle_open_flags(want->flags);
    struct stat st;
    char number[12];
    int rc = attr_check_mode(r->f, S_IFREG, want->mode);
    int dir = rc < 0 ? rc : open_parent(r, name, &st);

    if (dir < 0)
        return dir;
    if ((flags & O_ACCMODE) == O_ACCMODE)
        return -EINVAL;
    *fd = open_beneath(dir, name, flags | O_CREAT | O_EXCL | O_NONBLOCK | O_NOCTTY,
                       want->mode & PERMISSIONS);
    if (*fd == -EEXIST && !(want->flags & O_EXCL))
        *fd = create_existing(r, name, flags, entry, n);
    else if (*fd >= 0) {
        snprintf(number, sizeof(number), "%d", *fd);
        int path = openat(r->f->proc, number, O_PATH | O_CLOEXEC);
        rc = made(r, name, path < 0 ? -errno : path, &st, want->mode, false, entry);
        *n = rc < 0 ? NULL : node_find(r->f, entry->nodeid);
    }
    return *fd < 0 ? *fd : rc;
}

int op_create(struct request *r, const void *in)
{
    const struct fuse_create_in *want = in;
    struct fuse_open_out out = {.open_flags = handle_flags(r->f, false)};
    struct fuse_entry_out entry = {0};
    struct node *n = NULL;
    const char *name = NULL;
    int fd = -1, rc = request_name(r, &name);

    if (rc == 0)
        rc = create(r, want, name, &fd, &entry, &n);
    if (rc < 0) {
        cleanup_close_fn(&fd);
        return rc;
    }
    bool writable = (want->flags & O_ACCMODE) != O_RDONLY;
    rc = handle_add(r->f, n, fd, false, writable, &out.fh);
    if (rc < 0) {
        node_forget(r->f, n, 1);
        return rc;
    }
    rc = reply(r, &entry, sizeof(entry));
    return rc < 0 ? rc : reply(r, &out, sizeof(out));
}

/* ---- renaming and removing ---- */

static int remove_name(struct request *r, int flags)
{
    struct stat st;
    const char *name;
    int rc = request_name(r, &name), dir = rc < 0 ? rc : open_parent(r, name, &st);

    if (dir < 0)
        return dir;
    node_unname(r->f, r->node, name);
    dir = node_fd(r->f, r->node);
    if (dir < 0)
        return dir;
    return unlinkat(dir, name, flags) < 0 ? -errno : 0;
}

int op_unlink(struct request *r, const void *in)
{
    (void)in;
    return remove_name(r, 0);
}

int op_rmdir(struct request *r, const void *in)
{
    (void)in;
    return remove_name(r, AT_REMOVEDIR);
}

static int rename_to(struct request *r, uint64_t new_dir, uint32_t flags)
{
    struct node *to = node_find(r->f, new_dir);
    const char *name = NULL, *new_name = NULL;
    int rc = request_name(r, &name);

    if (rc == 0)
        rc = request_name(r, &new_name);
    if (rc < 0)
        return rc;
    if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL; /* RENAME_WHITEOUT makes a device node */
    if (!to || to->type != S_IFDIR)
        return to ? -ENOTDIR : -ESTALE;
    if (to->hidden || node_hides(r->f, r->node, name) || node_hides(r->f, to, new_name))
        return -EACCES;
    if (!(flags & RENAME_EXCHANGE))
        node_unname(r->f, to, new_name);
    int from_fd = node_fd(r->f, r->node), to_fd = node_fd(r->f, to);
    if (from_fd < 0 || to_fd < 0)
        return from_fd < 0 ? from_fd : to_fd;
    if (r->node->fd < 0) /* closed for the other */
        return -ENFILE;
    if (syscall(SYS_renameat2, from_fd, name, to_fd, new_name, flags) < 0)
        return -errno;
    node_renamed(r->f, to, new_name);
    if (flags & RENAME_EXCHANGE)
        node_renamed(r->f, r->node, name);
    return 0;
}

int op_rename(struct request *r, const void *in)
{
    const struct fuse_rename_in *want = in;

    return rename_to(r, want->newdir, 0);
}

int op_rename2(struct request *r, const void *in)
{
    const struct fuse_rename2_in *want = in;

    return rename_to(r, want->newdir, want->flags);
}

/* ---- listing ---- */

static bool is_dots(const char *name)
{
    return str_eq(name, ".") || str_eq(name, "..");
}

/* What the guest learns of a name besides it; of `.` and `..` nothing, and no node is counted. */
static void describe(struct request *r, const char *name, struct fuse_direntplus *e)
{
    struct node *n;
    struct stat st;

    e->entry_out = (struct fuse_entry_out){0};
    if (is_dots(name) || node_lookup(r->f, r->node, name, &st, &n) < 0)
        return;
    entry_fill(r->f, n, &st, &e->entry_out);
    e->dirent.ino = e->entry_out.attr.ino;
    e->dirent.type = (st.st_mode & S_IFMT) >> 12;
}

/* One entry. False: it does not fit any more. */
static bool list_entry(struct request *r, const struct dirent64 *d, bool plus, size_t *left)
{
    static const char padding[8];
    struct fuse_direntplus e;
    size_t len = strlen(d->d_name);
    size_t head = plus ? sizeof(e) : sizeof(e.dirent), size = FUSE_DIRENT_ALIGN(head + len);

    if (size > *left)
        return false;
    e.dirent = (struct fuse_dirent){
        .ino = d->d_ino ? d->d_ino : 1,
        .off = (uint64_t)d->d_off,
        .namelen = (uint32_t)len,
        .type = d->d_type,
    };
    if (plus)
        describe(r, d->d_name, &e);
    *left -= size;
    chain_write(r->c, plus ? (const void *)&e : &e.dirent, head);
    chain_write(r->c, d->d_name, len);
    chain_write(r->c, padding, size - head - len);
    return true;
}

static int list(struct request *r, const struct fuse_read_in *want, bool plus)
{
    struct handle *h = handle_find(r->f, want->fh);
    size_t left = min((size_t)want->size, r->room);
    /* A host's entry is smaller than FUSE's; what was read and does not fit is read again. */
    size_t batch = max(min(plus ? left / 4 : left, (size_t)FUSE_DIR_BYTES), (size_t)512);
    char *buffer = r->f->scratch;

    if (!h || !h->dir || h->node != r->node)
        return -EBADF;
    if (h->fd < 0) /* hidden: not even dots */
        return 0;
    if (want->offset > INT64_MAX || lseek(h->fd, (off_t)want->offset, SEEK_SET) < 0)
        return -EINVAL;
    for (bool first = true;; first = false) {
        ssize_t n = getdents64(h->fd, buffer, batch);
        if (n < 0)
            return first ? -errno : 0;
        for (char *at = buffer; at < buffer + n; at += ((struct dirent64 *)(void *)at)->d_reclen)
            if (!list_entry(r, (struct dirent64 *)(void *)at, plus, &left))
                return at == buffer && first ? -EINVAL : 0;
        if (n == 0 || left < batch)
            return 0;
    }
}

int op_readdir(struct request *r, const void *in)
{
    return list(r, in, false);
}

int op_readdirplus(struct request *r, const void *in)
{
    return list(r, in, true);
}
