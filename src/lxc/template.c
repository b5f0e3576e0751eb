/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of templates, and what they share; template.h. */
#include "lxc/template.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "lxc/archive.h"
#include "lxc/copy.h"
#include "lxc/filework.h"

char *template_root(const char *dir, struct error *err)
{
    char *root = xasprintf("%s/rootfs", dir);
    if (mkdir(root, 0755) == 0 && chmod(root, 0755) == 0)
        return root;
    error_set(err, errno, "make '%s'", root);
    free(root);
    return NULL;
}

int template_unpack(const struct guest_source *s, const char *archive, const char *dir,
                    struct error *err)
{
    cleanup_free char *root = template_root(dir, err);
    if (!root)
        return -1;
    cleanup_close int fd = open(archive, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, errno, "open the archive '%s'", archive);
    const struct archive_job j = {.kind = ARCHIVE_ROOT,
                                  .fd = fd,
                                  .progress = s->progress,
                                  .arg = s->arg};
    return archive_unpack(&j, root, err) < 0 ? error_wrap(err, "unpack '%s'", archive) : 0;
}

/* ---- small files ---- */

static int make_file(const struct template_file *f, struct error *err)
{
    const char *path = f->path + (*f->path == '/');
    if (S_ISDIR(f->mode)) {
        if (mkdir(path, f->mode & 07777) < 0 && errno != EEXIST)
            return error_set(err, errno, "make '/%s'", path);
        return chmod(path, f->mode & 07777) < 0 ? error_set(err, errno, "make '/%s'", path) : 0;
    }
    if (unlink(path) < 0 && errno != ENOENT)
        return error_set(err, errno, "replace '/%s'", path);
    if (f->mode == 0)
        return symlink(f->text, path) < 0 ? error_set(err, errno, "make '/%s'", path) : 0;
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, f->mode);
    if (fd < 0 || write_all(fd, f->text, strlen(f->text)) < 0 || fchmod(fd, f->mode) < 0)
        return error_set(err, errno, "make '/%s'", path);
    return 0;
}

static int make_files(void *arg, struct error *err)
{
    for (const struct template_file *f = arg; f->path; f++)
        if (make_file(f, err) < 0)
            return -1;
    return 0;
}

int template_files(const char *root, const struct template_file *files, struct error *err)
{
    const struct filework w = {.dir = root,
                               .jail = true,
                               .run = make_files,
                               .arg = (void *)(uintptr_t)files};
    return filework_do(&w, err);
}

/* ---- the simple ones ---- */

static int tar_make(const struct guest_source *s, const char *dir, struct conf *conf,
                    struct error *err)
{
    (void)conf;
    return template_unpack(s, s->source, dir, err);
}

static int rootfs_make(const struct guest_source *s, const char *dir, struct conf *conf,
                       struct error *err)
{
    struct stat st;
    (void)conf;
    if (stat(s->source, &st) < 0)
        return error_set(err, errno, "find '%s'", s->source);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, 0, "'%s' is not a directory", s->source);
    return tree_copy(s->source, dir, "rootfs", NULL, s->progress, s->arg, err);
}

static const struct option no_options[] = {{"", OPTION_EITHER, NULL}, {NULL, OPTION_FLAG, NULL}};

static const struct option debian_options[] = {
    {"", OPTION_EITHER, NULL},       {"mirror", OPTION_VALUE, NULL},
    {"variant", OPTION_VALUE, NULL}, {"packages", OPTION_LIST, NULL},
    {"fresh", OPTION_FLAG, NULL},    {NULL, OPTION_FLAG, NULL},
};

static const struct option host_options[] = {
    {"", OPTION_EITHER, NULL},
    {"data", OPTION_LIST, conf_is_abs_path},
    {"rw", OPTION_LIST, conf_is_abs_path},
    {NULL, OPTION_FLAG, NULL},
};

static const struct option lxc_options[] = {
    {"", OPTION_EITHER, NULL},
    {"arg", OPTION_LIST, NULL},
    {NULL, OPTION_FLAG, NULL},
};

const struct guest_template lxc_templates[] = {
    {"debian", "SUITE", true, debian_options,
     "Debian by debootstrap: SUITE (this host's), mirror=URL (that of apt here), variant=NAME, "
     "packages=NAME repeated; kept in the cache for the next one unless `fresh`",
     template_debian},
    {"busybox", NULL, true, no_options, "a small system of this host's static busybox",
     template_busybox},
    {"host", NULL, true, host_options,
     "one command on this host's /bin, /lib and /usr, read-only, with an /etc and a /var of its "
     "own; data=DIR is shown read-only, rw=DIR to be written to, repeated",
     template_host},
    {"rootfs", "DIR", false, no_options, "a copy of a root file system", rootfs_make},
    {"tar", "FILE", false, no_options, "an archive of one: tar, also with gzip, bzip2, xz, zstd",
     tar_make},
    {"oci", "PATH[:TAG]", false, no_options,
     "an image of OCI or docker, as a directory or an archive: skopeo copy … oci:PATH, docker save",
     template_oci},
    {"lxc", "NAME", false, lxc_options,
     "a template of the program lxc, or the path of one; arg=ARGUMENT, repeated", template_lxc},
    {NULL, NULL, false, NULL, NULL, NULL},
};
