/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses, see address.h.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

static unsigned bits_of(int family)
{
    return family == AF_INET6 ? 128 : 32;
}

int address_parse(const char *text, struct address *out, struct error *err)
{
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    char bare[INET6_ADDRSTRLEN];
    int64_t prefix;

    *out = (struct address){0};
    if (len >= sizeof(bare))
        return error_set(err, 0, "'%s' is no address", text);
    memcpy(bare, text, len);
    bare[len] = '\0';
    int family = strchr(bare, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, bare, out->bytes) != 1) {
        *out = (struct address){0};
        return error_set(err, 0, "'%s' is no address: those are like 10.0.0.1 or fd00::1", text);
    }
    prefix = bits_of(family);
    if (slash && number_parse(slash + 1, 0, prefix, &prefix, err) < 0) {
        *out = (struct address){0};
        return error_wrap(err, "'%s': prefix length", text);
    }
    out->family = family;
    out->prefix = (unsigned)prefix;
    return 0;
}

char *address_text(const struct address *a, bool bare, char out[ADDRESS_TEXT])
{
    out[0] = '\0';
    if (!a->family || !inet_ntop(a->family, a->bytes, out, ADDRESS_TEXT))
        return out;
    if (!bare) {
        size_t n = strlen(out);
        snprintf(out + n, ADDRESS_TEXT - n, "/%u", a->prefix);
    }
    return out;
}

/* Are the first bits of both the same? */
static bool same_bits(const struct address *a, const struct address *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return !rest || !((a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest));
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->family == b->family && (!a->family || same_bits(a, b, bits_of(a->family)));
}

bool address_overlap(const struct address *a, const struct address *b)
{
    return a->family && a->family == b->family && same_bits(a, b, min(a->prefix, b->prefix));
}

bool address_contains(const struct address *network, const struct address *b)
{
    return network->family && network->family == b->family &&
           same_bits(network, b, network->prefix);
}

struct address address_network(const struct address *a)
{
    struct address n = *a;

    for (unsigned bit = a->prefix; bit < bits_of(a->family); bit++)
        n.bytes[bit / 8] &= (uint8_t) ~(0x80u >> (bit % 8));
    return n;
}

/* The last 64 bits of an address, or all 32. */
static uint64_t low_part(const struct address *a)
{
    unsigned end = bits_of(a->family) / 8;
    uint64_t n = 0;

    for (unsigned i = end > 8 ? end - 8 : 0; i < end; i++)
        n = n << 8 | a->bytes[i];
    return n;
}

struct address address_add(const struct address *a, int64_t n)
{
    struct address out = *a;
    unsigned end = bits_of(a->family) / 8;
    uint64_t distance = n < 0 ? 0 - (uint64_t)n : (uint64_t)n, carry = 0;

    if (!a->family)
        return (struct address){0};
    for (unsigned i = end; i-- > 0; distance >>= 8) {
        uint64_t part = (distance & 0xff) + carry;
        uint64_t sum = n < 0 ? out.bytes[i] - part : out.bytes[i] + part;
        out.bytes[i] = (uint8_t)sum;
        carry = n < 0 ? out.bytes[i] + part > 0xff || sum > 0xff : sum >> 8;
    }
    return !carry && !distance && same_bits(a, &out, a->prefix) ? out : (struct address){0};
}

int64_t address_distance(const struct address *a, const struct address *b)
{
    return (int64_t)(low_part(b) - low_part(a));
}
