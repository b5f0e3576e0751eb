/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult disk check: is the metadata of a qcow2 image sound? */
#include <jansson.h>
#include <stdio.h>

#include "base/util.h"
#include "cmd/diskfile.h"
#include "cmd/print.h"
#include "cmd/table.h"

static void say(void *arg, const char *text)
{
    (void)arg;
    puts(text);
}

static void report(const struct cmd_args *a, const struct disk_check *c)
{
    if (cmd_json(a)) {
        print_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "file", cmd_pos(a, 0), "errors",
                             (json_int_t)c->errors, "leaks", (json_int_t)c->leaks, "clusters",
                             (json_int_t)c->clusters, "used_clusters", (json_int_t)c->used,
                             "compressed_clusters", (json_int_t)c->compressed, "repaired",
                             (int)c->repaired));
        return;
    }
    if (c->errors + c->leaks == 0)
        puts("it is sound");
    if (c->errors)
        printf("%llu error%s%s\n", (unsigned long long)c->errors, c->errors == 1 ? "" : "s",
               c->repaired ? ", repaired" : "");
    if (c->leaks)
        printf("%llu cluster%s leaked: space is lost, no data%s\n", (unsigned long long)c->leaks,
               c->leaks == 1 ? "" : "s", c->repaired ? "; repaired" : "");
    printf("%llu of %llu clusters are in use, %llu of them compressed\n",
           (unsigned long long)c->used, (unsigned long long)c->clusters,
           (unsigned long long)c->compressed);
}

static int disk_check_run(const struct cmd_args *a)
{
    struct error err = {0};
    struct disk *d;
    struct disk_check c = {.repair = cmd_opt(a, "repair") != NULL,
                           .say = cmd_json(a) ? NULL : say,
                           .cancelled = disk_cancelled};
    struct disk_spec spec = {.path = cmd_pos(a, 0),
                             .flags =
                                 DISK_FOR_CHECK | DISK_NO_BACKING | (c.repair ? 0 : DISK_READONLY)};
    spec.format = disk_file_format(spec.path, cmd_opt(a, "format"), &err);
    if (spec.format == NULL)
        return cmd_usage(a, "%s", err.text);
    if (disk_open(&spec, &d, &err) < 0)
        return cmd_fail(a, &err);
    disk_cancellable();
    int rc = disk_check(d, &c, &err);
    if (disk_close(d, rc == 0 ? &err : NULL) < 0)
        rc = -1;
    if (rc < 0)
        return disk_fail(a, &err);
    report(a, &c);
    return c.errors > 0 && !c.repaired ? EXIT_FAILED : EXIT_OK;
}

const struct command cmd_disk_check = {
    .name = "disk check",
    .args = "FILE",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            OPTION_FORMAT('f', "what it is"),
            {"repair", 'r', NULL, false, "put right what is wrong"},
            {0},
        },
    .help = "check the metadata of a qcow2 image",
    .detail =
        "It ends with 1 if there are errors. Clusters that are leaked are none: after a\n"
        "power cut there may be some, which --repair makes free again. An image must not be\n"
        "in use. What a repair cannot know is empty after it, so keep a copy of what matters.",
    .json = true,
    .safe = true,
    .run = disk_check_run,
};
