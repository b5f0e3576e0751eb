/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's RAM in all its kinds: where it lies, what is behind it, giving it back. Needs no KVM.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "kvm/memory.h"
#include "scratch.h"

#define MIB  (1ull << 20)
#define PAGE 4096u

static struct error err;

/* How many bytes of a range are in memory. */
static uint64_t resident(const struct memory *m, uint64_t gpa, uint64_t len)
{
    cleanup_free unsigned char *vec = calloc(len / PAGE, 1);
    uint64_t n = 0;

    assert_int_equal(mincore(memory_at(m, gpa, len), len, vec), 0);
    for (uint64_t i = 0; i < len / PAGE; i++)
        n += vec[i] & 1;
    return n * PAGE;
}

static uint8_t byte_at(const struct memory *m, uint64_t gpa)
{
    return *(uint8_t *)memory_at(m, gpa, 1);
}

/* Plain memory beyond the hole, 40 GiB of it: nothing is taken before it is touched. */
static void test_large(void **state)
{
    const uint64_t size = 40960 * MIB, end = MEMORY_HIGH + size - MEMORY_HOLE;
    struct memory m;

    (void)state;
    assert_int_equal(memory_create(&m, size, &err), 0);
    assert_int_equal(m.count, 2);
    assert_int_equal(m.slots[1].base, MEMORY_HIGH);
    assert_int_equal(m.slots[0].size + m.slots[1].size, size);
    assert_int_equal((uintptr_t)m.slots[0].host % MEMORY_2M, 0);
    assert_int_equal((uintptr_t)m.slots[1].host % MEMORY_2M, 0);
    assert_int_equal(memory_write(&m, end - 3, "end", 3), 0);
    assert_int_equal(memory_write(&m, end - 2, "end", 3), -1);
    assert_memory_equal(memory_at(&m, end - 3, 3), "end", 3);
    memory_destroy(&m);
}

static void test_discard(void **state)
{
    struct memory m;

    (void)state;
    assert_int_equal(memory_create(&m, 16 * MIB, &err), 0);
    madvise(memory_at(&m, 0, 16 * MIB), 16 * MIB, MADV_NOHUGEPAGE); /* to count small pages */
    memset(memory_at(&m, 0, 16 * MIB), 0x55, 16 * MIB);
    memory_discard(&m, 1 * MIB + 1, 64 * 1024);
    assert_int_equal(resident(&m, 1 * MIB, 128 * 1024), 128 * 1024 - 60 * 1024);
    assert_int_equal(byte_at(&m, 1 * MIB), 0x55);
    assert_int_equal(byte_at(&m, 1 * MIB + PAGE), 0);
    assert_int_equal(byte_at(&m, 1 * MIB + 64 * 1024), 0x55);
    memory_discard(&m, 2 * MIB + 5, 100); /* not a whole page */
    assert_int_equal(byte_at(&m, 2 * MIB + 5), 0x55);
    memory_discard(&m, 15 * MIB, 2 * MIB); /* beyond the end */
    memory_discard(&m, UINT64_MAX - 10, 100);
    assert_int_equal(byte_at(&m, 15 * MIB), 0x55);
    memory_destroy(&m);
}

/* Pages of a file lie over the guest's; what is written stays the guest's. */
static void test_file(void **state)
{
    struct memory m, other;
    char page[PAGE];

    (void)state;
    cleanup_close int fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    for (unsigned i = 0; i < 256; i++) {
        memset(page, (int)(i + 1), sizeof(page));
        assert_int_equal(pwrite(fd, page, sizeof(page), i * PAGE), PAGE);
    }
    assert_int_equal(memory_create(&m, 16 * MIB, &err), 0);
    assert_int_equal(memory_create(&other, 16 * MIB, &err), 0);
    assert_int_equal(memory_map_file(&m, 2 * MIB, fd, 0, MIB - PAGE), 0);
    assert_int_equal(memory_map_file(&other, 2 * MIB, fd, 0, MIB - PAGE), 0);
    assert_int_equal(byte_at(&m, 2 * MIB + 5 * PAGE), 6);
    *(uint8_t *)memory_at(&m, 2 * MIB + 5 * PAGE, 1) = 99;
    assert_int_equal(byte_at(&m, 2 * MIB + 5 * PAGE), 99);
    assert_int_equal(byte_at(&other, 2 * MIB + 5 * PAGE), 6);
    assert_int_equal(pread(fd, page, 1, 5 * PAGE), 1);
    assert_int_equal(page[0], 6);

    /* Given back it is zero, not the file's; across both of its ends too. */
    *(uint8_t *)memory_at(&m, 2 * MIB - 1, 1) = 1;
    *(uint8_t *)memory_at(&m, 3 * MIB - 1, 1) = 1;
    memory_discard(&m, 2 * MIB, 4 * PAGE); /* too little to be worth it */
    assert_int_equal(byte_at(&m, 2 * MIB), 1);
    memory_discard(&m, 1 * MIB, 3 * MIB);
    for (uint64_t at = 1 * MIB; at < 4 * MIB; at += PAGE)
        assert_int_equal(byte_at(&m, at + PAGE - 1), 0);
    assert_int_equal(byte_at(&other, 2 * MIB), 1);

    assert_int_equal(memory_map_file(&m, 2 * MIB + 1, fd, 0, PAGE), -1);
    assert_int_equal(memory_map_file(&m, 2 * MIB, fd, 1, PAGE), -1);
    assert_int_equal(memory_map_file(&m, 2 * MIB, fd, 0, 100), -1);
    assert_int_equal(memory_map_file(&m, 2 * MIB, fd, 0, 0), -1);
    assert_int_equal(memory_map_file(&m, 16 * MIB - PAGE, fd, 0, 2 * PAGE), -1);
    assert_int_equal(memory_map_file(&m, 2 * MIB, -1, 0, PAGE), -1);
    memory_destroy(&m);
    memory_destroy(&other);
}

static unsigned count_mappings(void)
{
    FILE *f = fopen("/proc/self/maps", "re");
    unsigned n = 0;

    assert_non_null(f);
    for (int c; (c = getc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

/* All of it is a file's, as after a snapshot: what was replaced once is given back page by page. */
static void test_file_pieces(void **state)
{
    const uint64_t size = 4096 * MIB, low = MEMORY_HOLE, piece = 64 * 1024;
    struct memory m;

    (void)state;
    cleanup_close int fd = open("large", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)low - PAGE), 1);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)low), 1);
    assert_int_equal(pwrite(fd, "x", 1, MIB), 1);
    assert_int_equal(memory_create(&m, size, &err), 0);
    assert_int_equal(memory_map_file(&m, 0, fd, 0, low), 0);
    assert_int_equal(memory_map_file(&m, MEMORY_HIGH, fd, low, size - low), 0);
    memory_discard(&m, MIB, PAGE);
    assert_int_equal(byte_at(&m, MIB), 'x');
    memory_discard(&m, MIB, piece);
    assert_int_equal(byte_at(&m, MIB), 0);
    for (uint64_t at = 0; at < piece; at += PAGE)
        *(uint8_t *)memory_at(&m, MIB + at, 1) = 7;
    memory_discard(&m, MIB + PAGE, 2 * PAGE);
    assert_int_equal(byte_at(&m, MIB), 7);
    assert_int_equal(byte_at(&m, MIB + PAGE), 0);
    assert_int_equal(byte_at(&m, MIB + 2 * PAGE), 0);
    assert_int_equal(byte_at(&m, MIB + 3 * PAGE), 7);

    /* A guest that cuts it into as many pieces as it can. */
    const unsigned before = count_mappings();
    for (uint64_t at = 2 * MIB; at < low; at += 2 * piece)
        memory_discard(&m, at, piece);
    assert_in_range(count_mappings() - before, 15000, 17500);
    assert_int_equal(byte_at(&m, low - PAGE), 'x');
    memory_discard(&m, 0, low);
    memory_discard(&m, MEMORY_HIGH, size - low);
    assert_int_equal(byte_at(&m, low - PAGE), 0);
    assert_int_equal(byte_at(&m, MEMORY_HIGH), 0);
    assert_int_equal(byte_at(&m, MIB), 0);
    assert_true(count_mappings() < before + 20);

    /* Another file there, and the same again. */
    assert_int_equal(memory_map_file(&m, MIB, fd, MIB, 2 * PAGE), 0);
    assert_int_equal(byte_at(&m, MIB), 'x');
    memory_discard(&m, MIB, PAGE);
    assert_int_equal(byte_at(&m, MIB), 'x');
    memory_discard(&m, MIB, piece);
    assert_int_equal(byte_at(&m, MIB), 0);
    memory_destroy(&m);
}

/* A memfd: another mapping of it sees what the guest has, and cannot change its size. */
static void test_shared(void **state)
{
    const struct memory_config config = {.size = 16 * MIB, .shared = true};
    struct memory m;

    (void)state;
    assert_int_equal(memory_create_as(&m, &config, &err), 0);
    assert_int_equal((uintptr_t)m.slots[0].host % MEMORY_2M, 0);
    uint8_t *other = mmap(NULL, 16 * MIB, PROT_READ, MAP_SHARED, m.fd, 0);
    assert_ptr_not_equal(other, MAP_FAILED);
    assert_int_equal(memory_write(&m, 5 * MIB, "here", 4), 0);
    assert_memory_equal(other + 5 * MIB, "here", 4);
    memory_discard(&m, 4 * MIB, 2 * MIB);
    assert_int_equal(other[5 * MIB], 0);
    assert_int_equal(ftruncate(m.fd, MIB), -1);
    assert_int_equal(ftruncate(m.fd, 32 * MIB), -1);
    assert_int_equal(memory_map_file(&m, 2 * MIB, m.fd, 0, PAGE), -1);
    munmap(other, 16 * MIB);
    int fd = m.fd;
    memory_destroy(&m);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* The pool's number of pages; -1 where there is no such pool or it cannot be set. */
static int pool_resize(const char *pages)
{
    static const char file[] = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

    return file_put_at(AT_FDCWD, file, pages, NULL);
}

static void test_huge(void **state)
{
    const struct memory_config config = {.size = 32 * MIB, .huge = MEMORY_2M};
    const struct memory_config shared = {.size = 32 * MIB, .huge = MEMORY_2M, .shared = true};
    const struct memory_config large = {.size = 1024 * 1024 * MIB, .huge = MEMORY_2M};
    struct memory m, more;

    (void)state;
    assert_int_equal(memory_create_as(&m, &large, &err), -1);
    assert_non_null(strstr(err.text, "reserve 524288 huge pages"));
    if (pool_resize("24") < 0)
        skip();
    assert_int_equal(memory_create_as(&m, &config, &err), 0);
    /* They are reserved, not taken when they are touched. */
    assert_int_equal(memory_create_as(&more, &config, &err), -1);
    memset(memory_at(&m, 0, 32 * MIB), 1, 32 * MIB);
    memory_discard(&m, 1 * MIB, 4 * MIB);
    assert_int_equal(byte_at(&m, 2 * MIB - 1), 1);
    assert_int_equal(byte_at(&m, 2 * MIB), 0);
    assert_int_equal(byte_at(&m, 4 * MIB), 1);
    memory_destroy(&m);
    assert_int_equal(memory_create_as(&m, &shared, &err), 0);
    memset(memory_at(&m, 0, 32 * MIB), 1, 32 * MIB);
    memory_destroy(&m);
    assert_int_equal(pool_resize("0"), 0);
}

/* With pages of 1 GiB the hole is a whole number of them. */
static void test_gigantic(void **state)
{
    const struct memory_config config = {.size = 4 * MEMORY_1G, .huge = MEMORY_1G};
    struct memory m;

    (void)state;
    if (memory_create_as(&m, &config, &err) < 0) {
        assert_non_null(strstr(err.text, "reserve 4 huge pages"));
        print_message("%s\n", err.text);
        skip();
    }
    assert_int_equal(memory_low_end(&m), 3 * MEMORY_1G);
    assert_int_equal((uintptr_t)m.slots[1].host % MEMORY_1G, 0);
    memory_destroy(&m);
}

static void test_merge(void **state)
{
    const struct memory_config config = {.size = 16 * MIB, .merge = true};
    struct memory m;

    (void)state;
    if (access("/sys/kernel/mm/ksm/run", F_OK) < 0) {
        assert_int_equal(memory_create_as(&m, &config, &err), -1);
        assert_non_null(strstr(err.text, "KSM"));
        return;
    }
    cleanup_free char *smaps = NULL;
    assert_int_equal(memory_create_as(&m, &config, &err), 0);
    assert_int_equal(file_read_at(AT_FDCWD, "/proc/self/smaps", 1 << 20, &smaps, NULL, NULL), 0);
    assert_non_null(strstr(smaps, " mg")); /* VmFlags: mergeable */
    memory_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large),    cmocka_unit_test(test_discard),
        scratch_test(test_file),         scratch_test(test_file_pieces),
        cmocka_unit_test(test_shared),   cmocka_unit_test(test_huge),
        cmocka_unit_test(test_gigantic), cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
