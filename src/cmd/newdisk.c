/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --disk and --snapshot of new VMs; newdisk.h. What an option says becomes a value of vm.disk.N, with
 * nothing left to be guessed when the guest starts: by then it may have written into the file
 * whatever makes us guess what it likes.
 */
#include "cmd/newdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/diskfile.h"
#include "disk/definition.h"

/* Append ",NAME=text", with the commas in text doubled. Without a name, only text. */
static void put(char **to, const char *name, const char *text)
{
    char *whole = xasprintf("%s%s%s%s", *to, **to ? "," : "", name, *name && *text ? "=" : "");
    size_t n = strlen(whole);
    whole = xrealloc(whole, n + 2 * strlen(text) + 1, 1);
    for (; *text; text++) {
        whole[n++] = *text;
        if (*text == ',')
            whole[n++] = ',';
    }
    whole[n] = '\0';
    free(*to);
    *to = whole;
}

/* The whole path of a file that is there. NULL: it is not. */
static char *whole_path(const char *name, struct error *err)
{
    char *real = realpath(name, NULL);
    if (real == NULL)
        error_set(err, errno, "find '%s'", name);
    return real;
}

/* FILE:FORMAT with its path made whole. */
static int put_backing(char **to, const char *value, struct error *err)
{
    const char *colon = strrchr(value, ':');
    cleanup_free char *name = xstrndup(value, (size_t)(colon - value));
    cleanup_free char *path = whole_path(name, err);
    if (path == NULL)
        return error_wrap(err, "backing");
    cleanup_free char *both = xasprintf("%s%s", path, colon);
    put(to, "backing", both);
    return 0;
}

/*
 * A name that says raw is believed, but not where the file looks like a qcow2 image: then it is either
 * that, or a trap that a guest has laid, and the administrator has to say which.
 */
static const char *format_of(const char *path, struct error *err)
{
    struct stat st;
    char magic[4] = "";
    if (stat(path, &st) == 0 && S_ISBLK(st.st_mode))
        return "raw";
    const char *format = disk_file_format(path, NULL, err);
    if (format == NULL || strcmp(format, "raw") != 0)
        return format;
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || read(fd, magic, sizeof magic) < 4 || memcmp(magic, "QFI\xfb", 4) != 0)
        return format;
    error_set(err, 0, "'%s' is called as raw images are, and begins as qcow2 images do", path);
    error_hint(err, "add ,format=qcow2, or ,format=raw if a guest may have written that");
    return NULL;
}

/* The value of vm.disk.N for what the option says. Caller frees. NULL on failure. */
static char *value_of(const char *text, struct error *err)
{
    cleanup_options struct options o;
    cleanup_free char *value = xstrdup("");
    if (options_parse(text, disk_definition_options, &o, err) < 0)
        return NULL;
    cleanup_free char *path = whole_path(options_get(&o, ""), err);
    if (path == NULL)
        return NULL;
    const char *format = options_get(&o, "format");
    if (format == NULL && (format = format_of(path, err)) == NULL)
        return NULL;
    put(&value, "", path);
    put(&value, "format", format);
    for (size_t i = 0; i < o.count; i++) {
        const struct option_given *g = &o.given[i];
        if (strcmp(g->name, "backing") == 0 && put_backing(&value, g->value, err) < 0)
            return NULL;
        if (*g->name && strcmp(g->name, "backing") != 0 && strcmp(g->name, "format") != 0)
            put(&value, g->name, g->value);
    }
    return disk_is_definition(value, err) < 0 ? NULL : steal_ptr(value);
}

/* One more vm.disk.N; its key. */
static int add_disk(struct conf *conf, const char *text, char key[24], struct error *err)
{
    cleanup_free char *value = value_of(text, err);
    unsigned n = 0;
    if (value == NULL)
        return -1;
    do
        snprintf(key, 24, DISK_KEY "%u", n++);
    while (conf_get(conf, key));
    conf_set(conf, key, value);
    return 0;
}

int new_disk(struct conf *conf, const char *text, struct error *err)
{
    char key[24];
    return add_disk(conf, text, key, err) < 0 ? error_wrap(err, "--disk") : 0;
}

bool new_disks_any(const struct conf *conf)
{
    cleanup_disk_keys struct disk_keys k = disk_keys(conf);
    return k.count > 0;
}

/* One key's disk forgets. What is only read has nothing to forget. */
static int forget(struct conf *conf, const char *key, struct error *err)
{
    cleanup_options struct options o;
    const char *value = conf_get(conf, key);
    if (options_parse(value, disk_definition_options, &o, err) < 0)
        return error_wrap(err, "%s", key);
    if (options_get(&o, "ro") || options_get(&o, "snapshot"))
        return 0;
    cleanup_free char *more = xasprintf("%s,snapshot", value);
    conf_set(conf, key, more);
    return 0;
}

/* The first disk is booted from anyway. */
int new_disk_image(struct conf *conf, const char *text, struct error *err)
{
    cleanup_options struct options o;
    char key[24];
    bool first = !new_disks_any(conf);
    if (add_disk(conf, text, key, err) < 0 || forget(conf, key, err) < 0)
        return -1;
    const char *value = conf_get(conf, key);
    if (options_parse(value, disk_definition_options, &o, err) < 0)
        return -1;
    if (first || options_get(&o, "bootindex") || conf_get(conf, "vm.initrd"))
        return 0;
    cleanup_free char *more = xasprintf("%s,bootindex=0", value);
    conf_set(conf, key, more);
    return 0;
}

int new_disks_forget(struct conf *conf, struct error *err)
{
    cleanup_disk_keys struct disk_keys k = disk_keys(conf);
    if (k.count == 0)
        return error_set(err, 0, "--snapshot: it has no disk");
    for (size_t i = 0; i < k.count; i++)
        if (forget(conf, k.all[i].key, err) < 0)
            return -1;
    return 0;
}
