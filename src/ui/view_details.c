/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Below the list: the selected guest's graphs and facts, or why it does not run. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "guest/engine.h"
#include "ui/app.h"
#include "ui/look.h"
#include "ui/screen.h"
#include "ui/spark.h"

#define GRAPH_MAX 60 /* cells */

static void graph(const struct watched *w, const float *ring, double top, int y, int x, int width,
                  enum element el)
{
    char line[3 * GRAPH_MAX + 1];
    spark_line(ring, WATCH_HISTORY, w->head, w->filled, top, (unsigned)width, screen_utf8(), line);
    screen_put(y, x, width, el, line);
}

static void draw_graphs(const struct watched *w, int y, struct rect in)
{
    const struct status_page *page = &w->info.page;
    int width = min(max(in.w - 26, 6), GRAPH_MAX);
    char used[8], limit[8], text[80];
    double cores = page->vcpus ? page->vcpus : 1;
    if (w->info.def && w->info.def->cpus_milli > 0 && !page->vcpus)
        cores = (double)w->info.def->cpus_milli / 1000;
    double top = max(spark_top(w->cpu_history, WATCH_HISTORY, w->head, w->filled, (unsigned)width),
                     cores * 100);
    int x = in.x + 1 + 4, after = x + width + 2;
    screen_put(y, in.x + 1, 4, EL_FAINT, "cpu");
    graph(w, w->cpu_history, top, y, x, width, EL_CPU);
    snprintf(text, sizeof text, "%.0f%%", w->now.cpu_percent);
    if (page->vcpus)
        snprintf(text, sizeof text, "%.0f%% of %u vcpu%s", w->now.cpu_percent, page->vcpus,
                 page->vcpus == 1 ? "" : "s");
    screen_put(y, after, in.x + in.w - after, EL_TEXT, text);

    size_human(w->now.memory_bytes, used);
    size_human(page->memory_limit, limit);
    top = page->memory_limit
              ? (double)page->memory_limit
              : spark_top(w->memory_history, WATCH_HISTORY, w->head, w->filled, (unsigned)width) *
                    1.25;
    screen_put(y + 1, in.x + 1, 4, EL_FAINT, "mem");
    graph(w, w->memory_history, top, y + 1, x, width, EL_MEMORY);
    screen_putf(y + 1, after, in.x + in.w - after, EL_TEXT, page->memory_limit ? "%s of %s" : "%s",
                used, limit);
}

static void rate(double per_second, char out[8])
{
    size_human(per_second > 0 ? (uint64_t)per_second : 0, out);
}

static void draw_alive(const struct watched *w, int y, struct rect in)
{
    char rx[8], tx[8], rd[8], wr[8], up[16];
    draw_graphs(w, y, in);
    rate(w->now.net_rx, rx);
    rate(w->now.net_tx, tx);
    rate(w->now.disk_read, rd);
    rate(w->now.disk_written, wr);
    uptime_human(w->now.uptime_seconds, up);
    int x = in.x + 1, w4 = in.w - 2;
    int n = screen_put(y + 2, x, 4, EL_FAINT, "net ");
    n += screen_putf(y + 2, x + n, w4 - n, EL_NETWORK, "↓%s ↑%s", rx, tx);
    n += screen_put(y + 2, x + n, w4 - n, EL_FAINT, "  disk ");
    screen_putf(y + 2, x + n, w4 - n, EL_NETWORK, "r %s w %s", rd, wr);
    n = screen_put(y + 3, x, 3, EL_FAINT, "up ");
    n += screen_putf(y + 3, x + n, w4 - n, EL_TEXT, "%s", up);
    n += screen_put(y + 3, x + n, w4 - n, EL_FAINT, "  pid ");
    n += screen_putf(y + 3, x + n, w4 - n, EL_TEXT, "%d", w->info.page.guest_pid);
    if (w->info.throwaway)
        screen_put(y + 3, x + n, w4 - n, EL_CHANGING, "  throwaway");
    else if (w->info.place)
        screen_putf(y + 3, x + n, w4 - n, EL_FAINT, "  of %s", guest_whose(&w->info));
    const char *note = w->info.page.note;
    if (w->info.state == GUEST_FROZEN && note[0]) /* why: it did not ask for it */
        screen_wrapped(y + 4, x, w4, max(in.y + in.h - y - 4, 1), EL_BAD, note);
    else
        screen_put(y + 4, x, w4, EL_TEXT, w->addresses[0] ? w->addresses : note);
}

static void draw_down(const struct watched *w, int y, struct rect in, int h)
{
    const struct last_run *last = &w->info.last;
    int x = in.x + 1, width = in.w - 2;
    if (w->info.state == GUEST_BROKEN) {
        screen_wrapped(y, x, width, h, EL_BAD, w->info.broken ? w->info.broken : "");
        return;
    }
    if (!last->known) {
        if (w->info.place)
            screen_putf(y, x, width, EL_FAINT, "of %s: %s", guest_whose(&w->info), w->info.place);
        else
            screen_put(y, x, width, EL_FAINT, "never started");
        return;
    }
    char when[32] = "";
    time_t t = (time_t)last->when;
    struct tm tm;
    if (localtime_r(&t, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M", &tm);
    screen_putf(y, x, width, EL_FAINT, "ended %s", when);
    if (last->exit_status >= 0)
        screen_putf(y + 1, x, width, EL_TEXT, "exit status %d", last->exit_status);
    bool crashed = w->info.state == GUEST_CRASHED;
    screen_wrapped(y + 2, x, width, h - 2, crashed ? EL_BAD : EL_TEXT, last->reason);
}

static void details_draw(struct ui *ui, struct rect area)
{
    const struct watched *w = roster_selected(&ui->roster);
    struct rect in = rect_inner(area);
    char title[120] = "";
    if (w)
        snprintf(title, sizeof title, "%s · %s", w->info.name,
                 w->info.engine ? w->info.engine->type : "?");
    enum element border = ui->focus == &view_list ? EL_BORDER_FOCUS : EL_BORDER;
    screen_box(area, border, EL_TITLE, title);
    screen_tee(area, border);
    if (!w)
        return;
    if (state_alive(w->info.state))
        draw_alive(w, in.y, in);
    else
        draw_down(w, in.y, in, in.h);
}

const struct view view_details = {.name = "details", .draw = details_draw};
