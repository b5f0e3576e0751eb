/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Definitions of networks: what they mean, which are refused, and where they are kept; see
 * network.h. What a single value must look like its key's check says; what values say of each other
 * is checked below that, one function for each matter; what networks say of each other comes last.
 */
#include "net/network.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "net/link.h"
#include "net/network_private.h"

#define VLAN_MAX 4094u
#define MTU_MIN  68u   /* RFC 791 */
#define MTU_MIN6 1280u /* RFC 8200, 5 */
#define MTU_MAX  65535u

#define BRIDGED (1u << NET_BRIDGE | SERVED)
#define SERVED  (1u << NET_NAT | 1u << NET_ROUTED | 1u << NET_ISOLATED)
#define LAN     (1u << NET_BRIDGE | 1u << NET_DIRECT)

#define RULES_TRIES 250 /* of 20 ms */

static const char *const kind_names[] = {
    [NET_BRIDGE] = "bridge",     [NET_NAT] = "nat",       [NET_ROUTED] = "routed",
    [NET_ISOLATED] = "isolated", [NET_DIRECT] = "direct", [NET_USER] = "user",
};

const char *net_kind_name(enum net_kind kind)
{
    return kind_names[kind];
}

int net_kind_parse(const char *name, enum net_kind *kind, struct error *err)
{
    for (unsigned i = 0; i < NET_KINDS; i++)
        if (str_eq(name, kind_names[i])) {
            *kind = (enum net_kind)i;
            return 0;
        }
    error_set(err, 0, "'%s' is no kind of network", name);
    return error_hint(err, "those are bridge, nat, routed, isolated, direct, user");
}

bool net_kind_has_bridge(enum net_kind kind)
{
    return BRIDGED >> kind & 1;
}

bool net_kind_has_server(enum net_kind kind)
{
    return SERVED >> kind & 1;
}

/* ---- values ---- */

int network_name_check(const char *name, struct error *err)
{
    const size_t len = strlen(name);
    bool ok = len > 0 && len < IFNAMSIZ && isalnum((unsigned char)*name);

    for (const char *p = name; *p && ok; p++)
        ok = isalnum((unsigned char)*p) || strchr("_.-", *p);
    if (ok)
        return 0;
    error_set(err, 0, "'%s' is no name of a network", name);
    return error_hint(err,
                      "those have 1 to %d letters, digits, '_', '.', '-', and begin with a "
                      "letter or digit",
                      IFNAMSIZ - 1);
}

static int is_kind(const char *value, struct error *err)
{
    enum net_kind kind;

    return net_kind_parse(value, &kind, err);
}

static int is_vlan(const char *value, struct error *err)
{
    int64_t n;

    return number_parse(value, 1, VLAN_MAX, &n, err);
}

static int is_mtu(const char *value, struct error *err)
{
    int64_t n;

    return number_parse(value, MTU_MIN, MTU_MAX, &n, err);
}

/* An address that an interface of the host can have in a network of guests. */
static int parse_own(const char *value, struct address *a, struct error *err)
{
    if (address_parse(value, a, err) < 0)
        return -1;
    if (!strchr(value, '/')) {
        error_set(err, 0, "'%s' has no prefix length", value);
        return error_hint(err, "write it as %s/%d", value, a->family == AF_INET ? 24 : 64);
    }
    const uint8_t *b = a->bytes;
    const bool v4 = a->family == AF_INET;
    if (v4 ? b[0] == 0 || b[0] == 127 || b[0] >= 224
           : b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) || (b[0] == 0 && b[1] == 0))
        return error_set(err, 0, "'%s' is of a range that no network can have", value);
    const unsigned bits = v4 ? 32 : 128;
    if (a->prefix < 8)
        return error_set(err, 0, "'%s': the network is too large, its prefix is shorter than 8",
                         value);
    if (a->prefix > bits - 2)
        return 0; /* one address, or both ends of a line: RFC 3021 */
    const struct address net = address_network(a);
    if (address_equal(a, &net)) {
        char text[ADDRESS_TEXT];
        struct address first = address_add(&net, 1);
        error_set(err, 0, "'%s' is the network itself, not an address in it", value);
        return error_hint(err, "%s would be its first", address_text(&first, false, text));
    }
    const struct address next = address_add(a, 1);
    if (v4 && (next.family == 0 || !address_contains(&net, &next)))
        return error_set(err, 0, "'%s' is the network's broadcast address", value);
    return 0;
}

static int is_own(const char *value, struct error *err)
{
    struct address a;

    return parse_own(value, &a, err);
}

static int parse_range(const char *value, struct address *first, struct address *last,
                       struct error *err)
{
    cleanup_free char *copy = xstrdup(value);
    char *dash = strchr(copy, '-');

    *first = *last = (struct address){0};
    if (str_eq(value, "off"))
        return 0;
    if (!dash || strchr(value, '/')) {
        error_set(err, 0, "'%s' is no range of addresses", value);
        return error_hint(err, "write it as 10.87.0.2-10.87.0.254, or off");
    }
    *dash = '\0';
    if (address_parse(str_trim(copy), first, err) < 0 ||
        address_parse(str_trim(dash + 1), last, err) < 0)
        return -1;
    if (first->family != AF_INET || last->family != AF_INET)
        return error_set(err, 0, "'%s': the range is of IPv4; of IPv6 guests make their own",
                         value);
    if (memcmp(first->bytes, last->bytes, 4) > 0)
        return error_set(err, 0, "'%s': the range ends before it begins", value);
    return 0;
}

static int is_range(const char *value, struct error *err)
{
    struct address first, last;

    return parse_range(value, &first, &last, err);
}

/* A domain name of letters, digits and hyphens (RFC 1123, 2.1). */
static int is_domain(const char *value, struct error *err)
{
    const size_t len = strlen(value);
    bool ok = len < 64;
    size_t label = 0;

    for (size_t i = 0; i <= len && ok; i++) {
        const char c = value[i];
        if (c == '.' || c == '\0') {
            ok = label > 0 && value[i - 1] != '-';
            label = 0;
        } else {
            ok = isalnum((unsigned char)c) || (c == '-' && label > 0);
            label++;
        }
    }
    return ok ? 0
              : error_set(err, 0,
                          "'%s' is no domain of at most 63 letters, digits, hyphens and dots",
                          value);
}

/* ---- forwards ---- */

/* Cut off what is before the next ':' that is not in []. NULL where there is nothing more. */
static char *next_part(char **rest)
{
    char *part = *rest, *from = part;

    if (!part)
        return NULL;
    if (*part == '[' && strchr(part, ']'))
        from = strchr(part, ']');
    char *colon = strchr(from, ':');
    if (colon)
        *colon = '\0';
    *rest = colon ? colon + 1 : NULL;
    return part;
}

/* An address, of IPv6 in []. False: it is none. */
static bool parse_host(const char *text, struct address *out)
{
    cleanup_free char *copy = xstrdup(text);
    const size_t len = strlen(copy);
    const bool v6 = *copy == '[' && copy[len - 1] == ']';

    if (v6)
        copy[len - 1] = '\0';
    if (strchr(copy, '/') || address_parse(copy + v6, out, NULL) < 0 ||
        out->family != (v6 ? AF_INET6 : AF_INET)) {
        *out = (struct address){0};
        return false;
    }
    return true;
}

static int parse_ports(const char *text, unsigned *first, unsigned *last, struct error *err)
{
    cleanup_free char *copy = xstrdup(text);
    char *dash = strchr(copy, '-');
    int64_t lo, hi;

    if (dash)
        *dash = '\0';
    if (number_parse(copy, 1, UINT16_MAX, &lo, err) < 0)
        return -1;
    hi = lo;
    if (dash && number_parse(dash + 1, lo, UINT16_MAX, &hi, err) < 0)
        return -1;
    *first = (unsigned)lo;
    *last = (unsigned)hi;
    return 0;
}

/* Who it leads to: an address, or a name of a guest. */
static int parse_guest(const char *text, struct net_forward *f, struct error *err)
{
    char address[ADDRESS_TEXT];
    bool ok = isalnum((unsigned char)*text) && strlen(text) < sizeof(f->guest);

    if (parse_host(text, &f->guest_address)) {
        snprintf(f->guest, sizeof(f->guest), "%s", address_text(&f->guest_address, true, address));
        return 0;
    }
    for (const char *p = text; *p && ok; p++)
        ok = isalnum((unsigned char)*p) || strchr("_.-", *p);
    if (!ok)
        return error_set(err, 0, "'%s' is neither a name of a guest nor an address", text);
    snprintf(f->guest, sizeof(f->guest), "%s", text);
    return 0;
}

int net_forward_parse(const char *text, struct net_forward *f, struct error *err)
{
    cleanup_free char *copy = xstrdup(text);
    char *rest = copy;
    unsigned last;

    *f = (struct net_forward){.text = text};
    const char *protocol = next_part(&rest), *part = next_part(&rest);
    if (!str_eq(protocol, "tcp") && !str_eq(protocol, "udp"))
        return error_set(err, 0, "'%s' begins with neither tcp: nor udp:", text);
    f->udp = *protocol == 'u';
    if (part && parse_host(part, &f->from))
        part = next_part(&rest);
    const char *guest = next_part(&rest), *to = next_part(&rest);
    if (!part || !guest || rest) {
        error_set(err, 0, "'%s' is no forward", text);
        return error_hint(err, "write it as tcp:8080:GUEST:80, or tcp:ADDRESS:8080:GUEST:80");
    }
    if (parse_ports(part, &f->first, &f->last, err) < 0)
        return error_wrap(err, "'%s': port", text);
    if (parse_guest(guest, f, err) < 0)
        return error_wrap(err, "'%s'", text);
    f->to = f->first;
    if (!to)
        return 0;
    if (parse_ports(to, &f->to, &last, err) < 0)
        return error_wrap(err, "'%s': port of the guest", text);
    if (last != f->to && last - f->to != f->last - f->first)
        return error_set(err, 0, "'%s': the two ranges of ports are not of the same length", text);
    if (f->to + (f->last - f->first) > UINT16_MAX)
        return error_set(err, 0, "'%s': the guest has no ports above %d", text, UINT16_MAX);
    return 0;
}

int net_is_forward(const char *value, struct error *err)
{
    struct net_forward f;

    return net_forward_parse(value, &f, err);
}

const struct conf_key network_keys[] = {
    {.name = "net.kind",
     .check = is_kind,
     .help = "what it is: bridge, nat, routed, isolated, direct or user"},
    {.name = "net.port", .check = link_name_check, .help = "the NIC that leads out of it"},
    {.name = "net.vlan", .check = is_vlan, .help = "the VLAN on that NIC, 1 to 4094"},
    {.name = "net.mtu", .check = is_mtu, .help = "the largest packet, in bytes"},
    {.name = "net.address",
     .check = is_own,
     .list = true,
     .help = "an address of the host in it, with prefix length: 10.87.0.1/24"},
    {.name = "net.dhcp",
     .check = is_range,
     .help = "the addresses that guests get: FIRST-LAST or off"},
    {.name = "net.domain", .check = is_domain, .help = "the domain of its guests' names"},
    {.name = "net.isolate", .check = conf_is_bool, .help = "guests do not reach each other"},
    {.name = "net.guard",
     .check = conf_is_bool,
     .help = "guests cannot take each other's addresses"},
    {.name = "net.mend",
     .check = conf_is_bool,
     .help = "other firewalls are told to let its packets pass, as long as it is up"},
    {.name = "net.autostart", .check = conf_is_bool, .help = "it comes up with the host"},
    {.name = "net.forward",
     .check = net_is_forward,
     .list = true,
     .help = "a port of the host that leads to a guest: tcp:8080:web1:80"},
    {.name = "net.tap",
     .check = net_is_tap,
     .list = true,
     .help = "a tap for a user's own guests: tap-bob,user=bob"},
    {0},
};
static const struct conf_key *const tables[] = {network_keys, NULL};

/* ---- what the values say of each other ---- */

/* Which keys have a meaning for which kinds; all others have one for all. */
static const struct {
    const char *key;
    unsigned kinds;
} belongs[] = {
    {"net.port", LAN},        {"net.vlan", LAN},
    {"net.address", BRIDGED}, {"net.dhcp", SERVED},
    {"net.domain", SERVED},   {"net.isolate", BRIDGED},
    {"net.guard", BRIDGED},   {"net.forward", 1u << NET_NAT | 1u << NET_ROUTED | 1u << NET_USER},
    {"net.tap", BRIDGED},
};

static int check_belongs(const struct network *n, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(belongs); i++) {
        const char *value = conf_get(n->conf, belongs[i].key);
        if (!value || belongs[i].kinds >> n->kind & 1)
            continue;
        error_set(err, 0, "%s has no meaning for a network of kind %s", belongs[i].key,
                  kind_names[n->kind]);
        if (str_eq(belongs[i].key, "net.port") && net_kind_has_server(n->kind))
            error_hint(err, "its way out is the host's own: leave the key away");
        else if (str_eq(belongs[i].key, "net.forward") && n->kind == NET_BRIDGE)
            error_hint(err, "its guests are reached with their own addresses");
        else if (str_eq(belongs[i].key, "net.tap"))
            error_hint(err, "it has no bridge that a tap could be a port of");
        return -1;
    }
    return 0;
}

static int check_port(const struct network *n, struct error *err)
{
    if (n->kind == NET_DIRECT && !*n->port)
        return error_set(err, 0, "a network of kind direct needs net.port, the NIC it is on");
    if (n->vlan && !*n->port)
        return error_set(err, 0, "net.vlan needs net.port, the NIC that has the VLAN");
    if (*n->port && str_eq(n->port, n->name))
        return error_set(err, 0, "net.port is '%s', as the network's own bridge is called",
                         n->port);
    return 0;
}

static int check_addresses(const struct network *n, struct error *err)
{
    char a[ADDRESS_TEXT], b[ADDRESS_TEXT];

    for (unsigned i = 0; i < n->address_count; i++) {
        const struct address *x = &n->addresses[i];
        const bool v6 = x->family == AF_INET6;
        address_text(x, false, a);
        if (v6 && n->mtu && n->mtu < MTU_MIN6)
            return error_set(err, 0, "net.mtu: IPv6 (%s) needs at least %u", a, MTU_MIN6);
        if (net_kind_has_server(n->kind) && v6 && x->prefix != 64)
            return error_set(err, 0,
                             "net.address %s: guests make addresses of their own in networks of "
                             "prefix length 64 only",
                             a);
        if (net_kind_has_server(n->kind) && !v6 && x->prefix > 30)
            return error_set(err, 0, "net.address %s: there is no room for guests", a);
        for (unsigned j = 0; j < i; j++)
            if (address_overlap(x, &n->addresses[j]))
                return error_set(err, 0, "net.address: %s and %s overlap",
                                 address_text(&n->addresses[j], false, b), a);
    }
    return 0;
}

/* The address of the host in whose network this one is, or NULL. */
static const struct address *within(const struct network *n, const struct address *a)
{
    for (unsigned i = 0; i < n->address_count; i++)
        if (n->addresses[i].family == a->family && address_contains(&n->addresses[i], a))
            return &n->addresses[i];
    return NULL;
}

static int check_range(const struct network *n, struct error *err)
{
    char text[ADDRESS_TEXT], of[ADDRESS_TEXT];

    if (!n->dhcp_first.family)
        return 0;
    const struct address *own = within(n, &n->dhcp_first);
    if (!own || within(n, &n->dhcp_last) != own) {
        error_set(err, 0, "net.dhcp: %s is in no network of net.address",
                  address_text(own ? &n->dhcp_last : &n->dhcp_first, true, text));
        return -1;
    }
    address_text(own, false, of);
    if (address_distance(&n->dhcp_first, own) >= 0 && address_distance(own, &n->dhcp_last) >= 0) {
        struct address next = address_add(own, 1);
        error_set(err, 0, "net.dhcp: the range has the host's own address, %s", of);
        if (next.family)
            error_hint(err, "let it begin with %s", address_text(&next, true, text));
        return -1;
    }
    const struct address net = address_network(own);
    struct address last = n->dhcp_last;
    last.prefix = own->prefix;
    if (address_equal(&net, &n->dhcp_first) || address_add(&last, 1).family == 0)
        return error_set(err, 0, "net.dhcp: the first and the last address of %s are no guest's",
                         of);
    return 0;
}

/* Which family a forward is of. A guest that is named is led to by IPv4, unless it says otherwise. */
static int forward_family(const struct net_forward *f)
{
    if (f->from.family)
        return f->from.family;
    return f->guest_address.family ? f->guest_address.family : AF_INET;
}

/* Would a packet fit both? */
static bool forwards_clash(const struct net_forward *a, const struct net_forward *b)
{
    return a->udp == b->udp && a->first <= b->last && b->first <= a->last &&
           forward_family(a) == forward_family(b) &&
           (!a->from.family || !b->from.family || address_equal(&a->from, &b->from));
}

static int check_forward(const struct network *n, const struct net_forward *f, struct error *err)
{
    const struct address *guest = &f->guest_address;

    if (guest->family && f->from.family && guest->family != f->from.family)
        return error_set(err, 0, "net.forward %s: from IPv4 to IPv6, or back, leads no way",
                         f->text);
    if (n->kind == NET_USER)
        return guest->family ? error_set(err, 0,
                                         "net.forward %s: a network of kind user knows its guests "
                                         "by name only",
                                         f->text)
                             : 0;
    if (guest->family && n->address_count) {
        const struct address *own = within(n, guest);
        if (!own)
            return error_set(err, 0, "net.forward %s: %s is not in this network", f->text,
                             f->guest);
        if (address_equal(own, guest))
            return error_set(err, 0, "net.forward %s: %s is the host itself", f->text, f->guest);
    }
    if (f->from.family == AF_INET && f->from.bytes[0] == 127)
        return error_set(err, 0, "net.forward %s: what is sent to 127.0.0.1 never leaves the host",
                         f->text);
    return 0;
}

static int check_forwards(const struct network *n, struct error *err)
{
    for (unsigned i = 0; i < n->forward_count; i++) {
        if (check_forward(n, &n->forwards[i], err) < 0)
            return -1;
        for (unsigned j = 0; j < i; j++)
            if (forwards_clash(&n->forwards[j], &n->forwards[i]))
                return error_set(err, 0, "net.forward: %s and %s are of the same port of the host",
                                 n->forwards[j].text, n->forwards[i].text);
    }
    return 0;
}

/* ---- a definition ---- */

static unsigned number_of(const struct conf *conf, const char *key)
{
    const char *value = conf_get(conf, key);

    return value ? (unsigned)strtoul(value, NULL, 10) : 0;
}

static int read_lists(struct network *n, struct error *err)
{
    const struct conf_line *l;

    conf_for_each (n->conf, "net.address", l) {
        if (n->address_count == NET_ADDRESSES)
            return error_set(err, 0, "net.address: there can be at most %u", NET_ADDRESSES);
        if (parse_own(l->value, &n->addresses[n->address_count++], err) < 0)
            return -1;
    }
    conf_for_each (n->conf, "net.forward", l) {
        if (n->forward_count == NET_FORWARDS)
            return error_set(err, 0, "net.forward: there can be at most %u", NET_FORWARDS);
        if (net_forward_parse(l->value, &n->forwards[n->forward_count++], err) < 0)
            return -1;
    }
    conf_for_each (n->conf, "net.tap", l) {
        if (n->tap_count == NET_TAPS)
            return error_set(err, 0, "net.tap: there can be at most %u", NET_TAPS);
        if (net_tap_parse(n->name, l->value, &n->taps[n->tap_count++], err) < 0)
            return -1;
    }
    return 0;
}

/* Fill in what the conf says. Each value by itself was checked. */
static int read_values(struct network *n, struct error *err)
{
    const char *kind = conf_get(n->conf, "net.kind"), *value;

    if (!kind) {
        error_set(err, 0, "it has no net.kind");
        return error_hint(err, "those are bridge, nat, routed, isolated, direct, user");
    }
    if (net_kind_parse(kind, &n->kind, err) < 0)
        return -1;
    value = conf_get(n->conf, "net.port");
    snprintf(n->port, sizeof(n->port), "%s", value ? value : "");
    n->vlan = number_of(n->conf, "net.vlan");
    n->mtu = number_of(n->conf, "net.mtu");
    n->domain = conf_get(n->conf, "net.domain");
    n->isolate = conf_true(conf_get(n->conf, "net.isolate"));
    n->autostart = conf_true(conf_get(n->conf, "net.autostart"));
    value = conf_get(n->conf, "net.guard");
    n->guard = value ? conf_true(value) : net_kind_has_server(n->kind);
    value = conf_get(n->conf, "net.dhcp");
    if (value && parse_range(value, &n->dhcp_first, &n->dhcp_last, err) < 0)
        return -1;
    return read_lists(n, err);
}

int network_from_conf(const char *name, struct conf *conf, struct network **out, struct error *err)
{
    static int (*const checks[])(const struct network *,
                                 struct error *) = {check_belongs, check_port,     check_addresses,
                                                    check_range,   check_forwards, net_check_taps};
    cleanup_network struct network *n = xcalloc(1, sizeof(*n));

    n->conf = conf;
    if (network_name_check(name, err) < 0 || conf_check(conf, tables, NULL, NULL, err) < 0)
        return -1;
    snprintf(n->name, sizeof(n->name), "%s", name);
    if (read_values(n, err) < 0)
        return error_wrap(err, "the network '%s'", name);
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
        if (checks[i](n, err) < 0)
            return error_wrap(err, "the network '%s'", name);
    *out = steal_ptr(n);
    return 0;
}

void network_free(struct network *n)
{
    if (!n)
        return;
    conf_free(n->conf);
    free(n);
}

void network_freep(struct network **n)
{
    network_free(*n);
}

/* ---- where they are kept ---- */

char *network_run_path(const char *name, const char *file)
{
    return xasprintf("%s/.networks/%s%s%s", place_run(), name, file ? "/" : "", file ? file : "");
}

char *network_home_path(const char *name, const char *suffix)
{
    return xasprintf("%s/networks/%s.%s", place_home(), name, suffix);
}

/* Let others pass through a directory of ours, or read it too. */
static int open_up(const char *path, mode_t mode, struct error *err)
{
    struct stat st;

    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return error_set(err, ENOTDIR, "use '%s', which is no directory of yours,", path);
    if ((st.st_mode & mode) == mode || chmod(path, (st.st_mode & 07777) | mode) == 0)
        return 0;
    return error_set(err, errno, "change the mode of '%s'", path);
}

int network_run_make(const char *name, struct error *err)
{
    const bool root = geteuid() == 0;
    cleanup_free char *all = xasprintf("%s/.networks", place_run());
    cleanup_free char *dir = network_run_path(name, NULL);

    if (dir_make(place_run(), root ? 0711 : 0700, err) < 0 || dir_make(all, 0755, err) < 0 ||
        dir_make(dir, 0755, err) < 0)
        return -1;
    if (!root)
        return 0;
    return open_up(place_run(), 0711, err) < 0 || open_up(all, 0755, err) < 0
               ? -1
               : open_up(dir, 0755, err);
}

static int by_string(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

size_t network_names(char ***out)
{
    cleanup_free char *path = xasprintf("%s/networks", place_home());
    cleanup_closedir DIR *d = opendir(path);
    char **names = xcalloc(1, sizeof(*names));
    size_t count = 0;

    for (const struct dirent *e; d && (e = readdir(d));) {
        const size_t len = strlen(e->d_name);
        if (len <= 5 || !str_eq(e->d_name + len - 5, ".conf"))
            continue;
        cleanup_free char *name = xstrndup(e->d_name, len - 5);
        if (network_name_check(name, NULL) < 0)
            continue;
        names = xrealloc(names, count + 2, sizeof(*names));
        names[count++] = steal_ptr(name);
        names[count] = NULL;
    }
    qsort(names, count, sizeof(*names), by_string);
    *out = names;
    return count;
}

static int no_such(const char *name, struct error *err)
{
    char **names;
    const size_t count = network_names(&names);
    const char *near = str_nearest(name, (const char *const *)names, count);

    error_set(err, 0, "there is no network '%s'", name);
    if (near)
        error_hint(err, "did you mean '%s'?", near);
    else
        error_hint(err, "`pult network create %s` makes one", name);
    strv_free(names);
    if (err)
        err->code = ENOENT;
    return -1;
}

int network_load(const char *name, struct network **out, struct error *err)
{
    struct conf *conf;

    if (network_name_check(name, err) < 0)
        return -1;
    cleanup_free char *path = network_home_path(name, "conf");
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return no_such(name, err);
    if (conf_read(path, &conf, err) < 0)
        return -1;
    return network_from_conf(name, conf, out, err);
}

/* ---- what they say of each other ---- */

static int check_pair(const struct network *n, const struct network *o, struct error *err)
{
    char a[ADDRESS_TEXT], b[ADDRESS_TEXT];

    for (unsigned i = 0; i < n->address_count; i++)
        for (unsigned j = 0; j < o->address_count; j++)
            if (address_overlap(&n->addresses[i], &o->addresses[j]))
                return error_set(err, 0, "net.address: %s overlaps with %s of the network '%s'",
                                 address_text(&n->addresses[i], false, a),
                                 address_text(&o->addresses[j], false, b), o->name);
    for (unsigned i = 0; i < n->forward_count; i++)
        for (unsigned j = 0; j < o->forward_count; j++)
            if (forwards_clash(&n->forwards[i], &o->forwards[j]))
                return error_set(err, 0,
                                 "net.forward: %s is of the same port of the host as %s of the "
                                 "network '%s'",
                                 n->forwards[i].text, o->forwards[j].text, o->name);
    if (*n->port && str_eq(n->port, o->port) && n->vlan == o->vlan &&
        (n->kind != NET_DIRECT || o->kind != NET_DIRECT))
        return error_set(err, 0, "net.port: the network '%s' has '%s' already", o->name, o->port);
    return net_check_taps_pair(n, o, err);
}

/* One whose definition is broken says nothing of others. */
int network_check_others(const struct network *n, struct error *err)
{
    char **names;
    int ret = net_check_owners(n, err);

    network_names(&names);
    for (char **name = names; *name && ret == 0; name++) {
        cleanup_network struct network *o = NULL;
        if (!str_eq(*name, n->name) && network_load(*name, &o, NULL) == 0)
            ret = check_pair(n, o, err);
    }
    strv_free(names);
    return ret < 0 ? error_wrap(err, "the network '%s'", n->name) : 0;
}

/* ---- changes ---- */

int networks_lock(struct error *err)
{
    cleanup_free char *path = xasprintf("%s/networks", place_home());

    if (dir_make(path, 0700, err) < 0)
        return error_wrap(err, "prepare the store of networks");
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = -1;
    while (fd >= 0 && (rc = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
        ;
    if (rc < 0)
        return error_set(err, errno, "lock '%s'", path);
    /* Of one that was killed a program may still be at work. */
    cleanup_close int rules = networks_rules_lock();
    (void)rules;
    return steal_fd(fd);
}

/* One that hangs, and has nobody left to end it, must not keep the way back from being gone. */
int networks_rules_lock(void)
{
    cleanup_close int fd = open(place_home(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = -1;

    for (unsigned i = 0; fd >= 0 && i < RULES_TRIES && (rc = flock(fd, LOCK_EX | LOCK_NB)) < 0; i++)
        usleep(20000);
    return rc < 0 ? -1 : steal_fd(fd);
}

int network_store(const char *name, const struct conf *conf, bool fresh, struct error *err)
{
    size_t len;
    struct conf *copy;
    cleanup_network struct network *n = NULL;

    if (network_name_check(name, err) < 0)
        return -1;
    cleanup_free char *path = network_home_path(name, "conf");
    cleanup_free char *text = conf_text(conf, &len);
    if (fresh && access(path, F_OK) == 0) {
        error_set(err, 0, "there is already a network '%s'", name);
        if (err)
            err->code = EEXIST;
        return -1;
    }
    if (conf_parse(path, text, len, &copy, err) < 0 || network_from_conf(name, copy, &n, err) < 0 ||
        network_check_others(n, err) < 0)
        return -1;
    return file_replace_at(AT_FDCWD, path, text, len, 0600, err);
}

int network_forget(const char *name, struct error *err)
{
    static const char *const suffixes[] = {"conf", "hosts", "leases", "confirmed"};

    if (network_name_check(name, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        cleanup_free char *path = network_home_path(name, suffixes[i]);
        if (unlink(path) < 0 && errno != ENOENT)
            return error_set(err, errno, "remove '%s'", path);
    }
    return 0;
}
