/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks of a definition, see networks.h.
 *
 * Nothing of theirs outlives the keeper, however it ends: a tap that is made here is not
 * persistent, and passt ends with its stream. A tap that was there before stays, and stays in the
 * bridge that it was put into.
 *
 * Who counts what a guest sends and receives: the device, in the status page; but where vhost-net
 * may serve it the device sees nothing, and readers are told the interface instead (the page's
 * FIGURE_NET, figures.h), as they are told the addresses by which a guest is found on the network.
 */
#include "kvm/networks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "base/util.h"
#include "guest/def.h"
#include "guest/keeper.h"
#include "kvm/machine.h"
#include "kvm/virtio/net_passt.h"
#include "kvm/virtio/net_tap.h"
#include "net/link.h"

#define MACHINE_ID   "/etc/machine-id"
#define FORWARDS_MAX 64

/* ---- values ---- */

static int parse_mac(const char *text, uint8_t mac[6], struct error *err)
{
    int end = 0;

    if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2], &mac[3],
               &mac[4], &mac[5], &end) != 6 ||
        text[end] || strlen(text) != 17)
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

    return parse_mac(value, mac, err);
}

static int is_queues(const char *value, struct error *err)
{
    int64_t n;

    return number_parse(value, 1, NET_PAIRS, &n, err);
}

static int is_mtu(const char *value, struct error *err)
{
    int64_t n;

    return number_parse(value, NET_MTU_MIN, PASST_MTU, &n, err);
}

static const char *const vhost_words[] = {
    [NET_VHOST_AUTO] = "auto",
    [NET_VHOST_ON] = "on",
    [NET_VHOST_OFF] = "off",
};

static int is_vhost(const char *value, struct error *err)
{
    for (unsigned i = 0; i < ARRAY_SIZE(vhost_words); i++)
        if (str_eq(value, vhost_words[i]))
            return 0;
    return error_set(err, 0, "'%s' is none of auto, on, off", value);
}

static const struct option known[] = {
    {"none", OPTION_FLAG, NULL},
    {"user", OPTION_FLAG, NULL},
    {"tap", OPTION_EITHER, link_name_check},
    {"bridge", OPTION_VALUE, link_name_check},
    {"mac", OPTION_VALUE, is_mac},
    {"mtu", OPTION_VALUE, is_mtu},
    {"queues", OPTION_VALUE, is_queues},
    {"vhost", OPTION_VALUE, is_vhost},
    {"forward", OPTION_LIST, passt_is_forward},
    {NULL, OPTION_FLAG, NULL},
};

enum kind { NETWORK_NONE, NETWORK_USER, NETWORK_TAP };

/* Which options go with which kind, beside its own name. */
static const struct {
    const char *name;
    unsigned kinds;
} belongs[] = {
    {"bridge", 1u << NETWORK_TAP},
    {"queues", 1u << NETWORK_TAP},
    {"vhost", 1u << NETWORK_TAP},
    {"forward", 1u << NETWORK_USER},
    {"mac", 1u << NETWORK_TAP | 1u << NETWORK_USER},
    {"mtu", 1u << NETWORK_TAP | 1u << NETWORK_USER},
};

/* What kind it is, or -1: the options contradict each other. */
static int kind_of(const struct options *o, struct error *err)
{
    const bool tap = options_get(o, "tap") || options_get(o, "bridge");
    const bool user = options_get(o, "user"), none = options_get(o, "none");

    if (tap + user + none != 1)
        return error_set(err, 0, "a network is one of tap=NAME, bridge=NAME, user or none");
    enum kind kind = tap ? NETWORK_TAP : user ? NETWORK_USER : NETWORK_NONE;
    for (unsigned i = 0; i < ARRAY_SIZE(belongs); i++)
        if (options_get(o, belongs[i].name) && !(belongs[i].kinds >> kind & 1))
            return error_set(err, 0, "'%s' has no meaning with '%s'", belongs[i].name,
                             user  ? "user"
                             : tap ? "tap"
                                   : "none");
    return (int)kind;
}

int network_is_value(const char *value, struct error *err)
{
    cleanup_options struct options o;

    return options_parse(value, known, &o, err) < 0 || kind_of(&o, err) < 0 ? -1 : 0;
}

/* ---- addresses ---- */

static uint64_t hash(uint64_t h, const char *text)
{
    for (; *text; text++) /* FNV-1a */
        h = (h ^ (uint8_t)*text) * 0x100000001b3ull;
    return h;
}

/*
 * An address that stays the same for this guest on this host, and is another's nowhere: made of
 * its name, the network's number and the host's id, and marked as locally administered.
 */
static void make_mac(const char *guest, unsigned number, uint8_t mac[6])
{
    cleanup_free char *id = NULL;
    char text[8];

    snprintf(text, sizeof(text), " %u", number);
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

struct network {
    unsigned number;
    enum kind kind;
    struct options options;
    uint8_t mac[6];
    unsigned mtu, queues; /* mtu 0: not said */
    enum net_vhost vhost;
    char name[24]; /* for messages */
    const char *forwards[FORWARDS_MAX + 1];
};

struct networks {
    unsigned count;
    struct network all[NETWORKS_MOST];
};

static void networks_clear(struct networks *n)
{
    for (unsigned i = 0; i < n->count; i++)
        options_clear(&n->all[i].options);
    n->count = 0;
}

#define cleanup_networks __attribute__((cleanup(networks_clear)))

static unsigned number_of(const struct options *o, const char *name, unsigned otherwise)
{
    const char *value = options_get(o, name);

    return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

static int read_network(const struct guest_def *def, unsigned number, const char *value,
                        struct network *n, struct error *err)
{
    *n = (struct network){.number = number};
    snprintf(n->name, sizeof(n->name), "network %u", number);
    if (options_parse(value, known, &n->options, err) < 0)
        return -1;
    const struct options *o = &n->options;
    const char *mac = options_get(o, "mac"), *vhost = options_get(o, "vhost"), *forward;
    int kind = kind_of(o, err);
    if (kind < 0)
        return -1;
    n->kind = (enum kind)kind;
    n->mtu = number_of(o, "mtu", 0);
    n->queues = number_of(o, "queues", 1);
    while (vhost && !str_eq(vhost, vhost_words[n->vhost]))
        n->vhost++;
    for (unsigned i = 0; (forward = options_nth(o, "forward", i)); i++) {
        if (i == FORWARDS_MAX)
            return error_set(err, 0, "at most %d ports can be forwarded", FORWARDS_MAX);
        n->forwards[i] = forward;
    }
    make_mac(def->name, number, n->mac);
    return mac ? parse_mac(mac, n->mac, err) : 0;
}

/* Two devices that are one and the same to others. */
static int check_apart(const struct networks *all, const struct network *n, struct error *err)
{
    const char *tap = options_get(&n->options, "tap");

    for (const struct network *o = all->all; o < n; o++) {
        if (o->kind == NETWORK_NONE || n->kind == NETWORK_NONE)
            continue;
        if (memcmp(o->mac, n->mac, 6) == 0)
            return error_set(err, 0, "vm.net.%u and vm.net.%u have the same address", o->number,
                             n->number);
        if (tap && *tap && str_eq(tap, options_get(&o->options, "tap")))
            return error_set(err, 0, "vm.net.%u and vm.net.%u use the same tap", o->number,
                             n->number);
    }
    return 0;
}

/* All of them, in the order of their numbers. */
static int networks_read(const struct guest_def *def, struct networks *out, struct error *err)
{
    char key[24];

    out->count = 0;
    for (size_t i = 0; i < def->conf->count; i++) {
        const char *name = def->conf->lines[i].key;
        if (name && str_starts(name, "vm.net.") && conf_get(def->conf, name) &&
            strtoul(name + strlen("vm.net."), NULL, 10) >= NETWORKS_MOST)
            return error_set(err, 0, "%s: a VM has at most %u networks, from vm.net.0 on", name,
                             NETWORKS_MOST);
    }
    for (unsigned i = 0; i < NETWORKS_MOST; i++) {
        snprintf(key, sizeof(key), "vm.net.%u", i);
        const char *value = conf_get(def->conf, key);
        if (!value)
            continue;
        struct network *n = &out->all[out->count++];
        if (read_network(def, i, value, n, err) < 0)
            return error_wrap(err, "%s", key);
        if (check_apart(out, n, err) < 0)
            return -1;
    }
    return 0;
}

static struct tap_request tap_request(const struct network *n)
{
    return (struct tap_request){
        .name = options_get(&n->options, "tap"),
        .bridge = options_get(&n->options, "bridge"),
        .queues = n->queues,
        .mtu = n->mtu,
        .header = NET_HEADER,
        .mac = n->mac,
    };
}

static struct passt_request passt_request(const struct network *n, const struct guest_def *def)
{
    return (struct passt_request){.name = n->name,
                                  .title = def->name,
                                  .mtu = n->mtu,
                                  .forwards = n->forwards};
}

int networks_check(const struct guest_def *def, struct error *err)
{
    cleanup_networks struct networks all;

    if (networks_read(def, &all, err) < 0)
        return -1;
    for (unsigned i = 0; i < all.count; i++) {
        const struct network *n = &all.all[i];
        const struct tap_request tap = tap_request(n);
        const struct passt_request user = passt_request(n, def);
        if ((n->kind == NETWORK_TAP && tap_check(&tap, err) < 0) ||
            (n->kind == NETWORK_USER && passt_check(&user, err) < 0))
            return error_wrap(err, "vm.net.%u", n->number);
    }
    return 0;
}

/* ---- devices ---- */

/* Append a word to what FIGURE_NET says, as far as there is room. */
static void tell_readers(struct keeper *k, const char *what, const char *value)
{
    struct figure_source *f = &k->status.page->figures[FIGURE_NET];
    size_t used = strnlen(f->path, sizeof(f->path));
    size_t need = (used > 0) + strlen(what) + strlen(value);

    if (used + need >= sizeof(f->path))
        return;
    status_begin(&k->status);
    snprintf(f->path + used, sizeof(f->path) - used, "%s%s%s", used ? " " : "", what, value);
    status_commit(&k->status);
}

static struct net_port *make_tap(struct machine *m, struct keeper *k, const struct network *n,
                                 struct error *err)
{
    const struct tap_request rq = tap_request(n);
    struct net_port *port;
    struct tap tap;

    if (tap_open(&rq, &tap, err) < 0)
        return NULL;
    port = net_tap(&tap, &m->memory, n->vhost, err);
    if (!port) {
        tap_close(&tap);
        return NULL;
    }
    if (port->kernel)
        tell_readers(k, "tap=", tap.name);
    log_line("%s: tap '%s'%s%s%s, served by %s", n->name, tap.name, tap.made ? " (made)" : "",
             rq.bridge ? " in bridge " : "", rq.bridge ? rq.bridge : "",
             port->kernel ? "the kernel (vhost-net)" : "pult");
    return port;
}

static int add_network(struct machine *m, struct keeper *k, const struct network *n,
                       struct error *err)
{
    const struct passt_request user = passt_request(n, k->def);
    struct status_page *page = k->status.page;
    struct net_config config = {.name = n->name};
    char mac[18];

    if (n->kind == NETWORK_NONE)
        return 0;
    config.port = n->kind == NETWORK_TAP ? make_tap(m, k, n, err) : net_passt(&user, err);
    if (!config.port)
        return -1;
    memcpy(config.mac, n->mac, sizeof(config.mac));
    if (!config.port->kernel) {
        config.received = &page->net_rx;
        config.sent = &page->net_tx;
    }
    snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", n->mac[0], n->mac[1], n->mac[2],
             n->mac[3], n->mac[4], n->mac[5]);
    if (n->kind == NETWORK_TAP)
        tell_readers(k, "mac=", mac);
    if (net_add(&m->virtio, &config, err))
        return 0;
    if (!config.port->net)
        config.port->ops->close(config.port);
    return -1;
}

int networks_add(struct machine *m, struct keeper *k, struct error *err)
{
    cleanup_networks struct networks all;

    if (networks_read(k->def, &all, err) < 0)
        return -1;
    for (unsigned i = 0; i < all.count; i++)
        if (add_network(m, k, &all.all[i], err) < 0)
            return error_wrap(err, "vm.net.%u", all.all[i].number);
    return 0;
}
