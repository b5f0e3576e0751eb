/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult stop: all guests are asked at first, then waited for, so that they shut down side by side.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/ask.h"
#include "cmd/order.h"
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

/* Ask these, then wait for all of them. */
static int stop_some(const struct cmd_args *a, const char *const *names, size_t n, int64_t seconds)
{
    struct error err = {0};
    int status = EXIT_OK;
    int *controls = xcalloc(n, sizeof *controls);
    for (size_t i = 0; i < n; i++) {
        controls[i] = ask_to_stop(names[i], seconds, &err);
        if (controls[i] == -1)
            status = cmd_fail(a, &err);
    }
    for (size_t i = 0; i < n && !cmd_opt(a, "no-wait"); i++)
        /* The keeper kills the guest when its time is up; how long that is, is its to know. */
        if (controls[i] >= 0 && ask_until_down(names[i], controls[i], -1, &err) < 0)
            status = cmd_fail(a, &err);
    for (size_t i = 0; i < n; i++)
        cleanup_close_fn(&controls[i]);
    free(controls);
    return status;
}

/* Those that start last stop first; those of the same order side by side. */
static int stop_many(const struct cmd_args *a, int64_t seconds)
{
    struct error err = {0};
    struct ordered *list;
    size_t n;
    int status = EXIT_OK;
    if (ordered_guests(a, ON_ALIVE, false, &list, &n, &err) < 0)
        return cmd_fail(a, &err);
    const char **names = xcalloc(n + 1, sizeof *names);
    for (size_t i = n; i > 0;) {
        const int64_t order = list[i - 1].order;
        size_t count = 0;
        for (; i > 0 && list[i - 1].order == order; i--)
            names[count++] = list[i - 1].name;
        if (stop_some(a, names, count, seconds) != EXIT_OK)
            status = EXIT_FAILED;
    }
    free(names);
    free(list);
    return status;
}

static int stop_run(const struct cmd_args *a)
{
    struct error err = {0};
    int64_t seconds = -1;
    const char *timeout = cmd_opt(a, "timeout");
    const bool many = cmd_opt(a, "all") || cmd_opt(a, "group");
    if (timeout && number_parse(timeout, 0, LONGEST, &seconds, &err) < 0)
        return cmd_usage(a, "--timeout: %s", err.text);
    if (many && cmd_npos(a) > 0)
        return cmd_usage(a, "--all and --group go with no NAME");
    if (many)
        return stop_many(a, seconds);
    const size_t n = (size_t)cmd_npos(a);
    if (n == 0)
        return cmd_usage(a, "missing argument: it takes NAME..., --all or --group");
    const char **names = xcalloc(n, sizeof *names);
    for (size_t i = 0; i < n; i++)
        names[i] = cmd_pos(a, (int)i);
    int status = stop_some(a, names, n, seconds);
    free(names);
    return status;
}

const struct command cmd_stop = {
    .name = "stop",
    .args = "NAME...",
    .max = -1,
    .options =
        (const struct cmd_option[]){
            {"timeout", 't', "SECONDS", false, "kill a guest that takes longer (30)"},
            {"no-wait", 'n', NULL, false, "only ask, do not wait until it is down"},
            {"all", 0, NULL, false, "all guests that run"},
            {"group", 'g', "GROUP", true,
             "those of this group (guest.group, lxc.group), or of one of A,B; several: of all"},
            {0},
        },
    .help = "shut guests down",
    .detail = "A virtual machine's power button is pressed; a container's init gets the signal\n"
              "that its kind understands. A guest that is still there when its time is up is\n"
              "killed; the key guest.stop.timeout of its definition says how long that is if\n"
              "--timeout does not. Of many, those that start last (guest.start.order) stop first.",
    .confirm = "Shut '%s' down?",
    .states = ON_ALIVE,
    .run = stop_run,
};
