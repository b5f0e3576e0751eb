/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The root file system of a VM that boots from its disk without firmware.
 *
 * The kernel's command line may name it: root=/dev/vda2, root=LABEL=name, root=UUID=…. Else it is the
 * largest file system that has an init, on the first disk that has one, in the order of the words;
 * of btrfs also in the subvolumes in which distributions put it. rootflags=, ro and init= mean what
 * they mean to every initramfs.
 */
#include "kvm/throw/init/init.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACES     128 /* partitions that are looked at */
#define LABEL_MOST 256
#define UUID_TEXT  37
#define WAIT_MS    5000 /* for a disk: its driver may be slow */

/*
 * File systems by their superblocks; those that cannot be a root have no name for mount(2).
 * Where: of the magic, the UUID (0: none), the label (its length 0: none).
 */
static const struct kind {
    const char *name;
    const char *magic;
    unsigned magic_len, magic_at, uuid_at, label_at, label_len;
    bool is_root;
} kinds[] = {
    {"ext4", "\x53\xef", 2, 0x438, 0x468, 0x478, 16, true}, /* and its forefathers */
    {"xfs", "XFSB", 4, 0, 0x20, 0x6c, 12, true},
    {"btrfs", "_BHRfS_M", 8, 0x10040, 0x10020, 0x1012b, LABEL_MOST, true},
    {"f2fs", "\x10\x20\xf5\xf2", 4, 0x400, 0x46c, 0, 0, true},
    {"erofs", "\xe2\xe1\xf5\xe0", 4, 0x400, 0x430, 0x440, 16, true},
    {"squashfs", "hsqs", 4, 0, 0, 0, 0, true},
    {"LUKS", "LUKS\xba\xbe", 6, 0, 0, 0, 0, false},
    {"LVM", "LVM2 001", 8, 0x218, 0, 0, 0, false},
    {"swap", "SWAPSPACE2", 10, 0xff6, 0, 0, 0, false},
    {"vfat", "FAT32   ", 8, 0x52, 0, 0, 0, false},
    {"vfat", "FAT16   ", 8, 0x36, 0, 0, 0, false},
};

/* A disk, or a partition of one. */
static struct place {
    char name[32];
    unsigned long long sectors;
    const struct kind *kind; /* NULL: not known */
    bool has_partitions;
    char uuid[UUID_TEXT], label[LABEL_MOST + 1];
} places[PLACES];
static unsigned place_count;

/* What the command line says. */
static char *asked_root, *asked_flags, *asked_init;
static bool read_only;

/* ---- the command line ---- */

static void read_cmdline(void)
{
    static char line[4096];
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, line, sizeof(line) - 1) : 0;
    char *rest = line;

    if (fd >= 0)
        close(fd);
    line[n > 0 ? n : 0] = '\0';
    for (char *w; (w = strsep(&rest, " \n"));) {
        if (strncmp(w, "root=", 5) == 0)
            asked_root = w + 5;
        else if (strncmp(w, "rootflags=", 10) == 0)
            asked_flags = w + 10;
        else if (strncmp(w, "init=", 5) == 0)
            asked_init = w + 5;
        else if (strcmp(w, "ro") == 0)
            read_only = true;
        else if (strcmp(w, "rw") == 0)
            read_only = false;
    }
}

/* ---- what there is ---- */

static void look_at(struct place *p)
{
    static unsigned char head[0x10000 + 0x1000];
    char path[64];

    snprintf(path, sizeof(path), "/dev/%s", p->name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? pread(fd, head, sizeof(head), 0) : -1;
    if (fd >= 0)
        close(fd);
    for (const struct kind *k = kinds; k < kinds + sizeof(kinds) / sizeof(kinds[0]); k++) {
        if (n < (ssize_t)(k->magic_at + k->magic_len) ||
            memcmp(head + k->magic_at, k->magic, k->magic_len) != 0)
            continue;
        const unsigned char *u = head + k->uuid_at;
        p->kind = k;
        if (k->uuid_at && n >= (ssize_t)(k->uuid_at + 16))
            for (unsigned i = 0, at = 0; i < 16; i++)
                at += (unsigned)sprintf(p->uuid + at, "%s%02x",
                                        i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
        if (n >= (ssize_t)(k->label_at + k->label_len))
            memcpy(p->label, head + k->label_at, k->label_len);
        return;
    }
}

/* -1: there is no such disk, or partition. */
static int add_place(const char *name)
{
    char path[128], text[32];
    struct place *p = &places[place_count];

    snprintf(path, sizeof(path), "/sys/class/block/%s/size", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0 || place_count == PLACES)
        return -1;
    text[n] = '\0';
    memset(p, 0, sizeof(*p));
    snprintf(p->name, sizeof(p->name), "%s", name);
    p->sectors = strtoull(text, NULL, 10);
    look_at(p);
    place_count++;
    return 0;
}

static bool is_partition_of(const char *name, const char *disk)
{
    const size_t len = strlen(disk);

    return strncmp(name, disk, len) == 0 && isdigit((unsigned char)name[len]);
}

/* A disk and its partitions. */
static void add_disk(const char *disk)
{
    const unsigned first = place_count;

    for (int ms = 0; add_place(disk) < 0; ms += 50) {
        if (ms >= WAIT_MS) {
            say("pult: there is no disk %s\n", disk);
            return;
        }
        usleep(50000);
    }
    DIR *d = opendir("/sys/class/block");
    for (const struct dirent *e; d && (e = readdir(d));)
        if (is_partition_of(e->d_name, disk) && add_place(e->d_name) == 0)
            places[first].has_partitions = true;
    if (d)
        closedir(d);
}

/* ---- mounting ---- */

/* An init in what is mounted there. Its links lead to where they lead once it is the root. */
static bool find_init(const char *root, char *init, size_t room)
{
    const char *const usual[] = {"/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd",
                                 "/etc/init", "/bin/init"};
    const unsigned count = sizeof(usual) / sizeof(usual[0]);
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        if (chroot(root) < 0 || chdir("/") < 0)
            _exit(255);
        for (unsigned i = 0; i < count; i++)
            if (access(asked_init ? asked_init : usual[i], X_OK) == 0)
                _exit((int)i);
        _exit(255);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
        (unsigned)WEXITSTATUS(status) >= count)
        return false;
    snprintf(init, room, "%s", asked_init ? asked_init : usual[WEXITSTATUS(status)]);
    return true;
}

void disk_init(const char *root, char *init, size_t room)
{
    if (!find_init(root, init, room))
        die("find an init on the disk", "");
}

static void load_kind(const char *name)
{
    const size_t len = strlen(name);

    for (char *w = word('f', NULL); w; w = word('f', w))
        if (strncmp(w, name, len) == 0 && w[len] == ':')
            load_module(w + len + 1);
}

static int mount_place(const struct place *p, const char *at, unsigned long flags,
                       const char *options)
{
    char path[64];

    snprintf(path, sizeof(path), "/dev/%s", p->name);
    return mount_at(p->kind->name, path, at, flags, options);
}

/* Mount it if it has an init, or is the one that was asked for. */
static bool try_options(const struct place *p, const char *at, const char *options, bool must)
{
    char init[256];

    if (mount_place(p, at, MS_RDONLY, options) < 0) {
        if (must && errno == ENODEV)
            die("this kernel has no file system ", p->kind->name);
        if (must)
            die("mount ", p->name);
        return false;
    }
    if (!must && !find_init(at, init, sizeof(init))) {
        umount(at);
        return false;
    }
    if (read_only)
        return true;
    umount(at);
    if (mount_place(p, at, 0, options) < 0 && mount_place(p, at, MS_RDONLY, options) < 0)
        die("mount ", p->name);
    return true;
}

static bool try_place(const struct place *p, const char *at, bool must)
{
    static const char *const subvolumes[] = {NULL, "subvol=@", "subvol=@rootfs", "subvol=root"};

    load_kind(p->kind->name);
    if (asked_flags || must || strcmp(p->kind->name, "btrfs") != 0)
        return try_options(p, at, asked_flags, must);
    for (unsigned i = 0; i < sizeof(subvolumes) / sizeof(subvolumes[0]); i++)
        if (try_options(p, at, subvolumes[i], false))
            return true;
    return false;
}

/* ---- choosing ---- */

static bool is_asked(const struct place *p)
{
    if (strncmp(asked_root, "/dev/", 5) == 0)
        return strcmp(p->name, asked_root + 5) == 0;
    if (strncmp(asked_root, "UUID=", 5) == 0)
        return *p->uuid && strcasecmp(p->uuid, asked_root + 5) == 0;
    if (strncmp(asked_root, "LABEL=", 6) == 0)
        return *p->label && strcmp(p->label, asked_root + 6) == 0;
    return false;
}

/* What was found, and what may be done. */
static void fail(const char *why)
{
    bool sealed = false;

    say("pult: %s. There is:\n", why);
    for (const struct place *p = places; p < places + place_count; p++) {
        say("pult:   /dev/%s, %llu MiB, %s%s%s\n", p->name, p->sectors >> 11,
            p->kind             ? p->kind->name
            : p->has_partitions ? "with partitions"
                                : "of no known kind",
            *p->label ? ", LABEL=" : "", p->label);
        sealed |= p->kind && !p->kind->is_root;
    }
    say("pult: name the root by --append root=/dev/…, root=LABEL=… or root=UUID=…%s\n",
        sealed ? "; what is on LUKS or LVM boots with --kernel and --initrd of its own" : "");
    give_up();
}

static bool use_asked(const char *at)
{
    for (const struct place *p = places; p < places + place_count; p++)
        if (is_asked(p)) {
            if (!p->kind || !p->kind->is_root)
                fail("what root= names is no file system that can be mounted");
            return try_place(p, at, true);
        }
    return false;
}

/* The largest first, of those from this one on, which are one disk's. */
static bool use_largest(unsigned first, const char *at)
{
    bool tried[PLACES] = {false};

    for (;;) {
        unsigned best = PLACES;
        for (unsigned i = first; i < place_count; i++)
            if (!tried[i] && places[i].kind && places[i].kind->is_root &&
                !places[i].has_partitions &&
                (best == PLACES || places[i].sectors > places[best].sectors))
                best = i;
        if (best == PLACES)
            return false;
        if (try_place(&places[best], at, false))
            return true;
        tried[best] = true;
    }
}

void disk_mount_root(const char *at)
{
    mount_at("proc", "proc", "/proc", 0, NULL);
    mount_at("sysfs", "sysfs", "/sys", 0, NULL);
    read_cmdline();
    for (const char *disk = word('b', NULL); disk; disk = word('b', disk)) {
        const unsigned first = place_count;
        add_disk(disk);
        if (!asked_root && use_largest(first, at))
            goto found;
    }
    if (!asked_root)
        fail("no file system on the disk has an init");
    if (!use_asked(at))
        fail("what root= names is not there");
found:
    umount("/sys");
    umount("/proc");
}
