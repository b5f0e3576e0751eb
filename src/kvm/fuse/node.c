/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes: the host's files that the guest knows, see fuse.h.
 *
 *     id = generation, index ──► nodes[index] ◄── bucket of (device, inode)
 *                                  │ parent, name      how to open it again
 *                                  └ fd                while it is among the last used
 *
 * A node lives as long as the guest was told of it more often than it forgot, or something here
 * uses it. An id has a generation, so one that was forgotten is not another file's.
 *
 * The parent is what a lookup found last. Whoever moves directories about on the host can turn
 * parents into a ring; a node whose new parent lies below itself keeps the old one.
 */
#include "kvm/fuse/private.h"

#include <errno.h>
#include <fnmatch.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/util.h"

#define BUCKETS_FIRST 1024u
#define REOPEN_MOST   256u /* directories above a node that are opened again for it */

int open_beneath(int dir, const char *name, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };
    long fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

/* ---- ids and buckets ---- */

uint64_t node_id(const struct node *n)
{
    return (uint64_t)n->generation << 32 | (n->index + 1);
}

struct node *node_find(struct fuse *f, uint64_t id)
{
    uint32_t index = (uint32_t)id - 1;

    if (index >= f->node_count)
        return NULL;
    struct node *n = f->nodes[index];
    return n->generation == id >> 32 && (n == &f->root || n->lookups) ? n : NULL;
}

static struct node **bucket_of(struct fuse *f, uint64_t dev, uint64_t ino)
{
    uint64_t h = (ino ^ dev << 40 ^ dev >> 24) * 0x9e3779b97f4a7c15ull;

    return &f->buckets[(h >> 32) & (f->bucket_count - 1)];
}

static struct node *find_inode(struct fuse *f, uint64_t dev, uint64_t ino)
{
    struct node *n = *bucket_of(f, dev, ino);

    while (n && (n->ino != ino || n->dev != dev))
        n = n->next;
    return n;
}

static void put_into_bucket(struct fuse *f, struct node *n)
{
    struct node **b = bucket_of(f, n->dev, n->ino);

    n->next = *b;
    *b = n;
}

static void take_out_of_bucket(struct fuse *f, struct node *n)
{
    struct node **b = bucket_of(f, n->dev, n->ino);

    while (*b && *b != n)
        b = &(*b)->next;
    if (*b)
        *b = n->next;
}

static void grow_buckets(struct fuse *f)
{
    unsigned count = f->bucket_count ? 2 * f->bucket_count : BUCKETS_FIRST;

    if (f->bucket_count > f->node_used)
        return;
    free(f->buckets);
    f->buckets = xcalloc(count, sizeof(*f->buckets));
    f->bucket_count = count;
    for (unsigned i = 0; i < f->node_count; i++)
        if (f->nodes[i] == &f->root || f->nodes[i]->lookups || f->nodes[i]->uses)
            put_into_bucket(f, f->nodes[i]);
}

/* ---- descriptors ---- */

static void unlist(struct fuse *f, struct node *n)
{
    if (n->newer)
        n->newer->older = n->older;
    else if (f->newest == n)
        f->newest = n->older;
    if (n->older)
        n->older->newer = n->newer;
    else if (f->oldest == n)
        f->oldest = n->newer;
    n->newer = n->older = NULL;
}

static void list_newest(struct fuse *f, struct node *n)
{
    n->older = f->newest;
    n->newer = NULL;
    if (f->newest)
        f->newest->newer = n;
    f->newest = n;
    if (!f->oldest)
        f->oldest = n;
}

static void close_node(struct fuse *f, struct node *n)
{
    if (n->fd < 0)
        return;
    if (!n->pinned)
        unlist(f, n);
    close(n->fd);
    n->fd = -1;
    f->open_nodes--;
}

/* Room for one more open node. -ENFILE: all that are open have to stay. */
static int make_room(struct fuse *f)
{
    while (f->open_nodes >= f->most_open) {
        if (!f->oldest)
            return -ENFILE;
        close_node(f, f->oldest);
    }
    return 0;
}

static void give_fd(struct fuse *f, struct node *n, int fd)
{
    n->fd = fd;
    f->open_nodes++;
    if (!n->pinned)
        list_newest(f, n);
}

/* Open a node again whose parent is open. */
static int reopen(struct fuse *f, struct node *n)
{
    struct stat st;
    int rc = make_room(f);

    if (rc < 0)
        return rc;
    if (n->parent->fd < 0) /* it was what had to go */
        return -ENFILE;
    cleanup_close int fd = open_beneath(n->parent->fd, n->name, O_PATH, 0);
    if (fd < 0)
        return fd == -ENOENT ? -ESTALE : fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_dev != n->dev || st.st_ino != n->ino || (st.st_mode & S_IFMT) != n->type)
        return -ESTALE;
    give_fd(f, n, steal_fd(fd));
    return 0;
}

int node_fd(struct fuse *f, struct node *n)
{
    if (n->fd >= 0) {
        if (n != &f->root && !n->pinned && f->newest != n) {
            unlist(f, n);
            list_newest(f, n);
        }
        return n->fd;
    }
    for (unsigned i = 0; n->fd < 0 && i < REOPEN_MOST; i++) {
        struct node *top = n;
        for (unsigned up = 0; top->parent && top->parent->fd < 0; up++) {
            if (up == REOPEN_MOST)
                return -ESTALE;
            top = top->parent;
        }
        if (!top->parent)
            return -ESTALE;
        int rc = reopen(f, top);
        if (rc < 0)
            return rc;
    }
    return n->fd >= 0 ? n->fd : -ESTALE;
}

/* ---- life of a node ---- */

/* One that is empty, or NULL: there are too many. */
static struct node *new_node(struct fuse *f)
{
    struct node *n = f->free_nodes;

    if (n) {
        f->free_nodes = n->next;
    } else {
        if (f->node_count >= f->config.nodes)
            return NULL;
        if (f->node_count == f->node_room) {
            f->node_room = f->node_room ? 2 * f->node_room : 256;
            f->nodes = xrealloc(f->nodes, f->node_room, sizeof(struct node *));
        }
        n = xcalloc(1, sizeof(*n));
        n->index = f->node_count;
        f->nodes[f->node_count++] = n;
    }
    *n = (struct node){.index = n->index, .generation = n->generation, .fd = -1};
    f->node_used++;
    return n;
}

/* Nobody knows it any more; nor, perhaps, its parents. */
static void release(struct fuse *f, struct node *n)
{
    while (n && n != &f->root && !n->lookups && !n->uses) {
        struct node *parent = n->parent;
        take_out_of_bucket(f, n);
        close_node(f, n);
        free(n->name);
        n->name = NULL;
        n->parent = NULL;
        n->generation++;
        n->next = f->free_nodes;
        f->free_nodes = n;
        f->node_used--;
        if (parent)
            parent->uses--;
        n = parent;
    }
}

void node_forget(struct fuse *f, struct node *n, uint64_t times)
{
    n->lookups -= min(n->lookups, times);
    release(f, n);
}

void node_hold(struct node *n)
{
    n->uses++;
}

void node_drop(struct fuse *f, struct node *n)
{
    n->uses--;
    release(f, n);
}

/* Does n lie below `above`, or is it that? */
static bool is_below(const struct node *n, const struct node *above)
{
    while (n && n != above)
        n = n->parent;
    return n != NULL;
}

/* It is found there now. */
static void place(struct fuse *f, struct node *n, struct node *parent, const char *name)
{
    struct node *old = n->parent;

    if (n == &f->root || (old == parent && str_eq(n->name, name)))
        return;
    if (old != parent) {
        if (is_below(parent, n))
            return;
        n->parent = parent;
        node_hold(parent);
        if (old)
            node_drop(f, old);
    }
    free(n->name);
    n->name = xstrdup(name);
    if (n->pinned && n->fd >= 0) {
        n->pinned = false;
        list_newest(f, n);
    }
}

/* ---- what is hidden ---- */

bool node_hides(const struct fuse *f, const struct node *parent, const char *name)
{
    for (unsigned i = 0; i < f->hidden_count; i++) {
        const struct hidden *h = &f->hidden[i];
        if (h->parent_ino == parent->ino && h->parent_dev == parent->dev &&
            fnmatch(h->pattern, name, 0) == 0)
            return true;
    }
    return false;
}

static bool is_hidden(const struct fuse *f, const struct node *parent, const char *name,
                      const struct stat *st)
{
    if (!S_ISDIR(st->st_mode) && !S_ISREG(st->st_mode))
        return false;
    for (unsigned i = 0; i < f->hidden_count; i++)
        if (f->hidden[i].ino == st->st_ino && f->hidden[i].dev == st->st_dev)
            return true;
    return node_hides(f, parent, name);
}

/* What a path of the configuration stands for, as far as that is there. */
static void hide(struct fuse *f, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat dir, st = {0};

    if (!slash || !slash[1])
        return;
    cleanup_free char *above = xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (stat(above, &dir) < 0)
        return;
    if (strpbrk(slash, "*?[") || stat(path, &st) < 0 ||
        (st.st_ino == f->root.ino && st.st_dev == f->root.dev))
        st.st_ino = 0;
    f->hidden = xrealloc(f->hidden, f->hidden_count + 1, sizeof(*f->hidden));
    f->hidden[f->hidden_count++] = (struct hidden){
        .parent_dev = dir.st_dev,
        .parent_ino = dir.st_ino,
        .pattern = xstrdup(slash + 1),
        .dev = st.st_dev,
        .ino = st.st_ino,
    };
}

/* ---- finding ---- */

int node_take(struct fuse *f, struct node *parent, const char *name, int fd, struct stat *st,
              struct node **out)
{
    cleanup_close int mine = fd;

    if (fstat(fd, st) < 0)
        return -errno;
    struct node *n = find_inode(f, st->st_dev, st->st_ino);
    if (n && n->type != (st->st_mode & S_IFMT)) { /* another one that got its number */
        take_out_of_bucket(f, n);
        n->ino = 0;
        n = NULL;
    }
    if (!n) {
        int rc = make_room(f);
        if (rc < 0)
            return rc;
        n = new_node(f);
        if (!n)
            return -ENFILE;
        grow_buckets(f);
        n->dev = st->st_dev;
        n->ino = st->st_ino;
        n->type = st->st_mode & S_IFMT;
        put_into_bucket(f, n);
    }
    n->hidden |= n != &f->root && is_hidden(f, parent, name, st);
    n->lookups++;
    if (n->fd < 0 && make_room(f) == 0)
        give_fd(f, n, steal_fd(mine));
    place(f, n, parent, name);
    *out = n;
    return 0;
}

int node_lookup(struct fuse *f, struct node *parent, const char *name, struct stat *st,
                struct node **out)
{
    int dir = parent->hidden ? -ENOENT : node_fd(f, parent);
    int fd = dir < 0 ? dir : open_beneath(dir, name, O_PATH, 0);

    return fd < 0 ? fd : node_take(f, parent, name, fd, st, out);
}

/* The node that a name stands for, if the guest knows it. */
static struct node *known(struct fuse *f, struct node *parent, const char *name)
{
    struct stat st;
    int dir = node_fd(f, parent);

    if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return NULL;
    return find_inode(f, st.st_dev, st.st_ino);
}

void node_unname(struct fuse *f, struct node *parent, const char *name)
{
    struct node *n = known(f, parent, name);

    if (!n || n == &f->root || n->pinned || n->parent != parent || !str_eq(n->name, name))
        return;
    if (node_fd(f, n) < 0)
        return;
    unlist(f, n);
    n->pinned = true;
}

void node_renamed(struct fuse *f, struct node *parent, const char *name)
{
    struct node *n = known(f, parent, name);

    if (n)
        place(f, n, parent, name);
}

int node_open(struct fuse *f, struct node *n, int flags)
{
    int fd = node_fd(f, n);
    char number[12];

    if (fd < 0)
        return fd;
    if (n->type == S_IFDIR)
        fd = openat(fd, ".", flags | O_DIRECTORY | O_CLOEXEC);
    else if (n->type != S_IFREG)
        return n->type == S_IFLNK ? -ELOOP : -ENXIO;
    else {
        snprintf(number, sizeof(number), "%d", fd);
        fd = openat(f->proc, number, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    }
    return fd < 0 ? -errno : fd;
}

/* ---- life ---- */

int nodes_create(struct fuse *f, int root, char *const *hidden, struct error *err)
{
    struct stat st;

    f->root.fd = root;
    if (fstat(root, &st) < 0)
        return error_set(err, errno, "look at the shared directory");
    f->root.dev = st.st_dev;
    f->root.ino = st.st_ino;
    f->root.type = S_IFDIR;
    for (size_t i = 0; hidden && hidden[i]; i++)
        hide(f, hidden[i]);
    f->node_room = 256;
    f->nodes = xcalloc(f->node_room, sizeof(struct node *));
    f->nodes[f->node_count++] = &f->root;
    f->node_used = 1;
    grow_buckets(f);
    return 0;
}

void nodes_reset(struct fuse *f)
{
    for (unsigned i = 1; i < f->node_count; i++) {
        struct node *n = f->nodes[i];
        bool alive = n->lookups || n->uses;
        if (n->fd >= 0)
            close(n->fd);
        free(n->name);
        *n = (struct node){.index = n->index, .generation = n->generation + alive, .fd = -1};
        n->next = i > 1 ? f->nodes[i - 1] : NULL;
    }
    f->free_nodes = f->node_count > 1 ? f->nodes[f->node_count - 1] : NULL;
    f->newest = f->oldest = NULL;
    f->open_nodes = 0;
    f->node_used = 1;
    f->root.uses = 0;
    f->root.next = NULL;
    memset(f->buckets, 0, f->bucket_count * sizeof(struct node *));
    put_into_bucket(f, &f->root);
}

void nodes_destroy(struct fuse *f)
{
    if (f->nodes) {
        nodes_reset(f);
        for (unsigned i = 1; i < f->node_count; i++)
            free(f->nodes[i]);
    }
    for (unsigned i = 0; i < f->hidden_count; i++)
        free(f->hidden[i].pattern);
    free(f->hidden);
    free(f->nodes);
    free(f->buckets);
    cleanup_close_fn(&f->root.fd);
}
