/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Archives of root file systems, layers and guests: valid headers with hostile names, links and
 * sizes. Each is unpacked by a thread whose root directory is the one that is unpacked into, so needs
 * root; what is beside that stays as it is.
 */
#include "fuzz/dir.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lxc/archive.h"

struct header { /* ustar, POSIX.1-1988 */
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
    char magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == 512, "a block");

static const char *const names[] = {"./",
                                    "etc",
                                    "etc/passwd",
                                    "./a/b",
                                    "a",
                                    "a/../../up",
                                    "../up",
                                    "/abs",
                                    "dev/sda",
                                    "d/.wh.gone",
                                    "d/.wh..wh..opq",
                                    "d/.wh...",
                                    "rootfs/",
                                    "rootfs/etc/x",
                                    "config",
                                    "rootfs",
                                    "l",
                                    "l/x",
                                    "l/l/x",
                                    "",
                                    ".",
                                    "a//b",
                                    "rootfs/dev/x",
                                    "rootfs/../x",
                                    "x",
                                    "d",
                                    "d/e/f/g"};
static const char *const links[] = {"/",        "..", "../..", "/etc",  "a",       "l",
                                    "/outside", "x",  "",      "./a/b", "rootfs/x"};
static const char *const records[] = {"path",
                                      "linkpath",
                                      "size",
                                      "SCHILY.xattr.user.a",
                                      "mtime",
                                      "uid",
                                      "SCHILY.acl.access",
                                      "SCHILY.xattr.security.capability",
                                      "GNU.sparse.major",
                                      "GNU.sparse.map",
                                      "hdrcharset",
                                      "x"};
static const char types[] = "000001234556xgLKS7D";

static void seal(struct header *h)
{
    unsigned sum = 0;
    memset(h->sum, ' ', sizeof h->sum);
    for (size_t i = 0; i < sizeof *h; i++)
        sum += ((unsigned char *)h)[i];
    snprintf(h->sum, sizeof h->sum, "%06o", sum);
}

static void block(FILE *out, const void *data, size_t len)
{
    static const char zeros[512];
    fwrite(data, 1, len, out);
    if (len % 512)
        fwrite(zeros, 1, 512 - len % 512, out);
}

/* The data of an extended header: "LENGTH KEY=VALUE\n"… */
static void extended(struct feed *f, char *text, size_t room)
{
    size_t used = 0;
    for (uint32_t n = 1 + feed_below(f, 3); n > 0 && used + 100 < room; n--) {
        char line[160];
        const char *key = feed_pick(f, records);
        const char *value = feed_rarely(f, 3) ? feed_pick(f, links) : feed_pick(f, names);
        int len = snprintf(line, sizeof line, " %s=%s\n", key, value);
        len += len + 2 > 9 ? len + 3 > 99 ? 3 : 2 : 1;
        used += (size_t)snprintf(text + used, room - used, "%d%s",
                                 feed_rarely(f, 9) ? len + 1 : len, line);
    }
}

static void entry(struct feed *f, FILE *out)
{
    static const unsigned modes[] = {0644, 0755, 04755, 07777, 0, 0177777};
    struct header h = {.magic = "ustar", .version = "00"};
    char data[1100];
    size_t len = 0, said;
    memset(data, 'x', sizeof data);
    h.type = types[feed_below(f, sizeof types - 1)];
    snprintf(h.name, sizeof h.name, "%s", feed_pick(f, names));
    snprintf(h.link, sizeof h.link, "%s", feed_pick(f, links));
    if (h.type == 'x' || h.type == 'g') {
        memset(data, 0, sizeof data);
        extended(f, data, sizeof data);
        len = strlen(data);
    } else if (h.type == '0' || h.type == 'L' || h.type == 'K' || h.type == 'S' || h.type == '7') {
        len = feed_below(f, sizeof data);
    }
    said = feed_rarely(f, 10) ? feed_u64(f) % (UINT64_C(1) << 33) : len;
    snprintf(h.mode, sizeof h.mode, "%07o", feed_pick(f, modes) & 07777777);
    snprintf(h.uid, sizeof h.uid, "%07o", feed_below(f, 70000));
    snprintf(h.gid, sizeof h.gid, "%07o", feed_below(f, 70000));
    snprintf(h.size, sizeof h.size, "%011lo", (unsigned long)said);
    snprintf(h.mtime, sizeof h.mtime, "%011o", feed_below(f, 1u << 30));
    if (feed_rarely(f, 12))
        feed_bytes(f, (char *)&h + feed_below(f, 400), 20);
    seal(&h);
    fwrite(&h, 1, sizeof h, out);
    block(out, data, len);
}

struct work {
    int fd, config;
    enum archive_kind kind;
    char *root;
};

static void *unpack(void *arg)
{
    struct work *w = arg;
    struct error err = {0};
    const struct archive_job j = {.kind = w->kind, .fd = w->fd, .config = w->config};
    must(unshare(CLONE_FS) == 0 && chroot(w->root) == 0 && chdir("/") == 0);
    if (archive_unpack_here(&j, &err) < 0)
        must(*err.text != '\0');
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int dir = -1;
    struct feed f = {data, size};
    struct stat st;
    pthread_t thread;
    if (geteuid() != 0)
        return 0;
    if (dir < 0) {
        dir = fuzz_dir();
        must(mkdirat(dir, "outside", 0755) == 0);
    }
    cleanup_free char *root = xasprintf("%s/root", fuzz_dir_path);
    struct work w = {.kind = (enum archive_kind)feed_below(&f, ARCHIVE_PLAIN + 1), .root = root};
    cleanup_close int fd = memfd_create("tar", MFD_CLOEXEC);
    cleanup_close int config = memfd_create("config", MFD_CLOEXEC);
    w.fd = fd;
    w.config = config;
    FILE *out = fdopen(dup(fd), "w");
    must(fd >= 0 && out != NULL && mkdir(root, 0755) == 0);
    for (int i = 0; i < 30 && f.left > 0; i++)
        entry(&f, out);
    static const char end[1024];
    fwrite(end, 1, feed_rarely(&f, 8) ? 100 : sizeof end, out);
    fclose(out);
    must(pthread_create(&thread, NULL, unpack, &w) == 0 && pthread_join(thread, NULL) == 0);
    must(unlinkat(dir, "outside", AT_REMOVEDIR) == 0 && mkdirat(dir, "outside", 0755) == 0);
    must(fstatat(dir, "up", &st, AT_SYMLINK_NOFOLLOW) < 0);
    must(tree_remove_at(dir, "root", NULL) == 0);
    return 0;
}
