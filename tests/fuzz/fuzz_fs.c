/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * FUSE requests to a shared folder, mostly valid: names and nodes that are there, handles that are
 * open, and numbers beside them. What is outside of the folder stays as it is.
 */
#include "fuzz/virtio.h"

#include <linux/fuse.h>
#include <linux/virtio_fs.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "fuzz/dir.h"
#include "kvm/fuse/fuse.h"
#include "kvm/virtio/fs.h"

#define TREE_MOST 64 /* names that may be made before the folder is made anew */

#define KNOWN 8 /* nodes and open files that the guest remembers */

static int dir_fd = -1;
static struct fuse_config config;
static bool first; /* request of a guest */

/* What the answers told. */
static struct known {
    uint64_t id, node; /* of an open file: whose it is */
} nodes[KNOWN], files[KNOWN], dirs[KNOWN];
static unsigned told;

/* Requests whose answers tell something, by their tags. */
static struct asked {
    uint32_t opcode;
    uint64_t node;
    const struct fuse_out_header *head;
    const void *body;
} asked[64];
static unsigned next_asked;

/* For the request that is made: whose node it is. */
static uint64_t chosen;

static void write_at(const char *name, const char *text)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* A folder with a bit of everything, and a file beside it that nobody may touch. */
static void make_tree(void)
{
    static char *path, *hidden[2];

    if (dir_fd < 0) {
        dir_fd = fuzz_dir();
        path = xasprintf("%s/top", fuzz_dir_path);
        hidden[0] = xasprintf("%s/top/h", fuzz_dir_path);
    }
    tree_remove_at(dir_fd, "top", NULL);
    write_at("secret", "secret");
    must(mkdirat(dir_fd, "top", 0755) == 0 && mkdirat(dir_fd, "top/d", 0755) == 0);
    write_at("top/f", "contents of a file");
    write_at("top/d/g", "");
    write_at("top/h", "hidden");
    must(symlinkat("../secret", dir_fd, "top/l") == 0);
    config.path = path;
    config.hidden = hidden;
}

static void check_file(const char *name, const char *wanted)
{
    char text[16] = "";
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && read(fd, text, sizeof text) == 6 && !memcmp(text, wanted, 6));
    close(fd);
}

/* What is beside the folder is as it was, and what the guest must not see. */
static void check_secret(void)
{
    check_file("secret", "secret");
    check_file("top/h", "hidden");
    must(faccessat(dir_fd, "x", F_OK, AT_SYMLINK_NOFOLLOW) < 0);
    must(faccessat(dir_fd, "n", F_OK, AT_SYMLINK_NOFOLLOW) < 0);
}

static int add(struct board *b)
{
    static unsigned runs;

    if (runs++ % TREE_MOST == 0)
        make_tree();
    check_secret();
    first = true;
    memset(nodes, 0, sizeof nodes);
    memset(files, 0, sizeof files);
    memset(dirs, 0, sizeof dirs);
    config.nodes = 40;
    config.descriptors = 64;
    return fs_add(&b->virtio, "fuzz", &config, NULL);
}

/* One that it was told of; else generation and index, small numbers of both, or any number. */
static uint64_t some_node(struct feed *f)
{
    if (feed_rarely(f, 24))
        return feed_u64(f);
    if (feed_rarely(f, 8))
        return (uint64_t)(feed_rarely(f, 3) ? feed_below(f, 4) : 0) << 32 | (1 + feed_below(f, 6));
    uint64_t id = feed_pick(f, nodes).id;
    return id ? id : FUSE_ROOT_ID;
}

static uint64_t some_handle(struct feed *f, bool dir)
{
    if (feed_rarely(f, 24))
        return feed_u64(f);
    if (feed_rarely(f, 8))
        return (uint64_t)(feed_rarely(f, 3) ? feed_below(f, 4) : 0) << 32 | feed_below(f, 4);
    const struct known *from = dir ? dirs : files, *k = &from[feed_below(f, KNOWN)];
    if (!k->node) /* the first there is, if there is one */
        for (unsigned i = 0; i < KNOWN && !k->node; i++)
            k = &from[i];
    chosen = k->node ? k->node : chosen;
    return k->id;
}

static void learn(struct known *of, uint64_t id, uint64_t node)
{
    of[told++ % KNOWN] = (struct known){id, node};
}

/* An answer came. */
static void done(unsigned tag)
{
    const struct asked *a = &asked[tag - 1];
    const struct fuse_entry_out *entry = a->body;
    const struct fuse_open_out *open = a->body;

    if (a->head->error || a->head->len < sizeof *a->head + sizeof *open)
        return;
    if (a->opcode == FUSE_OPEN || a->opcode == FUSE_OPENDIR) {
        learn(a->opcode == FUSE_OPEN ? files : dirs, open->fh, a->node);
    } else if (a->head->len >= sizeof *a->head + sizeof *entry) {
        learn(nodes, entry->nodeid, 0);
        if (a->opcode == FUSE_CREATE)
            learn(files, ((const struct fuse_open_out *)(entry + 1))->fh, entry->nodeid);
    }
}

static uint64_t some_number(struct feed *f)
{
    static const uint64_t numbers[] = {0,         1,         4096,       100,
                                       INT64_MAX, INT32_MAX, UINT64_MAX, UINT32_MAX};

    return feed_rarely(f, 8) ? feed_u64(f) : feed_pick(f, numbers) + feed_below(f, 2);
}

/* Names with their NULs. */
static size_t put_name(struct feed *f, char *to)
{
    static const char *const names[] = {"f", "d", "g",  "l", "n", "x",
                                        "h", "p", "..", ".", "",  "a/b"};
    char *wild = feed_rarely(f, 16) ? feed_string(f, 300) : NULL;
    const char *name = wild ? wild : names[feed_below(f, feed_rarely(f, 6) ? 12 : 8)];
    size_t n = strlen(name) + !feed_rarely(f, 30);

    memcpy(to, name, strlen(name) + 1);
    free(wild);
    return n;
}

/* The fixed arguments of each operation, as numbers of 4 (w) or 8 bytes: n a node, h a handle,
 * D one of a directory, o and q an offset or size, y a size, m a mode, k one of few, f flags; then
 * s: names, x: an attribute, b: bytes. */
static const struct {
    uint32_t opcode;
    const char *form;
} forms[] = {
    {FUSE_INIT, "ijww"},
    {FUSE_LOOKUP, "s"},
    {FUSE_GETATTR, "w0h"},
    {FUSE_SETATTR, "v0hqoooowwwm0ww0"},
    {FUSE_READLINK, ""},
    {FUSE_SYMLINK, "ss"},
    {FUSE_MKNOD, "mwww s"},
    {FUSE_MKDIR, "mws"},
    {FUSE_UNLINK, "s"},
    {FUSE_RMDIR, "s"},
    {FUSE_RENAME, "nss"},
    {FUSE_LINK, "ns"},
    {FUSE_OPEN, "fw"},
    {FUSE_READ, "hqywoww"},
    {FUSE_WRITE, "hqzwowwb"},
    {FUSE_WRITE, "hqzwowwb"},
    {FUSE_STATFS, ""},
    {FUSE_RELEASE, "hwwo"},
    {FUSE_FSYNC, "hww"},
    {FUSE_SETXATTR, "zfxb"},
    {FUSE_GETXATTR, "ywx"},
    {FUSE_LISTXATTR, "yw"},
    {FUSE_REMOVEXATTR, "x"},
    {FUSE_FLUSH, "hwwo"},
    {FUSE_OPENDIR, "fw"},
    {FUSE_READDIR, "Deywoww"},
    {FUSE_READDIRPLUS, "Deywoww"},
    {FUSE_FSYNCDIR, "hww"},
    {FUSE_ACCESS, "ww"},
    {FUSE_CREATE, "fmwws"},
    {FUSE_CREATE, "fmwws"},
    {FUSE_FALLOCATE, "hqqkw"},
    {FUSE_RENAME2, "nkwss"},
    {FUSE_LSEEK, "hqkw"},
    {FUSE_COPY_FILE_RANGE, "hqnhqqww"},
    {FUSE_FORGET, "e"},
    {FUSE_BATCH_FORGET, "kwnene"},
    {FUSE_LOOKUP, "s"},
    {FUSE_DESTROY, ""},
    {FUSE_IOCTL, "hwwww"},
    {FUSE_RELEASEDIR, "hwwo"},
    {FUSE_INTERRUPT, "o"},
};

#define FORM_INIT 0 /* without which there is nothing but errors, also after a reset */

static size_t put(struct feed *f, char what, char *to)
{
    static const uint32_t flags[] = {0,        1,     2, 3, O_CREAT, O_TRUNC | 1, O_APPEND | 2,
                                     O_DIRECT, O_EXCL};
    static const uint32_t modes[] = {0100644, 0644, 0755, 04755, 020666, 060666, 010666, 0140666};
    static const char *const attrs[] = {"user.a", "user.", "trusted.a", "security.capability", ""};
    uint64_t wide = 0;
    uint32_t word = 0;

    switch (what) {
    case 'n':
        wide = some_node(f);
        break;
    case 'h':
        wide = some_handle(f, feed_rarely(f, 8));
        break;
    case 'o':
        wide = some_number(f);
        break;
    case 'D':
        wide = some_handle(f, true);
        break;
    case 'q':
        wide = feed_rarely(f, 8) ? some_number(f) : feed_below(f, 6000);
        break;
    case 'e':
        wide = feed_below(f, 4);
        break;
    case 'f':
        word = feed_pick(f, flags);
        break;
    case 'm':
        word = feed_pick(f, modes);
        break;
    case 'v':
        word = feed_below(f, 1 << 12);
        break;
    case 'k':
        word = feed_below(f, 6);
        break;
    case 'y':
        word = feed_rarely(f, 8) ? (uint32_t)some_number(f) : feed_below(f, 512);
        break;
    case 'z':
        word = feed_rarely(f, 8) ? (uint32_t)some_number(f) : feed_below(f, 200);
        break;
    case 'i':
        word = feed_rarely(f, 8) ? feed_byte(f) : 7;
        break;
    case 'j':
        word = feed_rarely(f, 8) ? feed_byte(f) : 31;
        break;
    case 'w':
        word = feed_rarely(f, 3) ? (uint32_t)some_number(f) : 0;
        break;
    case 'x':
        return strlen(strcpy(to, feed_pick(f, attrs))) + 1;
    case 's':
        return put_name(f, to);
    case 'b':
        return feed_bytes(f, to, 200);
    case ' ':
        return 0;
    default:
        break;
    }
    if (strchr("nhoeDq", what)) {
        memcpy(to, &wide, 8);
        return 8;
    }
    memcpy(to, &word, 4);
    return 4;
}

static unsigned request(struct feed *f, struct driver *d, unsigned queue, struct seg *segs)
{
    bool init = first || feed_rarely(f, 16);
    unsigned which = init ? FORM_INIT : feed_below(f, sizeof forms / sizeof forms[0]), n = 0;
    _Alignas(8) char args[4096];
    size_t len = 0;

    (void)queue;
    first = false;
    chosen = 0;
    for (const char *p = forms[which].form; *p; p++)
        len += put(f, *p, args + len);
    if (forms[which].opcode == FUSE_SETXATTR && feed_below(f, 8))
        *(uint32_t *)args = (uint32_t)(len - 8 - strlen(args + 8) - 1);
    if (forms[which].opcode == FUSE_WRITE && feed_below(f, 8))
        ((struct fuse_write_in *)args)->size = (uint32_t)(len - sizeof(struct fuse_write_in));
    if (feed_rarely(f, 20))
        len = feed_below(f, len + 1);
    struct fuse_in_header h = {
        .len = (uint32_t)(sizeof h + len),
        .opcode = feed_rarely(f, 40) ? feed_byte(f) : forms[which].opcode,
        .nodeid = chosen && feed_below(f, 8) ? chosen : some_node(f),
    };
    if (feed_rarely(f, 20))
        h.len = (uint32_t)some_number(f);
    size_t cut = feed_rarely(f, 6) ? feed_below(f, len + 1) : 0;
    segs[n++] = driver_bytes(d, &h, sizeof h);
    if (cut)
        segs[n++] = driver_bytes(d, args, (uint32_t)cut);
    if (len > cut)
        segs[n++] = driver_bytes(d, args + cut, (uint32_t)(len - cut));
    if (feed_rarely(f, 30))
        return n;
    segs[n++] = driver_buffer(d, feed_rarely(f, 12) ? feed_below(f, 20) : 16, true);
    segs[n++] = driver_buffer(d, feed_rarely(f, 8) ? feed_below(f, 300) : 512, true);
    static const uint32_t telling[] = {FUSE_LOOKUP, FUSE_MKNOD, FUSE_MKDIR,   FUSE_SYMLINK,
                                       FUSE_LINK,   FUSE_OPEN,  FUSE_OPENDIR, FUSE_CREATE};
    for (size_t i = 0; i < ARRAY_SIZE(telling); i++)
        if (h.opcode == telling[i] && segs[n - 2].len == 16 && segs[n - 1].len >= 256 &&
            segs[n - 2].host && segs[n - 1].host) {
            asked[next_asked] =
                (struct asked){h.opcode, h.nodeid, segs[n - 2].host, segs[n - 1].host};
            fuzz_tag = ++next_asked;
            next_asked %= ARRAY_SIZE(asked);
            break;
        }
    return n;
}

static bool answered; /* all that was asked so */

/* A request by itself, with at most 64 bytes of arguments: its answer's body, or NULL. */
static const void *ask(struct driver *d, uint32_t opcode, uint64_t node, const void *args,
                       uint32_t len)
{
    struct fuse_in_header h = {.len = (uint32_t)sizeof h + len, .opcode = opcode, .nodeid = node};
    struct seg segs[] = {driver_bytes(d, &h, sizeof h), driver_bytes(d, args, len),
                         driver_buffer(d, sizeof(struct fuse_out_header), true),
                         driver_buffer(d, 256, true)};
    const struct fuse_out_header *head = segs[2].host;

    if (!answered || !segs[3].host)
        return NULL;
    answered = driver_request(d, 1, segs, 4) >= (long)sizeof *head;
    return answered && !head->error ? segs[3].host : NULL;
}

/* Mount it, look around, open a file and a directory. */
static bool begin(struct feed *f, struct driver *d)
{
    const struct fuse_init_in init = {.major = 7, .minor = 31, .max_readahead = 4096};
    const struct fuse_open_in rw = {.flags = O_RDWR}, ro = {.flags = O_RDONLY};
    const struct fuse_entry_out *entry;
    const struct fuse_open_out *open;

    memset(nodes, 0, sizeof nodes);
    memset(files, 0, sizeof files);
    memset(dirs, 0, sizeof dirs);
    first = feed_rarely(f, 8);
    answered = true;
    if (first || d->queues[1].size < 4)
        return true;
    ask(d, FUSE_INIT, 0, &init, sizeof init);
    if ((entry = ask(d, FUSE_LOOKUP, FUSE_ROOT_ID, "f", 2))) {
        uint64_t id = entry->nodeid;
        learn(nodes, id, 0);
        if ((open = ask(d, FUSE_OPEN, id, &rw, sizeof rw)))
            learn(files, open->fh, id);
    }
    if ((entry = ask(d, FUSE_LOOKUP, FUSE_ROOT_ID, "d", 2)))
        learn(nodes, entry->nodeid, 0);
    if ((open = ask(d, FUSE_OPENDIR, FUSE_ROOT_ID, &ro, sizeof ro)))
        learn(dirs, open->fh, FUSE_ROOT_ID);
    return answered;
}

/* The folder changes under the guest. */
static void event(struct feed *f, struct board *b)
{
    (void)b;
    switch (feed_below(f, 4)) {
    case 0:
        renameat(dir_fd, "top/f", dir_fd, "top/n");
        break;
    case 1:
        renameat(dir_fd, "top/d", dir_fd, "top/x");
        break;
    case 2:
        unlinkat(dir_fd, "top/d", 0);
        if (symlinkat("..", dir_fd, "top/d") < 0)
            break;
        break;
    case 3:
        unlinkat(dir_fd, "top/d/g", 0);
        break;
    }
}

static const struct virtio_fuzz fuzz = {.add = add,
                                        .queues = 2,
                                        .config = sizeof(struct virtio_fs_config),
                                        .request = request,
                                        .event = event,
                                        .done = done,
                                        .begin = begin,
                                        .prompt = true};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rlimit limit = {1 << 20, 1 << 20}; /* files that the guest makes large */

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    const uint8_t how = size ? data[0] : 0;
    config.readonly = (how & 7) == 7;
    config.setid = how & 8;
    config.identity = how & 16;
    config.cache = (enum fuse_cache)((how >> 5) % 3);
    int rc = virtio_fuzz(&fuzz, data + (size > 0), size - (size > 0));
    check_secret();
    return rc;
}
