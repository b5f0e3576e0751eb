/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests and answers, see fuse.h. A request is a head, arguments of a fixed size for each
 * operation, and names or data; the table says how large the first are, and how large the answer,
 * so that no operation begins whose end would not fit.
 *
 * The answer's head comes first in memory and is known last: its bytes are set aside, wherever
 * the driver cut its buffers.
 */
#include "kvm/fuse/private.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

#define MINOR_LEAST   31u /* Linux 5.4, which brought virtiofs */
#define NODES_DEFAULT (1u << 18)
#define OPEN_DEFAULT  1024u
#define OPEN_LEAST    64u
#define BACKGROUND    16 /* requests under way, such as read-ahead */
#define PAGE          4096u
#define INIT_LEAST    (offsetof(struct fuse_init_in, flags) + 4)

/* ---- operations that change nothing on the host ---- */

static int op_init(struct request *r, const void *in)
{
    static const uint32_t always = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                                   FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
                                   FUSE_PARALLEL_DIROPS | FUSE_AUTO_INVAL_DATA | FUSE_MAX_PAGES;
    const struct fuse_init_in *want = in;
    uint32_t flags = always;
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION};

    if (want->major < FUSE_KERNEL_VERSION)
        return -EPROTO;
    fuse_reset(r->f);
    if (want->major > FUSE_KERNEL_VERSION) /* it asks again, in our version */
        return reply(r, &out, sizeof(out));
    if (want->minor < MINOR_LEAST)
        return -EPROTO;
    if (r->f->config.cache == FUSE_CACHE_ALWAYS)
        flags |= FUSE_CACHE_SYMLINKS;
    out.minor = min(want->minor, out.minor);
    out.max_readahead = want->max_readahead;
    out.flags = want->flags & flags;
    out.max_background = BACKGROUND;
    out.congestion_threshold = BACKGROUND * 3 / 4;
    out.max_write = FUSE_WRITE_MOST;
    out.max_pages = FUSE_WRITE_MOST / PAGE;
    out.time_gran = 1;
    r->f->started = true;
    return reply(r, &out, sizeof(out));
}

static int op_destroy(struct request *r, const void *in)
{
    (void)in;
    fuse_reset(r->f);
    return 0;
}

/* ---- the table ---- */

enum {
    CHANGES = 1, /* refused where the share is read-only */
    SILENT = 2,  /* has no answer */
    NO_NODE = 4, /* h.nodeid means nothing */
    IN_DIR = 8,  /* the node must be a directory */
};

static int op_forget(struct request *r, const void *in)
{
    const struct fuse_forget_in *forget = in;

    node_forget(r->f, r->node, forget->nlookup);
    return 0;
}

static int op_batch_forget(struct request *r, const void *in)
{
    const struct fuse_batch_forget_in *batch = in;
    struct fuse_forget_one one;

    for (uint32_t i = 0; i < batch->count && r->args_len >= sizeof(one); i++) {
        memcpy(&one, r->args, sizeof(one));
        r->args += sizeof(one);
        r->args_len -= sizeof(one);
        struct node *n = node_find(r->f, one.nodeid);
        if (n)
            node_forget(r->f, n, one.nlookup);
    }
    return 0;
}

/* Nothing here takes long but the disk's own work, which cannot be interrupted. */
static int op_interrupt(struct request *r, const void *in)
{
    (void)r, (void)in;
    return 0;
}

static const struct operation {
    fuse_op *fn;
    unsigned short in, out; /* bytes: fixed arguments, the least room for the answer's body */
    unsigned flags;
} operations[] = {
    [FUSE_LOOKUP] = {op_lookup, 0, sizeof(struct fuse_entry_out), IN_DIR},
    [FUSE_FORGET] = {op_forget, sizeof(struct fuse_forget_in), 0, SILENT},
    [FUSE_GETATTR] = {op_getattr, sizeof(struct fuse_getattr_in), sizeof(struct fuse_attr_out), 0},
    [FUSE_SETATTR] = {op_setattr, sizeof(struct fuse_setattr_in), sizeof(struct fuse_attr_out),
                      CHANGES},
    [FUSE_READLINK] = {op_readlink, 0, 0, 0},
    [FUSE_SYMLINK] = {op_symlink, 0, sizeof(struct fuse_entry_out), CHANGES | IN_DIR},
    [FUSE_MKNOD] = {op_mknod, sizeof(struct fuse_mknod_in), sizeof(struct fuse_entry_out),
                    CHANGES | IN_DIR},
    [FUSE_MKDIR] = {op_mkdir, sizeof(struct fuse_mkdir_in), sizeof(struct fuse_entry_out),
                    CHANGES | IN_DIR},
    [FUSE_UNLINK] = {op_unlink, 0, 0, CHANGES | IN_DIR},
    [FUSE_RMDIR] = {op_rmdir, 0, 0, CHANGES | IN_DIR},
    [FUSE_RENAME] = {op_rename, sizeof(struct fuse_rename_in), 0, CHANGES | IN_DIR},
    [FUSE_LINK] = {op_link, sizeof(struct fuse_link_in), sizeof(struct fuse_entry_out),
                   CHANGES | IN_DIR},
    [FUSE_OPEN] = {op_open, sizeof(struct fuse_open_in), sizeof(struct fuse_open_out), 0},
    [FUSE_READ] = {op_read, sizeof(struct fuse_read_in), 0, 0},
    [FUSE_WRITE] = {op_write, sizeof(struct fuse_write_in), sizeof(struct fuse_write_out), CHANGES},
    [FUSE_STATFS] = {op_statfs, 0, sizeof(struct fuse_statfs_out), 0},
    [FUSE_RELEASE] = {op_release, sizeof(struct fuse_release_in), 0, NO_NODE},
    [FUSE_FSYNC] = {op_fsync, sizeof(struct fuse_fsync_in), 0, 0},
    [FUSE_SETXATTR] = {op_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, 0, CHANGES},
    [FUSE_GETXATTR] = {op_getxattr, sizeof(struct fuse_getxattr_in), 0, 0},
    [FUSE_LISTXATTR] = {op_listxattr, sizeof(struct fuse_getxattr_in), 0, 0},
    [FUSE_REMOVEXATTR] = {op_removexattr, 0, 0, CHANGES},
    [FUSE_FLUSH] = {op_flush, sizeof(struct fuse_flush_in), 0, 0},
    [FUSE_INIT] = {op_init, INIT_LEAST, sizeof(struct fuse_init_out), NO_NODE},
    [FUSE_OPENDIR] = {op_opendir, sizeof(struct fuse_open_in), sizeof(struct fuse_open_out),
                      IN_DIR},
    [FUSE_READDIR] = {op_readdir, sizeof(struct fuse_read_in), 0, IN_DIR},
    [FUSE_RELEASEDIR] = {op_release, sizeof(struct fuse_release_in), 0, NO_NODE},
    [FUSE_FSYNCDIR] = {op_fsync, sizeof(struct fuse_fsync_in), 0, 0},
    [FUSE_ACCESS] = {op_access, sizeof(struct fuse_access_in), 0, 0},
    [FUSE_CREATE] = {op_create, sizeof(struct fuse_create_in),
                     sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out),
                     CHANGES | IN_DIR},
    [FUSE_INTERRUPT] = {op_interrupt, sizeof(struct fuse_interrupt_in), 0, SILENT | NO_NODE},
    [FUSE_DESTROY] = {op_destroy, 0, 0, NO_NODE},
    [FUSE_BATCH_FORGET] = {op_batch_forget, sizeof(struct fuse_batch_forget_in), 0,
                           SILENT | NO_NODE},
    [FUSE_FALLOCATE] = {op_fallocate, sizeof(struct fuse_fallocate_in), 0, CHANGES},
    [FUSE_READDIRPLUS] = {op_readdirplus, sizeof(struct fuse_read_in), 0, IN_DIR},
    [FUSE_RENAME2] = {op_rename2, sizeof(struct fuse_rename2_in), 0, CHANGES | IN_DIR},
    [FUSE_LSEEK] = {op_lseek, sizeof(struct fuse_lseek_in), sizeof(struct fuse_lseek_out), 0},
    [FUSE_COPY_FILE_RANGE] = {op_copy_file_range, sizeof(struct fuse_copy_file_range_in),
                              sizeof(struct fuse_write_out), CHANGES},
};

/* ---- a request ---- */

const char *request_string(struct request *r)
{
    char *s = r->args, *end = memchr(s, '\0', r->args_len);

    if (!end)
        return NULL;
    r->args_len -= (size_t)(end + 1 - s);
    r->args = end + 1;
    return s;
}

int request_name(struct request *r, const char **name)
{
    const char *s = request_string(r);

    if (!s || !*s || strchr(s, '/') || str_eq(s, ".") || str_eq(s, ".."))
        return -EINVAL;
    *name = s;
    return strlen(s) > NAME_MAX ? -ENAMETOOLONG : 0;
}

int reply(struct request *r, const void *data, size_t len)
{
    return chain_write(r->c, data, len) == len ? 0 : -ERANGE;
}

/* Take the arguments out of the chain. WRITE's data stays where it is. */
static int take_args(struct request *r, const struct operation *op, const void **in)
{
    struct fuse *f = r->f;
    size_t n = r->h.len - sizeof(r->h), data = 0;

    if (r->h.len < sizeof(r->h) || n > chain_readable(r->c) || n < op->in)
        return -EINVAL;
    if (op->fn == op_write) {
        data = n - op->in;
        n = op->in;
    }
    if (n > FUSE_ARGS_MOST)
        return -E2BIG;
    chain_read(r->c, f->args, n);
    *in = f->args;
    r->args = f->args + op->in;
    r->args_len = data ? data : n - op->in;
    return 0;
}

/* Is it a request that can be served, to something that is there? */
static int prepare(struct request *r, const struct operation *op, const void **in)
{
    int rc = take_args(r, op, in);

    if (rc < 0)
        return rc;
    if (r->room < op->out)
        return -EINVAL;
    if (!r->f->started && op->fn != op_init)
        return -EIO;
    if ((op->flags & CHANGES) && r->f->config.readonly)
        return -EROFS;
    if (op->flags & NO_NODE)
        return 0;
    r->node = node_find(r->f, r->h.nodeid);
    if (!r->node)
        return -ESTALE;
    if ((op->flags & IN_DIR) && r->node->type != S_IFDIR)
        return -ENOTDIR;
    return (op->flags & CHANGES) && r->node->hidden ? -EACCES : 0;
}

static int serve(struct request *r, const struct operation *op)
{
    const void *in;
    int rc;

    if (!op || !op->fn)
        return -ENOSYS;
    rc = prepare(r, op, &in);
    if (rc < 0)
        return rc;
    if (!r->node)
        return op->fn(r, in);
    node_hold(r->node);
    rc = op->fn(r, in);
    node_drop(r->f, r->node);
    return rc;
}

/* Set the next len writable bytes aside. */
static unsigned set_aside(struct chain *c, size_t len, struct iovec *out)
{
    unsigned n = 0;

    while (len) {
        size_t piece = min(len, c->out->iov_len);
        if (piece)
            out[n++] = (struct iovec){c->out->iov_base, piece};
        if (!piece) { /* an empty buffer: it is skipped with what follows */
            c->out++;
            c->out_count--;
            continue;
        }
        chain_wrote(c, piece);
        len -= piece;
    }
    return n;
}

bool fuse_serve(struct fuse *f, struct chain *c)
{
    struct request r = {.f = f, .c = c};
    struct iovec head[sizeof(struct fuse_out_header)];
    const struct operation *op = NULL;
    unsigned pieces;

    if (chain_read(c, &r.h, sizeof(r.h)) < sizeof(r.h))
        return false;
    if (r.h.opcode < ARRAY_SIZE(operations))
        op = &operations[r.h.opcode];
    if (op && (op->flags & SILENT)) {
        serve(&r, op);
        return true;
    }
    if (chain_writable(c) < sizeof(struct fuse_out_header))
        return false;
    pieces = set_aside(c, sizeof(struct fuse_out_header), head);
    r.room = chain_writable(c);
    size_t before = c->written;
    int rc = serve(&r, op);
    if (rc < 0)
        c->written = before;
    struct fuse_out_header out = {.len = (uint32_t)(sizeof(out) + c->written - before),
                                  .error = rc < 0 ? rc : 0,
                                  .unique = r.h.unique};
    const char *from = (const char *)&out;
    for (unsigned i = 0; i < pieces; from += head[i++].iov_len)
        memcpy(head[i].iov_base, from, head[i].iov_len);
    return true;
}

/* ---- life ---- */

void fuse_reset(struct fuse *f)
{
    handles_reset(f);
    nodes_reset(f);
    f->started = false;
}

/* The process's mask, which there is no other way to ask for without changing it. */
static mode_t current_umask(void)
{
    mode_t mask = umask(077);

    umask(mask);
    return mask;
}

struct fuse *fuse_create(const struct fuse_config *config, struct error *err)
{
    struct fuse *f = xcalloc(1, sizeof(*f));

    f->config = *config;
    f->config.path = NULL;
    f->config.hidden = NULL;
    f->umask = current_umask();
    f->root.fd = -1;
    if (!f->config.nodes)
        f->config.nodes = NODES_DEFAULT;
    unsigned open = max(config->descriptors ? config->descriptors : OPEN_DEFAULT, OPEN_LEAST);
    f->most_open = open * 3 / 4;
    cleanup_close int root = openat(AT_FDCWD, config->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    f->proc = openat(AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (f->proc < 0)
        error_set(err, errno, "open /proc/self/fd");
    else if (root < 0)
        error_set(err, errno, "open directory '%s'", config->path);
    if (root < 0 || f->proc < 0 || handles_create(f, open / 4) < 0 ||
        nodes_create(f, steal_fd(root), config->hidden, err) < 0) {
        fuse_destroy(f);
        return NULL;
    }
    return f;
}

void fuse_destroy(struct fuse *f)
{
    if (!f)
        return;
    handles_destroy(f);
    nodes_destroy(f);
    cleanup_close_fn(&f->proc);
    free(f);
}

void fuse_descriptors(const struct fuse *f, int *root, int *open)
{
    *root = f->root.fd;
    *open = f->proc;
}

bool fuse_writable(const struct fuse *f)
{
    return !f->config.readonly;
}

bool fuse_mounted(const struct fuse *f)
{
    return f->started;
}

struct fuse_count fuse_count(const struct fuse *f)
{
    return (struct fuse_count){f->node_used, f->handle_used, f->open_nodes};
}
