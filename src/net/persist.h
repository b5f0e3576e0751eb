/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bridge over a NIC, as the host's own configuration would tell it: files that make the same at
 * each boot, without pult. They are shown, or written where the admin says; never where they would
 * have an effect.
 *
 *     networkd    .netdev and .network files
 *     nm          keyfiles of NetworkManager
 *     ifupdown    a part of /etc/network/interfaces, with ip(8) alone; DHCP by its dhclient
 *     netplan     one YAML file
 *
 * What is told is what the NIC has, or while the network is up the bridge: addresses, gateways, routes,
 * name servers, MTU and MAC; or that DHCP and routers tell.
 */
#ifndef PULT_NET_PERSIST_H
#define PULT_NET_PERSIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "net/network.h"

struct host;

#define PERSIST_FILES 4u

struct persist {
    char dialect[16];
    struct {
        char *path, *text;
        unsigned mode;
    } files[PERSIST_FILES];
    size_t count;
    char **notes; /* what has to be done besides; NULL-terminated, or NULL */
};

/* The names of all dialects, one after the other; NULL behind the last. */
const char *persist_dialect(size_t i);
/* dialect NULL: that of who keeps the NIC. */
int persist_make(const struct network *n, const struct host *h, const char *dialect,
                 struct persist *out, struct error *err);
void persist_clear(struct persist *p);
#define cleanup_persist __attribute__((cleanup(persist_clear)))

/* All of it as text for a person: each file below its path, then the notes. Caller frees. */
char *persist_text(const struct persist *p);
/* From the answer of `pult network plan NAME --persistent -o json`. */
int persist_from_json(const char *text, struct persist *out, struct error *err);
/*
 * Write the files into a directory, by the last parts of their paths; where there is but one, a path
 * that is no directory is that of the file. EEXIST where one is there, unless it shall be replaced.
 */
int persist_save(const struct persist *p, const char *path, bool replace, struct error *err);

#endif
