/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Attributes: what a file is, whose it is, and what may be changed about it.
 */
#include "kvm/fuse/private.h"

#include <errno.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/util.h"

#define AUTO_SECONDS   1u
#define ALWAYS_SECONDS 86400u
#define PERMISSIONS    07777u
#define SET_ID         (S_ISUID | S_ISGID)
#define XATTR_USER     "user."

uint64_t cache_seconds(const struct fuse *f)
{
    static const unsigned seconds[] = {
        [FUSE_CACHE_AUTO] = AUTO_SECONDS,
        [FUSE_CACHE_NONE] = 0,
        [FUSE_CACHE_ALWAYS] = ALWAYS_SECONDS,
    };
    return seconds[f->config.cache];
}

/* Files of several file systems appear as one's: the others' inode numbers are set apart. */
static uint64_t inode_of(const struct fuse *f, const struct stat *st)
{
    if (st->st_dev == f->root.dev)
        return st->st_ino;
    return st->st_ino ^ (st->st_dev * 0x9e3779b97f4a7c15ull & 0xffff000000000000ull);
}

void attr_fill(const struct fuse *f, const struct node *n, const struct stat *st,
               struct fuse_attr *out)
{
    bool empty = n->hidden && n->type == S_IFREG;

    *out = (struct fuse_attr){
        .ino = inode_of(f, st),
        .size = empty ? 0 : (uint64_t)st->st_size,
        .blocks = empty ? 0 : (uint64_t)st->st_blocks,
        .atime = (uint64_t)st->st_atim.tv_sec,
        .mtime = (uint64_t)st->st_mtim.tv_sec,
        .ctime = (uint64_t)st->st_ctim.tv_sec,
        .atimensec = (uint32_t)st->st_atim.tv_nsec,
        .mtimensec = (uint32_t)st->st_mtim.tv_nsec,
        .ctimensec = (uint32_t)st->st_ctim.tv_nsec,
        .mode = st->st_mode,
        .nlink = (uint32_t)st->st_nlink,
        .uid = f->config.identity ? st->st_uid : f->config.uid,
        .gid = f->config.identity ? st->st_gid : f->config.gid,
        .rdev = 0, /* of the guest's own device it would be the way in */
        .blksize = (uint32_t)st->st_blksize,
    };
}

void entry_fill(const struct fuse *f, const struct node *n, const struct stat *st,
                struct fuse_entry_out *out)
{
    *out = (struct fuse_entry_out){
        .nodeid = node_id(n),
        .entry_valid = cache_seconds(f),
        .attr_valid = cache_seconds(f),
    };
    attr_fill(f, n, st, &out->attr);
}

/* The descriptor to look at or to change: the handle's, where the guest named one. */
static int fd_for(struct request *r, bool has_handle, uint64_t fh)
{
    struct handle *h = has_handle ? handle_find(r->f, fh) : NULL;

    if (has_handle && (!h || h->node != r->node))
        return -EBADF;
    return h && h->fd >= 0 ? h->fd : node_fd(r->f, r->node);
}

static int reply_attr(struct request *r, int fd)
{
    struct fuse_attr_out out = {.attr_valid = cache_seconds(r->f)};
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    attr_fill(r->f, r->node, &st, &out.attr);
    return reply(r, &out, sizeof(out));
}

int op_getattr(struct request *r, const void *in)
{
    const struct fuse_getattr_in *want = in;

    return reply_attr(r, fd_for(r, want->getattr_flags & FUSE_GETATTR_FH, want->fh));
}

/* ---- changes ---- */

int attr_check_mode(const struct fuse *f, mode_t type, uint32_t mode)
{
    return type != S_IFDIR && (mode & SET_ID) && !f->config.setid ? -EPERM : 0;
}

static int set_mode(struct request *r, uint32_t mode)
{
    char number[12];
    int rc = attr_check_mode(r->f, r->node->type, mode);
    int fd = node_fd(r->f, r->node);

    if (rc < 0)
        return rc;
    if (fd < 0)
        return fd;
    if (r->node->type == S_IFLNK)
        return -EOPNOTSUPP;
    snprintf(number, sizeof(number), "%d", fd);
    return fchmodat(r->f->proc, number, mode & PERMISSIONS, 0) < 0 ? -errno : 0;
}

static int set_owner(struct request *r, const struct fuse_setattr_in *want)
{
    const struct fuse_config *c = &r->f->config;
    uid_t uid = want->valid & FATTR_UID ? want->uid : (uid_t)-1;
    gid_t gid = want->valid & FATTR_GID ? want->gid : (gid_t)-1;

    if (!c->identity) /* they have the only owner that there is */
        return (uid != (uid_t)-1 && uid != c->uid) || (gid != (gid_t)-1 && gid != c->gid) ? -EPERM
                                                                                          : 0;
    int fd = node_fd(r->f, r->node);
    if (fd < 0)
        return fd;
    return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_size(struct request *r, const struct fuse_setattr_in *want)
{
    struct handle *h = want->valid & FATTR_FH ? handle_find(r->f, want->fh) : NULL;
    cleanup_close int mine = -1;

    if (r->node->type != S_IFREG)
        return r->node->type == S_IFDIR ? -EISDIR : -EINVAL;
    if (want->size > INT64_MAX)
        return -EFBIG;
    if (!h || h->node != r->node || !h->writable) {
        mine = node_open(r->f, r->node, O_WRONLY);
        if (mine < 0)
            return mine;
    }
    return ftruncate(mine >= 0 ? mine : h->fd, (off_t)want->size) < 0 ? -errno : 0;
}

static struct timespec time_of(uint32_t valid, uint32_t set, uint32_t now, uint64_t s, uint32_t ns)
{
    struct timespec t = {(time_t)s, (long)ns};

    if (!(valid & (set | now)))
        t.tv_nsec = UTIME_OMIT;
    else if (valid & now)
        t.tv_nsec = UTIME_NOW;
    else if (ns > 999999999)
        t.tv_nsec = 999999999;
    return t;
}

static int set_times(struct request *r, const struct fuse_setattr_in *w)
{
    const struct timespec times[2] = {
        time_of(w->valid, FATTR_ATIME, FATTR_ATIME_NOW, w->atime, w->atimensec),
        time_of(w->valid, FATTR_MTIME, FATTR_MTIME_NOW, w->mtime, w->mtimensec),
    };
    int fd = node_fd(r->f, r->node);

    if (fd < 0)
        return fd;
    /* glibc refuses an empty path where the kernel has taken it since 5.8 */
    return syscall(SYS_utimensat, fd, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int op_setattr(struct request *r, const void *in)
{
    const struct fuse_setattr_in *want = in;
    uint32_t valid = want->valid;
    int rc = 0;

    if (valid & FATTR_MODE)
        rc = set_mode(r, want->mode);
    if (rc == 0 && (valid & (FATTR_UID | FATTR_GID)))
        rc = set_owner(r, want);
    if (rc == 0 && (valid & FATTR_SIZE))
        rc = set_size(r, want);
    if (rc == 0 && (valid & (FATTR_ATIME | FATTR_ATIME_NOW | FATTR_MTIME | FATTR_MTIME_NOW)))
        rc = set_times(r, want);
    return rc < 0 ? rc : reply_attr(r, node_fd(r->f, r->node));
}

int attr_own(struct request *r, int fd, const struct stat *dir, mode_t mode, bool link)
{
    const struct fuse *f = r->f;
    gid_t gid = dir->st_mode & S_ISGID ? (gid_t)-1 : r->h.gid;
    char number[12];

    /* Root may give files away; of others they are anyway. */
    if (f->config.identity && geteuid() == 0 && fchownat(fd, "", r->h.uid, gid, AT_EMPTY_PATH) < 0)
        return -errno;
    /* The guest applied its own mask; and changing the owner took set-id bits away. */
    if (link || !(mode & (f->umask | SET_ID)))
        return 0;
    snprintf(number, sizeof(number), "%d", fd);
    return fchmodat(f->proc, number, mode & PERMISSIONS, 0) < 0 ? -errno : 0;
}

/* ---- the rest ---- */

int op_readlink(struct request *r, const void *in)
{
    int fd = node_fd(r->f, r->node);

    (void)in;
    if (fd < 0)
        return fd;
    if (r->node->type != S_IFLNK)
        return -EINVAL;
    ssize_t n = readlinkat(fd, "", r->f->scratch, PATH_MAX);
    return n < 0 ? -errno : reply(r, r->f->scratch, (size_t)n);
}

int op_statfs(struct request *r, const void *in)
{
    int fd = node_fd(r->f, r->node);
    struct statfs st;

    (void)in;
    if (fd < 0)
        return fd;
    if (fstatfs(fd, &st) < 0)
        return -errno;
    struct fuse_statfs_out out = {.st = {
                                      .blocks = (uint64_t)st.f_blocks,
                                      .bfree = (uint64_t)st.f_bfree,
                                      .bavail = (uint64_t)st.f_bavail,
                                      .files = (uint64_t)st.f_files,
                                      .ffree = (uint64_t)st.f_ffree,
                                      .bsize = (uint32_t)st.f_bsize,
                                      .namelen = (uint32_t)st.f_namelen,
                                      .frsize = (uint32_t)st.f_frsize,
                                  }};
    return reply(r, &out, sizeof(out));
}

int op_access(struct request *r, const void *in)
{
    const struct fuse_access_in *want = in;
    int fd = node_fd(r->f, r->node);

    if (fd < 0)
        return fd;
    if (want->mask & ~7u)
        return -EINVAL;
    if ((want->mask & W_OK) && r->f->config.readonly)
        return -EROFS;
    /* glibc's would emulate flags; this is the kernel's of 5.8. */
    /* Of what the server may: it may have capabilities, which count for its effective user only. */
    return syscall(SYS_faccessat2, fd, "", want->mask, AT_EMPTY_PATH | AT_EACCESS) < 0 ? -errno : 0;
}

/* ---- extended attributes: the users' own, user.* ---- */

static int take_xattr_name(struct request *r, const char **name)
{
    *name = request_string(r);
    if (!*name || !**name)
        return -EINVAL;
    if (strlen(*name) > XATTR_NAME_MAX)
        return -ERANGE;
    return str_starts(*name, XATTR_USER) && !r->node->hidden ? 0 : -EOPNOTSUPP;
}

/* Only files and directories have such; for both, the right to read is enough to be asked. */
static int open_for_xattr(struct request *r)
{
    if (r->node->type != S_IFREG && r->node->type != S_IFDIR)
        return -EOPNOTSUPP;
    return node_open(r->f, r->node, O_RDONLY);
}

/* What there is, or with a size of 0 how much: FUSE's answer has one of two forms. */
static int reply_xattr(struct request *r, uint32_t size, size_t n)
{
    struct fuse_getxattr_out out = {.size = (uint32_t)n};

    if (size == 0)
        return reply(r, &out, sizeof(out));
    return n > size ? -ERANGE : reply(r, r->f->scratch, n);
}

int op_getxattr(struct request *r, const void *in)
{
    const struct fuse_getxattr_in *want = in;
    const char *name;
    int rc = take_xattr_name(r, &name);

    if (rc < 0)
        return rc;
    cleanup_close int fd = open_for_xattr(r);
    if (fd < 0)
        return fd;
    ssize_t n = fgetxattr(fd, name, r->f->scratch, XATTR_SIZE_MAX);
    return n < 0 ? -errno : reply_xattr(r, want->size, (size_t)n);
}

int op_listxattr(struct request *r, const void *in)
{
    const struct fuse_getxattr_in *want = in;
    char *list = r->f->scratch, *to = list;

    if (r->node->hidden || (r->node->type != S_IFREG && r->node->type != S_IFDIR))
        return reply_xattr(r, want->size, 0);
    cleanup_close int fd = open_for_xattr(r);
    if (fd < 0)
        return fd;
    ssize_t n = flistxattr(fd, list, XATTR_LIST_MAX);
    if (n < 0)
        return -errno;
    for (char *name = list, *end = list + n; name < end;) {
        size_t len = strlen(name) + 1;
        if (str_starts(name, XATTR_USER)) {
            memmove(to, name, len);
            to += len;
        }
        name += len;
    }
    return reply_xattr(r, want->size, (size_t)(to - list));
}

int op_setxattr(struct request *r, const void *in)
{
    const struct fuse_setxattr_in *want = in; /* its first two words, the rest was not asked for */
    const char *name;
    int rc = take_xattr_name(r, &name);

    if (rc < 0)
        return rc;
    if (want->size > XATTR_SIZE_MAX)
        return -E2BIG;
    if (want->size > r->args_len || (want->flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)))
        return -EINVAL;
    cleanup_close int fd = open_for_xattr(r);
    if (fd < 0)
        return fd;
    return fsetxattr(fd, name, r->args, want->size, (int)want->flags) < 0 ? -errno : 0;
}

int op_removexattr(struct request *r, const void *in)
{
    const char *name;
    int rc = take_xattr_name(r, &name);

    (void)in;
    if (rc < 0)
        return rc;
    cleanup_close int fd = open_for_xattr(r);
    if (fd < 0)
        return fd;
    return fremovexattr(fd, name) < 0 ? -errno : 0;
}
