/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult list: all guests and what they use. */
#include <stdio.h>

#include "base/util.h"
#include "cmd/facts.h"
#include "cmd/order.h"
#include "cmd/print.h"
#include "cmd/table.h"
#include "guest/engine.h"
#include "guest/store.h"
#include "guest/watch.h"

static void add_row(struct table *t, const struct watched *w)
{
    const struct guest_info *info = &w->info;
    bool alive = state_alive(info->state);
    char memory[8], up[16];
    size_human(w->now.memory_bytes, memory);
    duration_human(w->now.uptime_seconds, up);
    table_cell(t, "%s", info->name);
    table_cell(t, "%s", info->engine ? info->engine->type : "?");
    table_cell(t, "%s", state_name(info->state));
    if (alive && info->page.guest_pid > 0)
        table_cell(t, "%d", info->page.guest_pid);
    else
        table_cell(t, "-");
    if (alive)
        table_cell(t, "%.1f", w->now.cpu_percent);
    else
        table_cell(t, "-");
    table_cell(t, "%s", alive ? memory : "-");
    table_cell(t, "%s", alive ? up : "-");
    const char *note = facts_note(w);
    if (guest_whose(info))
        table_cell(t, "%s%s%s", guest_whose(info), *note ? ": " : "", note);
    else
        table_cell(t, "%s", note);
}

/* Names alone need no figures, so no moment is spent on them. */
static int print_names(const struct cmd_args *a, bool all, enum guest_state state)
{
    struct error err = {0};
    struct guest_info *list;
    size_t n;
    if (store_list(&list, &n, &err) < 0)
        return cmd_fail(a, &err);
    json_t *names = json_array();
    for (size_t i = 0; i < n; i++)
        if ((all || list[i].state == state) && in_groups(a, list[i].def))
            json_array_append_new(names, json_string(list[i].name));
    store_list_free(list, n);
    if (cmd_json(a)) {
        print_json(names);
        return EXIT_OK;
    }
    size_t i;
    json_t *name;
    json_array_foreach (names, i, name)
        puts(json_string_value(name));
    json_decref(names);
    return EXIT_OK;
}

static int list_run(const struct cmd_args *a)
{
    static const char *const head[] = {"NAME", "TYPE", "STATE", ">PID", ">CPU%",
                                       ">MEM", ">UP",  "NOTE",  NULL};
    struct error err = {0};
    const char *wanted = cmd_opt(a, "state");
    enum guest_state state = GUEST_STOPPED;
    if (wanted && state_parse(wanted, &state, &err) < 0)
        return cmd_usage(a, "%s", err.text);
    if (cmd_opt(a, "names"))
        return print_names(a, wanted == NULL, state);

    struct watch *w = facts_watch(false, &err);
    if (w == NULL)
        return cmd_fail(a, &err);
    size_t n;
    struct watched *const *list = watch_list(w, &n);
    struct table *t = table_new(head);
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++) {
        if ((wanted && list[i]->info.state != state) || !in_groups(a, list[i]->info.def))
            continue;
        add_row(t, list[i]);
        json_array_append_new(array, facts_guest(list[i]));
    }
    if (cmd_json(a)) {
        print_json(array);
        table_free(t);
    } else {
        json_decref(array);
        table_print(t);
    }
    watch_close(w);
    return EXIT_OK;
}

const struct command cmd_list = {
    .name = "list",
    .alias = "ls",
    .args = "",
    .options =
        (const struct cmd_option[]){
            {"state", 's', "STATE", false, "only guests in this state"},
            {"group", 'g', "GROUP", true,
             "only those of this group, or of one of A,B; several: of all"},
            {"names", 'n', NULL, false, "names alone, one a line"},
            {0},
        },
    .help = "list all guests and what they use",
    .detail = "CPU% is of one core: a guest that keeps two busy shows 200. It is measured over\n"
              "the fifth of a second that the command takes.\n\n"
              "The states are stopped, starting, running, frozen, stopping, crashed (the last\n"
              "run did not end as it should) and broken (its definition cannot be read).\n\n"
              "With -o json it prints an array of objects, each with name, type, state, pid,\n"
              "cpu_percent, memory_bytes, memory_limit_bytes, uptime_seconds, addresses,\n"
              "exit_status and more; null stands for what is not known.",
    .json = true,
    .safe = true,
    .run = list_run,
};
