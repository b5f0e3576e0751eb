/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult snapshot create, list, restore and delete: states of a running guest. */
#include "guest/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/places.h"
#include "base/util.h"
#include "cmd/ask.h"
#include "cmd/diskfile.h"
#include "cmd/print.h"
#include "cmd/table.h"
#include "guest/client.h"
#include "guest/keeper.h"
#include "guest/store.h"

static int create_run(const struct cmd_args *a)
{
    struct error err = {0};
    struct disk_meter meter = {.what = "snapshot"};
    cleanup_def struct guest_def *def = NULL;
    const char *name = cmd_pos(a, 1);
    char stamp[32];
    time_t now = time(NULL);
    struct tm tm;

    if (!name) {
        strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", localtime_r(&now, &tm));
        name = stamp;
    }
    if (store_load(cmd_pos(a, 0), &def, &err) < 0)
        return cmd_fail(a, &err);
    meter.percent = def->engine->snapshots && def->engine->snapshots->copy;
    disk_cancellable();
    int rc = snapshot_create(def, name, cmd_opt(a, "comment"), disk_meter, &meter, &err);
    disk_meter_end(&meter);
    if (rc < 0)
        return disk_fail(a, &err);
    puts(name);
    return EXIT_OK;
}

const struct command cmd_snapshot_create = {
    .name = "snapshot create",
    .args = "NAME [SNAPSHOT]",
    .min = 1,
    .max = 2,
    .options =
        (const struct cmd_option[]){
            {"comment", 'c', "TEXT", false, "a line on what it is for, which the list shows"},
            {0},
        },
    .help = "keep the state of a guest: of a running VM memory, devices and disks, of a container "
            "its files",
    .detail = "The guest stands still for a moment and goes on while its memory is written. What\n"
              "is kept lies in its own directory; disks in qcow2 keep their state in the image\n"
              "itself (pult:SNAPSHOT), raw ones in files that share blocks with them, where their\n"
              "file system can do that. Of a container, which may be stopped, a copy of its root\n"
              "file system is kept. Without SNAPSHOT the name is the time. It is printed.\n\n"
              "  pult snapshot create web1 before-upgrade --comment 'bookworm, all is well'",
    .safe = true,
    .states = ON_STATE(GUEST_RUNNING) | ON_STATE(GUEST_FROZEN) | ON_DOWN,
    .run = create_run,
};

/* One as JSON. */
static json_t *facts(const struct snapshot_info *info)
{
    return json_pack("{s:s, s:I, s:I, s:s}", "name", info->name, "time", (json_int_t)info->when,
                     "size_bytes", (json_int_t)info->size, "comment", info->comment);
}

static int list_run(const struct cmd_args *a)
{
    static const char *const head[] = {"NAME", "TAKEN", ">SIZE", "COMMENT", NULL};
    struct error err = {0};
    cleanup_def struct guest_def *def = NULL;
    struct snapshot_info *list;
    size_t n;

    if (store_load(cmd_pos(a, 0), &def, &err) < 0 || snapshot_list(def, &list, &n, &err) < 0)
        return cmd_fail(a, &err);
    struct table *t = table_new(head);
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        char size[8], when[32] = "?";
        const time_t taken = (time_t)list[i].when;
        struct tm tm;
        if (localtime_r(&taken, &tm))
            strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
        size_human(list[i].size, size);
        table_cell(t, "%s", list[i].name);
        table_cell(t, "%s", when);
        table_cell(t, "%s", size);
        str_printable(list[i].comment);
        table_cell(t, "%s", list[i].comment);
        json_array_append_new(array, facts(&list[i]));
    }
    free(list);
    if (cmd_json(a)) {
        print_json(array);
        table_free(t);
    } else {
        json_decref(array);
        table_print(t);
    }
    return EXIT_OK;
}

const struct command cmd_snapshot_list = {
    .name = "snapshot list",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .help = "list the snapshots of a guest, the oldest first",
    .detail = "SIZE is what they take in the guest's directory, without what disk images keep.\n"
              "With -o json: an array of objects with name, time (seconds since 1970),\n"
              "size_bytes and comment.",
    .json = true,
    .safe = true,
    .states = ON_ANY,
    .run = list_run,
};

/* What runs is killed: what it did since is given up anyway. */
static int bring_down(const struct cmd_args *a, const char *name, struct error *err)
{
    cleanup_close int control = client_connect(name, err);

    if (control < 0)
        return err->code == ESRCH ? 0 : -1;
    if (!cmd_opt(a, "force")) {
        error_set(err, 0, "'%s' is running", name);
        return error_hint(err, "--force gives up what it has done since the snapshot");
    }
    return ask_kill(name, control, err);
}

/* A kind that is files: they are put back; what ran is started again. */
static int put_back(const struct cmd_args *a, struct guest_def *def, const char *dir, bool was_up)
{
    struct error err = {0};
    struct disk_meter meter = {.what = "restore", .percent = true};
    const struct launch how = {0};
    cleanup_close int control = -1;
    disk_cancellable();
    cleanup_close int lock = store_hold_down(def->name, "it was started again meanwhile", &err);
    int rc = lock < 0 ? -1 : def->engine->snapshots->back(def, dir, disk_meter, &meter, &err);
    disk_meter_end(&meter);
    if (rc < 0)
        return disk_fail(a, &err);
    if (!was_up)
        return EXIT_OK;
    close(steal_fd(lock));
    return keeper_launch(def, &how, &control, &err) < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

/* Nothing is ended for what could not be done then. */
static int may_go_back(const struct guest_def *def, struct error *err)
{
    const struct engine_snapshots *s = def->engine->snapshots;
    return s->may_go_back ? s->may_go_back(def, err) : 0;
}

static int restore_run(const struct cmd_args *a)
{
    struct error err = {0};
    cleanup_def struct guest_def *def = NULL;
    cleanup_free char *dir = NULL;
    cleanup_close int control = -1;
    const char *name = cmd_pos(a, 0);
    struct guest_info info = {0};
    const bool was_up = store_info(name, &info, &err) == 0 && state_alive(info.state);
    guest_info_clear(&info);

    if (store_load(name, &def, &err) < 0 || snapshot_check(def, cmd_pos(a, 1), &dir, &err) < 0 ||
        may_go_back(def, &err) < 0 || bring_down(a, name, &err) < 0)
        return cmd_fail(a, &err);
    if (def->engine->snapshots->back)
        return put_back(a, def, dir, was_up);
    const struct launch how = {.snapshot = cmd_pos(a, 1), .snapshot_dir = dir};
    return keeper_launch(def, &how, &control, &err) < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

const struct command cmd_snapshot_restore = {
    .name = "snapshot restore",
    .args = "NAME SNAPSHOT",
    .min = 2,
    .max = 2,
    .options =
        (const struct cmd_option[]){
            {"force", 'f', NULL, false, "also if it runs: what it did since is lost"},
            {0},
        },
    .help = "let a guest go back to a snapshot",
    .detail =
        "Its disks are what they were then: what was written since is gone, unless another\n"
        "snapshot has it. Its clock shows the present time. Memory is read as it is used, so\n"
        "it runs at once. The definition must have the same memory, CPUs, disks and other\n"
        "devices as then. A container gets its files back, and is started again if it ran.\n\n"
        "  pult snapshot restore web1 before-upgrade",
    .confirm = "Let '%s' go back to a snapshot, and lose what it did since?",
    .states = ON_ANY,
    .run = restore_run,
};

static int delete_run(const struct cmd_args *a)
{
    struct error err = {0};
    cleanup_def struct guest_def *def = NULL;
    int status = EXIT_OK;

    if (store_load(cmd_pos(a, 0), &def, &err) < 0)
        return cmd_fail(a, &err);
    for (int i = 1; i < cmd_npos(a); i++)
        if (snapshot_delete(def, cmd_pos(a, i), &err) < 0)
            status = cmd_fail(a, &err);
    return status;
}

const struct command cmd_snapshot_delete = {
    .name = "snapshot delete",
    .alias = "snapshot rm",
    .args = "NAME SNAPSHOT...",
    .min = 2,
    .max = -1,
    .help = "remove snapshots of a guest, which may be running",
    .confirm = "Remove a snapshot of '%s' for good?",
    .states = ON_ANY,
    .run = delete_run,
};
