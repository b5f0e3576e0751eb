/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network cards of definitions, see card.h.
 */
#include "net/card.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "net/link.h"
#include "net/passt.h"

#define MACHINE_ID "/etc/machine-id"

static const char *const kind_names[] = {
    [CARD_NONE] = "none",
    [CARD_USER] = "user",
    [CARD_TAP] = "tap",
    [CARD_NETWORK] = "network",
};

const char *card_kind_name(enum card_kind kind)
{
    return kind_names[kind];
}

/* ---- values ---- */

void card_mac_text(const uint8_t mac[6], char out[MAC_TEXT])
{
    snprintf(out, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
             mac[5]);
}

int card_parse_mac(const char *text, uint8_t mac[6], struct error *err)
{
    int end = 0;

    if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2], &mac[3],
               &mac[4], &mac[5], &end) != 6 ||
        text[end] || strlen(text) != MAC_TEXT - 1 || text[strspn(text, "0123456789abcdefABCDEF:")])
        return error_set(err, 0, "'%s' is no address such as 02:12:34:56:78:9a", text);
    if (mac[0] & 1)
        return error_set(err, 0, "'%s' is the address of a group: its first byte is odd", text);
    for (unsigned i = 0; i < 6; i++)
        if (mac[i])
            return 0;
    return error_set(err, 0, "'%s' is no address", text);
}

static int is_mac(const char *value, struct error *err)
{
    uint8_t mac[6];

    return card_parse_mac(value, mac, err);
}

static int is_queues(const char *value, struct error *err)
{
    int64_t n;

    return number_parse(value, 1, CARD_QUEUES, &n, err);
}

static int is_mtu(const char *value, struct error *err)
{
    int64_t n;

    return number_parse(value, CARD_MTU_MIN, PASST_MTU, &n, err);
}

static const char *const vhost_words[] = {
    [CARD_VHOST_AUTO] = "auto",
    [CARD_VHOST_ON] = "on",
    [CARD_VHOST_OFF] = "off",
};

static int is_vhost(const char *value, struct error *err)
{
    for (unsigned i = 0; i < ARRAY_SIZE(vhost_words); i++)
        if (str_eq(value, vhost_words[i]))
            return 0;
    return error_set(err, 0, "'%s' is none of auto, on, off", value);
}

/* One that a guest can have: of IPv4, and no network. */
static int parse_address(const char *text, struct address *out, struct error *err)
{
    if (address_parse(text, out, err) < 0)
        return -1;
    if (out->family != AF_INET || strchr(text, '/'))
        return error_set(err, 0, "'%s' is no address of IPv4 such as 10.0.0.2", text);
    return 0;
}

static int is_address(const char *value, struct error *err)
{
    struct address a;

    return parse_address(value, &a, err);
}

static const struct option known[] = {
    {"none", OPTION_FLAG, NULL},
    {"user", OPTION_FLAG, NULL},
    {"tap", OPTION_EITHER, link_name_check},
    {"bridge", OPTION_VALUE, link_name_check},
    {"network", OPTION_VALUE, link_name_check},
    {"address", OPTION_VALUE, is_address},
    {"mac", OPTION_VALUE, is_mac},
    {"mtu", OPTION_VALUE, is_mtu},
    {"name", OPTION_VALUE, link_name_check},
    {"queues", OPTION_VALUE, is_queues},
    {"vhost", OPTION_VALUE, is_vhost},
    {"forward", OPTION_LIST, passt_is_forward},
    {"host-loopback", OPTION_FLAG, NULL},
    {NULL, OPTION_FLAG, NULL},
};

/* Which options go with which kind, beside its own name. */
static const struct {
    const char *name;
    unsigned kinds;
} belongs[] = {
    {"bridge", 1u << CARD_TAP},
    {"queues", 1u << CARD_TAP | 1u << CARD_NETWORK},
    {"vhost", 1u << CARD_TAP | 1u << CARD_NETWORK},
    {"forward", 1u << CARD_USER},
    {"host-loopback", 1u << CARD_USER},
    {"address", 1u << CARD_NETWORK},
    {"mac", 1u << CARD_TAP | 1u << CARD_USER | 1u << CARD_NETWORK},
    {"mtu", 1u << CARD_TAP | 1u << CARD_USER | 1u << CARD_NETWORK},
    {"name", 1u << CARD_TAP | 1u << CARD_USER | 1u << CARD_NETWORK},
};

/* What kind it is, or -1: the options contradict each other. */
static int kind_of(const struct options *o, struct error *err)
{
    const bool tap = options_get(o, "tap") || options_get(o, "bridge");
    const bool user = options_get(o, "user"), none = options_get(o, "none");
    const bool network = options_get(o, "network");

    if (tap + user + none + network != 1)
        return error_set(err, 0,
                         "a network is one of network=NAME, tap=NAME, bridge=NAME, user or none");
    enum card_kind kind = tap ? CARD_TAP : user ? CARD_USER : network ? CARD_NETWORK : CARD_NONE;
    for (unsigned i = 0; i < ARRAY_SIZE(belongs); i++)
        if (options_get(o, belongs[i].name) && !(belongs[i].kinds >> kind & 1))
            return error_set(err, 0, "'%s' has no meaning with '%s'", belongs[i].name,
                             kind_names[kind]);
    return (int)kind;
}

static unsigned number_of(const struct options *o, const char *name, unsigned otherwise)
{
    const char *value = options_get(o, name);

    return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

/* Take a value apart: all but the address that it has by itself. */
static int parse(const char *value, struct card *n, struct error *err)
{
    struct options *o = &n->options;
    const char *forward;

    if (options_parse(value, known, o, err) < 0)
        return -1;
    int kind = kind_of(o, err);
    if (kind < 0)
        return -1;
    n->kind = (enum card_kind)kind;
    n->tap = options_get(o, "tap");
    n->bridge = options_get(o, "bridge");
    n->network = options_get(o, "network");
    n->name = options_get(o, "name");
    const char *address = options_get(o, "address");
    if (address && parse_address(address, &n->address, err) < 0)
        return -1;
    n->mtu = number_of(o, "mtu", 0);
    n->queues = number_of(o, "queues", 1);
    n->host_loopback = options_get(o, "host-loopback");
    const char *vhost = options_get(o, "vhost");
    while (vhost && !str_eq(vhost, vhost_words[n->vhost]))
        n->vhost++;
    for (unsigned i = 0; (forward = options_nth(o, "forward", i)); i++) {
        if (i == CARD_FORWARDS)
            return error_set(err, 0, "at most %u ports can be forwarded", CARD_FORWARDS);
        n->forwards[i] = forward;
    }
    return 0;
}

int card_is_value(const char *value, struct error *err)
{
    struct card n = {0};
    int ret = parse(value, &n, err);

    options_clear(&n.options);
    return ret;
}

char *card_expand(const char *text)
{
    static const char *const words[] = {"none", "user", "tap"};
    const size_t len = strcspn(text, ",=");

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        if (strncmp(text, words[i], len) == 0 && len == strlen(words[i]))
            return xstrdup(text);
    return len && text[len] != '=' ? xasprintf("network=%s", text) : xstrdup(text);
}

char *card_without_addresses(const char *value)
{
    char *out = xcalloc(strlen(value) + 1, 1), *to = out;

    for (const char *p = value; *p;) {
        const char *end = p;
        while (*end && (*end != ',' || end[1] == ','))
            end += *end == ',' ? 2 : 1;
        if (!str_starts(p, "mac=") && !str_starts(p, "address=")) {
            if (to > out)
                *to++ = ',';
            to = mempcpy(to, p, (size_t)(end - p));
        }
        p = *end ? end + 1 : end;
    }
    return out;
}

/* ---- addresses ---- */

static uint64_t hash(uint64_t h, const char *text)
{
    for (; *text; text++) /* FNV-1a */
        h = (h ^ (uint8_t)*text) * 0x100000001b3ull;
    return h;
}

/*
 * An address that stays the same for this guest of this user on this host, and is another's
 * nowhere: made of its name, the card's number, the user and the host's id, and marked as locally
 * administered.
 */
void card_make_mac(const char *guest, unsigned number, uint8_t mac[6])
{
    cleanup_free char *id = NULL;
    char text[32];

    snprintf(text, sizeof(text), " %u %u", number, geteuid());
    file_read_at(AT_FDCWD, MACHINE_ID, 256, &id, NULL, NULL);
    uint64_t h = hash(hash(hash(0xcbf29ce484222325ull, id ? id : ""), guest), text);
    h ^= h >> 32;
    h *= 0x9e3779b97f4a7c15ull;
    h ^= h >> 29;
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)(h >> (8 * i));
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

/* ---- a definition's ---- */

void cards_clear(struct cards *n)
{
    for (unsigned i = 0; i < n->count; i++)
        options_clear(&n->all[i].options);
    n->count = 0;
}

/* Two cards that are one and the same to others. */
static int check_apart(const struct cards *all, const struct card *n, struct error *err)
{
    for (const struct card *o = all->all; o < n; o++) {
        if (o->kind == CARD_NONE || n->kind == CARD_NONE)
            continue;
        if (memcmp(o->mac, n->mac, 6) == 0)
            return error_set(err, 0, CARD_KEY "%u and " CARD_KEY "%u have the same address",
                             o->number, n->number);
        if (n->tap && *n->tap && str_eq(n->tap, o->tap))
            return error_set(err, 0, CARD_KEY "%u and " CARD_KEY "%u use the same tap", o->number,
                             n->number);
    }
    return 0;
}

/*
 * The address that a card has where none was said. A tap that root made for this user's guest lets only
 * that pass which was promised to it.
 */
static void own_mac(const char *guest, struct card *n)
{
    struct link tap;
    uint8_t mac[6];

    card_make_mac(guest, n->number, n->mac);
    if (n->kind == CARD_TAP && n->tap && *n->tap && link_look(n->tap, &tap, NULL) == 0 &&
        link_is_promised(&tap, NULL, mac))
        memcpy(n->mac, mac, sizeof(n->mac));
}

/* None beyond the last number. */
static int check_numbers(const struct conf *conf, struct error *err)
{
    for (size_t i = 0; i < conf->count; i++) {
        const char *name = conf->lines[i].key;
        if (name && str_starts(name, CARD_KEY) && conf_get(conf, name) &&
            strtoul(name + strlen(CARD_KEY), NULL, 10) >= CARDS_MOST)
            return error_set(err, 0, "%s: a guest has at most %u networks, from guest.net.0 on",
                             name, CARDS_MOST);
    }
    return 0;
}

int cards_read(const struct conf *conf, const char *guest, struct cards *out, struct error *err)
{
    char key[24];

    out->count = 0;
    if (check_numbers(conf, err) < 0)
        return -1;
    for (unsigned i = 0; i < CARDS_MOST; i++) {
        snprintf(key, sizeof(key), CARD_KEY "%u", i);
        const char *value = conf_get(conf, key), *mac;
        if (!value)
            continue;
        struct card *n = &out->all[out->count++];
        *n = (struct card){.number = i};
        if (parse(value, n, err) < 0)
            return error_wrap(err, "%s", key);
        own_mac(guest, n);
        if ((mac = options_get(&n->options, "mac")) && card_parse_mac(mac, n->mac, err) < 0)
            return error_wrap(err, "%s", key);
        if (check_apart(out, n, err) < 0)
            return -1;
    }
    return 0;
}
