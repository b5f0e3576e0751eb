/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command lines of every verb: parsed to what the table allows, or refused with a reason.
 */
#include "fuzz/feed.h"

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/args.h"
#include "cmd/command.h"

static const char *const words[] = {
    "web1",        "-",       "--",        "-o",
    "json",        "--help",  "-h",        "--output=json",
    "--memory=1G", "-m",      "-m1G",      "--memory",
    "--no-such",   "-xyz",    "--=",       "",
    "=",           "-o=json", "key=value", "-1",
    "--memory=",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    char *argv[12];
    char *owned[12];
    int argc = 0, used = 0;
    size_t verbs = 0;

    while (commands[verbs])
        verbs++;
    if (verbs == 0)
        return 0;
    const struct command *cmd = commands[feed_below(&f, verbs)];
    for (uint32_t n = feed_below(&f, ARRAY_SIZE(argv) - 1); n > 0; n--) {
        owned[argc] = feed_rarely(&f, 6) ? feed_string(&f, 12) : xstrdup(feed_pick(&f, words));
        if (cmd->options && feed_rarely(&f, 3)) {
            size_t options = 0;
            while (cmd->options[options].name)
                options++;
            if (options > 0) {
                const struct cmd_option *o = &cmd->options[feed_below(&f, options)];
                free(owned[argc]);
                owned[argc] = xasprintf(feed_below(&f, 2) ? "--%s" : "--%s=7", o->name);
            }
        }
        argv[argc] = owned[argc];
        argc++;
    }
    argv[argc] = NULL;

    struct cmd_args a = {0};
    struct error err = {0};
    if (cmd_args_parse(cmd, argc, argv, &a, &err) == 0) {
        must(a.npos >= 0 && a.npos <= argc);
        for (int i = 0; i < a.npos; i++)
            must(cmd_pos(&a, i) != NULL);
        must(a.help || (a.npos >= cmd->min && (cmd->max < 0 || a.npos <= cmd->max)));
    } else {
        must(*err.text != '\0');
    }
    cmd_args_clear(&a);
    command_find(argc, argv, &used);
    must(used >= 0 && used <= argc);
    for (int i = 0; i < argc; i++)
        free(owned[i]);
    return 0;
}
