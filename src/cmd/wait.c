/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult wait: until a guest is in a state. */
#include <errno.h>
#include <limits.h>

#include "base/util.h"
#include "cmd/table.h"
#include "guest/client.h"
#include "guest/store.h"

static int wait_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *wanted = cmd_opt(a, "state"), *timeout = cmd_opt(a, "timeout");
    enum guest_state state;
    int64_t ms = -1;
    if (wanted == NULL)
        return cmd_usage(a, "missing option: -s STATE");
    if (state_parse(wanted, &state, &err) < 0)
        return cmd_usage(a, "%s", err.text);
    if (timeout && milli_parse(timeout, 0, INT_MAX, &ms, &err) < 0)
        return cmd_usage(a, "--timeout: %s", err.text);

    const char *name = cmd_pos(a, 0);
    struct guest_info info = {0};
    if (store_info(name, &info, &err) < 0)
        return cmd_fail(a, &err);
    enum guest_state now = info.state;
    guest_info_clear(&info);
    if (now == state || client_wait(name, state, (int)ms, &err) == 0)
        return EXIT_OK;
    if (err.code == ETIMEDOUT)
        error_set(&err, 0, "'%s' is not %s after %s s", name, state_name(state), timeout);
    return cmd_fail(a, &err);
}

const struct command cmd_wait = {
    .name = "wait",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            {"state", 's', "STATE", false, "the state to wait for, such as running or STOPPED"},
            {"timeout", 't', "SECONDS", false, "give up after so long, with exit status 1"},
            {0},
        },
    .help = "wait until a guest is in a state",
    .safe = true,
    .states = ON_ANY,
    .run = wait_run,
};
