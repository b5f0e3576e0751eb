/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a definition says of a container's network interfaces, see nic.h.
 *
 * One table has LXC's keys, in today's spelling behind lxc.net.N. and in that of 2010 behind
 * lxc.network.; each row takes a value into a struct nic, which also is how it is checked.
 */
#include "lxc/nic.h"

#include <ctype.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/keys.h"
#include "net/link.h"

#define NUMBERS_MOST 64u  /* of lxc.net.N */
#define MAC_NUMBER   100u /* LXC's interfaces have addresses of their own, behind those of cards */

/* ---- values ---- */

/* A word out of a list; its number, or -1. */
struct word {
    const char *word;
    int value;
};

static int take_word(const struct word *list, const char *value, int *out, struct error *err)
{
    for (const struct word *w = list; w->word; w++)
        if (str_eq(w->word, value)) {
            *out = w->value;
            return 0;
        }
    cleanup_free char *all = xstrdup("");
    for (const struct word *w = list; w->word; w++) {
        char *more = xasprintf("%s%s%s", all, w == list ? "" : ", ", w->word);
        free(all);
        all = more;
    }
    error_set(err, 0, "'%s' is not known", value);
    return error_hint(err, "there is %s", all);
}

static const struct word types[] = {
    {"veth", NIC_VETH}, {"macvlan", NIC_MACVLAN}, {"ipvlan", NIC_IPVLAN}, {"vlan", NIC_VLAN},
    {"phys", NIC_PHYS}, {"empty", NIC_EMPTY},     {"none", NIC_HOST},     {NULL, 0},
};

bool nic_reaches(const struct conf_line *l)
{
    return str_eq(l->value, "none") || str_eq(l->value, "phys");
}

bool nic_routes(const struct conf_line *l)
{
    return *l->value && !str_eq(l->value, "0") && !str_eq(l->value, "bridge");
}

static int take_type(struct nic *n, const char *value, struct error *err)
{
    int kind;

    if (take_word(types, value, &kind, err) < 0)
        return -1;
    n->kind = (enum nic_kind)kind;
    return 0;
}

static int take_interface(char out[IFNAMSIZ], const char *value, struct error *err)
{
    if (link_name_check(value, err) < 0)
        return -1;
    snprintf(out, IFNAMSIZ, "%s", value);
    return 0;
}

static int take_link(struct nic *n, const char *value, struct error *err)
{
    return take_interface(n->link, value, err);
}

static int take_name(struct nic *n, const char *value, struct error *err)
{
    if (str_eq(value, "lo"))
        return error_set(err, 0, "'lo' is there already");
    return take_interface(n->name, value, err);
}

static int take_pair(struct nic *n, const char *value, struct error *err)
{
    return take_interface(n->pair, value, err);
}

static int take_flags(struct nic *n, const char *value, struct error *err)
{
    if (!str_eq(value, "up"))
        return error_set(err, 0, "'%s' is not known: the one flag is up", value);
    n->up = true;
    return 0;
}

static int take_mtu(struct nic *n, const char *value, struct error *err)
{
    int64_t mtu;

    if (number_parse(value, CARD_MTU_MIN, 65535, &mtu, err) < 0)
        return -1;
    n->mtu = (unsigned)mtu;
    return 0;
}

static int take_vlan(struct nic *n, const char *value, struct error *err)
{
    int64_t id;

    if (number_parse(value, 1, 4094, &id, err) < 0)
        return -1;
    n->vlan = (unsigned)id;
    return 0;
}

static int queues_parse(const char *value, unsigned *out, struct error *err)
{
    int64_t n;

    if (number_parse(value, 1, 4096, &n, err) < 0) /* the kernel's most, rtnl_create_link() */
        return -1;
    *out = (unsigned)n;
    return 0;
}

static int take_rx(struct nic *n, const char *value, struct error *err)
{
    return queues_parse(value, &n->rx, err);
}

static int take_tx(struct nic *n, const char *value, struct error *err)
{
    return queues_parse(value, &n->tx, err);
}

int nic_is_queues(const char *value, struct error *err)
{
    unsigned n;
    return queues_parse(value, &n, err);
}

/* An `x` stands for any digit: those are 0 here, and chosen in settle_mac(). */
static int take_mac(struct nic *n, const char *value, struct error *err)
{
    char text[MAC_TEXT];

    if (strlen(value) != MAC_TEXT - 1)
        return error_set(err, 0, "'%s' is no address such as 00:16:3e:12:34:56", value);
    for (unsigned i = 0; i < MAC_TEXT; i++)
        text[i] = (char)(value[i] == 'x' || value[i] == 'X' ? '1' : value[i]);
    if (card_parse_mac(text, n->mac, err) < 0)
        return -1;
    n->has_mac = true;
    return 0;
}

static const struct word macvlan_modes[] = {
    {"private", MACVLAN_MODE_PRIVATE},
    {"vepa", MACVLAN_MODE_VEPA},
    {"bridge", MACVLAN_MODE_BRIDGE},
    {"passthru", MACVLAN_MODE_PASSTHRU},
    {NULL, 0},
};

static int take_macvlan_mode(struct nic *n, const char *value, struct error *err)
{
    return take_word(macvlan_modes, value, &n->mode, err);
}

static const struct word ipvlan_modes[] = {{"l2", IPVLAN_MODE_L2},
                                           {"l3", IPVLAN_MODE_L3},
                                           {"l3s", IPVLAN_MODE_L3S},
                                           {NULL, 0}};

static int take_ipvlan_mode(struct nic *n, const char *value, struct error *err)
{
    return take_word(ipvlan_modes, value, &n->mode, err);
}

static const struct word isolations[] = {{"bridge", 0},
                                         {"private", IPVLAN_F_PRIVATE},
                                         {"vepa", IPVLAN_F_VEPA},
                                         {NULL, 0}};

static int take_isolation(struct nic *n, const char *value, struct error *err)
{
    return take_word(isolations, value, &n->isolation, err);
}

static int take_veth_mode(struct nic *n, const char *value, struct error *err)
{
    static const struct word modes[] = {{"bridge", 0}, {"router", 1}, {NULL, 0}};
    int mode;

    if (take_word(modes, value, &mode, err) < 0)
        return -1;
    n->router = mode == 1;
    return 0;
}

/* ADDRESS[/PREFIX] [BROADCAST]. Without a prefix it is the one of its class, as LXC has it. */
static int take_address(struct nic *n, const char *value, int family, struct error *err)
{
    char copy[128], *broadcast;
    struct address *a = &n->addresses[n->address_count], *b = &n->broadcast[n->address_count];

    if (n->address_count == NIC_ADDRESSES)
        return error_set(err, 0, "an interface has at most %u addresses", NIC_ADDRESSES);
    if (strlen(value) >= sizeof(copy))
        return error_set(err, 0, "'%.60s…' is no address", value);
    strcpy(copy, value);
    *b = (struct address){0};
    if ((broadcast = strpbrk(copy, " \t"))) {
        *broadcast++ = '\0';
        broadcast += strspn(broadcast, " \t");
        if (address_parse(broadcast, b, err) < 0)
            return -1;
        if (b->family != AF_INET || family != AF_INET)
            return error_set(err, 0, "'%s' is no broadcast address of IPv4", broadcast);
    }
    if (address_parse(copy, a, err) < 0)
        return -1;
    if (a->family != family)
        return error_set(err, 0, "'%s' is no address of IPv%c", copy,
                         family == AF_INET ? '4' : '6');
    if (!strchr(copy, '/'))
        a->prefix = family == AF_INET6    ? 64
                    : a->bytes[0] < 0x80  ? 8
                    : a->bytes[0] < 0xc0  ? 16
                    : a->bytes[0] < 0xe0u ? 24
                                          : 32;
    n->address_count++;
    return 0;
}

static int take_ipv4(struct nic *n, const char *value, struct error *err)
{
    return take_address(n, value, AF_INET, err);
}

static int take_ipv6(struct nic *n, const char *value, struct error *err)
{
    return take_address(n, value, AF_INET6, err);
}

static int take_gateway(const char *value, int family, struct address *out, bool *automatic,
                        bool *dev, struct error *err)
{
    *automatic = str_eq(value, "auto");
    *dev = str_eq(value, "dev");
    if (*automatic || *dev)
        return 0;
    if (address_parse(value, out, err) < 0)
        return -1;
    if (out->family != family || strchr(value, '/'))
        return error_set(err, 0, "'%s' is neither an address of IPv%c nor auto nor dev", value,
                         family == AF_INET ? '4' : '6');
    return 0;
}

static int take_gateway4(struct nic *n, const char *value, struct error *err)
{
    return take_gateway(value, AF_INET, &n->gateway, &n->gateway_auto, &n->gateway_dev, err);
}

static int take_gateway6(struct nic *n, const char *value, struct error *err)
{
    return take_gateway(value, AF_INET6, &n->gateway6, &n->gateway6_auto, &n->gateway6_dev, err);
}

static int take_route(struct nic *n, const char *value, int family, struct error *err)
{
    struct address *a = &n->routes[n->route_count];

    if (n->route_count == NIC_ADDRESSES)
        return error_set(err, 0, "an interface has at most %u routes", NIC_ADDRESSES);
    if (address_parse(value, a, err) < 0)
        return -1;
    if (a->family != family || !strchr(value, '/'))
        return error_set(err, 0, "'%s' is no network of IPv%c", value,
                         family == AF_INET ? '4' : '6');
    n->route_count++;
    return 0;
}

static int take_route4(struct nic *n, const char *value, struct error *err)
{
    return take_route(n, value, AF_INET, err);
}

static int take_route6(struct nic *n, const char *value, struct error *err)
{
    return take_route(n, value, AF_INET6, err);
}

static int take_l2proxy(struct nic *n, const char *value, struct error *err)
{
    if (!str_eq(value, "0") && !str_eq(value, "1"))
        return error_set(err, 0, "'%s' is neither 0 nor 1", value);
    n->l2proxy = *value == '1';
    return 0;
}

/* A string of its own: the definition is another one as soon as a limit is changed. */
static int take_script(char **script, const char *value, struct error *err)
{
    if (value_is_hook(value, err) < 0)
        return -1;
    free(*script);
    *script = xstrdup(value);
    return 0;
}

static int take_script_up(struct nic *n, const char *value, struct error *err)
{
    return take_script(&n->script_up, value, err);
}

static int take_script_down(struct nic *n, const char *value, struct error *err)
{
    return take_script(&n->script_down, value, err);
}

static int take_port_vlan(struct nic *n, const char *value, struct error *err)
{
    (void)n;
    (void)value;
    error_set(err, 0, "the VLANs of a port are not set here");
    return error_hint(err, "`bridge vlan` in lxc.net.N.script.up can do it");
}

static void nic_clear(struct nic *n)
{
    strv_free(n->own_forwards);
    free(n->script_up);
    free(n->script_down);
    if (n->of)
        nics_clear(n->of);
    free(n->of);
}

/* ---- keys ---- */

/* Checks of the values, for NIC_KEYS. */
#define CHECK(what)                                         \
    int nic_is_##what(const char *value, struct error *err) \
    {                                                       \
        struct nic n = {0};                                 \
        int ret = *value ? take_##what(&n, value, err) : 0; \
        nic_clear(&n);                                      \
        return ret;                                         \
    }
CHECK(type)
CHECK(link)
CHECK(flags)
CHECK(name)
CHECK(mac)
CHECK(mtu)
CHECK(ipv4)
CHECK(gateway4)
CHECK(ipv6)
CHECK(gateway6)
CHECK(pair)
CHECK(veth_mode)
CHECK(macvlan_mode)
CHECK(ipvlan_mode)
CHECK(isolation)
CHECK(vlan)
CHECK(route4)
CHECK(route6)
CHECK(l2proxy)
CHECK(script_up)
CHECK(port_vlan)

static const struct attribute {
    const char *key;
    int (*take)(struct nic *n, const char *value, struct error *err);
} attributes[] = {
    {"type", take_type},
    {"link", take_link},
    {"flags", take_flags},
    {"name", take_name},
    {"hwaddr", take_mac},
    {"mtu", take_mtu},
    {"ipv4.address", take_ipv4},
    {"ipv4.gateway", take_gateway4},
    {"ipv6.address", take_ipv6},
    {"ipv6.gateway", take_gateway6},
    {"veth.pair", take_pair},
    {"veth.mode", take_veth_mode},
    {"veth.n_rxqueues", take_rx},
    {"veth.n_txqueues", take_tx},
    {"macvlan.mode", take_macvlan_mode},
    {"ipvlan.mode", take_ipvlan_mode},
    {"ipvlan.isolation", take_isolation},
    {"vlan.id", take_vlan},
    {"veth.ipv4.route", take_route4},
    {"veth.ipv6.route", take_route6},
    {"l2proxy", take_l2proxy},
    {"script.up", take_script_up},
    {"script.down", take_script_down},
};

/* ---- the list ---- */

static struct nic *add(struct nics *all, const char *where, struct error *err)
{
    if (all->count == NICS_MOST) {
        error_set(err, 0, "a container has at most %u network interfaces", NICS_MOST);
        return NULL;
    }
    all->all = xrealloc(all->all, all->count + 1, sizeof(*all->all));
    struct nic *n = &all->all[all->count++];
    *n = (struct nic){.mode = -1};
    snprintf(n->where, sizeof(n->where), "%s", where);
    return n;
}

static int add_card(struct nics *all, const struct card *card, struct error *err)
{
    char where[32];

    snprintf(where, sizeof(where), CARD_KEY "%u", card->number);
    if (card->kind == CARD_NONE)
        return 0;
    if (card->kind == CARD_TAP && (card->tap || !card->bridge)) {
        error_set(err, 0, "%s: a container has no tap", where);
        return error_hint(err, "network=NAME or bridge=NAME");
    }
    struct nic *n = add(all, where, err);
    if (!n)
        return -1;
    n->kind = card->kind == CARD_TAP ? NIC_VETH : card->kind == CARD_USER ? NIC_USER : NIC_NETWORK;
    n->number = card->number;
    n->network = card->network;
    if (card->name)
        snprintf(n->name, sizeof(n->name), "%s", card->name);
    if (card->bridge)
        snprintf(n->link, sizeof(n->link), "%s", card->bridge);
    memcpy(n->mac, card->mac, sizeof(n->mac));
    n->has_mac = n->up = true;
    n->mtu = card->mtu;
    n->forwards = card->forwards;
    n->host_loopback = card->host_loopback;
    n->addresses[0] = card->address; /* what it wants; address_count is 0 until it has one */
    return 0;
}

/* Each digit that was said as an x, by the guest's name and the card's place. */
static void settle_mac(struct nic *n, const char *text, const char *guest, unsigned place)
{
    uint8_t own[6];
    char chosen[MAC_TEXT], said[MAC_TEXT];

    if (!strpbrk(text, "xX"))
        return;
    card_make_mac(guest, MAC_NUMBER + place, own);
    card_mac_text(own, chosen);
    for (unsigned i = 0; i < MAC_TEXT; i++) {
        said[i] = text[i];
        if (text[i] == 'x' || text[i] == 'X')
            said[i] = i == 1 ? '2' : chosen[i]; /* the bits of groups and of who gave it */
    }
    card_parse_mac(said, n->mac, NULL);
}

static int take(struct nic *n, const struct attribute *a, const char *value, const char *guest,
                unsigned place, struct error *err)
{
    if (a->take(n, value, err) < 0)
        return error_wrap(err, "%s.%s", n->where, a->key);
    if (a->take == take_mac)
        settle_mac(n, value, guest, place);
    return 0;
}

/* lxc.net.N of one N. */
static int load_new(const struct guest_def *def, unsigned number, struct nics *all,
                    struct error *err)
{
    char key[64], where[32];
    struct nic *n = NULL;

    snprintf(where, sizeof(where), "lxc.net.%u", number);
    for (unsigned i = 0; i < ARRAY_SIZE(attributes); i++) {
        const struct conf_line *l;
        snprintf(key, sizeof(key), "%s.%s", where, attributes[i].key);
        conf_for_each (def->conf, key, l) {
            if (!n && !(i == 0))
                return error_set(err, 0, "%s says nothing without %s.type", key, where);
            if (!n && !(n = add(all, where, err)))
                return -1;
            if (take(n, &attributes[i], l->value, def->name, all->count, err) < 0)
                return -1;
        }
    }
    return 0;
}

/* The numbers that there are, a bit each: most have none, and to ask for each key takes its time. */
static int numbers_used(const struct conf *conf, uint64_t *used, struct error *err)
{
    static const char prefix[] = "lxc.net.";

    *used = 0;
    for (size_t i = 0; i < conf->count; i++) {
        const char *key = conf->lines[i].key;
        if (!key || !str_starts(key, prefix))
            continue;
        const unsigned long n = strtoul(key + sizeof(prefix) - 1, NULL, 10);
        if (n >= NUMBERS_MOST)
            return error_set(err, 0, "%s: the highest number is %u", key, NUMBERS_MOST - 1);
        *used |= UINT64_C(1) << n;
    }
    return 0;
}

/* What one says of itself. */
static int check_whole(const struct nic *n, struct error *err)
{
    static const unsigned needs_link =
        1u << NIC_MACVLAN | 1u << NIC_IPVLAN | 1u << NIC_VLAN | 1u << NIC_PHYS;

    if ((needs_link >> n->kind & 1) && !n->link[0])
        return error_set(err, 0, "%s: %s.link is missing: the host's interface", n->where,
                         n->where);
    if (n->kind == NIC_VLAN && !n->vlan)
        return error_set(err, 0, "%s: %s.vlan.id is missing", n->where, n->where);
    if (n->router && n->link[0])
        return error_set(err, 0, "%s: with veth.mode = router it is in no bridge", n->where);
    if (n->l2proxy && !n->link[0])
        return error_set(err, 0, "%s: l2proxy needs a link", n->where);
    if ((n->gateway_auto || n->gateway6_auto) && !n->link[0])
        return error_set(err, 0, "%s: there is no link whose address the gateway could be",
                         n->where);
    return 0;
}

/* Why the rest of a key behind lxc.net.N. is in vain; NULL: it is not. Caller frees. */
static char *in_vain(const struct conf *conf, const char *where, const char *rest)
{
    cleanup_free char *type_key = xasprintf("%s.type", where);
    cleanup_free char *flags_key = xasprintf("%s.flags", where);
    const char *type = conf_get(conf, type_key);
    for (const struct word *w = types; w->word && type; w++)
        if (str_starts(rest, w->word) && rest[strlen(w->word)] == '.' && !str_eq(w->word, type))
            return xasprintf("%s is %s", type_key, type);
    if (str_starts(rest, "ipv") && str_eq(strrchr(rest, '.'), ".gateway") &&
        !conf_get(conf, flags_key))
        return xasprintf("there is no %s = up", flags_key);
    return NULL;
}

void nics_warn(const struct conf *conf, void (*tell)(void *arg, const char *text), void *arg)
{
    static const char prefix[] = "lxc.net.";
    for (size_t i = 0; i < conf->count; i++) {
        const struct conf_line *l = &conf->lines[i];
        const char *rest = l->key && str_starts(l->key, prefix) && conf_line_counts(conf, l, true)
                               ? strchr(l->key + strlen(prefix), '.')
                               : NULL;
        cleanup_free char *where = rest ? xstrndup(l->key, (size_t)(rest - l->key)) : NULL;
        cleanup_free char *why = rest ? in_vain(conf, where, rest + 1) : NULL;
        if (!why)
            continue;
        cleanup_free char *text =
            xasprintf("%s:%u: '%s' has no effect: %s", l->file, l->number, l->key, why);
        tell(arg, text);
    }
}

bool nics_named(const struct nics *all, const char *name)
{
    for (unsigned i = 0; i < all->count; i++)
        if (str_eq(all->all[i].name, name))
            return true;
    return false;
}

static int settle_names(struct nics *all, struct error *err)
{
    unsigned place = 0;

    for (unsigned i = 0; i < all->count; i++)
        for (unsigned j = 0; j < i; j++)
            if (all->all[i].name[0] && str_eq(all->all[j].name, all->all[i].name))
                return error_set(err, 0, "%s and %s are both called %s", all->all[j].where,
                                 all->all[i].where, all->all[i].name);
    for (unsigned i = 0; i < all->count; i++) {
        struct nic *n = &all->all[i];
        if (n->kind == NIC_EMPTY || n->kind == NIC_HOST)
            continue;
        for (unsigned try = place; !n->name[0]; try++) {
            char name[IFNAMSIZ];
            snprintf(name, sizeof(name), "eth%u", try);
            if (!nics_named(all, name))
                memcpy(n->name, name, sizeof(name));
        }
        place++;
    }
    return 0;
}

int nics_load(const struct guest_def *def, struct nics *out, struct error *err)
{
    uint64_t used;

    out->all = NULL;
    out->count = 0;
    out->host = false;
    if (cards_read(def->conf, def->name, &out->cards, err) < 0 ||
        numbers_used(def->conf, &used, err) < 0)
        return -1;
    for (unsigned i = 0; i < out->cards.count; i++)
        if (add_card(out, &out->cards.all[i], err) < 0)
            return -1;
    for (unsigned i = 0; i < NUMBERS_MOST; i++)
        if ((used >> i & 1) && load_new(def, i, out, err) < 0)
            return -1;
    for (unsigned i = 0; i < out->count; i++) {
        struct nic *n = &out->all[i];
        if (!n->has_mac && (n->kind == NIC_VETH || n->kind == NIC_MACVLAN)) {
            card_make_mac(def->name, MAC_NUMBER + i, n->mac);
            n->has_mac = true;
        }
        if (check_whole(&out->all[i], err) < 0)
            return -1;
        out->host |= out->all[i].kind == NIC_HOST;
    }
    if (out->host && out->count > 1)
        return error_set(err, 0, "a container in the host's network has no interfaces of its own");
    return settle_names(out, err);
}

void nics_clear(struct nics *n)
{
    for (unsigned i = 0; i < n->count; i++)
        nic_clear(&n->all[i]);
    cards_clear(&n->cards);
    free(n->all);
    n->all = NULL;
    n->count = 0;
}

struct nic *nics_take(struct nics *all, const struct guest_def *def, const char *where,
                      struct error *err)
{
    struct nics *more = xcalloc(1, sizeof(*more));
    struct nic *n = NULL;

    const bool loaded = nics_load(def, more, err) == 0;
    for (unsigned i = 0; loaded && i < more->count; i++)
        if (str_eq(more->all[i].where, where))
            n = &more->all[i];
    if (loaded && (!n || all->count == NICS_MOST))
        error_set(err, 0, "%s is no interface that can be added", where);
    if (n && nics_named(all, n->name)) {
        error_set(err, EEXIST, "there is an interface '%s' already", n->name);
        n = NULL;
    }
    if (!n || all->count == NICS_MOST) {
        nics_clear(more);
        free(more);
        return NULL;
    }
    all->all = xrealloc(all->all, all->count + 1, sizeof(*all->all));
    struct nic *to = &all->all[all->count++];
    *to = *n;
    to->of = more;
    n->script_up = n->script_down = NULL; /* they are `to`'s now */
    return to;
}

void nics_drop(struct nics *all, struct nic *n)
{
    nic_clear(n);
    memmove(n, n + 1, (size_t)(all->all + --all->count - n) * sizeof(*n));
}

bool nics_any(const struct nics *n)
{
    for (unsigned i = 0; i < n->count; i++)
        if (n->all[i].kind != NIC_EMPTY && n->all[i].kind != NIC_HOST)
            return true;
    return false;
}
