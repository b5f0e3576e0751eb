/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pages of the wizards, and what keys do on them; see wizard.h. */
#include "ui/wizard.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/link.h"
#include "ui/field.h"
#include "ui/screen.h"
#include "ui/wizard_private.h"

#define BIT(kind) (1u << (kind))
#define SERVED    (BIT(NET_NAT) | BIT(NET_ROUTED) | BIT(NET_ISOLATED))
#define LAN       (BIT(NET_BRIDGE) | BIT(NET_DIRECT))
#define ALL       (SERVED | LAN)

const struct wizard_kind wizard_kinds[] = {
    {NET_NAT, "NAT", "guests reach the outside with this host's address; works anywhere", "nat"},
    {NET_BRIDGE, "Bridge", "guests are in the LAN, as machines of their own", "br"},
    {NET_ROUTED, "Routed", "guests keep their addresses; routers outside must know them", "rt"},
    {NET_ISOLATED, "Isolated", "guests reach each other and this host, nothing else", "iso"},
    {NET_KINDS, NULL, NULL, NULL},
};

const struct wizard_field wizard_fields[WIZARD_FIELDS] = {
    {"Name", NULL, NULL, "letters, digits, . _ -", ALL, false},
    {"Subnet", "--subnet", "net.address", "one that is free; such as 10.9.0.1/24", SERVED, false},
    {"DHCP", "--dhcp", "net.dhcp", "most of the subnet; FIRST-LAST, or off", SERVED, false},
    {"VLAN", "--vlan", "net.vlan", "none; 1 to 4094", LAN, false},
    {"MTU", "--mtu", "net.mtu", "as it comes", ALL, false},
    {"Isolate guests", "--isolate", NULL, "no; yes: they do not reach each other",
     SERVED | BIT(NET_BRIDGE), true},
    {"Mend firewalls", "--mend", NULL, "no; yes: others' rules that stop it let it through",
     SERVED | BIT(NET_BRIDGE), true},
    {"At boot", "--autostart", NULL, "no; yes: it comes up with the host", ALL, true},
};

/* Who has which page. */
static const struct {
    const char *title;
    unsigned kinds; /* of the first page's choice */
} pages[PAGES] = {
    [PAGE_KIND] = {"what kind", ALL},
    [PAGE_PLACE] = {"where it leads", BIT(NET_BRIDGE)},
    [PAGE_SETTINGS] = {"settings and plan", ALL},
    [PAGE_RUN] = {"doing it", ALL},
};

const char *wizard_title(enum wizard_page p)
{
    return pages[p].title;
}

static const struct wizard_place *place(const struct wizard *w)
{
    return w->place_at < w->place_count ? &w->places[w->place_at] : NULL;
}

enum net_kind wizard_kind(const struct wizard *w)
{
    enum net_kind kind = wizard_kinds[w->kind_at].kind;
    const struct wizard_place *p = place(w);

    return kind == NET_BRIDGE && p && p->kind == PLACE_DIRECT ? NET_DIRECT : kind;
}

/* ---- fields ---- */

bool wizard_has(const struct wizard *w, size_t i)
{
    return wizard_fields[i].kinds & BIT(wizard_kind(w));
}

static int check_flag(const char *value, struct error *err)
{
    return str_eq(value, "yes") || str_eq(value, "no")
               ? 0
               : error_set(err, 0, "'%s' is neither yes nor no", value);
}

static int check_subnet(const char *value, struct error *err)
{
    struct address a;
    if (address_parse(value, &a, err) < 0)
        return -1;
    return strchr(value, '/') ? 0
                              : error_set(err, 0, "'%s' has no prefix length, such as /24", value);
}

static int check_name(const char *value, struct error *err)
{
    char **names;
    int ret = network_name_check(value, err);
    network_names(&names);
    for (char **n = names; ret == 0 && *n; n++)
        if (str_eq(*n, value))
            ret = error_set(err, 0, "there is a network '%s' already", value);
    strv_free(names);
    return ret;
}

int wizard_check(const struct wizard *w, size_t i, struct error *err)
{
    static const struct conf_key *const tables[] = {network_keys, NULL};
    const struct wizard_field *f = &wizard_fields[i];
    const char *value = w->values[i].text;
    const struct wizard_place *p = wizard_kinds[w->kind_at].kind == NET_BRIDGE ? place(w) : NULL;

    if (!f->option && p && p->kind == PLACE_BRIDGE && !str_eq(value, p->name))
        return error_set(err, 0, "it has the bridge's name, '%s'; F3 goes back to choose another",
                         p->name);
    if (!f->option)
        return *value ? check_name(value, err) : error_set(err, 0, "needed");
    if (!*value)
        return 0;
    if (f->flag)
        return check_flag(value, err);
    if (str_eq(f->key, "net.address"))
        return check_subnet(value, err);
    const struct conf_key *key = conf_key_find(tables, f->key);
    return key && key->check ? key->check(value, err) : 0;
}

char **wizard_words(const struct wizard *w, const char *verb, struct error *err)
{
    const struct wizard_place *p = wizard_kinds[w->kind_at].kind == NET_BRIDGE ? place(w) : NULL;
    char **words = NULL;

    for (size_t i = 0; i < WIZARD_FIELDS; i++)
        if (wizard_has(w, i) && wizard_check(w, i, err) < 0) {
            error_wrap(err, "%s", wizard_fields[i].label);
            return NULL;
        }
    words_push(&words, "network");
    words_push_split(&words, verb);
    words_push(&words, w->values[0].text);
    words_push(&words, "--kind");
    words_push(&words, net_kind_name(wizard_kind(w)));
    if (p && (p->kind == PLACE_NEW || p->kind == PLACE_DIRECT)) {
        words_push(&words, "--port");
        words_push(&words, p->name);
    }
    for (size_t i = 1; i < WIZARD_FIELDS; i++) {
        const struct wizard_field *f = &wizard_fields[i];
        const char *value = w->values[i].text;
        if (!wizard_has(w, i) || !*value || (f->flag && !str_eq(value, "yes")))
            continue;
        words_push(&words, f->option);
        if (!f->flag)
            words_push(&words, value);
    }
    return words;
}

/* The first name of this kind that neither a network nor an interface has. */
static void fresh_name(struct wizard *w)
{
    const struct wizard_place *p = place(w);
    const char *stem = wizard_kinds[w->kind_at].name;
    char name[IFNAMSIZ];
    struct link l;

    if (wizard_kinds[w->kind_at].kind == NET_BRIDGE && p && p->kind == PLACE_BRIDGE) {
        edit_set(&w->values[0], p->name);
        return;
    }
    if (wizard_kind(w) == NET_DIRECT)
        stem = "lan";
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "%s%u", stem, i);
        if (check_name(name, NULL) == 0 && link_look(name, &l, NULL) < 0)
            break;
    }
    edit_set(&w->values[0], name);
}

/* ---- going from page to page ---- */

static bool has_page(const struct wizard *w, size_t p)
{
    return pages[p].kinds & BIT(wizard_kinds[w->kind_at].kind);
}

static void enter_page(struct ui *ui, size_t page)
{
    struct wizard *w = &ui->wizard;
    struct error err;

    w->page = page;
    w->top = 0;
    if (page == PAGE_PLACE) {
        free(w->places);
        w->places = wizard_places(&w->place_count, &err);
        w->place_at = 0;
        for (size_t i = 0; i < w->place_count; i++)
            if (w->places[i].recommended)
                w->place_at = i;
        if (!w->places)
            ui_error(ui, "%s", err.text);
    } else if (page == PAGE_SETTINGS) {
        wizard_replan(ui);
    }
}

static void forward(struct ui *ui)
{
    struct wizard *w = &ui->wizard;
    size_t next = w->page + 1;

    while (!has_page(w, next))
        next++;
    if (next == PAGE_SETTINGS) {
        fresh_name(w);
        w->at = 0;
    }
    enter_page(ui, next);
}

static void back(struct ui *ui)
{
    struct wizard *w = &ui->wizard;
    size_t page = w->page;

    if (page == PAGE_KIND || (page == PAGE_RUN && w->run != RUN_FAILED))
        return;
    do
        page--;
    while (!has_page(w, page));
    w->run = RUN_NOT;
    enter_page(ui, page);
}

/* ---- keys ---- */

/* A list to choose from. */
static void choose(size_t *at, size_t count, const struct key *key)
{
    if ((key->code == K_UP || key->code == 'k') && *at > 0)
        --*at;
    else if ((key->code == K_DOWN || key->code == 'j') && *at + 1 < count)
        ++*at;
}

static size_t kind_count(void)
{
    size_t n = 0;
    while (wizard_kinds[n].label)
        n++;
    return n;
}

static size_t next_field(const struct wizard *w, size_t at, int by)
{
    do
        at = (at + WIZARD_FIELDS + (size_t)by) % WIZARD_FIELDS;
    while (!wizard_has(w, at));
    return at;
}

bool wizard_persists(const struct wizard *w)
{
    const struct wizard_place *p = place(w);

    return wizard_kind(w) == NET_BRIDGE && p && p->kind == PLACE_NEW;
}

/* What would make it at each boot, where no field is wrong. */
static void review(struct ui *ui)
{
    struct error err;
    char **words = wizard_persists(&ui->wizard) ? wizard_words(&ui->wizard, "plan", &err) : NULL;

    if (words)
        review_open(ui, words);
    strv_free(words);
}

/* Enter: do it, where the plan can be seen and no field is wrong. */
static void finish_settings(struct ui *ui)
{
    struct wizard *w = &ui->wizard;

    for (size_t i = 0; i < WIZARD_FIELDS; i++)
        if (wizard_has(w, i) && wizard_check(w, i, NULL) < 0) {
            w->at = i;
            return;
        }
    if (!w->planned)
        w->asap = true; /* goes on when there is a plan, unless that has a risk */
    else if (!w->refused)
        wizard_go(ui);
}

static void settings_key(struct ui *ui, const struct key *key)
{
    struct wizard *w = &ui->wizard;
    bool up = key->code == K_UP || (key->code == K_TAB && key->mods & MOD_SHIFT);

    if (key->code == K_ENTER) {
        finish_settings(ui);
    } else if (up) {
        w->at = next_field(w, w->at, -1);
    } else if (key->code == K_DOWN || key->code == K_TAB) {
        w->at = next_field(w, w->at, 1);
    } else if (key->code == K_PGDN) {
        w->top += 4;
    } else if (key->code == K_PGUP) {
        w->top -= min(w->top, (size_t)4);
    } else if (key->code == K_F0 + 2) {
        w->commands = !w->commands;
    } else if (key->code == K_F0 + 4) {
        review(ui);
    } else if (wizard_fields[w->at].flag && key->code == ' ') {
        edit_set(&w->values[w->at], str_eq(w->values[w->at].text, "yes") ? "no" : "yes");
        wizard_replan(ui);
    } else if (edit_key(&w->values[w->at], key)) {
        wizard_replan(ui);
    }
}

/* Of the network that was made. */
static void review_made(struct ui *ui)
{
    char *words[] = {(char *)"network", (char *)"plan", ui->wizard.name, NULL};

    if (wizard_persists(&ui->wizard))
        review_open(ui, words);
}

/* The steps are being done, or were. */
static unsigned run_key(struct ui *ui, const struct key *key)
{
    struct wizard *w = &ui->wizard;
    bool asked = w->run == RUN_APPLY && w->awaited;

    if (asked && key->code == 'y') {
        wizard_confirm(ui);
    } else if (asked && key->code == K_ESC) {
        wizard_undo(ui);
    } else if (w->run == RUN_DONE && (key->code == K_ENTER || key->code == K_ESC)) {
        if (w->answer)
            edit_set(w->answer, w->name);
        return HANDLED | LEAVE;
    } else if (w->run == RUN_DONE && key->code == K_F0 + 4) {
        review_made(ui);
    } else if ((w->run == RUN_FAILED || w->run == RUN_STUCK) && key->code == K_ESC) {
        return HANDLED | LEAVE;
    } else if (key->code == K_PGDN || key->code == K_DOWN) {
        w->top++;
    } else if ((key->code == K_PGUP || key->code == K_UP) && w->top > 0) {
        w->top--;
    }
    return HANDLED | REDRAW;
}

static unsigned wizard_key(struct ui *ui, const struct key *key)
{
    struct wizard *w = &ui->wizard;
    bool cancel = key->code == K_ESC || (key->code == 'c' && key->mods == MOD_CTRL);

    if (key->code == K_F0 + 3 || (key->code == K_LEFT && w->page <= PAGE_PLACE)) {
        back(ui);
        return HANDLED | REDRAW;
    }
    if (w->page == PAGE_RUN)
        return run_key(ui, key);
    if (cancel)
        return HANDLED | LEAVE;
    if (w->page == PAGE_SETTINGS) {
        settings_key(ui, key);
    } else if (key->code == K_ENTER) {
        if (w->page == PAGE_KIND || w->place_count)
            forward(ui);
    } else if (w->page == PAGE_KIND) {
        choose(&w->kind_at, kind_count(), key);
    } else {
        choose(&w->place_at, w->place_count, key);
    }
    return HANDLED | REDRAW;
}

/* ---- beginning and end ---- */

void wizard_open(struct ui *ui, struct edit *answer)
{
    ui->wizard = (struct wizard){.answer = answer};
    ui_overlay(ui, &view_wizard);
    ui_watch_nets(ui);
}

static void wizard_leave(struct ui *ui)
{
    struct wizard *w = &ui->wizard;

    if (w->settle)
        event_free(w->settle);
    wizard_forget_plan(w);
    free(w->places);
    free(w->said);
    *w = (struct wizard){0};
    ui_watch_nets(ui);
}

static struct rect wizard_place(struct ui *ui, int rows, int cols)
{
    (void)ui;
    return rect_centred(rows, cols, max(rows - 2, 20), 78);
}

const struct view view_wizard = {
    .name = "wizard",
    .place = wizard_place,
    .draw = wizard_draw,
    .key = wizard_key,
    .leave = wizard_leave,
};
