/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The forms of lxc.rootfs.path, see rootpath.h. */
#include "lxc/rootpath.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/rundir.h"
#include "guest/store.h"
#include "lxc/container.h"

#define VIEW        "/sys" /* where a view is mounted: of no use to who copies files */
#define LOOP_TRIES  32     /* others take free devices, too */
#define PROBE_BYTES (65 << 10)

/* ---- what is said ---- */

static int no_path(const char *value, struct error *err)
{
    error_set(err, 0, "'%s' is not the absolute path of a directory", value);
    return error_hint(err, "or of an image or a block device; overlay:LOWER:UPPER, or host:/ for a "
                           "copy of this machine; what else LXC knows is to be mounted before");
}

/* LOWER[:LOWER…]:UPPER */
static int parse_overlay(const char *value, const char *dirs, struct root_path *r,
                         struct error *err)
{
    while (*dirs) {
        const size_t n = strcspn(dirs, ":");
        cleanup_free char *dir = xstrndup(dirs, n);
        const bool last = dirs[n] == '\0';
        if (*dir != '/' || str_eq(dir, "/"))
            return no_path(value, err);
        if (!last && r->lower_count == LOWERS_MAX)
            return error_set(err, 0, "'%s' has more than %d layers", value, LOWERS_MAX);
        if (last)
            r->path = steal_ptr(dir);
        else
            r->lowers[r->lower_count++] = steal_ptr(dir);
        dirs += n + !last;
    }
    return r->path && r->lower_count > 0 ? 0 : no_path(value, err);
}

/* What LXC writes before a path to say what lies there. */
static const char *after_prefix(const char *value, enum root_form *form)
{
    static const struct {
        const char *prefix;
        enum root_form form;
    } kinds[] = {{"dir:", ROOT_IS_DIR},    {"btrfs:", ROOT_IS_DIR}, {"zfs:", ROOT_IS_DIR},
                 {"loop:", ROOT_IS_IMAGE}, {"lvm:", ROOT_IS_IMAGE}, {"rbd:", ROOT_IS_IMAGE}};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (str_starts(value, kinds[i].prefix)) {
            *form = kinds[i].form;
            return value + strlen(kinds[i].prefix);
        }
    return value;
}

static bool is_image(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode));
}

int root_path_parse(const char *value, struct root_path *r, struct error *err)
{
    *r = (struct root_path){0};
    if (str_starts(value, "overlay:") || str_starts(value, "overlayfs:")) {
        r->form = ROOT_IS_OVERLAY;
        if (parse_overlay(value, strchr(value, ':') + 1, r, err) == 0)
            return 0;
        root_path_clear(r);
        return -1;
    }
    const char *path = after_prefix(value, &r->form);
    if (*path != '/')
        return no_path(value, err);
    if (is_image(path))
        r->form = ROOT_IS_IMAGE;
    r->path = xstrdup(path);
    return 0;
}

int root_path_of(const struct guest_def *def, struct root_path *r, struct error *err)
{
    const char *value = conf_get(def->conf, "lxc.rootfs.path");
    if (value)
        return root_path_parse(value, r, err);
    *r = (struct root_path){.path = xasprintf("%s/rootfs", def->dir)};
    return 0;
}

void root_path_clear(struct root_path *r)
{
    free(r->path);
    for (unsigned i = 0; i < r->lower_count; i++)
        free(r->lowers[i]);
    *r = (struct root_path){0};
}

char *root_path_text(const struct root_path *r)
{
    if (r->form != ROOT_IS_OVERLAY)
        return xasprintf("%s%s", r->form == ROOT_IS_IMAGE ? "loop:" : "", r->path);
    char *text = xstrdup("overlay:");
    for (unsigned i = 0; i <= r->lower_count; i++) {
        char *more =
            xasprintf("%s%s%s", text, i ? ":" : "", i < r->lower_count ? r->lowers[i] : r->path);
        free(text);
        text = more;
    }
    return text;
}

/* ---- images ---- */

/* The file systems that are known by what stands at their beginning. */
static const struct {
    const char *type, *magic;
    size_t at, length;
} images[] = {
    {"ext4", "\x53\xef", 0x438, 2},         {"xfs", "XFSB", 0, 4},
    {"btrfs", "_BHRfS_M", 0x10040, 8},      {"squashfs", "hsqs", 0, 4},
    {"erofs", "\xe2\xe1\xf5\xe0", 1024, 4},
};

static const char *image_type(int fd)
{
    cleanup_free char *head = xcalloc(1, PROBE_BYTES);
    const ssize_t n = pread(fd, head, PROBE_BYTES, 0);
    for (size_t i = 0; i < ARRAY_SIZE(images); i++)
        if (n >= (ssize_t)(images[i].at + images[i].length) &&
            memcmp(head + images[i].at, images[i].magic, images[i].length) == 0)
            return images[i].type;
    return NULL;
}

/* Put the file behind a free device. */
static char *loop_take(int file, bool read_only, int *fd, struct error *err)
{
    const struct loop_config config = {
        .fd = (uint32_t)file,
        .info = {.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0)},
    };
    cleanup_close int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return error_set(err, errno, "open '/dev/loop-control'"), NULL;
    for (int i = 0; i < LOOP_TRIES; i++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
            return error_set(err, errno, "find a free loop device"), NULL;
        cleanup_free char *path = xasprintf("/dev/loop%d", number);
        cleanup_close int device = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        if (device < 0)
            return error_set(err, errno, "open '%s'", path), NULL;
        if (ioctl(device, LOOP_CONFIGURE, &config) == 0) {
            *fd = steal_fd(device);
            return steal_ptr(path);
        }
        if (errno != EBUSY)
            return error_set(err, errno, "set up '%s'", path), NULL;
    }
    return error_set(err, EBUSY, "find a free loop device"), NULL;
}

/* The image's descriptor, and what is in it. */
static int image_open(const char *image, bool read_only, const char **type, struct error *err)
{
    cleanup_close int file =
        open(image, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file < 0)
        return error_set(err, errno, "open the image '%s'", image);
    *type = image_type(file);
    if (*type)
        return steal_fd(file);
    error_set(err, 0, "the image '%s' has no file system that is known", image);
    return error_hint(err, "ext2 to ext4, xfs, btrfs, squashfs and erofs are");
}

int image_check(const char *image, struct error *err)
{
    const char *type;
    cleanup_close int file = image_open(image, true, &type, err);
    return file < 0 ? -1 : 0;
}

char *loop_device(const char *image, bool read_only, int *fd, const char **type, struct error *err)
{
    cleanup_close int file = image_open(image, read_only, type, err);
    struct stat st;
    if (file < 0)
        return NULL;
    /* The lock is the open file's, which the device keeps: mounted twice it would be ruined. */
    if (flock(file, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
        return error_set(err, 0, "the image '%s' is in use", image), NULL;
    /* The kernel mounts a block device once, however often it is asked to. */
    if (fstat(file, &st) == 0 && S_ISBLK(st.st_mode)) {
        *fd = steal_fd(file);
        return xstrdup(image);
    }
    return loop_take(file, read_only, fd, err);
}

/* ---- marks of overlays ---- */

/* Look for marks of both kinds in a layer. A bit each. */
static unsigned marks_in(const char *layer)
{
    static const char *const marks[][2] = {
        {"trusted.overlay.opaque", "trusted.overlay.redirect"},
        {"user.overlay.opaque", "user.overlay.redirect"},
    };
    char *const paths[] = {(char *)(uintptr_t)layer, NULL};
    FTS *t = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV | FTS_NOSTAT, NULL);
    const FTSENT *e;
    unsigned found = 0;
    while (t && found != 3 && (e = fts_read(t)))
        for (unsigned i = 0; e->fts_info == FTS_D && i < 4; i++)
            if (lgetxattr(e->fts_path, marks[i / 2][i % 2], NULL, 0) >= 0)
                found |= 1u << i / 2;
    if (t)
        fts_close(t);
    return found;
}

static char *owner_of(const char *path);

const char *root_path_marks(const struct root_path *r, const char *otherwise, struct error *err)
{
    unsigned found = 0;
    bool elsewhere = false;
    for (unsigned i = 0; i <= r->lower_count; i++) {
        cleanup_free char *ours = owner_of(i == 0 ? r->path : r->lowers[i - 1]);
        elsewhere |= !ours;
    }
    if (!elsewhere || geteuid() != 0)
        return "user"; /* we alone wrote to them; or could see no others */
    /* The lowest has nothing below it that could be gone. */
    for (unsigned i = 0; i < r->lower_count; i++)
        found |= marks_in(i == 0 ? r->path : r->lowers[i - 1]);
    if (found != 3)
        return found == 0 ? otherwise : found == 1 ? "trusted" : "user";
    error_set(err, 0, "the layers of '%s' bear marks of two kinds of overlays", r->path);
    error_hint(err, "attributes trusted.overlay.* and user.overlay.*: with either, files that were "
                    "removed would be there again");
    return NULL;
}

/* ---- the whole as one directory ---- */

static int view_overlay(const struct root_path *r, struct error *err)
{
    int dirs[LOWERS_MAX + 1], fd = -1;
    char lower[32 * (LOWERS_MAX + 1)] = "";
    unsigned n = 0;
    for (; n <= r->lower_count; n++) {
        const char *dir = n == 0 ? r->path : r->lowers[n - 1];
        dirs[n] = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dirs[n] < 0) {
            error_set(err, errno, "open '%s'", dir);
            break;
        }
        const size_t len = strlen(lower);
        snprintf(lower + len, sizeof lower - len, "%s/proc/self/fd/%d", n ? ":" : "", dirs[n]);
    }
    const char *marks = n > r->lower_count ? root_path_marks(r, "user", err) : NULL;
    const char *const options[] = {"lowerdir", lower, str_eq(marks, "user") ? "userxattr" : NULL,
                                   "", NULL};
    if (marks)
        fd = fs_mount("overlay", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSYMFOLLOW, options, err);
    while (n-- > 0)
        close(dirs[n]);
    return fd;
}

static int view_image(const struct root_path *r, struct error *err)
{
    const char *type;
    cleanup_close int device = -1;
    cleanup_free char *path = loop_device(r->path, true, &device, &type, err);
    cleanup_close int fs = path ? fsopen(type, FSOPEN_CLOEXEC) : -1;
    int fd = -1;
    if (!path)
        return -1;
    if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "source", path, 0) < 0 ||
        fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ||
        (fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSYMFOLLOW)) < 0)
        return error_set(err, errno, "mount the image '%s' as %s", r->path, type);
    return fd;
}

/*
 * A directory in its own place, but no link in it is followed: who reads it by paths reads nothing
 * else, whatever is put in place of what meanwhile.
 */
static char *view_dir(const struct root_path *r, struct error *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_NOSYMFOLLOW};
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    cleanup_free char *real = realpath(r->path, NULL);
    cleanup_close int fd = real ? open_tree(AT_FDCWD, real, flags) : -1;
    if (fd < 0 && real && errno == EINVAL) /* a user may not leave out what is mounted below */
        fd = open_tree(AT_FDCWD, real, flags | AT_RECURSIVE);
    const char *at = str_eq(real, "/") ? VIEW : real;
    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0 ||
        move_mount(fd, "", AT_FDCWD, at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_set(err, errno, "open '%s'", r->path), NULL;
    return xstrdup(at);
}

char *root_path_view(const struct root_path *r, struct error *err)
{
    if (r->form == ROOT_IS_DIR)
        return view_dir(r, err);
    cleanup_close int fd = r->form == ROOT_IS_OVERLAY ? view_overlay(r, err) : view_image(r, err);
    if (fd < 0)
        return NULL;
    if (move_mount(fd, "", AT_FDCWD, VIEW, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_set(err, errno, "mount '%s'", r->path), NULL;
    return xstrdup(VIEW);
}

/* What else the root is in the layer below. */
static int copy_attributes(const char *from, const char *to, struct error *err)
{
    cleanup_free char *names = NULL, *value = NULL;
    const ssize_t len = listxattr(from, NULL, 0);
    ssize_t have = 0, n;
    if (len > 0) {
        names = xcalloc(1, (size_t)len + 1);
        have = listxattr(from, names, (size_t)len);
        value = xcalloc(1, XATTR_SIZE_MAX);
    }
    for (const char *name = names; have > 0 && name < names + have; name += strlen(name) + 1) {
        if (str_starts(name, "trusted.") || str_starts(name, "security.") ||
            str_starts(name, "user.overlay."))
            continue;
        if ((n = getxattr(from, name, value, XATTR_SIZE_MAX)) < 0 ||
            setxattr(to, name, value, (size_t)n, 0) < 0)
            return error_set(err, errno, "copy the attribute '%s' of '%s'", name, from);
    }
    return 0;
}

int root_path_upper(const struct root_path *r, const char *dir, struct error *err)
{
    const char *below = r->lowers[0], *slash = strrchr(r->path, '/');
    cleanup_free char *upper = xasprintf("%s%s", dir, slash);
    cleanup_free char *work = xasprintf("%s/" OVERLAY_WORK, dir);
    const char *const all[] = {dir, upper, work};
    struct stat st;
    if (stat(below, &st) < 0)
        return error_set(err, errno, "look at '%s'", below);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (mkdir(all[i], 0755) < 0 || lchown(all[i], st.st_uid, st.st_gid) < 0 ||
            chmod(all[i], st.st_mode & 07777) < 0)
            return error_set(err, errno, "make '%s'", all[i]);
    return copy_attributes(below, upper, err);
}

/* ---- who needs it ---- */

static bool is_below(const char *path, const char *dir)
{
    const size_t n = strlen(dir);
    return str_starts(path, dir) && (path[n] == '/' || path[n] == '\0');
}

/* Has this guest a layer in the directory? */
static bool has_layer_in(const char *name, const char *dir)
{
    cleanup_def struct guest_def *def = NULL;
    cleanup_root_path struct root_path r = {0};
    if (store_load(name, &def, NULL) < 0)
        return false;
    const char *value = conf_get(def->conf, "lxc.rootfs.path");
    if (!value || root_path_parse(value, &r, NULL) < 0)
        return false;
    for (unsigned i = 0; i < r.lower_count; i++)
        if (is_below(r.lowers[i], dir))
            return true;
    return false;
}

/* The names of those that have, or of those that run. Caller frees; NULL: none. */
static char *layered_on(const struct guest_def *def, const char *dir, bool running)
{
    char **names, *users = NULL;
    const size_t n = store_names(&names);
    for (size_t i = 0; i < n; i++) {
        struct guest_info info = {0};
        if (str_eq(names[i], def->name) || !has_layer_in(names[i], dir))
            continue;
        const bool runs =
            running && store_info(names[i], &info, NULL) == 0 && state_alive(info.state);
        guest_info_clear(&info);
        if (running && !runs)
            continue;
        char *more = users ? xasprintf("%s, %s", users, names[i]) : xstrdup(names[i]);
        free(users);
        users = more;
    }
    strv_free(names);
    return users;
}

int root_path_needed(const struct guest_def *def, const char *dir, struct error *err)
{
    cleanup_free char *users = layered_on(def, dir, false);
    if (!users)
        return 0;
    error_set(err, EBUSY, "'%s' is what clones by overlay lie on: %s", def->name, users);
    return error_hint(err, "destroy them first; `pult clone` of such a one makes a whole copy");
}

/* ---- who holds it while it runs ---- */

/* Whose root is this? NULL: none's of this store, or as it was in a snapshot. Caller frees. */
static char *owner_of(const char *path)
{
    cleanup_free char *guests = xasprintf("%s/guests/", place_home());
    if (!str_starts(path, guests))
        return NULL;
    path += strlen(guests);
    const size_t len = strcspn(path, "/");
    return str_starts(path + len, "/snapshots/") ? NULL : xstrndup(path, len);
}

/*
 * On a file that no container can reach, so that none can hold it. 0: it is locked, or cannot be; -1:
 * by another.
 */
static int layer_hold(const char *owner, int how, int *fd)
{
    cleanup_free char *path = xasprintf("%s/guests/%s/" RUNNING_FILE, place_home(), owner);
    cleanup_close int own = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (own < 0 || flock(own, how | LOCK_NB) < 0)
        return own >= 0 && errno == EWOULDBLOCK ? -1 : 0;
    *fd = steal_fd(own);
    return 0;
}

int root_path_hold(const struct guest_def *def, int fds[ROOT_HOLDS], struct error *err)
{
    cleanup_root_path struct root_path r = {0};
    const char *value = conf_get(def->conf, "lxc.rootfs.path");
    if ((value && str_starts(value, "host:")) || root_path_of(def, &r, NULL) < 0)
        return 0;
    cleanup_free char *owner = owner_of(r.path);
    if (r.form != ROOT_IS_IMAGE && owner && str_eq(owner, def->name) &&
        layer_hold(owner, LOCK_EX, &fds[LOWERS_MAX]) < 0) {
        cleanup_free char *users = layered_on(def, r.path, true);
        error_set(err, 0, "clones by overlay that lie on '%s' run: %s", def->name,
                  users ? users : "of another store");
        return error_hint(err, "what is changed below them breaks their files: stop them first");
    }
    for (unsigned i = 0; i < r.lower_count; i++) {
        cleanup_free char *below = owner_of(r.lowers[i]);
        if (below && !str_eq(below, def->name) && layer_hold(below, LOCK_SH, &fds[i]) < 0) {
            error_set(err, 0, "'%s', which this clone by overlay lies on, runs", below);
            return error_hint(err, "what is changed below it breaks its files: stop that first");
        }
    }
    return 0;
}
