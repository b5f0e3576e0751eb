/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of networks, and of the selected one its guests, leases and forwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/card.h"
#include "ui/app.h"
#include "ui/field.h"
#include "ui/screen.h"
#include "ui/verb.h"

static struct rect networks_place(struct ui *ui, int rows, int cols)
{
    (void)ui;
    return (struct rect){0, 0, rows - 1, cols};
}

/* ---- the list ---- */

static const struct {
    const char *head;
    int width;
    bool right;
} columns[] = {
    {"NAME", 15, false}, {"KIND", 8, false},  {"STATE", 12, false},   {"GUESTS", 6, true},
    {"SENT/s", 7, true}, {"RECV/s", 7, true}, {"ADDRESS", 40, false},
};
enum { COL_NAME, COL_KIND, COL_STATE, COL_GUESTS, COL_SENT, COL_RECEIVED, COL_ADDRESS };

static void cell_text(const struct net_view *v, int column, char *out, size_t room)
{
    char size[8], address[ADDRESS_TEXT];
    bool up = v->journal.state != NETWORK_DOWN;

    out[0] = '\0';
    switch (column) {
    case COL_NAME:
        snprintf(out, room, "%s", v->name);
        break;
    case COL_KIND:
        snprintf(out, room, "%s", v->net ? net_kind_name(v->net->kind) : "?");
        break;
    case COL_STATE:
        snprintf(out, room, "%s", v->net ? network_state_name(v->journal.state) : "broken");
        break;
    case COL_GUESTS:
        if (up)
            snprintf(out, room, "%zu", v->member_count);
        break;
    case COL_SENT:
    case COL_RECEIVED:
        size_human((uint64_t)(column == COL_SENT ? v->sent : v->received), size);
        if (up)
            snprintf(out, room, "%s", size);
        break;
    case COL_ADDRESS:
        if (v->net && v->net->address_count)
            snprintf(out, room, "%s", address_text(&v->net->addresses[0], false, address));
        else if (v->net && *v->net->port)
            snprintf(out, room, "on %s", v->net->port);
        break;
    default:
        break;
    }
}

static void draw_row(const struct net_view *v, int y, struct rect in, bool selected)
{
    int x = in.x + 2;
    enum element plain = v->broken                          ? EL_CRASHED
                         : v->journal.state == NETWORK_DOWN ? EL_STOPPED
                                                            : EL_TEXT;

    if (selected)
        screen_fill((struct rect){y, in.x, 1, in.w}, EL_SELECTED);
    screen_put(y, in.x, 1, selected ? EL_SELECTED : EL_TEXT, selected ? "▸" : " ");
    for (int c = 0; c < (int)ARRAY_SIZE(columns); c++) {
        char text[80];
        cell_text(v, c, text, sizeof text);
        bool state = c == COL_STATE && v->journal.state != NETWORK_DOWN;
        enum element el = selected                                  ? EL_SELECTED
                          : state && v->journal.state == NETWORK_UP ? EL_RUNNING
                          : state                                   ? EL_CHANGING
                                                                    : plain;
        int pad = columns[c].right ? max(columns[c].width - screen_width(text), 0) : 0;
        screen_put(y, x + pad, min(columns[c].width, in.x + in.w - x - pad), el, text);
        x += columns[c].width + 1;
    }
}

static void draw_list(struct nets *n, struct rect in)
{
    const size_t height = (size_t)max(in.h - 1, 1);
    int x = in.x + 2;

    for (size_t c = 0; c < ARRAY_SIZE(columns); c++) {
        int pad = columns[c].right ? columns[c].width - (int)strlen(columns[c].head) : 0;
        screen_put(in.y, x + pad, in.x + in.w - x - pad, EL_COLUMN, columns[c].head);
        x += columns[c].width + 1;
    }
    if (n->at < n->top)
        n->top = n->at;
    if (n->at >= n->top + height)
        n->top = n->at - height + 1;
    for (size_t i = 0; i < height && n->top + i < n->count; i++)
        draw_row(&n->all[n->top + i], in.y + 1 + (int)i, in, n->top + i == n->at);
}

/* ---- the selected one ---- */

struct lines {
    struct rect in;
    int y;
};

static void line(struct lines *l, enum element el, const char *label, const char *text)
{
    if (l->y >= l->in.y + l->in.h)
        return;
    screen_put(l->y, l->in.x + 1, 10, EL_FAINT, label);
    screen_put(l->y++, l->in.x + 12, l->in.w - 13, el, text);
}

static void draw_addresses(const struct net_view *v, struct lines *l)
{
    char text[ADDRESS_TEXT], to[ADDRESS_TEXT];

    for (unsigned i = 0; i < v->net->address_count; i++)
        line(l, EL_TEXT, i ? "" : "address", address_text(&v->net->addresses[i], false, text));
    if (!v->net->dhcp_first.family)
        return;
    cleanup_free char *range =
        xasprintf("%s to %s%s%s", address_text(&v->net->dhcp_first, true, text),
                  address_text(&v->net->dhcp_last, true, to), v->net->domain ? ", names in " : "",
                  v->net->domain ? v->net->domain : "");
    line(l, EL_TEXT, "dhcp", range);
}

static const struct lease *lease_of(const struct net_view *v, const uint8_t mac[6])
{
    for (size_t i = 0; i < v->lease_count; i++)
        if (memcmp(v->leases[i].mac, mac, 6) == 0)
            return &v->leases[i];
    return NULL;
}

static bool is_member(const struct net_view *v, const uint8_t mac[6])
{
    for (size_t i = 0; i < v->member_count; i++)
        if (memcmp(v->members[i].mac, mac, 6) == 0)
            return true;
    for (unsigned i = 0; i < v->net->tap_count; i++)
        if (memcmp(v->net->taps[i].mac, mac, 6) == 0)
            return true;
    return false;
}

/* Whose they are, and whether a guest has them open. */
static void draw_taps(const struct net_view *v, struct lines *l)
{
    char mac[MAC_TEXT], address[ADDRESS_TEXT];

    for (unsigned i = 0; i < v->net->tap_count; i++) {
        const struct net_tap *t = &v->net->taps[i];
        card_mac_text(t->mac, mac);
        address_text(&v->tap_addresses[i], true, address);
        cleanup_free char *text =
            xasprintf("%-20s %-16s %s  of %s%s%s%s", t->name, address, mac,
                      *t->user ? t->user : "group ", *t->user && *t->group ? ", group " : "",
                      t->group, v->taps_used >> i & 1 ? "  in use" : "");
        line(l, EL_TEXT, i ? "" : "taps", text);
    }
}

static void draw_members(const struct net_view *v, struct lines *l)
{
    char mac[MAC_TEXT], address[ADDRESS_TEXT];

    for (size_t i = 0; i < v->member_count; i++) {
        const struct member *m = &v->members[i];
        const struct lease *lease = lease_of(v, m->mac);
        card_mac_text(m->mac, mac);
        address_text(m->address.family || !lease ? &m->address : &lease->address, true, address);
        cleanup_free char *text = xasprintf("%-20s %-16s %s  %s%s", m->guest, address, mac, m->port,
                                            lease ? "  lease" : "");
        line(l, EL_TEXT, i ? "" : "guests", text);
    }
    bool first = true;
    for (size_t i = 0; i < v->lease_count; i++) {
        const struct lease *lease = &v->leases[i];
        if (is_member(v, lease->mac))
            continue;
        card_mac_text(lease->mac, mac);
        cleanup_free char *text = xasprintf("%-20s %-16s %s", *lease->name ? lease->name : "?",
                                            address_text(&lease->address, true, address), mac);
        line(l, EL_FAINT, first ? "leases" : "", text);
        first = false;
    }
}

static void draw_selected(const struct net_view *v, struct rect in)
{
    struct lines l = {in, in.y};
    const int64_t left = (v->journal.deadline_ns - (int64_t)now_boot_ns()) / 1000000000;

    if (v->broken) {
        screen_wrapped(in.y, in.x + 1, in.w - 2, 4, EL_BAD, v->broken);
        return;
    }
    if (v->journal.state == NETWORK_UNCONFIRMED) {
        cleanup_free char *text =
            xasprintf("confirm within %d seconds, or all goes back", (int)max(left, (int64_t)0));
        line(&l, EL_BAD, "timer", text);
    }
    draw_addresses(v, &l);
    for (unsigned i = 0; i < v->net->forward_count; i++)
        line(&l, EL_TEXT, i ? "" : "forwards", v->net->forwards[i].text);
    draw_members(v, &l);
    draw_taps(v, &l);
    if (v->journal.state == NETWORK_DOWN)
        line(&l, EL_FAINT, "", "it comes up when the first guest joins it");
}

/* ---- the view ---- */

static void draw_empty(const struct ui *ui, struct rect in)
{
    char key[KEY_NAME_ROOM] = "";
    keymap_name_of(&ui->keymap, "wizard", key);
    screen_put(in.y + 1, in.x + 2, in.w - 3, EL_STRONG, "No networks yet.");
    screen_put(in.y + 3, in.x + 2, 8, EL_KEY, key);
    screen_put(in.y + 3, in.x + 9, in.w - 10, EL_TEXT, "make one, page by page");
    screen_put(in.y + 5, in.x + 2, in.w - 3, EL_FAINT,
               "A new guest of root's joins nat0, which comes with the first.");
}

static void networks_draw(struct ui *ui, struct rect area)
{
    struct rect in = rect_inner(area), rest;
    const struct net_view *v = nets_selected(&ui->nets);

    screen_fill(area, EL_TEXT);
    screen_box(area, EL_BORDER_FOCUS, EL_TITLE, "Networks");
    if (!v) {
        draw_empty(ui, in);
        return;
    }
    in.h = min((int)ui->nets.count + 1, max(in.h / 2, 2));
    draw_list(&ui->nets, in);
    rest = (struct rect){in.y + in.h, area.x, area.y + area.h - in.y - in.h, area.w};
    screen_box(rest, EL_BORDER_FOCUS, EL_TITLE, v->name);
    screen_tee(rest, EL_BORDER_FOCUS);
    draw_selected(v, rect_inner(rest));
}

/* A key's command line; the selected network is put behind a verb of networks. */
static unsigned networks_key(struct ui *ui, const struct key *key)
{
    const struct binding *b = keymap_find(&ui->keymap, KEYS_NETWORKS, key);
    const struct net_view *v = nets_selected(&ui->nets);
    char **words = NULL;

    if (!b)
        return HANDLED;
    words_push_split(&words, b->line);
    if (words && str_eq(words[0], "network") && v)
        words_push(&words, v->name);
    if (words && (v || !str_eq(words[0], "network")))
        ui_run_words(ui, words, true);
    strv_free(words);
    return HANDLED | REDRAW;
}

static void networks_leave(struct ui *ui)
{
    ui_watch_nets(ui);
}

const struct view view_networks = {
    .name = "networks",
    .place = networks_place,
    .draw = networks_draw,
    .key = networks_key,
    .leave = networks_leave,
};
