/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Specs, see spec.h: their words, the names in them, and addresses.
 */
#include "net/spec.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "net/spec_private.h"

#define FOREVER 0xffffffffu

/* ---- words ---- */

char *words_next(struct words *w)
{
    do
        w->word = strsep(&w->rest, " \t\n");
    while (w->word && !*w->word);
    return w->word;
}

struct words words_of(const char *spec)
{
    struct words w = {.text = xstrdup(spec)};

    w.rest = w.text;
    words_next(&w);
    return w;
}

bool words_take(struct words *w, const char *word)
{
    if (!w->word || !str_eq(w->word, word))
        return false;
    words_next(w);
    return true;
}

bool spec_has(const char *spec, const char *word, const char *value)
{
    cleanup_words struct words w = words_of(spec);

    for (; w.word; words_next(&w))
        if (str_eq(w.word, word) && (!value || (words_next(&w) && str_eq(w.word, value))))
            return true;
        else if (!w.word)
            break;
    return false;
}

char *spec_value(const char *spec, const char *word, char *out, size_t size)
{
    cleanup_words struct words w = words_of(spec);

    *out = '\0';
    for (; w.word; words_next(&w))
        if (str_eq(w.word, word)) {
            if (words_next(&w))
                snprintf(out, size, "%s", w.word);
            break;
        }
    return out;
}

/* A text that is written word by word. */
struct text {
    char *text;
    size_t len;
    FILE *file;
};

/* t stays where it is until text_end(). */
static void text_begin(struct text *t)
{
    t->file = open_memstream(&t->text, &t->len);
    if (!t->file)
        abort();
}

static char *text_end(struct text *t)
{
    if (fclose(t->file) != 0)
        abort();
    return t->text;
}

static void text_word(struct text *t, const char *word)
{
    fprintf(t->file, "%s%s", ftell(t->file) > 0 ? " " : "", word);
}

char *spec_replace(const char *spec, const char *word, const char *from, const char *to)
{
    cleanup_words struct words w = words_of(spec);
    struct text t = {0};

    text_begin(&t);
    while (w.word) {
        const char *first = w.word;
        words_next(&w);
        if (!str_eq(first, word) || !w.word || (from && !str_eq(w.word, from))) {
            text_word(&t, first);
            continue;
        }
        if (to) {
            text_word(&t, first);
            text_word(&t, to);
        }
        words_next(&w);
    }
    return text_end(&t);
}

char *spec_drop(const char *spec, const char *word)
{
    cleanup_words struct words w = words_of(spec);
    struct text t = {0};

    text_begin(&t);
    for (; w.word; words_next(&w))
        if (!str_eq(w.word, word))
            text_word(&t, w.word);
    return text_end(&t);
}

char *spec_timeless(const char *spec)
{
    static const char *const clocks[] = {"valid_lft", "preferred_lft", "expires"};
    cleanup_words struct words w = words_of(spec);
    struct text t = {0};

    text_begin(&t);
    while (w.word) {
        bool clock = false;
        for (unsigned i = 0; i < ARRAY_SIZE(clocks); i++)
            clock |= str_eq(w.word, clocks[i]);
        const char *first = w.word;
        words_next(&w);
        if (clock && w.word && !str_eq(w.word, "forever") && !str_eq(w.word, "0sec")) {
            text_word(&t, first);
            text_word(&t, "dynamic");
            words_next(&w);
        } else {
            text_word(&t, first);
        }
    }
    return text_end(&t);
}

/* ---- names ---- */

/* iproute2's rt_protos, rt_tables, rt_scopes; it takes the numbers of others. */
const struct spec_name spec_protocols[] = {
    {"redirect", RTPROT_REDIRECT},
    {"kernel", RTPROT_KERNEL},
    {"boot", RTPROT_BOOT},
    {"static", RTPROT_STATIC},
    {"ra", RTPROT_RA},
    {"zebra", RTPROT_ZEBRA},
    {"bird", RTPROT_BIRD},
    {"dhcp", RTPROT_DHCP},
    {"bgp", RTPROT_BGP},
    {"isis", RTPROT_ISIS},
    {"ospf", RTPROT_OSPF},
    {"rip", RTPROT_RIP},
    {NULL, 0},
};
const struct spec_name spec_tables[] = {
    {"default", RT_TABLE_DEFAULT},
    {"main", RT_TABLE_MAIN},
    {"local", RT_TABLE_LOCAL},
    {NULL, 0},
};
const struct spec_name spec_scopes[] = {
    {"global", RT_SCOPE_UNIVERSE}, {"site", RT_SCOPE_SITE},       {"link", RT_SCOPE_LINK},
    {"host", RT_SCOPE_HOST},       {"nowhere", RT_SCOPE_NOWHERE}, {NULL, 0},
};

void spec_put_name(FILE *f, const char *word, const struct spec_name *names, unsigned value)
{
    fprintf(f, " %s", word);
    for (; names->name; names++)
        if (names->value == value) {
            fprintf(f, " %s", names->name);
            return;
        }
    fprintf(f, " %u", value);
}

int spec_number(const char *word, const char *unit, uint64_t hi, uint64_t *out, struct error *err)
{
    char *end = NULL;

    errno = 0;
    if (word && *word >= '0' && *word <= '9') {
        *out = strtoull(word, &end, 0);
        if (!errno && (!*end || (unit && str_eq(end, unit))) && *out <= hi)
            return 0;
    }
    return error_set(err, 0, "'%s' is no number up to %llu", word ? word : "",
                     (unsigned long long)hi);
}

int spec_get_name(const char *word, const struct spec_name *names, unsigned *value,
                  struct error *err)
{
    uint64_t number;

    for (; word && names->name; names++)
        if (str_eq(names->name, word)) {
            *value = names->value;
            return 0;
        }
    if (spec_number(word, NULL, UINT32_MAX, &number, err) < 0)
        return -1;
    *value = (unsigned)number;
    return 0;
}

struct address spec_attr_address(const struct nlattr *a, int family, unsigned prefix)
{
    struct address out = {.family = family, .prefix = prefix};

    if (a && nla_len(a) == spec_bytes(family))
        memcpy(out.bytes, nla_data(a), (size_t)nla_len(a));
    return out;
}

void spec_put_address(FILE *f, const char *word, const struct address *a, bool bare)
{
    char text[ADDRESS_TEXT];

    fprintf(f, "%s%s%s%s", ftell(f) > 0 ? " " : "", word, *word ? " " : "",
            address_text(a, bare, text));
}

/* ---- addresses ---- */

/* Flags that are somebody's choice; the others are the kernel's. */
static const struct spec_name address_flags[] = {
    {"nodad", IFA_F_NODAD},
    {"home", IFA_F_HOMEADDRESS},
    {"mngtmpaddr", IFA_F_MANAGETEMPADDR},
    {"noprefixroute", IFA_F_NOPREFIXROUTE},
    {"autojoin", IFA_F_MCAUTOJOIN},
    {NULL, 0},
};

static void put_lifetime(FILE *f, const char *word, uint32_t seconds)
{
    if (seconds == FOREVER)
        fprintf(f, " %s forever", word);
    else
        fprintf(f, " %s %usec", word, seconds);
}

/* What stands behind an address, from its attributes. */
static void put_address_rest(FILE *f, const struct ifaddrmsg *info, struct nlattr *const *a)
{
    uint32_t flags = a[IFA_FLAGS] ? nla_get_u32(a[IFA_FLAGS]) : info->ifa_flags;

    if (a[IFA_BROADCAST]) {
        struct address brd = spec_attr_address(a[IFA_BROADCAST], info->ifa_family, 32);
        spec_put_address(f, "brd", &brd, true);
    }
    if (a[IFA_ANYCAST]) {
        struct address any = spec_attr_address(a[IFA_ANYCAST], info->ifa_family, 128);
        spec_put_address(f, "anycast", &any, true);
    }
    spec_put_name(f, "scope", spec_scopes, info->ifa_scope);
    if (a[IFA_LABEL])
        fprintf(f, " label %s", nla_get_string(a[IFA_LABEL]));
    if (a[IFA_RT_PRIORITY] && nla_get_u32(a[IFA_RT_PRIORITY]))
        fprintf(f, " metric %u", nla_get_u32(a[IFA_RT_PRIORITY]));
    if (a[IFA_PROTO] && nla_get_u8(a[IFA_PROTO]))
        fprintf(f, " proto %u", nla_get_u8(a[IFA_PROTO]));
    if (a[IFA_CACHEINFO] && nla_len(a[IFA_CACHEINFO]) >= (int)sizeof(struct ifa_cacheinfo)) {
        const struct ifa_cacheinfo *c = nla_data(a[IFA_CACHEINFO]);
        if (c->ifa_valid != FOREVER || c->ifa_prefered != FOREVER) {
            put_lifetime(f, "valid_lft", c->ifa_valid);
            put_lifetime(f, "preferred_lft", c->ifa_prefered);
        }
    }
    for (const struct spec_name *n = address_flags; n->name; n++)
        if (flags & n->value)
            fprintf(f, " %s", n->name);
}

char *spec_of_address(const struct nlmsghdr *m, bool *whole)
{
    const struct ifaddrmsg *info = nlmsg_data(m);
    struct nlattr *a[IFA_MAX + 1];
    struct text t = {0};

    text_begin(&t);
    *whole = nlmsg_parse((struct nlmsghdr *)(uintptr_t)m, sizeof(*info), a, IFA_MAX, NULL) == 0;
    if (*whole) {
        const struct nlattr *local = a[IFA_LOCAL] ? a[IFA_LOCAL] : a[IFA_ADDRESS];
        struct address own = spec_attr_address(local, info->ifa_family, info->ifa_prefixlen);
        struct address peer = own;
        if (a[IFA_ADDRESS])
            peer = spec_attr_address(a[IFA_ADDRESS], info->ifa_family, info->ifa_prefixlen);
        bool same = address_equal(&own, &peer);
        spec_put_address(t.file, "", &own, !same);
        if (!same)
            spec_put_address(t.file, "peer", &peer, false);
        *whole = !a[IFA_TARGET_NETNSID] && local;
        put_address_rest(t.file, info, a);
    }
    return text_end(&t);
}

/* An address as it is read, before it becomes a message. */
struct address_read {
    struct address own, peer, broadcast, anycast;
    unsigned scope;
    char *label;
    uint64_t metric, proto, valid, preferred;
    uint32_t flags;
};

static int read_lifetime(const char *word, uint64_t *out, struct error *err)
{
    *out = FOREVER;
    return str_eq(word, "forever") ? 0 : spec_number(word, "sec", FOREVER, out, err);
}

/* One word, and the value behind it. */
static int read_address_word(struct words *w, struct address_read *r, struct error *err)
{
    const char *word = w->word;

    for (const struct spec_name *n = address_flags; n->name; n++)
        if (str_eq(n->name, word)) {
            r->flags |= n->value;
            words_next(w);
            return 0;
        }
    const char *value = words_next(w);
    if (!value)
        return error_set(err, 0, "'%s': something is missing behind it", word);
    words_next(w);
    if (str_eq(word, "peer"))
        return address_parse(value, &r->peer, err);
    if (str_eq(word, "anycast"))
        return address_parse(value, &r->anycast, err);
    if (str_eq(word, "scope"))
        return spec_get_name(value, spec_scopes, &r->scope, err);
    if (str_eq(word, "label")) {
        r->label = (char *)(uintptr_t)value;
        return 0;
    }
    if (str_eq(word, "metric"))
        return spec_number(value, NULL, UINT32_MAX, &r->metric, err);
    if (str_eq(word, "proto"))
        return spec_number(value, NULL, UINT8_MAX, &r->proto, err);
    if (str_eq(word, "valid_lft"))
        return read_lifetime(value, &r->valid, err);
    if (str_eq(word, "preferred_lft"))
        return read_lifetime(value, &r->preferred, err);
    return error_set(err, 0, "'%s' is unknown", word);
}

/* The broadcast address that "brd +" means. */
static void fill_broadcast(struct address_read *r)
{
    r->broadcast = r->own;
    for (unsigned bit = r->own.prefix; bit < 32; bit++)
        r->broadcast.bytes[bit / 8] |= (uint8_t)(0x80u >> (bit % 8));
}

static struct nl_msg *address_message(const struct address_read *r, unsigned index, int type,
                                      int flags)
{
    const struct address *peer = r->peer.family ? &r->peer : &r->own;
    const struct ifaddrmsg info = {
        .ifa_family = (uint8_t)r->own.family,
        .ifa_prefixlen = (uint8_t)peer->prefix,
        .ifa_scope = (uint8_t)r->scope,
        .ifa_index = index,
    };
    const struct ifa_cacheinfo times = {.ifa_valid = (uint32_t)r->valid,
                                        .ifa_prefered = (uint32_t)r->preferred};
    int bytes = spec_bytes(r->own.family);
    struct nl_msg *m = rtnl_message(type, flags, &info, sizeof(info));

    nla_put(m, IFA_LOCAL, bytes, r->own.bytes);
    nla_put(m, IFA_ADDRESS, bytes, peer->bytes);
    if (type == RTM_DELADDR)
        return m;
    nla_put_u32(m, IFA_FLAGS, r->flags);
    if (r->broadcast.family)
        nla_put(m, IFA_BROADCAST, 4, r->broadcast.bytes);
    if (r->anycast.family)
        nla_put(m, IFA_ANYCAST, bytes, r->anycast.bytes);
    if (r->label)
        nla_put_string(m, IFA_LABEL, r->label);
    if (r->metric)
        nla_put_u32(m, IFA_RT_PRIORITY, (uint32_t)r->metric);
    if (r->proto)
        nla_put_u8(m, IFA_PROTO, (uint8_t)r->proto);
    if (times.ifa_valid != FOREVER || times.ifa_prefered != FOREVER)
        nla_put(m, IFA_CACHEINFO, sizeof(times), &times);
    return m;
}

struct nl_msg *spec_to_address(const char *spec, const char *device, int type, int flags,
                               struct error *err)
{
    cleanup_words struct words w = words_of(spec);
    struct address_read r = {.valid = FOREVER, .preferred = FOREVER};
    unsigned index = if_nametoindex(device);

    if (!index) {
        error_set(err, ENODEV, "the interface '%s'", device);
        return NULL;
    }
    if (address_parse(w.word ? w.word : "", &r.own, err) < 0)
        return NULL;
    words_next(&w);
    while (w.word) {
        if (words_take(&w, "brd") || words_take(&w, "broadcast")) {
            if (words_take(&w, "+")) {
                fill_broadcast(&r);
                continue;
            }
            if (address_parse(w.word ? w.word : "", &r.broadcast, err) < 0)
                return NULL;
            words_next(&w);
        } else if (read_address_word(&w, &r, err) < 0) {
            error_wrap(err, "the address '%s'", spec);
            return NULL;
        }
    }
    if ((r.broadcast.family && r.broadcast.family != AF_INET) ||
        (r.peer.family && r.peer.family != r.own.family) ||
        (r.anycast.family && r.anycast.family != r.own.family)) {
        error_set(err, 0, "the address '%s': IPv4 and IPv6 are mixed up in it", spec);
        return NULL;
    }
    return address_message(&r, index, type, flags);
}
