/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an image is made of:
 *
 *     index.json     OCI image layout: descriptor → manifest → config and layers, each a blob that
 *                    its sha256 names; an index may lie between, with one manifest per platform
 *     manifest.json  docker save: an array of images, each with the paths of config and layers
 *
 * Nothing of it is trusted: paths are resolved within the directory, sizes are bounded, digests are
 * checked before a blob is used. (image-spec: image-layout.md, manifest.md)
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/oci.h"
#include "lxc/sys.h"

#define JSON_MAX  (4u << 20)
#define NESTED    4 /* an index in an index */
#define REF_NAME  "org.opencontainers.image.ref.name"
#define FULL_NAME "io.containerd.image.name"

/* ---- blobs ---- */

/* The sha256 of a file, by the program sha256sum. Of a large one who is told to end waits no longer. */
static int sha256(int fd, char out[65], struct error *err)
{
    int p[2], status = 0;
    size_t len = 0;
    ssize_t n = 0;
    if (lseek(fd, 0, SEEK_SET) < 0 || pipe2(p, O_CLOEXEC) < 0)
        return error_set(err, errno, "read the blob");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd, 0);
        dup2(p[1], 1);
        execlp("sha256sum", "sha256sum", NULL);
        _exit(127);
    }
    close(p[1]);
    while (pid > 0 && len < 64 && (n = read(p[0], out + len, 64 - len)) > 0)
        len += (size_t)n;
    const bool told = pid > 0 && len < 64 && n < 0 && errno == EINTR;
    if (told)
        kill(pid, SIGKILL);
    out[len] = '\0';
    close(p[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (told)
        return error_set(err, ECANCELED, "it was given up");
    if (pid < 0 || len != 64 || !WIFEXITED(status) || WEXITSTATUS(status) == 127)
        return error_set(err, 0, "sha256sum failed");
    return lseek(fd, 0, SEEK_SET) < 0 ? error_set(err, errno, "read the blob") : 0;
}

/* Is it compressed? docker's digests are of what is inside. */
static bool compressed(int fd)
{
    unsigned char head[6] = {0};
    if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head)
        return false;
    return memcmp(head, "\x1f\x8b", 2) == 0 || memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0 ||
           memcmp(head,
                  "\xfd"
                  "7zXZ",
                  5) == 0 ||
           memcmp(head, "BZh", 3) == 0;
}

static int blob_open(int dir, const struct oci_blob *b, off_t most, struct error *err)
{
    char have[65];
    struct stat st;
    cleanup_close int fd =
        sys_open_in_root(dir, b->path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0, 0);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set(err, errno, "open '%s' of the image", b->path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, 0, "'%s' of the image is no file", b->path);
    if (st.st_size > most)
        return error_set(err, EFBIG, "read '%s' of the image", b->path);
    if (*b->digest == '\0' || (b->plain && compressed(fd)))
        return steal_fd(fd);
    if (sha256(fd, have, err) < 0)
        return error_wrap(err, "'%s' of the image", b->path);
    if (!str_eq(have, b->digest))
        return error_set(err, 0, "'%s' of the image is damaged: its sha256 is %s", b->path, have);
    return steal_fd(fd);
}

int oci_open(int dir, const struct oci_blob *b, struct error *err)
{
    return blob_open(dir, b, INT64_MAX, err);
}

/* A blob that is JSON. NULL on failure. */
static json_t *read_json(int dir, const struct oci_blob *b, struct error *err)
{
    cleanup_close int fd = blob_open(dir, b, JSON_MAX, err);
    json_error_t why;
    if (fd < 0)
        return NULL;
    json_t *o = json_loadfd(fd, JSON_REJECT_DUPLICATES, &why);
    if (!o)
        error_set(err, 0, "'%s' of the image: line %d: %s", b->path, why.line, why.text);
    return o;
}

/* Where the blob of this digest lies: "sha256:HEX" → blobs/sha256/HEX. */
static int blob_of(const char *digest, struct oci_blob *b, struct error *err)
{
    static const char kind[] = "sha256:";
    const size_t n = sizeof kind - 1;
    *b = (struct oci_blob){0};
    if (!digest || !str_starts(digest, kind) || strlen(digest) != n + 64 ||
        strspn(digest + n, "0123456789abcdef") != 64)
        return error_set(err, 0, "the image has a digest '%s', which is no sha256",
                         digest ? digest : "");
    memcpy(b->digest, digest + n, 65);
    b->path = xasprintf("blobs/sha256/%s", b->digest);
    return 0;
}

static const char *string_at(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

/* ---- OCI ---- */

/* Does a name, such as HOST/PATH:TAG, end with this one? */
static bool is_tag(const char *name, const char *tag)
{
    const size_t n = name ? strlen(name) : 0, m = strlen(tag);
    return name && n >= m && str_eq(name + n - m, tag) &&
           (n == m || name[n - m - 1] == ':' || name[n - m - 1] == '/');
}

static bool has_tag(const json_t *descriptor, const char *tag)
{
    const json_t *a = json_object_get(descriptor, "annotations");
    return is_tag(string_at(a, REF_NAME), tag) || is_tag(string_at(a, FULL_NAME), tag);
}

/* Is it for this machine? One that does not say so is. */
static bool fits(const json_t *descriptor)
{
    static const struct {
        const char *uname, *oci;
    } names[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "386"}, {"armv7l", "arm"}};
    const json_t *p = json_object_get(descriptor, "platform");
    const char *os = string_at(p, "os"), *arch = string_at(p, "architecture");
    struct utsname u;
    if (!p || uname(&u) < 0)
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (str_eq(u.machine, names[i].uname))
            return str_eq(os, "linux") && str_eq(arch, names[i].oci);
    return str_eq(os, "linux") && str_eq(arch, u.machine);
}

/* Which one of an index. NULL, and why. */
static const json_t *choose(const json_t *index, const char *tag, struct error *err)
{
    const json_t *all = json_object_get(index, "manifests"), *found = NULL, *d;
    size_t i, n = 0;
    json_array_foreach ((json_t *)(uintptr_t)all, i, d) {
        if (!fits(d) || (tag && !has_tag(d, tag)))
            continue;
        found = d;
        n++;
    }
    if (n == 1)
        return found;
    if (n == 0 && tag)
        error_set(err, 0, "there is no image '%s' for this machine", tag);
    else if (n == 0)
        error_set(err, 0, "there is no image for this machine");
    else {
        error_set(err, 0, "there are %zu images", n);
        error_hint(err, "say which: PATH:TAG");
    }
    return NULL;
}

static void add_layer(struct oci_image *image, struct oci_blob *b)
{
    image->layers = xrealloc(image->layers, image->count + 1, sizeof *image->layers);
    image->layers[image->count++] = *b;
    *b = (struct oci_blob){0};
}

static int take_manifest(int dir, const json_t *manifest, struct oci_image *image,
                         struct error *err)
{
    const json_t *layers = json_object_get(manifest, "layers"), *layer;
    struct oci_blob b;
    size_t i;
    if (blob_of(string_at(json_object_get(manifest, "config"), "digest"), &b, err) < 0)
        return -1;
    image->config = read_json(dir, &b, err);
    free(b.path);
    if (!image->config)
        return -1;
    if (json_array_size(layers) == 0 || json_array_size(layers) > OCI_LAYERS)
        return error_set(err, 0, "the image has %zu layers", json_array_size(layers));
    json_array_foreach ((json_t *)(uintptr_t)layers, i, layer) {
        if (blob_of(string_at(layer, "digest"), &b, err) < 0)
            return -1;
        add_layer(image, &b);
    }
    return 0;
}

/* An index, or a manifest. */
static int read_layout(int dir, const char *tag, struct oci_image *image, struct error *err)
{
    struct oci_blob b = {.path = xstrdup("index.json")};
    json_t *o = read_json(dir, &b, err);
    free(b.path);
    for (unsigned depth = 0; o && json_object_get(o, "manifests"); depth++) {
        const json_t *d = choose(o, depth == 0 ? tag : NULL, err);
        json_t *next = NULL;
        if (depth == NESTED)
            error_set(err, 0, "the image has an index in an index in an index …");
        else if (d && blob_of(string_at(d, "digest"), &b, err) == 0) {
            next = read_json(dir, &b, err);
            free(b.path);
        }
        json_decref(o);
        o = next;
    }
    int ret = o ? take_manifest(dir, o, image, err) : -1;
    json_decref(o);
    return ret;
}

/* ---- docker ---- */

static bool docker_tag(const json_t *one, const char *tag)
{
    const json_t *tags = json_object_get(one, "RepoTags"), *t;
    size_t i;
    json_array_foreach ((json_t *)(uintptr_t)tags, i, t)
        if (is_tag(json_string_value(t), tag))
            return true;
    return false;
}

/* Config is named by its digest, HEX.json; layers have theirs in it. */
static int take_docker(int dir, const json_t *one, struct oci_image *image, struct error *err)
{
    const json_t *layers = json_object_get(one, "Layers"), *layer;
    const char *path = string_at(one, "Config");
    struct oci_blob b = {0};
    size_t i;
    if (!path)
        return error_set(err, 0, "manifest.json of the image names no config");
    const char *slash = strrchr(path, '/'), *hex = slash ? slash + 1 : path;
    if (strspn(hex, "0123456789abcdef") == 64 && (hex[64] == '\0' || hex[64] == '.'))
        snprintf(b.digest, sizeof b.digest, "%.64s", hex);
    b.path = xstrdup(path);
    image->config = read_json(dir, &b, err);
    free(b.path);
    if (!image->config)
        return -1;
    const json_t *ids = json_object_get(json_object_get(image->config, "rootfs"), "diff_ids");
    if (json_array_size(layers) == 0 || json_array_size(layers) > OCI_LAYERS ||
        json_array_size(ids) != json_array_size(layers))
        return error_set(err, 0, "the image has %zu layers, and the digests of %zu",
                         json_array_size(layers), json_array_size(ids));
    json_array_foreach ((json_t *)(uintptr_t)layers, i, layer) {
        if (!json_string_value(layer))
            return error_set(err, 0, "manifest.json of the image names no layers");
        if (blob_of(json_string_value(json_array_get(ids, i)), &b, err) < 0)
            return -1;
        free(b.path);
        b.path = xstrdup(json_string_value(layer));
        b.plain = true;
        add_layer(image, &b);
    }
    return 0;
}

static int read_docker(int dir, const char *tag, struct oci_image *image, struct error *err)
{
    struct oci_blob b = {.path = xstrdup("manifest.json")};
    json_t *all = read_json(dir, &b, err);
    const json_t *found = NULL, *one;
    size_t i, n = 0;
    free(b.path);
    if (!all)
        return -1;
    json_array_foreach (all, i, one)
        if (!tag || docker_tag(one, tag)) {
            found = one;
            n++;
        }
    int ret = n == 1 ? take_docker(dir, found, image, err)
                     : error_set(err, 0, "there are %zu images%s%s", n, tag ? " of the name " : "",
                                 tag ? tag : "; say which: PATH:TAG");
    json_decref(all);
    return ret;
}

int oci_read(int dir, const char *tag, struct oci_image *image, struct error *err)
{
    *image = (struct oci_image){0};
    if (faccessat(dir, "index.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return read_layout(dir, tag, image, err);
    if (faccessat(dir, "manifest.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return read_docker(dir, tag, image, err);
    return error_set(err, 0, "it has neither an index.json nor a manifest.json, so it is no image");
}

void oci_clear(struct oci_image *image)
{
    json_decref(image->config);
    for (size_t i = 0; i < image->count; i++)
        free(image->layers[i].path);
    free(image->layers);
    *image = (struct oci_image){0};
}
