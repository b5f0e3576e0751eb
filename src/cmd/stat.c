/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult stat: a stream of figures, one JSON object on one line for each tick. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "cmd/facts.h"
#include "cmd/print.h"
#include "cmd/table.h"
#include "guest/store.h"
#include "guest/watch.h"

static bool is_wanted(const struct cmd_args *a, const char *name)
{
    for (int i = 0; i < cmd_npos(a); i++)
        if (strcmp(cmd_pos(a, i), name) == 0)
            return true;
    return cmd_npos(a) == 0;
}

/* The object of one tick. */
static json_t *tick(const struct cmd_args *a, struct watch *w)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    json_t *guests = json_array(), *o = json_object();
    size_t n;
    struct watched *const *list = watch_list(w, &n);
    for (size_t i = 0; i < n; i++)
        if (is_wanted(a, list[i]->info.name))
            json_array_append_new(guests, facts_guest(list[i]));
    int64_t ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    json_object_set_new(o, "time", json_real((double)ms / 1000));
    struct host_figures host;
    watch_host(w, &host);
    json_object_set_new(o, "host", facts_host(&host));
    json_object_set_new(o, "guests", guests);
    return o;
}

/* Wait for the next tick; ticks that were missed are left out. */
static void wait_until(uint64_t *next, uint64_t period)
{
    uint64_t now;
    while ((now = now_mono_ns()) < *next) {
        struct timespec left = {.tv_sec = (time_t)((*next - now) / 1000000000),
                                .tv_nsec = (long)((*next - now) % 1000000000)};
        nanosleep(&left, NULL);
    }
    *next += ((now - *next) / period + 1) * period;
}

static int stat_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *interval = cmd_opt(a, "interval"), *count = cmd_opt(a, "count");
    int64_t ms = 1000, ticks = -1;
    if (interval && milli_parse(interval, 50, 86400 * 1000, &ms, &err) < 0)
        return cmd_usage(a, "--interval: %s", err.text);
    if (count && number_parse(count, 1, INT64_MAX, &ticks, &err) < 0)
        return cmd_usage(a, "--count: %s", err.text);
    for (int i = 0; i < cmd_npos(a); i++) {
        struct guest_info info = {0};
        if (store_info(cmd_pos(a, i), &info, &err) < 0)
            return cmd_fail(a, &err);
        guest_info_clear(&info);
    }

    struct watch *w = facts_watch(true, &err);
    if (w == NULL)
        return cmd_fail(a, &err);
    uint64_t period = (uint64_t)ms * 1000000, next = now_mono_ns() + period;
    int status = EXIT_OK;
    for (int64_t i = 0; ticks < 0 || i < ticks; i++) {
        if (i > 0) {
            wait_until(&next, period);
            watch_changes(w);
            watch_tick(w);
        }
        if (print_json_line(tick(a, w)) < 0) {
            error_set(&err, errno, "write to standard output");
            status = cmd_fail(a, &err);
            break;
        }
    }
    watch_close(w);
    return status;
}

const struct command cmd_stat = {
    .name = "stat",
    .args = "[NAME...]",
    .max = -1,
    .options =
        (const struct cmd_option[]){
            {"interval", 'i', "SECONDS", false, "time between two ticks (1)"},
            {"count", 'c', "N", false, "end after so many ticks"},
            {0},
        },
    .help = "print figures of guests and host again and again, as JSON",
    .detail = "One object a tick, each on a line of its own: time (seconds since 1970), host\n"
              "(cpu_percent, cores, memory_bytes, memory_limit_bytes) and guests, an array of\n"
              "what `pult list -o json` prints. Without NAME it is all guests, and those that\n"
              "come and go meanwhile.\n\n"
              "  pult stat -i 5 | jq -c '.guests[] | [.name, .cpu_percent]'",
    .safe = true,
    .run = stat_run,
};
