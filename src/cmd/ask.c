/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking a keeper; ask.h says for what. */
#include "cmd/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/client.h"
#include "guest/store.h"

int ask_connect(const char *name, struct error *err)
{
    int fd = client_connect(name, err);
    if (fd >= 0 || err->code != ESRCH)
        return fd;
    /* Not running, or not there at all: then the store knows the nearest name. */
    struct guest_info info = {0};
    if (store_info(name, &info, err) < 0)
        return -1;
    if (info.elsewhere) {
        error_set(err, 0, "'%s' is run by %s, not by pult", name, guest_whose(&info));
        err->code = ESRCH;
        guest_info_clear(&info);
        return -1;
    }
    error_set(err, 0, "'%s' is %s", name, state_name(info.state));
    if (info.state != GUEST_BROKEN)
        error_hint(err, "`pult start %s` starts it", name);
    guest_info_clear(&info);
    return -1;
}

int ask(const char *name, json_t *request, struct error *err)
{
    cleanup_close int control = ask_connect(name, err);
    if (control < 0) {
        json_decref(request);
        return -1;
    }
    return client_call(control, request, NULL, 0, ASK_MS, NULL, NULL, err);
}

int ask_foreign(const char *name, enum foreign_act what, int ms, struct error *err)
{
    struct guest_info info = {0};
    if (err->code != ESRCH || store_info(name, &info, NULL) < 0)
        return -1;
    int ret = -1;
    if (info.elsewhere && info.def)
        ret = info.engine->foreign->act(info.place, info.def, what, ms, err);
    guest_info_clear(&info);
    return ret;
}

int ask_until_down(const char *name, int control, int ms, struct error *err)
{
    struct guest_ended end;
    if (ended_wait(control, ms, &end, err) == 0)
        return 0;
    return error_wrap(err, "wait for the end of '%s'", name);
}

int ask_kill(const char *name, int control, struct error *err)
{
    json_t *kill = json_pack("{s:s}", "cmd", "kill");

    if (client_call(control, kill, NULL, 0, ASK_MS, NULL, NULL, err) < 0 && err->code != EPIPE)
        return -1;
    return ask_until_down(name, control, ASK_MS, err);
}

bool ended_event(const json_t *event, struct guest_ended *end)
{
    const json_t *killed = json_object_get(event, "killed");
    if (killed == NULL)
        return false;
    const json_t *status = json_object_get(event, "exit_status");
    const char *note = json_string_value(json_object_get(event, "note"));
    end->known = true;
    end->crashed =
        str_eq(json_string_value(json_object_get(event, "state")), state_name(GUEST_CRASHED));
    end->killed = json_is_true(killed);
    end->exit_status = json_is_integer(status) ? (int)json_integer_value(status) : -1;
    snprintf(end->reason, sizeof end->reason, "%s", note ? note : "");
    return true;
}

int ended_wait(int control, int ms, struct guest_ended *end, struct error *err)
{
    uint64_t until = now_mono_ns() + (uint64_t)ms * 1000000;
    for (;;) {
        uint64_t now = now_mono_ns();
        *err = (struct error){0};
        json_t *event = client_event(control,
                                     ms < 0        ? -1
                                     : now < until ? (int)((until - now) / 1000000)
                                                   : 0,
                                     err);
        if (event == NULL)
            return err->code == 0 ? 0 : -1;
        ended_event(event, end);
        json_decref(event);
    }
}
