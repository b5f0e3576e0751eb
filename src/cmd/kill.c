/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult kill: end guests at once. */
#include "base/cleanup.h"
#include "cmd/ask.h"
#include "cmd/table.h"
#include "guest/client.h"

static int kill_one(const struct cmd_args *a, const char *name, struct error *err)
{
    (void)a;
    cleanup_close int control = ask_connect(name, err);
    if (control < 0)
        return ask_foreign(name, FOREIGN_KILL, 0, err);
    return ask_kill(name, control, err);
}

static int kill_run(const struct cmd_args *a)
{
    return cmd_each(a, kill_one);
}

const struct command cmd_kill = {
    .name = "kill",
    .args = "NAME...",
    .min = 1,
    .max = -1,
    .help = "end guests at once, as pulling the plug does",
    .confirm = "End '%s' at once? What it has not saved is lost.",
    .states = ON_ALIVE,
    .run = kill_run,
};
