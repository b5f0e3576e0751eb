/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How vCPUs make up sockets, cores and threads.
 *
 * A vCPU's APIC id, which is its KVM id too, has a field for each level, just wide enough:
 *
 *     │ socket │ core │ thread │       3 sockets of 6 cores of 2 threads: ids ss ccc t
 *
 * so ids have gaps where a number is no power of two (Intel SDM 3A, 9.9.1; AMD APM 3, appendix E). Each
 * field's range is less than twice its number, so that 64 vCPUs always have ids below 255: none
 * needs x2APIC mode, though all have it.
 */
#ifndef PULT_KVM_TOPOLOGY_H
#define PULT_KVM_TOPOLOGY_H

#include "base/error.h"

struct cpu_topology {
    unsigned sockets, cores, threads; /* cores of a socket, threads of a core; at least 1 each */
};

/* How many bits tell n ids apart. */
static inline unsigned id_bits(unsigned n)
{
    unsigned bits = 0;

    while ((1u << bits) < n)
        bits++;
    return bits;
}

/* One socket of so many cores. */
static inline struct cpu_topology topology_flat(unsigned cpus)
{
    return (struct cpu_topology){1, cpus, 1};
}

static inline unsigned topology_cpus(const struct cpu_topology *t)
{
    return t->sockets * t->cores * t->threads;
}

/* The fields' widths: of the thread, and of core and thread together. */
static inline unsigned topology_thread_bits(const struct cpu_topology *t)
{
    return id_bits(t->threads);
}

static inline unsigned topology_socket_shift(const struct cpu_topology *t)
{
    return id_bits(t->cores) + id_bits(t->threads);
}

/* The APIC id of the index-th vCPU: threads are counted first, then cores, then sockets. */
static inline unsigned topology_apic_id(const struct cpu_topology *t, unsigned index)
{
    unsigned thread = index % t->threads, core = index / t->threads % t->cores;
    unsigned socket = index / t->threads / t->cores;

    return socket << topology_socket_shift(t) | core << topology_thread_bits(t) | thread;
}

#endif
