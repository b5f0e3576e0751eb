/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Throwaway VMs of this machine, see throw.h. */
#include "kvm/throw/throw.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/options.h"
#include "base/util.h"
#include "guest/def.h"
#include "guest/hostcopy.h"
#include "kvm/fuse/fuse.h"
#include "kvm/virtio/fs.h"
#include "net/card.h"

#define HOST_ROOT     "host:/"
#define SETUP_MAGIC   0x202u /* "HdrS"; Documentation/arch/x86/boot.rst */
#define SETUP_VERSION 0x20eu /* where its version's text is, from 0x200 on */
#define ROOT_TAG      "root"
#define WORK_TAG      "work"
#define MODULES_TAG   "modules"

/* What mounts the root. virtio_pci comes first: without it there is no device. */
static const char *const needed[] = {"virtio_pci", "virtiofs", "overlay", NULL};
/* … on a disk; there the share is for modules alone. */
static const char *const needed_disk[] = {"virtio_pci", "virtio_blk", NULL};
static const char *const useful_disk[] = {"virtiofs", NULL};
/* Network cards, and asking for their addresses. */
static const char *const needed_net[] = {"virtio_net", "af_packet", NULL};

/* ---- values ---- */

static const struct option workdir_options[] = {{"", OPTION_VALUE, conf_is_abs_path},
                                                {"rw", OPTION_FLAG, NULL},
                                                {NULL}};

int throw_is_rootfs(const char *value, struct error *err)
{
    if (str_eq(value, HOST_ROOT) || str_eq(value, THROW_DISK) || str_eq(value, "none"))
        return 0;
    return conf_is_abs_path(value, err);
}

int throw_is_workdir(const char *value, struct error *err)
{
    cleanup_options struct options o = {0};

    return options_parse(value, workdir_options, &o, err);
}

int throw_is_command(const char *value, struct error *err)
{
    char **words = str_split_words(value, err);

    if (!words)
        return -1;
    strv_free(words);
    return 0;
}

bool throw_wanted(const struct guest_def *def)
{
    const char *root = conf_get(def->conf, "vm.rootfs");

    return root && !str_eq(root, "none");
}

bool throw_from_disk(const struct guest_def *def)
{
    return str_eq(conf_get(def->conf, "vm.rootfs"), THROW_DISK);
}

bool throw_for_command(const struct guest_def *def)
{
    return throw_wanted(def) && (!throw_from_disk(def) || conf_get(def->conf, "vm.command"));
}

static const char *root_path(const struct guest_def *def)
{
    const char *root = conf_get(def->conf, "vm.rootfs");

    return str_eq(root, HOST_ROOT) ? "/" : root;
}

/* ---- the kernel ---- */

/* What a bzImage says of itself, or NULL. */
static char *release_of(const char *path)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char text[128] = "", magic[4];
    uint16_t at;

    if (fd < 0 || pread(fd, magic, sizeof(magic), SETUP_MAGIC) != sizeof(magic) ||
        memcmp(magic, "HdrS", sizeof(magic)) != 0 ||
        pread(fd, &at, sizeof(at), SETUP_VERSION) != sizeof(at) || !at ||
        pread(fd, text, sizeof(text) - 1, 0x200 + at) <= 0)
        return NULL;
    text[strcspn(text, " \n")] = '\0';
    return *text && !strchr(text, '/') ? xstrdup(text) : NULL;
}

/* The file of a directory that begins with prefix and is the newest by its version, or NULL. */
static char *newest(const char *dir, const char *prefix, const char *suffix,
                    bool (*fits)(const char *))
{
    cleanup_closedir DIR *d = opendir(dir);
    char *best = NULL;

    for (const struct dirent *e; d && (e = readdir(d));) {
        if (*e->d_name == '.' || !str_starts(e->d_name, prefix))
            continue;
        char *path = xasprintf("%s/%s%s", dir, e->d_name, suffix);
        if (fits(path) && (!best || strverscmp(path, best) > 0)) {
            free(best);
            best = path;
        } else {
            free(path);
        }
    }
    return best;
}

static bool has_modules(const char *kernel)
{
    cleanup_free char *release = release_of(kernel);
    cleanup_free char *dep = release ? xasprintf("/lib/modules/%s/modules.dep", release) : NULL;

    return dep && access(dep, R_OK) == 0;
}

/* The newest kernel that is installed here, as Debian and as Fedora put it. */
static int find_kernel(char **out, struct error *err)
{
    *out = newest("/boot", "vmlinuz-", "", has_modules);
    if (!*out)
        *out = newest("/lib/modules", "", "/vmlinuz", has_modules);
    if (*out)
        return 0;
    error_set(err, 0,
              "no kernel with modules is installed here that may be read: looked for "
              "/boot/vmlinuz-* and /lib/modules/*/vmlinuz");
    return error_hint(err, "name one with --kernel, or install one (linux-image-amd64)");
}

/* Where a kernel's modules are: installed, or beside it as its package was unpacked. */
static char *find_modules(const char *kernel, const char *release)
{
    cleanup_free char *above = xstrndup(kernel, (size_t)(strrchr(kernel, '/') - kernel));
    char *const places[] = {xasprintf("/lib/modules/%s", release),
                            xasprintf("%s/lib/modules/%s", above, release),
                            xasprintf("%s/../lib/modules/%s", above, release)};
    char *found = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        cleanup_free char *dep = xasprintf("%s/modules.dep", places[i]);
        if (!found && access(dep, R_OK) == 0)
            found = xstrdup(places[i]);
        free(places[i]);
    }
    return found;
}

/* Where the root is. */
static int check_root(const struct guest_def *def, struct error *err)
{
    struct stat st;

    if (throw_from_disk(def))
        return throw_disk_check(def, err);
    if (stat(root_path(def), &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return error_set(err, errno ? errno : ENOTDIR, "vm.rootfs: open directory '%s'",
                     root_path(def));
}

int throw_plan(const struct guest_def *def, struct throw_plan *p, struct error *err)
{
    const char *kernel = conf_get(def->conf, "vm.kernel");
    const char *modules = conf_get(def->conf, "vm.modules");

    *p = (struct throw_plan){.kernel = kernel ? xstrdup(kernel) : NULL};
    if (conf_get(def->conf, "vm.initrd"))
        return error_set(err, 0, "vm.rootfs comes with an initramfs of its own: unset vm.initrd");
    if (check_root(def, err) < 0)
        return -1;
    if (!p->kernel && find_kernel(&p->kernel, err) < 0)
        return -1;
    p->release = release_of(p->kernel);
    p->modules = modules      ? xstrdup(modules)
                 : p->release ? find_modules(p->kernel, p->release)
                              : NULL;
    return 0;
}

void throw_plan_clear(struct throw_plan *p)
{
    free(p->kernel);
    free(p->release);
    free(p->modules);
    *p = (struct throw_plan){0};
}

/* ---- the initramfs ---- */

void throw_word(struct cpio *to, char letter, const char *text)
{
    size_t len = strlen(text) + 2;

    to->data = xrealloc(to->data, to->len + len, 1);
    to->data[to->len] = letter;
    memcpy(to->data + to->len + 1, text, len - 1);
    to->len += len;
}

/* Modules that are not where the guest looks for them are put there. A disk has none of ours. */
static bool modules_are_elsewhere(const struct guest_def *def, const struct throw_plan *p)
{
    cleanup_free char *usual = p->release ? xasprintf("/lib/modules/%s", p->release) : NULL;

    return p->modules && usual && (throw_from_disk(def) || !str_eq(p->modules, usual));
}

static int add_command(struct cpio *words, const struct guest_def *def, struct error *err)
{
    const char *command = conf_get(def->conf, "vm.command");
    char **argv = command ? str_split_words(command, err) : NULL;

    if (command && !argv)
        return -1;
    for (size_t i = 0; argv && argv[i]; i++)
        throw_word(words, 'a', argv[i]);
    strv_free(argv);
    return 0;
}

/* What the first process is told. */
static int fill_words(struct cpio *words, const struct guest_def *def, const struct throw_plan *p,
                      const struct throw_console *con, struct error *err)
{
    const char *workdir = conf_get(def->conf, "vm.workdir"), *term = getenv("TERM");
    cleanup_options struct options o = {0};
    char number[12];

    if (!throw_from_disk(def))
        throw_word(words, 'm', ROOT_TAG ":cow:/");
    if (modules_are_elsewhere(def, p)) {
        cleanup_free char *share = xasprintf(MODULES_TAG ":ro:/lib/modules/%s", p->release);
        throw_word(words, 'm', share);
    }
    if (workdir) {
        if (options_parse(workdir, workdir_options, &o, err) < 0)
            return error_wrap(err, "vm.workdir");
        const char *mode = options_get(&o, "rw") ? "rw" : "cow", *dir = options_get(&o, "");
        cleanup_free char *share = xasprintf(WORK_TAG ":%s:%s", mode, dir);
        if (!str_eq(dir, "/"))
            throw_word(words, 'm', share);
        throw_word(words, 'd', dir);
    }
    throw_word(words, 'h', def->name);
    if (con->terminal)
        throw_word(words, 't', term && *term ? term : "linux");
    snprintf(number, sizeof(number), "%u", con->rows);
    throw_word(words, 'r', number);
    snprintf(number, sizeof(number), "%u", con->cols);
    throw_word(words, 'c', number);
    return add_command(words, def, err);
}

/* Network cards, for who runs a command: a system on a disk sees to them by itself. */
static int add_networks(struct cpio *words, const struct guest_def *def, const struct throw_plan *p,
                        struct modules *m, struct error *err)
{
    cleanup_cards struct cards all = {0};
    char mac[MAC_TEXT];
    bool any = false;

    if (!throw_for_command(def))
        return 0;
    if (cards_read(def->conf, def->name, &all, err) < 0)
        return -1;
    for (unsigned i = 0; i < all.count; i++) {
        if (all.all[i].kind == CARD_NONE)
            continue;
        card_mac_text(all.all[i].mac, mac);
        throw_word(words, 'n', mac);
        any = true;
    }
    return any && p->modules ? modules_read(p->modules, needed_net, m, err) : 0;
}

static int fill_modules(struct cpio *c, struct cpio *words, const struct guest_def *def,
                        const struct throw_plan *p, struct error *err)
{
    const bool disk = throw_from_disk(def);
    struct modules m = {0};
    int rc = p->modules ? modules_read(p->modules, disk ? needed_disk : needed, &m, err) : 0;

    if (rc == 0 && p->modules && disk)
        rc = modules_read_some(p->modules, useful_disk, &m, err);

    if (rc == 0)
        rc = add_networks(words, def, p, &m, err);
    for (size_t i = 0; rc == 0 && i < m.count; i++) {
        throw_word(words, 'M', m.list[i].name);
        cpio_add(c, m.list[i].name, S_IFREG | 0600, m.list[i].data, m.list[i].len);
    }
    modules_clear(&m);
    return rc == 0 && disk ? throw_disk_fill(c, words, def, p->modules, err) : rc;
}

int throw_initramfs(const struct guest_def *def, const struct throw_plan *p,
                    const struct throw_console *con, struct error *err)
{
    struct cpio c = {0}, words = {0};
    size_t size;
    const void *init = throw_init(&size);
    cleanup_close int fd = memfd_create("initramfs", MFD_CLOEXEC);

    cpio_add(&c, "init", S_IFREG | 0755, init, size);
    cpio_add(&c, "dev", S_IFDIR | 0755, NULL, 0);
    int rc = fill_modules(&c, &words, def, p, err);
    if (rc == 0)
        rc = fill_words(&words, def, p, con, err);
    if (rc == 0) {
        cpio_add(&c, "words", S_IFREG | 0600, words.data, words.len);
        cpio_end(&c);
        if (fd < 0 || write_all(fd, c.data, c.len) < 0)
            rc = error_set(err, errno, "make an initramfs");
    }
    cpio_clear(&c);
    cpio_clear(&words);
    return rc < 0 ? -1 : steal_fd(fd);
}

/* ---- the shares ---- */

/* The root, of this machine or of a directory. */
static int add_root(struct virtio_bus *bus, const struct guest_def *def, struct fuse_config *config,
                    struct error *err)
{
    char **hidden = NULL;

    if (str_eq(conf_get(def->conf, "vm.rootfs"), HOST_ROOT) && !(hidden = hostcopy_hidden(err)))
        return -1;
    config->path = root_path(def);
    config->hidden = hidden;
    int rc = fs_add(bus, ROOT_TAG, config, err);
    strv_free(hidden);
    config->hidden = NULL;
    return rc;
}

int throw_add(struct virtio_bus *bus, const struct guest_def *def, struct error *err)
{
    const char *workdir = conf_get(def->conf, "vm.workdir");
    cleanup_options struct options o = {0};
    cleanup_plan struct throw_plan plan = {0};
    struct fuse_config config = {.readonly = true, .identity = true, .cache = FUSE_CACHE_ALWAYS};

    if (throw_plan(def, &plan, err) < 0)
        return -1;
    fs_limits(bus, def, &config);
    int rc = throw_from_disk(def) ? 0 : add_root(bus, def, &config, err);
    if (rc == 0 && modules_are_elsewhere(def, &plan)) {
        config.path = plan.modules;
        rc = fs_add(bus, MODULES_TAG, &config, err);
    }
    if (rc < 0 || !workdir)
        return rc;
    if (options_parse(workdir, workdir_options, &o, err) < 0)
        return error_wrap(err, "vm.workdir");
    config.path = options_get(&o, "");
    config.readonly = !options_get(&o, "rw");
    config.identity = config.readonly || geteuid() == 0;
    config.cache = config.readonly ? FUSE_CACHE_ALWAYS : FUSE_CACHE_AUTO;
    return str_eq(config.path, "/") ? 0 : fs_add(bus, WORK_TAG, &config, err);
}
