/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A small system: this host's static busybox, its applets, and an init that ends in a login. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "lxc/filework.h"
#include "lxc/template.h"

static const char inittab[] = "::sysinit:/etc/init.d/rcS\n"
                              "::respawn:/bin/getty -L 0 console xterm\n"
                              "::ctrlaltdel:/bin/reboot\n"
                              "::shutdown:/etc/init.d/rcK\n";

static const char rcs[] = "#!/bin/sh\n"
                          "# what is to run at the start; terminals: those of lxc.tty.max\n"
                          "for tty in /dev/tty[1-9]; do\n"
                          "    [ -c \"$tty\" ] || continue\n"
                          "    (while :; do getty -L 0 \"${tty##*/}\" xterm; sleep 1; done) "
                          "</dev/null >/dev/null 2>&1 &\n"
                          "done\n"
                          "for part in /etc/rc.d/*; do\n"
                          "    [ -x \"$part\" ] && \"$part\" start\n"
                          "done\n"
                          "exit 0\n";

static const char rck[] = "#!/bin/sh\n"
                          "for part in /etc/rc.d/*; do\n"
                          "    [ -x \"$part\" ] && \"$part\" stop\n"
                          "done\n"
                          "exit 0\n";

/* The busybox of this host, statically linked: a dynamic one has PT_INTERP in its head. */
static int busybox_open(const char **path, struct error *err)
{
    static const char *const places[] = {"/bin/busybox", "/usr/bin/busybox", "/usr/sbin/busybox",
                                         "/usr/local/bin/busybox", "/bin/busybox.static"};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        char head[4096];
        cleanup_close int fd = open(places[i], O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof head, 0);
        if (n > 0 && !memmem(head, (size_t)n, "/ld-", 4) && !memmem(head, (size_t)n, "/ld64", 5)) {
            *path = places[i];
            return steal_fd(fd);
        }
    }
    error_set(err, 0, "this host has no static busybox");
    return error_hint(err, "apt-get install busybox-static");
}

struct bin {
    int from;
    char *names; /* of applets, a line each */
};

/* In the jail: bin/busybox, and a link to it for each applet. */
static int bin_run(void *arg, struct error *err)
{
    const struct bin *b = arg;
    struct stat st;
    cleanup_close int to = open("bin/busybox", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (to < 0 || fstat(b->from, &st) < 0)
        return error_set(err, errno, "make '/bin/busybox'");
    for (off_t left = st.st_size; left > 0;) {
        char block[65536];
        ssize_t n = read(b->from, block, sizeof block);
        if (n <= 0 || write_all(to, block, (size_t)n) < 0)
            return error_set(err, n < 0 ? errno : EIO, "copy busybox");
        left -= n;
    }
    for (char *rest = b->names, *name; (name = strsep(&rest, "\n"));) {
        cleanup_free char *path = xasprintf("bin/%s", name);
        if (*name && !strchr(name, '/') && symlink("busybox", path) < 0 && errno != EEXIST)
            return error_set(err, errno, "make '/%s'", path);
    }
    return 0;
}

/* What it prints with --list. Caller frees. */
static char *applets(const char *busybox, struct error *err)
{
    cleanup_free char *command = xasprintf("%s --list", busybox);
    FILE *f = popen(command, "re");
    char *names = xcalloc(1, 65536);
    size_t n = f ? fread(names, 1, 65535, f) : 0;
    if (f)
        pclose(f);
    if (n > 0)
        return names;
    free(names);
    error_set(err, 0, "ask busybox for its applets");
    return NULL;
}

int template_busybox(const struct guest_source *s, const char *dir, struct conf *conf,
                     struct error *err)
{
    (void)s;
    /*
     * The host name is lxc.uts.name, or the guest's, also of a clone: no file says another. An empty
     * password is one of shadow's: busybox finds no name for a user whose line has an empty field.
     */
    const struct template_file files[] = {
        {"bin", NULL, S_IFDIR | 0755},
        {"dev", NULL, S_IFDIR | 0755},
        {"etc", NULL, S_IFDIR | 0755},
        {"etc/init.d", NULL, S_IFDIR | 0755},
        {"etc/rc.d", NULL, S_IFDIR | 0755},
        {"proc", NULL, S_IFDIR | 0555},
        {"root", NULL, S_IFDIR | 0700},
        {"run", NULL, S_IFDIR | 0755},
        {"sys", NULL, S_IFDIR | 0555},
        {"tmp", NULL, S_IFDIR | 01777},
        {"usr", NULL, S_IFDIR | 0755},
        {"var", NULL, S_IFDIR | 0755},
        {"var/log", NULL, S_IFDIR | 0755},
        {"var/tmp", NULL, S_IFDIR | 01777},
        {"sbin", "bin", 0},
        {"usr/bin", "../bin", 0},
        {"usr/sbin", "../bin", 0},
        {"var/run", "../run", 0},
        {"etc/hosts", "127.0.0.1\tlocalhost\n", 0644},
        {"etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
         0644},
        {"etc/shadow", "root::0:0:99999:7:::\nnobody:*:0:0:99999:7:::\n", 0600},
        {"etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n", 0644},
        {"etc/inittab", inittab, 0644},
        {"etc/init.d/rcS", rcs, 0755},
        {"etc/init.d/rcK", rck, 0755},
        {NULL, NULL, 0},
    };
    const char *path = NULL;
    cleanup_close int busybox = busybox_open(&path, err);
    cleanup_free char *names = busybox < 0 ? NULL : applets(path, err);
    cleanup_free char *root = names ? template_root(dir, err) : NULL;
    struct bin b = {.from = busybox, .names = names};
    const struct filework w = {.dir = root, .jail = true, .run = bin_run, .arg = &b};
    if (!root || template_files(root, files, err) < 0 || filework_do(&w, err) < 0)
        return -1;
    /* what its init does with signals */
    if (!conf_get(conf, "lxc.signal.halt"))
        conf_set(conf, "lxc.signal.halt", "SIGUSR2");
    if (!conf_get(conf, "lxc.signal.reboot"))
        conf_set(conf, "lxc.signal.reboot", "SIGTERM");
    return 0;
}
