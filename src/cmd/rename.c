/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult rename: another name for a guest that does not run. */
#include "cmd/table.h"
#include "guest/store.h"

static int rename_run(const struct cmd_args *a)
{
    struct error err = {0};
    return store_rename(cmd_pos(a, 0), cmd_pos(a, 1), &err) < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

const struct command cmd_rename = {
    .name = "rename",
    .alias = "mv",
    .args = "NAME NEW",
    .min = 2,
    .max = 2,
    .help = "give a guest that does not run another name",
    .detail = "Its directory is called so from then on, and what its definition names in there.\n"
              "What it calls itself inside (/etc/hostname) is its own affair. Its address is free.",
    .safe = true,
    .states = ON_DOWN,
    .run = rename_run,
};
