/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * User-mode networking by passt: a process that is to a guest what a router and a DHCP server are,
 * and to the host a program with sockets, which needs no rights.
 *
 *     this process              supervisor "pult: passt …"             passt
 *       channel ◄── one end of a stream socket ── starts it with the other ──► ends with it
 *       channel closed  ──────────► kills it, ends
 *
 * The supervisor is a child of the process that wants the network and is outside of any sandbox
 * that this one enters later. It starts passt anew when it died, less and less often where it dies
 * at once, and writes what passt has to say into the log.
 *
 * On the stream each frame has its length before it, as 32 bits in network byte order.
 *
 * pasta is the same program for a network namespace: instead of a stream it is given that, and makes
 * and configures an interface in it; each time it has, one byte comes through the channel.
 */
#ifndef PULT_NET_PASST_H
#define PULT_NET_PASST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/conf.h"
#include "base/error.h"

#define PASST_MTU 65520u        /* what it tells guests by itself */
#define PASST_DNS "169.254.1.1" /* where a guest finds the host's name servers (RFC 3927) */
/* What comes through the channel of pasta: its interface is there, or it ended before. */
#define PASTA_READY  "r"
#define PASTA_FAILED "f"

struct passt_request {
    const char *name;            /* for the log: "network 0" */
    const char *title;           /* for ps: the guest's name */
    unsigned mtu;                /* what guests are told; 0: PASST_MTU */
    const char *const *forwards; /* see passt_is_forward; NULL-terminated, or NULL */
    bool host_loopback;          /* the gateway's address leads to 127.0.0.1 and ::1 of the host */

    bool pasta;         /* and then: */
    int netns, userns;  /* descriptors of the namespaces */
    const char *ifname; /* the interface in there */
    const uint8_t *mac; /* and its address; NULL: any */
};

/*
 * PROTOCOL:[ADDRESS:]PORT[-PORT][:GUEST-PORT[-GUEST-PORT]]: "tcp:8080:80", "udp:5353",
 * "tcp:127.0.0.1:8000-8010:80-90", "tcp:[::1]:22".
 */
conf_value_fn passt_is_forward;

/* Is it there, and are the ports that it is to listen at free? Changes nothing. */
int passt_check(const struct passt_request *rq, struct error *err);

/*
 * Start it. The calling process must be single-threaded: the supervisor is its copy. Descriptors
 * come through *channel, a socket: one message for each life of passt, with one descriptor; for pasta
 * one byte, PASTA_READY or PASTA_FAILED.
 */
int passt_start(const struct passt_request *rq, pid_t *supervisor, int *channel, struct error *err);
/* Take the next one: a descriptor, -EAGAIN, or -EPIPE where the supervisor is gone. */
int passt_receive(int channel);
/* End both, and wait for them. Accepts -1. */
void passt_stop(pid_t supervisor, int channel);

#endif
