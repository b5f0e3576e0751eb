/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of clusters, as sorted ranges that do not touch each other. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "disk/qcow2.h"

/* Index of the first range that ends at or behind cluster. */
static size_t find(const struct cluster_set *m, uint64_t cluster)
{
    size_t lo = 0, hi = m->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->list[mid].end < cluster)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool set_overlaps(const struct cluster_set *m, uint64_t first, uint64_t count)
{
    size_t i = find(m, first + 1);
    return i < m->count && m->list[i].first < first + count;
}

/* Put n ranges in the place of those from `from` to before `to`. */
static void replace(struct cluster_set *m, size_t from, size_t to, const struct cluster_range *with,
                    size_t n)
{
    size_t count = m->count - (to - from) + n;
    if (count > m->room) {
        m->room = max(2 * m->room, max(count, (size_t)64));
        m->list = xrealloc(m->list, m->room, sizeof *m->list);
    }
    memmove(m->list + from + n, m->list + to, (m->count - to) * sizeof *m->list);
    memcpy(m->list + from, with, n * sizeof *with);
    m->count = count;
}

void set_add(struct cluster_set *m, uint64_t first, uint64_t count)
{
    struct cluster_range r = {first, first + count};
    size_t i = find(m, first), j = i;
    for (; j < m->count && m->list[j].first <= r.end; j++) {
        r.first = min(r.first, m->list[j].first);
        r.end = max(r.end, m->list[j].end);
    }
    replace(m, i, j, &r, 1);
}

void set_remove(struct cluster_set *m, uint64_t first, uint64_t count)
{
    uint64_t end = first + count;
    struct cluster_range rest[2];
    size_t i = find(m, first + 1), j = i, n = 0;
    for (; j < m->count && m->list[j].first < end; j++) {
        if (m->list[j].first < first)
            rest[n++] = (struct cluster_range){m->list[j].first, first};
        if (m->list[j].end > end)
            rest[n++] = (struct cluster_range){end, m->list[j].end};
    }
    if (j > i)
        replace(m, i, j, rest, n);
}

void set_push(struct cluster_set *m, uint64_t first, uint64_t count)
{
    struct cluster_range r = {first, first + count};
    replace(m, m->count, m->count, &r, 1);
}

static int compare(const void *a, const void *b)
{
    const struct cluster_range *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

void set_sort(struct cluster_set *m)
{
    size_t n = 0;
    qsort(m->list, m->count, sizeof *m->list, compare);
    for (size_t i = 0; i < m->count; i++) {
        if (n > 0 && m->list[i].first <= m->list[n - 1].end)
            m->list[n - 1].end = max(m->list[n - 1].end, m->list[i].end);
        else
            m->list[n++] = m->list[i];
    }
    m->count = n;
}
