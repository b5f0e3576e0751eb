/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Disks as definitions say them: what a value means, which are refused, and what files may be. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "disk/definition.h"
#include "disk/image.h"
#include "scratch.h"

static struct error err;

static void all_of_it(void **state)
{
    (void)state;
    cleanup_definition struct disk_definition d;
    assert_int_equal(
        disk_definition_parse("/a,,b.img,format=raw,ro,cache=none,serial=X-1,bps=10M,iops=500,"
                              "bootindex=7",
                              "/guest", &d, &err),
        0);
    assert_int_equal(d.boot_index, 7);
    assert_string_equal(d.spec.path, "/a,b.img");
    assert_string_equal(d.spec.format, "raw");
    assert_int_equal(d.spec.flags, DISK_READONLY | DISK_DIRECT);
    assert_null(d.spec.backing);
    assert_string_equal(d.cache, "none");
    assert_string_equal(d.serial, "X-1");
    assert_int_equal(d.bytes_per_second, 10 << 20);
    assert_int_equal(d.requests_per_second, 500);
    assert_false(d.writethrough || d.no_flush);
}

static void backing(void **state)
{
    (void)state;
    cleanup_definition struct disk_definition d;
    assert_int_equal(disk_definition_parse("top,format=qcow2,backing=/x:y/mid:qcow2,snapshot,"
                                           "backing=base.raw:raw",
                                           "/guest", &d, &err),
                     0);
    assert_string_equal(d.spec.path, "/guest/top");
    assert_int_equal(d.spec.flags, DISK_SNAPSHOT);
    assert_string_equal(d.spec.backing->path, "/x:y/mid");
    assert_string_equal(d.spec.backing->format, "qcow2");
    assert_string_equal(d.spec.backing->backing->path, "/guest/base.raw");
    assert_string_equal(d.spec.backing->backing->format, "raw");
    assert_null(d.spec.backing->backing->backing);
    assert_string_equal(d.cache, "writeback");
    assert_null(d.serial);
    assert_int_equal(d.boot_index, -1);
}

static void modes(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool direct, through, none;
    } all[] = {{"/a,format=raw", false, false, false},
               {"/a,format=raw,cache=writeback", false, false, false},
               {"/a,format=raw,cache=none", true, false, false},
               {"/a,format=raw,cache=writethrough", false, true, false},
               {"/a,format=raw,cache=directsync", true, true, false},
               {"/a,format=raw,cache=unsafe", false, false, true}};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        cleanup_definition struct disk_definition d;
        assert_int_equal(disk_definition_parse(all[i].value, NULL, &d, &err), 0);
        assert_int_equal(!!(d.spec.flags & DISK_DIRECT), all[i].direct);
        assert_int_equal(d.writethrough, all[i].through);
        assert_int_equal(d.no_flush, all[i].none);
    }
}

static void wrong_values(void **state)
{
    (void)state;
    static const struct {
        const char *value, *says;
    } all[] = {
        {"", "missing"},
        {"/a", "format"},
        {"/a,format=vmdk", "vmdk"},
        {"/a,format=raw,format=raw", "twice"},
        {"/a,format=raw,ro=1", "no value"},
        {"/a,format=raw,ro,snapshot", "different things"},
        {"/a,format=raw,cache=fast", "writeback"},
        {"/a,format=raw,serial=123456789012345678901", "longer"},
        {"/a,format=raw,serial=a b", "letters"},
        {"/a,format=raw,serial=", "value"},
        {"/a,format=raw,bps=0", "stops the disk"},
        {"/a,format=raw,bps=much", "much"},
        {"/a,format=raw,iops=0", ""},
        {"/a,format=raw,iops=-1", ""},
        {"/a,format=raw,iops=1.5", ""},
        {"/a,format=qcow2,backing=/b", "FILE:FORMAT"},
        {"/a,format=qcow2,backing=:raw", "FILE:FORMAT"},
        {"/a,format=qcow2,backing=/b:vdi", "vdi"},
        {"/a,format=raw,bootindex=-1", "bootindex"},
        {"/a,format=raw,bootindex=10000", "bootindex"},
        {"/a,format=raw,bootindex", "bootindex"},
        {"/a,format=raw,boot=1", "bootindex"},
        {"/a,format=raw,,", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        err.text[0] = '\0';
        if (disk_is_definition(all[i].value, &err) == 0)
            fail_msg("'%s' is taken", all[i].value);
        if (!strstr(err.text, all[i].says))
            fail_msg("'%s': %s", all[i].value, err.text);
    }
}

static void order(void **state)
{
    (void)state;
    static const char text[] = "vm.disk.10 = c\nvm.disk.2 = old\nvm.disk.0 = a\nvm.disk.5 = gone\n"
                               "vm.disk.2 = b\nvm.disk.5 =\nvm.kernel = /k\n";
    cleanup_conf struct conf *c = NULL;
    assert_int_equal(conf_parse("text", text, strlen(text), &c, &err), 0);
    cleanup_disk_keys struct disk_keys k = disk_keys(c);
    assert_int_equal(k.count, 3);
    static const char *const keys[] = {"vm.disk.0", "vm.disk.2", "vm.disk.10"};
    static const char *const values[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(k.all[i].key, keys[i]);
        assert_string_equal(k.all[i].value, values[i]);
    }
}

static int check(const char *value)
{
    cleanup_definition struct disk_definition d;
    char dir[4096];
    assert_int_equal(disk_definition_parse(value, getcwd(dir, sizeof dir), &d, &err), 0);
    return disk_definition_check(&d, &err);
}

static void files(void **state)
{
    (void)state;
    static const char *const names[] = {"base.qcow2", "top.qcow2"};
    for (size_t i = 0; i < 2; i++) {
        const struct disk_new n = {.path = names[i],
                                   .format = "qcow2",
                                   .size = 1 << 20,
                                   .backing = i ? "base.qcow2" : NULL,
                                   .backing_format = i ? "qcow2" : NULL};
        if (disk_create(&n, &err) < 0)
            fail_msg("%s", err.text);
    }
    scratch_write("raw", "some text");
    assert_int_equal(check("raw,format=raw"), 0);
    assert_int_equal(check("base.qcow2,format=qcow2"), 0);
    assert_int_equal(check("top.qcow2,format=qcow2,backing=base.qcow2:qcow2"), 0);

    assert_int_equal(check("nix,format=raw"), -1);
    assert_non_null(strstr(err.text, "nix"));
    assert_int_equal(check("raw,format=qcow2"), -1);
    assert_int_equal(check("top.qcow2,format=qcow2"), -1);
    assert_non_null(strstr(err.text, ",backing=base.qcow2:qcow2"));
    assert_int_equal(check("top.qcow2,format=qcow2,backing=nix:qcow2"), -1);
    assert_int_equal(check("top.qcow2,format=qcow2,backing=raw:qcow2"), -1);
    assert_int_equal(check("base.qcow2,format=qcow2,backing=raw:raw"), -1);
    assert_int_equal(check(".,format=raw"), -1);
    if (getuid() != 0) {
        chmod("raw", 0400);
        assert_int_equal(check("raw,format=raw"), -1);
        assert_non_null(strstr(err.text, ",ro"));
        assert_int_equal(check("raw,format=raw,ro"), 0);
        assert_int_equal(check("raw,format=raw,snapshot"), 0);
    }

    /* In use by somebody: that is for the start to say. */
    struct disk *held;
    const struct disk_spec spec = {.path = "base.qcow2", .format = "qcow2"};
    assert_int_equal(disk_open(&spec, &held, &err), 0);
    assert_int_equal(check("base.qcow2,format=qcow2"), 0);
    assert_int_equal(check("top.qcow2,format=qcow2,backing=base.qcow2:qcow2"), 0);
    disk_close(held, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it),    cmocka_unit_test(backing), cmocka_unit_test(modes),
        cmocka_unit_test(wrong_values), cmocka_unit_test(order),   scratch_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
