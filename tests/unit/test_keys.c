/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys of containers: spellings, what is forgotten, values, fstab lines, profiles of system calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/container.h"
#include "lxc/seccomp_profile.h"

/* The text in today's spelling, or why there is none. */
static char *modern(const char *text)
{
    cleanup_conf struct conf *c = NULL;
    struct error err;
    if (conf_parse("test", text, strlen(text), &c, &err) < 0 || keys_modern(c, &err) < 0)
        return xstrdup(err.text);
    return conf_text(c, NULL);
}

static void spellings(void **state)
{
    static const struct {
        const char *old, *now;
    } all[] = {
        {"lxc.utsname = a\n# comment\nlxc.tty=4\n",
         "lxc.uts.name = a\n# comment\nlxc.tty.max = 4\n"},
        {"lxc.limit.nofile = 1\n", "lxc.prlimit.nofile = 1\n"},
        {"lxc.uts.name=a\n", "lxc.uts.name=a\n"},
        {"lxc.network.type = veth\nlxc.network.ipv4 = 10.0.0.1\nlxc.network.type = empty\n",
         "lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 10.0.0.1\nlxc.net.1.type = empty\n"},
        {"lxc.net.4.type = empty\nlxc.network.type = phys\n",
         "lxc.net.4.type = empty\nlxc.net.5.type = phys\n"},
        {"lxc.network.type = veth\nlxc.network =\nlxc.network.type = empty\n",
         "lxc.net =\nlxc.net.1.type = empty\n"},
        {"lxc.network.link = br0\n", "test:1: lxc.network.link before any lxc.network.type"},
        {"lxc.hook.start = /a\nlxc.hook.stop = /b\nlxc.hook =\nlxc.hook.stop = /c\n",
         "lxc.hook =\nlxc.hook.stop = /c\n"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        cleanup_free char *got = modern(all[i].old);
        assert_string_equal(got, all[i].now);
    }
}

static int take(const char *text, struct config *c, struct error *err)
{
    cleanup_conf struct conf *conf = NULL;
    *c = (struct config){0};
    if (conf_parse("test", text, strlen(text), &conf, err) < 0)
        return -1;
    return conf_take(conf, lxc_keys, c, err);
}

static void values(void **state)
{
    struct config c;
    struct error err = {0};
    (void)state;
    if (take("lxc.prlimit.nofile = 10:unlimited\nlxc.signal.stop = SIGRTMIN+3\n"
             "lxc.time.offset.boot = -1500 ms\nlxc.console.size = 2 MB\nlxc.namespace.keep = net "
             "uts\n"
             "lxc.hook.mount = /a\nlxc.hook.mount =\nlxc.hook.mount = /b c\nlxc.hook.mount = /d\n"
             "lxc.mount.auto = proc:mixed cgroup:ro:force sys\nlxc.uts.name = \"quoted\"\n"
             "lxc.sysctl.net.ipv4.conf.all.forwarding = 1\nlxc.init.groups = 1, 2 3\n",
             &c, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(c.set.limits.all[RLIMIT_NOFILE].rlim_cur, 10);
    assert_true(c.set.limits.all[RLIMIT_NOFILE].rlim_max == RLIM_INFINITY);
    assert_int_equal(c.set.stop_signal, SIGRTMIN + 3);
    assert_int_equal(c.set.boot.tv_sec, -2);
    assert_int_equal(c.set.boot.tv_nsec, 500000000);
    assert_int_equal(c.set.console_log_size, 2 << 20);
    assert_int_equal(c.set.keep, 1u << SHARE_NET | 1u << SHARE_UTS);
    assert_int_equal(strv_len(c.set.hooks[HOOK_MOUNT]), 2);
    assert_string_equal(c.set.hooks[HOOK_MOUNT][0], "/b c");
    assert_int_equal(c.set.autos.proc, AUTO_MIXED);
    assert_int_equal(c.set.autos.sys, AUTO_MIXED);
    assert_int_equal(c.set.autos.cgroup, AUTO_RO);
    assert_string_equal(c.set.sysctl[0], "net/ipv4/conf/all/forwarding=1");
    assert_int_equal(c.set.groups.count, 3);
    settings_clear(&c.set);

    static const char *const wrong[] = {"lxc.prlimit.nofile = 3:2\n",
                                        "lxc.prlimit.nothing = 1\n",
                                        "lxc.time.offset.boot = 5\n",
                                        "lxc.namespace.share.user = a\n",
                                        "lxc.proc. = 1\n",
                                        "lxc.mount.auto = proc:wo\n",
                                        "lxc.namespace.keep = mount net\n"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(take(wrong[i], &c, &err), -1);
        assert_true(str_starts(err.text, "test:1: lxc."));
        settings_clear(&c.set);
    }
}

static void fstab(void **state)
{
    struct mount_entry m;
    struct error err;
    (void)state;
    assert_int_equal(mount_entry_parse("/a\\040b /c/d none bind,ro,noatime,rslave,optional,x=1 0 0",
                                       &m, &err),
                     0);
    assert_string_equal(m.source, "/a b");
    assert_string_equal(m.target, "c/d");
    assert_true(m.bind && m.optional && m.tree.propagation == MS_SLAVE);
    assert_string_equal(m.data, "x=1");
    assert_true(mount_attr_clear(m.attr) == MOUNT_ATTR__ATIME);
    mount_entry_clear(&m);
    assert_int_equal(mount_entry_parse("/dev/sda1 mnt ext4 defaults", &m, &err), 0);
    assert_true(mount_entry_is_tree(&m));
    mount_entry_clear(&m);
    assert_int_equal(mount_entry_parse("relative mnt none bind", &m, &err), -1);
    assert_int_equal(mount_entry_parse("/a / none bind", &m, &err), -1);
    assert_int_equal(mount_entry_parse("/a b", &m, &err), -1);
}

static int profile(const char *text, struct filter *f, struct error *err)
{
    cleanup_fclose FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    *f = (struct filter){0};
    return profile_parse(file, "p", f, err);
}

/* However long a line is, it is one. */
static void long_lines(void **state)
{
    char path[] = "/tmp/test_keys.XXXXXX";
    cleanup_close int fd = mkostemp(path, O_CLOEXEC);
    struct config c = {0};
    struct filter filter;
    struct error err;
    (void)state;
    assert_true(fd >= 0);
    dprintf(fd, "# %04093d /host /from/a/comment none bind\n", 0);
    dprintf(fd, "/%04000d /c/d none ro,bind,x=%0200d 0 0\n/e /f none bind", 1, 2);
    assert_int_equal(mounts_add_fstab(&c, path, &err), 0);
    assert_int_equal(c.mount_count, 2);
    assert_int_equal(strlen(c.mounts[0].source), 4001);
    assert_int_equal(strlen(c.mounts[0].data), 202);
    assert_string_equal(c.mounts[1].target, "f");
    config_clear(&c);
    unlink(path);
    cleanup_free char *text = xasprintf("2\nallowlist\nread # %01016d no_call\n", 0);
    if (profile(text, &filter, &err) < 0)
        fail_msg("%s", err.text);
    filter_clear(&filter);
}

static void profiles(void **state)
{
    static const char *const right[] = {
        "2\ndenylist\nmknod errno 1\n",
        "2\nblacklist allow\n[all]\nreject_force_umount # comment\nno_such_call errno 1\n",
        ("2\nallowlist errno 38\n[x86_64]\nread\nwrite allow\n[x86]\nioctl allow "
         "[1,0x5401,SCMP_CMP_EQ]\n"),
        "2\ndenylist\nclone errno 1 [0,0x10000000,SCMP_CMP_MASKED_EQ,0x10000000]\n",
        "1\nwhitelist\n0\n1\n60\n"};
    static const struct {
        const char *text, *why;
    } wrong[] = {{"3\ndenylist\n", "p:1: "},
                 {"2\nlist\n", "p:2: 'list'"},
                 {"2\ndenylist\nmknod error 1\n", "p:3: 'error' is no action"},
                 {"2\nallowlist notify\nread\n", "p:2: 'notify'"},
                 {"2\ndenylist\nmknod errno 1 [9,1,SCMP_CMP_EQ]\n", "p:3: "},
                 {"1\nallowlist\nread\n", "p:3: "},
                 {"2\n", "p: a profile begins"}};
    struct filter f;
    struct error err;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
        if (profile(right[i], &f, &err) < 0)
            fail_msg("%s", err.text);
        assert_true(f.count > 0);
        filter_clear(&f);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        assert_int_equal(profile(wrong[i].text, &f, &err), -1);
        assert_true(str_starts(err.text, wrong[i].why));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings),  cmocka_unit_test(values),   cmocka_unit_test(fstab),
        cmocka_unit_test(long_lines), cmocka_unit_test(profiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
