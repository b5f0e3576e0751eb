/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of a guest; facts.h says to whom. */
#include "cmd/facts.h"

#include <poll.h>
#include <string.h>

#include "base/util.h"
#include "guest/engine.h"

#define MOMENT_MS 200 /* between two looks at a CPU: 1 % of a core is 2 ms of it */

struct watch *facts_watch(bool host, struct error *err)
{
    struct watch *w = watch_open(err);
    if (w == NULL)
        return NULL;
    watch_tick(w);
    bool moment = host;
    if (host)
        watch_host(w, &(struct host_figures){0});
    size_t n;
    struct watched *const *list = watch_list(w, &n);
    for (size_t i = 0; i < n; i++)
        moment |= state_alive(list[i]->info.state);
    if (moment) {
        poll(NULL, 0, MOMENT_MS);
        watch_changes(w);
        watch_tick(w);
    }
    return w;
}

/* Two decimals are more than was measured. */
static json_t *percent(double p)
{
    return json_real((double)(int64_t)(p * 100 + 0.5) / 100);
}

static json_t *string_or_null(const char *s)
{
    return s && *s ? json_string(s) : json_null();
}

/* A number where `known`, null elsewhere. */
static json_t *integer_or_null(bool known, uint64_t n)
{
    return known ? json_integer((json_int_t)n) : json_null();
}

static json_t *address_array(const char *addresses)
{
    json_t *array = json_array();
    for (const char *p = addresses; *p;) {
        size_t len = strcspn(p, " ");
        if (len > 0)
            json_array_append_new(array, json_stringn(p, len));
        p += len + (p[len] == ' ');
    }
    return array;
}

/* The limit in force while the guest lives, the one that it will have otherwise. */
static uint64_t memory_limit(const struct guest_info *info)
{
    if (state_alive(info->state))
        return info->page.memory_limit;
    return info->def ? info->def->memory : 0;
}

json_t *facts_guest(const struct watched *w)
{
    const struct guest_info *info = &w->info;
    bool alive = state_alive(info->state);
    bool ended = !alive && info->last.known;
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(info->name));
    json_object_set_new(o, "type", string_or_null(info->engine ? info->engine->type : NULL));
    json_object_set_new(o, "state", json_string(state_name(info->state)));
    json_object_set_new(o, "pid",
                        integer_or_null(alive && info->page.guest_pid > 0,
                                        (uint64_t)info->page.guest_pid));
    json_object_set_new(o, "cpu_percent", percent(w->now.cpu_percent));
    json_object_set_new(o, "memory_bytes", integer_or_null(true, w->now.memory_bytes));
    json_object_set_new(o, "memory_resident_bytes",
                        integer_or_null(w->now.resident_bytes > 0, w->now.resident_bytes));
    uint64_t limit = memory_limit(info);
    json_object_set_new(o, "memory_limit_bytes", integer_or_null(limit > 0, limit));
    json_object_set_new(o, "uptime_seconds",
                        integer_or_null(true, alive ? w->now.uptime_seconds : 0));
    json_object_set_new(o, "addresses", address_array(w->addresses));
    json_object_set_new(o, "exit_status",
                        integer_or_null(ended && info->last.exit_status >= 0,
                                        (uint64_t)info->last.exit_status));
    json_object_set_new(o, "disk_read_bytes_per_second",
                        json_integer((json_int_t)w->now.disk_read));
    json_object_set_new(o, "disk_written_bytes_per_second",
                        json_integer((json_int_t)w->now.disk_written));
    json_object_set_new(o, "net_received_bytes_per_second",
                        json_integer((json_int_t)w->now.net_rx));
    json_object_set_new(o, "net_sent_bytes_per_second", json_integer((json_int_t)w->now.net_tx));
    bool vm = alive && *info->page.exits[0].name;
    json_object_set_new(o, "exits_per_second", integer_or_null(vm, (uint64_t)w->now.exits));
    json_object_set_new(o, "foreign", string_or_null(guest_whose(info)));
    json_object_set_new(o, "throwaway", json_boolean(info->throwaway));
    json_object_set_new(o, "autostart", json_boolean(info->autostart));
    json_object_set_new(o, "reason",
                        string_or_null(ended                         ? info->last.reason
                                       : info->state == GUEST_FROZEN ? info->page.note
                                                                     : NULL));
    json_object_set_new(o, "broken", string_or_null(info->broken));
    return o;
}

json_t *facts_host(const struct host_figures *h)
{
    json_t *o = json_object();
    json_object_set_new(o, "cpu_percent", percent(h->cpu_percent));
    json_object_set_new(o, "cores", json_integer(h->cores));
    json_object_set_new(o, "memory_bytes", json_integer((json_int_t)h->memory_used));
    json_object_set_new(o, "memory_limit_bytes", json_integer((json_int_t)h->memory_total));
    return o;
}

const char *facts_note(const struct watched *w)
{
    if (w->info.broken)
        return w->info.broken;
    if (w->info.state == GUEST_CRASHED)
        return w->info.last.reason;
    if (w->info.state == GUEST_FROZEN && w->info.page.note[0])
        return w->info.page.note;
    return w->addresses;
}
