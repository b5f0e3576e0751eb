/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file system device (virtio 1.2, 5.11), see fs.h; requests go to the FUSE server (kvm/fuse).
 *
 * Stock kernels mount virtiofs, Debian's generic and cloud kernels alike (the latter have no 9P), so
 * that is what is spoken.
 *
 * Queue 0 is for what must not wait behind requests (FORGET, INTERRUPT), queue 1 for requests;
 * Linux before 6.11 uses no more of them. One thread serves both: a request that the host's disk
 * makes wait holds up those behind it, and nothing needs a lock. Nothing is in flight between
 * two requests, so there is nothing to drain. System calls of the thread: fuse.h.
 */
#include "kvm/virtio/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/options.h"
#include "base/util.h"
#include "guest/confine.h"
#include "guest/def.h"
#include "guest/hostcopy.h"
#include "kvm/fuse/fuse.h"
#include "kvm/state.h"
#include "kvm/throw/throw.h"

#define KEY         "vm.share."
#define QUEUES      2u
#define SHARES      16u
#define OF_ROOT     3u     /* a throwaway VM's own: its root, modules, working directory */
#define OTHERS      1024u  /* descriptors that are left to the rest of the keeper */
#define OPEN_MOST   65536u /* of one share */
#define NODE_MEMORY 1024u  /* the guest itself needs so much for each file it knows */
#define NODES_LEAST 65536u
#define NODES_MOST  (2u << 20)

/* ---- the device ---- */

static void fs_handle(struct virtqueue *q)
{
    struct fuse *f = q->device->state;
    struct chain c;

    while (virtqueue_pop(q, &c)) {
        if (!fuse_serve(f, &c)) {
            virtio_fail(q->device, "a request without a head, or without room for an answer");
            return;
        }
        virtqueue_push(q, &c, c.written);
    }
}

static void fs_reset(struct virtio_device *d)
{
    fuse_reset(d->state);
}

/*
 * What a guest's kernel knows of a folder are nodes that stand for files of the host, which may be
 * others when the state is loaded. Unmounted it is nothing.
 */
static void fs_state(struct virtio_device *d, struct state *s)
{
    if (!s->loading && fuse_mounted(d->state))
        state_refuse(s, "the guest has a shared folder mounted, which cannot be saved: umount it");
}

static void fs_destroy(struct virtio_device *d)
{
    fuse_destroy(d->state);
}

static const struct virtio_device_type virtio_fs = {
    .name = "fs",
    .id = VIRTIO_ID_FS,
    .class_code = 0x018000, /* mass storage of no other kind */
    .queues = QUEUES,
    .queue_size = VIRTQUEUE_MOST, /* a request of 1 MiB is so many pages */
    .config_size = sizeof(struct virtio_fs_config),
    .threaded = true,
    .files = true,
    .handle = fs_handle,
    .reset = fs_reset,
    .state = fs_state,
    .destroy = fs_destroy,
};

int fs_add(struct virtio_bus *bus, const char *tag, const struct fuse_config *config,
           struct error *err)
{
    struct virtio_fs_config bytes = {.num_request_queues = QUEUES - 1};
    struct fuse *f = fuse_create(config, err);

    if (!f)
        return -1;
    memcpy(bytes.tag, tag, strnlen(tag, sizeof(bytes.tag)));
    if (virtio_add(bus, &virtio_fs, f, &(struct virtio_setup){.config = &bytes}, err))
        return 0;
    fuse_destroy(f);
    return -1;
}

size_t fs_trees(const struct virtio_bus *bus, struct confine_tree *out)
{
    size_t n = 0;

    for (unsigned i = 0; i < bus->count; i++) {
        const struct virtio_device *d = bus->devices[i];
        int root, open;
        if (d->type != &virtio_fs)
            continue;
        fuse_descriptors(d->state, &root, &open);
        out[n++] = (struct confine_tree){root, fuse_writable(d->state), true};
        out[n++] = (struct confine_tree){open, false, false};
    }
    return n;
}

/* ---- the definition ---- */

static int is_tag(const char *value, struct error *err)
{
    if (strlen(value) > FS_TAG_MOST)
        return error_set(err, 0, "'%s' is longer than the %u bytes that a tag can have", value,
                         FS_TAG_MOST);
    return 0;
}

static int parse_map(const char *value, struct fuse_config *c, struct error *err)
{
    cleanup_free char *copy = xstrdup(value);
    char *gid = copy, *uid = strsep(&gid, ":");
    int64_t u, g;

    c->identity = str_eq(value, "identity");
    if (c->identity)
        return 0;
    if (number_parse(uid, 0, UINT32_MAX - 1, &u, NULL) < 0 ||
        number_parse(gid ? gid : uid, 0, UINT32_MAX - 1, &g, NULL) < 0)
        return error_set(err, 0, "'%s' is neither identity nor UID[:GID]", value);
    c->uid = (uid_t)u;
    c->gid = (gid_t)g;
    return 0;
}

static int is_map(const char *value, struct error *err)
{
    struct fuse_config c;

    return parse_map(value, &c, err);
}

static const char *const caches[] = {
    [FUSE_CACHE_AUTO] = "auto", [FUSE_CACHE_NONE] = "none", [FUSE_CACHE_ALWAYS] = "always"};

static int parse_cache(const char *value, enum fuse_cache *cache, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(caches); i++)
        if (str_eq(value, caches[i])) {
            *cache = (enum fuse_cache)i;
            return 0;
        }
    return error_set(err, 0, "'%s' is none of auto, none, always", value);
}

static int is_cache(const char *value, struct error *err)
{
    enum fuse_cache cache;

    return parse_cache(value, &cache, err);
}

static const struct option known[] = {
    {"", OPTION_VALUE, conf_is_abs_path},
    {"tag", OPTION_VALUE, is_tag},
    {"ro", OPTION_FLAG, NULL},
    {"map", OPTION_VALUE, is_map},
    {"cache", OPTION_VALUE, is_cache},
    {"setid", OPTION_FLAG, NULL},
    {"nosecrets", OPTION_FLAG, NULL},
    {NULL},
};

int fs_is_share(const char *value, struct error *err)
{
    cleanup_options struct options o = {0};

    return options_parse(value, known, &o, err);
}

/* One share of a definition. */
struct share {
    char key[24], tag[FS_TAG_MOST + 1];
    struct options options;
    struct fuse_config config;
};

static void share_clear(struct share *s)
{
    options_clear(&s->options);
}
#define cleanup_share __attribute__((cleanup(share_clear)))

/* The i-th share. 1: there it is, 0: there are no more. */
static int share_read(const struct guest_def *def, unsigned i, struct share *s, struct error *err)
{
    struct options *o = &s->options;

    snprintf(s->key, sizeof(s->key), KEY "%u", i);
    const char *value = conf_get(def->conf, s->key);
    if (!value)
        return 0;
    if (i >= SHARES)
        return error_set(err, 0, "%s: a VM can have %u shared folders", s->key, SHARES);
    if (options_parse(value, known, o, err) < 0)
        return error_wrap(err, "%s", s->key);
    const char *tag = options_get(o, "tag"), *map = options_get(o, "map");
    const char *cache = options_get(o, "cache");
    if (tag)
        snprintf(s->tag, sizeof(s->tag), "%s", tag);
    else
        snprintf(s->tag, sizeof(s->tag), "share%u", i);
    s->config.path = options_get(o, "");
    s->config.readonly = options_get(o, "ro") != NULL;
    s->config.setid = options_get(o, "setid") != NULL;
    if (parse_map(map              ? map
                  : geteuid() == 0 ? "identity"
                                   : "0:0",
                  &s->config, err) < 0 ||
        (cache && parse_cache(cache, &s->config.cache, err) < 0))
        return error_wrap(err, "%s", s->key);
    return 1;
}

/* Numbers that are left out would leave out what follows them. */
static int check_numbers(const struct guest_def *def, unsigned count, struct error *err)
{
    for (size_t i = 0; i < def->conf->count; i++) {
        const struct conf_line *l = &def->conf->lines[i];
        int64_t n;
        if (l->key && str_starts(l->key, KEY) && *l->value &&
            (number_parse(l->key + strlen(KEY), 0, SHARES - 1, &n, NULL) < 0 || n >= count))
            return error_set(
                err, 0,
                "%s: there are %u shared folders before it; they are numbered from " KEY
                "0 on, up to " KEY "%u",
                l->key, count, SHARES - 1);
    }
    return 0;
}

int fs_check(const struct guest_def *def, struct error *err)
{
    char tags[SHARES][FS_TAG_MOST + 1];

    for (unsigned i = 0;; i++) {
        cleanup_share struct share s = {0};
        int rc = share_read(def, i, &s, err);
        if (rc <= 0)
            return rc < 0 ? -1 : check_numbers(def, i, err);
        for (unsigned j = 0; j < i; j++)
            if (str_eq(tags[j], s.tag))
                return error_set(err, 0, KEY "%u and %s have the same tag '%s'", j, s.key, s.tag);
        memcpy(tags[i], s.tag, sizeof(tags[i]));
        cleanup_close int fd = open(s.config.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return error_set(err, errno, "%s: open directory '%s'", s.key, s.config.path);
    }
}

/* How many descriptors each of so many shares may have; the limit is raised as far as it goes. */
static unsigned descriptors_for(unsigned shares)
{
    struct rlimit limit = {0};

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    uint64_t left = limit.rlim_cur > OTHERS ? limit.rlim_cur - OTHERS : 0;
    return (unsigned)min(left / shares, (uint64_t)OPEN_MOST);
}

/* How many shares a definition has. */
static unsigned count_shares(const struct guest_def *def)
{
    unsigned n = 0;
    char key[24];

    do
        snprintf(key, sizeof(key), KEY "%u", n);
    while (conf_get(def->conf, key) && ++n);
    return n;
}

/* A guest that is honest knows no more files than it has memory for. */
void fs_limits(const struct virtio_bus *bus, const struct guest_def *def, struct fuse_config *c)
{
    uint64_t most = bus->memory->size / NODE_MEMORY;
    unsigned others = throw_wanted(def) ? OF_ROOT : 0;

    c->descriptors = descriptors_for(max(count_shares(def) + others, 1u));
    c->nodes = (unsigned)min(max(most, (uint64_t)NODES_LEAST), (uint64_t)NODES_MOST);
}

int fs_add_all(struct virtio_bus *bus, const struct guest_def *def, struct error *err)
{
    unsigned shares = count_shares(def);

    for (unsigned i = 0; i < shares; i++) {
        cleanup_share struct share s = {0};
        if (share_read(def, i, &s, err) <= 0)
            return -1;
        char **hidden = NULL;
        if (options_get(&s.options, "nosecrets") && !(hidden = hostcopy_hidden(err)))
            return -1;
        s.config.hidden = hidden;
        fs_limits(bus, def, &s.config);
        int rc = fs_add(bus, s.tag, &s.config, err);
        strv_free(hidden);
        if (rc < 0)
            return error_wrap(err, "%s", s.key);
    }
    return 0;
}
