/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernel images in the cache, see image.h.
 */
#include "kvm/boot/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "kvm/boot/layout.h"

#define PAGE    4096ull
#define PAGES   (IMAGE_MAX / PAGE)
#define CHUNK   (256u << 10)
#define PREFIX  "kernel-"
#define PARTIAL ".kernel-"
#define NAME    64
/* Zeros that are not worth a mapping of their own less count as data. */
#define GAP         (128ull << 10)
#define USED_EVERY  3600 /* seconds between two notes that an image is in use */
#define PARTIAL_AGE 600  /* after which one that was never finished is litter */

#define IMAGE_MAGIC   "pultimg"
#define IMAGE_VERSION 2

/* Where there is data, in the file as in the guest's memory, and whether it is mapped or copied. */
struct piece {
    uint64_t gpa, len;
    uint64_t constant;
};

struct image_header {
    char magic[8];
    uint32_t version, count;
    struct boot_identity of;
    struct image image;
    struct piece pieces[IMAGE_PIECES]; /* ascending */
};

_Static_assert(sizeof(struct image_header) <= PAGE, "an image's header is in its first page");

/* A directory that is ours alone to write to. */
static int open_cache(const char *cache, struct error *err)
{
    cleanup_close int dir = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    if (dir < 0 || fstat(dir, &st) < 0)
        return error_set(err, errno, "open '%s'", cache);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return error_set(err, 0, "'%s' is not a directory that only you can write to", cache);
    return steal_fd(dir);
}

static void image_name(const struct boot_identity *id, char name[NAME])
{
    snprintf(name, NAME, PREFIX "%llx-%llx", (unsigned long long)id->dev,
             (unsigned long long)id->ino);
}

/* ---- from the cache ---- */

/* Do these pieces lie one behind the other, in a file of this size? */
static bool pieces_are_right(const struct image_header *h, uint64_t size)
{
    uint64_t last = BOOT_HIGH;

    if (h->count < 1 || h->count > IMAGE_PIECES)
        return false;
    for (unsigned i = 0; i < h->count; i++) {
        const struct piece *p = &h->pieces[i];
        if (p->gpa < last || (p->gpa | p->len) % PAGE || !p->len || p->len > IMAGE_MAX ||
            p->gpa > IMAGE_MAX - p->len || p->gpa + p->len > size)
            return false;
        last = p->gpa + p->len;
    }
    return true;
}

static bool is_entry(const struct image *m, uint64_t ip)
{
    return ip >= BOOT_HIGH && ip < m->end;
}

static bool header_is_right(const struct image_header *h, const struct boot_identity *id,
                            uint64_t size)
{
    const struct image *m = &h->image;

    if (memcmp(h->magic, IMAGE_MAGIC, sizeof(h->magic)) != 0 || h->version != IMAGE_VERSION ||
        memcmp(&h->of, id, sizeof(*id)) != 0 || !pieces_are_right(h, size) || m->end > IMAGE_MAX)
        return false;
    return (m->entry || m->pvh) && (!m->entry || is_entry(m, m->entry)) &&
           (!m->pvh || is_entry(m, m->pvh));
}

/* Read and check an image's header. */
static bool read_header(int fd, const struct boot_identity *id, struct image_header *h)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           pread(fd, h, sizeof(*h), 0) == (ssize_t)sizeof(*h) &&
           header_is_right(h, id, (uint64_t)st.st_size);
}

/* Open an image, and say that it is still wanted to whoever makes room. */
static int open_image(int dir, const struct boot_identity *id, struct image_header *h)
{
    struct stat st;
    char name[NAME];

    image_name(id, name);
    cleanup_close int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022) ||
        !read_header(fd, id, h))
        return -1;
    if (time(NULL) - st.st_mtim.tv_sec > USED_EVERY)
        futimens(fd, NULL);
    return steal_fd(fd);
}

/* The image that an earlier boot kept open, or the cache's. */
static int find_image(const char *cache, const struct boot_file *of, struct image_header *h)
{
    if (of->image && *of->image >= 0) {
        int fd = fcntl(*of->image, F_DUPFD_CLOEXEC, 0);
        if (fd < 0 || read_header(fd, &of->id, h))
            return fd;
        close(fd);
        return -1;
    }
    cleanup_close int dir = of->id.ino ? open_cache(cache, NULL) : -1;
    return dir < 0 ? -1 : open_image(dir, &of->id, h);
}

bool image_load(const char *cache, const struct boot_file *of, struct memory *m,
                struct image *image)
{
    struct image_header h;
    cleanup_close int fd = find_image(cache, of, &h);

    if (fd < 0 || !memory_at(m, 0, h.image.end))
        return false;
    for (unsigned i = 0; i < h.count; i++) {
        const struct piece *p = &h.pieces[i];
        if ((!p->constant || memory_map_file(m, p->gpa, fd, p->gpa, p->len) < 0) &&
            memory_load(m, p->gpa, fd, p->gpa, p->len, cache, NULL) < 0)
            return false;
    }
    *image = h.image;
    if (of->image && *of->image < 0)
        *of->image = steal_fd(fd);
    return true;
}

/* ---- into the cache ---- */

struct oldest {
    char name[NAME];
    time_t used;
    unsigned count; /* of all there are */
};

/* Look at one file of the cache; what was left half made long ago is removed. */
static void look_at(int dir, const char *name, struct oldest *o)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (str_starts(name, PARTIAL) && time(NULL) - st.st_mtim.tv_sec > PARTIAL_AGE)
        unlinkat(dir, name, 0);
    if (!str_starts(name, PREFIX) || strlen(name) >= sizeof(o->name))
        return;
    if (o->count++ && st.st_mtim.tv_sec >= o->used)
        return;
    memcpy(o->name, name, strlen(name) + 1);
    o->used = st.st_mtim.tv_sec;
}

/* Those that were not used for longest make room for one more. */
static void make_room(int dir)
{
    struct oldest o;

    do {
        int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_closedir DIR *d = copy < 0 ? NULL : fdopendir(copy);
        o = (struct oldest){.count = 0};
        for (const struct dirent *e; d && (e = readdir(d));)
            look_at(dir, e->d_name, &o);
        if (!d && copy >= 0)
            close(copy);
    } while (o.count >= IMAGE_FILES && unlinkat(dir, o.name, 0) == 0);
}

/* Two bits for each page: it has data; it is only read. */
struct pages {
    uint64_t data[PAGES / 64], constant[PAGES / 64];
};

static void set_bit(uint64_t *bits, uint64_t page)
{
    bits[page / 64] |= 1ull << page % 64;
}

static bool get_bit(const uint64_t *bits, uint64_t page)
{
    return bits[page / 64] >> page % 64 & 1;
}

static bool all_zero(const uint8_t *p, size_t len)
{
    return p[0] == 0 && !memcmp(p, p + 1, len - 1);
}

/* Write what goes to gpa, as far as it is not zero. */
static int write_pages(int fd, struct pages *pages, uint64_t gpa, const uint8_t *data, size_t len)
{
    while (len) {
        size_t n = min(len, (size_t)(PAGE - gpa % PAGE));
        if (!all_zero(data, n)) {
            if (pwrite(fd, data, n, (off_t)gpa) != (ssize_t)n)
                return -1;
            set_bit(pages->data, gpa / PAGE);
        }
        gpa += n;
        data += n;
        len -= n;
    }
    return 0;
}

static int write_segment(int fd, struct pages *pages, const struct boot_file *from,
                         const struct image_segment *s, struct error *err)
{
    cleanup_free uint8_t *buf = xcalloc(1, CHUNK);

    for (uint64_t at = 0; at < s->file_len;) {
        size_t n = (size_t)min((uint64_t)CHUNK, s->file_len - at);
        if (boot_read(from, s->file_off + at, buf, n, err) < 0)
            return -1;
        errno = ENOSPC; /* what a short write means */
        if (write_pages(fd, pages, s->gpa + at, buf, n) < 0)
            return error_set(err, errno, "write a kernel image");
        at += n;
    }
    return 0;
}

/* Note the pages that lie wholly in a range that is only read, and is worth a mapping. */
static void mark_constant(struct pages *pages, const struct image_range *r)
{
    if (r->gpa > IMAGE_MAX || r->len > IMAGE_MAX - r->gpa || r->len < IMAGE_SHARED)
        return;
    for (uint64_t page = (r->gpa + PAGE - 1) / PAGE; page < (r->gpa + r->len) / PAGE; page++)
        set_bit(pages->constant, page);
}

/*
 * The runs of pages with data, of one kind each, over gaps smaller than this. Returns how many, or too
 * many.
 */
static unsigned find_pieces(const struct pages *pages, uint64_t gap, struct piece out[IMAGE_PIECES])
{
    unsigned n = 0;

    for (uint64_t page = 0; page < PAGES; page++) {
        uint64_t gpa = page * PAGE;
        if (!get_bit(pages->data, page))
            continue;
        bool constant = get_bit(pages->constant, page);
        if (n && gpa - (out[n - 1].gpa + out[n - 1].len) < gap && out[n - 1].constant == constant) {
            out[n - 1].len = gpa + PAGE - out[n - 1].gpa;
            continue;
        }
        if (n == IMAGE_PIECES)
            return n + 1;
        out[n++] = (struct piece){.gpa = gpa, .len = PAGE, .constant = constant};
    }
    return n;
}

static int write_image(int fd, const struct boot_file *from, const struct image_plan *plan,
                       struct image_header *h, struct error *err)
{
    cleanup_free struct pages *pages = xcalloc(1, sizeof(*pages));
    uint64_t gap = GAP;

    for (unsigned i = 0; i < plan->count; i++)
        if (write_segment(fd, pages, from, &plan->segments[i], err) < 0)
            return -1;
    for (unsigned i = 0; i < plan->constants; i++)
        mark_constant(pages, &plan->constant[i]);
    while ((h->count = find_pieces(pages, gap, h->pieces)) > IMAGE_PIECES)
        gap *= 2;
    if (!h->count)
        return error_set(err, 0, "the kernel is all zeros");
    uint64_t end = h->pieces[h->count - 1].gpa + h->pieces[h->count - 1].len;
    if (pwrite(fd, h, sizeof(*h), 0) != (ssize_t)sizeof(*h) || ftruncate(fd, (off_t)end) < 0 ||
        fsync(fd) < 0)
        return error_set(err, errno, "write a kernel image");
    return 0;
}

/* Would these segments fit into an image, and it onto the disk, with as much left over? */
static int check_room(int dir, const struct image_plan *plan, struct error *err)
{
    bool high = plan->image.end > IMAGE_MAX;
    struct statvfs fs;
    uint64_t need = 0;

    for (unsigned i = 0; i < plan->count; i++) {
        const struct image_segment *s = &plan->segments[i];
        high |= s->gpa < BOOT_HIGH || s->gpa > IMAGE_MAX || s->len > IMAGE_MAX - s->gpa;
        need += s->file_len;
    }
    if (high)
        return error_set(err, 0, "the kernel lies too high in memory for an image");
    if (fstatvfs(dir, &fs) < 0 || (uint64_t)fs.f_bavail * fs.f_frsize / 2 < need)
        return error_set(err, ENOSPC, "make a kernel image");
    return 0;
}

int image_save(const char *cache, const struct boot_file *of, const struct boot_file *from,
               const struct image_plan *plan, struct error *err)
{
    struct image_header h = {.magic = IMAGE_MAGIC,
                             .version = IMAGE_VERSION,
                             .of = of->id,
                             .image = plan->image};
    char name[NAME], partial[NAME + 32];

    if (dir_make(cache, 0700, err) < 0)
        return -1;
    cleanup_close int dir = open_cache(cache, err);
    if (dir < 0 || check_room(dir, plan, err) < 0)
        return -1;
    make_room(dir);
    image_name(&h.of, name);
    snprintf(partial, sizeof(partial), ".%s.%d", name, getpid());
    cleanup_close int fd =
        openat(dir, partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set(err, errno, "make a kernel image in '%s'", cache);
    int rc = write_image(fd, from, plan, &h, err);
    if (rc == 0 && !boot_unchanged(of))
        rc = error_set(err, 0, "'%s' is being changed", of->path);
    if (rc == 0 && renameat(dir, partial, dir, name) < 0)
        rc = error_set(err, errno, "name a kernel image in '%s'", cache);
    if (rc < 0)
        unlinkat(dir, partial, 0);
    return rc;
}
