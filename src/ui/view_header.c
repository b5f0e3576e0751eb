/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The top line: the host and what it carries. What does not fit is left out from the right. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/util.h"
#include "ui/app.h"
#include "ui/screen.h"
#include "ui/spark.h"

#define BAR_CELLS 10

/* "4 running 1 frozen", without the states that nobody is in. */
static void count_states(const struct ui *ui, char *out, size_t len)
{
    unsigned counts[GUEST_STATES] = {0};
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < ui->roster.total; i++)
        counts[ui->roster.all[i]->info.state]++;
    for (int s = 0; s < GUEST_STATES; s++) {
        static const enum guest_state order[GUEST_STATES] = {
            GUEST_RUNNING, GUEST_STARTING, GUEST_STOPPING, GUEST_FROZEN,
            GUEST_CRASHED, GUEST_BROKEN,   GUEST_STOPPED,
        };
        if (counts[order[s]] && n < len)
            n += (size_t)snprintf(out + n, len - n, "%s%u %s", n ? "  " : "", counts[order[s]],
                                  state_name(order[s]));
    }
    if (n == 0)
        snprintf(out, len, "no guests");
}

/* Draw a part of the line if there is room for it up to `end`. Returns the column after it. */
static int part(int x, int end, enum element el, const char *text)
{
    int w = screen_width(text);
    if (x + w > end)
        return x;
    return x + screen_put(0, x, w, el, text) + 2;
}

static void header_draw(struct ui *ui, struct rect area)
{
    const struct host_figures *h = &ui->host_now;
    char clock[8] = "", text[160], used[8], total[8], bar[3 * BAR_CELLS + 1];
    time_t now = time(NULL);
    struct tm tm;
    if (localtime_r(&now, &tm))
        strftime(clock, sizeof clock, "%H:%M", &tm);
    screen_fill(area, EL_HEADER);
    int end = area.w - 7;
    screen_put(0, area.w - 6, 6, EL_HEADER, clock);
    int x = part(1, end, EL_BRAND, "pult");
    x = part(x, end, EL_HEADER, ui->host.name);

    double cores = h->cores ? h->cores : 1;
    snprintf(text, sizeof text, "%3.0f%% of %u", h->cpu_percent, h->cores * 100);
    if (x + 4 + BAR_CELLS + 2 + screen_width(text) <= end) {
        spark_bar(h->cpu_percent / (cores * 100), BAR_CELLS, screen_utf8(), bar);
        x += screen_put(0, x, 5, EL_HEADER, "cpu ▕");
        screen_text(0, x, BAR_CELLS, EL_BAR, bar);
        x += BAR_CELLS;
        x += screen_put(0, x, 1, EL_HEADER, "▏");
        x += screen_put(0, x, 20, EL_HEADER, text) + 2;
    }
    size_human(h->memory_used, used);
    size_human(h->memory_total, total);
    snprintf(text, sizeof text, "mem %s/%s", used, total);
    x = part(x, end, EL_HEADER, text);
    count_states(ui, text, sizeof text);
    x = part(x, end, EL_HEADER, text);
    char note[64];
    snprintf(note, sizeof note, "kvm %s", ui->host.kvm);
    x = part(x, end, EL_HEADER, note);
    snprintf(note, sizeof note, "cgroup %s", ui->host.cgroup);
    part(x, end, EL_HEADER, note);
}

const struct view view_header = {.name = "header", .draw = header_draw};
