/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult stop: all guests are asked at first, then waited for, so that they shut down side by side.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/ask.h"
#include "cmd/table.h"
#include "guest/client.h"

#define LONGEST      86400
#define STOP_S       30
#define FOREIGN_DONE (-2) /* another program's guest, which was waited for */

/* Ask one to stop. Returns the connection that tells of its end, -1, or FOREIGN_DONE. */
static int ask_to_stop(const char *name, int64_t seconds, struct error *err)
{
    int control = ask_connect(name, err), ms = (int)(seconds < 0 ? STOP_S : seconds) * 1000;
    if (control < 0)
        return ask_foreign(name, FOREIGN_STOP, ms, err) == 0 ? FOREIGN_DONE : -1;
    json_t *request = json_pack("{s:s}", "cmd", "stop");
    if (seconds >= 0)
        json_object_set_new(request, "timeout", json_integer(seconds));
    if (client_call(control, request, NULL, 0, ASK_MS, NULL, NULL, err) == 0)
        return control;
    close(control);
    return -1;
}

static int stop_run(const struct cmd_args *a)
{
    struct error err = {0};
    int64_t seconds = -1;
    const char *timeout = cmd_opt(a, "timeout");
    if (timeout && number_parse(timeout, 0, LONGEST, &seconds, &err) < 0)
        return cmd_usage(a, "--timeout: %s", err.text);

    int status = EXIT_OK, n = cmd_npos(a);
    int *controls = xcalloc((size_t)n, sizeof *controls);
    for (int i = 0; i < n; i++) {
        controls[i] = ask_to_stop(cmd_pos(a, i), seconds, &err);
        if (controls[i] == -1)
            status = cmd_fail(a, &err);
    }
    for (int i = 0; i < n && !cmd_opt(a, "no-wait"); i++)
        /* The keeper kills the guest when its time is up; how long that is, is its to know. */
        if (controls[i] >= 0 && ask_until_down(cmd_pos(a, i), controls[i], -1, &err) < 0)
            status = cmd_fail(a, &err);
    for (int i = 0; i < n; i++)
        cleanup_close_fn(&controls[i]);
    free(controls);
    return status;
}

const struct command cmd_stop = {
    .name = "stop",
    .args = "NAME...",
    .min = 1,
    .max = -1,
    .options =
        (const struct cmd_option[]){
            {"timeout", 't', "SECONDS", false, "kill a guest that takes longer (30)"},
            {"no-wait", 'n', NULL, false, "only ask, do not wait until it is down"},
            {0},
        },
    .help = "shut guests down",
    .detail = "A virtual machine's power button is pressed; a container's init gets the signal\n"
              "that its kind understands. A guest that is still there when its time is up is\n"
              "killed; the key guest.stop.timeout of its definition says how long that is if\n"
              "--timeout does not.",
    .confirm = "Shut '%s' down?",
    .states = ON_ALIVE,
    .run = stop_run,
};
