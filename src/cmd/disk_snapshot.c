/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult disk snapshot: internal snapshots of a qcow2 image that no guest uses. */
#include "cmd/disk_snapshot.h"

#include "base/util.h"
#include "cmd/diskfile.h"
#include "cmd/print.h"
#include "cmd/table.h"

/* Also of an image in use. */
static int list(const struct cmd_args *a, const char *path, const char *format)
{
    struct error err = {0};
    struct disk_info info;
    int status = EXIT_OK;
    if (disk_inspect(path, format, &info, &err) < 0)
        status = cmd_fail(a, &err);
    else if (cmd_json(a))
        print_json(disk_snapshots_json(&info));
    else
        disk_snapshots_print(&info);
    disk_info_clear(&info);
    return status;
}

static int change(const struct cmd_args *a, enum disk_snapshot_op op, const char *path,
                  const char *format)
{
    struct error err = {0};
    struct disk *d;
    struct disk_spec spec = {.path = path, .format = format, .flags = DISK_NO_BACKING};
    if (disk_open(&spec, &d, &err) < 0)
        return cmd_fail(a, &err);
    int rc = disk_snapshot(d, op, cmd_pos(a, 2), &err);
    if (disk_close(d, rc == 0 ? &err : NULL) < 0)
        rc = -1;
    return rc < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

static int disk_snapshot_run(const struct cmd_args *a)
{
    static const char *const actions[] = {"create", "apply", "delete", "list"};
    static const enum disk_snapshot_op ops[] = {DISK_SNAPSHOT_CREATE, DISK_SNAPSHOT_APPLY,
                                                DISK_SNAPSHOT_DELETE};
    struct error err = {0};
    const char *action = cmd_pos(a, 0), *path = cmd_pos(a, 1), *name = cmd_pos(a, 2);
    const char *format = disk_file_format(path, cmd_opt(a, "format"), &err);
    size_t i = 0;
    while (i < ARRAY_SIZE(actions) && !str_eq(actions[i], action))
        i++;
    if (i == ARRAY_SIZE(actions))
        return cmd_usage(a, "'%s' is not create, list, apply or delete", action);
    if (format == NULL)
        return cmd_usage(a, "%s", err.text);
    if (i == ARRAY_SIZE(ops))
        return name ? cmd_usage(a, "unexpected argument '%s'", name) : list(a, path, format);
    return name ? change(a, ops[i], path, format) : cmd_usage(a, "missing argument: NAME");
}

const struct command cmd_disk_snapshot = {
    .name = "disk snapshot",
    .args = "create|list|apply|delete FILE [NAME]",
    .min = 2,
    .max = 3,
    .options =
        (const struct cmd_option[]){
            OPTION_FORMAT('f', "what it is"),
            {0},
        },
    .help = "keep, list, restore or delete states of a qcow2 image",
    .detail = "A snapshot is kept in the image itself, and takes space as the disk changes after\n"
              "it. `apply` makes the disk what it was then: what was written since is gone,\n"
              "unless another snapshot has it. NAME may also be the number that `list` shows.\n\n"
              "  pult disk snapshot create web1.qcow2 before-upgrade\n"
              "  pult disk snapshot apply web1.qcow2 before-upgrade",
    .json = true,
    .confirm = "Really %s the snapshot?",
    .run = disk_snapshot_run,
};
