/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Definitions of containers: what passes the check of a definition loads, or says why not; limits
 * stay what the definition said; nothing is lost on the way.
 */
#include "fuzz/feed.h"

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/def.h"
#include "lxc/container.h"
#include "guest/limits.h"
#include "lxc/lxc.h"

static const char *const keys[] = {
    "lxc.rootfs.path",
    "lxc.rootfs",
    "lxc.uts.name",
    "lxc.utsname",
    "lxc.init.cmd",
    "lxc.execute.cmd",
    "lxc.environment",
    "lxc.mount.entry",
    "lxc.cap.drop",
    "lxc.cap.keep",
    "lxc.idmap",
    "lxc.signal.halt",
    "lxc.signal.reboot",
    "lxc.no_new_privs",
    "lxc.cgroup2.memory.max",
    "lxc.cgroup2.cpu.max",
    "lxc.cgroup2.pids.max",
    "lxc.cgroup2.x.y",
    "lxc.cgroup.memory.limit_in_bytes",
    "lxc.cgroup.cpu.shares",
    "lxc.cgroup.cpu.cfs_quota_us",
    "lxc.cgroup.cpuset.cpus",
    "lxc.cgroup2.devices.allow",
    "guest.memory",
    "guest.cpus",
};
static const char *const values[] = {
    "",
    "/srv/lxc/con1",
    "dir:/x",
    "host:/",
    "con1",
    "/sbin/init",
    "/bin/sh -c 'a b'",
    "A=b",
    "PATH",
    "/bin bin none bind,ro,nosuid 0 0",
    "proc proc proc nodev 0 0",
    "tmpfs run tmpfs size=1M,mode=755",
    "/a ../b none bind,create=dir,optional",
    "a b",
    "/a\\040b c none rbind",
    "sys_admin net_raw",
    "none",
    "all",
    "u 0 100000 65536",
    "g 0 100000 65536",
    "u 0 4294967295 2",
    "b 0 0 1",
    "SIGPWR",
    "SIGRTMIN+3",
    "RTMAX-31",
    "0",
    "1",
    "99",
    "512M",
    "max",
    "50000 100000",
    "max 100000",
    "-1",
    "0-1",
    "18446744073709551615",
    "0.5",
    "1024",
    "/../../etc x none bind",
    "/dev/null dev/null",
};

static char *generate_value(struct feed *f)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (uint32_t n = feed_rarely(f, 3) ? feed_below(f, 4) : 1; n > 0; n--) {
        if (feed_rarely(f, 10)) {
            cleanup_free char *raw = feed_string(f, 24);
            fputs(raw, out);
        } else {
            fputs(feed_pick(f, values), out);
        }
        if (n > 1)
            fputs(feed_below(f, 2) ? " " : ",", out);
    }
    fclose(out);
    return text;
}

static void limits(const struct guest_def *def, unsigned v1)
{
    static struct limit list[LIMITS_MAX];
    struct error err = {0};
    int n = limits_of(def, v1, list, &err);
    must(n <= LIMITS_MAX);
    must(n >= 0 || *err.text != '\0');
    for (int i = 0; i < n; i++) {
        must(list[i].controller >= 0 && list[i].controller < CG_V1_COUNT);
        must(strnlen(list[i].file, sizeof list[i].file) < sizeof list[i].file);
        must(strnlen(list[i].value, sizeof list[i].value) < sizeof list[i].value);
        must(strchr(list[i].file, '/') == NULL && *list[i].file != '\0');
    }
}

static void loads(const struct guest_def *def)
{
    struct config c = {0};
    struct error err = {0};
    if (config_load(def, &c, &err) == 0) {
        must(c.argv != NULL && c.argv[0] != NULL);
        must(c.hostname != NULL && *c.hostname != '\0' && strlen(c.hostname) <= 64);
        must(c.halt_signal >= 1 && c.halt_signal <= 64);
        must(c.reboot_signal >= 1 && c.reboot_signal <= 64);
        must(c.map.uids <= IDMAP_MAX && c.map.gids <= IDMAP_MAX);
        must(c.tree_count + c.mount_count <= MESSAGE_FDS);
        for (size_t i = 0; i < c.mount_count; i++)
            must(c.mounts[i].target != NULL);
    } else {
        must(*err.text != '\0');
    }
    config_clear(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct engine *const engines[] = {&lxc_engine, NULL};
    struct feed f = {data, size};
    struct error err = {0};
    cleanup_def struct guest_def *def = NULL;
    struct conf *conf = conf_new("config");

    engines_set(engines);
    conf_set(conf, "guest.type", lxc_engine.type);
    unsigned v1 = feed_byte(&f);
    bool throwaway = feed_below(&f, 2);
    for (int i = 0; i < 100 && f.left > 0; i++) {
        cleanup_free char *value = generate_value(&f);
        conf_add(conf, feed_pick(&f, keys), value);
    }
    if (def_from_conf("fuzz", "/nonexistent/fuzz", conf, &def, &err) < 0) {
        must(*err.text != '\0');
        return 0;
    }
    def->throwaway = throwaway;
    limits(def, v1);
    loads(def);
    return 0;
}
