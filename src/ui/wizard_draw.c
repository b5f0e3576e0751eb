/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the wizards look like. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "ui/field.h"
#include "ui/screen.h"
#include "ui/wizard_private.h"

/* A row that can be chosen. */
static void draw_choice(struct rect in, int y, bool now, const char *label, const char *text)
{
    enum element el = now ? EL_SELECTED : EL_STRONG;
    if (now)
        screen_fill((struct rect){y, in.x + 1, 1, in.w - 2}, EL_SELECTED);
    screen_put(y, in.x + 2, 1, el, now ? "▸" : " ");
    int x = in.x + 4 + screen_put(y, in.x + 4, 34, el, label);
    x = max(x + 2, in.x + 14);
    screen_put(y, x, in.x + in.w - 2 - x, now ? EL_SELECTED : EL_FAINT, text);
}

static void draw_kinds(const struct wizard *w, struct rect in)
{
    int y = in.y + 1;
    screen_put(y, in.x + 2, in.w - 4, EL_TEXT, "What shall the guests of the network reach?");
    y += 2;
    for (size_t i = 0; wizard_kinds[i].label; i++)
        draw_choice(in, y++, i == w->kind_at, wizard_kinds[i].label, wizard_kinds[i].about);
}

static void draw_places(const struct wizard *w, struct rect in)
{
    static const char *const labels[] = {
        [PLACE_BRIDGE] = "the bridge ",
        [PLACE_NEW] = "a new bridge on ",
        [PLACE_DIRECT] = "directly on ",
        [PLACE_NOWHERE] = "a bridge that leads nowhere",
    };
    int y = in.y + 1;
    screen_put(y, in.x + 2, in.w - 4, EL_TEXT, "Where does it lead?");
    y += 2;
    size_t room = (size_t)max((in.h - 5) / 2, 1);
    size_t top = w->place_at >= room ? w->place_at - room + 1 : 0;
    for (size_t i = top; i < w->place_count && i < top + room; i++, y += 2) {
        const struct wizard_place *p = &w->places[i];
        char label[48];
        snprintf(label, sizeof label, "%s%s", labels[p->kind], p->name);
        draw_choice(in, y, i == w->place_at, label, p->text);
        int x = in.x + 6;
        if (p->recommended)
            x += screen_put(y + 1, x, 14, EL_GOOD, "recommended") + 2;
        screen_put(y + 1, x, in.x + in.w - 2 - x, EL_FAINT, p->remark);
    }
}

/*
 * What one should know before the plan is carried out, such as that another firewall stops it: above
 * the steps, and whole. Returns the lines that it took, at most half of them.
 */
static int draw_notes(const struct wizard *w, struct rect in)
{
    int y = 0;

    for (char **n = w->notes; n && *n && y < in.h / 2; n++)
        y += screen_wrapped(in.y + y, in.x, in.w, min(in.h / 2 - y, 3), EL_CHANGING, *n);
    return y;
}

/* The plan, from line `top` on. */
static void draw_plan(const struct wizard *w, struct rect in)
{
    size_t line = 0;
    int y = in.y;
#define ROW (line++ >= w->top && y < in.y + in.h)
    for (size_t i = 0; i < w->step_count; i++) {
        const struct wizard_step *s = &w->steps[i];
        if (ROW)
            screen_putf(y++, in.x, in.w, EL_TEXT, "%zu  %s", i + 1, s->what ? s->what : "");
        if (s->risk && ROW)
            screen_putf(y++, in.x + 4, in.w - 4, EL_BAD, "%s", s->risk);
        cleanup_free char *first =
            s->command ? xstrndup(s->command, strcspn(s->command, "\n")) : NULL;
        if (w->commands && first && ROW)
            screen_putf(y++, in.x + 4, in.w - 4, EL_FAINT, "%s%s", first,
                        strlen(first) < strlen(s->command) ? " …" : "");
    }
#undef ROW
}

static void draw_settings(const struct wizard *w, struct rect in)
{
    const char *said = NULL;
    struct error err;
    int y = in.y + 1;

    for (size_t i = 0; i < WIZARD_FIELDS; i++) {
        if (!wizard_has(w, i))
            continue;
        bool wrong = wizard_check(w, i, said ? NULL : &err) < 0;
        const struct field_look look = {.label = wizard_fields[i].label,
                                        .hint = wizard_fields[i].hint,
                                        .required = !wizard_fields[i].option,
                                        .wrong = wrong,
                                        .now = i == w->at};
        field_draw(&look, &w->values[i], y++, in);
        if (wrong && !said)
            said = err.text;
    }
    y++;
    struct rect rest = {y + 1, in.x + 2, in.y + in.h - y - 1, in.w - 4};
    if (said || w->refused) {
        screen_wrapped(y, in.x + 2, in.w - 4, rest.h, EL_BAD, said ? said : w->refused);
        return;
    }
    screen_put(y, in.x + 2, in.w - 4, EL_STRONG, w->planned ? "What will be done:" : "…");
    if (!w->planned)
        return;
    int notes = draw_notes(w, rest);
    rest.y += notes;
    rest.h -= notes;
    if (w->step_count)
        draw_plan(w, rest);
    else
        screen_put(rest.y, rest.x, rest.w, EL_TEXT, "nothing has to be done on the host");
}

/* The seconds that are left to confirm. */
static unsigned seconds_left(const struct journal *j)
{
    const int64_t left = j->deadline_ns - (int64_t)now_boot_ns();
    return left > 0 ? (unsigned)(left / 1000000000) : 0;
}

static const struct journal *journal_of(const struct ui *ui)
{
    for (size_t i = 0; i < ui->nets.count; i++)
        if (str_eq(ui->nets.all[i].name, ui->wizard.name))
            return &ui->nets.all[i].journal;
    return NULL;
}

static int draw_steps(const struct wizard *w, const struct journal *j, struct rect in)
{
    static const char *const signs[STEP_STATES] = {
        [STEP_PENDING] = "·", [STEP_DOING] = "…", [STEP_DONE] = "✓", [STEP_UNDONE] = "↶"};
    int y = in.y + 1;

    for (size_t i = w->top; j && i < j->plan.count && y < in.y + in.h - 6; i++) {
        const struct step *s = &j->plan.steps[i];
        cleanup_free char *what = step_say(s, s->op->what, false);
        enum element el = s->state == STEP_DONE      ? EL_GOOD
                          : s->state == STEP_PENDING ? EL_FAINT
                                                     : EL_CHANGING;
        screen_put(y, in.x + 2, 1, el, signs[s->state]);
        screen_put(y++, in.x + 4, in.w - 6, el == EL_FAINT ? EL_FAINT : EL_TEXT, what);
    }
    return y;
}

/* The lines of the proof, each cut off at the edge, but for what is wrong, and its remedy. */
static void draw_proof(const char *text, int y, struct rect in)
{
    enum element el = EL_TEXT;

    while (*text && y < in.y + in.h) {
        size_t n = strcspn(text, "\n");
        if (*text != ' ')
            el = str_starts(text, "BAD ") ? EL_BAD : EL_TEXT;
        if (el == EL_BAD) {
            cleanup_free char *line = xstrndup(text, n);
            y += screen_wrapped(y, in.x + 2, in.w - 4, min(in.y + in.h - y, 3), el, line);
            text += n + (text[n] == '\n');
            continue;
        }
        screen_putf(y++, in.x + 2, in.w - 4, el, "%.*s", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void draw_run(const struct ui *ui, struct rect in)
{
    static const char *const now[RUN_STATES] = {
        [RUN_NOT] = "",
        [RUN_CREATE] = "The definition is written …",
        [RUN_APPLY] = "The steps are done …",
        [RUN_PROVE] = "It is looked whether all is as it should be …",
        [RUN_DONE] = "It is up. The proof:",
        [RUN_BACK] = "Everything is put back …",
        [RUN_FAILED] = "It was not made; everything is as it was:",
        [RUN_STUCK] = "It was not made, and not all could be put back:",
    };
    const struct wizard *w = &ui->wizard;
    const struct journal *j = journal_of(ui);
    bool failed = w->run == RUN_FAILED || w->run == RUN_STUCK;
    int y = (failed ? in.y : draw_steps(w, j, in)) + 1;

    if (w->run == RUN_APPLY && w->awaited && j) {
        screen_putf(y, in.x + 2, in.w - 4, EL_BAD,
                    "Are you still connected? Press y within %u seconds, or all goes back.",
                    seconds_left(j));
        return;
    }
    if (w->run == RUN_DONE && w->blocked)
        screen_put(y, in.x + 2, in.w - 4, EL_BAD, "It is up, but not all is as it should be:");
    else
        screen_put(y, in.x + 2, in.w - 4, failed ? EL_BAD : EL_STRONG, now[w->run]);
    if (failed && w->said)
        screen_wrapped(y + 2, in.x + 2, in.w - 4, 8, EL_TEXT, w->said);
    else if (w->said && w->run == RUN_DONE)
        draw_proof(w->said, y + 1, in);
}

static const char *hint(const struct wizard *w)
{
    switch (w->page) {
    case PAGE_KIND:
        return "Enter next   Esc cancel";
    case PAGE_PLACE:
        return "Enter next   F3 back   Esc cancel";
    case PAGE_SETTINGS:
        return wizard_persists(w)
                   ? "Enter do it   F2 commands   F4 as files   PgDn more   F3 back   Esc cancel"
                   : "Enter do it   F2 commands   PgDn more   F3 back   Esc cancel";
    default:
        break;
    }
    if (w->run == RUN_DONE)
        return wizard_persists(w) ? "Enter close   F4 as files, to keep it at each boot"
                                  : "Enter close";
    if (w->run == RUN_FAILED)
        return "F3 back   Esc close";
    if (w->run == RUN_STUCK)
        return "Esc close";
    return w->run == RUN_APPLY && w->awaited ? "y confirm   Esc put all back" : "";
}

void wizard_draw(struct ui *ui, struct rect area)
{
    const struct wizard *w = &ui->wizard;
    struct rect in = rect_inner(area);
    char title[80];

    snprintf(title, sizeof title, "New network: %s", wizard_title((enum wizard_page)w->page));
    screen_fill(area, EL_TEXT);
    screen_box(area, EL_BORDER_FOCUS, EL_TITLE, title);
    screen_put(area.y + area.h - 1, area.x + 2, area.w - 4, EL_FAINT, hint(w));
    in.h--;
    if (w->page == PAGE_KIND)
        draw_kinds(w, in);
    else if (w->page == PAGE_PLACE)
        draw_places(w, in);
    else if (w->page == PAGE_SETTINGS)
        draw_settings(w, in);
    else
        draw_run(ui, in);
}
