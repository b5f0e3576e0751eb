/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the FUSE server share: nodes, handles, and the request that is being served.
 *
 *     serve.c   a request's head, which function it is for, the answer's head
 *     node.c    nodes, their descriptors, what is hidden
 *     attr.c    attributes, owners, extended attributes
 *     dir.c     names: lookup, make, rename, remove, list
 *     file.c    handles and the bytes of files
 *
 * An operation returns 0 or a negative errno value. What it has to tell it gives to reply(), last.
 */
#ifndef PULT_KVM_FUSE_PRIVATE_H
#define PULT_KVM_FUSE_PRIVATE_H

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvm/fuse/fuse.h"

#define FUSE_ARGS_MOST  (72u << 10) /* an extended attribute (64 KiB), its name and the rest */
#define FUSE_DIR_BYTES  (32u << 10)
#define FUSE_WRITE_MOST (1u << 20)
#define FUSE_IOV        1024u /* IOV_MAX */

/* A file of the host that the guest knows. */
struct node {
    uint64_t dev, ino;
    uint64_t lookups; /* as often it was told of it */
    uint32_t index, generation;
    int fd;        /* O_PATH; -1: closed for now */
    mode_t type;   /* S_IFMT of its mode: that of an inode never changes */
    unsigned uses; /* nodes whose parent it is, open directories, this request */
    struct node *parent;
    char *name;                 /* where it was last found in its parent */
    struct node *next;          /* in its bucket, or of those that are free */
    struct node *newer, *older; /* among those with an open descriptor that may be closed */
    bool hidden;
    bool pinned; /* its name is gone: it could not be opened again */
};

struct handle {
    int fd; /* -1: free, or of a hidden file */
    uint32_t generation;
    bool used, dir, writable;
    struct node *node;
    uint32_t next; /* of the free ones */
};

/* What the guest shall not see: by its place, and by its inode where it is there. */
struct hidden {
    uint64_t parent_dev, parent_ino;
    char *pattern;
    uint64_t dev, ino; /* 0: not there */
};

struct fuse {
    struct fuse_config config;
    int proc; /* /proc/self/fd: an O_PATH descriptor is opened anew by its number there */
    mode_t umask;
    bool started; /* FUSE_INIT was seen */
    unsigned max_pages;

    struct node root;
    struct node **nodes;                       /* by index; [0] is the root */
    unsigned node_count, node_room, node_used; /* slots used ever, room, nodes alive */
    struct node *free_nodes;
    struct node **buckets;
    unsigned bucket_count;
    struct node *newest, *oldest;
    unsigned open_nodes, most_open;

    struct handle *handles;
    unsigned handle_count, handle_most, handle_used;
    uint32_t free_handle;

    struct hidden *hidden;
    unsigned hidden_count;

    _Alignas(8) char args[FUSE_ARGS_MOST + 1];
    _Alignas(8) char scratch[FUSE_ARGS_MOST]; /* answers, directories */
    struct iovec iov[FUSE_IOV];
};

/* The request that is being served. */
struct request {
    struct fuse *f;
    struct fuse_in_header h;
    struct node *node; /* h.nodeid's */
    struct chain *c;
    size_t room; /* for the answer's body */
    char *args;  /* behind the fixed part: names, values */
    size_t args_len;
};

/* ---- serve.c ---- */

/* The next string of the arguments. NULL: there is none that ends. */
const char *request_string(struct request *r);
/* A name of a file in a directory: -EINVAL, -ENAMETOOLONG, or 0. */
int request_name(struct request *r, const char **name);
/* The answer, or a piece of it. */
int reply(struct request *r, const void *data, size_t len);

/* ---- node.c ---- */

/* root is taken over in any case. */
int nodes_create(struct fuse *f, int root, char *const *hidden, struct error *err);
void nodes_destroy(struct fuse *f);
void nodes_reset(struct fuse *f);
/* By its id. NULL: the guest was never told of it, or it is forgotten. */
struct node *node_find(struct fuse *f, uint64_t id);
uint64_t node_id(const struct node *n);
/* Its descriptor, valid until the next call, or a negative errno. */
int node_fd(struct fuse *f, struct node *n);
void node_forget(struct fuse *f, struct node *n, uint64_t times);
void node_hold(struct node *n);
void node_drop(struct fuse *f, struct node *n);
/*
 * The node of what fd (O_PATH, taken over in any case) is open on, found as parent's name. It is
 * counted as told once. *st: its attributes.
 */
int node_take(struct fuse *f, struct node *parent, const char *name, int fd, struct stat *st,
              struct node **out);
/* The same by name. */
int node_lookup(struct fuse *f, struct node *parent, const char *name, struct stat *st,
                struct node **out);
/* A name is about to vanish: what it names stays usable for who has it. */
void node_unname(struct fuse *f, struct node *parent, const char *name);
/* It was renamed. */
void node_renamed(struct fuse *f, struct node *parent, const char *name);
/* Is this name in this directory hidden? */
bool node_hides(const struct fuse *f, const struct node *parent, const char *name);
/* Open a node for its contents: a plain file or directory. A descriptor, or a negative errno. */
int node_open(struct fuse *f, struct node *n, int flags);
/* Open a name in a directory, beneath it, no link followed. A descriptor, or a negative errno. */
int open_beneath(int dir, const char *name, int flags, mode_t mode);

/* ---- attr.c ---- */

void attr_fill(const struct fuse *f, const struct node *n, const struct stat *st,
               struct fuse_attr *out);
void entry_fill(const struct fuse *f, const struct node *n, const struct stat *st,
                struct fuse_entry_out *out);
/* The mode that a new file gets. -EPERM: it may not have those bits. */
int attr_check_mode(const struct fuse *f, mode_t type, uint32_t mode);
/* Give what was just made (fd: of any kind) to who asked for it. */
int attr_own(struct request *r, int fd, const struct stat *dir, mode_t mode, bool link);
uint64_t cache_seconds(const struct fuse *f);

/* ---- file.c ---- */

int handles_create(struct fuse *f, unsigned most);
void handles_destroy(struct fuse *f);
void handles_reset(struct fuse *f);
struct handle *handle_find(struct fuse *f, uint64_t fh);
/* Takes fd over in any case. -ENFILE: there are too many. */
int handle_add(struct fuse *f, struct node *n, int fd, bool dir, bool writable, uint64_t *fh);
void handle_close(struct fuse *f, struct handle *h);
/* What the guest is told with a handle: FOPEN_… */
uint32_t handle_flags(const struct fuse *f, bool dir);
/* Which of an open's flags mean something here. */
int handle_open_flags(uint32_t flags);

/* ---- operations ---- */

typedef int fuse_op(struct request *r, const void *in);

fuse_op op_getattr, op_setattr, op_readlink, op_statfs, op_access, op_getxattr, op_setxattr,
    op_listxattr, op_removexattr;
fuse_op op_lookup, op_mknod, op_mkdir, op_symlink, op_link, op_unlink, op_rmdir, op_rename,
    op_rename2, op_create, op_readdir, op_readdirplus;
fuse_op op_open, op_opendir, op_release, op_read, op_write, op_flush, op_fsync, op_fallocate,
    op_lseek, op_copy_file_range;

#endif
