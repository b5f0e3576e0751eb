/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult destroy: guests and all that belongs to them are gone. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/ask.h"
#include "cmd/table.h"
#include "guest/client.h"
#include "guest/store.h"

/* Kill a guest that runs; one that does not is as well. */
static int bring_down(const char *name, struct error *err)
{
    cleanup_close int control = client_connect(name, err);
    if (control < 0)
        return err->code == ESRCH ? 0 : -1;
    return ask_kill(name, control, err);
}

static int destroy_one(const struct cmd_args *a, const char *name, struct error *err)
{
    struct guest_info info = {0};
    if (store_info(name, &info, err) < 0)
        return -1;
    bool alive = state_alive(info.state), throwaway = info.throwaway;
    guest_info_clear(&info);
    if (alive && !cmd_opt(a, "force")) {
        error_set(err, 0, "'%s' is running", name);
        return error_hint(err, "stop it first, or use --force to kill it");
    }
    if (alive && bring_down(name, err) < 0)
        return -1;
    return throwaway ? 0 : store_destroy(name, err);
}

static int destroy_run(const struct cmd_args *a)
{
    return cmd_each(a, destroy_one);
}

const struct command cmd_destroy = {
    .name = "destroy",
    .alias = "rm",
    .args = "NAME...",
    .min = 1,
    .max = -1,
    .options =
        (const struct cmd_option[]){
            {"force", 'f', NULL, false, "kill a guest that runs"},
            {0},
        },
    .help = "remove guests and all that is in their directories",
    .detail = "The definition, the history of the console, and a root file system or disks that\n"
              "lie in the guest's own directory are removed. What the definition names elsewhere\n"
              "stays.",
    .confirm = "Destroy '%s' and everything in its directory?",
    .states = ON_ANY,
    .run = destroy_run,
};
