/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult config get, set, unset and modernize: a guest's definition from scripts. A change is checked as a
 * whole before it replaces the definition, under the lock of the store.
 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/conf.h"
#include "base/util.h"
#include "cmd/configfile.h"
#include "cmd/print.h"
#include "cmd/table.h"
#include "guest/engine.h"
#include "guest/store.h"

/* ---- get ---- */

/* All values of a key, NULL if there is none. */
static json_t *values_of(const struct conf *conf, const char *key)
{
    const struct conf_line *l;
    json_t *values = json_array();
    conf_for_each (conf, key, l)
        json_array_append_new(values, json_string(l->value));
    if (json_array_size(values) > 0)
        return values;
    json_decref(values);
    return NULL;
}

/* The whole definition: as it stands in the file, or as an object of key → array of values. */
static int get_all(const struct cmd_args *a, const struct conf *conf)
{
    if (!cmd_json(a)) {
        size_t len;
        cleanup_free char *text = conf_text(conf, &len);
        print_text(text);
        return EXIT_OK;
    }
    json_t *all = json_object();
    for (size_t i = 0; i < conf->count; i++) {
        const char *key = conf->lines[i].key;
        json_t *values = key && !json_object_get(all, key) ? values_of(conf, key) : NULL;
        if (values)
            json_object_set_new(all, key, values);
    }
    print_json(all);
    return EXIT_OK;
}

static int get_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *name = cmd_pos(a, 0), *key = cmd_pos(a, 1);
    cleanup_free char *path = config_path(name, &err);
    cleanup_conf struct conf *conf = NULL;
    if (path == NULL || conf_read(path, &conf, &err) < 0)
        return cmd_fail(a, &err);
    if (key == NULL)
        return get_all(a, conf);
    json_t *values = values_of(conf, key);
    if (values == NULL) {
        error_set(&err, 0, "the definition of '%s' does not set '%s'", name, key);
        return cmd_fail(a, &err);
    }
    size_t i;
    json_t *v;
    if (cmd_json(a)) {
        print_json(values);
        return EXIT_OK;
    }
    json_array_foreach (values, i, v) {
        cleanup_free char *line = xasprintf("%s\n", json_string_value(v));
        print_text(line);
    }
    json_decref(values);
    return EXIT_OK;
}

const struct command cmd_config_get = {
    .name = "config get",
    .args = "NAME [KEY]",
    .min = 1,
    .max = 2,
    .help = "print a guest's definition, or what it says of one key",
    .detail = "A key with several values prints one a line. With -o json a key gives an array,\n"
              "the whole definition an object of arrays.",
    .json = true,
    .safe = true,
    .states = ON_ANY,
    .run = get_run,
};

/* ---- set, unset ---- */

/* Has an argument before number i set this key? */
static bool set_before(const struct cmd_args *a, int i, const char *key, size_t len)
{
    for (int j = 1; j < i; j++)
        if (strncmp(cmd_pos(a, j), key, len) == 0 && cmd_pos(a, j)[len] == '=')
            return true;
    return false;
}

/* store_edit_fn: each KEY=VALUE; a key given twice gets both values. */
static int edit_set(void *arg, struct conf *conf, struct error *err)
{
    const struct cmd_args *a = arg;
    for (int i = 1; i < cmd_npos(a); i++) {
        const char *pair = cmd_pos(a, i), *equals = strchr(pair, '=');
        if (equals == NULL) { /* KEY VALUE: set_run() saw to it that nothing else comes here */
            conf_set(conf, pair, cmd_pos(a, i + 1));
            return 0;
        }
        cleanup_free char *key = xstrndup(pair, (size_t)(equals - pair));
        if (strchr(equals, '\n'))
            return error_set(err, 0, "the value of '%s' has a line break", key);
        if (set_before(a, i, pair, (size_t)(equals - pair)))
            conf_add(conf, key, equals + 1);
        else
            conf_set(conf, key, equals + 1);
    }
    return 0;
}

/* A guest reads its definition when it starts. */
static void note_running(const char *name)
{
    struct guest_info info = {0};
    if (store_info(name, &info, NULL) < 0)
        return;
    if (state_alive(info.state))
        fprintf(stderr, "pult: '%s' runs; this takes effect when it is started again\n", name);
    guest_info_clear(&info);
}

static int set_run(const struct cmd_args *a)
{
    struct error err = {0};
    bool two = cmd_npos(a) == 3 && strchr(cmd_pos(a, 1), '=') == NULL;
    for (int i = 1; i < cmd_npos(a) && !two; i++)
        if (strchr(cmd_pos(a, i), '=') == NULL || cmd_pos(a, i)[0] == '=')
            return cmd_usage(a, "'%s' is not KEY=VALUE", cmd_pos(a, i));
    if (store_edit(cmd_pos(a, 0), edit_set, (void *)a, &err) < 0)
        return cmd_fail(a, &err);
    note_running(cmd_pos(a, 0));
    return EXIT_OK;
}

const struct command cmd_config_set = {
    .name = "config set",
    .args = "NAME KEY=VALUE...",
    .min = 2,
    .max = -1,
    .help = "set keys of a guest's definition",
    .detail = "All values that a key had are replaced; a key that is given several times here\n"
              "gets all of these. One key may also be given as two arguments, KEY VALUE. Either\n"
              "all is set or, if the result is not a valid definition, nothing.",
    .safe = true,
    .states = ON_ANY,
    .run = set_run,
};

static int edit_unset(void *arg, struct conf *conf, struct error *err)
{
    const struct cmd_args *a = arg;
    for (int i = 1; i < cmd_npos(a); i++)
        if (conf_unset(conf, cmd_pos(a, i)) == 0)
            return error_set(err, 0, "the definition of '%s' does not set '%s'", cmd_pos(a, 0),
                             cmd_pos(a, i));
    return 0;
}

static int unset_run(const struct cmd_args *a)
{
    struct error err = {0};
    if (store_edit(cmd_pos(a, 0), edit_unset, (void *)a, &err) < 0)
        return cmd_fail(a, &err);
    note_running(cmd_pos(a, 0));
    return EXIT_OK;
}

const struct command cmd_config_unset = {
    .name = "config unset",
    .args = "NAME KEY...",
    .min = 2,
    .max = -1,
    .help = "take keys out of a guest's definition",
    .safe = true,
    .states = ON_ANY,
    .run = unset_run,
};

/* ---- modernize ---- */

static int edit_modern(void *arg, struct conf *conf, struct error *err)
{
    const char *type = conf_get(conf, "guest.type");
    const struct engine *engine = type ? engine_by_type(type) : NULL;
    (void)arg;
    return engine && engine->modern ? engine->modern(conf, err) : 0;
}

static int modernize_run(const struct cmd_args *a)
{
    struct error err = {0};
    if (store_edit(cmd_pos(a, 0), edit_modern, NULL, &err) < 0)
        return cmd_fail(a, &err);
    return EXIT_OK;
}

const struct command cmd_config_modernize = {
    .name = "config modernize",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .help = "rewrite old spellings of keys in a guest's definition",
    .detail = "lxc.utsname becomes lxc.uts.name, lxc.network.type lxc.net.0.type, and so on: what\n"
              "LXC 3 and later read, too. Comments, and lines that are of today, stay as they are.",
    .safe = true,
    .states = ON_ANY,
    .run = modernize_run,
};
