/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container out of an image of OCI or docker: its layers one above the other in one root file
 * system, and what it says of how it is to be run as keys of the definition:
 *
 *     Entrypoint, Cmd   lxc.execute.cmd       User         lxc.init.uid, lxc.init.gid
 *     Env               lxc.environment       WorkingDir   lxc.init.cwd
 *     StopSignal        lxc.signal.halt
 */
#include "lxc/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "lxc/archive.h"
#include "lxc/sys.h"
#include "lxc/template.h"

/* ---- the definition ---- */

/* Field number `want` of the line of passwd or group that is called name or has this number. */
static bool look_up(int root, const char *file, const char *name, unsigned want, unsigned *out)
{
    cleanup_close int fd = sys_open_in_root(root, file, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0, 0);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    char line[1024];
    bool found = false;
    if (f)
        fd = -1; /* the FILE's now */
    while (f && !found && fgets(line, sizeof line, f)) {
        char *rest = line, *field[4] = {NULL};
        for (unsigned i = 0; i < 4 && rest; i++)
            field[i] = strsep(&rest, ":\n");
        if (field[0] && field[2] && field[want] &&
            (str_eq(field[0], name) || str_eq(field[2], name)))
            found = sscanf(field[want], "%u", out) == 1;
    }
    if (f)
        fclose(f);
    return found;
}

/* "NAME", "UID", "NAME:GROUP", "UID:GID" */
static int set_user(const char *user, int root, struct conf *conf, struct error *err)
{
    cleanup_free char *name = xstrdup(user);
    char *group = strchr(name, ':');
    unsigned uid = 0, gid = 0;
    char number[16];
    int64_t n;
    if (group)
        *group++ = '\0';
    if (!look_up(root, "etc/passwd", name, 2, &uid)) {
        if (number_parse(name, 0, 65535, &n, NULL) < 0)
            return error_set(err, 0, "the image is to be run as '%s', whom it does not know", name);
        uid = (unsigned)n;
    }
    look_up(root, "etc/passwd", name, 3, &gid);
    if (group && *group && !look_up(root, "etc/group", group, 2, &gid)) {
        if (number_parse(group, 0, 65535, &n, NULL) < 0)
            return error_set(err, 0, "the image is to be run as a group '%s', which it has not",
                             group);
        gid = (unsigned)n;
    }
    snprintf(number, sizeof number, "%u", uid);
    conf_set(conf, "lxc.init.uid", number);
    snprintf(number, sizeof number, "%u", gid);
    conf_set(conf, "lxc.init.gid", number);
    return 0;
}

/* Words of an array at the end of a list. */
static void add_words(const json_t *array, char ***words, size_t *n)
{
    const json_t *word;
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)array, i, word) {
        *words = xrealloc(*words, *n + 2, sizeof **words);
        (*words)[(*n)++] = xstrdup(json_string_value(word) ? json_string_value(word) : "");
        (*words)[*n] = NULL;
    }
}

/* A value that fits into a line. */
static bool one_line(const char *s)
{
    return s && *s && !strpbrk(s, "\r\n");
}

int oci_conf(const struct oci_image *image, int root, struct conf *conf, struct error *err)
{
    const json_t *c = json_object_get(image->config, "config"), *pair;
    char **words = NULL;
    size_t n = 0, i;
    json_array_foreach (json_object_get(c, "Env"), i, pair)
        if (one_line(json_string_value(pair)) && strchr(json_string_value(pair), '='))
            conf_add(conf, "lxc.environment", json_string_value(pair));
    add_words(json_object_get(c, "Entrypoint"), &words, &n);
    add_words(json_object_get(c, "Cmd"), &words, &n);
    if (words && !conf_get(conf, "lxc.execute.cmd") && !conf_get(conf, "lxc.init.cmd")) {
        cleanup_free char *line = str_join_words(words);
        if (one_line(line))
            conf_set(conf, "lxc.execute.cmd", line);
        else
            error_set(err, 0, "the image's command has more than one line");
        if (!one_line(line))
            n = SIZE_MAX;
    }
    strv_free(words);
    if (n == SIZE_MAX)
        return error_hint(err, "give one behind --");
    const char *v = json_string_value(json_object_get(c, "WorkingDir"));
    if (one_line(v) && *v == '/')
        conf_set(conf, "lxc.init.cwd", v);
    v = json_string_value(json_object_get(c, "StopSignal"));
    if (one_line(v))
        conf_set(conf, "lxc.signal.halt", v);
    v = json_string_value(json_object_get(c, "User"));
    return one_line(v) ? set_user(v, root, conf, err) : 0;
}

/* ---- the files ---- */

/* How far all layers are. */
struct layers {
    const struct guest_source *s;
    uint64_t at, count;
};

static bool layer_progress(void *arg, uint64_t done, uint64_t total)
{
    const struct layers *l = arg;
    if (!l->s->progress)
        return false;
    return l->s->progress(l->s->arg,
                          l->at * 1000 + min(done, total) * 1000 / max(total, UINT64_C(1)),
                          l->count * 1000);
}

static int put_layers(const struct guest_source *s, int image_dir, const struct oci_image *image,
                      const char *root, struct error *err)
{
    struct layers l = {.s = s, .count = image->count};
    for (; l.at < image->count; l.at++) {
        cleanup_close int fd = oci_open(image_dir, &image->layers[l.at], err);
        const struct archive_job j = {.kind = ARCHIVE_LAYER,
                                      .fd = fd,
                                      .progress = layer_progress,
                                      .arg = &l};
        if (fd < 0)
            return -1;
        if (archive_unpack(&j, root, err) < 0)
            return error_wrap(err, "layer %" PRIu64 " of the image", l.at + 1);
    }
    return 0;
}

static int put_image(const struct guest_source *s, int image_dir, const char *tag, const char *dir,
                     struct conf *conf, struct error *err)
{
    struct oci_image image;
    int ret = oci_read(image_dir, tag, &image, err);
    cleanup_free char *root = ret == 0 ? template_root(dir, err) : NULL;
    if (!root)
        ret = -1;
    if (ret == 0)
        ret = put_layers(s, image_dir, &image, root, err);
    cleanup_close int fd = ret == 0 ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (ret == 0)
        ret = fd < 0 ? error_set(err, errno, "open '%s'", root) : oci_conf(&image, fd, conf, err);
    oci_clear(&image);
    return ret;
}

/* An archive is unpacked beside, as long as it is needed. */
static int put_archive(const struct guest_source *s, int fd, const char *tag, const char *dir,
                       struct conf *conf, struct error *err)
{
    cleanup_free char *image = xasprintf("%s/image", dir);
    const struct archive_job j = {.kind = ARCHIVE_PLAIN, .fd = fd};
    if (mkdir(image, 0700) < 0)
        return error_set(err, errno, "make '%s'", image);
    if (archive_unpack(&j, image, err) < 0)
        return error_wrap(err, "unpack the image");
    cleanup_close int in = open(image, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (in < 0)
        return error_set(err, errno, "open '%s'", image);
    if (put_image(s, in, tag, dir, conf, err) < 0)
        return -1;
    return tree_remove_at(AT_FDCWD, image, err);
}

int template_oci(const struct guest_source *s, const char *dir, struct conf *conf,
                 struct error *err)
{
    cleanup_free char *path = xstrdup(s->source);
    char *tag = NULL;
    struct stat st;
    /* Both may have colons: the path ends where there is such a file. */
    for (char *p = path; !tag && stat(path, &st) < 0 && (p = strchr(p, ':')); p++) {
        *p = '\0';
        if (stat(path, &st) == 0)
            tag = p + 1;
        else
            *p = ':';
    }
    cleanup_close int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, errno, "open the image '%s'", path);
    int ret = S_ISDIR(st.st_mode) ? put_image(s, fd, tag, dir, conf, err)
                                  : put_archive(s, fd, tag, dir, conf, err);
    return ret < 0 ? error_wrap(err, "'%s'", path) : 0;
}
