/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Archives of root file systems, see archive.h.
 *
 * A layer is read twice: what it says is gone (.wh.NAME, .wh..wh..opq) is removed first, so that
 * only what lower layers brought is touched, whatever the order in the archive.
 */
#include "lxc/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "lxc/copy.h"
#include "lxc/filework.h"

#define BLOCK     (256 << 10)
#define GONE      ".wh."
#define GONE_MORE ".wh..wh."
#define GONE_ALL  ".wh..wh..opq"

/* What is done in the jail. */
struct unpack {
    const struct archive_job *job;
    uint64_t size;
    bool owners;
    unsigned pass;
    bool any; /* something came of it */
};

static int archive_error(struct archive *a, const char *what, const char *name, struct error *err)
{
    const char *why = archive_error_string(a);
    return error_set(err, 0, "%s%s%s%s: %s", what, name ? " '" : "", name ? name : "",
                     name ? "'" : "", why ? why : "it is damaged");
}

static struct archive *reader(const struct unpack *u, struct error *err)
{
    struct archive *a = archive_read_new();
    if (!a || archive_read_support_format_tar(a) != ARCHIVE_OK ||
        archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
        archive_read_support_filter_bzip2(a) != ARCHIVE_OK ||
        archive_read_support_filter_xz(a) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(a) != ARCHIVE_OK || lseek(u->job->fd, 0, SEEK_SET) < 0 ||
        archive_read_open_fd(a, u->job->fd, BLOCK) != ARCHIVE_OK) {
        if (a)
            archive_error(a, "it is not an archive", NULL, err);
        else
            error_set(err, ENOMEM, "read the archive");
        archive_read_free(a);
        return NULL;
    }
    return a;
}

/* ---- names ---- */

/* Without what stands for the root in front. */
static const char *relative(const char *name)
{
    while (*name == '/' || (name[0] == '.' && (name[1] == '/' || name[1] == '\0')))
        name++;
    return name;
}

static bool climbs(const char *name)
{
    for (const char *p = name; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
            return true;
    }
    return false;
}

/* Of a guest's archive: what a name in it is below rootfs/. NULL: it is not there. */
static const char *below_rootfs(const char *name)
{
    static const char rootfs[] = "rootfs";
    name = relative(name);
    if (!str_starts(name, rootfs))
        return NULL;
    name += strlen(rootfs);
    return *name == '\0' || *name == '/' ? relative(name) : NULL;
}

/* Is this entry wanted? *name: where it goes. */
static bool wanted(enum archive_kind kind, struct archive_entry *e, const char **name)
{
    const mode_t type = archive_entry_filetype(e);
    *name = relative(archive_entry_pathname(e));
    if (kind == ARCHIVE_GUEST && !(*name = below_rootfs(*name)))
        return false;
    if (**name == '\0')
        return (kind == ARCHIVE_ROOT || kind == ARCHIVE_GUEST) && type == AE_IFDIR;
    if (type == AE_IFCHR || type == AE_IFBLK || type == AE_IFSOCK)
        return false;
    return kind == ARCHIVE_PLAIN || !str_starts(*name, "dev/") || (*name)[4] == '\0';
}

/* ---- what a layer takes away ---- */

static int remove_all(int dir, struct error *err)
{
    cleanup_close int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_closedir DIR *d = again >= 0 ? fdopendir(again) : NULL;
    const struct dirent *e;
    if (!d)
        return error_set(err, errno, "list a directory of the layer below");
    again = -1;
    while ((e = readdir(d)))
        if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, "..") &&
            tree_remove_at(dir, e->d_name, err) < 0)
            return -1;
    return 0;
}

/* Is it a mark? Then do as it says in the first pass. */
static int take_away(const struct unpack *u, const char *name, bool *mark, struct error *err)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    *mark = str_starts(base, GONE);
    if (!*mark || u->pass != 0)
        return 0;
    cleanup_free char *parent = slash ? xstrndup(name, (size_t)(slash - name)) : xstrdup(".");
    cleanup_close int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : error_set(err, errno, "open '%s'", parent);
    if (str_eq(base, GONE_ALL))
        return remove_all(dir, err);
    base += strlen(GONE);
    if (str_starts(base - strlen(GONE), GONE_MORE) || *base == '\0' || str_eq(base, ".") ||
        str_eq(base, ".."))
        return 0;
    return tree_remove_at(dir, base, err);
}

/* ---- attributes ---- */

/*
 * An ACL as the kernel gives it out (linux/posix_acl_xattr.h), its ids in numbers: that is what
 * archive_pack() writes, since an ACL as text has the names that those numbers have on this host.
 */
static void put_acl(struct archive_entry *e, int type, const uint8_t *data, size_t len)
{
    static const struct {
        uint16_t from;
        int to;
    } tags[] = {
        {0x01, ARCHIVE_ENTRY_ACL_USER_OBJ},  {0x02, ARCHIVE_ENTRY_ACL_USER},
        {0x04, ARCHIVE_ENTRY_ACL_GROUP_OBJ}, {0x08, ARCHIVE_ENTRY_ACL_GROUP},
        {0x10, ARCHIVE_ENTRY_ACL_MASK},      {0x20, ARCHIVE_ENTRY_ACL_OTHER},
    };
    for (size_t at = 4; at + 8 <= len; at += 8) {
        uint16_t tag, perm;
        uint32_t id;
        memcpy(&tag, data + at, sizeof tag);
        memcpy(&perm, data + at + 2, sizeof perm);
        memcpy(&id, data + at + 4, sizeof id);
        for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
            if (le16toh(tag) == tags[i].from)
                archive_entry_acl_add_entry(e, type, le16toh(perm) & 7, tags[i].to,
                                            (int)le32toh(id), NULL);
    }
}

/* ACLs that came as attributes, which libarchive passes over. */
static void take_acls(struct archive_entry *e)
{
    const char *name;
    const void *data;
    size_t len;
    bool first = true;
    archive_entry_xattr_reset(e);
    while (archive_entry_xattr_next(e, &name, &data, &len) == ARCHIVE_OK) {
        const int type = str_eq(name, "system.posix_acl_access")    ? ARCHIVE_ENTRY_ACL_TYPE_ACCESS
                         : str_eq(name, "system.posix_acl_default") ? ARCHIVE_ENTRY_ACL_TYPE_DEFAULT
                                                                    : 0;
        if (type && first)
            archive_entry_acl_clear(e);
        first &= !type;
        if (type)
            put_acl(e, type, data, len);
    }
    archive_entry_xattr_reset(e);
}

/* ---- unpacking ---- */

static int copy_data(struct archive *from, struct archive *to, const char *name, struct error *err)
{
    const void *data;
    size_t size;
    la_int64_t at;
    for (;;) {
        int rc = archive_read_data_block(from, &data, &size, &at);
        if (rc == ARCHIVE_EOF)
            return 0;
        if (rc < ARCHIVE_WARN)
            return archive_error(from, "read", name, err);
        if (archive_write_data_block(to, data, size, at) < ARCHIVE_WARN)
            return archive_error(to, "write", name, err);
    }
}

/* The definition of a guest, which goes to a descriptor. */
static int put_config(const struct unpack *u, struct archive *from, struct archive_entry *e,
                      struct error *err)
{
    char text[16 << 10];
    la_ssize_t n;
    size_t all = 0; /* what an archive says of sizes and holes is not believed */
    if (archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e) || u->job->config < 0)
        return 0;
    if (archive_entry_size(e) > ARCHIVE_CONFIG_MAX)
        return error_set(err, EFBIG, "read 'config'");
    if (ftruncate(u->job->config, 0) < 0 || lseek(u->job->config, 0, SEEK_SET) < 0)
        return error_set(err, errno, "write 'config'");
    while ((n = archive_read_data(from, text, sizeof text)) > 0)
        if ((all += (size_t)n) > ARCHIVE_CONFIG_MAX)
            return error_set(err, EFBIG, "read 'config'");
        else if (write_all(u->job->config, text, (size_t)n) < 0)
            return error_set(err, errno, "write 'config'");
    return n < 0 ? archive_error(from, "read", "config", err) : 0;
}

static int put_entry(struct unpack *u, struct archive *from, struct archive *to,
                     struct archive_entry *e, struct error *err)
{
    const char *name, *link = archive_entry_hardlink(e);
    bool mark = false;
    if (!archive_entry_pathname(e))
        return error_set(err, 0, "it has a file without a name");
    if (u->job->kind == ARCHIVE_GUEST && str_eq(relative(archive_entry_pathname(e)), "config"))
        return put_config(u, from, e, err);
    if (!wanted(u->job->kind, e, &name))
        return 0;
    if (link)
        link = u->job->kind == ARCHIVE_GUEST ? below_rootfs(link) : relative(link);
    if (climbs(name) || (archive_entry_hardlink(e) && (!link || climbs(link))))
        return error_set(err, 0, "it has a file '%s', which is outside of it", name);
    if (u->job->kind == ARCHIVE_LAYER && take_away(u, name, &mark, err) < 0)
        return -1;
    if (mark || (u->job->kind == ARCHIVE_LAYER && u->pass == 0))
        return 0;
    cleanup_free char *own = xstrdup(*name ? name : ".");
    archive_entry_set_pathname(e, own);
    if (link) {
        cleanup_free char *target = xstrdup(link);
        archive_entry_set_hardlink(e, target);
    }
    take_acls(e);
    if (archive_write_header(to, e) < ARCHIVE_WARN)
        return archive_error(to, "make", own, err);
    if (archive_entry_size(e) > 0 && copy_data(from, to, own, err) < 0)
        return -1;
    if (archive_write_finish_entry(to) < ARCHIVE_WARN)
        return archive_error(to, "finish", own, err);
    u->any = true;
    return 0;
}

static int put_all(struct unpack *u, struct archive *from, struct archive *to, struct error *err)
{
    struct archive_entry *e;
    int rc;
    for (unsigned n = 0; (rc = archive_read_next_header(from, &e)) != ARCHIVE_EOF; n++) {
        if (rc < ARCHIVE_WARN)
            return archive_error(from, "it is not a whole archive", NULL, err);
        if (put_entry(u, from, to, e, err) < 0)
            return -1;
        if (n % 64 == 0)
            filework_progress(min((uint64_t)max(archive_filter_bytes(from, -1), (la_int64_t)0),
                                  u->size),
                              u->size);
    }
    if (archive_write_close(to) < ARCHIVE_WARN)
        return archive_error(to, "finish it", NULL, err);
    if (u->job->kind == ARCHIVE_GUEST && !u->any)
        return error_set(err, 0, "it has no rootfs/, so no `pult export` made it");
    return 0;
}

static int unpack_run(void *arg, struct error *err)
{
    struct unpack *u = arg;
    int flags = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_UNLINK | ARCHIVE_EXTRACT_SECURE_NODOTDOT;
    if (u->job->kind != ARCHIVE_PLAIN)
        flags |= ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_ACL | ARCHIVE_EXTRACT_XATTR |
                 (u->owners ? ARCHIVE_EXTRACT_OWNER : 0);
    umask(0);
    for (u->pass = u->job->kind == ARCHIVE_LAYER ? 0 : 1; u->pass < 2; u->pass++) {
        struct archive *from = reader(u, err);
        struct archive *to = from ? archive_write_disk_new() : NULL;
        int ret = -1;
        if (to && archive_write_disk_set_options(to, flags) == ARCHIVE_OK)
            ret = put_all(u, from, to, err);
        archive_write_free(to);
        archive_read_free(from);
        if (ret < 0)
            return -1;
    }
    return 0;
}

int archive_unpack(const struct archive_job *j, const char *dir, struct error *err)
{
    struct stat st;
    if (fstat(j->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, 0, "it is no file");
    struct unpack u = {.job = j, .size = (uint64_t)st.st_size, .owners = filework_has_owners()};
    const struct filework w = {.dir = dir,
                               .jail = true,
                               .run = unpack_run,
                               .arg = &u,
                               .progress = j->progress,
                               .progress_arg = j->arg};
    return filework_do(&w, err);
}

int archive_unpack_here(const struct archive_job *j, struct error *err)
{
    struct stat st;
    if (fstat(j->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, 0, "it is no file");
    struct unpack u = {.job = j, .size = (uint64_t)st.st_size, .owners = true};
    return unpack_run(&u, err);
}

/* ---- packing ---- */

static const struct {
    const char *end, *option;
} compressions[] = {
    {".tar", ""},     {".tar.gz", "--gzip"},  {".tgz", "--gzip"},  {".tar.xz", "--xz"},
    {".txz", "--xz"}, {".tar.zst", "--zstd"}, {".tzst", "--zstd"},
};

const char *archive_packer(const char *path)
{
    const size_t len = strlen(path);
    for (size_t i = 0; i < ARRAY_SIZE(compressions); i++) {
        const size_t n = strlen(compressions[i].end);
        if (len > n && str_eq(path + len - n, compressions[i].end))
            return compressions[i].option;
    }
    return NULL;
}

struct pack {
    const char *dir, *compression;
    const char *const *names;
    int fd;
    uint64_t done, total;
};

static void packed(void *arg, const char *line)
{
    struct pack *p = arg;
    (void)line;
    filework_progress(min(++p->done, p->total), p->total);
}

static int pack_run(void *arg, struct error *err)
{
    struct pack *p = arg;
    const char *argv[32] = {"tar",
                            "-c",
                            "-v",
                            "-f",
                            "-",
                            "-C",
                            p->dir,
                            "--posix",
                            "--numeric-owner",
                            "--sparse",
                            "--xattrs",
                            "--no-acls", /* they are attributes, too */
                            "--xattrs-include=*",
                            "--xattrs-exclude=trusted.*", /* no container sees these */
                            "--warning=no-file-ignored"};
    size_t n = strv_len((char *const *)argv);
    if (*p->compression)
        argv[n++] = p->compression;
    for (size_t i = 0; p->names[i] && n < ARRAY_SIZE(argv) - 1; i++)
        argv[n++] = p->names[i];
    setenv("LC_ALL", "C", 1);
    p->total = 1;
    for (size_t i = 0; p->names[i]; i++) {
        cleanup_free char *path = xasprintf("%s/%s", p->dir, p->names[i]);
        p->total += tree_count(path);
    }
    return filework_program((char *const *)argv, p->fd, packed, p, err);
}

int archive_pack(const char *dir, const char *const *names, int fd, const char *compression,
                 engine_progress_fn *progress, void *arg, struct error *err)
{
    struct pack p = {.dir = dir, .compression = compression, .names = names, .fd = fd};
    const struct filework w = {
        .dir = dir, .run = pack_run, .arg = &p, .progress = progress, .progress_arg = arg};
    return filework_do(&w, err);
}

/* ---- removing ---- */

static int remove_run(void *arg, struct error *err)
{
    (void)arg;
    cleanup_close int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? error_set(err, errno, "open the guest's directory") : remove_all(dir, err);
}

int archive_remove(const char *dir, struct error *err)
{
    cleanup_free char *root = xasprintf("%s/rootfs", dir);
    cleanup_free char *upper = xasprintf("%s/upper", dir);
    cleanup_free char *overlay = xasprintf("%s/overlay", dir);
    if (geteuid() == 0 || !filework_has_owners() ||
        (access(root, F_OK) < 0 && access(upper, F_OK) < 0 && access(overlay, F_OK) < 0))
        return 0; /* the files are the caller's own */
    const struct filework w = {.dir = dir, .jail = true, .run = remove_run};
    return filework_do(&w, err) < 0 ? error_wrap(err, "remove '%s'", dir) : 0;
}
