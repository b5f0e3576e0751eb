/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a throwaway VM is made of: modules in the order of their needs, the archive for the kernel,
 * the words for its first process.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/conf.h"
#include "guest/def.h"
#include "guest/hostcopy.h"
#include "kvm/throw/throw.h"
#include "scratch.h"

static const char *const wanted[] = {"virtio_pci", "fuse-fs", NULL};

static void make_modules(void)
{
    mkdir("m", 0755);
    scratch_write("m/modules.builtin", "kernel/fs/ext4/ext4.ko\nkernel/net/packet/af_packet.ko\n");
    scratch_write("m/modules.dep", "a/base.ko:\n"
                                   "a/ring.ko: a/base.ko\n"
                                   "b/virtio-pci.ko.xz: a/ring.ko a/base.ko\n"
                                   "b/fuse_fs.ko: a/base.ko\n"
                                   "b/my_fuse_fs.ko:\n");
    mkdir("m/a", 0755);
    mkdir("m/b", 0755);
    scratch_write("m/a/base.ko", "base");
    scratch_write("m/a/ring.ko", "ring");
    scratch_write("m/b/fuse_fs.ko", "fuse");
    scratch_write("m/b/virtio-pci.ko", "the real module");
    assert_int_equal(system("xz m/b/virtio-pci.ko"), 0);
}

static void test_modules(void **state)
{
    static const char *const order[] = {"base.ko", "ring.ko", "virtio-pci.ko", "fuse_fs.ko"};
    struct modules m = {0};
    struct error err;

    (void)state;
    make_modules();
    if (modules_read("m", wanted, &m, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(m.count, 4);
    for (size_t i = 0; i < m.count; i++)
        assert_string_equal(m.list[i].name, order[i]);
    assert_int_equal(m.list[2].len, 15);
    assert_memory_equal(m.list[2].data, "the real module", 15);
    modules_clear(&m);
    assert_int_equal(modules_read("m", (const char *const[]){"ext4", NULL}, &m, &err), 0);
    assert_int_equal(m.count, 0); /* built in */
    assert_int_equal(modules_read("m", (const char *const[]){"xfs", NULL}, &m, &err), -1);
    assert_non_null(strstr(err.text, "no module 'xfs'"));
    assert_int_equal(modules_read("none", wanted, &m, &err), -1);
    unlink("m/modules.dep");
    assert_int_equal(modules_read("m", wanted, &m, &err), -1);
    assert_non_null(strstr(err.text, "depmod"));
    modules_clear(&m);
}

/* A kernel's file as far as it is looked at. */
static void make_kernel(const char *path)
{
    char head[0x400] = {0};
    const uint16_t at = 0x100;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    memcpy(head + 0x202, "HdrS", 4);
    memcpy(head + 0x20e, &at, 2);
    strcpy(head + 0x300, "9.9.9-test (somebody@somewhere) #1");
    assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
    close(fd);
}

static struct guest_def *define(const char *dir, const char *more)
{
    cleanup_free char *text = xasprintf("vm.kernel = %s/k\nvm.rootfs = %s\n%s", dir, dir, more);
    struct guest_def *def = xcalloc(1, sizeof(*def));
    struct error err;

    if (conf_parse("test", text, strlen(text), &def->conf, &err) < 0)
        fail_msg("%s", err.text);
    strcpy(def->name, "g1");
    return def;
}

static void test_initramfs(void **state)
{
    static const char *const names[] = {"init",       "dev",           "base.ko",
                                        "ring.ko",    "virtio-pci.ko", "virtiofs.ko",
                                        "overlay.ko", "virtio_net.ko", "words"};
    const struct throw_console con = {.terminal = true, .cols = 90, .rows = 20};
    struct throw_plan plan;
    struct error err;

    make_kernel("k");
    make_modules();
    mkdir("lib", 0755);
    mkdir("lib/modules", 0755);
    assert_int_equal(rename("m", "lib/modules/9.9.9-test"), 0);
    FILE *f = fopen("lib/modules/9.9.9-test/modules.dep", "ae");
    fputs("b/virtiofs.ko: b/fuse_fs.ko\nb/overlay.ko:\nb/virtio_net.ko: a/ring.ko\n", f);
    fclose(f);
    scratch_write("lib/modules/9.9.9-test/b/virtiofs.ko", "v");
    scratch_write("lib/modules/9.9.9-test/b/overlay.ko", "o");
    scratch_write("lib/modules/9.9.9-test/b/virtio_net.ko", "n");
    struct guest_def *def =
        define(*state, "vm.command = sh -c 'exit 7'\nvm.workdir = /srv/a,,b,rw\n"
                       "guest.net.0 = none\nguest.net.1 = user,mac=02:0a:00:00:00:01\n");
    if (throw_plan(def, &plan, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(plan.release, "9.9.9-test");
    cleanup_close int fd = throw_initramfs(def, &plan, &con, &err);
    if (fd < 0)
        fail_msg("%s", err.text);
    cleanup_free char *command =
        xasprintf("mkdir out && cd out && cpio -idm --quiet --no-absolute-filenames <&%d", fd);
    fcntl(fd, F_SETFD, 0);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(system(command), 0);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        cleanup_free char *path = xasprintf("out/%s", names[i]);
        if (access(path, F_OK) < 0)
            fail_msg("no '%s'", names[i]);
    }
    struct stat st;
    assert_int_equal(stat("out/init", &st), 0);
    assert_true(st.st_size > 10000 && (st.st_mode & 0111) == 0111);
    cleanup_free char *module = scratch_read("out/virtio-pci.ko");
    assert_string_equal(module, "the real module");
    assert_int_equal(system("tr '\\0' '\\n' <out/words >words"), 0);
    cleanup_free char *words = scratch_read("words");
    assert_int_equal(strncmp(words, "n02:0a:00:00:00:01\nMbase.ko\n", 28), 0);
    assert_non_null(strstr(words, "Mbase.ko\nMring.ko\nMvirtio-pci.ko\nMfuse_fs.ko\nMvirtiofs.ko\n"
                                  "Moverlay.ko\nMvirtio_net.ko\nmroot:cow:/\n"
                                  "mmodules:ro:/lib/modules/9.9.9-test\n"
                                  "mwork:rw:/srv/a,b\nd/srv/a,b\nhg1\nt"));
    assert_non_null(strstr(words, "\nr20\nc90\nash\na-c\naexit 7\n"));
    throw_plan_clear(&plan);
    conf_free(def->conf);
    free(def);
}

static void test_plan(void **state)
{
    struct throw_plan plan;
    struct error err;

    make_kernel("k");
    struct guest_def *def = define(*state, "vm.initrd = /x\n");
    assert_int_equal(throw_plan(def, &plan, &err), -1);
    assert_non_null(strstr(err.text, "unset vm.initrd"));
    throw_plan_clear(&plan);
    conf_set(def->conf, "vm.initrd", "");
    conf_set(def->conf, "vm.rootfs", "/nonexistent");
    assert_int_equal(throw_plan(def, &plan, &err), -1);
    throw_plan_clear(&plan);
    conf_set(def->conf, "vm.rootfs", "host:/");
    assert_true(throw_wanted(def));
    assert_int_equal(throw_plan(def, &plan, &err), 0);
    assert_null(plan.modules); /* all may be built in */
    throw_plan_clear(&plan);
    conf_set(def->conf, "vm.rootfs", "none");
    assert_false(throw_wanted(def));
    conf_free(def->conf);
    free(def);
    assert_int_equal(throw_is_rootfs("host", &err), -1);
    assert_int_equal(throw_is_workdir("/a,ro", &err), -1);
    assert_int_equal(throw_is_command("'", &err), -1);
}

/* Disks in the order of booting, modules of file systems by their kind and each once. */
static void test_disk(void **state)
{
    static const struct throw_console con = {.cols = 80, .rows = 24};
    struct throw_plan plan;
    struct error err;

    make_kernel("k");
    mkdir("lib", 0755);
    mkdir("lib/modules", 0755);
    mkdir("lib/modules/9.9.9-test", 0755);
    assert_int_equal(chdir("lib/modules/9.9.9-test"), 0);
    scratch_write("modules.dep", "virtio_pci.ko:\nvirtio_blk.ko:\nbtrfs.ko: sum.ko\n"
                                 "xfs.ko: sum.ko\nsum.ko:\n");
    scratch_write("modules.builtin", "fs/ext4.ko\n");
    for (const char *const *m =
             (const char *const[]){"virtio_pci", "virtio_blk", "btrfs", "xfs", "sum", NULL};
         *m; m++) {
        char name[32];
        snprintf(name, sizeof(name), "%s.ko", *m);
        scratch_write(name, *m);
    }
    assert_int_equal(chdir("../../.."), 0);
    struct guest_def *def = define(*state, "vm.disk.0 = a,format=raw\n"
                                           "vm.disk.1 = b,format=raw,bootindex=2\n"
                                           "vm.disk.27 = c,format=raw,bootindex=1\n");
    conf_set(def->conf, "vm.rootfs", "disk");
    assert_true(throw_from_disk(def) && !throw_for_command(def));
    if (throw_plan(def, &plan, &err) < 0)
        fail_msg("%s", err.text);
    cleanup_close int fd = throw_initramfs(def, &plan, &con, &err);
    if (fd < 0)
        fail_msg("%s", err.text);
    cleanup_free char *command =
        xasprintf("mkdir out && cd out && cpio -idm --quiet --no-absolute-filenames <&%d && "
                  "[ -d proc ] && [ -d sys ] && [ -f sum.ko ] && tr '\\0' '\\n' <words >../words",
                  fd);
    fcntl(fd, F_SETFD, 0);
    lseek(fd, 0, SEEK_SET);
    assert_int_equal(system(command), 0);
    cleanup_free char *words = scratch_read("words");
    assert_string_equal(words, "Mvirtio_pci.ko\nMvirtio_blk.ko\nbvdc\nbvdb\nbvda\n"
                               "fxfs:sum.ko\nfxfs:xfs.ko\nfbtrfs:sum.ko\nfbtrfs:btrfs.ko\n"
                               "mmodules:ro:/lib/modules/9.9.9-test\nhg1\nr24\nc80\n");
    throw_plan_clear(&plan);
    conf_set(def->conf, "vm.command", "ls");
    assert_true(throw_for_command(def));
    conf_set(def->conf, "vm.workdir", "/tmp");
    assert_int_equal(throw_plan(def, &plan, &err), -1);
    assert_non_null(strstr(err.text, "vm.share.0"));
    throw_plan_clear(&plan);
    conf_unset(def->conf, "vm.workdir");
    conf_set(def->conf, "vm.disk.1", "b,format=what");
    assert_int_equal(throw_plan(def, &plan, &err), -1);
    assert_non_null(strstr(err.text, "vm.disk.1"));
    throw_plan_clear(&plan);
    conf_set(def->conf, "vm.disk.0", "");
    conf_set(def->conf, "vm.disk.1", "");
    conf_set(def->conf, "vm.disk.27", "");
    assert_int_equal(throw_plan(def, &plan, &err), -1);
    assert_non_null(strstr(err.text, "no disk"));
    throw_plan_clear(&plan);
    conf_free(def->conf);
    free(def);
}

/* What a copy of this machine does not have. */
static void test_hidden(void **state)
{
    static const char *const must[] = {"/proc", "/sys",        "/dev",
                                       "/run",  "/root",       "/home",
                                       "/tmp",  "/etc/shadow", "/etc/ssh/ssh_host_*_key"};
    struct error err;
    char **hidden = hostcopy_hidden(&err);

    (void)state;
    assert_non_null(hidden);
    for (size_t i = 0; i < ARRAY_SIZE(must); i++) {
        size_t j = 0;
        while (hidden[j] && !str_eq(hidden[j], must[i]))
            j++;
        if (!hidden[j])
            fail_msg("'%s' would be seen", must[i]);
    }
    for (size_t j = 0; hidden[j]; j++)
        assert_true(hidden[j][0] == '/' && hidden[j][1] && hidden[j][strlen(hidden[j]) - 1] != '/');
    strv_free(hidden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(test_modules), scratch_test(test_initramfs), scratch_test(test_plan),
        scratch_test(test_disk),    scratch_test(test_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
