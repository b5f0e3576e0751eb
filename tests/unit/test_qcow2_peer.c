/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images that qemu-img made, of all kinds, are used here, and it finds no fault with what they
 * became. Skipped where it is not installed.
 * timeout: 600 s
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/wait.h>

#include "base/log.h"
#include "images.h"
#include "scratch.h"

/* The exit status of a command line. */
static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cleanup_free char *cmd = xvasprintf(fmt, ap);
    va_end(ap);
    cleanup_free char *quiet = xasprintf("exec >out 2>&1; %s", cmd);
    int status = system(quiet); /* NOLINT(cert-env33-c) */
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define must_run(...)                                     \
    do {                                                  \
        if (run(__VA_ARGS__) != 0) {                      \
            cleanup_free char *out = scratch_read("out"); \
            fail_msg("%s", out);                          \
        }                                                 \
    } while (0)

static bool have_qemu_img(void)
{
    return run("qemu-img --version") == 0;
}

static struct disk *open_file(const char *path, const struct disk_spec *backing, unsigned flags)
{
    struct disk *d;
    struct disk_spec spec = {.path = path, .format = "qcow2", .backing = backing, .flags = flags};
    if (disk_open(&spec, &d, &image_err) < 0)
        fail_msg("%s", image_err.text);
    return d;
}

static void save_model(const struct model *m)
{
    FILE *f = fopen("model.raw", "we");
    assert_non_null(f);
    assert_int_equal(fwrite(m->data, 1, m->size, f), m->size);
    assert_int_equal(fclose(f), 0);
}

/* What is easy to compress, and not the same everywhere. */
static void fill_model(struct model *m)
{
    for (uint64_t i = 0; i < m->size; i++)
        m->data[i] = (uint8_t)(i / 3000 % 5 ? i / 1000 % 11 : 0);
}

static void must_please_qemu(const char *path, const struct model *m)
{
    save_model(m);
    must_run("qemu-img check %s", path);
    must_run("qemu-img compare -f raw -F qcow2 model.raw %s", path);
}

/* Use the image for a while, several times. */
static void use_file(const char *path, const struct disk_spec *backing, struct model *m,
                     unsigned steps)
{
    for (int round = 0; round < 2; round++) {
        struct disk *d = open_file(path, backing, 0);
        compare_all(d, m);
        use_disk(d, m, steps, 100 * K);
        compare_all(d, m);
        image_close(d);
        must_please_qemu(path, m);
    }
}

/* ---- all that can be chosen ---- */

static void every_option(void **state)
{
    (void)state;
    static const char *const options[] = {
        "compat=0.10",
        "compat=0.10,cluster_size=512",
        "compat=0.10,cluster_size=2M",
        "compat=1.1",
        "cluster_size=512",
        "cluster_size=1k",
        "cluster_size=4k,lazy_refcounts=on",
        "cluster_size=2M",
        "refcount_bits=1",
        "refcount_bits=2,cluster_size=512",
        "refcount_bits=4",
        "refcount_bits=8,cluster_size=4k",
        "refcount_bits=32,lazy_refcounts=on",
        "refcount_bits=64,cluster_size=512",
        "refcount_bits=64",
        "preallocation=metadata",
        "preallocation=metadata,cluster_size=512",
        "preallocation=falloc,cluster_size=4k",
        "preallocation=full,cluster_size=16k",
        "compression_type=zstd",
    };
    if (!have_qemu_img())
        skip();
    image_seed = 21;
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        struct model m = {xcalloc(1, 3 * M), 3 * M};
        must_run("qemu-img create -f qcow2 -o %s image %llu", options[i],
                 (unsigned long long)m.size);
        use_file("image", NULL, &m, 100);

        /* … and full of compressed clusters. */
        fill_model(&m);
        save_model(&m);
        if (!strstr(options[i], "preallocation")) {
            must_run("qemu-img convert -c -O qcow2 -o %s -f raw model.raw image", options[i]);
            use_file("image", NULL, &m, 60);
        }
        free(m.data);
    }
}

static void chains(void **state)
{
    (void)state;
    static const char *const options[] = {"compat=0.10", "cluster_size=4k", "cluster_size=512",
                                          "lazy_refcounts=on,cluster_size=128k"};
    if (!have_qemu_img())
        skip();
    image_seed = 22;
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        struct model m = {xcalloc(1, 3 * M), 2 * M};
        fill_model(&m);
        save_model(&m);
        must_run("cp model.raw base.raw; "
                 "qemu-img create -f qcow2 -b base.raw -F raw middle && "
                 "qemu-io -c 'write -P 7 100k 300k' -c 'write -z 1M 100k' middle && "
                 "qemu-img create -f qcow2 -o %s -b middle -F qcow2 image 3M",
                 options[i]);
        memset(m.data + 100 * K, 7, 300 * K);
        memset(m.data + 1 * M, 0, 100 * K);
        m.size = 3 * M;
        memset(m.data + 2 * M, 0, 1 * M);
        struct disk_spec base = {.path = "base.raw", .format = "raw"};
        struct disk_spec middle = {.path = "middle", .format = "qcow2", .backing = &base};
        struct disk *d = open_file("image", &middle, 0);
        compare_all(d, &m);
        for (int k = 0; k < 60; k++)
            if (rnd(3))
                write_some(d, &m, 100 * K);
            else
                zero_some(d, &m, 200 * K);
        compare_all(d, &m);
        image_close(d);
        must_please_qemu("image", &m);

        d = open_file("image", NULL, DISK_READONLY | DISK_OWN_BACKING);
        compare_all(d, &m);
        image_close(d);

        struct disk *top = open_file("image", NULL, DISK_NO_BACKING);
        struct disk *below = open_file("middle", NULL, DISK_OWN_BACKING);
        if (disk_commit(top, below, NULL, NULL, &image_err) < 0)
            fail_msg("%s", image_err.text);
        image_close(top);
        image_close(below);
        must_please_qemu("image", &m);
        must_please_qemu("middle", &m);
        free(m.data);
    }
}

static void rewrite(struct disk *d, struct model *m)
{
    fill_random(m->data, m->size);
    if (disk_pwritev(d, &(struct iovec){m->data, m->size}, 1, 0, &image_err) < 0)
        fail_msg("%s", image_err.text);
}

/* They make snapshots, and we, in the same image, in turn. */
static void snapshots_of_both(void **state)
{
    (void)state;
    static const char *const options[] = {"compat=0.10", "cluster_size=4k", "refcount_bits=2"};
    if (!have_qemu_img())
        skip();
    image_seed = 23;
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        struct model m = {xcalloc(1, 2 * M), 2 * M}, one = {xcalloc(1, 2 * M), 2 * M};
        must_run("qemu-img create -f qcow2 -o %s image 2M", options[i]);
        use_file("image", NULL, &m, 50);
        memcpy(one.data, m.data, m.size);
        must_run("qemu-img snapshot -c one image");
        use_file("image", NULL, &m, 50);

        struct disk *d = open_file("image", NULL, 0);
        if (disk_snapshot(d, DISK_SNAPSHOT_CREATE, "two", &image_err) < 0)
            fail_msg("%s", image_err.text);
        if (strstr(options[i], "bits=2")) { /* 3 is the most */
            assert_int_equal(disk_snapshot(d, DISK_SNAPSHOT_CREATE, "three", &image_err), -1);
            assert_non_null(strstr(image_err.text, "it cannot have more snapshots"));
        }
        image_close(d);
        must_please_qemu("image", &m);
        must_run("qemu-img snapshot -l image | grep -q two");
        use_file("image", NULL, &m, 20);
        must_run("qemu-img snapshot -a two image && qemu-img check image");

        d = open_file("image", NULL, 0);
        rewrite(d, &m); /* 2 bits have no room for what all share to be taken once more */
        if (disk_snapshot(d, DISK_SNAPSHOT_APPLY, "one", &image_err) < 0)
            fail_msg("%s", image_err.text);
        compare_all(d, &one);
        image_close(d);
        must_please_qemu("image", &one);
        use_file("image", NULL, &one, 20);
        must_run("qemu-img snapshot -d one image && qemu-img check image");
        d = open_file("image", NULL, 0);
        if (disk_snapshot(d, DISK_SNAPSHOT_DELETE, "two", &image_err) < 0)
            fail_msg("%s", image_err.text);
        image_close(d);
        must_please_qemu("image", &one);
        use_file("image", NULL, &one, 20);
        free(m.data);
        free(one.data);
    }
    must_run(
        "qemu-img create -f qcow2 -o refcount_bits=1 image 1M && qemu-io -c 'write 0 64k' image");
    struct disk *d = open_file("image", NULL, 0);
    assert_int_equal(disk_snapshot(d, DISK_SNAPSHOT_CREATE, "x", &image_err), -1);
    assert_non_null(strstr(image_err.text, "it cannot have any snapshots"));
    image_close(d);
    must_run("qemu-img check image");
}

/* ---- what is beyond us ---- */

static void refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"qemu-img create -f qcow2 -o extended_l2=on image 1M", "extended L2"},
        {"qemu-img create -f qcow2 -o data_file=data,data_file_raw=on image 1M", "external data"},
        {"qemu-img create -f qcow2 --object secret,id=s,data=x "
         "-o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 image 4M",
         "it is encrypted"},
        {"qemu-img create -f raw image 1M", "is not a qcow2 image"},
        {"qemu-img create -f qcow image 1M", "version 1"},
        {"qemu-img create -f qcow2 image 1M && "
         "printf '\\200' | dd of=image bs=1 seek=72 conv=notrunc",
         "incompatible feature bit 63"},
    };
    if (!have_qemu_img())
        skip();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct disk *d;
        struct disk_spec spec = {.path = "image", .format = "qcow2", .flags = DISK_READONLY};
        run("rm -f image data");
        if (run("%s", cases[i][0]) != 0)
            continue; /* a qemu-img that cannot make one */
        assert_int_equal(disk_open(&spec, &d, &image_err), -1);
        if (!strstr(image_err.text, cases[i][1]))
            fail_msg("'%s' instead of '%s'", image_err.text, cases[i][1]);
    }
}

/* An image that QEMU left dirty is repaired, and its bitmaps are known to be out of date. */
static void takes_over_what_was_left(void **state)
{
    (void)state;
    if (!have_qemu_img())
        skip();
    image_seed = 24;
    struct model m = {xcalloc(1, 2 * M), 2 * M};
    must_run("qemu-img create -f qcow2 -o lazy_refcounts=on image 2M");
    memset(m.data, 0x11, 300 * K);
    run("qemu-io -c 'write -P 0x11 0 300k' -c flush -c abort image; true");
    must_run("! qemu-img check image"); /* it is really dirty */
    use_file("image", NULL, &m, 20);

    must_run("qemu-img bitmap --add image b1 && qemu-io -c 'write -P 0x12 0 100k' image");
    memset(m.data, 0x12, 100 * K);
    struct disk_check c = {0};
    struct disk *d = open_file("image", NULL, DISK_READONLY | DISK_FOR_CHECK);
    assert_int_equal(disk_check(d, &c, &image_err), 0);
    assert_int_equal(c.errors + c.leaks, 0);
    image_close(d);
    d = open_file("image", NULL, 0);
    compare_all(d, &m);
    write_some(d, &m, 100 * K);
    image_close(d);
    save_model(&m);
    must_run("qemu-img compare -f raw -F qcow2 model.raw image");
    c = (struct disk_check){.repair = true};
    d = open_file("image", NULL, DISK_FOR_CHECK);
    assert_int_equal(disk_check(d, &c, &image_err), 0);
    assert_true(c.errors == 0 && c.repaired);
    image_close(d);
    must_please_qemu("image", &m);
    free(m.data);
}

/* ---- locks ---- */

static void locks_are_the_same(void **state)
{
    (void)state;
    if (!have_qemu_img())
        skip();
    must_run("qemu-img create -f qcow2 image 1M");
    struct disk *d = open_file("image", NULL, 0);
    assert_int_not_equal(run("qemu-io -c 'write 0 512' image"), 0);
    assert_int_not_equal(run("qemu-img info image"), 0);
    must_run("qemu-img info -U image");
    image_close(d);
    d = open_file("image", NULL, DISK_READONLY);
    assert_int_not_equal(run("qemu-io -c 'write 0 512' image"), 0);
    must_run("qemu-img info image && qemu-img check image");
    image_close(d);
    must_run("qemu-io -c 'write 0 512' image");

    /* It has the image once it wrote to it. What we opened meanwhile it could not open. */
    must_run("mkfifo end; (echo 'write 0 512'; cat end) | qemu-io -f qcow2 image >said & "
             "timeout 60 sh -c 'until grep -q wrote said; do sleep 0.05; done'");
    struct disk_spec spec = {.path = "image", .format = "qcow2"};
    assert_int_equal(disk_open(&spec, &d, &image_err), -1);
    assert_int_equal(image_err.code, EBUSY);
    spec.flags = DISK_READONLY;
    assert_int_equal(disk_open(&spec, &d, &image_err), -1);
    must_run("echo quit >end");
}

int main(void)
{
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC), 0);
    const struct CMUnitTest tests[] = {
        scratch_test(every_option),
        scratch_test(chains),
        scratch_test(snapshots_of_both),
        scratch_test(refused_with_a_reason),
        scratch_test(takes_over_what_was_left),
        scratch_test(locks_are_the_same),
    };
    return cmocka_run_group_tests_name("qcow2 peer", tests, NULL, NULL);
}
