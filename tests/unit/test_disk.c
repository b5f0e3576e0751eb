/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks as a device sees them: maps, the sync calls, raw files, locks. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "disk/driver.h"
#include "base/cleanup.h"
#include "scratch.h"

#define K 1024u

static struct error err;

static void make_file(const char *name, uint64_t size)
{
    cleanup_close int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
}

static struct disk *open_raw(const char *name, unsigned flags)
{
    struct disk *d;
    struct disk_spec spec = {.path = name, .format = "raw", .flags = flags};
    if (disk_open(&spec, &d, &err) < 0)
        fail_msg("%s", err.text);
    return d;
}

static uint64_t allocated(const char *name)
{
    struct stat st;
    assert_int_equal(stat(name, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

static void raw_is_the_file(void **state)
{
    (void)state;
    char in[3 * K], out[3 * K];
    make_file("a", 64 * K);
    cleanup_disk struct disk *d = open_raw("a", 0);
    assert_int_equal(disk_size(d), 64 * K);
    memset(in, 'x', sizeof in);
    assert_int_equal(disk_pwrite(d, in, sizeof in, 5 * K, &err), 0);
    struct iovec v[] = {{out, 100}, {out + 100, 0}, {out + 100, sizeof out - 100}};
    assert_int_equal(disk_preadv(d, v, 3, 5 * K, &err), 0);
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(disk_flush(d, &err), 0);
    assert_true(disk_flush_fd(d) >= 0);

    struct disk_map m;
    assert_int_equal(disk_map_write(d, 8 * K, 4 * K, &m, &err), 0);
    assert_int_equal(m.kind, DISK_DATA);
    assert_int_equal(m.offset, 8 * K);
    assert_int_equal(m.length, 4 * K);
    assert_int_equal(pwrite(m.fd, "hello", 5, (off_t)m.offset), 5);
    assert_int_equal(disk_unmap(&m, true, &err), 0);
    assert_int_equal(disk_pread(d, out, 5, 8 * K, &err), 0);
    assert_memory_equal(out, "hello", 5);
}

static void out_of_the_disk(void **state)
{
    (void)state;
    char buf[512];
    struct disk_map m;
    make_file("a", 64 * K);
    cleanup_disk struct disk *d = open_raw("a", 0);
    static const uint64_t wrong[][2] = {{64 * K, 512},           {63 * K, 2 * K},   {UINT64_MAX, 1},
                                        {UINT64_MAX - 511, 512}, {512, UINT64_MAX}, {0, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(disk_map_read(d, wrong[i][0], wrong[i][1], &m, &err), -1);
        assert_int_equal(err.code, EINVAL);
        assert_int_equal(disk_map_write(d, wrong[i][0], wrong[i][1], &m, &err), -1);
        assert_int_equal(disk_discard(d, wrong[i][0], wrong[i][1], 0, &err), -1);
        assert_int_equal(disk_write_zeroes(d, wrong[i][0], wrong[i][1], 0, &err), -1);
    }
    assert_int_equal(disk_pwrite(d, buf, 512, 64 * K, &err), -1);
    assert_int_equal(disk_pread(d, buf, 512, 64 * K - 1, &err), -1);
}

static void odd_sizes_are_padded(void **state)
{
    (void)state;
    char buf[512];
    scratch_write("a", "short");
    cleanup_disk struct disk *d = open_raw("a", 0);
    assert_int_equal(disk_size(d), 512);
    memset(buf, 'x', sizeof buf);
    assert_int_equal(disk_pread(d, buf, 512, 0, &err), 0);
    assert_memory_equal(buf, "short\0\0\0", 8);
    assert_int_equal(buf[511], 0);
}

static void space_is_given_back(void **state)
{
    (void)state;
    char buf[4096], *data = malloc(K * K);
    make_file("a", 4 * K * K);
    cleanup_disk struct disk *d = open_raw("a", 0);
    memset(data, 'x', K * K);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(disk_pwrite(d, data, K * K, i * K * K, &err), 0);
    free(data);
    assert_int_equal(disk_flush(d, &err), 0);
    uint64_t full = allocated("a");
    assert_true(full >= 4 * K * K);
    assert_int_equal(disk_discard(d, 512, 2 * K * K, DISK_WAIT, &err), 0);
    assert_true(allocated("a") <= full - 2 * K * K + 8 * K);
    assert_int_equal(disk_pread(d, buf, 512, 0, &err), 0);
    assert_int_equal(buf[511], 'x');

    assert_int_equal(disk_write_zeroes(d, 3 * K * K + 100, K * K - 200, DISK_UNMAP, &err), 0);
    assert_int_equal(disk_pread(d, buf, 200, 3 * K * K, &err), 0);
    assert_int_equal(buf[99], 'x');
    assert_int_equal(buf[100], 0);
    assert_int_equal(disk_pread(d, buf, 200, 4 * K * K - 200, &err), 0);
    assert_int_equal(buf[99], 0);
    assert_int_equal(buf[100], 'x');
}

static void one_writer_or_readers(void **state)
{
    (void)state;
    struct disk *d;
    struct disk_spec w = {.path = "a", .format = "raw"},
                     r = {.path = "a", .format = "raw", .flags = DISK_READONLY};
    make_file("a", 64 * K);
    struct disk *first = open_raw("a", 0);
    assert_int_equal(disk_open(&w, &d, &err), -1);
    assert_int_equal(err.code, EBUSY);
    assert_non_null(strstr(err.text, "'a' is in use: another process writes it"));
    assert_int_equal(disk_open(&r, &d, &err), -1);
    disk_close(first, &err);

    first = open_raw("a", DISK_READONLY);
    struct disk *second = open_raw("a", DISK_READONLY);
    assert_int_equal(disk_open(&w, &d, &err), -1);
    assert_non_null(strstr(err.text, "another process reads it"));
    assert_int_equal(disk_pwrite(first, "x", 1, 0, &err), -1);
    assert_int_equal(err.code, EROFS);
    disk_close(first, &err);
    disk_close(second, &err);
    disk_close(open_raw("a", 0), &err);
}

static void what_is_no_disk(void **state)
{
    (void)state;
    struct disk *d;
    static const struct disk_spec base = {.path = "b", .format = "raw"};
    static const struct {
        struct disk_spec spec;
        const char *why;
    } cases[] = {
        {{.path = "none", .format = "raw"}, "open 'none' for writing: No such file"},
        {{.path = ".", .format = "raw", .flags = DISK_READONLY}, "neither a regular file nor"},
        {{.path = "fifo", .format = "raw"}, "neither a regular file nor"},
        {{.path = "/dev/null", .format = "raw"}, "neither a regular file nor"},
        {{.path = "a", .format = "vmdk"}, "no disk format 'vmdk'"},
        {{.path = "a"}, "no disk format ''"},
        {{.path = "a", .format = "raw", .backing = &base}, "raw, which has no backing file"},
    };
    make_file("a", 512);
    make_file("b", 512);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(disk_open(&cases[i].spec, &d, &err), -1);
        if (!strstr(err.text, cases[i].why))
            fail_msg("'%s' instead of '%s'", err.text, cases[i].why);
    }
}

static void direct_takes_any_buffer(void **state)
{
    (void)state;
    struct disk *d;
    char in[5000], out[5000];
    struct disk_spec spec = {.path = "a", .format = "raw", .flags = DISK_DIRECT};
    make_file("a", 64 * K);
    if (disk_open(&spec, &d, &err) < 0)
        skip(); /* a file system without O_DIRECT */
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (char)i;
    assert_int_equal(disk_pwrite(d, in + 1, 4097, 513, &err), 0);
    assert_int_equal(disk_pread(d, out, 4097, 513, &err), 0);
    assert_memory_equal(in + 1, out, 4097);
    void *page = aligned_alloc(4096, 8192);
    assert_int_equal(disk_pread(d, page, 8192, 0, &err), 0);
    assert_memory_equal((char *)page + 513, in + 1, 4097);
    free(page);
    disk_close(d, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(raw_is_the_file),         scratch_test(out_of_the_disk),
        scratch_test(odd_sizes_are_padded),    scratch_test(space_is_given_back),
        scratch_test(one_writer_or_readers),   scratch_test(what_is_no_disk),
        scratch_test(direct_takes_any_buffer),
    };
    return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
