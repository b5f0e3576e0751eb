/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files: whole reads and writes, replacement that no reader sees half done, and the removal of
 * trees as a hostile guest would leave them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "scratch.h"

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void reads_a_file_whole(void **state)
{
    struct error err;
    cleanup_free char *data = NULL;
    size_t len;
    char big[20000];

    (void)state;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    scratch_write("f", big);
    assert_int_equal(file_read_at(AT_FDCWD, "f", sizeof big - 1, &data, &len, &err), 0);
    assert_int_equal(len, sizeof big - 1);
    assert_string_equal(data, big);

    cleanup_free char *empty = NULL;
    scratch_write("g", "");
    assert_int_equal(file_read_at(AT_FDCWD, "g", 0, &empty, &len, &err), 0);
    assert_int_equal(len, 0);
    assert_string_equal(empty, "");
}

static void refuses_a_file_that_is_too_large(void **state)
{
    struct error err;
    char *data = NULL;

    (void)state;
    scratch_write("f", "12345");
    assert_int_equal(file_read_at(AT_FDCWD, "f", 4, &data, NULL, &err), -1);
    assert_int_equal(err.code, EFBIG);
    assert_int_equal(file_read_at(AT_FDCWD, "/dev/zero", 100000, &data, NULL, &err), -1);
    assert_int_equal(err.code, EFBIG);
    assert_int_equal(file_read_at(AT_FDCWD, "none", 4, &data, NULL, &err), -1);
    assert_int_equal(err.code, ENOENT);
    assert_int_equal(file_read_at(AT_FDCWD, ".", 4, &data, NULL, &err), -1);
    assert_int_equal(err.code, EISDIR);
    assert_null(data);
}

static void a_fifo_does_not_hold_it_up(void **state)
{
    struct error err;
    cleanup_free char *data = NULL;

    (void)state;
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(file_read_at(AT_FDCWD, "pipe", 100, &data, NULL, &err), 0);
    assert_string_equal(data, "");
}

static void puts_text_into_an_existing_file_only(void **state)
{
    struct error err;

    (void)state;
    scratch_write("f", "000");
    assert_int_equal(file_put_at(AT_FDCWD, "f", "12", &err), 0);
    cleanup_free char *text = scratch_read("f");
    assert_string_equal(text, "120");
    assert_int_equal(file_put_at(AT_FDCWD, "none", "1", &err), -1);
    assert_int_equal(err.code, ENOENT);
    assert_false(exists("none"));
    assert_int_equal(file_put_at(AT_FDCWD, "/dev/full", "1", &err), -1);
    assert_string_equal(err.text, "write '1' to '/dev/full': No space left on device");
}

static unsigned entries(const char *dir)
{
    unsigned n = 0;
    cleanup_closedir DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        n++;
    return n - 2;
}

static void replaces_with_the_mode_that_was_asked(void **state)
{
    struct error err;
    struct stat st;
    mode_t umask_before = umask(0077);

    (void)state;
    assert_int_equal(mkdir("d", 0700), 0);
    cleanup_close int d = open("d", O_RDONLY | O_DIRECTORY);
    assert_int_equal(file_replace_at(d, "f", "one", 3, 0644, &err), 0);
    assert_int_equal(file_replace_at(AT_FDCWD, "d/f", "three", 5, 0644, &err), 0);
    umask(umask_before);
    assert_int_equal(stat("d/f", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    cleanup_free char *text = scratch_read("d/f");
    assert_string_equal(text, "three");
    assert_int_equal(entries("d"), 1);
}

static void a_replacement_that_fails_leaves_nothing(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(mkdir("d", 0700), 0);
    assert_int_equal(mkdir("d/f", 0700), 0);
    assert_int_equal(file_replace_at(AT_FDCWD, "d/f", "x", 1, 0600, &err), -1);
    assert_int_equal(err.code, EISDIR);
    assert_int_equal(entries("d"), 1);
    assert_int_equal(file_replace_at(AT_FDCWD, "none/f", "x", 1, 0600, &err), -1);
    assert_int_equal(err.code, ENOENT);
    assert_int_equal(file_replace_at(AT_FDCWD, "d/", "x", 1, 0600, &err), -1);
    assert_int_equal(file_replace_at(AT_FDCWD, "d/..", "x", 1, 0600, &err), -1);
}

static void replaces_a_link_and_not_what_it_names(void **state)
{
    struct error err;

    (void)state;
    scratch_write("target", "safe");
    assert_int_equal(symlink("target", "f"), 0);
    assert_int_equal(file_replace_at(AT_FDCWD, "f", "new", 3, 0600, &err), 0);
    cleanup_free char *target = scratch_read("target");
    assert_string_equal(target, "safe");
}

static void a_reader_sees_old_or_new_but_nothing_between(void **state)
{
    char a[9000], b[12000];

    (void)state;
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    assert_int_equal(file_replace_at(AT_FDCWD, "f", a, sizeof a, 0600, NULL), 0);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 60; i++)
            if (file_replace_at(AT_FDCWD, "f", i % 2 ? a : b, i % 2 ? sizeof a : sizeof b, 0600,
                                NULL) < 0)
                _exit(1);
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        cleanup_free char *data = NULL;
        size_t len;
        assert_int_equal(file_read_at(AT_FDCWD, "f", 1 << 20, &data, &len, NULL), 0);
        assert_int_equal(len, data[0] == 'a' ? sizeof a : sizeof b);
        assert_int_equal(data[len - 1], data[0]);
    }
    assert_int_equal(status, 0);
}

static void makes_directories_on_the_way(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(dir_make("a/b//c/", 0755, &err), 0);
    assert_true(exists("a/b/c"));
    assert_int_equal(dir_make("a/b/c", 0755, &err), 0);
    scratch_write("a/f", "");
    assert_int_equal(dir_make("a/f", 0755, &err), -1);
    assert_int_equal(err.code, ENOTDIR);
    assert_int_equal(dir_make("a/f/g", 0755, &err), -1);
    assert_int_equal(err.code, ENOTDIR);
    assert_int_equal(dir_make("/", 0755, &err), 0);
}

static void removes_trees_files_links_and_nothing(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(dir_make("t/a/b", 0755, &err), 0);
    assert_int_equal(dir_make("t/c", 0755, &err), 0);
    scratch_write("t/a/b/f", "x");
    scratch_write("t/.hidden", "x");
    assert_int_equal(mkfifo("t/pipe", 0600), 0);
    assert_int_equal(tree_remove_at(AT_FDCWD, "t", &err), 0);
    assert_false(exists("t"));
    assert_int_equal(tree_remove_at(AT_FDCWD, "t", &err), 0);
    assert_int_equal(tree_remove_at(AT_FDCWD, "none/t", &err), 0);
    scratch_write("f", "x");
    assert_int_equal(tree_remove_at(AT_FDCWD, "f", &err), 0);
    assert_false(exists("f"));
    assert_int_equal(tree_remove_at(AT_FDCWD, "..", &err), -1);
    assert_int_equal(tree_remove_at(AT_FDCWD, "", &err), -1);
}

static void removes_links_and_never_what_they_name(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(dir_make("safe/d", 0755, &err), 0);
    scratch_write("safe/f", "x");
    assert_int_equal(dir_make("t/a", 0755, &err), 0);
    assert_int_equal(symlink("../safe", "t/up"), 0);
    assert_int_equal(symlink("../../safe/f", "t/a/file"), 0);
    assert_int_equal(symlink("/", "t/a/root"), 0);
    assert_int_equal(symlink("t", "top"), 0);
    assert_int_equal(tree_remove_at(AT_FDCWD, "top", &err), 0);
    assert_true(exists("t/a"));
    assert_int_equal(tree_remove_at(AT_FDCWD, "t", &err), 0);
    assert_false(exists("t"));
    assert_true(exists("safe/f") && exists("safe/d"));
}

/* A chain of directories, made from within: no path is that long. */
static void make_chain(const char *top, unsigned depth)
{
    assert_int_equal(mkdir(top, 0755), 0);
    int fd = open(top, O_RDONLY | O_DIRECTORY);
    for (unsigned i = 0; i < depth; i++) {
        assert_int_equal(mkdirat(fd, "dddddddd", 0755), 0);
        int next = openat(fd, "dddddddd", O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    close(fd);
}

static void removes_a_tree_ten_thousand_levels_deep(void **state)
{
    struct error err;

    (void)state;
    make_chain("t", 10000);
    scratch_write("t/.deep-0", "in the way");
    if (tree_remove_at(AT_FDCWD, "t", &err) < 0)
        fail_msg("%s", err.text);
    assert_false(exists("t"));
}

static void removes_a_broad_and_deep_tree(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(mkdir("t", 0755), 0);
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "t/%d", i);
        make_chain(name, 60 + (unsigned)i);
    }
    if (tree_remove_at(AT_FDCWD, "t", &err) < 0)
        fail_msg("%s", err.text);
    assert_false(exists("t"));
}

/* As a user, whom modes concern: make directories without any bit and remove them. */
static void removes_directories_locked_by_their_modes(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(chmod(".", 0777), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
            _exit(1);
        make_chain("t", 200);
        if (dir_make("t/a/b", 0755, &err) < 0 || dir_make("t/w/x", 0755, &err) < 0)
            _exit(2);
        scratch_write("t/a/b/f", "x");
        if (chmod("t/a/b", 0) < 0 || chmod("t/a", 0) < 0 || chmod("t/w", 0555) < 0 ||
            chmod("t/dddddddd/dddddddd", 0) < 0)
            _exit(3);
        if (tree_remove_at(AT_FDCWD, "t", &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            _exit(4);
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_false(exists("t"));
}

static void stops_at_mount_points_and_touches_nothing_there(void **state)
{
    struct error err;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(dir_make("t/a/m", 0755, &err), 0);
    assert_int_equal(dir_make("other", 0755, &err), 0);
    scratch_write("other/f", "x");
    if (mount("other", "t/a/m", NULL, MS_BIND, NULL) < 0)
        skip();
    int below = tree_remove_at(AT_FDCWD, "t", &err);
    bool named = strstr(err.text, "'m' in 't' is a mount point") != NULL;
    int itself = tree_remove_at(AT_FDCWD, "t/a/m", NULL);
    bool kept = exists("other/f");
    assert_int_equal(umount("t/a/m"), 0);
    assert_int_equal(below, -1);
    assert_int_equal(itself, -1);
    assert_true(named);
    assert_true(kept);

    scratch_write("t/null", "");
    assert_int_equal(mount("/dev/null", "t/null", NULL, MS_BIND, NULL), 0);
    below = tree_remove_at(AT_FDCWD, "t", &err);
    assert_int_equal(umount("t/null"), 0);
    assert_int_equal(below, -1);
    assert_int_equal(err.code, EBUSY);
}

static void another_process_that_moves_things_cannot_lead_it_astray(void **state)
{
    struct error err;

    (void)state;
    assert_int_equal(dir_make("safe/d/e", 0755, &err), 0);
    scratch_write("safe/d/f", "x");
    pid_t pid = fork();
    if (pid == 0) { /* swap t/x between a directory and a link out, until killed */
        for (;;) {
            mkdir("t", 0755);
            mkdir("t/x", 0755);
            mkdir("t/x/d", 0755);
            rename("t/x", "t/y");
            if (symlink("../safe", "t/x") == 0)
                unlink("t/x");
            rename("t/y", "t/x");
        }
    }
    for (int i = 0; i < 500; i++)
        tree_remove_at(AT_FDCWD, "t", NULL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(exists("safe/d/f") && exists("safe/d/e"));
}

static void knows_its_own_path(void **state)
{
    char path[4096] = "";

    (void)state;
    assert_true(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    assert_string_equal(self_exe(), path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(reads_a_file_whole),
        scratch_test(refuses_a_file_that_is_too_large),
        scratch_test(a_fifo_does_not_hold_it_up),
        scratch_test(puts_text_into_an_existing_file_only),
        scratch_test(replaces_with_the_mode_that_was_asked),
        scratch_test(a_replacement_that_fails_leaves_nothing),
        scratch_test(replaces_a_link_and_not_what_it_names),
        scratch_test(a_reader_sees_old_or_new_but_nothing_between),
        scratch_test(makes_directories_on_the_way),
        scratch_test(removes_trees_files_links_and_nothing),
        scratch_test(removes_links_and_never_what_they_name),
        scratch_test(removes_a_tree_ten_thousand_levels_deep),
        scratch_test(removes_a_broad_and_deep_tree),
        scratch_test(removes_directories_locked_by_their_modes),
        scratch_test(stops_at_mount_points_and_touches_nothing_there),
        scratch_test(another_process_that_moves_things_cannot_lead_it_astray),
        scratch_test(knows_its_own_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
