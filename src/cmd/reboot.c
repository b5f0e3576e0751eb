/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult reboot: ask guests to begin anew; what each understands is Ctrl-Alt-Del. */
#include "cmd/ask.h"
#include "cmd/table.h"

static int reboot_one(const struct cmd_args *a, const char *name, struct error *err)
{
    (void)a;
    return ask(name, json_pack("{s:s, s:s}", "cmd", "send", "what", "ctrl-alt-del"), err);
}

static int reboot_run(const struct cmd_args *a)
{
    return cmd_each(a, reboot_one);
}

const struct command cmd_reboot = {
    .name = "reboot",
    .args = "NAME...",
    .min = 1,
    .max = -1,
    .help = "ask guests to reboot",
    .detail = "A virtual machine gets Ctrl-Alt-Del, a container's init the signal that the kernel\n"
              "sends for it (lxc.signal.reboot). It returns at once; what the guest makes of it,\n"
              "and how long that takes, is the guest's.",
    .confirm = "Reboot '%s'?",
    .states = ON_STATE(GUEST_RUNNING),
    .run = reboot_run,
};
