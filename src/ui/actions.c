/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The UI's own actions: what concerns the screen rather than guests, and what enters them. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/engine.h"
#include "guest/limits.h"
#include "ui/app.h"
#include "ui/screen.h"
#include "ui/verb.h"

static const char *arg_of(int argc, char *const *argv, int i)
{
    return i < argc ? argv[i] : "";
}

/* Rows of the part that is shown in r, at least 1. */
static unsigned height_of(struct rect r)
{
    return (unsigned)max(rect_inner(r).h, 1);
}

/* The position of word in words; -1: not there. */
static int word_index(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], word) == 0)
            return i;
    }
    return -1;
}

/* ---- the screen ---- */

static void act_help(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    text_open(ui, "Help", help_fill, false);
}

static void act_messages(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    text_open(ui, "Messages", messages_fill, true);
    ui->text.at_end = true;
}

static void act_quit(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    ui_quit(ui, 0);
}

static void act_suspend(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    ui_suspend(ui);
}

static void act_redraw(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    screen_redraw();
    ui_dirty(ui, DIRTY_ALL);
}

static void act_zoom(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    if (ui->zoom && ui->focus != &view_list) {
        ui->zoom = false;
        ui_relayout(ui);
        if (ui->layout.pane.h == 0) { /* no room for both: the guest keeps the screen */
            ui->zoom = true;
            ui_relayout(ui);
        }
        return;
    }
    if (!ui->panes.shown)
        return;
    ui->zoom = !ui->zoom;
    ui_relayout(ui);
}

static void act_focus(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    if (ui->focus == &view_list)
        ui_run(ui, "console");
    else
        ui_focus(ui, &view_list);
}

static const char *const theme_words[] = {"dark", "mono", NULL};

static void act_theme(struct ui *ui, int argc, char *const *argv)
{
    struct error err;
    if (argc < 2)
        ui_note(ui, "the theme is %s", screen_theme());
    else if (screen_set_theme(argv[1], &err) < 0)
        ui_error(ui, "%s", err.text);
    ui_dirty(ui, DIRTY_ALL);
}

static void act_mouse(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    ui->mouse = !ui->mouse;
    ui_note(ui, "the mouse is %s", ui->mouse ? "on: it selects guests" : "left to your terminal");
}

static void act_refresh(struct ui *ui, int argc, char *const *argv)
{
    int64_t milli;
    struct error err;
    if (milli_parse(arg_of(argc, argv, 1), 100, 3600000, &milli, &err) < 0)
        ui_error(ui, "refresh: %s", err.text);
    else
        ui_set_refresh(ui, (unsigned)milli);
}

/* ---- the list ---- */

static const char *const select_words[] = {"up",    "down", "page-up", "page-down",
                                           "first", "last", NULL};

static void act_select(struct ui *ui, int argc, char *const *argv)
{
    const long page = (long)max(height_of(ui->layout.list), 2u) - 1, all = 1 << 30;
    const long moves[] = {-1, 1, -page, page, -all, all};
    const char *what = arg_of(argc, argv, 1);
    int i = word_index(select_words, what);
    if (i >= 0)
        roster_move(&ui->roster, moves[i]);
    else if (!roster_select(&ui->roster, what))
        ui_error(ui, "there is no guest '%s' in the list", what);
    ui_settle(ui, false);
    ui_dirty(ui, DIRTY_ALL);
}

static const char *const mark_words[] = {"all", "none", NULL};

static void act_mark(struct ui *ui, int argc, char *const *argv)
{
    struct roster *r = &ui->roster;
    const char *what = arg_of(argc, argv, 1);
    if (*what) {
        bool mark = strcmp(what, "all") == 0;
        for (size_t i = 0; i < (mark ? r->count : r->total); i++)
            roster_mark(r, (mark ? r->rows[i] : r->all[i])->info.name, mark);
    } else if (r->selected[0]) {
        roster_mark(r, r->selected, !roster_marked(r, r->selected));
        roster_move(r, 1);
        ui_settle(ui, false);
    }
    ui_dirty(ui, DIRTY_ALL);
}

static const char *const sort_words[] = {"name", "type", "state", "cpu", "memory", "reverse", NULL};

static void act_sort(struct ui *ui, int argc, char *const *argv)
{
    struct roster *r = &ui->roster;
    const char *what = arg_of(argc, argv, 1);
    int i = *what ? word_index(sort_words, what) : (int)((r->sort + 1) % SORT_KEYS);
    if (i < 0 || i > SORT_KEYS)
        ui_error(ui, "sort by name, type, state, cpu or memory, not by '%s'", what);
    else
        roster_sort(r, i == SORT_KEYS ? r->sort : (enum sort_key)i); /* reverse: the same again */
    ui_dirty(ui, DIRTY_ALL);
}

static void filter_changed(struct ui *ui, const char *text)
{
    roster_set_filter(&ui->roster, text);
    ui_settle(ui, false);
}

static void filter_gone(struct ui *ui)
{
    filter_changed(ui, "");
}

static void act_filter(struct ui *ui, int argc, char *const *argv)
{
    if (argc > 1) {
        filter_changed(ui, argv[1]);
        ui_dirty(ui, DIRTY_ALL);
        return;
    }
    struct prompt *p = prompt_begin(ui, "/");
    edit_set(&p->edit, ui->roster.filter);
    p->changed = filter_changed;
    p->done = filter_changed;
    p->gone = filter_gone;
    prompt_open(ui);
}

static void act_filter_off(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    filter_changed(ui, "");
    ui_dirty(ui, DIRTY_ALL);
}

static void command_done(struct ui *ui, const char *line)
{
    ui_run(ui, line);
}

static void act_command(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    struct prompt *p = prompt_begin(ui, ":");
    p->complete = true;
    p->done = command_done;
    prompt_open(ui);
}

/* ---- guests ---- */

static void act_new(struct ui *ui, int argc, char *const *argv)
{
    form_open(ui, argc > 1 ? argv[1] : NULL);
}

/* ---- networks ---- */

static const char *const networks_words[] = {"up",         "down",  "forward", "unforward",
                                             "persistent", "close", NULL};

static void forward_typed(struct ui *ui, const char *verb, const char *spec)
{
    const struct net_view *v = nets_selected(&ui->nets);
    char *words[] = {(char *)"network",       (char *)"forward",
                     (char *)(uintptr_t)verb, v ? (char *)(uintptr_t)v->name : NULL,
                     (char *)(uintptr_t)spec, NULL};
    if (v && *spec)
        ui_run_words(ui, words, false);
}

static void forward_add(struct ui *ui, const char *spec)
{
    forward_typed(ui, "add", spec);
}

static void forward_remove(struct ui *ui, const char *spec)
{
    forward_typed(ui, "remove", spec);
}

static void ask_forward(struct ui *ui, bool add)
{
    if (!nets_selected(&ui->nets))
        return;
    struct prompt *p = prompt_begin(ui, add ? "Forward (such as tcp:8080:web1:80): "
                                            : "Forward no more (as it stands in the list): ");
    p->done = add ? forward_add : forward_remove;
    prompt_open(ui);
}

static void review_selected(struct ui *ui)
{
    const struct net_view *v = nets_selected(&ui->nets);
    char *words[] = {(char *)"network", (char *)"plan", v ? (char *)(uintptr_t)v->name : NULL,
                     NULL};

    if (v && !ui_shows(ui, &view_review))
        review_open(ui, words);
}

static void act_networks(struct ui *ui, int argc, char *const *argv)
{
    const char *what = arg_of(argc, argv, 1);
    int i = *what ? word_index(networks_words, what) : -1;
    if (*what && i < 0) {
        ui_error(ui, "networks: what is '%s'?", what);
    } else if (!ui_shows(ui, &view_networks)) {
        ui_overlay(ui, &view_networks);
        ui_watch_nets(ui);
    } else if (i == 0 || i == 1) {
        nets_move(&ui->nets, i == 0 ? -1 : 1);
    } else if (i == 2 || i == 3) {
        ask_forward(ui, i == 2);
    } else if (i == 4) {
        review_selected(ui);
    } else if (i == 5 && ui->overlays[ui->overlay_count - 1] == &view_networks) {
        ui_overlay_close(ui);
    }
}

static void act_wizard(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    if (!ui_shows(ui, &view_wizard))
        wizard_open(ui, NULL);
}

/* `run --detach` printed the name of the guest that it started: enter it. */
static void throwaway_done(void *arg, const struct job *job)
{
    struct ui *ui = arg;
    char said[300];
    job_last_line(job, said, sizeof said);
    if (job_status(job) != 0) {
        ui_error(ui, "%s", said[0] ? said : "the throwaway container did not start");
        return;
    }
    snprintf(ui->enter_soon, sizeof ui->enter_soon, "%.*s", GUEST_NAME_MAX, said);
    ui->enter_console = true;
    ui->messages.shown = NULL;
    ui_take_list(ui); /* it may be there already */
}

static void act_throwaway(struct ui *ui, int argc, char *const *argv)
{
    char **words = xcalloc((size_t)argc + 2, sizeof *words);
    struct error err;
    words[0] = (char *)"run";
    words[1] = (char *)"--detach";
    for (int i = 1; i < argc; i++)
        words[i + 1] = argv[i];
    if (!job_start(ui->jobs, words, throwaway_done, ui, &err))
        ui_error(ui, "%s", err.text);
    else
        ui_note(ui, "a throwaway container of this machine is starting…");
    free(words);
}

/* With no guest at all, Enter does what the empty screen says. */
static void act_console(struct ui *ui, int argc, char *const *argv)
{
    const char *name = argc > 1 ? argv[1] : ui->roster.selected;
    if (ui->roster.total == 0 && argc < 2) {
        act_throwaway(ui, 1, argv);
        return;
    }
    if (!roster_select(&ui->roster, name)) {
        ui_error(ui, *name ? "there is no guest '%s' in the list" : "no guest is selected%s", name);
        return;
    }
    ui_show_console(ui);
    struct pane *p = ui->panes.shown;
    const struct watched *w = roster_selected(&ui->roster);
    if (!p || p->kind == PANE_PAST || p->ended) {
        char start[KEY_NAME_ROOM];
        keymap_name_of(&ui->keymap, "start", start);
        ui_note(ui, "'%s' is %s; %s starts it", name, state_name(w->info.state), start);
        return;
    }
    ui_focus(ui, &view_pane);
}

static void act_leave(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    ui_focus(ui, &view_list);
}

/* Run a verb on a terminal of its own in the pane, about the selected guest. */
static struct pane *open_program(struct ui *ui, const char *what, char *const *argv)
{
    struct rect in = rect_inner(ui->layout.pane);
    struct error err;
    if (in.h == 0) {
        ui->zoom = true;
        ui_relayout(ui);
        in = rect_inner(ui->layout.pane);
    }
    struct pane *p = pane_program(&ui->panes, ui->roster.selected, what, argv, (unsigned)in.w,
                                  (unsigned)in.h, &err);
    if (!p) {
        ui_error(ui, "%s", err.text);
        return NULL;
    }
    struct pane *old = ui->panes.shown;
    if (old && (old->kind != PANE_PROGRAM || old->ended))
        pane_close(old);
    ui->panes.shown = p;
    ui_focus(ui, &view_pane);
    return p;
}

/* Is the selected guest in one of these states? If not, say so. */
static bool selected_is(struct ui *ui, const char *verb, unsigned states)
{
    const struct watched *w = roster_selected(&ui->roster);
    if (w && states & ON_STATE(w->info.state))
        return true;
    if (w)
        ui_note(ui, "%s: '%s' is %s", verb, w->info.name, state_name(w->info.state));
    else
        ui_note(ui, "%s: no guest is selected", verb);
    return false;
}

/* A guest that runs no commands from outside has its shell on another terminal. */
static bool open_second(struct ui *ui)
{
    const struct watched *w = roster_selected(&ui->roster);
    char *words[] = {(char *)"console", ui->roster.selected,   (char *)"--port",
                     (char *)"second",  (char *)"--no-prefix", NULL};
    if (!w || !w->info.engine || w->info.engine->exec)
        return false;
    open_program(ui, "second terminal", words);
    return true;
}

/* Of the selected guest; or of another, as on a command line: exec NAME -- CMD… */
static void act_exec(struct ui *ui, int argc, char *const *argv)
{
    if (argc > 2 && str_eq(argv[2], "--") && !roster_select(&ui->roster, argv[1])) {
        ui_error(ui, "there is no guest '%s' in the list", argv[1]);
        return;
    }
    const int skip = argc > 2 && str_eq(argv[2], "--")   ? 2
                     : argc > 1 && str_eq(argv[1], "--") ? 1
                                                         : 0;
    argc -= skip;
    argv += skip;
    if (!selected_is(ui, "exec", ON_STATE(GUEST_RUNNING)))
        return;
    struct pane *old = pane_of(&ui->panes, ui->roster.selected);
    if (argc < 2 && old && old->kind == PANE_PROGRAM && !old->ended) {
        ui->panes.shown = old;
        ui_focus(ui, &view_pane);
        return;
    }
    if (argc < 2 && open_second(ui))
        return;
    char **words = xcalloc((size_t)argc + 4, sizeof *words);
    size_t n = 0;
    words[n++] = (char *)"exec";
    words[n++] = ui->roster.selected;
    words[n++] = (char *)"--";
    for (int i = 1; i < argc; i++)
        words[n++] = argv[i];
    if (argc < 2)
        words[n++] = (char *)"sh";
    struct pane *p = open_program(ui, words[3], words);
    if (p)
        p->to_read = argc > 1;
    free(words);
}

static void act_edit(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    if (!selected_is(ui, "edit", ON_ANY))
        return;
    char *words[] = {(char *)"config", (char *)"edit", ui->roster.selected, NULL};
    open_program(ui, "config", words);
}

/* What a guest may use at most, to be changed where it stands: the command of it, filled in. */
static void act_limits(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    if (!selected_is(ui, "limits", ON_ANY))
        return;
    const struct watched *w = roster_selected(&ui->roster);
    const struct conf *conf = w && w->info.def ? w->info.def->conf : NULL;
    static const struct {
        const char *word, *key, *vm_key;
    } most[] = {{"memory", "guest.memory", "guest.memory"},
                {"cpus", "guest.cpus", "vm.cgroup2.cpu.max"},
                {"cpu-weight", "lxc.cgroup2.cpu.weight", "vm.cgroup2.cpu.weight"},
                {"pids", "lxc.cgroup2.pids.max", NULL}};
    char line[256];
    int len = snprintf(line, sizeof line, "limit %s", ui->roster.selected), begin = len;
    const bool vm = w && w->info.engine && !w->info.engine->limit;
    for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
        const char *key = vm ? most[i].vm_key : most[i].key;
        const char *v = conf && key ? conf_get(conf, key) : NULL;
        cleanup_free char *cores = v && str_eq(key, "vm.cgroup2.cpu.max") ? limits_cores(v) : NULL;
        if (v)
            len += snprintf(line + len, sizeof line - (size_t)len, " %s=%.40s", most[i].word,
                            cores ? cores : v);
    }
    if (len == begin)
        snprintf(line + len, sizeof line - (size_t)len, " memory=");
    struct prompt *p = prompt_begin(ui, ":");
    edit_set(&p->edit, line);
    p->complete = true;
    p->done = command_done;
    prompt_open(ui);
}

static const char *const ask_words[] = {"rename", "clone", "export", "import", NULL};

/* Begin a command that takes a name or a file, for the selected guest, to be finished by hand. */
static void act_ask(struct ui *ui, int argc, char *const *argv)
{
    const char *what = arg_of(argc, argv, 1), *name = ui->roster.selected;
    static const char *const ends[] = {"", "-2", ".tar.zst"};
    const int i = word_index(ask_words, what);
    cleanup_free char *line = NULL;
    if (i < 0) {
        ui_error(ui, "ask for rename, clone, export or import, not for '%s'", what);
        return;
    }
    if (i < (int)ARRAY_SIZE(ends) && !selected_is(ui, what, ON_DOWN))
        return;
    if (i < (int)ARRAY_SIZE(ends))
        line = xasprintf("%s %s %s%s", what, name, name, ends[i]);
    else
        line = xasprintf("%s ", what);
    struct prompt *p = prompt_begin(ui, ":");
    edit_set(&p->edit, line);
    p->complete = true;
    p->done = command_done;
    prompt_open(ui);
}

/* Each of the guests meant gets what it lacks: those that run freeze, the frozen ones thaw. */
static void act_freeze_or_thaw(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    const struct {
        const char *verb;
        enum guest_state from;
    } ways[] = {{"freeze", GUEST_RUNNING}, {"unfreeze", GUEST_FROZEN}};
    char **names;
    size_t n = roster_targets(&ui->roster, &names), found = 0;
    for (size_t k = 0; k < ARRAY_SIZE(ways); k++) {
        char **words = xcalloc(n + 2, sizeof *words);
        size_t count = 1;
        words[0] = (char *)ways[k].verb;
        for (size_t i = 0; i < n; i++) {
            const struct watched *w = roster_find(&ui->roster, names[i]);
            if (w && w->info.state == ways[k].from)
                words[count++] = names[i];
        }
        if (count > 1)
            ui_run_words(ui, words, false);
        found += count - 1;
        free(words);
    }
    strv_free(names);
    if (found == 0)
        selected_is(ui, "freeze", ON_STATE(GUEST_RUNNING));
}

static void act_cancel(struct ui *ui, int argc, char *const *argv)
{
    (void)argc, (void)argv;
    struct job *last = NULL;
    for (size_t i = 0; job_at(ui->jobs, i); i++)
        last = job_at(ui->jobs, i);
    if (!last) {
        ui_note(ui, "nothing is running that could be cancelled");
        return;
    }
    ui_note(ui, "cancelling %s", job_line(last));
    job_cancel(last);
}

/* ---- inside a console ---- */

static const char *const send_words[] = {"break", "ctrl-alt-del", "sysrq", "prefix", NULL};

static void sysrq_done(struct ui *ui, const char *answer)
{
    if (ui->panes.shown)
        pane_signal(ui->panes.shown, "break", answer[0]);
}

static void act_send(struct ui *ui, int argc, char *const *argv)
{
    struct pane *p = ui->panes.shown;
    const char *what = arg_of(argc, argv, 1);
    int i = word_index(send_words, what);
    if (!p || p->fd < 0 || (p->kind != PANE_CONSOLE && i != 3)) {
        ui_note(ui, "send: no guest's console is open");
    } else if (i < 0) {
        ui_error(ui, "send what? break, ctrl-alt-del, sysrq or prefix");
    } else if (i == 3) {
        pane_type(p, &ui->keymap.prefix);
    } else if (i < 2) {
        pane_signal(p, what, 0);
    } else if (argc > 2) {
        sysrq_done(ui, argv[2]);
    } else {
        struct prompt *q = prompt_begin(ui, "SysRq key (h: help, s: sync, t: tasks, b: reboot): ");
        q->next_key = true;
        q->done = sysrq_done;
        prompt_open(ui);
    }
}

static void search_done(struct ui *ui, const char *text)
{
    struct pane *p = ui->panes.shown;
    if (!p || !*text)
        return;
    pane_scroll_begin(p, height_of(ui->layout.pane));
    if (!pane_search(p, text, true, height_of(ui->layout.pane)))
        ui_note(ui, "'%s' does not occur above", text);
}

static void act_search(struct ui *ui, int argc, char *const *argv)
{
    if (!ui->panes.shown)
        return;
    if (argc > 1) {
        search_done(ui, argv[1]);
        return;
    }
    struct prompt *p = prompt_begin(ui, "search: ");
    p->done = search_done;
    prompt_open(ui);
}

static void copy(struct ui *ui, struct pane *p)
{
    size_t len, lines;
    cleanup_free char *text = pane_copy(p, &len, &lines);
    screen_clipboard(text, len);
    pane_scroll_end(p);
    ui_note(ui, "%zu line%s sent to your terminal's clipboard", lines, lines == 1 ? "" : "s");
}

static const char *const scroll_words[] = {
    "up",   "down", "half-up", "half-down", "page-up",    "page-down",     "first",
    "last", "mark", "copy",    "leave",     "next-match", "earlier-match", NULL};

static void act_scroll(struct ui *ui, int argc, char *const *argv)
{
    struct pane *p = ui->panes.shown;
    if (!p)
        return;
    unsigned h = height_of(ui->layout.pane);
    const long half = max((long)h / 2, 1L), page = max((long)h - 1, 1L);
    const long moves[] = {-1, 1, -half, half, -page, page};
    const char *what = arg_of(argc, argv, 1);
    int i = word_index(scroll_words, what);
    bool was_on = p->scroll.on;
    pane_scroll_begin(p, h);
    if (i >= 0 && i < 6) {
        pane_scroll_move(p, SCROLL_LINES, moves[i], h);
    } else if (i == 6 || i == 7) {
        pane_scroll_move(p, i == 6 ? SCROLL_FIRST : SCROLL_LAST, 0, h);
    } else if (i == 8 || (i == 9 && !was_on)) {
        p->scroll.marking = !p->scroll.marking;
        p->scroll.mark = p->scroll.line;
    } else if (i == 9) {
        copy(ui, p);
    } else if (i == 10) {
        pane_scroll_end(p);
    } else if (i >= 11 && !pane_search(p, p->scroll.search, i == 11, h)) {
        ui_note(ui, "'%s' does not occur further %s", p->scroll.search, i == 11 ? "up" : "down");
    }
    if (!p->entered && p->scroll.on && ui->focus == &view_list)
        ui->focus = &view_pane;
    else if (!p->entered && !p->scroll.on)
        ui_focus(ui, &view_list);
    ui_dirty(ui, DIRTY_ALL);
}

const struct action actions[] = {
    {"help", NULL, "list all keys and commands", act_help, 0, NULL},
    {"new", "[container|vm]", "make a new guest, by a form", act_new, 0, NULL},
    {"networks", "[up|down|…]", "see all networks and who is in them", act_networks, 0,
     networks_words},
    {"wizard", NULL, "make a new network, page by page", act_wizard, 0, NULL},
    {"throwaway", "[OPTIONS] [-- CMD]", "start a container of this machine that leaves nothing",
     act_throwaway, 0, NULL},
    {"console", "[NAME]", "enter a guest's console", act_console, ON_ALIVE, NULL},
    {"exec", "[[NAME --] CMD…]",
     "open a second shell of the guest's, or run a command in a container", act_exec,
     ON_STATE(GUEST_RUNNING), NULL},
    {"edit", NULL, "edit the selected guest's definition", act_edit, ON_ANY, NULL},
    {"limits", NULL, "change what the selected guest may use: memory, cpus, pids …", act_limits,
     ON_ANY, NULL},
    {"ask", "rename|clone|export|import", "begin that command for the selected guest", act_ask, 0,
     ask_words},
    {"freeze-or-thaw", NULL, "freeze what runs, thaw what is frozen", act_freeze_or_thaw,
     ON_STATE(GUEST_RUNNING) | ON_STATE(GUEST_FROZEN), NULL},
    {"select", "up|down|…|NAME", "move the selection", act_select, 0, select_words},
    {"mark", "[all|none]", "mark guests, so that the next command is for all of them", act_mark, 0,
     mark_words},
    {"sort", "[COLUMN]", "sort by the next column, or by this one; again: the other way round",
     act_sort, 0, sort_words},
    {"filter", "[WORDS]", "show only guests with these words in name, type, state or address",
     act_filter, 0, NULL},
    {"filter-off", NULL, "show all guests", act_filter_off, 0, NULL},
    {"command", NULL, "type a command; Tab completes it", act_command, 0, NULL},
    {"focus", NULL, "go from the list to the console", act_focus, 0, NULL},
    {"zoom", NULL, "give the console all of the screen, or take it back", act_zoom, 0, NULL},
    {"leave", NULL, "leave the console; its guest goes on", act_leave, 0, NULL},
    {"scroll", "[up|down|…]", "look back at what the guest printed", act_scroll, 0, scroll_words},
    {"search", "[TEXT]", "search upwards in what the guest printed", act_search, 0, NULL},
    {"send", "break|ctrl-alt-del|sysrq|prefix", "send what no key sends", act_send, 0, send_words},
    {"messages", NULL, "open the log of messages and jobs", act_messages, 0, NULL},
    {"cancel", NULL, "cancel the job that was started last", act_cancel, 0, NULL},
    {"mouse", NULL, "let the mouse select guests, or leave it to the terminal", act_mouse, 0, NULL},
    {"theme", "NAME", "change the colours", act_theme, 0, theme_words},
    {"refresh", "SECONDS", "how often figures are taken", act_refresh, 0, NULL},
    {"redraw", NULL, "paint the screen anew", act_redraw, 0, NULL},
    {"suspend", NULL, "go to the background; fg comes back", act_suspend, 0, NULL},
    {"quit", NULL, "leave pult; all guests go on", act_quit, 0, NULL},
    {NULL, NULL, NULL, NULL, 0, NULL},
};
