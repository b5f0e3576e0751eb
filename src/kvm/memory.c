/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's RAM, see memory.h.
 */
#include "kvm/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"

#define HUGE_PAGE (2ull << 20)

int memory_create(struct memory *m, uint64_t size, struct error *err)
{
    *m = (struct memory){.size = size};

    /* The start is put on a huge page's border, as the guest's address 0 is. */
    m->map_size = size + HUGE_PAGE;
    m->map = mmap(NULL, m->map_size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m->map == MAP_FAILED) {
        m->map = NULL;
        return error_set(err, errno, "reserve %llu MiB of address space for the guest's memory",
                         (unsigned long long)(size >> 20));
    }
    uint8_t *host = (uint8_t *)(((uintptr_t)m->map + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));

    /* Both are wishes: a kernel without huge pages, or with a full core dump, is as right. */
    madvise(host, size, MADV_HUGEPAGE);
    madvise(host, size, MADV_DONTDUMP);

    uint64_t low = min(size, (uint64_t)MEMORY_HOLE);
    m->slots[m->count++] = (struct memory_slot){.base = 0, .size = low, .host = host};
    if (size > low)
        m->slots[m->count++] =
            (struct memory_slot){.base = MEMORY_HIGH, .size = size - low, .host = host + low};
    return 0;
}

void memory_destroy(struct memory *m)
{
    if (m->map)
        munmap(m->map, m->map_size);
    *m = (struct memory){0};
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
