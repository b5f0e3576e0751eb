/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot's files: memory as it was at the moment, whatever happens to it while it is written;
 * what is mapped from it; and files that are not what they should be. Needs no KVM.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "kvm/snapfile.h"

#define SIZE (48ull << 20)

static const struct snapfile_head head = {.memory = SIZE, .id = "0123456789abcde"};

/* A file in memory, of this size. */
static int new_file(void)
{
    int fd = memfd_create("snapshot", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* Wait for the child's last word. */
static struct snapfile_word await_end(pid_t pid, int words)
{
    struct snapfile_word w = {0}, last = {0};
    int status;

    while (read(words, &w, sizeof(w)) == sizeof(w)) {
        assert_true(w.done >= last.done);
        last = w;
    }
    close(words);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), last.whole ? 0 : 1);
    return last;
}

static void fill(const struct memory *m, uint8_t seed)
{
    for (uint64_t at = 0; at < SIZE; at += 1 << 20)
        memset(m->slots[0].host + at + 4096, seed + (uint8_t)(at >> 20), 8192);
    m->slots[0].host[SIZE - 1] = seed;
}

static void write_and_map(bool shared)
{
    const struct memory_config config = {.size = SIZE, .shared = shared}, plain = {.size = SIZE};
    struct memory m, expected, back;
    struct error err;
    struct stat st;
    int words;

    assert_int_equal(memory_create_as(&m, &config, &err), 0);
    assert_int_equal(memory_create_as(&expected, &plain, &err), 0);
    assert_int_equal(memory_create_as(&back, &plain, &err), 0);
    assert_int_equal(snapfile_is_live(&m), !shared);
    fill(&m, 1);
    fill(&expected, 1);
    cleanup_close int memory = new_file(), state = new_file();
    pid_t pid = snapfile_begin(&m, &head, memory, state, &words, &err);
    assert_true(pid > 0);
    if (!shared)
        fill(&m, 100); /* the guest goes on */
    struct snapfile_word w = await_end(pid, words);
    assert_true(w.whole);
    assert_int_equal(w.error, 0);
    assert_int_equal(fstat(memory, &st), 0);
    assert_int_equal(st.st_size, SIZE + SNAPFILE_PAGE);
    assert_in_range(st.st_blocks, 1, 2048); /* no pages of zeroes */
    assert_int_equal(snapfile_check_memory(memory, "x", &head, &err), 0);
    assert_int_equal(snapfile_map_memory(&back, memory, "x", &err), 0);
    assert_memory_equal(back.slots[0].host, expected.slots[0].host, SIZE);
    fill(&back, 7); /* the file stays as it is */
    uint8_t byte;
    assert_int_equal(pread(memory, &byte, 1, 4096), 1);
    assert_int_equal(byte, 1);
    /* What is given back reads as zeroes, not as the file. */
    memory_discard(&back, 0, SIZE);
    for (uint64_t at = 0; at < SIZE; at += 4096)
        assert_int_equal(back.slots[0].host[at], 0);
    memory_destroy(&m);
    memory_destroy(&expected);
    memory_destroy(&back);
}

static void test_live(void **state)
{
    (void)state;
    write_and_map(false);
}

static void test_shared(void **state)
{
    (void)state;
    write_and_map(true);
}

/* Into memory that cannot be mapped to: read in. */
static void test_read_in(void **state)
{
    const struct memory_config config = {.size = SIZE, .shared = true};
    struct memory m, back;
    struct error err;
    int words;

    (void)state;
    assert_int_equal(memory_create(&m, SIZE, &err), 0);
    assert_int_equal(memory_create_as(&back, &config, &err), 0);
    fill(&m, 3);
    cleanup_close int memory = new_file(), file = new_file();
    pid_t pid = snapfile_begin(&m, &head, memory, file, &words, &err);
    assert_true(await_end(pid, words).whole);
    assert_int_equal(snapfile_map_memory(&back, memory, "x", &err), 0);
    assert_memory_equal(back.slots[0].host, m.slots[0].host, SIZE);
    memory_destroy(&m);
    memory_destroy(&back);
}

static void test_full(void **state)
{
    struct memory m;
    struct error err;
    int words;

    (void)state;
    assert_int_equal(memory_create(&m, SIZE, &err), 0);
    fill(&m, 3);
    cleanup_close int full = open("/dev/full", O_RDWR | O_CLOEXEC), file = new_file();
    pid_t pid = snapfile_begin(&m, &head, full, file, &words, &err);
    struct snapfile_word w = await_end(pid, words);
    assert_int_equal(w.error, ENOSPC);
    assert_false(w.whole);
    memory_destroy(&m);
}

/* ---- the state ---- */

static int read_state(int fd, struct error *err)
{
    struct snapfile_head h;
    uint8_t *data;
    int rc = snapfile_read_state(fd, "x", &h, &data, err);

    assert_true((rc == 0) == (data != NULL));
    free(data);
    return rc;
}

static void test_state(void **state)
{
    static const char text[] = "what a machine is";
    struct snapfile_head h = head, out;
    struct error err;
    uint8_t *data;
    uint8_t byte;

    (void)state;
    cleanup_close int fd = new_file();
    assert_int_equal(snapfile_write_state(fd, &h, text, sizeof(text), &err), 0);
    assert_int_equal(snapfile_read_state(fd, "x", &out, &data, &err), 0);
    assert_memory_equal(&out, &h, sizeof(h));
    assert_memory_equal(data, text, sizeof(text));
    free(data);
    /* Each byte of it matters, and each that is missing. */
    for (off_t i = 0; i < (off_t)(sizeof(h) + sizeof(text)); i++) {
        assert_int_equal(pread(fd, &byte, 1, i), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, i), 1);
        assert_int_equal(read_state(fd, &err), -1);
        byte ^= 0x10;
        assert_int_equal(pwrite(fd, &byte, 1, i), 1);
    }
    assert_int_equal(read_state(fd, &err), 0);
    for (off_t len = sizeof(h) + sizeof(text) - 1; len >= 0; len--) {
        assert_int_equal(ftruncate(fd, len), 0);
        assert_int_equal(read_state(fd, &err), -1);
    }
    cleanup_close int pipe_like = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read_state(pipe_like, &err), -1);
    assert_non_null(strstr(err.text, "no regular file"));
    /* A length that nothing has memory for. */
    h.length = UINT64_MAX - 10;
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
    assert_int_equal(read_state(fd, &err), -1);
    assert_non_null(strstr(err.text, "damaged"));
}

static void test_memory_file(void **state)
{
    struct snapfile_head h = head;
    struct error err;

    (void)state;
    cleanup_close int fd = new_file();
    assert_int_equal(snapfile_check_memory(fd, "x", &h, &err), -1);
    assert_int_equal(ftruncate(fd, (off_t)(SIZE + SNAPFILE_PAGE)), 0);
    assert_int_equal(snapfile_check_memory(fd, "x", &h, &err), -1);
    assert_non_null(strstr(err.text, "to its end"));
    for (unsigned i = 0; i < 2; i++) {
        h.memory = i ? UINT64_MAX - SNAPFILE_PAGE + 1 : SIZE + 1;
        assert_int_equal(snapfile_check_memory(fd, "x", &h, &err), -1);
        assert_non_null(strstr(err.text, "damaged"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live),    cmocka_unit_test(test_shared),
        cmocka_unit_test(test_read_in), cmocka_unit_test(test_full),
        cmocka_unit_test(test_state),   cmocka_unit_test(test_memory_file),
    };
    return cmocka_run_group_tests_name("snapfile", tests, NULL, NULL);
}
