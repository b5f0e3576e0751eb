/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a definition leaves open is decided once, when the network is created, and written into it.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/util.h"
#include "net/kinds.h"

#define SUBNET_PREFIX 24

/* The host's addresses, and those that other definitions have, whether they are up or not. */
static struct host with_definitions(const struct host *h, const char *but)
{
    struct host all = *h;
    char **names;

    network_names(&names);
    const size_t room = h->address_count + strv_len(names) * NET_ADDRESSES;
    all.addresses = xcalloc(room + 1, sizeof(*all.addresses));
    for (size_t i = 0; i < h->address_count; i++)
        all.addresses[i] = h->addresses[i];
    for (char **n = names; *n; n++) {
        cleanup_network struct network *other = NULL;
        if (str_eq(*n, but) || network_load(*n, &other, NULL) < 0)
            continue;
        for (unsigned i = 0; i < other->address_count; i++)
            all.addresses[all.address_count++].address = other->addresses[i];
    }
    strv_free(names);
    return all;
}

/*
 * A network of RFC 4193, 3. Its 40 bits are a hash of what is this host's alone and the name: a plan
 * that was shown before the network was created shows the same one.
 */
static int choose_six(const char *name, struct conf *conf, struct error *err)
{
    struct address a = {.family = AF_INET6, .prefix = 64, .bytes = {0xfd}};
    cleanup_free char *host = NULL;
    char text[ADDRESS_TEXT];
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

    file_read_at(AT_FDCWD, "/etc/machine-id", 256, &host, NULL, NULL);
    if (!host || !*host) {
        free(steal_ptr(host));
        if (file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 256, &host, NULL, err) < 0)
            return error_wrap(err, "choose a subnet of IPv6");
    }
    cleanup_free char *seed = xasprintf("%s/%s/rfc4193", host, name);
    for (const char *p = seed; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 0x100000001b3;
    for (unsigned i = 0; i < 5; i++)
        a.bytes[1 + i] = (uint8_t)(hash >> (8 * i));
    a.bytes[15] = 1;
    conf_add(conf, "net.address", address_text(&a, false, text));
    return 0;
}

static int choose_addresses(const char *name, struct conf *conf, const struct host *h,
                            struct error *err)
{
    struct host all = with_definitions(h, name);
    struct address a;
    char text[ADDRESS_TEXT];
    int rc = host_free_subnet(&all, SUBNET_PREFIX, &a, err);

    free(all.addresses);
    if (rc < 0)
        return -1;
    a = address_add(&a, 1);
    conf_add(conf, "net.address", address_text(&a, false, text));
    return access("/proc/net/if_inet6", F_OK) == 0 ? choose_six(name, conf, err) : 0;
}

/* The larger side of the host's own address. */
static void choose_range(struct conf *conf, const struct address *own)
{
    struct address net = address_network(own), first = address_add(&net, 1), last = net;
    char from[ADDRESS_TEXT], to[ADDRESS_TEXT];

    for (unsigned bit = own->prefix; bit < 31; bit++)
        last.bytes[bit / 8] |= (uint8_t)(0x80u >> (bit % 8)); /* all but the broadcast address */
    if (address_distance(own, &last) >= address_distance(&first, own))
        first = address_add(own, 1);
    else
        last = address_add(own, -1);
    if (!first.family || !last.family || address_distance(&first, &last) < 0)
        return;
    cleanup_free char *range =
        xasprintf("%s-%s", address_text(&first, true, from), address_text(&last, true, to));
    conf_set(conf, "net.dhcp", range);
}

/* RFC 1123 has no '_', and a '.' would part the name. ".internal" is nobody's. */
static void choose_domain(struct conf *conf, const char *name)
{
    cleanup_free char *domain = xasprintf("%s.internal", name);
    const size_t len = strlen(name);

    for (size_t i = 0; i < len; i++)
        domain[i] =
            isalnum((unsigned char)domain[i]) ? (char)tolower((unsigned char)domain[i]) : '-';
    for (size_t i = len; i-- > 0 && domain[i] == '-';)
        domain[i] = 'x'; /* a label does not end with a hyphen */
    conf_set(conf, "net.domain", domain);
}

int network_complete(const char *name, struct conf *conf, const struct host *h, struct error *err)
{
    const char *text = conf_get(conf, "net.kind");
    struct address a = {0};
    const struct conf_line *l;
    enum net_kind kind;

    if (!text)
        return error_set(err, 0, "the network '%s' has no net.kind", name);
    if (net_kind_parse(text, &kind, err) < 0)
        return -1;
    if (!net_kind_has_server(kind))
        return 0;
    if (!conf_get(conf, "net.address") && choose_addresses(name, conf, h, err) < 0)
        return -1;
    conf_for_each (conf, "net.address", l)
        if (a.family != AF_INET && address_parse(l->value, &a, err) < 0)
            return -1;
    if (a.family == AF_INET && !conf_get(conf, "net.dhcp"))
        choose_range(conf, &a);
    if (!conf_get(conf, "net.domain"))
        choose_domain(conf, name);
    return 0;
}
