/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A FUSE server for one directory tree of the host: what a shared folder's device hands the
 * guest's requests to. The protocol is that of <linux/fuse.h>, 7.31 and later.
 *
 *     guest's kernel                    fuse_serve()
 *       LOOKUP parent, "name" ────────►  openat2(parent's O_PATH descriptor, "name", beneath)
 *       node id, attributes   ◄────────  a node, with that descriptor
 *       OPEN node             ────────►  /proc/self/fd/N is opened anew, if N is a plain file
 *       file handle           ◄────────
 *       READ, WRITE handle    ────────►  preadv, pwritev: between the file and guest memory
 *       FORGET node           ────────►  the node goes when all that the guest knew was forgotten
 *
 * Confined. A guest names files by node ids and single names, so a path is never walked: each
 * name is checked, and opened beneath its directory without following a link. A link's text is
 * only ever told, never followed. Device nodes are shown (as device 0:0, which opens nowhere)
 * and never made or opened; neither are fifos and sockets opened. Set-id bits, and with them
 * files that run as somebody else on the host, are given only where `setid` says so.
 *
 * Bounded. There are at most `nodes` nodes and `handles` open files. Descriptors are fewer than
 * nodes: the least recently used are closed, and opened again by their name, if it is still the same file
 * (ESTALE otherwise). All other memory is of fixed size.
 *
 * Whose files. Identity: owners are as on the host, and new files are given to who made them, if
 * the server may. Otherwise all files appear as one owner's, and belong to the server's on the host.
 *
 * A server is used by one thread. At run time it makes these system calls (all relative to
 * descriptors it has): openat, openat2, close, dup, newfstatat, fstat, fstatfs, readlinkat,
 * getdents64, preadv, pwritev, lseek, ftruncate, fallocate, fsync, fdatasync, copy_file_range,
 * mkdirat, mknodat (files, fifos, sockets), symlinkat, linkat, unlinkat, renameat2, fchmod, fchmodat,
 * fchown, fchownat, utimensat, faccessat2, fgetxattr, fsetxattr, flistxattr, fremovexattr,
 * and brk, mmap, munmap for the table of nodes. For identity as root it needs CAP_CHOWN,
 * CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER and CAP_FSETID on its thread.
 */
#ifndef PULT_KVM_FUSE_FUSE_H
#define PULT_KVM_FUSE_FUSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "kvm/virtio/queue.h"

/*
 * How long the guest may believe what it was told. For folders that the host changes too, a
 * second is what NFS users know; `always` is for what does not change while the guest runs.
 */
enum fuse_cache { FUSE_CACHE_AUTO, FUSE_CACHE_NONE, FUSE_CACHE_ALWAYS };

struct fuse_config {
    const char *path; /* of the directory that is served */
    bool readonly, setid;
    bool identity; /* else all belongs to uid and gid */
    uid_t uid;
    gid_t gid;
    enum fuse_cache cache;
    unsigned nodes;       /* the most that the guest may know at once; 0: a default */
    unsigned descriptors; /* open at once: 3/4 for nodes, the rest for files; 0: a default */
    /*
     * Absolute paths on the host that are empty for the guest; the last part may be a pattern.
     * NULL-terminated, or NULL. They are resolved now, links included, and found again by where
     * they are and by what they are.
     */
    char *const *hidden;
};

struct fuse;

/* Opens all that is needed. NULL: see err. */
struct fuse *fuse_create(const struct fuse_config *config, struct error *err);
void fuse_destroy(struct fuse *f); /* accepts NULL */
/* What its descriptors lead to: the served directory, and this process's open files. */
void fuse_descriptors(const struct fuse *f, int *root, int *open);
bool fuse_writable(const struct fuse *f);
/* Forget the guest: all nodes and files. */
void fuse_reset(struct fuse *f);

/*
 * Serve one request. What was written into the chain is c->written; it is to be pushed. False: the
 * request is none, or leaves no room for an answer.
 */
bool fuse_serve(struct fuse *f, struct chain *c);

/* Does the guest use it? */
bool fuse_mounted(const struct fuse *f);

/* For tests: how many nodes and open files there are, and descriptors of nodes. */
struct fuse_count {
    unsigned nodes, handles, descriptors;
};
struct fuse_count fuse_count(const struct fuse *f);

#endif
