/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses of guests, see pool.h. The file is read as a whole, changed in memory and replaced; who
 * changes it holds HOME/networks/.pool locked. What a lease holds of a client that is no guest of
 * ours is not given away either.
 */
#include "net/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "net/server.h"

#define FILE_MAX  (4u << 20)
#define SET       "set"
#define TAP       "tap"
#define RANGE_MAX 65536u /* more addresses than that are never looked through */

struct pool {
    struct pool_entry *all;
    size_t count;
};

static void pool_clear(struct pool *p)
{
    free(p->all);
    *p = (struct pool){0};
}

/* ---- the file ---- */

/* "MAC,ADDRESS,NAME[,set|,tap]". What is no such line is none of ours, and is dropped. */
static bool parse_line(char *line, struct pool_entry *e)
{
    uint8_t *m = e->mac;
    char *rest = line, *mac = strsep(&rest, ","), *address = strsep(&rest, ",");
    char *guest = strsep(&rest, ",");
    int end = 0;

    *e = (struct pool_entry){.set = rest && str_eq(rest, SET), .tap = rest && str_eq(rest, TAP)};
    if (!guest || !*guest || strlen(guest) >= sizeof(e->guest) || strpbrk(guest, " \t") ||
        (rest && !e->set && !e->tap) || strlen(mac) != 17 ||
        mac[strspn(mac, "0123456789abcdefABCDEF:")] ||
        sscanf(mac, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &m[0], &m[1], &m[2], &m[3], &m[4],
               &m[5], &end) != 6 ||
        end != 17 || strchr(address, '/') || address_parse(address, &e->address, NULL) < 0 ||
        e->address.family != AF_INET)
        return false;
    str_printable(guest);
    snprintf(e->guest, sizeof(e->guest), "%s", guest);
    return true;
}

static int read_file(const char *network, struct pool *p, struct error *err)
{
    cleanup_free char *path = network_home_path(network, "hosts"), *text = NULL;
    size_t room = 0;

    *p = (struct pool){0};
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    if (file_read_at(AT_FDCWD, path, FILE_MAX, &text, NULL, err) < 0)
        return -1;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (p->count == room) {
            room = room ? 2 * room : 64;
            p->all = xrealloc(p->all, room, sizeof(*p->all));
        }
        if (parse_line(str_trim(line), &p->all[p->count]))
            p->count++;
    }
    return 0;
}

static int write_file(const char *network, const struct pool *p, struct error *err)
{
    cleanup_free char *path = network_home_path(network, "hosts"), *text = NULL;
    char address[ADDRESS_TEXT];
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    for (size_t i = 0; f && i < p->count; i++) {
        const struct pool_entry *e = &p->all[i];
        const uint8_t *m = e->mac;
        fprintf(f, "%02x:%02x:%02x:%02x:%02x:%02x,%s,%s%s\n", m[0], m[1], m[2], m[3], m[4], m[5],
                address_text(&e->address, true, address), e->guest,
                e->set   ? "," SET
                : e->tap ? "," TAP
                         : "");
    }
    if (!f || fclose(f) != 0)
        return error_set(err, errno, "write '%s'", path);
    return file_replace_at(AT_FDCWD, path, text, len, 0600, err);
}

static int lock_file(struct error *err)
{
    cleanup_free char *path = xasprintf("%s/networks/.pool", place_home());
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = -1;

    while (fd >= 0 && (rc = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
        ;
    return rc < 0 ? error_set(err, errno, "lock '%s'", path) : steal_fd(fd);
}

int pool_read(const char *network, struct pool_entry **out, size_t *count, struct error *err)
{
    struct pool p;

    if (read_file(network, &p, err) < 0)
        return -1;
    *out = p.all;
    *count = p.count;
    return 0;
}

/* ---- choosing ---- */

static struct pool_entry *entry_of_mac(const struct pool *p, const uint8_t mac[6])
{
    for (size_t i = 0; p->all && i < p->count; i++)
        if (memcmp(p->all[i].mac, mac, 6) == 0)
            return &p->all[i];
    return NULL;
}

static const struct pool_entry *entry_of_address(const struct pool *p, const struct address *a)
{
    for (size_t i = 0; p->all && i < p->count; i++)
        if (address_equal(&p->all[i].address, a))
            return &p->all[i];
    return NULL;
}

/* The network's own address of IPv4 in whose network a is; the first of IPv4 for NULL. */
static const struct address *own_for(const struct network *n, const struct address *a)
{
    for (unsigned i = 0; i < n->address_count; i++)
        if (n->addresses[i].family == AF_INET && (!a || address_contains(&n->addresses[i], a)))
            return &n->addresses[i];
    return NULL;
}

/* The addresses to choose from. */
static bool range_of(const struct network *n, struct address *first, struct address *last)
{
    const struct address *own = own_for(n, n->dhcp_first.family ? &n->dhcp_first : NULL);

    if (!own)
        return false;
    *first = n->dhcp_first;
    *last = n->dhcp_last;
    if (!first->family) {
        const struct address net = address_network(own);
        *first = address_add(&net, 1);
        *last = address_add(&net, ((int64_t)1 << (32 - own->prefix)) - 2);
    }
    first->prefix = last->prefix = own->prefix;
    return true;
}

/* Mark an address as taken, if it is one of the range. */
static void mark(uint8_t *taken, int64_t size, const struct address *first, const struct address *a)
{
    const int64_t at = a->family == AF_INET ? address_distance(first, a) : -1;

    if (at >= 0 && at < size)
        taken[at] = 1;
}

/* Is it meant for another one, which may not be there yet? */
static const struct net_tap *promised(const struct network *n, const struct address *a,
                                      const uint8_t mac[6])
{
    for (unsigned i = 0; i < n->tap_count; i++)
        if (n->taps[i].address.family && address_equal(&n->taps[i].address, a) &&
            memcmp(n->taps[i].mac, mac, 6) != 0)
            return &n->taps[i];
    return NULL;
}

/* The first address that nobody has, nor one of these. */
static int choose(const struct network *n, const struct pool *p, const uint8_t mac[6],
                  const struct address *but, unsigned but_count, struct address *out,
                  struct error *err)
{
    struct address first, last;
    struct lease *leases = NULL;
    size_t count = 0;

    if (!range_of(n, &first, &last))
        return error_set(err, 0, "the network '%s' has no addresses of IPv4", n->name);
    const int64_t size = min(address_distance(&first, &last) + 1, (int64_t)RANGE_MAX);
    cleanup_free uint8_t *taken = xcalloc((size_t)max(size, (int64_t)1), 1);
    for (size_t i = 0; i < p->count; i++)
        mark(taken, size, &first, &p->all[i].address);
    for (unsigned i = 0; i < n->address_count; i++)
        mark(taken, size, &first, &n->addresses[i]);
    for (unsigned i = 0; i < n->tap_count; i++)
        if (n->taps[i].address.family)
            mark(taken, size, &first, &n->taps[i].address);
    for (unsigned i = 0; i < but_count; i++)
        mark(taken, size, &first, &but[i]);
    server_leases(n->name, &leases, &count, NULL);
    for (size_t i = 0; i < count; i++)
        if (memcmp(leases[i].mac, mac, 6) != 0)
            mark(taken, size, &first, &leases[i].address);
    free(leases);
    for (int64_t i = 0; i < size; i++)
        if (!taken[i]) {
            *out = address_add(&first, i);
            return 0;
        }
    error_set(err, 0, "the network '%s' has no free address left", n->name);
    return error_hint(err, "give it a larger range, net.dhcp");
}

/* May this card have the address that it wants? */
static int check_wanted(const struct network *n, const struct pool *p, const uint8_t mac[6],
                        const struct address *wanted, struct error *err)
{
    char text[ADDRESS_TEXT];

    address_text(wanted, true, text);
    if (wanted->family != AF_INET)
        return error_set(err, 0, "'%s': an address to have can be one of IPv4 only", text);
    const struct address *own = own_for(n, wanted);
    if (!own)
        return error_set(err, 0, "%s is in no network of '%s'", text, n->name);
    const struct address net = address_network(own);
    struct address in = *wanted;
    in.prefix = own->prefix;
    if (address_equal(own, wanted) || address_equal(&net, wanted) ||
        address_add(&in, 1).family == 0)
        return error_set(err, 0, "%s is not for guests of '%s'", text, n->name);
    const struct pool_entry *e = entry_of_address(p, wanted);
    const struct net_tap *t = promised(n, wanted, mac);
    if (t || (e && memcmp(e->mac, mac, 6) != 0)) {
        error_set(err, 0, "%s is the address of '%s' in '%s'", text, t ? t->name : e->guest,
                  n->name);
        if (err)
            err->code = EADDRINUSE;
        return -1;
    }
    return 0;
}

/* Is the address still one of this network's? Definitions change. */
static bool still_fits(const struct network *n, const struct address *a)
{
    const struct address *own = own_for(n, a);

    return own && !address_equal(own, a);
}

/* The address that this card has, or is given now. */
static int decide(const struct network *n, const struct pool *p, const uint8_t mac[6],
                  const struct address *but, unsigned but_count, struct address *a,
                  struct error *err)
{
    const struct pool_entry *e = entry_of_mac(p, mac);

    if (a->family)
        return check_wanted(n, p, mac, a, err);
    if (e && still_fits(n, &e->address) && !promised(n, &e->address, mac)) {
        *a = e->address;
        return 0;
    }
    return choose(n, p, mac, but, but_count, a, err);
}

/* What `like` says, but for the address: that is the wanted one, or any. */
static int take(const struct network *n, const struct pool_entry *like,
                const struct address *wanted, struct address *out, struct error *err)
{
    __attribute__((cleanup(pool_clear))) struct pool p = {0};
    struct address a = wanted ? *wanted : (struct address){0};

    *out = (struct address){0};
    if (!a.family && !own_for(n, NULL))
        return 0;
    cleanup_close int lock = lock_file(err);
    if (lock < 0 || read_file(n->name, &p, err) < 0 ||
        decide(n, &p, like->mac, NULL, 0, &a, err) < 0)
        return -1;
    struct pool_entry *e = entry_of_mac(&p, like->mac);
    *out = a;
    out->prefix = own_for(n, &a)->prefix;
    if (e && address_equal(&e->address, &a) && str_eq(e->guest, like->guest) &&
        e->set == like->set && e->tap == like->tap)
        return 0;
    if (!e) {
        p.all = xrealloc(p.all, p.count + 1, sizeof(*p.all));
        e = &p.all[p.count++];
    }
    *e = *like;
    e->address = a;
    return write_file(n->name, &p, err) < 0 ? -1 : server_reread(n->name, err);
}

int pool_take(const struct network *n, const char *guest, const uint8_t mac[6], bool set,
              const struct address *wanted, struct address *out, struct error *err)
{
    struct pool_entry like = {.set = set};

    memcpy(like.mac, mac, 6);
    snprintf(like.guest, sizeof(like.guest), "%s", guest);
    return take(n, &like, wanted, out, err);
}

bool pool_has_room(const struct network *n)
{
    __attribute__((cleanup(pool_clear))) struct pool p = {0};
    const uint8_t nobody[6] = {0};
    struct address a;

    return read_file(n->name, &p, NULL) < 0 || choose(n, &p, nobody, NULL, 0, &a, NULL) == 0;
}

static int release(const char *network, const char *guest, bool tap, struct error *err)
{
    __attribute__((cleanup(pool_clear))) struct pool p = {0};
    size_t kept = 0;

    cleanup_free char *path = network_home_path(network, "hosts");
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    cleanup_close int lock = lock_file(err);
    if (lock < 0 || read_file(network, &p, err) < 0)
        return -1;
    for (size_t i = 0; i < p.count; i++)
        if (!str_eq(p.all[i].guest, guest) || p.all[i].tap != tap)
            p.all[kept++] = p.all[i];
    if (kept == p.count)
        return 0;
    p.count = kept;
    return write_file(network, &p, err) < 0 ? -1 : server_reread(network, err);
}

int pool_release(const char *network, const char *guest, struct error *err)
{
    return release(network, guest, false, err);
}

int pool_release_tap(const char *network, const char *tap, struct error *err)
{
    return release(network, tap, true, err);
}

int pool_take_tap(const struct network *n, const struct net_tap *tap, const struct address *planned,
                  struct error *err)
{
    struct pool_entry like = {.tap = true};
    struct address out;

    memcpy(like.mac, tap->mac, 6);
    snprintf(like.guest, sizeof(like.guest), "%s", tap->name);
    return take(n, &like, planned, &out, err);
}

int pool_plan_taps(const struct network *n, struct address out[NET_TAPS], struct error *err)
{
    __attribute__((cleanup(pool_clear))) struct pool p = {0};

    for (unsigned i = 0; i < n->tap_count; i++)
        out[i] = (struct address){0};
    if (!net_kind_has_server(n->kind) || !n->dhcp_first.family)
        return 0;
    if (read_file(n->name, &p, err) < 0)
        return -1;
    for (unsigned i = 0; i < n->tap_count; i++) {
        struct address a = n->taps[i].address;
        if (decide(n, &p, n->taps[i].mac, out, i, &a, err) < 0)
            return error_wrap(err, "the tap '%s'", n->taps[i].name);
        a.prefix = own_for(n, &a)->prefix;
        out[i] = a;
    }
    return 0;
}

int pool_find(const char *network, const char *guest, struct address *out, uint8_t mac[6])
{
    __attribute__((cleanup(pool_clear))) struct pool p = {0};

    *out = (struct address){0};
    if (read_file(network, &p, NULL) < 0)
        return -1;
    for (size_t i = 0; i < p.count; i++)
        if (str_eq(p.all[i].guest, guest)) {
            *out = p.all[i].address;
            if (mac)
                memcpy(mac, p.all[i].mac, 6);
            return 0;
        }
    return -1;
}

void pool_address6_in(const uint8_t prefix[8], const uint8_t mac[6], uint8_t out[16])
{
    const uint8_t id[8] = {mac[0] ^ 2, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};

    memcpy(out, prefix, 8);
    memcpy(out + 8, id, sizeof(id));
}

void pool_address6(const struct network *n, const uint8_t mac[6], struct address *out)
{
    *out = (struct address){0};
    for (unsigned i = 0; i < n->address_count && !out->family; i++)
        if (n->addresses[i].family == AF_INET6 && n->addresses[i].prefix == 64)
            *out = address_network(&n->addresses[i]);
    if (out->family)
        pool_address6_in(out->bytes, mac, out->bytes);
}

void pool_spare6(const uint8_t own[16], unsigned n, uint8_t out[16])
{
    memcpy(out, own, 16);
    out[12] = (uint8_t)(0xfe - n); /* no other MAC leads there, since those have fe */
}
