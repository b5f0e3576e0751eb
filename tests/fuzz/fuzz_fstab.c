/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of mounts (lxc.mount.fstab): what is taken names a target that does not climb out of the
 * root, and what is refused is told.
 */
#include "fuzz/dir.h"

#include "base/cleanup.h"
#include "lxc/container.h"

static const char *const sources[] = {"proc",      "sysfs",  "tmpfs",   "/srv/data",
                                      "/dev/null", "none",   "devpts",  "/a\\040b",
                                      "../up",     "mqueue", "overlay", ""};
static const char *const targets[] = {"proc",      "sys",     "dev/pts",    "/srv/root/mnt",
                                      "/mnt",      "mnt/a/b", "../etc",     "a/../../b",
                                      "/srv/root", "a\\040b", "/srv/rootx", ".",
                                      "dev/shm",   ""};
static const char *const types[] = {"proc", "sysfs", "tmpfs",  "none",    "bind",
                                    "ext4", "auto",  "mqueue", "overlay", "fuse"};
static const char *const options[] = {
    "bind",     "rbind",    "ro",       "rw",          "nosuid",          "nodev",   "noexec",
    "defaults", "optional", "relative", "create=dir",  "create=file",     "size=1M", "mode=755",
    "rslave",   "rshared",  "private",  "strictatime", "idmap=container", "idmap=",  "x-y=z",
    "="};

static void line(struct feed *f, FILE *out)
{
    static const char *const between[] = {" ", "\t", "  ", " \t "};
    if (feed_rarely(f, 12)) {
        cleanup_free char *raw = feed_string(f, 80);
        fprintf(out, "%s\n", raw);
        return;
    }
    fprintf(out, "%s%s%s", feed_rarely(f, 9) ? "#" : "", feed_pick(f, sources),
            feed_pick(f, between));
    fprintf(out, "%s%s%s%s", feed_pick(f, targets), feed_pick(f, between), feed_pick(f, types),
            feed_pick(f, between));
    for (uint32_t n = 1 + feed_below(f, 4); n > 0; n--)
        fprintf(out, "%s%s", feed_pick(f, options), n > 1 ? "," : "");
    fprintf(out, "%s\n", feed_rarely(f, 4) ? " 0 0" : "");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int dir = -1;
    struct feed f = {data, size};
    struct error err = {0};
    struct config c = {0};
    if (dir < 0)
        dir = fuzz_dir();
    cleanup_free char *path = xasprintf("%s/fstab", fuzz_dir_path);
    FILE *out = fopen(path, "we");
    must(out != NULL);
    for (int i = 0; i < 40 && f.left > 0; i++)
        line(&f, out);
    fclose(out);
    struct tree root = {.path = (char *)"/srv/root", .fd = -1};
    c.trees = &root;
    c.tree_count = 1;
    if (mounts_add_fstab(&c, path, &err) < 0)
        must(*err.text != '\0');
    for (size_t i = 0; i < c.mount_count; i++) {
        const struct mount_entry *m = &c.mounts[i];
        must(m->target != NULL && *m->target != '\0' && m->source != NULL);
        must(!mount_entry_is_tree(m) || m->tree.path != NULL);
        mount_entry_clear(&c.mounts[i]);
    }
    free(c.mounts);
    return 0;
}
