/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult freeze and pult unfreeze. */
#include "cmd/ask.h"
#include "cmd/table.h"

static int freeze_one(const struct cmd_args *a, const char *name, struct error *err)
{
    (void)a;
    if (ask(name, json_pack("{s:s}", "cmd", "freeze"), err) == 0)
        return 0;
    return ask_foreign(name, FOREIGN_FREEZE, 0, err);
}

static int freeze_run(const struct cmd_args *a)
{
    return cmd_each(a, freeze_one);
}

const struct command cmd_freeze = {
    .name = "freeze",
    .alias = "pause",
    .args = "NAME...",
    .min = 1,
    .max = -1,
    .help = "stop the CPUs of running guests, keep their memory",
    .safe = true,
    .states = ON_STATE(GUEST_RUNNING),
    .run = freeze_run,
};

static int unfreeze_one(const struct cmd_args *a, const char *name, struct error *err)
{
    (void)a;
    if (ask(name, json_pack("{s:s}", "cmd", "thaw"), err) == 0)
        return 0;
    return ask_foreign(name, FOREIGN_THAW, 0, err);
}

static int unfreeze_run(const struct cmd_args *a)
{
    return cmd_each(a, unfreeze_one);
}

const struct command cmd_unfreeze = {
    .name = "unfreeze",
    .alias = "thaw",
    .args = "NAME...",
    .min = 1,
    .max = -1,
    .help = "let frozen guests go on",
    .safe = true,
    .states = ON_STATE(GUEST_FROZEN),
    .run = unfreeze_run,
};
