/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult disk commit: what an image has into the one that it is based on. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/diskfile.h"
#include "cmd/table.h"

/*
 * The image below: given, or the one that the image names, with a format that it must say too.
 * A name without a directory is beside the image.
 */
static int find_base(const struct cmd_args *a, const char *path, const char *image_format,
                     char **base, const char **format, struct error *err)
{
    struct disk_info info;
    const char *given = cmd_opt(a, "backing");
    if (given)
        return disk_file_split(given, base, format, err);
    if (disk_inspect(path, image_format, &info, err) < 0)
        return -1;
    int rc = -1;
    if (info.backing_path == NULL) {
        error_set(err, 0, "'%s' is not based on another image", path);
    } else if (info.backing_format == NULL) {
        error_set(err, 0, "'%s' does not say what format '%s' has", path, info.backing_path);
        error_hint(err, "name it: --backing FILE,format=FORMAT");
    } else if ((*format = disk_file_format("", info.backing_format, err)) != NULL) {
        *base = disk_backing_path(path, info.backing_path);
        rc = 0;
    }
    disk_info_clear(&info);
    return rc;
}

static int commit(const struct disk_spec *overlay, const struct disk_spec *base, struct error *err)
{
    struct disk *top = NULL, *below = NULL;
    struct disk_meter meter = {.what = "commit"};
    int rc = disk_open(overlay, &top, err);
    if (rc == 0)
        rc = disk_open(base, &below, err);
    disk_cancellable();
    if (rc == 0)
        rc = disk_commit(top, below, disk_meter, &meter, err);
    disk_meter_end(&meter);
    if (disk_close(below, rc == 0 ? err : NULL) < 0)
        rc = -1;
    if (disk_close(top, rc == 0 ? err : NULL) < 0)
        rc = -1;
    return rc;
}

static int disk_commit_run(const struct cmd_args *a)
{
    struct error err = {0};
    cleanup_free char *path = NULL;
    struct disk_spec overlay = {.path = cmd_pos(a, 0), .flags = DISK_NO_BACKING}, base = {0};
    overlay.format = disk_file_format(overlay.path, cmd_opt(a, "format"), &err);
    if (overlay.format == NULL)
        return cmd_usage(a, "%s", err.text);
    if (find_base(a, overlay.path, overlay.format, &path, &base.format, &err) < 0)
        return cmd_fail(a, &err);
    base.path = path;
    base.flags = DISK_OWN_BACKING;
    if (commit(&overlay, &base, &err) < 0)
        return disk_fail(a, &err);
    printf("'%s' has it now, and '%s' is empty\n", base.path, overlay.path);
    return EXIT_OK;
}

const struct command cmd_disk_commit = {
    .name = "disk commit",
    .args = "FILE",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            OPTION_FORMAT('f', "what it is"),
            {"backing", 'b', "FILE,format=FORMAT", false,
             "where that is what FILE is based on (else what it says itself)"},
            {0},
        },
    .help = "write what an image has into the one it is based on",
    .detail = "After that FILE is empty, and reads as before. Other images that are based on the\n"
              "same one see what was written, which they are not made for. Interrupted, it leaves\n"
              "FILE as it was, and can be called again.",
    .confirm = "Write what '%s' has into the image that it is based on?",
    .run = disk_commit_run,
};
