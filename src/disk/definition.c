/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A disk as a definition says it; definition.h. */
#include "disk/definition.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"

#define BOOT_INDEX_MAX 9999

/* ---- the table ---- */

static const struct cache_mode {
    const char *name;
    bool direct, writethrough, no_flush;
} cache_modes[] = {
    {"writeback", false, false, false},   {"none", true, false, false},
    {"writethrough", false, true, false}, {"directsync", true, true, false},
    {"unsafe", false, false, true},
};

static const struct cache_mode *find_mode(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(cache_modes); i++)
        if (strcmp(cache_modes[i].name, name) == 0)
            return &cache_modes[i];
    return NULL;
}

static int is_cache(const char *value, struct error *err)
{
    if (find_mode(value))
        return 0;
    return error_set(err, 0,
                     "'%s' is no cache mode: there are writeback, none, writethrough, directsync "
                     "and unsafe",
                     value);
}

static int is_format(const char *value, struct error *err)
{
    if (disk_format_known(value))
        return 0;
    return error_set(err, 0, "there is no disk format '%s'; there are raw and qcow2", value);
}

/* FILE:FORMAT */
static int is_backing(const char *value, struct error *err)
{
    const char *colon = strrchr(value, ':');
    if (colon && colon > value)
        return is_format(colon + 1, err);
    return error_set(err, 0, "'%s' is not FILE:FORMAT", value);
}

static int is_serial(const char *value, struct error *err)
{
    for (const char *p = value; *p; p++)
        if (*p <= ' ' || *p > '~')
            return error_set(err, 0, "'%s' may have letters, digits and signs only", value);
    if (strlen(value) > DISK_SERIAL_MAX)
        return error_set(err, 0, "'%s' is longer than %d characters", value, DISK_SERIAL_MAX);
    return 0;
}

static int is_size(const char *value, struct error *err)
{
    uint64_t n;
    if (size_parse(value, &n, err) < 0)
        return -1;
    return n ? 0 : error_set(err, 0, "a limit of nothing stops the disk");
}

static int is_count(const char *value, struct error *err)
{
    int64_t n;
    return number_parse(value, 1, INT64_MAX, &n, err);
}

static int is_index(const char *value, struct error *err)
{
    int64_t n;
    return number_parse(value, 0, BOOT_INDEX_MAX, &n, err);
}

const struct option disk_definition_options[] = {
    {"", OPTION_VALUE, NULL},
    {"format", OPTION_VALUE, is_format},
    {"backing", OPTION_LIST, is_backing},
    {"ro", OPTION_FLAG, NULL},
    {"snapshot", OPTION_FLAG, NULL},
    {"cache", OPTION_VALUE, is_cache},
    {"serial", OPTION_VALUE, is_serial},
    {"bps", OPTION_VALUE, is_size},
    {"iops", OPTION_VALUE, is_count},
    {"bootindex", OPTION_VALUE, is_index},
    {NULL, OPTION_FLAG, NULL},
};

/* ---- all of them ---- */

static int by_number(const void *a, const void *b)
{
    const struct disk_key *x = a, *y = b;
    return (x->number > y->number) - (x->number < y->number);
}

static bool has(const struct disk_keys *k, const char *key)
{
    for (size_t i = 0; i < k->count; i++)
        if (strcmp(k->all[i].key, key) == 0)
            return true;
    return false;
}

/* The last value of a key counts, and if that is empty, none. */
struct disk_keys disk_keys(const struct conf *conf)
{
    struct disk_keys k = {.all = xcalloc(conf->count + 1, sizeof *k.all)};
    for (size_t i = 0; i < conf->count; i++) {
        const char *key = conf->lines[i].key;
        const char *value = key && str_starts(key, DISK_KEY) ? conf_get(conf, key) : NULL;
        if (value == NULL || strlen(key) >= sizeof k.all->key || has(&k, key))
            continue;
        struct disk_key *d = &k.all[k.count++];
        snprintf(d->key, sizeof d->key, "%s", key);
        d->value = value;
        d->number = strtoul(key + strlen(DISK_KEY), NULL, 10);
    }
    qsort(k.all, k.count, sizeof *k.all, by_number);
    return k;
}

void disk_keys_clear(struct disk_keys *k)
{
    free(k->all);
    *k = (struct disk_keys){0};
}

/* ---- parsing ---- */

/* A file's name as a path; kept in texts. */
static const char *path_of(struct disk_definition *d, const char *name, size_t len, const char *dir)
{
    size_t n = strv_len(d->texts);
    d->texts[n] =
        dir && *name != '/' ? xasprintf("%s/%.*s", dir, (int)len, name) : xstrndup(name, len);
    return d->texts[n];
}

static void take_backing(struct disk_definition *d, const char *dir)
{
    const char *value;
    for (size_t i = 0; (value = options_nth(&d->options, "backing", i)); i++) {
        const char *colon = strrchr(value, ':');
        d->backing[i] = (struct disk_spec){
            .path = path_of(d, value, (size_t)(colon - value), dir),
            .format = colon + 1,
        };
        *(i == 0 ? &d->spec.backing : &d->backing[i - 1].backing) = &d->backing[i];
    }
}

static void take_options(struct disk_definition *d)
{
    const struct options *o = &d->options;
    const char *cache = options_get(o, "cache"), *bps = options_get(o, "bps");
    const char *iops = options_get(o, "iops"), *index = options_get(o, "bootindex");
    const struct cache_mode *mode = cache ? find_mode(cache) : &cache_modes[0];
    int64_t n = 0;
    d->cache = mode->name;
    d->writethrough = mode->writethrough;
    d->no_flush = mode->no_flush;
    d->serial = options_get(o, "serial");
    if (bps)
        size_parse(bps, &d->bytes_per_second, NULL);
    if (iops && number_parse(iops, 1, INT64_MAX, &n, NULL) == 0)
        d->requests_per_second = (uint64_t)n;
    if (index && number_parse(index, 0, BOOT_INDEX_MAX, &n, NULL) == 0)
        d->boot_index = (int)n;
    if (mode->direct)
        d->spec.flags |= DISK_DIRECT;
    if (options_get(o, "ro"))
        d->spec.flags |= DISK_READONLY;
    if (options_get(o, "snapshot"))
        d->spec.flags |= DISK_SNAPSHOT;
}

int disk_definition_parse(const char *value, const char *dir, struct disk_definition *d,
                          struct error *err)
{
    size_t n = 0;
    *d = (struct disk_definition){.boot_index = -1};
    if (options_parse(value, disk_definition_options, &d->options, err) < 0)
        return -1;
    const char *file = options_get(&d->options, "");
    d->spec.format = options_get(&d->options, "format");
    if (d->spec.format == NULL) {
        error_set(err, 0, "it is not said what format '%s' has", file);
        return error_hint(err, "add ,format=raw or ,format=qcow2");
    }
    while (options_nth(&d->options, "backing", n))
        n++;
    d->texts = xcalloc(n + 2, sizeof *d->texts);
    d->backing = xcalloc(n + 1, sizeof *d->backing);
    d->spec.path = path_of(d, file, strlen(file), dir);
    take_backing(d, dir);
    take_options(d);
    if (d->spec.flags & DISK_READONLY && d->spec.flags & DISK_SNAPSHOT)
        return error_set(err, 0, "'ro' and 'snapshot' say different things");
    return 0;
}

void disk_definition_clear(struct disk_definition *d)
{
    options_clear(&d->options);
    strv_free(d->texts);
    free(d->backing);
    *d = (struct disk_definition){0};
}

int disk_is_definition(const char *value, struct error *err)
{
    cleanup_definition struct disk_definition d;
    return disk_definition_parse(value, NULL, &d, err);
}

/* ---- the files ---- */

/* The image says that it is based on another, which the definition does not name. */
static int check_backing(const struct disk_spec *s, struct error *err)
{
    struct disk_info info;
    if (disk_inspect(s->path, s->format, &info, err) < 0)
        return -1;
    int rc = 0;
    if (info.backing_path && s->backing == NULL) {
        error_set(err, 0, "'%s' is based on '%s', and the definition does not say so", s->path,
                  info.backing_path);
        rc = error_hint(err, "if you trust it, add ,backing=%s:%s", info.backing_path,
                        info.backing_format ? info.backing_format : "FORMAT");
    }
    disk_info_clear(&info);
    return rc;
}

/* Open it and all below it, without locking any. */
static int look(const struct disk_definition *d, struct error *err)
{
    struct disk_spec chain[DISK_CHAIN_MAX + 1];
    struct disk *disk;
    size_t n = 0;
    for (const struct disk_spec *s = &d->spec; s; s = s->backing) {
        if (n == ARRAY_SIZE(chain))
            return error_set(err, ELOOP, "'%s' has too many backing files", d->spec.path);
        chain[n] = *s;
        chain[n].flags = DISK_READONLY | DISK_NO_LOCK | (s->flags & DISK_DIRECT);
        if (n > 0)
            chain[n - 1].backing = &chain[n];
        n++;
    }
    if (disk_open(chain, &disk, err) < 0)
        return -1;
    disk_close(disk, NULL);
    return 0;
}

int disk_definition_check(const struct disk_definition *d, struct error *err)
{
    const char *path = d->spec.path;
    bool writes = !(d->spec.flags & (DISK_READONLY | DISK_SNAPSHOT));
    if (access(path, R_OK) < 0)
        return error_set(err, errno, "use '%s' as a disk", path);
    if (writes && access(path, W_OK) < 0) {
        error_set(err, errno, "write to '%s'", path);
        return error_hint(err, "add ,ro or ,snapshot if it shall not be written to");
    }
    for (const struct disk_spec *s = &d->spec; s; s = s->backing)
        if (check_backing(s, err) < 0)
            return -1;
    return look(d, err);
}

/* Append ",NAME=TEXT", with the commas in text doubled; without a name, only the text. */
static void append(char **to, const char *name, const char *text)
{
    const char *was = *to ? *to : "";
    char *whole = xasprintf("%s%s%s%s", was, *was ? "," : "", name, *name && *text ? "=" : "");
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

char *disk_definition_move(const struct disk_definition *d, const char *file, bool flat)
{
    char *value = NULL;
    append(&value, "", file);
    append(&value, "format", d->spec.format);
    for (const struct disk_spec *b = flat ? NULL : d->spec.backing; b; b = b->backing) {
        cleanup_free char *both = xasprintf("%s:%s", b->path, b->format);
        append(&value, "backing", both);
    }
    for (size_t i = 0; i < d->options.count; i++) {
        const struct option_given *g = &d->options.given[i];
        if (*g->name && !str_eq(g->name, "format") && !str_eq(g->name, "backing"))
            append(&value, g->name, g->value);
    }
    return value;
}
