/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult start: a keeper for each guest; with --attach, the console from its first byte on. */
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/console.h"
#include "cmd/order.h"
#include "cmd/table.h"
#include "cmd/terminal.h"
#include "guest/def.h"
#include "guest/keeper.h"
#include "guest/store.h"
#include "net/journal.h"
#include "net/kinds.h"

static int start_one(const struct cmd_args *a, const char *name, struct error *err)
{
    cleanup_def struct guest_def *def = NULL;
    if (store_load(name, &def, err) < 0)
        return -1;
    cmd_warn(a, def);
    cleanup_close int control = -1;
    return keeper_launch(def, &(struct launch){0}, &control, err);
}

/* Start the guest and be at its console. */
static int start_attached(const struct cmd_args *a, const char *name)
{
    struct error err = {0};
    cleanup_def struct guest_def *def = NULL;
    if (store_load(name, &def, &err) < 0)
        return cmd_fail(a, &err);
    cmd_warn(a, def);
    cleanup_close int control = -1, console = -1;
    struct console_reader reader = {.history = 0};
    struct launch how = {.attach = &reader, .console = &console};
    terminal_size(&how.cols, &how.rows);
    if (keeper_launch(def, &how, &control, &err) < 0)
        return cmd_fail(a, &err);
    return console_session(a, name, console);
}

/* The networks that want to be there before any guest is, each failure reported. */
static int bring_up_networks(const struct cmd_args *a)
{
    struct error err = {0};
    char **names;
    int status = EXIT_OK;
    if (journal_recover(&err) < 0)
        status = cmd_fail(a, &err);
    network_names(&names);
    for (char **name = names; *name; name++) {
        cleanup_network struct network *n = NULL;
        if (network_load(*name, &n, &err) < 0 || (n->autostart && network_up(*name, &err) < 0))
            status = cmd_fail(a, &err);
    }
    strv_free(names);
    return status;
}

/* Many guests, in their order, each failure reported; a delay is for whoever comes next. */
static int start_many(const struct cmd_args *a, bool autostart)
{
    struct error err = {0};
    struct ordered *list;
    size_t n;
    int status = autostart ? bring_up_networks(a) : EXIT_OK;
    if (ordered_guests(a, ON_DOWN, autostart, &list, &n, &err) < 0)
        return cmd_fail(a, &err);
    for (size_t i = 0; i < n; i++) {
        if (start_one(a, list[i].name, &err) < 0)
            status = cmd_fail(a, &err);
        else if (i + 1 < n && list[i].delay > 0)
            sleep((unsigned)list[i].delay);
    }
    free(list);
    return status;
}

static int start_run(const struct cmd_args *a)
{
    const bool autostart = cmd_opt(a, "autostart");
    if (autostart || cmd_opt(a, "all") || cmd_opt(a, "group"))
        return cmd_npos(a) == 0 && !cmd_opt(a, "attach")
                   ? start_many(a, autostart)
                   : cmd_usage(
                         a, "--autostart, --all and --group go with neither a NAME nor --attach");
    if (cmd_npos(a) == 0)
        return cmd_usage(a, "missing argument: it takes NAME..., --all, --group or --autostart");
    if (!cmd_opt(a, "attach"))
        return cmd_each(a, start_one);
    return cmd_npos(a) == 1 ? start_attached(a, cmd_pos(a, 0))
                            : cmd_usage(a, "--attach takes one NAME");
}

const struct command cmd_start = {
    .name = "start",
    .args = "NAME...",
    .max = -1,
    .options =
        (const struct cmd_option[]){
            {"attach", 'a', NULL, false, "enter the console, from its first byte on"},
            {"autostart", 0, NULL, false,
             "all networks with net.autostart and guests with guest.autostart = 1, as at boot"},
            {"all", 0, NULL, false, "all guests that do not run"},
            {"group", 'g', "GROUP", true,
             "those of this group (guest.group, lxc.group), or of one of A,B; several: of all"},
            {0},
        },
    .help = "start guests",
    .detail =
        "It returns when the guest runs, or says why it does not. The guest needs neither\n"
        "this command nor its terminal any more.\n\n"
        "Of many, those with the lowest guest.start.order (or lxc.start.order) are first, and\n"
        "guest.start.delay seconds are waited after each.",
    .safe = true,
    .states = ON_DOWN,
    .run = start_run,
};
