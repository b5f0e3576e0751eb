/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult wait: until a guest is in a state. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/table.h"
#include "guest/client.h"
#include "guest/store.h"

/* "running", or several: "STOPPED|CRASHED". */
static int states_parse(const char *text, unsigned *states, struct error *err)
{
    *states = 0;
    cleanup_free char *copy = xstrdup(text);
    char *save;
    for (char *word = strtok_r(copy, "|,", &save); word; word = strtok_r(NULL, "|,", &save)) {
        enum guest_state state;
        if (state_parse(word, &state, err) < 0)
            return -1;
        *states |= ON_STATE(state);
    }
    return *states ? 0 : error_set(err, 0, "no state is named");
}

static int wait_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *wanted = cmd_opt(a, "state"), *timeout = cmd_opt(a, "timeout");
    unsigned states;
    int64_t ms = -1;
    if (wanted == NULL)
        return cmd_usage(a, "missing option: -s STATE");
    if (states_parse(wanted, &states, &err) < 0)
        return cmd_usage(a, "%s", err.text);
    if (timeout && milli_parse(timeout, 0, INT_MAX, &ms, &err) < 0)
        return cmd_usage(a, "--timeout: %s", err.text);

    const char *name = cmd_pos(a, 0);
    struct guest_info info = {0};
    if (store_info(name, &info, &err) < 0)
        return cmd_fail(a, &err);
    const bool now = states & ON_STATE(info.state);
    guest_info_clear(&info);
    if (now || client_wait(name, states, (int)ms, &err) == 0)
        return EXIT_OK;
    if (err.code == ETIMEDOUT)
        error_set(&err, 0, "'%s' is not %s after %s s", name, wanted, timeout);
    return cmd_fail(a, &err);
}

const struct command cmd_wait = {
    .name = "wait",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            {"state", 's', "STATE", false,
             "the state to wait for, such as running; or one of several: STOPPED|CRASHED"},
            {"timeout", 't', "SECONDS", false, "give up after so long, with exit status 1"},
            {0},
        },
    .help = "wait until a guest is in a state",
    .safe = true,
    .states = ON_ANY,
    .run = wait_run,
};
