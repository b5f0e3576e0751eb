/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult version: which program this is. */
#include <jansson.h>
#include <stdio.h>

#include "cmd/table.h"
#include "cmd/print.h"
#include "guest/engine.h"

static int version_run(const struct cmd_args *a)
{
    if (!cmd_json(a)) {
        printf("pult %s\n", PULT_VERSION);
        return EXIT_OK;
    }
    json_t *engines = json_array();
    for (const struct engine *const *e = engines_all(); *e; e++)
        json_array_append_new(engines, json_string((*e)->type));
    print_json(json_pack("{s:s, s:o}", "version", PULT_VERSION, "engines", engines));
    return EXIT_OK;
}

const struct command cmd_version = {
    .name = "version",
    .args = "",
    .help = "print the version of pult",
    .json = true,
    .safe = true,
    .run = version_run,
};
