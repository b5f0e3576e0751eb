/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The store, as store.h draws it. Everything here is names, locks and renames; what a definition
 * means is def.c's, what happens to a guest without a keeper is recover.c's.
 */
#include "guest/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/places.h"
#include "base/util.h"
#include "guest/console.h"
#include "guest/engine.h"
#include "guest/recover.h"
#include "guest/rundir.h"
#include "guest/scratch.h"
#include "net/join.h"

static char *guests_dir(void)
{
    return xasprintf("%s/guests", place_home());
}

/* What is kept of another program's guest. */
static char *foreign_dir(const char *name)
{
    return xasprintf("%s/foreign/%s", place_home(), name);
}

char *store_dir(const char *name)
{
    char *own = xasprintf("%s/guests/%s", place_home(), name), *foreign = foreign_dir(name);
    bool is_foreign = access(own, F_OK) < 0 && access(foreign, F_OK) == 0;
    free(is_foreign ? own : foreign);
    return is_foreign ? foreign : own;
}

/* RUN may lie in /tmp, where others could have put something in its place. */
static int run_check(struct error *err)
{
    struct stat st;
    if (lstat(place_run(), &st) < 0)
        return error_set(err, errno, "look at '%s'", place_run());
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
        error_set(err, 0, "'%s' is not a directory that only you can write to", place_run());
        return error_hint(err, "remove it, or set PULT_RUN to another place");
    }
    return 0;
}

int store_init(struct error *err)
{
    static bool done;
    if (done)
        return 0;
    cleanup_free char *guests = guests_dir();
    if (dir_make(guests, 0700, err) < 0)
        return error_wrap(err, "prepare the store '%s' (PULT_HOME)", place_home());
    if (dir_make(place_run(), 0700, err) < 0)
        return error_wrap(err, "prepare the runtime directory '%s' (PULT_RUN)", place_run());
    done = run_check(err) == 0;
    return done ? 0 : -1;
}

/* ---- locks ---- */

int store_lock(const char *name, int how, struct error *err)
{
    if (guest_name_check(name, err) < 0)
        return -1;
    cleanup_free char *dir = store_dir(name);
    int fd = dir_lock(dir, how);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, 0, "there is no lasting guest '%s'", name);
    if (fd < 0)
        return error_set(err, errno, "lock '%s'", dir);
    return fd;
}

/* ---- one guest ---- */

void guest_info_clear(struct guest_info *info)
{
    def_free(info->def);
    free(info->broken);
    free(info->place);
    *info = (struct guest_info){0};
}

/* How the last run ended, from the guest's directory. */
static void read_last(const char *dir, struct last_run *last)
{
    cleanup_free char *path = xasprintf("%s/last", dir);
    cleanup_conf struct conf *c = NULL;
    *last = (struct last_run){.exit_status = -1};
    if (access(path, F_OK) < 0 || conf_read(path, &c, NULL) < 0)
        return;
    int64_t v;
    const char *s = conf_get(c, "last.how");
    if (!s || number_parse(s, 0, ENDED_CRASH, &v, NULL) < 0)
        return;
    last->how = (enum guest_end)v;
    s = conf_get(c, "last.status");
    if (s && number_parse(s, -1, 255, &v, NULL) == 0)
        last->exit_status = (int)v;
    s = conf_get(c, "last.when");
    if (s && number_parse(s, 0, INT64_MAX, &v, NULL) == 0)
        last->when = v;
    s = conf_get(c, "last.reason");
    if (s)
        snprintf(last->reason, sizeof last->reason, "%s", s);
    last->known = true;
}

/*
 * Load the definition in dir. One that was destroyed or replaced under our eyes is not broken: it
 * is looked for again. 1: loaded; 0: broken, and why; -1: there is no such directory.
 */
static int load_settled(const char *name, const char *dir, struct guest_def **def,
                        struct error *why)
{
    struct stat before, after;
    while (stat(dir, &before) == 0) {
        if (def_load(name, dir, def, why) == 0)
            return 1;
        if (stat(dir, &after) == 0 && after.st_ino == before.st_ino &&
            after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
            after.st_ctim.tv_nsec == before.st_ctim.tv_nsec)
            return 0;
    }
    return -1;
}

/* ---- guests of other programs ---- */

/* Has it a directory in the store itself? */
static bool is_own(const char *name)
{
    cleanup_free char *own = xasprintf("%s/guests/%s", place_home(), name);
    return access(own, F_OK) == 0;
}

/* Call fn for each place that may have some, until it returns true. */
static bool places_each(bool (*fn)(void *arg, const struct engine *e, const char *place), void *arg)
{
    bool done = false;
    for (const struct engine *const *e = engines_all(); e && *e && !done; e++) {
        char **places = (*e)->foreign ? (*e)->foreign->places() : NULL;
        for (size_t i = 0; places && places[i] && !done; i++)
            done = fn(arg, *e, places[i]);
        strv_free(places);
    }
    return done;
}

struct place_list {
    char **list;
    size_t n;
};

static bool place_add(void *arg, const struct engine *e, const char *place)
{
    struct place_list *l = arg;
    (void)e;
    l->list = xrealloc(l->list, l->n + 2, sizeof *l->list);
    l->list[l->n++] = xstrdup(place);
    l->list[l->n] = NULL;
    return false;
}

char **store_places(void)
{
    struct place_list l = {xcalloc(1, sizeof *l.list), 0};
    places_each(place_add, &l);
    return l.list;
}

static bool place_has(void *arg, const struct engine *e, const char *place)
{
    struct guest_info *info = arg;
    cleanup_free char *path = xasprintf("%s/%s/config", place, info->name);
    if (access(path, R_OK) < 0)
        return false;
    info->engine = e;
    info->place = xstrdup(place);
    return true;
}

const char *guest_whose(const struct guest_info *info)
{
    return info->place && info->engine ? info->engine->foreign->whose : NULL;
}

/*
 * Look for the guest among those. dir: where what is kept of it is. 1: loaded; 0: broken, and why;
 * -1: there is none.
 */
static int gather_foreign(struct guest_info *info, const char *dir, bool *alive, struct error *why)
{
    if (!places_each(place_has, info))
        return -1;
    const struct engine_foreign *f = info->engine->foreign;
    if (!*alive && f->look(info->place, info->name, &info->page))
        *alive = info->elsewhere = true;
    return def_load_foreign(info->name, info->engine, info->place, dir, &info->def, why) < 0 ? 0
                                                                                             : 1;
}

/* Everything about a guest of which at least one directory is there. */
static int gather(const char *name, struct guest_info *info, struct error *err)
{
    *info = (struct guest_info){.last = {.exit_status = -1}};
    if (guest_name_check(name, err) < 0)
        return -1;
    memcpy(info->name, name, strlen(name) + 1);

    struct error why;
    bool alive = run_dir_look(name, &info->page);
    cleanup_free char *dir = store_dir(name);
    int loaded = load_settled(name, dir, &info->def, &why);
    if (loaded < 0 || (loaded == 0 && !is_own(name))) {
        free(dir);
        dir = foreign_dir(name);
        loaded = gather_foreign(info, dir, &alive, &why);
    }
    if (loaded < 0) {
        free(dir);
        dir = xasprintf("%s/%s", place_run(), name);
        loaded = alive ? load_settled(name, dir, &info->def, &why) : -1;
        if (loaded < 0)
            return error_set(err, ENOENT, "guest '%s'", name);
        info->throwaway = true;
    }
    read_last(dir, &info->last);
    if (loaded == 0) {
        info->broken = xstrdup(why.text);
        if (!info->place)
            info->engine = engine_by_type(alive ? info->page.engine : "");
    } else {
        info->def->throwaway = info->throwaway;
        info->engine = info->def->engine;
        info->autostart = info->def->autostart;
    }
    bool bad_end = info->last.known && info->last.how >= ENDED_SIGNAL;
    if (alive)
        info->state = (enum guest_state)info->page.state;
    else
        info->state = info->broken ? GUEST_BROKEN : bad_end ? GUEST_CRASHED : GUEST_STOPPED;
    return 0;
}

/* ---- all guests ---- */

static bool place_scan(void *arg, const struct engine *e, const char *place)
{
    struct place_list *l = arg;
    cleanup_closedir DIR *d = opendir(place);
    (void)e;
    for (const struct dirent *entry; d && (entry = readdir(d));) {
        cleanup_free char *config = xasprintf("%s/%s/config", place, entry->d_name);
        if (guest_name_check(entry->d_name, NULL) < 0 || access(config, R_OK) < 0)
            continue;
        l->list = xrealloc(l->list, l->n + 2, sizeof *l->list);
        l->list[l->n++] = xstrdup(entry->d_name);
        l->list[l->n] = NULL;
    }
    return false;
}

/* Add the guests that a directory has to names[0..n). Returns the new n. */
static size_t names_scan(char ***names, size_t n, const char *path)
{
    cleanup_closedir DIR *d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (str_starts(e->d_name, SCRATCH))
            scratch_sweep(path, e->d_name);
        if (guest_name_check(e->d_name, NULL) < 0 ||
            (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
            continue;
        *names = xrealloc(*names, n + 2, sizeof **names);
        (*names)[n++] = xstrdup(e->d_name);
        (*names)[n] = NULL;
    }
    return n;
}

static int by_string(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

size_t store_names(char ***out)
{
    cleanup_free char *guests = guests_dir();
    char **names = xcalloc(1, sizeof *names);
    size_t n = names_scan(&names, 0, guests), kept = 0;
    n = names_scan(&names, n, place_run());
    struct place_list foreign = {names, n};
    places_each(place_scan, &foreign);
    names = foreign.list;
    n = foreign.n;
    qsort(names, n, sizeof *names, by_string);
    for (size_t i = 0; i < n; i++) {
        if (kept && strcmp(names[kept - 1], names[i]) == 0)
            free(names[i]);
        else
            names[kept++] = names[i];
    }
    names[kept] = NULL;
    *out = names;
    return kept;
}

int store_list(struct guest_info **list, size_t *count, struct error *err)
{
    *list = NULL;
    *count = 0;
    if (store_init(err) < 0)
        return -1;
    char **names;
    *list = xcalloc(store_names(&names) + 1, sizeof **list);
    for (size_t i = 0; names[i]; i++) {
        if (gather(names[i], &(*list)[*count], NULL) == 0)
            ++*count;
        else
            guest_info_clear(&(*list)[*count]);
    }
    strv_free(names);
    return 0;
}

void store_list_free(struct guest_info *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        guest_info_clear(&list[i]);
    free(list);
}

int store_info(const char *name, struct guest_info *info, struct error *err)
{
    *info = (struct guest_info){0};
    struct error why = {0};
    if (store_init(err) < 0)
        return -1;
    if (gather(name, info, &why) == 0)
        return 0;
    if (err)
        *err = why;
    if (why.code != ENOENT || !err)
        return -1;
    char **names;
    size_t n = store_names(&names);
    const char *near = str_nearest(name, (const char *const *)names, n);
    error_set(err, 0, "there is no guest '%s'", name);
    if (near)
        error_hint(err, "did you mean '%s'?", near);
    else
        error_hint(err, "`pult list` shows those there are");
    strv_free(names);
    err->code = ENOENT;
    return -1;
}

int store_load(const char *name, struct guest_def **def, struct error *err)
{
    struct guest_info info;
    if (store_info(name, &info, err) < 0)
        return -1;
    int ret = 0;
    if (info.def)
        *def = steal_ptr(info.def);
    else
        ret = error_set(err, 0, "the definition of '%s' is broken: %s", name, info.broken);
    guest_info_clear(&info);
    return ret;
}

/* ---- creating, changing, destroying ---- */

/* Is the name free in both places? */
static int name_free(const char *name, struct error *err)
{
    if (guest_name_check(name, err) < 0)
        return -1;
    struct guest_info info;
    bool taken = gather(name, &info, NULL) == 0;
    guest_info_clear(&info);
    if (taken) {
        error_set(err, 0, "there is already a guest '%s'", name);
        if (err)
            err->code = EEXIST;
        return -1;
    }
    return 0;
}

/* Hold a conf against the key tables without giving it away. */
static int conf_acceptable(const char *name, const char *dir, const struct conf *conf,
                           struct error *err)
{
    size_t len;
    cleanup_free char *text = conf_text(conf, &len);
    cleanup_free char *path = xasprintf("%s/config", dir);
    struct conf *copy = NULL;
    if (conf_parse(path, text, len, &copy, err) < 0)
        return -1;
    cleanup_def struct guest_def *def = NULL;
    return def_from_conf(name, dir, copy, &def, err);
}

/* Write dir/config so that it survives a crash of the host at any moment. */
static int config_write(int dir_fd, const struct conf *conf, struct error *err)
{
    size_t len;
    cleanup_free char *text = conf_text(conf, &len);
    return file_replace_at(dir_fd, "config", text, len, 0600, err);
}

struct parts {
    const char *name;
    const struct conf *conf;
    store_fill_fn *fill;
    void *arg;
};

/* What a lasting guest's directory has before it gets its name. */
static int guest_fill(void *arg, int dir_fd, const char *dir, struct error *err)
{
    const struct parts *p = arg;
    if (p->fill &&
        (p->fill(p->arg, dir, err) < 0 || conf_acceptable(p->name, dir, p->conf, err) < 0))
        return -1;
    return config_write(dir_fd, p->conf, err);
}

static int create(const char *name, const struct conf *conf, store_fill_fn *fill, void *arg,
                  struct error *err)
{
    cleanup_free char *guests = guests_dir();
    cleanup_free char *dir = xasprintf("%s/%s", guests, name);
    if (conf_acceptable(name, dir, conf, err) < 0)
        return -1;
    struct parts parts = {name, conf, fill, arg};
    cleanup_close int fd = scratch_build(guests, name, guest_fill, &parts, err);
    return fd < 0 ? -1 : 0;
}

int store_create(const char *name, const struct conf *conf, store_fill_fn *fill, void *arg,
                 struct error *err)
{
    if (store_init(err) < 0 || name_free(name, err) < 0)
        return -1;
    return create(name, conf, fill, arg, err);
}

int store_adopt(const char *name, const struct conf *conf, store_fill_fn *fill, void *arg,
                struct error *err)
{
    if (store_init(err) < 0 || guest_name_check(name, err) < 0)
        return -1;
    if (is_own(name))
        return error_set(err, EEXIST, "adopt '%s'", name);
    return create(name, conf, fill, arg, err);
}

int store_throwaway(const char *name, struct conf *conf, struct guest_def **def, struct error *err)
{
    cleanup_free char *dir = xasprintf("%s/%s", place_run(), name);
    if (store_init(err) < 0 || name_free(name, err) < 0) {
        conf_free(conf);
        return -1;
    }
    if (def_from_conf(name, dir, conf, def, err) < 0)
        return -1;
    (*def)->throwaway = true;
    return 0;
}

/* Definitions of other programs' guests stay as they are. */
static int check_own(const char *name, struct error *err)
{
    struct guest_info info = {.engine = NULL};
    snprintf(info.name, sizeof info.name, "%s", name);
    bool foreign =
        guest_name_check(name, NULL) == 0 && !is_own(name) && places_each(place_has, &info);
    if (foreign) {
        error_set(err, 0, "'%s' is a guest of %s, in '%s'", name, info.engine->foreign->whose,
                  info.place);
        error_hint(err, "`pult adopt %s` makes it one of pult's", name);
    }
    guest_info_clear(&info);
    return foreign ? -1 : 0;
}

int store_hold_down(const char *name, const char *hint, struct error *err)
{
    struct guest_info info = {0};
    cleanup_close int lock = store_lock(name, LOCK_EX, err);
    if (lock < 0 || store_info(name, &info, err) < 0)
        return -1;
    const bool alive = state_alive(info.state);
    guest_info_clear(&info);
    if (!alive)
        return steal_fd(lock);
    error_set(err, 0, "'%s' is running", name);
    return error_hint(err, "%s", hint);
}

int store_edit(const char *name, store_edit_fn *edit, void *arg, struct error *err)
{
    if (check_own(name, err) < 0)
        return -1;
    cleanup_free char *dir = store_dir(name);
    cleanup_close int fd = store_lock(name, LOCK_EX, err);
    if (fd < 0)
        return -1;
    cleanup_free char *path = xasprintf("%s/config", dir);
    cleanup_conf struct conf *conf = NULL;
    if (conf_read(path, &conf, err) < 0 || edit(arg, conf, err) < 0 ||
        conf_acceptable(name, dir, conf, err) < 0)
        return -1;
    return config_write(fd, conf, err);
}

int store_replace(const char *name, const char *text, size_t len, struct error *err)
{
    if (check_own(name, err) < 0)
        return -1;
    cleanup_free char *dir = store_dir(name);
    cleanup_close int fd = store_lock(name, LOCK_EX, err);
    if (fd < 0)
        return -1;
    cleanup_conf struct conf *conf = NULL;
    if (conf_parse("config", text, len, &conf, err) < 0 ||
        conf_acceptable(name, dir, conf, err) < 0)
        return -1;
    return config_write(fd, conf, err);
}

int store_destroy(const char *name, struct error *err)
{
    struct guest_info info;
    if (check_own(name, err) < 0 || store_info(name, &info, err) < 0)
        return -1;
    bool throwaway = info.throwaway;
    guest_info_clear(&info);
    if (throwaway) {
        error_set(err, 0, "'%s' is a throwaway guest", name);
        return error_hint(err, "`pult kill %s` ends it, and then it is gone", name);
    }

    cleanup_free char *dir = store_dir(name);
    cleanup_free char *guests = guests_dir();
    cleanup_close int fd = store_lock(name, LOCK_EX, err);
    if (fd < 0)
        return -1;
    struct status_page page;
    if (run_dir_look(name, &page)) {
        error_set(err, 0, "'%s' is %s", name, state_name((enum guest_state)page.state));
        return error_hint(err, "`pult stop %s` first", name);
    }
    cleanup_def struct guest_def *def = NULL;
    if (def_load(name, dir, &def, NULL) == 0 &&
        ((def->engine->needed && def->engine->needed(def, dir, err) < 0) ||
         (def->engine->farewell && def->engine->farewell(def, err) < 0)))
        return -1;
    cleanup_free char *gone = scratch_gone(guests, name);
    if (rename(dir, gone) < 0)
        return error_set(err, errno, "take away '%s'", dir);
    struct error why;
    if (network_forget_guest(name, &why) < 0)
        log_line("%s: its address is not free yet: %s", name, why.text);
    if (scratch_discard(gone, err) == 0)
        return 0;
    error_wrap(err, "'%s' is destroyed, but some of its files remain", name);
    return error_hint(err, "see '%s'", gone);
}

/* The definition in dir with all that lies in the directory `from` in `to` instead. */
static int config_move(int dir_fd, const char *dir, const char *from, const char *to,
                       struct error *err)
{
    cleanup_free char *path = xasprintf("%s/config", dir);
    cleanup_conf struct conf *conf = NULL;
    const size_t n = strlen(from);
    if (conf_read(path, &conf, err) < 0)
        return -1;
    for (size_t i = 0; i < conf->count; i++) {
        struct conf_line *l = &conf->lines[i];
        const char *at = l->key && l->depth == 0 ? strstr(l->value, from) : NULL;
        if (!at || at[n] != '/')
            continue;
        char *value = xasprintf("%.*s%s%s", (int)(at - l->value), l->value, to, at + n);
        free(l->value);
        free(l->raw);
        l->value = value;
        l->raw = NULL;
    }
    return config_write(dir_fd, conf, err);
}

int store_rename(const char *name, const char *new_name, struct error *err)
{
    struct guest_info info;
    struct status_page page;
    if (store_info(name, &info, err) < 0)
        return -1;
    const bool throwaway = info.throwaway;
    guest_info_clear(&info);
    if (throwaway)
        return error_set(err, 0, "'%s' is a throwaway guest", name);
    if (name_free(new_name, err) < 0)
        return -1;
    cleanup_free char *from = store_dir(name);
    cleanup_free char *to = store_dir(new_name);
    cleanup_close int fd = store_lock(name, LOCK_EX, err);
    if (fd < 0)
        return -1;
    if (run_dir_look(name, &page))
        return error_set(err, 0, "'%s' is %s", name, state_name((enum guest_state)page.state));
    cleanup_def struct guest_def *def = NULL;
    if (def_load(name, from, &def, NULL) == 0 && def->engine->needed &&
        def->engine->needed(def, from, err) < 0)
        return -1;
    if (config_move(fd, from, from, to, err) < 0)
        return -1;
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) < 0) {
        error_set(err, errno, "rename '%s'", name);
        config_move(fd, from, to, from, NULL);
        return -1;
    }
    struct error why;
    if (network_forget_guest(name, &why) < 0)
        log_line("%s: its address is not free yet: %s", name, why.text);
    return 0;
}

int store_fresh_name(const char *prefix, char out[GUEST_NAME_MAX + 1], struct error *err)
{
    static const char *const animals[] = {
        "heron",  "otter",  "lynx",   "finch",   "badger",  "marten", "plover", "stoat",
        "raven",  "viper",  "gecko",  "bison",   "ibex",    "crane",  "dunlin", "egret",
        "ferret", "grebe",  "hare",   "jackdaw", "kestrel", "lark",   "merlin", "newt",
        "osprey", "petrel", "quail",  "robin",   "shrike",  "teal",   "urchin", "vole",
        "wren",   "zander", "avocet", "bittern", "curlew",  "dipper", "eider",  "fulmar",
    };
    for (int tries = 0; tries < 1000; tries++) {
        unsigned r = 0;
        if (getrandom(&r, sizeof r, 0) < 0)
            r = (unsigned)now_mono_ns();
        const char *animal = animals[r % ARRAY_SIZE(animals)];
        if (tries < 20)
            snprintf(out, GUEST_NAME_MAX + 1, "%s-%s", prefix, animal);
        else
            snprintf(out, GUEST_NAME_MAX + 1, "%s-%s%u", prefix, animal, r / 64 % 1000);
        if (name_free(out, err) == 0)
            return 0;
        if (err && err->code != EEXIST)
            return -1;
    }
    return error_set(err, EEXIST, "find a free name that begins with '%s-'", prefix);
}

int store_console(const char *name, char **data, size_t *len, struct error *err)
{
    struct guest_info info;
    if (store_info(name, &info, err) < 0)
        return -1;
    bool alive = state_alive(info.state);
    guest_info_clear(&info);
    struct error why;
    int ret;
    if (alive) {
        cleanup_free char *run = xasprintf("%s/%s", place_run(), name);
        cleanup_close int dir = open(run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ret = console_history(dir, data, len, &why);
    } else {
        cleanup_free char *kept = store_dir(name);
        cleanup_free char *log = xasprintf("%s/%s", kept, CONSOLE_LOG);
        ret = file_read_at(AT_FDCWD, log, CONSOLE_RING_MAX, data, len, &why);
    }
    if (ret == 0)
        return 0;
    if (why.code != ENOENT) {
        if (err)
            *err = why;
        return error_wrap(err, "read the console of '%s'", name);
    }
    *data = xstrdup("");
    *len = 0;
    return 0;
}

/* ---- for keepers ---- */

int store_write_last(const struct guest_def *def, int run_dir, const struct last_run *last,
                     struct error *err)
{
    if (def->throwaway)
        return 0;
    cleanup_close int fd = open(def->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, errno, "open '%s'", def->dir);
    cleanup_free char *text =
        xasprintf("last.how = %d\nlast.status = %d\nlast.when = %lld\nlast.reason = %s\n",
                  (int)last->how, last->exit_status, (long long)last->when, last->reason);
    if (file_replace_at(fd, "last", text, strlen(text), 0600, err) < 0)
        return -1;
    return recover_console(run_dir, fd, err);
}
