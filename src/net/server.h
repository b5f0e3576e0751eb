/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DHCP and DNS server of a network: one dnsmasq, and a supervisor "pult: network NAME" that
 * starts it anew when it died, less and less often where it dies at once, writes what it says into
 * RUN/.networks/NAME/log, and ends with the network. Both are known by RUN/.networks/NAME/server,
 * which the supervisor holds locked and in which its process id is. The supervisor is the first
 * process of a pid namespace: when it is killed, dnsmasq ends with it.
 *
 * IPv4: addresses out of the network's range, the same for a guest each time (pool.h). IPv6: router
 * advertisements, by which guests make addresses of their own, and DHCPv6, which gives them the same.
 * Names: guests, in the network's domain, by both.
 */
#ifndef PULT_NET_SERVER_H
#define PULT_NET_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "net/address.h"
#include "net/network.h"

int server_check(struct error *err); /* is dnsmasq there? */
/*
 * Returns when it listens. One that runs with the same configuration goes on, and one with another
 * is replaced; so this also mends what was killed. Nothing is done for a network without a server.
 */
int server_start(const struct network *n, struct error *err);
/* End both, and wait for that. Success where there is none. */
int server_stop(const char *network, struct error *err);
bool server_runs(const char *network);
/* The process id of a dnsmasq that somebody stopped (SIGSTOP); 0: it goes on. */
pid_t server_stopped(const char *network);
/*
 * Its file of addresses (pool.h) changed: have it read. Costs nothing where it says the same, and
 * succeeds where no server runs.
 */
int server_reread(const char *network, struct error *err);
/* The dnsmasq configuration, for those who want to see it. Caller frees. */
char *server_config(const struct network *n);
/*
 * And that of a server which somebody starts by hand: it knows no guests, and what it keeps is in
 * files of this name with .pid and .leases behind. Caller frees.
 */
#define SERVER_ALONE "/run/pult-%s"
char *server_config_alone(const struct network *n);

struct lease {
    uint8_t mac[6];
    struct address address;
    char name[64];   /* "": it said none */
    int64_t expires; /* seconds since 1970; 0: never */
};
/* What it gave out. The caller frees *out. */
int server_leases(const char *network, struct lease **out, size_t *count, struct error *err);

#endif
