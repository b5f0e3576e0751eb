/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's RAM, see memory.h.
 */
#include "kvm/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/util.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define PAGE 4096ull
/*
 * So much at the start is in small pages: of it we write some pages to boot, and few systems use
 * more. To clear huge pages for that would take longer than all else that a start takes.
 */
#define SMALL_PAGES (4ull << 20)
/* A smaller piece of what a file was laid over would cost more mappings than it gives memory. */
#define DISCARD_FILE_MIN (64ull << 10)
/* Each may make two mappings more, of the 65530 that a process may have; see discard_file(). */
#define CUTS_MOST 8192u

/* Tell the host what these pages are. All are wishes but the last: a host without huge pages, or
 * with a full core dump, is as right. */
static int advise(const struct memory_config *c, void *p, uint64_t len)
{
    madvise(p, len, MADV_DONTDUMP);
    madvise(p, len, MADV_DONTFORK); /* no child has any use for it */
    if (!c->huge)
        madvise(p, len, MADV_HUGEPAGE);
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, len, "guest memory"); /* for smaps and pmap */
    return c->merge ? madvise(p, len, MADV_MERGEABLE) : 0;
}

/* A file in memory for both pieces, whose size nobody can change any more. */
static int create_file(const struct memory_config *c, struct error *err)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;

    if (c->huge)
        flags |= MFD_HUGETLB | (c->huge == MEMORY_1G ? MFD_HUGE_1GB : MFD_HUGE_2MB);
    cleanup_close int fd = memfd_create("guest memory", flags);
    if (fd < 0 || ftruncate(fd, (off_t)c->size) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return error_set(err, errno, "create a file of %llu MiB for the guest's memory",
                         (unsigned long long)(c->size >> 20));
    return steal_fd(fd);
}

/*
 * Find a place for it that starts on a huge page's border, as the guest's address 0 does: pages of
 * a pool are put on one by the host. Only these are reserved.
 */
static uint8_t *map(struct memory *m, struct error *err)
{
    const struct memory_config *c = &m->config;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

    if (c->shared && (m->fd = create_file(c, err)) < 0)
        return NULL;
    m->map_size = c->huge ? c->size : c->size + MEMORY_2M;
    if (c->huge && !c->shared)
        flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
                (c->huge == MEMORY_1G ? MAP_HUGE_1GB : MAP_HUGE_2MB);
    else if (c->huge)
        flags = MAP_SHARED;
    m->map = mmap(NULL, m->map_size, PROT_READ | PROT_WRITE, flags, c->huge ? m->fd : -1, 0);
    if (m->map == MAP_FAILED)
        goto failed;
    uint8_t *host = (uint8_t *)(((uintptr_t)m->map + MEMORY_2M - 1) & ~(MEMORY_2M - 1));
    if (!c->shared || c->huge ||
        mmap(host, c->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m->fd, 0) != MAP_FAILED)
        return host;
failed:
    if (c->huge)
        error_set(err, errno, "reserve %llu huge pages for the guest's memory",
                  (unsigned long long)(c->size / c->huge));
    else
        error_set(err, errno, "reserve %llu MiB of address space for the guest's memory",
                  (unsigned long long)(c->size >> 20));
    if (m->map == MAP_FAILED)
        m->map = NULL;
    return NULL;
}

int memory_create_as(struct memory *m, const struct memory_config *config, struct error *err)
{
    uint64_t hole = config->huge == MEMORY_1G ? 3 * MEMORY_1G : MEMORY_HOLE;

    *m = (struct memory){.size = config->size, .config = *config, .fd = -1};
    uint8_t *host = map(m, err);
    if (!host) {
        memory_destroy(m);
        return -1;
    }
    int rc = advise(config, host, config->size);
    if (!config->huge)
        madvise(host, min(config->size, SMALL_PAGES), MADV_NOHUGEPAGE);
    if (rc < 0) {
        error_set(err, errno, "let the host merge pages of the guest's memory (KSM)");
        memory_destroy(m);
        return -1;
    }

    uint64_t low = min(config->size, hole);
    m->slots[m->count++] = (struct memory_slot){.base = 0, .size = low, .host = host};
    if (config->size > low)
        m->slots[m->count++] = (struct memory_slot){.base = MEMORY_HIGH,
                                                    .size = config->size - low,
                                                    .host = host + low};
    return 0;
}

void memory_destroy(struct memory *m)
{
    if (m->map)
        munmap(m->map, m->map_size);
    if (m->config.shared && m->fd >= 0)
        close(m->fd);
    free(m->plain);
    *m = (struct memory){0};
}

void memory_place_window(struct memory *m, unsigned bits)
{
    const struct memory_slot *last = &m->slots[m->count - 1];
    const uint64_t top = max(last->base + last->size, (uint64_t)MEMORY_HIGH), end = 1ull << bits;

    m->window = (top + MEMORY_1G - 1) & ~(MEMORY_1G - 1);
    m->window_size = m->window < end ? min(end - m->window, (uint64_t)MEMORY_WINDOW) : 0;
}

void *memory_at(const struct memory *m, uint64_t gpa, uint64_t len)
{
    for (unsigned i = 0; i < m->count; i++) {
        const struct memory_slot *s = &m->slots[i];
        if (gpa >= s->base && gpa - s->base <= s->size && len <= s->size - (gpa - s->base))
            return s->host + (gpa - s->base);
    }
    return NULL;
}

int memory_write(const struct memory *m, uint64_t gpa, const void *data, uint64_t len)
{
    void *p = memory_at(m, gpa, len);

    if (!p)
        return -1;
    memcpy(p, data, len);
    return 0;
}

int memory_load(const struct memory *m, uint64_t gpa, int fd, uint64_t off, uint64_t len,
                const char *path, struct error *err)
{
    uint8_t *p = memory_at(m, gpa, len);

    if (!p)
        return error_set(err, 0,
                         "'%s' does not fit into the guest's memory: %llu bytes at %#llx of "
                         "%llu MiB; raise guest.memory",
                         path, (unsigned long long)len, (unsigned long long)gpa,
                         (unsigned long long)(m->size >> 20));
    while (len) {
        ssize_t n = pread(fd, p, len, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, errno, "read '%s'", path);
        if (n == 0)
            return error_set(err, 0, "'%s' ends before what its header promises", path);
        p += n;
        off += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

int memory_map_file(struct memory *m, uint64_t gpa, int fd, uint64_t off, uint64_t len)
{
    uint8_t *p = memory_at(m, gpa, len);

    if (!p || !len || (gpa | off | len) % PAGE || m->config.huge || m->config.shared)
        return -1;
    if (mmap(p, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
             (off_t)off) == MAP_FAILED)
        return -1;
    madvise(p, len, MADV_DONTDUMP);
    madvise(p, len, MADV_DONTFORK);
    const uint64_t at = (uint64_t)(p - m->slots[0].host);
    if (!m->plain)
        m->plain = xcalloc(m->size / DISCARD_FILE_MIN + 1, sizeof(m->plain[0]));
    memset(m->plain + at / DISCARD_FILE_MIN, 0,
           (at + len - 1) / DISCARD_FILE_MIN - at / DISCARD_FILE_MIN + 1);
    m->file_base = m->file_end ? min(m->file_base, gpa) : gpa;
    m->file_end = max(m->file_end, gpa + len);
    return 0;
}

/* Whole pages of memory as it came from the host. */
static void drop(uint8_t *p, uint64_t len)
{
    if (madvise(p, len, MADV_DONTNEED) < 0)
        log_once("give guest memory back: errno %d", errno);
}

/*
 * Where a file was laid over it. Without the copies of its pages it would shine through: new
 * memory goes in its place, unless that has happened already. The whole of a slot, as at a reset, is
 * always replaced; that ends its cuts, and can happen once to each slot until there is another file.
 */
static void discard_file(struct memory *m, uint8_t *p, uint64_t gpa, uint64_t len)
{
    const uint64_t at = (uint64_t)(p - m->slots[0].host);
    const uint64_t from = at / DISCARD_FILE_MIN, to = (at + len - 1) / DISCARD_FILE_MIN + 1;
    const struct memory_slot *s = &m->slots[gpa >= MEMORY_HIGH];
    const bool all = gpa <= max(m->file_base, s->base) &&
                     gpa + len >= min(m->file_end, s->base + s->size); /* a reset, which must be */

    if (!memchr(m->plain + from, false, to - from)) {
        drop(p, len);
        return;
    }
    if (len < DISCARD_FILE_MIN || (m->cuts == CUTS_MOST && !all))
        return;
    if (mmap(p, len, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED) {
        log_once("give guest memory back: errno %d", errno);
        return;
    }
    advise(&m->config, p, len);
    m->cuts = all ? 0 : m->cuts + 1;
    for (uint64_t i = from; i < to; i++) /* those that lie wholly in it */
        m->plain[i] |= i * DISCARD_FILE_MIN >= at && (i + 1) * DISCARD_FILE_MIN <= at + len;
}

/* Whole pages of one kind of memory. */
static void discard(struct memory *m, uint64_t gpa, uint64_t len)
{
    const struct memory_config *c = &m->config;
    uint8_t *p = memory_at(m, gpa, len);

    if (!p)
        return;
    if (c->shared) {
        if (fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, p - m->slots[0].host,
                      (off_t)len) < 0)
            log_once("give guest memory back: errno %d", errno);
    } else if (gpa < m->file_end && gpa + len > m->file_base) {
        discard_file(m, p, gpa, len);
    } else {
        drop(p, len);
    }
}

void memory_discard(struct memory *m, uint64_t gpa, uint64_t len)
{
    uint64_t page = m->config.huge ? m->config.huge : PAGE;

    if (!memory_at(m, gpa, len))
        return;
    uint64_t from = (gpa + page - 1) / page * page, to = (gpa + len) / page * page;
    /* Before, in and behind the place of a file, each where it is not empty. */
    const uint64_t cuts[] = {from, min(max(from, m->file_base), max(from, to)),
                             min(max(from, m->file_end), max(from, to)), to};
    for (unsigned i = 0; i + 1 < ARRAY_SIZE(cuts); i++)
        if (cuts[i] < cuts[i + 1])
            discard(m, cuts[i], cuts[i + 1] - cuts[i]);
}
