/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests in networks, see join.h.
 *
 * A guest's file below RUN/.networks/NAME/ports has all that is needed to take
 * it out again, whatever became of the network meanwhile:
 *
 *     port = pv1a2b3c4d.0
 *     mac = 02:…
 *     address = 10.87.0.12/24      one per address that its port is guarded with
 *
 * Nothing here looks through other guests' files: what it costs to join does not grow with them.
 */
#include "net/join.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "net/card.h"
#include "net/firewall.h"
#include "net/journal.h"
#include "net/kinds.h"
#include "net/link.h"
#include "net/pool.h"
#include "net/server.h"

#define PORTS          "ports"
#define FILE_MAX       4096
#define PORT_ADDRESSES 2u

/* ---- names ---- */

/* Of this guest of this RUN: two pults with homes of their own may have guests of one name. */
void network_port_name(const char *guest, unsigned card, char out[IFNAMSIZ])
{
    uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */

    for (const char *p = place_run(); *p; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
    h = (h ^ 0xff) * 0x100000001b3ull;
    for (const char *p = guest; *p; p++)
        h = (h ^ (uint8_t)*p) * 0x100000001b3ull;
    snprintf(out, IFNAMSIZ, "pv%08x.%u", (unsigned)(h ^ h >> 32), card % 1000);
}

static char *ports_path(const char *network)
{
    return network_run_path(network, PORTS);
}

static char *port_path(const char *network, const char *guest, unsigned card)
{
    cleanup_free char *dir = ports_path(network);

    return xasprintf("%s/%s.%u", dir, guest, card);
}

/* "GUEST.N" in its parts. */
static bool split_name(const char *name, struct member *m)
{
    const char *dot = strrchr(name, '.');
    int64_t card;

    if (!dot || dot == name || (size_t)(dot - name) >= sizeof(m->guest) ||
        number_parse(dot + 1, 0, UINT16_MAX, &card, NULL) < 0)
        return false;
    snprintf(m->guest, sizeof(m->guest), "%.*s", (int)(dot - name), name);
    m->card = (unsigned)card;
    return true;
}

/* ---- the files ---- */

/* What is known of a guest's port. */
struct record {
    char port[IFNAMSIZ];
    uint8_t mac[6];
    struct address addresses[PORT_ADDRESSES];
    unsigned address_count;
};

/* -1 with ENOENT: there is none. Of a file that makes no sense as much as does. */
static int read_record(const char *path, struct record *r, struct error *err)
{
    cleanup_free char *text = NULL;
    cleanup_conf struct conf *conf = NULL;
    const struct conf_line *l;
    size_t len;

    *r = (struct record){0};
    if (file_read_at(AT_FDCWD, path, FILE_MAX, &text, &len, err) < 0)
        return -1;
    if (conf_parse(path, text, len, &conf, NULL) < 0)
        return 0;
    const char *port = conf_get(conf, "port"), *mac = conf_get(conf, "mac");
    if (port && link_name_check(port, NULL) == 0)
        snprintf(r->port, sizeof(r->port), "%s", port);
    if (mac)
        card_parse_mac(mac, r->mac, NULL);
    conf_for_each (conf, "address", l)
        if (r->address_count < PORT_ADDRESSES &&
            address_parse(l->value, &r->addresses[r->address_count], NULL) == 0)
            r->address_count++;
    return 0;
}

/* A file that is not whole is as good as none, and what it would tell of is not there yet. */
static int write_record(const struct join *j, struct error *err)
{
    cleanup_free char *dir = ports_path(j->network);
    cleanup_free char *path = port_path(j->network, j->guest, j->card);
    cleanup_free char *temporary = xasprintf("%s/.%s.%u", dir, j->guest, j->card);
    char mac[MAC_TEXT], a[ADDRESS_TEXT], a6[ADDRESS_TEXT];

    card_mac_text(j->mac, mac);
    cleanup_free char *text =
        xasprintf("port = %s\nmac = %s\n%s%s%s%s%s%s", j->port, mac,
                  j->address.family ? "address = " : "",
                  j->address.family ? address_text(&j->address, false, a) : "",
                  j->address.family ? "\n" : "", j->address6.family ? "address = " : "",
                  j->address6.family ? address_text(&j->address6, false, a6) : "",
                  j->address6.family ? "\n" : "");
    cleanup_close int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write_all(fd, text, strlen(text)) < 0 || rename(temporary, path) < 0)
        return error_set(err, errno, "write '%s'", path);
    return 0;
}

/* RUN/.networks/NAME/ports. A network that has no interface was brought up by nobody. */
static int make_ports(const char *network, struct error *err)
{
    cleanup_free char *all = xasprintf("%s/.networks", place_run());
    cleanup_free char *own = network_run_path(network, NULL);
    cleanup_free char *dir = ports_path(network);
    const char *const paths[] = {place_run(), all, own, dir};

    if (mkdir(dir, 0755) == 0 || errno == EEXIST)
        return 0;
    for (unsigned i = 0; i < ARRAY_SIZE(paths); i++)
        if (mkdir(paths[i], i == 0 ? 0711 : 0755) < 0 && errno != EEXIST)
            return error_set(err, errno, "create the directory '%s'", paths[i]);
    return 0;
}

/* ---- joining ---- */

static int read_state(const char *name, enum network_state *state, struct error *err)
{
    cleanup_journal struct journal j = {0};

    if (journal_read(name, &j, err) < 0)
        return -1;
    *state = j.state;
    return 0;
}

/* Somebody killed the supervisor of its server, which is what starts dnsmasq anew. */
static int mend_server(const struct network *n, struct error *err)
{
    enum network_state state;

    if (!net_kind_has_server(n->kind) || server_runs(n->name))
        return 0;
    cleanup_close int lock = networks_lock(err);
    if (lock < 0 || read_state(n->name, &state, err) < 0)
        return -1;
    if (state != NETWORK_UP && state != NETWORK_UNCONFIRMED)
        return error_set(err, EAGAIN, "the network '%s' is %s", n->name, network_state_name(state));
    return server_start(n, err);
}

/* The network, up and whole. Asking twice is cheap: it is done for each guest. */
static int bring_up(const struct network *n, struct error *err)
{
    enum network_state state;

    if (n->kind == NET_USER)
        return 0;
    if (read_state(n->name, &state, err) < 0)
        return -1;
    if (state == NETWORK_UP || state == NETWORK_UNCONFIRMED)
        return mend_server(n, err);
    return network_up(n->name, err) < 0 ? error_wrap(err, "bring the network '%s' up", n->name) : 0;
}

/* Those of the network itself: its gateway is the host's address in it. */
static void take_gateways(const struct network *n, struct join *j)
{
    for (unsigned i = 0; i < n->address_count; i++) {
        const struct address *a = &n->addresses[i];
        if (a->family == AF_INET && !j->gateway.family && address_contains(a, &j->address))
            j->gateway = *a;
        if (a->family == AF_INET6 && !j->gateway6.family)
            j->gateway6 = *a;
    }
}

/* Its own addresses, out of the pool, where the network has one. */
static int take_addresses(const struct network *n, bool sets, const struct address *wanted,
                          struct join *j, struct error *err)
{
    if (!net_kind_has_server(n->kind) || !n->dhcp_first.family) {
        if (wanted && wanted->family)
            return error_set(err, 0,
                             "the network '%s' gives no addresses: '%s' cannot be had there",
                             n->name, address_text(wanted, true, j->dns));
        return 0;
    }
    if (pool_take(n, j->guest, j->mac, sets, wanted, &j->address, err) < 0)
        return -1;
    take_gateways(n, j);
    if (j->gateway6.family)
        pool_address6(n, j->mac, &j->address6);
    if (n->kind == NET_ISOLATED)
        j->gateway = j->gateway6 = (struct address){0};
    for (unsigned i = 0; i < n->address_count && !j->dns[0]; i++)
        if (address_contains(&n->addresses[i], &j->address))
            address_text(&n->addresses[i], true, j->dns);
    snprintf(j->domain, sizeof(j->domain), "%s", n->domain ? n->domain : "");
    return 0;
}

/* A port of a smaller MTU would make that the bridge's. */
static int use_bridge(struct join *j, struct error *err)
{
    struct link bridge;

    if (!j->bridge[0] || j->mtu)
        return 0;
    if (link_look(j->bridge, &bridge, err) < 0)
        return -1;
    j->mtu = bridge.mtu;
    return 0;
}

int network_join(const char *network, const char *guest, unsigned card, const uint8_t mac[6],
                 bool sets, const struct address *wanted, struct join *out, struct error *err)
{
    cleanup_network struct network *n = NULL;

    *out = (struct join){.card = card};
    if (network_load(network, &n, err) < 0)
        return -1;
    snprintf(out->network, sizeof(out->network), "%s", n->name);
    snprintf(out->guest, sizeof(out->guest), "%s", guest);
    memcpy(out->mac, mac, sizeof(out->mac));
    out->kind = n->kind;
    out->mtu = n->mtu;
    out->isolate = n->isolate;
    out->guard = n->guard;
    out->hairpin = firewall_needs_hairpin(n);
    if (n->kind != NET_USER)
        network_port_name(guest, card, out->port);
    if (net_kind_has_bridge(n->kind))
        snprintf(out->bridge, sizeof(out->bridge), "%s", n->name);
    if (n->kind == NET_DIRECT)
        snprintf(out->parent, sizeof(out->parent), "%s", n->port);
    /* What a former life left, whose keeper may have been killed. */
    if (network_leave(network, guest, card, err) < 0 || make_ports(network, err) < 0 ||
        take_addresses(n, sets, wanted, out, err) < 0 || write_record(out, err) < 0)
        return -1;
    /* From here on who would take the network down sees that it is used. */
    if (bring_up(n, err) == 0 && use_bridge(out, err) == 0 && firewall_forwards(n, guest, err) == 0)
        return 0;
    network_leave(network, guest, card, NULL);
    return -1;
}

int network_attach(const struct join *j, const char *port, struct error *err)
{
    struct address addresses[PORT_ADDRESSES];
    unsigned count = 0;

    if (!j->bridge[0])
        return 0;
    if (j->address.family)
        addresses[count++] = j->address;
    if (j->address6.family)
        addresses[count++] = j->address6;
    if (j->guard && firewall_guard(j->network, port, j->mac, addresses, count, err) < 0)
        return -1;
    return link_make_port(port, j->bridge, j->isolate, j->hairpin, err);
}

int network_put_back(const struct network *n, struct error *err)
{
    cleanup_free char *path = ports_path(n->name);
    const bool hairpin = firewall_needs_hairpin(n);
    DIR *dir = net_kind_has_bridge(n->kind) ? opendir(path) : NULL;
    int ret = 0;

    if (!dir)
        return 0;
    for (const struct dirent *e; (e = readdir(dir));) {
        struct error *why = ret < 0 ? NULL : err; /* the first is told */
        cleanup_free char *file = xasprintf("%s/%s", path, e->d_name);
        struct record r;
        if (e->d_name[0] == '.' || read_record(file, &r, NULL) < 0 || !r.port[0] ||
            !if_nametoindex(r.port))
            continue;
        if ((n->guard &&
             firewall_guard(n->name, r.port, r.mac, r.addresses, r.address_count, why) < 0) ||
            link_make_port(r.port, n->name, n->isolate, hairpin, why) < 0)
            ret = -1;
    }
    closedir(dir);
    return ret;
}

/* ---- leaving ---- */

static int leave(const char *network, const char *path, struct error *err)
{
    struct error why = {0};
    struct record r;

    if (read_record(path, &r, &why) < 0) {
        if (why.code == ENOENT)
            return 0;
        return error_set(err, why.code, "%s", why.text);
    }
    if (r.port[0]) {
        if (firewall_unguard(network, r.port, r.mac, r.addresses, r.address_count, err) < 0)
            return -1;
        if (link_delete(r.port, &why) < 0 && why.code != ENODEV && why.code != EINVAL)
            return error_set(err, why.code, "%s", why.text);
    }
    return unlink(path) == 0 || errno == ENOENT ? 0 : error_set(err, errno, "remove '%s'", path);
}

int network_leave(const char *network, const char *guest, unsigned card, struct error *err)
{
    cleanup_free char *path = port_path(network, guest, card);

    return leave(network, path, err);
}

static bool is_in(const char *network, const char *guest, unsigned card)
{
    cleanup_free char *path = port_path(network, guest, card);

    return access(path, F_OK) == 0;
}

static int leave_network(const char *network, const char *guest, bool forever, struct error *err)
{
    bool any = false;
    int ret = 0;

    for (unsigned card = 0; card < CARDS_MOST; card++) {
        if (!is_in(network, guest, card))
            continue;
        any = true;
        if (network_leave(network, guest, card, ret < 0 ? NULL : err) < 0)
            ret = -1;
    }
    if (any && forever && pool_release(network, guest, ret < 0 ? NULL : err) < 0)
        ret = -1;
    return ret;
}

int network_forget_guest(const char *guest, struct error *err)
{
    char **names = NULL;
    int ret = 0;

    network_names(&names);
    for (char **n = names; n && *n; n++)
        if (pool_release(*n, guest, ret < 0 ? NULL : err) < 0)
            ret = -1;
    strv_free(names);
    return ret;
}

int network_leave_all(const char *guest, bool forever, struct error *err)
{
    cleanup_free char *path = xasprintf("%s/.networks", place_run());
    DIR *dir = opendir(path);
    int ret = 0;

    if (!dir)
        return errno == ENOENT ? 0 : error_set(err, errno, "open '%s'", path);
    for (const struct dirent *e; (e = readdir(dir));) {
        if (network_name_check(e->d_name, NULL) == 0 &&
            leave_network(e->d_name, guest, forever, ret < 0 ? NULL : err) < 0)
            ret = -1;
    }
    closedir(dir);
    return ret;
}

/* ---- of the kind user ---- */

static char *passt_forward(const struct net_forward *f)
{
    const unsigned more = f->last - f->first;
    char text[ADDRESS_TEXT] = "";

    if (f->from.family)
        address_text(&f->from, true, text);
    const bool v6 = f->from.family == AF_INET6;
    return xasprintf("%s:%s%s%s%s%u-%u:%u-%u", f->udp ? "udp" : "tcp", v6 ? "[" : "", text,
                     v6 ? "]" : "", *text ? ":" : "", f->first, f->last, f->to, f->to + more);
}

char **network_user_forwards(const char *network, const char *guest)
{
    cleanup_network struct network *n = NULL;
    char **all = NULL;
    size_t count = 0;

    if (network_load(network, &n, NULL) < 0)
        return NULL;
    for (unsigned i = 0; i < n->forward_count; i++)
        if (str_eq(n->forwards[i].guest, guest)) {
            all = xrealloc(all, count + 2, sizeof(*all));
            all[count++] = passt_forward(&n->forwards[i]);
            all[count] = NULL;
        }
    return all;
}

/* ---- who is there ---- */

static int by_name(const void *a, const void *b)
{
    const struct member *m = a, *o = b;
    const int order = strcmp(m->guest, o->guest);

    return order ? order : (m->card > o->card) - (m->card < o->card);
}

int network_members(const char *network, struct member **out, size_t *count, struct error *err)
{
    cleanup_free char *path = ports_path(network);
    DIR *dir = opendir(path);

    *out = NULL;
    *count = 0;
    if (!dir)
        return errno == ENOENT ? 0 : error_set(err, errno, "open '%s'", path);
    for (const struct dirent *e; (e = readdir(dir));) {
        struct member m = {0};
        struct record r;
        if (e->d_name[0] == '.' || !split_name(e->d_name, &m))
            continue;
        cleanup_free char *file = xasprintf("%s/%s", path, e->d_name);
        if (read_record(file, &r, NULL) < 0)
            continue;
        memcpy(m.port, r.port, sizeof(m.port));
        memcpy(m.mac, r.mac, sizeof(m.mac));
        if (r.address_count)
            m.address = r.addresses[0];
        *out = xrealloc(*out, *count + 1, sizeof(**out));
        (*out)[(*count)++] = m;
    }
    closedir(dir);
    if (*count)
        qsort(*out, *count, sizeof(**out), by_name);
    return 0;
}
