/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may send what: the elements of a network's sets (firewall.h) that are of one port, made, taken
 * out, and told as a script.
 */
#include "net/firewall_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/firewall.h"
#include "net/nfnl.h"
#include "net/pool.h"

const uint8_t firewall_link_local[8] = {0xfe, 0x80};

/*
 * What nearly each packet is looked for in: with a size it is the kernel's plain hash table, which is
 * quicker. A bridge has 1023 ports at most.
 */
#define SIZED "size 8192"

const struct firewall_set firewall_sets[FIREWALL_SETS] = {
    {"ports", "type iface_index", ""},
    {"fixed", "type iface_index", ""},
    {"self", "type iface_index . iface_index", "i"},
    {"macs", "type iface_index . ether_addr", "m"},
    {"four", "type iface_index . ipv4_addr", "4"},
    {"clients", "typeof iif . @th,288,48", "h"},
    {"six", "type iface_index . ipv6_addr", "6"},
    {"taken", "type ipv6_addr", "6"},
    {"nd", "typeof iif . @th,64,128", "x"},
    {"ndtaken", "typeof @th,64,128", "x"},
    {"own4", "typeof iif . @ll,48,64 . @nh,96,32; " SIZED, "lw"},
    {"own6", "typeof iif . @ll,48,64 . @nh,64,128; " SIZED, "lx"},
};

#define ELEMENTS_MAX 64u

struct elements {
    const char *network;
    uint32_t port; /* its index */
    struct nfnl_element all[ELEMENTS_MAX];
    size_t count;
};

/* An element of one of the network's sets: the port's index, unless `bare`, and a value. */
static void add(struct elements *e, const char *set, bool bare, const void *value, size_t len)
{
    if (e->count == ELEMENTS_MAX)
        return;
    struct nfnl_element *x = &e->all[e->count++];
    *x = (struct nfnl_element){0};
    snprintf(x->set, sizeof(x->set), "%s-%s", set, e->network);
    if (!bare) {
        memcpy(x->key, &e->port, sizeof(e->port));
        x->len = sizeof(e->port);
    }
    if (len)
        memcpy(x->key + x->len, value, len);
    x->len += (len + 3) & ~(size_t)3; /* each part of a key fills whole registers of 32 bits */
}

/* What most of its packets begin with: who sent it, what it is, and from which address. */
static void add_own(struct elements *e, const uint8_t mac[6], bool six, const uint8_t *address)
{
    uint8_t value[6 + 2 + 16] = {0};
    const size_t len = six ? 16 : 4;

    memcpy(value, mac, 6);
    value[6] = six ? 0x86 : 0x08; /* ETH_P_IPV6, ETH_P_IP */
    value[7] = six ? 0xdd : 0x00;
    memcpy(value + 8, address, len);
    add(e, six ? "own6" : "own4", false, value, 8 + len);
}

static void add_six(struct elements *e, bool ported, const uint8_t mac[6],
                    const uint8_t address[16])
{
    if (ported) {
        add(e, "six", false, address, 16);
        add(e, "nd", false, address, 16);
        add_own(e, mac, true, address);
    }
    add(e, "taken", true, address, 16);
    add(e, "ndtaken", true, address, 16);
}

/* All elements of a guest's port; of a port that is gone only those that do not name it. */
static void collect(struct elements *e, bool ported, const uint8_t mac[6],
                    const struct address *addresses, unsigned count)
{
    uint8_t six[16], own[16];

    if (ported) {
        add(e, "ports", false, NULL, 0);
        add(e, "macs", false, mac, 6);
        add(e, "self", false, &e->port, sizeof(e->port));
    }
    if (ported && count) {
        add(e, "fixed", false, NULL, 0);
        add(e, "clients", false, mac, 6);
    }
    if (!count)
        return;
    pool_address6_in(firewall_link_local, mac, six);
    add_six(e, ported, mac, six);
    for (unsigned i = 0; i < count; i++) {
        const struct address *a = &addresses[i];
        if (a->family == AF_INET && ported) {
            add(e, "four", false, a->bytes, 4);
            add_own(e, mac, false, a->bytes);
        }
        if (a->family != AF_INET6)
            continue;
        add_six(e, ported, mac, a->bytes);
        if (a->prefix == 64) {
            pool_address6_in(a->bytes, mac, own);
            if (memcmp(own, a->bytes, 16) != 0)
                add_six(e, ported, mac, own);
            for (unsigned s = 1; s <= POOL_SPARES; s++) {
                pool_spare6(own, s, six);
                add_six(e, ported, mac, six);
            }
        }
    }
}

int firewall_guard(const char *network, const char *port, const uint8_t mac[6],
                   const struct address *addresses, unsigned count, struct error *err)
{
    struct elements e = {.network = network, .port = if_nametoindex(port)};

    if (!e.port)
        return error_set(err, ENODEV, "guard the port '%s'", port);
    collect(&e, true, mac, addresses, count);
    if (nfnl_add(NFPROTO_BRIDGE, FIREWALL_TABLE, e.all, e.count, err) == 0)
        return 0;
    const bool gone = err && err->code == ENOENT;
    error_wrap(err, "guard the port '%s' of '%s'", port, network);
    return gone ? error_hint(err,
                             "somebody removed the network's rules: `pult network apply %s` makes "
                             "them anew",
                             network)
                : -1;
}

bool firewall_guards(const char *network, const char *port)
{
    cleanup_free char *set = xasprintf("ports-%s", network);
    struct nfnl_element_list found = {0};
    const uint32_t index = if_nametoindex(port);
    bool guarded = false;

    if (index)
        nfnl_elements(NFPROTO_BRIDGE, FIREWALL_TABLE, set, &found, NULL);
    for (size_t i = 0; i < found.count && !guarded; i++)
        guarded = memcmp(found.all[i].key, &index, sizeof(index)) == 0;
    free(found.all);
    return guarded;
}

/* Take out what is kept of interfaces that are gone. */
static int sweep(const char *network, struct error *err)
{
    struct nfnl_element_list found = {0};
    char name[IFNAMSIZ];
    size_t gone = 0;

    for (size_t i = 0; i < FIREWALL_SETS; i++) {
        cleanup_free char *set = xasprintf("%s-%s", firewall_sets[i].name, network);
        if (!strstr(firewall_sets[i].name, "taken")) /* whose keys have no port */
            nfnl_elements(NFPROTO_BRIDGE, FIREWALL_TABLE, set, &found, NULL);
    }
    for (size_t i = 0; i < found.count; i++) {
        uint32_t index;
        memcpy(&index, found.all[i].key, sizeof(index));
        if (!if_indextoname(index, name))
            found.all[gone++] = found.all[i];
    }
    const int ret = nfnl_delete(NFPROTO_BRIDGE, FIREWALL_TABLE, found.all, gone, err);
    free(found.all);
    return ret;
}

int firewall_unguard(const char *network, const char *port, const uint8_t mac[6],
                     const struct address *addresses, unsigned count, struct error *err)
{
    struct elements e = {.network = network, .port = if_nametoindex(port)};

    collect(&e, e.port != 0, mac, addresses, count);
    if (nfnl_delete(NFPROTO_BRIDGE, FIREWALL_TABLE, e.all, e.count, err) < 0)
        return error_wrap(err, "let go of the port '%s' of '%s'", port, network);
    return e.port ? 0 : sweep(network, err);
}

/* ---- the same as a script ---- */

/* How the parts of a key are written, behind that of the port: a letter, and its bytes. */
static const struct {
    char letter;
    unsigned bytes;
} key_parts[] = {{'i', 4}, {'m', 6}, {'4', 4}, {'6', 16}, {'h', 6}, {'l', 8}, {'w', 4}, {'x', 16}};

static void put_part(FILE *f, char letter, const uint8_t *b, unsigned len, const char *port)
{
    char text[INET6_ADDRSTRLEN];

    if (letter == 'i') {
        fprintf(f, "\"%s\"", port);
    } else if (letter == 'm') {
        fprintf(f, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
    } else if (letter == '4' || letter == '6') {
        fputs(inet_ntop(letter == '4' ? AF_INET : AF_INET6, b, text, sizeof(text)), f);
    } else {
        fputs("0x", f);
        for (unsigned i = 0; i < len; i++)
            fprintf(f, "%02x", b[i]);
    }
}

static void put_element(FILE *f, const char *verb, const struct firewall_set *set,
                        const struct elements *e, const struct nfnl_element *x, const char *port)
{
    const bool bare = strstr(set->name, "taken");
    size_t at = bare ? 0 : sizeof(e->port);

    fprintf(f, "%s element bridge " FIREWALL_TABLE " %s { ", verb, x->set);
    if (!bare)
        fprintf(f, "\"%s\"", port);
    for (const char *p = set->parts; *p; p++) {
        unsigned k = 0;
        while (key_parts[k].letter != *p)
            k++;
        if (at)
            fputs(" . ", f);
        put_part(f, *p, x->key + at, key_parts[k].bytes, port);
        at += (key_parts[k].bytes + 3u) & ~3u;
    }
    fputs(" }\n", f);
}

char *firewall_guard_script(const char *network, const char *port, const uint8_t mac[6],
                            const struct address *addresses, unsigned count, bool undo)
{
    struct elements e = {.network = network};
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    collect(&e, true, mac, addresses, count);
    for (size_t i = 0; f && i < e.count; i++)
        for (size_t k = 0; k < FIREWALL_SETS; k++) {
            const size_t n = strlen(firewall_sets[k].name);
            if (strncmp(e.all[i].set, firewall_sets[k].name, n) == 0 && e.all[i].set[n] == '-')
                put_element(f, undo ? "delete" : "add", &firewall_sets[k], &e, &e.all[i], port);
        }
    if (!f || fclose(f) != 0)
        abort();
    return text;
}
