/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult disk create: an empty disk, or one that is based on another. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/diskfile.h"
#include "cmd/table.h"

/* A size as the user wrote it, in whole sectors. */
static int parse_size(const char *text, uint64_t *size, struct error *err)
{
    if (size_parse(text, size, err) < 0)
        return -1;
    if (*size > INT64_MAX - 511)
        return error_set(err, 0, "'%s' is too large for a disk", text);
    *size = (*size + 511) & ~UINT64_C(511);
    return 0;
}

/*
 * How the image will name its backing file: just its name where both are in one directory, so that
 * this can be moved; else the whole path. Caller frees. NULL: there is no such file.
 */
static char *name_of_backing(const char *image, const char *backing, struct error *err)
{
    char *real = realpath(backing, NULL);
    if (real == NULL) {
        error_set(err, errno, "find '%s'", backing);
        return NULL;
    }
    const char *slash = strrchr(image, '/');
    cleanup_free char *dir = slash ? xstrndup(image, (size_t)(slash - image) + 1) : xstrdup("./");
    cleanup_free char *real_dir = realpath(dir, NULL);
    char *base = strrchr(real, '/');
    size_t len = (size_t)(base - real);
    if (real_dir && strlen(real_dir) == len && memcmp(real_dir, real, len) == 0) {
        char *name = xstrdup(base + 1);
        free(real);
        return name;
    }
    return real;
}

/* The size of what it is based on, without following what that is based on. */
static int size_of_backing(const char *path, const char *format, uint64_t *size, struct error *err)
{
    struct disk_info info;
    if (disk_inspect(path, format, &info, err) < 0)
        return -1;
    int rc =
        info.unsupported ? error_set(err, 0, "'%s' cannot be used: %s", path, info.unsupported) : 0;
    *size = info.size;
    disk_info_clear(&info);
    return rc;
}

static int disk_create_run(const struct cmd_args *a)
{
    struct error err = {0};
    uint64_t cluster = 0;
    const char *size = cmd_pos(a, 1), *backing = cmd_opt(a, "backing");
    const char *cluster_size = cmd_opt(a, "cluster-size");
    cleanup_free char *path = NULL, *name = NULL;
    struct disk_new n = {.path = cmd_pos(a, 0), .replace = cmd_opt(a, "force") != NULL};
    if (size == NULL && backing == NULL)
        return cmd_usage(a, "missing argument: SIZE");
    if (size && parse_size(size, &n.size, &err) < 0)
        return cmd_usage(a, "%s", err.text);
    if (cluster_size && (size_parse(cluster_size, &cluster, &err) < 0 || cluster > UINT_MAX))
        return cmd_usage(a, "--cluster-size: '%s' is not 512, 1K, 2K, … or 2M", cluster_size);
    n.cluster_size = (unsigned)cluster;
    n.format = disk_file_format(n.path, cmd_opt(a, "format"), &err);
    if (n.format == NULL)
        return cmd_usage(a, "%s", err.text);
    if (!str_eq(n.format, "qcow2") && (backing || cluster_size))
        return cmd_usage(a, "--%s is for qcow2", backing ? "backing" : "cluster-size");
    if (backing) {
        uint64_t below;
        if (disk_file_split(backing, &path, &n.backing_format, &err) < 0)
            return cmd_usage(a, "%s", err.text);
        name = name_of_backing(n.path, path, &err);
        if (name == NULL || size_of_backing(path, n.backing_format, &below, &err) < 0)
            return cmd_fail(a, &err);
        n.backing = name;
        n.size = size ? n.size : below;
    }
    return disk_create(&n, &err) < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

const struct command cmd_disk_create = {
    .name = "disk create",
    .args = "FILE [SIZE]",
    .min = 1,
    .max = 2,
    .options =
        (const struct cmd_option[]){
            OPTION_FORMAT('f', "what to make"),
            {"backing", 'b', "FILE,format=FORMAT", false,
             "qcow2: what the disk has before anything is written to it"},
            {"cluster-size", 0, "SIZE", false, "qcow2: allocate in such units (64K)"},
            {"force", 0, NULL, false, "replace a file of that name, unless it is in use"},
            {0},
        },
    .help = "make the image of an empty disk",
    .detail = "A new image takes hardly any space, and more as it is written to. With --backing\n"
              "SIZE may be left out: it is that of the other image, which must not be changed\n"
              "from then on.\n\n"
              "  pult disk create web1.qcow2 20G\n"
              "  pult disk create test.qcow2 --backing web1.qcow2,format=qcow2",
    .safe = true,
    .run = disk_create_run,
};
