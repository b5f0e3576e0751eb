/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult disk convert: what is on a disk into a new image. */
#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/diskfile.h"
#include "cmd/table.h"

static int disk_convert_run(const struct cmd_args *a)
{
    struct error err = {0};
    struct disk_file f;
    cleanup_disk struct disk *from = NULL;
    struct disk_meter meter = {.what = "convert"};
    struct disk_copy c = {.to = {.path = cmd_pos(a, 1), .replace = cmd_opt(a, "force") != NULL},
                          .progress = disk_meter,
                          .arg = &meter};
    const char *cluster_size = cmd_opt(a, "cluster-size");
    uint64_t cluster = 0;
    int status = EXIT_OK;
    c.to.format = disk_file_format(c.to.path, cmd_opt(a, "format"), &err);
    if (c.to.format == NULL)
        return cmd_usage(a, "%s", err.text);
    if (cluster_size && !str_eq(c.to.format, "qcow2"))
        return cmd_usage(a, "--cluster-size is for qcow2");
    if (cluster_size && (size_parse(cluster_size, &cluster, &err) < 0 || cluster > 2u << 20))
        return cmd_usage(a, "--cluster-size: '%s' is not 512, 1K, 2K, … or 2M", cluster_size);
    c.to.cluster_size = (unsigned)cluster;
    if (disk_file_parse(a, cmd_pos(a, 0), "source-format", &f, &err) < 0) {
        status = cmd_usage(a, "%s", err.text);
    } else if (disk_file_open(&f, DISK_READONLY, &from, &err) < 0) {
        status = cmd_fail(a, &err);
    } else {
        disk_cancellable();
        c.from = from;
        int rc = disk_convert(&c, &err);
        disk_meter_end(&meter);
        if (rc < 0)
            status = disk_fail(a, &err);
    }
    disk_file_clear(&f);
    return status;
}

const struct command cmd_disk_convert = {
    .name = "disk convert",
    .args = "SOURCE FILE",
    .min = 2,
    .max = 2,
    .options =
        (const struct cmd_option[]){
            OPTION_FORMAT('f', "what to make"),
            {"source-format", 0, "FORMAT", false, "what the source is, in the same way"},
            OPTION_BACKING("what the source is based on; again: what that is based on"),
            OPTION_OWN_BACKING,
            {"cluster-size", 0, "SIZE", false, "qcow2: allocate in such units (64K)"},
            {"force", 0, NULL, false,
             "replace a file of that name, unless it is in use; write over a block device"},
            {0},
        },
    .help = "copy a disk into a new image, of the same format or another",
    .detail = "What reads as zeroes takes no space in the new image. It appears when it is\n"
              "complete: interrupted, the command leaves nothing. A source that is based on\n"
              "other images is copied with what they have; say which these are, or, if you\n"
              "trust the source, --own-backing. It must not be in use for writing.\n\n"
              "  pult disk convert debian.raw web1.qcow2\n"
              "  pult disk convert test.qcow2 flat.qcow2 --backing web1.qcow2,format=qcow2",
    .safe = true,
    .run = disk_convert_run,
};
