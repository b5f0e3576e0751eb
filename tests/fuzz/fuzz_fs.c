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

static int dir_fd = -1;
static struct fuse_config config;
static bool first; /* request of a guest */

static void write_at(const char *name, const char *text)
{
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* A folder with a bit of everything, and a file beside it that nobody may touch. */
static void make_tree(void)
{
    static char *path;

    if (dir_fd < 0) {
        dir_fd = fuzz_dir();
        path = xasprintf("%s/top", fuzz_dir_path);
    }
    tree_remove_at(dir_fd, "top", NULL);
    write_at("secret", "secret");
    must(mkdirat(dir_fd, "top", 0755) == 0 && mkdirat(dir_fd, "top/d", 0755) == 0);
    write_at("top/f", "contents of a file");
    write_at("top/d/g", "");
    must(symlinkat("../secret", dir_fd, "top/l") == 0);
    config.path = path;
}

static void check_secret(void)
{
    char text[16] = "";
    int fd = openat(dir_fd, "secret", O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && read(fd, text, sizeof text) == 6 && !memcmp(text, "secret", 6));
    close(fd);
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
    config.nodes = 40;
    config.descriptors = 64;
    return fs_add(&b->virtio, "fuzz", &config, NULL);
}

/* Node ids are generation and index: small numbers of both. */
static uint64_t some_node(struct feed *f)
{
    if (feed_rarely(f, 12))
        return feed_u64(f);
    return (uint64_t)(feed_rarely(f, 3) ? feed_below(f, 4) : 0) << 32 | (1 + feed_below(f, 6));
}

static uint64_t some_handle(struct feed *f)
{
    if (feed_rarely(f, 12))
        return feed_u64(f);
    return (uint64_t)(feed_rarely(f, 3) ? feed_below(f, 4) : 0) << 32 | feed_below(f, 4);
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
    static const char *const names[] = {"f", "d", "g", "l", "n", "x", "..", ".", "", "a/b"};
    char *wild = feed_rarely(f, 16) ? feed_string(f, 300) : NULL;
    const char *name = wild ? wild : names[feed_below(f, feed_rarely(f, 6) ? 10 : 6)];
    size_t n = strlen(name) + !feed_rarely(f, 30);

    memcpy(to, name, strlen(name) + 1);
    free(wild);
    return n;
}

/* The fixed arguments of each operation, as numbers of 4 (w) or 8 bytes: n a node, h a handle,
 * o an offset or size, m a mode, f flags; then s: names, x: an attribute, b: bytes. */
static const struct {
    uint32_t opcode;
    const char *form;
} forms[] = {
    {FUSE_LOOKUP, "s"},        {FUSE_LOOKUP, "s"},
    {FUSE_GETATTR, "w0h"},     {FUSE_SETATTR, "v0hoooooowwwm0ww0"},
    {FUSE_READLINK, ""},       {FUSE_SYMLINK, "ss"},
    {FUSE_MKNOD, "mwww s"},    {FUSE_MKDIR, "mws"},
    {FUSE_UNLINK, "s"},        {FUSE_RMDIR, "s"},
    {FUSE_RENAME, "nss"},      {FUSE_LINK, "ns"},
    {FUSE_OPEN, "fw"},         {FUSE_READ, "hofwoww"},
    {FUSE_WRITE, "hozwowwb"},  {FUSE_STATFS, ""},
    {FUSE_RELEASE, "hwwo"},    {FUSE_FSYNC, "hww"},
    {FUSE_SETXATTR, "zfxb"},   {FUSE_GETXATTR, "wwx"},
    {FUSE_LISTXATTR, "ww"},    {FUSE_REMOVEXATTR, "x"},
    {FUSE_FLUSH, "hwwo"},      {FUSE_OPENDIR, "fw"},
    {FUSE_READDIR, "hezwoww"}, {FUSE_READDIRPLUS, "hezwoww"},
    {FUSE_FSYNCDIR, "hww"},    {FUSE_ACCESS, "ww"},
    {FUSE_CREATE, "fmwws"},    {FUSE_CREATE, "fmwws"},
    {FUSE_FALLOCATE, "hzzww"}, {FUSE_RENAME2, "nwws"},
    {FUSE_LSEEK, "how w"},     {FUSE_COPY_FILE_RANGE, "hzznhzzz0z0"},
    {FUSE_FORGET, "e"},        {FUSE_BATCH_FORGET, "wwnene"},
    {FUSE_INIT, "ijww"},       {FUSE_DESTROY, ""},
    {FUSE_IOCTL, "hwwww"},
};

#define FORM_INIT 0

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
        wide = some_handle(f);
        break;
    case 'o':
        wide = some_number(f);
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
    if (strchr("nhoe", what)) {
        memcpy(to, &wide, 8);
        return 8;
    }
    memcpy(to, &word, 4);
    return 4;
}

static unsigned request(struct feed *f, struct driver *d, unsigned queue, struct seg *segs)
{
    unsigned which = first ? FORM_INIT : feed_below(f, sizeof forms / sizeof forms[0]), n = 0;
    char args[4096];
    size_t len = 0;

    (void)queue;
    first = false;
    for (const char *p = forms[which].form; *p; p++)
        len += put(f, *p, args + len);
    if (feed_rarely(f, 20))
        len = feed_below(f, len + 1);
    struct fuse_in_header h = {
        .len = (uint32_t)(sizeof h + len),
        .opcode = feed_rarely(f, 40) ? feed_byte(f) : forms[which].opcode,
        .nodeid = some_node(f),
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
    return n;
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
                                        .event = event};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rlimit limit = {1 << 20, 1 << 20}; /* files that the guest makes large */

    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int rc = virtio_fuzz(&fuzz, data, size);
    check_secret();
    return rc;
}
