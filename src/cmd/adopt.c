/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult adopt: another program's guest becomes one of pult's. Its definition is copied, in today's
 * spelling; its files stay where they are, or are moved into the store.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "cmd/table.h"
#include "guest/engine.h"
#include "guest/store.h"

struct adoption {
    const struct guest_info *info;
    bool move;
};

/* Its root moves from its directory into ours. */
static int move_root(void *arg, const char *dir, struct error *err)
{
    const struct adoption *a = arg;
    cleanup_free char *from = xasprintf("%s/%s/rootfs", a->info->place, a->info->name);
    cleanup_free char *to = xasprintf("%s/rootfs", dir);
    if (rename(from, to) == 0)
        return 0;
    int why = errno;
    error_set(err, why, "move '%s' to '%s'", from, to);
    return why == EXDEV ? error_hint(err, "it is on another file system: adopt it without --move")
                        : -1;
}

/* A conf of the store: what the file says, and what kind of guest it is. */
static int definition(const struct guest_info *info, bool move, struct conf **out,
                      struct error *err)
{
    cleanup_free char *path = xasprintf("%s/%s/config", info->place, info->name);
    cleanup_free char *root = xasprintf("%s/%s/rootfs", info->place, info->name);
    cleanup_free char *dir = xasprintf("%s/%s", info->place, info->name);
    if (conf_read(path, out, err) < 0)
        return -1;
    conf_includes_from(*out, dir);
    info->engine->foreign->adapt(*out);
    if (info->engine->modern && info->engine->modern(*out, err) < 0)
        return -1;
    const char *said = conf_get(*out, "lxc.rootfs.path");
    bool own = !said || str_eq(said, root) || (str_starts(said, "dir:") && str_eq(said + 4, root));
    if (!move)
        return 0;
    if (!own)
        return error_set(err, 0, "its root, '%s', is not in its directory: adopt it without --move",
                         said);
    conf_unset(*out, "lxc.rootfs.path");
    return 0;
}

static int adopt(const struct cmd_args *a, const char *name, struct error *err)
{
    struct guest_info info;
    struct adoption how = {.move = cmd_opt(a, "move") != NULL, .info = &info};
    cleanup_conf struct conf *conf = NULL;
    if (store_info(name, &info, err) < 0)
        return -1;
    int ret = -1;
    if (!info.place)
        error_set(err, 0, "'%s' is one of pult's already", name);
    else if (state_alive(info.state))
        error_set(err, 0, "'%s' is %s; stop it first", name, state_name(info.state));
    else if (info.broken)
        error_set(err, 0, "the definition of '%s' is broken: %s", name, info.broken);
    else if (definition(&info, how.move, &conf, err) == 0)
        ret = store_adopt(name, conf, how.move ? move_root : NULL, &how, err);
    if (ret == 0 && how.move) {
        cleanup_free char *config = xasprintf("%s/%s/config", info.place, name);
        cleanup_free char *old = xasprintf("%s.adopted", config);
        if (rename(config, old) < 0)
            ret = error_set(err, errno, "rename '%s'", config);
    }
    guest_info_clear(&info);
    return ret;
}

static int adopt_run(const struct cmd_args *a)
{
    return cmd_each(a, adopt);
}

const struct command cmd_adopt = {
    .name = "adopt",
    .args = "NAME...",
    .min = 1,
    .max = -1,
    .options =
        (const struct cmd_option[]){
            {"move", 'm', NULL, false, "move its files into the store, and leave LXC without it"},
            {0},
        },
    .help = "make containers of LXC's ones of pult's",
    .detail = "Containers below lxc.lxcpath are listed, started and stopped as they are. This\n"
              "copies the definition of one, in today's spelling, so that it can be changed,\n"
              "cloned and snapshotted like any other. Its root stays where it is, and LXC still\n"
              "knows it; with --move it becomes pult's alone, and LXC's config config.adopted.",
    .safe = true,
    .states = ON_DOWN,
    .run = adopt_run,
};
