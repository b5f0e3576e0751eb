/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What persist.c gathers and persist_dialects.c tells. */
#ifndef PULT_NET_PERSIST_PRIVATE_H
#define PULT_NET_PERSIST_PRIVATE_H

#include <stdbool.h>
#include <stdio.h>

#include "net/host.h"
#include "net/persist.h"

struct settled_route {
    int family;
    char to[ADDRESS_TEXT]; /* "": the default */
    char via[ADDRESS_TEXT], metric[12];
    bool onlink;
};

struct settled {
    const char *bridge, *nic;
    char port[IFNAMSIZ]; /* the NIC, or its VLAN */
    unsigned vlan, mtu;  /* 0: none; as it comes */
    char mac[18];
    bool dhcp4, dhcp6, ra; /* who tells addresses: ra are routers */
    char **addresses;      /* with prefix lengths */
    struct settled_route *routes;
    size_t route_count;
    char **servers, **domains;
};

struct dialect {
    const char *name;
    void (*tell)(const struct settled *s, struct persist *out);
};
extern const struct dialect persist_dialects[]; /* up to one without a name */

/* A file of the configuration, to be written and closed. */
struct writing {
    FILE *f;
    size_t len;
};
FILE *persist_file(struct persist *p, struct writing *w, unsigned mode, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void persist_note(struct persist *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
