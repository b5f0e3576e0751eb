/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult disk info: what an image says of itself, also if a guest uses it. Here, where nothing is
 * done with the answer, the format may be told from the content; then it is said so.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/disk_snapshot.h"
#include "cmd/diskfile.h"
#include "cmd/print.h"
#include "cmd/table.h"

/* Does the file begin as a qcow2 image does? */
static const char *guess(const char *path)
{
    char magic[4] = "";
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool qcow2 = fd >= 0 && pread(fd, magic, sizeof magic, 0) == sizeof magic &&
                 memcmp(magic, "QFI\xfb", sizeof magic) == 0;
    return qcow2 ? "qcow2" : "raw";
}

/* Text of an image, fit to be shown and to be JSON. Steals it. */
static json_t *text_or_null(char **text)
{
    if (*text == NULL)
        return json_null();
    str_printable(*text);
    return json_string(*text);
}

static void utc(int64_t when, char out[32])
{
    struct tm tm;
    time_t t = (time_t)when;
    if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        strcpy(out, "?");
}

json_t *disk_snapshots_json(struct disk_info *info)
{
    json_t *list = json_array();
    for (size_t i = 0; i < info->nsnapshots; i++) {
        struct disk_snapshot_info *s = &info->snapshots[i];
        char when[32];
        utc(s->date, when);
        json_array_append_new(list, json_pack("{s:o, s:o, s:s, s:I, s:I}", "id",
                                              text_or_null(&s->id), "name", text_or_null(&s->name),
                                              "made", when, "size_bytes", (json_int_t)s->size,
                                              "vm_state_bytes", (json_int_t)s->vm_state));
    }
    return list;
}

static json_t *facts(const char *path, const char *by, struct disk_info *info)
{
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "file", path, "format", info->format,
                  "format_by", by, "size_bytes", (json_int_t)info->size, "file_bytes",
                  (json_int_t)info->file_size, "allocated_bytes", (json_int_t)info->allocated);
    if (o == NULL || !str_eq(info->format, "qcow2"))
        return o;
    json_object_set_new(o, "version", json_integer(info->version));
    json_object_set_new(o, "cluster_bytes", json_integer(info->cluster_size));
    json_object_set_new(o, "refcount_bits", json_integer(info->refcount_bits));
    json_object_set_new(o, "compression", json_string(info->compression));
    json_object_set_new(o, "lazy_refcounts", json_boolean(info->lazy_refcounts));
    json_object_set_new(o, "dirty", json_boolean(info->dirty));
    json_object_set_new(o, "corrupt", json_boolean(info->corrupt));
    json_object_set_new(o, "backing_file", text_or_null(&info->backing_path));
    json_object_set_new(o, "backing_format", text_or_null(&info->backing_format));
    json_object_set_new(o, "unsupported", text_or_null(&info->unsupported));
    json_object_set_new(o, "snapshots", disk_snapshots_json(info));
    return o;
}

static void line(const char *label, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void line(const char *label, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    cleanup_free char *text = xvasprintf(fmt, ap);
    va_end(ap);
    str_printable(text);
    printf("%-16s %s\n", label, text);
}

static void size_line(const char *label, uint64_t bytes)
{
    char human[8];
    size_human(bytes, human);
    line(label, "%s (%llu bytes)", human, (unsigned long long)bytes);
}

void disk_snapshots_print(struct disk_info *info)
{
    static const char *const head[] = {"ID", "SNAPSHOT", "MADE", ">DISK", ">VM STATE", NULL};
    struct table *t = table_new(head);
    for (size_t i = 0; i < info->nsnapshots; i++) {
        struct disk_snapshot_info *s = &info->snapshots[i];
        char when[32], size[8], state[8];
        utc(s->date, when);
        size_human(s->size, size);
        size_human(s->vm_state, state);
        str_printable(s->id);
        str_printable(s->name);
        table_cell(t, "%s", s->id);
        table_cell(t, "%s", s->name);
        table_cell(t, "%s", when);
        table_cell(t, "%s", size);
        table_cell(t, "%s", state);
    }
    table_print(t);
}

static void print_qcow2(struct disk_info *info)
{
    line("version", "%u", info->version);
    line("clusters", "%u bytes, refcounts of %u bits%s", info->cluster_size, info->refcount_bits,
         info->lazy_refcounts ? ", lazy" : "");
    line("compression", "%s", info->compression);
    if (info->backing_path)
        line("based on", "%s%s%s%s, as it says itself", info->backing_path,
             info->backing_format ? " (" : "", info->backing_format ? info->backing_format : "",
             info->backing_format ? ")" : "");
    if (info->dirty)
        line("dirty", "it was not closed, or is in use");
    if (info->corrupt)
        line("corrupt", "it is marked so: see pult disk check");
    if (info->unsupported)
        line("unusable", "%s", info->unsupported);
    if (info->nsnapshots > 0) {
        putchar('\n');
        disk_snapshots_print(info);
    }
}

static int disk_info_run(const struct cmd_args *a)
{
    struct error err = {0};
    struct disk_info info;
    const char *path = cmd_pos(a, 0), *given = cmd_opt(a, "format"), *by = "option";
    const char *format = disk_file_format(path, given, &err);
    if (given && format == NULL)
        return cmd_usage(a, "%s", err.text);
    if (!given)
        by = format ? "name" : "content";
    if (format == NULL)
        format = guess(path);
    if (disk_inspect(path, format, &info, &err) < 0) {
        disk_info_clear(&info);
        return cmd_fail(a, &err);
    }
    if (cmd_json(a)) {
        cleanup_free char *shown = xstrdup(path);
        str_printable(shown);
        print_json(facts(shown, by, &info));
    } else {
        line("file", "%s", path);
        line("format", "%s%s", info.format,
             str_eq(by, "content") ? ", judging by its first bytes" : "");
        size_line("disk", info.size);
        size_line("takes", info.allocated);
        if (str_eq(info.format, "qcow2"))
            print_qcow2(&info);
    }
    disk_info_clear(&info);
    return EXIT_OK;
}

const struct command cmd_disk_info = {
    .name = "disk info",
    .args = "FILE",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            OPTION_FORMAT('f', "what it is"),
            {0},
        },
    .help = "tell what an image says of itself",
    .detail = "This may be asked while a guest uses it. Where neither --format nor the name says\n"
              "the format it is told from the content, and said so; no other command does that,\n"
              "because a guest can write what it likes into a raw disk.",
    .json = true,
    .safe = true,
    .run = disk_info_run,
};
