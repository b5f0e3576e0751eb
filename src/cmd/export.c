/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult export and pult import: a container as one file, to be taken along. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/diskfile.h"
#include "cmd/table.h"
#include "disk/newfile.h"
#include "guest/engine.h"
#include "guest/store.h"

/* ---- export ---- */

static int export_to(const struct guest_def *def, const char *path, bool replace,
                     struct disk_meter *meter, struct error *err)
{
    struct newfile file;
    if (!def->engine->pack)
        return error_set(err, 0, "'%s' is a %s, which cannot be exported", def->name,
                         def->engine->type);
    cleanup_free char *hint = xasprintf("`pult stop %s` first", def->name);
    cleanup_close int lock = store_hold_down(def->name, hint, err);
    if (lock < 0)
        return -1;
    int ret = newfile_begin(&file, path, 0600, replace, err);
    if (ret == 0)
        ret = def->engine->pack(def, file.fd, path, disk_meter, meter, err);
    if (ret == 0)
        ret = newfile_commit(&file, err);
    newfile_end(&file);
    return ret;
}

static int export_run(const struct cmd_args *a)
{
    struct error err = {0};
    struct disk_meter meter = {.what = "export", .percent = true};
    cleanup_def struct guest_def *def = NULL;
    if (store_load(cmd_pos(a, 0), &def, &err) < 0)
        return cmd_fail(a, &err);
    disk_cancellable();
    int rc = export_to(def, cmd_pos(a, 1), cmd_opt(a, "force") != NULL, &meter, &err);
    disk_meter_end(&meter);
    return rc < 0 ? disk_fail(a, &err) : EXIT_OK;
}

const struct command cmd_export = {
    .name = "export",
    .args = "NAME FILE",
    .min = 2,
    .max = 2,
    .help = "write a container that does not run into one file, to be imported elsewhere",
    .detail =
        "FILE is an archive of its definition and its root file system, compressed as its\n"
        "name says: .tar, .tar.gz, .tar.xz, .tar.zst. Owners are numbers, as they are inside;\n"
        "extended attributes, ACLs, hard links and holes are kept. It appears whole or not at "
        "all.\n\n"
        "  pult export web1 web1.tar.zst",
    .options =
        (const struct cmd_option[]){
            {"force", 0, NULL, false, "replace a file of that name"},
            {0},
        },
    .safe = true,
    .states = ON_DOWN,
    .run = export_run,
};

/* ---- import ---- */

struct import {
    const struct engine *engine;
    const char *file;
    int fd;
    struct conf *conf;
    struct disk_meter meter;
};

static int import_fill(void *arg, const char *dir, struct error *err)
{
    struct import *i = arg;
    if (i->engine->unpack(dir, i->fd, i->conf, disk_meter, &i->meter, err) < 0)
        return error_wrap(err, "unpack '%s'", i->file);
    return 0;
}

/* /srv/web1.tar.zst → web1 */
static char *name_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *name = xstrdup(slash ? slash + 1 : file);
    char *end = strstr(name, ".tar");
    if (!end)
        end = strrchr(name, '.');
    if (end)
        *end = '\0';
    return name;
}

/* Who made the archive may have had things in mind that its reader has not seen. */
static void tell_reaching(const struct import *i, const char *name)
{
    cleanup_conf struct conf *conf = conf_copy(i->conf);
    cleanup_free char *keys = NULL;
    if (!i->engine->modern || i->engine->modern(conf, NULL) == 0)
        keys = conf_reaching(conf, i->engine->keys);
    if (keys)
        fprintf(stderr,
                "pult import: warning: it comes with a definition that reaches into this host: %s; "
                "see `pult config get %s` before you start it\n",
                keys, name);
}

static int import_run(const struct cmd_args *a)
{
    struct error err = {0};
    cleanup_free char *name = cmd_pos(a, 1) ? xstrdup(cmd_pos(a, 1)) : name_of(cmd_pos(a, 0));
    cleanup_close int fd = open(cmd_pos(a, 0), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    cleanup_conf struct conf *conf = conf_new("the archive");
    struct import i = {.engine = engine_by_type("container"),
                       .file = cmd_pos(a, 0),
                       .fd = fd,
                       .conf = conf,
                       .meter = {.what = "import", .percent = true}};
    int rc;
    conf_set(conf, "guest.type", "container");
    disk_cancellable();
    if (fd < 0)
        rc = error_set(&err, errno, "open '%s'", cmd_pos(a, 0));
    else if (!i.engine || !i.engine->unpack)
        rc = error_set(&err, 0, "this pult imports no containers");
    else
        rc = store_create(name, conf, import_fill, &i, &err);
    disk_meter_end(&i.meter);
    if (rc < 0)
        return disk_fail(a, &err);
    tell_reaching(&i, name);
    puts(name);
    return EXIT_OK;
}

const struct command cmd_import = {
    .name = "import",
    .args = "FILE [NAME]",
    .min = 1,
    .max = 2,
    .help = "make a container out of what `pult export` wrote",
    .detail =
        "NAME is that of FILE if none is given, and is printed. Its definition may have programs\n"
        "of this host run (lxc.hook.*) and give it directories and devices of the host: which of\n"
        "its keys do is said, so look at them before you start what came from elsewhere.\n\n"
        "  pult import web1.tar.zst web2",
    .safe = true,
    .run = import_run,
};
