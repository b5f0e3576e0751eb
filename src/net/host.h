/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this host's network is now: a snapshot of its interfaces, addresses, routes and rules, by
 * rtnetlink, of the network namespace of the caller. Plans are made from it, and a plan that was
 * undone has to lead back to it.
 */
#ifndef PULT_NET_HOST_H
#define PULT_NET_HOST_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "net/address.h"
#include "net/link.h"

struct host_address {
    int index; /* of its interface */
    struct address address;
    char *spec;   /* as `ip address add` takes it, without "dev" (spec.h) */
    bool dynamic; /* given by DHCP or a router, and kept by whoever asked for it */
    bool kernel;  /* by the kernel itself: link-local, or temporary (privacy) */
    bool link_local;
    bool whole; /* the spec tells all of it */
};

struct host_route {
    int index;          /* of its interface; 0: several, or none */
    struct address to;  /* prefix 0: a default route */
    struct address via; /* family 0: on the link */
    char *spec;         /* as `ip route add` takes it */
    bool kernel;        /* comes and goes with an address */
    bool whole;
};

struct host_rule {
    int family;
    char *spec;            /* as `ip rule add` takes it */
    char device[IFNAMSIZ]; /* iif or oif; "": none */
    bool whole;
};

struct host {
    struct link *links;
    size_t link_count;
    struct host_address *addresses;
    size_t address_count;
    struct host_route *routes; /* of all tables but local */
    size_t route_count;
    struct host_rule *rules;
    size_t rule_count;
};

int host_look(struct host *out, struct error *err);
void host_clear(struct host *h);
#define cleanup_host __attribute__((cleanup(host_clear)))

const struct link *host_link(const struct host *h, const char *name); /* NULL: none */
const struct link *host_link_at(const struct host *h, int index);
/*
 * All of it as text, line by line, sorted: two snapshots are the same when their texts are. What
 * counts down, and what the kernel gives and takes as carriers come and go, is not in it.
 */
char *host_text(const struct host *h);

/* The interface by which the client of this session of SSH (SSH_CONNECTION) is reached; "": none. */
void host_session(const struct host *h, char out[IFNAMSIZ]);
/* The client of a session: the address in SSH_CONNECTION of this process or one above it, or NULL. */
char *host_client(void);
/* Could the host lose its way to others when this interface changes? Why, or NULL. */
const char *host_risk(const struct host *h, const char *name);

/* Who keeps the configuration of an interface, and would give it back behind our back. */
enum manager {
    MANAGER_NONE,
    MANAGER_NETWORKD,
    MANAGER_NM,
    MANAGER_DHCLIENT,
    MANAGER_DHCPCD,
    MANAGER_IFUPDOWN
};
enum manager host_manager(const char *name);
const char *manager_name(enum manager m);
/* The DHCP client that keeps this interface; 0: none. command, if not NULL: how it was called. */
pid_t host_dhclient(const char *name, char **command);
/*
 * The dhcpcd that keeps this interface; 0: none. *option, if not NULL, is what it was told ("-4 ", "-6 "
 * or ""). *manager: it keeps all interfaces, and none can be taken from it.
 */
pid_t host_dhcpcd(const char *name, const char **option, bool *manager);
/* The number by which networkd's DHCP client knows an interface (IAID), in decimal; "": none. */
void host_networkd_iaid(int index, char out[16]);
/* The name servers and domains that systemd-resolved asks through an interface; "": none. */
void host_resolved(int index, char **servers, char **domains);

/*
 * A private network of IPv4 of this prefix length (17 to 30) that no route or address of the host is
 * in: from 10.87.0.0 on.
 */
int host_free_subnet(const struct host *h, unsigned prefix, struct address *out, struct error *err);

#endif
