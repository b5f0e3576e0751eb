/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * timeout: 120 s
 *
 * A shared folder as a guest's kernel sees it, and as a hostile one does: FUSE requests through the
 * virtio device, against a directory of the test's own.
 */
#include "wires.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/virtio_fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"
#include "device/driver.h"
#include "kvm/confine.h"
#include "kvm/fuse/fuse.h"
#include "kvm/virtio/fs.h"
#include "scratch.h"

#define HIPRIO  0
#define REQUEST 1
#define ROOT    FUSE_ROOT_ID
#define SIZE    64
#define ROOM    4096

static struct board board;
static struct driver drv;
static uint64_t free_from;          /* guest memory behind the rings */
static uint32_t from_uid, from_gid; /* who asks, in the guest */
static int lie;                     /* added to the length that a request says it has */

/* ---- asking ---- */

/* A request: the size of the answer's body, or its error. */
static long ask(uint32_t opcode, uint64_t node, const void *in, size_t in_len, const void *more,
                size_t more_len, void *out, size_t room)
{
    struct fuse_in_header h = {
        .len = (uint32_t)((int)(sizeof(h) + in_len + more_len) + lie),
        .opcode = opcode,
        .unique = 0x1234567890,
        .nodeid = node,
        .uid = from_uid,
        .gid = from_gid,
    };
    struct fuse_out_header answer;
    struct seg s[5];
    unsigned n = 0;

    board.next = free_from;
    s[n++] = driver_bytes(&drv, &h, sizeof(h));
    if (in_len)
        s[n++] = driver_bytes(&drv, in, (uint32_t)in_len);
    if (more_len)
        s[n++] = driver_bytes(&drv, more, (uint32_t)more_len);
    s[n++] = driver_buffer(&drv, sizeof(answer), true);
    if (room)
        s[n++] = driver_buffer(&drv, (uint32_t)room, true);
    long len = driver_request(&drv, REQUEST, s, n);
    if (len < (long)sizeof(answer))
        fail_msg("operation %u was not answered", opcode);
    memcpy(&answer, s[n - (room ? 2 : 1)].host, sizeof(answer));
    assert_int_equal(answer.unique, h.unique);
    assert_int_equal(answer.len, len);
    if (out && room)
        memcpy(out, s[n - 1].host, room);
    if (answer.error)
        assert_int_equal(len, sizeof(answer));
    return answer.error ? answer.error : len - (long)sizeof(answer);
}

/* The same without an answer. */
static void tell(uint32_t opcode, uint64_t node, const void *in, size_t in_len)
{
    struct fuse_in_header h = {.len = (uint32_t)(sizeof(h) + in_len),
                               .opcode = opcode,
                               .nodeid = node};
    struct seg s[2];

    board.next = free_from;
    s[0] = driver_bytes(&drv, &h, sizeof(h));
    s[1] = driver_bytes(&drv, in, (uint32_t)in_len);
    assert_int_equal(driver_request(&drv, HIPRIO, s, 2), 0);
}

static long ask_name(uint32_t opcode, uint64_t node, const char *name, void *out, size_t room)
{
    return ask(opcode, node, NULL, 0, name, strlen(name) + 1, out, room);
}

static long lookup(uint64_t dir, const char *name, struct fuse_entry_out *e)
{
    return ask_name(FUSE_LOOKUP, dir, name, e, sizeof(*e));
}

/* The node of what must be there. */
static uint64_t node(uint64_t dir, const char *name)
{
    struct fuse_entry_out e;

    assert_int_equal(lookup(dir, name, &e), sizeof(e));
    assert_true(e.nodeid != 0);
    return e.nodeid;
}

static long open_file(uint64_t n, uint32_t flags, uint64_t *fh)
{
    struct fuse_open_in in = {.flags = flags};
    struct fuse_open_out out = {0};
    long rc = ask(FUSE_OPEN, n, &in, sizeof(in), NULL, 0, &out, sizeof(out));

    *fh = out.fh;
    return rc;
}

static long read_file(uint64_t n, uint64_t fh, uint64_t offset, void *to, uint32_t size)
{
    struct fuse_read_in in = {.fh = fh, .offset = offset, .size = size};

    return ask(FUSE_READ, n, &in, sizeof(in), NULL, 0, to, size);
}

static long write_file(uint64_t n, uint64_t fh, uint64_t offset, const void *from, uint32_t size)
{
    struct fuse_write_in in = {.fh = fh, .offset = offset, .size = size};
    struct fuse_write_out out;
    long rc = ask(FUSE_WRITE, n, &in, sizeof(in), from, size, &out, sizeof(out));

    return rc < 0 ? rc : (long)out.size;
}

static long release(uint64_t fh)
{
    struct fuse_release_in in = {.fh = fh};

    return ask(FUSE_RELEASE, 0, &in, sizeof(in), NULL, 0, NULL, 0);
}

static void forget(uint64_t n, uint64_t times)
{
    struct fuse_forget_in in = {.nlookup = times};

    tell(FUSE_FORGET, n, &in, sizeof(in));
}

static long create(uint64_t dir, const char *name, uint32_t flags, uint32_t mode, uint64_t *n,
                   uint64_t *fh)
{
    struct fuse_create_in in = {.flags = flags, .mode = S_IFREG | mode};
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out = {0};
    long rc = ask(FUSE_CREATE, dir, &in, sizeof(in), name, strlen(name) + 1, &out, sizeof(out));

    *n = out.entry.nodeid;
    *fh = out.open.fh;
    return rc;
}

static long setattr(uint64_t n, struct fuse_setattr_in in, struct fuse_attr *attr)
{
    struct fuse_attr_out out = {0};
    long rc = ask(FUSE_SETATTR, n, &in, sizeof(in), NULL, 0, &out, sizeof(out));

    if (attr)
        *attr = out.attr;
    return rc;
}

static long init(uint32_t major, uint32_t minor, struct fuse_init_out *out)
{
    struct fuse_init_in in = {.major = major,
                              .minor = minor,
                              .max_readahead = 65536,
                              .flags = UINT32_MAX};

    return ask(FUSE_INIT, 0, &in, sizeof(in), NULL, 0, out, sizeof(*out));
}

/* ---- the board ---- */

/* A directory to share and a secret beside it; the working directory is above both. */
static int make_tree(void **state)
{
    if (scratch_make(state) < 0 || mkdir("top", 0755) < 0 || mkdir("top/sub", 0755) < 0)
        return -1;
    scratch_write("secret", "not yours\n");
    scratch_write("top/file", "hello, guest\n");
    scratch_write("top/sub/deep", "deep\n");
    chmod("top/file", 0644);
    return symlink("../secret", "top/out") < 0 || symlink("/", "top/slash") < 0 ||
                   symlink("sub", "top/in") < 0
               ? -1
               : 0;
}

/* Not zeroed: the server runs in a thread of its own that is confined as a VM's is. */
static struct confinement filters;

static void begin(struct fuse_config config)
{
    struct fuse_init_out out;
    struct error err;

    from_uid = from_gid = 0;
    lie = 0;
    if (!config.path)
        config.path = "top";
    assert_int_equal(board_init(&board, filters.folders), 0);
    if (filters.folders)
        board.workers->confinement = &filters;
    if (fs_add(&board.virtio, "data", &config, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(board_start(&board), 0);
    assert_true(driver_probe(&drv, &board, 1));
    assert_true(driver_start(&drv, DRIVER_ALL, 2, SIZE));
    free_from = board.next;
    assert_int_equal(init(FUSE_KERNEL_VERSION, FUSE_KERNEL_MINOR_VERSION, &out), sizeof(out));
}

static struct fuse_count count(void)
{
    return fuse_count(board.virtio.devices[0]->state);
}

static int open_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void end(void)
{
    board_destroy(&board);
}

/* ---- the device ---- */

static void assert_text(const char *file, const char *text)
{
    cleanup_free char *is = scratch_read(file);
    assert_string_equal(is, text);
}

static void test_device(void **state)
{
    struct virtio_fs_config config;

    (void)state;
    begin((struct fuse_config){0});
    assert_int_equal(config_read(&board, 1, 0, 4), (0x1040 + 26) << 16 | 0x1af4);
    for (unsigned i = 0; i < sizeof(config); i++)
        ((uint8_t *)&config)[i] = (uint8_t)mmio_read(&board, drv.device + i, 1);
    assert_memory_equal(config.tag, "data\0\0\0\0", 8); /* 5.11.4: padded with NULs */
    assert_int_equal(config.num_request_queues, 1);
    assert_int_equal(driver_get(&drv, VIRTIO_PCI_COMMON_NUMQ, 2), 2);
    end();
}

static void test_init(void **state)
{
    struct fuse_init_out out;
    struct fuse_entry_out e;

    (void)state;
    begin((struct fuse_config){0});
    uint64_t file = node(ROOT, "file");
    assert_int_equal(init(6, 40, &out), -EPROTO);
    assert_int_equal(init(7, 8, &out), -EPROTO);
    assert_int_equal(init(8, 0, &out), sizeof(out)); /* it may try again with ours */
    assert_int_equal(out.major, 7);
    assert_int_equal(lookup(ROOT, "file", &e), -EIO); /* not yet */
    assert_int_equal(init(7, 99, &out), sizeof(out));
    assert_int_equal(out.minor, FUSE_KERNEL_MINOR_VERSION);
    assert_int_equal(out.max_write, 1 << 20);
    assert_int_equal(out.max_pages, 256);
    assert_true(out.flags & FUSE_MAX_PAGES);
    assert_false(out.flags & (FUSE_POSIX_ACL | FUSE_WRITEBACK_CACHE | FUSE_MAP_ALIGNMENT));
    /* what was before is forgotten */
    assert_int_equal(ask(FUSE_READLINK, file, NULL, 0, NULL, 0, NULL, 64), -ESTALE);
    assert_int_equal(ask(FUSE_DESTROY, 0, NULL, 0, NULL, 0, NULL, 0), 0);
    assert_int_equal(lookup(ROOT, "file", &e), -EIO);
    end();
}

/* ---- what is right ---- */

static void test_read(void **state)
{
    struct fuse_entry_out e;
    char text[64] = "";
    uint64_t fh;

    (void)state;
    begin((struct fuse_config){.uid = 7, .gid = 8});
    assert_int_equal(lookup(ROOT, "file", &e), sizeof(e));
    assert_int_equal(e.attr.mode, S_IFREG | 0644);
    assert_int_equal(e.attr.size, 13);
    assert_int_equal(e.attr.uid, 7);
    assert_int_equal(e.attr.gid, 8);
    assert_int_equal(e.entry_valid, 1);
    assert_int_equal(open_file(e.nodeid, O_RDONLY, &fh), sizeof(struct fuse_open_out));
    assert_int_equal(read_file(e.nodeid, fh, 0, text, 64), 13);
    assert_memory_equal(text, "hello, guest\n", 13);
    assert_int_equal(read_file(e.nodeid, fh, 7, text, 3), 3);
    assert_memory_equal(text, "gue", 3);
    assert_int_equal(read_file(e.nodeid, fh, 13, text, 64), 0);
    assert_int_equal(read_file(e.nodeid, fh, UINT64_MAX, text, 64), -EINVAL);
    assert_int_equal(write_file(e.nodeid, fh, 0, "x", 1), -EBADF); /* opened for reading */
    assert_int_equal(read_file(node(ROOT, "sub"), fh, 0, text, 64), -EBADF);
    assert_int_equal(release(fh), 0);
    assert_int_equal(release(fh), -EBADF);
    assert_int_equal(read_file(e.nodeid, fh, 0, text, 64), -EBADF);
    assert_int_equal(lookup(ROOT, "none", &e), -ENOENT);
    assert_int_equal(node(node(ROOT, "sub"), "deep") != 0, 1);
    assert_int_equal(lookup(node(ROOT, "file"), "x", &e), -ENOTDIR);
    end();
}

static void test_write(void **state)
{
    uint64_t n, fh;
    struct fuse_attr attr;
    struct stat st;

    (void)state;
    begin((struct fuse_config){0});
    assert_true(create(ROOT, "new", O_RDWR, 0666, &n, &fh) > 0);
    assert_int_equal(stat("top/new", &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0666); /* the guest's mask counts, not the host's */
    assert_int_equal(write_file(n, fh, 0, "0123456789", 10), 10);
    assert_int_equal(write_file(n, fh, 3, "xyz", 3), 3);
    assert_text("top/new", "012xyz6789");
    assert_int_equal(write_file(n, fh, UINT64_MAX - 1, "xyz", 3), -EINVAL);
    struct fuse_fsync_in sync = {.fh = fh};
    assert_int_equal(ask(FUSE_FSYNC, n, &sync, sizeof(sync), NULL, 0, NULL, 0), 0);
    struct fuse_flush_in flush = {.fh = fh};
    assert_int_equal(ask(FUSE_FLUSH, n, &flush, sizeof(flush), NULL, 0, NULL, 0), 0);
    struct fuse_fallocate_in more = {.fh = fh, .offset = 0, .length = 100};
    assert_int_equal(ask(FUSE_FALLOCATE, n, &more, sizeof(more), NULL, 0, NULL, 0), 0);
    assert_true(setattr(n, (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = 4}, &attr) > 0);
    assert_int_equal(attr.size, 4);
    assert_text("top/new", "012x");
    assert_true(setattr(n, (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = 0600}, &attr) > 0);
    assert_int_equal(attr.mode, S_IFREG | 0600);
    assert_true(setattr(n, (struct fuse_setattr_in){.valid = FATTR_MTIME, .mtime = 99}, &attr) > 0);
    assert_int_equal(attr.mtime, 99);
    /* without O_EXCL, what is there is opened */
    assert_true(create(ROOT, "file", O_WRONLY | O_TRUNC, 0600, &n, &fh) > 0);
    assert_text("top/file", "");
    assert_int_equal(create(ROOT, "file", O_WRONLY | O_EXCL, 0600, &n, &fh), -EEXIST);
    assert_int_equal(create(ROOT, "sub", O_WRONLY, 0600, &n, &fh), -EISDIR);
    end();
}

static void test_names(void **state)
{
    struct fuse_mkdir_in dir = {.mode = 0755};
    struct fuse_entry_out e;
    char link[64] = "";

    (void)state;
    begin((struct fuse_config){0});
    assert_int_equal(ask(FUSE_MKDIR, ROOT, &dir, sizeof(dir), "d", 2, &e, sizeof(e)), sizeof(e));
    assert_int_equal(access("top/d", X_OK), 0);
    uint64_t d = e.nodeid;
    assert_int_equal(ask(FUSE_SYMLINK, d, NULL, 0, "l\0../file", 10, &e, sizeof(e)), sizeof(e));
    assert_int_equal(ask(FUSE_READLINK, e.nodeid, NULL, 0, NULL, 0, link, sizeof(link)), 7);
    assert_string_equal(link, "../file");
    struct fuse_link_in from = {.oldnodeid = node(ROOT, "file")};
    assert_int_equal(ask(FUSE_LINK, d, &from, sizeof(from), "hard", 5, &e, sizeof(e)), sizeof(e));
    assert_int_equal(e.attr.nlink, 2);
    assert_int_equal(e.nodeid, from.oldnodeid);
    struct fuse_rename_in to = {.newdir = d};
    assert_int_equal(ask(FUSE_RENAME, ROOT, &to, sizeof(to), "file\0moved", 11, NULL, 0), 0);
    assert_int_equal(access("top/d/moved", R_OK), 0);
    struct fuse_rename2_in keep = {.newdir = ROOT, .flags = RENAME_NOREPLACE};
    assert_int_equal(ask(FUSE_RENAME2, d, &keep, sizeof(keep), "moved\0sub", 10, NULL, 0), -EEXIST);
    keep.flags = RENAME_WHITEOUT; /* would make a device node */
    assert_int_equal(ask(FUSE_RENAME2, d, &keep, sizeof(keep), "moved\0x", 8, NULL, 0), -EINVAL);
    assert_int_equal(ask_name(FUSE_RMDIR, ROOT, "d", NULL, 0), -ENOTEMPTY);
    assert_int_equal(ask_name(FUSE_UNLINK, d, "l", NULL, 0), 0);
    assert_int_equal(ask_name(FUSE_UNLINK, d, "hard", NULL, 0), 0);
    assert_int_equal(ask_name(FUSE_UNLINK, d, "moved", NULL, 0), 0);
    assert_int_equal(ask_name(FUSE_RMDIR, ROOT, "d", NULL, 0), 0);
    assert_int_equal(access("top/d", F_OK), -1);
    end();
}

/* What is removed while it is open, or known, can still be read. */
static void test_unlinked(void **state)
{
    struct fuse_getattr_in in = {0};
    struct fuse_attr_out out;
    char text[16] = "";
    uint64_t fh;

    (void)state;
    begin((struct fuse_config){0});
    uint64_t n = node(ROOT, "file");
    assert_true(open_file(n, O_RDONLY, &fh) > 0);
    assert_int_equal(ask_name(FUSE_UNLINK, ROOT, "file", NULL, 0), 0);
    assert_int_equal(read_file(n, fh, 0, text, 5), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(ask(FUSE_GETATTR, n, &in, sizeof(in), NULL, 0, &out, sizeof(out)),
                     sizeof(out));
    assert_int_equal(out.attr.nlink, 0);
    release(fh);
    forget(n, 1);
    assert_int_equal(count().nodes, 1);
    assert_int_equal(count().descriptors, 0);
    end();
}

/* Both ways to list: every name once, and with READDIRPLUS a node for each but the dots. */
static void list(uint32_t opcode, uint32_t room)
{
    struct fuse_open_in in = {0};
    struct fuse_open_out dir;
    char seen[256] = " ";
    uint64_t offset = 0;
    char buffer[4096];

    assert_true(ask(FUSE_OPENDIR, ROOT, &in, sizeof(in), NULL, 0, &dir, sizeof(dir)) > 0);
    for (int turn = 0; turn < 100; turn++) {
        struct fuse_read_in more = {.fh = dir.fh, .offset = offset, .size = room};
        long n = ask(opcode, ROOT, &more, sizeof(more), NULL, 0, buffer, room);
        assert_true(n >= 0);
        if (n == 0)
            break;
        for (long at = 0; at < n;) {
            bool plus = opcode == FUSE_READDIRPLUS;
            const struct fuse_direntplus *p = (void *)(buffer + at);
            const struct fuse_dirent *d = plus ? &p->dirent : (void *)(buffer + at);
            char name[64];
            snprintf(name, sizeof(name), " %.*s ", (int)d->namelen, d->name);
            assert_null(strstr(seen, name));
            strcat(seen, name + 1);
            if (plus)
                assert_int_equal(p->entry_out.nodeid == 0, name[1] == '.');
            if (plus && p->entry_out.nodeid)
                forget(p->entry_out.nodeid, 1);
            offset = d->off;
            at += (long)(plus ? FUSE_DIRENTPLUS_SIZE(p) : FUSE_DIRENT_SIZE(d));
        }
    }
    for (const char *const *name = (const char *const[]){" . ", " .. ", " file ", " sub ", " out ",
                                                         " slash ", " in ", NULL};
         *name; name++)
        assert_non_null(strstr(seen, *name));
    struct fuse_release_in bye = {.fh = dir.fh};
    assert_int_equal(ask(FUSE_RELEASEDIR, 0, &bye, sizeof(bye), NULL, 0, NULL, 0), 0);
    assert_int_equal(count().nodes, 1);
}

static void test_list(void **state)
{
    (void)state;
    begin((struct fuse_config){0});
    list(FUSE_READDIR, 4096);
    list(FUSE_READDIR, 64); /* one or two at a time */
    list(FUSE_READDIRPLUS, 4096);
    list(FUSE_READDIRPLUS, 400);
    struct fuse_open_in in = {0};
    struct fuse_open_out dir;
    assert_true(ask(FUSE_OPENDIR, ROOT, &in, sizeof(in), NULL, 0, &dir, sizeof(dir)) > 0);
    struct fuse_read_in wrong = {.fh = dir.fh, .size = 10};
    assert_int_equal(ask(FUSE_READDIR, ROOT, &wrong, sizeof(wrong), NULL, 0, NULL, 10), -EINVAL);
    wrong = (struct fuse_read_in){.fh = dir.fh, .offset = UINT64_MAX, .size = 512};
    assert_int_equal(ask(FUSE_READDIR, ROOT, &wrong, sizeof(wrong), NULL, 0, NULL, 512), -EINVAL);
    end();
}

static void test_xattr(void **state)
{
    struct {
        uint32_t size, flags;
    } set = {.size = 5};
    struct fuse_getxattr_in get = {.size = 64};
    char out[64] = "";

    (void)state;
    if (setxattr("top/file", "user.test", "x", 1, 0) < 0) {
        print_message("the file system of the tests has no user.*: skipped\n");
        skip();
    }
    begin((struct fuse_config){0});
    uint64_t n = node(ROOT, "file");
    assert_int_equal(ask(FUSE_SETXATTR, n, &set, 8, "user.a\0value", 12, NULL, 0), 0);
    assert_int_equal(ask(FUSE_GETXATTR, n, &get, 8, "user.a", 7, out, sizeof(out)), 5);
    assert_memory_equal(out, "value", 5);
    assert_int_equal(ask(FUSE_LISTXATTR, n, &get, 8, NULL, 0, out, sizeof(out)), 17);
    get.size = 3;
    assert_int_equal(ask(FUSE_GETXATTR, n, &get, 8, "user.a", 7, out, sizeof(out)), -ERANGE);
    get.size = 0;
    assert_int_equal(ask(FUSE_GETXATTR, n, &get, 8, "user.a", 7, out, sizeof(out)), 8);
    assert_int_equal(ask_name(FUSE_REMOVEXATTR, n, "user.a", NULL, 0), 0);
    /* everything that means something to the host is out of reach */
    assert_int_equal(ask(FUSE_SETXATTR, n, &set, 8, "trusted.a\0value", 15, NULL, 0), -EOPNOTSUPP);
    assert_int_equal(ask(FUSE_SETXATTR, n, &set, 8, "security.capability\0value", 25, NULL, 0),
                     -EOPNOTSUPP);
    set.size = 1000; /* more than it sent */
    assert_int_equal(ask(FUSE_SETXATTR, n, &set, 8, "user.a\0value", 12, NULL, 0), -EINVAL);
    set.size = UINT32_MAX;
    assert_int_equal(ask(FUSE_SETXATTR, n, &set, 8, "user.a\0value", 12, NULL, 0), -E2BIG);
    end();
}

/* ---- what is confined ---- */

static void test_escape(void **state)
{
    static const char *const names[] = {"..", ".", "", "../secret", "sub/deep", "/etc/passwd", "/"};
    struct fuse_entry_out e;
    uint64_t n, fh;

    (void)state;
    begin((struct fuse_config){0});
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        assert_int_equal(lookup(ROOT, names[i], &e), -EINVAL);
        assert_int_equal(create(ROOT, names[i], O_WRONLY, 0600, &n, &fh), -EINVAL);
        assert_int_equal(ask_name(FUSE_UNLINK, ROOT, names[i], NULL, 0), -EINVAL);
    }
    /* links are told, not followed */
    assert_int_equal(lookup(ROOT, "out", &e), sizeof(e));
    assert_true(S_ISLNK(e.attr.mode));
    assert_int_equal(open_file(e.nodeid, O_RDONLY, &fh), -ELOOP);
    assert_int_equal(lookup(node(ROOT, "slash"), "etc", &e), -ENOTDIR);
    assert_int_equal(lookup(node(ROOT, "in"), "deep", &e), -ENOTDIR);
    assert_int_equal(create(ROOT, "out", O_WRONLY | O_TRUNC, 0600, &n, &fh), -ELOOP);
    assert_int_equal(setattr(node(ROOT, "out"),
                             (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = 0}, NULL),
                     -EINVAL);
    assert_text("secret", "not yours\n");
    /* nor when the host's side puts one where the guest knows a directory */
    uint64_t sub = node(ROOT, "sub");
    assert_int_equal(rename("top/sub", "top/was"), 0);
    assert_int_equal(symlink("..", "top/sub"), 0);
    assert_int_equal(lookup(sub, "secret", &e), -ENOENT);
    assert_int_equal(lookup(sub, "deep", &e), sizeof(e)); /* it is what it was */
    /* a name must end where it says */
    assert_int_equal(ask(FUSE_LOOKUP, ROOT, NULL, 0, "file", 4, &e, sizeof(e)), -EINVAL);
    char *longer = calloc(1, 301);
    memset(longer, 'x', 300);
    assert_int_equal(lookup(ROOT, longer, &e), -ENAMETOOLONG);
    free(longer);
    end();
}

/* Device nodes, fifos and sockets: shown, never opened; devices never made. */
static void test_special(void **state)
{
    struct fuse_mknod_in in = {.mode = S_IFCHR | 0666, .rdev = makedev(1, 3)};
    struct fuse_entry_out e;
    uint64_t n, fh;

    (void)state;
    bool nodes = mknod("top/null", S_IFCHR | 0666, makedev(1, 3)) == 0;
    assert_int_equal(mkfifo("top/fifo", 0666), 0);
    begin((struct fuse_config){0});
    assert_int_equal(ask(FUSE_MKNOD, ROOT, &in, sizeof(in), "c", 2, &e, sizeof(e)), -EPERM);
    in.mode = S_IFBLK | 0666;
    assert_int_equal(ask(FUSE_MKNOD, ROOT, &in, sizeof(in), "c", 2, &e, sizeof(e)), -EPERM);
    in.mode = 0666;
    assert_int_equal(ask(FUSE_MKNOD, ROOT, &in, sizeof(in), "c", 2, &e, sizeof(e)), -EPERM);
    in.mode = S_IFIFO | 0666;
    assert_int_equal(ask(FUSE_MKNOD, ROOT, &in, sizeof(in), "p", 2, &e, sizeof(e)), sizeof(e));
    assert_int_equal(open_file(node(ROOT, "fifo"), O_RDONLY, &fh), -ENXIO);
    assert_int_equal(create(ROOT, "fifo", O_WRONLY, 0600, &n, &fh), -ENXIO);
    if (nodes) {
        assert_int_equal(lookup(ROOT, "null", &e), sizeof(e));
        assert_int_equal(e.attr.rdev, 0); /* the guest would open its own */
        assert_int_equal(open_file(e.nodeid, O_RDONLY, &fh), -ENXIO);
        assert_int_equal(create(ROOT, "null", O_WRONLY, 0600, &n, &fh), -ENXIO);
    }
    end();
}

static void test_set_id(void **state)
{
    struct fuse_attr attr;
    uint64_t n, fh;

    (void)state;
    begin((struct fuse_config){0});
    n = node(ROOT, "file");
    assert_int_equal(setattr(n, (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = 04755},
                             &attr),
                     -EPERM);
    assert_int_equal(create(ROOT, "suid", O_RDWR, 04755, &n, &fh), -EPERM);
    assert_int_equal(access("top/suid", F_OK), -1);
    end();
    begin((struct fuse_config){.setid = true});
    assert_true(create(ROOT, "suid", O_RDWR, 04755, &n, &fh) > 0);
    n = node(ROOT, "suid");
    assert_true(setattr(n, (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = 06755}, &attr) >
                0);
    assert_int_equal(attr.mode, S_IFREG | 06755);
    end();
}

static void test_readonly(void **state)
{
    struct fuse_mkdir_in dir = {.mode = 0755};
    struct fuse_rename_in to = {.newdir = ROOT};
    struct fuse_entry_out e;
    uint64_t n, fh;

    (void)state;
    begin((struct fuse_config){.readonly = true});
    uint64_t file = node(ROOT, "file");
    assert_true(open_file(file, O_RDONLY, &fh) > 0);
    assert_int_equal(write_file(file, fh, 0, "x", 1), -EROFS);
    assert_int_equal(open_file(file, O_WRONLY, &fh), -EROFS);
    assert_int_equal(open_file(file, O_RDONLY | O_TRUNC, &fh), -EROFS);
    assert_int_equal(create(ROOT, "new", O_RDONLY, 0600, &n, &fh), -EROFS);
    assert_int_equal(ask(FUSE_MKDIR, ROOT, &dir, sizeof(dir), "d", 2, &e, sizeof(e)), -EROFS);
    assert_int_equal(ask_name(FUSE_UNLINK, ROOT, "file", NULL, 0), -EROFS);
    assert_int_equal(ask(FUSE_RENAME, ROOT, &to, sizeof(to), "file\0x", 7, NULL, 0), -EROFS);
    assert_int_equal(setattr(file, (struct fuse_setattr_in){.valid = FATTR_MODE}, NULL), -EROFS);
    assert_text("top/file", "hello, guest\n");
    end();
}

static void test_hidden(void **state)
{
    char *const hidden[] = {xasprintf("%s/top/sub", (char *)*state),
                            xasprintf("%s/top/key*", (char *)*state),
                            xasprintf("%s/top/none", (char *)*state),
                            xasprintf("%s/top/in", (char *)*state), NULL};
    struct fuse_open_in in = {0};
    struct fuse_open_out dir;
    struct fuse_entry_out e;
    char text[64];
    uint64_t fh, n;

    scratch_write("top/key1", "secret\n");
    begin((struct fuse_config){.hidden = hidden});
    /* A directory that is empty, a file that is; also under the names they get later. */
    uint64_t sub = node(ROOT, "sub");
    assert_int_equal(lookup(sub, "deep", &e), -ENOENT);
    assert_true(ask(FUSE_OPENDIR, sub, &in, sizeof(in), NULL, 0, &dir, sizeof(dir)) > 0);
    struct fuse_read_in more = {.fh = dir.fh, .size = 512};
    assert_int_equal(ask(FUSE_READDIR, sub, &more, sizeof(more), NULL, 0, text, 64), 0);
    assert_int_equal(create(sub, "new", O_RDWR, 0600, &n, &fh), -EACCES);
    assert_int_equal(lookup(ROOT, "key1", &e), sizeof(e));
    assert_int_equal(e.attr.size, 0);
    assert_true(open_file(e.nodeid, O_RDONLY, &fh) > 0);
    assert_int_equal(read_file(e.nodeid, fh, 0, text, 64), 0);
    assert_int_equal(open_file(e.nodeid, O_WRONLY, &fh), -EACCES);
    struct fuse_rename_in to = {.newdir = ROOT};
    assert_int_equal(ask(FUSE_RENAME, ROOT, &to, sizeof(to), "key1\0x", 7, NULL, 0), -EACCES);
    assert_int_equal(ask(FUSE_RENAME, ROOT, &to, sizeof(to), "file\0key2", 10, NULL, 0), -EACCES);
    struct fuse_link_in from = {.oldnodeid = e.nodeid};
    assert_int_equal(ask(FUSE_LINK, ROOT, &from, sizeof(from), "x", 2, &e, sizeof(e)), -EACCES);
    assert_int_equal(rename("top/sub", "top/was"), 0);
    assert_int_equal(lookup(node(ROOT, "was"), "deep", &e), -ENOENT);
    scratch_write("top/key2", "made later\n");
    assert_int_equal(lookup(ROOT, "key2", &e), sizeof(e));
    assert_int_equal(e.attr.size, 0);
    end();
    for (size_t i = 0; hidden[i]; i++)
        free(hidden[i]);
}

/* ---- owners ---- */

static void test_owners(void **state)
{
    uint64_t n, fh;
    struct fuse_attr attr;
    struct stat st;

    (void)state;
    if (geteuid() != 0) {
        print_message("only root gives files away: skipped\n");
        skip();
    }
    begin((struct fuse_config){.identity = true});
    from_uid = 1234;
    from_gid = 4321;
    assert_true(create(ROOT, "mine", O_RDWR, 0640, &n, &fh) > 0);
    assert_int_equal(stat("top/mine", &st), 0);
    assert_int_equal(st.st_uid, 1234);
    assert_int_equal(st.st_gid, 4321);
    assert_int_equal(st.st_mode, S_IFREG | 0640);
    assert_int_equal(ask(FUSE_SYMLINK, ROOT, NULL, 0, "l\0x", 4, NULL, 200), 128);
    assert_int_equal(lstat("top/l", &st), 0);
    assert_int_equal(st.st_uid, 1234);
    assert_true(setattr(n, (struct fuse_setattr_in){.valid = FATTR_UID, .uid = 5}, &attr) > 0);
    assert_int_equal(attr.uid, 5);
    assert_int_equal(attr.gid, 4321);
    end();
    begin((struct fuse_config){.uid = 0, .gid = 0});
    from_uid = 1234;
    assert_true(create(ROOT, "ours", O_RDWR, 0640, &n, &fh) > 0);
    assert_int_equal(stat("top/ours", &st), 0);
    assert_int_equal(st.st_uid, geteuid());
    n = node(ROOT, "mine");
    assert_true(setattr(n, (struct fuse_setattr_in){.valid = FATTR_UID, .uid = 0}, &attr) > 0);
    assert_int_equal(attr.uid, 0);
    assert_int_equal(setattr(n, (struct fuse_setattr_in){.valid = FATTR_UID, .uid = 7}, &attr),
                     -EPERM);
    assert_int_equal(stat("top/mine", &st), 0);
    assert_int_equal(st.st_uid, 5);
    end();
}

/* ---- what is bounded ---- */

static void test_forget(void **state)
{
    struct {
        struct fuse_batch_forget_in head;
        struct fuse_forget_one one[2];
    } batch = {.head.count = 1000}; /* more than there are */
    struct fuse_entry_out e;

    (void)state;
    begin((struct fuse_config){0});
    uint64_t n = node(ROOT, "file");
    assert_int_equal(node(ROOT, "file"), n);
    uint64_t sub = node(ROOT, "sub"), deep = node(sub, "deep");
    assert_int_equal(count().nodes, 4);
    forget(n, 1);
    assert_int_equal(count().nodes, 4);
    forget(n, 5); /* more than it was told */
    assert_int_equal(count().nodes, 3);
    forget(sub, 1); /* stays, as the way to deep, but cannot be used */
    assert_int_equal(count().nodes, 3);
    assert_int_equal(lookup(sub, "deep", &e), -ESTALE);
    forget(ROOT, UINT64_MAX);
    batch.one[0] = (struct fuse_forget_one){deep, 1};
    batch.one[1] = (struct fuse_forget_one){999999, 1};
    tell(FUSE_BATCH_FORGET, 0, &batch, sizeof(batch));
    assert_int_equal(count().nodes, 1);
    uint64_t again = node(ROOT, "file");
    assert_int_not_equal(again, n); /* its number is not another's */
    assert_int_equal(ask(FUSE_READLINK, n, NULL, 0, NULL, 0, NULL, 64), -ESTALE);
    end();
}

/* More files than descriptors: those that are not in use are closed, and found again. */
static void test_many(void **state)
{
    enum { FILES = 300, NODES = 350 };
    uint64_t nodes[FILES], fh[64];
    struct fuse_entry_out e;
    unsigned opened = 0;
    char name[32], text[32];

    (void)state;
    for (unsigned i = 0; i < FILES + 100; i++) {
        snprintf(name, sizeof(name), "top/sub/f%u", i);
        scratch_write(name, name);
    }
    begin((struct fuse_config){.nodes = NODES, .descriptors = 64});
    int before = open_descriptors();
    uint64_t sub = node(ROOT, "sub");
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        nodes[i] = node(sub, name);
    }
    assert_true(count().descriptors <= 48);
    assert_true(open_descriptors() <= before + 64);
    for (unsigned i = 0; i < FILES; i += 7) {
        uint64_t h;
        snprintf(name, sizeof(name), "top/sub/f%u", i);
        assert_true(open_file(nodes[i], O_RDONLY, &h) > 0);
        assert_int_equal(read_file(nodes[i], h, 0, text, 32), (long)strlen(name));
        assert_memory_equal(text, name, strlen(name));
        assert_int_equal(release(h), 0);
    }
    while (open_file(nodes[0], O_RDONLY, &fh[opened]) > 0)
        assert_true(++opened < 64);
    assert_int_equal(opened, 16);
    release(fh[0]);
    /* one that was replaced on the host is not the one that the guest knows */
    open_file(nodes[5], O_RDONLY, &fh[0]);
    release(fh[0]);
    for (unsigned i = 100; i < 200; i++)
        open_file(nodes[i], O_RDONLY, &fh[0]), release(fh[0]);
    scratch_write("top/sub/other", "other\n");
    assert_int_equal(rename("top/sub/other", "top/sub/f5"), 0);
    assert_int_equal(open_file(nodes[5], O_RDONLY, &fh[0]), -ESTALE);
    /* and there is an end */
    long rc = 0;
    for (unsigned i = FILES; i < FILES + 100 && rc >= 0; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        rc = lookup(sub, name, &e);
    }
    assert_int_equal(rc, -ENFILE);
    assert_int_equal(count().nodes, NODES);
    driver_reset(&drv);
    board_turn(&board);
    assert_int_equal(count().nodes, 1);
    assert_int_equal(count().handles, 0);
    assert_int_equal(open_descriptors(), before);
    end();
}

static void test_lengths(void **state)
{
    struct fuse_write_in in = {.size = UINT32_MAX};
    struct fuse_entry_out e;
    uint64_t fh;

    (void)state;
    begin((struct fuse_config){0});
    uint64_t n = node(ROOT, "file");
    assert_true(open_file(n, O_RDWR, &fh) > 0);
    in.fh = fh;
    assert_int_equal(ask(FUSE_WRITE, n, &in, sizeof(in), "x", 1, NULL, 64), -EINVAL);
    in.size = 2;
    assert_int_equal(ask(FUSE_WRITE, n, &in, sizeof(in), "x", 1, NULL, 64), -EINVAL);
    in.size = 1;
    assert_int_equal(ask(FUSE_WRITE, n, &in, sizeof(in), "x", 1, NULL, 0), -EINVAL); /* no room */
    assert_text("top/file", "hello, guest\n");
    struct fuse_getattr_in get = {0};
    assert_int_equal(ask(FUSE_GETATTR, n, &get, sizeof(get), NULL, 0, NULL, 50), -EINVAL);
    assert_int_equal(ask(FUSE_GETATTR, n, &get, 3, NULL, 0, NULL, 200), -EINVAL);
    lie = -1;
    assert_int_equal(lookup(ROOT, "file", &e), -EINVAL); /* its NUL is cut off */
    lie = 1;
    assert_int_equal(lookup(ROOT, "file", &e), -EINVAL);
    lie = -100;
    assert_int_equal(lookup(ROOT, "file", &e), -EINVAL);
    lie = 0;
    assert_int_equal(ask(9999, ROOT, NULL, 0, NULL, 0, NULL, 0), -ENOSYS);
    assert_int_equal(ask(FUSE_IOCTL, ROOT, NULL, 0, NULL, 0, NULL, 64), -ENOSYS);
    assert_int_equal(ask(FUSE_READLINK, 77, NULL, 0, NULL, 0, NULL, 64), -ESTALE);
    assert_int_equal(ask(FUSE_READLINK, 0, NULL, 0, NULL, 0, NULL, 64), -ESTALE);
    assert_int_equal(ask(FUSE_READLINK, UINT64_MAX, NULL, 0, NULL, 0, NULL, 64), -ESTALE);
    tell(FUSE_INTERRUPT, 0, "12345678", 8); /* harmless, and not answered */
    end();
}

/* Buffers cut anywhere; and what is no request at all. */
static void test_framing(void **state)
{
    struct fuse_in_header h = {.len = sizeof(h) + 5, .opcode = FUSE_LOOKUP, .nodeid = ROOT};
    struct {
        struct fuse_out_header head;
        struct fuse_entry_out entry;
    } answer;
    struct seg s[16];
    unsigned n = 0;
    char bytes[sizeof(h) + 5], *out = (char *)&answer;

    (void)state;
    begin((struct fuse_config){0});
    memcpy(bytes, &h, sizeof(h));
    memcpy(bytes + sizeof(h), "file", 5);
    s[n++] = driver_bytes(&drv, bytes, 3);
    s[n++] = driver_bytes(&drv, bytes + 3, 40);
    s[n++] = driver_bytes(&drv, bytes + 43, 2);
    unsigned first = n;
    for (size_t left = sizeof(answer), piece = 1; left; left -= piece) {
        piece = left < 5 * piece || n == 14 ? left : 5 * piece;
        s[n++] = driver_buffer(&drv, (uint32_t)piece, true);
    }
    assert_int_equal(driver_request(&drv, REQUEST, s, n), sizeof(answer));
    for (unsigned i = first; i < n; out += s[i++].len)
        memcpy(out, s[i].host, s[i].len);
    assert_int_equal(answer.head.error, 0);
    assert_int_equal(answer.entry.attr.size, 13);

    s[0] = driver_bytes(&drv, bytes, 20);
    s[1] = driver_buffer(&drv, 200, true);
    driver_send(&drv, REQUEST, s, 2);
    board_turn(&board);
    assert_true(driver_status(&drv) & VIRTIO_CONFIG_S_NEEDS_RESET);
    end();
}

/* ---- the definition ---- */

static void test_values(void **state)
{
    static const char *const good[] = {"/srv", "/srv,ro", "/srv,tag=x,map=identity,cache=none",
                                       "/a,,b,map=1000:100", "/srv,map=0,setid,nosecrets"};
    static const char *const bad[] = {"",
                                      "srv",
                                      "/srv,tag=",
                                      "/srv,tag=1234567890123456789012345678901234567",
                                      "/srv,map=root:",
                                      "/srv,map=-1",
                                      "/srv,map=4294967295",
                                      "/srv,cache=maybe",
                                      "/srv,ro=1",
                                      "/srv,rw"};
    struct error err;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        if (fs_is_share(good[i], &err) < 0)
            fail_msg("'%s': %s", good[i], err.text);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        if (fs_is_share(bad[i], &err) == 0)
            fail_msg("taken: '%s'", bad[i]);
}

static int make_tree_confined(void **state)
{
    struct error err;

    return confinement_create(&filters, FOLDERS_WRITE, &err) < 0 ? -1 : make_tree(state);
}

static int remove_confined(void **state)
{
    confinement_destroy(&filters);
    return scratch_remove(state);
}

#define fs_test(f) cmocka_unit_test_setup_teardown(f, make_tree, scratch_remove)
#define confined_test(f)                                              \
    {                                                                 \
        "confined: " #f, f, make_tree_confined, remove_confined, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        fs_test(test_device),
        fs_test(test_init),
        fs_test(test_read),
        fs_test(test_write),
        fs_test(test_names),
        fs_test(test_unlinked),
        fs_test(test_list),
        fs_test(test_xattr),
        fs_test(test_escape),
        fs_test(test_special),
        fs_test(test_set_id),
        fs_test(test_readonly),
        fs_test(test_hidden),
        fs_test(test_owners),
        fs_test(test_forget),
        fs_test(test_many),
        fs_test(test_lengths),
        fs_test(test_framing),
        confined_test(test_read),
        confined_test(test_write),
        confined_test(test_names),
        confined_test(test_unlinked),
        confined_test(test_list),
        confined_test(test_xattr),
        confined_test(test_escape),
        confined_test(test_special),
        confined_test(test_set_id),
        confined_test(test_readonly),
        confined_test(test_hidden),
        confined_test(test_owners),
        cmocka_unit_test(test_values),
    };

    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
