/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A definition out of options; newguest.h. */
#include "cmd/newguest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/diskfile.h"
#include "cmd/newdisk.h"
#include "cmd/newnet.h"
#include "guest/def.h"
#include "net/card.h"

/* Options that set one key each. */
static const struct key_option {
    const char *option, *key;
    conf_value_fn *check;
    bool file; /* the value names a file that must be there; kept as an absolute path */
} key_options[] = {
    {"memory", "guest.memory", conf_is_size, false},
    {"cpus", "guest.cpus", conf_is_cpus, false},
    {"kernel", "vm.kernel", NULL, true},
    {"initrd", "vm.initrd", NULL, true},
    {"append", "vm.append", NULL, false},
};

/* A file of the user's as an absolute path. Caller frees. NULL on failure. */
static char *absolute(const char *path, struct error *err)
{
    char *real = realpath(path, NULL);
    if (real == NULL)
        error_set(err, errno, "find '%s'", path);
    return real;
}

/* One option's value into its key. */
static int set_option(struct conf *conf, const struct key_option *o, const char *value,
                      struct error *err)
{
    if (o->check && o->check(value, err) < 0)
        return error_wrap(err, "--%s", o->option);
    if (!o->file) {
        conf_set(conf, o->key, value);
        return 0;
    }
    cleanup_free char *path = absolute(value, err);
    if (path == NULL)
        return error_wrap(err, "--%s", o->option);
    conf_set(conf, o->key, path);
    return 0;
}

/* --set KEY=VALUE; a key given again adds a line. */
static int set_keys(const struct cmd_args *a, struct conf *conf, struct error *err)
{
    const char *pair;
    for (int i = 0; (pair = cmd_opt_nth(a, "set", i)); i++) {
        const char *equals = strchr(pair, '=');
        if (equals == NULL || equals == pair)
            return error_set(err, 0, "--set takes KEY=VALUE, not '%s'", pair);
        cleanup_free char *copy = xstrndup(pair, (size_t)(equals - pair));
        cleanup_free char *value = xstrdup(equals + 1);
        conf_add(conf, str_trim(copy), str_trim(value));
    }
    return 0;
}

/* --rootfs: a directory is used where it is, a file is an archive. */
static int set_rootfs(struct new_guest *g, const char *rootfs, struct error *err)
{
    struct stat st;
    cleanup_free char *path = absolute(rootfs, err);
    if (path == NULL || stat(path, &st) < 0)
        return error_wrap(err, "--rootfs");
    if (S_ISDIR(st.st_mode)) {
        conf_set(g->conf, "lxc.rootfs.path", path);
        return 0;
    }
    g->template = S_ISREG(st.st_mode) ? engine_template(g->engine, "tar", NULL) : NULL;
    if (g->template == NULL)
        return error_set(err, 0, "--rootfs: '%s' is neither a directory nor an archive", path);
    g->source = steal_ptr(path);
    return 0;
}

/* Does a template take a file of the user's? One that is relative means another place later. */
static int set_source(struct new_guest *g, const char *source, struct error *err)
{
    const struct guest_template *t = g->template;
    if (*source && !t->source)
        return error_set(err, 0, "the template '%s' takes no '%s'", t->name, source);
    if (!*source && !t->optional)
        return error_set(err, 0, "the template '%s' needs its %s: %s:%s", t->name, t->source,
                         t->name, t->source);
    free(g->source);
    g->source = xstrdup(source);
    return 0;
}

/* --template NAME[:SOURCE][,OPTION[=VALUE]…] */
static int set_template(struct new_guest *g, const char *said, struct error *err)
{
    /* A path is a template of LXC's, as lxc-create has it. */
    cleanup_free char *value = xasprintf("%s%s", *said == '/' ? "lxc:" : "", said);
    cleanup_free char *name = xstrndup(value, strcspn(value, ":,"));
    if (g->template)
        return error_set(err, 0, "--rootfs has an archive already");
    if (conf_get(g->conf, "lxc.rootfs.path") || conf_get(g->conf, "lxc.rootfs"))
        return error_set(err, 0, "there is a root file system already");
    g->template = engine_template(g->engine, name, err);
    if (g->template == NULL || options_parse(value, g->template->options, &g->options, err) < 0)
        return -1;
    const char *first = options_get(&g->options, ""), *colon = first ? strchr(first, ':') : NULL;
    return set_source(g, colon ? colon + 1 : "", err);
}

/*
 * The command after "--": a system's init is asked to shut down in another way than an
 * application, so they have a key each.
 */
static void set_command(const struct cmd_args *a, struct conf *conf)
{
    char *const *command = cmd_rest(a);
    if (command == NULL || *command == NULL)
        return;
    const char *slash = strrchr(*command, '/'), *program = slash ? slash + 1 : *command;
    bool init = str_eq(program, "init") || str_eq(program, "systemd");
    cleanup_free char *line = str_join_words(command);
    if (str_eq(conf_get(conf, "guest.type"), "vm")) {
        conf_set(conf, "vm.command", line);
        return;
    }
    conf_unset(conf, init ? "lxc.execute.cmd" : "lxc.init.cmd");
    conf_set(conf, init ? "lxc.init.cmd" : "lxc.execute.cmd", line);
}

/* Append text with its commas doubled, as options want it. Frees what it was. */
static char *append_value(char *to, const char *text)
{
    for (; *text; text++) {
        char *more = xasprintf("%s%s%c", to, *text == ',' ? "," : "", *text);
        free(to);
        to = more;
    }
    return to;
}

/* Where it runs: here, and what it changes here is forgotten unless --rw says otherwise. */
static int set_workdir(const struct cmd_args *a, struct conf *conf, struct error *err)
{
    if (conf_get(conf, "vm.workdir"))
        return 0;
    cleanup_free char *here = getcwd(NULL, 0);
    if (here == NULL)
        return error_set(err, errno, "find the working directory");
    cleanup_free char *value = append_value(xstrdup(""), here);
    cleanup_free char *whole = xasprintf("%s%s", value, cmd_opt(a, "rw") ? ",rw" : "");
    conf_set(conf, "vm.workdir", whole);
    return 0;
}

bool new_guest_on_files(const struct conf *conf)
{
    const char *root = conf_get(conf, "vm.rootfs");
    return root && !str_eq(root, "none") && !str_eq(root, "disk");
}

bool new_guest_on_disk(const struct conf *conf)
{
    return str_eq(conf_get(conf, "vm.rootfs"), "disk");
}

/* `run --vm IMAGE`: its first disk. */
static int set_image(struct conf *conf, const char *image, struct error *err)
{
    if (new_disk_image(conf, image, err) == 0)
        return 0;
    error_wrap(err, "image");
    return access(image, F_OK) < 0 ? error_hint(err, "a command comes after --") : -1;
}

/*
 * A VM that brings neither files nor an initrd boots from its image, or from its disk if it has no
 * kernel either.
 */
static void set_vm_of_disk(const struct cmd_args *a, bool image, struct conf *conf)
{
    if (conf_get(conf, "vm.rootfs") || conf_get(conf, "vm.initrd"))
        return;
    if (image || (!cmd_opt(a, "config") && !conf_get(conf, "vm.kernel") && new_disks_any(conf)))
        conf_set(conf, "vm.rootfs", "disk");
}

/* A throwaway VM that has no disk of its own either runs on the files of this machine. */
static int set_vm_of_host(const struct cmd_args *a, struct conf *conf, struct error *err)
{
    if (!cmd_opt(a, "config") && !conf_get(conf, "vm.rootfs") && !conf_get(conf, "vm.initrd") &&
        !new_disks_any(conf))
        conf_set(conf, "vm.rootfs", "host:/");
    return new_guest_on_files(conf) ? set_workdir(a, conf, err) : 0;
}

/* A throwaway container that says nothing of its root is a copy of this machine. */
static void set_copy_of_host(struct new_guest *g)
{
    if (str_eq(g->engine->type, "container") && !g->template &&
        !conf_get(g->conf, "lxc.rootfs.path") && !conf_get(g->conf, "lxc.rootfs"))
        conf_set(g->conf, "lxc.rootfs.path", "host:/");
}

int new_guest_share(struct conf *conf, const char *path, const char *options, struct error *err)
{
    cleanup_free char *real = absolute(path, err);
    struct stat st;
    unsigned n = 0;
    char key[24];
    if (real == NULL)
        return -1;
    if (stat(real, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_set(err, 0, "'%s' is not a directory", path);
    do
        snprintf(key, sizeof key, "vm.share.%u", n++);
    while (conf_get(conf, key));
    cleanup_free char *value = append_value(xstrdup(""), real);
    cleanup_free char *whole = xasprintf("%s%s", value, options);
    conf_set(conf, key, whole);
    return 0;
}

/* --share DIR[:TAG][,OPTION…]: a colon may also be part of a name. */
static int set_share(struct conf *conf, const char *value, struct error *err)
{
    cleanup_free char *path = xstrdup(value);
    char *comma = strchr(path, ','), *colon;
    const char *rest = comma ? strchr(value, ',') : "";
    if (comma)
        *comma = '\0';
    bool whole = access(path, F_OK) == 0 || !(colon = strrchr(path, ':'));
    if (!whole)
        *colon = '\0';
    cleanup_free char *options =
        xasprintf("%s%s%s", whole ? "" : ",tag=", whole ? "" : colon + 1, rest);
    return new_guest_share(conf, path, options, err) < 0 ? error_wrap(err, "--share") : 0;
}

/* --net: cards in their order, a name for its network, and none of those that FILE has. */
static void set_nets(const struct cmd_args *a, struct conf *conf)
{
    const char *net = cmd_opt_nth(a, "net", 0);
    char key[32];
    for (size_t i = conf->count; net && i-- > 0;)
        if (conf->lines[i].key && str_starts(conf->lines[i].key, CARD_KEY)) {
            cleanup_free char *name = xstrdup(conf->lines[i].key);
            conf_unset(conf, name);
            i = min(i, conf->count);
        }
    for (int i = 0; (net = cmd_opt_nth(a, "net", i)); i++) {
        cleanup_free char *value = card_expand(net);
        snprintf(key, sizeof key, CARD_KEY "%d", i);
        conf_set(conf, key, value);
    }
}

/* A file that is copied: its includes stay where they are. */
static int read_config(const char *file, struct conf **out, struct error *err)
{
    cleanup_free char *path = realpath(file, NULL);
    if (conf_read(file, out, err) < 0)
        return -1;
    char *slash = path ? strrchr(path, '/') : NULL;
    if (slash) {
        *slash = '\0';
        conf_includes_from(*out, path);
    }
    return 0;
}

/* The definition to begin with: FILE, or nothing but the type. */
static int begin(const struct cmd_args *a, const char *type, struct new_guest *g, struct error *err)
{
    const char *file = cmd_opt(a, "config");
    g->engine = engine_by_type(type);
    if (g->engine == NULL)
        return error_set(err, 0, "this pult has no engine for a %s", type);
    if (file && read_config(file, &g->conf, err) < 0)
        return -1;
    if (file == NULL)
        g->conf = conf_new("the options");
    const char *said = conf_get(g->conf, "guest.type");
    if (said && strcmp(said, type) != 0)
        return error_set(err, 0, "'%s' defines a %s, not a %s", file, said, type);
    conf_set(g->conf, "guest.type", type);
    return 0;
}

/* Options that may be repeated. */
static int set_lists(const struct cmd_args *a, struct conf *conf, struct error *err)
{
    const char *value;
    for (int i = 0; (value = cmd_opt_nth(a, "share", i)); i++)
        if (set_share(conf, value, err) < 0)
            return -1;
    for (int i = 0; (value = cmd_opt_nth(a, "disk", i)); i++)
        if (new_disk(conf, value, err) < 0)
            return -1;
    set_nets(a, conf);
    return 0;
}

static int fill_conf(const struct cmd_args *a, const char *type, bool throwaway,
                     struct new_guest *g, struct error *err)
{
    if (begin(a, type, g, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(key_options); i++) {
        const char *value = cmd_opt(a, key_options[i].option);
        if (value && set_option(g->conf, &key_options[i], value, err) < 0)
            return -1;
    }
    const char *rootfs = cmd_opt(a, "rootfs");
    if (rootfs && set_rootfs(g, rootfs, err) < 0)
        return -1;
    const char *template = cmd_opt(a, "template");
    if (template && set_template(g, template, err) < 0)
        return error_wrap(err, "--template");
    if (cmd_opt(a, "autostart"))
        conf_set(g->conf, "guest.autostart", "1");
    const char *image = throwaway ? cmd_pos(a, 0) : NULL;
    if (image && set_image(g->conf, image, err) < 0)
        return -1;
    if (set_lists(a, g->conf, err) < 0)
        return -1;
    set_command(a, g->conf);
    if (set_keys(a, g->conf, err) < 0)
        return -1;
    if (str_eq(type, "vm"))
        set_vm_of_disk(a, image != NULL, g->conf);
    if (cmd_opt(a, "snapshot") && new_disks_forget(g->conf, err) < 0)
        return -1;
    if (throwaway)
        set_copy_of_host(g);
    if (throwaway && str_eq(type, "vm") && set_vm_of_host(a, g->conf, err) < 0)
        return -1;
    return 0;
}

int new_guest(const struct cmd_args *a, const char *type, bool throwaway, struct new_guest *g)
{
    struct error err = {0};
    *g = (struct new_guest){0};
    if (fill_conf(a, type, throwaway, g, &err) == 0)
        return EXIT_OK;
    new_guest_clear(g);
    return cmd_fail(a, &err);
}

void new_guest_clear(struct new_guest *g)
{
    conf_free(g->conf);
    free(g->source);
    options_clear(&g->options);
    *g = (struct new_guest){0};
}

/* Let its template make its files, with a line on the terminal that says how far it is. */
static int make_files(const struct new_guest *g, const char *dir, struct error *err)
{
    struct disk_meter meter = {.what = g->name ? g->name : g->template->name, .percent = true};
    const struct guest_source s = {
        .name = g->name ? g->name : g->engine->type,
        .template = g->template,
        .source = g->source,
        .options = &g->options,
        .progress = disk_meter,
        .arg = &meter,
    };
    cleanup_conf struct conf *none = g->conf ? NULL : conf_new("the template");
    int ret = g->template->make(&s, dir, g->conf ? g->conf : none, err);
    disk_meter_end(&meter);
    return ret;
}

int new_guest_fill(void *arg, const char *dir, struct error *err)
{
    const struct new_guest *g = arg;
    if (g->template && make_files(g, dir, err) < 0)
        return -1;
    return g->conf ? new_net_define(g->conf, err) : 0;
}
