/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult monitor: a line for each guest whose state changes. What is remembered of the last look is
 * compared with the next one; a guest that is gone was stopped before.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "cmd/print.h"
#include "cmd/table.h"
#include "guest/store.h"
#include "guest/watch.h"

struct seen {
    char name[GUEST_NAME_MAX + 1];
    enum guest_state state;
};

struct monitor {
    const struct cmd_args *a;
    struct seen *all;
    size_t count;
    int64_t left; /* lines to be printed yet; below 0: no end */
};

static bool is_wanted(const struct cmd_args *a, const char *name)
{
    for (int i = 0; i < cmd_npos(a); i++)
        if (str_eq(cmd_pos(a, i), name))
            return true;
    return cmd_npos(a) == 0;
}

static const struct seen *find(const struct seen *all, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(all[i].name, name))
            return &all[i];
    return NULL;
}

/* One line. -1: nobody reads it. */
static int tell(struct monitor *m, const char *name, enum guest_state state, struct error *err)
{
    if (m->left == 0 || !is_wanted(m->a, name))
        return 0;
    if (m->left > 0)
        m->left--;
    int ret = 0;
    if (cmd_json(m->a)) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        ret = print_json_line(json_pack("{s:f, s:s, s:s}", "time",
                                        (double)now.tv_sec + (double)now.tv_nsec / 1e9, "name",
                                        name, "state", state_name(state)));
    } else if (printf("%s %s\n", name, state_name(state)) < 0 || fflush(stdout) != 0) {
        ret = -1;
    }
    return ret < 0 ? error_set(err, errno, "write to standard output") : 0;
}

/* Compare with the last look, and remember this one. quiet: it is the first. */
static int look(struct monitor *m, const struct watch *w, bool quiet, struct error *err)
{
    size_t n;
    int ret = 0;
    struct watched *const *list = watch_list(w, &n);
    struct seen *now = xcalloc(n + 1, sizeof *now);
    for (size_t i = 0; i < n; i++) {
        snprintf(now[i].name, sizeof now[i].name, "%s", list[i]->info.name);
        now[i].state = list[i]->info.state;
        const struct seen *before = find(m->all, m->count, now[i].name);
        if (!quiet && ret == 0 && (!before || before->state != now[i].state))
            ret = tell(m, now[i].name, now[i].state, err);
    }
    for (size_t i = 0; m->all && i < m->count && ret == 0; i++)
        if (!find(now, n, m->all[i].name) && state_alive(m->all[i].state))
            ret = tell(m, m->all[i].name, GUEST_STOPPED, err);
    free(m->all);
    m->all = now;
    m->count = n;
    return ret;
}

static int monitor_run(const struct cmd_args *a)
{
    struct error err = {0};
    struct monitor m = {.a = a, .left = -1};
    const char *count = cmd_opt(a, "count");
    if (count && number_parse(count, 1, INT64_MAX, &m.left, &err) < 0)
        return cmd_usage(a, "--count: %s", err.text);
    struct watch *w = watch_open(&err);
    if (w == NULL)
        return cmd_fail(a, &err);
    int ret = look(&m, w, !cmd_opt(a, "first"), &err);
    while (ret == 0 && m.left != 0) {
        struct pollfd p[] = {{.fd = watch_fd(w), .events = POLLIN}, {.fd = 1}};
        if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
            ret = error_set(&err, errno, "wait for changes");
        if (p[1].revents & POLLERR) /* who read this has gone */
            break;
        if (ret == 0 && watch_changes(w))
            ret = look(&m, w, false, &err);
    }
    watch_close(w);
    free(m.all);
    return ret < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

const struct command cmd_monitor = {
    .name = "monitor",
    .args = "[NAME...]",
    .max = -1,
    .options =
        (const struct cmd_option[]){
            {"first", 'f', NULL, false, "begin with a line for each as it is"},
            {"count", 'c', "N", false, "end after so many lines"},
            {0},
        },
    .help = "print a line for each guest whose state changes",
    .detail = "A line is NAME STATE; with -o json an object with time (seconds since 1970), name\n"
              "and state. Without NAME it is about all guests, also those that are defined later.\n"
              "A state that lasts for less than it takes to look may be left out; the one that it\n"
              "led to never is.\n\n"
              "  pult monitor | while read name state; do logger \"$name is $state\"; done",
    .json = true,
    .safe = true,
    .run = monitor_run,
};
