/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address lookup for port and memory-mapped I/O, see bus.h. All arithmetic is on inclusive ends,
 * so that nothing wraps at the top of the address space.
 */
#include "kvm/bus.h"

#include <errno.h>
#include <string.h>

#include "base/util.h"

/* The index of the first range that ends at addr or above. */
static unsigned bus_seek(const struct bus *b, uint64_t addr)
{
    unsigned lo = 0, hi = b->count;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (b->ranges[mid].last < addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

int bus_add(struct bus *b, uint64_t base, uint64_t len, const struct bus_ops *ops, void *dev,
            struct error *err)
{
    if (!len || base > b->top || len - 1 > b->top - base)
        return error_set(err, ERANGE, "place %s at %#llx", ops->name, (unsigned long long)base);

    uint64_t last = base + len - 1;
    unsigned at = bus_seek(b, base);
    if (at < b->count && b->ranges[at].base <= last)
        return error_set(err, EEXIST, "place %s at %#llx, where %s is", ops->name,
                         (unsigned long long)base, b->ranges[at].ops->name);
    if (b->count == BUS_RANGES)
        return error_set(err, ENOSPC, "place %s at %#llx", ops->name, (unsigned long long)base);

    memmove(&b->ranges[at + 1], &b->ranges[at], (b->count - at) * sizeof(b->ranges[0]));
    b->ranges[at] = (struct bus_range){
        .base = base,
        .last = last,
        .ops = ops,
        .dev = dev,
        .count = count_find(b->counters, ops->name),
    };
    b->count++;
    return 0;
}

void bus_count(struct bus *b, struct status_counter *counters)
{
    b->counters = counters;
    b->nobody = count_find(counters, "nobody");
}

/* The range that addr lies in, or NULL. */
static const struct bus_range *bus_find(const struct bus *b, uint64_t addr)
{
    unsigned at = bus_seek(b, addr);

    return at < b->count && b->ranges[at].base <= addr ? &b->ranges[at] : NULL;
}

/* How many bytes of an access of `size` go to the device in its next piece; room: to its end. */
static unsigned bus_piece(const struct bus_ops *ops, uint64_t room, size_t size)
{
    return (unsigned)min(room, min((uint64_t)ops->width, (uint64_t)size));
}

void bus_device_read(const struct bus_ops *ops, void *dev, uint64_t offset, uint64_t len,
                     void *data, size_t size)
{
    uint8_t *out = data;

    while (size && offset < len) {
        unsigned n = bus_piece(ops, len - offset, size);
        uint64_t value = ops->read(dev, offset, n);
        memcpy(out, &value, n);
        out += n;
        size -= n;
        offset += n;
    }
}

void bus_device_write(const struct bus_ops *ops, void *dev, uint64_t offset, uint64_t len,
                      const void *data, size_t size)
{
    const uint8_t *in = data;

    while (size && offset < len) {
        unsigned n = bus_piece(ops, len - offset, size);
        uint64_t value = 0;
        memcpy(&value, in, n);
        ops->write(dev, offset, n, value);
        in += n;
        size -= n;
        offset += n;
    }
}

void bus_read(const struct bus *b, uint64_t addr, void *data, size_t size)
{
    const struct bus_range *r = bus_find(b, addr);

    memset(data, 0xff, size);
    count_one(r ? r->count : b->nobody);
    if (r)
        bus_device_read(r->ops, r->dev, addr - r->base, r->last - r->base + 1, data, size);
}

void bus_write(const struct bus *b, uint64_t addr, const void *data, size_t size)
{
    const struct bus_range *r = bus_find(b, addr);

    count_one(r ? r->count : b->nobody);
    if (r)
        bus_device_write(r->ops, r->dev, addr - r->base, r->last - r->base + 1, data, size);
}
