/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's network cards as its definition has them: each vm.net.N is one value,
 *
 *     tap[=NAME][,bridge=NAME][,queues=N][,vhost=auto|on|off][,mac=ADDRESS][,mtu=N]
 *     bridge=NAME…                          a tap of its own in that bridge
 *     user[,forward=PROTOCOL:[ADDRESS:]PORT[-PORT][:PORT[-PORT]]]…[,mac=…][,mtu=N]
 *     none                                  no card
 *
 * A card that is given no address has one that stays the same as long as the guest keeps its name.
 */
#ifndef PULT_NET_DEFINITION_H
#define PULT_NET_DEFINITION_H

#include <stdint.h>

#include "base/options.h"

#define NETWORK_KEY      "vm.net."
#define NETWORKS_MOST    8u
#define NETWORK_QUEUES   16u
#define NETWORK_FORWARDS 64u
#define NETWORK_MTU_MIN  68u /* RFC 791: what every link of IP carries */

#define MAC_TEXT 18 /* "02:12:34:56:78:9a" */

enum network_kind { NETWORK_NONE, NETWORK_USER, NETWORK_TAP };
enum network_vhost { NETWORK_VHOST_AUTO, NETWORK_VHOST_ON, NETWORK_VHOST_OFF };

struct network_definition {
    unsigned number; /* N of vm.net.N */
    enum network_kind kind;
    const char *tap, *bridge; /* tap: "" or NULL is one without a name; of `options` */
    uint8_t mac[6];
    unsigned queues, mtu; /* mtu 0: not said */
    enum network_vhost vhost;
    const char *forwards[NETWORK_FORWARDS + 1]; /* passt_is_forward() of each; NULL ends them */
    struct options options;
};

struct network_definitions {
    unsigned count;
    struct network_definition all[NETWORKS_MOST];
};

/* "none", "user", "tap". */
const char *network_kind_name(enum network_kind kind);
void network_mac_text(const uint8_t mac[6], char out[MAC_TEXT]);

/* What can be said of one value: conf_value_fn. */
int network_is_definition(const char *value, struct error *err);
/*
 * All of a definition, in the order of their numbers. -1: one is wrong, or two have the same
 * address or tap. Clear it in either case.
 */
int network_definitions_read(const struct conf *conf, const char *guest,
                             struct network_definitions *out, struct error *err);
void network_definitions_clear(struct network_definitions *n);
#define cleanup_networks __attribute__((cleanup(network_definitions_clear)))

#endif
