/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult info: all that is known of one guest. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/facts.h"
#include "cmd/print.h"
#include "cmd/table.h"
#include "disk/definition.h"
#include "guest/engine.h"
#include "guest/store.h"
#include "guest/watch.h"
#include "net/card.h"

static const char *const end_names[] = {
    [ENDED_EXIT] = "exit",     [ENDED_REBOOT] = "reboot", [ENDED_KILLED] = "killed",
    [ENDED_SIGNAL] = "signal", [ENDED_CRASH] = "crash",
};

static void utc(int64_t when, char out[32])
{
    struct tm tm;
    time_t t = (time_t)when;
    if (gmtime_r(&t, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        strcpy(out, "?");
}

/* A VM's exits so far, by what served them; null of what has none. */
static json_t *exits_object(const struct guest_info *info)
{
    const struct status_counter *c = info->page.exits;
    if (!state_alive(info->state) || !*c->name)
        return json_null();
    json_t *o = json_object();
    for (unsigned i = 0; i < STATUS_COUNTERS && *c[i].name; i++)
        json_object_set_new(o, c[i].name, json_integer((json_int_t)(c[i].count & INT64_MAX)));
    return o;
}

static json_t *string_or_null(const char *s)
{
    return s ? json_string(s) : json_null();
}

/* What a disk is based on, from the next to the last. */
static json_t *backing_facts(const struct disk_spec *s)
{
    json_t *array = json_array();
    for (s = s->backing; s; s = s->backing)
        json_array_append_new(array, json_pack("{s:s, s:s}", "path", s->path, "format", s->format));
    return array;
}

/* How large the disk is, and what it takes on the host; null where that cannot be seen. */
static void add_sizes(json_t *o, const struct disk_spec *s)
{
    struct disk_info info;
    bool known = disk_inspect(s->path, s->format, &info, NULL) == 0;
    json_object_set_new(o, "size_bytes", known ? json_integer((json_int_t)info.size) : json_null());
    json_object_set_new(o, "allocated_bytes",
                        known ? json_integer((json_int_t)info.allocated) : json_null());
    if (known)
        disk_info_clear(&info);
}

/* The disks of a VM, as its definition has them. */
static json_t *disk_facts(const struct guest_def *def)
{
    json_t *array = json_array();
    cleanup_disk_keys struct disk_keys k = disk_keys(def->conf);
    for (size_t i = 0; i < k.count; i++) {
        cleanup_definition struct disk_definition d;
        if (disk_definition_parse(k.all[i].value, def->dir, &d, NULL) < 0)
            continue;
        json_t *o = json_pack("{s:s, s:s, s:s}", "key", k.all[i].key, "path", d.spec.path, "format",
                              d.spec.format);
        add_sizes(o, &d.spec);
        json_object_set_new(o, "read_only", json_boolean(d.spec.flags & DISK_READONLY));
        json_object_set_new(o, "snapshot", json_boolean(d.spec.flags & DISK_SNAPSHOT));
        json_object_set_new(o, "cache", json_string(d.cache));
        json_object_set_new(o, "serial", string_or_null(d.serial));
        json_object_set_new(o, "boot_index",
                            d.boot_index < 0 ? json_null() : json_integer(d.boot_index));
        json_object_set_new(o, "backing", backing_facts(&d.spec));
        json_array_append_new(array, o);
    }
    return array;
}

static json_t *mtu_or_null(const struct card *n)
{
    return n->mtu ? json_integer(n->mtu) : json_null();
}

/* The network cards, as its definition has them. */
static json_t *network_facts(const struct guest_def *def)
{
    json_t *array = json_array();
    cleanup_cards struct cards all = {0};
    char key[24], mac[MAC_TEXT];
    cards_read(def->conf, def->name, &all, NULL);
    for (unsigned i = 0; i < all.count; i++) {
        const struct card *n = &all.all[i];
        if (n->kind == CARD_NONE)
            continue;
        snprintf(key, sizeof key, CARD_KEY "%u", n->number);
        card_mac_text(n->mac, mac);
        json_t *forwards = json_array();
        for (size_t j = 0; n->forwards[j]; j++)
            json_array_append_new(forwards, json_string(n->forwards[j]));
        json_array_append_new(array, json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:o, s:i, s:o}",
                                               "key", key, "kind", card_kind_name(n->kind),
                                               "network", string_or_null(n->network), "tap",
                                               string_or_null(n->tap && *n->tap ? n->tap : NULL),
                                               "bridge", string_or_null(n->bridge), "mac", mac,
                                               "mtu", mtu_or_null(n), "queues", (int)n->queues,
                                               "forwards", forwards));
    }
    return array;
}

/* Who a running container's users are on the host; null of a VM. */
static json_t *ids_object(const struct guest_info *info)
{
    if (!state_alive(info->state) || info->page.ids == 0)
        return json_null();
    return json_pack("{s:I, s:I}", "first", (json_int_t)info->page.root_uid, "count",
                     (json_int_t)info->page.ids);
}

/* What list does not show: where it is kept, how its last run ended. */
static void add_details(json_t *o, const struct guest_info *info)
{
    json_object_set_new(o, "directory", info->def ? json_string(info->def->dir) : json_null());
    json_object_set_new(o, "cpus",
                        info->def && info->def->cpus_milli
                            ? json_real((double)info->def->cpus_milli / 1000)
                            : json_null());
    json_object_set_new(o, "disks", info->def ? disk_facts(info->def) : json_array());
    json_object_set_new(o, "networks", info->def ? network_facts(info->def) : json_array());
    json_object_set_new(o, "keeper_pid",
                        state_alive(info->state) ? json_integer(info->page.keeper_pid)
                                                 : json_null());
    json_object_set_new(o, "ids", ids_object(info));
    json_object_set_new(o, "exits", exits_object(info));
    if (!info->last.known) {
        json_object_set_new(o, "last_run", json_null());
        return;
    }
    char when[32];
    utc(info->last.when, when);
    json_object_set_new(o, "last_run",
                        json_pack("{s:s, s:s, s:o, s:s}", "ended", when, "how",
                                  end_names[info->last.how], "exit_status",
                                  info->last.exit_status >= 0 ? json_integer(info->last.exit_status)
                                                              : json_null(),
                                  "reason", info->last.reason));
}

static void print_facts(const json_t *o, const char *prefix);

/* The members of an object, or of each object of an array, which are numbered. */
static void print_inner(const char *prefix, const char *key, const json_t *v)
{
    cleanup_free char *inner = xasprintf("%s%s.", prefix, key);
    if (json_is_object(v)) {
        print_facts(v, inner);
        return;
    }
    size_t i;
    json_t *each;
    json_array_foreach ((json_t *)v, i, each) {
        cleanup_free char *numbered = xasprintf("%s%zu.", inner, i);
        print_facts(each, numbered);
    }
}

/* One line a fact; what is not known is left out. */
static void print_facts(const json_t *o, const char *prefix)
{
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)o, key, v) {
        if (json_is_null(v) || (json_is_array(v) && json_array_size(v) == 0))
            continue;
        if (json_is_object(v) || json_is_object(json_array_get(v, 0))) {
            print_inner(prefix, key, v);
            continue;
        }
        cleanup_free char *text = json_is_string(v)
                                      ? xstrdup(json_string_value(v))
                                      : json_dumps(v, JSON_ENCODE_ANY | JSON_REAL_PRECISION(4));
        cleanup_free char *label = xasprintf("%s%s:", prefix, key);
        if (*text)
            printf("%-32s %s\n", label, printable(text));
    }
}

static int info_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *name = cmd_pos(a, 0);
    struct guest_info info = {0};
    if (store_info(name, &info, &err) < 0)
        return cmd_fail(a, &err);
    guest_info_clear(&info);

    struct watch *w = facts_watch(false, &err);
    if (w == NULL)
        return cmd_fail(a, &err);
    size_t n;
    struct watched *const *list = watch_list(w, &n);
    json_t *facts = NULL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i]->info.name, name) != 0)
            continue;
        facts = facts_guest(list[i]);
        add_details(facts, &list[i]->info);
    }
    watch_close(w);
    if (facts == NULL) {
        error_set(&err, 0, "the guest '%s' has just vanished", name);
        return cmd_fail(a, &err);
    }
    if (cmd_json(a)) {
        print_json(facts);
        return EXIT_OK;
    }
    print_facts(facts, "");
    json_decref(facts);
    return EXIT_OK;
}

const struct command cmd_info = {
    .name = "info",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .help = "tell all that is known of one guest",
    .json = true,
    .safe = true,
    .states = ON_ANY,
    .run = info_run,
};
