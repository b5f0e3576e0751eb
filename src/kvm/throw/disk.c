/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMs that boot from their disks: which are tried, and in which order, and the modules of file
 * systems, of which the first process loads those that it turns out to need (init/disk.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/util.h"
#include "disk/definition.h"
#include "guest/def.h"
#include "kvm/throw/throw.h"

/* Each with what it asks the kernel for without its module saying so. */
static const struct {
    const char *type;
    const char *const modules[4];
} file_systems[] = {
    {"ext4", {"crc32c_generic", "ext4"}},   {"xfs", {"crc32c_generic", "xfs"}},
    {"btrfs", {"crc32c_generic", "btrfs"}}, {"f2fs", {"crc32_generic", "f2fs"}},
    {"erofs", {"crc32c_generic", "erofs"}}, {"squashfs", {"squashfs"}},
};

/* ---- which disks ---- */

struct boot_disk {
    size_t number; /* on the bus: 0 is vda */
    unsigned index;
};

static int by_index(const void *a, const void *b)
{
    const struct boot_disk *x = a, *y = b;

    if (x->index != y->index)
        return x->index < y->index ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

/* All of them, in the order in which they are tried. The caller frees. */
static struct boot_disk *boot_order(const struct guest_def *def, size_t *count, struct error *err)
{
    cleanup_disk_keys struct disk_keys k = disk_keys(def->conf);
    struct boot_disk *all = xcalloc(k.count + 1, sizeof(*all));

    for (size_t i = 0; i < k.count; i++) {
        cleanup_definition struct disk_definition d;
        if (disk_definition_parse(k.all[i].value, NULL, &d, err) < 0) {
            error_wrap(err, "%s", k.all[i].key);
            free(all);
            return NULL;
        }
        all[i] = (struct boot_disk){i, (unsigned)d.boot_index}; /* none, which is -1, is last */
    }
    qsort(all, k.count, sizeof(*all), by_index);
    *count = k.count;
    return all;
}

int throw_disk_check(const struct guest_def *def, struct error *err)
{
    size_t count;
    struct boot_disk *all = boot_order(def, &count, err);

    free(all);
    if (!all)
        return -1;
    if (count == 0)
        return error_set(err, 0, "vm.rootfs = disk: it has no disk (vm.disk.0)");
    if (conf_get(def->conf, "vm.workdir")) {
        error_set(err, 0, "vm.workdir is for a VM on files of this host, not on its disk");
        return error_hint(err, "share the directory with it: vm.share.0");
    }
    return 0;
}

/* As Linux calls them: vda … vdz, vdaa … */
static void disk_name(size_t number, char name[16])
{
    char letters[8];
    size_t n = 0, at = 2;

    for (number++; number && n < sizeof(letters); number /= 26) {
        number--;
        letters[n++] = (char)('a' + number % 26);
    }
    name[0] = 'v';
    name[1] = 'd';
    while (n > 0)
        name[at++] = letters[--n];
    name[at] = '\0';
}

/* ---- the initramfs ---- */

static bool is_packed(char *const *names, const char *name)
{
    for (; *names; names++)
        if (str_eq(*names, name))
            return true;
    return false;
}

/* The modules of one file system. Two of them may need the same one, which is packed once. */
static int fill_modules(struct cpio *c, struct cpio *words, const char *modules, size_t i,
                        char ***packed, struct error *err)
{
    struct modules m = {0};
    int rc = modules_read_some(modules, file_systems[i].modules, &m, err);

    for (size_t j = 0; rc == 0 && j < m.count; j++) {
        char *word = xasprintf("%s:%s", file_systems[i].type, m.list[j].name);
        throw_word(words, 'f', word);
        free(word);
        if (is_packed(*packed, m.list[j].name))
            continue;
        cpio_add(c, m.list[j].name, S_IFREG | 0600, m.list[j].data, m.list[j].len);
        const size_t n = strv_len(*packed);
        *packed = xrealloc(*packed, n + 2, sizeof(**packed));
        (*packed)[n] = xstrdup(m.list[j].name);
        (*packed)[n + 1] = NULL;
    }
    modules_clear(&m);
    return rc;
}

int throw_disk_fill(struct cpio *c, struct cpio *words, const struct guest_def *def,
                    const char *modules, struct error *err)
{
    size_t count = 0;
    struct boot_disk *order = boot_order(def, &count, err);
    char **packed = xcalloc(1, sizeof(*packed));
    int rc = order ? 0 : -1;

    for (size_t i = 0; order && i < count; i++) {
        char name[16];
        disk_name(order[i].number, name);
        throw_word(words, 'b', name);
    }
    cpio_add(c, "proc", S_IFDIR | 0755, NULL, 0);
    cpio_add(c, "sys", S_IFDIR | 0755, NULL, 0);
    for (size_t i = 0; modules && rc == 0 && i < ARRAY_SIZE(file_systems); i++)
        rc = fill_modules(c, words, modules, i, &packed, err);
    strv_free(packed);
    free(order);
    return rc;
}
