/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An application container: one command that runs on this host's programs. /bin, /lib, /usr and the
 * like are bound to the same places, read-only and without setuid; /etc and /var are its own,
 * with no more in them than a program asks for.
 */
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
#include "lxc/template.h"

#define SAFE "bind,ro,nosuid,nodev,create=dir"

/* A value of lxc.mount.entry, blanks written as in fstab(5). */
static void bind(struct conf *conf, const char *path, const char *options)
{
    cleanup_free char *quoted = xstrdup("");
    for (const char *p = path; *p; p++) {
        char *more = *p == ' ' || *p == '\t' || *p == '\\' ? xasprintf("%s\\%03o", quoted, *p)
                                                           : xasprintf("%s%c", quoted, *p);
        free(quoted);
        quoted = more;
    }
    cleanup_free char *line = xasprintf("%s %s none %s 0 0", quoted, quoted + 1, options);
    conf_add(conf, "lxc.mount.entry", line);
}

/* The host's directories with programs: bound, or a link as it is there. */
static int bind_system(const char *root, struct conf *conf, struct error *err)
{
    static const char *const system[] = {"/usr",    "/bin",   "/sbin",   "/lib",
                                         "/lib32",  "/lib64", "/libx32", "/etc/alternatives",
                                         "/etc/ssl"};
    for (size_t i = 0; i < ARRAY_SIZE(system); i++) {
        char to[256];
        struct stat st;
        if (lstat(system[i], &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            bind(conf, system[i], SAFE);
            continue;
        }
        ssize_t n = S_ISLNK(st.st_mode) ? readlink(system[i], to, sizeof to - 1) : -1;
        if (n < 0)
            continue;
        to[n] = '\0';
        const struct template_file links[] = {{system[i], to, 0}, {NULL, NULL, 0}};
        if (template_files(root, links, err) < 0)
            return -1;
    }
    return 0;
}

/* A file of the host's that every program reads. "": there is none. Caller frees. */
static char *host_file(const char *path)
{
    char *text = NULL;
    return file_read_at(AT_FDCWD, path, 1 << 20, &text, NULL, NULL) == 0 ? text : xstrdup("");
}

int template_host(const struct guest_source *s, const char *dir, struct conf *conf,
                  struct error *err)
{
    cleanup_free char *hostname = xasprintf("%s\n", s->name);
    cleanup_free char *hosts = xasprintf("127.0.0.1\tlocalhost %s\n::1\tlocalhost\n", s->name);
    cleanup_free char *nsswitch = host_file("/etc/nsswitch.conf");
    cleanup_free char *services = host_file("/etc/services");
    cleanup_free char *protocols = host_file("/etc/protocols");
    const struct template_file files[] = {
        {"dev", NULL, S_IFDIR | 0755},
        {"etc", NULL, S_IFDIR | 0755},
        {"proc", NULL, S_IFDIR | 0555},
        {"root", NULL, S_IFDIR | 0700},
        {"run", NULL, S_IFDIR | 0755},
        {"sys", NULL, S_IFDIR | 0555},
        {"tmp", NULL, S_IFDIR | 01777},
        {"var", NULL, S_IFDIR | 0755},
        {"var/cache", NULL, S_IFDIR | 0755},
        {"var/lib", NULL, S_IFDIR | 0755},
        {"var/log", NULL, S_IFDIR | 0755},
        {"var/tmp", NULL, S_IFDIR | 01777},
        {"var/run", "../run", 0},
        {"etc/hostname", hostname, 0644},
        {"etc/hosts", hosts, 0644},
        {"etc/nsswitch.conf", nsswitch, 0644},
        {"etc/services", services, 0644},
        {"etc/protocols", protocols, 0644},
        {"etc/passwd",
         "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n"
         "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n",
         0644},
        {"etc/group", "root:x:0:\ntty:x:5:\nwww-data:x:33:\nnogroup:x:65534:\n", 0644},
        {NULL, NULL, 0},
    };
    const char *path;
    cleanup_free char *root = template_root(dir, err);
    if (!root || template_files(root, files, err) < 0 || bind_system(root, conf, err) < 0)
        return -1;
    for (size_t i = 0; (path = options_nth(s->options, "data", i)); i++)
        bind(conf, path, SAFE);
    for (size_t i = 0; (path = options_nth(s->options, "rw", i)); i++)
        bind(conf, path, "bind,nosuid,nodev,create=dir,idmap=container");
    if (!conf_get(conf, "lxc.execute.cmd") && !conf_get(conf, "lxc.init.cmd"))
        conf_set(conf, "lxc.execute.cmd", "/bin/sh");
    return 0;
}
