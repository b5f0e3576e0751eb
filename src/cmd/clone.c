/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult clone: another guest like one that there is. */

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/diskfile.h"
#include "cmd/table.h"
#include "guest/engine.h"
#include "guest/snapshot.h"
#include "guest/store.h"

static int fill(void *arg, const char *dir, struct error *err)
{
    const struct engine_clone *c = arg;
    return c->def->engine->clone(c, NULL, dir, err);
}

static int clone_guest(const struct cmd_args *a, struct engine_clone *c, struct error *err)
{
    const struct guest_def *def = c->def;
    cleanup_free char *dir = NULL;
    cleanup_conf struct conf *conf = NULL;
    size_t len;
    if (!def->engine->clone)
        return error_set(err, 0, "'%s' is a %s, which cannot be cloned", def->name,
                         def->engine->type);
    c->snapshot = cmd_opt(a, "snapshot");
    c->how = cmd_opt(a, "overlay")   ? CLONE_OVERLAY
             : cmd_opt(a, "reflink") ? CLONE_SHARE
                                     : CLONE_COPY;
    if (c->how != CLONE_COPY && (!def->engine->snapshots || !def->engine->snapshots->copy))
        return error_set(err, 0, "'%s' is a %s, whose clones are copies", def->name,
                         def->engine->type);
    cleanup_free char *new_dir = store_dir(cmd_pos(a, 1));
    c->new_dir = new_dir;
    if (c->snapshot && snapshot_check(def, c->snapshot, &dir, err) < 0)
        return -1;
    c->snapshot_dir = dir;
    cleanup_free char *text = conf_text(def->conf, &len);
    if (conf_parse("the definition", text, len, &conf, err) < 0)
        return -1;
    conf_unset(conf, "guest.autostart");
    if (def->engine->clone(c, conf, NULL, err) < 0)
        return -1;
    cleanup_close int lock = -1;
    if (!c->snapshot && def->engine->snapshots && def->engine->snapshots->copy &&
        (lock = store_hold_down(def->name, "stop it first, or clone one of its snapshots", err)) <
            0)
        return -1;
    return store_create(cmd_pos(a, 1), conf, fill, c, err);
}

static int clone_run(const struct cmd_args *a)
{
    struct error err = {0};
    struct disk_meter meter = {.what = "clone"};
    cleanup_def struct guest_def *def = NULL;
    struct engine_clone c = {.name = cmd_pos(a, 1), .progress = disk_meter, .arg = &meter};
    if (store_load(cmd_pos(a, 0), &def, &err) < 0)
        return cmd_fail(a, &err);
    c.def = def;
    disk_cancellable();
    int rc = clone_guest(a, &c, &err);
    disk_meter_end(&meter);
    return rc < 0 ? disk_fail(a, &err) : EXIT_OK;
}

const struct command cmd_clone = {
    .name = "clone",
    .args = "NAME NEW",
    .min = 2,
    .max = 2,
    .options =
        (const struct cmd_option[]){
            {"snapshot", 0, "SNAPSHOT", false,
             "with the disks or files as they were in this snapshot"},
            {"overlay", 's', NULL, false, "keep only what differs from then on (containers)"},
            {"reflink", 'r', NULL, false, "share blocks, or fail where these cannot (containers)"},
            {0},
        },
    .help = "define another guest like one that does not run, with copies of its disks or files",
    .detail =
        "The new guest has the definition of the other, but network addresses of its own, and\n"
        "copies of the disks that it writes to, in its own directory. Disks that are only\n"
        "read are shared. A container gets a copy of its root file system, which shares\n"
        "blocks where the file system can do that, and its /etc/hostname says the new name. It is\n"
        "not started, and has no snapshots.\n\n"
        "With --overlay a container's clone is there at once, and has only what is written in\n"
        "it: the rest is the other's, which can be neither destroyed, renamed nor put back to a\n"
        "snapshot as long as there is such a clone, and should not be changed. The two do not run\n"
        "at the same time, unless the clone is one of a snapshot. A clone of such a clone is\n"
        "whole again.\n\n"
        "  pult clone web1 web2\n"
        "  pult clone --overlay base job7",
    .safe = true,
    .states = ON_DOWN,
    .run = clone_run,
};
