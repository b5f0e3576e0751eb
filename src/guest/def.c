/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A definition is a checked conf plus the few values that everybody asks for, taken out of it.
 */
#include "guest/def.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/engine.h"
#include "net/card.h"

/* guest.type: one of the engines. */
static int is_type(const char *value, struct error *err)
{
    if (engine_by_type(value))
        return 0;
    error_set(err, 0, "no kind of guest is called '%s'", value);
    for (const struct engine *const *e = engines_all(); *e; e++)
        error_hint(err, "%s%s", e == engines_all() ? "there is " : "", (*e)->type);
    return -1;
}

static int is_order(const char *value, struct error *err)
{
    int64_t n;
    return number_parse(value, INT32_MIN, INT32_MAX, &n, err);
}

const struct conf_key guest_keys[] = {
    {"guest.type", is_type, false, "the kind of guest: vm or container", NULL},
    {"guest.autostart", conf_is_bool, false, "1: started by `pult start --autostart`", NULL},
    {"guest.start.order", is_order, false,
     "the lower, the earlier it starts, and the later it stops", NULL},
    {"guest.start.delay", conf_is_uint, false, "seconds to wait after its start before the next",
     NULL},
    {"guest.group", NULL, true, "a group that it is in, for `pult start --group`", NULL},
    {"guest.memory", conf_is_size, false, "memory of a VM, limit of a container: 512M, 2G", NULL},
    {"guest.cpus", conf_is_cpus, false, "vCPUs of a VM, limit of a container in cores: 2, 0.5",
     NULL},
    {"guest.stop.timeout", conf_is_uint, false,
     "seconds that the guest gets to shut down before it is killed (30)", NULL},
    {"guest.console.history", conf_is_size, false, "bytes of console history kept (1M)", NULL},
    {CARD_KEY "#", card_is_value, false,
     "a network card, N from 0 on: network=NAME[,address=ADDRESS] for one of `pult network list`; "
     "bridge=NAME for a bridge of the host's; user[,forward=PROTO:[ADDRESS:]PORT[:GUEST-PORT]] for "
     "a "
     "network without any rights, by passt or pasta; of a VM also tap=NAME (there already, or made "
     "by root and gone with the guest), and [,queues=N][,vhost=auto|on|off]; each with "
     "[,mac=ADDRESS][,mtu=N]; or none",
     NULL},
    {"lxc.include", NULL, true, "read this file, or the *.conf files of this directory, here",
     NULL},
    {NULL},
};

int guest_name_check(const char *name, struct error *err)
{
    static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    if (name[0] == '\0')
        return error_set(err, 0, "a guest needs a name");
    if (strlen(name) > GUEST_NAME_MAX)
        return error_set(err, 0, "the name '%.20s…' is longer than %d characters", name,
                         GUEST_NAME_MAX);
    if (!strchr(alnum, name[0]))
        return error_set(err, 0, "the name '%s' does not begin with a letter or digit", name);
    for (const char *p = name; *p; p++)
        if (!strchr(alnum, *p) && !strchr("_.-", *p))
            return error_set(err, 0,
                             "the name '%s' may hold letters, digits, '_', '.' and '-' only", name);
    return 0;
}

void def_free(struct guest_def *def)
{
    if (!def)
        return;
    conf_free(def->conf);
    free(def->dir);
    free(def);
}

void def_freep(struct guest_def **def)
{
    def_free(*def);
}

/* Take the common values out of a checked conf. */
static int def_take(struct guest_def *def, struct error *err)
{
    const char *v = conf_get(def->conf, "guest.memory");
    if (v && size_parse(v, &def->memory, err) < 0)
        return -1;
    v = conf_get(def->conf, "guest.cpus");
    if (v && milli_parse(v, 1, 1024 * 1000, &def->cpus_milli, err) < 0)
        return -1;
    v = conf_get(def->conf, "guest.console.history");
    if (v && size_parse(v, &def->history, err) < 0)
        return -1;
    v = conf_get(def->conf, "guest.autostart");
    def->autostart = conf_true(v ? v : conf_get(def->conf, "lxc.start.auto"));
    return def->engine->take ? def->engine->take(def, err) : 0;
}

void def_ignored(const struct guest_def *def, void (*tell)(void *arg, const char *text), void *arg)
{
    const struct conf_key *const tables[] = {guest_keys, def->engine->keys, NULL};
    for (size_t i = 0; i < def->conf->count; i++) {
        const struct conf_line *l = &def->conf->lines[i];
        const struct conf_key *k = l->key && *l->value ? conf_key_find(tables, l->key) : NULL;
        bool told = false;
        for (size_t j = 0; k && j < i && !told; j++)
            told = str_eq(def->conf->lines[j].key, l->key) && *def->conf->lines[j].value;
        if (!k || !k->ignored || told || str_eq(k->same, l->value))
            continue;
        cleanup_free char *text =
            xasprintf("%s:%u: '%s' has no effect: %s", l->file, l->number, l->key, k->ignored);
        tell(arg, text);
    }
}

int def_from_conf(const char *name, const char *dir, struct conf *conf, struct guest_def **out,
                  struct error *err)
{
    cleanup_def struct guest_def *def = xcalloc(1, sizeof *def);
    def->conf = conf;
    def->dir = xstrdup(dir);
    if (guest_name_check(name, err) < 0)
        return -1;
    memcpy(def->name, name, strlen(name) + 1);

    const char *type = conf_get(conf, "guest.type");
    if (!type)
        return error_set(err, 0, "%s/config: guest.type is missing", dir);
    if (is_type(type, err) < 0)
        return error_wrap(err, "%s/config", dir);
    def->engine = engine_by_type(type);

    const struct conf_key *const tables[] = {guest_keys, def->engine->keys, NULL};
    if (conf_check(conf, tables, NULL, NULL, err) < 0 ||
        (def->engine->modern && def->engine->modern(conf, err) < 0) || def_take(def, err) < 0)
        return -1;
    *out = steal_ptr(def);
    return 0;
}

int def_load(const char *name, const char *dir, struct guest_def **out, struct error *err)
{
    cleanup_free char *path = xasprintf("%s/config", dir);
    struct conf *conf = NULL;
    if (conf_read(path, &conf, err) < 0)
        return -1;
    return def_from_conf(name, dir, conf, out, err);
}

int def_load_foreign(const char *name, const struct engine *engine, const char *place,
                     const char *dir, struct guest_def **out, struct error *err)
{
    cleanup_free char *path = xasprintf("%s/%s/config", place, name);
    struct conf *conf = NULL;
    if (conf_read(path, &conf, err) < 0)
        return -1;
    engine->foreign->adapt(conf);
    if (def_from_conf(name, dir, conf, out, err) < 0)
        return -1;
    (*out)->foreign = true;
    (*out)->autostart = false; /* whoever has it sees to that */
    return 0;
}

int def_check(const struct guest_def *def, struct error *err)
{
    return def->engine->check(def, err);
}
