/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel's modules: which others one needs says modules.dep, made by depmod(8), a line each:
 * "kernel/fs/fuse/virtiofs.ko.xz: kernel/fs/fuse/fuse.ko.xz …", the nearest first. They may be
 * packed, which not every kernel can undo by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "kvm/boot/unpack.h"
#include "kvm/throw/throw.h"

#define LIST_MOST   (16u << 20)
#define MODULE_MOST (32u << 20)

/* Does this path lead to the module of that name? Dashes and underscores are the same. */
static bool is_module(const char *path, size_t len, const char *name)
{
    const char *end = path + len, *p = end;

    while (p > path && p[-1] != '/')
        p--;
    for (; *name && p < end; name++, p++)
        if (*name != *p && !(strchr("-_", *name) && strchr("-_", *p)))
            return false;
    return !*name && (size_t)(end - p) >= 3 && memcmp(p, ".ko", 3) == 0;
}

/* The line of a list whose first word is that module, or NULL. */
static const char *find_line(const char *text, const char *name)
{
    while (text && *text) {
        if (is_module(text, strcspn(text, ":\n"), name))
            return text;
        text = strchr(text, '\n');
        text = text ? text + 1 : NULL;
    }
    return NULL;
}

/* "fuse.ko" of "kernel/fs/fuse/fuse.ko.xz" */
static char *plain_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *ko = strstr(base, ".ko");

    return xstrndup(base, ko ? (size_t)(ko - base) + 3 : strlen(base));
}

static int read_module(int dir, const char *path, struct modules *out, struct error *err)
{
    cleanup_free char *name = plain_name(path), *packed = NULL;
    size_t len;

    for (size_t i = 0; i < out->count; i++)
        if (str_eq(out->list[i].name, name))
            return 0;
    if (file_read_at(dir, path, MODULE_MOST, &packed, &len, err) < 0)
        return -1;
    struct module m = {.data = packed, .len = len};
    if (unpack_name((const uint8_t *)packed, len)) {
        m.data = xrealloc(NULL, MODULE_MOST, 1);
        int64_t n = unpack((const uint8_t *)packed, len, (uint8_t *)m.data, MODULE_MOST, err);
        if (n < 0) {
            free(m.data);
            return error_wrap(err, "module '%s'", path);
        }
        m.data = xrealloc(m.data, (size_t)n + 1, 1);
        m.len = (size_t)n;
    } else {
        packed = NULL;
    }
    m.name = steal_ptr(name);
    out->list = xrealloc(out->list, out->count + 1, sizeof(*out->list));
    out->list[out->count++] = m;
    return 0;
}

/* The modules of a line, from its end: each needs those behind it. */
static int read_line(int dir, const char *line, struct modules *out, struct error *err)
{
    cleanup_free char *copy = xstrndup(line, strcspn(line, "\n"));
    char *colon = strchr(copy, ':'), *last;

    if (colon)
        *colon = ' ';
    for (;;) {
        char *end = copy + strlen(copy);
        while (end > copy && end[-1] == ' ')
            *--end = '\0';
        if (!*copy)
            return 0;
        last = strrchr(copy, ' ');
        last = last ? last + 1 : copy;
        if (read_module(dir, last, out, err) < 0)
            return -1;
        *last = '\0';
    }
}

static int read_all(const char *dir, const char *const *names, bool must, struct modules *out,
                    struct error *err)
{
    cleanup_free char *dep = NULL, *builtin = NULL;
    cleanup_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_set(err, errno, "open the kernel's modules, '%s'", dir);
    if (file_read_at(fd, "modules.dep", LIST_MOST, &dep, NULL, err) < 0) {
        error_wrap(err, "'%s'", dir);
        return error_hint(err, "depmod makes it");
    }
    if (file_read_at(fd, "modules.builtin", LIST_MOST, &builtin, NULL, NULL) < 0)
        builtin = NULL;
    for (; *names; names++) {
        const char *line = find_line(dep, *names);
        if (line ? read_line(fd, line, out, err) < 0
                 : must && builtin && !find_line(builtin, *names) &&
                       error_set(err, 0, "the kernel has no module '%s' in '%s'", *names, dir) < 0)
            return -1;
    }
    return 0;
}

int modules_read(const char *dir, const char *const *names, struct modules *out, struct error *err)
{
    return read_all(dir, names, true, out, err);
}

int modules_read_some(const char *dir, const char *const *names, struct modules *out,
                      struct error *err)
{
    return read_all(dir, names, false, out, err);
}

void modules_clear(struct modules *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->list[i].name);
        free(m->list[i].data);
    }
    free(m->list);
    *m = (struct modules){0};
}
