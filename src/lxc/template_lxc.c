/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Templates of the program lxc: executables that are called with --path, --name, --rootfs, for a
 * user also with --mapped-uid and --mapped-gid, and with arguments of their own. What they add to
 * PATH/config goes into the definition.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/filework.h"
#include "lxc/template.h"

#define PLACE "/usr/share/lxc/templates"

struct script {
    char *program, *dir, *name;
    const struct options *options;
    bool mapped; /* in a user namespace */
};

static int script_run(void *arg, struct error *err)
{
    const struct script *c = arg;
    const char *argv[48] = {c->program, c->dir, c->name, NULL}, *more;
    cleanup_free char *path = xasprintf("--path=%s", c->dir);
    cleanup_free char *name = xasprintf("--name=%s", c->name);
    cleanup_free char *root = xasprintf("--rootfs=%s/rootfs", c->dir);
    size_t n = 1;
    argv[n++] = path;
    argv[n++] = name;
    argv[n++] = root;
    if (c->mapped) {
        argv[n++] = "--mapped-uid=0";
        argv[n++] = "--mapped-gid=0";
    }
    for (size_t i = 0; (more = options_nth(c->options, "arg", i)); i++) {
        if (n == ARRAY_SIZE(argv) - 1)
            return error_set(err, 0, "too many arguments for '%s'", c->program);
        argv[n++] = more;
    }
    argv[n] = NULL;
    return filework_program((char *const *)argv, -1, NULL, NULL, err);
}

/* What it wrote: all but the root, which is the guest's own. */
static int take_config(const char *path, struct conf *conf, struct error *err)
{
    cleanup_conf struct conf *made = NULL;
    if (conf_read(path, &made, err) < 0)
        return error_wrap(err, "what the template wrote");
    for (size_t i = 0; i < made->count; i++) {
        const struct conf_line *l = &made->lines[i];
        if (!l->key || l->depth > 0 || str_starts(l->key, "lxc.rootfs") ||
            str_eq(l->key, "lxc.uts.name") || str_eq(l->key, "lxc.utsname"))
            continue;
        conf_add(conf, l->key, l->value);
    }
    return 0;
}

int template_lxc(const struct guest_source *s, const char *dir, struct conf *conf,
                 struct error *err)
{
    cleanup_free char *program =
        *s->source == '/' ? xstrdup(s->source) : xasprintf(PLACE "/lxc-%s", s->source);
    cleanup_free char *config = xasprintf("%s/config", dir);
    struct script c = {program, (char *)(uintptr_t)dir, (char *)(uintptr_t)s->name, s->options,
                       geteuid() != 0};
    const struct filework w = {.dir = dir,
                               .open = true,
                               .run = script_run,
                               .arg = &c,
                               .progress = s->progress,
                               .progress_arg = s->arg};
    if (access(program, X_OK) < 0)
        return error_set(err, errno, "find the template '%s'", program);
    cleanup_free char *root = template_root(dir, err);
    cleanup_close int fd = open(config, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (!root || fd < 0)
        return error_set(err, errno, "make '%s'", config);
    if (filework_do(&w, err) < 0)
        return error_wrap(err, "template '%s'", s->source);
    return take_config(config, conf, err);
}
