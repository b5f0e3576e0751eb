/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult disk resize: a larger disk, or, if one insists, a smaller one. */
#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/diskfile.h"
#include "cmd/table.h"

/* "+SIZE" is added to what it has. */
static int wanted_size(const char *text, uint64_t now, uint64_t *size, struct error *err)
{
    bool more = *text == '+';
    if (size_parse(text + more, size, err) < 0)
        return -1;
    *size = (*size + 511) & ~UINT64_C(511);
    if (more && *size > INT64_MAX - now)
        return error_set(err, 0, "'%s' is too large for a disk", text);
    *size += more ? now : 0;
    return 0;
}

static int resize(const struct cmd_args *a, struct disk *d, const char *text, struct error *err)
{
    uint64_t size, now = disk_size(d);
    if (wanted_size(text, now, &size, err) < 0)
        return -1;
    if (size < now && !cmd_opt(a, "shrink")) {
        error_set(err, 0, "'%s' has %llu bytes, more than %llu", disk_path(d),
                  (unsigned long long)now, (unsigned long long)size);
        return error_hint(err, "--shrink cuts off what is behind that, for good");
    }
    return disk_resize(d, size, err);
}

static int disk_resize_run(const struct cmd_args *a)
{
    struct error err = {0};
    struct disk_file f;
    struct disk *d;
    uint64_t size;
    const char *text = cmd_pos(a, 1);
    int status = EXIT_OK;
    if (wanted_size(text, 0, &size, &err) < 0)
        return cmd_usage(a, "%s", err.text);
    if (disk_file_parse(a, cmd_pos(a, 0), "format", &f, &err) < 0) {
        status = cmd_usage(a, "%s", err.text);
    } else {
        unsigned flags = f.spec.backing || (f.spec.flags & DISK_OWN_BACKING) ? 0 : DISK_NO_BACKING;
        int rc = disk_file_open(&f, flags, &d, &err);
        if (rc == 0) {
            rc = resize(a, d, text, &err);
            if (disk_close(d, rc == 0 ? &err : NULL) < 0)
                rc = -1;
        }
        if (rc < 0)
            status = cmd_fail(a, &err);
    }
    disk_file_clear(&f);
    return status;
}

const struct command cmd_disk_resize = {
    .name = "disk resize",
    .args = "FILE [+]SIZE",
    .min = 2,
    .max = 2,
    .options =
        (const struct cmd_option[]){
            OPTION_FORMAT('f', "what it is"),
            OPTION_BACKING("what it is based on; again: what that is based on"),
            OPTION_OWN_BACKING,
            {"shrink", 0, NULL, false, "allow it to become smaller: what is cut off is lost"},
            {0},
        },
    .help = "make a disk larger, or smaller",
    .detail = "+SIZE is added to what it has. What is new reads as zeroes. Partitions and file\n"
              "systems on the disk stay as they are: make them smaller before the disk, and\n"
              "larger after it.",
    .safe = true,
    .run = disk_resize_run,
};
