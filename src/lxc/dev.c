/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /dev of a container: a tmpfs with the devices that every program may expect, which are mounted
 * from the host's one by one (a user namespace can make none); a devpts of its own, whose first
 * terminal is the console and whose next are its ttys; and the file systems for shared memory and message queues.
 *
 * With lxc.autodev = 0 it is the root's own /dev that all this is put onto, as far as there are places
 * for it. Nothing is followed in there: who was root in it may have made it.
 */
#include "lxc/container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/sys.h"

#define PTY_MOST  1048576u /* linux/magic.h: NR_UNIX98_PTY_MAX */
#define PTY_SPARE 17u
#define TTY_GROUP 5 /* of Debian and all who follow the LSB's order */

static const struct {
    const char *name;
    unsigned major, minor; /* Documentation/admin-guide/devices.txt */
} devices[] = {{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
               {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

static const struct {
    const char *name, *to;
} links[] = {{"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"},
             {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
             {"ptmx", "pts/ptmx"},          {"core", "/proc/kcore"}};

/*
 * Put a clone of a mount onto a new, empty file in /dev. In a /dev of the root's own: onto what it has
 * of that name, if that is no link.
 */
static int file_attach(const struct config *c, int dev, const char *name, int tree)
{
    cleanup_close int at =
        c->set.own_dev ? sys_open_in_root(dev, name, O_PATH | O_NOFOLLOW, 0, RESOLVE_NO_SYMLINKS)
                       : openat(dev, name, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0600);
    struct stat st;
    if (at < 0)
        return c->set.own_dev && (errno == ENOENT || errno == ELOOP) ? 0 : -1;
    if (c->set.own_dev && (fstat(at, &st) < 0 || S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode)))
        return 0;
    return sys_attach(tree, at);
}

/*
 * Read-only mounts: a device is written to all the same, but where root inside is root outside its
 * mode, owner and times would otherwise be the container's to change.
 */
static int devices_bind(const struct config *c, int dev, struct error *err)
{
    struct mount_attr attr = {.attr_set =
                                  MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC};
    char path[32];
    struct stat st;
    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        snprintf(path, sizeof path, "/dev/%s", devices[i].name);
        cleanup_close int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree < 0 || fstat(tree, &st) < 0)
            return error_set(err, errno, "open the host's '%s'", path);
        if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(devices[i].major, devices[i].minor))
            return error_set(err, 0, "the host's '%s' is not that device", path);
        if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0 ||
            file_attach(c, dev, devices[i].name, tree) < 0)
            return error_set(err, errno, "mount '%s'", path);
    }
    return 0;
}

/* The same for a file system and a directory, which every /dev has that is named pts. */
static int dir_attach(const struct config *c, int dev, const char *name, int fd)
{
    if (mkdirat(dev, name, 0755) < 0 && !(c->set.own_dev && errno == EEXIST))
        return -1;
    cleanup_close int at =
        sys_open_in_root(dev, name, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
    return at < 0 ? -1 : sys_attach(fd, at);
}

/* Mount a new file system on a new directory of /dev; the mount's descriptor. */
static int dir_mount(const struct config *c, int dev, const char *name, const char *type,
                     const char *const *options, struct error *err)
{
    cleanup_close int fd = fs_mount(type, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, options, err);
    if (fd < 0)
        return error_wrap(err, "mount /dev/%s", name);
    if (dir_attach(c, dev, name, fd) < 0)
        return error_set(err, errno, "mount /dev/%s", name);
    return steal_fd(fd);
}

static int pts_mount(const struct config *c, int dev, struct error *err)
{
    char most[16];
    const char *options[] = {"newinstance", "",   "ptmxmode", "0666", "mode", "0620",
                             NULL,          NULL, NULL,       NULL,   NULL};
    size_t n = 6;
    if (idmap_has_gid(&c->map, TTY_GROUP)) {
        options[n++] = "gid";
        options[n++] = "5";
    }
    if (c->set.pty_max) {
        /* As LXC has it: the ttys come on top; and the console, and what `pult exec` needs. */
        snprintf(most, sizeof most, "%u", min(c->set.pty_max, PTY_MOST) + c->set.ttys + PTY_SPARE);
        options[n++] = "max";
        options[n++] = most;
    }
    return dir_mount(c, dev, "pts", "devpts", options, err);
}

/* Make a terminal of the new devpts. name: its own there. */
static int pty_make(int pts, int *master, int *slave, char name[16], struct error *err)
{
    int unlock = 0;
    unsigned number;
    cleanup_close int m = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (m < 0 || ioctl(m, TIOCSPTLCK, &unlock) < 0 || ioctl(m, TIOCGPTN, &number) < 0)
        return error_set(err, errno, "make a terminal");
    *slave = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*slave < 0)
        return error_set(err, errno, "open a terminal");
    snprintf(name, 16, "%u", number);
    *master = steal_fd(m);
    return 0;
}

/* Show a terminal as /dev/NAME; with lxc.tty.dir as a link to /dev/DIR/NAME. */
static int terminal_attach(const struct config *c, int dev, int pts, const char *number,
                           const char *name, struct error *err)
{
    const bool below = c->set.tty_dir && !c->set.own_dev;
    const char *dir = below ? c->set.tty_dir + strspn(c->set.tty_dir, "/") : NULL;
    cleanup_free char *path = dir ? xasprintf("%s/%s", dir, name) : xstrdup(name);
    cleanup_close int tree = open_tree(pts, number, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(dev, path, 0755) < 0 && errno != EEXIST)
            return error_set(err, errno, "make /dev/%s", path);
        *slash = '/';
    }
    if (tree < 0 || file_attach(c, dev, path, tree) < 0 || (dir && symlinkat(path, dev, name) < 0))
        return error_set(err, errno, "make /dev/%s", name);
    return 0;
}

/* The first terminal of the new devpts, and /dev/console to be the same. */
static int console_make(const struct config *c, int dev, int pts, int pty[2], struct error *err)
{
    struct winsize ws = {.ws_row = (unsigned short)c->rows, .ws_col = (unsigned short)c->cols};
    struct termios t;
    char number[16];
    if (pty_make(pts, &pty[0], &pty[1], number, err) < 0)
        return error_wrap(err, "the console");
    if (!str_eq(c->set.console_path, "none") &&
        terminal_attach(c, dev, pts, number, "console", err) < 0)
        return -1;
    ioctl(pty[1], TIOCSWINSZ, &ws);
    if (c->raw_console && tcgetattr(pty[1], &t) == 0) {
        t.c_oflag &= ~(tcflag_t)OPOST;
        t.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(pty[1], TCSANOW, &t);
    }
    return 0;
}

/* lxc.tty.max: /dev/tty1, … */
static int ttys_make(const struct config *c, int dev, int pts, int *fds, struct error *err)
{
    char number[16], name[16];
    for (unsigned i = 0; i < c->set.ttys; i++) {
        snprintf(name, sizeof name, "tty%u", i + 1);
        if (pty_make(pts, &fds[TTY_FDS * i], &fds[TTY_FDS * i + 1], number, err) < 0 ||
            terminal_attach(c, dev, pts, number, name, err) < 0)
            return -1;
    }
    return 0;
}

/* The tmpfs that a container's /dev is, or what its root has there. */
static int dev_open(const struct config *c, int rootfd, struct error *err)
{
    char size[24] = "512k";
    const char *const tmpfs[] = {"mode", "0755", "size", size, NULL};
    if (c->set.dev_size)
        snprintf(size, sizeof size, "%llu", (unsigned long long)c->set.dev_size);
    cleanup_close int at = rootfs_dir(rootfd, "dev", 0755, err);
    if (at < 0 || c->set.own_dev)
        return steal_fd(at);
    cleanup_close int dev = fs_mount("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, tmpfs, err);
    if (dev < 0 || sys_attach(dev, at) < 0)
        return error_set(err, errno, "mount /dev");
    return steal_fd(dev);
}

static int links_make(const struct config *c, int dev, struct error *err)
{
    if (c->set.kmsg && symlinkat("console", dev, "kmsg") < 0 && !c->set.own_dev)
        return error_set(err, errno, "make /dev/kmsg");
    for (size_t i = 0; i < ARRAY_SIZE(links) && !c->set.own_dev; i++)
        if (symlinkat(links[i].to, dev, links[i].name) < 0)
            return error_set(err, errno, "make /dev/%s", links[i].name);
    return 0;
}

/* Is it to be mounted, or is there no place for it? */
static bool has_place(const struct config *c, int dev, const char *name)
{
    return !c->set.own_dev || faccessat(dev, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int dev_mount(const struct config *c, int rootfd, int pty[3], int *ttys, struct error *err)
{
    static const char *const shm[] = {"mode", "01777", NULL};
    cleanup_close int dev = dev_open(c, rootfd, err);
    if (dev < 0 || devices_bind(c, dev, err) < 0 || links_make(c, dev, err) < 0)
        return -1;
    cleanup_close int pts = pts_mount(c, dev, err);
    if (pts < 0 || console_make(c, dev, pts, pty, err) < 0 || ttys_make(c, dev, pts, ttys, err) < 0)
        return -1;
    cleanup_close int shmfd =
        has_place(c, dev, "shm") ? dir_mount(c, dev, "shm", "tmpfs", shm, err) : -1;
    if (shmfd < 0 && has_place(c, dev, "shm"))
        return -1;
    const bool queues =
        namespace_kind(&c->set, SHARE_IPC) == NAMESPACE_OWN && /* others' are not for it */
        has_place(c, dev, "mqueue");
    cleanup_close int mqueue = queues ? dir_mount(c, dev, "mqueue", "mqueue", NULL, err) : -1;
    if (queues && mqueue < 0)
        return -1;
    pty[2] = openat(pts, "ptmx", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    return pty[2] < 0 ? error_set(err, errno, "open /dev/pts/ptmx") : 0;
}
